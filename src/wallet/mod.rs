//! A person's logins on their own machine: tokens are got from an issuer, kept in files that nobody else can read, renewed, and
//! handed to psql and drivers.
//!
//! Sources: RFC 8252 (programs and the browser), RFC 7636 (PKCE), RFC 9207 (who answers), RFC 8628 (devices), RFC 7009 (taking
//! tokens back), RFC 7628 (how a server says where to log in); libpq's "The Connection Service File" and "The Password File".

mod ask;
mod browser;
mod connect;
mod fault;
mod folder;
mod issuer;
mod keep;
mod local;
mod login;
mod renew;
mod service;

#[cfg(test)]
mod tests;

pub use ask::{Told, ask};
pub use browser::leading_to;
pub use connect::{Place, Port};
pub use fault::Fault;
pub use folder::{Folder, Name};
pub use issuer::{Device, Issuer};
pub use keep::{Kept, forget, keep, may_list, unlist};
pub use login::{Login, Party, Server, Shown, Tokens};
pub use renew::{fresh, watch};
pub use service::default_file;

use std::time::Duration;

/// How long a person may take to log in at the issuer.
pub const PERSON_TIME_MAX: Duration = Duration::from_secs(600);
/// Longest file of ours that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long a server may take to say where to log in, or to let somebody in.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(20);
/// Where a browser comes back to, if nothing is said: any port of this machine (RFC 8252 section 7.3).
pub const REDIRECT: &str = "http://127.0.0.1/callback";
/// Port of a server, if none is said.
pub const PORT: u16 = 6432;
