//! What is withdrawn, kept beside the log: a restart gives nobody back what they have lost.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StartFault;
use crate::admin::{Keep, Kept};
use crate::identity::{Revocations, Target, Withdrawn};
use crate::ledger::{Event, Revoked};
use crate::session::{Access, House, now_us};

/// The file's name in the folder of the evidence.
const FILE: &str = "revoked.json";
/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    what: String,
    name: String,
    by: String,
    subjects: std::collections::BTreeSet<String>,
}

/// Reads what is withdrawn. A file that cannot be read keeps the proxy from starting: it would let in who may not come in.
pub(super) fn read(folder: &Path) -> Result<Revocations, StartFault> {
    let path = folder.join(FILE);
    let fault = |why: String| StartFault::Revoked(path.clone(), why);
    let length = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Revocations::default()),
        Err(error) => return Err(fault(error.to_string())),
    };
    if length > FILE_BYTES_MAX {
        return Err(fault("it is too long".to_owned()));
    }
    let text = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
    let rows: Vec<Row> = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let entries = rows.into_iter().map(|row| {
        let target = if row.what == "issuer" { Target::Issuer(row.name) } else { Target::Identity(row.name) };
        (target, Withdrawn { by: row.by, subjects: row.subjects })
    });
    Ok(Revocations::new(entries))
}

/// Keeps it: the file first, whole or not at all, then the log.
pub(super) struct Keeper {
    pub(super) folder: PathBuf,
    pub(super) house: Arc<House>,
    /// One at a time, so that a later list never gives way to an earlier one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Keep for Keeper {
    fn keep<'a>(&'a self, access: &'a Access, event: Revoked) -> Kept<'a> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let (folder, revoked) = (self.folder.clone(), access.revoked());
            let written = tokio::task::spawn_blocking(move || write(&folder, &revoked)).await;
            if !matches!(written, Ok(Ok(()))) {
                return Err(
                    "it holds until the next start, but could not be kept: the folder of the store cannot be written".to_owned()
                );
            }
            let recorded = self.house.log.record(Event::Revoked(event), now_us()).await;
            recorded.map_err(|fault| format!("it holds, but could not be recorded: {fault}"))
        })
    }
}

fn write(folder: &Path, revoked: &Revocations) -> std::io::Result<()> {
    let row = |(target, entry): (&Target, &Withdrawn)| Row {
        what: target.what().to_owned(),
        name: target.name().to_owned(),
        by: entry.by.clone(),
        subjects: entry.subjects.clone(),
    };
    let text = serde_json::to_vec(&revoked.iter().map(row).collect::<Vec<_>>())?;
    let draft = folder.join(format!("{FILE}.new"));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&draft, folder.join(FILE))?;
    std::fs::File::open(folder)?.sync_all()
}
