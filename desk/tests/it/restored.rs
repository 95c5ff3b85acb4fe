//! What a seat answers when the store is restored under it, and when its device is forgotten.

use std::path::PathBuf;

use gatepost::sessions::Reauthentication;
use gatepost::{ErrorKind, LoginRefusal, Store};
use gatepost_desk::{DeskError, Seat, SeatState};

use crate::world::{World, create, password};

fn file(world: &World) -> PathBuf {
    world.desk.folder().path().join("auth.db")
}

/// The file of a backup, beside the folder.
fn copy(world: &World) -> PathBuf {
    world.desk.folder().path().with_file_name("copy.db")
}

/// The session is over for that seat, its token is deleted, and its user may sign in again.
#[track_caller]
fn check_ended(world: &World, seat: &Seat) {
    assert_eq!(seat.state().unwrap(), SeatState::Ended);
    assert!(matches!(seat.may("reports.read"), Err(DeskError::Ended)));
    let with = Reauthentication::password(password("ada"));
    assert!(matches!(seat.unlock(with), Err(DeskError::Ended)));
    assert_eq!(world.vault.token(), None);
    assert!(world.desk.resume().unwrap().is_none());
    assert_eq!(world.seat("ada").state().unwrap(), SeatState::Open);
}

#[test]
fn a_restore_under_a_seat_ends_it() {
    for is_locked in [false, true] {
        let world = World::new();
        let seat = world.seat("ada");
        world.desk.store().backup(copy(&world), |_| ()).unwrap();
        create(&world.desk, "cleo");
        if is_locked {
            seat.lock().unwrap();
        }
        Store::restore(copy(&world), file(&world), world.options.clone()).unwrap();
        check_ended(&world, &seat);
        let since = world.desk.sign_in("cleo", password("cleo")).unwrap().granted().unwrap_err();
        assert_eq!(since.refusal(), LoginRefusal::InvalidCredentials, "created since the backup");
    }
}

#[test]
fn a_copy_is_taken_in_between_two_starts_and_the_next_one_asks_for_the_password() {
    let world = World::new();
    let seat = world.seat("ada");
    let adopt = || Store::adopt_restored(file(&world), world.options.clone());
    assert_eq!(adopt().unwrap_err().kind(), ErrorKind::Misuse, "the program is open");
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    world.desk.close().unwrap();
    std::fs::copy(file(&world), copy(&world)).unwrap();
    std::fs::rename(copy(&world), file(&world)).unwrap();
    assert_eq!(adopt().unwrap().sessions_revoked, 1);

    let next = world.again();
    assert!(next.resume().unwrap().is_none());
    assert_eq!(world.vault.token(), None);
    assert_eq!(crate::world::seat(&next, "ada").state().unwrap(), SeatState::Open);
}

#[test]
fn a_file_that_is_replaced_under_a_seat_is_an_error_and_keeps_the_token() {
    let world = World::new();
    let seat = world.seat("ada");
    let token = world.vault.token();
    std::fs::copy(file(&world), copy(&world)).unwrap();
    std::fs::rename(copy(&world), file(&world)).unwrap();
    for answer in [seat.sign_out(), seat.state().map(drop), seat.profile().map(drop)] {
        let Err(DeskError::Store(error)) = answer else { panic!("{answer:?}") };
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    assert_eq!(world.vault.token(), token);
}

#[test]
fn a_device_that_is_forgotten_ends_its_seat_and_stays_the_device_of_the_machine() {
    for is_locked in [false, true] {
        let world = World::new();
        let seat = world.seat("ada");
        let user = seat.profile().unwrap().user.id;
        let path = world.desk.folder().path().join("device");
        let device = std::fs::read_to_string(&path).unwrap();
        if is_locked {
            seat.lock().unwrap();
        }
        let devices = world.desk.store().devices();
        let handle = devices.list(user).unwrap()[0].handle.clone();
        assert!(devices.forget_listed(user, &handle).unwrap());
        check_ended(&world, &seat);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), device);
        assert_eq!(devices.list(user).unwrap()[0].handle, handle);
    }
}
