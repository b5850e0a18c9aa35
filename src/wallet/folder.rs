//! The folder that logins are kept in: nobody else's business.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{FILE_BYTES_MAX, Fault};

const NAME_BYTES_MAX: usize = 63;
/// What a login's own file ends with.
const LOGIN: &str = "json";

/// A login's name: it stands in file names, in the service file and on command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let all = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if first && all && text.len() <= NAME_BYTES_MAX { Ok(Self(text.to_owned())) } else { Err(Fault::Name) }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Held while a login is read, renewed and written: a refresh token serves once.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// The caller's: `PGVEIL_HOME`, else `pgveil` in `XDG_STATE_HOME` or `~/.local/state`. Makes it if it is not there.
    ///
    /// # Errors
    /// If there is none, or others can use it.
    pub fn own() -> Result<Self, Fault> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = || named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
        if std::env::var_os("PGVEIL_HOME").is_some_and(|path| !path.is_empty() && !Path::new(&path).is_absolute()) {
            return Err(Fault::Setting("PGVEIL_HOME must be a whole path, from / on".to_owned()));
        }
        let path = named("PGVEIL_HOME").or_else(|| state().map(|state| state.join("pgveil"))).ok_or(Fault::Home)?;
        Self::at(&path)
    }

    /// This one.
    ///
    /// # Errors
    /// If it cannot be made, or others can use it.
    pub fn at(path: &Path) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Fault::file(path, error))?;
        let here = std::fs::metadata(path).map_err(|error| Fault::file(path, error))?;
        if here.mode() & 0o077 == 0 && here.uid() == user(path)? {
            Ok(Self(path.to_owned()))
        } else {
            Err(Fault::Open(path.to_owned()))
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file of a login.
    #[must_use]
    pub fn file(&self, name: &Name, ending: &str) -> PathBuf {
        self.0.join(format!("{name}.{ending}"))
    }

    pub(super) fn login(&self, name: &Name) -> PathBuf {
        self.file(name, LOGIN)
    }

    /// The logins that are kept here, in order.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn names(&self) -> Result<Vec<Name>, Fault> {
        let entries = std::fs::read_dir(&self.0).map_err(|error| Fault::file(&self.0, error))?;
        let name = |path: PathBuf| {
            let own = path.extension().is_some_and(|ending| ending == LOGIN);
            path.file_stem()?.to_str().filter(|_| own)?.parse().ok()
        };
        let mut names: Vec<Name> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// Waits until nobody else is at this login.
    ///
    /// # Errors
    /// If the system has no locks here.
    pub fn lock(&self, name: &Name) -> Result<Lock, Fault> {
        let path = self.file(name, "lock");
        let file = self.open(&path)?;
        file.lock().map_err(|error| Fault::file(path, error))?;
        Ok(Lock { _file: file })
    }

    /// Waits until nobody else is at the service file.
    pub(super) fn lock_services(&self) -> Result<Lock, Fault> {
        let path = self.0.join(".services");
        let file = self.open(&path)?;
        file.lock().map_err(|error| Fault::file(path, error))?;
        Ok(Lock { _file: file })
    }

    /// The same for one of a kind; `None` if there is another.
    ///
    /// # Errors
    /// If the system has no locks here.
    pub fn only_one(&self, name: &Name, ending: &str) -> Result<Option<Lock>, Fault> {
        let path = self.file(name, ending);
        let file = self.open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(Fault::file(path, error)),
        }
    }

    /// Writes the page that a browser begins at; where it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn page(&self, name: &Name, text: &str) -> Result<PathBuf, Fault> {
        let path = self.file(name, "html");
        write(&path, text.as_bytes(), 0o600)?;
        Ok(path)
    }

    fn open(&self, path: &Path) -> Result<File, Fault> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        opened.map_err(|error| Fault::file(path, error))
    }
}

/// Who we are: whoever owns a file that we have made. It is made anew, so that no link is followed in a folder that may be another's.
fn user(folder: &Path) -> Result<u32, Fault> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Fault::Dice)?;
    let path = folder.join(format!(".probe-{:x}", u64::from_ne_bytes(random)));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let user = made.and_then(|file| file.metadata()).map(|file| file.uid());
    let _ = std::fs::remove_file(&path);
    user.map_err(|error| Fault::file(folder, error))
}

/// A file's bytes; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let fault = |error| Fault::file(path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(Fault::Unreadable(path.to_owned())) } else { Ok(Some(bytes)) }
}

/// Writes a file whole or not at all. Nobody else can read it at any moment, unless `mode` lets them.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".pgveil-new");
    let draft = PathBuf::from(draft);
    let written = || {
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew: nobody has it open, and no link is followed.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    written().map_err(|error| {
        let _ = std::fs::remove_file(&draft);
        Fault::file(path, error)
    })
}

/// Takes a file away, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::file(path, error)),
        _ => Ok(()),
    }
}
