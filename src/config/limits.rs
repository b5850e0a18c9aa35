//! The bounds of the running proxy, each with its own.

use super::Limits;
use crate::policy::Fields;

/// Most of anything that is counted.
const COUNT_MAX: u64 = 100_000;
/// A bound on bytes is at least this: less would refuse ordinary work.
const BYTES_MIN: u64 = 64 << 10;
/// The log takes one entry of twice as many.
const MESSAGE_BYTES_MAX: u64 = 128 << 20;
/// Most bytes that may be allowed to wait.
const QUEUE_BYTES_MAX: u64 = 1 << 40;

/// Reads `[limits]`.
pub(super) fn read(root: &Fields<'_, '_>) -> Option<Limits> {
    let standard = Limits::default();
    let Some(value) = root.value("limits") else { return Some(standard) };
    let fields = value.fields("`[limits]`")?;
    fields.only(&[
        "sessions_max",
        "sessions_identity_max",
        "logins_max",
        "login_ms",
        "failed_logins_source_max",
        "failed_logins_identity_max",
        "statement_bytes_max",
        "ahead_bytes_max",
        "queue_bytes_max",
        "holds_max",
        "holds_identity_max",
    ]);
    let number = |key, min, max, otherwise: u64| match fields.value(key) {
        Some(value) => value.integer(min, max),
        None => Some(otherwise),
    };
    let size = |key, min, max, otherwise: usize| {
        let otherwise = u64::try_from(otherwise).ok()?;
        number(key, min, max, otherwise).and_then(|number| usize::try_from(number).ok())
    };
    let failures =
        |key, otherwise: u32| number(key, 1, COUNT_MAX, otherwise.into()).and_then(|number| u32::try_from(number).ok());
    // Each is read, also after a faulty one: every fault is named.
    let sessions_max = size("sessions_max", 1, COUNT_MAX, standard.sessions_max);
    let sessions_identity_max = size("sessions_identity_max", 1, COUNT_MAX, standard.sessions_identity_max);
    let logins_max = size("logins_max", 1, COUNT_MAX, standard.logins_max);
    let login_ms = number("login_ms", 100, 600_000, standard.login_ms);
    let failed_logins_source_max = failures("failed_logins_source_max", standard.failed_logins_source_max);
    let failed_logins_identity_max = failures("failed_logins_identity_max", standard.failed_logins_identity_max);
    let statement_bytes_max = size("statement_bytes_max", BYTES_MIN, MESSAGE_BYTES_MAX, standard.statement_bytes_max);
    let ahead_bytes_max = size("ahead_bytes_max", BYTES_MIN, MESSAGE_BYTES_MAX, standard.ahead_bytes_max);
    let queue_bytes_max = size("queue_bytes_max", BYTES_MIN, QUEUE_BYTES_MAX, standard.queue_bytes_max);
    let holds_max = size("holds_max", 1, COUNT_MAX, standard.holds_max);
    let holds_identity_max = size("holds_identity_max", 1, COUNT_MAX, standard.holds_identity_max);
    if let (Some(queue), Some(statement)) = (queue_bytes_max, statement_bytes_max)
        && queue < statement
    {
        fields.fault("`queue_bytes_max` is less than `statement_bytes_max`: the longest statement could never wait");
    }
    Some(Limits {
        sessions_max: sessions_max?,
        sessions_identity_max: sessions_identity_max?,
        logins_max: logins_max?,
        login_ms: login_ms?,
        failed_logins_source_max: failed_logins_source_max?,
        failed_logins_identity_max: failed_logins_identity_max?,
        statement_bytes_max: statement_bytes_max?,
        ahead_bytes_max: ahead_bytes_max?,
        queue_bytes_max: queue_bytes_max?,
        holds_max: holds_max?,
        holds_identity_max: holds_identity_max?,
    })
}
