//! `pgveil login`, `logout`, `whoami`: a person's logins on this machine.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::json;

use super::psql::{block_on, failed, keep_renewing};
use super::{Exit, complain, plain};
use crate::wallet::{self, Device, Fault, Folder, Issuer, Kept, Name, Party, Server, Tokens};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The server says where to log in, and you are shown that before you do; --issuer and --client-id say it instead. Tokens are \
                  kept in PGVEIL_HOME, or `pgveil` in XDG_STATE_HOME or ~/.local/state, readable for you alone.\n\nExamples:\n  \
                  pgveil login clinic --server pgveil.example.org\n  psql service=clinic\n  pgveil login clinic --device\n  \
                  pgveil login jobs --server pgveil.example.org --issuer https://id.example.org --client-id job --client-secret-file secret"
)]
pub(super) struct Login {
    /// How the login is called here, and the service in psql
    name: Name,
    /// The pgveil to connect to; needed the first time
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
    /// The database [default: the login's name]
    #[arg(long, value_name = "DATABASE", requires = "server")]
    database: Option<String>,
    /// The user to name there [default: as the token names you]
    #[arg(long, value_name = "USER", requires = "server")]
    user: Option<String>,
    /// Root certificates for the server [default: the system's]
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Speak without TLS to a server on this machine
    #[arg(long, requires = "server", conflicts_with = "ca")]
    without_tls: bool,
    /// The issuer, instead of the one that the server names
    #[arg(long, value_name = "URL", requires_all = ["client_id", "server"])]
    issuer: Option<String>,
    /// The client to log in as
    #[arg(long, value_name = "ID", requires = "issuer")]
    client_id: Option<String>,
    /// What to ask the issuer for
    #[arg(long, value_name = "SCOPES", default_value = "openid", requires = "issuer")]
    scope: String,
    /// Root certificates for the issuer [default: the system's]
    #[arg(long, value_name = "FILE", requires = "server")]
    issuer_ca: Option<PathBuf>,
    /// A file with the client's secret: a machine logs in by client credentials
    #[arg(long, value_name = "FILE", requires = "issuer", conflicts_with_all = ["browser", "device"])]
    client_secret_file: Option<PathBuf>,
    /// Where the browser comes back to
    #[arg(long, value_name = "URL", default_value = wallet::REDIRECT, requires = "server")]
    redirect: String,
    /// Show servers the ID token, also where the access token would do
    #[arg(long, requires = "server")]
    id_token: bool,
    /// Log in by the browser of this machine
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// Log in on any device, by a code
    #[arg(long)]
    device: bool,
    /// Log in where the server says without asking
    #[arg(long)]
    yes: bool,
    /// Write no entry into a service file
    #[arg(long, conflicts_with = "service_file")]
    no_service: bool,
    /// The service file [default: PGSERVICEFILE, else ~/.pg_service.conf]
    #[arg(long, value_name = "FILE")]
    service_file: Option<PathBuf>,
    /// Do not renew the login in the background
    #[arg(long)]
    no_renew: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Logout {
    /// The login
    name: Name,
}

#[derive(Debug, clap::Args)]
pub(super) struct Whoami {
    /// The login; all of them if none is named
    name: Option<Name>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn login(arguments: &Login) -> Exit {
    match block_on(made(arguments)) {
        Ok(kept) => {
            let Kept { name, login } = &kept;
            let shown = login.tokens.shown();
            println!("logged in to {name} as {}", plain(&shown.name));
            match &login.service_file {
                Some(_) => println!("now: psql service={name}"),
                None => println!("now: pgveil psql {name}"),
            }
            if login.background {
                keep_renewing(name);
            } else {
                println!("until {}", moment(login.tokens.until_s));
            }
            Exit::Done
        }
        Err(fault) => failed(&fault),
    }
}

async fn made(arguments: &Login) -> Result<Kept, Fault> {
    let folder = Folder::own()?;
    let earlier = match Kept::read(&folder, &arguments.name) {
        Ok(kept) => Some(kept.login),
        Err(Fault::Missing(_)) => None,
        // What cannot be read is written anew, if all is said again.
        Err(Fault::Unreadable(_)) if arguments.server.is_some() => None,
        Err(fault) => return Err(fault),
    };
    let listed = earlier.as_ref().and_then(|earlier| earlier.service_file.clone());
    let service_file = match (&arguments.service_file, arguments.no_service) {
        (Some(file), _) => Some(std::path::absolute(file).map_err(|error| Fault::File { path: file.clone(), error })?),
        (None, true) => None,
        (None, false) => listed.clone().or_else(wallet::default_file),
    };
    // Before anybody is sent anywhere.
    service_file.as_deref().map_or(Ok(()), |file| wallet::may_list(&arguments.name, file))?;
    let (mut server, party) = match (&arguments.server, &earlier) {
        (Some(text), _) => {
            let server = server(arguments, text)?;
            let party = party(arguments, &server).await?;
            (server, party)
        }
        (None, Some(earlier)) => (earlier.server.clone(), earlier.party.clone()),
        (None, None) => return Err(Fault::Missing(arguments.name.to_string())),
    };
    let issuer = Issuer::discover(&party).await?;
    let tokens = proved(arguments, &folder, &issuer, &party).await?;
    if server.user.is_empty() {
        server.user = Some(tokens.shown().name).filter(|name| !name.is_empty()).unwrap_or_else(|| arguments.name.to_string());
    }
    let background = !arguments.no_renew && (tokens.refresh.is_some() || party.secret_file.is_some());
    let login = wallet::Login { server, party, service_file, background, tokens };
    let kept = Kept { name: arguments.name.clone(), login };
    let _lock = folder.lock(&kept.name)?;
    wallet::keep(&folder, &kept)?;
    if let Some(file) = listed.filter(|file| kept.login.service_file.as_ref() != Some(file)) {
        wallet::unlist(&folder, &kept.name, &file)?;
    }
    Ok(kept)
}

/// The server, with an empty user if that is for the token to say.
fn server(arguments: &Login, text: &str) -> Result<Server, Fault> {
    let wrong = || Fault::Setting(format!("`{text}` is no server: write HOST or HOST:PORT, an IPv6 address in []"));
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if text.starts_with('/') || text.matches(':').count() != 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(wallet::PORT), |port| port.parse().ok().filter(|port| *port != 0)).ok_or_else(wrong)?;
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == ',';
    if host.is_empty() || host.chars().any(odd) {
        return Err(wrong());
    }
    let folder = host.starts_with('/');
    if arguments.without_tls && !folder && !is_this_machine(host) {
        return Err(Fault::Setting(format!("`{host}` is another machine: nobody logs in there without TLS")));
    }
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Fault::File { path: path.to_owned(), error });
    Ok(Server {
        host: host.to_owned(),
        port,
        database: arguments.database.clone().unwrap_or_else(|| arguments.name.to_string()),
        user: arguments.user.clone().unwrap_or_default(),
        tls: !arguments.without_tls && !folder,
        roots: arguments.ca.as_deref().map(absolute).transpose()?,
    })
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Who gives the tokens: as the command line says, else as the server says and the person agrees.
async fn party(arguments: &Login, server: &Server) -> Result<Party, Fault> {
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| Fault::File { path: path.clone(), error });
    let (url, client_id, scope) = match (&arguments.issuer, &arguments.client_id) {
        (Some(url), Some(client_id)) => (url.clone(), client_id.clone(), arguments.scope.clone()),
        _ => {
            let named = Server { user: "pgveil-login".to_owned(), ..server.clone() };
            let told = wallet::ask(&named).await?;
            agreed(arguments, server, &told)?;
            (told.issuer, told.client_id, told.scope)
        }
    };
    Ok(Party {
        url,
        client_id,
        scope,
        redirect: arguments.redirect.clone(),
        roots: arguments.issuer_ca.as_ref().map(absolute).transpose()?,
        secret_file: arguments.client_secret_file.as_ref().map(absolute).transpose()?,
        id_token: arguments.id_token,
    })
}

/// A server could send people anywhere, and gets what they bring from there: they look at it first.
fn agreed(arguments: &Login, server: &Server, told: &wallet::Told) -> Result<(), Fault> {
    let shown = format!(
        "{} sends you to {}\n  as client {}\n  for {}",
        plain(&server.host),
        plain(&told.issuer),
        plain(&told.client_id),
        plain(&told.scope)
    );
    eprintln!("{shown}");
    if arguments.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Fault::Setting("nobody is here to agree to that: say --yes, or --issuer and --client-id".to_owned()));
    }
    eprint!("Log in there, and show {} the token? [y/N] ", plain(&server.host));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let heard = std::io::stdin().lock().read_line(&mut answer);
    if heard.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Fault::Setting("nobody was logged in".to_owned()))
}

async fn proved(arguments: &Login, folder: &Folder, issuer: &Issuer, party: &Party) -> Result<Tokens, Fault> {
    if party.secret_file.is_some() {
        return issuer.by_secret().await;
    }
    if arguments.device || (!arguments.browser && issuer.has_devices() && !has_browser()) {
        return issuer.by_device(show_device).await;
    }
    let page = folder.file(&arguments.name, "html");
    let tokens = issuer.by_browser(|url| open(url, folder, &arguments.name)).await;
    let _ = std::fs::remove_file(page);
    tokens
}

fn show_device(device: &Device) {
    eprintln!("Open {}\nand enter {}", plain(&device.page), plain(&device.code));
    if let Some(whole) = &device.whole {
        eprintln!("or open {}", plain(whole));
    }
}

/// True if a browser can be expected to open where the person sits.
fn has_browser() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let screen = cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY");
    set("BROWSER") || (screen && !set("SSH_CONNECTION"))
}

fn open(url: &str, folder: &Folder, name: &Name) {
    eprintln!("Log in in your browser; if none opens, go to\n{}", plain(url));
    let Ok(page) = folder.page(name, &wallet::leading_to(url)) else { return };
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let browser = std::env::var_os("BROWSER").filter(|browser| !browser.is_empty()).unwrap_or_else(|| usual.into());
    let mut command = Command::new(browser);
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The address is on the terminal, too.
    drop(command.spawn());
}

pub(super) fn logout(arguments: &Logout) -> Exit {
    match block_on(ended(&arguments.name)) {
        Ok(true) => println!("logged out of {}", arguments.name),
        Ok(false) => println!("logged out of {} here; its issuer takes no tokens back: they end by themselves", arguments.name),
        Err(fault) => return failed(&fault),
    }
    Exit::Done
}

/// The files are taken away in any case.
async fn ended(name: &Name) -> Result<bool, Fault> {
    let folder = Folder::own()?;
    Kept::read(&folder, name)
        .map(drop)
        .or_else(|fault| if matches!(fault, Fault::Unreadable(_)) { Ok(()) } else { Err(fault) })?;
    // Read once more when nobody renews it: the tokens may be others by now.
    let _lock = folder.lock(name)?;
    let kept = match Kept::read(&folder, name) {
        Err(Fault::Unreadable(_)) => {
            wallet::forget(&folder, name, wallet::default_file().as_deref())?;
            return Ok(false);
        }
        read => read?,
    };
    let revoked = match Issuer::discover(&kept.login.party).await {
        Ok(issuer) => issuer.revoke(&kept.login.tokens).await,
        Err(fault) => Err(fault),
    };
    wallet::forget(&folder, name, kept.login.service_file.as_deref())?;
    if revoked.is_err() {
        complain("the files are gone, but the issuer did not take the tokens back:");
    }
    revoked
}

pub(super) fn whoami(arguments: &Whoami) -> Exit {
    let read = || {
        let folder = Folder::own()?;
        let names = match &arguments.name {
            Some(name) => vec![name.clone()],
            None => folder.names()?,
        };
        names.iter().map(|name| Kept::read(&folder, name)).collect::<Result<Vec<_>, Fault>>()
    };
    let kept = match read() {
        Ok(kept) => kept,
        Err(fault) => return failed(&fault),
    };
    if arguments.json {
        let each: Vec<_> = kept.iter().map(told).collect();
        println!("{}", json!({ "logins": each }));
    } else if kept.is_empty() {
        println!("nobody is logged in");
    } else {
        println!("{}", table(&kept));
    }
    Exit::Done
}

fn told(kept: &Kept) -> serde_json::Value {
    let Kept { name, login } = kept;
    let shown = login.tokens.shown();
    json!({
        "login": name.as_str(), "name": shown.name, "subject": shown.subject, "issuer": login.party.url,
        "client_id": login.party.client_id, "server": login.server.host, "port": login.server.port,
        "database": login.server.database, "until": moment(login.tokens.until_s),
        "over": login.tokens.is_over(Timestamp::now()), "renewed": login.background,
    })
}

fn table(kept: &[Kept]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["login", "who", "issuer", "server", "database", "token until"]);
    for Kept { name, login } in kept {
        let until = moment(login.tokens.until_s);
        let until = match (login.tokens.is_over(Timestamp::now()), login.background) {
            (true, _) => "over".to_owned(),
            (false, true) => format!("{until}, then renewed"),
            (false, false) => until,
        };
        let server = format!("{}:{}", login.server.host, login.server.port);
        let row =
            [name.to_string(), login.tokens.shown().name, login.party.url.clone(), server, login.server.database.clone(), until];
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    table
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|moment| moment.to_string()).unwrap_or_default()
}
