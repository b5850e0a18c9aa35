//! Where the values of a statement come from, what it asks about them, and where it puts them.
//!
//! Every expression gives a value: the columns it is made of, each with what became of it first. Names are resolved as the server
//! resolves them. What is not followed says so; nothing is left out in silence. Work and depth are bounded.

mod aside;
mod asks;
mod body;
mod cast;
mod changes;
mod constant;
mod entry;
mod expr;
mod fail;
mod figure;
mod from;
mod functions;
mod json;
mod many;
mod operators;
mod queries;
mod questions;
mod resolve;
mod scope;
mod sorted;
mod table;
mod value;

pub(super) use body::{BODIES_NESTED_MAX, bodies, defaults};
pub(super) use cast::cuts;
pub(super) use entry::{Traced, changed, condition, copied, values};
pub use entry::{expression, view_columns};
#[cfg(test)]
pub(super) use functions::READERS;

use std::collections::HashMap;
use std::rc::Rc;

use self::asks::Asks;
use self::body::Arguments;
use self::many::Met;
use self::queries::Known;
use self::scope::Level;
use self::value::{Column, Shared, Value};
use super::catalog::Catalog;
use super::facts::{FunctionName, Temporaries};
use super::lineage::{Stored, Untraced};
use super::tree::Query;

/// Deepest nesting of expressions, queries and functions' bodies that is followed.
const DEPTH_MAX: usize = 128;
/// How many levels a query counts for: it takes that much more room.
const QUERY_DEPTH: usize = 4;
/// Most steps that one statement is followed for.
const WORK_MAX: usize = 2_000_000;

/// The columns of a query, or why they are not known.
type Output = Result<Rc<Vec<Column>>, Untraced>;

/// Follows the values of one statement.
struct Tracer<'a> {
    catalog: &'a Catalog,
    made: &'a Temporaries,
    levels: Vec<Level<'a>>,
    ctes: Vec<Known<'a>>,
    /// Arguments of the function whose body is followed.
    arguments: Option<Arguments>,
    /// Names of the columns of scalar queries, by their place.
    scalars: HashMap<*const Query, Rc<str>>,
    clean: Shared,
    /// What stands for nothing.
    void: Shared,
    depth: usize,
    work: usize,
    asks: Asks,
    /// What was met since the last question.
    met: Met,
    stores: Vec<Stored>,
    /// Functions called in the notation of columns.
    called: Vec<FunctionName>,
    /// Functions whose bodies are being followed.
    inside: Vec<(String, String)>,
}

impl<'a> Tracer<'a> {
    fn new(catalog: &'a Catalog, made: &'a Temporaries) -> Self {
        Self {
            catalog,
            made,
            levels: Vec::new(),
            ctes: Vec::new(),
            arguments: None,
            scalars: HashMap::new(),
            clean: Rc::new(Value::clean(0)),
            void: Rc::new(Value::void(0)),
            depth: 0,
            work: 0,
            asks: Asks::default(),
            met: Met::default(),
            stores: Vec::new(),
            called: Vec::new(),
            inside: Vec::new(),
        }
    }

    /// Goes one level deeper; false, and a question that could not be followed, where the bounds are reached.
    fn deeper(&mut self) -> bool {
        self.work += 1;
        if self.depth >= DEPTH_MAX || self.work > WORK_MAX {
            self.asks.lost(Untraced::Bound);
            return false;
        }
        self.depth += 1;
        true
    }

    fn shallower(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
