//! What a process has cached of its verifies is as fresh as the file, whichever process changes it.

mod cast;
mod privileges;
mod race;
mod remembered;
mod weather;

use std::sync::Arc;

use gatepost::host::ManualClock;
use gatepost::sessions::OpenSession;
use gatepost::{Options, Principal, Store};
use rusqlite::Connection;

use crate::child::{Child, Parent};
use crate::operations::{OPERATIONS, Reach::Nothing, operation};
use crate::world::{MINUTE, SECOND, World, device, for_tests, is_cache_on, morning};
use cast::{Cast, act};
pub(crate) use privileges::role as change_or_ask;
pub(crate) use race::role;
pub(crate) use weather::meddle;

/// Operations that revoke, and the line that carries each out upon ada, her session `ada1`, her key
/// or her places. The list of operations says which sessions are refused from then on.
#[rustfmt::skip]
const CALLS: &[(&str, &str)] = &[
    ("Store::log_out",                                   "log-out !ada1"),
    ("Sessions::revoke",                                    "end @ada1"),
    ("Sessions::revoke_others",                             "end-others !ada1"),
    ("Sessions::revoke_all(user)",                             "end-all-of @ada"),
    ("Sessions::revoke_all(branch)",                      "end-all-of-branch @york"),
    ("Sessions::revoke_all(organisation)",                "end-all-of-organisation @northern"),
    ("Sessions::revoke_all(store)",                                "end-all"),
    ("Sessions::open(on the device of a session)",       "open @ada till-1"),
    ("Devices::forget",                                  "forget @ada till-1"),
    ("Users::set_status(Locked)",                        "status @ada locked"),
    ("Users::set_status(Disabled)",                      "status @ada disabled"),
    ("Users::set_status(Pending)",                       "status @ada pending"),
    ("Users::delete",                                    "delete @ada"),
    ("Users::confirm(first)",                            "confirm @ada"),
    ("Store::change_password",                           "change-password !ada1"),
    ("Users::set_password",                              "set-password @ada"),
    ("Users::remove_password",                           "remove-password @ada"),
    ("Users::mark_compromised",                          "mark-compromised @ada"),
    ("Users::require_password_change(RevokeSessions::All)", "demand-change @ada"),
    ("Branches::set_active(false)",                      "branch-off @york"),
    ("Organisations::set_active(false)",                 "organisation-off @northern"),
    ("ApiKeys::revoke",                                  "revoke @key"),
    ("ApiKeys::rotate(no overlap)",                      "rotate @key"),
    ("ApiKeys::revoke_all",                              "revoke-all-keys @ada"),
];

/// Other writes that take effect at the next verify, and what is refused from then on.
#[rustfmt::skip]
const OTHER_WRITES: &[(&str, &str)] = &[
    ("sweep",                                           "brief briefk"),
    ("sql DELETE FROM session WHERE id = #ada1",        "ada1 ada1k"),
    ("sql DELETE FROM session WHERE user_id = #ada",    "ada1 ada2 ada1k ada2k"),
    ("sql DELETE FROM session",
        "ada1 ada2 bob1 cyd1 brief ada1k ada2k bob1k cyd1k briefk"),
    ("sql DELETE FROM api_key",                         "key ada1k ada2k bob1k cyd1k briefk keyk"),
    ("sql DELETE FROM api_key WHERE id = #key",                                  "key keyk"),
    ("sql UPDATE session SET expires_at = 1 WHERE id = #ada1",                   "ada1 ada1k"),
    ("sql UPDATE session SET device_hash = randomblob(16) WHERE id = #ada1",     "ada1"),
    ("sql UPDATE session SET secret_hash = randomblob(32) WHERE id = #ada1",     "ada1"),
    ("sql UPDATE session SET idle_ms = 1, last_seen = last_seen + 90000 WHERE id = #ada1",
        "ada1 ada1k"),
    ("sql UPDATE api_key SET secret_hash = randomblob(32) WHERE id = #key",      "key"),
    ("sql UPDATE api_key SET expires_at = 1 WHERE id = #key",                    "key keyk"),
    ("sql UPDATE user SET sessions_ended_seq = $next WHERE id = #ada",
        "ada1 ada2 ada1k ada2k"),
    ("sql UPDATE user SET keys_ended_seq = $next WHERE id = #ada",  "key ada1k ada2k keyk"),
    ("sql UPDATE branch SET sessions_ended_seq = $next WHERE id = #york",
        "ada1 ada2 bob1 ada1k ada2k bob1k"),
    ("sql UPDATE store SET keys_ended_seq = $next",
        "key ada1k ada2k bob1k cyd1k briefk keyk"),
];

/// Every line, and what is refused after it.
fn lines() -> impl Iterator<Item = (&'static str, String)> {
    let calls = CALLS.iter().map(|(name, line)| (*line, Cast::covered(operation(name))));
    calls.chain(OTHER_WRITES.iter().map(|(line, ended)| (*line, (*ended).to_owned())))
}

/// Another process learns of an operation only by its rows in the change log.
#[test]
fn every_operation_that_revokes_has_a_line_or_one_that_reports_the_same() {
    let reported: Vec<_> = CALLS.iter().map(|(name, _)| operation(name).kinds()).collect();
    for one in OPERATIONS.iter().filter(|one| one.sessions != Nothing || one.keys != Nothing) {
        assert!(reported.contains(&one.kinds()), "{}: give it a line in CALLS", one.name);
    }
}

/// The second run of the suite, without the cache, is one.
#[test]
fn every_process_of_this_run_remembers_or_none_does() {
    let cast = Cast::new(|options| options);
    assert_eq!(cast.world.store.status().cached.is_some(), is_cache_on());
    let mut other = Other::new();
    other.does(&cast, &format!("remembers {}", is_cache_on()));
    other.0.end();
}

/// Does what each line says, `PATH OPERATION`, and acknowledges it.
pub(crate) fn follow_lines(parent: &mut Parent, _: &[String]) {
    while let Some(line) = parent.hear() {
        let (path, operation) = line.split_once(' ').unwrap();
        match operation.split_once(' ') {
            Some(("sql", script)) => plain_sql(path).execute_batch(script).unwrap(),
            _ => {
                let clock = ManualClock::new(morning());
                let options = for_tests().clock(Arc::new(clock.clone()));
                let store = Store::open(path, options).unwrap();
                act(&store, &clock, operation);
                store.close().unwrap();
            }
        }
        parent.say("done");
    }
}

fn plain_sql(path: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(5 * SECOND).unwrap();
    connection
}

/// Another process, which does what each line says.
struct Other(Child);

impl Other {
    fn new() -> Self {
        Self(Child::start("follow lines", &[]))
    }

    #[track_caller]
    fn does(&mut self, cast: &Cast, operation: &str) {
        self.0.say(&format!("{} {}", cast.world.path.display(), cast.spell(operation)));
        assert_eq!(self.0.hear(), "done", "{operation}");
    }
}

/// Every row, done by another process to a store with these options. A session or key that others
/// were made from is reported by the row of its user, any other by one of its own.
#[track_caller]
fn check_rows_of_another(change: fn(Options) -> Options) {
    let mut other = Other::new();
    for (operation, ended) in lines() {
        let (all, few) = (Cast::with_made_keys(change), Cast::new(change));
        let ended_of_few = few.here(&ended);
        for (cast, ended) in [(all, ended), (few, ended_of_few)] {
            cast.is_cached();
            other.does(&cast, operation);
            cast.are_refused(&ended, operation);
        }
    }
    other.0.end();
}

#[test]
fn what_another_process_has_ended_is_refused_at_the_very_next_verify() {
    check_rows_of_another(|options| options);
}

#[test]
fn with_one_entry_remembered_every_answer_is_the_same() {
    check_rows_of_another(|options| options.cache(1));
}

#[test]
fn with_nothing_remembered_every_answer_is_the_same() {
    check_rows_of_another(|options| options.cache(None));
}

#[test]
fn what_this_process_has_ended_is_refused_at_the_very_next_verify() {
    for (operation, ended) in lines() {
        let cast = Cast::with_made_keys(|options| options);
        cast.is_cached();
        match operation.strip_prefix("sql ") {
            Some(script) => cast.world.sql().execute_batch(&cast.spell(script)).unwrap(),
            None => act(&cast.world.store, &cast.world.clock, &cast.spell(operation)),
        }
        cast.are_refused(&ended, operation);
    }
}

#[test]
fn the_very_next_verify_returns_the_new_principal() {
    type Expect = fn(&Cast, &Principal) -> bool;
    let rows: &[(&str, &str, Expect)] = &[
        ("move @ada @leeds", "ada1 ada2 key cyd1 brief", |cast, principal| {
            (principal.branch, principal.organisation) == (Some(cast.leeds), None)
        }),
        ("move @ada -", "ada1 ada2 key", |_, principal| principal.branch.is_none()),
        ("move-branch @york -", "ada1 ada2 key bob1", |cast, principal| {
            (principal.branch, principal.organisation) == (Some(cast.york), None)
        }),
        ("move-branch @leeds @northern", "cyd1 brief", |cast, principal| {
            (principal.branch, principal.organisation) == (Some(cast.leeds), Some(cast.northern))
        }),
        ("privileges @ada admin", "ada1 ada2 key", |_, principal| principal.is_admin),
        (
            "sql INSERT INTO user_privilege VALUES (#ada, 'admin')",
            "ada1 ada2 key",
            |_, principal| principal.is_admin,
        ),
        (
            "sql UPDATE user SET branch_id = NULL WHERE id = #ada",
            "ada1 ada2 key",
            |_, principal| principal.branch.is_none(),
        ),
        ("sql UPDATE session SET aal = 3 WHERE id = #ada1", "ada1", |_, principal| {
            principal.assurance == gatepost::sessions::Assurance::Aal3
        }),
    ];
    let mut other = Other::new();
    for (operation, whose, expect) in rows {
        let cast = Cast::new(|options| options);
        cast.is_cached();
        other.does(&cast, operation);
        for name in cast.names() {
            let principal = cast.look(name).unwrap();
            assert_eq!(
                expect(&cast, &principal),
                whose.contains(name),
                "{name} after {operation}"
            );
        }
        assert_eq!(cast.look("ada1").unwrap().user, cast.ada);
    }
    let cast = Cast::new(|options| options);
    for (operation, expect) in [("privileges @ada admin", true), ("privileges @ada", false)] {
        cast.is_cached();
        other.does(&cast, operation);
        assert_eq!(cast.look("ada1").unwrap().is_admin, expect);
    }
    other.0.end();
}

#[test]
fn what_was_suspended_and_is_active_again_verifies_again() {
    let cast = Cast::new(|options| options);
    let mut other = Other::new();
    cast.is_cached();
    other.does(&cast, "status @ada locked");
    cast.are_refused("ada1 ada2 key", "the lock");
    other.does(&cast, "status @ada active");
    cast.are_refused("ada1 ada2", "the lock was lifted");
    other.0.end();
}

/// No row of the change log reports what makes these valid again.
#[test]
fn a_refusal_is_never_remembered() {
    let cast = Cast::new(|options| options);
    cast.is_cached();
    let sql = cast.world.sql();
    let row = "CREATE TEMP TABLE kept AS SELECT * FROM session WHERE id = #ada1;
        DELETE FROM session WHERE id = #ada1";
    sql.execute_batch(&cast.spell(row)).unwrap();
    cast.are_refused("ada1", "a deletion");
    sql.execute_batch("INSERT INTO session SELECT * FROM temp.kept").unwrap();
    cast.are_refused("", "it was put back");

    // Opened by a clock that runs ahead of ours.
    let world = &cast.world;
    let ahead = "UPDATE session SET opened_at = opened_at + 120000 WHERE id = #bob1";
    sql.execute_batch(&cast.spell(ahead)).unwrap();
    cast.are_refused("bob1", "it was opened in two minutes");
    world.clock.advance(MINUTE);
    cast.are_refused("", "a minute went by");
}

/// A process that was killed in the middle of its commit leaves a header in two versions, and
/// the process that finds it counts changes from zero: the count alone returns to what it was.
#[test]
fn a_count_of_changes_that_returns_to_an_earlier_value_deceives_no_store() {
    let cast = Cast::new(|options| options);
    cast.is_cached();
    let mut hand = weather::Hand::new(&cast);
    let followed = hand.changes();
    hand.tear_the_header();
    hand.sql("SELECT count(*) FROM session");
    assert!(hand.changes() < followed);
    while hand.changes() + 1 < followed {
        hand.sql("UPDATE store SET last_group = randomblob(16)");
    }
    hand.sql(&cast.spell("DELETE FROM session WHERE id = #ada1"));
    assert_eq!(hand.changes(), followed);
    cast.are_refused("ada1", "as many changes as before");
    hand.end();
}

/// Change rows that a process has not read may be trimmed; then anything may have changed.
#[test]
fn a_change_that_was_trimmed_before_it_was_read_is_not_missed() {
    for script in [
        "DELETE FROM session WHERE id = #ada1; DELETE FROM session WHERE id = #bob1;
         DELETE FROM change WHERE seq < (SELECT max(seq) FROM change)",
        "UPDATE user SET sessions_ended_seq = $next WHERE id = #ada;
         DELETE FROM session WHERE id = #bob1;
         DELETE FROM change WHERE seq < (SELECT max(seq) FROM change)",
        // More rows than any process reads.
        "DELETE FROM session WHERE id = #ada1; DELETE FROM session WHERE id = #bob1;
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
         INSERT INTO change (kind, id) SELECT 3, randomblob(16) FROM n;
         DELETE FROM change WHERE seq < (SELECT max(seq) FROM change) - 9000",
        "DELETE FROM session WHERE id IN (#ada1, #bob1); UPDATE store SET lineage = randomblob(16)",
        // From the middle.
        "DELETE FROM session WHERE id = #ada1; DELETE FROM session WHERE id = #bob1;
         DELETE FROM change WHERE seq = (SELECT max(seq) FROM change) - 1",
    ] {
        let cast = Cast::new(|options| options);
        cast.is_cached();
        let mut hand = weather::Hand::new(&cast);
        hand.sql(&cast.spell(script));
        assert_eq!(cast.look("ada1"), None, "{script}");
        assert_eq!(cast.look("bob1"), None, "{script}");
        assert!(cast.look("cyd1").is_some(), "{script}");
        hand.end();
    }
}

/// With eight entries for a hundred sessions nearly every verify evicts another entry.
#[test]
fn what_is_driven_out_and_returns_is_as_fresh_as_the_rest() {
    let world = World::with(|options| {
        options.cache(8).sessions(gatepost::policy::SessionPolicy::server().per_user(1_000))
    });
    let ada = world.person("ada").id;
    let opened = gatepost::testing::open_many(&world.store, ada, 100).unwrap();
    let passes = |n: usize| {
        let one = &opened[n];
        world.store.verify((&one.token, &one.device)).unwrap().valid().is_ok()
    };
    let sql = world.sql();
    for round in 0..50 {
        for n in 0..100 {
            assert_eq!(passes(n), n >= 2 * round, "{n} in round {round}");
            assert_eq!(passes(99), 99 >= 2 * round);
        }
        let ended = [2 * round, 2 * round + 1];
        assert_eq!(
            world.store.sessions().revoke(opened[ended[0]].id).unwrap(),
            gatepost::Ended::Now
        );
        let id = opened[ended[1]].id.as_uuid();
        sql.execute("DELETE FROM session WHERE id = ?1", [id.as_bytes()]).unwrap();
        assert!(!passes(ended[1]) && !passes(ended[0]));
    }
    assert!(world.store.status().cached.unwrap() <= 16);
}

/// A session is revoked between the SELECT of a verify and the fill of the cache.
#[test]
fn what_ended_while_it_was_looked_up_is_not_remembered_as_live() {
    for catches_up in [false, true] {
        let trap = weather::Trap::default();
        let clock = trap.clone();
        let world = World::with(|options| options.clock(Arc::new(clock)));
        let ada = world.person("ada").id;
        let other = world.open(ada, "till-2");
        let open = OpenSession::new(ada, device("till-1"));
        let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
        assert!(world.passes(&other, "till-2"));
        let (store, token) = (world.store.clone(), session.token.expose().to_owned());
        trap.springs(move || {
            let ended = store.log_out((&token, &device("till-1"))).unwrap();
            assert_eq!(ended, gatepost::Ended::Now);
            if catches_up {
                let verdict = store.verify((&other.token, &device("till-2"))).unwrap();
                assert!(verdict.valid().is_ok());
            }
        });
        assert!(world.passes(&session, "till-1"), "the file was asked before it ended");
        assert!(trap.has_sprung());
        for _ in 0..3 {
            assert!(!world.passes(&session, "till-1"));
        }
    }
}
