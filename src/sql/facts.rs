//! What is known of a statement.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Catalog, Oid};
use super::copy::CopyFormat;
use super::lineage::{Asked, ResultColumn, Stored};

/// What a statement does. The names are those that policies use (kebab-case).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// SELECT, TABLE, VALUES.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// TRUNCATE.
    Truncate,
    /// COPY ... TO STDOUT.
    CopyOut,
    /// COPY ... FROM STDIN.
    CopyIn,
    /// COPY with a file of the server.
    CopyFile,
    /// COPY with a program on the server.
    CopyProgram,
    /// CREATE of anything, IMPORT FOREIGN SCHEMA.
    Create,
    /// ALTER of anything, but owners and roles; dropping a column or constraint is `Drop`.
    Alter,
    /// DROP of anything, a column or a constraint included; DROP OWNED, REASSIGN OWNED.
    Drop,
    /// COMMENT.
    Comment,
    /// SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW.
    SelectInto,
    /// REFRESH MATERIALIZED VIEW.
    Refresh,
    /// GRANT, ALTER DEFAULT PRIVILEGES.
    Grant,
    /// REVOKE.
    Revoke,
    /// CREATE, ALTER and DROP of roles, users and groups.
    Role,
    /// ALTER ... OWNER TO, REASSIGN OWNED.
    Owner,
    /// SECURITY LABEL.
    SecurityLabel,
    /// SET ROLE, SET SESSION AUTHORIZATION, and SET of `role` by name.
    SetRole,
    /// ALTER SYSTEM, ALTER DATABASE.
    AlterSystem,
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, SET CONSTRAINTS, ...
    Transaction,
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase,
    /// SET, RESET.
    Set,
    /// SHOW.
    Show,
    /// DECLARE, FETCH, MOVE, CLOSE.
    Cursor,
    /// PREPARE.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// DISCARD.
    Discard,
    /// LISTEN, UNLISTEN.
    Listen,
    /// NOTIFY.
    Notify,
    /// EXPLAIN without ANALYZE.
    Explain,
    /// EXPLAIN ANALYZE; the verb of what it runs stands beside it.
    ExplainAnalyze,
    /// DO.
    Do,
    /// CALL.
    Call,
    /// VACUUM and ANALYZE.
    Maintenance,
    /// VACUUM FULL.
    VacuumFull,
    /// CLUSTER.
    Cluster,
    /// REINDEX.
    Reindex,
    /// LOCK TABLE in ROW EXCLUSIVE or a weaker mode.
    Lock,
    /// LOCK TABLE in a mode stronger than ROW EXCLUSIVE.
    LockStrong,
    /// LOAD.
    Load,
    /// CHECKPOINT.
    Checkpoint,
    /// The protocol's FunctionCall message.
    FunctionCall,
    /// Nothing but space and comments.
    Empty,
    /// What could not be read.
    Unknown,
}

impl Verb {
    /// Every verb, in the order of the declaration.
    pub const ALL: [Self; 49] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Merge,
        Self::Truncate,
        Self::CopyOut,
        Self::CopyIn,
        Self::CopyFile,
        Self::CopyProgram,
        Self::Create,
        Self::Alter,
        Self::Drop,
        Self::Comment,
        Self::SelectInto,
        Self::Refresh,
        Self::Grant,
        Self::Revoke,
        Self::Role,
        Self::Owner,
        Self::SecurityLabel,
        Self::SetRole,
        Self::AlterSystem,
        Self::Transaction,
        Self::TwoPhase,
        Self::Set,
        Self::Show,
        Self::Cursor,
        Self::Prepare,
        Self::Execute,
        Self::Deallocate,
        Self::Discard,
        Self::Listen,
        Self::Notify,
        Self::Explain,
        Self::ExplainAnalyze,
        Self::Do,
        Self::Call,
        Self::Maintenance,
        Self::VacuumFull,
        Self::Cluster,
        Self::Reindex,
        Self::Lock,
        Self::LockStrong,
        Self::Load,
        Self::Checkpoint,
        Self::FunctionCall,
        Self::Empty,
        Self::Unknown,
    ];

    /// The name that policies and the log use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Truncate => "truncate",
            Self::CopyOut => "copy-out",
            Self::CopyIn => "copy-in",
            Self::CopyFile => "copy-file",
            Self::CopyProgram => "copy-program",
            Self::Create => "create",
            Self::Alter => "alter",
            Self::Drop => "drop",
            Self::Comment => "comment",
            Self::SelectInto => "select-into",
            Self::Refresh => "refresh",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Role => "role",
            Self::Owner => "owner",
            Self::SecurityLabel => "security-label",
            Self::SetRole => "set-role",
            Self::AlterSystem => "alter-system",
            Self::Transaction => "transaction",
            Self::TwoPhase => "two-phase",
            Self::Set => "set",
            Self::Show => "show",
            Self::Cursor => "cursor",
            Self::Prepare => "prepare",
            Self::Execute => "execute",
            Self::Deallocate => "deallocate",
            Self::Discard => "discard",
            Self::Listen => "listen",
            Self::Notify => "notify",
            Self::Explain => "explain",
            Self::ExplainAnalyze => "explain-analyze",
            Self::Do => "do",
            Self::Call => "call",
            Self::Maintenance => "maintenance",
            Self::VacuumFull => "vacuum-full",
            Self::Cluster => "cluster",
            Self::Reindex => "reindex",
            Self::Lock => "lock",
            Self::LockStrong => "lock-strong",
            Self::Load => "load",
            Self::Checkpoint => "checkpoint",
            Self::FunctionCall => "function-call",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }
}

/// What a WHERE does to the target of DELETE, UPDATE and MERGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// The verb has none.
    None,
    /// It restricts which rows of the target are reached.
    Restricts,
    /// It is there and true whatever the row holds (or does not regard the target).
    Tautology,
    /// It is not there.
    Absent,
}

/// Why a text could not be analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The text does not parse.
    #[error("the statement could not be parsed")]
    Syntax,
    /// More bytes than are analysed.
    #[error("the statement is too long to be analysed")]
    Bytes,
    /// More tokens than are analysed.
    #[error("the statement has too many tokens to be analysed")]
    Tokens,
    /// Deeper than is analysed.
    #[error("the statement is nested too deeply to be analysed")]
    Nesting,
    /// Not valid in the client's encoding, or an encoding in which bytes that look like ASCII may be part of a character.
    #[error("the statement's encoding cannot be analysed")]
    Encoding,
    /// `standard_conforming_strings` is off, or could be by the time the statement runs.
    #[error("the statement is read under settings that change what its text means")]
    Settings,
    /// EXECUTE or FETCH of a name the proxy has not seen defined.
    #[error("the statement names a prepared statement or cursor whose text is not known")]
    Name,
    /// The protocol's own means to run a function.
    #[error("the statement is not SQL text")]
    NotText,
}

/// A relation as a statement names it, and what the catalog knows under that name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelationName {
    /// The schema, if it was written.
    pub schema: Option<String>,
    /// The name, case folded as the server folds it.
    pub name: String,
    /// Every relation it may stand for: one if qualified; all of the name, whatever the search path, if not. Empty: not known.
    pub oids: Vec<Oid>,
    /// True if it is surely a temporary relation of this session.
    pub temporary: bool,
}

/// A function as a statement names it: called by name, operator or cast.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FunctionName {
    /// The schema: as written, else `pg_catalog` if only there the name is known, else the one schema that has it, else none.
    pub schema: Option<String>,
    /// The name, case folded.
    pub name: String,
    /// True if it can only be an internal function of `pg_catalog`.
    pub builtin: bool,
    /// True if every function it may be is text of the language `sql` that was read: what it does stands in the facts itself.
    pub readable: bool,
}

/// Temporary relations by their names.
pub type Temporaries = BTreeMap<String, Temporary>;

/// What is known of a temporary relation. Nothing that is masked is ever stored in one, so that its columns hold nothing of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Temporary {
    /// The names of its columns, if they are known.
    pub columns: Option<Vec<String>>,
    /// It is gone at the end of the transaction (`ON COMMIT DROP`).
    pub fleeting: bool,
}

/// What a statement may change of the ground that later texts stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shift {
    /// A setting that changes how text is read (`standard_conforming_strings`, `client_encoding`), or all of them.
    Reading,
    /// The search path.
    SearchPath,
    /// A prepared statement: its name and the facts of its text.
    Prepared(String, Box<Facts>),
    /// A cursor: its name and the facts of its query.
    Cursor(String, Box<Facts>),
    /// A temporary relation made, or changed.
    TemporaryMade(String, Temporary),
    /// Temporary relations dropped, renamed or moved; an empty list stands for all.
    TemporaryGone(Vec<String>),
    /// The catalog: any DDL.
    Catalog,
    /// Anything: code ran.
    Anything,
}

/// Facts of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The outermost verb.
    pub verb: Verb,
    /// Every verb in it: in CTEs, EXPLAIN ANALYZE, COPY (query), DECLARE, EXECUTE. A PREPARE counts what it prepares only
    /// when it is executed.
    pub verbs: BTreeSet<Verb>,
    /// The laxest WHERE of the DELETEs, UPDATEs and MERGEs in it whose target is not temporary.
    pub where_: Where,
    /// Relations read.
    pub reads: Vec<RelationName>,
    /// Relations written, created, altered or dropped.
    pub writes: Vec<RelationName>,
    /// Functions called.
    pub functions: Vec<FunctionName>,
    /// True if every object that the DDL, TRUNCATE, COPY IN or mass change of this statement targets is temporary.
    pub target_temporary: bool,
    /// Why it could not be analysed.
    pub unknown: Option<UnknownReason>,
    /// EXECUTE: the name of the prepared statement. FETCH, MOVE, CLOSE: of the cursor.
    pub uses: Option<String>,
    /// What it may change for later texts.
    pub shifts: Vec<Shift>,
    /// True if it writes rows that come from a query over relations (INSERT..SELECT, CTAS, SELECT INTO, UPDATE with a
    /// subquery or FROM, MERGE, ON CONFLICT with a subquery) or assigns a column from another column.
    pub moves_data: bool,
    /// Columns that are assigned from their own value (relation, attribute number), of every relation that may be meant.
    pub rewrites: Vec<(Oid, i16)>,
    /// The columns of its result in their order; none if it has none, or if it is not known which.
    pub columns: Option<Vec<ResultColumn>>,
    /// What it asks about values, in conditions, orders and branches.
    pub asks: Vec<Asked>,
    /// What it stores, other than constants and parameters.
    pub stores: Vec<Stored>,
    /// How COPY OUT writes its rows.
    pub copy: Option<CopyFormat>,
    /// True for a CREATE TABLE of nothing but columns of types: it holds no code and takes nothing over.
    pub plain_table: bool,
    /// True for a DO whose code only says something: constants and RAISE.
    pub plain_code: bool,
}

impl Facts {
    /// Facts of a text that could not be analysed.
    #[must_use]
    pub fn unknown(reason: UnknownReason) -> Self {
        Self { unknown: Some(reason), shifts: vec![Shift::Anything], ..Self::of(Verb::Unknown) }
    }

    /// Facts of a statement of which only the verb is to be said.
    #[must_use]
    pub fn of(verb: Verb) -> Self {
        Self {
            verb,
            verbs: BTreeSet::from([verb]),
            where_: Where::None,
            reads: Vec::new(),
            writes: Vec::new(),
            functions: Vec::new(),
            target_temporary: false,
            unknown: None,
            uses: None,
            shifts: Vec::new(),
            moves_data: false,
            rewrites: Vec::new(),
            columns: None,
            asks: Vec::new(),
            stores: Vec::new(),
            copy: None,
            plain_table: false,
            plain_code: false,
        }
    }
}

/// The ground a text is read on: what the session's state does to its meaning.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// What is known of the database.
    pub catalog: &'a Catalog,
    /// The session's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// The session's `client_encoding`, in the server's spelling.
    pub client_encoding: &'a str,
    /// The session's temporary relations that surely exist and come first in the search path.
    pub temporary: &'a Temporaries,
    /// Facts behind the names of prepared statements: all that a name may stand for.
    pub prepared: &'a dyn Fn(&str) -> Vec<Facts>,
    /// Facts behind the names of cursors.
    pub cursors: &'a dyn Fn(&str) -> Vec<Facts>,
}

/// What is known of one text: its statements in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// One entry a statement; a text that cannot be read is one statement of the verb `unknown`; an empty one is `empty`.
    pub statements: Vec<Facts>,
}
