//! Where the values of a statement come from, what it asks about them, and where it puts them.

use super::catalog::{Catalog, Oid};
use super::lineage::{Lineage, ResultColumn, Untraced};

/// The columns of a view by its definition (`pg_get_viewdef`, every name qualified); none if it cannot be read.
#[must_use]
pub fn view_columns(_definition: &str, _catalog: &Catalog) -> Option<Vec<ResultColumn>> {
    None
}

/// What an expression over the columns of one relation is made of (`pg_get_expr` of a generated column).
#[must_use]
pub fn expression(_relation: Oid, _text: &str, _catalog: &Catalog) -> Lineage {
    Lineage::untraced(Untraced::Form)
}
