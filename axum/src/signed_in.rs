//! The extractor of a caller that is signed in, and the narrower ones.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use gatepost::sessions::RevokeApiKeys;
use gatepost::{Credential, NotPermitted, Password, Principal, Store};

use crate::auth::Auth;
use crate::blocking::blocking;
use crate::client::{LoggedIn, change_password};
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
/// treated as anonymous.
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
    auth: Auth,
    held: Arc<Held>,
}

impl SignedIn {
    /// Whether the caller has a privilege, as fresh and as fast as a verify.
    ///
    /// # Errors
    /// 403 without the privilege; otherwise as [`Store::may`].
    pub fn may(&self, privilege: &str) -> Result<(), Rejection> {
        let permission = self.store.may(&self.principal, privilege)?;
        permission.granted().map_err(|refused| self.answer(refused.into()))
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
        blocking(move || work(&store)).await.map_err(|rejection| self.answer(rejection))
    }

    /// Changes the caller's own password. All other sessions of the user end. This one gets a new
    /// token: answer with the [`LoggedIn`], which sets its cookie.
    ///
    /// # Errors
    /// 403 (`wrong_current_password`) if the current password is wrong, 422 if the new one breaks
    /// a rule, 401 if the credential is an API key or the session has ended, 429 after too many
    /// attempts; and as `Store::change_password`.
    pub async fn change_password(
        &self,
        current: Password,
        new: Password,
    ) -> Result<LoggedIn, Rejection> {
        self.change(current, new, RevokeApiKeys::Keep).await
    }

    /// As [`SignedIn::change_password`], and revokes all API keys of the user in the same write.
    ///
    /// # Errors
    /// As [`SignedIn::change_password`].
    pub async fn change_password_and_revoke_keys(
        &self,
        current: Password,
        new: Password,
    ) -> Result<LoggedIn, Rejection> {
        self.change(current, new, RevokeApiKeys::All).await
    }

    async fn change(
        &self,
        current: Password,
        new: Password,
        keys: RevokeApiKeys,
    ) -> Result<LoggedIn, Rejection> {
        let changed = change_password(&self.auth, Arc::clone(&self.held), current, new, keys);
        changed.await.map_err(|rejection| self.answer(rejection))
    }

    pub(crate) fn answer(&self, rejection: Rejection) -> Rejection {
        self.held.answer(&self.auth, rejection)
    }

    fn read(auth: &Auth, parts: &Parts) -> Result<Option<Self>, Rejection> {
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
        Self::read(&Auth::from_ref(state), parts)?.ok_or_else(Rejection::sign_in)
    }
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Self::read(&Auth::from_ref(state), parts)
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
                let caller = SignedIn::read(&Auth::from_ref(state), parts)?;
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
