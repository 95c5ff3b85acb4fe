//! Where the token of the session is saved between two starts of a program.

#[cfg(unix)]
mod file;
mod memory;
mod moving;
#[cfg(all(unix, not(target_vendor = "apple"), feature = "secret-service"))]
mod secret_service;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

#[cfg(all(unix, not(target_vendor = "apple"), feature = "secret-service"))]
pub use self::secret_service::SecretServiceVault;
#[cfg(unix)]
pub use file::FileVault;
pub use memory::MemoryVault;
pub use moving::Moved;

/// A place that keeps tokens between two starts of a program, one for each name.
///
/// A call answers for the vault itself: a vault that is locked or absent fails, and never answers
/// `Ok(None)` or keeps the token elsewhere.
///
/// ```
/// use gatepost_desk::{MemoryVault, SavedToken, TokenVault};
///
/// let vault = MemoryVault::new();
/// vault.save("com.example.till", &SavedToken::new("gps_token".into()))?;
/// assert_eq!(vault.load("com.example.till")?.unwrap().expose(), "gps_token");
/// # Ok::<(), gatepost_desk::VaultError>(())
/// ```
pub trait TokenVault: Send + Sync + fmt::Debug {
    /// The kind of this vault, for a program that shows its user where the token is.
    fn kind(&self) -> VaultKind;

    /// The token saved under `name`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the vault could not answer. A program that was refused here knows nothing of the token.
    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError>;

    /// Saves `token` under `name`, in place of the one before: whole, or not at all. Returns after
    /// the token would survive a power loss, if this vault keeps it on a disk.
    ///
    /// # Errors
    ///
    /// If the vault could not save it; the token before it is still there. After
    /// [`NoAnswer`](VaultError::NoAnswer) it is either of the two.
    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError>;

    /// Deletes the token saved under `name`; does nothing if there is none.
    ///
    /// # Errors
    ///
    /// If the vault could not delete it; it is still there. After
    /// [`NoAnswer`](VaultError::NoAnswer) it may be deleted.
    fn delete(&self, name: &str) -> Result<(), VaultError>;

    /// Moves the token saved under `name` to the vault `to`, for a program that changes its vault.
    ///
    /// The token is saved in `to` and read back before it is deleted here. A kill at any moment
    /// leaves it in one of the two vaults or in both; the next call finishes the move. A token that
    /// `to` already has is never replaced: see [`Moved`].
    ///
    /// # Errors
    ///
    /// [`SameKind`](VaultError::SameKind) if both vaults are of one kind, and the errors of both
    /// vaults. After an error the token is still in at least one of them.
    ///
    /// ```
    /// use gatepost_desk::{FileVault, MemoryVault, Moved, SavedToken, TokenVault};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let file = FileVault::in_folder(folder.path());
    /// file.save("com.example.till", &SavedToken::new("gps_token".into()))?;
    ///
    /// let other = MemoryVault::new(); // In a program: the Secret Service.
    /// assert_eq!(file.move_to(&other, "com.example.till")?, Moved::Done);
    /// assert!(file.load("com.example.till")?.is_none());
    /// assert_eq!(other.load("com.example.till")?.unwrap().expose(), "gps_token");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn move_to(&self, to: &dyn TokenVault, name: &str) -> Result<Moved, VaultError> {
        moving::move_token(self, to, name)
    }
}

/// The vault of this platform, as far as it was compiled in.
pub(crate) fn of_the_platform() -> Arc<dyn TokenVault> {
    #[cfg(all(unix, not(target_vendor = "apple"), feature = "secret-service"))]
    return Arc::new(SecretServiceVault::new());
    #[cfg(not(all(unix, not(target_vendor = "apple"), feature = "secret-service")))]
    return Arc::new(MemoryVault::new());
}

/// The kind of a [`TokenVault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VaultKind {
    /// The Secret Service of the desktop session.
    SecretService,
    /// A file that only its owner can read.
    File,
    /// The memory of this process: the token is gone when the process ends.
    Memory,
    /// A vault of the program itself.
    Other,
}

/// The text of a saved token.
///
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
pub struct SavedToken(Zeroizing<String>);

impl SavedToken {
    /// The token `text`, without a copy of it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// The text, for a vault that saves it. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SavedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SavedToken")
    }
}

/// Why a vault could not answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum VaultError {
    /// The vault is locked. Its owner has to unlock it; the token in it is safe.
    Locked,
    /// There is no such vault in this desktop session: no bus, no Secret Service on it, or no
    /// default collection in it.
    Unavailable,
    /// The vault ended during the call, gave no answer within the bound of the call, or could not
    /// flush the disk. A token that was to be saved or deleted may be saved or deleted.
    NoAnswer,
    /// The file of the token, or its folder, is not private: another user owns it, can read the
    /// file or can write to the folder, or it is no regular file. The text says which.
    NotPrivate(&'static str),
    /// [`TokenVault::move_to`] was called with two vaults of one kind, which may be one place.
    SameKind,
    /// The vault failed in another way.
    Failed(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "the vault of the saved token is locked",
            Self::Unavailable => "the vault of the saved token is not available",
            Self::NoAnswer => "the vault of the saved token gave no answer in time",
            Self::NotPrivate(why) => why,
            Self::SameKind => "a saved token moves between vaults of different kinds only",
            Self::Failed(_) => "the vault of the saved token failed",
        })
    }
}

impl Error for VaultError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(source) => Some(&**source),
            _ => None,
        }
    }
}

/// A failure of the system, whatever its type.
fn failed(source: impl Error + Send + Sync + 'static) -> VaultError {
    VaultError::Failed(Arc::new(source))
}
