//! What is kept of a password: PostgreSQL's SCRAM verifier.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ITERATIONS_MAX, ITERATIONS_MIN, PASSWORD_BYTES_MAX};

/// Bytes of the salt of a verifier that we make, as PostgreSQL has it.
pub const SALT_BYTES: usize = 16;
const SALT_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;
const SCHEME: &str = "SCRAM-SHA-256";

/// A key of SCRAM-SHA-256.
pub(super) type Key = [u8; 32];

/// A SCRAM-SHA-256 verifier: enough to check a password and to prove that it is known, not enough to log in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

/// What is wrong with a verifier or with what one is to be made from: the operator's fault. Quotes none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierFault {
    /// It is not of the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    #[error("verifier is not of the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`")]
    Form,
    /// The number of iterations is out of bounds.
    #[error("iterations of a verifier must be between {ITERATIONS_MIN} and {ITERATIONS_MAX}")]
    Iterations,
    /// The salt is empty, too long, or not base64.
    #[error("salt of a verifier must be 1 to {SALT_BYTES_MAX} bytes in base64")]
    Salt,
    /// A key is not 32 bytes in base64.
    #[error("keys of a verifier must be 32 bytes each in base64")]
    Key,
    /// The password is empty or too long.
    #[error("password must have 1 to {PASSWORD_BYTES_MAX} bytes")]
    Password,
}

impl Verifier {
    /// Makes the verifier of a password.
    ///
    /// # Errors
    /// `Password`, `Salt` or `Iterations` if out of bounds.
    pub fn make(password: &[u8], salt: &[u8], iterations: u32) -> Result<Self, VerifierFault> {
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(VerifierFault::Password);
        }
        let (iterations, salt) = (bounded_iterations(iterations)?, bounded_salt(salt.to_vec())?);
        let (stored_key, server_key) = keys(password, &salt, iterations);
        Ok(Self { iterations, salt, stored_key, server_key })
    }

    /// A verifier that no password fits, the same for the same name every time, so that an exchange for an identity that does
    /// not exist looks like one that fails. Only who knows `key` can tell it from a real one.
    #[must_use]
    pub fn mock(key: &[u8], name: &[u8], iterations: NonZeroU32) -> Self {
        let part = |label: &[u8]| sign(key, &[label, &[0], name]);
        let salt = part(b"salt").into_iter().take(SALT_BYTES).collect();
        Self { iterations, salt, stored_key: part(b"stored key"), server_key: part(b"server key") }
    }

    /// The verifier of another password, by which an exchange that has begun with this one can be ended: with the same salt.
    ///
    /// # Errors
    /// `Password` if out of bounds.
    pub fn successor(&self, password: &[u8]) -> Result<Self, VerifierFault> {
        Self::make(password, &self.salt, self.iterations.get())
    }

    /// Whether an exchange that has begun with one can be ended by the other.
    #[must_use]
    pub fn is_kin(&self, other: &Self) -> bool {
        (self.iterations, &self.salt) == (other.iterations, &other.salt)
    }

    /// Which of the two this password fits, if any; `former` is kin. As slow whether there is a former one or not.
    #[must_use]
    pub fn fitting<'v>(&'v self, former: Option<&'v Self>, password: &[u8]) -> Option<&'v Self> {
        let password = if password.len() > PASSWORD_BYTES_MAX { &[] } else { password };
        let (stored_key, _) = keys(password, &self.salt, self.iterations);
        let fits = |verifier: &&Self| constant_time::verify_slices_are_equal(&stored_key, &verifier.stored_key).is_ok();
        let former = former.filter(|former| self.is_kin(former));
        std::iter::once(self).chain(former).filter(|_| !password.is_empty()).find(fits)
    }

    /// Rounds of PBKDF2.
    #[must_use]
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// The salt in base64, as it is told to clients.
    #[must_use]
    pub fn salt_base64(&self) -> String {
        STANDARD.encode(&self.salt)
    }

    /// The text that PostgreSQL, too, keeps: for a configuration file, not for a log.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (salt, stored, server) = (self.salt_base64(), STANDARD.encode(self.stored_key), STANDARD.encode(self.server_key));
        format!("{SCHEME}${}:{salt}${stored}:{server}", self.iterations)
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn fits(&self, password: &[u8]) -> bool {
        self.fitting(None, password).is_some()
    }
}

/// Shows the iterations only: a verifier can be guessed against.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} iterations)", self.iterations)
    }
}

impl FromStr for Verifier {
    type Err = VerifierFault;

    fn from_str(text: &str) -> Result<Self, VerifierFault> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(VerifierFault::Form);
        }
        let mut parts = text.split('$');
        let (Some(SCHEME), Some(work), Some(keys), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierFault::Form);
        };
        let (iterations, salt) = work.split_once(':').ok_or(VerifierFault::Form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(VerifierFault::Form)?;
        Ok(Self {
            iterations: bounded_iterations(iterations.parse().map_err(|_| VerifierFault::Iterations)?)?,
            salt: bounded_salt(STANDARD.decode(salt).map_err(|_| VerifierFault::Salt)?)?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

fn bounded_iterations(iterations: u32) -> Result<NonZeroU32, VerifierFault> {
    let bounded = (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations);
    NonZeroU32::new(iterations).filter(|_| bounded).ok_or(VerifierFault::Iterations)
}

fn bounded_salt(salt: Vec<u8>) -> Result<Vec<u8>, VerifierFault> {
    if (1..=SALT_BYTES_MAX).contains(&salt.len()) { Ok(salt) } else { Err(VerifierFault::Salt) }
}

fn key(base64: &str) -> Result<Key, VerifierFault> {
    STANDARD.decode(base64).ok().and_then(|key| key.try_into().ok()).ok_or(VerifierFault::Key)
}

/// HMAC-SHA-256 over the parts.
pub(super) fn sign(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut signed = [0; 32];
    signed.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    signed
}

/// SHA-256.
pub(super) fn hash(bytes: &[u8]) -> Key {
    let mut hashed = [0; 32];
    hashed.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hashed
}

/// StoredKey and ServerKey (RFC 5802 section 3).
fn keys(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> (Key, Key) {
    let mut salted = zeroize::Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &prepared(password), salted.as_mut());
    let client_key = zeroize::Zeroizing::new(sign(salted.as_ref(), &[b"Client Key"]));
    (hash(client_key.as_ref()), sign(salted.as_ref(), &[b"Server Key"]))
}

/// SASLprep, and the bytes as they are where it does not apply: PostgreSQL takes passwords that are not UTF-8, hold what
/// SASLprep prohibits, or become empty by it.
fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok()) {
        Some(Cow::Owned(text)) if !text.is_empty() => Cow::Owned(text.into_bytes()),
        Some(_) | None => Cow::Borrowed(password),
    }
}
