//! The shape of a result as far as the catalog tells it, where no server was asked.

use bytes::Bytes;

use crate::sql::{Catalog, Lineage, ResultColumn, Way};
use crate::wire::{ColumnField, Format, RowDescription};

/// `text`, which stands for the type of what is computed.
const TEXT: u32 = 25;

/// A description such as the server would give, but for the types of computed columns.
pub(super) fn shape(catalog: &Catalog, columns: &[ResultColumn]) -> RowDescription {
    RowDescription { columns: columns.iter().map(|column| field(catalog, column)).collect() }
}

fn field(catalog: &Catalog, column: &ResultColumn) -> ColumnField {
    let (table_oid, attribute) = origin(&column.lineage).unwrap_or((0, 0));
    let known = catalog.relations.get(&table_oid).and_then(|relation| relation.columns.iter().find(|c| c.number == attribute));
    ColumnField {
        name: Bytes::copy_from_slice(column.name.as_bytes()),
        table_oid,
        attribute,
        type_oid: known.map_or(TEXT, |known| known.type_oid),
        type_length: -1,
        type_modifier: -1,
        format: Format::Text,
    }
}

/// True if the type of the column is the catalog's word.
pub(super) fn is_typed(column: &ResultColumn) -> bool {
    origin(&column.lineage).is_some()
}

fn origin(lineage: &Lineage) -> Option<(u32, i16)> {
    match lineage.sources.as_slice() {
        [only] if lineage.direct && only.way == Way::Kept && only.attribute > 0 => Some((only.relation, only.attribute)),
        _ => None,
    }
}
