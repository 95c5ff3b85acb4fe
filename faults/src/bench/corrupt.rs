//! Damaged files: opened and used, they cause no panic and make no stranger's token valid.
//!
//! Bits are flipped, pages swapped, copied and blanked, ends cut off, in the file and in its log;
//! logs are exchanged between two stores; the wal-index is noise. The library may refuse such a
//! file or work with it. It may not panic, abort or hang, and no token that it never issued may
//! pass. A batch of files shares a process, so that an abort is noticed.

use std::fs;
use std::path::Path;

use gatepost::audit::HostEvent;
use gatepost::directory::UserFilter;
use gatepost::sessions::NewApiKey;
use gatepost::{Error, ErrorKind, LoginRequest, NewUser, Page, Store, Subtree, UserId};

use crate::dice::Dice;
use crate::place::{Place, beside};
use crate::process::{Child, End};
use crate::scene::{Scene, Start, TOKENS, lay};
use crate::store::{PASSWORD, device, options};
use crate::tally::{Tally, in_lanes};

const BATCH: u64 = 250;
const PAGE: usize = 4_096;
/// In the error of options that contradict a stored policy.
const OTHER_POLICY: &str = "has another value in the file";

pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scenes = [Scene::build(seed), Scene::build(seed + 1_000_000)];
    in_lanes(count, |lane, mut left, tally| {
        let place = Place::new("corrupt");
        let path = place.file("auth.db");
        let mut dice = Dice::new(seed, lane);
        while left > 0 {
            let files = left.min(BATCH);
            left -= files;
            let batch = dice.roll();
            let child = Child::fork(|voice| {
                let mut tally = Tally::default();
                let mut dice = Dice::new(batch, 0);
                for _ in 0..files {
                    damaged(&scenes, &path, &mut dice, &mut tally);
                }
                tally.send(voice);
            });
            let (lines, end) = child.end();
            assert_eq!(end, End::Well, "a damaged file, batch {batch}");
            lines.iter().for_each(|line| tally.hear(line));
        }
    })
}

fn damaged([own, other]: &[Scene; 2], path: &Path, dice: &mut Dice, tally: &mut Tally) {
    let start = [Start::Closed, Start::Hot, Start::Full][dice.below(3)];
    let (file, log) = own.bytes(start);
    let (mut file, mut log) = (file.unwrap().to_vec(), log.map(<[u8]>::to_vec));
    let mut noise = false;
    match (&mut log, dice.below(10)) {
        (Some(log), 0) => {
            let (_, foreign) = other.bytes(Start::Hot);
            *log = foreign.unwrap().to_vec();
        }
        (Some(log), 1..5) => damage(log, 24 + PAGE, dice),
        (_, 5) => noise = true,
        _ => damage(&mut file, PAGE, dice),
    }
    if dice.one_in(8) {
        damage(&mut file, PAGE, dice);
    }
    lay(path, Some(&file), log.as_deref());
    if noise || dice.one_in(10) {
        let bytes: Vec<u8> = (0..32 * 1_024).map(|_| dice.roll() as u8).collect();
        fs::write(beside(path, "-shm"), bytes).unwrap();
    }
    match Store::open(path, options(3)) {
        Err(error) => {
            let reason = error.kind();
            // A changed digit of a stored policy is another policy, and as valid.
            if reason == ErrorKind::Invalid && error.to_string().contains(OTHER_POLICY) {
                tally.one("refused as of another policy");
            } else {
                assert!(
                    !matches!(reason, ErrorKind::Invalid | ErrorKind::Taken),
                    "not the caller's fault: {error}"
                );
                tally.one(format!("refused as {reason:?}"));
            }
        }
        Ok(store) => {
            tally.one("opened");
            used(&store, own, other, tally);
            let _ = store.close();
        }
    }
    tally.one("files");
}

/// Changes something in it.
fn damage(bytes: &mut Vec<u8>, unit: usize, dice: &mut Dice) {
    let length = bytes.len();
    if length < 2 * unit {
        return;
    }
    let pages = length / unit;
    match dice.below(8) {
        0..4 => {
            for _ in 0..1 + dice.below(24) {
                let at = dice.below(length);
                bytes[at] ^= 1 << dice.below(8);
            }
        }
        4 => {
            let (one, two) = (dice.below(pages) * unit, dice.below(pages) * unit);
            for n in 0..unit {
                bytes.swap(one + n, two + n);
            }
        }
        5 => {
            let (from, to) = (dice.below(pages) * unit, dice.below(pages) * unit);
            bytes.copy_within(from..from + unit, to);
        }
        6 => {
            let (at, byte) = (dice.below(pages) * unit, dice.roll() as u8);
            bytes[at..at + unit].fill(if dice.one_in(2) { 0 } else { byte });
        }
        _ => bytes.truncate(dice.below(length)),
    }
}

/// Calls everything once. Any answer is right, except that no stranger's token may be valid.
fn used(store: &Store, own: &Scene, other: &Scene, tally: &mut Tally) {
    for (name, on) in TOKENS {
        let on = on.map(device);
        let stranger = store.verify((other.token(name), on.as_ref()));
        assert!(!stranger.is_ok_and(|one| one.valid().is_ok()), "a token of another store passes");
        let token = own.token(name);
        let elsewhere = device("elsewhere");
        let stolen = store.verify((token, &elsewhere));
        assert!(!stolen.is_ok_and(|one| one.valid().is_ok()), "a token passes elsewhere");
        let _ = store.verify((token, on.as_ref())).map(|verdict| verdict.valid().is_ok());
    }
    let wrong = LoginRequest::new("ada", "not the password".into(), device("new"));
    let wrong = store.log_in(wrong);
    assert!(!wrong.is_ok_and(|answer| answer.granted().is_ok()), "a wrong password is right");
    let answers: [Result<(), Error>; 11] = [
        store.log_in(LoginRequest::new("ada", PASSWORD.into(), device("new"))).map(drop),
        store.log_out((own.token("ada.till"), &device("till"))).map(drop),
        store.users().list(&UserFilter::new(), Page::first(100)).map(drop),
        store.users().create(NewUser::person("eve")).map(drop),
        store.sessions().revoke_all(own.id::<UserId>("bob")),
        store.configuration().effective_all(None).map(drop),
        store.configuration().set(Subtree::Store, "desk.rows", "7").map(drop),
        store.api_keys().issue(own.id("bob"), NewApiKey::new()).map(drop),
        HostEvent::new("scene.used").and_then(|event| store.audit().record(&[event])),
        store.audit().verify_chain(None).map(drop),
        store.maintain().map(drop),
    ];
    for answer in answers {
        tally.one(if answer.is_ok() { "calls done" } else { "calls that failed" });
    }
}
