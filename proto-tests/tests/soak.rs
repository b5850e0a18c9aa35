//! Mixed load for a long time: cancels, disconnects, errors, holds that nobody answers, idle connections, a database that restarts.
//! At every rest the proxy must hold no more than at the first: memory, file descriptors, connections to the database.
//!
//! `PGVEIL_SOAK_SECONDS` says how long (12), `PGVEIL_SOAK_IDLE` how many idle connections (40). `scripts/soak` runs the hour.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proto_tests::faults::{Session, cancel, log_in};
use proto_tests::journal::verify;
use proto_tests::random::Dice;
use proto_tests::server::Server;
use proto_tests::{Stand, Wire, eventually};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
const WORKERS: u64 = 6;
/// Rests, of which the first is what the others are held against.
const ROUNDS: u32 = 6;
/// What may come and go with the log's own files.
const FILES_MAX: usize = 40;
/// What memory may grow by between the second rest and the last, in KiB: caches of the log and arenas of the allocator fill slowly.
const GROWTH_KIB_MAX: u64 = 96 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

fn number(name: &str, standard: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(standard)
}

/// What the proxy holds at a moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    resident_kib: u64,
    files: usize,
    threads: u64,
    upstream: usize,
}

struct House {
    stand: Stand,
    server: Server,
    resting: AtomicBool,
    over: AtomicBool,
    at_work: AtomicUsize,
    done: [AtomicU64; 5],
}

/// What is counted.
const DONE: [&str; 5] = ["sessions", "broken off", "cancelled", "left while held", "refused"];

impl House {
    fn held(&self) -> Held {
        let pid = self.server.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        Held { resident_kib: field("VmRSS:"), files, threads: field("Threads:"), upstream: self.upstream() }
    }

    fn upstream(&self) -> usize {
        self.stand.owner("select count(*) from pg_stat_activity where usename = 'clinic_app'").parse().unwrap()
    }

    fn count(&self, what: usize) {
        self.done[what].fetch_add(1, Ordering::Relaxed);
    }

    /// One worker's load, until it is over.
    fn work(&self, worker: u64) {
        let mut dice = Dice::new(worker);
        let mut number = worker << 32;
        while !self.over.load(Ordering::Relaxed) {
            if self.resting.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            self.at_work.fetch_add(1, Ordering::Relaxed);
            self.session(&mut dice, number);
            self.at_work.fetch_sub(1, Ordering::Relaxed);
            number += 1;
        }
    }

    fn session(&self, dice: &mut Dice, number: u64) {
        let masked = dice.chance(60);
        let who = self.stand.identity(if masked { "AGENT" } else { "CLINICIAN" });
        let Some(mut wire) = log_in(self.stand.port(), &who, "soak") else {
            // The database restarts.
            self.count(4);
            return std::thread::sleep(Duration::from_millis(100));
        };
        self.count(0);
        wire.patience(PATIENCE);
        match dice.below(20) {
            0 => {
                self.count(1);
                let _ = wire.try_ask("select g, repeat('x', 1000) from generate_series(1, 100000) g");
                let _ = wire.read();
            }
            1 => {
                self.count(2);
                if wire.try_ask("select pg_sleep(3)").is_ok() {
                    std::thread::sleep(Duration::from_millis(dice.below(60) as u64));
                    cancel(self.stand.port(), wire.key);
                    let _ = wire.reply_so_far();
                }
            }
            2 => {
                self.count(3);
                if wire.try_ask("delete from tests.held").is_ok() {
                    let _ = wire.read();
                }
            }
            3 => {
                self.count(1);
                let _ = wire.send(b"Q\0\0\0\xffselect");
            }
            _ => {
                for turn in 0..1 + dice.below(12) as u64 {
                    let heard = Session::random(number * 16 + turn, "soak", masked).play(&mut wire, PATIENCE);
                    assert!(!heard.silent, "nothing came for {PATIENCE:?}");
                    if !heard.whole {
                        break;
                    }
                }
            }
        }
    }

    /// Waits until only what idles is left, and looks.
    fn rest(&self, idle: usize) -> Held {
        self.resting.store(true, Ordering::Relaxed);
        eventually("the workers rest", || (self.at_work.load(Ordering::Relaxed) == 0).then_some(()));
        let (mut last, mut same) = (usize::MAX, 0);
        eventually("the sessions end", || {
            let now = self.upstream();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            (now >= idle && now <= idle + 4 && same >= 3).then_some(())
        });
        std::thread::sleep(Duration::from_millis(500));
        let held = self.held();
        self.resting.store(false, Ordering::Relaxed);
        held
    }
}

/// Ends the load however the test ends.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn build(idle: usize) -> House {
    let stand = Stand::start("clinic", &["--without-pgveil", "--policy", POLICY]);
    stand.owner("create table tests.marks (mark text)");
    stand.owner("create table tests.held as select 1 as id");
    stand.owner(&format!("alter system set max_connections = {}", idle + 100));
    stand.restart_postgres();
    let config = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let limits = format!("[limits]\nsessions_max = {}\n\n[[database]]", idle + 100);
    std::fs::write(stand.value("CONFIG"), config.replacen("[[database]]", &limits, 1)).unwrap();
    // Two descriptors a session, here and there.
    let me = std::process::id().to_string();
    let _ = Command::new("prlimit").args(["--pid", &me, "--nofile=65536:65536"]).status();
    let mut command = Command::new(proto_tests::cli::binary());
    command.args(["serve", "--config", stand.value("CONFIG")]);
    let server = Server::spawn(command).unwrap();
    House {
        stand,
        server,
        resting: AtomicBool::new(false),
        over: AtomicBool::new(false),
        at_work: AtomicUsize::new(0),
        done: Default::default(),
    }
}

fn idlers(house: &House, count: usize) -> Vec<Wire> {
    let who = house.stand.identity("CLINICIAN");
    (0..count).map(|_| eventually("an idle connection", || log_in(house.stand.port(), &who, "idle"))).collect()
}

#[test]
fn nothing_grows() {
    let seconds = number("PGVEIL_SOAK_SECONDS", 12);
    let idle = usize::try_from(number("PGVEIL_SOAK_IDLE", 40)).unwrap();
    let mut house = build(idle);
    let mut waiting = idlers(&house, idle);
    let mut rests: Vec<Held> = Vec::new();
    std::thread::scope(|scope| {
        let house = &house;
        let _ending = Ending(&house.over);
        for worker in 0..WORKERS {
            scope.spawn(move || house.work(worker));
        }
        for round in 0..ROUNDS {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(seconds) / ROUNDS {
                std::thread::sleep(Duration::from_secs(seconds).div_f64(60.0));
                let held = house.held();
                eprintln!("round {round} {:>5.0} s  {held:?}", began.elapsed().as_secs_f64());
            }
            let held = house.rest(idle);
            let done: Vec<String> =
                DONE.iter().zip(&house.done).map(|(name, count)| format!("{} {name}", count.load(Ordering::Relaxed))).collect();
            eprintln!("rest  {round}          {held:?}; {}", done.join(", "));
            rests.push(held);
            if round % 2 == 1 {
                house.stand.restart_postgres();
                for wire in &mut waiting {
                    wire.patience(PATIENCE);
                    let said = wire.reply_so_far();
                    let state = said.sqlstate();
                    assert!(matches!(state.as_deref(), Some("57P01" | "08006")), "an idle client hears {:?}", said.tags());
                }
                waiting = idlers(house, idle);
            }
        }
    });
    judge(&rests);
    assert_eq!(house.server.stop(), 0);
    let whole = verify(Path::new(house.stand.value("DATA")), Some(house.stand.value("WITNESS")));
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
    eprintln!("verify: {}", whole.out.trim());
}

fn judge(rests: &[Held]) {
    let (first, second, last) = (rests[0], rests[1], rests[rests.len() - 1]);
    assert!(last.files <= first.files + FILES_MAX, "file descriptors: {} at first, {} at last", first.files, last.files);
    assert!(last.threads <= first.threads + 4, "threads: {} at first, {} at last", first.threads, last.threads);
    assert!(last.upstream <= first.upstream + 2, "connections upstream: {} at first, {} at last", first.upstream, last.upstream);
    let most = second.resident_kib + GROWTH_KIB_MAX;
    assert!(
        last.resident_kib <= most,
        "memory: {} KiB at the second rest, {} at the last",
        second.resident_kib,
        last.resident_kib
    );
}
