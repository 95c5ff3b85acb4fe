//! The manifest beside a backup: what the backup is of, and the digest of its bytes.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::super::fault::from_io;
use super::super::files::{exists, open_regular, with_suffix};
use super::super::{fault, guard};
use super::flush_directory;
use crate::error::{Error, ErrorKind, Result};
use crate::value::digest::{Digest, sha256_of_file};
use crate::value::limits;
use crate::value::time::Timestamp;

const FIRST_LINE: &str = "gatepost backup, version 1";

/// One `name: value` a line, so that a person and a script can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store_id: [u8; 16],
    pub(crate) schema_version: i64,
    /// The number of the newest change row.
    pub(crate) head: i64,
    pub(crate) taken_at: Timestamp,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

/// What the content of a backup says of itself.
pub(super) struct Content {
    store_id: [u8; 16],
    schema_version: i64,
    head: i64,
}

impl Content {
    pub(super) fn of(copy: &Connection) -> Result<Self> {
        copy.query_row(
            "SELECT store_id, (SELECT user_version FROM pragma_user_version),
                 (SELECT seq FROM sqlite_sequence WHERE name = 'change')
             FROM store WHERE id = 1",
            [],
            |row| {
                Ok(Self { store_id: row.get(0)?, schema_version: row.get(1)?, head: row.get(2)? })
            },
        )
        .map_err(fault)
    }
}

impl Manifest {
    /// The manifest of a file that SQLite has closed.
    pub(super) fn of(path: &Path, content: &Content, taken_at: Timestamp) -> Result<Self> {
        let (bytes, sha256) = digest(path)?;
        let Content { store_id, schema_version, head } = *content;
        Ok(Self { store_id, schema_version, head, taken_at, bytes, sha256 })
    }

    /// The manifest of this backup, whose bytes are still those that it was written for.
    ///
    /// # Errors
    /// `NotFound` if there is no backup or no manifest, `Corrupt` if they do not fit each other.
    pub(crate) fn check(backup: &Path) -> Result<Self> {
        let manifest = Self::read(backup)?;
        if digest(backup)? != (manifest.bytes, manifest.sha256) {
            return Err(Error::corrupt(
                "the backup is not the one that its manifest was written for",
            )
            .advising("Take another backup, or copy this one and its manifest once more."));
        }
        Ok(manifest)
    }

    fn read(backup: &Path) -> Result<Self> {
        if !backup.is_file() {
            return Err(Error::not_found("there is no backup of that name")
                .advising("Check the path of the backup."));
        }
        match text_of(&path_of(backup)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::not_found("the backup has no manifest beside it").advising(
                    "Copy the manifest beside the backup. A copy that was made by other means is \
                     put in its place first, and taken in with Store::adopt_restored.",
                ))
            }
            Err(error) => Err(from_io(&error)),
            Ok(None) => {
                Err(Error::new(ErrorKind::Unsafe, "the manifest of the backup is no regular file")
                    .advising("Copy the manifest itself beside the backup."))
            }
            Ok(Some(text)) => Self::parse(&text)
                .ok_or_else(|| Error::corrupt("the manifest of the backup is damaged")),
        }
    }

    /// Writes the manifest of the backup that will be at `backup`, where there is none. A manifest
    /// is there if a backup was cut off just before its end: that one is replaced, and no other
    /// file.
    pub(super) fn write(&self, backup: &Path) -> Result<()> {
        let target = path_of(backup);
        if exists(&target) {
            match text_of(&target).map_err(|error| from_io(&error))? {
                Some(text) if Self::parse(&text).is_some() => {}
                _ => return Err(super::taken().at(&target)),
            }
        }
        let partial = with_suffix(&target, ".partial");
        let _ = fs::remove_file(&partial);
        if !guard::create(&partial)? {
            return Err(Error::taken("another process writes a manifest of that name"));
        }
        fs::OpenOptions::new()
            .write(true)
            .open(&partial)
            .and_then(|mut file| file.write_all(self.text().as_bytes()).and(file.sync_all()))
            .and_then(|()| fs::rename(&partial, &target))
            .map_err(|error| from_io(&error))?;
        flush_directory(&target)
    }

    fn text(&self) -> String {
        format!(
            "{FIRST_LINE}\nstore: {}\nschema: {}\nhead: {}\ntaken_at_ms: {}\nbytes: {}\n\
             sha256: {}\n",
            HEXLOWER.encode(&self.store_id),
            self.schema_version,
            self.head,
            self.taken_at.as_millis(),
            self.bytes,
            HEXLOWER.encode(self.sha256.as_bytes()),
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == FIRST_LINE).then_some(())?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ");
        Some(Self {
            store_id: bytes(value("store")?)?,
            schema_version: value("schema")?.parse().ok()?,
            head: value("head")?.parse().ok()?,
            taken_at: Timestamp::from_millis(value("taken_at_ms")?.parse().ok()?),
            bytes: value("bytes")?.parse().ok()?,
            sha256: Digest::from_bytes(bytes(value("sha256")?)?),
        })
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// The beginning of a regular file, which is empty if it is no text; `None` if something else is at
/// the path.
fn text_of(path: &Path) -> std::io::Result<Option<String>> {
    let Some(file) = open_regular(path, fs::OpenOptions::new().read(true))? else {
        return Ok(None);
    };
    let mut text = String::new();
    match file.take(limits::MANIFEST_MAX_BYTES).read_to_string(&mut text) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Some(String::new())),
        read => read.map(|_| Some(text)),
    }
}

/// The path of the manifest of a backup.
pub(super) fn path_of(backup: &Path) -> PathBuf {
    with_suffix(backup, ".manifest")
}

/// The length and the digest of a file that no connection has open.
fn digest(path: &Path) -> Result<(u64, Digest)> {
    let read = fs::File::open(path).and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok((bytes, sha256_of_file(file)?))
    });
    read.map_err(|error| from_io(&error))
}
