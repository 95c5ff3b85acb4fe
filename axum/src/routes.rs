//! Ready routes: JSON in, JSON out.
//!
//! - `POST /login` takes `username`, `password`, and perhaps `new_password`, `code` or
//!   `recovery_code`, and `trust_device_days`. It answers 200 with `principal` and `profile`, and
//!   sets both cookies. A login that waits for a second factor is answered with 202 and
//!   `pending`: `step`, `demand` (`code` or `enrolment`), `expires_at` and
//!   `new_password_required`.
//! - `POST /login/complete` takes the `step`, one of `code`, `recovery_code` and `enrolment_codes`
//!   (two), and perhaps `new_password` and `trust_device_days`. It answers as `/login`, after an
//!   enrolment with `recovery_codes`.
//! - `POST /login/enrol` takes the `step` of a login that waits for an enrolment, and answers 200
//!   with the secret for an authenticator: `base32`, `uri` and `expires_at`.
//! - `POST /logout` answers 204 and removes the cookie of the session; 400
//!   (`ambiguous_credential`) to two headers `Authorization`, of which none is logged out.
//! - `GET /me` answers 200 with `principal` and `profile`.
//! - `GET /sessions` answers 200 with the caller's own sessions, each with `current`.
//! - `DELETE /sessions/{id}` answers 204: that session of the caller has ended. The answer is the
//!   same for the session of another user, which goes on.
//! - `POST /sessions/revoke-others` answers 204: the caller's other sessions have ended.
//! - `POST /change-password` takes `current_password` and `new_password`, and answers as `/login`.
//!   With `"revoke_api_keys": true` it also revokes the API keys of the user.
//! - `POST /prove` takes `password` or `code`, and answers as `/login`: the session has a new token
//!   and counts as freshly authenticated ([`Fresh`](crate::Fresh)).
//! - `GET /second-factor` answers 200 with `second_factor`, which is `null` or has `since` and
//!   `recovery_codes_left`.
//! - `POST /second-factor/enrol` answers 200 with the secret for an authenticator: `base32`, `uri`
//!   and `expires_at`; 403 (`step_up_required`) if the last proof is older than 15 minutes.
//! - `POST /second-factor/replace` takes `password` and `code`, and answers as `enrol`.
//! - `POST /second-factor/confirm` takes `codes` (two, one after the other), and answers 200 with
//!   `recovery_codes`.
//! - `POST /second-factor/remove` takes `password` and `code`, and answers 204.
//! - `POST /second-factor/recovery-codes` takes `password` and `code`, and answers as `confirm`.
//!
//! The routes of one-time tokens ([`one_time_tokens()`]), for callers who are not signed in, need a
//! queue for mail and are not among [`all`]:
//!
//! - `POST /request-password-reset` takes `username`, which may be an e-mail address. It answers
//!   202, whether or not there is such a user, and gives the mail to the program.
//! - `POST /reset-password` takes `token`, `new_password`, and perhaps `revoke_api_keys`.
//! - `POST /confirm-email` takes `token`.
//! - `POST /accept-invitation` takes `token` and `new_password`.
//! - `POST /first-administrator` takes `token`, `username` and `password`.
//!
//! The last four answer 204 and open no session: the user logs in. A token that is not valid is
//! 422 (`invalid_one_time_token`), and not 401, because it is no credential of the request: a
//! client that signs out on a 401 stays signed in. A password that breaks a rule is 422
//! (`password_rejected`), and leaves the token valid.
//!
//! A body with two of several alternatives, or without one where one is needed, is 422 (`invalid`)
//! and uses up nothing.
//!
//! Every failure is a [`Rejection`]. The token is in no body: a script of the page could read it
//! there. Every answer has `Cache-Control: no-store`. A body may have 64 KiB.
//!
//! Nest [`all`] under a path, or merge some of them. Each is a router for a state that has an
//! [`Auth`].
//!
//! ```
//! use axum::Router;
//! use gatepost_axum::{Auth, routes};
//!
//! let router: Router<Auth> = Router::new().nest("/auth", routes::login().merge(routes::logout()));
//! assert!(router.has_routes());
//! ```

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, FromRef, Path};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router, middleware};
use gatepost::second_factors::{NewTotp, RecoveryCodes, TotpEnrolment};
use gatepost::sessions::{SessionFilter, SessionInfo, StepDemand};
use gatepost::{
    CompleteLogin, Error, ErrorClass, LoginRequest, Password, Principal, Profile, SessionId,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::auth::Auth;
use crate::client::{BegunLogin, Client, LoggedIn};
use crate::rejection::Rejection;
use crate::signed_in::SignedIn;

mod mails;
mod one_time;
mod second_factor;

pub use one_time::{
    accept_invitation, confirm_email, first_administrator, one_time_tokens,
    request_password_reset, reset_password,
};
pub use second_factor::{prove, second_factor};

const BODY_MAX_BYTES: usize = 64 * 1_024;

/// All routes of a caller's own login, sessions, password and second factor.
pub fn all<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    login()
        .merge(logout())
        .merge(me())
        .merge(sessions())
        .merge(change_password())
        .merge(prove())
        .merge(second_factor())
}

/// `POST /login`, `POST /login/complete` and `POST /login/enrol`.
pub fn login<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/login", post(do_log_in))
        .merge(route("/login/complete", post(do_complete_login)))
        .merge(route("/login/enrol", post(do_enrol_at_login)))
}

/// `POST /logout`.
pub fn logout<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/logout", post(do_log_out))
}

/// `GET /me`.
pub fn me<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/me", get(read_me))
}

/// `GET /sessions`, `DELETE /sessions/{id}` and `POST /sessions/revoke-others`.
pub fn sessions<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/sessions", get(list_sessions))
        .merge(route("/sessions/{id}", delete(revoke_session)))
        .merge(route("/sessions/revoke-others", post(revoke_others)))
}

/// `POST /change-password`.
pub fn change_password<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    route("/change-password", post(do_change_password))
}

fn route<S: Clone + Send + Sync + 'static>(path: &str, of: MethodRouter<S>) -> Router<S> {
    let limit = DefaultBodyLimit::max(BODY_MAX_BYTES);
    Router::new().route(path, of).layer(middleware::map_response(no_store)).layer(limit)
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer of `/login`, `/me`, `/change-password` and `/prove`.
#[derive(Serialize)]
struct Me {
    principal: Principal,
    profile: Profile,
    /// Of a second factor that the login enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: Password,
    new_password: Option<Password>,
    code: Option<Typed>,
    recovery_code: Option<Typed>,
    trust_device_days: Option<u32>,
}

/// A code as it was typed.
type Typed = String;

/// The answer of a login that waits.
#[derive(Serialize)]
struct Waiting<'w> {
    pending: Step<'w>,
}

#[derive(Serialize)]
struct Step<'w> {
    step: &'w str,
    demand: StepDemand,
    expires_at: Timestamp,
    new_password_required: bool,
}

#[derive(Deserialize)]
struct Complete {
    step: String,
    code: Option<Typed>,
    recovery_code: Option<Typed>,
    enrolment_codes: Option<[Typed; 2]>,
    new_password: Option<Password>,
    trust_device_days: Option<u32>,
}

#[derive(Deserialize)]
struct Enrol {
    step: String,
}

#[derive(Serialize)]
struct Enrolment {
    base32: String,
    uri: String,
    expires_at: Timestamp,
}

impl From<TotpEnrolment> for Enrolment {
    fn from(begun: TotpEnrolment) -> Self {
        let (base32, uri) = (begun.base32.expose().to_owned(), begun.uri.expose().to_owned());
        Self { base32, uri, expires_at: begun.expires_at }
    }
}

/// A body that has to have one of several alternatives. Give it before the store is asked, so that
/// no code is used up and no attempt is counted.
fn not_one(detail: &'static str) -> Rejection {
    Rejection::new(ErrorClass::Invalid, "invalid", detail)
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

async fn do_complete_login(
    client: Client,
    body: Result<Json<Complete>, JsonRejection>,
) -> Result<Response, Rejection> {
    let Json(body) = body?;
    let Complete { step, code, recovery_code, enrolment_codes, new_password, trust_device_days } =
        body;
    let given = [code.is_some(), recovery_code.is_some(), enrolment_codes.is_some()];
    if given.into_iter().filter(|is_given| *is_given).count() != 1 {
        let detail = "The body has to have one of a code, a recovery code and enrolment codes.";
        return Err(not_one(detail));
    }
    let complete = move |device| {
        let request = match (code, recovery_code, enrolment_codes) {
            (_, Some(code), _) => CompleteLogin::with_recovery_code(step, device, code),
            (_, _, Some([first, second])) => {
                CompleteLogin::with_enrolment(step, device, first, second)
            }
            (code, None, None) => CompleteLogin::with_code(step, device, code.unwrap_or_default()),
        };
        let request = match new_password {
            Some(new) => request.new_password(new),
            None => request,
        };
        match trust_device_days {
            Some(number) => request.trust_device(days(number)),
            None => request,
        }
    };
    Ok(answer(client.complete_login(complete).await?))
}

async fn do_enrol_at_login(
    client: Client,
    body: Result<Json<Enrol>, JsonRejection>,
) -> Result<Json<Enrolment>, Rejection> {
    let Json(Enrol { step }) = body?;
    Ok(Json(client.enrol_at_login(step, NewTotp::new()).await?.into()))
}

async fn do_log_in(
    client: Client,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Rejection> {
    let Json(body) = body?;
    let Login { username, password, new_password, code, recovery_code, trust_device_days } = body;
    if code.is_some() && recovery_code.is_some() {
        return Err(not_one("The body may have a code or a recovery code, and not both."));
    }
    let more = |mut request: LoginRequest| {
        if let Some(new) = new_password {
            request = request.new_password(new);
        }
        if let Some(code) = code {
            request = request.code(code);
        }
        if let Some(code) = recovery_code {
            request = request.recovery_code(code);
        }
        match trust_device_days {
            Some(number) => request.trust_device(days(number)),
            None => request,
        }
    };
    match client.begin_login(username, password, more).await? {
        BegunLogin::LoggedIn(logged_in) => Ok(answer(*logged_in)),
        BegunLogin::Waits(waiting) => {
            let step = &waiting.step;
            let pending = Step {
                step: step.token.expose(),
                demand: step.demand,
                expires_at: step.expires_at,
                new_password_required: step.new_password_required,
            };
            let body = Json(Waiting { pending }).into_response();
            Ok((StatusCode::ACCEPTED, waiting, body).into_response())
        }
    }
}

async fn do_log_out(client: Client) -> Result<impl IntoResponse, Rejection> {
    Ok((StatusCode::NO_CONTENT, client.log_out().await?, ()))
}

async fn read_me(me: SignedIn) -> Result<Json<Me>, Rejection> {
    let principal = me.principal;
    let profile = me.blocking(move |store| store.profile(&principal)).await?;
    Ok(Json(Me { principal, profile, recovery_codes: None }))
}

#[derive(Serialize)]
struct OwnSession {
    current: bool,
    #[serde(flatten)]
    session: SessionInfo,
}

async fn list_sessions(me: SignedIn) -> Result<Json<Vec<OwnSession>>, Rejection> {
    let principal = me.principal;
    let current = principal.credential.session();
    let own = SessionFilter::new().under(principal.user);
    let sessions = me
        .blocking(move |store| -> Result<Vec<_>, Error> { store.sessions().iter(&own).collect() })
        .await?;
    let mark = |session: SessionInfo| OwnSession { current: current == Some(session.id), session };
    Ok(Json(sessions.into_iter().map(mark).collect()))
}

async fn revoke_session(
    me: SignedIn,
    id: Result<Path<SessionId>, PathRejection>,
) -> Result<StatusCode, Rejection> {
    let (Path(id), principal) = (id?, me.principal);
    me.blocking(move |store| store.sessions().revoke_own(&principal, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke_others(me: SignedIn) -> Result<StatusCode, Rejection> {
    let principal = me.principal;
    me.blocking(move |store| store.sessions().revoke_others(&principal)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct ChangePassword {
    current_password: Password,
    new_password: Password,
    #[serde(default)]
    revoke_api_keys: bool,
}

async fn do_change_password(
    me: SignedIn,
    body: Result<Json<ChangePassword>, JsonRejection>,
) -> Result<Response, Rejection> {
    let Json(ChangePassword { current_password: current, new_password: new, revoke_api_keys }) =
        body?;
    Ok(answer(match revoke_api_keys {
        true => me.change_password_and_revoke_keys(current, new).await?,
        false => me.change_password(current, new).await?,
    }))
}

fn answer(logged_in: LoggedIn) -> Response {
    let recovery_codes = logged_in.recovery_codes.as_ref().map(exposed);
    let (principal, profile) = (logged_in.principal, logged_in.profile.clone());
    let me = Me { principal, profile, recovery_codes };
    (logged_in, Json(me)).into_response()
}

/// Recovery codes for the page that shows them once.
fn exposed(set: &RecoveryCodes) -> Vec<String> {
    set.codes.iter().map(|code| code.expose().to_owned()).collect()
}
