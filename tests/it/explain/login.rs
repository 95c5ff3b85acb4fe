//! The scenes of logins: what refuses a user, and the row behind it.

use gatepost::directory::UserStatus;
use gatepost::sessions::RevokeSessions;
use gatepost::status::{AuditEvidence, RefusalCause as Cause};
use gatepost::{LoginRefusal, LoginRequest, UserId};

use super::Scene;
use crate::pending_step::unsealed;
use crate::world::{DAY, PASSWORD, SECOND, World, device};

type Play = fn(&Scene);

/// What is done, the cause, and the event of the row; empty for none.
pub(super) const SCENES: &[(&str, Play, Cause, &str)] = &[
    ("nothing", |_| (), Cause::Accepted, ""),
    ("locked", |s| status(s, UserStatus::Locked), Cause::UserLocked, "user.locked"),
    ("disabled", |s| status(s, UserStatus::Disabled), Cause::UserDisabled, "user.disabled"),
    ("pending", |s| status(s, UserStatus::Pending), Cause::UserPending, "user.made_pending"),
    ("deleted", |s| s.acting().users().delete(s.ada).unwrap(), Cause::UserDeleted, "user.deleted"),
    (
        "erased",
        |s| {
            s.acting().users().delete(s.ada).unwrap();
            s.acting().users().erase(s.ada).map(drop).unwrap();
        },
        Cause::UserDeleted,
        "user.deleted",
    ),
    (
        "branch disabled",
        |s| {
            let york = s.store().branches().create("York", None).unwrap().id;
            s.store().users().move_to(s.ada, york).unwrap();
            s.acting().branches().set_active(york, false).unwrap();
        },
        Cause::BranchInactive,
        "branch.deactivated",
    ),
    (
        "organisation disabled",
        |s| {
            let north = s.store().organisations().create("Northern").unwrap().id;
            let york = s.store().branches().create("York", north).unwrap().id;
            s.store().users().move_to(s.ada, york).unwrap();
            s.acting().organisations().set_active(north, false).unwrap();
        },
        Cause::OrganisationInactive,
        "organisation.deactivated",
    ),
    ("five wrong passwords", guess, Cause::LockedOut, "login.refused"),
    (
        "compromised",
        |s| assert!(s.acting().users().mark_compromised(s.ada).unwrap()),
        Cause::PasswordCompromised,
        "password.marked_compromised",
    ),
    (
        "password removed",
        |s| assert!(s.acting().users().remove_password(s.ada).unwrap()),
        Cause::NoPassword,
        "password.removed",
    ),
    (
        "a change demanded",
        |s| {
            let users = s.acting();
            users.users().require_password_change(s.ada, RevokeSessions::Keep).unwrap();
        },
        Cause::NewPasswordRequired,
        "password.change_required",
    ),
];

fn status(scene: &Scene, status: UserStatus) {
    scene.acting().users().set_status(scene.ada, status).map(drop).unwrap();
}

fn guess(scene: &Scene) {
    for number in 0..5 {
        let on = device(&format!("stranger-{number}"));
        let login = LoginRequest::new("ada", "wrong".into(), on);
        assert!(scene.world.ask(login).is_err());
    }
}

#[test]
fn each_login_has_its_cause_and_its_row() {
    for (name, play, cause, event) in SCENES {
        let scene = Scene::new();
        play(&scene);
        let why = scene.store().explain_user(scene.ada).unwrap();
        assert_eq!(why.cause, *cause, "{name}");
        let row = why.evidence.row();
        assert_eq!(row.map_or("", |row| row.event.as_str()), *event, "{name}: {why:?}");
        let by_root = row.is_none_or(|row| row.actor.user() == Some(scene.root));
        assert!(by_root || *cause == Cause::LockedOut, "{name}: {why:?}");
        let is_locked_out = *cause == Cause::LockedOut;
        assert_eq!(why.at.is_some_and(|at| at > scene.world.now()), is_locked_out, "{name}");
    }
}

/// The login was refused, and the explanation said that nothing refuses it.
#[test]
fn an_expired_password_is_explained_by_the_row_that_set_it() {
    let world = World::with(|options| unsealed(options).password_expiry(90 * DAY));
    let scene = Scene::in_world(world);
    let (clock, store) = (&scene.world.clock, scene.store());
    let expires = |event: &str, password: &str| {
        clock.advance(90 * DAY - SECOND);
        assert_eq!(store.explain_user(scene.ada).unwrap().cause, Cause::Accepted, "{event}");
        clock.advance(SECOND);
        let refused = scene.world.log_in("ada", password, "desk").unwrap_err();
        assert_eq!(refused, LoginRefusal::NewPasswordRequired, "{event}");
        let why = store.explain_user(scene.ada).unwrap();
        let row = why.evidence.row().unwrap();
        assert_eq!((why.cause, row.event.as_str()), (Cause::NewPasswordRequired, event));
        assert_eq!(why.at, Some(scene.world.now()), "{event}");
        assert_eq!(row.at, scene.world.now() - 90 * DAY, "{event}");
    };
    expires("user.created", PASSWORD);
    let login = LoginRequest::new("ada", PASSWORD.into(), device("till"));
    scene.world.ask(login.new_password("nine brass bells".into())).unwrap();
    clock.advance(DAY);
    // Not the row that set it.
    scene.world.log_in("ada", "nine brass bells", "till").unwrap();
    clock.advance(89 * DAY - SECOND);
    assert_eq!(store.explain_user(scene.ada).unwrap().cause, Cause::Accepted);
    clock.advance(SECOND);
    let why = store.explain_user(scene.ada).unwrap();
    let row = why.evidence.row().unwrap();
    assert_eq!((row.event.as_str(), row.at), ("login.granted", scene.world.now() - 90 * DAY));
    scene.acting().users().set_password(scene.ada, PASSWORD.into()).unwrap();
    expires("password.set", PASSWORD);
}

#[test]
fn a_user_that_never_was_is_unknown() {
    let scene = Scene::new();
    let id: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let why = scene.store().explain_user(id).unwrap();
    assert_eq!((why.cause, why.evidence, why.user), (Cause::Unknown, AuditEvidence::None, None));
}
