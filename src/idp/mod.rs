//! Issuers of tokens: the way to them, their keys, fetched and kept, and the check of a token against them.
//!
//! Sources: OpenID Connect Discovery, RFC 8414, RFC 7517. What a token must say is in `identity`; here it is only proved that the
//! issuer has said it.

mod http;
mod issuers;
mod keys;

#[cfg(test)]
mod tests;

pub use http::{Http, HttpFault, is_loopback_http};
pub use issuers::{IssuerFault, Issuers, Settings};

/// Longest document that an issuer is heard out for, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Most keys of an issuer that are kept.
pub const KEYS_MAX: usize = 100;
/// How long an issuer may take to answer one request, in milliseconds.
pub const ANSWER_MS_MAX: u64 = 5_000;
/// Between two questions to one issuer for its keys, in milliseconds: whoever comes with unknown keys cannot make more of them.
pub const ASK_EVERY_MS: u64 = 2_000;
/// How long one login waits for keys, in milliseconds.
pub const KEYS_WAIT_MS_MAX: u64 = 8_000;
/// Most logins that wait for one issuer's keys at a time: those who come with unknown keys cannot take all places.
pub const KEYS_WAITERS_MAX: usize = 64;
