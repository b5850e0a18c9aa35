//! Questions of commands to a database: read-only, bounded in time, over the account that the configuration names.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::{self, Querier, QueryError, QueryLimits, Route, Start, Upstream};
use crate::cli::Exit;
use crate::cli::client::Failure;
use crate::config::Database;
use crate::session::{LookFault, fetch_catalog};
use crate::sql::Catalog;
use crate::wire::VERSION_3_0;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The same, for the server to know.
const STATEMENT_TIMEOUT: &[u8] = b"20s";
/// Longest wait for a lock.
const LOCK_TIMEOUT: &[u8] = b"2s";
/// Bounds of one answer.
const LIMITS: QueryLimits = QueryLimits { rows_max: 5_000_000, answer_bytes_max: 64 << 20, time_max: ANSWER_MAX };

/// Runs something that waits, on a runtime of its own.
pub(in crate::cli) fn wait<T>(what: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| (Exit::Unavailable, format!("no runtime can be made: {error}")))?.block_on(what)
}

/// A connection to a database on which nothing can be changed.
pub(in crate::cli) async fn querier(database: &Database, name: &str) -> Result<Querier, Failure> {
    let upstream = Upstream::parse(&database.upstream).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (Exit::Usage, format!("the upstream of `{name}` is faulty: {}", lines.join("; ")))
    })?;
    let route = Route::new(upstream, database.password.clone(), CONNECT_MAX)
        .map_err(|fault| (Exit::Usage, format!("the upstream of `{name}` cannot be used: {fault}")))?;
    let pair = |name: &'static [u8], value: &'static [u8]| (Bytes::from_static(name), Bytes::from_static(value));
    let parameters = [
        pair(b"client_encoding", b"UTF8"),
        pair(b"application_name", b"pgveil"),
        pair(b"default_transaction_read_only", b"on"),
        pair(b"statement_timeout", STATEMENT_TIMEOUT),
        pair(b"lock_timeout", LOCK_TIMEOUT),
    ];
    let start = Start { version: VERSION_3_0, database: name.as_bytes(), parameters: &parameters };
    let connection = backend::connect(&route, &start).await.map_err(|error| {
        (Exit::Unavailable, format!("the database `{name}` cannot be reached as its `upstream` says: {error}"))
    })?;
    Ok(Querier::new(connection, LIMITS))
}

/// What there is to know of the database's catalog.
pub(in crate::cli) async fn catalog(querier: &mut Querier) -> Result<Catalog, Failure> {
    fetch_catalog(querier, 1)
        .await
        .map_err(|fault: LookFault| (Exit::Unavailable, format!("the catalog cannot be read: {fault}")))
}

/// A failed question, in words; what the server itself said may hold data and is not shown.
pub(in crate::cli) fn failed(error: &QueryError) -> Failure {
    (Exit::Unavailable, format!("the database does not answer as it should: {error}"))
}
