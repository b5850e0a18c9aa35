//! Columns of PostgreSQL's own catalogs that hold data of other tables, or other sessions' texts.

/// Patterns that are masked for everybody who has a mask at all, after the policy's own rules.
pub(super) const DATA_CATALOGS: [&str; 12] = [
    "pg_catalog.pg_statistic.stavalues?",
    "pg_catalog.pg_statistic_ext_data.stxdmcv",
    "pg_catalog.pg_statistic_ext_data.stxdexpr",
    "pg_catalog.pg_stats.most_common_vals",
    "pg_catalog.pg_stats.most_common_elems",
    "pg_catalog.pg_stats.histogram_bounds",
    "pg_catalog.pg_stats.range_bounds_histogram",
    "pg_catalog.pg_largeobject.data",
    "pg_catalog.pg_stat_activity.query",
    "pg_catalog.pg_user_mapping.umoptions",
    "pg_catalog.pg_user_mappings.umoptions",
    "*.pg_stat_statements.query",
];

/// Schema of the tables that hold the long values of other tables, and how the schemas of temporary ones begin.
pub(super) const TOAST_SCHEMA: &str = "pg_toast";

/// Schemas of PostgreSQL's own views: what those call is known, wherever it is defined.
pub(super) const OWN_SCHEMAS: [&str; 2] = ["pg_catalog", "information_schema"];

/// Extensions that come with the server and whose functions only compute with their arguments.
pub(super) const COMPUTING: [&str; 7] = ["citext", "fuzzystrmatch", "hstore", "pg_trgm", "pgcrypto", "unaccent", "uuid-ossp"];

/// Functions of those that change a setting by their argument all the same.
pub(super) const LEAVES_TRACE: [&str; 1] = ["set_limit"];
