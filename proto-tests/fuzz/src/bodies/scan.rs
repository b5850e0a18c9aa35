//! Free text with identifiers planted in it: they go, whatever stands around them, and what comes out is text.

use pgveil::mask::{Strategy, scan};
use pgveil::wire::Format;

use super::ground::{Column, plan};
use super::input::Input;
use super::rows::masked;

/// What no text may keep that stands alone in it.
const PLANTED: [&str; 4] = ["123-45-6789", "jane.roe@example.org", "4111 1111 1111 1111", "(555) 010-4477"];

/// Any text under a scan; in valid text one identifier is planted.
pub fn mask_scan(data: &[u8]) {
    let mut input = Input::new(data);
    let replace = *input.one_of(&[scan::Replace::Label, scan::Replace::Placeholder, scan::Replace::Pseudonym]);
    let mut names = scan::Dictionary::default();
    names.add("Ada Byron");
    let strategy =
        Strategy::Scan(std::sync::Arc::new(scan::Scan { replace, names, years: input.flag(), ..scan::Scan::default() }));
    let column = Column { type_oid: 25, modifier: -1, format: Format::Text, mask: Some(Some(strategy)) };
    let plan = plan(&[column]);
    let scanned = |text: &[u8]| masked(&plan, &vec![Some(text.to_vec())]).remove(0);
    let (planted, place) = (*input.one_of(&PLANTED), usize::from(input.byte()) << 8 | usize::from(input.byte()));
    let bytes = input.rest();
    let Ok(text) = std::str::from_utf8(bytes) else {
        let out = scanned(bytes);
        assert!(out.is_none_or(|out| std::str::from_utf8(&out).is_ok()), "what is no text comes out as none");
        return;
    };
    let text = text.replace('\0', " ");
    let at = (0..=place % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let text = format!("{}\n{planted}\n{}", &text[..at], &text[at..]);
    let out = scanned(text.as_bytes()).expect("text stays text");
    assert_eq!(scanned(text.as_bytes()).as_ref(), Some(&out), "the same text comes out in two ways");
    let out = String::from_utf8(out).expect("text stays text");
    assert!(!out.contains(planted) || text.matches(planted).count() > 1 && !alone(&out, planted), "{planted} stays: {out:?}");
}

/// True if it stands on a line of its own.
fn alone(text: &str, planted: &str) -> bool {
    text.lines().any(|line| line == planted)
}
