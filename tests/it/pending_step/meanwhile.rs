//! What happens between the two calls of a login, and new passwords.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::host::ManualClock;
use gatepost::policy::ChangeAtLogin;
use gatepost::sessions::{NewOneTimeToken, RevokeSessions};
use gatepost::{
    CompleteLogin, LoginRefusal, LoginRequest, NewUser, Options, Password, Store, UserId,
};

use super::{NEW, Scene, give_factor, pending};
use crate::world::{Meanwhile, PASSWORD, device, morning, wait_for_reads};

/// What is done between the two calls, and the refusal of the second one.
#[track_caller]
fn check(expect: Option<LoginRefusal>, between: impl FnOnce(&Store, UserId)) {
    let scene = Scene::new();
    let step = scene.step("till");
    between(&scene.world.store, scene.ada);
    let refused = scene.finish(&step, "till", &scene.code()).err();
    assert_eq!(refused, expect);
    if expect.is_some() {
        let charged = scene.world.count("SELECT sum(failures + known_failures) FROM throttle");
        assert_eq!(charged, 0, "no guess was compared");
    }
}

#[test]
fn what_ends_one_time_tokens_ends_steps() {
    let not_live = Some(LoginRefusal::StepNotLive);
    check(None, |_, _| {});
    check(not_live, |store, ada| store.users().set_password(ada, NEW.into()).unwrap());
    check(not_live, |store, ada| assert!(store.users().mark_compromised(ada).unwrap()));
    check(not_live, |store, ada| assert!(store.users().remove_password(ada).unwrap()));
    check(not_live, |store, ada| store.users().delete(ada).unwrap());
    check(not_live, |store, ada| drop(store.users().rename(ada, "countess").unwrap()));
    check(not_live, |store, ada| {
        drop(store.users().set_email(ada, Some("ada@example.com")).unwrap());
    });
    check(not_live, |store, ada| drop(store.users().confirm(ada).unwrap()));
    check(not_live, |store, ada| store.sessions().revoke_all(ada).unwrap());
    check(not_live, |store, ada| store.one_time_tokens().revoke_all(ada).unwrap());
    check(not_live, |store, ada| assert!(store.second_factors().reset(ada).unwrap()));
    for status in [UserStatus::Locked, UserStatus::Disabled, UserStatus::Pending] {
        check(not_live, |store, ada| {
            drop(store.users().set_status(ada, status).unwrap());
            drop(store.users().set_status(ada, UserStatus::Active).unwrap());
        });
    }
    check(Some(LoginRefusal::NewPasswordRequired), |store, ada| {
        assert!(store.users().require_password_change(ada, RevokeSessions::Keep).unwrap());
    });
    // The table has a stroke in this row.
    check(None, |store, ada| {
        assert!(store.users().set_privileges(ada, &["reports.read"]).is_ok());
    });
}

#[test]
fn a_place_that_is_disabled_ends_the_steps_under_it() {
    let scene = Scene::new();
    let store = &scene.world.store;
    let branch = store.branches().create("York", None).unwrap().id;
    store.users().move_to(scene.ada, branch).unwrap();
    let step = scene.step("till");
    store.branches().set_active(branch, false).unwrap();
    store.branches().set_active(branch, true).unwrap();
    let late = scene.finish(&step, "till", &scene.code());
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
}

#[test]
fn what_the_login_demanded_is_demanded_of_its_completion() {
    let scene = Scene::new();
    let users = scene.world.store.users();
    users.set_privileges(scene.ada, &["admin"]).unwrap();
    let step = scene.pending(scene.login("till").require_admin());
    users.set_privileges(scene.ada, &[]).unwrap();
    let code = scene.code();
    let late = scene.finish(&step, "till", &code);
    assert_eq!(late.unwrap_err(), LoginRefusal::AdministratorRequired);
    users.set_privileges(scene.ada, &["admin"]).unwrap();
    assert!(scene.finish(&step, "till", &code).is_ok(), "neither code nor share was used up");
}

#[test]
fn a_denied_desktop_client_gets_no_step() {
    let scene = Scene::new();
    let new =
        NewUser::person("eve").password(Password::from(PASSWORD)).desktop_client_denied(true);
    let eve = scene.world.store.users().create(new).unwrap().id;
    give_factor(&scene.world, eve);
    let login = || LoginRequest::new("eve", Password::from(PASSWORD), device("till"));
    let refused = scene.world.ask(login().client(gatepost::ClientKind::Desktop)).unwrap_err();
    assert_eq!(refused, LoginRefusal::DesktopClientDenied);
    assert_eq!(scene.world.count("SELECT count(*) FROM pending_step"), 0);
}

#[test]
fn a_completion_sets_the_new_password_that_is_demanded() {
    let scene = Scene::new();
    let keep = RevokeSessions::Keep;
    scene.world.store.users().require_password_change(scene.ada, keep).unwrap();
    // The password of the first call is not stored.
    let step = scene.pending(scene.login("till").new_password("never stored here".into()));
    assert!(step.new_password_required);
    let (token, code) = (step.token.expose(), scene.code());
    let with = || CompleteLogin::with_code(token, device("till"), code.as_str());
    let refused = scene.complete(with()).unwrap_err();
    assert_eq!(refused, LoginRefusal::NewPasswordRequired);
    let same = scene.complete(with().new_password(PASSWORD.into())).unwrap_err();
    assert!(matches!(same, LoginRefusal::PasswordRejected(_)), "{same:?}");
    let short = scene.complete(with().new_password("short".into())).unwrap_err();
    assert!(matches!(short, LoginRefusal::PasswordRejected(_)), "{short:?}");
    let reply = scene.complete(with().new_password(NEW.into())).unwrap();
    assert!(!reply.profile.user.must_change_password);
    let login = LoginRequest::new("ada", Password::from(NEW), device("till"));
    drop(scene.pending(login));
}

#[test]
fn a_marked_user_may_send_code_and_new_password_in_one_call() {
    let scene = Scene::new();
    let keep = RevokeSessions::Keep;
    scene.world.store.users().require_password_change(scene.ada, keep).unwrap();
    let code = scene.code();
    let refused = scene.world.ask(scene.login("till").code(code.as_str())).unwrap_err();
    assert_eq!(refused, LoginRefusal::NewPasswordRequired);
    let wrong = super::wrong_at(scene.world.now());
    let guess = scene.login("till").new_password(NEW.into()).code(wrong);
    assert_eq!(scene.world.ask(guess).unwrap_err(), LoginRefusal::InvalidCredentials);
    let request = scene.login("till").new_password(NEW.into()).code(code);
    assert!(scene.world.ask(request).is_ok());
}

#[test]
fn a_password_that_need_not_change_is_refused_before_the_code() {
    let scene = Scene::new();
    let request = scene.login("till").new_password(NEW.into());
    assert_eq!(scene.world.ask(request).unwrap_err(), LoginRefusal::PasswordChangeNotAllowed);
    let allowed = Scene::with(|options: Options| options.change_at_login(ChangeAtLogin::Always));
    let step = allowed.pending(allowed.login("till").new_password(NEW.into()));
    assert!(!step.new_password_required);
    let code = allowed.code();
    let with = CompleteLogin::with_code(step.token.expose(), device("till"), code);
    assert!(allowed.complete(with.new_password(NEW.into())).is_ok());
}

#[test]
fn a_temporary_password_needs_the_second_factor_too_and_is_used_once() {
    let scene = Scene::new();
    let tokens = scene.world.store.one_time_tokens();
    let issued = tokens.issue(scene.ada, NewOneTimeToken::temporary_password()).unwrap();
    let login = |on| LoginRequest::new("ada", issued.token.expose().into(), device(on));
    let (till, desk) = (scene.pending(login("till")), scene.pending(login("desk")));
    assert!(till.new_password_required);
    let code = scene.code();
    let with = |step: &gatepost::PendingStep, on| {
        let with = CompleteLogin::with_code(step.token.expose(), device(on), code.as_str());
        with.new_password(NEW.into())
    };
    assert!(scene.complete(with(&till, "till")).is_ok());
    let late = scene.complete(with(&desk, "desk"));
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
    let again = scene.world.ask(login("home").new_password(NEW.into())).unwrap_err();
    assert_eq!(again, LoginRefusal::InvalidCredentials);
}

#[test]
fn a_hash_that_is_made_more_costly_meanwhile_ends_no_step() {
    let scene = Scene::new();
    let step = scene.step("till");
    let again = pending(scene.world.store.log_in(scene.login("desk")).unwrap());
    assert!(scene.finish(&again, "desk", &scene.code()).is_ok());
    scene.world.clock.advance(Duration::from_secs(30));
    assert!(scene.finish(&step, "till", &scene.code()).is_ok());
}

/// The new password is hashed between the charge of the guess and the write that opens.
#[test]
fn a_step_that_ends_while_the_new_password_is_hashed_opens_nothing() {
    let meanwhile = Meanwhile::default();
    let scene = Scene::with(|options| options.breach_check(meanwhile.check()));
    let keep = RevokeSessions::Keep;
    scene.world.store.users().require_password_change(scene.ada, keep).unwrap();
    let step = scene.step("till");
    let (store, ada) = (scene.world.store.clone(), scene.ada);
    meanwhile.happens(move || store.one_time_tokens().revoke_all(ada).unwrap());
    let with = CompleteLogin::with_code(step.token.expose(), device("till"), scene.code());
    let late = scene.complete(with.new_password(NEW.into()));
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
    assert!(scene.world.sessions_of(scene.ada).is_empty());
}

#[test]
fn a_recovery_code_that_is_used_while_the_new_password_is_hashed_opens_nothing() {
    let meanwhile = Meanwhile::default();
    let scene = Scene::with(|options| {
        options.breach_check(meanwhile.check()).change_at_login(ChangeAtLogin::Always)
    });
    let code = scene.recovery_codes().remove(0);
    let (store, first) = (scene.world.store.clone(), scene.login("desk").recovery_code(&*code));
    meanwhile.happens(move || assert!(store.log_in(first).unwrap().granted().is_ok()));
    let second = scene.login("till").recovery_code(&*code).new_password(NEW.into());
    assert_eq!(scene.world.ask(second).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(scene.world.sessions_of(scene.ada).len(), 1);
    drop(scene.step("till"));
}

#[test]
fn a_step_that_another_process_deletes_is_charged_nothing_and_an_unknown_one_waits_for_no_write() {
    let scene = Scene::new();
    let (step, code) = (scene.step("till"), scene.code());
    let late = scene
        .world
        .while_it_waits(|_| scene.finish(&step, "till", &code), "DELETE FROM pending_step");
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
    let hand = scene.world.sql();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unknown = scene.finish(&step, "till", &code);
    assert_eq!(unknown.unwrap_err(), LoginRefusal::StepNotLive);
    hand.execute_batch("ROLLBACK").unwrap();
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
}

/// A login that found no factor does not revoke, so the recovery code of one that comes into force
/// before its last write must not pass. The factor comes at one reading of the clock after another.
#[test]
fn a_recovery_code_of_a_factor_that_comes_meanwhile_is_not_used_up_without_revoking() {
    let mut too_late = 0;
    for readings in 0..8 {
        let (meanwhile, clock) = (Meanwhile::default(), ManualClock::new(morning()));
        let mut scene = Scene::with(|options| options.clock(meanwhile.clock(&clock)));
        scene.world.clock = clock;
        let code = scene.recovery_codes().remove(0);
        let office = scene.enter("office").session;
        let hand = Arc::new(Mutex::new(scene.world.sql()));
        let sql = |text: &str| hand.lock().unwrap().execute_batch(text);
        sql("CREATE TEMP TABLE factor AS SELECT * FROM totp; DELETE FROM totp;
             CREATE TEMP TABLE code AS SELECT * FROM recovery_code; DELETE FROM recovery_code;
             PRAGMA busy_timeout = 0")
        .unwrap();
        let (there, has_begun) = (Arc::clone(&hand), Arc::new(AtomicBool::new(false)));
        let begun = Arc::clone(&has_begun);
        meanwhile.happens_after(readings, move || {
            // Within a write no other one begins.
            let began = there.lock().unwrap().execute_batch("BEGIN IMMEDIATE");
            begun.store(began.is_ok(), Ordering::SeqCst);
        });
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| scene.world.ask(scene.login("till").recovery_code(&*code)));
            while !has_begun.load(Ordering::SeqCst) && !asked.is_finished() {
                std::thread::yield_now();
            }
            if has_begun.load(Ordering::SeqCst) {
                wait_for_reads();
                let back = "INSERT INTO totp SELECT * FROM factor;
                            INSERT INTO recovery_code SELECT * FROM code; COMMIT";
                sql(back).unwrap();
            }
            asked.join().unwrap()
        });
        let left = scene.world.count("SELECT count(*) FROM recovery_code");
        match answer {
            Ok(_) if left == 9 => assert!(!scene.world.passes(&office, "office"), "{readings}"),
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!((refusal, left), (LoginRefusal::StepNotLive, 10));
                too_late += 1;
            }
        }
    }
    assert!(too_late > 0);
}

/// A login that had to wait for a code hashed no new password, so it must not be granted where the
/// factor goes away before its last write. The factor goes at one reading of the clock after
/// another.
#[test]
fn a_login_whose_factor_goes_away_meanwhile_is_not_granted_without_its_new_password() {
    let mut too_late = 0;
    for readings in 0..10 {
        let (meanwhile, clock) = (Meanwhile::default(), ManualClock::new(morning()));
        let mut scene = Scene::with(|options| options.clock(meanwhile.clock(&clock)));
        scene.world.clock = clock;
        let users = scene.world.store.users();
        users.require_password_change(scene.ada, RevokeSessions::Keep).unwrap();
        let hand = Arc::new(Mutex::new(scene.world.sql()));
        hand.lock().unwrap().execute_batch("PRAGMA busy_timeout = 0").unwrap();
        let (there, has_begun) = (Arc::clone(&hand), Arc::new(AtomicBool::new(false)));
        let begun = Arc::clone(&has_begun);
        meanwhile.happens_after(readings, move || {
            // Within a write no other one begins.
            let began = there.lock().unwrap().execute_batch("BEGIN IMMEDIATE");
            begun.store(began.is_ok(), Ordering::SeqCst);
        });
        let login = scene.login("till").new_password(NEW.into());
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| scene.world.ask(login));
            while !has_begun.load(Ordering::SeqCst) && !asked.is_finished() {
                std::thread::yield_now();
            }
            if has_begun.load(Ordering::SeqCst) {
                wait_for_reads();
                hand.lock().unwrap().execute_batch("DELETE FROM totp; COMMIT").unwrap();
            }
            asked.join().unwrap()
        });
        let is_set = !scene.world.user(scene.ada).must_change_password;
        assert_eq!(answer.is_ok(), is_set, "{readings} readings");
        match answer {
            Ok(_) | Err(LoginRefusal::MfaCodeRequired) => {}
            Err(refusal) => {
                assert_eq!(refusal, LoginRefusal::StepNotLive, "{readings} readings");
                assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
                let again = scene.login("till").new_password(NEW.into());
                assert!(scene.world.ask(again).is_ok());
                too_late += 1;
            }
        }
    }
    assert!(too_late > 0);
}
