//! The admin API on loopback: holds are listed, shown and answered here, sessions ended and access withdrawn, by people who log in
//! with their own credential; and whoever watches the process finds its health and its numbers.

mod access;
mod api;
mod login;
mod metrics;
mod outlook;
mod serve;

#[cfg(test)]
mod tests;

pub use access::{Keep, Power};
pub use api::{Admin, router};
pub use login::Authenticate;
pub use outlook::{Loaded, Outlook};
pub use serve::serve;

use std::time::Duration;

/// Most connections at a time.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to ask something, the first time and any other.
pub const ASK_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may be used.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);
/// Most bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
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

/// The answer of `Keep::keep`, in time.
pub type Kept<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
