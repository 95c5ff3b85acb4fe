//! What callers change about themselves in their session. Each call presents the token once more.

use std::sync::Arc;

use gatepost::second_factors::{FactorCode, FactorOutcome, NewTotp, RecoveryCodes, TotpEnrolment};
use gatepost::sessions::Reauthentication;
use gatepost::{Error, ErrorClass, LoginOutcome, LoginRefusal, Password, Presented, Store};

use crate::blocking::blocking;
use crate::client::{LoggedIn, Renewed};
use crate::cookies::SessionCookie;
use crate::rejection::Rejection;
use crate::signed_in::SignedIn;

/// The outcome of a call that changes a second factor.
type Factor<T> = Result<FactorOutcome<T>, Error>;

impl SignedIn {
    /// Runs a call of the store that takes what the caller presented on a thread that may wait; see
    /// [`blocking`](crate::blocking()).
    ///
    /// ```
    /// use gatepost_axum::{Rejection, SignedIn};
    ///
    /// async fn report(me: SignedIn) -> Result<&'static str, Rejection> {
    ///     // After long work: whether the caller is still signed in.
    ///     let now = me.presenting(|store, held| store.verify(held)).await?;
    ///     now.valid().map(|_| "The report.").map_err(Rejection::from)
    /// }
    /// # let router = axum::Router::<gatepost_axum::Auth>::new()
    /// #     .route("/report", axum::routing::get(report));
    /// # assert!(router.has_routes());
    /// ```
    ///
    /// # Errors
    /// That of `work`, as a [`Rejection`].
    pub async fn presenting<T, E>(
        &self,
        work: impl FnOnce(&Store, Presented<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Rejection>
    where
        T: Send + 'static,
        E: Into<Rejection> + Send + 'static,
    {
        let (store, held) = (self.store.clone(), Arc::clone(&self.held));
        blocking(move || work(&store, Presented::from(&held.credentials))).await
    }

    /// Renews the caller's session: moves its end, as `Store::renew` does. Answer with the
    /// [`Renewed`], which sets the cookie until the new end. A program may call it at each request:
    /// an end that would hardly move stays, and nothing is written.
    ///
    /// ```
    /// use gatepost_axum::{Rejection, Renewed, SignedIn};
    ///
    /// async fn stay(me: SignedIn) -> Result<(Renewed, &'static str), Rejection> {
    ///     Ok((me.renew().await?, "Welcome back."))
    /// }
    /// # let router = axum::Router::<gatepost_axum::Auth>::new()
    /// #     .route("/stay", axum::routing::post(stay));
    /// # assert!(router.has_routes());
    /// ```
    ///
    /// # Errors
    /// 401 if the session has ended, 422 for an API key, and as `Store::renew`.
    pub async fn renew(&self) -> Result<Renewed, Rejection> {
        let end = self.presenting(|store, held| store.renew(held)).await?.valid()?;
        let has_moved = self.held.is_cookie && self.principal.expires_at != Some(end);
        let token = self.held.credentials.token.expose();
        let cookie = has_moved.then(|| SessionCookie::new(&self.auth, token, self.device(), end));
        Ok(Renewed::new(
            end,
            match self.held.until_closed {
                true => cookie.map(SessionCookie::until_closed),
                false => cookie,
            },
        ))
    }

    /// Changes the caller's own password. All other sessions of the user end. This one gets a new
    /// token: answer with the [`LoggedIn`], which sets its cookie.
    ///
    /// # Errors
    /// 403 (`wrong_current_password`) if the current password is wrong, or (`step_up_required`) if
    /// the user has a second factor and proved it longer than 15 minutes ago; 422 if the new one
    /// breaks a rule, 401 if the credential is an API key or the session has ended, 429 after too
    /// many attempts; and as `Store::change_password`.
    pub async fn change_password(
        &self,
        current: Password,
        new: Password,
    ) -> Result<LoggedIn, Rejection> {
        let change =
            |store: &Store, held: Presented<'_>| store.change_password(held, current, new);
        self.granted(self.presenting(change).await?, Rejection::wrong_current_password)
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
        let change = |store: &Store, held: Presented<'_>| {
            store.change_password_and_revoke_keys(held, current, new)
        };
        self.granted(self.presenting(change).await?, Rejection::wrong_current_password)
    }

    /// Proves again that the caller is the user (step-up), by the password or a code of the second
    /// factor: [`Fresh`](crate::Fresh) asks for it. The session gets a new token: answer with the
    /// [`LoggedIn`], which sets its cookie.
    ///
    /// # Errors
    /// 403 (`wrong_password_or_code`) if it is wrong, or (`mfa_code_required`) if a password does
    /// not suffice in this session; 401 if the session has ended, 429 after too many attempts; and
    /// as `Store::prove`.
    pub async fn prove(&self, with: Reauthentication) -> Result<LoggedIn, Rejection> {
        let prove = |store: &Store, held: Presented<'_>| store.prove(held, with);
        self.granted(self.presenting(prove).await?, Rejection::wrong_password_or_code)
    }

    /// Begins the enrolment of an authenticator. Show the secret once, and never log it.
    ///
    /// # Errors
    /// 403 (`step_up_required`) if the last proof of the user is older than 15 minutes; 422 if the
    /// user has a second factor already; and as `SecondFactors::enrol`.
    pub async fn enrol_second_factor(&self, new: NewTotp) -> Result<TotpEnrolment, Rejection> {
        self.factor(move |store, held| store.second_factors().enrol(held, new)).await
    }

    /// Begins the replacement of the second factor, which stays in force until
    /// [`SignedIn::confirm_second_factor`].
    ///
    /// # Errors
    /// 403 (`wrong_password_or_code`) if either is wrong, 429 after too many attempts; and as
    /// `SecondFactors::replace`.
    pub async fn replace_second_factor(
        &self,
        password: Password,
        code: FactorCode,
        new: NewTotp,
    ) -> Result<TotpEnrolment, Rejection> {
        self.factor(move |store, held| store.second_factors().replace(held, password, code, new))
            .await
    }

    /// Confirms an enrolment or replacement by two codes, one after the other. Show the recovery
    /// codes once. All other sessions of the user end.
    ///
    /// # Errors
    /// 403 (`wrong_password_or_code`) if a code is wrong, 429 after too many attempts; and as
    /// `SecondFactors::confirm`.
    pub async fn confirm_second_factor(
        &self,
        first: FactorCode,
        second: FactorCode,
    ) -> Result<RecoveryCodes, Rejection> {
        self.factor(move |store, held| store.second_factors().confirm(held, first, second)).await
    }

    /// Removes the second factor and its recovery codes. All other sessions of the user end.
    ///
    /// # Errors
    /// 403 (`wrong_password_or_code`) if either is wrong, 429 after too many attempts; and as
    /// `SecondFactors::remove`.
    pub async fn remove_second_factor(
        &self,
        password: Password,
        code: FactorCode,
    ) -> Result<(), Rejection> {
        self.factor(move |store, held| store.second_factors().remove(held, password, code)).await
    }

    /// Replaces the recovery codes. Show the new ones once. All other sessions of the user end.
    ///
    /// # Errors
    /// As [`SignedIn::remove_second_factor`].
    pub async fn reissue_recovery_codes(
        &self,
        password: Password,
        code: FactorCode,
    ) -> Result<RecoveryCodes, Rejection> {
        let reissue = move |store: &Store, held: Presented<'_>| {
            store.second_factors().reissue_recovery_codes(held, password, code)
        };
        self.factor(reissue).await
    }

    async fn factor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, Presented<'_>) -> Factor<T> + Send + 'static,
    ) -> Result<T, Rejection> {
        let outcome = self.presenting(work).await?;
        outcome.done().map_err(|refusal| refused(refusal, Rejection::wrong_password_or_code))
    }

    fn granted(
        &self,
        outcome: LoginOutcome,
        wrong: fn() -> Rejection,
    ) -> Result<LoggedIn, Rejection> {
        let reply = outcome.granted().map_err(|refusal| refused(refusal, wrong))?;
        let logged_in = LoggedIn::new(&self.auth, reply, self.device());
        Ok(match self.held.until_closed {
            true => logged_in.until_browser_closes(),
            false => logged_in,
        })
    }
}

/// The session goes on after every refusal but one, so no other is 401: a client that signs out on
/// a 401 would give up a session that is valid.
fn refused(refusal: LoginRefusal, wrong: fn() -> Rejection) -> Rejection {
    match refusal {
        LoginRefusal::InvalidCredentials => wrong(),
        LoginRefusal::SessionNotLive => Rejection::refused_credential(),
        refusal if refusal.class() == ErrorClass::SignIn => {
            Rejection::new(ErrorClass::Forbidden, refusal.name(), refusal.message())
        }
        refusal => refusal.into(),
    }
}
