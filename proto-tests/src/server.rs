//! `pgveil serve` started by the test itself, on the configuration of a stand that runs without it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use crate::{PATIENCE, Stand, cli};

/// The configuration of a stand that runs without pgveil, with ports and data of its own, and a change made to it. It lasts as long
/// as the folder.
///
/// # Panics
/// If it cannot be written.
#[must_use]
pub fn configured(stand: &Stand, change: impl FnOnce(String) -> String) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let text = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let admin = stand.value("ADMIN").rsplit(':').next().unwrap();
    let text = text
        .replace(&format!(":{}\"", stand.value("PORT")), &format!(":{}\"", port()))
        .replace(&format!(":{admin}\""), &format!(":{}\"", port()))
        .replace(stand.value("WITNESS"), &folder.path().join("witness").display().to_string());
    std::fs::copy(format!("{}/upstream.password", stand.value("DIR")), folder.path().join("upstream.password")).unwrap();
    let file = folder.path().join("pgveil.toml");
    std::fs::write(&file, change(text)).unwrap();
    let file = file.display().to_string();
    (folder, file)
}

fn address_of(file: &str, table: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let config: toml::Table = text.parse().unwrap();
    config[table]["address"].as_str().unwrap().to_owned()
}

/// The port that a configuration serves clients on.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn port_of(file: &str) -> u16 {
    address_of(file, "listen").rsplit(':').next().unwrap().parse().unwrap()
}

/// Where a configuration has its admin API.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn admin_of(file: &str) -> String {
    format!("http://{}", address_of(file, "admin"))
}

/// A serving pgveil.
pub struct Server {
    child: Child,
    said: Arc<Mutex<String>>,
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
        let kept = Arc::new(Mutex::new(String::new()));
        let mut said = String::new();
        loop {
            match told.recv_timeout(PATIENCE) {
                Ok((true, line)) if line.starts_with("ready") => {
                    *kept.lock().unwrap() = said;
                    let keep = Arc::clone(&kept);
                    std::thread::spawn(move || told.iter().for_each(|(_, line)| *keep.lock().unwrap() += &(line + "\n")));
                    return Ok(Self { child, said: kept });
                }
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

    /// Sends it a signal, by name.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// What it has said so far, on both outputs.
    ///
    /// # Panics
    /// If its reader has.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// True while it runs.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop and waits; its exit code.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end; its exit code.
    ///
    /// # Panics
    /// If it does not come.
    pub fn ended(&mut self) -> i32 {
        crate::eventually("pgveil stops", || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
