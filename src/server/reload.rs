//! The process while it serves: its configuration is read again, and at last it ends in order.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::grounds::Entries;
use super::listen::{Listening, Rules};
use super::signals::Signals;
use super::{END_MAX, StartFault, acceptor, bounds, loaded, notify, roster, ways};
use crate::admin::{Loaded, Outlook};
use crate::config::Config;
use crate::ledger::Event;
use crate::session::{House, Stage, now_us};
use crate::tally::Tally;

/// What a reload changes.
pub(super) struct Reload {
    config: Config,
    listening: Listening,
    house: Arc<House>,
    tally: Arc<Tally>,
    outlook: Outlook,
    stage: watch::Sender<Stage>,
    count: u64,
}

impl Reload {
    pub(super) fn new(
        config: Config,
        listening: Listening,
        house: Arc<House>,
        tally: Arc<Tally>,
        outlook: Outlook,
        stage: watch::Sender<Stage>,
    ) -> Self {
        Self { config, listening, house, tally, outlook, stage, count: 0 }
    }

    /// Reads the configuration again. It takes effect as a whole, or the one in force stays.
    pub(super) async fn again(&mut self) {
        notify::reloading();
        let file = self.config.file.clone();
        let read = tokio::task::spawn_blocking(move || Config::load(&file));
        let refused = match read.await {
            Ok(Ok(config)) => self.take(config).await,
            Ok(Err(faults)) => Err(faults.iter().map(ToString::to_string).collect()),
            Err(_) => Err(vec!["the configuration could not be read".to_owned()]),
        };
        match refused {
            Ok(()) => {
                tracing::info!(file = %self.config.file.display(), "configuration loaded");
                self.tally.reloads.add("loaded");
            }
            Err(faults) => {
                self.outlook.reloaded(|loaded| loaded.refused = Some(jiff::Timestamp::now()));
                for fault in faults {
                    tracing::error!(%fault, "the configuration was not loaded, the one in force stays");
                }
                self.tally.reloads.add("refused");
            }
        }
        notify::ready();
    }

    async fn take(&mut self, config: Config) -> Result<(), Vec<String>> {
        let fixed = fixed(&self.config, &config);
        if !fixed.is_empty() {
            return Err(fixed.iter().map(|key| format!("{key} cannot change while the process runs: start it anew")).collect());
        }
        let said = |fault: StartFault| vec![fault.to_string()];
        let (acceptor, entries) = (acceptor(&config).map_err(said)?, Entries::new(&config).map_err(said)?);
        let roster = Arc::new(roster(&config, &self.house.log).map_err(said)?);
        let doors = ways::doors(&config, Arc::clone(&roster), self.listening.tokens());
        let rules = Rules { acceptor, limits: config.limits, doors };
        let event = Event::ConfigurationLoaded(loaded(&config));
        self.house.log.record(event, now_us()).await.map_err(|fault| vec![fault.to_string()])?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        *self.house.roster.write().unwrap_or_else(PoisonError::into_inner) = roster;
        *self.house.bounds.write().unwrap_or_else(PoisonError::into_inner) = bounds(&config);
        self.listening.grounds().reload(entries);
        self.listening.reload(rules);
        self.outlook.reloaded(|loaded| *loaded = in_force(&config));
        self.config = config;
        self.count += 1;
        self.stage.send_replace(Stage::Serving(self.count));
        Ok(())
    }

    /// Ends in order: takes nobody new, lets what runs come to its end within a bound, withdraws what is held. A second signal ends
    /// at once.
    pub(super) async fn drain(&mut self, signals: &mut Signals) {
        let within = Duration::from_millis(self.config.listen.drain_ms);
        notify::stopping();
        tracing::info!(sessions = self.listening.sessions(), within_ms = self.config.listen.drain_ms, "ending");
        self.stage.send_replace(Stage::Draining);
        self.house.desk.close();
        let drained = tokio::select! {
            drained = self.listening.drained(within) => drained,
            () = signals.end() => false,
        };
        if !drained {
            tracing::warn!(sessions = self.listening.sessions(), "sessions are broken off");
        }
        self.stage.send_replace(Stage::Ending);
        if !self.listening.drained(END_MAX).await {
            tracing::warn!(sessions = self.listening.sessions(), "sessions did not end");
        }
    }
}

/// Settings that are used once, at the start, and differ.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let store = |config: &Config| {
        let store = &config.store;
        (store.path.clone(), store.durability, store.key_file.clone(), store.witness.clone(), store.record)
    };
    let (limits, others) = (&old.limits, &new.limits);
    let same = [
        ("`[listen] address`", old.listen.addresses == new.listen.addresses),
        ("`[admin]`", (old.admin, &old.operators) == (new.admin, &new.operators)),
        ("`[[issuer]]`", old.issuers == new.issuers),
        ("`[store]`", store(old) == store(new)),
        ("`[log]`", old.logs == new.logs),
        ("`[masking] notices`", old.masking == new.masking),
        ("`[limits] logins_max`", limits.logins_max == others.logins_max),
        ("`[limits] holds_max`", limits.holds_max == others.holds_max),
        ("`[limits] holds_identity_max`", limits.holds_identity_max == others.holds_identity_max),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

/// What is told of a configuration that is in force from now on.
pub(super) fn in_force(config: &Config) -> Loaded {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let databases = config.databases.iter().map(|database| (database.name.clone(), hex(&database.policy.version()))).collect();
    Loaded {
        file: config.file.display().to_string(),
        digest: hex(&config.digest),
        at: jiff::Timestamp::now(),
        databases,
        refused: None,
    }
}
