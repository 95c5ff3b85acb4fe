//! Why a call could not be done.

use std::path::PathBuf;
use std::{fmt, io};

use crate::vault::VaultError;

pub(crate) type Result<T, E = DeskError> = std::result::Result<T, E>;

/// Why a call of this crate could not be done, or not now.
///
/// A refused password or code is no error, and neither is a saved session that is over. An error
/// keeps the saved token, except [`Ended`](Self::Ended), which is the store's answer that the
/// session is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeskError {
    /// An argument breaks the rule that the text names.
    Invalid(&'static str),
    /// The environment variable with this name, which leads to the private folder, is missing or
    /// is not an absolute path.
    NoHome(&'static str),
    /// The private folder, or a file in it, cannot be used.
    #[non_exhaustive]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// The answer of the operating system, if it refused.
        source: Option<io::Error>,
    },
    /// Another instance of the program was signing in or out for 5 s: nothing was changed, and the
    /// call is worth repeating.
    Busy,
    /// The vault of the saved token could not answer. What is saved stays saved.
    Vault(VaultError),
    /// The store could not answer, or refuses the request by the rule that its text names.
    Store(gatepost::Error),
    /// The seat is locked: [`Seat::unlock`](crate::Seat::unlock) opens it.
    Locked,
    /// The session is over: it was revoked, has expired, or another user signed in on this machine.
    /// Ask for the password: [`Desk::sign_in`](crate::Desk::sign_in).
    Ended,
    /// There is a user already, so [`Desk::first_administrator`](crate::Desk::first_administrator)
    /// created none.
    NotEmpty,
}

impl DeskError {
    /// Whether the same call may succeed in a moment: [`Busy`](Self::Busy), a vault that gave no
    /// answer ([`NoAnswer`](VaultError::NoAnswer)), and the errors of the store that say so
    /// ([`gatepost::Error::is_retryable`]). A call that fails so has changed nothing that a second
    /// one would change again.
    ///
    /// ```
    /// use gatepost_desk::{DeskError, VaultError};
    ///
    /// assert!(DeskError::Busy.is_retryable());
    /// assert!(DeskError::Vault(VaultError::NoAnswer).is_retryable());
    /// assert!(!DeskError::Ended.is_retryable());
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy | Self::Vault(VaultError::NoAnswer) => true,
            Self::Store(error) => error.is_retryable(),
            _ => false,
        }
    }

    pub(crate) fn folder(path: impl Into<PathBuf>, problem: &'static str) -> Self {
        Self::Folder { path: path.into(), problem, source: None }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, problem: &'static str, source: io::Error) -> Self {
        Self::Folder { path: path.into(), problem, source: Some(source) }
    }
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(rule) => f.write_str(rule),
            Self::NoHome(name) => {
                write!(f, "the environment variable {name} is missing or no absolute path")
            }
            Self::Folder { path, problem, .. } => write!(f, "{}: {problem}", path.display()),
            Self::Busy => {
                f.write_str("another instance of the program is signing in or out; try again")
            }
            Self::Vault(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Locked => f.write_str("the seat is locked"),
            Self::Ended => f.write_str("the session has ended; sign in again"),
            Self::NotEmpty => f.write_str("the store has a user already"),
        }
    }
}

impl std::error::Error for DeskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source: Some(source), .. } => Some(source),
            Self::Vault(error) => error.source(),
            Self::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<gatepost::Error> for DeskError {
    fn from(error: gatepost::Error) -> Self {
        Self::Store(error)
    }
}

impl From<VaultError> for DeskError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}
