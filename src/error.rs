//! Errors, in kinds that are named by what a caller can do about them.
//!
//! An `Err` of this crate means that the request cannot be done as asked, or that the store could
//! not find the answer. It never means "no": a refused login or token is a value.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::value::password_rule::PasswordRule;

/// The result of this crate's own functions.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: the error of every fallible call of the library.
///
/// A program branches on [`kind`](Error::kind) or [`class`](Error::class), and shows the message
/// (`Display`) and the [`advice`](Error::advice) to its operator. The message names the option or
/// the call, and the bound. Neither `Display` nor `Debug` shows stored data, SQL, a path or an id
/// (OWASP ASVS 16.5.1). The page [`errors`](crate::manual::errors) lists every kind with its
/// causes and cures.
///
/// ```
/// use gatepost::{DeviceId, ErrorClass, ErrorKind};
///
/// let error = DeviceId::new("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.class(), ErrorClass::Invalid);
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Fault>);

#[derive(Clone)]
struct Fault {
    kind: ErrorKind,
    what: Cow<'static, str>,
    /// Replaces the advice of the kind, where that would mislead.
    advice: Option<&'static str>,
    sqlite_code: Option<i32>,
    waited: Option<Duration>,
    retry_after: Option<Duration>,
    password_rule: Option<PasswordRule>,
    path: Option<PathBuf>,
}

/// The class of an error or a refusal, by which a program chooses its own answer, such as an HTTP
/// status.
///
/// The HTTP status of each class is a suggestion. [`Error::class`], [`LoginRefusal::class`],
/// [`InvalidToken::class`] and [`NotPermitted::class`] return it; the page
/// [`errors`](crate::manual::errors) lists all of them.
///
/// ```
/// use gatepost::{ErrorClass, ErrorKind, LoginRefusal};
///
/// let status = |class| match class {
///     ErrorClass::SignIn => 401,
///     ErrorClass::Forbidden => 403,
///     ErrorClass::NotFound => 404,
///     ErrorClass::Wait => 429,
///     ErrorClass::Conflict => 409,
///     ErrorClass::Invalid => 422,
///     ErrorClass::Unavailable => 503,
/// };
/// assert_eq!(status(LoginRefusal::AccountDisabled.class()), 403);
/// assert_eq!(status(ErrorKind::CommitUnknown.class()), 503);
/// ```
///
/// [`LoginRefusal::class`]: crate::LoginRefusal::class
/// [`InvalidToken::class`]: crate::InvalidToken::class
/// [`NotPermitted::class`]: crate::NotPermitted::class
#[doc(alias("HTTP status", "status code"))]
#[expect(clippy::exhaustive_enums, reason = "complete: a host answers each in its own way")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The caller is not signed in, or gave wrong credentials: it must sign in (401).
    SignIn,
    /// The caller is signed in and may not do this (403).
    Forbidden,
    /// The record that the request names does not exist (404).
    NotFound,
    /// Too many attempts: wait for `retry_after` (429).
    Wait,
    /// The request is well formed and does not fit the current state: read the state again, or
    /// change the record that is in the way (409).
    Conflict,
    /// The request breaks a rule: change the request (422).
    Invalid,
    /// The store or the program cannot answer, and the caller did nothing wrong (503). If there is
    /// a `retry_after`, the caller may repeat the request after it.
    /// [`CommitUnknown`](ErrorKind::CommitUnknown) is in this class too: do not retry blindly, as
    /// the write may have been applied.
    Unavailable,
}

/// The kinds, one in each row: its documentation, its class and its advice.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident ($class:ident) = $advice:literal,)+) => {
        /// The kind of an [`Error`], from a closed list; each kind is one action that a caller can
        /// take.
        ///
        /// ```
        /// use gatepost::{ErrorClass, ErrorKind, Options, Store};
        ///
        /// let error = Store::open("/no/such/directory/auth.db", Options::server()).unwrap_err();
        /// assert_eq!(error.kind(), ErrorKind::NotFound);
        /// assert_eq!(ErrorKind::Busy.class(), ErrorClass::Unavailable);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)+
        }

        impl ErrorKind {
            /// All kinds, in reading order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The class of errors of this kind, by which a program chooses its answer.
            #[must_use]
            pub const fn class(self) -> ErrorClass {
                match self {
                    $(Self::$kind => ErrorClass::$class,)+
                }
            }

            const fn advice(self) -> &'static str {
                match self {
                    $(Self::$kind => $advice,)+
                }
            }
        }
    };
}

kinds! {
    /// The request breaks a rule: change the request.
    Invalid (Invalid) =
        "Correct what the message names and call again; nothing was changed.",
    /// The record or directory that the request names does not exist.
    NotFound (NotFound) = "Check the id or name; it may have been deleted.",
    /// The session or API key of the principal is no longer live: sign in again.
    SessionEnded (SignIn) = "Sign in again: the session or API key has ended.",
    /// The administrator sees the record and may not do this to it: an administrator of a larger
    /// part of the store may.
    NotPermitted (Forbidden) = "Ask an administrator of a larger part of the store.",
    /// A unique name is already taken: choose another.
    Taken (Conflict) = "Choose another name, or release the one in use first.",
    /// One more record would exceed a limit: raise the limit, or remove one first.
    LimitReached (Conflict) = "Raise the limit that the message names, or remove one first.",
    /// The record to delete still contains others: move or delete them first.
    NotEmpty (Conflict) = "Move or delete what it contains first.",
    /// The value changed since it was read: read it and decide again.
    Stale (Conflict) = "Read the current value and decide again.",
    /// Fewer credits are left than the request spends.
    Insufficient (Conflict) = "Add credits, or spend fewer.",
    /// Another writer used the file for too long: try again.
    Busy (Unavailable) = "Try again in a moment; another program or thread is using the file.",
    /// More passwords wait to be hashed than
    /// [`Options::max_waiting_hashes`](crate::Options::max_waiting_hashes) allows: try again after
    /// [`retry_after`](Error::retry_after).
    Overloaded (Unavailable) =
        "Try again after retry_after, or raise Options::max_waiting_hashes.",
    /// There is not enough memory. A write that fails like this was not applied.
    OutOfMemory (Unavailable) =
        "Give this program more memory, or let fewer passwords be hashed at once \
         (Options::max_concurrent_hashes).",
    /// The disk is full: free space. Nothing was written. Until there is room, only revocations are
    /// accepted. A revocation that could not be written is kept in memory, and this process
    /// refuses the credential.
    Full (Unavailable) = "Make room on the disk that holds the file.",
    /// The operating system reported an input or output error.
    Io (Unavailable) = "Check the disk and the system's log, then open the store again.",
    /// The file is damaged: restore a backup.
    Corrupt (Unavailable) = "Stop using this file and restore a verified backup.",
    /// A commit failed half way, and the file does not show whether it was applied. Do not retry
    /// blindly. Open the store again, in this process and on the same path: that resolves the
    /// commit in doubt, and
    /// [`Status::last_unknown_commit`](crate::status::Status::last_unknown_commit) says whether
    /// the write was applied. Until then other writes may fail with [`Io`](Self::Io).
    CommitUnknown (Unavailable) =
        "Do not repeat the write blindly. Open the store again in this process, on the same path; \
         its status then says whether the write was applied, or that the file does not show it.",
    /// The store was closed, or closed itself because its file is no longer safe to use.
    Closed (Unavailable) = "This program closed the store: call Store::open again to go on.",
    /// The file is not an SQLite database.
    NotADatabase (Unavailable) = "Check the path: the file there is something else.",
    /// The file is an SQLite database of another application.
    NotOurs (Unavailable) = "Check the path: the file belongs to another application.",
    /// A newer version of Gatepost wrote the file, and this version cannot read it: upgrade.
    TooNew (Unavailable) = "Upgrade this program to the version that wrote the file.",
    /// The SQLite linked into this program is older than 3.51.3.
    SqliteTooOld (Unavailable) = "Build the program with SQLite 3.51.3 or later.",
    /// The file or its medium cannot be written. A revocation that could not be written is kept in
    /// memory, and this process refuses the credential.
    ReadOnly (Unavailable) = "Make the file and its directory writable for this program.",
    /// The operating system denies access.
    NoPermission (Unavailable) =
        "Give this program's user access to the file and its directory.",
    /// Other users of the machine could change the file (hard link, owner, directory).
    Unsafe (Unavailable) =
        "Move the file to a directory that only its owner can write, owned by this user, with no \
         second hard link; or set the option that the message names.",
    /// The file is on a file system that does not support a database with a write-ahead log (WAL).
    Unsupported (Unavailable) =
        "Move the file to a local disk; where the message names an option, that option allows it.",
    /// The keyring of this process lacks the key under which the file seals password hashes, or
    /// there is no keyring. A call that needs the key does nothing without it.
    KeyMissing (Unavailable) =
        "Give this program the key that the message names with Options::keyring; if that key is \
         lost, the page \"keys\" of the manual says what to do.",
    /// The random source failed; no other source replaces it.
    NoRandom (Unavailable) = "The system's random source failed; restart the machine.",
    /// The program makes a call that the library does not allow.
    Misuse (Unavailable) =
        "Correct the program where it makes the call that the message names; trying again does \
         not help.",
}

impl Error {
    /// The kind of the error, on which a program branches.
    ///
    /// ```
    /// use gatepost::{ErrorKind, UserId};
    ///
    /// let error = "ada".parse::<UserId>().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The class of the error, by which a program chooses its answer, such as an HTTP status.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.0.kind.class()
    }

    /// Whether the same call may succeed later without any other change:
    /// [`Busy`](ErrorKind::Busy), [`Overloaded`](ErrorKind::Overloaded) and
    /// [`OutOfMemory`](ErrorKind::OutOfMemory).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{Busy, OutOfMemory, Overloaded};
        matches!(self.0.kind, Busy | Overloaded | OutOfMemory)
    }

    /// The time after which the same call is worth repeating, in whole seconds, at least one, for
    /// [`Overloaded`](ErrorKind::Overloaded); `None` for every other kind.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The rule of the [`PasswordPolicy`](crate::policy::PasswordPolicy) that a new password
    /// breaks, for the person who chose it; `None` for every other error.
    ///
    /// ```
    /// use gatepost::policy::PasswordRule;
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let ada = NewUser::person("ada").password(Password::from("secret"));
    /// let error = store.users().create(ada).unwrap_err();
    /// let rule = error.password_rule().unwrap();
    /// assert_eq!(rule, PasswordRule::TooShort { min_chars: 8 });
    /// assert_eq!(rule.message(), "The password is shorter than 8 characters.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn password_rule(&self) -> Option<PasswordRule> {
        self.0.password_rule
    }

    /// The file or directory that the error concerns: the store's own file, its directory, or a
    /// file beside it; `None` if the error concerns no file.
    ///
    /// It is meant for the host's own log: neither `Display` nor `Debug` shows it.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use gatepost::{ErrorKind, Options, Store};
    ///
    /// let error = Store::open("/no/such/directory/auth.db", Options::server()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// assert_eq!(error.path(), Some(Path::new("/no/such/directory/auth.db")));
    /// assert!(!error.to_string().contains("auth.db"));
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// One or two sentences for an operator: the cure of the error.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// let error = Store::open("/no/such/directory/auth.db", Options::server()).unwrap_err();
    /// assert!(error.advice().starts_with("Create the directory"));
    /// ```
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.0.advice.unwrap_or(self.0.kind.advice())
    }

    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Fault {
            kind,
            what: what.into(),
            advice: None,
            sqlite_code: None,
            waited: None,
            retry_after: None,
            password_rule: None,
            path: None,
        }))
    }

    pub(crate) fn invalid(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    pub(crate) fn not_found(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, what)
    }

    pub(crate) fn not_permitted(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotPermitted, what)
    }

    pub(crate) fn taken(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Taken, what)
    }

    pub(crate) fn limit_reached(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::LimitReached, what)
    }

    pub(crate) fn stale(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Stale, what)
    }

    pub(crate) fn corrupt(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    pub(crate) fn misuse(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misuse, what)
    }

    /// A new password breaks a rule of the policy.
    pub(crate) fn password(rule: PasswordRule) -> Self {
        let mut error = Self::invalid(rule.what());
        error.0.password_rule = Some(rule);
        error.advising(
            "Choose another password; Error::password_rule says which rule it must keep.",
        )
    }

    /// Too many passwords already wait to be hashed.
    pub(crate) fn overloaded(retry_after: Duration) -> Self {
        let what = "more passwords wait to be hashed than Options::max_waiting_hashes allows";
        let mut error = Self::new(ErrorKind::Overloaded, what);
        error.0.retry_after = Some(retry_after);
        error
    }

    /// The same error with another advice than that of its kind.
    pub(crate) fn advising(mut self, advice: &'static str) -> Self {
        self.0.advice = Some(advice);
        self
    }

    /// The same error with the path that it concerns, unless it has one already.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// A copy of the error, for another caller that fails for the same reason.
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

impl ErrorKind {
    /// Whether errors of this kind concern the file of the store rather than the request.
    pub(crate) const fn concerns_file(self) -> bool {
        use ErrorKind as Kind;
        match self {
            Kind::Busy | Kind::Full | Kind::Io | Kind::Corrupt | Kind::CommitUnknown => true,
            Kind::Closed | Kind::NotADatabase | Kind::NotOurs | Kind::TooNew => true,
            Kind::ReadOnly | Kind::NoPermission | Kind::Unsafe | Kind::Unsupported => true,
            Kind::Invalid | Kind::NotFound | Kind::SessionEnded | Kind::Taken => false,
            Kind::NotPermitted | Kind::LimitReached | Kind::NotEmpty => false,
            Kind::Stale | Kind::Insufficient => false,
            Kind::Overloaded | Kind::OutOfMemory | Kind::SqliteTooOld => false,
            Kind::NoRandom | Kind::KeyMissing | Kind::Misuse => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
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
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl std::error::Error for Error {}
