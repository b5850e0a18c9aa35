use super::detect::{Shape, whole, within};
use super::known::KINDS;
use super::print;
use super::propose::Ground;
use super::sample::{self, Counts};
use super::{Found, tables};
use crate::policy::Policy;
use crate::sql::{Attribute, Catalog, Relation, RelationKind, TypeInfo, TypeKind};

fn table(oid: u32, name: &str, columns: &[(&str, u32)]) -> Relation {
    let column = |(index, (name, type_oid)): (usize, &(&str, u32))| Attribute {
        number: i16::try_from(index + 1).unwrap(),
        name: (*name).to_owned(),
        type_oid: *type_oid,
        ..Attribute::default()
    };
    Relation {
        oid,
        schema: "a".into(),
        name: name.into(),
        kind: RelationKind::Table,
        temporary: false,
        columns: columns.iter().enumerate().map(column).collect(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (oid, name, category) in [(23, "int4", 'N'), (25, "text", 'S'), (1082, "date", 'D')] {
        let info = TypeInfo { oid, schema: "pg_catalog".into(), name: name.into(), kind: TypeKind::Base, category };
        catalog.types.insert(oid, info);
    }
    catalog.insert(table(
        1,
        "patients",
        &[("id", 23), ("ssn", 25), ("x1", 25), ("birth_date", 1082), ("remarks_2", 25), ("mrn", 25)],
    ));
    catalog.insert(table(2, "providers", &[("id", 23), ("last_name", 25), ("hired_on", 1082)]));
    catalog.insert(table(3, "stays", &[("chart", 25), ("od\"d", 25)]));
    catalog
}

const SECRET: &str = "219-09-9999";

fn found() -> Found {
    let catalog = Box::leak(Box::new(catalog()));
    let mut ground = Ground::new(catalog);
    ground.keys.insert((3, 1), (1, 6));
    ground.samples.insert((1, 2), Counts::of([SECRET; 10].into_iter()));
    ground.samples.insert((1, 3), Counts::of([SECRET; 10].into_iter()));
    let note = format!("seen for a cough today, number {SECRET} on the chart and more");
    ground.samples.insert((1, 5), Counts::of([note.as_str(); 10].into_iter()));
    let tables = tables(catalog);
    let proposals = ground.proposals(&tables);
    Found {
        database: "x\ny".into(),
        sample: 10,
        tables: 3,
        columns: 11,
        proposals,
        unread: vec![("a.b".into(), "SQLSTATE 42501".into())],
    }
}

#[test]
fn columns_are_found_by_name_type_sample_and_key() {
    let found = found();
    let of = |column: &str| found.proposals.iter().find(|proposal| proposal.column == column);
    for (column, kind, sure) in [
        ("a.patients.ssn", "social security numbers", true),
        ("a.patients.x1", "social security numbers", true),
        ("a.patients.birth_date", "dates of birth, death, admission and discharge", true),
        ("a.patients.remarks_2", "free text", false),
        ("a.patients.mrn", "medical record numbers", true),
        ("a.providers.last_name", "names", false),
        ("a.stays.chart", "medical record numbers", true),
    ] {
        let proposal = of(column).unwrap_or_else(|| panic!("{column} is not found"));
        assert_eq!((proposal.kind.name, proposal.doubts.is_empty()), (kind, sure), "{column}: {proposal:?}");
    }
    for column in ["a.patients.id", "a.providers.hired_on", "a.stays.od\"d"] {
        assert_eq!(of(column), None, "{column}");
    }
}

#[test]
fn what_is_printed_is_a_policy_without_values() {
    let found = found();
    let text = print::policy(&found);
    let policy = Policy::parse(&text, "proposal").unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    assert!(policy.size().0 >= 4, "{text}");
    assert!(text.contains("10 of 10 sampled values look like a social security number"), "{text}");
    assert!(text.contains("UNSURE") && text.contains("NOT READ: `a.b`"), "{text}");
    assert!(!text.contains(SECRET) && !print::json(&found).to_string().contains(SECRET), "a value is printed");
}

#[test]
fn every_kind_has_a_mask_that_policies_know() {
    for kind in &KINDS {
        let text = format!(
            "[default]\nthen = \"allow\"\n[unknown]\nthen = \"block\"\n[[mask]]\ncolumns = [\"a.b.c\"]\nwith = {}\n",
            kind.with
        );
        assert!(Policy::parse(&text, kind.name).is_ok(), "{}", kind.name);
    }
}

#[test]
fn values_have_their_shapes() {
    for (value, shape) in [
        ("219-09-9999", Shape::Ssn),
        ("a.b+c@example.org", Shape::Email),
        ("(555) 010-4477", Shape::Phone),
        ("+1 555 010 4477", Shape::Phone),
        ("https://example.org/x", Shape::Url),
        ("192.0.2.7", Shape::Ip),
        ("2001:db8::1", Shape::Ip),
        ("4111 1111 1111 1111", Shape::Card),
        ("1234567893", Shape::Npi),
        ("90210-1234", Shape::Zip),
        ("1962-03-04", Shape::Date),
    ] {
        assert!(whole(value).contains(&shape), "{value} is no {shape:?}: {:?}", whole(value));
        assert!(whole(&format!("x{value}x")).is_empty() || shape == Shape::Email, "{value} with more around it");
    }
    for value in ["", "cough", "120/80", "7.35", "A1C", "1.2.3", "4111 1111 1111 1112", "é@", "é".repeat(9).as_str()] {
        assert_eq!(whole(value), Vec::new(), "{value}");
    }
    assert_eq!(within("call 555-010-4477 or a@b.org, SSN 219-09-9999."), [Shape::Phone, Shape::Email, Shape::Ssn]);
}

#[test]
fn samples_are_bounded_and_names_quoted() {
    let odd = table(3, "sta\"ys", &[("od\"d", 25)]);
    let small = sample::query(&odd, 200, 1000);
    assert_eq!(small, "select pg_catalog.left(t.\"od\"\"d\"::pg_catalog.text, 2000) from \"a\".\"sta\"\"ys\" t limit 200");
    let large = sample::query(&odd, 200, 40_000_000);
    assert!(large.contains("tablesample system (0.0100) limit 200"), "{large}");
}
