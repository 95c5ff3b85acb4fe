//! A process that only verifies, from memory, and what happens to its file meanwhile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::host::ManualClock;
use gatepost::sessions::OpenSession;
use gatepost::status::{ChangeSignal, FileState};
use gatepost::{Options, Store};

use crate::child::{Child, Parent};
use crate::world::{SECOND, World, device, for_tests, is_cache_on, morning};

/// Does what each line says, and answers with the result.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let clock = ManualClock::new(morning());
    let options = for_tests().clock(Arc::new(clock.clone()));
    let store = Store::open(&words[0], options).unwrap();
    while let Some(line) = parent.hear() {
        let answer = match line.split_once(' ') {
            Some(("verify", token)) => match store.verify((token, &device("till"))) {
                Ok(verdict) => format!("{}", verdict.valid().is_ok()),
                Err(error) => format!("{:?}", error.kind()),
            },
            Some(("stray", name)) => {
                drop(File::open(Path::new(&words[0]).with_file_name(name)).unwrap());
                "closed".to_owned()
            }
            _ if line == "second" => {
                clock.advance(SECOND);
                "later".to_owned()
            }
            _ => format!("{:?}", store.status().file_state),
        };
        parent.say(&answer);
    }
}

/// A process that has verified a session and cached it.
struct Verifier {
    child: Child,
    token: String,
}

impl Verifier {
    fn of(world: &World) -> Self {
        let ada = world.person("ada").id;
        let open = OpenSession::new(ada, device("till"));
        let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
        let child = Child::start("only verify", &[world.path.to_str().unwrap()]);
        let mut verifier = Self { child, token: session.token.expose().to_owned() };
        for _ in 0..3 {
            assert_eq!(verifier.verifies(), "true");
            assert_eq!(verifier.ask("second"), "later");
        }
        assert_eq!(verifier.ask("guard"), "FileAndLocks");
        verifier
    }

    fn ask(&mut self, line: &str) -> String {
        self.child.say(line);
        self.child.hear()
    }

    fn verifies(&mut self) -> String {
        self.ask(&format!("verify {}", self.token))
    }

    /// Asserts that it has closed itself within a second, for that reason.
    #[track_caller]
    fn has_noticed(mut self, guard: &str, what: &str) {
        assert_eq!(self.ask("second"), "later");
        for _ in 0..2 {
            assert_eq!(self.verifies(), "Closed", "{what}");
        }
        assert_eq!(self.ask("guard"), guard, "{what}");
    }
}

type Meddle = fn(&World);

/// What another process does to the file.
const DONE: &[(&str, Meddle)] = &[
    ("deleted", |world| fs::remove_file(&world.path).unwrap()),
    ("moved", |world| fs::rename(&world.path, world.directory().join("gone.db")).unwrap()),
    ("replaced by its own copy", |world| replace_by_copy(world, "")),
    ("-shm deleted", |world| fs::remove_file(beside(world, "-shm")).unwrap()),
    ("-shm replaced by its own copy", |world| replace_by_copy(world, "-shm")),
];

fn beside(world: &World, suffix: &str) -> PathBuf {
    world.directory().join(format!("auth.db{suffix}"))
}

/// From a shell: a copy made here would drop the locks of this process.
fn replace_by_copy(world: &World, suffix: &str) {
    let (file, copy) = (beside(world, suffix), world.directory().join("copy"));
    let copied = std::process::Command::new("cp").args([&file, &copy]).status().unwrap();
    assert!(copied.success());
    fs::rename(copy, file).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn what_another_process_does_to_the_file_is_noticed_within_a_second() {
    for (what, meddle) in DONE {
        let world = World::new();
        let verifier = Verifier::of(&world);
        meddle(&world);
        verifier.has_noticed("Replaced", what);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_stray_open_and_close_in_its_own_program_is_noticed_within_a_second() {
    for stray in ["auth.db", "auth.db-shm"] {
        let world = World::new();
        let mut verifier = Verifier::of(&world);
        assert_eq!(verifier.ask(&format!("stray {stray}")), "closed");
        verifier.has_noticed("LocksLost", stray);
    }
}

/// Other programs then lose their own locks.
#[test]
#[cfg(target_os = "linux")]
fn a_stray_open_and_close_elsewhere_is_nothing_to_it() {
    let world = World::new();
    let mut verifier = Verifier::of(&world);
    for stray in ["", "-wal", "-shm"] {
        drop(File::open(beside(&world, stray)).unwrap());
        assert_eq!(verifier.ask("second"), "later");
        assert_eq!(verifier.verifies(), "true");
    }
    assert_eq!(verifier.ask("guard"), "FileAndLocks");
}

#[test]
fn the_status_reports_the_change_signal_and_the_file_watch() {
    let of = |store: &Store| (store.status().change_signal, store.status().file_state);
    let guarded =
        if cfg!(target_os = "linux") { FileState::FileAndLocks } else { FileState::FileAlone };
    let world = World::new();
    let chosen =
        if is_cache_on() { ChangeSignal::SharedWalIndex } else { ChangeSignal::NotWanted };
    assert_eq!(of(&world.store), (chosen, guarded));
    world.store.close().unwrap();
    assert_eq!(of(&world.store), (chosen, FileState::Closed));

    let world = World::with(|options| options.cache(None));
    assert_eq!(of(&world.store), (ChangeSignal::NotWanted, guarded));
    assert_eq!(world.store.status().cached, None);

    let store = Store::in_memory(Options::server()).unwrap();
    assert_eq!(of(&store), (ChangeSignal::InMemory, FileState::InMemory));
}
