//! The server's side of SASL OAUTHBEARER (RFC 7628), without I/O.

use super::token::TOKEN_BYTES_MAX;
use crate::secret::Secret;

/// The mechanism's registered name.
pub const OAUTHBEARER: &str = "OAUTHBEARER";
/// What ends each pair of a message.
const SEPARATOR: u8 = 0x01;
/// Longest message, in bytes.
pub const BEARER_BYTES_MAX: usize = TOKEN_BYTES_MAX + 1_024;

/// Why an exchange ends: the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerFault {
    /// A message is not what RFC 7628 section 3.1 says.
    #[error("malformed OAUTHBEARER message")]
    Malformed,
    /// The client wants to bind the exchange to the channel, which this mechanism has no way for.
    #[error("malformed OAUTHBEARER message: the client requires channel binding, but the mechanism has none")]
    Binding,
    /// The client wants to act for another.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
}

/// What a client begins with.
#[derive(Debug)]
pub enum Bearer {
    /// It has no token yet, and asks where to get one.
    Discovery,
    /// Its token, unread.
    Token(Secret),
}

impl Bearer {
    /// Reads the client's first message.
    ///
    /// # Errors
    /// Whatever it does not comply with.
    pub fn read(message: &[u8]) -> Result<Self, BearerFault> {
        if message.len() > BEARER_BYTES_MAX {
            return Err(BearerFault::Malformed);
        }
        let pairs = match message {
            [b'n' | b'y', b',', b',', SEPARATOR, pairs @ ..] => pairs,
            [b'n' | b'y', b',', b'a', ..] => return Err(BearerFault::AuthorizationIdentity),
            [b'p', ..] => return Err(BearerFault::Binding),
            _ => return Err(BearerFault::Malformed),
        };
        // Each pair ends with the separator, and one more ends the message.
        let pairs = pairs.strip_suffix(&[SEPARATOR, SEPARATOR]).ok_or(BearerFault::Malformed)?;
        let mut auth = None;
        for pair in pairs.split(|byte| *byte == SEPARATOR) {
            let at = pair.iter().position(|byte| *byte == b'=').ok_or(BearerFault::Malformed)?;
            let (name, value) = pair.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) || value.contains(&0) {
                return Err(BearerFault::Malformed);
            }
            if name == b"auth" && auth.replace(value).is_some() {
                return Err(BearerFault::Malformed);
            }
        }
        match auth {
            None => Err(BearerFault::Malformed),
            Some([]) => Ok(Self::Discovery),
            Some(value) => token(value).map(Self::Token),
        }
    }
}

/// `Bearer` in any case, spaces, and a token of the characters that RFC 6750 section 2.1 allows.
fn token(value: &[u8]) -> Result<Secret, BearerFault> {
    let (scheme, rest) = value.split_at_checked(7).ok_or(BearerFault::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(BearerFault::Malformed);
    }
    let token = rest.trim_ascii();
    let body = token.iter().rposition(|byte| *byte != b'=').and_then(|last| token.get(..=last)).unwrap_or_default();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    if body.is_empty() || !body.iter().all(allowed) {
        return Err(BearerFault::Malformed);
    }
    Ok(Secret::new(token.to_vec()))
}

/// What a client is told that has no token, or one that was refused: where to get one (RFC 7628 section 3.2.2), and as which client.
/// Clients pass over the member `client_id`, but for `pgveil login`.
#[must_use]
pub fn challenge(issuer: &str, scope: &str, client_id: Option<&str>) -> String {
    let configuration = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let mut told = serde_json::Map::new();
    let said = [("status", "invalid_token"), ("openid-configuration", &configuration), ("scope", scope)];
    for (name, value) in said.into_iter().chain(client_id.map(|client_id| ("client_id", client_id))) {
        told.insert(name.to_owned(), value.into());
    }
    serde_json::Value::Object(told).to_string()
}

/// True if this is a client's answer to a challenge.
#[must_use]
pub fn is_acknowledged(message: &[u8]) -> bool {
    message == [SEPARATOR]
}
