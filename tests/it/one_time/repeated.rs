//! A password that is worth nothing, or must be replaced, is not set again: at every door of a
//! token the new one is another.

use gatepost::directory::UserStatus;
use gatepost::policy::{PasswordPolicy, PasswordRule};
use gatepost::sessions::{NewOneTimeToken, RevokeApiKeys, RevokeSessions};
use gatepost::{CompleteLogin, LoginRefusal, LoginRequest, Password, Secret};

use super::{NEW, ada, issue, logs_in};
use crate::pending_step::Scene;
use crate::world::{DAY, Meanwhile, PASSWORD, World, device};

/// Marks ada's password, or lets it expire.
type Mark = fn(&World);

const MARKS: [(&str, Mark); 3] = [
    ("compromised", |world| {
        assert!(world.store.users().mark_compromised(world.user_of("ada")).unwrap());
    }),
    ("marked", |world| demand(world)),
    ("expired", |world| world.clock.advance(DAY)),
];

fn demand(world: &World) {
    let (users, ada) = (world.store.users(), world.user_of("ada"));
    assert!(users.require_password_change(ada, RevokeSessions::Keep).unwrap());
}

/// Resets the password, or the rule that the new one breaks.
fn reset(world: &World, token: &Secret, new: &str) -> Result<(), PasswordRule> {
    let tokens = world.store.one_time_tokens();
    match tokens.reset_password(token.expose(), new.into(), RevokeApiKeys::Keep) {
        Ok(redemption) => {
            redemption.valid().unwrap();
            Ok(())
        }
        Err(error) => Err(error.password_rule().unwrap()),
    }
}

#[test]
fn a_reset_sets_another_password_than_the_one_that_is_worth_nothing() {
    for (name, mark) in MARKS {
        let world = World::with(|options| options.password_expiry(DAY));
        let ada = world.person("ada").id;
        mark(&world);
        let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
        let same = world.hashes(1, |_| world.leaves(&[], 0, |_| reset(&world, &token, PASSWORD)));
        assert_eq!(same, Err(PasswordRule::Unchanged), "{name}");
        assert_eq!(world.hashes(2, |_| reset(&world, &token, NEW)), Ok(()), "{name}");
        assert_eq!(logs_in(&world, NEW), Ok(()), "{name}");
    }
}

#[test]
fn a_password_that_its_user_has_forgotten_may_be_set_again() {
    let (world, ada) = ada();
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    assert_eq!(world.hashes(1, |_| reset(&world, &token, PASSWORD)), Ok(()));
}

#[test]
fn an_invitation_sets_another_password_than_the_one_that_is_compromised() {
    let (world, ada) = ada();
    world.store.users().mark_compromised(ada).unwrap();
    drop(world.store.users().set_status(ada, UserStatus::Pending).unwrap());
    let token = issue(&world, ada, NewOneTimeToken::invitation()).token;
    let accept = |new: &str| {
        world.store.one_time_tokens().accept_invitation(token.expose(), Password::from(new))
    };
    let same = accept(PASSWORD).unwrap_err();
    assert_eq!(same.password_rule(), Some(PasswordRule::Unchanged));
    assert!(accept(NEW).unwrap().valid().is_ok());
}

#[test]
fn a_temporary_password_sets_another_password_than_the_one_that_is_worth_nothing() {
    for (name, mark) in MARKS {
        let world = World::with(|options| options.password_expiry(DAY));
        let ada = world.person("ada").id;
        mark(&world);
        let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
        let login = |new: &str| {
            let login = LoginRequest::new("ada", token.expose().into(), device("till"));
            world.ask(login.new_password(new.into())).map(drop)
        };
        let unchanged = LoginRefusal::PasswordRejected(PasswordRule::Unchanged);
        assert_eq!(login(PASSWORD), Err(unchanged), "{name}");
        assert_eq!(world.user(ada).failed_attempts, 0);
        assert_eq!(login(NEW), Ok(()), "{name}");
    }
}

/// A caller with the temporary password alone could ask about any weak password whether it is the
/// stored one.
#[test]
fn a_new_password_that_breaks_another_rule_is_not_compared_with_the_stored_one() {
    let mut world = World::new();
    let ada = world.person("ada").id;
    demand(&world);
    let policy = PasswordPolicy::default().min_chars(60);
    world.options = world.options.clone().passwords(policy);
    world.reopen();
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    let login = LoginRequest::new("ada", token.expose().into(), device("till"));
    let refused = world.hashes(1, |_| world.ask(login.new_password(PASSWORD.into())).unwrap_err());
    let LoginRefusal::PasswordRejected(PasswordRule::TooShort { .. }) = refused else {
        panic!("{refused:?}");
    };
}

#[test]
fn so_does_the_step_of_a_temporary_password() {
    for (name, mark) in MARKS {
        let scene = Scene::with(|options| options.password_expiry(DAY));
        mark(&scene.world);
        let token = issue(&scene.world, scene.ada, NewOneTimeToken::temporary_password()).token;
        let login = LoginRequest::new("ada", token.expose().into(), device("till"));
        let step = scene.pending(login);
        let code = scene.code();
        let complete = |new: &str| {
            let with =
                CompleteLogin::with_code(step.token.expose(), device("till"), code.as_str());
            scene.complete(with.new_password(new.into())).map(drop)
        };
        let unchanged = LoginRefusal::PasswordRejected(PasswordRule::Unchanged);
        for same in [PASSWORD, token.expose()] {
            assert_eq!(complete(same), Err(unchanged), "{name}");
        }
        assert_eq!(complete(NEW), Ok(()), "{name}: neither code nor token was used up");
    }
}

/// The demand comes after the stored password was read and before the new one is stored.
#[test]
fn a_demand_that_comes_while_the_new_password_is_checked_is_met() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = world.person("ada").id;
    let demanded = || {
        let store = world.store.clone();
        meanwhile.happens(move || {
            let users = store.users();
            assert!(users.require_password_change(ada, RevokeSessions::Keep).unwrap());
        });
    };
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    demanded();
    assert_eq!(reset(&world, &token, PASSWORD), Err(PasswordRule::Unchanged));
    assert!(world.user(ada).must_change_password);
    assert_eq!(reset(&world, &token, NEW), Ok(()));

    // A login that proved a temporary password is refused, and asks again.
    let token = issue(&world, ada, NewOneTimeToken::temporary_password()).token;
    let login = |new: &str| {
        let login = LoginRequest::new("ada", token.expose().into(), device("till"));
        world.ask(login.new_password(new.into())).map(drop)
    };
    demanded();
    assert_eq!(login(NEW), Err(LoginRefusal::StepNotLive));
    assert!(world.user(ada).must_change_password);
    let unchanged = LoginRefusal::PasswordRejected(PasswordRule::Unchanged);
    assert_eq!(login(NEW), Err(unchanged));
    assert_eq!(login("seven brass bells"), Ok(()));
}
