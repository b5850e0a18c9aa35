//! The messages of a login, one at a time.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::accept::io;
use super::{Refusal, Stream};
use crate::wire::{self, Frame, Limits, Part, Piece, Run, Splitter, client_tag};

const READ_BYTES: usize = 2_048;

pub(super) struct Exchange<'a> {
    stream: &'a mut Stream,
    splitter: Splitter,
}

impl<'a> Exchange<'a> {
    /// An exchange whose messages are no longer than this; `buffer` has been read already.
    pub(super) fn new(stream: &'a mut Stream, buffer: BytesMut, bytes_max: usize) -> Self {
        let limits = Limits { whole_bytes_max: bytes_max, bulk: &[], bulk_bytes_max: bytes_max };
        let mut splitter = Splitter::new(limits);
        *splitter.buffer() = buffer;
        Self { stream, splitter }
    }

    pub(super) async fn say(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.stream.write_all(message).await.map_err(io)?;
        self.stream.flush().await.map_err(io)
    }

    pub(super) async fn hear(&mut self) -> Result<Frame, Refusal> {
        loop {
            match self.splitter.next()? {
                Some(Piece::Frame(frame)) if frame.tag() == client_tag::PASSWORD => return Ok(frame),
                Some(Piece::Frame(frame)) if frame.tag() == client_tag::TERMINATE => return Err(Refusal::Gone),
                Some(Piece::Frame(frame)) => return Err(Refusal::Unexpected(frame.tag())),
                Some(Piece::Oversize { frame_bytes, .. }) => {
                    let length = i64::try_from(frame_bytes).unwrap_or(i64::MAX);
                    return Err(Refusal::Malformed(wire::Malformed::Length(length)));
                }
                // INVARIANT: no type is bulk here.
                Some(Piece::Run(Run { tag, .. }) | Piece::Part(Part { tag, .. })) => return Err(Refusal::Unexpected(tag)),
                None => {}
            }
            self.splitter.buffer().reserve(READ_BYTES);
            if self.stream.read_buf(self.splitter.buffer()).await.map_err(io)? == 0 {
                return Err(Refusal::Gone);
            }
        }
    }

    pub(super) fn leftover(mut self) -> BytesMut {
        std::mem::take(self.splitter.buffer())
    }
}
