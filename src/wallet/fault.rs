//! Why there is no login.

use std::path::PathBuf;

use crate::backend::{ConnectError, RouteFault};
use crate::idp::HttpFault;

/// What went wrong. None of it quotes a token.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The caller's: a name that could be more than a name.
    #[error("a login is named by 1 to 63 letters, digits, `.`, `_` or `-`, of which the first is a letter or digit")]
    Name,
    /// The caller's: something that cannot be written into the files of libpq, or makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The caller's: no folder to keep logins in.
    #[error("no folder for logins is known: set HOME, XDG_STATE_HOME or PGVEIL_HOME")]
    Home,
    /// Others could read or change the folder.
    #[error("`{0}` must be yours alone: chmod 700 it, or name another folder by PGVEIL_HOME")]
    Open(PathBuf),
    /// A file cannot be read or written.
    #[error("`{path}`: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file of ours is not one.
    #[error("`{0}` is not as pgveil wrote it: take it away and log in again")]
    Unreadable(PathBuf),
    /// There is no such login.
    #[error("there is no login `{0}`; make one: pgveil login {0} --server HOST")]
    Missing(String),
    /// The service file has an entry of this name that somebody else wrote.
    #[error("`{path}` has an entry [{name}] that pgveil did not write: give the login another name, or say --no-service")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The entry.
        name: String,
    },
    /// The server's roots.
    #[error("{0}")]
    Route(#[from] RouteFault),
    /// The server cannot be reached, or does not let us in.
    #[error("the server does not let us in: {0}")]
    Server(ConnectError),
    /// The server has no issuer.
    #[error("the server names no issuer to log in at: ask its operator, or say --issuer and --client-id")]
    NoIssuer,
    /// What the server says of its issuer makes no sense.
    #[error("the server does not say {0} to log in: ask its operator, or say --issuer and --client-id")]
    NotSaid(&'static str),
    /// An address that would be asked in clear.
    #[error("{0} is not at an https address: nobody logs in there")]
    Insecure(&'static str),
    /// The issuer cannot be reached.
    #[error("{what} cannot be had from the issuer: {fault}")]
    Http {
        /// What was asked for.
        what: &'static str,
        /// Why it did not come.
        fault: HttpFault,
    },
    /// The issuer's answer makes no sense.
    #[error("the issuer's answer is not understood: {0}")]
    Answer(&'static str),
    /// The issuer says no, in its own words.
    #[error("the issuer refuses: {0}")]
    Denied(String),
    /// The issuer has no such way to log in.
    #[error("the issuer offers no {0}")]
    NoWay(&'static str),
    /// The browser came back from somebody else.
    #[error("the answer that the browser brought is not from `{0}`: nobody was logged in")]
    Mixed(String),
    /// No port for the browser to come back to.
    #[error("the browser cannot come back to `{address}`: {error}")]
    Redirect {
        /// Where.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// No port for programs.
    #[error("cannot listen on `{place}`: {error}")]
    Listen {
        /// Where.
        place: String,
        /// Why.
        error: std::io::Error,
    },
    /// No randomness.
    #[error("the system gives no random bytes")]
    Dice,
    /// It took too long.
    #[error("nobody logged in within {} minutes", super::PERSON_TIME_MAX.as_secs() / 60)]
    TimedOut,
    /// The login cannot be renewed any more.
    #[error("the login `{0}` is over: log in again with `pgveil login {0}`")]
    Over(String),
}

impl Fault {
    /// A file that cannot be read or written.
    pub(super) fn file(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::File { path: path.into(), error }
    }
}
