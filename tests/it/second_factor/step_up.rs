//! Which changes of a second factor need a proof that is not old: of its user, or of the
//! administrator who asks for it.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::second_factors::NewTotp;
use gatepost::sessions::{Assurance, NewApiKey, NotFresh, OpenSession, Reauthentication};
use gatepost::{
    Actor, Error, ErrorKind, LoginRefusal, LoginRequest, OpenedSession, Store, UserId,
};

use super::{Enrolled, enrol, info};
use crate::keyring::{OLD, with_keys};
use crate::world::{MINUTE, PASSWORD, World, device};

const MOMENT: Duration = Duration::from_millis(1);

/// A stolen session could otherwise put the thief's factor in force, for good.
#[test]
fn a_session_whose_proof_is_old_enrols_nothing_until_its_user_proves_again() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let old = world.log_in("ada", PASSWORD, "till").unwrap().session;
    world.clock.advance(15 * MINUTE - MOMENT);
    assert!(enrol(&world.store, &old, "till", NewTotp::new()).unwrap().is_ok());
    world.clock.advance(MOMENT);
    let refused = world.leaves(&[], 0, |store| enrol(store, &old, "till", NewTotp::new()));
    assert_eq!(refused.unwrap().unwrap_err(), LoginRefusal::StepUpRequired);
    assert_eq!(world.store.status().login_refusals.get("step_up_required"), Some(&1));

    let on = device("till");
    let with = Reauthentication::password(PASSWORD);
    let new = world.store.prove((&old.token, &on), with).unwrap().granted().unwrap().session;
    assert!(enrol(&world.store, &new, "till", NewTotp::new()).unwrap().is_ok());
    // A host that has authenticated the user by itself opens a session.
    world.clock.advance(15 * MINUTE);
    let opened = world.open(ada, "till");
    assert!(enrol(&world.store, &opened, "till", NewTotp::new()).unwrap().is_ok());
}

/// It stayed at AAL2: then neither a password proved it again, nor a code of the factor that was
/// gone, and after 15 minutes its user had to log in for every further change.
#[test]
fn a_session_that_removed_its_factor_has_aal1_and_is_proved_by_the_password() {
    let world = with_keys(&[OLD]);
    let mut ada = Enrolled::new(&world, "ada");
    let on = device(&ada.on);
    let prove = |session: &OpenedSession, with| {
        world.store.prove((&session.token, &on), with).unwrap().granted().unwrap()
    };
    let fresh = |session: &OpenedSession, level| {
        let fresh = world.store.require_fresh((&session.token, &on), 15 * MINUTE, level).unwrap();
        fresh.granted().map(|fresh| fresh.principal().assurance)
    };
    ada.session = prove(&ada.session, Reauthentication::code(ada.code(&world))).session;
    assert_eq!(fresh(&ada.session, Assurance::Aal2), Ok(Assurance::Aal2));
    world.clock.advance(super::STEP);
    ada.remove(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    assert_eq!(fresh(&ada.session, Assurance::Aal2), Err(NotFresh::StepUpRequired));
    assert_eq!(fresh(&ada.session, Assurance::Aal1), Ok(Assurance::Aal1));

    world.clock.advance(15 * MINUTE);
    let refused = enrol(&world.store, &ada.session, &ada.on, NewTotp::new()).unwrap();
    assert_eq!(refused.unwrap_err(), LoginRefusal::StepUpRequired);
    let proved = prove(&ada.session, Reauthentication::password(PASSWORD));
    assert_eq!(proved.principal.assurance, Assurance::Aal1);
    assert!(enrol(&world.store, &proved.session, &ada.on, NewTotp::new()).unwrap().is_ok());
}

/// That the host has authenticated the user is not the factor's doing.
#[test]
fn a_session_of_aal3_that_removed_the_factor_keeps_its_level() {
    let world = with_keys(&[OLD]);
    let mut ada = Enrolled::new(&world, "ada");
    let on = device(&ada.on);
    let open = OpenSession::new(ada.user, on.clone()).assurance(Assurance::Aal3);
    ada.session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    ada.remove(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    let verified = world.store.verify((&ada.session.token, &on)).unwrap().valid().unwrap();
    assert_eq!(verified.assurance, Assurance::Aal3);
}

/// Ben, who has a factor, and an administrator.
struct Scene {
    world: World,
    ben: Enrolled,
    root: UserId,
}

impl Scene {
    fn new() -> Self {
        let world = with_keys(&[OLD]);
        let ben = Enrolled::new(&world, "ben");
        let root = world.person("root").id;
        world.store.users().set_privileges(root, &["admin"]).unwrap();
        Self { world, ben, root }
    }

    fn log_in(&self) -> OpenedSession {
        self.world.log_in("root", PASSWORD, "desk").unwrap().session
    }

    fn reset(&self, store: &Store, token: &str) -> Result<Result<bool, LoginRefusal>, Error> {
        let (on, factors) = (device("desk"), store.second_factors());
        factors.reset_by((token, &on), self.ben.user).map(|outcome| outcome.done())
    }

    #[track_caller]
    fn refuses(&self, token: &str, expect: LoginRefusal) {
        let refused = self.world.leaves(&[], 0, |store| self.reset(store, token));
        assert_eq!(refused.unwrap().unwrap_err(), expect);
        assert!(info(&self.world, self.ben.user).is_some());
        assert!(self.world.passes(&self.ben.session, &self.ben.on));
    }
}

#[test]
fn an_administrator_resets_the_factor_of_another_by_a_session_that_was_proved_lately() {
    let scene = Scene::new();
    let Scene { world, ben, root } = &scene;
    let old = scene.log_in();
    world.clock.advance(15 * MINUTE);
    scene.refuses(old.token.expose(), LoginRefusal::StepUpRequired);
    scene.refuses("gps_forged", LoginRefusal::SessionNotLive);
    let key = world.store.api_keys().issue(*root, NewApiKey::new()).unwrap().key;
    scene.refuses(key.expose(), LoginRefusal::SessionNotLive);

    let (on, with) = (device("desk"), Reauthentication::password(PASSWORD));
    let new = world.store.prove((&old.token, &on), with).unwrap().granted().unwrap().session;
    let token = new.token.expose();
    world.store.users().set_privileges(*root, &["reports.read"]).unwrap();
    scene.refuses(token, LoginRefusal::AdministratorRequired);
    world.store.users().set_privileges(*root, &["admin"]).unwrap();

    let reset = [EventKind::SecondFactorReset];
    assert!(world.leaves(&reset, 1, |store| scene.reset(store, token)).unwrap().unwrap());
    let event = world.last_event();
    assert_eq!(event.actor, Actor::Session { user: *root, session: new.id });
    assert_eq!((event.user, info(world, ben.user)), (Some(ben.user), None));
    assert!(!world.passes(&ben.session, &ben.on));
    assert!(!world.leaves(&[], 0, |store| scene.reset(store, token)).unwrap().unwrap());
    world.store.users().delete(ben.user).unwrap();
    world.refuses(ErrorKind::NotFound, |store| scene.reset(store, token));
}

#[test]
fn an_administrator_who_has_a_factor_proves_it_before_a_reset() {
    let scene = Scene::new();
    let world = &scene.world;
    let root = Enrolled::new(world, "boss");
    world.store.users().set_privileges(root.user, &["admin"]).unwrap();
    let login = LoginRequest::new("boss", PASSWORD.into(), device("desk"));
    let login = login.code(root.code(world)).trust_device(60 * MINUTE);
    let session = world.ask(login).unwrap().session;
    world.log_out(&session, "desk");
    // The trusted device skips the code.
    let weak = world.log_in("boss", PASSWORD, "desk").unwrap().session;
    scene.refuses(weak.token.expose(), LoginRefusal::StepUpRequired);
    world.clock.advance(super::STEP);
    let (on, with) = (device("desk"), Reauthentication::code(root.code(world)));
    let strong = world.store.prove((&weak.token, &on), with).unwrap().granted().unwrap().session;
    assert!(scene.reset(&world.store, strong.token.expose()).unwrap().unwrap());
}

/// Otherwise a stolen session of an administrator would need neither password nor code.
#[test]
fn no_administrator_resets_their_own_factor() {
    let world = with_keys(&[OLD]);
    let root = Enrolled::new(&world, "root");
    world.store.users().set_privileges(root.user, &["admin"]).unwrap();
    let on = device(&root.on);
    world.refuses(ErrorKind::Invalid, |store| {
        store.second_factors().reset_by((&root.session.token, &on), root.user)
    });
    assert!(info(&world, root.user).is_some());
}
