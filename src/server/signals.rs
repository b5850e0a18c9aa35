//! What the operating system asks of the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::StartFault;

/// The signals that are listened for.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end (SIGTERM, SIGINT).
    End,
    /// To read the configuration again (SIGHUP).
    Reload,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn new() -> Result<Self, StartFault> {
        let listen = |kind| signal(kind).map_err(StartFault::Runtime);
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up: listen(SignalKind::hangup())? })
    }

    /// The next of them. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            Some(()) = self.terminate.recv() => Asked::End,
            Some(()) = self.interrupt.recv() => Asked::End,
            Some(()) = self.hang_up.recv() => Asked::Reload,
            else => std::future::pending().await,
        }
    }

    /// The next that asks for the end. Cancel safe.
    pub(super) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}
