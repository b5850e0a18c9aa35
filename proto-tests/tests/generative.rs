//! Random statements through pgveil as a masked identity: nothing that comes back may depend on a raw value.
//!
//! `PGVEIL_STATEMENTS` says how many (600), `PGVEIL_SEED` where to begin (1; or several, with commas), `PGVEIL_WORKERS` how many sessions run at once (4).
//! A statement is the same for the same seed: `PGVEIL_STATEMENTS=1 PGVEIL_SEED=n` runs the one that failed.
//! `PGVEIL_OPEN` prints what differs in order only or is left open.

use std::collections::BTreeMap;
use std::time::Instant;

use proto_tests::Stand;
use proto_tests::cli::pgveil;
use proto_tests::random::{Ground, Script, script};
use proto_tests::twins::{Seen, Twins};

/// Most statements of a worker of which is asked why clean columns were masked.
const SAMPLES_MAX: usize = 100;
/// After how many statements a worker says how far it is.
const SAID_EVERY: usize = 5000;

#[derive(Default)]
struct Tally {
    statements: usize,
    stopped: usize,
    invalid: BTreeMap<String, usize>,
    refused: BTreeMap<String, (usize, String)>,
    over: usize,
    over_statements: usize,
    over_samples: Vec<(String, Vec<usize>)>,
    columns: usize,
    plans: usize,
    orders: usize,
    open: (usize, String),
    leaks: Vec<String>,
    shapes: BTreeMap<&'static str, usize>,
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

impl Tally {
    fn take(&mut self, seed: usize, script: &Script, seen: Seen) {
        self.statements += 1;
        *self.shapes.entry(script.shape).or_default() += 1;
        self.plans += usize::from(seen.plan);
        self.orders += usize::from(seen.order);
        let text = format!("[{seed} {} {:?}] {}", script.shape, script.mode, script.steps.join("; "));
        if std::env::var_os("PGVEIL_OPEN").is_some() && (seen.open || seen.order) {
            println!("{} {text}", if seen.open { "OPEN" } else { "ORDER" });
        }
        if seen.open {
            self.open = (self.open.0 + 1, text.clone());
        }
        if let Some(leak) = seen.leak {
            println!("LEAK {text}\n      {leak}");
            self.leaks.push(format!("{text}\n      {leak}"));
        }
        match (seen.invalid, seen.refused) {
            (Some(state), _) if state == "stopped" => self.stopped += 1,
            (Some(state), _) => *self.invalid.entry(state).or_default() += 1,
            (None, Some(cause)) => self.refused.entry(cause).or_insert((0, text)).0 += 1,
            (None, None) => {
                self.columns += seen.columns;
                self.over += seen.over.len();
                self.over_statements += usize::from(!seen.over.is_empty());
                if script.shape == "query" && !seen.over.is_empty() && self.over_samples.len() < SAMPLES_MAX {
                    self.over_samples.extend(script.steps.first().map(|sql| (sql.clone(), seen.over)));
                }
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.statements += other.statements;
        self.stopped += other.stopped;
        self.over_statements += other.over_statements;
        self.columns += other.columns;
        self.plans += other.plans;
        self.orders += other.orders;
        self.open = (self.open.0 + other.open.0, if other.open.0 > 0 { other.open.1 } else { std::mem::take(&mut self.open.1) });
        self.leaks.extend(other.leaks);
        other.invalid.into_iter().for_each(|(state, n)| *self.invalid.entry(state).or_default() += n);
        other.shapes.into_iter().for_each(|(shape, n)| *self.shapes.entry(shape).or_default() += n);
        self.over += other.over;
        self.over_samples.extend(other.over_samples);
        other.refused.into_iter().for_each(|(cause, (n, text))| self.refused.entry(cause).or_insert((0, text)).0 += n);
    }

    fn print(&self, seconds: f64) {
        let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        let invalid: usize = self.invalid.values().sum();
        let ran = self.statements - invalid - self.stopped;
        println!(
            "{} statements in {seconds:.0} s ({:.0} a second): {:?}",
            self.statements,
            self.statements as f64 / seconds,
            self.shapes
        );
        println!("{} the database itself refuses: {:?}; {} stopped by the clock", invalid, self.invalid, self.stopped);
        println!("{} leaks; {} plans differ with the statistics", self.leaks.len(), self.plans);
        println!("{} differ in the order of rows only", self.orders);
        println!("{} are left open by their text, and vary in one database alone", self.open.0);
        if self.open.0 > 0 {
            println!("          such as {}", self.open.1);
        }
        let refused: usize = self.refused.values().map(|(n, _)| n).sum();
        println!("refused: {refused} of {ran} statements that run directly ({:.1}%)", share(refused, ran));
        causes(&self.refused);
        println!(
            "masked though clean: {} of {} columns ({:.1}%), in {} statements",
            self.over,
            self.columns,
            share(self.over, self.columns),
            self.over_statements
        );
    }

    /// Why clean columns were masked, by what `pgveil explain` says of some of them.
    fn explain(&self, stand: &Stand) {
        let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (sql, over) in &self.over_samples {
            let told = pgveil(&[
                "explain",
                "--config",
                stand.value("CONFIG"),
                "--database",
                "clinic",
                "--group",
                "agents",
                "--json",
                sql,
            ]);
            let told = told.json();
            for at in over {
                let reason = told["statements"][0]["columns"][at]["reason"].as_str().unwrap_or("not said").to_owned();
                let reason =
                    reason.split(' ').map(|word| if word.contains('.') { "_" } else { word }).collect::<Vec<_>>().join(" ");
                reasons.entry(reason).or_insert_with(|| (0, sql.clone())).0 += 1;
            }
        }
        println!("of {} such statements:", self.over_samples.len());
        causes(&reasons);
    }
}

fn causes(causes: &BTreeMap<String, (usize, String)>) {
    let mut sorted: Vec<_> = causes.iter().collect();
    sorted.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    for (cause, (n, text)) in sorted.iter().take(30) {
        let shown: String = text.chars().take(240).collect();
        println!("  {n:6}  {cause}\n          such as {shown}");
    }
}

#[test]
fn random_statements_tell_nothing() {
    let (statements, workers) = (number("PGVEIL_STATEMENTS", 600), number("PGVEIL_WORKERS", 4));
    let starts = std::env::var("PGVEIL_SEED").unwrap_or_else(|_| "1".into());
    let seeds: Vec<usize> =
        starts.split(',').map(|start| start.parse().unwrap()).flat_map(|start: usize| start..start + statements).collect();
    let stand = Stand::start("corpus", &["--mirror"]);
    let ground = Ground::of(&stand);
    Twins::settle(&stand, &stand.identity("MASKED"));
    let start = Instant::now();
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let (stand, ground, seeds) = (&stand, &ground, &seeds);
        let work = move |worker: usize| {
            let who = stand.identity("MASKED");
            let mut twins = Twins::connect(stand, &who);
            let mut tally = Tally::default();
            for &seed in seeds.iter().skip(worker).step_by(workers) {
                let script = script(ground, seed as u64);
                if std::env::var_os("PGVEIL_TRACE").is_some() {
                    println!("[{seed}] {}", script.steps.join("; "));
                }
                tally.take(seed, &script, twins.run(&script));
                if tally.statements % SAID_EVERY == 0 {
                    println!(
                        "worker {worker}: {} statements, {} leaks, at {:.0} s",
                        tally.statements,
                        tally.leaks.len(),
                        start.elapsed().as_secs_f64()
                    );
                }
            }
            tally
        };
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().for_each(|thread| all.add(thread.join().unwrap()));
    });
    all.print(start.elapsed().as_secs_f64());
    all.explain(&stand);
    assert_eq!(all.leaks.len(), 0, "raw values decide what a masked client sees");
}
