//! SIGHUP: another configuration takes effect as a whole or not at all, and who is still allowed stays.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use proto_tests::numbers::Numbers;
use proto_tests::server::{Server, admin_of, configured, port_of};
use proto_tests::socket::Way;
use proto_tests::wire::VERSION_3_0;
use proto_tests::{Stand, Wire, eventually, journal};
use serde_json::Value;

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]));

/// A pgveil with a policy of its own, which can be rewritten.
struct Changing {
    folder: tempfile::TempDir,
    file: String,
    server: Server,
    reloads: f64,
}

impl Changing {
    fn start() -> Self {
        let (folder, file) = configured(&STAND, |text| text.replace(POLICY, "policy.toml"));
        std::fs::copy(POLICY, folder.path().join("policy.toml")).unwrap();
        let server = Server::try_start(&file).unwrap();
        Self { folder, file, server, reloads: 0.0 }
    }

    fn login(&self, who: &str) -> Wire {
        Wire::try_connect(port_of(&self.file), &STAND.identity(who), "clinic", &[]).unwrap().unwrap()
    }

    fn numbers(&self) -> Numbers {
        Numbers::of(&admin_of(&self.file))
    }

    fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
        let old = std::fs::read_to_string(path).unwrap();
        let new = change(old.clone());
        assert_ne!(old, new, "nothing is changed");
        std::fs::write(path, new).unwrap();
    }

    fn policy(&self, change: impl FnOnce(String) -> String) {
        Self::rewrite(&self.folder.path().join("policy.toml"), change);
    }

    fn config(&self, change: impl FnOnce(String) -> String) {
        Self::rewrite(Path::new(&self.file), change);
    }

    /// Sends the signal and waits for the outcome, `loaded` or `refused`.
    fn hang_up(&mut self, outcome: &str) {
        self.reloads += 1.0;
        self.server.signal("HUP");
        let all = eventually("the configuration is read again", || {
            let numbers = self.numbers();
            (numbers.sum("pgveil_config_reloads_total", &[]) > self.reloads - 0.5).then_some(numbers)
        });
        assert!(all.sum("pgveil_config_reloads_total", &[("outcome", outcome)]) > 0.5, "{}", self.server.said());
        assert_eq!(all.sum("pgveil_config_refused", &[]) > 0.5, outcome == "refused", "{}", self.server.said());
    }
}

fn first(wire: &mut Wire, sql: &str) -> String {
    let reply = wire.query(sql);
    reply.rows().first().unwrap_or_else(|| panic!("{reply:?}"))[0].clone().unwrap_or_default()
}

/// The table of a configuration that begins with these lines, up to the next one.
fn without(text: &str, table: &str, name: &str) -> String {
    let parts = text.split("\n\n").filter(|part| !(part.starts_with(table) && part.contains(&format!("name = \"{name}\""))));
    parts.collect::<Vec<_>>().join("\n\n") + "\n"
}

#[test]
fn open_sessions_go_on_under_the_new_policy() {
    let mut changing = Changing::start();
    let (mut agent, mut clinician) = (changing.login("AGENT"), changing.login("CLINICIAN"));
    let asked = "select mrn from clinical.patients where id = 1";
    let raw = STAND.owner(asked);
    assert_eq!(first(&mut agent, asked), raw, "nothing masks it yet");
    agent.pipeline(|p| {
        p.parse("kept", asked).describe(b'S', "kept").sync();
    });
    assert_eq!(agent.reply().tags(), "1tTZ");
    assert_eq!(agent.query("drop table clinical.nothing").sqlstate().as_deref(), Some("42501"), "the policy blocks it");
    changing.policy(|text| {
        text.replace("\"clinical.patients.ssn\"", "\"clinical.patients.ssn\", \"clinical.patients.mrn\"")
            .replace("verb = [\"drop\"]", "verb = [\"lock\"]")
    });
    changing.hang_up("loaded");
    assert_ne!(first(&mut agent, asked), raw, "it is masked now");
    agent.pipeline(|p| {
        p.bind("", "kept", &[], 0).execute("", 0).sync();
    });
    let reply = agent.reply();
    assert_ne!(reply.rows()[0][0].as_deref(), Some(raw.as_str()), "a statement prepared before is masked, too: {reply:?}");
    assert_eq!(agent.query("drop table clinical.nothing").sqlstate().as_deref(), Some("42P01"), "nothing blocks it any more");
    assert_eq!(first(&mut clinician, asked), raw, "clinicians see it as before");
    assert_eq!(first(&mut changing.login("AGENT"), "select 1"), "1");
    drop((agent, clinician));
    assert_eq!(changing.server.stop(), 0);

    // the session tells which policy each of its statements was decided by
    let sessions = pgveil_sessions(&changing.file);
    let replay = sessions
        .iter()
        .map(|session| replay(&changing.file, session))
        .find(|text| text.contains("drop table clinical.nothing"))
        .unwrap();
    let kinds: Vec<Value> = replay.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let loaded = kinds.iter().position(|line| line["kind"] == "configuration").unwrap_or_else(|| panic!("{replay}"));
    let drops: Vec<usize> =
        kinds.iter().enumerate().filter(|(_, line)| line.to_string().contains("drop table")).map(|(at, _)| at).collect();
    assert!(drops.first().is_some_and(|at| *at < loaded) && drops.last().is_some_and(|at| *at > loaded), "{replay}");
    let data = changing.folder.path().join("data");
    assert_eq!(journal::verify(&data, None).code, 0);
}

fn pgveil_sessions(file: &str) -> Vec<String> {
    let listed = proto_tests::cli::pgveil(&["sessions", "--config", file, "--json", "--limit", "1000"]).json();
    listed.as_array().unwrap().iter().map(journal::id).collect()
}

fn replay(file: &str, session: &str) -> String {
    proto_tests::cli::pgveil(&["replay", session, "--config", file, "--json"]).ok()
}

#[test]
fn a_faulty_configuration_is_refused_as_a_whole() {
    let mut changing = Changing::start();
    let mut agent = changing.login("AGENT");
    let ssn = "select ssn from clinical.patients where id = 1";
    let masked = first(&mut agent, ssn);
    let policy = std::fs::read_to_string(POLICY).unwrap();
    // one fault in the policy, and a change in the configuration that alone would do
    changing.policy(|text| text.replace("with = \"redact\"", "with = \"redakt\""));
    changing.config(|text| without(&text, "[[credential]]", "other-agent"));
    changing.hang_up("refused");
    eventually("the fault is named", || changing.server.said().contains("redakt").then_some(()));
    assert_eq!(first(&mut agent, ssn), masked);
    drop(changing.login("OTHER"));
    let status = proto_tests::cli::pgveil(&["status", "--config", &changing.file]);
    assert!(status.out.is_empty() && status.code == 2, "the file is faulty: {status:?}");
    let status = proto_tests::cli::pgveil(&["status", "--admin", &admin_of(&changing.file)]).ok();
    assert!(status.contains("a newer one was refused"), "{status}");
    changing.policy(|_| policy);
    changing.hang_up("loaded");
    let refused = Wire::try_connect(port_of(&changing.file), &STAND.identity("OTHER"), "clinic", &[]).unwrap().err().unwrap();
    assert_eq!(refused.field(b'C').as_deref(), Some("28P01"));
}

#[test]
fn what_is_used_once_cannot_change() {
    let mut changing = Changing::start();
    let old = std::fs::read_to_string(&changing.file).unwrap();
    for (from, to, key) in [
        ("durability = \"process\"", "durability = \"power\"", "`[store]`"),
        ("[listen]\naddress = \"127.0.0.1:", "[listen]\naddress = \"127.0.0.2:", "`[listen] address`"),
        ("[store]", "[limits]\nholds_max = 5\n\n[store]", "`[limits] holds_max`"),
        ("[store]", "[log]\nlevel = \"warn\"\n\n[store]", "`[log]`"),
    ] {
        changing.config(|text| text.replace(from, to));
        changing.hang_up("refused");
        let said = format!("{key} cannot change while the process runs");
        eventually(&said, || changing.server.said().contains(&said).then_some(()));
        std::fs::write(&changing.file, &old).unwrap();
    }
    changing.hang_up("loaded");
}

#[test]
fn who_is_not_allowed_any_more_is_sent_away_and_nobody_else() {
    let mut changing = Changing::start();
    let (mut agent, mut other, mut clinician) = (changing.login("AGENT"), changing.login("OTHER"), changing.login("CLINICIAN"));
    agent.ask("select pg_sleep(3600)");
    changing.config(|text| {
        let text = without(&text, "[[credential]]", "mcp-agent");
        text.replace("name = \"other-agent\"\ngroups = [\"agents\"]", "name = \"other-agent\"\ngroups = [\"clinicians\"]")
    });
    changing.hang_up("loaded");
    for wire in [&mut agent, &mut other] {
        let reply = wire.reply();
        let last = reply.messages.last().unwrap();
        assert_eq!((last.field(b'V').as_deref(), last.field(b'C').as_deref()), (Some("FATAL"), Some("57P01")), "{reply:?}");
        assert!(last.field(b'M').unwrap().contains("access has been withdrawn or has changed"), "{reply:?}");
    }
    assert_eq!(first(&mut clinician, "select 2"), "2");
    assert_eq!(first(&mut changing.login("OTHER"), "select 3"), "3", "with its new groups it comes in again");
}

#[test]
fn who_loses_access_amid_the_login_gets_no_answer() {
    let mut changing = Changing::start();
    let agent = STAND.identity("AGENT");
    let begun = || {
        let mut wire = Wire::open(&Way::port(port_of(&changing.file))).unwrap();
        wire.start(VERSION_3_0, &agent, "clinic", &[]).unwrap();
        wire.arrival().unwrap();
        wire
    };
    let waiting: Vec<Wire> = (0..10).map(|_| begun()).collect();
    changing.config(|text| without(&text, "[[credential]]", "mcp-agent"));
    changing.hang_up("loaded");
    for mut wire in waiting {
        let told = match wire.log_in(&agent.password).unwrap() {
            Some(refused) => refused,
            None => {
                let _ = wire.try_ask("select mrn from clinical.patients");
                wire.reply().messages.into_iter().next().unwrap()
            }
        };
        assert_eq!((told.tag, told.field(b'C').as_deref()), (b'E', Some("57P01")), "{told:?}");
    }
}

#[test]
fn reloads_by_the_dozen_disturb_nobody() {
    let mut changing = Changing::start();
    let stop = Arc::new(AtomicBool::new(false));
    let turns: [Arc<AtomicU64>; 2] = Default::default();
    let asking: Vec<_> = [("AGENT", &turns[0]), ("CLINICIAN", &turns[1])]
        .map(|(who, turn)| {
            let (mut wire, stop, turn) = (changing.login(who), Arc::clone(&stop), Arc::clone(turn));
            std::thread::spawn(move || {
                wire.pipeline(|p| {
                    p.parse("kept", "select ssn, mrn from clinical.patients where id = 1").sync();
                });
                assert_eq!(wire.reply().tags(), "1Z");
                let mut seen = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    wire.pipeline(|p| {
                        p.bind("", "kept", &[], 0).execute("", 0).sync();
                    });
                    let reply = wire.reply();
                    assert_eq!(reply.tags(), "2DCZ", "{reply:?}");
                    seen.extend(reply.rows());
                    turn.fetch_add(1, Ordering::Relaxed);
                }
                seen
            })
        })
        .into();
    let plain = std::fs::read_to_string(POLICY).unwrap();
    let strict = plain.replace("\"clinical.patients.ssn\"", "\"clinical.patients.ssn\", \"clinical.patients.mrn\"");
    for number in 0..30 {
        std::fs::write(changing.folder.path().join("policy.toml"), if number % 2 == 0 { &strict } else { &plain }).unwrap();
        changing.hang_up("loaded");
        // Each policy is met: by what is asked from now on.
        let now = turns.each_ref().map(|turn| turn.load(Ordering::Relaxed));
        let met = || turns.iter().zip(now).all(|(turn, now)| turn.load(Ordering::Relaxed) > now + 1);
        eventually("both sessions go on", || met().then_some(()));
    }
    stop.store(true, Ordering::Relaxed);
    let seen: Vec<BTreeSet<_>> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
    let raw = |column: &str| Some(STAND.owner(&format!("select {column} from clinical.patients where id = 1")));
    let (ssn, mrn) = (raw("ssn"), raw("mrn"));
    assert_eq!(seen[1], BTreeSet::from([vec![ssn.clone(), mrn.clone()]]), "clinicians see all of it throughout");
    assert!(seen[0].iter().all(|row| row[0] != ssn), "nobody else ever saw what both policies mask");
    assert!(seen[0].iter().any(|row| row[1] == mrn) && seen[0].iter().any(|row| row[1] != mrn), "{:?}", seen[0]);
    assert_eq!(changing.server.stop(), 0);
    assert_eq!(journal::verify(&changing.folder.path().join("data"), None).code, 0);
}

#[test]
fn a_database_that_is_gone_loses_its_sessions() {
    let mut changing = Changing::start();
    let mut agent = changing.login("AGENT");
    changing.config(|text| text.replace("[[database]]\nname = \"clinic\"", "[[database]]\nname = \"renamed\""));
    changing.hang_up("loaded");
    assert_eq!(agent.reply().sqlstate().as_deref(), Some("57P01"));
    let gone = Wire::try_connect(port_of(&changing.file), &STAND.identity("AGENT"), "clinic", &[]).unwrap().err().unwrap();
    assert_eq!(gone.field(b'C').as_deref(), Some("3D000"));
    let mut there = Wire::try_connect(port_of(&changing.file), &STAND.identity("AGENT"), "renamed", &[]).unwrap().unwrap();
    assert_eq!(first(&mut there, "select current_database()"), "clinic");
}

#[test]
fn sessions_stay_with_their_server_when_the_database_moves() {
    let mut changing = Changing::start();
    STAND.owner("create table if not exists tests.moved as select 1 as n");
    let mut agent = changing.login("AGENT");
    changing.config(|text| text.replace("@127.0.0.1:", "@localhost:"));
    changing.policy(|text| text.replace("[default]\nthen = \"allow\"", "[default]\nthen = \"block\""));
    changing.hang_up("loaded");
    assert_eq!(agent.query("select n from tests.moved").sqlstate().as_deref(), Some("42501"), "the new policy holds there, too");
    assert_eq!(changing.login("AGENT").query("select n from tests.moved").sqlstate().as_deref(), Some("42501"));
}

#[test]
fn what_was_approved_under_another_policy_does_not_run() {
    STAND.owner("create table tests.superseded as select 1 as id");
    let mut changing = Changing::start();
    let mut agent = changing.login("AGENT");
    agent.ask("delete from tests.superseded");
    assert_eq!(agent.read().unwrap().tag, b'N');
    changing.policy(|text| text + "\n[[rule]]\nname = \"more\"\nwhen = { verb = [\"lock\"] }\nthen = \"block\"\n");
    changing.hang_up("loaded");
    let admin = admin_of(&changing.file);
    let olivia = STAND.identity("COMPLIANCE");
    let as_olivia = |arguments: &[&str]| {
        let done = std::process::Command::new(proto_tests::cli::binary())
            .args(arguments)
            .args(["--as", &olivia.user, "--admin", &admin])
            .env("PGVEIL_PASSWORD", &olivia.password)
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let listed: Value = serde_json::from_str(&as_olivia(&["holds", "list", "--json"])).unwrap();
    let id = listed["holds"][0]["id"].as_str().unwrap().to_owned();
    let _ = as_olivia(&["holds", "approve", &id]);
    let reply = agent.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("42501"), "{reply:?}");
    assert!(reply.of(b'E').next().unwrap().field(b'M').unwrap().contains("the policy has changed"), "{reply:?}");
    assert_eq!(STAND.owner("select count(*) from tests.superseded"), "1");
    agent.ask("delete from tests.superseded");
    assert_eq!(agent.read().unwrap().tag, b'N', "it is held anew");
}

#[test]
fn a_certificate_is_exchanged_without_a_new_start() {
    let certificate = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (first, second) = (certificate(), certificate());
    let (folder, file) = configured(&STAND, |text| {
        text.replace("[admin]", "tls = { certificate = \"server.crt\", key = \"server.key\" }\n\n[admin]")
    });
    let write = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(folder.path().join("server.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("server.key"), made.signing_key.serialize_pem()).unwrap();
    };
    write(&first);
    let server = Server::try_start(&file).unwrap();
    let trusts = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let root = folder.path().join("root.crt");
        std::fs::write(&root, made.cert.pem()).unwrap();
        let agent = STAND.identity("AGENT");
        let dsn = format!(
            "postgresql://{}:{}@localhost:{}/clinic?sslmode=verify-full&sslrootcert={}",
            agent.user,
            agent.password,
            port_of(&file),
            root.display()
        );
        STAND.psql(&dsn, &["-tAc", "select 1"]).status.success()
    };
    assert!(trusts(&first) && !trusts(&second));
    write(&second);
    server.signal("HUP");
    eventually("the new certificate is shown", || trusts(&second).then_some(()));
    assert!(!trusts(&first));
}

#[test]
fn nobody_can_look_without_a_login_after_a_reload() {
    let mut changing = Changing::start();
    changing.config(|text| without(&text, "[[credential]]", "olivia"));
    changing.hang_up("loaded");
    let asked = |who: &str| {
        let who = STAND.identity(who);
        let done = std::process::Command::new(proto_tests::cli::binary())
            .args(["holds", "list", "--json", "--as", &who.user, "--admin", &admin_of(&changing.file)])
            .env("PGVEIL_PASSWORD", &who.password)
            .output()
            .unwrap();
        done.status.code()
    };
    assert_eq!((asked("COMPLIANCE"), asked("COMPLIANCE2")), (Some(1), Some(0)));
}
