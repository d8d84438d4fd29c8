//! Files of the formats that documents come in, made of the same words.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::random::Random;
use super::words::Vocabulary;
use crate::Result;

/// A file that is read.
pub(super) struct Sample {
    pub(super) title: String,
    pub(super) path: PathBuf,
}

/// Writes a file of each format with about `bytes` of text, and finds the real
/// ones that the tests have.
pub(super) fn samples(folder: &Path, bytes: usize) -> Result<Vec<Sample>> {
    fs::create_dir_all(folder)?;
    let maker = Maker { vocabulary: Vocabulary::new(), bytes };
    let mut samples = Vec::new();
    for (name, content) in [
        ("large.txt", maker.plain()),
        ("large.md", maker.markdown()),
        ("large.html", maker.html()),
        ("large.csv", maker.csv()),
        ("large.json", maker.json()),
        ("large.pdf", maker.pdf()),
    ] {
        fs::write(folder.join(name), content)?;
        samples.push(Sample { title: format!("{name} (made)"), path: folder.join(name) });
    }
    type Parts = Vec<(&'static str, String)>;
    let zipped: [(&str, Parts); 2] = [("large.docx", maker.docx()), ("large.xlsx", maker.xlsx())];
    for (name, parts) in zipped {
        pack(&folder.join(name), &parts)?;
        samples.push(Sample { title: format!("{name} (made)"), path: folder.join(name) });
    }
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/aimate-text/tests/files");
    for name in ["tides.pdf", "report.docx", "plan.pptx", "ledger.xlsx", "ledger.xls", "ledger.ods"] {
        if real.join(name).exists() {
            samples.push(Sample { title: name.to_owned(), path: real.join(name) });
        }
    }
    Ok(samples)
}

fn pack(path: &Path, parts: &[(&str, String)]) -> Result {
    let mut archive = ZipWriter::new(File::create(path)?);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in parts {
        archive.start_file(*name, options)?;
        archive.write_all(content.as_bytes())?;
    }
    archive.finish()?;
    Ok(())
}

/// The declaration that opens a part of an office file.
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

struct Maker {
    vocabulary: Vocabulary,
    bytes: usize,
}

impl Maker {
    /// Gives `each` paragraphs, every tenth of them a heading: a `share`th of
    /// the text.
    fn paragraphs(&self, share: usize, mut each: impl FnMut(bool, &str)) {
        let mut random = Random::new(77);
        let (mut written, mut number) = (0, 0);
        while written < self.bytes / share {
            let is_heading = number % 10 == 0;
            let words = if is_heading { 5 } else { 40 + random.below(60) };
            let text = self.vocabulary.text(&mut random, words);
            written += text.len();
            number += 1;
            each(is_heading, &text);
        }
    }

    fn plain(&self) -> String {
        let mut text = String::new();
        self.paragraphs(1, |_, paragraph| {
            let _ = write!(text, "{paragraph}.\n\n");
        });
        text
    }

    fn markdown(&self) -> String {
        let mut text = "# The whole\n\n".to_owned();
        self.paragraphs(1, |is_heading, paragraph| {
            let _ = match is_heading {
                true => write!(text, "## {paragraph}\n\n- one\n- **two**\n\n"),
                false => write!(text, "{paragraph}.\n\n"),
            };
        });
        text
    }

    fn html(&self) -> String {
        let mut text = "<!doctype html><html><head><title>The whole</title></head><body><main>".to_owned();
        self.paragraphs(1, |is_heading, paragraph| {
            let _ = match is_heading {
                true => writeln!(text, "<h2 class=\"title\">{paragraph}</h2>"),
                false => {
                    writeln!(text, "<div class=\"row\"><p>{paragraph} <a href=\"/x\">more</a>.</p></div>")
                }
            };
        });
        text + "</main></body></html>"
    }

    fn csv(&self) -> String {
        let mut text = "number,name,remark\n".to_owned();
        self.paragraphs(1, |is_heading, paragraph| {
            let _ = writeln!(text, "{},\"{paragraph}\",{is_heading}", text.len());
        });
        text
    }

    fn json(&self) -> String {
        let mut rows = Vec::new();
        self.paragraphs(1, |is_heading, paragraph| {
            rows.push(serde_json::json!({"heading": is_heading, "text": paragraph}));
        });
        serde_json::Value::from(rows).to_string()
    }

    fn docx(&self) -> Vec<(&'static str, String)> {
        let space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
        let mut body = format!("{XML}<w:document xmlns:w=\"{space}\"><w:body>");
        self.paragraphs(1, |is_heading, paragraph| {
            let style = if is_heading { "<w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr>" } else { "" };
            let _ =
                write!(body, "<w:p>{style}<w:r><w:t xml:space=\"preserve\">{paragraph}</w:t></w:r></w:p>");
        });
        body.push_str("</w:body></w:document>");
        vec![
            (
                "[Content_Types].xml",
                types(
                    "/word/document.xml",
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
                ),
            ),
            ("_rels/.rels", relations("officeDocument", "word/document.xml")),
            ("word/document.xml", body),
        ]
    }

    fn xlsx(&self) -> Vec<(&'static str, String)> {
        let space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let mut sheet = format!("{XML}<worksheet xmlns=\"{space}\"><sheetData>");
        let mut row = 0;
        self.paragraphs(1, |_, paragraph| {
            row += 1;
            let _ = write!(
                sheet,
                "<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c>\
                 <c r=\"B{row}\" t=\"inlineStr\"><is><t>{paragraph}</t></is></c></row>"
            );
        });
        sheet.push_str("</sheetData></worksheet>");
        let workbook = format!(
            "{XML}<workbook xmlns=\"{space}\" xmlns:r=\"{OFFICE}\"><sheets>\
             <sheet name=\"One\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
        );
        vec![
            (
                "[Content_Types].xml",
                types(
                    "/xl/workbook.xml",
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
                ),
            ),
            ("_rels/.rels", relations("officeDocument", "xl/workbook.xml")),
            ("xl/_rels/workbook.xml.rels", relations("worksheet", "worksheets/sheet1.xml")),
            ("xl/workbook.xml", workbook),
            ("xl/worksheets/sheet1.xml", sheet),
        ]
    }

    /// Pages of 50 lines in a font that every reader has, an eighth of the text
    /// of the others.
    fn pdf(&self) -> String {
        let mut lines = Vec::new();
        self.paragraphs(8, |_, paragraph| {
            let words: Vec<&str> = paragraph.split(' ').collect();
            lines.extend(words.chunks(10).map(|words| words.join(" ")));
        });
        let pages: Vec<_> = lines.chunks(50).collect();
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            String::new(),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        ];
        let mut kids = String::new();
        for page in &pages {
            let mut content = "BT /F1 10 Tf 14 TL 50 780 Td\n".to_owned();
            page.iter().for_each(|line| {
                let _ = writeln!(content, "({line}) Tj T*");
            });
            content.push_str("ET");
            objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
            let number = objects.len();
            objects.push(format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] \
                 /Resources << /Font << /F1 3 0 R >> >> /Contents {number} 0 R >>"
            ));
            let _ = write!(kids, "{} 0 R ", objects.len());
        }
        if let Some(tree) = objects.get_mut(1) {
            *tree = format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len());
        }
        let mut file = "%PDF-1.4\n".to_owned();
        let mut places = String::new();
        for (number, object) in (1..).zip(&objects) {
            let _ = writeln!(places, "{:010} 00000 n ", file.len());
            let _ = write!(file, "{number} 0 obj\n{object}\nendobj\n");
        }
        let (start, size) = (file.len(), objects.len() + 1);
        let _ = write!(
            file,
            "xref\n0 {size}\n0000000000 65535 f \n{places}trailer\n<< /Size {size} /Root 1 0 R >>\n\
             startxref\n{start}\n%%EOF\n"
        );
        file
    }
}

fn types(part: &str, kind: &str) -> String {
    let space = "http://schemas.openxmlformats.org/package/2006/content-types";
    format!(
        "{XML}<Types xmlns=\"{space}\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"{part}\" ContentType=\"{kind}\"/></Types>"
    )
}

fn relations(kind: &str, target: &str) -> String {
    format!(
        "{XML}<Relationships xmlns=\"{RELATIONS}\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/></Relationships>"
    )
}
