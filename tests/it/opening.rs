//! Opening: a foreign, too new, damaged or misplaced file is refused with its reason, and left
//! as it was; a file of Gatepost's is opened, whatever its name.

mod damage;
mod migrated;
pub(crate) mod modes;
mod pipes;
mod places;
pub(crate) mod processes;
mod sharing;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gatepost::audit::AuditFilter;
use gatepost::status::OpenWarning;
use gatepost::{Actor, ErrorKind, Options, Page, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::child::Child;
use crate::world::{World, for_tests};

/// An empty directory and the path of a file in it that is not there yet.
struct Place {
    path: PathBuf,
    directory: TempDir,
}

/// The files of a directory: names with size, time of the last change and content.
type Content = BTreeMap<String, (u64, i64, i64, Vec<u8>)>;

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("auth.db"), directory }
    }

    /// With these bytes as the file.
    fn holding(bytes: &[u8]) -> Self {
        let place = Self::new();
        fs::write(&place.path, bytes).unwrap();
        place
    }

    /// With a file of Gatepost's, closed.
    fn ours() -> Self {
        let place = Self::new();
        let store = place.open(for_tests()).unwrap();
        store.organisations().create("Northern").unwrap();
        store.close().unwrap();
        place
    }

    fn open(&self, options: Options) -> gatepost_result::Result<Store> {
        Store::open(&self.path, options)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn names(&self) -> Vec<String> {
        content(self.directory.path()).into_keys().collect()
    }

    /// Runs a script of plain SQL on the file, which no store has open.
    fn script(&self, script: &str) {
        Connection::open(&self.path).unwrap().execute_batch(script).unwrap();
    }

    /// Asserts that opening is refused, with some advice, and leaves everything as it was.
    #[track_caller]
    fn refuses(&self, reason: ErrorKind) {
        self.refuses_with(for_tests(), reason);
    }

    #[track_caller]
    fn refuses_with(&self, options: Options, reason: ErrorKind) {
        let before = content(self.directory.path());
        let refusal = self.open(options).unwrap_err();
        assert_eq!(refusal.kind(), reason, "{refusal}");
        assert!(!refusal.advice().is_empty() && !refusal.is_retryable());
        assert!(content(self.directory.path()) == before, "something changed: {refusal}");
    }
}

/// `Result` of the library's calls.
mod gatepost_result {
    pub(crate) type Result<T> = std::result::Result<T, gatepost::Error>;
}

/// The shared memory of the log is left out: reading it takes locks in it.
fn content(directory: &Path) -> Content {
    let mut all = Content::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let seen = fs::symlink_metadata(entry.path()).unwrap();
        if name.ends_with("-shm") {
            all.insert(name, (0, 0, 0, Vec::new()));
            continue;
        }
        let bytes = if seen.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        all.insert(name, (seen.len(), seen.mtime(), seen.mtime_nsec(), bytes));
    }
    all
}

#[test]
fn what_is_no_database_is_refused() {
    Place::holding("Dear diary, ".repeat(50).as_bytes()).refuses(ErrorKind::NotADatabase);
    Place::holding(b"x").refuses(ErrorKind::NotADatabase);
    let mut noise = vec![0_u8; 8_192];
    let mut state = 7_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = u8::try_from(state >> 24).unwrap();
    }
    Place::holding(&noise).refuses(ErrorKind::NotADatabase);
    Place::holding(&[0; 4_096]).refuses(ErrorKind::NotADatabase);
}

#[test]
fn a_header_cut_short_is_no_database() {
    let ours = fs::read(Place::ours().path).unwrap();
    for length in [1, 16, 50, 99] {
        Place::holding(&ours[..length]).refuses(ErrorKind::NotADatabase);
    }
}

#[test]
fn another_applications_database_is_refused_in_every_mode() {
    for script in [
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
        "PRAGMA application_id = 7; CREATE TABLE t (a)",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a)",
        "PRAGMA journal_mode = WAL; PRAGMA application_id = 7; CREATE TABLE t (a)",
        "PRAGMA user_version = 1; CREATE TABLE store (id, min_reader)",
        "VACUUM",
    ] {
        let place = Place::new();
        place.script(script);
        if fs::metadata(&place.path).unwrap().len() > 0 {
            place.refuses(ErrorKind::NotOurs);
        }
    }
}

/// SQLite would roll the journal of a creation back and empty the file.
#[test]
fn a_file_that_another_application_has_begun_is_refused() {
    let place = Place::new();
    place.script("PRAGMA application_id = 7; CREATE TABLE t (a)");
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut journal = vec![0; 512];
    journal[..8].copy_from_slice(&magic);
    fs::write(place.beside("-journal"), journal).unwrap();
    place.refuses(ErrorKind::NotOurs);
}

#[test]
fn another_applications_log_is_not_even_read() {
    for id in ["", "PRAGMA application_id = 7;"] {
        let place = Place::new();
        let mut other = Child::start("plain SQL", &[place.path.to_str().unwrap()]);
        let script = "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)";
        other.say(&format!("{id} {script}"));
        assert_eq!(other.hear(), "done");
        // Its log has commits that the file does not have yet, and it is killed.
        other.kill();
        assert_eq!(place.names(), ["auth.db", "auth.db-shm", "auth.db-wal"]);
        place.refuses(ErrorKind::NotOurs);
    }
}

#[test]
fn a_newer_file_that_may_not_be_read_is_refused() {
    let place = Place::ours();
    place.script("PRAGMA user_version = 2; UPDATE store SET min_reader = 2");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o640)).unwrap();
    place.refuses(ErrorKind::TooNew);
    assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn a_newer_version_that_is_in_the_log_alone_is_refused_as_well() {
    let place = Place::ours();
    let mut newer = Child::start("plain SQL", &[place.path.to_str().unwrap()]);
    newer.say("PRAGMA user_version = 2; UPDATE store SET min_reader = 2");
    assert_eq!(newer.hear(), "done");
    newer.kill();
    place.refuses(ErrorKind::TooNew);
}

#[test]
fn a_newer_file_that_says_so_is_opened_and_noted() {
    let place = Place::ours();
    place.script("PRAGMA user_version = 9; ALTER TABLE organisation ADD COLUMN nickname TEXT");
    let store = place.open(for_tests()).unwrap();
    assert_eq!(store.status().open_warnings, [OpenWarning::NewerSchema]);
    store.organisations().create("Southern").unwrap();
    store.close().unwrap();
}

#[test]
fn a_file_of_ours_without_its_tables_is_damaged() {
    for script in [
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA user_version = 2; DROP TRIGGER store_stays; DROP TABLE store",
        "DROP TRIGGER store_stays; DROP TABLE store",
    ] {
        let place = Place::ours();
        place.script(script);
        place.refuses(ErrorKind::Corrupt);
    }
}

#[test]
fn a_log_without_its_file_is_kept() {
    let gone = Place::new();
    fs::write(gone.beside("-wal"), "commits of a file that was moved").unwrap();
    gone.refuses(ErrorKind::Corrupt);
    fs::write(&gone.path, "").unwrap();
    gone.refuses(ErrorKind::Corrupt);
}

#[test]
fn an_empty_file_is_filled() {
    let place = Place::holding(b"");
    fs::write(place.beside("-wal"), "").unwrap();
    let store = place.open(for_tests()).unwrap();
    store.organisations().create("Northern").unwrap();
    store.close().unwrap();
    assert_eq!(place.names(), ["auth.db"]);
}

#[test]
fn the_log_of_a_new_store_begins_with_its_creation_and_no_other_opening_adds_a_row() {
    let log = |store: &Store| {
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
        let rows = store.audit().list(&AuditFilter::new(), Page::first(9)).unwrap();
        rows.into_iter().map(|row| (row.seq, row.event, row.actor)).collect::<Vec<_>>()
    };
    let creation = [(1, "store.created".to_owned(), Actor::Host)];
    let world = World::new();
    assert_eq!(log(&world.store), creation);
    world.store.close().unwrap();
    assert_eq!(log(&Store::open(&world.path, world.options.clone()).unwrap()), creation);
    assert_eq!(log(&Store::in_memory(for_tests()).unwrap()), creation);
}
