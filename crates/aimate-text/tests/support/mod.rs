//! Files for the tests: those in `tests/files`, and those that are made here.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

use aimate_text::extract::{ExtractError, Extracted, Limits, extract};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The files of `tests/files` that hold text; `make.py` there makes them.
pub(crate) const GOOD: [&str; 7] =
    ["report.docx", "plan.pptx", "ledger.xlsx", "ledger.xls", "ledger.ods", "tides.pdf", "owner-locked.pdf"];

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// A file with these bytes that goes when it is dropped.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("extract-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    /// A file of this length that takes no room on the disk.
    pub(crate) fn sparse(head: &[u8], length: u64) -> Self {
        let file = Self::new(head);
        std::fs::File::options().write(true).open(&file.0).unwrap().set_len(length).unwrap();
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn read_with(name: &str, bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let file = Temporary::new(bytes);
    let outcome = extract(&file.0, name, None, limits);
    if let Ok(document) = &outcome {
        assert_sound(document);
    }
    outcome
}

pub(crate) fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Extracted, ExtractError> {
    read_with(name, bytes.as_ref(), &Limits::default())
}

/// What holds for every document.
pub(crate) fn assert_sound(document: &Extracted) {
    let text = &document.text;
    let is_clean = |character: char| ['\n', '\t', '\u{c}'].contains(&character) || !character.is_control();
    assert!(text.chars().all(is_clean), "a control character is left");
    assert!(!text.trim().is_empty());
    let pages: Vec<usize> = document.pages.iter().map(|page| page.start).collect();
    let headings: Vec<usize> = document.headings.iter().map(|heading| heading.start).collect();
    assert!(pages.is_sorted() && headings.is_sorted());
    assert!(pages.iter().chain(&headings).all(|start| text.is_char_boundary(*start)));
}

pub(crate) fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A Word document with this body.
pub(crate) fn word(body: &str) -> Vec<u8> {
    let text = format!("<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
    archive(&[("word/document.xml", text.as_bytes())])
}

/// A spreadsheet with these rows in the format of OpenDocument.
pub(crate) fn sheet(rows: &str) -> Vec<u8> {
    let names = "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
                 xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" \
                 xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"";
    let text = format!(
        "<office:document-content {names}><office:body><office:spreadsheet><table:table table:name=\"A\">{rows}\
         </table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let declared = "application/vnd.oasis.opendocument.spreadsheet";
    let manifest = "<m:manifest xmlns:m=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"/>";
    let parts = [("mimetype", declared), ("META-INF/manifest.xml", manifest), ("content.xml", &text)];
    archive(&parts.map(|(name, text)| (name, text.as_bytes())))
}

pub(crate) fn book(chapters: &[&str]) -> Vec<u8> {
    let container = r#"<container><rootfiles><rootfile full-path="OEBPS/a.opf"/></rootfiles></container>"#;
    let mut items = String::new();
    let mut spine = String::new();
    for number in 0..chapters.len() {
        // Listed backwards: the spine has the order.
        items = format!("<item id=\"c{number}\" href=\"text/c%20{number}.xhtml\"/>{items}");
        spine.push_str(&format!("<itemref idref=\"c{number}\"/>"));
    }
    let package = format!(
        "<package><metadata xmlns:dc=\"dc\"><dc:title>Two &amp; one</dc:title></metadata>\
         <manifest>{items}</manifest><spine>{spine}</spine></package>"
    );
    let names: Vec<String> =
        (0..chapters.len()).map(|number| format!("OEBPS/text/c {number}.xhtml")).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", container.as_bytes()),
        ("OEBPS/a.opf", package.as_bytes()),
    ];
    parts.extend(names.iter().map(String::as_str).zip(chapters.iter().map(|text| text.as_bytes())));
    archive(&parts)
}

/// A PDF with a page for each of these content streams.
pub(crate) fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (page, content) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut text = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(text.len());
        text.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = text.len();
    text.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for place in places {
        text.push_str(&format!("{place:010} 00000 n \n"));
    }
    let size = objects.len() + 1;
    text.push_str(&format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"));
    text.into_bytes()
}
