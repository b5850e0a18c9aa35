//! `pgveil sessions`, `pgveil replay` and `pgveil verify`: what was recorded, shown and held against itself.

mod player;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::{Timestamp, civil};
use player::Player;
use serde_json::{Value, json};

use crate::ledger::{LedgerError, SessionId, Verifier};
use crate::replay::{Archive, Evidence, Filter, Found, Report, shown};
use crate::store::{Row, Settings, StoreError, master_key};

/// A finding: the log is damaged, or there is no such session.
const FOUND: u8 = 1;

/// `pgveil sessions`: lists recorded sessions, the newest first.
#[derive(Debug, Args)]
#[command(after_help = "Times: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or 90m, 12h, 7d ago.\n\nExit codes: 0 listed, 2 wrong \
                        usage or the log cannot be read.")]
pub(super) struct SessionsArgs {
    /// Only sessions of this identity.
    #[arg(long)]
    pub identity: Option<String>,
    /// Only sessions opened at this time or later.
    #[arg(long, value_parser = time)]
    pub since: Option<u64>,
    /// Only sessions opened before this time.
    #[arg(long, value_parser = time)]
    pub until: Option<u64>,
    /// Only sessions in this database.
    #[arg(long)]
    pub database: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// One JSON array instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `pgveil replay`: shows a session as it was seen.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 shown whole, 1 no such session or an entry is damaged, 2 wrong usage or the log cannot be read."
)]
pub(super) struct ReplayArgs {
    /// The session: its identifier, or as many first digits as make it unique.
    pub id: String,
    /// One JSON object per line and entry.
    #[arg(long)]
    pub json: bool,
    /// In the session's own timing instead of at once.
    #[arg(long)]
    pub timing: bool,
}

/// `pgveil verify`: says whether the log is whole, and if not, what differs.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the log is whole, 1 it is damaged, 2 wrong usage or nothing to verify.")]
pub(super) struct VerifyArgs {
    /// The data folder, instead of the one of the configuration: a copy or a backup.
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// The public key `name+id+key`, or a file with it. Without it the data folder's own is believed.
    #[arg(long)]
    pub public_key: Option<String>,
    /// A file with checkpoints kept elsewhere, such as a copy of the witness file. May be given several times.
    #[arg(long)]
    pub checkpoint: Vec<PathBuf>,
    /// One JSON object instead of sentences.
    #[arg(long)]
    pub json: bool,
}

/// Why a command has no answer: exit code 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvidenceError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The public key is not one.
    #[error("`{0}` is neither a public key of the form name+id+key nor a file with one")]
    PublicKey(String),
    /// `verify` was given neither a configuration nor a folder.
    #[error("nothing to verify: give `--store` or `--config`")]
    NoStore,
    /// Several sessions begin like this.
    #[error("several sessions begin with `{0}`: give more digits")]
    Several(String),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(std::io::Error),
}

/// Output that was closed by its reader is no fault.
fn ended(result: Result<ExitCode, EvidenceError>) -> Result<ExitCode, EvidenceError> {
    match result {
        Err(EvidenceError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

/// Reads a time, in microseconds since 1970.
fn time(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time: write 2026-01-31T08:00:00Z, 2026-01-31, or 90m, 12h, 7d ago");
    let stamp = if let Ok(stamp) = text.parse::<Timestamp>() {
        stamp
    } else if let Ok(day) = text.parse::<civil::Date>() {
        day.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?.timestamp()
    } else {
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let ago = Duration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?);
        Timestamp::now().checked_sub(ago).map_err(|_| wrong())?
    };
    u64::try_from(stamp.as_microsecond()).map_err(|_| wrong())
}

/// A time as people read it, in UTC.
pub(super) fn at(time_us: u64) -> String {
    let stamp = i64::try_from(time_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    stamp.map_or_else(|| format!("{time_us} us"), |stamp| format!("{stamp:.3}"))
}

/// Lists sessions.
///
/// # Errors
/// The log cannot be read, or the output not written.
pub(super) fn sessions(args: &SessionsArgs, settings: &Settings) -> Result<ExitCode, EvidenceError> {
    let archive = Archive::open(&settings.path)?;
    let filter = Filter {
        identity: args.identity.clone(),
        database: args.database.clone(),
        since_us: args.since,
        until_us: args.until,
        limit: args.limit,
    };
    let rows = archive.sessions(&filter)?;
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        let list: Vec<Value> = rows.iter().map(|(session, row)| session_json(*session, row)).collect();
        writeln!(out, "{}", Value::from(list))
    } else {
        writeln!(out, "{}", session_table(&rows))
    };
    ended(written.map(|()| ExitCode::SUCCESS).map_err(EvidenceError::Output))
}

fn session_json(session: SessionId, row: &Row) -> Value {
    json!({
        "session": session.to_string(), "identity": row.identity, "groups": row.groups, "database": row.database,
        "client": row.client, "application": row.application, "opened": at(row.opened_us),
        "closed": row.closed.as_ref().map(|(time, _)| at(*time)), "end": row.closed.as_ref().map(|(_, reason)| reason),
        "statements": row.closed.as_ref().map(|_| row.statements),
    })
}

fn session_table(rows: &[(SessionId, Row)]) -> Table {
    let mut table = table();
    table.set_header(["session", "identity", "groups", "database", "client", "application", "opened", "ended", "statements"]);
    for (session, row) in rows {
        let (end, statements) = match &row.closed {
            Some((time, reason)) => (format!("{} ({})", at(*time), shown(reason)), row.statements.to_string()),
            None => ("open".into(), String::new()),
        };
        let texts = [&row.identity, &row.groups.join(", "), &row.database, &row.client, &row.application].map(|text| shown(text));
        let mut cells = vec![session.to_string()];
        cells.extend(texts);
        cells.extend([at(row.opened_us), end, statements]);
        table.add_row(cells);
    }
    table
}

pub(super) fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Shows a session.
///
/// # Errors
/// The log or the master key cannot be read, or the output not written.
pub(super) fn replay(args: &ReplayArgs, settings: &Settings) -> Result<ExitCode, EvidenceError> {
    let archive = Archive::open(&settings.path)?;
    let (session, row) = match archive.find(&args.id)? {
        Found::One(session, row) => (session, row),
        Found::Several => return Err(EvidenceError::Several(args.id.clone())),
        Found::None => {
            tell(&format!("there is no session `{}`", shown(&args.id)));
            return Ok(ExitCode::from(FOUND));
        }
    };
    let master = master_key(settings)?;
    let mut whole = true;
    let key = match archive.key(session, &master) {
        Ok(key) => key,
        Err(StoreError::Damaged(error)) => {
            tell(&format!("session {session}: its key cannot be opened ({error}); what is not sealed follows"));
            whole = false;
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut player = Player::new(std::io::stdout().lock(), args.json);
    let mut before = None;
    let played = (|| {
        player.header(session, &row, key.is_some()).map_err(EvidenceError::Output)?;
        for entry in archive.entries(session, key.as_ref())? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    tell(&format!("session {session}: {error}; run `pgveil verify`"));
                    return Ok(ExitCode::from(FOUND));
                }
            };
            if args.timing {
                let pause = entry.place.time_us.saturating_sub(before.unwrap_or(entry.place.time_us));
                std::thread::sleep(Duration::from_micros(pause));
                before = Some(entry.place.time_us);
            }
            player.entry(&entry).map_err(EvidenceError::Output)?;
        }
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    })();
    ended(played)
}

fn tell(sentence: &str) {
    // Nothing can be said where nobody listens.
    let _ = writeln!(std::io::stderr(), "pgveil: {sentence}");
}

/// Verifies a log. `settings` are needed if `--store` is not given; with them the witness file and the master key are used too.
///
/// # Errors
/// There is nothing to verify, or what it is to be held against cannot be read.
pub(super) fn verify(args: &VerifyArgs, settings: Option<&Settings>) -> Result<ExitCode, EvidenceError> {
    let folder = args.store.as_ref().or(settings.map(|settings| &settings.path)).ok_or(EvidenceError::NoStore)?;
    let mut evidence = Evidence { checkpoints: args.checkpoint.clone(), ..Evidence::default() };
    evidence.public_key = args.public_key.as_deref().map(public_key).transpose()?;
    if let Some(settings) = settings.filter(|_| args.store.is_none()) {
        evidence.checkpoints.extend(settings.witness.clone());
        evidence.master = master_key(settings).ok();
    }
    let watched = std::io::stderr().is_terminal();
    let mut progress = |done: u64, total: u64| {
        if watched && total > 10_000 {
            let end = if done == total { "\r\u{1b}[K" } else { "" };
            let _ = write!(std::io::stderr(), "\r{} of {} entries{end}", grouped(done), grouped(total));
        }
    };
    let report = crate::replay::verify(folder, &evidence, &mut progress)?;
    let mut out = std::io::stdout().lock();
    let written =
        if args.json { writeln!(out, "{}", report_json(&report)) } else { out.write_all(sentences(&report).as_bytes()) };
    let code = if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) };
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(EvidenceError::Output(error)),
        _ => Ok(code),
    }
}

fn public_key(text: &str) -> Result<Verifier, EvidenceError> {
    let wrong = |_: LedgerError| EvidenceError::PublicKey(text.to_owned());
    Verifier::parse(text).or_else(|error| match std::fs::read_to_string(text) {
        Ok(content) => Verifier::parse(&content).map_err(wrong),
        Err(_) => Err(wrong(error)),
    })
}

fn sentences(report: &Report) -> String {
    let entries = format!("{} entries, {} sessions", grouped(report.entries), grouped(report.sessions));
    let mut out = if report.is_whole() {
        let newest = report.newest.as_ref().map_or_else(
            || "no checkpoint yet".to_owned(),
            |newest| format!("checkpoint {} signed {}", grouped(newest.size), at(newest.time_us)),
        );
        format!("log whole: {entries}, {newest} by {}\n", report.verifier.as_ref().map(ToString::to_string).unwrap_or_default())
    } else {
        let count = u64::try_from(report.findings.len()).unwrap_or(u64::MAX).saturating_add(report.more);
        let findings = report.findings.iter().map(|finding| format!("  {}\n", shown(&finding.to_string())));
        let more = if report.more > 0 { format!("  and {} more\n", grouped(report.more)) } else { String::new() };
        format!("log damaged: {} in {entries} read\n{}{more}", faults(count), findings.collect::<String>())
    };
    let beyond = report.newest.as_ref().map_or(report.entries, |newest| report.entries.saturating_sub(newest.size));
    if beyond > 0 {
        out.push_str(&format!("{} entries are newer than the last checkpoint\n", grouped(beyond)));
    }
    if report.leftovers > 0 {
        let files = grouped(report.leftovers);
        out.push_str(&format!(
            "{files} table files were left behind by a process that was killed; the database does not use them\n"
        ));
    }
    if report.interrupted > 0 {
        out.push_str(
            "the last write was interrupted, as by kill -9: it was acknowledged to nobody, and the next start drops it\n",
        );
    }
    if report.destroyed > 0 {
        out.push_str(&format!("the content of {} sessions has been destroyed with their keys\n", grouped(report.destroyed)));
    }
    out
}

fn faults(count: u64) -> String {
    if count == 1 { "1 finding".into() } else { format!("{} findings", grouped(count)) }
}

fn report_json(report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({"entry": finding.entry, "session": finding.session.map(|id| id.to_string()), "what": finding.what}))
        .collect();
    json!({
        "whole": report.is_whole(), "entries": report.entries, "sessions": report.sessions, "destroyed": report.destroyed,
        "checkpoints": report.checkpoints, "live": report.live, "leftovers": report.leftovers,
        "interrupted": report.interrupted, "findings": findings, "more": report.more,
        "verifier": report.verifier.as_ref().map(ToString::to_string),
        "newest": report.newest.as_ref().map(|newest| {
            json!({"size": newest.size, "root": newest.root.to_string(), "time": at(newest.time_us)})
        }),
    })
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
