//! The users and the authentication of TrueVault's HTTP API, as its JavaScript client
//! (npm `truevault` 1.3.1) speaks it, so that programs with that client log in here unchanged.
//!
//! Such a client has no device: `main` opens the store with `require_device(false)`. It sends a
//! session's token or an API key as the user name of `Authorization: Basic`, and no cookie is read,
//! so pages of any origin may call these endpoints (CORS).

mod answer;
mod auth;
mod caller;
mod factor;
mod fields;
mod reset;
mod users;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::from_fn;
use gatepost::ErrorClass;
use gatepost_axum::Rejection;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::Site;

pub(crate) fn routes() -> Router<Site> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER]);
    let set = |name: HeaderName, value| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    let first = auth::routes().merge(users::routes()).merge(factor::routes());
    let served = Router::new()
        .nest("/v1", ending(first.merge(reset::routes())))
        .nest("/v2", ending(users::second_routes()))
        .layer(from_fn(answer::whole))
        .layer(from_fn(answer::problems));
    // An answer has a token in it, or what is true at this moment alone.
    served
        .layer(set(CACHE_CONTROL, "no-store"))
        .layer(set(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(cors)
}

/// Every other path and method under the same beginning is answered 404 with a sentence.
fn ending(router: Router<Site>) -> Router<Site> {
    router.fallback(not_served).method_not_allowed_fallback(not_served)
}

/// What the service has beside users and authentication, by the first word of the path, and why it
/// is not here.
const NOT_SERVED: [(&str, &str); 7] = [
    ("accounts", "the attributes of a user have no schema"),
    ("groups", "there are no groups; privileges and administrations are in their place"),
    ("password_reset_flows", "the server has one flow, with a mail of its own"),
    ("scoped_access_tokens", "an API key with scopes is in their place"),
    ("users", "users are not searched by their attributes, and get no messages by this API"),
    ("vaults", "the server keeps users and sessions, and no documents, schemas or blobs"),
    ("", "the server has users and authentication alone"),
];

async fn not_served(OriginalUri(uri): OriginalUri) -> Rejection {
    let word = uri.path().split('/').nth(2).unwrap_or_default();
    let why = NOT_SERVED.iter().find(|(of, _)| *of == word || of.is_empty());
    let why = why.map_or("", |(_, why)| why);
    let detail = format!("This call is not served here: {why}.");
    Rejection::new(ErrorClass::NotFound, "not_served", detail)
}
