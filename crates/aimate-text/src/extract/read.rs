//! Detects the format of a file and calls its reader.

use std::path::Path;

#[cfg(any(feature = "extract-office", feature = "extract-epub"))]
use super::archive::Archive;
use super::document::{Extracted, TextKind};
#[cfg(feature = "extract-epub")]
use super::epub;
use super::error::{ExtractError, ExtractErrorKind};
#[cfg(feature = "extract-html")]
use super::html;
use super::limits::Limits;
#[cfg(feature = "extract-mail")]
use super::mail;
use super::output::Output;
#[cfg(feature = "extract-pdf")]
use super::pdf;
use super::progress::{self, ReadProgress};
use super::source::Source;
use super::{decode, error, json, markdown, media, table};
#[cfg(feature = "extract-office")]
use super::{doc, docx, odf, ole, ppt, pptx, rtf, sheet};

/// Extracts the document at `path` in this process.
///
/// `name` is the file name as the user knows it; only its extension is used.
/// `media_type` is the declared type; the content takes precedence over both.
///
/// A panic in a parser becomes an error. A stack overflow or a failed allocation
/// ends the process: read untrusted files through [`Extractor::with_worker`](super::Extractor::with_worker).
pub fn extract(
    path: &Path,
    name: &str,
    media_type: Option<&str>,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    extract_watched(path, name, media_type, limits, &ReadProgress::default())
}

/// As [`extract`], and tells `progress` how far it has come.
pub(super) fn extract_watched(
    path: &Path,
    name: &str,
    media_type: Option<&str>,
    limits: &Limits,
    progress: &ReadProgress,
) -> Result<Extracted, ExtractError> {
    let file = SourceFile::open(Source::File(path.to_owned()), name, media_type, limits)?;
    read_on_thread(&file, limits, progress)
}

/// The stack size of the thread that reads a document: parsers recurse as deep as
/// the document is nested.
pub(super) const STACK: usize = 64 << 20;

/// Reads on a thread with a large stack and converts its panic to an error.
pub(super) fn read_on_thread(
    file: &SourceFile,
    limits: &Limits,
    progress: &ReadProgress,
) -> Result<Extracted, ExtractError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("extract".to_owned()).stack_size(STACK);
        let read = || progress::watched(progress, || file.read(limits));
        let reading = thread.spawn_scoped(scope, read).map_err(|failure| error::io(&failure))?;
        reading.join().unwrap_or_else(|_| {
            let noun = file.noun();
            Err(error::crashed(format!(
                "the file made the reader of its format ({noun}) fail; save it again in its program, or as PDF"
            )))
        })
    })
}

/// A file and its detected format.
pub(super) struct SourceFile {
    source: Source,
    length: u64,
    head: Vec<u8>,
    media_type: &'static str,
    /// The type of its name, else the declared one.
    claimed: Option<&'static str>,
}

impl SourceFile {
    /// Checks the size of a file and detects its format from its first bytes.
    pub(super) fn open(
        source: Source,
        name: &str,
        declared: Option<&str>,
        limits: &Limits,
    ) -> Result<Self, ExtractError> {
        let length = source.length()?;
        if length == 0 {
            return Err(ExtractError::new(
                ExtractErrorKind::Empty,
                "the file is empty; upload one with content",
            ));
        }
        too_long("file", length, limits.input)?;
        let head = source.bytes(media::HEAD as u64)?;
        let declared = declared.and_then(media::by_declaration);
        let named = media::by_extension(name);
        let mut found = media::media_type(name, &head);
        if found == media::PLAIN && named.is_none() {
            found = declared.filter(|declared| media::is_text(declared)).unwrap_or(found);
        }
        Ok(Self { source, length, head, media_type: found, claimed: named.or(declared) })
    }

    /// Whether it is safe to read in this process: the reader is simple code that
    /// needs little memory.
    pub(super) fn is_harmless(&self) -> bool {
        [media::PLAIN, media::MARKDOWN, media::CSV, media::TSV, media::JSON, media::JSON_LINES, media::SOURCE]
            .contains(&self.media_type)
    }

    /// The name of its format for messages.
    pub(super) fn noun(&self) -> &'static str {
        media::noun(self.media_type)
    }

    pub(super) fn read(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        // Only the names of its parts tell what a ZIP archive is; the first ones may
        // not be enough.
        let is_archive = self.head.starts_with(b"PK") && !media::is_text(self.media_type);
        let parts = if is_archive { by_parts(&self.source, limits) } else { None };
        let file = Self {
            source: self.source.clone(),
            media_type: parts.unwrap_or(self.media_type),
            head: self.head.clone(),
            ..*self
        };
        let mut document = file.read_as(limits)?;
        document.warnings.splice(0..0, file.mislabelled());
        Ok(document)
    }

    fn mislabelled(&self) -> Option<String> {
        let (claimed, found) = (media::noun(self.claimed?), self.noun());
        let message =
            format!("the file is called a {claimed} but its content is of another kind; read as {found}");
        (claimed != found).then_some(message)
    }

    fn read_as(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        let max = limits.output as u64;
        // Latin text takes twice the bytes in UTF-16, four times in UTF-32.
        let wide = if media::is_binary(&self.head) { 4 } else { 1 };
        match self.media_type {
            media::PLAIN => self.text(max * wide, TextKind::Plain, limits),
            media::MARKDOWN => self.text(max * wide, TextKind::Markdown, limits),
            media::SOURCE => self.text(max * wide, TextKind::Code, limits),
            media::CSV | media::TSV => {
                let (bytes, is_cut) = self.first_lines(max * 2)?;
                table::read_csv(&bytes, self.media_type, is_cut, limits)
            }
            media::JSON | media::JSON_LINES => json::read(&self.bytes(max * 2)?, self.media_type, limits),
            #[cfg(feature = "extract-html")]
            media::HTML | media::XHTML => html::read(&self.bytes(max * 4)?, self.media_type, limits),
            #[cfg(feature = "extract-mail")]
            media::MAIL => mail::read(&self.bytes(limits.memory / 4)?, attached, limits),
            #[cfg(feature = "extract-mail")]
            media::MAILBOX => {
                let (bytes, is_cut) = self.first_lines(limits.memory / 4)?;
                mail::read_mailbox(&bytes, is_cut, attached, limits)
            }
            #[cfg(feature = "extract-mail")]
            media::MHTML => mail::read_web_archive(&self.bytes(limits.memory / 4)?, attached, limits),
            #[cfg(feature = "extract-mail")]
            media::TNEF => mail::read_tnef(&self.bytes(limits.memory / 4)?, attached, limits),
            #[cfg(feature = "extract-mail")]
            media::CALENDAR => mail::calendar::read(&self.bytes(max)?, limits),
            #[cfg(feature = "extract-pdf")]
            media::PDF => {
                too_long("PDF", self.length, limits.memory / 2)?;
                pdf::read(&self.source, limits)
            }
            media::DOCX
            | media::PPTX
            | media::XLSX
            | media::XLSB
            | media::XLS
            | media::DOC
            | media::PPT
            | media::MSG
            | media::OLE
                if self.head.starts_with(b"\xd0\xcf\x11\xe0") =>
            {
                self.old_office(limits)
            }
            #[cfg(feature = "extract-office")]
            media::DOCX => docx::read(&self.source, limits),
            #[cfg(feature = "extract-office")]
            media::PPTX => pptx::read(&self.source, limits),
            #[cfg(feature = "extract-office")]
            media::XLSX | media::XLSB | media::ODS => sheet::read(&self.source, self.media_type, limits),
            #[cfg(feature = "extract-office")]
            media::ODT | media::ODP => odf::read(&self.source, self.media_type, limits),
            #[cfg(feature = "extract-office")]
            media::RTF => rtf::read(&self.bytes(limits.memory / 4)?, limits),
            #[cfg(feature = "extract-epub")]
            media::EPUB => epub::read(&self.source, limits),
            other => Err(unsupported(other)),
        }
    }

    /// The lines in the first `max` bytes, and whether the file has more.
    fn first_lines(&self, max: u64) -> Result<(Vec<u8>, bool), ExtractError> {
        let mut bytes = self.source.bytes(max)?;
        let is_cut = self.length > max;
        if is_cut && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
            // An encoding of several bytes may have a half one of it.
            bytes.truncate(if media::is_binary(&self.head) { bytes.len() & !3 } else { end + 1 });
        }
        Ok((bytes, is_cut))
    }

    fn text(&self, max: u64, kind: TextKind, limits: &Limits) -> Result<Extracted, ExtractError> {
        let (bytes, is_cut) = self.first_lines(max)?;
        text(&bytes, self.media_type, kind, is_cut, limits)
    }

    fn bytes(&self, max: u64) -> Result<Vec<u8>, ExtractError> {
        too_long(self.noun(), self.length, max)?;
        self.source.bytes(max)
    }

    /// Reads a file of Office before 2007, or the OLE container of an encrypted newer
    /// one. The names of its streams tell which; in a damaged file they are looked for
    /// in UTF-16.
    fn old_office(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        let bytes = self.bytes(limits.memory / 4)?;
        let is_in_bytes = |stream: &str| {
            let name: Vec<u8> = stream.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
            media::find(&bytes, &name).is_some()
        };
        let [encrypted, workbook, older_workbook, message, document, presentation] =
            self.has_streams(limits).unwrap_or_else(|| OFFICE_STREAMS.map(is_in_bytes));
        if encrypted {
            let what = if self.media_type == media::OLE { "Office document" } else { self.noun() };
            return Err(error::encrypted(what));
        }
        if workbook || older_workbook {
            drop(bytes);
            return self.old_workbook(limits);
        }
        if message {
            return outlook(&bytes, limits);
        }
        if document {
            drop(bytes);
            return self.old_document(limits);
        }
        if presentation {
            drop(bytes);
            return self.old_presentation(limits);
        }
        Err(unsupported(media::OLE))
    }
}

/// The streams by which a file of Office before 2007 is known.
const OFFICE_STREAMS: [&str; 6] = [
    "EncryptedPackage",
    "Workbook",
    "Book",
    "__properties_version1.0",
    "WordDocument",
    "PowerPoint Document",
];

fn too_long(what: &str, length: u64, max: u64) -> Result<(), ExtractError> {
    if length <= max {
        return Ok(());
    }
    let (length, max) = (error::size(length), error::size(max));
    Err(error::too_large(format!("the {what} has {length}; the most that is read is {max}; split it")))
}

fn text(
    bytes: &[u8],
    media_type: &'static str,
    kind: TextKind,
    is_cut: bool,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let (text, warning) = decode::decode(bytes, None)?;
    let mut output = Output::new(limits);
    if let Some(warning) = warning {
        output.warn(warning);
    }
    if is_cut {
        output.cut_short();
    }
    let outcome = output.push(&text);
    output.keep(outcome)?;
    drop(text);
    let mut document = output.finish(media_type, kind)?;
    if kind == TextKind::Markdown
        && let Some(title) = markdown::front_matter_title(&document.text)
    {
        document.title = Some(super::line::clean_line(title));
    }
    Ok(document)
}

/// Reads a file that is attached to a message.
#[cfg(feature = "extract-mail")]
fn attached(
    name: &str,
    declared: Option<&str>,
    bytes: Vec<u8>,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let file = SourceFile::open(Source::Memory(bytes.into()), name, declared, limits)?;
    progress::aside(|| file.read(limits))
}

#[cfg(feature = "extract-mail")]
fn outlook(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    mail::read_outlook(bytes, attached, limits)
}

#[cfg(not(feature = "extract-mail"))]
fn outlook(_: &[u8], _: &Limits) -> Result<Extracted, ExtractError> {
    Err(unsupported(media::MSG))
}

/// Returns the feature that reads a format.
fn feature_of(media_type: &str) -> Option<&'static str> {
    match media_type {
        media::HTML | media::XHTML => Some("extract-html"),
        media::MAIL | media::MAILBOX | media::MHTML | media::MSG | media::TNEF | media::CALENDAR => {
            Some("extract-mail")
        }
        media::PDF => Some("extract-pdf"),
        media::DOCX
        | media::PPTX
        | media::XLSX
        | media::XLSB
        | media::XLS
        | media::DOC
        | media::PPT
        | media::RTF
        | media::ODS
        | media::ODT
        | media::ODP => Some("extract-office"),
        media::EPUB => Some("extract-epub"),
        _ => None,
    }
}

/// Without a reader of archives, the file's name and first bytes decide.
#[cfg(not(any(feature = "extract-office", feature = "extract-epub")))]
fn by_parts(_: &Source, _: &Limits) -> Option<&'static str> {
    None
}

/// Detects the format of a ZIP archive by the names of its parts.
#[cfg(any(feature = "extract-office", feature = "extract-epub"))]
fn by_parts(source: &Source, limits: &Limits) -> Option<&'static str> {
    let mut archive = Archive::open(source, "ZIP archive", limits).ok()?;
    if let Ok(Some(declared)) = archive.text("mimetype") {
        let known = [media::EPUB, media::ODS, media::ODT, media::ODP];
        if let Some(found) = known.into_iter().find(|known| declared.trim().starts_with(known)) {
            return Some(found);
        }
    }
    let parts = [
        ("word/document.xml", media::DOCX),
        ("ppt/presentation.xml", media::PPTX),
        ("xl/workbook.xml", media::XLSX),
        ("xl/workbook.bin", media::XLSB),
        ("META-INF/container.xml", media::EPUB),
    ];
    parts.into_iter().find(|(part, _)| archive.has(part)).map(|(_, found)| found)
}

fn unsupported(media_type: &str) -> ExtractError {
    let noun = media::noun(media_type);
    if let Some(feature) = feature_of(media_type) {
        return error::unsupported(format!(
            "the file is of a format ({noun}) that this program was built without: build aimate with its feature \
             `{feature}`, or upload the document as text"
        ));
    }
    let general = media_type.split('/').next().unwrap_or_default();
    error::unsupported(match (media_type, general) {
        (media::OLE, _) => {
            "the file is of an old Office program; save it in a format of today, or as PDF".to_owned()
        }
        (media::ZIP, _) | ("application/gzip" | "application/x-7z-compressed" | "application/vnd.rar", _) => {
            "the file is an archive; unpack it and upload the documents in it".to_owned()
        }
        (_, "image") => {
            "the file is a picture, which holds no text; upload a document, or a PDF with OCR".to_owned()
        }
        (_, "audio" | "video") => "the file is a recording; upload a transcript of it".to_owned(),
        _ => "the file is binary data of a kind that is not read; upload a document, a table or a text"
            .to_owned(),
    })
}

impl SourceFile {
    #[cfg(feature = "extract-office")]
    fn old_workbook(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        sheet::read(&self.source, media::XLS, limits)
    }

    #[cfg(not(feature = "extract-office"))]
    fn old_workbook(&self, _: &Limits) -> Result<Extracted, ExtractError> {
        Err(unsupported(media::XLS))
    }

    #[cfg(feature = "extract-office")]
    fn old_document(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        doc::read(&self.source, limits)
    }

    #[cfg(not(feature = "extract-office"))]
    fn old_document(&self, _: &Limits) -> Result<Extracted, ExtractError> {
        Err(unsupported(media::DOC))
    }

    #[cfg(feature = "extract-office")]
    fn old_presentation(&self, limits: &Limits) -> Result<Extracted, ExtractError> {
        ppt::read(&self.source, limits)
    }

    #[cfg(not(feature = "extract-office"))]
    fn old_presentation(&self, _: &Limits) -> Result<Extracted, ExtractError> {
        Err(unsupported(media::PPT))
    }

    /// Which of [`OFFICE_STREAMS`] stand in the file itself, not in an object within
    /// it, however their names are written; `None` where the file is damaged.
    #[cfg(feature = "extract-office")]
    fn has_streams(&self, limits: &Limits) -> Option<[bool; OFFICE_STREAMS.len()]> {
        let container = ole::OleFile::open(&self.source, "Office document", limits).ok()?;
        Some(OFFICE_STREAMS.map(|name| container.has(name)))
    }

    #[cfg(not(feature = "extract-office"))]
    fn has_streams(&self, _: &Limits) -> Option<[bool; OFFICE_STREAMS.len()]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_that_is_not_built_in_names_its_feature() {
        let failure = unsupported(media::PDF);
        assert_eq!(failure.kind, ExtractErrorKind::Unsupported);
        assert!(failure.message.contains("`extract-pdf`"), "{failure}");
    }
}
