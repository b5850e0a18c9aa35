//! `pgveil policy test`: a policy held against its cases, offline.

mod cases;
mod compare;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::catalog::snapshot;
use super::client::{Failure, plain};
use super::explain::{Asker, explain, policy};
use super::{Exit, complain};
use crate::policy::Policy;
use crate::sql::Catalog;
use cases::{Case, CaseFile};
use compare::Difference;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Hold a policy against its cases, without a database
    #[command(
        after_help = "A folder holds `policy.toml`, the cases `cases/*.toml`, and `catalog.json`, which `pgveil catalog` writes (a file of
cases can name another: `catalog = \"../../clinic.json\"`).

    groups = [\"agents\"]              # of every case of the file that does not say otherwise
    database = \"clinic\"

    [[case]]
    name = \"an agent sees the year of birth\"
    sql = \"select birth_date, state from clinical.patients\"
    decision = \"forward\"             # or `hold`, `block`
    columns = [\"birth_date: masked year\", \"state: clear\"]

    [[case]]
    name = \"a DELETE of all rows waits\"
    sql = \"delete from clinical.medications\"
    decision = \"hold\"
    rules = [\"delete-without-where\"]
    approvers = [\"compliance\"]
    reason = \"every row\"             # a part of one of the reasons

Verdicts are `clear`, `masked STRATEGY`, `hidden` (a placeholder or NULL), `placeholder` and `null`. docs/authoring.md has the whole.

Examples:
  pgveil policy test policies/hipaa-safe-harbor
  pgveil policy test policies/* --json

Exit codes: 0 every case passed; 1 a case failed; 2 a policy, a case file or a snapshot is faulty."
    )]
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// Folders of policies
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// How one case went.
struct Outcome {
    file: String,
    line: usize,
    name: String,
    differences: Vec<Difference>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let Action::Test(test) = &arguments.action;
    let mut outcomes = Vec::new();
    for folder in &test.folders {
        match tested(folder) {
            Ok(found) => outcomes.extend(found),
            Err((exit, message)) => {
                complain(&message);
                return exit;
            }
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
    if test.json {
        println!("{}", as_json(&outcomes, failed));
    } else {
        outcomes.iter().for_each(show);
        println!("{} passed, {failed} failed", outcomes.len() - failed);
    }
    if failed == 0 { Exit::Done } else { Exit::Refused }
}

/// Every case of a folder.
fn tested(folder: &Path) -> Result<Vec<Outcome>, Failure> {
    let policy = policy(folder)?;
    let files = cases::read(folder).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (Exit::Usage, format!("the cases are faulty:\n{}", lines.join("\n")))
    })?;
    if files.iter().all(|file| file.cases.is_empty()) {
        return Err((Exit::Usage, format!("`{}` holds no cases: write some into `cases/NAME.toml`", folder.display())));
    }
    let mut catalogs: BTreeMap<PathBuf, Catalog> = BTreeMap::new();
    let mut outcomes = Vec::new();
    for file in &files {
        if !catalogs.contains_key(&file.catalog) {
            let catalog = snapshot::read(&file.catalog).map_err(|message| (Exit::Usage, message))?;
            catalogs.insert(file.catalog.clone(), catalog);
        }
        let Some(catalog) = catalogs.get(&file.catalog) else { continue };
        outcomes.extend(file.cases.iter().map(|case| judged(&policy, catalog, file, case)));
    }
    Ok(outcomes)
}

fn judged(policy: &Policy, catalog: &Catalog, file: &CaseFile, case: &Case) -> Outcome {
    let asker = Asker { policy, catalog, database: &case.database, identity: "", groups: &case.groups };
    let explained = explain(&asker, case.sql.as_bytes(), None, None);
    let differences = compare::differences(case, &explained);
    Outcome { file: file.name.clone(), line: case.line, name: case.name.clone(), differences }
}

fn show(outcome: &Outcome) {
    for Difference { what, expected, actual, why } in &outcome.differences {
        let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let Outcome { file, line, name, .. } = outcome;
        println!("{}", plain(&format!("{file}:{line}: {name}: {what}: expected {expected}, actual {actual}{why}")));
    }
}

fn as_json(outcomes: &[Outcome], failed: usize) -> serde_json::Value {
    let list: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let differences: Vec<_> = outcome
                .differences
                .iter()
                .map(|found| json!({"what": found.what, "expected": found.expected, "actual": found.actual, "reason": found.why}))
                .collect();
            json!({
                "file": outcome.file, "line": outcome.line, "name": outcome.name,
                "passed": outcome.differences.is_empty(), "differences": differences
            })
        })
        .collect();
    json!({ "passed": outcomes.len() - failed, "failed": failed, "cases": list })
}
