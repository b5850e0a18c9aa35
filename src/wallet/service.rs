//! The files that libpq reads: a connection service file with other people's entries, and a password file of ours.

use std::path::PathBuf;

use super::{Fault, Server};

/// Longest line of a service file that every libpq reads, in bytes.
const LINE_BYTES_MAX: usize = 1_000;

/// Where libpq looks for services: `PGSERVICEFILE`, else `~/.pg_service.conf`.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    let named = std::env::var_os("PGSERVICEFILE").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    named.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pg_service.conf")))
}

fn begins(name: &str) -> String {
    format!("# pgveil login {name}: from here on written by pgveil")
}

fn ends(name: &str) -> String {
    format!("# pgveil login {name}: up to here")
}

/// Something else has this name, or what is ours was taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign;

/// The text without our entry of this name.
pub(super) fn without_entry(text: &str, name: &str) -> Result<String, Foreign> {
    let (first, last) = (begins(name), ends(name));
    let (mut kept, mut ours) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            bare if bare == first && !ours => ours = true,
            bare if bare == last && ours => ours = false,
            bare if ours && (bare == first || is_other_section(bare, name)) => return Err(Foreign),
            _ if ours => {}
            _ => kept.push_str(line),
        }
    }
    if ours { Err(Foreign) } else { Ok(kept) }
}

fn is_section(line: &str, name: &str) -> bool {
    line.trim().strip_prefix('[').and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with(']'))
}

fn is_other_section(line: &str, name: &str) -> bool {
    line.trim_start().starts_with('[') && !is_section(line, name)
}

/// The text with our entry of this name, and everybody else's as it was.
pub(super) fn with_entry(text: &str, name: &str, settings: &[(&str, String)]) -> Result<String, Foreign> {
    let mut text = without_entry(text, name)?;
    if text.lines().any(|line| is_section(line, name)) {
        return Err(Foreign);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{}\n[{name}]\n", begins(name)));
    for (key, value) in settings {
        text.push_str(&format!("{key}={value}\n"));
    }
    text.push_str(&format!("{}\n", ends(name)));
    Ok(text)
}

/// What libpq is told of a server.
pub(super) fn settings(server: &Server, passfile: &str) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut settings = vec![
        ("host", server.host.clone()),
        ("port", server.port.to_string()),
        ("dbname", server.database.clone()),
        ("user", server.user.clone()),
    ];
    if server.tls {
        settings.push(("sslmode", "verify-full".to_owned()));
        settings.push(("sslrootcert", roots(server)?));
    } else {
        settings.push(("sslmode", "disable".to_owned()));
    }
    settings.push(("passfile", passfile.to_owned()));
    for (key, value) in &settings {
        let plain = !value.is_empty() && value.trim() == value && !value.chars().any(char::is_control);
        if !plain || key.len() + 1 + value.len() > LINE_BYTES_MAX {
            return Err(Fault::Setting(format!("`{key}` cannot stand in a service file")));
        }
    }
    Ok(settings)
}

/// The roots as a file: older libpq knows no other way.
fn roots(server: &Server) -> Result<String, Fault> {
    const SYSTEM: [&str; 4] =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"];
    let found = match &server.roots {
        Some(path) => path.to_str(),
        None => SYSTEM.into_iter().find(|path| std::path::Path::new(path).is_file()),
    };
    found.map(str::to_owned).ok_or_else(|| Fault::Setting("no file of root certificates found: name one by --ca".to_owned()))
}

/// The one line of a password file: for this server and no other, whatever the user and database.
pub(super) fn passfile(server: &Server, token: &[u8]) -> Vec<u8> {
    let host = server.host.replace('\\', "\\\\").replace(':', "\\:");
    [format!("{host}:{}:*:*:", server.port).as_bytes(), token, b"\n"].concat()
}

/// A connection URI with these parameters; the password in it, if there is one, is for whoever asked for it.
pub(super) fn uri(server: &Server, user: &str, password: Option<&str>, more: &[(&str, &str)]) -> String {
    let password = password.map(|password| format!(":{}", escape(password))).unwrap_or_default();
    let folder = server.host.starts_with('/');
    let host = match &server.host {
        _ if folder => String::new(),
        host if host.contains(':') => format!("[{host}]"),
        host => escape(host),
    };
    let port = if folder { String::new() } else { format!(":{}", server.port) };
    let mut uri = format!("postgresql://{}{password}@{host}{port}/{}", escape(user), escape(&server.database));
    let socket = [("host", server.host.clone()), ("port", server.port.to_string())];
    let own = socket.iter().filter(|_| folder).map(|(key, value)| (*key, value.as_str()));
    for (at, (key, value)) in own.chain(more.iter().copied()).enumerate() {
        uri.push(if at == 0 { '?' } else { '&' });
        // Only here a slash means nothing.
        uri.push_str(&format!("{key}={}", escape(value).replace("%2F", "/")));
    }
    uri
}

/// Percent escapes for everything that could mean something in a URI.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let show = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(show).collect()
}
