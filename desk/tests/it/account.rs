//! What a signed-in user does with the account, and what every call answers once the session is
//! over.

use std::time::Duration;

use gatepost::audit::AuditFilter;
use gatepost::configuration::Configuration;
use gatepost::sessions::{OpenSession, Reauthentication};
use gatepost::{Actor, DeviceId, ErrorKind, LoginRefusal, Subtree};
use gatepost_desk::{DeskError, Seat, SeatState};

use crate::world::{World, password};

fn flag(configuration: &Configuration) -> bool {
    configuration.flag("autoDeleteEnabled").unwrap()
}

#[test]
fn the_configuration_is_what_the_seat_last_read() {
    let world = World::new();
    let settings = world.desk.store().configuration();
    settings.set(Subtree::Store, "autoDeleteEnabled", "False").unwrap();
    settings.set_public("autoDeleteEnabled", true).unwrap();
    let seat = world.seat("ada");
    assert!(!flag(&seat.configuration()));
    settings.set(Subtree::Store, "autoDeleteEnabled", "True").unwrap();
    assert!(!flag(&seat.configuration()));
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    assert!(flag(&seat.configuration()));
}

#[test]
fn privileges_are_those_of_the_file_now() {
    let world = World::new();
    let seat = world.seat("ada");
    assert!(seat.may("reports.read").unwrap());
    assert!(!seat.may("reports.write").unwrap());
    let user = seat.profile().unwrap().user.id;
    world.desk.store().users().set_privileges(user, &["reports.write"]).unwrap();
    assert!(seat.may("reports.write").unwrap());
    assert!(!seat.may("reports.read").unwrap());
    let DeskError::Store(error) = seat.may("Reports").unwrap_err() else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn what_the_user_does_names_the_user() {
    let world = World::new();
    let seat = world.seat("ada");
    let user = seat.profile().unwrap().user.id;
    seat.store().unwrap().branches().create("Kiel", None).unwrap();
    let newest = world.desk.store().audit().latest(1, &AuditFilter::new()).unwrap();
    assert_eq!(newest[0].actor, Actor::Session { user, session: seat.session() });
}

#[test]
fn a_user_sees_and_revokes_sessions_of_the_account() {
    let world = World::new();
    let seat = world.seat("ada");
    let user = seat.profile().unwrap().user.id;
    let open = || {
        let device = DeviceId::random().unwrap();
        let opened = world.desk.store().sessions().open(OpenSession::new(user, device));
        opened.unwrap().granted().unwrap().session.id
    };
    let (one, two) = (open(), open());
    let ids = |seat: &Seat| {
        let mut ids: Vec<_> = seat.sessions().unwrap().iter().map(|info| info.id).collect();
        ids.sort();
        ids
    };
    let mut all = vec![seat.session(), one, two];
    all.sort();
    assert_eq!(ids(&seat), all);
    assert_eq!(seat.revoke(one).unwrap(), gatepost::Ended::Now);
    assert_eq!(seat.revoke(one).unwrap(), gatepost::Ended::Before);
    open();
    seat.revoke_others().unwrap();
    assert_eq!(ids(&seat), [seat.session()]);
    assert_eq!(seat.revoke(seat.session()).unwrap(), gatepost::Ended::Now);
    assert_eq!((seat.state().unwrap(), world.vault.token()), (SeatState::Ended, None));
}

#[test]
fn a_changed_password_keeps_the_seat_and_saves_its_new_token() {
    let world = World::new();
    let seat = world.seat("ada");
    let before = world.vault.token();
    let wrong = seat.change_password("wrong", password("new")).unwrap().done().unwrap_err();
    assert_eq!(wrong.refusal(), LoginRefusal::InvalidCredentials);
    let short = seat.change_password(password("ada"), "short").unwrap().done().unwrap_err();
    assert!(matches!(short.refusal(), LoginRefusal::PasswordRejected(_)));
    assert_eq!(world.vault.token(), before);

    seat.change_password(password("ada"), password("new")).unwrap().done().unwrap();
    assert_ne!(world.vault.token(), before);
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    assert_eq!(world.desk.resume().unwrap().unwrap().session(), seat.session());
    assert!(world.desk.sign_in("ada", password("ada")).unwrap().granted().is_err());
}

#[test]
fn a_seat_is_renewed_within_the_policy() {
    let world = World::new();
    let seat = world.seat("ada");
    let hour = Duration::from_secs(3_600);
    let first = seat.sessions().unwrap()[0].expires_at;
    world.clock.advance(2 * hour);
    assert_eq!(seat.state().unwrap(), SeatState::Locked);
    seat.unlock(Reauthentication::password(password("ada"))).unwrap().done().unwrap();
    assert_eq!(seat.renew().unwrap(), first + 2 * hour);
}

type End = fn(&World, &Seat);

/// Each way in which a session ends elsewhere.
fn ends() -> Vec<(&'static str, End)> {
    vec![
        ("revoked", |world, seat| {
            world.desk.store().sessions().revoke(seat.session()).unwrap();
        }),
        ("taken over", |world, _| drop(world.seat("bob"))),
        ("signed out by another instance", |world, _| {
            world.again().resume().unwrap().unwrap().sign_out().unwrap();
        }),
        ("disabled", |world, _| {
            let user = world.desk.store().users().find_by_username("ada").unwrap().unwrap().id;
            let disabled = gatepost::directory::UserStatus::Disabled;
            world.desk.store().users().set_status(user, disabled).unwrap();
        }),
    ]
}

#[test]
fn every_call_of_a_seat_that_is_over_says_so_and_the_token_is_gone() {
    type Call = fn(&Seat) -> Result<(), DeskError>;
    let calls: [(&str, Call); 13] = [
        ("may", |seat| seat.may("reports.read").map(drop)),
        ("profile", |seat| seat.profile().map(drop)),
        ("store", |seat| seat.store().map(drop)),
        ("renew", |seat| seat.renew().map(drop)),
        ("sessions", |seat| seat.sessions().map(drop)),
        ("revoke", |seat| {
            let other = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
            seat.revoke(other).map(drop)
        }),
        ("revoke_others", |seat| seat.revoke_others()),
        ("change_password", |seat| seat.change_password(password("ada"), "x").map(drop)),
        ("second_factor", |seat| seat.second_factor().map(drop)),
        ("enrol", |seat| seat.enrol_second_factor().map(drop)),
        ("confirm", |seat| seat.confirm_second_factor("123456", "654321").map(drop)),
        ("unlock", |seat| seat.unlock(Reauthentication::password("x")).map(drop)),
        ("remove", |seat| seat.remove_second_factor(password("ada"), "123456").map(drop)),
    ];
    for (how, end) in ends() {
        let world = World::new();
        for (name, call) in calls {
            let _ = world.desk.resume().unwrap().map(|left| left.sign_out());
            let active = gatepost::directory::UserStatus::Active;
            let users = world.desk.store().users();
            let ada = users.find_by_username("ada").unwrap().unwrap().id;
            users.set_status(ada, active).unwrap();
            let seat = world.seat("ada");
            let own = world.vault.token();
            end(&world, &seat);
            let answer = call(&seat);
            assert!(matches!(answer, Err(DeskError::Ended)), "{name}, {how}: {answer:?}");
            // `may` is for the thread of a window, and leaves the vault to `state`.
            assert!(name == "may" || world.vault.token() != own, "{name}, {how}");
            assert!(matches!(call(&seat), Err(DeskError::Ended)), "{name} again, {how}");
            assert_eq!(seat.state().unwrap(), SeatState::Ended, "{name}, {how}");
            assert_ne!(world.vault.token(), own, "{name}, {how}");
        }
    }
}

/// Once a session that had ended before was reported as ended now.
#[test]
fn a_seat_that_revokes_its_own_session_says_whether_it_had_ended_before() {
    for (how, end) in ends() {
        let world = World::new();
        let seat = world.seat("ada");
        end(&world, &seat);
        assert_eq!(seat.revoke(seat.session()).unwrap(), gatepost::Ended::Before, "{how}");
        assert_eq!(seat.state().unwrap(), SeatState::Ended, "{how}");
        assert!(matches!(seat.revoke(seat.session()), Err(DeskError::Ended)), "{how}");
    }
}

#[test]
fn an_error_is_no_end() {
    let world = World::new();
    let seat = world.seat("ada");
    world.desk.close().unwrap();
    assert!(matches!(seat.state(), Err(DeskError::Store(_))));
    assert!(matches!(seat.may("reports.read"), Err(DeskError::Store(_))));
    assert!(world.vault.token().is_some());
}
