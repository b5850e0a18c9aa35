//! What a query or a change of data consists of, no finer than facts and conditions need.
//!
//! Chains are flat lists: a thousand `+`, `or`, `union` or `join` are one node, so that the depth of a tree is the depth of its
//! parentheses.

/// A name of one to four parts, folded.
pub(super) type Name = Vec<String>;

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string, also one of no type yet.
    Text(String),
    /// A bit string or a string too long to be compared.
    Other,
}

/// An operator: its schema if written, and its sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sign {
    /// Of `OPERATOR(schema.sign)`.
    pub(super) schema: Option<String>,
    /// The sign; keywords in lower case (`like`, `similar`).
    pub(super) sign: String,
}

/// What IS asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// UNKNOWN.
    Unknown,
    /// DOCUMENT, NORMALIZED, JSON.
    Form,
}

/// A type as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TypeName {
    /// Its name; words of several (`double precision`) in one part.
    pub(super) name: Name,
    /// True for an array or a set of it.
    pub(super) array: bool,
    /// True if a length or precision goes with it.
    pub(super) sized: bool,
}

/// What an argument of a call behind the arguments proper is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// ORDER BY in the parentheses, of WITHIN GROUP, of a window.
    Order,
    /// ORDER BY of WITHIN GROUP: also what is aggregated.
    Within,
    /// FILTER.
    Filter,
    /// PARTITION BY.
    Partition,
    /// A bound of a window's frame.
    Frame,
}

/// A call of a function by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Its name.
    pub(super) name: Name,
    /// True if the grammar itself names a function of `pg_catalog` (`extract(.. from ..)`).
    pub(super) syntax: bool,
    /// Arguments, then what stands in ORDER BY, WITHIN GROUP, FILTER and OVER.
    pub(super) args: Vec<Expr>,
    /// How many of them are arguments proper.
    pub(super) proper: usize,
    /// What the others are for, in their order.
    pub(super) roles: Vec<Role>,
    /// DISTINCT.
    pub(super) distinct: bool,
    /// OVER.
    pub(super) window: bool,
    /// Names of the last of them, where arguments are given by name.
    pub(super) named: Vec<String>,
    /// True if the last of them is an array of arguments (VARIADIC).
    pub(super) variadic: bool,
    /// The word of the grammar that decides: the field of `extract`, the side of `trim`, what `json` gives back.
    pub(super) keyword: Option<String>,
    /// Names of the columns of XMLTABLE and JSON_TABLE.
    pub(super) columns: Vec<String>,
}

impl Call {
    /// A call of nothing but arguments.
    pub(super) fn plain(name: Name, syntax: bool, args: Vec<Expr>) -> Self {
        let (proper, none) = (args.len(), Vec::new());
        Self {
            name,
            syntax,
            args,
            proper,
            roles: none,
            distinct: false,
            window: false,
            named: Vec::new(),
            variadic: false,
            keyword: None,
            columns: Vec::new(),
        }
    }

    /// The arguments behind those proper, each with what it is for.
    pub(super) fn others(&self) -> impl Iterator<Item = (Role, &Expr)> {
        self.roles.iter().copied().zip(self.args.iter().skip(self.proper))
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// A constant.
    Value(Value),
    /// `$1`, or DEFAULT, which is 0.
    Parameter(usize),
    /// A column, or a whole row by its alias.
    Column(Name),
    /// `*` or `a.*`.
    Star(Name),
    /// A call.
    Call(Box<Call>),
    /// Operators of one precedence, from the left; a prefix operator has one argument.
    Chain(Vec<Sign>, Vec<Expr>),
    /// One of `= <> < > <= >=` without a schema other than `pg_catalog`.
    Compare(&'static str, Box<(Expr, Expr)>),
    /// AND.
    And(Vec<Expr>),
    /// OR.
    Or(Vec<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// IS; true for IS NOT.
    Is(Box<Expr>, Is, bool),
    /// IS DISTINCT FROM; true for IS NOT DISTINCT FROM.
    Distinct(Box<(Expr, Expr)>, bool),
    /// IN a list; true for NOT IN.
    In(Box<Expr>, Vec<Expr>, bool),
    /// IN a query; true for NOT IN.
    InQuery(Box<Expr>, Box<Query>, bool),
    /// BETWEEN; true for NOT BETWEEN.
    Between(Box<(Expr, Expr, Expr)>, bool),
    /// `operator ANY (..)`; true for ALL.
    Any(Box<(Expr, Expr)>, Sign, bool),
    /// CASE: what is compared, the branches, the ELSE.
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// Casts, the first one first.
    Cast(Box<Expr>, Vec<TypeName>),
    /// ROW or a list in parentheses.
    Row(Vec<Expr>),
    /// ARRAY[..].
    Array(Vec<Expr>),
    /// Fields and elements of an expression, with the subscripts.
    Part(Box<Expr>, Vec<Expr>, Vec<String>),
    /// A query as a value.
    Query(Box<Query>),
    /// EXISTS.
    Exists(Box<Query>),
    /// ARRAY(query).
    ArrayQuery(Box<Query>),
    /// `(a, b) OVERLAPS (c, d)`.
    Overlaps(Box<(Expr, Expr)>),
    /// COLLATE.
    Collate(Box<Expr>),
    /// WHERE CURRENT OF a cursor.
    CurrentOf(String),
}

/// WITH.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct With {
    /// RECURSIVE.
    pub(super) recursive: bool,
    /// Its queries in order.
    pub(super) ctes: Vec<Cte>,
}

/// One query of a WITH.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cte {
    /// Its name.
    pub(super) name: String,
    /// Its columns' names, if written.
    pub(super) columns: Vec<String>,
    /// What it does.
    pub(super) body: Change,
    /// Columns that SEARCH and CYCLE add.
    pub(super) added: Vec<String>,
}

/// How an arm of a query is joined to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// True if rows of this arm are taken away.
    pub(super) except: bool,
    /// True for INTERSECT.
    pub(super) intersect: bool,
    /// ALL.
    pub(super) all: bool,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Query {
    /// WITH.
    pub(super) with: With,
    /// The arms of UNION, INTERSECT and EXCEPT; one if there are none.
    pub(super) arms: Vec<Arm>,
    /// True if all arms are joined by UNION.
    pub(super) union: bool,
    /// How each arm but the first is joined.
    pub(super) links: Vec<Link>,
    /// ORDER BY.
    pub(super) order: Vec<Expr>,
    /// LIMIT, FETCH.
    pub(super) limit: Vec<Expr>,
    /// OFFSET.
    pub(super) offset: Vec<Expr>,
}

/// One arm of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arm {
    /// SELECT.
    Select(Box<Select>),
    /// VALUES.
    Values(Vec<Vec<Expr>>),
    /// TABLE.
    Table(Box<From>),
    /// A query in parentheses.
    Query(Box<Query>),
}

/// The target of SELECT INTO and CREATE TABLE AS.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Into {
    /// The new relation.
    pub(super) name: Name,
    /// TEMPORARY was written.
    pub(super) temporary: bool,
}

/// SELECT.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Select {
    /// DISTINCT ON.
    pub(super) distinct: Vec<Expr>,
    /// The columns, each with its alias.
    pub(super) items: Vec<(Expr, Option<String>)>,
    /// INTO.
    pub(super) into: Option<Into>,
    /// FROM.
    pub(super) from: Vec<From>,
    /// WHERE.
    pub(super) condition: Option<Expr>,
    /// GROUP BY.
    pub(super) group: Vec<Expr>,
    /// True if there is a GROUP BY.
    pub(super) grouped: bool,
    /// True for DISTINCT without ON.
    pub(super) unique: bool,
    /// HAVING.
    pub(super) having: Option<Expr>,
    /// Expressions of WINDOW.
    pub(super) windows: Vec<Expr>,
    /// What each of them is for.
    pub(super) roles: Vec<Role>,
}

/// An alias with the columns' names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Alias {
    /// The alias.
    pub(super) name: Option<String>,
    /// Names for the columns.
    pub(super) columns: Vec<String>,
    /// Types of a column definition list.
    pub(super) types: Vec<TypeName>,
    /// LATERAL stands before it.
    pub(super) lateral: bool,
}

/// One item of FROM.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum From {
    /// A relation or a CTE, with the arguments of TABLESAMPLE.
    Relation(Name, Alias, Vec<Expr>),
    /// A query in parentheses.
    Query(Box<Query>, Alias),
    /// Functions.
    Functions(Vec<Expr>, Alias, Rows),
    /// A join.
    Join(Box<Join>),
}

/// What functions in FROM give.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rows {
    /// WITH ORDINALITY.
    pub(super) ordinality: bool,
    /// The column definitions of each function of ROWS FROM: empty where it has none.
    pub(super) definitions: Vec<Vec<String>>,
}

/// How two sides are joined.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Joint {
    /// The next item is one side.
    Item,
    /// The two sides before are one now, with no condition.
    Cross,
    /// By NATURAL.
    Natural(Side),
    /// By the columns of USING, with its alias.
    Using(Side, Vec<String>, Option<String>),
    /// By the next condition of the inner joins, or of the outer ones with the side that they keep.
    On(Option<Side>),
}

/// Which side's rows are kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// None, or the left one.
    Left,
    /// The right one.
    Right,
    /// Both.
    Both,
}

/// Joined items.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Join {
    /// What is joined.
    pub(super) items: Vec<From>,
    /// The ON conditions of inner joins.
    pub(super) inner: Vec<Expr>,
    /// The ON conditions of outer joins.
    pub(super) outer: Vec<Expr>,
    /// True if a USING or NATURAL restricts.
    pub(super) merged: bool,
    /// The items and conditions in the order in which they make the whole.
    pub(super) joints: Vec<Joint>,
    /// Alias of the whole.
    pub(super) alias: Alias,
}

/// What SET assigns: the column, and the value.
pub(super) type Assignment = (Vec<String>, Expr);

/// A query or a change of data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// SELECT, VALUES, TABLE.
    Query(Query),
    /// INSERT.
    Insert(Box<Insert>),
    /// UPDATE and DELETE.
    Mass(Box<Mass>),
    /// MERGE.
    Merge(Box<Merge>),
}

/// RETURNING.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Returning {
    /// The columns, each with its alias.
    pub(super) items: Vec<(Expr, Option<String>)>,
    /// The name of the rows before.
    pub(super) old: Option<String>,
    /// The name of the rows after.
    pub(super) new: Option<String>,
}

/// INSERT.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Insert {
    /// WITH.
    pub(super) with: With,
    /// Into what.
    pub(super) target: Name,
    /// Its alias.
    pub(super) alias: Option<String>,
    /// The columns, if written.
    pub(super) columns: Vec<String>,
    /// The rows; none with DEFAULT VALUES.
    pub(super) source: Option<Query>,
    /// Assignments of ON CONFLICT DO UPDATE.
    pub(super) set: Vec<Assignment>,
    /// Conditions and expressions of ON CONFLICT.
    pub(super) conflict: Vec<Expr>,
    /// RETURNING.
    pub(super) returning: Returning,
}

/// UPDATE and DELETE.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Mass {
    /// WITH.
    pub(super) with: With,
    /// True for DELETE.
    pub(super) delete: bool,
    /// The target.
    pub(super) target: Name,
    /// Its alias.
    pub(super) alias: Option<String>,
    /// SET.
    pub(super) set: Vec<Assignment>,
    /// USING or FROM.
    pub(super) from: Vec<From>,
    /// WHERE.
    pub(super) condition: Option<Expr>,
    /// RETURNING.
    pub(super) returning: Returning,
}

/// What a WHEN of MERGE does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct When {
    /// True if it updates or deletes rows of the target.
    pub(super) mass: bool,
    /// True for NOT MATCHED BY SOURCE: rows that ON does not reach.
    pub(super) by_source: bool,
    /// AND.
    pub(super) condition: Option<Expr>,
    /// What is assigned or inserted.
    pub(super) set: Vec<Assignment>,
    /// The columns of what is inserted, if written.
    pub(super) columns: Vec<String>,
}

/// MERGE.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Merge {
    /// WITH.
    pub(super) with: With,
    /// The target.
    pub(super) target: Name,
    /// Its alias.
    pub(super) alias: Option<String>,
    /// The source.
    pub(super) source: From,
    /// ON.
    pub(super) on: Expr,
    /// The actions.
    pub(super) whens: Vec<When>,
    /// RETURNING.
    pub(super) returning: Returning,
}
