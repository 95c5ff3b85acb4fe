//! The stricter of backup and file counts, unless the caller wants all as in the backup.

use std::collections::HashSet;

use gatepost::backup::{RestoreOptions, Stricter};
use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::{LoginRefusal, NewUser, Password, Store, UserId};

use super::{backs_up, copy, restores};
use crate::world::{HOUR, PASSWORD, World, device};

const OTHER: &str = "a later long password";

/// Restores twice: with the stricter of both, and then with all as in the backup. `is_strict` must
/// find it so, and then not.
#[track_caller]
pub(super) fn check(world: &World, expect: &[Stricter], is_strict: impl Fn(&World) -> bool) {
    assert!(is_strict(world), "before");
    // What `is_strict` does may be a failed attempt, and ids of one moment have no order.
    let of_attempts = |one: &Stricter| matches!(one, Stricter::FailedAttempts(_));
    let mut found = restores(world).stricter;
    found.retain(|one| !of_attempts(one) || expect.iter().any(of_attempts));
    assert_eq!(HashSet::<_>::from_iter(&found), HashSet::from_iter(expect));
    assert_eq!(found.len(), expect.len());
    assert!(is_strict(world), "after a restore");
    let options = RestoreOptions::new(world.options.clone()).all_as_in_backup();
    let report = Store::restore(copy(world), &world.path, options).unwrap();
    assert_eq!(report.stricter, []);
    assert!(!is_strict(world), "after one that takes all");
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

fn may_log_in(world: &World, name: &str, password: &str) -> Result<(), LoginRefusal> {
    // Beyond every wait that an earlier failure began.
    world.clock.advance(2 * HOUR);
    world.log_in(name, password, "till-9").map(drop)
}

#[test]
fn a_deleted_user_stays_deleted() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = NewUser::person("ada").password(Password::from(PASSWORD)).branch(york);
    let ada = world.store.users().create(new).unwrap().id;
    backs_up(&world);
    world.store.users().delete(ada).unwrap();
    check(&world, &[Stricter::UserDeleted(ada)], |world| {
        may_log_in(world, "ada", PASSWORD) == Err(LoginRefusal::InvalidCredentials)
    });
    // The other way round: deleted in the backup alone.
    world.store.users().delete(ada).unwrap();
    std::fs::remove_file(copy(&world)).unwrap();
    backs_up(&world);
    world.store.users().restore(ada).unwrap();
    assert_eq!(restores(&world).stricter, []);
    assert_eq!(world.count("SELECT count(*) FROM user WHERE deleted_at IS NOT NULL"), 1);
}

#[test]
fn an_administration_stays_withdrawn() {
    let world = World::new();
    let ada = world.person("ada").id;
    let york = world.store.branches().create("York", None).unwrap().id;
    let leeds = world.store.branches().create("Leeds", None).unwrap().id;
    for branch in [york, leeds] {
        world.store.users().grant_administration(ada, branch).unwrap();
    }
    backs_up(&world);
    world.store.users().withdraw_administration(ada, york).unwrap();
    check(&world, &[Stricter::Administration(ada)], |world| {
        world.store.users().administrations(ada).unwrap() == [gatepost::Subtree::Branch(leeds)]
    });
}

#[test]
fn an_external_identity_stays_unlinked() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.store.external_identities().link(ada, "https://id.example", "7").unwrap();
    backs_up(&world);
    world.store.external_identities().unlink(ada, "https://id.example", "7").unwrap();
    check(&world, &[Stricter::ExternalIdentity(ada)], |world| {
        world.store.external_identities().find("https://id.example", "7").unwrap().is_none()
    });
}

#[test]
fn a_status_stays_the_stricter_one_of_both() {
    use UserStatus::{Active, Disabled, Locked, Pending};
    let order = [Active, Pending, Locked, Disabled];
    for (at, saved) in order.into_iter().enumerate() {
        for (now_at, now) in order.into_iter().enumerate() {
            let world = World::new();
            let ada = world.person("ada").id;
            world.store.users().set_status(ada, saved).unwrap();
            backs_up(&world);
            world.store.users().set_status(ada, now).unwrap();
            let report = restores(&world);
            let stays: &[_] = if now_at > at { &[Stricter::UserStatus(ada)] } else { &[] };
            assert_eq!(report.stricter, stays, "{saved:?} {now:?}");
            assert_eq!(world.user(ada).status, order[at.max(now_at)], "{saved:?} {now:?}");
        }
    }
}

/// The password in the backup may be the stolen one.
#[test]
fn a_password_that_was_replaced_removed_or_marked_does_not_come_back() {
    type Change = fn(&Store, UserId);
    let changes: [(Change, bool); 4] = [
        (|store, ada| store.users().set_password(ada, Password::from(OTHER)).unwrap(), true),
        (|store, ada| store.users().remove_password(ada).map(drop).unwrap(), false),
        (|store, ada| store.users().mark_compromised(ada).map(drop).unwrap(), false),
        (
            |store, ada| {
                store.users().mark_compromised(ada).unwrap();
                store.users().set_password(ada, Password::from(OTHER)).unwrap();
            },
            true,
        ),
    ];
    for (change, has_other) in changes {
        let world = World::new();
        let ada = world.person("ada").id;
        backs_up(&world);
        change(&world.store, ada);
        check(&world, &[Stricter::Password(ada)], |world| {
            let may = may_log_in(world, "ada", OTHER).is_ok();
            may == has_other && may_log_in(world, "ada", PASSWORD).is_err()
        });
    }
}

#[test]
fn a_mark_in_the_backup_alone_ends_only_with_a_later_password() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.store.users().mark_compromised(ada).unwrap();
    backs_up(&world);
    world.store.users().set_password(ada, Password::from(OTHER)).unwrap();
    restores(&world);
    assert!(may_log_in(&world, "ada", OTHER).is_ok());
}

#[test]
fn failed_attempts_and_the_wait_after_them_stay() {
    let world = World::new();
    let ada = world.person("ada").id;
    backs_up(&world);
    for _ in 0..6 {
        let _ = may_log_in(&world, "ada", "wrong");
    }
    let failures = world.user(ada).failed_attempts;
    assert!(failures >= 5);
    check(&world, &[Stricter::FailedAttempts(ada)], |world| {
        world.user(ada).failed_attempts == failures
    });
}

#[test]
fn a_forgotten_device_stays_forgotten() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.open(ada, "till-1");
    backs_up(&world);
    world.store.devices().forget(ada, &device("till-1")).unwrap();
    check(&world, &[Stricter::Device(ada)], |world| {
        world.count("SELECT count(*) FROM device") == 0
    });
}

#[test]
fn a_place_that_was_disabled_or_deleted_is_inactive() {
    let world = World::new();
    let north = world.store.organisations().create("Northern").unwrap().id;
    let south = world.store.organisations().create("Southern").unwrap().id;
    let york = world.store.branches().create("York", north).unwrap().id;
    let dover = world.store.branches().create("Dover", south).unwrap().id;
    backs_up(&world);
    world.store.branches().set_active(york, false).unwrap();
    world.store.organisations().set_active(north, false).unwrap();
    world.store.branches().delete(dover).unwrap();
    world.store.organisations().delete(south).unwrap();
    let expect = [
        Stricter::OrganisationInactive(north),
        Stricter::OrganisationInactive(south),
        Stricter::BranchInactive(york),
        Stricter::BranchInactive(dover),
    ];
    check(&world, &expect, |world| {
        let active =
            |table: &str| world.count(&format!("SELECT count(*) FROM {table} WHERE active = 1"));
        active("branch") + active("organisation") == 0
    });
}

#[test]
fn the_lower_count_of_credits_stays_and_a_count_is_not_lost() {
    let world = World::new();
    let north = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", north).unwrap().id;
    let dover = world.store.branches().create("Dover", north).unwrap().id;
    let credits = world.store.credits();
    credits.set(CreditHolder::Branch(york), 50).unwrap();
    credits.set(CreditHolder::Branch(dover), 5).unwrap();
    backs_up(&world);
    credits.spend(CreditHolder::Branch(york), 20).unwrap();
    credits.add(CreditHolder::Branch(dover), 20).unwrap();
    credits.set(CreditHolder::Organisation(north), 7).unwrap();
    let expect = [Stricter::OrganisationCredits(north), Stricter::BranchCredits(york)];
    check(&world, &expect, |world| {
        let left = |holder| world.store.credits().remaining(holder).unwrap();
        left(CreditHolder::Branch(york)) == Some(30)
            && left(CreditHolder::Organisation(north)) == Some(7)
    });
    assert_eq!(credits.remaining(CreditHolder::Branch(dover)).unwrap(), Some(5));
}

#[test]
fn the_report_lists_what_was_not_brought_back() {
    let world = World::new();
    world.person("ada");
    backs_up(&world);
    let ben = world.person("ben").id;
    let gone = world.person("cyd").id;
    world.store.users().delete(gone).unwrap();
    let north = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", north).unwrap().id;
    let report = restores(&world);
    assert_eq!(report.users_not_brought_back, [ben]);
    assert_eq!(report.branches_not_brought_back, [york]);
    assert_eq!(report.organisations_not_brought_back, [north]);
    assert!(world.store.users().find(ben).unwrap().is_none());
}
