//! The audit log: its rows, their order, how long they are kept, and how a loss is noticed.

mod chain;
mod consumers;
mod seal;

use std::net::Ipv4Addr;
use std::sync::Arc;

use gatepost::audit::{AuditEntry, AuditFilter, EventKind, HostEvent, Outcome};
use gatepost::host::SeededRandom;
use gatepost::{Actor, ClientInfo, ErrorKind, LoginRequest, NewUser, Page, Store, UserId};

use crate::world::{DAY, HOUR, PASSWORD, World, device, for_tests, morning};

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
        .client_info(ClientInfo::new().ip(Ipv4Addr::LOCALHOST).user_agent("curl/8"))
        .detail("number 7")
        .unwrap();
    world.store.acting_as(ada).audit().record(&[event]).unwrap();
    let rows = all(&world.store);
    let row = rows.last().unwrap();
    assert_eq!((row.event.as_str(), row.from_host), ("invoice.printed", true));
    assert_eq!((row.actor, row.user), (Actor::User(ada), Some(ada)));
    assert_eq!((row.outcome, row.at), (Outcome::Refused, morning() + HOUR));
    let client_info = row.client_info.as_ref().unwrap();
    assert_eq!(client_info.address(), Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!((client_info.agent(), row.detail.as_deref()), (Some("curl/8"), Some("number 7")));
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
    world.refuses(ErrorKind::Invalid, |store| store.audit().record(&[]));
    let many = vec![host_event("many"); 1_001];
    world.refuses(ErrorKind::Invalid, |store| store.audit().record(&many));
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
        .client_info(ClientInfo::new().user_agent("x\n\u{1b}[2J"));
    world.store.audit().record(&[event]).unwrap();
    let row = &all(&world.store)[1];
    let detail = row.detail.as_deref().unwrap();
    assert_eq!(detail, "one\\u{d}\\u{a}two\\u{2028}\\u{202e}three\\\\n");
    assert_eq!(row.client_info.as_ref().unwrap().agent(), Some("x\\u{a}\\u{1b}[2J"));
    for name in ["", "A", "a b", "a\n", "é", &"a".repeat(65)] {
        assert_eq!(HostEvent::new(name).unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
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
    let audit = store.audit();
    let all: Vec<i64> = audit.iter(&filter).map(|row| row.unwrap().seq).collect();
    assert_eq!(all, expect, "{filter:?}");
    assert_eq!(audit.count(&filter).unwrap(), expect.len() as u64, "{filter:?}");
    for most in [1, 2, 500] {
        let newest: Vec<i64> = expect.iter().rev().copied().take(most as usize).collect();
        let rows = audit.latest(most, &filter).unwrap();
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), newest, "{filter:?}");
    }
}

#[test]
fn a_page_has_1_to_500_rows() {
    let world = World::new();
    for limit in [0, 501] {
        world.refuses(ErrorKind::Invalid, |store| {
            store.audit().list(&AuditFilter::new(), Page::first(limit))
        });
        world
            .refuses(ErrorKind::Invalid, |store| store.audit().latest(limit, &AuditFilter::new()));
    }
}

/// A host that records a great deal cannot push out the library's records, nor the reverse.
#[test]
fn each_source_has_a_cap_of_its_own() {
    let store = Store::in_memory(for_tests().audit_max_age(DAY).audit_max_rows(1_000)).unwrap();
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

/// Once 1,050 logins of unknown names pushed out the row that says who became an administrator.
#[test]
fn what_strangers_cause_pushes_out_nothing_else() {
    // A quarter of the cap, and at least 1,000.
    for (cap, strangers) in [(1_000, 1_000), (4_004, 1_001)] {
        let store = Store::in_memory(for_tests().audit_max_rows(cap)).unwrap();
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        store.users().set_privileges(ada, &["admin"]).unwrap();
        store.audit().record(&[host_event("a")]).unwrap();
        let before = all(&store);
        for number in 0..1_050 {
            let request = LoginRequest::new(format!("no. {number}"), PASSWORD.into(), device("a"));
            store.log_in(request).unwrap().granted().unwrap_err();
        }
        let after = all(&store);
        let refused = |row: &AuditEntry| row.event == EventKind::LoginRefused.name();
        assert_eq!(after.iter().filter(|row| refused(row)).count(), strangers);
        let rest: Vec<AuditEntry> = after.into_iter().filter(|row| !refused(row)).collect();
        assert_eq!(rest, before);
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
    }
}

#[test]
fn what_a_caller_causes_without_a_proof_has_a_source_of_its_own() {
    let world = World::new();
    let ada = world.person("ada").id;
    let held = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    for _ in 0..6 {
        world.log_in("ada", "wrong horse battery", "elsewhere").unwrap_err();
    }
    assert!(world.store.verify(("no token", None)).unwrap().valid().is_err());
    world.clock.advance(HOUR);
    world.store.maintain().unwrap();
    let change = |current: &str| {
        let token = (&held.token, &device("till-1"));
        world.store.change_password(token, current.into(), "nine brass bells".into()).unwrap()
    };
    change("wrong horse battery").granted().unwrap_err();
    let _ = world.store.users().unlock(ada).unwrap();
    change(PASSWORD).granted().unwrap();
    let mut names: Vec<(i64, String)> = Vec::new();
    let sql = world.sql();
    let mut statement =
        sql.prepare("SELECT DISTINCT source, event FROM audit ORDER BY 1, 2").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    names.extend(rows.map(|row| row.unwrap()));
    let expected = [
        (0, "attempts.unlocked"),
        (0, "login.granted"),
        (0, "password.change_refused"),
        (0, "password.changed"),
        (0, "store.created"),
        (0, "user.created"),
        (2, "login.refused"),
        (2, "verify.refused"),
    ];
    assert_eq!(names, expected.map(|(source, name)| (source, name.to_owned())));
    let library = AuditFilter::new().from_library();
    assert_eq!(world.store.audit().count(&library).unwrap(), all(&world.store).len() as u64);
}

/// Two logs that did the same at the same time are two logs.
#[test]
fn no_two_rows_have_the_same_hash() {
    let seeded = |seed| {
        let random = Arc::new(SeededRandom::new(seed));
        World::with(|options| options.random_source(random))
    };
    let worlds = [seeded(1), seeded(2)];
    let anchors = worlds.each_ref().map(|world| {
        world.store.audit().record(&[host_event("a")]).unwrap();
        world.store.audit().anchor().unwrap()
    });
    let salts = worlds.each_ref().map(|world| {
        assert_eq!(world.count("SELECT count(DISTINCT salt) FROM audit"), 2);
        world.count("SELECT count(*) FROM audit WHERE length(salt) = 8")
    });
    assert_eq!(salts, [2, 2]);
    assert_ne!(anchors[0], anchors[1]);
}

/// A smaller cap takes effect little by little: no write pays for all of it.
#[test]
fn a_smaller_cap_is_reached_in_small_steps() {
    let world = World::with(|options| options.audit_max_age(DAY).audit_max_rows(2_000));
    world.store.audit().record(&vec![host_event("many"); 1_000]).unwrap();
    world.store.audit().record(&vec![host_event("many"); 1_000]).unwrap();
    world.store.change_options(|options| options.audit_max_rows(1_000)).unwrap();
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
fn rows_of_no_user_and_of_an_unknown_user_are_distinguished() {
    let world = World::new();
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.store.audit().record(&[host_event("a"), host_event("b").user(unknown)]).unwrap();
    check(&world.store, AuditFilter::new().user(unknown), &[3]);
}

/// Before, the error advised to change the request, which no caller can.
#[test]
fn a_row_that_a_hand_put_beyond_the_end_is_damage_and_said_to_be() {
    let world = World::new();
    let hand = "INSERT INTO audit (seq, source, salt, at, event, outcome, actor, person_hash, chain)
        SELECT max(head_seq) + 1, 0, zeroblob(8), 0, 'a', 'done', 'host', zeroblob(32), zeroblob(32)
        FROM audit_chain";
    world.sql().execute_batch(hand).unwrap();
    let error = world.store.users().create(NewUser::person("ada")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("audit log"), "{error}");
    assert!(error.advice().contains("restore"), "{}", error.advice());
    assert!(!world.store.audit().verify_chain(None).unwrap().is_intact());
    assert!(world.store.verify(("", None)).unwrap().valid().is_err(), "a verify writes nothing");
}
