//! What words can mean to detectors.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use super::Class;
use super::dictionary::Plain;
use super::page::hash;

/// Ordinary English and clinical words.
const COMMON_TEXT: &str = include_str!("common.txt");
/// Words with a role, a line for each role.
const ROLES_TEXT: &str = include_str!("roles.txt");

/// What a word can mean: roles, the class of identifiers that it announces, the month that it names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sense {
    roles: u32,
    pub(super) announces: Option<Class>,
    pub(super) month: u8,
}

macro_rules! roles {
    ($($(#[$note:meta])* $name:ident = $word:literal = $bit:literal;)*) => {
        impl Sense {
            $($(#[$note])* pub(super) const $name: u32 = 1 << $bit;)*
        }

        fn role(word: &str) -> Option<u32> {
            match word {
                $($word => Some(Sense::$name),)*
                _ => None,
            }
        }
    };
}

roles! {
    /// An ordinary word.
    COMMON = "common" = 0;
    /// It stands in front of names only.
    TITLE = "title" = 1;
    /// It often stands in front of names.
    PERSON = "person" = 2;
    /// A unit or a thing that is counted.
    UNIT = "unit" = 3;
    /// The last word of a street's name.
    STREET = "street" = 4;
    /// Named after somebody.
    EPONYM = "eponym" = 5;
    /// What eponyms stand in front of.
    FINDING = "finding" = 6;
    /// The two letters of a state.
    STATE = "state" = 7;
    /// Between an announcement and its number.
    QUALIFIER = "qualifier" = 8;
    /// Announces a number only with a qualifier.
    WEAK = "weak" = 9;
    /// A part of names that is no name.
    PARTICLE = "particle" = 10;
    /// In front of a date or a month.
    WHEN = "when" = 11;
    /// A given name that many have.
    GIVEN = "given" = 12;
    /// The last label of a domain name.
    DOMAIN = "domain" = 13;
    /// In front of where somebody lives.
    DWELLS = "dwells" = 14;
    /// Within an address, in front of a number.
    FLAT = "flat" = 15;
    /// In front of numbers that identify nobody.
    HARMLESS = "harmless" = 16;
    /// Between a name's announcement and the name.
    LINK = "link" = 17;
    /// Behind an age.
    YEARS = "years" = 18;
    /// What persons do in notes.
    ACTS = "acts" = 19;
    /// What stands behind the names of those who treat.
    CREDENTIAL = "credential" = 20;
    /// Often in front of the names of those who treat.
    BY = "by" = 21;
    /// The first word of a street's name in other languages.
    CALLE = "calle" = 22;
    /// In front of numbers of programs.
    PROGRAM = "program" = 23;
    /// The day of a week.
    WEEKDAY = "weekday" = 24;
}

impl Sense {
    pub(super) fn is(self, roles: u32) -> bool {
        self.roles & roles != 0
    }
}

type Lexicon = HashMap<u64, Sense, BuildHasherDefault<Plain>>;

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon::default();
    let common = COMMON_TEXT.lines().filter(|line| !line.starts_with('#'));
    for word in common.flat_map(str::split_whitespace) {
        lexicon.entry(hash(word.as_bytes())).or_default().roles |= Sense::COMMON;
    }
    for line in ROLES_TEXT.lines().filter(|line| !line.starts_with('#')) {
        let Some((head, words)) = line.split_once(':') else { continue };
        for word in words.split_whitespace() {
            let sense = lexicon.entry(hash(word.as_bytes())).or_default();
            for head in head.split_whitespace() {
                if let Some(month) = head.strip_prefix("month-") {
                    sense.month = month.parse().unwrap_or_default();
                } else if let Some(bits) = role(head) {
                    sense.roles |= bits;
                } else {
                    sense.announces = Class::named(head);
                }
            }
        }
    }
    lexicon
});

/// What the word with this hash can mean.
pub(super) fn sense(word: u64) -> Sense {
    LEXICON.get(&word).copied().unwrap_or_default()
}
