//! Cuts a stream of bytes into messages without copying them.

use bytes::{Bytes, BytesMut};

use super::frame::frame_bytes;
use super::{Frame, HEADER_BYTES, Malformed, Run};

/// Bytes of a message that is too long to be collected that come with the news of it.
const HEAD_BYTES: usize = 4096;

/// What a splitter collects whole, and which types it hands on in runs and parts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A message up to this many bytes (header included) is collected whole.
    pub whole_bytes_max: usize,
    /// The bulk type: DataRow and CopyData from a server, CopyData from a client.
    pub bulk: &'static [u8],
    /// A bulk message up to this many bytes is collected whole, a longer one comes in parts.
    pub bulk_bytes_max: usize,
}

/// Where a part stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first part: it begins with the message's header.
    First,
    /// Neither first nor last.
    Middle,
    /// The last part.
    Last,
}

/// A part of a message that is too long to be collected.
#[derive(Debug, Clone)]
pub struct Part {
    /// The type byte of its message.
    pub tag: u8,
    /// Where it stands.
    pub place: Place,
    /// The bytes, of the first part with the header.
    pub bytes: Bytes,
}

/// What comes out of a splitter.
#[derive(Debug, Clone)]
pub enum Piece {
    /// One whole message.
    Frame(Frame),
    /// Whole bulk messages of one type, back to back.
    Run(Run),
    /// A part of one long bulk message.
    Part(Part),
    /// A message of another type over the limit. What follows of it is dropped as it comes in, unless `pass` is called.
    Oversize {
        /// The type byte.
        tag: u8,
        /// Its length with header.
        frame_bytes: usize,
        /// Its beginning, with the header: some thousand bytes.
        head: Bytes,
    },
}

#[derive(Debug)]
enum Within {
    Nothing,
    Part { tag: u8, rest_bytes: usize },
    Skip { tag: u8, rest_bytes: usize },
}

/// Cuts what is read from one socket into pieces.
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    limits: Limits,
    within: Within,
}

impl Splitter {
    /// An empty splitter.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { buffer: BytesMut::new(), limits, within: Within::Nothing }
    }

    /// Where to read into: bytes appended here come out of `next`.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Changes from now on up to what length bulk messages are collected whole.
    pub fn collect_bulk(&mut self, bulk_bytes_max: usize) {
        self.limits.bulk_bytes_max = bulk_bytes_max;
    }

    /// How many bytes the message that is being collected still lacks; a hint for how much to reserve.
    #[must_use]
    pub fn lacking_bytes(&self) -> usize {
        match (&self.within, frame_bytes(&self.buffer)) {
            (Within::Nothing, Ok(Some(length))) if length <= self.whole_bytes_max() => length.saturating_sub(self.buffer.len()),
            _ => 0,
        }
    }

    /// The longest message of the type that comes next that is collected whole. A bulk message that comes in parts has two at
    /// least, so one of a bare header is always whole.
    fn whole_bytes_max(&self) -> usize {
        match self.buffer.first() {
            Some(tag) if self.limits.bulk.contains(tag) => self.limits.bulk_bytes_max.max(HEADER_BYTES),
            _ => self.limits.whole_bytes_max,
        }
    }

    /// What follows of the message that was too long comes in parts, the first of them in the middle of it.
    pub fn pass(&mut self) {
        if let Within::Skip { tag, rest_bytes } = self.within {
            self.within = Within::Part { tag, rest_bytes };
        }
    }

    /// True while parts of a message have come out, and not its last.
    #[must_use]
    pub fn is_amid_parts(&self) -> bool {
        matches!(self.within, Within::Part { .. })
    }

    /// True between two messages with nothing read of the next.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && matches!(self.within, Within::Nothing)
    }

    /// The next piece, or `None` until more bytes have been read.
    ///
    /// # Errors
    /// `Length` for a length field out of bounds: the stream cannot be read on.
    #[expect(clippy::should_implement_trait, reason = "an iterator that has ended does not go on; this one does")]
    pub fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        match self.within {
            Within::Part { tag, rest_bytes } => Ok(self.part(tag, rest_bytes, false)),
            Within::Skip { tag, rest_bytes } => {
                self.skip(tag, rest_bytes);
                if matches!(self.within, Within::Nothing) { self.start() } else { Ok(None) }
            }
            Within::Nothing => self.start(),
        }
    }

    fn start(&mut self) -> Result<Option<Piece>, Malformed> {
        let (Some(&tag), Some(length)) = (self.buffer.first(), frame_bytes(&self.buffer)?) else { return Ok(None) };
        let bulk = self.limits.bulk.contains(&tag);
        if length > self.whole_bytes_max() {
            if bulk {
                return Ok(self.part(tag, length, true));
            }
            return Ok(self.oversize(tag, length));
        }
        if length > self.buffer.len() {
            return Ok(None);
        }
        if bulk {
            return Ok(Some(Piece::Run(self.run(tag))));
        }
        Frame::new(self.buffer.split_to(length).freeze()).map(|frame| Some(Piece::Frame(frame)))
    }

    /// A malformed length ends the run and is told by the next call: what came before it is good, however it was cut.
    fn run(&mut self, tag: u8) -> Run {
        let (mut end, mut count) = (0, 0);
        let whole_bytes_max = self.whole_bytes_max();
        while let Some(rest) = self.buffer.get(end..)
            && rest.first() == Some(&tag)
            && let Ok(Some(length)) = frame_bytes(rest)
            && length <= rest.len()
            && length <= whole_bytes_max
        {
            end += length;
            count += 1;
        }
        Run { tag, count, bytes: self.buffer.split_to(end).freeze() }
    }

    fn part(&mut self, tag: u8, rest_bytes: usize, first: bool) -> Option<Piece> {
        if self.buffer.len() < if first { HEADER_BYTES } else { 1 } {
            return None;
        }
        // A message that is all there still comes as a first and a last part: whoever waits for the last one sees it.
        let here_bytes = if first { rest_bytes.saturating_sub(1) } else { rest_bytes };
        let bytes = self.buffer.split_to(here_bytes.min(self.buffer.len())).freeze();
        let rest_bytes = rest_bytes - bytes.len();
        self.within = if rest_bytes == 0 { Within::Nothing } else { Within::Part { tag, rest_bytes } };
        let place = match (first, rest_bytes) {
            (true, _) => Place::First,
            (false, 0) => Place::Last,
            (false, _) => Place::Middle,
        };
        Some(Piece::Part(Part { tag, place, bytes }))
    }

    fn oversize(&mut self, tag: u8, frame_bytes: usize) -> Option<Piece> {
        // One byte at least is left, so that a last part follows where the rest is passed on.
        let head_bytes = HEAD_BYTES.min(frame_bytes - 1);
        if self.buffer.len() < head_bytes {
            return None;
        }
        let head = self.buffer.split_to(head_bytes).freeze();
        self.within = Within::Skip { tag, rest_bytes: frame_bytes - head_bytes };
        Some(Piece::Oversize { tag, frame_bytes, head })
    }

    fn skip(&mut self, tag: u8, rest_bytes: usize) {
        let dropped = rest_bytes.min(self.buffer.len());
        let _ = self.buffer.split_to(dropped);
        let rest_bytes = rest_bytes - dropped;
        self.within = if rest_bytes == 0 { Within::Nothing } else { Within::Skip { tag, rest_bytes } };
    }
}
