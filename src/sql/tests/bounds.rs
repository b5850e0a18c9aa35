//! Hostile texts: depth, length, chains. Each is analysed on a stack of half a worker thread's.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Half of a worker thread's stack; what is not optimised takes several times the room.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 3 << 20 } else { 1 << 20 };
/// Longest time for a text of half a mebibyte, on a slow and busy machine.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Analyses on a small stack and measures.
fn small(text: String) -> (Vec<Facts>, Duration) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let catalog = catalog();
        let start = Instant::now();
        let facts = analyzed(&catalog, &text);
        (facts, start.elapsed())
    });
    thread.unwrap().join().unwrap()
}

/// Texts that nest `depth` levels.
fn nested(depth: usize) -> Vec<(&'static str, String)> {
    let wrap = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
    vec![
        ("parentheses", format!("select {}", wrap("(", "1", ")"))),
        ("calls", format!("select {}", wrap("abs(", "1", ")"))),
        ("case", format!("select {}", wrap("case when true then ", "1", " end"))),
        ("case condition", format!("select {}", wrap("case when ", "true", " then true end"))),
        ("scalar subqueries", format!("select {}", wrap("(select ", "1", ")"))),
        ("derived", format!("select * from {}", wrap("(select * from ", "clinical.codes", ") x"))),
        ("parenthesised joins", format!("select * from {}", wrap("(", "clinical.codes a join clinical.codes b on true", ")"))),
        ("exists", format!("delete from clinical.codes where {}", wrap("exists (select 1 where ", "true", ")"))),
        (
            "in",
            format!("delete from clinical.codes where {}", wrap("code in (select code from clinical.codes where ", "true", ")")),
        ),
        ("with", format!("{}select 1{}", "with a as (".repeat(depth), ") select 1".repeat(depth))),
        ("arrays", format!("select array{}", wrap("[", "1", "]"))),
        ("array calls", format!("select {}", wrap("array[", "1", "]"))),
        ("rows", format!("select {}", wrap("row(", "1", ")"))),
        ("subscripts", format!("select a{}", wrap("[a", "[1]", "]"))),
        ("minus and parentheses", format!("select {}", wrap("-(", "1", ")"))),
        ("not and parentheses", format!("delete from clinical.codes where {}", wrap("not (", "true", ")"))),
        ("and or", format!("delete from clinical.codes where {}", wrap("(true and (false or ", "true", "))"))),
        ("casts", format!("select {}", wrap("cast(", "1", " as int)"))),
        ("grouping sets", format!("select 1 group by grouping sets ({}", wrap("grouping sets (", "a", ")") + ")")),
        ("unions", format!("select 1 union {}", wrap("(select 1 union ", "select 1", ")"))),
        ("between", format!("select {}", wrap("1 between (", "1", ") and 2"))),
        ("filter", format!("select {}", wrap("count(*) filter (where true = (select ", "true", "))"))),
        ("power", format!("select {}1", "2 ^ -".repeat(depth))),
        ("window", format!("select {}", wrap("sum(", "1", ") over (order by 1)"))),
        ("overlaps", format!("select {}", wrap("(1, ", "1", ")"))),
    ]
}

/// Texts of one level that chain `count` parts.
fn chained(count: usize) -> Vec<(&'static str, String)> {
    vec![
        ("plus", format!("select {}1", "1+".repeat(count))),
        ("mixed", format!("select {}1", "1+2*3||'a'->".repeat(count / 4))),
        ("or", format!("delete from clinical.codes where {}code = 'z'", "code = 'a' or ".repeat(count / 3))),
        ("and", format!("delete from clinical.codes where {}true", "true and ".repeat(count / 2))),
        ("not", format!("delete from clinical.codes where {}true", "not ".repeat(count))),
        ("minus", format!("select {}1", "- ".repeat(count))),
        ("tilde", format!("select {}1", "~ ".repeat(count))),
        ("casts", format!("select 1{}", "::int".repeat(count))),
        ("in", format!("delete from clinical.codes where code in ('a'{})", ",'b'".repeat(count))),
        ("unions", format!("select 1{}", " union all select 1".repeat(count / 4))),
        ("values", format!("values (1){}", ",(1)".repeat(count / 2))),
        ("joins", format!("select 1 from clinical.codes{}", " join clinical.codes on true".repeat(count / 5))),
        (
            "froms",
            format!(
                "delete from clinical.codes c using clinical.codes{} where c.code = 'a'",
                ", clinical.codes".repeat(count / 4)
            ),
        ),
        ("semicolons", format!("select 1{}", ";".repeat(count))),
        ("fields", format!("select (a){}", ".b".repeat(count))),
        ("subscripts", format!("select a{}", "[1]".repeat(count))),
        ("is null", format!("select a{}", " is null".repeat(count))),
        ("collate", format!("select a{}", " collate \"C\"".repeat(count / 2))),
        ("at time zone", format!("select a{}", " at time zone 'UTC'".repeat(count / 4))),
        ("comparisons", format!("select a{}", " = a".repeat(count))),
        ("comments", format!("select 1 {}{}", "/*".repeat(count), "*/".repeat(count))),
        ("items", format!("select 1{} from clinical.codes", ",a".repeat(count))),
        ("explain", format!("{}select 1", "explain ".repeat(count))),
        ("ctes", format!("with {} z as (select 1) select 1", "a as (select 1), ".repeat(count / 8))),
        ("dollars", format!("select {}", "$a".repeat(count))),
        ("quotes", format!("select '{}'", "''".repeat(count))),
        ("continued", format!("select 'a'{}", "\n'b'".repeat(count))),
        ("operators", format!("select 1 {} 1", "+-".repeat(count))),
        ("when", format!("select case{} end", " when a then b".repeat(count / 4))),
        (
            "conjuncts over sources",
            format!(
                "delete from clinical.codes c using clinical.observations o where {}true",
                "o.code = c.code and ".repeat(count / 8)
            ),
        ),
    ]
}

/// Texts of about `bytes` bytes, of shapes that lineage has to do with.
#[expect(clippy::too_many_lines, reason = "a table")]
fn long(bytes: usize) -> Vec<(&'static str, String)> {
    let times = |part: &str| part.repeat(bytes / part.len());
    let parts = |part: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        let mut at = 0;
        while text.len() < bytes {
            text.push_str(&part(at));
            at += 1;
        }
        text
    };
    vec![
        ("in list", format!("select ssn from clinical.patients where mrn in ('a'{})", times(",'bcd'"))),
        ("in list of columns", format!("select ssn in (mrn{}) from clinical.patients", times(",zip"))),
        ("and chain", format!("select ssn from clinical.patients where true{}", times(" and ssn = 'a'"))),
        ("or of likes", format!("select ssn from clinical.patients where false{}", times(" or last_name like 'a%'"))),
        ("columns", format!("select ssn{} from clinical.patients", times(",ssn"))),
        ("computed columns", format!("select ssn{} from clinical.patients", times(",left(ssn,3)||zip"))),
        ("concatenation", format!("select ''{} from clinical.patients", times("||ssn"))),
        ("joins", format!("select 1 from clinical.codes{}", times(" join clinical.codes on true"))),
        (
            "named joins",
            format!(
                "select 1 from clinical.codes a{}",
                parts(&|at| format!(" join clinical.codes b{at} on b{at}.code = a.code"))
            ),
        ),
        (
            "using joins",
            format!("select 1 from clinical.codes a{}", parts(&|at| format!(" join clinical.codes b{at} using (code)"))),
        ),
        ("stars of joins", format!("select * from clinical.patients a{}", parts(&|at| format!(", clinical.patients b{at}")))),
        ("commas with names", format!("select ssn from clinical.patients a{}", parts(&|at| format!(", clinical.codes b{at}")))),
        (
            "ctes",
            format!(
                "with a as (select ssn as s from clinical.patients){} select 1",
                parts(&|at| format!(", b{at} as (select s from a)"))
            ),
        ),
        (
            "chained ctes",
            format!(
                "with b0 as (select ssn as s from clinical.patients){} select 1",
                parts(&|at| format!(", b{} as (select s from b{at})", at + 1))
            ),
        ),
        (
            "wide ctes",
            format!(
                "with a as (select * from clinical.patients){} select 1",
                parts(&|at| format!(", b{at} as (select * from a)"))
            ),
        ),
        ("unions", format!("select ssn from clinical.patients{}", times(" union select ssn from clinical.patients"))),
        ("unions of stars", format!("select * from clinical.patients{}", times(" union all select * from clinical.patients"))),
        (
            "subqueries",
            format!(
                "select 1{} from clinical.patients p",
                times(",(select max(q.ssn) from clinical.patients q where q.id = p.id)")
            ),
        ),
        ("values", format!("insert into audit.access_log (action) values ('a'){}", times(",('bulk')"))),
        ("case", format!("select case{} end from clinical.patients", times(" when ssn = 'a' then last_name"))),
        ("array", format!("select array[ssn{}] from clinical.patients", times(",last_name"))),
        ("json build", format!("select jsonb_build_object('a', 1{}) from clinical.patients", times(",'a',ssn"))),
        ("coalesce", format!("select coalesce(ssn{}) from clinical.patients", times(",last_name"))),
        ("set", format!("update clinical.patients set ssn = ssn{}", times(", ssn = ssn"))),
        ("calls", format!("select 1{} from clinical.patients", times(",clinical.years(birth_date,now())"))),
        ("group by", format!("select 1 from clinical.patients group by ssn{}", times(",zip"))),
        ("order by", format!("select ssn from clinical.patients order by ssn{}", times(",zip"))),
        ("windows", format!("select 1{} from clinical.patients", times(",sum(id) over (partition by ssn order by zip)"))),
        ("casts", format!("select ssn{} from clinical.patients", times("::text"))),
        ("long constants", format!("select ssn{} from clinical.patients", times(&format!(",ssn='{}'", "x".repeat(900))))),
        ("statements", times("select ssn from clinical.patients;")),
    ]
}

/// Ten times the text may take this many times as long: what is linear takes ten.
const STEEP: u32 = 70;
/// How often what seems steep is measured again.
const TRIES: usize = 3;

#[test]
fn long_texts_take_time_by_their_length() {
    let mut slow = Vec::new();
    let sizes = if cfg!(debug_assertions) { [4_000, 40_000] } else { [100_000, 1_000_000] };
    let [short, full] = sizes.map(long);
    for ((name, short), (_, full)) in short.into_iter().zip(full) {
        // Whoever else uses the machine can make one measurement long, not each of them.
        let measure = || (small(short.clone()).1, small(full.clone()).1);
        let steep = |(before, wait): &(Duration, Duration)| {
            *wait > WAIT_MAX || *wait > Duration::from_millis(50) && *wait > *before * STEEP
        };
        let mut times = measure();
        for _ in 0..TRIES {
            if !steep(&times) {
                break;
            }
            times = measure();
        }
        let (before, wait) = times;
        if std::env::var("LINEAGE_TIMES").is_ok() {
            println!("{name}: {before:?} {wait:?}");
        }
        if steep(&times) {
            slow.push(format!("{name}: {before:?}, then {wait:?}"));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn no_depth_or_length_overflows_a_stack() {
    for depth in [10, 60, 84, 100, 127, 255, 5_000] {
        for (name, text) in nested(depth) {
            let (facts, wait) = small(text);
            assert_eq!(facts.len(), 1, "{name}");
            assert!(wait < WAIT_MAX, "{name} at {depth} took {wait:?}");
        }
    }
    for count in [100, 5_000, 40_000] {
        for (name, text) in chained(count) {
            let text: String = text.chars().take(524_288).collect();
            let (facts, wait) = small(text);
            assert!(!facts.is_empty(), "{name}");
            assert!(wait < WAIT_MAX, "{name} of {count} took {wait:?}");
        }
    }
}

#[test]
fn ordinary_depth_is_read() {
    for (name, text) in nested(40) {
        let (facts, _) = small(text.clone());
        assert_eq!(facts[0].unknown, None, "{name}: {}", &text[..text.len().min(200)]);
    }
    let (facts, _) = small(format!("select {}1{}", "(".repeat(60), ")".repeat(60)));
    assert_eq!(facts[0].unknown, None);
    let (facts, _) = small(format!("select {}1", "1+".repeat(200)));
    assert_eq!(facts[0].unknown, None);
}

#[test]
fn too_deep_and_too_long_are_unknown() {
    let (facts, _) = small(format!("select {}1{}", "(".repeat(300), ")".repeat(300)));
    assert_eq!(facts[0].unknown, Some(UnknownReason::Nesting));
    let (facts, _) = small(format!("/*{}*/ delete from clinical.codes", "x".repeat(1 << 20)));
    assert_eq!(facts[0].unknown, Some(UnknownReason::Bytes));
    let (facts, _) = small(format!("delete from clinical.codes where code = '{}'", "x".repeat(524_288)));
    assert_eq!((facts[0].verb, facts[0].where_), (Verb::Delete, Where::Restricts));
    let (facts, _) = small(";".repeat(600_000));
    assert_eq!(facts[0].unknown, Some(UnknownReason::Tokens));
}

/// Pieces of SQL that random texts are made of.
const PIECES: [&str; 64] = [
    "select", "from", "where", "(", ")", "delete", "update", "insert", "into", "values", "set", "=", "<>", "1", "'a'", "$1",
    "$$", "$a$", "--", "/*", "*/", "\n", ";", ",", ".", "*", "a", "b", "\"q\"", "u&\"x\"", "uescape", "'!'", "e'\\''", "not",
    "and", "or", "in", "exists", "any", "case", "when", "then", "end", "union", "with", "as", "merge", "using", "on", "matched",
    "copy", "to", "stdout", "explain", "analyze", "prepare", "execute", "declare", "create", "temp", "table", "::", "[", "]",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_texts_never_panic(picks in proptest::collection::vec(0_usize..PIECES.len(), 0..60)) {
        let text: Vec<&str> = picks.iter().map(|at| PIECES[*at]).collect();
        let catalog = Catalog::default();
        prop_assert!(!analyzed(&catalog, &text.join(" ")).is_empty());
        prop_assert!(!analyzed(&catalog, &text.concat()).is_empty());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let catalog = Catalog::default();
        for encoding in ["UTF8", "LATIN1", "SJIS", "EUC_JP", "SQL_ASCII", "nonsense"] {
            prop_assert!(!under(&catalog, &bytes, encoding, true).is_empty());
        }
    }

    #[test]
    fn a_changed_text_never_panics(at in 0_usize..200, byte in 0x20_u8..0x7f, pick in 0_usize..40) {
        let texts = nested(3);
        let mut bytes = texts[pick % texts.len()].1.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        prop_assert!(!under(&Catalog::default(), &bytes, "UTF8", true).is_empty());
    }
}
