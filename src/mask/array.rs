//! Arrays: each element is masked, dimensions and bounds stay.

use bytes::{BufMut, BytesMut};

use super::cell::CellMask;
use super::{ARRAY_DIMENSIONS_MAX, Keys};
use crate::wire::Body;

/// Where a binary array says whether it holds NULLs.
const FLAGS_AT: usize = 4;

/// Writes a masked array in text format; false for NULL, where the value is not an array.
pub(super) fn text(value: &[u8], mask: &CellMask, quoted: bool, keys: &Keys, out: &mut BytesMut) -> bool {
    let Some(open) = value.iter().position(|byte| *byte == b'{') else { return false };
    let (bounds, mut rest) = value.split_at(open);
    if !bounds.iter().all(|byte| byte.is_ascii_digit() || b"[]:=-+".contains(byte)) {
        return false;
    }
    out.extend_from_slice(bounds);
    let mut depth = 0_usize;
    while let Some((byte, behind)) = rest.split_first() {
        match byte {
            b'{' if depth < ARRAY_DIMENSIONS_MAX => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b',' if depth > 0 => {}
            b'{' | b'}' | b',' => return false,
            _ if depth == 0 => return false,
            _ => {
                let Some(behind) = element(rest, mask, quoted, keys, out) else { return false };
                rest = behind;
                continue;
            }
        }
        out.put_u8(*byte);
        rest = behind;
        if depth == 0 {
            break;
        }
    }
    depth == 0 && rest.is_empty()
}

/// Masks the element that `rest` begins with; what is behind it.
fn element<'a>(rest: &'a [u8], mask: &CellMask, quotes: bool, keys: &Keys, out: &mut BytesMut) -> Option<&'a [u8]> {
    let (content, behind, quoted) = match rest.split_first() {
        Some((b'"', content)) => {
            let end = quoted_end(content)?;
            let (content, behind) = content.split_at_checked(end)?;
            (content, behind.get(1..)?, true)
        }
        _ => {
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b'{' | b'"'))?;
            let (content, behind) = rest.split_at_checked(end)?;
            (content, behind, false)
        }
    };
    if !quoted && content.eq_ignore_ascii_case(b"NULL") {
        out.extend_from_slice(b"NULL");
        return Some(behind);
    }
    let start = out.len();
    out.put_u8(b'"');
    let written =
        if content.contains(&b'\\') { mask.value(&unescape(content), keys, out) } else { mask.value(content, keys, out) };
    if !written {
        out.truncate(start);
        out.extend_from_slice(b"NULL");
        return Some(behind);
    }
    if !quotes && is_plain(out.get(start + 1..)?) {
        let plain = out.len() - 1;
        out.get_mut(start..)?.copy_within(1.., 0);
        out.truncate(plain);
        return Some(behind);
    }
    escape_from(start + 1, out);
    out.put_u8(b'"');
    Some(behind)
}

/// True for what needs no quotes (`array_out`).
fn is_plain(value: &[u8]) -> bool {
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') && !byte.is_ascii_whitespace() && *byte != 0x0b;
    !value.is_empty() && value.iter().all(plain) && !value.eq_ignore_ascii_case(b"NULL")
}

fn quoted_end(content: &[u8]) -> Option<usize> {
    let mut escaped = false;
    content.iter().position(|byte| {
        let end = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        end
    })
}

fn unescape(content: &[u8]) -> Vec<u8> {
    let mut escaped = false;
    let mut plain = Vec::with_capacity(content.len());
    for byte in content {
        escaped = !escaped && *byte == b'\\';
        if !escaped {
            plain.push(*byte);
        }
    }
    plain
}

/// Escapes what was written from `start` on.
fn escape_from(start: usize, out: &mut BytesMut) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\');
    if !out.get(start..).unwrap_or_default().iter().any(special) {
        return;
    }
    let plain = out.split_off(start);
    for byte in &plain {
        if special(byte) {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
}

/// Writes a masked array in binary format (`array_send`); false for NULL, where the value is not an array.
pub(super) fn binary(value: &[u8], mask: &CellMask, keys: &Keys, out: &mut BytesMut) -> bool {
    binary_elements(value, mask, keys, out).is_some()
}

fn binary_elements(value: &[u8], mask: &CellMask, keys: &Keys, out: &mut BytesMut) -> Option<()> {
    let mut body = Body::new(crate::wire::server_tag::DATA_ROW, value);
    let dimensions = usize::try_from(body.i32().ok()?).ok().filter(|count| *count <= ARRAY_DIMENSIONS_MAX)?;
    let _has_null = body.i32().ok()?;
    let _element_oid = body.oid().ok()?;
    let mut elements = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let length = usize::try_from(body.i32().ok()?).ok()?;
        let _lower_bound = body.i32().ok()?;
        elements = elements.checked_mul(length)?;
    }
    let start = out.len();
    out.extend_from_slice(value.get(..value.len() - body.rest().len())?);
    let mut nulls = false;
    for _ in 0..elements {
        match body.value().ok()? {
            None => out.put_i32(-1),
            Some(element) => {
                let at = out.len();
                mask.write(element, keys, out);
                nulls |= out.get(at..)?.starts_with(&(-1_i32).to_be_bytes());
            }
        }
    }
    if nulls {
        out.get_mut(start + FLAGS_AT..)?.first_chunk_mut::<4>()?.copy_from_slice(&1_i32.to_be_bytes());
    }
    body.end().ok()
}
