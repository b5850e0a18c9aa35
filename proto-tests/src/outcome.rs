//! What a client sees of a script, and whether two of them differ for a reason that is no raw value.
//!
//! SQL leaves open which row comes first among equals. Twins lie differently on the disk and have different statistics, so such
//! results differ though nothing masked was shown. That is believed only where one database alone, lying differently or planned
//! differently, or asked for these columns alone, gives several results as well, for each smallest set of columns that differs.

use std::collections::BTreeMap;

use crate::Message;
use crate::wire::{Column, Reply};

/// What binary COPY begins with, in the same message as its first row.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of an extension that nobody uses.
const HEAD: usize = SIGNATURE.len() + 8;

type Cells = Vec<Option<Vec<u8>>>;

/// All that a client can see, rows by statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    rest: Vec<(u8, Vec<u8>)>,
    rows: BTreeMap<usize, Vec<Cells>>,
}

/// Why two outcomes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// They do not.
    Same,
    /// The same rows in another order.
    Order,
    /// The text of the statement leaves it open: one database gives several results.
    Open,
    /// A raw value decides: what differs.
    Leak(String),
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Anything but rows.
    Rest,
    /// These columns of a statement, seen together.
    Columns(usize, Vec<usize>),
}

impl Outcome {
    /// Takes the next step's reply. `joined`: its rows belong to the statement before (FETCHes of one cursor).
    pub fn take(&mut self, reply: &Reply, joined: bool) {
        let mut statement = if joined { 0 } else { self.rows.last_key_value().map_or(0, |(last, _)| last + 1) };
        for message in &reply.messages {
            let Message { tag, body } = message;
            match tag {
                b'D' => self.rows.entry(statement).or_default().push(message.cells()),
                b'd' => self.copied(statement, body),
                b'T' => self.rest.push((*tag, unplaced(message))),
                _ => self.rest.push((*tag, body.clone())),
            }
            statement += usize::from(*tag == b'C' && !joined);
        }
    }

    fn copied(&mut self, statement: usize, body: &[u8]) {
        let row = match body.split_at_checked(HEAD) {
            Some((head, row)) if head.starts_with(SIGNATURE) => {
                self.rest.push((b'd', head.to_vec()));
                row
            }
            _ => body,
        };
        self.rows.entry(statement).or_default().push(vec![Some(row.to_vec())]);
    }

    /// True if these columns of the first statement are not the same in another outcome.
    #[must_use]
    pub fn differs(&self, columns: &[usize], other: &Self) -> bool {
        let part = Part::Columns(0, columns.to_vec());
        self.part(&part) != other.part(&part)
    }

    /// True if columns of the first statement are not what the other outcome holds in its first columns.
    #[must_use]
    pub fn varies(&self, columns: &[usize], cut: &Self) -> bool {
        self.part(&Part::Columns(0, columns.to_vec())) != cut.part(&Part::Columns(0, (0..columns.len()).collect()))
    }

    /// True if these columns hold the same bytes as another outcome's, value by value in another order: nothing is in the one that is
    /// not in the other.
    #[must_use]
    pub fn shuffles(&self, columns: &[usize], other: &Self) -> bool {
        let part = Part::Columns(0, columns.to_vec());
        let spread = |outcome: &Self| {
            let mut rows = outcome.part(&part);
            rows.iter_mut().flatten().flatten().for_each(|value| value.sort_unstable());
            rows.sort();
            rows
        };
        spread(self) == spread(other)
    }

    /// True if it ends in an error.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.rest.iter().any(|(tag, _)| *tag == b'E')
    }

    /// Columns of the first statement.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.width(0)
    }

    /// The same with the rows of each statement sorted.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.rows.values_mut().for_each(|rows| rows.sort());
        sorted
    }

    fn width(&self, statement: usize) -> usize {
        self.rows.get(&statement).and_then(|rows| rows.first()).map_or(0, Vec::len)
    }

    /// A part of it, rows sorted.
    fn part(&self, part: &Part) -> Vec<Cells> {
        match part {
            Part::Rest => self.rest.iter().map(|(tag, body)| vec![Some(vec![*tag]), Some(body.clone())]).collect(),
            Part::Columns(statement, columns) => {
                let taken = |row: &Cells| columns.iter().map(|at| row.get(*at).cloned().flatten()).collect();
                let mut rows: Vec<Cells> = self.rows.get(statement).into_iter().flatten().map(taken).collect();
                rows.sort();
                rows
            }
        }
    }
}

/// Compares as they are, then without the order of rows. `None`: they differ all the same, and [`judge`] must look.
#[must_use]
pub fn compare(a: &Outcome, b: &Outcome) -> Option<Judgement> {
    if a == b {
        return Some(Judgement::Same);
    }
    (a.sorted() == b.sorted()).then_some(Judgement::Order)
}

/// Judges two that differ by what the first database gives when it lies or is planned differently, asked for one after the other:
/// through pgveil and directly, and both must vary; `direct` is what it gives directly as it is. What still does not vary is asked
/// of `open`: whether columns of the first statement come otherwise when the same is asked for in other words.
pub fn judge(
    [a, b]: [&Outcome; 2],
    direct: &Outcome,
    others: impl Iterator<Item = [Outcome; 2]>,
    mut open: impl FnMut(&[usize]) -> bool,
) -> Judgement {
    let mut fixed = differing(a, b);
    if fixed.is_empty() {
        return Judgement::Leak("differs only at times".into());
    }
    for [masked, plain] in others {
        fixed.retain(|part| a.part(part) == masked.part(part) || direct.part(part) == plain.part(part));
        if fixed.is_empty() {
            return Judgement::Open;
        }
    }
    fixed.retain(|part| !matches!(part, Part::Columns(0, columns) if open(columns)));
    fixed.first().map_or(Judgement::Open, |part| Judgement::Leak(shown(part, a, b)))
}

/// The smallest parts that differ: columns alone, else two together, else whole rows.
fn differing(a: &Outcome, b: &Outcome) -> Vec<Part> {
    let mut parts = vec![Part::Rest];
    let differs = |part: &Part| a.part(part) != b.part(part);
    parts.retain(differs);
    let statements = a.rows.keys().chain(b.rows.keys()).max().map_or(0, |last| last + 1);
    for statement in 0..statements {
        let width = a.width(statement).max(b.width(statement));
        let of = |columns: Vec<usize>| Part::Columns(statement, columns);
        let (alone, same): (Vec<usize>, Vec<usize>) = (0..width).partition(|at| differs(&of(vec![*at])));
        let pairs = same.iter().flat_map(|one| same.iter().filter(move |other| one < other).map(move |other| vec![*one, *other]));
        let pairs: Vec<Part> = pairs.map(of).filter(differs).collect();
        let whole = of((0..width).collect());
        if alone.is_empty() && pairs.is_empty() && differs(&whole) {
            parts.push(whole);
        }
        parts.extend(alone.into_iter().map(|at| of(vec![at])).chain(pairs));
    }
    parts
}

/// The columns without the relations they come from: temporary ones have another number each time.
fn unplaced(message: &Message) -> Vec<u8> {
    let shown = |column: Column| format!("{} {} {}\n", column.name, column.type_oid, column.binary);
    message.columns().into_iter().map(shown).collect::<String>().into_bytes()
}

fn shown(part: &Part, a: &Outcome, b: &Outcome) -> String {
    let [a, b] = [a, b].map(|outcome| outcome.part(part));
    let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let row = |rows: &[Cells]| rows.get(at).map_or_else(|| "nothing".to_owned(), text);
    format!("{part:?}: {} and {}; {} | {}", a.len(), b.len(), row(&a), row(&b))
}

fn text(cells: &Cells) -> String {
    let cell = |cell: &Option<Vec<u8>>| match cell {
        Some(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).escape_debug().to_string(),
        None => "NULL".to_owned(),
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Message {
        let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
        for cell in cells {
            body.extend(u32::try_from(cell.len()).unwrap().to_be_bytes());
            body.extend(cell.as_bytes());
        }
        Message { tag: b'D', body }
    }

    fn reply(rows: &[&[&str]]) -> Reply {
        let mut messages: Vec<Message> = rows.iter().map(|cells| row(cells)).collect();
        messages.push(Message { tag: b'C', body: format!("SELECT {}", rows.len()).into_bytes() });
        Reply { messages }
    }

    fn of(rows: &[&[&str]]) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.take(&reply(rows), false);
        outcome
    }

    /// Nothing is masked in what these tests see.
    fn both(outcome: &Outcome) -> [Outcome; 2] {
        [outcome.clone(), outcome.clone()]
    }

    fn leaks(a: &Outcome, b: &Outcome, others: &[Outcome]) -> bool {
        compare(a, b).is_none() && matches!(judge([a, b], a, others.iter().map(both), |_| false), Judgement::Leak(_))
    }

    #[test]
    fn another_order_is_told_apart() {
        let (a, b) = (of(&[&["1", "x"], &["2", "y"]]), of(&[&["2", "y"], &["1", "x"]]));
        assert_eq!(compare(&a, &a), Some(Judgement::Same));
        assert_eq!(compare(&a, &b), Some(Judgement::Order));
    }

    #[test]
    fn fetches_of_one_cursor_are_seen_together() {
        let fetched = |first: &str, then: &str, joined| {
            let mut outcome = Outcome::default();
            outcome.take(&reply(&[&[first]]), joined);
            outcome.take(&reply(&[&[then]]), joined);
            outcome
        };
        assert_eq!(compare(&fetched("1", "2", true), &fetched("2", "1", true)), Some(Judgement::Order));
        assert_eq!(compare(&fetched("1", "2", false), &fetched("2", "1", false)), None, "two statements are not one");
    }

    #[test]
    fn the_head_of_a_binary_copy_is_no_row() {
        let copied = |first: &[u8], then: &[u8]| {
            let head = [SIGNATURE, &[0; 8], first].concat();
            let messages = [head, then.to_vec()].map(|body| Message { tag: b'd', body }).to_vec();
            let mut outcome = Outcome::default();
            outcome.take(&Reply { messages }, false);
            outcome
        };
        assert_eq!(compare(&copied(b"1", b"2"), &copied(b"2", b"1")), Some(Judgement::Order));
        assert_eq!(compare(&copied(b"1", b"2"), &copied(b"1", b"3")), None);
    }

    #[test]
    fn a_greatest_value_is_a_leak() {
        // max(card_number), and greatest() of two: the one database always gives the same
        let (a, b) = (of(&[&["7", "************9913"]]), of(&[&["7", "************1102"]]));
        assert!(leaks(&a, &b, &[a.clone(), a.clone()]));
        assert!(leaks(&a, &b, &[]), "nothing asked is nothing proved");
    }

    #[test]
    fn ties_are_open_and_hide_no_other_column() {
        let (a, b) = (of(&[&["kg", "1"], &["kg", "2"]]), of(&[&["mm", "1"], &["mm", "2"]]));
        let other = of(&[&["mg", "1"], &["mg", "2"]]);
        assert_eq!(judge([&a, &b], &a, [&a, &other].into_iter().map(both), |_| false), Judgement::Open);
        let told = of(&[&["mm", "1"], &["mm", "3"]]);
        assert!(leaks(&a, &told, &[other]), "the second column is the same in every plan");
    }

    #[test]
    fn what_goes_with_what_must_vary_too() {
        // each column alone is the same in both; which belong together is not
        let (a, b) = (of(&[&["1", "x", "p"], &["2", "y", "q"]]), of(&[&["1", "y", "q"], &["2", "x", "p"]]));
        assert!(leaks(&a, &b, std::slice::from_ref(&a)));
        assert_eq!(judge([&a, &b], &a, std::iter::once(&b).map(both), |_| false), Judgement::Open);
        let half = of(&[&["1", "y", "p"], &["2", "x", "q"]]);
        assert!(leaks(&a, &b, &[half]), "the third column still goes with the first");
    }

    #[test]
    fn columns_alone_prove_nothing_for_others() {
        let (a, b) = (of(&[&["1", "x", "p"], &["2", "y", "p"]]), of(&[&["1", "y", "q"], &["2", "x", "q"]]));
        let cut = of(&[&["2", "x"], &["1", "y"]]);
        assert!(matches!(judge([&a, &b], &a, std::iter::empty(), |at| at == [0, 1] && a.varies(at, &cut)), Judgement::Leak(_)));
        let same = of(&[&["1", "y", "p"], &["2", "x", "p"]]);
        let tie = |at: &[usize]| at == [0, 1] && a.varies(at, &cut);
        assert_eq!(judge([&a, &same], &a, std::iter::empty(), tie), Judgement::Open);
        assert!(!a.varies(&[0, 1], &of(&[&["2", "y"], &["1", "x"]])));
    }

    #[test]
    fn a_mask_that_varies_is_no_proof() {
        let [a, b, other] = ["x", "y", "[redacted]"].map(|text| of(&[&[text]]));
        assert!(matches!(judge([&a, &b], &a, std::iter::once([other, a.clone()]), |_| false), Judgement::Leak(_)));
    }

    #[test]
    fn another_order_within_a_value_is_told_apart() {
        let (a, b) = (of(&[&["{1,23}", "x"], &["{7}", "y"]]), of(&[&["{7}", "y"], &["{23,1}", "x"]]));
        assert!(a.shuffles(&[0], &b) && a.shuffles(&[0, 1], &b));
        assert!(!a.shuffles(&[0], &of(&[&["{1,24}"], &["{7}"]])), "another value");
        assert!(!a.shuffles(&[0], &of(&[&["{1}"], &["{7,23}"]])), "in another row");
        assert!(!a.shuffles(&[0, 1], &of(&[&["{1,23}", "y"], &["{7}", "x"]])), "beside another value");
    }

    #[test]
    fn another_number_of_rows_is_a_leak() {
        assert!(leaks(&of(&[&["1"]]), &of(&[&["1"], &["1"]]), &[of(&[&["1"]])]));
    }
}
