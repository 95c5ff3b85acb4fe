//! Plain SQL typed by hand: the next verify refuses what it deleted, and the change log has a row.

use rusqlite::Connection;

use super::{Change, check};
use crate::world::World;

/// A user in a branch under an organisation, with a session and a key.
struct Target {
    world: World,
    user: gatepost::UserId,
    branch: gatepost::BranchId,
    organisation: gatepost::OrganisationId,
    session: gatepost::OpenedSession,
    key: gatepost::sessions::IssuedApiKey,
}

impl Target {
    fn new() -> Self {
        let world = World::new();
        let organisation = world.store.organisations().create("Northern").unwrap().id;
        let branch = world.store.branches().create("York", organisation).unwrap().id;
        let user = world.person("ada").id;
        world.store.users().move_to(user, branch).unwrap();
        let session = world.open(user, "till-1");
        let key =
            world.store.api_keys().issue(user, gatepost::sessions::NewApiKey::new()).unwrap();
        Self { world, user, branch, organisation, session, key }
    }

    fn passes(&self) -> [bool; 2] {
        let key = self.world.store.verify((&self.key.key, None)).unwrap().valid();
        [self.world.passes(&self.session, "till-1"), key.is_ok()]
    }
}

/// Asserts that session and key verify before, and which of them after, a statement typed by hand
/// with foreign keys on or off as it was left.
#[track_caller]
fn types(statement: &str, passes: [bool; 2], rows: impl Fn(&Target) -> Vec<Change>) {
    let target = Target::new();
    assert_eq!(target.passes(), [true, true]);
    check(&target.world, &rows(&target), || execute(&target.world.sql(), statement).unwrap());
    assert_eq!(target.passes(), passes, "{statement}");
}

/// Asserts that the file refuses a statement, and that nothing has changed.
#[track_caller]
fn refused(statement: &str) {
    let target = Target::new();
    let answer = check(&target.world, &[], || execute(&target.world.sql(), statement));
    assert!(answer.is_err(), "{statement}");
    assert_eq!(target.passes(), [true, true], "{statement}");
}

fn execute(sql: &Connection, statement: &str) -> rusqlite::Result<()> {
    // A shell without foreign keys: parents may be deleted from above their children.
    sql.execute_batch("PRAGMA foreign_keys = OFF")?;
    sql.execute_batch(statement)
}

#[test]
fn what_was_deleted_by_hand_is_refused() {
    let session = |target: &Target| vec![Change::Session(target.session.id)];
    types("DELETE FROM session", [false, true], session);
    types("DELETE FROM api_key", [true, false], |target| vec![Change::Key(target.key.id)]);
    types("DELETE FROM user", [false, false], |target| vec![Change::User(target.user)]);
    // A user whose branch is missing has no valid session.
    types("DELETE FROM branch", [false, false], |target| vec![Change::Branch(target.branch)]);
    types("DELETE FROM organisation", [false, false], |target| {
        vec![Change::Organisation(target.organisation)]
    });
}

#[test]
fn what_was_changed_by_hand_is_refused() {
    let user = |target: &Target| vec![Change::User(target.user)];
    let session = |target: &Target| vec![Change::Session(target.session.id)];
    let head = "(SELECT seq FROM sqlite_sequence WHERE name = 'change')";
    let sets = |what: &str| what.replace("NEXT", &format!("1 + {head}"));
    types(&sets("UPDATE user SET sessions_ended_seq = NEXT"), [false, true], user);
    types(&sets("UPDATE user SET keys_ended_seq = NEXT"), [true, false], user);
    types(&sets("UPDATE store SET sessions_ended_seq = NEXT"), [false, true], |_| {
        vec![Change::Store]
    });
    types(&sets("UPDATE store SET keys_ended_seq = NEXT"), [true, false], |_| vec![Change::Store]);
    let disabled = "UPDATE user SET status = 'disabled',
         sessions_ended_seq = NEXT, tokens_ended_seq = NEXT";
    types(&sets(disabled), [false, false], user);
    types("UPDATE user SET branch_id = x'00000000000000000000000000000001'", [false; 2], user);
    types("UPDATE session SET secret_hash = zeroblob(32)", [false, true], session);
    types("UPDATE session SET device_hash = zeroblob(16)", [false, true], session);
    types("UPDATE session SET device_hash = NULL", [false, true], session);
    types("UPDATE session SET expires_at = 1", [false, true], session);
    types("UPDATE session SET idle_ms = 1, opened_at = 1", [true, true], session);
    types("UPDATE api_key SET expires_at = 1", [true, false], |target| {
        vec![Change::Key(target.key.id)]
    });
}

/// Even if a hand made its sessions younger than its deletion.
#[test]
fn nothing_of_a_deleted_user_verifies() {
    let head = "(SELECT seq FROM sqlite_sequence WHERE name = 'change')";
    let target = Target::new();
    target.world.store.users().delete(target.user).unwrap();
    let younger =
        format!("UPDATE session SET opened_seq = {head}; UPDATE api_key SET issued_seq = {head};");
    execute(&target.world.sql(), &younger).unwrap();
    assert_eq!(target.passes(), [false, false]);
}

#[test]
fn a_place_closed_by_hand_closes() {
    let next = "1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')";
    let closes = |table: &str| {
        format!(
            "UPDATE {table} SET active = 0, sessions_ended_seq = {next}, tokens_ended_seq = {next}"
        )
    };
    types(&closes("branch"), [false; 2], |target| vec![Change::Branch(target.branch)]);
    types(&closes("organisation"), [false; 2], |target| {
        vec![Change::Organisation(target.organisation)]
    });
}

#[test]
fn replace_takes_nothing_away_unseen() {
    let columns = "secret_hash, device_hash, user_id, opened_seq, opened_at, authenticated_at,
         expires_at, lifetime_ms, aal, last_seen";
    // The same id, and the same device under another id.
    refused(&format!("REPLACE INTO session (id, {columns}) SELECT id, {columns} FROM session"));
    refused(&format!(
        "REPLACE INTO session (id, {columns}) SELECT randomblob(16), {columns} FROM session"
    ));
    refused(
        "REPLACE INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
         SELECT id, zeroblob(32), user_id, issued_seq, issued_at FROM api_key",
    );
    refused(
        "REPLACE INTO user (id, status, kind, username, username_key, created_at, search_key)
         SELECT randomblob(16), status, kind, username, username_key, 0, '' FROM user",
    );
    refused("REPLACE INTO branch (id, name, created_at) SELECT id, 'B', 0 FROM branch");
    refused(
        "REPLACE INTO organisation (id, name, created_at) SELECT id, 'B', 0 FROM organisation",
    );
    refused("UPDATE OR REPLACE user SET id = zeroblob(16)");
    refused("UPDATE OR REPLACE session SET id = zeroblob(16)");
}
