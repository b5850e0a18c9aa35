//! Lines of HL7 messages, version 2: fields that are known by their place.

use super::Class;
use super::find::Found;
use super::page::{Page, is_word};

/// Places of fields, and what they hold.
type Fields = &'static [(usize, Class)];

/// Segments with the fields of theirs that identify; the fields are counted by the signs `|` in front of them.
const SEGMENTS: [(&[u8], Fields); 9] = [
    (b"MSH", &[(6, Class::Date)]),
    (
        b"PID",
        &[
            (2, Class::Mrn),
            (3, Class::Mrn),
            (4, Class::Mrn),
            (5, Class::Name),
            (6, Class::Name),
            (7, Class::Date),
            (9, Class::Name),
            (11, Class::Address),
            (13, Class::Phone),
            (14, Class::Phone),
            (18, Class::Account),
            (19, Class::Ssn),
            (20, Class::License),
            (21, Class::Mrn),
            (29, Class::Date),
        ],
    ),
    (b"PD1", &[(4, Class::Name)]),
    (b"MRG", &[(1, Class::Mrn), (3, Class::Account), (4, Class::Mrn), (7, Class::Name)]),
    (
        b"NK1",
        &[(2, Class::Name), (4, Class::Address), (5, Class::Phone), (6, Class::Phone), (16, Class::Date), (30, Class::Name)],
    ),
    (
        b"PV1",
        &[
            (5, Class::Account),
            (7, Class::Name),
            (8, Class::Name),
            (9, Class::Name),
            (17, Class::Name),
            (19, Class::Account),
            (44, Class::Date),
            (45, Class::Date),
            (52, Class::Name),
        ],
    ),
    (
        b"GT1",
        &[
            (2, Class::Account),
            (3, Class::Name),
            (4, Class::Name),
            (5, Class::Address),
            (6, Class::Phone),
            (7, Class::Phone),
            (8, Class::Date),
            (12, Class::Ssn),
        ],
    ),
    (
        b"IN1",
        &[(8, Class::Plan), (16, Class::Name), (18, Class::Date), (19, Class::Address), (36, Class::Plan), (49, Class::Plan)],
    ),
    (
        b"OBR",
        &[(2, Class::Account), (3, Class::Account), (7, Class::Date), (16, Class::Name), (22, Class::Date), (32, Class::Name)],
    ),
];

/// Adds the fields of all lines that are segments.
pub(super) fn find(page: &Page<'_>, found: &mut Vec<Found>) {
    let mut start = 0;
    for line in page.text.split(|byte| matches!(byte, b'\n' | b'\r' | 0x0b)) {
        if line.get(3) == Some(&b'|') {
            let kind = SEGMENTS.iter().find(|(kind, _)| line.starts_with(kind));
            kind.iter().for_each(|(_, fields)| segment(line, start, fields, found));
        }
        start += line.len() + 1;
    }
}

fn segment(line: &[u8], mut start: usize, fields: Fields, found: &mut Vec<Found>) {
    for (index, field) in line.split(|byte| *byte == b'|').enumerate() {
        let class = fields.iter().find(|(place, _)| *place == index).map(|(_, class)| *class);
        let first = field.iter().position(|byte| is_word(*byte));
        let last = field.iter().rposition(|byte| is_word(*byte));
        if let (Some(class), Some(first), Some(last)) = (class, first, last) {
            found.push(Found::new(class, start + first, start + last + 1));
        }
        start += field.len() + 1;
    }
}
