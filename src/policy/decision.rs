//! What a policy says of one text.

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The identity's name.
    pub identity: &'a str,
    /// Its groups.
    pub groups: &'a [String],
    /// The database, as the client names it.
    pub database: &'a str,
}

/// What a person must do before a held statement runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldTerms {
    /// Groups that may answer.
    pub approvers: Vec<String>,
    /// How many different people must approve.
    pub approvals: u32,
    /// After how many milliseconds silence is denial.
    pub within_ms: u64,
}

/// What happens to a text, from the laxest to the strictest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes to the database.
    Forward,
    /// It waits for a person.
    Hold(HoldTerms),
    /// It is refused.
    Block,
}

/// At which message of the extended protocol the outcome falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// At Execute: preparing is not running.
    Execute,
    /// At Bind: planning can already run a function that is not known.
    Bind,
}

/// What a policy says of one text, all its statements together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// When, in the extended protocol.
    pub gate: Gate,
    /// Names of the rules that matched, strictest first.
    pub rules: Vec<String>,
    /// One sentence each, without values from the database.
    pub reasons: Vec<String>,
    /// True if the text can touch a masked column of this subject: what the server gives no origin for is then masked.
    pub touches_masked: bool,
    /// True if the text runs code that the policy does not vouch for: a function outside `pg_catalog` that
    /// `known_functions` does not name, DO, CALL, or what could not be analysed.
    pub calls_unknown: bool,
    /// Stop after this many rows and hold there.
    pub rows_over: Option<RowsOver>,
    /// Masked columns, as `schema.table.column`, that the text compares with values for equality, where their rules allow no
    /// more than that: they count against the policy's budget of questions.
    pub questions: Vec<String>,
}

/// A line that the rows of a statement may not cross before a person has agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsOver {
    /// Rows that may be sent before.
    pub rows: u64,
    /// What the person must do.
    pub terms: HoldTerms,
    /// Names of the rules that draw it.
    pub rules: Vec<String>,
    /// One sentence each, without values from the database.
    pub reasons: Vec<String>,
}
