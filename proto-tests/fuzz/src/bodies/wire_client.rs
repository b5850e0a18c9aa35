//! What clients send: first packets, and messages. What can be read is written again to the same bytes.

use bytes::Bytes;
use pgveil::wire::{
    self, Bind, Close, Describe, Execute, Format, Frame, HEADER_BYTES, Parse, Query, SaslInitialResponse, StartupPacket, Target,
    client_tag,
};

use super::input::Input;
use super::stream;

/// Longest first packet, its length included.
const STARTUP_BYTES_MAX: usize = 10_004;

/// A first packet, or a stream of messages.
pub fn wire_client(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() {
        startup(input.rest());
    } else {
        stream::messages(&mut input, b"d", message);
    }
}

fn startup(packet: &[u8]) {
    let Ok(length) = u32::try_from(packet.len() + 4) else { return };
    let told = StartupPacket::frame_bytes(length.to_be_bytes());
    assert!(told.is_ok() || !(8..=STARTUP_BYTES_MAX).contains(&(packet.len() + 4)));
    if told.is_err() {
        return;
    }
    let again = match StartupPacket::read(&Bytes::copy_from_slice(packet)) {
        Ok(StartupPacket::Startup(startup)) => {
            let list: Vec<(&[u8], &[u8])> = startup.parameters.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            wire::startup_message(startup.version, &list).expect("what was read can be written")
        }
        Ok(StartupPacket::Cancel(key)) => wire::cancel_request(&key),
        Ok(_) | Err(_) => return,
    };
    assert_eq!(again[4..], *packet);
}

fn message(frame: &Frame) {
    beginning(frame);
    let again = match frame.tag() {
        client_tag::QUERY => Query::read(frame).ok().map(|query| [&query.text[..], b"\0"].concat()),
        client_tag::PARSE => Parse::read(frame).ok().map(parse),
        client_tag::BIND => Bind::read(frame).ok().map(bind),
        client_tag::DESCRIBE => Describe::read(frame).ok().and_then(|describe| target(&describe.target)),
        client_tag::CLOSE => Close::read(frame).ok().and_then(|close| target(&close.target)),
        client_tag::EXECUTE => Execute::read(frame).ok().map(|execute| {
            let rows = execute.rows_max.to_be_bytes();
            [&execute.portal[..], b"\0", &rows].concat()
        }),
        client_tag::PASSWORD => SaslInitialResponse::read(frame).ok().map(|initial| {
            let length = initial.response.as_ref().map_or(-1, |response| size(response.len()));
            [&initial.mechanism[..], b"\0", &length.to_be_bytes(), &initial.response.unwrap_or_default()].concat()
        }),
        _ => return,
    };
    if let Some(again) = again {
        assert_eq!(again, frame.body(), "{}", char::from(frame.tag()));
    }
}

/// What is read of the beginning of a message is what is read of the whole.
fn beginning(frame: &Frame) {
    let bytes = frame.bytes();
    for end in [HEADER_BYTES, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let head = bytes.slice(..end.clamp(HEADER_BYTES, bytes.len()));
        if let (Ok(begun), Ok(whole)) = (Query::begun(&head), Query::read(frame)) {
            assert!(whole.text.starts_with(&begun.text) || begun.text.strip_suffix(b"\0") == Some(&whole.text));
        }
        if let (Ok(begun), Ok(whole)) = (Parse::begun(&head), Parse::read(frame)) {
            let both = begun.text.len().min(whole.text.len());
            assert!(begun.name == whole.name && begun.text[..both] == whole.text[..both]);
        }
        if let (Ok(begun), Ok(whole)) = (Bind::begun(&head), Bind::read(frame)) {
            assert_eq!((begun.portal, begun.statement), (whole.portal, whole.statement));
        }
    }
}

fn size(length: usize) -> i32 {
    i32::try_from(length).expect("a short value")
}

fn count(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("a short list").to_be_bytes()
}

fn parse(parse: Parse) -> Vec<u8> {
    let mut out = [&parse.name[..], b"\0", &parse.text, b"\0", &count(parse.parameter_oids.len())].concat();
    parse.parameter_oids.iter().for_each(|oid| out.extend(oid.to_be_bytes()));
    out
}

fn bind(bind: Bind) -> Vec<u8> {
    let formats = |list: &[Format], out: &mut Vec<u8>| {
        out.extend(count(list.len()));
        list.iter().for_each(|format| out.extend(i16::from(*format == Format::Binary).to_be_bytes()));
    };
    let mut out = [&bind.portal[..], b"\0", &bind.statement, b"\0"].concat();
    formats(&bind.parameter_formats, &mut out);
    out.extend(count(bind.parameters.len()));
    for value in &bind.parameters {
        out.extend(value.as_ref().map_or(-1, |value| size(value.len())).to_be_bytes());
        out.extend(value.iter().flatten());
    }
    formats(&bind.result_formats, &mut out);
    let _ = bind.parameter_format(bind.parameters.len());
    out
}

fn target(target: &Target) -> Option<Vec<u8>> {
    let (kind, name) = match target {
        Target::Statement(name) => (b'S', name),
        Target::Portal(name) => (b'P', name),
        // Its name is of no use to anybody.
        Target::Invalid(_) => return None,
    };
    Some([&[kind], &name[..], b"\0"].concat())
}
