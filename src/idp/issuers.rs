//! All issuers: the one that a token is of checks it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::http::{Http, HttpFault};
use super::keys::{Ages, Asked, Keys, Source, fits};
use crate::identity::{Claims, Identity, NameBook, Rules, Token, TokenFault, Way, challenge};
use crate::secret::Secret;

/// How often the issuer is asked within one login: a question under way may be older than the key.
const QUESTIONS_MAX: usize = 2;

/// An issuer as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What its tokens must be like.
    pub rules: Rules,
    /// Where its keys are, if discovery is not to be asked.
    pub keys_url: Option<String>,
    /// The roots that vouch for it (PEM), `None` for the system's.
    pub roots: Option<Vec<u8>>,
    /// A token that it wants to see before it gives its keys out, as a Kubernetes API server does.
    pub token_file: Option<PathBuf>,
    /// Whether it may be reached by plain HTTP on this machine.
    pub loopback_http: bool,
    /// Keys that are older are asked for again.
    pub keys_fresh: Duration,
    /// Keys that are older do not serve.
    pub keys_max: Duration,
    /// What clients are to ask for when they log in.
    pub scope: String,
}

/// Why an issuer cannot be served: the operator's fault.
#[derive(Debug, thiserror::Error)]
#[error("issuer `{name}`: {fault}")]
pub struct IssuerFault {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub fault: HttpFault,
}

#[derive(Debug)]
struct Issuer {
    rules: Rules,
    keys: Arc<Keys>,
    scope: String,
}

impl Issuer {
    fn new(settings: Settings) -> Result<Self, IssuerFault> {
        let Settings { rules, keys_url, roots, token_file, loopback_http, keys_fresh, keys_max, scope } = settings;
        let http = Http::new(roots.as_deref(), loopback_http);
        let http = http.map_err(|fault| IssuerFault { name: rules.name.clone(), fault })?;
        let source = Source { http, issuer: rules.issuer.clone(), keys_url, token_file, loopback_http };
        let keys = Keys::new(rules.name.clone(), source, Ages { fresh: keys_fresh, max: keys_max });
        Ok(Self { rules, keys, scope })
    }

    /// What the token says, if this issuer has signed it.
    async fn verify(&self, token: Token<'_>) -> Result<Claims, TokenFault> {
        let algorithm = token.algorithm();
        if !self.rules.algorithms.contains(&algorithm) {
            return Err(TokenFault::Algorithm);
        }
        let mut questions = 0;
        loop {
            let held = self.keys.held();
            let fitting = held.as_ref().map(|held| held.fitting(token.key())).unwrap_or_default();
            if !fitting.is_empty() {
                return token.verified(|signed, signature| fitting.iter().any(|key| fits(key, algorithm, signed, signature)));
            }
            let asked = if questions == QUESTIONS_MAX { Asked::Unanswered } else { self.keys.asked_again().await };
            match asked {
                Asked::Answered => questions += 1,
                Asked::Unanswered if held.is_some() => return Err(TokenFault::Key),
                Asked::Unanswered | Asked::Crowded => return Err(TokenFault::Unavailable(self.rules.name.clone())),
            }
        }
    }
}

/// The issuers whose tokens are taken.
#[derive(Debug, Default)]
pub struct Issuers {
    /// In the order of the configuration.
    list: Vec<Arc<Issuer>>,
    by_url: HashMap<String, usize>,
    names: Mutex<NameBook>,
}

impl Issuers {
    /// Takes the issuers of a configuration; their names and addresses differ.
    ///
    /// # Errors
    /// What keeps one from being asked at all.
    pub fn new(settings: Vec<Settings>) -> Result<Self, IssuerFault> {
        let list = settings.into_iter().map(|one| Issuer::new(one).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let by_url = list.iter().enumerate().map(|(place, issuer)| (issuer.rules.issuer.clone(), place)).collect();
        Ok(Self { list, by_url, names: Mutex::default() })
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Asks every issuer for its keys, in the background: so that the first login need not wait, and a fault is known early.
    pub fn warm(&self) {
        self.list.iter().for_each(|issuer| issuer.keys.ask());
    }

    /// Who this token is of.
    ///
    /// # Errors
    /// Whatever it does not comply with.
    pub async fn identify(&self, token: &Secret, way: Way) -> Result<Identity, TokenFault> {
        let token = Token::read(token.reveal())?;
        let place = token.issuer().and_then(|issuer| self.by_url.get(issuer)).copied();
        let issuer = place.and_then(|place| self.list.get(place)).ok_or(TokenFault::Issuer)?;
        let claims = issuer.verify(token).await?;
        let mut identity = issuer.rules.judge(&claims, Timestamp::now(), None)?;
        identity.way = way;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).enter(&mut identity)?;
        Ok(identity)
    }

    /// Where a client of OAUTHBEARER is told to get a token: at the issuer of this name, else at the first.
    #[must_use]
    pub fn challenge(&self, name: Option<&str>) -> Option<String> {
        let named = self.list.iter().find(|issuer| Some(issuer.rules.name.as_str()) == name);
        let issuer = named.or_else(|| self.list.first())?;
        Some(challenge(&issuer.rules.issuer, &issuer.scope, issuer.rules.client_id.as_deref()))
    }
}
