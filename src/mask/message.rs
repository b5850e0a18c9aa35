//! Messages that are no rows: what passes, and what is replaced because it can quote data.
//!
//! A message that code of the database's users could have worded carries a context (`W`): the server adds it around every
//! function that is not its own. Errors with a position and no context come from parse analysis, before any data is read.

use bytes::Bytes;

use super::{Exposure, Masked, Unmasked, condition};
use crate::wire::{self, Body, ErrorFields, Field, Frame, server_tag};

/// Classes whose errors come from parse analysis if they have a position.
const PARSE_CLASSES: [&[u8]; 1] = [b"42"];
/// Conditions of other classes that parse analysis raises, quoting the statement's own literals and names.
const PARSE_CONDITIONS: [&[u8]; 7] = [b"0A000", b"22003", b"22007", b"22008", b"22P02", b"3D000", b"3F000"];
/// Classes whose own messages (without detail, hint and context) quote nothing, or only names from the statement text.
const FIXED_CLASSES: [&[u8]; 4] = [b"25", b"26", b"40", b"53"];
/// Conditions of other classes of which the same holds. Left out on purpose: 08 (dblink quotes its arguments), 34, 3D and 3F
/// (`cursor_to_xml`, `regclass` and the privilege functions quote theirs), 55000 (extensions use it for anything).
const FIXED_CONDITIONS: [&[u8]; 11] =
    [b"08P01", b"2201W", b"2201X", b"3B001", b"55006", b"55P03", b"57014", b"57P01", b"57P02", b"57P03", b"57P05"];
/// What the server says when a prepared statement's result has changed. Drivers know it by this text, or by the routine (`R`)
/// that says it, and prepare again.
const STALE_PLAN: (&[u8], &[u8]) = (b"0A000", b"cached plan must not change result type");
/// Settings whose values come from a small fixed vocabulary, so that no data can be written into them.
const CLOSED_SETTINGS: [&[u8]; 10] = [
    b"client_encoding",
    b"DateStyle",
    b"IntervalStyle",
    b"default_transaction_read_only",
    b"in_hot_standby",
    b"integer_datetimes",
    b"is_superuser",
    b"server_encoding",
    b"server_version",
    b"standard_conforming_strings",
];
/// What the server calls a block of code that has no name.
const BLOCK: &[u8] = b"inline_code_block";
/// How it begins to speak of a parameter of the unnamed portal.
const PARAMETER: &[u8] = b"unnamed portal parameter $";
const ERROR_TEXT: &str = "database error";
const NOTICE_TEXT: &str = "notice from the database withheld";
const ERROR_CODE: &[u8] = b"XX000";
const NOTICE_CODE: &[u8] = b"01000";

/// One message of the server that is not a row or COPY data.
///
/// Under `Exposure::Clear` it passes as it is; under `Exposure::Guarded`, unless it is an error or a notice that comes out of code;
/// under `Exposure::Saying`, unless it comes out of other code than a block without a name;
/// under `Exposure::Settling`, unless it is any error or notice. Else errors and notices keep severity, SQLSTATE and position, and the names of schema, table, column, type and constraint where the server itself gave them; their text becomes
/// the condition's name, unless it cannot quote data. A notification loses its payload, a function's result becomes NULL, and
/// a changed setting whose value could be any text is left out (the result is empty), as are stray rows and COPY data, which
/// have their own ways. All else passes.
#[must_use]
pub fn message(frame: Unmasked<Frame>, exposure: Exposure) -> Masked<Bytes> {
    let frame = frame.into_raw();
    Masked::new(match exposure {
        Exposure::Clear => frame.into_bytes(),
        Exposure::Guarded => match frame.tag() {
            server_tag::ERROR_RESPONSE | server_tag::NOTICE_RESPONSE if Report::read(&frame).is_from_code() => report(frame),
            _ => frame.into_bytes(),
        },
        Exposure::Saying => match frame.tag() {
            server_tag::ERROR_RESPONSE | server_tag::NOTICE_RESPONSE if Report::read(&frame).is_from_other_code() => {
                report(frame)
            }
            _ => frame.into_bytes(),
        },
        Exposure::Settling => match frame.tag() {
            server_tag::ERROR_RESPONSE | server_tag::NOTICE_RESPONSE => report(frame),
            _ => frame.into_bytes(),
        },
        Exposure::Touched => touched(frame),
    })
}

fn touched(frame: Frame) -> Bytes {
    match frame.tag() {
        server_tag::ERROR_RESPONSE | server_tag::NOTICE_RESPONSE => report(frame),
        server_tag::FUNCTION_CALL_RESPONSE => {
            Bytes::from_static(&[server_tag::FUNCTION_CALL_RESPONSE, 0, 0, 0, 8, 255, 255, 255, 255])
        }
        server_tag::NOTIFICATION_RESPONSE => notification(&frame),
        server_tag::PARAMETER_STATUS => setting(frame),
        server_tag::DATA_ROW | server_tag::COPY_DATA => Bytes::new(),
        _ => frame.into_bytes(),
    }
}

/// What an error or notice holds, as far as it decides.
#[derive(Default)]
struct Report<'a> {
    fields: Vec<Field<'a>>,
    code: &'a [u8],
    text: &'a [u8],
    position: bool,
    context: bool,
    whole: bool,
}

impl<'a> Report<'a> {
    fn read(frame: &'a Frame) -> Self {
        let mut report = Self { whole: true, ..Self::default() };
        for field in ErrorFields::read(frame) {
            let Ok((kind, value)) = field else {
                report.whole = false;
                break;
            };
            match kind {
                b'C' => report.code = value,
                b'M' => report.text = value,
                b'P' => report.position = !value.is_empty() && value.iter().all(u8::is_ascii_digit),
                b'W' | b'q' | b'p' => report.context = true,
                _ => {}
            }
            report.fields.push((kind, value));
        }
        report
    }

    fn before_reading(&self) -> bool {
        let class = self.code.get(..2).unwrap_or_default();
        self.whole
            && self.position
            && !self.context
            && (PARSE_CLASSES.contains(&class) || PARSE_CONDITIONS.contains(&self.code))
            && condition::name(self.code).is_some()
    }

    /// True if it was raised inside a function, or cannot be read. COPY and Bind give their errors a context of one line that
    /// quotes the client's own data.
    fn is_from_code(&self) -> bool {
        let given = |value: &[u8]| value.starts_with(b"COPY ") || parameter(value).is_some();
        let own = |(kind, value): &Field<'_>| *kind == b'W' && given(value) && !value.contains(&b'\n');
        !self.whole || (self.context && !self.fields.iter().filter(|(kind, _)| matches!(kind, b'W' | b'q' | b'p')).all(own))
    }

    /// True if it was raised in a function. The context of a block without a name says so in one line, where that of a function
    /// has the function's parentheses.
    fn is_from_other_code(&self) -> bool {
        let block = |value: &[u8]| value.windows(BLOCK.len()).any(|part| part == BLOCK);
        let own = |(kind, value): &Field<'_>| *kind == b'W' && block(value) && !value.contains(&b'\n') && !value.contains(&b'(');
        self.is_from_code() && !(self.whole && self.fields.iter().filter(|(kind, _)| matches!(kind, b'W' | b'q' | b'p')).all(own))
    }

    fn is_stale_plan(&self) -> bool {
        self.whole && !self.context && (self.code, self.text) == STALE_PLAN
    }

    fn is_fixed(&self) -> bool {
        let class = self.code.get(..2).unwrap_or_default();
        self.is_stale_plan()
            || self.whole
                && !self.context
                && (FIXED_CLASSES.contains(&class) || FIXED_CONDITIONS.contains(&self.code) || self.is_denied())
    }

    /// What the server says of an object that is there, and may not be used.
    fn is_denied(&self) -> bool {
        self.code == b"42501" && self.text.starts_with(b"permission denied for ")
    }
}

fn report(frame: Frame) -> Bytes {
    let report = Report::read(&frame);
    if report.before_reading() {
        return frame.into_bytes();
    }
    let notice = frame.tag() == server_tag::NOTICE_RESPONSE;
    let known = condition::name(report.code);
    let code = match (known, notice) {
        (Some(_), _) => report.code,
        (None, true) => NOTICE_CODE,
        (None, false) => ERROR_CODE,
    };
    let text = match (known, notice) {
        (Some(_), _) if report.is_fixed() => report.text,
        (_, true) => NOTICE_TEXT.as_bytes(),
        (Some(name), false) => name.as_bytes(),
        (None, false) => ERROR_TEXT.as_bytes(),
    };
    let kept = report.fields.iter().filter_map(|(kind, value)| match kind {
        b'S' | b'V' => Some((*kind, *value)),
        b'C' => Some((*kind, code)),
        b'M' => Some((*kind, text)),
        b'P' if report.position => Some((*kind, *value)),
        b'R' if report.is_stale_plan() => Some((*kind, *value)),
        // A function can name anything in these; the server itself names what there is.
        b's' | b't' | b'c' | b'd' | b'n' if !report.context => Some((*kind, *value)),
        // Which parameter it was, and not what stood in it.
        b'W' if parameter(value).is_some_and(|rest| matches!(rest, b"" | b" = '...'")) => Some((*kind, *value)),
        _ => None,
    });
    let mut kept: Vec<Field<'_>> = kept.collect();
    for (kind, value) in [(b'C', code), (b'M', text)] {
        if kept.iter().all(|(there, _)| *there != kind) {
            kept.push((kind, value));
        }
    }
    if notice { wire::notice(&kept) } else { wire::error(&kept) }
}

/// What the server calls a parameter of Bind that it cannot read: what stands behind the number.
fn parameter(context: &[u8]) -> Option<&[u8]> {
    let number = context.strip_prefix(PARAMETER)?;
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { number.get(digits..) }
}

/// The payload goes: a function of the statement could have put data there.
fn notification(frame: &Frame) -> Bytes {
    let mut body = Body::new(frame.tag(), frame.body());
    let Ok((process, channel)) = body.bytes(4).and_then(|process| Ok((process, body.string()?))) else { return Bytes::new() };
    let length = u32::try_from(4 + 4 + channel.len() + 2).unwrap_or(u32::MAX);
    let mut bytes = vec![frame.tag()];
    bytes.extend(length.to_be_bytes());
    bytes.extend(process);
    bytes.extend(channel);
    bytes.extend([0, 0]);
    Bytes::from(bytes)
}

fn setting(frame: Frame) -> Bytes {
    let name = Body::new(frame.tag(), frame.body()).string().unwrap_or_default();
    if CLOSED_SETTINGS.contains(&name) { frame.into_bytes() } else { Bytes::new() }
}
