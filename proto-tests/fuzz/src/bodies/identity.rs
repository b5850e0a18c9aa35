//! What a client says while it logs in, and what is kept of passwords and certificates.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};
use pgveil::identity::{Channel, ExpectProof, Mechanism, Verifier, end_point};

use super::input::Input;

const PASSWORD: &[u8] = b"open sesame";
const SALT: &[u8] = b"sixteen bytes of";
const ITERATIONS: u32 = 4_096;
const DICE: [u8; 18] = [9; 18];
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::make(PASSWORD, SALT, ITERATIONS).expect("a password"));
static CLIENT_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (rounds, mut salted) = (NonZeroU32::new(ITERATIONS).expect("some"), [0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, SALT, PASSWORD, &mut salted);
    sign(&salted, b"Client Key")
});

/// One of the things that are read.
pub fn identity(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => verifier(input.rest()),
        1 => {
            let _ = end_point(input.rest());
        }
        2 => first(&mut input),
        _ => last(&mut input),
    }
}

fn verifier(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(verifier) = text.parse::<Verifier>() {
        assert_eq!(verifier.to_text().parse::<Verifier>().as_ref(), Ok(&verifier));
        assert!(!format!("{verifier:?}").contains(&verifier.salt_base64()));
    }
}

/// A first message of any bytes; one that is taken is answered with its own nonce. A last message of any bytes proves nothing.
fn first(input: &mut Input<'_>) {
    let channel = [Channel::Clear, Channel::Tls, Channel::Bound(b"certificate".to_vec())][input.below(3)].clone();
    let mechanism = *input.one_of(&[Mechanism::ScramSha256, Mechanism::ScramSha256Plus]);
    let (said, then) = (input.bytes(), input.rest());
    let Ok((expect, answer)) = ExpectProof::begin(mechanism, said, VERIFIER.clone(), DICE, &channel) else { return };
    assert!(channel.mechanisms().contains(&mechanism) || mechanism == Mechanism::ScramSha256);
    let text = std::str::from_utf8(said).expect("what is taken is text");
    let nonce = text.split(",r=").nth(1).and_then(|rest| rest.split(',').next()).expect("a nonce");
    assert!(answer.starts_with(&format!("r={nonce}")), "{text} {answer}");
    assert!(expect.finish(then).is_err(), "a proof that nobody could make holds");
}

/// The exchange of a client that knows the password (RFC 5802 section 3), with its last message changed.
fn last(input: &mut Input<'_>) {
    let bare = "n=,r=a nonce".replace(' ', "-");
    let begun =
        ExpectProof::begin(Mechanism::ScramSha256, format!("n,,{bare}").as_bytes(), VERIFIER.clone(), DICE, &Channel::Clear);
    let (expect, answer) = begun.expect("a client's first message");
    let nonce = answer.split(',').next().expect("a nonce");
    let without_proof = format!("c=biws,{nonce}");
    let signed = sign(&hash(&CLIENT_KEY), format!("{bare},{answer},{without_proof}").as_bytes());
    let proof: Vec<u8> = CLIENT_KEY.iter().zip(signed).map(|(key, mask)| key ^ mask).collect();
    let said = format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes();
    let mut bytes = said.clone();
    while !input.is_empty() && !bytes.is_empty() {
        let at = usize::from(input.byte()) % bytes.len();
        match input.below(3) {
            0 => bytes[at] = input.byte(),
            1 => bytes.insert(at, input.byte()),
            _ => {
                bytes.remove(at);
            }
        }
    }
    assert_eq!(expect.finish(&bytes).is_ok(), bytes == said, "{}", String::from_utf8_lossy(&bytes));
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn sign(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()
}
