//! The answer to a login.

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::record::branch::{self, Branch};
use crate::record::configuration::{self, Configuration};
use crate::record::credit::{self, Credits};
use crate::record::organisation::{self, Organisation};
use crate::record::user::{self, User};
use crate::storage::ReadTx;
use crate::store::{Service, Store};
use crate::value::id::{SessionId, UserId};
use crate::value::refusal::Refusal;
use crate::value::secret::Secret;

/// What a login came to.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub enum LoginAnswer {
    /// A session was opened.
    Granted(Box<LoginReply>),
    /// None was, for this reason.
    Refused(Refusal),
}

impl LoginAnswer {
    /// The reply, or the refusal as an error: for `?`.
    ///
    /// # Errors
    /// The [`Refusal`], if the login was refused.
    pub fn granted(self) -> std::result::Result<LoginReply, Refusal> {
        match self {
            Self::Granted(reply) => Ok(*reply),
            Self::Refused(refusal) => Err(refusal),
        }
    }

    /// Whether a session was opened.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Granted(_))
    }
}

/// A session that was just opened or renewed: the only time its token is seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenedSession {
    /// Its public handle.
    pub id: SessionId,
    /// The secret to present with the device, each time.
    pub token: Secret,
    /// The first moment at which it is expired.
    pub expires_at: DateTime<Utc>,
    /// Whether a later end was asked for than the policy allows.
    pub clamped: bool,
}

/// What a client learns when it logs in or changes its password, all read in the transaction that
/// opens or renews the session.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginReply {
    /// The session.
    pub session: OpenedSession,
    /// The user.
    pub user: User,
    /// The user's branch.
    pub branch: Option<Branch>,
    /// The branch's organisation.
    pub organisation: Option<Organisation>,
    /// The public configuration in force for this user.
    pub configuration: Configuration,
    /// The credits that remain; none if neither branch nor organisation has a count.
    pub credits: Option<Credits>,
    /// The service, as it names itself to clients.
    pub service: Service,
    /// Whether a second factor is enrolled.
    pub mfa_enrolled: bool,
}

/// What a login reply says but the session, read again for a live one.
#[derive(Debug, Clone, PartialEq)]
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
    /// The credits that remain; none if neither branch nor organisation has a count.
    pub credits: Option<Credits>,
    /// The service, as it names itself to clients.
    pub service: Service,
    /// Whether a second factor is enrolled.
    pub mfa_enrolled: bool,
}

impl LoginReply {
    /// The session, and all the rest.
    #[must_use]
    pub fn into_parts(self) -> (OpenedSession, Profile) {
        let Self {
            session,
            user,
            branch,
            organisation,
            configuration,
            credits,
            service,
            mfa_enrolled,
        } = self;
        let profile =
            Profile { user, branch, organisation, configuration, credits, service, mfa_enrolled };
        (session, profile)
    }
}

/// The reply for a session that this transaction has opened or renewed.
pub(crate) fn granted(
    tx: &ReadTx<'_>,
    store: &Store,
    user: UserId,
    session: OpenedSession,
) -> Result<LoginReply> {
    let Profile { user, branch, organisation, configuration, credits, service, mfa_enrolled } =
        profile(tx, store, user)?;
    Ok(LoginReply {
        session,
        user,
        branch,
        organisation,
        configuration,
        credits,
        service,
        mfa_enrolled,
    })
}

/// Everything but the session.
pub(crate) fn profile(tx: &ReadTx<'_>, store: &Store, user: UserId) -> Result<Profile> {
    let user =
        user::find(tx, user)?.ok_or_else(|| Error::corrupt("a session's user does not exist"))?;
    let branch = user.branch.map(|id| branch::find(tx, id)).transpose()?.flatten();
    let place = branch.as_ref().and_then(|branch| branch.organisation);
    let organisation = place.map(|id| organisation::find(tx, id)).transpose()?.flatten();
    let configuration = configuration::public_for(tx, user.id, user.branch, place)?;
    let credits = credit::of_place(tx, user.branch, place)?;
    Ok(Profile {
        user,
        branch,
        organisation,
        configuration,
        credits,
        service: store.service(),
        mfa_enrolled: false,
    })
}
