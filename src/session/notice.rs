//! The one NOTICE that tells a client which columns were masked because they could not be traced.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::plan::Plan;
use super::recording::Released;
use super::relay::Relay;
use super::ruling::Ruling;
use super::{End, fault};
use crate::mask;

/// Texts of which one session remembers that they have had their notice; past that all begin anew.
const TEXTS_MAX: usize = 4096;
/// Columns that a notice names.
const COLUMNS_MAX: usize = 16;

/// The texts of one session that have had their notice.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    texts: HashSet<u64>,
    state: RandomState,
    /// The exchange whose rows were looked at last.
    number: u64,
}

impl Noticed {
    /// True if this text has its notice now.
    fn enter(&mut self, text: &Bytes, columns: &str) -> bool {
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        self.texts.insert(self.state.hash_one((text, columns)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// Before rows: says which of their columns are masked because they could not be traced.
    pub(super) fn notice(&mut self, number: u64, ruling: Option<&Ruling>, plan: Option<&Plan>) -> Result<(), End> {
        let (Some(ruling), Some(plan)) = (ruling, plan) else { return Ok(()) };
        if !self.house.notices || plan.rows.is_clear() || std::mem::replace(&mut self.noticed.number, number) == number {
            return Ok(());
        }
        let columns: Vec<String> =
            plan.rows.untraced().take(COLUMNS_MAX).map(|column| format!("`{}`: {}", column.name, column.reason)).collect();
        if columns.is_empty() {
            return Ok(());
        }
        let columns = columns.join("; ");
        if !self.noticed.enter(&ruling.verdict().text, &columns) {
            return Ok(());
        }
        let notice = mask::own(fault::untraced(&columns));
        self.release(number, Some(ruling), notice, Released::Message)
    }
}
