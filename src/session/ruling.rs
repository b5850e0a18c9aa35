//! What is known and decided about a text, as the conversation carries it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::copy;
use super::ground::{Mark, Sight};
use super::meter::Count;
use super::names;
use super::plan::{Place, Plan, Plans};
use crate::flow;
use crate::mask::Exposure;
use crate::policy::{Decision, Gate, Outcome};
use crate::sql::{Analysis, Facts, RelationKind, ResultColumn, Shift, UnknownReason, Verb};
use crate::wire::{self, Frame, Malformed};

/// How long a portal may wait to be run before what it calls is looked at again.
const AGED_AFTER: Duration = Duration::from_millis(10);

/// Facts of a text and the decision on it; shared by every session that says the same text on the same ground.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) text: Bytes,
    pub(super) analysis: Analysis,
    pub(super) decision: Decision,
    pub(super) sight: Arc<Sight>,
    /// Every verb, as the log spells it.
    pub(super) verbs: Vec<String>,
    /// Every relation, as the log spells it.
    pub(super) relations: Vec<String>,
    bars: bool,
    /// True if its statements are all that one name may stand for, of which one is run.
    candidates: bool,
    plans: Plans,
    /// The text of the query of a COPY that is described before it runs.
    pub(super) copied: Option<Bytes>,
}

impl Verdict {
    pub(super) fn new(text: Bytes, analysis: Analysis, decision: Decision, sight: Arc<Sight>) -> Self {
        let bars = analysis.statements.iter().any(|facts| {
            facts.verbs.contains(&Verb::CopyIn)
                || facts.unknown.is_some()
                || facts.shifts.iter().any(|shift| matches!(shift, Shift::Reading | Shift::Anything))
        });
        let verbs = analysis.statements.iter().flat_map(|facts| &facts.verbs);
        let verbs = verbs.map(|verb| verb.name().to_owned()).collect::<BTreeSet<_>>().into_iter().collect();
        let named = analysis.statements.iter().flat_map(|facts| facts.reads.iter().chain(&facts.writes));
        let relations = named.flat_map(|name| sight.spelled(name)).collect::<BTreeSet<_>>().into_iter().collect();
        let plans = Plans::default();
        let mut verdict =
            Self { text, analysis, decision, sight, verbs, relations, bars, candidates: false, plans, copied: None };
        verdict.copied = super::copy::query(&verdict);
        verdict
    }

    /// The verdict on a name, by the facts of all that it may stand for.
    pub(super) fn on_name(self) -> Self {
        Self { candidates: true, ..self }
    }

    /// The verdict on the same text under another decision.
    pub(super) fn under(&self, decision: Decision) -> Self {
        let (text, sight) = (self.text.clone(), Arc::clone(&self.sight));
        Self { candidates: self.candidates, ..Self::new(text, self.analysis.clone(), decision, sight) }
    }

    /// The plan for rows of this description. `doubted`: they may be of another text than this one.
    pub(super) fn plan(&self, frame: &Frame, statement: Option<usize>, doubted: bool) -> Result<Arc<Plan>, Malformed> {
        let place = Place { statement: statement.filter(|_| !doubted), touched: doubted || self.decision.touches_masked };
        let columns = place.statement.filter(|at| !self.reshapes_before(*at)).and_then(|statement| self.columns(statement));
        self.plans.plan(&self.sight, frame, place, columns)
    }

    /// True if an earlier statement of the text changes what this one reads.
    fn reshapes_before(&self, statement: usize) -> bool {
        let statements = &self.analysis.statements;
        let (Some(earlier), Some(facts)) = (statements.get(..statement), statements.get(statement)) else { return false };
        !self.candidates && earlier.iter().any(|earlier| names::reads_any(facts, &names::reshaped(earlier)))
    }

    /// What the text says of the columns of one of its statements.
    fn columns(&self, statement: usize) -> Option<&[ResultColumn]> {
        let statements = &self.analysis.statements;
        if !self.candidates {
            return self.columns_of(statements.get(statement)?);
        }
        let (first, others) = statements.split_first()?;
        let columns = self.columns_of(first)?;
        others.iter().all(|other| self.columns_of(other) == Some(columns)).then_some(columns)
    }

    /// What the facts say of columns, unless a rewrite rule may give other rows in their place.
    fn columns_of<'f>(&self, facts: &'f Facts) -> Option<&'f [ResultColumn]> {
        let ruled = |oid| self.sight.catalog.relations.get(oid).is_none_or(|known| !known.depends.is_empty());
        let rewritten = facts.writes.iter().any(|name| name.oids.iter().any(ruled));
        facts.columns.as_deref().filter(|_| !rewritten)
    }

    /// True if the text names prepared statements or cursors.
    pub(super) fn uses_names(&self) -> bool {
        self.analysis.statements.iter().any(|facts| facts.uses.is_some())
    }

    /// True if code runs in it that the policy does not vouch for: it may swap what a name stands for.
    pub(super) fn runs_unread(&self) -> bool {
        let runs = |facts: &Facts| facts.shifts.contains(&Shift::Anything);
        self.decision.calls_unknown && self.analysis.statements.iter().any(runs)
    }

    /// True if the text means temporary relations: by the time it is run, their names may mean others.
    pub(super) fn is_of_temporary(&self) -> bool {
        self.analysis.statements.iter().any(|facts| facts.reads.iter().chain(&facts.writes).any(|name| name.temporary))
    }

    /// True if a COPY TO STDOUT may have to be broken off, its rows being such as no mask can follow.
    fn veils_copy(&self) -> bool {
        !self.sight.masks.is_empty() && self.decision.touches_masked && super::copy::copies(self).next().is_some()
    }

    /// True if it may change the catalog.
    pub(super) fn moves_catalog(&self) -> bool {
        let moves = |shift: &Shift| matches!(shift, Shift::Catalog | Shift::Anything);
        self.analysis.statements.iter().flat_map(|facts| &facts.shifts).any(moves)
    }

    /// True if the text is refused for its syntax alone.
    pub(super) fn is_unparsed(&self) -> bool {
        self.analysis.statements.iter().any(|facts| facts.unknown == Some(UnknownReason::Syntax))
    }

    /// True if a view is read, or a function is called whose body was.
    pub(super) fn reads_definitions(&self) -> bool {
        let catalog = &self.sight.catalog;
        let is_view = |oid| catalog.relations.get(oid).is_some_and(|known| known.kind == RelationKind::View);
        let mut names = self.analysis.statements.iter().flat_map(|facts| facts.reads.iter().chain(&facts.writes));
        names.any(|name| name.oids.iter().any(is_view)) || self.calls_read()
    }

    /// True if a function is called whose body was read.
    pub(super) fn calls_read(&self) -> bool {
        let known = &self.sight.catalog.functions;
        let is_read = |name| known.get(name).is_some_and(|known| known.iter().any(|known| known.body.is_some()));
        let mut functions = self.analysis.statements.iter().flat_map(|facts| &facts.functions);
        functions.any(|function| !function.builtin && is_read(&function.name))
    }

    /// True if the ruling on this text can be shared between sessions: it names nothing that only one session knows.
    pub(super) fn is_shareable(&self) -> bool {
        self.analysis.statements.iter().all(|facts| facts.uses.is_none() && facts.unknown.is_none())
    }
}

#[derive(Debug)]
struct Inner {
    verdict: Arc<Verdict>,
    /// The exchange in which the text was recorded.
    number: u64,
    /// The parameters, for a portal.
    bind: Option<wire::Bind>,
    /// When it was ruled upon.
    since: Mark,
    /// How often what a portal names had been defined when it was bound.
    definitions: u64,
    /// Code ran in this session that may have swapped what a name stands for: rows may be of another text than this one.
    doubted: bool,
    /// A person has approved this portal.
    permitted: AtomicBool,
    /// Rows that this portal has sent.
    count: Arc<Count>,
}

/// The ruling on a statement or portal.
#[derive(Debug, Clone)]
pub(super) struct Ruling(Arc<Inner>);

impl Ruling {
    pub(super) fn statement(verdict: Arc<Verdict>, number: u64, doubted: bool, since: Mark) -> Self {
        Self(Arc::new(Inner {
            verdict,
            number,
            bind: None,
            since,
            definitions: 0,
            doubted,
            permitted: AtomicBool::new(false),
            count: Arc::default(),
        }))
    }

    pub(super) fn portal(
        verdict: Arc<Verdict>,
        number: u64,
        bind: wire::Bind,
        (doubted, definitions): (bool, u64),
        since: Mark,
    ) -> Self {
        Self(Arc::new(Inner {
            verdict,
            number,
            bind: Some(bind),
            since,
            definitions,
            doubted,
            permitted: AtomicBool::new(false),
            count: Arc::default(),
        }))
    }

    /// The same statement or portal under another verdict, which a person has not seen yet.
    pub(super) fn under(&self, verdict: Arc<Verdict>) -> Self {
        let inner = &*self.0;
        let (number, bind, count) = (inner.number, inner.bind.clone(), Arc::clone(&inner.count));
        let (since, definitions, doubted) = (inner.since, inner.definitions, inner.doubted);
        Self(Arc::new(Inner { verdict, number, bind, since, definitions, doubted, permitted: AtomicBool::new(false), count }))
    }

    pub(super) fn verdict(&self) -> &Arc<Verdict> {
        &self.0.verdict
    }

    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    pub(super) fn bind(&self) -> Option<&wire::Bind> {
        self.0.bind.as_ref()
    }

    /// True if another session may have redefined what it calls since it was made.
    pub(super) fn is_aged(&self) -> bool {
        self.0.since.age() > AGED_AFTER
    }

    /// When it was ruled upon.
    pub(super) fn since(&self) -> Mark {
        self.0.since
    }

    /// How often what it names had been defined when it was bound.
    pub(super) fn definitions(&self) -> u64 {
        self.0.definitions
    }

    /// Rows that this portal has sent.
    pub(super) fn count(&self) -> &Arc<Count> {
        &self.0.count
    }

    /// True if a person must be asked now, at the message that `gate` names.
    pub(super) fn is_due(&self, gate: Gate) -> bool {
        self.verdict().decision.gate == gate
            && !self.0.permitted.load(Ordering::Acquire)
            && self.verdict().decision.outcome != Outcome::Forward
    }

    /// A person has approved: what is left of this portal runs without asking again.
    pub(super) fn permit(&self) {
        self.0.permitted.store(true, Ordering::Release);
    }

    /// True if triggers of earlier statements may run in this one, as at COMMIT: their errors and notices can quote masked columns
    /// that it does not touch itself.
    pub(super) fn settles(&self) -> bool {
        let settles = |verb: &Verb| matches!(verb, Verb::Transaction | Verb::TwoPhase);
        self.verdict().analysis.statements.iter().flat_map(|facts| &facts.verbs).any(settles)
    }

    /// True if it runs nothing but blocks of code that only say something.
    fn says(&self) -> bool {
        self.verdict().analysis.statements.iter().all(|facts| facts.plain_code)
    }

    /// True if it only takes away what the catalog knows nothing of: all that the server can say of it is that it is not there.
    fn only_names(&self) -> bool {
        let of = |facts: &Facts| {
            let names = facts.reads.iter().chain(&facts.writes);
            facts.unknown.is_none()
                && facts.functions.is_empty()
                && facts.verbs.iter().all(|verb| matches!(verb, Verb::Drop | Verb::Maintenance))
                && names.clone().all(|name| name.oids.is_empty() && !name.temporary)
        };
        !self.0.doubted && self.verdict().analysis.statements.iter().all(of)
    }

    /// What the server may say in answer: anything, or nothing of a masked column.
    pub(super) fn exposure(&self) -> Exposure {
        match flow::Ruling::veiled(self) {
            true if self.touched() && !self.only_names() => Exposure::Touched,
            true if self.settles() => Exposure::Settling,
            true if self.says() => Exposure::Saying,
            true => Exposure::Guarded,
            false => Exposure::Clear,
        }
    }

    /// The plan for rows of this description. `anew` is the verdict on the same text as of now, if it may mean something else.
    pub(super) fn plan(
        &self,
        frame: &Frame,
        statement: Option<usize>,
        anew: Option<&Arc<Verdict>>,
    ) -> Result<Arc<Plan>, Malformed> {
        let (verdict, doubted) = (anew.unwrap_or_else(|| self.verdict()), self.0.doubted);
        if self.is_stricter(verdict) {
            return Plan::hidden(frame, &verdict.sight).map(Arc::new);
        }
        copy::plan(frame, verdict, doubted).unwrap_or_else(|| verdict.plan(frame, statement, doubted))
    }

    /// True if by this verdict the statement would not have been let through, or can say more of masked columns than was thought.
    pub(super) fn is_stricter(&self, verdict: &Verdict) -> bool {
        let (anew, known) = (&verdict.decision, &self.verdict().decision);
        anew.outcome == Outcome::Block && known.outcome != Outcome::Block || anew.touches_masked && !known.touches_masked
    }

    /// True if columns without an origin may hold what is masked.
    pub(super) fn touched(&self) -> bool {
        self.0.doubted || self.verdict().decision.touches_masked
    }
}

impl flow::Ruling for Ruling {
    fn veiled(&self) -> bool {
        !self.verdict().sight.masks.is_empty()
    }

    fn bars(&self) -> bool {
        let verdict = self.verdict();
        verdict.bars || verdict.decision.rows_over.is_some() || verdict.veils_copy()
    }

    fn only_reads(&self) -> bool {
        let verdict = self.verdict();
        let reads = |verb: &Verb| matches!(verb, Verb::Select | Verb::CopyOut | Verb::Cursor);
        let verbs = verdict.analysis.statements.iter().all(|facts| facts.verbs.iter().all(reads));
        verbs && !verdict.bars && !verdict.decision.calls_unknown
    }

    fn copied(&self) -> Option<Bytes> {
        self.verdict().copied.clone()
    }

    fn renames(&self, name: &[u8]) -> bool {
        self.verdict().analysis.statements.iter().any(|facts| match facts.verb {
            Verb::Discard => true,
            Verb::Deallocate => facts.uses.as_ref().is_none_or(|used| used.as_bytes() == name),
            Verb::Cursor => facts.uses.as_ref().is_some_and(|used| used.as_bytes() == name) || defines(&facts.shifts, name),
            _ => defines(&facts.shifts, name),
        })
    }
}

fn defines(shifts: &[Shift], name: &[u8]) -> bool {
    shifts.iter().any(|shift| match shift {
        Shift::Prepared(defined, _) | Shift::Cursor(defined, _) => defined.as_bytes() == name,
        _ => false,
    })
}
