//! Scenarios of the protocol: each is played on the database and through pgveil, and must come out the same.

mod asides;
mod copy;
mod ends;
mod framing;
mod login;
mod names;
mod queries;

use crate::transcript::Scenario;

/// All of them.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [login::ALL, queries::ALL, names::ALL, copy::ALL, asides::ALL, ends::ALL, framing::ALL].concat()
}
