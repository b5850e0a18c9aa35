//! The only place that turns what the database sent into what a client may see.
//!
//! Knows types, formats and strategies; not users, groups or policy files. The client's door and the ledger take `Masked`
//! values only, and nothing outside this room can make one.

mod array;
mod builtin;
mod cell;
mod condition;
mod constant;
mod copy;
mod csv;
mod date;
mod glob;
mod interval;
mod json;
mod judge;
mod keys;
mod kind;
mod map;
mod message;
mod month;
mod number;
mod numeric;
mod path_text;
mod paths;
mod plan;
mod pseudonym;
mod resolve;
mod row;
pub mod scan;
mod strategy;
mod stream;
mod text;
mod veil;
mod views;
mod zip;

pub use copy::{COPY_ROW_BYTES_MAX, CopyPlan, CopyStream};
pub use csv::CsvMask;
pub use judge::{Judged, Judgement, Remnant, doubt, judge, remnants};
pub use keys::{Keys, PseudonymKey};
pub use map::{ColumnRule, MaskMap, MaskedColumn, Predicates};
pub use message::message;
pub use path_text::PathFault;
pub use paths::{JsonMask, Part};
pub use plan::{ColumnVerdict, RowPlan, Verdict};
pub use strategy::{PseudonymAs, PseudonymForm, Strategy};
pub use stream::{CannotStream, Exposure, copy, copy_part, own};
pub use veil::{Masked, Unmasked};

/// What stands for a text that is masked whole.
pub const PLACEHOLDER: &str = "[redacted]";
/// A constant of type `char(n)` is padded to no more characters than this, so that a wide type costs no memory.
const PAD_CHARS_MAX: usize = 256;
/// Most dimensions of an array (PostgreSQL's `MAXDIM`).
const ARRAY_DIMENSIONS_MAX: usize = 6;

#[cfg(test)]
mod tests;
