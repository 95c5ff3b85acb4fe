//! A store that is only read: verifies and lists over a copy that another program keeps up to date.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::flow::opening::write_use;
use crate::options::Options;
use crate::record::audit::AuditFilter;
use crate::record::branch::{Branch, BranchFilter};
use crate::record::organisation::{Organisation, OrganisationFilter};
use crate::record::session::{SessionFilter, SessionInfo};
use crate::record::user::{User, UserFilter};
use crate::storage::Storage;
use crate::store::{Core, Store};
use crate::value::event::AuditEntry;
use crate::value::id::{BranchId, OrganisationId, Page, SessionId, UserId};
use crate::value::permission::Permission;
use crate::value::presented::Presented;
use crate::value::principal::{InvalidToken, Principal, Verdict};
use crate::value::time::Timestamp;

/// A store that can be read and not written; from [`Store::open_read_only`]. It has no method that
/// writes.
///
/// Each call opens the file, reads it and closes it: between two calls nothing is locked, so that
/// another program may replace pages or the file itself. A verify takes about a millisecond.
/// A handle is cheap to clone and safe to share between threads.
///
/// ```
/// # use gatepost::sessions::OpenSession;
/// # use gatepost::{DeviceId, NewUser, Options, Store};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = Store::open(&path, Options::server())?;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # let device = DeviceId::random()?;
/// # let open = OpenSession::new(ada, device.clone());
/// # let session = store.sessions().open(open)?.granted()?.session;
/// let follower = Store::open_read_only(&path, Options::server())?;
/// let principal = follower.verify((&session.token, &device))?.valid()?;
/// assert_eq!(follower.user(principal.user)?.unwrap().username, "ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnlyStore {
    store: Store,
    path: PathBuf,
}

/// How far a read-only store is behind; from [`ReadOnlyStore::status`].
///
/// ```
/// use std::time::Duration;
///
/// # use gatepost::{Options, Store};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = Store::open(&path, Options::server())?;
/// let status = Store::open_read_only(&path, Options::server())?.status()?;
/// assert!(status.lag.unwrap() < Duration::from_secs(60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReadOnlyStatus {
    /// The path of the file.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::value::path::as_text"))]
    pub path: PathBuf,
    /// When the newest write that the file has was made; `None` if its audit log is empty.
    pub newest_write: Option<Timestamp>,
    /// How long ago that was: the copy has every write that is older. It also grows while nothing
    /// is written to the store.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "lag_ms", serialize_with = "crate::value::time::as_millis")
    )]
    pub lag: Option<Duration>,
}

impl Store {
    /// Opens a file to verify and list, and for nothing else: a copy that Litestream follows
    /// (`litestream restore -f`), or the file of a store in use.
    ///
    /// The file may be read-only, and a rollback of it is no concern: what it says now is the
    /// answer. So an answer is as old as the copy ([`ReadOnlyStatus::lag`]): a session that was
    /// revoked since still passes, and one that was opened since is refused. Uses of sessions are
    /// not noted, so an inactivity timeout goes by the uses on the primary.
    ///
    /// Uses the clock and the random source of `options`.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # Store::open(&path, Options::server())?;
    /// let follower = Store::open_read_only(&path, Options::server())?;
    /// assert!(follower.verify(("gps_", None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no file;
    /// - [`NotADatabase`](crate::ErrorKind::NotADatabase), [`NotOurs`](crate::ErrorKind::NotOurs),
    ///   [`TooNew`](crate::ErrorKind::TooNew), [`Corrupt`](crate::ErrorKind::Corrupt) if it is no
    ///   store that this version can read, or is empty and has a log or journal beside it;
    /// - [`Unsafe`](crate::ErrorKind::Unsafe) if its log, shared memory or journal is no regular
    ///   file;
    /// - [`Misuse`](crate::ErrorKind::Misuse) if a store was open when this process was forked;
    /// - [`Invalid`](crate::ErrorKind::Invalid), [`NoPermission`](crate::ErrorKind::NoPermission),
    ///   [`Busy`](crate::ErrorKind::Busy), [`Io`](crate::ErrorKind::Io),
    ///   [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("replica", "follower"))]
    pub fn open_read_only(path: impl AsRef<Path>, options: Options) -> Result<ReadOnlyStore> {
        let path = path.as_ref();
        options.check_bounds()?;
        let (clock, random) = (options.clock.clone(), Arc::clone(&options.random));
        let opened = Storage::open_read_only(path, clock, random)
            .and_then(|storage| Core::new(storage, options, Vec::new(), write_use));
        let core = opened.map_err(|error| error.at(path))?;
        Ok(ReadOnlyStore { store: Self::of(core), path: path.to_path_buf() })
    }
}

impl ReadOnlyStore {
    /// As [`Store::verify`], by what the file says now.
    ///
    /// Waits at most 50 ms in all, for the program that writes the copy.
    ///
    /// ```
    /// # use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # Store::open(&path, Options::server())?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert!(follower.verify(("gps_", None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read); after 50 ms
    /// [`Busy`](crate::ErrorKind::Busy).
    pub fn verify<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Verdict> {
        Ok(match self.located(self.store.live(presented.into()))? {
            Ok(live) => Verdict::Valid(live.principal),
            Err(_) => Verdict::Invalid(InvalidToken),
        })
    }

    /// As [`Store::may`], by what the file says now.
    ///
    /// ```
    /// # use gatepost::sessions::OpenSession;
    /// # use gatepost::{DeviceId, NewUser, Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(&path, Options::server())?;
    /// # let ada = store.users().create(NewUser::person("ada").privilege("reports.read"))?.id;
    /// # let device = DeviceId::random()?;
    /// # let open = OpenSession::new(ada, device.clone());
    /// # let session = store.sessions().open(open)?.granted()?.session;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// let principal = follower.verify((&session.token, &device))?.valid()?;
    /// assert!(follower.may(&principal, "reports.read")?.granted().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`Invalid`](crate::ErrorKind::Invalid) if the name is not 1
    /// to 64 of `a-z 0-9 . _ : -`.
    pub fn may(&self, principal: &Principal, privilege: &str) -> Result<Permission> {
        let (permission, _) = self.located(self.store.permission(principal, privilege))?;
        Ok(permission)
    }

    /// A user; `None` if the file has none of that id.
    ///
    /// ```
    /// # use gatepost::{NewUser, Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(&path, Options::server())?;
    /// # let ada = store.users().create(NewUser::person("ada"))?.id;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert_eq!(follower.user(ada)?.unwrap().username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn user(&self, id: UserId) -> Result<Option<User>> {
        self.located(self.store.users().find(id))
    }

    /// A page of users, as [`Users::list`](crate::directory::Users::list).
    ///
    /// ```
    /// # use gatepost::directory::UserFilter;
    /// # use gatepost::{NewUser, Options, Page, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(&path, Options::server())?;
    /// # store.users().create(NewUser::person("ada"))?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert_eq!(follower.users(&UserFilter::new(), Page::first(10))?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn users(&self, filter: &UserFilter, page: Page<UserId>) -> Result<Vec<User>> {
        self.located(self.store.users().list(filter, page))
    }

    /// A page of branches, as [`Branches::list`](crate::directory::Branches::list).
    ///
    /// ```
    /// # use gatepost::directory::BranchFilter;
    /// # use gatepost::{Options, Page, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(&path, Options::server())?;
    /// # store.branches().create("York", None)?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert_eq!(follower.branches(&BranchFilter::new(), Page::first(10))?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn branches(&self, filter: &BranchFilter, page: Page<BranchId>) -> Result<Vec<Branch>> {
        self.located(self.store.branches().list(filter, page))
    }

    /// A page of organisations, as
    /// [`Organisations::list`](crate::directory::Organisations::list).
    ///
    /// ```
    /// # use gatepost::directory::OrganisationFilter;
    /// # use gatepost::{Options, Page, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(&path, Options::server())?;
    /// # store.organisations().create("Northern")?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert_eq!(follower.organisations(&OrganisationFilter::new(), Page::first(10))?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn organisations(
        &self,
        filter: &OrganisationFilter,
        page: Page<OrganisationId>,
    ) -> Result<Vec<Organisation>> {
        self.located(self.store.organisations().list(filter, page))
    }

    /// A page of live sessions, as [`Sessions::list`](crate::sessions::Sessions::list).
    ///
    /// ```
    /// # use gatepost::sessions::SessionFilter;
    /// # use gatepost::{Options, Page, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # Store::open(&path, Options::server())?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert_eq!(follower.sessions(&SessionFilter::new(), Page::first(10))?.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn sessions(
        &self,
        filter: &SessionFilter,
        page: Page<SessionId>,
    ) -> Result<Vec<SessionInfo>> {
        self.located(self.store.sessions().list(filter, page))
    }

    /// A page of the audit log, as [`Audit::list`](crate::audit::Audit::list).
    ///
    /// ```
    /// # use gatepost::audit::AuditFilter;
    /// # use gatepost::{Options, Page, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # Store::open(&path, Options::server())?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// let log = follower.audit(&AuditFilter::new(), Page::first(10))?;
    /// assert_eq!(log[0].event, "store.created");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn audit(&self, filter: &AuditFilter, page: Page<i64>) -> Result<Vec<AuditEntry>> {
        self.located(self.store.audit().list(filter, page))
    }

    /// How far the file is behind the clock of this process: reads the newest row of its audit log.
    ///
    /// ```
    /// # use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # Store::open(&path, Options::server())?;
    /// # let follower = Store::open_read_only(&path, Options::server())?;
    /// assert!(follower.status()?.newest_write.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [every read](crate::manual::errors#every-read).
    pub fn status(&self) -> Result<ReadOnlyStatus> {
        let newest = self.located(self.store.audit().latest(1, &AuditFilter::new()))?;
        let newest_write = newest.first().map(|row| row.at);
        let now = self.store.now().as_millis();
        let lag = newest_write.map(|at| {
            let ms = now.saturating_sub(at.as_millis());
            Duration::from_millis(u64::try_from(ms).unwrap_or_default())
        });
        Ok(ReadOnlyStatus { path: self.path.clone(), newest_write, lag })
    }

    /// Adds the path to an error of the file.
    fn located<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(
            |error| {
                if error.kind().concerns_file() { error.at(&self.path) } else { error }
            },
        )
    }
}
