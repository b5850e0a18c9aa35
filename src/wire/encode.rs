//! Messages of our own making, for either side.

use bytes::{BufMut, Bytes, BytesMut};

use super::{CancelKey, ColumnField, Format, TransactionStatus, client_tag, server_tag};

/// One field of an ErrorResponse or NoticeResponse: its type byte and its value.
pub type Field<'a> = (u8, &'a [u8]);

/// Builds one message from its type byte and the parts of its body.
pub(super) fn message(tag: u8, parts: &[&[u8]]) -> Bytes {
    let body_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(5 + body_bytes);
    out.put_u8(tag);
    out.put_u32(u32::try_from(body_bytes + 4).unwrap_or(u32::MAX));
    for part in parts {
        out.put_slice(part);
    }
    out.freeze()
}

fn fields(tag: u8, fields: &[Field<'_>]) -> Bytes {
    let mut body = Vec::new();
    for (kind, value) in fields {
        body.push(*kind);
        body.extend(value.iter().filter(|b| **b != 0));
        body.push(0);
    }
    body.push(0);
    message(tag, &[&body])
}

/// ErrorResponse with the fields given, in their order.
#[must_use]
pub fn error(list: &[Field<'_>]) -> Bytes {
    fields(server_tag::ERROR_RESPONSE, list)
}

/// NoticeResponse with the fields given, in their order.
#[must_use]
pub fn notice(list: &[Field<'_>]) -> Bytes {
    fields(server_tag::NOTICE_RESPONSE, list)
}

/// ReadyForQuery.
#[must_use]
pub fn ready(status: TransactionStatus) -> Bytes {
    message(server_tag::READY_FOR_QUERY, &[&[status.byte()]])
}

/// ParameterStatus.
#[must_use]
pub fn parameter_status(name: &[u8], value: &[u8]) -> Bytes {
    message(server_tag::PARAMETER_STATUS, &[name, &[0], value, &[0]])
}

/// BackendKeyData.
#[must_use]
pub fn backend_key_data(key: &CancelKey) -> Bytes {
    message(server_tag::BACKEND_KEY_DATA, &[&key.process.to_be_bytes(), &key.secret])
}

/// RowDescription.
#[must_use]
pub fn row_description(columns: &[ColumnField]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
    for column in columns {
        body.put_slice(&column.name);
        body.put_u8(0);
        body.put_u32(column.table_oid);
        body.put_i16(column.attribute);
        body.put_u32(column.type_oid);
        body.put_i16(column.type_length);
        body.put_i32(column.type_modifier);
        body.put_i16(i16::from(column.format == Format::Binary));
    }
    message(server_tag::ROW_DESCRIPTION, &[&body])
}

/// CommandComplete.
#[must_use]
pub fn command_complete(tag: &[u8]) -> Bytes {
    message(server_tag::COMMAND_COMPLETE, &[tag, &[0]])
}

/// An authentication request: its code and what belongs to it.
#[must_use]
pub fn authentication(code: i32, rest: &[u8]) -> Bytes {
    message(server_tag::AUTHENTICATION, &[&code.to_be_bytes(), rest])
}

/// A message without a body, of either side.
#[must_use]
pub fn empty(tag: u8) -> Bytes {
    message(tag, &[])
}

/// Query.
#[must_use]
pub fn query(text: &str) -> Bytes {
    message(client_tag::QUERY, &[text.as_bytes(), &[0]])
}

/// Flush.
#[must_use]
pub fn flush() -> Bytes {
    empty(client_tag::FLUSH)
}

/// Sync.
#[must_use]
pub fn sync() -> Bytes {
    empty(client_tag::SYNC)
}

/// Terminate.
#[must_use]
pub fn terminate() -> Bytes {
    empty(client_tag::TERMINATE)
}

/// Describe of a portal.
#[must_use]
pub fn describe_portal(portal: &[u8]) -> Bytes {
    message(client_tag::DESCRIBE, &[b"P", portal, &[0]])
}

/// Close of a prepared statement.
#[must_use]
pub fn close_statement(statement: &[u8]) -> Bytes {
    message(client_tag::CLOSE, &[b"S", statement, &[0]])
}

/// A Describe of neither statement nor portal. The server answers with an error (08P01, not fatal), which fails the
/// transaction and makes it skip to Sync, and touches nothing else: the way to make a refusal of ours true on the server.
#[must_use]
pub fn describe_nothing() -> Bytes {
    message(client_tag::DESCRIBE, &[b"!", &[0]])
}
