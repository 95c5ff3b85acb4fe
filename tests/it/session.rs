//! Sessions: opened without a password, listed, labelled, ended, with a document of the host's.

mod document;
mod live;
mod open;

use gatepost::{
    Assurance, Ended, EventKind, LogIn, Origin, Password, Reason, SessionId, SessionPolicy,
};

use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device, morning};

/// A handle that no session has.
fn nobodys() -> SessionId {
    "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap()
}

#[test]
fn a_list_shows_the_live_sessions_of_one_user_and_no_token() {
    let world = World::with(|options| options.sessions(SessionPolicy::server().idle(HOUR)));
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let origin = Origin::new().ip([192, 0, 2, 7]).user_agent("Till/4");
    let request = LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
    let first = world.ask(request.label("Till 1").origin(origin.clone())).unwrap().session;
    world.clock.advance(MINUTE);
    let second = world.open(ada, "till-2");
    world.open(bob, "till-3");
    let list = world.store.sessions().list_of(ada).unwrap();
    assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), [first.id, second.id]);
    let one = &list[0];
    assert_eq!((one.user, one.has_device, one.assurance), (ada, true, Assurance::Aal1));
    assert_eq!((one.label.as_deref(), one.origin.clone()), (Some("Till 1"), Some(origin)));
    assert_eq!((one.opened_at, one.authenticated_at), (morning(), morning()));
    assert_eq!((one.expires_at, one.idle_limit), (morning() + DAY, Some(HOUR)));
    assert_eq!(one.last_seen_at, morning());
    assert_eq!((list[1].label.as_deref(), list[1].origin.as_ref()), (None, None));
    for session in [&first, &second] {
        assert!(!format!("{list:?}").contains(session.token.expose()));
    }
    let _ = world.log_out(&first, "till-1");
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 1);
    assert_eq!(world.store.sessions().find(first.id).unwrap(), None);
    world.clock.advance(HOUR);
    assert_eq!(world.store.sessions().list_of(ada).unwrap(), []);
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
        world.refuses(Reason::Invalid, |_| set(Some(bad)));
    }
    assert_eq!(label(), Some(longest));
    world.leaves(&[EventKind::SessionLabelled], 0, |_| set(None)).unwrap();
    assert_eq!(label(), None);
    let _ = world.log_out(&session, "till-1");
    world.refuses(Reason::NotFound, |_| set(Some("Till 1")));
    world.refuses(Reason::NotFound, |store| store.sessions().set_label(nobodys(), None));
}

#[test]
fn one_session_is_ended_by_its_handle() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (one, two) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let end = |id| world.store.sessions().end(id).unwrap();
    assert_eq!(world.leaves(&[EventKind::SessionEnded], 1, |_| end(one.id)), Ended::Now);
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada), Some(one.id)));
    assert!(!world.passes(&one, "till-1") && world.passes(&two, "till-2"));
    assert_eq!(world.leaves(&[], 0, |_| end(one.id)), Ended::Before);
    assert_eq!(world.leaves(&[], 0, |_| end(nobodys())), Ended::Before);
}

/// A page that lists somebody's own sessions gets a handle back from outside; that of another
/// user must neither end nor be told from one that nobody has.
#[test]
fn whoever_ends_the_own_sessions_by_handle_ends_those_of_nobody_else() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let (held, other) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bobs = world.open(bob, "till-3");
    let verdict = world.store.verify(held.token.expose(), &device("till-1")).unwrap();
    let facts = verdict.valid().unwrap();
    let end = |id| world.store.sessions().end_own(&facts, id).unwrap();
    assert_eq!(world.leaves(&[], 0, |_| end(bobs.id)), Ended::Before);
    assert_eq!(world.leaves(&[], 0, |_| end(nobodys())), Ended::Before);
    assert!(world.passes(&bobs, "till-3") && world.passes(&other, "till-2"));
    assert_eq!(world.leaves(&[EventKind::SessionEnded], 1, |_| end(other.id)), Ended::Now);
    assert!(!world.passes(&other, "till-2") && world.passes(&held, "till-1"));
    assert_eq!(world.leaves(&[], 0, |_| end(other.id)), Ended::Before);

    let key = world.store.api_keys().issue(bob, gatepost::NewApiKey::new()).unwrap().key;
    let of_key = world.store.verify(key.expose(), None).unwrap().valid().unwrap();
    assert_eq!(world.store.sessions().end_own(&of_key, held.id).unwrap(), Ended::Before);
    assert_eq!(world.store.sessions().end_own(&of_key, bobs.id).unwrap(), Ended::Now);

    // The own session in hand may be the one; then there is nobody left to ask for more.
    assert_eq!(end(held.id), Ended::Now);
    let again = world.open(ada, "till-4");
    world.refuses(Reason::NotFound, |store| store.sessions().end_own(&facts, again.id));
    assert!(world.passes(&again, "till-4"));
}

#[test]
fn all_others_end_and_the_session_in_hand_goes_on_with_its_token() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (kept, other) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bobs = world.open(world.person("bob").id, "till-3");
    let verdict = world.store.verify(kept.token.expose(), &device("till-1")).unwrap();
    let facts = verdict.valid().unwrap();
    world
        .leaves(&[EventKind::SessionOthersEnded], 2, |store| store.sessions().end_others(&facts))
        .unwrap();
    assert!(world.passes(&kept, "till-1") && world.passes(&bobs, "till-3"));
    assert!(!world.passes(&other, "till-2"));

    let _ = world.log_out(&kept, "till-1");
    let renewed = world.open(ada, "till-1");
    world.refuses(Reason::NotFound, |store| store.sessions().end_others(&facts));
    assert!(world.passes(&renewed, "till-1"));
    let key = world.store.api_keys().issue(ada, gatepost::NewApiKey::new()).unwrap().key;
    let facts = world.store.verify(key.expose(), None).unwrap().valid().unwrap();
    world.refuses(Reason::Invalid, |store| store.sessions().end_others(&facts));
}

#[test]
fn what_is_done_through_facts_is_ascribed_to_their_session() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let session = world.open(ada, "till-1");
    let verdict = world.store.verify(session.token.expose(), &device("till-1")).unwrap();
    let facts = verdict.valid().unwrap();
    world.store.acting_as(facts).sessions().end_all_of(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.session()), (Some(ada), Some(session.id)));

    let key = world.store.api_keys().issue(ada, gatepost::NewApiKey::new()).unwrap();
    let facts = world.store.verify(key.key.expose(), None).unwrap().valid().unwrap();
    world.store.acting_as(facts).sessions().end_all_of(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.api_key()), (Some(ada), Some(key.id)));

    world.store.acting_as(ada).sessions().end_all_of(bob).unwrap();
    let actor = world.last_event().actor;
    assert_eq!((actor.user(), actor.session()), (Some(ada), None));
    world.store.sessions().end_all_of(bob).unwrap();
    assert_eq!(world.last_event().actor.user(), None);
}
