//! The read side: sessions found, shown as they were seen, and the whole log verified.
//!
//! Nothing here writes, and nothing here asks a running proxy: a stopped log, a copy and a log in use are read alike.

mod archive;
mod journal;
mod rows;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod verify;
mod walk;

pub use archive::{Archive, Filter, Found};
pub use rows::{Column, Reader, Seen};
pub use value::shown;
pub use verify::{Evidence, Finding, Report, verify};
