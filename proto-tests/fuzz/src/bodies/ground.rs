//! What the bodies share: the catalog of the clinic, a policy for it, and results with masked columns.

use std::sync::LazyLock;

use bytes::Bytes;
use pgveil::mask::{Keys, MaskMap, MaskedColumn, PseudonymKey, RowPlan, Strategy};
use pgveil::policy::Policy;
use pgveil::sql::{
    Analysis, Attribute, Catalog, Relation, RelationKind, Setting, Temporaries, Temporary, TypeInfo, TypeKind, analyze,
};
use pgveil::wire::{ColumnField, Format, RowDescription};

/// OID of the table that masked results come from.
const TABLE: u32 = 16_384;
/// Most columns of such a result.
pub(super) const COLUMNS_MAX: usize = 6;

/// The clinic's catalog, as `pgveil catalog` has written it.
pub(super) static CLINIC: LazyLock<Catalog> = LazyLock::new(|| {
    let text = include_str!("../../../../fixtures/clinic/catalog.json");
    let mut value: serde_json::Value = serde_json::from_str(text).expect("a snapshot");
    value["by_name"] = serde_json::json!({});
    let mut catalog: Catalog = serde_json::from_value(value).expect("a snapshot of this version");
    let mut relations: Vec<Relation> = std::mem::take(&mut catalog.relations).into_values().collect();
    relations.sort_by_key(|relation| relation.oid);
    relations.into_iter().for_each(|relation| catalog.insert(relation));
    catalog
});

/// The policy that ships for such a clinic.
pub(super) static SAFE_HARBOR: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../../../../policies/hipaa-safe-harbor/policy.toml");
    Policy::parse(text, "policy.toml").expect("the policy loads")
});

/// What it masks for an agent.
pub(super) static MASKS: LazyLock<MaskMap> =
    LazyLock::new(|| MaskMap::resolve(&CLINIC, &SAFE_HARBOR.masks_for(&["agents".to_owned()]), SAFE_HARBOR.known_functions()));

/// Every way to mask a value, as policies write it.
const WITH: [&str; 24] = [
    "\"redact\"",
    "\"null\"",
    "\"year\"",
    "\"zip3\"",
    "\"pseudonym\"",
    "\"age\"",
    "\"scan\"",
    "{ fixed = \"none\" }",
    "{ fixed = \"7\" }",
    "{ partial = { keep_last = 4 } }",
    "{ partial = { keep_first = 1 } }",
    "{ round = 10 }",
    "{ round = 0.25 }",
    "{ pseudonym = { format = \"digits\" } }",
    "{ pseudonym = { format = \"uuid\", scope = \"a\" } }",
    "{ pseudonym = { format = \"name\" } }",
    "{ json = { \"$.ssn\" = \"redact\" } }",
    "{ json = { \"$..ssn\" = \"redact\", \"$.notes[*]\" = \"null\", \"$.kin[*].born\" = \"year\" } }",
    "{ csv = { columns = [2], with = \"redact\" } }",
    "{ csv = { columns = [1, 3], with = { partial = { keep_last = 2 } }, delimiter = \";\" } }",
    "{ elements = \"redact\" }",
    "{ elements = { partial = { keep_last = 2 } } }",
    "{ scan = { detect = [\"ssn\", \"phone\", \"email\"], replace = \"placeholder\" } }",
    "{ scan = { replace = \"pseudonym\", dates = \"year\", names = [\"Ada Byron\"] } }",
];

/// Those ways, read by the policy's own reader.
pub(super) static STRATEGIES: LazyLock<Vec<Strategy>> = LazyLock::new(|| {
    let mut text = "[default]\nthen = \"allow\"\n[unknown]\nthen = \"block\"\n".to_owned();
    for (at, with) in WITH.iter().enumerate() {
        text += &format!("[[mask]]\ncolumns = [\"a.b.c{at}\"]\nwith = {with}\n");
    }
    let policy = Policy::parse(&text, "strategies").unwrap_or_else(|faults| panic!("{faults:?}"));
    let rules = policy.masks_for(&[]);
    let of = |at: usize| rules.iter().find(|rule| rule.column == format!("a.b.c{at}")).expect("a rule a column");
    (0..WITH.len()).map(|at| of(at).strategy.clone()).collect()
});

/// Types of columns, with those that users have made.
pub(super) const TYPES: [u32; 27] = [
    16, 18, 19, 20, 21, 23, 25, 114, 142, 700, 701, 1007, 1009, 1042, 1043, 1082, 1114, 1182, 1184, 1186, 1231, 1700, 2950, 3802,
    3807, 20_002, 20_004,
];

/// The catalog that masked results are judged by.
static TABLES: LazyLock<Catalog> = LazyLock::new(|| {
    let columns = (1..=COLUMNS_MAX).map(|number| Attribute {
        number: i16::try_from(number).expect("few columns"),
        name: format!("c{number}"),
        type_oid: 25,
        ..Attribute::default()
    });
    let mut catalog = Catalog::default();
    catalog.insert(Relation {
        oid: TABLE,
        schema: "clinical".to_owned(),
        name: "patients".to_owned(),
        kind: RelationKind::Table,
        temporary: false,
        columns: columns.collect(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    });
    let mut add = |oid: u32, schema: &str, name: &str, kind: TypeKind, category: char| {
        catalog.types.insert(oid, TypeInfo { oid, schema: schema.to_owned(), name: name.to_owned(), kind, category });
    };
    for (oid, name, element) in
        [(1007, "_int4", 23), (1009, "_text", 25), (1182, "_date", 1082), (1231, "_numeric", 1700), (3807, "_jsonb", 3802)]
    {
        add(oid, "pg_catalog", name, TypeKind::Array(element), 'A');
    }
    add(20_002, "clinical", "us_ssn", TypeKind::Domain(25), 'S');
    add(20_004, "clinical", "sex", TypeKind::Enum(vec!["F".to_owned(), "M".to_owned()]), 'E');
    catalog
});

/// A result column: its type, type modifier and format, and what is done with it. The outer `None` leaves it as it is, the inner
/// one replaces it whole.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
    pub(super) format: Format,
    pub(super) mask: Option<Option<Strategy>>,
}

/// The plan for rows of such columns, which are named `c1` and so on.
pub(super) fn plan(columns: &[Column]) -> RowPlan {
    let fields = columns.iter().zip(1_i16..).map(|(column, number)| ColumnField {
        name: Bytes::from(format!("c{number}")),
        table_oid: TABLE,
        attribute: number,
        type_oid: column.type_oid,
        type_length: -1,
        type_modifier: column.modifier,
        format: column.format,
    });
    let masked = columns.iter().zip(1_i16..).filter_map(|(column, number)| {
        let strategy = column.mask.clone()?;
        Some(((TABLE, number), MaskedColumn::of(&format!("clinical.patients.c{number}"), strategy)))
    });
    let map = MaskMap { columns: masked.collect(), touched: [TABLE].into(), ruled: true, ..MaskMap::default() };
    let keys = Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Default::default() };
    RowPlan::new(&RowDescription { columns: fields.collect() }, None, &map, true, &TABLES, &keys)
}

/// What a text is, over the clinic's catalog.
pub(super) fn analyzed(text: &[u8], client_encoding: &str, standard_conforming_strings: bool) -> Analysis {
    let temporary = Temporaries::from([("tt".to_owned(), Temporary::default())]);
    let nothing = |_: &str| Vec::new();
    let setting = Setting {
        catalog: &CLINIC,
        standard_conforming_strings,
        client_encoding,
        temporary: &temporary,
        prepared: &nothing,
        cursors: &nothing,
    };
    analyze(text, &setting)
}
