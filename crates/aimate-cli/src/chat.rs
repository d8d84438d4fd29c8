//! `aimate chat`.

use std::io::IsTerminal;

use aimate::limit;
use aimate::message::{Citation, Message, Part};
use aimate::{Answer, ChatEvent, ConversationId, Engine, Error, Result, Scope, Turn, WarningCode};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::config::Config;
use crate::terminal::{complain, plain, print};

/// What `chat` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ChatArguments {
    /// The question. What is piped into the command stands before it; `-` is that alone
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

/// Answers one prompt or, on a terminal, one line after the other.
pub(crate) async fn chat(arguments: ChatArguments) -> Result<()> {
    let prompt = prompt(arguments.prompt).await?;
    let (builder, _) = arguments.config.engine().await?;
    // Documents that wait are read by `ingest` and by the server.
    let engine = builder.readers(0).build().await?;
    let me = engine.local_scope().await?;
    let mut session = ChatSession {
        conversation: arguments.conversation,
        model: arguments.model,
        collections: arguments.collections,
    };
    let outcome = match prompt {
        Some(prompt) => session.turn(&engine, &me, prompt).await,
        None => session.talk(&engine, &me).await,
    };
    engine.drain(std::time::Duration::from_secs(5)).await;
    outcome
}

/// The one prompt to answer: what is piped in, before what was asked on the command
/// line. `None` where a person types line by line.
async fn prompt(asked: Option<String>) -> Result<Option<String>> {
    let asked = asked.filter(|asked| asked != "-");
    if std::io::stdin().is_terminal() {
        return Ok(asked);
    }
    let piped = read_all(tokio::io::stdin()).await?;
    joined(&piped, asked.as_deref()).map(Some)
}

fn joined(piped: &str, asked: Option<&str>) -> Result<String> {
    match (piped.trim(), asked) {
        ("", None) => Err(Error::invalid("there is no prompt: standard input is empty, and none was given")),
        ("", Some(asked)) => Ok(asked.to_owned()),
        (_, None) => Ok(piped.to_owned()),
        (_, Some(asked)) => Ok(format!("{}\n\n{asked}", piped.trim_end())),
    }
}

struct ChatSession {
    conversation: Option<ConversationId>,
    model: Option<String>,
    collections: Vec<String>,
}

impl ChatSession {
    async fn talk(&mut self, engine: &Engine, me: &Scope) -> Result<()> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            if print("\n> ").is_err() {
                break;
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
                        complain(&error);
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

/// Prints the answer as it comes; Ctrl-C stops it, and so does whoever closes the
/// pipe that it is printed to.
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
        let (text, is_last) = match event {
            Some(ChatEvent::Text { text }) => (text, false),
            // They are marked among the sources.
            Some(ChatEvent::Warning { code: WarningCode::QuoteNotFound, .. }) => continue,
            Some(ChatEvent::Warning { detail, .. }) => {
                eprintln!("\n(note: {})", plain(&detail));
                continue;
            }
            Some(ChatEvent::Error { code, detail, .. }) => return Err(Error::new(code, detail)),
            Some(ChatEvent::Finished(finished)) => (format!("\n{}", sources(&finished.message)), true),
            None => ("\n".to_owned(), true),
            Some(_) => continue,
        };
        if let Err(error) = print(&text) {
            engine.runs(me).cancel(answer.run_id()).await?;
            return unwritten(error);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// A pipe that was closed is how `head` says that it has enough.
fn unwritten(error: std::io::Error) -> Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    let what = format!("the answer cannot be written: {}", error.kind());
    Err(Error::unavailable(what).with_source(error))
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

/// All of `input`: at most what a message may hold.
async fn read_all(input: impl AsyncRead + Unpin) -> Result<String> {
    let mut bytes = Vec::new();
    let read = input.take(limit::MESSAGE as u64 + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| Error::invalid("standard input cannot be read").with_source(error))?;
    if bytes.len() > limit::MESSAGE {
        return Err(Error::too_large(format!(
            "standard input is longer than {} bytes, the most that a message has; `aimate ingest` reads longer texts",
            limit::MESSAGE
        )));
    }
    String::from_utf8(bytes)
        .map_err(|error| Error::invalid("standard input is not UTF-8 text").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_piped_in_stands_before_what_is_asked() {
        assert_eq!(joined("a\nb\n", Some("Sum up.")).unwrap(), "a\nb\n\nSum up.");
        assert_eq!(joined("a\n\nb\n", None).unwrap(), "a\n\nb\n");
        assert_eq!(joined(" \n", Some("Hello")).unwrap(), "Hello");
        assert!(joined("\n", None).is_err());
    }

    #[tokio::test]
    async fn endless_input_is_refused() {
        let error = read_all(tokio::io::repeat(b'x')).await.unwrap_err();
        assert_eq!(error.kind(), aimate::ErrorKind::TooLarge);
        assert_eq!(read_all(&b"a\xc3\xa9"[..]).await.unwrap(), "aé");
        assert!(read_all(&b"\xff"[..]).await.is_err());
    }
}
