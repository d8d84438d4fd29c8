use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aimate_text::extract::{ExtractErrorKind, Extracted, Limits, extract};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::Target;

/// A target that reads its input as a file of this name.
macro_rules! document {
    ($constant:ident, $function:ident, $file:literal, $seeds:expr, $words:expr) => {
        pub(super) const $constant: Target =
            Target { name: stringify!($function), run: $function, seeds: || $seeds, words: $words };

        /// The file gives sound text or an error that is not a crash.
        pub fn $function(input: &[u8]) {
            read($file, input);
        }
    };
}

const MARKUP: &[&str] = &[
    "<",
    ">",
    "/",
    "</",
    "/>",
    "=\"",
    "\"",
    "&amp;",
    "&#x0;",
    "&#1114112;",
    "&lt;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "\u{0}",
    "\u{FEFF}",
    "é",
];

document!(
    HTML,
    html,
    "a.html",
    vec![
        b"<!DOCTYPE html><title>T</title><h1>A</h1><p>b <b>c</b> <a href=x>d</a><ul><li>e<ol><li>f</ol></ul>\
          <table><tr><th>g<td>h</table><pre>i\n j</pre><script>k</script><blockquote>l<br>m</blockquote>"
            .to_vec(),
        b"<p>a<div>b</p>c<td>d<select><option>e</select><svg><title>f</title></svg><template><p>g".to_vec(),
    ],
    &[
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<table>",
        "<tr>",
        "<td colspan=9>",
        "</table>",
        "<ul>",
        "<ol start=7>",
        "<li>",
        "<pre>",
        "</pre>",
        "<h1>",
        "</h1>",
        "<script>",
        "</script>",
        "<style>",
        "<a href='",
        "<img alt=\"",
        "<br>",
        "<blockquote>",
        "<textarea>",
        "<title>",
        "<!--",
        "-->",
        "&nbsp;",
        "&#0;",
        "&amp",
        "<meta charset=utf-16>",
        "<",
        ">",
        "\0",
        "<math>",
        "<![CDATA[",
        "<frameset>",
        "<plaintext>",
        "<code>",
        "```",
        "|",
        "\\",
        "#",
        "*",
    ]
);
document!(
    MARKDOWN,
    markdown,
    "a.md",
    vec![
        b"---\ntitle: T\n---\n# A\n\nb\n\n```rust\n# c\n```\n\n| d | e |\n|---|---|\n\nF\n===\n\n- g\n  1. h"
            .to_vec()
    ],
    &[
        "# ", "###### ", "```", "~~~", "---\n", "title: ", "\n\n", "\n", "===", "| ", "- ", "> ", "    ",
        "\t", "\\", "`", "<!--"
    ]
);
document!(
    JSON,
    json,
    "a.json",
    vec![
        br#"{"a":[1,"b",null,{"c":true}],"d":{"e":-1.5e3},"f":"\u00e9\ud83d\ude00"}"#.to_vec(),
        b"{\"a\":1}\n{\"b\":2}".to_vec()
    ],
    &[
        "{", "}", "[", "]", ":", ",", "\"", "\\u", "\\ud800", "null", "1e999", "\n", "{\"a\":", "[[[[[[[[",
        "-", "\\"
    ]
);
document!(
    CSV,
    csv,
    "a.csv",
    vec![b"name;price\n\"a \"\"b\"\";\";1,5\nc;2\n".to_vec(), b"a,b\r\n1,2\r\n,\r\n".to_vec()],
    &[",", ";", "\t", "\"", "\"\"", "\n", "\r\n", "|", "\0", "\u{FEFF}", "é"]
);
document!(
    MAIL,
    mail,
    "a.eml",
    vec![
        b"From: a@b\r\nSubject: =?utf-8?q?=C3=A9?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
          --x\r\nContent-Type: text/html; charset=latin1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=E9</p>\r\n\
          --x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nb\r\n--x--\r\n"
            .to_vec(),
    ],
    &[
        "\r\n", "\r\n\r\n", "--x", "--x--", "Content-Type: ", "multipart/mixed; boundary=x", "message/rfc822", "text/html",
        "charset=", "utf-7", "Content-Transfer-Encoding: base64", "=?utf-8?b?", "?=", "=", "Subject: ", "Date: ", "<",
    ]
);

/// The parts of a Word document that are read, in the order of an input.
const WORD: &[&str] = &[
    "word/document.xml",
    "word/_rels/document.xml.rels",
    "word/styles.xml",
    "word/numbering.xml",
    "word/footnotes.xml",
    "docProps/core.xml",
    "word/comments.xml",
    "word/header1.xml",
    "word/charts/chart1.xml",
    "word/part.html",
];
const SLIDES: &[&str] = &[
    "ppt/presentation.xml",
    "ppt/_rels/presentation.xml.rels",
    "ppt/slides/slide1.xml",
    "ppt/slides/_rels/slide1.xml.rels",
    "ppt/notesSlides/notesSlide1.xml",
    "ppt/charts/chart1.xml",
    "ppt/comments/comment1.xml",
];
const WORKBOOK: &[&str] = &[
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
    "xl/worksheets/_rels/sheet1.xml.rels",
    "xl/comments/comment1.xml",
    "xl/drawings/drawing1.xml",
];

pub(super) const DOCX: Target = Target {
    name: "docx",
    run: docx,
    seeds: || {
        let paragraph = "<w:document xmlns:w=\"w\"><w:body><w:p><w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr><w:r><w:t>A</w:t>\
            </w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>b</w:t><w:tab/><w:br/></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>";
        vec![
            from_file("report.docx", WORD),
            from_file("office/comment.docx", WORD),
            paragraph.as_bytes().to_vec(),
        ]
    },
    words: &[
        "<w:p>",
        "</w:p>",
        "<w:r>",
        "<w:t>",
        "</w:t>",
        "<w:tbl>",
        "<w:tr>",
        "<w:tc>",
        "</w:tbl>",
        "<w:tab/>",
        "<w:br/>",
        "<w:numPr><w:ilvl w:val=\"99\"/><w:numId w:val=\"1\"/></w:numPr>",
        "<w:pStyle w:val=\"Heading1\"/>",
        "<w:del>",
        "<w:footnoteReference w:id=\"1\"/>",
        "<w:sym w:char=\"F0B7\"/>",
        "<w:outlineLvl w:val=\"-1\"/>",
        "w:val=\"",
        "<",
        ">",
        "/>",
        "&#0;",
        "&amp;",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "\0",
        "<w:txbxContent>",
        "<w:gridSpan w:val=\"99999999\"/>",
        "<w:vMerge/>",
        "<w:altChunk r:id=\"rId1\"/>",
        "<m:oMath><m:f><m:num>",
        "<w:lvlText w:val=\"%1.%9\"/>",
        "<mc:AlternateContent>",
    ],
};

/// The parts of a Word document, put into an archive, are read or refused.
pub fn docx(input: &[u8]) {
    read("a.docx", &archive(WORD, input));
}

pub(super) const PPTX: Target = Target {
    name: "pptx",
    run: pptx,
    seeds: || vec![from_file("plan.pptx", SLIDES), from_file("office/chart.pptx", SLIDES)],
    words: MARKUP,
};

/// The parts of a presentation, put into an archive, are read or refused.
pub fn pptx(input: &[u8]) {
    read("a.pptx", &archive(SLIDES, input));
}

pub(super) const XLSX: Target = Target {
    name: "xlsx",
    run: xlsx,
    seeds: || vec![from_file("ledger.xlsx", WORKBOOK), from_file("office/number-formats.xlsx", WORKBOOK)],
    words: &[
        "<c r=\"A1\" t=\"s\"><v>0</v></c>",
        "<c r=\"XFD1048576\">",
        "<row r=\"1\">",
        "<v>",
        "</v>",
        "t=\"d\"",
        "<f>",
        "<is><t>",
        "<si><t>",
        "</t></si>",
        "<mergeCell ref=\"A1:B2\"/>",
        "<dimension ref=\"A1:XFD1048576\"/>",
        "s=\"1\"",
        "1e308",
        "-1",
        "<",
        ">",
        "/>",
        "\"",
        "&#0;",
        "\0",
    ],
};

/// The parts of a workbook, put into an archive, are read or refused.
pub fn xlsx(input: &[u8]) {
    read("a.xlsx", &archive(WORKBOOK, input));
}

pub(super) const PDF: Target = Target {
    name: "pdf",
    run: pdf,
    seeds: || {
        vec![
            b"BT /F1 12 Tf 72 700 Td (A b) Tj 0 -14 TD [(c) -200 (d)] TJ T* (e) ' ET".to_vec(),
            b"q 0 1 -1 0 600 0 cm BT /F2 9 Tf 1 0 0 1 50 50 Tm <00410042> Tj ET Q /X1 Do".to_vec(),
            b"/Span <</ActualText (f)>> BDC BT /F1 1 Tf 10 0 0 10 9 9 Tm (g) Tj ET EMC BI /W 1 ID a EI"
                .to_vec(),
        ]
    },
    words: &[
        "BT",
        "ET",
        "Tf",
        "Td",
        "TD",
        "Tm",
        "T*",
        "Tj",
        "TJ",
        "'",
        "\"",
        "Tc",
        "Tw",
        "Tz",
        "TL",
        "Ts",
        "Tr",
        "q",
        "Q",
        "cm",
        "Do",
        "/F1 12 Tf",
        "/F2 9 Tf",
        "/X1 Do",
        "BDC",
        "EMC",
        "<</ActualText (f)>>",
        "1e308",
        "-1",
        "0",
        "1 0 0 1 0 0 cm",
        "<0041>",
        "(a)",
        "[",
        "]",
        "BI",
        "ID",
        "EI",
        "endstream",
        "endobj",
        "%PDF-1.7",
    ],
};

/// What a page shows is read or refused: fonts of one and of two bytes, and a form
/// that paints itself.
pub fn pdf(input: &[u8]) {
    if input.starts_with(b"%PDF-") {
        read("a.pdf", input);
        return;
    }
    let mut bytes = b"%PDF-1.7\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n\
        2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj\n\
        3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources 5 0 R>> endobj\n\
        5 0 obj <</Font <</F1 6 0 R /F2 7 0 R>> /XObject <</X1 4 0 R>>>> endobj\n\
        6 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj\n\
        7 0 obj <</Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-V /ToUnicode /Identity-H \
        /DescendantFonts [<</Subtype /CIDFontType2 /BaseFont /A /W [65 [500 600]]>>]>> endobj\n"
        .to_vec();
    let head = format!(
        "4 0 obj <</Subtype /Form /BBox [0 0 9 9] /Resources 5 0 R /Length {}>> stream\n",
        input.len()
    );
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(input);
    bytes.extend_from_slice(b"\nendstream endobj\ntrailer <</Root 1 0 R>>\n");
    read("a.pdf", &bytes);
}

/// Reads a file of these bytes.
pub(super) fn read(name: &str, bytes: &[u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("aimate-fuzz-{}-{number}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let outcome = extract(&path, name, None, &Limits::default().output(1 << 20));
    fs::remove_file(&path).unwrap();
    match outcome {
        Ok(document) => assert_sound(&document),
        Err(error) => assert!(
            !matches!(error.kind, ExtractErrorKind::Crashed | ExtractErrorKind::Io),
            "{:?}: {}",
            error.kind,
            error.message
        ),
    }
}

/// What holds for every document.
fn assert_sound(document: &Extracted) {
    let text = &document.text;
    let is_clean = |character: char| ['\n', '\t', '\u{c}'].contains(&character) || !character.is_control();
    assert!(text.chars().all(is_clean), "a control character is left");
    assert!(!text.trim().is_empty(), "a text of nothing");
    let starts = |starts: Vec<usize>| {
        assert!(starts.is_sorted() && starts.iter().all(|start| text.is_char_boundary(*start)), "{starts:?}");
    };
    starts(document.pages.iter().map(|page| page.start).collect());
    starts(document.headings.iter().map(|heading| heading.start).collect());
    assert!(document.headings.iter().all(|heading| (1..=6).contains(&heading.level)));
}

/// An archive of `names` with the pieces of an input; what it lacks is left out.
pub(super) fn archive(names: &[&str], input: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, part) in names.iter().zip(input.split(|byte| *byte == 0)) {
        zip.start_file(*name, options).unwrap();
        zip.write_all(part).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// One of aimate-text's test files, as an input.
pub(super) fn seed(file: &str) -> Vec<u8> {
    fs::read(test_file(file)).unwrap()
}

fn test_file(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/aimate-text/tests/files").join(file)
}

/// The parts of one of aimate-text's test files, as an input.
pub(super) fn from_file(file: &str, names: &[&str]) -> Vec<u8> {
    let mut zip = ZipArchive::new(fs::File::open(test_file(file)).unwrap()).unwrap();
    let parts = names.iter().map(|name| {
        let mut bytes = Vec::new();
        if let Ok(mut part) = zip.by_name(name) {
            std::io::copy(&mut part, &mut bytes).unwrap();
        }
        bytes
    });
    parts.collect::<Vec<_>>().join(&0)
}
