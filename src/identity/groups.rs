//! From a claim to the groups that policies speak of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::claims::ClaimPath;
use super::{Claims, TokenFault};

/// Most groups of one identity, after prefix and map have chosen among those of the token.
pub const GROUPS_MAX: usize = 500;
/// Longest name of a group that is kept, in bytes.
const GROUP_BYTES_MAX: usize = 256;

/// How an issuer's claim becomes groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRules {
    /// The claim; `None` if the token is not asked.
    pub claim: Option<ClaimPath>,
    /// Only values that begin so count, and this is taken off.
    pub prefix: String,
    /// Only these values count, and stand for these groups. Empty: each value is a group.
    pub map: BTreeMap<String, Vec<String>>,
    /// Groups of every identity of this issuer.
    pub always: Vec<String>,
    /// Groups of single identities, by subject: of machines, whose tokens seldom name any.
    pub subjects: BTreeMap<String, Vec<String>>,
}

impl GroupRules {
    /// The groups of the identity that this token is of.
    ///
    /// # Errors
    /// `GroupsElsewhere`, `ManyGroups`, `NoGroups`, or `Claim` if the claim holds something else than names.
    pub(super) fn read(&self, claims: &Claims, subject: &str) -> Result<Vec<String>, TokenFault> {
        let mut groups = self.always.clone();
        groups.extend(self.subjects.get(subject).into_iter().flatten().cloned());
        if let Some(path) = &self.claim {
            is_here(claims, path)?;
            for value in values(claims.at(path))? {
                self.add(value, &mut groups);
                if groups.len() > GROUPS_MAX {
                    return Err(TokenFault::ManyGroups);
                }
            }
        }
        groups.sort_unstable();
        groups.dedup();
        if groups.is_empty() { Err(TokenFault::NoGroups) } else { Ok(groups) }
    }

    fn add(&self, value: &str, groups: &mut Vec<String>) {
        let Some(rest) = value.strip_prefix(&self.prefix) else { return };
        let fits = !rest.is_empty() && rest.len() <= GROUP_BYTES_MAX && !rest.chars().any(char::is_control);
        match self.map.get(rest) {
            Some(mapped) => groups.extend(mapped.iter().cloned()),
            None if self.map.is_empty() && fits => groups.push(rest.to_owned()),
            None => {}
        }
    }
}

/// An issuer that leaves groups out of the token says so by `_claim_names` (OpenID Connect Core section 5.6.2), or by `hasgroups`.
/// What it then lists, if anything, is not the whole.
fn is_here(claims: &Claims, path: &ClaimPath) -> Result<(), TokenFault> {
    let elsewhere = claims.0.get("_claim_names").and_then(Value::as_object);
    let named = elsewhere.is_some_and(|names| path.roots().iter().any(|root| names.contains_key(root)));
    let hinted = claims.0.get("hasgroups").is_some_and(|has| *has == Value::Bool(true) || *has == Value::String("true".into()));
    if named || (hinted && claims.at(path).is_none()) { Err(TokenFault::GroupsElsewhere) } else { Ok(()) }
}

/// The names in a claim: one text, a list of texts, or the keys of an object.
fn values(claim: Option<&Value>) -> Result<Vec<&str>, TokenFault> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or(TokenFault::Claim("groups"))).collect::<Result<_, _>>()
        }
        Some(Value::Object(members)) => Ok(members.keys().map(String::as_str).collect()),
        Some(_) => Err(TokenFault::Claim("groups")),
    }
}
