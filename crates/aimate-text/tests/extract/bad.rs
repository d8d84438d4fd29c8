use aimate_text::extract::ExtractErrorKind::{Damaged, Empty, Encrypted, Io, NoText, TooLarge, Unsupported};
use aimate_text::extract::{ExtractError, ExtractErrorKind, Limits, extract};

use crate::support::{GOOD, Temporary, archive, book, bytes, file, pdf, read, read_with, sheet, word};

fn kind_of(name: &str, bytes: impl AsRef<[u8]>) -> ExtractErrorKind {
    failure_of(name, bytes).kind
}

fn failure_of(name: &str, bytes: impl AsRef<[u8]>) -> ExtractError {
    let failure = read(name, bytes).unwrap_err();
    assert!(failure.message.len() < 300, "{failure}");
    failure
}

#[test]
fn empty_and_missing_files_are_named_so() {
    assert_eq!(kind_of("a.pdf", ""), Empty);
    let nowhere = extract("/nonexistent/a".as_ref(), "a.txt", None, &Limits::default());
    assert_eq!(nowhere.unwrap_err().kind, Io);
    let folder = extract(file("").as_path(), "a.txt", None, &Limits::default());
    assert_eq!(folder.unwrap_err().kind, Io);
    assert_eq!(kind_of("a.txt", " \n\t "), NoText);
    assert_eq!(kind_of("a.html", "<html><script>x</script></html>"), NoText);
    assert_eq!(kind_of("a.docx", word("")), NoText);
}

#[test]
fn password_is_asked_for() {
    for name in ["locked.pdf", "locked.xlsx"] {
        assert_eq!(kind_of(name, bytes(name)), Encrypted, "{name}");
    }
    assert_eq!(kind_of("wrong.txt", bytes("locked.xlsx")), Encrypted);
}

#[test]
fn scan_needs_text_recognition() {
    let failure = failure_of("scan.pdf", bytes("scan.pdf"));
    assert_eq!(failure.kind, NoText);
    assert_eq!(
        failure.to_string(),
        "the PDF has 3 pages but no text, or hardly any; it needs OCR (text recognition) first"
    );
    let page = "BT /F1 12 Tf 72 700 Td (One page of words and one that is only a picture, no more.) Tj ET";
    let half = read("a.pdf", pdf(&[page, "0 0 10 10 re f"])).unwrap();
    assert_eq!(half.warnings, ["page 2 of 2 pages has no text; it may be a picture that needs OCR"]);
}

#[test]
fn cut_off_files_are_damaged() {
    for name in
        ["report.docx", "plan.pptx", "ledger.xlsx", "ledger.ods", "office/rules.odt", "office/plan2.odp"]
    {
        let whole = bytes(name);
        assert_eq!(kind_of(name, &whole[..whole.len() / 2]), Damaged, "{name}");
    }
    assert_eq!(kind_of("a.pdf", &bytes("tides.pdf")[..200]), Damaged);
    assert_eq!(kind_of("a.json", "{\"a\": "), Damaged);
    let unclosed = archive(&[("word/document.xml", b"<w:document><w:body><w:p>")]);
    assert_eq!(kind_of("a.docx", unclosed), Damaged);
}

#[test]
fn what_is_not_read_says_what_would_be() {
    let failure = failure_of("a.txt", b"\x89PNG\r\n\x1a\n0000");
    assert_eq!(failure.kind, Unsupported);
    assert!(failure.message.contains("picture"));
    let noise: Vec<u8> = (0..9_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(kind_of("a.txt", &noise), Unsupported);
    assert_eq!(kind_of("a.bin", &noise), Unsupported);
    assert_eq!(kind_of("a.zip", archive(&[("a.txt", b"x")])), Unsupported);
    assert_eq!(
        kind_of("a.doc", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 600]].concat()),
        Unsupported
    );
}

#[test]
fn sec_t33_archive_bomb_is_stopped() {
    // 1,000 to 1, and no end tag: it is stopped before it is parsed.
    let huge = vec![b' '; 64 << 20];
    let bomb = archive(&[("word/document.xml", &huge)]);
    assert!(bomb.len() < 200_000);
    assert_eq!(kind_of("a.docx", &bomb), TooLarge);
    assert_eq!(kind_of("a.xlsx", archive(&[("xl/workbook.xml", &huge)])), TooLarge);
    assert_eq!(kind_of("a.xlsb", archive(&[("xl/workbook.bin", b""), ("xl/x.bin", &huge)])), TooLarge);
    let chapter = format!("<p>{}</p>", "a".repeat(64 << 20));
    assert_eq!(kind_of("a.epub", book(&[&chapter])), TooLarge);
}

#[test]
fn sec_t33_entities_and_deep_nesting_are_stopped() {
    let text = "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><w:document><w:body>&b;</w:body></w:document>";
    assert_eq!(kind_of("a.docx", archive(&[("word/document.xml", text.as_bytes())])), TooLarge);
    for depth in [65, 100_000] {
        let body = format!("{}{}", "<w:p>".repeat(depth), "</w:p>".repeat(depth));
        assert_eq!(kind_of("a.docx", word(&body)), TooLarge, "{depth}");
        assert_eq!(kind_of("a.json", "{\"a\":".repeat(depth)), TooLarge, "{depth}");
    }
}

#[test]
fn size_is_looked_at_before_the_file_is_read() {
    let limits = Limits::default();
    for (name, head, length) in [
        ("a.json", "[1", 1 << 30),
        ("a.html", "<html>", 1 << 30),
        ("a.eml", "Subject: x\n", 1 << 30),
        ("a.pdf", "%PDF-1.4", 1 << 30),
        ("a.pdf", "%PDF-1.4", (1 << 30) + 1),
    ] {
        // The head is longer than what decides about binary data.
        let file = Temporary::sparse(head.repeat(100_000).as_bytes(), length);
        let failure = extract(&file.0, name, None, &limits).unwrap_err();
        assert_eq!(failure.kind, TooLarge, "{name}: {failure}");
    }
}

#[test]
fn text_that_grows_beyond_the_limit_is_stopped() {
    let limits = Limits::default().output(1_000);
    let json = format!("{{\"{}\":{{\"b\":1,\"c\":2,\"d\":3}}}}", "a".repeat(900));
    let cut = read_with("a.json", json.as_bytes(), &limits).unwrap();
    assert_eq!((cut.text.len(), cut.warnings.len()), (1_000, 1));
}

#[test]
fn word_document_is_cut_and_says_what_is_left_out() {
    let paragraph = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:outlineLvl w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let section = |name: &str| paragraph("0", name) + &paragraph("9", "twelve chars").repeat(50);
    let body = ["One", "Two", "Three", "Four"].map(section).concat();
    let cut = read_with("a.docx", &word(&body), &Limits::default().output(1_000)).unwrap();
    assert!((986..=1_000).contains(&cut.text.len()), "{}", cut.text.len());
    assert!(cut.text.starts_with("# One\n\ntwelve chars\n\ntwelve") && cut.text.contains("# Two\n\ntwelve"));
    let [warning] = cut.warnings.as_slice() else { panic!("{:?}", cut.warnings) };
    let expected = "the document has more than 1000 bytes of text, the most that is read of one; the rest, which \
                    begins under \"Two\" and is about ";
    let rest = warning.strip_prefix(expected).unwrap_or_else(|| panic!("{warning}"));
    let (percent, end) = rest.split_once('%').unwrap();
    // 70 of 200 paragraphs were read.
    assert!((62..=68).contains(&percent.parse::<u32>().unwrap()), "{warning}");
    assert_eq!(end, " of the document, is left out: split it");
    let whole = read("a.docx", word(&body)).unwrap();
    assert_eq!((whole.text.matches("twelve").count(), whole.warnings.len()), (200, 0));
}

#[test]
fn old_word_document_is_cut() {
    let document = read_with("a.doc", &bytes("office/rules.doc"), &Limits::default().output(30)).unwrap();
    assert!(document.text.len() <= 30);
    assert!(document.warnings[0].contains("more than 30 bytes of text"), "{:?}", document.warnings);
}

#[test]
fn sheet_with_far_cells_takes_no_room() {
    let of_type = |kind: &str, target: &str| {
        let kind = format!("http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}");
        format!(
            "<Relationships><Relationship Id=\"r1\" Type=\"{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let cells = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>\
                 <row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row></sheetData></worksheet>";
    let book =
        "<workbook xmlns:r=\"r\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
    let parts = [
        ("_rels/.rels", of_type("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", book.to_owned()),
        ("xl/_rels/workbook.xml.rels", of_type("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", cells.to_owned()),
    ];
    let text =
        read("a.xlsx", archive(&parts.each_ref().map(|(name, text)| (*name, text.as_bytes())))).unwrap().text;
    assert!(text.starts_with("S\n1\n") && text.ends_with("\t2"));
}

#[test]
fn broken_files_never_panic() {
    let page = "BT /F1 12 Tf 72 700 Td (The lighthouse was built in 1887 by hand.) Tj ET";
    let mut files: Vec<(String, Vec<u8>)> =
        GOOD.iter().map(|name| ((*name).to_owned(), bytes(name))).collect();
    files.extend([
        ("a.pdf".to_owned(), pdf(&[page])),
        ("a.epub".to_owned(), book(&["<h1>One</h1><table><tr><td>a<td>b</table>"])),
        ("a.html".to_owned(), b"<html><ul><li><table><tr><td><pre>a</pre><td>b</table><h2>x".to_vec()),
        ("a.json".to_owned(), br#"{"a":[1,{"b":"c\u00e4"}],"d":null}"#.to_vec()),
        ("a.csv".to_owned(), b"a;b\n\"x\ny\";2\n".to_vec()),
        ("a.md".to_owned(), "---\ntitle: x\n---\n# Grüße\n```\n".as_bytes().to_vec()),
        (
            "a.eml".to_owned(),
            b"Subject: =?utf-8?q?a?=\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--".to_vec(),
        ),
        ("a.ods".to_owned(), sheet("<table:table-row/>")),
        ("a.rtf".to_owned(), bytes("office/rules.rtf")),
        ("a.doc".to_owned(), bytes("office/rules.doc")),
        ("a.odt".to_owned(), bytes("office/rules.odt")),
    ]);
    for (name, whole) in files {
        for step in 1..=30_u64 {
            // A number that looks random and is the same in each run.
            let random = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(step as u32 % 64);
            let place = usize::try_from(random % whole.len() as u64).unwrap();
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (step % 8);
            for bytes in [&whole[..place], &flipped] {
                if let Err(failure) = read(&name, bytes) {
                    assert_ne!(failure.kind, ExtractErrorKind::Crashed, "{name} {step}: a parser panicked");
                }
            }
        }
    }
}

#[test]
fn damaged_part_does_not_cost_the_others() {
    let words = "lorem ipsum ".repeat(200);
    let chapter = |text: &str| format!("<html><body><p>{text}</p></body></html>");
    let (one, two, three) = (chapter("One is fine"), chapter(&words), chapter("Three is fine"));
    let mut bytes = book(&[&one, &two, &three]);
    let name = b"OEBPS/text/c 1.xhtml";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    bytes[at + 10..at + 20].iter_mut().for_each(|byte| *byte ^= 0xff);
    let document = read("a.epub", &bytes).unwrap();
    assert_eq!(document.text, "One is fine\n\nThree is fine");
    assert_eq!(document.warnings, ["part 2 is damaged and was left out, at least from there on"]);
    let mut bytes = book(&[&two]);
    let name = b"OEBPS/text/c 0.xhtml";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    bytes[at + 10..at + 20].iter_mut().for_each(|byte| *byte ^= 0xff);
    assert_eq!(read("a.epub", &bytes).unwrap_err().kind, ExtractErrorKind::Damaged);
}
