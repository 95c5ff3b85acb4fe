//! The browser or program behind a request, and its login and logout.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{IntoResponseParts, ResponseParts};
use gatepost::second_factors::{NewTotp, RecoveryCodes, TotpEnrolment};
use gatepost::sessions::OpenSession;
use gatepost::{
    ClientInfo, CompleteLogin, DeviceId, ErrorKind, LoginOutcome, LoginReply, LoginRequest,
    Password, PendingStep, Principal, Profile, Timestamp, UserId,
};

use crate::auth::Auth;
use crate::blocking::blocking;
use crate::cookies::{SessionCookie, SetCookie};
use crate::credentials::{self, Held};
use crate::cross_site;
use crate::peer;
use crate::rejection::Rejection;

/// The browser or program behind a request, signed in or not: for a login and a logout of your own.
/// [`routes`](crate::routes) has both ready.
///
/// An unsafe request of another site is refused with 403, also one without cookies: a login that
/// another site makes would sign the person in as someone else.
#[derive(Clone)]
#[non_exhaustive]
pub struct Client {
    /// The IP address and the user agent, for the session and the audit log; see
    /// [`Peer`](crate::Peer).
    pub info: ClientInfo,
    auth: Auth,
    device: DeviceId,
    /// Of the header and of the cookie.
    held: [Option<Arc<Held>>; 2],
    /// Whether there are several headers: `held` then has none of them.
    is_ambiguous: bool,
}

impl Client {
    /// Logs a user in, on the device of this browser. Answer with the [`LoggedIn`], which sets the
    /// cookies.
    ///
    /// # Errors
    /// 401, 403, 409, 422, 429 or 503, as the refusal or error says.
    pub async fn log_in(
        &self,
        username: impl Into<String>,
        password: Password,
    ) -> Result<LoggedIn, Rejection> {
        self.log_in_with(username, password, |request| request).await
    }

    /// As [`Client::log_in`]; `more` adds to the request, such as a new password or a lifetime.
    ///
    /// # Errors
    /// As [`Client::log_in`].
    pub async fn log_in_with(
        &self,
        username: impl Into<String>,
        password: Password,
        more: impl FnOnce(LoginRequest) -> LoginRequest,
    ) -> Result<LoggedIn, Rejection> {
        let outcome = self.attempt(username, password, more).await?;
        Ok(LoggedIn::in_browser(self, outcome.granted()?))
    }

    /// As [`Client::log_in_with`], for a program whose users have second factors: a login that
    /// waits for one is no rejection.
    ///
    /// # Errors
    /// As [`Client::log_in`].
    pub async fn begin_login(
        &self,
        username: impl Into<String>,
        password: Password,
        more: impl FnOnce(LoginRequest) -> LoginRequest,
    ) -> Result<BegunLogin, Rejection> {
        self.begun(self.attempt(username, password, more).await?)
    }

    /// Opens a session on the device of this browser for a user that your program has authenticated
    /// by other means, such as an identity provider; `more` adds to the request. At
    /// [`Aal1`](gatepost::sessions::Assurance::Aal1), the default, a user who has a second factor
    /// is asked for it.
    ///
    /// ```
    /// use axum::response::{IntoResponse, Redirect, Response};
    /// use gatepost::UserId;
    /// use gatepost_axum::{BegunLogin, Client, Rejection};
    ///
    /// // After the provider's answer was verified, and its user found.
    /// async fn sign_in(client: Client, user: UserId) -> Result<Response, Rejection> {
    ///     Ok(match client.open_session(user, |open| open.label("by the provider")).await? {
    ///         BegunLogin::LoggedIn(logged_in) => (*logged_in, Redirect::to("/")).into_response(),
    ///         BegunLogin::Waits(waiting) => (waiting, "A code, please.").into_response(),
    ///     })
    /// }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::web())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let app: axum::Router = axum::Router::new()
    /// #     .route("/back", axum::routing::get(move |client: Client| sign_in(client, ada)))
    /// #     .with_state(gatepost_axum::Auth::new(store));
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// #     use tower::ServiceExt;
    /// #     let request = axum::http::Request::get("/back");
    /// #     let request = request.body(axum::body::Body::empty()).unwrap();
    /// #     let response = app.oneshot(request).await.unwrap();
    /// assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// 401, 403, 404, 409 or 503, as the refusal or error of `Sessions::open` says.
    pub async fn open_session(
        &self,
        user: UserId,
        more: impl FnOnce(OpenSession) -> OpenSession,
    ) -> Result<BegunLogin, Rejection> {
        let open = OpenSession::new(user, self.device.clone()).client_info(self.info.clone());
        let (open, store) = (more(open), self.auth.store().clone());
        self.begun(blocking(move || store.sessions().open(open)).await?)
    }

    fn begun(&self, outcome: LoginOutcome) -> Result<BegunLogin, Rejection> {
        match outcome {
            LoginOutcome::Pending(step) => {
                let device = SetCookie::device(self.auth.site(), &self.device);
                Ok(BegunLogin::Waits(WaitingLogin { step, device }))
            }
            outcome => {
                let logged_in = LoggedIn::in_browser(self, outcome.granted()?);
                Ok(BegunLogin::LoggedIn(Box::new(logged_in)))
            }
        }
    }

    async fn attempt(
        &self,
        username: impl Into<String>,
        password: Password,
        more: impl FnOnce(LoginRequest) -> LoginRequest,
    ) -> Result<LoginOutcome, Rejection> {
        let request = LoginRequest::new(username, password, self.device.clone());
        let request = more(request.client_info(self.info.clone()));
        let store = self.auth.store().clone();
        blocking(move || store.log_in(request)).await
    }

    /// Completes a login that waits, on the device of this browser; `request` makes the request of
    /// the device.
    ///
    /// # Errors
    /// As [`Client::log_in`]: 401 if the step is not valid any more, or the code is wrong.
    pub async fn complete_login(
        &self,
        request: impl FnOnce(DeviceId) -> CompleteLogin,
    ) -> Result<LoggedIn, Rejection> {
        let request = request(self.device.clone()).client_info(self.info.clone());
        let store = self.auth.store().clone();
        let outcome = blocking(move || store.complete_login(request)).await?;
        Ok(LoggedIn::in_browser(self, outcome.granted()?))
    }

    /// Begins the enrolment that a step of this browser's device waits for.
    ///
    /// # Errors
    /// 401 if the step is not valid any more; otherwise as `SecondFactors::enrol_at_login`.
    pub async fn enrol_at_login(
        &self,
        step: String,
        new: NewTotp,
    ) -> Result<TotpEnrolment, Rejection> {
        let (store, device) = (self.auth.store().clone(), self.device.clone());
        let begun =
            blocking(move || store.second_factors().enrol_at_login(&step, &device, new)).await?;
        Ok(begun.done()?)
    }

    /// Revokes the session of the request: if it has a header `Authorization` beside the cookies,
    /// that of the header and that of the cookie. Idempotent: without a session, or with one that
    /// has ended, there is nothing to do. Answer with the [`LoggedOut`], which removes the cookie
    /// of the session. That of the device stays, so that the user is known there at the next login.
    ///
    /// # Errors
    /// 400 for more than one header `Authorization`, and no session is revoked; 422 for an API key,
    /// which is revoked in another way; otherwise as `Store::log_out`. The cookie is then kept, so
    /// that the user can try again.
    pub async fn log_out(&self) -> Result<LoggedOut, Rejection> {
        if self.is_ambiguous {
            return Err(Rejection::ambiguous_credential());
        }
        let (store, held) = (self.auth.store().clone(), self.held.clone());
        // One call, so that a client that goes away leaves no session open.
        let revoke = move || {
            held.iter().flatten().try_for_each(|held| match store.log_out(&held.credentials) {
                // No token of a session, so no session is left.
                Err(error) if error.kind() == ErrorKind::Invalid && held.is_cookie => Ok(()),
                done => done.map(drop),
            })
        };
        blocking(revoke).await?;
        Ok(LoggedOut { session: SetCookie::cleared(self.auth.site()) })
    }
}

/// Shows neither the device nor the token.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("info", &self.info).finish_non_exhaustive()
    }
}

impl<S> FromRequestParts<S> for Client
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let auth = Auth::from_ref(state);
        cross_site::check(auth.site(), parts)?;
        let device = match credentials::device(&auth, parts) {
            Some(device) => device,
            None => DeviceId::random()?,
        };
        // A credential that cannot be read is none that could be revoked; the one beside it may be.
        let held = [credentials::of_header(parts), credentials::of_cookie(&auth, parts)];
        let held = held.map(|held| held.unwrap_or_default().map(Arc::new));
        let is_ambiguous = credentials::is_ambiguous(parts);
        Ok(Self { info: peer::info(&auth, parts), auth, device, held, is_ambiguous })
    }
}

/// The first call of a login: done, or waiting for a second factor.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "complete: a refusal is a rejection")]
#[must_use]
pub enum BegunLogin {
    /// The session is open.
    LoggedIn(Box<LoggedIn>),
    /// The login waits for a second factor.
    Waits(WaitingLogin),
}

/// A login that waits for a second factor. As a part of a response it sets the cookie of the
/// device, to which the step is bound; put the token of the step into the body.
///
/// One case remains: the browser had no cookies when it sent the request, and another login in it
/// was answered before this one. Its session has another device, so the browser is refused until
/// the user logs in again. So answer at once.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the cookie is set only if it is part of the response"]
pub struct WaitingLogin {
    /// The step, with its token.
    pub step: PendingStep,
    device: SetCookie,
}

/// A session that was just opened, or has a new token. As a part of a response it sets the cookies
/// of the session and of the device. It leaves both out if the session has ended before the
/// response is made, as the browser may have newer ones.
///
/// ```
/// use axum::response::Redirect;
/// use gatepost::Password;
/// use gatepost_axum::{Client, LoggedIn, Rejection};
///
/// async fn sign_in(client: Client) -> Result<(LoggedIn, Redirect), Rejection> {
///     let password = Password::from("lantern over wet slate"); // Of a form.
///     Ok((client.log_in("ada", password).await?, Redirect::to("/")))
/// }
/// # let router = axum::Router::<gatepost_axum::Auth>::new()
/// #     .route("/sign-in", axum::routing::post(sign_in));
/// # assert!(router.has_routes());
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the cookies are set only if it is part of the response"]
pub struct LoggedIn {
    /// The user behind the session.
    pub principal: Principal,
    /// The user, its branch and organisation, and the public configuration.
    pub profile: Profile,
    /// The recovery codes of a second factor that this login enrolled: show them once.
    pub recovery_codes: Option<RecoveryCodes>,
    session: SessionCookie,
    device: Option<SetCookie>,
}

impl LoggedIn {
    /// On that device; it sets the cookie of the session alone.
    pub(crate) fn new(auth: &Auth, reply: LoginReply, device: Option<&DeviceId>) -> Self {
        let LoginReply { principal, profile, recovery_codes, session, .. } = reply;
        let (token, end) = (session.token.expose(), session.expires_at);
        let session = SessionCookie::new(auth, token, device, end);
        Self { principal, profile, recovery_codes, session, device: None }
    }

    fn in_browser(client: &Client, reply: LoginReply) -> Self {
        let logged_in = Self::new(&client.auth, reply, Some(&client.device));
        let device = SetCookie::device(client.auth.site(), &client.device);
        Self { device: Some(device), ..logged_in }
    }

    /// Leaves the age of the session's cookie out: the browser forgets it when it is closed, for
    /// a person who has not chosen to stay signed in. A later renewal, proof or change of the
    /// password in the session leaves it out as well. The session ends no earlier for that; give
    /// the login a shorter lifetime as well.
    pub fn until_browser_closes(self) -> Self {
        Self { session: self.session.until_closed(), ..self }
    }
}

/// A session that was renewed. As a part of a response it sets the cookie of the session until its
/// new end, if the session was presented in a cookie, its end has moved, and the token is still
/// valid when the response is made.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the cookie is set only if it is part of the response"]
pub struct Renewed {
    /// The first moment at which the session is expired.
    pub expires_at: Timestamp,
    session: Option<SessionCookie>,
}

impl Renewed {
    pub(crate) const fn new(expires_at: Timestamp, session: Option<SessionCookie>) -> Self {
        Self { expires_at, session }
    }
}

/// A session that was ended. As a part of a response it removes the cookie of the session.
#[derive(Debug)]
#[must_use = "the cookie is removed only if it is part of the response"]
pub struct LoggedOut {
    session: SetCookie,
}

macro_rules! sets_cookies {
    ($($part:ty: $cookies:expr;)+) => {
        $(impl IntoResponseParts for $part {
            type Error = Infallible;

            fn into_response_parts(
                self,
                mut response: ResponseParts,
            ) -> Result<ResponseParts, Infallible> {
                let headers = response.headers_mut();
                let cookies: fn(&Self) -> [Option<HeaderValue>; 2] = $cookies;
                for cookie in cookies(&self).into_iter().flatten() {
                    headers.append(SET_COOKIE, cookie);
                }
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                Ok(response)
            }
        })+
    };
}

sets_cookies! {
    WaitingLogin: |part| [Some(part.device.header()), None];
    LoggedIn: |part| match part.session.header() {
        Some(session) => [Some(session), part.device.as_ref().map(SetCookie::header)],
        // A newer session of the browser may have another device, and is refused with this one.
        None => [None, None],
    };
    Renewed: |part| [part.session.as_ref().and_then(SessionCookie::header), None];
    LoggedOut: |part| [Some(part.session.header()), None];
}
