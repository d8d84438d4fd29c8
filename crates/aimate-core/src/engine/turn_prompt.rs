//! The prompt of a turn, and how many tokens it has.

use aimate_text::tokens::Tokenizer;

use super::Engine;
use super::resolve::ResolvedModel;
use crate::chat::Turn;
use crate::chat::context::{self, Context, PromptBudget, PromptInputs};
use crate::chat::tool_loop::ParkedTurn;
use crate::conversation::Conversation;
use crate::error::{ErrorKind, Result};
use crate::message::Message;
use crate::prompt::Prompt;
use crate::provider::ToolSpec;
use crate::scope::Scope;

/// The branch a turn continues.
pub(super) struct Branch {
    pub(super) conversation: Conversation,
    /// Whether the turn creates it.
    pub(super) is_new: bool,
    pub(super) prompts: Vec<Prompt>,
    /// Its messages, oldest first; the turn's own join them at the end.
    pub(super) path: Vec<Message>,
}

/// The budget of a window, or of one that is not known.
pub(super) fn budget(window: Option<u32>, max_tokens: Option<u32>) -> PromptBudget {
    window.map_or_else(|| PromptBudget::unknown(max_tokens), |window| PromptBudget::new(window, max_tokens))
}

/// What the prompt of a turn is made of.
pub(super) struct TurnPrompt<'a> {
    /// With the turn's own messages at the end of its path.
    pub(super) branch: &'a Branch,
    /// How many they are.
    pub(super) new: usize,
    pub(super) target: &'a ResolvedModel,
    pub(super) turn: &'a ParkedTurn,
    /// What the model is told of tools, and the tokens of it.
    pub(super) tools: &'a (Vec<ToolSpec>, u32),
}

impl Engine {
    /// How many tokens the prompt of a turn would have: the instructions, the tools, what of
    /// the conversation fits, the new messages; without passages that are looked for. By the
    /// model's own tokenizer where it is known, else an estimate. Nothing is stored and no
    /// model is asked.
    ///
    /// # Errors
    /// As for [`Engine::chat`], but `ContextOverflow`.
    pub async fn count_prompt_tokens(&self, scope: &Scope, turn: Turn) -> Result<u64> {
        self.admit(scope).await?;
        let mut turn = turn.validated()?;
        let named = match &turn.model {
            Some(model) => Some(self.resolve_model(scope, Some(model)).await?),
            None => None,
        };
        let (mut branch, target) = self.branch(scope, &turn, named).await?;
        let tokenizer = Tokenizer::for_model(&target.model_id);
        let (toolbox, _) = self.toolbox(scope, &turn.use_tools, &turn.tool_servers, &turn.tools).await?;
        let new = self.new_messages(&branch, &turn, tokenizer).await?;
        let count = new.len();
        branch.path.extend(new);
        let budget = budget(target.window(), turn.sampling.max_tokens);
        let parked = ParkedTurn::taken_of(&mut turn);
        let tools = toolbox.offer(tokenizer, &parked.tools);
        let prompt =
            TurnPrompt { branch: &branch, new: count, target: &target, turn: &parked, tools: &tools };
        match self.turn_prompt(&prompt, tokenizer, budget) {
            // It is too long; how long, is what is asked.
            Err(error) if error.kind() == ErrorKind::ContextOverflow => {
                let parked = ParkedTurn { truncation: crate::chat::Truncation::Auto, ..parked.clone() };
                let prompt = TurnPrompt { turn: &parked, ..prompt };
                Ok(self.turn_prompt(&prompt, tokenizer, PromptBudget::unknown(Some(0)))?.tokens)
            }
            prompt => Ok(prompt?.tokens),
        }
    }

    /// Builds the prompt.
    ///
    /// # Errors
    /// `ContextOverflow`; see [`context::build`].
    pub(super) fn turn_prompt(
        &self,
        prompt: &TurnPrompt<'_>,
        tokenizer: Tokenizer,
        budget: PromptBudget,
    ) -> Result<Context> {
        let TurnPrompt { branch, new, target, turn, tools: (specs, tool_tokens) } = prompt;
        let own = turn.system_prompt.as_deref();
        let (engine, prompts, system) = if turn.own_prompts_only {
            (None, [].as_slice(), own)
        } else {
            let system = own.or(branch.conversation.system_prompt.as_deref());
            (self.inner.system_prompt.as_deref(), branch.prompts.as_slice(), system)
        };
        let inputs = PromptInputs {
            engine,
            prompts,
            conversation: system,
            path: &branch.path,
            // The question that is answered again always goes in.
            new: (*new).max(1),
            connection: &target.connection.name,
            sees_pictures: target.sees_pictures(),
            tools: specs,
            tool_tokens: *tool_tokens,
            truncation: turn.truncation,
        };
        context::build(&inputs, tokenizer, budget)
    }
}
