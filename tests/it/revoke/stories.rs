//! The eight stories of how sessions end, with the rows that each one changes.

use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::sessions::OpenSession;
use gatepost::{Ended, LoginRefusal, LoginRequest, NewUser, Password, Subtree};

use super::rows::Rows;
use crate::operations::Scene;
use crate::world::{MINUTE, Meanwhile, PASSWORD, World, device};

const NEW: &str = "nine brass bells";

/// Asserts which rows a call changes, besides its event.
#[track_caller]
fn check<T>(world: &World, rows: &[&str], call: impl FnOnce() -> T) -> T {
    let before = Rows::of(world);
    let answer = call();
    assert_eq!(before.changed(), rows);
    answer
}

#[test]
fn log_out_one_deletes_one_row() {
    let scene = Scene::new();
    let session = scene.session("ada-1");
    let ended = check(&scene.world, &["change +1", "session -1"], || {
        scene.world.log_out(session, "ada-1")
    });
    assert_eq!(ended, Ended::Now);
    assert_eq!(check(&scene.world, &[], || scene.world.log_out(session, "ada-1")), Ended::Before);
    scene.are_dead(&["ada-1"], &[]);
}

#[test]
fn end_all_changes_one_row_of_whatever_it_is() {
    let scene = Scene::new();
    let sessions = scene.store().sessions();
    let check = |rows: [&str; 2], call: &dyn Fn()| check(&scene.world, &rows, call);
    check(["change +1", "user ~1"], &|| sessions.revoke_all(scene.ada).unwrap());
    scene.are_dead(&["ada-1", "ada-2"], &[]);
    check(["branch ~1", "change +1"], &|| sessions.revoke_all(scene.york).unwrap());
    scene.are_dead(&["ada-1", "ada-2", "bob-1"], &[]);
    check(["change +1", "organisation ~1"], &|| {
        sessions.revoke_all(scene.north).unwrap();
    });
    check(["change +1", "store ~1"], &|| sessions.revoke_all(Subtree::Store).unwrap());
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "cyd-1", "eve-1"], &[]);
    // What is opened afterwards is younger than all of that.
    let session = scene.world.open(scene.ada, "ada-1");
    assert!(scene.world.passes(&session, "ada-1"));
}

#[test]
fn a_users_own_password_change_writes_user_and_session_once() {
    let scene = Scene::new();
    let token = scene.session("ada-1").token.expose();
    let (old, new) = (Password::from(PASSWORD), Password::from(NEW));
    // The attempt is charged and forgiven: the row of the throttle keeps the number of its writes.
    let rows = ["change +2", "credential ~1", "session ~1", "throttle ~1", "user ~1"];
    let reply = check(&scene.world, &rows, || {
        scene.store().change_password((token, &device("ada-1")), old, new).unwrap()
    });
    let renewed = reply.granted().unwrap().session;
    assert!(scene.world.passes(&renewed, "ada-1"));
    scene.are_dead(&["ada-1", "ada-2"], &[]);
    // It is as young as the change: the watermark of the others does not revoke it later.
    scene.store().users().move_to(scene.ada, scene.dover).unwrap();
    assert!(scene.world.passes(&renewed, "ada-1"));
}

#[test]
fn keeping_one_session_makes_it_younger_than_the_end_of_the_others() {
    let scene = Scene::new();
    let token = scene.session("ada-1").token.expose();
    let principal = scene.store().verify((token, &device("ada-1"))).unwrap().valid().unwrap();
    check(&scene.world, &["change +2", "session ~1", "user ~1"], || {
        scene.store().sessions().revoke_others(&principal).unwrap();
    });
    scene.are_dead(&["ada-2"], &[]);
    scene.world.log_out(scene.session("ada-1"), "ada-1");
    let late = scene.store().sessions().revoke_others(&principal).unwrap_err();
    assert_eq!(late.kind(), gatepost::ErrorKind::SessionEnded);
    assert_eq!(late.class(), gatepost::ErrorClass::SignIn);
    scene.are_dead(&["ada-1", "ada-2"], &[]);
}

/// A login that verified the old password, and what is done before it opens its session.
#[track_caller]
fn check_late_login(
    refusal: LoginRefusal,
    meanwhile: impl FnOnce(&gatepost::Store, &World) + Send,
) {
    let hook = Meanwhile::default();
    let world = World::with(|options| {
        options.breach_check(hook.check()).change_at_login(gatepost::policy::ChangeAtLogin::Always)
    });
    let ada = world.person("ada");
    let store = world.store.clone();
    let early = world.open(ada.id, "early");
    // The new password is checked between the hash and the last write.
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("late"))
        .new_password(Password::from("seven tin whistles"));
    let (begin, begun) = std::sync::mpsc::channel::<()>();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    hook.happens(move || {
        begin.send(()).unwrap();
        ended.recv().unwrap();
    });
    let answer = std::thread::scope(|scope| {
        // Dropped if what happens meanwhile fails: the login goes on and the test ends.
        let end = end;
        let late = scope.spawn(|| world.store.log_in(request).unwrap().granted());
        begun.recv().unwrap();
        meanwhile(&store, &world);
        end.send(()).unwrap();
        late.join().unwrap()
    });
    assert_eq!(answer.unwrap_err(), refusal);
    assert_eq!(world.count("SELECT count(*) FROM session"), 1, "nothing was opened");
    assert!(!world.passes(&early, "early"));
    let opens = world.log_in("ada", "seven tin whistles", "late");
    assert!(opens.is_err(), "the late password was not set");
}

#[test]
fn a_login_that_verified_the_old_password_opens_nothing() {
    let id = |world: &World| world.store.users().find_by_username("ada").unwrap().unwrap().id;
    let set = |store: &gatepost::Store, user, new: &str| {
        store.users().set_password(user, Password::from(new)).unwrap();
    };
    check_late_login(LoginRefusal::InvalidCredentials, |store, world| set(store, id(world), NEW));
    // The same words set again are another password.
    check_late_login(LoginRefusal::InvalidCredentials, |store, world| {
        set(store, id(world), PASSWORD)
    });
    check_late_login(LoginRefusal::InvalidCredentials, |store, world| {
        store.users().remove_password(id(world)).unwrap();
        set(store, id(world), PASSWORD);
    });
    check_late_login(LoginRefusal::InvalidCredentials, |store, world| {
        store.users().mark_compromised(id(world)).unwrap();
    });
    check_late_login(LoginRefusal::InvalidCredentials, |store, world| {
        store.users().delete(id(world)).unwrap();
    });
    check_late_login(LoginRefusal::AccountDisabled, |store, world| {
        store.users().set_status(id(world), UserStatus::Disabled).unwrap();
    });
}

#[test]
fn a_password_change_whose_session_ended_meanwhile_changes_nothing() {
    let ends: [fn(&gatepost::Store, &gatepost::Principal); 4] = [
        |store, principal| {
            store.sessions().revoke(principal.credential.session().unwrap()).unwrap();
        },
        |store, _| store.sessions().revoke_all(Subtree::Store).unwrap(),
        |store, principal| store.users().delete(principal.user).unwrap(),
        |store, principal| {
            store.users().set_password(principal.user, Password::from(NEW)).unwrap()
        },
    ];
    for end in ends {
        let hook = Meanwhile::default();
        let world = World::with(|options| options.breach_check(hook.check()));
        let session = world.open(world.person("ada").id, "till-1");
        let (token, till) = (session.token.expose(), device("till-1"));
        let principal = world.store.verify((token, &till)).unwrap().valid().unwrap();
        let (old, late) = (Password::from(PASSWORD), Password::from("seven tin whistles"));
        let store = world.store.clone();
        hook.happens(move || end(&store, &principal));
        let change = world.store.change_password((token, &till), old, late).unwrap();
        assert_eq!(change.granted().unwrap_err(), LoginRefusal::SessionNotLive);
        assert!(!world.passes(&session, "till-1"));
        assert!(world.log_in("ada", "seven tin whistles", "till-2").is_err());
    }
}

#[test]
fn a_move_takes_the_ends_of_the_old_place_along() {
    let scene = Scene::new();
    let users = scene.store().users();
    scene.store().sessions().revoke_all(scene.york).unwrap();
    check(&scene.world, &["change +1", "user ~1"], || users.move_to(scene.ada, None).unwrap());
    scene.store().sessions().revoke_all(scene.north).unwrap();
    users.move_to(scene.bob, None).unwrap();
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "cyd-1"], &[]);

    let scene = Scene::new();
    let branches = scene.store().branches();
    scene.store().sessions().revoke_all(scene.north).unwrap();
    check(&scene.world, &["branch ~1", "change +1"], || {
        branches.move_to(scene.york, scene.south).unwrap()
    });
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "cyd-1"], &[]);
    // And on: a user who leaves the branch keeps the watermark that it had.
    scene.store().users().move_to(scene.ada, None).unwrap();
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "cyd-1"], &[]);
}

#[test]
fn a_session_older_than_the_last_end_of_the_new_place_ends_there() {
    let scene = Scene::new();
    scene.store().sessions().revoke_all(scene.york).unwrap();
    scene.are_dead(&["ada-1", "ada-2", "bob-1"], &[]);
    scene.store().users().move_to(scene.eve, scene.york).unwrap();
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "eve-1"], &[]);
    scene.store().users().move_to(scene.eve, None).unwrap();
    scene.are_dead(&["ada-1", "ada-2", "bob-1", "eve-1"], &[]);
}

#[test]
fn delete_and_restore_bring_nothing_back() {
    let scene = Scene::new();
    let users = scene.store().users();
    check(&scene.world, &["change +1", "hash_cost ~1", "user ~1"], || {
        users.delete(scene.ada).unwrap()
    });
    check(&scene.world, &["change +1", "hash_cost ~1", "user ~1"], || {
        users.restore(scene.ada).unwrap()
    });
    scene.are_dead(&["ada-1", "ada-2"], &["ada"]);
    let session = scene.world.open(scene.ada, "ada-1");
    assert!(scene.world.passes(&session, "ada-1"));
}

#[test]
fn a_branch_off_and_on_brings_nothing_back() {
    let scene = Scene::new();
    let branches = scene.store().branches();
    let off = || branches.set_active(scene.york, false).unwrap();
    check(&scene.world, &["branch ~1", "change +1"], off);
    let on = || branches.set_active(scene.york, true).unwrap();
    check(&scene.world, &["branch ~1", "change +1"], on);
    scene.are_dead(&["ada-1", "ada-2", "bob-1"], &[]);
}

#[test]
fn a_rotated_key_is_one_row_out_and_one_row_in() {
    let scene = Scene::new();
    let keys = scene.store().api_keys();
    check(&scene.world, &["api_key ~1", "change +1"], || {
        keys.rotate(scene.key("ada"), Duration::ZERO).unwrap()
    });
    scene.are_dead(&[], &["ada"]);
    check(&scene.world, &["api_key ~1", "api_key +1", "change +1"], || {
        keys.rotate(scene.key("bob"), MINUTE).unwrap()
    });
    scene.are_dead(&[], &["ada"]);
}

#[test]
fn a_new_session_writes_no_change_row_and_outlives_whatever_was() {
    let world = World::new();
    let new = NewUser::person("ada");
    let ada = world.store.users().create(new).unwrap().id;
    world.store.sessions().revoke_all(Subtree::Store).unwrap();
    let open = OpenSession::new(ada, device("till-1"));
    let rows = ["device +1", "session +1", "user ~1"];
    let session = check(&world, &rows, || {
        world.store.sessions().open(open).unwrap().granted().unwrap().session
    });
    assert!(world.passes(&session, "till-1"));
}
