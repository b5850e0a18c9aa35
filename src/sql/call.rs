//! What begins with a word in an expression: columns, constants of a type, calls, and the keywords of the grammar.

use super::expr::{OTHER, Paren, above, expr, paren, parts, text};
use super::facts::UnknownReason;
use super::lex::{Kind, Token};
use super::query;
use super::reader::{Read, Reader};
use super::tree::{Call, Expr, Name, Role, TypeName, Value};

/// What begins with a word.
pub(super) fn named(reader: &mut Reader<'_>) -> Read<Expr> {
    if let Some(known) = keyword(reader)? {
        return Ok(known);
    }
    if let Some(literal) = typed_literal(reader)? {
        return Ok(literal);
    }
    if !reader.is_function_at(0) {
        return Err(UnknownReason::Syntax);
    }
    let column = reader.is_name_at(0);
    let mut name = vec![reader.label()?];
    while reader.sign(".") {
        reader.at += 1;
        if reader.eat_sign("*") {
            return Ok(Expr::Star(name));
        }
        name.push(reader.label()?);
    }
    if name == ["collation"] {
        reader.eat("for");
    }
    if reader.sign("(") {
        return call(reader, name);
    }
    if reader.peek(0).is_some_and(Token::is_text) {
        let value = text(reader)?;
        let cast = TypeName { name, array: false, sized: false };
        return Ok(Expr::Cast(Box::new(Expr::Value(value)), vec![cast]));
    }
    if !column {
        return if name == ["current_schema"] { Ok(syntax(name, Vec::new())) } else { Err(UnknownReason::Syntax) };
    }
    parts(reader, Expr::Column(name))
}

fn syntax(name: Name, args: Vec<Expr>) -> Expr {
    Expr::Call(Box::new(Call::plain(name, true, args)))
}

/// Expressions that a keyword begins.
fn keyword(reader: &mut Reader<'_>) -> Read<Option<Expr>> {
    let Some(token) = reader.peek(0).filter(|token| token.kind == Kind::Word) else { return Ok(None) };
    let word = token.raw(reader.text).to_ascii_lowercase();
    let value = |reader: &mut Reader<'_>, value| {
        reader.at += 1;
        Ok(Some(Expr::Value(value)))
    };
    match word.as_str() {
        "null" => value(reader, Value::Null),
        "true" => value(reader, Value::Bool(true)),
        "false" => value(reader, Value::Bool(false)),
        "default" => {
            reader.at += 1;
            Ok(Some(Expr::Parameter(0)))
        }
        "case" => case(reader).map(Some),
        "cast" | "treat" if reader.sign_at(1, "(") => cast(reader).map(Some),
        "exists" if reader.sign_at(1, "(") => {
            reader.at += 1;
            let Paren::Query(query) = paren(reader)? else { return Err(UnknownReason::Syntax) };
            Ok(Some(Expr::Exists(query)))
        }
        "array" if reader.sign_at(1, "[") => {
            reader.at += 1;
            let array = array(reader)?;
            parts(reader, array).map(Some)
        }
        "array" if reader.sign_at(1, "(") => {
            reader.at += 1;
            let Paren::Query(query) = paren(reader)? else { return Err(UnknownReason::Syntax) };
            parts(reader, Expr::ArrayQuery(query)).map(Some)
        }
        "row" if reader.sign_at(1, "(") => {
            reader.at += 1;
            let Paren::List(list) = paren(reader)? else { return Err(UnknownReason::Syntax) };
            Ok(Some(Expr::Row(list)))
        }
        "current" if reader.is_at(1, "of") => {
            reader.at += 2;
            Ok(Some(if reader.peek(0).is_some_and(|token| token.kind == Kind::Parameter) {
                reader.at += 1;
                Expr::CurrentOf(String::new())
            } else {
                Expr::CurrentOf(reader.name()?)
            }))
        }
        "current_date" | "current_time" | "current_timestamp" | "localtime" | "localtimestamp" | "current_user"
        | "current_role" | "session_user" | "system_user" | "user" | "current_catalog" => {
            reader.at += 1;
            if reader.sign("(") {
                reader.skip_parens()?;
            }
            Ok(Some(syntax(vec![word], Vec::new())))
        }
        _ => Ok(None),
    }
}

fn array(reader: &mut Reader<'_>) -> Read<Expr> {
    reader.deeper(|reader| {
        reader.need_sign("[")?;
        if reader.eat_sign("]") {
            return Ok(Expr::Array(Vec::new()));
        }
        let items = reader.list(|reader| if reader.sign("[") { array(reader) } else { expr(reader) })?;
        reader.need_sign("]")?;
        Ok(Expr::Array(items))
    })
}

fn case(reader: &mut Reader<'_>) -> Read<Expr> {
    reader.at += 1;
    let subject = if reader.is("when") { None } else { Some(Box::new(expr(reader)?)) };
    let mut branches = Vec::new();
    while reader.eat("when") {
        let condition = expr(reader)?;
        reader.need("then")?;
        branches.push((condition, expr(reader)?));
    }
    let otherwise = if reader.eat("else") { Some(Box::new(expr(reader)?)) } else { None };
    reader.need("end")?;
    Ok(Expr::Case(subject, branches, otherwise))
}

fn cast(reader: &mut Reader<'_>) -> Read<Expr> {
    reader.at += 2;
    let value = expr(reader)?;
    reader.need("as")?;
    let kind = reader.type_name()?;
    reader.need_sign(")")?;
    Ok(Expr::Cast(Box::new(value), vec![kind]))
}

/// `timestamp with time zone '..'`, `interval(3) '..' day` and the like; plain `type '..'` is read with the names.
fn typed_literal(reader: &mut Reader<'_>) -> Read<Option<Expr>> {
    const TYPES: [&str; 17] = [
        "double",
        "character",
        "char",
        "nchar",
        "national",
        "bit",
        "time",
        "timestamp",
        "interval",
        "dec",
        "decimal",
        "numeric",
        "float",
        "varchar",
        "int",
        "integer",
        "bpchar",
    ];
    if !reader.is_any(&TYPES)
        || !(reader.sign_at(1, "(") || reader.peek(1).is_some_and(|token| token.kind == Kind::Word || token.is_text()))
    {
        return Ok(None);
    }
    let start = reader.at;
    let interval = reader.is("interval");
    match reader.type_name() {
        Ok(kind) if reader.peek(0).is_some_and(Token::is_text) => {
            let value = text(reader)?;
            if interval {
                reader.interval_fields();
            }
            Ok(Some(Expr::Cast(Box::new(Expr::Value(value)), vec![kind])))
        }
        _ => {
            reader.at = start;
            Ok(None)
        }
    }
}

/// Functions that the grammar itself resolves to `pg_catalog`.
const SYNTAX: [&str; 29] = [
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "extract",
    "position",
    "trim",
    "normalize",
    "collation",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
    "grouping",
    "merge_action",
    "current_schema",
    "json_object",
    "json_array",
    "json_objectagg",
    "json_arrayagg",
    "json_value",
    "json_query",
    "json_exists",
    "json_table",
];

/// Words between the arguments of the functions of text and time: all but the last are reserved.
const BETWEEN: [&str; 9] = ["from", "for", "in", "both", "leading", "trailing", "placing", "similar", "escape"];

/// Words between the arguments of the functions of XML and JSON.
const BETWEEN_DOCUMENTS: [&str; 32] = [
    "version",
    "standalone",
    "passing",
    "by",
    "ref",
    "document",
    "content",
    "preserve",
    "strip",
    "whitespace",
    "value",
    "with",
    "without",
    "unique",
    "keys",
    "on",
    "absent",
    "format",
    "json",
    "error",
    "empty",
    "wrapper",
    "conditional",
    "unconditional",
    "quotes",
    "omit",
    "keep",
    "columns",
    "yes",
    "no",
    "array",
    "default",
];

fn call(reader: &mut Reader<'_>, name: Name) -> Read<Expr> {
    let special = match name.as_slice() {
        [word] => {
            SYNTAX.contains(&word.as_str())
                || matches!(word.as_str(), "xmlattributes" | "xmlnamespaces" | "substring" | "overlay")
        }
        _ => false,
    };
    let mut call = if special { special_call(reader, name)? } else { plain_call(reader, name)? };
    if reader.is("within") && reader.is_at(1, "group") {
        reader.at += 2;
        reader.need_sign("(")?;
        reader.need("order")?;
        reader.need("by")?;
        add(&mut call, Role::Within, query::order(reader)?);
        reader.need_sign(")")?;
    }
    if reader.is("filter") && reader.sign_at(1, "(") {
        reader.at += 2;
        reader.need("where")?;
        let condition = expr(reader)?;
        add(&mut call, Role::Filter, vec![condition]);
        reader.need_sign(")")?;
    }
    let _ = reader.eat_all(&["respect", "nulls"]) || reader.eat_all(&["ignore", "nulls"]);
    if reader.eat("over") {
        call.window = true;
        if reader.sign("(") {
            query::window(reader)?.into_iter().for_each(|(role, key)| add(&mut call, role, vec![key]));
        } else {
            reader.name()?;
        }
    }
    parts(reader, Expr::Call(Box::new(call)))
}

/// Puts in what stands behind the arguments proper.
fn add(call: &mut Call, role: Role, list: Vec<Expr>) {
    call.roles.extend(list.iter().map(|_| role));
    call.args.extend(list);
}

fn plain_call(reader: &mut Reader<'_>, name: Name) -> Read<Call> {
    reader.need_sign("(")?;
    let (mut args, mut named, mut variadic) = (Vec::new(), Vec::new(), false);
    let distinct = !reader.eat("all") && reader.eat("distinct");
    if !reader.sign(")") {
        args = reader.list(|reader| argument(reader, &mut named, &mut variadic))?;
    }
    let mut call = Call { distinct, named, variadic, ..Call::plain(name, false, args) };
    if reader.eat_all(&["order", "by"]) {
        add(&mut call, Role::Order, query::order(reader)?);
    }
    reader.need_sign(")")?;
    Ok(call)
}

fn argument(reader: &mut Reader<'_>, named: &mut Vec<String>, variadic: &mut bool) -> Read<Expr> {
    *variadic |= reader.eat("variadic");
    if reader.sign_at(1, ":=") || reader.sign_at(1, "=>") {
        named.push(reader.label()?);
        reader.at += 1;
    }
    expr(reader)
}

/// `extract(year from d)`, `xmlelement(name x, ..)`: words between the arguments are passed over.
fn special_call(reader: &mut Reader<'_>, name: Name) -> Read<Call> {
    let function = name.first().cloned().unwrap_or_default();
    reader.need_sign("(")?;
    let (mut args, mut keywords, mut operand) = (Vec::new(), false, true);
    let (mut keyword, mut columns, mut orders) = (None, Vec::new(), Vec::new());
    let documents = function.starts_with("json") || function.starts_with("xml");
    if function == "extract" {
        let field = reader.any()?;
        keyword = field.name(reader.text).or_else(|| field.value(reader.text).map(|value| value.to_ascii_lowercase()));
        operand = false;
    } else if matches!(function.as_str(), "xmlelement" | "xmlpi") && reader.is("name") {
        reader.at += 2;
        operand = false;
    }
    while !reader.sign(")") {
        if reader.eat_sign(",") || reader.eat_sign(":") {
            operand = true;
        } else if documents && !operand && (reader.eat("as") || reader.eat("returning")) {
            if matches!(function.as_str(), "xmlforest" | "xmlattributes" | "xmlnamespaces") {
                reader.label().map(|_| ())?
            } else {
                reader.type_name().map(|_| ())?
            }
        } else if documents && reader.is("null") && reader.is_at(1, "on") {
            reader.at += 2;
        } else if documents && reader.eat("columns") {
            column_definitions(reader, &mut args, &mut columns)?;
        } else if word_between(reader, documents, operand) {
            (keywords, operand) = (true, true);
            if reader.is_any(&["both", "leading", "trailing"]) {
                keyword = reader.peek(0).and_then(|token| token.name(reader.text));
            }
            reader.at += 1;
        } else if reader.eat_all(&["order", "by"]) {
            orders.append(&mut query::order(reader)?);
        } else {
            args.push(if documents || !matches!(function.as_str(), "substring" | "position") {
                expr(reader)?
            } else {
                above(reader, OTHER)?
            });
            operand = false;
        }
    }
    reader.need_sign(")")?;
    let syntax = keywords || !matches!(function.as_str(), "substring" | "overlay");
    let mut call = Call { keyword, columns, ..Call::plain(name, syntax, args) };
    add(&mut call, Role::Order, orders);
    Ok(call)
}

/// COLUMNS of XMLTABLE and JSON_TABLE, up to the parenthesis that ends the call: only their expressions matter.
fn column_definitions(reader: &mut Reader<'_>, args: &mut Vec<Expr>, columns: &mut Vec<String>) -> Read<()> {
    let (mut open, mut first) = (0_usize, true);
    // JSON_TABLE puts them in parentheses, XMLTABLE does not.
    let mut nested = usize::from(reader.sign("("));
    while open > 0 || !reader.sign(")") {
        if open == nested && std::mem::take(&mut first) {
            if reader.is("nested") && (reader.is_at(1, "path") || reader.peek(1).is_some_and(Token::is_text)) {
                nested += 1;
            } else if let Some(name) = reader.peek(0).and_then(|token| token.name(reader.text)) {
                columns.push(name);
            }
        }
        if column_option(reader) && !reader.sign(",") && !reader.sign(")") {
            args.push(expr(reader)?);
            continue;
        }
        let token = reader.any()?;
        if token.sign(reader.text, "(") {
            if reader.query_ahead() {
                return Err(UnknownReason::Syntax);
            }
            open += 1;
            first = open == nested;
        } else if token.sign(reader.text, ")") {
            open = open.saturating_sub(1);
            nested = nested.min(open);
        } else if token.sign(reader.text, ",") {
            first = open == nested;
        }
    }
    Ok(())
}

/// Takes DEFAULT or PATH, which the server knows in quotes, too; a query anywhere else would go unread.
fn column_option(reader: &mut Reader<'_>) -> bool {
    let found = reader.peek(0).and_then(|token| token.name(reader.text)).is_some_and(|name| name == "default" || name == "path");
    reader.at += usize::from(found);
    found
}

/// True if the next word stands between arguments: where an operand is due, only if another follows it.
fn word_between(reader: &Reader<'_>, documents: bool, operand: bool) -> bool {
    let follows = reader.peek(1).is_some_and(|token| {
        !matches!(token.kind, Kind::Operator) && ![",", ")", "."].iter().any(|mark| token.sign(reader.text, mark))
    });
    if documents && reader.is_any(&BETWEEN_DOCUMENTS) {
        return !operand || follows && !reader.sign_at(1, "(");
    }
    reader.is_any(&BETWEEN) && (!operand || !reader.is("escape"))
}
