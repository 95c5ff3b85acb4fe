//! The audit log: what is kept, in which order, for how long, and who would notice if it were not.

mod chain;

use std::net::Ipv4Addr;

use gatepost::{
    Actor, AuditEntry, AuditFilter, EventKind, HostEvent, NewUser, Origin, Outcome, Page, Reason,
    Store, UserId,
};

use crate::world::{DAY, HOUR, World, for_tests, morning};

fn host_event(name: &str) -> HostEvent {
    HostEvent::new(name).unwrap()
}

fn all(store: &Store) -> Vec<AuditEntry> {
    pages(store, &AuditFilter::new(), 500)
}

/// Every row that the filter shows, read page by page.
fn pages(store: &Store, filter: &AuditFilter, limit: u32) -> Vec<AuditEntry> {
    let mut rows: Vec<AuditEntry> = Vec::new();
    loop {
        let page = rows.last().map_or(Page::first(limit), |row| Page::after(row.seq, limit));
        let more = store.audit().list(filter, page).unwrap();
        let is_last = more.len() < limit as usize;
        rows.extend(more);
        if is_last {
            return rows;
        }
    }
}

fn kept(store: &Store) -> (usize, usize) {
    let own = pages(store, &AuditFilter::new().from_library(), 500).len();
    (own, pages(store, &AuditFilter::new().from_host(), 500).len())
}

#[test]
fn a_row_says_who_did_what_to_whom_when_and_from_where() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    world.clock.advance(HOUR);
    let event = host_event("invoice.printed")
        .user(ada)
        .outcome(Outcome::Refused)
        .origin(Origin::new().ip(Ipv4Addr::LOCALHOST).user_agent("curl/8"))
        .detail("number 7")
        .unwrap();
    world.store.acting_as(ada).audit().record(&[event]).unwrap();
    let rows = all(&world.store);
    let row = rows.last().unwrap();
    assert_eq!((row.event.as_str(), row.from_host), ("invoice.printed", true));
    assert_eq!((row.actor, row.user), (Actor::User(ada), Some(ada)));
    assert_eq!((row.outcome, row.at), (Outcome::Refused, morning() + HOUR));
    let origin = row.origin.as_ref().unwrap();
    assert_eq!(origin.address(), Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!((origin.agent(), row.detail.as_deref()), (Some("curl/8"), Some("number 7")));
    for (row, event) in rows.iter().zip(["store.created", "user.created"]) {
        assert_eq!((row.event.as_str(), row.from_host), (event, false));
        assert_eq!((row.actor, row.at), (Actor::Host, morning()));
    }
}

#[test]
fn numbers_have_no_gap_whatever_was_refused_in_between() {
    let world = World::new();
    let store = &world.store;
    for round in 0..10 {
        store.organisations().create("Northern").unwrap();
        store.audit().record(&[host_event("a"), host_event("b")]).unwrap();
        store.users().create(NewUser::person("ada")).map(drop).ok();
        assert!(store.users().create(NewUser::person("ada")).is_err(), "{round}");
        assert!(store.organisations().create("").is_err());
    }
    let numbers: Vec<i64> = all(store).iter().map(|row| row.seq).collect();
    assert_eq!(numbers, (1..=32).collect::<Vec<_>>());
}

#[test]
fn one_call_keeps_1_to_1_000_events_in_one_commit() {
    let world = World::new();
    let audit = world.store.audit();
    world.refuses(Reason::Invalid, |store| store.audit().record(&[]));
    let many = vec![host_event("many"); 1_001];
    world.refuses(Reason::Invalid, |store| store.audit().record(&many));
    audit.record(&many[..1_000]).unwrap();
    assert_eq!(kept(&world.store), (1, 1_000));
    assert!(audit.verify_chain(None).unwrap().is_intact());
}

#[test]
fn no_text_forges_a_line() {
    let world = World::new();
    let event = host_event("a")
        .detail("one\r\ntwo\u{2028}\u{202e}three\\n")
        .unwrap()
        .origin(Origin::new().user_agent("x\n\u{1b}[2J"));
    world.store.audit().record(&[event]).unwrap();
    let row = &all(&world.store)[1];
    let detail = row.detail.as_deref().unwrap();
    assert_eq!(detail, "one\\u{d}\\u{a}two\\u{2028}\\u{202e}three\\\\n");
    assert_eq!(row.origin.as_ref().unwrap().agent(), Some("x\\u{a}\\u{1b}[2J"));
    for name in ["", "A", "a b", "a\n", "é", &"a".repeat(65)] {
        assert_eq!(HostEvent::new(name).unwrap_err().reason(), Reason::Invalid, "{name:?}");
    }
}

#[test]
fn each_filter_shows_its_rows_and_no_others() {
    let world = World::new();
    let store = &world.store;
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let bob = store.users().create(NewUser::person("bob")).unwrap().id;
    world.clock.advance(HOUR);
    // A host may call its own event what it likes.
    store.audit().record(&[host_event("user.created").user(ada), host_event("b")]).unwrap();
    world.clock.advance(HOUR);
    store.organisations().create("Northern").unwrap();

    let all = AuditFilter::new;
    check(store, all(), &[1, 2, 3, 4, 5, 6]);
    check(store, all().user(ada), &[2, 4]);
    check(store, all().user(bob), &[3]);
    check(store, all().kind(EventKind::StoreCreated), &[1]);
    check(store, all().kind(EventKind::UserCreated), &[2, 3]);
    check(store, all().kind(EventKind::OrganisationCreated), &[6]);
    check(store, all().kind(EventKind::HostRecorded), &[4, 5]);
    check(store, all().from_host(), &[4, 5]);
    check(store, all().from_library(), &[1, 2, 3, 6]);
    check(store, all().kind(EventKind::HostRecorded).from_library(), &[]);
    check(store, all().kind(EventKind::UserCreated).from_host(), &[]);
    check(store, all().since(morning() + HOUR), &[4, 5, 6]);
    check(store, all().before(morning() + HOUR), &[1, 2, 3]);
    check(store, all().since(morning() + HOUR).before(morning() + 2 * HOUR), &[4, 5]);
    check(store, all().user(ada).from_host().since(morning() + 2 * HOUR), &[]);
}

#[track_caller]
fn check(store: &Store, filter: AuditFilter, expect: &[i64]) {
    for limit in [1, 2, 500] {
        let rows = pages(store, &filter, limit);
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), expect, "{filter:?}");
    }
}

#[test]
fn a_page_has_1_to_500_rows() {
    let world = World::new();
    for limit in [0, 501] {
        world.refuses(Reason::Invalid, |store| {
            store.audit().list(&AuditFilter::new(), Page::first(limit))
        });
    }
}

/// A host that records a great deal cannot push out what the library recorded, nor the other way
/// round.
#[test]
fn each_source_has_a_cap_of_its_own() {
    let store = Store::in_memory(for_tests().audit_kept(DAY, 1_000)).unwrap();
    let made = store.organisations().create("No. 0").unwrap();
    for _ in 0..3 {
        store.audit().record(&vec![host_event("many"); 1_000]).unwrap();
    }
    assert_eq!(kept(&store), (2, 1_000));
    for number in 1..1_100 {
        store.organisations().rename(made.id, &format!("No. {number}")).unwrap();
    }
    assert_eq!(kept(&store), (1_000, 1_000));
    let rows = all(&store);
    assert_eq!(rows.last().unwrap().seq, 4_101);
    assert_eq!(rows.iter().filter(|row| row.from_host).map(|row| row.seq).max(), Some(3_002));
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
}

/// A smaller cap takes effect little by little: no write pays for all of it.
#[test]
fn a_smaller_cap_is_reached_in_small_steps() {
    let mut world = World::with(|options| options.audit_kept(DAY, 2_000));
    world.store.audit().record(&vec![host_event("many"); 1_000]).unwrap();
    world.store.audit().record(&vec![host_event("many"); 1_000]).unwrap();
    world.options = world.options.clone().audit_kept(DAY, 1_000);
    world.reopen();
    let mut before = 2_000;
    while before > 1_000 {
        world.store.audit().record(&vec![host_event("one"); 50]).unwrap();
        let (_, now) = kept(&world.store);
        assert!(now < before && now >= before.saturating_sub(350).max(1_000), "{before} {now}");
        before = now;
    }
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn a_log_is_read_while_another_thread_writes_it() {
    let world = World::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..40 {
                world.store.audit().record(&vec![host_event("many"); 50]).unwrap();
            }
        });
        while !writer.is_finished() {
            assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
        }
    });
    assert_eq!(kept(&world.store), (1, 2_000));
}

#[test]
fn rows_of_no_user_and_of_an_unknown_user_are_told_apart() {
    let world = World::new();
    let nobody: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.store.audit().record(&[host_event("a"), host_event("b").user(nobody)]).unwrap();
    check(&world.store, AuditFilter::new().user(nobody), &[3]);
}

/// Once it was told to change the request, which nobody could.
#[test]
fn a_row_that_a_hand_put_beyond_the_end_is_damage_and_said_to_be() {
    let world = World::new();
    let hand = "INSERT INTO audit (seq, source, at, event, outcome, actor, chain)
        SELECT max(head_seq) + 1, 0, 0, 'a', 'done', 'host', zeroblob(32) FROM audit_chain";
    world.sql().execute_batch(hand).unwrap();
    let error = world.store.users().create(NewUser::person("ada")).unwrap_err();
    assert_eq!(error.reason(), Reason::Corrupt, "{error}");
    assert!(error.to_string().contains("audit log"), "{error}");
    assert!(error.advice().contains("restore"), "{}", error.advice());
    assert!(!world.store.audit().verify_chain(None).unwrap().is_intact());
    assert!(world.store.verify("", None).unwrap().valid().is_err(), "a verify writes nothing");
}
