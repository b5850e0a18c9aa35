//! The catalog as a value that can be kept.

use super::super::*;

#[test]
fn a_catalog_is_the_same_when_it_was_written_and_read_as_json() {
    let earlier = super::catalog();
    let mut catalog = earlier.clone();
    let (oid, relation) = catalog.relations.iter_mut().next().unwrap();
    let (oid, number) = (*oid, relation.columns[0].number);
    relation.name.push_str("_moved");
    relation.columns[0].lineage = Some(Lineage::column(oid, number));
    catalog.rows.insert("json_each".into(), vec![vec!["key".into(), "value".into()]]);
    catalog.remember(&earlier);
    assert!(!catalog.former.is_empty());
    let written = serde_json::to_string(&catalog).unwrap();
    assert_eq!(serde_json::from_str::<Catalog>(&written).unwrap(), catalog);
}
