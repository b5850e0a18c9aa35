//! Frames and messages of PostgreSQL's protocol 3, decoded no further than asked.
//!
//! A length is checked before anything is allocated for it, a body is decoded inside its own frame only, and nothing may be
//! left over. Source: PostgreSQL manual, chapter "Frontend/Backend Protocol", sections "Message Formats" and "Message Flow".

mod body;
mod client;
mod encode;
mod frame;
mod login;
mod server;
mod split;
mod startup;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use client::{Bind, Close, Describe, Execute, Parse, Query, Target, client_tag};
pub use encode::{
    Field, authentication, backend_key_data, close_statement, command_complete, describe_nothing, describe_portal, empty, error,
    flush, notice, parameter_status, query, ready, row_description, sync, terminate,
};
pub use frame::{Frame, HEADER_BYTES, Run};
pub use login::{
    AuthenticationRequest, NegotiateProtocolVersion, SaslInitialResponse, cancel_request, describe_statement,
    negotiate_protocol_version, parse, password, sasl_initial_response, sasl_mechanisms, ssl_request, startup_message,
};
pub use server::{
    CancelKey, ColumnField, CopyFormat, ErrorFields, Format, ParameterStatus, RowDescription, TransactionStatus, command_tag,
    copy_format, server_tag,
};
pub use split::{Limits, Part, Piece, Place, Splitter};
pub use startup::{Startup, StartupPacket, VERSION_3_0, VERSION_3_2};

/// Longest message that PostgreSQL itself accepts or sends, header apart: 1 GiB less one byte (`PQ_LARGE_MESSAGE_LIMIT`).
pub const MESSAGE_BYTES_MAX: usize = 0x3fff_ffff;

/// What is wrong with bytes that should have been a message. Carries no bytes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A length field below the least or above the most that is legal.
    #[error("message length {0} is out of bounds")]
    Length(i64),
    /// The body ends inside a field.
    #[error("message of type `{}` ends inside a field", char::from(*tag))]
    Short {
        /// Type byte of the message, `?` for a startup packet.
        tag: u8,
    },
    /// The body goes on behind its last field.
    #[error("message of type `{}` has bytes left over", char::from(*tag))]
    LeftOver {
        /// Type byte of the message.
        tag: u8,
    },
    /// A field holds a value that the protocol does not know.
    #[error("message of type `{}` holds an unknown value", char::from(*tag))]
    Value {
        /// Type byte of the message.
        tag: u8,
    },
    /// A message type that this side of the conversation never sends.
    #[error("unknown message type {0}")]
    Tag(u8),
}
