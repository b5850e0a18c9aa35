//! Questions of the proxy's own to a server, such as what its catalog holds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::fault::SqlState;
use super::{Connection, QueryError, Stream};
use crate::mask::Unmasked;
use crate::wire::{
    self, Body, Frame, Limits, Malformed, Part, Piece, RowDescription, Run, Splitter, describe_statement, parse, server_tag,
};

const READ_BYTES: usize = 16_384;
/// Most statements of one `describe_all`.
const DESCRIBE_MAX: usize = 65_536;

/// Bounds of one question.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Most rows of an answer.
    pub rows_max: usize,
    /// Most bytes of an answer, headers included.
    pub answer_bytes_max: usize,
    /// How long it may take.
    pub time_max: Duration,
}

/// A row as text, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// A connection for questions of our own. Ask for `client_encoding=UTF8` when it is opened.
#[derive(Debug)]
pub struct Querier {
    from: From,
    to: WriteHalf<Stream>,
    limits: QueryLimits,
    broken: bool,
}

impl Querier {
    /// Takes a connection over.
    #[must_use]
    pub fn new(connection: Connection, limits: QueryLimits) -> Self {
        let (from, to) = split(connection.stream);
        let whole_bytes_max = limits.answer_bytes_max;
        let mut splitter = Splitter::new(Limits { whole_bytes_max, bulk: &[], bulk_bytes_max: whole_bytes_max });
        *splitter.buffer() = connection.leftover;
        Self { from: From { stream: from, splitter, left_bytes: 0 }, to, limits, broken: false }
    }

    /// Whether an earlier question failed in a way that leaves the connection of no use.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Runs one statement and returns its rows.
    ///
    /// # Errors
    /// See `QueryError`; the querier is of no use after any but `Refused`.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<Row>, QueryError> {
        let question = wire::query(sql);
        let rows_max = self.limits.rows_max;
        self.ask(question, async |from| from.rows(rows_max).await).await?
    }

    /// What columns a statement would return, without running it; none for one that returns no rows.
    ///
    /// # Errors
    /// As `simple_query`.
    pub async fn describe(&mut self, sql: &str) -> Result<RowDescription, QueryError> {
        self.describe_all(&[sql]).await?.pop().unwrap_or(Err(QueryError::Broken))
    }

    /// `describe` of many statements in one go. One that the server refuses does not hinder the others.
    ///
    /// # Errors
    /// As `simple_query`; a refusal stands in its statement's place.
    pub async fn describe_all(&mut self, texts: &[&str]) -> Result<Vec<Result<RowDescription, QueryError>>, QueryError> {
        if texts.len() > DESCRIBE_MAX {
            return Err(QueryError::TooLarge);
        }
        let mut questions = BytesMut::new();
        for text in texts {
            questions.extend_from_slice(&parse(b"", text.as_bytes()));
            questions.extend_from_slice(&describe_statement(b""));
            questions.extend_from_slice(&wire::sync());
        }
        let count = texts.len();
        self.ask(questions.freeze(), async |from| {
            let mut answers = Vec::with_capacity(count);
            for _ in 0..count {
                answers.push(from.description().await?);
            }
            Ok(answers)
        })
        .await
    }

    /// Writes and reads at the same time: a server that cannot write stops reading. Until the answer is there the querier counts
    /// as broken, so that a dropped question leaves no answer to the next.
    async fn ask<T>(
        &mut self,
        question: Bytes,
        answer: impl AsyncFnOnce(&mut From) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(QueryError::Broken);
        }
        self.from.left_bytes = self.limits.answer_bytes_max;
        let (from, to) = (&mut self.from, &mut self.to);
        let asked = async {
            to.write_all(&question).await.map_err(QueryError::Io)?;
            to.flush().await.map_err(QueryError::Io)
        };
        let both = async { tokio::try_join!(asked, answer(from)) };
        let ((), answer) = timeout(self.limits.time_max, both).await.unwrap_or(Err(QueryError::TimedOut))?;
        self.broken = false;
        Ok(answer)
    }
}

/// What the server says.
#[derive(Debug)]
struct From {
    stream: ReadHalf<Stream>,
    splitter: Splitter,
    left_bytes: usize,
}

impl From {
    /// The next message that answers something.
    async fn hear(&mut self) -> Result<Frame, QueryError> {
        loop {
            match self.splitter.next()? {
                Some(Piece::Frame(frame)) => {
                    self.left_bytes = self.left_bytes.checked_sub(frame.bytes().len()).ok_or(QueryError::TooLarge)?;
                    match frame.tag() {
                        server_tag::NOTICE_RESPONSE | server_tag::PARAMETER_STATUS | server_tag::NOTIFICATION_RESPONSE => {
                            continue;
                        }
                        _ => return Ok(frame),
                    }
                }
                Some(Piece::Oversize { .. }) => return Err(QueryError::TooLarge),
                // INVARIANT: no type is bulk here.
                Some(Piece::Run(Run { tag, .. }) | Piece::Part(Part { tag, .. })) => return Err(QueryError::Unexpected(tag)),
                None => {}
            }
            self.splitter.buffer().reserve(READ_BYTES);
            match self.stream.read_buf(self.splitter.buffer()).await {
                Ok(0) => return Err(QueryError::Closed),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(QueryError::Closed),
                Err(error) => return Err(QueryError::Io(error)),
                Ok(_) => {}
            }
        }
    }

    /// The answer to a Query up to ReadyForQuery. The outer error breaks the connection.
    async fn rows(&mut self, rows_max: usize) -> Result<Result<Vec<Row>, QueryError>, QueryError> {
        let (mut rows, mut refusal) = (Vec::new(), None);
        loop {
            let frame = self.hear().await?;
            match frame.tag() {
                server_tag::ROW_DESCRIPTION | server_tag::COMMAND_COMPLETE | server_tag::EMPTY_QUERY_RESPONSE => {}
                server_tag::DATA_ROW if rows.len() == rows_max => return Err(QueryError::TooLarge),
                server_tag::DATA_ROW => rows.push(row(&frame)?),
                server_tag::ERROR_RESPONSE => refusal = Some(refused(frame)),
                server_tag::READY_FOR_QUERY => return Ok(refusal.map_or(Ok(rows), Err)),
                other => return Err(QueryError::Unexpected(other)),
            }
        }
    }

    /// The answer to Parse, Describe and Sync.
    async fn description(&mut self) -> Result<Result<RowDescription, QueryError>, QueryError> {
        let mut outcome = Err(QueryError::Unexpected(server_tag::READY_FOR_QUERY));
        loop {
            let frame = self.hear().await?;
            match frame.tag() {
                server_tag::PARSE_COMPLETE | server_tag::PARAMETER_DESCRIPTION => {}
                server_tag::ROW_DESCRIPTION => outcome = Ok(RowDescription::read(&frame)?),
                server_tag::NO_DATA => outcome = Ok(RowDescription { columns: Vec::new() }),
                server_tag::ERROR_RESPONSE => outcome = Err(refused(frame)),
                server_tag::READY_FOR_QUERY => return Ok(outcome),
                other => return Err(QueryError::Unexpected(other)),
            }
        }
    }
}

fn refused(frame: Frame) -> QueryError {
    let sqlstate = SqlState::of(&frame);
    QueryError::Refused { error: Unmasked::new(frame), sqlstate }
}

fn row(frame: &Frame) -> Result<Row, QueryError> {
    let mut body = Body::new(frame.tag(), frame.body());
    let count = body.count()?;
    let values = (0..count).map(|_| body.value()).collect::<Result<Vec<_>, Malformed>>()?;
    body.end()?;
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).map_err(|_| QueryError::Encoding);
    values.into_iter().map(|value| value.map(text).transpose()).collect()
}
