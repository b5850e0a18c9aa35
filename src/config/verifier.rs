//! The shape of a SCRAM-SHA-256 verifier.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fewest iterations (RFC 7677 section 4).
pub(super) const ITERATIONS_MIN: u32 = 4096;
/// Most iterations: a login computes them.
pub(super) const ITERATIONS_MAX: u32 = 1_000_000;
/// Fewest bytes of salt.
const SALT_BYTES_MIN: usize = 8;
/// Most bytes of salt.
const SALT_BYTES_MAX: usize = 64;

/// Why a text is no verifier of the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, if it is none. Says nothing of
/// the text itself.
pub(super) fn fault(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix("SCRAM-SHA-256$") else {
        return Some("it does not begin with `SCRAM-SHA-256$`".to_owned());
    };
    let parts = rest.split_once('$').and_then(|(head, keys)| Some((head.split_once(':')?, keys.split_once(':')?)));
    let Some(((iterations, salt), (stored, server))) = parts else {
        return Some("it has not the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`".to_owned());
    };
    if !iterations.parse::<u32>().is_ok_and(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&count)) {
        return Some(format!("its iterations must be from {ITERATIONS_MIN} to {ITERATIONS_MAX}"));
    }
    if !STANDARD.decode(salt).is_ok_and(|salt| (SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&salt.len())) {
        return Some("its salt is not base64 of a usual length".to_owned());
    }
    let key = |text: &str| STANDARD.decode(text).is_ok_and(|key| key.len() == 32);
    (!key(stored) || !key(server)).then(|| "its keys are not base64 of 32 bytes each".to_owned())
}
