//! Comparisons.

use std::cmp::Ordering;

use super::eval::Judge;
use super::truth::{Truth, holds};
use super::value::{Val, order};

/// How two values stand to each other.
enum Standing {
    Known(Ordering),
    Null,
    /// Nothing of the row says.
    Maybe,
}

impl Judge<'_> {
    /// A comparison.
    pub(super) fn compare(&mut self, place: usize, sign: &'static str, left: &Val, right: &Val) -> Truth {
        if left.is_null() || right.is_null() {
            return Truth::Null;
        }
        if let (Val::Row(lefts, _), Val::Row(rights, _)) = (left, right) {
            return self.compare_rows(place, sign, lefts, rights);
        }
        if let Some(known) = by_ends(sign, left, right) {
            return Truth::of(known);
        }
        // Some row of another relation differs from nearly every row.
        let loose = |value: &Val| matches!(value, Val::Open(open) if open.loose);
        if sign == "<>" && (loose(left) || loose(right)) && left.id() != right.id() {
            return Truth::Maybe;
        }
        match self.standing(place, left, right) {
            Standing::Known(order) => Truth::of(holds(sign, order)),
            Standing::Null => Truth::Null,
            Standing::Maybe => Truth::Maybe,
        }
    }

    fn standing(&mut self, place: usize, left: &Val, right: &Val) -> Standing {
        if left.is_null() || right.is_null() {
            return Standing::Null;
        }
        if let Some(order) = order(left, right) {
            return Standing::Known(order);
        }
        let (own, other) = (left.id(), right.id());
        if own == other {
            return Standing::Known(Ordering::Equal);
        }
        let unlike = |value: &Val, other: u64| matches!(value, Val::Open(open) if open.unlike == Some(other));
        let differ = unlike(left, other) || unlike(right, own);
        match self.coin(place, own, other) {
            None if differ => Standing::Known(Ordering::Less),
            None => Standing::Maybe,
            Some(coin) => {
                let order = match coin % if differ { 2 } else { 3 } {
                    0 => Ordering::Less,
                    1 => Ordering::Greater,
                    _ => Ordering::Equal,
                };
                Standing::Known(if own <= other { order } else { order.reverse() })
            }
        }
    }

    fn compare_rows(&mut self, place: usize, sign: &'static str, lefts: &[Val], rights: &[Val]) -> Truth {
        let each = |judge: &mut Self, sign: &'static str| -> Vec<Truth> {
            lefts.iter().zip(rights).map(|(left, right)| judge.compare(place, sign, left, right)).collect()
        };
        match sign {
            "=" => each(self, "=").into_iter().fold(Truth::True, Truth::and),
            "<>" => each(self, "<>").into_iter().fold(Truth::False, Truth::or),
            _ => {
                for (left, right) in lefts.iter().zip(rights) {
                    match self.standing(place, left, right) {
                        Standing::Known(Ordering::Equal) => {}
                        Standing::Known(order) => return Truth::of(holds(sign, order)),
                        Standing::Null => return Truth::Null,
                        Standing::Maybe => return Truth::Maybe,
                    }
                }
                Truth::of(holds(sign, Ordering::Equal))
            }
        }
    }

    /// IS DISTINCT FROM, or IS NOT.
    pub(super) fn distinct(&mut self, place: usize, left: &Val, right: &Val, same: bool) -> Truth {
        if let (Val::Row(lefts, _), Val::Row(rights, _)) = (left, right) {
            let each = lefts
                .iter()
                .zip(rights)
                .fold(Truth::True, |truth, (left, right)| truth.and(self.distinct(place, left, right, true)));
            return if same { each } else { each.not() };
        }
        match (left.is_null(), right.is_null()) {
            (true, true) => Truth::of(same),
            (true, false) => self.null_is(place, right, same),
            (false, true) => self.null_is(place, left, same),
            (false, false) => match self.compare(place, if same { "=" } else { "<>" }, left, right) {
                Truth::Null => Truth::of(!same),
                truth => truth,
            },
        }
    }

    /// Whether a value is NULL, or is not.
    fn null_is(&mut self, place: usize, value: &Val, null: bool) -> Truth {
        let truth = match value {
            // A row is not NULL here, whatever its fields are.
            Val::Row(..) => Truth::False,
            value => self.is_null(place, value),
        };
        if null { truth } else { truth.not() }
    }
}

/// What the ends of two values say of a comparison.
fn by_ends(sign: &str, left: &Val, right: &Val) -> Option<bool> {
    if !matches!(left, Val::Open(_)) && !matches!(right, Val::Open(_)) {
        return None;
    }
    let between = |left: Option<&Val>, right: Option<&Val>| order(left?, right?);
    // The most that the left can be against the least that the right can be, and the other way round.
    let highest = between(left.high(), right.low());
    let lowest = between(left.low(), right.high());
    let below = highest == Some(Ordering::Less);
    let above = lowest == Some(Ordering::Greater);
    let not_above = highest.is_some_and(Ordering::is_le);
    let not_below = lowest.is_some_and(Ordering::is_ge);
    match sign {
        "=" if below || above => Some(false),
        "<>" if below || above => Some(true),
        "<" if below => Some(true),
        "<" if not_below => Some(false),
        "<=" if not_above => Some(true),
        "<=" if above => Some(false),
        ">" if above => Some(true),
        ">" if not_above => Some(false),
        ">=" if not_below => Some(true),
        ">=" if below => Some(false),
        _ => None,
    }
}
