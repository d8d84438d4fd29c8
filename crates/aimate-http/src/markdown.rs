//! `/api/v1/markdown`: Markdown as HTML that is safe to show; and the HTML of messages.

use aimate_core::Error;
use aimate_markdown::{MAX_TEXT, Renderer, TooLong, WholeBlocks, whole_blocks};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::scope::Caller;

/// Bytes of text of a list of messages that are rendered; further parts have no HTML.
const MAX_LIST: usize = 4 * MAX_TEXT;

/// A text to render.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkdownBody {
    /// Markdown, at most 1 MiB.
    text: String,
    /// Whether the text is whole; default true. Of one that is still being written, only whole
    /// blocks are rendered: what still comes does not change them.
    #[serde(default = "yes")]
    is_final: bool,
}

fn yes() -> bool {
    true
}

/// A rendered text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedMarkdown {
    /// HTML that is safe to show.
    html: String,
    /// How much of the text it is, in UTF-16 code units, as scripts of web pages count: the
    /// rest is to be sent again with what came meanwhile.
    rendered: usize,
}

/// Renders Markdown: GitHub's, with formulas as MathML and code highlighted by classes. No HTML of
/// the text, no image that loads, links that say where they lead.
#[utoipa::path(post, path = "/api/v1/markdown", tag = "messages", request_body = MarkdownBody,
    responses((status = 200, body = RenderedMarkdown)))]
pub(crate) async fn render(
    State(app): State<App>,
    Caller(_): Caller,
    Json(body): Json<MarkdownBody>,
) -> Result<Json<RenderedMarkdown>> {
    let MarkdownBody { text, is_final } = body;
    let rendered = app.rendering.run(text.len(), move |renderer| rendered(renderer, &text, is_final)).await?;
    Ok(Json(rendered.map_err(|error| Error::too_large(error.to_string()))?))
}

fn rendered(renderer: &Renderer, text: &str, is_final: bool) -> Result<RenderedMarkdown, TooLong> {
    if text.len() > MAX_TEXT {
        return Err(TooLong { bytes: text.len(), most: MAX_TEXT });
    }
    let whole = match is_final {
        true => WholeBlocks { bytes: text.len(), utf16: text.encode_utf16().count() },
        false => whole_blocks(text),
    };
    let html = renderer.render(text.get(..whole.bytes).unwrap_or_default())?;
    Ok(RenderedMarkdown { html, rendered: whole.utf16 })
}

/// Gives each part of text and of thoughts its HTML, in the list of messages that `list` names.
pub(crate) async fn with_html(app: &App, answer: impl Serialize, list: &'static str) -> Result<Json<Value>> {
    let mut answer = serde_json::to_value(answer)
        .map_err(|error| Error::internal("the response could not be serialized").with_source(error))?;
    let bytes = parts(&mut answer, list).map(|part| text(part).map_or(0, str::len)).sum();
    let answer = app.rendering.run(bytes, move |renderer| {
        let mut room = MAX_LIST;
        for part in parts(&mut answer, list) {
            let Some(text) = text(part).filter(|text| text.len() <= room) else { continue };
            room -= text.len();
            if let Ok(html) = renderer.render(text)
                && let Some(part) = part.as_object_mut()
            {
                part.insert("html".to_owned(), Value::String(html));
            }
        }
        answer
    });
    Ok(Json(answer.await?))
}

/// The parts of all messages.
fn parts<'a>(answer: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    let messages = answer.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
    messages.filter_map(|message| message.get_mut("content")?.as_array_mut()).flatten()
}

fn text(part: &Value) -> Option<&str> {
    let kind = part.get("type")?.as_str()?;
    part.get("text")?.as_str().filter(|_| matches!(kind, "text" | "reasoning"))
}
