//! How rules spread over a catalog.

use super::*;
use crate::mask::ColumnRule;
use crate::sql::RelationName;
use RelationKind::{MaterializedView, Partitioned, Table, View};

const COLUMN: fn(u32, i16) -> Option<ColumnOrigin> = |oid, number| Some(ColumnOrigin::Column(oid, number));
const EXPRESSION: Option<ColumnOrigin> = Some(ColumnOrigin::Expression);

fn rule(column: &str, strategy: Strategy) -> ColumnRule {
    ColumnRule::of(column, strategy)
}

fn catalog_of(relations: Vec<Relation>) -> Catalog {
    let mut catalog = Catalog::default();
    relations.into_iter().for_each(|relation| catalog.insert(relation));
    catalog
}

fn table(oid: u32, name: &str, columns: &[&str]) -> Relation {
    let columns: Vec<(&str, Option<ColumnOrigin>)> = columns.iter().map(|name| (*name, None)).collect();
    relation(oid, name, Table, &columns)
}

fn child(oid: u32, name: &str, columns: &[&str], parents: &[u32]) -> Relation {
    Relation { parents: parents.to_vec(), ..table(oid, name, columns) }
}

fn view(oid: u32, name: &str, columns: &[(&str, Option<ColumnOrigin>)], depends: &[u32]) -> Relation {
    Relation { depends: depends.to_vec(), ..relation(oid, name, View, columns) }
}

fn how(map: &MaskMap, oid: u32, number: i16) -> Option<Option<Strategy>> {
    map.covers(oid, number).map(|column| column.strategy.clone())
}

#[test]
fn rules_name_columns_and_the_first_counts() {
    let catalog =
        catalog_of(vec![table(1, "clinical.patients", &["id", "ssn", "name"]), table(2, "billing.claims", &["id", "ssn"])]);
    let rules = [
        rule("clinical.*.ss?", Strategy::KeepLast(4)),
        rule("clinical.patients.ssn", Strategy::Redact),
        rule("billing.claims.ssn", Strategy::Null),
        rule("*.ssn", Strategy::Redact),
        rule("clinical.patients.*me", Strategy::Redact),
    ];
    let map = MaskMap::resolve(&catalog, &rules, &[]);
    assert_eq!(how(&map, 1, 1), None);
    assert_eq!(how(&map, 1, 2), Some(Some(Strategy::KeepLast(4))));
    assert_eq!(how(&map, 1, 3), Some(Some(Strategy::Redact)));
    assert_eq!(how(&map, 2, 2), Some(Some(Strategy::Null)));
    assert_eq!(how(&map, 1, 0), Some(None));
    assert_eq!(how(&map, 1, -1), None);
    assert!(MaskMap::resolve(&catalog, &[], &[]).is_empty());
    let none = MaskMap::resolve(&catalog, &[rule("no.such.column", Strategy::Redact)], &[]);
    assert!(none.columns.is_empty() && !none.is_empty());
}

#[test]
fn globs() {
    let cases = [
        ("a.b.c", "a.b.c", true),
        ("a.b.c", "a.b.d", false),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("?", "", false),
        ("a*c", "abbbc", true),
        ("a*c", "abbb", false),
        ("*.*.ssn", "a.b.ssn", true),
        ("*b*b*", "abab", true),
        ("*b*b", "aba", false),
        ("?é", "éé", true),
        ("a?", "a", false),
        ("a**", "a", true),
        ("*a", "aaab", false),
    ];
    for (pattern, name, want) in cases {
        assert_eq!(crate::mask::glob::matches(pattern, name), want, "{pattern} {name}");
    }
    assert!(!crate::mask::glob::matches(&"*a".repeat(200), &"a".repeat(150)));
}

#[test]
fn children_and_parents_share_masks() {
    let catalog = catalog_of(vec![
        Relation { kind: Partitioned, ..table(1, "c.visits", &["id", "companion"]) },
        child(2, "c.visits_2023", &["companion", "id"], &[1]),
        child(3, "c.visits_2023_06", &["id", "x", "companion"], &[2]),
        table(4, "c.contacts", &["id", "phone"]),
        child(5, "c.emergency", &["id", "phone"], &[4]),
        child(6, "c.office", &["id", "phone"], &[4]),
        table(7, "c.other", &["id"]),
    ]);
    let rules = [rule("c.visits.companion", Strategy::Redact), rule("c.emergency.phone", Strategy::KeepLast(2))];
    let map = MaskMap::resolve(&catalog, &rules, &[]);
    for column in [(1, 2), (2, 1), (3, 3)] {
        assert_eq!(how(&map, column.0, column.1), Some(Some(Strategy::Redact)));
    }
    assert_eq!(how(&map, 4, 2), Some(Some(Strategy::KeepLast(2))), "a parent's rows are its children's");
    assert_eq!(how(&map, 6, 2), None, "a sibling holds none of them");
    assert_eq!(map.columns.keys().filter(|(oid, _)| *oid == 7).count(), 0);
    assert!([1, 2, 3, 4, 5].iter().all(|oid| map.touched.contains(oid)) && !map.touched.contains(&7));
}

#[test]
fn two_masks_for_one_column_make_the_placeholder() {
    let catalog = catalog_of(vec![
        table(1, "c.parent", &["phone"]),
        child(2, "c.one", &["phone"], &[1]),
        child(3, "c.two", &["phone"], &[1]),
        view(4, "c.v", &[("phone", COLUMN(1, 1))], &[1]),
    ]);
    let map =
        MaskMap::resolve(&catalog, &[rule("c.one.phone", Strategy::KeepLast(4)), rule("c.two.phone", Strategy::Redact)], &[]);
    assert_eq!(how(&map, 1, 1), Some(None));
    assert_eq!(how(&map, 4, 1), Some(None));
    assert_eq!(how(&map, 2, 1), Some(Some(Strategy::KeepLast(4))));
}

#[test]
fn views_are_followed_to_their_sources() {
    let catalog = catalog_of(vec![
        table(1, "c.patients", &["id", "ssn", "state"]),
        table(2, "c.codes", &["code"]),
        view(3, "c.v", &[("pid", COLUMN(1, 1)), ("social", COLUMN(1, 2)), ("s", EXPRESSION), ("t", COLUMN(1, -1))], &[1]),
        view(4, "c.vv", &[("social", COLUMN(3, 2)), ("label", COLUMN(3, 3)), ("n", None), ("pid", COLUMN(3, 1))], &[3]),
        view(5, "c.clean", &[("code", COLUMN(2, 1)), ("n", EXPRESSION)], &[2]),
        Relation { kind: MaterializedView, ..view(6, "c.m", &[("key", COLUMN(1, 2))], &[1]) },
        view(7, "c.lost", &[("x", COLUMN(999, 1)), ("y", COLUMN(1, 77)), ("row", COLUMN(1, 0)), ("clean", COLUMN(2, 0))], &[1]),
        Relation { calls_unknown: true, ..view(8, "c.code", &[("x", EXPRESSION), ("code", COLUMN(2, 1))], &[2]) },
        view(9, "c.over", &[("x", EXPRESSION)], &[8]),
    ]);
    let map = MaskMap::resolve(&catalog, &[rule("c.patients.ssn", Strategy::KeepLast(4))], &[]);
    let direct = Some(Some(Strategy::KeepLast(4)));
    for (column, want) in [
        ((3, 1), None),
        ((3, 2), direct.clone()),
        ((3, 3), Some(None)),
        ((3, 4), None),
        ((4, 1), direct.clone()),
        ((4, 2), Some(None)),
        ((4, 3), Some(None)),
        ((4, 4), None),
        ((5, 1), None),
        ((5, 2), None),
        ((6, 1), direct),
        ((7, 1), Some(None)),
        ((7, 2), Some(None)),
        ((7, 3), Some(None)),
        ((7, 4), None),
        ((8, 1), Some(None)),
        ((8, 2), None),
        ((9, 1), Some(None)),
    ] {
        assert_eq!(how(&map, column.0, column.1), want, "{column:?}");
    }
    assert_eq!(map.covers(4, 1).map(|column| column.source.as_str()), Some("c.patients.ssn"));
    assert_eq!(
        [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|oid| map.touched.contains(&oid)),
        [true, false, true, true, false, true, true, true, true]
    );
}

#[test]
fn a_rule_on_a_view_never_loosens_what_lies_below() {
    let catalog =
        catalog_of(vec![table(1, "c.patients", &["ssn"]), view(2, "c.v", &[("ssn", COLUMN(1, 1)), ("other", EXPRESSION)], &[1])]);
    let rules = [rule("c.patients.ssn", Strategy::Redact), rule("c.v.*", Strategy::KeepFirst(9))];
    let map = MaskMap::resolve(&catalog, &rules, &[]);
    assert_eq!((how(&map, 2, 1), how(&map, 2, 2)), (Some(None), Some(None)));
}

#[test]
fn cycles_end() {
    let mut relations = vec![child(1, "c.a", &["x"], &[2]), child(2, "c.b", &["x"], &[1]), child(3, "c.c", &["x"], &[3])];
    relations.push(view(4, "c.v", &[("x", COLUMN(5, 1))], &[5]));
    relations.push(view(5, "c.w", &[("x", COLUMN(4, 1)), ("y", COLUMN(1, 1))], &[4, 5, 1]));
    let map = MaskMap::resolve(&catalog_of(relations), &[rule("c.a.x", Strategy::Redact), rule("c.c.x", Strategy::Null)], &[]);
    assert_eq!(how(&map, 2, 1), Some(Some(Strategy::Redact)));
    assert_eq!(how(&map, 5, 2), Some(Some(Strategy::Redact)));
    assert_eq!(how(&map, 4, 1), None);
}

#[test]
fn catalogs_that_hold_data_are_covered() {
    let catalog = catalog_of(vec![
        table(1, "pg_catalog.pg_statistic", &["starelid", "stavalues1", "stavalues5"]),
        view(2, "pg_catalog.pg_stats", &[("tablename", COLUMN(4, 1)), ("most_common_vals", EXPRESSION)], &[1, 4]),
        table(3, "pg_toast.pg_toast_16384", &["chunk_id", "chunk_data"]),
        table(4, "pg_catalog.pg_class", &["relname"]),
        Relation { calls_unknown: true, ..view(5, "information_schema.columns", &[("column_name", EXPRESSION)], &[4]) },
    ]);
    let map = MaskMap::resolve(&catalog, &[rule("c.patients.ssn", Strategy::Redact)], &[]);
    assert!(how(&map, 1, 2).is_some() && how(&map, 1, 3).is_some() && how(&map, 2, 2).is_some() && how(&map, 3, 2).is_some());
    assert!(how(&map, 1, 1).is_none() && how(&map, 2, 1).is_none() && how(&map, 4, 1).is_none());
    assert!(how(&map, 5, 1).is_none() && !map.touched.contains(&5));
}

#[test]
fn names_that_are_not_known_are_touched() {
    let map = map_of(&[(1, None)]);
    let name = |oids: &[u32], temporary| RelationName { schema: None, name: "x".to_owned(), oids: oids.to_vec(), temporary };
    assert!(map.touches(&name(&[], false)) && map.touches(&name(&[1, TABLE], false)));
    assert!(!map.touches(&name(&[1], false)) && !map.touches(&name(&[TABLE], true)));
    assert!(!MaskMap::default().touches(&name(&[], false)));
}

/// Twenty thousand partitions and as many views over them.
#[test]
fn large_catalogs_take_linear_time() {
    let mut relations = vec![table(1, "c.visits", &["id", "companion", "reason"])];
    for oid in 2..20_000 {
        relations.push(child(oid, "c.part", &["id", "companion", "reason"], &[1]));
        let below = if oid == 2 { 1 } else { oid - 1 + 100_000 };
        relations.push(view(oid + 100_000, "c.v", &[("companion", COLUMN(below, if oid == 2 { 2 } else { 1 }))], &[below]));
    }
    let catalog = catalog_of(relations);
    let rules: Vec<ColumnRule> = (0..100)
        .map(|n| rule(&format!("x{n}.*.ssn"), Strategy::Null))
        .chain([rule("c.visits.companion", Strategy::Redact)])
        .collect();
    let start = std::time::Instant::now();
    let map = MaskMap::resolve(&catalog, &rules, &[]);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    assert_eq!(how(&map, 119_999, 1), Some(Some(Strategy::Redact)));
    assert_eq!(how(&map, 19_999, 2), Some(Some(Strategy::Redact)));
}
