//! A revocation changes one row, whatever it reaches. `operations.rs` tests what revokes what.

mod rows;
mod stories;
mod unended;

use gatepost::testing::open_many;

use crate::world::World;
use rows::Rows;

/// Too many to delete one by one.
const MANY: usize = 100_000;

#[test]
fn ending_a_hundred_thousand_sessions_changes_one_row() {
    let world = World::new();
    let ada = world.person("ada").id;
    let opened = open_many(&world.store, ada, MANY).unwrap();
    let before = Rows::of(&world);
    world.store.sessions().revoke_all(ada).unwrap();
    assert_eq!(before.changed(), ["change +1", "user ~1"]);
    assert_eq!(world.count("SELECT count(*) FROM session"), i64::try_from(MANY).unwrap());
    for one in opened.iter().step_by(MANY / 50) {
        let verdict = world.store.verify((&one.token, &one.device)).unwrap();
        assert!(verdict.valid().is_err());
    }
    assert!(world.sessions_of(ada).is_empty());
    assert!(world.log_in("ada", crate::world::PASSWORD, "till-1").is_ok());
}
