//! Everything that the file has about one user.

use crate::error::Result;
use crate::record::administration;
use crate::record::api_key::{self, ApiKeyInfo};
use crate::record::audit::AuditFilter;
use crate::record::configuration::{self, Setting};
use crate::record::device::{self, KnownDevice};
use crate::record::external_identity::{self, ExternalIdentity};
use crate::record::one_time_token::{self, OneTimeTokenInfo};
use crate::record::second_factor::{self, SecondFactor};
use crate::record::session::{self, SessionInfo};
use crate::record::user::{self, User, Users};
use crate::value::event::AuditEntry;
use crate::value::id::UserId;
use crate::value::subtree::Subtree;

/// Everything that the file has about one user, except secrets and digests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PersonalData {
    /// The user, also a deleted one.
    pub user: User,
    /// The configuration of this user alone.
    pub settings: Vec<Setting>,
    /// The devices on which the user has logged in.
    pub devices: Vec<KnownDevice>,
    /// The organisations and branches that the user administers.
    pub administrations: Vec<Subtree>,
    /// The external identities.
    pub external_identities: Vec<ExternalIdentity>,
    /// The second factor, without its secret.
    pub second_factor: Option<SecondFactor>,
    /// The sessions, also those that are over and not swept yet.
    pub sessions: Vec<SessionInfo>,
    /// The host's own data of those sessions that have some, as JSON text.
    pub session_data: Vec<String>,
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
            Ok(PersonalData {
                user: user::stored(tx, id)?,
                settings: configuration::stored_of(tx, id)?,
                devices: device::all_of(tx, id)?,
                administrations: administration::of_user(tx, id)?,
                external_identities: external_identity::of_user(tx, id)?,
                second_factor: second_factor::of_user(tx, id)?,
                sessions: session::stored_of(tx, id)?,
                session_data: session::data_of(tx, id)?,
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
