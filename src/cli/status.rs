//! `pgveil status`: how a running proxy is, by its admin API.

use serde_json::Value;

use super::client::Place;
use super::{Exit, complain, plain};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs no login. Exits 0 if new sessions are taken, 1 if not (it ends, or its log has failed), 3 if nobody \
                  answers.\n\nExample:\n  pgveil status --config pgveil.toml"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let status = match arguments.place.anonymous().and_then(|client| client.get("/status")) {
        Ok(status) => status,
        Err((exit, why)) => {
            complain(&why);
            return exit;
        }
    };
    if arguments.place.json {
        println!("{status}");
    } else {
        show(&status);
    }
    if at(&status, "/state") == "serving" { Exit::Done } else { Exit::Refused }
}

/// What stands at a place of an answer; null if it has none.
fn at<'v>(value: &'v Value, place: &str) -> &'v Value {
    value.pointer(place).unwrap_or(&Value::Null)
}

fn show(status: &Value) {
    let seen = |place| at(status, place);
    let text = |place| plain(seen(place).as_str().unwrap_or("?"));
    let if_true = |place, words| if seen(place) == true { words } else { "" };
    println!("{}, version {}, up {} s", text("/state"), text("/version"), seen("/uptime_s"));
    let (file, when, digest) = (text("/configuration/file"), text("/configuration/at"), text("/configuration/digest"));
    println!("configuration: {file} of {when}, sha256 {digest}");
    if let Some(when) = seen("/configuration/refused").as_str() {
        println!("configuration: a newer one was refused at {}; `pgveil check` names its faults", plain(when));
    }
    println!(
        "log: {} entries, {} bytes; {} entries wait, the oldest for {} ms{}{}",
        seen("/log/entries"),
        seen("/log/bytes"),
        seen("/log/queued_entries"),
        seen("/log/lag_ms"),
        if_true("/log/failed", "; IT CANNOT BE WRITTEN"),
        if_true("/log/witness_failed", "; the witness file cannot be written"),
    );
    let (holds, refused, turned_away) = (seen("/holds_waiting"), seen("/logins_refused"), seen("/turned_away"));
    println!("holds: {holds} waiting; logins refused: {refused}; turned away: {turned_away}");
    seen("/databases").as_array().into_iter().flatten().for_each(show_database);
}

fn show_database(database: &Value) {
    let seen = |place| at(database, place);
    println!(
        "database {}: {} sessions; {} statements forwarded, {} held, {} blocked; {} rows, {} cells masked; {} upstream errors",
        plain(seen("/name").as_str().unwrap_or("?")),
        seen("/sessions"),
        seen("/forwarded"),
        seen("/held"),
        seen("/blocked"),
        seen("/rows"),
        seen("/masked_cells"),
        seen("/upstream_errors"),
    );
}
