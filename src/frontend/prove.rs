//! The ways in which a client proves who it is, each from our request to the client's last answer.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::Refusal;
use super::exchange::Exchange;
use super::login::{Doors, Guard, Tokens};
use crate::identity::{
    BEARER_BYTES_MAX, Bearer, Channel, Credential, Denied, ExpectProof, Identity, Mechanism, NONCE_BYTES, OAUTHBEARER, Roster,
    ScramFault, TOKEN_BYTES_MAX, TokenFault, Way, is_acknowledged, is_token,
};
use crate::secret::Secret;
use crate::wire::{Malformed, SaslInitialResponse, authentication, sasl_mechanisms};

const CLEARTEXT_PASSWORD: i32 = 3;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// The first message of the SASL exchange, and the mechanism that the client has picked for it.
async fn begin(wire: &mut Exchange<'_>, mechanisms: &[&str]) -> Result<(Bytes, Bytes), Refusal> {
    wire.say(&sasl_mechanisms(mechanisms)).await?;
    let initial = SaslInitialResponse::read(&wire.hear().await?)?;
    if !mechanisms.iter().any(|offered| initial.mechanism == offered.as_bytes()) {
        return Err(Refusal::Mechanism);
    }
    let response = match initial.response {
        Some(response) => response,
        None => {
            wire.say(&authentication(SASL_CONTINUE, b"")).await?;
            wire.hear().await?.body_bytes()
        }
    };
    Ok((initial.mechanism, response))
}

/// SCRAM: the client knows the password of a registered identity.
pub(super) async fn scram(
    wire: &mut Exchange<'_>,
    user: &Bytes,
    (roster, guard): (&Roster, &impl Guard),
    (now, dice): (Timestamp, [u8; NONCE_BYTES]),
    channel: &Channel,
) -> Result<Identity, Refusal> {
    let names: Vec<&str> = channel.mechanisms().iter().map(|mechanism| mechanism.name()).collect();
    let (mechanism, client_first) = begin(wire, &names).await?;
    let mechanism = Mechanism::from_name(&mechanism).ok_or(Refusal::Mechanism)?;
    let (exchange, server_first) =
        ExpectProof::begin(mechanism, &client_first, roster.verifier(user), dice, channel).map_err(Refusal::Scram)?;
    wire.say(&authentication(SASL_CONTINUE, server_first.as_bytes())).await?;
    let client_final = wire.hear().await?.body_bytes();
    // Others may have failed since this one began.
    unbarred(guard)?;
    let by_former =
        |former: &Arc<Credential>| exchange.finish_by(&former.verifier, &client_final).ok().zip(Some(Arc::clone(former)));
    let proved = match (exchange.finish(&client_final), roster.find(user)) {
        (Ok(server_final), Some(credential)) => Ok((server_final, Arc::clone(credential))),
        (Err(ScramFault::Proof), Some(_)) => roster.former(user).and_then(by_former).ok_or(ScramFault::Proof),
        (Err(fault), _) => Err(fault),
        (Ok(_), None) => Err(ScramFault::Proof),
    };
    match proved {
        Ok((server_final, credential)) => {
            wire.say(&authentication(SASL_FINAL, server_final.as_bytes())).await?;
            credential.check(now)?;
            Ok(credential.identity(Way::Scram))
        }
        Err(ScramFault::Proof) => {
            guard.failed();
            Err(Refusal::Denied(if roster.find(user).is_some() { Denied::WrongPassword } else { Denied::Unknown }))
        }
        Err(fault) => Err(Refusal::Scram(fault)),
    }
}

/// A password, which is a token or that of a registered identity.
pub(super) async fn password(
    wire: &mut Exchange<'_>,
    user: &Bytes,
    doors: &Doors,
    guard: &impl Guard,
    now: Timestamp,
) -> Result<Identity, Refusal> {
    wire.say(&authentication(CLEARTEXT_PASSWORD, b"")).await?;
    let frame = match wire.hear().await {
        Err(Refusal::Malformed(Malformed::Length(_))) => return counted(guard, Err(Refusal::Token(TokenFault::Oversize))),
        heard => heard?,
    };
    // INVARIANT of the protocol: one text, ended by a zero byte.
    let (end, secret) = frame.body().split_last().ok_or(Refusal::Malformed(Malformed::Short { tag: frame.tag() }))?;
    if *end != 0 || secret.contains(&0) {
        return Err(Refusal::Malformed(Malformed::Value { tag: frame.tag() }));
    }
    if secret.len() > TOKEN_BYTES_MAX {
        return counted(guard, Err(Refusal::Token(TokenFault::Oversize)));
    }
    let secret = Secret::new(secret.to_vec());
    unbarred(guard)?;
    let proved = match &doors.tokens {
        Some(tokens) if is_token(secret.reveal()) => tokens.identify(&secret, Way::Token).await.map_err(Refusal::Token),
        _ => registered(user.clone(), secret, Arc::clone(&doors.roster), now).await,
    };
    counted(guard, proved)
}

/// No proof is looked at of those who have failed too often.
pub(super) fn unbarred(guard: &impl Guard) -> Result<(), Refusal> {
    if guard.is_barred() { Err(Refusal::Throttled) } else { Ok(()) }
}

/// What a check that took its time has come to. Others may have failed meanwhile: whoever is barred by now does not learn it.
fn counted(guard: &impl Guard, proved: Result<Identity, Refusal>) -> Result<Identity, Refusal> {
    unbarred(guard)?;
    if proved.as_ref().is_err_and(Refusal::is_wrong_proof) {
        guard.failed();
    }
    proved
}

/// The rounds of hashing take a while: on a thread that may be kept busy.
async fn registered(user: Bytes, password: Secret, roster: Arc<Roster>, now: Timestamp) -> Result<Identity, Refusal> {
    let admitted = tokio::task::spawn_blocking(move || roster.admit(&user, password.reveal(), now));
    match admitted.await {
        Ok(admitted) => Ok(admitted?.identity(Way::Password)),
        Err(_) => Err(Refusal::Denied(Denied::WrongPassword)),
    }
}

/// OAUTHBEARER: the client has a token, or asks where to get one.
pub(super) async fn bearer(
    wire: &mut Exchange<'_>,
    tokens: &Arc<dyn Tokens>,
    guard: &impl Guard,
    issuer: Option<&str>,
) -> Result<Identity, Refusal> {
    let first = match begin(wire, &[OAUTHBEARER]).await {
        Ok((_, first)) if first.len() <= BEARER_BYTES_MAX => first,
        Ok(_) | Err(Refusal::Malformed(Malformed::Length(_))) => {
            return counted(guard, Err(Refusal::Token(TokenFault::Oversize)));
        }
        Err(refusal) => return Err(refusal),
    };
    unbarred(guard)?;
    let why = match Bearer::read(&first).map_err(Refusal::Bearer)? {
        Bearer::Discovery => Refusal::NoToken,
        Bearer::Token(token) => {
            let proved = tokens.identify(&token, Way::Bearer).await.map_err(Refusal::Token);
            match counted(guard, proved) {
                Err(why @ Refusal::Token(_)) => why,
                settled => return settled,
            }
        }
    };
    // The client hears where to get another token, acknowledges that, and is refused.
    let challenge = tokens.challenge(issuer).unwrap_or_default();
    wire.say(&authentication(SASL_CONTINUE, challenge.as_bytes())).await?;
    if !is_acknowledged(&wire.hear().await?.body_bytes()) {
        return Err(Refusal::Bearer(crate::identity::BearerFault::Malformed));
    }
    Err(why)
}
