//! Tests of the room: tables of texts over the catalog of a small clinic.

mod bounds;
mod catalog;
mod lineage;
mod notify;
mod table;

use super::*;

pub(super) const FIRST_OID: u32 = 16_384;
const BOOL: u32 = 16;
const SEX: u32 = 9_001;
const HOME: u32 = 9_002;
const MOOD: u32 = 9_003;

fn attribute(number: usize, text: &str) -> Attribute {
    let (name, kind) = text.split_once(':').unwrap_or((text, ""));
    let type_oid = match kind {
        "bool" => BOOL,
        "sex" => SEX,
        "int" => 23,
        "num" => 1700,
        "float" => 701,
        "date" => 1082,
        "stamp" => 1114,
        "json" => 3802,
        "texts" => 1009,
        "uuid" => 2950,
        "home" => HOME,
        "mood" => MOOD,
        _ => 25,
    };
    let (not_null, unique) = (name.ends_with('!'), name.ends_with("!!"));
    Attribute {
        number: i16::try_from(number).expect("few columns") + 1,
        name: name.trim_end_matches('!').to_owned(),
        type_oid,
        not_null,
        unique,
        ..Attribute::default()
    }
}

fn function(schema: &str, name: &str, extension: Option<&str>) -> Function {
    let language = if extension.is_some() { "c" } else { "sql" };
    Function {
        schema: schema.to_owned(),
        name: name.to_owned(),
        language: language.to_owned(),
        volatility: Volatility::Volatile,
        extension: extension.map(str::to_owned),
        ..Function::default()
    }
}

/// What functions give and take, where that is known.
fn results(catalog: &mut Catalog) {
    let mut gives = |name: &str, scalar: bool, results: &[&str], defaults: Option<&str>| {
        let all = catalog.functions.get_mut(name).into_iter().flatten().filter(|known| known.schema == "clinical");
        all.for_each(|known| {
            known.results = results.iter().map(|name| (*name).to_owned()).collect();
            (known.scalar, known.defaults) = (scalar, defaults.map(str::to_owned));
        });
    };
    gives("years", true, &[], Some("'2020-01-01'::date"));
    gives("label", true, &[], None);
    gives("swapped", false, &["a", "b"], None);
    gives("since", true, &[], Some("scratch.wipe(1), 3"));
    gives("age_years", true, &[], Some("clinical.whisper()"));
}

/// The catalog of the clinic.
pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (at, line) in include_str!("../../fixtures/sql/relations.txt").lines().enumerate() {
        let (name, columns) = line.split_once(": ").expect("a relation");
        let (schema, name) = name.split_once('.').expect("a schema");
        let kind = if name.starts_with("v_") { RelationKind::View } else { RelationKind::Table };
        let columns = columns.split_whitespace().enumerate().map(|(number, text)| attribute(number, text)).collect();
        let (schema, name) = (schema.to_owned(), name.to_owned());
        let oid = FIRST_OID + u32::try_from(at).expect("few relations");
        catalog.insert(Relation {
            oid,
            schema,
            name,
            kind,
            temporary: false,
            columns,
            parents: Vec::new(),
            depends: Vec::new(),
            calls_unknown: false,
        });
    }
    catalog.builtin = include_str!("../../fixtures/sql/builtin.txt").split_whitespace().map(str::to_owned).collect();
    let labels = ["F", "M", "X"].map(str::to_owned).to_vec();
    let info =
        |oid, name: &str, kind, category| TypeInfo { oid, schema: "clinical".to_owned(), name: name.to_owned(), kind, category };
    catalog.types.insert(SEX, info(SEX, "sex", TypeKind::Enum(labels), 'E'));
    let labels = ["calm", "cross", "merry"].map(str::to_owned).to_vec();
    catalog.types.insert(MOOD, info(MOOD, "mood", TypeKind::Enum(labels), 'E'));
    catalog.types.insert(BOOL, info(BOOL, "bool", TypeKind::Base, 'B'));
    for (schema, name, extension) in [
        ("clinical", "age_years", None),
        ("clinical", "patient_label", None),
        ("clinical", "whisper", None),
        ("scratch", "wipe", None),
        ("scratch", "now", None),
        ("scratch", "agg", None),
        ("public", "digest", Some("pgcrypto")),
        ("public", "similarity", Some("pg_trgm")),
        ("public", "hs_concat", Some("hstore")),
        ("public", "hstore", Some("hstore")),
        ("public", "dblink_exec", Some("dblink")),
        ("pg_catalog", "obj_description", None),
        ("pg_catalog", "age", None),
    ] {
        catalog.functions.entry(name.to_owned()).or_default().push(function(schema, name, extension));
    }
    let mut text = |schema: &str, name: &str, arguments: &[&str], body: &str| {
        let arguments = arguments.iter().map(|name| (*name).to_owned()).collect();
        let made = Function { arguments, body: Some(body.to_owned()), ..function(schema, name, None) };
        catalog.functions.entry(name.to_owned()).or_default().push(made);
    };
    text("clinical", "years", &["d", "at"], "SELECT extract(year FROM age(at, d))::integer");
    text("clinical", "label", &["pid"], "SELECT last_name || '/' || ssn FROM clinical.patients WHERE id = pid");
    text("clinical", "whole", &["pid"], "SELECT * FROM clinical.patients WHERE id = $1");
    text("clinical", "forget", &["pid"], "DELETE FROM billing.claims WHERE patient_id = pid; SELECT 1");
    text("clinical", "twice", &["x"], "RETURN clinical.years(x, now()) * 2");
    text("clinical", "loop", &["x"], "SELECT clinical.loop(x)");
    text("clinical", "swapped", &["pid"], "SELECT ssn AS b, 'x' AS a FROM clinical.patients WHERE id = pid");
    text("clinical", "since", &["x", "y", "z"], "SELECT $1 || $3");
    text("clinical", "second", &["a", "b"], "SELECT $2");
    text("clinical", "sly", &["x"], "SELECT scratch.wipe(x)");
    results(&mut catalog);
    let pair = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
    catalog.operators.insert("||".to_owned(), vec![pair("public", "hs_concat")]);
    catalog.operators.insert("###".to_owned(), vec![pair("scratch", "wipe")]);
    catalog.conversions.insert("checked".to_owned(), vec![pair("scratch", "wipe")]);
    catalog
}

/// Analyses under usual settings.
pub(super) fn analyzed(catalog: &Catalog, text: &str) -> Vec<Facts> {
    under(catalog, text.as_bytes(), "UTF8", true)
}

/// Analyses under the settings given.
pub(super) fn under(catalog: &Catalog, text: &[u8], client_encoding: &str, standard_conforming_strings: bool) -> Vec<Facts> {
    let temporary = Temporaries::from([("tt".to_owned(), Temporary::default())]);
    let nothing = |_: &str| Vec::new();
    let setting = Setting {
        catalog,
        standard_conforming_strings,
        client_encoding,
        temporary: &temporary,
        prepared: &nothing,
        cursors: &nothing,
    };
    analyze(text, &setting).statements
}
