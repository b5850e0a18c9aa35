//! Two databases that differ in nothing but what is masked, each seen directly and through pgveil.
//!
//! What comes through pgveil must be the same from both: whatever differs depends on a raw value. And what is the same directly
//! from both is clean, so it should come through as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::outcome::{self, Judgement, Outcome};
use crate::random::{Mode, Script};
use crate::wire::Reply;
use crate::{Identity, Stand, Wire, ties};

/// A worker's four connections.
pub struct Twins {
    masked: [Wire; 2],
    direct: [Wire; 2],
    port: u16,
    direct_port: u16,
    who: Identity,
}

/// What was seen of one script.
#[derive(Debug, Default)]
pub struct Seen {
    /// What came through pgveil and depends on a raw value: a description.
    pub leak: Option<String>,
    /// The same rows came in another order.
    pub order: bool,
    /// Other rows came, as they do from one database alone where it lies or is planned differently.
    pub open: bool,
    /// Plans may differ where statistics do.
    pub plan: bool,
    /// The database itself refuses it, with this SQLSTATE.
    pub invalid: Option<String>,
    /// pgveil refuses it, with this sentence.
    pub refused: Option<String>,
    /// Columns that came back.
    pub columns: usize,
    /// Clean columns that did not come through as they are.
    pub over: Vec<usize>,
}

/// Longest time of a statement where it runs first, by itself.
const FIRST_MS: u32 = 100;
/// Longest time of a statement that three run at once.
const AFTER_MS: u32 = 500;
/// Longest time of one that runs under a plan of ours.
const JUDGED_MS: u32 = 10_000;
/// How often the rows are laid anew where no plan has changed a result.
const SHUFFLES: usize = 8;
/// Lays half of the rows of every table anew, unchanged; which half, the salt decides.
const SHUFFLE: &str = "set session_replication_role = replica; do $do$ declare part record; begin
  for part in select c.oid::regclass as tab, min(a.attname) as col from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('clinical', 'billing', 'research', 'audit')
        and a.attnum > 0 and not a.attisdropped and a.attidentity = '' and a.attgenerated = '' group by c.oid order by 1 loop
    execute format('update %s set %I = %2$I where hashtext(ctid::text || %L) %% 2 = 0', part.tab, part.col, 'SALT');
  end loop; end $do$";
/// One lays them at a time.
static LAYING: Mutex<usize> = Mutex::new(0);
/// The shape whose steps give one statement's rows.
const CURSOR: &str = "cursor";
/// How often the ties of windows are broken by chance.
const TIES: usize = 12;
/// The first step of what is rolled back.
const BEGIN: &str = "begin";
/// Ways of planning that give other results where a statement leaves them open.
const PLANS: [&str; 18] = [
    "",
    "-c enable_hashjoin=off",
    "-c enable_mergejoin=off",
    "-c enable_nestloop=off",
    "-c enable_hashagg=off",
    "-c enable_sort=off",
    "-c enable_indexscan=off -c enable_indexonlyscan=off",
    "-c enable_bitmapscan=off",
    "-c enable_seqscan=off",
    "-c enable_material=off -c enable_memoize=off",
    "-c enable_incremental_sort=off",
    "-c join_collapse_limit=1 -c from_collapse_limit=1",
    // Joined in an order that is thrown by dice.
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.1",
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.4",
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.8",
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.2 -c enable_hashjoin=off -c enable_mergejoin=off",
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.5 -c enable_hashjoin=off -c enable_mergejoin=off",
    "-c geqo_threshold=2 -c geqo_pool_size=2 -c geqo_generations=1 -c geqo_seed=0.7 -c enable_hashjoin=off -c enable_mergejoin=off",
];
/// Raw values that are the same in both databases, so that only a look finds them.
const SHARED: [&[u8]; 4] = [b"mrn-7", b"mbr8", b"4d524e2d37", b"4d425238"];

impl Twins {
    /// Logs in four times.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn connect(stand: &Stand, who: &Identity) -> Self {
        let pg: u16 = stand.value("PG_PORT").parse().unwrap();
        let to = |port, who: &Identity, database: &str, most: u32| {
            let options = format!("-c statement_timeout={most}");
            Wire::try_connect(port, who, database, &[("options", &options)]).unwrap().unwrap()
        };
        Self {
            masked: ["clinic", "mirror"].map(|database| to(stand.port(), who, database, AFTER_MS)),
            direct: [("clinic", FIRST_MS), ("mirror", AFTER_MS)].map(|(database, most)| to(pg, &app(), database, most)),
            port: stand.port(),
            direct_port: pg,
            who: who.clone(),
        }
    }

    /// Waits until pgveil knows the names it masks in free text, everywhere.
    ///
    /// # Panics
    /// If it does not get to know them.
    pub fn settle(stand: &Stand, who: &Identity) {
        for database in ["clinic", "mirror", "shuffled"] {
            let mut wire = Wire::try_connect(stand.port(), who, database, &[]).unwrap().unwrap();
            crate::eventually("free text is scanned", || {
                let rows = wire.query("select body from clinical.clinical_notes").rows();
                rows.iter().any(|row| row[0].as_deref().is_some_and(|text| text != "[redacted]")).then_some(())
            });
        }
    }

    /// Runs a script four times and compares.
    pub fn run(&mut self, script: &Script) -> Seen {
        let mut seen = Seen::default();
        let mut outcomes = [Outcome::default(), Outcome::default()];
        for step in &script.steps {
            let Some([masked, direct]) = self.step(step, script.mode) else {
                seen.invalid = Some("stopped".into());
                break;
            };
            for (outcome, reply) in outcomes.iter_mut().zip(&masked) {
                outcome.take(reply, script.shape == CURSOR);
            }
            if look(&mut seen, step, &masked, &direct) {
                break;
            }
        }
        self.roll_back(script);
        if seen.invalid.as_deref() != Some("stopped") && seen.leak.is_none() {
            self.compare(&mut seen, script, &outcomes);
        }
        seen
    }

    /// `None` if the clock stopped it anywhere. What runs away directly is not sent to the others.
    fn step(&mut self, sql: &str, mode: Mode) -> Option<[[Reply; 2]; 2]> {
        let [first, second] = &mut self.direct;
        send(first, sql, mode);
        let direct = first.reply();
        if stopped(&direct) {
            return None;
        }
        for wire in self.masked.iter_mut().chain([&mut *second]) {
            send(wire, sql, mode);
        }
        let (masked, other) = (self.masked.each_mut().map(Wire::reply), second.reply());
        (!masked.iter().any(stopped) && !stopped(&other)).then_some([masked, [direct, other]])
    }

    fn roll_back(&mut self, script: &Script) {
        if script.steps.first().is_some_and(|step| step == BEGIN) {
            for wire in self.masked.iter_mut().chain(&mut self.direct) {
                send(wire, "rollback", Mode::Simple);
                let _ = wire.reply();
            }
        }
    }

    fn compare(&self, seen: &mut Seen, script: &Script, [a, b]: &[Outcome; 2]) {
        match outcome::compare(a, b) {
            Some(Judgement::Same) => {}
            Some(_) => seen.order = true,
            None if script.shape == "explain" => seen.plan = true,
            None => match self.judge(script, a, b) {
                Judgement::Open => seen.open = true,
                Judgement::Leak(what) => seen.leak = Some(what),
                Judgement::Same | Judgement::Order => {}
            },
        }
    }

    /// Asks the first database again, lying and planned differently, through pgveil each time.
    fn judge(&self, script: &Script, a: &Outcome, b: &Outcome) -> Judgement {
        let mut script = script.clone();
        let (mut a, mut b) = (a.clone(), b.clone());
        let query = query(&script).map(str::to_owned);
        if let (Some(query), "copy") = (&query, script.shape) {
            // rows of COPY have no columns to tell apart: those of its query do
            script = Script { steps: vec![query.clone()], mode: Mode::Simple, shape: "query" };
            let again = |database| self.elsewhere(database, "", &script).unwrap_or_default();
            (a, b) = (again("clinic"), again("mirror"));
        }
        let width = a.columns();
        let Some(direct) = self.directly("clinic", "", &script) else {
            return Judgement::Leak("it cannot be asked again".into());
        };
        let ways = PLANS.iter().flat_map(|plan| [("shuffled", *plan), ("clinic", *plan)]);
        // Where nothing has failed so far, what fails proves nothing; where something has, how far it came is a result like others.
        let fails = [&a, &b, &direct].iter().any(|outcome| outcome.fails());
        let both = |(database, plan): (&str, &str)| {
            let both = [self.elsewhere(database, plan, &script)?, self.directly(database, plan, &script)?];
            (fails || !both.iter().any(Outcome::fails)).then_some(both)
        };
        let laid = (0..SHUFFLES).filter_map(|_| {
            self.shuffle();
            both(("shuffled", ""))
        });
        let untied = Script {
            steps: script.steps.iter().map(|sql| ties::broken(sql).unwrap_or_else(|| sql.clone())).collect(),
            ..script.clone()
        };
        let ties = (0..if untied.steps == script.steps { 0 } else { TIES }).filter_map(|_| {
            let both = [self.elsewhere("clinic", "", &untied)?, self.directly("clinic", "", &untied)?];
            (fails || !both.iter().any(Outcome::fails)).then_some(both)
        });
        let others = ways.filter_map(both).chain(laid).chain(ties);
        let open = |columns: &[usize]| {
            let moved = |query: &str| a.shuffles(columns, &b) && self.moved(query, columns, width);
            let cut = |query: &str| fails && self.cut_elsewhere(query, columns);
            query.as_deref().is_some_and(|query| self.alone(query, columns, width) || moved(query) || cut(query))
        };
        outcome::judge([&a, &b], &direct, others, open)
    }

    /// Lays the rows of the shuffled database anew: what it holds stays the same.
    fn shuffle(&self) {
        let mut times = LAYING.lock().unwrap_or_else(PoisonError::into_inner);
        *times += 1;
        let owner = Identity { user: "clinic_owner".into(), password: "owner".into(), dsn: String::new() };
        let mut wire = Wire::try_connect(self.direct_port, &owner, "shuffled", &[]).unwrap().unwrap();
        let reply = wire.query(&SHUFFLE.replace("SALT", &times.to_string()));
        assert_eq!(reply.sqlstate(), None, "the rows are laid anew");
    }

    /// True if columns of a query come otherwise from the first database itself when its rows are to be in another order. That says
    /// nothing of what is in a row; but GROUP BY and window functions sort by the same keys as ORDER BY, in the same direction, and
    /// what aggregates gather without an order of their own follows.
    fn moved(&self, query: &str, columns: &[usize], width: usize) -> bool {
        let Some(whole) = self.asked_first(query) else { return false };
        let mut orders = (1..=width).flat_map(|at| ["", " desc"].map(|way| format!("{query} order by {at}{way}")));
        orders.any(|ordered| self.asked_first(&ordered).is_some_and(|ordered| whole.differs(columns, &ordered)))
    }

    /// True if a query that fails comes to another place in the first database itself when the partitions of its windows come in
    /// another order: they come sorted by what they are made of, whatever is asked.
    fn cut_elsewhere(&self, query: &str, columns: &[usize]) -> bool {
        let asked = |sql: &str| {
            let script = Script { steps: vec![sql.to_owned()], mode: Mode::Simple, shape: "query" };
            self.directly("clinic", "", &script)
        };
        let Some(whole) = asked(query) else { return false };
        let mut others = (0..TIES).map_while(|salt| ties::repartitioned(query, salt));
        whole.fails() && others.any(|other| asked(&other).is_some_and(|other| whole.differs(columns, &other)))
    }

    /// What a query gives from the first database directly, if it does not fail.
    fn asked_first(&self, sql: &str) -> Option<Outcome> {
        let script = Script { steps: vec![sql.to_owned()], mode: Mode::Simple, shape: "query" };
        self.directly("clinic", "", &script).filter(|outcome| !outcome.fails())
    }

    /// True if columns of a query, asked for alone, come otherwise from the first database itself than together with the others.
    /// They do where the server orders rows for another column's sake and ties of these follow that order.
    fn alone(&self, query: &str, columns: &[usize], width: usize) -> bool {
        let names: Vec<String> = (0..width).map(|at| format!("c{at}")).collect();
        let taken: Vec<String> = columns.iter().map(|at| format!("c{at}")).collect();
        let cut = format!("select {} from ({query}) as q({})", taken.join(", "), names.join(", "));
        let [whole, cut] = [query, cut.as_str()].map(|sql| self.asked_first(sql));
        matches!((whole, cut), (Some(whole), Some(cut)) if whole.varies(columns, &cut))
    }

    /// What comes through pgveil from a connection of its own; `None` where it does not come to an end in time.
    fn elsewhere(&self, database: &str, plan: &str, script: &Script) -> Option<Outcome> {
        self.asked(self.port, &self.who, database, plan, script)
    }

    fn directly(&self, database: &str, plan: &str, script: &Script) -> Option<Outcome> {
        self.asked(self.direct_port, &app(), database, plan, script)
    }

    fn asked(&self, port: u16, who: &Identity, database: &str, plan: &str, script: &Script) -> Option<Outcome> {
        let options = format!("-c statement_timeout={JUDGED_MS} {plan}");
        let mut wire = Wire::try_connect(port, who, database, &[("options", &options)]).unwrap().unwrap();
        let mut outcome = Outcome::default();
        for step in &script.steps {
            send(&mut wire, step, script.mode);
            let reply = wire.reply();
            if stopped(&reply) {
                return None;
            }
            outcome.take(&reply, script.shape == CURSOR);
            if reply.sqlstate().is_some() {
                break;
            }
        }
        Some(outcome)
    }
}

fn send(wire: &mut Wire, sql: &str, mode: Mode) {
    let (format, described) = match mode {
        Mode::Simple => return wire.ask(sql),
        Mode::Extended(format) => (format, true),
        Mode::Undescribed(format) => (format, false),
    };
    wire.pipeline(|out| {
        out.parse("", sql).bind("", "", &[], format);
        if described {
            out.describe(b'P', "");
        }
        out.execute("", 0).sync();
    });
}

fn stopped(reply: &Reply) -> bool {
    reply.sqlstate().is_some_and(|state| matches!(state.as_str(), "57014" | "54001" | "53400"))
}

/// The one query of a script, where it has one.
fn query(script: &Script) -> Option<&str> {
    let (first, next) = (script.steps.first()?, script.steps.get(1).map_or("", String::as_str));
    match script.shape {
        "query" => Some(first),
        "copy" => first.strip_prefix("copy (")?.rsplit_once(") to stdout").map(|(query, _)| query),
        CURSOR => next.split_once(" cursor for ").map(|(_, query)| query),
        "prepare" => next.split_once(" as ").map(|(_, query)| query),
        _ => None,
    }
}

fn app() -> Identity {
    Identity { user: "clinic_app".into(), password: "app".into(), dsn: String::new() }
}

/// True if the script ends here.
fn look(seen: &mut Seen, sql: &str, masked: &[Reply; 2], direct: &[Reply; 2]) -> bool {
    if let Some(what) = masked.iter().find_map(|reply| shared(sql, reply)) {
        seen.leak = Some(format!("a raw value: {what}"));
    }
    match (masked[0].sqlstate(), direct[0].sqlstate()) {
        (_, Some(state)) => seen.invalid = Some(state),
        (Some(_), None) => seen.refused = masked[0].of(b'E').next().and_then(|error| error.field(b'M')).map(|m| plain(&m)),
        (None, None) => over(seen, masked, direct),
    }
    seen.leak.is_some() || masked.iter().chain(direct).any(|reply| reply.sqlstate().is_some())
}

fn shared(sql: &str, reply: &Reply) -> Option<String> {
    let sent = sql.to_lowercase();
    let bytes = reply.bytes().to_ascii_lowercase();
    let in_it =
        |raw: &&&[u8]| bytes.windows(raw.len()).any(|window| window == **raw) && !sent.contains(&*String::from_utf8_lossy(raw));
    SHARED.iter().find(in_it).map(|raw| String::from_utf8_lossy(raw).into_owned())
}

/// The causes in a sentence, each once, without names and functions.
fn plain(sentence: &str) -> String {
    let sentence = sentence.split_once("): ").map_or(sentence, |(_, causes)| causes);
    let bare = |cause: &str| -> String {
        let named = cause.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "_" }).collect::<String>();
        match (named.find(", by "), named.find(") that")) {
            (Some(from), Some(to)) if from < to => format!("{}, computed{}", &named[..from], &named[to..]),
            _ => named,
        }
    };
    let causes: BTreeSet<String> = sentence.split("; ").map(bare).collect();
    causes.into_iter().collect::<Vec<_>>().join("; ")
}

fn columns(reply: &Reply) -> BTreeMap<usize, Vec<Option<Vec<u8>>>> {
    let mut columns: BTreeMap<usize, Vec<Option<Vec<u8>>>> = BTreeMap::new();
    for row in reply.of(b'D') {
        for (index, cell) in row.cells().into_iter().enumerate() {
            columns.entry(index).or_default().push(cell);
        }
    }
    columns.values_mut().for_each(|cells| cells.sort());
    columns
}

fn over(seen: &mut Seen, masked: &[Reply; 2], direct: &[Reply; 2]) {
    let (got, [a, b]) = (columns(&masked[0]), direct.each_ref().map(columns));
    for (index, cells) in &a {
        seen.columns += 1;
        if b.get(index) == Some(cells) && got.get(index) != Some(cells) {
            seen.over.push(*index);
        }
    }
}
