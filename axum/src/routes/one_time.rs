//! The routes of one-time tokens. None of them opens a session.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRef, State};
use axum::http::header::REFERRER_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use axum::{Json, Router, middleware};
use gatepost::sessions::{Redemption, ResetMail, RevokeApiKeys};
use gatepost::{Error, Password, Store};
use serde::Deserialize;

use super::mails::Mails;
use super::route;
use crate::auth::Auth;
use crate::blocking::blocking;
use crate::client::Client;
use crate::rejection::Rejection;

/// The five routes of one-time tokens: [`request_password_reset`] with `send`, [`reset_password`],
/// [`confirm_email`], [`accept_invitation`] and [`first_administrator`].
///
/// ```
/// use std::sync::mpsc::channel;
///
/// use axum::Router;
/// use gatepost_axum::{Auth, routes};
///
/// let (queue, _mails) = channel(); // A thread that sends mail reads the other end.
/// let send = move |mail| {
///     let _ = queue.send(mail);
/// };
/// let router: Router<Auth> =
///     Router::new().nest("/auth", routes::all().merge(routes::one_time_tokens(send)));
/// assert!(router.has_routes());
/// ```
pub fn one_time_tokens<S>(send: impl Fn(ResetMail) + Clone + Send + Sync + 'static) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    request_password_reset(send)
        .merge(reset_password())
        .merge(confirm_email())
        .merge(accept_invitation())
        .merge(first_administrator())
}

/// `POST /request-password-reset`.
///
/// `send` gets the mail, if there is one to send, on a thread that may wait. It is called after the
/// store has answered, also if the client has gone away by then, and the answer to the browser does
/// not wait for it.
///
/// At most 4 mails are sent at a time, and 256 more wait, one for each user, so that a mail server
/// that does not answer keeps no login waiting. A mail beyond them is dropped, which `tracing` gets
/// as an error and no caller notices. A mail whose `send` has not begun when the program ends is
/// lost as well. In both cases the user requests another one. Let `send` give up after a time: four
/// calls that never return keep all others waiting.
pub fn request_password_reset<S>(
    send: impl Fn(ResetMail) + Clone + Send + Sync + 'static,
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    let mails = Arc::new(Mails::new(send));
    let send = move |mail| mails.take(mail);
    let request = move |State(auth): State<Auth>, _: Client, body| do_request(auth, body, send);
    private("/request-password-reset", post(request))
}

/// `POST /reset-password`.
pub fn reset_password<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    private("/reset-password", post(do_reset))
}

/// `POST /confirm-email`.
pub fn confirm_email<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    private("/confirm-email", post(do_confirm))
}

/// `POST /accept-invitation`.
pub fn accept_invitation<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    private("/accept-invitation", post(do_accept))
}

/// `POST /first-administrator`.
pub fn first_administrator<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    private("/first-administrator", post(do_create))
}

/// A route whose answers name to no other site where the browser was.
fn private<S: Clone + Send + Sync + 'static>(path: &str, of: MethodRouter<S>) -> Router<S> {
    route(path, of).layer(middleware::map_response(no_referrer))
}

async fn no_referrer(mut response: Response) -> Response {
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[derive(Deserialize)]
struct Request {
    username: String,
}

async fn do_request(
    auth: Auth,
    body: Result<Json<Request>, JsonRejection>,
    send: impl Fn(ResetMail) + Send + 'static,
) -> Result<StatusCode, Rejection> {
    let Json(Request { username }) = body?;
    let store = auth.store().clone();
    blocking(move || {
        let request = store.one_time_tokens().request_password_reset(&username)?;
        // From here, as this handler ends if the client goes away; and in either case, so that the
        // time does not show whether there is a mail.
        tokio::task::spawn_blocking(move || request.mail().map(send));
        Ok::<_, Error>(StatusCode::ACCEPTED)
    })
    .await
}

#[derive(Deserialize)]
struct Reset {
    token: String,
    new_password: Password,
    #[serde(default)]
    revoke_api_keys: bool,
}

async fn do_reset(
    State(auth): State<Auth>,
    _: Client,
    body: Result<Json<Reset>, JsonRejection>,
) -> Result<StatusCode, Rejection> {
    let Json(Reset { token, new_password, revoke_api_keys }) = body?;
    let keys = if revoke_api_keys { RevokeApiKeys::All } else { RevokeApiKeys::Keep };
    redeem(&auth, move |store| store.one_time_tokens().reset_password(&token, new_password, keys))
        .await
}

#[derive(Deserialize)]
struct Confirmation {
    token: String,
}

async fn do_confirm(
    State(auth): State<Auth>,
    _: Client,
    body: Result<Json<Confirmation>, JsonRejection>,
) -> Result<StatusCode, Rejection> {
    let Json(Confirmation { token }) = body?;
    redeem(&auth, move |store| store.one_time_tokens().confirm_email(&token)).await
}

#[derive(Deserialize)]
struct Invitation {
    token: String,
    new_password: Password,
}

async fn do_accept(
    State(auth): State<Auth>,
    _: Client,
    body: Result<Json<Invitation>, JsonRejection>,
) -> Result<StatusCode, Rejection> {
    let Json(Invitation { token, new_password }) = body?;
    redeem(&auth, move |store| store.one_time_tokens().accept_invitation(&token, new_password))
        .await
}

#[derive(Deserialize)]
struct FirstAdministrator {
    token: String,
    username: String,
    password: Password,
}

async fn do_create(
    State(auth): State<Auth>,
    _: Client,
    body: Result<Json<FirstAdministrator>, JsonRejection>,
) -> Result<StatusCode, Rejection> {
    let Json(FirstAdministrator { token, username, password }) = body?;
    redeem(&auth, move |store| {
        store.one_time_tokens().create_first_administrator(&token, username, password)
    })
    .await
}

/// The answer says nothing of the user, who now logs in.
async fn redeem(
    auth: &Auth,
    work: impl FnOnce(&Store) -> Result<Redemption, Error> + Send + 'static,
) -> Result<StatusCode, Rejection> {
    let store = auth.store().clone();
    match blocking(move || work(&store)).await? {
        Redemption::Valid(_) => Ok(StatusCode::NO_CONTENT),
        Redemption::Invalid(_) => Err(Rejection::invalid_one_time_token()),
    }
}
