//! Calls: PostgreSQL's own functions, and others.

use std::rc::Rc;

use super::Tracer;
use super::cast::{BOOL, JSONB, Sort, TEXT, sort};
use super::value::{Shared, Sum, Value};
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
const PLACES: [&str; 6] = ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"];

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
const READERS: [&str; 36] = [
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
    "pg_stats_ext_mcvlist_items",
    "pg_mcv_list_items",
    "pg_stat_get_subscription",
    "pg_get_shmem_allocations",
];

/// Functions that put their arguments where they can be read again.
const WRITERS: [&str; 8] =
    ["set_config", "pg_notify", "lo_from_bytea", "lo_put", "lowrite", "pg_logical_emit_message", "setval", "lo_export"];

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
        let mut args: Vec<Shared> = written.iter().map(|arg| self.expr(arg)).collect();
        if call.distinct {
            args.clone().iter().for_each(|arg| self.grouped(arg));
        }
        if !within.is_empty() {
            return self.within(call, &within, &args);
        }
        let Some(last) = call.name.last() else { return self.clean.clone() };
        let function = names::function(self.catalog, &call.name);
        if call.syntax || function.builtin {
            if let Some(keyword) = &call.keyword {
                return self.with_keyword(last, keyword, &args);
            }
            let own = self.own(last, &args, written);
            // What is to be distinct is sorted.
            return if call.distinct { Rc::new(own.picked(last)) } else { own };
        }
        if call.by_name {
            args = vec![self.sum(&args); args.len()];
        }
        self.others(function, &args, call.by_name || !call.roles.is_empty())
    }

    /// `mode() within group (order by x)` and the like.
    fn within(&mut self, call: &'a Call, within: &[Shared], args: &[Shared]) -> Shared {
        let name = call.name.last().map_or("", String::as_str);
        let function = names::function(self.catalog, &call.name);
        let all: Vec<Shared> = within.iter().chain(args).cloned().collect();
        if !function.builtin {
            return self.others(function, &all, true);
        }
        match name {
            "mode" | "percentile_disc" => {
                let value = self.sum(within);
                Rc::new(value.picked(name))
            }
            "rank" | "dense_rank" | "percent_rank" | "cume_dist" => {
                args.iter().for_each(|arg| self.ask_value(Use::Order, arg));
                Rc::new(self.sum(&all).through(name, None, 0))
            }
            _ => Rc::new(self.sum(&all).through(name, None, 0)),
        }
    }

    fn with_keyword(&mut self, name: &str, keyword: &str, args: &[Shared]) -> Shared {
        let value = self.sum(args);
        let argument = (name == "extract").then_some(keyword);
        let small = name == "extract" && !matches!(keyword, "epoch" | "microseconds" | "julian");
        let kind = if name == "extract" { cast::NUMERIC } else { TEXT };
        Rc::new(Value { small, ..value.through(name, argument, kind) })
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
        let clean = args.iter().all(|arg| arg.is_clean());
        if clean || PLACES.contains(&name) {
            return Rc::new(Value { small: SMALL.contains(&name) || PLACES.contains(&name), ..Value::clean(result(name)) });
        }
        if let Some((_, count)) = KEPT.iter().find(|(known, _)| *known == name) {
            let one = self.one_of(name, args, *count);
            return if PICKED.contains(&name) { Rc::new(one.picked(name)) } else { one };
        }
        match name {
            "nullif" => return self.nullif(args),
            "count" => {
                let value = self.sum(args);
                return Rc::new(Value { small: true, ..value.counted(20) });
            }
            // What type it has shows in the text already.
            "pg_typeof" => return Rc::new(self.sum(args).counted(2206)),
            name if HOLDERS.contains(&name) && args.iter().all(|arg| arg.is_stored()) => {
                return Rc::new(Value { small: true, ..self.sum(args).counted(result(name)) });
            }
            "num_nulls" | "num_nonnulls" | "grouping" => return Rc::new(self.sum(args).counted(23)),
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
        let argument = argument(name, written);
        let value = self.sum(args);
        let kind = if name == "date_trunc" { date_trunc(self, args) } else { result(name) };
        let field = argument.as_deref().unwrap_or_default();
        let small = SMALL.contains(&name) && !matches!(field, "epoch" | "microseconds" | "julian");
        Rc::new(Value { small, ..value.through(name, argument.as_deref(), kind) })
    }

    fn one_of(&mut self, name: &str, args: &[Shared], count: usize) -> Shared {
        let own = args.get(..count.min(args.len())).unwrap_or_default();
        let value = self.sum(own);
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
                sum.add(&other.through(name, None, 0));
            }
        }
        if rest.is_empty() || rest.iter().all(|other| other.is_clean()) {
            kept.mixed |= matches!(name, "lag" | "lead") && rest.len() > 1;
            return Rc::new(kept);
        }
        Rc::new(Value { kind, ..sum.kept() })
    }

    fn nullif(&mut self, args: &[Shared]) -> Shared {
        args.iter().for_each(|arg| self.ask_value(Use::Equal, arg));
        let Some(first) = args.first() else { return self.clean.clone() };
        let mut sum = Sum::new();
        sum.add(first);
        args.iter().skip(1).filter(|arg| !arg.is_clean()).for_each(|arg| {
            sum.add(&arg.through("nullif", None, 0));
        });
        Rc::new(Value { mixed: true, direct: false, kind: first.kind, ..sum.kept() })
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
        if !args.iter().skip(1).all(|arg| arg.is_clean()) {
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
                Rc::new(value.part(&[], kind, false))
            }
        }
    }

    /// A function that is not PostgreSQL's own: followed through its body if that can be read.
    pub(super) fn others(&mut self, function: FunctionName, args: &[Shared], opaque: bool) -> Shared {
        let title = title(&function);
        let args: Vec<Shared> = args.iter().map(|arg| Rc::new(arg.through(&title, None, arg.kind))).collect();
        if !opaque && let Some(columns) = self.bodies(&function, &args) {
            return match columns {
                Ok(columns) => match columns.as_slice() {
                    [only] => Rc::new(Value { direct: false, row: None, ..only.value.as_ref().clone() }),
                    _ => Rc::new(super::scope::row(Ok(columns))),
                },
                Err(why) => self.lost(why),
            };
        }
        let value = self.sum(&args);
        args.iter().for_each(|arg| self.fail(arg));
        let mut value = Value { row: None, plain: false, kind: 0, ..value.as_ref().clone() };
        value.functions.push(function);
        value.functions.sort_unstable();
        value.functions.dedup();
        Rc::new(value)
    }
}

/// A function's name as it shows in a step.
pub(super) fn title(function: &FunctionName) -> String {
    function.schema.as_ref().map_or_else(|| function.name.clone(), |schema| format!("{schema}.{}", function.name))
}

/// The steps of `jsonb_extract_path(document, 'a', 'b')`.
fn extracted(written: &[Expr]) -> Vec<JsonStep> {
    let keys = written.get(1..).unwrap_or_default();
    keys.iter().map(|key| json::text(key).map_or(JsonStep::Any, json::loose)).collect()
}

/// The constant argument that decides what shows.
fn argument(name: &str, written: &[Expr]) -> Option<String> {
    match name {
        "date_trunc" | "date_part" => {
            let field = json::text(written.first()?)?;
            Some(field.to_ascii_lowercase())
        }
        "left" | "right" | "to_char" => constant::shown(written.get(1)?),
        _ => None,
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
        _ if SMALL.contains(&name) => 23,
        _ if TEXTS.contains(&name) => TEXT,
        _ => 0,
    }
}
