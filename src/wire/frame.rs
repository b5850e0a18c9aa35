//! One message with its header, and runs of many.

use bytes::Bytes;

use super::Malformed;

/// Bytes in front of a message's body: the type byte and the length.
pub const HEADER_BYTES: usize = 5;

/// One whole message as it stands on the wire: type byte, length, body.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
}

impl Frame {
    /// Takes bytes that are exactly one message.
    ///
    /// # Errors
    /// `Length` if the length field does not say just that.
    pub fn new(bytes: Bytes) -> Result<Self, Malformed> {
        match frame_bytes(&bytes)? {
            Some(length) if length == bytes.len() => Ok(Self { bytes }),
            _ => Err(Malformed::Length(i64::try_from(bytes.len()).unwrap_or(i64::MAX))),
        }
    }

    /// The type byte.
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// The body, without type byte and length.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// The body as a slice that shares this frame's memory.
    #[must_use]
    pub fn body_bytes(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES.min(self.bytes.len())..)
    }

    /// The whole message.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The whole message, sharing its memory.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Shows type and length, never the body: a body can hold PHI or a password.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", char::from(self.tag()), self.bytes.len())
    }
}

/// One or more whole messages of one bulk type (DataRow or CopyData), back to back.
#[derive(Clone)]
pub struct Run {
    /// The type byte that all of them have.
    pub tag: u8,
    /// How many messages there are.
    pub count: usize,
    /// The messages with their headers.
    pub bytes: Bytes,
}

impl Run {
    /// The first `count` messages, and the others. Time: one look at each header of the first.
    #[must_use]
    pub fn split(self, count: usize) -> (Self, Self) {
        let mut at = 0;
        let mut first = 0;
        while first < count.min(self.count) {
            match self.bytes.get(at..).map(frame_bytes) {
                Some(Ok(Some(length))) => at += length,
                _ => break,
            }
            first += 1;
        }
        let Self { tag, count, mut bytes } = self;
        let head = bytes.split_to(at.min(bytes.len()));
        (Self { tag, count: first, bytes: head }, Self { tag, count: count - first, bytes })
    }

    /// The bodies, in order.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.bytes;
        std::iter::from_fn(move || {
            let length = frame_bytes(rest).ok()??;
            let (frame, behind) = rest.split_at_checked(length)?;
            rest = behind;
            frame.get(HEADER_BYTES..)
        })
    }
}

/// Shows type and counts, never the bodies.
impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({:?}, {} frames, {} bytes)", char::from(self.tag), self.count, self.bytes.len())
    }
}

/// Length of the message that begins here, header included; `None` while the header is not all there.
pub(super) fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(&[_, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes([a, b, c, d]);
    match usize::try_from(length) {
        Ok(length) if (4..=super::MESSAGE_BYTES_MAX + 4).contains(&length) => Ok(Some(length + 1)),
        _ => Err(Malformed::Length(length.into())),
    }
}
