//! A vault that fails is an answer, and never the loss of a session.

use gatepost_desk::{Desk, DeskError, FileVault, Folder, Saved, SeatState, VaultError, VaultKind};

use crate::instance::Instance;
use crate::processes;
use crate::world::{APP, TestVault, World, create, options, seat};

#[test]
fn a_sign_in_that_cannot_be_saved_is_granted_and_says_so() {
    let world = World::new();
    world.vault.set_locked(true);
    let seat = world.seat("ada");
    assert!(matches!(seat.saved(), Saved::Failed(VaultError::Locked)));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    world.vault.set_locked(false);
    assert_eq!(world.vault.token(), None);
    assert!(world.restart().resume().unwrap().is_none());
}

#[test]
fn a_sign_out_needs_no_vault() {
    let world = World::new();
    let seat = world.seat("ada");
    world.vault.set_locked(true);
    seat.sign_out().unwrap();
    world.vault.set_locked(false);
    assert!(world.vault.token().is_some(), "the store refuses it");
    assert!(world.restart().resume().unwrap().is_none());
    assert_eq!(world.vault.token(), None);
}

#[test]
fn an_unlock_asks_the_vault_only_if_another_instance_changed_the_token() {
    let world = World::new();
    let (one, two) = (world.seat("ada"), world.desk.resume().unwrap().unwrap());
    let with = || gatepost::sessions::Reauthentication::password(crate::world::password("ada"));
    world.vault.set_locked(true);
    one.unlock(with()).unwrap().done().unwrap();
    assert!(matches!(two.unlock(with()), Err(DeskError::Vault(VaultError::Locked))));
    assert_eq!(two.state().unwrap(), SeatState::Open, "an error is no end");
}

#[test]
fn a_token_moves_to_another_vault_and_stays_where_it_is_while_that_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::at(directory.path().join("till")).unwrap();
    let vault = TestVault::default();
    let file = || FileVault::in_folder(folder.path().join("saved"));
    let builder = || Desk::builder(APP).folder(folder.clone()).options(options());
    let desk = builder().vault(file()).open().unwrap();
    create(&desk, "ada");
    assert!(matches!(seat(&desk, "ada").saved(), Saved::Yes(VaultKind::File)));
    drop(desk);

    vault.set_locked(true);
    let locked = builder().vault(vault.clone()).moving_from(file()).open();
    assert!(matches!(locked, Err(DeskError::Vault(VaultError::Locked))));
    vault.set_locked(false);
    assert_eq!(vault.token(), None);

    let desk = builder().vault(vault.clone()).moving_from(file()).open().unwrap();
    assert_eq!(desk.resume().unwrap().unwrap().username(), "ada");
    assert!(vault.token().is_some());
    drop(desk);
    let old = builder().vault(file()).open().unwrap();
    assert!(old.resume().unwrap().is_none());
}

/// The earlier version of the program ran again after the token was moved, or before.
#[test]
fn of_two_tokens_the_one_of_the_live_session_is_kept() {
    for last_is_old in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::at(directory.path().join("till")).unwrap();
        let (old, new) = (TestVault::default(), TestVault::default());
        let builder = || Desk::builder(APP).folder(folder.clone()).options(options());
        let moving = || builder().vault(new.clone()).moving_from(old.clone()).open();
        let (first, last) = if last_is_old { (&new, &old) } else { (&old, &new) };
        for (vault, user) in [(first, "ada"), (last, "bob")] {
            let desk = builder().vault(vault.clone()).open().unwrap();
            create(&desk, user);
            drop(seat(&desk, user));
        }
        let tokens = (old.token(), new.token());
        old.set_locked(true);
        assert!(matches!(moving(), Err(DeskError::Vault(VaultError::Locked))));
        old.set_locked(false);
        assert_eq!((old.token(), new.token()), tokens, "an error keeps both");

        let desk = moving().unwrap();
        let live = if last_is_old { tokens.0 } else { tokens.1 };
        assert_eq!((old.token(), new.token()), (None, live));
        assert_eq!(desk.resume().unwrap().unwrap().username(), "bob");
    }
}

#[test]
fn of_two_tokens_of_sessions_that_are_over_none_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::at(directory.path().join("till")).unwrap();
    let (old, new) = (TestVault::default(), TestVault::default());
    let builder = || Desk::builder(APP).folder(folder.clone()).options(options());
    for (vault, user) in [(&old, "ada"), (&new, "bob")] {
        let desk = builder().vault(vault.clone()).open().unwrap();
        let user = create(&desk, user);
        drop(seat(&desk, &user.username));
        desk.store().sessions().revoke_all(user.id).unwrap();
    }
    let desk = builder().vault(new.clone()).moving_from(old.clone()).open().unwrap();
    assert!(desk.resume().unwrap().is_none());
    assert_eq!((old.token(), new.token()), (None, None));
}

#[test]
fn a_call_that_a_silent_vault_did_not_answer_may_be_repeated() {
    let world = World::new();
    let seat = world.seat("ada");
    world.vault.set_silent(true);
    for answer in [world.desk.resume().map(drop), seat.lock()] {
        let error = answer.unwrap_err();
        assert!(matches!(error, DeskError::Vault(VaultError::NoAnswer)), "{error:?}");
        assert!(error.is_retryable());
    }
    world.vault.set_silent(false);
    assert_eq!(world.desk.resume().unwrap().unwrap().session(), seat.session());
    seat.lock().unwrap();
    assert_eq!(world.vault.token(), None);
}

/// A vault may follow its owner from one machine to the next, with all that is in it.
#[test]
fn one_vault_keeps_the_tokens_of_two_machines_apart() {
    let vault = TestVault::default();
    let directory = tempfile::tempdir().unwrap();
    let desks = ["ada", "bob"].map(|user| {
        let folder = Folder::at(directory.path().join(user)).unwrap();
        let builder = Desk::builder(APP).folder(folder).options(options());
        let desk = builder.vault(vault.clone()).open().unwrap();
        create(&desk, user);
        drop(seat(&desk, user));
        desk
    });
    let names = desks.map(|desk| desk.resume().unwrap().unwrap().username());
    assert_eq!(names, ["ada", "bob"]);
}

/// In a process that has no bus, so that no Secret Service is there.
#[test]
fn without_a_vault_of_the_program_no_file_has_the_token_and_an_absent_service_is_an_answer() {
    let has_service = cfg!(all(unix, not(target_vendor = "apple"), feature = "secret-service"));
    let (resumed, saved) = match has_service {
        true => ("error Vault(Unavailable)", "Failed(Unavailable)"),
        false => ("none", "Yes(Memory)"),
    };
    let directory = processes::folder();
    for _ in 0..2 {
        let mut start = Instance::start_closed(directory.path());
        assert_eq!(start.ask("open_default"), "open");
        assert_eq!(start.ask("resume"), resumed);
        assert_eq!(start.ask("sign_in ada"), "granted");
        assert_eq!(start.ask("saved"), saved);
        assert_eq!(start.ask("state"), "Open");
    }
    let till = std::fs::read_dir(directory.path().join("till")).unwrap();
    for name in till.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        let is_known = name.starts_with("auth.db") || ["device", "lock"].contains(&&*name);
        assert!(is_known, "{name}");
    }
}
