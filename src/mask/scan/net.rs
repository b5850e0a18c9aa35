//! Addresses of the net: mail, web, internet protocol, hardware.

use super::Class;
use super::find::Found;
use super::page::{Page, is_word};

/// Longest part of an address that is looked at, in bytes (RFC 5321, RFC 3986 gives no bound).
const LOCAL_BYTES_MAX: usize = 254;
const URL_BYTES_MAX: usize = 8192;
/// Groups of an address of the protocol's sixth version, and of a hardware address.
const GROUPS_SIX: usize = 8;
const GROUPS_HARDWARE: usize = 6;

/// The address around an `@` or a `:`.
pub(super) fn around(page: &Page<'_>, mark: usize) -> Option<Found> {
    if page.byte(mark) == b'@' {
        return email(page, mark);
    }
    if page.bytes(mark + 1..mark + 3) == b"//" {
        return url(page, mark);
    }
    // A run of groups is looked at once, from its first sign.
    let group = (1..=4).take_while(|back| page.byte(mark.wrapping_sub(*back)).is_ascii_hexdigit()).count();
    if page.byte(mark.wrapping_sub(group + 1)) == b':' {
        return None;
    }
    let hexadecimal = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let next = page.byte(mark + 1);
    if hexadecimal(next) && (mark == 0 || !hexadecimal(page.byte(mark - 1)) && next == b':' || hexadecimal(page.byte(mark - 1))) {
        return hexadecimals(page, mark);
    }
    None
}

/// How far bytes of a kind reach to the left.
fn left(page: &Page<'_>, from: usize, most: usize, fits: impl Fn(u8) -> bool) -> usize {
    let least = from.saturating_sub(most);
    (least..from).rev().take_while(|at| fits(page.byte(*at))).last().unwrap_or(from)
}

/// How far bytes of a kind reach to the right.
fn right(page: &Page<'_>, from: usize, most: usize, fits: impl Fn(u8) -> bool) -> usize {
    (from..page.text.len().min(from + most)).find(|at| !fits(page.byte(*at))).unwrap_or(page.text.len().min(from + most))
}

fn email(page: &Page<'_>, mark: usize) -> Option<Found> {
    let local = |byte: u8| is_word(byte) || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let domain = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-' | b'[');
    let blank = |byte: u8| byte == b' ';
    // One blank on each side is an attempt to hide it.
    let apart = blank(page.byte_before(mark)) && blank(page.byte(mark + 1));
    let (before, behind) = if apart { (mark - 1, mark + 2) } else { (mark, mark + 1) };
    let mut start = left(page, before, LOCAL_BYTES_MAX, local);
    while start < before && !is_word(page.byte(start)) {
        start += 1;
    }
    let mut end = right(page, behind, LOCAL_BYTES_MAX, domain);
    while end > behind && !is_word(page.byte(end - 1)) {
        end -= 1;
    }
    let host = page.bytes(behind..end);
    let dotted = host.contains(&b'.');
    let fits = start < before && host.len() > 1 && host.iter().any(u8::is_ascii_alphabetic) && (dotted || !apart);
    fits.then(|| Found::new(Class::Email, start, end))
}

fn in_url(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'<' | b'>' | b'"' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^')
}

/// Without the punctuation of the sentence behind it.
fn trimmed(page: &Page<'_>, start: usize, mut end: usize) -> usize {
    while end > start && matches!(page.byte(end - 1), b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'\'') {
        end -= 1;
    }
    end
}

fn url(page: &Page<'_>, mark: usize) -> Option<Found> {
    let start = left(page, mark, 16, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'));
    if start == mark {
        return None;
    }
    let end = trimmed(page, mark, right(page, mark, URL_BYTES_MAX, in_url));
    (end > mark + 3).then(|| Found::new(Class::Url, start, end))
}

/// A host without `http://`, seen from its last label: `portal.clinic.org/p/1`.
pub(super) fn bare(page: &Page<'_>, index: usize) -> Option<Found> {
    let label = page.token(index);
    let next = page.byte(label.end);
    let ended = !is_word(next) && next != b'-' && !(next == b'.' && is_word(page.byte(label.end + 1)));
    if page.byte_before(label.start) != b'.' || !is_word(page.byte_before(label.start - 1)) || !ended {
        return None;
    }
    let start = left(page, label.start, LOCAL_BYTES_MAX, |byte| is_word(byte) || matches!(byte, b'.' | b'-' | b'_'));
    let path = matches!(next, b'/' | b':' | b'?' | b'#') && in_url(page.byte(label.end + 1));
    let end = if path { trimmed(page, label.end, right(page, label.end, URL_BYTES_MAX, in_url)) } else { label.end };
    Some(Found::new(Class::Url, start, end))
}

/// `www.clinic.co.uk/p/1`, seen from `www`.
pub(super) fn www(page: &Page<'_>, index: usize) -> Option<Found> {
    let first = page.token(index);
    if page.byte(first.end) != b'.' || is_word(page.byte_before(first.start)) {
        return None;
    }
    let end = trimmed(page, first.end, right(page, first.end, URL_BYTES_MAX, in_url));
    (end > first.end + 2).then(|| Found::new(Class::Url, first.start, end))
}

/// `2001:db8::1`, `00:1a:2b:3c:4d:5e`.
fn hexadecimals(page: &Page<'_>, mark: usize) -> Option<Found> {
    let fits = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let start = left(page, mark, LOCAL_BYTES_MAX, fits);
    let end = right(page, mark, LOCAL_BYTES_MAX, fits);
    let text = page.bytes(start..end);
    let text = text.strip_suffix(b":").filter(|rest| !rest.ends_with(b":")).unwrap_or(text);
    let groups = || text.split(|byte| *byte == b':');
    let short = text.windows(2).any(|pair| pair == b"::");
    let digits = groups().map(<[u8]>::len).sum::<usize>();
    let count = groups().count();
    let whole = !is_word(page.byte_before(start)) && !is_word(page.byte(start + text.len()));
    let class = match () {
        () if !whole => return None,
        () if count == GROUPS_HARDWARE && groups().all(|group| group.len() == 2) => Class::Device,
        () if groups().any(|group| group.len() > 4) => return None,
        () if short && digits > 0 && count <= GROUPS_SIX + 1 => Class::Ip,
        () if count == GROUPS_SIX => Class::Ip,
        () => return None,
    };
    Some(Found::new(class, start, start + text.len()))
}
