//! The check that a request with cookies was not made by another site (CSRF).
//!
//! A browser adds cookies by itself, also to a request that a page of another origin makes. So a
//! request that may change something is accepted only if the browser says that it comes from the
//! site itself or from an allowed origin.

use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::http::request::Parts;
use gatepost::ErrorClass;

use crate::auth::Site;
use crate::rejection::Rejection;

/// Refuses an unsafe request of another origin. A request whose credentials are in the header
/// `Authorization` need not be checked: no browser adds that by itself.
pub(crate) fn check(site: &Site, parts: &Parts) -> Result<(), Rejection> {
    if is_safe(parts) || is_of_the_site(site, parts) {
        return Ok(());
    }
    let detail = "The request comes from another site.";
    Err(Rejection::new(ErrorClass::Forbidden, "cross_site_request", detail))
}

/// The safe methods of RFC 9110, 9.2.1. The request that opens a WebSocket is a GET that is not.
fn is_safe(parts: &Parts) -> bool {
    parts.method.is_safe() && !parts.headers.contains_key(UPGRADE)
}

fn is_of_the_site(site: &Site, parts: &Parts) -> bool {
    let one = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    let origin = one(ORIGIN.as_str()).map(str::to_ascii_lowercase);
    let is_allowed = origin.as_ref().is_some_and(|origin| site.allowed_origins.contains(origin));
    match (one("sec-fetch-site"), origin) {
        // `same-site` is another host of the site, perhaps one that others write.
        (Some("same-origin" | "none"), _) => true,
        (Some(_), _) => is_allowed,
        // An older browser, or plain HTTP.
        (None, Some(origin)) => is_allowed || is_own(site, parts, &origin),
        // No browser: each sends one of the two with an unsafe request.
        (None, None) => true,
    }
}

/// Whether an origin in lower case is the host that the request names.
fn is_own(site: &Site, parts: &Parts, origin: &str) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let Some((scheme, named)) = origin.split_once("://") else { return false };
    let is_scheme = scheme == "https" || (scheme == "http" && site.allow_plain_http);
    is_scheme && host.or(authority).is_some_and(|host| host.eq_ignore_ascii_case(named))
}
