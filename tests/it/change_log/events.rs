//! Every event of the library and the rows that it leaves in the change log.

use std::collections::BTreeSet;
use std::time::Duration;

use gatepost::{
    AuditFilter, EndSessions, EventKind, Holder, HostEvent, NewApiKey, NewUser, OpenSession, Page,
    Password, Scope, UserStatus, UserUpdate,
};

use super::{Change, check};
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device};
use Change::{Branch, Key, Organisation, Session, Store, User};

const NEW: &str = "nine brass bells";

/// What no call of this version leaves; the host's records have names of their own.
const NOT_TOLD: [EventKind; 4] = [
    EventKind::StoreCreated,
    EventKind::StoreMigrated,
    EventKind::StoreRestored,
    EventKind::HostRecorded,
];

#[test]
fn every_event_leaves_the_rows_it_must_and_no_more() {
    let world = World::with(|options| options.audit_kept(400 * DAY, 100_000));
    of_places(&world);
    of_users(&world);
    of_passwords(&world);
    of_sessions(&world);
    of_keys(&world);
    of_the_rest(&world);

    let mut told: BTreeSet<String> = NOT_TOLD.iter().map(|kind| kind.name().into()).collect();
    let mut page = Page::first(500);
    loop {
        let log = world.store.audit().list(&AuditFilter::new(), page).unwrap();
        let Some(last) = log.last() else { break };
        page = Page::after(last.seq, 500);
        told.extend(log.iter().map(|entry| entry.event.clone()));
    }
    let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    let untold: Vec<&&str> = all.iter().filter(|name| !told.contains(**name)).collect();
    assert!(untold.is_empty(), "tell what these leave: {untold:?}");
}

fn of_places(world: &World) {
    let (organisations, branches) = (world.store.organisations(), world.store.branches());
    let north = check(world, &[], || organisations.create("Northern").unwrap().id);
    let york = check(world, &[], || branches.create("York", None).unwrap().id);
    check(world, &[], || organisations.rename(north, "North").unwrap());
    check(world, &[], || branches.rename(york, "Jorvik").unwrap());
    check(world, &[Branch(york)], || branches.move_to(york, north).unwrap());
    check(world, &[], || branches.move_to(york, north).unwrap());
    for active in [false, true] {
        let of_north = [Organisation(north)];
        check(world, &of_north, || organisations.set_active(north, active).unwrap());
        check(world, &[], || organisations.set_active(north, active).unwrap());
        check(world, &[Branch(york)], || branches.set_active(york, active).unwrap());
        check(world, &[], || branches.set_active(york, active).unwrap());
    }
    let sessions = world.store.sessions();
    check(world, &[Branch(york)], || sessions.end_all_of_branch(york).unwrap());
    check(world, &[Organisation(north)], || sessions.end_all_of_organisation(north).unwrap());
    check(world, &[Store], || sessions.end_all().unwrap());
    check(world, &[Branch(york)], || branches.delete(york).unwrap());
    check(world, &[Organisation(north)], || organisations.delete(north).unwrap());
}

fn of_users(world: &World) {
    let users = world.store.users();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = NewUser::person("ada").privilege("till").email("ada@example.com");
    let ada = check(world, &[], || users.create(new).unwrap().id);
    let admin = NewUser::person("root").privilege("admin");
    // Nobody can have asked for it before, and yet: a privilege's row cannot know.
    let head = world.head();
    let root = users.create(admin).unwrap().id;
    assert!(world.head() <= head + 1);
    let of_ada = [User(ada)];
    check(world, &[], || users.update(ada, UserUpdate::new().first_name("Ada")).unwrap());
    check(world, &of_ada, || users.rename(ada, "countess").unwrap());
    check(world, &of_ada, || users.set_email(ada, Some("a@example.com")).unwrap());
    check(world, &of_ada, || users.move_to(ada, york).unwrap());
    check(world, &of_ada, || users.set_privileges(ada, &["admin", "till"]).unwrap());
    check(world, &[], || users.set_privileges(ada, &["admin", "stock"]).unwrap());
    check(world, &of_ada, || users.set_privileges(ada, &[]).unwrap());
    check(world, &of_ada, || users.confirm(ada).unwrap());
    for status in
        [UserStatus::Pending, UserStatus::Locked, UserStatus::Disabled, UserStatus::Active]
    {
        check(world, &of_ada, || users.set_status(ada, status).unwrap());
        check(world, &[], || users.set_status(ada, status).unwrap());
    }
    check(world, &of_ada, || world.store.sessions().end_all_of(ada).unwrap());
    check(world, &of_ada, || users.delete(ada).unwrap());
    check(world, &of_ada, || users.restore(ada).unwrap());
    check(world, &[User(root)], || users.delete(root).unwrap());
}

fn of_passwords(world: &World) {
    let users = world.store.users();
    let bob = world.person("bob").id;
    let of_bob = [User(bob)];
    check(world, &[], || users.require_password_change(bob, EndSessions::Keep).unwrap());
    check(world, &of_bob, || users.require_password_change(bob, EndSessions::All).unwrap());
    check(world, &of_bob, || users.mark_compromised(bob).unwrap());
    check(world, &of_bob, || users.remove_password(bob).unwrap());
    check(world, &[], || users.remove_password(bob).unwrap());
    check(world, &of_bob, || users.set_password(bob, Password::from(PASSWORD)).unwrap());
    check(world, &[], || {
        for _ in 0..7 {
            assert!(world.log_in("bob", "wrong", "elsewhere").is_err());
        }
    });
    check(world, &[], || users.unlock(bob).unwrap());
    let session = check(world, &[], || world.log_in("bob", PASSWORD, "bob-1").unwrap().session);
    let change = |old: &str, new: &str| {
        let (old, new) = (Password::from(old), Password::from(new));
        let token = session.token.expose();
        world.store.change_password(token, &device("bob-1"), old, new).unwrap().changed()
    };
    check(world, &[], || change("wrong", NEW).unwrap_err());
    // The others end with the user's row, and this one's token with its own.
    check(world, &[User(bob), Session(session.id)], || change(PASSWORD, NEW).unwrap());
}

fn of_sessions(world: &World) {
    let cyd = world.person("cyd").id;
    let sessions = world.store.sessions();
    let one = check(world, &[], || world.open(cyd, "cyd-1"));
    let two = check(world, &[], || world.open(cyd, "cyd-2"));
    check(world, &[], || sessions.set_label(one.id, Some("Till")).unwrap());
    check(world, &[], || sessions.set_document(one.id, "{}", 0).unwrap());
    check(world, &[], || assert!(world.passes(&one, "cyd-1")));
    check(world, &[], || assert!(!world.passes(&one, "cyd-2")));
    let facts = world.store.verify(one.token.expose(), &device("cyd-1")).unwrap();
    let facts = facts.valid().unwrap();
    check(world, &[User(cyd), Session(one.id)], || sessions.end_others(&facts).unwrap());
    assert!(!world.passes(&two, "cyd-2"));
    // Ended already, and its row still there: nothing is left to say.
    let _ = check(world, &[], || sessions.end(two.id).unwrap());
    let again = check(world, &[Session(one.id)], || world.open(cyd, "cyd-1"));
    let ended = check(world, &[Session(again.id)], || sessions.end(again.id).unwrap());
    assert_eq!(ended, gatepost::Ended::Now);
    let last = world.open(cyd, "cyd-1");
    let _ = check(world, &[Session(last.id)], || world.log_out(&last, "cyd-1"));
    let _ = check(world, &[], || world.log_out(&last, "cyd-1"));
    check(world, &[], || world.store.devices().forget(cyd, &device("cyd-1")).unwrap());
}

fn of_keys(world: &World) {
    let dan = world.person("dan").id;
    let keys = world.store.api_keys();
    let first = check(world, &[], || keys.issue(dan, NewApiKey::new()).unwrap().id);
    let second = check(world, &[Key(first)], || keys.reassign(dan, Duration::ZERO).unwrap().id);
    let third = check(world, &[Key(second)], || keys.reassign(dan, HOUR).unwrap().id);
    check(world, &[Key(third)], || keys.revoke(third).unwrap());
    check(world, &[Key(second)], || keys.revoke(second).unwrap());
    let fourth = check(world, &[], || keys.issue(dan, NewApiKey::new()).unwrap().id);
    check(world, &[Key(fourth)], || keys.revoke_all(dan).unwrap());
    check(world, &[], || keys.revoke_all(dan).unwrap());
}

fn of_the_rest(world: &World) {
    let store = &world.store;
    let york = store.branches().create("Selby", None).unwrap().id;
    let holder = Holder::Branch(york);
    let (configuration, credits) = (store.configuration(), store.credits());
    check(world, &[], || configuration.set(Scope::Branch(york), "a.b", "True").unwrap());
    check(world, &[], || configuration.set_public("a.b", true).unwrap());
    check(world, &[], || configuration.set_public("a.b", false).unwrap());
    check(world, &[], || configuration.remove(Scope::Branch(york), "a.b").unwrap());
    check(world, &[], || credits.set(holder, 5).unwrap());
    check(world, &[], || credits.add(holder, 5).unwrap());
    check(world, &[], || credits.spend(holder, 5).unwrap());
    check(world, &[], || credits.set(holder, None).unwrap());
    check(world, &[], || {
        store.audit().record(&[HostEvent::new("report.printed").unwrap()]).unwrap();
    });
    // What expired is swept without a word, and refusals are counted.
    let eve = world.person("eve").id;
    let session = world.open(eve, "eve-1");
    store.api_keys().issue(eve, NewApiKey::new().expires_at(expiry())).unwrap();
    world.clock.advance(2 * DAY);
    check(world, &[], || assert!(!world.passes(&session, "eve-1")));
    let swept = check(world, &[], || store.maintain().unwrap());
    assert!(swept.sessions > 0 && swept.api_keys == 1, "{swept:?}");
    world.clock.advance(MINUTE);
    check(world, &[], || assert!(!world.passes(&session, "eve-1")));
    check(world, &[], || store.maintain().unwrap());
}

fn expiry() -> chrono::DateTime<chrono::Utc> {
    crate::world::morning() + DAY
}

#[test]
fn touches_leave_no_row() {
    let policy = gatepost::SessionPolicy::server().idle(10 * MINUTE);
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    check(&world, &[], || {
        for _ in 0..20 {
            world.clock.advance(MINUTE);
            assert!(world.passes(&session, "till-1"));
        }
    });
    assert!(world.count("SELECT last_seen - opened_at FROM session") > 0, "written");
}

#[test]
fn a_device_that_changes_hands_leaves_the_row_of_the_session_that_went() {
    let policy = gatepost::SessionPolicy::server().device_takeover(true).per_user(2);
    let world = World::with(|options| options.sessions(policy));
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let adas = world.open(ada, "till-1");
    check(&world, &[Session(adas.id)], || world.open(bob, "till-1"));
    // The session that was longest unused makes way for the third.
    let first = world.open(ada, "till-2");
    world.clock.advance(MINUTE);
    world.open(ada, "till-3");
    check(&world, &[Session(first.id)], || {
        let open = OpenSession::new(ada, device("till-4"));
        world.store.sessions().open(open).unwrap().granted().unwrap()
    });
}
