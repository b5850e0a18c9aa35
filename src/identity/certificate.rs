//! Client certificates: whose name stands in one.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::end_point::{SEQUENCE, element};
use super::{Identity, Way};

const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Who a certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What the client gives as user.
    pub name: String,
    /// The groups that policies speak of.
    pub groups: Vec<String>,
}

/// Holders of certificates by the subject alternative name (a DNS name or URI) that names them.
#[derive(Debug, Clone, Default)]
pub struct Holders(HashMap<String, Holder>);

impl Holders {
    /// Takes the holders with their names in certificates.
    #[must_use]
    pub fn new(holders: impl IntoIterator<Item = (String, Holder)>) -> Self {
        Self(holders.into_iter().collect())
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a certificate stands for this name and these groups.
    pub(super) fn knows(&self, name: &str, groups: &[String]) -> bool {
        self.0.values().any(|holder| holder.name == name && holder.groups == groups)
    }

    /// Who a certificate with these names stands for, if the client gives that user. The chain has been verified.
    #[must_use]
    pub fn identify<'n>(&self, names: impl IntoIterator<Item = &'n str>, user: &[u8], expires: Timestamp) -> Option<Identity> {
        let found = names.into_iter().find_map(|name| self.0.get(name).filter(|holder| holder.name.as_bytes() == user))?;
        Some(Identity {
            name: found.name.clone(),
            issuer: String::new(),
            subject: found.name.clone(),
            actor: String::new(),
            groups: found.groups.clone(),
            expires: Some(expires),
            at_expiry: None,
            way: Way::Certificate,
        })
    }
}

/// When a certificate (DER, RFC 5280 section 4.1) ends.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (fields, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(fields, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, behind)| behind);
    let (_, fields) = element(fields, INTEGER)?;
    let (_, fields) = element(fields, SEQUENCE)?;
    let (_, fields) = element(fields, SEQUENCE)?;
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, end) = moment(validity)?;
    moment(end)?.0
}

/// The time that begins here, if it can be told, and what stands behind it.
fn moment(der: &[u8]) -> Option<(Option<Timestamp>, &[u8])> {
    if let Some((text, behind)) = element(der, GENERALIZED_TIME) {
        return Some((time(text), behind));
    }
    let (text, behind) = element(der, UTC_TIME)?;
    // Two digits of a year: 50 and above are of the last century.
    let century: &[u8] = if text.first()? >= &b'5' { b"19" } else { b"20" };
    Some((time(&[century, text].concat()), behind))
}

/// `YYYYMMDDHHMMSSZ`.
fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let moment = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(not_after: rcgen::CertificateParams) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        not_after.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, text) in [(2031, "2031-05-06T00:00:00Z"), (2049, "2049-05-06T00:00:00Z"), (2150, "2150-05-06T00:00:00Z")] {
            let mut params = rcgen::CertificateParams::new(vec!["agent.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 5, 6);
            let der = made(params);
            assert_eq!(not_after(&der).unwrap().to_string(), text);
            for bytes in 0..der.len().min(200) {
                let _ = not_after(&der[..bytes]);
            }
        }
        assert_eq!(not_after(b""), None);
        assert_eq!(time(b"20310230000000Z"), None, "no such day");
        assert_eq!(time(b"203105060000Z"), None);
        assert_eq!(time(b"20310506000000+0100"), None);
    }

    #[test]
    fn a_certificate_stands_for_one_name_only() {
        let holder = Holder { name: "agent".into(), groups: vec!["agents".into()] };
        let holders = Holders::new([("spiffe://clinic/agent".to_owned(), holder)]);
        let end = Timestamp::from_second(2_000_000_000).unwrap();
        let found = holders.identify(["other", "spiffe://clinic/agent"], b"agent", end).unwrap();
        assert_eq!((found.name.as_str(), found.expires, found.way), ("agent", Some(end), Way::Certificate));
        assert!(holders.knows("agent", &found.groups) && !holders.knows("agent", &[]) && !holders.knows("other", &found.groups));
        for (names, user) in
            [("spiffe://clinic/agent", "other"), ("spiffe://clinic/agents", "agent"), ("agent", "agent"), ("", "")]
        {
            assert_eq!(holders.identify([names], user.as_bytes(), end), None, "{names} {user}");
        }
    }
}
