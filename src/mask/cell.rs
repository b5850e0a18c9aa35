//! One value: what is done with it, whatever its type and format.

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::{Integer, Kind};
use super::text::TextMask;
use super::{Keys, Strategy, array, date, number, numeric, pseudonym};
use crate::sql::Catalog;
use crate::wire::Format;

/// The length that stands for NULL.
const NULL: i32 = -1;

/// What is done with the values of one column. NULL stays NULL under each.
#[derive(Debug, Clone)]
pub(super) enum CellMask {
    /// NULL.
    Null,
    /// A constant, with its length in front.
    Constant(Bytes),
    /// Text.
    Text(TextMask),
    /// An array of text.
    TextArray(TextMask, Format),
    /// The year of a date.
    Date(Format),
    /// The year of a timestamp, with zone or without.
    Timestamp(bool, Format),
    /// A rounded integer.
    RoundInteger(Integer, Format, f64),
    /// A rounded `real`.
    RoundReal(Format, f64),
    /// A rounded `double precision`.
    RoundDouble(Format, f64),
    /// A rounded `numeric`.
    RoundNumeric(Format, f64),
    /// A stand-in for an integer.
    PseudonymInteger(Integer, Format),
    /// A stand-in for a UUID.
    PseudonymUuid(Format),
}

impl CellMask {
    /// The mask of a strategy for a type; without a strategy the placeholder.
    pub(super) fn new(strategy: Option<&Strategy>, kind: Kind, format: Format) -> Self {
        match (kind, strategy) {
            (_, Some(Strategy::Null)) => Self::Null,
            (Kind::Text(limit), _) => match TextMask::new(strategy, limit) {
                Some(TextMask::Constant(constant)) => Self::constant(&constant),
                Some(mask) => Self::Text(mask),
                None => Self::Null,
            },
            (Kind::TextArray(limit), _) => {
                TextMask::new(strategy, limit).map_or(Self::Null, |mask| Self::TextArray(mask, format))
            }
            (Kind::Char, _) => Self::constant(b"*"),
            (Kind::Date, Some(Strategy::Year)) => Self::Date(format),
            (Kind::Timestamp(zone), Some(Strategy::Year)) => Self::Timestamp(zone, format),
            (Kind::Integer(width), Some(Strategy::Round(step))) => Self::RoundInteger(width, format, *step),
            (Kind::Real, Some(Strategy::Round(step))) => Self::RoundReal(format, *step),
            (Kind::Double, Some(Strategy::Round(step))) => Self::RoundDouble(format, *step),
            (Kind::Numeric, Some(Strategy::Round(step))) => Self::RoundNumeric(format, *step),
            (Kind::Integer(width), Some(Strategy::Pseudonym)) => Self::PseudonymInteger(width, format),
            (Kind::Uuid, Some(Strategy::Pseudonym)) => Self::PseudonymUuid(format),
            _ => Self::Null,
        }
    }

    /// The mask of a strategy for values of a type, told by its OID and modifier, in a format.
    pub(super) fn of(strategy: Option<&Strategy>, catalog: &Catalog, type_oid: u32, modifier: i32, format: Format) -> Self {
        Self::new(strategy, Kind::of(catalog, type_oid, modifier, format), format)
    }

    /// Writes what becomes of `value` without a length; false, and nothing written, if it is NULL.
    pub(super) fn value(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) -> bool {
        let start = out.len();
        let written = match self {
            Self::Constant(cell) => {
                out.extend_from_slice(cell.get(size_of::<i32>()..).unwrap_or_default());
                true
            }
            _ => self.write_value(value, keys, out),
        };
        if !written {
            out.truncate(start);
        }
        written
    }

    fn constant(value: &[u8]) -> Self {
        let Ok(length) = i32::try_from(value.len()) else { return Self::Null };
        let mut cell = BytesMut::with_capacity(size_of::<i32>() + value.len());
        cell.put_i32(length);
        cell.extend_from_slice(value);
        Self::Constant(cell.freeze())
    }

    /// True if every value becomes NULL.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Writes what becomes of `value`, its length in front.
    pub(super) fn write(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) {
        match self {
            Self::Null => out.extend_from_slice(&NULL.to_be_bytes()),
            Self::Constant(cell) => out.extend_from_slice(cell),
            _ => self.write_sized(value, keys, out),
        }
    }

    fn write_sized(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        let start = out.len();
        let length = if self.write_value(value, keys, out) { i32::try_from(out.len() - start).ok() } else { None };
        if length.is_none() {
            out.truncate(start);
        }
        if let Some(place) = out.get_mut(at..).and_then(|cell| cell.first_chunk_mut()) {
            *place = length.unwrap_or(NULL).to_be_bytes();
        }
    }

    /// Writes the value alone; false if it is NULL, whatever has been written.
    fn write_value(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) -> bool {
        match self {
            Self::Null | Self::Constant(_) => false,
            Self::Text(mask) => {
                mask.write(value, keys, out);
                true
            }
            Self::TextArray(mask, Format::Text) => array::text(value, mask, keys, out),
            Self::TextArray(mask, Format::Binary) => array::binary(value, mask, keys, out),
            Self::Date(format) => date::date(value, *format, keys.year_now, out),
            Self::Timestamp(zone, format) => date::timestamp(value, *zone, *format, keys.year_now, out),
            Self::RoundInteger(width, format, step) => number::round_integer(value, *width, *format, *step, out),
            Self::RoundReal(format, step) => number::round_real(value, *format, *step, out),
            Self::RoundDouble(format, step) => number::round_double(value, *format, *step, out),
            Self::RoundNumeric(Format::Text, step) => number::round_text(value, *step, out),
            Self::RoundNumeric(Format::Binary, step) => numeric::round(value, *step, out),
            Self::PseudonymInteger(width, format) => pseudonym::integer(value, *width, *format, keys, out),
            Self::PseudonymUuid(format) => pseudonym::uuid(value, *format, keys, out),
        }
    }
}
