//! Pages in HTML: the way to the login page and back.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{FromRequestParts, OriginalUri, Request};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next as Inner, from_fn};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::cookies;
use crate::rejection::Demand;

/// Makes a router answer with a redirect to the login page (303) where it would answer 401.
///
/// The address of a GET request goes along as the last parameter of the login page, `next`; after
/// the login, [`Next`] reads it, unless the page has a `next` of its own. Use the guard for pages
/// that a person opens, not for routes that a script calls. It protects no route by itself: it
/// changes the answers of the extractors and of [`Rejection`](crate::Rejection), and gives every
/// answer without a `Cache-Control` the value `no-store`, so that the button *Back* shows nothing
/// after a logout (ASVS 14.3.2).
///
/// ```
/// use axum::body::Body;
/// use axum::http::Request;
/// use axum::routing::get;
/// use axum::Router;
/// use gatepost::{Options, Store};
/// use gatepost_axum::{Auth, SignedIn, login_guard};
/// use tower::ServiceExt;
///
/// async fn page(_me: SignedIn) -> &'static str {
///     "A page."
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
/// let pages = login_guard(Router::new().route("/report", get(page)), "/login");
/// let app: Router = pages.with_state(Auth::new(store));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let request = Request::get("/report?year=2026").body(Body::empty()).unwrap();
/// let response = app.oneshot(request).await.unwrap();
/// assert_eq!(response.headers()["location"], "/login?next=%2Freport%3Fyear%3D2026");
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn login_guard<S>(pages: Router<S>, login_page: &'static str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    guarded(pages, login_page, Demand::SignIn)
}

/// Makes a router answer with a redirect to the page that asks for the password or a code (303)
/// where [`Fresh`](crate::Fresh) would answer 403. In all else it is as [`login_guard`], which goes
/// around it:
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use gatepost_axum::{Auth, Fresh, StepUp, login_guard, step_up_guard};
///
/// struct Export;
/// impl StepUp for Export {}
///
/// async fn page(_me: Fresh<Export>) -> &'static str {
///     "Everything."
/// }
///
/// let pages = Router::new().route("/export", get(page));
/// let pages: Router<Auth> = login_guard(step_up_guard(pages, "/prove"), "/login");
/// assert!(pages.has_routes());
/// ```
pub fn step_up_guard<S>(pages: Router<S>, proof_page: &'static str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    guarded(pages, proof_page, Demand::StepUp)
}

fn guarded<S>(pages: Router<S>, page: &'static str, demand: Demand) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let guard = move |request: Request, inner: Inner| async move {
        let next = next_of(&request);
        let mut response = inner.run(request).await;
        if response.extensions().get() == Some(&demand) {
            response = redirect(response, page, next);
        }
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
        response
    };
    pages.layer(from_fn(guard))
}

fn next_of(request: &Request) -> Option<String> {
    let original = request.extensions().get::<OriginalUri>().map(|original| &original.0);
    let uri: &Uri = original.unwrap_or(request.uri());
    let path = uri.path_and_query()?.as_str();
    let is_page = matches!(*request.method(), Method::GET | Method::HEAD);
    is_page.then(|| form_urlencoded::byte_serialize(path.as_bytes()).collect())
}

/// A redirect with the cookies of the refusal, so that the refused one is cleared.
fn redirect(refused: Response, page: &str, next: Option<String>) -> Response {
    let to = next.map_or_else(|| page.to_owned(), |next| with_next(page, &next));
    let Ok(location) = HeaderValue::try_from(to) else { return refused };
    let mut response = StatusCode::SEE_OTHER.into_response();
    cookies::keep(refused.headers(), response.headers_mut());
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The page with one more parameter, the last of its query.
fn with_next(page: &str, next: &str) -> String {
    let (page, fragment) = page.split_at(page.find('#').unwrap_or(page.len()));
    let sign = if page.contains('?') { '&' } else { '?' };
    format!("{page}{sign}next={next}{fragment}")
}

/// Where to go after a login: the parameter `next` of the query, or of a form.
///
/// Only a path of this site is accepted, such as `/report?year=2026`. Everything else becomes `/`,
/// so that a link cannot send a person to another site through the login page (open redirect).
///
/// ```
/// use gatepost_axum::Next;
///
/// assert_eq!(Next::new("/report?year=2026").as_str(), "/report?year=2026");
/// assert_eq!(Next::new("https://other.example/").as_str(), "/");
/// assert_eq!(Next::new("//other.example/").as_str(), "/");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Next(String);

impl Next {
    /// The path, if it is one of this site, else `/`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        // A browser takes `\` for `/`, and drops tabs and line ends.
        let is_local = path.starts_with('/') && !path.starts_with("//");
        let is_plain = path.chars().all(|letter| letter.is_ascii_graphic() && letter != '\\');
        if is_local && is_plain { Self(path.to_owned()) } else { Self::default() }
    }

    /// The path: it begins with one slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `/`: for a form without the field, with `#[serde(default)]`.
impl Default for Next {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl From<String> for Next {
    fn from(path: String) -> Self {
        Self::new(&path)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Next {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let next = pairs.find(|(name, _)| name == "next");
        Ok(next.map_or_else(Self::default, |(_, path)| Self::new(&path)))
    }
}
