//! A cursor over one message body.

use super::Malformed;

/// Reads the fields of one message body in order; nothing outside the body can be reached through it.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    tag: u8,
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    /// Starts at the first byte of `body`, the body of a message of type `tag`.
    #[must_use]
    pub fn new(tag: u8, body: &'a [u8]) -> Self {
        Self { tag, rest: body }
    }

    /// A string up to its zero byte, without it.
    ///
    /// # Errors
    /// `Short` if there is no zero byte.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|b| *b == 0).ok_or(Malformed::Short { tag: self.tag })?;
        let string = self.bytes(end)?;
        self.bytes(1)?;
        Ok(string)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `Short` if fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short { tag: self.tag })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short { tag: self.tag })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[b]| b)
    }

    /// An `Int16`.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    /// An `Int16` that counts something. PostgreSQL reads it without sign.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        self.array().map(|b| usize::from(u16::from_be_bytes(b)))
    }

    /// An `Int32`.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// An object identifier.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn oid(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A value with its length in front: `None` for the length -1, which stands for NULL.
    ///
    /// # Errors
    /// `Short` if the value is not all there, `Length` for a length below -1.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let count = usize::try_from(length).map_err(|_| Malformed::Length(length.into()))?;
                self.bytes(count).map(Some)
            }
        }
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error that says that a field of this message holds an unknown value.
    #[must_use]
    pub fn unknown(&self) -> Malformed {
        Malformed::Value { tag: self.tag }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `LeftOver` if bytes remain.
    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::LeftOver { tag: self.tag }) }
    }
}
