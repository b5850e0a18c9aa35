//! The proxy's own login at the server.

use bytes::Bytes;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use zeroize::Zeroizing;

use super::connect::Wire;
use super::{ConnectError, Route};
use crate::identity::end_point;
use crate::secret::Secret;
use crate::wire::{AuthenticationRequest, password, sasl_initial_response};

/// Answers whatever the server asks for, up to AuthenticationOk.
pub(super) async fn log_in(wire: &mut Wire, route: &Route) -> Result<(), ConnectError> {
    match request(wire).await? {
        AuthenticationRequest::Ok => return Ok(()),
        AuthenticationRequest::CleartextPassword if !route.is_trusted(&wire.stream) => {
            return Err(ConnectError::ClearPassword);
        }
        AuthenticationRequest::CleartextPassword => {
            let answer = Zeroizing::new([secret(route)?.reveal(), &[0]].concat());
            wire.say(&password(&answer)).await?;
        }
        AuthenticationRequest::Md5Password { salt } => {
            let hashed = md5_hash(route.upstream().user.as_bytes(), secret(route)?.reveal(), salt);
            wire.say(&password(&[hashed.as_bytes(), &[0]].concat())).await?;
        }
        AuthenticationRequest::Sasl { mechanisms } => scram(wire, secret(route)?, &mechanisms).await?,
        AuthenticationRequest::SaslContinue(_) => return Err(ConnectError::Login(11)),
        AuthenticationRequest::SaslFinal(_) => return Err(ConnectError::Login(12)),
        AuthenticationRequest::Other(code) => return Err(ConnectError::Login(code)),
    }
    match request(wire).await? {
        AuthenticationRequest::Ok => Ok(()),
        _ => Err(ConnectError::Scram),
    }
}

async fn request(wire: &mut Wire) -> Result<AuthenticationRequest, ConnectError> {
    Ok(AuthenticationRequest::read(&wire.hear_request().await?)?)
}

fn secret(route: &Route) -> Result<&Secret, ConnectError> {
    route.password.as_ref().ok_or(ConnectError::NoPassword)
}

/// Ends only when the server, too, has proved that it knows the password.
async fn scram(wire: &mut Wire, secret: &Secret, mechanisms: &[Bytes]) -> Result<(), ConnectError> {
    let offered = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name.as_bytes());
    let bound = wire.stream.certificate().and_then(end_point);
    let (mechanism, binding) = match bound {
        Some(data) if offered(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(data)),
        // Could have been bound: a server that did offer it then knows that somebody has cut its list.
        Some(_) if offered(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None if offered(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        _ => return Err(ConnectError::Mechanism),
    };
    let mut exchange = ScramSha256::new(secret.reveal(), binding);
    wire.say(&sasl_initial_response(mechanism, exchange.message())).await?;
    let AuthenticationRequest::SaslContinue(server_first) = request(wire).await? else { return Err(ConnectError::Scram) };
    exchange.update(&server_first).map_err(|_| ConnectError::Scram)?;
    wire.say(&password(exchange.message())).await?;
    let AuthenticationRequest::SaslFinal(server_final) = request(wire).await? else { return Err(ConnectError::Scram) };
    exchange.finish(&server_final).map_err(|_| ConnectError::Scram)
}
