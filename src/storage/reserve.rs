//! The disk reserve: a file beside the store whose room is released when the disk is full.
//!
//! It begins with a line that says what it is. Its other bytes are random, so that no file system
//! can compress them or leave them unallocated. It is deleted when a revocation finds no room on
//! the disk. No ordinary write of the process that deleted it begins before it was written again. A
//! file of that name that does not begin with this line is not the store's: it is neither deleted
//! nor replaced.
//!
//! A reserve that is being written takes room itself, and the disk may be almost full. The process
//! that writes it holds its lock (`flock`) and stops when it is deleted. The process that deletes
//! it waits for that lock, after which its room is free.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::connection::{Stopwatch, pause};
use super::fault::from_io;
use super::files::{self, Files};
use super::guard;
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;
use crate::value::random::{RandomSource, random_bytes};
use crate::value::time::Timestamp;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// When this process gave the reserve up, or last failed to write it again; `None` while it
    /// has not been given up since it was written.
    missing: Mutex<Option<Timestamp>>,
}

/// How long a revocation waits for the room of a reserve that is being written.
const STOPPED_WITHIN: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 4_096;
const FIRST_LINE: &[u8] = b"Gatepost disk reserve\n";

impl Reserve {
    pub(super) fn new(files: &Files, bytes: u64) -> Self {
        Self { path: files.reserve.clone(), bytes, missing: Mutex::default() }
    }

    /// Writes the reserve unless it has its full length or another program's file has its name. A
    /// reserve that could not be completed is deleted.
    pub(super) fn fill(&self, random: &dyn RandomSource) -> Result<()> {
        let found = self.look();
        if matches!(found, Ok(Some(false))) || files::length(&self.path) >= self.bytes {
            return Ok(());
        }
        found.map_err(|error| from_io(&error))?;
        // Another process may be writing it right now.
        if fs::File::open(&self.path).is_ok_and(|file| !locks(&file)) {
            return Ok(());
        }
        self.delete();
        if !guard::create(&self.path)? {
            return Ok(());
        }
        let opened = fs::OpenOptions::new().append(true).open(&self.path);
        let mut file = opened.map_err(|error| from_io(&error))?;
        if !locks(&file) {
            return Ok(());
        }
        let written = self.write(&mut file, random);
        if written.is_err() && is_named(&file) {
            self.delete();
        }
        written
    }

    /// Deletes the reserve; returns whether it existed. Its room is free then, also if it was being
    /// written.
    pub(super) fn give_up(&self, now: Timestamp) -> bool {
        let mut missing = self.missing.lock();
        if !self.may_be_deleted() {
            return false;
        }
        let file = fs::File::open(&self.path);
        let is_given_up = self.delete();
        if is_given_up {
            *missing = Some(now);
        }
        drop(missing);
        if let (true, Ok(file)) = (is_given_up, file) {
            let waited = Stopwatch::start();
            while !locks(&file) && !waited.left_of(STOPPED_WITHIN).is_zero() {
                pause(Duration::from_millis(1));
            }
        }
        is_given_up
    }

    /// Whether there is a file of that name that the store did not write.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.look(), Ok(Some(false)))
    }

    /// Whether the file of that name is the reserve; `None` if there is none. A reserve whose
    /// writing was cut off has only the beginning of the line.
    fn look(&self) -> std::io::Result<Option<bool>> {
        let Ok(seen) = fs::symlink_metadata(&self.path) else {
            return Ok(None);
        };
        // A device or a pipe must not be opened.
        if !seen.is_file() {
            return Ok(Some(false));
        }
        let mut beginning = Vec::new();
        let file = fs::File::open(&self.path)?;
        file.take(FIRST_LINE.len() as u64).read_to_end(&mut beginning)?;
        Ok(Some(FIRST_LINE.starts_with(&beginning)))
    }

    fn may_be_deleted(&self) -> bool {
        match self.look() {
            Ok(is_ours) => is_ours != Some(false),
            Err(error) => self.is_known_unread(&error, files::length(&self.path)),
        }
    }

    /// Whether a file of this length that could not be read is the reserve: a revocation must not
    /// fail because the program has no descriptor left.
    fn is_known_unread(&self, error: &std::io::Error, bytes: u64) -> bool {
        let written = self.bytes..self.bytes.saturating_add(PIECE_BYTES as u64);
        let errno = Errno::from_io_error(error);
        matches!(errno, Some(Errno::MFILE | Errno::NFILE)) && written.contains(&bytes)
    }

    /// Before an ordinary write: writes the reserve again if this process has given it up, at most
    /// once in [`limits::FULL_PROBE_MS`]. The free space of the file system is no answer, as a
    /// quota may be used up; only a reserve that was written proves that there is room. Where
    /// another program's file has taken its name, there is no reserve to wait for.
    ///
    /// # Errors
    /// `Full` until the reserve is back.
    pub(super) fn check_back(&self, now: Timestamp, random: &dyn RandomSource) -> Result<()> {
        let mut missing = self.missing.lock();
        let Some(last) = *missing else {
            return Ok(());
        };
        let since = now.as_millis().saturating_sub(last.as_millis());
        if since.unsigned_abs() >= limits::FULL_PROBE_MS.unsigned_abs() {
            *missing = Some(now);
            // Neither other writes nor a revocation wait for it.
            let is_written = MutexGuard::unlocked(&mut missing, || self.fill(random).is_ok());
            // Another process or thread may be writing it, or have deleted it.
            if is_written && (self.is_foreign() || files::length(&self.path) >= self.bytes) {
                *missing = None;
                return Ok(());
            }
            *missing = Some(now);
        }
        let what = "the disk reserve was given up, and there is no room to write it again";
        Err(Error::new(ErrorKind::Full, what))
    }

    fn delete(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn write(&self, file: &mut fs::File, random: &dyn RandomSource) -> Result<()> {
        let mut left = self.bytes;
        let mut first_line = FIRST_LINE;
        while left > 0 {
            if !is_named(file) {
                return Err(Error::new(
                    ErrorKind::Full,
                    "a revocation took the room of the reserve",
                ));
            }
            let mut piece: [u8; PIECE_BYTES] = random_bytes(random)?;
            for (to, byte) in piece.iter_mut().zip(std::mem::take(&mut first_line)) {
                *to = *byte;
            }
            file.write_all(&piece).map_err(|error| from_io(&error))?;
            left = left.saturating_sub(PIECE_BYTES as u64);
        }
        file.sync_all().map_err(|error| from_io(&error))
    }
}

/// Whether no other process or thread writes the reserve; its lock is this file's from now on.
fn locks(file: &fs::File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Whether an open file still has a name.
fn is_named(file: &fs::File) -> bool {
    file.metadata().is_ok_and(|seen| seen.nlink() > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;
    use crate::value::random::{RandomUnavailable, SystemRandom};

    #[test]
    fn the_reserve_is_allocated_readable_by_its_owner_alone_and_deleted_once() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(&Files::of(directory.path().join("auth.db")), 100_000);
        for _ in 0..2 {
            reserve.fill(&SystemRandom).unwrap();
            let seen = fs::metadata(directory.path().join("auth.db-reserve")).unwrap();
            assert!(seen.len() >= 100_000 && seen.blocks() * 512 >= 100_000);
            assert_eq!(seen.mode() & 0o777, 0o600);
        }
        let now = Timestamp::UNIX_EPOCH;
        assert!(reserve.give_up(now));
        assert!(!reserve.give_up(now));
    }

    #[test]
    fn without_a_descriptor_the_reserve_is_known_by_its_length() {
        let reserve = Reserve::new(&Files::of("/x/auth.db".into()), 100_000);
        let is_known = |errno: Errno, bytes| reserve.is_known_unread(&errno.into(), bytes);
        for (bytes, is_ours) in
            [(99_999, false), (100_000, true), (104_095, true), (104_096, false)]
        {
            assert_eq!(is_known(Errno::MFILE, bytes), is_ours, "{bytes}");
            assert_eq!(is_known(Errno::NFILE, bytes), is_ours, "{bytes}");
            assert!(!is_known(Errno::ACCESS, bytes) && !is_known(Errno::IO, bytes));
        }
    }

    #[test]
    fn a_reserve_that_was_given_up_is_back_before_an_ordinary_write() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let reserve = Reserve::new(&files, 100_000);
        let at = Timestamp::from_millis;
        let check = |millis| reserve.check_back(at(millis), &SystemRandom);
        check(0).unwrap();
        assert!(!files.reserve.exists(), "a reserve that was never there is not demanded");
        reserve.fill(&SystemRandom).unwrap();
        assert!(reserve.give_up(at(0)));
        assert_eq!(check(limits::FULL_PROBE_MS - 1).unwrap_err().kind(), ErrorKind::Full);
        check(limits::FULL_PROBE_MS).unwrap();
        assert!(fs::metadata(&files.reserve).unwrap().len() >= 100_000);
        // A clock that was set back does not prolong it, and a foreign file ends it.
        assert!(reserve.give_up(at(limits::FULL_PROBE_MS)));
        check(-limits::FULL_PROBE_MS).unwrap();
        assert!(reserve.give_up(at(0)));
        fs::write(&files.reserve, "my notes").unwrap();
        check(limits::FULL_PROBE_MS).unwrap();
        assert_eq!(fs::read(&files.reserve).unwrap(), b"my notes");
    }

    /// Stops at the tenth piece, until the reserve is gone.
    #[derive(Debug)]
    struct UntilDeleted(PathBuf, AtomicU64);

    impl RandomSource for UntilDeleted {
        fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable> {
            if self.1.fetch_add(1, Ordering::SeqCst) == 10 {
                while self.0.exists() {
                    pause(Duration::from_millis(1));
                }
            }
            SystemRandom.fill(buf)
        }
    }

    /// What takes the last room of a full disk is the reserve itself, while it is written again.
    #[test]
    fn a_reserve_that_is_being_written_again_holds_up_no_call_and_gives_its_room_to_a_revocation()
    {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let at = Timestamp::from_millis;
        let probe = limits::FULL_PROBE_MS;
        // The store of another process, too.
        for by_another in [false, true] {
            let reserve = Reserve::new(&files, 10_000_000);
            let other = Reserve::new(&files, 10_000_000);
            reserve.fill(&SystemRandom).unwrap();
            assert!(reserve.give_up(at(0)));
            let random = UntilDeleted(files.reserve.clone(), AtomicU64::new(0));
            std::thread::scope(|scope| {
                let writing = scope.spawn(|| reserve.check_back(at(probe), &random));
                while random.1.load(Ordering::SeqCst) <= 10 {
                    pause(Duration::from_millis(1));
                }
                let meanwhile =
                    || reserve.check_back(at(probe), &SystemRandom).unwrap_err().kind();
                assert_eq!(meanwhile(), ErrorKind::Full);
                let later = reserve.check_back(at(2 * probe), &SystemRandom).unwrap_err();
                assert_eq!(later.kind(), ErrorKind::Full);
                // An opening of the store leaves it, too.
                other.fill(&SystemRandom).unwrap();
                assert!(files.reserve.exists());
                assert!(if by_another { &other } else { &reserve }.give_up(at(probe)));
                assert_eq!(writing.join().unwrap().unwrap_err().kind(), ErrorKind::Full);
            });
            assert!(!files.reserve.exists());
            assert_eq!(random.1.load(Ordering::SeqCst), 11, "it goes on after it was deleted");
            reserve.check_back(at(3 * probe), &SystemRandom).unwrap();
            assert!(files::length(&files.reserve) >= 10_000_000);
            assert!(reserve.give_up(at(0)));
        }
    }

    /// Its room is free only once no process has it open any more.
    #[test]
    fn a_revocation_waits_for_the_writer_of_the_reserve_that_it_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let reserve = Reserve::new(&files, 10_000_000);
        fs::write(&files.reserve, FIRST_LINE).unwrap();
        let writer = fs::File::open(&files.reserve).unwrap();
        assert!(locks(&writer));
        let is_closed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let giving_up = scope.spawn(|| {
                let is_given_up = reserve.give_up(Timestamp::UNIX_EPOCH);
                (is_given_up, is_closed.load(Ordering::SeqCst))
            });
            while files.reserve.exists() {
                pause(Duration::from_millis(1));
            }
            pause(Duration::from_millis(50));
            is_closed.store(true, Ordering::SeqCst);
            drop(writer);
            assert_eq!(giving_up.join().unwrap(), (true, true));
        });
    }

    #[test]
    fn a_file_of_that_name_that_is_not_the_reserve_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db-reserve");
        let reserve = Reserve::new(&Files::of(directory.path().join("auth.db")), 10_000);
        for notes in ["my notes", "Gatepost disk reserve, they say"] {
            fs::write(&path, notes).unwrap();
            reserve.fill(&SystemRandom).unwrap();
            assert!(!reserve.give_up(Timestamp::UNIX_EPOCH) && reserve.is_foreign());
            assert_eq!(fs::read_to_string(&path).unwrap(), notes);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(reserve.is_foreign() && !reserve.give_up(Timestamp::UNIX_EPOCH));
        fs::remove_dir(&path).unwrap();
        // Its writing was cut off.
        for cut in ["", "Gatepost di", "Gatepost disk reserve\nabc"] {
            fs::write(&path, cut).unwrap();
            reserve.fill(&SystemRandom).unwrap();
            assert!(!reserve.is_foreign() && files::length(&path) >= 10_000, "{cut:?}");
        }
    }
}
