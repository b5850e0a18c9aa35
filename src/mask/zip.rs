//! ZIP codes: the first three digits (45 CFR 164.514(b)(2)(i)(B)).

use bytes::BytesMut;

/// Prefixes whose areas held 20,000 people or fewer in the census of 2000 (Guidance on De-identification, HHS, 2012).
const SPARSE: [&[u8; 3]; 17] = [
    b"036", b"059", b"063", b"102", b"203", b"556", b"692", b"790", b"821", b"823", b"830", b"831", b"878", b"879", b"884",
    b"890", b"893",
];
/// Digits that stay.
const KEPT: usize = 3;

/// Writes the masked code; false, and nothing written, if the value does not look like one (`12345`, `12345-6789`,
/// `123456789`, blanks behind it allowed).
pub(super) fn write(value: &[u8], out: &mut BytesMut) -> bool {
    let code = value.trim_ascii_end();
    let shape = code.iter().enumerate().all(|(index, byte)| byte.is_ascii_digit() || (*byte == b'-' && index == 5));
    let fits = match code.len() {
        5 => true,
        9 => !code.contains(&b'-'),
        10 => code.get(5) == Some(&b'-'),
        _ => false,
    };
    let Some(prefix) = code.first_chunk::<KEPT>().filter(|_| shape && fits) else { return false };
    let start = out.len();
    out.extend_from_slice(value);
    let Some((first, rest)) = out.get_mut(start..).and_then(|code| code.split_first_chunk_mut::<KEPT>()) else { return false };
    if SPARSE.contains(&prefix) {
        *first = *b"000";
    }
    for byte in rest.iter_mut().filter(|byte| byte.is_ascii_digit()) {
        *byte = b'*';
    }
    true
}
