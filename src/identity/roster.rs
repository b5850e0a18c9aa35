//! The identities that are registered here, and whether one is let in.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Holders, ITERATIONS_MIN, Identity, Verifier, Way};
use crate::secret::Secret;

/// A registered identity.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What the client gives as user.
    pub name: String,
    /// The groups that policies speak of.
    pub groups: Vec<String>,
    /// What its password is checked against.
    pub verifier: Verifier,
    /// From this moment on it is refused; `None` if it does not expire.
    pub expires: Option<Timestamp>,
}

impl Credential {
    /// Who has proved that the credential is theirs.
    #[must_use]
    pub fn identity(&self, way: Way) -> Identity {
        Identity {
            name: self.name.clone(),
            issuer: String::new(),
            subject: self.name.clone(),
            actor: String::new(),
            groups: self.groups.clone(),
            expires: self.expires,
            at_expiry: None,
            way,
        }
    }

    /// Whether it still holds at `now`.
    ///
    /// # Errors
    /// `Expired`.
    pub fn check(&self, now: Timestamp) -> Result<(), Denied> {
        match self.expires {
            Some(expired) if expired <= now => Err(Denied::Expired { expired }),
            _ => Ok(()),
        }
    }
}

/// Why an identity is not let in. The first two must look the same to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody of this name is registered.
    #[error("unknown identity")]
    Unknown,
    /// The password is wrong.
    #[error("wrong password")]
    WrongPassword,
    /// The password was right, but the credential's time is over.
    #[error("credential expired at {expired}")]
    Expired {
        /// When it ended.
        expired: Timestamp,
    },
}

impl Denied {
    /// Its name in the log.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-identity",
            Self::WrongPassword => "wrong-password",
            Self::Expired { .. } => "expired",
        }
    }
}

/// What is wrong with a list of credentials: the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterFault {
    /// Two have one name.
    #[error("credential `{0}` is there twice")]
    Twice(String),
}

/// The registered identities by name.
#[derive(Debug)]
pub struct Roster {
    credentials: HashMap<String, Arc<Credential>>,
    /// What the same identities had before, as long as it still serves beside that.
    former: HashMap<String, Arc<Credential>>,
    holders: Holders,
    mock_key: Secret,
    mock_iterations: NonZeroU32,
}

impl Roster {
    /// Makes the list. `mock_key` is a secret of this deployment that must outlive a restart: with it, an identity that does not
    /// exist has the same salt every time.
    ///
    /// # Errors
    /// `Twice` if a name is not unique.
    pub fn new(credentials: Vec<Credential>, mock_key: Secret) -> Result<Self, RosterFault> {
        let mock_iterations = usual_iterations(&credentials);
        let mut by_name = HashMap::with_capacity(credentials.len());
        for credential in credentials {
            if let Some(earlier) = by_name.insert(credential.name.clone(), Arc::new(credential)) {
                return Err(RosterFault::Twice(earlier.name.clone()));
            }
        }
        Ok(Self { credentials: by_name, former: HashMap::new(), holders: Holders::default(), mock_key, mock_iterations })
    }

    /// Takes former credentials besides, at most one for each name; those whose verifiers are not kin serve nobody.
    #[must_use]
    pub fn with_former(mut self, former: Vec<Credential>) -> Self {
        let kin = |one: &Credential| self.credentials.get(&one.name).is_some_and(|now| now.verifier.is_kin(&one.verifier));
        let former = former.into_iter().filter(kin).map(|one| (one.name.clone(), Arc::new(one))).collect();
        self.former = former;
        self
    }

    /// Takes holders of certificates besides; their names are no credentials'.
    #[must_use]
    pub fn with_holders(self, holders: Holders) -> Self {
        Self { holders, ..self }
    }

    /// Whom certificates stand for.
    #[must_use]
    pub fn holders(&self) -> &Holders {
        &self.holders
    }

    /// True if somebody who has come in by what is registered here would be the same if they came now.
    #[must_use]
    pub fn knows(&self, identity: &Identity) -> bool {
        match identity.way {
            Way::Certificate => self.holders.knows(&identity.name, &identity.groups),
            _ => self.find(identity.name.as_bytes()).is_some_and(|known| known.groups == identity.groups),
        }
    }

    /// The former credential of this identity.
    #[must_use]
    pub fn former(&self, name: &[u8]) -> Option<&Arc<Credential>> {
        std::str::from_utf8(name).ok().and_then(|name| self.former.get(name))
    }

    /// The identity of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Credential>> {
        std::str::from_utf8(name).ok().and_then(|name| self.credentials.get(name))
    }

    /// All identities, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.credentials.values()
    }

    /// What to run an exchange with: the identity's verifier, or one that fails.
    #[must_use]
    pub fn verifier(&self, name: &[u8]) -> Verifier {
        match self.find(name) {
            Some(credential) => credential.verifier.clone(),
            None => Verifier::mock(self.mock_key.reveal(), name, self.mock_iterations),
        }
    }

    /// Lets an identity in by name and password, as HTTP's basic authentication gives them. As slow for an unknown name as for a
    /// known one.
    ///
    /// # Errors
    /// Any of `Denied`.
    pub fn admit(&self, name: &[u8], password: &[u8], now: Timestamp) -> Result<Arc<Credential>, Denied> {
        let (verifier, former) = (self.verifier(name), self.former(name));
        let fitting = verifier.fitting(former.map(|former| &former.verifier), password);
        let credential = self.find(name).ok_or(Denied::Unknown)?;
        let credential = match (fitting, former) {
            (None, _) => return Err(Denied::WrongPassword),
            (Some(fitting), Some(former)) if *fitting == former.verifier => former,
            (Some(_), _) => credential,
        };
        credential.check(now).map(|()| Arc::clone(credential))
    }
}

/// The number of iterations that most credentials have, so that a mock does not stand out.
fn usual_iterations(credentials: &[Credential]) -> NonZeroU32 {
    let mut counts = HashMap::<NonZeroU32, usize>::new();
    for credential in credentials {
        *counts.entry(credential.verifier.iterations()).or_default() += 1;
    }
    let usual = counts.into_iter().max_by_key(|(iterations, count)| (*count, *iterations));
    usual.map_or(NonZeroU32::new(ITERATIONS_MIN).unwrap_or(NonZeroU32::MIN), |(iterations, _)| iterations)
}
