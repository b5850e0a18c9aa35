//! Random statements over the clinic's schema, the same for the same seed.

mod condition;
mod dice;
mod expression;
mod ground;
mod query;
mod script;

pub use condition::condition;
pub use dice::Dice;
pub use ground::{Callable, Column, Ground, Kind, Table};
pub use query::Query;
pub use script::{Mode, Script, script};
