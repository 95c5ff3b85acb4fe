//! Erase what the file keeps about a deleted user.

use crate::error::Result;
use crate::flow::revoke::Cause;
use crate::record::audit::{self, Written};
use crate::record::user::{self, Users};
use crate::record::{
    administration, api_key, configuration, credential, device, external_identity, one_time_token,
    pending_step, second_factor, session, throttle,
};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::target::Target;

/// The result of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ErasureReport {
    /// In how many rows of the audit log an address, a user agent, a device or a text of the host's
    /// was erased.
    pub audit_rows: usize,
    /// Whether the write-ahead log was emptied. If not, because another reader used it for a
    /// second, older pages of the file stay in it until a later checkpoint.
    pub is_log_emptied: bool,
}

impl Users<'_> {
    /// Erases what the file keeps about a deleted user: names, address, description, attributes,
    /// privileges, password, devices, sessions with their data, API keys, one-time tokens,
    /// configuration, and what the audit log keeps beside ids. **It cannot be undone.**
    ///
    /// The id stays, as rows of others refer to it, and so do the user's rows of the audit log,
    /// whose chain stays intact; the manual's page
    /// [`audit`](crate::manual::audit#how-is-a-person-exported-and-erased) lists each field. One
    /// transaction does all of it. Freed parts of the file are overwritten with zeros, and the
    /// write-ahead log is emptied. Copies of the file are the host's to delete.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").email("ada@example.com"))?.id;
    /// store.users().delete(ada)?;
    /// store.users().erase(ada)?;
    /// assert!(store.users().restore(ada).is_err());
    /// assert!(store.audit().verify_chain(None)?.is_intact());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if no deleted user has this id, or it was erased
    ///   before.
    #[doc(alias("GDPR", "right to be forgotten", "anonymise"))]
    pub fn erase(&self, id: UserId) -> Result<ErasureReport> {
        let store = self.store;
        let audit_rows = store.revoke(Target::User(id), Cause::UserDeleted, |tx, _| {
            // The deletion has revoked everything: only its rows are left.
            let rows = erase(tx, id, audit::next_seq(tx)?)?;
            Ok(Written::With(rows, Event::new(EventKind::UserErased).user(id)))
        })?;
        Ok(ErasureReport { audit_rows, is_log_emptied: store.core().storage.empty_log() })
    }
}

/// Erases a deleted user. `seq` is the number of the audit row that records it. Returns the number
/// of audit rows that kept something about the user.
pub(crate) fn erase(tx: &WriteTx<'_>, id: UserId, seq: i64) -> Result<usize> {
    user::erase(tx, id, seq)?;
    session::erase_of(tx, id)?;
    api_key::erase_of(tx, id)?;
    second_factor::remove(tx, id)?;
    pending_step::erase_of(tx, id)?;
    one_time_token::erase_of(tx, id)?;
    external_identity::erase_of(tx, id)?;
    administration::erase_of(tx, id)?;
    device::erase_of(tx, id)?;
    credential::remove(tx, id)?;
    configuration::erase_of(tx, id)?;
    throttle::clear(tx, id)?;
    audit::forget(tx, id)
}
