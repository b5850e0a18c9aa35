//! Random queries: what stands in FROM, and what is made of it.

use std::fmt::Write as _;

use super::Dice;
use super::expression::{Reach, Seen};
use super::ground::{Ground, KINDS, Kind};

/// Deepest nesting of queries and expressions.
const DEPTH: usize = 3;
/// Most rows of one table.
const ROWS: usize = 9;

/// What one level of a query can see.
#[derive(Debug, Default)]
pub struct Query {
    from: Vec<String>,
    bounds: Vec<String>,
    columns: Vec<Seen>,
    rows: Vec<String>,
    with: Vec<String>,
}

impl Query {
    /// A whole query of a random shape.
    pub fn whole(ground: &Ground, dice: &mut Dice) -> String {
        let reach = Reach { ground, columns: &[], rows: &[], depth: DEPTH };
        match dice.below(20) {
            0..=2 => Self::set(reach, dice),
            3 => Self::recursive(reach, dice),
            4 => Self::star(reach, dice),
            5 | 6 => Self::grouped(reach, dice),
            _ => Self::selected(reach, dice),
        }
    }

    /// What follows `select` in a query of one column and at most one row.
    pub fn one(outer: Reach<'_>, dice: &mut Dice, kind: Kind) -> String {
        let query = Self::over(outer, dice, 1);
        let reach = query.reach(outer);
        if dice.chance(50) {
            return format!("{}{}", reach.aggregate(dice, kind), query.tail(""));
        }
        format!("{}{} limit 1", reach.of(dice, kind), query.tail(&query.order()))
    }

    fn reach<'a>(&'a self, outer: Reach<'a>) -> Reach<'a> {
        Reach { columns: &self.columns, rows: &self.rows, depth: outer.depth.saturating_sub(1), ..outer }
    }

    fn order(&self) -> String {
        let keys: Vec<&str> = self.columns.iter().filter(|seen| is_key(seen)).map(|seen| seen.name.as_str()).collect();
        if keys.is_empty() { String::new() } else { format!(" order by {}", keys.join(", ")) }
    }

    fn tail(&self, more: &str) -> String {
        let mut out = format!(" from {}", self.from.join(", "));
        if !self.bounds.is_empty() {
            let _ = write!(out, " where {}", self.bounds.join(" and "));
        }
        out + more
    }

    fn prefix(&self) -> String {
        if self.with.is_empty() { String::new() } else { format!("with {} ", self.with.join(", ")) }
    }

    /// FROM with so many members, each bounded to few rows.
    fn over(outer: Reach<'_>, dice: &mut Dice, members: usize) -> Self {
        let mut query = Self { columns: if dice.chance(70) { Vec::new() } else { outer.columns.to_vec() }, ..Self::default() };
        let mut tables = 0;
        for _ in 0..members {
            let alias = format!("t{}", dice.below(100_000));
            match dice.below(if outer.depth > 1 { 10 } else { 6 }) {
                0..=5 => query.table(outer, dice, &alias, &mut tables),
                6 => query.derived(outer, dice, &alias),
                7 => query.lateral(outer, dice, &alias),
                8 => query.common(outer, dice, &alias),
                _ => query.values(dice, &alias),
            }
        }
        query
    }

    fn table(&mut self, outer: Reach<'_>, dice: &mut Dice, alias: &str, tables: &mut usize) {
        let table = dice.pick(&outer.ground.tables);
        let renamed = dice.chance(10);
        let mut names = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            let name = if renamed { format!("c{index}") } else { column.name.clone() };
            self.columns.push(Seen { name: format!("{alias}.{name}"), kind: column.kind });
            names.push(name);
        }
        let list = if renamed { format!("({})", names.join(", ")) } else { String::new() };
        let place = table.key.as_ref().and_then(|key| table.columns.iter().position(|column| column.name == *key));
        let key = place.map(|place| format!("{alias}.{}", names[place]));
        let written = format!("{} {}{alias}{list}", table.name, if dice.chance(50) { "as " } else { "" });
        let low = 1 + dice.below(60);
        let bound = key.as_ref().map(|key| format!("{key} between {low} and {}", low + dice.below(ROWS)));
        match (self.from.last_mut(), dice.below(4)) {
            (Some(last), 0) if !last.contains("lateral") => {
                let on = bound.clone().unwrap_or_else(|| "true".into());
                let _ = write!(last, " {} join {written} on {on}", dice.pick(&["left", "inner", "right"]));
            }
            _ => self.from.push(written),
        }
        self.bounds.extend(bound);
        self.rows.push(alias.to_owned());
        *tables += 1;
    }

    fn inner(outer: Reach<'_>, dice: &mut Dice) -> (String, Vec<Kind>) {
        let kinds: Vec<Kind> = (0..=dice.below(3)).map(|_| *dice.pick(&KINDS)).collect();
        let query = Self::over(outer, dice, 1);
        let list: Vec<String> = kinds.iter().map(|kind| query.reach(outer).of(dice, *kind)).collect();
        (format!("select {}{}", list.join(", "), query.tail("")), kinds)
    }

    fn name(&mut self, alias: &str, kinds: &[Kind]) -> String {
        let names: Vec<String> = (0..kinds.len()).map(|index| format!("d{index}")).collect();
        self.columns.extend(kinds.iter().zip(&names).map(|(kind, name)| Seen { name: format!("{alias}.{name}"), kind: *kind }));
        self.rows.push(alias.to_owned());
        format!("{alias}({})", names.join(", "))
    }

    fn derived(&mut self, outer: Reach<'_>, dice: &mut Dice, alias: &str) {
        let bare = Reach { columns: &[], depth: outer.depth - 1, ..outer };
        let (text, kinds) = Self::inner(bare, dice);
        let name = self.name(alias, &kinds);
        self.from.push(format!("({text}) as {name}"));
    }

    fn lateral(&mut self, outer: Reach<'_>, dice: &mut Dice, alias: &str) {
        let columns = std::mem::take(&mut self.columns);
        let seen = Reach { columns: &columns, depth: outer.depth - 1, ..outer };
        if dice.chance(50) {
            let value = seen.of(dice, Kind::Texts);
            self.columns = columns;
            let name = self.name(alias, &[Kind::Text]);
            self.from.push(format!("lateral unnest({value}) as {name}"));
            return;
        }
        let (text, kinds) = Self::inner(seen, dice);
        self.columns = columns;
        let name = self.name(alias, &kinds);
        self.from.push(format!("lateral ({text}) as {name}"));
    }

    fn common(&mut self, outer: Reach<'_>, dice: &mut Dice, alias: &str) {
        let bare = Reach { columns: &[], depth: outer.depth - 1, ..outer };
        let (text, kinds) = Self::inner(bare, dice);
        let named = self.name(alias, &kinds);
        if outer.depth == DEPTH {
            let how = *dice.pick(&["", "", "materialized ", "not materialized "]);
            self.with.push(format!("{named} as {how}({text})"));
            self.from.push(alias.to_owned());
        } else {
            self.from.push(format!("({text}) as {named}"));
        }
    }

    fn values(&mut self, dice: &mut Dice, alias: &str) {
        let name = self.name(alias, &[Kind::Integer, Kind::Text]);
        self.from.push(format!("(values ({}, 'a'), (2, 'b')) as {name}", dice.below(9)));
    }

    fn list(&self, outer: Reach<'_>, dice: &mut Dice) -> String {
        let reach = self.reach(outer);
        let mut list = Vec::new();
        for index in 0..=dice.below(4) {
            let mut value = match (self.rows.is_empty(), dice.below(14)) {
                (false, 0) => dice.pick(&self.rows).clone(),
                (false, 1) => format!("to_jsonb({})", dice.pick(&self.rows)),
                (false, 2) => format!("({})::text", dice.pick(&self.rows)),
                (_, 3) => format!("row({}, {})", reach.any(dice), reach.any(dice)),
                (_, 4) => Self::window(reach, dice),
                (_, 5) => format!("array(select {}{})", Self::one(reach, dice, Kind::Text), ""),
                _ => reach.any(dice),
            };
            if dice.chance(30) {
                let _ = write!(value, " as a{index}");
            }
            list.push(value);
        }
        list.join(", ")
    }

    fn window(reach: Reach<'_>, dice: &mut Dice) -> String {
        let over = format!("(partition by {} order by {})", reach.any(dice), reach.any(dice));
        match dice.below(5) {
            0 => format!("row_number() over {over}"),
            1 => format!("lag({}) over {over}", reach.any(dice)),
            2 => format!("first_value({}) over {over}", reach.any(dice)),
            3 => format!("rank() over {over}"),
            _ => format!("count({}) over {over}", reach.any(dice)),
        }
    }

    fn selected(outer: Reach<'_>, dice: &mut Dice) -> String {
        let members = 1 + dice.below(2);
        let mut query = Self::over(outer, dice, members);
        let list = query.list(outer, dice);
        if dice.chance(20) {
            let condition = query.reach(outer).of(dice, Kind::Truth);
            query.bounds.push(condition);
        }
        let order = if dice.chance(15) && !query.order().is_empty() {
            let first = query.reach(outer).any(dice);
            format!("{} limit {}", query.order().replacen("order by", &format!("order by {first},"), 1), 1 + dice.below(9))
        } else {
            String::new()
        };
        let distinct = if order.is_empty() && dice.chance(10) { "distinct " } else { "" };
        format!("{}select {distinct}{list}{}", query.prefix(), query.tail(&order))
    }

    fn grouped(outer: Reach<'_>, dice: &mut Dice) -> String {
        let query = Self::over(outer, dice, 1);
        let reach = query.reach(outer);
        let key = reach.any(dice);
        let kind = *dice.pick(&KINDS);
        let aggregate = reach.aggregate(dice, kind);
        let having = if dice.chance(20) { " having count(*) > 1" } else { "" };
        let group = match dice.below(4) {
            0 => format!("rollup (({key}))"),
            1 => format!("grouping sets ((({key})), ())"),
            _ => format!("({key})"),
        };
        let count = if dice.chance(40) { ", count(*)" } else { "" };
        format!("{}select {key}, {aggregate}{count}{}", query.prefix(), query.tail(&format!(" group by {group}{having}")))
    }

    fn set(outer: Reach<'_>, dice: &mut Dice) -> String {
        let kinds: Vec<Kind> = (0..=dice.below(2)).map(|_| *dice.pick(&KINDS[..6])).collect();
        let how = *dice.pick(&["union", "union all", "intersect", "except"]);
        let mut arm = || {
            let query = Self::over(Reach { depth: outer.depth - 1, ..outer }, dice, 1);
            let list: Vec<String> = kinds.iter().map(|kind| query.reach(outer).of(dice, *kind)).collect();
            format!("select {}{}", list.join(", "), query.tail(""))
        };
        format!("{} {how} {}", arm(), arm())
    }

    fn recursive(outer: Reach<'_>, dice: &mut Dice) -> String {
        let query = Self::over(Reach { depth: 1, ..outer }, dice, 1);
        let value = query.reach(outer).of(dice, Kind::Text);
        let start = format!("select 1, ({value})::text{}", query.tail(""));
        let column = *dice.pick(&["s", "n", "s || '.'", "upper(s)"]);
        format!(
            "with recursive r(n, s) as ({start} union all select n + 1, s || n::text from r where n < 3) select {column} from r"
        )
    }

    fn star(outer: Reach<'_>, dice: &mut Dice) -> String {
        let query = Self::over(outer, dice, 1);
        let row = query.rows.last().cloned();
        match row {
            Some(row) if dice.chance(60) => format!("{}select {row}.*{}", query.prefix(), query.tail("")),
            _ => format!("{}select *{}", query.prefix(), query.tail("")),
        }
    }
}

fn is_key(seen: &Seen) -> bool {
    let name = seen.name.rsplit('.').next().unwrap_or_default();
    matches!(name, "id" | "pid" | "patient_id" | "subject" | "code" | "state" | "dx" | "status")
}
