//! What a value is made of, while it is being followed.

use std::rc::Rc;

use super::aside::ANY;
use crate::sql::catalog::{Catalog, Oid};
use crate::sql::facts::FunctionName;
use crate::sql::lineage::{JsonStep, Lineage, SOURCES_MAX, Source, Step, Untraced, Way};

/// How many sources are gathered before doubles are taken out.
const GATHERED_MAX: usize = 512;
/// How many types of values put together are told apart.
const KINDS_MAX: usize = 16;
/// The type `name`.
pub(super) const NAME: Oid = 19;

/// A value: shared, since a column is referred to again and again.
pub(super) type Shared = Rc<Value>;

/// What a value is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Value {
    /// Columns, each with its way; sorted, without doubles.
    pub(super) sources: Vec<Source>,
    /// Functions of unknown content.
    pub(super) functions: Vec<FunctionName>,
    /// Why it could not be traced.
    pub(super) untraced: Option<Untraced>,
    /// Exactly one column, unchanged.
    pub(super) direct: bool,
    /// True if constants or other columns can stand in its place.
    pub(super) mixed: bool,
    /// True if what stands in its place can be of the statement's own choice, so that who sees it sorted sees where its columns
    /// lie between known values.
    pub(super) known: bool,
    /// True for a constant that is NULL, or a word for nothing.
    pub(super) void: bool,
    /// True if nothing has been computed with it: it is a column, or a part of a document.
    pub(super) plain: bool,
    /// True if it is a number too small to overflow anything: a length, a year; a time in the usual range.
    pub(super) small: bool,
    /// True if it is there exactly where its columns are: what was computed has a value for each of theirs.
    pub(super) there: bool,
    /// How many values of the statement's own it runs through.
    pub(super) many: Many,
    /// Its type; 0 if not known.
    pub(super) kind: Oid,
    /// True if it may be of any type, as what functions of the schema give.
    pub(super) any_kind: bool,
    /// The columns of a row.
    pub(super) row: Option<Rc<Vec<Column>>>,
}

/// How many values an expression runs through: what a masked column equals of values that a statement counts up by itself
/// is the column's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Many {
    /// One, or those of its own column.
    #[default]
    One,
    /// Those that are stored, or written out.
    Listed,
    /// As many as the statement likes.
    Counted,
}

/// A column of something: its name and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: Rc<str>,
    /// What it is made of.
    pub(super) value: Shared,
}

impl Value {
    /// A constant of a type.
    pub(super) fn clean(kind: Oid) -> Self {
        Self { kind, mixed: true, ..Self::default() }
    }

    /// NULL, or a word for nothing.
    pub(super) fn void(kind: Oid) -> Self {
        Self { void: true, ..Self::clean(kind) }
    }

    /// What could not be traced.
    pub(super) fn untraced(why: Untraced) -> Self {
        Self { untraced: Some(why), mixed: true, known: true, ..Self::default() }
    }

    /// A column as it is.
    pub(super) fn column(relation: Oid, attribute: i16, kind: Oid) -> Self {
        let sources = vec![Source { relation, attribute, way: Way::Kept }];
        Self { sources, direct: true, plain: true, there: true, many: Many::Listed, kind, ..Self::default() }
    }

    /// True if nothing of a relation, of a function or of doubt is in it.
    pub(super) fn is_clean(&self) -> bool {
        self.sources.is_empty() && self.functions.is_empty() && self.untraced.is_none()
    }

    /// True if it is one column's value, nothing else in its place.
    pub(super) fn is_one_column(&self) -> bool {
        let one = matches!(self.sources.as_slice(), [Source { way: Way::Kept, .. }]);
        one && !self.mixed && self.functions.is_empty() && self.untraced.is_none()
    }

    /// True if it is columns or parts of documents as they are stored, or constants: nothing was computed or put together.
    pub(super) fn is_stored(&self) -> bool {
        let stored = |source: &Source| matches!(source.way, Way::Kept | Way::Part(_) | Way::Counted);
        self.is_clean() || self.plain && !self.mixed && self.sources.iter().all(stored)
    }

    /// The same after something was computed with it.
    pub(super) fn through(&self, function: &str, argument: Option<&str>, kind: Oid) -> Self {
        let step = || Step { function: function.to_owned(), argument: argument.map(str::to_owned) };
        self.by(kind, |way| match way {
            // What was picked among others tells their order, whatever is done to it.
            Way::Picked(by) if self.mixed => Way::Through(Step { function: by.clone(), argument: Some(ANY.to_owned()) }),
            Way::Kept | Way::Picked(_) => Way::Through(step()),
            Way::Part(path) => Way::Within(path.clone()),
            other => other.clone(),
        })
    }

    /// The same where its order among others decides that it is there.
    pub(super) fn picked(&self, function: &str) -> Self {
        let picked = self.by(self.kind, |way| match way {
            Way::Kept => Way::Picked(function.to_owned()),
            Way::Part(path) => Way::Within(path.clone()),
            other => other.clone(),
        });
        Self { plain: self.plain, small: self.small, there: self.there, row: self.row.clone(), ..picked }
    }

    /// The same where only how often it is there shows; of what may be missing by its value, that shows.
    pub(super) fn counted(&self, function: &str, kind: Oid) -> Self {
        if self.there {
            return self.by(kind, |_| Way::Counted);
        }
        match &self.row {
            Some(_) => self.by(kind, |_| Way::Counted),
            None => self.through(function, None, kind),
        }
    }

    /// The same if it is there wherever this is.
    pub(super) fn there_with(self, all: &[Shared]) -> Self {
        Self { there: all.iter().all(|one| one.there || one.is_clean()), ..self }
    }

    /// A part of a document.
    pub(super) fn part(&self, steps: &[JsonStep], kind: Oid, whole: bool) -> Self {
        let mut part = self.by(kind, |way| match way {
            Way::Kept => Way::Part(steps.to_vec()),
            Way::Part(path) if self.plain => Way::Part(path.iter().chain(steps).cloned().collect()),
            Way::Part(path) => Way::Within(path.clone()),
            other => other.clone(),
        });
        part.plain = self.plain && whole;
        part.there = self.plain;
        part
    }

    /// The same in another type, unchanged.
    pub(super) fn kept(&self, kind: Oid) -> Self {
        Self { direct: false, kind, row: None, ..self.clone() }
    }

    fn by(&self, kind: Oid, change: impl Fn(&Way) -> Way) -> Self {
        let changed = |source: &Source| Source { way: change(&source.way), ..*source };
        let mut sources: Vec<Source> = self.sources.iter().map(changed).collect();
        sources.sort_unstable();
        sources.dedup();
        Self {
            sources,
            functions: self.functions.clone(),
            untraced: self.untraced,
            mixed: self.mixed,
            known: self.known,
            many: self.many,
            kind,
            ..Self::default()
        }
    }

    /// What a result, a condition or a store says of it.
    pub(super) fn lineage(&self) -> Lineage {
        Lineage { sources: self.sources.clone(), functions: self.functions.clone(), untraced: self.untraced, direct: self.direct }
    }
}

/// Values put together.
#[derive(Default)]
pub(super) struct Sum {
    value: Value,
    parts: usize,
    sorted: usize,
    plain: bool,
    there: bool,
    void: bool,
    /// The types met; true for one of a value that comes from columns.
    kinds: Vec<(Oid, bool)>,
    any_kind: bool,
}

impl Sum {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { plain: true, there: true, void: true, ..Self::default() }
    }

    /// Takes a value in, as one that may stand in the whole's place; gives what it cost.
    pub(super) fn add(&mut self, value: &Value) -> usize {
        let cost = 1 + value.sources.len() + value.functions.len();
        let same = self.parts > 0 && self.value.sources == value.sources;
        self.value.mixed |= value.mixed || (self.parts > 0 && !same);
        let computed = |source: &Source| !matches!(source.way, Way::Kept | Way::Part(_) | Way::Counted);
        self.value.known |= value.known || value.is_clean() && !value.void || value.sources.iter().any(computed);
        self.void &= value.void;
        self.any_kind |= value.any_kind;
        let kind = (value.kind, !value.is_clean());
        if !self.kinds.contains(&kind) && self.kinds.len() < KINDS_MAX {
            self.kinds.push(kind);
        }
        self.plain &= value.plain || value.is_clean();
        self.there &= value.there || value.is_clean();
        self.value.many = self.value.many.max(value.many);
        if self.parts == 0 {
            self.value.kind = value.kind;
        } else if self.value.kind != value.kind && !value.is_clean() {
            self.value.kind = if self.value.is_clean() { value.kind } else { 0 };
        }
        self.value.small = value.small && (self.parts == 0 || self.value.small);
        self.parts += 1;
        self.value.untraced = self.value.untraced.or(value.untraced);
        if !same {
            self.value.sources.extend_from_slice(&value.sources);
        }
        for function in &value.functions {
            if !self.value.functions.contains(function) {
                self.value.functions.push(function.clone());
            }
        }
        if self.value.sources.len() > (2 * self.sorted).max(GATHERED_MAX) {
            self.tidy();
        }
        cost
    }

    fn tidy(&mut self) {
        self.value.sources.sort_unstable();
        self.value.sources.dedup();
        self.sorted = self.value.sources.len();
    }

    /// One of the values, in the type that the server finds for all: after one of type `name`, texts are cut to 63 bytes. The first
    /// of known type decides.
    pub(super) fn chosen(self, catalog: &Catalog) -> Value {
        let is_name = |kind: Oid| kind != 0 && catalog.base_type(kind) == NAME;
        let first = self.kinds.first().map_or(0, |(kind, _)| *kind);
        let named = self.any_kind || self.kinds.iter().any(|(kind, _)| is_name(*kind));
        let others = self.kinds.iter().any(|(kind, stored)| *stored && !is_name(*kind));
        let open = first == 0 || is_name(first);
        let cut = self.parts > 1 && open && (named && others || self.kinds.len() >= KINDS_MAX);
        let value = self.kept();
        if cut { Value { mixed: value.mixed, known: value.known, ..value.through("::name", None, NAME) } } else { value }
    }

    /// The whole: one of the values, whichever.
    pub(super) fn kept(mut self) -> Value {
        self.tidy();
        self.value.plain = self.plain && self.parts > 0;
        self.value.void = self.void && self.parts > 0;
        self.value.there = self.there && self.parts > 0;
        if self.value.sources.len() > SOURCES_MAX {
            self.value.sources.clear();
            self.value.untraced = Some(Untraced::Bound);
        }
        self.value
    }
}
