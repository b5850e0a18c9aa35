//! Tools that people and agents really use, as a masked identity through a plain DSN: what works directly works here, and shows the
//! same but for what is masked. `scripts/setup tools` installs them; one that is absent is said and counts in nothing.

use std::process::{Command, Stdio};

use proto_tests::{Stand, clients};
use serde_json::Value;

const TOOLS: [&str; 11] = [
    "psql",
    "completion",
    "pg_dump",
    "sqlalchemy",
    "django",
    "prisma",
    "mcp-server-postgres",
    "mcp-dbhub",
    "mcp-henkey",
    "mcp-postgres-mcp",
    "mcp-postgres-mcp-restricted",
];

fn run(stand: &Stand, tool: &str) -> Value {
    let home = clients::home().parent().unwrap().join("tools");
    let own = home.join("venv/bin/python3");
    let python = if own.exists() { own } else { clients::python() };
    let done = Command::new(python)
        .arg(clients::script("tools_client.py"))
        .args([tool, stand.value("APP"), stand.value("MASKED")])
        .env("PGVEIL_TOOLS", home)
        .env("PG_BIN", stand.value("PG_BIN"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|e| panic!("{tool}: {e}: {said}{}", String::from_utf8_lossy(&done.stderr)))
}

#[test]
fn tools_see_the_same_as_without_pgveil() {
    let stand = Stand::start("corpus", &[]);
    let chosen = std::env::var("PGVEIL_TOOL").unwrap_or_default();
    let (mut failed, mut ran) = (Vec::new(), 0);
    for tool in TOOLS.iter().filter(|tool| chosen.is_empty() || chosen.split(',').any(|chosen| chosen == **tool)) {
        let answer = run(&stand, tool);
        ran += 1;
        println!("{:28} {:8} {} steps", tool, answer["state"].as_str().unwrap(), answer["steps"]);
        for note in answer["notes"].as_array().unwrap() {
            println!("    {}", note.as_str().unwrap());
        }
        if answer["state"] == "differs" {
            failed.push(*tool);
        }
    }
    assert!(ran > 0, "no tool of these: {chosen}");
    assert!(failed.is_empty(), "{failed:?} see something else");
}
