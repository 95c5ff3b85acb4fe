//! [Gatepost](gatepost) for desktop programs: the private folder, this machine's device id, the
//! saved token, and an idle lock.

mod vault;

pub use vault::{MemoryVault, SavedToken, TokenVault, VaultError, VaultKind};
