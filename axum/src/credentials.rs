//! Where a request carries its credential: the header `Authorization`, or the two cookies.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use gatepost::{DeviceId, HeaderCredentials, Principal, Verdict};

use crate::auth::Auth;
use crate::blocking::blocking;
use crate::cookies::{self, Kind, SetCookie};
use crate::cross_site;
use crate::rejection::Rejection;

/// A credential as it came, not yet verified.
pub(crate) struct Held {
    pub(crate) credentials: HeaderCredentials,
    pub(crate) is_cookie: bool,
    /// Whether it is a cookie that the browser forgets when it is closed.
    pub(crate) until_closed: bool,
}

/// The credential of a request; `None` if it carries none.
///
/// The header counts before the cookies: a program that sends it means it. A header or cookie that
/// is there and cannot be read is a refused credential, never none.
pub(crate) fn read(auth: &Auth, parts: &Parts) -> Result<Option<Held>, Rejection> {
    match of_header(parts)? {
        Some(held) => Ok(Some(held)),
        None => of_cookie(auth, parts),
    }
}

/// As [`read`], for the header alone.
pub(crate) fn of_header(parts: &Parts) -> Result<Option<Held>, Rejection> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = header.to_str().ok().filter(|_| !is_ambiguous(parts));
    let credentials = text.and_then(|text| HeaderCredentials::from_header(text).ok());
    let credentials = credentials.ok_or_else(Rejection::refused_credential)?;
    Ok(Some(Held { credentials, is_cookie: false, until_closed: false }))
}

/// Whether there is more than one header, so that a call would have to choose.
pub(crate) fn is_ambiguous(parts: &Parts) -> bool {
    parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some()
}

/// As [`read`], for the cookies alone.
pub(crate) fn of_cookie(auth: &Auth, parts: &Parts) -> Result<Option<Held>, Rejection> {
    let Some(value) = cookies::read(&parts.headers, auth.site(), Kind::Session) else {
        return Ok(None);
    };
    cross_site::check(auth.site(), parts)?;
    let (token, until_closed) = cookies::token(value);
    let credentials = HeaderCredentials::from_header(&format!("Bearer {token}"));
    let mut credentials = credentials.map_err(|_| Rejection::refused_credential())?;
    credentials.device = device(auth, parts);
    Ok(Some(Held { credentials, is_cookie: true, until_closed }))
}

/// The device of the browser, if it has one.
pub(crate) fn device(auth: &Auth, parts: &Parts) -> Option<DeviceId> {
    let text = cookies::read(&parts.headers, auth.site(), Kind::Device)?;
    DeviceId::new(text).ok()
}

impl Held {
    /// Runs on the thread that serves the request.
    pub(crate) fn verify(&self, auth: &Auth) -> Result<Principal, Rejection> {
        match auth.store().verify(&self.credentials)? {
            // An API key is for programs, and its end would not be the cookie's.
            Verdict::Valid(principal)
                if self.is_cookie && principal.credential.session().is_none() =>
            {
                Err(Rejection::refused_credential())
            }
            Verdict::Valid(principal) => Ok(principal),
            Verdict::Invalid(why) => Err(why.into()),
        }
    }
}

/// A rejection to the caller of this request: a refused cookie goes, unless a session is open in
/// this browser.
///
/// The browser may have a newer cookie by now: a proof, a change of the password or another login
/// in it was answered while this request was under way. A cookie that is cleared does not say which
/// one, so the newer one would go. Each of these has the device of the browser, which one read of
/// the file finds, for any token that a stranger makes up.
pub(crate) async fn answer(auth: &Auth, parts: &Parts, rejection: Rejection) -> Rejection {
    if !rejection.is_of_token() || parts.headers.contains_key(AUTHORIZATION) {
        return rejection;
    }
    if let Some(device) = device(auth, parts) {
        let store = auth.store().clone();
        let is_open = blocking(move || store.devices().has_live_session(&device)).await;
        // Where the store could not know, the cookie stays.
        if is_open.unwrap_or(true) {
            return rejection;
        }
    }
    rejection.clearing(SetCookie::cleared(auth.site()).header())
}
