//! What client and server say to each other through pgveil is what they say without it, message by message, for somebody with
//! nothing masked or held. `exceptions.toml` names the scenarios that differ, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proto_tests::Stand;
use proto_tests::scenarios;
use proto_tests::stand::root;
use proto_tests::transcript::{Scenario, Target, play};

#[derive(serde::Deserialize)]
struct Exceptions {
    exception: Vec<Exception>,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "what and why are for people")]
struct Exception {
    what: String,
    why: String,
    /// The scenarios that come out otherwise.
    #[serde(default)]
    scenarios: Vec<String>,
    /// The fields of errors in which alone they do; none: they may in anything.
    #[serde(default)]
    fields: String,
}

/// The scenarios that come out otherwise, by the book, and the fields of errors in which they do.
fn excepted() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("proto-tests/exceptions.toml")).unwrap();
    let book: Exceptions = toml::from_str(&text).unwrap();
    let named = |exception: Exception| exception.scenarios.into_iter().map(move |name| (name, exception.fields.clone()));
    book.exception.into_iter().flat_map(named).collect()
}

/// A line of a transcript without these fields of errors.
fn without(line: &str, fields: &str) -> String {
    if !line.starts_with("E ") {
        return line.to_owned();
    }
    line.split(" | ").filter(|field| !field.starts_with(|letter| fields.contains(letter))).collect::<Vec<_>>().join(" | ")
}

/// The transcript; what breaks a scenario off is its last line.
fn transcript(scenario: &Scenario, target: &Target, direct: &Target) -> Vec<String> {
    std::panic::catch_unwind(|| play(scenario, target, direct)).unwrap_or_else(|fault| {
        let told = fault.downcast_ref::<String>().cloned();
        vec![told.or_else(|| fault.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()]
    })
}

/// The first message that is another, leaving these fields of errors out.
fn differs(name: &str, expected: &[String], found: &[String], fields: &str) -> Option<String> {
    let line = |all: &[String], at: usize| all.get(at).map_or_else(|| "(nothing)".to_owned(), |line| without(line, fields));
    let first = (0..expected.len().max(found.len())).find(|at| line(expected, *at) != line(found, *at))?;
    Some(format!("{name}, message {first}:\n  direct   {}\n  through  {}", line(expected, first), line(found, first)))
}

/// `all`: every exception shows here.
fn compare(direct: &Target, proxied: &Target, all: bool) {
    let only = std::env::var("PGVEIL_SCENARIOS").unwrap_or_default();
    let chosen = |scenario: &Scenario| only.is_empty() || only.split(',').any(|name| name == scenario.0);
    let excepted = excepted();
    let (mut faults, mut played) = (Vec::new(), 0);
    for scenario in scenarios::all().iter().filter(|scenario| chosen(scenario)) {
        played += 1;
        let (expected, found) = (transcript(scenario, direct, direct), transcript(scenario, proxied, direct));
        let exception = excepted.get(scenario.0);
        let whole = differs(scenario.0, &expected, &found, "");
        match (whole, exception) {
            (None, None) => {}
            (None, Some(_)) if !all => {}
            (None, Some(_)) => faults.push(format!("{} is in exceptions.toml, and no longer differs", scenario.0)),
            (Some(difference), None) => faults.push(difference),
            (Some(_), Some(fields)) if fields.is_empty() => {}
            (Some(_), Some(fields)) => faults.extend(differs(scenario.0, &expected, &found, fields)),
        }
    }
    assert!(played > 0, "PGVEIL_SCENARIOS names no scenario");
    assert!(faults.is_empty(), "{} of {played} scenarios differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn in_clear() {
    let stand = Stand::start("plain", &[]);
    // another build of the server may have no GSSAPI to begin with
    let all = std::env::var_os("PGVEIL_POSTGRES").is_none();
    compare(&Target::of(&stand, "DIRECT"), &Target::of(&stand, "PROXY"), all);
}

#[test]
fn over_tls_on_both_legs() {
    let stand = Stand::start("plain", &["--tls"]);
    compare(&Target::of(&stand, "DIRECT"), &Target::of(&stand, "PROXY"), false);
}

#[test]
fn every_exception_names_a_scenario_that_is_there() {
    let names: BTreeSet<String> = scenarios::all().iter().map(|scenario| scenario.0.to_owned()).collect();
    assert_eq!(names.len(), scenarios::all().len(), "two scenarios of one name");
    let unknown: Vec<_> = excepted().into_keys().filter(|name| !names.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The second column of the tables: what is in backquotes.
fn named_in(checklist: &str) -> Vec<String> {
    let rows = checklist.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let names = rows.flat_map(|(_, held_by)| held_by.split('`').skip(1).step_by(2));
    names.map(ToOwned::to_owned).collect()
}

/// Everything written in a file, or in the files below a folder.
fn written(path: &Path) -> String {
    if path.is_file() {
        return std::fs::read_to_string(path).unwrap();
    }
    let below = std::fs::read_dir(path).into_iter().flatten().map(|entry| written(&entry.unwrap().path()));
    below.collect()
}

#[test]
fn every_test_that_the_checklist_names_is_there() {
    let scenarios: BTreeSet<&str> = scenarios::all().iter().map(|scenario| scenario.0).collect();
    let checklist = std::fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let names = named_in(&checklist);
    assert!(names.len() > 100, "{} names", names.len());
    let is_there = |name: &String| match name.split_once("::") {
        None if name.ends_with("-*") => scenarios.iter().any(|scenario| scenario.starts_with(name.trim_end_matches('*'))),
        None => scenarios.contains(name.as_str()),
        Some((file, test)) => {
            let topic = root().join(format!("proto-tests/tests/{file}.rs"));
            let tests = written(&if topic.exists() { topic } else { root().join("src").join(file) });
            let wanted = match test.strip_suffix("..") {
                Some(beginning) => format!("fn {beginning}"),
                None if test == "*" => "#[test]".to_owned(),
                None => format!("fn {test}("),
            };
            tests.contains(&wanted)
        }
    };
    let missing: Vec<_> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unnamed: Vec<_> = scenarios.iter().filter(|scenario| !checklist.contains(&format!("`{scenario}`"))).collect();
    let unnamed: Vec<_> = unnamed.into_iter().filter(|scenario| !scenario.starts_with("terminated-")).collect();
    assert!(unnamed.is_empty(), "scenarios that no line of the checklist names: {unnamed:?}");
}
