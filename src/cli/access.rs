//! `pgveil sessions open`, `sessions end`, `credential revoke`: who is in, and the end of it, by the admin API.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::client::{Client, Failure, Place, plain};
use super::{Exit, complain};

pub(super) const REVOKE_EXAMPLES: &str = "Examples:
  pgveil credential revoke mcp-agent --as olivia
  pgveil credential revoke carla@okta --as olivia
  pgveil credential revoke --issuer okta --as olivia";

/// Who asks, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Who {
    /// Who asks: the name of a credential of an operator; its password is taken from PGVEIL_PASSWORD or asked for
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionsAction {
    /// The sessions that are open
    Open(Who),
    /// End an open session
    End {
        /// The session, or the beginning of its identifier
        id: String,
        #[command(flatten)]
        who: Who,
    },
}

/// Whose access.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true))]
pub(super) struct Revoke {
    /// A credential, or an identity as it is shown: NAME@ISSUER or SUBJECT@ISSUER
    #[arg(group = "whose")]
    identity: Option<String>,
    /// Every identity of an issuer
    #[arg(long, value_name = "ISSUER", group = "whose")]
    issuer: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Who {
    fn client(&self) -> Result<Client, Failure> {
        self.place.client(&self.name)
    }
}

pub(super) fn sessions(action: &SessionsAction) -> Exit {
    match action {
        SessionsAction::Open(who) => answer(who, who.client().and_then(|client| client.get("/sessions")), open),
        SessionsAction::End { id, who } => {
            let path = identifier(id).map(|id| format!("/sessions/{id}/end"));
            let ended = path.and_then(|path| who.client()?.post(&path, &json!({})));
            answer(who, ended, |value| format!("session {} of {} ended", text(value, "session"), text(value, "identity")))
        }
    }
}

pub(super) fn revoked(who: &Who) -> Exit {
    answer(who, who.client().and_then(|client| client.get("/revocations")), withdrawn)
}

pub(super) fn revoke(revoke: &Revoke, lifted: bool) -> Exit {
    let whose = match (&revoke.identity, &revoke.issuer) {
        (_, Some(issuer)) => json!({ "issuer": issuer }),
        (identity, None) => json!({ "identity": identity }),
    };
    let path = if lifted { "/revocations/lift" } else { "/revocations" };
    answer(&revoke.who, revoke.who.client().and_then(|client| client.post(path, &whose)), |value| {
        let (what, name) = (text(value, "what"), text(value, "name"));
        match value.get("ended").and_then(Value::as_u64) {
            _ if lifted => format!("{what} {name} may come in again"),
            Some(1) => format!("{what} {name} is revoked, and 1 open session has ended"),
            ended => format!("{what} {name} is revoked, and {} open sessions have ended", ended.unwrap_or_default()),
        }
    })
}

fn answer(who: &Who, answered: Result<Value, Failure>, show: impl FnOnce(&Value) -> String) -> Exit {
    match answered {
        Ok(value) if who.place.json => println!("{value}"),
        Ok(value) => println!("{}", show(&value)),
        Err((exit, why)) => {
            complain(&why);
            return exit;
        }
    }
    Exit::Done
}

/// Identifiers are hexadecimal digits: nothing else may reach the path of a request.
fn identifier(id: &str) -> Result<&str, Failure> {
    let fits = !id.is_empty() && id.len() <= 32 && id.chars().all(|c| c.is_ascii_hexdigit());
    fits.then_some(id).ok_or_else(|| (Exit::Usage, "a session is named by hexadecimal digits, like `3f9a`".to_owned()))
}

fn open(value: &Value) -> String {
    rows(value, "sessions", ["session", "who", "for them", "groups", "database", "client"], |session| {
        let since = ["id", "identity", "actor"].map(|key| text(session, key));
        let [id, identity, actor] = since;
        vec![id, identity, actor, words(session, "groups"), text(session, "database"), text(session, "client")]
    })
}

fn withdrawn(value: &Value) -> String {
    rows(value, "revocations", ["what", "name", "by"], |row| ["what", "name", "by"].map(|key| text(row, key)).to_vec())
}

fn rows<const N: usize>(value: &Value, key: &str, head: [&str; N], row: impl Fn(&Value) -> Vec<String>) -> String {
    let list = value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return "none".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head);
    for one in list {
        table.add_row(row(one));
    }
    table.to_string()
}

fn text(value: &Value, key: &str) -> String {
    plain(value.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn words(value: &Value, key: &str) -> String {
    let words = value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    plain(&words.collect::<Vec<_>>().join(", "))
}
