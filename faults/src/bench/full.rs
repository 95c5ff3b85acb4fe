//! Full disks and used-up quotas: a store is filled until nothing more fits, and then a user logs
//! out. With room again the store goes on. And quotas that leave no room for one file more, where a
//! store is opened.

use std::sync::Arc;
use std::time::Duration;

use gatepost::host::ManualClock;
use gatepost::{Error, ErrorKind, NewUser, Store, Subtree};

use crate::dice::Dice;
use crate::place::Place;
use crate::process::{Child, Voice};
use crate::scene::{Scene, Start, TOKENS};
use crate::shim;
use crate::store::{device, is_sound, options};
use crate::tally::{Tally, in_lanes};

/// From the smallest disk to the largest.
const FROM_BYTES: u64 = 200 * 1_024;
const TO_BYTES: u64 = 5 * 1_024 * 1_024;

/// So many sizes of disk.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    let mut tally = in_lanes(count, |lane, share, tally| {
        let place = Place::new("full");
        let path = place.file("auth.db");
        let mut dice = Dice::new(seed, lane);
        for n in 0..share {
            // Evenly over the whole range, and somewhere within each step.
            let step = (TO_BYTES - FROM_BYTES) / share;
            let room = FROM_BYTES + n * step + dice.roll() % step;
            scene.lay(Start::Closed, &path);
            let child = Child::fork(|voice| fill(&scene, &path, room, n % 2 == 1, voice));
            for line in child.end_well() {
                tally.one(line);
            }
            tally.one("disks");
            // With room again, all is whole.
            Child::fork(|_| {
                drop(Store::open(&path, options(seed)).unwrap());
                let store = Store::open(&path, options(seed)).unwrap();
                is_sound(&path);
                assert!(store.audit().verify_chain(None).unwrap().is_intact());
            })
            .end_well();
        }
    });
    without_new_files(&scene, &mut tally);
    tally
}

/// SQLite reports that it cannot open its log, and not why.
fn without_new_files(scene: &Scene, tally: &mut Tally) {
    let place = Place::new("full-of-files");
    let path = place.file("auth.db");
    for (start, name) in [(Start::Nothing, "a new file"), (Start::Closed, "the log of a file")] {
        scene.lay(start, &path);
        let child = Child::fork(|voice| {
            shim::refuse_new_files();
            let error = Store::open(&path, options(5)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Full, "{name}: {error:?}");
            voice.say(format_args!("no room for {name}"));
        });
        for line in child.end_well() {
            tally.one(line);
        }
        Child::fork(|_| drop(Store::open(&path, options(5)).unwrap())).end_well();
    }
}

fn fill(scene: &Scene, path: &std::path::Path, room: u64, quota: bool, voice: &Voice) {
    shim::install();
    let limit = if quota { shim::limit_by_quota } else { shim::limit };
    limit(Some(room));
    let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
    let store = match Store::open(path, options(5).clock(Arc::new(clock.clone()))) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
            voice.say("too small to open");
            return;
        }
    };
    let full = until_full(&store);
    assert_eq!(full.kind(), ErrorKind::Full, "{full:?}");
    for (name, on) in [TOKENS[0], TOKENS[2]] {
        let (token, on) = (scene.token(name), on.map(device));
        let ended = store.log_out((token, on.as_ref()));
        let passes = store.verify((token, on.as_ref())).is_ok_and(|one| one.valid().is_ok());
        voice.say(match (ended, passes) {
            (Ok(_), false) => "logged out",
            (Err(_), false) => "denied in memory",
            (ended, true) => panic!("{name} passes on a full disk after a logout: {ended:?}"),
        });
    }
    // A session that was not logged out is still valid.
    let (name, on) = TOKENS[1];
    let on = on.map(device);
    if let Ok(verdict) = store.verify((scene.token(name), on.as_ref())) {
        assert!(verdict.valid().is_ok(), "a full disk ended a session");
    }
    shim::limit(None);
    clock.advance(Duration::from_secs(2));
    let goes_on = store.users().create(NewUser::system("with room"));
    assert!(goes_on.is_ok(), "with room again: {goes_on:?}");
    voice.say(if quota { "went on after a quota" } else { "went on after a full disk" });
}

/// Writes large things and then small ones, until no more of them fit.
fn until_full(store: &Store) -> Error {
    let text = "x".repeat(4_000);
    for turn in 0.. {
        let set = store.configuration().set(Subtree::Store, &format!("key.{turn}"), &text);
        if set.is_err() {
            break;
        }
    }
    for turn in 0.. {
        if let Err(error) = store.users().create(NewUser::system(format!("user{turn}"))) {
            return error;
        }
    }
    unreachable!("a disk without an end")
}
