//! The pending step that can only enrol: begin, confirm, and the session that follows.

use gatepost::audit::EventKind;
use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::{NewTotp, TotpEnrolment};
use gatepost::sessions::{Assurance, StepDemand};
use gatepost::{CompleteLogin, LoginRefusal, LoginReply, LoginRequest, Password, PendingStep};

use super::{NEW, STEP, code_of, pending, unsealed};
use crate::world::{MINUTE, PASSWORD, World, device};

fn world() -> World {
    let world = World::with(|options| unsealed(options).second_factor(SecondFactorPolicy::All));
    world.person("ada");
    world
}

fn login(on: &str) -> LoginRequest {
    LoginRequest::new("ada", Password::from(PASSWORD), device(on))
}

fn step(world: &World, on: &str) -> PendingStep {
    pending(world.store.log_in(login(on)).unwrap())
}

fn begin(world: &World, step: &PendingStep, on: &str) -> Result<TotpEnrolment, LoginRefusal> {
    let (token, on) = (step.token.expose(), device(on));
    world.store.second_factors().enrol_at_login(token, &on, NewTotp::new()).unwrap().done()
}

/// The two codes that the authenticator shows now and 30 s later.
fn codes(world: &World, enrolment: &TotpEnrolment) -> (String, String) {
    let secret = data_encoding::BASE32_NOPAD.decode(enrolment.base32.expose().as_bytes()).unwrap();
    let now = world.now();
    (code_of(&secret, now - STEP), code_of(&secret, now))
}

fn confirm(
    world: &World,
    step: &PendingStep,
    on: &str,
    codes: (String, String),
) -> Result<LoginReply, LoginRefusal> {
    let token = step.token.expose();
    let request = CompleteLogin::with_enrolment(token, device(on), codes.0, codes.1);
    world.store.complete_login(request).unwrap().granted()
}

#[test]
fn a_user_who_must_have_a_factor_enrols_one_and_is_logged_in() {
    let world = world();
    let step = step(&world, "till");
    assert_eq!(step.demand, StepDemand::Enrolment);
    let begun = [EventKind::SecondFactorEnrolmentBegun];
    let enrolment = world.leaves(&begun, 0, |_| begin(&world, &step, "till")).unwrap();
    let codes = codes(&world, &enrolment);
    let kinds = [EventKind::SecondFactorAdded, EventKind::LoginGranted];
    let reply = world.leaves(&kinds, 1, |_| confirm(&world, &step, "till", codes)).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
    assert!(reply.has_second_factor && reply.recovery_codes_left == 10);
    let printed = reply.recovery_codes.unwrap();
    assert!(world.passes(&reply.session, "till"));

    let recovered = login("desk").recovery_code(printed.codes[0].expose());
    assert!(world.ask(recovered).is_ok());
    assert_eq!(pending(world.store.log_in(login("home")).unwrap()).demand, StepDemand::Code);
}

#[test]
fn wrong_codes_enrol_nothing_and_count() {
    let world = world();
    let step = step(&world, "till");
    let enrolment = begin(&world, &step, "till").unwrap();
    let right = codes(&world, &enrolment);
    for wrong in [(right.1.clone(), right.0.clone()), ("000000".into(), right.1.clone())] {
        let refused = confirm(&world, &step, "till", wrong).unwrap_err();
        assert_eq!(refused, LoginRefusal::InvalidCredentials);
    }
    let ada = world.user_of("ada");
    assert_eq!(world.user(ada).failed_attempts, 2);
    assert_eq!(world.store.second_factors().info(ada).unwrap(), None);
    assert!(confirm(&world, &step, "till", right).is_ok());
    assert_eq!(world.user(ada).failed_attempts, 0);
}

#[test]
fn a_step_that_waits_for_an_enrolment_opens_nothing_without_one() {
    let world = world();
    let step = step(&world, "till");
    let none = confirm(&world, &step, "till", ("123456".into(), "123457".into()));
    assert_eq!(none.unwrap_err(), LoginRefusal::InvalidCredentials);
    let with_code = CompleteLogin::with_code(step.token.expose(), device("till"), "123456");
    let refused = world.store.complete_login(with_code).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::StepNotLive);
    assert!(world.sessions_of(world.user_of("ada")).is_empty());
}

/// Not even if no user must have a factor any more.
#[test]
fn a_policy_that_is_lifted_meanwhile_opens_no_step() {
    let world = world();
    let step = step(&world, "till");
    let lift = |options: gatepost::Options| options.second_factor(SecondFactorPolicy::Optional);
    world.store.change_options(lift).unwrap();
    let none = confirm(&world, &step, "till", ("123456".into(), "123457".into()));
    assert_eq!(none.unwrap_err(), LoginRefusal::InvalidCredentials);
    assert!(world.ask(login("till")).is_ok());
}

/// Each enrolment is a row of the audit log and ends the one before it, without a charge or a hash.
#[test]
fn a_step_begins_four_enrolments_at_most() {
    let mut world = world();
    let first = step(&world, "till");
    let mut last = None;
    for _ in 0..4 {
        last = Some(begin(&world, &first, "till").unwrap());
        // The share is in the file.
        world.reopen();
    }
    let fifth = world.leaves(&[], 0, |_| begin(&world, &first, "till"));
    assert_eq!(fifth.unwrap_err(), LoginRefusal::StepNotLive);
    // One guess is left, for the codes of the last enrolment.
    let right = codes(&world, &last.unwrap());
    assert!(confirm(&world, &first, "till", right).is_ok());

    let world = self::world();
    let tried = step(&world, "till");
    let enrolment = begin(&world, &tried, "till").unwrap();
    for _ in 0..3 {
        let wrong = confirm(&world, &tried, "till", ("000000".into(), "000000".into()));
        assert_eq!(wrong.unwrap_err(), LoginRefusal::InvalidCredentials);
    }
    assert_eq!(begin(&world, &tried, "till").unwrap_err(), LoginRefusal::StepNotLive);
    let right = codes(&world, &enrolment);
    assert!(confirm(&world, &tried, "till", right).is_ok());
}

#[test]
fn a_step_that_waits_for_a_code_enrols_nothing() {
    let scene = super::Scene::new();
    let step = scene.step("till");
    assert_eq!(begin(&scene.world, &step, "till").unwrap_err(), LoginRefusal::StepNotLive);
}

#[test]
fn an_enrolment_belongs_to_its_step_and_device() {
    let world = world();
    let first = step(&world, "till");
    assert_eq!(begin(&world, &first, "desk").unwrap_err(), LoginRefusal::StepNotLive);
    let enrolment = begin(&world, &first, "till").unwrap();
    let second = step(&world, "desk");
    let right = codes(&world, &enrolment);
    let elsewhere = confirm(&world, &second, "desk", right.clone()).unwrap_err();
    assert_eq!(elsewhere, LoginRefusal::InvalidCredentials);
    assert!(confirm(&world, &first, "till", right).is_ok());
}

#[test]
fn an_expired_step_enrols_nothing() {
    let world = world();
    let step = step(&world, "till");
    let enrolment = begin(&world, &step, "till").unwrap();
    world.clock.advance(10 * MINUTE);
    let codes = codes(&world, &enrolment);
    let late = confirm(&world, &step, "till", codes).unwrap_err();
    assert_eq!(late, LoginRefusal::StepNotLive);
    assert_eq!(begin(&world, &step, "till").unwrap_err(), LoginRefusal::StepNotLive);
}

#[test]
fn a_new_password_comes_with_the_enrolment() {
    let world = world();
    let ada = world.user_of("ada");
    let keep = gatepost::sessions::RevokeSessions::Keep;
    world.store.users().require_password_change(ada, keep).unwrap();
    let step = step(&world, "till");
    assert!(step.new_password_required);
    let enrolment = begin(&world, &step, "till").unwrap();
    let codes = codes(&world, &enrolment);
    let refused = confirm(&world, &step, "till", codes.clone()).unwrap_err();
    assert_eq!(refused, LoginRefusal::NewPasswordRequired);
    assert_eq!(world.store.second_factors().info(ada).unwrap(), None);
    let (token, on) = (step.token.expose(), device("till"));
    let request = CompleteLogin::with_enrolment(token, on, codes.0, codes.1);
    let outcome = world.store.complete_login(request.new_password(NEW.into())).unwrap();
    assert!(!outcome.granted().unwrap().profile.user.must_change_password);
    assert!(world.store.second_factors().info(ada).unwrap().is_some());
}
