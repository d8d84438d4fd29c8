//! Detection of media types.

/// How many of a file's first bytes [`media_type`] can use.
pub(super) const HEAD: usize = 64 << 10;

pub(super) const PLAIN: &str = "text/plain";
pub(super) const MARKDOWN: &str = "text/markdown";
pub(super) const HTML: &str = "text/html";
pub(super) const XHTML: &str = "application/xhtml+xml";
pub(super) const CSV: &str = "text/csv";
pub(super) const TSV: &str = "text/tab-separated-values";
pub(super) const JSON: &str = "application/json";
pub(super) const JSON_LINES: &str = "application/jsonl";
pub(super) const MAIL: &str = "message/rfc822";
pub(super) const SOURCE: &str = "text/x-source";
pub(super) const PDF: &str = "application/pdf";
pub(super) const EPUB: &str = "application/epub+zip";
pub(super) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(super) const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(super) const XLSB: &str = "application/vnd.ms-excel.sheet.binary.macroenabled.12";
pub(super) const XLS: &str = "application/vnd.ms-excel";
pub(super) const DOC: &str = "application/msword";
pub(super) const PPT: &str = "application/vnd.ms-powerpoint";
pub(super) const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";
pub(super) const ODT: &str = "application/vnd.oasis.opendocument.text";
pub(super) const ODP: &str = "application/vnd.oasis.opendocument.presentation";
pub(super) const OLE: &str = "application/x-ole-storage";
pub(super) const ZIP: &str = "application/zip";
pub(super) const RTF: &str = "application/rtf";
pub(super) const BINARY: &str = "application/octet-stream";

/// The media type of a file, by its first bytes (64 KiB are enough) where they
/// tell, else by the extension of its name.
///
/// A file whose content is not what its name says has the type of its content.
pub fn media_type(name: &str, head: &[u8]) -> &'static str {
    let named = by_extension(name);
    if let Some(found) = by_magic(head, named) {
        return found;
    }
    let is_wide = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if !is_wide && is_binary(head) {
        // UTF-16 without a mark looks binary too: a text's name decides, and
        // whether its bytes can be decoded.
        return named.filter(|named| is_text(named)).unwrap_or(BINARY);
    }
    match named {
        Some(named) if is_text(named) && named != PLAIN => named,
        _ => by_opening(head, named).unwrap_or(PLAIN),
    }
}

/// The media type that a declared one means, if it is one that is read here.
pub(super) fn by_declaration(declared: &str) -> Option<&'static str> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = [
        MARKDOWN, HTML, XHTML, CSV, TSV, JSON, JSON_LINES, MAIL, SOURCE, PDF, EPUB, DOCX, PPTX, XLSX, XLSB,
        XLS, ODS, ODT, RTF,
    ];
    match essence.as_str() {
        "text/x-markdown" => Some(MARKDOWN),
        "application/x-ndjson" | "application/ndjson" | "application/x-jsonlines" => Some(JSON_LINES),
        "text/javascript"
        | "application/javascript"
        | "text/css"
        | "application/xml"
        | "text/xml"
        | "application/yaml"
        | "application/toml" => Some(SOURCE),
        other if other.starts_with("text/x-") => Some(SOURCE),
        other => known.into_iter().find(|known| *known == other),
    }
}

/// Whether a type is text that needs no parser of markup or containers.
pub(super) fn is_text(media_type: &str) -> bool {
    [PLAIN, MARKDOWN, HTML, XHTML, CSV, TSV, JSON, JSON_LINES, MAIL, SOURCE].contains(&media_type)
}

/// Returns the name of a type for messages.
pub(super) fn noun(media_type: &str) -> &'static str {
    match media_type {
        PLAIN => "plain text",
        MARKDOWN => "Markdown text",
        HTML | XHTML => "web page",
        CSV | TSV => "table of text",
        JSON => "JSON file",
        JSON_LINES => "JSON Lines file",
        MAIL => "e-mail",
        SOURCE => "source code",
        PDF => "PDF",
        EPUB => "EPUB book",
        DOCX | DOC => "Word document",
        PPTX | PPT => "PowerPoint presentation",
        XLSX | XLSB | XLS => "Excel workbook",
        ODS => "OpenDocument spreadsheet",
        ODT => "OpenDocument text",
        ODP => "OpenDocument presentation",
        RTF => "RTF document",
        ZIP => "ZIP archive",
        OLE => "old Office file",
        _ => "binary file",
    }
}

/// Returns the type of an extension of at most 16 characters.
pub(super) fn by_extension(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    if extension.len() > 16 {
        return None;
    }
    Some(match extension.to_ascii_lowercase().as_str() {
        "txt" | "text" | "log" | "rst" | "adoc" | "asciidoc" | "org" | "tex" | "srt" | "vtt" => PLAIN,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => MARKDOWN,
        "html" | "htm" => HTML,
        "xhtml" | "xht" => XHTML,
        "csv" => CSV,
        "tsv" | "tab" => TSV,
        "json" | "geojson" | "ipynb" | "webmanifest" => JSON,
        "jsonl" | "ndjson" => JSON_LINES,
        "eml" => MAIL,
        "pdf" => PDF,
        "epub" => EPUB,
        "docx" | "docm" | "dotx" => DOCX,
        "pptx" | "pptm" | "ppsx" | "potx" => PPTX,
        "xlsx" | "xlsm" | "xltx" => XLSX,
        "xlsb" => XLSB,
        "xls" => XLS,
        "doc" => DOC,
        "ppt" => PPT,
        "ods" => ODS,
        "odt" => ODT,
        "odp" => ODP,
        "rtf" => RTF,
        "zip" => ZIP,
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        other if SOURCES.contains(&other) => SOURCE,
        _ => return None,
    })
}

const SOURCES: [&str; 74] = [
    "asm",
    "bash",
    "bat",
    "c",
    "cc",
    "cfg",
    "clj",
    "cmake",
    "conf",
    "cpp",
    "cs",
    "css",
    "cxx",
    "dart",
    "diff",
    "dockerfile",
    "ex",
    "exs",
    "f90",
    "fs",
    "go",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "hcl",
    "hpp",
    "hs",
    "ini",
    "java",
    "jl",
    "js",
    "json5",
    "jsx",
    "kt",
    "kts",
    "less",
    "lua",
    "m",
    "makefile",
    "mjs",
    "mm",
    "nix",
    "patch",
    "php",
    "pl",
    "pm",
    "properties",
    "proto",
    "ps1",
    "py",
    "pyi",
    "r",
    "rb",
    "rs",
    "sass",
    "scala",
    "scss",
    "sh",
    "sql",
    "svelte",
    "swift",
    "tf",
    "toml",
    "ts",
    "tsx",
    "vb",
    "vue",
    "xml",
    "xsd",
    "xsl",
    "yaml",
    "yml",
    "zig",
];

/// Detects a binary format by its first bytes.
fn by_magic(head: &[u8], named: Option<&'static str>) -> Option<&'static str> {
    let has = |magic: &[u8]| head.starts_with(magic);
    if find(head.get(..1_024).unwrap_or(head), b"%PDF-")
        .is_some_and(|at| at == 0 || !named.is_some_and(is_text))
    {
        return Some(PDF);
    }
    if has(b"PK\x03\x04") || has(b"PK\x05\x06") {
        return Some(by_members(head).or(named.filter(|named| is_archive(named))).unwrap_or(ZIP));
    }
    if has(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        let office = [XLS, DOC, PPT, DOCX, PPTX, XLSX, XLSB];
        return Some(named.filter(|named| office.contains(named)).unwrap_or(OLE));
    }
    if has(b"{\\rtf") {
        return Some(RTF);
    }
    let after = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let known: [(&[u8], &str); 18] = [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"ID3\x03", "audio/mpeg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"\x1f\x8b", "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a", "application/vnd.rar"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ\x90", "application/x-executable"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
    ];
    if let Some((_, found)) = known.iter().find(|(magic, _)| has(magic)) {
        return Some(found);
    }
    match (has(b"RIFF"), after(4, b"ftyp")) {
        (true, _) if after(8, b"WEBP") => Some("image/webp"),
        (true, _) if after(8, b"WAVE") => Some("audio/wav"),
        (_, true) => Some("video/mp4"),
        _ => None,
    }
}

fn is_archive(media_type: &str) -> bool {
    [EPUB, DOCX, PPTX, XLSX, XLSB, ODS, ODT, ODP].contains(&media_type)
}

/// What kind of document a ZIP archive is, from the names that its head shows.
fn by_members(head: &[u8]) -> Option<&'static str> {
    if let Some(at) = find(head.get(..256).unwrap_or(head), b"mimetypeapplication/") {
        let declared = head.get(at + 8..)?;
        return [EPUB, ODS, ODT, ODP].into_iter().find(|known| declared.starts_with(known.as_bytes()));
    }
    let members: [(&[u8], &str); 6] = [
        (b"word/document.xml", DOCX),
        (b"ppt/presentation.xml", PPTX),
        (b"ppt/slides/", PPTX),
        (b"xl/workbook.bin", XLSB),
        (b"xl/workbook.xml", XLSX),
        (b"xl/worksheets/", XLSX),
    ];
    members.into_iter().find(|(member, _)| find(head, member).is_some()).map(|(_, found)| found)
}

/// Detects a text format by its beginning. `named` is the type of its name.
fn by_opening(head: &[u8], named: Option<&'static str>) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let opening = head.get(..512).unwrap_or(head).to_ascii_lowercase();
    if opening.starts_with(b"<!doctype html") || opening.starts_with(b"<html") {
        return Some(HTML);
    }
    let is_xml = opening.starts_with(b"<?xml");
    if is_xml && find(&opening, b"<html").is_some() {
        return Some(XHTML);
    }
    let headers: [&[u8]; 5] =
        [b"return-path: ", b"received: ", b"mime-version: ", b"message-id: ", b"delivered-to: "];
    if named.is_none() && headers.iter().any(|header| opening.starts_with(header)) {
        return Some(MAIL);
    }
    is_xml.then_some(SOURCE)
}

/// Whether bytes are not text in any encoding but UTF-16 and UTF-32.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let sample = bytes.get(..HEAD).unwrap_or(bytes);
    let zeros = sample.iter().filter(|byte| **byte == 0).count();
    // Escape, backspace and form feed are in logs of terminals and in old texts.
    let odd = |byte: &u8| matches!(byte, 1..=7 | 14..=26 | 28..=31 | 127);
    let control = sample.iter().filter(|byte| odd(byte)).count();
    zeros * 100 > sample.len() || (zeros + control) * 20 > sample.len()
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
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
    fn name_decides_among_texts() {
        assert_eq!(media_type("a.md", b"<html>"), MARKDOWN);
        assert_eq!(media_type("a.b.RS", b"fn main() {}"), SOURCE);
        assert_eq!(media_type("x.jsonl", b"{}"), JSON_LINES);
        assert_eq!(media_type("no extension", b"hello"), PLAIN);
        assert_eq!(media_type("", b"Received: by x\r\n"), MAIL);
    }

    #[test]
    fn hostile_names_do_no_harm() {
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
}
