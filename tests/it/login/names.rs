//! Who is meant by a name.

use gatepost::{LogIn, NewUser, Password, Reason, Refusal};

use crate::world::{PASSWORD, World, device};

#[test]
fn a_username_is_the_same_in_every_case_and_form() {
    let world = World::new();
    let ada = world.person("Ada Stra\u{df}e").id;
    for name in ["ada stra\u{df}e", "ADA STRASSE", "\u{ff21}da Stra\u{df}e"] {
        let reply = world.log_in(name, PASSWORD, "till-1").unwrap();
        assert_eq!((reply.user.id, reply.user.username.as_str()), (ada, "Ada Stra\u{df}e"));
    }
    let accent = world.person("Zo\u{eb}").id;
    assert_eq!(world.log_in("zoe\u{308}", PASSWORD, "till-2").unwrap().user.id, accent);
}

#[test]
fn a_password_is_the_same_in_either_form_of_its_accents_and_in_no_other_case() {
    let world = World::new();
    let ada = NewUser::person("ada").password(Password::from("caf\u{e9} by the sea"));
    world.store.users().create(ada).unwrap();
    world.log_in("ada", "cafe\u{301} by the sea", "till-1").unwrap();
    for other in ["Caf\u{e9} by the sea", "caf\u{e9} by the sea ", "cafe by the sea"] {
        assert_eq!(world.log_in("ada", other, "till-1").unwrap_err(), Refusal::InvalidCredentials);
    }
}

#[test]
fn every_byte_of_a_long_password_counts() {
    let world = World::new();
    let long = format!("{}{}", "no two words alike ".repeat(210), "end");
    let ada = NewUser::person("ada").password(Password::from(long.as_str()));
    world.store.users().create(ada).unwrap();
    let flipped = format!("{}{}", "no two words alike ".repeat(210), "enD");
    world.log_in("ada", &flipped, "till-1").unwrap_err();
    world.log_in("ada", &long, "till-1").unwrap();
}

#[test]
fn an_email_address_logs_in_only_where_the_host_allows_it() {
    let new =
        || NewUser::person("ada").email("Ada@Example.com").password(Password::from(PASSWORD));
    let world = World::new();
    world.store.users().create(new()).unwrap();
    assert_eq!(
        world.log_in("ada@example.com", PASSWORD, "till-1").unwrap_err(),
        Refusal::InvalidCredentials
    );
    let world = World::with(|options| options.login_by_email(true));
    let ada = world.store.users().create(new()).unwrap().id;
    assert_eq!(world.log_in("ADA@example.COM", PASSWORD, "till-1").unwrap().user.id, ada);
    assert_eq!(world.log_in("ada", PASSWORD, "till-1").unwrap().user.id, ada);
}

#[test]
fn attempts_by_name_and_by_address_are_counted_together() {
    let world = World::with(|options| options.login_by_email(true));
    let new = NewUser::person("ada").email("ada@example.com").password(PASSWORD.into());
    let ada = world.store.users().create(new).unwrap().id;
    for name in ["ada", "ada@example.com", "ADA", "Ada@Example.com", "ada"] {
        world.log_in(name, "wrong horse battery", "till-1").unwrap_err();
    }
    let user = world.user(ada);
    assert_eq!(user.failed_password_attempt_count, 5);
    for name in ["ada", "ada@example.com"] {
        let refusal = world.log_in(name, PASSWORD, "till-1").unwrap_err();
        assert!(matches!(refusal, Refusal::TooManyAttempts { .. }), "{refusal:?}");
    }
}

#[test]
fn an_address_that_two_users_have_logs_nobody_in() {
    let mut world = World::new();
    for name in ["ada", "bob"] {
        let new = NewUser::person(name).email("shared@example.com").password(PASSWORD.into());
        world.store.users().create(new).unwrap();
    }
    world.options = world.options.clone().login_by_email(true);
    world.reopen();
    assert_eq!(
        world.log_in("shared@example.com", PASSWORD, "till-1").unwrap_err(),
        Refusal::InvalidCredentials
    );
}

#[test]
fn the_name_of_a_deleted_user_logs_its_next_owner_in() {
    let world = World::new();
    let first = world.person("ada").id;
    world.store.users().delete(first).unwrap();
    let new = NewUser::person("ada").password("nine brass bells".into());
    let second = world.store.users().create(new).unwrap().id;
    world.log_in("ada", PASSWORD, "till-1").unwrap_err();
    assert_eq!(world.log_in("ada", "nine brass bells", "till-1").unwrap().user.id, second);
}

#[test]
fn a_restored_user_logs_in_with_its_old_password() {
    let world = World::new();
    let ada = world.person("ada").id;
    let before = world.open(ada, "till-1");
    world.store.users().delete(ada).unwrap();
    world.store.users().restore(ada).unwrap();
    assert!(!world.passes(&before, "till-1"));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn the_longest_name_that_anybody_could_have_is_looked_up_like_any_other() {
    let world = World::new();
    let refusal = world.log_in(&"x".repeat(254), PASSWORD, "till-1").unwrap_err();
    assert_eq!(refusal, Refusal::InvalidCredentials);
    let longer = LogIn::new("x".repeat(255), Password::from(PASSWORD), device("till-1"));
    world.refuses(Reason::Invalid, |store| store.log_in(longer));
}

#[test]
fn a_request_is_printed_with_its_label_and_without_the_name_which_may_be_a_password() {
    let request = LogIn::new("my secret", Password::from(PASSWORD), device("till-1"));
    let printed = format!("{:?}", request.label("Till 1").new_password("my other".into()));
    assert!(printed.contains("LogIn") && printed.contains("Till 1"), "{printed}");
    for word in ["my secret", PASSWORD, "my other"] {
        assert!(!printed.contains(word), "{printed}");
    }
}
