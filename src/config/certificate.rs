//! `[[certificate]]`: whom clients' certificates stand for.

use std::collections::HashMap;

use super::read::name;
use super::{Certificate, Credential};
use crate::policy::{Fields, clip};

/// Most entries.
const CERTIFICATES_MAX: usize = 10_000;

/// Reads them; `client_roots` says whether clients are asked for certificates at all.
pub(super) fn certificates(root: &Fields<'_, '_>, client_roots: bool, credentials: &[Credential]) -> Option<Vec<Certificate>> {
    let tables = root.tables("certificate");
    if tables.len() > CERTIFICATES_MAX {
        root.fault(format!("more than {CERTIFICATES_MAX} `[[certificate]]` entries"));
        return None;
    }
    if let (Some(first), false) = (tables.first(), client_roots) {
        first.fault("`[[certificate]]` needs `client_ca` in `[listen] tls`: without it no client is asked for a certificate");
    }
    let (mut names, mut sans) = (HashMap::new(), HashMap::new());
    let read: Vec<Option<Certificate>> =
        tables.iter().map(|fields| certificate(fields, (&mut names, &mut sans), credentials)).collect();
    read.into_iter().collect()
}

fn certificate(
    fields: &Fields<'_, '_>,
    (names, sans): (&mut HashMap<String, usize>, &mut HashMap<String, usize>),
    credentials: &[Credential],
) -> Option<Certificate> {
    fields.only(&["san", "name", "groups"]);
    let san = fields.require("san").and_then(|value| {
        let text = value.text()?;
        if let Some(line) = sans.insert(text.to_owned(), value.line()) {
            value.fault(format!("`{}` is taken in line {line}", clip(text)));
        }
        Some(text.to_owned())
    });
    let name = fields.require("name").and_then(|value| {
        let name = name(&value, names)?;
        if credentials.iter().any(|credential| credential.name == name) || name.contains('@') {
            value.fault(format!("the name `{}` is that of a credential, or could be an issuer's: it has `@` in it", clip(&name)));
        }
        Some(name)
    });
    let groups = fields.require("groups").and_then(|value| value.words());
    Some(Certificate { san: san?, name: name?, groups: groups? })
}
