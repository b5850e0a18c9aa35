//! Issuers' tokens, against a real OpenID provider: who comes in, who does not and why, and when a session ends.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Instant;

use proto_tests::clients::{ALL, query, rows};
use proto_tests::{Identity, Issuer, Ran, Stand, Wire, bearer, cli, eventually};
use serde_json::{Value, json};

/// Tokens that outlive the tests, and an issuer whose tokens do not.
static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::start(600));
static OTHER: LazyLock<Issuer> = LazyLock::new(|| Issuer::start(8));
static STAND: LazyLock<Stand> =
    LazyLock::new(|| Stand::start("clinic", &["--also", &configuration("clear_on_loopback = true\n")]));
static TLS: LazyLock<Stand> = LazyLock::new(|| {
    let rules = "[[login.rule]]\nuser = \"oauth-*\"\noffer = \"oauthbearer\"\n";
    Stand::start("clinic", &["--tls", "--also", &configuration(rules)])
});

/// Two issuers with different claims.
fn configuration(login: &str) -> String {
    let first = ISSUER.entry("first", "groups_claim = \"groups\"\nleeway = \"2s\"\nkeys_refresh = \"1s\"\n[[issuer.require]]\ngroups = [\"compliance\"]\namr = [\"mfa\"]");
    let more = "groups_claim = \"realm.roles\"\ngroups_prefix = \"db-\"\nleeway = \"0s\"\nexpiry = \"end\"";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "[login]\n{login}\n{first}\n{}", OTHER.entry("second", more)).unwrap();
    file.into_temp_path().keep().unwrap().to_str().unwrap().to_owned()
}

fn who(user: &str, token: &str) -> Identity {
    Identity { user: user.into(), password: token.into(), dsn: String::new() }
}

fn come_in(stand: &Stand, user: &str, token: &str) -> Wire {
    let connected = Wire::try_connect(stand.port(), &who(user, token), "clinic", &[]).unwrap();
    connected.unwrap_or_else(|error| panic!("{user} did not come in: {:?}", error.field(b'M')))
}

/// SQLSTATE and message.
fn refused(stand: &Stand, user: &str, token: &str) -> (String, String) {
    match Wire::try_connect(stand.port(), &who(user, token), "clinic", &[]).unwrap() {
        Ok(_) => panic!("{user} came in"),
        Err(error) => (error.field(b'C').unwrap(), error.field(b'M').unwrap()),
    }
}

fn sessions(stand: &Stand) -> Vec<Value> {
    let listed = cli::pgveil(&["sessions", "--config", stand.value("CONFIG"), "--limit", "200", "--json"]).json();
    listed.as_array().unwrap().clone()
}

#[test]
fn a_token_as_password_opens_a_session_of_its_groups() {
    let sql = "select last_name from clinical.patients where id = 7";
    let clear = STAND.owner(sql);
    let mut carla = come_in(&STAND, "carla", &ISSUER.carla());
    assert_eq!(carla.query(sql).rows(), [[Some(clear.clone())]]);
    let mut machine = come_in(&STAND, "scheduler", &ISSUER.machine("scheduler"));
    assert_ne!(machine.query(sql).rows(), [[Some(clear)]], "an agent sees what only clinicians may see");
    let of_second = OTHER.mint(&json!({"claims": {"realm": {"roles": ["x", "db-clinicians"]}, "preferred_username": "carla"}}));
    let mut second = come_in(&STAND, "carla", &of_second);
    assert_eq!(second.query("select 1").tags(), "TDCZ");
    let names: Vec<String> = eventually("the sessions are listed", || {
        let names: Vec<String> =
            sessions(&STAND).iter().map(|row| row["identity"].as_str().unwrap_or_default().to_owned()).collect();
        ["carla@first", "scheduler@first", "carla@second"].iter().all(|name| names.iter().any(|n| n == name)).then_some(names)
    });
    assert!(names.len() >= 3);
    let id =
        sessions(&STAND).iter().find(|row| row["identity"] == "scheduler@first").unwrap()["session"].as_str().unwrap().to_owned();
    let shown = cli::pgveil(&["replay", "--config", STAND.value("CONFIG"), &id]).ok();
    assert!(shown.contains("logged in by token: scheduler of first"), "{shown}");
}

#[test]
fn registered_credentials_come_in_beside_tokens() {
    for stand in [&*STAND, &*TLS] {
        let agent = stand.identity("AGENT");
        let shown = stand.psql(&agent.dsn, &["-tAc", "select 'in'"]);
        assert_eq!(String::from_utf8_lossy(&shown.stdout), "in\n", "{}", String::from_utf8_lossy(&shown.stderr));
    }
}

#[test]
fn real_clients_log_in_with_a_token_over_tls() {
    let dsn = |user: &str| {
        let agent = TLS.identity("AGENT");
        agent.dsn.replace(&format!("{}:{}@", agent.user, agent.password), &format!("{user}:{}@", ISSUER.carla()))
    };
    for client in ALL {
        let answer = &client.run(&dsn("carla"), &[query("select 40 + 2")])[0];
        assert_eq!(rows(answer)[0][0].as_deref(), Some("42"), "{client:?}: {answer}");
    }
    let shown = TLS.psql(&dsn("carla"), &["-tAc", "select 'in'"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "in\n", "{}", String::from_utf8_lossy(&shown.stderr));
    // Without TLS nothing is asked for.
    let clear = TLS.psql(&format!("{}?sslmode=disable", dsn("carla").split('?').next().unwrap()), &["-c", "select 1"]);
    assert!(!clear.status.success());
}

/// Tokens that let nobody in: how each is made, how the log calls it, and its SQLSTATE.
fn bad_tokens() -> Vec<(Value, &'static str, &'static str)> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let groups = json!(["clinicians"]);
    let many: Vec<String> = (0..1_000).map(|n| format!("g{n}")).collect();
    vec![
        (json!({"claims": {"iss": "https://elsewhere.example", "groups": groups}}), "unknown-issuer", "28000"),
        (json!({"claims": {"iss": OTHER.url(), "groups": groups}}), "unknown-key", "28000"),
        (json!({"claims": {"aud": "urn:other:api", "groups": groups}}), "wrong-audience", "28000"),
        (json!({"claims": {"groups": groups}, "sign": "none"}), "algorithm", "28000"),
        (json!({"claims": {"groups": groups}, "sign": "public-key-as-secret"}), "algorithm", "28000"),
        (json!({"claims": {"groups": groups, "exp": now - 60}}), "expired-token", "28000"),
        (json!({"claims": {"groups": groups, "nbf": now + 60}}), "not-yet-valid", "28000"),
        (json!({"claims": {"groups": groups, "iat": now + 60}}), "not-yet-valid", "28000"),
        (json!({"claims": {"groups": groups}, "sign": "stranger"}), "bad-signature", "28000"),
        (json!({"claims": {"groups": groups}, "sign": "embedded-key"}), "bad-signature", "28000"),
        (json!({"claims": {"groups": groups}, "header": {"kid": "unheard-of"}}), "unknown-key", "28000"),
        (json!({"claims": {"groups": groups}, "sign": "tampered"}), "bad-signature", "28000"),
        (json!({"claims": {"groups": groups}, "header": {"typ": "logout+jwt"}}), "token-type", "28000"),
        (json!({"claims": {"groups": groups}, "header": {"crit": ["example"], "example": 1}}), "token-type", "28000"),
        (json!({"claims": {}}), "no-groups", "28000"),
        (json!({"claims": {"groups": []}}), "no-groups", "28000"),
        (json!({"claims": {"groups": many}}), "too-many-groups", "28000"),
        (json!({"claims": {"_claim_names": {"groups": "s"}}}), "groups-overflow", "28000"),
        (json!({"claims": {"groups": ["compliance"]}}), "weak-login", "28000"),
        (json!({"claims": {"groups": groups}, "drop": ["exp"]}), "missing-claim", "28000"),
        (json!({"claims": {"groups": groups}, "drop": ["sub"]}), "missing-claim", "28000"),
        (json!({"claims": {"groups": groups, "pad": "x".repeat(60_000)}}), "oversized-token", "54000"),
    ]
}

#[test]
fn every_bad_token_is_refused_under_its_name_and_shown_nowhere() {
    let mut sentences = Vec::new();
    for (at, (made, category, state)) in bad_tokens().into_iter().enumerate() {
        let token = ISSUER.mint(&made);
        let user = format!("bad-{at}");
        let (code, message) = refused(&STAND, &user, &token);
        assert_eq!(code, state, "{category}: {message}");
        assert!(!message.contains(&token[..20]), "{message}");
        eventually("the refusal is in the log", || logged(category));
        let parts: Vec<&str> = token.split('.').collect();
        for part in [parts[1], parts[2]].into_iter().filter(|part| part.len() > 20) {
            assert!(!STAND.log().contains(part), "{category}: the log shows the token");
        }
        // What an attacker can bring about himself sounds alike.
        if ["unknown-issuer", "unknown-key", "algorithm", "bad-signature", "wrong-audience", "token-type"].contains(&category) {
            sentences.push(message.replace(&user, "X"));
        }
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "the refusal tells which part was wrong: {sentences:?}");
    assert_eq!(come_in(&STAND, "carla", &ISSUER.carla()).query("select 1").tags(), "TDCZ", "unharmed");
}

/// Whether the process's own log has refused a login by this category.
fn logged(category: &str) -> Option<()> {
    STAND
        .log()
        .lines()
        .any(|line| line.contains("login refused") && line.contains(&format!("category=\"{category}\"")))
        .then_some(())
}

#[test]
fn what_is_no_token_is_a_wrong_password() {
    for secret in ["", "hunter2", "ey", "eyJ.eyJ.x y"] {
        let (code, message) = refused(&STAND, "carla", secret);
        assert_eq!(code, "28P01", "{message}");
    }
    assert_eq!(refused(&STAND, "carla", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA").0, "28000");
}

#[test]
fn keys_that_change_disturb_nobody_and_retired_ones_end() {
    let issuer = Issuer::start(600);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let entry = issuer.entry("own", "groups_claim = \"groups\"\nkeys_refresh = \"1s\"\nkeys_max_age = \"6s\"");
    write!(file, "[login]\nclear_on_loopback = true\n{entry}").unwrap();
    let stand = Stand::start("clinic", &["--also", file.path().to_str().unwrap()]);
    let old = issuer.carla();
    let mut session = come_in(&stand, "carla", &old);
    let _ = issuer.steer("rotate", &json!({}));
    let new = issuer.carla();
    come_in(&stand, "carla", &new);
    come_in(&stand, "carla", &old);
    let _ = issuer.steer("retire", &json!({}));
    let told = eventually("a retired key is not taken any more", || {
        Wire::try_connect(stand.port(), &who("carla", &old), "clinic", &[]).unwrap().err()
    });
    assert_eq!(told.field(b'C').as_deref(), Some("28000"));
    come_in(&stand, "carla", &new);
    // Unknown keys make few questions, however many come with them.
    let asked = |issuer: &Issuer| issuer.steer("asked", &json!({}))["/jwks"].as_u64().unwrap();
    let before = asked(&issuer);
    let forged = issuer.mint(&json!({"claims": {"groups": ["clinicians"]}, "header": {"kid": "forged"}}));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for at in 0..20 {
            let (stand, forged) = (&stand, &forged);
            scope.spawn(move || refused(stand, &format!("forger-{at}"), forged));
        }
        come_in(&stand, "carla", &new);
    });
    let most = start.elapsed().as_secs() / 2 + 2;
    assert!(asked(&issuer) - before <= most, "{} questions for forged keys", asked(&issuer) - before);
    // The issuer is down: its keys serve for a while, then nobody comes in, and open sessions go on.
    let _ = issuer.steer("down", &json!({"down": true}));
    come_in(&stand, "carla", &new);
    let message = eventually("keys that are too old do not serve", || {
        let tried = Wire::try_connect(stand.port(), &who("carla", &new), "clinic", &[]).unwrap();
        tried.err().map(|error| (error.field(b'C').unwrap(), error.field(b'M').unwrap()))
    });
    assert_eq!(message.0, "57P03", "{message:?}");
    assert_eq!(session.query("select 1").tags(), "TDCZ");
    let _ = issuer.steer("down", &json!({"down": false}));
    come_in(&stand, "carla", &new);
}

#[test]
fn a_session_ends_with_its_token_where_the_issuer_is_to_be_heard() {
    let mint = || OTHER.mint(&json!({"claims": {"realm": {"roles": ["db-clinicians"]}, "preferred_username": "carla"}}));
    let mut idle = come_in(&STAND, "carla", &mint());
    let mut busy = come_in(&STAND, "carla", &mint());
    busy.ask("select generate_series(1, 1000000000)");
    assert_eq!(idle.read().unwrap().field(b'C').as_deref(), Some("57P01"));
    assert_eq!(last_error(&mut busy).0, "57P01", "amid rows, too");
}

/// Reads to the end; the last error's SQLSTATE and message.
fn last_error(wire: &mut Wire) -> (String, String) {
    let mut last = None;
    while let Ok(message) = wire.read() {
        if message.tag == b'E' {
            last = Some((message.field(b'C').unwrap(), message.field(b'M').unwrap()));
        }
    }
    last.expect("an error before the end")
}

fn as_olivia(arguments: &[&str]) -> Ran {
    cli::pgveil_as(&STAND, &STAND.identity("COMPLIANCE"), &[arguments, &["--json"]].concat())
}

#[test]
fn revoking_ends_sessions_and_keeps_out_until_it_is_lifted() {
    let token = ISSUER.mint(&json!({"claims": {"sub": "u-rita", "groups": ["clinicians"], "preferred_username": "rita"}}));
    let mut idle = come_in(&STAND, "rita", &token);
    let mut busy = come_in(&STAND, "rita", &token);
    busy.ask("select generate_series(1, 1000000000)");
    let mut silent = come_in(&STAND, "rita", &token);
    silent.ask("select pg_sleep(600), 'of rita'");
    let running = || {
        STAND.owner("select count(*) from pg_stat_activity where state = 'active' and query like '%of rita''%' and query not like '%pg_stat_activity%'")
    };
    eventually("the statement runs", || (running() == "1").then_some(()));
    let mut another = come_in(&STAND, "carla", &ISSUER.carla());
    let ran = as_olivia(&["credential", "revoke", "rita@first"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json()["ended"], 3);
    for wire in [&mut idle, &mut busy, &mut silent] {
        let (code, message) = last_error(wire);
        assert_eq!(code, "57P01");
        assert!(message.contains("withdrawn"), "{message}");
    }
    eventually("what ran has been cancelled", || (running() == "0").then_some(()));
    assert_eq!(another.query("select 1").tags(), "TDCZ", "nobody else is disturbed");
    let namesake = json!({"claims": {"sub": "u-rita", "realm": {"roles": ["db-clinicians"]}, "preferred_username": "rita"}});
    come_in(&STAND, "rita", &OTHER.mint(&namesake));
    assert!(refused(&STAND, "rita", &token).1.contains("withdrawn"));
    let renamed = ISSUER.mint(&json!({"claims": {"sub": "u-rita", "groups": ["clinicians"], "preferred_username": "anna"}}));
    assert!(refused(&STAND, "anna", &renamed).1.contains("withdrawn"), "another name, the same identity");
    assert_eq!(as_olivia(&["credential", "restore", "rita@first"]).code, 0);
    come_in(&STAND, "rita", &token);
}

#[test]
fn an_operator_ends_one_session_and_others_may_not() {
    let mut wire = come_in(
        &STAND,
        "zoe",
        &ISSUER.mint(&json!({"claims": {"sub": "u-zoe", "groups": ["clinicians"], "preferred_username": "zoe"}})),
    );
    let open = as_olivia(&["sessions", "open"]).json();
    let row = open["sessions"].as_array().unwrap().iter().find(|row| row["identity"] == "zoe@first").unwrap();
    let id = row["id"].as_str().unwrap().to_owned();
    let denied = cli::pgveil_as(&STAND, &STAND.identity("AGENT"), &["sessions", "end", &id]);
    assert_eq!(denied.code, 1, "{}", denied.err);
    assert_eq!(wire.query("select 1").tags(), "TDCZ");
    assert_eq!(as_olivia(&["sessions", "end", &id[..12]]).code, 0);
    assert_eq!(last_error(&mut wire).0, "57P01");
}

#[test]
fn oauthbearer_sends_who_has_no_token_to_the_issuer_and_lets_in_who_has_one() {
    let told = bearer::log_in(&STAND, "oauthbearer", "");
    let challenge: Value = serde_json::from_str(&told.challenge.unwrap()).unwrap();
    assert_eq!(challenge["openid-configuration"], format!("{}/.well-known/openid-configuration", ISSUER.url()));
    assert_eq!(told.error.unwrap().0, "28000");
    let told = bearer::log_in(&STAND, "oauthbearer", &ISSUER.carla());
    assert!(told.let_in && told.challenge.is_none() && told.error.is_none(), "{told:?}");
    assert_eq!(told.mechanisms, "OAUTHBEARER");
    let told =
        bearer::log_in(&STAND, "oauthbearer", &ISSUER.mint(&json!({"claims": {"groups": ["clinicians"]}, "sign": "tampered"})));
    assert!(told.challenge.is_some() && told.error.unwrap().0 == "28000");
    for bytes in [70_000, 200_000] {
        let told = bearer::log_in(&STAND, "oauthbearer", &"a".repeat(bytes));
        assert_eq!(told.error.unwrap().0, "54000");
    }
}

#[test]
fn wrong_proofs_are_counted_whichever_way_they_come() {
    let issuer = Issuer::start(600);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let entry = issuer.entry("own", "groups_claim = \"groups\"\nleeway = \"0s\"");
    let limits = "[limits]\nfailed_logins_identity_max = 3\nfailed_logins_source_max = 8\n";
    write!(file, "{limits}[login]\nclear_on_loopback = true\n{entry}").unwrap();
    let stand = Stand::start("clinic", &["--also", file.path().to_str().unwrap()]);
    let good = issuer.carla();
    let wrong = issuer.mint(&json!({"claims": {"groups": ["clinicians"]}, "sign": "tampered"}));
    let late = issuer.mint(&json!({"claims": {"groups": ["clinicians"], "exp": 1_000_000_000}}));
    let barred = |message: &str| message.starts_with("too many failed logins");
    // The issuer's own word counts against nobody, even if its time is over.
    for _ in 0..9 {
        assert!(refused(&stand, "late", &late).1.contains("expired"));
    }
    come_in(&stand, "late", &good);
    for _ in 0..3 {
        assert!(!barred(&refused(&stand, "by-password", &wrong).1));
    }
    assert!(barred(&refused(&stand, "by-password", &good).1), "the right token does not help whoever is barred");
    for _ in 0..3 {
        let told = bearer::log_in(&stand, "by-bearer", &wrong);
        assert!(told.challenge.is_some() && !barred(&told.error.unwrap().1));
    }
    let told = bearer::log_in(&stand, "by-bearer", &good);
    assert!(!told.let_in && barred(&told.error.unwrap().1));
    come_in(&stand, "carla", &good);
    // What is no token is a password, and counts like one; so does a registered name's. Then nobody comes in from here.
    assert_eq!(refused(&stand, "guesser", "guess").0, "28P01");
    let agent = stand.identity("AGENT");
    assert_eq!(refused(&stand, &agent.user, "guess").0, "28P01");
    for (user, secret) in [("carla", good.as_str()), (agent.user.as_str(), agent.password.as_str())] {
        assert!(barred(&refused(&stand, user, secret).1), "{user}");
    }
}

#[test]
fn an_issuer_that_hangs_or_floods_holds_up_nobody_else() {
    /// More than may wait for one issuer's keys, and than there are places beside those that do.
    const CROWD: usize = 80;
    let (well, ill) = (Issuer::start(600), Issuer::start(600));
    let (good, unheard) = (well.carla(), ill.carla());
    let _ = ill.steer("down", &json!({"down": "hang"}));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let groups = "groups_claim = \"groups\"";
    let (first, second) = (ill.entry("ill", groups), well.entry("well", groups));
    write!(file, "[limits]\nlogins_max = 70\n[login]\nclear_on_loopback = true\n{first}\n{second}").unwrap();
    let stand = Stand::start("clinic", &["--also", file.path().to_str().unwrap()]);
    let (told, answers) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for at in 0..CROWD {
            let (stand, unheard, told) = (&stand, &unheard, told.clone());
            scope.spawn(move || told.send(refused(stand, &format!("patient-{at}"), unheard).0).unwrap());
        }
        let first: Vec<String> = answers.iter().take(CROWD - 64).collect();
        come_in(&stand, "carla", &good);
        let agent = stand.identity("AGENT");
        come_in(&stand, &agent.user, &agent.password);
        let all = first.into_iter().chain(answers.iter().take(64));
        assert!(all.into_iter().all(|code| code == "57P03"), "the places for logins were taken");
    });
    let _ = ill.steer("down", &json!({"down": "flood"}));
    assert_eq!(refused(&stand, "carla", &unheard).0, "57P03");
    come_in(&stand, "carla", &good);
    let _ = ill.steer("down", &json!({"down": false}));
    eventually("the issuer is heard again", || {
        Wire::try_connect(stand.port(), &who("carla", &unheard), "clinic", &[]).unwrap().ok()
    });
}
