//! A server to start from: `cargo run -- --demo` in this folder, then open <http://localhost:8080>.
//!
//! `services` and `truevault` have what programs call; every other module has pages. Each is one
//! part of a site: take what you need.

mod account;
mod admin;
mod demo;
mod images;
mod page;
mod reset;
mod services;
mod sign_in;
mod truevault;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use clap::Parser;
use gatepost::host::{KeyId, Keys};
use gatepost::policy::{SecondFactorPolicy, SessionLimit, SessionPolicy};
use gatepost::sessions::ResetMail;
use gatepost::{ErrorKind, Options, Store};
use gatepost_axum::{Auth, IpNet, healthz, login_guard, metrics, serve, step_up_guard};
use tokio::net::TcpListener;
use tower_http::set_header::SetResponseHeaderLayer;

/// An example server on Gatepost and axum
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 is any free port
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder of the store and its key file, which only this user may read; with `--demo`, it
    /// is `demo-data` unless you name one
    #[arg(long, default_value = "data", default_value_if("demo", "true", "demo-data"))]
    data: PathBuf,
    /// The public address of the server, for the links in mails
    #[arg(long, default_value = "http://localhost:8080")]
    origin: String,
    /// A network whose `X-Forwarded-For` is believed; may be repeated
    #[arg(long, value_name = "NETWORK")]
    trusted_proxy: Vec<IpNet>,
    /// Where to serve /metrics, which only your monitoring may reach
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Hashes that may run at once: the cores divided by the number of processes
    #[arg(long, default_value_t = 2)]
    hashes: usize,
    /// Refuse a login beyond a user's 10 sessions, or on a device where another user is signed in,
    /// instead of revoking the older session
    #[arg(long)]
    keep_sessions: bool,
    /// Create users to try the server with, all with one known password; their store is opened with
    /// this option alone
    #[arg(long)]
    demo: bool,
}

/// The state of the routes.
#[derive(Clone)]
struct Site {
    auth: Auth,
    mail: Mail,
}

impl FromRef<Site> for Auth {
    fn from_ref(site: &Site) -> Self {
        site.auth.clone()
    }
}

/// The queue of mails. This one prints them; a real one gives them to a mail program.
#[derive(Clone)]
struct Mail {
    origin: Arc<str>,
}

impl Mail {
    fn send(&self, to: &str, path: &str, token: &str) {
        println!("mail to {to}: {}{path}?token={token}", self.origin);
    }

    fn send_reset(&self, mail: ResetMail) {
        self.send(&mail.to, "/reset", mail.token.expose());
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if arguments.demo && !arguments.listen.ip().is_loopback() {
        return Err("--demo creates users with a known password: listen on 127.0.0.1 alone".into());
    }
    let store = open(&arguments)?;
    if arguments.demo {
        demo::create(&store)?;
    } else if demo::is_marked(&store)? {
        // At any address: a proxy may make a loopback address public.
        return Err(
            "--demo made this store, with a known password: name another with --data".into()
        );
    }
    let mail = Mail { origin: arguments.origin.trim_end_matches('/').into() };
    invite_first_administrator(&store, &mail)?;
    let auth =
        Auth::new(store).allow_origin(&mail.origin)?.trusted_proxies(arguments.trusted_proxy);
    if let Some(address) = arguments.metrics {
        let operators = Router::new().merge(metrics()).with_state(auth.clone());
        let listener = TcpListener::bind(address).await?;
        tokio::spawn(async move { axum::serve(listener, operators).await });
    }
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app(Site { auth: auth.clone(), mail });
    Ok(serve(&auth, listener, app).await?)
}

fn open(arguments: &Arguments) -> Result<Store, Box<dyn Error>> {
    let data = &arguments.data;
    if !data.exists() {
        fs::create_dir_all(data)?;
        #[cfg(unix)]
        fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    let file = data.join("auth.db");
    let keys = keys(&data.join("keys"), &file)?;
    // The clients of `truevault` have no device. One of a session is asked for at each request.
    let mut sessions = SessionPolicy::web().require_device(false);
    if arguments.keep_sessions {
        sessions = sessions.at_limit(SessionLimit::Refuse).device_takeover(false);
    }
    let options = Options::web()
        .sessions(sessions)
        .service_name("Example")
        .keyring(Arc::new(keys))
        .login_by_email(true)
        .second_factor(SecondFactorPolicy::Administrators)
        .max_concurrent_hashes(arguments.hashes);
    Ok(Store::open(file, options)?)
}

/// The key that seals passwords and second factors, made with the store. Beside a store that has
/// lost its key file, a new key would open nothing that is sealed.
fn keys(path: &Path, store: &Path) -> Result<Keys, Box<dyn Error>> {
    // First: a server that starts at the same time makes the key, and then the store.
    let is_new = !store.exists();
    match Keys::from_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && is_new => {}
        Err(error) => return Err(format!("{}: {error}. {}", path.display(), error.advice()).into()),
        Ok(keys) => return Ok(keys),
    }
    match Keys::create_file(path, &KeyId::new("first")?) {
        Err(error) if error.kind() == ErrorKind::Taken => Ok(Keys::from_file(path)?),
        created => Ok(created?),
    }
}

/// There is no default account: the first administrator follows a link that is printed here.
fn invite_first_administrator(store: &Store, mail: &Mail) -> Result<(), gatepost::Error> {
    match store.one_time_tokens().issue_first_administrator() {
        Ok(issued) => mail.send("the operator", "/first", issued.token.expose()),
        Err(error) if error.kind() == ErrorKind::Taken => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn app(site: Site) -> Router {
    let signed_in = account::pages().merge(admin::pages()).merge(images::pages());
    let pages = login_guard(step_up_guard(signed_in, "/prove"), "/login")
        .merge(account::proof())
        .merge(sign_in::pages())
        .merge(reset::pages())
        .route("/style.css", get(page::style))
        .fallback(page::missing)
        .layer(axum::middleware::from_fn(page::problems_as_pages));
    let pages = HEADERS.iter().fold(pages, |pages, (name, value)| {
        let name = HeaderName::from_static(name);
        pages.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    });
    pages.merge(services::routes()).merge(truevault::routes()).merge(healthz()).with_state(site)
}

/// No script at all, nothing of another site, and no frame (ASVS 3.4).
const HEADERS: [(&str, &str); 3] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    // A link with a token in it is sent to no other site.
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];
