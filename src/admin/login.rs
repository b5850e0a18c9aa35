//! Who a request is from: HTTP Basic (RFC 7617) with a registered credential.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{AUTHORIZATION_BYTES_MAX, CHECK_WAIT_MS_MAX, CHECKS_MAX, FAILURES_MAX};
use crate::approval::Person;
use crate::identity::Throttle;
use crate::secret::Secret;

/// Checks a name and a password. Runs on a thread that may be kept busy.
pub trait Authenticate: Send + Sync + 'static {
    /// The person, if the password is theirs and has not expired.
    fn authenticate(&self, name: &str, password: &Secret) -> Option<Person>;
}

impl<F> Authenticate for F
where
    F: Fn(&str, &Secret) -> Option<Person> + Send + Sync + 'static,
{
    fn authenticate(&self, name: &str, password: &Secret) -> Option<Person> {
        self(name, password)
    }
}

/// Checks passwords, a few at a time.
pub(super) struct Login {
    check: Arc<dyn Authenticate>,
    turns: Arc<Semaphore>,
    failures: Arc<Throttle<String>>,
    began: Instant,
}

impl Login {
    pub(super) fn new(check: Arc<dyn Authenticate>) -> Self {
        Self { check, turns: Arc::new(Semaphore::new(CHECKS_MAX)), failures: Arc::default(), began: Instant::now() }
    }

    /// Who sent these headers.
    pub(super) async fn person(&self, headers: &HeaderMap) -> Result<Person, (StatusCode, &'static str)> {
        let Some((name, password)) = basic(headers) else {
            return Err((StatusCode::UNAUTHORIZED, "log in with the name and password of a credential"));
        };
        let wait = Duration::from_millis(CHECK_WAIT_MS_MAX);
        let turn = tokio::time::timeout(wait, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "too many logins at a time"));
        };
        let (check, failures, began) = (Arc::clone(&self.check), Arc::clone(&self.failures), self.began);
        // Whoever asks may go meanwhile: the failure counts all the same.
        let found = tokio::task::spawn_blocking(move || {
            let now_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            if failures.is_barred(&name, FAILURES_MAX, now_ms()) {
                return Err((StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords; wait a minute"));
            }
            let person = check.authenticate(&name, &password).ok_or_else(|| {
                failures.failed(&name, now_ms());
                (StatusCode::UNAUTHORIZED, "the name or the password is wrong, or the credential has expired")
            });
            drop(turn);
            person
        });
        found.await.unwrap_or(Err((StatusCode::INTERNAL_SERVER_ERROR, "the password could not be checked")))
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, Secret)> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    if value.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = Secret::new(STANDARD.decode(token.trim_ascii()).ok()?);
    let colon = pair.reveal().iter().position(|byte| *byte == b':')?;
    let (name, rest) = pair.reveal().split_at_checked(colon)?;
    let password = rest.get(1..)?.to_vec();
    Some((std::str::from_utf8(name).ok()?.to_owned(), Secret::new(password)))
}
