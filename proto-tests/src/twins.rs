//! Two databases that differ in nothing but what is masked, each seen directly and through pgveil.
//!
//! What comes through pgveil must be the same from both: whatever differs depends on a raw value. And what is the same directly
//! from both is clean, so it should come through as it is.

use std::collections::BTreeMap;

use crate::random::{Mode, Script};
use crate::wire::{Message, Reply};
use crate::{Identity, Stand, Wire};

/// A worker's four connections.
pub struct Twins {
    masked: [Wire; 2],
    direct: [Wire; 2],
}

/// What was seen of one script.
#[derive(Debug, Default)]
pub struct Seen {
    /// What came through pgveil and depends on a raw value: a description.
    pub leak: Option<String>,
    /// Plans may differ where statistics do.
    pub plan: bool,
    /// The database itself refuses it, with this SQLSTATE.
    pub invalid: Option<String>,
    /// pgveil refuses it, with this sentence.
    pub refused: Option<String>,
    /// Columns that came back.
    pub columns: usize,
    /// Clean columns that did not come through as they are, by what the client was told.
    pub over: Vec<String>,
}

/// Stops what runs away, on all sides alike.
const PATIENT: (&str, &str) = ("options", "-c statement_timeout=250");
/// Raw values that are the same in both databases, so that only a look finds them.
const SHARED: [&[u8]; 4] = [b"mrn-7", b"mbr8", b"4d524e2d37", b"4d425238"];

impl Twins {
    /// Logs in four times.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn connect(stand: &Stand, who: &Identity) -> Self {
        let app = Identity { user: "clinic_app".into(), password: "app".into(), dsn: String::new() };
        let pg: u16 = stand.value("PG_PORT").parse().unwrap();
        let to = |port, who, database| Wire::try_connect(port, who, database, &[PATIENT]).unwrap().unwrap();
        Self {
            masked: ["clinic", "mirror"].map(|database| to(stand.port(), who, database)),
            direct: ["clinic", "mirror"].map(|database| to(pg, &app, database)),
        }
    }

    /// Runs a script four times and compares.
    pub fn run(&mut self, script: &Script) -> Seen {
        let mut seen = Seen::default();
        for step in &script.steps {
            let [masked, direct] = self.step(step, script.mode);
            if compare(&mut seen, script, step, &masked, &direct) {
                break;
            }
        }
        if script.steps.first().is_some_and(|step| step == "begin") {
            let _ = self.step("rollback", Mode::Simple);
        }
        seen
    }

    fn step(&mut self, sql: &str, mode: Mode) -> [[Reply; 2]; 2] {
        for wire in self.masked.iter_mut().chain(&mut self.direct) {
            send(wire, sql, mode);
        }
        [self.masked.each_mut().map(Wire::reply), self.direct.each_mut().map(Wire::reply)]
    }
}

fn send(wire: &mut Wire, sql: &str, mode: Mode) {
    let (format, described) = match mode {
        Mode::Simple => return wire.ask(sql),
        Mode::Extended(format) => (format, true),
        Mode::Undescribed(format) => (format, false),
    };
    wire.pipeline(|out| {
        out.parse("", sql).bind("", "", &[], format);
        if described {
            out.describe(b'P', "");
        }
        out.execute("", 0).sync();
    });
}

/// True if the script ends here.
fn compare(seen: &mut Seen, script: &Script, sql: &str, masked: &[Reply; 2], direct: &[Reply; 2]) -> bool {
    let states = masked.iter().chain(direct).map(Reply::sqlstate);
    if states.flatten().any(|state| matches!(state.as_str(), "57014" | "54001" | "53400")) {
        seen.invalid = Some("stopped".into());
        return true;
    }
    let [a, b] = masked.each_ref().map(visible);
    if a != b {
        if script.shape == "explain" {
            seen.plan = true;
        } else {
            seen.leak = Some(difference(&a, &b));
        }
    } else if let Some(what) = shared(sql, &masked[0]) {
        seen.leak = Some(format!("a raw value: {what}"));
    }
    match (masked[0].sqlstate(), direct[0].sqlstate()) {
        (_, Some(state)) => seen.invalid = Some(state),
        (Some(_), None) => seen.refused = masked[0].of(b'E').next().and_then(|error| error.field(b'M')).map(|m| plain(&m)),
        (None, None) => over(seen, masked, direct),
    }
    seen.leak.is_some() || masked[0].sqlstate().is_some() || direct[0].sqlstate().is_some()
}

/// All that a client can see, the order of rows apart.
fn visible(reply: &Reply) -> Vec<(u8, Vec<u8>)> {
    let mut rows: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut rest: Vec<(u8, Vec<u8>)> = Vec::new();
    for message in &reply.messages {
        let Message { tag, body } = message;
        match tag {
            b'D' | b'd' => rows.push((*tag, body.clone())),
            b'T' => rest.push((*tag, unplaced(message))),
            _ => rest.push((*tag, body.clone())),
        }
    }
    rows.sort();
    rest.extend(rows);
    rest
}

/// The columns without the relations they come from: temporary ones have another number each time.
fn unplaced(message: &Message) -> Vec<u8> {
    let shown = |column: crate::wire::Column| format!("{} {} {}\n", column.name, column.type_oid, column.binary);
    message.columns().into_iter().map(shown).collect::<String>().into_bytes()
}

fn difference(a: &[(u8, Vec<u8>)], b: &[(u8, Vec<u8>)]) -> String {
    let shown = |message: Option<&(u8, Vec<u8>)>| match message {
        Some((tag, body)) => {
            format!("{}:{}", char::from(*tag), String::from_utf8_lossy(&body[..body.len().min(200)]).escape_debug())
        }
        None => "nothing".to_owned(),
    };
    let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    format!("{} messages and {}; {} | {}", a.len(), b.len(), shown(a.get(at)), shown(b.get(at)))
}

fn shared(sql: &str, reply: &Reply) -> Option<String> {
    let sent = sql.to_lowercase();
    let bytes = reply.bytes().to_ascii_lowercase();
    let in_it =
        |raw: &&&[u8]| bytes.windows(raw.len()).any(|window| window == **raw) && !sent.contains(&*String::from_utf8_lossy(raw));
    SHARED.iter().find(in_it).map(|raw| String::from_utf8_lossy(raw).into_owned())
}

/// A sentence without the names in it.
fn plain(sentence: &str) -> String {
    let mut out = String::new();
    for (index, part) in sentence.split('`').enumerate() {
        out += if index % 2 == 0 { part } else { "_" };
    }
    out
}

fn columns(reply: &Reply) -> BTreeMap<usize, Vec<Option<Vec<u8>>>> {
    let mut columns: BTreeMap<usize, Vec<Option<Vec<u8>>>> = BTreeMap::new();
    for row in reply.of(b'D') {
        for (index, cell) in row.cells().into_iter().enumerate() {
            columns.entry(index).or_default().push(cell);
        }
    }
    columns.values_mut().for_each(|cells| cells.sort());
    columns
}

fn over(seen: &mut Seen, masked: &[Reply; 2], direct: &[Reply; 2]) {
    let (got, [a, b]) = (columns(&masked[0]), direct.each_ref().map(columns));
    let notice = masked[0].of(b'N').next().and_then(|notice| notice.field(b'M'));
    for (index, cells) in &a {
        seen.columns += 1;
        if b.get(index) == Some(cells) && got.get(index) != Some(cells) {
            seen.over.push(notice.as_deref().map_or_else(|| "(nothing said)".to_owned(), plain));
        }
    }
}
