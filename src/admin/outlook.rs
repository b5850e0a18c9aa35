//! What whoever watches the process may know, without a login: is it alive, is it ready, its numbers. No identity, text or value.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::watch;

use super::metrics;
use crate::session::{House, Stage};
use crate::tally::Tally;

/// How OpenMetrics is called in HTTP.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Most folders below the store's that are looked into, and files in them.
const FILES_MAX: usize = 100_000;

/// The configuration in force.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Loaded {
    /// Its file.
    pub file: String,
    /// SHA-256 of it.
    pub digest: String,
    /// When it was loaded.
    pub at: jiff::Timestamp,
    /// Databases, as it names them, with the SHA-256 of their policies.
    pub databases: Vec<(String, String)>,
    /// When a newer one was refused, if the last attempt was.
    pub refused: Option<jiff::Timestamp>,
}

/// What health and numbers are read from.
#[derive(Clone)]
pub struct Outlook(Arc<Inner>);

pub(super) struct Inner {
    pub(super) tally: Arc<Tally>,
    pub(super) house: Arc<House>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) loaded: Mutex<Loaded>,
    store: PathBuf,
    pub(super) began: jiff::Timestamp,
    since: Instant,
}

impl Outlook {
    /// An outlook on a process that begins now and keeps its log in `store`.
    #[must_use]
    pub fn new(tally: Arc<Tally>, house: Arc<House>, stage: watch::Receiver<Stage>, store: PathBuf, loaded: Loaded) -> Self {
        let (loaded, began, since) = (Mutex::new(loaded), jiff::Timestamp::now(), Instant::now());
        Self(Arc::new(Inner { tally, house, stage, loaded, store, began, since }))
    }

    /// Another configuration is in force, or one was refused.
    pub fn reloaded(&self, change: impl FnOnce(&mut Loaded)) {
        change(&mut self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route("/metrics", get(numbers))
            .with_state(self)
    }
}

impl Inner {
    pub(super) fn loaded(&self) -> Loaded {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The word for what the process is about.
    fn state(&self) -> &'static str {
        let stage = *self.stage.borrow();
        match stage {
            _ if self.house.log.failed().is_some() => "log-failed",
            Stage::Serving(_) => "serving",
            Stage::Draining => "draining",
            Stage::Ending => "ending",
        }
    }

    /// True if sessions are taken.
    pub(super) fn is_ready(&self) -> bool {
        self.state() == "serving"
    }

    /// Bytes of the log's folder.
    pub(super) fn store_bytes(&self) -> u64 {
        let (mut folders, mut bytes, mut files) = (vec![self.store.clone()], 0_u64, 0);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                files += 1;
                match entry.metadata() {
                    _ if files > FILES_MAX => return bytes,
                    Ok(known) if known.is_dir() => folders.push(entry.path()),
                    Ok(known) => bytes = bytes.saturating_add(known.len()),
                    // RocksDB removes files at any time.
                    Err(_) => {}
                }
            }
        }
        bytes
    }
}

/// Shows nothing: there is too much.
impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlook")
    }
}

/// Alive: only a new start helps a process that is not.
async fn healthz(State(Outlook(inner)): State<Outlook>) -> Response {
    match inner.house.log.failed() {
        None => Json(json!({ "status": "ok" })).into_response(),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "log-failed" }))).into_response(),
    }
}

/// Ready: new sessions are taken.
async fn readyz(State(Outlook(inner)): State<Outlook>) -> Response {
    let code = if inner.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "status": inner.state() }))).into_response()
}

async fn status(State(Outlook(inner)): State<Outlook>) -> Response {
    let shown = tokio::task::spawn_blocking(move || {
        let databases = inner.tally.databases().into_iter().map(|(name, counts)| {
            let sums = counts.sums();
            let decided = |word| sums.statements.iter().filter(|(_, d, _)| *d == word).map(|(.., number)| number).sum::<u64>();
            let faults: u64 = counts.upstream_faults().iter().map(|(_, number)| number).sum();
            json!({
                "name": name,
                "sessions": counts.opened.number().saturating_sub(counts.closed.sum()),
                "forwarded": decided("forward"), "held": decided("hold"), "blocked": decided("block"),
                "rows": sums.rows, "masked_cells": sums.cells, "upstream_errors": faults,
            })
        });
        let (log, loaded) = (&inner.house.log, inner.loaded());
        json!({
            "state": inner.state(),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": inner.since.elapsed().as_secs(),
            "holds_waiting": inner.house.desk.waiting(),
            "logins_refused": inner.tally.logins_refused.sum(),
            "turned_away": inner.tally.turned_away.sum(),
            "queued_bytes": inner.house.queued.bytes(),
            "log": {
                "entries": log.size(), "bytes": inner.store_bytes(),
                "queued_entries": log.queued_entries(), "queued_bytes": log.queued_bytes(), "lag_ms": log.lag_us() / 1000,
                "failed": log.failed().is_some(), "witness_failed": log.witness_failed().is_some(),
            },
            "configuration": loaded,
            "databases": databases.collect::<Vec<_>>(),
        })
    });
    shown.await.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |shown| Json(shown).into_response())
}

async fn numbers(State(Outlook(inner)): State<Outlook>) -> Response {
    let written = tokio::task::spawn_blocking(move || {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(metrics::Numbers(inner)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).map(|()| text)
    });
    match written.await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
