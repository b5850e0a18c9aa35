//! Where values come from, what is asked of them, and where they are put.

use super::catalog::Oid;
use super::facts::FunctionName;

/// Most sources that one value is followed to; with more it is `Untraced::Bound`.
pub const SOURCES_MAX: usize = 4096;

/// What a value is made of: a result column, an operand of a condition, a value that is stored.
///
/// Without sources, functions and `untraced` it is clean: constants, parameters, and PostgreSQL's own functions of such.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Lineage {
    /// Every column of a relation whose values can reach it, each with the way it takes. Sorted, without doubles. A column of a view
    /// stands for itself.
    pub sources: Vec<Source>,
    /// Functions on the way that are not PostgreSQL's own and whose body could not be read: what they give is known only if the
    /// policy vouches for them.
    pub functions: Vec<FunctionName>,
    /// Why it could not be traced: then anything that the statement reads can be in it.
    pub untraced: Option<Untraced>,
    /// True if it is exactly one column, unchanged, and nothing else.
    pub direct: bool,
}

/// One column that a value is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// `pg_class.oid`.
    pub relation: Oid,
    /// `attnum`; 0 is the whole row.
    pub attribute: i16,
    /// What became of it on the way.
    pub way: Way,
}

/// What becomes of a column's value on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Way {
    /// It stays as it is, alone or as one of several (`coalesce`, a branch of CASE), or as an element into or out of an array: the
    /// column's own mask fits the result.
    Kept,
    /// It stays as it is, and stands where it does for its order among others, by this function (`max`, `greatest`; `array_agg` of
    /// DISTINCT values): the column's own mask fits the result if it tells no more of the order than of a single value.
    Picked(String),
    /// A part of a json document, by its path from the top; an empty path is the document as text. It stays as it is there: the
    /// mask's own paths fit the result.
    Part(Vec<JsonStep>),
    /// It was computed with a part of a json document, by its path: other names, another place, pieces of it.
    Within(Vec<JsonStep>),
    /// Only how often it is there, or whether: `count`, `IS NULL`. Nothing of a single value shows.
    Counted,
    /// It was computed with; this is the first thing that was done to the value itself.
    Through(Step),
}

/// One step into a json document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum JsonStep {
    /// The member of this name.
    Member(String),
    /// An element, whichever.
    Element,
    /// A member or element that only the row tells.
    Any,
}

/// The first thing that was done to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// A function of `pg_catalog` by its name alone, another with its schema, an operator by its sign, a cast as `::type`, or a keyword
    /// (`case`, `row`, `field`).
    pub function: String,
    /// What else the call was given, since that can decide what shows; none if the value was all. One constant behind the value stands
    /// as it is (the length of `left`, the format of `to_char`), as does the field of `date_trunc`, `extract` and `date_part`; others
    /// each in quotes, with `_` for a value that is not the first. `*` where it is not all constants.
    pub argument: Option<String>,
}

/// Why a value could not be traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Untraced {
    /// A name that stands for no column known.
    #[error("it names a column that is not known")]
    Name,
    /// A name of no column among columns that are all known: the server refuses the statement.
    #[error("it names a column that does not exist")]
    Absent,
    /// Columns of something whose columns are not known (a function, a relation the catalog lacks).
    #[error("it comes from something whose columns are not known")]
    Columns,
    /// A relation's name stands for several relations.
    #[error("its relation's name stands for several relations")]
    Ambiguous,
    /// A form of expression that is not followed.
    #[error("it is computed in a way that is not followed")]
    Form,
    /// More sources, or deeper, than is followed.
    #[error("it comes from more columns than are followed")]
    Bound,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ResultColumn {
    /// Its name, as the server will give it.
    pub name: String,
    /// What it is made of.
    pub lineage: Lineage,
}

/// How a statement asks about values, from what tells least to what tells most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Whether it is there: `IS NULL`.
    Null,
    /// Which stored values of one column are equal: GROUP BY, DISTINCT, PARTITION BY of the column as it is.
    Group,
    /// Whether it is equal to a value: `=`, `<>`, IN, equi-joins, set operations that compare, of the column as it is.
    Equal,
    /// Where it comes among other stored values: what is sorted to be grouped, DISTINCT, a UNION or joined in full comes in that order.
    Among,
    /// Its order: `<`, BETWEEN, ORDER BY, `max`.
    Order,
    /// Anything else that decides which rows come, in what order, or which branch is taken: patterns, functions of it, truth.
    Match,
    /// Something that may fail, by the value: a division, a cast, whatever can overflow.
    Fail,
}

/// What a statement asks about a value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Asked {
    /// How.
    pub how: Use,
    /// Of what.
    pub of: Lineage,
}

/// A value that a statement stores.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stored {
    /// Every relation that its target may be; empty for one that is made, or not known.
    pub relations: Vec<Oid>,
    /// The column, as written or by its place.
    pub column: Option<String>,
    /// What is stored.
    pub lineage: Lineage,
}

impl Lineage {
    /// What could not be traced.
    #[must_use]
    pub fn untraced(why: Untraced) -> Self {
        Self { untraced: Some(why), ..Self::default() }
    }

    /// A column as it is.
    #[must_use]
    pub fn column(relation: Oid, attribute: i16) -> Self {
        Self { sources: vec![Source { relation, attribute, way: Way::Kept }], direct: true, ..Self::default() }
    }

    /// True if no column, no function of somebody else's and no doubt is in it.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sources.is_empty() && self.functions.is_empty() && self.untraced.is_none()
    }
}
