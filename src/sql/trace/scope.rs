//! What names stand for: the columns that FROM brings in, level by level.

use std::rc::Rc;

use super::value::{Column, Shared, Sum, Value};
use crate::sql::catalog::{Attribute, Relation, RelationKind};
use crate::sql::lineage::Untraced;

/// Columns that every table has.
const SYSTEM: [&str; 6] = ["ctid", "tableoid", "xmin", "cmin", "xmax", "cmax"];

/// The columns of an item of FROM.
#[derive(Clone)]
pub(super) enum Columns<'a> {
    /// Those of a relation.
    Stored(&'a Relation),
    /// Those of one of several relations.
    Several(Vec<&'a Relation>),
    /// Those a query, a function or a join makes.
    Made(Rc<Vec<Column>>),
    /// Not known.
    Unknown(Untraced),
}

/// An item of FROM.
pub(super) struct Item<'a> {
    /// Its alias, or the relation's name.
    pub(super) name: Option<Rc<str>>,
    /// True if it has an alias: then its schema does not name it.
    pub(super) aliased: bool,
    /// Its columns.
    pub(super) columns: Columns<'a>,
    /// True if its columns can be named without it.
    pub(super) open: bool,
    /// True if a list of names renames the columns of a relation: the fields of its rows keep theirs.
    pub(super) renamed: bool,
}

/// The items of one query.
#[derive(Default)]
pub(super) struct Level<'a> {
    /// The items from left to right.
    pub(super) items: Vec<Item<'a>>,
}

/// What a search for a name came to.
pub(super) enum Found {
    /// It stands for nothing here.
    Nothing,
    /// It stands for this.
    Value(Shared),
}

/// The value of a column of a relation.
pub(super) fn stored(relation: &Relation, column: &Attribute) -> Value {
    Value::column(relation.oid, column.number, column.type_oid)
}

impl<'a> Columns<'a> {
    /// The column of a name.
    pub(super) fn find(&self, name: &str) -> Found {
        match self {
            Self::Stored(relation) => {
                let known = relation.columns.iter().find(|column| column.name == name);
                known.map_or(Found::Nothing, |column| Found::Value(Rc::new(stored(relation, column))))
            }
            Self::Several(relations) => several(relations, name),
            Self::Made(columns) => {
                let mut known = columns.iter().filter(|column| *column.name == *name);
                match (known.next(), known.next()) {
                    (None, _) => Found::Nothing,
                    (Some(column), None) => Found::Value(column.value.clone()),
                    (Some(_), Some(_)) => Found::Value(Rc::new(Value::untraced(Untraced::Name))),
                }
            }
            Self::Unknown(why) => Found::Value(Rc::new(Value::untraced(*why))),
        }
    }

    /// True if what it has is not known.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// True for rows of a stored relation, which have system columns.
    pub(super) fn is_stored(&self) -> bool {
        !matches!(self, Self::Made(_))
    }

    /// All columns in order.
    pub(super) fn all(&self) -> Result<Rc<Vec<Column>>, Untraced> {
        match self {
            Self::Stored(relation) => Ok(Rc::new(relation.columns.iter().map(|known| listed(relation, known)).collect())),
            Self::Several(_) => Err(Untraced::Ambiguous),
            Self::Made(columns) => Ok(columns.clone()),
            Self::Unknown(why) => Err(*why),
        }
    }

    /// All columns in order but those that a table computes by itself.
    pub(super) fn all_but_generated(&self) -> Result<Rc<Vec<Column>>, Untraced> {
        let Self::Stored(relation) = self else { return self.all() };
        let computes = matches!(relation.kind, RelationKind::Table | RelationKind::Partitioned | RelationKind::Foreign);
        let given = relation.columns.iter().filter(|column| !computes || column.lineage.is_none());
        Ok(Rc::new(given.map(|known| listed(relation, known)).collect()))
    }

    /// How many columns are looked at to find one.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(relation) => relation.columns.len(),
            Self::Several(relations) => relations.iter().map(|relation| relation.columns.len()).sum(),
            Self::Made(columns) => columns.len(),
            Self::Unknown(_) => 1,
        }
    }

    /// True if one of the relations it may be is in this schema.
    fn is_in(&self, schema: &str) -> bool {
        match self {
            Self::Stored(relation) => relation.schema == schema,
            Self::Several(relations) => relations.iter().any(|relation| relation.schema == schema),
            Self::Made(_) => false,
            Self::Unknown(_) => true,
        }
    }
}

fn listed(relation: &Relation, known: &Attribute) -> Column {
    Column { name: known.name.as_str().into(), value: Rc::new(stored(relation, known)) }
}

fn several(relations: &[&Relation], name: &str) -> Found {
    let mut sum = Sum::new();
    let mut found = 0;
    for relation in relations {
        if let Some(column) = relation.columns.iter().find(|column| column.name == name) {
            sum.add(&stored(relation, column));
            found += 1;
        }
    }
    if found == 0 {
        Found::Nothing
    } else if found == relations.len() {
        Found::Value(Rc::new(sum.kept()))
    } else {
        Found::Value(Rc::new(Value::untraced(Untraced::Ambiguous)))
    }
}

impl<'a> Item<'a> {
    /// An item with an alias.
    pub(super) fn named(name: Option<&str>, columns: Columns<'a>) -> Self {
        Self { name: name.map(Rc::from), aliased: true, columns, open: true, renamed: false }
    }
}

impl<'a> Level<'a> {
    /// The item that these parts of a name stand for.
    pub(super) fn item(&self, qualifier: &[String]) -> Option<&Item<'a>> {
        let (name, schema) = match qualifier {
            [.., schema, name] => (name, Some(schema)),
            [name] => (name, None),
            [] => return None,
        };
        self.items.iter().find(|item| {
            item.name.as_deref() == Some(name.as_str()) && schema.is_none_or(|schema| !item.aliased && item.columns.is_in(schema))
        })
    }

    /// The column of a name without qualifier.
    pub(super) fn column(&self, name: &str) -> Found {
        let mut found = None;
        let mut doubt = None;
        for item in self.items.iter().filter(|item| item.open) {
            if item.columns.is_unknown() {
                doubt = Some(&item.columns);
            } else if let Found::Value(value) = item.columns.find(name) {
                if found.is_some() {
                    return Found::Value(Rc::new(Value::untraced(Untraced::Name)));
                }
                found = Some(value);
            }
        }
        if let Some(value) = found {
            return Found::Value(value);
        }
        if let Some(unknown) = doubt {
            return unknown.find(name);
        }
        if SYSTEM.contains(&name) && self.items.iter().any(|item| item.columns.is_stored()) {
            return Found::Value(Rc::new(Value::clean(0)));
        }
        Found::Nothing
    }
}

/// True for a column that every table has.
pub(super) fn is_system(name: &str) -> bool {
    SYSTEM.contains(&name)
}

/// A row of columns as one value.
pub(super) fn row(columns: Result<Rc<Vec<Column>>, Untraced>) -> Value {
    match columns {
        Err(why) => Value::untraced(why),
        Ok(columns) => {
            let mut sum = Sum::new();
            for column in columns.iter() {
                sum.add(&column.value);
            }
            let mut row = sum.kept().through("row", None, 0);
            row.mixed = true;
            row.row = Some(columns);
            row
        }
    }
}
