//! Upkeep: what expired goes, without a change row; what lives stays.

use gatepost::{Maintained, NewUser, OpenSession};

use crate::world::{DAY, World, device};

#[test]
fn the_sweep_removes_what_expired_and_writes_no_change_row() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till-1"));
    world.store.sessions().open(open).unwrap().granted().unwrap();
    let head = world.head();
    assert_eq!(world.store.maintain().unwrap(), Maintained::default());
    world.clock.advance(DAY);
    assert_eq!(world.store.maintain().unwrap().sessions, 1);
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
    assert_eq!(world.head(), head);
}
