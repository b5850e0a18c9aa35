//! Names with `*` (any run of characters) and `?` (one character).

/// Longest pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 256;

/// True if the pattern matches the whole name. Takes time in proportion to the product of both lengths at most.
#[must_use]
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n = after_character(name, n);
            }
            Some(wanted) if wanted == byte => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    n = after_character(name, from);
                    retry = Some((after, n));
                    p = after;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// Where the character that begins at `at` ends: UTF-8 continues with bytes of the form 10xxxxxx.
fn after_character(name: &[u8], at: usize) -> usize {
    let continued = name.iter().skip(at + 1).take_while(|byte| **byte & 0xc0 == 0x80).count();
    at + 1 + continued
}

/// Why a text is no pattern, if it is none.
pub(super) fn fault(pattern: &str) -> Option<String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Some(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    if pattern.contains("**") {
        return Some("`**` says no more than `*`".to_owned());
    }
    let bad =
        pattern.chars().find(|c| matches!(c, '[' | ']' | '{' | '}' | '\\' | '%' | '"') || c.is_control() || c.is_whitespace());
    bad.map(|c| format!("`{}` is not understood; only `*` and `?` are special", c.escape_default()))
}
