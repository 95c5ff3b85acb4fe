//! The next start: signed in, or asked to sign in.

use gatepost::sessions::Reauthentication;
use gatepost_desk::{Desk, DeskError, Folder, Saved, Seat, SeatState, SignInRequest, VaultKind};

use crate::world::{APP, World, password};

#[test]
fn the_next_start_goes_on_with_the_session() {
    let world = World::new();
    let session = world.seat("ada").session();
    let seat = world.restart().resume().unwrap().unwrap();
    assert_eq!((seat.username(), seat.session()), ("ada".to_owned(), session));
    assert!(matches!(seat.saved(), Saved::Yes(VaultKind::Other)));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

#[test]
fn a_refusal_deletes_the_saved_token() {
    let world = World::new();
    let user = world.seat("ada").profile().unwrap().user.id;
    assert!(world.vault.token().is_some());
    world.desk.store().sessions().revoke_all(user).unwrap();
    assert!(world.desk.resume().unwrap().is_none());
    assert_eq!(world.vault.token(), None);
}

#[test]
fn an_error_keeps_the_saved_token() {
    let world = World::new();
    drop(world.seat("ada"));
    let token = world.vault.token();
    world.vault.set_locked(true);
    assert!(matches!(world.desk.resume(), Err(DeskError::Vault(_))));
    world.vault.set_locked(false);
    world.desk.close().unwrap();
    assert!(matches!(world.desk.resume(), Err(DeskError::Store(_))));
    assert_eq!(world.vault.token(), token);
    assert!(world.again().resume().unwrap().is_some());
}

#[test]
fn what_is_no_token_of_a_session_is_deleted() {
    let world = World::new();
    let user = world.seat("ada").profile().unwrap().user.id;
    let key = world.desk.store().api_keys().issue(user, gatepost::sessions::NewApiKey::new());
    let key = key.unwrap().key.expose().to_owned();
    for text in ["", "gps_", "\u{0}", &"x".repeat(100_000), &key] {
        drop(world.seat("ada"));
        world.vault.put(text);
        assert!(world.desk.resume().unwrap().is_none(), "{text:?}");
        assert_eq!(world.vault.token(), None, "{text:?}");
    }
}

#[test]
fn a_user_who_is_forgotten_at_exit_is_asked_again() {
    let world = World::new();
    let bob = world.seat("bob");
    let request = SignInRequest::new("ada", password("ada")).forget_at_exit();
    let seat = world.desk.sign_in_with(request).unwrap().granted().unwrap();
    assert_eq!(world.vault.token(), None, "the token of the user before is deleted");
    assert!(matches!(seat.saved(), Saved::NotWanted));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    assert_eq!(bob.state().unwrap(), SeatState::Ended);
    assert!(world.restart().resume().unwrap().is_none());
}

#[test]
fn a_remembered_user_stays_signed_in_as_long_as_asked() {
    let world = World::new();
    let day = std::time::Duration::from_secs(86_400);
    let request = SignInRequest::new("ada", password("ada")).remember_for(30 * day);
    drop(world.desk.sign_in_with(request).unwrap().granted().unwrap());
    world.clock.advance(29 * day);
    assert!(world.desk.resume().unwrap().is_some());
    world.clock.advance(day);
    assert!(world.desk.resume().unwrap().is_none());
    drop(world.seat("ada"));
    world.clock.advance(day);
    assert!(world.desk.resume().unwrap().is_none(), "24 h by the policy");
}

/// A kill between the store and the vault leaves the token that was saved before.
#[test]
fn a_kill_between_the_store_and_the_vault_asks_for_the_password() {
    type Step = fn(&World, &Seat);
    let steps: [(&str, Step); 3] = [
        ("switch", |world, _| drop(world.seat("bob"))),
        ("unlock", |_, seat| {
            let with = Reauthentication::password(password("ada"));
            seat.unlock(with).unwrap().done().unwrap();
        }),
        ("change", |_, seat| {
            seat.change_password(password("ada"), password("new")).unwrap().done().unwrap();
        }),
    ];
    for (name, step) in steps {
        let world = World::new();
        let seat = world.seat("ada");
        let before = world.vault.token().unwrap();
        step(&world, &seat);
        world.vault.put(&before);
        let next = world.restart();
        assert!(next.resume().unwrap().is_none(), "{name}");
        assert_eq!(world.vault.token(), None, "{name}");
        assert_eq!(crate::world::seat(&next, "bob").state().unwrap(), SeatState::Open, "{name}");
    }
}

#[test]
fn a_lost_token_locks_no_one_out() {
    let world = World::new();
    let ada = world.seat("ada");
    world.vault.put("lost");
    assert!(world.desk.resume().unwrap().is_none());
    assert_eq!(ada.state().unwrap(), SeatState::Open, "only its token was lost");
    drop(world.seat("bob"));
    assert_eq!(ada.state().unwrap(), SeatState::Ended);
}

#[test]
fn a_folder_without_users_is_new_once() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::at(directory.path()).unwrap();
    let desk = Desk::builder(APP).folder(folder).options(crate::world::options());
    let desk = desk.open().unwrap();
    assert!(desk.is_new().unwrap());
    let error = desk.first_administrator("ada", "short").unwrap_err();
    let DeskError::Store(error) = error else { panic!("{error:?}") };
    assert!(error.password_rule().is_some());
    assert!(desk.is_new().unwrap(), "a refused password creates no user");

    let ada = desk.first_administrator("ada", password("ada")).unwrap();
    assert_eq!(ada.privileges, ["admin"]);
    assert!(!desk.is_new().unwrap());
    let second = desk.first_administrator("bob", password("bob"));
    assert!(matches!(second, Err(DeskError::NotEmpty)));
    assert!(
        desk.sign_in("ada", password("ada")).unwrap().granted().unwrap().may("admin").unwrap()
    );
    // No one who sits there later becomes the administrator of what is left.
    desk.store().users().delete(ada.id).unwrap();
    assert!(!desk.is_new().unwrap());
    assert!(matches!(desk.first_administrator("eve", password("eve")), Err(DeskError::NotEmpty)));
}
