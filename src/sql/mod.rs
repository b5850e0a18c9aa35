//! Statement text and a catalog value become facts.
//!
//! Bytes, tokens, statements and nesting are bounded before a tree is built, and chains of operators are flat in it: neither reading a
//! text nor walking or dropping its tree can overflow a stack, and the time is linear in the text's length.

mod call;
mod catalog;
mod change;
mod copy;
mod copying;
mod definition;
mod expr;
mod facts;
mod lex;
mod lineage;
mod moves;
mod names;
mod notify;
mod plain;
mod plpgsql;
mod query;
mod reader;
mod restrict;
mod statement;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
mod text;
mod trace;
mod tree;
mod walk;

pub use catalog::{Attribute, Catalog, ColumnOrigin, Function, Relation, RelationKind, TypeInfo, TypeKind, Volatility};
pub use copy::{CopyFormat, CopyLayout, copied};
pub use facts::{
    Analysis, Facts, FunctionName, RelationName, Setting, Shift, Temporaries, Temporary, UnknownReason, Verb, Where,
};
pub use lineage::{Asked, JsonStep, Lineage, ResultColumn, SOURCES_MAX, Source, Step, Stored, Untraced, Use, Way};
pub use notify::{Notification, Said, notifications};
pub use trace::{expression, view_columns};

/// Functions whose result is made of more than their arguments.
#[cfg(test)]
pub(crate) fn readers() -> &'static [&'static str] {
    &trace::READERS
}

/// The facts of every statement of a text, in order.
///
/// What cannot be read is one statement of the verb `unknown` with the reason; nothing of the text is in it. The result depends on the
/// arguments alone.
#[must_use]
pub fn analyze(text: &[u8], setting: &Setting<'_>) -> Analysis {
    text::analyze(text, setting)
}
