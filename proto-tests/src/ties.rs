//! What windows leave open: which of equal rows comes first, and which partition. The server takes what its sort happens to give.

use std::fmt::Write as _;

/// Window functions of which each order of equal rows is a right answer.
const OPEN: [&str; 5] = ["row_number", "ntile", "lag", "lead", "first_value"];
/// What ends an ORDER BY within a window.
const FRAMES: [&str; 3] = [" rows ", " range ", " groups "];

/// The same statement with the ties of its windows broken by chance; `None` if it has no such window.
#[must_use]
pub fn broken(sql: &str) -> Option<String> {
    let mut out = String::with_capacity(sql.len() + 32);
    let mut rest = 0;
    for (at, over) in sql.match_indices(" over (") {
        let open = at + over.len();
        let Some(end) = closing(sql, open) else { continue };
        let inside = &sql[open..end];
        let framed = FRAMES.iter().any(|frame| inside.contains(frame));
        if framed || !OPEN.contains(&called(&sql[..at])) {
            continue;
        }
        out.push_str(&sql[rest..end]);
        out.push_str(if order_of(inside).is_some() { ", random()" } else { " order by random()" });
        rest = end;
    }
    out.push_str(&sql[rest..]);
    (rest > 0).then_some(out)
}

/// The same statement with the partitions of its windows in another order, which `salt` says; `None` if it has none.
#[must_use]
pub fn repartitioned(sql: &str, salt: usize) -> Option<String> {
    const PARTITION: &str = " over (partition by ";
    let mut out = String::with_capacity(sql.len() + 32);
    let mut rest = 0;
    for (at, over) in sql.match_indices(PARTITION) {
        let open = at + over.len();
        let Some(end) = closing(sql, open) else { continue };
        let keys = order_of(&sql[open..end]).map_or(end, |order| open + order);
        let _ = write!(out, "{}md5('{salt}' || row({})::text) ", &sql[rest..open], sql[open..keys].trim_end());
        rest = keys;
    }
    out.push_str(&sql[rest..]);
    (rest > 0).then_some(out)
}

/// The place of the parenthesis that closes what is open at a place.
fn closing(sql: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quoted = false;
    for (at, byte) in sql.bytes().enumerate().skip(from) {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth == 0 => return Some(at),
            b')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where a window's own text orders its rows.
fn order_of(window: &str) -> Option<usize> {
    let mut depth = 0_usize;
    window.bytes().enumerate().position(|(at, byte)| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && window.as_bytes()[at..].starts_with(b"order by ")
    })
}

/// The function whose call a text ends with.
fn called(before: &str) -> &str {
    let bytes = before.as_bytes();
    let mut depth = 0_usize;
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            b')' => depth += 1,
            b'(' if depth == 1 => {
                let name = &before[..at];
                let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
                return &name[start..];
            }
            b'(' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{broken, repartitioned};

    #[test]
    fn partitions_are_the_same_in_another_order() {
        let sql = "select lag(x) over (partition by y, f(z) order by w), count(*) over (partition by v) from t";
        let other = "select lag(x) over (partition by md5('3' || row(y, f(z))::text) order by w), \
            count(*) over (partition by md5('3' || row(v)::text) ) from t";
        assert_eq!(repartitioned(sql, 3).as_deref(), Some(other));
        assert_eq!(repartitioned("select count(x) over (order by y) from t", 3), None);
    }

    #[test]
    fn only_where_ties_are_open() {
        for (sql, expected) in [
            (
                "select lag(x) over (partition by y order by f(z, ')')) from t",
                "select lag(x) over (partition by y order by f(z, ')'), random()) from t",
            ),
            (
                "select row_number() over (partition by (select 1 order by 1)) from t",
                "select row_number() over (partition by (select 1 order by 1) order by random()) from t",
            ),
            (
                "select count(x) over (order by y), ntile(2) over (order by y)",
                "select count(x) over (order by y), ntile(2) over (order by y, random())",
            ),
        ] {
            assert_eq!(broken(sql).as_deref(), Some(expected));
        }
        for sql in [
            "select 1",
            "select count(x) over (order by y)",
            "select first_value(x) over (order by y rows 3 preceding)",
            "select lag(x) over (",
        ] {
            assert_eq!(broken(sql), None, "{sql}");
        }
    }
}
