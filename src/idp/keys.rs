//! An issuer's keys: asked for when they are needed, kept within a bound, asked for again when they may have changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use openidconnect::JsonWebKey;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::http::{Http, HttpFault};
use super::{ASK_EVERY_MS, KEYS_MAX, KEYS_WAIT_MS_MAX, KEYS_WAITERS_MAX, is_loopback_http};
use crate::identity::Algorithm;
use crate::secret::Secret;

/// Shortest modulus of an RSA key: 2,048 bits (RFC 7518 section 3.3), in base64.
const MODULUS_CHARS_MIN: usize = 341;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysFault {
    /// A document cannot be had.
    #[error("{what} cannot be had: {fault}")]
    Http { what: &'static str, fault: HttpFault },
    /// The discovery document is not one.
    #[error("the discovery document is not of the form that OpenID Connect Discovery describes")]
    Discovery,
    /// It speaks of somebody else.
    #[error("the issuer calls itself `{0}`: write that as `url`")]
    OtherIssuer(String),
    /// Keys over a connection that anybody can change.
    #[error("the issuer's keys are not at an https address")]
    KeysAddress,
    /// The key set is not one, or holds no key that is of use.
    #[error("the key set holds no key to check signatures with")]
    NoKeys,
}

/// Where an issuer's keys are.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) http: Http,
    pub(super) issuer: String,
    pub(super) keys_url: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) loopback_http: bool,
}

impl Source {
    async fn keys(&self) -> Result<Vec<CoreJsonWebKey>, KeysFault> {
        let token = self.token()?;
        let url = match &self.keys_url {
            Some(url) => url.clone(),
            None => self.discover(token.as_ref()).await?,
        };
        let private = url.starts_with("https://") || (self.loopback_http && is_loopback_http(&url));
        if !private {
            return Err(KeysFault::KeysAddress);
        }
        let document = self.http.document(&url, token.as_ref()).await;
        let document = document.map_err(|fault| KeysFault::Http { what: "the key set", fault })?;
        let set: Value = serde_json::from_slice(&document).map_err(|_| KeysFault::NoKeys)?;
        let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        // What is not understood is passed over (RFC 7517 section 5): another key may be the one.
        let usable = keys.iter().filter(|key| is_strong(key)).filter_map(|key| serde_json::from_value(key.clone()).ok());
        let usable: Vec<CoreJsonWebKey> = usable.take(KEYS_MAX).collect();
        if usable.is_empty() { Err(KeysFault::NoKeys) } else { Ok(usable) }
    }

    /// Read anew each time: such tokens are rotated.
    fn token(&self) -> Result<Option<Secret>, KeysFault> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let read = std::fs::read(file).map(|bytes| Some(Secret::new(bytes)));
        read.map_err(|error| KeysFault::Http { what: "the discovery document", fault: HttpFault::TokenFile(error.kind()) })
    }

    /// The address of the keys, by the issuer's own word.
    async fn discover(&self, token: Option<&Secret>) -> Result<String, KeysFault> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.http.document(&url, token).await;
        let document = document.map_err(|fault| KeysFault::Http { what: "the discovery document", fault })?;
        let document: Value = serde_json::from_slice(&document).map_err(|_| KeysFault::Discovery)?;
        let text = |name| document.get(name).and_then(Value::as_str).ok_or(KeysFault::Discovery);
        let issuer = text("issuer")?;
        if issuer != self.issuer {
            return Err(KeysFault::OtherIssuer(issuer.chars().filter(|c| !c.is_control()).take(200).collect()));
        }
        Ok(text("jwks_uri")?.to_owned())
    }
}

fn is_strong(key: &Value) -> bool {
    let text = |name| key.get(name).and_then(Value::as_str);
    match text("kty") {
        Some("RSA") => text("n").is_some_and(|modulus| modulus.len() >= MODULUS_CHARS_MIN),
        Some("EC" | "OKP") => true,
        _ => false,
    }
}

/// Keys as they were at one moment.
#[derive(Debug)]
pub(super) struct Held {
    keys: Vec<CoreJsonWebKey>,
    since: Instant,
}

impl Held {
    /// The keys that can have made a signature by this algorithm and, if it is said, with the key of this name.
    pub(super) fn fitting(&self, name: Option<&str>) -> Vec<&CoreJsonWebKey> {
        let named = |key: &&CoreJsonWebKey| name.is_none() || key.key_id().map(|id| id.as_str()) == name;
        self.keys.iter().filter(named).collect()
    }
}

/// True if the signature is by this key.
pub(super) fn fits(key: &CoreJsonWebKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let algorithm = match algorithm {
        Algorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        Algorithm::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        Algorithm::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
        Algorithm::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        Algorithm::Ps384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
        Algorithm::Ps512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
        Algorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        Algorithm::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        Algorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
    };
    key.verify_signature(&algorithm, signed, signature).is_ok()
}

/// How often keys are asked for, and how long they serve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    /// Keys that are older are asked for again, in the background.
    pub(super) fresh: Duration,
    /// Keys that are older do not serve.
    pub(super) max: Duration,
}

#[derive(Debug, Default)]
struct Asking {
    under_way: bool,
    last: Option<Instant>,
}

/// An issuer's keys.
#[derive(Debug)]
pub(super) struct Keys {
    name: String,
    source: Source,
    ages: Ages,
    held: RwLock<Option<Arc<Held>>>,
    asking: Mutex<Asking>,
    /// Whether the last question was answered.
    answered: watch::Sender<bool>,
    waiters: Semaphore,
}

/// What came of a question for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The issuer has answered.
    Answered,
    /// It has not, or not in time.
    Unanswered,
    /// So many wait already that this login did not.
    Crowded,
}

impl Keys {
    pub(super) fn new(name: String, source: Source, ages: Ages) -> Arc<Self> {
        let answered = watch::Sender::new(false);
        let waiters = Semaphore::new(KEYS_WAITERS_MAX);
        Arc::new(Self { name, source, ages, held: RwLock::default(), asking: Mutex::default(), answered, waiters })
    }

    /// The keys, if they may still serve. Asks for them anew if they are not fresh, and does not wait for that.
    pub(super) fn held(self: &Arc<Self>) -> Option<Arc<Held>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let age = held.since.elapsed();
        if age > self.ages.fresh {
            self.ask();
        }
        (age <= self.ages.max).then_some(held)
    }

    /// Waits until the issuer has been asked once more. Those who wait share one question, and other logins do not wait.
    pub(super) async fn asked_again(self: &Arc<Self>) -> Asked {
        let Ok(_place) = self.waiters.try_acquire() else { return Asked::Crowded };
        let mut answered = self.answered.subscribe();
        self.ask();
        let wait = Duration::from_millis(KEYS_WAIT_MS_MAX);
        match tokio::time::timeout(wait, answered.changed()).await {
            Ok(Ok(())) if *answered.borrow() => Asked::Answered,
            Ok(_) | Err(_) => Asked::Unanswered,
        }
    }

    /// Asks the issuer in the background, unless that is under way. The question outlives whoever it is for, and waits until the last
    /// one is old enough.
    pub(super) fn ask(self: &Arc<Self>) {
        let every = Duration::from_millis(ASK_EVERY_MS);
        let pause = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut asking.under_way, true) {
                return;
            }
            asking.last.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed()))
        };
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // The age counts from the question: what the issuer did while it answered may be missing.
            let since = Instant::now();
            let answer = keys.source.keys().await;
            let good = answer.is_ok();
            match answer {
                Ok(found) => {
                    *keys.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Held { keys: found, since }));
                }
                Err(fault) => tracing::warn!(issuer = keys.name, %fault, "the issuer's keys cannot be had"),
            }
            *keys.asking.lock().unwrap_or_else(PoisonError::into_inner) = Asking { under_way: false, last: Some(Instant::now()) };
            keys.answered.send_replace(good);
        });
    }
}
