//! `pgveil credential new`: a password, shown once, and what the configuration keeps of it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Exit, access, complain, credentials};
use crate::config::Config;
use crate::identity::Verifier;
use crate::policy::{FileFault, parse_ms, show_ms};

/// Random bytes of a password.
const PASSWORD_BYTES: usize = 24;
/// Longest name, in bytes: PostgreSQL's own limit.
const NAME_BYTES_MAX: usize = 63;
/// Shortest and longest life, in milliseconds.
const TTL_MS: std::ops::RangeInclusive<u64> = 60_000..=366 * 86_400_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a credential: prints its password once, and the block for the configuration
    #[command(after_help = "Examples:\n  pgveil credential new mcp-agent --group agents --ttl 24h\n  \
                      pgveil credential new mcp-agent --rotate pgveil.toml --ttl 30d --overlap 24h")]
    New(New),
    /// What credentials there are, how long they serve, and when each was used last
    #[command(after_help = "Example:\n  pgveil credential list --config pgveil.toml")]
    List(credentials::List),
    /// What is revoked
    Revoked(access::Who),
    /// Withdraw the access of a credential or an issuer's identity, or of a whole issuer; its open sessions end
    #[command(after_help = access::REVOKE_EXAMPLES)]
    Revoke(access::Revoke),
    /// Give it back
    Restore(access::Revoke),
}

#[derive(Debug, clap::Args)]
struct New {
    /// What clients put in `user`
    name: String,
    /// A group of the identity; can be given several times
    #[arg(long = "group", value_name = "GROUP", required_unless_present = "rotate", conflicts_with = "rotate")]
    groups: Vec<String>,
    /// The configuration that has the credential: its successor, with the same groups, beside which it serves for a while
    #[arg(long, value_name = "FILE")]
    rotate: Option<PathBuf>,
    /// How long, but no longer than its own life
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = ttl, requires = "rotate")]
    overlap: u64,
    /// How long it is valid, like 12h or 7d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = ttl)]
    ttl: u64,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

fn ttl(text: &str) -> Result<u64, String> {
    let (min, max) = (show_ms(*TTL_MS.start()), show_ms(*TTL_MS.end()));
    parse_ms(text).filter(|ms| TTL_MS.contains(ms)).ok_or_else(|| format!("write it like `12h` or `7d`, from {min} to {max}"))
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match &arguments.action {
        Action::New(new) => make(new),
        Action::List(list) => credentials::list(list),
        Action::Revoked(who) => access::revoked(who),
        Action::Revoke(revoke) => access::revoke(revoke, false),
        Action::Restore(revoke) => access::revoke(revoke, true),
    }
}

fn make(new: &New) -> Exit {
    if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX || new.name.chars().any(|c| c.is_control() || c == ':') {
        complain(&format!("a name has at most {NAME_BYTES_MAX} bytes, no `:` and no control characters"));
        return Exit::Usage;
    }
    let (Some(password), Some(expires)) = (password(), expires(new.ttl)) else {
        complain("no password could be made");
        return Exit::Unavailable;
    };
    let made = match &new.rotate {
        Some(file) => succeed(new, file, &password),
        None => Ok((new.groups.clone(), postgres_protocol::password::scram_sha_256(password.as_bytes()), None)),
    };
    let (groups, verifier, former) = match made {
        Ok(made) => made,
        Err(why) => {
            complain(&why);
            return Exit::Usage;
        }
    };
    let block = block(&new.name, &groups, (&verifier, &expires), former.as_ref());
    if new.json {
        println!(
            "{}",
            json!({
                "name": new.name, "groups": groups, "password": password, "verifier": verifier, "expires": expires, "toml": block
            })
        );
    } else {
        println!("password, shown this once: {password}\n\nfor the configuration:\n\n{block}");
    }
    Exit::Done
}

fn password() -> Option<String> {
    let mut random = [0_u8; PASSWORD_BYTES];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(URL_SAFE_NO_PAD.encode(random))
}

/// The end of the life, to the second.
fn expires(ttl_ms: u64) -> Option<String> {
    let seconds = i64::try_from(ttl_ms / 1000).ok()?;
    let end = jiff::Timestamp::now().as_second().checked_add(seconds)?;
    Some(jiff::Timestamp::from_second(end).ok()?.to_string())
}

/// Groups and verifier of the successor of a credential, and what that is from now on: verifier and end.
type Succeeded = (Vec<String>, String, Option<(String, String)>);

fn succeed(new: &New, file: &Path, password: &str) -> Result<Succeeded, String> {
    let lines = |faults: Vec<FileFault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let config = Config::load(file).map_err(|faults| format!("the configuration is faulty:\n{}", lines(faults)))?;
    let old =
        config.credential(&new.name).ok_or_else(|| format!("there is no credential `{}` in `{}`", new.name, file.display()))?;
    let verifier: Verifier = old.verifier.parse().map_err(|fault| format!("{fault}"))?;
    let successor = verifier.successor(password.as_bytes()).map_err(|fault| format!("{fault}"))?;
    let until = expires(new.overlap).ok_or("that is too long")?;
    let until = match old.expires {
        Some(end) if until.parse::<jiff::Timestamp>().is_ok_and(|until| end < until) => end.to_string(),
        _ => until,
    };
    Ok((old.groups.clone(), successor.to_text(), Some((old.verifier.clone(), until))))
}

fn block(name: &str, groups: &[String], (verifier, expires): (&str, &str), former: Option<&(String, String)>) -> String {
    let quote = |text: &str| toml::Value::from(text).to_string();
    let groups: Vec<String> = groups.iter().map(|group| quote(group)).collect();
    let former = former.map(|(verifier, until)| format!("\nformer = {{ verifier = {}, expires = {until} }}", quote(verifier)));
    format!(
        "[[credential]]\nname = {}\ngroups = [{}]\nverifier = {}\nexpires = {expires}{}",
        quote(name),
        groups.join(", "),
        quote(verifier),
        former.unwrap_or_default()
    )
}
