//! An entry: its bytes, and back.

use super::fields::{Fields, Written, opened};
use super::{Body, DataKey, Event, Hash, LedgerError, SessionId, body, header};

/// The version of the format that is written.
pub const FORMAT_VERSION: u64 = 1;

/// Most bytes of the CBOR heads of the entry, its header and its sealed part.
const ENTRY_HEADS_BYTES: usize = 16;

/// Where and when an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number in the log, from 0, without gaps.
    pub index: u64,
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// The session and the entry's number in it, from 1, without gaps; `None` for what belongs to no session.
    pub session: Option<(SessionId, u64)>,
}

/// What became of the sealed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The event has no sealed part.
    None,
    /// It was opened and is in the event.
    Open,
    /// It is there but was not opened: no key was given.
    Sealed,
}

/// The bytes of an event at a place. The sealed part needs the session's key; `None` leaves it out, which is right only for
/// events that have none.
///
/// # Errors
/// `Oversize` for a body over the bound, `Key` if a sealed part has no key.
pub fn encode(place: &Place, event: &Event, key: Option<&DataKey>) -> Result<Vec<u8>, LedgerError> {
    encode_with(place, event, Body::of(event)?, key)
}

/// As `encode`, with the body that was made of the event before.
///
/// # Errors
/// `Key` if a sealed part has no key.
pub fn encode_with(place: &Place, event: &Event, body: Body, key: Option<&DataKey>) -> Result<Vec<u8>, LedgerError> {
    let header = header(place, event, key);
    let Some(mut body) = body.0 else { return Ok(join(&header, None)) };
    let key = key.ok_or(LedgerError::Key("a sealed part without a key"))?;
    let tag = key.seal(place.index, &header, &mut body)?;
    Ok(join(&header, Some((&body, &tag))))
}

fn header(place: &Place, event: &Event, key: Option<&DataKey>) -> Vec<u8> {
    let mut out = Written::new();
    out.array(8);
    out.number(FORMAT_VERSION);
    out.number(place.index);
    out.number(place.time_us);
    match &place.session {
        Some((session, _)) => out.bytes(&session.0),
        None => out.null(),
    }
    out.number(place.session.map_or(0, |(_, number)| number));
    out.number(header::kind(event));
    header::write(&mut out, event);
    match (event, key) {
        (Event::SessionOpened(_), Some(key)) => out.bytes(&key.commitment().0),
        _ => out.null(),
    }
    out.done()
}

fn join(header: &[u8], sealed: Option<(&[u8], &[u8])>) -> Vec<u8> {
    let bytes = header.len() + sealed.map_or(0, |(body, tag)| body.len() + tag.len());
    let mut entry = Written::behind(&[], bytes + ENTRY_HEADS_BYTES);
    entry.array(2);
    entry.bytes(header);
    match sealed {
        Some((body, tag)) => entry.bytes_of(body, tag),
        None => entry.null(),
    }
    entry.done()
}

/// An entry as it is stored: header read, body still sealed.
#[derive(Debug, Clone)]
pub struct Stored<'a> {
    /// Where and when.
    pub place: Place,
    /// What happened; fields that are sealed are empty.
    pub event: Event,
    /// What the session's first entry says about the session's key.
    pub commitment: Option<Hash>,
    header: &'a [u8],
    sealed: Option<&'a [u8]>,
}

/// An entry read whole.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where and when.
    pub place: Place,
    /// What happened.
    pub event: Event,
    /// What became of the sealed part.
    pub content: Content,
}

impl<'a> Stored<'a> {
    /// Reads the bytes of an entry.
    ///
    /// # Errors
    /// `Malformed` or `Version`.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LedgerError> {
        let mut entry = Fields::new(bytes);
        entry.array(2)?;
        let header_bytes = entry.bytes()?;
        let sealed = opened(&mut entry, Fields::bytes)?;
        entry.end()?;
        let mut fields = Fields::new(header_bytes);
        fields.array(8)?;
        match fields.number()? {
            FORMAT_VERSION => {}
            other => return Err(LedgerError::Version(other)),
        }
        let (index, time_us) = (fields.number()?, fields.number()?);
        let session = opened(&mut fields, |fields| {
            fields.bytes()?.try_into().map(SessionId).map_err(|_| LedgerError::Malformed("a session of another length"))
        })?;
        let number = fields.number()?;
        let kind = fields.number()?;
        let event = header::read(&mut fields, kind)?;
        let commitment = opened(&mut fields, |fields| fields.hash().map(Hash))?;
        fields.end()?;
        let place = Place { index, time_us, session: session.map(|session| (session, number)) };
        Ok(Self { place, event, commitment, header: header_bytes, sealed })
    }

    /// True if there is a sealed part.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// Opens the sealed part, if there is one and a key is given.
    ///
    /// # Errors
    /// `Sealed` if the key does not open it, `Malformed` if what it opens to is not of the format.
    pub fn open(self, key: Option<&DataKey>) -> Result<Entry, LedgerError> {
        let Self { place, mut event, header, sealed, .. } = self;
        let content = match (sealed, key) {
            (None, _) => Content::None,
            (Some(_), None) => Content::Sealed,
            (Some(sealed), Some(key)) => {
                body::read(&mut event, &key.open(place.index, header, sealed)?)?;
                Content::Open
            }
        };
        Ok(Entry { place, event, content })
    }
}
