//! The client's socket: encryption, the startup packet, and the login by SCRAM, password, token or OAUTHBEARER.
//!
//! Ends with a `Session` whose client has proved who it is and has not been told so yet: AuthenticationOk belongs to whoever has
//! a database behind it. Source: PostgreSQL manual, "Frontend/Backend Protocol", sections "Start-up", "SASL Authentication",
//! "SSL Session Encryption".

mod accept;
mod exchange;
mod login;
mod prove;
mod refusal;
mod source;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

pub use accept::{Acceptor, Handshake, Opening, Request, accept};
pub use login::{Doors, Guard, Identified, LoginRefused, Session, Tokens, login};
pub use refusal::{Refusal, fatal};
pub use source::Source;
pub use stream::Stream;
pub use tls::{ServerTls, TlsFault};
