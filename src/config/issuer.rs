//! `[[issuer]]`: whose tokens are taken, and what becomes of what they say.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Credential;
use super::read::{Reader, choice, name};
use crate::identity::{Algorithm, Assurance, ClaimPath, Expiry, GroupRules, Rules};
use crate::idp::{Settings, is_loopback_http};
use crate::policy::{Fields, Value, clip, ticked};

/// Most issuers.
const ISSUERS_MAX: usize = 100;
/// Most entries of a `groups_map`.
const MAP_MAX: usize = 10_000;
/// How far clocks may differ at most, in milliseconds.
const LEEWAY_MS_MAX: u64 = 300_000;
/// How far they may differ if nothing is said.
const LEEWAY_MS: u64 = 30_000;
/// From which age on keys are asked for again, if nothing is said.
const FRESH_MS: u64 = 600_000;
/// How long keys serve while the issuer is silent, if nothing is said.
const KEYS_MS: u64 = 12 * HOUR_MS;
const HOUR_MS: u64 = 3_600_000;
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;

const KEYS: [&str; 22] = [
    "name",
    "url",
    "audience",
    "client_id",
    "scope",
    "authorized_parties",
    "algorithms",
    "leeway",
    "name_claim",
    "groups_claim",
    "groups_prefix",
    "groups_map",
    "groups",
    "subjects",
    "require",
    "keys_url",
    "keys_refresh",
    "keys_max_age",
    "ca_file",
    "token_file",
    "loopback_http",
    "expiry",
];

impl Reader<'_> {
    /// The issuers. The names of their identities end with `@` and the issuer's name, so no credential may be called like that.
    pub(super) fn issuers(&self, root: &Fields<'_, '_>, credentials: &[Credential]) -> Option<Vec<Settings>> {
        let tables = root.tables("issuer");
        if tables.len() > ISSUERS_MAX {
            root.fault(format!("more than {ISSUERS_MAX} `[[issuer]]` entries"));
            return None;
        }
        let mut names = HashMap::new();
        let read: Vec<Option<Settings>> = tables.iter().map(|fields| self.issuer(fields, &mut names, credentials)).collect();
        let issuers: Vec<Settings> = read.into_iter().collect::<Option<_>>()?;
        for (place, (issuer, fields)) in issuers.iter().zip(&tables).enumerate() {
            if issuers.iter().take(place).any(|earlier| earlier.rules.issuer == issuer.rules.issuer) {
                fields.fault(format!("`{}` is there twice: one entry takes several audiences", clip(&issuer.rules.issuer)));
            }
        }
        Some(issuers)
    }

    fn issuer(
        &self,
        fields: &Fields<'_, '_>,
        names: &mut HashMap<String, usize>,
        credentials: &[Credential],
    ) -> Option<Settings> {
        fields.only(&KEYS);
        let name = fields.require("name").and_then(|value| {
            let name = name(&value, names)?;
            let suffix = format!("@{name}");
            if let Some(credential) = credentials.iter().find(|credential| credential.name.ends_with(&suffix)) {
                value.fault(format!("credential `{}` is named like an identity of this issuer", clip(&credential.name)));
            }
            Some(name)
        });
        let loopback_http = fields.value("loopback_http").is_some_and(|value| value.boolean().unwrap_or(false));
        let url = fields.require("url").and_then(|value| address(&value, loopback_http));
        let keys_url = optional(fields, "keys_url", |value| address(value, loopback_http));
        let roots = optional(fields, "ca_file", |value| self.roots(value));
        let token_file = optional(fields, "token_file", |value| Some(self.read(value)?.0));
        let fresh = duration(fields, "keys_refresh", (1_000, 24 * HOUR_MS), FRESH_MS);
        let keys_max = duration(fields, "keys_max_age", (1_000, WEEK_MS), KEYS_MS);
        let scope = optional(fields, "scope", |value| value.text().map(str::to_owned));
        let rules = rules(fields);
        Some(Settings {
            rules: Rules { name: name?, issuer: url?, ..rules? },
            keys_url: keys_url?,
            roots: roots?,
            token_file: token_file?,
            loopback_http,
            keys_fresh: Duration::from_millis(fresh?),
            keys_max: Duration::from_millis(keys_max?),
            scope: scope?.unwrap_or_else(|| "openid".to_owned()),
        })
    }

    pub(super) fn roots(&self, value: &Value<'_, '_>) -> Option<Vec<u8>> {
        let (path, pem) = self.read(value)?;
        let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        if found.is_empty() {
            value.fault(format!("`{}` holds no certificate in PEM form", path.display()));
            return None;
        }
        Some(pem)
    }
}

/// The value of a key as `read` takes it: `Some(None)` if it is not there, `None` if it is faulty.
pub(super) fn optional<T>(
    fields: &Fields<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&Value<'_, '_>) -> Option<T>,
) -> Option<Option<T>> {
    match fields.value(key) {
        Some(value) => read(&value).map(Some),
        None => Some(None),
    }
}

fn duration(fields: &Fields<'_, '_>, key: &'static str, (min, max): (u64, u64), otherwise: u64) -> Option<u64> {
    Some(optional(fields, key, |value| value.duration_ms(min, max))?.unwrap_or(otherwise))
}

/// The texts of a key, none if it is not there.
fn words(fields: &Fields<'_, '_>, key: &'static str) -> Option<Vec<String>> {
    Some(optional(fields, key, |value| value.words())?.unwrap_or_default())
}

/// Everything about tokens but the issuer's name and address.
fn rules(fields: &Fields<'_, '_>) -> Option<Rules> {
    let client_id = optional(fields, "client_id", |value| value.text().map(str::to_owned));
    let audience = fields.require("audience").and_then(|value| value.words());
    let algorithms = optional(fields, "algorithms", algorithms);
    let names = optional(fields, "name_claim", |value| value.words());
    let leeway_ms = duration(fields, "leeway", (0, LEEWAY_MS_MAX), LEEWAY_MS);
    let (groups, parties) = (groups(fields), words(fields, "authorized_parties"));
    let at_expiry = optional(fields, "expiry", |value| choice(value, &Expiry::ALL));
    let required: Vec<Option<Assurance>> = fields.tables("require").iter().map(assurance).collect();
    let names = names?.unwrap_or_else(|| ["preferred_username", "email"].map(str::to_owned).to_vec());
    Some(Rules {
        name: String::new(),
        issuer: String::new(),
        audience: audience?,
        client_id: client_id?,
        parties: parties?,
        algorithms: algorithms?.unwrap_or_else(|| Algorithm::ALL.iter().map(|(_, algorithm)| *algorithm).collect()),
        leeway_s: i64::try_from(leeway_ms? / 1_000).ok()?,
        names: names.iter().map(|name| ClaimPath::from(name.as_str())).collect(),
        groups: groups?,
        at_expiry: at_expiry?,
        assurance: required.into_iter().collect::<Option<_>>()?,
    })
}

fn algorithms(value: &Value<'_, '_>) -> Option<Vec<Algorithm>> {
    let known = Algorithm::ALL.map(|(name, _)| name);
    let algorithm = |(text, place): (&str, Value<'_, '_>)| {
        let algorithm = Algorithm::from_name(text);
        if algorithm.is_none() {
            place.fault(format!("`{}` is no algorithm that is taken; it is one of {}", clip(text), ticked(&known)));
        }
        algorithm
    };
    let read: Vec<Option<Algorithm>> = value.texts()?.into_iter().map(algorithm).collect();
    read.into_iter().collect()
}

fn groups(fields: &Fields<'_, '_>) -> Option<GroupRules> {
    let always = words(fields, "groups");
    let claim = optional(fields, "groups_claim", |value| match value.raw().is_array() {
        true => value.words().map(ClaimPath::new),
        false => value.text().map(ClaimPath::from),
    });
    let prefix = optional(fields, "groups_prefix", |value| value.text().map(str::to_owned));
    let map = optional(fields, "groups_map", |value| map(value, "groups_map"));
    let subjects = optional(fields, "subjects", |value| self::map(value, "subjects"));
    let (always, claim) = (always?, claim?);
    for key in ["groups_prefix", "groups_map"] {
        if let (None, Some(value)) = (&claim, fields.value(key)) {
            value.fault(format!("`{key}` needs a `groups_claim`"));
        }
    }
    let subjects = subjects?.unwrap_or_default();
    if claim.is_none() && always.is_empty() && subjects.is_empty() {
        fields.fault("`[[issuer]]` lacks `groups_claim`, `subjects`, or `groups` for all its identities: nobody could come in");
        return None;
    }
    Some(GroupRules { claim, prefix: prefix?.unwrap_or_default(), map: map?.unwrap_or_default(), always, subjects })
}

fn map(value: &Value<'_, '_>, key: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let fields = value.fields(&format!("`{key}`"))?;
    let entries: Vec<_> = fields.entries().collect();
    if entries.is_empty() || entries.len() > MAP_MAX {
        value.fault(format!("`{key}` holds from 1 to {MAP_MAX} entries"));
        return None;
    }
    entries.into_iter().map(|(from, to)| Some((from.to_owned(), to.words()?))).collect()
}

fn assurance(fields: &Fields<'_, '_>) -> Option<Assurance> {
    fields.only(&["groups", "amr", "acr"]);
    let groups = fields.require("groups").and_then(|value| value.words());
    let assurance = Assurance { groups: groups?, amr: words(fields, "amr")?, acr: words(fields, "acr")? };
    if assurance.amr.is_empty() && assurance.acr.is_empty() {
        fields.fault("`[[issuer.require]]` asks for `amr` or `acr`");
        return None;
    }
    Some(assurance)
}

fn address(value: &Value<'_, '_>, loopback_http: bool) -> Option<String> {
    let text = value.text()?;
    let secure = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if !(secure || (loopback_http && is_loopback_http(text))) || text.contains(['?', '#', '@', ' ']) {
        value.fault(format!("`{}` is no address of an issuer: it is written `https://HOST/PATH`", clip(text)));
        return None;
    }
    Some(text.to_owned())
}
