//! An issuer of tokens of one's own: the npm package `oidc-provider`, by `clients/issuer/provider.mjs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::clients::{home, script};

/// For whom its tokens are.
pub const AUDIENCE: &str = "urn:pgveil:test";

/// A running issuer.
pub struct Issuer {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Issuer {
    /// Starts one whose tokens live so many seconds.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(ttl_s: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let person = |name: &str, groups: &[&str]| json!({"sub": format!("u-{name}"), "name": name, "password": format!("{name}-pw"), "groups": groups});
        let machine = |id: &str, groups: &[&str]| json!({"id": id, "secret": format!("{id}-secret"), "groups": groups});
        let conf = json!({
            "port": port, "ttl": ttl_s, "audience": AUDIENCE,
            "people": [person("carla", &["clinicians"]), person("nobody", &[])],
            "machines": [machine("scheduler", &["agents"])],
        });
        let mut child = Command::new("node")
            .arg(script("issuer/provider.mjs"))
            .env("PGVEIL_CLIENTS", home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("node does not start ({e}); scripts/setup clients installs it"));
        // Its standard input stays open: it ends with this process.
        writeln!(child.stdin.as_mut().unwrap(), "{conf}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready"), "the issuer did not come up; scripts/setup clients installs what it needs: {line}");
        Self { child, port }
    }

    /// Its name in its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An `[[issuer]]` entry for it, with further lines.
    #[must_use]
    pub fn entry(&self, name: &str, more: &str) -> String {
        let url = self.url();
        format!(
            "[[issuer]]\nname = \"{name}\"\nurl = \"{url}\"\nloopback_http = true\naudience = [\"{AUDIENCE}\"]\nclient_id = \"pgveil-cli\"\n{more}\n"
        )
    }

    /// Tells it to do something; its answer.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn steer(&self, what: &str, told: &Value) -> Value {
        let body = told.to_string();
        let answer = self.post(&format!("/test/{what}"), "application/json", "", &body);
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{what}: {e}: {answer}"))
    }

    /// A token of the making that `steer` describes.
    ///
    /// # Panics
    /// If it gives none.
    #[must_use]
    pub fn mint(&self, told: &Value) -> String {
        self.steer("mint", told)["token"].as_str().unwrap().to_owned()
    }

    /// A good token of a clinician.
    #[must_use]
    pub fn carla(&self) -> String {
        self.mint(&json!({"claims": {"groups": ["clinicians"], "preferred_username": "carla"}}))
    }

    /// A machine's token, by client credentials.
    ///
    /// # Panics
    /// If it gives none.
    #[must_use]
    pub fn machine(&self, id: &str) -> String {
        let basic = format!("authorization: Basic {}\r\n", base64(&format!("{id}:{id}-secret")));
        let answer = self.post("/token", "application/x-www-form-urlencoded", &basic, "grant_type=client_credentials&scope=db");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// What the issuer answers to a form that is posted.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn form(&self, path: &str, body: &str) -> Value {
        let answer = self.post(path, "application/x-www-form-urlencoded", "", body);
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    fn post(&self, path: &str, kind: &str, headers: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            socket,
            "POST {path} HTTP/1.0\r\nhost: 127.0.0.1:{}\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n{body}",
            self.port
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}")).1.to_owned()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
            out.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    out
}
