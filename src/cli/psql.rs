//! `pgveil psql`, `dsn`, `renew`: a login is used.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::{Exit, complain};
use crate::wallet::{self, Fault, Folder, Kept, Name};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pgveil psql clinic -c 'select 1'")]
pub(super) struct Psql {
    /// The login
    name: Name,
    /// What psql is given besides
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<std::ffi::OsString>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The URI names the login's password file and holds no secret. Clients that are not made of libpq know no password files.\
                  \n\nExample:\n  psql \"$(pgveil dsn clinic)\""
)]
pub(super) struct Dsn {
    /// The login
    name: Name,
}

#[derive(Debug, clap::Args)]
pub(super) struct Renew {
    /// The login
    name: Name,
    /// Go on until the login is over
    #[arg(long)]
    watch: bool,
}

pub(super) fn psql(arguments: &Psql) -> Exit {
    match used(&arguments.name) {
        Ok(uri) => {
            let error = Command::new("psql").arg("-d").arg(uri).args(&arguments.arguments).exec();
            complain(&format!("psql cannot be started: {error}"));
            Exit::Unavailable
        }
        Err(fault) => failed(&fault),
    }
}

pub(super) fn dsn(arguments: &Dsn) -> Exit {
    match used(&arguments.name) {
        Ok(uri) => {
            println!("{uri}");
            Exit::Done
        }
        Err(fault) => failed(&fault),
    }
}

/// A login that serves now, as a URI.
fn used(name: &Name) -> Result<String, Fault> {
    let folder = Folder::own()?;
    let kept: Kept = block_on(wallet::fresh(&folder, name))?;
    if kept.login.background {
        keep_renewing(name);
    }
    kept.uri(&folder)
}

pub(super) fn renew(arguments: &Renew) -> Exit {
    let name = &arguments.name;
    let renewed = Folder::own().and_then(|folder| match arguments.watch {
        true => block_on(wallet::watch(&folder, name)),
        false => block_on(wallet::fresh(&folder, name)).map(|_| ()),
    });
    renewed.map_or_else(|fault| failed(&fault), |()| Exit::Done)
}

/// Renews a login in the background, by a process of its own that outlives this terminal. There is one for each login at most.
pub(super) fn keep_renewing(name: &Name) {
    let Ok(own) = std::env::current_exe() else { return };
    let mut command = Command::new(own);
    command.args(["renew", "--watch", name.as_str()]).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.spawn().is_err() {
        complain("the login is not renewed in the background: that process cannot be started");
    }
}

pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::Setting(format!("no event loop: {error}")))?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// Says what went wrong; how the command ends for it.
pub(super) fn failed(fault: &Fault) -> Exit {
    complain(&fault.to_string());
    match fault {
        Fault::Name | Fault::Setting(_) | Fault::Home | Fault::Open(_) | Fault::Foreign { .. } | Fault::Route(_) => Exit::Usage,
        Fault::Missing(_) | Fault::Over(_) | Fault::Denied(_) | Fault::Mixed(_) | Fault::TimedOut | Fault::Insecure(_) => {
            Exit::Refused
        }
        Fault::NoIssuer | Fault::NotSaid(_) | Fault::NoWay(_) | Fault::Answer(_) => Exit::Refused,
        Fault::File { .. }
        | Fault::Unreadable(_)
        | Fault::Server(_)
        | Fault::Http { .. }
        | Fault::Redirect { .. }
        | Fault::Listen { .. }
        | Fault::Dice => Exit::Unavailable,
    }
}
