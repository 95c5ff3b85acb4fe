//! Forks with an open store: the child is refused, and takes nothing from its parent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gatepost::audit::HostEvent;
use gatepost::directory::{CreditHolder, UserFilter};
use gatepost::host::{Clock, ManualClock};
use gatepost::sessions::{NewApiKey, OpenSession, SessionFilter};
use gatepost::{
    Error, ErrorKind, LoginRequest, NewUser, Page, Principal, Store, Subtree, Timestamp, UserId,
};

use crate::place::Place;
use crate::process::{Child, End};
use crate::scene::{Scene, Start};
use crate::store::{PASSWORD, device, is_whole, options, passes, sql};
use crate::tally::{Tally, in_lanes};

/// So many forks; each child does one of three things with what it inherited.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    in_lanes(count, |_, share, tally| {
        let place = Place::new("fork");
        let path = place.file("auth.db");
        scene.lay(Start::Closed, &path);
        forks_in_the_middle(&place, seed);
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let store = Store::open(&path, options(seed).clock(Arc::new(clock.clone()))).unwrap();
        // So that there is a connection which a careless child would close.
        let held = store.verify((scene.token("ada.till"), &device("till"))).unwrap();
        let principal = held.valid().unwrap();
        for n in 0..share {
            let value = n.to_string();
            store.configuration().set(Subtree::Store, "desk.rows", &value).map(drop).unwrap();
            let child = Child::fork(|_| match n % 3 {
                0 => is_refused(&store, &principal, &scene, &path),
                1 => drop(store.clone()),
                // SAFETY: the child ends without ever coming back to the original.
                _ => drop(unsafe { std::ptr::read(&store) }),
            });
            child.end_well();
            // It opens and closes the file; without the parent's locks it would delete the log.
            assert_eq!(seen_elsewhere(&path), value);
            clock.advance(Duration::from_secs(2));
            assert!(passes(&store, scene.token("ada.till"), Some("till")), "the parent's locks");
            tally.one("forks");
        }
        is_whole(&store, &path);
    })
}

/// A clock that forks when it is read, in the middle of a call that has files open and locked. The
/// child is refused, also where the parent has no store.
#[derive(Debug)]
struct Forking(PathBuf);

impl Clock for Forking {
    fn now(&self) -> Timestamp {
        is_refused_to_open(&self.0);
        "2026-01-05T09:00:00Z".parse().unwrap()
    }
}

fn is_refused_to_open(other: &Path) {
    let child = Child::fork(|_| {
        for refused in [
            Store::open(other, options(1)).map(std::mem::forget),
            Store::adopt_restored(other, options(1)).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Misuse, "the child of a fork");
        }
    });
    let (_, end) = child.end_within(Duration::from_secs(20));
    assert_eq!(end, End::Well, "the child of a fork in the middle of a call");
}

/// Forks in the middle of a restore and an adoption, and in a backup whose store was closed.
fn forks_in_the_middle(place: &Place, seed: u64) {
    let names = ["middle.db", "copy.db", "other.db"];
    let [path, copy, other] = names.map(|name| place.file(name));
    let forking = || options(seed).clock(Arc::new(Forking(other.clone())));
    let store = Store::open(&path, options(seed)).unwrap();
    store
        .backup(&copy, |_| {
            store.close().unwrap();
            is_refused_to_open(&other);
        })
        .unwrap();
    Store::restore(&copy, &path, forking()).unwrap();
    Store::adopt_restored(&path, forking()).unwrap();
    Child::fork(|_| Store::open(&path, options(seed)).unwrap().close().unwrap()).end_well();
}

/// The value that a process which is no fork of this one reads in the file.
fn seen_elsewhere(path: &Path) -> String {
    let peek = Command::new(std::env::current_exe().unwrap()).arg("peek").arg(path).output();
    String::from_utf8(peek.unwrap().stdout).unwrap()
}

/// What that process does.
pub(crate) fn peek(path: &Path) {
    let sql = sql(path);
    let value: String = sql
        .query_row(
            "SELECT value FROM setting WHERE key = 'desk.rows' AND branch_id IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    print!("{value}");
}

/// Every call is refused, `close` too, with an error and not as a refusal of a token. So is the
/// opening of any file: SQLite remembers the locks of the parent.
fn is_refused(store: &Store, principal: &Principal, scene: &Scene, path: &Path) {
    let till = device("till");
    let token = scene.token("ada.till");
    let ada: UserId = scene.id("ada");
    let open = OpenSession::new(ada, device("new"));
    let other = path.with_file_name("other.db");
    let answers: Vec<(&str, Result<(), Error>)> = vec![
        ("verify", store.verify((token, &till)).map(|verdict| assert!(verdict.valid().is_ok()))),
        (
            "verify of an unknown token",
            store.verify(("x", &till)).map(|verdict| assert!(verdict.valid().is_err())),
        ),
        (
            "log_in",
            store.log_in(LoginRequest::new("ada", PASSWORD.into(), till.clone())).map(drop),
        ),
        ("log_out", store.log_out((token, &till)).map(drop)),
        ("change", store.change_password((token, &till), "a".into(), "b".into()).map(drop)),
        ("open a session", store.sessions().open(open).map(drop)),
        ("end", store.sessions().revoke(scene.id("ada.till.id")).map(drop)),
        ("end all", store.sessions().revoke_all(Subtree::Store)),
        (
            "sessions",
            store.sessions().list(&SessionFilter::new().under(ada), Page::default()).map(drop),
        ),
        ("create", store.users().create(NewUser::person("eve")).map(drop)),
        ("find", store.users().find(ada).map(drop)),
        ("list", store.users().list(&UserFilter::new(), Page::first(9)).map(drop)),
        ("delete", store.users().delete(ada)),
        ("set", store.configuration().set(Subtree::Store, "desk.rows", "no").map(drop)),
        ("get", store.configuration().get(Subtree::Store, "desk.rows").map(drop)),
        ("credits", store.credits().remaining(CreditHolder::Branch(scene.id("quay"))).map(drop)),
        ("key", store.api_keys().issue(ada, NewApiKey::new()).map(drop)),
        ("keys", store.api_keys().list(ada).map(drop)),
        ("devices", store.devices().list(ada).map(drop)),
        ("record", store.audit().record(&[HostEvent::new("a.fork").unwrap()])),
        ("log", store.audit().verify_chain(None).map(drop)),
        ("maintain", store.maintain().map(drop)),
        ("profile", store.profile(principal).map(drop)),
        ("close", store.close()),
        ("open again", Store::open(path, options(1)).map(std::mem::forget)),
        ("open another", Store::open(&other, options(1)).map(std::mem::forget)),
        ("open to read", Store::open_read_only(&other, options(1)).map(std::mem::forget)),
        ("restore", Store::restore(path, &other, options(1)).map(drop)),
        ("adopt", Store::adopt_restored(&other, options(1)).map(drop)),
    ];
    for (call, answer) in answers {
        let reason = answer.err().map(|error| error.kind());
        assert_eq!(reason, Some(ErrorKind::Misuse), "{call} in the child of a fork");
    }
}
