//! `aimate doctor`.

mod knowledge;

use aimate::audit::AuditHead;
use aimate::providers;
use aimate::sealing::SecretKind;
use aimate::tool::ToolState;
use aimate::{Engine, PageRequest, Result, Scope};

use crate::config::{Config, with_tools};
use crate::embedder::Embedders;
use crate::exit_code::ExitCode;
use crate::find::{FoundServer, find};
use crate::terminal::{counted, plain, say};
use crate::tool::all_servers;

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// Remove what is left over: rows and files that nothing needs
    #[arg(long)]
    repair: bool,
    /// Look whether the audit logs are those that were written
    #[arg(long)]
    audit: bool,
    /// With `--audit`: the newest record as it was told before, which must still be there
    #[arg(long, value_name = "NUMBER:HASH", requires = "audit")]
    audit_head: Option<AuditHead>,
    #[command(flatten)]
    config: Config,
}

/// Checks everything the server needs, says what is wrong and what to do.
pub(crate) async fn doctor(arguments: &DoctorArguments) -> Result<ExitCode> {
    let config = &arguments.config;
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
    let keys = match &store {
        Some(store) => config.keys(store).await,
        None => Err(aimate::Error::unavailable("they are looked at once the database answers")),
    };
    match keys {
        Ok(keys) => report.fine("keys", &format!("encryption keys {keys:?} are ready")),
        Err(error) => report.problem("keys", &error.to_string()),
    }
    let found = models(&mut report, config).await?;
    let embedders = knowledge::embedder(&mut report, &config.embedding, &config.data_dir).await;
    knowledge::reranker(&mut report, &config.transport()?, &config.data_dir).await;
    if let Some(store) = store
        && report.problems == 0
    {
        stored(&mut report, arguments, &store, found, embedders).await?;
    }
    if report.problems == 0 {
        say("all is well");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{} to mend", report.problems));
    Ok(ExitCode::FAILURE)
}

async fn database(report: &mut Report, store: &aimate::store::Store) {
    match store.info().await {
        Ok(info) => {
            let vector =
                info.pgvector.map_or_else(String::new, |version| format!(" with pgvector {version}"));
            let is = format!("{:?} {}{vector} at {}", info.kind, info.version, info.address);
            report.fine("database", &is);
            if info.is_pooled {
                report.fine("pooler", "each transaction may have another session of the server");
            }
            if let Some(mode) = info.plan_mode.filter(|mode| *mode == "auto") {
                report.fine(
                    "cluster",
                    &format!("the tables are spread by Citus; statements are planned `{mode}`"),
                );
            }
            info.warnings.iter().for_each(|warning| report.note("database", warning));
        }
        Err(error) => report.problem("database", &error.to_string()),
    }
    match store.damage().await {
        Ok(damage) if damage.is_empty() => report.fine("pages", "the database's file is sound"),
        Ok(damage) => damage.iter().for_each(|damage| {
            let what =
                format!("the database's file is damaged ({damage}): bring back a backup (`aimate restore`)");
            report.problem("pages", &what);
        }),
        Err(error) => report.problem("pages", &error.to_string()),
    }
    match store.migrate().await {
        Ok(applied) if applied.is_empty() => report.fine("schema", "up to date"),
        Ok(applied) => report.fine("schema", &format!("brought up to date by {}", applied.join(", "))),
        Err(error) => report.problem("schema", &error.to_string()),
    }
}

/// The model servers that are found without the database.
async fn models(report: &mut Report, config: &Config) -> Result<Vec<FoundServer>> {
    let found = find(&config.transport()?).await?;
    if found.is_empty() {
        report.note(
            "models",
            "no model server found: start Ollama, or set OPENAI_API_KEY or OPENROUTER_API_KEY",
        );
    }
    for found in &found {
        report.fine("models", &found.told);
    }
    Ok(found)
}

/// Checks what is in the database.
async fn stored(
    report: &mut Report,
    arguments: &DoctorArguments,
    store: &aimate::store::Store,
    found: Vec<FoundServer>,
    embedders: Option<Embedders>,
) -> Result<()> {
    let transport = arguments.config.transport()?;
    let mut builder = Engine::builder()
        .store(store.clone())
        .providers(providers::with(&transport))
        .connection(providers::builtin())
        .keys(arguments.config.keys(store).await?)
        .readers(0);
    for FoundServer { connection, .. } in found {
        builder = builder.connection(connection);
    }
    let local = embedders.as_ref().and_then(|embedders| embedders.local.as_ref());
    let local = local.map(|local| local.model().clone());
    if let Some(embedders) = embedders {
        builder = embedders.join(builder);
    }
    match arguments.config.tool_servers() {
        Ok(servers) => builder = with_tools(builder, &transport, servers),
        Err(error) => report.problem("tools", &error.to_string()),
    }
    let engine = builder.build().await?;
    let me = engine.local_scope().await?;
    let outcome = async {
        sealed(report, &engine, &store.stores()).await?;
        connections(report, &engine, &me).await?;
        tool_servers(report, &engine, &me).await?;
        knowledge::remote_embedder(report, &engine, &me, &arguments.config.embedding).await;
        knowledge::documents(report, &engine.knowledge(&me), local.as_ref()).await?;
        knowledge::bytes(report, &store.stores()).await?;
        if arguments.audit {
            audit(report, &engine, &me, arguments.audit_head).await?;
        }
        knowledge::left_over(report, &store.stores(), arguments.repair).await
    };
    let outcome = Box::pin(outcome).await;
    engine.drain(std::time::Duration::ZERO).await;
    outcome
}

/// Secrets of all tenants that no configured key opens.
async fn sealed(report: &mut Report, engine: &Engine, stores: &aimate::Stores) -> Result<()> {
    for state in engine.key_states().await? {
        if state.is_configured {
            continue;
        }
        let mut names = Vec::new();
        for kind in SecretKind::ALL {
            let some = stores.secrets.sealed_with(kind, state.key_id, None, 5).await?;
            names.extend(some.iter().map(|stored| format!("{} `{}`", kind.place().0, plain(&stored.name))));
        }
        let what = format!(
            "{} sealed with encryption key {}, which is not configured, such as {}: put the key back into \
             AIMATE_KEYS, or enter them again",
            counted(state.secrets, "secret"),
            state.key_id,
            names.join(", ")
        );
        report.problem("keys", &what);
    }
    Ok(())
}

/// Asks the server of every stored connection for its models.
async fn connections(report: &mut Report, engine: &Engine, me: &Scope) -> Result<()> {
    for connection in engine.connections(me).list(aimate::PageRequest::default()).await?.data {
        if !connection.is_enabled || connection.is_shared {
            continue;
        }
        let test = engine.connections(me).test(connection.id).await?;
        match test.error {
            None => report.fine(&connection.name, &format!("{} models", test.models.len())),
            Some(error) => report.problem(&connection.name, &error),
        }
    }
    Ok(())
}

/// Connects to every tool server and reads its tools.
async fn tool_servers(report: &mut Report, engine: &Engine, me: &Scope) -> Result<()> {
    let servers = engine.tool_servers(me);
    for server in all_servers(&servers).await?.into_iter().filter(|server| server.is_enabled) {
        let about = format!("tool server {}", plain(&server.name));
        let test = servers.test(server.id).await?;
        match &test.error {
            None => report.fine(&about, &counted(test.tools.len() as u64, "tool")),
            Some(error) => report.problem(&about, &plain(error)),
        }
        let waiting = test.tools.iter().filter(|tool| tool.state != ToolState::Approved).count() as u64;
        if waiting > 0 {
            let what = format!(
                "{} not offered, because nobody approved it as it is now: see `aimate tools test`",
                counted(waiting, "tool")
            );
            report.note(&about, &what);
        }
        test.problems.iter().for_each(|problem| report.note(&about, &plain(problem)));
    }
    Ok(())
}

/// Looks at the chain of every tenant's audit log. `noted` is a head of this server's own.
async fn audit(report: &mut Report, engine: &Engine, me: &Scope, noted: Option<AuditHead>) -> Result<()> {
    let tenants = engine.tenants();
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let found = tenants.list(page).await?;
        for tenant in found.data {
            let noted = noted.filter(|_| tenant.id == me.tenant);
            let chain = tenants.verify_audit(tenant.id, noted).await?;
            let name = tenant.key.unwrap_or_else(|| tenant.id.to_string());
            match chain.fault {
                None => {
                    let what = format!(
                        "{} records of {}, whole; the newest is {}",
                        chain.records,
                        plain(&name),
                        chain.head
                    );
                    report.fine("audit", &what);
                }
                Some(fault) => {
                    report.problem(
                        "audit",
                        &format!("the log of {} is not the one that was written: {fault}", plain(&name)),
                    );
                }
            }
        }
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(()),
        }
    }
}

struct Report {
    problems: u32,
}

impl Report {
    fn fine(&self, about: &str, text: &str) {
        say(&format!("ok       {about}: {text}"));
    }

    fn note(&self, about: &str, text: &str) {
        say(&format!("note     {about}: {text}"));
    }

    fn problem(&mut self, about: &str, text: &str) {
        self.problems += 1;
        say(&format!("PROBLEM  {about}: {text}"));
    }
}
