//! Everything that the file has about one user.

use crate::error::Result;
use crate::record::administration::{self, Administration};
use crate::record::api_key::{self, ApiKeyInfo};
use crate::record::audit::AuditFilter;
use crate::record::configuration::{self, Setting};
use crate::record::device::{self, KnownDevice};
use crate::record::external_identity::{self, ExternalIdentity};
use crate::record::one_time_token::{self, OneTimeTokenInfo};
use crate::record::pending_step::{self, WaitingLogin};
use crate::record::second_factor::{self, SecondFactor, UnfinishedEnrolment};
use crate::record::session::{self, SessionInfo};
use crate::record::user::{self, User, Users};
use crate::record::{credential, throttle};
use crate::value::event::AuditEntry;
use crate::value::id::{BranchId, UserId};
use crate::value::time::Timestamp;

/// Everything that the file has about one user, except secrets, digests, and numbers by which the
/// library works, such as the number of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PersonalData {
    /// The user, also a deleted one.
    pub user: User,
    /// The branch that the user was in, if the user was deleted.
    pub former_branch: Option<BranchId>,
    /// When the password was set; `None` if there is none.
    pub password_set_at: Option<Timestamp>,
    /// Whether the password is marked as compromised.
    pub is_password_compromised: bool,
    /// When the last failed attempt was made from a device that is not known, or in a session;
    /// `None` if there was none since the last success.
    pub last_failed_at: Option<Timestamp>,
    /// The same, from a device that is known.
    pub last_failed_on_known_device_at: Option<Timestamp>,
    /// The configuration of this user alone.
    pub settings: Vec<Setting>,
    /// The devices on which the user has logged in.
    pub devices: Vec<KnownDevice>,
    /// The organisations and branches that the user administers.
    pub administrations: Vec<Administration>,
    /// The external identities.
    pub external_identities: Vec<ExternalIdentity>,
    /// The second factor, without its secret.
    pub second_factor: Option<SecondFactor>,
    /// When the recovery codes that are left were issued; `None` if none is left.
    pub recovery_codes_issued_at: Option<Timestamp>,
    /// The enrolment of a second factor that is not confirmed, without its secret.
    pub enrolment: Option<UnfinishedEnrolment>,
    /// The sessions, also those that are over and not swept yet.
    pub sessions: Vec<SessionInfo>,
    /// The sessions that the user has opened to act as another user: the address, the agent and the
    /// label are the user's own.
    pub impersonations: Vec<SessionInfo>,
    /// The host's own data of those sessions that have some, as JSON text.
    pub session_data: Vec<String>,
    /// The logins that wait for a second factor, also those that are over and not swept yet.
    pub waiting_logins: Vec<WaitingLogin>,
    /// The API keys, also those that are over and not swept yet.
    pub api_keys: Vec<ApiKeyInfo>,
    /// The one-time tokens, also those that are used or over and not swept yet.
    pub one_time_tokens: Vec<OneTimeTokenInfo>,
    /// The rows of the audit log that concern the user or whose actor the user is, oldest first.
    pub audit: Vec<AuditEntry>,
}

impl Users<'_> {
    /// Returns everything that the file has about one user, deleted or not, for the user
    /// (GDPR, article 15): with the feature `serde` it serialises as JSON.
    ///
    /// Reads all rows of the audit log about the user into memory, in pieces of 2,000; everything
    /// else is one snapshot.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let data = store.users().personal_data(ada.id)?;
    /// assert_eq!(data.user, ada);
    /// assert_eq!(data.audit[0].event, "user.created");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was erased.
    #[doc(alias("GDPR", "export", "data portability"))]
    pub fn personal_data(&self, id: UserId) -> Result<PersonalData> {
        let mut data = self.store.read(|tx| {
            let (password_set_at, is_password_compromised) = match credential::state_of(tx, id)? {
                Some((set_at, is_compromised)) => (Some(set_at), is_compromised),
                None => (None, false),
            };
            let [last_failed_at, on_known_device] = throttle::last_failures(tx, id)?;
            Ok(PersonalData {
                user: user::stored(tx, id)?,
                former_branch: user::former_branch(tx, id)?,
                password_set_at,
                is_password_compromised,
                last_failed_at,
                last_failed_on_known_device_at: on_known_device,
                settings: configuration::stored_of(tx, id)?,
                devices: device::all_of(tx, id)?,
                administrations: administration::stored_of(tx, id)?,
                external_identities: external_identity::of_user(tx, id)?,
                second_factor: second_factor::of_user(tx, id)?,
                recovery_codes_issued_at: second_factor::recovery_codes_issued_at(tx, id)?,
                enrolment: second_factor::enrolment_of(tx, id)?,
                sessions: session::stored_of(tx, id)?,
                impersonations: session::stored_by(tx, id)?,
                session_data: session::data_of(tx, id)?,
                waiting_logins: pending_step::stored_of(tx, id)?,
                api_keys: api_key::stored_of(tx, id)?,
                one_time_tokens: one_time_token::stored_of(tx, id)?,
                audit: Vec::new(),
            })
        })?;
        let audit = self.store.audit();
        for filter in [AuditFilter::new().user(id), AuditFilter::new().actor(id)] {
            for entry in audit.iter(&filter) {
                data.audit.push(entry?);
            }
        }
        data.audit.sort_by_key(|entry| entry.seq);
        data.audit.dedup_by_key(|entry| entry.seq);
        Ok(data)
    }
}
