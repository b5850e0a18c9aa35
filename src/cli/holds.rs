//! `pgveil holds`: what waits, and people's answers.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::client::{Failure, Place, plain};
use super::{Exit, complain};
use crate::policy::show_ms;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = false, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Who asks: the name of a credential; its password is taken from PGVEIL_PASSWORD or asked for
    #[arg(long = "as", value_name = "NAME", global = true)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

const EXAMPLES: &str = "Examples:
  pgveil holds --as alice
  pgveil holds show h-7k2m9q --as alice
  pgveil holds approve h-7k2m9q --as alice
  pgveil holds deny h-7k2m9q --as alice --reason 'not without a ticket'";

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// What waits and concerns you
    List,
    /// One hold: its whole text, parameters and reasons
    Show {
        /// The hold
        id: String,
    },
    /// Say yes
    Approve {
        /// The hold
        id: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Say no
    Deny {
        /// The hold
        id: String,
        /// Why; the client is told
        #[arg(long, default_value = "")]
        reason: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match answer(arguments) {
        Ok(text) => {
            println!("{text}");
            Exit::Done
        }
        Err((exit, why)) => {
            complain(&why);
            exit
        }
    }
}

fn answer(arguments: &Arguments) -> Result<String, Failure> {
    let Some(name) = &arguments.name else {
        return Err((Exit::Usage, "say who you are with `--as NAME`".to_owned()));
    };
    let path = match &arguments.action {
        None | Some(Action::List) => "/holds".to_owned(),
        Some(Action::Show { id }) => format!("/holds/{}", identifier(id)?),
        Some(Action::Approve { id, .. }) => format!("/holds/{}/approve", identifier(id)?),
        Some(Action::Deny { id, .. }) => format!("/holds/{}/deny", identifier(id)?),
    };
    let client = arguments.place.client(name)?;
    let value = match &arguments.action {
        None | Some(Action::List | Action::Show { .. }) => client.get(&path)?,
        Some(Action::Approve { reason, .. } | Action::Deny { reason, .. }) => client.post(&path, &json!({ "reason": reason }))?,
    };
    if arguments.place.json {
        return Ok(value.to_string());
    }
    Ok(match &arguments.action {
        None | Some(Action::List) => table(&value),
        Some(Action::Show { .. }) => detail(&value),
        Some(Action::Approve { .. } | Action::Deny { .. }) => progress(&value),
    })
}

/// Identifiers hold letters, digits and a dash: nothing else may reach the path of a request.
fn identifier(id: &str) -> Result<&str, Failure> {
    let fits = !id.is_empty() && id.len() <= 32 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    fits.then_some(id).ok_or_else(|| (Exit::Usage, "a hold is named like `h-7k2m9q`".to_owned()))
}

fn table(value: &Value) -> String {
    let holds = value.get("holds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if holds.is_empty() {
        return "nothing waits".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["hold", "who", "database", "statement", "rules", "approved", "left"]);
    for hold in holds {
        table.add_row([
            text(hold, "id"),
            text(hold, "identity"),
            text(hold, "database"),
            text(hold, "summary"),
            words(hold, "rules"),
            approved(hold),
            left(hold),
        ]);
    }
    table.to_string()
}

fn detail(hold: &Value) -> String {
    let mut lines = vec![
        format!("hold       {}", text(hold, "id")),
        format!("who        {} ({})", text(hold, "identity"), words(hold, "groups")),
        format!("database   {}", text(hold, "database")),
        format!("session    {}", text(hold, "session")),
        format!("rules      {}", words(hold, "rules")),
        format!("approvers  {}", words(hold, "approvers")),
        format!("approved   {}", approved(hold)),
        format!("left       {}", left(hold)),
        format!("digest     {}", text(hold, "digest")),
    ];
    for reason in hold.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("because    {}", plain(reason.as_str().unwrap_or_default())));
    }
    lines.push(format!("\n{}", text(hold, "text")));
    let parameters = hold.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (number, parameter) in parameters.iter().enumerate() {
        lines.push(format!("  ${} = {}", number + 1, shown(parameter)));
    }
    let left_out = hold.get("parameters_left_out").and_then(Value::as_u64).unwrap_or(0);
    if left_out > 0 {
        lines.push(format!("  and {left_out} more parameters"));
    }
    lines.join("\n")
}

fn shown(parameter: &Value) -> String {
    match (parameter.get("text"), parameter.get("hex")) {
        (Some(text), _) => format!("'{}'", plain(text.as_str().unwrap_or_default())),
        (None, Some(hex)) => format!("\\x{}", hex.as_str().unwrap_or_default()),
        (None, None) => "NULL".to_owned(),
    }
}

fn progress(value: &Value) -> String {
    match value.get("state").and_then(Value::as_str) {
        Some("waiting") => format!("{} approved {}, and needs another person", text(value, "id"), approved(value)),
        Some(state) => format!("{} {state}", text(value, "id")),
        None => "answered".to_owned(),
    }
}

fn approved(hold: &Value) -> String {
    let by = hold.get("approved_by").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
    let needed = hold.get("approvals").and_then(Value::as_u64).unwrap_or_default();
    let names = words(hold, "approved_by");
    if names.is_empty() { format!("{by} of {needed}") } else { format!("{by} of {needed} ({names})") }
}

fn left(hold: &Value) -> String {
    let ms = hold.get("left_ms").and_then(Value::as_u64).unwrap_or_default();
    let minutes = ms / 60_000;
    if minutes >= 2 { show_ms(minutes * 60_000) } else { show_ms(ms / 1000 * 1000) }
}

fn text(value: &Value, key: &str) -> String {
    plain(value.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn words(value: &Value, key: &str) -> String {
    let words = value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    plain(&words.collect::<Vec<_>>().join(", "))
}
