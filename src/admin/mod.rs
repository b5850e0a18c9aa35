//! The admin API on loopback: holds are listed, shown and answered here, by people who log in with their own credential; and
//! whoever watches the process finds its health and its numbers.

mod api;
mod login;
mod metrics;
mod outlook;

#[cfg(test)]
mod tests;

pub use api::{Admin, router, serve};
pub use login::Authenticate;
pub use outlook::{Loaded, Outlook};

/// Most bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 16 << 10;
/// Most bytes of an `Authorization` header.
pub const AUTHORIZATION_BYTES_MAX: usize = 4 << 10;
/// Most passwords that are checked at a time: each costs thousands of hash rounds.
pub const CHECKS_MAX: usize = 2;
/// How long a request waits for its password's turn, in milliseconds.
pub const CHECK_WAIT_MS_MAX: u64 = 5000;
/// Most wrong passwords for one name within a minute.
pub const FAILURES_MAX: u32 = 10;
