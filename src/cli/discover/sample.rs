//! A bounded look at a table's rows: questions, and counts of what the values look like. The values go no further.

use super::detect::{self, Shape};
use crate::sql::Relation;

/// Most characters of a value that are looked at.
const VALUE_CHARS_MAX: u32 = 2_000;
/// Tables larger than this are sampled by blocks.
const BLOCKS_FROM_ROWS: u64 = 100_000;
/// Words that make a value free text.
const WORDS_OF_TEXT: usize = 8;

/// What the sampled values of a column look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Values that are not NULL.
    pub(super) values: usize,
    /// Values of many words.
    pub(super) texts: usize,
    /// Values that are of a shape as a whole.
    pub(super) whole: Vec<(Shape, usize)>,
    /// Values in which something of a shape stands.
    pub(super) within: Vec<(Shape, usize)>,
}

impl Counts {
    /// Counts the values of a column.
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut counts = Self::default();
        for value in values {
            counts.values += 1;
            counts.texts += usize::from(value.split_whitespace().nth(WORDS_OF_TEXT - 1).is_some());
            detect::whole(value).into_iter().for_each(|shape| count(&mut counts.whole, shape));
            detect::within(value).into_iter().for_each(|shape| count(&mut counts.within, shape));
        }
        counts.whole.sort_by_key(|(shape, number)| (std::cmp::Reverse(*number), *shape));
        counts.within.sort_by_key(|(shape, number)| (std::cmp::Reverse(*number), *shape));
        counts
    }

    /// How many values are of this shape as a whole.
    pub(super) fn whole(&self, shape: Shape) -> usize {
        self.whole.iter().find(|(known, _)| *known == shape).map_or(0, |(_, number)| *number)
    }

    /// True if at least this share of the values, in percent, is counted by `number`.
    pub(super) fn mostly(&self, number: usize, percent: usize) -> bool {
        self.values > 0 && number.saturating_mul(100) >= self.values.saturating_mul(percent)
    }
}

fn count(counts: &mut Vec<(Shape, usize)>, shape: Shape) {
    match counts.iter_mut().find(|(known, _)| *known == shape) {
        Some((_, number)) => *number += 1,
        None => counts.push((shape, 1)),
    }
}

/// Asks for some rows: of a large table from blocks taken here and there, of a small one the first.
pub(super) fn query(table: &Relation, rows: u32, size: u64) -> String {
    let column = |name: &str| format!("pg_catalog.left(t.{}::pg_catalog.text, {VALUE_CHARS_MAX})", quoted(name));
    let columns: Vec<String> = table.columns.iter().map(|attribute| column(&attribute.name)).collect();
    let columns = if columns.is_empty() { "null".to_owned() } else { columns.join(", ") };
    let blocks = if size > BLOCKS_FROM_ROWS {
        // Twenty times what is wanted: rows stand in blocks, and blocks are not full.
        let all = u32::try_from(size).unwrap_or(u32::MAX);
        let percent = (f64::from(rows) * 2_000.0 / f64::from(all)).clamp(0.000_1, 100.0);
        format!(" tablesample system ({percent:.4})")
    } else {
        String::new()
    };
    format!("select {columns} from {}.{} t{blocks} limit {rows}", quoted(&table.schema), quoted(&table.name))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
