//! What is checked is checked in the transaction of the operation: what commits between the call
//! and that transaction is seen.

use gatepost::administration::Administration;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter};
use gatepost::sessions::NewApiKey;
use gatepost::{BranchId, ErrorKind, NewUser, Page, Principal, SessionId, Store, Subtree, UserId};

use crate::world::{Meanwhile, PASSWORD, World, device};

/// Ada administers York, where ben is.
struct Scene {
    world: World,
    hook: Meanwhile,
    york: BranchId,
    ada: UserId,
    ben: UserId,
    session: SessionId,
    principal: Principal,
}

impl Scene {
    fn new() -> Self {
        let hook = Meanwhile::default();
        let world = World::with(|options| options.breach_check(hook.check()));
        let york = world.store.branches().create("York", None).unwrap().id;
        let ada = world.person("ada").id;
        let ben = world.store.users().create(NewUser::person("ben").branch(york)).unwrap().id;
        world.store.users().grant_administration(ada, york).unwrap();
        let session = world.open(ada, "till");
        let verdict = world.store.verify((&session.token, &device("till"))).unwrap();
        let (session, principal) = (session.id, verdict.valid().unwrap());
        Self { world, hook, york, ada, ben, session, principal }
    }

    fn by_ada(&self) -> Administration {
        self.world.store.administering(&self.principal)
    }
}

/// Ada sets a password of ben, whose hash is computed after the first look and before the write.
#[track_caller]
fn check(kind: Option<ErrorKind>, meanwhile: impl FnOnce(&Store, &Scene) + Send + 'static) {
    let scene = std::sync::Arc::new(Scene::new());
    let there = std::sync::Arc::clone(&scene);
    scene.hook.happens(move || meanwhile(&there.world.store, &there));
    let set = scene.by_ada().users().set_password(scene.ben, PASSWORD.into());
    assert_eq!(set.err().map(|error| error.kind()), kind);
    let has_password = scene.world.count("SELECT count(*) FROM credential");
    assert_eq!(has_password, i64::from(kind.is_none()) + 1, "the other one is that of ada");
}

#[test]
fn what_commits_between_the_call_and_its_write_is_seen() {
    check(None, |_, _| {});
    check(Some(ErrorKind::NotFound), |store, scene| {
        assert!(store.users().withdraw_administration(scene.ada, scene.york).unwrap());
    });
    check(Some(ErrorKind::NotFound), |store, scene| {
        store.users().move_to(scene.ben, None).unwrap();
    });
    check(Some(ErrorKind::SessionEnded), |store, scene| {
        store.sessions().revoke(scene.session).unwrap();
    });
    check(Some(ErrorKind::SessionEnded), |store, scene| {
        store.users().delete(scene.ada).unwrap();
    });
    check(Some(ErrorKind::NotPermitted), |store, scene| {
        store.users().set_privileges(scene.ben, &["admin"]).unwrap();
    });
    check(Some(ErrorKind::NotPermitted), |store, scene| {
        let leeds = store.branches().create("Leeds", None).unwrap().id;
        store.users().grant_administration(scene.ben, leeds).unwrap();
    });
}

#[test]
fn an_administration_that_was_withdrawn_in_another_process_is_gone() {
    let scene = Scene::new();
    let by_ada = scene.by_ada();
    assert_eq!(by_ada.subtrees().unwrap(), [Subtree::Branch(scene.york)]);
    assert_eq!(by_ada.users().count(&UserFilter::new()).unwrap(), 1);
    let sql = scene.world.sql();
    sql.execute("DELETE FROM administration", []).unwrap();
    assert_eq!(by_ada.subtrees().unwrap(), []);
    assert_eq!(by_ada.users().count(&UserFilter::new()).unwrap(), 0);
    assert_eq!(by_ada.users().find(scene.ben).unwrap(), None);
}

/// The fields of a principal are public, so a host can write anything into them.
#[test]
fn what_a_host_writes_into_a_principal_gives_nothing() {
    let scene = Scene::new();
    let cai = scene.world.person("cai").id;
    let mut forged = scene.principal;
    forged.is_admin = true;
    let by_ada = scene.world.store.administering(&forged);
    assert_eq!(by_ada.users().delete(cai).unwrap_err().kind(), ErrorKind::NotFound);
    forged.user = cai;
    let by_ada = scene.world.store.administering(&forged);
    assert_eq!(by_ada.users().delete(scene.ben).unwrap_err().kind(), ErrorKind::SessionEnded);
}

#[test]
fn an_api_key_administers_by_its_scopes() {
    let scene = Scene::new();
    let store = &scene.world.store;
    let key = |new: NewApiKey| {
        let key = store.api_keys().attenuate(&scene.principal, new).unwrap().key;
        let principal = store.verify((&key, None)).unwrap().valid().unwrap();
        store.administering(&principal).subtrees().unwrap()
    };
    let york = [Subtree::Branch(scene.york)];
    assert_eq!(key(NewApiKey::new()), york);
    assert_eq!(key(NewApiKey::new().scopes(["admin"])), []);
    store.users().set_privileges(scene.ada, &["admin", "read"]).unwrap();
    assert_eq!(key(NewApiKey::new().scopes(["read"])), []);
    assert_eq!(key(NewApiKey::new().scopes(["admin"])), [Subtree::Store]);
    assert_eq!(key(NewApiKey::new()), [Subtree::Store]);
}

/// A list reads as many pieces as there are users or places inside, whatever is outside.
#[test]
fn the_users_outside_change_no_statement_of_a_list() {
    let scene = Scene::new();
    let by_ada = scene.by_ada();
    let ask = || {
        let users = by_ada.users();
        let filter = UserFilter::new();
        let count = || {
            let branches = by_ada.branches().count(&BranchFilter::new()).unwrap();
            let organisations =
                by_ada.organisations().list(&OrganisationFilter::new(), Page::default()).unwrap();
            let by_name = users.find_by_username("u7").unwrap();
            (users.count(&filter).unwrap(), branches, organisations, by_name)
        };
        gatepost::testing::statements(count)
    };
    let before = ask();
    let sql = scene.world.sql();
    sql.execute_batch(
        "INSERT INTO user (id, status, kind, username, username_key, created_at, search_key,
             audit_salt)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
         SELECT randomblob(16), 'active', 'person', 'u' || i, 'u' || i, 0, '', zeroblob(16)
         FROM n",
    )
    .unwrap();
    for place in ["branch", "organisation"] {
        sql.execute_batch(&format!(
            "INSERT INTO {place} (id, name, created_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
             SELECT randomblob(16), 'North', 0 FROM n"
        ))
        .unwrap();
    }
    assert_eq!(ask(), before);
}
