//! Real clients, each with its own idea of the protocol, see the same masked values, and none see a raw one.

use std::sync::LazyLock;

use proto_tests::clients::{ALL, Client, binary, query, repeated, rows};
use proto_tests::{Canaries, Stand, Wire};
use serde_json::json;

/// Masks for all but clinicians, no holds.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/corpus-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));
static RAW: LazyLock<Canaries> = LazyLock::new(|| Canaries::of(&STAND));

const PATIENTS: &str = "select id, mrn, ssn, first_name, last_name, birth_date, phone, zip, state from clinical.patients \
     where id between 1 and 20 order by id";

#[test]
fn every_client_sees_the_same_masked_rows() {
    let agent = STAND.identity("AGENT");
    let expected = Wire::connect(&STAND, &agent).query(PATIENTS).rows();
    assert_eq!(expected.len(), 20);
    for client in ALL {
        let answers = client.run(&agent.dsn, &[query(PATIENTS), repeated(PATIENTS, 12)]);
        for answer in &answers {
            RAW.assert_clean(&format!("{client:?}"), answer.to_string().as_bytes());
            assert_eq!(rows(answer)[0][2..], expected[0][2..], "{client:?}");
            assert_eq!(rows(answer).len(), 20, "{client:?}");
        }
        assert_eq!(answers[1]["same"], json!(true), "{client:?}: a later execution differs");
    }
}

#[test]
fn text_and_binary_results_are_masked_alike() {
    let agent = STAND.identity("AGENT");
    let answers = Client::Psycopg.run(&agent.dsn, &[query(PATIENTS), binary(PATIENTS)]);
    assert_eq!(rows(&answers[0]), rows(&answers[1]));
    RAW.assert_clean("psycopg", answers[1].to_string().as_bytes());
}

#[test]
fn a_clinician_sees_what_the_database_holds() {
    let clinician = STAND.identity("CLINICIAN");
    let direct = Client::Psycopg.run(STAND.value("OWNER"), &[query(PATIENTS), binary(PATIENTS)]);
    for client in ALL {
        let answers = client.run(&clinician.dsn, &[query(PATIENTS)]);
        assert_eq!(rows(&answers[0]), rows(&direct[0]), "{client:?}");
    }
    assert_eq!(Client::Psycopg.run(&clinician.dsn, &[query(PATIENTS), binary(PATIENTS)]), direct);
}

#[test]
fn masks_are_of_the_columns_types() {
    let agent = STAND.identity("AGENT");
    let sql = "select ssn, birth_date, mrn, last_name, lat, photo, home, aliases, contact, name_search from clinical.patients where id = 7";
    for client in ALL {
        for answer in client.run(&agent.dsn, &[query(sql), binary(sql)]) {
            assert!(answer["broken"].is_null(), "{client:?} could not read a mask: {answer}");
            RAW.assert_clean(&format!("{client:?}"), answer.to_string().as_bytes());
        }
    }
    let direct = STAND.owner("select right(ssn, 4), extract(year from birth_date) from clinical.patients where id = 7");
    let (last, year) = direct.split_once('\t').unwrap();
    let seen = &rows(&Client::Psycopg.run(&agent.dsn, &[query(sql)])[0])[0];
    assert!(seen[0].as_ref().unwrap().ends_with(last), "{seen:?}");
    assert!(seen[1].as_ref().unwrap().starts_with(year), "{seen:?}");
}

#[test]
fn a_null_stays_null() {
    let agent = STAND.identity("AGENT");
    for client in ALL {
        let answers = client.run(
            &agent.dsn,
            &[
                query("select ssn from clinical.patients where id = 97"),
                query("select middle_name from clinical.patients where id = 2"),
            ],
        );
        assert!(answers.iter().all(|a| rows(a)[0][0].is_none()), "{client:?}: {answers:?}");
    }
}

#[test]
fn parameters_reach_the_database() {
    let agent = STAND.identity("AGENT");
    for (client, sql) in [
        (Client::Psycopg, "select id, state from clinical.patients where id = %s"),
        (Client::Asyncpg, "select id, state from clinical.patients where id = $1"),
        (Client::Node, "select id, state from clinical.patients where id = $1"),
    ] {
        let step = json!({"op": "query", "sql": sql, "args": [42], "times": 7});
        assert_eq!(rows(&client.run(&agent.dsn, &[step])[0])[0][0].as_deref(), Some("42"), "{client:?}");
    }
}

#[test]
fn errors_are_the_servers_own_and_quote_nothing() {
    let agent = STAND.identity("AGENT");
    let steps = [
        query("select no_such_column from clinical.patients"),
        query("selec 1"),
        query("select last_name::int from clinical.patients where id = 3"),
        query("update clinical.patients set mrn = (select mrn from clinical.patients where id = 4) where id = 3"),
        query("select 1/(id - 3) from clinical.patients where id = 3"),
        query("select 41 + 1"),
    ];
    for client in ALL {
        let answers = client.run(&agent.dsn, &steps);
        assert_eq!(answers[0]["error"]["code"], "42703", "{client:?}");
        assert!(answers[0]["error"]["message"].as_str().unwrap().contains("no_such_column"), "{client:?}");
        // what cannot be read may be refused by the policy or by the database: class 42 either way
        assert!(answers[1]["error"]["code"].as_str().unwrap().starts_with("42"), "{client:?}: {}", answers[1]);
        for answer in &answers[2..5] {
            assert!(answer["error"]["code"].is_string(), "{client:?}: {answer}");
        }
        assert_eq!(rows(&answers[5])[0][0].as_deref(), Some("42"), "{client:?}: unusable after an error");
        RAW.assert_clean(&format!("{client:?}"), serde_json::to_string(&answers).unwrap().as_bytes());
    }
}

#[test]
fn copies_are_masked_and_those_of_other_relations_come_as_they_are() {
    let agent = STAND.identity("AGENT");
    let raw = json!({"op": "copy_out", "sql": "copy (select * from clinical.patients) to stdout"});
    let clean = json!({"op": "copy_out", "sql": "copy (select code, label from clinical.codes order by code) to stdout"});
    for client in [Client::Psycopg, Client::Asyncpg] {
        let answers = client.run(&agent.dsn, &[raw.clone(), clean.clone()]);
        let masked = answers[0]["data"].as_str().unwrap_or_default();
        assert!(masked.lines().count() > 100, "{client:?}: {}", answers[0]["error"]);
        assert!(masked.lines().all(|line| line.split('\t').nth(2).is_some_and(|ssn| ssn.starts_with("***-**-") || ssn == "\\N")));
        assert!(answers[1]["data"].as_str().unwrap().contains("8867-4\tHeart rate\n"), "{client:?}: {}", answers[1]);
        RAW.assert_clean(&format!("{client:?}"), serde_json::to_string(&answers).unwrap().as_bytes());
    }
}

#[test]
fn psql_shows_masked_rows_and_describes_tables() {
    let agent = STAND.identity("AGENT");
    let shown = STAND.psql(&agent.dsn, &["-c", PATIENTS]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("(20 rows)"));
    RAW.assert_clean("psql", &shown.stdout);
    for command in ["\\d clinical.patients", "\\dt clinical.*", "\\dn", "\\du", "\\df clinical.*"] {
        let through = STAND.psql(&agent.dsn, &["-c", command]);
        let direct = STAND.psql(STAND.value("APP"), &["-c", command]);
        let same = through.stdout == direct.stdout;
        assert!(same, "{command}: {} {}", String::from_utf8_lossy(&through.stdout), String::from_utf8_lossy(&through.stderr));
    }
}

#[tokio::test]
async fn tokio_postgres_reads_masked_rows() {
    let agent = STAND.identity("AGENT");
    let (client, connection) = tokio_postgres::connect(&agent.dsn, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let statement =
        client.prepare("select ssn::text as direct, last_name, id from clinical.patients where id = $1").await.unwrap();
    for id in 1..=20_i32 {
        let row = client.query_one(&statement, &[&id]).await.unwrap();
        let (name, back): (String, i32) = (row.get(1), row.get(2));
        assert_eq!(back, id);
        RAW.assert_clean("tokio-postgres", name.as_bytes());
        let cast: Option<String> = row.get(0);
        RAW.assert_clean("tokio-postgres", cast.unwrap_or_default().as_bytes());
    }
    let simple = client.simple_query(PATIENTS).await.unwrap();
    RAW.assert_clean("tokio-postgres", format!("{simple:?}").as_bytes());
    drop(client);
    driver.await.unwrap().unwrap();
}
