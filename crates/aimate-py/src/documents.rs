//! Adding documents to collections.

use std::collections::HashMap;

use aimate::knowledge::NewDocument;
use aimate::{DocumentId, Engine, Error, Scope};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use futures_util::{FutureExt, future};
use http::Method;
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde::Deserialize;
use serde_json::Value;

use crate::convert;
use crate::door::{Answered, Asked, Door, Knock};
use crate::fault::{Fault, Result, bug};
use crate::outcome::Outcome;

/// Documents that are stored beside each other: enough for the database to store them
/// together, and for the embedder to be given several.
const BESIDE: usize = 16;

/// The fields of a new document, without its content.
pub(crate) fn new_document(new: &Bound<'_, PyAny>) -> PyResult<NewDocument> {
    let fields = convert::value(new, "document")?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut document = NewDocument::new(text("name").unwrap_or_default());
    document.media_type = text("media_type");
    document.source = text("source");
    document.metadata = fields.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(document)
}

/// Adds bytes to a collection, which is made if there is none.
pub(crate) async fn add(
    engine: Engine,
    scope: Scope,
    collection: &str,
    new: NewDocument,
    bytes: BoxStream<'static, aimate::Result<Bytes>>,
) -> Result<Outcome> {
    let knowledge = engine.knowledge(&scope);
    let collection = knowledge.collection_or_new(collection).await?;
    Outcome::of(&knowledge.add(collection.id, new, bytes).await?)
}

/// A document as the HTTP API answers.
#[derive(Deserialize)]
struct Added {
    id: DocumentId,
}

/// Sends bodies of the HTTP API to a collection, and waits, if it is asked to, until each
/// document is read. The outcome is a list of `(document, exception)`, one of both `None`.
pub(crate) async fn add_all(
    engine: Engine,
    door: Door,
    scope: Scope,
    collection: String,
    bodies: Vec<Value>,
    wait: bool,
) -> Result<Outcome> {
    let path = format!("/api/v1/knowledge/collections/{collection}/documents");
    let ask = |body: Value| {
        let body = Some(body.to_string().into_bytes());
        let asked = Asked { method: Method::POST, path: path.clone(), body };
        door.ask(asked, future::ready(Ok(scope)).boxed())
    };
    let knocks: Vec<Knock> = bodies.into_iter().map(ask).collect();
    let mut answers: Vec<Result<Bytes>> = stream::iter(knocks).buffered(BESIDE).map(body_of).collect().await;
    if wait {
        answers = ended(&engine, &scope, answers).await?;
    }
    Ok(Outcome::Made(Box::new(move |py| {
        let all = PyList::empty(py);
        for answer in answers {
            let pair = match answer {
                Ok(json) => (convert::object(py, &json)?.unbind(), py.None()),
                Err(fault) => (py.None(), fault.into_error(py).into_value(py).into_any()),
            };
            all.append(pair)?;
        }
        Ok(all.into_any().unbind())
    })))
}

fn body_of(answered: Result<Answered>) -> Result<Bytes> {
    match answered? {
        Answered::Whole(Outcome::Json(json)) => Ok(json),
        _ => Err(bug()),
    }
}

/// The documents as they are once they are read.
async fn ended(engine: &Engine, scope: &Scope, answers: Vec<Result<Bytes>>) -> Result<Vec<Result<Bytes>>> {
    let added: Vec<Result<DocumentId>> = answers
        .into_iter()
        .map(|answer| serde_json::from_slice::<Added>(&answer?).map(|added| added.id).map_err(|_| bug()))
        .collect();
    let ids: Vec<DocumentId> = added.iter().filter_map(|added| added.as_ref().ok().copied()).collect();
    let ended = engine.knowledge(scope).wait_for_all(&ids).await?;
    let mut ended: HashMap<_, _> = ids.into_iter().zip(ended).collect();
    let read = added.into_iter().map(|added| {
        let document = ended
            .remove(&added?)
            .flatten()
            .ok_or_else(|| Fault::Engine(Error::not_found("the document was deleted before it was read")))?;
        serde_json::to_vec(&document).map(Bytes::from).map_err(|_| bug())
    });
    Ok(read.collect())
}
