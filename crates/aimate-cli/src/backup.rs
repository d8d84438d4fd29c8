//! `aimate backup` and `aimate restore`.

use std::path::PathBuf;

use aimate::store::{Backup, RestoreTarget};
use aimate::{Error, Result};

use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::terminal::{counted, plain, say};

/// What `backup` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArguments {
    /// The file to write; there must be none yet
    file: PathBuf,
    /// Leave the encryption key out: without it, the API keys of connections cannot be opened
    #[arg(long)]
    without_key: bool,
    #[command(flatten)]
    config: Config,
}

/// What `restore` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArguments {
    /// The file that `aimate backup` has written
    file: PathBuf,
    /// Put aside what is in the data folder, under names that end with `.replaced-` and the time
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    config: Config,
}

/// Writes everything into one file, while a server may go on.
pub(crate) async fn backup(arguments: BackupArguments) -> Result<ExitCode> {
    let config = &arguments.config;
    let Some(database) = config.database_file() else {
        return Err(Error::unsupported(elsewhere(config)));
    };
    if !database.exists() {
        return Err(Error::not_found(format!(
            "there is no database {}; name its folder with `--data-dir`",
            database.display()
        )));
    }
    let (keys, about_keys) = keys(config, arguments.without_key)?;
    let store = config.connect(false).await?;
    let written = store.backup(&arguments.file, keys.as_deref()).await;
    store.close().await;
    let written = written?;
    say(&format!("{}: {}", arguments.file.display(), told(&written)));
    say(&about_keys);
    Ok(end(&written))
}

/// Brings a backup back into the data folder.
pub(crate) async fn restore(arguments: RestoreArguments) -> Result<ExitCode> {
    let config = &arguments.config;
    let Some(database) = config.database_file() else {
        return Err(Error::unsupported(
            "a backup goes into a SQLite file; a PostgreSQL database is brought back by `pg_restore`, and the folder \
             of documents by copying it",
        ));
    };
    let target = RestoreTarget {
        database,
        blobs: config.blobs(),
        keys: config.key_path(),
        replace: arguments.replace,
    };
    let restored = aimate::store::restore(&arguments.file, &target).await?;
    say(&format!("{}: {}", target.database.display(), told(&restored)));
    if !restored.has_keys {
        say(&format!(
            "The encryption key is not in the backup: put it at {}, or name it in AIMATE_KEYS, before the server \
             starts.",
            target.keys.display()
        ));
    }
    Ok(end(&restored))
}

/// How a PostgreSQL database is backed up.
fn elsewhere(config: &Config) -> String {
    let data = config.data_dir.display();
    format!(
        "this is not a SQLite file. PostgreSQL is backed up by its own tools, in this order:\n  \
         pg_dump --format=custom --no-owner --file=aimate.dump \"$DATABASE_URL\"\n  \
         cp -a {data}/blobs {data}/encryption.key BACKUP/\n\
         and brought back by `pg_restore --no-owner --dbname=\"$DATABASE_URL\" aimate.dump` and by copying the rest. \
         The bytes are copied after the dump: then those of every document in it that nobody deletes meanwhile are \
         there, and `aimate doctor` names the others"
    )
}

/// The keys that go into the backup, and what to tell of them.
fn keys(config: &Config, without: bool) -> Result<(Option<String>, String)> {
    if let Some(name) = Config::environment_keys() {
        return Ok((None, format!("The encryption keys are those of {name} and not in it: keep them too.")));
    }
    let path = config.key_path();
    if without {
        let told = format!("The encryption key is not in it: keep {} too, in another place.", path.display());
        return Ok((None, told));
    }
    match std::fs::read_to_string(&path) {
        Ok(keys) => Ok((
            Some(keys.trim().to_owned()),
            "The encryption key is in it, and opens the API keys in it: keep it as safe as the data folder, or make \
             it with `--without-key`."
                .to_owned(),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok((None, format!("There is no encryption key at {}, so none is in it.", path.display())))
        }
        Err(error) => {
            Err(Error::unavailable(format!("cannot read {}: {}", path.display(), error.kind())).with_source(error))
        }
    }
}

fn told(backup: &Backup) -> String {
    format!(
        "the database, {} with {}; read through, all is as it was stored",
        counted(backup.documents, "document"),
        counted(backup.bytes, "byte")
    )
}

/// Names the documents whose bytes are missing.
fn end(backup: &Backup) -> ExitCode {
    if backup.without_bytes.is_empty() {
        return ExitCode::SUCCESS;
    }
    for name in &backup.without_bytes {
        say(&format!("The bytes of {} were gone or altered already and are not in it.", plain(name)));
    }
    ExitCode::FAILURE
}
