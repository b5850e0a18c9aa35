//! Who may come in: credentials, SCRAM verifiers, and the server's side of the SCRAM exchange.
//!
//! Sources: RFC 5802 and RFC 7677 (SCRAM-SHA-256), RFC 5929 (tls-server-end-point), RFC 4013 (SASLprep), and the verifier text
//! that PostgreSQL keeps in `pg_authid.rolpassword`.

mod end_point;
mod roster;
mod scram;
mod throttle;
mod verifier;

#[cfg(test)]
mod tests;

pub use end_point::end_point;
pub use roster::{Credential, Denied, Roster, RosterFault};
pub use scram::{Channel, ExpectProof, Mechanism, NONCE_BYTES, ScramFault};
pub use throttle::{FAILURES_WITHIN_MS, Throttle};
pub use verifier::{SALT_BYTES, Verifier, VerifierFault};

/// Fewest iterations of a verifier (RFC 7677 section 4).
pub const ITERATIONS_MIN: u32 = 4_096;
/// Most iterations of a verifier: above it common clients refuse to work for a server.
pub const ITERATIONS_MAX: u32 = 100_000;
/// Longest password, in bytes, as PostgreSQL's own reader has it.
pub const PASSWORD_BYTES_MAX: usize = 65_535;
