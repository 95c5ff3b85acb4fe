//! Sealed hashes: how a stored text is sealed under a key of the host's keyring, and opened.
//!
//! The file names the key under which every process seals (`store.sealing_key`), so that a process
//! with another keyring cannot seal what the others do not open. A process that lacks that key is
//! refused every call that needs it, before it learns anything about a user.
//!
//! The parameters of a hash stay readable. A hash whose key is missing is computed at its own cost,
//! and the cost of a stand-in is drawn from all hashes, so that no time shows what is sealed. They
//! are part of the associated data, as are table, column, user and key id: a text that was copied
//! from another row, or changed, does not open.

use data_encoding::BASE64_NOPAD;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::record::{audit, store};
use crate::storage::{ReadTx, WriteTx};
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::keyring::{KeyId, Keyring, SealingKey};

/// Precedes the id of the key, and the sealed bytes after another `$`.
const SEALED: &str = "$sealed1$";

/// What is done for a hash that is not sealed, so that it takes as long as one that is: too short
/// to have a tag of that key.
const NOT_SEALED: [u8; 104] = [0; 104];

/// Refuses a process that lacks the key under which the file seals.
///
/// # Errors
/// `KeyMissing`.
pub(crate) fn check_key(tx: &ReadTx<'_>, options: &Options) -> Result<()> {
    match store::sealing_key(tx)? {
        Some(id) => key_of(options, &id).map(drop),
        None => Ok(()),
    }
}

/// The key of that id in the keyring of this process.
pub(crate) fn key_of(options: &Options, id: &KeyId) -> Result<SealingKey> {
    let keyring = options.keyring.as_deref();
    keyring.and_then(|keyring| keyring.key(id)).ok_or_else(|| key_missing(id))
}

/// Key ids are no secrets, and without the id an operator does not know which key to look for.
fn key_missing(id: &KeyId) -> Error {
    Error::new(
        ErrorKind::KeyMissing,
        format!("the keyring of this process (Options::keyring) lacks the key of the file, {id}"),
    )
}

/// The key under which this write seals. The first one that a file gets is the keyring's current
/// key; `None` if there is neither.
///
/// # Errors
/// `KeyMissing`.
pub(crate) fn sealing_key(
    tx: &WriteTx<'_>,
    options: &Options,
) -> Result<Option<(KeyId, SealingKey)>> {
    let stored = store::sealing_key(tx)?;
    let id = match (&stored, &options.keyring) {
        (Some(id), _) => id.clone(),
        (None, Some(keyring)) => keyring.current(),
        (None, None) => return Ok(None),
    };
    let key = key_of(options, &id)?;
    if stored.is_none() {
        store::set_sealing_key(tx, &id)?;
        audit::append(tx, &key_changed(&id))?;
    }
    Ok(Some((id, key)))
}

/// The event of another key under which the file seals.
pub(crate) fn key_changed(id: &KeyId) -> Event {
    Event::new(EventKind::StoreKeyChanged).detail(id.as_str())
}

/// The text to store for a hash in PHC form.
///
/// # Errors
/// `NoRandom`, `Misuse` if the text is no hash.
pub(super) fn seal(
    tx: &WriteTx<'_>,
    user: UserId,
    phc: &str,
    (id, key): (&KeyId, &SealingKey),
) -> Result<String> {
    let (head, secret) = split(phc).ok_or_else(|| Error::misuse("a hash to be sealed is none"))?;
    let sealed = key.seal(secret.as_bytes(), &place(user, head, id.as_str()), tx.random())?;
    Ok([head, SEALED, id.as_str(), "$", &BASE64_NOPAD.encode(&sealed)].concat())
}

/// The hash in PHC form of a stored text; `None` if the keyring lacks its key.
///
/// # Errors
/// `Corrupt` if the text was changed, or sealed for another row.
pub(crate) fn open(
    keyring: Option<&dyn Keyring>,
    user: UserId,
    text: &str,
) -> Result<Option<Zeroizing<String>>> {
    let Some((head, rest)) = text.split_once(SEALED) else {
        if let Some(key) = keyring.and_then(|keyring| keyring.key(&keyring.current())) {
            let _ = key.open(&NOT_SEALED, &place(user, text, ""));
        }
        return Ok(Some(Zeroizing::new(text.to_owned())));
    };
    let damaged = || {
        Error::corrupt("a sealed password hash does not open: it was changed or copied").advising(
            "Set a new password for the user, and find out which program or person changed the \
             file; restore a verified backup if others are affected.",
        )
    };
    let (id, sealed) = rest.split_once('$').ok_or_else(damaged)?;
    let id = KeyId::new(id).map_err(|_| damaged())?;
    let Some(key) = keyring.and_then(|keyring| keyring.key(&id)) else {
        return Ok(None);
    };
    let sealed = BASE64_NOPAD.decode(sealed.as_bytes()).map_err(|_| damaged())?;
    let secret = key.open(&sealed, &place(user, head, id.as_str())).ok_or_else(damaged)?;
    let secret = std::str::from_utf8(&secret).map_err(|_| damaged())?;
    let mut phc = Zeroizing::new(String::with_capacity(head.len() + 1 + secret.len()));
    phc.extend([head, "$", secret]);
    Ok(Some(phc))
}

/// The id of the key that seals this text; `None` if it is not sealed.
pub(super) fn key_id(text: &str) -> Option<&str> {
    text.split_once(SEALED)?.1.split('$').next()
}

/// The part of a sealed text that says its algorithm and cost.
pub(crate) fn cost(text: &str) -> &str {
    text.split_once(SEALED).map_or("", |(head, _)| head)
}

/// Algorithm and parameters, and the secret rest: salt and output.
fn split(phc: &str) -> Option<(&str, &str)> {
    let at = phc.rmatch_indices('$').nth(1)?.0;
    Some((phc.get(..at)?, phc.get(at + 1..)?))
}

/// The associated data. Its parts have no zero byte, except the id of fixed length.
fn place(user: UserId, head: &str, key: &str) -> Vec<u8> {
    let parts: [&[u8]; 7] = [
        b"gatepost.credential.phc.v1\0",
        user.as_bytes(),
        b"\0",
        head.as_bytes(),
        b"\0",
        key.as_bytes(),
        b"\0",
    ];
    parts.concat()
}
