//! The names that free text is searched for, drawn from the columns a policy names, over a connection of its own.
//!
//! They are kept in memory only, as hashes. Until they have been drawn, the masks that need them replace texts whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ground::LookFault;
use crate::backend::{self, Querier, QueryLimits, Route, Start};
use crate::mask::scan::{Dictionary, Names};

/// How long names are used before they are drawn again: so long may a new patient's name be unknown.
const FRESH_MAX: Duration = Duration::from_secs(180);
/// How long to wait before another attempt, when one has failed.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long the first session waits for the names.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(10);
/// Most different values of one column.
const VALUES_MAX: usize = 4_000_000;
/// Bounds of a question for names.
const DRAW: QueryLimits = QueryLimits { rows_max: VALUES_MAX, answer_bytes_max: 256 << 20, time_max: Duration::from_secs(60) };

/// What draws names, and when it did last.
#[derive(Debug)]
pub(super) struct Drawer {
    columns: Vec<Vec<String>>,
    names: Names,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    begun: Option<Instant>,
    again: Arc<Mutex<Option<Instant>>>,
}

impl Drawer {
    /// Draws from each of these sets of columns into `names`.
    pub(super) fn new(columns: Vec<Vec<String>>, names: Names) -> Self {
        Self { columns, names, due: Mutex::default() }
    }

    /// True if these are the columns that it draws from.
    pub(super) fn draws_from(&self, columns: &[Vec<String>]) -> bool {
        self.columns == columns
    }

    /// Draws anew if it is time. Only the first call waits for it, and no longer than a bound.
    pub(super) async fn keep_fresh(&self, route: &Arc<Route>, database: &str) {
        let Some((first, again)) = self.begin() else { return };
        let (route, database) = (Arc::clone(route), database.to_owned());
        let (columns, names) = (self.columns.clone(), self.names.clone());
        let drawing = tokio::spawn(async move {
            if draw(&route, &database, &columns, &names).await.is_err() {
                tracing::warn!(database, "names could not be drawn");
                *again.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(AGAIN_AFTER);
            }
        });
        if first {
            // When it takes longer it goes on by itself.
            let _ = tokio::time::timeout(FIRST_WAIT_MAX, drawing).await;
        }
    }

    /// Whether this is the first time, and where to note a failure; `None` if it is not time.
    fn begin(&self) -> Option<(bool, Arc<Mutex<Option<Instant>>>)> {
        if self.columns.is_empty() {
            return None;
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let failed = due.again.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|again| now >= again);
        let old = due.begun.is_none_or(|begun| now.duration_since(begun) >= FRESH_MAX);
        if !failed && !old {
            return None;
        }
        let first = due.begun.replace(now).is_none();
        *due.again.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Some((first, Arc::clone(&due.again)))
    }
}

async fn draw(route: &Route, database: &str, columns: &[Vec<String>], names: &Names) -> Result<(), LookFault> {
    let parameters = [(Bytes::from_static(b"client_encoding"), Bytes::from_static(b"UTF8"))];
    let start = Start { version: crate::wire::VERSION_3_0, database: database.as_bytes(), parameters: &parameters };
    let mut querier = Querier::new(backend::connect(route, &start).await?, DRAW);
    querier.simple_query("set search_path = ''").await?;
    for set in columns {
        let mut dictionary = Dictionary::default();
        for column in set {
            let question = question(column).ok_or(LookFault::Shape)?;
            for row in querier.simple_query(&question).await? {
                let value = row.into_iter().next().flatten().unwrap_or_default();
                if !dictionary.add(&value) {
                    return Err(LookFault::Shape);
                }
            }
        }
        names.keep(set.clone(), dictionary);
    }
    Ok(())
}

/// Asks for the values of a column written as `schema.table.column`.
fn question(column: &str) -> Option<String> {
    let mut parts = column.splitn(3, '.').map(quoted);
    let (schema, table, column) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("select distinct {column}::pg_catalog.text from {schema}.{table} where {column} is not null"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
