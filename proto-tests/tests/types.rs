//! Every type that PostgreSQL ships, under every strategy, in text and binary: a mask is always a value of its column's type.
//!
//! The oracle is PostgreSQL: what came out must go in again as that type, in the same format.

use std::sync::LazyLock;

use proto_tests::clients::{Client, binary, query};
use proto_tests::{Stand, Wire};

static STAND: LazyLock<Stand> = LazyLock::new(|| {
    let stand = Stand::start("clinic", &["--policy", concat!(env!("CARGO_MANIFEST_DIR"), "/policies/every-type.toml")]);
    create(&stand);
    stand
});

const STRATEGIES: [&str; 9] = ["redact", "null", "fixed", "last", "first", "year", "zip3", "round", "pseudonym"];

/// A value of each type; each holds something that no mask of its column may show.
const VALUES: &[(&str, &str)] = &[
    ("bool", "true"),
    ("bytea", "\\xdeadbeef7177"),
    ("\"char\"", "q"),
    ("name", "zqxjkvwy"),
    ("int8", "7316092485"),
    ("int2", "7316"),
    ("int2vector", "7316 2485"),
    ("int4", "731609248"),
    ("regproc", "pg_catalog.pg_sleep"),
    ("text", "zqxjkvwy zqxjkvwy"),
    ("oid", "731609248"),
    ("tid", "(73160,92)"),
    ("xid", "731609248"),
    ("cid", "731609248"),
    ("oidvector", "731609248 7316"),
    ("json", "{\"zqxj\": [731609248, \"zqxjkvwy\"]}"),
    ("xml", "<zqxj>zqxjkvwy</zqxj>"),
    ("xid8", "7316092485"),
    ("point", "(73.160925,7316.092485)"),
    ("lseg", "[(73.160925,1),(7316.092485,2)]"),
    ("path", "((73.160925,1),(7316.092485,2))"),
    ("box", "(73.160925,7316.092485),(1,2)"),
    ("polygon", "((73.160925,1),(7316.092485,2),(3,4))"),
    ("line", "{73.160925,7316.092485,1}"),
    ("circle", "<(73.160925,7316.092485),5>"),
    ("float4", "731609.25"),
    ("float8", "7316092.485"),
    ("money", "7316092.48"),
    ("macaddr", "73:16:09:24:85:01"),
    ("macaddr8", "73:16:09:24:85:01:02:03"),
    ("inet", "73.160.92.48"),
    ("cidr", "73.160.92.0/24"),
    ("aclitem", "clinic_app=r/clinic_owner"),
    ("bpchar(12)", "zqxjkvwy"),
    ("varchar(12)", "zqxjkvwy"),
    ("varchar(3)", "zqx"),
    ("date", "1973-07-16"),
    ("time", "07:31:16.092485"),
    ("timestamp", "1973-07-16 07:31:16.092485"),
    ("timestamptz", "1973-07-16 07:31:16.092485+00"),
    ("interval", "7 years 3 mons 16 days 09:24:08.5"),
    ("timetz", "07:31:16.092485+03"),
    ("bit(11)", "10110111011"),
    ("varbit(15)", "10110111011"),
    ("numeric", "7316092485.731609248"),
    ("numeric(5,2)", "731.61"),
    ("refcursor", "zqxjkvwy"),
    ("regprocedure", "pg_catalog.pg_sleep(double precision)"),
    ("regoper", "pg_catalog.||/"),
    ("regoperator", "pg_catalog.+(integer,integer)"),
    ("regclass", "pg_catalog.pg_class"),
    ("regcollation", "pg_catalog.\"C\""),
    ("regtype", "pg_catalog.circle"),
    ("regrole", "clinic_app"),
    ("regnamespace", "clinical"),
    ("uuid", "73160924-8501-4000-8000-731609248501"),
    ("pg_lsn", "73160/92485"),
    ("tsvector", "'zqxjkvwy':1 'yzqxjkvw':2"),
    ("tsquery", "'zqxjkvwy' & 'yzqxjkvw'"),
    ("regconfig", "pg_catalog.english"),
    ("regdictionary", "pg_catalog.english_stem"),
    ("jsonb", "{\"zqxj\": [731609248, \"zqxjkvwy\"]}"),
    ("jsonpath", "$.\"zqxjkvwy\""),
    ("txid_snapshot", "73160:92485:73161"),
    ("pg_snapshot", "73160:92485:73161"),
    ("int4range", "[731609,731700)"),
    ("numrange", "[731609.5,731700.25]"),
    ("tsrange", "[1973-07-16 07:31:16,1973-08-16 07:31:16)"),
    ("tstzrange", "[1973-07-16 07:31:16+00,1973-08-16 07:31:16+00)"),
    ("daterange", "[1973-07-16,1973-08-16)"),
    ("int8range", "[7316092485,7316092500)"),
    ("int4multirange", "{[731609,731700)}"),
    ("nummultirange", "{[731609.5,731700.25]}"),
    ("tsmultirange", "{[1973-07-16 07:31:16,1973-08-16 07:31:16)}"),
    ("tstzmultirange", "{[1973-07-16 07:31:16+00,1973-08-16 07:31:16+00)}"),
    ("datemultirange", "{[1973-07-16,1973-08-16)}"),
    ("int8multirange", "{[7316092485,7316092500)}"),
    ("text[]", "{zqxjkvwy,NULL,yzqxjkvw}"),
    ("int4[]", "{{731609248,1},{2,731609249}}"),
    ("date[]", "{1973-07-16,NULL}"),
    ("uuid[]", "{73160924-8501-4000-8000-731609248501}"),
    ("jsonb[]", "{\"{\\\"zqxj\\\": 731609248}\"}"),
    ("numeric[]", "{7316092485.73}"),
    ("bytea[]", "{\"\\\\xdeadbeef7177\"}"),
    ("tests.code", "zqxjkvwy"),
    ("tests.code[]", "{zqxjkvwy}"),
    ("tests.mood", "zqxjkvwy"),
    ("tests.mood[]", "{zqxjkvwy,other}"),
    ("tests.pair", "(731609248,zqxjkvwy)"),
    ("tests.pair[]", "{\"(731609248,zqxjkvwy)\"}"),
    ("public.hstore", "\"zqxj\"=>\"zqxjkvwy\""),
];

/// Types that have no input: nothing of them can be stored in a table.
const NO_INPUT: &str = "'pg_node_tree','gtsvector','pg_ndistinct','pg_dependencies','pg_mcv_list','pg_brin_bloom_summary',\
    'pg_brin_minmax_multi_summary'";

fn create(stand: &Stand) {
    let columns: Vec<_> = VALUES.iter().enumerate().map(|(n, (t, _))| format!("c{n} {t}")).collect();
    let values: Vec<_> = VALUES.iter().map(|(t, v)| format!("'{}'::{t}", v.replace('\'', "''"))).collect();
    let mut sql = String::from(
        "create domain tests.code as text check (value ~ '^[a-z]{8}$'); create type tests.mood as enum ('other', 'zqxjkvwy'); \
         create type tests.pair as (number int4, word text); ",
    );
    for strategy in STRATEGIES {
        let (columns, values) = (columns.join(", "), values.join(", "));
        sql +=
            &format!("create table tests.typed_{strategy} ({columns}); insert into tests.typed_{strategy} values ({values}); ");
        sql += &format!("insert into tests.typed_{strategy} default values; ");
    }
    stand.owner(&sql);
}

/// Whether PostgreSQL takes the value as that type, in that format.
fn goes_in(owner: &mut Wire, type_name: &str, cell: &[u8], in_binary: bool) -> Result<String, String> {
    // whoever reads a domain reads its base type: a mask need not obey the domain's check
    let sql = format!("select $1::{}", type_name.replace("tests.code", "text"));
    owner.pipeline(|p| {
        p.parse("", &sql);
        if in_binary {
            p.bind_binary(cell);
        } else {
            p.bind("", "", &[Some(std::str::from_utf8(cell).unwrap())], 0);
        }
        p.execute("", 0).sync();
    });
    let reply = owner.reply();
    match reply.of(b'E').next() {
        Some(error) => Err(error.field(b'M').unwrap()),
        None => Ok(reply.rows()[0][0].clone().unwrap_or_default()),
    }
}

fn select(wire: &mut Wire, table: &str, columns: &[usize], result: i16) -> Vec<Vec<Option<Vec<u8>>>> {
    let list: Vec<_> = columns.iter().map(|n| format!("c{n}")).collect();
    let sql = format!("select {} from tests.typed_{table}", list.join(", "));
    wire.pipeline(|p| {
        p.parse("", &sql).describe(b'S', "").bind("", "", &[], result).execute("", 0).sync();
    });
    let reply = wire.reply();
    assert_eq!(reply.sqlstate(), None, "{table}: {:?}", reply.of(b'E').next().and_then(|m| m.field(b'M')));
    reply.of(b'D').map(proto_tests::Message::cells).collect()
}

#[test]
fn the_list_of_types_is_whole() {
    let listed: Vec<_> = (0..VALUES.len()).map(|n| format!("'c{n}'")).collect();
    let missing = STAND.owner(&format!(
        "select t.typname from pg_type t where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm') \
         and t.typcategory <> 'A' and t.typname not in ({NO_INPUT}) and not exists (select from pg_attribute a \
         where a.attrelid = 'tests.typed_redact'::regclass and a.attname in ({}) and a.atttypid = t.oid)",
        listed.join(",")
    ));
    assert_eq!(missing, "", "types without a value in this test");
}

#[test]
fn every_mask_is_a_value_of_its_type() {
    let mut agent = Wire::connect(&STAND, &STAND.identity("AGENT"));
    let mut owner = Wire::owner(&STAND);
    let sendable = STAND.owner(
        "select substr(attname, 2) from pg_attribute a join pg_type t on t.oid = atttypid left join pg_type e on e.oid = t.typelem \
         where attrelid = 'tests.typed_redact'::regclass and attnum > 0 and t.typsend <> 0 and (t.typelem = 0 or e.typsend <> 0) \
         order by attnum",
    );
    let sendable: Vec<usize> = sendable.lines().map(|n| n.parse().unwrap()).collect();
    let all: Vec<usize> = (0..VALUES.len()).collect();
    let mut faults = Vec::new();
    for strategy in STRATEGIES {
        for (columns, format) in [(&all, 0), (&sendable, 1)] {
            let rows = select(&mut agent, strategy, columns, format);
            assert_eq!(rows.len(), 2, "{strategy}");
            assert!(rows[1].iter().all(Option::is_none), "{strategy}: a NULL is no longer one");
            for (cell, n) in rows[0].iter().zip(columns) {
                let (type_name, raw) = VALUES[*n];
                let Some(cell) = cell else { continue };
                match goes_in(&mut owner, type_name, cell, format == 1) {
                    Err(why) => faults.push(format!("{strategy}, {type_name}, format {format}: {why}")),
                    Ok(text) if shows(strategy, type_name, raw, &text) => {
                        faults.push(format!("{strategy}, {type_name}, format {format}: shows {text}"));
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a mask shows of the raw value what its strategy does not allow.
fn shows(strategy: &str, type_name: &str, raw: &str, mask: &str) -> bool {
    // a bool has no third value, two digits of a short text may stay, a year may stay
    if matches!(type_name, "bool" | "\"char\"" | "varchar(3)") || (strategy == "round" && raw.len() < 7) {
        return false;
    }
    mask == raw
        || strategy != "round"
            && ["qxjkv", "1609248", "-07-16", "160.92", "160924", "31:16", "adbeef"].iter().any(|part| mask.contains(part))
}

#[test]
fn text_and_binary_say_the_same() {
    let agent = STAND.identity("AGENT");
    let columns = "c0, c1, c3, c4, c7, c9, c26, c34, c36, c38, c39, c44, c45, c55, c61, c77, c78, c79";
    for strategy in STRATEGIES {
        let sql = format!("select {columns} from tests.typed_{strategy}");
        let answers = Client::Psycopg.run(&agent.dsn, &[query(&sql), binary(&sql)]);
        assert!(answers[0]["broken"].is_null() && answers[1]["broken"].is_null(), "{strategy}: {answers:?}");
        assert_eq!(answers[0]["rows"], answers[1]["rows"], "{strategy}");
        let binary_only = &Client::Asyncpg.run(&agent.dsn, &[query(&sql)])[0];
        assert!(binary_only["broken"].is_null(), "{strategy}: {binary_only}");
    }
}
