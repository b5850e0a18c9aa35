use std::path::Path;

use super::cases::{self, Expected};
use super::compare::differences;
use crate::cli::explain::{Asker, explain};
use crate::policy::Policy;
use crate::sql::{Attribute, Catalog, Relation, RelationKind, TypeInfo, TypeKind};

const POLICY: &str = r#"
[default]
then = "allow"
[unknown]
then = "block"
[[mask]]
columns = ["a.people.name"]
with = "redact"
unless_groups = ["clinicians"]
[[rule]]
name = "all"
when = { verb = ["delete"], where = "absent" }
then = { hold = { approvers = ["compliance"] } }
"#;

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let column = |number, name: &str, type_oid| Attribute { number, name: name.to_owned(), type_oid, ..Attribute::default() };
    for (oid, name, category) in [(23, "int4", 'N'), (25, "text", 'S')] {
        let info = TypeInfo { oid, schema: "pg_catalog".into(), name: name.into(), kind: TypeKind::Base, category };
        catalog.types.insert(oid, info);
    }
    catalog.insert(Relation {
        oid: 20_000,
        schema: "a".into(),
        name: "people".into(),
        kind: RelationKind::Table,
        temporary: false,
        columns: vec![column(1, "id", 23), column(2, "name", 25)],
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    });
    catalog
}

fn read(text: &str) -> Result<cases::CaseFile, Vec<String>> {
    let faults = |faults: Vec<crate::policy::FileFault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    cases::parse(text, Path::new("p/cases/x.toml"), Path::new("p")).map_err(faults)
}

/// What differs when the one case of the text is judged.
fn judged(text: &str) -> Vec<String> {
    let file = read(text).unwrap();
    let (policy, catalog) = (Policy::parse(POLICY, "p").unwrap(), catalog());
    let case = &file.cases[0];
    let asker = Asker { policy: &policy, catalog: &catalog, database: "x", identity: "", groups: &case.groups };
    let explained = explain(&asker, case.sql.as_bytes(), None, None);
    differences(case, &explained).iter().map(|found| format!("{}: {} / {}", found.what, found.expected, found.actual)).collect()
}

#[test]
fn cases_read_as_documented() {
    let text = "groups = [\"g\"]\n[[case]]\nname = \"n\"\nsql = \"select 1\"\ndecision = \"forward\"\n\
                columns = [\"a: clear\", \"b c: masked year\"]\nrules = []\nrows_over = 5\n";
    let file = read(text).unwrap();
    let case = &file.cases[0];
    assert_eq!((case.line, case.groups.as_slice(), case.rows_over), (3, ["g".to_owned()].as_slice(), Some(5)));
    let expected = |name: &str, verdict: &str, strategy: Option<&str>| Expected {
        name: name.to_owned(),
        verdict: verdict.to_owned(),
        strategy: strategy.map(str::to_owned),
    };
    assert_eq!(case.columns.as_deref().unwrap(), [expected("a", "clear", None), expected("b c", "masked", Some("year"))]);
    assert_eq!(file.catalog, Path::new("p/catalog.json"));
    let other = read("catalog = \"../../c.json\"").unwrap();
    assert_eq!(other.catalog, Path::new("p/cases/../../c.json"));
}

#[test]
fn every_fault_of_a_case_is_named_with_its_line() {
    let text = "[[case]]\nname = \"n\"\nsql = \"select 1\"\ndecision = \"forwad\"\n\n[[case]]\nname = \"m\"\nsqll = \"x\"\n\
                decision = \"hold\"\ncolumns = [\"a\", \"b: maskd\", \"c: clear year\"]\n";
    let faults = read(text).unwrap_err();
    for (line, word) in [(4, "forward"), (6, "lacks `sql`"), (8, "sqll"), (10, "says nothing"), (10, "maskd"), (10, "too much")] {
        let there = faults.iter().any(|fault| fault.starts_with(&format!("p/cases/x.toml:{line}:")) && fault.contains(word));
        assert!(there, "{line} {word}: {faults:?}");
    }
}

#[test]
fn decisions_rules_and_approvers_are_compared() {
    let case = |sql: &str, more: &str| judged(&format!("[[case]]\nname = \"n\"\nsql = \"{sql}\"\n{more}"));
    let right = "decision = \"hold\"\nrules = [\"all\"]\napprovers = [\"compliance\"]\nreason = \"holds\"";
    assert_eq!(case("delete from a.people", right), Vec::<String>::new());
    assert_eq!(case("delete from a.people", "decision = \"block\""), ["decision: block / hold"]);
    assert_eq!(case("delete from a.people where id = 1", "decision = \"forward\"\nrules = [\"all\"]"), ["rules: all / none"]);
    assert_eq!(case("delete from a.people", "decision = \"hold\"\napprovers = [\"x\"]"), ["approvers: x / compliance"]);
    assert_eq!(case("select 1", "decision = \"forward\"\nrows_over = 5"), ["rows_over: 5 / no line"]);
    assert_eq!(case("delete from a.people", "decision = \"hold\"\nreason = \"zzz\"").len(), 1);
}
