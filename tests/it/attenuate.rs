//! Attenuated keys: made from a session or key, they can do no more, and end with it.

mod chains;
mod many;

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use gatepost::{
    Credential, ErrorKind, NewUser, OpenedSession, Permission, Principal, Secret, UserId,
};

use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device, morning};

const READ: &str = "reports.read";
const WRITE: &str = "reports.write";

#[test]
fn it_is_its_users_and_names_its_parent() {
    let scene = Scene::new();
    let Scene { world, ada, session, .. } = &scene;
    let parent = scene.session();
    let of_session = world
        .leaves(&[EventKind::ApiKeyAttenuated], 0, |store| {
            store.api_keys().attenuate(&parent, NewApiKey::new().label("printer"))
        })
        .unwrap();
    let event = world.last_event();
    assert_eq!((event.user, event.session, event.detail), (Some(*ada), Some(session.id), None));
    assert_eq!(event.api_key, Some(of_session.id));
    // The list is in the order of issue.
    world.clock.advance(MINUTE);
    let of_key = scene.make(&scene.verified(&of_session.key), NewApiKey::new());
    assert_eq!(world.last_event().detail, Some(of_session.id.to_string()));

    let principal = scene.verified(&of_key.key);
    assert_eq!((principal.user, principal.credential), (*ada, Credential::ApiKey(of_key.id)));
    let listed = world.store.api_keys().list(*ada).unwrap();
    assert_eq!(listed.len(), 2);
    let parents: Vec<_> = listed.iter().map(|key| key.parent).collect();
    let expected = [Credential::Session(session.id), Credential::ApiKey(of_session.id)];
    assert_eq!(parents, expected.map(Some));
    assert_eq!(listed[0].label.as_deref(), Some("printer"));
}

#[test]
fn scopes_limit_what_a_key_may_and_privileges_limit_scopes() {
    let scene = Scene::new();
    let key = scene.make(&scene.session(), NewApiKey::new().scopes([WRITE, "later", "admin"]));
    let principal = scene.verified(&key.key);
    scene.may(&principal, [(READ, false), (WRITE, true), ("later", false), ("admin", false)]);
    assert!(!principal.is_admin);
    // By the file, and then from memory.
    let users = scene.world.store.users();
    users.set_privileges(scene.ada, &[READ, "later", "admin"]).unwrap();
    for _ in 0..2 {
        scene.may(&principal, [(READ, false), (WRITE, false), ("later", true), ("admin", true)]);
        assert!(scene.verified(&key.key).is_admin);
    }
    scene.world.clock.advance(MINUTE);
    let none = scene.make(&scene.session(), NewApiKey::new().scopes([""; 0]));
    let principal = scene.verified(&none.key);
    assert!(!principal.is_admin);
    scene.may(&principal, [(READ, false), ("admin", false)]);
    scene.world.clock.advance(MINUTE);
    let all = scene.make(&scene.session(), NewApiKey::new());
    let principal = scene.verified(&all.key);
    assert!(principal.is_admin);
    scene.may(&principal, [(READ, true), (WRITE, false), ("admin", true)]);
    let listed = scene.world.store.api_keys().list(scene.ada).unwrap();
    let scopes: Vec<_> = listed.into_iter().map(|key| key.scopes).collect();
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(scopes, [names(&["admin", "later", WRITE]), names(&[]), None]);
}

/// A name that is the beginning or the end of another is not that other.
#[test]
fn a_scope_is_compared_in_full() {
    let scene = Scene::new();
    let users = scene.world.store.users();
    users.set_privileges(scene.ada, &["a", "a.b", "b", "a.b.c"]).unwrap();
    let key = scene.make(&scene.session(), NewApiKey::new().scopes(["a.b", "c"]));
    let principal = scene.verified(&key.key);
    scene.may(&principal, [("a", false), ("a.b", true), ("b", false), ("a.b.c", false)]);
}

#[test]
fn it_has_no_scope_that_its_parent_lacks() {
    let scene = Scene::new();
    let parent =
        scene.verified(&scene.make(&scene.session(), NewApiKey::new().scopes([READ])).key);
    for scopes in [&[WRITE][..], &[READ, WRITE], &["reports"]] {
        scene.world.refuses(ErrorKind::Invalid, |store| {
            store.api_keys().attenuate(&parent, NewApiKey::new().scopes(scopes.iter().copied()))
        });
    }
    let inherited = scene.verified(&scene.make(&parent, NewApiKey::new()).key);
    scene.may(&inherited, [(READ, true), (WRITE, false)]);
    let nothing = scene.make(&parent, NewApiKey::new().scopes([""; 0]));
    scene.may(&scene.verified(&nothing.key), [(READ, false)]);
}

#[test]
fn it_expires_with_its_parent_at_the_latest() {
    let scene = Scene::new();
    let session = scene.session();
    let end = session.expires_at;
    for asked in [NewApiKey::new(), NewApiKey::new().lifetime(400 * DAY)] {
        assert_eq!(scene.make(&session, asked).expires_at, end);
    }
    let short = scene.make(&session, NewApiKey::new().lifetime(HOUR));
    assert_eq!(short.expires_at, Some(morning() + HOUR));
    let of_short = scene.make(&scene.verified(&short.key), NewApiKey::new().lifetime(DAY));
    assert_eq!(of_short.expires_at, short.expires_at);
    scene.world.clock.advance(HOUR - Duration::from_millis(1));
    assert!(scene.passes(&short) && scene.passes(&of_short));
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(!scene.passes(&short) && !scene.passes(&of_short));
    // A key that does not expire has such descendants.
    let root = scene.world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
    assert_eq!(scene.make(&scene.verified(&root.key), NewApiKey::new()).expires_at, None);
}

#[test]
fn a_renewal_of_the_session_does_not_prolong_it() {
    let scene = Scene::new();
    let key = scene.make(&scene.session(), NewApiKey::new());
    scene.world.clock.advance(20 * HOUR);
    let renewed = scene.world.store.renew((&scene.session.token, &device("till-1"))).unwrap();
    assert!(renewed.valid().unwrap() > key.expires_at.unwrap());
    assert!(scene.passes(&key));
    scene.world.clock.set(key.expires_at.unwrap());
    assert!(!scene.passes(&key));
    assert!(scene.world.passes(&scene.session, "till-1"));
}

/// The cached answer ends with the timeout, although nothing is written then.
#[test]
fn it_ends_when_its_session_was_not_used_for_the_inactivity_timeout() {
    let policy = SessionPolicy::server().inactivity_timeout(10 * MINUTE);
    let scene = Scene::with(policy);
    let key = scene.make(&scene.session(), NewApiKey::new());
    let of_key = scene.make(&scene.verified(&key.key), NewApiKey::new());
    for _ in 0..3 {
        scene.world.clock.advance(9 * MINUTE);
        assert!(scene.passes(&key) && scene.passes(&of_key));
        assert!(scene.world.passes(&scene.session, "till-1"));
    }
    // A use of the key is none of the session.
    scene.world.clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert!(scene.passes(&key) && scene.passes(&of_key));
    scene.world.clock.advance(Duration::from_millis(1));
    assert!(!scene.passes(&key) && !scene.passes(&of_key));
    assert!(scene.world.store.api_keys().list(scene.ada).unwrap().is_empty());
}

/// The session goes on, with a new token: it does not end, so neither do its keys.
#[test]
fn it_outlives_an_own_password_change_unless_keys_are_revoked_too() {
    for (and_keys, lives) in [(false, true), (true, false)] {
        let scene = Scene::new();
        let key = scene.make(&scene.session(), NewApiKey::new());
        let (world, on) = (&scene.world, device("till-1"));
        let other = world.open(scene.ada, "till-2");
        let other =
            world.store.verify((&other.token, &device("till-2"))).unwrap().valid().unwrap();
        let of_other = scene.make(&other, NewApiKey::new());
        let (presented, new) = ((&scene.session.token, &on), "nine brass bells".into());
        let changed = match and_keys {
            false => world.store.change_password(presented, PASSWORD.into(), new),
            true => world.store.change_password_and_revoke_keys(presented, PASSWORD.into(), new),
        };
        changed.unwrap().granted().unwrap();
        assert_eq!((scene.passes(&key), scene.passes(&of_other)), (lives, false));
    }
}

#[test]
fn what_suspended_its_first_key_suspends_it() {
    let scene = Scene::new();
    let root = scene.world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
    let of_root = scene.make(&scene.verified(&root.key), NewApiKey::new());
    let of_session = scene.make(&scene.session(), NewApiKey::new());
    let users = scene.world.store.users();
    users.set_status(scene.ada, UserStatus::Locked).unwrap();
    assert!([&root, &of_root, &of_session].iter().all(|key| !scene.passes(key)));
    users.set_status(scene.ada, UserStatus::Active).unwrap();
    // The lock revoked the session.
    assert!(scene.passes(&root) && scene.passes(&of_root) && !scene.passes(&of_session));
}

#[test]
fn a_revoked_key_takes_its_descendants_along_and_no_others() {
    let scene = Scene::new();
    let [first, second, third] = scene.chain();
    let beside = scene.make(&scene.verified(&first.key), NewApiKey::new());
    let of_session = scene.make(&scene.session(), NewApiKey::new());
    let keys = scene.world.store.api_keys();
    scene.world.leaves(&[EventKind::ApiKeyRevoked], 2, |_| keys.revoke(second.id)).unwrap();
    assert!(scene.passes(&first) && scene.passes(&beside) && scene.passes(&of_session));
    assert!(!scene.passes(&second) && !scene.passes(&third));
    scene.world.refuses(ErrorKind::NotFound, |store| store.api_keys().revoke(third.id));
}

#[test]
fn all_keys_of_a_user_are_revoked_by_one_changed_row() {
    let scene = Scene::new();
    let chain = scene.chain();
    let of_session = scene.make(&scene.session(), NewApiKey::new());
    let rows = |world: &World| world.count("SELECT count(*) FROM api_key WHERE issued_seq >= 1");
    let before = rows(&scene.world);
    assert_eq!(before, 4);
    let keys = scene.world.store.api_keys();
    scene.world.leaves(&[EventKind::ApiKeysRevoked], 1, |_| keys.revoke_all(scene.ada)).unwrap();
    assert_eq!(rows(&scene.world), before, "no key was deleted");
    assert_eq!(scene.world.count("SELECT kind FROM change ORDER BY seq DESC LIMIT 1"), 3);
    assert!(chain.iter().chain([&of_session]).all(|key| !scene.passes(key)));
    assert!(scene.world.passes(&scene.session, "till-1"), "sessions stay");
    // Once more: there is none left, so nothing is written.
    scene.world.leaves(&[], 0, |_| keys.revoke_all(scene.ada)).unwrap();
    // The next key deletes the rows, without a change row.
    let next = scene
        .world
        .leaves(&[EventKind::ApiKeyIssued], 0, |store| {
            store.api_keys().issue(scene.ada, NewApiKey::new())
        })
        .unwrap();
    assert!(scene.passes(&next));
    assert_eq!(rows(&scene.world), 1);
}

#[test]
fn a_rotation_ends_descendants_with_the_old_key() {
    let scene = Scene::new();
    let keys = scene.world.store.api_keys();
    let [first, second, third] = scene.chain();
    let next = keys.rotate(first.id, HOUR).unwrap();
    scene.world.clock.advance(HOUR - Duration::from_millis(1));
    assert!([&first, &second, &third, &next].iter().all(|key| scene.passes(key)));
    scene.world.clock.advance(Duration::from_millis(1));
    assert!([&first, &second, &third].iter().all(|key| !scene.passes(key)));
    let child = scene.make(&scene.verified(&next.key), NewApiKey::new());
    let last = keys.rotate(next.id, Duration::ZERO).unwrap();
    assert!(!scene.passes(&child) && scene.passes(&last));
}

#[test]
fn a_rotated_attenuated_key_keeps_its_parent_scopes_and_bounds() {
    let scene = Scene::new();
    let keys = scene.world.store.api_keys();
    let session = scene.session();
    let new = NewApiKey::new().scopes([READ]).lifetime(2 * HOUR).label("printer");
    let old = scene.make(&session, new);
    scene.world.clock.advance(HOUR);
    let next = keys.rotate(old.id, Duration::ZERO).unwrap();
    assert_eq!(next.expires_at, Some(morning() + 3 * HOUR));
    let listed = keys.list(scene.ada).unwrap().pop().unwrap();
    assert_eq!(listed.parent, Some(session.credential));
    assert_eq!(
        (listed.label.as_deref(), listed.scopes),
        (Some("printer"), Some(vec![READ.into()]))
    );
    scene.world.clock.set(session.expires_at.unwrap() - HOUR);
    let parent = scene.make(&scene.session(), NewApiKey::new());
    let old = scene.make(&scene.verified(&parent.key), NewApiKey::new());
    // Nearer to the end of its parent than its lifetime.
    let next = keys.rotate(old.id, Duration::ZERO).unwrap();
    assert_eq!(next.expires_at, session.expires_at);
    assert_eq!(scene.world.log_out(&scene.session, "till-1"), gatepost::Ended::Now);
    assert!(!scene.passes(&next));
    assert_eq!(scene.world.count("SELECT count(*) FROM api_key"), 0);
}

#[test]
fn a_chain_has_at_most_eight_keys_above_the_last() {
    let scene = Scene::new();
    let mut keys = vec![scene.make(&scene.session(), NewApiKey::new())];
    for _ in 0..8 {
        let parent = scene.verified(&keys.last().unwrap().key);
        keys.push(scene.make(&parent, NewApiKey::new()));
    }
    let last = scene.verified(&keys.last().unwrap().key);
    scene.world.refuses(ErrorKind::LimitReached, |store| {
        store.api_keys().attenuate(&last, NewApiKey::new())
    });
    assert!(keys.iter().all(|key| scene.passes(key)));
    assert_eq!(scene.world.log_out(&scene.session, "till-1"), gatepost::Ended::Now);
    assert!(keys.iter().all(|key| !scene.passes(key)));
}

#[test]
fn it_does_not_count_for_the_option_and_has_a_limit_of_1000() {
    let scene = Scene::new();
    let session = scene.session();
    (0..3).for_each(|_| drop(scene.make(&session, NewApiKey::new())));
    let keys = scene.world.store.api_keys();
    let root = keys.issue(scene.ada, NewApiKey::new()).unwrap();
    scene.make(&scene.verified(&root.key), NewApiKey::new());
    scene.world.refuses(ErrorKind::LimitReached, |store| {
        store.api_keys().issue(scene.ada, NewApiKey::new())
    });
    scene
        .world
        .sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 995)
             INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
             SELECT randomblob(16), randomblob(32), user_id, issued_seq, issued_at
             FROM n, (SELECT * FROM api_key WHERE expires_at IS NULL LIMIT 1)",
            [],
        )
        .unwrap();
    scene.world.refuses(ErrorKind::LimitReached, |store| {
        store.api_keys().attenuate(&session, NewApiKey::new())
    });
}

#[test]
fn nothing_is_made_from_what_is_not_live() {
    type Ends = fn(&Scene, &IssuedApiKey);
    let ends: [(&str, Ends); 5] = [
        ("logged out", |scene, _| {
            let _ = scene.world.log_out(&scene.session, "till-1");
        }),
        ("revoked", |scene, key| scene.world.store.api_keys().revoke(key.id).unwrap()),
        ("all revoked", |scene, _| scene.world.store.api_keys().revoke_all(scene.ada).unwrap()),
        ("locked", |scene, _| {
            scene.world.store.users().set_status(scene.ada, UserStatus::Locked).map(drop).unwrap();
        }),
        ("expired", |scene, _| scene.world.clock.advance(24 * HOUR)),
    ];
    for (how, end) in ends {
        let scene = Scene::new();
        let key = scene.make(&scene.session(), NewApiKey::new());
        let principal = scene.verified(&key.key);
        end(&scene, &key);
        let made = scene.world.store.api_keys().attenuate(&principal, NewApiKey::new());
        assert_eq!(made.unwrap_err().kind(), ErrorKind::SessionEnded, "{how}");
    }
    // The fields of a principal are public: the file decides.
    let scene = Scene::new();
    let mut forged = scene.session();
    forged.user = scene.world.person("ben").id;
    let made = scene.world.store.api_keys().attenuate(&forged, NewApiKey::new());
    assert_eq!(made.unwrap_err().kind(), ErrorKind::SessionEnded);
    (forged.user, forged.expires_at) = (scene.ada, None);
    let key = scene.make(&forged, NewApiKey::new());
    assert_eq!(scene.verified(&key.key).user, scene.ada);
    assert_eq!(key.expires_at, scene.session().expires_at);
}

#[test]
fn the_sweep_deletes_it_with_its_session() {
    let scene = Scene::new();
    let key = scene.make(&scene.session(), NewApiKey::new());
    scene.make(&scene.verified(&key.key), NewApiKey::new());
    scene.world.clock.advance(2 * DAY);
    scene.world.believe_clock();
    let head = scene.world.head();
    assert_eq!(scene.world.store.maintain().unwrap().sessions, 1);
    assert_eq!(scene.world.count("SELECT count(*) FROM api_key"), 0);
    assert_eq!(scene.world.head(), head, "what expired leaves no change row");
}

#[test]
fn the_file_refuses_a_key_that_is_more_than_its_parent() {
    let scene = Scene::new();
    let parent = scene.make(&scene.session(), NewApiKey::new().scopes([READ]).lifetime(HOUR));
    let child = scene.make(&scene.verified(&parent.key), NewApiKey::new());
    let sql = scene.world.sql();
    let parent = parent.id.as_uuid().simple();
    let child = child.id.as_uuid().simple();
    let insert = |columns: &str| {
        let statement = format!(
            "INSERT INTO api_key (id, secret_hash, user_id, session_id, ancestors, issued_seq,
                 issued_at, expires_at, scopes)
             SELECT randomblob(16), secret_hash, {columns} FROM api_key WHERE id = x'{child}'"
        );
        sql.execute(&statement, [])
    };
    let same = "user_id, session_id, ancestors, issued_seq, issued_at, expires_at, scopes";
    assert_eq!(insert(same), Ok(1));
    for (from, to) in [
        ("expires_at", "expires_at + 1"),
        ("expires_at", "NULL"),
        ("scopes", "NULL"),
        ("session_id", "NULL"),
        ("session_id", "randomblob(16)"),
        ("ancestors", "randomblob(16)"),
        ("ancestors", "x''||randomblob(8)"),
        ("ancestors", "ancestors || ancestors"),
    ] {
        assert!(insert(&same.replace(from, to)).is_err(), "{from} {to}");
    }
    for set in [
        "expires_at = expires_at + 1",
        "expires_at = NULL",
        "scopes = NULL",
        "scopes = scopes || ' admin'",
        "session_id = NULL",
        "ancestors = randomblob(16)",
    ] {
        let update = format!("UPDATE api_key SET {set} WHERE id IN (x'{parent}', x'{child}')");
        assert!(sql.execute(&update, []).is_err(), "{set}");
    }
}

#[test]
fn the_last_use_is_listed_and_writes_no_more_than_a_session_does() {
    let scene = Scene::new();
    let (world, ada) = (&scene.world, scene.ada);
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    let last_use = || world.store.api_keys().list(ada).unwrap()[0].last_used_at;
    let in_file = || world.count("SELECT coalesce(max(last_seen), 0) FROM api_key");
    assert_eq!(last_use(), None);
    assert!(scene.passes(&key));
    assert_eq!((last_use(), in_file()), (Some(morning()), 0));
    let commits = world.store.status().commits;
    for minute in 1..60 {
        world.clock.advance(MINUTE);
        assert!(scene.passes(&key), "{minute}");
    }
    assert_eq!(last_use(), Some(morning()), "within a step");
    assert_eq!((world.store.status().commits, in_file()), (commits, 0));
    world.clock.advance(MINUTE);
    assert!(scene.passes(&key));
    assert_eq!(last_use(), Some(morning() + HOUR));
    // The next commit takes it along.
    world.leaves(&[EventKind::OrganisationCreated], 0, |store| {
        store.organisations().create("Northern").map(drop).unwrap();
    });
    assert_eq!(in_file(), (morning() + HOUR).as_millis());
    // Two steps behind, a verify writes it.
    world.clock.advance(2 * HOUR);
    assert!(scene.passes(&key));
    assert_eq!(in_file(), (morning() + 3 * HOUR).as_millis());
}

/// Ada, who may read and write reports, and her session on `till-1`.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) ada: UserId,
    pub(super) session: OpenedSession,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(SessionPolicy::server())
    }

    fn with(policy: SessionPolicy) -> Self {
        let world = World::with(|options| options.sessions(policy));
        let new = NewUser::person("ada").password(PASSWORD.into()).privileges([READ, WRITE]);
        let ada = world.store.users().create(new).unwrap().id;
        let session = world.open(ada, "till-1");
        Self { world, ada, session }
    }

    #[track_caller]
    pub(super) fn session(&self) -> Principal {
        let presented = (&self.session.token, &device("till-1"));
        self.world.store.verify(presented).unwrap().valid().unwrap()
    }

    #[track_caller]
    pub(super) fn verified(&self, key: &Secret) -> Principal {
        self.world.store.verify((key, None)).unwrap().valid().unwrap()
    }

    #[track_caller]
    pub(super) fn passes(&self, key: &IssuedApiKey) -> bool {
        self.world.store.verify((&key.key, None)).unwrap().valid().is_ok()
    }

    #[track_caller]
    pub(super) fn make(&self, parent: &Principal, new: NewApiKey) -> IssuedApiKey {
        self.world.store.api_keys().attenuate(parent, new).unwrap()
    }

    /// A key of ada's, a key made from it, and one made from that.
    fn chain(&self) -> [IssuedApiKey; 3] {
        let first = self.world.store.api_keys().issue(self.ada, NewApiKey::new()).unwrap();
        let second = self.make(&self.verified(&first.key), NewApiKey::new());
        let third = self.make(&self.verified(&second.key), NewApiKey::new());
        [first, second, third]
    }

    #[track_caller]
    fn may<const N: usize>(&self, principal: &Principal, expect: [(&str, bool); N]) {
        for (privilege, is_granted) in expect {
            let permission = self.world.store.may(principal, privilege).unwrap();
            assert_eq!(permission == Permission::Granted, is_granted, "{privilege}");
            assert_ne!(permission, Permission::Ended);
        }
    }
}
