//! The parts of an error besides its kind: its class, its path, its rule, when to try again.

use std::fs;

use gatepost::policy::{PasswordPolicy, PasswordRule};
use gatepost::sessions::RevokeSessions;
use gatepost::{
    DeviceId, ErrorClass, ErrorKind, LoginRefusal, LoginRequest, NewUser, Password, Store, UserId,
};

use crate::surface;
use crate::tidy::source::Project;
use crate::world::{Meanwhile, PASSWORD, SECOND, World, device, for_tests};

const PAGE: &str = include_str!("../../manual/errors.md");

#[test]
fn the_page_lists_every_kind_once_with_its_class() {
    let from = PAGE.find("| kind | class |").expect("the page has the table of kinds");
    let rows = PAGE[from..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: Vec<String> = rows
        .map(|row| row.split('|').skip(1).take(2).map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    let expected: Vec<String> =
        ErrorKind::ALL.iter().map(|kind| format!("`{kind:?}` `{:?}`", kind.class())).collect();
    assert_eq!(listed, expected);
}

#[test]
fn a_refused_token_asks_to_sign_in_and_a_full_queue_is_no_fault_of_the_caller() {
    let world = World::new();
    let refused = world.store.verify(("no token", &device("till-1"))).unwrap().valid();
    assert_eq!(refused.unwrap_err().class(), ErrorClass::SignIn);
    assert_eq!(LoginRefusal::InvalidCredentials.class(), ErrorClass::SignIn);
    assert_eq!(LoginRefusal::AccountDisabled.class(), ErrorClass::Forbidden);
    assert_eq!(LoginRefusal::DeviceInUse.class(), ErrorClass::Conflict);
    assert_eq!(ErrorKind::Overloaded.class(), ErrorClass::Unavailable);
    assert_eq!(ErrorKind::CommitUnknown.class(), ErrorClass::Unavailable);
    assert_eq!(ErrorKind::LimitReached.class(), ErrorClass::Conflict);
}

/// A message must not name an option or a call that does not exist.
#[test]
fn every_option_that_a_message_names_exists() {
    let known: Vec<String> = surface::functions().into_iter().map(|one| one.path).collect();
    let mut named = 0;
    for file in Project::read().library() {
        for literal in &file.literals {
            let words = literal.text.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
            for word in words.map(|word| word.trim_end_matches(':')).filter(|w| is_call(w)) {
                named += 1;
                assert!(known.iter().any(|path| path == word), "{}: {word}", file.name);
            }
        }
    }
    assert!(named > 12, "{named} options and calls are named");
}

/// Whether a word of a message has the form `Type::call`.
fn is_call(word: &str) -> bool {
    word.split_once("::").is_some_and(|(of, call)| {
        of.starts_with(|c: char| c.is_ascii_uppercase())
            && call.starts_with(|c: char| c.is_ascii_lowercase())
    })
}

#[test]
fn an_error_of_the_file_gives_its_path_and_never_shows_it() {
    let world = World::new();
    let nowhere = world.directory().join("nowhere").join("auth.db");
    let plain = world.directory().join("plain.db");
    fs::write(&plain, "no database, but long enough to be looked at ".repeat(40)).unwrap();
    let other = for_tests().max_concurrent_hashes(3).max_waiting_hashes(3);
    for (path, options, kind) in [
        (&nowhere, for_tests(), ErrorKind::NotFound),
        (&plain, for_tests(), ErrorKind::NotADatabase),
        (&world.path, other, ErrorKind::Misuse),
    ] {
        let error = Store::open(path, options).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(path.as_path())), "{error}");
        let shown = format!("{error} {error:?} {}", error.advice());
        assert!(!shown.contains(path.to_str().unwrap()), "{shown}");
    }
    // An error that is not about a file has no path.
    let missing = world.store.users().delete(UserId::from_uuid(uuid()));
    assert_eq!(missing.unwrap_err().path(), None);
    assert_eq!(DeviceId::new("").unwrap_err().path(), None);
    let none = for_tests().max_concurrent_hashes(0);
    let bounds = Store::open(&world.path, none).unwrap_err();
    assert_eq!(bounds.path(), None);
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn a_lock_file_of_the_wrong_kind_is_named_by_its_own_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("auth.db");
    drop(Store::open(&path, for_tests()).unwrap());
    let wal = path.with_file_name("auth.db-wal");
    fs::create_dir(&wal).unwrap();
    let error = Store::open(&path, for_tests()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unsafe, Some(wal.as_path())), "{error}");
}

#[test]
fn a_replaced_file_says_where_it_was_and_what_a_server_does() {
    let world = World::new();
    fs::rename(&world.path, world.directory().join("gone.db")).unwrap();
    world.clock.advance(SECOND);
    let ada = NewUser::person("ada");
    let error = world.store.users().create(ada).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.path().unwrap().file_name(), world.path.file_name());
    assert!(error.advice().contains("supervisor"), "{}", error.advice());
    // A verify says the same.
    let verdict = world.store.verify(("no token", &device("till-1")));
    let again = verdict.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Closed);
    assert_eq!((again.path(), again.advice()), (error.path(), error.advice()));
}

#[test]
fn a_password_that_another_sets_says_which_rule_it_breaks() {
    let policy = PasswordPolicy::default().min_chars(9).max_bytes(256);
    let world = World::with(|options| options.passwords(policy));
    let ada = world.store.users().create(NewUser::person("ada.lovelace")).unwrap().id;
    for (text, rule) in [
        ("8 bronze".to_owned(), PasswordRule::TooShort { min_chars: 9 }),
        ("x".repeat(257), PasswordRule::TooLong { max_bytes: 256 }),
        ("x".repeat(5_000), PasswordRule::TooLong { max_bytes: 256 }),
        ("password1".to_owned(), PasswordRule::Common),
        ("Ada.Lovelace1".to_owned(), PasswordRule::Context),
    ] {
        let set = world.store.users().set_password(ada, Password::from(text.as_str()));
        let bob = NewUser::person("ada.lovelace.2").email("ada.lovelace@example.com");
        let bob = bob.password(Password::from(text.as_str()));
        for error in [set.unwrap_err(), world.store.users().create(bob).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert_eq!(error.password_rule(), Some(rule), "{error}");
            let message = rule.message();
            let end = message.trim_end_matches('.').trim_start_matches('T');
            assert!(error.to_string().ends_with(end), "{error}");
        }
    }
    let other = world.store.users().set_password_hash(ada, "x").unwrap_err();
    assert_eq!(other.password_rule(), None);
}

#[test]
fn the_error_of_an_overloaded_hasher_says_when_to_try_again() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        options.max_concurrent_hashes(1).max_waiting_hashes(0).random_source(meanwhile.source())
    });
    let ada = world.person("ada").id;
    world.store.users().require_password_change(ada, RevokeSessions::Keep).unwrap();
    let store = world.store.clone();
    meanwhile.happens(move || {
        let bob = NewUser::person("bob").password(Password::from(PASSWORD));
        for error in [
            store.users().set_password(ada, Password::from(PASSWORD)).unwrap_err(),
            store.users().create(bob).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
            assert!(error.retry_after().unwrap() >= SECOND && error.is_retryable());
        }
    });
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    world.ask(request.new_password("nine brass bells".into())).unwrap();
    let events = world.count("SELECT count(*) FROM audit WHERE event = 'password.set'");
    assert_eq!(events, 0);
}
