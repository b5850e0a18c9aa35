//! Check digits.

/// What is put in front of an NPI before its check digit is reckoned (45 CFR 162.406).
const NPI_PREFIX: [u8; 5] = [8, 0, 8, 4, 0];
/// Weights of the places of a vehicle identification number (49 CFR 565.15).
const VIN_WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
/// What the letters from A to Z count for in it; I, O and Q do not occur.
const VIN_LETTERS: [u32; 26] = [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 0, 7, 0, 9, 2, 3, 4, 5, 6, 7, 8, 9];

/// The formula of Luhn (ISO/IEC 7812-1, annex B).
pub(super) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let digit = u32::from(digit);
            if index % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Ten digits that are a national provider identifier.
pub(super) fn npi(digits: &[u8]) -> bool {
    digits.len() == 10 && matches!(digits.first(), Some(1 | 2)) && luhn(NPI_PREFIX.iter().chain(digits).copied())
}

/// Two letters and seven digits that are a DEA number.
pub(super) fn dea(code: &[u8]) -> bool {
    let &[first, second, a, b, c, d, e, f, check] = code else { return false };
    let digits = [a, b, c, d, e, f, check];
    if !first.is_ascii_alphabetic() || !(second.is_ascii_alphabetic() || second == b'9') || !digits.iter().all(u8::is_ascii_digit)
    {
        return false;
    }
    let [a, b, c, d, e, f, check] = digits.map(|digit| u32::from(digit - b'0'));
    (a + c + e + 2 * (b + d + f)) % 10 == check
}

/// Seventeen letters and digits that are a vehicle identification number.
pub(super) fn vin(code: &[u8]) -> bool {
    if code.len() != VIN_WEIGHTS.len() {
        return false;
    }
    let value = |byte: u8| match byte.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => Some(u32::from(digit - b'0')),
        letter @ b'A'..=b'Z' => VIN_LETTERS.get(usize::from(letter - b'A')).copied().filter(|value| *value > 0),
        _ => None,
    };
    let sum = code.iter().zip(VIN_WEIGHTS).try_fold(0, |sum, (byte, weight)| Some(sum + value(*byte)? * weight));
    let check = code.get(8).map(u8::to_ascii_uppercase);
    sum.is_some_and(|sum| match sum % 11 {
        10 => check == Some(b'X'),
        rest => check.is_some_and(|check| u32::from(check) == u32::from(b'0') + rest),
    })
}
