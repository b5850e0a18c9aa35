//! The text written anew.

use bytes::BytesMut;

use super::find::{Found, find};
use super::fold::Folded;
use super::page::Page;
use super::{Class, Replace, Scan, TEXT_BYTES_MAX};
use crate::mask::{Keys, PLACEHOLDER, pseudonym, zip};

/// Years back from the present one in which a date tells no age over 89.
const AGE_YEARS_MAX: i64 = 89;

impl Scan {
    /// Writes a text without what identifies; what cannot be looked into becomes the placeholder. A text in which nothing is
    /// found comes through byte for byte.
    pub(in crate::mask) fn write(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) {
        let text = std::str::from_utf8(value).ok().filter(|_| value.len() <= TEXT_BYTES_MAX);
        let dictionaries = (!self.names_from.is_empty()).then(|| keys.names.now());
        let drawn = dictionaries.as_ref().and_then(|all| all.of(&self.names_from));
        let ready = self.names_from.is_empty() || drawn.is_some() || !self.detect.contains(&Class::Name);
        let Some(text) = text.filter(|_| ready) else { return out.extend_from_slice(PLACEHOLDER.as_bytes()) };
        let folded = Folded::new(text);
        let page = Page::new(&folded.text);
        let mut from = 0;
        for hit in find(&page, self, drawn) {
            let span = folded.original(hit.start..hit.end);
            out.extend_from_slice(value.get(from..span.start).unwrap_or_default());
            self.replace(&hit, page.bytes(hit.start..hit.end), keys, out);
            from = from.max(span.end);
        }
        out.extend_from_slice(value.get(from..).unwrap_or_default());
    }

    fn replace(&self, hit: &Found, plain: &[u8], keys: &Keys, out: &mut BytesMut) {
        if self.replace == Replace::Placeholder {
            return out.extend_from_slice(PLACEHOLDER.as_bytes());
        }
        if hit.class == Class::Zip && self.replace == Replace::Label && zip::write(plain, out) {
            return;
        }
        out.extend_from_slice(b"[");
        out.extend_from_slice(hit.class.word().as_bytes());
        match hit.year.filter(|_| self.years) {
            Some(year) if i64::from(year) >= i64::from(keys.year_now) - AGE_YEARS_MAX => {
                out.extend_from_slice(format!(" {year}").as_bytes());
            }
            _ if self.replace == Replace::Pseudonym => {
                out.extend_from_slice(b" ");
                pseudonym::short(hit.class.word(), plain, keys, out);
            }
            _ => {}
        }
        out.extend_from_slice(b"]");
    }
}
