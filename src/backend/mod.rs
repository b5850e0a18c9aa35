//! The database's socket: where it is, how to get in, and the proxy's own questions to it.
//!
//! Whatever a server sends stays `Unmasked`. Source: PostgreSQL manual, "Frontend/Backend Protocol", and libpq's reading of
//! connection URIs and of `sslmode`.

mod ask;
mod cancel;
mod connect;
mod fault;
mod login;
mod query;
mod route;
mod stream;
mod tls;
mod upstream;
mod version;

#[cfg(test)]
mod tests;

pub use ask::ask_issuer;
pub use cancel::cancel;
pub use connect::{Connection, Start, connect};
pub use fault::{ConnectError, QueryError, SqlState, Whose};
pub use query::{Querier, QueryLimits, Row};
pub use route::{Route, RouteFault};
pub use stream::Stream;
pub use upstream::{Address, SslMode, Upstream, UpstreamFault};
pub use version::newest_minor;
