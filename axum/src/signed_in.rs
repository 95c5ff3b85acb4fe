//! The extractor of a caller that is signed in, and the narrower ones.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use gatepost::sessions::{Assurance, FreshSession};
use gatepost::{Credential, DeviceId, NotPermitted, Principal, Store};

use crate::auth::Auth;
use crate::blocking::blocking;
use crate::credentials::{self, Held};
use crate::rejection::Rejection;

/// The caller, who is signed in: by a session in the cookies, or by a session or API key in the
/// header `Authorization` (`Basic` or `Bearer`).
///
/// The token is verified on the thread that serves the request. That is answered from memory in
/// less than a microsecond; a token that this process has not seen since the last change costs one
/// short read of the file, which waits at most 50 ms for others.
///
/// As `Option<SignedIn>` it is `None` only if the request carries **no** credential. A credential
/// that is refused is 401 in both forms, and a refused cookie is cleared: such a caller is never
/// treated as anonymous. The cookie stays while a session is open in that browser, whose newer
/// token may be on its way; a thread that may wait asks for it.
///
/// A request with cookies and an unsafe method is refused with 403 if another site made it; see
/// [`Auth::allow_origin`]. Never change anything on a GET request, as these are not checked.
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use axum::routing::get;
/// use gatepost::{Options, Store};
/// use gatepost_axum::{Auth, SignedIn};
/// use tower::ServiceExt;
///
/// async fn greet(me: Option<SignedIn>) -> &'static str {
///     if me.is_some() { "Welcome back." } else { "Welcome." }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let store = Store::open(directory.path().join("auth.db"), Options::web())?;
/// let app = Router::new().route("/", get(greet)).with_state(Auth::new(store));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let request = |header: Option<&str>| {
///     let mut request = Request::get("/").body(Body::empty()).unwrap();
///     if let Some(header) = header {
///         request.headers_mut().insert("authorization", header.parse().unwrap());
///     }
///     app.clone().oneshot(request)
/// };
/// assert_eq!(request(None).await.unwrap().status(), StatusCode::OK);
/// assert_eq!(request(Some("Bearer gps_old")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct SignedIn {
    /// The user behind the credential. A copy of this moment: do not keep it.
    pub principal: Principal,
    /// The store, acting as the caller: the audit log records the caller for each write.
    pub store: Store,
    pub(crate) auth: Auth,
    pub(crate) held: Arc<Held>,
}

impl SignedIn {
    /// Whether the caller has a privilege, as fresh and as fast as a verify.
    ///
    /// # Errors
    /// 403 without the privilege; otherwise as [`Store::may`].
    pub fn may(&self, privilege: &str) -> Result<(), Rejection> {
        let permission = self.store.may(&self.principal, privilege)?;
        Ok(permission.granted()?)
    }

    /// Runs calls of the store on a thread that may wait, acting as the caller; see
    /// [`blocking`](crate::blocking()).
    ///
    /// # Errors
    /// That of `work`, as a [`Rejection`].
    pub async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Rejection>
    where
        T: Send + 'static,
        E: Into<Rejection> + Send + 'static,
    {
        let store = self.store.clone();
        blocking(move || work(&store)).await
    }

    /// The device of the caller: the browser, for a session of cookies; `None` for an API key.
    ///
    /// A page that lists devices marks the current one by
    /// [`DeviceId::handle`](gatepost::DeviceId::handle).
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        self.held.credentials.device.as_ref()
    }

    pub(crate) async fn read(auth: &Auth, parts: &Parts) -> Result<Option<Self>, Rejection> {
        match Self::verified(auth, parts) {
            Ok(caller) => Ok(caller),
            Err(rejection) => Err(credentials::answer(auth, parts, rejection).await),
        }
    }

    fn verified(auth: &Auth, parts: &Parts) -> Result<Option<Self>, Rejection> {
        let Some(held) = credentials::read(auth, parts)? else { return Ok(None) };
        let principal = held.verify(auth)?;
        let store = auth.store().acting_as(principal);
        Ok(Some(Self { principal, store, auth: auth.clone(), held: Arc::new(held) }))
    }
}

/// Shows neither the token nor the device.
impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Self::read(&Auth::from_ref(state), parts).await?.ok_or_else(Rejection::sign_in)
    }
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Self::read(&Auth::from_ref(state), parts).await
    }
}

/// A caller that is signed in and an administrator (the privilege `admin`); any other is answered
/// 403. The privilege implies no other.
#[derive(Debug, Clone)]
pub struct Admin(SignedIn);

/// A caller that is signed in and has a privilege; any other is answered 403. The privilege is a
/// type:
///
/// ```
/// use gatepost_axum::{Privilege, Privileged};
///
/// struct WriteReports;
/// impl Privilege for WriteReports {
///     const NAME: &'static str = "reports.write";
/// }
///
/// async fn write_report(_author: Privileged<WriteReports>) {}
/// # let _ = axum::Router::<gatepost_axum::Auth>::new()
/// #     .route("/reports", axum::routing::post(write_report));
/// assert_eq!(WriteReports::NAME, "reports.write");
/// ```
#[derive(Debug, Clone)]
pub struct Privileged<P>(SignedIn, PhantomData<fn() -> P>);

/// The name of a privilege, for [`Privileged`].
pub trait Privilege {
    /// 1 to 64 of `a-z`, `0-9` and `. _ : -`.
    const NAME: &'static str;
}

/// A program that is signed in by an API key; a session is answered 403. [`Privileged`] and
/// [`Admin`] accept it if its scopes and the privileges of its user both allow it.
#[derive(Debug, Clone)]
pub struct ApiKey(SignedIn);

/// A caller whose user has proved lately to be the user (step-up): for what must need more than a
/// stolen session, such as a new e-mail address (ASVS 7.5.1). How lately is a type:
///
/// ```
/// use gatepost::Store;
/// use gatepost_axum::{Fresh, Rejection, StepUp};
///
/// struct ChangeEmail;
/// impl StepUp for ChangeEmail {} // In the last 15 minutes, by a password or a code.
///
/// async fn set_email(me: Fresh<ChangeEmail>, email: String) -> Result<(), Rejection> {
///     let user = me.principal.user;
///     let change = move |store: &Store| store.users().set_email(user, Some(&email));
///     me.blocking(change).await.map(drop)
/// }
/// # let router = axum::Router::<gatepost_axum::Auth>::new()
/// #     .route("/email", axum::routing::post(set_email));
/// # assert!(router.has_routes());
/// ```
///
/// A login is a proof, and so is [`SignedIn::prove`], for which
/// [`routes::prove`](crate::routes::prove) is the ready route and
/// [`step_up_guard`](crate::step_up_guard) the way of pages. Any other caller that is signed in,
/// one with an API key included, is answered 403 (`step_up_required`).
#[derive(Debug, Clone)]
pub struct Fresh<S>(SignedIn, FreshSession, PhantomData<fn() -> S>);

impl<S> Fresh<S> {
    /// The proof that the session was checked, for functions that ask for one.
    #[must_use]
    pub const fn session(&self) -> &FreshSession {
        &self.1
    }
}

/// How lately and how strongly the user must have proved to be the user, for [`Fresh`].
pub trait StepUp {
    /// The greatest age of the proof. Default: 15 minutes.
    const MAX_AGE: Duration = Duration::from_secs(15 * 60);
    /// The least level of the session. Default: [`Aal1`](Assurance::Aal1), a password.
    const LEVEL: Assurance = Assurance::Aal1;
}

/// A check of a caller that is signed in.
trait Narrowed: Sized {
    fn narrow(caller: SignedIn) -> Result<Self, Rejection>;
}

impl Narrowed for Admin {
    fn narrow(caller: SignedIn) -> Result<Self, Rejection> {
        match caller.principal.is_admin {
            true => Ok(Self(caller)),
            false => Err(NotPermitted::Denied.into()),
        }
    }
}

impl<P: Privilege> Narrowed for Privileged<P> {
    fn narrow(caller: SignedIn) -> Result<Self, Rejection> {
        caller.may(P::NAME)?;
        Ok(Self(caller, PhantomData))
    }
}

impl Narrowed for ApiKey {
    fn narrow(caller: SignedIn) -> Result<Self, Rejection> {
        match caller.principal.credential {
            Credential::ApiKey(_) => Ok(Self(caller)),
            Credential::Session(_) => Err(NotPermitted::Denied.into()),
        }
    }
}

impl<S: StepUp> Narrowed for Fresh<S> {
    fn narrow(caller: SignedIn) -> Result<Self, Rejection> {
        let held = &caller.held.credentials;
        let session = caller.store.require_fresh(held, S::MAX_AGE, S::LEVEL)?.granted()?;
        Ok(Self(caller, session, PhantomData))
    }
}

macro_rules! extracted {
    ($type:ty $(, $parameter:ident: $bound:path)?) => {
        impl<S, $($parameter: $bound)?> FromRequestParts<S> for $type
        where
            S: Send + Sync,
            Auth: FromRef<S>,
        {
            type Rejection = Rejection;

            async fn from_request_parts(
                parts: &mut Parts,
                state: &S,
            ) -> Result<Self, Rejection> {
                let caller = SignedIn::read(&Auth::from_ref(state), parts).await?;
                Self::narrow(caller.ok_or_else(Rejection::sign_in)?)
            }
        }

        impl<$($parameter)?> Deref for $type {
            type Target = SignedIn;

            fn deref(&self) -> &SignedIn {
                &self.0
            }
        }
    };
}

extracted!(Admin);
extracted!(Privileged<P>, P: Privilege);
extracted!(ApiKey);
extracted!(Fresh<P>, P: StepUp);
