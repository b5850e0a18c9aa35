mod any;

use std::path::Path;

use super::*;

const VERIFIER: &str = "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const POLICY: &str = "default.then = \"allow\"\nunknown.then = \"block\"\n";

/// A folder with a policy, a password and a certificate.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("good")).unwrap();
    write("good/policy.toml", POLICY);
    write("password", "hunter2\n");
    write("bad.toml", "default.then = \"allow\"\nunknown.then = \"maybe\"\n");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    write("server.crt", &made.cert.pem());
    write("server.key", &made.signing_key.serialize_pem());
    write("other.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    folder
}

fn load(folder: &Path, text: &str) -> Result<Config, Vec<String>> {
    let file = folder.join("pgveil.toml");
    std::fs::write(&file, text).unwrap();
    let environment = |name: &str| (name == "UPSTREAM").then(|| "from-env".to_owned());
    let strip = format!("{}/", folder.display());
    let said = |faults: Vec<crate::policy::FileFault>| faults.iter().map(|fault| fault.to_string().replace(&strip, "")).collect();
    read::load(&file, &environment).map_err(said)
}

fn minimal(rest: &str) -> String {
    format!(
        "{rest}\n[store]\npath = \"data\"\n[[database]]\nname = \"clinic\"\n\
         upstream = \"postgresql://app@127.0.0.1/clinic\"\npolicy = \"good\"\n"
    )
}

#[test]
fn a_small_file_is_enough() {
    let folder = folder();
    let config = load(folder.path(), &minimal("")).unwrap();
    assert_eq!(config.listen.addresses, [ListenAddress::Tcp(LISTEN_ADDRESS.parse().unwrap())]);
    assert_eq!(config.admin.to_string(), ADMIN_ADDRESS);
    assert_eq!(config.store.path, folder.path().join("data"));
    assert_eq!(config.store.key_file, folder.path().join("master.key"));
    assert!(config.store.record && config.store.durability == Durability::Process);
    assert_eq!(config.limits, Limits::default());
    assert_eq!((config.logs, config.listen.drain_ms), (Logs::default(), DRAIN_MS));
    assert!(config.warnings.is_empty());
}

#[test]
fn limits_and_logs_are_read() {
    let folder = folder();
    let text = "[listen]\ndrain = \"2m\"\n[log]\nformat = \"json\"\nlevel = \"warn\"\n[limits]\nsessions_identity_max = 1\n\
        logins_max = 2\nfailed_logins_source_max = 3\nfailed_logins_identity_max = 4\nstatement_bytes_max = 65536\n\
        ahead_bytes_max = 65537\nqueue_bytes_max = 65538\n";
    let config = load(folder.path(), &minimal(text)).unwrap();
    let logs = Logs { format: LogFormat::Json, level: LogLevel::Warn };
    assert_eq!((config.listen.drain_ms, config.logs), (120_000, logs));
    let expected = Limits {
        sessions_identity_max: 1,
        logins_max: 2,
        failed_logins_source_max: 3,
        failed_logins_identity_max: 4,
        statement_bytes_max: 65_536,
        ahead_bytes_max: 65_537,
        queue_bytes_max: 65_538,
        ..Limits::default()
    };
    assert_eq!(config.limits, expected);
}

#[test]
fn limits_have_limits() {
    let folder = folder();
    let text = "[listen]\ndrain = \"2 minutes\"\n[log]\nformat = \"xml\"\nlevel = \"all\"\n[limits]\nlogins_max = 0\n\
        statement_bytes_max = 10\nahead_bytes_max = 999999999999\nqueue_bytes_max = -1\nfailed_logins_source_max = \"many\"\n\
        sessions_identity_max = 1.5\ntyping_max = 1\n";
    let faults = load(folder.path(), &minimal(text)).unwrap_err();
    for line in [2, 4, 5, 7, 8, 9, 10, 11, 12, 13] {
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("pgveil.toml:{line}:"))), "{line} not in {faults:#?}");
    }
    assert_eq!(faults.len(), 10, "{faults:#?}");
    let small = load(folder.path(), &minimal("[limits]\nqueue_bytes_max = 65536\n")).unwrap_err();
    assert!(small[0].contains("`queue_bytes_max` is less than `statement_bytes_max`"), "{small:?}");
}

#[test]
fn everything_is_read() {
    let folder = folder();
    let text = format!(
        "[listen]\naddress = \"0.0.0.0:0\"\ntls = {{ certificate = \"server.crt\", key = \"server.key\" }}\n\
         [admin]\naddress = \"[::1]:7000\"\n[store]\npath = \"/var/x\"\ndurability = \"power\"\nkey_file = \"k\"\nwitness = \"w\"\n\
         record = \"off\"\n[limits]\nsessions_max = 7\nlogin_ms = 500\nholds_max = 3\nholds_identity_max = 2\n\
         [[database]]\nname = \"clinic\"\nupstream = \"postgresql://app@db/clinic?sslmode=verify-full\"\n\
         password_file = \"password\"\npolicy = \"good/policy.toml\"\n\
         [[database]]\nname = \"*\"\nupstream = \"postgresql://app@db\"\npassword_env = \"UPSTREAM\"\npolicy = \"good\"\n\
         [[credential]]\nname = \"a\"\ngroups = [\"agents\"]\nverifier = \"{VERIFIER}\"\nexpires = 2026-12-31T00:00:00Z\n"
    );
    let config = load(folder.path(), &text).unwrap();
    assert!(config.listen.tls.is_some());
    assert_eq!(config.database("clinic").unwrap().password.as_ref().unwrap().reveal(), b"hunter2");
    assert_eq!(config.database("other").unwrap().password.as_ref().unwrap().reveal(), b"from-env");
    assert_eq!(config.store.path, Path::new("/var/x"));
    assert_eq!(config.store.witness, Some(folder.path().join("w")));
    assert_eq!(config.limits.sessions_max, 7);
    assert_eq!(config.credential("a").unwrap().expires.unwrap().to_string(), "2026-12-31T00:00:00Z");
    assert!(config.warnings.iter().any(|warning| warning.contains("replies are not recorded")));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn every_fault_is_named_with_its_place() {
    let folder = folder();
    let text = "[listen]\naddress = \"0.0.0.0:6432\"\n[admin]\naddress = \"0.0.0.0:1\"\n[store]\npat = \"x\"\n\
         [[database]]\nname = \"a\"\nupstream = \"postgresql://app:secret@db/a\"\npassword_file = \"nowhere\"\npolicy = \"bad.toml\"\n\
         [[database]]\nname = \"a\"\nupstream = \"db\"\npassword_env = \"NOT_SET\"\npolicy = \"missing\"\n\
         [[credential]]\nname = \"x:y\"\ngroups = []\nverifier = \"md5\"\nexpires = \"tomorrow\"\n";
    let faults = load(folder.path(), text).unwrap_err();
    for wanted in [
        "pgveil.toml:1:1: without `tls` only a loopback address is served, not `0.0.0.0:6432`",
        "pgveil.toml:3:1: the admin API is served on loopback only",
        "pgveil.toml:5:1: `[store]` lacks `path`",
        "pgveil.toml:6:1: unknown key `pat` in `[store]`; did you mean `path`?",
        "pgveil.toml:9:12: `upstream` holds a password",
        "pgveil.toml:10:17: `nowhere` does not exist",
        "pgveil.toml:13:8: the name `a` is taken in line 8",
        "pgveil.toml:14:12: `upstream` must be a connection URI",
        "pgveil.toml:15:16: the environment variable `NOT_SET` is not set",
        "pgveil.toml:16:10: `missing` does not exist",
        "pgveil.toml:18:8: the name of a credential may not hold `:`",
        "pgveil.toml:19:10: `groups` is an empty list",
        "pgveil.toml:20:12: `verifier` is no SCRAM-SHA-256 verifier: it does not begin with",
        "pgveil.toml:21:11: `expires` must be a date and time with an offset",
        "bad.toml:2:16: `then` is `maybe`",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{wanted} not in {faults:#?}");
    }
    assert_eq!(faults.len(), 15, "{faults:#?}");
    assert!(!faults.iter().any(|fault| fault.contains("secret")));
}

#[test]
fn keys_that_are_not_built_are_unknown() {
    let folder = folder();
    let faults = load(folder.path(), &minimal("[[grant]]\nname = \"x\"\n")).unwrap_err();
    assert!(faults[0].contains("unknown key `grant`"), "{faults:?}");
}

#[test]
fn certificates_are_looked_at() {
    let folder = folder();
    let with = |certificate: &str, key: &str| {
        let tls = format!("[listen]\ntls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
        load(folder.path(), &minimal(&tls)).map(|_| ()).unwrap_err()
    };
    assert!(with("missing.crt", "server.key")[0].contains("`missing.crt` does not exist"));
    assert!(with("password", "server.key")[0].contains("holds no certificate"));
    assert!(with("server.crt", "password")[0].contains("holds no private key"));
    assert!(with("server.crt", "other.key")[0].contains("does not serve with its certificate"));
}

#[test]
fn clients_are_served_on_one_address_or_on_many() {
    let folder = folder();
    let with = |address: &str| load(folder.path(), &minimal(&format!("[listen]\naddress = {address}\n")));
    let shown = |config: Config| config.listen.addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(with("\"127.0.0.1:1\"").unwrap()), ["127.0.0.1:1"]);
    let many = "[\"127.0.0.1:1\", \"[::1]:1\", \"/run/pgveil/.s.PGSQL.6432\"]";
    assert_eq!(shown(with(many).unwrap()), ["127.0.0.1:1", "[::1]:1", "/run/pgveil/.s.PGSQL.6432"]);
    for (address, wanted) in [
        ("[]", "empty list"),
        ("7", "must be a text"),
        ("[7]", "must be"),
        ("\"localhost\"", "is no address"),
        ("[\"127.0.0.1:1\", \"127.0.0.1:1\"]", "names `127.0.0.1:1` twice"),
        ("[\"127.0.0.1:1\", \"0.0.0.0:1\"]", "without `tls` only a loopback address is served, not `0.0.0.0:1`"),
        ("\"/run/pgveil\"", "is not where clients look"),
        ("\"/run/.s.PGSQL.06432\"", "is not where clients look"),
        ("\"/run/.s.PGSQL.99999\"", "is not where clients look"),
    ] {
        let faults = with(address).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{address}: {wanted} not in {faults:?}");
    }
    let long = format!("\"/{}/.s.PGSQL.1\"", "x".repeat(100));
    assert!(with(&long).unwrap_err()[0].contains("107 bytes at most"));
}

#[test]
fn plaintext_off_loopback_is_said_out_loud() {
    let folder = folder();
    let config = load(folder.path(), &minimal("[listen]\naddress = \"0.0.0.0:1\"\nallow_plaintext = true\n")).unwrap();
    assert!(config.warnings[0].contains("without TLS"));
}

#[test]
fn a_missing_file_is_one_fault() {
    let faults = Config::load(Path::new("/no/such/pgveil.toml")).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("does not exist"));
}

#[test]
fn verifiers_have_a_shape() {
    assert_eq!(verifier::fault(VERIFIER), None);
    for text in [
        "",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==",
        &VERIFIER.replace("4096", "1"),
        &VERIFIER.replace("4096", "99999999"),
        &VERIFIER.replace("AAECAwQFBgcICQoLDA0ODw==", "?"),
        &VERIFIER.replace("AAAAA=", "AAA="),
    ] {
        assert!(verifier::fault(text).is_some(), "{text}");
    }
}

#[test]
fn issuers_logins_and_ends_are_read() {
    let folder = folder();
    let text = minimal(
        "[admin]\noperators = [\"compliance\"]\n[sessions]\nmax = \"12h\"\nidle = \"30m\"\nexpiry = \"end\"\n\
         [login]\noffer = \"password\"\nclear_on_loopback = true\n\
         [[login.rule]]\nserver_name = \"OAuth.*\"\noffer = \"oauthbearer\"\nissuer = \"okta\"\n\
         [[issuer]]\nname = \"okta\"\nurl = \"https://id.example.org/\"\naudience = [\"pgveil\"]\ngroups_claim = \"realm.roles\"\n\
         groups_prefix = \"pgveil-\"\ngroups_map = { a = \"agents\", b = [\"x\", \"y\"] }\nalgorithms = [\"RS256\"]\nleeway = \"5s\"\n\
         ca_file = \"server.crt\"\nexpiry = \"finish-session\"\n\
         [[issuer.require]]\ngroups = [\"agents\"]\namr = \"mfa\"\n\
         [[issuer]]\nname = \"here\"\nurl = \"http://127.0.0.1:1\"\nloopback_http = true\naudience = \"pgveil\"\ngroups = \"staff\"\n",
    );
    let config = load(folder.path(), &text).unwrap();
    let [okta, here] = config.issuers.as_slice() else { panic!("{:?}", config.issuers) };
    assert_eq!((okta.rules.issuer.as_str(), okta.rules.leeway_s), ("https://id.example.org/", 5));
    assert_eq!(okta.rules.groups.map["b"], ["x", "y"]);
    assert!(okta.roots.is_some() && okta.rules.assurance.len() == 1 && here.rules.groups.always == ["staff"]);
    assert_eq!(config.operators, ["compliance"]);
    assert_eq!(config.sessions.idle_max.unwrap().as_secs(), 1_800);
    assert!(config.login.clear_on_loopback && config.login.offers.rules[0].server_name.as_deref() == Some("oauth.*"));
}

#[test]
fn faults_of_issuers_and_logins_are_named_with_their_place() {
    let folder = folder();
    let text = format!(
        "[login]\noffer = \"kerberos\"\n[[login.rule]]\noffer = \"scram\"\nissuer = \"nobody\"\n\
         [[issuer]]\nname = \"okta\"\nurl = \"http://id.example.org\"\naudience = []\nalgorithms = [\"HS256\", \"none\"]\nleeway = \"1h\"\n\
         groups_map = {{ a = 1 }}\nca_file = \"password\"\nexpiry = \"never\"\n\
         [[issuer]]\nname = \"okta\"\ngroups = [\"x\"]\n[[issuer.require]]\ngroups = [\"x\"]\n\
         [[issuer]]\nname = \"entra\"\nurl = \"https://b\"\naudience = \"x\"\ngroups = \"x\"\nscopes = \"x\"\n\
         [[credential]]\nname = \"x@entra\"\ngroups = [\"a\"]\nverifier = \"{VERIFIER}\"\n\
         [sessions]\nidle = \"soon\"\n"
    );
    let faults = load(folder.path(), &minimal(&text)).unwrap_err();
    for wanted in [
        "2:9: `kerberos` is not understood",
        "3:1: a rule says which clients it is for",
        "8:7: `http://id.example.org` is no address of an issuer",
        "9:12: `audience` is an empty list",
        "10:15: `HS256` is no algorithm that is taken",
        "10:24: `none` is no algorithm that is taken",
        "11:10: `leeway` is `1h`; it must be from",
        "12:20: `a` must be a list",
        "13:11: `password` holds no certificate",
        "14:10: `never` is not understood",
        "12:14: `groups_map` needs a `groups_claim`",
        "6:1: `[[issuer]]` lacks `groups_claim`",
        "16:8: the name `okta` is taken in line 7",
        "15:1: `[[issuer]]` lacks `url`",
        "15:1: `[[issuer]]` lacks `audience`",
        "18:1: `[[issuer.require]]` asks for `amr` or `acr`",
        "21:8: credential `x@entra` is named like an identity of this issuer",
        "25:1: unknown key `scopes` in `[[issuer]]`; did you mean `scope`?",
        "31:8: `idle` is `soon`",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(&format!("pgveil.toml:{wanted}"))), "{wanted} not in {faults:#?}");
    }
}

#[test]
fn certificates_stand_for_somebody() {
    let folder = folder();
    let listen = |more: &str| format!("[listen]\ntls = {{ certificate = \"server.crt\", key = \"server.key\"{more} }}\n");
    let entry = "[[certificate]]\nsan = \"spiffe://clinic/agent\"\nname = \"agent\"\ngroups = [\"agents\"]\n";
    let config = load(folder.path(), &minimal(&format!("{}{entry}", listen(", client_ca = \"server.crt\"")))).unwrap();
    assert_eq!(config.certificates[0].san, "spiffe://clinic/agent");
    let faults = load(folder.path(), &minimal(&format!("{}{entry}", listen("")))).unwrap_err();
    assert!(faults[0].contains("needs `client_ca`"), "{faults:?}");
    let again = entry.replace("\"agent\"", "\"x@y\"");
    let faults = load(folder.path(), &minimal(&format!("{}{entry}{again}", listen(", client_ca = \"password\"")))).unwrap_err();
    for wanted in ["holds no certificate", "is taken in line 4", "it has `@` in it"] {
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted} not in {faults:#?}");
    }
}
