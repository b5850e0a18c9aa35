//! Four truth values.

use std::cmp::Ordering;

/// What a condition is on one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    /// TRUE.
    True,
    /// FALSE.
    False,
    /// NULL.
    Null,
    /// Not known, and the same for every row.
    Maybe,
}

impl Truth {
    pub(super) fn of(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Null, _) | (_, Self::Null) => Self::Null,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
            _ => Self::True,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
            (Self::Null, _) | (_, Self::Null) => Self::Null,
            _ => Self::False,
        }
    }

    /// The same of a row of which nothing says that it is there, unless a coin fell for it.
    pub(super) fn if_there(self, vague: bool, tossed: bool) -> Self {
        match (vague, tossed) {
            (false, _) => self,
            (true, false) => self.and(Self::Maybe),
            (true, true) if self == Self::Maybe => Self::True,
            (true, true) => self,
        }
    }

    /// True if a row may be let through.
    pub(super) fn lets(self) -> bool {
        matches!(self, Self::True | Self::Maybe)
    }
}

/// Whether a comparison holds between things in this order.
pub(super) fn holds(sign: &str, order: Ordering) -> bool {
    match sign {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// The comparison that holds where the one given does not.
pub(super) fn opposite(sign: &str) -> &'static str {
    match sign {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        ">" => "<=",
        "<=" => ">",
        _ => "<",
    }
}

/// A comparing sign as a constant.
pub(super) fn comparing(sign: &str) -> Option<&'static str> {
    ["=", "<>", "<", ">", "<=", ">="].into_iter().find(|known| *known == sign).or_else(|| (sign == "!=").then_some("<>"))
}
