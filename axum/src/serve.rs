//! A server from its start to its end.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gatepost::{Error, ErrorKind, Store};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time;

use crate::auth::Auth;

/// How long requests that run when the server is asked to end may go on.
const REQUESTS_MAX_WAIT: Duration = Duration::from_secs(30);
/// How long they may go on when the store has closed: the time to send an answer. The store refuses
/// them, and new requests are refused as well until the supervisor has started the server again.
const REQUESTS_OF_CLOSED_STORE_MAX_WAIT: Duration = Duration::from_secs(1);
/// How often it is checked that the store is open.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How many checks there are from one `Store::maintain` to the next: five minutes.
const CHECKS_PER_UPKEEP: u32 = 300;

/// Serves until the process gets SIGINT or SIGTERM; see [`serve_until`].
///
/// # Errors
/// As [`serve_until`]; and [`ServeError::Io`] if the system does not deliver signals.
pub async fn serve(auth: &Auth, listener: TcpListener, app: Router) -> Result<(), ServeError> {
    serve_until(auth, listener, app, asked_to_end()?).await
}

/// Serves until `end` is done: then takes no more connections, waits up to 30 s for the requests
/// that run, and closes the store.
///
/// Meanwhile it calls `Store::maintain` every five minutes, and checks once a second that the store
/// is open. A store closes itself if its file was replaced or its locks were lost, and a closed
/// store never opens again: every request is answered 503, until this function ends with an error,
/// which it does in about two seconds. It waits 1 s for the requests that run, not 30 s, as the
/// store refuses them too. Return that error from `main`, so that the process exits with a failure
/// and its supervisor starts it again.
///
/// Each request knows the address of its peer; see [`Peer`](crate::Peer).
///
/// ```
/// use axum::Router;
/// use gatepost::{Options, Store};
/// use gatepost_axum::{Auth, healthz, serve_until};
/// use tokio::net::TcpListener;
///
/// # let directory = tempfile::tempdir()?;
/// let store = Store::open(directory.path().join("auth.db"), Options::web())?;
/// let auth = Auth::new(store);
/// let app = Router::new().merge(healthz()).with_state(auth.clone());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// serve_until(&auth, listener, app, async { /* asked to end at once */ }).await?;
/// assert!(auth.store().maintain().is_err()); // Closed.
/// # Ok::<(), gatepost_axum::ServeError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ServeError::Store`] if the store closed itself, or cannot write what waits in memory;
/// [`ServeError::Io`] if the listener fails.
pub async fn serve_until(
    auth: &Auth,
    listener: TcpListener,
    app: Router,
    end: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopped.notified().await });
    let mut serving = tokio::spawn(serving.into_future());
    let (reason, wait) = tokio::select! {
        () = end => (Ok(()), REQUESTS_MAX_WAIT),
        error = keep_up(auth.store()) => {
            (Err(ServeError::Store(error)), REQUESTS_OF_CLOSED_STORE_MAX_WAIT)
        }
        served = &mut serving => return ended_by_itself(served),
    };
    stop.notify_one();
    if time::timeout(wait, &mut serving).await.is_err() {
        serving.abort();
    }
    let store = auth.store().clone();
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    reason?;
    Ok(closed.map_err(io::Error::other)??)
}

fn ended_by_itself(served: Result<io::Result<()>, JoinError>) -> Result<(), ServeError> {
    served.map_err(io::Error::other)??;
    Err(io::Error::other("the listener takes no more connections").into())
}

/// Returns when the store has closed.
async fn keep_up(store: &Store) -> Error {
    let mut checks = 0_u32;
    loop {
        time::sleep(CHECK_EVERY).await;
        checks = checks.wrapping_add(1);
        if checks.is_multiple_of(CHECKS_PER_UPKEEP) || !store.status().is_open() {
            let store = store.clone();
            let done = tokio::task::spawn_blocking(move || store.maintain()).await;
            match done {
                Ok(Err(error)) if error.kind() == ErrorKind::Closed => return error,
                Ok(Err(error)) => tracing::error!(advice = error.advice(), "maintain: {error}"),
                _ => {}
            }
        }
    }
}

/// Watches for the signals from now on, so that none is missed before the first request.
#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

/// Why a server ended by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The store closed itself, or closing it failed.
    Store(Error),
    /// The listener failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the store cannot go on: {error}"),
            Self::Io(error) => write!(f, "the listener failed: {error}"),
        }
    }
}

impl StdError for ServeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<Error> for ServeError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
