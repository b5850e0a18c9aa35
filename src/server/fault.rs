//! What keeps the proxy from starting.

use crate::backend::{RouteFault, UpstreamFault};
use crate::frontend::TlsFault;
use crate::identity::{RosterFault, VerifierFault};
use crate::idp::IssuerFault;
use crate::store::{LogFailed, StoreError};

fn listed(faults: &[UpstreamFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why the proxy does not start, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// No threads or no event queue.
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
    /// A port or a socket file cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Bind(String, std::io::Error),
    /// The store cannot be opened.
    #[error("{0}")]
    Store(StoreError),
    /// The log cannot be written.
    #[error("{0}")]
    Log(LogFailed),
    /// The server certificate or its key is of no use.
    #[error("[listen] tls: {0}")]
    Tls(TlsFault),
    /// A database's URI is wrong.
    #[error("database `{name}`: {}", listed(.faults))]
    Upstream {
        /// Its name.
        name: String,
        /// Every fault.
        faults: Vec<UpstreamFault>,
    },
    /// The roots for a database's certificate are of no use.
    #[error("database `{0}`: {1}")]
    Route(String, RouteFault),
    /// A credential's verifier is wrong.
    #[error("credential `{0}`: {1}")]
    Verifier(String, VerifierFault),
    /// An issuer cannot be served.
    #[error("{0}")]
    Issuer(IssuerFault),
    /// The list of withdrawn access cannot be read.
    #[error("`{0}` cannot be read, and says who may not come in: {1}")]
    Revoked(std::path::PathBuf, String),
    /// The credentials do not go together.
    #[error("{0}")]
    Roster(RosterFault),
}
