//! What servers send. What can be read is written again to the same bytes.

use bytes::Bytes;
use pgveil::wire::{
    self, AuthenticationRequest, CancelKey, ErrorFields, Field, Format, Frame, NegotiateProtocolVersion, ParameterStatus,
    RowDescription, TransactionStatus, server_tag,
};

use super::input::Input;
use super::stream;

/// A stream of messages.
pub fn wire_server(data: &[u8]) {
    stream::messages(&mut Input::new(data), b"Dd", message);
}

fn message(frame: &Frame) {
    let again = match frame.tag() {
        server_tag::ROW_DESCRIPTION => RowDescription::read(frame).ok().map(|told| wire::row_description(&told.columns)),
        server_tag::READY_FOR_QUERY => TransactionStatus::read(frame).ok().map(wire::ready),
        server_tag::COMMAND_COMPLETE => wire::command_tag(frame).ok().map(wire::command_complete),
        server_tag::PARAMETER_STATUS => {
            ParameterStatus::read(frame).ok().map(|told| wire::parameter_status(&told.name, &told.value))
        }
        server_tag::BACKEND_KEY_DATA => CancelKey::read(frame).ok().map(|key| wire::backend_key_data(&key)),
        server_tag::ERROR_RESPONSE => fields(frame).map(|fields| wire::error(&fields)),
        server_tag::NOTICE_RESPONSE => fields(frame).map(|fields| wire::notice(&fields)),
        server_tag::NEGOTIATE_PROTOCOL_VERSION => {
            NegotiateProtocolVersion::read(frame).ok().map(|told| wire::negotiate_protocol_version(told.version, &told.options))
        }
        server_tag::AUTHENTICATION => AuthenticationRequest::read(frame).ok().and_then(|request| authentication(&request)),
        server_tag::COPY_IN_RESPONSE | server_tag::COPY_OUT_RESPONSE => return copying(frame),
        _ => return,
    };
    if let Some(again) = again {
        assert_eq!(again, frame.bytes(), "{}", char::from(frame.tag()));
    }
}

fn fields(frame: &Frame) -> Option<Vec<Field<'_>>> {
    let read: Vec<_> = ErrorFields::read(frame).collect();
    assert!(read.len() <= frame.body().len().max(1));
    let _ = ErrorFields::find(frame, b'C');
    read.into_iter().collect::<Result<_, _>>().ok()
}

fn authentication(request: &AuthenticationRequest) -> Option<Bytes> {
    Some(match request {
        AuthenticationRequest::Ok => wire::authentication(0, &[]),
        AuthenticationRequest::CleartextPassword => wire::authentication(3, &[]),
        AuthenticationRequest::Md5Password { salt } => wire::authentication(5, salt),
        AuthenticationRequest::Sasl { mechanisms } => {
            let names: Option<Vec<&str>> = mechanisms.iter().map(|name| std::str::from_utf8(name).ok()).collect();
            wire::sasl_mechanisms(&names?)
        }
        AuthenticationRequest::SaslContinue(rest) => wire::authentication(11, rest),
        AuthenticationRequest::SaslFinal(rest) => wire::authentication(12, rest),
        AuthenticationRequest::Other(_) => return None,
    })
}

fn copying(frame: &Frame) {
    let Ok(told) = wire::copy_format(frame) else { return };
    let code = |format: Format| u8::from(format == Format::Binary);
    let mut body = vec![code(told.overall)];
    body.extend(u16::try_from(told.columns.len()).expect("a short list").to_be_bytes());
    told.columns.iter().for_each(|format| body.extend([0, code(*format)]));
    assert_eq!(body, frame.body());
}
