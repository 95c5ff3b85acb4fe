//! A desk for the tests, whose time a test moves and whose vault a test breaks.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatepost::host::{KeyId, Keys, ManualClock, SealingKey};
use gatepost::policy::SessionPolicy;
use gatepost::{NewUser, Options, User};
use gatepost_desk::{Desk, Folder, SavedToken, Seat, SignIn, TokenVault, VaultError, VaultKind};
use tempfile::TempDir;

pub(crate) const APP: &str = "com.example.till";
pub(crate) const IDLE: Duration = Duration::from_secs(300);

/// A password of that user.
pub(crate) fn password(username: &str) -> String {
    format!("{username} counts seven geese at noon")
}

/// The options of every instance that shares a folder.
pub(crate) fn options() -> Options {
    Options::for_tests().sessions(SessionPolicy::desktop())
}

/// Says that a test, or a part of it, does not run here. Not by `eprintln!`, of which the harness
/// shows nothing if the test passes.
#[cfg(unix)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) clock: ManualClock,
    pub(crate) vault: TestVault,
    pub(crate) options: Options,
    _directory: TempDir,
}

impl World {
    /// A desk with the users `ada`, who may read reports, and `bob`.
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let vault = TestVault::default();
        let options = change(options().clock(Arc::new(clock.clone())));
        let folder = Folder::at(directory.path().join("till")).unwrap();
        let desk = open(folder, &options, &clock, &vault);
        create(&desk, "ada");
        create(&desk, "bob");
        Self { desk, clock, vault, options, _directory: directory }
    }

    /// Another instance of the program in this process, with the same vault.
    pub(crate) fn again(&self) -> Desk {
        open(self.desk.folder().clone(), &self.options, &self.clock, &self.vault)
    }

    /// The next start of the program.
    pub(crate) fn restart(&self) -> Desk {
        self.desk.close().unwrap();
        self.again()
    }

    pub(crate) fn seat(&self, username: &str) -> Seat {
        seat(&self.desk, username)
    }
}

fn open(folder: Folder, options: &Options, clock: &ManualClock, vault: &TestVault) -> Desk {
    let builder = Desk::builder(APP).folder(folder).options(options.clone());
    let builder = builder.vault(vault.clone()).idle_lock(IDLE);
    builder.clock(Arc::new(clock.clone())).open().unwrap()
}

pub(crate) fn create(desk: &Desk, username: &str) -> User {
    let user = NewUser::person(username).privilege("reports.read");
    desk.store().users().create(user.password(password(username).into())).unwrap()
}

pub(crate) fn seat(desk: &Desk, username: &str) -> Seat {
    match desk.sign_in(username, password(username)).unwrap() {
        SignIn::Granted(seat) => seat,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn keyring() -> Arc<Keys> {
    Arc::new(Keys::new(KeyId::new("a").unwrap(), SealingKey::random().unwrap()))
}

/// A vault in memory that a test breaks and looks into.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestVault(Arc<Shelf>);

#[derive(Default)]
struct Shelf {
    tokens: Mutex<HashMap<String, String>>,
    is_locked: AtomicBool,
    /// A call is done, and its answer is lost.
    is_silent: AtomicBool,
    calls: AtomicUsize,
    at_next_save: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

impl TestVault {
    /// The only token that is saved.
    pub(crate) fn token(&self) -> Option<String> {
        let tokens = self.0.tokens.lock().unwrap();
        assert!(tokens.len() <= 1, "{tokens:?}");
        tokens.values().next().cloned()
    }

    pub(crate) fn put(&self, token: &str) {
        for saved in self.0.tokens.lock().unwrap().values_mut() {
            token.clone_into(saved);
        }
    }

    pub(crate) fn set_locked(&self, is_locked: bool) {
        self.0.is_locked.store(is_locked, Ordering::SeqCst);
    }

    pub(crate) fn set_silent(&self, is_silent: bool) {
        self.0.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// How often it was asked since the last call of this function.
    pub(crate) fn take_calls(&self) -> usize {
        self.0.calls.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn at_next_save(&self, job: impl FnOnce() + Send + 'static) {
        *self.0.at_next_save.lock().unwrap() = Some(Box::new(job));
    }

    fn check(&self) -> Result<(), VaultError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.0.is_locked.load(Ordering::SeqCst) { Err(VaultError::Locked) } else { Ok(()) }
    }

    fn answer<T>(&self, value: T) -> Result<T, VaultError> {
        if self.0.is_silent.load(Ordering::SeqCst) { Err(VaultError::NoAnswer) } else { Ok(value) }
    }
}

impl TokenVault for TestVault {
    fn kind(&self) -> VaultKind {
        VaultKind::Other
    }

    fn load(&self, name: &str) -> Result<Option<SavedToken>, VaultError> {
        self.check()?;
        let tokens = self.0.tokens.lock().unwrap();
        self.answer(tokens.get(name).map(|token| SavedToken::new(token.clone())))
    }

    fn save(&self, name: &str, token: &SavedToken) -> Result<(), VaultError> {
        self.check()?;
        let job = self.0.at_next_save.lock().unwrap().take();
        job.into_iter().for_each(|job| job());
        self.0.tokens.lock().unwrap().insert(name.to_owned(), token.expose().to_owned());
        self.answer(())
    }

    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.check()?;
        self.0.tokens.lock().unwrap().remove(name);
        self.answer(())
    }
}
