//! Sessions of the crate `tower-sessions` whose data is the data of the caller's session.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use cookie::time::OffsetDateTime;
use gatepost::sessions::Version;
use gatepost::{Error, ErrorClass, SessionId, Store, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;
use tower_sessions_core::Session;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{self, SessionStore};

use crate::auth::Auth;
use crate::blocking::blocking;
use crate::cookies;
use crate::rejection::Rejection;
use crate::signed_in::SignedIn;

/// Gives the routes of a router the extractor `tower_sessions::Session`, whose data is that of the
/// caller's session in the store: `Sessions::data`. So a program that has used `tower-sessions`
/// (0.15) keeps its handlers while its logins move to Gatepost.
///
/// - A caller who is signed in by a session gets that session's data. The data ends with it: a
///   logout, a revocation and every other end of the session are in force for both.
/// - Any other caller gets what a `SessionManagerLayer` outside of this router gives: keep yours
///   for the data of visitors who are not signed in. Without one the extractor answers 500.
/// - There is no cookie of its own, and no second id that could be stolen: the id of the session
///   in `tower-sessions` never leaves the process.
/// - The data is loaded at its first use and saved after the handler, if it has changed and the
///   answer is no server error; `save` alone saves it at once. All of it has at most 4 KiB as JSON,
///   else the answer is 422. If another request has changed it in the meantime, the answer is 409
///   (`stale`) and nothing is lost; `tower-sessions` alone would overwrite the other change. Either
///   has the cookies of the handler's answer.
/// - `flush` and `delete` empty the data, after the handler as well, and leave the session open:
///   [`Client::log_out`](crate::Client::log_out) ends it. `cycle_id` changes no token, because each
///   login, proof and change of the password has one of its own. `set_expiry` changes nothing: the
///   session has its expiry.
///
/// A credential that is refused is answered as [`SignedIn`] answers it, so leave the routes of a
/// login outside of this router.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use gatepost::{Options, Store};
/// use gatepost_axum::{Auth, with_session_data};
/// use tower_sessions::Session;
///
/// async fn visits(session: Session) -> String {
///     let visits = session.get::<u32>("visits").await.ok().flatten().unwrap_or(0) + 1;
///     match session.insert("visits", visits).await {
///         Ok(()) => format!("Visit {visits}."),
///         Err(_) => "The visit could not be counted.".to_owned(),
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// let auth = Auth::new(Store::open(directory.path().join("auth.db"), Options::web())?);
/// let app = Router::new().route("/visits", get(visits));
/// let app: Router = with_session_data(app, auth.clone()).with_state(auth);
/// assert!(app.has_routes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_session_data<S>(routes: Router<S>, auth: Auth) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes.layer(from_fn_with_state(auth, lend))
}

async fn lend(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match SignedIn::read(&auth, &parts).await {
        Ok(caller) => caller,
        Err(rejection) => return rejection.into_response(),
    };
    let own = caller.as_ref().and_then(|me| me.principal.credential.session());
    let Some((me, id)) = caller.as_ref().zip(own) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let data = Arc::new(Data {
        store: me.store.clone(),
        session: id,
        id: Id(i128::from_be_bytes(id.as_uuid().into_bytes())),
        ends: me.principal.expires_at,
        state: Mutex::default(),
    });
    let session = Session::new(Some(data.id), Arc::clone(&data), None);
    parts.extensions.insert(session.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    if data.state.lock().await.is_deleted && !session.is_modified() {
        session.clear().await;
    }
    if !session.is_modified() || response.status().is_server_error() {
        return response;
    }
    if session.save().await.is_ok() {
        return response;
    }
    let failed = data.state.lock().await.failed.take().unwrap_or_else(|| {
        let detail = "The service cannot answer now.";
        Rejection::new(ErrorClass::Unavailable, "unavailable", detail)
    });
    // The handler has ended the session, and the data with it.
    if failed.status() == StatusCode::NOT_FOUND {
        return response;
    }
    // What the handler did stays done: the session may have a new token.
    let mut refused = failed.into_response();
    cookies::keep(response.headers(), refused.headers_mut());
    refused
}

/// The store of one session for one request.
#[derive(Debug)]
struct Data {
    store: Store,
    session: SessionId,
    id: Id,
    ends: Option<Timestamp>,
    state: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    /// That of the data as this request knows it.
    version: Option<Version>,
    /// Whether the handler has deleted the data, which is written after it.
    is_deleted: bool,
    /// Why the last call failed, as `tower-sessions` keeps the text alone.
    failed: Option<Rejection>,
}

type Values = HashMap<String, Value>;

impl Data {
    async fn read(&self) -> Result<(Version, Values), Rejection> {
        let (store, session) = (self.store.clone(), self.session);
        let found = blocking(move || store.sessions().data::<Values>(session)).await?;
        Ok(found.map_or((Version::NONE, Values::new()), |data| (data.version, data.value)))
    }

    async fn write(&self, values: Values) -> Result<(), Rejection> {
        let mut state = self.state.lock().await;
        let version = match state.version {
            Some(version) => version,
            None => self.read().await?.0,
        };
        let (store, session) = (self.store.clone(), self.session);
        let set = move || -> Result<Version, Error> {
            store.sessions().set_data(session, &values, version)
        };
        state.version = Some(blocking(set).await?);
        state.is_deleted = false;
        Ok(())
    }

    /// Keeps why a call failed, for the answer.
    async fn failed(&self, rejection: Rejection) -> session_store::Error {
        let text = rejection.to_string();
        self.state.lock().await.failed = Some(rejection);
        session_store::Error::Backend(text)
    }
}

#[async_trait]
impl SessionStore for Data {
    /// After `cycle_id` and `flush`: the session keeps its place.
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        record.id = self.id;
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        match self.write(record.data.clone()).await {
            Ok(()) => Ok(()),
            Err(rejection) => Err(self.failed(rejection).await),
        }
    }

    async fn load(&self, _: &Id) -> session_store::Result<Option<Record>> {
        match self.read().await {
            Ok((version, stored)) => {
                let mut state = self.state.lock().await;
                state.version = Some(version);
                let data = if state.is_deleted { Values::new() } else { stored };
                Ok(Some(Record { id: self.id, data, expiry_date: self.expiry_date() }))
            }
            Err(rejection) => Err(self.failed(rejection).await),
        }
    }

    /// Writes nothing yet: `cycle_id` deletes data that is saved again after the handler.
    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        self.state.lock().await.is_deleted = true;
        Ok(())
    }
}

impl Data {
    /// For the program alone: the store itself ends the session.
    fn expiry_date(&self) -> OffsetDateTime {
        let seconds = self.ends.map_or(0, |end| end.as_millis() / 1_000);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}
