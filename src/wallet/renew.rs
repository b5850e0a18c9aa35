//! Renewal: a login goes on without its person for as long as the issuer lets it.

use std::time::Duration;

use jiff::Timestamp;

use super::folder::{Folder, Lock, Name};
use super::keep::renewed;
use super::{Fault, Issuer, Kept, Login, Tokens};

/// How often a login is looked at that is renewed in the background: it may have been taken away.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Pause after the issuer could not be had.
const PAUSE: Duration = Duration::from_secs(10);

/// A login whose token serves now, renewed if it is time.
///
/// # Errors
/// `Missing`; `Over` if it cannot be renewed; else why it could not be renewed just now.
pub async fn fresh(folder: &Folder, name: &Name) -> Result<Kept, Fault> {
    let kept = Kept::read(folder, name)?;
    if !kept.login.tokens.is_due(Timestamp::now()) {
        return Ok(kept);
    }
    let lock = locked(folder, name).await?;
    // Somebody else may have renewed it meanwhile.
    let kept = Kept::read(folder, name)?;
    let tokens = &kept.login.tokens;
    if !tokens.is_due(Timestamp::now()) {
        return Ok(kept);
    }
    match next(&kept.login).await {
        Ok(Some(tokens)) => {
            let kept = Kept { login: Login { tokens, ..kept.login }, ..kept };
            renewed(folder, &kept)?;
            drop(lock);
            Ok(kept)
        }
        // What is left of it serves.
        Ok(None) | Err(_) if !tokens.is_over(Timestamp::now()) => Ok(kept),
        Ok(None) => Err(Fault::Over(name.to_string())),
        Err(fault) => Err(fault),
    }
}

/// Renews a login in the background until it is over or taken away.
///
/// # Errors
/// If its files cannot be read.
pub async fn watch(folder: &Folder, name: &Name) -> Result<(), Fault> {
    let Some(_only) = folder.only_one(name, "renewing")? else { return Ok(()) };
    loop {
        let kept = match fresh(folder, name).await {
            Ok(kept) => kept,
            Err(Fault::Missing(_) | Fault::Over(_)) => return Ok(()),
            Err(Fault::Http { .. } | Fault::Answer(_) | Fault::Denied(_)) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(fault) => return Err(fault),
        };
        let left = kept.login.tokens.due_s().saturating_sub(Timestamp::now().as_second());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        // One that could not be renewed although it is time is tried again after a while.
        tokio::time::sleep(if left.is_zero() { LOOK_EVERY } else { left.min(LOOK_EVERY) }).await;
    }
}

/// The next tokens; `None` if there are none to be had.
async fn next(login: &Login) -> Result<Option<Tokens>, Fault> {
    match (&login.tokens.refresh, &login.party.secret_file) {
        (None, None) => Ok(None),
        (_, Some(_)) => Issuer::discover(&login.party).await?.by_secret().await.map(Some),
        (Some(refresh), None) => Issuer::discover(&login.party).await?.renew(refresh).await,
    }
}

async fn locked(folder: &Folder, name: &Name) -> Result<Lock, Fault> {
    let (folder, own) = (folder.clone(), name.clone());
    let locked = tokio::task::spawn_blocking(move || folder.lock(&own)).await;
    locked.map_err(|_| Fault::Over(name.to_string()))?
}
