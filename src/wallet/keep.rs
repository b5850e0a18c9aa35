//! Where a login is written: its own file, a password file, an entry in the service file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{self, Folder, Name};
use super::{Fault, Login, service};

/// What a service file's mode is if pgveil makes it: it holds no secret, but says where somebody works.
const SERVICE_MODE: u32 = 0o600;

/// A login that has been written.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The name.
    pub name: Name,
    /// The login.
    pub login: Login,
}

impl Kept {
    /// Reads a login.
    ///
    /// # Errors
    /// If it is not there, or not as we write it.
    pub fn read(folder: &Folder, name: &Name) -> Result<Self, Fault> {
        let path = folder.login(name);
        let bytes = folder::read(&path)?.ok_or_else(|| Fault::Missing(name.to_string()))?;
        // What serde says of it could quote it.
        let login = serde_json::from_slice(&bytes).map_err(|_| Fault::Unreadable(path))?;
        Ok(Self { name: name.clone(), login })
    }

    /// A connection URI that names the password file: no secret is in it.
    ///
    /// # Errors
    /// If there are no roots that every client can read.
    pub fn uri(&self, folder: &Folder) -> Result<String, Fault> {
        let server = &self.login.server;
        let settings = service::settings(server, &passfile(folder, &self.name).display().to_string())?;
        let own = |key: &str| matches!(key, "host" | "port" | "dbname" | "user");
        let more: Vec<(&str, &str)> =
            settings.iter().filter(|(key, _)| !own(key)).map(|(key, value)| (*key, value.as_str())).collect();
        Ok(service::uri(server, &server.user, None, &more))
    }
}

/// The password file of a login.
pub(super) fn passfile(folder: &Folder, name: &Name) -> PathBuf {
    folder.file(name, "passfile")
}

/// Writes a login for psql and for us.
///
/// # Errors
/// If a file cannot be written, or the service file has another's entry of this name.
pub fn keep(folder: &Folder, kept: &Kept) -> Result<(), Fault> {
    let Kept { name, login } = kept;
    let passfile = passfile(folder, name);
    if let Some(file) = &login.service_file {
        let settings = service::settings(&login.server, &passfile.display().to_string())?;
        let _alone = folder.lock_services()?;
        edit(file, name, |text| service::with_entry(text, name.as_str(), &settings))?;
    }
    renewed(folder, kept)
}

/// Writes a login's new tokens. The service file is as it was, or as its owner has changed it.
pub(super) fn renewed(folder: &Folder, kept: &Kept) -> Result<(), Fault> {
    let Kept { name, login } = kept;
    let text = serde_json::to_vec_pretty(login).map_err(|_| Fault::Answer("its token is not a text"))?;
    folder::write(&folder.login(name), &text, 0o600)?;
    folder::write(&passfile(folder, name), &service::passfile(&login.server, login.tokens.bearer.reveal()), 0o600)
}

/// Whether an entry of this name may be written there.
///
/// # Errors
/// If somebody else has written one, or the file cannot be read.
pub fn may_list(name: &Name, file: &Path) -> Result<(), Fault> {
    edit(file, name, |text| service::with_entry(text, name.as_str(), &[]).map(|_| text.to_owned()))
}

/// Takes the entry away.
///
/// # Errors
/// If it is not as we wrote it, or the file cannot be written.
pub fn unlist(folder: &Folder, name: &Name, file: &Path) -> Result<(), Fault> {
    let _alone = folder.lock_services()?;
    edit(file, name, |text| service::without_entry(text, name.as_str()))
}

/// Takes away what was written.
///
/// # Errors
/// If something cannot be taken away; the rest is gone then, too.
pub fn forget(folder: &Folder, name: &Name, service_file: Option<&Path>) -> Result<(), Fault> {
    let login = folder::remove(&folder.login(name));
    let local = ["local", "local-passfile"].map(|ending| folder::remove(&folder.file(name, ending)));
    let passfile = folder::remove(&passfile(folder, name));
    let entry = match service_file {
        Some(file) => unlist(folder, name, file),
        None => Ok(()),
    };
    local.into_iter().fold(login.and(passfile), Result::and).and(entry)
}

/// Changes a service file, through a link if it is one, and keeps its mode.
fn edit(file: &Path, name: &Name, change: impl FnOnce(&str) -> Result<String, service::Foreign>) -> Result<(), Fault> {
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let foreign = || Fault::Foreign { path: file.clone(), name: name.to_string() };
    let bytes = folder::read(&file)?;
    let text = String::from_utf8(bytes.unwrap_or_default()).map_err(|_| foreign())?;
    let changed = change(&text).map_err(|service::Foreign| foreign())?;
    if changed == text {
        return Ok(());
    }
    let mode = std::fs::metadata(&file).map_or(SERVICE_MODE, |file| file.permissions().mode() & 0o777);
    folder::write(&file, changed.as_bytes(), mode)
}
