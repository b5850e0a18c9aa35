//! Messages that are no rows: what may not pass has no part in what comes out.

use bytes::Bytes;
use pgveil::mask::{Exposure, Unmasked, message};
use pgveil::wire::{self, ErrorFields, Field, Frame};

use super::input::Input;

const CODES: [&[u8]; 12] =
    [b"22P02", b"23505", b"42601", b"42703", b"P0001", b"XX000", b"57014", b"25P02", b"0A000", b"00000", b"01000", b"08P01"];
const TAGS: [u8; 12] = *b"ENASVTCdDIKs";
const EXPOSURES: [Exposure; 5] = [Exposure::Clear, Exposure::Guarded, Exposure::Saying, Exposure::Settling, Exposure::Touched];

/// An error or a notice of any fields, or a message of any body.
pub fn mask_message(data: &[u8]) {
    let mut input = Input::new(data);
    let exposure = *input.one_of(&EXPOSURES);
    if input.flag() {
        return whatever(&mut input, exposure);
    }
    let notice = input.flag();
    let mut fields: Vec<(u8, Vec<u8>)> = vec![(b'C', input.one_of(&CODES).to_vec())];
    while !input.is_empty() && fields.len() < 16 {
        let kind = *input.one_of(b"SVMDHPpqWstcdnFLR");
        let value: Vec<u8> = input.bytes().iter().copied().filter(|byte| *byte != 0).collect();
        fields.push((kind, value));
    }
    let of = |hidden: &[u8]| {
        let other: Vec<Field<'_>> =
            fields.iter().map(|(kind, value)| (*kind, if quotes(*kind) { hidden } else { &value[..] })).collect();
        let bytes = if notice { wire::notice(&other) } else { wire::error(&other) };
        masked(bytes, exposure)
    };
    let frame = if notice { b'N' } else { b'E' };
    let out = of(b"what nobody may see");
    let read = Frame::new(out.clone()).expect("one message");
    assert_eq!(read.tag(), frame);
    let kinds: Vec<u8> = ErrorFields::read(&read).map(|field| field.expect("a field").0).collect();
    assert!(kinds.contains(&b'C'));
    // Data is quoted in details, hints and contexts: under a masked statement they have no part in anything but parse errors.
    let parsing = fields.iter().any(|(kind, _)| *kind == b'P') && !fields.iter().any(|(kind, _)| b"Wqp".contains(kind));
    if matches!(exposure, Exposure::Touched | Exposure::Settling) && !parsing {
        assert_eq!(out, of(b"something else"), "a detail shows");
        assert!(!kinds.iter().any(|kind| quotes(*kind)));
    }
}

/// Fields that can quote data.
fn quotes(kind: u8) -> bool {
    matches!(kind, b'D' | b'H' | b'W' | b'q')
}

fn whatever(input: &mut Input<'_>, exposure: Exposure) {
    let tag = *input.one_of(&TAGS);
    let body = input.rest();
    let length = u32::try_from(body.len() + 4).expect("a short body").to_be_bytes();
    let whole = Bytes::from([&[tag], &length[..], body].concat());
    let out = masked(whole.clone(), exposure);
    if exposure == Exposure::Clear {
        assert_eq!(out, whole);
    }
    if exposure == Exposure::Touched && b"dD".contains(&tag) {
        assert!(out.is_empty(), "rows pass as messages");
    }
    if !out.is_empty() {
        assert_eq!(Frame::new(out).expect("one message").tag(), tag);
    }
}

fn masked(bytes: Bytes, exposure: Exposure) -> Bytes {
    message(Unmasked::new(Frame::new(bytes).expect("a frame")), exposure).into_inner()
}
