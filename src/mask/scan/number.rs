//! Identifiers that are numbers: groups of digits with single signs between them.

use super::Class;
use super::check;
use super::find::{Found, announced};
use super::lexicon::Sense;
use super::page::Page;

/// Most groups of digits that are read as one number.
const GROUPS_MAX: usize = 10;
/// Most digits of one number.
const DIGITS_MAX: usize = 24;
/// Longest sign between groups, in bytes.
const JOINT_BYTES_MAX: usize = 3;
/// A number of so many digits without any announcement identifies something.
const LONG_DIGITS: usize = 11;
/// Digits of a telephone number, with its country code (E.164), and without.
const PHONE_DIGITS_MAX: usize = 15;
const PHONE_DIGITS_MIN: usize = 7;
/// Fewest digits of a single group that identify.
const ALONE_DIGITS_MIN: usize = 4;
/// Digits of a payment card (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Longest extension, in digits.
const EXTENSION_DIGITS_MAX: usize = 6;

/// Groups of digits that follow each other.
pub(super) struct Number<'p> {
    page: &'p Page<'p>,
    first: usize,
    digits: Vec<u8>,
    /// Digits of each group.
    lengths: Vec<usize>,
    /// What stands behind each group but the last.
    joints: Vec<u8>,
}

impl<'p> Number<'p> {
    /// Reads the groups from the token `first` on, which is a number.
    pub(super) fn read(page: &'p Page<'p>, first: usize) -> Self {
        let mut number = Self {
            page,
            first,
            digits: Vec::with_capacity(DIGITS_MAX),
            lengths: Vec::with_capacity(4),
            joints: Vec::with_capacity(4),
        };
        for index in first..first + GROUPS_MAX {
            let group = page.word(index);
            number.digits.extend(group.iter().take(DIGITS_MAX).map(|byte| byte - b'0'));
            number.lengths.push(group.len());
            let next = page.token(index + 1).is_number() && number.digits.len() < DIGITS_MAX;
            match page.gap(index).and_then(joint).filter(|_| next) {
                Some(sign) => number.joints.push(sign),
                None => break,
            }
        }
        number
    }

    fn has(&self, form: &[usize]) -> bool {
        self.lengths.starts_with(form)
    }

    /// True if the number has these groups and no other.
    fn is(&self, form: &[usize]) -> bool {
        self.lengths == form
    }

    fn first_digit(&self) -> u8 {
        self.digits.first().copied().unwrap_or_default()
    }

    fn first_length(&self) -> usize {
        self.lengths.first().copied().unwrap_or_default()
    }

    fn joint(&self, index: usize) -> u8 {
        self.joints.get(index).copied().unwrap_or_default()
    }

    /// The first groups as something found.
    fn found(&self, class: Class, groups: usize) -> Found {
        let last = self.page.token(self.first + groups.max(1) - 1);
        Found::new(class, self.page.token(self.first).start, last.end)
    }

    /// How many groups have exactly so many digits together.
    fn groups_of(&self, digits: usize) -> Option<usize> {
        let mut sum = 0;
        let count = self.lengths.iter().take_while(|length| {
            sum += **length;
            sum <= digits
        });
        let count = count.count();
        let exact: usize = self.lengths.iter().take(count).sum();
        (exact == digits).then_some(count)
    }

    fn starts_with_luhn(&self, digits: usize) -> bool {
        self.digits.get(..digits).is_some_and(|digits| check::luhn(digits.iter().copied()))
    }
}

/// What stands between two groups of one number, as one sign.
fn joint(gap: &[u8]) -> Option<u8> {
    if gap.is_empty() || gap.len() > JOINT_BYTES_MAX {
        return None;
    }
    let mut signs = gap.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'(');
    match (signs.next(), signs.next()) {
        (None, _) => (!gap.contains(&b'\n')).then_some(b' '),
        (Some(b')'), _) => Some(b')'),
        (Some(b'-' | b'_'), None | Some(b'-')) => Some(b'-'),
        (Some(sign @ (b'.' | b'/')), None) if gap.len() == 1 => Some(sign),
        _ => None,
    }
}

/// The identifier that begins with this number.
pub(super) fn find(page: &Page<'_>, index: usize) -> Option<Found> {
    if let Some(found) = broken(page, index) {
        return Some(found);
    }
    let alone = page.gap(index).and_then(joint).is_none() || !page.token(index + 1).is_number();
    if alone && page.token(index).len() < ALONE_DIGITS_MIN {
        return None;
    }
    let number = Number::read(page, index);
    let announced = announced(page, index);
    ip(&number)
        .or_else(|| social(&number, announced))
        .or_else(|| card(&number, announced))
        .or_else(|| international(&number))
        .or_else(|| provider(&number, announced))
        .or_else(|| phone(&number, announced))
        .or_else(|| zip(&number, announced))
        .or_else(|| bracketed(&number))
        .or_else(|| long(&number, announced))
}

/// A social security number that goes on in the next line, among no other numbers.
fn broken(page: &Page<'_>, index: usize) -> Option<Found> {
    if page.token(index).len() != 3 || page.token(index + 1).len() != 2 || page.token(index + 2).len() != 4 {
        return None;
    }
    let joins = |gap: Option<&[u8]>| {
        gap.is_some_and(|gap| (1..=4).contains(&gap.len()) && gap.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'-'))
    };
    let lines = |gap: Option<&[u8]>| gap.is_some_and(|gap| gap.contains(&b'\n'));
    let within = (index..index + 2).all(|at| page.token(at + 1).is_number() && joins(page.gap(at)));
    let listed = page.before(index).is_number() && joins(page.gap_before(index))
        || page.token(index + 3).is_number() && joins(page.gap(index + 2));
    let fits = within && !listed && (index..index + 2).any(|at| lines(page.gap(at)));
    fits.then(|| Found::new(Class::Ssn, page.token(index).start, page.token(index + 2).end))
}

fn ip(number: &Number<'_>) -> Option<Found> {
    let dotted = number.joints.get(..3)? == b"...";
    let small = |index: usize| {
        let octet = std::str::from_utf8(number.page.word(number.first + index)).ok();
        octet.and_then(|octet| octet.parse::<u16>().ok()).is_some_and(|octet| octet < 256)
    };
    let before = number.page.before(number.first);
    let earlier = number.first.checked_sub(2).map_or_else(Default::default, |index| number.page.token(index));
    let program = before.sense.is(Sense::PROGRAM) || earlier.sense.is(Sense::PROGRAM) && before.is_word();
    let program = program && number.page.word(number.first).len() < 3;
    (dotted && !program && number.joint(3) != b'.' && (0..4).all(small)).then(|| number.found(Class::Ip, 4))
}

fn social(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    let told = announced == Some(Class::Ssn);
    if number.has(&[3, 2, 4]) {
        return Some(number.found(Class::Ssn, 3));
    }
    if told && let Some(groups) = number.groups_of(9) {
        return Some(number.found(Class::Ssn, groups));
    }
    // Nine single digits, or the end of a number of which the rest is hidden.
    let spaced = number.lengths.get(..9).is_some_and(|lengths| lengths.iter().all(|length| *length == 1));
    if spaced {
        return number.groups_of(9).map(|groups| number.found(Class::Ssn, groups));
    }
    let start = number.page.token(number.first).start;
    let front = number.page.bytes(start.saturating_sub(2)..start);
    let hidden = front.starts_with(b"*") && (front.ends_with(b"-") || front.ends_with(b"*"));
    let tail = told || hidden || number.page.before(number.first).is_word() && is_crossed_out(number);
    if tail && number.first_length() == 4 {
        return Some(number.found(Class::Ssn, 1));
    }
    let alone = number.first_length() == 9 && !matches!(announced, Some(class) if class != Class::Ssn);
    alone.then(|| number.found(Class::Ssn, 1))
}

/// `xxx-xx-1234`.
fn is_crossed_out(number: &Number<'_>) -> bool {
    let Some(before) = number.first.checked_sub(1) else { return false };
    let word = number.page.word(before);
    word.len() > 1
        && word.iter().all(|byte| byte.eq_ignore_ascii_case(&b'x'))
        && number.page.gap(before).is_some_and(|gap| gap.len() < 2)
}

fn card(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    let grouped = number.has(&[4, 4, 4, 4]) || number.has(&[4, 6, 5]);
    for digits in CARD_DIGITS.rev() {
        let Some(groups) = number.groups_of(digits).filter(|groups| *groups <= 5 || grouped) else { continue };
        let plain = number.joints.iter().take(groups.saturating_sub(1)).all(|joint| matches!(joint, b' ' | b'-' | b'.'));
        if plain && (number.starts_with_luhn(digits) || announced == Some(Class::Card)) {
            return Some(number.found(Class::Card, groups));
        }
    }
    let tail = announced == Some(Class::Card) && number.first_length() == 4 && number.lengths.len() == 1;
    match (grouped, tail) {
        (true, _) if number.has(&[4, 4, 4, 4]) => Some(number.found(Class::Card, 4)),
        (_, true) => Some(number.found(Class::Card, 1)),
        _ => None,
    }
}

/// `+49 30 1234567`, `0044 20 7946 0958`.
fn international(number: &Number<'_>) -> Option<Found> {
    let start = number.page.token(number.first).start;
    let plus = number.page.byte_before(start) == b'+'
        || number.page.byte_before(start) == b'(' && number.page.byte(start.wrapping_sub(2)) == b'+';
    let zeros = number.digits.starts_with(&[0, 0]) && number.lengths.len() > 1;
    let dialled = number.first_length() == 3 && number.digits.starts_with(&[0, 1, 1]) && number.lengths.len() > 2;
    let pairs = number.first_digit() == 0 && number.is(&[2, 2, 2, 2, 2]);
    if !plus && !zeros && !dialled && !pairs || number.page.before(number.first).sense.is(Sense::HARMLESS) {
        return None;
    }
    let mut sum = 0;
    let fits = number.lengths.iter().take_while(|length| {
        sum += **length;
        sum <= PHONE_DIGITS_MAX + 2
    });
    let groups = fits.count();
    let digits: usize = number.lengths.iter().take(groups).sum();
    (digits > PHONE_DIGITS_MIN).then(|| extended(number, number.found(Class::Phone, groups)))
}

fn provider(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    let told = announced == Some(Class::Npi) && number.first_length() >= 5;
    let checked = number.first_length() == 10 && number.digits.get(..10).is_some_and(check::npi);
    let other = announced.is_some_and(|class| class != Class::Npi && class != Class::License);
    (told || checked && !other).then(|| number.found(Class::Npi, 1))
}

fn phone(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    if number.page.before(number.first).sense.is(Sense::HARMLESS) {
        return None;
    }
    let told = announced.filter(|class| matches!(class, Class::Phone | Class::Fax));
    let class = told.unwrap_or(Class::Phone);
    let area = |at: usize| number.digits.get(at).is_some_and(|digit| *digit > 1);
    let one = number.first_digit() == 1;
    let groups = match () {
        () if one && number.has(&[1, 3, 3, 4]) => 4,
        () if one && (number.has(&[1, 3, 7]) || number.has(&[4, 3, 4])) => 3,
        () if number.has(&[3, 3, 4]) => 3,
        () if number.has(&[3, 7]) || one && number.has(&[1, 10]) => 2,
        () if number.has(&[6, 4]) && number.joint(0) == b'-' => 2,
        () if number.is(&[3, 4]) && local(number, told.is_some()) => 2,
        () if number.first_length() == 10 && (told.is_some() || announced.is_none() && area(0) && area(3)) => 1,
        () if number.first_length() == 11 && one && (told.is_some() || announced.is_none() && area(1) && area(4)) => 1,
        () if told.is_some() => told_groups(number)?,
        () => return None,
    };
    let area_apart = number.has(&[3, 3, 4]) && number.joint(0) == b'/' && number.joint(1) != b'/';
    let dates = number.joints.iter().take(groups - 1).any(|joint| *joint == b'/') && !area_apart;
    (!dates || told.is_some()).then(|| extended(number, number.found(class, groups)))
}

/// `555-0123`.
fn local(number: &Number<'_>, told: bool) -> bool {
    let next = number.page.token(number.first + 2);
    let measured = next.sense.is(Sense::UNIT);
    let after = number.page.byte(number.page.token(number.first + 1).end);
    told || number.first_digit() > 1 && number.joint(0) == b'-' && !measured && !matches!(after, b'%' | b'/')
}

/// As many groups behind a word like `phone` as a telephone number may have.
fn told_groups(number: &Number<'_>) -> Option<usize> {
    let mut digits = 0;
    let mut groups = 0;
    for (index, length) in number.lengths.iter().enumerate() {
        let joined = index == 0 || number.joint(index - 1) != b'/';
        if !joined || digits + length > PHONE_DIGITS_MAX || digits >= 10 {
            break;
        }
        digits += length;
        groups = index + 1;
    }
    let short = groups == 1 && number.page.token(number.first + 1).sense.is(Sense::UNIT);
    (digits >= PHONE_DIGITS_MIN && !short).then_some(groups)
}

/// With the sign in front and the extension behind.
fn extended(number: &Number<'_>, found: Found) -> Found {
    let page = number.page;
    let mut found = found;
    while matches!(page.byte_before(found.start), b'+' | b'(') {
        found.start -= 1;
    }
    let Some(last) = page.tokens.iter().skip(number.first).take(GROUPS_MAX).position(|token| token.end == found.end) else {
        return found;
    };
    let mark = number.first + last + 1;
    let near = |gap: Option<&[u8]>| gap.is_some_and(|gap| gap.len() <= 3 && !gap.contains(&b'\n'));
    let word = [b"x".as_slice(), b"ext", b"extn", b"extension"].iter().any(|word| page.is(mark, word));
    let digits = page.token(mark + 1);
    if word && digits.is_number() && digits.len() <= EXTENSION_DIGITS_MAX && near(page.gap(mark - 1)) && near(page.gap(mark)) {
        found.end = digits.end;
    }
    let digits = page.token(mark);
    if digits.is_number()
        && digits.len() <= EXTENSION_DIGITS_MAX
        && page.gap(mark - 1).is_some_and(|gap| gap.ends_with(b"#") && gap.len() < 4)
    {
        found.end = digits.end;
    }
    found
}

fn zip(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    let page = number.page;
    let before = page.before(number.first);
    let upper = number.first.checked_sub(1).is_some_and(|before| page.is_upper(before));
    let state = before.sense.is(Sense::STATE) && upper;
    let near = page.gap_before(number.first).is_some_and(|gap| matches!(gap, b" " | b", " | b"  " | b". " | b"-"));
    let long = number.has(&[5, 4]) && number.joint(0) == b'-';
    let told = announced == Some(Class::Zip) || state && near;
    match (long, told && number.first_length() == 5) {
        (true, _) => Some(number.found(Class::Zip, 2)),
        (_, true) => Some(number.found(Class::Zip, 1)),
        _ => None,
    }
}

/// `Jane Roe (12345678, ..)`.
fn bracketed(number: &Number<'_>) -> Option<Found> {
    let page = number.page;
    let before = number.first.checked_sub(1)?;
    let fits = (7..=8).contains(&number.first_length()) && number.lengths.len() == 1;
    let named = page.gap(before) == Some(b" (") && page.token(before).is_word() && page.is_capital(before);
    (fits && named && matches!(page.byte(page.token(number.first).end), b',' | b')')).then(|| number.found(Class::Mrn, 1))
}

/// A number so long that it identifies something, whatever it is.
fn long(number: &Number<'_>, announced: Option<Class>) -> Option<Found> {
    let class = announced.filter(|class| !matches!(class, Class::Date | Class::Age)).unwrap_or(Class::Account);
    let plain = number.first_length() >= 9 && announced.is_none() || number.first_length() >= LONG_DIGITS;
    plain.then(|| number.found(class, 1))
}
