//! A key that is missing: the one of the file, or that of one user's hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::host::{KeyId, Keyring, SealingKey};
use gatepost::sessions::{NewOneTimeToken, Reauthentication, RevokeSessions};
use gatepost::{
    CompleteLogin, ErrorKind, LoginRefusal, LoginRequest, NewUser, Options, Password, Store,
};

use super::{IMPORTED, NEW, OLD, key_id, keys, uses, with_keys};
use crate::world::{DAY, Meanwhile, PASSWORD, SECOND, World, device};

const CHARGED: &str = "SELECT sum(failures + known_failures) FROM throttle";

fn request(name: &str) -> LoginRequest {
    LoginRequest::new(name, Password::from(PASSWORD), device("till"))
}

/// R10: the file alone and the right password.
#[test]
fn the_file_with_the_right_password_but_without_the_keyring_opens_no_session() {
    let world = with_keys(&[OLD]);
    world.person("ada");
    world.store.close().unwrap();
    let without = |options: Options| Store::open(&world.path, options).unwrap_err();
    for options in [crate::world::for_tests(), crate::world::for_tests().keyring(keys(&[NEW]))] {
        let error = without(options);
        assert_eq!(error.kind(), ErrorKind::KeyMissing);
        let expected =
            "the keyring of this process (Options::keyring) lacks the key of the file, old";
        assert_eq!(error.to_string(), expected);
        assert!(error.advice().contains("Options::keyring"), "{}", error.advice());
    }
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
}

/// Once such a keyring opened the file: each login failed as if its row were damaged, and each new
/// password was sealed under a key that no other process had.
#[test]
fn a_key_with_the_id_of_the_files_and_other_bytes_is_refused() {
    let mut world = with_keys(&[OLD]);
    // Nothing is sealed: no key is wrong.
    world.reopen_with(&[("old", 9)]);
    world.reopen_with(&[OLD]);
    let ada = world.person("ada").id;
    world.clock.advance(SECOND);
    let bob = world.person("bob").id;
    world.store.close().unwrap();
    let refused = |options: Options| {
        let error = Store::open(&world.path, options.keyring(keys(&[("old", 9)]))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyMissing, "{error}");
        let expected = "the key old of the keyring of this process (Options::keyring) has other \
                        bytes than that of the file: it opens no secret that is sealed under old";
        assert_eq!(error.to_string(), expected);
    };
    refused(crate::world::for_tests());
    refused(Options::stored());
    // A hash that was changed speaks against no key as long as another one opens.
    let of_bob = world.stored_hash(bob);
    world.store_hash(ada, &of_bob);
    world.reopen_with(&[OLD]);
    world.log_in("bob", PASSWORD, "till").unwrap();
    // As for a key that is lost, one with another id takes its place.
    world.store.close().unwrap();
    let options = Options::stored().keyring(keys(&[NEW])).clock(Arc::new(world.clock.clone()));
    world.store = Store::open(&world.path, options).unwrap();
    assert!(world.store.rekey(1_000).unwrap().is_complete);
    world.reopen_with(&[NEW]);
}

#[test]
fn with_stored_options_each_call_that_needs_the_key_is_refused_and_the_others_go_on() {
    let mut world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let session = world.open(ada, "till");
    world.store.close().unwrap();
    let clock = Arc::new(world.clock.clone());
    for options in [Options::stored(), Options::stored().keyring(keys(&[NEW]))] {
        world.store = Store::open(&world.path, options.clock(clock.clone())).unwrap();
        let on = device("till");
        let new = || Password::from("nine brass bells");
        world.refuses(ErrorKind::KeyMissing, |store| store.log_in(request("ada")));
        world.refuses(ErrorKind::KeyMissing, |store| store.log_in(request("unknown")));
        world.refuses(ErrorKind::KeyMissing, |store| {
            store.change_password((&session.token, &on), Password::from(PASSWORD), new())
        });
        world.refuses(ErrorKind::KeyMissing, |store| store.users().set_password(ada, new()));
        world.refuses(ErrorKind::KeyMissing, |store| {
            store.users().set_password_hash(ada, IMPORTED)
        });
        world.refuses(ErrorKind::KeyMissing, |store| {
            store.users().create(NewUser::person("bob").password(new()))
        });
        assert_eq!(world.count(CHARGED), 0);
        assert!(world.passes(&session, "till"));
        assert!(!world.store.key_use().unwrap()[0].is_available);
        world.store.close().unwrap();
    }
    world.store = Store::open(&world.path, Options::stored().clock(clock)).unwrap();
    world.refuses(ErrorKind::KeyMissing, |store| store.rekey(1));
    assert!(world.store.users().remove_password(ada).unwrap());
}

/// Another key than that of the file: other users log in.
fn two_keys() -> World {
    let mut world = with_keys(&[OLD]);
    world.person("ada");
    // Ids of one millisecond have no order, and rekey begins with the first.
    world.clock.advance(SECOND);
    world.person("cyd");
    world.reopen_with(&[NEW, OLD]);
    let report = world.store.rekey(1).unwrap();
    assert!(!report.is_complete);
    // One of them is left under the old key, which is lost.
    world.reopen_with(&[NEW]);
    assert_eq!(world.uses(), uses(&[("new", 1), ("old", 1)]));
    world
}

#[test]
fn a_hash_whose_key_is_missing_fits_no_password_and_is_not_charged() {
    let mut world = two_keys();
    world.log_in("ada", PASSWORD, "till").unwrap();
    let kept = world.stored_hash(world.user_of("cyd"));
    let refused = world.hashes(1, |_| world.log_in("cyd", PASSWORD, "desk")).unwrap_err();
    assert_eq!(refused, LoginRefusal::InvalidCredentials);
    let explained = |world: &World, name| {
        world.store.explain_user(world.user_of(name)).unwrap().cause.as_str()
    };
    assert_eq!((explained(&world, "cyd"), explained(&world, "ada")), ("key_missing", "accepted"));
    assert_eq!(world.count(CHARGED), 0);
    assert_eq!(world.store.status().key_missing_refusals, 1);
    assert_eq!(world.stored_hash(world.user_of("cyd")), kept);
    world.log_in("ada", PASSWORD, "till").unwrap();
    world.reopen_with(&[NEW, OLD]);
    assert_eq!(world.store.status().key_missing_refusals, 0);
    assert_eq!(explained(&world, "cyd"), "accepted");
    world.log_in("cyd", PASSWORD, "desk").unwrap();
    assert_eq!(world.uses(), uses(&[("new", 2)]));
}

#[test]
fn a_user_whose_key_is_missing_is_answered_like_an_unknown_name() {
    let world = two_keys();
    let answers = |name: &str| -> Vec<(LoginRefusal, u64)> {
        let ask = |_| {
            let before = world.store.status().hashes_done;
            let refused = world.log_in(name, PASSWORD, "till").unwrap_err();
            (refused, world.store.status().hashes_done - before)
        };
        (0..12).map(ask).collect()
    };
    assert_eq!(answers("cyd"), answers("unknown"));
    assert_eq!(world.count(CHARGED), 0);
}

#[test]
fn a_change_in_a_session_is_refused_without_a_charge_if_the_key_is_missing() {
    let world = two_keys();
    let session = world.open(world.user_of("cyd"), "till");
    let (current, new) = (Password::from(PASSWORD), Password::from("nine brass bells"));
    let changed = world.store.change_password((&session.token, &device("till")), current, new);
    assert_eq!(changed.unwrap().granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(world.count(CHARGED), 0);
    assert_eq!(world.store.status().key_missing_refusals, 1);
    assert!(world.passes(&session, "till"));
    // An administrator helps: the new hash is sealed under the key of the file.
    let cyd = world.user_of("cyd");
    world.store.users().set_password(cyd, Password::from("nine brass bells")).unwrap();
    world.log_in("cyd", "nine brass bells", "till").unwrap();
}

/// It cannot be compared with the new one, so that it might become valid again.
#[test]
fn a_compromised_password_whose_key_is_missing_is_replaced_by_none_until_it_is_removed() {
    let world = two_keys();
    let (users, cyd) = (world.store.users(), world.user_of("cyd"));
    let set = |new: &str| users.set_password(cyd, Password::from(new));
    users.require_password_change(cyd, RevokeSessions::Keep).unwrap();
    set("nine brass bells").unwrap();
    let world = two_keys();
    let (users, cyd) = (world.store.users(), world.user_of("cyd"));
    assert!(users.mark_compromised(cyd).unwrap());
    let new = || Password::from("nine brass bells");
    world.refuses(ErrorKind::KeyMissing, |store| store.users().set_password(cyd, new()));
    assert!(users.remove_password(cyd).unwrap());
    users.set_password(cyd, new()).unwrap();
    world.log_in("cyd", "nine brass bells", "till").unwrap();
}

/// The manual's steps for a lost key.
#[test]
fn a_file_whose_key_is_lost_gets_another_by_rekey() {
    let mut world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    world.store.close().unwrap();
    let options = Options::stored().keyring(keys(&[NEW]));
    world.store = Store::open(&world.path, options).unwrap();
    let report = world.store.rekey(1_000).unwrap();
    assert_eq!((report.hashes, report.is_complete), (0, true));
    assert_eq!(world.last_event().event, "store.key_changed");
    world.store.users().set_password(ada, Password::from("nine brass bells")).unwrap();
    world.reopen_with(&[NEW]);
    world.log_in("ada", "nine brass bells", "till").unwrap();
}

/// The key store of the operating system may lock itself.
#[derive(Debug)]
struct Lockable(AtomicBool);

impl Lockable {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(false)))
    }

    fn lock(&self, is_locked: bool) {
        self.0.store(is_locked, Ordering::SeqCst);
    }

    /// Locks itself while the next new password is checked.
    fn locks(self: &Arc<Self>, meanwhile: &Meanwhile) {
        let lockable = self.clone();
        meanwhile.happens(move || lockable.lock(true));
    }
}

fn locks_itself() -> (World, Arc<Lockable>, Meanwhile) {
    let (lockable, meanwhile) = (Lockable::new(), Meanwhile::default());
    let check = meanwhile.check();
    let world = World::with(|options| options.keyring(lockable.clone()).breach_check(check));
    (world, lockable, meanwhile)
}

impl Keyring for Lockable {
    fn current(&self) -> KeyId {
        key_id("old")
    }

    fn key(&self, id: &KeyId) -> Option<SealingKey> {
        let is_here = !self.0.load(Ordering::SeqCst) && id.as_str() == "old";
        is_here.then(|| SealingKey::new([1; 32]))
    }
}

#[test]
fn a_key_that_cannot_be_had_any_more_is_an_error_and_no_refusal() {
    let lockable = Lockable::new();
    let world = World::with(|options| options.keyring(lockable.clone()));
    world.person("ada");
    lockable.lock(true);
    for _ in 0..12 {
        world.refuses(ErrorKind::KeyMissing, |store| store.log_in(request("ada")));
    }
    lockable.lock(false);
    world.log_in("ada", PASSWORD, "till").unwrap();
}

/// The key went while the new password was being hashed.
#[test]
fn a_new_password_that_cannot_be_sealed_any_more_charges_no_attempt() {
    let (world, lockable, meanwhile) = locks_itself();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till");
    let new = || Password::from("nine brass bells");
    lockable.locks(&meanwhile);
    let (on, current) = (device("till"), Password::from(PASSWORD));
    let changed = world.store.change_password((&session.token, &on), current, new());
    assert_eq!(changed.unwrap_err().kind(), ErrorKind::KeyMissing);
    lockable.lock(false);
    world.store.users().require_password_change(ada, RevokeSessions::Keep).unwrap();
    lockable.locks(&meanwhile);
    let logged_in = world.store.log_in(request("ada").new_password(new()));
    assert_eq!(logged_in.unwrap_err().kind(), ErrorKind::KeyMissing);
    assert_eq!(world.count(CHARGED), 0);
    lockable.lock(false);
    world.ask(request("ada").new_password(new())).unwrap();
}

#[test]
fn a_step_is_not_completed_without_the_key_and_no_guess_is_charged() {
    let mut world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    crate::pending_step::give_factor(&world, ada);
    let step = crate::pending_step::pending(world.store.log_in(request("ada")).unwrap());
    world.store.close().unwrap();
    let (options, clock) = (Options::stored(), Arc::new(world.clock.clone()));
    world.store = Store::open(&world.path, options.clock(clock)).unwrap();
    let code = crate::pending_step::code_at(world.now());
    let complete = || CompleteLogin::with_code(step.token.expose(), device("till"), code.as_str());
    world.refuses(ErrorKind::KeyMissing, |store| store.complete_login(complete()));
    assert_eq!(world.count(CHARGED), 0);
    assert_eq!(world.count("SELECT guesses_left FROM pending_step"), 5);
    world.reopen();
    assert!(world.store.complete_login(complete()).unwrap().granted().is_ok());
}

/// What is guessed is the code: that nothing could be compared with the password takes no charge
/// back.
#[test]
fn a_wrong_code_is_charged_although_the_hash_of_the_password_lacks_its_key() {
    let world = two_keys();
    let cyd = world.user_of("cyd");
    crate::pending_step::give_factor(&world, cyd);
    let session = world.open(cyd, "till");
    let wrong = || crate::pending_step::wrong_at(world.now());
    let prove = || {
        let (on, with) = (device("till"), Reauthentication::code(wrong()));
        world.store.prove((&session.token, &on), with).unwrap().granted().unwrap_err()
    };
    for failures in 1..=5 {
        assert_eq!(prove(), LoginRefusal::InvalidCredentials);
        assert_eq!(world.user(cyd).failed_attempts, failures);
    }
    assert!(matches!(prove(), LoginRefusal::TooManyAttempts { .. }));
    assert!(world.store.users().unlock(cyd).unwrap());

    // Beside a temporary password, which needs no key.
    let temporary = NewOneTimeToken::temporary_password();
    let token = world.store.one_time_tokens().issue(cyd, temporary).unwrap().token;
    let login = LoginRequest::new("cyd", token.expose().into(), device("till")).code(wrong());
    let refused = world.ask(login.new_password("nine brass bells".into())).unwrap_err();
    assert_eq!(refused, LoginRefusal::InvalidCredentials);
    assert_eq!(world.user(cyd).failed_attempts, 1);
}

/// The key went after the code was found right: nothing says that it was wrong.
#[test]
fn a_code_that_cannot_be_compared_any_more_is_not_charged_and_ends_no_trust() {
    let (world, lockable, meanwhile) = locks_itself();
    let ada = world.person("ada").id;
    crate::pending_step::give_factor(&world, ada);
    let code = || crate::pending_step::code_at(world.now());
    world.ask(request("ada").code(code()).trust_device(DAY)).unwrap();
    world.store.users().require_password_change(ada, RevokeSessions::Keep).unwrap();
    world.clock.advance(30 * SECOND);
    lockable.locks(&meanwhile);
    let login = || request("ada").code(code()).new_password("nine brass bells".into());
    assert_eq!(world.ask(login()).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(world.count(CHARGED), 0);
    let devices = world.store.devices().list(ada).unwrap();
    assert!(devices[0].trusted_until.is_some());
    lockable.lock(false);
    world.ask(login()).unwrap();
}

/// A new password is the remedy that the library names for it, and is compared with nothing.
#[test]
fn a_damaged_hash_that_is_marked_is_replaced_by_a_new_password() {
    for is_compromised in [false, true] {
        let world = with_keys(&[OLD]);
        let ada = world.person("ada").id;
        world.clock.advance(SECOND);
        let ben = world.person("ben").id;
        world.store_hash(ada, &world.stored_hash(ben));
        let users = world.store.users();
        match is_compromised {
            true => assert!(users.mark_compromised(ada).unwrap()),
            false => assert!(users.require_password_change(ada, RevokeSessions::Keep).unwrap()),
        }
        users.set_password(ada, Password::from("nine brass bells")).unwrap();
        world.log_in("ada", "nine brass bells", "till").unwrap();
    }
}
