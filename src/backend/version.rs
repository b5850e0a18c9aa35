//! Which minor version of the protocol a server speaks. It is asked for before a client's login, since the client wants to know by then.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connect::Wire;
use super::{ConnectError, Route};
use crate::wire::{NegotiateProtocolVersion, VERSION_3_0, VERSION_3_2, server_tag, startup_message};

/// How long an answer is kept: a server may be upgraded meanwhile.
const KEPT_MAX: Duration = Duration::from_secs(60);
/// How long nobody asks again after there was no answer.
const FAILED_MAX: Duration = Duration::from_secs(5);
/// A version that no server speaks, so that it says what it speaks instead.
const VERSION_NEWER: u32 = (3 << 16) | 9_999;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Option<Known>>);

#[derive(Debug, Clone, Copy)]
struct Known {
    minor: Option<u16>,
    asked: Instant,
}

impl Known {
    fn is_fresh(self) -> bool {
        self.asked.elapsed() < if self.minor.is_some() { KEPT_MAX } else { FAILED_MAX }
    }
}

/// The newest minor version of protocol 3 that both the server and this proxy speak; 0 if the server cannot be asked.
pub async fn newest_minor(route: &Route) -> u16 {
    let mut newest = route.newest.0.lock().await;
    let known = match *newest {
        Some(known) if known.is_fresh() => known,
        _ => {
            let minor = timeout(route.connect_time_max, ask(route)).await.unwrap_or(Err(ConnectError::TimedOut));
            Known { minor: minor.ok(), asked: Instant::now() }
        }
    };
    *newest = Some(known);
    known.minor.unwrap_or(0)
}

/// Asks with a login that goes no further than the server's first word.
async fn ask(route: &Route) -> Result<u16, ConnectError> {
    let user = route.upstream().user.as_bytes();
    let database = route.upstream().database.as_ref().map_or(user, String::as_bytes);
    let packet = startup_message(VERSION_NEWER, &[(b"user", user), (b"database", database)]);
    let mut wire = Wire::new(route.dial().await?);
    wire.say(&packet.map_err(|_| ConnectError::Startup)?).await?;
    let first = wire.hear().await?;
    if first.tag() != server_tag::NEGOTIATE_PROTOCOL_VERSION {
        return Err(ConnectError::Unexpected(first.tag()));
    }
    let spoken = NegotiateProtocolVersion::read(&first)?.version.clamp(VERSION_3_0, VERSION_3_2);
    Ok(u16::try_from(spoken & 0xffff).unwrap_or(0))
}
