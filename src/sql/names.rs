//! What the names of a statement may stand for.

use super::catalog::Catalog;
use super::facts::{FunctionName, RelationName, Setting, Temporaries};

/// The schema of PostgreSQL's own objects.
pub(super) const PG_CATALOG: &str = "pg_catalog";
/// The alias of the session's own temporary schema.
const PG_TEMP: &str = "pg_temp";

/// Signs of the operators of `pg_catalog`.
const SIGNS: [&str; 93] = [
    "+", "-", "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "|/", "||/", "!", "!!", "@", "&", "|", "#", "~", "<<",
    ">>", "||", "@@", "@@@", "&&", "@>", "<@", "^@", "~~", "~~*", "!~~", "!~~*", "~*", "!~", "!~*", "~<~", "~>~", "~<=~", "~>=~",
    "&<", "&>", "&<|", "|&>", "<<|", "|>>", ">^", "<^", "?#", "?-", "?|", "?-|", "?||", "##", "<->", "~=", "-|-", "->", "->>",
    "#>", "#>>", "?", "?&", "#-", "@?", "*=", "*<>", "*<", "*>", "*<=", "*>=", "<<=", ">>=", "@-@", "~*~", "<#>", "<?>", "&<>",
    "@&", "==", "|||", "@=", "=@", "@<", ">@", "*-", "-*", "like", "ilike", "similar", "~~~",
];

/// Functions of `pg_catalog` that an extension has as well, doing the same.
const DOUBLES: [(&str, &str); 1] = [("gen_random_uuid", "pgcrypto")];

/// A relation by its name's parts.
pub(super) fn relation(setting: &Setting<'_>, made: &Temporaries, name: &[String]) -> RelationName {
    relation_in(setting.catalog, made, name)
}

/// A relation by its name's parts; `made` are temporary relations that come first.
pub(super) fn relation_in(catalog: &Catalog, made: &Temporaries, name: &[String]) -> RelationName {
    let (schema, name) = match name {
        [] => (None, String::new()),
        [name] => (None, name.clone()),
        [.., schema, name] => (Some(schema.clone()), name.clone()),
    };
    let temporary = match schema.as_deref() {
        None => made.contains_key(&name),
        Some(schema) => schema == PG_TEMP,
    };
    let oids = match schema.as_deref() {
        None => catalog.named(&name).map(|relation| relation.oid).collect(),
        Some(PG_TEMP) => catalog.named(&name).filter(|relation| relation.temporary).map(|relation| relation.oid).collect(),
        Some(schema) => catalog.qualified(schema, &name).map(|relation| relation.oid).into_iter().collect(),
    };
    RelationName { schema, name, oids, temporary }
}

/// A function by its name's parts.
pub(super) fn function(catalog: &Catalog, name: &[String]) -> FunctionName {
    let (schema, name) = match name {
        [] => (None, String::new()),
        [name] => (None, name.clone()),
        [.., schema, name] => (Some(schema.clone()), name.clone()),
    };
    let known = catalog.functions.get(&name).map(Vec::as_slice).unwrap_or_default();
    let internal = catalog.builtin.contains(&name);
    if let Some(schema) = schema {
        let builtin = schema == PG_CATALOG && internal;
        return FunctionName { schema: Some(schema), name, builtin, readable: false };
    }
    let mut schemas: Vec<&str> = known.iter().map(|function| function.schema.as_str()).collect();
    if internal
        && known.iter().all(|function| DOUBLES.iter().any(|(own, of)| *own == name && function.extension.as_deref() == Some(*of)))
    {
        schemas.clear();
    }
    if internal {
        schemas.push(PG_CATALOG);
    }
    schemas.sort_unstable();
    schemas.dedup();
    match schemas.as_slice() {
        [only] => {
            FunctionName { schema: Some((*only).to_owned()), builtin: *only == PG_CATALOG && internal, readable: false, name }
        }
        _ => FunctionName { schema: None, name, builtin: false, readable: false },
    }
}

/// A function that the grammar itself names.
pub(super) fn own(name: &str) -> FunctionName {
    FunctionName { schema: Some(PG_CATALOG.to_owned()), name: name.to_owned(), builtin: true, readable: false }
}

/// The functions outside `pg_catalog` that an operator may stand for.
pub(super) fn operator(catalog: &Catalog, schema: Option<&str>, sign: &str) -> Vec<FunctionName> {
    if schema == Some(PG_CATALOG) {
        return Vec::new();
    }
    let sign = match sign {
        "like" => "~~",
        "ilike" => "~~*",
        "!=" => "<>",
        other => other,
    };
    let known = catalog.operators.get(sign).map(Vec::as_slice).unwrap_or_default();
    let shadowed = schema.is_none() && SIGNS.contains(&sign);
    let mut found: Vec<FunctionName> = known
        .iter()
        .filter(|(schema, name)| !(shadowed && of_extension(catalog, schema, name)))
        .map(|(schema, name)| FunctionName { schema: Some(schema.clone()), name: name.clone(), builtin: false, readable: false })
        .collect();
    if found.is_empty() && (schema.is_some() || !SIGNS.contains(&sign)) {
        found.push(FunctionName { schema: schema.map(str::to_owned), name: sign.to_owned(), builtin: false, readable: false });
    }
    found
}

fn of_extension(catalog: &Catalog, schema: &str, name: &str) -> bool {
    let known = catalog.functions.get(name).map(Vec::as_slice).unwrap_or_default();
    known.iter().any(|function| function.schema == schema)
        && known.iter().filter(|function| function.schema == schema).all(|function| function.extension.is_some())
}

/// The functions outside `pg_catalog` that a conversion to a type may run.
pub(super) fn conversions(catalog: &Catalog, name: &[String]) -> Vec<FunctionName> {
    let Some(last) = name.last() else { return Vec::new() };
    let known = catalog.conversions.get(last).map(Vec::as_slice).unwrap_or_default();
    known
        .iter()
        .map(|(schema, name)| FunctionName { schema: Some(schema.clone()), name: name.clone(), builtin: false, readable: false })
        .collect()
}
