//! A vault that fails is an answer, and never the loss of a session.

use gatepost_desk::{DeskError, Saved, SeatState, VaultError};

use crate::world::World;

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
