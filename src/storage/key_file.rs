//! A key file: one key of a keyring, in a file that its owner alone may read.
//!
//! The text is `gatepost-key <id> <64 hexadecimal digits>` and a line feed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::fault::{bad_path, from_io};
use crate::error::{Error, ErrorKind, Result};
use crate::value::keyring::{KeyId, Keys, SealingKey};
use crate::value::limits::KEY_FILE_MAX_BYTES;

const WORD: &str = "gatepost-key";

impl Keys {
    /// Reads a key file: a keyring of the one key in it.
    ///
    /// The file must be a regular file of this process's user or of root, which no other user may
    /// read or write (mode 0600 or 0400). A symbolic link to such a file is followed.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    /// use gatepost::host::{KeyId, Keyring, Keys};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("2026-11.key");
    /// Keys::create_file(&path, &KeyId::new("2026-11")?)?;
    /// assert_eq!(Keys::from_file(&path)?.current().as_str(), "2026-11");
    ///
    /// use std::os::unix::fs::PermissionsExt;
    /// std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640))?;
    /// assert_eq!(Keys::from_file(&path).unwrap_err().kind(), ErrorKind::Unsafe);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such file;
    /// - [`Unsafe`](crate::ErrorKind::Unsafe) if another user may read or write it, or owns it;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if it is no key file, or damaged;
    /// - [`NoPermission`](crate::ErrorKind::NoPermission), [`Io`](crate::ErrorKind::Io).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        read(path).map_err(|error| error.at(path))
    }

    /// Makes a new key, and the key file at `path` that holds it, with mode 0600. Returns it as a
    /// keyring of one key.
    ///
    /// The file and its directory are flushed before this returns. Keep a copy of it apart from
    /// the copies of the store's file: without it no user can log in.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    /// use gatepost::host::{KeyId, Keys};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("2026-11.key");
    /// let id = KeyId::new("2026-11")?;
    /// Keys::create_file(&path, &id)?;
    /// assert_eq!(Keys::create_file(&path, &id).unwrap_err().kind(), ErrorKind::Taken);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Taken`](crate::ErrorKind::Taken) if there is a file of that name, which stays as it is;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the directory does not exist;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom), [`Full`](crate::ErrorKind::Full),
    ///   [`NoPermission`](crate::ErrorKind::NoPermission),
    ///   [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Io`](crate::ErrorKind::Io);
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the path cannot be one of a file.
    pub fn create_file(path: impl AsRef<Path>, id: &KeyId) -> Result<Self> {
        let path = path.as_ref();
        create(path, id).map_err(|error| error.at(path))
    }
}

fn read(path: &Path) -> Result<Keys> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found("the key file does not exist").advising(
            "Check the path, or put back a copy of the key file; Keys::create_file makes a key \
             for a new store.",
        ),
        std::io::ErrorKind::InvalidInput => no_path(),
        _ => from_io(&error),
    };
    // By path first: closing a descriptor of a store's file would drop the locks of SQLite, and a
    // file that is longer than a key is not opened.
    check(&fs::metadata(path).map_err(unreadable)?)?;
    let file = fs::File::open(path).map_err(unreadable)?;
    // No test fails without this: none can put another file there between the two calls.
    check(&file.metadata().map_err(unreadable)?)?;
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX_BYTES));
    let mut bounded = file.take(KEY_FILE_MAX_BYTES as u64);
    bounded.read_to_end(&mut text).map_err(unreadable)?;
    parse(&text).ok_or_else(no_key_file)
}

fn check(seen: &fs::Metadata) -> Result<()> {
    if !seen.is_file() {
        return Err(bad_path("the path of the key file is a directory or no regular file"));
    }
    if seen.mode() & 0o077 != 0 {
        return Err(Error::new(ErrorKind::Unsafe, "other users may read or write the key file")
            .advising(
                "Run chmod 600 on the key file. If another user may have read it, make a new key \
                 and call Store::rekey.",
            ));
    }
    if ![0, rustix::process::geteuid().as_raw()].contains(&seen.uid()) {
        return Err(Error::new(ErrorKind::Unsafe, "the key file belongs to another user")
            .advising("Let the user of this program, or root, own the key file."));
    }
    if seen.len() > KEY_FILE_MAX_BYTES as u64 {
        return Err(no_key_file());
    }
    Ok(())
}

fn parse(text: &[u8]) -> Option<Keys> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.strip_suffix('\n').unwrap_or(text).split(' ');
    let (WORD, id, digits, None) = (words.next()?, words.next()?, words.next()?, words.next())
    else {
        return None;
    };
    let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?);
    let bytes = bytes.as_slice().try_into().ok()?;
    Some(Keys::new(KeyId::new(id).ok()?, SealingKey::new(bytes)))
}

fn no_path() -> Error {
    bad_path("the path of the key file is that of no file")
}

fn no_key_file() -> Error {
    Error::invalid(
        "the key file does not contain the word gatepost-key, a key id and 64 hexadecimal digits",
    )
    .advising("Check the path, or put back a copy of the key file; the key is not in the store.")
}

fn create(path: &Path, id: &KeyId) -> Result<Keys> {
    use std::io::ErrorKind as Io;
    let key = SealingKey::random()?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| match error.kind() {
        Io::AlreadyExists => Error::taken("there is a file at the path of the new key file"),
        Io::InvalidInput | Io::IsADirectory => no_path(),
        _ => from_io(&error),
    })?;
    if let Err(error) = write(file, path, id, &key) {
        // This call created the file: a part of a key must not stay.
        let _ = fs::remove_file(path);
        return Err(from_io(&error));
    }
    Ok(Keys::new(id.clone(), key))
}

fn write(mut file: fs::File, path: &Path, id: &KeyId, key: &SealingKey) -> std::io::Result<()> {
    // The umask of the process may have taken rights from the owner.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let digits = Zeroizing::new(HEXLOWER.encode(key.expose()));
    for part in [WORD, " ", id.as_str(), " ", &digits, "\n"] {
        file.write_all(part.as_bytes())?;
    }
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
