//! Who may come in, and the proof of it: registered credentials with the server's side of SCRAM, and issuers' tokens.
//!
//! Sources: RFC 5802 and RFC 7677 (SCRAM-SHA-256), RFC 5929 (tls-server-end-point), RFC 4013 (SASLprep), and the verifier text
//! that PostgreSQL keeps in `pg_authid.rolpassword`; RFC 7515, 7519 and 8725 (tokens), OpenID Connect Core, RFC 9068 (access
//! tokens), RFC 8693 (acting for another), RFC 7628 (OAUTHBEARER).

mod bearer;
mod certificate;
mod claims;
mod end_point;
mod groups;
mod judge;
mod names;
mod offer;
mod revoked;
mod roster;
mod scram;
mod throttle;
mod token;
mod verifier;
mod who;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;

pub use bearer::{BEARER_BYTES_MAX, Bearer, BearerFault, OAUTHBEARER, challenge, is_acknowledged};
pub use certificate::{Holder, Holders, not_after};
pub use claims::ClaimPath;
pub use end_point::end_point;
pub use groups::{GROUPS_MAX, GroupRules};
pub use judge::{Assurance, Rules};
pub use names::NameBook;
pub use offer::{Caller, Offer, OfferRule, Offers};
pub use revoked::{REVOKED_MAX, Revocations, Target, Withdrawn};
pub use roster::{Credential, Denied, Roster, RosterFault};
pub use scram::{Channel, ExpectProof, Mechanism, NONCE_BYTES, ScramFault};
pub use throttle::{FAILURES_WITHIN_MS, Throttle};
pub use token::{Algorithm, Claims, TOKEN_BYTES_MAX, Token, TokenFault, is_token};
pub use verifier::{SALT_BYTES, Verifier, VerifierFault};
pub use who::{Expiry, Identity, Way};

/// Fewest iterations of a verifier (RFC 7677 section 4).
pub const ITERATIONS_MIN: u32 = 4_096;
/// Most iterations of a verifier: above it common clients refuse to work for a server.
pub const ITERATIONS_MAX: u32 = 100_000;
/// Longest password, in bytes, as PostgreSQL's own reader has it.
pub const PASSWORD_BYTES_MAX: usize = 65_535;
