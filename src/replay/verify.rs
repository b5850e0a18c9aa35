//! Is the log whole? Every leaf, hash, index, checkpoint and file is held against the others; what differs is named.
//!
//! Needs no key to the content. With the master key it also checks that each session's key is the one it began with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::journal::{self, Journal};
use super::walk::Walk;
use crate::ledger::{Checkpoint, Hash, LedgerError, MasterKey, SessionId, Verifier, notes};
use crate::store::columns::{CHECKPOINTS, META};
use crate::store::{CHECKPOINT_FILE, PUBLIC_KEY_FILE, StoreError};

/// Findings that are kept; more are counted.
const FINDINGS_MAX: usize = 100;
/// Longest key file that is read.
const KEY_TEXT_BYTES_MAX: u64 = 4096;
/// Largest witness file that is read: 2 GiB, some millions of checkpoints.
const WITNESS_BYTES_MAX: u64 = 2 << 30;

/// What the log is held against besides itself.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The key to verify checkpoints with; without it the one in the data folder is believed.
    pub public_key: Option<Verifier>,
    /// Files with checkpoints, one or many, that came from elsewhere.
    pub checkpoints: Vec<PathBuf>,
    /// The master key, to check the sessions' keys with.
    pub master: Option<MasterKey>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry, if it is one entry's.
    pub entry: Option<u64>,
    /// The session, if it is one session's.
    pub session: Option<SessionId>,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.entry, self.session) {
            (Some(entry), Some(session)) => write!(f, "entry {entry} (session {session}): {}", self.what),
            (Some(entry), None) => write!(f, "entry {entry}: {}", self.what),
            (None, Some(session)) => write!(f, "session {session}: {}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, at most 100.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Sessions that were opened in them.
    pub sessions: u64,
    /// Sessions whose key has been destroyed: their content is gone.
    pub destroyed: u64,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// The newest checkpoint that holds.
    pub newest: Option<Checkpoint>,
    /// The key they were verified with.
    pub verifier: Option<Verifier>,
    /// Table files that the database does not use: what a killed process had begun to write. The next start removes them.
    pub leftovers: u64,
    /// Journals whose last write was interrupted, as by kill -9: it was acknowledged to nobody. The next start drops it.
    pub interrupted: u64,
    /// True if another process was writing.
    pub live: bool,
}

impl Report {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    pub(super) fn find(&mut self, entry: Option<u64>, session: Option<SessionId>, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { entry, session, what: what.into() });
        } else {
            self.more += 1;
        }
    }
}

/// Roots that must hold, by size: each with the name of where it came from.
pub(super) type Claims = BTreeMap<u64, Vec<(Hash, String)>>;

/// Verifies the log in a data folder. `progress` is told how many entries of how many were read.
///
/// # Errors
/// `Absent` if there is no log, `File` or `KeyFile` if what it is to be held against cannot be read. Damage is a finding.
pub fn verify(folder: &Path, evidence: &Evidence, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, StoreError> {
    if !Archive::is_there(folder) {
        return Err(StoreError::Absent(folder.to_owned()));
    }
    let mut report = Report { live: crate::store::is_live(folder), ..Report::default() };
    let Some(verifier) = verifier(folder, evidence, &mut report)? else { return Ok(report) };
    report.verifier = Some(verifier.clone());
    // Read before the database: it can only be older.
    let newest = newest_note(folder, &verifier, &mut report);
    let mut claims = Claims::new();
    for file in &evidence.checkpoints {
        claim_file(file, &verifier, &mut claims, &mut report)?;
    }
    if let Some(newest) = &newest {
        claims.entry(newest.size).or_default().push((newest.root, format!("`{CHECKPOINT_FILE}` in the data folder")));
    }
    check_journals(folder, &mut report)?;
    let archive = match Archive::open(folder) {
        Ok(archive) => archive,
        Err(error) => {
            report.find(None, None, format!("the database cannot be opened: {error}"));
            return Ok(report);
        }
    };
    if !report.live {
        check_tables(folder, &archive, &mut report);
    }
    check_meta(&archive, &verifier, newest.as_ref(), &mut report);
    Walk::new(&archive, &verifier, evidence.master.as_ref(), claims, &mut report).run(progress);
    Ok(report)
}

fn verifier(folder: &Path, evidence: &Evidence, report: &mut Report) -> Result<Option<Verifier>, StoreError> {
    if let Some(verifier) = &evidence.public_key {
        return Ok(Some(verifier.clone()));
    }
    let path = folder.join(PUBLIC_KEY_FILE);
    let text = read_bounded(&path, KEY_TEXT_BYTES_MAX)?;
    match Verifier::parse(&text) {
        Ok(verifier) => Ok(Some(verifier)),
        Err(error) => {
            report.find(None, None, format!("`{}` is damaged: {error}", path.display()));
            Ok(None)
        }
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, StoreError> {
    use std::io::Read as _;
    let fail = |error| StoreError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(fail)?.take(bytes_max).read_to_end(&mut bytes).map_err(fail)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn newest_note(folder: &Path, verifier: &Verifier, report: &mut Report) -> Option<Checkpoint> {
    let text = read_bounded(&folder.join(CHECKPOINT_FILE), WITNESS_BYTES_MAX).ok()?;
    match verifier.open(&text) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            report.find(None, None, format!("`{CHECKPOINT_FILE}` in the data folder: {error}"));
            None
        }
    }
}

/// Takes up the checkpoints of a file: notes, with an empty line behind each but perhaps the last.
fn claim_file(path: &Path, verifier: &Verifier, claims: &mut Claims, report: &mut Report) -> Result<(), StoreError> {
    let text = read_bounded(path, WITNESS_BYTES_MAX)?;
    let mut taken = 0u64;
    for (number, note) in notes(&text).enumerate() {
        let source = format!("checkpoint {} of `{}`", number + 1, path.display());
        match verifier.open(&note) {
            Ok(checkpoint) => {
                taken += 1;
                claims.entry(checkpoint.size).or_default().push((checkpoint.root, source));
            }
            Err(LedgerError::Checkpoint(error)) => report.find(None, None, format!("{source}: {error}")),
            Err(error) => report.find(None, None, format!("{source}: {error}")),
        }
    }
    if taken == 0 {
        report.find(None, None, format!("`{}` holds no checkpoint of this log", path.display()));
    }
    Ok(())
}

/// The journals, and that CURRENT names one.
fn check_journals(folder: &Path, report: &mut Report) -> Result<(), StoreError> {
    let fail = |error| StoreError::File { path: folder.to_owned(), error };
    let mut files: Vec<PathBuf> = fs::read_dir(folder).map_err(fail)?.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    for path in files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_log = path.extension().is_some_and(|end| end == "log");
        if !is_log && !name.starts_with("MANIFEST-") {
            continue;
        }
        match journal::check(&path) {
            Ok(Journal::Whole) => {}
            Ok(Journal::Interrupted) => report.interrupted += u64::from(!report.live),
            Ok(Journal::Damaged(fault)) => report.find(None, None, format!("file `{name}` is damaged: {fault}")),
            // A running process may have removed it since.
            Err(error) if report.live && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => report.find(None, None, format!("file `{name}` cannot be read: {error}")),
        }
    }
    Ok(())
}

/// Counts the table files that the database does not use. They are no damage: what is missing from the log shows in the log itself.
fn check_tables(folder: &Path, archive: &Archive, report: &mut Report) {
    let known = match archive.store().table_files() {
        Ok(known) => known,
        Err(error) => return report.find(None, None, format!("the list of files cannot be read: {error}")),
    };
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files.filter_map(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sst") && !known.contains(&name) {
            report.leftovers += 1;
        }
    }
}

fn check_meta(archive: &Archive, verifier: &Verifier, newest: Option<&Checkpoint>, report: &mut Report) {
    let meta = |name: &str| archive.store().get(&META, &name.to_owned());
    match meta("verifier") {
        Ok(Some(own)) if own == verifier.to_string() => {}
        Ok(Some(own)) => report.find(None, None, format!("the log says it is signed by `{own}`, not by `{verifier}`")),
        Ok(None) => report.find(None, None, "the log does not say which key signs it"),
        Err(error) => report.find(None, None, format!("column `meta` cannot be read: {error}")),
    }
    let Some(newest) = newest else { return };
    let stored = match archive.store().get(&CHECKPOINTS, &newest.size) {
        Ok(stored) => stored.and_then(|note| verifier.open(&note).ok()),
        Err(error) => return report.find(None, None, format!("column `checkpoints` cannot be read: {error}")),
    };
    // An older one of the same size says the same: its root is compared in the walk.
    if stored.is_none() {
        let what = format!("the checkpoint of {} entries is in the data folder and not in the log", newest.size);
        report.find(None, None, what);
    }
}
