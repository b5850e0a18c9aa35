//! Which way in a client is offered. A client takes the first that it knows, so no one order serves all.

/// A way in that a client is asked to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// SCRAM for names that are registered here, a password (which may be a token) for all others.
    Auto,
    /// SCRAM.
    Scram,
    /// A password in clear, inside TLS.
    Password,
    /// OAUTHBEARER.
    Bearer,
}

impl Offer {
    /// All of them, by the names that configurations and clients use.
    pub const ALL: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("scram", Self::Scram), ("password", Self::Password), ("oauthbearer", Self::Bearer)];

    /// The offer of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, offer)| *offer)
    }
}

/// What is known of a client before it proves anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'c> {
    /// The user that it names.
    pub user: &'c str,
    /// The database that it names.
    pub database: &'c str,
    /// The host that it asks for by TLS.
    pub server_name: &'c str,
    /// The `options` of its startup packet.
    pub options: &'c str,
}

/// Clients that are offered something of their own: all that is said must fit.
#[derive(Debug, Clone, Default)]
pub struct OfferRule {
    /// Pattern of the user.
    pub user: Option<String>,
    /// Pattern of the database.
    pub database: Option<String>,
    /// Pattern of the host asked for by TLS.
    pub server_name: Option<String>,
    /// What they are offered.
    pub offer: Option<Offer>,
    /// The issuer that OAUTHBEARER sends them to.
    pub issuer: Option<String>,
}

/// What clients are offered.
#[derive(Debug, Clone)]
pub struct Offers {
    /// The first rule that fits counts.
    pub rules: Vec<OfferRule>,
    /// If none fits.
    pub otherwise: Offer,
}

impl Default for Offers {
    fn default() -> Self {
        Self { rules: Vec::new(), otherwise: Offer::Auto }
    }
}

impl Offers {
    /// What this client is offered, and the issuer it is sent to if that is said. What the client itself asks for, by
    /// `-c pgveil.login=..` in its options, goes first: each way in proves as much.
    #[must_use]
    pub fn choose(&self, caller: &Caller<'_>) -> (Offer, Option<&str>) {
        let rule = self.rules.iter().find(|rule| rule.fits(caller));
        let issuer = rule.and_then(|rule| rule.issuer.as_deref());
        let offer = asked_for(caller.options).or_else(|| rule.and_then(|rule| rule.offer)).unwrap_or(self.otherwise);
        (offer, issuer)
    }
}

impl OfferRule {
    fn fits(&self, caller: &Caller<'_>) -> bool {
        let one = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| like(pattern, text));
        one(&self.user, caller.user) && one(&self.database, caller.database) && one(&self.server_name, caller.server_name)
    }
}

/// `-c pgveil.login=WAY`, `-cpgveil.login=WAY` or `--pgveil.login=WAY` among the options.
fn asked_for(options: &str) -> Option<Offer> {
    let (_, rest) = options.rsplit_once("pgveil.login=")?;
    Offer::from_name(rest.split_ascii_whitespace().next()?)
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((tail, middle)) = parts.split_last() else { return true };
    for part in middle {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(tail)
}
