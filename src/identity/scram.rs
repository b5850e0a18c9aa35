//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, without I/O.
//!
//! It works from a verifier, since no password is ever at hand, and refuses what PostgreSQL's `auth-scram.c` refuses.

use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::Verifier;
use super::verifier::{hash, sign};

/// Bytes of dice in the server's part of the nonce, as PostgreSQL has it.
pub const NONCE_BYTES: usize = 18;
const MESSAGE_BYTES_MAX: usize = 4_096;
const NONCE_CHARS_MAX: usize = 256;

/// A mechanism that a client can pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-256-PLUS, bound to the server's certificate.
    ScramSha256Plus,
}

impl Mechanism {
    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// The mechanism of this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::ScramSha256, Self::ScramSha256Plus].into_iter().find(|known| known.name().as_bytes() == name)
    }
}

/// What the exchange runs over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// No encryption.
    Clear,
    /// TLS with a certificate that nothing can be bound to.
    Tls,
    /// TLS; the `tls-server-end-point` data of the server's certificate.
    Bound(Vec<u8>),
}

impl Channel {
    /// What is offered to a client, the stronger first.
    #[must_use]
    pub fn mechanisms(&self) -> &'static [Mechanism] {
        match self {
            Self::Clear | Self::Tls => &[Mechanism::ScramSha256],
            Self::Bound(_) => &[Mechanism::ScramSha256Plus, Mechanism::ScramSha256],
        }
    }
}

/// Why an exchange ends: the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramFault {
    /// A message is not what RFC 5802 section 7 says.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The client wants to act for another.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client insists on an extension.
    #[error("client requires an unsupported SCRAM extension")]
    Extension,
    /// The client believes that the server has no channel binding: somebody may have told it so.
    #[error("SCRAM channel binding negotiation error")]
    Downgrade,
    /// A binding of another type than `tls-server-end-point`.
    #[error("unsupported SCRAM channel-binding type")]
    BindingType,
    /// The client speaks to another certificate, or says another thing than at first.
    #[error("SCRAM channel binding check failed")]
    Binding,
    /// Not the nonce of this exchange.
    #[error("invalid SCRAM response")]
    Nonce,
    /// The client does not know the password.
    #[error("wrong SCRAM proof")]
    Proof,
}

/// An exchange whose first two messages are said: the client's proof comes next.
pub struct ExpectProof {
    verifier: Verifier,
    first_messages: String,
    nonce: String,
    binding: String,
}

/// Shows nothing: it holds a verifier.
impl std::fmt::Debug for ExpectProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectProof(..)")
    }
}

impl ExpectProof {
    /// Takes the client's first message and returns the server's. `dice` must be fresh for every exchange.
    ///
    /// # Errors
    /// Whatever the client's message does not comply with; never `Nonce` or `Proof`.
    pub fn begin(
        mechanism: Mechanism,
        client_first: &[u8],
        verifier: Verifier,
        dice: [u8; NONCE_BYTES],
        channel: &Channel,
    ) -> Result<(Self, String), ScramFault> {
        Self::begin_with(mechanism, client_first, verifier, &STANDARD.encode(dice), channel)
    }

    pub(super) fn begin_with(
        mechanism: Mechanism,
        client_first: &[u8],
        verifier: Verifier,
        server_nonce: &str,
        channel: &Channel,
    ) -> Result<(Self, String), ScramFault> {
        let message = text(client_first)?;
        let (header, bare) = header(message, mechanism, channel)?;
        let nonce = format!("{}{server_nonce}", client_nonce(bare)?);
        let server_first = format!("r={nonce},s={},i={}", verifier.salt_base64(), verifier.iterations());
        let first_messages = format!("{bare},{server_first}");
        let mut binding = header.as_bytes().to_vec();
        if let (Mechanism::ScramSha256Plus, Channel::Bound(data)) = (mechanism, channel) {
            binding.extend(data);
        }
        Ok((Self { verifier, first_messages, nonce, binding: STANDARD.encode(binding) }, server_first))
    }

    /// Takes the client's final message and returns the server's, which proves that the server knows the verifier.
    ///
    /// # Errors
    /// `Malformed`, `Binding`, `Nonce`, or `Proof` for a wrong password.
    pub fn finish(&self, client_final: &[u8]) -> Result<String, ScramFault> {
        self.finish_by(&self.verifier, client_final)
    }

    /// The same by the verifier of another password, which is kin to the one that the exchange has begun with.
    ///
    /// # Errors
    /// As above.
    pub fn finish_by(&self, verifier: &Verifier, client_final: &[u8]) -> Result<String, ScramFault> {
        let message = text(client_final)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramFault::Malformed)?;
        let proof: [u8; 32] = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(ScramFault::Malformed)?;
        let (binding, nonce) = binding_and_nonce(without_proof)?;
        if binding != self.binding {
            return Err(ScramFault::Binding);
        }
        if nonce != self.nonce {
            return Err(ScramFault::Nonce);
        }
        let signed: [&[u8]; 3] = [self.first_messages.as_bytes(), b",", without_proof.as_bytes()];
        let signature = sign(&verifier.stored_key, &signed);
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(key, mask)| *key ^= mask);
        constant_time::verify_slices_are_equal(&hash(&client_key), &verifier.stored_key).map_err(|_| ScramFault::Proof)?;
        Ok(format!("v={}", STANDARD.encode(sign(&verifier.server_key, &signed))))
    }
}

fn text(message: &[u8]) -> Result<&str, ScramFault> {
    if message.len() > MESSAGE_BYTES_MAX || message.contains(&0) {
        return Err(ScramFault::Malformed);
    }
    std::str::from_utf8(message).map_err(|_| ScramFault::Malformed)
}

/// Parts the GS2 header from the rest of the client's first message, and judges it.
fn header<'a>(message: &'a str, mechanism: Mechanism, channel: &Channel) -> Result<(&'a str, &'a str), ScramFault> {
    let (flag, behind) = message.split_once(',').ok_or(ScramFault::Malformed)?;
    match (flag, mechanism, channel) {
        ("n", Mechanism::ScramSha256, _)
        | ("y", Mechanism::ScramSha256, Channel::Clear | Channel::Tls)
        | ("p=tls-server-end-point", Mechanism::ScramSha256Plus, Channel::Bound(_)) => {}
        ("y", Mechanism::ScramSha256, Channel::Bound(_)) => return Err(ScramFault::Downgrade),
        (other, Mechanism::ScramSha256Plus, Channel::Bound(_)) if other.starts_with("p=") => {
            return Err(ScramFault::BindingType);
        }
        _ => return Err(ScramFault::Malformed),
    }
    match behind.as_bytes().first() {
        Some(b',') => message.split_at_checked(flag.len() + 2).ok_or(ScramFault::Malformed),
        Some(b'a') => Err(ScramFault::AuthorizationIdentity),
        _ => Err(ScramFault::Malformed),
    }
}

/// The nonce in the client's first message without its header: `n=..,r=..` and extensions, which are ignored. The name is
/// ignored as well: who logs in stands in the startup packet.
fn client_nonce(bare: &str) -> Result<&str, ScramFault> {
    let mut attributes = bare.split(',');
    match attributes.next() {
        Some(name) if name.starts_with("n=") => {}
        Some(name) if name.starts_with("m=") => return Err(ScramFault::Extension),
        _ => return Err(ScramFault::Malformed),
    }
    let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).ok_or(ScramFault::Malformed)?;
    let printable = nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if !printable || nonce.is_empty() || nonce.len() > NONCE_CHARS_MAX || !attributes.all(is_attribute) {
        return Err(ScramFault::Malformed);
    }
    Ok(nonce)
}

/// Reads `c=..,r=..` and extensions, which are ignored.
fn binding_and_nonce(message: &str) -> Result<(&str, &str), ScramFault> {
    let mut attributes = message.split(',');
    let binding = attributes.next().and_then(|binding| binding.strip_prefix("c="));
    let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
    binding.zip(nonce).filter(|_| attributes.all(is_attribute)).ok_or(ScramFault::Malformed)
}

fn is_attribute(attribute: &str) -> bool {
    matches!(attribute.as_bytes(), [letter, b'=', ..] if letter.is_ascii_alphabetic())
}
