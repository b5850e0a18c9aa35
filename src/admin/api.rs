//! The requests and their answers.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::BODY_BYTES_MAX;
use super::access::Power;
use super::login::{Authenticate, Login};
use crate::approval::{AnswerFault, Desk, Person};

/// What the API speaks of.
#[derive(Clone)]
pub struct Admin {
    desk: Desk,
    login: Arc<Login>,
    pub(super) power: Option<Power>,
}

impl Admin {
    /// An API over this desk, for the people that `check` knows.
    #[must_use]
    pub fn new(desk: Desk, check: Arc<dyn Authenticate>) -> Self {
        Self { desk, login: Arc::new(Login::new(check)), power: None }
    }

    /// The same, with power over sessions.
    #[must_use]
    pub fn with_power(self, power: Power) -> Self {
        Self { power: Some(power), ..self }
    }
}

/// The routes, described in `docs/configuration.md`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/holds", get(list))
        .route("/holds/{id}", get(show))
        .route("/holds/{id}/approve", post(approve))
        .route("/holds/{id}/deny", post(deny))
        .merge(super::access::routes())
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "no such path".to_owned()))
        .method_not_allowed_fallback(async || Refusal(StatusCode::METHOD_NOT_ALLOWED, "not for this method".to_owned()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(admin)
}

/// A request that is not done, and why.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(json!({ "error": self.1 }))).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            let ask = HeaderValue::from_static("Basic realm=\"pgveil\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}

/// The body of an answer.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    #[serde(default)]
    reason: String,
}

async fn list(State(admin): State<Admin>, headers: HeaderMap) -> Result<Response, Refusal> {
    let person = admin.person(&headers).await?;
    Ok(Json(json!({ "holds": admin.desk.list(&person) })).into_response())
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let person = admin.person(&headers).await?;
    let detail = admin.desk.show(&id, &person).ok_or_else(|| Refusal::from(AnswerFault::NotWaiting))?;
    Ok(Json(detail).into_response())
}

async fn approve(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<AnswerBody>, JsonRejection>,
) -> Result<Response, Refusal> {
    admin.answer(&id, &headers, true, body).await
}

async fn deny(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<AnswerBody>, JsonRejection>,
) -> Result<Response, Refusal> {
    admin.answer(&id, &headers, false, body).await
}

impl Admin {
    pub(super) async fn person(&self, headers: &HeaderMap) -> Result<Person, Refusal> {
        self.login.person(headers).await.map_err(|(status, why)| Refusal(status, why.to_owned()))
    }

    async fn answer(
        &self,
        id: &str,
        headers: &HeaderMap,
        yes: bool,
        body: Result<Json<AnswerBody>, JsonRejection>,
    ) -> Result<Response, Refusal> {
        let person = self.person(headers).await?;
        let Json(body) = body.map_err(|why| Refusal(why.status(), why.body_text()))?;
        Ok(Json(self.desk.answer(id, &person, yes, &body.reason)?).into_response())
    }
}

impl From<AnswerFault> for Refusal {
    fn from(fault: AnswerFault) -> Self {
        let status = match fault {
            AnswerFault::NotWaiting => StatusCode::NOT_FOUND,
            AnswerFault::Own | AnswerFault::NotApprover => StatusCode::FORBIDDEN,
            AnswerFault::Twice => StatusCode::CONFLICT,
            AnswerFault::Expired => StatusCode::GONE,
        };
        Self(status, fault.to_string())
    }
}
