//! `pgveil serve` started by the test itself, on the configuration of a stand that runs without it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use crate::{PATIENCE, Stand, cli};

/// A serving pgveil.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits for its ready line.
    ///
    /// # Panics
    /// If that does not come.
    #[must_use]
    pub fn start(stand: &Stand) -> Self {
        Self::try_start(stand.value("CONFIG")).unwrap_or_else(|told| panic!("pgveil did not start: {told}"))
    }

    /// Starts it on a configuration.
    ///
    /// # Errors
    /// What it said, if it ended instead of getting ready.
    ///
    /// # Panics
    /// If it neither gets ready nor ends.
    pub fn try_start(config: &str) -> Result<Self, String> {
        let mut command = Command::new(cli::binary());
        command.args(["serve", "--config", config]);
        Self::spawn(command)
    }

    /// The same for a command of the caller's making, which runs pgveil in the end.
    ///
    /// # Errors
    /// What it said, if it ended instead of getting ready.
    ///
    /// # Panics
    /// If it neither gets ready nor ends.
    pub fn spawn(mut command: Command) -> Result<Self, String> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, told) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        let sender = lines.clone();
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).for_each(|l| drop(sender.send((true, l)))));
        std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).for_each(|l| drop(lines.send((false, l)))));
        let mut said = String::new();
        loop {
            match told.recv_timeout(PATIENCE) {
                Ok((true, line)) if line.starts_with("ready") => return Ok(Self { child }),
                Ok((_, line)) => said += &(line + "\n"),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = child.wait().unwrap();
                    return Err(format!("{said}[{status}]"));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    panic!("pgveil neither got ready nor ended: {said}");
                }
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// If it is gone already.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits; its exit code.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        crate::eventually("pgveil stops", || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
