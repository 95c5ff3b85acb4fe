//! Restore a backup, and take in a copy that was put in its place by other means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flow::erase::erase;
use crate::flow::opening::Claim;
use crate::options::Options;
use crate::record::audit;
use crate::record::restore::{self, Lost, Stricter};
use crate::spans;
use crate::storage::{Before, OpenMark, Replaced, RestoreRequest, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, UserId};

/// How a backup is restored: the third argument of [`Store::restore`]. [`Options`] convert into it.
///
/// ```
/// use gatepost::backup::RestoreOptions;
/// use gatepost::{NewUser, Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let (path, copy) = (directory.path().join("auth.db"), directory.path().join("copy.db"));
/// let store = Store::open(&path, Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// store.backup(&copy, |_| ())?;
/// store.users().delete(ada)?;
///
/// // Ada was deleted by mistake: everything is as in the backup, except what was revoked.
/// let options = RestoreOptions::new(Options::server()).all_as_in_backup();
/// assert_eq!(Store::restore(&copy, &path, options)?.stricter, []);
/// assert!(store.users().find_by_username("ada")?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RestoreOptions {
    options: Options,
    keep_stricter: bool,
}

impl RestoreOptions {
    /// Uses the protections that `options` give up, their clock and their random source.
    pub fn new(options: Options) -> Self {
        Self { options, keep_stricter: true }
    }

    /// Restores statuses, deletions, passwords, failed attempts, devices and credits as they are in
    /// the backup, even where the file that it replaces is stricter. Without it the stricter of
    /// both stays.
    ///
    /// Sessions, API keys and one-time tokens are revoked all the same.
    pub fn all_as_in_backup(mut self) -> Self {
        self.keep_stricter = false;
        self
    }
}

impl From<Options> for RestoreOptions {
    fn from(options: Options) -> Self {
        Self::new(options)
    }
}

/// What a restore did; from [`Store::restore`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RestoreReport {
    /// What was at the path before.
    pub replaced: ReplacedFile,
    /// Sessions of the backup that were revoked.
    pub sessions_revoked: usize,
    /// API keys of the backup that were revoked.
    pub api_keys_revoked: usize,
    /// One-time tokens of the backup that were revoked.
    pub one_time_tokens_revoked: usize,
    /// What stays stricter than it is in the backup. Empty if the file that was replaced did not
    /// read.
    pub stricter: Vec<Stricter>,
    /// Users that the file had and the backup does not: they are deleted users if the audit log was
    /// kept, and gone otherwise.
    pub users_not_brought_back: Vec<UserId>,
    /// Branches that the file had and the backup does not.
    pub branches_not_brought_back: Vec<BranchId>,
    /// Organisations that the file had and the backup does not.
    pub organisations_not_brought_back: Vec<OrganisationId>,
    /// Whether the audit log is that of the file, which continues that of the backup. Otherwise it
    /// is that of the backup, and an anchor that was taken since does not fit it.
    pub audit_log_kept: bool,
}

/// What was at the path before a restore; from [`RestoreReport::replaced`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ReplacedFile {
    /// The store, which other processes may have open. They go on with the restored one.
    Live,
    /// A file that did not read. It is at this path now, and what was beside it as well.
    Damaged(
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::value::path::as_text"))]
        PathBuf,
    ),
    /// No file.
    Nothing,
}

/// What [`Store::adopt_restored`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AdoptReport {
    /// Sessions that were revoked.
    pub sessions_revoked: usize,
    /// API keys that were revoked.
    pub api_keys_revoked: usize,
    /// One-time tokens that were revoked.
    pub one_time_tokens_revoked: usize,
}

impl Store {
    /// Puts a backup of [`Store::backup`] in the place of the file at `path`.
    ///
    /// - **Nothing that was revoked comes back.** Every session, API key and one-time token is
    ///   revoked, those of the backup and those since, in every process and from the moment at
    ///   which this call puts the backup in its place.
    /// - **The file may be open** in any process: they all see the old store or the restored one,
    ///   and go on with that. No write is lost in between: writers wait, up to 5 s, and then get
    ///   `Busy`. Verifies go on.
    /// - **The stricter of both counts** if the file reads: users that were deleted, locked,
    ///   disabled or made pending since stay so; the passwords are those that the users had last;
    ///   the higher count of failed attempts and the lower count of credits stay; a deleted branch
    ///   or organisation is there again, inactive. The report lists each of them.
    ///   [`RestoreOptions::all_as_in_backup`] takes the backup instead.
    /// - **The audit log** of the file is kept if it continues that of the backup. Users who were
    ///   created since are deleted users then: [`Users::restore`](crate::directory::Users::restore)
    ///   brings one back, without password and privileges.
    /// - **Who was erased stays erased**, also with
    ///   [`all_as_in_backup`](RestoreOptions::all_as_in_backup).
    /// - **A file that does not read** is moved aside, if no process has it open.
    ///
    /// Privileges, branches, names, addresses, settings and the options of the file are those of
    /// the backup. Users who were created since are no longer there; the report lists them.
    ///
    /// Needs room beside the file for two copies of the backup.
    ///
    /// ```
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let (path, copy) = (directory.path().join("auth.db"), directory.path().join("copy.db"));
    /// let store = Store::open(&path, Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let device = DeviceId::random()?;
    /// let open = OpenSession::new(ada, device.clone());
    /// let session = store.sessions().open(open)?.granted()?.session;
    /// store.backup(&copy, |_| ())?;
    ///
    /// let report = Store::restore(&copy, &path, Options::server())?;
    /// assert_eq!(report.sessions_revoked, 1);
    /// assert!(store.verify((&session.token, &device))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file is as it was, except after `Io`, when it is either. [`Error::path`] says with which
    /// file it is.
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no backup, or no manifest beside it;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the backup is not what its manifest says, or a
    ///   store is beside the journal of a first creation that was cut off;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if it is of another store than the file, has the
    ///   name of the copy that this call writes, or a path is out of its bounds;
    /// - [`Busy`](crate::ErrorKind::Busy) if another process does not stop to write, has a damaged
    ///   file open, has just replaced it, or restores it. A thread waits while another one of this
    ///   process opens, restores or adopts the file or the backup;
    /// - [`Misuse`](crate::ErrorKind::Misuse) if this process has a damaged file open, or the
    ///   backup, if a store was open when this process was forked, or if a clock or random source
    ///   calls it while the same thread opens a store;
    /// - [`TooNew`](crate::ErrorKind::TooNew), [`NotOurs`](crate::ErrorKind::NotOurs),
    ///   [`Unsafe`](crate::ErrorKind::Unsafe), [`NoPermission`](crate::ErrorKind::NoPermission),
    ///   [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Full`](crate::ErrorKind::Full),
    ///   [`Io`](crate::ErrorKind::Io), [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn restore(
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        options: impl Into<RestoreOptions>,
    ) -> Result<RestoreReport> {
        spans::span!("restore");
        let path = path.as_ref();
        let options = options.into();
        restored(backup.as_ref(), path, &options).map_err(|error| error.at(path))
    }

    /// Takes in a file that was put at `path` by other means than [`Store::restore`]: a copy of the
    /// file, or what Litestream restored. Call it before any process opens the file.
    ///
    /// Every session, API key and one-time token is revoked, the mode becomes 0600, and
    /// [`OpenWarning::PerhapsRestored`](crate::status::OpenWarning::PerhapsRestored) ends. The file
    /// that was lost cannot be asked, so a user who was locked or deleted since the copy was made
    /// is as in the copy: check them. No process may have the file open meanwhile.
    ///
    /// ```
    /// use gatepost::status::OpenWarning;
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let (path, copy) = (directory.path().join("auth.db"), directory.path().join("copy.db"));
    /// Store::open(&path, Options::server())?.close()?;
    /// std::fs::copy(&path, &copy)?;
    /// std::fs::rename(&copy, &path)?;
    /// let store = Store::open(&path, Options::server())?;
    /// assert_eq!(store.status().open_warnings, [OpenWarning::PerhapsRestored]);
    /// store.close()?;
    ///
    /// Store::adopt_restored(&path, Options::server())?;
    /// let store = Store::open(&path, Options::server())?;
    /// assert_eq!(store.status().open_warnings, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file is as it was.
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no file;
    /// - [`Busy`](crate::ErrorKind::Busy) if another process has it open, and
    ///   [`Misuse`](crate::ErrorKind::Misuse) if this one has, if a store was open when this
    ///   process was forked, or if a clock or random source calls it while the same thread opens a
    ///   store;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt), [`NotADatabase`](crate::ErrorKind::NotADatabase),
    ///   [`NotOurs`](crate::ErrorKind::NotOurs), [`TooNew`](crate::ErrorKind::TooNew) if it is not
    ///   a whole store of this version, or has a log or journal beside it, which may be of the file
    ///   that was there before;
    /// - [`Invalid`](crate::ErrorKind::Invalid), [`Unsafe`](crate::ErrorKind::Unsafe),
    ///   [`NoPermission`](crate::ErrorKind::NoPermission),
    ///   [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Full`](crate::ErrorKind::Full),
    ///   [`Io`](crate::ErrorKind::Io), [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn adopt_restored(path: impl AsRef<Path>, options: Options) -> Result<AdoptReport> {
        spans::span!("adopt_restored");
        let path = path.as_ref();
        adopted(path, &options).map_err(|error| error.at(path))
    }
}

fn request(claim: &Claim, options: &Options) -> RestoreRequest {
    RestoreRequest {
        files: claim.whereabouts.files.clone(),
        tolerances: options.tolerances,
        clock: options.clock.clone(),
        random: Arc::clone(&options.random),
    }
}

fn restored(backup: &Path, path: &Path, options: &RestoreOptions) -> Result<RestoreReport> {
    // Before the first lock, until the last connection is closed.
    let _open_mark = OpenMark::new()?;
    // The backup is read by a descriptor, whose closing would drop the locks of a store.
    let (claim, of_backup) = Claim::on_both(path, backup)?;
    if of_backup.open.is_some() {
        let open = Error::misuse("this process has the backup open as a store: close it first");
        return Err(open.at(backup));
    }
    let request = request(&claim, &options.options);
    let rules = |tx: &WriteTx<'_>, before: Before| apply(tx, before, options);
    let (report, replaced) =
        crate::storage::restore(request, backup, claim.open.is_some(), &rules)?;
    let replaced = match replaced {
        Replaced::Live => ReplacedFile::Live,
        Replaced::Damaged(aside) => ReplacedFile::Damaged(aside),
        Replaced::Nothing => ReplacedFile::Nothing,
    };
    Ok(RestoreReport { replaced, ..report })
}

/// The rules of a restore, in one transaction on the copy of the backup.
fn apply(tx: &WriteTx<'_>, before: Before, options: &RestoreOptions) -> Result<RestoreReport> {
    let is_attached = before == Before::Attached;
    let lost = if is_attached { restore::lost(tx)? } else { Lost::default() };
    let stricter = if is_attached && options.keep_stricter {
        restore::keep_stricter(tx)?
    } else {
        Vec::new()
    };
    let revoked = restore::revoke_everything(tx)?;
    let audit_log_kept = is_attached && restore::keep_audit_log(tx)?;
    if audit_log_kept {
        restore::keep_lost_users(tx)?;
    }
    if is_attached {
        erase_again(tx, audit_log_kept)?;
    }
    restore::begin_lineage(tx, before)?;
    let event = Event::new(EventKind::StoreRestored).count(i64::try_from(stricter.len()).ok());
    audit::append(tx, &event)?;
    Ok(RestoreReport {
        replaced: ReplacedFile::Nothing,
        sessions_revoked: revoked.sessions,
        api_keys_revoked: revoked.api_keys,
        one_time_tokens_revoked: revoked.one_time_tokens,
        stricter,
        users_not_brought_back: lost.users,
        branches_not_brought_back: lost.branches,
        organisations_not_brought_back: lost.organisations,
        audit_log_kept,
    })
}

/// Erases in the backup who was erased since: an erasure cannot be undone.
fn erase_again(tx: &WriteTx<'_>, audit_log_kept: bool) -> Result<()> {
    for (id, recorded) in restore::erased(tx)? {
        if audit_log_kept {
            erase(tx, id, recorded)?;
        } else {
            erase(tx, id, audit::next_seq(tx)?)?;
            audit::append(tx, &Event::new(EventKind::UserErased).user(id))?;
        }
    }
    Ok(())
}

fn adopted(path: &Path, options: &Options) -> Result<AdoptReport> {
    // Before the first lock, until the connection is closed.
    let _open_mark = OpenMark::new()?;
    let claim = Claim::on(path)?;
    if claim.open.is_some() {
        return Err(Error::misuse("this process has the file open: close its store first"));
    }
    crate::storage::adopt(request(&claim, options), &|tx, before| {
        let revoked = restore::revoke_everything(tx)?;
        restore::begin_lineage(tx, before)?;
        audit::append(tx, &Event::new(EventKind::StoreAdopted))?;
        Ok(AdoptReport {
            sessions_revoked: revoked.sessions,
            api_keys_revoked: revoked.api_keys,
            one_time_tokens_revoked: revoked.one_time_tokens,
        })
    })
}
