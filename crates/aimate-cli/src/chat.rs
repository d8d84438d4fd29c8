//! `aimate chat`.

use std::io::{IsTerminal, Write};

use aimate::message::{Citation, Message, Part};
use aimate::{Answer, ChatEvent, ConversationId, Engine, Error, Result, Scope, Turn, WarningCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::config::Config;
use crate::terminal::plain;

/// What `chat` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ChatArguments {
    /// The question; `-` reads it from standard input
    prompt: Option<String>,
    /// The model, as CONNECTION/MODEL or a bare name
    #[arg(long)]
    model: Option<String>,
    /// The conversation to go on with
    #[arg(long)]
    conversation: Option<ConversationId>,
    /// A collection to answer from, by name or id; may be given several times
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    #[command(flatten)]
    config: Config,
}

/// Answers one prompt, or one line after the other.
pub(crate) async fn chat(arguments: ChatArguments) -> Result<()> {
    let (builder, _) = arguments.config.engine().await?;
    // Documents that wait are read by `ingest` and by the server.
    let engine = builder.readers(0).build().await?;
    let me = engine.local_scope().await?;
    let mut session = ChatSession {
        conversation: arguments.conversation,
        model: arguments.model,
        collections: arguments.collections,
    };
    let outcome = match arguments.prompt {
        Some(prompt) if prompt == "-" => match read_all().await {
            Ok(prompt) => session.turn(&engine, &me, prompt).await,
            Err(error) => Err(error),
        },
        Some(prompt) => session.turn(&engine, &me, prompt).await,
        None => session.talk(&engine, &me).await,
    };
    engine.drain(std::time::Duration::from_secs(5)).await;
    outcome
}

struct ChatSession {
    conversation: Option<ConversationId>,
    model: Option<String>,
    collections: Vec<String>,
}

impl ChatSession {
    async fn talk(&mut self, engine: &Engine, me: &Scope) -> Result<()> {
        let is_terminal = std::io::stdin().is_terminal();
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            if is_terminal {
                print("\n> ");
            }
            let line = tokio::select! {
                line = lines.next_line() => line.map_err(|error| Error::invalid("standard input cannot be read").with_source(error))?,
                _ = tokio::signal::ctrl_c() => None,
            };
            match line {
                None => break,
                Some(line) if line.trim().is_empty() => {}
                // One failed answer does not end the conversation.
                Some(line) => {
                    if let Err(error) = self.turn(engine, me, line).await {
                        eprintln!("aimate: {error}");
                    }
                }
            }
        }
        if let Some(id) = self.conversation {
            eprintln!("\ngo on with: aimate chat --conversation {id}");
        }
        Ok(())
    }

    async fn turn(&mut self, engine: &Engine, me: &Scope, prompt: String) -> Result<()> {
        let mut turn = Turn::new(prompt);
        turn.conversation = self.conversation;
        turn.model.clone_from(&self.model);
        if !self.collections.is_empty() {
            turn = turn.knowledge(self.collections.iter().cloned());
        }
        let mut answer = engine.chat(me, turn).await?;
        self.conversation = Some(answer.conversation_id());
        follow(engine, me, &mut answer).await
    }
}

/// Prints the answer as it comes; Ctrl-C stops it.
async fn follow(engine: &Engine, me: &Scope, answer: &mut Answer) -> Result<()> {
    let mut cancelled = false;
    loop {
        let event = tokio::select! {
            event = answer.next() => event,
            _ = tokio::signal::ctrl_c(), if !cancelled => {
                cancelled = true;
                engine.runs(me).cancel(answer.run_id()).await?;
                continue;
            }
        };
        match event {
            Some(ChatEvent::Text { text }) => print(&text),
            // They are marked among the sources.
            Some(ChatEvent::Warning { code: WarningCode::QuoteNotFound, .. }) => {}
            Some(ChatEvent::Warning { detail, .. }) => eprintln!("\n(note: {detail})"),
            Some(ChatEvent::Error { code, detail, .. }) => return Err(Error::new(code, detail)),
            Some(ChatEvent::Finished(finished)) => {
                print(&format!("\n{}", sources(&finished.message)));
                return Ok(());
            }
            None => {
                print("\n");
                return Ok(());
            }
            Some(_) => {}
        }
    }
}

/// The passages that an answer cites, a line each; what it quotes of one without
/// standing in it is marked.
fn sources(answer: &Message) -> String {
    let mut lines = String::new();
    for part in &answer.content {
        let Part::Citation(Citation { n, title, page, quotes, .. }) = part else { continue };
        let page = page.map(|page| format!(", page {page}")).unwrap_or_default();
        lines.push_str(&format!("\n[{n}] {}{page}\n", plain(title)));
        for quote in quotes.iter().filter(|quote| !quote.found) {
            lines.push_str(&format!("    not found there: “{}”\n", plain(&quote.text)));
        }
    }
    lines.replace("\n\n[", "\n[")
}

async fn read_all() -> Result<String> {
    let mut text = String::new();
    tokio::io::stdin()
        .read_to_string(&mut text)
        .await
        .map_err(|error| Error::invalid("standard input is not UTF-8 text").with_source(error))?;
    Ok(text)
}

fn print(text: &str) {
    print!("{text}");
    // A closed pipe ends the process at the next write.
    let _ = std::io::stdout().flush();
}
