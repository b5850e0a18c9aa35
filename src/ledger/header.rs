//! What of an event can be searched and is not sealed: no PHI in it.

use bytes::Bytes;

use super::fields::{Fields, Written, list};
use super::{
    Answer, Event, ExecutionEvent, HoldAnswered, HoldOpened, LedgerError, LoggedIn, LoginRefused, PassedEvent, ReplyEvent,
    Revoked, SessionClosed, SessionOpened, StatementEvent,
};

/// The number that stands for the kind of an event.
pub(super) fn kind(event: &Event) -> u64 {
    match event {
        Event::SessionOpened(_) => 1,
        Event::SessionClosed(_) => 2,
        Event::Statement(_) => 3,
        Event::Execution(_) => 4,
        Event::Reply(_) => 5,
        Event::HoldOpened(_) => 6,
        Event::HoldAnswered(_) => 7,
        Event::LoginRefused(_) => 8,
        Event::ConfigurationLoaded(_) => 9,
        Event::LoggedIn(_) => 10,
        Event::Revoked(_) => 11,
        Event::Passed(_) => 20,
    }
}

/// Writes the open fields of an event as one array.
pub(super) fn write(out: &mut Written, event: &Event) {
    match event {
        Event::SessionOpened(event) => session(out, event),
        Event::SessionClosed(event) => {
            out.array(1);
            out.text(&event.reason);
        }
        Event::Statement(event) => statement(out, event),
        Event::Execution(event) => {
            out.array(4);
            out.number(event.number);
            out.number(event.statement);
            out.number(event.rows_max.into());
            out.text(&event.decision);
        }
        Event::Reply(event) => {
            out.array(7);
            out.number(event.number);
            out.truth(event.last);
            out.number(event.rows);
            out.text(&event.tag);
            out.text(&event.sqlstate);
            out.number(event.duration_us);
            out.number(event.columns_of);
        }
        Event::Passed(event) => {
            out.array(3);
            out.number(event.number);
            out.number(event.at);
            out.truth(event.last);
        }
        Event::HoldOpened(event) => {
            out.array(5);
            out.text(&event.hold);
            out.number(event.number);
            out.texts(&event.approvers);
            out.number(event.approvals.into());
            out.bytes(&event.digest);
        }
        Event::HoldAnswered(event) => {
            out.array(3);
            out.text(&event.hold);
            out.number(answer_number(event.answer));
            out.text(&event.by);
        }
        Event::LoginRefused(event) => {
            out.array(3);
            out.text(&event.identity);
            out.text(&event.client);
            out.text(&event.category);
        }
        Event::LoggedIn(event) => login(out, event),
        Event::Revoked(event) => revoked(out, event),
        Event::ConfigurationLoaded(files) => {
            out.array(files.len());
            for (name, hash) in files {
                out.array(2);
                out.text(name);
                out.bytes(hash);
            }
        }
    }
}

fn session(out: &mut Written, event: &SessionOpened) {
    out.array(7);
    out.text(&event.identity);
    out.texts(&event.groups);
    out.text(&event.database);
    out.text(&event.client);
    out.text(&event.application);
    out.text(&event.upstream_user);
    out.bytes(&event.policy);
}

fn login(out: &mut Written, event: &LoggedIn) {
    out.array(6);
    out.text(&event.way);
    out.text(&event.issuer);
    out.text(&event.subject);
    out.text(&event.actor);
    out.number(event.expires_s);
    out.text(&event.user);
}

fn revoked(out: &mut Written, event: &Revoked) {
    out.array(4);
    out.text(&event.what);
    out.text(&event.name);
    out.truth(event.lifted);
    out.text(&event.by);
}

fn statement(out: &mut Written, event: &StatementEvent) {
    out.array(7);
    out.number(event.number);
    out.truth(event.prepared);
    out.texts(&event.verbs);
    out.texts(&event.relations);
    out.text(&event.decision);
    out.texts(&event.rules);
    out.truth(event.touches_masked);
}

fn answer_number(answer: Answer) -> u64 {
    match answer {
        Answer::Approved => 1,
        Answer::Denied => 2,
        Answer::TimedOut => 3,
        Answer::Withdrawn => 4,
    }
}

fn answer(number: u64) -> Result<Answer, LedgerError> {
    match number {
        1 => Ok(Answer::Approved),
        2 => Ok(Answer::Denied),
        3 => Ok(Answer::TimedOut),
        4 => Ok(Answer::Withdrawn),
        _ => Err(LedgerError::Malformed("an answer that is not known")),
    }
}

/// Reads the open fields of an event of this kind; what is sealed stays empty.
pub(super) fn read(fields: &mut Fields<'_>, kind: u64) -> Result<Event, LedgerError> {
    match kind {
        1 => read_session(fields).map(Event::SessionOpened),
        2 => {
            fields.array(1)?;
            Ok(Event::SessionClosed(SessionClosed { reason: fields.text()? }))
        }
        3 => read_statement(fields).map(Event::Statement),
        4 => read_execution(fields).map(Event::Execution),
        5 => read_reply(fields).map(Event::Reply),
        6 => read_hold(fields).map(Event::HoldOpened),
        7 => {
            fields.array(3)?;
            let (hold, answer, by) = (fields.text()?, answer(fields.number()?)?, fields.text()?);
            Ok(Event::HoldAnswered(HoldAnswered { hold, answer, by, reason: String::new() }))
        }
        8 => {
            fields.array(3)?;
            let (identity, client, category) = (fields.text()?, fields.text()?, fields.text()?);
            Ok(Event::LoginRefused(LoginRefused { identity, client, category }))
        }
        9 => list(fields, |fields| {
            fields.array(2)?;
            Ok((fields.text()?, fields.hash()?))
        })
        .map(Event::ConfigurationLoaded),
        10 => read_login(fields).map(Event::LoggedIn),
        11 => {
            fields.array(4)?;
            let (what, name, lifted, by) = (fields.text()?, fields.text()?, fields.truth()?, fields.text()?);
            Ok(Event::Revoked(Revoked { what, name, lifted, by }))
        }
        20 => {
            fields.array(3)?;
            let (number, at, last) = (fields.number()?, fields.number()?, fields.truth()?);
            Ok(Event::Passed(PassedEvent { number, at, last, bytes: Bytes::new() }))
        }
        _ => Err(LedgerError::Malformed("a kind that is not known")),
    }
}

fn read_session(fields: &mut Fields<'_>) -> Result<SessionOpened, LedgerError> {
    fields.array(7)?;
    Ok(SessionOpened {
        identity: fields.text()?,
        groups: fields.texts()?,
        database: fields.text()?,
        client: fields.text()?,
        application: fields.text()?,
        upstream_user: fields.text()?,
        policy: fields.hash()?,
    })
}

fn read_login(fields: &mut Fields<'_>) -> Result<LoggedIn, LedgerError> {
    fields.array(6)?;
    Ok(LoggedIn {
        way: fields.text()?,
        issuer: fields.text()?,
        subject: fields.text()?,
        actor: fields.text()?,
        expires_s: fields.number()?,
        user: fields.text()?,
    })
}

fn read_statement(fields: &mut Fields<'_>) -> Result<StatementEvent, LedgerError> {
    fields.array(7)?;
    Ok(StatementEvent {
        number: fields.number()?,
        prepared: fields.truth()?,
        name: Bytes::new(),
        text: Bytes::new(),
        verbs: fields.texts()?,
        relations: fields.texts()?,
        decision: fields.text()?,
        rules: fields.texts()?,
        reasons: Vec::new(),
        touches_masked: fields.truth()?,
    })
}

fn read_execution(fields: &mut Fields<'_>) -> Result<ExecutionEvent, LedgerError> {
    fields.array(4)?;
    Ok(ExecutionEvent {
        number: fields.number()?,
        statement: fields.number()?,
        portal: Bytes::new(),
        rows_max: fields.number32()?,
        parameters: Vec::new(),
        decision: fields.text()?,
    })
}

fn read_reply(fields: &mut Fields<'_>) -> Result<ReplyEvent, LedgerError> {
    fields.array(7)?;
    Ok(ReplyEvent {
        number: fields.number()?,
        last: fields.truth()?,
        columns: Vec::new(),
        frames: Vec::new(),
        rows: fields.number()?,
        tag: fields.text()?,
        sqlstate: fields.text()?,
        duration_us: fields.number()?,
        columns_of: fields.number()?,
    })
}

fn read_hold(fields: &mut Fields<'_>) -> Result<HoldOpened, LedgerError> {
    fields.array(5)?;
    Ok(HoldOpened {
        hold: fields.text()?,
        number: fields.number()?,
        approvers: fields.texts()?,
        approvals: fields.number32()?,
        digest: fields.hash()?,
    })
}
