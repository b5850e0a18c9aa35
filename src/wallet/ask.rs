//! What a server says of where to log in. It is believed as far as TLS has proved who says it, and shown to the person first.

use serde::Deserialize;

use super::{Fault, Server};
use crate::backend::{ConnectError, ask_issuer};
use crate::idp::is_loopback_http;

/// What every issuer's discovery document is called.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Longest word that is taken.
const WORD_BYTES_MAX: usize = 512;

/// Where to log in, by a server's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The issuer.
    pub issuer: String,
    /// The client that people log in by.
    pub client_id: String,
    /// What to ask for.
    pub scope: String,
}

#[derive(Deserialize)]
struct Challenge {
    #[serde(rename = "openid-configuration")]
    configuration: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
}

/// Asks a server.
///
/// # Errors
/// If it does not answer, has no issuer, or says nothing that could be one.
pub async fn ask(server: &Server) -> Result<Told, Fault> {
    let told = match ask_issuer(&server.route(None)?, &server.database).await {
        Ok(told) => told,
        Err(ConnectError::Mechanism) => return Err(Fault::NoIssuer),
        Err(fault) => return Err(Fault::Server(fault)),
    };
    read(&told, !server.tls)
}

/// `local`: the server is on this machine, and its issuer may be there, too, without TLS.
pub(super) fn read(told: &[u8], local: bool) -> Result<Told, Fault> {
    let challenge: Challenge = serde_json::from_slice(told).map_err(|_| Fault::NotSaid("where"))?;
    let word = |text: Option<String>| {
        text.filter(|text| !text.is_empty() && text.len() <= WORD_BYTES_MAX && !text.chars().any(char::is_control))
    };
    let configuration = word(challenge.configuration).ok_or(Fault::NotSaid("where"))?;
    let issuer = configuration.strip_suffix(WELL_KNOWN).ok_or(Fault::NotSaid("where"))?;
    let private = issuer.starts_with("https://") || (local && is_loopback_http(issuer));
    if !private {
        return Err(Fault::Insecure("the issuer"));
    }
    let client_id = word(challenge.client_id).ok_or(Fault::NotSaid("as which client"))?;
    let scope = word(challenge.scope).unwrap_or_else(|| "openid".to_owned());
    Ok(Told { issuer: issuer.to_owned(), client_id, scope })
}
