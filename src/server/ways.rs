//! The ways in, as the configuration has them.

use std::sync::Arc;

use super::StartFault;
use crate::config::Config;
use crate::frontend::{Doors, Identified, Tokens};
use crate::identity::{Roster, Way};
use crate::idp::Issuers;
use crate::secret::Secret;

/// The issuers' side of the frontend's door.
struct Proof(Issuers);

impl Tokens for Proof {
    fn identify<'a>(&'a self, token: &'a Secret, way: Way) -> Identified<'a> {
        Box::pin(self.0.identify(token, way))
    }

    fn challenge(&self, issuer: Option<&str>) -> Option<String> {
        self.0.challenge(issuer)
    }
}

/// Who can tell whose a token is. Issuers are asked for their keys in the background: a fault of theirs keeps nobody else out.
pub(super) fn tokens(config: &Config) -> Result<Option<Arc<dyn Tokens>>, StartFault> {
    let issuers = Issuers::new(config.issuers.clone()).map_err(StartFault::Issuer)?;
    issuers.warm();
    Ok(if issuers.is_empty() { None } else { Some(Arc::new(Proof(issuers))) })
}

/// All of them.
pub(super) fn doors(config: &Config, roster: Arc<Roster>, tokens: Option<Arc<dyn Tokens>>) -> Doors {
    Doors { roster, tokens, offers: config.login.offers.clone(), clear_on_loopback: config.login.clear_on_loopback }
}
