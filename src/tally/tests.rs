use std::time::Duration;

use super::*;
use crate::sql::Verb;

#[test]
fn every_verb_has_a_place_of_its_own() {
    let tally = Tally::default();
    let counts = tally.database("clinic");
    let session = counts.session();
    for (at, verb) in Verb::ALL.iter().enumerate() {
        assert_eq!(*verb as usize, at, "{verb:?}");
        session.statement(*verb, Decided::Block);
    }
    let sums = counts.sums();
    assert_eq!(sums.statements.len(), Verb::ALL.len());
    assert!(sums.statements.iter().all(|(_, decision, number)| (*decision, *number) == ("block", 1)));
}

#[test]
fn sessions_are_added_up_over_all_shards() {
    let tally = Tally::default();
    let sessions: Vec<_> = (0..100).map(|_| tally.database("clinic").session()).collect();
    for session in &sessions {
        session.statement(Verb::Select, Decided::Forward);
        session.rows(3, 2);
        session.rows(5, 0);
        session.kept(Way::Reply, Duration::from_micros(30));
    }
    tally.database("other").session().rows(1, 1);
    let sums = tally.database("clinic").sums();
    assert_eq!(sums.statements, [("select", "forward", 100)]);
    assert_eq!((sums.rows, sums.cells), (800, 600));
    let (buckets, sum) = sums.latency[1].numbers();
    assert_eq!((buckets[1], buckets.iter().sum::<u64>(), sum), (100, 100, Duration::from_millis(3)));
    assert_eq!(tally.databases().len(), 2);
}

#[test]
fn a_time_falls_under_its_bound() {
    let latency = Latency::default();
    for us in [0, 25, 26, 1_000_000, 1_000_001] {
        latency.observe(Duration::from_micros(us));
    }
    let (buckets, _) = latency.numbers();
    assert_eq!((buckets[0], buckets[1], buckets[13], buckets[14]), (2, 1, 1, 1));
}

#[test]
fn databases_are_bounded() {
    let tally = Tally::default();
    for number in 0..DATABASES_MAX + 10 {
        tally.database(&number.to_string()).opened.add(1);
    }
    let databases = tally.databases();
    assert_eq!(databases.len(), DATABASES_MAX + 1);
    let others = databases.iter().find(|(name, _)| name == OTHERS).unwrap();
    assert_eq!(others.1.opened.number(), 10);
}
