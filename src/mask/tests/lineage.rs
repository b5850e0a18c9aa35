//! How values are judged by what they are made of, and how masks spread to views by the same.

use super::*;
use crate::mask::{ColumnRule, Judgement, Predicates, Verdict, judge, remnants};
use crate::sql::{FunctionName, JsonStep, Lineage, ResultColumn, Source, Step, Untraced, Use, Way};
use RelationKind::{Table, View};

const PATIENTS: u32 = 1;

fn through(function: &str, argument: Option<&str>) -> Way {
    Way::Through(Step { function: function.to_owned(), argument: argument.map(str::to_owned) })
}

fn of(sources: &[(u32, i16, Way)]) -> Lineage {
    let source =
        |(relation, attribute, way): &(u32, i16, Way)| Source { relation: *relation, attribute: *attribute, way: way.clone() };
    Lineage { sources: sources.iter().map(source).collect(), ..Lineage::default() }
}

fn calling(schema: &str, name: &str) -> Lineage {
    let function = FunctionName { schema: Some(schema.to_owned()), name: name.to_owned(), builtin: false, readable: false };
    Lineage { functions: vec![function], ..Lineage::default() }
}

/// 1 id, 2 ssn, 3 phone, 4 birth_date, 5 state, 6 contact.
fn patients() -> Relation {
    let names = ["id", "ssn", "phone", "birth_date", "state", "contact"].map(|name| (name, None));
    relation(PATIENTS, "c.patients", Table, &names)
}

fn rules() -> Vec<ColumnRule> {
    let reveal =
        |function: &str, argument: Option<&str>| Step { function: function.to_owned(), argument: argument.map(str::to_owned) };
    vec![
        ColumnRule::of("c.patients.ssn", Strategy::KeepLast(4)),
        ColumnRule { predicates: Predicates::Allow, ..ColumnRule::of("c.patients.phone", Strategy::Redact) },
        ColumnRule {
            reveal: vec![
                reveal("avg", None),
                reveal("date_trunc", Some("year")),
                reveal("round", Some("*")),
                reveal("f", Some("a")),
            ],
            ..ColumnRule::of("c.patients.birth_date", Strategy::Year)
        },
        ColumnRule { predicates: Predicates::Deny, ..ColumnRule::of("c.patients.contact", Strategy::Redact) },
    ]
}

fn map_over(views: Vec<Relation>) -> MaskMap {
    let mut catalog = Catalog::default();
    catalog.insert(patients());
    views.into_iter().for_each(|view| catalog.insert(view));
    MaskMap::resolve(&catalog, &rules(), &["c.known_*".to_owned()])
}

fn view(oid: u32, columns: &[(&str, Option<Lineage>)], depends: &[u32]) -> Relation {
    let plain: Vec<(&str, Option<ColumnOrigin>)> = columns.iter().map(|(name, _)| (*name, None)).collect();
    let mut made = relation(oid, &format!("c.v{oid}"), View, &plain);
    made.columns.iter_mut().zip(columns).for_each(|(column, (_, lineage))| column.lineage = lineage.clone());
    Relation { depends: depends.to_vec(), ..made }
}

/// `clear`, `derived`, `unknown` or the strategy.
fn word(lineage: &Lineage, map: &MaskMap) -> &'static str {
    match judge(lineage, map).judgement {
        Judgement::Clear => "clear",
        Judgement::Derived => "derived",
        Judgement::Unknown => "unknown",
        Judgement::Strategy(strategy) => strategy.into_owned().name(),
    }
}

fn cases() -> Vec<(&'static str, Lineage, &'static str)> {
    let year = || through("date_trunc", Some("YEAR"));
    vec![
        ("a constant", Lineage::default(), "clear"),
        ("a clear column", of(&[(PATIENTS, 5, Way::Kept)]), "clear"),
        ("a clear column computed with", of(&[(PATIENTS, 5, through("upper", None))]), "clear"),
        ("a system column", of(&[(PATIENTS, -1, Way::Kept)]), "clear"),
        ("the column", Lineage::column(PATIENTS, 2), "partial"),
        ("the column or a clear one", of(&[(PATIENTS, 2, Way::Kept), (PATIENTS, 5, Way::Kept)]), "partial"),
        ("the column, and how often", of(&[(PATIENTS, 2, Way::Kept), (PATIENTS, 3, Way::Counted)]), "partial"),
        ("two under one mask", of(&[(PATIENTS, 3, Way::Kept), (PATIENTS, 6, Way::Kept)]), "redact"),
        ("two under two masks", of(&[(PATIENTS, 2, Way::Kept), (PATIENTS, 3, Way::Kept)]), "derived"),
        ("kept and computed", of(&[(PATIENTS, 2, Way::Kept), (PATIENTS, 2, through("left", Some("3")))]), "derived"),
        ("counted", of(&[(PATIENTS, 2, Way::Counted)]), "clear"),
        ("counted and computed", of(&[(PATIENTS, 2, Way::Counted), (PATIENTS, 2, through("||", None))]), "derived"),
        ("computed", of(&[(PATIENTS, 2, through("upper", None))]), "derived"),
        ("revealed", of(&[(PATIENTS, 4, through("avg", None))]), "clear"),
        ("revealed with its argument", of(&[(PATIENTS, 4, year())]), "clear"),
        ("given more than is revealed", of(&[(PATIENTS, 4, through("avg", Some("2")))]), "derived"),
        ("given something not known", of(&[(PATIENTS, 4, through("avg", Some("*")))]), "derived"),
        (
            "revealed whatever it is given",
            of(&[(PATIENTS, 4, through("round", Some("2"))), (PATIENTS, 4, through("round", None))]),
            "clear",
        ),
        ("exactly its argument", of(&[(PATIENTS, 4, through("f", Some("a")))]), "clear"),
        ("its argument in another case", of(&[(PATIENTS, 4, through("f", Some("A")))]), "derived"),
        ("without its argument", of(&[(PATIENTS, 4, through("f", None))]), "derived"),
        ("something in its argument's place", of(&[(PATIENTS, 4, through("f", Some("*")))]), "derived"),
        ("with another argument", of(&[(PATIENTS, 4, through("date_trunc", Some("day")))]), "derived"),
        ("with an argument not known", of(&[(PATIENTS, 4, through("date_trunc", None))]), "derived"),
        ("revealed and kept", of(&[(PATIENTS, 4, year()), (PATIENTS, 4, Way::Kept)]), "year"),
        ("what another column's rule reveals", of(&[(PATIENTS, 2, through("avg", None))]), "derived"),
        ("the whole row", of(&[(PATIENTS, 0, Way::Kept)]), "derived"),
        ("how many rows", of(&[(PATIENTS, 0, Way::Counted)]), "clear"),
        ("a path", of(&[(PATIENTS, 6, Way::Part(vec![JsonStep::Any]))]), "redact"),
        ("untraced", Lineage::untraced(Untraced::Form), "unknown"),
        ("untraced beside a mask", Lineage { untraced: Some(Untraced::Name), ..Lineage::column(PATIENTS, 2) }, "unknown"),
        ("a function nobody vouches for", calling("c", "label"), "unknown"),
        ("a function vouched for", calling("c", "known_age"), "clear"),
        ("a function of the server", calling("information_schema", "_pg_f"), "clear"),
        ("a relation not known", of(&[(99, 1, Way::Kept)]), "unknown"),
    ]
}

#[test]
fn values_are_judged_by_what_they_are_made_of() {
    let map = map_over(Vec::new());
    for (what, lineage, want) in cases() {
        assert_eq!(word(&lineage, &map), want, "{what}");
        assert_eq!(word(&lineage, &MaskMap::default()), "clear", "{what}, where nothing is masked");
    }
}

/// The same, one view and two views further up.
#[test]
fn views_are_masked_by_what_their_columns_are_made_of() {
    for (what, lineage, want) in cases() {
        let one = view(10, &[("x", Some(lineage)), ("state", Some(of(&[(PATIENTS, 5, Way::Kept)])))], &[PATIENTS]);
        let two = view(11, &[("x", Some(Lineage::column(10, 1)))], &[10]);
        let map = map_over(vec![one, two]);
        let want = if want == "unknown" { "derived" } else { want };
        for oid in [10, 11] {
            assert_eq!(word(&Lineage::column(oid, 1), &map), want, "{what} in {oid}");
            let row = if want == "clear" { "clear" } else { "derived" };
            assert_eq!(word(&of(&[(oid, 0, Way::Kept)]), &map), row, "the row with {what} in {oid}");
        }
        assert_eq!(word(&Lineage::column(10, 2), &map), "clear");
        assert!(map.touched.contains(&10) && map.touched.contains(&11));
    }
}

#[test]
fn reveals_and_questions_go_up_through_views() {
    let views = vec![
        view(10, &[("born", Some(Lineage::column(PATIENTS, 4))), ("ssn", Some(Lineage::column(PATIENTS, 2)))], &[PATIENTS]),
        view(11, &[("year", Some(of(&[(10, 1, through("date_trunc", Some("year")))])))], &[10]),
        view(12, &[("initial", Some(of(&[(10, 2, through("left", Some("1")))])))], &[10]),
        view(13, &[("either", Some(of(&[(PATIENTS, 3, Way::Kept), (PATIENTS, 6, Way::Kept)])))], &[PATIENTS]),
    ];
    let map = map_over(views);
    assert_eq!(word(&Lineage::column(11, 1), &map), "clear");
    assert_eq!(word(&of(&[(10, 1, through("avg", None))]), &map), "clear");
    let asked = |lineage: &Lineage| remnants(lineage, &map).next().unwrap();
    assert_eq!(asked(&Lineage::column(10, 2)).predicates(), Predicates::Equality);
    assert_eq!(asked(&Lineage::column(12, 1)).predicates(), Predicates::Deny, "equal to a letter is a pattern");
    assert_eq!(asked(&Lineage::column(13, 1)).predicates(), Predicates::Deny, "the stricter of two");
    assert!(map.covers(13, 1).unwrap().reveal.is_empty());
}

#[test]
fn parts_of_a_document_fall_under_its_paths() {
    use crate::mask::JsonMask;
    let paths = [("$.email", Strategy::Redact), ("$.home.zip", Strategy::Zip3)];
    let rules = [ColumnRule::of("c.patients.contact", Strategy::Json(JsonMask::new(paths).unwrap()))];
    let member = |name: &str| JsonStep::Member(name.to_owned());
    let part = |relation, attribute, path: Vec<JsonStep>| of(&[(relation, attribute, Way::Part(path))]);
    let views = [
        view(
            10,
            &[("home", Some(part(PATIENTS, 6, vec![member("home")]))), ("doc", Some(Lineage::column(PATIENTS, 6)))],
            &[PATIENTS],
        ),
        view(
            11,
            &[("zip", Some(part(10, 1, vec![member("zip")]))), ("prefers", Some(part(10, 2, vec![member("prefers")])))],
            &[10],
        ),
    ];
    let mut catalog = Catalog::default();
    [patients()].into_iter().chain(views).for_each(|relation| catalog.insert(relation));
    let map = MaskMap::resolve(&catalog, &rules, &[]);
    for (lineage, want) in [
        (part(PATIENTS, 6, vec![member("prefers")]), "clear"),
        (part(PATIENTS, 6, vec![member("email")]), "redact"),
        (part(PATIENTS, 6, vec![JsonStep::Any]), "derived"),
        (part(PATIENTS, 6, Vec::new()), "json"),
        (Lineage::column(10, 2), "json"),
        (Lineage::column(11, 1), "zip3"),
        (Lineage::column(11, 2), "clear"),
    ] {
        assert_eq!(word(&lineage, &map), want, "{lineage:?}");
    }
    let email = part(PATIENTS, 6, vec![member("email")]);
    let asked = [Use::Null, Use::Equal, Use::Order].map(|how| remnants(&email, &map).all(|remnant| remnant.allows(how)));
    assert_eq!(asked, [true, true, false]);
}

#[test]
fn what_may_be_asked() {
    let map = map_over(Vec::new());
    let ssn = of(&[(PATIENTS, 2, Way::Kept)]);
    let upper = of(&[(PATIENTS, 2, through("nullif", None))]);
    let phone = of(&[(PATIENTS, 3, through("left", None))]);
    let contact = of(&[(PATIENTS, 6, Way::Kept)]);
    let row = of(&[(PATIENTS, 0, Way::Kept)]);
    let all = [Use::Null, Use::Group, Use::Equal, Use::Order, Use::Match, Use::Fail];
    for (lineage, want) in [
        (&ssn, [true, true, true, false, false, false]),
        (&upper, [false; 6]),
        (&phone, [true; 6]),
        (&contact, [true, true, false, false, false, false]),
        (&row, [true, true, false, false, false, false]),
    ] {
        assert_eq!(all.map(|how| remnants(lineage, &map).all(|remnant| remnant.allows(how))), want, "{lineage:?}");
    }
    let year = of(&[(PATIENTS, 4, through("date_trunc", Some("year"))), (PATIENTS, 2, Way::Counted)]);
    assert_eq!(remnants(&year, &map).count(), 0, "what is revealed or counted is free");
}

#[test]
fn generated_columns_are_masked_like_their_sources() {
    let generated = |lineage: Lineage| {
        let mut table = patients();
        table.columns[4].lineage = Some(lineage);
        let mut catalog = Catalog::default();
        catalog.insert(table);
        let map = MaskMap::resolve(&catalog, &rules(), &[]);
        word(&Lineage::column(PATIENTS, 5), &map)
    };
    assert_eq!(generated(of(&[(PATIENTS, 2, through("lower", None))])), "derived");
    assert_eq!(generated(of(&[(PATIENTS, 2, Way::Kept)])), "partial");
    assert_eq!(generated(of(&[(PATIENTS, 1, through("abs", None))])), "clear");
    assert_eq!(generated(calling("c", "label")), "derived");
    let mut named = patients();
    named.columns[1].lineage = Some(of(&[(PATIENTS, 3, through("lower", None))]));
    let mut catalog = Catalog::default();
    catalog.insert(named);
    let map = MaskMap::resolve(&catalog, &rules(), &[]);
    assert_eq!(word(&Lineage::column(PATIENTS, 2), &map), "partial", "a rule of its own counts");
}

#[test]
fn views_over_each_other_end() {
    let both = |one: u32, other: u32| Some(of(&[(one, 1, Way::Kept), (other, 1, through("||", None)), (other, 2, Way::Kept)]));
    let views = vec![
        view(10, &[("x", both(11, 12)), ("y", Some(Lineage::column(PATIENTS, 2)))], &[11, 12, PATIENTS]),
        view(11, &[("x", both(12, 10)), ("y", Some(Lineage::column(10, 2)))], &[12, 10]),
        view(12, &[("x", both(12, 11)), ("y", Some(Lineage::column(12, 2)))], &[12, 11]),
    ];
    let map = map_over(views);
    for (oid, column, want) in [(10, 1, "derived"), (11, 1, "derived"), (12, 1, "derived"), (11, 2, "partial"), (12, 2, "clear")]
    {
        assert_eq!(word(&Lineage::column(oid, column), &map), want, "{oid}.{column}");
    }
}

/// Four thousand views, each over the one before, with both witnesses.
#[test]
fn deep_views_take_linear_time() {
    let mut views = Vec::new();
    for oid in 10..4_010 {
        let below = if oid == 10 { PATIENTS } else { oid - 1 };
        let columns: Vec<(&str, Option<Lineage>)> = (1..=6).map(|number| ("x", Some(Lineage::column(below, number)))).collect();
        views.push(view(oid, &columns, &[below]));
    }
    let start = std::time::Instant::now();
    let map = map_over(views);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    assert_eq!(word(&Lineage::column(4_009, 2), &map), "partial");
    assert_eq!(word(&Lineage::column(4_009, 5), &map), "clear");
}

#[test]
fn a_column_of_a_view_is_clear_only_if_both_witnesses_say_so() {
    let mut one = view(10, &[("x", Some(Lineage::default())), ("y", Some(Lineage::column(PATIENTS, 2)))], &[PATIENTS]);
    one.columns[0].origin = Some(ColumnOrigin::Column(PATIENTS, 2));
    one.columns[1].origin = Some(ColumnOrigin::Column(PATIENTS, 5));
    let map = map_over(vec![one, view(11, &[("x", None)], &[PATIENTS])]);
    assert_eq!(word(&Lineage::column(10, 1), &map), "partial");
    assert_eq!(word(&Lineage::column(10, 2), &map), "partial");
    assert_eq!(word(&Lineage::column(11, 1), &map), "derived", "what is not known is masked");
}

fn described(table_oid: u32, attribute: i16) -> ColumnField {
    ColumnField { table_oid, ..field(attribute, 25, -1, Format::Text) }
}

fn verdicts(fields: &[ColumnField], columns: Option<&[ResultColumn]>, touched: bool) -> Vec<(Verdict, bool)> {
    let mut catalog = Catalog::default();
    catalog.insert(patients());
    let map = MaskMap::resolve(&catalog, &rules(), &[]);
    let description = RowDescription { columns: fields.to_vec() };
    let plan = RowPlan::new(&description, columns, &map, touched, &catalog, &keys());
    assert_eq!(plan.untraced().count(), plan.columns().iter().filter(|column| column.untraced).count());
    plan.columns().iter().map(|column| (column.verdict, column.untraced)).collect()
}

#[test]
fn results_are_judged_by_both_witnesses() {
    use Verdict::{Clear, Masked, Placeholder};
    let (none, state, ssn) = (described(0, 0), described(PATIENTS, 5), described(PATIENTS, 2));
    let upper = of(&[(PATIENTS, 2, through("upper", None))]);
    for (what, field, lineage, touched, want) in [
        ("no origin, clean", &none, Lineage::default(), true, (Clear, false)),
        ("no origin, kept", &none, Lineage::column(PATIENTS, 2), true, (Masked, false)),
        ("no origin, computed", &none, upper.clone(), true, (Placeholder, false)),
        ("no origin, untraced", &none, Lineage::untraced(Untraced::Form), true, (Placeholder, true)),
        ("untraced where nothing is reached", &none, Lineage::untraced(Untraced::Form), false, (Clear, false)),
        ("clear by the server, computed by the text", &state, upper.clone(), true, (Placeholder, false)),
        ("clear by the server, untraced by the text", &state, Lineage::untraced(Untraced::Form), true, (Clear, false)),
        ("masked by the server, clean by the text", &ssn, Lineage::default(), true, (Masked, false)),
        ("masked by the server, computed by the text", &ssn, upper.clone(), true, (Masked, false)),
        ("a relation not known", &described(77, 1), Lineage::default(), true, (Placeholder, true)),
    ] {
        let traced = [ResultColumn { name: "c".to_owned(), lineage }];
        assert_eq!(verdicts(std::slice::from_ref(field), Some(&traced), touched), [want], "{what}");
    }
}

#[test]
fn a_text_that_speaks_of_other_columns_does_not_count() {
    use Verdict::{Clear, Placeholder};
    let traced = |names: &[&str]| -> Vec<ResultColumn> {
        names.iter().map(|name| ResultColumn { name: (*name).to_owned(), lineage: Lineage::default() }).collect()
    };
    let fields = [described(0, 0), described(0, 0)];
    assert_eq!(verdicts(&fields, Some(&traced(&["c", "c"])), true), [(Clear, false); 2]);
    for names in [&["c"][..], &["c", "c", "c"], &["c", "C"], &["d", "c"], &[]] {
        assert_eq!(verdicts(&fields, Some(&traced(names)), true), [(Placeholder, true); 2], "{names:?}");
    }
    assert_eq!(verdicts(&fields, None, true), [(Placeholder, true); 2]);
    assert_eq!(verdicts(&fields, None, false), [(Clear, false); 2]);
}

#[test]
fn reasons_name_columns() {
    let map = map_over(Vec::new());
    for (lineage, want) in [
        (of(&[(PATIENTS, 2, through("left", Some("3")))]), "derived from c.patients.ssn by left('3')"),
        (Lineage::column(PATIENTS, 2), "masked by rule on c.patients.ssn (partial)"),
        (
            of(&[(PATIENTS, 2, Way::Kept), (PATIENTS, 3, Way::Kept)]),
            "holds values of c.patients.ssn, c.patients.phone, which are masked in different ways",
        ),
        (of(&[(PATIENTS, 0, Way::Kept)]), "`c.patients` can hold values of masked columns"),
        (calling("c", "label"), "could not be traced: it calls `label`, which nobody has vouched for"),
        (Lineage::untraced(Untraced::Form), "could not be traced: it is computed in a way that is not followed"),
        (of(&[(PATIENTS, 2, Way::Counted)]), "what it shows of masked columns is allowed"),
    ] {
        assert_eq!(judge(&lineage, &map).reason, want);
    }
}

#[test]
fn what_is_picked_by_its_order_keeps_only_masks_that_keep_the_order() {
    let map = map_over(Vec::new());
    let picked = |attribute, function: &str| of(&[(PATIENTS, attribute, Way::Picked(function.to_owned()))]);
    assert_eq!(word(&picked(2, "max"), &map), "derived", "the last four digits would tell which number is the larger one");
    assert_eq!(word(&picked(4, "min"), &map), "year");
    assert_eq!(word(&picked(3, "greatest"), &map), "redact");
    assert_eq!(word(&picked(4, "avg"), &map), "clear", "it is revealed");
}
