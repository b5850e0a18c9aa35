//! The files beside the database: keys, lock, public key, newest checkpoint.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use super::{Settings, StoreError};
use crate::ledger::MasterKey;
use crate::secret::Secret;

/// The newest checkpoint, in the data folder: so that the database alone cannot be set back unnoticed.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The key that checkpoints are verified with, in the data folder.
pub const PUBLIC_KEY_FILE: &str = "checkpoint.pub";
/// The file that a writing process holds locked, in the data folder.
pub const LOCK_FILE: &str = "pgveil.lock";
/// The signing key, beside the master key.
const SIGNING_KEY_FILE: &str = "checkpoint.key";
/// Longest key file that is read.
const KEY_FILE_BYTES_MAX: u64 = 1024;
/// A reader that looks whether the log is in use holds the lock for a moment.
const LOCK_TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

pub(super) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::File { path, error }
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

/// Where the signing key is.
pub(super) fn signing_key_file(settings: &Settings) -> PathBuf {
    settings.key_file.with_file_name(SIGNING_KEY_FILE)
}

/// Reads a key of 32 bytes; `None` if the file is not there.
pub(super) fn read_key(path: &Path) -> Result<Option<Secret>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(path)(error)),
    };
    let mode = file.metadata().map_err(file_error(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::Mode { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(file_error(path))?;
    match unhex(text.trim()) {
        Some(key) if key.len() == 32 => Ok(Some(Secret::new(key))),
        _ => Err(StoreError::KeyFile(path.to_owned())),
    }
}

/// Makes a key of 32 random bytes, readable by its owner alone; the one that another process made meanwhile, if one did.
///
/// It comes to its place whole: a crash, or a process that starts at the same moment, meets all of it or nothing.
pub(super) fn make_key(path: &Path) -> Result<Secret, StoreError> {
    let key = Secret::new(random::<32>()?.to_vec());
    let fresh = path.with_extension(format!("{}.new", u64::from_ne_bytes(random::<8>()?)));
    let text: String = key.reveal().iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(file_error(path))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&fresh, path));
    let removed = fs::remove_file(&fresh);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| StoreError::KeyFile(path.to_owned()))
        }
        written => written.and(removed).map(|()| key).map_err(file_error(path)),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

/// The master key, for reading.
///
/// # Errors
/// `KeyMissing`, `Mode`, `KeyFile` or `File`.
pub fn master_key(settings: &Settings) -> Result<MasterKey, StoreError> {
    let missing = || StoreError::KeyMissing { key: settings.key_file.clone(), store: settings.path.clone() };
    let key = read_key(&settings.key_file)?.ok_or_else(missing)?;
    Ok(MasterKey::new(&key)?)
}

/// Locks the data folder for the one process that writes.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(file_error(&path))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            Err(TryLockError::Error(error)) => return Err(file_error(&path)(error)),
        }
    }
    Err(StoreError::InUse(folder.to_owned()))
}

/// True if a process has the log in this folder open to write.
#[must_use]
pub fn is_live(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK_FILE)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Puts a text in the place of a file's content, all of it or nothing.
pub(super) fn replace(path: &Path, text: &str, sync: bool) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh).map_err(file_error(&fresh))?;
    file.write_all(text.as_bytes()).map_err(file_error(&fresh))?;
    if sync {
        file.sync_data().map_err(file_error(&fresh))?;
    }
    fs::rename(&fresh, path).map_err(file_error(path))
}

/// Appends a text to a file.
pub(super) fn append(path: &Path, text: &str, sync: bool) -> Result<(), StoreError> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o644).open(path).map_err(file_error(path))?;
    file.write_all(text.as_bytes()).map_err(file_error(path))?;
    if sync {
        file.sync_data().map_err(file_error(path))?;
    }
    Ok(())
}

/// The last bytes of a text file; `None` if there is none that can be read back, as a pipe or a printer cannot.
pub(super) fn tail(path: &Path, bytes_max: u64) -> Result<Option<String>, StoreError> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(None),
        Err(error) => return Err(file_error(path)(error)),
    };
    let bytes = file.metadata().map_err(file_error(path))?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(bytes_max))).map_err(file_error(path))?;
    let mut text = Vec::new();
    file.take(bytes_max).read_to_end(&mut text).map_err(file_error(path))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
