//! Functions that carry data past any mask, by name: those of PostgreSQL 15 to 18, its contrib modules and common extensions.
//!
//! A masked identity may not call these, whatever the policy vouches for. Names without a dot count in every schema, since an
//! extension can be installed in any.

use super::glob;
use crate::sql::FunctionName;

/// Patterns and why such a function is refused.
const CARRIERS: &[(&[&str], &str)] = &[
    (
        &[
            "query_to_*",
            "table_to_xml*",
            "schema_to_xml*",
            "database_to_xml*",
            "cursor_to_xml*",
            "ts_stat",
            "ts_rewrite",
            "xpath_table",
            "crosstab*",
            "connectby*",
            "dblink*",
            "postgres_fdw_*",
            "pg_background_*",
            "query_export_to_s3*",
            "cron.*",
            "dbms_sql.*",
            "pgagent.*",
        ],
        "runs SQL that it is given as text",
    ),
    (
        &[
            "pg_read_*",
            "pg_ls_*",
            "pg_stat_file*",
            "pg_file_*",
            "pg_logdir_ls",
            "pg_logfile_*",
            "pg_hba_file_rules",
            "pg_ident_file_mappings",
            "pg_show_all_file_settings",
            "xslt_process",
            "utl_file.*",
            "aws_s3.*",
            "aws_lambda.*",
        ],
        "reads or writes outside the database",
    ),
    (&["lo_*", "loread", "lowrite"], "reads or writes large objects"),
    (
        &[
            "pg_logical_*",
            "pg_replication_*",
            "pg_*_replication_slot*",
            "pg_sync_replication_slots",
            "pg_get_wal_record*",
            "pg_get_wal_block*",
            "pg_get_wal_fpi*",
            "pg_export_snapshot",
        ],
        "reads or writes the server's log of changes",
    ),
    (
        &[
            "get_raw_page*",
            "heap_page_*",
            "heap_tuple_*",
            "tuple_data_split",
            "heap_force_*",
            "bt_page_*",
            "bt_metap",
            "bt_multi_page_stats",
            "brin_page_*",
            "brin_metapage_info",
            "brin_revmap_data",
            "gin_page_*",
            "gin_metapage_info",
            "gin_leafpage_items",
            "gist_page_*",
            "hash_page_*",
            "hash_bitmap_info",
            "hash_metapage_info",
            "fsm_page_contents",
            "page_header",
            "page_checksum",
            "pg_truncate_visibility_map",
        ],
        "reads or changes pages of tables and indexes",
    ),
    (&["pg_mcv_list_items", "pg_restore_*_stats", "pg_clear_*_stats"], "reads or changes the planner's samples of the data"),
    (
        &[
            "pg_stat_get_activity",
            "pg_stat_get_backend_activity",
            "pg_stat_statements",
            "pg_stat_monitor",
            "pg_prepared_statement",
            "pg_cursor",
            "pg_prepared_xact",
            "pg_backup_*",
            "pg_start_backup",
            "pg_stop_backup",
            "pldbg_*",
            "dbms_pipe.*",
            "dbms_alert.*",
            "dbms_output.*",
        ],
        "shows or passes on what other statements and sessions hold",
    ),
    (&["binary_upgrade_*"], "changes the catalog"),
];

/// Functions that leave a trace of their arguments where it can be read later: refused where a masked relation is touched.
const TRACES: &[(&[&str], &str)] = &[
    (&["set_config", "setseed"], "keeps its arguments in the session"),
    (&["pg_notify"], "sends its arguments to other sessions"),
    (&["setval", "pg_advisory_*", "pg_try_advisory_*"], "keeps its arguments where other sessions see them"),
    (&["pg_create_restore_point"], "writes its arguments to the server's log of changes"),
    (&["pg_sleep*"], "takes a time that tells its arguments"),
];

/// Why a masked identity may never call this function, if so.
pub(super) fn carrier(function: &FunctionName) -> Option<&'static str> {
    find(CARRIERS, function)
}

/// Why this function may not be called where a masked relation is touched, if so.
pub(super) fn trace(function: &FunctionName) -> Option<&'static str> {
    find(TRACES, function)
}

fn find(list: &[(&[&str], &'static str)], function: &FunctionName) -> Option<&'static str> {
    list.iter().find(|(patterns, _)| patterns.iter().any(|pattern| named(pattern, function))).map(|(_, why)| *why)
}

fn named(pattern: &str, function: &FunctionName) -> bool {
    match pattern.split_once('.') {
        None => glob::matches(pattern, &function.name),
        Some((schema, name)) => {
            function.schema.as_deref().is_some_and(|written| written == schema) && glob::matches(name, &function.name)
        }
    }
}

/// The patterns of what a masked identity may never call.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CARRIERS.iter().flat_map(|(patterns, _)| patterns.iter().copied())
}
