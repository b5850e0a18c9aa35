//! Random statements through pgveil as a masked identity: nothing that comes back may depend on a raw value.
//!
//! `PGVEIL_STATEMENTS` says how many (600), `PGVEIL_SEED` where to begin (1), `PGVEIL_WORKERS` how many sessions run at once (2).
//! A statement is the same for the same seed: `PGVEIL_STATEMENTS=1 PGVEIL_SEED=n` runs the one that failed.

use std::collections::BTreeMap;
use std::time::Instant;

use proto_tests::Stand;
use proto_tests::random::{Ground, Script, script};
use proto_tests::twins::{Seen, Twins};

/// Most failures shown.
const SHOWN: usize = 60;

#[derive(Default)]
struct Tally {
    statements: usize,
    stopped: usize,
    invalid: BTreeMap<String, usize>,
    refused: BTreeMap<String, (usize, String)>,
    over: BTreeMap<String, (usize, String)>,
    over_statements: usize,
    columns: usize,
    plans: usize,
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
        let text = format!("[{seed} {} {:?}] {}", script.shape, script.mode, script.steps.join("; "));
        if let Some(leak) = seen.leak {
            self.leaks.push(format!("{text}\n      {leak}"));
        }
        match (seen.invalid, seen.refused) {
            (Some(state), _) if state == "stopped" => self.stopped += 1,
            (Some(state), _) => *self.invalid.entry(state).or_default() += 1,
            (None, Some(cause)) => self.refused.entry(cause).or_insert((0, text)).0 += 1,
            (None, None) => {
                self.columns += seen.columns;
                self.over_statements += usize::from(!seen.over.is_empty());
                for cause in seen.over {
                    self.over.entry(cause).or_insert_with(|| (0, text.clone())).0 += 1;
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
        self.leaks.extend(other.leaks);
        other.invalid.into_iter().for_each(|(state, n)| *self.invalid.entry(state).or_default() += n);
        other.shapes.into_iter().for_each(|(shape, n)| *self.shapes.entry(shape).or_default() += n);
        for (mine, theirs) in [(&mut self.refused, other.refused), (&mut self.over, other.over)] {
            theirs.into_iter().for_each(|(cause, (n, text))| mine.entry(cause).or_insert((0, text)).0 += n);
        }
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
        let refused: usize = self.refused.values().map(|(n, _)| n).sum();
        println!("refused: {refused} of {ran} statements that run directly ({:.1}%)", share(refused, ran));
        causes(&self.refused);
        let over: usize = self.over.values().map(|(n, _)| n).sum();
        println!(
            "masked though clean: {over} of {} columns ({:.1}%), in {} statements",
            self.columns,
            share(over, self.columns),
            self.over_statements
        );
        causes(&self.over);
        for leak in self.leaks.iter().take(SHOWN) {
            println!("LEAK {leak}");
        }
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
    let (statements, first, workers) = (number("PGVEIL_STATEMENTS", 600), number("PGVEIL_SEED", 1), number("PGVEIL_WORKERS", 2));
    let stand = Stand::start("corpus", &["--mirror"]);
    let ground = Ground::of(&stand);
    let start = Instant::now();
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let (stand, ground) = (&stand, &ground);
        let work = move |worker: usize| {
            let who = stand.identity("MASKED");
            let mut twins = Twins::connect(stand, &who);
            let mut tally = Tally::default();
            for seed in (first + worker..first + statements).step_by(workers) {
                let script = script(ground, seed as u64);
                if std::env::var_os("PGVEIL_TRACE").is_some() {
                    println!("[{seed}] {}", script.steps.join("; "));
                }
                tally.take(seed, &script, twins.run(&script));
            }
            tally
        };
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().for_each(|thread| all.add(thread.join().unwrap()));
    });
    all.print(start.elapsed().as_secs_f64());
    assert_eq!(all.leaks.len(), 0, "raw values decide what a masked client sees");
}
