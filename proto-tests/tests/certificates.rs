//! Client certificates: whom one lets in, for how long, and whom not.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use proto_tests::clients::{ALL, query, rows};
use proto_tests::{Ran, Stand, cli, eventually};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

/// Who vouches for clients.
struct Authority {
    folder: tempfile::TempDir,
    params: CertificateParams,
    key: KeyPair,
}

static OURS: LazyLock<Authority> = LazyLock::new(Authority::new);
static STAND: LazyLock<Stand> = LazyLock::new(|| {
    let entries = "[sessions]\nexpiry = \"end\"\n\n[[certificate]]\nsan = \"spiffe://clinic.example/agent\"\nname = \"cert-agent\"\ngroups = [\"agents\"]\n\n\
                   [[certificate]]\nsan = \"gray.clinic.example\"\nname = \"cert-gray\"\ngroups = [\"clinicians\"]\n";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(entries.as_bytes()).unwrap();
    let (also, roots) = (file.path().to_str().unwrap().to_owned(), OURS.file("ca.crt"));
    Stand::start("clinic", &["--tls", "--client-ca", &roots, "--also", &also])
});

const NAME: &str = "select last_name from clinical.patients where id = 7";

impl Authority {
    fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), certificate.pem()).unwrap();
        Self { folder, params, key }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A certificate with this subject alternative name that ends then; how a client is told of it.
    fn certify(&self, name: &str, san: SanType, until: SystemTime) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![san];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (SystemTime::now() - Duration::from_secs(3_600)).into();
        params.not_after = until.into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let files = ["crt", "key"].map(|ending| self.file(&format!("{name}.{ending}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        std::fs::set_permissions(Path::new(&files[1]), std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("sslcert={}&sslkey={}", files[0], files[1])
    }
}

fn uri(san: &str) -> SanType {
    SanType::URI(san.try_into().unwrap())
}

fn dns(san: &str) -> SanType {
    SanType::DnsName(san.try_into().unwrap())
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3_600)
}

fn dsn(user: &str, more: &str) -> String {
    let ca = STAND.value("CA");
    format!("postgresql://{user}@127.0.0.1:{}/clinic?sslmode=verify-full&sslrootcert={ca}&{more}", STAND.port())
}

fn psql(dsn: &str, sql: &str) -> Ran {
    let done = STAND.psql(dsn, &["-w", "-tAc", sql]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code().unwrap_or(-1), out: text(&done.stdout), err: text(&done.stderr) }
}

#[test]
fn a_certificate_opens_sessions_of_its_groups_from_every_client() {
    let (agent, gray) = (
        OURS.certify("agent", uri("spiffe://clinic.example/agent"), later()),
        OURS.certify("gray", dns("gray.clinic.example"), later()),
    );
    let clear = STAND.owner(NAME);
    assert_eq!(psql(&dsn("cert-gray", &gray), NAME).ok().trim(), clear);
    assert_ne!(psql(&dsn("cert-agent", &agent), NAME).ok().trim(), clear, "an agent sees what only clinicians may see");
    for client in ALL {
        let answer = &client.run(&dsn("cert-agent", &agent), &[query("select 40 + 2")])[0];
        assert_eq!(rows(answer)[0][0].as_deref(), Some("42"), "{client:?}: {answer}");
    }
    let of_agent = || {
        let listed = cli::pgveil(&["sessions", "--config", STAND.value("CONFIG"), "--json"]).json();
        listed
            .as_array()?
            .iter()
            .find(|row| row["identity"] == "cert-agent")
            .map(|row| row["session"].as_str().unwrap().to_owned())
    };
    let id = eventually("the session is listed", of_agent);
    let shown = cli::pgveil(&["replay", "--config", STAND.value("CONFIG"), &id]).ok();
    assert!(shown.contains("logged in by certificate"), "{shown}");
    // Who has none comes in as ever.
    let registered = STAND.identity("AGENT");
    assert_eq!(psql(&registered.dsn, "select 'in'").ok().trim(), "in");
}

#[test]
fn a_certificate_stands_for_its_holder_and_nobody_else() {
    let agent = OURS.certify("one", uri("spiffe://clinic.example/agent"), later());
    for user in ["cert-gray", "dr-gray", "nobody", "cert-agent "] {
        let ran = psql(&dsn(user, &agent), "select 1");
        assert!(ran.code != 0 && ran.err.contains("password"), "{user}: {}", ran.err);
    }
    let strangers = Authority::new();
    let cases = [
        ("another name", OURS.certify("other", uri("spiffe://clinic.example/agent2"), later()), "password"),
        ("a name of another kind", OURS.certify("kind", dns("spiffe.clinic.example"), later()), "password"),
        ("another authority", strangers.certify("s", uri("spiffe://clinic.example/agent"), later()), "alert"),
        ("none", "sslcert=/none".to_owned(), "password"),
    ];
    for (what, certificate, words) in cases {
        let ran = psql(&dsn("cert-agent", &certificate), "select 1");
        assert!(ran.code != 0 && ran.err.contains(words), "{what}: {}", ran.err);
    }
    let over = OURS.certify("over", uri("spiffe://clinic.example/agent"), SystemTime::now() - Duration::from_secs(60));
    let ran = psql(&dsn("cert-agent", &over), "select 1");
    assert!(ran.code != 0 && ran.err.contains("expired"), "{}", ran.err);
}

#[test]
fn a_session_ends_with_its_certificate_and_with_access() {
    let brief = OURS.certify("brief", uri("spiffe://clinic.example/agent"), SystemTime::now() + Duration::from_secs(8));
    let ran = psql(&dsn("cert-agent", &brief), "select 'in', pg_sleep(600)");
    assert!(ran.code != 0 && ran.err.contains("expired"), "{}", ran.err);
    let gray = OURS.certify("gray2", dns("gray.clinic.example"), later());
    let revoke = |what: &str| cli::pgveil_as(&STAND, &STAND.identity("COMPLIANCE"), &["credential", what, "cert-gray"]);
    assert_eq!(revoke("revoke").code, 0);
    let ran = eventually("access is withdrawn", || Some(psql(&dsn("cert-gray", &gray), "select 1")).filter(|ran| ran.code != 0));
    assert!(ran.err.contains("withdrawn"), "{}", ran.err);
    assert_eq!(revoke("restore").code, 0);
}

#[test]
fn a_reload_ends_the_sessions_of_holders_who_are_gone_and_no_others() {
    let stand = {
        let entries = "[[certificate]]\nsan = \"stays.example\"\nname = \"stays\"\ngroups = [\"agents\"]\n\n[[certificate]]\nsan = \"goes.example\"\nname = \"goes\"\ngroups = [\"agents\"]\n";
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(entries.as_bytes()).unwrap();
        Stand::start("clinic", &["--tls", "--client-ca", &OURS.file("ca.crt"), "--also", file.path().to_str().unwrap()])
    };
    let open = |user: &str| {
        let certificate = OURS.certify(user, dns(&format!("{user}.example")), later());
        let dsn = format!(
            "postgresql://{user}@127.0.0.1:{}/clinic?sslmode=verify-full&sslrootcert={}&{certificate}",
            stand.port(),
            stand.value("CA")
        );
        let psql = format!("{}/psql", stand.value("PG_BIN"));
        let sql = format!("select pg_sleep(600), 'of {user}'");
        std::process::Command::new(psql).args(["-Xqwd", &dsn, "-c", &sql]).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let (mut stays, goes) = (open("stays"), open("goes"));
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(600), ''of %' and query not like '%pg_stat_activity%'";
    eventually("both run", || (stand.owner(running) == "2").then_some(()));
    let config = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let (kept, _) = config.rsplit_once("[[certificate]]").unwrap();
    std::fs::write(stand.value("CONFIG"), kept).unwrap();
    assert!(std::process::Command::new("kill").args(["-HUP", stand.value("PID")]).status().unwrap().success());
    let gone = goes.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&gone.stderr).contains("withdrawn or has changed"));
    eventually("one goes on", || (stand.owner(running) == "1").then_some(()));
    assert!(stays.try_wait().unwrap().is_none());
    stays.kill().unwrap();
    stays.wait().unwrap();
}
