//! Explain to an operator why a token, a session, an API key or a login is refused, and which row
//! of the audit log is behind it.
//!
//! The file says whether something is refused, by the same rule as a verify (`Store::judge`). The
//! log says why: `explain/trace.rs` follows the rows that revoke, in their order. What the log does
//! not say is not said.

mod credential;
mod places;
mod rows;
mod trace;
mod user;

use crate::error::Result;
use crate::flow::verify::credential as credential_of;
use crate::store::Store;
use crate::value::event::AuditEntry;
use crate::value::id::UserId;
use crate::value::presented::Presented;
use crate::value::principal::{Credential, InvalidTokenReason, words};
use crate::value::time::Timestamp;
use crate::value::token;

words! {
    /// Why a credential or a login is refused: what [`Explanation::cause`] is.
    ///
    /// ```
    /// use gatepost::status::RefusalCause;
    ///
    /// assert_eq!(RefusalCause::WrongDevice.as_str(), "wrong_device");
    /// assert_eq!(RefusalCause::parse("replaced"), Some(RefusalCause::Replaced));
    /// ```
    RefusalCause {
        /// It is not refused now.
        Accepted = "accepted",
        /// The text does not have the form of the token of a session or of an API key.
        Malformed = "malformed",
        /// Neither the file nor the log knows a session, key or user of this id; or it is gone, and
        /// the log was trimmed, so that it does not say how it ended ([`AuditEvidence::Trimmed`]).
        Unknown = "unknown",
        /// The session or key exists, and this is not its token, nor was it one that the log knows
        /// to be replaced: the text is forged.
        WrongToken = "wrong_token",
        /// The session got a new token since: by a proof in it, or by a change of the password.
        Superseded = "superseded",
        /// The token was presented with another device than its own, without its device, or with a
        /// device though it has none.
        WrongDevice = "wrong_device",
        /// The lifetime has passed.
        Expired = "expired",
        /// The inactivity timeout has passed.
        Inactive = "inactive",
        /// Its time was over, by its lifetime or by inactivity, and its row was deleted since: the
        /// log has its beginning and no row that revoked it.
        Over = "over",
        /// A call revoked it: the row names the call and its actor.
        Revoked = "revoked",
        /// Another session or key took its place.
        Replaced = "replaced",
        /// A revocation could not be written to the disk, and this process refuses it from memory.
        Denied = "denied",
        /// It was opened, or last used, more than a minute in the future: a clock was wrong then,
        /// or is wrong now. For a user: a code of the second factor was, and none is accepted
        /// until that time has come.
        Clock = "clock",
        /// An administrator locked the user.
        UserLocked = "user_locked",
        /// The user is disabled.
        UserDisabled = "user_disabled",
        /// The user is not active yet.
        UserPending = "user_pending",
        /// The user was deleted.
        UserDeleted = "user_deleted",
        /// The user's branch is not active.
        BranchInactive = "branch_inactive",
        /// The organisation of the user's branch is not active.
        OrganisationInactive = "organisation_inactive",
        /// Too many attempts failed: no password from an unknown device is compared for now.
        LockedOut = "locked_out",
        /// The password is sealed under a key that this process lacks: it is not compared.
        KeyMissing = "key_missing",
        /// The password is marked as compromised.
        PasswordCompromised = "password_compromised",
        /// The user has no password.
        NoPassword = "no_password",
        /// The user must choose a new password, because a change was demanded or the password has
        /// expired ([`Options::password_expiry`](crate::Options::password_expiry)): a login needs
        /// one.
        NewPasswordRequired = "new_password_required",
    }
}

/// The row of the audit log behind a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AuditEvidence {
    /// This row: its actor, its time and its event say who did it, when and by which call.
    Row(Box<AuditEntry>),
    /// The row cannot be named: it, or one that came before it, may have been among the rows that
    /// were trimmed, or the place of the user is unknown, because the restore of a backup moves
    /// users and branches without a row.
    Trimmed,
    /// The log has no row about it.
    None,
}

impl AuditEvidence {
    /// The row, if there is one.
    #[must_use]
    pub fn row(&self) -> Option<&AuditEntry> {
        match self {
            Self::Row(entry) => Some(entry),
            Self::Trimmed | Self::None => None,
        }
    }

    fn of(row: Option<AuditEntry>) -> Self {
        row.map_or(Self::None, |row| Self::Row(Box::new(row)))
    }
}

/// Why a credential or a login is refused; [`Store::explain`](crate::Store::explain) and its
/// companions return it. For operators: it says more than a client may learn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Explanation {
    /// The cause.
    pub cause: RefusalCause,
    /// The reason under which a verify counts the refusal; `None` if it is accepted, and for a
    /// user.
    pub reason: Option<InvalidTokenReason>,
    /// The session or key, if the text or the handle names one.
    pub credential: Option<Credential>,
    /// The session or key that it came from, if that is what is refused: a key ends with the
    /// session or key that it was made from, and an impersonation with the administrator's session.
    pub through: Option<Credential>,
    /// The user, as far as the file or the log knows.
    pub user: Option<UserId>,
    /// When it or the password expired, when its inactivity timeout was over, or until when a user
    /// is locked out or has no code that is accepted.
    pub at: Option<Timestamp>,
    /// The row of the audit log behind it. For a time that has passed, that is the row of the
    /// beginning.
    pub evidence: AuditEvidence,
}

impl Explanation {
    fn new(cause: RefusalCause) -> Self {
        Self {
            cause,
            reason: None,
            credential: None,
            through: None,
            user: None,
            at: None,
            evidence: AuditEvidence::None,
        }
    }
}

impl Store {
    /// Explains why a token is refused with this device: for operators, and never for the client
    /// that presented it. Counts no use and no refusal.
    ///
    /// The answer is never more than the file and the audit log say. Reads the file, then the whole
    /// log once for the rows about the session or key (about a second for a million rows), and
    /// those about its user by an index, 2,000 rows in one snapshot. The answer is of no single
    /// moment.
    ///
    /// ```
    /// use gatepost::status::RefusalCause;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let token = reply.session.token.expose();
    /// assert_eq!(store.explain((token, None))?.cause, RefusalCause::WrongDevice);
    ///
    /// store.acting_as(ada).sessions().revoke(reply.session.id)?;
    /// let explanation = store.explain((token, &device))?;
    /// assert_eq!(explanation.cause, RefusalCause::Revoked);
    /// let row = explanation.evidence.row().expect("the log has it");
    /// assert_eq!((row.event.as_str(), row.actor.user()), ("session.revoked", Some(ada)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    #[doc(alias("why", "diagnose"))]
    pub fn explain<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Explanation> {
        let presented = presented.into();
        self.core().storage.check_open()?;
        let parsed = token::parse(presented.token());
        let known = parsed.and_then(|parsed| Some((credential_of(&parsed)?, parsed)));
        let Some((credential, parsed)) = known else {
            return Ok(Explanation {
                reason: Some(InvalidTokenReason::Malformed),
                ..Explanation::new(RefusalCause::Malformed)
            });
        };
        self.explain_by(credential, Some((&parsed, presented.device())))
    }

    /// As [`explain`](Self::explain), for the handle of a session or key: whether its own token
    /// would be refused on its own device.
    ///
    /// ```
    /// use gatepost::status::RefusalCause;
    /// use gatepost::{Credential, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let robot = store.users().create(NewUser::system("robot"))?.id;
    /// let key = store.api_keys().issue(robot, gatepost::sessions::NewApiKey::new())?.id;
    /// let why = || store.explain_credential(Credential::ApiKey(key));
    /// assert_eq!(why()?.cause, RefusalCause::Accepted);
    /// store.api_keys().revoke_all(robot)?;
    /// let row = why()?.evidence.row().cloned().expect("the log has it");
    /// assert_eq!(row.event, "user.api_keys_revoked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn explain_credential(&self, credential: Credential) -> Result<Explanation> {
        // No test fails without this: the read refuses as well. But the child of a fork must not
        // wait for the lock of what is denied, which a thread of its parent may hold.
        self.core().storage.check_open()?;
        self.explain_by(credential, None)
    }

    /// Explains why a login of a user with the right password from an unknown device would be
    /// refused now, as far as the user's status, place, password, failed attempts and used codes
    /// decide it.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserStatus;
    /// use gatepost::status::RefusalCause;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// assert_eq!(store.explain_user(ada)?.cause, RefusalCause::NoPassword);
    /// store.users().set_status(ada, UserStatus::Locked)?;
    /// let explanation = store.explain_user(ada)?;
    /// assert_eq!(explanation.cause, RefusalCause::UserLocked);
    /// assert_eq!(explanation.evidence.row().expect("the log has it").event, "user.locked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn explain_user(&self, user: UserId) -> Result<Explanation> {
        self.explain_login(user)
    }
}
