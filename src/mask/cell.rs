//! One value: what is done with it, whatever its type and format.

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::{Integer, Kind};
use super::text::TextMask;
use super::{
    JsonMask, Keys, PLACEHOLDER, PseudonymAs, Strategy, array, constant, date, interval, json, month, number, numeric, pseudonym,
};
use crate::sql::Catalog;
use crate::wire::Format;

/// The length that stands for NULL.
const NULL: i32 = -1;
/// What stands in front of a `jsonb` in binary format.
const JSONB_VERSION: u8 = 1;

/// What is done with the values of one column. NULL stays NULL under each.
#[derive(Debug, Clone)]
pub(super) enum CellMask {
    /// NULL.
    Null,
    /// A constant, with its length in front.
    Constant(Bytes),
    /// Text.
    Text(TextMask),
    /// Json, `jsonb` in binary format if true.
    Json(JsonMask, bool),
    /// Each element of an array. Text is always written in quotes if true.
    Array(Box<CellMask>, Format, bool),
    /// The year of a date.
    Date(Format),
    /// The year of a timestamp, with zone or without.
    Timestamp(bool, Format),
    /// Year and month of a date.
    Month(Format),
    /// Year and month of a timestamp, with zone or without.
    MonthTimestamp(bool, Format),
    /// A rounded integer.
    RoundInteger(Integer, Format, f64),
    /// A rounded `real`.
    RoundReal(Format, f64),
    /// A rounded `double precision`.
    RoundDouble(Format, f64),
    /// A rounded `numeric`.
    RoundNumeric(Format, f64),
    /// An age as an integer.
    AgeInteger(Integer, Format, u16),
    /// An age as any number in decimal notation.
    AgeText(u16),
    /// An age as a floating point number in binary.
    AgeFloat(u16),
    /// An age as a `numeric` in binary.
    AgeNumeric(u16),
    /// An age as an interval.
    AgeInterval(Format, u16),
    /// A stand-in for an integer.
    PseudonymInteger(Integer, Format, Option<String>),
    /// A stand-in for a UUID.
    PseudonymUuid(Format, Option<String>),
}

impl CellMask {
    /// The mask of a strategy for values of a type, told by its OID and modifier, in a format. Without a strategy the placeholder.
    pub(super) fn of(strategy: Option<&Strategy>, catalog: &Catalog, type_oid: u32, modifier: i32, format: Format) -> Self {
        Self::new(strategy, &Kind::of(catalog, type_oid, modifier, format), format)
    }

    fn new(strategy: Option<&Strategy>, kind: &Kind, format: Format) -> Self {
        match (kind, strategy) {
            (_, Some(Strategy::Null)) => Self::Null,
            // What was computed can have as many elements as a value decides.
            (Kind::Array(_), None) => Self::Null,
            (Kind::Array(element), Some(Strategy::Elements(inner))) => Self::array(Some(inner), element, format),
            (Kind::Array(element), _) => Self::array(strategy, element, format),
            (Kind::Text(limit), _) => match TextMask::new(strategy, *limit) {
                Some(TextMask::Constant(constant)) => Self::constant(&constant),
                Some(mask) => Self::Text(mask),
                None => Self::Null,
            },
            (Kind::Char, _) => Self::constant(b"*"),
            (_, None) => Self::Null,
            (_, Some(Strategy::Fixed(text))) => match constant::fixed(text, kind, format) {
                Some(value) => Self::constant(&value),
                None => Self::redacted(kind, format),
            },
            (Kind::Json(_), Some(Strategy::Redact | Strategy::Csv(_))) => Self::redacted(kind, format),
            (Kind::Json(binary), Some(strategy)) => {
                let versioned = *binary && format == Format::Binary;
                match strategy {
                    Strategy::Json(mask) => Self::Json(mask.clone(), versioned),
                    other => Self::Json(JsonMask::whole(other), versioned),
                }
            }
            (_, Some(strategy)) => Self::typed(strategy, kind, format).unwrap_or_else(|| Self::redacted(kind, format)),
        }
    }

    fn array(strategy: Option<&Strategy>, element: &Kind, format: Format) -> Self {
        match Self::new(strategy, element, format) {
            Self::Null => Self::Null,
            mask => Self::Array(Box::new(mask), format, matches!(element, Kind::Text(_))),
        }
    }

    /// What holds nothing of the value, where a type has something like that besides NULL.
    fn redacted(kind: &Kind, format: Format) -> Self {
        constant::redacted(kind, format).map_or(Self::Null, |value| Self::constant(&value))
    }

    /// Strategies that mean something for a type; all others are its placeholder.
    fn typed(strategy: &Strategy, kind: &Kind, format: Format) -> Option<Self> {
        Some(match (strategy, kind) {
            (Strategy::Year, Kind::Date) => Self::Date(format),
            (Strategy::Year, Kind::Timestamp(zone)) => Self::Timestamp(*zone, format),
            (Strategy::Month, Kind::Date) => Self::Month(format),
            (Strategy::Month, Kind::Timestamp(zone)) => Self::MonthTimestamp(*zone, format),
            (Strategy::Round(step), Kind::Integer(width)) => Self::RoundInteger(*width, format, *step),
            (Strategy::Round(step), Kind::Real) => Self::RoundReal(format, *step),
            (Strategy::Round(step), Kind::Double) => Self::RoundDouble(format, *step),
            (Strategy::Round(step), Kind::Numeric) => Self::RoundNumeric(format, *step),
            (Strategy::Age(over), Kind::Integer(width)) => Self::AgeInteger(*width, format, *over),
            (Strategy::Age(over), Kind::Real | Kind::Double | Kind::Numeric) if format == Format::Text => Self::AgeText(*over),
            (Strategy::Age(over), Kind::Real | Kind::Double) => Self::AgeFloat(*over),
            (Strategy::Age(over), Kind::Numeric) => Self::AgeNumeric(*over),
            (Strategy::Age(over), Kind::Interval) => Self::AgeInterval(format, *over),
            (Strategy::Pseudonym, _) => return Self::pseudonym(&PseudonymAs::default(), kind, format),
            (Strategy::PseudonymAs(how), _) => return Self::pseudonym(how, kind, format),
            _ => return None,
        })
    }

    fn pseudonym(how: &PseudonymAs, kind: &Kind, format: Format) -> Option<Self> {
        match kind {
            Kind::Integer(width) => Some(Self::PseudonymInteger(*width, format, how.scope.clone())),
            Kind::Uuid => Some(Self::PseudonymUuid(format, how.scope.clone())),
            _ => None,
        }
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

    /// Writes the value alone; false if it is NULL, whatever has been written.
    fn write_value(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) -> bool {
        match self {
            Self::Null | Self::Constant(_) => false,
            Self::Text(mask) => {
                mask.write(value, keys, out);
                true
            }
            Self::Json(mask, versioned) => document(value, mask, *versioned, keys, out),
            Self::Array(mask, Format::Text, quoted) => array::text(value, mask, *quoted, keys, out),
            Self::Array(mask, Format::Binary, _) => array::binary(value, mask, keys, out),
            Self::Date(format) => date::date(value, *format, keys.year_now, out),
            Self::Timestamp(zone, format) => date::timestamp(value, *zone, *format, keys.year_now, out),
            Self::Month(format) => month::date(value, *format, keys.year_now, out),
            Self::MonthTimestamp(zone, format) => month::timestamp(value, *zone, *format, keys.year_now, out),
            Self::RoundInteger(width, format, step) => number::round_integer(value, *width, *format, *step, out),
            Self::RoundReal(format, step) => number::round_real(value, *format, *step, out),
            Self::RoundDouble(format, step) => number::round_double(value, *format, *step, out),
            Self::RoundNumeric(Format::Text, step) => number::round_text(value, *step, out),
            Self::RoundNumeric(Format::Binary, step) => numeric::round(value, *step, out),
            Self::AgeInteger(width, format, over) => number::age_integer(value, *width, *format, *over, out),
            Self::AgeText(over) => number::age_text(value, *over, out),
            Self::AgeFloat(over) => number::age_float(value, *over, out),
            Self::AgeNumeric(over) => numeric::age(value, *over, out),
            Self::AgeInterval(format, over) => interval::age(value, *format, *over, out),
            Self::PseudonymInteger(width, format, scope) => {
                pseudonym::integer(value, *width, *format, scope.as_deref(), keys, out)
            }
            Self::PseudonymUuid(format, scope) => pseudonym::uuid(value, *format, scope.as_deref(), keys, out),
        }
    }
}

/// Writes a json document; what is none is replaced whole.
fn document(value: &[u8], mask: &JsonMask, versioned: bool, keys: &Keys, out: &mut BytesMut) -> bool {
    let start = out.len();
    let text = if versioned {
        out.put_u8(JSONB_VERSION);
        value.strip_prefix(&[JSONB_VERSION])
    } else {
        Some(value)
    };
    if !text.is_some_and(|text| json::write(text, mask, keys, out)) {
        out.truncate(start + usize::from(versioned));
        out.extend_from_slice(&json::quoted(PLACEHOLDER));
    }
    true
}
