//! Bytes on their way to one socket, some of which may not leave before the log has them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Up to this many bytes a chunk is copied to the end of the one before it, so that small messages leave in one write.
const COPIED_BYTES_MAX: usize = 2048;
/// Most pieces in one vectored write.
const SLICES_MAX: usize = 32;

/// A queue of bytes with gates: what stands behind a gate waits for a position of the log.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    /// (bytes pushed in all when the gate was set, position of the log that opens it), both ascending.
    gates: VecDeque<(u64, u64)>,
    pushed: u64,
    written: u64,
    unflushed: bool,
    closed: bool,
    /// The socket is to be shut when all is written.
    ends: bool,
    shut: bool,
}

impl Outbox {
    /// The socket takes nothing any more: drops what waits and what comes.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    /// Nothing will come any more: the socket is shut behind what waits.
    pub(super) fn end(&mut self) {
        self.ends = !self.closed;
    }

    /// Gives memory back, if nothing waits.
    pub(super) fn rest(&mut self) {
        if self.waiting_bytes() == 0 && self.tail.capacity() > 0 {
            self.tail = BytesMut::new();
        }
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.closed || self.shut {
            return;
        }
        self.pushed += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if bytes.len() <= COPIED_BYTES_MAX {
            if self.tail.capacity() == 0 {
                self.tail.reserve(COPIED_BYTES_MAX);
            }
            self.tail.extend_from_slice(&bytes);
        } else {
            self.close_tail();
            self.chunks.push_back(bytes);
        }
    }

    /// What has been pushed since the last gate waits until the log has reached `position`.
    pub(super) fn gate(&mut self, position: u64) {
        let from = self.gates.back().map_or(self.written, |(end, _)| *end);
        if self.pushed > from {
            self.gates.push_back((self.pushed, position));
        }
    }

    /// Bytes that have not been written.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.pushed - self.written
    }

    /// True if something may be written now that the log has reached `durable`.
    pub(super) fn may_write(&self, durable: u64) -> bool {
        self.unflushed || self.released(durable) > 0 || self.is_to_be_shut()
    }

    fn is_to_be_shut(&self) -> bool {
        self.ends && !self.shut && self.waiting_bytes() == 0
    }

    /// The first position of the log that this queue waits for, if it waits for one.
    pub(super) fn awaited(&self, durable: u64) -> Option<u64> {
        self.gates.iter().map(|(_, position)| *position).find(|position| *position > durable)
    }

    /// Bytes that may be written. What no gate has been set behind yet waits, too.
    fn released(&self, durable: u64) -> u64 {
        let end = self.gates.iter().take_while(|(_, position)| *position <= durable).last().map_or(self.written, |(end, _)| *end);
        end - self.written
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    /// Writes what may be written, and flushes when that is done; shuts the socket behind the end.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        durable: u64,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        loop {
            let released = self.released(durable);
            if released == 0 {
                break;
            }
            self.close_tail();
            let written = ready!(self.poll_some(socket, released, cx))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        if self.is_to_be_shut() {
            ready!(Pin::new(socket).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_some<S: AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
        released: u64,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut rest = usize::try_from(released).unwrap_or(usize::MAX);
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            let taken = rest.min(chunk.len());
            *slice = IoSlice::new(chunk.get(..taken).unwrap_or_default());
            rest -= taken;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        Pin::new(socket).poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
    }

    fn advance(&mut self, mut written: usize) {
        self.written += u64::try_from(written).unwrap_or(u64::MAX);
        while let Some(chunk) = self.chunks.front_mut() {
            let taken = written.min(chunk.len());
            chunk.advance(taken);
            written -= taken;
            if !chunk.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
        while self.gates.front().is_some_and(|(end, _)| *end <= self.written) {
            self.gates.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(outbox: &mut Outbox, durable: u64) -> Vec<u8> {
        let mut socket = Vec::new();
        std::future::poll_fn(|cx| outbox.poll_write(&mut socket, durable, cx)).await.unwrap();
        socket
    }

    #[tokio::test]
    async fn nothing_leaves_before_its_gate_opens() {
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"one"));
        assert!(!outbox.may_write(9), "what has no gate yet waits");
        outbox.gate(1);
        outbox.push(Bytes::from(vec![b'x'; 5000]));
        outbox.gate(2);
        outbox.push(Bytes::from_static(b"two"));
        assert_eq!(outbox.awaited(0), Some(1));
        assert_eq!(outbox.awaited(1), Some(2), "also while what the log has is still to be written");
        assert_eq!(written(&mut outbox, 0).await, b"");
        assert_eq!(written(&mut outbox, 1).await, b"one");
        assert_eq!(outbox.awaited(1), Some(2));
        assert_eq!(written(&mut outbox, 2).await.len(), 5000);
        assert_eq!(outbox.waiting_bytes(), 3);
        outbox.gate(2);
        assert_eq!(written(&mut outbox, 2).await, b"two");
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[tokio::test]
    async fn the_socket_is_shut_behind_the_last_byte() {
        use tokio::io::AsyncReadExt;
        let mut outbox = Outbox::default();
        let (mut near, mut far) = tokio::io::duplex(64);
        outbox.push(Bytes::from_static(b"last"));
        outbox.gate(1);
        outbox.end();
        assert!(!outbox.may_write(0), "its gate is closed");
        std::future::poll_fn(|cx| outbox.poll_write(&mut near, 0, cx)).await.unwrap();
        assert!(outbox.may_write(1));
        std::future::poll_fn(|cx| outbox.poll_write(&mut near, 1, cx)).await.unwrap();
        assert!(!outbox.may_write(1), "once is enough");
        outbox.push(Bytes::from_static(b"more"));
        assert_eq!(outbox.waiting_bytes(), 0, "nothing comes behind the end");
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"last");
    }
}
