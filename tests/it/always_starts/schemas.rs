//! Databases that claim to be Gatepost's: older, newer, half done, and tampered with.

use gatepost::ErrorKind;
use gatepost::status::OpenWarning;

use super::files::DAMAGED;
use super::{Meets, State};

const TOO_NEW: Meets =
    Meets::Refused(ErrorKind::TooNew, "Upgrade this program to the version that wrote the file.");
const KEY_MISSING: Meets = Meets::Refused(
    ErrorKind::KeyMissing,
    "Give this program the key that the message names with Options::keyring; if that key is lost, \
     the page \"keys\" of the manual says what to do.",
);
const TAMPERED: Meets = Meets::Refused(
    ErrorKind::Corrupt,
    "Find out who changed the tables or triggers of this file, and restore a verified backup.",
);
const ADDED_TO: Meets = Meets::Refused(
    ErrorKind::Corrupt,
    "Find out which program added what the message names, stop that program, and drop it with SQL.",
);

pub(super) const STATES: &[State] = &[
    State {
        name: "a newer store that this version may use",
        meets: Meets::Opens(&[OpenWarning::NewerSchema]),
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
        name: "a store that seals its hashes under a key, opened without it",
        meets: KEY_MISSING,
        set_up: |scene| {
            scene.script("UPDATE store SET sealing_key = 'elsewhere'");
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
        meets: TAMPERED,
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
        name: "a store with a table and a view of a stranger",
        meets: Meets::Opens(&[OpenWarning::ForeignView]),
        set_up: |scene| {
            scene.script(
                "CREATE TABLE _replica_seq (id INTEGER PRIMARY KEY, seq INTEGER);
                 CREATE VIEW people AS SELECT username FROM user",
            );
            Ok(())
        },
    },
    State {
        name: "a store with an index of a stranger on one of its tables",
        meets: ADDED_TO,
        set_up: |scene| {
            scene.script("CREATE INDEX opened ON session (opened_at)");
            Ok(())
        },
    },
    State {
        name: "a store with a trigger of a stranger that never ends",
        meets: ADDED_TO,
        set_up: |scene| {
            scene.script(
                "CREATE TRIGGER endless AFTER UPDATE ON store BEGIN SELECT count(*) FROM (
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                 SELECT i FROM n); END",
            );
            Ok(())
        },
    },
];
