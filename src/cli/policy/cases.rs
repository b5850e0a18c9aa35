//! Cases of a policy: who asks what, and what should come of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::policy::{Document, FILE_BYTES_MAX, Fields, FileFault, Value, clip, nearest, ticked};

/// Most files of cases in a folder.
const FILES_MAX: usize = 1000;
/// Words of the decision.
const DECISIONS: [&str; 3] = ["forward", "hold", "block"];
/// Words of a verdict.
const VERDICTS: [&str; 5] = ["clear", "masked", "hidden", "placeholder", "null"];
const FILE_KEYS: [&str; 4] = ["groups", "database", "catalog", "case"];
const CASE_KEYS: [&str; 10] =
    ["name", "groups", "database", "sql", "decision", "columns", "rules", "approvers", "rows_over", "reason"];
/// Most rows of `rows_over`.
const ROWS_MAX: u64 = 1 << 40;

/// A file of cases.
#[derive(Debug)]
pub(super) struct CaseFile {
    /// As it is shown.
    pub(super) name: String,
    /// The snapshot that its cases are for.
    pub(super) catalog: PathBuf,
    pub(super) cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) groups: Vec<String>,
    pub(super) database: String,
    pub(super) sql: String,
    pub(super) decision: String,
    /// Left to right; `None` if it is not said.
    pub(super) columns: Option<Vec<Expected>>,
    pub(super) rules: Option<Vec<String>>,
    pub(super) approvers: Option<Vec<String>>,
    pub(super) rows_over: Option<u64>,
    pub(super) reason: Option<String>,
}

/// What should become of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) verdict: String,
    pub(super) strategy: Option<String>,
}

/// Reads the cases of a folder, or names all that is wrong with them.
pub(super) fn read(folder: &Path) -> Result<Vec<CaseFile>, Vec<FileFault>> {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for path in listed(folder).map_err(|message| vec![unreadable(folder, message)])? {
        match text(&path) {
            Ok(text) => match parse(&text, &path, folder) {
                Ok(file) => files.push(file),
                Err(found) => faults.extend(found),
            },
            Err(message) => faults.push(unreadable(&path, message)),
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

fn unreadable(path: &Path, message: String) -> FileFault {
    FileFault { file: path.display().to_string(), line: 1, column: 1, message }
}

/// `cases/*.toml` and `cases.toml`, in the order of their names.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cases = folder.join("cases");
    let mut paths = Vec::new();
    if folder.join("cases.toml").is_file() {
        paths.push(folder.join("cases.toml"));
    }
    if cases.is_dir() {
        let entries = std::fs::read_dir(&cases).map_err(|error| format!("the folder `cases` cannot be read: {error}"))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path())).take(FILES_MAX);
        paths.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")));
    }
    if paths.is_empty() {
        return Err("there are no cases: write some into `cases/NAME.toml` (`pgveil policy test --help` shows how)".to_owned());
    }
    paths.sort();
    Ok(paths)
}

fn text(path: &Path) -> Result<String, String> {
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    file.take(most.saturating_add(1)).read_to_string(&mut text).map_err(|error| format!("it cannot be read: {error}"))?;
    Ok(text)
}

/// Reads one file of cases.
pub(super) fn parse(text: &str, path: &Path, folder: &Path) -> Result<CaseFile, Vec<FileFault>> {
    let name = path.display().to_string();
    let document = Document::new(text, &name);
    let table = document.parse();
    let root = document.root(&table);
    root.only(&FILE_KEYS);
    let groups = words(&root, "groups").unwrap_or_default();
    let database = root.value("database").and_then(|value| value.text()).unwrap_or("clinic").to_owned();
    let beside = path.parent().unwrap_or(folder);
    let named = root.value("catalog").and_then(|value| value.text());
    let catalog = named.map_or_else(|| folder.join("catalog.json"), |file| beside.join(file));
    let cases: Vec<Case> = root.tables("case").iter().filter_map(|fields| case(fields, &groups, &database)).collect();
    let faults = document.into_faults();
    if faults.is_empty() { Ok(CaseFile { name, catalog, cases }) } else { Err(faults) }
}

/// A list of texts that may be empty.
fn words(fields: &Fields<'_, '_>, key: &'static str) -> Option<Vec<String>> {
    let value = fields.value(key)?;
    match value.raw() {
        toml::de::DeValue::Array(items) if items.is_empty() => Some(Vec::new()),
        _ => value.words(),
    }
}

fn case(fields: &Fields<'_, '_>, groups: &[String], database: &str) -> Option<Case> {
    fields.only(&CASE_KEYS);
    let name = fields.require("name").and_then(|value| Some((value.text()?.to_owned(), value.line())));
    let sql = fields.require("sql").and_then(|value| value.text().map(str::to_owned));
    let decision = fields.require("decision").and_then(|value| decision(&value));
    let columns = fields.value("columns").map(|value| columns(&value));
    let (name, line) = name?;
    Some(Case {
        line,
        name,
        groups: words(fields, "groups").unwrap_or_else(|| groups.to_vec()),
        database: fields.value("database").and_then(|value| value.text()).unwrap_or(database).to_owned(),
        sql: sql?,
        decision: decision?,
        columns,
        rules: words(fields, "rules"),
        approvers: words(fields, "approvers"),
        rows_over: fields.value("rows_over").and_then(|value| value.integer(1, ROWS_MAX)),
        reason: fields.value("reason").and_then(|value| value.text().map(str::to_owned)),
    })
}

fn decision(value: &Value<'_, '_>) -> Option<String> {
    let word = value.text()?;
    if !DECISIONS.contains(&word) {
        value.fault(format!("`decision` is `{}`; it is {}{}", clip(word), ticked(&DECISIONS), near(word, &DECISIONS)));
        return None;
    }
    Some(word.to_owned())
}

fn near(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// What is expected of each column; none is fine, for a statement without rows.
fn columns(value: &Value<'_, '_>) -> Vec<Expected> {
    let mut columns = Vec::new();
    for item in value.list().unwrap_or_default() {
        let Some(text) = item.text() else { continue };
        match column(text) {
            Ok(expected) => columns.push(expected),
            Err(message) => item.fault(message),
        }
    }
    columns
}

/// `name: verdict` or `name: masked strategy`.
fn column(text: &str) -> Result<Expected, String> {
    let shape = "write `name: verdict`, like `ssn: masked partial` or `state: clear`";
    let (name, said) = text.rsplit_once(": ").ok_or_else(|| format!("`{}` says nothing of a column: {shape}", clip(text)))?;
    let mut said = said.split_whitespace();
    let verdict = said.next().unwrap_or_default();
    if !VERDICTS.contains(&verdict) {
        return Err(format!(
            "the verdict `{}` is not known; it is {}{}",
            clip(verdict),
            ticked(&VERDICTS),
            near(verdict, &VERDICTS)
        ));
    }
    let strategy = said.next().map(str::to_owned);
    if strategy.is_some() && verdict != "masked" || said.next().is_some() {
        return Err(format!("`{}` says too much: {shape}", clip(text)));
    }
    Ok(Expected { name: name.to_owned(), verdict: verdict.to_owned(), strategy })
}
