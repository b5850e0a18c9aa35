//! Queries over the clinic, made by bytes, with the columns that each of their own columns is made of.

use std::collections::BTreeSet;

use pgveil::sql::Relation;

use super::ground::CLINIC;
use super::input::Input;

/// Columns of stored relations: relation and number.
pub(super) type Made = BTreeSet<(u32, i16)>;

/// Deepest nesting of queries and of expressions.
const DEPTH_MAX: usize = 4;
const RELATIONS: [(&str, &str); 8] = [
    ("clinical", "patients"),
    ("clinical", "encounters"),
    ("clinical", "contacts"),
    ("clinical", "providers"),
    ("billing", "claims"),
    ("research", "subjects"),
    ("clinical", "v_patient"),
    ("research", "cohort"),
];

/// A column of a source or of a result.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) made_of: Made,
}

/// A query and its columns.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) columns: Vec<Column>,
}

/// What stands in a FROM under a name.
#[derive(Debug, Clone)]
struct Source {
    alias: String,
    columns: Vec<Column>,
}

/// Makes queries by the bytes of an input.
pub(super) struct Grammar<'i, 'a> {
    input: &'i mut Input<'a>,
    /// CTEs that can be named here.
    named: Vec<Query>,
    aliases: usize,
    depth: usize,
}

impl<'i, 'a> Grammar<'i, 'a> {
    pub(super) fn new(input: &'i mut Input<'a>) -> Self {
        Self { input, named: Vec::new(), aliases: 0, depth: 0 }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        // Now and then a name that is a relation's or a column's as well.
        match self.input.below(12) {
            0 => "patients".to_owned() + &"_".repeat(self.aliases),
            1 => format!("\"Odd {}\"", self.aliases),
            _ => format!("a{}", self.aliases),
        }
    }

    /// A query: WITH, set operations, or a SELECT alone.
    pub(super) fn query(&mut self, outer: &[Column]) -> Query {
        self.depth += 1;
        let deep = self.depth > DEPTH_MAX;
        let made = match self.input.below(6) {
            0 if !deep => self.with(outer),
            1 if !deep => self.union(outer),
            2 if !deep => {
                let Query { text, columns } = self.query(outer);
                Query { text: format!("({text})"), columns }
            }
            _ => self.select(outer),
        };
        self.depth -= 1;
        made
    }

    fn with(&mut self, outer: &[Column]) -> Query {
        let before = self.named.len();
        let mut heads = Vec::new();
        for _ in 0..1 + self.input.below(2) {
            let Query { text, columns } = self.query(&[]);
            let name = if self.input.below(6) == 0 { "contacts".to_owned() } else { format!("w{}", self.named.len()) };
            if self.named[before..].iter().any(|known| known.text == name) {
                continue;
            }
            let hint = *self.input.one_of(&["", "materialized ", "not materialized "]);
            heads.push(format!("{name} as {hint}({text})"));
            self.named.push(Query { text: name, columns });
        }
        let body = self.query(outer);
        self.named.truncate(before);
        let text = if body.text.starts_with("with ") { format!("({})", body.text) } else { body.text };
        Query { text: format!("with {} {text}", heads.join(", ")), columns: body.columns }
    }

    fn union(&mut self, outer: &[Column]) -> Query {
        let (left, right) = (self.query(outer), self.query(outer));
        let operator = *self.input.one_of(&["union all", "union", "intersect", "except", "except all"]);
        let width = left.columns.len().min(right.columns.len());
        let narrow = |query: &Query, alias: &str| {
            let names: Vec<String> = (0..width).map(|at| format!("n{at}")).collect();
            // By names of its own, so that both have as many columns.
            let all: Vec<String> = (0..query.columns.len()).map(|at| format!("n{at}")).collect();
            format!("select {} from ({}) {alias}({})", names.join(", "), query.text, all.join(", "))
        };
        let text = format!("{} {operator} {}", narrow(&left, "l"), narrow(&right, "r"));
        let taken = !operator.starts_with("except");
        let columns = (0..width)
            .map(|at| {
                let mut made_of = left.columns[at].made_of.clone();
                if taken && operator != "intersect" {
                    made_of.extend(&right.columns[at].made_of);
                }
                Column { name: format!("n{at}"), made_of }
            })
            .collect();
        Query { text, columns }
    }

    fn select(&mut self, outer: &[Column]) -> Query {
        let (from, sources) = self.from();
        let scope: Vec<Column> = sources
            .iter()
            .flat_map(|source| {
                source.columns.iter().map(|column| Column { name: format!("{}.{}", source.alias, column.name), ..column.clone() })
            })
            .chain(outer.iter().cloned())
            .collect();
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for at in 0..1 + self.input.below(4) {
            if self.input.below(8) == 0 {
                let source = &sources[self.input.below(sources.len())];
                items.push(format!("{}.*", source.alias));
                columns.extend(source.columns.clone());
                continue;
            }
            let (text, made_of) = self.expr(&scope, &sources, 0);
            let name = format!("x{at}");
            items.push(format!("{text} as {name}"));
            columns.push(Column { name, made_of });
        }
        let distinct = *self.input.one_of(&["", "", "distinct ", "all "]);
        let tail = *self.input.one_of(&["", " where true", " limit 5", " order by 1", " offset 1 rows", " for share"]);
        let tail = if distinct.starts_with('d') && tail.starts_with(" for") { "" } else { tail };
        Query { text: format!("select {distinct}{}{from}{tail}", items.join(", ")), columns }
    }

    fn from(&mut self) -> (String, Vec<Source>) {
        let (mut text, first) = self.source(&[]);
        let mut sources = vec![first];
        for _ in 0..self.input.below(3) {
            let lateral = self.input.below(4) == 0;
            let seen: Vec<Column> = if lateral {
                let all = sources.iter().flat_map(|source: &Source| {
                    source
                        .columns
                        .iter()
                        .map(|column| Column { name: format!("{}.{}", source.alias, column.name), ..column.clone() })
                });
                all.collect()
            } else {
                Vec::new()
            };
            let (more, source) = if lateral { self.derived("lateral ", &seen) } else { self.source(&seen) };
            text += &match self.input.below(4) {
                0 => format!(", {more}"),
                1 => format!(" cross join {more}"),
                2 => format!(" left join {more} on true"),
                _ => format!(" JOIN {more} ON (1 = 1)"),
            };
            sources.push(source);
        }
        (format!(" from {text}"), sources)
    }

    fn source(&mut self, seen: &[Column]) -> (String, Source) {
        let alias = self.alias();
        match self.input.below(6) {
            0 if self.depth <= DEPTH_MAX => self.derived("", seen),
            1 if !self.named.is_empty() => {
                // The one that was named last hides others of its name.
                let at = self.input.below(self.named.len());
                let name = self.named[at].text.clone();
                let known = self.named.iter().rev().find(|known| known.text == name).expect("it is there");
                (format!("{name} as {alias}"), Source { alias, columns: known.columns.clone() })
            }
            _ => {
                let (schema, name) = *self.input.one_of(&RELATIONS);
                let columns = stored(CLINIC.qualified(schema, name).expect("a relation of the clinic"));
                if self.input.below(6) == 0 {
                    let names: Vec<String> = (0..columns.len()).map(|at| format!("r{at}")).collect();
                    let text = format!("{schema}.{name} {alias}({})", names.join(", "));
                    let columns = columns.into_iter().zip(names).map(|(column, name)| Column { name, ..column }).collect();
                    return (text, Source { alias, columns });
                }
                (format!("{schema}.{name} {alias}"), Source { alias, columns })
            }
        }
    }

    fn derived(&mut self, word: &str, seen: &[Column]) -> (String, Source) {
        let alias = self.alias();
        let Query { text, columns } = self.query(seen);
        let names: Vec<String> = (0..columns.len()).map(|at| format!("d{at}")).collect();
        let text = format!("{word}({text}) {alias}({})", names.join(", "));
        (
            text,
            Source { alias, columns: columns.into_iter().zip(names).map(|(column, name)| Column { name, ..column }).collect() },
        )
    }

    fn expr(&mut self, scope: &[Column], sources: &[Source], depth: usize) -> (String, Made) {
        if depth >= DEPTH_MAX {
            return self.leaf(scope);
        }
        let one = |grammar: &mut Self| grammar.expr(scope, sources, depth + 1);
        match self.input.below(18) {
            0..=4 => self.leaf(scope),
            5 => wrapped("left(", one(self), ", 2)"),
            6 => wrapped("upper((", one(self), ")::text)"),
            7 => wrapped("", one(self), "::text"),
            8 => wrapped("cast(", one(self), " as varchar(9))"),
            9 => wrapped("(array[", one(self), "])[1]"),
            10 => wrapped("max(", one(self), ") over ()"),
            11 => wrapped("(row(", one(self), ", 1))::text"),
            12 => both(one(self), " || ", one(self)),
            13 => {
                let (text, made_of) = both(one(self), ", ", one(self));
                (format!("coalesce{text}"), made_of)
            }
            14 => {
                let (text, made_of) = both(one(self), " else ", one(self));
                (format!("case when true then {} end", &text[1..text.len() - 1]), made_of)
            }
            15 if self.depth <= DEPTH_MAX => {
                let Query { text, columns } = self.query(scope);
                let names: Vec<String> = (0..columns.len()).map(|at| format!("s{at}")).collect();
                let Some(first) = columns.into_iter().next() else { return self.leaf(scope) };
                (format!("(select s0 from ({text}) s({}) limit 1)", names.join(", ")), first.made_of)
            }
            16 => {
                let source = &sources[self.input.below(sources.len())];
                let form = *self.input.one_of(&["{}::text", "row_to_json({})", "to_jsonb({})", "concat({})", "({}).*::text"]);
                let form =
                    if form.starts_with("({}).*") { "{} is null or {}::text = 'a' or null::text = {}::text" } else { form };
                if form.contains(" or ") {
                    // A question: nothing of it needs to show.
                    return (format!("({})", form.replace("{}", &source.alias)), Made::new());
                }
                let made_of = source.columns.iter().flat_map(|column| column.made_of.iter().copied()).collect();
                (form.replace("{}", &source.alias), made_of)
            }
            _ => {
                let (text, made_of) = both(one(self), ", ", one(self));
                (format!("concat_ws('-', {})", &text[1..text.len() - 1]), made_of)
            }
        }
    }

    fn leaf(&mut self, scope: &[Column]) -> (String, Made) {
        if scope.is_empty() || self.input.below(8) == 0 {
            return ((*self.input.one_of(&["'x'", "1", "null", "$1", "now()"])).to_owned(), Made::new());
        }
        let column = &scope[usize::from(self.input.byte()) % scope.len()];
        (column.name.clone(), column.made_of.clone())
    }
}

fn wrapped(open: &str, (text, made_of): (String, Made), close: &str) -> (String, Made) {
    (format!("{open}{text}{close}"), made_of)
}

fn both((left, mut made_of): (String, Made), sign: &str, (right, more): (String, Made)) -> (String, Made) {
    made_of.extend(more);
    (format!("({left}{sign}{right})"), made_of)
}

/// The columns of a relation, each made of itself.
fn stored(relation: &Relation) -> Vec<Column> {
    let column = |column: &pgveil::sql::Attribute| Column {
        name: column.name.clone(),
        made_of: Made::from([(relation.oid, column.number)]),
    };
    relation.columns.iter().map(column).collect()
}
