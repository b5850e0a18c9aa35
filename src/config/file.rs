//! Files that a configuration names.

use std::io::Read as _;
use std::path::Path;

use crate::policy::FILE_BYTES_MAX;
use crate::secret::Secret;

/// Reads a file of bounded size.
///
/// # Errors
/// One sentence without the file's content.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| why(path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(format!("`{}` is a folder, not a file", path.display()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| why(path, &error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("`{}` has more than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(bytes)
}

/// Reads a text.
///
/// # Errors
/// As `read`, and if it is not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| format!("`{}` is not UTF-8", path.display()))
}

/// Reads a password: the file without the line end at its end.
///
/// # Errors
/// As `read`, and if it is empty or has several lines.
pub(super) fn read_password(path: &Path) -> Result<Secret, String> {
    let mut bytes = read(path)?;
    while bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(format!("`{}` is empty", path.display()));
    }
    if bytes.contains(&b'\n') || bytes.contains(&0) {
        return Err(format!("`{}` has more than one line", path.display()));
    }
    Ok(Secret::new(bytes))
}

/// True if others than the owner and the group may read the file.
pub(super) fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn why(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("`{}` does not exist", path.display()),
        std::io::ErrorKind::PermissionDenied => format!("`{}` may not be read by this user", path.display()),
        _ => format!("`{}` cannot be read: {error}", path.display()),
    }
}
