//! A session written out, as people read it or as JSON.

use std::collections::HashMap;
use std::io::Write;

use serde_json::{Value, json};

use super::{at, session_json, table};
use crate::ledger::{Answer, Content, Entry, Event, Parameter, ReplyEvent, SessionId, StatementEvent};
use crate::replay::{Column, Reader, Seen, shown};
use crate::store::Row;

/// Rows of one table; a longer answer is shown as several.
const TABLE_ROWS_MAX: usize = 1000;

/// Writes a session out, entry by entry.
pub(super) struct Player<W> {
    pub(super) out: W,
    json: bool,
    /// Answers that are not complete, by the number of what they answer.
    answers: HashMap<u64, Reader>,
}

impl<W: Write> Player<W> {
    pub(super) fn new(out: W, json: bool) -> Self {
        Self { out, json, answers: HashMap::new() }
    }

    pub(super) fn header(&mut self, session: SessionId, row: &Row, has_key: bool) -> std::io::Result<()> {
        if self.json {
            let mut line = session_json(session, row);
            if let Some(fields) = line.as_object_mut() {
                fields.insert("kind".into(), "session".into());
                fields.insert("content".into(), if has_key { "open" } else { "gone" }.into());
            }
            return writeln!(self.out, "{line}");
        }
        writeln!(self.out, "session {session}")?;
        let groups = if row.groups.is_empty() { "no groups".to_owned() } else { row.groups.join(", ") };
        writeln!(self.out, "  identity  {} ({})", shown(&row.identity), shown(&groups))?;
        writeln!(self.out, "  database  {}", shown(&row.database))?;
        writeln!(self.out, "  client    {} ({})", shown(&row.client), shown(&row.application))?;
        if has_key { Ok(()) } else { writeln!(self.out, "  content   gone: the session's key is not there") }
    }

    pub(super) fn entry(&mut self, entry: &Entry) -> std::io::Result<()> {
        if self.json {
            let line = self.line(entry);
            return writeln!(self.out, "{line}");
        }
        let goes_on = matches!(&entry.event, Event::Passed(event) if !event.last);
        if !goes_on && !matches!(entry.event, Event::Reply(_)) {
            write!(self.out, "\n{}  ", at(entry.place.time_us))?;
        }
        match &entry.event {
            Event::SessionOpened(event) => writeln!(self.out, "opened, as `{}` on the database", shown(&event.upstream_user)),
            Event::SessionClosed(event) => writeln!(self.out, "closed: {}", shown(&event.reason)),
            Event::Statement(event) => self.statement(event, entry.content),
            Event::Execution(event) => {
                writeln!(self.out, "#{} execution of #{}: {}", event.number, event.statement, shown(&event.decision))?;
                for (place, parameter) in event.parameters.iter().enumerate() {
                    writeln!(self.out, "    ${} = {}", place + 1, shown(&value(parameter)))?;
                }
                Ok(())
            }
            Event::Reply(event) => self.reply(event, entry.content),
            Event::Passed(_) if goes_on => Ok(()),
            Event::Passed(event) => {
                let bytes = event.at.saturating_add(u64::try_from(event.bytes.len()).unwrap_or_default());
                writeln!(self.out, "#{} its message of {bytes} bytes was passed on unread", event.number)
            }
            Event::HoldOpened(event) => {
                let approvers = shown(&event.approvers.join(", "));
                writeln!(self.out, "#{} held as {}: needs {} of {approvers}", event.number, shown(&event.hold), event.approvals)
            }
            Event::HoldAnswered(event) => {
                let by = if event.by.is_empty() { String::new() } else { format!(" by {}", shown(&event.by)) };
                let why = if event.reason.is_empty() { String::new() } else { format!(": {}", shown(&event.reason)) };
                writeln!(self.out, "hold {} {}{by}{why}", shown(&event.hold), answered(event.answer))
            }
            Event::LoginRefused(event) => writeln!(self.out, "login refused: {}", shown(&event.category)),
            Event::LoggedIn(event) => {
                let issuer = if event.issuer.is_empty() { String::new() } else { format!(" of {}", shown(&event.issuer)) };
                let actor =
                    if event.actor.is_empty() { String::new() } else { format!(", acted for by {}", shown(&event.actor)) };
                writeln!(self.out, "logged in by {}: {}{issuer}{actor}", shown(&event.way), shown(&event.subject))
            }
            Event::Revoked(event) => {
                let done = if event.lifted { "given back" } else { "revoked" };
                writeln!(self.out, "{} {} {done} by {}", shown(&event.what), shown(&event.name), shown(&event.by))
            }
            Event::ConfigurationLoaded(files) => writeln!(self.out, "configuration loaded: {} files", files.len()),
        }
    }

    fn statement(&mut self, event: &StatementEvent, content: Content) -> std::io::Result<()> {
        let kind = if event.prepared { "parse" } else { "query" };
        let touches = if event.touches_masked { ", touches masked columns" } else { "" };
        writeln!(self.out, "#{} {kind} ({}{touches})", event.number, shown(&event.verbs.join(", ")))?;
        if content == Content::Sealed {
            writeln!(self.out, "    [sealed]")?;
        }
        for line in shown(&String::from_utf8_lossy(&event.text)).lines() {
            writeln!(self.out, "    {line}")?;
        }
        let rules = if event.rules.is_empty() { String::new() } else { format!(" by {}", shown(&event.rules.join(", "))) };
        let reasons = if event.reasons.is_empty() { String::new() } else { format!(": {}", shown(&event.reasons.join("; "))) };
        writeln!(self.out, "    decision: {}{rules}{reasons}", shown(&event.decision))
    }

    fn reply(&mut self, event: &ReplyEvent, content: Content) -> std::io::Result<()> {
        let mut reader = self.answers.remove(&event.number).unwrap_or_default();
        let mut rows = Vec::new();
        for seen in reader.read(&event.columns, &event.frames) {
            match seen {
                Seen::Row(row) => rows.push(row),
                seen => {
                    self.rows(reader.columns(), &mut rows)?;
                    self.seen(&seen)?;
                }
            }
            if rows.len() >= TABLE_ROWS_MAX {
                self.rows(reader.columns(), &mut rows)?;
            }
        }
        self.rows(reader.columns(), &mut rows)?;
        if content == Content::Sealed {
            writeln!(self.out, "    [sealed] {} rows", event.rows)?;
        }
        if !event.last {
            self.answers.insert(event.number, reader);
            return Ok(());
        }
        let outcome = match (event.tag.as_str(), event.sqlstate.as_str()) {
            (tag, "") => shown(tag),
            (_, sqlstate) => format!("error {}", shown(sqlstate)),
        };
        writeln!(self.out, "    #{} {outcome} in {} us", event.number, event.duration_us)
    }

    fn seen(&mut self, seen: &Seen) -> std::io::Result<()> {
        match seen {
            Seen::Columns(columns) => {
                for column in columns.iter().filter(|column| !matches!(column.verdict.as_str(), "" | "clear")) {
                    let (name, verdict, reason) = (shown(&column.name), shown(&column.verdict), shown(&column.reason));
                    writeln!(self.out, "    column `{name}` {verdict}: {reason}")?;
                }
                Ok(())
            }
            Seen::Copy(line) => writeln!(self.out, "    copy: {}", shown(line.trim_end_matches('\n'))),
            Seen::Error(text) | Seen::Notice(text) => shown(text).lines().try_for_each(|line| writeln!(self.out, "    {line}")),
            Seen::Notification(channel, payload) => {
                writeln!(self.out, "    notification on {}: {}", shown(channel), shown(payload))
            }
            Seen::Suspended => writeln!(self.out, "    (more rows can be fetched)"),
            Seen::Empty => writeln!(self.out, "    (empty statement)"),
            Seen::Malformed(tag) => {
                writeln!(self.out, "    (a message of type `{}` that cannot be read)", char::from(*tag).escape_default())
            }
            Seen::Done(_) | Seen::Row(_) => Ok(()),
        }
    }

    fn rows(&mut self, columns: &[Column], rows: &mut Vec<Vec<Option<String>>>) -> std::io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = table();
        table.set_header(columns.iter().map(|column| match column.verdict.as_str() {
            "" | "clear" => shown(&column.name),
            verdict => format!("{} [{}]", shown(&column.name), shown(verdict)),
        }));
        for row in rows.drain(..) {
            table.add_row(row.iter().map(|value| value.as_deref().map_or_else(|| "NULL".to_owned(), shown)));
        }
        table.to_string().lines().try_for_each(|line| writeln!(self.out, "    {line}"))
    }

    fn line(&mut self, entry: &Entry) -> Value {
        let mut line = match &entry.event {
            Event::SessionOpened(event) => json!({"kind": "opened", "upstream_user": event.upstream_user}),
            Event::SessionClosed(event) => json!({"kind": "closed", "reason": event.reason}),
            Event::Statement(event) => json!({
                "kind": "statement", "number": event.number, "prepared": event.prepared,
                "name": String::from_utf8_lossy(&event.name), "text": String::from_utf8_lossy(&event.text),
                "verbs": event.verbs, "relations": event.relations, "decision": event.decision, "rules": event.rules,
                "reasons": event.reasons, "touches_masked": event.touches_masked,
            }),
            Event::Execution(event) => json!({
                "kind": "execution", "number": event.number, "statement": event.statement, "decision": event.decision,
                "portal": String::from_utf8_lossy(&event.portal), "rows_max": event.rows_max,
                "parameters": event.parameters.iter().map(|parameter| parameter.value.as_ref().map(|_| value(parameter)))
                    .collect::<Vec<_>>(),
            }),
            Event::Reply(event) => self.reply_line(event),
            Event::Passed(event) => json!({
                "kind": "passed", "number": event.number, "at": event.at, "last": event.last,
                "bytes": String::from_utf8_lossy(&event.bytes),
            }),
            Event::HoldOpened(event) => json!({
                "kind": "hold", "hold": event.hold, "number": event.number, "approvers": event.approvers,
                "approvals": event.approvals,
            }),
            Event::HoldAnswered(event) => json!({
                "kind": "answer", "hold": event.hold, "answer": answered(event.answer), "by": event.by, "reason": event.reason,
            }),
            Event::LoginRefused(event) => json!({"kind": "refused", "identity": event.identity, "category": event.category}),
            Event::LoggedIn(event) => json!({
                "kind": "login", "way": event.way, "issuer": event.issuer, "subject": event.subject, "actor": event.actor,
                "expires_s": event.expires_s, "user": event.user,
            }),
            Event::Revoked(event) => json!({
                "kind": "revoked", "what": event.what, "name": event.name, "lifted": event.lifted, "by": event.by,
            }),
            Event::ConfigurationLoaded(files) => json!({"kind": "configuration", "files": files.len()}),
        };
        if let Some(fields) = line.as_object_mut() {
            fields.insert("entry".into(), entry.place.index.into());
            fields.insert("time".into(), at(entry.place.time_us).into());
            if entry.content == Content::Sealed {
                fields.insert("sealed".into(), true.into());
            }
        }
        line
    }

    fn reply_line(&mut self, event: &ReplyEvent) -> Value {
        let mut reader = self.answers.remove(&event.number).unwrap_or_default();
        let (mut columns, mut rows, mut messages) = (Value::Null, Vec::new(), Vec::new());
        for seen in reader.read(&event.columns, &event.frames) {
            match seen {
                Seen::Columns(list) => {
                    let list: Vec<Value> = list.iter().map(column_json).collect();
                    // A second set of columns belongs to a later statement of the same text.
                    if columns.is_null() { columns = list.into() } else { messages.push(json!({"columns": list})) }
                }
                Seen::Row(row) => rows.push(json!(row)),
                Seen::Copy(line) => messages.push(json!({"copy": line})),
                Seen::Done(tag) => messages.push(json!({"done": tag, "rows_before": rows.len()})),
                Seen::Error(text) => messages.push(json!({"error": text})),
                Seen::Notice(text) => messages.push(json!({"notice": text})),
                Seen::Notification(channel, payload) => messages.push(json!({"notification": payload, "channel": channel})),
                Seen::Suspended => messages.push(json!({"suspended": true})),
                Seen::Empty => messages.push(json!({"empty": true})),
                Seen::Malformed(_) => messages.push(json!({"malformed": true})),
            }
        }
        if !event.last {
            self.answers.insert(event.number, reader);
        }
        json!({
            "kind": "reply", "number": event.number, "last": event.last, "columns": columns, "rows": rows,
            "messages": messages, "tag": event.tag, "sqlstate": event.sqlstate, "duration_us": event.duration_us,
        })
    }
}

fn column_json(column: &Column) -> Value {
    json!({"name": column.name, "verdict": column.verdict, "reason": column.reason})
}

fn answered(answer: Answer) -> &'static str {
    match answer {
        Answer::Approved => "approved",
        Answer::Denied => "denied",
        Answer::TimedOut => "timed out",
        Answer::Withdrawn => "withdrawn",
    }
}

fn value(parameter: &Parameter) -> String {
    match &parameter.value {
        None => "NULL".into(),
        Some(value) => match std::str::from_utf8(value) {
            Ok(text) if !parameter.binary => text.to_owned(),
            _ => value.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
        },
    }
}
