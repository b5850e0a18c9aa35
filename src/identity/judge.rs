//! From what a token says to who somebody is: OpenID Connect Core section 3.1.3.7, RFC 9068 section 4, RFC 8725.

use jiff::Timestamp;
use serde_json::Value;

use super::claims::ClaimPath;
use super::groups::GroupRules;
use super::{Algorithm, Claims, Expiry, Identity, TokenFault, Way};

/// Longest subject that is read, in bytes.
const SUBJECT_BYTES_MAX: usize = 512;
/// Longest name that an identity is shown by, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Most that act for one another.
const ACTORS_MAX: usize = 4;

/// What an issuer's tokens must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The issuer's name in the configuration.
    pub name: String,
    /// The issuer, as its tokens spell it.
    pub issuer: String,
    /// For whom a token must be: one of these.
    pub audience: Vec<String>,
    /// The client that people log in by; an ID token for it must have been given to it.
    pub client_id: Option<String>,
    /// To whom a token must have been given (`azp`, `client_id`, `appid`, `cid`): one of these; empty is anybody.
    pub parties: Vec<String>,
    /// Signature algorithms that are taken.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may differ.
    pub leeway_s: i64,
    /// Claims that name a person, the first that is there; without one the subject does.
    pub names: Vec<ClaimPath>,
    /// How groups are read.
    pub groups: GroupRules,
    /// What the end of a token means for the session that it opened; `None` for what holds for all.
    pub at_expiry: Option<Expiry>,
    /// What members of some groups must have shown at their login.
    pub assurance: Vec<Assurance>,
}

/// What a login must have been like for members of these groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assurance {
    /// The groups.
    pub groups: Vec<String>,
    /// One of these must be among the token's `amr`; empty asks for none.
    pub amr: Vec<String>,
    /// The token's `acr` must be one of these; empty asks for none.
    pub acr: Vec<String>,
}

impl Rules {
    /// Who this token is of. The name is what the token says: whether it is free is for `NameBook`.
    ///
    /// # Errors
    /// Whatever the token does not comply with.
    pub fn judge(&self, claims: &Claims, now: Timestamp, nonce: Option<&str>) -> Result<Identity, TokenFault> {
        if claims.0.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(TokenFault::Issuer);
        }
        // OpenID Connect Back-Channel Logout section 2.4: only a logout token has this.
        if claims.0.contains_key("events") {
            return Err(TokenFault::Type);
        }
        // Who holds a token for somebody else learns nothing more about it.
        self.audience(claims)?;
        let expires = self.times(claims, now)?;
        if nonce.is_some_and(|nonce| claims.0.get("nonce").and_then(Value::as_str) != Some(nonce)) {
            return Err(TokenFault::Nonce);
        }
        let subject = claims.text(&"sub".into()).filter(|subject| subject.len() <= SUBJECT_BYTES_MAX);
        let subject = subject.ok_or(TokenFault::Claim("sub"))?;
        let groups = self.groups.read(claims, subject)?;
        self.strength(claims, &groups)?;
        Ok(Identity {
            name: self.name_of(claims, subject).to_owned(),
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            actor: actor(claims)?,
            groups,
            expires: Some(expires),
            at_expiry: self.at_expiry,
            way: Way::Token,
        })
    }

    /// When it ends: as long as it would let somebody in, so long does the session last that it has opened.
    fn times(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, TokenFault> {
        let now = now.as_second();
        let expires = claims.seconds("exp")?.ok_or(TokenFault::Claim("exp"))?;
        let until = expires.saturating_add(self.leeway_s);
        if until <= now {
            return Err(TokenFault::Expired);
        }
        for name in ["nbf", "iat"] {
            if claims.seconds(name)?.is_some_and(|from| from > now.saturating_add(self.leeway_s)) {
                return Err(TokenFault::Early);
            }
        }
        Timestamp::from_second(until).map_err(|_| TokenFault::Claim("exp"))
    }

    fn audience(&self, claims: &Claims) -> Result<(), TokenFault> {
        let audience = claims.texts("aud")?;
        let own = audience.iter().find(|one| self.audience.iter().any(|ours| ours == *one)).ok_or(TokenFault::Audience)?;
        let party = ["azp", "client_id", "appid", "cid"].iter().find_map(|name| claims.0.get(*name));
        let party = match party {
            Some(party) => Some(party.as_str().ok_or(TokenFault::Claim("azp"))?),
            None => None,
        };
        let fits = match (&self.client_id, party) {
            (_, party) if !self.parties.is_empty() => party.is_some_and(|party| self.parties.iter().any(|one| one == party)),
            // An ID token: it is for the client that it was given to.
            (Some(client), Some(party)) if client == own => party == client,
            (Some(client), None) if client == own => audience.len() == 1,
            _ => true,
        };
        if fits { Ok(()) } else { Err(TokenFault::Party) }
    }

    fn strength(&self, claims: &Claims, groups: &[String]) -> Result<(), TokenFault> {
        let (amr, acr) = (claims.texts("amr")?, claims.texts("acr")?);
        for assurance in &self.assurance {
            let Some(group) = assurance.groups.iter().find(|group| groups.contains(group)) else { continue };
            let shown =
                |asked: &[String], have: &[&str]| asked.is_empty() || asked.iter().any(|one| have.contains(&one.as_str()));
            if !shown(&assurance.amr, &amr) || !shown(&assurance.acr, &acr) {
                return Err(TokenFault::Assurance(group.clone()));
            }
        }
        Ok(())
    }

    fn name_of<'c>(&self, claims: &'c Claims, subject: &'c str) -> &'c str {
        let unverified = claims.0.get("email_verified").is_some_and(|verified| *verified == Value::Bool(false));
        let usable = |path: &&ClaimPath| !(unverified && **path == ClaimPath::from("email"));
        let named = self.names.iter().filter(usable).find_map(|path| claims.text(path));
        named.filter(|name| name.len() <= NAME_BYTES_MAX).unwrap_or(subject)
    }
}

/// Who acts for the subject (RFC 8693 section 4.1), the nearest first, each by subject; empty if nobody does.
fn actor(claims: &Claims) -> Result<String, TokenFault> {
    let mut names = Vec::new();
    let mut next = claims.0.get("act");
    while let Some(act) = next {
        let name = act.get("sub").and_then(Value::as_str).filter(|name| !name.is_empty() && name.len() <= SUBJECT_BYTES_MAX);
        let name = name.filter(|name| !name.chars().any(char::is_control)).ok_or(TokenFault::Claim("act"))?;
        if names.len() == ACTORS_MAX {
            return Err(TokenFault::Claim("act"));
        }
        names.push(name);
        next = act.get("act");
    }
    Ok(names.join(" for "))
}
