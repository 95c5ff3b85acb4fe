//! Each rule on its own, where the matrix has them all: York and Leeds are branches of North and of
//! South, and ada administers York.

use std::collections::BTreeSet;
use std::time::Duration;

use gatepost::administration::Administration;
use gatepost::directory::{BranchFilter, UserFilter, UserStatus};
use gatepost::sessions::{Impersonation, NewApiKey};
use gatepost::{BranchId, Error, ErrorKind, NewUser, OrganisationId, Page, Subtree, UserId};

use crate::world::{PASSWORD, World, device};

use ErrorKind::{NotFound, NotPermitted};

struct Scene {
    world: World,
    north: OrganisationId,
    south: OrganisationId,
    york: BranchId,
    leeds: BranchId,
    ada: UserId,
    /// In York.
    ben: UserId,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let store = &world.store;
        let [north, south] =
            ["North", "South"].map(|name| store.organisations().create(name).unwrap().id);
        let york = store.branches().create("York", north).unwrap().id;
        let leeds = store.branches().create("Leeds", south).unwrap().id;
        let new = |name: &str| NewUser::person(name).branch(york);
        let ada = store.users().create(new("ada").privilege("read")).unwrap().id;
        let ben = store.users().create(new("ben")).unwrap().id;
        store.users().grant_administration(ada, york).unwrap();
        Self { world, north, south, york, leeds, ada, ben }
    }

    /// The handles of a user, in a session of its own.
    fn by(&self, user: UserId) -> Administration {
        let session = self.world.open(user, "till");
        let verdict = self.world.store.verify((&session.token, &device("till"))).unwrap();
        self.world.store.administering(&verdict.valid().unwrap())
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, kind: ErrorKind) {
    assert_eq!(answer.unwrap_err().kind(), kind);
}

#[test]
fn a_user_outside_is_in_no_list_and_no_count() {
    let scene = Scene::new();
    let cai = scene.world.store.users().create(NewUser::person("cai").branch(scene.leeds));
    let cai = cai.unwrap().id;
    let by_ada = scene.by(scene.ada);
    let all = UserFilter::new();
    let names = by_ada.users().list(&all, Page::default()).unwrap();
    let names: BTreeSet<String> = names.into_iter().map(|user| user.username).collect();
    assert_eq!(names, BTreeSet::from(["ada".into(), "ben".into()]));
    assert_eq!(by_ada.users().count(&all).unwrap(), 2);
    assert_eq!(by_ada.users().find(cai).unwrap(), None);
    assert_eq!(by_ada.users().find_by_username("cai").unwrap(), None);
    refused(by_ada.users().delete(cai), NotFound);
    // A deleted user is where it was.
    scene.world.store.users().delete(cai).unwrap();
    scene.world.store.users().delete(scene.ben).unwrap();
    let deleted = UserFilter::new().deleted();
    assert_eq!(by_ada.users().count(&deleted).unwrap(), 1);
    refused(by_ada.users().restore(cai), NotFound);
    assert_eq!(by_ada.users().restore(scene.ben).unwrap().id, scene.ben);
}

#[test]
fn no_user_administers_as_another() {
    let scene = Scene::new();
    let store = &scene.world.store;
    let root = store.users().create(NewUser::person("root").privilege("admin")).unwrap().id;
    let own = scene.world.open(root, "desk");
    let own = store.verify((&own.token, &device("desk"))).unwrap().valid().unwrap();
    let as_ada = Impersonation::new(scene.ada, device("window"));
    let as_ada = store.sessions().impersonate(&own, as_ada).unwrap().granted().unwrap().session;
    let as_ada = store.verify((&as_ada.token, &device("window"))).unwrap().valid().unwrap();
    let by_ada = store.administering(&as_ada);
    refused(by_ada.users().list(&UserFilter::new(), Page::default()), NotPermitted);
    refused(by_ada.users().delete(scene.ben), NotPermitted);
    refused(by_ada.subtrees(), NotPermitted);
    assert!(scene.by(scene.ada).users().find(scene.ben).unwrap().is_some());
}

#[test]
fn a_filter_does_not_say_to_which_organisation_a_branch_belongs() {
    let scene = Scene::new();
    let by_ada = scene.by(scene.ada);
    let of_north = UserFilter::new().organisation(scene.north);
    assert_eq!(by_ada.users().count(&of_north).unwrap(), 0);
    assert_eq!(by_ada.users().list(&of_north, Page::default()).unwrap(), []);
    let of_north = BranchFilter::new().organisation(scene.north);
    assert_eq!(by_ada.branches().count(&of_north).unwrap(), 0);
    assert_eq!(by_ada.branches().list(&of_north, Page::default()).unwrap(), []);
    assert_eq!(by_ada.branches().find(scene.york).unwrap().unwrap().organisation, None);
    let all = by_ada.branches().list(&BranchFilter::new(), Page::default()).unwrap();
    assert_eq!((all.len(), all[0].organisation), (1, None));
    assert_eq!(by_ada.organisations().find(scene.north).unwrap(), None);
    // The administrator of the organisation sees it.
    scene.world.store.users().grant_administration(scene.ada, scene.north).unwrap();
    let york = by_ada.branches().find(scene.york).unwrap().unwrap();
    assert_eq!(york.organisation, Some(scene.north));
}

#[test]
fn no_administrator_touches_one_of_more() {
    let scene = Scene::new();
    let users = scene.world.store.users();
    let by_ada = scene.by(scene.ada);
    let set = || by_ada.users().set_password(scene.ben, PASSWORD.into());
    set().unwrap();
    // One of the same is one of no more.
    users.grant_administration(scene.ben, scene.york).unwrap();
    set().unwrap();
    for more in [Subtree::Organisation(scene.north), Subtree::Branch(scene.leeds)] {
        users.grant_administration(scene.ben, more).unwrap();
        refused(set(), NotPermitted);
        refused(by_ada.users().withdraw_administration(scene.ben, scene.york), NotPermitted);
        refused(by_ada.sessions().revoke_all(scene.york), NotPermitted);
        assert_eq!(by_ada.users().administrations(scene.ben).unwrap(), [scene.york.into()]);
        users.withdraw_administration(scene.ben, more).unwrap();
    }
    users.set_privileges(scene.ben, &["admin"]).unwrap();
    refused(set(), NotPermitted);
    // It is listed all the same.
    assert!(by_ada.users().find(scene.ben).unwrap().is_some());
    users.set_privileges(scene.ada, &["admin"]).unwrap();
    set().unwrap();
}

#[test]
fn no_administrator_changes_its_own_user() {
    let scene = Scene::new();
    let by_ada = scene.by(scene.ada);
    refused(by_ada.users().set_password(scene.ada, PASSWORD.into()), NotPermitted);
    refused(by_ada.users().set_status(scene.ada, UserStatus::Locked), NotPermitted);
    refused(by_ada.second_factors().reset(scene.ada), NotPermitted);
    scene.world.store.users().set_privileges(scene.ada, &["admin"]).unwrap();
    refused(by_ada.users().set_privileges(scene.ada, &[]), NotPermitted);
    assert!(by_ada.users().find(scene.ada).unwrap().is_some());
}

#[test]
fn no_administrator_grants_what_it_lacks() {
    let scene = Scene::new();
    let store = &scene.world.store;
    let by_ada = scene.by(scene.ada);
    let new = |name: &str| NewUser::person(name).branch(scene.york);
    refused(by_ada.users().create(new("cai").privilege("admin")), NotPermitted);
    refused(by_ada.users().create(new("cai").privileges(["read", "write"])), NotPermitted);
    by_ada.users().create(new("cai").privilege("read")).unwrap();
    refused(by_ada.users().create(NewUser::person("dee")), NotPermitted);
    refused(by_ada.users().create(NewUser::person("dee").branch(scene.leeds)), NotFound);

    refused(by_ada.users().set_privileges(scene.ben, &["write"]), NotPermitted);
    refused(by_ada.users().set_privileges(scene.ben, &["admin"]), NotPermitted);
    // What the user has already is no grant, and anything may be withdrawn.
    store.users().set_privileges(scene.ben, &["write"]).unwrap();
    by_ada.users().set_privileges(scene.ben, &["read", "write"]).unwrap();
    refused(by_ada.api_keys().issue(scene.ben, NewApiKey::new()), NotPermitted);
    let only_read = NewApiKey::new().scopes(["read"]);
    let key = by_ada.api_keys().issue(scene.ben, only_read).unwrap();
    by_ada.api_keys().rotate(key.id, Duration::ZERO).unwrap();
    let all = store.api_keys();
    all.revoke_all(scene.ben).unwrap();
    let key = all.issue(scene.ben, NewApiKey::new()).unwrap();
    refused(by_ada.api_keys().rotate(key.id, Duration::ZERO), NotPermitted);
    by_ada.users().set_privileges(scene.ben, &[]).unwrap();

    for (of, kind) in [
        (scene.north.into(), NotFound),
        (scene.leeds.into(), NotFound),
        (Subtree::Store, ErrorKind::Invalid),
    ] {
        refused(by_ada.users().grant_administration(scene.ben, of), kind);
    }
    assert!(by_ada.users().grant_administration(scene.ben, scene.york).unwrap());
    refused(by_ada.users().move_to(scene.ben, None), NotPermitted);
    refused(by_ada.users().move_to(scene.ben, scene.leeds), NotFound);
}

#[test]
fn a_key_of_fewer_scopes_hands_out_no_more_than_its_scopes() {
    let scene = Scene::new();
    let store = &scene.world.store;
    store.users().set_privileges(scene.ada, &["admin", "read"]).unwrap();
    let key = store.api_keys().issue(scene.ada, NewApiKey::new().scopes(["admin"])).unwrap().key;
    let principal = store.verify((&key, None)).unwrap().valid().unwrap();
    let by_key = store.administering(&principal);
    refused(by_key.users().set_privileges(scene.ben, &["read"]), NotPermitted);
    by_key.users().set_privileges(scene.ben, &["admin"]).unwrap();
}

#[test]
fn the_administrator_of_a_branch_administers_what_is_in_it() {
    let scene = Scene::new();
    let by_ada = scene.by(scene.ada);
    let branches = by_ada.branches();
    refused(branches.rename(scene.york, "York station"), NotPermitted);
    refused(branches.set_active(scene.york, false), NotPermitted);
    refused(branches.move_to(scene.york, None), NotPermitted);
    refused(branches.delete(scene.york), NotPermitted);
    refused(branches.rename(scene.leeds, "Leeds station"), NotFound);
    refused(branches.create("Hull", scene.north), NotFound);
    refused(branches.create("Hull", None), NotPermitted);

    scene.world.store.users().grant_administration(scene.ada, scene.north).unwrap();
    branches.rename(scene.york, "York station").unwrap();
    refused(branches.move_to(scene.york, scene.south), NotFound);
    refused(branches.move_to(scene.york, None), NotPermitted);
    let hull = branches.create("Hull", scene.north).unwrap().id;
    branches.delete(hull).unwrap();
}

#[test]
fn a_place_with_an_administrator_of_more_in_it_is_left_alone() {
    let scene = Scene::new();
    let store = &scene.world.store;
    store.users().grant_administration(scene.ada, scene.north).unwrap();
    store.users().move_to(scene.ada, scene.leeds).unwrap();
    let by_ada = scene.by(scene.ada);
    by_ada.branches().set_active(scene.york, false).unwrap();
    by_ada.branches().set_active(scene.york, true).unwrap();
    by_ada.sessions().revoke_all(scene.north).unwrap();
    store.users().set_privileges(scene.ben, &["admin"]).unwrap();
    refused(by_ada.branches().set_active(scene.york, false), NotPermitted);
    refused(by_ada.sessions().revoke_all(scene.york), NotPermitted);
    refused(by_ada.sessions().revoke_all(scene.north), NotPermitted);
    refused(by_ada.sessions().revoke_all(Subtree::Store), NotPermitted);
    by_ada.branches().rename(scene.york, "York station").unwrap();
}
