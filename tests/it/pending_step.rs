//! A login of a user who has a second factor, or must have one: the code in the call, and the
//! pending step that a second call completes.

mod by_host;
mod doors;
mod enrolment;
mod meanwhile;
mod policy;
mod share;
mod trust;

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::host::ManualClock;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{Assurance, NewOneTimeToken, StepDemand};
use gatepost::{
    CompleteLogin, Error, ErrorKind, LoginOutcome, LoginRefusal, LoginReply, LoginRequest,
    Options, Password, PendingStep, Store, Timestamp, UserId,
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::world::{HOUR, MINUTE, PASSWORD, World, device};

pub(crate) const STEP: Duration = Duration::from_secs(30);
const SECRET: &[u8] = b"12345678901234567890";
const NEW: &str = "nine brass bells";

/// A store without a keyring, which stores secrets as they are.
pub(crate) fn unsealed(options: Options) -> Options {
    options.dangerous().allow_unsealed_totp_secrets()
}

/// A world in which ada has a second factor.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) ada: UserId,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let world = World::with(|options| change(unsealed(options)));
        let ada = world.person("ada").id;
        give_factor(&world, ada);
        Self { world, ada }
    }

    /// The code that ada's authenticator shows now.
    pub(crate) fn code(&self) -> String {
        code_at(self.world.now())
    }

    /// Lets the authenticator show the next code.
    pub(crate) fn next_code(&self) -> String {
        self.world.clock.advance(STEP);
        self.code()
    }

    pub(crate) fn login(&self, on: &str) -> LoginRequest {
        LoginRequest::new("ada", Password::from(PASSWORD), device(on))
    }

    /// Logs in with password and code.
    pub(crate) fn enter(&self, on: &str) -> LoginReply {
        let code = self.next_code();
        self.world.ask(self.login(on).code(code)).unwrap()
    }

    #[track_caller]
    pub(crate) fn pending(&self, request: LoginRequest) -> PendingStep {
        pending(self.world.store.log_in(request).unwrap())
    }

    /// A step of ada's on that device.
    #[track_caller]
    pub(crate) fn step(&self, on: &str) -> PendingStep {
        self.pending(self.login(on))
    }

    pub(crate) fn complete(&self, request: CompleteLogin) -> Result<LoginReply, LoginRefusal> {
        self.world.store.complete_login(request).unwrap().granted()
    }

    /// Completes a step with a code.
    pub(crate) fn finish(
        &self,
        step: &PendingStep,
        on: &str,
        code: &str,
    ) -> Result<LoginReply, LoginRefusal> {
        self.complete(CompleteLogin::with_code(step.token.expose(), device(on), code))
    }
}

/// Gives a user the factor of [`SECRET`], and lets the first code be new.
pub(crate) fn give_factor(world: &World, user: UserId) {
    give_factor_to(&world.store, &world.clock, user).unwrap();
}

/// The same, on a disk that may have no room for it.
pub(crate) fn give_factor_to(
    store: &Store,
    clock: &ManualClock,
    user: UserId,
) -> Result<(), Error> {
    let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
    store.second_factors().import(user, secret, NewTotp::new())?;
    clock.advance(STEP);
    Ok(())
}

#[track_caller]
pub(crate) fn pending(outcome: LoginOutcome) -> PendingStep {
    match outcome {
        LoginOutcome::Pending(step) => step,
        other => panic!("not pending: {other:?}"),
    }
}

/// The code of [`SECRET`] at that time (RFC 6238).
pub(crate) fn code_at(now: Timestamp) -> String {
    code_of(SECRET, now)
}

pub(crate) fn code_of(secret: &[u8], now: Timestamp) -> String {
    let step = u64::try_from(now.as_millis() / 30_000).unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that no step near `now` has.
pub(crate) fn wrong_at(now: Timestamp) -> String {
    let near: Vec<String> = (0..5).map(|back| code_at(now + STEP - back * STEP)).collect();
    (0..10).map(|n| format!("{n:06}")).find(|one| !near.contains(one)).unwrap()
}

#[test]
fn a_login_without_a_code_waits_and_a_code_completes_it() {
    let scene = Scene::new();
    let day = 24 * HOUR;
    let request = || scene.login("till").label("Till").lifetime(day / 2);
    let kinds = [EventKind::LoginPending];
    let step = scene.world.leaves(&kinds, 0, |store| pending(store.log_in(request()).unwrap()));
    assert_eq!(step.demand, StepDemand::Code);
    assert_eq!(step.expires_at, scene.world.now() + 10 * MINUTE);
    assert!(step.token.expose().starts_with("gpm_") && !step.new_password_required);
    assert!(scene.world.sessions_of(scene.ada).is_empty());

    let code = scene.code();
    let granted = [EventKind::LoginGranted];
    let reply = scene.world.leaves(&granted, 0, |_| scene.finish(&step, "till", &code)).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
    assert_eq!(reply.session.expires_at, scene.world.now() + day / 2);
    assert!(reply.has_second_factor && reply.recovery_codes.is_none());
    assert!(scene.world.passes(&reply.session, "till"));
    let sessions = scene.world.sessions_of(scene.ada);
    assert_eq!(sessions[0].label.as_deref(), Some("Till"));
    let again = scene.finish(&step, "till", &scene.next_code());
    assert_eq!(again.unwrap_err(), LoginRefusal::StepNotLive);
}

#[test]
fn a_program_that_knows_no_steps_reads_a_refusal() {
    let scene = Scene::new();
    let refusal = scene.world.ask(scene.login("till")).unwrap_err();
    assert_eq!(refusal, LoginRefusal::MfaCodeRequired);
    let outcome = scene.world.store.log_in(scene.login("till")).unwrap();
    let wire = outcome.into_wire(&scene.world.store.service());
    assert!(!wire.success && wire.session_id.is_none() && wire.user.is_none());
    assert_eq!(wire.message, "A code of the second factor is required.");
}

#[test]
fn a_code_in_the_login_call_opens_a_session_of_aal2() {
    let scene = Scene::new();
    let reply = scene.world.ask(scene.login("till").code(scene.code())).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
    assert!(reply.has_second_factor);
}

#[test]
fn a_wrong_code_is_refused_as_a_wrong_password_is_and_counts() {
    let scene = Scene::new();
    let wrong = wrong_at(scene.world.now());
    let refusal = scene.world.ask(scene.login("till").code(wrong)).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 1);
    let event = scene.world.last_event();
    assert_eq!(event.reason.as_deref(), Some("invalid_credentials"));
    scene.world.ask(scene.login("till").code(scene.code())).unwrap();
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
}

#[test]
fn a_code_is_accepted_once_in_whatever_call() {
    let scene = Scene::new();
    let code = scene.code();
    scene.world.ask(scene.login("till").code(code.as_str())).unwrap();
    let again = scene.world.ask(scene.login("desk").code(code.as_str()));
    assert_eq!(again.unwrap_err(), LoginRefusal::InvalidCredentials);
    let step = scene.step("desk");
    let again = scene.finish(&step, "desk", &code);
    assert_eq!(again.unwrap_err(), LoginRefusal::InvalidCredentials);
    assert!(scene.finish(&step, "desk", &scene.next_code()).is_ok());
}

#[test]
fn a_wrong_password_uses_a_right_code_up() {
    let scene = Scene::new();
    let code = scene.code();
    let request = LoginRequest::new("ada", Password::from("a wrong one"), device("till"));
    let refusal = scene.world.ask(request.code(code.as_str())).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    let late = scene.world.ask(scene.login("till").code(code));
    assert_eq!(late.unwrap_err(), LoginRefusal::InvalidCredentials);
    assert!(scene.world.ask(scene.login("till").code(scene.next_code())).is_ok());
}

#[test]
fn a_refusal_for_another_reason_uses_no_code_up() {
    let scene = Scene::new();
    let code = scene.code();
    let request = || scene.login("till").code(code.as_str());
    let refusal = scene.world.ask(request().require_admin()).unwrap_err();
    assert_eq!(refusal, LoginRefusal::AdministratorRequired);
    // A wrong code says nothing beside it either.
    let wrong = scene.login("till").code(wrong_at(scene.world.now())).require_admin();
    assert_eq!(scene.world.ask(wrong).unwrap_err(), LoginRefusal::AdministratorRequired);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
    assert!(scene.world.ask(request()).is_ok());
}

#[test]
fn a_code_of_a_user_without_a_factor_is_ignored() {
    let scene = Scene::new();
    scene.world.person("bob");
    let request = || LoginRequest::new("bob", Password::from(PASSWORD), device("desk"));
    let first = scene.world.ask(request()).unwrap();
    for request in [request().code("123456"), request().recovery_code("abcd")] {
        let reply = scene.world.ask(request.trust_device(HOUR)).unwrap();
        assert_eq!(reply.principal.assurance, Assurance::Aal1);
        assert!(!reply.has_second_factor);
    }
    drop(first);
    let bob = scene.world.user_of("bob");
    assert_eq!(
        scene.world.count("SELECT sum(sessions_ended_seq) FROM user WHERE username = 'bob'"),
        0
    );
    assert_eq!(scene.world.store.devices().list(bob).unwrap()[0].trusted_until, None);
}

#[test]
fn a_recovery_code_opens_a_session_once_and_revokes_the_rest() {
    let scene = Scene::new();
    let codes = scene.recovery_codes();
    let old = scene.enter("till");
    let tokens = scene.world.store.one_time_tokens();
    drop(tokens.issue(scene.ada, NewOneTimeToken::password_reset()).unwrap());
    let step = scene.step("desk");

    let request = || scene.login("home").recovery_code(codes[0].as_str());
    let reply = scene.world.ask(request()).unwrap();
    assert_eq!((reply.principal.assurance, reply.recovery_codes_left), (Assurance::Aal2, 9));
    assert!(!scene.world.passes(&old.session, "till"));
    assert!(scene.world.passes(&reply.session, "home"));
    assert!(tokens.list(scene.ada).unwrap().is_empty());
    let late = scene.finish(&step, "desk", &scene.next_code());
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
    assert_eq!(scene.world.ask(request()).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert!(scene.world.passes(&reply.session, "home"), "a wrong one revokes nothing");
}

#[test]
fn a_recovery_code_completes_a_step() {
    let scene = Scene::new();
    let codes = scene.recovery_codes();
    let step = scene.step("till");
    let with =
        |code: &str| CompleteLogin::with_recovery_code(step.token.expose(), device("till"), code);
    let wrong = scene.complete(with("aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa"));
    assert_eq!(wrong.unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(scene.complete(with(&codes[3])).unwrap().recovery_codes_left, 9);
}

#[test]
fn a_wrong_password_uses_no_recovery_code_up() {
    let scene = Scene::new();
    let codes = scene.recovery_codes();
    let request = LoginRequest::new("ada", Password::from("a wrong one"), device("till"));
    assert!(scene.world.ask(request.recovery_code(codes[0].as_str())).is_err());
    assert!(scene.world.ask(scene.login("till").recovery_code(codes[0].as_str())).is_ok());
}

#[test]
fn a_reset_password_still_asks_for_the_second_factor() {
    let scene = Scene::new();
    let tokens = scene.world.store.one_time_tokens();
    let issued = tokens.issue(scene.ada, NewOneTimeToken::password_reset()).unwrap();
    let keep = gatepost::sessions::RevokeApiKeys::Keep;
    drop(tokens.reset_password(issued.token.expose(), NEW.into(), keep).unwrap().valid().unwrap());
    let login = LoginRequest::new("ada", Password::from(NEW), device("till"));
    assert_eq!(scene.pending(login).demand, StepDemand::Code);
}

#[test]
fn a_request_out_of_its_bounds_is_invalid_and_changes_nothing() {
    let scene = Scene::new();
    let (long, day) = ("1".repeat(65), 24 * HOUR);
    let login = |request: LoginRequest| {
        scene.world.refuses(ErrorKind::Invalid, |store| store.log_in(request));
    };
    login(scene.login("till").code(long.as_str()));
    login(scene.login("till").recovery_code(long.as_str()));
    login(scene.login("till").trust_device(90 * day + Duration::from_millis(1)));
    login(scene.login("till").trust_device(Duration::ZERO));
    let step = scene.step("till");
    let token = step.token.expose();
    let complete = |request: CompleteLogin| {
        scene.world.refuses(ErrorKind::Invalid, |store| store.complete_login(request));
    };
    complete(CompleteLogin::with_code(token, device("till"), long.as_str()));
    complete(CompleteLogin::with_enrolment(token, device("till"), "1", long.as_str()));
    complete(CompleteLogin::with_code(token, None, "123456"));
    let right = CompleteLogin::with_code(token, device("till"), scene.code());
    let with_long = CompleteLogin::with_code(token, device("till"), "123456");
    complete(with_long.new_password("p".repeat(5_000).into()));
    complete(CompleteLogin::with_code(token, device("till"), "1").trust_device(91 * day));
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
    assert!(scene.complete(right.trust_device(90 * day)).is_ok());
}

impl Scene {
    /// Ten recovery codes of ada's, issued in a session that is logged out again.
    pub(crate) fn recovery_codes(&self) -> Vec<String> {
        let reply = self.enter("issue");
        let (code, on) = (self.next_code(), device("issue"));
        let presented = (&reply.session.token, &on);
        let factors = self.world.store.second_factors();
        let codes = factors.reissue_recovery_codes(presented, PASSWORD.into(), code.into());
        let codes = codes.unwrap().done().unwrap();
        self.world.log_out(&reply.session, "issue");
        self.world.clock.advance(STEP);
        codes.codes.iter().map(|code| code.expose().to_owned()).collect()
    }
}
