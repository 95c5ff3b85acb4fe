//! Second factors: at the sign-in, in a seat, and at the lock.

use gatepost::LoginRefusal;
use gatepost::host::Clock;
use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::TotpEnrolment;
use gatepost::sessions::{Reauthentication, RevokeSessions, StepDemand};
use gatepost_desk::{FactorStep, Seat, SeatState, SignIn};
use hmac::{Hmac, KeyInit, Mac};

use crate::world::{IDLE, World, keyring, password};

const STEP: std::time::Duration = std::time::Duration::from_secs(30);

/// An authenticator, from the text that a person types into it.
struct Authenticator<'w> {
    secret: Vec<u8>,
    world: &'w World,
}

impl<'w> Authenticator<'w> {
    fn new(world: &'w World, enrolment: &TotpEnrolment) -> Self {
        let text = enrolment.base32.expose();
        let secret = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
        Self { secret, world }
    }

    /// The code of the next step, which was not used yet.
    fn next(&self) -> String {
        self.world.clock.advance(STEP);
        self.shown()
    }

    fn shown(&self) -> String {
        let step = (self.world.clock.now().as_millis() / 30_000).to_be_bytes();
        let mac = Hmac::<sha1::Sha1>::new_from_slice(&self.secret).unwrap();
        let mac = mac.chain_update(step).finalize().into_bytes();
        let at = usize::from(mac[19] & 15);
        let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

fn world(policy: SecondFactorPolicy) -> World {
    World::with(|options| options.keyring(keyring()).second_factor(policy))
}

fn pending(world: &World) -> FactorStep {
    match world.desk.sign_in("ada", password("ada")).unwrap() {
        SignIn::Refused(why) => why.into_step().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Enrols in a seat; returns the recovery codes too.
fn enrolled<'w>(world: &'w World, seat: &Seat) -> (Authenticator<'w>, Vec<String>) {
    let enrolment = seat.enrol_second_factor().unwrap().done().unwrap();
    assert!(enrolment.uri.expose().starts_with("otpauth://totp/"));
    let authenticator = Authenticator::new(world, &enrolment);
    let codes = seat.confirm_second_factor(authenticator.shown(), authenticator.next());
    let codes = codes.unwrap().done().unwrap();
    (authenticator, codes.codes.iter().map(|code| code.expose().to_owned()).collect())
}

#[test]
fn a_factor_is_enrolled_and_asked_for_at_the_next_sign_in() {
    let world = world(SecondFactorPolicy::Optional);
    let seat = world.seat("ada");
    let (authenticator, recovery) = enrolled(&world, &seat);
    assert!(seat.second_factor().unwrap().is_some());
    assert_eq!(seat.state().unwrap(), SeatState::Open);
    seat.sign_out().unwrap();

    let step = pending(&world);
    assert_eq!((step.demand(), step.new_password_required()), (StepDemand::Code, false));
    assert_eq!(world.vault.token(), None, "nothing is saved before the code");
    let SignIn::Refused(why) = step.complete("000000").unwrap() else { panic!() };
    assert_eq!(why.refusal(), LoginRefusal::InvalidCredentials);
    let seat = step.complete(authenticator.next()).unwrap().granted().unwrap();
    assert!(world.vault.token().is_some());
    assert!(seat.take_recovery_codes().is_none());
    let SignIn::Refused(why) = step.complete(authenticator.next()).unwrap() else { panic!() };
    assert_eq!(why.refusal(), LoginRefusal::StepNotLive);

    let step = pending(&world);
    let seat = step.complete_with_recovery_code(recovery[0].clone()).unwrap().granted().unwrap();
    let removed = seat.remove_second_factor(password("ada"), authenticator.next()).unwrap();
    removed.done().unwrap();
    assert!(seat.second_factor().unwrap().is_none());
    assert_eq!(world.seat("ada").username(), "ada");
}

#[test]
fn a_seat_with_a_factor_is_unlocked_by_a_code() {
    let world = world(SecondFactorPolicy::Optional);
    let seat = world.seat("ada");
    let (authenticator, _) = enrolled(&world, &seat);
    let seat = pending(&world).complete(authenticator.next()).unwrap().granted().unwrap();
    assert!(seat.unlocks_by_code());
    seat.lock().unwrap();
    let by_password = seat.unlock(Reauthentication::password(password("ada"))).unwrap().done();
    assert_eq!(by_password.unwrap_err().refusal(), LoginRefusal::MfaCodeRequired);
    let by_code = seat.unlock(Reauthentication::code(authenticator.next())).unwrap();
    by_code.done().unwrap();
    assert_eq!(world.desk.resume().unwrap().unwrap().session(), seat.session());

    let codes = seat.reissue_recovery_codes(password("ada"), authenticator.next()).unwrap();
    assert_eq!(codes.done().unwrap().codes.len(), 10);
}

#[test]
fn a_factor_that_is_demanded_is_enrolled_at_the_sign_in() {
    let world = world(SecondFactorPolicy::All);
    let step = pending(&world);
    assert_eq!(step.demand(), StepDemand::Enrolment);
    assert!(step.expires_at() > world.clock.now());
    let enrolment = step.enrol().unwrap().done().unwrap();
    let authenticator = Authenticator::new(&world, &enrolment);
    let seat = step.confirm(authenticator.shown(), authenticator.next()).unwrap();
    let seat = seat.granted().unwrap();
    world.clock.advance(IDLE);
    assert!(seat.take_recovery_codes().is_none(), "the seat is locked");
    seat.unlock(Reauthentication::code(authenticator.next())).unwrap().done().unwrap();
    assert_eq!(seat.take_recovery_codes().unwrap().codes.len(), 10);
    assert!(seat.take_recovery_codes().is_none(), "they are shown once");
    assert!(world.vault.token().is_some());
}

#[test]
fn a_forced_change_and_a_factor_fit_into_one_sign_in() {
    let world = world(SecondFactorPolicy::Optional);
    let seat = world.seat("ada");
    let (authenticator, _) = enrolled(&world, &seat);
    let users = world.desk.store().users();
    let ada = users.find_by_username("ada").unwrap().unwrap().id;
    users.require_password_change(ada, RevokeSessions::Keep).unwrap();

    let mut step = pending(&world);
    assert!(step.new_password_required());
    step.set_new_password(password("new"));
    assert!(!step.new_password_required());
    step.complete(authenticator.next()).unwrap().granted().unwrap().sign_out().unwrap();
    let SignIn::Refused(why) = world.desk.sign_in("ada", password("new")).unwrap() else {
        panic!()
    };
    assert_eq!(why.refusal(), LoginRefusal::MfaCodeRequired);
}
