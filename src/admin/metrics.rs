//! The numbers in the form that Prometheus reads (OpenMetrics). `docs/operations.md` has the table.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::outlook::Inner;
use crate::tally::{BOUNDS_US, Counts, Sums, Way};

/// A label and its value.
type Label<'l> = (&'static str, &'l str);

/// The numbers of a process at this moment.
#[derive(Debug)]
pub(super) struct Numbers(pub(super) Arc<Inner>);

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut page = Page(&mut encoder);
        self.process(&mut page)?;
        self.doors(&mut page)?;
        self.holds(&mut page)?;
        self.log(&mut page)?;
        let databases: Vec<Database> =
            self.0.tally.databases().into_iter().map(|(name, counts)| Database { name, sums: counts.sums(), counts }).collect();
        sessions(&mut page, &databases)?;
        statements(&mut page, &databases)?;
        latency(&mut page, &databases)
    }
}

/// A database's numbers.
struct Database {
    name: String,
    counts: Arc<Counts>,
    sums: Sums,
}

impl Database {
    fn label(&self) -> Label<'_> {
        ("database", &self.name)
    }
}

impl Numbers {
    fn process(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let inner = &*self.0;
        // A reload is counted after what it did shows.
        let (reloads, loaded) = (inner.tally.reloads.numbers(), inner.loaded());
        let mut build = page.family("pgveil_build", "The program's version", MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        page.gauge("process_start_time_seconds", "When the process began", seconds(inner.began))?;
        if let Some((resident, files)) = of_this_process() {
            page.gauge("process_resident_memory_bytes", "Memory in use", resident)?;
            page.gauge("process_open_fds", "Open file descriptors", files)?;
        }
        page.gauge("pgveil_ready", "1 while new sessions are taken", truth(inner.is_ready()))?;
        page.gauge("pgveil_config_loaded_timestamp_seconds", "When the configuration in force was loaded", seconds(loaded.at))?;
        page.gauge(
            "pgveil_config_refused",
            "1 if the last reload was refused and the older configuration is still in force",
            truth(loaded.refused.is_some()),
        )?;
        page.by_word("pgveil_config_reloads", "Reloads of the configuration", "outcome", &reloads)
    }

    fn doors(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let tally = &self.0.tally;
        page.counter("pgveil_connections", "Connections accepted", tally.connections.number())?;
        let turned_away = tally.turned_away.numbers();
        page.by_word("pgveil_turned_away", "Connections refused by a limit, or since the process ends", "limit", &turned_away)?;
        page.by_word("pgveil_logins_refused", "Logins refused", "reason", &tally.logins_refused.numbers())?;
        page.gauge(
            "pgveil_queued_bytes",
            "Bytes that wait in sessions, above what each may keep",
            number(self.0.house.queued.bytes()),
        )
    }

    fn holds(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let tally = &self.0.tally;
        page.gauge("pgveil_holds_waiting", "Statements that wait for a person", number(self.0.house.desk.waiting()))?;
        page.counter("pgveil_holds_opened", "Statements that began to wait for a person", tally.holds_opened.number())?;
        page.by_word("pgveil_holds_answered", "Answers to them", "answer", &tally.holds_answered.numbers())
    }

    fn log(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let log = &self.0.house.log;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let (entries, bytes, lag) = (log.size() as f64, self.0.store_bytes() as f64, log.lag_us() as f64 / 1e6);
        page.gauge("pgveil_log_entries", "Entries of the log that are durable", entries)?;
        page.gauge("pgveil_log_bytes", "Bytes of the log's folder", bytes)?;
        page.gauge("pgveil_log_queued_entries", "Entries that wait for the writer", number(log.queued_entries()))?;
        page.gauge("pgveil_log_queued_bytes", "Bytes of them", number(log.queued_bytes()))?;
        page.gauge("pgveil_log_lag_seconds", "How long the oldest of them has waited", lag)?;
        page.gauge(
            "pgveil_log_failed",
            "1 if the log cannot be written: every statement is refused",
            truth(log.failed().is_some()),
        )?;
        page.gauge(
            "pgveil_log_witness_failed",
            "1 if the witness file could not be written",
            truth(log.witness_failed().is_some()),
        )
    }
}

fn sessions(page: &mut Page<'_, '_>, databases: &[Database]) -> Result<(), Error> {
    let mut open = page.family("pgveil_sessions", "Open sessions", MetricType::Gauge)?;
    for database in databases {
        let count = database.counts.opened.number().saturating_sub(database.counts.closed.sum());
        ConstGauge::new(count).encode(open.encode_family(&[database.label()])?)?;
    }
    let mut opened = page.family("pgveil_sessions_opened", "Sessions that have begun", MetricType::Counter)?;
    for database in databases {
        ConstCounter::new(database.counts.opened.number()).encode(opened.encode_family(&[database.label()])?)?;
    }
    let mut closed = page.family("pgveil_sessions_closed", "Sessions that have ended", MetricType::Counter)?;
    for database in databases {
        for (reason, count) in database.counts.closed.numbers() {
            ConstCounter::new(count).encode(closed.encode_family(&[database.label(), ("reason", reason)])?)?;
        }
    }
    let mut faults = page.family("pgveil_upstream_errors", "What went wrong with the database", MetricType::Counter)?;
    for database in databases {
        for (kind, count) in database.counts.upstream_faults() {
            ConstCounter::new(count).encode(faults.encode_family(&[database.label(), ("kind", kind)])?)?;
        }
    }
    Ok(())
}

fn statements(page: &mut Page<'_, '_>, databases: &[Database]) -> Result<(), Error> {
    let mut decided = page.family("pgveil_statements", "Statements decided upon", MetricType::Counter)?;
    for database in databases {
        for (verb, decision, count) in &database.sums.statements {
            let labels = [database.label(), ("verb", verb), ("decision", decision)];
            ConstCounter::new(*count).encode(decided.encode_family(&labels)?)?;
        }
    }
    let mut rows = page.family("pgveil_rows", "Rows sent to clients", MetricType::Counter)?;
    for database in databases {
        ConstCounter::new(database.sums.rows).encode(rows.encode_family(&[database.label()])?)?;
    }
    let mut cells =
        page.family("pgveil_masked_cells", "Cells of masked columns in them, NULL among them", MetricType::Counter)?;
    for database in databases {
        ConstCounter::new(database.sums.cells).encode(cells.encode_family(&[database.label()])?)?;
    }
    Ok(())
}

fn latency(page: &mut Page<'_, '_>, databases: &[Database]) -> Result<(), Error> {
    let help = "From the reading of bytes until they may leave: analysis, masking, the log; one arrival in eight is measured";
    let mut family = page.family("pgveil_added_latency_seconds", help, MetricType::Histogram)?;
    for database in databases {
        for (latency, (_, way)) in database.sums.latency.iter().zip(Way::ALL) {
            let (buckets, sum) = latency.numbers();
            #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
            let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
            let count = buckets.iter().sum();
            let buckets: Vec<(f64, u64)> = bounds.zip(buckets).collect();
            let labels = [database.label(), ("way", way)];
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)?;
        }
    }
    Ok(())
}

/// What is being written.
struct Page<'p, 'e>(&'p mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    fn family<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        ConstCounter::new(value).encode(self.family(name, help, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        ConstGauge::new(value).encode(self.family(name, help, MetricType::Gauge)?)
    }

    fn by_word(&mut self, name: &str, help: &str, label: &'static str, numbers: &[(&str, u64)]) -> Result<(), Error> {
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (word, count) in numbers {
            ConstCounter::new(*count).encode(family.encode_family(&[(label, *word)])?)?;
        }
        Ok(())
    }
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(count: usize) -> f64 {
    count as f64
}

fn seconds(moment: jiff::Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

/// Resident bytes and open files, as Linux tells them.
fn of_this_process() -> Option<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident: u32 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((f64::from(resident) * 1024.0, number(files)))
}
