//! Where a file may be: paths, links, owners, permissions, mounts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use gatepost::status::OpenWarning;
use gatepost::{ErrorKind, Store};

use super::{Place, content};
use crate::child::Child;
use crate::world::{for_tests, nothing_mounted};

/// A user without rights of its own.
const STRANGER: u32 = 65_534;

#[track_caller]
fn refuses(path: impl AsRef<Path>, reason: ErrorKind) {
    let refusal = Store::open(path, for_tests()).unwrap_err();
    assert_eq!(refusal.kind(), reason, "{refusal}");
    assert!(!refusal.advice().is_empty());
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn what_is_no_plain_path_is_refused() {
    let here = content(Path::new("."));
    for path in
        ["", "file:auth.db", "file:///auth.db?mode=rwc", "auth.db?mode=memory", "auth\0.db", "/"]
    {
        refuses(path, ErrorKind::Invalid);
    }
    refuses("/no/such/directory/auth.db", ErrorKind::NotFound);
    assert_eq!(content(Path::new(".")), here);
}

#[test]
fn what_is_no_file_is_refused() {
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    place.refuses(ErrorKind::Invalid);
    refuses(place.path.join(""), ErrorKind::Invalid);
    fs::remove_dir(&place.path).unwrap();

    refuses(place.path.join(""), ErrorKind::Invalid);
    let made = Command::new("mkfifo").arg(&place.path).status();
    if made.is_ok_and(|status| status.success()) {
        place.refuses(ErrorKind::Invalid);
        fs::remove_file(&place.path).unwrap();
    } else {
        println!("skipped: this system has no mkfifo");
    }

    symlink("nowhere", &place.path).unwrap();
    place.refuses(ErrorKind::NotFound);
    fs::remove_file(&place.path).unwrap();

    fs::write(&place.path, "a file").unwrap();
    refuses(place.path.join("auth.db"), ErrorKind::Invalid);
}

#[test]
fn a_file_of_two_names_is_refused_unless_the_host_opted_in() {
    let place = Place::ours();
    fs::hard_link(&place.path, place.directory.path().join("second.db")).unwrap();
    place.refuses(ErrorKind::Unsafe);
    place.open(for_tests().dangerous().allow_hard_links()).unwrap().close().unwrap();
}

#[test]
fn a_directory_that_anyone_may_write_to_is_refused_unless_the_host_opted_in() {
    for bits in [0o777, 0o1777, 0o703] {
        let place = Place::new();
        set_mode(place.directory.path(), bits);
        place.refuses(ErrorKind::Unsafe);
        let store = place.open(for_tests().dangerous().allow_shared_directory()).unwrap();
        store.close().unwrap();
        place.refuses(ErrorKind::Unsafe);
    }
}

#[test]
fn another_users_file_is_refused_unless_the_host_opted_in() {
    let place = Place::ours();
    if !is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    chown(&place.path, Some(STRANGER), None).unwrap();
    place.refuses(ErrorKind::Unsafe);
    place.open(for_tests().dangerous().allow_foreign_owner()).unwrap().close().unwrap();
}

/// Opens the file as a user whom permissions stop, which they never do with root.
#[track_caller]
fn refuses_the_stranger(place: &Place) {
    let mut command = Child::command("open", &[place.path.to_str().unwrap()]);
    if is_root() {
        command.uid(STRANGER).gid(STRANGER);
    }
    if is_root() && !may_start(&mut command) {
        println!("skipped: this binary lies where another user cannot run it");
        return;
    }
    let before = content(place.directory.path());
    let mut child = Child::started(&mut command);
    assert_eq!(child.hear(), "NoPermission");
    child.end();
    assert_eq!(content(place.directory.path()), before);
}

fn may_start(command: &mut Command) -> bool {
    let mut same = Command::new(command.get_program());
    same.arg("--list").uid(STRANGER).gid(STRANGER);
    same.output().is_ok_and(|output| output.status.success())
}

#[test]
fn where_the_system_denies_access_nothing_is_tried() {
    let place = Place::ours();
    let owner = is_root().then_some(STRANGER);

    // A directory that may be read and entered, but not written: no log could be created in it.
    set_mode(place.directory.path(), 0o555);
    refuses_the_stranger(&place);
    set_mode(place.directory.path(), 0o755);

    // A file that may be read alone.
    chown(place.directory.path(), owner, None).unwrap();
    chown(&place.path, owner, None).unwrap();
    set_mode(&place.path, 0o400);
    refuses_the_stranger(&place);
    set_mode(&place.path, 0o600);

    // A directory that may not be entered.
    let inner = Place::new();
    fs::rename(&place.path, &inner.path).unwrap();
    if is_root() {
        set_mode(inner.directory.path(), 0o700);
        refuses_the_stranger(&inner);
    }
}

/// In a name space of its own, where the directory is mounted read-only.
#[test]
fn a_read_only_medium_is_refused() {
    let place = Place::ours();
    let place_name = place.directory.path().to_str().unwrap();
    let mount = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let unshare = |flags: &[&str], then: &Command| {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-c", &format!("{mount} && shift && exec \"$@\"")]);
        command.args(["sh", place_name]).arg(then.get_program()).args(then.get_args());
        command
    };
    let mut probe = Command::new("true");
    probe.arg("true");
    let flags = [&["--mount"][..], &["--mount", "--user", "--map-root-user"]];
    let usable = flags
        .into_iter()
        .find(|flags| unshare(flags, &probe).output().is_ok_and(|output| output.status.success()));
    let Some(flags) = usable else {
        return nothing_mounted("a read-only medium");
    };
    let missing = place.directory.path().join("new.db");
    for path in [&place.path, &missing] {
        let before = content(place.directory.path());
        let open = Child::command("open", &[path.to_str().unwrap()]);
        let mut child = Child::started(&mut unshare(flags, &open));
        assert_eq!(child.hear(), "ReadOnly");
        child.end();
        assert_eq!(content(place.directory.path()), before);
    }
}

#[test]
fn wide_permissions_are_tightened_and_noted() {
    let place = Place::ours();
    for (suffix, wide) in [("", 0o640), ("-wal", 0o664), ("-shm", 0o602)] {
        let mut writer = Child::start("write", &[place.path.to_str().unwrap()]);
        writer.say("one");
        writer.hear();
        writer.kill();
        set_mode(place.beside(suffix), wide);
        let store = place.open(for_tests()).unwrap();
        assert_eq!(store.status().open_warnings, [OpenWarning::PermissionsTightened], "{suffix}");
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(place.beside(suffix)), 0o600, "{suffix}");
        }
        store.close().unwrap();
        let again = place.open(for_tests()).unwrap();
        assert_eq!(again.status().open_warnings, []);
        again.close().unwrap();
    }
}

#[test]
fn a_new_file_is_its_owners_alone_whatever_the_mask() {
    for mask in ["000", "022", "077"] {
        let place = Place::new();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {mask} && exec \"$@\""), "sh"]);
        let open = Child::command("open", &[place.path.to_str().unwrap()]);
        let mut child = Child::started(command.arg(open.get_program()).args(open.get_args()));
        assert_eq!(child.hear(), "open");
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(place.beside(suffix)), 0o600, "{mask} {suffix}");
        }
        child.end();
    }
}
