//! The idle lock: what it hides, what it keeps, and who opens it.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use gatepost::LoginRefusal;
use gatepost::sessions::Reauthentication;
use gatepost_desk::{DeskError, Saved, Seat, SeatState, SignInRequest, VaultError};

use crate::world::{IDLE, World, password, seat};

fn right() -> Reauthentication {
    Reauthentication::password(password("ada"))
}

fn unlock(seat: &Seat) {
    seat.unlock(right()).unwrap().done().unwrap();
}

#[test]
fn a_locked_seat_shows_nothing_and_keeps_its_session() {
    let world = World::new();
    let seat = world.seat("ada");
    let session = seat.session();
    seat.lock().unwrap();
    seat.lock().unwrap();
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    let errors = [
        seat.may("reports.read").unwrap_err(),
        seat.profile().unwrap_err(),
        seat.store().unwrap_err(),
        seat.renew().unwrap_err(),
        seat.sessions().unwrap_err(),
        seat.revoke(session).unwrap_err(),
        seat.revoke_others().unwrap_err(),
        seat.change_password(password("ada"), password("new")).unwrap_err(),
        seat.second_factor().unwrap_err(),
        seat.enrol_second_factor().unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, DeskError::Locked), "{error:?}");
    }
    assert_eq!(seat.username(), "ada", "for the lock screen");
    assert!(!seat.unlocks_by_code());

    unlock(&seat);
    assert_eq!((seat.state().unwrap(), seat.session()), (SeatState::Open, session));
    assert!(seat.may("reports.read").unwrap());
}

#[test]
fn a_restart_does_not_skip_the_lock() {
    let world = World::new();
    let seat = world.seat("ada");
    seat.lock().unwrap();
    assert_eq!(world.vault.token(), None);
    assert!(matches!(seat.saved(), Saved::NotWanted));
    unlock(&seat);
    assert!(matches!(seat.saved(), Saved::Yes(_)));
    assert_eq!(world.restart().resume().unwrap().unwrap().session(), seat.session());
}

#[test]
fn a_wrong_password_leaves_the_seat_locked_and_has_a_sentence_of_its_own() {
    let world = World::new();
    let seat = world.seat("ada");
    seat.lock().unwrap();
    let why = seat.unlock(Reauthentication::password(password("bob"))).unwrap().done();
    let why = why.unwrap_err();
    assert_eq!(why.refusal(), LoginRefusal::InvalidCredentials);
    assert!(!why.message().contains("username"), "{why}");
    assert_eq!((seat.state().unwrap(), world.vault.token()), (SeatState::Locked, None));
    for _ in 0..9 {
        let _ = seat.unlock(Reauthentication::password("wrong")).unwrap();
    }
    let why = seat.unlock(right()).unwrap().done().unwrap_err();
    world.clock.advance(why.retry_after().unwrap());
    unlock(&seat);
}

#[test]
fn an_idle_seat_locks_itself_at_the_exact_time() {
    let world = World::new();
    let seat = world.seat("ada");
    let moment = Duration::from_millis(1);
    world.clock.advance(IDLE - moment);
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    seat.touch();
    world.clock.advance(IDLE - moment);
    assert!(seat.may("reports.read").unwrap(), "a use of the session is no touch");
    world.clock.advance(moment);
    assert!(matches!(seat.may("reports.read"), Err(DeskError::Locked)));
    seat.touch();
    assert_eq!(seat.state().unwrap(), SeatState::Locked, "a touch opens nothing");
    assert_eq!(world.vault.token(), None);
    unlock(&seat);
    world.clock.advance(IDLE - moment);
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

#[test]
fn a_touch_that_comes_too_late_locks() {
    let world = World::new();
    let seat = world.seat("ada");
    world.clock.advance(IDLE); // The machine was suspended.
    seat.touch();
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
}

#[test]
fn a_clock_that_goes_back_begins_the_time_again() {
    let world = World::new();
    let seat = world.seat("ada");
    world.clock.go_back(Duration::from_secs(60));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    world.clock.advance(IDLE);
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
}

#[test]
fn a_vault_that_fails_locks_all_the_same_and_is_asked_again() {
    let world = World::new();
    let seat = world.seat("ada");
    world.vault.set_locked(true);
    assert!(matches!(seat.lock(), Err(DeskError::Vault(_))));
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    world.vault.set_locked(false);
    assert!(world.vault.token().is_some());
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    assert_eq!(world.vault.token(), None);
}

#[test]
fn an_unlocked_seat_that_cannot_be_saved_says_so() {
    let world = World::new();
    let seat = world.seat("ada");
    seat.lock().unwrap();
    world.vault.set_locked(true);
    unlock(&seat);
    assert!(matches!(seat.saved(), Saved::Failed(_)));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

#[test]
fn a_seat_that_is_not_kept_is_not_saved_by_an_unlock() {
    let world = World::new();
    let request = SignInRequest::new("ada", password("ada")).forget_at_exit();
    let seat = world.desk.sign_in_with(request).unwrap().granted().unwrap();
    seat.lock().unwrap();
    unlock(&seat);
    assert_eq!(world.vault.token(), None);
}

#[test]
fn another_user_takes_a_locked_seat_over() {
    let world = World::new();
    let ada = world.seat("ada");
    ada.lock().unwrap();
    let refused = world.desk.sign_in("bob", "wrong").unwrap();
    assert!(refused.granted().is_err());
    assert_eq!(ada.state().unwrap(), SeatState::Locked, "a refusal changes nothing");
    let bob = world.seat("bob");
    assert!(matches!(ada.unlock(right()), Err(DeskError::Ended)));
    assert!(matches!(ada.lock(), Err(DeskError::Ended)));
    assert_eq!(ada.state().unwrap(), SeatState::Ended);
    assert_eq!(world.restart().resume().unwrap().unwrap().session(), bob.session());
}

#[test]
fn a_locked_seat_is_signed_out_without_a_password() {
    let world = World::new();
    let seat = world.seat("ada");
    seat.lock().unwrap();
    seat.sign_out().unwrap();
    assert_eq!(seat.state().unwrap(), SeatState::Ended);
    assert!(matches!(seat.unlock(right()), Err(DeskError::Ended)));
}

#[test]
fn a_session_that_is_revoked_while_locked_is_over() {
    let world = World::new();
    let seat = world.seat("ada");
    seat.lock().unwrap();
    world.desk.store().sessions().revoke(seat.session()).unwrap();
    assert!(matches!(seat.unlock(right()), Err(DeskError::Ended)));
}

#[test]
fn a_state_is_no_use_of_the_session() {
    let minute = Duration::from_secs(60);
    let policy = gatepost::policy::SessionPolicy::desktop().inactivity_timeout(4 * minute);
    let world = World::with(|options| options.sessions(policy));
    let seat = world.seat("ada");
    for _ in 0..3 {
        world.clock.advance(minute);
        assert_eq!(seat.state().unwrap(), SeatState::Open);
    }
    world.clock.advance(minute);
    assert_eq!(seat.state().unwrap(), SeatState::Ended);
}

#[test]
fn a_seat_that_locks_during_a_change_of_the_password_stays_locked() {
    let world = World::new();
    let seat = world.seat("ada");
    let (clock, clone) = (world.clock.clone(), seat.clone());
    world.vault.at_next_save(move || {
        clock.advance(IDLE);
        assert!(matches!(clone.may("reports.read"), Err(DeskError::Locked)));
    });
    seat.change_password(password("ada"), password("new")).unwrap().done().unwrap();
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    assert_eq!(world.vault.token(), None);
    let with = Reauthentication::password(password("new"));
    seat.unlock(with).unwrap().done().unwrap();
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

/// Locks the seat by another thread at the moment of the next save, which has the turn.
fn lock_at_next_save(world: &World, seat: &Seat) -> Receiver<Result<(), DeskError>> {
    let (clone, (answer, locked)) = (seat.clone(), channel());
    world.vault.at_next_save(move || {
        let other = clone.clone();
        std::thread::spawn(move || answer.send(other.lock()).unwrap());
        while clone.profile().is_ok() {
            std::thread::yield_now();
        }
    });
    locked
}

#[test]
fn a_lock_during_a_change_of_the_password_deletes_the_new_token() {
    let world = World::new();
    let seat = world.seat("ada");
    let locked = lock_at_next_save(&world, &seat);
    seat.change_password(password("ada"), password("new")).unwrap().done().unwrap();
    locked.recv().unwrap().unwrap();
    assert_eq!(world.vault.token(), None);
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
}

#[test]
fn a_lock_during_a_proof_on_an_open_seat_stays() {
    let world = World::new();
    let seat = world.seat("ada");
    let locked = lock_at_next_save(&world, &seat);
    unlock(&seat);
    locked.recv().unwrap().unwrap();
    assert_eq!(world.vault.token(), None);
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    unlock(&seat);
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

#[test]
fn an_unlock_opens_a_seat_that_no_call_has_locked_yet() {
    let world = World::new();
    let seat = world.seat("ada");
    world.clock.advance(IDLE);
    let clone = seat.clone();
    world.vault.at_next_save(move || {
        assert!(matches!(clone.may("reports.read"), Err(DeskError::Locked)));
    });
    unlock(&seat);
    assert_eq!(seat.state().unwrap(), SeatState::Open);
}

#[test]
fn a_lock_deletes_the_token_that_another_instance_gave_the_session() {
    let world = World::new();
    let (one, two) = (world.seat("ada"), world.again().resume().unwrap().unwrap());
    unlock(&two);
    drop(two);
    one.lock().unwrap();
    assert_eq!(world.vault.token(), None);
    assert!(world.restart().resume().unwrap().is_none());
}

/// Once an unlock of such a seat was reported as done, and the seat stayed over.
#[test]
fn a_seat_whose_token_another_instance_deleted_is_over_for_every_call() {
    type Call = fn(&Seat) -> Result<(), DeskError>;
    let calls: [(&str, Call); 7] = [
        ("unlock", |seat| seat.unlock(right()).map(drop)),
        ("renew", |seat| seat.renew().map(drop)),
        ("change_password", |seat| {
            seat.change_password(password("ada"), password("new")).map(drop)
        }),
        ("enrol", |seat| seat.enrol_second_factor().map(drop)),
        ("confirm", |seat| seat.confirm_second_factor("123456", "654321").map(drop)),
        ("remove", |seat| seat.remove_second_factor(password("ada"), "123456").map(drop)),
        ("reissue", |seat| seat.reissue_recovery_codes(password("ada"), "123456").map(drop)),
    ];
    for (name, call) in calls {
        let world = World::new();
        let (one, two) = (world.seat("ada"), world.again().resume().unwrap().unwrap());
        one.lock().unwrap();
        unlock(&one);
        one.lock().unwrap();
        assert!(matches!(call(&two), Err(DeskError::Ended)), "{name}");
        // The token that is saved again is valid, and of that session.
        unlock(&one);
        let token = world.vault.token().unwrap();
        for (again, call) in calls {
            let answer = call(&two);
            assert!(matches!(answer, Err(DeskError::Ended)), "{name}, {again}: {answer:?}");
        }
        assert_eq!(two.state().unwrap(), SeatState::Ended, "{name}");
        assert_eq!(one.state().unwrap(), SeatState::Open, "{name}");
        assert_eq!(world.vault.token().unwrap(), token, "{name}");
    }
}

#[test]
fn a_lock_leaves_the_token_of_another_session() {
    let world = World::new();
    let ada = world.seat("ada");
    let bob = seat(&world.again(), "bob");
    let token = world.vault.token();
    let _ = ada.lock();
    assert_eq!(world.vault.token(), token);
    assert_eq!(bob.state().unwrap(), SeatState::Open);
}

#[test]
fn a_lock_deletes_a_token_of_which_no_one_knows_whether_it_is_saved() {
    let world = World::new();
    world.vault.set_silent(true);
    let seat = world.seat("ada");
    assert!(matches!(seat.saved(), Saved::Failed(VaultError::NoAnswer)));
    world.vault.set_silent(false);
    seat.lock().unwrap();
    assert_eq!(world.vault.token(), None);
}

#[test]
fn the_window_asks_the_vault_at_the_lock_and_at_the_end_alone() {
    let world = World::new();
    let seat = world.seat("ada");
    world.vault.take_calls();
    seat.may("reports.read").unwrap();
    seat.state().unwrap();
    world.clock.advance(IDLE);
    seat.touch();
    assert!(matches!(seat.may("reports.read"), Err(DeskError::Locked)));
    assert_eq!(world.vault.take_calls(), 0);

    // A vault that does not answer is asked once in half a minute.
    world.vault.set_locked(true);
    for _ in 0..10 {
        assert_eq!(seat.state().unwrap(), SeatState::Locked);
    }
    assert_eq!(world.vault.take_calls(), 1);
    world.clock.advance(Duration::from_secs(30));
    seat.state().unwrap();
    assert_eq!(world.vault.take_calls(), 1);
    world.vault.set_locked(false);
    world.clock.go_back(Duration::from_secs(3_600));
    seat.state().unwrap();
    assert_eq!((world.vault.token(), world.vault.take_calls()), (None, 2));

    unlock(&seat);
    world.desk.store().sessions().revoke(seat.session()).unwrap();
    world.vault.take_calls();
    assert!(matches!(seat.may("reports.read"), Err(DeskError::Ended)));
    assert_eq!(world.vault.take_calls(), 0);
    for _ in 0..10 {
        assert_eq!(seat.state().unwrap(), SeatState::Ended);
    }
    assert_eq!((world.vault.token(), world.vault.take_calls()), (None, 2));
}
