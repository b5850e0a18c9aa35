//! Names of columns as the server figures them (`FigureColname` of `parse_target.c`).

use super::Tracer;
use crate::sql::tree::{Call, Expr, TypeName};

/// The name of a column that has none.
const NONE: &str = "?column?";

impl<'a> Tracer<'a> {
    /// The name of an expression that has no alias.
    pub(super) fn name(&self, expr: &'a Expr) -> String {
        self.figure(expr, 0).map_or_else(|| NONE.to_owned(), |(name, _)| name)
    }

    /// A name, and true if it is a strong one: a cast or a CASE does not replace it.
    fn figure(&self, expr: &'a Expr, depth: usize) -> Option<(String, bool)> {
        if depth > super::DEPTH_MAX {
            return None;
        }
        let strong = |name: &str| Some((name.to_owned(), true));
        match expr {
            Expr::Column(name) => name.last().map(|last| (last.clone(), true)),
            Expr::Star(_) => None,
            Expr::Call(call) => Some((of_call(call), true)),
            Expr::Part(inner, _, fields) => fields
                .iter()
                .rfind(|field| *field != "*")
                .map(|last| (last.clone(), true))
                .or_else(|| self.figure(inner, depth + 1)),
            Expr::Cast(inner, types) => self.cast_name(inner, types, depth),
            Expr::Case(_, _, otherwise) => {
                let named = otherwise.as_deref().and_then(|otherwise| self.figure(otherwise, depth + 1));
                named.filter(|(_, strong)| *strong).or_else(|| Some(("case".to_owned(), false)))
            }
            Expr::Collate(inner) => self.figure(inner, depth + 1),
            Expr::Query(query) => {
                let known = self.scalars.get(&std::ptr::from_ref(query.as_ref()));
                known.map(|name| (name.to_string(), true))
            }
            Expr::Exists(_) => strong("exists"),
            Expr::Array(_) | Expr::ArrayQuery(_) => strong("array"),
            Expr::Row(_) => strong("row"),
            Expr::Overlaps(_) => strong("overlaps"),
            _ => None,
        }
    }

    fn cast_name(&self, inner: &'a Expr, types: &[TypeName], depth: usize) -> Option<(String, bool)> {
        let named = self.figure(inner, depth + 1);
        if named.as_ref().is_some_and(|(_, strong)| *strong) {
            return named;
        }
        types.last().and_then(|last| last.name.last()).map(|name| (own_name(name).to_owned(), false)).or(named)
    }
}

/// What the server calls a type of the grammar.
pub(super) fn own_name(name: &str) -> &str {
    match name {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "real" => "float4",
        "float" => "float8",
        "boolean" => "bool",
        "dec" | "decimal" => "numeric",
        other => other,
    }
}

fn of_call(call: &Call) -> String {
    let name = call.name.last().map_or("", String::as_str);
    match name {
        "trim" if call.syntax => match call.keyword.as_deref() {
            Some("leading") => "ltrim",
            Some("trailing") => "rtrim",
            _ => "btrim",
        },
        "collation" if call.syntax => "pg_collation_for",
        other => other,
    }
    .to_owned()
}
