//! `[login]`: what clients are asked for.

use super::Login;
use super::read::choice;
use crate::identity::{Offer, OfferRule, Offers};
use crate::idp;
use crate::policy::{Fields, Value, clip};

/// Most `[[login.rule]]` entries.
const RULES_MAX: usize = 1_000;

/// Reads the table; `issuers` is `None` if they are faulty.
pub(super) fn login(root: &Fields<'_, '_>, issuers: Option<&[idp::Settings]>) -> Option<Login> {
    let Some(value) = root.value("login") else { return Some(Login::default()) };
    let fields = value.fields("`[login]`")?;
    fields.only(&["offer", "clear_on_loopback", "rule"]);
    let otherwise = match fields.value("offer") {
        Some(value) => offer(&value, issuers),
        None => Some(Offer::Auto),
    };
    let clear_on_loopback = match fields.value("clear_on_loopback") {
        Some(value) => value.boolean(),
        None => Some(false),
    };
    let tables = fields.tables("rule");
    if tables.len() > RULES_MAX {
        fields.fault(format!("more than {RULES_MAX} `[[login.rule]]` entries"));
        return None;
    }
    let rules: Vec<Option<OfferRule>> = tables.iter().map(|fields| rule(fields, issuers)).collect();
    let offers = Offers { rules: rules.into_iter().collect::<Option<_>>()?, otherwise: otherwise? };
    Some(Login { offers, clear_on_loopback: clear_on_loopback? })
}

fn rule(fields: &Fields<'_, '_>, issuers: Option<&[idp::Settings]>) -> Option<OfferRule> {
    fields.only(&["user", "database", "server_name", "offer", "issuer"]);
    if ["user", "database", "server_name"].iter().all(|key| fields.value(key).is_none()) {
        fields.fault("a rule says which clients it is for: `user`, `database` or `server_name`");
    }
    let pattern = |key| match fields.value(key) {
        Some(value) => value.text().map(|text| Some(text.to_owned())),
        None => Some(None),
    };
    let offer = fields.require("offer").and_then(|value| offer(&value, issuers));
    let issuer = match fields.value("issuer") {
        Some(value) => Some(issuer(&value, issuers)?),
        None => None,
    };
    let server_name = pattern("server_name")?.map(|name| name.to_ascii_lowercase());
    Some(OfferRule { user: pattern("user")?, database: pattern("database")?, server_name, offer: Some(offer?), issuer })
}

fn offer(value: &Value<'_, '_>, issuers: Option<&[idp::Settings]>) -> Option<Offer> {
    let offer = choice(value, &Offer::ALL)?;
    if offer == Offer::Bearer && issuers.is_some_and(<[_]>::is_empty) {
        value.fault("`oauthbearer` needs an `[[issuer]]`");
        return None;
    }
    Some(offer)
}

fn issuer(value: &Value<'_, '_>, issuers: Option<&[idp::Settings]>) -> Option<String> {
    let text = value.text()?;
    if issuers.is_some_and(|issuers| issuers.iter().all(|issuer| issuer.rules.name != text)) {
        value.fault(format!("there is no `[[issuer]]` named `{}`", clip(text)));
        return None;
    }
    Some(text.to_owned())
}
