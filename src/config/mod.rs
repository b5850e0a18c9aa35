//! The configuration file: as typed it is a tree with places; checked, with every file it names read, it is a `Config`.

mod certificate;
mod file;
mod issuer;
mod limits;
mod listen;
mod login;
mod read;
mod sessions;
mod verifier;

#[cfg(test)]
mod tests;

pub use listen::ListenAddress;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::identity::Offers;
use crate::idp;
use crate::policy::{FileFault, Policy};
use crate::secret::Secret;
use crate::session;

/// Where the admin API listens, and where `pgveil holds` looks for it, if nothing is said.
pub const ADMIN_ADDRESS: &str = "127.0.0.1:6480";
/// Where clients are served if nothing is said.
pub const LISTEN_ADDRESS: &str = "127.0.0.1:6432";
/// How long what runs may take to finish at the end, if nothing is said, in milliseconds.
pub const DRAIN_MS: u64 = 30_000;

/// A checked configuration: what it names has been read.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// SHA-256 of that file.
    pub digest: [u8; 32],
    /// Where clients are served.
    pub listen: Listen,
    /// Where the admin API listens: a loopback address.
    pub admin: SocketAddr,
    /// Groups whose members may end sessions and withdraw access.
    pub operators: Vec<String>,
    /// Where evidence is kept.
    pub store: Store,
    /// How the log on standard error is written.
    pub logs: Logs,
    /// Bounds.
    pub limits: Limits,
    /// What clients are told of masks.
    pub masking: Masking,
    /// Databases, at least one; names differ, `*` stands for every name that no other has.
    pub databases: Vec<Database>,
    /// Machine identities; names differ.
    pub credentials: Vec<Credential>,
    /// Whom clients' certificates stand for; names in certificates differ, and so do those of identities.
    pub certificates: Vec<Certificate>,
    /// Issuers of tokens; names and addresses differ.
    pub issuers: Vec<idp::Settings>,
    /// What clients are asked for at their login.
    pub login: Login,
    /// How long sessions may last.
    pub sessions: session::Terms,
    /// What is allowed but should be known: one sentence each, to be shown at start.
    pub warnings: Vec<String>,
}

/// Where clients are served.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The addresses, at least one. Without TLS they are of this machine, unless `allow_plaintext` is true.
    pub addresses: Vec<ListenAddress>,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// True if plaintext may be served on any address.
    pub allow_plaintext: bool,
    /// How long what runs may take to finish when the process is told to end, in milliseconds.
    pub drain_ms: u64,
}

/// How the log on standard error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logs {
    /// Its form.
    pub format: LogFormat,
    /// How much of it.
    pub level: LogLevel,
}

/// The form of the log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text for each event.
    #[default]
    Plain,
    /// One JSON object for each event.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogLevel {
    /// What cannot go on.
    Error,
    /// What somebody should see to.
    Warn,
    /// Sessions, refused logins, reloads.
    #[default]
    Info,
    /// Connections that never became a session.
    Debug,
}

/// Certificate and key of the listener; they have been found to fit each other.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// The private key, PEM.
    pub key: Secret,
    /// The roots that vouch for clients' certificates, PEM; `None` if clients are not asked for any.
    pub client_roots: Option<Vec<u8>>,
    /// Where the certificate was read from.
    pub certificate_file: PathBuf,
    /// Where the key was read from.
    pub key_file: PathBuf,
}

/// Where evidence is kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder.
    pub path: PathBuf,
    /// Whether a commit waits for the disk.
    pub durability: Durability,
    /// The deployment's key; made at the first start.
    pub key_file: PathBuf,
    /// A file that every checkpoint is also written to.
    pub witness: Option<PathBuf>,
    /// Whether replies are recorded; decisions always are.
    pub record: bool,
}

/// What a commit of the log outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process.
    Process,
    /// Loss of power.
    Power,
}

/// Bounds of the running proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most sessions at a time.
    pub sessions_max: usize,
    /// Most of them of one identity.
    pub sessions_identity_max: usize,
    /// Most connections that are in their login.
    pub logins_max: usize,
    /// How long a login may take, in milliseconds.
    pub login_ms: u64,
    /// Most failed logins from one source within a minute; further ones are refused unseen.
    pub failed_logins_source_max: u32,
    /// Most of them that give one identity.
    pub failed_logins_identity_max: u32,
    /// Longest message of a client that is read, its statements and their parameters; longer ones are refused, or passed on unread.
    pub statement_bytes_max: usize,
    /// Most bytes that a client may send ahead while its statement is held; more are not read.
    pub ahead_bytes_max: usize,
    /// Most bytes that may wait in all sessions together.
    pub queue_bytes_max: usize,
    /// Most statements that may wait for a person at a time.
    pub holds_max: usize,
    /// Most of them of one identity.
    pub holds_identity_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 1000,
            sessions_identity_max: 500,
            logins_max: 512,
            login_ms: 15_000,
            failed_logins_source_max: 60,
            failed_logins_identity_max: 10,
            statement_bytes_max: 64 << 20,
            ahead_bytes_max: 1 << 20,
            queue_bytes_max: 1 << 30,
            holds_max: 1000,
            holds_identity_max: 10,
        }
    }
}

/// What clients are told of masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masking {
    /// Whether a NOTICE says which columns are masked because they could not be traced.
    pub notices: bool,
}

impl Default for Masking {
    fn default() -> Self {
        Self { notices: true }
    }
}

/// Whom a client's certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// A DNS name or URI among the certificate's subject alternative names.
    pub san: String,
    /// What the client gives as user.
    pub name: String,
    /// The identity's groups.
    pub groups: Vec<String>,
}

/// What clients are asked for at their login.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Which client is offered what.
    pub offers: Offers,
    /// Whether a client on this machine may be asked for a password or token without TLS.
    pub clear_on_loopback: bool,
}

/// A database that clients can name.
#[derive(Debug, Clone)]
pub struct Database {
    /// What clients put in `dbname`; `*` for any name, which is then the upstream's too.
    pub name: String,
    /// Where it is: a connection URI without a password, for `crate::backend` to read.
    pub upstream: String,
    /// The proxy's password there.
    pub password: Option<Secret>,
    /// Its policy.
    pub policy: Arc<Policy>,
    /// Where the policy was read from.
    pub policy_file: PathBuf,
}

/// A machine identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What clients put in `user`.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// A SCRAM-SHA-256 verifier, in the form PostgreSQL keeps in `pg_authid` (RFC 5803 with `$` and `:`).
    pub verifier: String,
    /// From when on it is refused.
    pub expires: Option<jiff::Timestamp>,
    /// What it was before, which serves beside it for a while.
    pub former: Option<Former>,
}

/// A verifier that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The verifier; it has the salt and iterations of its successor.
    pub verifier: String,
    /// From when on it is refused.
    pub expires: jiff::Timestamp,
}

impl Config {
    /// Reads a configuration file and everything it names.
    ///
    /// # Errors
    /// Every fault of the file, of what it names and of its policies, each with its place.
    pub fn load(path: &Path) -> Result<Self, Vec<FileFault>> {
        read::load(path, &|name| std::env::var(name).ok())
    }

    /// The database that a client's `dbname` stands for: the one of that name, else the one named `*`.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Database> {
        let named = self.databases.iter().find(|database| database.name == name && name != "*");
        named.or_else(|| self.databases.iter().find(|database| database.name == "*"))
    }

    /// The credential of this name.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }
}
