//! A client of the admin API.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Exit;
use crate::config::{ADMIN_ADDRESS, Config};
use crate::secret::Secret;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 128 << 20;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What went wrong, and how the command ends for it.
pub(super) type Failure = (Exit, String);

/// Where a command finds the admin API, and how it answers.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The admin API [default: as configured, else http://127.0.0.1:6480]
    #[arg(long, value_name = "URL", global = true)]
    admin: Option<String>,
    /// A configuration file that says where the admin API is
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Place {
    /// A client for a person.
    pub(super) fn client(&self, name: &str) -> Result<Client, Failure> {
        Client::new(&self.base()?, name)
    }

    /// A client for what needs no login.
    pub(super) fn anonymous(&self) -> Result<Client, Failure> {
        Ok(Client::anonymous(&self.base()?))
    }

    fn base(&self) -> Result<String, Failure> {
        base(self.admin.as_deref(), self.config.as_deref())
    }
}

/// Where the admin API is, and who asks.
pub(super) struct Client {
    base: String,
    /// None for what needs no login.
    authorization: Option<Secret>,
    agent: ureq::Agent,
}

impl Client {
    /// A client for a person; the password comes from `PGVEIL_PASSWORD` or is asked for.
    fn new(base: &str, name: &str) -> Result<Self, Failure> {
        let password = password(name)?;
        let mut pair = name.as_bytes().to_vec();
        pair.push(b':');
        pair.extend_from_slice(password.reveal());
        let pair = Secret::new(pair);
        let authorization = Secret::new(format!("Basic {}", STANDARD.encode(pair.reveal())).into_bytes());
        Ok(Self { authorization: Some(authorization), ..Self::anonymous(base) })
    }

    /// A client for what needs no login.
    fn anonymous(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        Self { base: base.trim_end_matches('/').to_owned(), authorization: None, agent }
    }

    /// The answer to a GET.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        self.answer(request.call())
    }

    /// The answer to a POST.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        self.answer(request.send_json(body))
    }

    fn answer(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let unavailable =
            |error: ureq::Error| (Exit::Unavailable, format!("the admin API at {} does not answer: {error}", self.base));
        let mut response = response.map_err(unavailable)?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unavailable)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|_| (Exit::Unavailable, format!("what answers at {} is no admin API", self.base)))?;
        if status.is_success() {
            return Ok(value);
        }
        let why = value.get("error").and_then(Value::as_str).unwrap_or("the request was refused");
        Err((Exit::Refused, why.to_owned()))
    }
}

fn password(name: &str) -> Result<Secret, Failure> {
    if let Ok(password) = std::env::var("PGVEIL_PASSWORD") {
        return Ok(Secret::new(password.into_bytes()));
    }
    let asked = rpassword::prompt_password(format!("password of {}: ", plain(name)));
    asked
        .map(|password| Secret::new(password.into_bytes()))
        .map_err(|_| (Exit::Usage, "no password: set PGVEIL_PASSWORD or call from a terminal".to_owned()))
}

/// The address of the admin API: as given, else as configured, else the usual one. Plain HTTP goes to loopback only.
pub(super) fn base(admin: Option<&str>, config: Option<&Path>) -> Result<String, Failure> {
    let base = match (admin, config) {
        (Some(url), _) => url.to_owned(),
        (None, Some(file)) => format!("http://{}", configured(file)?),
        (None, None) => format!("http://{ADMIN_ADDRESS}"),
    };
    let authority = base.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    match authority {
        Some(authority) if is_loopback(authority) => Ok(base),
        _ => Err((
            Exit::Usage,
            format!("`{base}` is no `http://` address of this machine, and the password would cross the network"),
        )),
    }
}

fn configured(file: &Path) -> Result<String, Failure> {
    let faults = |faults: Vec<crate::policy::FileFault>| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        (Exit::Usage, format!("the configuration is faulty:\n{}", lines.join("\n")))
    };
    Ok(Config::load(file).map_err(faults)?.admin.to_string())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Text for a terminal: control characters but line ends and tabs are shown, not sent, since statements come from anyone.
#[must_use]
pub fn plain(text: &str) -> String {
    let hostile = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let show = |c: char| if hostile(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}
