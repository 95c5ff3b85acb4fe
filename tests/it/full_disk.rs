//! No room left on the disk: every revocation is done or denied; every other write is refused.
//!
//! Each test runs in another process, on a file system of its own in memory, which goes with that
//! process. Where no such file system may be mounted, the test is skipped and says so on its
//! standard error; `faults/` fills disks beneath SQLite, which needs no such right. The gate fails
//! where one may be mounted and was not.

mod acting;
pub(crate) mod file_size;
mod forgotten;
mod meanwhile;
mod rows;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gatepost::directory::UserStatus;
use gatepost::host::{KeyId, Keys, ManualClock};
use gatepost::policy::ChangeAtLogin;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{Ended, Error, ErrorKind, NewUser, Options, Store, Subtree, UserId};

use crate::child::{Child, Parent};
use crate::pending_step::unsealed;
use crate::world::{HOUR, SECOND, device, for_tests, morning, nothing_mounted, one_of};
use rows::{Left, ROWS, Then};

/// `Full` if the disk is too small to begin.
type Play = fn(Disk) -> Result<(), Error>;

/// The plays, by name.
const PLAYS: &[(&str, Play)] = &[
    ("ends", |disk| what_ends_has_ended(disk, Room::OfTheLog)),
    ("denied", |disk| what_ends_has_ended(disk, Room::None)),
    ("reserve", the_reserve_is_room_for_an_end),
    ("written first", what_was_refused_is_written_before_anything_else),
    ("settled, remembered", |disk| meanwhile::a_denial_that_is_written_meanwhile(disk, true)),
    ("settled, from the file", |disk| meanwhile::a_denial_that_is_written_meanwhile(disk, false)),
    ("denied meanwhile", |disk| meanwhile::a_denial_that_comes_meanwhile(disk, true)),
    ("denied, from the file", |disk| meanwhile::a_denial_that_comes_meanwhile(disk, false)),
    ("refused", meanwhile::a_change_that_was_refused_denies_nothing),
    ("refused, one waiting", meanwhile::with_one_waiting_a_refusal_denies_nothing),
    ("proven", meanwhile::a_login_that_proved_the_password_denies_the_rest),
    ("outside", meanwhile::an_administrator_denies_nothing_outside),
    ("impersonated", acting::an_impersonation_is_denied_with_the_session_it_came_from),
    (
        "impersonated, all revoked",
        acting::a_ticket_of_an_impersonation_is_denied_with_all_sessions_of_the_administrator,
    ),
    ("key file", no_part_of_a_key_stays),
    ("forgotten", forgotten::a_device_is_forgotten_also_if_no_session_is_on_it),
    ("stronger", a_weaker_denial_takes_the_place_of_no_stronger_one),
    ("set back", |disk| a_clock_that_was_ahead_is_corrected(disk, false)),
    ("set back, reserve", |disk| a_clock_that_was_ahead_is_corrected(disk, true)),
];

/// The room that is left for a revocation on a full disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// The room that the log keeps after a checkpoint.
    OfTheLog,
    /// Nothing: another program holds an old snapshot, so that the log cannot be begun again.
    None,
}

/// A disk that can be filled to the last byte, and emptied.
struct Disk {
    directory: PathBuf,
    clock: ManualClock,
    store: Store,
    options: Options,
}

/// A user with a session on a device of their own.
struct Holder {
    user: UserId,
    device: String,
    token: String,
}

impl Disk {
    fn open(directory: &Path, change: fn(Options) -> Options) -> Result<Self, Error> {
        let clock = ManualClock::new(morning());
        let options = change(for_tests().clock(Arc::new(clock.clone())));
        // This much room can be freed again, however large the store is.
        let _ = fs::write(directory.join("ballast"), vec![7; 192 * 1_024]);
        let store = Store::open(directory.join("auth.db"), options.clone())?;
        Ok(Self { directory: directory.to_owned(), clock, store, options })
    }

    fn holder(&self, name: &str) -> Result<Holder, Error> {
        let user = self.store.users().create(NewUser::person(name))?.id;
        Ok(Holder { user, device: name.to_owned(), token: self.session(user, name)? })
    }

    /// The token of a session that is opened on the device of that name.
    fn session(&self, user: UserId, on: &str) -> Result<String, Error> {
        let reply = self.store.sessions().open(OpenSession::new(user, device(on)))?;
        Ok(reply.granted().unwrap().session.token.expose().to_owned())
    }

    fn is_live(&self, holder: &Holder) -> bool {
        let verdict = self.store.verify((&holder.token, &device(&holder.device))).unwrap();
        verdict.valid().is_ok()
    }

    /// Takes the last byte.
    fn fill(&self) {
        let ballast = self.directory.join("ballast");
        let mut ballast = File::options().append(true).open(ballast).unwrap();
        for size in [4_096, 1] {
            while ballast.write_all(&vec![7; size]).is_ok() {}
        }
    }

    /// Another program with an old snapshot.
    fn old_snapshot(&self) -> rusqlite::Connection {
        let reader = rusqlite::Connection::open(self.directory.join("auth.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM user").unwrap();
        reader
    }

    fn make_room(&self) {
        fs::remove_file(self.directory.join("ballast")).unwrap();
        self.clock.advance(SECOND);
    }

    /// Writes until there is no room even in what the log keeps of it.
    fn write_until_refused(&self) {
        for number in 0.. {
            let name = format!("{number} {}", "x".repeat(200));
            if let Err(error) = self.store.organisations().create(&name) {
                assert_eq!(error.kind(), ErrorKind::Full);
                return;
            }
        }
    }
}

pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [play, size] = words else { panic!("a play and a size") };
    let directory = tempfile::tempdir().unwrap();
    let size = format!("size={size}k,mode=700");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "none"])
        .arg(directory.path())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return;
    }
    parent.say("mounted");
    let change: fn(Options) -> Options = match play.rsplit(' ').next() {
        Some("reserve") => |options| {
            let options = options.disk_reserve(128 * 1_024);
            unsealed(options.change_at_login(ChangeAtLogin::Always))
        },
        _ => |options| unsealed(options.change_at_login(ChangeAtLogin::Always)),
    };
    let played = Disk::open(directory.path(), change).and_then(|disk| {
        match (PLAYS.iter().find(|(name, _)| name == play), play.split_once(' ')) {
            (Some((_, play)), _) => play(disk),
            (None, Some((row, "log"))) => rows::play(disk, row, Left::Log, Then::AnotherWrite),
            (None, Some((row, "reserve"))) => {
                rows::play(disk, row, Left::Reserve, Then::AnotherWrite)
            }
            (None, Some((row, "nothing"))) => {
                rows::play(disk, row, Left::Nothing, Then::AnotherWrite)
            }
            (None, Some((row, "again"))) => {
                rows::play(disk, row, Left::Nothing, Then::TheSameAgain)
            }
            _ => panic!("no such play: {play}"),
        }
    });
    match played {
        Ok(()) => parent.say("played"),
        // Before anything was played.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Full);
            parent.say("too small");
        }
    }
    let _ = Command::new("umount").arg(directory.path()).status();
}

/// Plays on a disk of so many KiB; answers what came of it.
#[track_caller]
fn play(name: &str, kib: u32) -> String {
    // As root, or as a user who may be root in a name space of their own.
    for ways in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let role = Child::command("full disk", &[name, &kib.to_string()]);
        let mut apart = Command::new("unshare");
        apart.args(ways).arg("--").arg(role.get_program()).args(role.get_args());
        let mut child = Child::started(&mut apart);
        if child.hear_if_any().is_some_and(|heard| heard == "mounted") {
            let heard = child.hear();
            child.end();
            return heard;
        }
    }
    nothing_mounted(&format!(
        "\"{name}\" on a full disk of {kib} KiB (see `scripts/faults full`)"
    ));
    String::from("not looked at")
}

fn what_ends_has_ended(disk: Disk, room: Room) -> Result<(), Error> {
    let holder = |name| disk.holder(name);
    let (ada, ben, cay) = (holder("ada")?, holder("ben")?, holder("cay")?);
    let (dan, eve, fay) = (holder("dan")?, holder("eve")?, holder("fay")?);
    let reader = (room == Room::None).then(|| disk.old_snapshot());
    disk.fill();
    disk.write_until_refused();
    for holder in [&ada, &ben, &cay, &dan, &eve, &fay] {
        assert!(disk.is_live(holder), "a full disk ends nothing by itself");
    }
    // It revokes nothing, so it is refused like any other write.
    let active = disk.store.users().set_status(eve.user, UserStatus::Active).unwrap_err();
    assert_eq!(active.kind(), ErrorKind::Full);
    let logged_out = disk.store.log_out((&ada.token, &device("ada")));
    check(logged_out.map(|ended| assert_eq!(ended, Ended::Now)));
    check(disk.store.sessions().revoke_all(ben.user));
    check(disk.store.users().set_status(cay.user, UserStatus::Disabled).map(drop));
    check(disk.store.users().delete(dan.user));
    for (at, holder) in [&ada, &ben, &cay, &dan, &eve, &fay].into_iter().enumerate() {
        assert_eq!(disk.is_live(holder), at >= 4, "{}", holder.device);
    }
    if room == Room::None {
        assert_eq!(disk.store.status().denied, 4);
    }
    check(disk.store.sessions().revoke_all(Subtree::Store));
    assert!(!disk.is_live(&eve) && !disk.is_live(&fay));
    assert_eq!(disk.store.organisations().create("Northern").unwrap_err().kind(), ErrorKind::Full);

    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern").unwrap();
    assert_eq!(disk.store.status().denied, 0);
    // The file says the same, and not this process alone.
    disk.store.close().unwrap();
    let store = Store::open(disk.directory.join("auth.db"), disk.options.clone()).unwrap();
    for holder in [ada, ben, cay, dan, eve, fay] {
        let verdict = store.verify((&holder.token, &device(&holder.device))).unwrap();
        assert!(verdict.valid().is_err(), "{}", holder.device);
    }
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    store.close()
}

#[track_caller]
fn check(ended: Result<(), Error>) {
    if let Err(error) = ended {
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    }
}

fn the_reserve_is_room_for_an_end(disk: Disk) -> Result<(), Error> {
    let ada = disk.holder("ada")?;
    let reserve = disk.directory.join("auth.db-reserve");
    assert!(fs::metadata(&reserve).unwrap().len() >= 128 * 1_024);
    disk.fill();
    disk.write_until_refused();
    // Nothing is left of the log either.
    let reader = disk.old_snapshot();
    assert_eq!(disk.store.log_out((&ada.token, &device("ada"))).unwrap(), Ended::Now);
    assert_eq!(disk.store.status().denied, 0);
    assert!(!disk.is_live(&ada));
    drop(reader);
    disk.make_room();
    let _ = disk.store.maintain().unwrap();
    assert!(fs::metadata(&reserve).unwrap().len() >= 128 * 1_024);
    disk.store.close()
}

fn what_was_refused_is_written_before_anything_else(disk: Disk) -> Result<(), Error> {
    let (ada, ben, cay) = (disk.holder("ada")?, disk.holder("ben")?, disk.holder("cay")?);
    let key = disk.store.api_keys().issue(cay.user, NewApiKey::new())?.key;
    let key_opens = || disk.store.verify((&key, None)).unwrap().valid().is_ok();
    let verdict = disk.store.verify((&ada.token, &device("ada")))?;
    let principal = verdict.valid().unwrap();
    // An old snapshot keeps the log from being begun again, so that not even a revocation finds
    // room.
    let reader = disk.old_snapshot();
    disk.fill();
    disk.write_until_refused();
    for _ in 0..2 {
        let by_ben = disk.store.acting_as(ben.user);
        let refused = by_ben.log_out((&ada.token, &device("ada"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Full);
        assert_eq!(disk.store.status().denied, 1);
        assert!(!disk.is_live(&ada) && disk.is_live(&ben));
        let profile = disk.store.profile(&principal).unwrap_err();
        assert_eq!(profile.kind(), ErrorKind::SessionEnded);
    }
    assert!(disk.is_live(&cay) && key_opens());
    let refused = disk.store.users().set_status(cay.user, UserStatus::Disabled).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(!disk.is_live(&cay) && !key_opens(), "sessions end and keys are suspended");
    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern").unwrap();
    assert_eq!(disk.store.status().denied, 0);
    let log = rusqlite::Connection::open(disk.directory.join("auth.db")).unwrap();
    let last: String = log
        .query_row(
            "SELECT group_concat(event || ' by ' || actor) FROM
                 (SELECT event, actor FROM audit ORDER BY seq DESC LIMIT 3)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let late =
        "organisation.created by host,user.sessions_revoked by host,session.revoked by user";
    assert_eq!(last, late);
    // The status found no room, so that the key is no longer suspended.
    assert!(!disk.is_live(&cay) && key_opens());
    assert!(!disk.is_live(&ada) && disk.is_live(&ben));
    drop(log);
    disk.store.close()
}

/// Deleting a user revokes its keys for good, locking it suspends them: the second call, which
/// finds no room either, must not take back what the first has denied.
fn a_weaker_denial_takes_the_place_of_no_stronger_one(disk: Disk) -> Result<(), Error> {
    let ada = disk.holder("ada")?;
    let key = disk.store.api_keys().issue(ada.user, NewApiKey::new())?.key;
    let key_opens = || disk.store.verify((&key, None)).unwrap().valid().is_ok();
    disk.fill();
    disk.write_until_refused();
    let reader = disk.old_snapshot();
    let users = disk.store.users();
    assert_eq!(users.delete(ada.user).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(
        users.set_status(ada.user, UserStatus::Locked).unwrap_err().kind(),
        ErrorKind::Full
    );
    assert!(!disk.is_live(&ada) && !key_opens());
    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern").unwrap();
    assert_eq!(disk.store.status().denied, 0);
    assert!(!disk.is_live(&ada) && !key_opens());
    disk.store.close()
}

#[test]
fn on_a_full_disk_an_end_holds_or_is_refused_from_memory() {
    let mut played = 0;
    for kib in [200, 400, 800, 1_200, 1_600, 2_400, 5_120] {
        match play("ends", kib).as_str() {
            "played" => played += 1,
            "too small" => assert!(kib < 1_200, "{kib} KiB"),
            "not looked at" => return,
            other => panic!("{other}"),
        }
    }
    assert!(played >= 4);
    assert_eq!(play("denied", 1_600), "played");
}

/// In a new process each: what one row leaves of the disk is not the next one's.
#[test]
fn on_a_full_disk_every_row_of_the_table_is_written_or_denied() {
    for (number, row) in ROWS.iter().enumerate() {
        for left in row.ways().iter().skip(number % one_of(2)).step_by(one_of(2)) {
            let name = [row.name, left].join(" ");
            assert_ne!(play(&name, 4_096), "too small", "{name}");
        }
    }
}

#[test]
fn a_reserve_is_given_up_for_a_revocation_and_written_again() {
    assert_ne!(play("reserve", 1_600), "too small");
}

fn no_part_of_a_key_stays(disk: Disk) -> Result<(), Error> {
    disk.fill();
    let path = disk.directory.join("new.key");
    let refused = Keys::create_file(&path, &KeyId::new("new").unwrap()).unwrap_err();
    assert_eq!((refused.kind(), path.exists()), (ErrorKind::Full, false));
    disk.make_room();
    disk.store.close()
}

/// Operating.md: the store goes on within a second. A time of the clock that was ahead must not
/// prolong that.
fn a_clock_that_was_ahead_is_corrected(disk: Disk, gives_up: bool) -> Result<(), Error> {
    let ada = disk.holder("ada")?;
    disk.clock.advance(HOUR);
    disk.fill();
    disk.write_until_refused();
    let reader = disk.old_snapshot();
    if gives_up {
        assert_eq!(disk.store.log_out((&ada.token, &device("ada"))).unwrap(), Ended::Now);
        assert!(!disk.directory.join("auth.db-reserve").exists());
    }
    drop(reader);
    disk.clock.set(morning());
    disk.make_room();
    disk.store.organisations().create("Northern").unwrap();
    disk.store.close()
}

#[test]
fn a_clock_that_is_set_back_prolongs_no_refusal_of_a_full_disk() {
    for name in ["set back", "set back, reserve"] {
        assert_ne!(play(name, 1_600), "too small", "{name}");
    }
}

#[test]
fn a_key_file_that_finds_no_room_is_not_made() {
    assert_ne!(play("key file", 1_600), "too small");
}

#[test]
fn what_the_disk_refused_is_written_before_anything_else() {
    assert_ne!(play("written first", 1_600), "too small");
}

#[test]
fn a_verify_does_not_miss_a_denial_that_is_written_meanwhile() {
    for cached in ["settled, remembered", "settled, from the file"] {
        assert_ne!(play(cached, 1_600), "too small", "{cached}");
    }
}

#[test]
fn a_verify_is_refused_by_a_denial_that_comes_meanwhile() {
    for cached in ["denied meanwhile", "denied, from the file"] {
        assert_ne!(play(cached, 1_600), "too small", "{cached}");
    }
}

#[test]
fn a_change_that_is_refused_on_a_full_disk_denies_nothing() {
    for name in ["refused", "refused, one waiting"] {
        assert_ne!(play(name, 1_600), "too small", "{name}");
    }
}

#[test]
fn an_administrator_of_a_part_denies_nothing_outside_on_a_full_disk() {
    assert_ne!(play("outside", 1_600), "too small");
}

#[test]
fn a_login_whose_new_password_finds_no_room_revokes_what_the_change_would_have() {
    assert_ne!(play("proven", 1_600), "too small");
}

#[test]
fn a_device_that_finds_no_room_to_be_forgotten_is_forgotten_before_anything_else() {
    assert_ne!(play("forgotten", 1_600), "too small");
}

#[test]
fn a_key_that_was_denied_for_good_is_not_merely_suspended_by_a_later_call() {
    assert_ne!(play("stronger", 1_600), "too small");
}

#[test]
fn an_impersonation_is_denied_with_the_administrators_session() {
    for name in ["impersonated", "impersonated, all revoked"] {
        assert_ne!(play(name, 1_600), "too small", "{name}");
    }
}
