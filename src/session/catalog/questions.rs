//! What a database is asked about its catalog.

pub(super) const RELATIONS: &str = "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 't' \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')";
pub(super) const ATTRIBUTES: &str = "select a.attrelid, a.attnum, a.attname, a.atttypid, a.attnotnull, \
    exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisunique and i.indnatts = 1 \
      and i.indkey[0] = a.attnum and i.indpred is null) \
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') order by a.attrelid, a.attnum";
pub(super) const PARENTS: &str = "select inhrelid, inhparent from pg_catalog.pg_inherits";
pub(super) const DEPENDS: &str = "select distinct r.ev_class, d.refobjid from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d \
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid \
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass where d.refobjid <> r.ev_class";
pub(super) const CALLS: &str = "select distinct r.ev_class from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d \
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid \
    and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass where d.refobjid >= 16384";
/// Expressions of generated columns.
pub(super) const GENERATED: &str = "select d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d \
    join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where a.attgenerated <> '' and not a.attisdropped";
/// Views, those of the server itself only where some of their columns show samples of the data.
pub(super) const VIEWS: &str = "select c.oid, pg_catalog.pg_get_viewdef(c.oid) from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') \
    and (c.oid >= 16384 or n.nspname = 'pg_catalog' and c.relname in ('pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs'))";
pub(super) const TYPES: &str = "select t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typelem, t.typbasetype, \
    t.typlen, coalesce(r.rngsubtype, 0) from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace \
    left join pg_catalog.pg_range r on r.rngtypid = t.oid";
pub(super) const LABELS: &str = "select enumtypid, enumlabel from pg_catalog.pg_enum order by enumtypid, enumsortorder";
/// Names of the server's own functions.
pub(super) const BUILTIN: &str = "select distinct p.proname from pg_catalog.pg_proc p where p.oid < 16384";
pub(super) const OPERATORS: &str = "select o.oprname, n.nspname, p.proname from pg_catalog.pg_operator o \
    join pg_catalog.pg_proc p on p.oid = o.oprcode join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where o.oid >= 16384";
/// Functions that are not the server's own; `BODY` stands for their text.
pub(super) const FUNCTIONS: &str = "select n.nspname, p.proname, l.lanname, p.provolatile, e.extname, \
    p.pronargs, pg_catalog.array_to_json(p.proargnames), pg_catalog.array_to_json(p.proargmodes), \
    p.proconfig is not null, p.prokind in ('a', 'w'), case when l.lanname = 'sql' then BODY end, \
    pg_catalog.pg_get_expr(p.proargdefaults, 0), t.typtype in ('b', 'e', 'r', 'm'), \
    (select pg_catalog.json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a \
      where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped) \
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    join pg_catalog.pg_language l on l.oid = p.prolang join pg_catalog.pg_type t on t.oid = p.prorettype \
    left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid \
      and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
    left join pg_catalog.pg_extension e on e.oid = d.refobjid where p.oid >= 16384";
/// The text of a function written in SQL: one that was parsed when it was made keeps no source (since PostgreSQL 14).
pub(super) const BODY_PARSED: (u32, &str) = (140_000, "coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)");
pub(super) const BODY: &str = "p.prosrc";
/// What `BODY_PARSED` is told by.
pub(super) const SERVER_VERSION: &str = "select pg_catalog.current_setting('server_version_num')";
/// The columns of the rows that the server's own functions give.
pub(super) const ROWS: &str = "select p.proname, pg_catalog.array_to_json(p.proargnames), pg_catalog.array_to_json(p.proargmodes) \
    from pg_catalog.pg_proc p where p.oid < 16384 and p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace \
    and p.proargmodes is not null order by p.oid";
/// Functions that a cast to a type can run, but those of extensions: casts, input functions, checks of domains.
pub(super) const CONVERSIONS: &str = "with made as (select p.oid, n.nspname, p.proname from pg_catalog.pg_proc p \
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384 \
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
        and d.objid = p.oid and d.deptype = 'e')) \
    select t.typname, m.nspname, m.proname from pg_catalog.pg_cast c join made m on m.oid = c.castfunc \
      join pg_catalog.pg_type t on t.oid = c.casttarget \
    union select t.typname, m.nspname, m.proname from pg_catalog.pg_type t join made m on m.oid = t.typinput \
    union select t.typname, m.nspname, m.proname from pg_catalog.pg_constraint k join pg_catalog.pg_type t on t.oid = k.contypid \
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = k.oid \
        and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass join made m on m.oid = d.refobjid";

/// True if the search path that sessions begin with can name the temporary schema: then it does not come first.
pub(super) const TEMPORARY_NAMED: &str = "select pg_catalog.bool_or(path ~* 'pg_temp') from ( \
    select c as path from pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c where c ~* '^search_path=' \
    union all select g.reset_val from pg_catalog.pg_settings g where g.name = 'search_path') known";

/// The transactions that have ended: any that ends makes another.
pub(super) const SNAPSHOT: &str = "select pg_catalog.txid_current_snapshot()";
/// A number that differs when the definition of anything above has changed.
pub(super) const FINGERPRINT: &str = "select pg_catalog.md5(pg_catalog.concat( \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(c.xmin::text::int8 * 31 + c.oid::int8))) \
      from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f')), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(a.xmin::text::int8 * 31 + a.attrelid::int8 * 7 + a.attnum))) \
      from pg_catalog.pg_attribute a where a.attrelid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(p.xmin::text::int8 * 31 + p.oid::int8))) \
      from pg_catalog.pg_proc p where p.oid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(r.xmin::text::int8 * 31 + r.oid::int8))) \
      from pg_catalog.pg_rewrite r where r.oid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(d.xmin::text::int8 * 31 + d.oid::int8))) \
      from pg_catalog.pg_attrdef d), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(i.inhrelid::int8 * 31 + i.inhparent::int8))) \
      from pg_catalog.pg_inherits i), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(s.xmin::text::int8 * 31 + s.setrole::int8))) \
      from pg_catalog.pg_db_role_setting s), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(n.xmin::text::int8 * 31 + n.oid::int8))) \
      from pg_catalog.pg_namespace n where n.nspname !~ '^pg_(temp|toast_temp)')))";
