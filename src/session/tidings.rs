//! Notifications that sessions have sent in so many words: their payloads may be seen by whoever sees what their sender sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

use super::ruling::Ruling;
use crate::sql::{self, Said, Verb};
use crate::wire::{Body, Frame};

/// Most that are remembered.
const KNOWN_MAX: usize = 4096;
/// How long one is remembered: it is delivered when its transaction and the listener's are over.
const KNOWN_FOR: Duration = Duration::from_secs(60);

type Digest = [u8; 32];

/// What the sessions of this process have sent.
#[derive(Debug, Clone, Default)]
pub struct Tidings {
    known: Arc<Mutex<HashMap<Digest, (i32, Instant)>>>,
}

/// Whose notifications may be seen: those of one database and the same groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circle<'a> {
    pub(super) database: &'a str,
    pub(super) groups: &'a [String],
}

impl Tidings {
    /// A text goes to the server, in the session of this backend. What it sends in so many words may be heard; if it can touch
    /// what is masked, nothing of what was sent before may, since its triggers could say the same.
    pub(super) fn sent(&self, circle: Circle<'_>, process: i32, ruling: &Ruling) {
        if ruling.touched() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (sender, _)| *sender != process);
            return;
        }
        let is_notify = |facts: &sql::Facts| {
            facts.verb == Verb::Notify || facts.functions.iter().any(|function| function.builtin && function.name == "pg_notify")
        };
        if !ruling.verdict().analysis.statements.iter().any(is_notify) {
            return;
        }
        for notification in sql::notifications(&ruling.verdict().text) {
            if let (Some(channel), Some(payload)) = (value(&notification.channel, ruling), value(&notification.payload, ruling)) {
                self.keep(digest_of(circle, process, &channel, &payload), process);
            }
        }
    }

    fn keep(&self, digest: Digest, process: i32) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, (_, since)| since.elapsed() < KNOWN_FOR);
        }
        if known.len() < KNOWN_MAX {
            known.insert(digest, (process, Instant::now()));
        }
    }

    /// True if this NotificationResponse was sent in so many words by a session of the circle.
    pub(super) fn knows(&self, circle: Circle<'_>, frame: &Frame) -> bool {
        let mut body = Body::new(frame.tag(), frame.body());
        let Ok(process) = body.bytes(4) else { return false };
        let Ok(process) = process.try_into().map(i32::from_be_bytes) else { return false };
        let (Ok(channel), Ok(payload)) = (body.string(), body.string()) else { return false };
        let digest = digest_of(circle, process, channel, payload);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&digest).is_some_and(|(_, since)| since.elapsed() < KNOWN_FOR)
    }
}

/// What the text or the parameter says.
fn value(said: &Said, ruling: &Ruling) -> Option<Vec<u8>> {
    match said {
        Said::Text(text) => Some(text.as_bytes().to_vec()),
        Said::Parameter(number) => {
            let bind = ruling.bind()?;
            let index = number.checked_sub(1)?;
            let value = bind.parameters.get(index)?.as_ref()?;
            // A text is the same bytes in both formats.
            Some(value.to_vec())
        }
    }
}

fn digest_of(circle: Circle<'_>, process: i32, channel: &[u8], payload: &[u8]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |part: &[u8]| {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    };
    add(circle.database.as_bytes());
    for group in circle.groups {
        add(group.as_bytes());
    }
    add(&process.to_be_bytes());
    add(channel);
    add(payload);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
