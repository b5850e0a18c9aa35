//! What the end-to-end tests share: a stand, a raw protocol client, real clients, and the search for raw values.

pub mod bearer;
pub mod canary;
pub mod cli;
pub mod clients;
pub mod faults;
pub mod home;
pub mod http;
pub mod issuer;
pub mod journal;
pub mod numbers;
pub mod outcome;
pub mod person;
pub mod random;
pub mod relay;
pub mod scenarios;
pub mod server;
pub mod socket;
pub mod sources;
pub mod stand;
pub mod ties;
pub mod transcript;
pub mod twins;
pub mod wire;

pub use canary::Canaries;
pub use cli::Ran;
pub use home::Home;
pub use issuer::Issuer;
pub use person::Person;
pub use socket::Way;
pub use stand::{Identity, Stand};
pub use wire::{Message, Wire};

use std::time::{Duration, Instant};

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
