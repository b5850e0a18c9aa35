//! The login: a client proves by SCRAM that it knows the password of a registered identity.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use super::accept::{io, last_words};
use super::{Handshake, Refusal, Stream};
use crate::identity::{Channel, Credential, Denied, ExpectProof, Mechanism, NONCE_BYTES, Roster, ScramFault};
use crate::wire::{
    self, Frame, Limits, Part, Piece, Run, SaslInitialResponse, Splitter, Startup, authentication, client_tag, sasl_mechanisms,
};

/// Longest message of a login.
const LOGIN_BYTES_MAX: usize = 8_192;
const READ_BYTES: usize = 2_048;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

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
    pub credential: Arc<Credential>,
}

impl Session {
    /// The database that the client asks for: its own name if it names none, as a server takes it.
    #[must_use]
    pub fn database(&self) -> &[u8] {
        let user = self.credential.name.as_bytes();
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
    roster: &Roster,
    guard: &impl Guard,
    now: Timestamp,
    dice: [u8; NONCE_BYTES],
) -> Result<Session, LoginRefused> {
    let Handshake { mut stream, buffer, startup, channel, plaintext, deadline } = handshake;
    let user = startup.parameter("user").cloned().unwrap_or_default();
    let exchange = async {
        admissible(&startup, &channel, plaintext)?;
        unbarred(guard)?;
        let mut wire = Exchange::new(&mut stream, buffer);
        let credential = prove(&mut wire, &user, (roster, guard), dice, &channel).await?;
        credential.check(now)?;
        Ok((credential, wire.leftover()))
    };
    match timeout_at(deadline, exchange).await.unwrap_or(Err(Refusal::SlowLogin)) {
        Ok((credential, leftover)) => Ok(Session { stream, leftover, startup, credential }),
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

async fn prove(
    wire: &mut Exchange<'_>,
    user: &Bytes,
    (roster, guard): (&Roster, &impl Guard),
    dice: [u8; NONCE_BYTES],
    channel: &Channel,
) -> Result<Arc<Credential>, Refusal> {
    let names: Vec<&str> = channel.mechanisms().iter().map(|mechanism| mechanism.name()).collect();
    wire.say(&sasl_mechanisms(&names)).await?;
    let initial = SaslInitialResponse::read(&wire.hear().await?)?;
    let mechanism = Mechanism::from_name(&initial.mechanism)
        .filter(|picked| channel.mechanisms().contains(picked))
        .ok_or(Refusal::Mechanism)?;
    let client_first = match initial.response {
        Some(response) => response,
        None => {
            wire.say(&authentication(SASL_CONTINUE, b"")).await?;
            wire.hear().await?.body_bytes()
        }
    };
    let (exchange, server_first) =
        ExpectProof::begin(mechanism, &client_first, roster.verifier(user), dice, channel).map_err(Refusal::Scram)?;
    wire.say(&authentication(SASL_CONTINUE, server_first.as_bytes())).await?;
    let client_final = wire.hear().await?.body_bytes();
    // Others may have failed since this one began.
    unbarred(guard)?;
    let proved = exchange.finish(&client_final);
    let credential = roster.find(user);
    match (proved, credential) {
        (Ok(server_final), Some(credential)) => {
            wire.say(&authentication(SASL_FINAL, server_final.as_bytes())).await?;
            Ok(Arc::clone(credential))
        }
        (Err(ScramFault::Proof) | Ok(_), found) => {
            guard.failed();
            Err(Refusal::Denied(if found.is_some() { Denied::WrongPassword } else { Denied::Unknown }))
        }
        (Err(fault), _) => Err(Refusal::Scram(fault)),
    }
}

fn unbarred(guard: &impl Guard) -> Result<(), Refusal> {
    if guard.is_barred() { Err(Refusal::Throttled) } else { Ok(()) }
}

/// The messages of a login, one at a time.
struct Exchange<'a> {
    stream: &'a mut Stream,
    splitter: Splitter,
}

impl<'a> Exchange<'a> {
    fn new(stream: &'a mut Stream, buffer: BytesMut) -> Self {
        let limits = Limits { whole_bytes_max: LOGIN_BYTES_MAX, bulk: &[], bulk_bytes_max: LOGIN_BYTES_MAX };
        let mut splitter = Splitter::new(limits);
        *splitter.buffer() = buffer;
        Self { stream, splitter }
    }

    async fn say(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.stream.write_all(message).await.map_err(io)?;
        self.stream.flush().await.map_err(io)
    }

    async fn hear(&mut self) -> Result<Frame, Refusal> {
        loop {
            match self.splitter.next()? {
                Some(Piece::Frame(frame)) if frame.tag() == client_tag::PASSWORD => return Ok(frame),
                Some(Piece::Frame(frame)) if frame.tag() == client_tag::TERMINATE => return Err(Refusal::Gone),
                Some(Piece::Frame(frame)) => return Err(Refusal::Unexpected(frame.tag())),
                Some(Piece::Oversize { frame_bytes, .. }) => {
                    let length = i64::try_from(frame_bytes).unwrap_or(i64::MAX);
                    return Err(Refusal::Malformed(wire::Malformed::Length(length)));
                }
                // INVARIANT: no type is bulk here.
                Some(Piece::Run(Run { tag, .. }) | Piece::Part(Part { tag, .. })) => return Err(Refusal::Unexpected(tag)),
                None => {}
            }
            self.splitter.buffer().reserve(READ_BYTES);
            if self.stream.read_buf(self.splitter.buffer()).await.map_err(io)? == 0 {
                return Err(Refusal::Gone);
            }
        }
    }

    fn leftover(mut self) -> BytesMut {
        std::mem::take(self.splitter.buffer())
    }
}
