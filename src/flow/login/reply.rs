//! The reply to a login.

use crate::error::{Error, Result};
use crate::record::branch::{self, Branch};
use crate::record::configuration::{self, Configuration};
use crate::record::credit::{self, Credits};
use crate::record::organisation::{self, Organisation};
use crate::record::proof::Proof;
use crate::record::second_factor::{self, RecoveryCodes};
use crate::record::user::{self, User};
use crate::storage::ReadTx;
use crate::store::{Service, Store};
use crate::value::id::{SessionId, UserId};
use crate::value::password_rule::PasswordRule;
use crate::value::principal::{Credential, Principal};
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::StepDemand;
use crate::value::secret::Secret;
use crate::value::time::Timestamp;

/// The outcome of [`Store::log_in`], [`Store::complete_login`], [`Store::change_password`],
/// [`Store::prove`] and [`Sessions::open`](crate::sessions::Sessions::open).
#[expect(clippy::exhaustive_enums, reason = "complete: a session, a pending step, or neither")]
#[derive(Debug)]
#[must_use]
pub enum LoginOutcome {
    /// A session was opened, or got a new token.
    Granted(Box<LoginReply>),
    /// The password was right, and a second factor is missing: no session was opened yet. A change
    /// of the password and a proof in a session never have this outcome.
    Pending(PendingStep),
    /// Nothing was opened or changed, for this reason.
    Refused(LoginRefusal),
}

impl LoginOutcome {
    /// Returns the reply, or the refusal as an error for `?`. A program that calls this, and does
    /// not read [`Pending`](Self::Pending), refuses users who need a second factor.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let login = LoginRequest::new("ada", Password::from("a guess"), DeviceId::new("till-1")?);
    /// let refusal = store.log_in(login)?.granted().unwrap_err();
    /// assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The [`LoginRefusal`], if the login was refused;
    /// [`MfaCodeRequired`](LoginRefusal::MfaCodeRequired) or
    /// [`MfaEnrolmentRequired`](LoginRefusal::MfaEnrolmentRequired) if it is pending.
    pub fn granted(self) -> std::result::Result<LoginReply, LoginRefusal> {
        match self {
            Self::Granted(reply) => Ok(*reply),
            Self::Pending(step) => Err(step.refusal()),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// A login that waits for a second factor: [`Store::complete_login`] opens the session.
///
/// The token is none of a session, and no other call accepts it. It is valid for 10 minutes and not
/// beyond the end that the login asked for, on the device of the login alone, and for five wrong
/// codes. Send it to the client, for example as a hidden field of the page that asks for the code.
#[derive(Debug)]
#[non_exhaustive]
pub struct PendingStep {
    /// The secret that the client presents with its device to complete the login.
    pub token: Secret,
    /// What the login waits for.
    pub demand: StepDemand,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
    /// Whether the user must choose a new password, which the completion must carry: also if the
    /// login carried one, which is not stored.
    pub new_password_required: bool,
}

impl PendingStep {
    /// The refusal for a program that does not go on with the step.
    ///
    /// ```
    /// # use gatepost::{DeviceId, LoginOutcome, LoginRefusal, LoginRequest, NewUser, Password};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// use gatepost::policy::SecondFactorPolicy;
    /// use gatepost::{Options, Store};
    ///
    /// let store = Store::open(path, Options::server().second_factor(SecondFactorPolicy::All))?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let login = LoginRequest::new("ada", Password::from("till and tally"), DeviceId::random()?);
    /// let LoginOutcome::Pending(step) = store.log_in(login)? else { panic!("not pending") };
    /// assert_eq!(step.refusal(), LoginRefusal::MfaEnrolmentRequired);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn refusal(&self) -> LoginRefusal {
        match self.demand {
            StepDemand::Code => LoginRefusal::MfaCodeRequired,
            StepDemand::Enrolment => LoginRefusal::MfaEnrolmentRequired,
        }
    }
}

/// A session that was just opened, or got a new token: the only time that the token can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenedSession {
    /// The public handle.
    pub id: SessionId,
    /// The secret that the client presents with its device on every request. It has 256 random bits
    /// (ASVS 7.2.3).
    pub token: Secret,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
    /// Whether the caller asked for a later expiry than the policy allows.
    pub clamped: bool,
}

/// The reply to a login or a change of the password, all read in the transaction that opens or
/// renews the session.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginReply {
    /// The session.
    pub session: OpenedSession,
    /// The principal that a verify of the session's token returns now.
    pub principal: Principal,
    /// The user, its branch and organisation, and the configuration.
    pub profile: Profile,
    /// Whether the user has a second factor.
    pub has_second_factor: bool,
    /// The number of recovery codes that the user has left.
    pub recovery_codes_left: u64,
    /// The recovery codes of a factor that this login enrolled: the only time that they can be
    /// read. `None` from every other login.
    pub recovery_codes: Option<RecoveryCodes>,
    /// The rule that the password of this login breaks: it is shorter than the policy asks for,
    /// because the user has no second factor any more or the policy was raised since. The login is
    /// granted; the host advises the user to change the password or to enrol a second factor.
    /// `None` after a change of the password and where no password was presented.
    pub password_advice: Option<PasswordRule>,
}

/// The user behind a session or API key, with its branch, organisation, configuration and credits.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Profile {
    /// The user.
    pub user: User,
    /// The user's branch.
    pub branch: Option<Branch>,
    /// The branch's organisation.
    pub organisation: Option<Organisation>,
    /// The public configuration in force for this user.
    pub configuration: Configuration,
    /// The credits that remain; `None` if neither branch nor organisation has a count.
    pub credits: Option<Credits>,
    /// The name and version of the service, for clients.
    pub service: Service,
}

/// The reply for a session that this transaction has opened or renewed.
pub(crate) fn granted(
    tx: &ReadTx<'_>,
    store: &Store,
    user: UserId,
    session: OpenedSession,
) -> Result<LoginReply> {
    let credential = Credential::Session(session.id);
    let proof = Proof::of(tx, credential)?.ok_or_else(|| {
        Error::corrupt("a session that was just opened is missing from the file")
    })?;
    Ok(LoginReply {
        session,
        principal: proof.principal(credential),
        profile: profile(tx, store, user)?,
        has_second_factor: second_factor::is_in_force(tx, user)?,
        recovery_codes_left: second_factor::recovery_codes_left(tx, user)?,
        recovery_codes: None,
        password_advice: None,
    })
}

/// The profile of a user: all of a reply except the session.
pub(crate) fn profile(tx: &ReadTx<'_>, store: &Store, user: UserId) -> Result<Profile> {
    let user = user::find(tx, user)?
        .ok_or_else(|| Error::corrupt("the user of a session is missing from the file"))?;
    let branch = user.branch.map(|id| branch::find(tx, id)).transpose()?.flatten();
    let place = branch.as_ref().and_then(|branch| branch.organisation);
    let organisation = place.map(|id| organisation::find(tx, id)).transpose()?.flatten();
    let configuration = configuration::public_for(tx, user.id, user.branch, place)?;
    let credits = credit::of_place(tx, user.branch, place)?;
    Ok(Profile { user, branch, organisation, configuration, credits, service: store.service() })
}
