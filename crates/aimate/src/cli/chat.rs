//! `aimate chat`.

use std::io::{IsTerminal, Write};

use aimate::{Answer, ChatEvent, ConversationId, Engine, Error, Result, Scope, Turn};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::config::Config;
use super::find::find;

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
    #[command(flatten)]
    config: Config,
}

/// Answers one prompt, or one line after the other.
pub(crate) async fn chat(arguments: ChatArguments) -> Result<()> {
    let transport = arguments.config.transport()?;
    let mut builder = arguments.config.engine(&transport).await?;
    for found in find(&transport).await? {
        builder = builder.connection(found.connection);
    }
    let engine = builder.build().await?;
    let me = engine.local_scope().await?;
    let mut session = Session { conversation: arguments.conversation, model: arguments.model };
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

struct Session {
    conversation: Option<ConversationId>,
    model: Option<String>,
}

impl Session {
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
            Some(ChatEvent::Warning { detail, .. }) => eprintln!("\n(note: {detail})"),
            Some(ChatEvent::Error { code, detail, .. }) => {
                let kind = aimate::ErrorKind::from_code(&code).unwrap_or(aimate::ErrorKind::Internal);
                return Err(Error::new(kind, detail));
            }
            Some(ChatEvent::Finished(_)) | None => {
                print("\n");
                return Ok(());
            }
            Some(_) => {}
        }
    }
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
