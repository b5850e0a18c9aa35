//! What of an event is sealed: everything that can carry PHI.

use bytes::Bytes;

use super::fields::{Fields, Written, list, opened};
use super::{ColumnSeen, Event, LedgerError, Parameter};

/// True if the event has a part to seal, so that it needs a session's key.
#[must_use]
pub fn seals(event: &Event) -> bool {
    match event {
        Event::Statement(_) | Event::Execution(_) => true,
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

/// The sealed part's bytes, or `None` if the event has none or all of it is empty.
pub(super) fn write(event: &Event) -> Option<Vec<u8>> {
    if !seals(event) {
        return None;
    }
    let mut out = Written::new();
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
