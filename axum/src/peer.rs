//! Where a request comes from: its address, behind proxies too, and its user agent.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use gatepost::ClientInfo;
use ipnet::IpNet;

use crate::auth::Auth;

/// Where a request comes from: for a login whose token travels in the body, of a program that has
/// no cookies. It accepts every request, those of other sites included, so take
/// [`Client`](crate::Client) for a login that sets cookies.
///
/// The address is that of the peer. If the peer is a trusted proxy ([`Auth::trusted_proxies`]), the
/// header `X-Forwarded-For` is read from right to left, up to the first address that is not a
/// trusted proxy. It is unknown unless the program serves with [`serve`](crate::serve()) or with
/// axum's `into_make_service_with_connect_info`.
///
/// ```
/// use gatepost::{DeviceId, LoginRequest, Password};
/// use gatepost_axum::Peer;
///
/// async fn log_in(peer: Peer) {
///     let (password, device) = (Password::from("lantern over wet slate"), DeviceId::random());
///     let login = LoginRequest::new("ada", password, device.ok()).client_info(peer.info);
/// #   drop(login);
/// }
/// # let router = axum::Router::<gatepost_axum::Auth>::new()
/// #     .route("/log-in", axum::routing::post(log_in));
/// # assert!(router.has_routes());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The IP address and the user agent, for the session and the audit log.
    pub info: ClientInfo,
}

impl<S> FromRequestParts<S> for Peer
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self { info: info(&Auth::from_ref(state), parts) })
    }
}

pub(crate) fn info(auth: &Auth, parts: &Parts) -> ClientInfo {
    let mut info = ClientInfo::new();
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        info = info.ip(address(peer.ip(), &parts.headers, &auth.site().trusted_proxies));
    }
    match parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        Some(agent) => info.user_agent(agent),
        None => info,
    }
}

/// The address of the client: each trusted proxy has added that of its own peer at the right.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    // A line that is not text is one entry that is no address.
    let entries = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
    let mut found = peer.to_canonical();
    for entry in entries {
        let Some(address) = parsed(entry.trim()).filter(|_| is_trusted(found)) else { break };
        found = address.to_canonical();
    }
    found
}

/// An address, perhaps with a port.
fn parsed(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']'));
    let address = bare.unwrap_or(entry).parse().ok();
    address.or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}
