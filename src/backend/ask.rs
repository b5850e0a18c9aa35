//! Asking a pgveil where its people log in.

use bytes::Bytes;
use tokio::time::timeout;

use super::connect::Wire;
use super::{ConnectError, Route};
use crate::identity::OAUTHBEARER;
use crate::wire::{AuthenticationRequest, password, sasl_initial_response, startup_message};

const VERSION_3_0: u32 = 3 << 16;
/// What makes pgveil offer OAUTHBEARER, whatever it offers others.
const OPTIONS: &[u8] = b"-c pgveil.login=oauthbearer";
/// The first message of a client that has no token (RFC 7628 section 4.3).
const NO_TOKEN: &[u8] = b"n,,\x01auth=\x01\x01";
/// How it acknowledges the answer.
const ACKNOWLEDGED: &[u8] = b"\x01";

/// What a client without a token is told by OAUTHBEARER: where to get one.
///
/// # Errors
/// `Mechanism` from a server that has no issuer; else see `ConnectError`.
pub async fn ask_issuer(route: &Route, database: &str) -> Result<Bytes, ConnectError> {
    let user = route.upstream().user.as_bytes();
    let parameters: [(&[u8], &[u8]); 3] = [(b"user", user), (b"database", database.as_bytes()), (b"options", OPTIONS)];
    let packet = startup_message(VERSION_3_0, &parameters).map_err(|_| ConnectError::Startup)?;
    let asked = async {
        let mut wire = Wire::new(route.dial().await?);
        wire.say(&packet).await?;
        match AuthenticationRequest::read(&wire.hear_request().await?)? {
            AuthenticationRequest::Sasl { mechanisms } if mechanisms.iter().any(|one| one == OAUTHBEARER.as_bytes()) => {}
            _ => return Err(ConnectError::Mechanism),
        }
        wire.say(&sasl_initial_response(OAUTHBEARER, NO_TOKEN)).await?;
        let AuthenticationRequest::SaslContinue(told) = AuthenticationRequest::read(&wire.hear_request().await?)? else {
            return Err(ConnectError::Mechanism);
        };
        // What comes then is a refusal, as it must be.
        wire.say(&password(ACKNOWLEDGED)).await?;
        Ok(told)
    };
    timeout(route.connect_time_max, asked).await.unwrap_or(Err(ConnectError::TimedOut))
}
