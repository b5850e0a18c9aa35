//! A reader of OpenMetrics text that takes nothing on trust: every line must be well-formed, every sample belong to the family above it.

use std::collections::{BTreeMap, BTreeSet};

use crate::http;

/// One sample.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name, suffix included.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Everything on one page.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The samples in their order.
    pub samples: Vec<Sample>,
    /// Families by name, with their types.
    pub families: BTreeMap<String, String>,
}

impl Numbers {
    /// Asks a process for its numbers.
    ///
    /// # Panics
    /// If it does not answer, or not in the form that is due.
    #[must_use]
    pub fn of(base: &str) -> Self {
        let answer = http::get(base, "/metrics").unwrap();
        assert_eq!(answer.code, 200, "{}", answer.body);
        assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
        Self::read(&answer.body)
    }

    /// Reads a page.
    ///
    /// # Panics
    /// If it is not well-formed.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("it does not end: {text}"));
        let (mut numbers, mut family, mut seen) = (Self::default(), String::new(), BTreeSet::new());
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
                assert!(numbers.families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is there twice");
                name.clone_into(&mut family);
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(rest.split_once(' ').is_some_and(|(_, help)| !help.is_empty()), "{line}");
            } else {
                let sample = sample(line);
                let suffixes: &[&str] = match numbers.families.get(&family).map(String::as_str) {
                    Some("counter") => &["_total"],
                    Some("histogram") => &["_bucket", "_sum", "_count"],
                    Some("info") => &["_info"],
                    _ => &[""],
                };
                let fits = suffixes.iter().any(|suffix| sample.name == format!("{family}{suffix}"));
                assert!(fits, "{line} stands under {family}");
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "{line} is there twice");
                assert!(sample.value >= 0.0, "{line}");
                numbers.samples.push(sample);
            }
        }
        numbers.histograms();
        numbers
    }

    /// Buckets must grow, and the last must be the count.
    fn histograms(&self) {
        let (mut last, mut counts) = (BTreeMap::<_, (f64, f64)>::new(), 0);
        for sample in &self.samples {
            let mut labels = sample.labels.clone();
            if let Some(le) = labels.remove("le") {
                let bound = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
                let before = last.insert((sample.name.clone(), labels), (bound, sample.value));
                assert!(before.is_none_or(|(b, v)| b < bound && v <= sample.value), "{sample:?}");
            }
        }
        for ((name, labels), (bound, value)) in &last {
            assert!(bound.is_infinite(), "{name} has no last bucket");
            let count = format!("{}_count", name.strip_suffix("_bucket").unwrap());
            let count = self.samples.iter().find(|s| s.name == count && s.labels == *labels).unwrap();
            assert!((count.value - value).abs() < 0.5, "{name}");
            counts += 1;
        }
        assert_eq!(counts, self.samples.iter().filter(|s| s.name.ends_with("_count")).count());
    }

    /// The sum of all samples of a name that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |s: &Sample| labels.iter().all(|(key, value)| s.labels.get(*key).is_some_and(|v| v == value));
        self.samples.iter().filter(|s| s.name == name && has(s)).map(|s| s.value).sum()
    }
}

/// `name{label="value",...} number`
fn sample(line: &str) -> Sample {
    let plain = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(plain(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (key, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(plain(key), "{line}");
            let (value, behind) = quoted(behind).unwrap_or_else(|| panic!("{line}"));
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            match behind.strip_prefix(',') {
                Some(behind) => rest = behind,
                None => {
                    rest = behind.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// What stands before the closing quote, and what behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = "# HELP a A thing\n# TYPE a counter\na_total{x=\"1\\\"\\\\\\n\",y=\"\"} 3\n# EOF\n";
        assert!((Numbers::read(page).sum("a_total", &[("x", "1\"\\\n")]) - 3.0).abs() < 0.1);
    }

    #[test]
    fn what_is_not_well_formed_is_seen() {
        for page in [
            "a 1\n",
            "# TYPE a gauge\na 1\na 1\n# EOF\n",
            "# TYPE a gauge\nb 1\n# EOF\n",
            "# TYPE a counter\na 1\n# EOF\n",
            "# TYPE a gauge\na{x=\"1} 1\n# EOF\n",
            "# TYPE a gauge\na one\n# EOF\n",
            "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
            "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n# EOF\n",
        ] {
            assert!(std::panic::catch_unwind(|| Numbers::read(page)).is_err(), "{page}");
        }
    }
}
