//! Checkpoints: the size and root of the tree at a time, as signed notes.
//!
//! Source: C2SP `tlog-checkpoint` and `signed-note`. The one extension line is `time_us N`, microseconds since 1970.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::tree::sha256;
use super::{Hash, LedgerError};
use crate::secret::Secret;

/// Longest note that is read.
const NOTE_BYTES_MAX: usize = 16 << 10;
/// Longest name of a log.
const ORIGIN_BYTES_MAX: usize = 128;
/// The algorithm byte of Ed25519 in note keys and signatures.
const ED25519_BYTE: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
const PUBLIC_KEY_BYTES: usize = 32;
const TIME: &str = "time_us ";

/// What a log says of itself at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// When, in microseconds since 1970.
    pub time_us: u64,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n{TIME}{}\n", self.origin, self.size, STANDARD.encode(self.root.0), self.time_us)
    }

    /// Reads the text part of a note.
    fn read(text: &str) -> Result<Self, LedgerError> {
        let bad = LedgerError::Checkpoint;
        let mut lines = text.strip_suffix('\n').ok_or(bad("the text does not end in a line end"))?.split('\n');
        let origin = lines.next().filter(|origin| is_name(origin)).ok_or(bad("no origin"))?;
        let size = lines.next().and_then(decimal).ok_or(bad("no size"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).and_then(|root| Hash::from_slice(&root));
        let root = root.ok_or(bad("no root hash"))?;
        let time_us = lines.next().and_then(|line| line.strip_prefix(TIME)).and_then(decimal).ok_or(bad("no time"))?;
        match lines.next() {
            None => Ok(Self { origin: origin.to_owned(), size, root, time_us }),
            Some(_) => Err(bad("unknown lines behind the time")),
        }
    }
}

/// A decimal number in its one spelling.
fn decimal(line: &str) -> Option<u64> {
    line.parse().ok().filter(|number: &u64| number.to_string() == line)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ORIGIN_BYTES_MAX && name.bytes().all(|b| b.is_ascii_graphic() && b != b'+')
}

/// The first four bytes of SHA-256(name, line end, algorithm byte, public key).
fn key_id(name: &str, public: &[u8; PUBLIC_KEY_BYTES]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519_BYTE], public]);
    hash.0.first_chunk().copied().unwrap_or_default()
}

/// Signs checkpoints.
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    /// A signer for the log with this name, from the 32 bytes of an Ed25519 seed.
    ///
    /// # Errors
    /// `Key` for a name or a seed in the wrong shape.
    pub fn new(origin: &str, seed: &Secret) -> Result<Self, LedgerError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.reveal()).map_err(|_| LedgerError::Key("not an Ed25519 seed"))?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| LedgerError::Key("not an Ed25519 key"))?;
        Ok(Self { pair, verifier: Verifier::new(origin, public)? })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signed note of a tree of this size and root at this time.
    #[must_use]
    pub fn note(&self, size: u64, root: Hash, time_us: u64) -> String {
        let checkpoint = Checkpoint { origin: self.verifier.origin.clone(), size, root, time_us };
        let text = checkpoint.text();
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", checkpoint.origin, STANDARD.encode(signature))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// Checks the signatures of one log. Shows itself as `name+id+key`, the form of C2SP signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    origin: String,
    id: [u8; 4],
    public: [u8; PUBLIC_KEY_BYTES],
}

impl Verifier {
    fn new(origin: &str, public: [u8; PUBLIC_KEY_BYTES]) -> Result<Self, LedgerError> {
        if !is_name(origin) {
            return Err(LedgerError::Key("the name is empty, too long, or has a space or `+` in it"));
        }
        Ok(Self { origin: origin.to_owned(), id: key_id(origin, &public), public })
    }

    /// Reads `name+id+key`.
    ///
    /// # Errors
    /// `Key` if it is anything else, or the id is not the key's.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let bad = LedgerError::Key("not a verifier key of the form name+id+key");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(bad) };
        let key = STANDARD.decode(key).map_err(|_| bad.clone())?;
        let Some((&ED25519_BYTE, public)) = key.split_first() else { return Err(bad) };
        let verifier = Self::new(name, public.try_into().map_err(|_| bad.clone())?)?;
        if hex(&verifier.id) == id { Ok(verifier) } else { Err(bad) }
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads a note and checks that this key has signed it. Other signatures (of witnesses) are passed over.
    ///
    /// # Errors
    /// `Checkpoint` says what is wrong.
    pub fn open(&self, note: &str) -> Result<Checkpoint, LedgerError> {
        let bad = LedgerError::Checkpoint;
        if note.len() > NOTE_BYTES_MAX {
            return Err(bad("the note is too long"));
        }
        let cut = note.rfind("\n\n").ok_or(bad("no signatures"))?;
        let (text, signatures) = (note.get(..=cut).unwrap_or_default(), note.get(cut + 2..).unwrap_or_default());
        let checkpoint = Checkpoint::read(text)?;
        if checkpoint.origin != self.origin {
            return Err(bad("it is of another log"));
        }
        let signatures = signatures.strip_suffix('\n').ok_or(bad("the note does not end in a line end"))?;
        for line in signatures.split('\n') {
            let (name, signature) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(bad("a signature line is malformed"))?;
            let signature = STANDARD.decode(signature).map_err(|_| bad("a signature line is malformed"))?;
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(bad("a signature line is malformed"));
            };
            if name != self.origin || *id != self.id {
                continue;
            }
            let valid = signature.len() == SIGNATURE_BYTES
                && UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_bytes(), signature).is_ok();
            return if valid { Ok(checkpoint) } else { Err(bad("the signature does not hold")) };
        }
        Err(bad("it is not signed by this key"))
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[ED25519_BYTE], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.origin, hex(&self.id), STANDARD.encode(key))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts a file of checkpoints into notes: each is a text, an empty line, signature lines (C2SP signed notes), and may have empty lines
/// behind it.
pub fn notes(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.split_inclusive('\n').peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        lines.peek()?;
        let mut note = String::new();
        let mut signed = false;
        while let Some(line) = lines.next_if(|line| !signed || line.starts_with('\u{2014}')) {
            signed |= line.starts_with('\u{2014}');
            note.push_str(line);
        }
        Some(note)
    })
}
