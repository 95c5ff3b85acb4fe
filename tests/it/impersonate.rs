//! Impersonation: what a session can do in which an administrator acts as a user, and what ends it.

mod credentials;
mod ends;

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::{Assurance, Impersonation, NewApiKey, OpenSession, Version};
use gatepost::{
    Actor, Credential, DeviceId, ErrorKind, LoginRefusal, OpenedSession, Principal, Store, UserId,
};

use crate::pending_step::unsealed;
use crate::world::{HOUR, MINUTE, PASSWORD, World, device, reason};

/// An administrator with a session on the device `desk`, and ada.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) boss: UserId,
    pub(crate) ada: UserId,
    pub(crate) own: OpenedSession,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::in_world(World::with(unsealed))
    }

    fn with(policy: SessionPolicy) -> Self {
        Self::in_world(World::with(|options| options.sessions(policy)))
    }

    fn in_world(world: World) -> Self {
        let boss = world.person("boss").id;
        world.store.users().set_privileges(boss, &["admin"]).unwrap();
        let ada = world.person("ada").id;
        let own = world.open(boss, "desk");
        Self { world, boss, ada, own }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    /// The principal of the administrator's own session.
    pub(crate) fn principal(&self) -> Principal {
        self.verified(&self.own, "desk")
    }

    #[track_caller]
    fn verified(&self, session: &OpenedSession, on: &str) -> Principal {
        self.store().verify((&session.token, &device(on))).unwrap().valid().unwrap()
    }

    fn ask(&self, by: &Principal, request: Impersonation) -> Result<OpenedSession, LoginRefusal> {
        let outcome = self.store().sessions().impersonate(by, request).unwrap();
        outcome.granted().map(|reply| reply.session)
    }

    /// An impersonation of ada on the device `window`.
    #[track_caller]
    pub(crate) fn as_ada(&self) -> OpenedSession {
        self.ask(&self.principal(), Impersonation::new(self.ada, device("window"))).unwrap()
    }

    fn passes(&self, session: &OpenedSession) -> bool {
        self.world.passes(session, "window")
    }
}

#[test]
fn it_verifies_as_the_user_with_a_flag() {
    let scene = Scene::new();
    let Scene { world, boss, ada, own } = &scene;
    world.clock.advance(MINUTE);
    let request = || Impersonation::new(*ada, device("window")).label("case 7");
    let outcome = world.leaves(&[EventKind::SessionImpersonated], 0, |store| {
        store.sessions().impersonate(&scene.principal(), request()).unwrap()
    });
    let reply = outcome.granted().unwrap();
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(*ada), Some(reply.session.id)));
    assert_eq!(event.actor, Actor::Session { user: *boss, session: own.id });
    // From the file, and then from memory.
    for _ in 0..2 {
        let principal = scene.verified(&reply.session, "window");
        assert_eq!(principal, reply.principal);
        assert_eq!((principal.user, principal.is_admin), (*ada, false));
        assert!(principal.is_impersonated);
        assert_eq!(principal.assurance, Assurance::Aal1);
        assert!(!scene.principal().is_impersonated);
    }
    let [info] = &world.sessions_of(*ada)[..] else { panic!("ada's own list shows it") };
    assert_eq!((info.id, info.impersonator), (reply.session.id, Some(*boss)));
    assert_eq!(info.label.as_deref(), Some("case 7"));
    assert_eq!(world.sessions_of(*boss)[0].impersonator, None);
}

/// The times of the user's own life stay as they are.
#[test]
fn it_is_no_login_of_the_user() {
    let full = SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse);
    let scene = Scene::with(full);
    let users = scene.world.user(scene.ada);
    let session = scene.as_ada();
    assert_eq!(scene.world.user(scene.ada), users, "the last login");
    assert!(scene.store().devices().list(scene.ada).unwrap().is_empty());
    // It takes no place of the user's, and the user's login takes none of its.
    let own = scene.world.log_in("ada", PASSWORD, "till").unwrap().session;
    assert!(scene.passes(&session) && scene.world.passes(&own, "till"));
}

#[test]
fn a_second_factor_of_the_user_is_not_asked_for() {
    let scene = Scene::new();
    crate::pending_step::give_factor(&scene.world, scene.ada);
    assert!(scene.passes(&scene.as_ada()));
}

#[test]
fn it_is_short_and_ends_with_the_session_of_the_administrator_at_the_latest() {
    let scene = Scene::new();
    let now = scene.world.now();
    let session = scene.as_ada();
    assert_eq!((session.expires_at, session.clamped), (now + 15 * MINUTE, false));
    let asked = |lifetime| Impersonation::new(scene.ada, device("window")).lifetime(lifetime);
    let hour = scene.ask(&scene.principal(), asked(HOUR)).unwrap();
    assert_eq!(hour.expires_at, now + HOUR);
    for lifetime in [Duration::ZERO, HOUR + Duration::from_millis(1)] {
        scene.world.refuses(ErrorKind::Invalid, |store| {
            store.sessions().impersonate(&scene.principal(), asked(lifetime))
        });
    }
    let open = OpenSession::new(scene.boss, device("phone")).lifetime(5 * MINUTE);
    let short = scene.store().sessions().open(open).unwrap().granted().unwrap();
    let cut = scene.ask(&short.principal, Impersonation::new(scene.ada, device("cut"))).unwrap();
    assert_eq!((cut.expires_at, cut.clamped), (now + 5 * MINUTE, true));
    scene.world.clock.advance(5 * MINUTE - Duration::from_millis(1));
    assert!(scene.world.passes(&cut, "cut"));
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(!scene.world.passes(&cut, "cut"));
    scene.world.clock.advance(55 * MINUTE);
    assert!(!scene.passes(&hour));
}

#[test]
fn a_renewal_does_not_move_its_end() {
    let scene = Scene::new();
    let session = scene.as_ada();
    scene.world.clock.advance(14 * MINUTE);
    let renewed = scene
        .world
        .leaves(&[], 0, |store| store.renew((&session.token, &device("window"))).unwrap().valid());
    assert_eq!(renewed, Ok(session.expires_at));
}

#[test]
fn only_an_administrator_impersonates_and_never_another_one() {
    let scene = Scene::new();
    let Scene { world, boss, ada, .. } = &scene;
    let ben = world.person("ben").id;
    let request = |user| Impersonation::new(user, device("window"));
    let refused = |by: &Principal, user| {
        let refusal = scene.ask(by, request(user)).unwrap_err();
        let event = world.last_event();
        assert_eq!((event.event.as_str(), event.user), ("session.impersonated", Some(user)));
        assert_eq!(reason(world), refusal.name());
        refusal
    };
    let benign = scene.verified(&world.open(ben, "till"), "till");
    assert_eq!(refused(&benign, *ada), LoginRefusal::AdministratorRequired);
    let mut forged = benign;
    forged.is_admin = true;
    assert_eq!(refused(&forged, *ada), LoginRefusal::AdministratorRequired);
    // Who is no administrator learns nothing of ids.
    let no_user: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    assert_eq!(refused(&benign, no_user), LoginRefusal::AdministratorRequired);

    let own = scene.principal();
    world.refuses(ErrorKind::NotFound, |store| {
        store.sessions().impersonate(&own, request(no_user))
    });
    assert_eq!(refused(&own, *boss), LoginRefusal::ImpersonationNotAllowed);
    world.store.users().set_privileges(ben, &["admin"]).unwrap();
    assert_eq!(refused(&own, ben), LoginRefusal::ImpersonationNotAllowed);
    let acting = scene.verified(&scene.as_ada(), "window");
    assert_eq!(refused_on(&scene, &acting, ben), LoginRefusal::ImpersonationNotAllowed);
    for (status, refusal) in [
        (UserStatus::Locked, LoginRefusal::AccountLocked),
        (UserStatus::Disabled, LoginRefusal::AccountDisabled),
        (UserStatus::Pending, LoginRefusal::AccountPending),
    ] {
        world.store.users().set_status(*ada, status).unwrap();
        assert_eq!(refused(&own, *ada), refusal);
    }
    world.store.users().set_status(*ada, UserStatus::Active).unwrap();
    let york = world.store.branches().create("York", None).unwrap().id;
    world.store.users().move_to(*ada, york).unwrap();
    world.store.branches().set_active(york, false).unwrap();
    assert_eq!(refused(&own, *ada), LoginRefusal::BranchDisabled);
    world.store.users().delete(*ada).unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.sessions().impersonate(&own, request(*ada)));
}

fn refused_on(scene: &Scene, by: &Principal, user: UserId) -> LoginRefusal {
    scene.ask(by, Impersonation::new(user, device("further"))).unwrap_err()
}

#[test]
fn an_api_key_and_a_session_that_is_over_impersonate_no_user() {
    let scene = Scene::new();
    let own = scene.principal();
    let key = scene.store().api_keys().issue(scene.boss, NewApiKey::new()).unwrap().key;
    let key = scene.store().verify((&key, None)).unwrap().valid().unwrap();
    let request = || Impersonation::new(scene.ada, device("window"));
    let impersonate = |by: Principal| {
        move |store: &Store| {
            store.sessions().impersonate(&by, Impersonation::new(scene.ada, device("window")))
        }
    };
    scene.world.refuses(ErrorKind::Invalid, impersonate(key));
    scene.world.log_out(&scene.own, "desk");
    scene.world.refuses(ErrorKind::SessionEnded, impersonate(own));
    let labelled = request().label("x".repeat(129));
    scene.world.refuses(ErrorKind::Invalid, |store| store.sessions().impersonate(&own, labelled));
    scene.world.refuses(ErrorKind::Invalid, |store| {
        store.sessions().impersonate(&own, Impersonation::new(scene.ada, None))
    });
}

/// A session of the user on the device would end unseen, one of another user by surprise.
#[test]
fn a_live_session_on_the_device_stays() {
    let scene = Scene::with(SessionPolicy::server().device_takeover(true));
    let Scene { world, boss, ada, .. } = &scene;
    let own = world.open(*ada, "till");
    let phone = world.open(*boss, "phone");
    for on in ["till", "phone", "desk"] {
        let refusal = scene.ask(&scene.principal(), Impersonation::new(*ada, device(on)));
        assert_eq!(refusal.unwrap_err(), LoginRefusal::DeviceInUse);
    }
    assert!(world.passes(&own, "till") && world.passes(&phone, "phone"));
    // One that is over makes way.
    world.clock.advance(25 * HOUR);
    let later = scene.verified(&world.open(*boss, "desk"), "desk");
    let session = scene.ask(&later, Impersonation::new(*ada, device("till"))).unwrap();
    assert!(world.passes(&session, "till"));
}

#[test]
fn a_session_impersonates_one_user_at_a_time() {
    let scene = Scene::new();
    let ben = scene.world.person("ben").id;
    let first = scene.as_ada();
    let events = [EventKind::SessionReplaced, EventKind::SessionImpersonated];
    let second = scene.world.leaves(&events, 1, |_| {
        scene.ask(&scene.principal(), Impersonation::new(ben, device("window"))).unwrap()
    });
    assert!(!scene.passes(&first) && scene.passes(&second));
    let replaced = &scene.world.log_of(EventKind::SessionReplaced)[0];
    assert_eq!((replaced.user, replaced.session), (Some(scene.ada), Some(first.id)));
    assert_eq!(replaced.reason.as_deref(), Some("impersonation"));
    // Another session of the same administrator has its own.
    let phone = scene.verified(&scene.world.open(scene.boss, "phone"), "phone");
    let third = scene.ask(&phone, Impersonation::new(scene.ada, device("third"))).unwrap();
    assert!(scene.passes(&second) && scene.world.passes(&third, "third"));
}

/// By hand, past the library: the file refuses what no call would do.
#[test]
fn the_file_keeps_its_rules() {
    const COPY: &str =
        "INSERT INTO session SELECT zeroblob(16), secret_hash, NULL, USER, opened_seq,
             opened_at, authenticated_at, lifetime_from, END, lifetime_ms, idle_ms, aal, last_seen,
             label, ip, user_agent, ACTOR, OWN FROM session WHERE actor_user_id IS NOT NULL";
    let scene = Scene::new();
    let session = scene.as_ada();
    let sql = scene.world.sql();
    let copy = |user: &str, end: &str, actor: &str, own: &str| {
        let values = [("USER", user), ("END", end), ("ACTOR", actor), ("OWN", own)];
        values.iter().fold(COPY.to_owned(), |sql, (name, value)| sql.replace(name, value))
    };
    let (user, end) = ("user_id", "expires_at");
    let (actor, own) = ("actor_user_id", "actor_session_id");
    let below = "session_impersonates_a_lower_user";
    let update = |set: &str| format!("UPDATE session SET {set} WHERE actor_user_id IS NOT NULL");
    for (trigger, refused) in [
        ("impersonation_is_not_prolonged", update("expires_at = expires_at + 1")),
        ("session_keeps_its_actor", update("actor_user_id = user_id")),
        ("session_keeps_its_actor", update("actor_user_id = NULL, actor_session_id = NULL")),
        ("session_keeps_its_actor", update("user_id = actor_user_id")),
        // Of an administrator, by one who is none, from an impersonation, for longer.
        (below, copy(actor, end, actor, own)),
        (below, copy(user, end, user, own)),
        (below, copy(user, end, actor, "id")),
        (below, copy(user, "expires_at + 999999999", actor, own)),
    ] {
        assert!(sql.execute(&refused, []).is_err(), "{refused}");
        sql.execute_batch(&format!("BEGIN; DROP TRIGGER {trigger}")).unwrap();
        assert!(sql.execute(&refused, []).is_ok(), "not by {trigger}: {refused}");
        sql.execute_batch("ROLLBACK").unwrap();
    }
    let allowed = copy(user, end, actor, own);
    sql.execute_batch("BEGIN").unwrap();
    assert_eq!(sql.execute(&allowed, []), Ok(1));
    sql.execute_batch("ROLLBACK").unwrap();
    for refused in [update("idle_ms = 1"), update("actor_user_id = NULL")] {
        assert!(sql.execute(&refused, []).is_err(), "{refused}");
    }
    assert!(scene.passes(&session));
}

#[test]
fn its_uses_and_data_are_its_own() {
    let scene = Scene::new();
    let session = scene.as_ada();
    scene.store().sessions().set_data_json(session.id, "{}", Version::NONE).unwrap();
    let used = Credential::Session(session.id);
    assert_eq!(scene.verified(&session, "window").credential, used);
    let random = DeviceId::random().unwrap();
    assert!(scene.store().verify((&session.token, &random)).unwrap().valid().is_err());
}

/// A session of an inactivity timeout of ten minutes was opened twelve minutes ago, and used four
/// minutes ago, which only this process knows.
fn with_waiting_uses(open: impl FnOnce(&Scene) -> OpenedSession) -> (Scene, OpenedSession) {
    let scene = Scene::with(SessionPolicy::server().inactivity_timeout(10 * MINUTE));
    let session = open(&scene);
    let hand = scene.world.sql();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.world.clock.advance(8 * MINUTE);
    assert!(scene.passes(&session) && scene.world.passes(&scene.own, "desk"));
    hand.execute_batch("ROLLBACK").unwrap();
    scene.world.clock.advance(4 * MINUTE);
    let idle = "SELECT count(*) FROM session WHERE last_seen = opened_at";
    assert_eq!(scene.world.count(idle), 2, "no use is in the file");
    (scene, session)
}

/// The verify without a cache would write the uses of both before the call.
fn held_principal(scene: &Scene) -> Principal {
    let hand = scene.world.sql();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    let principal = scene.principal();
    hand.execute_batch("ROLLBACK").unwrap();
    principal
}

#[test]
fn a_session_on_the_device_whose_last_use_waits_is_not_replaced() {
    let (scene, session) = with_waiting_uses(|scene| scene.world.open(scene.ada, "window"));
    let principal = held_principal(&scene);
    let request = Impersonation::new(scene.ada, device("window"));
    assert_eq!(scene.ask(&principal, request).unwrap_err(), LoginRefusal::DeviceInUse);
    assert!(scene.passes(&session));
}

#[test]
fn the_end_of_an_earlier_one_is_recorded_while_the_last_use_of_the_administrator_waits() {
    let (scene, earlier) = with_waiting_uses(Scene::as_ada);
    let principal = held_principal(&scene);
    scene.ask(&principal, Impersonation::new(scene.ada, device("door"))).unwrap();
    let [row] = &scene.world.log_of(EventKind::SessionReplaced)[..] else { panic!("no row") };
    assert_eq!((row.session, row.reason.as_deref()), (Some(earlier.id), Some("impersonation")));
}

/// Its last use is that of the administrator's session.
#[test]
fn a_login_on_its_device_is_refused_while_the_last_use_of_the_administrator_waits() {
    let mut ben = None;
    let (scene, session) = with_waiting_uses(|scene| {
        ben = Some(scene.world.person("ben").id);
        scene.as_ada()
    });
    let open = OpenSession::new(ben.unwrap(), device("window"));
    let refused = scene.store().sessions().open(open).unwrap().granted();
    assert_eq!(refused.unwrap_err(), LoginRefusal::DeviceInUse);
    assert!(scene.passes(&session));
}
