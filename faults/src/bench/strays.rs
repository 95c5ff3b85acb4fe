//! Descriptors that the program closes behind SQLite's back, as a program that turns itself into a
//! daemon does: the first call already says that the locks are lost.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use gatepost::audit::AuditFilter;
use gatepost::directory::UserFilter;
use gatepost::status::FileState;
use gatepost::{Error, ErrorKind, LoginRequest, NewUser, Options, Page, Store, Subtree, UserId};

use crate::place::Place;
use crate::process::Child;
use crate::scene::{Scene, Start};
use crate::store::{PASSWORD, device, options};
use crate::tally::{Tally, in_lanes};

/// The most descriptors that a program of this bench has.
const DESCRIPTORS: i32 = 128;

/// A call that reaches the file.
type Call = fn(&Store, &Scene) -> Result<(), Error>;

const CALLS: &[(&str, Call)] = &[
    ("verify", |store, scene| {
        store.verify((scene.token("ada.till"), &device("till"))).map(|found| {
            assert!(found.valid().is_ok());
        })
    }),
    ("log_in", |store, _| {
        store.log_in(LoginRequest::new("ada", PASSWORD.into(), device("new"))).map(drop)
    }),
    ("log_out", |store, scene| {
        store.log_out((scene.token("ada.till"), &device("till"))).map(drop)
    }),
    ("revoke_all", |store, _| store.sessions().revoke_all(Subtree::Store)),
    ("create", |store, _| store.users().create(NewUser::person("eve")).map(drop)),
    ("find", |store, scene| {
        let ada: UserId = scene.id("ada");
        store.users().find(ada).map(drop)
    }),
    ("list", |store, _| store.users().list(&UserFilter::new(), Page::first(9)).map(drop)),
    ("latest", |store, _| store.audit().latest(9, &AuditFilter::new()).map(drop)),
    ("verify_chain", |store, _| store.audit().verify_chain(None).map(drop)),
    ("maintain", |store, _| store.maintain().map(drop)),
];

/// So many rounds of each call, with the cache and without; the descriptors stay closed, or are
/// those of another file.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    in_lanes(count, |_, share, tally| {
        let place = Place::new("strays");
        for _ in 0..share {
            // Together, as each waits several seconds for the lock that it has lost.
            let children = Vec::from_iter(CALLS.iter().flat_map(|(name, call)| {
                let (place, scene) = (&place, &scene);
                (0..4).map(move |case| {
                    let path = place.file(&format!("{name}-{case}.db"));
                    scene.lay(Start::Closed, &path);
                    let options = options(seed);
                    let options = if case & 1 == 0 { options.cache(None) } else { options };
                    let lost = || is_lost(name, *call, scene, &path, options, case & 2 == 0);
                    (name, Child::fork(|_| lost()))
                })
            }));
            for (name, child) in children {
                child.end_well();
                tally.one(*name);
            }
        }
    })
}

fn is_lost(
    name: &str,
    call: Call,
    scene: &Scene,
    path: &Path,
    options: Options,
    are_reused: bool,
) {
    let store = Store::open(path, options).unwrap();
    // So that a reader is open, and its pages are cached.
    store.users().count(&UserFilter::new()).unwrap();
    for descriptor in 3..DESCRIPTORS {
        // SAFETY: the child ends without coming back to what owned the descriptor.
        unsafe { libc::close(descriptor) };
    }
    let others: Vec<_> = (3..if are_reused { DESCRIPTORS } else { 3 })
        .map(|_| File::open("/dev/zero").unwrap())
        .collect();
    assert!(others.iter().all(|other| other.as_raw_fd() < DESCRIPTORS));
    let error = call(&store, scene).unwrap_err();
    let reported = (error.kind(), store.status().file_state);
    assert_eq!(reported, (ErrorKind::Closed, FileState::LocksLost), "{name}: {error}");
    std::mem::forget((store, others));
}
