//! Restores over a file that reads, although another program has changed its schema or its pages.

use gatepost::backup::{ReplacedFile, Stricter};
use gatepost::directory::UserStatus;
use gatepost::{Password, Store};

use super::place::{closed, has_ada_alone};
use super::{backs_up, restores};
use crate::world::{PASSWORD, World};

/// What another program adds to the tables of the store or takes away from them.
const CHANGES: &[&str] = &[
    "CREATE INDEX opened ON session (opened_at)",
    "CREATE UNIQUE INDEX named ON user (lower(username)) WHERE deleted_at IS NULL",
    "CREATE TRIGGER counted AFTER INSERT ON organisation BEGIN SELECT 1; END",
    "CREATE TRIGGER endless AFTER UPDATE ON user BEGIN SELECT count(*) FROM (WITH RECURSIVE
         n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, s BLOB REFERENCES session (id))",
    "CREATE VIEW live_users AS SELECT * FROM user",
    "DROP TRIGGER audit_is_not_rewritten",
    "DROP INDEX branch_by_organisation",
];

/// The file reads, but it counted as damaged: everyone was as in the backup again.
#[test]
fn a_restore_keeps_what_is_stricter_in_a_file_whose_schema_was_changed() {
    for change in CHANGES {
        let mut world = World::new();
        let ada = world.person("ada").id;
        let eve = world.person("eve").id;
        let ben = world.person("ben").id;
        backs_up(&world);
        world.store.users().set_status(ada, UserStatus::Disabled).unwrap();
        world.store.users().set_password(ben, Password::from("a later long password")).unwrap();
        world.store.users().delete(eve).unwrap();
        world.store.users().erase(eve).unwrap();
        world.store.close().unwrap();
        world.sql().execute_batch(change).unwrap();

        let report = restores(&world);
        assert_eq!(report.replaced, ReplacedFile::Live, "{change}");
        assert!(report.audit_log_kept, "{change}");
        assert!(report.stricter.contains(&Stricter::UserStatus(ada)), "{change}: {report:?}");
        world.store = Store::open(&world.path, world.options.clone()).unwrap();
        assert_eq!(world.user(ada).status, UserStatus::Disabled, "{change}");
        assert!(world.log_in("ben", PASSWORD, "till-1").is_err(), "{change}");
        assert_eq!(world.store.users().find_by_username("eve").unwrap(), None, "{change}");
        assert!(world.store.users().restore(eve).is_err(), "{change}");
    }
}

/// SQLite refuses to copy pages of one size into a log of pages of another size.
#[test]
fn a_file_with_pages_of_another_size_is_restored() {
    for size in [512, 8_192, 65_536] {
        let mut world = closed();
        let sql = format!(
            "PRAGMA journal_mode = DELETE; PRAGMA page_size = {size}; VACUUM;
             PRAGMA journal_mode = WAL"
        );
        world.sql().execute_batch(&sql).unwrap();
        assert_eq!(restores(&world).replaced, ReplacedFile::Live, "{size}");
        assert_eq!(world.count("PRAGMA page_size"), size);
        has_ada_alone(&mut world);
    }
}
