//! Which row is named if several could be, and what is said if the first may have been trimmed.

use gatepost::policy::SessionPolicy;
use gatepost::sessions::NewApiKey;
use gatepost::status::{AuditEvidence, Explanation, RefusalCause as Cause};
use gatepost::{Credential, ErrorKind, OpenedSession, Store};

use super::Scene;
use super::sessions::in_york;
use crate::impersonate;
use crate::pending_step::unsealed;
use crate::world::{DAY, HOUR, MINUTE, World};

const NEW: &str = "nine brass bells";

#[track_caller]
fn of_session(store: &Store, session: &OpenedSession) -> Explanation {
    store.explain_credential(Credential::Session(session.id)).unwrap()
}

/// The cause, and the event of the row; empty for none.
fn answer(why: &Explanation) -> (Cause, &str) {
    (why.cause, why.evidence.row().map_or("", |row| row.event.as_str()))
}

/// A log that keeps a day.
fn short_log() -> World {
    World::with(|options| unsealed(options).audit_max_age(DAY))
}

/// Days pass, and all rows so far are trimmed.
fn trim(world: &World) {
    world.clock.advance(3 * DAY);
    world.believe_clock();
    assert!(world.store.maintain().unwrap().audit_rows > 0);
}

/// Asserts that the sessions were revoked, and that the log does not say by which row.
#[track_caller]
fn is_trimmed(scene: &Scene, session: &OpenedSession, cause: Cause) {
    let why = of_session(scene.store(), session);
    assert_eq!((why.cause, why.evidence), (cause, AuditEvidence::Trimmed));
}

#[test]
fn a_place_whose_row_was_trimmed_is_not_guessed() {
    for (revoke, event) in [
        (
            (|s: &Store, york, _| s.sessions().revoke_all(york).unwrap()) as fn(&Store, _, _),
            "branch.sessions_revoked",
        ),
        (
            |s, _, north: gatepost::OrganisationId| s.sessions().revoke_all(north).unwrap(),
            "organisation.sessions_revoked",
        ),
    ] {
        let mut scene = Scene::in_world(short_log());
        let (york, north) = in_york(&mut scene);
        trim(&scene.world);
        // A row of the user comes first, and none of a place can have come before it.
        let first = scene.world.open(scene.ada, "window");
        scene.acting().sessions().revoke_all(scene.ada).unwrap();
        revoke(&scene.acting(), york, north);
        let why = of_session(scene.store(), &first);
        assert_eq!(answer(&why), (Cause::Revoked, "user.sessions_revoked"));

        // She is in York, and no later row has moved her or the branch.
        let session = scene.world.open(scene.ada, "window");
        revoke(&scene.acting(), york, north);
        let why = of_session(scene.store(), &session);
        assert_eq!(answer(&why), (Cause::Revoked, event));
        // Now one has, and where she was before it was in the rows that are gone.
        scene.store().users().move_to(scene.ada, None).unwrap();
        is_trimmed(&scene, &session, Cause::Revoked);
        // The next login deletes it: by now it may have been over as well.
        drop(scene.world.open(scene.ada, "phone"));
        is_trimmed(&scene, &session, Cause::Unknown);
        assert_eq!(of_session(scene.store(), &session).user, Some(scene.ada));
        // A later row is not named in its place.
        scene.acting().sessions().revoke_all(scene.ada).unwrap();
        is_trimmed(&scene, &session, Cause::Revoked);
    }
}

#[test]
fn a_place_is_known_by_the_deletion_of_the_user() {
    let mut scene = Scene::in_world(short_log());
    let (york, _) = in_york(&mut scene);
    trim(&scene.world);
    let session = scene.world.open(scene.ada, "window");
    scene.acting().sessions().revoke_all(york).unwrap();
    scene.acting().users().delete(scene.ada).unwrap();
    let why = of_session(scene.store(), &session);
    assert_eq!(answer(&why), (Cause::Revoked, "branch.sessions_revoked"));
}

#[test]
fn the_organisation_of_a_branch_whose_row_was_trimmed_is_not_guessed() {
    let mut scene = Scene::in_world(short_log());
    let (york, north) = in_york(&mut scene);
    scene.store().users().move_to(scene.ada, None).unwrap();
    trim(&scene.world);
    scene.store().users().move_to(scene.ada, york).unwrap();
    let session = scene.world.open(scene.ada, "window");
    scene.acting().sessions().revoke_all(north).unwrap();
    let why = of_session(scene.store(), &session);
    assert_eq!(answer(&why), (Cause::Revoked, "organisation.sessions_revoked"));
    // A later row moves the branch: that it was in the Northern organisation before is gone.
    scene.store().branches().move_to(york, None).unwrap();
    is_trimmed(&scene, &session, Cause::Revoked);
    // The branch is known since it was moved.
    scene.store().branches().move_to(york, north).unwrap();
    let session = scene.world.open(scene.ada, "window");
    scene.acting().sessions().revoke_all(north).unwrap();
    let why = of_session(scene.store(), &session);
    assert_eq!(answer(&why), (Cause::Revoked, "organisation.sessions_revoked"));
}

#[test]
fn a_move_of_a_branch_whose_row_was_trimmed_is_not_guessed() {
    let mut scene = Scene::in_world(short_log());
    let (york, _) = in_york(&mut scene);
    let south = scene.store().organisations().create("Southern").unwrap().id;
    trim(&scene.world);
    let session = scene.world.open(scene.ada, "window");
    scene.acting().sessions().revoke_all(south).unwrap();
    scene.acting().branches().move_to(york, south).unwrap();
    let why = of_session(scene.store(), &session);
    assert_eq!(answer(&why), (Cause::Revoked, "branch.moved"));
    scene.store().users().move_to(scene.ada, None).unwrap();
    is_trimmed(&scene, &session, Cause::Revoked);
}

/// A restore moves users and branches without a row: the rows before it say nothing of the places
/// after it.
#[test]
fn a_place_is_not_known_by_a_row_on_the_other_side_of_a_restore() {
    let mut scene = Scene::new();
    let (york, north) = in_york(&mut scene);
    let (copy, path) = (scene.world.directory().join("copy.db"), scene.world.path.clone());
    scene.store().backup(&copy, |_| ()).unwrap();
    let restores = |scene: &Scene| {
        scene.store().branches().move_to(york, None).unwrap();
        scene.store().users().move_to(scene.ada, None).unwrap();
        let options = scene.world.options.clone();
        assert!(Store::restore(&copy, &path, options).unwrap().audit_log_kept);
    };
    restores(&scene);
    // By the last rows before the restore, neither was there.
    for revoke in [
        (|s: &Store, york, _| s.sessions().revoke_all(york).unwrap()) as fn(&Store, _, _),
        |s, _, north: gatepost::OrganisationId| s.sessions().revoke_all(north).unwrap(),
    ] {
        let session = scene.world.open(scene.ada, "window");
        revoke(&scene.acting(), york, north);
        let why = of_session(scene.store(), &session);
        assert_eq!(why.cause, Cause::Revoked);
        let row = why.evidence.row().expect("a row that revoked the place");
        assert!(row.event.ends_with(".sessions_revoked"), "{row:?}");
        // A row after it moves her, and where she was before, no row says.
        scene.store().users().move_to(scene.ada, None).unwrap();
        is_trimmed(&scene, &session, Cause::Revoked);
        restores(&scene);
    }
}

/// A branch keeps what was revoked in an organisation that it has left: the row that moved the user
/// into it is named, though no row revokes anything at the place where the branch is now.
#[test]
fn a_move_into_a_branch_that_carries_an_older_revocation_is_named() {
    for is_there_at_the_revocation in [true, false] {
        let scene = Scene::new();
        let store = scene.acting();
        let north = store.organisations().create("Northern").unwrap().id;
        let york = store.branches().create("York", None).unwrap().id;
        if is_there_at_the_revocation {
            store.branches().move_to(york, north).unwrap();
            store.sessions().revoke_all(north).unwrap();
        } else {
            store.sessions().revoke_all(north).unwrap();
            store.branches().move_to(york, north).unwrap();
        }
        store.branches().move_to(york, None).unwrap();
        let accepted = of_session(scene.store(), &scene.session);
        assert_eq!(answer(&accepted), (Cause::Accepted, ""));
        store.users().move_to(scene.ada, york).unwrap();
        let why = of_session(scene.store(), &scene.session);
        assert_eq!(answer(&why), (Cause::Revoked, "user.moved"));
    }
}

/// A session that revoked the others is newer than what was revoked before.
#[test]
fn a_revocation_from_before_the_session_was_kept_is_not_named() {
    let scene = Scene::new();
    let store = scene.acting();
    let york = store.branches().create("York", None).unwrap().id;
    store.sessions().revoke_all(york).unwrap();
    store.sessions().revoke_others(&scene.principal()).unwrap();
    store.users().move_to(scene.ada, york).unwrap();
    let accepted = of_session(scene.store(), &scene.session);
    assert_eq!(answer(&accepted), (Cause::Accepted, ""));
    store.sessions().revoke_all(scene.ada).unwrap();
    let why = of_session(scene.store(), &scene.session);
    assert_eq!(answer(&why), (Cause::Revoked, "user.sessions_revoked"));
}

#[test]
fn the_first_of_several_ends_of_an_impersonation_is_named() {
    type Play = fn(&impersonate::Scene);
    let scenes: [(&str, Play, &str); 3] = [
        (
            "the right was lost first",
            |s| {
                let users = s.world.store.users();
                users.set_privileges(s.boss, &[]).unwrap();
                users.set_password(s.ada, NEW.into()).unwrap();
            },
            "user.privileges_changed",
        ),
        (
            "the administrator logged out first",
            |s| {
                s.world.log_out(&s.own, "desk");
                s.world.store.users().set_privileges(s.boss, &[]).unwrap();
                s.world.store.users().set_password(s.ada, NEW.into()).unwrap();
            },
            "session.logged_out",
        ),
        (
            "the user's sessions were revoked first",
            |s| {
                s.world.store.users().set_password(s.ada, NEW.into()).unwrap();
                s.world.store.users().set_privileges(s.boss, &[]).unwrap();
                s.world.log_out(&s.own, "desk");
                drop(s.world.open(s.ada, "window"));
            },
            "password.set",
        ),
    ];
    for (name, play, event) in scenes {
        let scene = impersonate::Scene::new();
        let session = scene.as_ada();
        play(&scene);
        let why = of_session(&scene.world.store, &session);
        assert_eq!(answer(&why), (Cause::Revoked, event), "{name}");
    }
}

#[test]
fn an_end_of_the_parent_before_that_of_the_user_is_named() {
    // The key is in the file.
    let scene = Scene::new();
    let keys = scene.store().api_keys();
    let made = keys.attenuate(&scene.principal(), NewApiKey::new()).unwrap();
    scene.acting().sessions().revoke_all(scene.ada).unwrap();
    scene.acting().users().delete(scene.ada).unwrap();
    let why = scene.store().explain_credential(Credential::ApiKey(made.id)).unwrap();
    assert_eq!(answer(&why), (Cause::Revoked, "user.sessions_revoked"));
    assert_eq!(why.through, Some(Credential::Session(scene.session.id)));

    // It was deleted with its parent.
    let scene = Scene::new();
    let keys = scene.store().api_keys();
    let parent = scene.store().verify((&scene.key.1, None)).unwrap().valid().unwrap();
    let made = keys.attenuate(&parent, NewApiKey::new()).unwrap();
    scene.acting().api_keys().revoke(scene.key.0).unwrap();
    scene.acting().users().delete(scene.ada).unwrap();
    let why = scene.store().explain_credential(Credential::ApiKey(made.id)).unwrap();
    assert_eq!(answer(&why), (Cause::Revoked, "api_key.revoked"));
    assert_eq!(why.through, Some(Credential::ApiKey(scene.key.0)));
}

/// Nothing that is done more than an hour after its opening ended it.
#[test]
fn an_impersonation_that_was_over_was_not_revoked_later() {
    type Play = fn(&impersonate::Scene);
    let plays: [(&str, Play); 3] = [
        ("the administrator logs out", |s| {
            s.world.log_out(&s.own, "desk");
        }),
        ("the administrator loses the right", |s| {
            s.world.store.users().set_privileges(s.boss, &[]).map(drop).unwrap();
        }),
        ("the user's sessions are revoked", |s| {
            s.world.store.sessions().revoke_all(s.ada).unwrap();
        }),
    ];
    for (name, play) in plays {
        let scene = impersonate::Scene::new();
        let session = scene.as_ada();
        scene.world.clock.advance(2 * HOUR);
        drop(scene.world.open(scene.ada, "window"));
        play(&scene);
        let why = of_session(&scene.world.store, &session);
        assert_eq!(answer(&why), (Cause::Over, "session.impersonated"), "{name}");
        assert_eq!(why.through, None, "{name}");
    }
}

#[test]
fn a_move_of_the_administrators_branch_ends_an_impersonation() {
    let world = short_log();
    let (boss, ada) = (world.person("boss").id, world.person("ada").id);
    world.store.users().set_privileges(boss, &["admin"]).unwrap();
    let own = world.open(boss, "desk");
    let scene = impersonate::Scene { world, boss, ada, own };
    let store = &scene.world.store;
    let york = store.branches().create("York", None).unwrap().id;
    let dover = store.branches().create("Dover", None).unwrap().id;
    let north = store.organisations().create("Northern").unwrap().id;
    store.users().move_to(scene.boss, york).unwrap();
    let session = scene.as_ada();
    store.branches().move_to(dover, north).unwrap();
    assert_eq!(answer(&of_session(store, &session)), (Cause::Accepted, ""));
    store.acting_as(scene.ada).branches().move_to(york, north).unwrap();
    let why = of_session(store, &session);
    assert_eq!(answer(&why), (Cause::Revoked, "branch.moved"));
    let row = why.evidence.row().unwrap();
    assert_eq!((row.branch, row.actor.user()), (Some(york), Some(scene.ada)));

    // The log does not know any more that York was the administrator's branch, and the file does.
    trim(&scene.world);
    let own = scene.world.open(scene.boss, "desk");
    let scene = impersonate::Scene { own, ..scene };
    let store = &scene.world.store;
    let session = scene.as_ada();
    store.branches().move_to(york, None).unwrap();
    let why = of_session(store, &session);
    assert_eq!(answer(&why), (Cause::Revoked, "branch.moved"));
    // Until a later row moves the administrator.
    store.users().move_to(scene.boss, None).unwrap();
    assert_eq!(of_session(store, &session).evidence, AuditEvidence::Trimmed);
}

#[test]
fn a_confirmation_that_kept_the_password_did_not_remove_it() {
    let scene = Scene::new();
    assert!(scene.acting().users().remove_password(scene.ada).unwrap());
    scene.acting().users().confirm(scene.ada).unwrap();
    let why = scene.store().explain_user(scene.ada).unwrap();
    assert_eq!(answer(&why), (Cause::NoPassword, "password.removed"));

    let scene = Scene::new();
    scene.acting().users().confirm_and_remove_password(scene.ada).unwrap();
    let why = scene.store().explain_user(scene.ada).unwrap();
    assert_eq!(answer(&why), (Cause::NoPassword, "user.confirmed"));
}

/// The end of the timeout is that of the last use, also if that waits in memory.
#[test]
fn the_use_that_waits_moves_the_end_of_the_timeout() {
    let policy = SessionPolicy::server().inactivity_timeout(10 * MINUTE);
    let world = World::with(|options| options.sessions(policy));
    let scene = Scene::in_world(world);
    scene.world.clock.advance(5 * MINUTE);
    let used = scene.world.now();
    let busy = scene.world.sql();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.principal();
    busy.execute_batch("ROLLBACK").unwrap();
    scene.world.clock.advance(11 * MINUTE);
    let why = of_session(scene.store(), &scene.session);
    assert_eq!((why.cause, why.at), (Cause::Inactive, Some(used + 10 * MINUTE)));
}

/// A row that cannot be read is no user that never was.
#[test]
fn a_damaged_user_is_not_unknown() {
    let scene = Scene::in_world(short_log());
    scene.acting().users().delete(scene.ada).unwrap();
    trim(&scene.world);
    let why = scene.store().explain_user(scene.ada).unwrap();
    assert_eq!((why.cause, why.evidence), (Cause::UserDeleted, AuditEvidence::Trimmed));
    let damage = "UPDATE user SET description = CAST(x'ff' AS TEXT) WHERE deleted_at IS NOT NULL";
    assert_eq!(scene.world.sql().execute(damage, []).unwrap(), 1);
    let error = scene.store().explain_user(scene.ada).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
