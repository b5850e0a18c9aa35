//! What a data type means to a mask.

use crate::sql::{Catalog, TypeInfo, TypeKind};
use crate::wire::Format;

/// Nesting of arrays, through domains, that is followed to the elements.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Types whose text and binary forms are the characters themselves.
    Text(Limit),
    /// `json`; `jsonb` (true)
    Json(bool),
    /// `xml`
    Xml,
    /// `"char"`: one byte.
    Char,
    /// An enum with its labels.
    Enum(Vec<String>),
    /// `boolean`
    Bool,
    /// `date`
    Date,
    /// `timestamp`, `timestamptz` (true)
    Timestamp(bool),
    /// `interval`
    Interval,
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
    /// Arrays, by the kind of their elements.
    Array(Box<Kind>),
    /// Anything else.
    Other,
}

impl Kind {
    /// The kind of a result column: its type, type modifier and format.
    pub(super) fn of(catalog: &Catalog, type_oid: u32, modifier: i32, format: Format) -> Self {
        Self::at_level(catalog, type_oid, modifier, format, 0)
    }

    fn at_level(catalog: &Catalog, type_oid: u32, modifier: i32, format: Format, level: usize) -> Self {
        let oid = catalog.base_type(type_oid);
        if level > LEVELS_MAX {
            return Self::Other;
        }
        let element = |element| Self::Array(Box::new(Self::at_level(catalog, element, modifier, format, level + 1)));
        // Told by number first: `name` and a few others have an element type without being arrays.
        if let Some(kind) = known(oid, modifier) {
            return kind;
        }
        let Some(info) = catalog.types.get(&oid) else { return builtin_element(oid).map_or(Self::Other, element) };
        match &info.kind {
            TypeKind::Array(of) if info.category == 'A' => element(*of),
            TypeKind::Enum(labels) => Self::Enum(labels.clone()),
            TypeKind::Base if info.schema != "pg_catalog" => extension(info, format),
            _ => Self::Other,
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
        16 => Kind::Bool,
        18 => Kind::Char,
        19 => Kind::Text(Limit::Bytes(NAME_BYTES_MAX)),
        20 => Kind::Integer(Integer::Eight),
        21 => Kind::Integer(Integer::Two),
        23 => Kind::Integer(Integer::Four),
        25 | 705 => Kind::Text(Limit::None),
        114 => Kind::Json(false),
        142 => Kind::Xml,
        700 => Kind::Real,
        701 => Kind::Double,
        1042 => Kind::Text(length.map_or(Limit::None, Limit::Padded)),
        1043 => Kind::Text(length.map_or(Limit::None, Limit::Chars)),
        1082 => Kind::Date,
        1114 => Kind::Timestamp(false),
        1184 => Kind::Timestamp(true),
        1186 => Kind::Interval,
        1700 => Kind::Numeric,
        2950 => Kind::Uuid,
        3802 => Kind::Json(true),
        // `int2vector`, `oidvector` and geometry: they have elements, but are written otherwise than arrays.
        22 | 30 | 600..=604 | 628 | 718 => Kind::Other,
        _ => return None,
    })
}

/// A type of an extension. A string type is a string in text; in binary only `citext` is known to be one.
fn extension(info: &TypeInfo, format: Format) -> Kind {
    match info.category {
        'S' if format == Format::Text || info.name == "citext" => Kind::Text(Limit::None),
        _ => Kind::Other,
    }
}
