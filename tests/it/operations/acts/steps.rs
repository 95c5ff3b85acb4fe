//! How the operations of a login that waits, of trust and of step-up are called.

use data_encoding::BASE32_NOPAD;
use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::{NewTotp, TotpEnrolment};
use gatepost::sessions::{Assurance, Reauthentication};
use gatepost::{CompleteLogin, LoginOutcome, LoginRefusal, LoginRequest, Password, Store};

use super::super::scene::Scene;
use super::{Act, NEW};
use crate::pending_step::{STEP, code_of, pending, wrong_at};
use crate::world::{HOUR, PASSWORD, device};

/// Operations of a user who has a second factor.
pub(super) const WITH_FACTOR: [&str; 8] = [
    "Devices::revoke_trust",
    "Store::log_in(pending)",
    "Store::log_in(recovery code)",
    "Store::log_in(wrong code)",
    "Store::complete_login",
    "Store::complete_login(refused)",
    "Store::complete_login(wrong code)",
    "Store::complete_login(recovery code)",
];

pub(super) const STEPS: &[(&str, Act)] = &[
    ("Devices::revoke_trust", |s, store| assert!(store.devices().revoke_trust(s.ada).unwrap())),
    ("Store::log_in(pending)", |_, store| drop(wait(store))),
    ("Store::log_in(recovery code)", |s, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("ada-3"));
        let reply = store.log_in(login.recovery_code(s.one_time())).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("Store::complete_login", |s, store| {
        let code = s.code();
        let with = CompleteLogin::with_code(s.one_time(), device("ada-3"), code);
        drop(store.complete_login(with).unwrap().granted().unwrap());
    }),
    ("Store::log_in(wrong code)", |s, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("ada-1"));
        let login = login.code(wrong_at(s.world.now()));
        let refusal = store.log_in(login).unwrap().granted().unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    }),
    ("Store::complete_login(refused)", |s, store| guess_at(s, store, "ada-3")),
    ("Store::complete_login(wrong code)", |s, store| guess_at(s, store, "ada-1")),
    ("Store::complete_login(recovery code)", |s, store| {
        let kept = s.one_time();
        let (token, code) = kept.split_once('/').unwrap();
        let with = CompleteLogin::with_recovery_code(token, device("ada-3"), code);
        let reply = store.complete_login(with).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("Store::complete_login(enrolment)", |s, store| {
        let kept = s.one_time();
        let [token, first, second] = kept.split('/').collect::<Vec<_>>()[..] else { panic!() };
        let with = CompleteLogin::with_enrolment(token, device("ada-3"), first, second);
        let reply = store.complete_login(with).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("SecondFactors::enrol_at_login", |s, store| drop(enrol_at_login(store, &s.one_time()))),
    ("Store::prove", |s, store| {
        let proved = prove(s, store, PASSWORD).granted().unwrap().session;
        assert!(s.world.passes(&proved, "ada-1"), "the new token");
    }),
    ("Store::prove(refused)", |s, store| {
        let refusal = prove(s, store, NEW).granted().unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    }),
    ("Store::require_fresh", |s, store| {
        let presented = (&s.session("ada-1").token, &device("ada-1"));
        let fresh = store.require_fresh(presented, HOUR, Assurance::Aal1).unwrap();
        assert!(fresh.granted().is_ok());
    }),
];

pub(super) const STEPS_PREPARED: &[(&str, Act)] = &[
    ("Devices::revoke_trust", |s, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("trusted"));
        let login = login.code(s.code()).trust_device(HOUR);
        drop(store.log_in(login).unwrap().granted().unwrap());
    }),
    ("Store::log_in(recovery code)", |s, store| s.remember(&recovery_code(s, store))),
    ("Store::complete_login(recovery code)", |s, store| {
        let code = recovery_code(s, store);
        s.remember(&format!("{}/{code}", wait(store)));
    }),
    ("Store::complete_login", |s, store| s.remember(&wait(store))),
    ("Store::complete_login(refused)", |s, store| s.remember(&wait(store))),
    ("SecondFactors::enrol_at_login", |s, store| {
        must_have_factor(store);
        s.remember(&wait(store));
    }),
    ("Store::complete_login(enrolment)", |s, store| {
        must_have_factor(store);
        let token = wait(store);
        let begun = enrol_at_login(store, &token);
        let secret = BASE32_NOPAD.decode(begun.base32.expose().as_bytes()).unwrap();
        let (first, second) = (s.world.now() - STEP, s.world.now());
        s.remember(&format!("{token}/{}/{}", code_of(&secret, first), code_of(&secret, second)));
    }),
];

/// The token of a pending step of ada's on the device `ada-3`.
fn wait(store: &Store) -> String {
    wait_on(store, "ada-3")
}

pub(super) fn wait_on(store: &Store, on: &str) -> String {
    let login = LoginRequest::new("ada", Password::from(PASSWORD), device(on));
    pending(store.log_in(login).unwrap()).token.expose().to_owned()
}

fn guess_at(scene: &Scene, store: &Store, on: &str) {
    let code = wrong_at(scene.world.now());
    let with = CompleteLogin::with_code(scene.one_time(), device(on), code);
    let refusal = store.complete_login(with).unwrap().granted().unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
}

/// A recovery code of ada's, issued in her session.
fn recovery_code(scene: &Scene, store: &Store) -> String {
    let presented = (&scene.session("ada-1").token, &device("ada-1"));
    let code = scene.code();
    let codes = store.second_factors().reissue_recovery_codes(presented, PASSWORD.into(), code);
    codes.unwrap().done().unwrap().codes[0].expose().to_owned()
}

fn must_have_factor(store: &Store) {
    store.change_options(|options| options.second_factor(SecondFactorPolicy::All)).unwrap();
}

fn enrol_at_login(store: &Store, token: &str) -> TotpEnrolment {
    let factors = store.second_factors();
    factors.enrol_at_login(token, &device("ada-3"), NewTotp::new()).unwrap().done().unwrap()
}

fn prove(scene: &Scene, store: &Store, password: &str) -> LoginOutcome {
    let presented = (&scene.session("ada-1").token, &device("ada-1"));
    store.prove(presented, Reauthentication::password(password)).unwrap()
}
