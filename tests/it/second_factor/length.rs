//! The length of a password, which is shorter beside a second factor.

use gatepost::policy::{PasswordPolicy, PasswordRule};
use gatepost::second_factors::FactorCode;
use gatepost::sessions::{NewOneTimeToken, Reauthentication, RevokeApiKeys};
use gatepost::{Error, LoginRequest, Store, UserId};

use super::Enrolled;
use crate::keyring::{OLD, keys};
use crate::world::{PASSWORD, World, device};

const EIGHT: &str = "xkq wvuz";
const FOURTEEN: &str = "xkq wvuz xkq w";
const FIFTEEN: &str = "xkq wvuz xkq wv";
const ALONE: PasswordRule = PasswordRule::TooShort { min_chars: 15 };
const BESIDE: PasswordRule = PasswordRule::TooShort { min_chars: 8 };

fn world() -> World {
    World::with(|options| options.keyring(keys(&[OLD])).passwords(PasswordPolicy::nist()))
}

/// A call by which a user of that id gets a new password.
type Setter = fn(&Store, UserId, &str, Option<FactorCode>) -> Result<(), Error>;

fn setters() -> [Setter; 3] {
    [
        |store, user, new, _| store.users().set_password(user, new.into()),
        |store, user, new, _| {
            let issued = store.one_time_tokens().issue(user, NewOneTimeToken::password_reset())?;
            let (token, keep) = (issued.token.expose(), RevokeApiKeys::Keep);
            let reset = store.one_time_tokens().reset_password(token, new.into(), keep)?;
            assert!(reset.valid().is_ok());
            Ok(())
        },
        |store, user, new, code| {
            let issued =
                store.one_time_tokens().issue(user, NewOneTimeToken::temporary_password())?;
            let name = store.users().find(user)?.unwrap().username;
            let on = device(&format!("desk-of-{name}"));
            let login = LoginRequest::new(name, issued.token.expose().into(), on);
            let login = login.new_password(new.into());
            let login = code.into_iter().fold(login, LoginRequest::code);
            match store.log_in(login)?.granted() {
                Ok(reply) => assert_eq!(reply.password_advice, None),
                Err(gatepost::LoginRefusal::PasswordRejected(rule)) => {
                    return Err(store
                        .users()
                        .set_password(user, new.into())
                        .inspect_err(|error| assert_eq!(error.password_rule(), Some(rule)))
                        .unwrap_err());
                }
                Err(other) => panic!("{other:?}"),
            }
            Ok(())
        },
    ]
}

#[test]
fn a_password_alone_has_fifteen_characters_and_one_beside_a_factor_eight() {
    let world = world();
    let ben = world.person("ben").id;
    let ada = Enrolled::new(&world, "ada");
    for set in setters() {
        let code = || Some(ada.code(&world));
        let short = set(&world.store, ben, FOURTEEN, None).unwrap_err();
        assert_eq!(short.password_rule(), Some(ALONE));
        set(&world.store, ben, FIFTEEN, None).unwrap();
        let short = set(&world.store, ada.user, &EIGHT[1..], code()).unwrap_err();
        assert_eq!(short.password_rule(), Some(BESIDE));
        set(&world.store, ada.user, EIGHT, code()).unwrap();
    }
}

#[test]
fn a_user_changes_to_eight_characters_beside_a_factor() {
    let world = world();
    let ada = Enrolled::new(&world, "ada");
    let (on, with) = (device(&ada.on), Reauthentication::code(ada.code(&world)));
    let proved = world.store.prove((&ada.session.token, &on), with).unwrap();
    let token = proved.granted().unwrap().session.token;
    let change = |new: &str| {
        let change = world.store.change_password((&token, &on), PASSWORD.into(), new.into());
        change.unwrap().granted()
    };
    let refused = change(&EIGHT[1..]).unwrap_err();
    assert_eq!(refused, gatepost::LoginRefusal::PasswordRejected(BESIDE));
    assert!(change(EIGHT).is_ok());
}

#[test]
fn a_login_says_that_the_password_is_too_short_once_the_factor_is_gone_and_locks_no_one_out() {
    let world = world();
    let ada = Enrolled::new(&world, "ada");
    world.store.users().set_password(ada.user, EIGHT.into()).unwrap();
    let login = LoginRequest::new("ada", EIGHT.into(), device("desk")).code(ada.code(&world));
    assert_eq!(world.ask(login).unwrap().password_advice, None);
    world.store.second_factors().reset(ada.user).unwrap();
    for _ in 0..2 {
        let reply = world.log_in("ada", EIGHT, "desk").unwrap();
        assert_eq!(reply.password_advice, Some(ALONE));
        assert!(world.passes(&reply.session, "desk"));
    }
    let set = world.store.users().set_password(ada.user, FOURTEEN.into()).unwrap_err();
    assert_eq!(set.password_rule(), Some(ALONE));
    world.store.users().set_password(ada.user, FIFTEEN.into()).unwrap();
    assert_eq!(world.log_in("ada", FIFTEEN, "desk").unwrap().password_advice, None);
}
