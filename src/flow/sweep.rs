//! Upkeep: what is swept, kept and flushed, and the end of a store.

use crate::error::Result;
use crate::store::Store;

impl Store {
    /// Closes the file in every handle of this process. Every later call answers `Closed`.
    ///
    /// # Errors
    /// `Busy` if a write of another thread does not end within 5 s, `Io`.
    pub fn close(&self) -> Result<()> {
        self.core().storage.close()
    }
}
