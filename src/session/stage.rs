//! What a session does when the process reloads its configuration, or when one of them comes to its end.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::ground::View;
use super::relay::{Relay, VEILED_ROW_BYTES_MAX};
use super::{End, Stage};
use crate::ledger::Event;
use crate::wire::TransactionStatus;

/// How the log calls the policy that a session's statements are decided by from here on.
const POLICY: &str = "policy";

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// The process has come to another stage.
    pub(super) fn staged(&mut self, stage: Stage) -> Result<(), End> {
        match stage {
            Stage::Ending => Err(End::Shutdown),
            Stage::Draining => {
                self.draining = true;
                Ok(())
            }
            Stage::Serving(_) if self.ground.is_retired() || !self.house.knows(&self.who) => Err(End::Reconfigured),
            // Another policy is met by the next statement.
            Stage::Serving(_) => Ok(()),
        }
    }

    /// True if the process is to end and nothing is under way here: no statement, no transaction, no byte.
    pub(super) fn is_drained(&self) -> bool {
        self.draining
            && self.hold.is_none()
            && self.waiting.is_none()
            && self.flow.is_quiet()
            && !self.flow.is_copying_in()
            && self.flow.status() != TransactionStatus::Open
            && self.from_client.is_empty()
            && self.to_client.waiting_bytes() == 0
            && self.to_server.waiting_bytes() == 0
    }

    /// Counts what waits here with what waits in other sessions.
    pub(super) fn weigh(&mut self) -> Result<(), End> {
        let sockets = self.to_client.waiting_bytes().saturating_add(self.to_server.waiting_bytes());
        let frames = self.from_client.buffer().len() + self.from_server.buffer().len();
        let bytes = frames.saturating_add(usize::try_from(sockets).unwrap_or(usize::MAX));
        if self.share.keep(bytes, self.bounds.queue_bytes_max) { Ok(()) } else { Err(End::Full) }
    }

    /// Statements are decided upon by this view from now on; the log is told if another policy has come with it.
    pub(super) fn adopt(&mut self, view: Arc<View>) -> Result<(), End> {
        if Arc::ptr_eq(&self.view, &view) {
            return Ok(());
        }
        let version = view.sight.charter.policy.version();
        if self.view.sight.charter.policy.version() != version {
            let loaded = Event::ConfigurationLoaded(vec![(POLICY.to_owned(), version)]);
            self.recording.append(loaded).map_err(|_| End::LogFailed)?;
        }
        if !view.sight.masks.is_empty() {
            self.from_server.collect_bulk(VEILED_ROW_BYTES_MAX);
        }
        self.view = view;
        Ok(())
    }

    /// True if a statement was decided upon by a policy that is not in force any more.
    pub(super) fn is_superseded(&self, ruling: &super::ruling::Ruling) -> bool {
        ruling.verdict().sight.charter.policy.version() != self.ground.policy().version()
    }
}
