//! One case a test, or cases as data.

mod file;
mod inference;
mod lineage;

use std::collections::BTreeSet;

use super::*;
use crate::mask::{CsvMask, JsonMask, MaskMap, MaskedColumn, PseudonymAs, PseudonymForm};
use crate::sql::{Analysis, Facts, FunctionName, RelationName, UnknownReason, Verb, Where};

const PATIENTS: u32 = 100;
const CODES: u32 = 200;

fn policy(rest: &str) -> Policy {
    let text = format!("[default]\nthen = \"allow\"\n[unknown]\nthen = {HOLD}\n{rest}");
    Policy::parse(&text, "policy.toml").unwrap()
}

const HOLD: &str = "{ hold = { approvers = [\"compliance\"], within = \"1s\" } }";

fn faults(text: &str) -> Vec<String> {
    Policy::parse(text, "p.toml").unwrap_err().iter().map(ToString::to_string).collect()
}

fn with_answers(rest: &str) -> Vec<String> {
    faults(&format!("default.then = \"allow\"\nunknown.then = \"block\"\n{rest}"))
}

#[test]
fn names_are_drawn_for_scans_within_other_strategies() {
    let scan = |column: &str| format!("{{ scan = {{ names_from = [\"a.b.{column}\"] }} }}");
    let entry = |column: &str, with: String| format!("[[mask]]\ncolumns = [\"a.c.{column}\"]\nwith = {with}\n");
    let rules = [
        entry("p", scan("one")),
        entry("q", format!("{{ json = {{ \"$.note\" = {}, \"$.list\" = {{ elements = {} }} }} }}", scan("two"), scan("three"))),
        entry("r", format!("{{ csv = {{ columns = [2], with = {} }} }}", scan("four"))),
        entry("s", format!("{{ elements = {} }}", scan("five"))),
    ];
    let names: BTreeSet<String> = policy(&rules.concat()).names_from().concat().into_iter().collect();
    assert_eq!(names, ["one", "two", "three", "four", "five"].map(|column| format!("a.b.{column}")).into());
}

fn masked() -> MaskMap {
    let column = MaskedColumn::of("clinical.patients.ssn", None);
    let mut map = MaskMap::default();
    map.columns.insert((PATIENTS, 1), column);
    map.touched.insert(PATIENTS);
    map
}

fn relation(schema: Option<&str>, name: &str, oids: &[u32]) -> RelationName {
    RelationName { schema: schema.map(str::to_owned), name: name.to_owned(), oids: oids.to_vec(), temporary: false }
}

fn patients() -> RelationName {
    relation(Some("clinical"), "patients", &[PATIENTS])
}

fn codes() -> RelationName {
    relation(Some("clinical"), "codes", &[CODES])
}

fn function(schema: Option<&str>, name: &str, builtin: bool) -> FunctionName {
    FunctionName { schema: schema.map(str::to_owned), name: name.to_owned(), builtin, readable: false }
}

fn reading(name: RelationName) -> Facts {
    Facts { reads: vec![name], ..Facts::of(Verb::Select) }
}

fn writing(verb: Verb, name: RelationName) -> Facts {
    Facts { writes: vec![name], ..Facts::of(verb) }
}

fn calling(function: FunctionName) -> Facts {
    Facts { functions: vec![function], ..Facts::of(Verb::Select) }
}

fn decide_all(policy: &Policy, statements: Vec<Facts>, groups: &[&str], masks: &MaskMap) -> Decision {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let subject = Subject { identity: "someone", groups: &groups, database: "clinic" };
    policy.decide(&Analysis { statements }, &subject, masks, &masked())
}

fn decide(policy: &Policy, facts: Facts) -> Decision {
    decide_all(policy, vec![facts], &["agents"], &MaskMap::default())
}

fn decide_masked(facts: Facts) -> Decision {
    decide_all(&policy(""), vec![facts], &["agents"], &masked())
}

fn own_function() -> Vec<FunctionName> {
    vec![function(Some("clinical"), "patient_label", false)]
}

fn mass_delete() -> Facts {
    Facts { where_: Where::Absent, ..writing(Verb::Delete, codes()) }
}

fn is_hold(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::Hold(_))
}

fn mass_change() -> Policy {
    policy(&format!(
        "[[rule]]\nname = \"mass\"\nsays = \"every row\"\n\
         when = {{ verb = [\"delete\", \"update\"], where = \"absent\", target = \"not temporary\" }}\nthen = {HOLD}"
    ))
}

#[test]
fn a_rule_holds_what_it_speaks_of() {
    let policy = mass_change();
    let held = decide(&policy, mass_delete());
    assert!(is_hold(&held));
    assert_eq!((held.rules, held.reasons), (vec!["mass".to_owned()], vec!["every row".to_owned()]));
    assert_eq!(held.gate, Gate::Execute);
    let tautology = Facts { where_: Where::Tautology, ..mass_delete() };
    assert!(is_hold(&decide(&policy, tautology)));
    for other in [
        Facts { where_: Where::Restricts, ..mass_delete() },
        Facts { target_temporary: true, ..mass_delete() },
        Facts::of(Verb::Select),
    ] {
        assert_eq!(decide(&policy, other).outcome, Outcome::Forward);
    }
}

#[test]
fn a_verb_inside_counts_as_that_verb() {
    let inner = Facts { verb: Verb::Select, verbs: BTreeSet::from([Verb::Select, Verb::Delete]), ..mass_delete() };
    assert!(is_hold(&decide(&mass_change(), inner)));
}

#[test]
fn the_strictest_statement_of_a_text_decides() {
    let policy = policy(&format!(
        "[[rule]]\nname = \"a\"\nwhen = {{ verb = \"select\" }}\nthen = \"allow\"\n\
         [[rule]]\nname = \"h\"\nwhen = {{ verb = \"delete\" }}\nthen = {HOLD}\n\
         [[rule]]\nname = \"b\"\nwhen = {{ verb = \"drop\" }}\nthen = \"block\""
    ));
    let texts = |verbs: &[Verb]| decide_all(&policy, verbs.iter().map(|v| Facts::of(*v)).collect(), &[], &MaskMap::default());
    assert_eq!(texts(&[Verb::Select, Verb::Select]).outcome, Outcome::Forward);
    assert!(is_hold(&texts(&[Verb::Select, Verb::Delete])));
    let blocked = texts(&[Verb::Delete, Verb::Drop, Verb::Select]);
    assert_eq!(blocked.outcome, Outcome::Block);
    assert_eq!(blocked.rules, ["b", "h", "a"]);
}

#[test]
fn two_holds_need_what_both_need() {
    let two = |one: &str, other: &str| {
        policy(&format!(
            "[[rule]]\nname = \"a\"\nwhen = {{ verb = \"delete\" }}\nthen = {{ hold = {one} }}\n\
             [[rule]]\nname = \"b\"\nwhen = {{ verb = \"delete\" }}\nthen = {{ hold = {other} }}"
        ))
    };
    let shared =
        two("{ approvers = [\"x\", \"y\"], within = \"5m\" }", "{ approvers = [\"y\"], approvals = 2, within = \"9m\" }");
    let terms = HoldTerms { approvers: vec!["y".to_owned()], approvals: 2, within_ms: 300_000 };
    assert_eq!(decide(&shared, Facts::of(Verb::Delete)).outcome, Outcome::Hold(terms));
    let apart = two("{ approvers = [\"x\"] }", "{ approvers = [\"y\"] }");
    assert_eq!(decide(&apart, Facts::of(Verb::Delete)).outcome, Outcome::Block);
}

#[test]
fn what_no_rule_speaks_of_takes_the_default() {
    let text =
        "default.then = \"block\"\nunknown.then = \"block\"\n[[rule]]\nname = \"a\"\nwhen.verb = \"select\"\nthen = \"allow\"";
    let policy = Policy::parse(text, "p").unwrap();
    assert_eq!(decide(&policy, Facts::of(Verb::Select)).outcome, Outcome::Forward);
    assert_eq!(decide(&policy, Facts::of(Verb::Empty)).outcome, Outcome::Forward);
    let blocked = decide(&policy, Facts::of(Verb::Insert));
    assert_eq!((blocked.outcome, blocked.rules), (Outcome::Block, vec!["[default]".to_owned()]));
    assert_eq!(blocked.reasons, ["no rule speaks of insert"]);
}

#[test]
fn what_cannot_be_analysed_takes_the_answer_to_unknown() {
    let policy = policy("[[rule]]\nname = \"a\"\nwhen.verb = \"unknown\"\nthen = \"allow\"");
    let held = decide(&policy, Facts::unknown(UnknownReason::Bytes));
    assert!(is_hold(&held));
    assert_eq!(held.reasons[0], "the statement is too long to be analysed");
    assert!(is_hold(&decide_all(&policy, vec![], &[], &MaskMap::default())));
    assert!(!held.touches_masked, "nothing is masked for this subject");
}

#[test]
fn groups_and_databases_narrow_a_rule() {
    let policy = policy(
        "[[rule]]\nname = \"g\"\nwhen = { verb = \"drop\", groups = [\"agents\"] }\nthen = \"block\"\n\
         [[rule]]\nname = \"n\"\nwhen = { verb = \"create\", not_groups = [\"dba\"] }\nthen = \"block\"\n\
         [[rule]]\nname = \"d\"\nwhen = { verb = \"alter\", database = [\"other*\"] }\nthen = \"block\"",
    );
    let of = |verb, groups: &[&str]| decide_all(&policy, vec![Facts::of(verb)], groups, &MaskMap::default()).outcome;
    assert_eq!(of(Verb::Drop, &["agents", "x"]), Outcome::Block);
    assert_eq!(of(Verb::Drop, &["dba"]), Outcome::Forward);
    assert_eq!(of(Verb::Create, &["agents"]), Outcome::Block);
    assert_eq!(of(Verb::Create, &["dba"]), Outcome::Forward);
    assert_eq!(of(Verb::Alter, &["agents"]), Outcome::Forward);
}

#[test]
fn unknown_functions_fall_due_at_bind() {
    let policy = policy(&format!(
        "[[rule]]\nname = \"code\"\nwhen_any = [{{ verb = \"do\" }}, {{ function = \"unknown\" }}]\nthen = {HOLD}"
    ));
    let held = decide(&policy, calling(function(Some("public"), "f", false)));
    assert!(is_hold(&held));
    assert_eq!(held.gate, Gate::Bind);
    assert!(is_hold(&decide(&policy, Facts::of(Verb::Do))));
    for known in [function(Some("pg_catalog"), "lpad", false), function(None, "now", true)] {
        assert_eq!(decide(&policy, calling(known)).outcome, Outcome::Forward);
    }
}

#[test]
fn vouching_needs_the_schema() {
    let text = format!(
        "known_functions = [\"clinical.age*\"]\ndefault.then = \"allow\"\nunknown.then = \"block\"\n\
         [[rule]]\nname = \"code\"\nwhen.function = \"unknown\"\nthen = {HOLD}"
    );
    let policy = Policy::parse(&text, "p").unwrap();
    assert_eq!(decide(&policy, calling(function(Some("clinical"), "age_years", false))).outcome, Outcome::Forward);
    assert!(is_hold(&decide(&policy, calling(function(Some("public"), "age_years", false)))));
    assert!(is_hold(&decide(&policy, calling(function(None, "age_years", false)))));
}

#[test]
fn functions_are_found_by_name_in_any_schema() {
    let policy = policy("[[rule]]\nname = \"f\"\nwhen.function = [\"dblink*\", \"public.lo_x\"]\nthen = \"block\"");
    for (schema, name, wanted) in [
        (Some("anywhere"), "dblink_exec", Outcome::Block),
        (None, "dblink", Outcome::Block),
        (Some("public"), "lo_x", Outcome::Block),
        (None, "lo_x", Outcome::Block),
        (Some("own"), "lo_x", Outcome::Forward),
    ] {
        assert_eq!(decide(&policy, calling(function(schema, name, false))).outcome, wanted, "{schema:?} {name}");
    }
}

#[test]
fn rows_over_stops_later() {
    let policy = policy(&format!(
        "[[rule]]\nname = \"bulk\"\nwhen = {{ verb = \"select\", reads = \"phi\", rows_over = 500 }}\nthen = {HOLD}\n\
         [[rule]]\nname = \"more\"\nwhen = {{ verb = \"select\", reads = \"phi\", rows_over = 900 }}\nthen = {HOLD}"
    ));
    let decision = decide(&policy, reading(patients()));
    assert_eq!(decision.outcome, Outcome::Forward);
    assert_eq!(decision.rows_over.as_ref().unwrap().rows, 500);
    assert_eq!(decide(&policy, reading(codes())).rows_over, None);
    assert!(decide(&policy, calling(function(Some("clinical"), "find_patient", false))).rows_over.is_some());
}

#[test]
fn touching_is_carried_for_masked_identities_only() {
    assert!(decide_masked(reading(patients())).touches_masked);
    assert!(!decide_masked(reading(codes())).touches_masked);
    assert!(decide_masked(reading(relation(None, "not_known", &[]))).touches_masked);
    assert!(decide_masked(calling(function(Some("clinical"), "patient_label", false))).touches_masked);
    assert!(!decide_masked(calling(function(Some("pg_catalog"), "lpad", false))).touches_masked);
    assert!(!decide(&policy(""), reading(patients())).touches_masked);
}

#[test]
fn masked_identities_are_refused_what_masks_cannot_follow() {
    let with = |facts: Facts, verbs: &[Verb]| Facts { verbs: verbs.iter().copied().collect(), ..facts };
    let moving = |facts: Facts| Facts { moves_data: true, ..facts };
    let both = |verb, from: RelationName, to: RelationName| Facts { reads: vec![from], ..writing(verb, to) };
    let new = || relation(Some("scratch"), "t", &[]);
    let and_reads = |facts: Facts| Facts { reads: vec![patients()], ..facts };
    let refused = vec![
        ("unknown", Facts::unknown(UnknownReason::Syntax)),
        ("do", Facts::of(Verb::Do)),
        ("call", Facts::of(Verb::Call)),
        ("load", Facts::of(Verb::Load)),
        ("function call", Facts::of(Verb::FunctionCall)),
        ("copy to file", Facts::of(Verb::CopyFile)),
        ("copy to program", Facts::of(Verb::CopyProgram)),
        ("role", Facts::of(Verb::Role)),
        ("set role", Facts::of(Verb::SetRole)),
        ("alter system", Facts::of(Verb::AlterSystem)),
        ("copy out", Facts { reads: vec![patients()], ..Facts::of(Verb::CopyOut) }),
        ("copy of an unknown function", with(calling(function(None, "f", false)), &[Verb::CopyOut, Verb::Select])),
        ("insert select", moving(both(Verb::Insert, patients(), codes()))),
        ("insert of a function", Facts { functions: own_function(), ..writing(Verb::Insert, codes()) }),
        ("create table as a function", Facts { functions: own_function(), ..writing(Verb::SelectInto, new()) }),
        ("update from", moving(writing(Verb::Update, patients()))),
        ("create table as", moving(both(Verb::SelectInto, patients(), new()))),
        ("create view", both(Verb::Create, patients(), new())),
        ("create function", Facts::of(Verb::Create)),
        ("rename schema", Facts::of(Verb::Alter)),
        ("create trigger", writing(Verb::Create, codes())),
        ("create rule on a table just made", writing(Verb::Create, new())),
        ("create rule on a temporary table", writing(Verb::Create, RelationName { temporary: true, ..new() })),
        ("attach partition", writing(Verb::Alter, codes())),
        ("alter table", writing(Verb::Alter, patients())),
        ("drop table", writing(Verb::Drop, patients())),
        ("refresh", writing(Verb::Refresh, patients())),
        ("pg_statistic", reading(relation(Some("pg_catalog"), "pg_statistic", &[2619]))),
        ("pg_largeobject", reading(relation(None, "pg_largeobject", &[2613]))),
        ("toast", reading(relation(Some("pg_toast"), "pg_toast_16456", &[16460]))),
        ("toast by path", reading(relation(None, "pg_toast_16456", &[]))),
        ("query_to_xml", calling(function(Some("pg_catalog"), "query_to_xml_and_xmlschema", true))),
        ("dblink", calling(function(Some("public"), "dblink", false))),
        ("pg_read_file", calling(function(None, "pg_read_file", true))),
        ("lo_get", calling(function(None, "lo_get", true))),
        ("pages", calling(function(Some("public"), "get_raw_page", false))),
        ("scheduler", calling(function(Some("cron"), "schedule", false))),
        ("notify", and_reads(calling(function(None, "pg_notify", true)))),
        ("set_config", and_reads(calling(function(None, "set_config", true)))),
        ("sleep", and_reads(calling(function(None, "pg_sleep_for", true)))),
    ];
    for (what, facts) in refused {
        let decision = decide_masked(facts.clone());
        assert_eq!(decision.outcome, Outcome::Block, "{what}");
        assert_eq!(decision.rules[0], "[masked]", "{what}");
        assert!(!decision.reasons[0].is_empty());
        let raw = decide(&policy(""), facts);
        assert_ne!(raw.outcome, Outcome::Block, "{what} is the policy's to decide where nothing is masked");
    }
}

#[test]
fn masked_identities_work_otherwise() {
    let both = |verb, from: RelationName, to: RelationName| Facts { reads: vec![from], ..writing(verb, to) };
    let temporary = RelationName { temporary: true, ..relation(None, "stage", &[]) };
    let new = || relation(Some("scratch"), "t", &[]);
    let allowed = vec![
        ("select", reading(patients())),
        ("insert", writing(Verb::Insert, patients())),
        ("update", Facts { where_: Where::Restricts, ..writing(Verb::Update, patients()) }),
        ("copy in", writing(Verb::CopyIn, patients())),
        ("copy out of codes", Facts { reads: vec![codes()], ..Facts::of(Verb::CopyOut) }),
        ("insert select of codes", Facts { moves_data: true, reads: vec![codes()], ..writing(Verb::Insert, codes()) }),
        ("create view of codes", both(Verb::Create, codes(), new())),
        ("drop table", writing(Verb::Drop, codes())),
        ("create table as", Facts { moves_data: true, reads: vec![codes()], ..writing(Verb::SelectInto, new()) }),
        ("create temp table", Facts { target_temporary: true, ..writing(Verb::Create, temporary.clone()) }),
        ("drop temp table", Facts { target_temporary: true, ..writing(Verb::Drop, temporary) }),
        ("set_config", calling(function(None, "set_config", true))),
        ("pg_class", reading(relation(Some("pg_catalog"), "pg_class", &[1259]))),
        ("pg_statistic_ext", reading(relation(Some("pg_catalog"), "pg_statistic_ext", &[3381]))),
        ("a table called pg_largeobject", reading(relation(Some("own"), "pg_largeobject", &[CODES]))),
        ("pg_roles", reading(relation(None, "pg_roles", &[CODES]))),
        ("listen", Facts::of(Verb::Listen)),
        ("notify", Facts::of(Verb::Notify)),
        ("begin", Facts::of(Verb::Transaction)),
        ("explain", Facts { reads: vec![patients()], ..Facts::of(Verb::Explain) }),
        ("analyze", writing(Verb::Maintenance, patients())),
    ];
    for (what, facts) in allowed {
        let decision = decide_masked(facts);
        assert_eq!(decision.outcome, Outcome::Forward, "{what}: {:?}", decision.reasons);
    }
}

#[test]
fn reasons_name_the_relation() {
    let decision = decide_masked(Facts { reads: vec![patients()], ..Facts::of(Verb::CopyOut) });
    assert_eq!(
        decision.reasons,
        ["masks cannot follow COPY TO, and the statement reads `clinical.patients`, which has masked columns"]
    );
}

#[test]
fn masked_columns_are_not_computed_from_themselves_nor_kept_by_alter() {
    let masks = masked();
    let plain = policy("");
    let refused = |facts: Facts| {
        let analysis = Analysis { statements: vec![facts] };
        let groups = ["agents".to_owned()];
        let subject = Subject { identity: "a", groups: &groups, database: "clinic" };
        plain.decide(&analysis, &subject, &masks, &masks).outcome == Outcome::Block
    };
    let update = |attribute| Facts { rewrites: vec![(PATIENTS, attribute)], ..writing(Verb::Update, patients()) };
    assert!(refused(update(1)));
    assert!(!refused(update(2)));
    let temporary = RelationName { temporary: true, ..relation(None, "t", &[]) };
    let alter = |name| Facts {
        writes: vec![temporary.clone()],
        target_temporary: true,
        functions: vec![function(Some("clinical"), name, false)],
        ..Facts::of(Verb::Alter)
    };
    assert!(refused(alter("patient_label")));
    assert!(refused(calling(function(Some("pg_catalog"), "pg_backup_start", true))));
}
