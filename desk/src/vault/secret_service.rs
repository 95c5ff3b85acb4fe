//! The Secret Service of the desktop session (GNOME Keyring, KWallet, KeePassXC).
//!
//! # Why not the crate keyring
//!
//! Its stores unlock a locked collection by a prompt that they wait for without end, and they
//! report a locked service and a failed one alike. This module uses the client beneath them, never
//! prompts by itself, and bounds each call.
//!
//! # Connections
//!
//! Each call has a connection and a session of its own (the token crosses the bus encrypted), so a
//! service that was started again, or another bus, is no special case. A call takes milliseconds,
//! and a program makes a few of them in a day.
//!
//! # Empty items
//!
//! GNOME Keyring writes a new item in two steps, the item and then its secret. A kill in between
//! leaves an item with an empty secret. `load` reports it as no token, so a move writes over it, as
//! the next save does.

use std::collections::HashMap;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use secret_service::{Collection, EncryptionType, Error, SecretService};
use zbus::DBusError;
use zbus::connection::Builder;
use zeroize::Zeroizing;

use super::{SavedToken, TokenVault, VaultError, VaultKind, failed};

#[cfg(test)]
mod tests;

/// The bound of a call without a prompt: as long as the library waits for a busy file.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The attribute `service` of the items of this crate. Together with `username`, which is the name
/// of the token, other programs find them by the convention of the keyring libraries.
const SERVICE: &str = "gatepost-desk";

/// Keeps tokens in the default collection of the Secret Service, encrypted by the password of the
/// desktop session.
///
/// A call never shows a prompt: a locked collection is [`VaultError::Locked`], and
/// [`unlock`](Self::unlock) asks its owner. Without a bus, a service or a default collection a call
/// fails with [`VaultError::Unavailable`]. A call waits for at most 5 s and then fails with
/// [`VaultError::NoAnswer`]. While the collection is unlocked, every process of the same user can
/// read it.
///
/// ```no_run
/// use std::time::Duration;
///
/// use gatepost_desk::{SecretServiceVault, TokenVault, VaultError};
///
/// let vault = SecretServiceVault::new();
/// let saved = match vault.load("com.example.till") {
///     Err(VaultError::Locked) => {
///         vault.unlock(Duration::from_secs(60))?;
///         vault.load("com.example.till")?
///     }
///     answer => answer?,
/// };
/// assert!(saved.is_none());
/// # Ok::<(), VaultError>(())
/// ```
#[derive(Debug, Default)]
pub struct SecretServiceVault {
    /// The bus of a test; `None` for the bus of the desktop session.
    address: Option<String>,
}

impl SecretServiceVault {
    /// The Secret Service on the bus of the desktop session. Each call connects by itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Unlocks the default collection: the service shows its prompt, and this call waits for its
    /// owner for at most `limit`. Call it on a thread that draws no window.
    ///
    /// # Errors
    ///
    /// [`Locked`](VaultError::Locked) if the prompt was dismissed, or the service could not show
    /// one; [`NoAnswer`](VaultError::NoAnswer) after `limit`, which takes the prompt away.
    pub fn unlock(&self, limit: Duration) -> Result<(), VaultError> {
        self.within(limit, async |service| {
            let collection = default_collection(service).await?;
            if collection.is_locked().await? {
                collection.unlock().await?;
            }
            // A service may report an unlocking that did not happen.
            collection.ensure_unlocked().await
        })
    }

    /// Runs `job` on a connection of its own, for at most `limit`.
    fn within<T>(
        &self,
        limit: Duration,
        job: impl AsyncFnOnce(&SecretService<'_>) -> Result<T, Error>,
    ) -> Result<T, VaultError> {
        let answer = async {
            let builder = match &self.address {
                Some(address) => Builder::address(address.as_str()),
                None => Builder::session(),
            };
            // Whatever fails before there is a connection: there is no bus.
            let Ok(builder) = builder else { return Err(VaultError::Unavailable) };
            let Ok(bus) = builder.build().await else { return Err(VaultError::Unavailable) };
            let service = SecretService::connect_with_existing(EncryptionType::Dh, bus).await;
            job(&service.map_err(judge)?).await.map_err(judge)
        };
        let bound = async {
            Timer::after(limit).await;
            Err(VaultError::NoAnswer)
        };
        async_io::block_on(future::or(answer, bound))
    }
}

impl TokenVault for SecretServiceVault {
    fn kind(&self) -> VaultKind {
        VaultKind::SecretService
    }

    /// An item without a text has no token.
    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
        let secret = self.within(ANSWER_MAX, async |service| {
            let collection = unlocked_collection(service).await?;
            let items = collection.search_items(attributes(name)).await?;
            let Some(item) = items.first() else { return Ok(None) };
            match item.get_secret().await {
                Ok(secret) => Ok(Some(Zeroizing::new(secret))),
                // Another process deleted it since.
                Err(error) if is_gone(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        let text = secret.as_ref().and_then(|bytes| str::from_utf8(bytes).ok());
        Ok(text.filter(|text| !text.is_empty()).map(|text| SavedToken::new(text.to_owned())))
    }

    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
        self.within(ANSWER_MAX, async |service| {
            let collection = unlocked_collection(service).await?;
            let label = format!("Saved sign-in of {name}");
            let secret = token.expose().as_bytes();
            collection.create_item(&label, attributes(name), secret, true, "text/plain").await?;
            Ok(())
        })
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.within(ANSWER_MAX, async |service| {
            let collection = unlocked_collection(service).await?;
            for item in collection.search_items(attributes(name)).await? {
                match item.delete().await {
                    Err(error) if !is_gone(&error) => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", SERVICE), ("username", name)])
}

async fn default_collection<'a>(service: &'a SecretService<'_>) -> Result<Collection<'a>, Error> {
    service.get_default_collection().await
}

/// The default collection. A locked one would find no item, or would ask for a prompt.
async fn unlocked_collection<'a>(service: &'a SecretService<'_>) -> Result<Collection<'a>, Error> {
    let collection = default_collection(service).await?;
    collection.ensure_unlocked().await?;
    Ok(collection)
}

fn judge(error: Error) -> VaultError {
    match &error {
        Error::Locked | Error::Prompt => return VaultError::Locked,
        Error::NoResult | Error::Unavailable => return VaultError::Unavailable,
        Error::PromptDisconnected => return VaultError::NoAnswer,
        Error::Zbus(zbus::Error::InputOutput(_)) => return VaultError::NoAnswer,
        Error::ZbusFdo(zbus::fdo::Error::IOError(_)) => return VaultError::NoAnswer,
        _ => {}
    }
    match name_of(&error).as_deref().and_then(|name| name.rsplit('.').next()) {
        Some("IsLocked") => VaultError::Locked,
        Some("NoReply" | "Disconnected" | "Timeout" | "TimedOut") => VaultError::NoAnswer,
        Some("ServiceUnknown" | "NameHasNoOwner") => VaultError::Unavailable,
        // The bus could not start the service.
        _ if name_of(&error).is_some_and(|name| name.contains(".Spawn.")) => {
            VaultError::Unavailable
        }
        _ => failed(error),
    }
}

/// Whether the reply says that there is no such item. GNOME Keyring replies `UnknownMethod` for an
/// item that was deleted, and other services the names that the bus or the specification has.
fn is_gone(error: &Error) -> bool {
    let name = name_of(error);
    let last = name.as_deref().and_then(|name| name.rsplit('.').next());
    matches!(last, Some("NoSuchObject" | "UnknownObject" | "UnknownMethod"))
}

/// The name of the error that the service, or the bus, replied with.
fn name_of(error: &Error) -> Option<String> {
    match error {
        Error::Zbus(zbus::Error::MethodError(name, ..)) => Some(name.to_string()),
        Error::Zbus(zbus::Error::FDO(error)) => Some(error.name().to_string()),
        Error::ZbusFdo(zbus::fdo::Error::ZBus(zbus::Error::MethodError(name, ..))) => {
            Some(name.to_string())
        }
        Error::ZbusFdo(error) => Some(error.name().to_string()),
        _ => None,
    }
}
