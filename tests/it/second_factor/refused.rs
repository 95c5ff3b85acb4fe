//! Calls that are refused before they are evaluated, or at the last moment.

use gatepost::second_factors::NewTotp;
use gatepost::sessions::Reauthentication;
use gatepost::{ErrorKind, LoginRefusal, LoginRequest, OpenedSession, Store};

use super::{Enrolled, begun, confirm, enrol, info};
use crate::keyring::{OLD, with_keys};
use crate::world::{PASSWORD, World, device};

const CHARGED: &str = "SELECT coalesce(sum(failures + known_failures), 0) FROM throttle";

#[test]
fn a_password_or_code_that_is_too_long_is_invalid_and_counts_as_no_attempt() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let (password, code) = ("x".repeat(4_097), || ada.code(&world));
    let before = world.store.status().writes;
    world.refuses(ErrorKind::Invalid, |store| ada.remove(store, &password, code()));
    world.refuses(ErrorKind::Invalid, |store| ada.reissue(store, &password, code()));
    world.refuses(ErrorKind::Invalid, |store| {
        let presented = (&ada.session.token, &device(&ada.on));
        store.second_factors().replace(presented, password.as_str().into(), code(), NewTotp::new())
    });
    assert_eq!(world.store.status().writes, before, "nothing was charged and taken back");
}

#[test]
fn a_second_code_that_is_too_long_is_invalid() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    let (pair, long) = (|| begun.pair(&world), || "1".repeat(65).into());
    let ([first, _], [_, second]) = (pair(), pair());
    for pair in [[first, long()], [long(), second]] {
        world.refuses(ErrorKind::Invalid, |store| confirm(store, &begun.session, "till-1", pair));
    }
    assert_eq!(world.user(begun.ada).failed_attempts, 0);
}

/// Another process deletes the session while a call in it waits with its write.
#[track_caller]
fn ends<T: Send + std::fmt::Debug>(
    world: &World,
    call: impl FnOnce(&Store) -> Result<T, LoginRefusal> + Send,
    session: &OpenedSession,
) {
    let id: String = session.id.as_uuid().simple().to_string();
    let sql = format!("DELETE FROM session WHERE id = x'{id}'");
    let refused = world.while_it_waits(call, &sql).unwrap_err();
    assert_eq!(refused, LoginRefusal::SessionNotLive);
}

#[test]
fn a_session_that_ends_before_the_write_enrols_and_confirms_nothing() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    let session = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
    ends(&world, |store| enrol(store, &session, "till-2", NewTotp::new()).unwrap(), &session);
    ends(&world, |_| begun.confirm(&world).unwrap(), &begun.session);
    assert_eq!(info(&world, begun.ada), None);
}

#[test]
fn an_administrator_whose_session_ends_before_the_write_resets_nothing() {
    let world = with_keys(&[OLD]);
    let ben = Enrolled::new(&world, "ben");
    let root = world.person("root").id;
    world.store.users().set_privileges(root, &["admin"]).unwrap();
    let session = world.log_in("root", PASSWORD, "desk").unwrap().session;
    let reset = |store: &Store| {
        let presented = (&session.token, &device("desk"));
        store.second_factors().reset_by(presented, ben.user).unwrap().done()
    };
    ends(&world, reset, &session);
    assert!(info(&world, ben.user).is_some());
    assert!(world.passes(&ben.session, &ben.on));
}

/// The level rises while the password is proved: it would be repeated by the password alone.
#[test]
fn a_password_proves_nothing_in_a_session_that_rises_above_aal1_meanwhile() {
    let world = World::new();
    world.person("ada");
    let session = world.log_in("ada", PASSWORD, "till").unwrap().session;
    let prove = |store: &Store| {
        let with = Reauthentication::password(PASSWORD);
        store.prove((&session.token, &device("till")), with).unwrap().granted()
    };
    let refused = world.while_it_waits(prove, "UPDATE session SET aal = 2").unwrap_err();
    assert_eq!(refused, LoginRefusal::MfaCodeRequired);
    assert_eq!(world.count(CHARGED), 0);
}

#[test]
fn a_code_beside_a_wrong_password_of_a_user_without_a_factor_is_a_failed_attempt() {
    let world = World::new();
    let ada = world.person("ada").id;
    let request = LoginRequest::new("ada", "a guess".into(), device("till")).code("123456");
    assert_eq!(world.ask(request).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(world.user(ada).failed_attempts, 1);
}
