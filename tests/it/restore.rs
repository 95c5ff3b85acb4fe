//! Restores: what was revoked stays revoked, what was stricter stays so, and the file is the old
//! one or the restored one.

mod adopt;
mod changed_schema;
mod erased;
mod factors;
pub(crate) mod killed;
mod left_over;
pub(crate) mod litestream;
mod place;
mod replaced;
pub(crate) mod rounds;
mod stricter;

use std::path::PathBuf;
use std::sync::Arc;

use gatepost::audit::EventKind;
use gatepost::backup::{ReplacedFile, RestoreReport};
use gatepost::host::SeededRandom;
use gatepost::sessions::{NewApiKey, NewOneTimeToken};
use gatepost::{ErrorKind, Password, Store};

use crate::child::Parent;
use crate::world::{World, for_tests};

/// The path of the backup that [`backs_up`] writes.
fn copy(world: &World) -> PathBuf {
    world.directory().join("copy.db")
}

/// Keeps a store open until the parent says a line.
pub(crate) fn keep_open(parent: &mut Parent, words: &[String]) {
    let _store = Store::open(&words[0], for_tests()).unwrap();
    parent.say("open");
    parent.hear();
}

fn backs_up(world: &World) {
    world.store.backup(copy(world), |_| ()).unwrap();
}

#[track_caller]
fn restores(world: &World) -> RestoreReport {
    Store::restore(copy(world), &world.path, world.options.clone()).unwrap()
}

/// In the same process, which has the file open and has cached what it verified.
#[test]
fn nothing_that_was_presented_before_passes_after_a_restore() {
    let world = World::new();
    let ada = world.person("ada").id;
    let before = world.open(ada, "till-1");
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    let reset = world.store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset());
    let reset = reset.unwrap().token;
    backs_up(&world);
    let since = world.open(ada, "till-2");
    let later = world.store.one_time_tokens().issue(ada, NewOneTimeToken::email_confirmation());
    assert!(later.is_err(), "ada has no address");
    for _ in 0..2 {
        assert!(world.passes(&before, "till-1") && world.passes(&since, "till-2"));
        assert!(world.store.verify((&key.key, None)).unwrap().valid().is_ok());
    }

    let report = restores(&world);
    assert_eq!(report.replaced, ReplacedFile::Live);
    let revoked =
        (report.sessions_revoked, report.api_keys_revoked, report.one_time_tokens_revoked);
    assert_eq!(revoked, (1, 1, 1));
    assert!(!world.passes(&before, "till-1") && !world.passes(&since, "till-2"));
    assert!(world.store.verify((&key.key, None)).unwrap().valid().is_err());
    let tokens = world.store.one_time_tokens();
    let redeemed = tokens.reset_password(
        reset.expose(),
        Password::from("another long password"),
        gatepost::sessions::RevokeApiKeys::Keep,
    );
    assert!(redeemed.unwrap().valid().is_err());

    // The store goes on, and so does its log.
    let after = world.open(ada, "till-1");
    assert!(world.passes(&after, "till-1"));
    assert!(world.log_in("ada", crate::world::PASSWORD, "till-3").is_ok());
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    assert_eq!(world.log_of(EventKind::StoreRestored).len(), 1);
}

#[test]
fn a_restore_begins_a_new_lineage_above_the_numbers_of_both_files() {
    let world = World::new();
    let lineage = |world: &World| -> Vec<u8> {
        world.sql().query_row("SELECT lineage FROM store", [], |row| row.get(0)).unwrap()
    };
    let ada = world.person("ada").id;
    backs_up(&world);
    for number in 0..50 {
        let session = world.open(ada, &format!("till-{number}"));
        world.log_out(&session, &format!("till-{number}"));
    }
    let (head, old) = (world.head(), lineage(&world));
    restores(&world);
    assert_eq!(world.head(), head + (1 << 20));
    assert_ne!(lineage(&world), old);
    for mark in ["sessions_ended_seq", "keys_ended_seq", "tokens_ended_seq"] {
        assert_eq!(world.count(&format!("SELECT {mark} FROM store")), world.head(), "{mark}");
    }
    assert_eq!(world.count("SELECT count(*) FROM change"), 1);
    assert_eq!(world.count("SELECT count(*) FROM change WHERE kind = 0"), 1);
    // Each restore begins one.
    restores(&world);
    assert_eq!(world.head(), head + (2 << 20));
}

/// The log of the file has rows that the backup lacks, and an anchor of them still fits.
#[test]
fn the_audit_log_of_the_file_is_kept_if_it_continues_that_of_the_backup() {
    let world = World::new();
    backs_up(&world);
    world.person("ada");
    let anchor = world.store.audit().anchor().unwrap();
    let report = restores(&world);
    assert!(report.audit_log_kept);
    assert_eq!(world.log_of(EventKind::UserCreated).len(), 1);
    assert!(world.store.audit().verify_chain(Some(&anchor)).unwrap().is_intact());

    // Now the file has the history of the backup no more.
    let sql = world.sql();
    sql.execute_batch("PRAGMA recursive_triggers = 0; DROP TRIGGER audit_is_not_rewritten")
        .unwrap();
    sql.execute("UPDATE audit SET chain = randomblob(32) WHERE seq = 1", []).unwrap();
    let text = include_str!("../../src/storage/schema.sql");
    let begin = text.find("CREATE TRIGGER audit_is_not_rewritten").unwrap();
    let end = begin + text[begin..].find("END;").unwrap() + 4;
    sql.execute_batch(&text[begin..end]).unwrap();
    drop(sql);
    let report = restores(&world);
    assert!(!report.audit_log_kept);
    assert!(world.log_of(EventKind::UserCreated).is_empty());
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

/// What the other file of a restore is not.
#[test]
fn a_backup_that_is_not_what_its_manifest_says_is_refused_and_changes_nothing() {
    use std::fs;
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    backs_up(&world);
    let manifest = world.directory().join("copy.db.manifest");
    let (bytes, text) = (fs::read(copy(&world)).unwrap(), fs::read_to_string(&manifest).unwrap());
    let head = world.head();
    let check = |what: &str, kind: ErrorKind| {
        let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{what}: {refused}");
        assert!(refused.path().is_some_and(|path| path.ends_with("copy.db")), "{what}");
        assert!(world.passes(&session, "till-1") && world.head() == head, "{what}");
        assert!(!world.directory().join("auth.db-restoring").exists(), "{what}");
        refused.to_string()
    };
    let mut changed = bytes.clone();
    changed[5_000] ^= 1;
    fs::write(copy(&world), &changed).unwrap();
    check("one byte", ErrorKind::Corrupt);
    fs::write(copy(&world), &bytes[..bytes.len() - 4_096]).unwrap();
    check("cut off", ErrorKind::Corrupt);
    fs::write(copy(&world), &bytes).unwrap();
    for (what, other) in [
        ("empty", String::new()),
        ("another first line", text.replace("version 1", "version 2")),
        ("no number", text.replace("bytes: ", "bytes: x")),
        ("no line", text.replace("head", "heat")),
        ("cut off", text[..text.len() - 9].to_owned()),
        ("not text", text.replace("sha256: ", "sha256: \u{fffd}")),
    ] {
        fs::write(&manifest, other).unwrap();
        check(what, ErrorKind::Corrupt);
    }
    fs::write(&manifest, text.replace("schema: 1", "schema: 2")).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooNew);
    fs::remove_file(&manifest).unwrap();
    let says = check("no manifest", ErrorKind::NotFound);
    assert!(says.contains("has no manifest"), "{says}");
    fs::create_dir(&manifest).unwrap();
    check("a directory", ErrorKind::Unsafe);
    fs::remove_file(copy(&world)).unwrap();
    let says = check("no backup", ErrorKind::NotFound);
    assert!(says.contains("no backup of that name"), "{says}");
}

#[test]
fn a_backup_of_another_store_is_refused() {
    let (world, other) = (
        World::new(),
        World::with(|options| options.random_source(Arc::new(SeededRandom::new(8)))),
    );
    backs_up(&other);
    let refused = Store::restore(copy(&other), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
}
