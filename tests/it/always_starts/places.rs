//! Where the file is: permissions, owners, links, names, mounts.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use gatepost::ErrorKind;
use gatepost::status::OpenWarning;

use super::scene::{Scene, Skip, set_mode, succeeds};
use super::{Meets, State};

const DENIED: Meets = Meets::Refused(
    ErrorKind::NoPermission,
    "Give this program's user access to the file and its directory.",
);
const READ_ONLY: Meets = Meets::Refused(
    ErrorKind::ReadOnly,
    "Make the file and its directory writable for this program.",
);
const UNSAFE: Meets = Meets::Refused(
    ErrorKind::Unsafe,
    "Move the file to a directory that only its owner can write, owned by this user, \
     with no second hard link; or set the option that the message names.",
);
const OTHER_PATH: Meets = Meets::Refused(
    ErrorKind::Invalid,
    "Choose another path: the message says what is wrong with this one.",
);
const FULL: Meets = Meets::Refused(ErrorKind::Full, "Make room on the disk that holds the file.");

/// A mount at `mnt` with the file of the scene in it, which is opened there.
fn mounted(scene: &mut Scene, mount: &str, then: &str) -> Result<(), Skip> {
    let inside = scene.directory.join("mnt");
    fs::create_dir(&inside).unwrap();
    let file = scene.path.clone();
    scene.path = inside.join("auth.db");
    let shell = format!("{mount}\ncp -p {} mnt/\n{then}", file.display());
    scene.opened_in_mounts(&shell)
}

/// A disk of that size with the file in it, and full after `then`.
fn filled(scene: &mut Scene, size: &str, then: &str) -> Result<(), Skip> {
    let mount = format!("mount -t tmpfs -o mode=755,size={size} tmpfs mnt");
    let fill = format!("{then}\ncat /dev/zero > mnt/ballast 2> /dev/null || true");
    mounted(scene, &mount, &fill)
}

/// A file or directory marked by `chattr` until the scene is over.
fn marked(scene: &mut Scene, mark: &str, path: PathBuf) -> Result<(), Skip> {
    let path = path.to_str().unwrap();
    if !succeeds(Command::new("chattr").args([&format!("+{mark}"), path])) {
        return Err("the file system has no such mark, or this user may not set it");
    }
    scene.finally("chattr", &[&format!("-{mark}"), path]);
    Ok(())
}

fn named(scene: &mut Scene, name: &str) -> Result<(), Skip> {
    let path = scene.directory.join(name);
    fs::rename(&scene.path, &path).unwrap();
    scene.path = path;
    Ok(())
}

pub(super) const STATES: &[State] = &[
    State {
        name: "permissions widened by a copy",
        meets: Meets::Opens(&[OpenWarning::PermissionsTightened]),
        set_up: |scene| {
            set_mode(&scene.path, 0o644);
            Ok(())
        },
    },
    State {
        name: "permissions of the log widened by a copy",
        meets: Meets::Opens(&[OpenWarning::PermissionsTightened]),
        set_up: |scene| {
            scene.killed();
            set_mode(scene.beside("-wal"), 0o664);
            Ok(())
        },
    },
    State {
        name: "the file may only be read",
        meets: DENIED,
        set_up: |scene| {
            set_mode(&scene.path, 0o400);
            scene.opened_by_a_stranger()
        },
    },
    State {
        name: "the log may only be read",
        meets: DENIED,
        set_up: |scene| {
            scene.killed();
            set_mode(scene.beside("-wal"), 0o400);
            scene.opened_by_a_stranger()
        },
    },
    State {
        name: "the shared memory may only be read",
        meets: DENIED,
        set_up: |scene| {
            scene.killed();
            set_mode(scene.beside("-shm"), 0o400);
            scene.opened_by_a_stranger()
        },
    },
    State {
        name: "the directory may only be read",
        meets: DENIED,
        set_up: |scene| {
            set_mode(&scene.directory, 0o555);
            let directory = scene.directory.to_str().unwrap().to_owned();
            scene.finally("chmod", &["755", &directory]);
            scene.opened_by_a_stranger()
        },
    },
    State {
        name: "the directory may not be entered",
        meets: DENIED,
        set_up: |scene| {
            scene.opened_by_a_stranger()?;
            set_mode(&scene.directory, 0o600);
            let directory = scene.directory.to_str().unwrap().to_owned();
            scene.finally("chmod", &["755", &directory]);
            Ok(())
        },
    },
    State {
        name: "anyone may write to the directory",
        meets: UNSAFE,
        set_up: |scene| {
            set_mode(&scene.directory, 0o777);
            Ok(())
        },
    },
    State {
        name: "a directory for all, such as that of temporary files",
        meets: UNSAFE,
        set_up: |scene| {
            set_mode(&scene.directory, 0o1777);
            Ok(())
        },
    },
    State {
        name: "the file belongs to another user",
        meets: UNSAFE,
        set_up: |scene| {
            chown(&scene.path, Some(65_534), None).map_err(|_| "only root gives a file away")
        },
    },
    State {
        name: "a second hard link to the file",
        meets: UNSAFE,
        set_up: |scene| {
            fs::hard_link(&scene.path, scene.directory.join("second.db")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a symbolic link to the file",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.killed();
            let link = scene.directory.join("link.db");
            symlink(&scene.path, &link).unwrap();
            scene.path = link;
            Ok(())
        },
    },
    State {
        name: "a symbolic link to nothing",
        meets: Meets::Refused(
            ErrorKind::NotFound,
            "Create the directory, or correct the path or the link that leads nowhere.",
        ),
        set_up: |scene| {
            scene.empties();
            symlink("nowhere", &scene.path).unwrap();
            Ok(())
        },
    },
    State {
        name: "symbolic links in a circle",
        meets: OTHER_PATH,
        set_up: |scene| {
            scene.empties();
            symlink(&scene.path, &scene.path).unwrap();
            Ok(())
        },
    },
    State {
        name: "a directory in the place of the file",
        meets: OTHER_PATH,
        set_up: |scene| {
            scene.empties();
            fs::create_dir(&scene.path).unwrap();
            Ok(())
        },
    },
    State {
        name: "a pipe in the place of the file",
        meets: OTHER_PATH,
        set_up: |scene| {
            scene.empties();
            let made = succeeds(Command::new("mkfifo").arg(&scene.path));
            made.then_some(()).ok_or("there is no mkfifo")
        },
    },
    State {
        name: "a socket in the place of the file",
        meets: OTHER_PATH,
        set_up: |scene| {
            scene.empties();
            drop(UnixListener::bind(&scene.path).unwrap());
            Ok(())
        },
    },
    State {
        name: "a device in the place of the file",
        meets: OTHER_PATH,
        set_up: |scene| {
            scene.path = PathBuf::from("/dev/zero");
            Ok(())
        },
    },
    State {
        name: "a directory that does not exist",
        meets: Meets::Refused(
            ErrorKind::NotFound,
            "Create the directory, or correct the path or the link that leads nowhere.",
        ),
        set_up: |scene| {
            scene.path = scene.directory.join("missing").join("auth.db");
            Ok(())
        },
    },
    State {
        name: "a name with blanks, signs and letters of many scripts",
        meets: Meets::Opens(&[]),
        set_up: |scene| named(scene, "a b%20#:&;'\"\\ ключ 鍵 é.db"),
    },
    State {
        name: "a name with a question mark",
        meets: OTHER_PATH,
        set_up: |scene| named(scene, "auth.db?mode=memory"),
    },
    State {
        name: "a name of 221 bytes",
        meets: OTHER_PATH,
        set_up: |scene| named(scene, &"n".repeat(221)),
    },
    State {
        name: "a path of more than 504 bytes",
        meets: OTHER_PATH,
        set_up: |scene| {
            let deep = scene.directory.join("d".repeat(200)).join("e".repeat(200));
            fs::create_dir_all(&deep).unwrap();
            let path = deep.join("f".repeat(150));
            fs::rename(&scene.path, &path).unwrap();
            scene.path = path;
            Ok(())
        },
    },
    State {
        name: "a file marked as immutable",
        meets: DENIED,
        set_up: |scene| marked(scene, "i", scene.path.clone()),
    },
    State {
        name: "a directory marked as immutable",
        meets: DENIED,
        set_up: |scene| marked(scene, "i", scene.directory.clone()),
    },
    State {
        name: "a file marked as one that only grows",
        meets: READ_ONLY,
        set_up: |scene| marked(scene, "a", scene.path.clone()),
    },
    State {
        name: "a bind mount of its directory",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let directory = scene.directory.clone();
            fs::create_dir(directory.with_file_name("second")).unwrap();
            scene.path = directory.with_file_name("second").join("auth.db");
            scene.opened_in_mounts("mount --bind . ../second")
        },
    },
    State {
        name: "a bind mount that is read-only",
        meets: READ_ONLY,
        set_up: |scene| {
            scene.opened_in_mounts("mount --bind . .\nmount -o remount,bind,ro \"$PWD\"")
        },
    },
    State {
        name: "a bind mount of the file alone",
        meets: Meets::Refused(
            ErrorKind::Unsafe,
            "Mount the directory of the file instead of the file alone, or set \
             Options::dangerous().allow_hard_links().",
        ),
        set_up: |scene| {
            let second = scene.directory.with_file_name("second");
            fs::create_dir(&second).unwrap();
            scene.path = second.join("auth.db");
            fs::write(&scene.path, "").unwrap();
            scene.opened_in_mounts("mount --bind auth.db ../second/auth.db")
        },
    },
    State {
        name: "a file system in memory",
        meets: Meets::Opens(&[]),
        set_up: |scene| mounted(scene, "mount -t tmpfs -o mode=755 tmpfs mnt", ""),
    },
    State {
        name: "a file system of layers, as containers have it",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            // The file is in a lower layer, on another file system than what is written.
            let layers = "mkdir low && cp -p auth.db low/ && mount -t tmpfs tmpfs mnt
                mkdir mnt/up mnt/work mnt/all
                mount -t overlay -o lowerdir=low,upperdir=mnt/up,workdir=mnt/work o mnt/all";
            fs::create_dir(scene.directory.join("mnt")).unwrap();
            scene.path = scene.directory.join("mnt/all/auth.db");
            scene.opened_in_mounts(layers)
        },
    },
    State { name: "a full disk", meets: FULL, set_up: |scene| filled(scene, "1M", "") },
    State {
        name: "a full disk, and a log left by a killed process",
        meets: FULL,
        set_up: |scene| {
            scene.killed();
            filled(scene, "2M", "cp -p auth.db-wal mnt/")
        },
    },
    State {
        name: "a full disk, and no file yet",
        meets: FULL,
        set_up: |scene| filled(scene, "1M", "rm mnt/auth.db"),
    },
    State {
        name: "a disk on which no more files can be created",
        meets: FULL,
        set_up: |scene| mounted(scene, "mount -t tmpfs -o mode=755,nr_inodes=2 tmpfs mnt", ""),
    },
];
