//! pgveil: a PostgreSQL wire-protocol proxy that masks PHI, holds risky statements for a person, and keeps evidence.
//!
//! The rooms and their floors are described in `docs/architecture.md`; imports go down only.

#[cfg(feature = "server")]
pub mod admin;
#[cfg(feature = "server")]
pub mod approval;
#[cfg(feature = "server")]
pub mod backend;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
pub mod flow;
#[cfg(feature = "server")]
pub mod frontend;
pub mod identity;
#[cfg(feature = "server")]
pub mod idp;
pub mod ledger;
pub mod mask;
pub mod policy;
#[cfg(feature = "server")]
pub mod replay;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod session;
pub mod sql;
#[cfg(feature = "server")]
pub mod store;
pub mod tally;
#[cfg(feature = "server")]
pub mod wallet;
pub mod wire;

#[cfg(test)]
mod floors;
