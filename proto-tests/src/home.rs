//! A home of one's own for somebody who logs in: nothing of who runs the tests is read or changed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cli::binary;
use crate::{Person, Ran, Stand};

/// The home.
pub struct Home(tempfile::TempDir);

impl Default for Home {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

/// A command that goes on while the test does.
pub struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Home {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where logins are kept.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join(".local/state/pgveil")
    }

    /// A file of a login.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.state().join(file)).unwrap_or_default()
    }

    /// A program that knows no other home.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.path()).env("PATH", "/usr/bin:/bin").current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs pgveil.
    ///
    /// # Panics
    /// If there is no binary.
    #[must_use]
    pub fn pgveil(&self, arguments: &[&str]) -> Ran {
        Ran::from(&self.command(&binary()).args(arguments).output().unwrap())
    }

    /// Runs psql.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn psql(&self, stand: &Stand, arguments: &[&str]) -> Ran {
        let mut command = self.command(&format!("{}/psql", stand.value("PG_BIN")));
        Ran::from(&command.args(["-X", "-q", "-w"]).args(arguments).output().unwrap())
    }

    /// Starts pgveil.
    ///
    /// # Panics
    /// If there is no binary.
    #[must_use]
    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(&binary());
        command.args(arguments).envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Running { child, lines, said: String::new() }
    }

    /// Logs somebody in by a device's code.
    ///
    /// # Panics
    /// If that fails.
    pub fn log_in(&self, arguments: &[&str], name: &str) -> Ran {
        let mut running = self.start(&[&["login"], arguments, &["--device"]].concat(), &[]);
        let page = running.says("Open ");
        let code = running.says("and enter ");
        Person::default().approve(&page, &code, name);
        running.done()
    }

    /// The command lines of processes that live in this home.
    #[must_use]
    pub fn processes(&self) -> Vec<String> {
        let own = format!("HOME={}", self.path().display());
        let lives_here = |folder: &Path| {
            let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == own.as_bytes())
        };
        let folders = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let lines =
            folders.filter(|folder| lives_here(folder)).map(|folder| std::fs::read(folder.join("cmdline")).unwrap_or_default());
        lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
    }
}

impl Running {
    /// What stands behind these words, once it says a line that begins so.
    ///
    /// # Panics
    /// If it ends before.
    pub fn says(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "`{begin}` was not said: {}", self.said);
            self.said.push_str(&line);
            if let Some(rest) = line.trim_end().strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }

    /// The address that a port of `pgveil connect` is at, once it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn ready(&mut self) -> String {
        let mut line = String::new();
        let mut out = BufReader::new(self.child.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("ready: ").unwrap_or_else(|| panic!("it is not ready: {line}")).to_owned()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it cannot be waited for.
    #[must_use]
    pub fn done(mut self) -> Ran {
        self.lines.read_to_string(&mut self.said).unwrap();
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, out, err: std::mem::take(&mut self.said) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
