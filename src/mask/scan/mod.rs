//! Free text: identifiers become labels, the other words stay.
//!
//! A text is folded (`fold`), cut into words and numbers (`page`), and walked once; each detector looks at a bounded stretch
//! around one token, so the time is linear. What cannot be read, or is too long, is replaced whole.

mod apart;
mod check;
mod code;
mod date;
mod dictionary;
mod escape;
mod find;
mod fold;
mod lexicon;
mod name;
mod net;
mod number;
mod page;
mod pattern;
mod place;
mod rewrite;
mod segment;
mod stranger;

use std::sync::{Arc, PoisonError, RwLock};

pub use dictionary::{Dictionaries, Dictionary};
pub use pattern::Pattern;

/// Longest text that is looked into, in bytes; a longer one is replaced whole.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Most names that a policy may list itself.
pub const GIVEN_MAX: usize = 10_000;

macro_rules! classes {
    ($($(#[$note:meta])* $name:ident = $word:literal;)*) => {
        /// A class of identifiers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class {
            $($(#[$note])* $name,)*
        }

        impl Class {
            /// All classes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it in policies, and in the label that stands for what was found.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

classes! {
    /// Social security and taxpayer numbers.
    Ssn = "ssn";
    /// Medical record numbers.
    Mrn = "mrn";
    /// Telephone numbers.
    Phone = "phone";
    /// Fax numbers.
    Fax = "fax";
    /// E-mail addresses.
    Email = "email";
    /// Days and months.
    Date = "date";
    /// Ages over 89.
    Age = "age";
    /// Addresses of the web.
    Url = "url";
    /// Addresses of the internet protocol.
    Ip = "ip";
    /// Payment cards.
    Card = "card";
    /// National provider identifiers.
    Npi = "npi";
    /// Drug Enforcement Administration numbers.
    Dea = "dea";
    /// Account numbers, and any other long number or code.
    Account = "account";
    /// Health plan and policy numbers.
    Plan = "plan";
    /// Licenses and certificates.
    License = "license";
    /// Vehicles and plates.
    Vehicle = "vehicle";
    /// Devices and their serial numbers.
    Device = "device";
    /// ZIP codes: the first three digits stay.
    Zip = "zip";
    /// Streets, post boxes, and the city behind them.
    Address = "address";
    /// Names of persons.
    Name = "name";
}

impl Class {
    /// The class of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.word() == word)
    }
}

/// What stands for an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Its class: `[ssn]`.
    #[default]
    Label,
    /// The same for all.
    Placeholder,
    /// Its class and a token: the same identifier has the same token.
    Pseudonym,
}

/// How free text is masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// What is looked for.
    pub detect: Vec<Class>,
    /// What record numbers look like here.
    pub mrn: Option<Pattern>,
    /// Names that the policy lists.
    pub names: Dictionary,
    /// The columns that names are drawn from. Until they have been read, texts are replaced whole.
    pub names_from: Vec<String>,
    /// What stands for an identifier.
    pub replace: Replace,
    /// Years of dates stay.
    pub years: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            detect: Class::ALL.to_vec(),
            mrn: None,
            names: Dictionary::default(),
            names_from: Vec::new(),
            replace: Replace::Label,
            years: false,
        }
    }
}

/// The dictionaries of names as they are now, shared between who draws them and all who mask by them.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<RwLock<Arc<Dictionaries>>>);

impl Names {
    /// The dictionaries as they are now.
    #[must_use]
    pub fn now(&self) -> Arc<Dictionaries> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a dictionary in place of an older one.
    pub fn keep(&self, columns: Vec<String>, dictionary: Dictionary) {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = (**place).clone();
        all.keep(columns, Arc::new(dictionary));
        *place = Arc::new(all);
    }
}

#[cfg(test)]
mod tests;
