//! Reads every statement of a folder of SQL files twice, by PostgreSQL's own grammar and by pgveil, and names each disagreement.
//!
//! `grammar FOLDER [MUTANTS]`: MUTANTS (default 0) more texts are made per statement by dropping, doubling and swapping words.
//! What pgveil refuses and PostgreSQL reads is strict, and counted by kind. What both read must be read alike: no table, no writing
//! verb, no result column less, and no WHERE that is not there. Such a case is lenient, and the exit code is 1.

mod split;

use std::collections::{BTreeMap, BTreeSet};

use pg_query::protobuf::ObjectType;
use pg_query::{NodeEnum, NodeRef, ParseResult};
use pgveil::sql::{Catalog, Facts, Setting, UnknownReason, Verb, Where, analyze};

#[derive(Default)]
struct Sum {
    read: usize,
    refused: BTreeMap<String, (usize, String)>,
    lenient: Vec<String>,
    strict: BTreeMap<&'static str, (usize, String)>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "fixtures/queries".into());
    let mutants: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let catalog = Catalog::default();
    let mut sum = Sum::default();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).flatten().map(|f| f.path()).collect();
    files.sort();
    let mut statements = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "sql")) {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        let name = file.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        for statement in split::statements(&text) {
            statements += 1;
            sum.hold(&catalog, &name, &statement);
            for seed in 0..mutants {
                sum.hold(&catalog, &name, &split::mutant(&statement, (statements * 1000 + seed) as u64));
            }
        }
    }
    sum.print(statements);
    std::process::exit(i32::from(!sum.lenient.is_empty() || sum.read == 0));
}

impl Sum {
    fn hold(&mut self, catalog: &Catalog, place: &str, text: &str) {
        let Ok(theirs) = pg_query::parse(text) else { return };
        if theirs.protobuf.stmts.len() != 1 {
            return;
        }
        self.read += 1;
        let setting = Setting {
            catalog,
            standard_conforming_strings: true,
            client_encoding: "UTF8",
            temporary: &pgveil::sql::Temporaries::new(),
            prepared: &|_| Vec::new(),
            cursors: &|_| Vec::new(),
        };
        let ours = analyze(text.as_bytes(), &setting);
        let shown: String =
            format!("[{place}] {}", text.split_whitespace().collect::<Vec<_>>().join(" ")).chars().take(260).collect();
        let kind = kind(&theirs);
        let [facts] = ours.statements.as_slice() else {
            let refused = ours.statements.iter().any(|facts| facts.unknown.is_some());
            if refused {
                self.refuse(kind, shown)
            } else {
                self.lenient.push(format!("{} statements: {shown}", ours.statements.len()))
            }
            return;
        };
        if facts.unknown == Some(UnknownReason::Name) {
            // EXECUTE and FETCH of what another statement has named: there is none before it here
            return;
        }
        if facts.unknown.is_some() || facts.verb == Verb::Unknown {
            return self.refuse(kind, shown);
        }
        self.compare(facts, &theirs, &shown);
    }

    fn refuse(&mut self, kind: String, shown: String) {
        self.refused.entry(kind).or_insert((0, shown)).0 += 1;
    }

    fn compare(&mut self, facts: &Facts, theirs: &ParseResult, shown: &str) {
        if body_is_not_run(theirs) {
            return;
        }
        let named: BTreeSet<&str> = facts.reads.iter().chain(&facts.writes).map(|relation| relation.name.as_str()).collect();
        for table in theirs.tables() {
            // the grammar's own list takes a CTE in UPDATE .. FROM for a table
            if !theirs.cte_names.contains(&table) && !named.iter().any(|name| table.ends_with(name)) {
                self.lenient.push(format!("table {table} is missed: {shown}"));
            }
        }
        let theirs_verbs = verbs(theirs);
        for verb in theirs_verbs.iter().filter(|verb| !facts.verbs.contains(verb)) {
            self.lenient.push(format!("verb {} is missed: {shown}", verb.name()));
        }
        let writing = [Verb::Insert, Verb::Update, Verb::Delete, Verb::Merge];
        if facts.verbs.iter().any(|verb| writing.contains(verb) && !theirs_verbs.contains(verb)) {
            self.strict.entry("a writing verb too many").or_insert((0, shown.to_owned())).0 += 1;
        }
        if let Some(restricts) = restricts(theirs)
            && !restricts
            && facts.where_ == Where::Restricts
        {
            self.lenient.push(format!("a WHERE that is not there: {shown}"));
        }
        if let (Some(ours), Some(count)) = (&facts.columns, targets(theirs))
            && ours.len() != count
        {
            self.lenient.push(format!("{} result columns for {count}: {shown}", ours.len()));
        }
    }

    fn print(&self, statements: usize) {
        let refused: usize = self.refused.values().map(|(n, _)| n).sum();
        println!("{statements} statements, {} texts that PostgreSQL's grammar reads", self.read);
        println!(
            "{refused} of them pgveil does not read ({:.2}%), all strict:",
            100.0 * refused as f64 / self.read.max(1) as f64
        );
        let mut kinds: Vec<_> = self.refused.iter().collect();
        kinds.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
        kinds.iter().for_each(|(kind, (n, shown))| println!("  {n:6}  {kind}\n          such as {shown}"));
        self.strict.iter().for_each(|(what, (n, shown))| println!("strict: {n} with {what}, such as {shown}"));
        self.lenient.iter().take(80).for_each(|case| println!("LENIENT {case}"));
        println!("{} read otherwise on the lenient side", self.lenient.len());
    }
}

fn top(theirs: &ParseResult) -> Option<&NodeEnum> {
    theirs.protobuf.stmts.first().and_then(|stmt| stmt.stmt.as_ref()).and_then(|node| node.node.as_ref())
}

fn kind(theirs: &ParseResult) -> String {
    let name = top(theirs).map(|node| format!("{node:?}")).unwrap_or_default();
    name.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Texts that hold statements which do not run when they do, or name relations whose rows they do not touch.
fn body_is_not_run(theirs: &ParseResult) -> bool {
    matches!(
        top(theirs),
        Some(
            NodeEnum::PrepareStmt(_)
                | NodeEnum::CreateFunctionStmt(_)
                | NodeEnum::RuleStmt(_)
                | NodeEnum::ExplainStmt(_)
                | NodeEnum::DeclareCursorStmt(_)
                | NodeEnum::ViewStmt(_)
                | NodeEnum::GrantStmt(_)
        )
    ) || matches!(top(theirs), Some(NodeEnum::AlterTableStmt(alter)) if alter.objtype == ObjectType::ObjectType as i32)
}

fn verbs(theirs: &ParseResult) -> BTreeSet<Verb> {
    let verb = |node: &NodeRef<'_>| match node {
        NodeRef::InsertStmt(_) => Some(Verb::Insert),
        NodeRef::UpdateStmt(_) => Some(Verb::Update),
        NodeRef::DeleteStmt(_) => Some(Verb::Delete),
        NodeRef::MergeStmt(_) => Some(Verb::Merge),
        NodeRef::TruncateStmt(_) => Some(Verb::Truncate),
        NodeRef::DropStmt(_) => Some(Verb::Drop),
        NodeRef::DoStmt(_) => Some(Verb::Do),
        NodeRef::CallStmt(_) => Some(Verb::Call),
        _ => None,
    };
    theirs.protobuf.nodes().iter().filter_map(|(node, ..)| verb(node)).collect()
}

/// Of a DELETE or UPDATE: whether it has a WHERE.
fn restricts(theirs: &ParseResult) -> Option<bool> {
    match top(theirs)? {
        NodeEnum::DeleteStmt(delete) => Some(delete.where_clause.is_some()),
        NodeEnum::UpdateStmt(update) => Some(update.where_clause.is_some()),
        _ => None,
    }
}

/// How many columns a SELECT gives, where no star stands for several.
fn targets(theirs: &ParseResult) -> Option<usize> {
    let mut select = match top(theirs)? {
        NodeEnum::SelectStmt(select) => select,
        _ => return None,
    };
    while let Some(left) = &select.larg {
        select = left;
    }
    if select.target_list.is_empty() || select.into_clause.is_some() {
        return None;
    }
    let starred =
        format!("{:?}", select.target_list).contains("AStar") || format!("{:?}", select.target_list).contains("AIndirection");
    (!starred).then_some(select.target_list.len())
}
