//! Flushes of the disk: a verify that writes the use of a session makes none, and other writes do.

use gatepost::{NewUser, Store};

use crate::place::Place;
use crate::process::Child;
use crate::scene::{Scene, Start};
use crate::shim::{self, Blow, Call, Plan};
use crate::store::{device, number, options, sql};
use crate::tally::{Tally, in_lanes};

/// So many rounds.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    in_lanes(count, |_, share, tally| {
        let place = Place::new("flushes");
        let path = place.file("auth.db");
        for _ in 0..share {
            scene.lay(Start::Closed, &path);
            let job = |_: &crate::process::Voice| {
                shim::install();
                let store = Store::open(&path, options(seed)).unwrap();
                let (token, on) = (scene.token("bob.idle"), device("idle"));
                let last_use = || number(&sql(&path), "SELECT sum(last_seen) FROM session");
                let before = last_use();
                let verify = || assert!(store.verify((token, &on)).unwrap().valid().is_ok());
                assert_eq!(flushes(verify), 0, "a verify flushed");
                assert!(last_use() > before, "the verify wrote no use");
                let write = || drop(store.users().create(NewUser::person("eve")).unwrap());
                assert_eq!(flushes(write), 1);
            };
            Child::fork(job).end_well();
            tally.one("verifies that wrote a use");
        }
    })
}

/// How often a call flushes a file.
fn flushes(call: impl FnOnce()) -> u64 {
    shim::arm(Plan { calls: Call::Sync as u32, at: 0, for_ever: false, blow: Blow::Io });
    call();
    shim::disarm().0
}
