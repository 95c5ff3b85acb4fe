//! Sessions: opened without a password, listed, labelled, ended, with data of the host's.

mod data;
mod live;
mod open;
mod revoked;

use gatepost::audit::EventKind;
use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{Assurance, OpenSession, SessionFilter};
use gatepost::{
    ClientInfo, Ended, ErrorKind, LoginRequest, NewUser, Page, Password, SessionId, Subtree,
    UserId,
};

use crate::world::{DAY, HOUR, MINUTE, Meanwhile, PASSWORD, SECOND, World, device, morning};

/// A handle that no session has.
fn unknown_session() -> SessionId {
    "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap()
}

#[test]
fn a_list_shows_the_live_sessions_of_one_user_and_no_token() {
    let world =
        World::with(|options| options.sessions(SessionPolicy::server().inactivity_timeout(HOUR)));
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let client_info = ClientInfo::new().ip([192, 0, 2, 7]).user_agent("Till/4");
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let first =
        world.ask(request.label("Till 1").client_info(client_info.clone())).unwrap().session;
    world.clock.advance(MINUTE);
    let second = world.open(ada, "till-2");
    world.open(bob, "till-3");
    let list = world.sessions_of(ada);
    assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), [first.id, second.id]);
    let one = &list[0];
    assert_eq!((one.user, one.has_device, one.assurance), (ada, true, Assurance::Aal1));
    assert_eq!(
        (one.label.as_deref(), one.client_info.clone()),
        (Some("Till 1"), Some(client_info))
    );
    assert_eq!((one.opened_at, one.authenticated_at), (morning(), morning()));
    assert_eq!((one.expires_at, one.inactivity_timeout), (morning() + DAY, Some(HOUR)));
    assert_eq!(one.last_seen_at, morning());
    assert_eq!((list[1].label.as_deref(), list[1].client_info.as_ref()), (None, None));
    for session in [&first, &second] {
        assert!(!format!("{list:?}").contains(session.token.expose()));
    }
    let _ = world.log_out(&first, "till-1");
    assert_eq!(world.sessions_of(ada).len(), 1);
    assert_eq!(world.store.sessions().find(first.id).unwrap(), None);
    world.clock.advance(HOUR);
    assert_eq!(world.sessions_of(ada), []);
}

#[test]
fn a_filter_names_a_user_or_a_place_and_the_list_goes_on_page_by_page() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let leeds = world.store.branches().create("Leeds", northern).unwrap().id;
    let user = |name, branch| {
        world.store.users().create(NewUser::person(name).branch(branch)).unwrap().id
    };
    let (ada, bob, cyd) =
        (user("ada", Some(york)), user("bob", Some(york)), user("cyd", Some(leeds)));
    let eve = user("eve", None);
    let on = ["till-1", "till-2", "till-3", "till-4", "till-5"];
    let opened: Vec<SessionId> = on
        .iter()
        .zip([ada, ada, bob, cyd, eve])
        .map(|(on, user)| {
            world.clock.advance(SECOND);
            world.open(user, on).id
        })
        .collect();
    let check = |filter: SessionFilter, expect: &[SessionId]| {
        let sessions = world.store.sessions();
        let mut listed = Vec::new();
        let mut page = Page::first(1);
        loop {
            let read = sessions.list(&filter, page).unwrap();
            let [one] = read.as_slice() else { break };
            listed.push(one.id);
            page = Page::after(one.id, 1);
        }
        assert_eq!(listed, expect, "{filter:?}");
        let all: Vec<SessionId> = sessions.iter(&filter).map(|one| one.unwrap().id).collect();
        assert_eq!(all, expect, "{filter:?}");
        assert_eq!(sessions.count(&filter).unwrap(), expect.len() as u64, "{filter:?}");
    };
    let under = |subtree: Subtree| SessionFilter::new().under(subtree);
    check(SessionFilter::new(), &opened);
    check(under(Subtree::Store), &opened);
    check(under(northern.into()), &opened[..4]);
    check(under(york.into()), &opened[..3]);
    check(under(ada.into()), &opened[..2]);
    check(under(york.into()).under(eve), &opened[4..]);
    check(SessionFilter::new().under(unknown_user()), &[]);

    // An ended session is in the file for a while, and in no list.
    world.store.sessions().revoke_all(york).unwrap();
    check(under(northern.into()), &opened[3..4]);
    world.clock.advance(DAY);
    check(SessionFilter::new(), &[]);
    assert!(world.count("SELECT count(*) FROM session") > 0);
    for limit in [0, 501] {
        world.refuses(ErrorKind::Invalid, |store| {
            store.sessions().list(&SessionFilter::new(), Page::first(limit))
        });
    }
}

fn unknown_user() -> UserId {
    "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap()
}

#[test]
fn a_label_is_changed_and_removed_while_the_session_lives() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let label = || world.store.sessions().find(session.id).unwrap().unwrap().label;
    let set = |text: Option<&str>| world.store.sessions().set_label(session.id, text);
    world.leaves(&[EventKind::SessionLabelled], 0, |_| set(Some("Till 1"))).unwrap();
    assert_eq!(label().as_deref(), Some("Till 1"));
    world.leaves(&[], 0, |_| set(Some("Till 1"))).unwrap();
    let longest = "x".repeat(128);
    set(Some(&longest)).unwrap();
    for bad in ["x".repeat(129).as_str(), "two\nlines", "a\u{0}"] {
        world.refuses(ErrorKind::Invalid, |_| set(Some(bad)));
    }
    assert_eq!(label(), Some(longest));
    world.leaves(&[EventKind::SessionLabelled], 0, |_| set(None)).unwrap();
    assert_eq!(label(), None);
    let _ = world.log_out(&session, "till-1");
    world.refuses(ErrorKind::NotFound, |_| set(Some("Till 1")));
    world
        .refuses(ErrorKind::NotFound, |store| store.sessions().set_label(unknown_session(), None));
}

#[test]
fn one_session_is_ended_by_its_handle() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (one, two) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let end = |id| world.store.sessions().revoke(id).unwrap();
    assert_eq!(world.leaves(&[EventKind::SessionRevoked], 1, |_| end(one.id)), Ended::Now);
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada), Some(one.id)));
    assert!(!world.passes(&one, "till-1") && world.passes(&two, "till-2"));
    assert_eq!(world.leaves(&[], 0, |_| end(one.id)), Ended::Before);
    assert_eq!(world.leaves(&[], 0, |_| end(unknown_session())), Ended::Before);
}

/// A page that lists a user's own sessions gets a handle back from outside. The handle of another
/// user's session must neither end it nor be distinguished from an unknown one.
#[test]
fn a_user_revokes_only_their_own_sessions_by_handle() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let (held, other) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bobs = world.open(bob, "till-3");
    let verdict = world.store.verify((&held.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    let end = |id| world.store.sessions().revoke_own(&principal, id).unwrap();
    assert_eq!(world.leaves(&[], 0, |_| end(bobs.id)), Ended::Before);
    assert_eq!(world.leaves(&[], 0, |_| end(unknown_session())), Ended::Before);
    assert!(world.passes(&bobs, "till-3") && world.passes(&other, "till-2"));
    assert_eq!(world.leaves(&[EventKind::SessionRevoked], 1, |_| end(other.id)), Ended::Now);
    assert!(!world.passes(&other, "till-2") && world.passes(&held, "till-1"));
    assert_eq!(world.leaves(&[], 0, |_| end(other.id)), Ended::Before);

    let key = world.store.api_keys().issue(bob, gatepost::sessions::NewApiKey::new()).unwrap().key;
    let of_key = world.store.verify((&key, None)).unwrap().valid().unwrap();
    assert_eq!(world.store.sessions().revoke_own(&of_key, held.id).unwrap(), Ended::Before);
    assert_eq!(world.store.sessions().revoke_own(&of_key, bobs.id).unwrap(), Ended::Now);

    // The caller may revoke its own session; then no valid session is left to ask for more.
    assert_eq!(end(held.id), Ended::Now);
    let again = world.open(ada, "till-4");
    let own = |store: &gatepost::Store| store.sessions().revoke_own(&principal, again.id);
    world.refuses(ErrorKind::SessionEnded, own);
    assert!(world.passes(&again, "till-4"));
}

#[test]
fn all_others_end_and_the_session_in_hand_goes_on_with_its_token() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (kept, other) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bobs = world.open(world.person("bob").id, "till-3");
    let verdict = world.store.verify((&kept.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    world
        .leaves(&[EventKind::SessionOthersRevoked], 2, |store| {
            store.sessions().revoke_others(&principal)
        })
        .unwrap();
    assert!(world.passes(&kept, "till-1") && world.passes(&bobs, "till-3"));
    assert!(!world.passes(&other, "till-2"));

    let _ = world.log_out(&kept, "till-1");
    let renewed = world.open(ada, "till-1");
    world.refuses(ErrorKind::SessionEnded, |store| store.sessions().revoke_others(&principal));
    assert!(world.passes(&renewed, "till-1"));
    let key = world.store.api_keys().issue(ada, gatepost::sessions::NewApiKey::new()).unwrap().key;
    let principal = world.store.verify((&key, None)).unwrap().valid().unwrap();
    world.refuses(ErrorKind::Invalid, |store| store.sessions().revoke_others(&principal));
}

/// The fields of a principal are public: a host can write another user into one.
#[test]
fn a_principal_that_names_another_user_than_its_session_does_revokes_nothing() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let (held, other) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bobs = world.open(bob, "till-3");
    let verdict = world.store.verify((&held.token, &device("till-1"))).unwrap();
    let mut principal = verdict.valid().unwrap();
    principal.user = bob;
    world.refuses(ErrorKind::SessionEnded, |store| store.sessions().revoke_others(&principal));
    assert!(world.passes(&held, "till-1") && world.passes(&other, "till-2"));
    assert!(world.passes(&bobs, "till-3"));
}

/// The time moves past the end of the session in hand at one reading of the clock after another,
/// also between the check that it is live and the write.
#[test]
fn a_session_that_expires_during_the_call_revokes_no_others() {
    let mut refused = 0;
    for readings in 0..8 {
        let (meanwhile, clock) = (Meanwhile::default(), ManualClock::new(morning()));
        let world = World::with(|options| options.clock(meanwhile.clock(&clock)));
        let ada = world.person("ada").id;
        let held = OpenSession::new(ada, device("till-1")).lifetime(HOUR);
        let held = world.store.sessions().open(held).unwrap().granted().unwrap().principal;
        let before = world.last_event().event;
        let moved = clock.clone();
        meanwhile.happens_after(readings, move || moved.advance(HOUR));
        let answer = world.store.sessions().revoke_others(&held);
        let last = world.last_event();
        match answer {
            Ok(()) => assert!(last.at < morning() + HOUR, "{readings} readings"),
            Err(error) => {
                assert_eq!((error.kind(), last.event), (ErrorKind::SessionEnded, before));
                refused += 1;
            }
        }
    }
    assert!(refused > 1);
}

#[test]
fn what_is_not_there_has_no_sessions_to_revoke() {
    let world = World::new();
    world.person("ada");
    let unknown = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";
    let subtrees = [
        Subtree::User(unknown.parse().unwrap()),
        Subtree::Branch(unknown.parse().unwrap()),
        Subtree::Organisation(unknown.parse().unwrap()),
    ];
    for subtree in subtrees {
        world.refuses(ErrorKind::NotFound, |store| store.sessions().revoke_all(subtree));
    }
}

#[test]
fn what_is_done_through_facts_is_ascribed_to_their_session() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let session = world.open(ada, "till-1");
    let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    world.store.acting_as(principal).sessions().revoke_all(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.session()), (Some(ada), Some(session.id)));

    let key = world.store.api_keys().issue(ada, gatepost::sessions::NewApiKey::new()).unwrap();
    let principal = world.store.verify((&key.key, None)).unwrap().valid().unwrap();
    world.store.acting_as(principal).sessions().revoke_all(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.api_key()), (Some(ada), Some(key.id)));

    world.store.acting_as(ada).sessions().revoke_all(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.session()), (Some(ada), None));
    world.store.sessions().revoke_all(bob).unwrap();
    assert_eq!(world.last_event().actor.user(), None);
}
