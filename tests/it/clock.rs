//! Deletion by age does not trust one reading of the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use gatepost::audit::{AuditFilter, EventKind, HostEvent};
use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::second_factors::NewTotp;
use gatepost::sessions::{NewApiKey, NewOneTimeToken, OpenSession};
use gatepost::{LoginRequest, NewUser, Options, Store, Timestamp};

use crate::child::{Child, Parent};
use crate::pending_step::{give_factor, pending, unsealed};
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device, for_tests, morning};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Each table whose rows are deleted by age, and what names a row of it.
const BY_AGE: [&str; 8] = [
    "SELECT 'session ' || hex(id) FROM session",
    "SELECT 'key ' || hex(id) FROM api_key",
    "SELECT 'device ' || hex(user_id) || hex(device_hash) FROM device",
    "SELECT 'document ' || hex(session_id) FROM session_document",
    "SELECT 'token ' || hex(id) FROM one_time_token",
    "SELECT 'enrolment ' || hex(user_id) FROM totp_enrolment",
    "SELECT 'step ' || hex(id) FROM pending_step",
    "SELECT 'audit ' || seq FROM audit",
];

fn rows(world: &World) -> Vec<String> {
    let sql = world.sql();
    let rows_of = |query: &str| {
        let mut statement = sql.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect::<Vec<String>>()
    };
    BY_AGE.iter().flat_map(|query| rows_of(query)).collect()
}

#[track_caller]
fn all_are_kept(world: &World, before: &[String]) {
    let now = rows(world);
    let gone: Vec<_> = before.iter().filter(|row| !now.contains(row)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

/// A file with rows of every kind, none of which is over.
fn filled() -> World {
    let world = World::with(options);
    let ada = world.person("ada").id;
    world.person("bob");
    for number in 0..5 {
        world.open(ada, &format!("ada-{number}"));
        let key = NewApiKey::new().lifetime(90 * DAY);
        let robot = NewUser::system(format!("robot-{number}"));
        let robot = world.store.users().create(robot).unwrap().id;
        world.store.api_keys().issue(robot, key).unwrap();
        world.log_in(&format!("stranger-{number}"), PASSWORD, "elsewhere").unwrap_err();
        world.store.audit().record(&[HostEvent::new("report.printed").unwrap()]).unwrap();
    }
    world.clock.advance(HOUR);
    short_lived(&world);
    world
}

/// A one-time token, a pending step and an enrolment, each of which is over within hours.
fn short_lived(world: &World) {
    let (cyd, dan) = (world.person("cyd").id, world.person("dan").id);
    give_factor(world, cyd);
    drop(world.store.one_time_tokens().issue(cyd, NewOneTimeToken::password_reset()).unwrap());
    let login = LoginRequest::new("cyd", PASSWORD.into(), device("cyd-1"));
    drop(pending(world.store.log_in(login).unwrap()));
    let (session, on) = (world.open(dan, "dan-1"), device("dan-1"));
    let enrolment = world.store.second_factors().enrol((&session.token, &on), NewTotp::new());
    drop(enrolment.unwrap().done().unwrap());
}

/// The options of every process that opens the file.
fn options(options: Options) -> Options {
    unsealed(options.sessions(SessionPolicy::web()).audit_max_age(30 * DAY))
}

/// What a program does in an hour.
fn use_it(store: &Store, clock: &ManualClock) {
    for number in 0..3 {
        store.maintain().unwrap();
        let login =
            |name: &str, password: &str| LoginRequest::new(name, password.into(), device("bob-1"));
        store.log_in(login("bob", PASSWORD)).unwrap().granted().unwrap();
        let ada = store.users().find_by_username("ada").unwrap().unwrap().id;
        let open = OpenSession::new(ada, device("ada-elsewhere"));
        store.sessions().open(open).unwrap().granted().unwrap();
        let stranger = store.log_in(login("a stranger", PASSWORD)).unwrap();
        stranger.granted().unwrap_err();
        store.organisations().create(&format!("No. {number}")).unwrap();
        clock.advance(20 * MINUTE);
    }
}

/// A role: uses the store at a time, and waits to be killed in the middle of it.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [path, at] = words else { panic!("{words:?}") };
    let clock = ManualClock::new(Timestamp::from_millis(at.parse().unwrap()));
    let clocked = for_tests().clock(std::sync::Arc::new(clock.clone()));
    let store = Store::open(path, options(clocked)).unwrap();
    use_it(&store, &clock);
    parent.say("used");
    loop {
        store.maintain().unwrap();
    }
}

#[test]
fn every_table_whose_rows_expire_is_looked_at_here() {
    let world = World::new();
    let sql = world.sql();
    let expiring = "SELECT t.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
                    WHERE t.type = 'table' AND c.name = 'expires_at'";
    let mut statement = sql.prepare(expiring).unwrap();
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let is_looked_at =
        |table: &String| BY_AGE.iter().any(|query| query.ends_with(&format!(" FROM {table}")));
    let missing: Vec<_> = tables.map(Result::unwrap).filter(|name| !is_looked_at(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Once one reading 500 days ahead deleted 52 of 52 rows of the audit log and a key of 90 days.
#[test]
fn a_clock_that_is_wrong_for_an_hour_deletes_nothing() {
    for wrong in [500 * DAY, 10 * DAY, 21 * HOUR] {
        let mut world = filled();
        let before = rows(&world);
        let right = world.now();
        world.clock.set(right + wrong);
        use_it(&world.store, &world.clock);
        all_are_kept(&world, &before);

        world.clock.set(right + HOUR);
        world.reopen();
        use_it(&world.store, &world.clock);
        all_are_kept(&world, &before);
    }
}

#[test]
fn a_clock_that_goes_back_and_comes_again_deletes_nothing() {
    let mut world = filled();
    let before = rows(&world);
    let right = world.now();
    for at in [right - 500 * DAY, right, right - HOUR, right + HOUR] {
        world.clock.set(at);
        world.reopen();
        use_it(&world.store, &world.clock);
        all_are_kept(&world, &before);
    }
}

#[test]
fn nor_does_it_where_a_process_is_killed_in_between() {
    let mut world = filled();
    let before = rows(&world);
    let right = world.now();
    world.store.close().unwrap();
    let path = world.path.to_str().unwrap().to_owned();
    for at in [right + 500 * DAY, right, right + 500 * DAY + 19 * HOUR, right + HOUR] {
        let mut child = Child::start("use at a time", &[&path, &at.as_millis().to_string()]);
        assert_eq!(child.hear(), "used");
        child.kill();
    }
    world.clock.set(right + 2 * HOUR);
    world.store = Store::open(&world.path, world.options.clone()).unwrap();
    use_it(&world.store, &world.clock);
    all_are_kept(&world, &before);
}

#[test]
fn a_file_of_500_days_ago_is_swept_at_the_second_run_20_hours_later() {
    let mut world = filled();
    let before = rows(&world);
    world.clock.advance(500 * DAY);
    world.reopen();
    let begun = world.now();
    world.store.maintain().unwrap();
    world.clock.set(begun + 20 * HOUR - MILLISECOND);
    world.store.maintain().unwrap();
    all_are_kept(&world, &before);
    world.clock.set(begun + 20 * HOUR);
    let swept = world.store.maintain().unwrap();
    assert_eq!((swept.sessions, swept.api_keys), (6, 5));
    assert_eq!((swept.one_time_tokens, swept.enrolments, swept.pending_steps), (1, 1, 1));
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

/// Once it was believed, a clock that had been ahead for days deleted sessions as they were opened.
#[test]
fn what_is_not_over_stays_although_a_clock_that_was_ahead_was_believed() {
    let mut world = filled();
    let right = world.now();
    for ahead in [DAY, 2 * DAY, 3 * DAY] {
        world.clock.set(right + ahead);
        world.store.maintain().unwrap();
    }
    world.clock.set(right);
    world.reopen();
    let ada = world.user_of("ada");
    let open = OpenSession::new(ada, device("ada-again")).lifetime(HOUR);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let before = rows(&world);
    use_it(&world.store, &ManualClock::new(right));
    world.store.maintain().unwrap();
    all_are_kept(&world, &before);
    assert!(world.passes(&session, "ada-again"));
}

/// In ordinary use a row goes one to two days after it is over.
#[test]
fn a_row_that_is_over_goes_within_two_days() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let open = OpenSession::new(ada, device("ada-1")).lifetime(HOUR);
    let ended = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let over = ended.expires_at;
    let is_there = || world.count("SELECT count(*) FROM session WHERE lifetime_ms = 3600000") == 1;
    while is_there() {
        world.clock.advance(HOUR);
        world.open(bob, "bob-1");
        assert!(world.now() <= over + 2 * DAY);
    }
    assert!(world.now() >= over + 20 * HOUR);
}

/// Once the age limit was applied by `maintain()` alone, and the host's rows were 37 days old.
#[test]
fn ordinary_writes_keep_the_log_no_longer_than_the_host_says() {
    let world = World::with(|options| options.audit_max_age(20 * DAY).audit_max_rows(20_000));
    let made = world.store.organisations().create("No. 0").unwrap().id;
    let many = vec![HostEvent::new("report.printed").unwrap(); 30];
    let mut oldest: BTreeMap<i64, i64> = BTreeMap::new();
    for hour in 0..60 * 8_u32 {
        world.clock.set(morning() + hour * 3 * HOUR);
        world.store.organisations().rename(made, &format!("No. {}", hour + 1)).unwrap();
        // The host records nothing more after ten days, and no login comes.
        if hour % 8 == 0 && hour < 10 * 8 {
            world.store.audit().record(&many).unwrap();
            world.log_in("a stranger", PASSWORD, "elsewhere").unwrap_err();
        }
        for source in 0..3 {
            let sql = format!("SELECT coalesce(min(at), 9e15) FROM audit WHERE source = {source}");
            let at: f64 = world.sql().query_row(&sql, [], |row| row.get(0)).unwrap();
            let age = world.now().as_millis().saturating_sub(at as i64);
            let worst = oldest.entry(source).or_default();
            *worst = age.max(*worst);
        }
    }
    let days = |millis: i64| millis / 86_400_000;
    for (source, worst) in oldest {
        assert!((20..22).contains(&days(worst)), "source {source}: {} days", days(worst));
    }
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

/// Rows that a clock ahead had dated kept those after them in the log, until that date came.
#[test]
fn rows_that_a_clock_ahead_dated_go_with_those_after_them() {
    for (ahead, by_maintain) in [(1, false), (60, false), (300, true)] {
        let world = World::with(|options| options.audit_max_age(20 * DAY));
        let made = world.store.organisations().create("No. 0").unwrap().id;
        let rename = |number: u32| {
            world.store.organisations().rename(made, &format!("No. {number}")).unwrap();
        };
        world.clock.advance(3_650 * DAY);
        (1..=ahead).for_each(rename);
        let over = |at: Timestamp| {
            let at = at.as_millis();
            world.count(&format!("SELECT count(*) FROM audit WHERE source = 0 AND at <= {at}"))
        };
        let wrong = || world.count("SELECT count(*) FROM audit WHERE at > 2000000000000");
        // A store that is open follows the clock back at the second reading.
        world.clock.set(morning());
        rename(1_000);
        let dated = wrong();
        for hour in 1..60 * 4_u32 {
            world.clock.set(morning() + hour * 6 * HOUR);
            rename(hour + 1_000);
            if by_maintain {
                world.store.maintain().unwrap();
            }
            assert!(over(world.now() - 22 * DAY) == 0 || hour < 22 * 4);
            // They are not older than the first row after them.
            assert!(hour > 20 * 4 || wrong() == dated, "{hour}");
        }
        assert_eq!(wrong(), 0, "{ahead} rows");
        assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    }
}

/// No write pays for all of it.
#[test]
fn a_write_trims_a_few_old_rows_of_each_source() {
    let world = World::with(|options| options.audit_max_age(2 * DAY));
    let many = vec![HostEvent::new("report.printed").unwrap(); 100];
    world.store.audit().record(&many).unwrap();
    for number in 0..30 {
        world.store.organisations().create(&format!("No. {number}")).unwrap();
    }
    world.clock.advance(3 * DAY);
    world.believe_clock();
    let kept =
        |source| world.count(&format!("SELECT count(*) FROM audit WHERE source = {source}"));
    assert_eq!((kept(0), kept(1)), (31, 100));
    world.store.organisations().create("Northern").unwrap();
    assert_eq!((kept(0), kept(1)), (24, 92));
    world.store.audit().record(&many[..2]).unwrap();
    assert_eq!((kept(0), kept(1)), (8, 78));
    let log =
        world.store.audit().latest(1, &AuditFilter::new().kind(EventKind::OrganisationCreated));
    assert_eq!(log.unwrap().len(), 1);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}
