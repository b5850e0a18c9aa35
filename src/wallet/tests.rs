use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

use super::service::{Foreign, passfile, uri, with_entry, without_entry};
use super::*;

fn server(host: &str) -> Server {
    Server { host: host.into(), port: 6432, database: "clinic".into(), user: "carla".into(), tls: false, roots: None }
}

fn token(exp: i64) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(json!({"alg": "ES256"})), part(json!({"exp": exp, "sub": "u-1", "preferred_username": "carla"})))
}

fn kept(service_file: Option<&Path>) -> Kept {
    let now = Timestamp::now();
    let tokens = Tokens::new(&token(now.as_second() + 60), Some("refresh"), None, now).unwrap();
    let party = Party {
        url: "https://id.example".into(),
        client_id: "cli".into(),
        scope: "openid".into(),
        redirect: REDIRECT.into(),
        roots: None,
        secret_file: None,
        id_token: false,
    };
    let login =
        Login { server: server("127.0.0.1"), party, service_file: service_file.map(Path::to_owned), background: true, tokens };
    Kept { name: "clinic".parse().unwrap(), login }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn names_are_names() {
    for name in ["clinic", "a", "Clinic-2.test_x", "9"] {
        assert!(name.parse::<Name>().is_ok(), "{name}");
    }
    let long = "a".repeat(64);
    for name in ["", ".", "..", "-x", ".x", "a/b", "a b", "a]", "a\nb", "ä", "a:b", &long] {
        assert!(name.parse::<Name>().is_err(), "{name}");
    }
}

#[test]
fn entries_of_others_stay_as_they_are() {
    let settings = [("host", "h".to_owned()), ("port", "1".to_owned())];
    let others = "# mine\n[other]\nhost=x\n\n[clinic2]\nhost=y";
    let with = with_entry(others, "clinic", &settings).unwrap();
    assert!(with.starts_with(&format!("{others}\n")) && with.contains("\n[clinic]\nhost=h\nport=1\n"), "{with}");
    assert_eq!(with_entry(&with, "clinic", &settings).unwrap(), with, "again is the same");
    assert_eq!(without_entry(&with, "clinic").unwrap(), format!("{others}\n"));
    let both = with_entry(&with, "clinic2x", &settings).unwrap();
    assert_eq!(without_entry(&both, "clinic2x").unwrap(), with);
    assert_eq!(without_entry("", "clinic").unwrap(), "");
    // Somebody else's of this name, however it is written, and what was taken apart, are not touched.
    for theirs in ["[clinic]\n", "x\n [clinic] \nhost=z", "[clinic]junk\n"] {
        assert_eq!(with_entry(theirs, "clinic", &settings), Err(Foreign), "{theirs}");
        assert_eq!(without_entry(theirs, "clinic").unwrap(), theirs);
    }
    let apart = with.replace("# pgveil login clinic: up to here\n", "[more]\nhost=z\n");
    assert_eq!(with_entry(&apart, "clinic", &settings), Err(Foreign));
    assert_eq!(without_entry(&apart, "clinic"), Err(Foreign));
    let inside = with.replace("port=1\n", "port=1\n[more]\nhost=z\n");
    assert_eq!(without_entry(&inside, "clinic"), Err(Foreign));
}

#[test]
fn a_password_is_for_one_server() {
    assert_eq!(passfile(&server("db.example"), b"t"), b"db.example:6432:*:*:t\n");
    assert_eq!(passfile(&server("::1"), b"t"), b"\\:\\:1:6432:*:*:t\n");
    assert_eq!(passfile(&server("/run/a\\b"), b"t"), b"/run/a\\\\b:6432:*:*:t\n");
}

#[test]
fn uris_mean_what_they_say() {
    let mut odd = server("::1");
    odd.database = "a/b?c".into();
    assert_eq!(uri(&odd, "x@y/z:", Some("p@:/"), &[]), "postgresql://x%40y%2Fz%3A:p%40%3A%2F@[::1]:6432/a%2Fb%3Fc");
    let socket = uri(&server("/run/x y"), "u", None, &[("sslmode", "disable")]);
    assert_eq!(socket, "postgresql://u@/clinic?host=/run/x%20y&port=6432&sslmode=disable");
}

#[test]
fn what_is_kept_is_for_its_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let services = home.path().join("services");
    std::fs::write(&services, "[other]\nhost=x\n").unwrap();
    std::fs::set_permissions(&services, std::fs::Permissions::from_mode(0o644)).unwrap();
    let link = home.path().join("link");
    symlink(&services, &link).unwrap();
    let path = home.path().join("a/b/pgveil");
    let folder = Folder::at(&path).unwrap();
    let kept = kept(Some(&link));
    keep(&folder, &kept).unwrap();
    assert_eq!(mode(&path), 0o700);
    for file in std::fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    assert_eq!(mode(&services), 0o644, "a mode that somebody chose stays");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink(), "and so does a link");
    assert!(std::fs::read_to_string(&services).unwrap().contains("[clinic]\nhost=127.0.0.1\n"));
    assert_eq!(folder.names().unwrap(), std::slice::from_ref(&kept.name));
    let again = Kept::read(&folder, &kept.name).unwrap();
    assert_eq!(again.login.tokens.bearer.reveal(), kept.login.tokens.bearer.reveal());
    let shown = format!("{again:?}");
    assert!(!shown.contains("refresh\"") && !shown.contains("eyJ"), "{shown}");
    let uri = again.uri(&folder).unwrap();
    assert!(uri.contains("passfile=") && !uri.contains("eyJ"), "{uri}");
    // What its owner does to the service file later is no business of a renewal.
    let before = std::fs::read_to_string(&services).unwrap();
    std::fs::write(&services, "[clinic]\nhost=mine\n").unwrap();
    super::keep::renewed(&folder, &kept).unwrap();
    assert_eq!(std::fs::read_to_string(&services).unwrap(), "[clinic]\nhost=mine\n");
    std::fs::write(&services, before).unwrap();
    forget(&folder, &kept.name, Some(&link)).unwrap();
    assert_eq!(std::fs::read_to_string(&services).unwrap(), "[other]\nhost=x\n");
    assert!(matches!(Kept::read(&folder, &kept.name), Err(Fault::Missing(_))));
    assert!(!std::fs::read_dir(&path).unwrap().any(|file| file.unwrap().file_name().to_str().unwrap().starts_with(".probe")));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(Folder::at(&path), Err(Fault::Open(_))), "a folder that others can look into is not used");
}

#[test]
fn a_file_waits_at_no_door_that_somebody_else_has_put_there() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("target");
    let draft = home.path().join("x.pgveil-new");
    symlink(&target, &draft).unwrap();
    folder::write(&home.path().join("x"), b"secret", 0o600).unwrap();
    assert!(!target.exists(), "a link was followed");
    assert_eq!(std::fs::read(home.path().join("x")).unwrap(), b"secret");
}

#[test]
fn tokens_that_could_break_a_file_are_not_taken() {
    let now = Timestamp::now();
    let good = token(now.as_second() + 60);
    assert!(Tokens::new(&good, None, None, now).is_ok());
    for bad in ["", "opaque", &format!("{good}\n*:*:*:*:x"), &format!("{good} x"), &format!("{good}\u{0}")] {
        assert!(Tokens::new(bad, None, None, now).is_err(), "{bad}");
    }
    let endless = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode("{\"alg\":\"ES256\"}"), URL_SAFE_NO_PAD.encode("{}"));
    assert!(Tokens::new(&endless, None, None, now).is_err());
    assert!(Tokens::new(&endless, None, Some(std::time::Duration::from_secs(9)), now).is_ok());
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let now = Timestamp::from_second(1_000).unwrap();
    for (life, due) in [(60, 40), (3_600, 3_540), (3, 2), (0, 0)] {
        let tokens = Tokens::new(&token(1_000 + life), None, None, now).unwrap();
        assert_eq!(tokens.due_s(), 1_000 + due, "{life}");
    }
    let tokens = Tokens::new(&token(9_000), None, Some(std::time::Duration::from_secs(30)), now).unwrap();
    assert_eq!(tokens.until_s, 1_030, "the earlier end counts");
}

#[test]
fn a_server_is_believed_no_further_than_it_can_be() {
    let told =
        |value: serde_json::Value, local| ask::read(value.to_string().as_bytes(), local).map_err(|fault| fault.to_string());
    let at = |issuer: &str| json!({"openid-configuration": format!("{issuer}/.well-known/openid-configuration"), "scope": "db", "client_id": "c"});
    assert_eq!(told(at("https://id.example/x"), false).unwrap().issuer, "https://id.example/x");
    assert!(told(at("http://127.0.0.1:1"), true).is_ok());
    for (value, local) in [
        (at("http://127.0.0.1:1"), false),
        (at("http://id.example"), true),
        (at("file:///etc"), true),
        (json!({"openid-configuration": "https://id.example", "client_id": "c"}), false),
        (json!({"client_id": "c"}), false),
        (json!({"openid-configuration": "https://id.example/.well-known/openid-configuration"}), false),
        (json!({"openid-configuration": "https://id.example\n/.well-known/openid-configuration", "client_id": "c"}), false),
        (json!([]), false),
    ] {
        let shown = value.to_string();
        assert!(told(value, local).is_err(), "{shown}");
    }
}
