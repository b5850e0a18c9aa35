//! What a masked identity is refused whatever the policy says, since no mask could follow the data.

use super::condition::{SYSTEM_SCHEMAS, is_opaque};
use super::{Policy, asked, carriers, glob, stored};
use crate::mask::{ColumnRule, MaskMap, Strategy};
use crate::sql::{Facts, FunctionName, RelationName, UnknownReason, Verb};

/// Columns of the catalog that hold samples of the data (`null`: their type has no text of its own) or show the statements of
/// sessions (`redact`).
const CATALOG_COLUMNS: [(&str, Strategy); 20] = [
    ("pg_catalog.pg_stats.most_common_vals", Strategy::Null),
    ("pg_catalog.pg_stats.most_common_elems", Strategy::Null),
    ("pg_catalog.pg_stats.histogram_bounds", Strategy::Null),
    ("pg_catalog.pg_stats.range_bounds_histogram", Strategy::Null),
    ("pg_catalog.pg_stats_ext.most_common_vals", Strategy::Null),
    ("pg_catalog.pg_stats_ext_exprs.most_common_vals", Strategy::Null),
    ("pg_catalog.pg_stats_ext_exprs.most_common_elems", Strategy::Null),
    ("pg_catalog.pg_stats_ext_exprs.histogram_bounds", Strategy::Null),
    ("pg_catalog.pg_stats_ext_exprs.range_bounds_histogram", Strategy::Null),
    ("pg_catalog.pg_authid.rolpassword", Strategy::Null),
    ("pg_catalog.pg_shadow.passwd", Strategy::Null),
    ("pg_catalog.pg_stat_activity.query", Strategy::Redact),
    ("pg_catalog.pg_stat_activity.application_name", Strategy::Redact),
    ("pg_catalog.pg_prepared_statements.statement", Strategy::Redact),
    ("pg_catalog.pg_cursors.statement", Strategy::Redact),
    ("pg_catalog.pg_prepared_xacts.gid", Strategy::Redact),
    ("pg_catalog.pg_subscription.subconninfo", Strategy::Redact),
    ("*.pg_stat_statements.query", Strategy::Redact),
    ("*.pg_stat_monitor.query", Strategy::Redact),
    ("*.pg_stat_monitor.top_query", Strategy::Redact),
];

/// Relations of the catalog that hold samples or pieces of the data, or secrets; with their schema.
const CATALOG_RELATIONS: [(&str, &str); 12] = [
    ("pg_catalog", "pg_statistic"),
    ("pg_catalog", "pg_statistic_ext_data"),
    ("pg_catalog", "pg_largeobject"),
    ("pg_catalog", "pg_user_mapping"),
    ("pg_catalog", "pg_user_mappings"),
    ("pg_catalog", "pg_hba_file_rules"),
    ("pg_catalog", "pg_ident_file_mappings"),
    ("pg_catalog", "pg_file_settings"),
    ("information_schema", "_pg_user_mappings"),
    ("information_schema", "user_mapping_options"),
    ("pg_toast", "*"),
    ("pg_toast_temp_*", "*"),
];

/// Verbs that a masked identity may not use at all.
const VERBS: [(Verb, &str); 9] = [
    (Verb::Do, "runs code"),
    (Verb::Call, "runs code"),
    (Verb::Load, "loads code into the server"),
    (Verb::FunctionCall, "runs a function without a statement"),
    (Verb::CopyFile, "reads or writes files of the server"),
    (Verb::CopyProgram, "runs programs of the server"),
    (Verb::Role, "changes roles"),
    (Verb::SetRole, "becomes another role"),
    (Verb::AlterSystem, "changes settings of the server"),
];

/// Verbs that keep what a function gives where no mask would apply.
const KEEPS: [Verb; 6] = [Verb::Insert, Verb::Update, Verb::Merge, Verb::SelectInto, Verb::Create, Verb::Alter];

/// The columns of the catalog that are masked for everyone for whom anything is.
pub(super) fn catalog_columns() -> impl Iterator<Item = ColumnRule> {
    CATALOG_COLUMNS.into_iter().map(|(column, strategy)| ColumnRule::of(column, strategy))
}

/// True if the statement can touch a masked column.
pub(super) fn touches(facts: &Facts, masks: &MaskMap, policy: &Policy) -> bool {
    !masks.is_empty()
        && (facts.unknown.is_some()
            || facts.reads.iter().chain(&facts.writes).any(|name| masks.touches(name))
            || facts.functions.iter().any(|function| is_opaque(function, policy)))
}

/// Why the statement could not be analysed, but for a FETCH of a cursor that was opened elsewhere: the server names where the
/// columns of its rows come from, and what it names nothing of is masked.
pub(super) fn unread(facts: &Facts) -> Option<UnknownReason> {
    let fetch = facts.verb == Verb::Cursor && facts.unknown == Some(UnknownReason::Name);
    facts.unknown.filter(|_| !fetch)
}

/// True if what the statement reads can hold columns that are masked for anybody. A function of the schema can read what it
/// likes, also one that may be called freely.
pub(super) fn reads_phi(facts: &Facts, phi: &MaskMap) -> bool {
    let system = |schema: &str| SYSTEM_SCHEMAS.contains(&schema);
    let own = |function: &FunctionName| !function.builtin && !function.schema.as_deref().is_some_and(system);
    !phi.is_empty()
        && (facts.unknown.is_some() || facts.reads.iter().any(|name| phi.touches(name)) || facts.functions.iter().any(own))
}

/// Why a masked identity may not run this statement; empty if it may. `masks` is not empty.
pub(super) fn refusals(facts: &Facts, masks: &MaskMap, policy: &Policy) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(reason) = unread(facts) {
        reasons.push(format!("{reason}, and masks apply to this identity"));
    }
    let has = |verb: &Verb| facts.verb == *verb || facts.verbs.contains(verb);
    let plain = |verb: &Verb| *verb == Verb::Do && facts.plain_code;
    for (_, why) in VERBS.iter().filter(|(verb, _)| has(verb) && !plain(verb)) {
        reasons.push(format!("the statement {why}, which masks cannot follow"));
    }
    for name in facts.reads.iter().chain(&facts.writes).filter(|name| is_catalog_data(name)) {
        reasons.push(format!("`{}` holds pieces of masked data or secrets", show(name)));
    }
    for function in &facts.functions {
        if let Some(why) = carriers::carrier(function) {
            reasons.push(format!("the function `{}` {why}, which masks cannot follow", function.name));
        }
    }
    if touches(facts, masks, policy) {
        reasons.extend(touching(facts, masks, &has));
    }
    if KEEPS.iter().any(has) && facts.stores.is_empty() {
        for function in facts.functions.iter().filter(|function| is_opaque(function, policy)) {
            reasons.push(format!("the statement would keep what `{}` gives, which nobody has vouched for", function.name));
        }
    }
    reasons.extend(asked::refusals(facts, masks, policy));
    reasons.extend(stored::refusals(facts, masks, policy));
    reasons.extend(defining(facts, masks));
    reasons.dedup();
    reasons
}

/// What is refused of statements that touch masked relations.
fn touching(facts: &Facts, masks: &MaskMap, has: &dyn Fn(&Verb) -> bool) -> Vec<String> {
    let mut reasons = Vec::new();
    let cause = cause(facts, masks);
    if has(&Verb::CopyOut) && !is_copy_known(facts) {
        reasons.push(format!("masks cannot follow COPY TO, and the statement reads {cause}"));
    }
    for function in &facts.functions {
        if let Some(why) = carriers::trace(function) {
            reasons.push(format!("the function `{}` {why}, and the statement touches {cause}", function.name));
        }
    }
    // What is stored tells more, where it is known: a statement that was traced at all stores nothing else.
    let traced = !facts.stores.is_empty() || !facts.asks.is_empty();
    if facts.moves_data && !traced && touches_known(facts, masks) {
        reasons.push(format!("the statement copies data to where no mask would apply, and touches {cause}"));
    }
    if facts.stores.is_empty() && facts.rewrites.iter().any(|(oid, attribute)| masks.covers(*oid, *attribute).is_some()) {
        reasons.push(format!(
            "the statement computes a masked column of {cause} from its own value, of which the mask shows another part"
        ));
    }
    reasons
}

/// True if it is known how a COPY TO writes its rows. Which columns they have the server is asked before it runs.
fn is_copy_known(facts: &Facts) -> bool {
    facts.copy.as_ref().is_some_and(|copy| !copy.other)
}

/// What is refused of statements that define objects: over masked relations, and whatever may hold code or grant access.
fn defining(facts: &Facts, masks: &MaskMap) -> Vec<String> {
    let ddl = [Verb::Create, Verb::Alter, Verb::Drop, Verb::Refresh, Verb::Owner];
    let does = |verb: &Verb| facts.verb == *verb || facts.verbs.contains(verb);
    let defines = ddl.iter().any(does);
    // A table made by a query holds values, each of which is judged, if it is known which.
    let keeps = does(&Verb::SelectInto) && facts.stores.is_empty();
    if !defines && !keeps || facts.target_temporary && facts.reads.is_empty() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if touches_known(facts, masks) {
        reasons.push(format!("the statement defines or changes objects over {}", cause(facts, masks)));
    }
    // The text of a rule or a trigger is not followed, so only what is gone with the session may be made; a view is followed,
    // and known by what it reads.
    let makes = [Verb::Create, Verb::Alter].iter().any(does);
    if makes && !facts.target_temporary && !facts.plain_table && facts.reads.is_empty() {
        reasons
            .push("where masks apply, only temporary relations and tables of plain columns are created and changed".to_owned());
    }
    reasons
}

/// As `touches`, but names that a statement is about to give, or to take away, are not held against it.
fn touches_known(facts: &Facts, masks: &MaskMap) -> bool {
    let does = |verb: &Verb| facts.verb == *verb || facts.verbs.contains(verb);
    let names = does(&Verb::Create) || does(&Verb::SelectInto) || does(&Verb::Drop) && !does(&Verb::Alter);
    unread(facts).is_some()
        || facts.reads.iter().any(|name| masks.touches(name))
        || facts.writes.iter().any(|name| masks.touches(name) && !(names && is_new(name)))
}

/// True if the catalog knows nothing of the name.
fn is_new(name: &RelationName) -> bool {
    name.oids.is_empty()
}

/// The relation for whose sake something is refused.
pub(super) fn cause(facts: &Facts, masks: &MaskMap) -> String {
    let known = |name: &&RelationName| masks.touches(name) && !is_new(name);
    let mut names = facts.reads.iter().chain(&facts.writes);
    let found = names.clone().find(known).or_else(|| names.find(|name| masks.touches(name)));
    found
        .map_or_else(|| "a relation with masked columns".to_owned(), |name| format!("`{}`, which has masked columns", show(name)))
}

fn is_catalog_data(name: &RelationName) -> bool {
    let of = |schema: &str, relation: &str| match &name.schema {
        Some(written) => glob::matches(schema, written) && glob::matches(relation, &name.name),
        // Unqualified names reach `pg_catalog` always, other schemas by the search path.
        None if relation == "*" => name.name.starts_with("pg_toast_"),
        None => relation == name.name,
    };
    !name.temporary && CATALOG_RELATIONS.iter().any(|(schema, relation)| of(schema, relation))
}

fn show(name: &RelationName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    }
}
