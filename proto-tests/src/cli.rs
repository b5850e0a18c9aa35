//! pgveil's own commands, run by one of the stand's identities.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::{Identity, Stand};

/// How a command ended and what it printed.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    pub(crate) fn from(done: &Output) -> Self {
        Self {
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Standard output of a command that must have worked.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// The same as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// The binary under test.
#[must_use]
pub fn binary() -> String {
    std::env::var("PGVEIL_BIN").unwrap_or_else(|_| {
        let target = std::env::var("CARGO_TARGET_DIR")
            .unwrap_or_else(|_| format!("{}/.cache/pgveil/target", std::env::var("HOME").unwrap_or_default()));
        format!("{target}/release/pgveil")
    })
}

/// Runs pgveil with these arguments and nothing else.
///
/// # Panics
/// If there is no binary.
#[must_use]
pub fn pgveil(arguments: &[&str]) -> Ran {
    Ran::from(&Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// Runs a command of pgveil that asks the admin API, as one of the stand's identities.
///
/// # Panics
/// If there is no binary.
#[must_use]
pub fn pgveil_as(stand: &Stand, who: &Identity, arguments: &[&str]) -> Ran {
    pgveil_at(stand.value("ADMIN"), who, arguments)
}

/// The same by way of another address.
///
/// # Panics
/// If there is no binary.
#[must_use]
pub fn pgveil_at(admin: &str, who: &Identity, arguments: &[&str]) -> Ran {
    let done = Command::new(binary())
        .args(arguments)
        .args(["--as", &who.user, "--admin", admin])
        .env("PGVEIL_PASSWORD", &who.password)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::from(&done)
}
