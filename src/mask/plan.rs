//! What is done with each column of a result, decided once per description.

use std::borrow::Cow;

use super::cell::CellMask;
use super::judge::{Judgement, judge};
use super::{Keys, MaskMap, Strategy};
use crate::sql::{Catalog, Lineage, ResultColumn};
use crate::wire::{ColumnField, RowDescription};

/// What becomes of a result column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It passes as it is.
    Clear,
    /// It is masked by its rule.
    Masked,
    /// It is replaced whole.
    Placeholder,
    /// It becomes NULL.
    Null,
}

impl Verdict {
    /// The word for it in recordings and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Masked => "masked",
            Self::Placeholder => "placeholder",
            Self::Null => "null",
        }
    }
}

/// What becomes of a result column, and why. Holds names only, no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnVerdict {
    /// The column's name; what is not UTF-8 in it is replaced.
    pub name: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, as one line.
    pub reason: String,
    /// True if it is masked only because it could not be traced.
    pub untraced: bool,
}

/// One masked column.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Cells between the masked column before this one and this one.
    pub(super) skip: usize,
    /// What is done with it.
    pub(super) mask: CellMask,
}

/// What is done with the rows of one result. Made once for a description, used for every row.
#[derive(Debug, Clone)]
pub struct RowPlan {
    pub(super) steps: Vec<Step>,
    /// Cells behind the last masked column.
    pub(super) trailing: usize,
    /// Columns in all.
    pub(super) count: usize,
    pub(super) keys: Option<Keys>,
    verdicts: Vec<ColumnVerdict>,
    /// Something shows because the text alone says so.
    leans: bool,
}

impl RowPlan {
    /// Judges the columns of a description whose formats are those the rows will have. `columns` is what the statement's text
    /// says of them, and counts if it tells of as many columns with the same names. `touched` is true if the statement can
    /// reach a relation with masked columns, or could not be analysed.
    #[must_use]
    pub fn new(
        description: &RowDescription,
        columns: Option<&[ResultColumn]>,
        map: &MaskMap,
        touched: bool,
        catalog: &Catalog,
        keys: &Keys,
    ) -> Self {
        let judge = Judge { map, touched, catalog };
        let columns = columns.filter(|columns| agree(&description.columns, columns)).unwrap_or_default();
        let mut lineages = columns.iter().map(|column| &column.lineage);
        let mut plan = Self { count: description.columns.len(), keys: Some(keys.clone()), ..Self::clear() };
        for column in &description.columns {
            let lineage = lineages.next();
            let (verdict, mask) = judge.column(column, lineage);
            let shown = matches!(verdict.verdict, Verdict::Clear | Verdict::Masked);
            plan.leans |= shown && column.table_oid == 0 && lineage.is_none_or(|lineage| !lineage.is_clean());
            plan.verdicts.push(verdict);
            match mask {
                None => plan.trailing += 1,
                Some(mask) => plan.steps.push(Step { skip: std::mem::take(&mut plan.trailing), mask }),
            }
        }
        plan
    }

    /// A plan that shows nothing: what the rows are made of is not what was ruled upon.
    #[must_use]
    pub fn hidden(description: &RowDescription, catalog: &Catalog, keys: &Keys) -> Self {
        let mut plan = Self { count: description.columns.len(), keys: Some(keys.clone()), ..Self::clear() };
        for column in &description.columns {
            let mask = CellMask::of(None, catalog, column.type_oid, column.type_modifier, column.format);
            let verdict = if mask.is_null() { Verdict::Null } else { Verdict::Placeholder };
            let name = String::from_utf8_lossy(&column.name).into_owned();
            let reason = "the catalog has changed while the statement ran".to_owned();
            plan.verdicts.push(ColumnVerdict { name, verdict, reason, untraced: true });
            plan.steps.push(Step { skip: 0, mask });
        }
        plan
    }

    /// A plan that passes rows of any shape as they are.
    #[must_use]
    pub fn clear() -> Self {
        Self { steps: Vec::new(), trailing: 0, count: 0, keys: None, verdicts: Vec::new(), leans: false }
    }

    /// True if rows pass as they are.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many columns are masked.
    #[must_use]
    pub fn masked(&self) -> usize {
        self.steps.len()
    }

    /// True if it shows something of columns for which the server names no origin.
    #[must_use]
    pub fn leans_on_text(&self) -> bool {
        self.leans
    }

    /// The columns that are masked only because they could not be traced.
    pub fn untraced(&self) -> impl Iterator<Item = &ColumnVerdict> {
        self.verdicts.iter().filter(|verdict| verdict.untraced)
    }

    /// The verdict of each column, left to right; none for `clear()`.
    #[must_use]
    pub fn columns(&self) -> &[ColumnVerdict] {
        &self.verdicts
    }
}

/// True if both witnesses speak of the same columns.
fn agree(described: &[ColumnField], traced: &[ResultColumn]) -> bool {
    described.len() == traced.len() && described.iter().zip(traced).all(|(one, other)| one.name == other.name.as_bytes())
}

/// The type `name`.
const NAME_OID: u32 = 19;

/// Why a column is masked, and by what.
struct Cause<'m> {
    strategy: Option<Cow<'m, Strategy>>,
    reason: String,
    untraced: bool,
}

impl<'m> Cause<'m> {
    fn of(strategy: Option<Cow<'m, Strategy>>, reason: String) -> Self {
        Self { strategy, reason, untraced: false }
    }

    fn untraced(reason: &str) -> Self {
        Self { strategy: None, reason: reason.to_owned(), untraced: true }
    }
}

struct Judge<'m> {
    map: &'m MaskMap,
    touched: bool,
    catalog: &'m Catalog,
}

impl<'m> Judge<'m> {
    fn column(&self, column: &ColumnField, lineage: Option<&Lineage>) -> (ColumnVerdict, Option<CellMask>) {
        let name = String::from_utf8_lossy(&column.name).into_owned();
        match self.masked(column, lineage) {
            Ok(reason) => (ColumnVerdict { name, verdict: Verdict::Clear, reason, untraced: false }, None),
            Err(Cause { strategy, reason, untraced }) => {
                // What the server cut to 63 bytes is not looked through: half an identifier would stay.
                let cut = self.catalog.base_type(column.type_oid) == NAME_OID;
                let strategy = strategy.as_deref().filter(|strategy| !(cut && matches!(strategy, Strategy::Scan(_))));
                let mask = CellMask::of(strategy, self.catalog, column.type_oid, column.type_modifier, column.format);
                let verdict = match strategy {
                    _ if mask.is_null() => Verdict::Null,
                    Some(_) => Verdict::Masked,
                    None => Verdict::Placeholder,
                };
                (ColumnVerdict { name, verdict, reason, untraced }, Some(mask))
            }
        }
    }

    /// Why a column is clear, or else what masks it: it is clear only if the server and the text both say so.
    fn masked(&self, column: &ColumnField, lineage: Option<&Lineage>) -> Result<String, Cause<'m>> {
        if self.map.is_empty() && !self.touched {
            return Ok("nothing is masked for this identity".to_owned());
        }
        if column.table_oid == 0 {
            return self.by_text(lineage);
        }
        let reason = match self.by_origin(column) {
            // A column of a temporary relation that nobody else knows.
            Err(cause) if cause.untraced && lineage.is_some_and(|lineage| lineage.direct && lineage.is_clean()) => {
                return Ok("a column of a temporary relation".to_owned());
            }
            reason => reason?,
        };
        match lineage.map(|lineage| judge(lineage, self.map)) {
            Some(judged) if matches!(judged.judgement, Judgement::Strategy(_) | Judgement::Derived) => {
                self.by_text(lineage).map(|_| reason)
            }
            _ => Ok(reason),
        }
    }

    /// What the text says of a column that the server names no origin of.
    fn by_text(&self, lineage: Option<&Lineage>) -> Result<String, Cause<'m>> {
        let Some(lineage) = lineage else {
            return if self.touched {
                Err(Cause::untraced("the server names no origin and the statement can reach masked columns"))
            } else {
                Ok("the statement reaches no masked column".to_owned())
            };
        };
        let judged = judge(lineage, self.map);
        match judged.judgement {
            Judgement::Clear => Ok(judged.reason),
            Judgement::Strategy(strategy) => Err(Cause::of(Some(strategy), judged.reason)),
            Judgement::Derived => Err(Cause::of(None, judged.reason)),
            Judgement::Unknown if self.touched => Err(Cause::untraced(&judged.reason)),
            Judgement::Unknown => Ok("the statement reaches no masked column".to_owned()),
        }
    }

    /// What the map says of the column that the server names.
    fn by_origin(&self, column: &ColumnField) -> Result<String, Cause<'m>> {
        if let Some(rule) = self.map.covers(column.table_oid, column.attribute) {
            let reason = match &rule.strategy {
                Some(strategy) => format!("masked by rule on {} ({})", rule.source, strategy.name()),
                None => format!("`{}` can hold values of masked columns", rule.source),
            };
            return Err(Cause::of(rule.strategy.as_ref().map(Cow::Borrowed), reason));
        }
        let Some(relation) = self.catalog.relations.get(&column.table_oid) else {
            return Err(Cause::untraced("its relation is not known yet"));
        };
        let path = |name: &str| format!("{}.{}.{name}", relation.schema, relation.name);
        match relation.columns.iter().find(|known| known.number == column.attribute) {
            Some(known) => Ok(format!("no rule on {}", path(&known.name))),
            None if column.attribute <= 0 => Ok(format!("no rule on {}", path("*"))),
            None => Err(Cause::untraced(&format!("the column of {}.{} is not known yet", relation.schema, relation.name))),
        }
    }
}
