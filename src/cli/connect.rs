//! `pgveil connect`: a port on this machine that leads to a server with a login.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use super::psql::{block_on, failed};
use crate::wallet::{Fault, Folder, Name, Place, Port};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints one line, `ready: URI`, when programs may connect to that URI. A socket file is for your own programs only; a port \
                  asks for a password that is kept with the login, in a password file that the URI names. Every connection begins with a \
                  token that serves, and the login is renewed as long as this runs.\n\nExamples:\n  pgveil connect clinic\n  \
                  pgveil connect clinic --listen 127.0.0.1:5433"
)]
pub(super) struct Connect {
    /// The login
    name: Name,
    /// Where programs come in: a socket file /FOLDER/.s.PGSQL.PORT, or an address and port of this machine [default: a socket file
    /// in the folder of logins]
    #[arg(long, value_name = "PLACE")]
    listen: Option<Place>,
    /// Print the URI with the password in it, for programs that know no password files
    #[arg(long, requires = "listen")]
    show_secret: bool,
}

pub(super) fn run(arguments: &Connect) -> Exit {
    match block_on(served(arguments)) {
        Ok(()) => Exit::Done,
        Err(fault) => failed(&fault),
    }
}

/// Until SIGTERM or SIGINT.
async fn served(arguments: &Connect) -> Result<(), Fault> {
    let name = &arguments.name;
    let listen = |kind| signal(kind).map_err(|error| Fault::Setting(format!("no signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let folder = Folder::own()?;
    let place = arguments.listen.clone().unwrap_or_else(|| Place::usual(&folder, name));
    let port = Port::open(&folder, name, &place, arguments.show_secret).await?;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "ready: {}", port.uri);
    let _ = out.flush();
    drop(out);
    tokio::select! {
        never = port.serve() => match never {},
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
