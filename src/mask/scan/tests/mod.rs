//! What is found in free text: cases one by one, and the labelled notes as a whole.

mod labelled;

use bytes::BytesMut;
use proptest::prelude::*;
use serde::Deserialize;

use super::{Class, Dictionary, Names, Pattern, Replace, Scan, TEXT_BYTES_MAX};
use crate::mask::{Keys, PseudonymKey};

#[derive(Deserialize)]
struct Cases {
    names: Vec<String>,
    mrn: String,
    masked: Vec<(String, String)>,
    plain: Vec<String>,
    years: Vec<(String, String)>,
}

fn cases() -> Cases {
    toml::from_str(include_str!("../../../../fixtures/mask/scan.toml")).unwrap()
}

fn keys() -> Keys {
    Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Names::default() }
}

fn scan(cases: &Cases) -> Scan {
    let names = cases.names.iter().map(String::as_str).collect();
    Scan { names, mrn: Some(Pattern::new(&cases.mrn).unwrap()), ..Scan::default() }
}

fn write(scan: &Scan, keys: &Keys, text: &[u8]) -> String {
    let mut out = BytesMut::new();
    scan.write(text, keys, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn identifiers_become_labels_and_other_words_stay() {
    let cases = cases();
    let scan = scan(&cases);
    let plain = cases.plain.iter().map(|text| (text, text));
    let all = cases.masked.iter().map(|(text, wanted)| (text, wanted)).chain(plain);
    let wrong: Vec<String> = all
        .map(|(text, wanted)| (text, wanted, write(&scan, &keys(), text.as_bytes())))
        .filter(|(_, wanted, got)| *wanted != got)
        .map(|(text, wanted, got)| format!("\n  {text}\n  wanted {wanted}\n  got    {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn years_stay_where_they_may() {
    let cases = cases();
    let scan = Scan { years: true, ..scan(&cases) };
    for (text, wanted) in &cases.years {
        assert_eq!(&write(&scan, &keys(), text.as_bytes()), wanted);
    }
}

#[test]
fn what_cannot_be_looked_into_is_replaced_whole() {
    let scan = Scan::default();
    assert_eq!(write(&scan, &keys(), b"abc \xff 123-45-6789"), "[redacted]");
    assert_eq!(write(&scan, &keys(), &vec![b'a'; TEXT_BYTES_MAX + 1]), "[redacted]");
}

#[test]
fn without_its_names_a_text_is_replaced_whole() {
    let columns = vec!["clinical.patients.last_name".to_owned()];
    let scan = Scan { names_from: columns.clone(), ..Scan::default() };
    let keys = keys();
    assert_eq!(write(&scan, &keys, b"lungs clear"), "[redacted]");
    keys.names.keep(columns, Dictionary::from_iter(["Roe"]));
    assert_eq!(write(&scan, &keys, b"Roe: lungs clear"), "[name]: lungs clear");
}

#[test]
fn tokens_are_the_same_for_the_same_identifier() {
    let scan = Scan { replace: Replace::Pseudonym, names: Dictionary::from_iter(["Roe"]), ..Scan::default() };
    let one = write(&scan, &keys(), b"SSN 123-45-6789, Roe");
    assert_eq!(one, write(&scan, &keys(), b"SSN 123 45 6789, ROE"));
    assert_ne!(one, write(&scan, &keys(), b"SSN 123-45-6780, Roe"));
    assert!(one.starts_with("SSN [ssn p_") && !one.contains("6789"), "{one}");
    let scan = Scan { replace: Replace::Placeholder, ..scan };
    assert_eq!(write(&scan, &keys(), b"SSN 123-45-6789"), "SSN [redacted]");
}

#[test]
fn a_class_that_is_not_wanted_stays() {
    let scan = Scan { detect: vec![Class::Ssn], ..Scan::default() };
    assert_eq!(write(&scan, &keys(), b"123-45-6789 a@b.example"), "[ssn] a@b.example");
}

#[test]
fn names_of_a_million_rows_are_found() {
    let mut names = Dictionary::default();
    for number in 0..1_000_000_u32 {
        let word: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        names.add(&format!("Zq{word}"));
    }
    let scan = Scan { names: Dictionary::from_iter(["none"]), names_from: vec!["a.b.c".to_owned()], ..Scan::default() };
    let keys = Keys { names: Names::default(), ..keys() };
    keys.names.keep(vec!["a.b.c".to_owned()], names);
    assert_eq!(write(&scan, &keys, b"saw zqbcdefg today"), "saw [name] today");
}

#[test]
fn hostile_texts_take_linear_time() {
    let scan = Scan { names: Dictionary::from_iter(["May", "Roe"]), ..Scan::default() };
    for piece in [
        "1", "1-", "@", "a@", ":", "a:b", "May ", "May 1 ", "Mr ", "J. ", "#1 ", "A-1", "中", "é1", "1 1 ", "x.com", "1 A ",
        "Box ",
    ] {
        let text = piece.repeat(50_000 / piece.len());
        let start = std::time::Instant::now();
        write(&scan, &keys(), text.as_bytes());
        assert!(start.elapsed() < std::time::Duration::from_secs(8), "{piece}: {:?}", start.elapsed());
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}") {
        write(&Scan::default(), &keys(), text.as_bytes());
    }

    #[test]
    fn a_number_is_found_wherever_it_stands(before in "[a-z ,.(]{0,20}", behind in "([ ,.);a-z][ ,.);a-z]{0,20})?") {
        let text = format!("{before} 212-45-6789{behind}");
        let written = write(&Scan::default(), &keys(), text.as_bytes());
        prop_assert!(!written.contains("6789"), "{}", written);
    }
}
