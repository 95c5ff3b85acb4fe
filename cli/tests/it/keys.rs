//! `--key-file`, `gatepost key-file` and `gatepost rekey`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use gatepost::host::Keys;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::status::OpenWarning;
use gatepost::{DeviceId, ErrorKind, LoginRequest, NewUser, Options, Password, Store};
use serde_json::json;

use crate::world::{PASSWORD, World};

const OLD: [&str; 2] = ["--key-file", "2025-04.key"];
const NEW: [&str; 2] = ["--key-file", "2026-11.key"];
const BOTH: [&str; 4] = ["--key-file", "2026-11.key", "--key-file", "2025-04.key"];

/// A directory with the two key files, and no store.
fn with_key_files() -> World {
    let world = World::empty();
    world.ok(&["key-file", "create", "2025-04.key", "2025-04"]);
    world.ok(&["key-file", "create", "2026-11.key", "2026-11"]);
    world
}

/// Also a store that has the old key, and the user `ada`.
fn with_store() -> World {
    let world = with_key_files();
    world.ok(&[&["init", "--preset", "server"], &OLD[..]].concat());
    person(&world, "ada", &OLD);
    world
}

#[track_caller]
fn person(world: &World, name: &str, keys: &[&str]) {
    let words = [&["user", "add", name, "--password-stdin"], keys].concat();
    let ran = world.run_with(&words, PASSWORD);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// The keys and their counts, as `rekey --status` prints them.
fn key_use(world: &World, keys: &[&str]) -> Vec<(String, u64, bool)> {
    let rows = world.rows(&[&["rekey", "--status"], keys].concat());
    let row = |row: &serde_json::Value| {
        let key = row["key"].as_str().unwrap_or_default().to_owned();
        (key, row["hashes"].as_u64().unwrap(), row["is_available"].as_bool().unwrap())
    };
    rows.iter().map(row).collect()
}

fn logs_in(world: &World, key_file: &str) -> bool {
    let keys = Arc::new(Keys::from_file(world.directory().join(key_file)).unwrap());
    let options = Options::stored().keyring(keys);
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let device = DeviceId::random().unwrap();
    let login = LoginRequest::new("ada", Password::from(PASSWORD), device);
    store.log_in(login).unwrap().granted().is_ok()
}

#[test]
fn a_key_file_is_private_new_and_says_nothing_of_its_key() {
    let world = World::empty();
    let out = world.ok(&["key-file", "create", "a.key", "2026-11"]);
    let path = world.directory().join("a.key");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!out.contains(text.trim_end().rsplit(' ').next().unwrap()), "{out}");

    world.refused(&["key-file", "create", "a.key", "2026-12"], 4, "there is a file");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    world.refused(&["key-file", "create", "b.key", "my key"], 5, "the key id is not");
    world.refused(&["key-file", "create", "no/such/b.key", "2026-12"], 3, "");
    assert_eq!(fs::read_dir(world.directory()).unwrap().count(), 1);
}

#[test]
fn a_store_that_is_created_with_a_key_does_not_open_without_it() {
    let world = with_key_files();
    world.ok(&[&["init", "--preset", "server"], &NEW[..]].concat());
    let path = world.directory().join("auth.db");
    let refused = Store::open(&path, Options::server()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyMissing);
    let keys = Arc::new(Keys::from_file(world.directory().join("2026-11.key")).unwrap());
    let store = Store::open(&path, Options::server().keyring(keys)).unwrap();
    assert_eq!(store.status().open_warnings, []);
}

#[test]
fn a_key_file_that_cannot_be_used_is_refused_and_no_store_is_made() {
    let world = with_key_files();
    let check = |file: &str, code: i32, says: &str| {
        let init = ["init", "--preset", "server", "--key-file", "2026-11.key", "--key-file", file];
        world.refused(&init, code, says);
        assert!(!world.directory().join("auth.db").exists());
    };
    check("no.key", 3, "the key file does not exist");
    fs::write(world.directory().join("text.key"), "a text").unwrap();
    fs::set_permissions(world.directory().join("text.key"), PermissionsExt::from_mode(0o600))
        .unwrap();
    check("text.key", 5, "64 hexadecimal digits");
    fs::set_permissions(world.directory().join("2025-04.key"), PermissionsExt::from_mode(0o640))
        .unwrap();
    check("2025-04.key", 8, "other users may read");
}

/// Once the second key was passed over, and a rekey from it reported that all was done.
#[test]
fn two_key_files_whose_keys_have_one_id_are_refused() {
    let world = with_store();
    world.ok(&["key-file", "create", "again.key", "2025-04"]);
    let both = ["--key-file", "again.key", "--key-file", "2025-04.key"];
    let says = "two key files have a key with the id 2025-04";
    world.refused(&[&["rekey", "--yes"], &both[..]].concat(), 5, says);
    world.refused(&[&["user", "list"], &both[..]].concat(), 5, says);
    let twice = ["--key-file", "2025-04.key", "--key-file", "2025-04.key"];
    world.refused(&[&["rekey", "--status"], &twice[..]].concat(), 5, says);
    assert!(logs_in(&world, "2025-04.key"));
}

#[test]
fn what_needs_the_key_names_the_option_and_the_rest_works_without_it() {
    let world = with_store();
    let set = |keys: &[&str]| {
        let words = [&["user", "set-password", "ada", "--password-stdin"], keys].concat();
        world.run_with(&words, PASSWORD)
    };
    for keys in [&[][..], &NEW] {
        let ran = set(keys);
        assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{ran:?}");
        assert!(ran.err.contains("2025-04") && ran.err.contains("--key-file PATH"), "{ran:?}");
    }
    assert_eq!(world.row(&["user", "lock", "ada"])["status"], "locked");
    world.ok(&["user", "unlock", "ada"]);
    world.ok(&["user", "reset", "ada"]);
    assert_eq!(set(&OLD).code, 0);
    assert_eq!(set(&BOTH).code, 0);
    assert_eq!(key_use(&world, &[]), [("2025-04".to_owned(), 1, false)]);
}

#[test]
fn a_rekey_seals_every_hash_under_the_first_key_and_needs_no_password() {
    let world = with_key_files();
    world.ok(&["init", "--preset", "server"]);
    for n in 0..3 {
        world.person(&format!("user-{n}"));
    }
    person(&world, "ada", &[]);
    assert_eq!(key_use(&world, &[]), [(String::new(), 4, true)]);

    world.refused(&[&["rekey"], &OLD[..]].concat(), 9, "not confirmed");
    assert_eq!(key_use(&world, &[]), [(String::new(), 4, true)]);
    let row = world.row(&[&["rekey", "--yes"], &OLD[..]].concat());
    assert_eq!(row, json!({ "key": "2025-04", "hashes": 4, "totp_secrets": 0, "damaged": 0 }));
    assert_eq!(key_use(&world, &OLD), [("2025-04".to_owned(), 4, true)]);

    let ran = world.run(&[&["rekey", "--yes"], &BOTH[..]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "no bar without a terminal: {ran:?}");
    assert_eq!(key_use(&world, &NEW), [("2026-11".to_owned(), 4, true)]);
    let row = world.row(&[&["rekey", "--yes"], &NEW[..]].concat());
    assert_eq!(row["hashes"], 0);
    assert!(logs_in(&world, "2026-11.key"));
}

/// A password hash of another program.
const IMPORTED: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
    CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

#[test]
fn a_rekey_takes_as_many_writes_as_it_needs() {
    let world = with_key_files();
    world.ok(&["init", "--preset", "server"]);
    let store = world.store();
    for n in 0..310 {
        let user = NewUser::person(format!("user-{n}")).password_hash(IMPORTED);
        store.users().create(user).unwrap();
    }
    drop(store);
    let row = world.row(&[&["rekey", "--yes"], &NEW[..]].concat());
    assert_eq!(row["hashes"], 310);
    assert_eq!(key_use(&world, &NEW), [("2026-11".to_owned(), 310, true)]);
}

/// From RFC 6238, appendix B.
const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn import_factor(world: &World) {
    let keys = Keys::from_file(world.directory().join("2025-04.key")).unwrap();
    let options = Options::stored().keyring(Arc::new(keys));
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let ada = store.users().find_by_username("ada").unwrap().unwrap().id;
    let secret = TotpSecret::from_base32(TOTP_SECRET).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    store.close().unwrap();
}

#[test]
fn a_second_factor_is_shown_without_its_secret_and_reset() {
    let world = with_store();
    world.refused(&["factor", "show", "ada"], 3, "the user has no second factor");
    world.refused(&["factor", "reset", "ada", "--yes"], 3, "the user has no second factor");
    import_factor(&world);
    let row = world.row(&["factor", "show", "ada"]);
    assert_eq!((&row["algorithm"], &row["digits"]), (&json!("sha1"), &json!(6)));
    assert_eq!((&row["origin"], &row["recovery_codes_left"]), (&json!("imported"), &json!(0)));
    assert!(!world.ok(&["factor", "show", "ada"]).contains(TOTP_SECRET));
    world.refused(&["factor", "reset", "ada"], 9, "not confirmed");
    world.ok(&["factor", "reset", "ada", "--yes"]);
    world.refused(&["factor", "show", "ada"], 3, "the user has no second factor");
}

#[test]
fn a_rekey_seals_the_secrets_of_second_factors_as_well() {
    let world = with_store();
    import_factor(&world);
    let row = world.row(&[&["rekey", "--yes"], &BOTH[..]].concat());
    assert_eq!((&row["hashes"], &row["totp_secrets"]), (&json!(1), &json!(1)));
    let rows = world.rows(&[&["rekey", "--status"], &NEW[..]].concat());
    assert_eq!((rows.len(), &rows[0]["totp_secrets"]), (1, &json!(1)));
}

#[test]
fn a_rekey_needs_a_key_file() {
    let world = with_store();
    world.refused(&["rekey", "--yes"], 6, "--key-file PATH");
}

#[test]
fn a_lost_key_is_replaced_and_its_hashes_are_reported() {
    let world = with_store();
    fs::remove_file(world.directory().join("2025-04.key")).unwrap();
    let ran = world.run(&[&["rekey", "--yes"], &NEW[..]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("1 hashes are sealed under a key that was not given"), "{ran:?}");
    let lost = ("2025-04".to_owned(), 1, false);
    assert_eq!(key_use(&world, &NEW), [lost]);
    assert_eq!(findings(&world, &NEW), ["sealing warning"]);
    let ran = world.run_with(
        &[&["user", "set-password", "ada", "--password-stdin"], &NEW[..]].concat(),
        PASSWORD,
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(logs_in(&world, "2026-11.key"));
    assert!(findings(&world, &NEW).is_empty());
}

/// The doctor's checks and severities.
fn findings(world: &World, words: &[&str]) -> Vec<String> {
    let ran = world.run(&[&["doctor", "--json"], words].concat());
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let text = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|one| [text(one, "check"), text(one, "severity")].join(" ")).collect()
}

#[test]
fn the_doctor_reports_a_rotation_that_is_not_finished() {
    let world = with_store();
    assert!(findings(&world, &[]).is_empty());
    assert!(findings(&world, &OLD).is_empty());
    assert_eq!(findings(&world, &BOTH), ["opening warning"]);
    assert!(world.run(&[&["doctor"], &BOTH[..]].concat()).out.contains("run gatepost rekey"));

    // As a process leaves it that is killed after the first hash.
    person(&world, "ben", &OLD);
    let open = |file: &str| Keys::from_file(world.directory().join(file)).unwrap();
    let keys = Arc::new(open("2026-11.key").with_older(open("2025-04.key")));
    let options = Options::stored().keyring(keys);
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    assert_eq!(store.status().open_warnings, [OpenWarning::RekeyDue]);
    store.rekey(1).unwrap();
    drop(store);
    for keys in [&[][..], &BOTH, &NEW] {
        assert_eq!(findings(&world, keys), ["sealing warning"]);
    }
    assert!(findings(&world, &["--quick"]).is_empty());
    world.ok(&[&["rekey", "--yes"], &BOTH[..]].concat());
    assert!(findings(&world, &BOTH).is_empty());
}

#[test]
fn the_doctor_reports_hashes_that_are_not_sealed_once_the_file_has_a_key() {
    let world = with_key_files();
    world.ok(&["init", "--preset", "server"]);
    person(&world, "ada", &[]);
    assert!(findings(&world, &[]).is_empty(), "without a key nothing is sealed");
    person(&world, "ben", &NEW);
    assert_eq!(findings(&world, &[]), ["sealing warning"]);
    world.ok(&[&["rekey", "--yes"], &NEW[..]].concat());
    assert!(findings(&world, &[]).is_empty());
}
