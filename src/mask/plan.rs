//! What is done with each column of a result, decided once per description.

use super::cell::CellMask;
use super::{Keys, MaskMap, MaskedColumn};
use crate::sql::Catalog;
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
}

impl RowPlan {
    /// Judges the columns of a description whose formats are those the rows will have. `touched` is true if the statement
    /// can reach a relation with masked columns, or could not be analysed.
    #[must_use]
    pub fn new(description: &RowDescription, map: &MaskMap, touched: bool, catalog: &Catalog, keys: &Keys) -> Self {
        let judge = Judge { map, touched, catalog };
        let mut plan = Self { count: description.columns.len(), keys: Some(keys.clone()), ..Self::clear() };
        for column in &description.columns {
            let (verdict, mask) = judge.column(column);
            plan.verdicts.push(verdict);
            match mask {
                None => plan.trailing += 1,
                Some(mask) => plan.steps.push(Step { skip: std::mem::take(&mut plan.trailing), mask }),
            }
        }
        plan
    }

    /// A plan that passes rows of any shape as they are.
    #[must_use]
    pub fn clear() -> Self {
        Self { steps: Vec::new(), trailing: 0, count: 0, keys: None, verdicts: Vec::new() }
    }

    /// True if rows pass as they are.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.steps.is_empty()
    }

    /// The verdict of each column, left to right; none for `clear()`.
    #[must_use]
    pub fn columns(&self) -> &[ColumnVerdict] {
        &self.verdicts
    }
}

struct Judge<'a> {
    map: &'a MaskMap,
    touched: bool,
    catalog: &'a Catalog,
}

impl Judge<'_> {
    fn column(&self, column: &ColumnField) -> (ColumnVerdict, Option<CellMask>) {
        let name = String::from_utf8_lossy(&column.name).into_owned();
        match self.masked(column) {
            Ok(reason) => (ColumnVerdict { name, verdict: Verdict::Clear, reason }, None),
            Err((rule, reason)) => {
                let strategy = rule.and_then(|rule| rule.strategy.as_ref());
                let mask = CellMask::of(strategy, self.catalog, column.type_oid, column.type_modifier, column.format);
                let verdict = match strategy {
                    _ if mask.is_null() => Verdict::Null,
                    Some(_) => Verdict::Masked,
                    None => Verdict::Placeholder,
                };
                (ColumnVerdict { name, verdict, reason }, Some(mask))
            }
        }
    }

    /// Why a column is clear, or else the rule it falls under, if any, and why.
    fn masked(&self, column: &ColumnField) -> Result<String, (Option<&MaskedColumn>, String)> {
        if self.map.is_empty() && !self.touched {
            return Ok("nothing is masked for this identity".to_owned());
        }
        if column.table_oid == 0 {
            return if self.touched {
                Err((None, "the server names no origin and the statement can reach masked columns".to_owned()))
            } else {
                Ok("the statement reaches no masked column".to_owned())
            };
        }
        if let Some(rule) = self.map.covers(column.table_oid, column.attribute) {
            let reason = match &rule.strategy {
                Some(strategy) => format!("masked by rule on {} ({})", rule.source, strategy.name()),
                None => format!("`{}` can hold values of masked columns", rule.source),
            };
            return Err((Some(rule), reason));
        }
        self.known(column)
    }

    fn known(&self, column: &ColumnField) -> Result<String, (Option<&MaskedColumn>, String)> {
        let Some(relation) = self.catalog.relations.get(&column.table_oid) else {
            return Err((None, "its relation is not known yet".to_owned()));
        };
        let path = |name: &str| format!("{}.{}.{name}", relation.schema, relation.name);
        match relation.columns.iter().find(|known| known.number == column.attribute) {
            Some(known) => Ok(format!("no rule on {}", path(&known.name))),
            None if column.attribute <= 0 => Ok(format!("no rule on {}", path("*"))),
            None => Err((None, format!("the column of {}.{} is not known yet", relation.schema, relation.name))),
        }
    }
}
