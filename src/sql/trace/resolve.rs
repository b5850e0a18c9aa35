//! Names in expressions.

use std::rc::Rc;

use super::Tracer;
use super::body::Given;
use super::scope::{self, Found};
use super::value::{Shared, Value};
use crate::sql::facts::FunctionName;
use crate::sql::lineage::Untraced;
use crate::sql::tree::Expr;

impl<'a> Tracer<'a> {
    /// What a name in an expression stands for: a column, a whole row, or a function on a row.
    pub(super) fn named(&mut self, name: &'a [String]) -> Shared {
        let value = self.meant(name);
        self.meet(&value);
        value
    }

    fn meant(&mut self, name: &'a [String]) -> Shared {
        match name {
            [] => Rc::new(Value::untraced(Untraced::Name)),
            [only] => self.unqualified(only),
            [qualifier @ .., last] => match self.qualified(qualifier, last) {
                Some(Found::Value(value)) => value,
                Some(Found::Nothing) if scope::is_system(last) => self.clean.clone(),
                Some(Found::Nothing) => self.on_row(qualifier, last),
                None => Rc::new(Value::untraced(Untraced::Name)),
            },
        }
    }

    fn unqualified(&mut self, name: &str) -> Shared {
        for level in self.levels.iter().rev() {
            self.work += level.items.iter().map(|item| item.columns.len() / 8 + 1).sum::<usize>();
            if let Found::Value(value) = level.column(name) {
                return value;
            }
        }
        let whole = self.row_of(&[name.to_owned()]);
        whole.unwrap_or_else(|| self.absent())
    }

    /// A name that stands for nothing, where every column is known that it could stand for: those of stored relations, by name. The
    /// names in a function's body can be its arguments.
    fn absent(&self) -> Shared {
        let mut items = self.levels.iter().flat_map(|level| &level.items);
        let stored = items.all(|item| matches!(item.columns, scope::Columns::Stored(_)));
        let own = stored && self.inside.is_empty() && self.arguments.is_none() && !self.levels.is_empty();
        Rc::new(Value::untraced(if own { Untraced::Absent } else { Untraced::Name }))
    }

    /// The column of this name among those of the innermost query.
    pub(super) fn level_column(&mut self, name: &str) -> Option<Shared> {
        match self.levels.last()?.column(name) {
            Found::Value(value) => Some(value),
            Found::Nothing => None,
        }
    }

    /// A whole row by its item's name.
    pub(super) fn row_of(&mut self, name: &[String]) -> Option<Shared> {
        let item = self.levels.iter().rev().find_map(|level| level.item(name))?;
        let (columns, renamed) = (item.columns.all(), item.renamed);
        if let Ok(columns) = &columns {
            self.work += columns.len();
        }
        let mut row = scope::row(columns);
        if renamed {
            row.row = None;
        }
        Some(Rc::new(row))
    }

    /// `p.func` is `func(p)` where it is no column.
    fn on_row(&mut self, qualifier: &[String], name: &str) -> Shared {
        let Some(row) = self.row_of(qualifier) else { return Rc::new(Value::untraced(Untraced::Name)) };
        let value = self.column_call(name, &row);
        if value.untraced == Some(Untraced::Name) { self.absent() } else { value }
    }

    /// A function called in the notation of a column.
    pub(super) fn column_call(&mut self, name: &str, row: &Shared) -> Shared {
        let function = crate::sql::names::function(self.catalog, &[name.to_owned()]);
        if function.builtin {
            self.notation(&function);
            return self.own(name, std::slice::from_ref(row), &[]);
        }
        if !self.catalog.functions.contains_key(name) {
            return Rc::new(Value::untraced(Untraced::Name));
        }
        self.notation(&function);
        self.others(function, Given { args: std::slice::from_ref(row), written: &[], named: &[] }, false)
    }

    fn notation(&mut self, function: &FunctionName) {
        if !self.called.contains(function) {
            self.called.push(function.clone());
        }
    }

    /// A field of a row, a composite value or a column given by a chain of fields.
    pub(super) fn fields(&mut self, inner: &'a Expr, fields: &[String]) -> Shared {
        let mut value = match inner {
            Expr::Column(name) if name.len() == 1 && !fields.is_empty() => self.named(name),
            inner => self.expr(inner),
        };
        for field in fields {
            value = self.field(&value, field);
        }
        value
    }

    fn field(&mut self, value: &Shared, field: &str) -> Shared {
        if let Some(row) = &value.row {
            let known = row.iter().find(|column| *column.name == *field).map(|column| column.value.clone());
            if let Some(value) = known {
                return value;
            }
            if field == "*" {
                return value.clone();
            }
            return self.column_call(field, value);
        }
        let function = crate::sql::names::function(self.catalog, &[field.to_owned()]);
        if !function.builtin && self.catalog.functions.contains_key(field) {
            // The composite type's own field comes first, but which fields it has is not known.
            return self.column_call(field, value);
        }
        Rc::new(value.through("field", None, 0))
    }
}
