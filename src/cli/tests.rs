use clap::{CommandFactory as _, Parser as _};

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn commands_read_as_documented() {
    for line in [
        "pgveil check --config pgveil.toml",
        "pgveil credential new mcp-agent --group agents --group x --ttl 24h",
        "pgveil serve --config pgveil.toml --logs json --level debug",
        "pgveil status --config pgveil.toml --json",
        "pgveil holds --as alice",
        "pgveil holds list --as alice --json",
        "pgveil holds show h-7k2m9q --as alice",
        "pgveil holds --admin http://127.0.0.1:1 --as alice approve h-7k2m9q",
        "pgveil holds deny h-7k2m9q --as alice --reason no",
        "pgveil login clinic",
        "pgveil login clinic --server pgveil.example.org --ca ca.crt --device",
        "pgveil login clinic --server x:6432 --issuer https://id.example --client-id cli --yes",
        "pgveil psql clinic -c x --csv",
        "pgveil connect clinic --listen 127.0.0.1:5433 --show-secret",
        "pgveil credential new mcp-agent --rotate pgveil.toml --ttl 30d",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
    }
    for line in [
        "pgveil",
        "pgveil login",
        "pgveil login ../x",
        "pgveil login x --browser --device",
        "pgveil connect x --listen 0.0.0.0:1",
        "pgveil login x --server y --issuer https://id.example",
        "pgveil credential new x --rotate f --group g",
        "pgveil check",
        "pgveil credential new x",
        "pgveil credential new x --group g --ttl 5",
        "pgveil holds show",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
    }
}

#[test]
fn passwords_go_to_this_machine_only() {
    for (url, allowed) in [
        ("http://127.0.0.1:6480", true),
        ("http://localhost:6480/", true),
        ("http://[::1]:6480", true),
        ("http://10.0.0.1:6480", false),
        ("https://127.0.0.1:6480", false),
        ("http://127.0.0.1.example.org:80", false),
        ("http://x@127.0.0.1:80", false),
        ("http://127.0.0.1:80@example.org", false),
    ] {
        assert_eq!(client::base(Some(url), None).is_ok(), allowed, "{url}");
    }
}

#[test]
fn terminals_are_not_told_what_to_do() {
    assert_eq!(plain("a\n\tb\u{1b}[2J\u{202e}"), "a\n\tb\\u{1b}[2J\\u{202e}");
}
