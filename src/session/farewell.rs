//! The end of a session: what the client still gets, and that both sides are closed.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use super::End;
use super::door::gone;
use super::relay::Relay;
use crate::ledger::{Event, SessionClosed};
use crate::mask;
use crate::store::Position;
use crate::wire;

/// How long the last words of a session may take.
pub(super) const FAREWELL_MAX: Duration = Duration::from_secs(5);
/// How long they may take where the session is ended by force.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);
/// How long the goodbye to the database may take.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

impl<C, S> Relay<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Gives the client what is still on its way, and a last word of our own if the end calls for one.
    pub(super) async fn farewell(&mut self, end: &End) {
        let _ = self.share.keep(0, usize::MAX);
        let _ = self.recording.flush();
        if (end.is_forced() || *end == End::Shutdown) && !self.flow.is_quiet() {
            // What runs is not to be finished, and a database that is busy does not see that its client has gone.
            let ((done, _), (sent, told)) = (oneshot::channel(), oneshot::channel());
            self.house.cancel_upstream(&self.ground, self.upstream_key.clone(), (done, sent));
            self.cancel_sent = Some(told);
        }
        // Amid a long message a word of ours would be taken for a part of it.
        if let Some(fault) = end.fault()
            && !self.from_server.is_amid_parts()
        {
            self.to_client.push(mask::own(fault.fatal()).into_inner());
        }
        let position = self.recording.position();
        self.to_client.gate(position);
        if *end == End::Terminated || *end == End::ClientGone {
            return;
        }
        if *end != End::LogFailed && self.recording.recorder().wait(Position(position)).await.is_err() {
            return;
        }
        let durable = if *end == End::LogFailed { u64::MAX } else { position };
        let Self { client, to_client, .. } = self;
        let last = std::future::poll_fn(|cx| to_client.poll_write(client, durable, cx));
        let time_max = match end {
            // The process waits for the last entries of its sessions, but not long.
            End::Shutdown => GOODBYE_MAX,
            end if end.is_forced() => LAST_WORD_MAX,
            _ => FAREWELL_MAX,
        };
        let _ = tokio::time::timeout(time_max, last).await;
    }

    /// Ends both sides and the session's entries. The database's side is closed at once where the client is gone, so that its
    /// locks and transactions end.
    pub(super) async fn close(&mut self, end: &End) {
        let _ = self.withdraw();
        // Amid a message its bytes would be taken for the message's own.
        let amid_message = self.from_client.is_amid_parts() || self.to_server.waiting_bytes() > 0;
        if self.cancel_sent.is_some() {
            let _ = tokio::time::timeout(GOODBYE_MAX, gone(&mut self.cancel_sent)).await;
        }
        let _ = tokio::time::timeout(GOODBYE_MAX, async {
            if !amid_message {
                let _ = self.server.write_all(&wire::terminate()).await;
            }
            let _ = self.server.shutdown().await;
            let _ = self.client.shutdown().await;
            if *end == End::Full {
                // Closed amid what the client is sending, it would never read its last words.
                let _ = tokio::io::copy(&mut self.client, &mut tokio::io::sink()).await;
            }
        })
        .await;
        let closed = Event::SessionClosed(SessionClosed { reason: end.reason().into() });
        if self.recording.append(closed).and_then(|()| self.recording.flush()).is_ok() {
            let _ = self.recording.recorder().wait(Position(self.recording.position())).await;
        }
    }
}
