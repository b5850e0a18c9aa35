//! The search for raw values: whatever a masked client received must hold none.

use crate::Stand;

/// Raw values of the clinic's patients, as the database holds them.
pub struct Canaries {
    values: Vec<String>,
}

const RAW: &str = "select v from clinical.patients p, \
    lateral unnest(array[ssn::text, replace(ssn, '-', ''), substr(mrn, 5), first_name, middle_name, last_name, birth_date::text, phone, \
    email, address, city, lat::text, abs(lon)::text]) v where v is not null and id <= 400";

impl Canaries {
    /// Reads them as the superuser.
    #[must_use]
    pub fn of(stand: &Stand) -> Self {
        Self { values: stand.owner(RAW).lines().map(str::to_lowercase).collect() }
    }

    /// The first raw value in what was received, in any letter case, or as hexadecimal.
    #[must_use]
    pub fn found_in(&self, received: &[u8]) -> Option<&str> {
        let text = String::from_utf8_lossy(received).to_lowercase();
        let hexed = |v: &str| v.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let hit = |v: &&String| text.contains(v.as_str()) || (text.contains("\\x") && text.contains(&hexed(v)));
        self.values.iter().find(hit).map(String::as_str)
    }

    /// # Panics
    /// If there is one.
    pub fn assert_clean(&self, what: &str, received: &[u8]) {
        assert_eq!(self.found_in(received), None, "{what}: a raw value came out");
    }
}
