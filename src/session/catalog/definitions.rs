//! What the columns of views and generated columns are made of.

use super::questions::{GENERATED, VIEWS};
use super::{LookFault, oid, text};
use crate::backend::Querier;
use crate::sql::{self, Catalog, ColumnOrigin, Lineage, Relation, ResultColumn};
use crate::wire::RowDescription;

/// Views described in one go.
const DESCRIBED_AT_ONCE: usize = 64;

/// Two witnesses for each view's columns: the server describes the view's own query, and its text is traced.
pub(super) async fn views(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let rows = querier.simple_query(VIEWS).await?;
    let views: Vec<(u32, String)> = rows.iter().map(|row| Ok((oid(row, 0)?, text(row, 1)))).collect::<Result<_, LookFault>>()?;
    let traced: Vec<_> = views.iter().map(|(_, query)| sql::view_columns(query, catalog)).collect();
    let mut traced = traced.into_iter();
    for chunk in views.chunks(DESCRIBED_AT_ONCE) {
        let queries: Vec<&str> = chunk.iter().map(|(_, query)| query.as_str()).collect();
        let described = querier.describe_all(&queries).await?;
        for ((view, _), description) in chunk.iter().zip(described) {
            let columns = traced.next().flatten();
            let Some(relation) = catalog.relations.get_mut(view) else { continue };
            originate(relation, description.ok().as_ref());
            if let Some(columns) = columns.filter(|columns| agree(relation, columns)) {
                for (column, traced) in relation.columns.iter_mut().zip(columns) {
                    column.lineage = Some(traced.lineage);
                }
            }
        }
    }
    Ok(())
}

fn originate(relation: &mut Relation, description: Option<&RowDescription>) {
    for (index, column) in relation.columns.iter_mut().enumerate() {
        column.origin = Some(match description.and_then(|description| description.columns.get(index)) {
            Some(field) if field.table_oid != 0 && field.attribute > 0 => ColumnOrigin::Column(field.table_oid, field.attribute),
            _ => ColumnOrigin::Expression,
        });
    }
}

/// True if the text was traced to the columns that the relation has: the server spells a view's query with their names.
fn agree(relation: &Relation, traced: &[ResultColumn]) -> bool {
    relation.columns.len() == traced.len()
        && relation.columns.iter().zip(traced).all(|(column, traced)| column.name == traced.name)
}

/// Generated columns, by their expressions.
pub(super) async fn generated(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let mut found: Vec<(u32, i16, Lineage)> = Vec::new();
    for row in querier.simple_query(GENERATED).await? {
        let (relation, number) = (oid(&row, 0)?, text(&row, 1).parse().map_err(|_| LookFault::Shape)?);
        found.push((relation, number, sql::expression(relation, &text(&row, 2), catalog)));
    }
    for (relation, number, lineage) in found {
        let columns = catalog.relations.get_mut(&relation).map(|relation| &mut relation.columns);
        if let Some(column) = columns.and_then(|columns| columns.iter_mut().find(|column| column.number == number)) {
            column.lineage = Some(lineage);
        }
    }
    Ok(())
}
