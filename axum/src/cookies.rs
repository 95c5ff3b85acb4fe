//! The two cookies: the session's, which holds its token, and the device's.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use gatepost::{DeviceId, LoginReply};

use crate::auth::Site;

/// 400 days, the most that browsers keep (RFC 6265bis 5.5). Each login begins it again.
const DEVICE_MAX_AGE: Duration = Duration::days(400);

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

/// The session's cookie, which the browser forgets when the session ends.
pub(crate) fn of_session(site: &Site, reply: &LoginReply) -> HeaderValue {
    let left = reply.session.expires_at.duration_since(reply.principal.authenticated_at);
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    written(site, Kind::Session, reply.session.token.expose(), Duration::seconds(seconds))
}

pub(crate) fn of_device(site: &Site, device: &DeviceId) -> HeaderValue {
    written(site, Kind::Device, device.as_str(), DEVICE_MAX_AGE)
}

/// Removes the session's cookie; the device's is kept.
pub(crate) fn cleared(site: &Site) -> HeaderValue {
    written(site, Kind::Session, "", Duration::ZERO)
}

fn written(site: &Site, kind: Kind, value: &str, max_age: Duration) -> HeaderValue {
    let cookie = Cookie::build((kind.name(site), value))
        .path("/")
        .http_only(true)
        .secure(!site.allow_plain_http)
        .same_site(SameSite::Lax)
        .max_age(max_age);
    // A token and a drawn device id are base64url; a device id that came in a cookie is ASCII.
    let mut header =
        HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}
