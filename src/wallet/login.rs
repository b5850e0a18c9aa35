//! A login as it is kept.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{CONNECT_TIME_MAX, Fault};
use crate::backend::{Address, Route, SslMode, Upstream};
use crate::identity::{TOKEN_BYTES_MAX, is_token};
use crate::secret::Secret;

/// A token is renewed when less than this is left of it, or less than a third of its life.
const MARGIN_S_MAX: i64 = 60;

/// Where to connect, who vouched for whom, and the proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The pgveil to connect to.
    pub server: Server,
    /// Who gives the tokens.
    pub party: Party,
    /// The file that has a service entry for it.
    pub service_file: Option<PathBuf>,
    /// Whether it is renewed in the background.
    pub background: bool,
    /// The tokens.
    pub tokens: Tokens,
}

/// A pgveil, and what is asked for there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// A name or address, or a folder with a socket file.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user that is named: a claim, the token is the proof.
    pub user: String,
    /// Whether TLS is spoken, with the host's certificate verified. Without it the server is on this machine.
    pub tls: bool,
    /// The roots that vouch for it; `None` for those of the system.
    pub roots: Option<PathBuf>,
}

/// Who gives tokens, and to which client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The issuer, as its tokens spell it.
    pub url: String,
    /// The client.
    pub client_id: String,
    /// What is asked for.
    pub scope: String,
    /// Where a browser comes back to.
    pub redirect: String,
    /// The roots that vouch for the issuer; `None` for those of the system.
    pub roots: Option<PathBuf>,
    /// A file with the client's own secret: a machine's login.
    pub secret_file: Option<PathBuf>,
    /// Whether the ID token is shown to servers even if the access token could be.
    pub id_token: bool,
}

/// Tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// What is shown to servers.
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub bearer: Secret,
    /// What gets the next one.
    #[serde(serialize_with = "write_secrets", deserialize_with = "read_secrets")]
    pub refresh: Option<Secret>,
    /// When it came, in seconds since 1970.
    pub since_s: i64,
    /// When it ends.
    pub until_s: i64,
}

/// What a token says of whom it is of. Nobody has checked it here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shown {
    /// The name, by the first claim that has one.
    pub name: String,
    /// The subject.
    pub subject: String,
}

fn write_secret<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(std::str::from_utf8(secret.reveal()).map_err(serde::ser::Error::custom)?)
}

fn read_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(|text| Secret::new(text.into_bytes()))
}

fn write_secrets<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => write_secret(secret, to),
        None => to.serialize_none(),
    }
}

fn read_secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(|text| Secret::new(text.into_bytes())))
}

impl Server {
    /// The way there with this proof.
    ///
    /// # Errors
    /// If the roots cannot be used.
    pub fn route(&self, proof: Option<Secret>) -> Result<Route, Fault> {
        let address = if self.host.starts_with('/') {
            Address::Unix(PathBuf::from(&self.host).join(format!(".s.PGSQL.{}", self.port)))
        } else {
            Address::Tcp { host: self.host.clone(), port: self.port }
        };
        let ssl_mode = if self.tls { SslMode::VerifyFull } else { SslMode::Disable };
        let (user, root_file) = (self.user.clone(), self.roots.clone());
        let upstream = Upstream { address, user, database: None, ssl_mode, root_file, password: None };
        Ok(Route::new(upstream, proof, CONNECT_TIME_MAX)?)
    }
}

impl Tokens {
    /// Tokens that have just come. `lifetime` is what the issuer says; the token itself may end earlier.
    ///
    /// # Errors
    /// A token that no server of ours takes.
    pub fn new(bearer: &str, refresh: Option<&str>, lifetime: Option<Duration>, now: Timestamp) -> Result<Self, Fault> {
        if bearer.len() > TOKEN_BYTES_MAX || !is_token(bearer.as_bytes()) {
            return Err(Fault::Answer("its token is not a signed one (JWT)"));
        }
        let said = lifetime.and_then(|lifetime| i64::try_from(lifetime.as_secs()).ok());
        let said = said.and_then(|lifetime| now.as_second().checked_add(lifetime));
        let own = claims(bearer).and_then(|claims| claims.get("exp")?.as_i64());
        let until_s = [said, own].into_iter().flatten().min().ok_or(Fault::Answer("its token has no end"))?;
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        Ok(Self { bearer: secret(bearer), refresh: refresh.map(secret), since_s: now.as_second(), until_s })
    }

    /// True if it is time for another.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.as_second() >= self.due_s()
    }

    /// When it is time for another.
    #[must_use]
    pub fn due_s(&self) -> i64 {
        let life = self.until_s.saturating_sub(self.since_s).max(0);
        self.until_s.saturating_sub((life / 3).min(MARGIN_S_MAX))
    }

    /// True if no server takes it any more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.as_second() >= self.until_s
    }

    /// Whom the token calls its own.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let claims = std::str::from_utf8(self.bearer.reveal()).ok().and_then(claims).unwrap_or_default();
        let text = |name| claims.get(name).and_then(Value::as_str);
        let name = ["preferred_username", "email", "upn", "sub"].into_iter().find_map(text);
        Shown { name: name.unwrap_or_default().to_owned(), subject: text("sub").unwrap_or_default().to_owned() }
    }
}

/// What a token says; its signature is the server's business.
fn claims(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
