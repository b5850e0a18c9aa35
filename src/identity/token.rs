//! A signed token (RFC 7515 compact form, RFC 7519): its form, read within bounds, and what can be wrong with one.
//!
//! Nothing of a token is believed before its signature is: `Token::issuer` and `Token::key` only say where to look for the key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Longest token, in bytes: what a password message of a PostgreSQL client holds.
pub const TOKEN_BYTES_MAX: usize = 65_000;
/// Longest header, in bytes of its base64 form.
const HEADER_BYTES_MAX: usize = 8_192;
/// Longest signature, in bytes of its base64 form: RSA with 16,384 bits.
const SIGNATURE_BYTES_MAX: usize = 2_731;
/// Longest name of a key.
const KEY_ID_BYTES_MAX: usize = 512;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037). Those with a shared secret are not among them, nor is `none`: whoever
/// knows an issuer's public keys must not be able to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "these are the registered names")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// All of them, by their registered names.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

/// Why a token lets nobody in. Everything up to `Signature` may be an attacker's doing; what comes after it is said of a token
/// that the issuer has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than is read.
    #[error("token has more than {TOKEN_BYTES_MAX} bytes")]
    Oversize,
    /// Not a signed token in compact form.
    #[error("malformed token")]
    Malformed,
    /// An encrypted token.
    #[error("encrypted token")]
    Encrypted,
    /// No signature, a signature by a shared secret, or an algorithm that is not taken from this issuer.
    #[error("signature algorithm is not accepted")]
    Algorithm,
    /// A token for another purpose, by its `typ`, or by claims that only such a token has.
    #[error("token is of another type")]
    Type,
    /// An extension that must be understood, and is not.
    #[error("token has a critical extension")]
    Critical,
    /// An issuer that is not configured.
    #[error("token of an unknown issuer")]
    Issuer,
    /// The issuer publishes no such key.
    #[error("token is signed with an unknown key")]
    Key,
    /// The issuer's keys cannot be had.
    #[error("keys of issuer `{0}` cannot be had")]
    Unavailable(String),
    /// The signature is wrong.
    #[error("signature of the token is wrong")]
    Signature,
    /// A claim that has to be there is missing or of the wrong type.
    #[error("claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// Made for somebody else.
    #[error("token is for another audience")]
    Audience,
    /// Made for a client that is not let in.
    #[error("token was given to another client")]
    Party,
    /// Its time is over.
    #[error("token has expired")]
    Expired,
    /// Its time has not come.
    #[error("token is not valid yet")]
    Early,
    /// Not the answer to the question that was asked.
    #[error("nonce differs")]
    Nonce,
    /// Nothing in it makes the identity a member of a group.
    #[error("token names no group")]
    NoGroups,
    /// More groups than are read.
    #[error("token names more groups than are read")]
    ManyGroups,
    /// The issuer has left the groups out and says where to ask for them.
    #[error("token refers to its groups elsewhere")]
    GroupsElsewhere,
    /// The group asks for a stronger login than the token speaks of.
    #[error("group `{0}` needs a stronger login")]
    Assurance(String),
    /// The name that the identity would be shown by belongs to another one.
    #[error("name of the identity is taken")]
    Name,
    /// Identity, credential or issuer has been revoked.
    #[error("revoked")]
    Revoked,
}

impl TokenFault {
    /// True if the token proves nothing here. Not if it is the issuer's own word to us, but its time is not now, or those it is of may
    /// not come in; nor if nobody can tell.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Expired | Self::Early | Self::Assurance(_) | Self::Name | Self::Revoked => false,
            Self::NoGroups | Self::ManyGroups | Self::GroupsElsewhere => false,
            Self::Oversize | Self::Malformed | Self::Encrypted | Self::Algorithm | Self::Type | Self::Critical => true,
            Self::Issuer | Self::Key | Self::Signature | Self::Claim(_) | Self::Audience | Self::Party | Self::Nonce => true,
        }
    }

    /// Its name in the log.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Oversize => "oversized-token",
            Self::Malformed => "malformed-token",
            Self::Encrypted => "encrypted-token",
            Self::Algorithm => "algorithm",
            Self::Type | Self::Critical => "token-type",
            Self::Issuer => "unknown-issuer",
            Self::Key => "unknown-key",
            Self::Unavailable(_) => "issuer-unavailable",
            Self::Signature => "bad-signature",
            Self::Claim(_) => "missing-claim",
            Self::Audience => "wrong-audience",
            Self::Party => "wrong-client",
            Self::Expired => "expired-token",
            Self::Early => "not-yet-valid",
            Self::Nonce => "nonce",
            Self::NoGroups => "no-groups",
            Self::ManyGroups => "too-many-groups",
            Self::GroupsElsewhere => "groups-overflow",
            Self::Assurance(_) => "weak-login",
            Self::Name => "name-taken",
            Self::Revoked => "revoked",
        }
    }
}

/// A token whose form is right. Shows nothing of itself.
pub struct Token<'t> {
    algorithm: Algorithm,
    key: Option<String>,
    signed: &'t [u8],
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl<'t> Token<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// `Oversize`, `Malformed`, `Encrypted`, `Algorithm`, `Type` or `Critical`.
    pub fn read(text: &'t [u8]) -> Result<Self, TokenFault> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Oversize);
        }
        let (signed, signature) = cut(text)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        if header.len() > HEADER_BYTES_MAX || signature.len() > SIGNATURE_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let header = object(header)?;
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(TokenFault::Malformed)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(TokenFault::Algorithm)?;
        // RFC 7515 section 4.1.11: what must be understood and is not makes the token invalid.
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        is_of_type(&header)?;
        let key = match header.get("kid") {
            None => None,
            Some(Value::String(key)) if key.len() <= KEY_ID_BYTES_MAX => Some(key.clone()),
            Some(_) => return Err(TokenFault::Malformed),
        };
        Ok(Self { algorithm, key, signed: signed.as_bytes(), signature: decode(signature)?, claims: object(claims)? })
    }

    /// Who is said to have signed it.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The name of the key that is said to have signed it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The algorithm that it is said to be signed by.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the token says, if `fits` finds that this signature fits these bytes.
    ///
    /// # Errors
    /// `Signature`.
    pub fn verified(self, fits: impl FnOnce(&[u8], &[u8]) -> bool) -> Result<Claims, TokenFault> {
        if fits(self.signed, &self.signature) { Ok(Claims(self.claims)) } else { Err(TokenFault::Signature) }
    }
}

/// What a token says whose signature is right. Shows nothing of itself.
pub struct Claims(pub(super) Map<String, Value>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(..)")
    }
}

/// Cuts the signature off. Five parts are an encrypted token (RFC 7516).
fn cut(text: &[u8]) -> Result<(&str, &str), TokenFault> {
    let text = std::str::from_utf8(text).map_err(|_| TokenFault::Malformed)?;
    match text.matches('.').count() {
        2 => text.rsplit_once('.').ok_or(TokenFault::Malformed),
        4 => Err(TokenFault::Encrypted),
        _ => Err(TokenFault::Malformed),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    // serde_json bounds the nesting.
    match serde_json::from_slice(&decode(part)?) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(TokenFault::Malformed),
    }
}

/// RFC 8725 section 3.11: an access token or ID token, or one that does not say. Not a logout token, a proof of possession, ...
fn is_of_type(header: &Map<String, Value>) -> Result<(), TokenFault> {
    let Some(name) = header.get("typ") else { return Ok(()) };
    let name = name.as_str().ok_or(TokenFault::Malformed)?.to_ascii_lowercase();
    match name.strip_prefix("application/").unwrap_or(&name) {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(TokenFault::Type),
    }
}

/// True if a password looks like a token: no password that is made here has this form.
#[must_use]
pub fn is_token(password: &[u8]) -> bool {
    let in_form = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    password.starts_with(b"ey") && password.iter().filter(|byte| **byte == b'.').count() >= 2 && password.iter().all(in_form)
}
