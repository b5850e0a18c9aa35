//! Statements that wait for a person, and the people's answers. Silence is denial.
//!
//! A session opens a hold and waits on its `Waiting`; people answer at the `Desk`. Whoever withdraws (cancel, disconnect) drops
//! the `Waiting`. Every step is reported as an entry for the log before it takes effect.

mod desk;
mod hold;
mod view;

#[cfg(test)]
mod tests;

pub use desk::{Bounds, Desk, Record, Waiting};
pub use hold::{AnswerFault, HoldRequest, OpenFault, Person, Progress, Shown, Verdict};
pub use view::{HoldDetail, HoldSummary};

/// Most bytes of statements and parameters that wait, all holds together.
pub const HELD_BYTES_MAX: usize = 64 << 20;
/// Most parameters of a held statement that are kept for showing.
pub const PARAMETERS_SHOWN_MAX: usize = 200;
/// Most characters of one parameter that are shown.
pub const PARAMETER_CHARS_MAX: usize = 1000;
/// Most characters of a statement in a list.
pub const SUMMARY_CHARS_MAX: usize = 160;
/// Most characters of a reason that a person gives; the rest is cut off.
pub const REASON_CHARS_MAX: usize = 500;
