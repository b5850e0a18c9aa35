//! Constants of each type.

use bytes::{BufMut, BytesMut};

use super::kind::Kind;
use super::{JsonMask, Keys, PLACEHOLDER, PseudonymKey, json, number, pseudonym};
use crate::wire::Format;

/// What stands for a value that is masked whole, where its type has something else than NULL for that.
pub(super) fn redacted(kind: &Kind, format: Format) -> Option<BytesMut> {
    match kind {
        Kind::Json(binary) => Some(document(&json::quoted(PLACEHOLDER), *binary, format)),
        Kind::Xml => Some(BytesMut::from(b"<redacted/>".as_slice())),
        _ => None,
    }
}

/// A constant given as text, if it is a value of the type.
pub(super) fn fixed(text: &str, kind: &Kind, format: Format) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    match kind {
        Kind::Json(binary) => {
            return is_json(text).then(|| document(text.as_bytes(), *binary, format));
        }
        Kind::Enum(labels) => {
            out.extend_from_slice(labels.iter().find(|label| *label == text)?.as_bytes());
        }
        Kind::Bool => {
            let value = matches!(text, "true" | "t");
            (value || matches!(text, "false" | "f")).then_some(())?;
            out.put_u8(match format {
                Format::Text if value => b't',
                Format::Text => b'f',
                Format::Binary => u8::from(value),
            });
        }
        Kind::Integer(width) => {
            let value = text.parse().ok()?;
            number::write_integer(value, *width, format, &mut out).then_some(())?;
        }
        Kind::Uuid => {
            let raw = pseudonym::uuid_from_text(text.as_bytes())?;
            match format {
                Format::Text => pseudonym::uuid_to_text(&raw, &mut out),
                Format::Binary => out.extend_from_slice(&raw),
            }
        }
        _ => return None,
    }
    Some(out)
}

fn is_json(text: &str) -> bool {
    let keys = Keys { pseudonym: PseudonymKey::new(&[]), year_now: 0, names: Default::default() };
    json::write(text.as_bytes(), &JsonMask::none(), &keys, &mut BytesMut::new())
}

fn document(text: &[u8], binary: bool, format: Format) -> BytesMut {
    let mut out = BytesMut::with_capacity(text.len() + 1);
    if binary && format == Format::Binary {
        out.put_u8(1);
    }
    out.extend_from_slice(text);
    out
}
