//! Rules on what the client asks: facts, decision, log, and only then the database.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::End;
use super::fault::Fault;
use super::ground::{LookFault, View};
use super::hold::Hold;
use super::relay::Relay;
use super::ruling::{Ruling, Verdict};
use crate::flow::Asked;
use crate::policy::{Gate, Outcome};
use crate::sql::{Analysis, Facts, UnknownReason, Verb};
use crate::tally::{Decided, UpstreamFault};
use crate::wire::{self, client_tag};

/// The type `name`, of 63 bytes at most: beside a parameter declared to be one, the server makes texts to such before they are masked.
const NAME_OID: u32 = 19;

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// Rules on one question of the conversation.
    pub(super) async fn rule(&mut self, asked: Asked<Ruling>) -> Result<(), End> {
        if !self.look(&asked).await? {
            return Ok(());
        }
        match asked {
            Asked::Query(query) => self.rule_query(&query.text),
            Asked::Parse(parse) => self.rule_parse(&parse),
            Asked::Bind(bind, ruling) => self.rule_bind(bind, ruling),
            Asked::Execute(execute, ruling) => self.rule_execute(&execute, ruling),
            Asked::FunctionCall => self.rule_function_call(),
        }
    }

    /// Brings what is known of the database up to the moment of a question. False if that fails: the question is refused.
    pub(super) async fn look(&mut self, asked: &Asked<Ruling>) -> Result<bool, End> {
        let anew = std::mem::take(&mut self.names.path_just_moved);
        self.mark = self.ground.mark();
        if self.names.has_open() {
            self.names.ending = self.flow.readies_owed() > 0 || self.flow.owes(Ruling::settles);
        }
        match self.ground.view(&self.groups, Some(&self.view), anew).await {
            Ok(view) => self.adopt(view)?,
            Err(fault) => return Ok(self.unread(&fault)),
        }
        if self.is_of_definitions(asked) {
            match self.ground.view_now(&self.groups, &self.view).await {
                Ok(view) => self.adopt(view)?,
                Err(fault) => return Ok(self.unread(&fault)),
            }
        }
        Ok(true)
    }

    fn unread(&mut self, fault: &LookFault) -> bool {
        self.ground.counts.upstream_failed(UpstreamFault::Catalog);
        tracing::warn!(parent: &self.span, %fault, "the catalog cannot be read");
        self.flow.refuse(Fault::CatalogUnread.error(), 0, &mut self.out);
        false
    }

    /// True if masks apply and a view is read or a function is called that was followed: another session can redefine one in place, so
    /// the catalog must be of this moment.
    fn is_of_definitions(&self, asked: &Asked<Ruling>) -> bool {
        if self.view.sight.masks.is_empty() {
            return false;
        }
        let verdict = match asked {
            Asked::Query(query) => self.view.verdict(&query.text, &self.identity, &self.names),
            Asked::Parse(parse) => self.view.verdict(&parse.text, &self.identity, &self.names),
            Asked::Bind(_, Some(ruling)) => self.current(ruling.verdict()),
            // Rows judged a while ago may by now come from another body.
            Asked::Execute(_, Some(ruling)) => return ruling.verdict().calls_read() && ruling.is_aged(),
            Asked::Bind(_, None) | Asked::Execute(..) | Asked::FunctionCall => return false,
        };
        verdict.reads_definitions()
    }

    /// True if it reads what was dropped or altered in the transaction that is open.
    fn reads_reshaped(&self, verdict: &Verdict) -> bool {
        verdict.analysis.statements.iter().any(|facts| self.names.is_reshaped(facts))
    }

    fn rule_query(&mut self, text: &Bytes) -> Result<(), End> {
        let verdict = self.counted(self.view.verdict(text, &self.identity, &self.names), None);
        let number = self.recording.statement(&verdict, &Bytes::new(), false).map_err(|_| End::LogFailed)?;
        let doubted = (self.names.code_ran || verdict.runs_unread()) && verdict.uses_names() || self.reads_reshaped(&verdict);
        let ruling = Ruling::statement(verdict, number, doubted, self.mark);
        self.meter.begin(number, &ruling, None);
        self.tell(ruling.verdict(), &ruling.verdict().decision.outcome);
        self.carry_out(ruling, number, true)
    }

    /// Counts the statements of a text that is about to run, or is not to.
    pub(super) fn tell(&self, verdict: &Verdict, outcome: &Outcome) {
        let decided = match outcome {
            Outcome::Forward => Decided::Forward,
            Outcome::Hold(_) => Decided::Hold,
            Outcome::Block => Decided::Block,
        };
        verdict.analysis.statements.iter().for_each(|facts| self.tallied.statement(facts.verb, decided));
    }

    /// The same for what is not run yet, and may come to nothing here.
    fn tell_if_due(&self, ruling: &Ruling, due: bool) {
        let outcome = &ruling.verdict().decision.outcome;
        if due && *outcome != Outcome::Forward {
            self.tell(ruling.verdict(), outcome);
        }
    }

    fn rule_parse(&mut self, parse: &wire::Parse) -> Result<(), End> {
        let verdict = self.view.verdict(&parse.text, &self.identity, &self.names);
        if !parse.name.is_empty() {
            self.names.parsed(&parse.name);
        }
        let number = self.recording.statement(&verdict, &parse.name, true).map_err(|_| End::LogFailed)?;
        let is_name = |oid: &u32| verdict.sight.catalog.base_type(*oid) == NAME_OID;
        if !verdict.sight.masks.is_empty() && verdict.decision.touches_masked && parse.parameter_oids.iter().any(is_name) {
            self.flow.refuse(Fault::NameParameter.error(), number, &mut self.out);
            return Ok(());
        }
        // Preparing is not running: a person is asked at Bind or Execute.
        let due = verdict.decision.outcome == Outcome::Block;
        let ruling = Ruling::statement(verdict, number, false, self.mark);
        self.tell_if_due(&ruling, due);
        self.carry_out(ruling, number, due)
    }

    fn rule_bind(&mut self, bind: wire::Bind, ruling: Option<Ruling>) -> Result<(), End> {
        let (verdict, number) = match ruling {
            Some(ruling) => (self.current(ruling.verdict()), ruling.number()),
            None if self.is_absent(&bind.statement) => {
                self.absent(&Fault::NoStatement(text(&bind.statement)));
                return Ok(());
            }
            None => self.by_name(&bind.statement, true)?,
        };
        let doubted =
            self.names.code_ran && (!bind.statement.is_empty() || verdict.uses_names()) || self.reads_reshaped(&verdict);
        if !bind.portal.is_empty() {
            self.names.bound(&bind.portal);
        }
        let definitions = self.names.definitions(&verdict.analysis.statements);
        let ruling = Ruling::portal(verdict, number, bind, (doubted, definitions), self.mark);
        let due = ruling.is_due(Gate::Bind) || ruling.verdict().decision.outcome == Outcome::Block;
        self.tell_if_due(&ruling, due);
        self.carry_out(ruling, number, due)
    }

    fn rule_execute(&mut self, execute: &wire::Execute, ruling: Option<Ruling>) -> Result<(), End> {
        let ruling = match ruling {
            Some(ruling) if self.is_redefined(&ruling) => {
                self.flow.refuse(Fault::Redefined.error(), ruling.number(), &mut self.out);
                return Ok(());
            }
            Some(ruling) => ruling,
            None if self.is_absent(&execute.portal) => {
                self.absent(&Fault::NoPortal(text(&execute.portal)));
                return Ok(());
            }
            None => {
                let (verdict, number) = self.by_name(&execute.portal, false)?;
                Ruling::statement(verdict, number, self.names.code_ran, self.mark)
            }
        };
        let ruling = self.counted_portal(ruling);
        let due = ruling.is_due(Gate::Execute);
        let outcome = if due { ruling.verdict().decision.outcome.clone() } else { Outcome::Forward };
        let number =
            self.recording.execution(&ruling, &execute.portal, execute.rows_max, &outcome).map_err(|_| End::LogFailed)?;
        self.meter.begin(number, &ruling, Some(&execute.portal));
        self.tell(ruling.verdict(), &outcome);
        self.carry_out(ruling, number, due)
    }

    fn rule_function_call(&mut self) -> Result<(), End> {
        let facts = Facts { unknown: Some(UnknownReason::NotText), ..Facts::of(Verb::FunctionCall) };
        let verdict = Arc::new(self.view.decide(Bytes::new(), Analysis { statements: vec![facts] }, &self.identity));
        let number = self.recording.statement(&verdict, &Bytes::new(), false).map_err(|_| End::LogFailed)?;
        self.tell(&verdict, &verdict.decision.outcome);
        self.carry_out(Ruling::statement(verdict, number, true, self.mark), number, true)
    }

    /// A prepared statement keeps its ruling, unless the ground has moved since: then its text is ruled upon anew.
    pub(super) fn current(&self, verdict: &Arc<Verdict>) -> Arc<Verdict> {
        let same = std::ptr::eq(Arc::as_ptr(&verdict.sight), Arc::as_ptr(&self.view.sight));
        if same && !verdict.is_of_temporary() && !verdict.uses_names() {
            return Arc::clone(verdict);
        }
        self.view.verdict(&verdict.text, &self.identity, &self.names)
    }

    /// True if a name stands for nothing, and the server is not to be asked: what it might mean there would have to be ruled upon.
    fn is_absent(&self, name: &[u8]) -> bool {
        self.names.is_of_protocol(name) && !self.lets_unread_pass()
    }

    /// True if nothing is masked for this session, and the policy lets pass what it cannot analyse.
    pub(super) fn lets_unread_pass(&self) -> bool {
        let unread = Analysis { statements: vec![Facts::unknown(UnknownReason::Name)] };
        self.view.sight.masks.is_empty()
            && self.view.decide(Bytes::new(), unread, &self.identity).decision.outcome == Outcome::Forward
    }

    /// A name that stands for nothing is an error, as it is to the server.
    fn absent(&mut self, fault: &Fault) {
        self.flow.refuse(fault.error(), 0, &mut self.out);
    }

    /// True if what a portal names, or calls, may be something else by now than when its rows were judged.
    fn is_redefined(&self, ruling: &Ruling) -> bool {
        let verdict = ruling.verdict();
        if ruling.bind().is_none() || verdict.sight.masks.is_empty() {
            return false;
        }
        if verdict.uses_names() {
            return ruling.definitions() != self.names.definitions(&verdict.analysis.statements);
        }
        let same = std::ptr::eq(Arc::as_ptr(&verdict.sight), Arc::as_ptr(&self.view.sight));
        !same && verdict.calls_read() && self.current(verdict).analysis != verdict.analysis
    }

    /// A name that the protocol has not defined may be one that SQL text has.
    pub(super) fn by_name(&mut self, name: &Bytes, statement: bool) -> Result<(Arc<Verdict>, u64), End> {
        let spelled = String::from_utf8_lossy(name);
        let sight = &self.view.sight;
        let known = if statement { self.names.prepared(&spelled, sight) } else { self.names.cursor(&spelled, sight) };
        let elsewhere = if statement { Verb::Unknown } else { Verb::Cursor };
        let unread = || Facts { verb: elsewhere, ..Facts::unknown(UnknownReason::Name) };
        let known = if known.is_empty() { vec![unread()] } else { known };
        let verdict = Arc::new(self.view.decide(Bytes::new(), Analysis { statements: known }, &self.identity).on_name());
        let number = self.recording.statement(&verdict, name, true).map_err(|_| End::LogFailed)?;
        Ok((verdict, number))
    }

    /// Forwards, refuses, or begins to wait for a person. `due` is false where the decision does not fall due yet.
    fn carry_out(&mut self, ruling: Ruling, number: u64, due: bool) -> Result<(), End> {
        let verdict = Arc::clone(ruling.verdict());
        match &verdict.decision.outcome {
            Outcome::Block if due => {
                let fault = Fault::Blocked(verdict.decision.rules.clone(), verdict.decision.reasons.clone());
                if verdict.is_unparsed() {
                    self.flow.refuse_unread(fault.error(), number, &mut self.out);
                } else {
                    self.flow.refuse(fault.error(), number, &mut self.out);
                }
            }
            Outcome::Hold(terms) if due => {
                self.hold = Some(Hold::settling(ruling, number, terms.clone()));
                self.flow.settle(&mut self.out);
                self.dispatch()?;
                self.ask_when_quiet()?;
            }
            Outcome::Forward | Outcome::Hold(_) | Outcome::Block => self.forward(ruling, number),
        }
        Ok(())
    }

    /// The statement goes to the server, now that its entry goes before it.
    pub(super) fn forward(&mut self, ruling: Ruling, number: u64) {
        let verdict = ruling.verdict();
        if super::copy::is_unfollowed(verdict, &self.names) {
            self.flow.refuse(Fault::Uncopied.error(), number, &mut self.out);
            return;
        }
        let (statements, version) = (&verdict.analysis.statements, verdict.sight.catalog.version);
        let owed = self.flow.readies_owed();
        if self.stir.is_none() && verdict.moves_catalog() {
            self.stir = Some(self.ground.stir());
        }
        self.names.forwarded(&verdict.text, statements, version, verdict.decision.calls_unknown, owed);
        if let Some(key) = &self.upstream_key {
            self.house.tidings.sent(self.circle(), key.process, &ruling);
        }
        self.recording.forwarded(number);
        self.flow.forward(ruling, number, &mut self.out);
    }

    /// A message that cannot be read is refused, and recorded as what could not be analysed.
    pub(super) fn unreadable(&mut self, tag: u8, fault: &Fault) -> Result<(), End> {
        let reason = if matches!(fault, Fault::Oversize(_)) { UnknownReason::Bytes } else { UnknownReason::NotText };
        let analysis = Analysis { statements: vec![Facts::unknown(reason)] };
        let verdict = refused(&self.view, analysis, &self.identity);
        let number = self.recording.statement(&verdict, &Bytes::new(), tag != client_tag::QUERY).map_err(|_| End::LogFailed)?;
        self.tell(&verdict, &Outcome::Block);
        self.flow
            .unreadable(tag, fault.error(), number, &mut self.out)
            .map_err(|violation| super::relay::violated(&violation))?;
        self.dispatch()
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The verdict on what is refused whatever the policy says.
fn refused(view: &View, analysis: Analysis, identity: &str) -> Arc<Verdict> {
    let mut verdict = view.decide(Bytes::new(), analysis, identity);
    verdict.decision.outcome = Outcome::Block;
    Arc::new(verdict)
}
