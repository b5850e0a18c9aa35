//! `[sessions]`: how long they may last.

use std::time::Duration;

use super::issuer::optional;
use super::read::choice;
use crate::identity::Expiry;
use crate::policy::Fields;
use crate::session::Terms;

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const YEAR_MS: u64 = 366 * 24 * HOUR_MS;
/// How long a transaction may outlive the proof of its login, if nothing is said.
const GRACE_MS: u64 = HOUR_MS / 4;

pub(super) fn sessions(root: &Fields<'_, '_>) -> Option<Terms> {
    let standard =
        Terms { life_max: None, idle_max: None, at_expiry: Expiry::FinishTransaction, grace: Duration::from_millis(GRACE_MS) };
    let Some(value) = root.value("sessions") else { return Some(standard) };
    let fields = value.fields("`[sessions]`")?;
    fields.only(&["max", "idle", "expiry", "expiry_grace"]);
    let duration = |key, min_ms, max_ms| {
        let read = optional(&fields, key, |value| value.duration_ms(min_ms, max_ms));
        read.map(|read| read.map(Duration::from_millis))
    };
    let (life_max, idle_max) = (duration("max", SECOND_MS, YEAR_MS), duration("idle", SECOND_MS, YEAR_MS));
    let grace = duration("expiry_grace", 0, 24 * HOUR_MS);
    let at_expiry = optional(&fields, "expiry", |value| choice(value, &Expiry::ALL));
    Some(Terms {
        life_max: life_max?,
        idle_max: idle_max?,
        at_expiry: at_expiry?.unwrap_or(standard.at_expiry),
        grace: grace?.unwrap_or(standard.grace),
    })
}
