//! The command line. What a command answers goes to standard output, what went wrong to standard error.

mod access;
mod archive;
mod catalog;
mod check;
mod client;
mod connect;
mod credential;
mod credentials;
mod discover;
mod evidence;
mod explain;
mod holds;
mod login;
mod policy;
mod psql;
mod serve;
mod status;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use client::plain;

/// How a command ended; `docs/configuration.md` has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, nothing found.
    Done = 0,
    /// A finding or a refusal.
    Refused = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// What it needs cannot be had: a port, the store, a database, the admin API.
    Unavailable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What stands before the database: masks, holds, evidence.
#[derive(Debug, Parser)]
#[command(name = "pgveil", version, about, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  pgveil check --config pgveil.toml
  pgveil serve --config pgveil.toml
  pgveil status --config pgveil.toml
  pgveil explain --config pgveil.toml --group agents 'select ssn from clinical.patients'
  pgveil policy test policies/hipaa-safe-harbor
  pgveil discover --config pgveil.toml --database clinic > proposal.toml
  pgveil credential new mcp-agent --group agents --ttl 24h
  pgveil login clinic --server pgveil.example.org && psql service=clinic
  PGVEIL_PASSWORD=... pgveil credential revoke mcp-agent --as olivia
  PGVEIL_PASSWORD=... pgveil sessions end 3f9a --as olivia
  PGVEIL_PASSWORD=... pgveil holds --as alice
  PGVEIL_PASSWORD=... pgveil holds approve h-7k2m9q --as alice
  pgveil sessions --config pgveil.toml --identity mcp-agent --since 12h
  pgveil replay --config pgveil.toml 3f9a
  pgveil verify --store data --checkpoint witness.log

Exit codes: 0 done; 1 a finding or a refusal; 2 wrong command line or configuration; 3 a port, the store, a database or the
admin API cannot be had.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Serve(serve::Arguments),
    /// Tell how a running proxy is: sessions, holds, log, configuration
    Status(status::Arguments),
    /// Check the configuration and its policies, naming every fault
    Check(check::Arguments),
    /// Show what becomes of a statement, without running it: facts, lineage, masks, decision
    Explain(explain::Arguments),
    /// Hold policies against their cases
    Policy(policy::Arguments),
    /// Propose masks for a database, from names, types, comments, keys and samples
    Discover(discover::Arguments),
    /// Write what pgveil knows of a database's catalog, for offline use
    Catalog(catalog::Arguments),
    /// Machine identities
    Credential(credential::Arguments),
    /// Log in at an issuer, for psql and other clients on this machine
    Login(login::Login),
    /// End a login: its tokens are taken back, its files taken away
    Logout(login::Logout),
    /// Tell which logins there are, and whose
    Whoami(login::Whoami),
    /// Start psql with a login
    Psql(psql::Psql),
    /// Print a connection URI for a login
    Dsn(psql::Dsn),
    /// Keep a port on this machine that leads to a server with a login
    Connect(connect::Connect),
    /// Renew a login
    Renew(psql::Renew),
    /// Statements that wait for a person
    Holds(holds::Arguments),
    /// List recorded sessions, the newest first; list and end those that are open
    Sessions(archive::Sessions),
    /// Show a session as it was seen
    Replay(archive::Replay),
    /// Prove that the log is whole, or say what is wrong with it
    Verify(archive::Verify),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    dispatch(cli.command)
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Serve(arguments) => serve::run(&arguments).into(),
        Command::Status(arguments) => status::run(&arguments).into(),
        Command::Check(arguments) => check::run(&arguments).into(),
        Command::Explain(arguments) => explain::run(&arguments).into(),
        Command::Policy(arguments) => policy::run(&arguments).into(),
        Command::Discover(arguments) => discover::run(&arguments).into(),
        Command::Catalog(arguments) => catalog::run(&arguments).into(),
        Command::Credential(arguments) => credential::run(&arguments).into(),
        Command::Login(arguments) => login::login(&arguments).into(),
        Command::Logout(arguments) => login::logout(&arguments).into(),
        Command::Whoami(arguments) => login::whoami(&arguments).into(),
        Command::Psql(arguments) => psql::psql(&arguments).into(),
        Command::Dsn(arguments) => psql::dsn(&arguments).into(),
        Command::Connect(arguments) => connect::run(&arguments).into(),
        Command::Renew(arguments) => psql::renew(&arguments).into(),
        Command::Holds(arguments) => holds::run(&arguments).into(),
        Command::Sessions(command) => archive::sessions(&command),
        Command::Replay(command) => archive::replay(&command),
        Command::Verify(command) => archive::verify(&command),
    }
}

/// Says on standard error what went wrong.
fn complain(message: &str) {
    eprintln!("pgveil: {}", plain(message));
}
