//! Detection of media types.

use super::decode;

pub(super) use super::bytes::{HEAD, find, is_binary};

pub(super) const PLAIN: &str = "text/plain";
pub(super) const MARKDOWN: &str = "text/markdown";
pub(super) const HTML: &str = "text/html";
pub(super) const XHTML: &str = "application/xhtml+xml";
pub(super) const CSV: &str = "text/csv";
pub(super) const TSV: &str = "text/tab-separated-values";
pub(super) const JSON: &str = "application/json";
pub(super) const JSON_LINES: &str = "application/jsonl";
pub(super) const MAIL: &str = "message/rfc822";
pub(super) const MAILBOX: &str = "application/mbox";
pub(super) const MHTML: &str = "application/x-mimearchive";
pub(super) const MSG: &str = "application/vnd.ms-outlook";
pub(super) const TNEF: &str = "application/ms-tnef";
pub(super) const CALENDAR: &str = "text/calendar";
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
    if is_binary(head) && !decode::is_text_in_disguise(head) {
        // A text's name decides, and whether its bytes can be decoded.
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
        MARKDOWN, HTML, XHTML, CSV, TSV, JSON, JSON_LINES, MAIL, MAILBOX, MHTML, MSG, TNEF, CALENDAR, SOURCE,
        PDF, EPUB, DOCX, PPTX, XLSX, XLSB, XLS, DOC, PPT, ODS, ODT, ODP, RTF,
    ];
    match essence.as_str() {
        "text/x-markdown" => Some(MARKDOWN),
        "text/rtf" => Some(RTF),
        "message/global" => Some(MAIL),
        "multipart/related" => Some(MHTML),
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
    [PLAIN, MARKDOWN, HTML, XHTML, CSV, TSV, JSON, JSON_LINES, MAIL, MAILBOX, MHTML, CALENDAR, SOURCE]
        .contains(&media_type)
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
        MAILBOX => "mailbox",
        MHTML => "saved web page",
        MSG => "Outlook message",
        TNEF => "winmail.dat",
        CALENDAR => "calendar",
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
        "eml" | "emlx" => MAIL,
        "mbox" | "mbx" => MAILBOX,
        "mht" | "mhtml" => MHTML,
        "msg" | "oft" => MSG,
        "tnef" => TNEF,
        "ics" | "ical" | "ifb" => CALENDAR,
        "pdf" => PDF,
        "epub" => EPUB,
        "docx" | "docm" | "dotx" | "dotm" => DOCX,
        "pptx" | "pptm" | "ppsx" | "ppsm" | "potx" | "potm" => PPTX,
        "xlsx" | "xlsm" | "xltx" | "xltm" => XLSX,
        "xlsb" => XLSB,
        "xls" | "xlt" => XLS,
        "doc" | "dot" => DOC,
        "ppt" | "pps" | "pot" => PPT,
        "ods" | "ots" => ODS,
        "odt" | "ott" => ODT,
        "odp" | "otp" => ODP,
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
    if is_pdf(head, named) {
        return Some(PDF);
    }
    if has(b"PK\x03\x04") || has(b"PK\x05\x06") {
        return Some(by_members(head).or(named.filter(|named| is_archive(named))).unwrap_or(ZIP));
    }
    if has(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        let office = [XLS, DOC, PPT, DOCX, PPTX, XLSX, XLSB, MSG];
        return Some(named.filter(|named| office.contains(named)).unwrap_or(OLE));
    }
    if head.trim_ascii_start().starts_with(b"{\\rtf") {
        return Some(RTF);
    }
    let after = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let known: [(&[u8], &str); 16] = [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"ID3\x03", "audio/mpeg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"\x1f\x8b", "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a", "application/vnd.rar"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ\x90", "application/x-executable"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
        (b"\x78\x9f\x3e\x22", TNEF),
    ];
    if let Some((_, found)) = known.iter().find(|(magic, _)| has(magic)) {
        return Some(found);
    }
    // Words too, with which a text may begin.
    if is_valid_text(head) {
        return None;
    }
    let words: [(&[u8], &str); 3] = [(b"GIF8", "image/gif"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac")];
    if let Some((_, found)) = words.iter().find(|(magic, _)| has(magic)) {
        return Some(found);
    }
    match (has(b"RIFF"), after(4, b"ftyp")) {
        (true, _) if after(8, b"WEBP") => Some("image/webp"),
        (true, _) if after(8, b"WAVE") => Some("audio/wav"),
        (_, true) => Some("video/mp4"),
        _ => None,
    }
}

/// Whether a file is a PDF. Its header may stand in the first 1,024 bytes (ISO
/// 32000-1, annex H), but a text that names the header there is none.
fn is_pdf(head: &[u8], named: Option<&'static str>) -> bool {
    let Some(at) = find(head.get(..1_024).unwrap_or(head), b"%PDF-") else {
        return false;
    };
    let is_named_text = named.is_some_and(is_text);
    if (at == 0 && !is_named_text) || named == Some(PDF) {
        return true;
    }
    let body = head.get(at..).unwrap_or_default();
    // The line of the header has nothing else.
    let is_line = body.get(8).is_some_and(|byte| [b'\r', b'\n'].contains(byte));
    let has_objects = is_line && [&b" 0 obj"[..], b"\nxref"].iter().any(|mark| find(body, mark).is_some());
    // A PDF of text alone, whole: else it has bytes that no text has.
    let has_end = head.len() < HEAD && body.trim_ascii_end().ends_with(b"%%EOF");
    has_objects && (has_end || !is_valid_text(head)) && !(is_named_text && is_valid_text(head) && at > 0)
}

/// Whether all of `head`, which may end within a character, is text in UTF-8.
fn is_valid_text(head: &[u8]) -> bool {
    let is_utf8 = match str::from_utf8(head) {
        Ok(_) => true,
        Err(failure) => failure.error_len().is_none(),
    };
    is_utf8 && !is_binary(head)
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
    if named.is_none() {
        if opening.starts_with(b"from ")
            && let Some(end) = opening.iter().position(|byte| *byte == b'\n')
            && is_mail(opening.get(end + 1..).unwrap_or_default(), 1)
        {
            return Some(MAILBOX);
        }
        if is_mail(&opening, 3) {
            return Some(MAIL);
        }
        if opening.starts_with(b"begin:vcalendar") {
            return Some(CALENDAR);
        }
    }
    is_xml.then_some(SOURCE)
}

/// Whether a lower-case text begins with the header of a message: lines of a name and
/// a value, one of them what mail programs alone write, or `enough` that people know.
fn is_mail(opening: &[u8], enough: usize) -> bool {
    let technical: [&[u8]; 6] = [
        b"return-path:",
        b"received:",
        b"mime-version:",
        b"message-id:",
        b"delivered-to:",
        b"x-mozilla-status:",
    ];
    let known: [&[u8]; 4] = [b"from:", b"to:", b"subject:", b"date:"];
    let mut seen = 0;
    // The last line may be cut.
    let mut lines = opening.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        if line.trim_ascii().is_empty() || lines.peek().is_none() {
            break;
        }
        let is_folded = line.first().is_some_and(|first| [b' ', b'\t'].contains(first));
        let name =
            line.iter().position(|byte| *byte == b':').and_then(|at| line.get(..at)).unwrap_or_default();
        let is_name =
            !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if !is_folded && !is_name {
            return false;
        }
        if technical.iter().any(|name| line.starts_with(name)) {
            return true;
        }
        seen += usize::from(known.iter().any(|name| line.starts_with(name)));
    }
    seen >= enough
}

#[cfg(test)]
mod tests;
