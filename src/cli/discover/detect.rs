//! What a value looks like.

use std::net::IpAddr;

/// Most tokens of a value that are looked at.
const TOKENS_MAX: usize = 400;

/// A shape of values that identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Shape {
    Ssn,
    Email,
    Phone,
    Url,
    Ip,
    Card,
    Npi,
    Zip,
    Date,
}

impl Shape {
    /// What it is, with its article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ssn => "a social security number",
            Self::Email => "an e-mail address",
            Self::Phone => "a telephone number",
            Self::Url => "a web address",
            Self::Ip => "an IP address",
            Self::Card => "a payment card number with a right check digit",
            Self::Npi => "a provider number (NPI) with a right check digit",
            Self::Zip => "a ZIP code",
            Self::Date => "a date",
        }
    }
}

/// The shapes that a value has as a whole.
pub(super) fn whole(value: &str) -> Vec<Shape> {
    let value = value.trim();
    let tests: [(Shape, fn(&str) -> bool); 9] = [
        (Shape::Ssn, is_ssn),
        (Shape::Email, is_email),
        (Shape::Phone, is_phone),
        (Shape::Url, is_url),
        (Shape::Ip, is_ip),
        (Shape::Card, is_card),
        (Shape::Npi, is_npi),
        (Shape::Zip, is_zip),
        (Shape::Date, is_date),
    ];
    tests.iter().filter(|(_, test)| test(value)).map(|(shape, _)| *shape).collect()
}

/// The shapes that stand somewhere in a value of several words, or in a document.
pub(super) fn within(value: &str) -> Vec<Shape> {
    let cut = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>' | '{' | '}' | '[' | ']' | '=' | '|');
    let tokens = value.split(cut).map(|token| token.trim_matches(['.', ':', '(', ')', '!', '?'])).filter(|token| token.len() > 4);
    let mut found: Vec<Shape> = Vec::new();
    for token in tokens.take(TOKENS_MAX).filter(|token| token.len() < value.len()) {
        let shapes = whole(token).into_iter().filter(|shape| !matches!(shape, Shape::Zip | Shape::Npi));
        for shape in shapes {
            if !found.contains(&shape) {
                found.push(shape);
            }
        }
    }
    found
}

/// Lengths of the runs of digits, if there is nothing but digits and these signs.
fn runs(value: &str, signs: &[char]) -> Option<Vec<usize>> {
    if !value.chars().all(|c| c.is_ascii_digit() || signs.contains(&c)) {
        return None;
    }
    Some(value.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).map(str::len).collect())
}

fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn is_ssn(value: &str) -> bool {
    runs(value, &['-']).is_some_and(|runs| runs == [3, 2, 4])
}

fn is_email(value: &str) -> bool {
    let Some((name, domain)) = value.split_once('@') else { return false };
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._%+-".contains(c));
    plain(name) && plain(domain) && domain.trim_matches('.').contains('.')
}

fn is_phone(value: &str) -> bool {
    let Some(runs) = runs(value, &['(', ')', '-', '.', ' ', '+', '/']) else { return false };
    let total: usize = runs.iter().sum();
    let grouped = runs.len() > 1 && runs.last() == Some(&4);
    (grouped || value.starts_with('+')) && (10..=15).contains(&total) || runs == [3, 4] && value.contains('-')
}

fn is_url(value: &str) -> bool {
    let lower = value.get(..8).unwrap_or(value).to_ascii_lowercase();
    (lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("ftp://")) && !value.contains(' ')
}

fn is_ip(value: &str) -> bool {
    value.len() >= 7 && value.split('/').next().unwrap_or_default().parse::<IpAddr>().is_ok()
}

fn is_card(value: &str) -> bool {
    runs(value, &['-', ' ']).is_some_and(|runs| (13..=19).contains(&runs.iter().sum::<usize>())) && luhn(&digits(value))
}

/// Ten digits that fit their check digit behind the issuer's prefix 80840.
fn is_npi(value: &str) -> bool {
    let digits = digits(value);
    let prefixed = [8, 0, 8, 4, 0].into_iter().chain(digits.iter().copied()).collect::<Vec<_>>();
    value.len() == 10 && digits.len() == 10 && matches!(digits.first(), Some(1 | 2)) && luhn(&prefixed)
}

fn luhn(digits: &[u32]) -> bool {
    let double = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, digit)| if i % 2 == 1 { double(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

fn is_zip(value: &str) -> bool {
    runs(value, &['-']).is_some_and(|runs| runs == [5] || runs == [5, 4])
}

fn is_date(value: &str) -> bool {
    let Some(day) = value.get(..10) else { return false };
    let rest = value.get(10..).unwrap_or_default();
    let sorted = runs(day, &['-']).is_some_and(|runs| runs == [4, 2, 2]);
    let spoken = runs(day, &['/']).is_some_and(|runs| runs == [2, 2, 4]);
    (sorted || spoken) && (rest.is_empty() || rest.starts_with([' ', 'T']))
}
