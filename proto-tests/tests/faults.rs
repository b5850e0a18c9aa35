//! Connections that break, stall and come in pieces, between client and pgveil, between pgveil and the database, and on the way to the
//! admin API: every session hears what PostgreSQL would say, up to where it ends; none hangs; and all that ran is on record.
//!
//! `PGVEIL_FAULTS` says how many sessions are played (120).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proto_tests::cli::pgveil_at;
use proto_tests::faults::{MARK, Session, application, cancel, log_in, renamed};
use proto_tests::journal::{id, replay, sessions, verify};
use proto_tests::random::Dice;
use proto_tests::relay::{Cut, Plan, Relay};
use proto_tests::server::Server;
use proto_tests::{Identity, Message, Stand, eventually};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
const PLAYERS: usize = 4;
/// A session that has not ended by then hangs.
const SESSION_MAX: Duration = Duration::from_secs(40);
/// A client that hears nothing waits so long where its connection has fallen silent.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// Bytes within which connections are cut: login and the first statements lie before the first, whole results before the last.
const BYTES_MAX: [usize; 3] = [600, 4_000, 40_000];

/// Which way a plan is for; it is part of the seed.
#[derive(Clone, Copy)]
enum Leg {
    Client = 1,
    Server = 2,
    Admin = 3,
}

/// Everything that stands for the length of the test.
struct House {
    stand: Stand,
    server: Server,
    client: Relay,
    admin: Relay,
    _upstream: Relay,
}

/// What happens to a run's connection on one leg: the same for the same number.
fn plan(number: usize, leg: Leg) -> Plan {
    let mut dice = Dice::new(number as u64 * 7 + leg as u64);
    let bytes_max = *dice.pick(&BYTES_MAX);
    Plan::random(&mut dice, 30, bytes_max)
}

/// Connections of runs break by their number. Others come in pieces, late and whole.
fn planned(leg: Leg) -> impl Fn(&[u8]) -> Plan + Send + Sync + 'static {
    let others = AtomicUsize::new(1_000_000);
    move |packet: &[u8]| {
        let named = application(packet);
        match named.as_deref().and_then(|name| name.strip_prefix("run-")?.parse().ok()) {
            Some(number) => plan(number, leg),
            None if named.as_deref().is_some_and(|name| name.starts_with("calm-")) => Plan::default(),
            None => {
                let mut dice = Dice::new(others.fetch_add(1, Ordering::Relaxed) as u64);
                Plan::random(&mut dice, 0, 4_000)
            }
        }
    }
}

impl House {
    fn build() -> Self {
        let stand = Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]);
        stand.owner("create table tests.marks (mark text)");
        stand.owner("create table tests.held as select 1 as id");
        for setting in ["log_statement = 'all'", "log_line_prefix = '%a|'", "max_connections = 300"] {
            stand.owner(&format!("alter system set {setting}"));
        }
        stand.owner("select pg_reload_conf()");
        let upstream = Relay::start(stand.value("PG_PORT").parse().unwrap(), planned(Leg::Server));
        let config = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
        let (direct, relayed) = (format!("127.0.0.1:{}/", stand.value("PG_PORT")), format!("127.0.0.1:{}/", upstream.port()));
        std::fs::write(stand.value("CONFIG"), config.replace(&direct, &relayed)).unwrap();
        let server = Server::start(&stand);
        let client = Relay::start(stand.port(), planned(Leg::Client));
        let admin_port = stand.value("ADMIN").rsplit(':').next().unwrap().parse().unwrap();
        let turn = AtomicUsize::new(0);
        let admin = Relay::start(admin_port, move |_| plan(turn.fetch_add(1, Ordering::Relaxed), Leg::Admin));
        Self { stand, server, client, admin, _upstream: upstream }
    }

    /// What a session should hear: from the database itself where nothing is masked, else through pgveil with nothing in between.
    fn expected(&self, session: &Session, masked: bool, name: &str) -> Vec<Message> {
        let application = format!("calm-{name}");
        let wire = if masked {
            log_in(self.stand.port(), &self.stand.identity("AGENT"), &application)
        } else {
            let app = Identity { user: "clinic_app".into(), password: "app".into(), dsn: String::new() };
            log_in(self.stand.value("PG_PORT").parse().unwrap(), &app, &application)
        };
        let heard = session.play(&mut wire.expect("a calm login"), SESSION_MAX);
        assert!(heard.whole, "the calm session {name} ends early: {heard:?}");
        heard.messages
    }

    /// Plays one run; what is wrong with it.
    fn run(&self, number: usize) -> Option<String> {
        let mut dice = Dice::new(number as u64);
        match dice.below(20) {
            0 => self.held(number, &mut dice),
            1 => self.cancelled(number),
            _ => self.played(number, dice.chance(40)),
        }
    }

    fn played(&self, number: usize, masked: bool) -> Option<String> {
        let (calm, name) = (format!("c{number:06}"), format!("f{number:06}"));
        let expected = renamed(&self.expected(&Session::random(number as u64, &calm, masked), masked, &calm), &calm, &name);
        let who = self.stand.identity(if masked { "AGENT" } else { "CLINICIAN" });
        let broken = [Leg::Client, Leg::Server].into_iter().any(|leg| plan(number, leg).cuts());
        let Some(mut wire) = log_in(self.client.port(), &who, &format!("run-{number}")) else {
            return (!broken).then(|| "no login, and nothing was cut".to_owned());
        };
        let heard = Session::random(number as u64, &name, masked).play(&mut wire, if broken { SILENCE_MAX } else { SESSION_MAX });
        if heard.silent && !silenced(number) {
            return Some(format!("nothing came any more after {} messages", heard.messages.len()));
        }
        if !broken && !heard.whole {
            return Some(format!("ended after {} of {} messages, and nothing was cut", heard.messages.len(), expected.len()));
        }
        heard.departs_from(&expected)
    }

    /// A statement that waits: answered through connections to the admin API that break, and then through one that does not.
    fn held(&self, number: usize, dice: &mut Dice) -> Option<String> {
        let who = self.stand.identity("AGENT");
        let mut wire = log_in(self.client.port(), &who, &format!("run-{number}"))?;
        wire.patience(SILENCE_MAX * 2);
        let mark = format!("{MARK}f{number:06}-1");
        wire.ask(&format!("delete from tests.held /* {mark} */"));
        let notice = wire.read().ok().filter(|message| message.tag == b'N')?;
        let said = notice.field(b'M').unwrap_or_default();
        let hold = said.split_whitespace().find(|word| word.starts_with("h-"))?.trim_end_matches([';', ':', ',']).to_owned();
        let (answer, wanted) = if dice.chance(50) { ("approve", "CZ") } else { ("deny", "EZ") };
        let compliance = self.stand.identity("COMPLIANCE");
        let through = format!("http://127.0.0.1:{}", self.admin.port());
        let arguments = match answer {
            "deny" => vec!["holds", "deny", &hold, "--reason", "no"],
            _ => vec!["holds", "approve", &hold],
        };
        let first = pgveil_at(&through, &compliance, &arguments);
        let second = pgveil_at(self.stand.value("ADMIN"), &compliance, &arguments);
        if first.code == 0 && second.code == 0 {
            return Some(format!("hold {hold} was answered twice"));
        }
        let reply = wire.reply_so_far();
        match reply.tags().as_str() {
            tags if tags == wanted => None,
            _ if plan(number, Leg::Client).cuts() || plan(number, Leg::Server).cuts() => None,
            tags => Some(format!("a hold was answered {answer}, and the client heard {tags}: {} {}", first.err, second.err)),
        }
    }

    /// A statement that is cancelled through a connection that breaks or not.
    fn cancelled(&self, number: usize) -> Option<String> {
        let who = self.stand.identity("CLINICIAN");
        let mut wire = log_in(self.client.port(), &who, &format!("run-{number}"))?;
        wire.patience(SESSION_MAX);
        let asked = wire.try_ask(&format!("select pg_sleep(8) /* {MARK}f{number:06}-1 */"));
        let broken = plan(number, Leg::Client).cuts() || plan(number, Leg::Server).cuts();
        if broken || asked.is_err() {
            // Nobody can tell whether it arrives: the client leaves, and the statement must not stay.
            return None;
        }
        eventually("the statement runs", || (self.running(number) == 1).then_some(()));
        cancel(self.client.port(), wire.key);
        let reply = wire.reply_so_far();
        let (tags, state) = (reply.tags(), reply.sqlstate());
        (tags != "TEZ" || state.as_deref() != Some("57014")).then(|| format!("cancelled, the client heard {tags} {state:?}"))
    }

    fn running(&self, number: usize) -> usize {
        let sql = format!("select count(*) from pg_stat_activity where application_name = 'run-{number}' and state = 'active'");
        self.stand.owner(&sql).parse().unwrap()
    }
}

/// True if a connection of the run falls silent, so that nobody can tell the client that it has ended.
fn silenced(number: usize) -> bool {
    let silent = |cut: Option<(u64, Cut)>| cut.is_some_and(|(_, cut)| matches!(cut, Cut::Silence | Cut::Half));
    [Leg::Client, Leg::Server].into_iter().map(|leg| plan(number, leg)).any(|plan| silent(plan.out.cut) || silent(plan.back.cut))
}

/// Every mark that the database's own log names, but those of calm sessions: what ran.
fn ran(stand: &Stand) -> BTreeMap<String, usize> {
    let log = std::fs::read_to_string(Path::new(stand.value("DIR")).join("postgresql.log")).unwrap();
    let (mut marks, mut again) = (BTreeMap::new(), false);
    // A statement that fails is told of a second time.
    for line in log.lines().filter(|line| !line.contains("STATEMENT:") && line.starts_with("run-")) {
        if line.contains("LOG:") {
            // A portal that goes on is no new statement; the parameters stand on the next line.
            again = line.contains("execute fetch from");
        }
        if again {
            continue;
        }
        for mark in marks_in(line).into_iter().collect::<BTreeSet<_>>() {
            *marks.entry(mark).or_default() += 1;
        }
    }
    marks
}

fn marks_in(text: &str) -> Vec<String> {
    let mark = format!("{MARK}f");
    let starts = text.match_indices(&mark).map(|(at, _)| &text[at..]);
    starts.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect()).collect()
}

#[test]
fn sessions_end_as_they_should_and_stay_on_record() {
    let runs: usize = std::env::var("PGVEIL_FAULTS").ok().and_then(|count| count.parse().ok()).unwrap_or(120);
    let first: usize = std::env::var("PGVEIL_FAULTS_FROM").ok().and_then(|number| number.parse().ok()).unwrap_or(0);
    let mut house = House::build();
    let (next, wrong) = (AtomicUsize::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + runs {
                        break;
                    }
                    let started = Instant::now();
                    let fault = house.run(number);
                    let late = (started.elapsed() > SESSION_MAX).then(|| format!("took {:?}", started.elapsed()));
                    wrong.lock().unwrap().extend(fault.or(late).map(|fault| format!("run {number}: {fault}")));
                    if number % 500 == 499 {
                        eprintln!("{} of {runs} runs, {} wrong", number - first + 1, wrong.lock().unwrap().len());
                    }
                }
            });
        }
    });
    eventually("no session of a run is left on the server", || {
        let left = house.stand.owner("select count(*) from pg_stat_activity where application_name like 'run-%'");
        (left == "0").then_some(())
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(house.server.stop(), 0);
    on_record(&house.stand, runs);
}

/// Whatever the server ran is in the log, and the log is whole.
fn on_record(stand: &Stand, runs: usize) {
    let ran = ran(stand);
    assert!(ran.len() > runs / 2, "only {} statements ran", ran.len());
    let mut recorded = BTreeSet::new();
    for session in sessions(stand, &[]) {
        if session.to_string().contains("run-") {
            recorded.extend(marks_in(&replay(stand, &id(&session))));
        }
    }
    let missing: Vec<&String> = ran.keys().filter(|mark| !recorded.contains(*mark)).collect();
    assert!(missing.is_empty(), "{} of {} statements that ran are not on record: {missing:?}", missing.len(), ran.len());
    let twice: Vec<_> = ran.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "ran more than once: {twice:?}");
    let whole = verify(Path::new(stand.value("DATA")), Some(stand.value("WITNESS")));
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
}
