//! How many questions about one masked column an identity may ask: each answer to "is it equal to this?" tells a little.
//!
//! Pure: time is an argument.

use std::collections::HashMap;

use super::{Outcome, Then};

/// Questions that an identity may ask about one column if the policy does not say.
pub const QUESTIONS_DEFAULT: u64 = 1000;
/// Most questions that a policy may allow.
pub(super) const QUESTIONS_MAX: u64 = 100_000;
/// The time they are counted over if the policy does not say, in milliseconds.
pub const QUESTIONS_WITHIN_MS_DEFAULT: u64 = 3_600_000;
/// Shortest time they are counted over, in milliseconds.
pub(super) const QUESTIONS_WITHIN_MS_MIN: u64 = 1000;
/// Longest time they are counted over, in milliseconds.
pub(super) const QUESTIONS_WITHIN_MS_MAX: u64 = 7 * 86_400_000;
/// A text of so many bytes may ask for one value; a longer one, with a list of them, counts for as many questions as it has such
/// pieces.
pub const QUESTION_BYTES: usize = 2048;
/// Most pairs of identity and column that are counted at a time.
const PAIRS_MAX: usize = 65_536;

/// How many questions, in which time, and what happens to those beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Questions about one column by one identity.
    pub questions: u64,
    /// In so many milliseconds.
    pub within_ms: u64,
    /// What happens to the next; `Forward` if they are not counted.
    pub beyond: Outcome,
}

/// The questions that were asked lately.
#[derive(Debug, Default)]
pub struct Questions {
    asked: HashMap<(String, String), Asked>,
}

/// The questions of one identity about one column: when each was last asked, and for how many it counts.
#[derive(Debug, Default)]
struct Asked {
    last: HashMap<[u8; 16], (u64, u64)>,
}

impl Budget {
    pub(super) fn of(questions: u64, within_ms: u64, then: &Then) -> Self {
        let beyond = match then {
            Then::Allow => Outcome::Forward,
            Then::Hold(terms) => Outcome::Hold(terms.clone()),
            Then::Block => Outcome::Block,
        };
        Self { questions, within_ms, beyond }
    }
}

impl Questions {
    /// Counts a question, its text with its parameters, about a column; true if it is within the budget. The same question
    /// asked again counts once. `now_ms` is a clock that does not go back.
    pub fn ask(&mut self, budget: &Budget, identity: &str, column: &str, question: &[u8], now_ms: u64) -> bool {
        if budget.beyond == Outcome::Forward {
            return true;
        }
        let oldest = now_ms.saturating_sub(budget.within_ms);
        let key = (identity.to_owned(), column.to_owned());
        if !self.asked.contains_key(&key) && !self.makes_room(oldest) {
            return false;
        }
        self.asked.entry(key).or_default().ask(budget.questions, question, now_ms, oldest)
    }

    /// Begins to count an identity's questions about a column anew: a person has agreed to more.
    pub fn forget(&mut self, identity: &str, column: &str) {
        self.asked.remove(&(identity.to_owned(), column.to_owned()));
    }

    fn makes_room(&mut self, oldest: u64) -> bool {
        if self.asked.len() >= PAIRS_MAX {
            self.asked.retain(|_, asked| asked.last.values().any(|(at, _)| *at >= oldest));
        }
        self.asked.len() < PAIRS_MAX
    }
}

impl Asked {
    fn ask(&mut self, most: u64, question: &[u8], now_ms: u64, oldest: u64) -> bool {
        let mark = mark(question);
        if let Some((at, _)) = self.last.get_mut(&mark).filter(|(at, _)| *at >= oldest) {
            *at = now_ms;
            return true;
        }
        let weight = 1 + u64::try_from(question.len() / QUESTION_BYTES).unwrap_or(u64::MAX - 1);
        self.last.retain(|_, (at, _)| *at >= oldest);
        let spent = self.last.values().fold(0_u64, |sum, (_, weight)| sum.saturating_add(*weight));
        let within = spent.saturating_add(weight) <= most;
        if within {
            self.last.insert(mark, (now_ms, weight));
        }
        within
    }
}

/// What tells a question from others.
fn mark(question: &[u8]) -> [u8; 16] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, question);
    let mut mark = [0; 16];
    mark.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    mark
}
