//! How the file is found, created and opened, and when it is not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use gatepost::status::OpenWarning;
use gatepost::{Options, Store};

use crate::world::{World, skipped};

#[test]
fn init_creates_a_private_file_with_the_options_of_its_preset() {
    for (preset, options) in
        [("server", Options::server()), ("desktop", Options::desktop()), ("web", Options::web())]
    {
        let world = World::empty();
        let row = world.row(&["init", "--preset", preset]);
        assert!(row["path"].as_str().unwrap().ends_with("auth.db"));
        let path = world.directory().join("auth.db");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Store::open(&path, options).unwrap().status().open_warnings, []);
    }
}

#[test]
fn init_sets_the_options_that_it_is_given() {
    let world = World::empty();
    let words = ["init", "--preset", "server", "--service-name", "Reports"];
    world.ok(&[&words[..], &["--login-by-email", "--permanent-lockout"]].concat());
    let options =
        Options::server().login_by_email(true).lockout(gatepost::policy::Lockout::Permanent);
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let differing = [OpenWarning::OptionDiffers("service_name")];
    assert_eq!(store.status().open_warnings, differing);
}

#[test]
fn init_creates_nothing_for_a_user_who_cannot_be_there() {
    let world = World::empty();
    world.refused(&["init", "--preset", "server", "--as", "ada"], 5, "leave out --as");
    assert_eq!(fs::read_dir(world.directory()).unwrap().count(), 0);
}

#[test]
fn init_leaves_a_file_that_is_there_as_it_is() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    world.refused(&["init", "--preset", "web"], 4, "there is a file at auth.db");
    assert_eq!(world.rows(&["user", "list"]).len(), 1);
    fs::write(world.directory().join("notes.txt"), "notes").unwrap();
    world.refused(&["init", "--preset", "web", "-f", "notes.txt"], 4, "there is a file");
    assert_eq!(fs::read(world.directory().join("notes.txt")).unwrap(), b"notes");
}

/// Once `init` said that there is a file at each of these paths.
#[test]
fn a_path_at_which_nothing_can_be_found_out_is_refused_with_its_cause() {
    let world = World::empty();
    fs::write(world.directory().join("notes.txt"), "notes").unwrap();
    symlink("circle.db", world.directory().join("circle.db")).unwrap();
    let long = "x".repeat(300);
    let closed = world.directory().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let mut paths = vec![
        ("notes.txt/auth.db", 5, "at notes.txt/auth.db: Not a directory"),
        ("circle.db", 5, "at circle.db: "),
        (long.as_str(), 5, ": File name too long"),
        ("closed/auth.db", 8, "at closed/auth.db: Permission denied"),
    ];
    if rustix::process::geteuid().is_root() {
        skipped("root may read each directory");
        paths.pop();
    }
    for (path, code, says) in paths {
        world.refused(&["init", "--preset", "server", "--file", path], code, says);
        world.refused(&["user", "list", "--file", path], code, says);
        let ran = world.run(&["doctor", "--file", path]);
        assert!(ran.code == 11 && ran.out.contains("opening"), "{path}: {ran:?}");
    }
    let beside = fs::read_dir(world.directory()).unwrap();
    assert_eq!(beside.count(), 3, "nothing was created");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_a_newer_version_has_migrated_is_neither_read_nor_written() {
    let world = World::new();
    let migrated = "PRAGMA user_version = 2; UPDATE store SET min_reader = 2";
    world.sql().execute_batch(migrated).unwrap();
    for words in [&["user", "list"][..], &["user", "add", "ada", "--no-password"]] {
        world.refused(words, 8, "a newer version that this one may not read");
    }
}

#[test]
fn every_other_command_creates_no_file() {
    let world = World::empty();
    world.refused(&["user", "list"], 3, "gatepost init");
    world.refused(&["user", "list", "-f", "no/such/directory/auth.db"], 3, "there is no store at");
    assert_eq!(fs::read_dir(world.directory()).unwrap().count(), 0);
}

#[test]
fn the_file_of_another_user_is_not_opened_without_a_flag() {
    if rustix::process::geteuid().is_root() {
        let world = World::new();
        let path = world.directory().join("auth.db");
        chown(&path, Some(4_711), None).unwrap();
        let says = "belongs to the user with the id 4711, and this command runs as 0";
        world.refused(&["user", "list"], 6, says);
        world.refused(&["doctor"], 6, says);
        world.ok(&["user", "list", "--allow", "foreign-owner"]);
    } else {
        let world = World::empty();
        assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
        let says = "belongs to the user with the id 0";
        world.refused(&["user", "list", "--file", "/etc/passwd"], 6, says);
    }
}

#[test]
fn a_protection_is_given_up_by_the_flag_that_the_message_names() {
    let world = World::new();
    fs::hard_link(world.directory().join("auth.db"), world.directory().join("other.db")).unwrap();
    world.refused(&["user", "list"], 8, "With this command: --allow hard-links");
    world.ok(&["user", "list", "--allow", "hard-links"]);
}

#[test]
fn a_file_that_another_program_keeps_locked_is_busy() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    let other = world.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.refused(&["user", "lock", "ada"], 7, "Try again in a moment");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.row(&["user", "lock", "ada"])["status"], "locked");
}

/// In a name space of its own, where a file system in memory is filled while another process has
/// the store open: without one, the opening already fails, as it needs room for the log.
#[test]
fn on_a_full_disk_a_command_says_so_and_reading_goes_on() {
    let world = World::empty();
    let script = "mount -t tmpfs -o size=2m,mode=700 none . && cd \"$PWD\" || exit 99
        umask 077
        gatepost init --preset server >/dev/null
        gatepost user add ada --no-password >/dev/null
        mkfifo input && exec 3<>input
        gatepost token verify <&3 & until [ -e auth.db-shm ]; do :; done
        gatepost user show ada >/dev/null
        dd if=/dev/zero of=filler bs=4k 2>/dev/null
        gatepost user lock ada; echo \"$?\"
        gatepost user show ada --json | grep -o '\"status\":\"[a-z]*\"'
        gatepost doctor --json | grep -o '\"check\":\"disk\"'
        rm filler; kill $!; wait $!
        gatepost user lock ada --json | grep -o '\"status\":\"[a-z]*\"'";
    let ways = [&["--mount"][..], &["--user", "--map-root-user", "--mount"]];
    let mut runs = ways.iter().map(|flags| {
        let mut apart = std::process::Command::new("unshare");
        apart.args(*flags).args(["bash", "-c", script]).env("PATH", World::search_path());
        crate::world::Ran::from(apart.current_dir(world.directory()).output().unwrap())
    });
    let Some(ran) = runs.find(|ran| ran.code == 0) else {
        skipped("nothing may be mounted here");
        return;
    };
    let lines: Vec<&str> = ran.out.lines().collect();
    let expected = ["8", "\"status\":\"active\"", "\"check\":\"disk\"", "\"status\":\"locked\""];
    assert_eq!(lines, expected, "{ran:?}");
    // It tried the revocation, although no row could name the command.
    assert!(ran.err.contains("no row of the audit log names this command"), "{ran:?}");
    assert!(ran.err.contains("Make room on the disk"), "{ran:?}");
}

#[test]
fn output_that_no_program_reads_is_no_failure() {
    let world = World::new();
    for n in 0..20 {
        world.ok(&["user", "add", &format!("user-{n}"), "--no-password"]);
    }
    let script = "gatepost user list --json | true; exit ${PIPESTATUS[0]}";
    let status = std::process::Command::new("bash")
        .args(["-c", script])
        .env("PATH", World::search_path())
        .current_dir(world.directory())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_calibration_suggests_a_cost_that_the_library_accepts() {
    let world = World::empty();
    let row = world.row(&["calibrate", "--target", "1ms"]);
    let number = |name: &str| u32::try_from(row[name].as_u64().unwrap()).unwrap();
    let cost =
        gatepost::policy::Cost::new(number("memory_kib"), number("passes"), number("lanes"));
    assert_eq!(cost.unwrap(), gatepost::policy::Cost::recommended());
}
