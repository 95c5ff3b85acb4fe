//! Where the token of the session is saved between two starts of a program.

mod memory;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use memory::MemoryVault;

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
    /// If the vault could not save it; the token before it is still there.
    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError>;

    /// Deletes the token saved under `name`; does nothing if there is none.
    ///
    /// # Errors
    ///
    /// If the vault could not delete it.
    fn delete(&self, name: &str) -> Result<(), VaultError>;
}

/// The vault of this platform, as far as it was compiled in.
pub(crate) fn of_the_platform() -> Arc<dyn TokenVault> {
    Arc::new(MemoryVault::new())
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
    /// The vault is locked: its owner has to unlock it first.
    Locked,
    /// There is no such vault in this desktop session.
    Unavailable,
    /// The vault failed in another way.
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "the vault of the saved token is locked",
            Self::Unavailable => "the vault of the saved token is not available",
            Self::Failed(_) => "the vault of the saved token failed",
        })
    }
}

impl std::error::Error for VaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(source) => Some(&**source),
            _ => None,
        }
    }
}
