//! `numeric` in binary format (`numeric_send`): base 10,000 digits with a weight, a sign and a display scale.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::number::{aged, nearest};
use crate::wire::Body;

/// Decimal digits in one digit of a `numeric`.
const GROUP: usize = 4;
const BASE: f64 = 10_000.0;
const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
/// Longest rounded number in decimal notation; a longer one becomes NULL.
const DECIMAL_BYTES_MAX: usize = 64;

/// Writes a `numeric` rounded; false for NULL.
pub(super) fn round(value: &[u8], step: f64, out: &mut BytesMut) -> bool {
    put(read(value).and_then(|value| nearest(value, step)), out)
}

/// Writes an age given as a `numeric`; false for NULL.
pub(super) fn age(value: &[u8], over: u16, out: &mut BytesMut) -> bool {
    put(read(value).and_then(|value| aged(value, over)), out)
}

fn put(number: Option<f64>, out: &mut BytesMut) -> bool {
    let mut decimal = Decimal { bytes: [0; DECIMAL_BYTES_MAX], length: 0 };
    number.is_some_and(|number| write!(decimal, "{number}").is_ok() && write(decimal.text(), out).is_some())
}

/// The nearest double; `None` for what is not finite or malformed.
fn read(value: &[u8]) -> Option<f64> {
    let mut body = Body::new(crate::wire::server_tag::DATA_ROW, value);
    let count = usize::try_from(body.i16().ok()?).ok()?;
    let mut weight = i32::from(body.i16().ok()?);
    let sign = match u16::from_be_bytes(*body.bytes(2).ok()?.first_chunk()?) {
        POSITIVE => 1.0,
        NEGATIVE => -1.0,
        _ => return None,
    };
    let _scale = body.i16().ok()?;
    let mut sum = 0.0;
    for _ in 0..count {
        let digit = body.i16().ok().filter(|digit| (0..10_000).contains(digit))?;
        sum += f64::from(digit) * BASE.powi(weight);
        weight -= 1;
    }
    body.end().ok()?;
    Some(sign * sum)
}

/// Writes a number given in decimal notation.
fn write(decimal: &[u8], out: &mut BytesMut) -> Option<()> {
    let (sign, digits) = decimal.strip_prefix(b"-").map_or((POSITIVE, decimal), |digits| (NEGATIVE, digits));
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (digits.get(..point)?, digits.get(point + 1..).unwrap_or_default());
    let whole = whole.get(whole.iter().take_while(|byte| **byte == b'0').count()..)?;
    let (whole_groups, fraction_groups) = (whole.len().div_ceil(GROUP), fraction.len().div_ceil(GROUP));
    let groups = whole_groups + fraction_groups;
    out.put_i16(groups.try_into().ok()?);
    out.put_i16(if groups == 0 { 0 } else { i16::try_from(whole_groups).ok()?.checked_sub(1)? });
    out.put_u16(sign);
    out.put_i16(fraction.len().try_into().ok()?);
    let left = std::iter::repeat_n(&b'0', whole_groups * GROUP - whole.len());
    let right = std::iter::repeat_n(&b'0', fraction_groups * GROUP - fraction.len());
    let mut all = left.chain(whole).chain(fraction).chain(right).map(|byte| i16::from(byte.wrapping_sub(b'0')));
    for _ in 0..groups {
        out.put_i16(all.by_ref().take(GROUP).fold(0, |group, digit| group * 10 + digit));
    }
    Some(())
}

/// A number in decimal notation, on the stack.
struct Decimal {
    bytes: [u8; DECIMAL_BYTES_MAX],
    length: usize,
}

impl Decimal {
    fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Decimal {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
