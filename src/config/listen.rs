//! The addresses that clients are served on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::LISTEN_ADDRESS;
use crate::policy::{Fields, Value, clip};

/// Most addresses.
const ADDRESSES_MAX: usize = 64;
/// Longest path of a socket file, in bytes: the operating system's own bound.
const SOCKET_BYTES_MAX: usize = 107;
/// What clients put in front of the port, in the folder that they are given as host.
const SOCKET_NAME: &str = ".s.PGSQL.";

/// One address that clients are served on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl ListenAddress {
    /// True if whoever comes by it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// `address`: one, or a list. Every fault is noted.
pub(super) fn addresses(fields: &Fields<'_, '_>) -> Option<Vec<ListenAddress>> {
    let Some(value) = fields.value("address") else { return Some(vec![ListenAddress::Tcp(LISTEN_ADDRESS.parse().ok()?)]) };
    if !matches!(value.raw(), DeValue::Array(_)) {
        return Some(vec![address(value.text()?, &value)?]);
    }
    let texts = value.texts()?;
    if texts.len() > ADDRESSES_MAX {
        value.fault(format!("`address` lists more than {ADDRESSES_MAX}"));
        return None;
    }
    // Each is read, also after a faulty one: every fault is named.
    let read: Vec<Option<ListenAddress>> = texts.iter().map(|(text, value)| address(text, value)).collect();
    read.into_iter().collect()
}

fn address(text: &str, value: &Value<'_, '_>) -> Option<ListenAddress> {
    if text.starts_with('/') {
        return socket(Path::new(text), value);
    }
    let address = text.parse().ok().map(ListenAddress::Tcp);
    if address.is_none() {
        value.fault(format!(
            "`{}` is no address; write an IP address and a port, like `{LISTEN_ADDRESS}`, or the path of a socket file",
            clip(text)
        ));
    }
    address
}

/// Clients are given a folder and a port: they find no file of another name.
fn socket(path: &Path, value: &Value<'_, '_>) -> Option<ListenAddress> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let port = name.strip_prefix(SOCKET_NAME).and_then(|port| port.parse::<u16>().ok());
    if port.is_none_or(|port| name != format!("{SOCKET_NAME}{port}")) {
        value.fault(format!(
            "`{}` is not where clients look for a socket file: its name must be `{SOCKET_NAME}` and a port, like \
             `/run/pgveil/{SOCKET_NAME}6432`",
            clip(&path.display().to_string())
        ));
        return None;
    }
    if path.as_os_str().len() > SOCKET_BYTES_MAX {
        value.fault(format!("the path of a socket file may have {SOCKET_BYTES_MAX} bytes at most"));
        return None;
    }
    Some(ListenAddress::Unix(path.to_path_buf()))
}
