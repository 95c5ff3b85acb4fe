//! Login, logout, and the current user.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use gatepost::directory::UserUpdate;
use gatepost::{DeviceId, ErrorClass, LoginRequest, Password, Store};
use gatepost_axum::{Auth, Peer, Rejection, blocking};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{ACCOUNT, Attributes, Done, shown, with_token};
use super::caller::Caller;
use super::fields::{Fields, invalid};
use crate::Site;

/// An access token that names no expiry, as the service has it. A browser's session is valid for
/// longer.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/auth/login", post(log_in))
        .route("/auth/logout", post(log_out))
        .route("/auth/me", get(read).put(update))
}

/// The session has no device, so its token alone is the credential.
async fn log_in(
    State(auth): State<Auth>,
    peer: Peer,
    mut fields: Fields,
) -> Result<Done, Rejection> {
    if fields.required("account_id")? != ACCOUNT.to_string() {
        let detail = "There is no such account here.";
        return Err(Rejection::new(ErrorClass::NotFound, "no_such_account", detail));
    }
    let username = fields.required("username")?;
    let password = Password::from(fields.required("password")?);
    let mut request = LoginRequest::new(username, password, None::<DeviceId>)
        .lifetime(TOKEN_LIFETIME)
        .client_info(peer.info);
    if let Some(at) = fields.not_valid_after()? {
        request = request.expires_at(at);
    }
    if let Some(code) = fields.take("mfa_code") {
        request = request.code(code);
    }
    fields.end()?;
    let store = auth.store().clone();
    let reply = blocking(move || store.log_in(request)).await?.granted()?;
    let user = shown(&reply.profile.user, reply.has_second_factor, Attributes::Omitted);
    Ok(Done("user", with_token(user, &reply.session.token)))
}

/// A token that has ended before is refused: the answer has the user, which only a token names.
async fn log_out(me: Caller) -> Result<Done, Rejection> {
    let user = current(&me, Attributes::Omitted).await?;
    me.presenting(|store, presented| store.log_out(presented)).await?;
    Ok(Done("logout", user))
}

#[derive(Deserialize)]
pub(super) struct Full {
    #[serde(default)]
    pub(super) full: bool,
}

pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Rejection> {
    let detail = "The query of the URL is not what this call takes.";
    query.map(|Query(asked)| asked).map_err(|_| invalid(detail))
}

async fn read(me: Caller, query: Asked<Full>) -> Result<Done, Rejection> {
    let full = asked(query)?.full;
    Ok(Done("user", current(&me, Attributes::full(full)).await?))
}

async fn update(me: Caller, query: Asked<Full>, mut fields: Fields) -> Result<Done, Rejection> {
    let full = asked(query)?.full;
    let missing = || invalid("The parameter attributes is missing.");
    let attributes = fields.attributes()?.ok_or_else(missing)?;
    fields.end()?;
    set_attributes(&me, attributes).await?;
    Ok(Done("user", current(&me, Attributes::full(full)).await?))
}

/// A user's own attributes are its own to change; nothing else of it is.
pub(super) async fn set_attributes(me: &Caller, attributes: String) -> Result<(), Rejection> {
    let user = me.principal.user;
    let update = UserUpdate::new().attributes(attributes);
    me.blocking(move |store| store.users().update(user, update)).await.map(drop)
}

pub(super) async fn current(me: &Caller, attributes: Attributes) -> Result<Value, Rejection> {
    let principal = me.principal;
    let read = move |store: &Store| -> Result<Value, gatepost::Error> {
        let user = store.profile(&principal)?.user;
        let mfa_enrolled = store.second_factors().info(user.id)?.is_some();
        Ok(shown(&user, mfa_enrolled, attributes))
    };
    me.blocking(read).await
}
