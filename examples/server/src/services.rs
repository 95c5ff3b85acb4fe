//! What programs call, in the shapes of the TrustID Raw API. The token travels in the body and no
//! cookie is read, so pages of any origin may call these endpoints (CORS) and need no check of the
//! site; only `GET …/verify/` reads headers, and it changes nothing.
//!
//! A body has to have a `DeviceId`. The store does not ask for one, because of `truevault`.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gatepost::sessions::NewTicket;
use gatepost::wire::trustid;
use gatepost::{Error, ErrorClass, HeaderCredentials, LoginRequest, Principal, Store, UserId};
use gatepost_axum::{Auth, Peer, Rejection, SignedIn, blocking};
use serde::Serialize;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::Site;
use crate::images::IMAGE;

const DONE: &str = "Operation executed successfully.";
const NOT_VALID: &str = "The session is not valid.";

pub(crate) fn routes() -> Router<Site> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER]);
    let set = |name: HeaderName, value| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    Router::new()
        .route("/VPE/session/testConnection/", get(test).post(test))
        .route("/VPE/session/login/", post(log_in))
        .route("/VPE/session/logout/", post(log_out))
        .route("/VPE/session/changePassword/", post(change_password))
        .route("/VPE/session/verify/", get(verify_headers).post(verify))
        .route("/VPE/session/image/", post(image))
        .layer(cors)
        // An answer has a token in it, or what is true at this moment alone.
        .layer(set(CACHE_CONTROL, "no-store"))
        .layer(set(X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Connection {
    success: bool,
    message: &'static str,
    server_api_version: String,
    vpe_name: String,
}

async fn test(State(auth): State<Auth>) -> Json<Connection> {
    let service = auth.store().service();
    Json(Connection {
        success: true,
        message: DONE,
        server_api_version: service.api_version.to_string(),
        vpe_name: service.name,
    })
}

type Body<T> = Result<Json<T>, JsonRejection>;

fn with_device(device_id: Option<&String>) -> Result<(), Rejection> {
    match device_id {
        Some(_) => Ok(()),
        None => {
            let detail = "The request has no DeviceId.";
            Err(Rejection::new(ErrorClass::Invalid, "invalid", detail))
        }
    }
}

fn presented(body: Body<trustid::SessionRequest>) -> Result<HeaderCredentials, Rejection> {
    let Json(request) = body?;
    with_device(request.device_id.as_ref())?;
    Ok(HeaderCredentials::try_from(request)?)
}

async fn log_in(
    State(auth): State<Auth>,
    peer: Peer,
    body: Body<trustid::LoginRequest>,
) -> Result<Response, Rejection> {
    let Json(wire) = body?;
    with_device(wire.device_id.as_ref())?;
    let request = LoginRequest::try_from(wire)?.client_info(peer.info);
    let store = auth.store().clone();
    let outcome = blocking(move || store.log_in(request)).await?;
    let service = auth.store().service();
    Ok(Json(outcome.into_wire(&service)).into_response())
}

async fn change_password(
    State(auth): State<Auth>,
    body: Body<trustid::ChangePasswordRequest>,
) -> Result<Response, Rejection> {
    let Json(wire) = body?;
    with_device(wire.device_id.as_ref())?;
    let change = trustid::ChangePassword::try_from(wire)?;
    let store = auth.store().clone();
    let work = move || store.change_password(&change.presented, change.current, change.new);
    let outcome = blocking(work).await?;
    let service = auth.store().service();
    Ok(Json(outcome.into_wire(&service)).into_response())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    success: bool,
    message: &'static str,
}

/// A session that has ended before is logged out as well.
async fn log_out(
    State(auth): State<Auth>,
    body: Body<trustid::SessionRequest>,
) -> Result<Json<Answer>, Rejection> {
    let presented = presented(body)?;
    let store = auth.store().clone();
    blocking(move || store.log_out(&presented)).await?;
    Ok(Json(Answer { success: true, message: DONE }))
}

/// What another server has to know of a caller. It must ask at each request, and keep nothing.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    success: bool,
    message: &'static str,
    user_id: Option<UserId>,
    username: Option<String>,
    privileges: Vec<String>,
}

async fn verify(
    State(auth): State<Auth>,
    body: Body<trustid::SessionRequest>,
) -> Result<Json<Verified>, Rejection> {
    let presented = presented(body)?;
    let store = auth.store().clone();
    let verified = blocking(move || match store.verify(&presented)?.valid() {
        Ok(principal) => described(&store, &principal),
        Err(_) => Ok(Verified {
            success: false,
            message: NOT_VALID,
            user_id: None,
            username: None,
            privileges: Vec::new(),
        }),
    });
    verified.await.map(Json)
}

/// The same for a server that passes on the header `Authorization` or the cookies of its caller.
async fn verify_headers(me: SignedIn) -> Result<Json<Verified>, Rejection> {
    let principal = me.principal;
    me.blocking(move |store| described(store, &principal)).await.map(Json)
}

fn described(store: &Store, principal: &Principal) -> Result<Verified, Rejection> {
    let user = store.profile(principal)?.user;
    Ok(Verified {
        success: true,
        message: DONE,
        user_id: Some(user.id),
        username: Some(user.username),
        privileges: user.privileges,
    })
}

/// Where an image is. The service puts the session's id into that URL; a ticket is in its place,
/// because URLs are kept in histories and logs.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    success: bool,
    message: &'static str,
    url: Option<String>,
}

async fn image(
    State(auth): State<Auth>,
    body: Body<trustid::SessionRequest>,
) -> Result<Json<Image>, Rejection> {
    let presented = presented(body)?;
    let store = auth.store().clone();
    let mint = move || -> Result<Image, Error> {
        let refused = || Image { success: false, message: NOT_VALID, url: None };
        let Ok(principal) = store.verify(&presented)?.valid() else { return Ok(refused()) };
        let minted = store.tickets().mint(&principal, NewTicket::new("GET", IMAGE))?;
        let Ok(issued) = minted.valid() else { return Ok(refused()) };
        let url = format!("{IMAGE}?ticket={}", issued.ticket.expose());
        Ok(Image { success: true, message: DONE, url: Some(url) })
    };
    blocking(mint).await.map(Json)
}
