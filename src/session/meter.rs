//! How many rows a text, portal or cursor has sent, where the policy draws a line.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::ruling::Ruling;
use crate::flow::Ended;
use crate::policy::RowsOver;
use crate::sql::{Facts, Shift, Verb};
use crate::wire::{Piece, Place, Run, server_tag};

/// Cursors of SQL whose rows are counted apart; those past that are counted together.
const CURSORS_MAX: usize = 4096;
/// The body of the message that ends a binary COPY, which is no row.
const BINARY_TRAILER: [u8; 2] = [0xff, 0xff];

/// Rows that one text, portal or cursor has sent.
#[derive(Debug, Default)]
pub(super) struct Count {
    rows: AtomicU64,
    /// A person has let the rest pass.
    permitted: AtomicBool,
}

impl Count {
    /// A person has approved: the rest passes without asking again.
    pub(super) fn permit(&self) {
        self.permitted.store(true, Ordering::Release);
    }

    fn begin_anew(&self) {
        self.rows.store(0, Ordering::Release);
        self.permitted.store(false, Ordering::Release);
    }

    fn add(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::AcqRel);
    }

    /// Rows that may still be sent under a limit.
    fn left(&self, rows_max: u64) -> u64 {
        if self.permitted.load(Ordering::Acquire) { u64::MAX } else { rows_max.saturating_sub(self.rows.load(Ordering::Acquire)) }
    }
}

/// The counts of one session.
#[derive(Debug, Default)]
pub(super) struct Meter {
    cursors: HashMap<String, Cursor>,
    /// The count of all cursors for which there was no room.
    others: Arc<Count>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Cursor {
    count: Arc<Count>,
    /// It may outlive the transaction.
    lasting: bool,
}

/// The exchange whose rows are counted. There is never a second one in flight: such a ruling bars.
#[derive(Debug)]
struct Running {
    number: u64,
    ruling: Ruling,
    limit: RowsOver,
    /// Rows of the whole text, or of the portal.
    count: Arc<Count>,
    /// The statements that are not answered yet.
    statements: VecDeque<Counted>,
}

impl Running {
    /// Everything that a row counts for.
    fn counts(&self) -> impl Iterator<Item = &Arc<Count>> {
        let cursor = self.statements.front().and_then(|statement| statement.cursor.as_ref());
        [&self.count].into_iter().chain(cursor)
    }
}

/// One statement of the exchange.
#[derive(Debug, Default)]
struct Counted {
    /// The cursor that it fetches from.
    cursor: Option<Arc<Count>>,
    declares: Option<String>,
}

/// A statement that has come to its line.
pub(super) struct Stopped {
    pub(super) number: u64,
    pub(super) ruling: Ruling,
    pub(super) limit: RowsOver,
    pub(super) counts: Vec<Arc<Count>>,
}

impl Meter {
    /// Exchange `number` is about to run; for an Execute, `portal` is the name it says.
    pub(super) fn begin(&mut self, number: u64, ruling: &Ruling, portal: Option<&Bytes>) {
        let Some(limit) = ruling.verdict().decision.rows_over.clone() else {
            self.running = None;
            return;
        };
        let verdict = Arc::clone(ruling.verdict());
        let each = verdict.analysis.statements.iter().filter(|facts| facts.verb != Verb::Empty || facts.unknown.is_some());
        let (count, statements) = match portal {
            None => (Arc::default(), each.map(|facts| self.counted(facts)).collect()),
            Some(portal) => (Arc::clone(ruling.count()), VecDeque::from([self.executed(ruling, portal)])),
        };
        self.running = Some(Running { number, ruling: ruling.clone(), limit, count, statements });
    }

    /// A statement of a Query.
    fn counted(&mut self, facts: &Facts) -> Counted {
        let declares = facts.shifts.iter().find_map(|shift| match shift {
            Shift::Cursor(name, _) => Some(name.clone()),
            _ => None,
        });
        let cursor = cursor_of(facts).map(|name| self.cursor(name));
        Counted { cursor, declares: declares.filter(|_| facts.verb == Verb::Cursor) }
    }

    /// A portal, which may itself be a cursor of SQL.
    fn executed(&mut self, ruling: &Ruling, portal: &Bytes) -> Counted {
        match ruling.verdict().analysis.statements.first() {
            Some(facts) if ruling.bind().is_some() => self.counted(facts),
            _ => Counted { cursor: Some(self.cursor(&String::from_utf8_lossy(portal))), declares: None },
        }
    }

    fn cursor(&mut self, name: &str) -> Arc<Count> {
        if let Some(cursor) = self.cursors.get(name) {
            return Arc::clone(&cursor.count);
        }
        if self.cursors.len() >= CURSORS_MAX {
            return Arc::clone(&self.others);
        }
        let count = Arc::new(Count::default());
        self.cursors.insert(name.to_owned(), Cursor { count: Arc::clone(&count), lasting: true });
        count
    }

    /// What of a piece of exchange `number` may go on, and what is past the line.
    pub(super) fn admit(&self, number: u64, piece: Piece) -> (Option<Piece>, Option<Piece>) {
        let Some(running) = self.running.as_ref().filter(|running| running.number == number) else { return (Some(piece), None) };
        let left = running.counts().map(|count| count.left(running.limit.rows)).min().unwrap_or(u64::MAX);
        let add = |rows: u64| running.counts().for_each(|count| count.add(rows));
        match piece {
            Piece::Run(run) => {
                let rows = rows(&run);
                add(rows.min(left));
                if rows <= left {
                    return (Some(Piece::Run(run)), None);
                }
                let (first, rest) = run.split(usize::try_from(left).unwrap_or(usize::MAX));
                (Some(Piece::Run(first)).filter(|_| left > 0), Some(Piece::Run(rest)))
            }
            Piece::Part(part) if part.place == Place::First => {
                add(left.min(1));
                if left == 0 { (None, Some(Piece::Part(part))) } else { (Some(Piece::Part(part)), None) }
            }
            other => (Some(other), None),
        }
    }

    /// What is being answered, as an approver must know it.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        let running = self.running.as_ref()?;
        Some(Stopped {
            number: running.number,
            ruling: running.ruling.clone(),
            limit: running.limit.clone(),
            counts: running.counts().map(Arc::clone).collect(),
        })
    }

    /// A statement of exchange `number` is answered.
    pub(super) fn ended(&mut self, number: u64, how: &Ended) {
        let Some(running) = self.running.as_mut().filter(|running| running.number == number) else { return };
        if matches!(how, Ended::Failed(_)) {
            self.running = None;
            return;
        }
        let ended = running.statements.pop_front().unwrap_or_default();
        if let Some(name) = ended.declares.filter(|_| matches!(how, Ended::Complete(_))) {
            let lasting = may_outlive(&running.ruling.verdict().text);
            self.cursor(&name).begin_anew();
            if let Some(cursor) = self.cursors.get_mut(&name) {
                cursor.lasting = lasting;
            }
        }
    }

    /// No transaction is open any more: cursors have gone with it, unless they were declared to last.
    pub(super) fn settled(&mut self) {
        self.cursors.retain(|_, cursor| cursor.lasting);
    }
}

/// True if a text may declare a cursor WITH HOLD.
fn may_outlive(text: &[u8]) -> bool {
    text.windows(4).any(|word| word.eq_ignore_ascii_case(b"hold"))
}

/// The cursor that a FETCH names.
fn cursor_of(facts: &Facts) -> Option<&str> {
    facts.uses.as_deref().filter(|_| facts.verb == Verb::Cursor)
}

/// How many rows a run holds.
fn rows(run: &Run) -> u64 {
    let ends = run.tag == server_tag::COPY_DATA && run.bodies().last() == Some(BINARY_TRAILER.as_slice());
    u64::try_from(run.count).unwrap_or(u64::MAX) - u64::from(ends)
}
