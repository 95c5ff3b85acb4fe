//! What an operator's tools ask: is it healthy, and what did it count.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use gatepost::ErrorClass;

use crate::auth::Auth;
use crate::rejection::Rejection;

/// `GET /healthz`: 200, or 503 if the store is closed. A closed store does not open again: the
/// process has to be restarted; see [`serve`](crate::serve()).
pub fn healthz<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    Router::new().route("/healthz", get(health))
}

/// `GET /metrics`: the counts of this process, in the text format of Prometheus. It names no user;
/// even so, merge it into a router of its own, at an address that only your monitoring reaches.
pub fn metrics<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Auth: FromRef<S>,
{
    Router::new().route("/metrics", get(counts))
}

async fn health(State(auth): State<Auth>) -> Result<&'static str, Rejection> {
    match auth.store().status().is_open() {
        true => Ok("ok\n"),
        false => Err(Rejection::new(
            ErrorClass::Unavailable,
            "closed",
            "The service must be restarted.",
        )),
    }
}

async fn counts(State(auth): State<Auth>) -> impl IntoResponse {
    let page = auth.store().status().metrics();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}
