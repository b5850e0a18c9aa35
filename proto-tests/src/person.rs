//! A person at the issuer's pages, without a browser: forms are posted, redirects followed, cookies kept.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::PATIENCE;

const HOPS_MAX: usize = 15;

/// A page that was come to.
#[derive(Debug)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// Status code.
    pub code: u16,
    /// The headers.
    pub head: String,
    /// The text.
    pub body: String,
}

/// Cookies: path, name, value.
#[derive(Debug, Default)]
pub struct Person {
    cookies: Vec<(String, String, String)>,
}

impl Person {
    /// Goes to a page, with a form to post or without, and on to where it leads.
    ///
    /// # Panics
    /// If it leads nowhere.
    pub fn go(&mut self, url: &str, form: Option<&[(&str, &str)]>) -> Page {
        let (mut url, mut body) = (url.to_owned(), form.map(encode));
        for _ in 0..HOPS_MAX {
            let page = self.once(&url, body.take());
            let Some(next) = header(&page.head, "location") else { return page };
            let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if next.starts_with('/') { format!("{origin}{next}") } else { next };
        }
        panic!("too many redirects from {url}")
    }

    fn once(&mut self, url: &str, body: Option<String>) -> Page {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("no http address: {url}"));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = format!("/{path}");
        let mut socket = TcpStream::connect(authority).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let fits = |at: &str| path.split('?').next().unwrap().starts_with(at.trim_end_matches('/'));
        let cookies: Vec<String> = self.cookies.iter().filter(|c| fits(&c.0)).map(|c| format!("{}={}", c.1, c.2)).collect();
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.unwrap_or_default();
        let length = body.len();
        let kind = "application/x-www-form-urlencoded";
        write!(
            socket,
            "{method} {path} HTTP/1.0\r\nhost: {authority}\r\ncookie: {}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}",
            cookies.join("; ")
        )
        .unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        self.keep(head);
        Page { url: url.to_owned(), code, head: head.to_owned(), body: body.to_owned() }
    }

    fn keep(&mut self, head: &str) {
        for line in head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie:")) {
            let mut parts = line["set-cookie:".len()..].split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let path = parts.find_map(|part| part.strip_prefix("path=").map(str::to_owned)).unwrap_or_else(|| "/".to_owned());
            self.cookies.retain(|cookie| (cookie.0.as_str(), cookie.1.as_str()) != (path.as_str(), name));
            if !value.is_empty() {
                self.cookies.push((path, name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Enters a device's code, says that it is the right one, and logs in.
    ///
    /// # Panics
    /// If the issuer does not take the code or the password.
    pub fn approve(&mut self, page: &str, code: &str, name: &str) {
        let form = self.go(page, None);
        let asked = self.go(&form.url, Some(&[("xsrf", &hidden(&form.body, "xsrf")), ("user_code", code)]));
        let xsrf = hidden(&asked.body, "xsrf");
        let login = self.go(&form.url, Some(&[("xsrf", &xsrf), ("user_code", code), ("confirm", "yes")]));
        let done = self.log_in(&login, name);
        assert_eq!(done.code, 200, "{done:?}");
    }

    /// Fills the login form in.
    pub fn log_in(&mut self, form: &Page, name: &str) -> Page {
        assert!(form.url.contains("/login/"), "{form:?}");
        self.go(&form.url, Some(&[("name", name), ("password", &format!("{name}-pw"))]))
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name} in {page}"));
    let (_, behind) = page[at..].split_once("value=\"").unwrap();
    behind.split('"').next().unwrap().to_owned()
}

fn encode(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let pairs: Vec<String> = form.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    pairs.join("&")
}
