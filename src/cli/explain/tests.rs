use super::report::{Asker, explain};
use super::trace;
use crate::policy::Policy;
use crate::sql::{Attribute, Catalog, ColumnOrigin, Lineage, Relation, RelationKind, Source, Way};

const POLICY: &str = r#"
[default]
then = "allow"
[unknown]
then = { hold = { approvers = ["compliance"] } }
[[mask]]
columns = ["a.people.name"]
with = "redact"
unless_groups = ["clinicians"]
"#;

fn relation(oid: u32, name: &str, kind: RelationKind, columns: Vec<Attribute>) -> Relation {
    Relation {
        oid,
        schema: "a".into(),
        name: name.into(),
        kind,
        temporary: false,
        columns,
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    }
}

/// A table, a view of it, and a view of the view; one that refers to itself.
fn catalog() -> Catalog {
    let column = |number, name: &str| Attribute { number, name: name.to_owned(), type_oid: 25, ..Attribute::default() };
    let of = |number, name: &str, from: u32, at| Attribute { lineage: Some(Lineage::column(from, at)), ..column(number, name) };
    let mut catalog = Catalog::default();
    catalog.insert(relation(1, "people", RelationKind::Table, vec![column(1, "id"), column(2, "name")]));
    catalog.insert(relation(2, "low", RelationKind::View, vec![of(1, "who", 1, 2)]));
    let origin = Attribute { origin: Some(ColumnOrigin::Column(2, 1)), ..column(1, "whom") };
    catalog.insert(relation(3, "high", RelationKind::View, vec![origin]));
    catalog.insert(relation(4, "ring", RelationKind::View, vec![of(1, "self", 4, 1)]));
    catalog
}

#[test]
fn views_are_followed_down_to_tables() {
    let catalog = catalog();
    let bases = |relation, attribute| {
        let lineage = Lineage { sources: vec![Source { relation, attribute, way: Way::Kept }], ..Lineage::default() };
        trace::bases(&catalog, &lineage)
    };
    assert_eq!(bases(3, 1), ["a.people.name"]);
    assert_eq!(bases(1, 0), ["a.people.id", "a.people.name"], "a whole row is all its columns");
    assert_eq!(bases(4, 1), Vec::<String>::new(), "a ring ends");
    assert_eq!(bases(1, -1), ["a.people.ctid"]);
    assert_eq!(bases(9, 1), ["relation 9, which is not known"]);
}

#[test]
fn an_answer_has_the_shape_that_others_rely_on() {
    let (policy, catalog) = (Policy::parse(POLICY, "p").unwrap(), catalog());
    let groups = ["agents".to_owned()];
    let asker = Asker { policy: &policy, catalog: &catalog, database: "x", identity: "", groups: &groups };
    let explained = explain(&asker, b"delete from a.people where id = 1; selec", None, None);
    let json: serde_json::Value = serde_json::from_str(&explained.json()).unwrap();
    let first = &json["statements"][0];
    for key in ["verb", "verbs", "where", "reads", "writes", "columns", "predicates", "functions", "rules", "decision", "reasons"]
    {
        assert!(!first[key].is_null(), "{key}: {json}");
    }
    assert_eq!(json["statements"].as_array().map(Vec::len), Some(1), "what cannot be read is unknown as a whole");
    assert_eq!((&first["verb"], &json["decision"]), (&"unknown".into(), &"block".into()));
    let one = explain(&asker, b"delete from a.people where id = 1", None, None);
    let json: serde_json::Value = serde_json::from_str(&one.json()).unwrap();
    let first = &json["statements"][0];
    assert_eq!((&first["verb"], &first["where"], &first["decision"]), (&"delete".into(), &"restricts".into(), &"forward".into()));
    assert_eq!(first["writes"][0], "a.people");
}
