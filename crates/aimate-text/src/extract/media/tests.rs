use super::*;

#[test]
fn content_goes_before_the_name() {
    assert_eq!(media_type("a.docx", b"%PDF-1.7\n"), PDF);
    assert_eq!(media_type("a.pdf", b"<!DOCTYPE html><p>no</p>"), HTML);
    assert_eq!(media_type("a.txt", b"\x89PNG\r\n\x1a\n"), "image/png");
    assert_eq!(media_type("a.pdf", b"just text"), PLAIN);
    assert_eq!(media_type("a.xls", b"<html><table>"), HTML);
}

#[test]
fn text_that_names_a_mark_is_a_text() {
    let about = b"The header %PDF-1.7 begins a file; the first object is 1 0 obj, the last line %%EOF";
    for name in ["notes", "notes.txt", "a.md"] {
        assert!(is_text(media_type(name, about)), "{name}");
    }
    let inside = b"text first\n%PDF-1.3\n1 0 obj\n<<>>\nendobj\nxref\ntrailer\nstartxref\n9\n%%EOF\n";
    assert_eq!(media_type("report", inside), PDF);
    assert_eq!(media_type("report.pdf", b"\xef\xbb\xbf%PDF-1.3\n"), PDF);
    assert_eq!(media_type("notes.txt", inside), PLAIN);
    assert_eq!(media_type("a.txt", b"%PDF-1.4 is how a PDF begins."), PLAIN);
    assert_eq!(media_type("a.txt", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>"), PDF);
    for opening in ["GIF89a is a format", "The ftyp box", "fLaC and OggS", "RIFF has WAVE"] {
        assert_eq!(media_type("notes", opening.as_bytes()), PLAIN, "{opening}");
    }
}

#[test]
fn messages_are_known_by_their_headers() {
    let message = "From: a@example.org\nTo: b@example.org\nSubject: x\n\nhello";
    assert_eq!(media_type("1234", message.as_bytes()), MAIL);
    assert_eq!(media_type("", format!("From a@example.org Mon\n{message}").as_bytes()), MAILBOX);
    assert_eq!(media_type("", b"X-Spam: no\n\tyes\nMIME-Version: 1.0\n\nx"), MAIL);
    assert_eq!(media_type("", b"Subject: to date\nfrom here on: nothing\n"), PLAIN);
    assert_eq!(media_type("notes.txt", message.as_bytes()), PLAIN);
}

#[test]
fn name_decides_among_texts() {
    assert_eq!(media_type("a.md", b"<html>"), MARKDOWN);
    assert_eq!(media_type("a.b.RS", b"fn main() {}"), SOURCE);
    assert_eq!(media_type("x.jsonl", b"{}"), JSON_LINES);
    assert_eq!(media_type("no extension", b"hello"), PLAIN);
    assert_eq!(media_type("", b"Received: by x\r\n"), MAIL);
}

#[test]
fn sec_t31_hostile_names_do_no_harm() {
    for name in
        ["../../etc/passwd", "a\0.md", &"x".repeat(4_000), &format!("a.{}", "y".repeat(4_000)), ".", ".."]
    {
        assert_eq!(media_type(name, b"hello"), if name == "a\0.md" { MARKDOWN } else { PLAIN });
    }
}

#[test]
fn members_tell_zip_documents_apart() {
    assert_eq!(media_type("x.zip", b"PK\x03\x04.................word/document.xml"), DOCX);
    assert_eq!(
        media_type("x.bin", b"PK\x03\x04..........................mimetypeapplication/epub+zip"),
        EPUB
    );
    assert_eq!(media_type("x.xlsx", b"PK\x03\x04...."), XLSX);
    assert_eq!(media_type("x.jar", b"PK\x03\x04...."), ZIP);
}
