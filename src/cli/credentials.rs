//! `pgveil credential list`: the credentials of a configuration, how long they serve, and when each was used last.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::evidence::{at, table};
use super::{Exit, complain};
use crate::config::{Config, Credential};
use crate::policy::FileFault;
use crate::replay::{Archive, Filter, shown};
use crate::server;

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The configuration that has them, and says where the log is
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// A credential, and when its last session was opened, in microseconds since 1970.
struct Used<'c> {
    credential: &'c Credential,
    last_us: Option<u64>,
}

pub(super) fn list(list: &List) -> Exit {
    let config = match Config::load(&list.config) {
        Ok(config) => config,
        Err(faults) => {
            let lines: Vec<String> = faults.iter().map(FileFault::to_string).collect();
            complain(&format!("the configuration is faulty:\n{}", lines.join("\n")));
            return Exit::Usage;
        }
    };
    let used = match used(&config) {
        Ok(used) => used,
        Err(fault) => {
            complain(&format!("when they were used cannot be read: {fault}"));
            return Exit::Unavailable;
        }
    };
    if list.json {
        println!("{}", Value::from(used.iter().map(Used::json).collect::<Vec<_>>()));
    } else if used.is_empty() {
        println!("none");
    } else {
        let now = jiff::Timestamp::now();
        let mut table = table();
        table.set_header(["name", "groups", "until", "before it was rotated", "last used"]);
        used.iter().for_each(|used| {
            table.add_row(used.cells(now));
        });
        println!("{table}");
    }
    Exit::Done
}

/// A log that was never written to knows of no use.
fn used(config: &Config) -> Result<Vec<Used<'_>>, crate::store::StoreError> {
    let folder = server::settings(config).path;
    let archive = if Archive::is_there(&folder) { Some(Archive::open(&folder)?) } else { None };
    let last = |credential: &Credential| -> Result<Option<u64>, crate::store::StoreError> {
        let Some(archive) = &archive else { return Ok(None) };
        let filter = Filter { identity: Some(credential.name.clone()), limit: 1, ..Filter::default() };
        Ok(archive.sessions(&filter)?.first().map(|(_, row)| row.opened_us))
    };
    config.credentials.iter().map(|credential| Ok(Used { credential, last_us: last(credential)? })).collect()
}

impl Used<'_> {
    fn json(&self) -> Value {
        let Credential { name, groups, expires, former, .. } = self.credential;
        json!({
            "name": name, "groups": groups, "expires": expires.map(|end| end.to_string()),
            "former_expires": former.as_ref().map(|former| former.expires.to_string()), "last_used": self.last_us.map(at),
        })
    }

    fn cells(&self, now: jiff::Timestamp) -> [String; 5] {
        let Credential { name, groups, expires, former, .. } = self.credential;
        let until = |end: jiff::Timestamp| if end <= now { format!("{end} (over)") } else { end.to_string() };
        [
            shown(name),
            shown(&groups.join(", ")),
            expires.map_or_else(|| "no end".to_owned(), until),
            former.as_ref().map(|former| until(former.expires)).unwrap_or_default(),
            self.last_us.map_or_else(|| "never".to_owned(), at),
        ]
    }
}
