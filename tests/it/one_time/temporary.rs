//! Temporary passwords: a one-time token that is typed in the place of the password.

use gatepost::sessions::{NewOneTimeToken, OneTimePurpose};
use gatepost::{LoginRefusal, LoginReply, LoginRequest, NewUser, Password};

use super::{NEW, ada, issue, logs_in, passes};
use crate::world::{DAY, MINUTE, PASSWORD, World, device};

#[test]
fn a_temporary_password_logs_in_once_and_with_a_new_password_alone() {
    let (mut world, ada) = ada();
    let session = world.open(ada, "till").token;
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    assert_eq!(
        change(&world, "ada", token.expose(), None),
        Err(LoginRefusal::NewPasswordRequired)
    );
    world.reopen();
    assert_eq!(
        change(&world, "ada", token.expose(), None),
        Err(LoginRefusal::NewPasswordRequired)
    );
    assert_eq!(world.user(ada).failed_attempts, 0, "a right password is no failed attempt");
    assert!(passes(&world, &session) && logs_in(&world, PASSWORD).is_ok());

    let reply = log_in(&world, "ada", token.expose(), Some(NEW)).unwrap();
    assert!(!reply.profile.user.must_change_password);
    assert_eq!(world.count("SELECT uses_left FROM one_time_token"), 0);
    assert!(!passes(&world, &session), "the change revokes the sessions before it");
    let event = world.last_event();
    assert_eq!(event.event, "login.granted");
    assert_eq!(event.reason.as_deref(), Some("password_changed"));
    assert!(logs_in(&world, NEW).is_ok());
    for new in [None, Some("another brass bell")] {
        let again = change(&world, "ada", token.expose(), new);
        assert_eq!(again, Err(LoginRefusal::InvalidCredentials));
    }
}

#[test]
fn a_user_without_a_password_gets_the_first_one_by_a_temporary_one() {
    let world = World::new();
    let ben = world.store.users().create(NewUser::person("ben")).unwrap().id;
    let token = issue(&world, ben, NewOneTimeToken::temporary_password()).token;
    assert_eq!(change(&world, "ben", token.expose(), Some(NEW)), Ok(()));
    assert_eq!(change(&world, "ben", NEW, None), Ok(()));
}

#[test]
fn a_new_password_that_is_rejected_does_not_use_the_temporary_one_up() {
    let (world, ada) = ada();
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    for weak in ["short", token.expose()] {
        let refusal = change(&world, "ada", token.expose(), Some(weak)).unwrap_err();
        assert!(matches!(refusal, LoginRefusal::PasswordRejected(_)), "{weak}: {refusal:?}");
    }
    assert_eq!(change(&world, "ada", token.expose(), Some(NEW)), Ok(()));
}

#[test]
fn only_the_temporary_password_of_the_same_user_is_a_password() {
    let (world, ada) = ada();
    let ben = NewUser::person("ben").password(PASSWORD.into());
    let ben = world.store.users().create(ben).unwrap().id;
    let of_ada = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    let reset = issue(&world, ben, NewOneTimeToken::password_reset()).token;
    for other in [&of_ada, &reset] {
        for new in [Some(NEW), None] {
            let refused = change(&world, "ben", other.expose(), new);
            assert_eq!(refused, Err(LoginRefusal::InvalidCredentials));
        }
    }
    assert_eq!(world.user(ben).failed_attempts, 4, "each is a wrong password");
    let purposes = |user| world.store.one_time_tokens().list(user).unwrap();
    assert_eq!(purposes(ada)[0].purpose, OneTimePurpose::TemporaryPassword);
    assert_eq!(purposes(ben)[0].purpose, OneTimePurpose::PasswordReset);
}

#[test]
fn an_expired_or_revoked_temporary_password_is_a_wrong_one() {
    let (world, ada) = ada();
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    world.clock.advance(DAY);
    let refused = change(&world, "ada", token.expose(), Some(NEW));
    assert_eq!(refused, Err(LoginRefusal::InvalidCredentials));
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    world.store.one_time_tokens().revoke_all(ada).unwrap();
    let refused = change(&world, "ada", token.expose(), Some(NEW));
    assert_eq!(refused, Err(LoginRefusal::InvalidCredentials));
}

#[test]
fn at_a_closed_gate_a_temporary_password_is_a_wrong_one() {
    // The gate is in the file, and the table of typed names in the memory of the process.
    let (mut world, ada) = ada();
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    for _ in 0..5 {
        assert!(logs_in(&world, "a wrong one").is_err());
    }
    world.reopen();
    let refused = change(&world, "ada", token.expose(), Some(NEW));
    assert_eq!(refused, Err(LoginRefusal::InvalidCredentials));
    world.clock.advance(MINUTE);
    assert_eq!(change(&world, "ada", token.expose(), Some(NEW)), Ok(()));
}

fn change(
    world: &World,
    name: &str,
    password: &str,
    new: Option<&str>,
) -> Result<(), LoginRefusal> {
    log_in(world, name, password, new).map(drop)
}

fn log_in(
    world: &World,
    name: &str,
    password: &str,
    new: Option<&str>,
) -> Result<LoginReply, LoginRefusal> {
    let mut login = LoginRequest::new(name, Password::from(password), device("elsewhere"));
    if let Some(new) = new {
        login = login.new_password(Password::from(new));
    }
    world.store.log_in(login).unwrap().granted()
}
