//! Who is in, and the end of it: sessions that are open, access that is withdrawn.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::api::{Admin, Refusal};
use crate::approval::Person;
use crate::identity::Target;
use crate::ledger::Revoked;
use crate::session::Access;

/// Keeps what is withdrawn, and puts it into the log. Runs where it may wait.
pub trait Keep: Send + Sync + 'static {
    /// Keeps the list as it now is, and what happened to it.
    ///
    /// # Errors
    /// A sentence for who asked: nothing that was kept earlier is lost.
    fn keep<'a>(&'a self, access: &'a Access, event: Revoked) -> super::Kept<'a>;
}

/// What the API may do to sessions, and who may ask for it.
#[derive(Clone)]
pub struct Power {
    /// The sessions.
    pub access: Access,
    /// Whose members may do it.
    pub operators: Vec<String>,
    /// Where it is kept.
    pub keep: std::sync::Arc<dyn Keep>,
}

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/sessions", get(sessions))
        .route("/sessions/{id}/end", post(end))
        .route("/revocations", get(list).post(revoke))
        .route("/revocations/lift", post(lift))
}

/// Whose access: one of the three.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Whose {
    Identity(String),
    Credential(String),
    Issuer(String),
}

impl From<Whose> for Target {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Identity(name) | Whose::Credential(name) => Self::Identity(name),
            Whose::Issuer(name) => Self::Issuer(name),
        }
    }
}

impl Admin {
    /// A person who may end sessions.
    async fn operator(&self, headers: &HeaderMap) -> Result<(Person, &Power), Refusal> {
        let person = self.person(headers).await?;
        let power = self.power.as_ref().filter(|power| person.groups.iter().any(|group| power.operators.contains(group)));
        let refused = || Refusal(StatusCode::FORBIDDEN, "only members of `operators` in `[admin]` may do this".to_owned());
        power.map(|power| (person, power)).ok_or_else(refused)
    }

    async fn change(
        &self,
        headers: &HeaderMap,
        body: Result<Json<Whose>, JsonRejection>,
        lifted: bool,
    ) -> Result<Response, Refusal> {
        let (person, power) = self.operator(headers).await?;
        let Json(whose) = body.map_err(|why| Refusal(why.status(), why.body_text()))?;
        let target = Target::from(whose);
        if target.name().is_empty() || target.name().chars().any(char::is_control) || target.name().len() > 1_024 {
            return Err(Refusal(StatusCode::BAD_REQUEST, "that is no name".to_owned()));
        }
        let ended = if lifted {
            if !power.access.lift(&target) {
                return Err(Refusal(StatusCode::NOT_FOUND, "it is not withdrawn".to_owned()));
            }
            0
        } else {
            let full = || Refusal(StatusCode::INSUFFICIENT_STORAGE, "too much is withdrawn already: lift some".to_owned());
            power.access.revoke(&target, &person.name).ok_or_else(full)?
        };
        let event = Revoked { what: target.what().into(), name: target.name().to_owned(), lifted, by: person.name };
        let kept = power.keep.keep(&power.access, event).await;
        kept.map_err(|why| Refusal(StatusCode::INTERNAL_SERVER_ERROR, why))?;
        Ok(Json(json!({ "what": target.what(), "name": target.name(), "lifted": lifted, "ended": ended })).into_response())
    }
}

async fn sessions(State(admin): State<Admin>, headers: HeaderMap) -> Result<Response, Refusal> {
    let (_, power) = admin.operator(&headers).await?;
    Ok(Json(json!({ "sessions": power.access.open() })).into_response())
}

async fn end(State(admin): State<Admin>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let (person, power) = admin.operator(&headers).await?;
    let gone = || Refusal(StatusCode::NOT_FOUND, "no open session, or more than one, is called so".to_owned());
    let session = power.access.end(&id).ok_or_else(gone)?;
    let event = Revoked { what: "session".into(), name: session.id.clone(), lifted: false, by: person.name };
    let kept = power.keep.keep(&power.access, event).await;
    kept.map_err(|why| Refusal(StatusCode::INTERNAL_SERVER_ERROR, why))?;
    Ok(Json(json!({ "session": session.id, "identity": session.identity, "state": "ended" })).into_response())
}

async fn list(State(admin): State<Admin>, headers: HeaderMap) -> Result<Response, Refusal> {
    let (_, power) = admin.operator(&headers).await?;
    let revoked = power.access.revoked();
    let each = revoked.iter().map(
        |(target, entry)| json!({ "what": target.what(), "name": target.name(), "by": entry.by, "subjects": entry.subjects }),
    );
    Ok(Json(json!({ "revocations": each.collect::<Vec<_>>() })).into_response())
}

async fn revoke(
    State(admin): State<Admin>,
    headers: HeaderMap,
    body: Result<Json<Whose>, JsonRejection>,
) -> Result<Response, Refusal> {
    admin.change(&headers, body, false).await
}

async fn lift(
    State(admin): State<Admin>,
    headers: HeaderMap,
    body: Result<Json<Whose>, JsonRejection>,
) -> Result<Response, Refusal> {
    admin.change(&headers, body, true).await
}
