use aimate_text::extract::{Extracted, Limits, TextKind, extract};

use crate::support::{GOOD, assert_sound, book, bytes, file, pdf, read, word};

fn read_file(name: &str) -> Extracted {
    let document = extract(&file(name), name, None, &Limits::default()).unwrap();
    assert_sound(&document);
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
    document
}

/// The places of pages as (text from there, number, label).
fn pages(document: &Extracted) -> Vec<(&str, u32, Option<&str>)> {
    let line = |start: usize| document.text[start..].lines().next().unwrap();
    document.pages.iter().map(|page| (line(page.start), page.number, page.label.as_deref())).collect()
}

fn headings(document: &Extracted) -> Vec<(u8, &str)> {
    document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect()
}

#[test]
fn word_document_becomes_markdown() {
    let document = read_file("report.docx");
    assert_eq!(document.title.as_deref(), Some("Harbour report"));
    assert_eq!(document.kind, TextKind::Markdown);
    assert_eq!(
        document.text,
        "# Harbour report\n\n# Ships\n\nIn 2024 the harbour received 312 ships & boats.\n\n- Freight\n- Passengers\n\n\
         ## Steps\n\n1. Report\n2. Berth\n\n| Ship | Tons |\n| --- | --- |\n| Aurora | 4200 |\n\nGrüße aus dem Hafen."
    );
    assert_eq!(headings(&document), [(1, "Harbour report"), (1, "Ships"), (2, "Steps")]);
}

#[test]
fn deleted_text_of_a_word_document_is_gone() {
    let body = "<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>Kept</w:t></w:r><w:del><w:r>\
                <w:delText>no</w:delText></w:r></w:del><w:ins><w:r><w:t xml:space=\"preserve\"> and &#228;dded</w:t></w:r>\
                </w:ins><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>";
    assert_eq!(read("a.docx", word(body)).unwrap().text, "Kept and ädded");
}

#[test]
fn slides_are_pages() {
    let document = read_file("plan.pptx");
    assert_eq!(document.title.as_deref(), Some("Harbour plan"));
    assert_eq!(
        document.text,
        "## Harbour plan\n\nBudget 2025\n\n## Goals\n\n- Deeper basin\n  - to 14 m\n\n\
         | Year | Cost |\n| --- | --- |\n| 2025 | 3 million |\n\nNotes: Say why 14 m."
    );
    assert_eq!(
        pages(&document),
        [("## Harbour plan", 1, Some("Harbour plan")), ("## Goals", 2, Some("Goals"))]
    );
}

#[test]
fn sheets_are_pages_and_rows_name_their_values() {
    let document = read_file("ledger.xlsx");
    assert_eq!(document.title.as_deref(), Some("Ledger"));
    assert_eq!(
        document.text,
        "Ships\nHarbour ledger\nShip: Aurora; Arrival: 2024-03-01; Tons: 4200.5\n\
         Ship: Borealis; Arrival: 2024-03-02 14:30; Tons: 1000\n\nCrew\nName: Ada; Rank: Captain"
    );
    assert_eq!(pages(&document), [("Ships", 1, Some("Ships")), ("Crew", 2, Some("Crew"))]);
    assert_eq!(read_file("ledger.xls").text, "Ships\nShip: Aurora; Tons: 4200.5");
    assert_eq!(read_file("ledger.ods").text, "Ships\nShip: Aurora; Port: Kiel");
}

#[test]
fn pages_of_a_pdf_are_marked() {
    for name in ["tides.pdf", "owner-locked.pdf"] {
        let document = read_file(name);
        assert_eq!(document.title.as_deref(), Some("Tide tables"));
        assert_eq!(document.kind, TextKind::Plain);
        assert_eq!(
            pages(&document),
            [
                ("Tide tables", 1, None),
                ("Low water at the south pier is at noon on the second page.", 2, None)
            ]
        );
        assert_eq!(headings(&document), [(1, "Tide tables")]);
    }
}

#[test]
fn handwritten_pdf_is_read() {
    let page = "BT /F1 12 Tf 72 700 Td (The lighthouse was built in 1887 by hand.) Tj ET";
    let document = read("a.pdf", pdf(&[page, page])).unwrap();
    assert_eq!(document.text.matches("The lighthouse was built in 1887 by hand.").count(), 2);
    assert_eq!(document.pages.len(), 2);
}

#[test]
fn chapters_of_a_book_are_pages_in_order() {
    let one = "<?xml version=\"1.0\"?><html><head><title/><script src=\"a\"/></head><body><h1>One</h1><p>First</p></body></html>";
    let two = "<html><body><h1>Two</h1><p>Second</p></body></html>";
    let document = read("a.epub", book(&[one, two])).unwrap();
    assert_eq!(document.title.as_deref(), Some("Two & one"));
    assert_eq!(document.text, "# One\n\nFirst\n\n# Two\n\nSecond");
    assert_eq!(pages(&document), [("# One", 1, Some("One")), ("# Two", 2, Some("Two"))]);
}

#[test]
fn mail_has_its_people_and_names_its_attachments() {
    let mail = "From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
                Date: Fri, 1 Mar 2024 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
                Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
                <p>Hello <b>Bob</b></p><ul><li>one<li>two</ul>\r\n--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\
                Content-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n%PDF-1.4\r\n--b--\r\n";
    let document = read("a.eml", mail).unwrap();
    assert_eq!(document.title.as_deref(), Some("Grüße"));
    assert_eq!(
        document.text,
        "Subject: Grüße\nFrom: Ada <ada@example.org>\nTo: bob@example.org\nDate: 2024-03-01T10:00:00+01:00\n\n\
         Hello Bob\n\n- one\n- two\n\nAttachments: a.pdf"
    );
    assert_eq!(document.warnings.len(), 1);
    let plain = read("b.eml", "Subject: Short\n\nOnly text.\n").unwrap();
    assert_eq!((plain.text.as_str(), plain.kind), ("Subject: Short\n\nOnly text.", TextKind::Plain));
}

#[test]
fn texts_stay_as_they_are() {
    let markdown = read("a.md", "---\ntitle: Top\n---\n# One\ntext\n").unwrap();
    assert_eq!((markdown.title.as_deref(), markdown.kind), (Some("Top"), TextKind::Markdown));
    assert_eq!(headings(&markdown), [(1, "One")]);
    let plain = read("a.txt", "# no heading\r\nline\r\n").unwrap();
    assert_eq!((plain.text.as_str(), plain.kind), ("# no heading\nline", TextKind::Plain));
    assert!(plain.headings.is_empty() && plain.title.is_none());
    assert_eq!(read("a.rs", "fn main() {}\n").unwrap().kind, TextKind::Code);
    assert_eq!(read("a.json", r#"{"a":{"b":1}}"#).unwrap().text, "a.b: 1");
    assert_eq!(read("a.tsv", "name\tcity\nx\ty\n").unwrap().text, "name: x; city: y");
    assert_eq!(read("a.html", "<h1>T</h1><p>x").unwrap().text, "# T\n\nx");
}

#[test]
fn owner_may_say_what_a_file_without_extension_is() {
    let file = crate::support::Temporary::new(b"# One\n");
    let document =
        extract(&file.0, "notes", Some("text/markdown; charset=utf-8"), &Limits::default()).unwrap();
    assert_eq!(document.media_type, "text/markdown");
}

#[test]
fn mislabelled_file_is_read_as_what_it_is() {
    for name in GOOD {
        let document = read("wrong.txt", bytes(name)).unwrap();
        let right = extract(&file(name), name, None, &Limits::default()).unwrap();
        assert_eq!(document.text, right.text, "{name}");
        assert_eq!(document.warnings.len(), 1, "{name}");
    }
    let warned = read("wrong.docx", bytes("tides.pdf")).unwrap();
    assert_eq!(
        warned.warnings,
        ["the file is called a Word document but its content is of another kind; read as PDF"]
    );
}

#[test]
fn sec_t31_hostile_names_do_no_harm() {
    let names = ["../../etc/passwd", "a\0b.md", "..\\..\\x.pdf", "", ".", "CON", &"n".repeat(4_000)];
    for name in names {
        assert_eq!(read(name, "hello").unwrap().text, "hello", "{name:?}");
    }
}

#[test]
fn output_is_clean() {
    let document = read("a.txt", "\u{feff}a\0b\u{1b}[1mc\r\nd\u{301}e\u{301}\n").unwrap();
    assert_eq!(document.text, "ab[1mc\nd\u{301}\u{e9}");
}
