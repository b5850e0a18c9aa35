//! From evidence to masks.

use std::collections::{HashMap, HashSet};

use super::detect::Shape;
use super::known::{KINDS, Kind, PEOPLE, Types};
use super::sample::Counts;
use crate::sql::{Attribute, Catalog, Relation, TypeKind};

/// Percent of values that must be of a shape for it to count.
const SHARE: usize = 80;
/// Percent of values that must be free text, or hold identifiers.
const SHARE_OF_TEXT: usize = 30;
/// Most steps of foreign keys that lead to a table of people.
const STEPS_MAX: usize = 16;

/// A mask that is proposed for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// `schema.table.column`
    pub(super) column: String,
    /// What it seems to be.
    pub(super) kind: &'static Kind,
    /// One phrase each, without values.
    pub(super) evidence: Vec<String>,
    /// What speaks against it, or what is lacking.
    pub(super) doubts: Vec<String>,
}

/// All that is known when proposals are made.
pub(super) struct Ground<'a> {
    catalog: &'a Catalog,
    /// Comments in lower case, by relation and column.
    pub(super) comments: HashMap<(u32, i16), String>,
    /// Foreign keys: a column and the column that it refers to.
    pub(super) keys: HashMap<(u32, i16), (u32, i16)>,
    /// What sampled values look like.
    pub(super) samples: HashMap<(u32, i16), Counts>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, comments: HashMap::new(), keys: HashMap::new(), samples: HashMap::new() }
    }

    /// What is proposed for these tables.
    pub(super) fn proposals(&self, tables: &[&Relation]) -> Vec<Proposal> {
        let people = self.people(tables);
        let mut found: Vec<((u32, i16), Proposal)> = Vec::new();
        for table in tables {
            for column in table.columns.iter().filter(|column| !self.is_inherited(table, column)) {
                if let Some(proposal) = self.column(table, column, people.contains(&table.oid)) {
                    found.push(((table.oid, column.number), proposal));
                }
            }
        }
        self.along_keys(tables, &mut found);
        found.into_iter().map(|(_, proposal)| proposal).collect()
    }

    /// True if a parent has the column: its mask covers it.
    fn is_inherited(&self, table: &Relation, column: &Attribute) -> bool {
        let parents = table.parents.iter().filter_map(|oid| self.catalog.relations.get(oid));
        parents.flat_map(|parent| &parent.columns).any(|known| known.name == column.name)
    }

    /// Tables of people, and those that refer to them.
    fn people(&self, tables: &[&Relation]) -> HashSet<u32> {
        let named = |table: &&&Relation| PEOPLE.iter().any(|word| table.name.to_lowercase().contains(word));
        let mut people: HashSet<u32> = tables.iter().filter(named).map(|table| table.oid).collect();
        let points = |table: &Relation| {
            table.columns.iter().any(|column| PEOPLE.iter().any(|word| column.name.to_lowercase() == format!("{word}_id")))
        };
        people.extend(tables.iter().filter(|table| points(table)).map(|table| table.oid));
        for _ in 0..STEPS_MAX {
            let before = people.len();
            let more: Vec<u32> = self.keys.iter().filter(|(_, to)| people.contains(&to.0)).map(|(from, _)| from.0).collect();
            people.extend(more);
            if people.len() == before {
                break;
            }
        }
        people
    }

    fn column(&self, table: &Relation, column: &Attribute, of_people: bool) -> Option<Proposal> {
        let types = self.types(column.type_oid)?;
        let name = column.name.to_lowercase();
        let counts = self.samples.get(&(table.oid, column.number));
        let comment = self.comments.get(&(table.oid, column.number)).map(String::as_str).unwrap_or_default();
        let judged = KINDS.iter().filter(|kind| kind.types == Types::Any || types == Types::Any || kind.types == types);
        let judged = judged.filter_map(|kind| weigh(kind, &name, comment, counts).map(|weight| (kind, weight)));
        let best = judged.reduce(|best, next| if next.1.points > best.1.points { next } else { best });
        let (kind, weight) = best.or_else(|| by_content(types, counts))?;
        if types == Types::Date && !of_people {
            return None;
        }
        let mut doubts = weight.doubts;
        if !of_people {
            doubts.push("no foreign key leads from this table to one of patients".to_owned());
        }
        let column = format!("{}.{}.{}", table.schema, table.name, column.name);
        Some(Proposal { column, kind, evidence: weight.evidence, doubts })
    }

    /// A column that refers to a masked one holds the same values.
    fn along_keys(&self, tables: &[&Relation], found: &mut Vec<((u32, i16), Proposal)>) {
        for _ in 0..STEPS_MAX {
            let known: HashMap<(u32, i16), &'static Kind> = found.iter().map(|(key, proposal)| (*key, proposal.kind)).collect();
            let mut more = Vec::new();
            for table in tables {
                for column in &table.columns {
                    let here = (table.oid, column.number);
                    let Some(kind) = self.keys.get(&here).and_then(|to| known.get(to)) else { continue };
                    if !known.contains_key(&here) {
                        let column = format!("{}.{}.{}", table.schema, table.name, column.name);
                        let evidence = vec!["a foreign key to a column that is masked".to_owned()];
                        more.push((here, Proposal { column, kind, evidence, doubts: Vec::new() }));
                    }
                }
            }
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
    }

    /// What a type can hold, as far as masks care; none for what cannot identify by itself.
    fn types(&self, oid: u32) -> Option<Types> {
        let base = self.catalog.base_type(oid);
        let info = self.catalog.types.get(&base)?;
        match (&info.kind, info.category) {
            (TypeKind::Array(of), _) if *of != oid => self.types(*of),
            (TypeKind::Enum(_), _) | (_, 'B') => None,
            (_, 'S') => Some(Types::Text),
            (_, 'N') => Some(Types::Number),
            (_, 'D') => Some(Types::Date),
            (TypeKind::Composite(_), _) => Some(Types::Text),
            _ if matches!(info.name.as_str(), "json" | "jsonb" | "xml" | "hstore" | "tsvector") => Some(Types::Text),
            _ if matches!(info.name.as_str(), "bytea" | "inet" | "cidr" | "point" | "geometry" | "geography") => Some(Types::Any),
            _ => None,
        }
    }
}

/// How much speaks for a kind.
struct Weight {
    points: usize,
    evidence: Vec<String>,
    doubts: Vec<String>,
}

fn weigh(kind: &Kind, name: &str, comment: &str, counts: Option<&Counts>) -> Option<Weight> {
    let (mut points, mut evidence, mut doubts) = (0, Vec::new(), Vec::new());
    let named = kind.names.split_whitespace().any(|pattern| matches(pattern, name));
    let hinted = kind.hints.split_whitespace().any(|pattern| matches(pattern, name));
    if named {
        points += 4;
        evidence.push("its name".to_owned());
    } else if hinted {
        points += 2;
        evidence.push("a hint in its name".to_owned());
    }
    let words = kind.names.split_whitespace().filter(|word| !word.contains(['*', '?']));
    if words.map(|word| word.replace('_', " ")).any(|word| has_word(comment, &word)) {
        points += 2;
        evidence.push("its comment".to_owned());
    }
    if let (Some(shape), Some(counts)) = (kind.shape, counts.filter(|counts| counts.values > 0)) {
        let number = counts.whole(shape);
        if counts.mostly(number, SHARE) {
            points += if shape == Shape::Zip { 1 } else { 4 };
            evidence.push(format!("{number} of {} sampled values look like {}", counts.values, shape.name()));
        } else if points > 0 {
            doubts.push(format!("{number} of {} sampled values look like {}", counts.values, shape.name()));
        }
    }
    if let Some(counts) = counts.filter(|counts| points > 0 && counts.values == 0) {
        let _ = counts;
        doubts.push("no value was found in the sample".to_owned());
    }
    if points < 4 && points > 0 {
        doubts.push("the evidence is weak".to_owned());
    }
    (points > 1).then_some(Weight { points, evidence, doubts })
}

/// Texts of many words, and texts in which identifiers stand.
fn by_content(types: Types, counts: Option<&Counts>) -> Option<(&'static Kind, Weight)> {
    let counts = counts.filter(|_| types == Types::Text)?;
    let kind = KINDS.iter().find(|kind| kind.name == "free text")?;
    let mut evidence = Vec::new();
    if let Some((shape, number)) = counts.within.first().filter(|(_, number)| counts.mostly(*number, SHARE_OF_TEXT)) {
        evidence.push(format!("in {number} of {} sampled values stands {}", counts.values, shape.name()));
    }
    if counts.mostly(counts.texts, SHARE_OF_TEXT) {
        evidence.push(format!("{} of {} sampled values are texts of many words", counts.texts, counts.values));
    }
    let doubts = vec!["its name does not say what it holds".to_owned()];
    (!evidence.is_empty()).then_some((kind, Weight { points: 3, evidence, doubts }))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word) || word.contains(' ') && text.contains(word)
}

/// A name against a pattern with `*` and `?`, in time linear in the name for each star.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut back) = (0, 0, None);
    loop {
        match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                back = Some((p + 1, n));
                p += 1;
            }
            (Some(want), Some(have)) if *want == '?' || want == have => {
                p += 1;
                n += 1;
            }
            (None, None) => return true,
            (_, _) => match back {
                Some((after, from)) if from < name.len() => {
                    back = Some((after, from + 1));
                    p = after;
                    n = from + 1;
                }
                Some(_) | None => return false,
            },
        }
    }
}
