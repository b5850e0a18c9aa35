//! Whether a WHERE restricts, held against PostgreSQL: conditions are asked of several contents of a table.
//!
//! `fixtures/sql/wheres.txt` says of each condition what it leaves out; the server must agree, and `pgveil explain` must call a
//! tautology what leaves nothing out. Random conditions follow: one that leaves no row out of any content must not be called restricting.
//! `PGVEIL_CONDITIONS` says how many (400), `PGVEIL_SEED` where to begin (1). `PGVEIL_OPEN` prints those called a tautology that leave
//! rows out.

use proto_tests::cli::pgveil;
use proto_tests::random::{Dice, condition};
use proto_tests::wire::Reply;
use proto_tests::{Identity, Stand, Wire};

/// Statements explained in one go.
const BATCH: usize = 60;
/// Contents that every condition is asked of.
const CONTENTS: usize = 6;
/// Contents that those are asked of which left nothing out of these.
const CONTENTS_MAX: usize = 60;
/// Of the random conditions that leave rows out, how many of a hundred may be called a tautology.
const OVER_PERCENT: usize = 5;

const TABLES: &str = "create type mood as enum ('calm', 'cross', 'merry'); \
    create table others (id int primary key, thing_id int, code text, n int); \
    create table things (id int primary key, code text not null, label text, n int, m numeric not null, flag boolean not null, \
      perhaps boolean, at timestamptz not null, day date, kind mood not null, tags text[] not null, doc jsonb not null, other_id int); \
    analyze things, others";

/// Rows made by chance; a content of its own for every seed.
fn fill(seed: usize) -> String {
    let text = "(array['amber', 'Zinc', 'q', 'a', 'b', 'x', '', 'ab', 'z9', 'lorem ipsum', 'm', '42', 'caf\u{e9}', 'calm'])";
    let number = "(array[-7, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 42, 100])";
    let one = |list: &str, size: usize| format!("{list}[1 + floor(random() * {size})::int]");
    let time = "(case floor(random() * 12) when 0 then timestamptz '2020-05-05' when 1 then '2020-05-06' \
        else timestamptz '2020-05-05' + (floor(random() * 5000) - 1000) * interval '1 day' + floor(random() * 24) * interval '1 hour' end)";
    // A key of its own, codes that are all different, few rows: each in some content.
    let (step, codes, rows) = ([1, 2, 17][seed % 3], if seed == 4 { " || i" } else { "" }, if seed == 5 { 3 } else { 120 });
    let null = |value: String| format!("case when random() < 0.15 then null else {value} end");
    format!(
        "truncate things, others; select setseed({seed} / 100.0); \
         insert into things select i * {step}, case when i = 1 and {seed} < 4 then 'amber' else {}{codes} end, {}, {}, ({})::numeric / (1 + floor(random() * 2)::int * 3), random() < 0.5, {}, \
           {time}, {}, (enum_range(null::mood))[1 + floor(random() * 3)::int], \
           (array['a', 'b', 'c'])[1 : floor(random() * 4)::int], \
           (array['{{}}', '{{\"a\": 1}}', '{{\"a\": \"x\", \"n\": 7}}', '{{\"b\": [1]}}'])[1 + floor(random() * 4)::int]::jsonb, {} \
           from generate_series(1, {rows}) i; \
         insert into others select i, {}, {}, {} from generate_series(1, 25) i; analyze things, others",
        one(text, 14),
        null(one(text, 14)),
        null(one(number, 15)),
        one(number, 15),
        null("random() < 0.5".to_owned()),
        null(format!("({time})::date")),
        null("floor(random() * 40)::int".to_owned()),
        null("floor(random() * 120)::int".to_owned()),
        null(one(text, 14)),
        null(one(number, 15)),
    )
}

/// What a condition did on all contents.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// It could not be asked.
    failed: bool,
    /// Rows left out that hold no NULL.
    whole: usize,
    /// Rows left out.
    all: usize,
}

fn ask(owner: &mut Wire, conditions: &[String], contents: std::ops::Range<usize>) -> Vec<Seen> {
    let mut seen = vec![Seen::default(); conditions.len()];
    for content in contents {
        assert_eq!(owner.query(&fill(content + 1)).sqlstate(), None, "content {content}");
        for (condition, seen) in conditions.iter().zip(&mut seen).filter(|(_, seen)| !seen.failed) {
            let reply = owner.query(&format!(
                "select count(*), count(*) filter (where num_nulls(t.label, t.n, t.perhaps, t.day, t.other_id) = 0) \
                 from things t where not coalesce(({condition})::boolean, false)"
            ));
            match counts(&reply) {
                Some((all, whole)) => (seen.all, seen.whole) = (seen.all + all, seen.whole + whole),
                None => seen.failed = true,
            }
        }
    }
    seen
}

fn counts(reply: &Reply) -> Option<(usize, usize)> {
    let rows = reply.rows();
    let row = rows.first()?;
    let number = |at: usize| row.get(at)?.as_deref()?.parse().ok();
    Some((number(0)?, number(1)?))
}

/// What pgveil calls each condition; `unread` if it cannot read it.
fn explained(stand: &Stand, conditions: &[String]) -> Vec<String> {
    conditions.chunks(BATCH).flat_map(|some| told(stand, some)).collect()
}

fn told(stand: &Stand, some: &[String]) -> Vec<String> {
    let text = some.iter().map(|condition| format!("delete from things t where {condition};\n")).collect::<String>();
    let answer =
        pgveil(&["explain", "--config", stand.value("CONFIG"), "--database", "clinic", "--group", "engineers", "--json", &text]);
    let answer = answer.json();
    let statements = answer["statements"].as_array().unwrap();
    match (statements.len() == some.len(), some) {
        (_, [_]) if !statements[0]["unknown"].is_null() => vec!["unread".to_owned()],
        (true, _) => statements.iter().map(|statement| statement["where"].as_str().unwrap().to_owned()).collect(),
        // One that cannot be read makes the whole text so.
        (false, _) => some.iter().flat_map(|one| told(stand, std::slice::from_ref(one))).collect(),
    }
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn stated(faults: &mut Vec<String>, stand: &Stand, owner: &mut Wire) {
    let table = include_str!("../../fixtures/sql/wheres.txt");
    let lines: Vec<(&str, String)> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(" | ").map(|(left, condition)| (left.trim(), condition.to_owned())).unwrap())
        .collect();
    let conditions: Vec<String> = lines.iter().map(|(_, condition)| condition.clone()).collect();
    let (seen, told) = (ask(owner, &conditions, 0..CONTENTS), explained(stand, &conditions));
    for (((stated, condition), seen), told) in lines.iter().zip(seen).zip(told) {
        let agrees = match *stated {
            "all" => seen.all == 0,
            "nulls" => seen.whole == 0 && seen.all > 0,
            _ => seen.all > 0,
        };
        let wanted = if *stated == "some" { "restricts" } else { "tautology" };
        if seen.failed || !agrees {
            faults.push(format!("PostgreSQL: {seen:?} for {stated} | {condition}"));
        }
        if told != wanted {
            faults.push(format!("pgveil: {told} for {stated} | {condition}"));
        }
    }
}

fn random(faults: &mut Vec<String>, stand: &Stand, owner: &mut Wire) {
    let (count, seed) = (number("PGVEIL_CONDITIONS", 400), number("PGVEIL_SEED", 1));
    let conditions: Vec<String> = (0..count).map(|at| condition(&mut Dice::new((seed + at) as u64))).collect();
    let (seen, told) = (ask(owner, &conditions, 0..CONTENTS), explained(stand, &conditions));
    let (mut asked, mut none, mut held, mut doubtful) = (0, 0, 0, Vec::new());
    for (at, ((condition, seen), told)) in conditions.iter().zip(seen).zip(told).enumerate() {
        if seen.failed {
            continue;
        }
        asked += 1;
        none += usize::from(seen.all == 0);
        if seen.all == 0 && told == "restricts" {
            doubtful.push((seed + at, condition.clone()));
        }
        if told == "unread" {
            faults.push(format!("[{}] cannot be read: {condition}", seed + at));
        }
        if seen.whole > 0 && told == "tautology" {
            held += 1;
            if std::env::var_os("PGVEIL_OPEN").is_some() {
                println!("HELD {} rows left out: {condition}", seen.whole);
            }
        }
    }
    // What only few contents bring out.
    let rare: Vec<String> = doubtful.iter().map(|(_, condition)| condition.clone()).collect();
    for ((seed, condition), seen) in doubtful.iter().zip(ask(owner, &rare, CONTENTS..CONTENTS_MAX)) {
        if seen.all == 0 {
            faults.push(format!("[{seed}] restricts nothing, but is said to: {condition}"));
        }
    }
    println!("{count} random conditions: {asked} could be asked, {none} left nothing out, {held} leave rows out and are held");
    assert!(asked * 2 > count, "only {asked} of {count} conditions could be asked");
    assert!(held * 100 <= asked * OVER_PERCENT, "{held} of {asked} conditions that leave rows out are called tautologies");
}

#[test]
fn conditions_do_what_is_said_of_them() {
    let stand = Stand::start("risk", &[]);
    let who = Identity { user: "clinic_owner".into(), password: "owner".into(), dsn: String::new() };
    let mut owner = Wire::try_connect(stand.value("PG_PORT").parse().unwrap(), &who, "clinic", &[]).unwrap().unwrap();
    let made = owner.query(&format!("set search_path = public; {TABLES}"));
    assert_eq!(made.sqlstate(), None);
    let mut faults = Vec::new();
    stated(&mut faults, &stand, &mut owner);
    random(&mut faults, &stand, &mut owner);
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}
