//! The vault that lives as long as its process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::{SavedToken, TokenVault, VaultError, VaultKind};

/// Keeps tokens in the memory of this process: the next start asks for the password again.
#[derive(Default)]
pub struct MemoryVault(Mutex<HashMap<String, SavedToken>>);

impl MemoryVault {
    /// An empty vault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryVault")
    }
}

impl TokenVault for MemoryVault {
    fn kind(&self) -> VaultKind {
        VaultKind::Memory
    }

    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tokens.get(name).map(|token| SavedToken::new(token.expose().to_owned())))
    }

    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(name.to_owned(), SavedToken::new(token.expose().to_owned()));
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
