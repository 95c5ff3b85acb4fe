//! What ends an impersonation, and what does not.

use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::{BranchId, Ended, OrganisationId, Store, Subtree};

use super::Scene;
use crate::world::{MINUTE, SECOND, device};

/// Each way in which the administrator's own session, or the right to impersonate, ends.
#[test]
fn it_ends_with_what_it_came_from() {
    type End = fn(&Scene);
    let ends: [(&str, End); 16] = [
        ("own session logged out", |s| assert_eq!(s.world.log_out(&s.own, "desk"), Ended::Now)),
        ("own session revoked", |s| {
            assert_eq!(s.store().sessions().revoke(s.own.id).unwrap(), Ended::Now)
        }),
        ("own session replaced", |s| drop(s.world.open(s.boss, "desk"))),
        ("device forgotten", |s| {
            s.store().devices().forget(s.boss, &device("desk")).map(drop).unwrap();
        }),
        ("other sessions revoked", |s| {
            let phone = s.verified(&s.world.open(s.boss, "phone"), "phone");
            s.store().sessions().revoke_others(&phone).unwrap();
        }),
        ("all sessions revoked", |s| s.store().sessions().revoke_all(s.boss).unwrap()),
        ("store's sessions revoked", |s| {
            s.store().sessions().revoke_all(Subtree::Store).unwrap();
        }),
        ("own password set", |s| {
            s.store().users().set_password(s.boss, "nine brass bells".into()).unwrap();
        }),
        ("locked", |s| {
            s.store().users().set_status(s.boss, UserStatus::Locked).map(drop).unwrap();
        }),
        ("disabled", |s| {
            s.store().users().set_status(s.boss, UserStatus::Disabled).map(drop).unwrap();
        }),
        ("deleted", |s| s.store().users().delete(s.boss).unwrap()),
        ("flag lost", |s| {
            s.store().users().set_privileges(s.boss, &["x"]).map(drop).unwrap();
        }),
        ("flag lost and got again", |s| {
            s.store().users().set_privileges(s.boss, &[]).unwrap();
            s.store().users().set_privileges(s.boss, &["admin"]).unwrap();
        }),
        ("the user got the flag", |s| {
            s.store().users().set_privileges(s.ada, &["admin"]).map(drop).unwrap();
        }),
        ("the user's sessions revoked", |s| s.store().sessions().revoke_all(s.ada).unwrap()),
        ("moved", |s| {
            let york = s.store().branches().create("York", None).unwrap().id;
            s.store().users().move_to(s.boss, york).map(drop).unwrap();
        }),
    ];
    for (name, end) in ends {
        let scene = Scene::new();
        let session = scene.as_ada();
        // Cached, and read from the file by a second store.
        assert!(scene.passes(&session), "{name}");
        let other = Store::open(&scene.world.path, scene.world.options.clone()).unwrap();
        let presented = (&session.token, &device("window"));
        assert!(other.verify(presented).unwrap().valid().is_ok(), "{name}");
        end(&scene);
        assert!(!scene.passes(&session), "{name}");
        assert!(other.verify(presented).unwrap().valid().is_err(), "{name}, in another process");
    }
}

/// The place of the administrator, which the place of the user says nothing of.
#[test]
fn it_ends_with_the_place_of_the_administrator() {
    type End = fn(&Store, BranchId, OrganisationId);
    let ends: [(&str, End); 5] = [
        ("branch revoked", |s, york, _| s.sessions().revoke_all(york).unwrap()),
        ("organisation revoked", |s, _, north| s.sessions().revoke_all(north).unwrap()),
        ("branch disabled", |s, york, _| s.branches().set_active(york, false).map(drop).unwrap()),
        ("organisation disabled", |s, _, north| {
            s.organisations().set_active(north, false).map(drop).unwrap();
        }),
        ("branch moved", |s, york, _| s.branches().move_to(york, None).map(drop).unwrap()),
    ];
    for (name, end) in ends {
        let scene = Scene::new();
        let store = scene.store();
        let north = store.organisations().create("Northern").unwrap().id;
        let york = store.branches().create("York", north).unwrap().id;
        store.users().move_to(scene.boss, york).unwrap();
        let session = scene.as_ada();
        assert!(scene.passes(&session), "{name}");
        end(store, york, north);
        assert!(!scene.passes(&session), "{name}");
    }
}

#[test]
fn a_change_of_another_right_or_user_leaves_it() {
    let scene = Scene::new();
    let ben = scene.world.person("ben").id;
    let session = scene.as_ada();
    let users = scene.store().users();
    users.set_privileges(scene.boss, &["admin", "x"]).unwrap();
    users.set_privileges(scene.boss, &["admin"]).unwrap();
    users.set_privileges(scene.ada, &["x"]).unwrap();
    users.set_privileges(ben, &["admin"]).unwrap();
    scene.store().sessions().revoke_all(ben).unwrap();
    users.rename(scene.boss, "chief").unwrap();
    users.unlock(scene.boss).unwrap();
    assert!(scene.passes(&session));
}

/// With the inactivity timeout of the administrator's own session, of which its uses are none.
#[test]
fn it_ends_when_the_administrator_is_idle() {
    let policy = SessionPolicy::server().inactivity_timeout(10 * MINUTE);
    let scene = Scene::with(policy);
    let session = scene.as_ada();
    for _ in 0..9 {
        scene.world.clock.advance(MINUTE);
        assert!(scene.passes(&session));
    }
    let listed = || scene.world.sessions_of(scene.ada).len();
    scene.world.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(scene.passes(&session) && listed() == 1);
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(!scene.passes(&session) && listed() == 0);

    let scene = Scene::with(policy);
    let session = scene.as_ada();
    scene.world.clock.advance(9 * MINUTE);
    scene.principal();
    scene.world.clock.advance(5 * MINUTE);
    assert!(scene.passes(&session), "the administrator was there in between");
    scene.world.clock.advance(MINUTE);
    assert!(!scene.passes(&session), "and its own end stays");
}

#[test]
fn the_user_may_revoke_it_and_the_administrators_session_stays() {
    let scene = Scene::new();
    let session = scene.as_ada();
    let own = scene.verified(&scene.world.open(scene.ada, "till"), "till");
    scene.world.clock.advance(SECOND);
    assert_eq!(scene.store().sessions().revoke_own(&own, session.id).unwrap(), Ended::Now);
    assert!(!scene.passes(&session));
    assert!(scene.world.passes(&scene.own, "desk"));
    let event = scene.world.last_event();
    assert_eq!(event.session, Some(session.id));
    assert_ne!(event.actor.user(), Some(scene.boss));
}
