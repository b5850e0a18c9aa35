//! What a login costs: the server's side of SCRAM, and the check of a password in clear.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pgveil::identity::{Channel, ExpectProof, ITERATIONS_MIN, Mechanism, NONCE_BYTES, ScramFault, Verifier};

const CLIENT_FINAL: &[u8] = b"c=biws,r=abcZWlnaHRlZW4gZGljZSBoZXJl,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const DICE: [u8; NONCE_BYTES] = *b"eighteen dice here";

fn login(c: &mut Criterion) {
    let Ok(verifier) = Verifier::make(b"pencil", b"sixteen bytes of", ITERATIONS_MIN) else { return };
    c.bench_function("identity/scram_server_wrong_proof", |b| {
        b.iter(|| {
            let begun = ExpectProof::begin(Mechanism::ScramSha256, b"n,,n=,r=abc", verifier.clone(), DICE, &Channel::Clear);
            let finished = begun.and_then(|(exchange, _)| exchange.finish(black_box(CLIENT_FINAL)));
            assert_eq!(finished, Err(ScramFault::Proof));
        });
    });
    c.bench_function("identity/password_in_clear", |b| b.iter(|| verifier.fits(black_box(b"pencil"))));
}

criterion_group!(benches, login);
criterion_main!(benches);
