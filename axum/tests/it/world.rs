//! A site for the tests, and browsers that visit it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{Assurance, NewApiKey, OpenSession};
use gatepost::{DeviceId, LoginRequest, NewUser, Options, Store, User, UserId};
use gatepost_axum::{
    Admin, ApiKey, Auth, BegunLogin, Client, Fresh, LoggedIn, Peer, Privilege, Privileged,
    Rejection, Renewed, SignedIn, StepUp, healthz, login_guard, metrics, routes, step_up_guard,
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "lantern over wet slate";
pub(crate) const HOST: &str = "site.example";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) app: Router,
}

impl World {
    /// A site with the users `root` (an administrator), `ada` (who may read reports) and `bob`.
    pub(crate) fn new() -> Self {
        Self::with(|auth| auth)
    }

    pub(crate) fn with(change: impl FnOnce(Auth) -> Auth) -> Self {
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let options = Options::for_tests().sessions(SessionPolicy::web());
        let store = Store::in_memory(options.clock(Arc::new(clock.clone()))).unwrap();
        for (name, privilege) in [("root", "admin"), ("ada", "reports.read"), ("bob", "none")] {
            let user = NewUser::person(name).privilege(privilege).password(PASSWORD.into());
            store.users().create(user).unwrap();
        }
        let app = app(change(Auth::new(store.clone())));
        Self { store, clock, app }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { app: self.app.clone(), cookies: BTreeMap::new(), headers: Vec::new() }
    }

    pub(crate) fn user(&self, name: &str) -> User {
        self.store.users().find_by_username(name).unwrap().unwrap()
    }

    /// An API key of that user.
    pub(crate) fn key(&self, name: &str) -> String {
        let issued = self.store.api_keys().issue(self.user(name).id, NewApiKey::new()).unwrap();
        issued.key.expose().to_owned()
    }
}

pub(crate) fn app(auth: Auth) -> Router {
    let page = |me: SignedIn| async move { me.principal.user.to_string() };
    let kept = |_: SignedIn| async { [("cache-control", "private, max-age=60")] };
    let pages = Router::new()
        .route("/report", get(page).post(page))
        .route("/kept", get(kept))
        .route("/export", get(|_: Fresh<Export>| async {}));
    let pages = step_up_guard(pages, "/prove");
    Router::new()
        .nest("/auth", routes::all())
        .route("/mine", get(mine).post(mine))
        .route("/anyone", get(anyone).post(anyone))
        .route("/admin", get(|_: Admin| async {}))
        .route("/reports", get(|_: Privileged<ReadReports>| async {}))
        .route("/key", get(|_: ApiKey| async {}).post(|_: ApiKey| async {}))
        .route("/fresh", get(fresh))
        .route("/strong", get(|_: Fresh<Strong>| async {}))
        .route("/client", get(address).post(address))
        .route("/peer", post(async |peer: Peer| peer.info.agent().unwrap_or_default().to_owned()))
        .route("/create", post(create))
        .route("/stay", post(stay))
        .route("/shared", post(shared))
        .route("/provider/{user}", get(by_provider))
        .nest("/pages", login_guard(pages, "/login"))
        .merge(healthz())
        .merge(metrics())
        .with_state(auth)
}

struct ReadReports;

impl Privilege for ReadReports {
    const NAME: &'static str = "reports.read";
}

pub(crate) struct Export;

/// The defaults: a proof in the last 15 minutes, of any level.
impl StepUp for Export {}

struct Strong;

impl StepUp for Strong {
    const MAX_AGE: Duration = Duration::from_secs(60);
    const LEVEL: Assurance = Assurance::Aal2;
}

async fn fresh(me: Fresh<Export>) -> String {
    assert_eq!(me.session().principal(), &me.principal);
    me.device().map(DeviceId::handle).unwrap_or_default()
}

async fn mine(me: SignedIn) -> String {
    me.principal.user.to_string()
}

async fn anyone(me: Option<SignedIn>) -> String {
    me.map_or("anonymous".into(), |me| me.principal.user.to_string())
}

async fn address(client: Client) -> String {
    let address = client.info.address().map(|address| address.to_string());
    format!("{} {}", address.unwrap_or_default(), client.info.agent().unwrap_or_default())
}

async fn create(me: SignedIn, Json(name): Json<String>) -> Result<(), Rejection> {
    me.blocking(|store| store.users().create(NewUser::person(name))).await.map(drop)
}

async fn stay(me: SignedIn) -> Result<(Renewed, String), Rejection> {
    let renewed = me.renew().await?;
    let end = renewed.expires_at.to_string();
    Ok((renewed, end))
}

/// A login of a day at a computer that others use as well. The second call changes nothing.
async fn shared(client: Client) -> Result<(LoggedIn, ()), Rejection> {
    let day = |request: LoginRequest| request.lifetime(Duration::from_secs(86_400));
    let logged_in = client.log_in_with("ada", PASSWORD.into(), day).await?;
    Ok((logged_in.until_browser_closes().until_browser_closes(), ()))
}

/// A session of a day.
async fn by_provider(client: Client, Path(user): Path<UserId>) -> Result<Response, Rejection> {
    let day =
        |open: OpenSession| open.label("by the provider").lifetime(Duration::from_secs(86_400));
    Ok(match client.open_session(user, day).await? {
        BegunLogin::LoggedIn(logged_in) => (*logged_in, "signed in").into_response(),
        BegunLogin::Waits(waiting) => {
            let said = format!("a code, please: {}", waiting.step.token.expose());
            (waiting, said).into_response()
        }
    })
}

/// Keeps its cookies, and sends them with each request.
#[derive(Clone)]
pub(crate) struct Browser {
    app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Sent with each request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Option<Value>) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "username": name, "password": password });
        self.post("/auth/login", Some(body)).await
    }

    /// Logs in, which must be granted.
    pub(crate) async fn signed_in(mut self, name: &str) -> Self {
        let answer = self.log_in(name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let body = match body {
            Some(json) => {
                request = request.header("content-type", "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        self.exchange(request.body(body).unwrap()).await
    }

    pub(crate) async fn exchange(&mut self, request: Request<Body>) -> Answer {
        let answer = exchange(&self.app, request).await;
        for line in answer.set_cookies() {
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

pub(crate) async fn exchange(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

impl Answer {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let all = self.headers.get_all("set-cookie").iter();
        all.map(|line| line.to_str().unwrap()).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The member `code` of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        problem["code"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{}", self.body);
    }

    /// Whether the cookie of the session is removed.
    pub(crate) fn clears_the_cookie(&self) -> bool {
        let line = "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
        self.set_cookies() == [line]
    }
}

/// A request as it comes from that peer.
pub(crate) fn from_peer(mut request: Request<Body>, peer: &str) -> Request<Body> {
    let peer: std::net::SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// Runs a test that has [`abandoned`] requests: one thread runs all calls of the store in turn.
pub(crate) fn on_one_thread(test: impl Future<Output = ()>) {
    on_threads(1, test);
}

/// Runs a test in which no more calls than that may wait at a time.
pub(crate) fn on_threads(number: usize, test: impl Future<Output = ()>) {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_time().max_blocking_threads(number).build().unwrap().block_on(test);
}

/// A request whose client goes away while its first call of the store waits for the thread. Returns
/// once the call has run.
pub(crate) async fn abandoned(request: impl Future<Output = Answer>) {
    let (gone, wait) = channel::<()>();
    let busy = spawn_blocking(move || wait.recv().unwrap());
    assert!(tokio::time::timeout(Duration::ZERO, request).await.is_err());
    gone.send(()).unwrap();
    busy.await.unwrap();
    spawn_blocking(|| {}).await.unwrap();
}

/// Says that a test, or a part of it, does not run here. Not by `eprintln!`, of which the harness
/// shows nothing if the test passes.
pub(crate) fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}
