//! Random bytes: a source that fails, one that repeats, and one that has enough (R8, R32, R52;
//! tower-sessions 0.12.1).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gatepost::host::*;
use gatepost::policy::*;
use gatepost::sessions::*;
use gatepost::*;

use crate::world::{PASSWORD, World, device};

/// The bytes of a seed until it is set to fail, or to repeat.
#[derive(Debug, Default)]
struct Fickle {
    fails: AtomicBool,
    /// After so many draws it gives the bytes of the first again.
    repeats_after: AtomicUsize,
    draws: AtomicUsize,
}

impl RandomSource for Fickle {
    fn fill(&self, buf: &mut [u8]) -> Result<(), RandomUnavailable> {
        if self.fails.load(Ordering::SeqCst) {
            buf.fill(0);
            return Err(RandomUnavailable::new());
        }
        let draw = self.draws.fetch_add(1, Ordering::SeqCst);
        let period = self.repeats_after.load(Ordering::SeqCst);
        let draw = if period > 0 { draw % period } else { draw };
        SeededRandom::new(draw as u64).fill(buf)
    }
}

impl Fickle {
    /// Gives the same bytes as before, and the same again after so many draws; 0 for new
    /// bytes.
    fn repeats(&self, after: usize) {
        self.repeats_after.store(after, Ordering::SeqCst);
        self.draws.store(if after == 0 { 1_000 } else { 0 }, Ordering::SeqCst);
    }
}

fn world() -> (World, Arc<Fickle>) {
    let source = Arc::new(Fickle::default());
    let given: Arc<dyn RandomSource> = source.clone();
    (World::with(|options| options.random_source(given)), source)
}

fn ada(world: &World) -> UserId {
    let ada = NewUser::person("ada").password(Password::from(PASSWORD));
    world.store.users().create(ada).unwrap().id
}

#[test]
fn without_random_bytes_nothing_is_made_and_nothing_is_written() {
    let (world, source) = world();
    let ada = ada(&world);
    let opened = world.store.sessions().open(OpenSession::new(ada, device("till-1"))).unwrap();
    let token = opened.granted().unwrap().session.token;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().id;
    source.fails.store(true, Ordering::SeqCst);

    let none = ErrorKind::NoRandom;
    world.refuses(none, |s| s.organisations().create("Northern"));
    world.refuses(none, |s| s.branches().create("York", None));
    world.refuses(none, |s| s.users().create(NewUser::person("bob")));
    let with_password = || NewUser::person("bob").password(Password::from(PASSWORD));
    world.refuses(none, |s| s.users().create(with_password()));
    world.refuses(none, |s| s.users().set_password(ada, Password::from("other than before")));
    world.refuses(none, |s| s.api_keys().rotate(key, std::time::Duration::ZERO));
    world.refuses(none, |s| s.sessions().open(OpenSession::new(ada, device("till-2"))));
    let log_in = || LoginRequest::new("ada", Password::from(PASSWORD), device("till-2"));
    world.refuses(none, |s| s.log_in(log_in()));
    let change = |s: &Store| {
        let (current, new) = (Password::from(PASSWORD), Password::from("other than before"));
        s.change_password((&token, &device("till-1")), current, new)
    };
    world.refuses(none, change);
    let elsewhere = world.directory().join("other.db");
    let failed = Store::open(&elsewhere, world.options.clone()).unwrap_err();
    assert_eq!(failed.kind(), none);
    assert!(!elsewhere.exists());

    // Calls that need no bytes go on; the failed ones succeed once there are bytes again.
    assert!(world.store.verify((&token, &device("till-1"))).unwrap().valid().is_ok());
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 1);
    source.fails.store(false, Ordering::SeqCst);
    assert!(world.store.log_in(log_in()).unwrap().granted().is_ok());
}

/// Tower-sessions 0.12.0: an id that was drawn twice took the session over that had it.
#[test]
fn a_source_that_repeats_itself_takes_no_session_over() {
    let (world, source) = world();
    let ada = ada(&world);
    let bob = NewUser::person("bob").password(Password::from(PASSWORD));
    let bob = world.store.users().create(bob).unwrap().id;
    source.repeats(1);
    let open = |user, on: &str| world.store.sessions().open(OpenSession::new(user, device(on)));
    let first = open(ada, "till-1").unwrap().granted().unwrap().session;
    let row = row(&world);

    world.refuses(ErrorKind::NoRandom, |_| open(bob, "till-2"));
    let login = LoginRequest::new("bob", Password::from(PASSWORD), device("till-3"));
    // Its attempt was charged and stays so.
    let refused = world.store.log_in(login).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoRandom);
    assert_eq!(self::row(&world), row);
    let principal = world.store.verify((&first.token, &device("till-1"))).unwrap().valid();
    assert_eq!(principal.unwrap().user, ada);
    assert!(world.store.verify((&first.token, &device("till-2"))).unwrap().valid().is_err());

    source.repeats(0);
    assert!(open(bob, "till-2").unwrap().granted().is_ok());
}

#[test]
fn a_source_that_repeats_itself_overwrites_no_key_user_or_place() {
    let (world, source) = world();
    source.repeats(1);
    let store = &world.store;
    let again = ErrorKind::NoRandom;
    let north = store.organisations().create("Northern").unwrap();
    world.refuses(again, |s| s.organisations().create("Southern"));
    let york = store.branches().create("York", None).unwrap();
    world.refuses(again, |s| s.branches().create("Bath", None));
    let ada = store.users().create(NewUser::person("ada")).unwrap();
    world.refuses(again, |s| s.users().create(NewUser::person("bob")));
    let key = store.api_keys().issue(ada.id, NewApiKey::new()).unwrap();
    world.refuses(again, |s| s.api_keys().rotate(key.id, crate::world::HOUR));
    assert_eq!(store.organisations().find(north.id).unwrap(), Some(north));
    assert_eq!(store.branches().find(york.id).unwrap(), Some(york));
    assert_eq!(store.users().find(ada.id).unwrap(), Some(ada));
    assert!(store.verify((&key.key, None)).unwrap().valid().is_ok());
}

/// An id that was drawn before is drawn again, and both rows are there.
#[test]
fn an_id_that_is_taken_is_drawn_again() {
    let (world, source) = world();
    let store = &world.store;
    let twice = |make: &dyn Fn(&str)| {
        for (turn, name) in [(1, "one"), (2, "two")] {
            // Each begins with the same bytes; the next ones are others.
            source.repeats(usize::MAX);
            make(&format!("{name} {turn}"));
        }
    };
    twice(&|name| drop(store.organisations().create(name).unwrap()));
    twice(&|name| drop(store.branches().create(name, None).unwrap()));
    twice(&|name| drop(store.users().create(NewUser::person(name)).unwrap()));
    let named = |name: &str| store.users().find_by_username(name).unwrap().unwrap().id;
    twice(&|name| drop(store.api_keys().issue(named(name), NewApiKey::new()).unwrap()));
    let ada = named("one 1");
    let open = |on: &str| store.sessions().open(OpenSession::new(ada, device(on))).unwrap();
    twice(&|on| assert!(open(on).granted().is_ok()));
    for count in [
        "SELECT count(DISTINCT id) FROM organisation",
        "SELECT count(DISTINCT id) FROM branch",
        "SELECT count(DISTINCT id) FROM user",
        "SELECT count(DISTINCT id) FROM api_key",
        "SELECT count(DISTINCT id) FROM session",
    ] {
        assert_eq!(world.count(count), 2, "{count}");
    }
}

#[test]
fn every_token_salt_and_device_is_another_one() {
    let world = World::with(|options| {
        let sessions = SessionPolicy::server().per_user(10_000);
        options.random_source(Arc::new(SystemRandom::default())).sessions(sessions)
    });
    let ada = ada(&world);
    let opened = gatepost::testing::open_many(&world.store, ada, 10_000).unwrap();
    let tokens: HashSet<&str> = opened.iter().map(|one| one.token.expose()).collect();
    // The secret alone, without the id and the checksum, which are others in any case.
    let secrets: HashSet<&str> = opened.iter().map(|one| &one.token.expose()[26..68]).collect();
    let devices: HashSet<&str> = opened.iter().map(|one| one.device.as_str()).collect();
    assert_eq!((tokens.len(), secrets.len(), devices.len()), (10_000, 10_000, 10_000));
    let in_use: HashSet<char> =
        opened.iter().flat_map(|one| one.token.expose()[26..68].chars()).collect();
    assert_eq!(in_use.len(), 64, "the whole alphabet (RUSTSEC-2024-0343)");

    for name in 0..100 {
        let user = NewUser::person(format!("user-{name}")).password(Password::from(PASSWORD));
        world.store.users().create(user).unwrap();
    }
    let salts = "SELECT count(DISTINCT substr(phc, 29, 22)) FROM credential";
    assert_eq!(world.count(salts), 101);
    assert_eq!(world.count("SELECT count(DISTINCT phc) FROM credential"), 101);
}

/// The whole row of the one session.
fn row(world: &World) -> String {
    let sql =
        "SELECT hex(id) || hex(secret_hash) || hex(device_hash) || hex(user_id) || opened_seq
         || expires_at || last_seen FROM session";
    world.sql().query_row(sql, [], |row| row.get(0)).unwrap()
}
