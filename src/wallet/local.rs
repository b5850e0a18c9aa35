//! The password of a local port: by SCRAM, so that whoever takes the port while nobody listens there does not get it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::folder::{self, Folder, Name};
use super::{Fault, Server, service};
use crate::frontend::{self, Doors, Guard, Handshake, Session};
use crate::identity::{Credential, ITERATIONS_MIN, NONCE_BYTES, Offer, Offers, Roster, SALT_BYTES, Verifier};
use crate::secret::Secret;

/// Random bytes of a password.
const PASSWORD_BYTES: usize = 24;

/// A login's local password.
pub(super) struct Password {
    text: String,
    verifier: Verifier,
    passfile: PathBuf,
}

/// Random passwords cannot be tried through: nobody is counted.
struct Uncounted;

impl Guard for Uncounted {
    fn is_barred(&self) -> bool {
        false
    }

    fn failed(&self) {}
}

impl Password {
    /// The login's, made the first time, and its password file for this port.
    pub(super) fn of(folder: &Folder, name: &Name, address: SocketAddr) -> Result<Self, Fault> {
        let (secret, passfile) = (folder.file(name, "local"), folder.file(name, "local-passfile"));
        let kept = folder::read(&secret)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = match kept.filter(|text| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == PASSWORD_BYTES)) {
            Some(text) => text,
            None => {
                let text = URL_SAFE_NO_PAD.encode(dice::<PASSWORD_BYTES>()?);
                folder::write(&secret, text.as_bytes(), 0o600)?;
                text
            }
        };
        let verifier = Verifier::make(text.as_bytes(), &dice::<SALT_BYTES>()?, ITERATIONS_MIN).map_err(|_| Fault::Dice)?;
        let line = service::passfile(&at(address, ""), text.as_bytes());
        folder::write(&passfile, &line, 0o600)?;
        Ok(Self { text, verifier, passfile })
    }

    /// How a program connects.
    pub(super) fn uri(&self, server: &Server, address: SocketAddr, shown: bool) -> String {
        let passfile = self.passfile.display().to_string();
        let more =
            if shown { vec![("sslmode", "disable")] } else { vec![("sslmode", "disable"), ("passfile", passfile.as_str())] };
        service::uri(&at(address, &server.database), &server.user, shown.then_some(self.text.as_str()), &more)
    }

    /// Lets in who knows it, whatever name is given.
    pub(super) async fn prove(&self, handshake: Handshake) -> Option<Session> {
        let name = String::from_utf8_lossy(handshake.user()).into_owned();
        let credential = Credential { name, groups: Vec::new(), verifier: self.verifier.clone(), expires: None };
        let mock = Secret::new(dice::<NONCE_BYTES>().ok()?.to_vec());
        let roster = Roster::new(vec![credential], mock).ok()?.into();
        let offers = Offers { rules: Vec::new(), otherwise: Offer::Scram };
        let doors = Doors { roster, tokens: None, offers, clear_on_loopback: false };
        let dice = dice::<NONCE_BYTES>().ok()?;
        frontend::login(handshake, &doors, &Uncounted, jiff::Timestamp::now(), dice).await.ok()
    }
}

/// How a program connects by a socket file.
pub(super) fn socket_uri(server: &Server, path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("/")).display().to_string();
    let port = path.extension().and_then(|port| port.to_str()?.parse().ok()).unwrap_or_default();
    let local = Server { host: folder, port, tls: false, roots: None, ..server.clone() };
    service::uri(&local, &server.user, None, &[])
}

fn at(address: SocketAddr, database: &str) -> Server {
    let (host, database) = (address.ip().to_string(), database.to_owned());
    Server { host, port: address.port(), database, user: String::new(), tls: false, roots: None }
}

fn dice<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map(|()| bytes).map_err(|_| Fault::Dice)
}
