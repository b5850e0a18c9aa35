//! A stream of messages cut into chunks: what comes out of the splitter must not depend on the cuts.

use bytes::Bytes;
use pgveil::wire::{Frame, Limits, Malformed, Piece, Place, Splitter};

use super::input::Input;

/// Most bytes that are waited for of a message that is too long to be collected.
const HEAD_BYTES_MAX: usize = 4096;

/// Whole messages, those that were too long, and how the stream ended.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// What is too long passes in parts.
    pass: bool,
    messages: Vec<Vec<u8>>,
    oversize: Vec<(u8, usize, usize)>,
    error: Option<Malformed>,
    rest: usize,
}

/// Splits the rest of the input and hands on every message that was collected whole.
pub(super) fn messages(input: &mut Input<'_>, bulk: &'static [u8], mut read: impl FnMut(&Frame)) {
    let limits = Limits { whole_bytes_max: 16 + input.below(256), bulk, bulk_bytes_max: input.below(64) };
    let pass = input.flag();
    let sizes: Vec<usize> = (0..1 + input.below(4)).map(|_| 1 + input.below(200)).collect();
    let bytes = input.rest();
    let whole = seen(bytes, &[bytes.len().max(1)], limits, pass);
    assert_eq!(seen(bytes, &sizes, limits, pass), whole, "cuts show");
    assert_eq!(seen(bytes, &[1], limits, pass), whole, "single bytes show");
    for message in whole.messages {
        read(&Frame::new(Bytes::from(message)).expect("a message is a frame"));
    }
}

fn seen(stream: &[u8], sizes: &[usize], limits: Limits, pass: bool) -> Seen {
    let (mut splitter, mut seen, mut open) = (Splitter::new(limits), Seen { pass, ..Seen::default() }, None::<Vec<u8>>);
    let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(*sizes.next().expect("a cycle")));
        rest = behind;
        splitter.buffer().extend_from_slice(chunk);
        assert!(splitter.lacking_bytes() <= limits.whole_bytes_max.max(limits.bulk_bytes_max).max(HEAD_BYTES_MAX));
        loop {
            match splitter.next() {
                Ok(None) => break,
                Ok(Some(piece)) => {
                    let long = matches!(piece, Piece::Oversize { .. });
                    take(piece, &mut seen, &mut open);
                    if long && pass {
                        splitter.pass();
                    }
                    assert_eq!(splitter.is_amid_parts(), open.is_some());
                }
                Err(error) => {
                    assert_eq!(splitter.next().err(), Some(error), "a broken stream goes on");
                    seen.error = Some(error);
                    return seen;
                }
            }
        }
    }
    seen.rest = open.map_or(0, |open| open.len());
    seen
}

fn take(piece: Piece, seen: &mut Seen, open: &mut Option<Vec<u8>>) {
    match piece {
        Piece::Frame(frame) => seen.messages.push(frame.into_bytes().to_vec()),
        Piece::Run(run) => {
            let before = seen.messages.len();
            for body in run.bodies() {
                let length = u32::try_from(body.len() + 4).expect("a short body").to_be_bytes();
                seen.messages.push([&[run.tag], &length[..], body].concat());
            }
            assert_eq!(seen.messages[before..].concat(), run.bytes, "a run is not its messages");
            assert_eq!(seen.messages.len() - before, run.count);
        }
        Piece::Part(part) => match part.place {
            Place::First => assert!(open.replace(part.bytes.to_vec()).is_none(), "a message begins within another"),
            Place::Middle => open.as_mut().expect("a message is open").extend_from_slice(&part.bytes),
            Place::Last => {
                let mut whole = open.take().expect("a message is open");
                whole.extend_from_slice(&part.bytes);
                seen.messages.push(whole);
            }
        },
        Piece::Oversize { tag, frame_bytes, head } => {
            assert!(head.len() < frame_bytes && head.first() == Some(&tag), "a beginning that is none");
            seen.oversize.push((tag, frame_bytes, head.len()));
            if seen.pass {
                assert!(open.replace(head.to_vec()).is_none(), "a message begins within another");
            }
        }
    }
}
