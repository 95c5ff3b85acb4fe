//! Changing the options that the file stores: in one process, and in several that have it open.

mod processes;

use gatepost::audit::EventKind;
use gatepost::policy::{ChangeAtLogin, Cost, Lockout, SecondFactorPolicy, SessionPolicy};
use gatepost::status::OpenWarning;
use gatepost::{ErrorKind, NewUser, Options, Store};

use crate::world::{DAY, HOUR, Meanwhile, World, for_tests};
pub(crate) use processes::role;

fn twice_the_address(store: &Store) {
    for name in ["ada", "bob"] {
        store.users().create(NewUser::person(name).email("shared@example.com")).unwrap();
    }
}

#[test]
fn a_change_is_one_row_of_the_log_that_names_the_options_and_no_change_is_none() {
    let world = World::new();
    let changed = &[EventKind::StoreOptionsChanged][..];
    world.leaves(changed, 0, |store| {
        store
            .change_options(|options| {
                options.lockout(Lockout::Permanent).audit_max_rows(5_000).service_name("Other")
            })
            .unwrap();
    });
    let detail = world.last_event().detail;
    assert_eq!(detail.as_deref(), Some("lockout, audit_max_rows, service_name"));
    world.leaves(&[], 0, |store| store.change_options(|options| options).unwrap());
    let same = |options: Options| options.lockout(Lockout::Permanent);
    world.leaves(&[], 0, |store| store.change_options(same).unwrap());
}

#[test]
fn an_option_of_the_file_is_changed_by_change_options_alone() {
    let world = World::new();
    world.store.close().unwrap();
    let with = |options: Options, name: &str| match name {
        "login_by_email" => options.login_by_email(true),
        "lockout" => options.lockout(Lockout::Permanent),
        "second_factor" => options.second_factor(SecondFactorPolicy::All),
        "audit_max_age" => options.audit_max_age(30 * DAY),
        "audit_max_rows" => options.audit_max_rows(2_000),
        other => panic!("{other}"),
    };
    for name in ["login_by_email", "lockout", "second_factor", "audit_max_age", "audit_max_rows"] {
        let change = |options| with(options, name);
        let with_it = || Store::open(&world.path, change(for_tests()));
        let refused = with_it().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert_eq!(refused.to_string(), format!("{name} has another value in the file"));
        let store = Store::open(&world.path, for_tests()).unwrap();
        store.change_options(change).unwrap();
        // Already open in this process: the file's option is in force there too.
        assert!(with_it().is_ok());
        let refused = Store::open(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        store.change_options(|_| for_tests()).unwrap();
        store.close().unwrap();
    }
}

#[test]
fn addresses_log_in_only_once_each_leads_to_one_user() {
    let world = World::new();
    twice_the_address(&world.store);
    let by_email = |store: &Store| store.change_options(|options| options.login_by_email(true));
    world.refuses(ErrorKind::Taken, by_email);
    let bob = world.store.users().find_by_username("bob").unwrap().unwrap().id;
    let users = world.store.users();
    users.set_email(bob, Some("bob@example.com")).unwrap();
    let other = users.create(NewUser::person("bob@example.com")).unwrap().id;
    world.refuses(ErrorKind::Taken, by_email);
    users.delete(other).unwrap();
    by_email(&world.store).unwrap();
    assert!(world.log_in("shared@example.com", "a wrong one", "till").is_err());
    let twice = NewUser::person("eve").email("shared@example.com");
    world.refuses(ErrorKind::Taken, |store| store.users().create(twice));
}

#[test]
fn an_address_of_a_deleted_user_and_a_name_that_is_its_own_address_are_no_obstacle() {
    let world = World::new();
    twice_the_address(&world.store);
    let bob = world.store.users().find_by_username("bob").unwrap().unwrap().id;
    world.store.users().delete(bob).unwrap();
    let own = NewUser::person("kim@example.com").email("kim@example.com");
    world.store.users().create(own).unwrap();
    world.store.change_options(|options| options.login_by_email(true)).unwrap();
}

#[test]
fn what_it_does_not_change_is_invalid_and_named() {
    let world = World::new();
    let refuses = |says: &str, change: &dyn Fn(Options) -> Options| {
        let refused = world.leaves(&[], 0, |store| store.change_options(change)).unwrap_err();
        assert_eq!((refused.kind(), refused.to_string().as_str()), (ErrorKind::Invalid, says));
    };
    let of_process = "change_options: max_waiting_hashes is an option of the process and is not \
                      stored";
    refuses(of_process, &|options| options.max_waiting_hashes(3));
    let of_process = "change_options: dangerous is an option of the process and is not stored";
    refuses(of_process, &|options| options.dangerous().allow_hard_links());
    let for_good = "change_options: for_tests is decided when a file is created";
    let cheap = Cost::insecure_for_tests();
    refuses(for_good, &|_| Options::server());
    let bounds = "lifetime (60 d) exceeds max_lifetime (30 d)";
    refuses(bounds, &|options| options.sessions(SessionPolicy::server().lifetime(60 * DAY)));
    let given = "change_options: the closure returned Options::stored() instead of the options \
                 that it was given";
    refuses(given, &|_| Options::stored());
    world.store.change_options(|options| options.cost(cheap)).unwrap();
}

#[test]
fn a_changed_policy_is_what_stored_options_open_with_and_the_process_keeps_its_own() {
    let world = World::new();
    world
        .store
        .change_options(|options| {
            options.service_name("Other").change_at_login(ChangeAtLogin::Always)
        })
        .unwrap();
    assert_eq!(world.store.service().name, "Gatepost");
    world.store.close().unwrap();
    let stored = Store::open(&world.path, Options::stored()).unwrap();
    assert_eq!(stored.service().name, "Other");
    stored.close().unwrap();
    let own = Store::open(&world.path, for_tests()).unwrap();
    let expected = ["service_name", "change_at_login"].map(OpenWarning::OptionDiffers);
    assert_eq!(own.status().open_warnings, expected);
}

/// A tool without the check changes something else: the file goes on saying that there is one.
#[test]
fn whether_a_breach_check_is_in_use_changes_only_if_it_is_said() {
    let world = World::with(|options| options.breach_check(Meanwhile::default().check()));
    world.store.close().unwrap();
    let tool = Store::open(&world.path, Options::stored()).unwrap();
    tool.change_options(|options| options.service_name("Other")).unwrap();
    assert_eq!(world.count("SELECT value = 'yes' FROM policy WHERE name = 'breach_check'"), 1);
    tool.change_options(Options::no_breach_check).unwrap();
    assert_eq!(world.count("SELECT value = 'yes' FROM policy WHERE name = 'breach_check'"), 0);
    tool.close().unwrap();
    let tool = Store::open(&world.path, Options::stored()).unwrap();
    tool.users().create(NewUser::person("ada").password(crate::world::PASSWORD.into())).unwrap();
}

#[test]
fn an_age_limit_is_in_force_at_the_next_write() {
    let world = World::new();
    world.store.organisations().create("Northern").unwrap();
    world.clock.advance(2 * DAY);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().audit_rows, 0);
    world.store.change_options(|options| options.audit_max_age(DAY + HOUR)).unwrap();
    assert_eq!(world.last_event().seq, 3);
    assert_eq!(world.count("SELECT min(seq) FROM audit"), 3);
}
