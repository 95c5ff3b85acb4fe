//! The lifecycle of organisations and branches.

use gatepost::audit::EventKind;
use gatepost::sessions::{IssuedApiKey, NewApiKey, OpenSession};
use gatepost::{BranchId, ErrorKind, NewUser, OrganisationId, Secret};

use crate::world::{World, device};

#[test]
fn an_organisation_made_inactive_ends_what_is_under_it_with_one_change() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let off = world
        .leaves(&[EventKind::OrganisationDeactivated], 1, |store| {
            store.organisations().set_active(northern, false)
        })
        .unwrap();
    assert!(!off.active);
    assert_eq!(watermarks(&world, "organisation"), (world.head(), world.head()));
    assert_eq!(world.store.organisations().find(northern).unwrap(), Some(off));
}

#[test]
fn an_organisation_made_active_again_brings_nothing_back() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    world.store.organisations().set_active(northern, false).unwrap();
    let ended = watermarks(&world, "organisation");
    let on = world
        .leaves(&[EventKind::OrganisationActivated], 1, |store| {
            store.organisations().set_active(northern, true)
        })
        .unwrap();
    assert!(on.active);
    assert_eq!(watermarks(&world, "organisation"), ended);
}

#[test]
fn a_branch_is_made_inactive_and_active_in_the_same_way() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    world
        .leaves(&[EventKind::BranchDeactivated], 1, |store| {
            store.branches().set_active(york, false)
        })
        .unwrap();
    let ended = watermarks(&world, "branch");
    assert_eq!(ended, (world.head(), world.head()));
    let on = world
        .leaves(&[EventKind::BranchActivated], 1, |store| store.branches().set_active(york, true))
        .unwrap();
    assert!(on.active);
    assert_eq!(watermarks(&world, "branch"), ended);
}

#[test]
fn the_same_state_again_leaves_nothing() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    world.leaves(&[], 0, |store| store.organisations().set_active(northern, true)).unwrap();
    world.leaves(&[], 0, |store| store.branches().set_active(york, true)).unwrap();
    world.leaves(&[], 0, |store| store.branches().move_to(york, northern)).unwrap();
    world.store.branches().set_active(york, false).unwrap();
    world.leaves(&[], 0, |store| store.branches().set_active(york, false)).unwrap();
}

#[test]
fn a_moved_branch_takes_along_what_was_ended_where_it_was() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    world.store.organisations().set_active(northern, false).unwrap();
    let ended = watermarks(&world, "organisation");
    check_move(&world, york, None, ended);
    world.store.organisations().set_active(northern, true).unwrap();
    check_move(&world, york, Some(northern), ended);

    world.store.branches().set_active(york, false).unwrap();
    let own = watermarks(&world, "branch");
    assert!(own > ended);
    check_move(&world, york, None, own);
}

#[test]
fn a_branch_moves_to_no_organisation_that_is_not_there() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap();
    let unknown: OrganisationId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.branches().move_to(york.id, unknown));
    assert_eq!(world.store.branches().find(york.id).unwrap(), Some(york));
}

#[test]
fn a_moved_branch_keeps_its_sessions_and_they_report_the_new_place() {
    let place = Place::new();
    let southern = place.world.store.organisations().create("Southern").unwrap().id;
    for to in [Some(southern), None, Some(place.northern)] {
        place.world.store.branches().move_to(place.york, to).unwrap();
        let verdict = place.world.store.verify((&place.session, &device("till"))).unwrap();
        let principal = verdict.valid().unwrap();
        assert_eq!((principal.branch, principal.organisation), (Some(place.york), to));
    }
}

#[test]
fn a_move_brings_back_nothing_that_was_ended_where_the_branch_was() {
    let place = Place::new();
    place.world.store.organisations().set_active(place.northern, false).unwrap();
    place.world.store.branches().move_to(place.york, None).unwrap();
    assert!(!place.session_verifies());
    assert!(place.key_verifies());
}

#[test]
fn a_session_older_than_the_last_end_of_the_new_place_ends_there() {
    let place = Place::new();
    let southern = place.world.store.organisations().create("Southern").unwrap().id;
    place.world.store.organisations().set_active(southern, false).unwrap();
    place.world.store.organisations().set_active(southern, true).unwrap();
    assert!(place.session_verifies());
    place.world.store.branches().move_to(place.york, southern).unwrap();
    assert!(!place.session_verifies());
    place.world.store.branches().move_to(place.york, None).unwrap();
    assert!(!place.session_verifies());
}

/// A user with a session and a key, in a branch of an organisation.
struct Place {
    world: World,
    northern: OrganisationId,
    york: BranchId,
    session: Secret,
    key: IssuedApiKey,
}

impl Place {
    fn new() -> Self {
        let world = World::new();
        let store = &world.store;
        let northern = store.organisations().create("Northern").unwrap().id;
        let york = store.branches().create("York", northern).unwrap().id;
        let ada = store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
        let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        let open = OpenSession::new(ada, device("till"));
        let session = store.sessions().open(open).unwrap().granted().unwrap().session.token;
        Self { world, northern, york, session, key }
    }

    fn session_verifies(&self) -> bool {
        let verdict = self.world.store.verify((&self.session, &device("till"))).unwrap();
        verdict.valid().is_ok()
    }

    fn key_verifies(&self) -> bool {
        self.world.store.verify((&self.key.key, None)).unwrap().valid().is_ok()
    }
}

#[track_caller]
fn check_move(
    world: &World,
    branch: BranchId,
    to: Option<OrganisationId>,
    expect_ended: (i64, i64),
) {
    let moved = world
        .leaves(&[EventKind::BranchMoved], 1, |store| store.branches().move_to(branch, to))
        .unwrap();
    assert_eq!(moved.organisation, to);
    assert_eq!(world.store.branches().find(branch).unwrap(), Some(moved));
    assert_eq!(watermarks(world, "branch"), expect_ended);
}

/// Of the one row of that table: up to where its sessions and its tokens are ended.
fn watermarks(world: &World, table: &str) -> (i64, i64) {
    (
        world.count(&format!("SELECT sessions_ended_seq FROM {table}")),
        world.count(&format!("SELECT tokens_ended_seq FROM {table}")),
    )
}
