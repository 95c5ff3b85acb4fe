//! Opening the desk: the private folder, the key of the store, and the vault of the saved sign-in.

use std::path::Path;
use std::sync::Arc;

use gatepost::ErrorKind;
use gatepost::Options;
use gatepost::host::{KeyId, Keys};
use gatepost_desk::{Desk, DeskError, FileVault, Folder, MemoryVault, Seat, SecretServiceVault};

use crate::arguments::{Arguments, Vault};

const APPLICATION: &str = "com.example.till";

/// What the program begins with.
pub(crate) struct Opened {
    pub(crate) desk: Desk,
    pub(crate) start: Start,
}

pub(crate) enum Start {
    /// The store has no user yet.
    FirstAdministrator,
    /// The saved sign-in is valid.
    Resumed(Seat),
    /// The user has to sign in.
    SignIn,
}

/// Opens the desk, and resumes the saved sign-in if there is one.
pub(crate) fn open(arguments: &Arguments) -> Result<Opened, DeskError> {
    let folder = Folder::of(APPLICATION)?;
    let keys = keys(folder.path())?;
    // `open` creates the folder with the rest; the vault of files is beside the store.
    let saved = folder.path().join("saved");
    let options = Options::desktop().service_name("Till").keyring(Arc::new(keys));
    let builder = Desk::builder(APPLICATION).options(options).idle_lock(arguments.lock_after);
    let desk = match arguments.vault {
        // A sign-in that an earlier start saved in a file moves along.
        Vault::SecretService => {
            builder.vault(SecretServiceVault::new()).moving_from(FileVault::in_folder(saved))
        }
        Vault::File => builder.vault(FileVault::in_folder(saved)),
        Vault::Memory => builder.vault(MemoryVault::new()),
    }
    .open()?;
    let start = match desk.is_new()? {
        true => Start::FirstAdministrator,
        false => desk.resume()?.map_or(Start::SignIn, Start::Resumed),
    };
    Ok(Opened { desk, start })
}

/// The key that seals passwords and second factors, made at the first start. Beside a store that
/// has lost its key file, a new key would open nothing that is sealed. Beside the store the key
/// protects nothing from a thief of the whole folder: in a program to ship, keep it elsewhere.
fn keys(folder: &Path) -> Result<Keys, DeskError> {
    let path = folder.join("keys");
    // First: another first start makes the key, and then the store.
    let is_new = !folder.join("auth.db").exists();
    match Keys::from_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound && is_new => {}
        keys => return keys.map_err(DeskError::Store),
    }
    let id = KeyId::new("1").map_err(DeskError::Store)?;
    match Keys::create_file(&path, &id) {
        // Another first start was faster.
        Err(error) if error.kind() == ErrorKind::Taken => Keys::from_file(&path),
        keys => keys,
    }
    .map_err(DeskError::Store)
}
