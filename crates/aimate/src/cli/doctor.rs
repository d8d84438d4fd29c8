//! `aimate doctor`.

use std::process::ExitCode;

use aimate::providers::{self, Transport};
use aimate::{Engine, Result};

use super::config::Config;
use super::find::find;

/// Checks everything the server needs, says what is wrong and what to do.
pub(crate) async fn doctor(config: &Config) -> Result<ExitCode> {
    let mut report = Report { problems: 0 };
    let store = match config.connect(false).await {
        Ok(store) => Some(store),
        Err(error) => {
            report.problem("database", &error.to_string());
            None
        }
    };
    if let Some(store) = &store {
        database(&mut report, store).await;
    }
    match config.keys() {
        Ok(keys) => report.fine("keys", &format!("encryption keys {keys:?} are ready")),
        Err(error) => report.problem("keys", &error.to_string()),
    }
    let transport = config.transport()?;
    let found = find(&transport).await?;
    if found.is_empty() {
        report.note(
            "models",
            "no model server found: start Ollama, or set OPENAI_API_KEY or OPENROUTER_API_KEY",
        );
    }
    for found in found {
        report.fine("models", &found.told);
    }
    if let Some(store) = store
        && report.problems == 0
    {
        connections(&mut report, &store, config, &transport).await?;
    }
    if report.problems == 0 {
        println!("all is well");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} to mend", report.problems);
    Ok(ExitCode::FAILURE)
}

async fn database(report: &mut Report, store: &aimate::store::Store) {
    match store.info().await {
        Ok(info) => {
            report.fine("database", &format!("{:?} {} at {}", info.kind, info.version, info.address));
            info.warnings.iter().for_each(|warning| report.note("database", warning));
        }
        Err(error) => report.problem("database", &error.to_string()),
    }
    match store.migrate().await {
        Ok(applied) if applied.is_empty() => report.fine("schema", "up to date"),
        Ok(applied) => report.fine("schema", &format!("brought up to date by {}", applied.join(", "))),
        Err(error) => report.problem("schema", &error.to_string()),
    }
}

/// Asks the server of every stored connection for its models.
async fn connections(
    report: &mut Report,
    store: &aimate::store::Store,
    config: &Config,
    transport: &Transport,
) -> Result<()> {
    let engine = Engine::builder()
        .store(store.clone())
        .providers(providers::with(transport))
        .keys(config.keys()?)
        .build()
        .await?;
    let me = engine.local_scope().await?;
    for connection in engine.connections(&me).list(aimate::PageRequest::default()).await?.data {
        if !connection.is_enabled || connection.is_shared {
            continue;
        }
        let test = engine.connections(&me).test(connection.id).await?;
        match test.error {
            None => report.fine(&connection.name, &format!("{} models", test.models.len())),
            Some(error) => report.problem(&connection.name, &error),
        }
    }
    engine.drain(std::time::Duration::ZERO).await;
    Ok(())
}

struct Report {
    problems: u32,
}

impl Report {
    fn fine(&self, about: &str, text: &str) {
        println!("ok       {about}: {text}");
    }

    fn note(&self, about: &str, text: &str) {
        println!("note     {about}: {text}");
    }

    fn problem(&mut self, about: &str, text: &str) {
        self.problems += 1;
        println!("PROBLEM  {about}: {text}");
    }
}
