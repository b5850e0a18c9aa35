//! Which of PostgreSQL's own functions can fail by a value.

use super::constant;
use super::value::Shared;
use crate::sql::tree::Expr;

/// Functions that have a result for every value of their types.
const SAFE: [&str; 147] = [
    "upper",
    "lower",
    "initcap",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "concat",
    "concat_ws",
    "md5",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "reverse",
    "to_char",
    "extract",
    "date_part",
    "date_trunc",
    "age",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "count",
    "min",
    "max",
    "avg",
    "sum",
    "string_agg",
    "array_agg",
    "bool_and",
    "bool_or",
    "every",
    "any_value",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_count",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
    "percentile_cont",
    "percentile_disc",
    "mode",
    "json_agg",
    "jsonb_agg",
    "json_typeof",
    "jsonb_typeof",
    "to_json",
    "to_jsonb",
    "row_to_json",
    "json_build_array",
    "jsonb_build_array",
    "json_strip_nulls",
    "jsonb_strip_nulls",
    "jsonb_pretty",
    "quote_literal",
    "quote_nullable",
    "quote_ident",
    "ascii",
    "strpos",
    "position",
    "starts_with",
    "encode",
    "isfinite",
    "num_nulls",
    "num_nonnulls",
    "grouping",
    "pg_typeof",
    "pg_column_size",
    "unnest",
    "array_length",
    "array_upper",
    "array_lower",
    "array_ndims",
    "array_dims",
    "cardinality",
    "array_to_string",
    "array_remove",
    "array_replace",
    "array_position",
    "array_positions",
    "array_append",
    "array_prepend",
    "string_to_array",
    "string_to_table",
    "first_value",
    "last_value",
    "lag",
    "lead",
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "round",
    "trunc",
    "ceil",
    "ceiling",
    "floor",
    "sign",
    "to_tsvector",
    "plainto_tsquery",
    "phraseto_tsquery",
    "websearch_to_tsquery",
    "ts_headline",
    "ts_rank",
    "ts_rank_cd",
    "tsvector_to_array",
    "strip",
    "translate",
    "to_hex",
    "timezone",
    "text",
    "hashtext",
    "hash_record",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "is",
    "overlaps",
    "row",
    "case",
    "bit_count",
    "unaccent",
    "hashtextextended",
    "soundex",
    "levenshtein",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
];

/// True if the function may fail for some value of its arguments that are not clean.
pub(super) fn can(name: &str, args: &[Shared], written: &[Expr]) -> bool {
    if is_chosen(name, args) {
        return true;
    }
    if SAFE.contains(&name) {
        return false;
    }
    let clean = |from: usize| args.iter().skip(from).all(|arg| arg.is_clean());
    let number = |at: usize| written.get(at).and_then(constant::number);
    match name {
        "date" | "timestamp" => !args.iter().all(|arg| matches!(arg.kind, 1082 | 1114 | 1184)),
        // A long text put in for each match of a value can be too long.
        "replace" | "regexp_replace" if !(written.get(2).is_some_and(constant::is) || args.get(2).is_some_and(|by| by.plain)) => {
            true
        }
        "left" | "right" => number(1).is_none(),
        "substring" | "substr" => {
            let positions = number(1).is_some() && (written.len() < 3 || number(2).is_some_and(|count| count >= 0.0));
            let pattern = written.get(1).is_some_and(|pattern| matches!(pattern, Expr::Value(_))) && written.len() < 4;
            !(positions || pattern && number(1).is_none())
        }
        "split_part" => !number(2).is_some_and(|place| place.abs() >= 1.0) || !args.get(1).is_some_and(|by| by.is_clean()),
        "nth_value" => !number(1).is_some_and(|place| place >= 1.0),
        "width_bucket"
        | "format"
        | "regexp_replace"
        | "regexp_match"
        | "regexp_matches"
        | "regexp_split_to_array"
        | "regexp_split_to_table"
        | "regexp_like"
        | "regexp_count"
        | "regexp_instr"
        | "regexp_substr" => !clean_but_one(name, args),
        "json_build_object" | "jsonb_build_object" => keys(args).any(|key| !key.is_clean()),
        "json_object_agg" | "jsonb_object_agg" => args.first().is_some_and(|key| !key.is_clean()),
        "json_array_length" | "jsonb_array_length" | "chr" | "repeat" | "lpad" | "rpad" => true,
        "replace" => false,
        "overlay" => !clean(2),
        _ => true,
    }
}

/// Functions that give NULL only where an argument is NULL.
const TOTAL: [&str; 43] = [
    "upper",
    "lower",
    "initcap",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "replace",
    "concat",
    "concat_ws",
    "md5",
    "reverse",
    "to_char",
    "extract",
    "date_part",
    "date_trunc",
    "age",
    "left",
    "right",
    "substr",
    "split_part",
    "ascii",
    "strpos",
    "position",
    "starts_with",
    "round",
    "trunc",
    "ceil",
    "ceiling",
    "floor",
    "sign",
    "abs",
    "to_json",
    "to_jsonb",
    "row_to_json",
    "text",
    "date",
    "timezone",
];

/// True if what it gives is there wherever its arguments are. A substring by a pattern is not where the pattern does not match.
pub(super) fn is_total(name: &str, written: &[Expr]) -> bool {
    TOTAL.contains(&name) || name == "substring" && written.get(1).is_some_and(|from| constant::number(from).is_some())
}

/// What only a constant, or what the rows do not tell, may decide: the field of `date_trunc`, the zone of `timezone`.
const CHOICES: [(&str, usize); 5] = [("date_trunc", 0), ("date_part", 0), ("timezone", 0), ("encode", 1), ("to_char", 1)];

fn is_chosen(name: &str, args: &[Shared]) -> bool {
    let chosen = CHOICES.iter().filter(|(known, _)| *known == name);
    chosen.into_iter().any(|(_, at)| args.len() > 1 && args.get(*at).is_some_and(|arg| !arg.is_clean()))
        || name == "date_trunc" && args.get(2).is_some_and(|zone| !zone.is_clean())
}

/// True if only the value that is looked at is not clean.
fn clean_but_one(name: &str, args: &[Shared]) -> bool {
    match name {
        "format" => args.first().is_some_and(|format| format.is_clean()),
        _ => args.iter().skip(1).all(|arg| arg.is_clean()),
    }
}

fn keys(args: &[Shared]) -> impl Iterator<Item = &Shared> {
    args.iter().step_by(2)
}
