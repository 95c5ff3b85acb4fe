//! The state that every extractor reads: the store, and how requests are judged.

use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use gatepost::Store;
use ipnet::IpNet;

/// The store, and what the extractors have to know about the site. It is the state of a router, or
/// a part of that state (by `FromRef`). A clone is cheap.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use gatepost::{Options, Store};
/// use gatepost_axum::{Auth, SignedIn, routes};
///
/// async fn hello(me: SignedIn) -> String {
///     me.principal.user.to_string()
/// }
///
/// # let directory = tempfile::tempdir()?;
/// let store = Store::open(directory.path().join("auth.db"), Options::web())?;
/// let auth = Auth::new(store);
/// let app: Router =
///     Router::new().route("/hello", get(hello)).nest("/auth", routes::all()).with_state(auth);
/// assert!(app.has_routes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Auth {
    store: Store,
    site: Arc<Site>,
}

/// The options of an [`Auth`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Site {
    /// In lower case.
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) allow_plain_http: bool,
}

impl Auth {
    /// A site with no other allowed origin, no trusted proxy, and cookies for HTTPS only.
    ///
    /// Open the store with `Options::web()`: another user can then sign in on the same browser,
    /// which ends the session of the first.
    pub fn new(store: Store) -> Self {
        Self { store, site: Arc::default() }
    }

    /// Allows one more origin, such as `https://app.example.com`, to send unsafe requests with
    /// cookies. The site's own origin is always allowed. Default: no other.
    ///
    /// A browser does not send the cookies (`SameSite=Lax`) with an unsafe request of another
    /// *site*, so this is for other origins of the same site, such as another subdomain. For a page
    /// that reads the answers, set up CORS for the same origin.
    ///
    /// It is one origin, written as a browser sends it: without a wildcard, a name beyond ASCII in
    /// Punycode (`xn--…`), an IPv4 address as four decimal numbers, and an IPv6 address in its
    /// short form without dots (`[::ffff:7f00:1]`).
    ///
    /// ```
    /// # use gatepost::{Options, Store};
    /// # use gatepost_axum::Auth;
    /// # let directory = tempfile::tempdir()?;
    /// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
    /// let auth = Auth::new(store);
    /// assert!(auth.clone().allow_origin("https://app.example.com").is_ok());
    /// assert!(auth.allow_origin("app.example.com/").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidOrigin`] for a text that is not `http://` or `https://`, a host, and perhaps a
    /// port.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, InvalidOrigin> {
        let origin = sent_by_a_browser(origin).ok_or(InvalidOrigin(()))?;
        self.site_mut().allowed_origins.push(origin);
        Ok(self)
    }

    /// The networks of the proxies in front of the server, whose `X-Forwarded-For` is believed.
    /// Default: none, and the header is ignored.
    ///
    /// List only proxies that add the address of their client to the header: a caller could write
    /// any address into it otherwise. See [`Peer`](crate::Peer).
    ///
    /// ```
    /// # use gatepost::{Options, Store};
    /// # use gatepost_axum::{Auth, IpNet};
    /// # let directory = tempfile::tempdir()?;
    /// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
    /// let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse()?, "fd00::/8".parse()?];
    /// let auth = Auth::new(store).trusted_proxies(proxies);
    /// assert!(format!("{auth:?}").contains("10.0.0.0/8"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.site_mut().trusted_proxies = networks.into_iter().collect();
        self
    }

    /// Options that give up a protection.
    pub fn dangerous(self) -> DangerousAuth {
        DangerousAuth(self)
    }

    /// The store, acting for the host program. [`SignedIn::store`](crate::SignedIn) acts for the
    /// user instead, which the audit log records.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    fn site_mut(&mut self) -> &mut Site {
        Arc::make_mut(&mut self.site)
    }
}

/// An origin as a browser sends it: in lower case, and without the default port of the scheme (RFC
/// 6454, 6.1). `None` for a text that is not one.
fn sent_by_a_browser(origin: &str) -> Option<String> {
    let origin = origin.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let default = match scheme {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| port.parse().is_ok_and(|number: u16| number.to_string() == port);
    let is_origin = (is_name(host) || is_ipv6(host)) && port.is_none_or(is_port);
    is_origin.then(|| match port.filter(|port| *port != default) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// The name of a host, or its IPv4 address as four decimal numbers.
fn is_name(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_letter);
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let is_address = labels.clone().next_back().is_some_and(is_number);
    labels.all(is_label) && (!is_address || host.parse::<Ipv4Addr>().is_ok())
}

/// Whether a browser reads a host whose last label this is as an IPv4 address, of which it sends
/// the usual form (the URL standard, "ends in a number").
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn is_ipv6(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|text| text.parse().is_ok_and(|ip: Ipv6Addr| in_pieces(ip) == text))
}

/// An IPv6 address as a browser writes it (the URL standard, "IPv6 serializer"): `::` for the first
/// longest run of two or more zeros, and no dots, which Rust writes for a mapped IPv4 address.
fn in_pieces(ip: Ipv6Addr) -> String {
    let pieces = ip.segments();
    let zeros = |at: usize| pieces.iter().skip(at).take_while(|piece| **piece == 0).count();
    let text = |from: usize, to: usize| {
        let part = pieces.iter().take(to).skip(from).map(|piece| format!("{piece:x}"));
        part.collect::<Vec<_>>().join(":")
    };
    // Of several maxima, the last one counts: the first run.
    match (0..pieces.len()).rev().max_by_key(|at| zeros(*at)).filter(|at| zeros(*at) > 1) {
        Some(at) => format!("{}::{}", text(0, at), text(at + zeros(at), pieces.len())),
        None => text(0, pieces.len()),
    }
}

/// Options that give up a protection; [`Auth::dangerous`] returns it.
#[derive(Debug)]
#[must_use]
pub struct DangerousAuth(Auth);

impl DangerousAuth {
    /// Sends the cookies without `Secure` and without the prefix `__Host-`, so that a browser keeps
    /// them on plain `http://`, and allows `http://` as the site's own origin. For development on
    /// one machine: with it, anyone on the network can read and replace the cookies.
    ///
    /// ```
    /// # use gatepost::{Options, Store};
    /// # use gatepost_axum::Auth;
    /// # let directory = tempfile::tempdir()?;
    /// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
    /// let auth = Auth::new(store).dangerous().allow_plain_http();
    /// assert!(format!("{auth:?}").contains("allow_plain_http: true"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_plain_http(mut self) -> Auth {
        self.0.site_mut().allow_plain_http = true;
        self.0
    }
}

/// A text is not an origin: it has to be a scheme (`http` or `https`), one host and perhaps a port,
/// such as `https://app.example.com`, without a wildcard, a path or a slash at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOrigin(());

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allow_origin: the origin is not a scheme, a host and perhaps a port")
    }
}

impl Error for InvalidOrigin {}
