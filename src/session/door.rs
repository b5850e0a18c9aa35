//! Sockets that are polled: what a session waits for at both of its doors.

use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::outbox::Outbox;
use crate::{backend, frontend};

/// How much is read at once from a socket that has much to say.
pub(super) const READ_BYTES: usize = 64 * 1024;
/// How much is read at once from one that has little.
pub(super) const SMALL_READ_BYTES: usize = 8 * 1024;

/// A socket that can say whether there is something to read before memory is set aside for it.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Ready if something may be there to be read. May be wrong in saying so.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Socket for frontend::Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Clear(tcp) => tcp.poll_read_ready(cx).map(|_| ()),
            Self::Unix(unix) => unix.poll_read_ready(cx).map(|_| ()),
            // Some of it may have been decrypted already.
            Self::Tls(_) => Poll::Ready(()),
        }
    }
}

impl Socket for backend::Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx).map(|_| ()),
            Self::Unix(unix) => unix.poll_read_ready(cx).map(|_| ()),
            Self::Tls(_) => Poll::Ready(()),
        }
    }
}

/// What a socket did.
pub(super) enum Moved {
    Read(usize),
    Wrote,
    /// It takes nothing any more; what it has said may still be read.
    Deaf,
}

/// Moves bytes through one socket: writes what may be written, reads if there is room. Nothing is lost when it is dropped.
/// While all is `flowing`, a write is not told.
pub(super) async fn door<T: Socket>(
    socket: &mut T,
    mut into: Option<(&mut BytesMut, usize)>,
    outbox: &mut Outbox,
    durable: u64,
    flowing: bool,
) -> std::io::Result<Moved> {
    std::future::poll_fn(|cx| {
        if outbox.may_write(durable)
            && let Poll::Ready(written) = outbox.poll_write(socket, durable, cx)
            && !(flowing && written.is_ok())
        {
            return Poll::Ready(Ok(if written.is_ok() { Moved::Wrote } else { Moved::Deaf }));
        }
        match &mut into {
            Some((buffer, bytes)) => {
                // Memory is asked for only when little is left: what was read lately may still be in use elsewhere.
                if buffer.capacity() - buffer.len() < *bytes / 4 {
                    ready!(socket.poll_readable(cx));
                    buffer.reserve(*bytes);
                }
                poll_read(socket, buffer, cx).map(|read| read.map(Moved::Read))
            }
            None => Poll::Pending,
        }
    })
    .await
}

/// Waits until the task that asks the server to cancel is done; for ever where there is none. Cancel safe.
pub(super) async fn gone(sent: &mut Option<oneshot::Receiver<()>>) {
    match sent {
        Some(sent) => {
            let _ = sent.await;
        }
        None => std::future::pending().await,
    }
}

/// How much is read next from a socket that has just given so many bytes.
pub(super) fn next_read_bytes(bytes: usize) -> usize {
    if bytes >= SMALL_READ_BYTES / 2 { READ_BYTES } else { SMALL_READ_BYTES }
}

fn poll_read<T: AsyncRead + Unpin>(socket: &mut T, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    let mut read = std::pin::pin!(tokio::io::AsyncReadExt::read_buf(socket, buffer));
    read.as_mut().poll(cx)
}
