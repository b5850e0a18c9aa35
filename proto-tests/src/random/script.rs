//! Random statements: a query, or what carries one, with what must stand before and after.

use super::ground::{Ground, Kind, Table};
use super::{Dice, Query};

/// How a statement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A Query message.
    Simple,
    /// Parse, Bind, Describe, Execute; results as text, or in binary.
    Extended(i16),
    /// The same without a Describe.
    Undescribed(i16),
}

/// Statements that belong together; what is changed is rolled back by the caller.
#[derive(Debug, Clone)]
pub struct Script {
    /// In this order.
    pub steps: Vec<String>,
    /// How each is sent.
    pub mode: Mode,
    /// What it is, for the counts.
    pub shape: &'static str,
}

/// The statement of this seed.
#[must_use]
pub fn script(ground: &Ground, seed: u64) -> Script {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let mode = match dice.below(6) {
        0..=2 => Mode::Simple,
        3 => Mode::Extended(0),
        4 => Mode::Extended(1),
        _ => Mode::Undescribed(i16::from(dice.chance(50))),
    };
    let (shape, steps) = match dice.below(40) {
        0..=2 => ("copy", copy(ground, dice)),
        3 => ("cursor", cursor(ground, dice)),
        4 => ("prepare", prepare(ground, dice)),
        5 => ("explain", vec![format!("explain (costs off) {}", Query::whole(ground, dice))]),
        6..=8 => ("returning", changed(ground, dice)),
        9 => ("temporary table", made(ground, dice, "table")),
        10 => ("temporary view", made(ground, dice, "view")),
        11 => ("batch", vec![format!("{}; {}", Query::whole(ground, dice), Query::whole(ground, dice))]),
        _ => ("query", vec![Query::whole(ground, dice)]),
    };
    let mode = if matches!(shape, "query" | "explain" | "returning") { mode } else { Mode::Simple };
    let begun = |mut steps: Vec<String>| {
        steps.insert(0, "begin".into());
        steps
    };
    let steps = if matches!(shape, "query" | "explain" | "copy" | "batch") { steps } else { begun(steps) };
    Script { steps, mode, shape }
}

fn copy(ground: &Ground, dice: &mut Dice) -> Vec<String> {
    let options = *dice.pick(&[
        "",
        " with (format csv)",
        " with (format binary)",
        " with (format csv, header, force_quote *)",
        " (delimiter ';')",
    ]);
    if dice.chance(25) {
        let small: Vec<&Table> = ground.tables.iter().filter(|table| table.base && table.name.contains("contacts")).collect();
        let table = dice.pick(&small);
        return vec![format!("copy {} to stdout{options}", table.name)];
    }
    vec![format!("copy ({}) to stdout{options}", Query::whole(ground, dice))]
}

fn cursor(ground: &Ground, dice: &mut Dice) -> Vec<String> {
    let how = *dice.pick(&["", "binary ", "scroll "]);
    let mut steps = vec![format!("declare c {how}cursor for {}", Query::whole(ground, dice))];
    steps.extend(["fetch 2 from c", "fetch all from c", "close c"].map(str::to_owned));
    steps
}

fn prepare(ground: &Ground, dice: &mut Dice) -> Vec<String> {
    let name = format!("s{}", dice.below(1_000_000_000));
    vec![format!("prepare {name} as {}", Query::whole(ground, dice)), format!("execute {name}"), format!("deallocate {name}")]
}

fn made(ground: &Ground, dice: &mut Dice, what: &str) -> Vec<String> {
    vec![
        format!("create temporary {what} made as {}", Query::whole(ground, dice)),
        "select * from made".into(),
        "drop ".to_owned() + what + " made",
    ]
}

fn changed(ground: &Ground, dice: &mut Dice) -> Vec<String> {
    let fit: Vec<&Table> = ground.tables.iter().filter(|table| table.base && table.key.is_some()).collect();
    let table = dice.pick(&fit);
    let key = table.key.clone().unwrap_or_default();
    let returned = match dice.below(3) {
        0 => "*".to_owned(),
        1 => format!("{}, upper({}::text)", key, dice.pick(&table.columns).name),
        _ => dice.pick(&table.columns).name.clone(),
    };
    let text: Vec<&str> =
        table.columns.iter().filter(|column| column.kind == Kind::Text).map(|column| column.name.as_str()).collect();
    let row = 1 + dice.below(60);
    let target = if text.is_empty() { key.clone() } else { (*dice.pick(&text)).to_owned() };
    let source = if text.is_empty() { key.clone() } else { (*dice.pick(&text)).to_owned() };
    vec![match dice.below(4) {
        0 => format!("delete from {} where {key} = {row} returning {returned}", table.name),
        1 => format!("update {} set {target} = {source} where {key} = {row} returning {returned}", table.name),
        2 => format!("update {} set {target} = {target} where {key} = {row} returning {returned}", table.name),
        _ => format!("update {} set {key} = {key} where {key} = {row} returning {returned}", table.name),
    }]
}
