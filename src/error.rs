//! What can go wrong, named by what a caller can do about it.
//!
//! An `Err` of this crate means that the request cannot be done as asked, or that the store could
//! not tell. It never stands for "no": a refused login or token is a value.

use std::fmt;
use std::time::Duration;

/// Shorthand of this crate's own functions.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call could not be answered.
///
/// Opaque: ask [`Error::reason`] to branch, [`Error::advice`] for a sentence to show. Neither
/// `Display` nor `Debug` carries stored data, SQL, a path or an id (OWASP ASVS 16.5.1).
///
/// ```
/// use gatepost::{DeviceId, Reason};
///
/// let error = DeviceId::new("").unwrap_err();
/// assert_eq!(error.reason(), Reason::Invalid);
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Fault>);

#[derive(Clone)]
struct Fault {
    reason: Reason,
    what: &'static str,
    /// If the reason's own would lead the wrong way.
    advice: Option<&'static str>,
    sqlite_code: Option<i32>,
    waited: Option<Duration>,
}

/// The closed list of reasons, each one an action that a caller could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request breaks a rule of the domain: change it.
    Invalid,
    /// What the request names does not exist.
    NotFound,
    /// A unique name or place is already taken: choose another.
    Taken,
    /// What should be deleted still contains something: empty it first.
    NotEmpty,
    /// It changed since it was read: read again and decide anew.
    Stale,
    /// Fewer credits are left than should be spent.
    Insufficient,
    /// Another writer held the file for too long: try again.
    Busy,
    /// The disk is full: make room. Nothing was written. Until space is freed only revocations are
    /// accepted; a credential that could not be revoked in the file is refused by this process all
    /// the same.
    Full,
    /// The operating system reported an input or output error.
    Io,
    /// The file is damaged: restore a backup.
    Corrupt,
    /// A commit failed half way, and the file does not say whether it was applied. Open the store
    /// again, in this process and on the same path: that settles the commit, and
    /// [`Status::last_unknown_commit`](crate::Status::last_unknown_commit) says what became of the
    /// write. Until then other writes may be refused as [`Io`](Self::Io).
    CommitUnknown,
    /// The store was closed, or closed itself because its file is no longer safe to use.
    Closed,
    /// The file is not an SQLite database.
    NotADatabase,
    /// The file is a database of another application.
    NotOurs,
    /// The file was written by a newer Gatepost that this one may not read: upgrade.
    TooNew,
    /// The SQLite linked into this program is older than 3.51.3.
    SqliteTooOld,
    /// The file or its medium cannot be written. What could not be ended in the file is refused by
    /// this process all the same.
    ReadOnly,
    /// The operating system denies access.
    NoPermission,
    /// The file stands where others could change it (hard link, owner, directory).
    Unsafe,
    /// The file stands on a file system that cannot hold a WAL database.
    Unsupported,
    /// The random source failed; nothing is ever drawn from another one instead.
    NoRandom,
    /// The program uses the library in a way it does not allow.
    Misuse,
}

impl Error {
    /// The reason, to branch on.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Whether the same call may succeed later without anyone doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.reason, Reason::Busy)
    }

    /// One sentence: what to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.0.advice.unwrap_or(self.0.reason.advice())
    }

    pub(crate) fn new(reason: Reason, what: &'static str) -> Self {
        Self(Box::new(Fault { reason, what, advice: None, sqlite_code: None, waited: None }))
    }

    pub(crate) fn invalid(what: &'static str) -> Self {
        Self::new(Reason::Invalid, what)
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(Reason::NotFound, what)
    }

    pub(crate) fn taken(what: &'static str) -> Self {
        Self::new(Reason::Taken, what)
    }

    pub(crate) fn stale(what: &'static str) -> Self {
        Self::new(Reason::Stale, what)
    }

    pub(crate) fn corrupt(what: &'static str) -> Self {
        Self::new(Reason::Corrupt, what)
    }

    pub(crate) fn misuse(what: &'static str) -> Self {
        Self::new(Reason::Misuse, what)
    }

    /// With another sentence than that of its reason.
    pub(crate) fn advising(mut self, advice: &'static str) -> Self {
        self.0.advice = Some(advice);
        self
    }

    /// The same error for another caller whom it concerns.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) fn sqlite_code(&self) -> Option<i32> {
        self.0.sqlite_code
    }

    pub(crate) fn with_code(mut self, sqlite_code: i32) -> Self {
        self.0.sqlite_code = Some(sqlite_code);
        self
    }

    pub(crate) fn waited(mut self, waited: Duration) -> Self {
        self.0.waited = Some(waited);
        self
    }
}

impl Reason {
    fn advice(self) -> &'static str {
        match self {
            Self::Invalid => "Change the request: it breaks the rule that the message names.",
            Self::NotFound => "Check the id or name; it may have been deleted.",
            Self::Taken => "Choose another name, or release the one in use first.",
            Self::NotEmpty => "Move or delete what it contains first.",
            Self::Stale => "Read the current value and decide anew.",
            Self::Insufficient => "Add credits, or spend fewer.",
            Self::Busy => "Try again in a moment; another program is writing to the file.",
            Self::Full => "Make room on the disk that holds the file.",
            Self::Io => "Check the disk and the system's log, then open the store again.",
            Self::Corrupt => "Stop using this file and restore a verified backup.",
            Self::CommitUnknown => {
                "Open the store again in this process, on the same path; its status then says \
                 whether the write holds, or that the file cannot tell."
            }
            Self::Closed => "Open the store again.",
            Self::NotADatabase => "Check the path: the file there is something else.",
            Self::NotOurs => "Check the path: the file belongs to another application.",
            Self::TooNew => "Upgrade this program to the version that wrote the file.",
            Self::SqliteTooOld => "Build the program with SQLite 3.51.3 or later.",
            Self::ReadOnly => "Make the file and its directory writable for this program.",
            Self::NoPermission => "Give this program's user access to the file and its directory.",
            Self::Unsafe => {
                "Move the file to a directory that only its owner can write, owned by this user, \
                 with no second hard link; or opt in through Options."
            }
            Self::Unsupported => "Move the file to a local disk, or opt in through Options.",
            Self::NoRandom => "The system's random source failed; restart the machine.",
            Self::Misuse => "Correct the program: the message says which call is not allowed.",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.what)?;
        if let Some(waited) = self.0.waited {
            write!(f, ", after waiting {} ms", waited.as_millis())?;
        }
        if let Some(code) = self.0.sqlite_code {
            write!(f, " (SQLite code {code})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.reason)
    }
}

impl std::error::Error for Error {}
