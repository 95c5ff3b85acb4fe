//! Sessions opened for a user whom the host has authenticated by other means.

use gatepost::audit::{EventKind, Outcome};
use gatepost::directory::{UserKind, UserStatus, UserUpdate};
use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::{Assurance, OpenSession};
use gatepost::{ClientInfo, ClientKind, ErrorKind, LoginRefusal, NewUser, User, UserId};

use crate::world::{HOUR, World, device, morning, reason};

fn open(world: &World, request: OpenSession) -> Result<gatepost::LoginReply, LoginRefusal> {
    world.store.sessions().open(request).unwrap().granted()
}

#[test]
fn a_session_is_opened_without_a_password_for_no_hash_and_one_event() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let client_info = ClientInfo::new().user_agent("SSO");
    let request = OpenSession::new(ada, device("till-1"))
        .expires_at(morning() + HOUR)
        .client(ClientKind::Desktop)
        .assurance(Assurance::Aal2)
        .label("Till 1")
        .client_info(client_info.clone());
    let reply = world
        .hashes(0, |_| world.leaves(&[EventKind::SessionOpened], 0, |_| open(&world, request)))
        .unwrap();
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada), Some(reply.session.id)));
    assert_eq!((event.outcome, event.client_info), (Outcome::Done, Some(client_info)));
    let verdict = world.store.verify((&reply.session.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert_eq!((principal.user, principal.assurance), (ada, Assurance::Aal2));
    assert_eq!(principal.expires_at, Some(morning() + HOUR));
    assert_eq!(reply.profile.user.last_login_at, Some(morning()));
}

#[test]
fn an_administrator_who_opens_it_for_someone_is_named() {
    let world = World::new();
    let (ada, root) = (world.person("ada").id, world.person("root").id);
    let request = OpenSession::new(ada, device("till-1"));
    let _ = world.store.acting_as(root).sessions().open(request).unwrap().granted().unwrap();
    let event = world.last_event();
    assert_eq!((event.actor.user(), event.user), (Some(root), Some(ada)));
}

#[test]
fn a_system_user_may_have_a_session_as_well() {
    let world = World::new();
    let mailer = world.store.users().create(NewUser::system("mailer")).unwrap().id;
    let session = world.open(mailer, "till-1");
    let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
    assert_eq!(verdict.valid().unwrap().kind, UserKind::System);
}

#[test]
fn it_is_refused_as_a_login_is_and_every_refusal_leaves_one_event() {
    let status = |status| {
        move |world: &World, ada: &User| {
            world.store.users().set_status(ada.id, status).unwrap();
        }
    };
    check(status(UserStatus::Locked), "AccountLocked");
    check(status(UserStatus::Disabled), "AccountDisabled");
    check(status(UserStatus::Pending), "AccountPending");
    check(
        |world, ada| drop(world.store.branches().set_active(ada.branch.unwrap(), false).unwrap()),
        "BranchDisabled",
    );
    check(
        |world, ada| {
            let york = world.store.branches().find(ada.branch.unwrap()).unwrap().unwrap();
            world.store.organisations().set_active(york.organisation.unwrap(), false).unwrap();
        },
        "OrganisationDisabled",
    );
    check(
        |world, ada| {
            let denied = UserUpdate::new().desktop_client_denied(true);
            world.store.users().update(ada.id, denied).unwrap();
        },
        "DesktopClientDenied",
    );
    check(|world, _| drop(world.open(world.person("bob").id, "till-1")), "DeviceInUse");
    check(|world, ada| drop(world.open(ada.id, "till-2")), "TooManySessions");
}

#[track_caller]
fn check(prepare: impl FnOnce(&World, &User), expect: &str) {
    let policy = SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse);
    let world = World::with(|options| options.sessions(policy));
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let ada = world.store.users().create(NewUser::person("ada").branch(york)).unwrap();
    prepare(&world, &ada);
    let sessions = world.count("SELECT count(*) FROM session");
    let request = OpenSession::new(ada.id, device("till-1")).client(ClientKind::Desktop);
    let refusal =
        world.leaves(&[EventKind::SessionOpened], 0, |_| open(&world, request)).unwrap_err();
    assert_eq!(format!("{refusal:?}"), expect);
    assert_eq!(reason(&world), refusal.name());
    assert_eq!(world.last_event().outcome, Outcome::Refused);
    assert_eq!(world.count("SELECT count(*) FROM session"), sessions);
}

#[test]
fn it_needs_a_user_and_what_any_session_needs() {
    let world = World::new();
    let ada = world.person("ada").id;
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let deleted = world.person("bob").id;
    world.store.users().delete(deleted).unwrap();
    for (request, reason) in [
        (OpenSession::new(unknown, device("till-1")), ErrorKind::NotFound),
        (OpenSession::new(deleted, device("till-1")), ErrorKind::NotFound),
        (OpenSession::new(ada, None), ErrorKind::Invalid),
        (OpenSession::new(ada, device("till-1")).expires_at(morning()), ErrorKind::Invalid),
        (OpenSession::new(ada, device("till-1")).label("x".repeat(129)), ErrorKind::Invalid),
    ] {
        world.refuses(reason, |store| store.sessions().open(request));
    }
}

#[test]
fn a_lock_by_failed_attempts_does_not_stand_in_its_way() {
    let world = World::new();
    let ada = world.person("ada").id;
    for _ in 0..5 {
        world.log_in("ada", "wrong horse battery", "elsewhere").unwrap_err();
    }
    let session = world.open(ada, "till-1");
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.user(ada).failed_attempts, 5, "it proves no password");
}
