//! The import table as a test: rooms import downward only, the ground floor touches nothing outside, files stay small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each floor from the ground up; on a floor a room may import what stands to its left.
const FLOORS: [(&str, &[&str]); 4] = [
    ("ground", &["secret", "wire", "sql", "identity", "mask", "ledger", "policy", "flow", "tally"]),
    ("first", &["frontend", "backend", "idp", "approval", "store"]),
    ("second", &["session", "replay", "admin", "wallet"]),
    ("roof", &["config", "server", "cli", "main"]),
];

/// Lines of a file, tests not counted.
const FILE_LINES_MAX: usize = 600;

/// What a room of the ground floor may not name: the outside world.
const OUTSIDE: [&str; 17] = [
    "tokio",
    "std::net",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "rocksdb",
    "tracing",
    "log::",
    "SystemRandom",
    "println!",
];

/// The only file that may know the order of visits.
const RELAY: &str = "session/relay.rs";

struct Source {
    /// Below `src`, with forward slashes.
    path: String,
    room: String,
    /// Without comments, and up to the tests.
    code: Vec<String>,
    whole: String,
    tests: bool,
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    found.iter().map(|path| source(&root, path)).collect()
}

fn source(root: &Path, path: &Path) -> Source {
    let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    let room = relative.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
    let whole = std::fs::read_to_string(path).unwrap();
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let tests = stem == "tests" || stem.ends_with("_tests") || relative.contains("/tests/");
    let code = code_of(&whole);
    Source { path: relative, room, code, whole, tests }
}

/// The lines in front of an inline test module, without their comments.
fn code_of(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut after_cfg_test = false;
    for line in text.lines() {
        let bare = line.trim_start();
        if after_cfg_test && bare.starts_with("mod ") && bare.ends_with('{') {
            break;
        }
        after_cfg_test = bare.starts_with("#[cfg(test)]") || (after_cfg_test && bare.starts_with("#["));
        lines.push(if bare.starts_with("//") { String::new() } else { without_comment(line) });
    }
    lines
}

/// Cuts a `//` comment off, unless it stands inside a string (as in an address).
fn without_comment(line: &str) -> String {
    match line.find("// ") {
        Some(at) if line[..at].matches('"').count().is_multiple_of(2) => line[..at].to_owned(),
        _ => line.to_owned(),
    }
}

/// (floor, place on the floor) of every room.
fn places() -> BTreeMap<&'static str, (usize, usize)> {
    let mut places = BTreeMap::new();
    for (floor, (_, rooms)) in FLOORS.iter().enumerate() {
        for (place, room) in rooms.iter().enumerate() {
            places.insert(*room, (floor, place));
        }
    }
    places
}

/// The rooms a line names by `crate::room` or `crate::{room::.., other::..}`.
fn rooms_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for prefix in ["crate::", "pgveil::"] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                named.extend(members(group));
            } else {
                named.extend(first_word(rest));
            }
        }
    }
    named
}

/// The first word of each member of `{a::b, c::{d, e}}`, the opening brace taken off.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut named, mut member) = (0_usize, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                named.extend(first_word(member.trim()));
                member.clear();
                continue;
            }
            _ => {}
        }
        member.push(c);
    }
    named.extend(first_word(member.trim()));
    named
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn rooms_import_downward_only() {
    let places = places();
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| !s.tests && s.room != "lib" && s.room != "floors") {
        let Some(&(floor, place)) = places.get(source.room.as_str()) else {
            faults.push(format!("{}: `{}` stands on no floor", source.path, source.room));
            continue;
        };
        for named in rooms_named(&source.code.join("\n")) {
            match places.get(named.as_str()) {
                Some(&(f, p)) if named != source.room && (f > floor || (f == floor && p > place)) => {
                    faults.push(format!("{}: imports `{named}`, which stands above it or to its right", source.path));
                }
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_room_of_the_house_stands_on_a_floor() {
    let places = places();
    let unknown: Vec<_> = sources()
        .iter()
        .map(|s| s.room.clone())
        .filter(|r| r != "lib" && r != "floors" && !places.contains_key(r.as_str()))
        .collect();
    assert!(unknown.is_empty(), "no floor for {unknown:?}");
}

#[test]
fn the_ground_floor_names_nothing_outside() {
    let ground = FLOORS[0].1;
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| !s.tests && ground.contains(&s.room.as_str())) {
        for (number, line) in source.code.iter().enumerate() {
            for word in OUTSIDE {
                if names(line, word) {
                    faults.push(format!("src/{}:{}: `{word}` does not belong on the ground floor", source.path, number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Is `word` in the line as a path, not as the tail of a longer name (`catalog::` is not `log::`) or inside a string?
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = &line[..at];
        let head = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let quoted = before.matches('"').count() % 2 == 1;
        let tail = line[at + word.len()..].starts_with(|c: char| (c.is_alphanumeric() || c == '_') && !word.ends_with(':'));
        !head && !quoted && !tail
    })
}

#[test]
fn files_are_small_and_rooms_say_what_they_are() {
    let mut faults = Vec::new();
    for source in sources() {
        if !source.tests && source.code.len() > FILE_LINES_MAX {
            faults.push(format!("src/{}: {} lines, over {FILE_LINES_MAX}", source.path, source.code.len()));
        }
        if source.path.ends_with("/mod.rs") && !source.whole.starts_with("//!") {
            faults.push(format!("src/{}: does not begin with its purpose (`//!`)", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_session_brings_door_mask_and_store_together() {
    let way = ["frontend", "backend", "mask", "store"];
    for source in sources().iter().filter(|s| !s.tests && !matches!(s.room.as_str(), "lib" | "floors" | "session" | "server")) {
        let named = rooms_named(&source.code.join("\n"));
        let all = way.iter().all(|room| named.iter().any(|n| n == room));
        assert!(!all, "src/{} knows the way of a reply; only {RELAY} may", source.path);
    }
}

#[test]
fn the_reader_of_imports_reads_them() {
    assert_eq!(rooms_named("use crate::wire::Frame;"), ["wire"]);
    assert_eq!(rooms_named("use crate::{sql::{Facts, Verb}, mask::Veil,\n flow};"), ["sql", "mask", "flow"]);
    assert_eq!(rooms_named("let x = $crate::a; my_crate::b"), Vec::<String>::new());
    assert!(names("use log::info;", "log::") && !names("use crate::catalog::X;", "log::") && !names("\"log::\"", "log::"));
    assert_eq!(code_of("a\n// b\n#[cfg(test)]\nmod tests {\nc").len(), 3);
}
