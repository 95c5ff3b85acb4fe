//! What a real Secret Service answers: unlocked, locked, absent, stopped, and killed in the middle.
//!
//! Each test has a bus of its own and GNOME Keyring in a home of its own. They need `dbus-daemon`
//! and `gnome-keyring-daemon`; `scripts/vault` installs them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::{FileVault, Moved};

mod fake;

const NAME: &str = "com.example.till/a1";

/// A desktop session: a bus, on which no service is started by itself, and a home.
struct Session {
    folder: tempfile::TempDir,
    address: String,
    bus: Child,
    keyring: Option<Child>,
}

impl Session {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let file = folder.path().join("bus.conf");
        let configuration = include_str!("bus.conf").replace("SOCKET", socket.to_str().unwrap());
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--print-address"]).arg("--config-file").arg(file);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bus = command.spawn().expect("dbus-daemon is missing: run scripts/vault");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { folder, address: address.trim().to_owned(), bus, keyring: None }
    }

    /// A session whose keyring is unlocked, as after the login of its user.
    fn unlocked() -> Self {
        let mut session = Self::start();
        session.start_keyring(true);
        session
    }

    /// Starts the service, and waits until it answers.
    fn start_keyring(&mut self, is_unlocked: bool) {
        let home = self.folder.path();
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]);
        if is_unlocked {
            command.arg("--unlock");
        }
        command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("XDG_DATA_HOME", home);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        // The folder of another keyring: of the session in which the test runs.
        command.env_remove("GNOME_KEYRING_CONTROL");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring =
            command.spawn().expect("gnome-keyring-daemon is missing: run scripts/vault");
        keyring.stdin.take().unwrap().write_all(b"password of the session").unwrap();
        self.keyring = Some(keyring);
        let is_there =
            async |service: &SecretService<'_>| service.get_all_collections().await.map(drop);
        while self.vault().within(ANSWER_MAX, is_there).is_err() {
            async_io::block_on(Timer::after(Duration::from_millis(20)));
        }
    }

    fn kill_keyring(&mut self) {
        end(&mut self.keyring.take().unwrap());
    }

    fn signal(&self, signal: &str) {
        let pid = self.keyring.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn vault(&self) -> SecretServiceVault {
        SecretServiceVault { address: Some(self.address.clone()) }
    }

    fn lock(&self) {
        let lock =
            async |service: &SecretService<'_>| default_collection(service).await?.lock().await;
        self.vault().within(ANSWER_MAX, lock).unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keyring.iter_mut().for_each(end);
        end(&mut self.bus);
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn save(vault: &dyn TokenVault, text: &str) -> Result<(), VaultError> {
    vault.save(NAME, &SavedToken::new(text.to_owned()))
}

fn load(vault: &dyn TokenVault) -> Result<Option<String>, VaultError> {
    vault.load(NAME).map(|token| token.map(|token| token.expose().to_owned()))
}

/// Asserts what the three calls fail with.
#[track_caller]
fn check_fails(vault: &SecretServiceVault, expect: &str) {
    let saved = save(vault, "not saved");
    for answer in [vault.load(NAME).map(drop), saved, vault.delete(NAME)] {
        assert_eq!(format!("{:?}", answer.unwrap_err()), expect);
    }
}

#[test]
fn an_unlocked_service_keeps_one_token_for_each_name() {
    let session = Session::unlocked();
    let vault = session.vault();
    assert_eq!(vault.kind(), VaultKind::SecretService);
    assert_eq!(load(&vault).unwrap(), None);
    vault.delete(NAME).unwrap();
    save(&vault, "one").unwrap();
    save(&vault, "two").unwrap();
    vault.save("com.example.till", &SavedToken::new("other".into())).unwrap();
    assert_eq!(load(&vault).unwrap().as_deref(), Some("two"));
    vault.unlock(ANSWER_MAX).unwrap();
    vault.delete(NAME).unwrap();
    assert_eq!(load(&vault).unwrap(), None);
    assert_eq!(vault.load("com.example.till").unwrap().unwrap().expose(), "other");
}

/// Puts an item beside those of that name, as a service does that was killed while it made one.
fn put(vault: &SecretServiceVault, name: &str, secret: &[u8]) {
    let put = async |service: &SecretService<'_>| {
        let collection = default_collection(service).await?;
        collection.create_item("By hand", attributes(name), secret, false, "text/plain").await?;
        Ok(())
    };
    vault.within(ANSWER_MAX, put).unwrap();
}

#[test]
fn an_item_without_a_text_is_no_token_and_is_written_over() {
    let session = Session::unlocked();
    let vault = session.vault();
    let file = FileVault::in_folder(session.folder.path().join("till"));
    for secret in [&b""[..], b"\xff"] {
        put(&vault, NAME, secret);
        assert_eq!(load(&vault).unwrap(), None);
        save(&vault, "one").unwrap();
        assert_eq!(load(&vault).unwrap().as_deref(), Some("one"));
        vault.delete(NAME).unwrap();

        put(&vault, NAME, secret);
        save(&file, "two").unwrap();
        assert_eq!(file.move_to(&vault, NAME).unwrap(), Moved::Done);
        assert_eq!(load(&vault).unwrap().as_deref(), Some("two"));
        vault.delete(NAME).unwrap();
        assert_eq!(load(&vault).unwrap(), None);
    }
}

#[test]
fn a_deletion_deletes_every_item_of_the_name() {
    let session = Session::unlocked();
    let vault = session.vault();
    for secret in [b"one", b"two"] {
        put(&vault, NAME, secret);
    }
    vault.delete(NAME).unwrap();
    assert_eq!(load(&vault).unwrap(), None);
}

#[test]
fn an_item_that_another_process_deletes_during_a_call_is_no_failure() {
    let session = Session::unlocked();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let vault = session.vault();
                for _ in 0..25 {
                    save(&vault, "one").unwrap();
                    load(&vault).unwrap();
                    vault.delete(NAME).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_locked_service_is_an_answer_and_the_token_in_it_is_safe() {
    let mut session = Session::unlocked();
    save(&session.vault(), "one").unwrap();
    session.lock();
    check_fails(&session.vault(), "Locked");
    // No program on this bus can show a prompt.
    assert!(matches!(session.vault().unlock(ANSWER_MAX), Err(VaultError::Locked)));

    session.kill_keyring();
    session.start_keyring(false); // Started again, it is locked still.
    check_fails(&session.vault(), "Locked");
    session.kill_keyring();
    session.start_keyring(true);
    assert_eq!(load(&session.vault()).unwrap().as_deref(), Some("one"));
}

#[test]
fn a_locked_service_does_not_say_that_there_is_no_token() {
    let session = Session::unlocked();
    session.lock();
    check_fails(&session.vault(), "Locked");
}

#[test]
fn an_absent_bus_service_or_collection_is_an_answer() {
    let mut session = Session::start();
    let socket = format!("unix:path={}", session.folder.path().join("no").display());
    check_fails(&SecretServiceVault { address: Some(socket) }, "Unavailable");
    check_fails(&SecretServiceVault { address: Some("no address".into()) }, "Unavailable");
    check_fails(&session.vault(), "Unavailable");
    session.start_keyring(false); // In a new home, so it has no collection yet.
    check_fails(&session.vault(), "Unavailable");
    end(&mut session.bus);
    check_fails(&session.vault(), "Unavailable");
}

#[test]
fn a_service_that_does_not_answer_holds_a_call_for_5_s() {
    let session = Session::unlocked();
    save(&session.vault(), "one").unwrap();
    session.signal("-STOP");
    let vault = session.vault();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            check_fails(&vault, "NoAnswer"); // Three calls.
            is_over.store(true, Ordering::SeqCst);
        });
        async_io::block_on(Timer::after(ANSWER_MAX * 4));
        assert!(is_over.load(Ordering::SeqCst), "the calls still wait");
    });
    session.signal("-CONT");
    // The three calls that were given up reach the service now, in their order.
    load(&vault).unwrap();
}

#[test]
fn a_prompt_that_is_not_answered_is_given_up_in_time() {
    let session = Session::unlocked();
    save(&session.vault(), "one").unwrap();
    session.lock();
    // A program that is asked to show prompts, and never answers.
    let prompter = Builder::address(session.address.as_str()).unwrap();
    let prompter = prompter.name("org.gnome.keyring.SystemPrompter").unwrap();
    let _prompter = async_io::block_on(prompter.build()).unwrap();
    let vault = session.vault();
    let (limit, is_over) = (Duration::from_secs(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(vault.unlock(limit), Err(VaultError::NoAnswer)));
            is_over.store(true, Ordering::SeqCst);
        });
        async_io::block_on(Timer::after(limit / 2));
        assert!(!is_over.load(Ordering::SeqCst), "the prompt was not waited for");
        async_io::block_on(Timer::after(limit * 2));
        assert!(is_over.load(Ordering::SeqCst), "the prompt is still waited for");
    });
    check_fails(&vault, "Locked");
}

#[test]
fn a_kill_of_the_service_loses_no_token_that_was_saved() {
    let rounds = 30;
    let mut session = Session::unlocked();
    let (mut saved, mut in_doubt) = (0, 0);
    for round in 0..rounds {
        let vault = session.vault();
        let mut keyring = session.keyring.take().unwrap();
        let acknowledged = AtomicUsize::new(0);
        let (last, next) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while acknowledged.load(Ordering::SeqCst) < 2 {
                    async_io::block_on(Timer::after(Duration::from_millis(1)));
                }
                // 0 to 64 ms into the next save, on a quiet machine and on a busy one.
                async_io::block_on(Timer::after(Duration::from_micros(1 << (round % 17))));
                end(&mut keyring);
            });
            let mut last = None;
            loop {
                let next = format!("{round}-{}", acknowledged.load(Ordering::SeqCst));
                match save(&vault, &next) {
                    Ok(()) => last = Some(next),
                    Err(VaultError::NoAnswer | VaultError::Unavailable) => return (last, next),
                    Err(other) => panic!("{other:?}"),
                }
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        });
        saved += acknowledged.into_inner();
        session.start_keyring(true);
        let found = load(&session.vault()).unwrap();
        in_doubt += usize::from(found.as_deref() == Some(&*next));
        assert!(found == last || found.as_deref() == Some(&*next), "{found:?}, not {last:?}");
    }
    println!("{rounds} kills, {saved} saves acknowledged, {in_doubt} in doubt and done, 0 lost");
}

#[test]
fn a_failed_save_leaves_the_token_nowhere_else() {
    let session = Session::unlocked();
    save(&session.vault(), "before").unwrap();
    session.lock();
    check_fails(&session.vault(), "Locked");
    assert!(!contains(session.folder.path(), b"not saved"));
    // The search does find what is written in the clear.
    fs::write(session.folder.path().join("a"), "a token that is not saved").unwrap();
    assert!(contains(session.folder.path(), b"not saved"));
}

fn contains(folder: &Path, text: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, text);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text))
    })
}

#[test]
fn a_token_moves_from_a_file_to_the_service_in_spite_of_a_kill_or_a_lock() {
    let mut session = Session::unlocked();
    let file = FileVault::in_folder(session.folder.path().join("till"));
    for round in 0..20_u64 {
        let token = format!("token {round}");
        save(&file, &token).unwrap();
        let vault = session.vault();
        let mut keyring = session.keyring.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                async_io::block_on(Timer::after(Duration::from_millis(round * 3)));
                end(&mut keyring);
            });
            let _ = file.move_to(&vault, NAME);
        });
        session.start_keyring(true);
        let (in_file, in_service) = (load(&file).unwrap(), load(&session.vault()).unwrap());
        assert!(in_file.as_ref() == Some(&token) || in_service.as_ref() == Some(&token));
        let expect = if in_file.is_some() { Moved::Done } else { Moved::Nothing };
        assert_eq!(file.move_to(&session.vault(), NAME).unwrap(), expect);
        assert_eq!(load(&file).unwrap(), None);
        assert_eq!(load(&session.vault()).unwrap(), Some(token));
        session.vault().delete(NAME).unwrap();
    }

    save(&file, "one").unwrap();
    session.lock();
    assert!(matches!(file.move_to(&session.vault(), NAME), Err(VaultError::Locked)));
    assert_eq!(load(&file).unwrap().as_deref(), Some("one"));
}

/// What `unlock` answers at that service, and how often it asked the service to unlock.
fn unlock_at(fake: &fake::Fake) -> (Result<(), VaultError>, u32) {
    let session = Session::start();
    let service = Builder::address(session.address.as_str())
        .and_then(|builder| builder.name("org.freedesktop.secrets"))
        .and_then(|builder| {
            builder.serve_at("/org/freedesktop/secrets", fake::Service(fake.clone()))
        })
        .and_then(|builder| {
            let path = "/org/freedesktop/secrets/collection/one";
            builder.serve_at(path, fake::Collection(fake.clone()))
        });
    let _service = async_io::block_on(service.unwrap().build()).unwrap();
    (session.vault().unlock(ANSWER_MAX), fake.unlocks.load(Ordering::SeqCst))
}

#[test]
fn an_unlocking_that_did_not_happen_is_not_believed() {
    let (answer, unlocks) = unlock_at(&fake::Fake::default());
    assert!(matches!(answer, Err(VaultError::Locked)), "{answer:?}");
    assert_eq!(unlocks, 1);
}

#[test]
fn an_unlocked_service_is_not_asked_to_unlock() {
    let (answer, unlocks) = unlock_at(&fake::Fake { is_unlocked: true, ..Default::default() });
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(unlocks, 0);
}

/// The reply of a service, as each kind of call of the client reports it.
fn replies(name: &str) -> [Error; 2] {
    let call = zbus::Message::method_call("/", "Call").unwrap().build(&()).unwrap();
    let name = zbus::names::OwnedErrorName::try_from(name).unwrap();
    let reply = zbus::Error::MethodError(name, None, call);
    [Error::Zbus(reply.clone()), Error::ZbusFdo(zbus::fdo::Error::ZBus(reply))]
}

/// The reply of the bus, as each kind of call of the client reports it.
fn bus_replies(error: zbus::fdo::Error) -> [Error; 2] {
    [Error::Zbus(zbus::Error::FDO(Box::new(error.clone()))), Error::ZbusFdo(error)]
}

#[test]
fn each_error_of_the_client_has_an_answer() {
    use zbus::fdo::Error as Fdo;
    let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let mut expect = vec![
        (Error::Locked, "Locked"),
        (Error::Prompt, "Locked"),
        (Error::NoResult, "Unavailable"),
        (Error::Unavailable, "Unavailable"),
        (Error::PromptDisconnected, "NoAnswer"),
        (Error::Zbus(broken().into()), "NoAnswer"),
        (Error::ZbusFdo(Fdo::IOError("broken pipe".into())), "NoAnswer"),
    ];
    let mut add = |errors: [Error; 2], answer| expect.extend(errors.map(|error| (error, answer)));
    add(replies("org.freedesktop.Secret.Error.IsLocked"), "Locked");
    for silent in [Fdo::NoReply, Fdo::Disconnected, Fdo::Timeout, Fdo::TimedOut] {
        add(bus_replies(silent(String::new())), "NoAnswer");
    }
    for absent in [Fdo::ServiceUnknown, Fdo::NameHasNoOwner, Fdo::SpawnExecFailed] {
        add(bus_replies(absent(String::new())), "Unavailable");
    }
    for (error, answer) in expect {
        assert_eq!(format!("{:?}", judge(error)), answer);
    }
    let other = replies("org.freedesktop.DBus.Error.AccessDenied");
    assert!(other.into_iter().all(|error| matches!(judge(error), VaultError::Failed(_))));
}

#[test]
fn an_item_that_does_not_exist_is_no_failure() {
    use zbus::fdo::Error as Fdo;
    let mut gone = Vec::from(replies("org.freedesktop.Secret.Error.NoSuchObject"));
    for error in [Fdo::UnknownObject, Fdo::UnknownMethod] {
        gone.extend(bus_replies(error(String::new())));
    }
    assert!(gone.iter().all(is_gone));
    assert!(!replies("org.freedesktop.Secret.Error.IsLocked").iter().any(is_gone));
    assert!(!is_gone(&Error::Locked));
}
