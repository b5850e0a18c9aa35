//! Random conditions on the table `things` of the test of conditions; many of them leave no row out.

use super::Dice;

/// Deepest nesting.
const DEPTH_MAX: usize = 3;

/// A condition.
#[must_use]
pub fn condition(dice: &mut Dice) -> String {
    truth(dice, 0)
}

fn below(depth: usize, dice: &mut Dice) -> bool {
    depth < DEPTH_MAX && dice.chance(45)
}

fn truth(dice: &mut Dice, depth: usize) -> String {
    if below(depth, dice) {
        let mut part = || truth(dice, depth + 1);
        let (one, two) = (part(), part());
        return match dice.below(12) {
            0 => format!("({one} or {two})"),
            1 => format!("({one} and {two})"),
            2 => format!("(not ({one}))"),
            3 => format!("({one} or not ({one}))"),
            4 => format!("(({one}) is {}true)", dice.pick(&["", "not "])),
            5 => format!("(({one}) is {}null)", dice.pick(&["", "not "])),
            6 => format!("(case when {one} then {two} else {one} end)"),
            7 => format!("(coalesce({one}, {two}))"),
            8 => format!("(({one}) {} ({two}))", dice.pick(&["=", "<>", "<=", ">=", "is not distinct from"])),
            9 => format!("((select {one}))"),
            10 => format!("exists (select 1 where {one})"),
            _ => format!("exists (select 1 from {} where {two})", dice.pick(&["generate_series(1, 2) g", "(values (1)) v (v)"])),
        };
    }
    match dice.below(10) {
        0..=2 => compared(dice, depth, number),
        3..=4 => compared(dice, depth, text),
        5 => compared(dice, depth, time),
        6 => matched(dice, depth),
        7 => among(dice, depth),
        8 => (*dice.pick(&[
            "flag",
            "perhaps",
            "(not flag)",
            "(flag is not null)",
            "(perhaps is not null)",
            "(label is null)",
            "(kind = 'calm')",
            "(kind >= 'calm')",
            "(kind in ('calm', 'merry'))",
            "(tags @> '{}')",
            "(tags @> '{a}')",
            "('a' = any (tags))",
            "(ctid > '(0,0)')",
            "(doc @> '{}')",
            "(doc ? 'a')",
            "(tableoid = 'things'::regclass)",
            "(xmax = 0)",
            "(t is not null)",
            "(cardinality(tags) >= 0)",
            "(kind <= 'merry')",
            "(other_id is null)",
            "(doc <> '{}')",
            "(tags <> '{}')",
        ]))
        .to_owned(),
        _ => queried(dice, depth),
    }
}

fn compared(dice: &mut Dice, depth: usize, of: fn(&mut Dice, usize) -> String) -> String {
    let left = of(dice, depth + 1);
    let right = if dice.chance(30) { left.clone() } else { of(dice, depth + 1) };
    let third = if dice.chance(50) { right.clone() } else { of(dice, depth + 1) };
    match dice.below(9) {
        0 => format!("({left} between {right} and {third})"),
        1 => format!("({left} is {}distinct from {right})", dice.pick(&["", "not "])),
        2 => format!("({left} {}in ({right}, {third}))", dice.pick(&["", "not "])),
        3 => format!("({left} = any (array[{right}, {third}]))"),
        4 => format!("({left} <> all (array[{right}, {third}]))"),
        5 => format!("(({left}, {right}) {} ({right}, {third}))", dice.pick(&["=", "<>", "<=", ">="])),
        6 => format!("({left} is {}null)", dice.pick(&["", "not "])),
        _ => format!("({left} {} {right})", dice.pick(&["=", "<>", "<", "<=", ">", ">="])),
    }
}

fn number(dice: &mut Dice, depth: usize) -> String {
    if below(depth, dice) {
        let (one, two) = (number(dice, depth + 1), number(dice, depth + 1));
        let small = dice.pick(&["0", "1", "2", "3"]);
        return match dice.below(20) {
            0 => format!("({one} + {two})"),
            1 => format!("({one} - {two})"),
            2 => format!("({one} * {small})"),
            3 => format!("({one} % 3)"),
            4 => format!("({one} - {one})"),
            5 => format!("({one} / 1)"),
            6 => format!("(-{one})"),
            7 => format!("abs({one})"),
            8 => format!("sign({one})"),
            9 => format!("coalesce({one}, {two})"),
            10 => format!("nullif({one}, {two})"),
            11 => format!("greatest({one}, {two})"),
            12 => format!("least({one}, {two})"),
            13 => format!("num_nulls({one}, {two})"),
            14 => format!("num_nonnulls({one})"),
            15 => format!("(case when {} then {one} else {two} end)", truth(dice, depth + 1)),
            16 => format!("(select {one})"),
            17 => format!("floor({one})"),
            18 => format!("({one} & 0)"),
            _ => format!("mod({one}, 2)"),
        }
        .replace("& 0", if one.contains(['m', '/']) { "+ 0" } else { "& 0" });
    }
    let one = |dice: &mut Dice| text(dice, depth + 1);
    match dice.below(20) {
        0..=5 => "id".to_owned(),
        6..=8 => "n".to_owned(),
        9 => "m".to_owned(),
        10..=13 => (*dice.pick(&["0", "1", "5", "-1", "7", "42"])).to_owned(),
        14 => format!("length({})", one(dice)),
        15 if dice.chance(50) => format!("length(md5({}))", one(dice)),
        15 => format!("position('' in {})", one(dice)),
        16 => format!("strpos({}, {})", one(dice), one(dice)),
        17 => "cardinality(tags)".to_owned(),
        18 => format!("extract({} from at)::int", dice.pick(&["month", "hour", "dow", "year"])),
        _ => "flag::int".to_owned(),
    }
}

fn text(dice: &mut Dice, depth: usize) -> String {
    if below(depth, dice) {
        let (one, two) = (text(dice, depth + 1), text(dice, depth + 1));
        return match dice.below(14) {
            0 => format!("({one} || {two})"),
            1 => format!("({one} || '')"),
            2 => format!("lower({one})"),
            3 => format!("upper({one})"),
            4 => format!("left({one}, {})", dice.pick(&["0", "1", "50", "-1"])),
            5 => format!("coalesce({one}, {two})"),
            6 => format!("nullif({one}, {two})"),
            7 => format!("concat({one}, {two})"),
            8 => format!("btrim({one})"),
            9 => format!("replace({one}, {}, {two})", dice.pick(&["''", "'a'"])),
            10 => format!("reverse({one})"),
            11 => format!("substr({one}, {})", dice.pick(&["1", "2"])),
            12 => format!("concat_ws('-', {one}, {two})"),
            _ => format!("greatest({one}, {two})"),
        };
    }
    (*dice.pick(&[
        "code",
        "code",
        "code",
        "label",
        "id::text",
        "kind::text",
        "'amber'::text",
        "''::text",
        "'x'::text",
        "'m'::text",
    ]))
    .to_owned()
}

fn time(dice: &mut Dice, depth: usize) -> String {
    if below(depth, dice) {
        let one = time(dice, depth + 1);
        return match dice.below(5) {
            0 => format!("({one} + interval '1 day')"),
            1 => format!("({one} - interval '2 hours')"),
            2 => format!("date_trunc('{}', {one})", dice.pick(&["day", "month", "year"])),
            3 => format!("coalesce({one}, at)"),
            _ => format!("greatest({one}, at)"),
        };
    }
    (*dice.pick(&["at", "at", "at", "day::timestamptz", "'2020-05-05'::timestamptz"])).to_owned()
}

fn matched(dice: &mut Dice, depth: usize) -> String {
    let one = text(dice, depth + 1);
    let not = *dice.pick(&["", "not "]);
    match dice.below(6) {
        0 => format!("({one} {not}like {})", dice.pick(&["'%'", "'a%'", "'%%'", "'%a%'", "'_%'", "''"])),
        1 => format!("({one} {not}ilike {})", dice.pick(&["'%'", "'A%'", "'Z_%'"])),
        2 => format!(
            "({one} {} {})",
            dice.pick(&["~", "!~", "~*"]),
            dice.pick(&["''", "'.*'", "'^'", "'a'", "'^[a-z0-9]*'", "'z*'", "'.'"])
        ),
        3 => format!("({one} {not}similar to {})", dice.pick(&["'%'", "'(a|q)%'"])),
        4 => format!("starts_with({one}, {})", dice.pick(&["''", "'a'"])),
        _ => format!("({one} like {})", text(dice, DEPTH_MAX)),
    }
}

/// Values among those of a query.
fn among(dice: &mut Dice, depth: usize) -> String {
    let not = *dice.pick(&["", "", "not "]);
    let some = truth(dice, depth.max(2) + 1);
    let rows = *dice.pick(&[
        "select id from things",
        "select i.id from things i",
        "select id from things where true",
        "select t.id",
        "values (t.id), (5)",
        "select max(i.id) from things i",
        "select min(i.id) from things i group by i.id",
        "select thing_id from others",
        "select thing_id from others where thing_id is not null",
        "select id from things order by id limit 7",
        "select i.id from things i where i.code = t.code",
        "select i.id from things i where i.id = t.id",
        "select unnest(array[t.id, 5])",
        "select generate_series(1, 50)",
        "select id from things union select thing_id from others",
        "select id from things except select thing_id from others",
        "select distinct id from things offset 0",
        "select id from (select id, row_number() over (order by id) as rn from things) x where rn >= 1",
        "select id from (select id, row_number() over (order by id) as rn from things) x where rn > 1",
    ]);
    match dice.below(4) {
        0 => format!("(id {not}in (select i.id from things i where {some}))"),
        1 => format!("(id {} (select id from things))", dice.pick(&["= any", "<> all", ">= any", "<= any", ">= all"])),
        _ => format!("(id {not}in ({rows}))"),
    }
}

fn queried(dice: &mut Dice, depth: usize) -> String {
    let not = *dice.pick(&["", "", "not "]);
    let some = truth(dice, depth.max(2) + 1);
    let on = *dice.pick(&[
        "i.id = t.id",
        "i.code = t.code",
        "i.id = t.id and i.code = t.code",
        "i.id <= t.id",
        "i.id <> t.id",
        "i.label = t.label",
    ]);
    match dice.below(6) {
        0 => format!("({not}exists (select 1 from things i where {on}))"),
        1 => format!("({not}exists (select 1 from others o where o.thing_id = t.id))"),
        2 => format!("((select count(*) from things i where {on}) {} 1)", dice.pick(&["=", ">", ">=", "<>"])),
        3 => format!("(id {} (select {}(id) from things))", dice.pick(&["<=", ">=", "=", "<", ">"]), dice.pick(&["min", "max"])),
        4 => format!("({not}exists (select 1 from things i join others o on o.thing_id = i.id where {on}))"),
        _ => format!("({not}exists (select 1 from things i where {on} and {some}))"),
    }
}
