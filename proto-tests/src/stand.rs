//! A stand of one's own, by `proto-tests/stand`; everything ends with the process that started it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who logs in through pgveil.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name in the startup packet.
    pub user: String,
    /// The short-lived credential.
    pub password: String,
    /// Both as a DSN.
    pub dsn: String,
}

/// A running stand; its values are the `KEY=value` lines it printed.
pub struct Stand {
    child: Child,
    values: BTreeMap<String, String>,
}

/// The repository's folder.
///
/// # Panics
/// If this package stands alone.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

impl Stand {
    /// Starts the stand of that name with further arguments.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(root().join("proto-tests/stand"))
            .arg(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut values = BTreeMap::new();
        let mut ready = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                ready = true;
                break;
            }
            if let Some((key, value)) = line.split_once('=') {
                values.insert(key.to_owned(), value.to_owned());
            }
        }
        if !ready {
            panic!("the stand {name} did not come up: {:?}", child.wait());
        }
        Self { child, values }
    }

    /// A printed value.
    ///
    /// # Panics
    /// If the stand printed none of that name.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| panic!("the stand printed no {key}"))
    }

    /// A value that not every stand prints.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The identity printed as `KEY`, `KEY_USER` and `KEY_PASSWORD`.
    #[must_use]
    pub fn identity(&self, key: &str) -> Identity {
        Identity {
            user: self.value(&format!("{key}_USER")).to_owned(),
            password: self.value(&format!("{key}_PASSWORD")).to_owned(),
            dsn: self.value(key).to_owned(),
        }
    }

    /// pgveil's port.
    ///
    /// # Panics
    /// If the stand printed nonsense.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.value("PORT").parse().unwrap()
    }

    /// Runs SQL as the superuser, straight on PostgreSQL; unaligned rows, tabs between cells.
    ///
    /// # Panics
    /// If PostgreSQL objects.
    pub fn owner(&self, sql: &str) -> String {
        let done = self.psql(self.value("OWNER"), &["-tA", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        assert!(done.status.success(), "owner: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs psql on a DSN with further arguments.
    ///
    /// # Panics
    /// If there is no psql.
    pub fn psql(&self, dsn: &str, arguments: &[&str]) -> std::process::Output {
        Command::new(format!("{}/psql", self.value("PG_BIN")))
            .args(["-X", "-q", "-d", dsn])
            .args(arguments)
            .stdin(Stdio::null())
            .env("PGCONNECT_TIMEOUT", "20")
            .output()
            .unwrap()
    }

    /// Restarts PostgreSQL, and waits for it to answer again.
    ///
    /// # Panics
    /// If it does not.
    pub fn restart_postgres(&self) {
        let since = || {
            let sql = "select extract(epoch from pg_postmaster_start_time())";
            let done = self.psql(self.value("OWNER"), &["-tA", "-c", sql]);
            done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
        };
        let before = since();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-USR1", &pid]).status().unwrap().success());
        crate::eventually("PostgreSQL is back", || since().filter(|now| Some(now) != before.as_ref()));
    }

    /// What pgveil wrote to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.value("LOG")).unwrap_or_default()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
