//! Files that change underneath an open store: a restore into the open file, a file or log that was
//! replaced, a trigger that another program adds, a counter that a hand sets back.

pub(crate) mod rounds;
mod unseen;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gatepost::sessions::OpenSession;
use gatepost::status::{FileState, OpenWarning};
use gatepost::{ErrorKind, NewUser, OpenedSession, Store, Subtree, UserId};
use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::child::{Child, Parent};
use crate::world::{SECOND, World, device, for_tests};

/// Copies a file, or does something to a store, as each line says.
pub(crate) fn role(parent: &mut Parent, _: &[String]) {
    while let Some(line) = parent.hear() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["copy", from, to] => copy(from, to),
            ["end-all", path] => {
                let store = Store::open(path, for_tests()).unwrap();
                store.sessions().revoke_all(Subtree::Store).unwrap();
            }
            _ => panic!("{line}"),
        }
        parent.say("done");
    }
}

/// As `.backup` and `.restore` of the shell do.
pub(crate) fn copy(from: &str, to: &str) {
    let from = Connection::open(from).unwrap();
    let mut to = Connection::open(to).unwrap();
    to.busy_timeout(5 * SECOND).unwrap();
    let pause = std::time::Duration::from_millis(1);
    Backup::new(&from, &mut to).unwrap().run_to_completion(1_000_000, pause, None).unwrap();
}

/// A store, and another process that copies its file.
struct Bench {
    world: World,
    ada: UserId,
    other: Child,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let ada = world.person("ada").id;
        Self { world, ada, other: Child::start("underneath", &[]) }
    }

    #[track_caller]
    fn does(&mut self, line: &str) {
        self.other.say(line);
        assert_eq!(self.other.hear(), "done", "{line}");
    }

    fn backs_up(&mut self) {
        self.does(&format!("copy {} {}", self.world.path.display(), self.copy()));
    }

    fn restores(&mut self) {
        self.does(&format!("copy {} {}", self.copy(), self.world.path.display()));
    }

    fn copy(&self) -> String {
        self.world.directory().join("copy.db").display().to_string()
    }

    /// Opens a session that this process has cached.
    fn cached(&self, on: &str) -> OpenedSession {
        let opened = self.world.open(self.ada, on);
        assert!(self.passes(&opened, on) && self.passes(&opened, on));
        opened
    }

    fn passes(&self, session: &OpenedSession, on: &str) -> bool {
        let verdict = self.world.store.verify((&session.token, &device(on)));
        verdict.unwrap().valid().is_ok()
    }
}

/// The lineage was equal, and the number of the newest change row was reached again or never left.
#[test]
fn a_session_that_a_restore_took_away_is_refused_at_the_next_verify() {
    for logouts in [0, 1, 2] {
        for ends_all in [false, true] {
            let mut bench = Bench::new();
            let before = bench.cached("till-1");
            bench.backs_up();
            let after = bench.cached("till-2");
            for _ in 0..logouts {
                let one = bench.cached("till-3");
                bench.world.store.log_out((&one.token, &device("till-3"))).unwrap();
                assert!(bench.passes(&after, "till-2"));
            }
            bench.restores();
            if ends_all {
                bench.does(&format!("end-all {}", bench.world.path.display()));
            }
            assert!(!bench.passes(&after, "till-2"), "{logouts} {ends_all}");
            assert_eq!(bench.passes(&before, "till-1"), !ends_all, "{logouts} {ends_all}");
        }
    }
}

/// The audit rows of the two histories are equal, as no call of the library made them.
#[test]
fn a_change_of_another_history_under_the_same_number_is_no_change_that_was_followed() {
    let mut bench = Bench::new();
    let (one, other) = (bench.cached("till-1"), bench.cached("till-2"));
    bench.backs_up();
    let delete = |bench: &Bench, session: &OpenedSession| {
        let sql = bench.world.sql();
        sql.execute("DELETE FROM session WHERE id = ?1", [session.id.as_uuid().as_bytes()])
            .unwrap();
    };
    delete(&bench, &one);
    assert!(!bench.passes(&one, "till-1") && bench.passes(&other, "till-2"));
    bench.restores();
    delete(&bench, &other);
    assert!(!bench.passes(&other, "till-2"));
    assert!(bench.passes(&one, "till-1"));
}

#[test]
fn a_deleted_log_closes_the_store_before_anything_is_acknowledged() {
    let bench = Bench::new();
    let opened = bench.cached("till-1");
    let log = bench.world.directory().join("auth.db-wal");
    fs::remove_file(&log).unwrap();
    let path = bench.world.path.display().to_string();
    let mut open = Child::start("open", &[&path]);
    assert_eq!(open.hear(), "Corrupt");
    let refused = bench.world.store.log_out((&opened.token, &device("till-1"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    assert_eq!(bench.world.store.status().file_state, FileState::Replaced);
    // What was acknowledged before is in the deleted log, which the close moves into the file.
    let Bench { world, other, .. } = bench;
    other.end();
    world.store.close().unwrap();
    let again = Store::open(&world.path, world.options.clone()).unwrap();
    assert!(again.verify((&opened.token, &device("till-1"))).unwrap().valid().is_ok());
}

/// The general advice, to restore a backup, would lose what the deleted log still has.
#[test]
fn an_opening_beside_a_deleted_log_advises_to_let_the_others_close_the_file() {
    let bench = Bench::new();
    bench.cached("till-1");
    fs::remove_file(bench.world.directory().join("auth.db-wal")).unwrap();
    let mut open = Child::start("open", &[&bench.world.path.display().to_string()]);
    assert_eq!(open.hear(), "Corrupt");
    let advice = open.hear();
    let closing = "Let each program that has the file open close it, without killing one,";
    assert!(advice.starts_with(closing), "{advice}");
    assert!(!advice.contains("Stop using this file"), "{advice}");
}

#[test]
fn a_deleted_log_is_noticed_within_a_second_of_verifies() {
    let bench = Bench::new();
    let opened = bench.cached("till-1");
    fs::remove_file(bench.world.directory().join("auth.db-wal")).unwrap();
    bench.world.clock.advance(SECOND);
    let refused = bench.world.store.verify((&opened.token, &device("till-1"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
}

/// A bench whose file was replaced, and the token of a session that it never had.
fn replaced() -> (Bench, OpenedSession) {
    let elsewhere = World::new();
    let eve = elsewhere.person("eve").id;
    // Every world draws the same tokens: this one is further on.
    (2..9).for_each(|number| drop(elsewhere.open(eve, &format!("till-{number}"))));
    let stranger = elsewhere.open(eve, "till-1");
    let bench = Bench::new();
    bench.cached("till-1");
    let copy = bench.copy();
    fs::write(&copy, "another file").unwrap();
    fs::rename(&copy, &bench.world.path).unwrap();
    (bench, stranger)
}

/// The process sees no token that it knows, so only the refused ones can notice.
#[test]
fn a_replaced_file_is_noticed_by_tokens_that_are_refused() {
    let (bench, stranger) = replaced();
    bench.world.clock.advance(SECOND);
    let refused = bench.world.store.verify((&stranger.token, &device("till-1"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
}

#[test]
fn a_logout_does_not_say_that_a_session_was_over_in_a_file_that_was_replaced() {
    let (bench, stranger) = replaced();
    let refused = bench.world.store.log_out((&stranger.token, &device("till-1"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
}

/// A write that finds nothing to do looks as well.
#[test]
fn a_revocation_that_finds_nothing_in_a_replaced_file_says_so() {
    let bench = Bench::new();
    let opened = bench.cached("till-1");
    let store = &bench.world.store;
    store.log_out((&opened.token, &device("till-1"))).unwrap();
    let copy = bench.copy();
    fs::write(&copy, "another file").unwrap();
    fs::rename(&copy, &bench.world.path).unwrap();
    assert_eq!(store.sessions().revoke(opened.id).unwrap_err().kind(), ErrorKind::Closed);
}

/// Each runs inside statements of the library, and the last two would not end.
const FOREIGN: &[(&str, &str)] = &[
    ("counted", "CREATE TRIGGER counted AFTER INSERT ON organisation BEGIN SELECT 1; END"),
    ("opened", "CREATE INDEX opened ON session (opened_at)"),
    (
        "endless",
        "CREATE TRIGGER endless AFTER UPDATE ON store BEGIN SELECT count(*) FROM (WITH RECURSIVE
         n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END",
    ),
    (
        "endless",
        "CREATE TRIGGER endless BEFORE INSERT ON AUDIT BEGIN SELECT count(*) FROM (WITH RECURSIVE
         n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END",
    ),
];

#[test]
fn what_another_program_added_to_the_tables_is_refused_by_name_when_the_file_is_opened() {
    for (name, script) in FOREIGN {
        let world = World::new();
        world.store.close().unwrap();
        world.sql().execute_batch(script).unwrap();
        let refused = Store::open(&world.path, world.options.clone()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(refused.to_string().contains(&format!("{name:?}")), "{refused}");
    }
}

/// Its rows would keep a session from being deleted, or its triggers would run in a logout.
#[test]
fn a_table_that_refers_to_one_of_the_stores_is_refused() {
    let world = World::new();
    let notes = "CREATE TABLE notes (id INTEGER PRIMARY KEY, s BLOB REFERENCES session (id))";
    world.sql().execute_batch(notes).unwrap();
    let refused = world.store.organisations().create("Northern").unwrap_err();
    assert!(refused.to_string().contains("\"notes\""), "{refused}");
    world.store.close().unwrap();
    let refused = Store::open(&world.path, world.options.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
}

#[test]
fn what_another_program_adds_while_the_store_is_open_is_refused_by_the_next_write() {
    for (name, script) in FOREIGN {
        let world = World::new();
        world.sql().execute_batch(script).unwrap();
        let refused = world.store.organisations().create("Northern").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(refused.to_string().contains(&format!("{name:?}")), "{refused}");
        let kind = script.split(' ').nth(1).unwrap();
        world.sql().execute_batch(&format!("DROP {kind} {name}")).unwrap();
        world.store.organisations().create("Northern").unwrap();
    }
}

#[test]
fn tables_of_another_program_are_accepted_and_its_views_with_a_warning() {
    let mut world = World::new();
    let own = "CREATE TABLE _replica_seq (id INTEGER PRIMARY KEY, seq INTEGER);
        CREATE INDEX _by_seq ON _replica_seq (seq);
        CREATE TRIGGER _counted AFTER INSERT ON _replica_seq BEGIN SELECT 1; END";
    world.sql().execute_batch(own).unwrap();
    world.reopen();
    assert_eq!(world.store.status().open_warnings, []);
    world.sql().execute_batch("CREATE VIEW people AS SELECT username FROM user").unwrap();
    world.reopen();
    assert_eq!(world.store.status().open_warnings, [OpenWarning::ForeignView]);
}

/// AUTOINCREMENT goes on from the rows, so a watermark that was taken from the counter would lie
/// below every session.
#[test]
fn a_revocation_fails_if_the_counter_of_the_change_log_was_set_back() {
    let bench = Bench::new();
    bench.world.store.users().set_privileges(bench.ada, &["admin"]).unwrap();
    let opened = bench.cached("till-1");
    let back = "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'change'";
    bench.world.sql().execute_batch(back).unwrap();
    let refused = bench.world.store.sessions().revoke_all(bench.ada).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    drop(opened);
    // Set ahead, it only leaves a gap.
    let ahead = "UPDATE sqlite_sequence SET seq = 500 WHERE name = 'change'";
    bench.world.sql().execute_batch(ahead).unwrap();
    let opened = bench.cached("till-2");
    bench.world.store.sessions().revoke_all(bench.ada).unwrap();
    assert!(!bench.passes(&opened, "till-2"));
}

#[test]
fn a_directory_that_a_group_can_write_is_a_warning() {
    for (mode, expect) in [
        (0o700, &[][..]),
        (0o755, &[]),
        (0o770, &[OpenWarning::SharedDirectory]),
        (0o1775, &[OpenWarning::SharedDirectory]),
    ] {
        let mut world = World::new();
        fs::set_permissions(world.directory(), fs::Permissions::from_mode(mode)).unwrap();
        world.reopen();
        assert_eq!(world.store.status().open_warnings, expect, "{mode:o}");
    }
}

#[test]
fn a_file_with_the_name_of_the_reserve_that_is_not_the_stores_is_a_warning() {
    let world = World::new();
    world.store.close().unwrap();
    let path = world.directory().join("auth.db-reserve");
    fs::write(&path, "twenty bytes of notes").unwrap();
    let options = world.options.clone().disk_reserve(8_192);
    let store = Store::open(&world.path, options).unwrap();
    assert_eq!(store.status().open_warnings, [OpenWarning::ForeignReserve]);
    store.maintain().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "twenty bytes of notes");
}

#[test]
fn a_file_that_logs_in_by_addresses_that_lead_to_two_users_is_a_warning() {
    let mut world = World::new();
    let users = world.store.users();
    users.create(NewUser::person("ada@example.com")).unwrap();
    users.create(NewUser::person("bob").email("ada@example.com")).unwrap();
    world.sql().execute_batch("UPDATE store SET login_by_email = 1").unwrap();
    world.options = world.options.clone().login_by_email(true);
    world.reopen();
    assert_eq!(world.store.status().open_warnings, [OpenWarning::AmbiguousEmails]);
}

/// The watermark of an organisation goes with a branch that leaves it, whenever it was raised.
#[test]
fn a_move_through_an_organisation_takes_its_revocations_along() {
    let world = World::new();
    let store = &world.store;
    let york = store.branches().create("York", None).unwrap().id;
    let northern = store.organisations().create("Northern").unwrap().id;
    let ada = world.person("ada").id;
    let opened = world.open(ada, "till-1");
    let passes = || {
        let open = store.verify((&opened.token, &device("till-1"))).unwrap();
        open.valid().is_ok()
    };
    store.sessions().revoke_all(northern).unwrap();
    store.branches().move_to(york, northern).unwrap();
    store.branches().move_to(york, None).unwrap();
    assert!(passes());
    store.users().move_to(ada, york).unwrap();
    assert!(!passes(), "opened before the organisation's sessions were revoked");
    let later = OpenSession::new(ada, device("till-2"));
    assert!(store.sessions().open(later).unwrap().granted().is_ok());
}
