//! [Gatepost](gatepost) for [axum]: who is signed in, cookies, and the answers to everything
//! that can go wrong.
//!
//! The library knows no HTTP. This crate is what a web server needs between the two:
//!
//! - **Extractors.** [`SignedIn`] is a caller whose session or API key was just verified, with a
//!   store that acts as that caller. `Option<SignedIn>`, [`Admin`], [`Privileged`], [`ApiKey`]
//!   and [`Fresh`] accept more or fewer. Cookies, and `Basic` and `Bearer` headers, are read alike.
//! - **Tickets.** [`SignedIn::ticket_url`] makes the URL of an image or a download, and
//!   [`ByTicket`] accepts the caller that follows it.
//! - **Cookies.** `__Host-session` holds the token, until the session ends. `__Host-device` holds
//!   the id of the browser, is made once, and is kept over logouts.
//! - **Cross-site requests** (CSRF). Each extractor refuses an unsafe request with cookies that
//!   another site made, so no route can forget the check.
//! - **One answer to failures.** [`Rejection`] is every error and refusal, with its status, headers
//!   and a body by RFC 9457.
//! - **Ready routes.** [`routes`] has login, logout, the caller's own sessions, the change of a
//!   password, the second factor and the reset of a forgotten password; [`healthz`] and [`metrics`]
//!   are for operators; [`login_guard`] and [`step_up_guard`] are for pages.
//! - **Blocking calls.** [`blocking()`] and [`SignedIn::blocking`] run calls that hash or write on
//!   a thread that may wait.
//! - **Data of `tower-sessions`.** With the feature `tower-sessions`, `with_session_data` gives
//!   handlers that take a `tower_sessions::Session` the data of the caller's session.
//! - **A server's end.** [`serve()`] closes the store after the last request.
//!
//! The page `web` of the library's manual begins with a whole server, and explains cookies,
//! proxies, several processes and tests.
//!
//! ```
//! use axum::Router;
//! use axum::routing::post;
//! use gatepost::directory::UserStatus;
//! use gatepost::{Options, Store, UserId};
//! use gatepost_axum::{Admin, Auth, Rejection, routes};
//!
//! async fn disable(admin: Admin, id: axum::extract::Path<UserId>) -> Result<(), Rejection> {
//!     let disabled =
//!         move |store: &Store| store.users().set_status(id.0, UserStatus::Disabled).map(drop);
//!     admin.blocking(disabled).await
//! }
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("auth.db");
//! let auth = Auth::new(Store::open(path, Options::web())?);
//! let app: Router = Router::new()
//!     .nest("/auth", routes::all())
//!     .route("/users/{id}/disable", post(disable))
//!     .with_state(auth);
//! assert!(app.has_routes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod blocking;
mod by_ticket;
mod client;
mod cookies;
mod credentials;
mod cross_site;
mod in_session;
mod operating;
mod pages;
mod peer;
mod rejection;
pub mod routes;
mod serve;
#[cfg(feature = "tower-sessions")]
mod session_data;
mod signed_in;

pub use auth::{Auth, DangerousAuth, InvalidOrigin};
pub use blocking::blocking;
pub use by_ticket::ByTicket;
pub use client::{BegunLogin, Client, LoggedIn, LoggedOut, Renewed, WaitingLogin};
pub use ipnet::IpNet;
pub use operating::{healthz, metrics};
pub use pages::{Next, login_guard, step_up_guard};
pub use peer::Peer;
pub use rejection::Rejection;
pub use serve::{ServeError, serve, serve_until};
#[cfg(feature = "tower-sessions")]
pub use session_data::with_session_data;
pub use signed_in::{Admin, ApiKey, Fresh, Privilege, Privileged, SignedIn, StepUp};

/// The examples of the manual's pages, which the library cannot run.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../../manual/web.md")]
    mod web {}
    #[doc = include_str!("../../manual/other_servers.md")]
    mod other_servers {}
}
