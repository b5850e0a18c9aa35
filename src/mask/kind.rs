//! What a data type means to a mask.

use crate::sql::{Catalog, TypeKind};
use crate::wire::Format;

/// Nesting that is followed from a domain over an array to its elements.
const LEVELS_MAX: usize = 4;
/// Longest `name` in bytes (`NAMEDATALEN` less one).
const NAME_BYTES_MAX: usize = 63;
/// Bytes in a type modifier in front of the length (`VARHDRSZ`).
const MODIFIER_EXTRA: i32 = 4;

/// How long a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// As long as it likes.
    None,
    /// So many characters.
    Chars(usize),
    /// Padded with blanks to so many characters.
    Padded(usize),
    /// So many bytes.
    Bytes(usize),
}

/// Width of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    /// `smallint`
    Two,
    /// `integer`
    Four,
    /// `bigint`
    Eight,
}

/// Data types that masks tell apart. For all others there is only NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Types whose text and binary forms are the characters themselves.
    Text(Limit),
    /// Arrays of such.
    TextArray(Limit),
    /// `"char"`: one byte.
    Char,
    /// `date`
    Date,
    /// `timestamp`, `timestamptz` (true)
    Timestamp(bool),
    /// Integers.
    Integer(Integer),
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `numeric`
    Numeric,
    /// `uuid`
    Uuid,
    /// Anything else.
    Other,
}

impl Kind {
    /// The kind of a result column: its type, type modifier and format.
    pub(super) fn of(catalog: &Catalog, type_oid: u32, modifier: i32, format: Format) -> Self {
        let mut oid = type_oid;
        let mut array = false;
        for _ in 0..LEVELS_MAX {
            oid = catalog.base_type(oid);
            // Told by number first: `name` and a few others have an element type without being arrays.
            if known(oid, modifier).is_some() {
                break;
            }
            match catalog.types.get(&oid).map(|info| &info.kind) {
                Some(TypeKind::Array(element)) if !array => (oid, array) = (*element, true),
                Some(TypeKind::Array(_)) => return Self::Other,
                None => match builtin_element(oid) {
                    Some(element) if !array => (oid, array) = (element, true),
                    _ => break,
                },
                Some(_) => break,
            }
        }
        match known(oid, modifier).unwrap_or_else(|| extension(catalog, oid, format)) {
            Self::Text(limit) if array => Self::TextArray(limit),
            _ if array => Self::Other,
            kind => kind,
        }
    }
}

/// The element type of PostgreSQL's own arrays of text, for a catalog that does not list types.
fn builtin_element(oid: u32) -> Option<u32> {
    match oid {
        1009 => Some(25),
        1014 => Some(1042),
        1015 => Some(1043),
        1003 => Some(19),
        _ => None,
    }
}

/// PostgreSQL's own types, whose numbers never change (`pg_type.dat`).
fn known(oid: u32, modifier: i32) -> Option<Kind> {
    let length =
        modifier.checked_sub(MODIFIER_EXTRA).and_then(|length| usize::try_from(length).ok()).filter(|length| *length > 0);
    Some(match oid {
        18 => Kind::Char,
        19 => Kind::Text(Limit::Bytes(NAME_BYTES_MAX)),
        20 => Kind::Integer(Integer::Eight),
        21 => Kind::Integer(Integer::Two),
        23 => Kind::Integer(Integer::Four),
        25 | 705 => Kind::Text(Limit::None),
        700 => Kind::Real,
        701 => Kind::Double,
        1042 => Kind::Text(length.map_or(Limit::None, Limit::Padded)),
        1043 => Kind::Text(length.map_or(Limit::None, Limit::Chars)),
        1082 => Kind::Date,
        1114 => Kind::Timestamp(false),
        1184 => Kind::Timestamp(true),
        1700 => Kind::Numeric,
        2950 => Kind::Uuid,
        _ => return None,
    })
}

/// A string type of an extension: in text it is a string, in binary only `citext` is known to be one.
fn extension(catalog: &Catalog, oid: u32, format: Format) -> Kind {
    match catalog.types.get(&oid) {
        Some(info) if info.category == 'S' && info.kind == TypeKind::Base && info.schema != "pg_catalog" => {
            if format == Format::Text || info.name == "citext" { Kind::Text(Limit::None) } else { Kind::Other }
        }
        _ => Kind::Other,
    }
}
