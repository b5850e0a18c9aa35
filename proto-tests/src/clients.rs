//! Real clients as subprocesses: each script of `clients/` reads steps as JSON and prints what it saw.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A client library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// psycopg 3, on libpq.
    Psycopg,
    /// asyncpg: its own protocol code, binary results only.
    Asyncpg,
    /// node-postgres: its own protocol code, text results.
    Node,
}

/// All of them.
pub const ALL: [Client; 3] = [Client::Psycopg, Client::Asyncpg, Client::Node];

/// Where `scripts/setup clients` puts the libraries.
#[must_use]
pub fn home() -> PathBuf {
    let cache = std::env::var_os("PGVEIL_CACHE").map(PathBuf::from);
    cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/pgveil")).join("clients")
}

/// The Python that has psycopg and asyncpg.
#[must_use]
pub fn python() -> PathBuf {
    home().join("venv/bin/python3")
}

/// A script of `clients/`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    crate::stand::root().join("proto-tests/clients").join(name)
}

/// A query.
#[must_use]
pub fn query(sql: &str) -> Value {
    json!({"op": "query", "sql": sql})
}

/// A query whose results are asked for in binary.
#[must_use]
pub fn binary(sql: &str) -> Value {
    json!({"op": "query", "sql": sql, "binary": true})
}

/// A prepared statement, executed so many times.
#[must_use]
pub fn repeated(sql: &str, times: u32) -> Value {
    json!({"op": "query", "sql": sql, "prepare": true, "times": times})
}

impl Client {
    /// Runs the steps on a DSN; one answer per step, or a single `refused`.
    ///
    /// # Panics
    /// If the client is not installed or ends otherwise.
    #[must_use]
    pub fn run(self, dsn: &str, steps: &[Value]) -> Vec<Value> {
        let mut command = match self {
            Self::Psycopg => Command::new(python()),
            Self::Asyncpg => Command::new(python()),
            Self::Node => Command::new("node"),
        };
        let file = match self {
            Self::Psycopg => "psycopg_client.py",
            Self::Asyncpg => "asyncpg_client.py",
            Self::Node => "node_client.js",
        };
        let mut child = command
            .arg(script(file))
            .env("PGVEIL_CLIENTS", home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{self:?} does not start ({e}); scripts/setup clients installs it"));
        let task = json!({"dsn": dsn, "steps": steps}).to_string();
        child.stdin.take().unwrap().write_all(task.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{self:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

/// The rows of an answer, as text.
///
/// # Panics
/// If the answer has none.
#[must_use]
pub fn rows(answer: &Value) -> Vec<Vec<Option<String>>> {
    let list = answer["rows"].as_array().unwrap_or_else(|| panic!("no rows: {answer}"));
    let cell = |c: &Value| c.as_str().map(str::to_owned);
    list.iter().map(|row| row.as_array().unwrap().iter().map(cell).collect()).collect()
}
