//! Second factors: enrolled, confirmed, replaced, removed, reset and imported.

pub(crate) mod authenticator;
mod codes;
mod length;
mod refused;
mod sealed;
mod step_up;

use std::fmt;
use std::sync::{Arc, Mutex};

use gatepost::audit::EventKind;
use gatepost::host::{KeyId, Keyring, Keys, SealingKey};
use gatepost::second_factors::{
    FactorCode, FactorOrigin, NewTotp, RecoveryCodes, SecondFactor, TotpAlgorithm, TotpEnrolment,
    TotpSecret,
};
use gatepost::sessions::NewOneTimeToken;
use gatepost::{Error, ErrorKind, LoginRefusal, NewUser, OpenedSession, SessionId, Store, UserId};

use crate::keyring::{OLD, keys, with_keys};
use crate::world::{MINUTE, PASSWORD, SECOND, World, device, reason};
use authenticator::Authenticator;

pub(crate) const STEP: std::time::Duration = std::time::Duration::from_secs(30);
pub(crate) const SECRET: &[u8] = b"12345678901234567890";

/// A person in a session, whose factor is in force. Its codes of the current step are not used.
pub(crate) struct Enrolled {
    pub(crate) user: UserId,
    pub(crate) session: OpenedSession,
    pub(crate) on: String,
    pub(crate) authenticator: Authenticator,
    pub(crate) codes: Vec<String>,
}

impl Enrolled {
    pub(crate) fn new(world: &World, name: &str) -> Self {
        Self::with(world, name, NewTotp::new(), 0)
    }

    /// With an authenticator whose clock is so many steps ahead.
    pub(crate) fn with(world: &World, name: &str, new: NewTotp, ahead: i64) -> Self {
        let user = world.person(name).id;
        let on = format!("till-of-{name}");
        let session = world.log_in(name, PASSWORD, &on).unwrap().session;
        let enrolment = enrol(&world.store, &session, &on, new).unwrap().unwrap();
        let authenticator = Authenticator::scan(&enrolment);
        let pair = [ahead - 1, ahead].map(|later| authenticator.code(world.now(), later));
        let codes = confirm(&world.store, &session, &on, pair).unwrap().unwrap();
        let codes = texts(&codes);
        world.clock.advance(STEP);
        Self { user, session, on, authenticator, codes }
    }

    /// The code that its authenticator shows now.
    pub(crate) fn code(&self, world: &World) -> FactorCode {
        self.authenticator.code(world.now(), 0)
    }

    pub(crate) fn reissue(
        &self,
        store: &Store,
        password: &str,
        code: FactorCode,
    ) -> Result<Result<RecoveryCodes, LoginRefusal>, Error> {
        let on = device(&self.on);
        let presented = (&self.session.token, &on);
        let reissued =
            store.second_factors().reissue_recovery_codes(presented, password.into(), code);
        reissued.map(|outcome| outcome.done())
    }

    pub(crate) fn remove(
        &self,
        store: &Store,
        password: &str,
        code: FactorCode,
    ) -> Result<Result<(), LoginRefusal>, Error> {
        let on = device(&self.on);
        let removed =
            store.second_factors().remove((&self.session.token, &on), password.into(), code);
        removed.map(|outcome| outcome.done())
    }

    fn replace(
        &self,
        store: &Store,
        password: &str,
        code: FactorCode,
    ) -> Result<Result<TotpEnrolment, LoginRefusal>, Error> {
        let on = device(&self.on);
        let presented = (&self.session.token, &on);
        let begun = store.second_factors().replace(
            presented,
            password.into(),
            code,
            NewTotp::new().digits(8),
        );
        begun.map(|outcome| outcome.done())
    }
}

pub(crate) fn retry_after(refusal: &LoginRefusal) -> Option<std::time::Duration> {
    match refusal {
        LoginRefusal::TooManyAttempts { retry_after, .. } => Some(*retry_after),
        _ => None,
    }
}

pub(crate) fn texts(codes: &RecoveryCodes) -> Vec<String> {
    codes.codes.iter().map(|code| code.expose().to_owned()).collect()
}

pub(crate) fn enrol(
    store: &Store,
    session: &OpenedSession,
    on: &str,
    new: NewTotp,
) -> Result<Result<TotpEnrolment, LoginRefusal>, Error> {
    let enrolled = store.second_factors().enrol((&session.token, &device(on)), new);
    enrolled.map(|outcome| outcome.done())
}

pub(crate) fn confirm(
    store: &Store,
    session: &OpenedSession,
    on: &str,
    [first, second]: [FactorCode; 2],
) -> Result<Result<RecoveryCodes, LoginRefusal>, Error> {
    let on = device(on);
    let confirmed = store.second_factors().confirm((&session.token, &on), first, second);
    confirmed.map(|outcome| outcome.done())
}

pub(crate) fn info(world: &World, user: UserId) -> Option<SecondFactor> {
    world.store.second_factors().info(user).unwrap()
}

/// An enrolment of ada that is not confirmed.
struct Begun {
    ada: UserId,
    session: OpenedSession,
    authenticator: Authenticator,
}

fn begun(world: &World) -> Begun {
    let ada = world.person("ada").id;
    let session = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    let enrolment = enrol(&world.store, &session, "till-1", NewTotp::new()).unwrap().unwrap();
    Begun { ada, session, authenticator: Authenticator::scan(&enrolment) }
}

impl Begun {
    fn pair(&self, world: &World) -> [FactorCode; 2] {
        [-1, 0].map(|later| self.authenticator.code(world.now(), later))
    }

    fn confirm(&self, world: &World) -> Result<Result<RecoveryCodes, LoginRefusal>, Error> {
        confirm(&world.store, &self.session, "till-1", self.pair(world))
    }
}

fn wrong_pair() -> [FactorCode; 2] {
    ["000000", "000000"].map(FactorCode::from)
}

#[test]
fn a_factor_is_in_force_after_two_codes_that_follow_each_other_and_ends_the_other_sessions() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let kept = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    let other = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
    let bobs = world.open(world.person("bob").id, "till-3");
    let token = world.store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset());
    let token = token.unwrap();
    let new = NewTotp::new().algorithm(TotpAlgorithm::Sha256).digits(8);
    let begun = [EventKind::SecondFactorEnrolmentBegun];
    let enrolment = world.leaves(&begun, 0, |store| enrol(store, &kept, "till-1", new));
    let authenticator = Authenticator::scan(&enrolment.unwrap().unwrap());
    assert_eq!(info(&world, ada), None);
    assert!(world.passes(&other, "till-2"));

    let pair = [-1, 0].map(|later| authenticator.code(world.now(), later));
    let added = [EventKind::SecondFactorAdded];
    let codes = world.leaves(&added, 2, |store| confirm(store, &kept, "till-1", pair));
    let codes = texts(&codes.unwrap().unwrap());
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada), Some(kept.id)));
    assert_eq!(event.detail.as_deref(), Some("sha256 8"));
    let factor = info(&world, ada).unwrap();
    assert_eq!((factor.algorithm, factor.digits), (TotpAlgorithm::Sha256, 8));
    assert_eq!((factor.origin, factor.since), (FactorOrigin::Enrolled, world.now()));
    assert_eq!(factor.recovery_codes_left, 10);
    let distinct: std::collections::BTreeSet<&String> = codes.iter().collect();
    assert_eq!(distinct.len(), 10);

    assert!(world.passes(&kept, "till-1"));
    assert!(!world.passes(&other, "till-2"));
    assert!(world.passes(&bobs, "till-3"));
    let keep = gatepost::sessions::RevokeApiKeys::Keep;
    let reset = world.store.one_time_tokens().reset_password(
        token.token.expose(),
        "two tin drums".into(),
        keep,
    );
    assert!(reset.unwrap().valid().is_err(), "a one-time token");
}

#[test]
fn an_enrolment_is_confirmed_in_its_own_session_within_ten_minutes() {
    for (later, in_time) in [(10 * MINUTE - SECOND / 1_000, true), (10 * MINUTE, false)] {
        let world = with_keys(&[OLD]);
        let begun = begun(&world);
        world.clock.advance(later);
        let other = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
        let pair = begun.pair(&world);
        world.refuses(ErrorKind::NotFound, |store| confirm(store, &other, "till-2", pair));
        if in_time {
            begun.confirm(&world).unwrap().unwrap();
        } else {
            world.refuses(ErrorKind::NotFound, |_| begun.confirm(&world));
        }
        assert_eq!(info(&world, begun.ada).is_some(), in_time);
    }
}

#[test]
fn an_enrolment_ends_by_a_later_one_and_with_the_one_time_tokens_of_its_user() {
    let world = with_keys(&[OLD]);
    let first = begun(&world);
    let later = enrol(&world.store, &first.session, "till-1", NewTotp::new()).unwrap().unwrap();
    let wrong = first.confirm(&world).unwrap().unwrap_err();
    assert_eq!(wrong, LoginRefusal::InvalidCredentials);

    let later = Begun { authenticator: Authenticator::scan(&later), ..first };
    world.store.one_time_tokens().revoke_all(later.ada).unwrap();
    world.refuses(ErrorKind::NotFound, |_| later.confirm(&world));
}

#[test]
fn wrong_codes_leave_the_enrolment_and_count_until_it_has_to_wait() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    for count in 1..=5 {
        let refused = [EventKind::SecondFactorRefused];
        let confirmed = world
            .leaves(&refused, 0, |store| confirm(store, &begun.session, "till-1", wrong_pair()));
        assert_eq!(confirmed.unwrap().unwrap_err(), LoginRefusal::InvalidCredentials);
        assert_eq!(reason(&world), "invalid_credentials");
        assert_eq!(world.user(begun.ada).failed_attempts, count);
    }
    let waits = begun.confirm(&world).unwrap().unwrap_err();
    assert_eq!(retry_after(&waits), Some(30 * SECOND));
    world.clock.advance(MINUTE);
    world.store.maintain().unwrap();
    let last = world.last_event();
    assert_eq!(last.event, "second_factor.refused", "the wait is counted by the minute");
    assert_eq!((last.reason.as_deref(), last.count), (Some("too_many_attempts"), Some(1)));
    begun.confirm(&world).unwrap().unwrap();
}

/// A thief of a session could otherwise guess the password without end, with an enrolment of
/// their own between two guesses.
#[test]
fn a_confirmation_forgives_no_failure() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    world.log_in("ada", "a guess", "elsewhere").unwrap_err();
    begun.confirm(&world).unwrap().unwrap();
    assert_eq!(world.user(begun.ada).failed_attempts, 1);
}

/// A keyring that revokes a session when it is asked for a key, as soon as no write is under way:
/// after the session was verified, where the hash of the password is opened.
struct Revoking(Arc<Keys>, Mutex<Option<(Store, SessionId)>>);

impl fmt::Debug for Revoking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoking")
    }
}

impl Keyring for Revoking {
    fn current(&self) -> KeyId {
        self.0.current()
    }

    fn key(&self, id: &KeyId) -> Option<SealingKey> {
        let mut waits = self.1.lock().unwrap();
        if let Some((store, session)) = waits.take()
            && store.sessions().revoke(session).is_err()
        {
            *waits = Some((store, session));
        }
        self.0.key(id)
    }
}

#[test]
fn a_change_needs_a_session_that_is_live_until_its_last_write() {
    let revoking = Arc::new(Revoking(keys(&[OLD]), Mutex::default()));
    let world = World::with(|options| options.keyring(Arc::clone(&revoking) as Arc<dyn Keyring>));
    let ada = Enrolled::new(&world, "ada");
    for (password, failures) in [(PASSWORD, 0), ("a guess", 1)] {
        let session = world.open(ada.user, &ada.on);
        let ada = Enrolled {
            session,
            user: ada.user,
            on: ada.on.clone(),
            authenticator: ada.authenticator.clone(),
            codes: Vec::new(),
        };
        *revoking.1.lock().unwrap() = Some((world.store.clone(), ada.session.id));
        let removed = ada.remove(&world.store, password, ada.code(&world)).unwrap();
        assert_eq!(removed.unwrap_err(), LoginRefusal::SessionNotLive);
        assert!(revoking.1.lock().unwrap().is_none(), "it was revoked meanwhile");
        assert!(info(&world, ada.user).is_some());
        let now = world.user(ada.user).failed_attempts;
        assert_eq!(now, failures, "a right password is no guess, and a wrong one is");
        for token in ["gps_forged", ada.session.token.expose()] {
            let on = device(&ada.on);
            let enrolled = world.store.second_factors().enrol((token, &on), NewTotp::new());
            let refused = enrolled.unwrap().done().unwrap_err();
            assert_eq!(refused, LoginRefusal::SessionNotLive);
        }
    }
}

#[test]
fn a_factor_is_removed_by_password_and_code_and_ends_the_other_sessions() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let other = world.open(ada.user, "till-2");
    let refused = [EventKind::SecondFactorRefused];
    for (password, code) in
        [("a guess", ada.code(&world)), (PASSWORD, "000000".into()), (PASSWORD, "".into())]
    {
        let removed = world.leaves(&refused, 0, |store| ada.remove(store, password, code));
        assert_eq!(removed.unwrap().unwrap_err(), LoginRefusal::InvalidCredentials);
        assert_eq!(world.last_event().detail.as_deref(), Some("remove"));
    }
    assert_eq!(world.user(ada.user).failed_attempts, 3);
    world.clock.advance(STEP);
    let code = ada.code(&world);
    world.hashes(1, |_| {
        let removed = [EventKind::SecondFactorRemoved];
        let removed = world.leaves(&removed, 2, |store| ada.remove(store, PASSWORD, code));
        removed.unwrap().unwrap();
    });
    assert_eq!(info(&world, ada.user), None);
    assert_eq!(world.count("SELECT count(*) FROM recovery_code"), 0);
    assert_eq!(world.user(ada.user).failed_attempts, 0);
    assert!(world.passes(&ada.session, &ada.on));
    assert!(!world.passes(&other, "till-2"));
    let code = ada.code(&world);
    world.refuses(ErrorKind::NotFound, |store| ada.remove(store, PASSWORD, code));
}

#[test]
fn a_factor_is_replaced_by_password_and_code_and_stays_until_the_new_one_is_confirmed() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    world.refuses(ErrorKind::Invalid, |store| enrol(store, &ada.session, &ada.on, NewTotp::new()));
    let wrong = ada.replace(&world.store, PASSWORD, "000000".into()).unwrap().unwrap_err();
    assert_eq!(wrong, LoginRefusal::InvalidCredentials);
    let other = world.open(ada.user, "till-2");
    let begun = [EventKind::SecondFactorEnrolmentBegun];
    let code = ada.code(&world);
    let new = world.leaves(&begun, 0, |store| ada.replace(store, PASSWORD, code));
    let new = Authenticator::scan(&new.unwrap().unwrap());
    assert!(world.passes(&other, "till-2"));
    assert_eq!(info(&world, ada.user).unwrap().digits, 6);

    let pair = [-1, 0].map(|later| new.code(world.now(), later));
    let replaced = [EventKind::SecondFactorReplaced];
    let codes = world.leaves(&replaced, 2, |store| confirm(store, &ada.session, &ada.on, pair));
    let codes = texts(&codes.unwrap().unwrap());
    assert!(!world.passes(&other, "till-2"));
    assert_eq!(info(&world, ada.user).unwrap().digits, 8);

    world.clock.advance(STEP);
    for old in [ada.code(&world), ada.codes[0].as_str().into()] {
        let refused = ada.reissue(&world.store, PASSWORD, old).unwrap().unwrap_err();
        assert_eq!(refused, LoginRefusal::InvalidCredentials);
    }
    ada.reissue(&world.store, PASSWORD, codes[0].as_str().into()).unwrap().unwrap();
    world.clock.advance(STEP);
    ada.remove(&world.store, PASSWORD, new.code(world.now(), 0)).unwrap().unwrap();
}

/// Two enrolments at once: the one that was begun before a factor was in force must not replace it
/// without its proof.
#[test]
fn a_factor_that_comes_into_force_ends_the_enrolment_of_another_session() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
    let session = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    world.store.second_factors().import(begun.ada, secret, NewTotp::new()).unwrap();
    drop(session);
    let session = world.open(begun.ada, "till-1");
    let pair = begun.pair(&world);
    world.refuses(ErrorKind::NotFound, |store| confirm(store, &session, "till-1", pair));
    assert_eq!(info(&world, begun.ada).unwrap().origin, FactorOrigin::Imported);
    assert_eq!(world.count("SELECT count(*) FROM totp_enrolment"), 0);
}

#[test]
fn an_administrator_resets_a_factor_and_ends_all_sessions() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let root = world.person("ben").id;
    let acting = world.store.acting_as(root);
    let reset = [EventKind::SecondFactorReset];
    assert!(world.leaves(&reset, 1, |_| acting.second_factors().reset(ada.user)).unwrap());
    assert_eq!(world.last_event().actor.user(), Some(root));
    assert_eq!(info(&world, ada.user), None);
    assert_eq!(world.count("SELECT count(*) FROM recovery_code"), 0);
    assert!(!world.passes(&ada.session, &ada.on));
    assert!(!world.leaves(&[], 0, |store| store.second_factors().reset(ada.user)).unwrap());
    world.store.users().delete(ada.user).unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.second_factors().reset(ada.user));
}

#[test]
fn a_secret_of_another_system_is_imported_and_its_codes_up_to_now_count_as_used() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let before = world.log_in("ada", PASSWORD, "till-of-ada").unwrap().session;
    let secret = || TotpSecret::new(SECRET.to_vec()).unwrap();
    let import =
        |store: &Store, user| store.second_factors().import(user, secret(), NewTotp::new());
    world.leaves(&[EventKind::SecondFactorImported], 1, |store| import(store, ada)).unwrap();
    assert_eq!(world.last_event().detail.as_deref(), Some("sha1 6"));
    assert!(!world.passes(&before, "till-of-ada"));
    let factor = info(&world, ada).unwrap();
    assert_eq!((factor.origin, factor.recovery_codes_left), (FactorOrigin::Imported, 0));

    let session = world.open(ada, "till-of-ada");
    let (on, codes) = ("till-of-ada".to_owned(), Vec::new());
    let authenticator = Authenticator::of(SECRET);
    let ada = Enrolled { user: ada, session, on, authenticator, codes };
    for later in [-1, 0] {
        let code = ada.authenticator.code(world.now(), later);
        ada.reissue(&world.store, PASSWORD, code).unwrap().unwrap_err();
    }
    world.clock.advance(STEP);
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    assert_eq!(info(&world, ada.user).unwrap().recovery_codes_left, 10);

    world.refuses(ErrorKind::Invalid, |store| import(store, ada.user));
    let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
    world.refuses(ErrorKind::Invalid, |store| import(store, robot));
    let ben = world.person("ben").id;
    for digits in [0, 5, 7, 9, 255] {
        let new = NewTotp::new().digits(digits);
        world.refuses(ErrorKind::Invalid, |store| {
            store.second_factors().import(ben, secret(), new)
        });
    }
    world.store.users().delete(ben).unwrap();
    world.refuses(ErrorKind::NotFound, |store| import(store, ben));
}

#[test]
fn a_system_user_in_a_session_enrols_nothing() {
    let world = with_keys(&[OLD]);
    let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
    let session = world.open(robot, "rack");
    world.refuses(ErrorKind::Invalid, |store| enrol(store, &session, "rack", NewTotp::new()));
}

#[test]
fn an_enrolment_that_was_not_confirmed_is_swept_and_one_that_can_be_is_not() {
    let world = with_keys(&[OLD]);
    let begun = begun(&world);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().enrolments, 0);
    begun.confirm(&world).unwrap().unwrap();
    world.store.second_factors().reset(begun.ada).unwrap();
    let session = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    enrol(&world.store, &session, "till-1", NewTotp::new()).unwrap().unwrap();
    world.clock.advance(10 * MINUTE);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().enrolments, 1);
    assert_eq!(world.count("SELECT count(*) FROM totp_enrolment"), 0);
}
