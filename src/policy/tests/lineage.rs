//! What masked identities may ask and store, by what values are made of.

use super::*;
use crate::mask::Predicates;
use crate::sql::{Asked, CopyFormat, CopyLayout, Lineage, ResultColumn, Source, Step, Stored, Untraced, Use, Way};

/// Of `clinical.patients` 1 `ssn` (nothing but equality), 2 `name` (deny), 3 `phone` (allow), 4 `state` (clear), 5 `fax` as `ssn`.
fn masks() -> MaskMap {
    use crate::mask::Strategy::{KeepLast, Redact};
    let column = |name: &str, strategy, predicates| MaskedColumn {
        predicates,
        ..MaskedColumn::of(&format!("clinical.patients.{name}"), Some(strategy))
    };
    let mut map = MaskMap { ruled: true, touched: [PATIENTS].into(), ..MaskMap::default() };
    for (number, name, strategy, predicates) in [
        (1, "ssn", KeepLast(4), Predicates::Equality),
        (2, "name", Redact, Predicates::Deny),
        (3, "phone", Redact, Predicates::Allow),
        (5, "fax", KeepLast(4), Predicates::Equality),
    ] {
        map.columns.insert((PATIENTS, number), column(name, strategy, predicates));
        map.names.entry(PATIENTS).or_default().push((name.to_owned(), number));
    }
    map.columns
        .insert((PATIENTS, 0), MaskedColumn { predicates: Predicates::Deny, ..MaskedColumn::of("clinical.patients", None) });
    map
}

fn value(attribute: i16) -> Lineage {
    Lineage::column(PATIENTS, attribute)
}

fn by(attribute: i16, function: &str) -> Lineage {
    let step = Step { function: function.to_owned(), argument: None };
    let source = Source { relation: PATIENTS, attribute, way: Way::Through(step) };
    Lineage { sources: vec![source], ..Lineage::default() }
}

fn counted(attribute: i16) -> Lineage {
    Lineage { sources: vec![Source { relation: PATIENTS, attribute, way: Way::Counted }], ..Lineage::default() }
}

fn decide_with(facts: Facts) -> Decision {
    decide_all(&policy(""), vec![facts], &["agents"], &masks())
}

fn asking(how: Use, of: Lineage) -> Facts {
    Facts { asks: vec![Asked { how, of }], ..reading(patients()) }
}

fn storing(verb: Verb, relations: &[u32], column: &str, lineage: Lineage) -> Facts {
    let stored = Stored { relations: relations.to_vec(), column: Some(column.to_owned()), lineage };
    Facts { stores: vec![stored], reads: vec![patients()], moves_data: true, ..writing(verb, codes()) }
}

#[test]
fn questions_are_answered_as_far_as_the_rule_allows() {
    for (what, how, of, allowed) in [
        ("where ssn is null", Use::Null, value(1), true),
        ("group by name", Use::Group, value(2), true),
        ("where ssn = $1", Use::Equal, value(1), true),
        ("where ssn < $1", Use::Order, value(1), false),
        ("where ssn like $1", Use::Match, value(1), false),
        ("where 1 / ssn > 0", Use::Fail, value(1), false),
        ("where left(ssn, 1) = $1", Use::Match, by(1, "left"), false),
        ("left(ssn, 1) = $1, told as a plain comparison", Use::Equal, by(1, "left"), false),
        ("where nullif(ssn, $1) is null", Use::Null, by(1, "nullif"), false),
        ("where name = $1", Use::Equal, value(2), false),
        ("order by phone", Use::Order, value(3), true),
        ("where phone like $1", Use::Match, by(3, "like"), true),
        ("where 1 / phone", Use::Fail, value(3), true),
        ("order by count(ssn)", Use::Order, counted(1), true),
        ("order by state", Use::Order, value(4), true),
        ("where p = q", Use::Equal, value(0), false),
        ("order by what is not known", Use::Order, Lineage::untraced(Untraced::Form), false),
        ("group by what is not known", Use::Group, Lineage::untraced(Untraced::Form), true),
        ("a constant", Use::Match, Lineage::default(), true),
    ] {
        let decision = decide_with(asking(how, of.clone()));
        assert_eq!(decision.outcome == Outcome::Forward, allowed, "{what}: {:?}", decision.reasons);
        let raw = decide_all(&policy(""), vec![asking(how, of)], &["agents"], &MaskMap::default());
        assert_eq!(raw.outcome, Outcome::Forward, "{what}, where nothing is masked");
    }
    let elsewhere = Facts { reads: vec![codes()], ..asking(Use::Order, Lineage::untraced(Untraced::Form)) };
    assert_eq!(decide_with(elsewhere).outcome, Outcome::Forward);
}

#[test]
fn refusals_name_the_column_and_what_is_done_with_it() {
    for (facts, want) in [
        (
            asking(Use::Order, value(1)),
            "the statement asks about `clinical.patients.ssn` in a way (order) that its mask does not allow",
        ),
        (
            asking(Use::Match, by(1, "left")),
            "the statement asks about `clinical.patients.ssn` in a way (match, by left) that its mask does not allow",
        ),
        (
            storing(Verb::Insert, &[CODES], "label", value(1)),
            "the statement stores `clinical.patients.ssn` in `label`, where its mask would not apply",
        ),
        (
            storing(Verb::Insert, &[CODES], "label", Lineage::untraced(Untraced::Form)),
            "the statement stores in `label` a value that could not be traced: it is computed in a way that is not followed, and \
             touches `clinical.patients`, which has masked columns",
        ),
    ] {
        let decision = decide_with(facts);
        assert_eq!((decision.outcome, decision.rules), (Outcome::Block, vec!["[masked]".to_owned()]));
        assert_eq!(decision.reasons, [want]);
    }
}

#[test]
fn values_are_stored_where_their_masks_follow() {
    let new = || relation(Some("scratch"), "t", &[]);
    let making = |lineage: Lineage| Facts { writes: vec![new()], ..storing(Verb::SelectInto, &[], "x", lineage) };
    for (what, facts, allowed) in [
        ("insert .. select state", storing(Verb::Insert, &[CODES], "label", value(4)), true),
        ("insert .. select count(ssn)", storing(Verb::Insert, &[CODES], "label", counted(1)), true),
        ("insert .. select ssn", storing(Verb::Insert, &[CODES], "label", value(1)), false),
        ("insert .. select upper(phone)", storing(Verb::Insert, &[CODES], "label", by(3, "upper")), false),
        ("set ssn = ssn", storing(Verb::Update, &[PATIENTS], "ssn", value(1)), true),
        ("set fax = ssn", storing(Verb::Update, &[PATIENTS], "fax", value(1)), true),
        ("set phone = ssn", storing(Verb::Update, &[PATIENTS], "phone", value(1)), false),
        ("set phone = name, which may be asked less", storing(Verb::Update, &[PATIENTS], "phone", value(2)), false),
        ("set name = phone, which may be asked more", storing(Verb::Update, &[PATIENTS], "name", value(3)), true),
        ("set ssn = left(ssn, 3)", storing(Verb::Update, &[PATIENTS], "ssn", by(1, "left")), false),
        ("set state = ssn", storing(Verb::Update, &[PATIENTS], "state", value(1)), false),
        ("one of two targets", storing(Verb::Update, &[PATIENTS, CODES], "ssn", value(1)), false),
        ("create table as select state", making(value(4)), true),
        ("create table as select count(*)", making(counted(0)), true),
        ("create table as select ssn", making(value(1)), false),
        ("create table as what is not known", making(Lineage::untraced(Untraced::Columns)), false),
        ("create table as, told of no column", Facts { stores: Vec::new(), ..making(value(4)) }, false),
        (
            "insert .. select, told of no value",
            Facts { stores: Vec::new(), ..storing(Verb::Insert, &[CODES], "x", value(4)) },
            false,
        ),
        ("update .. set x = 'y' from .. where", Facts { moves_data: true, ..asking(Use::Equal, value(4)) }, true),
        ("create view", Facts { stores: Vec::new(), ..Facts { moves_data: false, ..making(value(4)) } }, false),
        ("set phone = 'x'", Facts { where_: Where::Restricts, ..writing(Verb::Update, patients()) }, true),
        ("create table (..)", Facts { plain_table: true, ..writing(Verb::Create, new()) }, true),
        ("drop table", writing(Verb::Drop, codes()), true),
        ("drop of what is not known", writing(Verb::Drop, new()), true),
        ("drop of a masked table", writing(Verb::Drop, patients()), false),
    ] {
        let decision = decide_with(facts);
        assert_eq!(decision.outcome == Outcome::Forward, allowed, "{what}: {:?}", decision.reasons);
    }
}

#[test]
fn two_stored_values_are_judged_each() {
    let mut facts = storing(Verb::Insert, &[CODES], "code", value(4));
    facts.stores.push(Stored { relations: vec![CODES], column: None, lineage: by(2, "lower") });
    let decision = decide_with(facts);
    assert_eq!(decision.reasons, ["the statement stores `clinical.patients.name` in a column, where its mask would not apply"]);
}

#[test]
fn copy_goes_out_where_it_is_known_how_its_rows_are_written() {
    let copy = |columns: Option<Vec<ResultColumn>>, copy: Option<CopyFormat>| {
        decide_with(Facts { columns, copy, reads: vec![patients()], ..Facts::of(Verb::CopyOut) }).outcome
    };
    let format = || Some(CopyFormat::of(CopyLayout::Csv));
    assert_eq!(copy(Some(Vec::new()), format()), Outcome::Forward);
    // Which columns they have, the server is asked.
    assert_eq!(copy(None, format()), Outcome::Forward);
    assert_eq!(copy(Some(Vec::new()), None), Outcome::Block);
    assert_eq!(copy(Some(Vec::new()), format().map(|format| CopyFormat { other: true, ..format })), Outcome::Block);
}

#[test]
fn a_cursor_opened_elsewhere_is_fetched_and_a_statement_not_known_is_not_executed() {
    let of = |verb| Facts { unknown: Some(UnknownReason::Name), ..Facts::of(verb) };
    let fetched = decide_with(of(Verb::Cursor));
    assert_eq!(fetched.outcome, Outcome::Forward);
    assert!(fetched.touches_masked);
    assert_eq!(decide_with(of(Verb::Execute)).outcome, Outcome::Block);
    assert_eq!(decide_with(Facts { unknown: Some(UnknownReason::Syntax), ..of(Verb::Cursor) }).outcome, Outcome::Block);
}

#[test]
fn functions_that_were_read_are_no_strangers() {
    let calling = |readable| {
        let function = FunctionName { readable, ..function(Some("clinical"), "label", false) };
        decide_with(Facts { functions: vec![function], ..Facts::of(Verb::Select) })
    };
    assert!(calling(false).touches_masked && !calling(true).touches_masked);
    assert!(calling(true).calls_unknown, "rules about unknown functions speak of it all the same");
}

#[test]
fn equal_questions_are_counted() {
    let facts = Facts {
        asks: vec![
            Asked { how: Use::Equal, of: value(1) },
            Asked { how: Use::Equal, of: value(1) },
            Asked { how: Use::Equal, of: value(3) },
            Asked { how: Use::Equal, of: value(4) },
            Asked { how: Use::Null, of: value(5) },
        ],
        ..reading(patients())
    };
    assert_eq!(decide_with(facts.clone()).questions, ["clinical.patients.ssn"]);
    assert!(decide(&policy(""), facts).questions.is_empty());
}

#[test]
fn what_is_revealed_is_bound_to_what_stands_beside_the_value() {
    let told = |entry: &str| {
        let rule = format!("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"redact\"\nreveal = [\"{entry}\"]\n");
        let policy = policy(&rule);
        let step = policy.masks[0].reveal[0].clone();
        (step.function, step.argument)
    };
    for (entry, function, argument) in [
        ("avg", "avg", None),
        ("avg()", "avg", None),
        ("left('3')", "left", Some("3")),
        ("left(3)", "left", Some("3")),
        ("to_char('YYYY, MM')", "to_char", Some("YYYY, MM")),
        ("s.f('it''s')", "s.f", Some("it's")),
        ("s.f('it''s', 2)", "s.f", Some("'it''s', '2'")),
        ("power(2, _)", "power", Some("'2', _")),
        ("round(*)", "round", Some("*")),
    ] {
        assert_eq!(told(entry), (function.to_owned(), argument.map(str::to_owned)), "{entry}");
    }
    for wrong in ["('x')", "f('x", "f('x)", "f(1,)"] {
        let answers = with_answers(&format!("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"redact\"\nreveal = [\"{wrong}\"]\n"));
        assert!(answers.iter().any(|answer| answer.contains("names no function")), "{wrong}: {answers:?}");
    }
}

#[test]
fn blocks_that_only_say_something_are_run() {
    let plain = Facts { plain_code: true, ..Facts::of(Verb::Do) };
    assert_eq!(decide_with(plain.clone()).outcome, Outcome::Forward);
    assert_eq!(decide_with(Facts::of(Verb::Do)).outcome, Outcome::Block);
    let rule = policy("[[rule]]\nname = \"no-code\"\nwhen = { verb = [\"do\"] }\nthen = \"block\"\n");
    assert_eq!(decide_all(&rule, vec![plain], &["agents"], &masks()).outcome, Outcome::Block);
}

/// Functions that read what nobody masks: settings, the build, the text of the statement itself.
const HARMLESS: [&str; 5] =
    ["current_query", "pg_config", "pg_get_multixact_members", "pg_get_shmem_allocations", "pg_stat_get_subscription"];

#[test]
fn what_reads_more_than_its_arguments_is_refused() {
    let call = |schema: Option<&str>, name: &str, builtin: bool| {
        let schema = schema.map(str::to_owned);
        let function = FunctionName { schema, name: name.to_owned(), builtin, readable: false };
        decide_with(Facts { functions: vec![function], ..Facts::of(Verb::Select) })
    };
    for name in crate::sql::readers() {
        let allowed = HARMLESS.contains(name);
        assert_eq!(call(Some("pg_catalog"), name, true).outcome == Outcome::Forward, allowed, "{name}");
        assert!(call(Some("public"), name, false).touches_masked || !allowed, "{name} of somebody else's");
        assert!(call(None, name, false).touches_masked || !allowed, "{name} of somebody's");
    }
    for name in super::super::carriers::names().filter(|name| !name.contains('.')) {
        let name = name.replace('*', "x");
        assert_eq!(call(Some("pg_catalog"), &name, true).outcome, Outcome::Block, "{name}");
    }
}
