//! What the log says, by `pgveil sessions`, `replay` and `verify`.

use std::path::Path;

use serde_json::Value;

use crate::cli::pgveil;
use crate::{Ran, Stand};

/// The identifier of a session, as the command line takes it.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn id(session: &Value) -> String {
    session["session"].as_str().unwrap_or_else(|| panic!("no identifier: {session}")).to_owned()
}

/// Sessions, the newest first; further arguments filter.
///
/// # Panics
/// If the command fails.
#[must_use]
pub fn sessions(stand: &Stand, filters: &[&str]) -> Vec<Value> {
    let arguments = [&["sessions", "--config", stand.value("CONFIG"), "--json", "--limit", "100000"], filters].concat();
    pgveil(&arguments).json().as_array().unwrap().clone()
}

/// Everything recorded of a session: one JSON object per line.
///
/// # Panics
/// If the command fails.
#[must_use]
pub fn replay(stand: &Stand, session: &str) -> String {
    pgveil(&["replay", session, "--config", stand.value("CONFIG"), "--json"]).ok()
}

/// Every session's replay, one after the other.
///
/// # Panics
/// If a command fails.
#[must_use]
pub fn everything(stand: &Stand, filters: &[&str]) -> String {
    sessions(stand, filters).iter().map(|s| replay(stand, &id(s))).collect()
}

/// `pgveil verify` of a folder, against the stand's witness file where one is given.
#[must_use]
pub fn verify(data: &Path, witness: Option<&str>) -> Ran {
    let data = data.display().to_string();
    let mut arguments = vec!["verify", "--store", data.as_str()];
    arguments.extend(witness.iter().flat_map(|file| ["--checkpoint", file]));
    pgveil(&arguments)
}
