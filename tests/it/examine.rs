//! The examination of a store: silence on a whole one, and each kind of finding.

use std::sync::Arc;

use gatepost::policy::{Cost, SecondFactorPolicy};
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::status::{Examination, RefusalCause};
use gatepost::{NewUser, Options, Store};

use crate::world::{DAY, HOUR, MINUTE, World, for_tests};

fn examine(world: &World) -> Examination {
    world.store.examine().unwrap()
}

#[test]
fn a_whole_store_has_no_damage_and_an_examination_changes_nothing() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.open(ada, "till-1");
    let head = world.head();
    let writes = world.store.status().writes;
    let found = examine(&world);
    assert!(found.damage.is_empty() && found.orphan_tables.is_empty(), "{found:?}");
    assert_eq!((found.overdue_rows, found.factors_missing), (0, 0));
    assert!(found.is_for_tests);
    assert_eq!(found.change_rows, world.count("SELECT count(*) FROM change") as u64);
    assert_eq!((world.head(), world.store.status().writes), (head, writes));
}

#[test]
fn a_constraint_that_a_hand_broke_is_damage_without_stored_data() {
    let world = World::new();
    world.store.organisations().create("Northern").unwrap();
    let sql = world.sql();
    sql.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE organisation SET active = 7")
        .unwrap();
    let damage = examine(&world).damage;
    assert_eq!(damage, ["CHECK constraint failed in organisation"]);
}

#[test]
fn a_row_whose_owner_a_hand_deleted_is_an_orphan() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    world.store.users().create(NewUser::person("ada").branch(york)).unwrap();
    let sql = world.sql();
    sql.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM branch").unwrap();
    assert_eq!(examine(&world).orphan_tables, ["user"]);
}

#[test]
fn an_expired_session_is_overdue_once_a_sweep_may_delete_it() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.open(ada, "till-1");
    world.clock.advance(2 * DAY);
    assert_eq!(examine(&world).overdue_rows, 0);
    world.believe_clock();
    assert_eq!(examine(&world).overdue_rows, 1);
    world.store.maintain().unwrap();
    assert_eq!(examine(&world).overdue_rows, 0);
}

#[test]
fn hashes_are_counted_by_cost_and_the_cheaper_ones_are_marked() {
    let world = World::new();
    world.person("ada");
    world.person("ben");
    world.store.close().unwrap();
    let options = world.options.clone().cost(Cost::recommended());
    let store = Store::open(&world.path, options).unwrap();
    store.users().create(NewUser::person("cyd").password("lantern over slate".into())).unwrap();
    let costs = store.examine().unwrap().hash_costs;
    let costs: Vec<_> =
        costs.iter().map(|one| (one.cost.as_str(), one.users, one.is_cheaper)).collect();
    assert_eq!(
        costs,
        [("$argon2id$v=19$m=8,t=1,p=1", 2, true), ("$argon2id$v=19$m=19456,t=2,p=1", 1, false)]
    );
}

#[test]
fn users_who_must_have_a_second_factor_and_have_none_are_counted() {
    let options = for_tests().dangerous().allow_unsealed_totp_secrets();
    let world = World::with(|_| options);
    let store = &world.store;
    let ada = store.users().create(NewUser::person("ada").privilege("admin")).unwrap().id;
    world.person("ben");
    store.users().create(NewUser::system("job").privilege("admin")).unwrap();
    let missing = |policy| {
        store.change_options(|options| options.second_factor(policy)).unwrap();
        examine(&world).factors_missing
    };
    assert_eq!(missing(SecondFactorPolicy::Optional), 0);
    assert_eq!(missing(SecondFactorPolicy::Administrators), 1);
    assert_eq!(missing(SecondFactorPolicy::All), 2);
    let secret = TotpSecret::new(vec![7; 20]).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    assert_eq!(missing(SecondFactorPolicy::Administrators), 0);
    assert_eq!(missing(SecondFactorPolicy::All), 1);
}

/// Once nothing said why each code of the user was refused after the clock was right again.
#[test]
fn a_factor_whose_codes_a_clock_that_was_ahead_used_up_is_found() {
    let mut world = World::with(|options| options.dangerous().allow_unsealed_totp_secrets());
    let ada = world.person("ada").id;
    let right = world.now();
    world.clock.advance(DAY);
    let secret = TotpSecret::new(vec![7; 20]).unwrap();
    world.store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    assert_eq!(examine(&world).factors_ahead, []);
    let ahead = world.now();
    // A code of a process whose clock is a minute ahead is none of these.
    for (now, is_found) in [(right, true), (ahead - 2 * MINUTE, true), (ahead - MINUTE, false)] {
        world.clock.set(now);
        world.reopen();
        assert_eq!(examine(&world).factors_ahead.contains(&ada), is_found);
        let why = world.store.explain_user(ada).unwrap();
        let cause = if is_found { RefusalCause::Clock } else { RefusalCause::Accepted };
        assert_eq!((why.cause, why.at.is_some_and(|at| at > ahead)), (cause, is_found));
    }
    world.clock.set(right);
    world.reopen();
    assert!(world.store.second_factors().reset(ada).unwrap());
    assert_eq!(examine(&world).factors_ahead, []);
}

#[test]
fn a_file_that_is_not_for_tests_says_so_and_a_running_clock_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = gatepost::host::ManualClock::new(crate::world::morning());
    let options = Options::server().clock(Arc::new(clock.clone()));
    let store = Store::open(directory.path().join("auth.db"), options).unwrap();
    let before = store.examine().unwrap();
    clock.advance(HOUR);
    assert_eq!(store.examine().unwrap(), before);
    assert!(!before.is_for_tests && before.hash_costs.is_empty());
}
