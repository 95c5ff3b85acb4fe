//! Options: their bounds, and what the file keeps of them.

mod presets;

use std::time::Duration;

use gatepost::policy::{
    ApiVersion, ChangeAtLogin, Cost, PasswordPolicy, SessionLimit, SessionPolicy,
};
use gatepost::status::OpenWarning;
use gatepost::{ErrorKind, LoginRequest, NewUser, Options, Password, Store};

use crate::world::{DAY, HOUR, MINUTE, Meanwhile, PASSWORD, SECOND, World, device, for_tests};

#[track_caller]
fn refused(options: Options, expect: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let error = Store::open(&path, options).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Invalid, expect));
    assert!(!path.exists());
}

/// The names of the policies that a process reports as differing from the stored ones.
fn differing(store: &Store) -> Vec<&'static str> {
    let warnings = store.status().open_warnings;
    let name = |warning: &OpenWarning| match warning {
        OpenWarning::OptionDiffers(name) => *name,
        other => panic!("{other:?}"),
    };
    warnings.iter().map(name).collect()
}

#[test]
fn an_option_out_of_its_bounds_creates_no_file_and_is_named_with_value_and_bound() {
    let with = |policy: SessionPolicy| for_tests().sessions(policy);
    let server = SessionPolicy::server();
    refused(with(server.lifetime(60 * DAY)), "lifetime (60 d) exceeds max_lifetime (30 d)");
    refused(with(server.lifetime(Duration::ZERO)), "lifetime (0 ms) is below 1 ms");
    refused(with(server.max_lifetime(401 * DAY)), "max_lifetime (401 d) exceeds 400 d");
    let least = "inactivity_timeout (9 s) is not 10 s to 400 d";
    refused(with(server.inactivity_timeout(9 * SECOND)), least);
    let most = "inactivity_timeout (9601 h) is not 10 s to 400 d";
    refused(with(server.inactivity_timeout(400 * DAY + HOUR)), most);
    refused(with(server.per_user(0)), "per_user (0) is not 1 to 10000");
    let passwords = |policy| for_tests().passwords(policy);
    refused(passwords(PasswordPolicy::default().min_chars(7)), "min_chars (7) is not 8 to 64");
    let bytes = "max_bytes (255) is not 256 to 4096";
    refused(passwords(PasswordPolicy::default().max_bytes(255)), bytes);
    let hashes = "max_concurrent_hashes (0) is not 1 to 1024";
    refused(for_tests().max_concurrent_hashes(0), hashes);
    let hashes = "max_concurrent_hashes (1025) is not 1 to 1024";
    refused(for_tests().max_concurrent_hashes(1_025), hashes);
    let waiting = "max_waiting_hashes (100001) is not 0 to 100000";
    refused(for_tests().max_waiting_hashes(100_001), waiting);
    refused(for_tests().service_name(""), "service_name (0 bytes) is not 1 to 256 bytes");
    let long = "service_name (257 bytes) is not 1 to 256 bytes";
    refused(for_tests().service_name("x".repeat(257)), long);
    let versions = for_tests().api_versions(ApiVersion::new(2, 0), ApiVersion::new(1, 1));
    refused(versions, "api_versions: the oldest (2.0) exceeds the newest (1.1)");
    refused(for_tests().api_keys_per_user(0), "api_keys_per_user (0) is not 1 to 1000");
    refused(for_tests().api_keys_per_user(1_001), "api_keys_per_user (1001) is not 1 to 1000");
    refused(for_tests().cache(0), "cache (0) is not 1 to 16777216");
    let reserve = "disk_reserve (1073741825) is not 0 to 1073741824";
    refused(for_tests().disk_reserve(1_073_741_825), reserve);
    let age = "audit_max_age (86399 s) is not 1 d to 36500 d";
    refused(for_tests().audit_max_age(DAY - SECOND), age);
    let rows = "audit_max_rows (999) is not 1000 to 1000000000000";
    refused(for_tests().audit_max_rows(999), rows);
    let expiry = "password_expiry (86399 s) is not 1 d to 36500 d";
    refused(for_tests().password_expiry(DAY - SECOND), expiry);
    let cost = "cost (Cost::insecure_for_tests) is accepted with Options::for_tests alone";
    refused(Options::server().cost(Cost::insecure_for_tests()), cost);
}

/// Every policy with another value than its default.
fn unusual() -> Options {
    let sessions = SessionPolicy::aal2()
        .lifetime(7 * HOUR)
        .max_lifetime(8 * HOUR)
        .inactivity_timeout(3 * MINUTE)
        .per_user(3)
        .at_limit(SessionLimit::Refuse)
        .require_device(false)
        .device_takeover(true);
    let passwords =
        PasswordPolicy::default().min_chars(12).min_chars_beside_factor(9).max_bytes(300);
    let passwords = passwords.blocklist(false).context(false);
    for_tests()
        .service_name("Kärcher \u{1f512}\nPC")
        .api_versions(ApiVersion::new(1, 2), ApiVersion::new(3, 4))
        .sessions(sessions)
        .passwords(passwords)
        .password_expiry(90 * DAY)
        .change_at_login(ChangeAtLogin::Always)
        .cost(Cost::new(47_104, 1, 2).unwrap())
        .api_keys_per_user(7)
        .strict_totp(true)
        .breach_check(Meanwhile::default().check())
}

#[test]
fn each_policy_is_kept_and_a_process_that_differs_is_warned_of_each_by_name() {
    let world = World::with(|_| unusual());
    assert_eq!(differing(&world.store), Vec::<&str>::new());
    world.store.close().unwrap();
    let other = Store::open(&world.path, for_tests()).unwrap();
    let all = [
        "service_name",
        "api_versions",
        "lifetime",
        "max_lifetime",
        "inactivity_timeout",
        "per_user",
        "at_limit",
        "require_device",
        "device_takeover",
        "min_chars",
        "min_chars_beside_factor",
        "max_bytes",
        "blocklist",
        "context",
        "password_expiry",
        "change_at_login",
        "cost",
        "api_keys_per_user",
        "strict_totp",
        "breach_check",
    ];
    assert_eq!(differing(&other), all);
    // Its own are in force there.
    assert_eq!(other.service().name, "Gatepost");
    other.close().unwrap();

    // Each stored value equals the one that the creator gave.
    let stored = Store::open(&world.path, Options::stored()).unwrap();
    assert_eq!(stored.service().name, "Kärcher \u{1f512}\nPC");
    assert_eq!(differing(&stored), Vec::<&str>::new());
    stored.close().unwrap();
    let again = Store::open(&world.path, unusual()).unwrap();
    assert_eq!(differing(&again), Vec::<&str>::new());
}

#[test]
fn stored_options_need_a_file_and_create_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let refused = || Store::open(&path, Options::stored()).unwrap_err().kind();
    assert_eq!(refused(), ErrorKind::NotFound);
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert_eq!(refused(), ErrorKind::NotFound);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    let in_memory = Store::in_memory(Options::stored()).unwrap_err();
    assert_eq!(in_memory.kind(), ErrorKind::NotFound);
}

#[test]
fn an_option_of_another_kind_is_not_set_beside_stored_ones() {
    let world = World::new();
    world.store.close().unwrap();
    for (options, name) in [
        (Options::stored().login_by_email(false), "login_by_email"),
        (Options::stored().sessions(SessionPolicy::server()), "sessions"),
        (
            Options::stored().cache(None).service_name("x").cost(Cost::recommended()),
            "service_name",
        ),
    ] {
        let error = Store::open(&world.path, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let expected = format!("{name} is set, and Options::stored() takes it from the file");
        assert_eq!(error.to_string(), expected);
    }
    Store::open(&world.path, Options::stored().cache(None).max_waiting_hashes(3)).unwrap();
}

#[test]
fn stored_options_are_shared_with_an_open_store_that_agrees() {
    let world = World::new();
    world.store.close().unwrap();
    let first = Store::open(&world.path, Options::stored()).unwrap();
    let second = Store::open(&world.path, Options::stored()).unwrap();
    first.close().unwrap();
    assert_eq!(second.audit().anchor().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn without_the_breach_check_of_the_file_no_password_is_set_and_all_else_is_done() {
    let world = World::with(|options| options.breach_check(Meanwhile::default().check()));
    let ada = world.person("ada").id;
    world
        .store
        .users()
        .require_password_change(ada, gatepost::sessions::RevokeSessions::Keep)
        .unwrap();
    world.store.close().unwrap();

    let tool = Store::open(&world.path, Options::stored()).unwrap();
    let users = tool.users();
    let before = tool.audit().anchor().unwrap();
    let misuse = |refused: Result<(), gatepost::Error>| {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("breach check"), "{error}");
    };
    let new = || Password::from("nine brass bells");
    misuse(users.create(NewUser::person("bob").password(new())).map(drop));
    misuse(users.set_password(ada, new()).map(drop));
    let login = || LoginRequest::new("ada", PASSWORD.into(), device("till-1"));
    misuse(tool.log_in(login().new_password(new())).map(drop));
    let session = ("gps_nothing", &device("till-1"));
    misuse(tool.change_password(session, PASSWORD.into(), new()).map(drop));
    assert_eq!(tool.audit().anchor().unwrap(), before);
    assert_eq!(users.find(ada).unwrap().unwrap().failed_attempts, 0);

    users.create(NewUser::person("bob")).unwrap();
    tool.close().unwrap();
    let with_check = Options::stored().breach_check(Meanwhile::default().check());
    let tool = Store::open(&world.path, with_check).unwrap();
    tool.users().set_password(ada, new()).unwrap();
}

#[test]
fn a_damaged_stored_option_is_corrupt_and_named() {
    let world = World::new();
    world.store.close().unwrap();
    let stored = |name: &str| -> String {
        let sql = "SELECT value FROM policy WHERE name = ?1";
        world.sql().query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    let set = |name: &str, value: &str| {
        let sql = "UPDATE policy SET value = ?2 WHERE name = ?1";
        world.sql().execute(sql, [name, value]).unwrap();
    };
    for (name, values) in [
        ("service_name", &[""][..]),
        ("api_versions", &["1.0", "1.0 x", "2.0 1.0"]),
        ("lifetime", &["", "x", "-1", "0", "99999999999999999999"]),
        ("max_lifetime", &["1", "40000000000000"]),
        ("inactivity_timeout", &["9999", "no"]),
        ("per_user", &["0", "4294967296"]),
        ("at_limit", &["Evict"]),
        ("require_device", &["1"]),
        ("min_chars", &["7"]),
        ("min_chars_beside_factor", &["7", "9"]),
        ("max_bytes", &["1"]),
        ("password_expiry", &["1"]),
        ("change_at_login", &[""]),
        ("cost", &["8 1", "8 1 1 1", "0 0 0", "99999999 1 1"]),
        ("api_keys_per_user", &["0"]),
        ("strict_totp", &["1"]),
        ("breach_check", &["maybe"]),
    ] {
        let kept = stored(name);
        for value in values {
            set(name, value);
            for options in [for_tests(), Options::stored()] {
                let error = Store::open(&world.path, options).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{name} = {value:?}");
            }
        }
        set(name, &kept);
    }
    set("lifetime", "a day");
    let error = Store::open(&world.path, for_tests()).unwrap_err();
    assert_eq!(error.to_string(), "the stored value of lifetime is missing or cannot be read");
    set("lifetime", "86400000");
    Store::open(&world.path, Options::stored()).unwrap();
}

/// The checks of the table are off, as where the bytes were changed.
#[test]
fn an_option_of_the_file_out_of_its_bounds_is_corrupt_at_the_opening_and_in_a_write() {
    let world = World::new();
    let sql = world.sql();
    sql.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    for set in [
        "audit_max_rows = 0",
        "audit_max_rows = -1",
        "audit_max_age_ms = 1",
        "audit_max_age_ms = -1",
        "lockout = 'never'",
        "second_factor = 'some'",
    ] {
        sql.execute(&format!("UPDATE store SET {set}"), []).unwrap();
        let write = world.store.organisations().create("Northern").unwrap_err();
        assert_eq!(write.kind(), ErrorKind::Corrupt, "{set}");
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("auth.db");
        sql.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
        let opening = Store::open(&path, for_tests()).unwrap_err();
        assert_eq!(opening.kind(), ErrorKind::Corrupt, "{set}");
        let whole = "UPDATE store SET audit_max_rows = 1000000, audit_max_age_ms = 34560000000,
                     lockout = 'timed', second_factor = 'optional'";
        sql.execute(whole, []).unwrap();
    }
    world.store.organisations().create("Northern").unwrap();
}

#[test]
fn a_file_is_made_for_tests_or_not_for_good() {
    let of_server = World::with(|_| Options::server());
    of_server.store.close().unwrap();
    let made_for_tests = World::new();
    made_for_tests.store.close().unwrap();
    for (world, options) in [(&of_server, for_tests()), (&made_for_tests, Options::server())] {
        let error = Store::open(&world.path, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "for_tests has another value in the file");
        assert!(error.advice().contains("Options::stored()"));
        Store::open(&world.path, Options::stored()).unwrap();
    }
    let by_hand = of_server.sql().execute("UPDATE store SET for_tests = 1", []);
    assert!(by_hand.is_err());
}

#[test]
fn what_is_no_path_to_a_file_says_what_to_write_instead() {
    let directory = tempfile::tempdir().unwrap();
    for (path, says) in [
        (":memory:", "\":memory:\" is a file name here; use Store::in_memory (feature test-util)"),
        ("sqlite::memory:", "the path looks like a URL; give a plain path, such as auth.db"),
        ("sqlite:///x/auth.db", "the path looks like a URL; give a plain path, such as auth.db"),
        ("file:auth.db", "the path looks like a URL; give a plain path, such as auth.db"),
    ] {
        let error = Store::open(path, for_tests()).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Invalid, says));
        assert!(!std::path::Path::new(path).exists());
    }
    Store::open(directory.path().join(":memory:"), for_tests()).unwrap();
}
