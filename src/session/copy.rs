//! COPY TO STDOUT of what is masked: which statements can be followed, and the plan for their rows.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::End;
use super::fault::Fault;
use super::ground::Sight;
use super::names::Names;
use super::plan::Plan;
use super::relay::Relay;
use super::ruling::{Ruling, Verdict};
use crate::flow::{self, Ruling as _};
use crate::mask::{self, CannotStream, CopyPlan, CopyStream, Exposure, Masked, RowPlan, Unmasked};
use crate::sql::{self, Attribute, CopyLayout, Facts, Relation, ResultColumn, Shift, Verb, Way};
use crate::wire::{self, ColumnField, Format, Frame, Malformed, Part, RowDescription, Run};

/// The COPY TO STDOUT that is under way, if its rows must be masked.
#[derive(Debug, Default)]
pub(super) struct Copying {
    stream: Option<CopyStream>,
    /// How many of its columns are masked.
    masked: usize,
    /// The exchange, and how many COPY TO STDOUT have begun in it.
    begun: (u64, usize),
}

/// Which COPY data this is.
pub(super) enum Data {
    Run(Unmasked<Run>),
    Part(Unmasked<Part>),
}

impl Copying {
    /// A COPY begins: its rows are masked from here on if the statement can reach what is masked.
    pub(super) fn begin(
        &mut self,
        number: u64,
        ruling: Option<&Ruling>,
        plan: Option<&Plan>,
        response: &Unmasked<Frame>,
    ) -> Result<(), CannotStream> {
        self.stream = None;
        let index = if self.begun.0 == number { self.begun.1 } else { 0 };
        self.begun = (number, index + 1);
        let Some(ruling) = ruling else { return Ok(()) };
        if !ruling.veiled() || !ruling.touched() {
            return Ok(());
        }
        let verdict = ruling.verdict();
        let facts = copies(verdict).nth(index).ok_or(CannotStream)?;
        let format = facts.copy.as_ref().ok_or(CannotStream)?;
        let own;
        let plan = match plan {
            Some(plan) => plan,
            None if ruling.copied().is_some() => return Err(CannotStream),
            None => {
                let frame = columns(facts, &verdict.sight).ok_or(CannotStream)?;
                own = described(verdict, facts, &frame, false).map_err(|_| CannotStream)?;
                &own
            }
        };
        let plan = CopyPlan::new(&plan.rows, format)?;
        self.masked = plan.masked();
        let mut stream = CopyStream::new(Arc::new(plan));
        stream.begin(response)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// How many columns of its rows are masked.
    fn masked(&self) -> usize {
        self.stream.as_ref().map_or(0, |_| self.masked)
    }

    /// COPY data; none if nothing of it is masked, then it is given back.
    pub(super) fn data(&mut self, data: Data) -> Result<Result<Masked<Bytes>, Data>, CannotStream> {
        match (&mut self.stream, data) {
            (None, data) => Ok(Err(data)),
            (Some(stream), Data::Run(run)) => stream.data(run).map(Ok),
            (Some(stream), Data::Part(part)) => stream.part(part).map(Ok),
        }
    }

    /// The COPY has come to its end.
    pub(super) fn end(&mut self) -> Result<(), CannotStream> {
        self.stream.take().map_or(Ok(()), |mut stream| stream.done())
    }

    /// An exchange is answered, well or not.
    pub(super) fn ended(&mut self) {
        self.stream = None;
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// COPY data, masked if it must be; nothing if that cannot be.
    pub(super) fn copied(&mut self, data: Data, exposure: Exposure) -> Masked<Bytes> {
        if let Data::Run(run) = &data {
            self.tallied.rows(run.rows(), self.copying.masked());
        }
        let masked = match self.copying.data(data) {
            Ok(Err(Data::Run(run))) => mask::copy(run, exposure),
            Ok(Err(Data::Part(part))) => mask::copy_part(part, exposure),
            Ok(Ok(masked)) => Ok(masked),
            Err(fault) => Err(fault),
        };
        self.unfollowed |= masked.is_err();
        masked.unwrap_or_else(|_| mask::own(Bytes::new()))
    }

    /// The COPY that is being answered fails here, since its rows are not such as its plan expects: nothing of them has left.
    pub(super) fn break_off(&mut self) -> Result<(), End> {
        if !self.flow.ruling().is_some_and(flow::Ruling::bars) {
            return Err(End::Unmaskable);
        }
        self.flow.deny(Fault::Uncopied.error(), &mut self.out);
        self.cancelling = true;
        self.dispatch()
    }
}

/// The plan for the rows of a COPY whose query was described; none if the description is of something else.
pub(super) fn plan(frame: &Frame, verdict: &Verdict, doubted: bool) -> Option<Result<Arc<Plan>, Malformed>> {
    let facts = copies(verdict).next().filter(|_| verdict.copied.is_some())?;
    Some(described(verdict, facts, frame, doubted))
}

fn described(verdict: &Verdict, facts: &Facts, frame: &Frame, doubted: bool) -> Result<Arc<Plan>, Malformed> {
    let mut description = RowDescription::read(frame)?;
    if facts.copy.as_ref().is_some_and(|format| format.layout == CopyLayout::Binary) {
        description.columns.iter_mut().for_each(|column| column.format = Format::Binary);
    }
    let (sight, touched) = (&verdict.sight, doubted || verdict.decision.touches_masked);
    let columns = facts.columns.as_deref();
    let rows = RowPlan::new(&description, columns, &sight.masks, touched, &sight.catalog, &sight.keys);
    Ok(Arc::new(Plan { rows, description: wire::row_description(&description.columns) }))
}

/// The COPY TO STDOUT statements of a text, in their order.
pub(super) fn copies(verdict: &Verdict) -> impl Iterator<Item = &Facts> {
    verdict.analysis.statements.iter().filter(|facts| facts.verb == Verb::CopyOut)
}

/// The text of the query of a COPY that is described before it runs: where it stands alone, and can reach what is masked.
pub(super) fn query(verdict: &Verdict) -> Option<Bytes> {
    let [facts] = verdict.analysis.statements.as_slice() else { return None };
    if facts.verb != Verb::CopyOut || facts.copy.is_none() || verdict.sight.masks.is_empty() || !verdict.decision.touches_masked {
        return None;
    }
    let text = sql::copied(&verdict.text).or_else(|| table(facts, &verdict.sight))?;
    Some(Bytes::from(text))
}

/// A query of the columns of a COPY of a relation, to have its types from the server.
fn table(facts: &Facts, sight: &Sight) -> Option<String> {
    let columns = facts.columns.as_ref()?;
    let whose = columns.first()?.lineage.sources.first()?.relation;
    let relation = sight.catalog.relations.get(&whose)?;
    let mut text = String::from("SELECT ");
    for (index, column) in columns.iter().enumerate() {
        let known = known(column, sight).filter(|(from, _)| from.oid == whose)?;
        text.push_str(if index > 0 { ", " } else { "" });
        quote(&known.1.name, &mut text);
    }
    text.push_str(" FROM ");
    quote(&relation.schema, &mut text);
    text.push('.');
    quote(&relation.name, &mut text);
    Some(text)
}

/// The relation and column that a result column is, as it is.
fn known<'a>(column: &ResultColumn, sight: &'a Sight) -> Option<(&'a Relation, &'a Attribute)> {
    let [source] = column.lineage.sources.as_slice() else { return None };
    if !column.lineage.direct || source.way != Way::Kept {
        return None;
    }
    let relation = sight.catalog.relations.get(&source.relation)?;
    relation.columns.iter().find(|known| known.number == source.attribute).map(|known| (relation, known))
}

fn quote(name: &str, text: &mut String) {
    text.push('"');
    text.push_str(&name.replace('"', "\"\""));
    text.push('"');
}

/// True if a COPY that can reach what is masked cannot be followed: its options or its text leave in doubt how its rows are written.
pub(super) fn is_unfollowed(verdict: &Verdict, names: &Names) -> bool {
    if verdict.sight.masks.is_empty() || !verdict.decision.touches_masked {
        return false;
    }
    let set = |facts: &Facts| facts.shifts.iter().any(|shift| matches!(shift, Shift::Reading | Shift::Anything));
    let unread = !CopyPlan::reads(names.reading().1) || verdict.analysis.statements.iter().any(set);
    copies(verdict).any(|facts| {
        let plain = facts.copy.as_ref().is_some_and(CopyPlan::follows);
        unread || !plain || verdict.copied.is_none() && columns(facts, &verdict.sight).is_none()
    })
}

/// The columns of a COPY that is not described: each must be a column as it is, or hold nothing.
fn columns(facts: &Facts, sight: &Sight) -> Option<Frame> {
    let fields = facts.columns.as_ref()?.iter().map(|column| {
        let name = Bytes::copy_from_slice(column.name.as_bytes());
        let mut field = ColumnField {
            name,
            table_oid: 0,
            attribute: 0,
            type_oid: 0,
            type_length: -1,
            type_modifier: -1,
            format: Format::Text,
        };
        match known(column, sight) {
            Some((relation, known)) => {
                (field.table_oid, field.attribute, field.type_oid) = (relation.oid, known.number, known.type_oid);
                Some(field)
            }
            None => column.lineage.is_clean().then_some(field),
        }
    });
    let fields: Vec<ColumnField> = fields.collect::<Option<_>>()?;
    Frame::new(wire::row_description(&fields)).ok()
}
