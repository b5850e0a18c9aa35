//! The two types that keep raw values apart from what may be seen.

/// Something from the database that has not been through the masker. It can be looked into only inside this room.
#[derive(Clone)]
pub struct Unmasked<T>(T);

impl<T> Unmasked<T> {
    /// Marks what came from the database.
    pub fn new(raw: T) -> Self {
        Self(raw)
    }

    /// The raw value, for this room only.
    pub(super) fn into_raw(self) -> T {
        self.0
    }
}

impl Unmasked<crate::wire::Run> {
    /// How many messages there are: the one thing that may be known of them.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.0.count).unwrap_or(u64::MAX)
    }
}

/// Shows nothing.
impl<T> std::fmt::Debug for Unmasked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unmasked(..)")
    }
}

/// Something a client may see. Only this room makes one.
#[derive(Clone)]
pub struct Masked<T>(T);

impl<T> Masked<T> {
    pub(super) fn new(clean: T) -> Self {
        Self(clean)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The value, borrowed.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Shows nothing: what one client may see is not for a log file.
impl<T> std::fmt::Debug for Masked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masked(..)")
    }
}
