//! Random expressions of a wanted type.

use super::ground::{Callable, Ground, Kind};
use super::{Dice, Query};

/// A column in reach.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `alias.column`.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// What an expression can be made of.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// The database.
    pub ground: &'a Ground,
    /// Columns by name.
    pub columns: &'a [Seen],
    /// Aliases that stand for a whole row.
    pub rows: &'a [String],
    /// How deep expressions and queries may still nest.
    pub depth: usize,
}

impl<'a> Reach<'a> {
    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self }
    }

    /// An expression of this type.
    pub fn of(self, dice: &mut Dice, kind: Kind) -> String {
        if self.depth == 0 || dice.chance(25) {
            return self.leaf(dice, kind);
        }
        match dice.below(12) {
            0..=3 => self.call(dice, kind),
            4 => self.branch(dice, kind),
            5 => self.cast(dice, kind),
            6 => self.choice(dice, kind),
            7 => self.subquery(dice, kind),
            _ => self.operator(dice, kind),
        }
    }

    fn leaf(self, dice: &mut Dice, kind: Kind) -> String {
        let fit: Vec<&Seen> = self.columns.iter().filter(|seen| seen.kind == kind).collect();
        if !fit.is_empty() && dice.chance(85) {
            let seen = dice.pick(&fit);
            return seen.name.clone();
        }
        if kind == Kind::Text && !self.columns.is_empty() && dice.chance(60) {
            return format!("{}::text", dice.pick(self.columns).name);
        }
        constant(dice, kind)
    }

    fn arguments(self, dice: &mut Dice, callable: &'a Callable) -> String {
        let mut list = Vec::new();
        for (kind, written) in &callable.arguments {
            let value = self.deeper().of(dice, *kind);
            list.push(if written.starts_with("any") { value } else { format!("({value})::{}", plain(written)) });
        }
        list.join(", ")
    }

    fn call(self, dice: &mut Dice, kind: Kind) -> String {
        let Some(list) = self.ground.functions.get(&kind) else { return self.leaf(dice, kind) };
        let callable = dice.pick(list);
        let schema = if dice.chance(30) { "pg_catalog." } else { "" };
        format!("{schema}{}({})", quoted(schema, &callable.name), self.arguments(dice, callable))
    }

    /// An aggregate of this type over expressions in reach.
    pub fn aggregate(self, dice: &mut Dice, kind: Kind) -> String {
        let some = Self { depth: self.depth.min(1), ..self };
        let filter = if dice.chance(15) { format!(" filter (where {})", some.of(dice, Kind::Truth)) } else { String::new() };
        if let Some(row) = self.rows.first().filter(|_| kind == Kind::Json && dice.chance(30)) {
            return format!("jsonb_agg({row}){filter}");
        }
        match (kind, dice.below(4)) {
            (Kind::Integer, 0) => format!("count(*){filter}"),
            (Kind::Integer, 1) => format!("count(distinct {}){filter}", some.any(dice)),
            (Kind::Text, 0 | 1) => format!("string_agg({}, ',' order by {}){filter}", some.of(dice, Kind::Text), some.any(dice)),
            (Kind::Texts, _) => format!("array_agg({} order by {}){filter}", some.of(dice, Kind::Text), some.any(dice)),
            _ => match self.ground.aggregates.get(&kind) {
                Some(list) => {
                    let callable = dice.pick(list);
                    format!("{}({}){filter}", callable.name, some.arguments(dice, callable))
                }
                None => format!("max({})", some.of(dice, Kind::Text)),
            },
        }
    }

    /// An expression of whatever type: most often just a column.
    pub fn any(self, dice: &mut Dice) -> String {
        if !self.columns.is_empty() && dice.chance(60) {
            return dice.pick(self.columns).name.clone();
        }
        let kind = *dice.pick(&super::ground::KINDS);
        self.deeper().of(dice, kind)
    }

    fn branch(self, dice: &mut Dice, kind: Kind) -> String {
        let deeper = self.deeper();
        let when = deeper.of(dice, Kind::Truth);
        format!("case when {when} then {} else {} end", deeper.of(dice, kind), deeper.of(dice, kind))
    }

    fn choice(self, dice: &mut Dice, kind: Kind) -> String {
        let deeper = self.deeper();
        let (a, b) = (deeper.of(dice, kind), deeper.of(dice, kind));
        match (kind, dice.below(4)) {
            (Kind::Json, _) => format!("coalesce({a}::jsonb, {b}::jsonb)"),
            (_, 0) => format!("nullif({a}, {b})"),
            (_, 1) => format!("greatest({a}, {b})"),
            (_, 2) => format!("(array[{a}, {b}])[{}]", 1 + dice.below(2)),
            _ => format!("coalesce({a}, {b})"),
        }
    }

    fn cast(self, dice: &mut Dice, kind: Kind) -> String {
        let deeper = self.deeper();
        match kind {
            Kind::Text => {
                format!("({})::{}", deeper.any(dice), dice.pick(&["text", "varchar", "varchar(20)", "name", "char(8)"]))
            }
            Kind::Integer => format!("({})::int", deeper.of(dice, Kind::Truth)),
            Kind::Number => format!("({})::numeric", deeper.of(dice, Kind::Integer)),
            Kind::Json => format!("to_jsonb({})", deeper.any(dice)),
            Kind::Bytes => format!("convert_to({}, 'UTF8')", deeper.of(dice, Kind::Text)),
            Kind::Time => format!("({})::timestamp", deeper.of(dice, Kind::Date)),
            Kind::Date => format!("({})::date", deeper.of(dice, Kind::Time)),
            Kind::Texts => format!("array[{}]", deeper.of(dice, Kind::Text)),
            _ => deeper.of(dice, kind),
        }
    }

    fn subquery(self, dice: &mut Dice, kind: Kind) -> String {
        let query = Query::one(self.deeper(), dice, kind);
        match kind {
            Kind::Truth if dice.chance(50) => format!("exists (select {query})"),
            _ => format!("(select {query})"),
        }
    }

    fn operator(self, dice: &mut Dice, kind: Kind) -> String {
        let deeper = self.deeper();
        let mut of = |kind| deeper.of(dice, kind);
        match kind {
            Kind::Text => format!("({} || {})", of(Kind::Text), of(Kind::Text)),
            Kind::Integer => format!("({} - {})", of(Kind::Date), of(Kind::Date)),
            Kind::Number => format!("({} + {})", of(Kind::Number), of(Kind::Number)),
            Kind::Float => format!("({} - {})", of(Kind::Float), of(Kind::Float)),
            Kind::Date => format!("({} + 3)", of(Kind::Date)),
            Kind::Time => format!("({} + {})", of(Kind::Time), of(Kind::Interval)),
            Kind::Interval => format!("({} - {})", of(Kind::Time), of(Kind::Time)),
            Kind::Json => format!("({} -> 'emergency')", of(Kind::Json)),
            Kind::Texts => format!("({} || {})", of(Kind::Texts), of(Kind::Texts)),
            Kind::Truth => self.deeper().truth(dice),
            _ => self.leaf(dice, kind),
        }
    }

    fn truth(self, dice: &mut Dice) -> String {
        match dice.below(8) {
            0 => format!("{} like '%a%'", self.of(dice, Kind::Text)),
            1 => format!("({}) is {}null", self.any(dice), if dice.chance(50) { "not " } else { "" }),
            2 => format!("({}) = {}", self.of(dice, Kind::Integer), dice.below(50)),
            3 => format!("({} and {})", self.of(dice, Kind::Truth), self.of(dice, Kind::Truth)),
            4 => format!("not ({})", self.of(dice, Kind::Truth)),
            5 => format!("({}) < ({})", self.of(dice, Kind::Date), self.of(dice, Kind::Date)),
            6 => format!("({} ? 'prefers')", self.of(dice, Kind::Json)),
            _ => format!("({}) between 1 and {}", self.of(dice, Kind::Number), dice.below(900)),
        }
    }
}

fn plain(written: &str) -> &str {
    if written == "_text" { "text[]" } else { written }
}

/// Names that the grammar takes for something else unless they are quoted or have a schema.
fn quoted(schema: &str, name: &str) -> String {
    let special = ["overlay", "position", "substring", "trim", "normalize", "overlaps", "extract", "xmlexists", "timezone"];
    if schema.is_empty() && special.contains(&name) { format!("\"{name}\"") } else { name.to_owned() }
}

fn constant(dice: &mut Dice, kind: Kind) -> String {
    match kind {
        Kind::Text => format!("'{}'", dice.pick(&["a", "abc", "hello", "10", "%", "day", "hex", "escape", "FM099", "UTF8", " "])),
        Kind::Integer => format!("{}", 1 + dice.below(9)),
        Kind::Number => format!("{}.{}", dice.below(90), dice.below(10)),
        Kind::Float => format!("{}.5::float8", dice.below(9)),
        Kind::Date => format!("date '2024-0{}-1{}'", 1 + dice.below(9), dice.below(9)),
        Kind::Time => format!("timestamp '2024-0{}-1{} 10:00'", 1 + dice.below(9), dice.below(9)),
        Kind::Interval => format!("interval '{} days'", dice.below(40)),
        Kind::Truth => dice.pick(&["true", "false", "null::bool"]).to_string(),
        Kind::Json => dice.pick(&["'{\"a\": 1}'::jsonb", "'[1, 2]'::jsonb", "'null'::jsonb"]).to_string(),
        Kind::Texts => dice.pick(&["array['a', 'b']", "'{}'::text[]"]).to_string(),
        Kind::Bytes => "'\\x0102'::bytea".to_owned(),
        Kind::Uuid => "'5044ec54-1fee-4cf8-865d-21f820d52ced'::uuid".to_owned(),
        Kind::Other => "null".to_owned(),
    }
}
