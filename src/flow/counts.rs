//! Count the rows of a store.

use std::fs;

use crate::error::Result;
use crate::record::audit::AuditFilter;
use crate::record::branch::BranchFilter;
use crate::record::organisation::OrganisationFilter;
use crate::record::session::SessionFilter;
use crate::record::user::UserFilter;
use crate::spans;
use crate::store::Store;
use crate::store::metrics::{Metrics, label};
use crate::value::principal::UserStatus;

/// How many rows of each kind a store has; from [`Store::counts`](crate::Store::counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// Users who are pending.
    pub users_pending: u64,
    /// Users who are active.
    pub users_active: u64,
    /// Users whom an administrator has locked.
    pub users_locked: u64,
    /// Users who are disabled.
    pub users_disabled: u64,
    /// Users who were deleted and can be restored.
    pub users_deleted: u64,
    /// Branches.
    pub branches: u64,
    /// Organisations.
    pub organisations: u64,
    /// Sessions that are valid now.
    pub sessions: u64,
    /// Rows of the audit log.
    pub audit_rows: u64,
    /// The size of the file in bytes; 0 in memory.
    pub file_bytes: u64,
    /// The size of the write-ahead log in bytes; 0 in memory.
    pub log_bytes: u64,
    /// The schema version that this version of the library writes.
    pub schema_version: i64,
    /// The number of warnings of opening the store.
    pub open_warnings: usize,
}

impl Store {
    /// Counts the rows of the store. Reads all of them, in pieces of 2,000 rows: about a second for
    /// a million. The pieces are not one snapshot.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// store.users().create(NewUser::person("ada"))?;
    /// let counts = store.counts()?;
    /// assert_eq!((counts.users_active, counts.sessions), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    #[doc(alias("stats", "statistics"))]
    pub fn counts(&self) -> Result<Counts> {
        spans::span!("counts");
        let users = |status| self.users().count(&UserFilter::new().status(status));
        let status = self.status();
        let file = status.path.as_ref().and_then(|path| fs::metadata(path).ok());
        Ok(Counts {
            users_pending: users(UserStatus::Pending)?,
            users_active: users(UserStatus::Active)?,
            users_locked: users(UserStatus::Locked)?,
            users_disabled: users(UserStatus::Disabled)?,
            users_deleted: self.users().count(&UserFilter::new().deleted())?,
            branches: self.branches().count(&BranchFilter::new())?,
            organisations: self.organisations().count(&OrganisationFilter::new())?,
            sessions: self.sessions().count(&SessionFilter::new())?,
            audit_rows: self.audit().count(&AuditFilter::new())?,
            file_bytes: file.map_or(0, |file| file.len()),
            log_bytes: status.log_bytes,
            schema_version: status.schema_version,
            open_warnings: status.open_warnings.len(),
        })
    }
}

impl Counts {
    /// These numbers as a page in the text format of Prometheus (version 0.0.4). All of them are
    /// those of the file, and no metric has a name of
    /// [`Status::metrics`](crate::status::Status::metrics), so that a program may serve both pages
    /// as one.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let page = store.counts()?.metrics();
    /// assert!(page.contains("\ngatepost_sessions 0\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut page = Metrics::default();
        let users = [
            ("pending", self.users_pending),
            ("active", self.users_active),
            ("locked", self.users_locked),
            ("disabled", self.users_disabled),
        ];
        let users = users.map(|(status, count)| (label("status", status), count));
        page.family("users", "Users that are not deleted, by status.", users);
        page.one("users_deleted", "Deleted users.", self.users_deleted);
        page.one("branches", "Branches.", self.branches);
        page.one("organisations", "Organisations.", self.organisations);
        page.one("sessions", "Sessions that are valid.", self.sessions);
        page.one("audit_rows", "Rows of the audit log.", self.audit_rows);
        page.one("file_bytes", "Size of the file.", self.file_bytes);
        page.one("wal_bytes", "Size of the write-ahead log.", self.log_bytes);
        page.into_text()
    }
}
