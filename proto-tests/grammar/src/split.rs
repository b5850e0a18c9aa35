//! Cuts psql's scripts into statements, and makes other texts of them.

/// The statements of a script: without psql's commands and the data of COPY.
pub(crate) fn statements(script: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut lines = script.lines();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with('\\') {
            continue;
        }
        text += line;
        text.push('\n');
        for statement in cut(&mut text) {
            let data = statement.to_lowercase();
            let copies = data.trim_start().starts_with("copy") && data.contains("from stdin");
            out.push(statement);
            if copies {
                lines.by_ref().take_while(|line| line.trim_end() != "\\.").for_each(drop);
            }
        }
    }
    out
}

/// Takes whole statements off the front of the text.
fn cut(text: &mut String) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(end) = end(text) {
        let rest = text.split_off(end);
        let statement = std::mem::replace(text, rest);
        let statement = statement.trim().trim_end_matches(';').to_owned();
        if !statement.is_empty() {
            out.push(statement);
        }
    }
    out
}

/// Behind the first semicolon that ends a statement.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        match byte {
            b'\'' | b'"' => {
                let escapes = *byte == b'\'' && at > 0 && matches!(bytes.get(at - 1), Some(b'e' | b'E'));
                at += 1;
                while bytes.get(at).is_some_and(|b| b != byte) {
                    at += if escapes && bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
                }
                bytes.get(at)?;
            }
            b'-' if rest.starts_with("--") => at += rest.find('\n')?,
            b'/' if rest.starts_with("/*") => at += rest.find("*/")? + 1,
            b'$' => {
                let tag_end = rest.get(1..)?.find(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |n| n + 1);
                if bytes.get(at + tag_end) == Some(&b'$') && tag_end > 0 && !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
                    let tag = rest.get(..=tag_end)?;
                    let body = rest.get(tag.len()..)?;
                    at += tag.len() + body.find(tag)? + tag.len() - 1;
                }
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            b';' if depth <= 0 => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text with a few words dropped, doubled or swapped.
pub(crate) fn mutant(text: &str, seed: u64) -> String {
    let mut words: Vec<&str> = text.split_inclusive(|c: char| c.is_whitespace() || "(),;=.".contains(c)).collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % bound.max(1)
    };
    for _ in 0..=below(2) {
        if words.len() < 2 {
            break;
        }
        let (a, b) = (below(words.len()), below(words.len()));
        match below(3) {
            0 => drop(words.remove(a)),
            1 => words.insert(a, words[b]),
            _ => words.swap(a, b),
        }
    }
    words.concat()
}
