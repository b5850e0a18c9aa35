//! Times and spans of time in constants, as seconds.

use jiff::civil::{Date, DateTime, Time, date};

/// Seconds of a day.
pub(super) const DAY: f64 = 86_400.0;
/// Longest text that is read for a time.
const BYTES_MAX: usize = 64;

/// Seconds since 1970 of a date or a time; `infinity` is one.
pub(super) fn moment(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.len() > BYTES_MAX {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "infinity" | "+infinity" => return Some(f64::INFINITY),
        "-infinity" => return Some(f64::NEG_INFINITY),
        "epoch" => return Some(0.0),
        _ => {}
    }
    let (day, rest) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let day: Date = day.parse().ok()?;
    let clock: String = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ':' | '.')).collect();
    let clock = if clock.is_empty() { Time::midnight() } else { clock.parse().ok()? };
    Some(seconds(day.to_datetime(clock)))
}

fn seconds(at: DateTime) -> f64 {
    date(1970, 1, 1).to_datetime(Time::midnight()).duration_until(at).as_secs_f64()
}

/// The seconds of `2 days`, `1 year 3 mons`, `04:05:06`.
pub(super) fn span(text: &str) -> Option<f64> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut total = 0.0;
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            let mut unit = 3600.0;
            for part in word.split(':') {
                total += part.parse::<f64>().ok()? * unit;
                unit /= 60.0;
            }
            continue;
        }
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (count, unit) = if digits.len() < word.len() {
            (digits, word.get(digits.len()..)?)
        } else {
            (word, words.next().unwrap_or("second"))
        };
        total += count.parse::<f64>().ok()? * unit_seconds(unit)?;
    }
    Some(total)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.trim_end_matches('s') {
        "sec" | "second" | "" => 1.0,
        "min" | "minute" | "m" => 60.0,
        "hour" | "h" | "hr" => 3600.0,
        "day" | "d" => DAY,
        "week" | "w" => 7.0 * DAY,
        "mon" | "month" => 30.0 * DAY,
        "year" | "y" | "yr" => 365.25 * DAY,
        "decade" => 3652.5 * DAY,
        "century" | "c" => 36_525.0 * DAY,
        _ => return None,
    })
}

/// The civil time behind seconds.
fn civil(at: f64) -> Option<DateTime> {
    if !at.is_finite() {
        return None;
    }
    let span = jiff::SignedDuration::try_from_secs_f64(at).ok()?;
    date(1970, 1, 1).to_datetime(Time::midnight()).checked_add(span).ok()
}

/// A field of a time, as `extract` gives it.
pub(super) fn field(name: &str, at: f64) -> Option<f64> {
    let civil = civil(at)?;
    Some(match name {
        "epoch" => at,
        "year" => f64::from(civil.year()),
        "month" => f64::from(civil.month()),
        "day" => f64::from(civil.day()),
        "hour" => f64::from(civil.hour()),
        "minute" => f64::from(civil.minute()),
        "second" => f64::from(civil.second()),
        "quarter" => f64::from((civil.month() + 2) / 3),
        "dow" => f64::from(civil.weekday().to_sunday_zero_offset()),
        "isodow" => f64::from(civil.weekday().to_monday_one_offset()),
        "doy" => f64::from(civil.day_of_year()),
        "decade" => f64::from(civil.year()).div_euclid(10.0),
        "century" => (f64::from(civil.year()) / 100.0).ceil(),
        _ => return None,
    })
}

/// The start of the unit that a time lies in.
pub(super) fn floor(unit: &str, at: f64) -> Option<f64> {
    let civil = civil(at)?;
    let day = civil.date();
    let first = match unit {
        "second" | "minute" | "hour" | "day" => {
            let step = unit_seconds(unit)?;
            return Some((at / step).floor() * step);
        }
        "week" => day.checked_sub(jiff::Span::new().try_days(civil.weekday().to_monday_zero_offset()).ok()?).ok()?,
        "month" => day.first_of_month(),
        "quarter" => Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok()?,
        "year" => day.first_of_year(),
        "decade" => Date::new(day.year() / 10 * 10, 1, 1).ok()?,
        _ => return None,
    };
    Some(seconds(first.to_datetime(Time::midnight())))
}

/// How the server writes a date or a time.
pub(super) fn written(at: f64, day: bool) -> String {
    match civil(at) {
        None => (if at > 0.0 { "infinity" } else { "-infinity" }).to_owned(),
        Some(civil) if day => civil.date().to_string(),
        Some(civil) => civil.to_string().replace('T', " "),
    }
}
