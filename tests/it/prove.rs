//! Step-up: a proof in a session, and the check that there was one lately.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::sessions::{Assurance, NotFresh, OpenSession, Reauthentication};
use gatepost::{ErrorKind, LoginRefusal, LoginReply, OpenedSession, Store};

use crate::pending_step::{STEP, Scene, wrong_at};
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device};

fn prove(
    store: &Store,
    session: &OpenedSession,
    on: &str,
    with: Reauthentication,
) -> Result<LoginReply, LoginRefusal> {
    store.prove((&session.token, &device(on)), with).unwrap().granted()
}

#[track_caller]
fn check_fresh(
    store: &Store,
    session: &OpenedSession,
    on: &str,
    level: Assurance,
    expect: Result<(), NotFresh>,
) {
    let asked = store.require_fresh((&session.token, &device(on)), 15 * MINUTE, level);
    assert_eq!(asked.unwrap().granted().map(drop), expect);
}

#[test]
fn a_password_makes_a_session_of_aal1_fresh_again_under_a_new_token() {
    let world = World::new();
    world.person("ada");
    let old = world.log_in("ada", PASSWORD, "till").unwrap().session;
    check_fresh(&world.store, &old, "till", Assurance::Aal1, Ok(()));
    world.clock.advance(15 * MINUTE - Duration::from_millis(1));
    check_fresh(&world.store, &old, "till", Assurance::Aal1, Ok(()));
    world.clock.advance(Duration::from_millis(1));
    check_fresh(&world.store, &old, "till", Assurance::Aal1, Err(NotFresh::StepUpRequired));

    let proved = [EventKind::SessionProved];
    let with = Reauthentication::password(PASSWORD);
    let reply = world.leaves(&proved, 1, |store| prove(store, &old, "till", with)).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal1);
    assert_eq!(reply.principal.authenticated_at, world.now());
    assert_eq!((reply.session.id, reply.session.expires_at), (old.id, old.expires_at));
    check_fresh(&world.store, &reply.session, "till", Assurance::Aal1, Ok(()));
    check_fresh(&world.store, &old, "till", Assurance::Aal1, Err(NotFresh::Invalid));
    let high = Err(NotFresh::StepUpRequired);
    check_fresh(&world.store, &reply.session, "till", Assurance::Aal2, high);
}

#[test]
fn a_code_raises_the_session_to_aal2() {
    let scene = Scene::new();
    scene.trust("till");
    let weak = scene.world.ask(scene.login("till")).unwrap().session;
    check_fresh(&scene.world.store, &weak, "till", Assurance::Aal2, Err(NotFresh::StepUpRequired));
    let with = Reauthentication::code(scene.next_code());
    let reply = prove(&scene.world.store, &weak, "till", with).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
    check_fresh(&scene.world.store, &reply.session, "till", Assurance::Aal2, Ok(()));
    let verified = scene.world.store.verify((&reply.session.token, &device("till")));
    assert_eq!(verified.unwrap().valid().unwrap().assurance, Assurance::Aal2);
}

/// The level says what was proved: nothing else raises it.
#[test]
fn no_level_is_above_what_its_session_has_proved() {
    let scene = Scene::new();
    scene.trust("till");
    let weak = scene.world.ask(scene.login("till")).unwrap().session;
    let level = |session: &OpenedSession| {
        let verified = scene.world.store.verify((&session.token, &device("till"))).unwrap();
        verified.valid().unwrap().assurance
    };
    assert_eq!(level(&weak), Assurance::Aal1);
    let renewal = scene.world.store.renew((&weak.token, &device("till"))).unwrap();
    assert!(renewal.valid().is_ok());
    assert_eq!(level(&weak), Assurance::Aal1);
    let with = Reauthentication::password(PASSWORD);
    let proved = prove(&scene.world.store, &weak, "till", with).unwrap().session;
    assert_eq!(level(&proved), Assurance::Aal1);
    let with = Reauthentication::code(wrong_at(scene.world.now()));
    assert!(prove(&scene.world.store, &proved, "till", with).is_err());
    assert_eq!(level(&proved), Assurance::Aal1);
}

#[test]
fn a_proof_never_prolongs_the_absolute_lifetime() {
    let world = World::new();
    world.person("ada");
    let mut session = world.log_in("ada", PASSWORD, "till").unwrap().session;
    let opened = world.now();
    let on = device("till");
    let end = |session: &OpenedSession| {
        world.store.renew((&session.token, &on)).unwrap().valid().unwrap()
    };
    // Renewed and proved all the time, for a month: the policy's maximum.
    for turn in 1..33 {
        world.clock.set(opened + turn * 22 * HOUR);
        let with = Reauthentication::password(PASSWORD);
        let before = end(&session);
        let reply = prove(&world.store, &session, "till", with).unwrap();
        assert_eq!(reply.session.expires_at, before, "the proof moves no end");
        session = reply.session;
        assert!(end(&session) <= opened + 30 * DAY);
    }
    world.clock.set(opened + 30 * DAY - Duration::from_millis(1));
    assert_eq!(end(&session), opened + 30 * DAY);
    assert!(world.passes(&session, "till"));
    world.clock.set(opened + 30 * DAY);
    assert!(!world.passes(&session, "till"));
}

#[test]
fn a_password_proves_nothing_in_a_session_above_aal1() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    let prove_it = || {
        let with = Reauthentication::password(PASSWORD);
        prove(&scene.world.store, &session, "till", with)
    };
    let refused = scene.world.hashes(0, |_| prove_it()).unwrap_err();
    assert_eq!(refused, LoginRefusal::MfaCodeRequired);
    assert!(scene.world.passes(&session, "till"));
}

#[test]
fn a_user_without_a_factor_has_no_code_to_prove_with() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.log_in("ada", PASSWORD, "till").unwrap().session;
    let refused = prove(&world.store, &session, "till", Reauthentication::code("123456"));
    assert_eq!(refused.unwrap_err(), LoginRefusal::MfaEnrolmentRequired);
    assert_eq!(world.user(ada).failed_attempts, 0);
}

#[test]
fn only_the_host_repeats_a_proof_of_aal3() {
    let scene = Scene::new();
    let open = OpenSession::new(scene.ada, device("till")).assurance(Assurance::Aal3);
    let session = scene.world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let (on, code) = (device("till"), scene.code());
    scene.world.refuses(ErrorKind::Invalid, |store| {
        store.prove((&session.token, &on), Reauthentication::code(code.as_str()))
    });
    scene.world.refuses(ErrorKind::Invalid, |store| {
        store.prove((&session.token, &on), Reauthentication::code("1".repeat(65)))
    });
    check_fresh(&scene.world.store, &session, "till", Assurance::Aal3, Ok(()));
}

#[test]
fn wrong_proofs_count_and_change_nothing() {
    let scene = Scene::new();
    scene.trust("till");
    let session = scene.world.ask(scene.login("till")).unwrap().session;
    let refused = [EventKind::SessionProofRefused];
    let wrong = [
        Reauthentication::password("a wrong one"),
        Reauthentication::code(wrong_at(scene.world.now())),
    ];
    for (count, with) in (1..).zip(wrong) {
        let answer = scene
            .world
            .leaves(&refused, 0, |store| prove(store, &session, "till", with))
            .unwrap_err();
        assert_eq!(answer, LoginRefusal::InvalidCredentials);
        assert_eq!(scene.world.user(scene.ada).failed_attempts, count);
        assert!(scene.world.passes(&session, "till"));
    }
    // The password alone is not all that a login needs, so it forgives no guess of a code.
    let with = Reauthentication::password(PASSWORD);
    let session = prove(&scene.world.store, &session, "till", with).unwrap().session;
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 2);
    let with = Reauthentication::code(scene.next_code());
    let session = prove(&scene.world.store, &session, "till", with).unwrap().session;
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
    for _ in 0..5 {
        let with = Reauthentication::code(wrong_at(scene.world.now()));
        drop(prove(&scene.world.store, &session, "till", with));
    }
    let with = Reauthentication::code(scene.code());
    let closed = prove(&scene.world.store, &session, "till", with).unwrap_err();
    assert!(matches!(closed, LoginRefusal::TooManyAttempts { .. }), "{closed:?}");
}

/// The reply said when the session had ended before, although the proof had waited for a renewal.
#[test]
fn the_reply_to_a_proof_has_the_end_that_the_session_has_now() {
    let scene = Scene::new();
    scene.trust("till");
    let session = scene.world.ask(scene.login("till")).unwrap().session;
    // As a renewal an hour later, for as long as the session was opened for.
    let longer = "UPDATE session SET expires_at = expires_at + 3600000";
    let mut held = session;
    for by_code in [false, true] {
        scene.world.clock.advance(HOUR);
        let with = match by_code {
            false => Reauthentication::password(PASSWORD),
            true => Reauthentication::code(scene.code()),
        };
        let end = held.expires_at + HOUR;
        let call = |store: &Store| prove(store, &held, "till", with);
        let reply = scene.world.while_it_waits(call, longer).unwrap();
        assert_eq!((reply.session.expires_at, reply.principal.expires_at), (end, Some(end)));
        held = reply.session;
    }
}

/// Refusals before a hash were counted as refused logins.
#[test]
fn what_is_refused_in_a_session_before_a_hash_is_counted_under_its_own_kind() {
    let scene = Scene::new();
    scene.trust("till");
    let session = scene.world.ask(scene.login("till")).unwrap().session;
    let wrong = || Reauthentication::code(wrong_at(scene.world.now()));
    for _ in 0..5 {
        assert!(prove(&scene.world.store, &session, "till", wrong()).is_err());
    }
    let on = device("desk");
    let open = OpenSession::new(scene.ada, on.clone()).assurance(Assurance::Aal2);
    let strong = scene.world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let closed = |refused: LoginRefusal| {
        assert!(matches!(refused, LoginRefusal::TooManyAttempts { .. }), "{refused:?}");
    };
    closed(prove(&scene.world.store, &session, "till", wrong()).unwrap_err());
    let password = Reauthentication::password(PASSWORD);
    closed(prove(&scene.world.store, &session, "till", password).unwrap_err());
    let new = "nine brass bells".into();
    let changed = scene.world.store.change_password((&strong.token, &on), PASSWORD.into(), new);
    closed(changed.unwrap().granted().unwrap_err());
    scene.world.clock.advance(MINUTE);
    scene.world.store.maintain().unwrap();
    let counted = |kind| {
        let rows = scene.world.log_of(kind).into_iter().filter(|row| row.count.is_some());
        rows.map(|row| (row.reason.unwrap(), row.count.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(counted(EventKind::SessionProofRefused), [("too_many_attempts".into(), 2)]);
    assert_eq!(counted(EventKind::PasswordChangeRefused), [("too_many_attempts".into(), 1)]);
    assert_eq!(counted(EventKind::LoginRefused), []);
}

#[test]
fn a_code_proves_once() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    let code = scene.next_code();
    let with = || Reauthentication::code(code.as_str());
    let session = prove(&scene.world.store, &session, "till", with()).unwrap().session;
    let again = prove(&scene.world.store, &session, "till", with());
    assert_eq!(again.unwrap_err(), LoginRefusal::InvalidCredentials);
}

#[test]
fn an_api_key_is_never_fresh() {
    let world = World::new();
    let ada = world.person("ada").id;
    let key = world.store.api_keys().issue(ada, gatepost::sessions::NewApiKey::new()).unwrap().key;
    let asked = world.store.require_fresh((&key, None), DAY, Assurance::Aal1).unwrap();
    assert_eq!(asked.granted().unwrap_err(), NotFresh::StepUpRequired);
}

#[test]
fn a_user_with_a_factor_changes_the_password_only_after_a_step_up() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    scene.world.clock.advance(15 * MINUTE);
    let change = |session: &OpenedSession| {
        let presented = (&session.token, &device("till"));
        let new = "nine brass bells".into();
        scene.world.store.change_password(presented, PASSWORD.into(), new).unwrap().granted()
    };
    let refused = scene.world.hashes(0, |_| change(&session)).unwrap_err();
    assert_eq!(refused, LoginRefusal::StepUpRequired);
    let with = Reauthentication::code(scene.next_code());
    let session = prove(&scene.world.store, &session, "till", with).unwrap().session;
    scene.world.clock.advance(15 * MINUTE - STEP);
    assert!(change(&session).is_ok());
}

/// A thief of a session and the password could guess codes in between changes of the password.
#[test]
fn a_change_of_the_password_forgives_no_wrong_code() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    for _ in 0..2 {
        let with = Reauthentication::code(wrong_at(scene.world.now()));
        assert!(prove(&scene.world.store, &session, "till", with).is_err());
    }
    let presented = (&session.token, &device("till"));
    let new = "nine brass bells".into();
    let changed = scene.world.store.change_password(presented, PASSWORD.into(), new).unwrap();
    let session = changed.granted().unwrap().session;
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 2);
    let with = Reauthentication::code(scene.next_code());
    assert!(prove(&scene.world.store, &session, "till", with).is_ok());
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
}

#[test]
fn a_user_without_a_factor_changes_the_password_in_an_old_session() {
    let world = World::new();
    world.person("ada");
    let session = world.log_in("ada", PASSWORD, "till").unwrap().session;
    world.clock.advance(20 * HOUR);
    let presented = (&session.token, &device("till"));
    let change = world.store.change_password(presented, PASSWORD.into(), "nine bells ring".into());
    assert!(change.unwrap().granted().is_ok());
}
