//! The budget of questions: how it is written, and how it is kept.

use super::*;
use crate::policy::{Budget, QUESTION_BYTES, QUESTIONS_DEFAULT, QUESTIONS_WITHIN_MS_DEFAULT, Questions};

fn budget(questions: u64) -> Budget {
    Budget { questions, within_ms: 1000, beyond: Outcome::Block }
}

#[test]
fn questions_run_out_and_come_back() {
    let (mut asked, budget) = (Questions::default(), budget(2));
    let mut ask = |who: &str, column: &str, text: &str, now| asked.ask(&budget, who, column, text.as_bytes(), now);
    assert!(ask("a", "ssn", "1", 0) && ask("a", "ssn", "2", 10));
    assert!(ask("a", "ssn", "1", 20), "the same question counts once");
    assert!(!ask("a", "ssn", "3", 30));
    assert!(ask("a", "mrn", "3", 30) && ask("b", "ssn", "3", 30));
    assert!(!ask("a", "ssn", "3", 1010), "asked again it counts from then");
    assert!(ask("a", "ssn", "3", 1011), "the second question is over");
    assert!(!ask("a", "ssn", "4", 1020));
    asked.forget("a", "ssn");
    assert!(asked.ask(&budget, "a", "ssn", b"4", 1020));
}

#[test]
fn long_lists_count_for_many_and_a_budget_can_be_off() {
    let mut asked = Questions::default();
    let list = vec![b'x'; QUESTION_BYTES * 9];
    assert!(!asked.ask(&budget(9), "a", "ssn", &list, 0));
    assert!(asked.ask(&budget(10), "a", "ssn", &list, 0));
    assert!(!asked.ask(&budget(10), "a", "ssn", b"1", 0));
    let off = Budget { beyond: Outcome::Forward, ..budget(1) };
    assert!(asked.ask(&off, "a", "ssn", b"2", 0) && asked.ask(&off, "a", "ssn", b"3", 0));
}

#[test]
fn the_budget_is_read() {
    let of = |unknown: &str, rest: &str| {
        let text = format!("default.then = \"allow\"\nunknown.then = {unknown}\n{rest}");
        Policy::parse(&text, "p").unwrap().budget().clone()
    };
    let plain = of("\"block\"", "");
    let default = Budget { questions: QUESTIONS_DEFAULT, within_ms: QUESTIONS_WITHIN_MS_DEFAULT, beyond: Outcome::Block };
    assert_eq!(plain, default);
    assert_eq!(of("\"allow\"", "").beyond, Outcome::Block);
    assert!(matches!(of(HOLD, "").beyond, Outcome::Hold(_)));
    let written = of(HOLD, "[inference]\nbudget = { questions = 200, within = \"30m\", then = \"block\" }");
    assert_eq!(written, Budget { questions: 200, within_ms: 1_800_000, beyond: Outcome::Block });
    assert_eq!(of(HOLD, "[inference]\nbudget = { then = \"allow\" }").beyond, Outcome::Forward);
}

#[test]
fn a_faulty_budget_does_not_load() {
    for (text, wanted) in [
        ("inference = 1", "must be"),
        ("[inference]", "lacks `budget`"),
        ("[inference]\nbugdet = {}", "did you mean `budget`?"),
        ("[inference]\nbudget = { questions = 0 }", "must be from 1 to"),
        ("[inference]\nbudget = { within = \"1y\" }", "a duration is written like"),
        ("[inference]\nbudget = { then = \"hold\" }", "a hold needs approvers"),
    ] {
        let found = with_answers(text);
        assert!(found.iter().any(|line| line.contains(wanted)), "{text}\nwanted {wanted}\nfound {found:#?}");
    }
}
