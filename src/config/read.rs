//! From the file to a `Config`, with every fault noted on the way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use toml::de::DeValue;

use super::{
    ADMIN_ADDRESS, Config, Credential, DRAIN_MS, Database, Durability, Former, LISTEN_ADDRESS, Listen, ListenAddress, LogFormat,
    LogLevel, Logs, Masking, Store, Tls, file, limits, listen, verifier,
};
use crate::backend::Upstream;
use crate::identity::Verifier;
use crate::policy::{Document, Fields, FileFault, Policy, Value, clip};
use crate::secret::Secret;

/// Most databases.
const DATABASES_MAX: usize = 1000;
/// Most credentials.
const CREDENTIALS_MAX: usize = 10_000;
/// Longest name of a database or identity, in bytes: PostgreSQL's own limit.
const NAME_BYTES_MAX: usize = 63;

/// Longest time that an end in order may be given, in milliseconds.
const DRAIN_MS_MAX: u64 = 24 * 3_600_000;

/// How an environment variable is looked up.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

pub(super) fn load(path: &Path, environment: Environment<'_>) -> Result<Config, Vec<FileFault>> {
    let name = path.display().to_string();
    let text = file::read_text(path).map_err(|message| vec![FileFault { file: name.clone(), line: 1, column: 1, message }])?;
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let document = Document::new(&text, &name);
    let table = document.parse();
    let mut reader = Reader { base, environment, policies: HashMap::new(), faults: Vec::new(), warnings: Vec::new() };
    let config = reader.config(&document.root(&table), path, &text);
    let Reader { faults: others, .. } = reader;
    let mut faults = document.into_faults();
    faults.extend(others);
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

/// What is collected on the way.
pub(super) struct Reader<'e> {
    base: PathBuf,
    environment: Environment<'e>,
    /// Policies by file: read once, `None` if faulty.
    policies: HashMap<PathBuf, Option<Arc<Policy>>>,
    /// Faults of other files.
    faults: Vec<FileFault>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn config(&mut self, root: &Fields<'_, '_>, path: &Path, text: &str) -> Option<Config> {
        const KEYS: [&str; 12] = [
            "listen",
            "admin",
            "store",
            "log",
            "limits",
            "masking",
            "login",
            "sessions",
            "database",
            "credential",
            "certificate",
            "issuer",
        ];
        root.only(&KEYS);
        let listen = self.listen(root);
        let admin = admin(root);
        let operators = operators(root);
        let store = self.store(root);
        let logs = logs(root);
        let limits = limits::read(root);
        let masking = masking(root);
        let databases = self.databases(root);
        let credentials = self.credentials(root);
        let client_roots = listen.as_ref().and_then(|listen| listen.tls.as_ref()).is_some_and(|tls| tls.client_roots.is_some());
        let certificates = super::certificate::certificates(root, client_roots, credentials.as_deref().unwrap_or_default());
        let issuers = self.issuers(root, credentials.as_deref().unwrap_or_default());
        let sessions = super::sessions::sessions(root);
        let login = super::login::login(root, issuers.as_deref());
        Some(Config {
            file: path.to_path_buf(),
            digest: sha256(text.as_bytes()),
            listen: listen?,
            admin: admin?,
            operators: operators?,
            store: store?,
            logs: logs?,
            limits: limits?,
            masking: masking?,
            databases: databases?,
            credentials: credentials?,
            certificates: certificates?,
            issuers: issuers?,
            login: login?,
            sessions: sessions?,
            warnings: std::mem::take(&mut self.warnings),
        })
    }

    fn path(&self, value: &Value<'_, '_>) -> Option<PathBuf> {
        Some(self.base.join(value.text()?))
    }

    fn listen(&mut self, root: &Fields<'_, '_>) -> Option<Listen> {
        let Some(value) = root.value("listen") else {
            let addresses = vec![ListenAddress::Tcp(LISTEN_ADDRESS.parse().ok()?)];
            return Some(Listen { addresses, tls: None, allow_plaintext: false, drain_ms: DRAIN_MS });
        };
        let fields = value.fields("`[listen]`")?;
        fields.only(&["address", "tls", "allow_plaintext", "drain"]);
        let addresses = listen::addresses(&fields);
        let allow_plaintext = fields.value("allow_plaintext").is_some_and(|value| value.boolean().unwrap_or(false));
        let tls = match fields.value("tls") {
            Some(value) => Some(self.tls(&value.fields("`tls`")?)?),
            None => None,
        };
        let drain_ms = match fields.value("drain") {
            Some(value) => value.duration_ms(0, DRAIN_MS_MAX),
            None => Some(DRAIN_MS),
        };
        let (addresses, drain_ms) = (addresses?, drain_ms?);
        for address in addresses.iter().filter(|address| tls.is_none() && !address.is_local()) {
            if !allow_plaintext {
                fields.fault(format!(
                    "without `tls` only a loopback address is served, not `{address}`; give `tls`, or say `allow_plaintext = true`"
                ));
                return None;
            }
            self.warnings
                .push(format!("clients on {address} may connect without TLS: passwords and data can be read on the way"));
        }
        Some(Listen { addresses, tls, allow_plaintext, drain_ms })
    }

    fn tls(&mut self, fields: &Fields<'_, '_>) -> Option<Tls> {
        fields.only(&["certificate", "key", "client_ca"]);
        let (certificate_at, key_at) = (fields.require("certificate"), fields.require("key"));
        let certificate = certificate_at.as_ref().and_then(|value| self.read(value));
        let key = key_at.as_ref().and_then(|value| self.read(value));
        let ((certificate_file, certificate), (key_file, key)) = (certificate?, key?);
        let key = Secret::new(key);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
        let chain = chain.unwrap_or_default();
        if chain.is_empty() {
            certificate_at?.fault(format!("`{}` holds no certificate in PEM form", certificate_file.display()));
            return None;
        }
        let Ok(private) = PrivateKeyDer::from_pem_slice(key.reveal()) else {
            key_at?.fault(format!("`{}` holds no private key in PEM form", key_file.display()));
            return None;
        };
        if let Err(why) = fit(chain, private) {
            key_at?.fault(format!("`{}` does not serve with its certificate: {why}", key_file.display()));
            return None;
        }
        let client_roots = super::issuer::optional(fields, "client_ca", |value| self.roots(value))?;
        self.warn_if_open(&key_file);
        Some(Tls { certificate, key, client_roots, certificate_file, key_file })
    }

    pub(super) fn read(&self, value: &Value<'_, '_>) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.path(value)?;
        match file::read(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(why) => {
                value.fault(why);
                None
            }
        }
    }

    fn warn_if_open(&mut self, path: &Path) {
        if file::open_to_others(path) {
            self.warnings.push(format!("`{}` can be read by every user of this machine", path.display()));
        }
    }

    fn store(&mut self, root: &Fields<'_, '_>) -> Option<Store> {
        let fields = root.require("store")?.fields("`[store]`")?;
        fields.only(&["path", "durability", "key_file", "witness", "record"]);
        let path = fields.require("path").and_then(|value| self.path(&value));
        let durability = match fields.value("durability") {
            Some(value) => choice(&value, &[("process", Durability::Process), ("power", Durability::Power)]),
            None => Some(Durability::Process),
        };
        let key_file = match fields.value("key_file") {
            Some(value) => self.path(&value),
            None => Some(self.base.join("master.key")),
        };
        let witness = fields.value("witness").and_then(|value| self.path(&value));
        let record = match fields.value("record") {
            Some(value) => choice(&value, &[("on", true), ("off", false)]),
            None => Some(true),
        };
        if record == Some(false) {
            self.warnings.push("`record` is off: replies are not recorded, sessions cannot be replayed".to_owned());
        }
        Some(Store { path: path?, durability: durability?, key_file: key_file?, witness, record: record? })
    }

    fn databases(&mut self, root: &Fields<'_, '_>) -> Option<Vec<Database>> {
        let tables = root.tables("database");
        if tables.is_empty() {
            root.fault("no `[[database]]` is configured");
        }
        if tables.len() > DATABASES_MAX {
            root.fault(format!("more than {DATABASES_MAX} `[[database]]` entries"));
            return None;
        }
        let mut lines = HashMap::new();
        // Each is read, also after a faulty one: every fault is named.
        let read: Vec<Option<Database>> = tables.iter().map(|fields| self.database(fields, &mut lines)).collect();
        read.into_iter().collect()
    }

    fn database(&mut self, fields: &Fields<'_, '_>, lines: &mut HashMap<String, usize>) -> Option<Database> {
        fields.only(&["name", "upstream", "password_file", "password_env", "policy"]);
        let name = fields.require("name").and_then(|value| name(&value, lines));
        let upstream = fields.require("upstream").and_then(|value| upstream(&value));
        let password = self.password(fields);
        let policy = fields.require("policy").and_then(|value| self.policy(&value));
        let (policy_file, policy) = policy?;
        Some(Database { name: name?, upstream: upstream?, password: password?, policy, policy_file })
    }

    /// `Some(None)` if no password is configured.
    fn password(&mut self, fields: &Fields<'_, '_>) -> Option<Option<Secret>> {
        match (fields.value("password_file"), fields.value("password_env")) {
            (None, None) => Some(None),
            (Some(_), Some(value)) => {
                value.fault("a database has either `password_file` or `password_env`");
                None
            }
            (Some(value), None) => {
                let path = self.path(&value)?;
                let password = file::read_password(&path).map_err(|why| value.fault(why)).ok()?;
                self.warn_if_open(&path);
                Some(Some(password))
            }
            (None, Some(value)) => {
                let name = value.text()?;
                let password = (self.environment)(name).filter(|password| !password.is_empty());
                if password.is_none() {
                    value.fault(format!("the environment variable `{}` is not set", clip(name)));
                }
                Some(Some(Secret::new(password?.into_bytes())))
            }
        }
    }

    fn policy(&mut self, value: &Value<'_, '_>) -> Option<(PathBuf, Arc<Policy>)> {
        let mut path = self.path(value)?;
        if path.is_dir() {
            path.push("policy.toml");
        }
        if let Some(known) = self.policies.get(&path) {
            return known.clone().map(|policy| (path, policy));
        }
        let text = file::read_text(&path).map_err(|why| value.fault(why)).ok()?;
        let policy = match Policy::parse(&text, &path.display().to_string()) {
            Ok(policy) => Some(Arc::new(policy)),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        };
        self.policies.insert(path.clone(), policy.clone());
        policy.map(|policy| (path, policy))
    }

    fn credentials(&mut self, root: &Fields<'_, '_>) -> Option<Vec<Credential>> {
        let tables = root.tables("credential");
        if tables.len() > CREDENTIALS_MAX {
            root.fault(format!("more than {CREDENTIALS_MAX} `[[credential]]` entries"));
            return None;
        }
        let mut lines = HashMap::new();
        let read: Vec<Option<Credential>> = tables.iter().map(|fields| credential(fields, &mut lines)).collect();
        read.into_iter().collect()
    }
}

fn credential(fields: &Fields<'_, '_>, lines: &mut HashMap<String, usize>) -> Option<Credential> {
    fields.only(&["name", "groups", "verifier", "expires", "former"]);
    let name = fields.require("name").and_then(|value| {
        if value.text().is_some_and(|text| text.contains(':')) {
            value.fault("the name of a credential may not hold `:`, which ends a name in HTTP logins");
        }
        name(&value, lines)
    });
    let groups = fields.require("groups").and_then(|value| value.words());
    let verifier = written_verifier(fields);
    let expires = match fields.value("expires") {
        Some(value) => Some(moment(&value)?),
        None => None,
    };
    let former = match fields.value("former") {
        Some(value) => Some(former(&value, verifier.as_deref())?),
        None => None,
    };
    Some(Credential { name: name?, groups: groups?, verifier: verifier?, expires, former })
}

fn written_verifier(fields: &Fields<'_, '_>) -> Option<String> {
    let value = fields.require("verifier")?;
    let text = value.text()?;
    match verifier::fault(text) {
        Some(why) => {
            value.fault(format!("`verifier` is no SCRAM-SHA-256 verifier: {why}; `pgveil credential new` makes one"));
            None
        }
        None => Some(text.to_owned()),
    }
}

/// A login begins with a salt before it is known which password comes: both must have the same.
fn former(value: &Value<'_, '_>, successor: Option<&str>) -> Option<Former> {
    let fields = value.fields("`former`")?;
    fields.only(&["verifier", "expires"]);
    let verifier = written_verifier(&fields);
    let expires = fields.require("expires").and_then(|value| moment(&value));
    let (verifier, expires) = (verifier?, expires?);
    let read = |text: &str| text.parse::<Verifier>().ok();
    let kin = read(&verifier).zip(read(successor?)).is_some_and(|(former, successor)| former.is_kin(&successor));
    if !kin {
        value.fault("`former` has another salt than its successor: `pgveil credential new NAME --rotate` makes one that fits");
        return None;
    }
    Some(Former { verifier, expires })
}

fn moment(value: &Value<'_, '_>) -> Option<jiff::Timestamp> {
    let moment = match value.raw() {
        DeValue::Datetime(moment) => moment.to_string().parse().ok(),
        _ => None,
    };
    if moment.is_none() {
        value.fault("`expires` must be a date and time with an offset, like 2026-12-31T00:00:00Z, without quotes");
    }
    moment
}

fn admin(root: &Fields<'_, '_>) -> Option<SocketAddr> {
    let Some(value) = root.value("admin") else { return ADMIN_ADDRESS.parse().ok() };
    let fields = value.fields("`[admin]`")?;
    fields.only(&["address", "operators"]);
    let address = address(&fields, ADMIN_ADDRESS)?;
    if !address.ip().is_loopback() {
        fields.fault(format!("the admin API is served on loopback only, not on `{address}`"));
        return None;
    }
    Some(address)
}

fn operators(root: &Fields<'_, '_>) -> Option<Vec<String>> {
    match root.fields("admin").and_then(|fields| fields.value("operators")) {
        Some(value) => value.words(),
        None => Some(Vec::new()),
    }
}

fn masking(root: &Fields<'_, '_>) -> Option<Masking> {
    let Some(value) = root.value("masking") else { return Some(Masking::default()) };
    let fields = value.fields("`[masking]`")?;
    fields.only(&["notices"]);
    let notices = match fields.value("notices") {
        Some(value) => value.boolean()?,
        None => Masking::default().notices,
    };
    Some(Masking { notices })
}

fn logs(root: &Fields<'_, '_>) -> Option<Logs> {
    let Some(value) = root.value("log") else { return Some(Logs::default()) };
    let fields = value.fields("`[log]`")?;
    fields.only(&["format", "level"]);
    let format = match fields.value("format") {
        Some(value) => choice(&value, &[("plain", LogFormat::Plain), ("json", LogFormat::Json)]),
        None => Some(LogFormat::default()),
    };
    let level = match fields.value("level") {
        Some(value) => {
            let (error, warn) = (("error", LogLevel::Error), ("warn", LogLevel::Warn));
            choice(&value, &[error, warn, ("info", LogLevel::Info), ("debug", LogLevel::Debug)])
        }
        None => Some(LogLevel::default()),
    };
    Some(Logs { format: format?, level: level? })
}

fn address(fields: &Fields<'_, '_>, otherwise: &str) -> Option<SocketAddr> {
    let Some(value) = fields.value("address") else { return otherwise.parse().ok() };
    let text = value.text()?;
    let address = text.parse().ok();
    if address.is_none() {
        value.fault(format!("`{}` is no address; write an IP address and a port, like `{otherwise}`", clip(text)));
    }
    address
}

pub(super) fn choice<T: Copy>(value: &Value<'_, '_>, choices: &[(&str, T)]) -> Option<T> {
    let text = value.text()?;
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, chosen)| *chosen);
    if chosen.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        value.fault(format!("`{}` is not understood; it is one of {}", clip(text), crate::policy::ticked(&names)));
    }
    chosen
}

pub(super) fn name(value: &Value<'_, '_>, lines: &mut HashMap<String, usize>) -> Option<String> {
    let text = value.text()?;
    if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        value.fault(format!("the name `{}` is longer than {NAME_BYTES_MAX} bytes or holds control characters", clip(text)));
        return None;
    }
    if let Some(line) = lines.get(text) {
        value.fault(format!("the name `{}` is taken in line {line}", clip(text)));
        return None;
    }
    lines.insert(text.to_owned(), value.line());
    Some(text.to_owned())
}

/// Never quotes the text: a password may stand in it.
fn upstream(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    let Some(rest) = rest else {
        value.fault("`upstream` must be a connection URI: `postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full`");
        return None;
    };
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    if user.is_some_and(|user| user.contains(':')) || query.split('&').any(|pair| pair.starts_with("password=")) {
        value.fault("`upstream` holds a password; put it into a file and name that as `password_file`");
        return None;
    }
    if user.is_none_or(str::is_empty) {
        value.fault("`upstream` names no user: `postgresql://USER@HOST:PORT/DATABASE`");
        return None;
    }
    if let Err(faults) = Upstream::parse(text) {
        faults.iter().for_each(|fault| value.fault(fault.to_string()));
        return None;
    }
    Some(text.to_owned())
}

/// True if the key belongs to the certificate and both can serve.
fn fit(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_no_client_auth();
    builder.with_single_cert(chain, key).map(|_| ()).map_err(|error| error.to_string())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut array = [0; 32];
    array.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    array
}
