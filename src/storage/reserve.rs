//! Room on the disk that is held for the day on which there is none.
//!
//! A file of its own beside the store, of bytes that are really written and that nothing can make
//! smaller. It is deleted when what must be written finds no room, and written anew when there is.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::fault::from_io;
use super::files::{self, Files};
use super::guard;
use crate::error::Result;
use crate::value::random::{RandomSource, random_bytes};

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

const PIECE_BYTES: usize = 4_096;

impl Reserve {
    pub(super) fn new(files: &Files, bytes: u64) -> Self {
        Self { path: files.reserve.clone(), bytes }
    }

    /// Writes it, if it is not there in full. Half of one is not left behind.
    pub(super) fn fill(&self, random: &dyn RandomSource) -> Result<()> {
        if files::length(&self.path) >= self.bytes {
            return Ok(());
        }
        self.give_up();
        // Another process may be writing it right now.
        if !guard::create(&self.path)? {
            return Ok(());
        }
        let written = self.write(random);
        if written.is_err() {
            self.give_up();
        }
        written
    }

    /// Gives its room back; answers whether there was any.
    pub(super) fn give_up(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn write(&self, random: &dyn RandomSource) -> Result<()> {
        let opened = fs::OpenOptions::new().append(true).open(&self.path);
        let mut file = opened.map_err(|error| from_io(&error))?;
        let mut left = self.bytes;
        while left > 0 {
            let piece: [u8; PIECE_BYTES] = random_bytes(random)?;
            file.write_all(&piece).map_err(|error| from_io(&error))?;
            left = left.saturating_sub(PIECE_BYTES as u64);
        }
        file.sync_all().map_err(|error| from_io(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::value::random::SystemRandom;

    #[test]
    fn its_bytes_are_on_the_disk_and_its_owners_alone_and_go_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(&Files::of(directory.path().join("auth.db")), 100_000);
        for _ in 0..2 {
            reserve.fill(&SystemRandom).unwrap();
            let seen = fs::metadata(directory.path().join("auth.db-reserve")).unwrap();
            assert!(seen.len() >= 100_000 && seen.blocks() * 512 >= 100_000);
            assert_eq!(seen.mode() & 0o777, 0o600);
        }
        assert!(reserve.give_up());
        assert!(!reserve.give_up());
    }
}
