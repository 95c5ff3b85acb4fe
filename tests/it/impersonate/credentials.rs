//! What an administrator who acts as a user may not change, and what the log says of the rest.

use std::time::Duration;

use gatepost::audit::{AuditFilter, HostEvent};
use gatepost::directory::{BranchFilter, ImportRecord, UserFilter};
use gatepost::second_factors::NewTotp;
use gatepost::sessions::{
    Assurance, IssuedApiKey, NewApiKey, NewOneTimeToken, NewTicket, OpenSession, Reauthentication,
};
use gatepost::uuid::Uuid;
use gatepost::{
    Actor, Ended, Error, ErrorKind, LoginOutcome, LoginRefusal, LoginRequest, NewUser, Page,
    Store, UserId,
};

use super::Scene;
use crate::world::{HOUR, PASSWORD, device};

#[test]
fn it_changes_no_credential_of_the_user() {
    let scene = Scene::new();
    let (world, store) = (&scene.world, &scene.world.store);
    let session = scene.as_ada();
    let on = device("window");
    let presented = (&session.token, &on);
    let not_allowed = Err(LoginRefusal::ImpersonationNotAllowed);
    let refusal = |outcome: LoginOutcome| outcome.granted().map(drop);
    world.leaves(&[], 0, |_| {
        let new = || "nine brass bells".into();
        let changed = store.change_password(presented, PASSWORD.into(), new()).unwrap();
        assert_eq!(refusal(changed), not_allowed);
        let changed = store.change_password_and_revoke_keys(presented, PASSWORD.into(), new());
        assert_eq!(refusal(changed.unwrap()), not_allowed);
        for with in [Reauthentication::password(PASSWORD), Reauthentication::code("123456")] {
            assert_eq!(refusal(store.prove(presented, with).unwrap()), not_allowed);
        }
        let factors = store.second_factors();
        let begun = factors.enrol(presented, NewTotp::new()).unwrap();
        assert_eq!(begun.done().map(drop), not_allowed);
        let confirmed = factors.confirm(presented, "123456".into(), "654321".into()).unwrap();
        assert_eq!(confirmed.done().map(drop), not_allowed);
        let removed = factors.remove(presented, PASSWORD.into(), "123456".into()).unwrap();
        assert_eq!(removed.done().map(drop), not_allowed);
    });
    let principal = scene.verified(&session, "window");
    world.refuses(ErrorKind::Invalid, |store| {
        store.api_keys().attenuate(&principal, NewApiKey::new())
    });
    for level in [Assurance::Aal1, Assurance::Aal2] {
        let fresh = store.require_fresh(presented, HOUR, level).unwrap();
        assert!(fresh.granted().is_err(), "the user has proved nothing");
    }
    assert_eq!(world.user(scene.ada).failed_attempts, 0);
}

type Call = fn(&Store, UserId, &IssuedApiKey) -> Result<(), Error>;

const CALLS: [(&str, Call); 18] = [
    ("create", |s, _, _| s.users().create(NewUser::person("eve").privilege("admin")).map(drop)),
    ("restore", |s, _, _| {
        let deleted = UserFilter::new().deleted();
        s.users().restore(s.users().list(&deleted, Page::default())?[0].id).map(drop)
    }),
    ("grant", |s, ada, _| {
        let all = s.branches().list(&BranchFilter::new(), Page::default())?;
        let leeds = all.iter().find(|branch| branch.name == "Leeds").unwrap().id;
        s.users().grant_administration(ada, leeds).map(drop)
    }),
    ("withdraw", |s, ada, _| {
        let own = s.users().administrations(ada)?[0];
        s.users().withdraw_administration(ada, own).map(drop)
    }),
    ("import", |s, _, _| {
        let (id, user) = (UserId::from_uuid(Uuid::from_u128(7)), NewUser::person("eve"));
        let (user, created_at, confirmed_at) = (Box::new(user), None, None);
        let record = ImportRecord::User { id, user, created_at, confirmed_at };
        s.import(vec![record])?.pop().unwrap().map(drop)
    }),
    ("rename", |s, ada, _| s.users().rename(ada, "augusta").map(drop)),
    ("e-mail", |s, ada, _| s.users().set_email(ada, Some("a@example.com")).map(drop)),
    ("privileges", |s, ada, _| s.users().set_privileges(ada, &["x"]).map(drop)),
    ("confirm", |s, ada, _| s.users().confirm(ada).map(drop)),
    ("set password", |s, ada, _| s.users().set_password(ada, "nine brass bells".into())),
    ("remove password", |s, ada, _| s.users().remove_password(ada).map(drop)),
    ("compromised", |s, ada, _| s.users().mark_compromised(ada).map(drop)),
    ("rotate", |s, _, key| s.api_keys().rotate(key.id, Duration::ZERO).map(drop)),
    ("one-time token", |s, ada, _| {
        s.one_time_tokens().issue(ada, NewOneTimeToken::password_reset()).map(drop)
    }),
    ("link", |s, ada, _| s.external_identities().link(ada, "https://idp", "7").map(drop)),
    ("open", |s, ada, _| s.sessions().open(OpenSession::new(ada, device("further"))).map(drop)),
    ("log in", |s, _, _| {
        let login = LoginRequest::new("ada", PASSWORD.into(), device("further"));
        s.log_in(login).map(drop)
    }),
    ("issue", |s, _, _| {
        let robot = s.users().find_by_username("robot")?.unwrap();
        s.api_keys().issue(robot.id, NewApiKey::new()).map(drop)
    }),
];

/// Every call that writes such an event, ascribed to the session by whatever spelling.
#[test]
fn what_is_ascribed_to_it_changes_no_credential() {
    let scene = Scene::new();
    let world = &scene.world;
    let ada = scene.ada;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    let session = scene.as_ada();
    let principal = scene.verified(&session, "window");
    let spelled = Actor::Session { user: ada, session: session.id };
    let gone = world.store.users().create(NewUser::person("gone")).unwrap().id;
    world.store.users().delete(gone).unwrap();
    let [york, _] =
        ["York", "Leeds"].map(|name| world.store.branches().create(name, None).unwrap().id);
    world.store.users().grant_administration(ada, york).unwrap();
    world.store.users().create(NewUser::system("robot")).unwrap();
    let before = world.user(ada);
    for actor in [Actor::from(&principal), spelled] {
        let store = world.store.acting_as(actor);
        for (name, call) in CALLS {
            let error = call(&store, ada, &key).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            assert!(error.to_string().contains("changes no credential"), "{name}: {error}");
        }
    }
    let mut after = world.user(ada);
    after.failed_attempts = before.failed_attempts;
    assert_eq!(after, before);
    assert!(world.log_in("ada", PASSWORD, "till").is_ok(), "the password is the same");
}

#[test]
fn every_row_of_it_names_the_administrator() {
    let scene = Scene::new();
    let (world, boss, ada) = (&scene.world, scene.boss, scene.ada);
    let session = scene.as_ada();
    let principal = scene.verified(&session, "window");
    let actor = Actor::Impersonation { administrator: boss, session: session.id };
    let check = |what: &str| {
        let event = world.last_event();
        assert_eq!(event.actor, actor, "{what}: {}", event.event);
        assert_eq!((event.actor.user(), event.actor.session()), (Some(boss), Some(session.id)));
    };
    let acting = world.store.acting_as(principal);
    acting.audit().record(&[HostEvent::new("report.printed").unwrap()]).unwrap();
    check("the host's own row");
    acting.sessions().set_label(session.id, Some("case 8")).unwrap();
    check("a call by its handle");
    let minted = world.store.tickets().mint(&principal, NewTicket::new("GET", "/7")).unwrap();
    let ticket = minted.valid().unwrap().ticket;
    let bearer =
        world.store.tickets().verify(ticket.expose(), "GET", "/7").unwrap().valid().unwrap();
    let bearing = world.store.acting_as(&bearer);
    bearing.audit().record(&[HostEvent::new("image.read").unwrap()]).unwrap();
    check("a ticket");
    // Whatever actor the host has set.
    let other = world.open(ada, "till");
    assert_eq!(world.store.sessions().revoke_own(&principal, other.id).unwrap(), Ended::Now);
    check("revoke_own");
    world.store.sessions().revoke_others(&principal).unwrap();
    check("revoke_others");
    assert_eq!(world.log_out(&session, "window"), Ended::Now);
    check("log_out");
    // The session is over, and the log still knows whose it was.
    acting.audit().record(&[HostEvent::new("report.mailed").unwrap()]).unwrap();
    check("a late row");
    let by_boss = world.store.audit().list(&AuditFilter::new().actor(boss), Page::first(500));
    assert_eq!(by_boss.unwrap().len(), 8);
}
