//! A store and the clock that drives it, for every test module.

mod acts;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::host::{ManualClock, SeededRandom};
use gatepost::{DeviceId, Error, ErrorKind, Options, Page, Store, Timestamp};
use tempfile::TempDir;

/// A store on a file of its own, a clock that does not move and a seeded random source.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) options: Options,
    pub(crate) path: PathBuf,
    directory: TempDir,
}

/// Monday, 5 January 2026, 09:00 UTC.
pub(crate) fn morning() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Long tests do one of so many of their rounds where the suite is compiled without optimisations,
/// and all of them in the section `optimised` of the gate.
pub(crate) const fn one_of(many: usize) -> usize {
    if cfg!(debug_assertions) { many } else { 1 }
}

/// Set to `off`, every store of the suite opens without a cache, in this process and in those that
/// it starts: the second run of the gate. The library itself reads no variable.
const CACHE: &str = "GATEPOST_TESTS_CACHE";

/// Whether this run of the suite leaves the cache on.
#[expect(clippy::disallowed_methods, reason = "the gate chooses so for a whole run")]
pub(crate) fn is_cache_on() -> bool {
    match std::env::var(CACHE).as_deref() {
        Err(_) | Ok("on") => true,
        Ok("off") => false,
        Ok(other) => panic!("{CACHE} is on or off, not {other}"),
    }
}

/// Reports on standard error that a test did not look at what it is for, because no file system
/// could be mounted: the harness keeps what is printed to itself.
///
/// Fails in the gate, which sets `CI`, if this process has the right to mount (`CAP_SYS_ADMIN`):
/// then something else is wrong. A container usually takes that right even from root.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the gate says so for a whole run")]
pub(crate) fn nothing_mounted(what: &str) {
    let must_mount = std::env::var("CI").is_ok_and(|ci| ci == "true") && may_mount();
    assert!(!must_mount, "{what}: nothing was mounted, although this process has the right to");
    let line = format!("NOT LOOKED AT: {what}: nothing may be mounted here\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Whether this process has `CAP_SYS_ADMIN`, by which Linux decides who mounts.
fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    rights.is_some_and(|rights| rights & CAP_SYS_ADMIN != 0)
}

/// In memory where the system has such a place: for tests that would have a disk flush thousands of
/// times, and that are about no disk.
pub(crate) fn directory_in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The options with which every test opens its stores, except those that it changes.
pub(crate) fn for_tests() -> Options {
    let options = Options::for_tests();
    if is_cache_on() { options } else { options.cache(None) }
}

impl World {
    /// With the options for tests.
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    /// With other options.
    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        Self::within(tempfile::tempdir().unwrap(), change)
    }

    /// With other options, in a [`directory_in_memory`].
    pub(crate) fn in_memory(change: impl FnOnce(Options) -> Options) -> Self {
        Self::within(directory_in_memory(), change)
    }

    fn within(directory: TempDir, change: impl FnOnce(Options) -> Options) -> Self {
        let clock = ManualClock::new(morning());
        let options = change(
            for_tests()
                .clock(Arc::new(clock.clone()))
                .random_source(Arc::new(SeededRandom::new(7))),
        );
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, options.clone()).unwrap();
        Self { store, clock, options, path, directory }
    }

    /// Closes the store and opens its file again.
    pub(crate) fn reopen(&mut self) {
        self.store.close().unwrap();
        self.store = Store::open(&self.path, self.options.clone()).unwrap();
    }

    /// The directory of the file.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// A connection of plain SQL to the same file, as a hand with a shell would have it.
    pub(crate) fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// The number of the newest change row.
    pub(crate) fn head(&self) -> i64 {
        self.count("SELECT seq FROM sqlite_sequence WHERE name = 'change'")
    }

    /// Asserts which events a call leaves in the audit log and how many rows in the change log.
    #[track_caller]
    pub(crate) fn leaves<T>(
        &self,
        events: &[EventKind],
        changes: i64,
        call: impl FnOnce(&Store) -> T,
    ) -> T {
        let head = self.head();
        let last = self.count("SELECT max(head_seq) FROM audit_chain");
        let answer = call(&self.store);
        let log = self.store.audit().list(&AuditFilter::new(), Page::after(last, 500)).unwrap();
        let left: Vec<&str> = log.iter().map(|entry| entry.event.as_str()).collect();
        let expected: Vec<&str> = events.iter().map(|kind| kind.name()).collect();
        assert_eq!(left, expected, "events");
        assert_eq!(self.head() - head, changes, "change rows");
        answer
    }

    /// Asserts that a call fails, and why, and that nothing of it is left. The library names what
    /// was wrong before a trigger or constraint of the file has to.
    #[track_caller]
    pub(crate) fn refuses<T: std::fmt::Debug>(
        &self,
        reason: ErrorKind,
        call: impl FnOnce(&Store) -> Result<T, Error>,
    ) {
        let refusal = self.leaves(&[], 0, call).unwrap_err();
        assert_eq!(refusal.kind(), reason, "{refusal}");
        assert!(!refusal.to_string().contains("a rule of the file's schema"), "{refusal}");
    }

    /// One number, by plain SQL.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

pub(crate) use acts::{Meanwhile, reason, wait_for_reads};

/// A device of that name.
pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// A password that every policy lets pass.
pub(crate) const PASSWORD: &str = "correct horse battery";
