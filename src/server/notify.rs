//! What systemd is told, where it has started us (`Type=notify`). Elsewhere nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::session::House;

/// The least time between two signs of life.
const WATCHDOG_MIN: Duration = Duration::from_millis(100);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(states) {
        tracing::warn!(%fault, "systemd could not be told");
    }
}

/// Clients may come.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; `ready` ends that.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The process is ending.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Gives signs of life, if systemd asks for them, for as long as only a new start would not be better.
pub(super) async fn watchdog(house: &House) {
    let Some(within) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut due = tokio::time::interval((within / 2).max(WATCHDOG_MIN));
    loop {
        due.tick().await;
        if house.log.failed().is_none() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}
