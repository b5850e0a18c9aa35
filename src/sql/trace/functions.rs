//! Calls: PostgreSQL's own functions, and others.

use std::rc::Rc;

use super::Tracer;
use super::aside::{ANY, aside};
use super::body::Given;
use super::cast::{BOOL, JSONB, Sort, TEXT, sort};
use super::value::{Column, NAME, Shared, Sum, Value};
use super::{cast, constant, fail, json};
use crate::sql::facts::FunctionName;
use crate::sql::lineage::{JsonStep, Untraced, Use};
use crate::sql::names;
use crate::sql::tree::{Call, Expr, Role};

/// Functions whose result is one of their arguments, and how many of the arguments can be it.
const KEPT: [(&str, usize); 13] = [
    ("coalesce", usize::MAX),
    ("greatest", usize::MAX),
    ("least", usize::MAX),
    ("min", 1),
    ("max", 1),
    ("any_value", 1),
    ("first_value", 1),
    ("last_value", 1),
    ("nth_value", 1),
    ("unnest", 1),
    ("array_agg", 1),
    ("lag", 1),
    ("lead", 1),
];

/// Those of them that choose it by its order.
const PICKED: [&str; 4] = ["greatest", "least", "min", "max"];

/// Functions that see only how many there are, or in which place.
const PLACES: [&str; 5] = ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist"];

/// Functions that tell of a stored array or document how many elements it holds, or of which kind it is: nothing of any of them.
const HOLDERS: [&str; 8] = [
    "cardinality",
    "array_length",
    "array_upper",
    "array_ndims",
    "jsonb_array_length",
    "json_array_length",
    "jsonb_typeof",
    "json_typeof",
];

/// Functions whose result is made of more than their arguments: they run text, read relations, files, large objects, other sessions.
pub(in crate::sql) const READERS: [&str; 35] = [
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_read_file_old",
    "lo_get",
    "loread",
    "pg_logical_slot_get_changes",
    "pg_logical_slot_peek_changes",
    "pg_logical_slot_get_binary_changes",
    "pg_logical_slot_peek_binary_changes",
    "pg_stat_get_activity",
    "pg_stat_get_backend_activity",
    "pg_prepared_statement",
    "pg_cursor",
    "pg_show_all_file_settings",
    "pg_hba_file_rules",
    "current_query",
    "pg_get_multixact_members",
    "pg_config",
    "heap_tuple_data_split",
    "pg_mcv_list_items",
    "pg_stat_get_subscription",
    "pg_get_shmem_allocations",
];

/// Functions that put their arguments where they can be read again.
const WRITERS: [&str; 8] =
    ["set_config", "pg_notify", "lo_from_bytea", "lo_put", "lowrite", "pg_logical_emit_message", "setval", "lo_export"];

/// Functions that give as many rows as an argument has elements.
const ELEMENTS: [&str; 13] = [
    "unnest",
    "generate_subscripts",
    "json_array_elements",
    "jsonb_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements_text",
    "json_each",
    "jsonb_each",
    "json_each_text",
    "jsonb_each_text",
    "json_object_keys",
    "jsonb_object_keys",
    "jsonb_path_query",
];

/// Functions that give as many rows as their arguments decide by their values.
const ROWS: [&str; 13] = [
    "generate_series",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "ts_parse",
    "ts_debug",
    "json_populate_recordset",
    "jsonb_populate_recordset",
    "json_to_recordset",
    "jsonb_to_recordset",
    "xmltable",
    "json_table",
    "aclexplode",
];

/// Functions of numbers too small to overflow anything.
const SMALL: [&str; 16] = [
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "strpos",
    "position",
    "ascii",
    "extract",
    "date_part",
    "array_length",
    "cardinality",
    "width_bucket",
    "sign",
    "jsonb_array_length",
    "json_array_length",
];

/// Functions that give a time in the usual range for one.
const TIMES: [&str; 5] = ["date_trunc", "timezone", "age", "date", "timestamp"];

/// Functions that give text.
const TEXTS: [&str; 26] = [
    "lower",
    "upper",
    "initcap",
    "substring",
    "substr",
    "left",
    "right",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "replace",
    "concat",
    "concat_ws",
    "md5",
    "reverse",
    "split_part",
    "to_char",
    "lpad",
    "rpad",
    "repeat",
    "translate",
    "format",
    "string_agg",
    "overlay",
    "regexp_replace",
];

impl<'a> Tracer<'a> {
    /// A call and what stands behind its arguments.
    pub(super) fn call(&mut self, call: &'a Call) -> Shared {
        let mut within = Vec::new();
        for (role, key) in call.others() {
            if role == Role::Filter {
                self.condition(key);
                continue;
            }
            let value = self.expr(key);
            match role {
                Role::Partition => self.grouped(&value),
                Role::Order | Role::Within => self.ask_value(Use::Order, &value),
                Role::Frame | Role::Filter => self.asks.ask(Use::Match, Use::Match, &value),
            }
            if role == Role::Within {
                within.push(value);
            }
        }
        let written = call.args.get(..call.proper).unwrap_or_default();
        let args: Vec<Shared> = written.iter().map(|arg| self.expr(arg)).collect();
        if call.distinct {
            args.iter().for_each(|arg| self.grouped(arg));
        }
        if !within.is_empty() {
            return self.within(call, &within, &args, written);
        }
        let Some(last) = call.name.last() else { return self.clean.clone() };
        self.meet_call(last);
        let written = if call.variadic || !call.named.is_empty() { &[] } else { written };
        let function = names::function(self.catalog, &call.name);
        if call.syntax || function.builtin {
            if let Some(keyword) = &call.keyword {
                return self.with_keyword(last, keyword, &args);
            }
            let own = self.own(last, &args, written);
            // What is to be distinct is sorted.
            return if call.distinct { Rc::new(own.picked(last)) } else { own };
        }
        self.others(function, Given { args: &args, written, named: &call.named }, !call.roles.is_empty())
    }

    /// `mode() within group (order by x)` and the like.
    fn within(&mut self, call: &'a Call, within: &[Shared], args: &[Shared], written: &'a [Expr]) -> Shared {
        let name = call.name.last().map_or("", String::as_str);
        let function = names::function(self.catalog, &call.name);
        let all: Vec<Shared> = within.iter().chain(args).cloned().collect();
        if !function.builtin {
            return self.others(function, Given { args: &all, written: &[], named: &[] }, true);
        }
        // What is out of range fails.
        args.iter().filter(|arg| !arg.is_clean()).for_each(|arg| self.fail(arg));
        match name {
            "mode" | "percentile_disc" => {
                let value = self.sum(within).picked(name);
                let mut sum = Sum::new();
                sum.add(&value);
                args.iter().filter(|arg| !arg.is_clean()).for_each(|arg| {
                    sum.add(&arg.through(name, Some(ANY), 0));
                });
                Rc::new(Value { kind: value.kind, ..sum.kept() })
            }
            "rank" | "dense_rank" | "percent_rank" | "cume_dist" => {
                args.iter().for_each(|arg| self.ask_value(Use::Order, arg));
                Rc::new(self.sum(&all).through(name, Some(ANY), 0))
            }
            _ => {
                let beside = args.iter().any(|arg| !arg.is_clean()) || within.len() > 1;
                let argument = if beside { Some(ANY.to_owned()) } else { direct(written) };
                Rc::new(self.sum(&all).through(name, argument.as_deref(), 0))
            }
        }
    }

    fn with_keyword(&mut self, name: &str, keyword: &str, args: &[Shared]) -> Shared {
        let value = self.sum(args);
        let argument = if args.len() == 1 { keyword } else { ANY };
        let small = name == "extract" && !matches!(keyword, "epoch" | "microseconds" | "julian");
        let kind = if name == "extract" { cast::NUMERIC } else { TEXT };
        let through = Value { small, ..value.through(name, Some(argument), kind) };
        Rc::new(if matches!(name, "extract" | "trim") { through.there_with(args) } else { through })
    }

    /// One of these, whichever.
    fn either(&mut self, list: &[Shared]) -> Shared {
        if let [only] = list {
            return only.clone();
        }
        let mut sum = Sum::new();
        for value in list {
            self.work += sum.add(value);
        }
        Rc::new(sum.chosen(self.catalog))
    }

    /// All of these as one value.
    pub(super) fn sum(&mut self, list: &[Shared]) -> Shared {
        if let [only] = list {
            return only.clone();
        }
        let mut sum = Sum::new();
        for value in list {
            self.work += sum.add(value);
        }
        Rc::new(sum.kept())
    }

    /// A function of PostgreSQL's own; `written` are its arguments as written, if they are known.
    pub(super) fn own(&mut self, name: &str, args: &[Shared], written: &'a [Expr]) -> Shared {
        if READERS.contains(&name) {
            args.iter().for_each(|arg| self.fail(arg));
            return self.lost(Untraced::Form);
        }
        if WRITERS.contains(&name) {
            args.iter().for_each(|arg| self.store(Vec::new(), Some(name.to_owned()), arg));
        }
        self.rows_asked(name, args);
        let clean = args.iter().all(|arg| arg.is_clean());
        if clean || PLACES.contains(&name) {
            return Rc::new(Value { small: SMALL.contains(&name) || PLACES.contains(&name), ..Value::clean(result(name)) });
        }
        if let Some((_, count)) = KEPT.iter().find(|(known, _)| *known == name) {
            let one = self.one_of(name, args, *count);
            return if PICKED.contains(&name) { Rc::new(one.picked(name)) } else { one };
        }
        match name {
            "nullif" => return self.nullif(args, written),
            // It fails by the kinds of what stands on the path, which may be known.
            "jsonb_set" if is_patch(args) && json::keys_are_constant(written) => {
                return args.first().map_or_else(|| self.clean.clone(), |document| super::operators::patch(document));
            }
            "count" => {
                let value = self.sum(args);
                return Rc::new(Value { small: true, ..value.counted(name, 20) });
            }
            "num_nulls" | "num_nonnulls" => return Rc::new(self.sum(args).counted(name, 23)),
            "grouping" => {
                let value = self.sum(args);
                return Rc::new(Value { there: true, ..value.as_ref().clone() }.counted(name, 23));
            }
            // What type it has shows in the text already.
            "pg_typeof" => {
                let value = self.sum(args);
                return Rc::new(Value { there: true, ..value.as_ref().clone() }.counted(name, 2206));
            }
            name if HOLDERS.contains(&name) && args.iter().all(|arg| arg.is_stored()) => {
                return Rc::new(Value { small: true, ..self.sum(args).counted(name, result(name)) });
            }
            "jsonb_path_exists" | "jsonb_path_match" => return self.path(args, written, BOOL),
            "jsonb_path_query" | "jsonb_path_query_array" | "jsonb_path_query_first" => return self.path(args, written, JSONB),
            _ => {}
        }
        if let Some(value) = self.json_part(name, args, written) {
            return value;
        }
        if fail::can(name, args, written) {
            args.iter().for_each(|arg| self.fail(arg));
        }
        let argument = argument(name, args, written);
        let value = self.sum(args);
        let kind = if name == "date_trunc" { date_trunc(self, args) } else { result(name) };
        let field = argument.as_deref().unwrap_or_default();
        let number = SMALL.contains(&name) && !matches!(field, "epoch" | "microseconds" | "julian");
        let small = number || TIMES.contains(&name) && args.iter().all(|arg| arg.small || arg.plain || arg.is_clean());
        let through = Value { small, ..value.through(name, argument.as_deref(), kind) };
        Rc::new(if fail::is_total(name, written) { through.there_with(args) } else { through })
    }

    /// What the number of rows tells that a function gives.
    fn rows_asked(&mut self, name: &str, args: &[Shared]) {
        if ROWS.contains(&name) {
            args.iter().for_each(|arg| self.asks.ask(Use::Match, Use::Match, arg));
        } else if ELEMENTS.contains(&name) {
            // Of a column as it is that is no more than how many there are.
            args.iter().filter(|arg| !arg.plain).for_each(|arg| self.asks.ask(Use::Null, Use::Match, arg));
        }
    }

    fn one_of(&mut self, name: &str, args: &[Shared], count: usize) -> Shared {
        let own = args.get(..count.min(args.len())).unwrap_or_default();
        let value = self.either(own);
        let kind = match name {
            "array_agg" => cast::ARRAY,
            "unnest" => cast::element(self.catalog, value.kind).unwrap_or(0),
            _ => value.kind,
        };
        let mut kept = value.kept(kind);
        if matches!(name, "array_agg" | "unnest") {
            kept.plain = false;
        }
        // The default of lag and lead, the offset: whatever else decides.
        let rest = args.get(own.len()..).unwrap_or_default();
        let mut sum = Sum::new();
        sum.add(&kept);
        for (at, other) in rest.iter().enumerate() {
            if matches!(name, "lag" | "lead") && at == 1 {
                sum.add(other);
            } else if !other.is_clean() {
                sum.add(&other.through(name, Some(ANY), 0));
            }
        }
        if rest.is_empty() || rest.iter().all(|other| other.is_clean()) {
            let default = rest.get(1).filter(|_| matches!(name, "lag" | "lead"));
            kept.mixed |= default.is_some();
            kept.known |= default.is_some_and(|default| !default.void);
            return Rc::new(kept);
        }
        Rc::new(Value { kind, ..sum.chosen(self.catalog) })
    }

    fn nullif(&mut self, args: &[Shared], written: &[Expr]) -> Shared {
        let Some(first) = args.first() else { return self.clean.clone() };
        if written.get(1).is_some_and(constant::is_empty) && self.is_text(first) {
            self.ask_null(first, false);
            return Rc::new(Value { direct: false, row: None, ..first.as_ref().clone() });
        }
        args.iter().for_each(|arg| self.ask_value(Use::Equal, arg));
        let mut sum = Sum::new();
        sum.add(first);
        args.iter().skip(1).filter(|arg| !arg.is_clean()).for_each(|arg| {
            sum.add(&arg.through("nullif", Some(ANY), 0));
        });
        let known = first.known;
        Rc::new(Value { mixed: true, known, direct: false, there: first.there, kind: first.kind, ..sum.kept() })
    }

    /// Parts of documents by keys given as arguments.
    fn json_part(&mut self, name: &str, args: &[Shared], written: &'a [Expr]) -> Option<Shared> {
        let first = args.first().filter(|first| cast::is_json(self.catalog, first.kind))?;
        let (steps, kind): (Vec<JsonStep>, u32) = match name {
            "jsonb_extract_path" | "json_extract_path" => (extracted(written), first.kind),
            "jsonb_extract_path_text" | "json_extract_path_text" => (extracted(written), TEXT),
            "jsonb_array_elements" | "json_array_elements" => (vec![JsonStep::Element], first.kind),
            "jsonb_array_elements_text" | "json_array_elements_text" => (vec![JsonStep::Element], TEXT),
            "jsonb_each" | "json_each" | "jsonb_object_keys" | "json_object_keys" => (vec![JsonStep::Any], first.kind),
            "jsonb_each_text" | "json_each_text" => (vec![JsonStep::Any], TEXT),
            _ => return None,
        };
        if !args.iter().skip(1).all(|arg| arg.is_clean()) || args.len() != written.len().max(1) {
            return None;
        }
        Some(Rc::new(first.part(&steps, kind, true)))
    }

    fn path(&mut self, args: &[Shared], written: &'a [Expr], kind: u32) -> Shared {
        let path = written.get(1).and_then(json::text).and_then(json::jsonpath);
        let document = args.first().filter(|first| cast::is_json(self.catalog, first.kind)).cloned();
        let rest_clean = args.iter().skip(1).all(|arg| arg.is_clean());
        match (document, path) {
            (Some(document), Some(paths)) if rest_clean && written.len() == 2 => {
                let mut sum = Sum::new();
                paths.iter().for_each(|path| {
                    sum.add(&document.part(path, kind, true));
                });
                Rc::new(Value { plain: false, kind, ..sum.kept() })
            }
            _ => {
                let value = self.sum(args);
                self.fail(&value);
                Rc::new(value.through("jsonb_path_query", Some(ANY), kind))
            }
        }
    }

    /// A function that is not PostgreSQL's own: followed through its body if that can be read.
    pub(super) fn others(&mut self, function: FunctionName, given: Given<'_>, opaque: bool) -> Shared {
        let title = title(&function);
        // Which argument a name stands for the function decides.
        let argument = if given.named.is_empty() { aside(given.args, given.written) } else { Some(ANY.to_owned()) };
        let by = |arg: &Shared| Rc::new(arg.through(&title, argument.as_deref(), arg.kind));
        let args: Vec<Shared> = given.args.iter().map(by).collect();
        if !opaque && let Some(output) = self.bodies(&function, Given { args: &args, ..given }) {
            return match output.map(|columns| self.as_results(&function, columns)) {
                Ok(value) => Rc::new(Value { direct: false, ..value }),
                Err(why) => self.lost(why),
            };
        }
        args.iter().for_each(|arg| self.fail(arg));
        let all: Vec<Shared> = args.into_iter().chain(self.defaults(&function)).collect();
        let value = self.sum(&all);
        let mut value = Value { row: None, plain: false, kind: 0, any_kind: true, ..value.as_ref().clone() };
        value.functions.push(function);
        value.functions.sort_unstable();
        value.functions.dedup();
        Rc::new(value)
    }

    /// What a function gives whose text gives these columns: a row under the names that the function has for them.
    fn as_results(&self, function: &FunctionName, columns: Rc<Vec<Column>>) -> Value {
        if let [only] = columns.as_slice() {
            return Value { row: None, kind: 0, any_kind: true, ..only.value.as_ref().clone() };
        }
        let names = self.results(function).filter(|(names, _)| names.len() == columns.len());
        let Some((names, _)) = names else { return Value { row: None, ..super::scope::row(Ok(columns)) } };
        let renamed = names.iter().zip(columns.iter());
        let renamed = renamed.map(|(name, column)| Column { name: name.as_str().into(), value: column.value.clone() });
        super::scope::row(Ok(Rc::new(renamed.collect())))
    }

    /// The names of the columns that a function's rows have, and whether it gives one value; none if functions of the name differ.
    pub(super) fn results(&self, function: &FunctionName) -> Option<(&'a [String], bool)> {
        let known = self.catalog.functions.get(&function.name)?.iter();
        let mut known = known.filter(|known| function.schema.as_ref().is_none_or(|schema| *schema == known.schema));
        let first = known.next()?;
        let alike = known.all(|other| (&other.results, other.scalar) == (&first.results, first.scalar));
        alike.then_some((first.results.as_slice(), first.scalar))
    }
}

/// A function's name as it shows in a step.
pub(super) fn title(function: &FunctionName) -> String {
    function.schema.as_ref().map_or_else(|| function.name.clone(), |schema| format!("{schema}.{}", function.name))
}

/// True if nothing but constants is put into a document.
fn is_patch(args: &[Shared]) -> bool {
    args.split_first().is_some_and(|(document, others)| document.plain && others.iter().all(|other| other.is_clean()))
}

/// The steps of `jsonb_extract_path(document, 'a', 'b')`.
fn extracted(written: &[Expr]) -> Vec<JsonStep> {
    let keys = written.get(1..).unwrap_or_default();
    keys.iter().map(|key| json::text(key).map_or(JsonStep::Any, json::loose)).collect()
}

/// The arguments beside a value: where one decides what shows, that one.
fn argument(name: &str, args: &[Shared], written: &[Expr]) -> Option<String> {
    let field = match (name, args, written) {
        ("date_trunc" | "date_part", [field, _], [written, _]) if field.is_clean() => json::text(written),
        _ => None,
    };
    field.map_or_else(|| aside(args, written), |field| Some(field.to_ascii_lowercase()))
}

/// The direct arguments of `percentile_cont(0.5) within group (..)`.
fn direct(written: &[Expr]) -> Option<String> {
    match written {
        [] => None,
        [only] => Some(constant::shown(only).unwrap_or_else(|| ANY.to_owned())),
        _ => Some(ANY.to_owned()),
    }
}

fn date_trunc(tracer: &Tracer<'_>, args: &[Shared]) -> u32 {
    match args.get(1).map(|arg| (arg.kind, sort(tracer.catalog, arg.kind))) {
        Some((kind, Sort::Stamp | Sort::Interval)) => kind,
        _ => 1184,
    }
}

fn result(name: &str) -> u32 {
    match name {
        "count" | "row_number" | "rank" | "dense_rank" => 20,
        "now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp" | "current_timestamp" => 1184,
        "current_date" | "make_date" | "to_date" => 1082,
        "localtimestamp" | "make_timestamp" => 1114,
        "age" | "make_interval" | "justify_days" | "justify_hours" | "justify_interval" => 1186,
        "to_jsonb" | "jsonb_build_object" | "jsonb_build_array" | "jsonb_agg" | "jsonb_object_agg" | "jsonb_set" => JSONB,
        "to_json" | "row_to_json" | "json_build_object" | "json_build_array" | "json_agg" | "json_object_agg" => cast::JSON,
        "string_to_array" | "array_remove" | "array_append" | "regexp_match" | "regexp_split_to_array" => cast::ARRAY,
        "bool_and" | "bool_or" | "every" | "starts_with" | "isfinite" => BOOL,
        "avg" | "round" | "trunc" | "ceil" | "floor" => cast::NUMERIC,
        "current_database"
        | "current_catalog"
        | "current_schema"
        | "current_user"
        | "current_role"
        | "session_user"
        | "user"
        | "getdatabaseencoding"
        | "getpgusername"
        | "name"
        | "nameconcatoid"
        | "namein"
        | "namerecv"
        | "pg_client_encoding"
        | "pg_encoding_to_char"
        | "pg_get_userbyid" => NAME,
        _ if SMALL.contains(&name) => 23,
        _ if TEXTS.contains(&name) => TEXT,
        _ => 0,
    }
}
