//! The user that a name means.

use gatepost::{ErrorKind, LoginRefusal, LoginRequest, NewUser, Password};

use crate::world::{PASSWORD, World, device};

#[test]
fn a_username_is_the_same_in_every_case_and_form() {
    let world = World::new();
    let ada = world.person("Ada Stra\u{df}e").id;
    for name in ["ada stra\u{df}e", "ADA STRASSE", "\u{ff21}da Stra\u{df}e"] {
        let reply = world.log_in(name, PASSWORD, "till-1").unwrap();
        assert_eq!(
            (reply.profile.user.id, reply.profile.user.username.as_str()),
            (ada, "Ada Stra\u{df}e")
        );
    }
    let accent = world.person("Zo\u{eb}").id;
    assert_eq!(world.log_in("zoe\u{308}", PASSWORD, "till-2").unwrap().profile.user.id, accent);
}

#[test]
fn white_space_around_a_typed_name_is_ignored() {
    let world = World::with(|options| options.login_by_email(true));
    let new = NewUser::person("ada").email("ada@example.com").password(Password::from(PASSWORD));
    let ada = world.store.users().create(new).unwrap().id;
    for typed in ["ada ", " ADA", "ada\r\n", "ada\u{a0}", "ada@example.com ", "\tada@example.com"]
    {
        let reply = world.log_in(typed, PASSWORD, "till-1").unwrap();
        assert_eq!(reply.profile.user.id, ada, "{typed:?}");
    }
    // The longest address, with spaces that make it longer.
    let longest = format!("{}@{}comxyz", "a".repeat(64), format!("{}.", "d".repeat(60)).repeat(3));
    assert_eq!(longest.len(), 254);
    let new = NewUser::person("bob").email(&longest).password(Password::from(PASSWORD));
    let bob = world.store.users().create(new).unwrap().id;
    let reply = world.log_in(&format!(" {longest} "), PASSWORD, "till-2").unwrap();
    assert_eq!(reply.profile.user.id, bob);
}

/// The default case folding knows no Turkish: the capital of `i` is `I` alone.
#[test]
fn a_dotted_capital_i_is_another_letter_in_a_username() {
    let world = World::new();
    world.person("irem");
    world.log_in("IREM", PASSWORD, "till-1").unwrap();
    assert_eq!(
        world.log_in("\u{130}REM", PASSWORD, "till-1").unwrap_err(),
        LoginRefusal::InvalidCredentials
    );
}

#[test]
fn a_password_is_the_same_in_either_form_of_its_accents_and_in_no_other_case() {
    let world = World::new();
    let ada = NewUser::person("ada").password(Password::from("caf\u{e9} by the sea"));
    world.store.users().create(ada).unwrap();
    world.log_in("ada", "cafe\u{301} by the sea", "till-1").unwrap();
    for other in ["Caf\u{e9} by the sea", "caf\u{e9} by the sea ", "cafe by the sea"] {
        assert_eq!(
            world.log_in("ada", other, "till-1").unwrap_err(),
            LoginRefusal::InvalidCredentials
        );
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
        LoginRefusal::InvalidCredentials
    );
    let world = World::with(|options| options.login_by_email(true));
    let ada = world.store.users().create(new()).unwrap().id;
    assert_eq!(world.log_in("ADA@example.COM", PASSWORD, "till-1").unwrap().profile.user.id, ada);
    assert_eq!(world.log_in("ada", PASSWORD, "till-1").unwrap().profile.user.id, ada);
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
    assert_eq!(user.failed_attempts, 5);
    for name in ["ada", "ada@example.com"] {
        let refusal = world.log_in(name, PASSWORD, "till-1").unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials, "{name}");
    }
}

#[test]
fn an_address_that_two_users_have_logs_neither_in() {
    let mut world = World::new();
    for name in ["ada", "bob"] {
        let new = NewUser::person(name).email("shared@example.com").password(PASSWORD.into());
        world.store.users().create(new).unwrap();
    }
    // By hand: `change_options` would refuse it.
    world.sql().execute("UPDATE store SET login_by_email = 1", []).unwrap();
    world.options = world.options.clone().login_by_email(true);
    world.reopen();
    assert_eq!(
        world.log_in("shared@example.com", PASSWORD, "till-1").unwrap_err(),
        LoginRefusal::InvalidCredentials
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
    assert_eq!(world.log_in("ada", "nine brass bells", "till-1").unwrap().profile.user.id, second);
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
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    let longer = LoginRequest::new("x".repeat(255), Password::from(PASSWORD), device("till-1"));
    world.refuses(ErrorKind::Invalid, |store| store.log_in(longer));
}

#[test]
fn a_request_is_printed_with_its_label_and_without_the_name_which_may_be_a_password() {
    let request = LoginRequest::new("my secret", Password::from(PASSWORD), device("till-1"));
    let printed = format!("{:?}", request.label("Till 1").new_password("my other".into()));
    assert!(printed.contains("LoginRequest") && printed.contains("Till 1"), "{printed}");
    for word in ["my secret", PASSWORD, "my other"] {
        assert!(!printed.contains(word), "{printed}");
    }
}
