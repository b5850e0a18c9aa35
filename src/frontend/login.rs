//! The login: which way in a client is offered, and what comes of it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use jiff::Timestamp;
use tokio::time::timeout_at;

use super::accept::last_words;
use super::exchange::Exchange;
use super::{Handshake, Refusal, Stream, prove};
use crate::identity::{
    BEARER_BYTES_MAX, Caller, Channel, Identity, NONCE_BYTES, Offer, Offers, Roster, TOKEN_BYTES_MAX, TokenFault, Way, not_after,
};
use crate::secret::Secret;
use crate::wire::Startup;

/// Longest message of a login by SCRAM.
const SCRAM_BYTES_MAX: usize = 8_192;

/// The answer of `Tokens::identify`, in time.
pub type Identified<'a> = Pin<Box<dyn Future<Output = Result<Identity, TokenFault>> + Send + 'a>>;

/// Who can tell whose a token is.
pub trait Tokens: Send + Sync {
    /// Whose this token is, if it is good.
    fn identify<'a>(&'a self, token: &'a Secret, way: Way) -> Identified<'a>;
    /// Where a client without a token is sent: to the issuer of this name, else to the first.
    fn challenge(&self, issuer: Option<&str>) -> Option<String>;
}

/// The ways in.
#[derive(Clone)]
pub struct Doors {
    /// Who is registered here.
    pub roster: Arc<Roster>,
    /// Who can tell whose a token is; `None` if tokens are not taken.
    pub tokens: Option<Arc<dyn Tokens>>,
    /// Which client is offered what.
    pub offers: Offers,
    /// Whether passwords and tokens may be asked for without TLS, from this machine only.
    pub clear_on_loopback: bool,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doors(tokens: {}, {:?})", self.tokens.is_some(), self.offers)
    }
}

/// A client that has proved who it is. It has not been told so: AuthenticationOk is still owed.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub stream: Stream,
    /// Bytes that the client has sent ahead.
    pub leftover: BytesMut,
    /// Its startup packet, as `Handshake::startup` has it.
    pub startup: Startup,
    /// Who it is.
    pub identity: Arc<Identity>,
}

impl Session {
    /// The database that the client asks for: its own name if it names none, as a server takes it.
    #[must_use]
    pub fn database(&self) -> &[u8] {
        let user: &[u8] = self.startup.parameter("user").map_or(b"", |user| user);
        self.startup.parameter("database").filter(|name| !name.is_empty()).map_or(user, |name| name)
    }

    /// Ends the connection with a FATAL error of the caller's.
    pub async fn refuse(self, sqlstate: &str, message: &str) {
        last_words(self.stream, &super::fatal(sqlstate, message.as_bytes())).await;
    }

    /// Ends the connection with an error message that is already there, such as a database's own that a client may see.
    pub async fn refuse_with(self, error: &[u8]) {
        last_words(self.stream, error).await;
    }
}

/// Counts the failures of whoever tries to log in.
pub trait Guard: Sync {
    /// True if there have been so many that no proof is looked at.
    fn is_barred(&self) -> bool;

    /// A proof was wrong. Told before the client hears of it.
    fn failed(&self);
}

/// A login that failed. The client has heard of it, and the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("login refused: {why}")]
pub struct LoginRefused {
    /// The name that the client gave, unproved.
    pub user: String,
    /// Why.
    pub why: Refusal,
}

/// Lets a client prove who it is. `dice` must be fresh for every login. Not cancel safe: the connection is lost.
///
/// # Errors
/// If it does not, if its credential's time is over, or if it wants what is not served here.
pub async fn login(
    handshake: Handshake,
    doors: &Doors,
    guard: &impl Guard,
    now: Timestamp,
    dice: [u8; NONCE_BYTES],
) -> Result<Session, LoginRefused> {
    let Handshake { mut stream, buffer, startup, channel, plaintext, deadline } = handshake;
    let user = startup.parameter("user").cloned().unwrap_or_default();
    let exchange = async {
        admissible(&startup, &channel, plaintext)?;
        prove::unbarred(guard)?;
        if let Some(identity) = doors.certified(&stream, &user, now) {
            return Ok((identity, buffer));
        }
        let (offer, issuer) = doors.offer(&stream, &startup)?;
        let bytes_max = match offer {
            Offer::Auto | Offer::Scram => SCRAM_BYTES_MAX,
            // Longer ones are read up to here, so that they can be called by their name.
            Offer::Password => TOKEN_BYTES_MAX + 8_192,
            Offer::Bearer => BEARER_BYTES_MAX + 8_192,
        };
        let mut wire = Exchange::new(&mut stream, buffer, bytes_max);
        let identity = match (offer, &doors.tokens) {
            (Offer::Password, _) => prove::password(&mut wire, &user, doors, guard, now).await?,
            (Offer::Bearer, Some(tokens)) => prove::bearer(&mut wire, tokens, guard, issuer.as_deref()).await?,
            (Offer::Auto | Offer::Scram, _) | (Offer::Bearer, None) => {
                prove::scram(&mut wire, &user, (&doors.roster, guard), (now, dice), &channel).await?
            }
        };
        Ok((identity, wire.leftover()))
    };
    match timeout_at(deadline, exchange).await.unwrap_or(Err(Refusal::SlowLogin)) {
        Ok((identity, leftover)) => Ok(Session { stream, leftover, startup, identity: Arc::new(identity) }),
        Err(why) => {
            if let Some(words) = why.words(&user) {
                last_words(stream, &words).await;
            }
            Err(LoginRefused { user: String::from_utf8_lossy(&user).into_owned(), why })
        }
    }
}

/// What can be refused before any secret is asked for.
fn admissible(startup: &Startup, channel: &Channel, plaintext: bool) -> Result<(), Refusal> {
    if *channel == Channel::Clear && !plaintext {
        return Err(Refusal::Plaintext);
    }
    if startup.parameter("user").is_none_or(|user| user.is_empty()) {
        return Err(Refusal::NoUser);
    }
    if startup.parameters.iter().any(|(name, value)| name == "replication" && !is_false(value)) {
        return Err(Refusal::Replication);
    }
    Ok(())
}

/// Whether a server reads this as false: any beginning of a word that stands for it and no other.
fn is_false(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &[u8], least: usize| value.len() >= least && word.starts_with(&value);
    begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) || value == b"0"
}

impl Doors {
    /// Whom the client's certificate stands for, if it has one and gives that user. Another user is asked for another proof.
    fn certified(&self, stream: &Stream, user: &[u8], now: Timestamp) -> Option<Identity> {
        if self.roster.holders().is_empty() {
            return None;
        }
        let der = stream.certificate()?;
        let certificate = webpki::EndEntityCert::try_from(der).ok()?;
        // TLS may have resumed a session in which the certificate was still good.
        let expires = not_after(der).filter(|end| *end > now)?;
        // What stands for a DNS name has no colon in it, and every URI has one.
        let uris = certificate.valid_uri_names().filter(|uri| uri.contains(':'));
        self.roster.holders().identify(certificate.valid_dns_names().chain(uris), user, expires)
    }

    /// What this client is asked for: never a password or token where others could read it, whatever it or a rule says.
    fn offer(&self, stream: &Stream, startup: &Startup) -> Result<(Offer, Option<String>), Refusal> {
        let text = |name| startup.parameter(name).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
        let user = text("user");
        let database = Some(text("database")).filter(|name| !name.is_empty()).unwrap_or(user);
        let server_name = stream.server_name().unwrap_or_default();
        let caller = Caller { user, database, server_name, options: text("options") };
        let (offer, issuer) = self.offers.choose(&caller);
        let private = stream.is_private() || (self.clear_on_loopback && stream.is_local());
        let registered = self.roster.find(user.as_bytes()).is_some();
        let offer = match offer {
            Offer::Auto if self.tokens.is_some() && private && !registered => Offer::Password,
            Offer::Auto => Offer::Scram,
            Offer::Bearer if self.tokens.is_none() => Offer::Scram,
            other => other,
        };
        match offer {
            Offer::Password | Offer::Bearer if !private => Err(Refusal::Plaintext),
            offer => Ok((offer, issuer.map(str::to_owned))),
        }
    }
}
