//! Databases that say they are ours: older, newer, half done, and tampered with.

use gatepost::{Note, Reason};

use super::files::DAMAGED;
use super::{Meets, State};

const TOO_NEW: Meets =
    Meets::Refused(Reason::TooNew, "Upgrade this program to the version that wrote the file.");
const TAMPERED: Meets = Meets::Refused(
    Reason::Corrupt,
    "Find out who changed the tables or triggers of this file, and restore a verified backup.",
);

pub(super) const STATES: &[State] = &[
    State {
        name: "a newer store that this version may use",
        meets: Meets::Opens(&[Note::NewerSchema]),
        set_up: |scene| {
            scene.script("PRAGMA user_version = 9; ALTER TABLE organisation ADD nickname TEXT");
            Ok(())
        },
    },
    State {
        name: "a newer store that this version may not use",
        meets: TOO_NEW,
        set_up: |scene| {
            scene.script("PRAGMA user_version = 2; UPDATE store SET min_reader = 2");
            Ok(())
        },
    },
    State {
        name: "a newer store, as its log alone says",
        meets: TOO_NEW,
        set_up: |scene| {
            scene.plain("PRAGMA user_version = 2; UPDATE store SET min_reader = 2").kill();
            Ok(())
        },
    },
    State {
        name: "a migration that was killed half way",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.lays(".v1-1767603600000.backup.partial", &scene.bytes()[..8_192]);
            let half = "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
                CREATE TABLE new_user AS SELECT * FROM user; CREATE TABLE ballast (a);
                INSERT INTO ballast VALUES (randomblob(300000)); DROP TABLE credit;
                PRAGMA user_version = 2; UPDATE store SET min_reader = 2";
            scene.plain(&half.replace('\n', " ")).kill();
            Ok(())
        },
    },
    State {
        name: "a store that does not say its version",
        meets: DAMAGED,
        set_up: |scene| {
            scene.script("PRAGMA user_version = 0");
            Ok(())
        },
    },
    State {
        name: "a store stripped of its tables",
        meets: DAMAGED,
        set_up: |scene| {
            scene.empties();
            scene.script(
                "PRAGMA application_id = 0x47505354; PRAGMA user_version = 1; CREATE TABLE t (a)",
            );
            Ok(())
        },
    },
    State {
        name: "a store from which a trigger was dropped",
        meets: TAMPERED,
        set_up: |scene| {
            scene.script("DROP TRIGGER session_deleted");
            Ok(())
        },
    },
    State {
        name: "a store whose trigger does something else",
        meets: TAMPERED,
        set_up: |scene| {
            scene.script(
                "DROP TRIGGER store_stays; CREATE TRIGGER store_stays BEFORE DELETE ON store
                 BEGIN SELECT 1; END",
            );
            Ok(())
        },
    },
    State {
        name: "a store from which an index was dropped",
        meets: TAMPERED,
        set_up: |scene| {
            scene.script("DROP INDEX session_by_user");
            Ok(())
        },
    },
    State {
        name: "a store with a view in place of a table",
        meets: TAMPERED,
        set_up: |scene| {
            scene.script("DROP TABLE credit; CREATE VIEW credit AS SELECT 1 AS branch_id");
            Ok(())
        },
    },
    State {
        name: "a store with a table, a view, an index and a trigger of a stranger",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.script(
                "CREATE TABLE _replica_seq (id INTEGER PRIMARY KEY, seq INTEGER);
                 CREATE VIEW people AS SELECT username FROM user;
                 CREATE INDEX opened ON session (opened_at);
                 CREATE TRIGGER counted AFTER INSERT ON organisation
                 BEGIN INSERT INTO _replica_seq (seq) VALUES (1); END",
            );
            Ok(())
        },
    },
];
