//! Trusted devices: a login on one needs no code, and always the password.

use std::time::Duration;

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::policy::{ChangeAtLogin, SessionPolicy};
use gatepost::sessions::{
    Assurance, KnownDevice, NewOneTimeToken, OpenSession, RevokeSessions, StepDemand,
};
use gatepost::{CompleteLogin, ErrorKind, LoginRefusal, LoginRequest, Options, Password};

use super::{NEW, Scene, wrong_at};
use crate::world::{DAY, HOUR, PASSWORD, SECOND, device};

impl Scene {
    /// Logs in with password and code on a device, which is trusted for a day from then on.
    pub(crate) fn trust(&self, on: &str) {
        let code = self.next_code();
        let request = self.login(on).code(code).trust_device(DAY);
        let reply = self.world.ask(request).unwrap();
        self.world.log_out(&reply.session, on);
    }

    /// Whether a login on the device needs no code.
    pub(crate) fn is_trusted(&self, on: &str) -> bool {
        match self.world.ask(self.login(on)) {
            Ok(reply) => {
                assert_eq!(reply.principal.assurance, Assurance::Aal1, "trust is no factor");
                self.world.log_out(&reply.session, on);
                true
            }
            Err(refusal) => {
                assert_eq!(refusal, LoginRefusal::MfaCodeRequired);
                false
            }
        }
    }

    fn trusted(&self) -> Vec<KnownDevice> {
        let devices = self.world.store.devices().list(self.ada).unwrap();
        devices.into_iter().filter(|device| device.trusted_until.is_some()).collect()
    }
}

#[test]
fn a_trusted_device_skips_the_code_and_never_the_password() {
    let scene = Scene::new();
    scene.trust("till");
    assert!(scene.is_trusted("till"));
    assert!(!scene.is_trusted("desk"));
    let wrong = LoginRequest::new("ada", Password::from("a wrong one"), device("till"));
    let refusal = scene.world.ask(wrong).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    // A code that is typed all the same must be right, and counts.
    let guess = scene.login("till").code(wrong_at(scene.world.now()));
    assert_eq!(scene.world.ask(guess).unwrap_err(), LoginRefusal::InvalidCredentials);
    let code = scene.next_code();
    let reply = scene.world.ask(scene.login("till").code(code)).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
}

#[test]
fn trust_is_of_one_user() {
    let scene = Scene::new();
    scene.trust("till");
    let bob = scene.world.person("bob").id;
    super::give_factor(&scene.world, bob);
    let login = LoginRequest::new("bob", Password::from(PASSWORD), device("till"));
    assert_eq!(scene.world.ask(login).unwrap_err(), LoginRefusal::MfaCodeRequired);
}

#[test]
fn trust_ends_at_its_end() {
    let scene = Scene::new();
    scene.trust("till");
    assert_eq!(scene.trusted()[0].trusted_until, Some(scene.world.now() + DAY));
    scene.world.clock.advance(DAY - Duration::from_millis(1));
    assert!(scene.is_trusted("till"), "a login does not prolong it");
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(!scene.is_trusted("till"));
    assert!(scene.trusted().is_empty());
}

/// Once trust that a clock 60 days ahead gave for a day lasted for 61 after the correction.
#[test]
fn trust_that_a_wrong_clock_gave_does_not_count_before_its_time() {
    for days in [1, 60, 365] {
        let mut scene = Scene::new();
        let right = scene.world.now();
        scene.world.clock.advance(days * DAY);
        scene.trust("till");
        let (given, until) = (scene.world.now(), scene.world.now() + DAY);
        assert!(scene.is_trusted("till"));
        for early in [right + HOUR, given - 61 * SECOND] {
            scene.world.clock.set(early);
            scene.world.reopen();
            assert!(!scene.is_trusted("till"), "{days} days ahead");
            assert!(scene.trusted().is_empty());
        }
        // As a session that was opened in the future: not before its time, and to its end.
        for late in [given - 60 * SECOND, until - Duration::from_millis(1)] {
            scene.world.clock.set(late);
            assert!(scene.is_trusted("till"), "{days} days ahead");
        }
    }
}

/// After a login by a clock that was ahead, trust from before is as doubtful as trust from then.
#[test]
fn trust_that_is_given_after_a_correction_of_the_clock_counts_at_once() {
    let mut scene = Scene::new();
    let codes = scene.recovery_codes();
    scene.trust("till");
    let right = scene.world.now();
    scene.world.clock.advance(60 * DAY);
    let open = OpenSession::new(scene.ada, device("till")).assurance(Assurance::Aal2);
    assert!(scene.world.store.sessions().open(open).unwrap().granted().is_ok());
    scene.world.clock.set(right + HOUR);
    scene.world.reopen();
    assert!(!scene.is_trusted("till"));
    let code = scene.login("till").recovery_code(codes[0].as_str());
    assert!(scene.world.ask(code.trust_device(DAY)).is_ok());
    assert!(scene.is_trusted("till"));
}

/// Whether trust is over depends on the clock of a process, and a revocation is final.
#[test]
fn trust_is_revoked_also_where_the_clock_says_that_there_is_none() {
    let moves: [fn(&Scene); 2] = [
        |scene| scene.world.clock.advance(100 * DAY),
        |scene| scene.world.clock.set(scene.world.now() - 2 * DAY),
    ];
    for moved in moves {
        let mut scene = Scene::new();
        scene.trust("till");
        let right = scene.world.now();
        moved(&scene);
        scene.world.reopen();
        assert!(scene.trusted().is_empty());
        assert!(scene.world.store.devices().revoke_trust(scene.ada).unwrap());
        assert!(!scene.world.store.devices().revoke_trust(scene.ada).unwrap());
        scene.world.clock.set(right);
        scene.world.reopen();
        assert!(!scene.is_trusted("till"));
    }
}

/// Makes ada's next login need a new password, and returns the password of that login.
type Demand = fn(&Scene) -> String;

/// The password is known; the authenticator is not (ASVS 7.5.1).
#[test]
fn a_new_password_needs_the_code_on_a_trusted_device_too() {
    type Change = fn(Options) -> Options;
    let cases: [(Change, Demand, bool); 4] = [
        (
            |options| options,
            |scene| {
                let users = scene.world.store.users();
                users.require_password_change(scene.ada, RevokeSessions::Keep).unwrap();
                PASSWORD.to_owned()
            },
            true,
        ),
        (
            |options| options.password_expiry(DAY),
            |scene| {
                scene.world.clock.advance(DAY - super::STEP);
                PASSWORD.to_owned()
            },
            true,
        ),
        (
            |options| options,
            |scene| {
                let tokens = scene.world.store.one_time_tokens();
                let new = NewOneTimeToken::temporary_password();
                tokens.issue(scene.ada, new).unwrap().token.expose().to_owned()
            },
            true,
        ),
        (|options| options.change_at_login(ChangeAtLogin::Always), |_| PASSWORD.to_owned(), false),
    ];
    for (change, demand, is_required) in cases {
        let scene = Scene::with(change);
        scene.trust("till");
        let password = demand(&scene);
        assert_eq!(scene.trusted().len(), 1);
        let login = || LoginRequest::new("ada", password.as_str().into(), device("till"));
        if is_required {
            let refused = scene.world.ask(login()).unwrap_err();
            assert_eq!(refused, LoginRefusal::NewPasswordRequired);
        }
        let step = scene.pending(login().new_password(NEW.into()));
        assert_eq!(step.demand, StepDemand::Code);
        assert_eq!(step.new_password_required, is_required);
        assert!(scene.world.log_in("ada", NEW, "till").is_err(), "nothing is set yet");
        let code = scene.next_code();
        let with = CompleteLogin::with_code(step.token.expose(), device("till"), code);
        let reply = scene.complete(with.new_password(NEW.into())).unwrap();
        assert_eq!(reply.principal.assurance, Assurance::Aal2);
        drop(scene.pending(LoginRequest::new("ada", NEW.into(), device("till"))));
    }
}

/// A thief of the password on a trusted device could guess codes there, and take the count back by
/// a login without a code.
#[test]
fn a_wrong_code_ends_the_trust_of_its_device() {
    let scene = Scene::new();
    scene.trust("desk");
    scene.trust("till");
    let failed = || scene.world.user(scene.ada).failed_attempts;
    let guess = scene.login("till").code(wrong_at(scene.world.now()));
    assert_eq!(scene.world.ask(guess).unwrap_err(), LoginRefusal::InvalidCredentials);
    // Who has proven nothing cannot push the row out.
    let revoked = AuditFilter::new().kind(EventKind::DeviceTrustRevoked).from_library();
    let rows = scene.world.store.audit().latest(2, &revoked).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].detail.as_deref(), Some("wrong code"));
    assert!(!scene.is_trusted("till"));
    assert!(scene.is_trusted("desk"));
    assert_eq!(failed(), 1, "the password forgave a code");
    drop(scene.enter("till"));
    assert_eq!(failed(), 0, "the code forgives");
    assert!(!scene.is_trusted("till"));
}

/// A click that was made twice, or an answer that was lost.
#[test]
fn a_login_that_is_sent_twice_ends_no_trust() {
    let scene = Scene::new();
    let code = scene.next_code();
    let login = || scene.login("till").code(code.as_str()).trust_device(DAY);
    let opened = scene.world.ask(login()).unwrap().session;
    assert_eq!(scene.world.ask(login()).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 1);
    scene.world.log_out(&opened, "till");
    assert!(scene.is_trusted("till"));
}

/// The passwords that its user mistypes in the months of the trust do not add up.
#[test]
fn a_login_that_skips_the_code_forgives_the_failures_on_its_device_alone() {
    let scene = Scene::new();
    scene.trust("desk");
    scene.trust("till");
    let failed = || scene.world.user(scene.ada).failed_attempts;
    let mistyped = |on: &str| {
        let wrong = LoginRequest::new("ada", Password::from("a wrong one"), device(on));
        // A code beside a wrong password is not compared, and so ends no trust.
        let wrong = wrong.code(wrong_at(scene.world.now()));
        assert_eq!(scene.world.ask(wrong).unwrap_err(), LoginRefusal::InvalidCredentials);
    };
    for on in ["elsewhere", "desk", "desk", "till", "till", "till"] {
        mistyped(on);
    }
    assert_eq!(failed(), 6);
    for _ in 0..20 {
        assert!(scene.is_trusted("till"));
        assert_eq!(failed(), 3);
        mistyped("till");
        assert_eq!(failed(), 4);
    }
    assert!(scene.is_trusted("desk"));
    assert_eq!(failed(), 2);
}

#[test]
fn a_completed_step_may_trust_its_device() {
    let scene = Scene::new();
    let step = scene.step("till");
    let with = CompleteLogin::with_code(step.token.expose(), device("till"), scene.code());
    let reply = scene.complete(with.trust_device(HOUR)).unwrap();
    scene.world.log_out(&reply.session, "till");
    assert!(scene.is_trusted("till"));
}

#[test]
fn a_pending_login_and_a_wrong_code_trust_nothing() {
    let scene = Scene::new();
    drop(scene.pending(scene.login("till").trust_device(HOUR)));
    let guess = scene.login("till").code(wrong_at(scene.world.now())).trust_device(HOUR);
    assert!(scene.world.ask(guess).is_err());
    assert!(!scene.is_trusted("till"));
}

#[test]
fn a_trusted_login_does_not_renew_its_own_trust() {
    let scene = Scene::new();
    scene.trust("till");
    scene.world.clock.advance(HOUR);
    let request = scene.login("till").trust_device(30 * DAY);
    let reply = scene.world.ask(request).unwrap();
    scene.world.log_out(&reply.session, "till");
    scene.world.clock.advance(23 * HOUR);
    assert!(!scene.is_trusted("till"));
}

#[test]
fn a_user_has_ten_trusted_devices_at_most() {
    let scene = Scene::new();
    for n in 0..11 {
        scene.trust(&format!("till-{n}"));
    }
    assert_eq!(scene.trusted().len(), 10);
    assert!(!scene.is_trusted("till-0"), "the one whose trust ends first");
    assert!(scene.is_trusted("till-1") && scene.is_trusted("till-10"));
}

#[test]
fn the_trust_of_all_devices_is_revoked_by_one_call() {
    let scene = Scene::new();
    scene.trust("till");
    scene.trust("desk");
    let session = scene.enter("home").session;
    let revoked = scene.world.leaves(&[EventKind::DeviceTrustRevoked], 1, |store| {
        store.devices().revoke_trust(scene.ada).unwrap()
    });
    assert!(revoked && !scene.is_trusted("till") && !scene.is_trusted("desk"));
    assert!(scene.world.passes(&session, "home"));
    assert!(!scene.world.leaves(&[], 0, |store| store.devices().revoke_trust(scene.ada).unwrap()));
    scene.trust("till");
    assert!(scene.is_trusted("till"), "trusted again");
}

#[test]
fn a_forgotten_device_is_not_trusted() {
    let scene = Scene::new();
    scene.trust("till");
    assert!(scene.world.store.devices().forget(scene.ada, &device("till")).unwrap());
    assert!(!scene.is_trusted("till"));
    scene.enter("till");
    assert!(!scene.is_trusted("till"), "known again, and not trusted");
}

#[test]
fn a_recovery_code_revokes_the_trust_of_all_devices() {
    let scene = Scene::new();
    let codes = scene.recovery_codes();
    scene.trust("till");
    let request = scene.login("desk").recovery_code(codes[0].as_str()).trust_device(DAY);
    let reply = scene.world.ask(request).unwrap();
    scene.world.log_out(&reply.session, "desk");
    assert!(!scene.is_trusted("till"));
    assert!(scene.is_trusted("desk"), "the device of this very login");
}

#[test]
fn without_a_device_there_is_nothing_to_trust() {
    let policy = SessionPolicy::server().require_device(false);
    let scene = Scene::with(|options| options.sessions(policy));
    let bare = || LoginRequest::new("ada", Password::from(PASSWORD), None);
    let code = scene.code();
    scene.world.refuses(ErrorKind::Invalid, |store| {
        store.log_in(bare().code(code.as_str()).trust_device(DAY))
    });
    let step = scene.pending(bare());
    let complete = || CompleteLogin::with_code(step.token.expose(), None, code.as_str());
    scene
        .world
        .refuses(ErrorKind::Invalid, |store| store.complete_login(complete().trust_device(DAY)));
    assert!(scene.complete(complete()).is_ok());
}
