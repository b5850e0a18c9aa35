//! What passes as it is, and what may not pass at all, when a statement can reach masked columns.

use bytes::Bytes;

use super::{Masked, Unmasked};
use crate::wire::{Part, Run, server_tag};

/// What a statement can reach, as far as messages without columns are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing that is masked for this identity.
    Clear,
    /// Nothing that is masked by what the statement says, but code of the schema (triggers, checks, rules) may run in it: errors
    /// and notices that come out of code can quote.
    Guarded,
    /// Nothing at all: it is a block of code that only says something. Errors and notices of other code that runs beside it can quote.
    Saying,
    /// Nothing that is masked, but triggers of earlier statements may run in it, as at COMMIT: only its errors and notices can quote.
    Settling,
    /// A relation with masked columns, or what could not be analysed.
    Touched,
}

/// Bulk data that would have to pass through a mask which it cannot pass through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this data cannot be masked while it streams")]
pub struct CannotStream;

/// CopyData from the server. It has no column identity, so that it passes only where nothing is masked.
///
/// # Errors
/// `CannotStream` if the statement can reach masked columns, or if these are not CopyData messages.
pub fn copy(run: Unmasked<Run>, exposure: Exposure) -> Result<Masked<Bytes>, CannotStream> {
    let run = run.into_raw();
    pass(run.tag, run.bytes, exposure)
}

/// A part of a long CopyData message, as `copy`.
///
/// # Errors
/// As `copy`.
pub fn copy_part(part: Unmasked<Part>, exposure: Exposure) -> Result<Masked<Bytes>, CannotStream> {
    let part = part.into_raw();
    pass(part.tag, part.bytes, exposure)
}

fn pass(tag: u8, bytes: Bytes, exposure: Exposure) -> Result<Masked<Bytes>, CannotStream> {
    match (tag, exposure) {
        (server_tag::COPY_DATA, Exposure::Clear | Exposure::Guarded) => Ok(Masked::new(bytes)),
        _ => Err(CannotStream),
    }
}

/// A message of the proxy's own making. Its text must be a fixed sentence, names the client itself sent, or numbers; never
/// anything that came from the database.
#[must_use]
pub fn own(bytes: Bytes) -> Masked<Bytes> {
    Masked::new(bytes)
}
