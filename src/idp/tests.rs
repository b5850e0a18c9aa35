use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::core::CoreJsonWebKey;
use serde_json::{Value, json};

use super::keys::fits;
use super::*;
use crate::identity::Algorithm;

const SIGNED: &[u8] = b"header.claims";

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key(jwk: Value) -> CoreJsonWebKey {
    serde_json::from_value(jwk).unwrap()
}

fn rsa() -> (CoreJsonWebKey, Vec<u8>, Vec<u8>) {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
    let sign = |padding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), SIGNED, &mut signature).unwrap();
        signature
    };
    let jwk = key(json!({"kty": "RSA", "n": b64(n), "e": b64(e)}));
    (jwk, sign(&RSA_PKCS1_SHA256), sign(&RSA_PSS_SHA256))
}

#[test]
fn a_signature_fits_its_own_key_algorithm_and_bytes_only() {
    let (rsa_key, pkcs1, pss) = rsa();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let ec = |x: &[u8], y: &[u8]| key(json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)}));
    let ec_key = ec(&point[..32], &point[32..]);
    let es256 = pair.sign(&SystemRandom::new(), SIGNED).unwrap().as_ref().to_vec();
    let pair = Ed25519KeyPair::generate().unwrap();
    let ed_key = key(json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())}));
    let eddsa = pair.sign(SIGNED).as_ref().to_vec();
    let all = [
        (&rsa_key, Algorithm::Rs256, &pkcs1),
        (&rsa_key, Algorithm::Ps256, &pss),
        (&ec_key, Algorithm::Es256, &es256),
        (&ed_key, Algorithm::EdDsa, &eddsa),
    ];
    for (at, (key, algorithm, signature)) in all.iter().enumerate() {
        assert!(fits(key, *algorithm, SIGNED, signature), "{algorithm:?}");
        assert!(!fits(key, *algorithm, b"header.claimt", signature), "{algorithm:?}");
        assert!(!fits(key, *algorithm, SIGNED, b""), "{algorithm:?}");
        for place in [0, signature.len() / 2, signature.len() - 1] {
            let mut broken = signature.to_vec();
            broken[place] ^= 1;
            assert!(!fits(key, *algorithm, SIGNED, &broken), "{algorithm:?} {place}");
        }
        for (_, (other, other_algorithm, _)) in all.iter().enumerate().filter(|(other_at, _)| *other_at != at) {
            let another = !std::ptr::eq(*other, *key);
            assert!(!(another && fits(other, *algorithm, SIGNED, signature)), "{algorithm:?} by another key");
            assert!(!fits(key, *other_algorithm, SIGNED, signature), "{algorithm:?} taken for {other_algorithm:?}");
        }
    }
}

#[test]
fn a_key_for_another_use_fits_nothing() {
    let (rsa_key, pkcs1, _) = rsa();
    let mut jwk = serde_json::to_value(&rsa_key).unwrap();
    jwk["use"] = "enc".into();
    assert!(!fits(&key(jwk.clone()), Algorithm::Rs256, SIGNED, &pkcs1));
    jwk["use"] = "sig".into();
    assert!(fits(&key(jwk.clone()), Algorithm::Rs256, SIGNED, &pkcs1));
    jwk["alg"] = "RS512".into();
    assert!(!fits(&key(jwk), Algorithm::Rs256, SIGNED, &pkcs1));
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for url in ["http://127.0.0.1", "http://127.0.0.1:80/x", "http://[::1]:9/", "http://localhost:1/.well-known"] {
        assert!(is_loopback_http(url), "{url}");
    }
    for url in ["https://127.0.0.1", "http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example", "http://", "x"] {
        assert!(!is_loopback_http(url), "{url}");
    }
}
