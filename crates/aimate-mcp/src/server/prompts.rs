//! The prompts of the library.

use aimate_core::prompt::Prompt as StoredPrompt;
use aimate_core::{Engine, PageRequest, PromptId, Scope};
use rmcp::model::{ErrorData, GetPromptResult, ListPromptsResult, Prompt, PromptMessage, Role};

use super::error::request_failure;

/// Characters of a title that stand in a prompt's name.
const MAX_SLUG: usize = 40;
/// Characters of an id.
const ID: usize = 36;

/// One page of the user's prompts and the shared ones.
pub(super) async fn list(
    engine: &Engine,
    scope: &Scope,
    page: PageRequest,
) -> Result<ListPromptsResult, ErrorData> {
    let page = engine.prompts(scope).list(None, page).await.map_err(|error| request_failure(&error))?;
    let prompts = page.data.iter().map(|prompt| {
        Prompt::new(name(prompt), Some(first_line(&prompt.content)), None).with_title(&prompt.title)
    });
    let mut list = ListPromptsResult::with_all_items(prompts.collect());
    list.next_cursor = page.next.map(|cursor| cursor.encode());
    Ok(list)
}

/// The prompt of this name, as what the user says.
pub(super) async fn get(engine: &Engine, scope: &Scope, name: &str) -> Result<GetPromptResult, ErrorData> {
    let missing =
        || ErrorData::invalid_params("there is no prompt of this name; `prompts/list` has all", None);
    let id = name.len().checked_sub(ID).and_then(|at| name.get(at..));
    let id: PromptId = id.and_then(|id| id.parse().ok()).ok_or_else(missing)?;
    let prompt = engine.prompts(scope).get(id).await.map_err(|error| match error.kind() {
        aimate_core::ErrorKind::NotFound => missing(),
        _ => request_failure(&error),
    })?;
    let message = PromptMessage::new_text(Role::User, prompt.content);
    Ok(GetPromptResult::new(vec![message]).with_description(prompt.title))
}

/// What a prompt is called: clients show it, and ask by it. Its id makes it the only one, and
/// its title, which may change, makes it readable.
fn name(prompt: &StoredPrompt) -> String {
    let words = prompt.title.to_lowercase();
    let words = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").chars().take(MAX_SLUG).collect();
    match slug.is_empty() {
        true => prompt.id.to_string(),
        false => format!("{slug}-{}", prompt.id),
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(200).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}
