//! Forks while no store is open: each worker opens the file that its parent has closed.

use gatepost::status::FileState;
use gatepost::{ErrorKind, NewUser, Store, Subtree};

use crate::place::Place;
use crate::process::Child;
use crate::scene::{Scene, Start};
use crate::store::{device, is_whole, options, passes};
use crate::tally::{Tally, in_lanes};

/// The workers of one parent.
const WORKERS: u64 = 4;

/// So many parents; each has opened the file, and has closed or dropped the store.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    in_lanes(count, |_, share, tally| {
        let place = Place::new("workers");
        for n in 0..share {
            let path = place.file(&format!("auth{n}.db"));
            scene.lay(Start::Closed, &path);
            let parents = Store::open(&path, options(seed)).unwrap();
            assert!(passes(&parents, scene.token("ada.till"), Some("till")));
            let kept = (n % 2 == 0).then(|| parents.clone());
            if n % 3 == 0 {
                drop(parents);
            } else {
                parents.close().unwrap();
            }
            if let Some(kept) = &kept {
                kept.close().unwrap();
            }
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let (scene, path, kept) = (&scene, &path, &kept);
                    Child::fork(move |_| {
                        let store = Store::open(path, options(seed ^ worker << 8)).unwrap();
                        assert!(passes(&store, scene.token("ada.till"), Some("till")));
                        let name = format!("worker {worker}");
                        store.users().create(NewUser::person(&name)).unwrap();
                        if let Some(kept) = kept {
                            let refused = kept.maintain().unwrap_err();
                            assert_eq!(refused.kind(), ErrorKind::Misuse);
                            assert_eq!(kept.status().file_state, FileState::Forked);
                        }
                        // The worker itself has a store open now.
                        let its_child = Child::fork(|_| {
                            for refused in [
                                Store::open(path, options(seed)).err(),
                                store.verify(("x", &device("till"))).err(),
                            ] {
                                assert_eq!(refused.unwrap().kind(), ErrorKind::Misuse);
                            }
                        });
                        its_child.end_well();
                        store.close().unwrap();
                    })
                })
                .collect();
            workers.into_iter().for_each(|worker| drop(worker.end_well()));
            let store = Store::open(&path, options(seed)).unwrap();
            for worker in 0..WORKERS {
                let name = format!("worker {worker}");
                assert!(store.users().find_by_username(&name).unwrap().is_some(), "{name}");
            }
            store.sessions().revoke_all(Subtree::Store).unwrap();
            assert!(!passes(&store, scene.token("ada.till"), Some("till")));
            is_whole(&store, &path);
            tally.one("parents");
        }
    })
}
