//! The names that issuers' identities are shown by: one for each, for as long as the process runs.

use std::collections::HashMap;

use super::{Identity, TokenFault};

/// Most identities whose names are remembered.
const NAMES_MAX: usize = 200_000;

/// Names by identity and identities by name. People can change what an issuer calls them; here they keep the name that they came
/// with, and nobody gets another's: so a name stands for issuer and subject wherever one is compared, as in an approval.
#[derive(Debug, Default)]
pub struct NameBook {
    names: HashMap<(String, String), String>,
    owners: HashMap<String, (String, String)>,
}

impl NameBook {
    /// Gives the identity its name: the one it has, else `name@issuer`, else `subject@issuer`.
    ///
    /// # Errors
    /// `Name` if those are another's, or no more names are remembered.
    pub fn enter(&mut self, identity: &mut Identity) -> Result<(), TokenFault> {
        let who = (identity.issuer.clone(), identity.subject.clone());
        if let Some(name) = self.names.get(&who) {
            identity.name.clone_from(name);
            return Ok(());
        }
        if self.names.len() >= NAMES_MAX {
            return Err(TokenFault::Name);
        }
        let candidates = [&identity.name, &identity.subject].map(|name| format!("{name}@{}", identity.issuer));
        let free = candidates.into_iter().find(|name| !self.owners.contains_key(name)).ok_or(TokenFault::Name)?;
        self.owners.insert(free.clone(), who.clone());
        self.names.insert(who, free.clone());
        identity.name = free;
        Ok(())
    }
}
