#![allow(clippy::cast_possible_truncation, reason = "messages of tests are short")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

const BULK: &[u8] = b"Dd";
const LIMITS: Limits = Limits { whole_bytes_max: 300, bulk: BULK, bulk_bytes_max: 60 };

fn frame(tag: u8, body: &[u8]) -> Frame {
    Frame::new(super::encode::message(tag, &[body])).unwrap()
}

/// What came out of a splitter, without where it was cut: whole messages, and messages that were too long.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: Vec<Vec<u8>>,
    oversize: Vec<(u8, usize)>,
    error: Option<Malformed>,
}

/// Feeds chunks of the sizes given, over and over, and checks the order of parts on the way.
fn seen(stream: &[u8], chunks: &[usize], limits: Limits) -> Seen {
    let (mut splitter, mut seen, mut open) = (Splitter::new(limits), Seen::default(), None::<Vec<u8>>);
    let (mut rest, mut sizes) = (stream, chunks.iter().cycle());
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = behind;
        splitter.buffer().extend_from_slice(chunk);
        assert!(splitter.lacking_bytes() <= limits.whole_bytes_max.max(limits.bulk_bytes_max).max(HEADER_BYTES));
        loop {
            match splitter.next() {
                Err(error) => {
                    assert_eq!(splitter.next().unwrap_err(), error, "the stream cannot be read on");
                    seen.error = Some(error);
                    return seen;
                }
                Ok(None) => break,
                Ok(Some(Piece::Frame(frame))) => {
                    assert!(open.is_none() && !limits.bulk.contains(&frame.tag()));
                    seen.messages.push(frame.into_bytes().to_vec());
                }
                Ok(Some(Piece::Run(run))) => {
                    assert!(open.is_none());
                    let bodies: Vec<_> = run
                        .bodies()
                        .map(|body| [&[run.tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat())
                        .collect();
                    assert_eq!((bodies.len(), bodies.concat()), (run.count, run.bytes.to_vec()));
                    seen.messages.extend(bodies);
                }
                Ok(Some(Piece::Part(part))) => {
                    assert!(!part.bytes.is_empty());
                    match part.place {
                        Place::First => {
                            assert!(open.is_none() && part.bytes.len() >= HEADER_BYTES && part.bytes[0] == part.tag);
                            open = Some(part.bytes.to_vec());
                        }
                        Place::Middle => open.as_mut().unwrap().extend_from_slice(&part.bytes),
                        Place::Last => {
                            let mut whole = open.take().unwrap();
                            whole.extend_from_slice(&part.bytes);
                            seen.messages.push(whole);
                        }
                    }
                }
                Ok(Some(Piece::Oversize { tag, frame_bytes, .. })) => seen.oversize.push((tag, frame_bytes)),
            }
        }
    }
    seen
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"DDDDdZTCEN1".to_vec());
    let body = prop_oneof![4 => 0..20usize, 2 => 50..70usize, 1 => 280..400usize];
    (tag, body, any::<u8>()).prop_map(|(tag, bytes, fill)| super::encode::message(tag, &[&vec![fill; bytes]]).to_vec())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_messages(
        messages in prop::collection::vec(any_message(), 0..30),
        chunks in prop::collection::vec(prop_oneof![1..4usize, 1..40usize, 1..2000usize], 1..10),
        bad_length in prop::option::of(prop_oneof![Just(-1i32), Just(3), Just(0), Just(i32::MIN), Just(i32::MAX)]),
        bulk_bytes_max in prop_oneof![Just(0usize), Just(5), Just(6), Just(60)],
    ) {
        let limits = Limits { bulk_bytes_max, ..LIMITS };
        let mut stream = messages.concat();
        stream.extend(bad_length.iter().flat_map(|length| [b"D".as_slice(), &length.to_be_bytes()].concat()));
        let (long, whole): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| message.len() > 300 && !BULK.contains(&message[0]));
        let seen = seen(&stream, &chunks, limits);
        prop_assert_eq!(seen.messages, whole);
        prop_assert_eq!(seen.oversize, long.iter().map(|message| (message[0], message.len())).collect::<Vec<_>>());
        prop_assert_eq!(seen.error, bad_length.map(|length| Malformed::Length(length.into())));
    }

    #[test]
    fn any_bytes_are_taken_calmly_by_the_splitter(stream in prop::collection::vec(any::<u8>(), 0..600), chunk in 1..50usize) {
        prop_assert_eq!(seen(&stream, &[chunk], LIMITS), seen(&stream, &[stream.len().max(1)], LIMITS));
    }

    #[test]
    fn any_bytes_are_taken_calmly_by_the_readers(tag in any::<u8>(), body in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'S'), any::<u8>()], 0..80)) {
        let frame = frame(tag, &body);
        let _ = (Query::read(&frame), Parse::read(&frame), Bind::read(&frame), Describe::read(&frame), Close::read(&frame), Execute::read(&frame));
        let _ = (RowDescription::read(&frame), TransactionStatus::read(&frame), command_tag(&frame), ParameterStatus::read(&frame));
        let _ = (CancelKey::read(&frame), copy_format(&frame), SaslInitialResponse::read(&frame), AuthenticationRequest::read(&frame));
        let _ = (NegotiateProtocolVersion::read(&frame), ErrorFields::find(&frame, b'C'));
        prop_assert!(ErrorFields::read(&frame).count() <= body.len() + 1);
        let _ = StartupPacket::read(&Bytes::from(body));
    }

    #[test]
    fn startup_messages_read_back(version in 0x30000u32..0x3ffff, parameters in prop::collection::vec(("[a-z_.]{1,12}", "[^\0]{0,12}"), 0..20)) {
        let list: Vec<_> = parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let packet = startup_message(version, &list).unwrap();
        prop_assert_eq!(StartupPacket::frame_bytes(packet[..4].try_into().unwrap()).unwrap(), packet.len());
        let StartupPacket::Startup(startup) = StartupPacket::read(&packet.slice(4..)).unwrap() else { panic!("not a startup") };
        prop_assert_eq!(startup.version, version);
        let back: Vec<_> = startup.parameters.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        prop_assert_eq!(back, list);
    }

    #[test]
    fn bind_reads_what_was_written(portal in "[^\0]{0,9}", formats in prop::collection::vec(0..2i16, 0..4), values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 0..6)) {
        let mut body = BytesMut::new();
        body.extend_from_slice(&[portal.as_bytes(), b"\0statement\0"].concat());
        body.extend_from_slice(&(formats.len() as u16).to_be_bytes());
        formats.iter().for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
        body.extend_from_slice(&(values.len() as u16).to_be_bytes());
        for value in &values {
            body.extend_from_slice(&value.as_ref().map_or(-1, |value| value.len() as i32).to_be_bytes());
            body.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        body.extend_from_slice(&[0, 0]);
        let bind = Bind::read(&frame(b'B', &body)).unwrap();
        prop_assert_eq!(&bind.portal[..], portal.as_bytes());
        prop_assert_eq!(bind.parameters.iter().map(|value| value.as_ref().map(|v| v.to_vec())).collect::<Vec<_>>(), values);
        for cut in 0..body.len() {
            prop_assert!(Bind::read(&frame(b'B', &body[..cut])).is_err());
        }
        body.extend_from_slice(b"x");
        prop_assert_eq!(Bind::read(&frame(b'B', &body)).unwrap_err(), Malformed::LeftOver { tag: b'B' });
    }
}

#[test]
fn nothing_may_be_left_over_and_nothing_may_lack() {
    let cases: [(Frame, Malformed); 9] = [
        (frame(b'Q', b"select 1"), Malformed::Short { tag: b'Q' }),
        (frame(b'Q', b"select 1\0Q"), Malformed::LeftOver { tag: b'Q' }),
        (frame(b'Q', b""), Malformed::Short { tag: b'Q' }),
        (frame(b'Z', b""), Malformed::Short { tag: b'Z' }),
        (frame(b'Z', b"X"), Malformed::Value { tag: b'Z' }),
        (frame(b'Z', b"II"), Malformed::LeftOver { tag: b'Z' }),
        (frame(b'R', &[0, 0, 0, 5, 1, 2, 3]), Malformed::Short { tag: b'R' }),
        (frame(b'R', &[0, 0, 0, 0, 0]), Malformed::LeftOver { tag: b'R' }),
        (frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0"), Malformed::Short { tag: b'R' }),
    ];
    for (frame, expected) in cases {
        let error = match frame.tag() {
            b'Q' => Query::read(&frame).map(|_| ()).unwrap_err(),
            b'Z' => TransactionStatus::read(&frame).map(|_| ()).unwrap_err(),
            _ => AuthenticationRequest::read(&frame).map(|_| ()).unwrap_err(),
        };
        assert_eq!(error, expected);
    }
    // A value that claims more than its message holds, or a negative length that is not NULL's.
    let sasl =
        |length: i32, rest: &[u8]| SaslInitialResponse::read(&frame(b'p', &[b"X\0", &length.to_be_bytes()[..], rest].concat()));
    assert_eq!(sasl(i32::MAX, b"abc").unwrap_err(), Malformed::Short { tag: b'p' });
    assert_eq!(sasl(-2, b"").unwrap_err(), Malformed::Length(-2));
    assert_eq!(sasl(2, b"abc").unwrap_err(), Malformed::LeftOver { tag: b'p' });
    assert_eq!(sasl(-1, b"").unwrap().response, None);
    assert_eq!(sasl(0, b"").unwrap().response, Some(Bytes::new()));
}

#[test]
fn lengths_out_of_bounds_end_the_stream_before_anything_is_kept() {
    for length in [i32::MIN, -1, 0, 3, 0x4000_0004, i32::MAX] {
        let mut splitter = Splitter::new(LIMITS);
        splitter.buffer().extend_from_slice(&[b"Q".as_slice(), &length.to_be_bytes()].concat());
        assert_eq!(splitter.lacking_bytes(), 0);
        assert_eq!(splitter.next().unwrap_err(), Malformed::Length(length.into()));
    }
    let mut splitter = Splitter::new(LIMITS);
    splitter.buffer().extend_from_slice(b"Q\x3f\xff\xff\xffsome");
    assert_eq!(splitter.lacking_bytes(), 0, "no room is made for what is not collected");
    assert!(matches!(splitter.next(), Ok(None)), "its head is not all there");
    splitter.buffer().extend_from_slice(&[b'x'; 5000]);
    let Ok(Some(Piece::Oversize { tag: b'Q', frame_bytes: 0x4000_0000, head })) = splitter.next() else { panic!("not oversize") };
    assert!(head.starts_with(b"Q\x3f\xff\xff\xffsomex") && head.len() == 4096);
    assert!(matches!(splitter.next(), Ok(None)) && splitter.buffer().is_empty() && !splitter.is_empty());
    for (length, good) in [(0u32, false), (7, false), (8, true), (10_004, true), (10_005, false), (u32::MAX, false)] {
        assert_eq!(StartupPacket::frame_bytes(length.to_be_bytes()).is_ok(), good, "{length}");
    }
}

#[test]
fn what_is_too_long_is_passed_on_where_it_may_be() {
    for body_bytes in [301usize, 4091, 4092, 9000] {
        let long = frame(b'Q', &vec![b'x'; body_bytes]).into_bytes();
        let stream = [long.clone(), long.clone(), frame(b'S', b"").into_bytes()].concat();
        for chunk in [1usize, 7, 4096, 20_000] {
            let (mut splitter, mut passed, mut dropped, mut pass) = (Splitter::new(LIMITS), Vec::new(), 0, true);
            let mut last = None;
            for bytes in stream.chunks(chunk) {
                splitter.buffer().extend_from_slice(bytes);
                while let Some(piece) = splitter.next().unwrap() {
                    match piece {
                        Piece::Oversize { head, .. } if std::mem::take(&mut pass) => {
                            passed.extend_from_slice(&head);
                            splitter.pass();
                            assert!(splitter.is_amid_parts());
                        }
                        Piece::Oversize { .. } => dropped += 1,
                        Piece::Part(part) => {
                            passed.extend_from_slice(&part.bytes);
                            assert_eq!(part.place == Place::Last, passed.len() == long.len());
                            assert_eq!(splitter.is_amid_parts(), part.place != Place::Last);
                        }
                        Piece::Frame(frame) => last = Some(frame.tag()),
                        Piece::Run(_) => panic!("nothing is bulk"),
                    }
                }
            }
            assert!(passed == long && dropped == 1 && last == Some(b'S'), "{body_bytes} {chunk}");
        }
    }
}

#[test]
fn first_packets_are_told_apart() {
    let read = |packet: Bytes| StartupPacket::read(&packet.slice(4..));
    assert!(matches!(read(ssl_request()), Ok(StartupPacket::SslRequest)));
    let key = CancelKey { process: 77, secret: Bytes::from_static(b"long enough key") };
    assert!(matches!(read(cancel_request(&key)), Ok(StartupPacket::Cancel(back)) if back == key));
    assert_eq!(format!("{key:?}"), "CancelKey(77)");
    let other = Bytes::from_static(&[0, 0, 0, 8, 0, 2, 0, 0]);
    assert!(matches!(read(other), Ok(StartupPacket::OtherVersion(0x20000))));
    for broken in [b"\0\x03\0\0".as_slice(), b"\0\x03\0\0user\0", b"\0\x03\0\0user\0x\0", b"\0\x03\0\0\0x", b"\0\x03\0"] {
        assert!(StartupPacket::read(&Bytes::copy_from_slice(broken)).is_err(), "{}", broken.escape_ascii());
    }
    assert!(startup_message(VERSION_3_0, &[(b"user", &[b'x'; 10_000])]).is_err());
    assert!(startup_message(VERSION_3_0, &[(b"user", b"a\0b")]).is_err());
    assert!(startup_message(VERSION_3_0, &[(b"", b"a")]).is_err());
}

#[test]
fn messages_of_our_own_are_as_the_manual_says() {
    let cases: [(Bytes, &[u8]); 11] = [
        (ready(TransactionStatus::Failed), b"Z\0\0\0\x05E"),
        (sasl_mechanisms(&["A", "B"]), b"R\0\0\0\x0d\0\0\0\x0aA\0B\0\0"),
        (password(b"x\0"), b"p\0\0\0\x06x\0"),
        (sasl_initial_response("M", b"ab"), b"p\0\0\0\x0cM\0\0\0\0\x02ab"),
        (negotiate_protocol_version(VERSION_3_0, &[Bytes::from_static(b"_pq_.x")]), b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0"),
        (parse(b"", b"select 1"), b"P\0\0\0\x10\0select 1\0\0\0"),
        (describe_statement(b"s"), b"D\0\0\0\x07Ss\0"),
        (describe_nothing(), b"D\0\0\0\x06!\0"),
        (error(&[(b'C', b"28P01"), (b'M', b"a\0b")]), b"E\0\0\0\x10C28P01\0Mab\0\0"),
        (parameter_status(b"a", b"b"), b"S\0\0\0\x08a\0b\0"),
        (terminate(), b"X\0\0\0\x04"),
    ];
    for (made, expected) in cases {
        assert_eq!(made.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
    let negotiated = Frame::new(negotiate_protocol_version(VERSION_3_2, &[Bytes::from_static(b"_pq_.x")])).unwrap();
    let negotiated = NegotiateProtocolVersion::read(&negotiated).unwrap();
    assert_eq!((negotiated.version, negotiated.options.len()), (VERSION_3_2, 1));
    let sasl = AuthenticationRequest::read(&Frame::new(sasl_mechanisms(&["A", "B"])).unwrap()).unwrap();
    assert!(matches!(sasl, AuthenticationRequest::Sasl { mechanisms } if mechanisms == ["A", "B"]));
}

#[test]
fn debug_shows_no_body() {
    let secret = frame(b'p', b"hunter2\0");
    assert_eq!(format!("{secret:?}"), "Frame('p', 13 bytes)");
    let initial =
        SaslInitialResponse { mechanism: Bytes::from_static(b"OAUTHBEARER"), response: Some(Bytes::from_static(b"token")) };
    assert!(!format!("{initial:?}").contains("token"));
}

#[test]
fn error_fields_end_once() {
    let whole = frame(b'E', b"SERROR\0C42601\0\0");
    let mut fields = ErrorFields::read(&whole);
    assert_eq!(fields.by_ref().map(|field| field.unwrap().0).collect::<Vec<_>>(), b"SC");
    assert!(fields.next().is_none() && fields.next().is_none());
    for broken in [b"SERROR\0C42".as_slice(), b"SERROR\0", b"", b"\0x"] {
        let broken = frame(b'E', broken);
        assert_eq!(ErrorFields::read(&broken).filter(Result::is_err).count(), 1);
    }
}

#[test]
fn a_run_splits_between_messages() {
    let messages: Vec<Bytes> = (0..5_u8).map(|n| frame(b'D', &vec![n; n.into()]).into_bytes()).collect();
    for count in 0..7 {
        let run = Run { tag: b'D', count: 5, bytes: messages.concat().into() };
        let (first, rest) = run.split(count);
        let at = count.min(5);
        assert_eq!((first.count, rest.count), (at, 5 - at));
        assert_eq!((first.bytes, rest.bytes), (Bytes::from(messages[..at].concat()), Bytes::from(messages[at..].concat())));
    }
}
