//! The keyring: what is sealed, who can open it, and what a file gives without its key.

mod files;
mod missing;

use std::sync::Arc;

use gatepost::audit::EventKind;
use gatepost::host::{KeyId, Keyring, Keys, SealingKey};
use gatepost::policy::Cost;
use gatepost::status::OpenWarning;
use gatepost::{ErrorKind, NewUser, Options, Password, Store, UserId};

use crate::world::{PASSWORD, World, device};

/// A keyring of these keys, each made of one byte; the first is the current one.
pub(crate) fn keys(all: &[(&str, u8)]) -> Arc<Keys> {
    let one = |(id, byte): &(&str, u8)| Keys::new(key_id(id), SealingKey::new([*byte; 32]));
    Arc::new(all.iter().map(one).reduce(Keys::with_older).unwrap())
}

pub(crate) fn key_id(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

pub(crate) const OLD: (&str, u8) = ("old", 1);
pub(crate) const NEW: (&str, u8) = ("new", 2);

pub(crate) fn with_keys(all: &[(&str, u8)]) -> World {
    World::with(|options| options.keyring(keys(all)))
}

impl World {
    /// Opens the file again with another keyring.
    pub(crate) fn reopen_with(&mut self, all: &[(&str, u8)]) {
        self.options = self.options.clone().keyring(keys(all));
        self.reopen();
    }

    pub(crate) fn stored_hash(&self, user: UserId) -> String {
        let sql = "SELECT phc FROM credential WHERE user_id = ?1";
        self.sql().query_row(sql, [user.as_uuid().as_bytes()], |row| row.get(0)).unwrap()
    }

    pub(crate) fn store_hash(&self, user: UserId, phc: &str) {
        let sql = "UPDATE credential SET phc = ?2 WHERE user_id = ?1";
        let user = user.as_uuid();
        let changed = self.sql().execute(sql, (user.as_bytes().as_slice(), phc)).unwrap();
        assert_eq!(changed, 1);
    }

    /// How many hashes are sealed under each key; "" for none.
    pub(crate) fn uses(&self) -> Vec<(String, u64)> {
        let uses = self.store.key_use().unwrap();
        let id = |key: Option<KeyId>| key.map(|id| id.to_string()).unwrap_or_default();
        uses.into_iter().map(|one| (id(one.key), one.hashes)).collect()
    }
}

pub(crate) fn uses(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(id, hashes)| ((*id).to_owned(), *hashes)).collect()
}

/// The salt and the output of this hash are `saltsaltsaltsalt` and `outputoutput…`.
const IMPORTED: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                        b3V0cHV0b3V0cHV0b3V0cHV0b3V0cHV0b3V0cHV0b3U";

#[test]
fn no_hash_is_in_the_file_but_its_cost_is() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    world.store.users().set_password_hash(ada, IMPORTED).unwrap();
    let bob = NewUser::person("bob").password_hash(IMPORTED);
    world.store.users().create(bob).unwrap();
    let sealed = world.stored_hash(ada);
    assert!(sealed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$sealed1$old$"), "{sealed}");
    assert_eq!(world.count("SELECT users FROM hash_cost"), 2);
    world.store.close().unwrap();
    let file = std::fs::read(&world.path).unwrap();
    for part in ["saltsaltsaltsalt", "outputoutput", "c2FsdHNhbHRz", "b3V0cHV0b3V0"] {
        assert!(!file.windows(part.len()).any(|bytes| bytes == part.as_bytes()), "{part}");
    }
    assert!(!file.windows(32).any(|bytes| bytes == [OLD.1; 32]), "the key");
}

#[test]
fn every_way_to_a_new_password_seals_it() {
    let mut world = with_keys(&[OLD]);
    let users = world.store.users();
    let ada = world.person("ada").id;
    world.log_in("ada", PASSWORD, "till").unwrap();
    users.set_password(ada, Password::from("nine brass bells")).unwrap();
    let session = world.log_in("ada", "nine brass bells", "till").unwrap().session;
    let (old, new) = (Password::from("nine brass bells"), Password::from("two tin drums"));
    let changed = world.store.change_password((&session.token, &device("till")), old, new);
    changed.unwrap().granted().unwrap();
    world.log_in("ada", "two tin drums", "till").unwrap();
    world.store.users().set_password_hash(ada, IMPORTED).unwrap();
    assert_eq!(world.uses(), uses(&[("old", 1)]));
    // The one of the first seal.
    assert_eq!(world.log_of(EventKind::StoreKeyChanged).len(), 1);
    world.reopen();
    assert_eq!(world.store.status().current_key, Some(key_id("old")));
    assert_eq!(world.store.status().open_warnings, []);
}

/// RUSTSEC-2023-0068: a cloned state of a generator repeated a nonce.
#[test]
fn one_hash_sealed_twice_is_two_texts() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let seal = || {
        world.store.users().set_password_hash(ada, IMPORTED).unwrap();
        world.stored_hash(ada)
    };
    assert_ne!(seal(), seal());
}

#[test]
fn a_sealed_hash_that_was_copied_or_changed_fits_no_user() {
    let world = with_keys(&[OLD, NEW]);
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    world.store.users().set_password(bob, Password::from("nine brass bells")).unwrap();
    let (of_ada, of_bob) = (world.stored_hash(ada), world.stored_hash(bob));
    let mut flipped = of_bob.clone();
    let last = flipped.pop().unwrap();
    flipped.push(if last == 'A' { 'Q' } else { 'A' });
    let damaged = [
        of_ada.clone(),
        of_bob.replace("t=1", "t=2"),
        of_bob.replace("$old$", "$new$"),
        of_bob.replace("$old$", "$OLD$"),
        of_bob.replace("$old$", "$"),
        of_bob.replace("$sealed1$", "$sealed2$"),
        of_bob[..of_bob.len() - 4].to_owned(),
        flipped,
    ];
    for (at, text) in damaged.iter().enumerate() {
        assert_ne!(*text, of_bob, "case {at}");
        world.store_hash(bob, text);
        for password in [PASSWORD, "nine brass bells"] {
            let request =
                gatepost::LoginRequest::new("bob", Password::from(password), device("till"));
            let error = world.store.log_in(request).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "case {at}: {error}");
        }
        world.log_in("ada", PASSWORD, "desk").unwrap();
    }
    let charged = "SELECT sum(failures + known_failures) FROM throttle";
    assert_eq!(world.count(charged), 0);
    world.store_hash(bob, &of_bob);
    world.log_in("bob", "nine brass bells", "till").unwrap();
}

#[test]
fn a_keyring_that_a_file_gets_later_seals_each_hash_at_its_next_login() {
    let mut world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let (plain, version) = (world.stored_hash(ada), "SELECT sum(version) FROM credential");
    let versions = world.count(version);
    world.reopen_with(&[OLD]);
    assert_eq!(world.store.status().open_warnings, []);
    world.log_in("ada", "wrong horse battery", "till").unwrap_err();
    assert_eq!(world.uses(), uses(&[("", 2)]));
    let log_in = |store: &Store| {
        let request = gatepost::LoginRequest::new("ada", PASSWORD.into(), device("till"));
        store.log_in(request).unwrap().granted().unwrap()
    };
    let events = [EventKind::StoreKeyChanged, EventKind::LoginGranted];
    let session = world.hashes(1, |_| world.leaves(&events, 0, log_in)).session;
    assert_eq!(world.last_event().event, "login.granted");
    assert_eq!(world.uses(), uses(&[("", 1), ("old", 1)]));
    assert_ne!(world.stored_hash(ada), plain);
    assert_eq!(world.count(version), versions);
    assert!(world.passes(&session, "till"));
    // Sealed once, and not again at each login.
    let sealed = world.stored_hash(ada);
    world
        .leaves(&[EventKind::LoginGranted], 0, |_| world.log_in("ada", PASSWORD, "desk"))
        .unwrap();
    assert_eq!(world.stored_hash(ada), sealed);
    world.log_in("bob", PASSWORD, "desk-2").unwrap();
    assert_eq!(world.uses(), uses(&[("old", 2)]));
    assert!(world.stored_hash(bob).contains("$sealed1$old$"));
}

#[test]
fn a_hash_of_a_lower_cost_is_replaced_and_sealed_by_one_login() {
    let mut world = World::with(|options| options.cost(Cost::new(19_456, 2, 1).unwrap()));
    let ada = world.person("ada").id;
    world.options = world.options.clone().cost(Cost::new(19_456, 3, 1).unwrap());
    world.reopen_with(&[OLD]);
    world.hashes(2, |_| world.log_in("ada", PASSWORD, "till")).unwrap();
    let sealed = world.stored_hash(ada);
    assert!(sealed.starts_with("$argon2id$v=19$m=19456,t=3,p=1$sealed1$old$"), "{sealed}");
    world.hashes(1, |_| world.log_in("ada", PASSWORD, "till")).unwrap();
}

/// A process with a newer keyring must not seal what the others cannot open.
#[test]
fn every_process_seals_under_the_key_of_the_file_until_rekey() {
    let mut world = with_keys(&[OLD]);
    world.person("ada");
    world.reopen_with(&[NEW, OLD]);
    assert_eq!(world.store.status().open_warnings, [OpenWarning::RekeyDue]);
    assert_eq!(world.store.status().current_key, Some(key_id("new")));
    world.person("bob");
    world.log_in("ada", PASSWORD, "till").unwrap();
    assert_eq!(world.uses(), uses(&[("old", 2)]));
    world.store.rekey(1_000).unwrap();
    world.reopen();
    assert_eq!(world.store.status().open_warnings, []);
}

#[test]
fn a_keyring_is_an_option_of_the_process() {
    let world = with_keys(&[OLD]);
    let other = world.options.clone().keyring(keys(&[OLD]));
    let refused = Store::open(&world.path, other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    assert!(refused.to_string().contains("keyring"), "{refused}");
    assert!(Store::open(&world.path, world.options.clone()).is_ok());
    world.refuses(ErrorKind::Invalid, |store| {
        store.change_options(|options| options.keyring(keys(&[NEW])))
    });
}

#[test]
fn a_keyring_without_its_own_current_key_is_refused() {
    #[derive(Debug)]
    struct Empty;
    impl Keyring for Empty {
        fn current(&self) -> KeyId {
            key_id("gone")
        }
        fn key(&self, _: &KeyId) -> Option<SealingKey> {
            None
        }
    }
    let world = World::with(|options| options.keyring(Arc::new(Empty)));
    let new = || NewUser::person("ada").password(PASSWORD.into());
    world.refuses(ErrorKind::KeyMissing, |store| store.users().create(new()));
    world.refuses(ErrorKind::KeyMissing, |store| store.rekey(1));
    assert!(world.store.users().create(NewUser::person("ada")).is_ok());
}

#[test]
fn debug_shows_the_ids_of_keys_alone() {
    let keys = keys(&[NEW, OLD]);
    let expected = "Keys { current: \"new\", ids: [\"new\", \"old\"] }";
    assert_eq!(format!("{keys:?}"), expected);
    assert!(format!("{:?}", Options::server().keyring(keys)).contains(expected));
}

#[test]
fn of_two_keys_with_one_id_the_newer_keyring_counts() {
    let keys = keys(&[("a", 1), ("a", 2)]);
    let mut world = World::with(|options| options.keyring(keys));
    world.person("ada");
    world.reopen_with(&[("a", 1)]);
    world.log_in("ada", PASSWORD, "till").unwrap();
    world.store.close().unwrap();
    let second = world.options.clone().keyring(self::keys(&[("a", 2)]));
    assert_eq!(Store::open(&world.path, second).unwrap_err().kind(), ErrorKind::KeyMissing);
}

#[test]
fn an_id_in_the_file_that_is_no_key_id_is_damage() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let sealed = world.stored_hash(ada);
    world.store_hash(ada, &sealed.replace("$old$", "$Old key$"));
    world.refuses(ErrorKind::Corrupt, |store| store.key_use());
    world.store_hash(ada, &sealed);
    world.sql().execute("UPDATE store SET sealing_key = 'Old key'", []).unwrap();
    world.store.close().unwrap();
    let refused = Store::open(&world.path, world.options.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
}
