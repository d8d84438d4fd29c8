//! What a text relies on, in OpenAI's form.

use aimate_core::citation_places;
use aimate_core::message::Citation;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::file::FILE;
use super::super::wire_id;

/// A place in a text, and what it relies on.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Annotation {
    /// A file.
    FileCitation {
        /// The file.
        file_id: String,
        /// Its name.
        filename: String,
        /// The character of the text after which the citation stands.
        index: u64,
    },
    /// A page of the web.
    UrlCitation {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
        /// The first character of the mark in the text.
        start_index: u64,
        /// The character after its last.
        end_index: u64,
    },
}

/// The citations in a text, in the order in which they stand there.
pub(crate) fn annotations(text: &str, citations: &[&Citation]) -> Vec<Annotation> {
    if citations.is_empty() {
        return Vec::new();
    }
    let numbers: Vec<u32> = citations.iter().map(|citation| citation.n).collect();
    let places = citation_places(text, &numbers);
    let annotation = |(n, place): (u32, std::ops::Range<u64>)| {
        let citation = citations.iter().find(|citation| citation.n == n)?;
        Some(match (&citation.document_id, &citation.url) {
            (None, Some(url)) => Annotation::UrlCitation {
                url: url.clone(),
                title: citation.title.clone(),
                start_index: place.start,
                end_index: place.end,
            },
            _ => Annotation::FileCitation {
                file_id: file_id(citation),
                filename: citation.title.clone(),
                index: place.start,
            },
        })
    };
    places.into_iter().filter_map(annotation).collect()
}

/// The id of the file that is cited: the one that its document was attached from, or the document's
/// own; or the application's own key.
pub(crate) fn file_id(citation: &Citation) -> String {
    let file = citation.file_id.map(|file| file.0).or_else(|| Some(citation.document_id?.0));
    match file {
        Some(file) => wire_id::write(FILE, file),
        None => citation.source.clone().unwrap_or_default(),
    }
}
