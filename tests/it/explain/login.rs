//! The scenes of logins: what refuses a user, and the row behind it.

use gatepost::directory::{ImportRecord, UserStatus};
use gatepost::sessions::RevokeSessions;
use gatepost::status::{AuditEvidence, RefusalCause as Cause};
use gatepost::uuid::Uuid;
use gatepost::{LoginRefusal, LoginRequest, NewUser, Store, UserId};

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
    (
        "a branch that was imported inactive",
        |s| {
            let id = gatepost::BranchId::from_uuid(Uuid::from_u128(7));
            let (name, active) = ("York".into(), false);
            let (organisation, credits, created_at) = (None, None, None);
            let branch =
                ImportRecord::Branch { id, organisation, name, active, credits, created_at };
            assert!(s.acting().import(vec![branch]).unwrap()[0].is_ok());
            s.store().users().move_to(s.ada, id).unwrap();
        },
        Cause::BranchInactive,
        "branch.created",
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

#[track_caller]
fn check(scene: &Scene, user: UserId, cause: Cause, event: &str) {
    let why = scene.store().explain_user(user).unwrap();
    let row = why.evidence.row();
    assert_eq!((why.cause, row.map_or("", |row| row.event.as_str())), (cause, event), "{why:?}");
    assert_ne!(why.evidence, AuditEvidence::Trimmed);
}

/// Puts the state that `sets` makes into a backup, undoes it, and restores the backup.
#[track_caller]
fn brought_by_a_restore(scene: &Scene, sets: Play, undoes: Play) {
    let copy = scene.world.directory().join("copy.db");
    sets(scene);
    scene.store().backup(&copy, |_| ()).unwrap();
    undoes(scene);
    assert_eq!(scene.store().explain_user(scene.ada).unwrap().cause, Cause::Accepted);
    Store::restore(&copy, &scene.world.path, scene.world.options.clone()).map(drop).unwrap();
}

/// The row that was named had been undone since: the lock of another year, by another person.
#[test]
fn what_a_restore_brought_is_explained_by_it_and_what_was_set_since_is_not() {
    let scene = Scene::new();
    let locks: Play = |s| status(s, UserStatus::Locked);
    let unlocks: Play = |s| status(s, UserStatus::Active);
    brought_by_a_restore(&scene, locks, unlocks);
    check(&scene, scene.ada, Cause::UserLocked, "store.restored");
    unlocks(&scene);
    locks(&scene);
    check(&scene, scene.ada, Cause::UserLocked, "user.locked");
    // A restore keeps what was set before it.
    let copy = scene.world.directory().join("locked.db");
    scene.store().backup(&copy, |_| ()).unwrap();
    let later = scene.store().users().create(NewUser::person("later")).unwrap().id;
    Store::restore(&copy, &scene.world.path, scene.world.options.clone()).map(drop).unwrap();
    check(&scene, scene.ada, Cause::UserLocked, "user.locked");
    // A user that the backup does not have is a deleted one.
    check(&scene, later, Cause::UserDeleted, "store.restored");

    for [sets, undoes] in PLACES {
        let scene = Scene::new();
        let york = scene.store().branches().create("York", None).unwrap().id;
        let north = scene.store().organisations().create("Northern").unwrap().id;
        scene.store().branches().move_to(york, north).unwrap();
        scene.store().users().move_to(scene.ada, york).unwrap();
        brought_by_a_restore(&scene, sets, undoes);
        let cause = scene.store().explain_user(scene.ada).unwrap().cause;
        assert!(matches!(cause, Cause::BranchInactive | Cause::OrganisationInactive));
        check(&scene, scene.ada, cause, "store.restored");
    }
}

/// What makes the place of ada inactive, and active again.
const PLACES: [[Play; 2]; 2] = [
    [|s| branch_is_active(s, false), |s| branch_is_active(s, true)],
    [|s| organisation_is_active(s, false), |s| organisation_is_active(s, true)],
];

fn branch_is_active(scene: &Scene, active: bool) {
    let branch = scene.world.user(scene.ada).branch.unwrap();
    scene.acting().branches().set_active(branch, active).map(drop).unwrap();
}

fn organisation_is_active(scene: &Scene, active: bool) {
    let branch = scene.world.user(scene.ada).branch.unwrap();
    let above = scene.store().branches().find(branch).unwrap().unwrap().organisation.unwrap();
    scene.acting().organisations().set_active(above, active).map(drop).unwrap();
}

/// No row is named for what a hand has set after a row had undone the same.
#[test]
fn what_was_set_by_hand_has_no_row() {
    let scene = Scene::new();
    let by_hand = |sql: &str| {
        let head = "(SELECT seq + 1 FROM sqlite_sequence WHERE name = 'change')";
        scene.world.sql().execute_batch(&sql.replace("HEAD", head)).unwrap();
    };
    let ends = "sessions_ended_seq = HEAD, tokens_ended_seq = HEAD WHERE";
    status(&scene, UserStatus::Disabled);
    status(&scene, UserStatus::Active);
    by_hand(&format!("UPDATE user SET status = 'disabled', {ends} username = 'ada'"));
    check(&scene, scene.ada, Cause::UserDisabled, "");
    // Another status that was set later is not this one either.
    status(&scene, UserStatus::Locked);
    by_hand("UPDATE user SET status = 'disabled' WHERE username = 'ada'");
    check(&scene, scene.ada, Cause::UserDisabled, "");
    status(&scene, UserStatus::Active);

    let york = scene.store().branches().create("York", None).unwrap().id;
    scene.store().users().move_to(scene.ada, york).unwrap();
    branch_is_active(&scene, false);
    branch_is_active(&scene, true);
    by_hand(&format!("UPDATE branch SET active = 0, {ends} name = 'York'"));
    check(&scene, scene.ada, Cause::BranchInactive, "");
    branch_is_active(&scene, true);

    scene.acting().users().mark_compromised(scene.ada).unwrap();
    scene.acting().users().set_password(scene.ada, "nine brass bells".into()).unwrap();
    by_hand("UPDATE credential SET compromised = 1");
    check(&scene, scene.ada, Cause::PasswordCompromised, "");
    scene.acting().users().remove_password(scene.ada).unwrap();
    check(&scene, scene.ada, Cause::NoPassword, "password.removed");
    scene.acting().users().set_password(scene.ada, "ten brass bells".into()).unwrap();
    by_hand("DELETE FROM credential");
    check(&scene, scene.ada, Cause::NoPassword, "");
}

/// A lock that was lifted is not the one of today, whose attempts were made in a session.
#[test]
fn attempts_before_an_unlock_are_not_named() {
    let scene = Scene::new();
    guess(&scene);
    check(&scene, scene.ada, Cause::LockedOut, "login.refused");
    assert!(scene.acting().users().unlock(scene.ada).unwrap());
    for _ in 0..5 {
        let presented = (&scene.session.token, &device("till"));
        let changed = scene.store().change_password(
            presented,
            "a wrong password".into(),
            "nine brass bells".into(),
        );
        changed.unwrap().granted().unwrap_err();
    }
    check(&scene, scene.ada, Cause::LockedOut, "password.change_refused");
}
