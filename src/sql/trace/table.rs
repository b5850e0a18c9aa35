//! Functions in FROM: the columns of their rows.

use std::rc::Rc;

use super::value::{Column, Shared, Value};
use super::{Tracer, cast};
use crate::sql::facts::FunctionName;
use crate::sql::lineage::{JsonStep, Untraced};
use crate::sql::names;
use crate::sql::tree::{Call, Expr};

/// Columns of rows that functions of `pg_catalog` give, where the catalog does not say.
const ROWS: [(&str, &[&str]); 10] = [
    ("json_each", &["key", "value"]),
    ("jsonb_each", &["key", "value"]),
    ("json_each_text", &["key", "value"]),
    ("jsonb_each_text", &["key", "value"]),
    ("json_array_elements", &["value"]),
    ("jsonb_array_elements", &["value"]),
    ("json_array_elements_text", &["value"]),
    ("jsonb_array_elements_text", &["value"]),
    ("ts_parse", &["tokid", "token"]),
    ("aclexplode", &["grantor", "grantee", "privilege_type", "is_grantable"]),
];

/// Functions whose rows are told only by a list of column definitions, or by the type of an argument.
const BY_TYPE: [&str; 6] = [
    "json_populate_record",
    "jsonb_populate_record",
    "json_populate_recordset",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "json_to_record",
];

impl<'a> Tracer<'a> {
    /// The columns of a function in FROM.
    pub(super) fn table(&mut self, call: &'a Expr, definition: &[String], alias: Option<&str>) -> Result<Vec<Column>, Untraced> {
        let value = self.expr(call);
        let Expr::Call(function) = call else {
            let name = alias.map_or_else(|| self.name(call), str::to_owned);
            return Ok(vec![Column { name: name.into(), value }]);
        };
        if !function.columns.is_empty() {
            return Ok(each(&function.columns, &value));
        }
        if !definition.is_empty() {
            return Ok(each(definition, &Rc::new(value.through(function.name.last().map_or("", String::as_str), Some("*"), 0))));
        }
        let name = function.name.last().map_or("", String::as_str);
        if name == "unnest" && function.proper > 1 {
            return self.unnested(function);
        }
        let named = names::function(self.catalog, &function.name);
        if !(function.syntax || named.builtin) {
            return self.rows_of_others(&named, value, alias.unwrap_or(name));
        }
        match self.row_names(name) {
            Some(columns) if columns.is_empty() => Err(Untraced::Columns),
            Some(columns) => Ok(self.row_columns(name, function, &columns, &value, alias)),
            None if BY_TYPE.contains(&name) || value.row.is_some() => Err(Untraced::Columns),
            None if name == "unnest" && !self.is_scalar_array(function) => Err(Untraced::Columns),
            None => Ok(vec![Column { name: alias.unwrap_or(&self.name(call)).into(), value }]),
        }
    }

    /// A function of somebody else's: which columns its rows have the catalog says.
    fn rows_of_others(&mut self, function: &FunctionName, value: Shared, alias: &str) -> Result<Vec<Column>, Untraced> {
        let (names, scalar) = self.results(function).ok_or(Untraced::Columns)?;
        match (names, &value.row) {
            ([], None) if scalar => Ok(vec![Column { name: alias.into(), value }]),
            ([only], None) => Ok(vec![Column { name: only.as_str().into(), value }]),
            ([_, _, ..], Some(row)) if row.len() == names.len() => Ok(row.as_ref().clone()),
            ([_, _, ..], None) if !value.functions.is_empty() => Ok(each(names, &value)),
            _ => Err(value.untraced.unwrap_or(Untraced::Columns)),
        }
    }

    /// `unnest(a, b)`: a column for each.
    fn unnested(&mut self, function: &'a Call) -> Result<Vec<Column>, Untraced> {
        let args = function.args.get(..function.proper).unwrap_or_default();
        let mut columns = Vec::new();
        for arg in args {
            let array = self.expr(arg);
            let kind = cast::element(self.catalog, array.kind).unwrap_or(0);
            columns.push(Column { name: "unnest".into(), value: Rc::new(Value { plain: false, ..array.kept(kind) }) });
        }
        Ok(columns)
    }

    /// False if the elements of what is unnested may be rows.
    fn is_scalar_array(&mut self, function: &'a Call) -> bool {
        let Some(arg) = function.args.first() else { return false };
        let array = self.expr(arg);
        match cast::element(self.catalog, array.kind) {
            Some(element) => !matches!(
                self.catalog.types.get(&element).map(|info| &info.kind),
                Some(crate::sql::catalog::TypeKind::Composite(_))
            ),
            None => array.is_clean() || array.kind == 0,
        }
    }

    fn row_names(&self, name: &str) -> Option<Vec<String>> {
        if let Some(known) = self.catalog.rows.get(name) {
            // Overloads whose rows differ: no names that could be relied on.
            let alike = known.iter().all(|columns| Some(columns) == known.first());
            return if alike { known.first().cloned() } else { Some(Vec::new()) };
        }
        let known = ROWS.iter().find(|(known, _)| *known == name)?;
        Some(known.1.iter().map(|column| (*column).to_owned()).collect())
    }

    fn row_columns(
        &mut self,
        name: &str,
        function: &'a Call,
        columns: &[String],
        value: &Shared,
        alias: Option<&str>,
    ) -> Vec<Column> {
        let _ = alias;
        if !(name.ends_with("each") || name.ends_with("each_text")) {
            return each(columns, &Rc::new(Value { row: None, ..value.as_ref().clone() }));
        }
        let document = function.args.first().map(|document| self.expr(document));
        let all = document.map(|document| Rc::new(document.part(&[JsonStep::Any], value.kind, true)));
        each(columns, all.as_ref().unwrap_or(value))
    }
}

fn each(names: &[String], value: &Shared) -> Vec<Column> {
    names.iter().map(|name| Column { name: name.as_str().into(), value: value.clone() }).collect()
}
