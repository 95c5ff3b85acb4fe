//! The routes of a caller's own second factor, and of a step-up.

use axum::extract::FromRef;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use gatepost::second_factors::{NewTotp, SecondFactor};
use gatepost::sessions::Reauthentication;
use gatepost::{Password, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Enrolment, Typed, answer, exposed, not_one, route};
use crate::auth::Auth;
use crate::rejection::Rejection;
use crate::signed_in::SignedIn;

/// `POST /prove`.
pub fn prove<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/prove", post(do_prove))
}

/// `GET /second-factor`, and `POST /second-factor/…` with `enrol`, `replace`, `confirm`, `remove`
/// and `recovery-codes`.
pub fn second_factor<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/second-factor", get(read))
        .merge(route("/second-factor/enrol", post(enrol)))
        .merge(route("/second-factor/replace", post(replace)))
        .merge(route("/second-factor/confirm", post(confirm)))
        .merge(route("/second-factor/remove", post(remove)))
        .merge(route("/second-factor/recovery-codes", post(reissue)))
}

#[derive(Deserialize)]
struct Proof {
    password: Option<Password>,
    code: Option<Typed>,
}

async fn do_prove(
    me: SignedIn,
    body: Result<Json<Proof>, JsonRejection>,
) -> Result<Response, Rejection> {
    let with = match body?.0 {
        Proof { password: Some(password), code: None } => Reauthentication::password(password),
        Proof { password: None, code: Some(code) } => Reauthentication::code(code),
        _ => return Err(not_one("The body has to have either a password or a code.")),
    };
    Ok(answer(me.prove(with).await?))
}

#[derive(Serialize)]
struct Factor {
    since: Timestamp,
    recovery_codes_left: u64,
}

#[derive(Serialize)]
struct Found {
    second_factor: Option<Factor>,
}

async fn read(me: SignedIn) -> Result<Json<Found>, Rejection> {
    let user = me.principal.user;
    let found = me.blocking(move |store| store.second_factors().info(user)).await?;
    let shown =
        |SecondFactor { since, recovery_codes_left, .. }| Factor { since, recovery_codes_left };
    Ok(Json(Found { second_factor: found.map(shown) }))
}

async fn enrol(me: SignedIn) -> Result<Json<Enrolment>, Rejection> {
    Ok(Json(me.enrol_second_factor(NewTotp::new()).await?.into()))
}

/// What a change of the factor takes.
#[derive(Deserialize)]
struct Both {
    password: Password,
    code: Typed,
}

async fn replace(
    me: SignedIn,
    body: Result<Json<Both>, JsonRejection>,
) -> Result<Json<Enrolment>, Rejection> {
    let Json(Both { password, code }) = body?;
    Ok(Json(me.replace_second_factor(password, code.into(), NewTotp::new()).await?.into()))
}

#[derive(Deserialize)]
struct Confirmation {
    codes: [Typed; 2],
}

/// New recovery codes.
#[derive(Serialize)]
struct Codes {
    recovery_codes: Vec<String>,
}

async fn confirm(
    me: SignedIn,
    body: Result<Json<Confirmation>, JsonRejection>,
) -> Result<Json<Codes>, Rejection> {
    let Json(Confirmation { codes: [first, second] }) = body?;
    let set = me.confirm_second_factor(first.into(), second.into()).await?;
    Ok(Json(Codes { recovery_codes: exposed(&set) }))
}

async fn remove(
    me: SignedIn,
    body: Result<Json<Both>, JsonRejection>,
) -> Result<StatusCode, Rejection> {
    let Json(Both { password, code }) = body?;
    me.remove_second_factor(password, code.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reissue(
    me: SignedIn,
    body: Result<Json<Both>, JsonRejection>,
) -> Result<Json<Codes>, Rejection> {
    let Json(Both { password, code }) = body?;
    let set = me.reissue_recovery_codes(password, code.into()).await?;
    Ok(Json(Codes { recovery_codes: exposed(&set) }))
}
