//! A login in the browser of this machine (RFC 8252), which comes back to a port that is open for it alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use openidconnect::core::CoreResponseType;
use openidconnect::url::{Url, form_urlencoded};
use openidconnect::{AuthenticationFlow, AuthorizationCode, CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::issuer::{Issuer, refused};
use super::{Fault, PERSON_TIME_MAX, Tokens};
use crate::admin;

/// Longest of an issuer's own words that are repeated, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// A port that a browser comes back to.
#[derive(Debug)]
struct Landing {
    /// One, or one for each kind of address that the host's name stands for.
    listeners: Vec<TcpListener>,
    redirect: Url,
}

impl Landing {
    async fn open(redirect: &str) -> Result<Self, Fault> {
        let wrong = || Fault::Setting(format!("`{redirect}` is no http address of this machine to come back to"));
        let mut url = Url::parse(redirect).map_err(|_| wrong())?;
        if !crate::idp::is_loopback_http(redirect) || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        let fault = |error| Fault::Redirect { address: redirect.to_owned(), error };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let first: IpAddr = host.parse().unwrap_or(v4);
        let listener = TcpListener::bind(SocketAddr::new(first, url.port().unwrap_or(0))).await.map_err(fault)?;
        let port = listener.local_addr().map_err(fault)?.port();
        let mut listeners = vec![listener];
        if host == "localhost" {
            // A browser may try either: nobody else may have the other.
            match TcpListener::bind(SocketAddr::new(v6, port)).await {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(fault(error)),
                // There is no IPv6 here.
                Err(_) => {}
            }
        }
        url.set_port(Some(port)).map_err(|()| wrong())?;
        Ok(Self { listeners, redirect: url })
    }
}

/// What the one answer that is waited for looks like.
#[derive(Clone)]
struct Awaited {
    path: String,
    state: CsrfToken,
    issuer: String,
    /// The issuer always says who it is (RFC 9207).
    signs: bool,
    came: mpsc::Sender<Result<AuthorizationCode, Fault>>,
}

impl Issuer {
    /// Has a person log in in a browser; `open` is given the address to open.
    ///
    /// # Errors
    /// If the person says no or takes too long, or the answer is not the issuer's.
    pub async fn by_browser(&self, open: impl FnOnce(&str)) -> Result<Tokens, Fault> {
        let landing = Landing::open(&self.party.redirect).await?;
        let redirect = RedirectUrl::from_url(landing.redirect.clone());
        let client = self.client.clone().set_redirect_uri(redirect);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let asked = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        let (url, state, nonce) = asked.add_scopes(self.scopes()).set_pkce_challenge(challenge).url();
        let (came, coming) = mpsc::channel(1);
        let signs = self.more.signs();
        let awaited = Awaited { path: landing.redirect.path().to_owned(), state, issuer: self.party.url.clone(), signs, came };
        let serving = serve(landing.listeners, awaited, coming);
        open(url.as_str());
        let code = serving.await?;
        let asked = client.exchange_code(code).map_err(|_| Fault::NoWay("tokens"))?;
        let asked = asked.set_pkce_verifier(PkceCodeVerifier::new(verifier.into_secret()));
        let answer = asked.request_async(&self.http).await.map_err(refused)?;
        self.tokens(&answer, Some(&nonce), None)
    }
}

/// Waits for the answer; whoever else comes by is sent away.
async fn serve(
    listeners: Vec<TcpListener>,
    awaited: Awaited,
    mut coming: mpsc::Receiver<Result<AuthorizationCode, Fault>>,
) -> Result<AuthorizationCode, Fault> {
    let routes = Router::new().fallback(get(land)).with_state(awaited);
    let (ending, ended) = watch::channel(false);
    let serve = |listener| {
        let (routes, mut ended) = (routes.clone(), ended.clone());
        tokio::spawn(admin::serve(listener, routes, async move {
            let _ = ended.wait_for(|ended| *ended).await;
        }))
    };
    let tasks: Vec<_> = listeners.into_iter().map(serve).collect();
    let came = tokio::time::timeout(PERSON_TIME_MAX, coming.recv()).await;
    let _ = ending.send(true);
    for task in tasks {
        let _ = task.await;
    }
    came.map_err(|_| Fault::TimedOut)?.unwrap_or(Err(Fault::TimedOut))
}

async fn land(State(awaited): State<Awaited>, uri: Uri, RawQuery(query): RawQuery) -> Response {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    if uri.path() != awaited.path {
        return page(404, "Nothing is here.");
    }
    match awaited.judge(&pairs) {
        // Anybody can send that: the login goes on waiting.
        None => page(400, "This is not the login that is waited for."),
        Some(judged) => {
            let text = match &judged {
                Ok(_) => "You can close this window: pgveil goes on in your terminal.",
                Err(_) => "Nobody was logged in: your terminal says why.",
            };
            // The first one counts.
            let _ = awaited.came.try_send(judged);
            page(200, text)
        }
    }
}

impl Awaited {
    /// What an answer means; `None` if it is not one to our question.
    fn judge(&self, pairs: &[(String, String)]) -> Option<Result<AuthorizationCode, Fault>> {
        let one = |name: &str| {
            let mut found = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let first = found.next();
            if found.next().is_some() { None } else { first }
        };
        let state = one("state")?;
        if aws_lc_rs::constant_time::verify_slices_are_equal(state.as_bytes(), self.state.secret().as_bytes()).is_err() {
            return None;
        }
        let mut issuers = pairs.iter().filter(|(key, _)| key == "iss").map(|(_, value)| value).peekable();
        if (self.signs && issuers.peek().is_none()) || issuers.any(|issuer| *issuer != self.issuer) {
            return Some(Err(Fault::Mixed(self.issuer.clone())));
        }
        match (one("code"), one("error")) {
            (Some(code), None) if !code.is_empty() => Some(Ok(AuthorizationCode::new(code.to_owned()))),
            (_, Some(error)) => {
                let words = match one("error_description") {
                    Some(description) => format!("{error} ({description})"),
                    None => error.to_owned(),
                };
                Some(Err(Fault::Denied(words.chars().take(WORDS_CHARS_MAX).collect())))
            }
            _ => Some(Err(Fault::Answer("the browser brought no code"))),
        }
    }
}

/// A page that shows nothing of the address it is at, and leaves it nowhere.
fn page(status: u16, text: &str) -> Response {
    let status = axum::http::StatusCode::from_u16(status).unwrap_or(axum::http::StatusCode::OK);
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let body = format!("<!doctype html><meta charset=\"utf-8\"><title>pgveil</title><p>{text}</p>\n");
    (status, headers, Html(body)).into_response()
}

/// A page that leads on: browsers are given its file, since the address itself would be seen by every user in the list of processes.
#[must_use]
pub fn leading_to(url: &str) -> String {
    let url = url.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>pgveil</title><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><p><a href=\"{url}\">Log in</a></p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(signs: bool) -> (Awaited, mpsc::Receiver<Result<AuthorizationCode, Fault>>) {
        let (came, coming) = mpsc::channel(1);
        let state = CsrfToken::new("s-1".to_owned());
        (Awaited { path: "/callback".into(), state, issuer: "https://id.example".into(), signs, came }, coming)
    }

    fn judged(signs: bool, query: &str) -> String {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        match awaited(signs).0.judge(&pairs) {
            None => "not ours".to_owned(),
            Some(Ok(code)) => format!("code {}", code.secret()),
            Some(Err(fault)) => fault.to_string(),
        }
    }

    #[test]
    fn only_the_issuers_answer_to_this_question_counts() {
        for query in ["", "code=c", "code=c&state=", "code=c&state=s-2", "state=s-1&state=s-1&code=c", "code=c&State=s-1"] {
            assert_eq!(judged(false, query), "not ours", "{query}");
        }
        assert_eq!(judged(false, "code=c&state=s-1"), "code c");
        assert_eq!(judged(true, "code=c&state=s-1&iss=https%3A%2F%2Fid.example"), "code c");
        for (signs, query) in [
            (true, "code=c&state=s-1"),
            (false, "code=c&state=s-1&iss=https%3A%2F%2Fother.example"),
            (true, "code=c&state=s-1&iss=https%3A%2F%2Fid.example&iss=https%3A%2F%2Fother.example"),
            (true, "error=access_denied&state=s-1&iss=https%3A%2F%2Fother.example"),
        ] {
            assert!(judged(signs, query).contains("not from `https://id.example`"), "{query}");
        }
        assert!(judged(false, "error=access_denied&error_description=no&state=s-1").contains("access_denied (no)"));
        for query in ["state=s-1", "state=s-1&code=", "state=s-1&code=a&code=b"] {
            assert!(judged(false, query).contains("no code"), "{query}");
        }
        assert!(judged(false, "state=s-1&code=c&error=e").contains("refuses"));
    }

    #[tokio::test]
    async fn a_browser_comes_back_to_this_machine_only() {
        for wrong in [
            "http://10.0.0.1/callback",
            "https://127.0.0.1/callback",
            "http://127.0.0.1/callback?x=1",
            "http://localhost.example/",
            "callback",
        ] {
            assert!(Landing::open(wrong).await.is_err(), "{wrong}");
        }
        let landing = Landing::open("http://127.0.0.1/callback").await.unwrap();
        let port = landing.listeners[0].local_addr().unwrap().port();
        assert_eq!(landing.redirect.as_str(), format!("http://127.0.0.1:{port}/callback"));
        assert!(landing.listeners.iter().all(|one| one.local_addr().unwrap().ip().is_loopback()));
        assert!(!Landing::open("http://localhost").await.unwrap().listeners.is_empty());
    }

    #[test]
    fn a_page_leads_to_its_address_and_runs_nothing() {
        let page = leading_to("https://id.example/auth?a=b&c=\"><script>");
        assert!(page.contains("a=b&amp;c=&quot;&gt;&lt;script&gt;") && !page.contains("<script>"), "{page}");
    }
}
