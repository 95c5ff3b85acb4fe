//! Rows that are over and not swept yet: no limit counts them, so no write reads them.

use std::sync::Arc;
use std::time::Duration;

use crate::host::ManualClock;
use crate::sessions::{IssuedApiKey, NewApiKey, OpenSession, SessionFilter};
use crate::testing::believe_clock;
use crate::{
    DeviceId, LoginRequest, NewUser, OpenedSession, Options, Page, Principal, Secret, Store,
    Timestamp, UserId,
};

const MINUTE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery";

/// Ada, who has a session on `till-1` and an API key that does not expire.
struct Scene {
    store: Store,
    clock: ManualClock,
    ada: UserId,
    session: OpenedSession,
    root: IssuedApiKey,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse::<Timestamp>().unwrap());
        let options = Options::for_tests().clock(Arc::new(clock.clone())).api_keys_per_user(9);
        let store = Store::in_memory(options).unwrap();
        let ada = NewUser::person("ada").password(PASSWORD.into());
        let ada = store.users().create(ada).unwrap().id;
        let session = store.sessions().open(OpenSession::new(ada, device("till-1")));
        let session = session.unwrap().granted().unwrap().session;
        let root = store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        Self { store, clock, ada, session, root }
    }

    fn open(&self, on: &str) {
        let open = OpenSession::new(self.ada, device(on));
        self.store.sessions().open(open).unwrap().granted().unwrap();
    }

    fn log_in(&self, on: &str) {
        let login = LoginRequest::new("ada", PASSWORD.into(), device(on));
        self.store.log_in(login).unwrap().granted().unwrap();
    }

    fn of_session(&self) -> Principal {
        let presented = (&self.session.token, &device("till-1"));
        self.store.verify(presented).unwrap().valid().unwrap()
    }

    fn of_key(&self, key: &Secret) -> Principal {
        self.store.verify((key, None)).unwrap().valid().unwrap()
    }

    /// Sessions and keys of ada that expired a minute ago: the keys were made from her session and
    /// from her key, as a program does that takes a key for each job.
    fn dead(&self, rows: usize) {
        for _ in 0..rows {
            let open = OpenSession::new(self.ada, DeviceId::random().unwrap()).lifetime(MINUTE);
            self.store.sessions().open(open).unwrap().granted().unwrap();
            for parent in [self.of_session(), self.of_key(&self.root.key)] {
                let job = NewApiKey::new().lifetime(MINUTE);
                self.store.api_keys().attenuate(&parent, job).unwrap();
            }
            self.clock.advance(2 * MINUTE);
        }
    }
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// Fails if `call` takes a step of SQLite for each row that is over. A user has at most 100 known
/// devices, which a login reads, and last uses are written by the hour: here both times as many,
/// after 4 and 8 hours.
#[track_caller]
fn check(what: &str, call: impl Fn(&Scene)) {
    let [few, many] = [120, 240].map(|rows| {
        let scene = Scene::new();
        scene.dead(rows);
        scene.store.core().storage.steps_of(|| call(&scene))
    });
    assert!(many < few + 110, "{what}: {few} steps among 120 dead rows, {many} among 240");
}

/// The client asks for the lifetime of its session, and no limit counts one that is over.
#[test]
fn a_login_reads_no_session_that_has_expired() {
    check("open", |scene| scene.open("till-2"));
    check("log in", |scene| scene.log_in("till-2"));
    let of_ada = |scene: &Scene| SessionFilter::new().under(scene.ada);
    check("list", |scene| {
        let list = scene.store.sessions().list(&of_ada(scene), Page::default()).unwrap();
        assert_eq!(list.len(), 1);
    });
    check("count", |scene| {
        assert_eq!(scene.store.sessions().count(&of_ada(scene)).unwrap(), 1);
    });
}

#[test]
fn a_call_for_an_api_key_reads_none_that_has_expired() {
    let job = || NewApiKey::new().lifetime(MINUTE);
    check("attenuate", |scene| {
        let keys = scene.store.api_keys();
        keys.attenuate(&scene.of_session(), job()).unwrap();
        keys.attenuate(&scene.of_key(&scene.root.key), job()).unwrap();
    });
    check("issue", |scene| drop(scene.store.api_keys().issue(scene.ada, job()).unwrap()));
    check("rotate", |scene| {
        let child = scene.store.api_keys().attenuate(&scene.of_key(&scene.root.key), job());
        scene.store.api_keys().rotate(child.unwrap().id, Duration::ZERO).unwrap();
        scene.store.api_keys().rotate(scene.root.id, MINUTE).unwrap();
    });
    check("revoke", |scene| {
        let child = scene.store.api_keys().attenuate(&scene.of_session(), job()).unwrap();
        scene.store.api_keys().revoke(child.id).unwrap();
    });
    check("list", |scene| assert_eq!(scene.store.api_keys().list(scene.ada).unwrap().len(), 1));
    check("revoke all", |scene| {
        scene.store.api_keys().revoke_all(scene.ada).unwrap();
        scene.store.api_keys().revoke_all(scene.ada).unwrap();
        assert!(scene.store.api_keys().list(scene.ada).unwrap().is_empty());
    });
}

/// It deletes 32 rows of each kind.
#[test]
fn the_sweep_of_a_login_reads_only_what_it_deletes() {
    check("sweep", |scene| {
        believe_clock(&scene.store).unwrap();
        scene.open("till-2");
    });
}

/// As many steps for each row, however many there are.
#[test]
fn a_revocation_reads_each_key_that_it_deletes_once() {
    let log_out: fn(&Scene) = |scene| {
        let _ = scene.store.log_out((&scene.session.token, &device("till-1"))).unwrap();
    };
    let revoke: fn(&Scene) = |scene| scene.store.api_keys().revoke(scene.root.id).unwrap();
    for call in [log_out, revoke] {
        let [few, many] = [120, 240].map(|rows| {
            let scene = Scene::new();
            scene.dead(rows);
            scene.store.core().storage.steps_of(|| call(&scene))
        });
        assert!(many < 3 * few, "{few} steps for 120 keys, {many} for 240");
    }
}
