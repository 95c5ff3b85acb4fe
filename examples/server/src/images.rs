//! An image behind a ticket, and the icon of the site.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gatepost_axum::{ByTicket, Rejection};

use crate::Site;

/// The path of the one image.
pub(crate) const IMAGE: &str = "/images/1";

pub(crate) fn pages() -> Router<Site> {
    Router::new()
        .route("/images/{number}", get(image))
        .route("/favicon.svg", get(|| async { svg(ICON) }))
}

/// Any refusal is answered with an empty body: an `<img>` shows no sentence.
async fn image(ticket: Result<ByTicket, Rejection>, Path(number): Path<u32>) -> Response {
    match (ticket, number) {
        (Ok(_), 1) => ([(CACHE_CONTROL, "no-store")], svg(HILLS)).into_response(),
        (Ok(_), _) => StatusCode::NOT_FOUND.into_response(),
        (Err(refused), _) => refused.status().into_response(),
    }
}

fn svg(picture: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], picture)
}

const HILLS: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 160">
<rect width="320" height="160" fill="#9cc7e8"/><circle cx="250" cy="45" r="22" fill="#f6d365"/>
<path d="M0 160 90 60 180 160z" fill="#3f7d58"/><path d="M80 160 190 80 300 160z" fill="#58996f"/>
<path d="M200 160 280 100 320 130 320 160z" fill="#2f6146"/></svg>"##;

const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<path d="M3 15V5l5-4 5 4v10H9v-4H7v4z" fill="#0b57a4"/></svg>"##;
