//! Keys, and bodies sealed with them: AES-256-GCM (NIST SP 800-38D).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;

use super::tree::sha256;
use super::{BODY_BYTES_MAX, Hash, LedgerError, SessionId};
use crate::secret::Secret;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of a data key as it is stored: nonce, sealed key, tag.
pub const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// First byte of what is sealed: the body as it is.
const PLAIN: u8 = 0;
/// First byte of what is sealed: the body's length (4 bytes, little end first) and an LZ4 block.
const LZ4: u8 = 1;
/// What stands in front of an LZ4 block: that byte and the length.
const LZ4_HEAD_BYTES: usize = 5;
/// Shorter bodies are not worth compressing: the compressor's own table costs more than it saves.
const COMPRESS_BYTES_MIN: usize = 2048;

fn cipher(key: &Secret) -> Result<LessSafeKey, LedgerError> {
    UnboundKey::new(&AES_256_GCM, key.reveal()).map(LessSafeKey::new).map_err(|_| LedgerError::Key("not 32 bytes"))
}

/// The deployment's key: wraps the data keys of the sessions.
pub struct MasterKey {
    cipher: LessSafeKey,
    mark: Hash,
    other: hmac::Key,
}

impl MasterKey {
    /// Takes the 32 bytes in.
    ///
    /// # Errors
    /// `Key` for another length.
    pub fn new(key: &Secret) -> Result<Self, LedgerError> {
        let other = hmac::Key::new(hmac::HMAC_SHA256, key.reveal());
        Ok(Self { cipher: cipher(key)?, mark: sha256(&[b"pgveil master key", key.reveal()]), other })
    }

    /// A key for another purpose, named by `purpose`: HMAC-SHA-256 of it. Nobody learns the master key from it.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Secret {
        Secret::new(hmac::sign(&self.other, purpose.as_bytes()).as_ref().to_vec())
    }

    /// A hash that tells one master key from another and nothing else.
    #[must_use]
    pub fn mark(&self) -> Hash {
        self.mark
    }

    /// Wraps a session's data key. `nonce` must never come twice: 12 random bytes.
    ///
    /// # Errors
    /// `Key` if the key has another length.
    pub fn wrap(&self, session: SessionId, key: &Secret, nonce: [u8; NONCE_BYTES]) -> Result<Vec<u8>, LedgerError> {
        let mut sealed = key.reveal().to_vec();
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(session.0), &mut sealed)
            .map_err(|_| LedgerError::Key("cannot be wrapped"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Unwraps a session's data key.
    ///
    /// # Errors
    /// `Sealed` if it was wrapped with another key, for another session, or was changed.
    pub fn unwrap(&self, session: SessionId, wrapped: &[u8]) -> Result<DataKey, LedgerError> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(LedgerError::Sealed)?;
        let mut sealed = sealed.to_vec();
        let key = self
            .cipher
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(session.0), &mut sealed)
            .map_err(|_| LedgerError::Sealed)?;
        DataKey::new(&Secret::new(key.to_vec()))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([secret])")
    }
}

/// A session's key: seals the bodies of its entries.
pub struct DataKey {
    cipher: LessSafeKey,
    commitment: Hash,
}

impl DataKey {
    /// Takes the 32 bytes in.
    ///
    /// # Errors
    /// `Key` for another length.
    pub fn new(key: &Secret) -> Result<Self, LedgerError> {
        Ok(Self { cipher: cipher(key)?, commitment: sha256(&[b"pgveil data key", key.reveal()]) })
    }

    /// What the session's first entry says about its key, so that another key cannot be put in its place.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        self.commitment
    }

    /// Seals packed bytes for the entry with this index and these header bytes. The index is the nonce: it comes once in a log.
    /// Gives the tag that stands behind them.
    ///
    /// # Errors
    /// `Oversize`.
    pub(super) fn seal(&self, index: u64, header: &[u8], packed: &mut [u8]) -> Result<[u8; TAG_BYTES], LedgerError> {
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce(index), Aad::from(header), packed)
            .map_err(|_| LedgerError::Oversize(packed.len()))?;
        tag.as_ref().try_into().map_err(|_| LedgerError::Key("a tag of another length"))
    }

    /// Opens what `seal` gave.
    ///
    /// # Errors
    /// `Sealed` for another key, index or header, or changed bytes; `Malformed` for a body that does not unpack.
    pub(super) fn open(&self, index: u64, header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = sealed.to_vec();
        let opened = self.cipher.open_in_place(nonce(index), Aad::from(header), &mut bytes).map_err(|_| LedgerError::Sealed)?;
        unpacked(opened)
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey([secret])")
    }
}

fn nonce(index: u64) -> Nonce {
    let mut bytes = [0; NONCE_BYTES];
    if let Some(low) = bytes.last_chunk_mut::<8>() {
        *low = index.to_be_bytes();
    }
    Nonce::assume_unique_for_key(bytes)
}

/// Packs a body for sealing. `body` stands behind one byte that is free.
///
/// # Errors
/// `Oversize`.
pub(super) fn packed(mut body: Vec<u8>) -> Result<Vec<u8>, LedgerError> {
    let length = body.len().saturating_sub(1);
    if length > BODY_BYTES_MAX {
        return Err(LedgerError::Oversize(length));
    }
    if length >= COMPRESS_BYTES_MIN
        && let Some(plain) = body.get(1..)
        && let Ok(stored) = u32::try_from(length)
    {
        let mut out = vec![LZ4; LZ4_HEAD_BYTES + lz4_flex::block::get_maximum_output_size(length)];
        if let Some((head, block)) = out.split_first_chunk_mut::<LZ4_HEAD_BYTES>() {
            head[1..].copy_from_slice(&stored.to_le_bytes());
            if let Ok(bytes) = lz4_flex::block::compress_into(plain, block)
                && bytes + LZ4_HEAD_BYTES < length - length / 16
            {
                out.truncate(LZ4_HEAD_BYTES + bytes);
                return Ok(out);
            }
        }
    }
    if let Some(first) = body.first_mut() {
        *first = PLAIN;
    }
    Ok(body)
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, LedgerError> {
    const BAD: LedgerError = LedgerError::Malformed("packing of the body");
    match bytes.split_first() {
        Some((&PLAIN, body)) => Ok(body.to_vec()),
        Some((&LZ4, rest)) => {
            let (length, block) = rest.split_first_chunk::<4>().ok_or(BAD)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| BAD)?;
            if length > BODY_BYTES_MAX {
                return Err(LedgerError::Oversize(length));
            }
            let body = lz4_flex::block::decompress(block, length).map_err(|_| BAD)?;
            if body.len() == length { Ok(body) } else { Err(BAD) }
        }
        _ => Err(BAD),
    }
}
