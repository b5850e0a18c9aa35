//! A connection URI, read.

use std::path::PathBuf;

use crate::secret::Secret;

const DSN_BYTES_MAX: usize = 4_096;
const PORT: u16 = 5432;

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// By TCP.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// The port.
        port: u16,
    },
    /// By a socket in the file system.
    Unix(PathBuf),
}

/// What is asked of TLS towards the server, as libpq has it. There is no `prefer` and no `allow`: who can be talked out of TLS
/// has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS with whoever answers; with `sslrootcert` the same as `verify-ca`.
    Require,
    /// TLS with a server whose certificate the roots vouch for.
    VerifyCa,
    /// TLS with the server of this host name.
    VerifyFull,
}

impl SslMode {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "disable" => Self::Disable,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// A database behind the proxy.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it is.
    pub address: Address,
    /// Who the proxy is there.
    pub user: String,
    /// Name of the database, `None` to take the client's.
    pub database: Option<String>,
    /// What is asked of TLS. Without `sslmode`: `verify-full` by TCP, `disable` by a socket file.
    pub ssl_mode: SslMode,
    /// File with the roots to trust, `None` for the system's.
    pub root_file: Option<PathBuf>,
    /// The password, if it stands in the URI.
    pub password: Option<Secret>,
}

/// What is wrong with a connection URI: the operator's fault. Quotes nothing that could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// Not a URI of PostgreSQL, or too long.
    #[error("upstream must begin with `postgresql://` and have at most {DSN_BYTES_MAX} bytes")]
    Scheme,
    /// No user.
    #[error("upstream names no user")]
    User,
    /// No host.
    #[error("upstream names no host")]
    Host,
    /// A list of hosts.
    #[error("upstream names several hosts")]
    Hosts,
    /// The port is not a number from 1 to 65535.
    #[error("port of upstream must be a number from 1 to 65535")]
    Port,
    /// A percent sign without two hexadecimal digits behind it, a zero byte, or bytes that are not UTF-8.
    #[error("upstream has a broken percent escape in its {0}")]
    Escape(&'static str),
    /// An `sslmode` that is not supported.
    #[error("sslmode `{0}` is not supported, use disable, require, verify-ca or verify-full")]
    SslMode(String),
    /// A parameter that is not supported.
    #[error("parameter `{0}` of upstream is not supported")]
    Parameter(String),
    /// TLS by a socket file.
    #[error("TLS does not work with a socket file, leave out `sslmode`")]
    SocketTls,
}

/// Gathers faults while parts are read.
struct Reader {
    faults: Vec<UpstreamFault>,
}

impl Reader {
    fn keep<T>(&mut self, read: Result<T, UpstreamFault>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }
}

#[derive(Default)]
struct Parameters {
    ssl_mode: Option<SslMode>,
    root_file: Option<PathBuf>,
    socket_folder: Option<String>,
    port: Option<u16>,
}

impl Upstream {
    /// Reads `postgresql://user@host:port/dbname?sslmode=..&sslrootcert=..`; `?host=/folder` names a socket's folder.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(dsn: &str) -> Result<Self, Vec<UpstreamFault>> {
        let rest = ["postgresql://", "postgres://"].iter().find_map(|scheme| dsn.strip_prefix(scheme));
        let rest = rest.filter(|_| dsn.len() <= DSN_BYTES_MAX).ok_or_else(|| vec![UpstreamFault::Scheme])?;
        let mut reader = Reader { faults: Vec::new() };
        let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = main.split_once('/').unwrap_or((main, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        let user = reader.keep(unescape(user, "user")).filter(|user| !user.is_empty());
        let password = password.and_then(|password| reader.keep(unescape(password, "password")));
        let database = reader.keep(unescape(path, "database")).filter(|name| !name.is_empty());
        let parameters = reader.parameters(query);
        let address = reader.address(host, &parameters);
        if user.is_none() {
            reader.faults.push(UpstreamFault::User);
        }
        let ssl_mode = match (&address, parameters.ssl_mode) {
            (Some(Address::Unix(_)), Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull)) => {
                reader.faults.push(UpstreamFault::SocketTls);
                SslMode::Disable
            }
            (Some(Address::Unix(_)), _) => SslMode::Disable,
            (_, mode) => mode.unwrap_or(SslMode::VerifyFull),
        };
        let password = password.map(|password| Secret::new(password.into_bytes()));
        match (address, user, reader.faults) {
            (Some(address), Some(user), faults) if faults.is_empty() => {
                Ok(Self { address, user, database, ssl_mode, root_file: parameters.root_file, password })
            }
            (_, _, faults) => Err(faults),
        }
    }
}

impl Reader {
    fn parameters(&mut self, query: &str) -> Parameters {
        let mut parameters = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = self.keep(unescape(value, "parameters")) else { continue };
            match name {
                "sslmode" => match SslMode::from_name(&value) {
                    Some(mode) => parameters.ssl_mode = Some(mode),
                    None => self.faults.push(UpstreamFault::SslMode(value)),
                },
                "sslrootcert" if value == "system" => parameters.root_file = None,
                "sslrootcert" => parameters.root_file = Some(PathBuf::from(value)),
                "host" => parameters.socket_folder = Some(value),
                "port" => parameters.port = self.keep(port(&value)),
                other => self.faults.push(UpstreamFault::Parameter(other.to_owned())),
            }
        }
        parameters
    }

    fn address(&mut self, host: &str, parameters: &Parameters) -> Option<Address> {
        let (host, port_text) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((literal, behind)) => (literal, behind.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = match port_text.filter(|text| !text.is_empty()) {
            Some(text) => self.keep(port(text))?,
            None => parameters.port.unwrap_or(PORT),
        };
        let host = self.keep(unescape(host, "host"))?;
        let host = parameters.socket_folder.clone().unwrap_or(host);
        match host {
            host if host.starts_with('/') => Some(Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))),
            host if host.contains(',') => self.keep(Err(UpstreamFault::Hosts)),
            host if host.is_empty() => self.keep(Err(UpstreamFault::Host)),
            host => Some(Address::Tcp { host, port }),
        }
    }
}

fn port(text: &str) -> Result<u16, UpstreamFault> {
    text.parse().ok().filter(|port| *port != 0).ok_or(UpstreamFault::Port)
}

/// Resolves percent escapes.
fn unescape(text: &str, part: &'static str) -> Result<String, UpstreamFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, behind) = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => (hex(*high, *low).ok_or(UpstreamFault::Escape(part))?, behind),
            (b'%', _) => return Err(UpstreamFault::Escape(part)),
            (plain, behind) => (plain, behind),
        };
        if byte == 0 {
            return Err(UpstreamFault::Escape(part));
        }
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|_| UpstreamFault::Escape(part))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
