//! What of an event is sealed: everything that can carry PHI.

use bytes::Bytes;

use super::fields::{Fields, Written, list, opened};
use super::seal::packed;
use super::{ColumnSeen, Event, LedgerError, Parameter};

/// True if the event has a part to seal, so that it needs a session's key.
#[must_use]
pub fn seals(event: &Event) -> bool {
    match event {
        Event::Statement(_) | Event::Execution(_) | Event::Passed(_) => true,
        Event::Reply(event) => !(event.columns.is_empty() && event.frames.is_empty()),
        Event::HoldAnswered(event) => !event.reason.is_empty(),
        Event::SessionOpened(_)
        | Event::SessionClosed(_)
        | Event::HoldOpened(_)
        | Event::LoginRefused(_)
        | Event::LoggedIn(_)
        | Event::Revoked(_)
        | Event::ConfigurationLoaded(_) => false,
    }
}

/// The part of an event that is to be sealed, packed: made ahead of the entry, since it does not depend on where that will stand.
#[derive(Debug, Clone)]
pub struct Body(pub(super) Option<Vec<u8>>);

impl Body {
    /// The body of an event; none if it has none or all of it is empty.
    ///
    /// # Errors
    /// `Oversize`.
    pub fn of(event: &Event) -> Result<Self, LedgerError> {
        write(event).map(packed).transpose().map(Self)
    }

    /// How many bytes will be sealed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }
}

/// About how many bytes the body will have.
fn bytes_about(event: &Event) -> usize {
    const REST: usize = 256;
    REST + match event {
        Event::Statement(event) => event.text.len(),
        Event::Reply(event) => 64 * event.columns.len() + event.frames.iter().map(|frame| frame.len() + 8).sum::<usize>(),
        _ => 0,
    }
}

/// The sealed part's bytes behind one that is free, or `None`.
fn write(event: &Event) -> Option<Vec<u8>> {
    if !seals(event) {
        return None;
    }
    let mut out = Written::behind(&[0], bytes_about(event));
    match event {
        Event::Statement(event) => {
            out.array(3);
            out.bytes(&event.name);
            out.bytes(&event.text);
            out.texts(&event.reasons);
        }
        Event::Execution(event) => {
            out.array(2);
            out.bytes(&event.portal);
            out.array(event.parameters.len());
            for parameter in &event.parameters {
                out.array(2);
                out.truth(parameter.binary);
                match &parameter.value {
                    Some(value) => out.bytes(value),
                    None => out.null(),
                }
            }
        }
        Event::Reply(event) => {
            out.array(2);
            out.array(event.columns.len());
            for column in &event.columns {
                out.array(5);
                out.text(&column.name);
                out.number(column.type_oid.into());
                out.truth(column.binary);
                out.text(&column.verdict);
                out.text(&column.reason);
            }
            out.array(event.frames.len());
            for frame in &event.frames {
                out.bytes(frame);
            }
        }
        Event::Passed(event) => {
            out.array(1);
            out.bytes(&event.bytes);
        }
        Event::HoldAnswered(event) => {
            out.array(1);
            out.text(&event.reason);
        }
        Event::SessionOpened(_)
        | Event::SessionClosed(_)
        | Event::HoldOpened(_)
        | Event::LoginRefused(_)
        | Event::LoggedIn(_)
        | Event::Revoked(_)
        | Event::ConfigurationLoaded(_) => return None,
    }
    Some(out.done())
}

/// Puts the sealed part into an event that was read from a header.
pub(super) fn read(event: &mut Event, body: &[u8]) -> Result<(), LedgerError> {
    let body = Bytes::copy_from_slice(body);
    let mut fields = Fields::new(&body);
    match event {
        Event::Statement(event) => {
            fields.array(3)?;
            event.name = body.slice_ref(fields.bytes()?);
            event.text = body.slice_ref(fields.bytes()?);
            event.reasons = fields.texts()?;
        }
        Event::Execution(event) => {
            fields.array(2)?;
            event.portal = body.slice_ref(fields.bytes()?);
            event.parameters = list(&mut fields, |fields| {
                fields.array(2)?;
                let binary = fields.truth()?;
                let value = opened(fields, |fields| fields.bytes().map(|value| body.slice_ref(value)))?;
                Ok(Parameter { binary, value })
            })?;
        }
        Event::Reply(event) => {
            fields.array(2)?;
            event.columns = list(&mut fields, |fields| {
                fields.array(5)?;
                Ok(ColumnSeen {
                    name: fields.text()?,
                    type_oid: fields.number32()?,
                    binary: fields.truth()?,
                    verdict: fields.text()?,
                    reason: fields.text()?,
                })
            })?;
            event.frames = list(&mut fields, |fields| fields.bytes().map(|frame| body.slice_ref(frame)))?;
        }
        Event::Passed(event) => {
            fields.array(1)?;
            event.bytes = body.slice_ref(fields.bytes()?);
        }
        Event::HoldAnswered(event) => {
            fields.array(1)?;
            event.reason = fields.text()?;
        }
        Event::SessionOpened(_)
        | Event::SessionClosed(_)
        | Event::HoldOpened(_)
        | Event::LoginRefused(_)
        | Event::LoggedIn(_)
        | Event::Revoked(_)
        | Event::ConfigurationLoaded(_) => return Err(LedgerError::Malformed("a body where none belongs")),
    }
    fields.end()
}
