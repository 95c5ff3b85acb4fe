//! Sign in: the request, its outcome, and the step of a forced change of the password.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gatepost::{
    ClientKind, LoginOutcome, LoginRefusal, LoginReply, LoginRequest, Password, PendingStep,
};
use zeroize::Zeroizing;

use crate::desk::Desk;
use crate::error::Result;
use crate::factor_step::FactorStep;
use crate::folder::Turn;
use crate::seat::Seat;

/// A request to sign in, for [`Desk::sign_in_with`].
///
/// ```
/// use std::time::Duration;
///
/// use gatepost_desk::SignInRequest;
///
/// let request = SignInRequest::new("ada", "till and tally");
/// let request = request.remember_for(Duration::from_secs(30 * 86_400));
/// assert!(!format!("{request:?}").contains("tally"));
/// ```
#[must_use]
pub struct SignInRequest {
    username: String,
    password: Zeroizing<String>,
    remember: Remember,
}

/// How long a session is remembered.
#[derive(Debug, Clone, Copy)]
enum Remember {
    /// As long as it lives by the policy.
    AsLongAsItLives,
    For(Duration),
    UntilExit,
}

impl SignInRequest {
    /// A request with a username and password, as the user typed them. Give owned texts: the
    /// password is wiped from memory when it was used.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Zeroizing::new(password.into()),
            remember: Remember::AsLongAsItLives,
        }
    }

    /// "Remember me": the session lives for this time, more than zero and at most
    /// [`max_lifetime`](gatepost::policy::SessionPolicy::max_lifetime) (90 days in
    /// [`Options::desktop`](gatepost::Options::desktop)), and its token is saved.
    pub fn remember_for(self, lifetime: Duration) -> Self {
        Self { remember: Remember::For(lifetime), ..self }
    }

    /// For a shared machine: the token is not saved, so the session ends for this machine when the
    /// program does.
    pub fn forget_at_exit(self) -> Self {
        Self { remember: Remember::UntilExit, ..self }
    }

    /// Tries once, with a new password if one is demanded.
    pub(crate) fn attempt(self, desk: &Desk, new: Option<Zeroizing<String>>) -> Result<SignIn> {
        let keeps = !matches!(self.remember, Remember::UntilExit);
        let turn = desk.turn()?;
        let outcome = desk.store().log_in(self.request(desk, new.as_deref()))?;
        if new.is_none()
            && matches!(outcome, LoginOutcome::Refused(LoginRefusal::NewPasswordRequired))
        {
            let step = NewPasswordStep { desk: desk.clone(), request: self };
            return Ok(SignIn::NewPasswordRequired(step));
        }
        Ok(SignIn::of(desk, &turn, outcome, keeps, new))
    }

    fn request(&self, desk: &Desk, new: Option<&String>) -> LoginRequest {
        let password = Password::from(self.password.as_str());
        let request = LoginRequest::new(self.username.clone(), password, desk.device().clone());
        let request = request.client(ClientKind::Desktop);
        let request = match self.remember {
            Remember::For(lifetime) => request.lifetime(lifetime),
            Remember::AsLongAsItLives | Remember::UntilExit => request,
        };
        match new {
            Some(new) => request.new_password(Password::from(new.as_str())),
            None => request,
        }
    }
}

/// Shows neither the password nor the name: people type their password where the name is asked.
impl fmt::Debug for SignInRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInRequest").field("remember", &self.remember).finish_non_exhaustive()
    }
}

/// The outcome of a sign-in.
///
/// A second factor that is missing is a refusal too, so that a program that knows none refuses
/// users who need one; [`Refused::into_step`] goes on with it.
#[expect(clippy::exhaustive_enums, reason = "complete: a seat, a new password, or neither")]
#[derive(Debug)]
#[must_use]
pub enum SignIn {
    /// The user is signed in.
    Granted(Seat),
    /// The password was right, and the user must choose a new one.
    NewPasswordRequired(NewPasswordStep),
    /// The user is not signed in: show the message.
    Refused(Refused),
}

impl SignIn {
    pub(crate) fn of(
        desk: &Desk,
        turn: &Turn,
        outcome: LoginOutcome,
        keeps: bool,
        new: Option<Zeroizing<String>>,
    ) -> Self {
        let (refusal, step) = match outcome {
            LoginOutcome::Granted(reply) => return Self::granted_by(desk, turn, *reply, keeps),
            LoginOutcome::Refused(refusal) => (refusal, None),
            LoginOutcome::Pending(step) => (step.refusal(), Some(step)),
        };
        let step = step.map(|step: PendingStep| FactorStep::new(desk.clone(), step, keeps, new));
        Self::Refused(Refused { refusal, step })
    }

    fn granted_by(desk: &Desk, turn: &Turn, reply: LoginReply, keeps: bool) -> Self {
        Self::Granted(desk.seat(turn, reply, keeps))
    }

    /// Returns the seat, or the refusal as an error for `?`: also where a new password is required.
    ///
    /// # Errors
    /// The [`Refused`], if the user is not signed in.
    pub fn granted(self) -> Result<Seat, Refused> {
        match self {
            Self::Granted(seat) => Ok(seat),
            Self::NewPasswordRequired(_) => {
                Err(Refused { refusal: LoginRefusal::NewPasswordRequired, step: None })
            }
            Self::Refused(why) => Err(why),
        }
    }
}

/// A sign-in whose password was right and must be replaced. It keeps the password that was typed,
/// in memory, until it is dropped.
#[derive(Debug)]
pub struct NewPasswordStep {
    desk: Desk,
    request: SignInRequest,
}

impl NewPasswordStep {
    /// Signs the user in with the new password, which is in force from then on. May be called again
    /// if the new password is refused ([`LoginRefusal::PasswordRejected`]).
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost_desk::SignIn;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let bertram = NewUser::person("bertram").password("a first password".into());
    /// desk.store().users().create(bertram.must_change_password())?;
    /// let SignIn::NewPasswordRequired(step) = desk.sign_in("bertram", "a first password")? else {
    ///     panic!("no change was demanded")
    /// };
    /// assert!(step.change_to("short")?.granted().is_err());
    /// assert_eq!(step.change_to("seven geese at noon")?.granted()?.username(), "bertram");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Desk::sign_in`].
    pub fn change_to(&self, new: impl Into<String>) -> Result<SignIn> {
        let request = SignInRequest {
            username: self.request.username.clone(),
            password: self.request.password.clone(),
            remember: self.request.remember,
        };
        request.attempt(&self.desk, Some(Zeroizing::new(new.into())))
    }
}

/// Why a user is not signed in.
///
/// ```
/// use gatepost::LoginRefusal;
/// use gatepost_desk::SignIn;
///
/// # let directory = tempfile::tempdir()?;
/// # let folder = gatepost_desk::Folder::at(directory.path())?;
/// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
/// # desk.first_administrator("ada", "lantern over wet slate")?;
/// let SignIn::Refused(why) = desk.sign_in("ada", "a guess")? else { panic!("not refused") };
/// assert_eq!(why.refusal(), LoginRefusal::InvalidCredentials);
/// assert!(why.message().starts_with("The username or password is wrong"));
/// assert_eq!(why.retry_after(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Refused {
    refusal: LoginRefusal,
    step: Option<FactorStep>,
}

impl Refused {
    /// One sentence that may be shown to the person who tried.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        self.refusal.message()
    }

    /// The refusal, by which a program may choose another window.
    #[must_use]
    pub const fn refusal(&self) -> LoginRefusal {
        self.refusal
    }

    /// The time before another attempt can succeed; `None` if waiting does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.refusal.retry_after()
    }

    /// The step that goes on with a second factor, if that is what is missing
    /// ([`LoginRefusal::MfaCodeRequired`], [`LoginRefusal::MfaEnrolmentRequired`]).
    #[must_use]
    pub fn into_step(self) -> Option<FactorStep> {
        self.step
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl std::error::Error for Refused {}
