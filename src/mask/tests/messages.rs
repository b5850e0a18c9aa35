//! What is left of the server's messages when a statement can reach masked columns.

use super::*;
use crate::mask::{Exposure, condition, copy, copy_part, message, own};
use crate::wire::{self, ErrorFields, Frame, Part, Place};

fn frame(bytes: Bytes) -> Frame {
    Frame::new(bytes).unwrap()
}

/// `S=ERROR C=23505 ...` as a message.
fn report(notice: bool, text: &str) -> Frame {
    let fields: Vec<(u8, &[u8])> = text.split('|').map(|field| (field.as_bytes()[0], &field.as_bytes()[2..])).collect();
    frame(if notice { wire::notice(&fields) } else { wire::error(&fields) })
}

fn shown(frame: &Frame) -> String {
    let field = |field: Result<(u8, &[u8]), Malformed>| {
        let (kind, value) = field.unwrap();
        format!("{}={}", char::from(kind), String::from_utf8_lossy(value))
    };
    ErrorFields::read(frame).map(field).collect::<Vec<_>>().join("|")
}

fn passed(raw: &Frame, exposure: Exposure) -> Bytes {
    message(Unmasked::new(raw.clone()), exposure).into_inner()
}

const ERRORS: [(&str, &str); 29] = [
    ("S=ERROR|C=42501|M=permission denied for schema scratch", "S=ERROR|C=42501|M=permission denied for schema scratch"),
    ("S=ERROR|C=42501|M=permission denied: Smith", "S=ERROR|C=42501|M=insufficient privilege"),
    (
        "S=ERROR|C=42501|M=permission denied for Smith|W=PL/pgSQL function f() line 1 at RAISE",
        "S=ERROR|C=42501|M=insufficient privilege",
    ),
    (
        "S=ERROR|C=0A000|M=cached plan must not change result type|F=plancache.c|R=RevalidateCachedQuery",
        "S=ERROR|C=0A000|M=cached plan must not change result type|R=RevalidateCachedQuery",
    ),
    ("S=ERROR|C=0A000|M=Smith|R=RevalidateCachedQuery", "S=ERROR|C=0A000|M=feature not supported"),
    (
        "S=ERROR|V=ERROR|C=23505|M=duplicate key value|D=Key (ssn)=(123-45-6789) already exists.|s=clinical|t=patients|n=patients_ssn_key|F=nbtinsert.c|L=1|R=x",
        "S=ERROR|V=ERROR|C=23505|M=unique violation|s=clinical|t=patients|n=patients_ssn_key",
    ),
    (
        "S=ERROR|V=ERROR|C=22P02|M=invalid input syntax for type integer: \"Smith\"",
        "S=ERROR|V=ERROR|C=22P02|M=invalid text representation",
    ),
    ("S=ERROR|C=22P02|M=invalid input syntax: \"x\"|P=8", "S=ERROR|C=22P02|M=invalid input syntax: \"x\"|P=8"),
    (
        "S=ERROR|C=22P02|M=invalid input syntax: \"x\"|P=8|W=JSON data, line 1: x",
        "S=ERROR|C=22P02|M=invalid text representation|P=8",
    ),
    (
        "S=ERROR|C=42703|M=column \"x\" does not exist|H=Perhaps y|P=8|F=f|L=1|R=r",
        "S=ERROR|C=42703|M=column \"x\" does not exist|H=Perhaps y|P=8|F=f|L=1|R=r",
    ),
    (
        "S=ERROR|C=22P02|M=invalid input syntax: \"x\"|W=unnamed portal parameter $12 = '...'|R=r",
        "S=ERROR|C=22P02|M=invalid text representation|W=unnamed portal parameter $12 = '...'",
    ),
    (
        "S=ERROR|C=22P03|M=Smith|W=unnamed portal parameter $1",
        "S=ERROR|C=22P03|M=invalid binary representation|W=unnamed portal parameter $1",
    ),
    ("S=ERROR|C=22P02|M=Smith|W=unnamed portal parameter $1 = 'Smith'", "S=ERROR|C=22P02|M=invalid text representation"),
    (
        "S=ERROR|C=22P02|M=Smith|W=SQL function \"f\" statement 1\nunnamed portal parameter $1",
        "S=ERROR|C=22P02|M=invalid text representation",
    ),
    ("S=ERROR|C=42P01|M=relation \"Smith\" does not exist", "S=ERROR|C=42P01|M=undefined table"),
    ("S=ERROR|C=42P01|M=relation \"Smith\" does not exist|P=8|q=SELECT Smith|p=4", "S=ERROR|C=42P01|M=undefined table|P=8"),
    ("S=ERROR|C=42601|M=Smith|P=1|W=PL/pgSQL function f() line 1 at RAISE", "S=ERROR|C=42601|M=syntax error|P=1"),
    ("S=ERROR|C=25P02|M=current transaction is aborted|D=x", "S=ERROR|C=25P02|M=current transaction is aborted"),
    ("S=ERROR|C=40001|M=Smith|W=PL/pgSQL function f() line 1 at RAISE", "S=ERROR|C=40001|M=serialization failure"),
    ("S=ERROR|C=57014|M=canceling statement due to user request", "S=ERROR|C=57014|M=canceling statement due to user request"),
    ("S=ERROR|C=34000|M=cursor \"123-45-6789\" does not exist", "S=ERROR|C=34000|M=invalid cursor name"),
    ("S=ERROR|C=3F000|M=schema \"Smith\" does not exist", "S=ERROR|C=3F000|M=invalid schema name"),
    ("S=ERROR|C=3F000|M=schema \"smith\" does not exist|P=15", "S=ERROR|C=3F000|M=schema \"smith\" does not exist|P=15"),
    ("S=ERROR|C=08003|M=connection \"123-45-6789\" not available", "S=ERROR|C=08003|M=connection does not exist"),
    (
        "S=ERROR|C=P0001|M=Smith|W=PL/pgSQL function f()|c=Smith|t=Smith|d=Smith|n=Smith|s=Smith",
        "S=ERROR|C=P0001|M=raise exception",
    ),
    ("S=ERROR|C=12345|M=Smith|W=PL/pgSQL function f()", "S=ERROR|C=XX000|M=database error"),
    ("S=ERROR|C=42345|M=Smith|P=1", "S=ERROR|C=XX000|M=database error|P=1"),
    ("S=ERROR|C=XX000|M=Smith|P=12a", "S=ERROR|C=XX000|M=internal error"),
    ("M=Smith", "M=database error|C=XX000"),
];

#[test]
fn errors_keep_what_cannot_quote_data() {
    for (raw, want) in ERRORS {
        let raw = report(false, raw);
        assert_eq!(shown(&frame(passed(&raw, Exposure::Touched))), want);
        assert_eq!(&passed(&raw, Exposure::Clear), raw.bytes());
    }
}

#[test]
fn notices_are_withheld() {
    let withheld = "notice from the database withheld";
    for (raw, want) in [
        ("S=NOTICE|V=NOTICE|C=00000|M=record Smith|W=PL/pgSQL function f()", format!("S=NOTICE|V=NOTICE|C=00000|M={withheld}")),
        (
            "S=WARNING|C=25P01|M=there is no transaction in progress",
            "S=WARNING|C=25P01|M=there is no transaction in progress".to_owned(),
        ),
        ("S=NOTICE|C=55512|M=Smith", format!("S=NOTICE|C=01000|M={withheld}")),
    ] {
        let masked = passed(&report(true, raw), Exposure::Touched);
        assert_eq!((masked[0], shown(&frame(masked))), (b'N', want));
    }
}

#[test]
fn what_was_put_off_to_the_end_of_a_transaction_quotes_nothing() {
    let raw = report(false, "S=ERROR|V=ERROR|C=P0001|M=bad 989-75-2466|W=PL/pgSQL function f()");
    let masked = frame(passed(&raw, Exposure::Settling));
    assert_eq!(shown(&masked), "S=ERROR|V=ERROR|C=P0001|M=raise exception");
    let complete = frame(Bytes::from_static(b"C\0\0\0\x0bCOMMIT\0"));
    assert_eq!(passed(&complete, Exposure::Settling), *complete.bytes());
}

#[test]
fn a_block_of_code_says_what_it_says_and_other_code_quotes_nothing() {
    let block = "S=ERROR|C=P0099|M=stop here|H=try later|W=PL/pgSQL function inline_code_block line 1 at RAISE|R=exec_stmt_raise";
    let notice = "S=NOTICE|C=00000|M=rows loaded: 12|W=PL/pgSQL-Funktion inline_code_block Zeile 1 bei RAISE";
    for (is_notice, raw) in [(false, block), (true, notice)] {
        assert_eq!(shown(&frame(passed(&report(is_notice, raw), Exposure::Saying))), raw);
        assert_ne!(shown(&frame(passed(&report(is_notice, raw), Exposure::Guarded))), raw);
    }
    for raw in [
        "S=ERROR|C=P0001|M=989-75-2466|W=PL/pgSQL function s.t() line 3 at RAISE",
        "S=ERROR|C=P0001|M=989-75-2466|W=PL/pgSQL function inline_code_block() line 3 at RAISE",
        "S=ERROR|C=P0001|M=989-75-2466|W=PL/pgSQL function t() line 3 at RAISE\nPL/pgSQL function inline_code_block line 1 at RAISE",
    ] {
        assert_eq!(shown(&frame(passed(&report(false, raw), Exposure::Saying))), "S=ERROR|C=P0001|M=raise exception", "{raw}");
    }
}

#[test]
fn code_of_the_schema_quotes_nothing() {
    for (notice, raw, want) in [
        (true, "S=NOTICE|C=00000|M=989-75-2466|W=PL/pgSQL function t()", "S=NOTICE|C=00000|M=notice from the database withheld"),
        (false, "S=ERROR|C=P0001|M=989-75-2466|W=PL/pgSQL function t()\nCOPY a, line 1", "S=ERROR|C=P0001|M=raise exception"),
        (
            false,
            "S=ERROR|C=22P02|M=bad 1x|W=COPY a, line 1, column b: \"1x\"",
            "S=ERROR|C=22P02|M=bad 1x|W=COPY a, line 1, column b: \"1x\"",
        ),
        (
            false,
            "S=ERROR|C=22P02|M=bad 4x|W=unnamed portal parameter $1 = '...'",
            "S=ERROR|C=22P02|M=bad 4x|W=unnamed portal parameter $1 = '...'",
        ),
        (
            false,
            "S=ERROR|C=P0001|M=989-75-2466|W=PL/pgSQL function t()\nunnamed portal parameter $1",
            "S=ERROR|C=P0001|M=raise exception",
        ),
        (false, "S=ERROR|C=P0001|M=989-75-2466|W=unnamed portal parameter $", "S=ERROR|C=P0001|M=raise exception"),
        (
            false,
            "S=ERROR|C=P0001|M=989-75-2466|W=unnamed portal parameter $1\nPL/pgSQL function t()",
            "S=ERROR|C=P0001|M=raise exception",
        ),
        (false, "S=ERROR|C=23505|M=duplicate|D=Key (code)=(a) exists", "S=ERROR|C=23505|M=duplicate|D=Key (code)=(a) exists"),
    ] {
        assert_eq!(shown(&frame(passed(&report(notice, raw), Exposure::Guarded))), want);
    }
}

#[test]
fn a_broken_report_shows_nothing() {
    let raw = frame(Bytes::from_static(b"E\0\0\0\x1eSERROR\0C42P01\0P1\0MSmith Sm"));
    let masked = frame(passed(&raw, Exposure::Touched));
    assert_eq!(shown(&masked), "S=ERROR|C=42P01|P=1|M=undefined table");
}

#[test]
fn other_messages_pass_but_for_those_that_carry_values() {
    let touched = |bytes: &'static [u8]| passed(&frame(Bytes::from_static(bytes)), Exposure::Touched);
    for same in
        [&b"C\0\0\0\x0dSELECT 1\0"[..], b"Z\0\0\0\x05I", b"T\0\0\0\x06\0\0", b"1\0\0\0\x04", b"S\0\0\0\x12DateStyle\0ISO\0"]
    {
        assert_eq!(touched(same), same);
    }
    assert_eq!(touched(b"V\0\0\0\x0d\0\0\0\x05Smith"), &b"V\0\0\0\x08\xff\xff\xff\xff"[..]);
    assert_eq!(touched(b"A\0\0\0\x11\0\0\0\x01ch\0Smith\0"), &b"A\0\0\0\x0c\0\0\0\x01ch\0\0"[..]);
    for dropped in [&b"S\0\0\0\x1bapplication_name\0Smith\0"[..], b"D\0\0\0\x06\0\0", b"d\0\0\0\x09Smith", b"A\0\0\0\x05x"] {
        assert_eq!(touched(dropped), &b""[..]);
        let raw = frame(Bytes::from_static(dropped));
        assert_eq!(&passed(&raw, Exposure::Clear), raw.bytes());
    }
}

#[test]
fn copies_pass_only_where_nothing_is_masked() {
    let run = |tag| Unmasked::new(Run { tag, count: 1, bytes: Bytes::from_static(b"d\0\0\0\x09Smith") });
    let part = |tag| Unmasked::new(Part { tag, place: Place::First, bytes: Bytes::from_static(b"d\0\0\x09\0Smith") });
    assert!(copy(run(b'd'), Exposure::Clear).is_ok() && copy_part(part(b'd'), Exposure::Clear).is_ok());
    assert!(copy(run(b'd'), Exposure::Touched).is_err() && copy_part(part(b'd'), Exposure::Touched).is_err());
    assert!(copy(run(b'D'), Exposure::Clear).is_err() && copy_part(part(b'D'), Exposure::Clear).is_err());
    assert_eq!(own(Bytes::from_static(b"x")).into_inner(), "x");
}

#[test]
fn conditions_are_ordered_and_known() {
    assert_eq!(condition::name(b"00000"), Some("successful completion"));
    assert_eq!(condition::name(b"XX002"), Some("index corrupted"));
    assert_eq!(condition::name(b"25P04"), Some("transaction timeout"));
    assert_eq!(condition::name(b"12345"), None);
    assert_eq!(condition::name(b""), None);
    assert!(condition::CONDITIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
}
