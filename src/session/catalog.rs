//! Fetches what the proxy must know of a database's catalog, over a connection of its own.

use std::collections::HashMap;

use super::ground::LookFault;
use crate::backend::Querier;
use crate::sql::{Attribute, Catalog, ColumnOrigin, Function, Relation, RelationKind, TypeInfo, TypeKind, Volatility};

/// Objects that initdb makes have smaller identifiers (`FirstNormalObjectId`).
const FIRST_NORMAL_OID: u32 = 16_384;
/// Views described in one go.
const DESCRIBED_AT_ONCE: usize = 64;

const RELATIONS: &str = "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 't' \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')";
const ATTRIBUTES: &str = "select a.attrelid, a.attnum, a.attname, a.atttypid, a.attnotnull, \
    exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisunique and i.indnatts = 1 \
      and i.indkey[0] = a.attnum and i.indpred is null) \
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') order by a.attrelid, a.attnum";
const PARENTS: &str = "select inhrelid, inhparent from pg_catalog.pg_inherits";
const DEPENDS: &str = "select distinct r.ev_class, d.refobjid from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d \
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid \
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass where d.refobjid <> r.ev_class";
const CALLS: &str = "select distinct r.ev_class from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d \
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid \
    and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass where d.refobjid >= 16384";
const VIEWS: &str = "select c.oid, pg_catalog.pg_get_viewdef(c.oid) from pg_catalog.pg_class c \
    where c.relkind in ('v', 'm') and c.oid >= 16384";
const TYPES: &str = "select t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typelem, t.typbasetype, \
    t.typlen, coalesce(r.rngsubtype, 0) from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace \
    left join pg_catalog.pg_range r on r.rngtypid = t.oid";
const LABELS: &str = "select enumtypid, enumlabel from pg_catalog.pg_enum order by enumtypid, enumsortorder";
const FUNCTIONS: &str = "select n.nspname, p.proname, l.lanname, p.provolatile, e.extname, p.oid < 16384 \
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    join pg_catalog.pg_language l on l.oid = p.prolang \
    left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid \
      and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
    left join pg_catalog.pg_extension e on e.oid = d.refobjid";
const OPERATORS: &str = "select o.oprname, n.nspname, p.proname from pg_catalog.pg_operator o \
    join pg_catalog.pg_proc p on p.oid = o.oprcode join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where o.oid >= 16384";
/// Functions that a cast to a type can run, but those of extensions: casts, input functions, checks of domains.
const CONVERSIONS: &str = "with made as (select p.oid, n.nspname, p.proname from pg_catalog.pg_proc p \
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384 \
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
        and d.objid = p.oid and d.deptype = 'e')) \
    select t.typname, m.nspname, m.proname from pg_catalog.pg_cast c join made m on m.oid = c.castfunc \
      join pg_catalog.pg_type t on t.oid = c.casttarget \
    union select t.typname, m.nspname, m.proname from pg_catalog.pg_type t join made m on m.oid = t.typinput \
    union select t.typname, m.nspname, m.proname from pg_catalog.pg_constraint k join pg_catalog.pg_type t on t.oid = k.contypid \
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = k.oid \
        and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass join made m on m.oid = d.refobjid";
/// A number that differs when the definition of anything above has changed.
const FINGERPRINT: &str = "select pg_catalog.md5(pg_catalog.concat( \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(c.xmin::text::int8 * 31 + c.oid::int8))) \
      from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f')), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(a.xmin::text::int8 * 31 + a.attrelid::int8 * 7 + a.attnum))) \
      from pg_catalog.pg_attribute a where a.attrelid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(p.xmin::text::int8 * 31 + p.oid::int8))) \
      from pg_catalog.pg_proc p where p.oid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(r.xmin::text::int8 * 31 + r.oid::int8))) \
      from pg_catalog.pg_rewrite r where r.oid >= 16384), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(i.inhrelid::int8 * 31 + i.inhparent::int8))) \
      from pg_catalog.pg_inherits i), '/', \
    (select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashint8(n.xmin::text::int8 * 31 + n.oid::int8))) \
      from pg_catalog.pg_namespace n where n.nspname !~ '^pg_(temp|toast_temp)')))";

type Row = Vec<Option<String>>;

/// A fingerprint of everything that `fetch` reads: as long as it stays the same, there is nothing new to fetch.
pub(super) async fn fingerprint(querier: &mut Querier) -> Result<String, LookFault> {
    let rows = querier.simple_query(FINGERPRINT).await?;
    rows.first().map(|row| text(row, 0)).ok_or(LookFault::Shape)
}

/// Fetches the catalog.
pub(super) async fn fetch(querier: &mut Querier, version: u64) -> Result<Catalog, LookFault> {
    querier.simple_query("set search_path = ''").await?;
    let mut catalog = Catalog::default();
    catalog.version = version;
    relations(querier, &mut catalog).await?;
    types(querier, &mut catalog).await?;
    functions(querier, &mut catalog).await?;
    views(querier, &mut catalog).await?;
    Ok(catalog)
}

async fn relations(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let mut columns: HashMap<u32, Vec<Attribute>> = HashMap::new();
    for row in querier.simple_query(ATTRIBUTES).await? {
        let attribute = Attribute {
            number: text(&row, 1).parse().map_err(|_| LookFault::Shape)?,
            name: text(&row, 2),
            type_oid: oid(&row, 3)?,
            not_null: flag(&row, 4),
            unique: flag(&row, 5),
            ..Attribute::default()
        };
        columns.entry(oid(&row, 0)?).or_default().push(attribute);
    }
    let mut parents = pairs(&querier.simple_query(PARENTS).await?)?;
    let mut depends = pairs(&querier.simple_query(DEPENDS).await?)?;
    let calls: Vec<u32> = querier.simple_query(CALLS).await?.iter().map(|row| oid(row, 0)).collect::<Result<_, _>>()?;
    for row in querier.simple_query(RELATIONS).await? {
        let relation = oid(&row, 0)?;
        catalog.insert(Relation {
            oid: relation,
            schema: text(&row, 1),
            name: text(&row, 2),
            kind: relation_kind(&text(&row, 3)),
            temporary: flag(&row, 4),
            columns: columns.remove(&relation).unwrap_or_default(),
            parents: parents.remove(&relation).unwrap_or_default(),
            depends: depends.remove(&relation).unwrap_or_default(),
            calls_unknown: calls.contains(&relation),
        });
    }
    Ok(())
}

async fn types(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let mut labels: HashMap<u32, Vec<String>> = HashMap::new();
    for row in querier.simple_query(LABELS).await? {
        labels.entry(oid(&row, 0)?).or_default().push(text(&row, 1));
    }
    for row in querier.simple_query(TYPES).await? {
        let (name, element, base, subtype) = (oid(&row, 0)?, oid(&row, 5)?, oid(&row, 6)?, oid(&row, 8)?);
        let category = text(&row, 4).chars().next().unwrap_or('U');
        let kind = match text(&row, 3).as_str() {
            "b" if category == 'A' && element != 0 => TypeKind::Array(element),
            "b" => TypeKind::Base,
            "d" => TypeKind::Domain(base),
            "e" => TypeKind::Enum(labels.remove(&name).unwrap_or_default()),
            "c" => TypeKind::Composite(Vec::new()),
            "r" => TypeKind::Range(subtype),
            "m" => TypeKind::Multirange(subtype),
            _ => TypeKind::Pseudo,
        };
        catalog.types.insert(name, TypeInfo { oid: name, schema: text(&row, 1), name: text(&row, 2), kind, category });
    }
    Ok(())
}

async fn functions(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    for row in querier.simple_query(FUNCTIONS).await? {
        let (schema, name) = (text(&row, 0), text(&row, 1));
        if flag(&row, 5) {
            catalog.builtin.insert(name);
            continue;
        }
        let volatility = match text(&row, 3).as_str() {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let extension = row.get(4).cloned().flatten();
        let function =
            Function { schema, name: name.clone(), language: text(&row, 2), volatility, extension, ..Function::default() };
        catalog.functions.entry(name).or_default().push(function);
    }
    for row in querier.simple_query(CONVERSIONS).await? {
        catalog.conversions.entry(text(&row, 0)).or_default().push((text(&row, 1), text(&row, 2)));
    }
    for row in querier.simple_query(OPERATORS).await? {
        catalog.operators.entry(text(&row, 0)).or_default().push((text(&row, 1), text(&row, 2)));
    }
    Ok(())
}

/// Lets the server itself say where each view's columns come from: it describes the view's own query.
async fn views(querier: &mut Querier, catalog: &mut Catalog) -> Result<(), LookFault> {
    let rows = querier.simple_query(VIEWS).await?;
    let mut views: Vec<(u32, String)> = Vec::new();
    for row in &rows {
        let view = oid(row, 0)?;
        if view >= FIRST_NORMAL_OID {
            views.push((view, text(row, 1)));
        }
    }
    for chunk in views.chunks(DESCRIBED_AT_ONCE) {
        let queries: Vec<&str> = chunk.iter().map(|(_, query)| query.as_str()).collect();
        let described = querier.describe_all(&queries).await?;
        for ((view, _), description) in chunk.iter().zip(described) {
            let Some(relation) = catalog.relations.get_mut(view) else { continue };
            let fields = description.map(|description| description.columns).unwrap_or_default();
            for (index, column) in relation.columns.iter_mut().enumerate() {
                column.origin = Some(match fields.get(index) {
                    Some(field) if field.table_oid != 0 && field.attribute > 0 => {
                        ColumnOrigin::Column(field.table_oid, field.attribute)
                    }
                    _ => ColumnOrigin::Expression,
                });
            }
        }
    }
    Ok(())
}

fn relation_kind(kind: &str) -> RelationKind {
    match kind {
        "r" => RelationKind::Table,
        "p" => RelationKind::Partitioned,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::Foreign,
        "S" => RelationKind::Sequence,
        _ => RelationKind::Other,
    }
}

fn text(row: &Row, index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

fn oid(row: &Row, index: usize) -> Result<u32, LookFault> {
    text(row, index).parse().map_err(|_| LookFault::Shape)
}

fn flag(row: &Row, index: usize) -> bool {
    text(row, index) == "t"
}

fn pairs(rows: &[Row]) -> Result<HashMap<u32, Vec<u32>>, LookFault> {
    let mut map: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in rows {
        map.entry(oid(row, 0)?).or_default().push(oid(row, 1)?);
    }
    Ok(map)
}
