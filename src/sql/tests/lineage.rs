//! Statements and where their values come from: `fixtures/sql/lineage.txt`.

use super::*;
use std::fmt::Write;

/// A source as the fixture writes it: the column, and what became of it.
fn source(catalog: &Catalog, source: &Source) -> String {
    let relation = &catalog.relations[&source.relation];
    let column = relation.columns.iter().find(|column| column.number == source.attribute).expect("a column");
    let mut text = format!("{}.{}", relation.name, column.name);
    match &source.way {
        Way::Kept => {}
        Way::Counted => text.push('#'),
        Way::Picked(function) => {
            let _ = write!(text, "^{function}");
        }
        Way::Through(step) => {
            let _ = write!(text, "~{}", step.function.replace(' ', "_"));
            if let Some(argument) = &step.argument {
                let _ = write!(text, "({argument})");
            }
        }
        Way::Part(path) | Way::Within(path) => {
            text.push_str(if matches!(source.way, Way::Within(_)) { "/~" } else { "/" });
            let steps = path.iter().map(|step| match step {
                JsonStep::Member(name) => name.clone(),
                JsonStep::Element => "[]".to_owned(),
                JsonStep::Any => "*".to_owned(),
            });
            text.push_str(&steps.collect::<Vec<_>>().join("/"));
        }
    }
    text
}

fn lineage(catalog: &Catalog, of: &Lineage) -> String {
    let mut parts: Vec<String> = of.sources.iter().map(|one| source(catalog, one)).collect();
    parts.extend(of.functions.iter().map(|one| format!("+{}", one.name)));
    parts.extend(of.untraced.map(|why| format!("%{why:?}").to_lowercase()));
    let direct = if of.direct { "!" } else { "" };
    if parts.is_empty() { "-".to_owned() } else { format!("{direct}{}", parts.join(" ")) }
}

/// What is known of the last statement of a text, as the fixture writes it.
fn told(catalog: &Catalog, text: &str) -> String {
    let facts = analyzed(catalog, text).pop().expect("a statement");
    let mut told = String::new();
    match (&facts.unknown, &facts.columns) {
        (Some(why), _) => told.push_str(&format!("  unknown {why:?}\n")),
        (None, None) => {}
        (None, Some(columns)) => {
            let columns = columns.iter().map(|column| format!("{}: {}", column.name, lineage(catalog, &column.lineage)));
            let _ = writeln!(told, "  = {}", columns.collect::<Vec<_>>().join(", "));
        }
    }
    for asked in &facts.asks {
        let _ = writeln!(told, "  ? {}: {}", format!("{:?}", asked.how).to_lowercase(), lineage(catalog, &asked.of));
    }
    for stored in &facts.stores {
        let relation = stored.relations.first().map_or("-", |oid| catalog.relations[oid].name.as_str());
        let column = stored.column.as_deref().unwrap_or("?");
        let _ = writeln!(told, "  > {relation}.{column}: {}", lineage(catalog, &stored.lineage));
    }
    told
}

#[test]
fn statements() {
    let catalog = catalog();
    let fixture = include_str!("../../../fixtures/sql/lineage.txt");
    let mut faults = Vec::new();
    let mut now = String::new();
    for block in fixture.split("\n\n") {
        let lines: Vec<&str> = block.lines().collect();
        let text: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with("  ")).collect();
        let expected: String = lines.iter().filter(|line| line.starts_with("  ")).map(|line| format!("{line}\n")).collect();
        let statement: String = text.iter().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let found = told(&catalog, &statement);
        let _ = write!(now, "{}\n{found}\n", text.join("\n"));
        if found != expected {
            faults.push(format!("{statement}expected\n{expected}found\n{found}"));
        }
    }
    if let Ok(path) = std::env::var("LINEAGE_NOW") {
        std::fs::write(path, now.trim_end().to_owned() + "\n").expect("a file");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn texts_of_functions_count_as_the_statements_own() {
    let catalog = catalog();
    let facts = |text: &str| analyzed(&catalog, text).pop().expect("a statement");
    let read = |facts: &Facts| facts.functions.iter().filter(|one| !one.builtin).map(|one| one.readable).collect::<Vec<_>>();
    let forgets = facts("select clinical.forget(3)");
    assert!(forgets.verbs.contains(&Verb::Delete) && forgets.where_ == Where::Restricts);
    assert_eq!(forgets.writes[0].name, "claims");
    assert_eq!(read(&forgets), [true]);
    let label = facts("select clinical.label(3)");
    assert_eq!((label.reads[0].name.as_str(), label.shifts.len()), ("patients", 0));
    assert_eq!(read(&facts("select clinical.sly(3)")), [true, false]);
    assert_eq!(read(&facts("select clinical.loop(3)")), [false, true]);
    assert_eq!(read(&facts("select clinical.age_years(now())")), [false, false, false], "with what its default calls");
}

#[test]
fn whatever_a_value_is_made_of_the_statement_calls() {
    let catalog = catalog();
    let fixture = include_str!("../../../fixtures/sql/lineage.txt");
    let statements =
        fixture.split("\n\n").map(|block| block.lines().filter(|line| !line.starts_with([' ', '#'])).collect::<String>());
    let mut named = 0;
    for facts in statements.flat_map(|text| analyzed(&catalog, &text)) {
        let columns = facts.columns.iter().flatten().map(|column| &column.lineage);
        let all =
            columns.chain(facts.asks.iter().map(|asked| &asked.of)).chain(facts.stores.iter().map(|stored| &stored.lineage));
        for function in all.flat_map(|lineage| &lineage.functions) {
            assert!(facts.functions.contains(function), "{function:?}");
            named += 1;
        }
    }
    assert!(named > 20);
    let notation = analyzed(&catalog, "copy clinical.codes from stdin where codes.sly is null").pop().expect("a statement");
    assert!(notation.functions.iter().any(|function| function.name == "wipe" && !function.readable));
    let own = analyzed(&catalog, "select p.row_to_json from clinical.patients p").pop().expect("a statement");
    assert!(own.functions.iter().any(|function| function.name == "row_to_json" && function.builtin));
}

#[test]
fn views_and_generated_columns() {
    let catalog = catalog();
    let columns =
        view_columns(" SELECT p.id AS pid, p.ssn AS social, 1 AS one\n   FROM clinical.patients p;", &catalog).expect("a view");
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["pid", "social", "one"]);
    assert!(columns[1].lineage.direct && columns[2].lineage.is_clean());
    assert_eq!(view_columns("SELECT * FROM nowhere.x", &catalog), None);
    assert_eq!(view_columns("SELECT 1; SELECT 2", &catalog), None);
    let patients = catalog.qualified("clinical", "patients").expect("a table").oid;
    let full = expression(patients, "((first_name || ' '::text) || last_name)", &catalog);
    assert_eq!(lineage(&catalog, &full), "patients.first_name~||( ) patients.last_name~||(*)");
    assert!(expression(patients, "nonsense (", &catalog).untraced.is_some());
}

#[test]
fn copy_leaves_out_what_a_table_computes() {
    let mut catalog = catalog();
    let patients = catalog.qualified("clinical", "patients").expect("a table").oid;
    let columns = |catalog: &Catalog, text: &str| {
        let facts = analyzed(catalog, text).pop().expect("a statement");
        facts.columns.expect("columns").into_iter().map(|column| column.name).collect::<Vec<_>>()
    };
    let all = columns(&catalog, "copy clinical.patients to stdout");
    let relation = catalog.relations.get_mut(&patients).expect("a table");
    relation.columns[2].lineage = Some(Lineage::column(patients, 1));
    let (id, computed) = (relation.columns[0].name.clone(), relation.columns[2].name.clone());
    let without: Vec<String> = all.iter().filter(|name| **name != computed).cloned().collect();
    assert_eq!(columns(&catalog, "copy clinical.patients to stdout"), without);
    assert_eq!(columns(&catalog, "table clinical.patients"), all);
    assert_eq!(columns(&catalog, &format!("copy clinical.patients ({id}, {computed}) to stdout")), [id, computed]);
    catalog.relations.get_mut(&patients).expect("a table").kind = RelationKind::MaterializedView;
    assert_eq!(columns(&catalog, "copy clinical.patients to stdout"), all);
}
