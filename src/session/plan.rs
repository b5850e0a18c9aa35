//! What is done with the rows of a statement, made once for each description that the server gives of them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::ground::Sight;
use crate::mask::RowPlan;
use crate::sql::ResultColumn;
use crate::wire::{Frame, Malformed, RowDescription};

/// Plans kept for one text: its statements, in text and binary.
const PLANS_MAX: usize = 16;

/// A plan for rows, with the RowDescription it was made from.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rows: RowPlan,
    pub(super) description: Bytes,
}

impl Plan {
    /// A plan that shows nothing of rows of this description.
    pub(super) fn hidden(frame: &Frame, sight: &Sight) -> Result<Self, Malformed> {
        let rows = RowPlan::hidden(&RowDescription::read(frame)?, &sight.catalog, &sight.keys);
        Ok(Self { rows, description: Bytes::copy_from_slice(frame.bytes()) })
    }
}

/// What the rows of a plan belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The statement of its text, if it is known which.
    pub(super) statement: Option<usize>,
    /// Columns without an origin may hold what is masked.
    pub(super) touched: bool,
}

/// The plans made for one text. Texts whose rows look alike have plans of their own: what the columns are made of differs.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Vec<(Place, Arc<Plan>)>>);

impl Plans {
    /// The plan for rows of this description. `columns` is what the text says of them.
    pub(super) fn plan(
        &self,
        sight: &Sight,
        frame: &Frame,
        place: Place,
        columns: Option<&[ResultColumn]>,
    ) -> Result<Arc<Plan>, Malformed> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plans.iter().find(|(at, plan)| *at == place && plan.description == frame.bytes());
        if let Some((_, plan)) = known {
            return Ok(Arc::clone(plan));
        }
        let description = RowDescription::read(frame)?;
        let rows = RowPlan::new(&description, columns, &sight.masks, place.touched, &sight.catalog, &sight.keys);
        // A copy: the frame shares memory with everything that was read along with it.
        let plan = Arc::new(Plan { rows, description: Bytes::copy_from_slice(frame.bytes()) });
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.push((place, Arc::clone(&plan)));
        Ok(plan)
    }
}
