//! The two cookies: the session's, which holds its token, and the device's.

use std::fmt;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use gatepost::{DeviceId, Store, Timestamp, Verdict};

use crate::auth::{Auth, Site};

/// 400 days, the most that browsers keep (RFC 6265bis 5.5). Each login begins it again.
const DEVICE_MAX_AGE: Duration = Duration::days(400);

/// Behind the token in the cookie of a session that the browser forgets when it is closed. No token
/// has a dot.
const UNTIL_CLOSED: &str = ".until-closed";

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Session,
    Device,
}

impl Kind {
    /// A name with the prefix `__Host-` cannot be set by another host of the site, nor over plain
    /// HTTP (RFC 6265bis 4.1.3.2).
    const fn name(self, site: &Site) -> &'static str {
        match (self, site.allow_plain_http) {
            (Self::Session, false) => "__Host-session",
            (Self::Session, true) => "session",
            (Self::Device, false) => "__Host-device",
            (Self::Device, true) => "device",
        }
    }
}

/// The value of that cookie in a request, the first if there are several; an empty one if it is not
/// ASCII, as none of ours is. The cookies of other programs beside it may have any bytes.
pub(crate) fn read<'h>(headers: &'h HeaderMap, site: &Site, kind: Kind) -> Option<&'h str> {
    let name = kind.name(site).as_bytes();
    let lines = headers.get_all(COOKIE).iter().map(|line| line.as_bytes());
    let mut pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name)?.trim_ascii_start();
        value.strip_prefix(b"=").map(<[u8]>::trim_ascii)
    })?;
    Some(std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).unwrap_or_default())
}

/// The token in the value of a session's cookie, and whether the browser forgets it when it is
/// closed.
pub(crate) fn token(value: &str) -> (&str, bool) {
    let token = value.strip_suffix(UNTIL_CLOSED);
    (token.unwrap_or(value), token.is_some())
}

/// Adds the cookies that one answer sets to another answer that takes its place.
pub(crate) fn keep(of: &HeaderMap, to: &mut HeaderMap) {
    for cookie in of.get_all(SET_COOKIE) {
        to.append(SET_COOKIE, cookie.clone());
    }
}

/// A cookie to set. Its `Debug` shows no value.
#[derive(Clone)]
pub(crate) struct SetCookie(Cookie<'static>);

impl SetCookie {
    fn new(site: &Site, kind: Kind, value: &str, max_age: Duration) -> Self {
        let cookie = Cookie::build((kind.name(site), value.to_owned()))
            .path("/")
            .http_only(true)
            .secure(!site.allow_plain_http)
            .same_site(SameSite::Lax)
            .max_age(max_age);
        Self(cookie.build())
    }

    pub(crate) fn device(site: &Site, device: &DeviceId) -> Self {
        Self::new(site, Kind::Device, device.as_str(), DEVICE_MAX_AGE)
    }

    /// Removes the session's cookie; the device's is kept.
    pub(crate) fn cleared(site: &Site) -> Self {
        Self::new(site, Kind::Session, "", Duration::ZERO)
    }

    /// The value of the header `Set-Cookie`.
    pub(crate) fn header(&self) -> HeaderValue {
        // A token and a drawn device id are base64url; a device id that came in a cookie is ASCII.
        let mut header = HeaderValue::try_from(self.0.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie").field("name", &self.0.name()).finish_non_exhaustive()
    }
}

/// The cookie of a session that is open. Its `Debug` shows no value.
pub(crate) struct SessionCookie {
    cookie: SetCookie,
    store: Store,
    device: Option<DeviceId>,
}

impl SessionCookie {
    /// The browser forgets it when the session ends.
    pub(crate) fn new(
        auth: &Auth,
        token: &str,
        device: Option<&DeviceId>,
        end: Timestamp,
    ) -> Self {
        let left = end.duration_since(auth.store().now()).as_millis().div_ceil(1_000);
        let seconds = i64::try_from(left).unwrap_or(i64::MAX);
        let cookie = SetCookie::new(auth.site(), Kind::Session, token, Duration::seconds(seconds));
        Self { cookie, store: auth.store().clone(), device: device.cloned() }
    }

    /// The same cookie without an age: the browser forgets it when it is closed. Its value says so,
    /// as a browser sends back the value alone: the next answer that sets it has to follow.
    pub(crate) fn until_closed(mut self) -> Self {
        let cookie = &mut self.cookie.0;
        if cookie.max_age().is_some() {
            cookie.set_value(format!("{}{UNTIL_CLOSED}", cookie.value()));
            cookie.set_max_age(None);
        }
        self
    }

    /// The value of the header `Set-Cookie`; `None` if the token is no longer valid.
    ///
    /// The handler may have gone on for long since it got the token. A proof, a change of the
    /// password or another login in the same browser may have been answered by now, and this cookie
    /// would replace the newer one. A store that does not know is no reason to lose a session.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let (token, _) = token(self.cookie.0.value());
        let verdict = self.store.verify((token, self.device.as_ref()));
        let is_invalid = matches!(verdict, Ok(Verdict::Invalid(_)));
        (!is_invalid).then(|| self.cookie.header())
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cookie.fmt(f)
    }
}
