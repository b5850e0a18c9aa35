//! The client's socket: encryption, the startup packet, and the login by SCRAM against registered credentials.
//!
//! Ends with a `Session` whose client has proved who it is and has not been told so yet: AuthenticationOk belongs to whoever has
//! a database behind it. Source: PostgreSQL manual, "Frontend/Backend Protocol", sections "Start-up", "SASL Authentication",
//! "SSL Session Encryption".

mod accept;
mod login;
mod refusal;
mod source;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

pub use accept::{Acceptor, Handshake, Opening, Request, accept};
pub use login::{Guard, LoginRefused, Session, login};
pub use refusal::{Refusal, fatal};
pub use source::Source;
pub use stream::Stream;
pub use tls::{ServerTls, TlsFault};
