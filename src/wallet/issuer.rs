//! The issuer, as a person's program meets it.

use std::time::Duration;

use jiff::Timestamp;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreDeviceAuthorizationResponse,
    CoreErrorResponseType, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType, CoreTokenResponse,
};
use openidconnect::url::form_urlencoded;
use openidconnect::{
    AdditionalProviderMetadata, ClientId, ClientSecret, DeviceAuthorizationUrl, DeviceCodeErrorResponseType, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, ErrorResponse, HttpRequest, IssuerUrl, Nonce, OAuth2TokenResponse,
    ProviderMetadata, RefreshToken, RequestTokenError, RevocationUrl, Scope, StandardErrorResponse, TokenResponse, http,
};
use serde::{Deserialize, Serialize};

use super::{Fault, PERSON_TIME_MAX, Party, Tokens, folder};
use crate::identity::is_token;
use crate::idp::{Http, HttpFault, is_loopback_http};
use crate::secret::Secret;

/// Longest of an issuer's own words that are repeated, in characters.
const WORDS_CHARS_MAX: usize = 200;
/// Between two questions whether a person has logged in at least.
const POLL_MIN: Duration = Duration::from_secs(1);
/// What lets a program renew a login; issuers that know it want to be asked.
const OFFLINE: &str = "offline_access";

/// What the discovery document says beside OpenID Connect's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct More {
    device_authorization_endpoint: Option<DeviceAuthorizationUrl>,
    revocation_endpoint: Option<RevocationUrl>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

impl More {
    /// Whether the issuer says who it is in what it sends by the browser (RFC 9207).
    pub(super) fn signs(&self) -> bool {
        self.authorization_response_iss_parameter_supported
    }
}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What a person does on any device to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The page to open.
    pub page: String,
    /// What to enter there.
    pub code: String,
    /// The page with the code in it, if there is one.
    pub whole: Option<String>,
}

/// An issuer that has said what it offers.
#[derive(Debug)]
pub struct Issuer {
    pub(super) party: Party,
    pub(super) http: Http,
    pub(super) client: Client,
    pub(super) more: More,
    scopes: Vec<Scope>,
}

impl Issuer {
    /// Asks it.
    ///
    /// # Errors
    /// If it does not answer, is another one, or would have us send tokens in clear.
    pub async fn discover(party: &Party) -> Result<Self, Fault> {
        let roots = match &party.roots {
            Some(path) => Some(folder::read(path)?.ok_or_else(|| Fault::file(path, std::io::ErrorKind::NotFound.into()))?),
            None => None,
        };
        if !is_private(&party.url, &party.url) {
            return Err(Fault::Insecure("the issuer"));
        }
        let http = Http::new(roots.as_deref(), is_loopback_http(&party.url));
        let http = http.map_err(|fault| Fault::Http { what: "TLS", fault })?;
        let url = IssuerUrl::new(party.url.clone()).map_err(|_| Fault::Setting("the issuer is no address".to_owned()))?;
        let metadata = Metadata::discover_async(url, &http).await.map_err(undiscovered)?;
        check(&metadata, &party.url)?;
        let secret = secret(party)?;
        let known = metadata.scopes_supported().is_some_and(|known| known.iter().any(|scope| scope.as_str() == OFFLINE));
        let more = metadata.additional_metadata().clone();
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(party.client_id.clone()), secret);
        let mut scopes: Vec<Scope> = party.scope.split_ascii_whitespace().map(|scope| Scope::new(scope.to_owned())).collect();
        if known && !scopes.iter().any(|scope| scope.as_str() == OFFLINE) {
            scopes.push(Scope::new(OFFLINE.to_owned()));
        }
        // The library asks for this one by itself.
        scopes.retain(|scope| scope.as_str() != "openid");
        Ok(Self { party: party.clone(), http, client, more, scopes })
    }

    /// What is asked for, beside `openid`.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        self.scopes.clone()
    }

    /// True if a person can log in without a browser on this machine.
    #[must_use]
    pub fn has_devices(&self) -> bool {
        self.more.device_authorization_endpoint.is_some()
    }

    /// Shows a person what to do on any device, and waits until it is done.
    ///
    /// # Errors
    /// If the issuer has no such way, the person says no, or takes too long.
    pub async fn by_device(&self, show: impl FnOnce(&Device)) -> Result<Tokens, Fault> {
        let url = self.more.device_authorization_endpoint.clone().ok_or(Fault::NoWay("device login"))?;
        let client = self.client.clone().set_device_authorization_url(url);
        let details: CoreDeviceAuthorizationResponse =
            client.exchange_device_code().add_scopes(self.scopes()).request_async(&self.http).await.map_err(refused)?;
        let page = details.verification_uri().to_string();
        let whole = details.verification_uri_complete().map(|whole| whole.secret().clone());
        if !is_private(&page, &self.party.url) || whole.as_ref().is_some_and(|whole| !is_private(whole, &self.party.url)) {
            return Err(Fault::Insecure("the page to log in at"));
        }
        show(&Device { page, code: details.user_code().secret().clone(), whole });
        let asking = client.exchange_device_access_token(&details).map_err(|_| Fault::NoWay("tokens"))?;
        let pause = |interval: Duration| tokio::time::sleep(interval.max(POLL_MIN));
        let asking = asking.request_async(&self.http, pause, Some(PERSON_TIME_MAX));
        let answer = tokio::time::timeout(PERSON_TIME_MAX, asking).await.map_err(|_| Fault::TimedOut)?;
        let answer = answer.map_err(|error| match &error {
            RequestTokenError::ServerResponse(told) if *told.error() == DeviceCodeErrorResponseType::ExpiredToken => {
                Fault::TimedOut
            }
            _ => refused(error),
        })?;
        self.tokens(&answer, None, None)
    }

    /// A machine's login, by its own secret.
    ///
    /// # Errors
    /// If the issuer says no.
    pub async fn by_secret(&self) -> Result<Tokens, Fault> {
        let asked = self.client.exchange_client_credentials().map_err(|_| Fault::NoWay("tokens"))?;
        let scopes = self.scopes.iter().filter(|scope| scope.as_str() != OFFLINE).cloned();
        let answer = asked.add_scopes(scopes).request_async(&self.http).await.map_err(refused)?;
        self.tokens(&answer, None, None)
    }

    /// The next tokens. `None` if the login is over.
    ///
    /// # Errors
    /// If the issuer cannot be had just now, or its answer is none.
    pub async fn renew(&self, refresh: &Secret) -> Result<Option<Tokens>, Fault> {
        let token = RefreshToken::new(String::from_utf8_lossy(refresh.reveal()).into_owned());
        let asked = self.client.exchange_refresh_token(&token).map_err(|_| Fault::NoWay("tokens"))?;
        match asked.request_async(&self.http).await {
            Ok(answer) => self.tokens(&answer, None, Some(refresh)).map(Some),
            Err(RequestTokenError::ServerResponse(told)) if is_final(told.error()) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// Takes back what a login has (RFC 7009): the refresh token, else the token itself. False if the issuer has no way to.
    ///
    /// # Errors
    /// If it does not do it.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<bool, Fault> {
        let Some(url) = &self.more.revocation_endpoint else { return Ok(false) };
        let (token, hint) = match &tokens.refresh {
            Some(refresh) => (refresh, "refresh_token"),
            None => (&tokens.bearer, "access_token"),
        };
        let token = String::from_utf8_lossy(token.reveal());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &token).append_pair("token_type_hint", hint).append_pair("client_id", &self.party.client_id);
        if let Some(secret) = secret(&self.party)? {
            form.append_pair("client_secret", secret.secret());
        }
        let request = HttpRequest::new(form.finish().into_bytes());
        let (mut parts, body) = request.into_parts();
        parts.method = http::Method::POST;
        parts.uri = url.as_str().parse().map_err(|_| Fault::Answer("the address to take tokens back at"))?;
        let kind = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        parts.headers.insert(http::header::CONTENT_TYPE, kind);
        let answer = self.http.exchange(HttpRequest::from_parts(parts, body)).await;
        let answer = answer.map_err(|fault| Fault::Http { what: "the end of the login", fault })?;
        if answer.status().is_success() { Ok(true) } else { Err(Fault::Denied(format!("status {}", answer.status().as_u16()))) }
    }

    /// Takes an answer: an ID token in it must be this issuer's, for this client and, from a browser, for this very login.
    pub(super) fn tokens(
        &self,
        answer: &CoreTokenResponse,
        nonce: Option<&Nonce>,
        earlier: Option<&Secret>,
    ) -> Result<Tokens, Fault> {
        let id_token = answer.id_token();
        if let Some(id_token) = id_token {
            let fits = |said: Option<&Nonce>| match nonce {
                Some(own) if said.is_none_or(|said| said.secret() != own.secret()) => Err("another login's".to_owned()),
                _ => Ok(()),
            };
            let checked = id_token.claims(&self.client.id_token_verifier(), fits);
            checked.map_err(|_| Fault::Answer("its ID token is not for this login"))?;
        }
        let access = answer.access_token().secret();
        let bearer = match id_token.map(ToString::to_string) {
            Some(id_token) if self.party.id_token || !is_token(access.as_bytes()) => id_token,
            None if self.party.id_token => return Err(Fault::Answer("it gives no ID token")),
            _ => access.clone(),
        };
        let refresh = answer.refresh_token().map(|token| token.secret().clone());
        let earlier = || earlier.map(|token| String::from_utf8_lossy(token.reveal()).into_owned());
        let lifetime = answer.expires_in().filter(|_| bearer == *access);
        Tokens::new(&bearer, refresh.or_else(earlier).as_deref(), lifetime, Timestamp::now())
    }
}

/// True for an address that nobody on the way can read. Plain HTTP is for an issuer on this machine.
fn is_private(url: &str, issuer: &str) -> bool {
    url.starts_with("https://") || (is_loopback_http(issuer) && is_loopback_http(url))
}

fn check(metadata: &Metadata, issuer: &str) -> Result<(), Fault> {
    let more = metadata.additional_metadata();
    let urls = [
        Some(metadata.authorization_endpoint().as_str()),
        metadata.token_endpoint().map(|url| url.as_str()),
        more.device_authorization_endpoint.as_ref().map(|url| url.as_str()),
        more.revocation_endpoint.as_ref().map(|url| url.as_str()),
    ];
    let private = urls.into_iter().flatten().all(|url| is_private(url, issuer));
    if private { Ok(()) } else { Err(Fault::Insecure("an address of the issuer")) }
}

fn secret(party: &Party) -> Result<Option<ClientSecret>, Fault> {
    let Some(path) = &party.secret_file else { return Ok(None) };
    let bytes = folder::read(path)?.ok_or_else(|| Fault::file(path, std::io::ErrorKind::NotFound.into()))?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::Unreadable(path.clone()))?;
    Ok(Some(ClientSecret::new(text.trim_end().to_owned())))
}

fn undiscovered(error: DiscoveryError<HttpFault>) -> Fault {
    match error {
        DiscoveryError::Request(fault) => Fault::Http { what: "the discovery document", fault },
        DiscoveryError::Response(status, ..) => {
            Fault::Http { what: "the discovery document", fault: HttpFault::Status(status.as_u16()) }
        }
        DiscoveryError::Validation(_) => Fault::Answer("it calls itself otherwise in its discovery document"),
        _ => Fault::Answer("its discovery document is not of the form that OpenID Connect describes"),
    }
}

/// True if asking again will not help: the grant is gone.
fn is_final(error: &CoreErrorResponseType) -> bool {
    matches!(
        error,
        CoreErrorResponseType::InvalidGrant | CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient
    )
}

/// What an issuer says instead of tokens. What it says in a form that is not understood may hold tokens, and is not repeated.
pub(super) fn refused<E>(error: RequestTokenError<HttpFault, E>) -> Fault
where
    E: ErrorResponse + Words + 'static,
{
    match error {
        RequestTokenError::ServerResponse(told) => Fault::Denied(told.words().chars().take(WORDS_CHARS_MAX).collect()),
        RequestTokenError::Request(fault) => Fault::Http { what: "tokens", fault },
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Fault::Answer("it gives no tokens that can be read"),
    }
}

/// An error's name and the issuer's sentence.
pub(super) trait Words {
    fn words(&self) -> String;
}

impl<T: openidconnect::ErrorResponseType + std::fmt::Display + 'static> Words for StandardErrorResponse<T> {
    fn words(&self) -> String {
        match self.error_description() {
            Some(description) => format!("{} ({description})", self.error()),
            None => self.error().to_string(),
        }
    }
}
