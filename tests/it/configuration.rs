//! Configuration: keys in their case, values in four scopes, the narrowest in force.

use gatepost::audit::EventKind;
use gatepost::configuration::{Configuration, Setting};
use gatepost::directory::ImportRecord;
use gatepost::{BranchId, ErrorKind, NewUser, OrganisationId, Page, Subtree, UserId};
use proptest::prelude::*;

use crate::world::World;

const SET: &[EventKind] = &[EventKind::ConfigurationSet];
const UNKNOWN: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

#[test]
fn a_key_keeps_the_case_in_which_it_was_first_written() {
    let world = World::new();
    let first = world
        .leaves(SET, 0, |store| {
            store.configuration().set(Subtree::Store, "support.Pagination", "False")
        })
        .unwrap();
    check(&first, "support.Pagination", "False", Subtree::Store, false);
    let second = world
        .leaves(SET, 0, |store| {
            store.configuration().set(Subtree::Store, "SUPPORT.PAGINATION", "1")
        })
        .unwrap();
    check(&second, "support.Pagination", "1", Subtree::Store, false);
    assert_eq!(get(&world, Subtree::Store, "support.pagination"), Some(second));
    assert_eq!(world.count("SELECT count(*) FROM setting"), 1);
}

#[test]
fn the_same_value_again_is_no_change() {
    let world = World::new();
    let set = world.store.configuration().set(Subtree::Store, "theme", "dark").unwrap();
    let again = world
        .leaves(&[], 0, |store| store.configuration().set(Subtree::Store, "Theme", "dark"))
        .unwrap();
    assert_eq!(again, set);
}

#[test]
fn a_scope_that_is_not_there_is_not_found() {
    let world = World::new();
    let gone = user(&world, "gone", None);
    world.store.users().delete(gone).unwrap();
    for scope in [
        Subtree::Organisation(UNKNOWN.parse().unwrap()),
        Subtree::Branch(UNKNOWN.parse().unwrap()),
        Subtree::User(UNKNOWN.parse().unwrap()),
        Subtree::User(gone),
    ] {
        world.refuses(ErrorKind::NotFound, |store| store.configuration().set(scope, "a", "1"));
        world.refuses(ErrorKind::NotFound, |store| {
            store.configuration().set_if(scope, "a", None, "1")
        });
        assert_eq!(get(&world, scope, "a"), None);
        assert!(!world.store.configuration().remove(scope, "a").unwrap());
    }
    world.refuses(ErrorKind::NotFound, |store| store.configuration().effective_all(gone));
    world.refuses(ErrorKind::NotFound, |store| store.configuration().public_for(gone));
    world.refuses(ErrorKind::NotFound, |store| store.configuration().effective(gone, "a"));
}

#[test]
fn a_value_is_set_only_if_the_stored_one_is_the_expected_one() {
    let world = World::new();
    let set_if = |expected: Option<&str>, value: &str| {
        world.store.configuration().set_if(Subtree::Store, "theme", expected, value)
    };
    world.refuses(ErrorKind::Stale, |_| set_if(Some("dark"), "light"));
    world.leaves(SET, 0, |_| set_if(None, "dark")).unwrap();
    world.refuses(ErrorKind::Stale, |_| set_if(None, "light"));
    world.refuses(ErrorKind::Stale, |_| set_if(Some("Dark"), "light"));
    assert_eq!(world.leaves(SET, 0, |_| set_if(Some("dark"), "light")).unwrap().value, "light");
    world.leaves(&[], 0, |_| set_if(Some("light"), "light")).unwrap();
}

#[test]
fn a_removed_value_gives_way_to_the_next_wider_one() {
    let place = Place::new();
    let (world, configuration) = (&place.world, place.world.store.configuration());
    let scopes = [
        Subtree::User(place.user),
        Subtree::Branch(place.branch),
        Subtree::Organisation(place.organisation),
        Subtree::Store,
    ];
    for (at, scope) in scopes.into_iter().enumerate() {
        configuration.set(scope, "theme", &at.to_string()).unwrap();
    }
    for (at, scope) in scopes.into_iter().enumerate() {
        let in_force = configuration.effective(place.user, "Theme").unwrap().unwrap();
        check(&in_force, "theme", &at.to_string(), scope, false);
        let all = configuration.effective_all(place.user).unwrap();
        assert_eq!(all.iter().collect::<Vec<_>>(), [&in_force]);
        let removed = world
            .leaves(&[EventKind::ConfigurationRemoved], 0, |store| {
                store.configuration().remove(scope, "THEME")
            })
            .unwrap();
        assert!(removed);
    }
    assert_eq!(configuration.effective(place.user, "theme").unwrap(), None);
    assert!(configuration.effective_all(place.user).unwrap().is_empty());
    let removed =
        world.leaves(&[], 0, |store| store.configuration().remove(Subtree::Store, "theme"));
    assert!(!removed.unwrap());
}

#[test]
fn no_scope_sees_the_values_of_another_one() {
    let place = Place::new();
    let configuration = place.world.store.configuration();
    let elsewhere = place.world.store.branches().create("Leeds", None).unwrap().id;
    let other = user(&place.world, "grace", Some(elsewhere));
    let alone = user(&place.world, "alan", None);
    configuration.set(Subtree::Store, "a", "system").unwrap();
    configuration.set(Subtree::Organisation(place.organisation), "b", "organisation").unwrap();
    configuration.set(Subtree::Branch(place.branch), "c", "branch").unwrap();
    configuration.set(Subtree::User(place.user), "d", "user").unwrap();

    let seen = |user: Option<UserId>| values(&configuration.effective_all(user).unwrap());
    assert_eq!(seen(Some(place.user)), ["system", "organisation", "branch", "user"]);
    assert_eq!(seen(Some(other)), ["system"]);
    assert_eq!(seen(Some(alone)), ["system"]);
    assert_eq!(seen(None), ["system"]);
    assert_eq!(configuration.effective(alone, "b").unwrap(), None);
    assert_eq!(configuration.effective(None, "c").unwrap(), None);
    assert_eq!(get(&place.world, Subtree::User(place.user), "a"), None);
}

#[test]
fn clients_see_public_keys_alone_whatever_their_scope() {
    let place = Place::new();
    let configuration = place.world.store.configuration();
    configuration.set(Subtree::Store, "Theme", "dark").unwrap();
    configuration.set(Subtree::User(place.user), "theme", "light").unwrap();
    configuration.set(Subtree::Store, "licence", "secret").unwrap();
    assert!(configuration.public_for(place.user).unwrap().is_empty());

    let make = |public| place.world.store.configuration().set_public("theme", public);
    place.world.leaves(&[EventKind::ConfigurationMadePublic], 0, |_| make(true)).unwrap();
    place.world.leaves(&[], 0, |_| make(true)).unwrap();
    let public = configuration.public_for(place.user).unwrap();
    assert_eq!(public.len(), 1);
    check(public.get("theme").unwrap(), "Theme", "light", Subtree::User(place.user), true);
    assert_eq!(values(&configuration.public_for(None).unwrap()), ["dark"]);

    place.world.leaves(&[EventKind::ConfigurationMadePrivate], 0, |_| make(false)).unwrap();
    assert!(configuration.public_for(place.user).unwrap().is_empty());
}

#[test]
fn a_key_may_be_made_public_before_it_has_a_value() {
    let world = World::new();
    let configuration = world.store.configuration();
    world.leaves(&[], 0, |store| store.configuration().set_public("theme", false)).unwrap();
    world
        .leaves(&[EventKind::ConfigurationMadePublic], 0, |store| {
            store.configuration().set_public("theme", true)
        })
        .unwrap();
    assert!(configuration.public_for(None).unwrap().is_empty());
    let set = configuration.set(Subtree::Store, "Theme", "dark").unwrap();
    check(&set, "theme", "dark", Subtree::Store, true);
    assert_eq!(values(&configuration.public_for(None).unwrap()), ["dark"]);
}

#[test]
fn values_go_with_their_owner() {
    let world = World::new();
    let branch = world.store.branches().create("York", None).unwrap().id;
    world.store.configuration().set(Subtree::Branch(branch), "theme", "dark").unwrap();
    world.store.branches().delete(branch).unwrap();
    assert_eq!(world.count("SELECT count(*) FROM setting"), 0);
}

#[test]
fn a_scope_is_listed_page_by_page_in_the_order_of_its_keys() {
    let place = Place::new();
    let configuration = place.world.store.configuration();
    for key in ["delta", "Alpha", "CHARLIE", "bravo"] {
        configuration.set(Subtree::Branch(place.branch), key, key).unwrap();
        configuration.set(Subtree::Store, key, "other").unwrap();
    }
    let list = |page: Page<&str>| -> Vec<String> {
        let rows = configuration.list(Subtree::Branch(place.branch), page).unwrap();
        rows.into_iter().map(|row| row.value).collect()
    };
    assert_eq!(list(Page::default()), ["Alpha", "bravo", "CHARLIE", "delta"]);
    let all = configuration.iter(Subtree::Branch(place.branch)).map(|row| row.unwrap().value);
    assert_eq!(all.collect::<Vec<_>>(), ["Alpha", "bravo", "CHARLIE", "delta"]);
    configuration.remove(Subtree::Store, "delta").unwrap();
    for (scope, expect) in [
        (Subtree::Store, 3),
        (Subtree::Branch(place.branch), 4),
        (Subtree::Organisation(place.organisation), 0),
        (Subtree::User(place.user), 0),
    ] {
        assert_eq!(configuration.count(scope).unwrap(), expect, "{scope:?}");
        assert_eq!(configuration.iter(scope).count() as u64, expect, "{scope:?}");
    }
    configuration.set(Subtree::Store, "delta", "other").unwrap();
    assert_eq!(list(Page::first(2)), ["Alpha", "bravo"]);
    assert_eq!(list(Page::after("Bravo", 2)), ["CHARLIE", "delta"]);
    assert_eq!(list(Page::after("delta", 2)), [""; 0]);
    assert_eq!(configuration.list(Subtree::Store, Page::default()).unwrap().len(), 4);
    for page in [Page::first(0), Page::after("a".repeat(1_000).as_str(), 1)] {
        place
            .world
            .refuses(ErrorKind::Invalid, |store| store.configuration().list(Subtree::Store, page));
    }
}

#[test]
fn typed_getters_read_what_people_write() {
    let world = World::new();
    for (value, flag, integer) in [
        ("True", Ok(true), Err(ErrorKind::Invalid)),
        ("fALSE", Ok(false), Err(ErrorKind::Invalid)),
        ("1", Ok(true), Ok(1)),
        ("0", Ok(false), Ok(0)),
        ("", Err(ErrorKind::Invalid), Err(ErrorKind::Invalid)),
        ("yes", Err(ErrorKind::Invalid), Err(ErrorKind::Invalid)),
        (" 1", Err(ErrorKind::Invalid), Err(ErrorKind::Invalid)),
        ("-9223372036854775808", Err(ErrorKind::Invalid), Ok(i64::MIN)),
        ("9223372036854775808", Err(ErrorKind::Invalid), Err(ErrorKind::Invalid)),
    ] {
        world.store.configuration().set(Subtree::Store, "key", value).unwrap();
        let read = world.store.configuration().effective_all(None).unwrap();
        assert_eq!(read.text("KEY"), Some(value));
        assert_eq!(read.flag("Key").map_err(|e| e.kind()), flag, "{value:?}");
        assert_eq!(read.integer("kEY").map_err(|e| e.kind()), integer, "{value:?}");
    }
    let empty = Configuration::default();
    assert_eq!(empty.text("key"), None);
    assert_eq!(empty.flag("key").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(empty.integer("key").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn keys_and_values_have_their_bounds() {
    let world = World::new();
    for (key, value) in [
        ("", "1"),
        ("a b", "1"),
        ("a\n", "1"),
        ("a\u{200b}", "1"),
        (&"a".repeat(129), "1"),
        ("a", "\0"),
        ("a", &"a".repeat(16_385)),
    ] {
        world.refuses(ErrorKind::Invalid, |store| {
            store.configuration().set(Subtree::Store, key, value)
        });
    }
    let longest = "a".repeat(16_384);
    assert!(world.store.configuration().set(Subtree::Store, &"a".repeat(128), &longest).is_ok());
    assert!(world.store.configuration().set(Subtree::Store, "lines", "a\r\nb").is_ok());
}

fn record(scope: Subtree, key: &str, public: bool) -> ImportRecord {
    ImportRecord::Setting { scope, key: key.into(), value: "1".into(), public }
}

/// Asserts that an import of one record is refused, and leaves nothing.
#[track_caller]
fn is_not_imported(world: &World, record: ImportRecord) {
    let keys = world.count("SELECT count(*) FROM configuration_key");
    let refused = world.leaves(&[], 0, |store| store.import(vec![record]).unwrap().remove(0));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::LimitReached);
    assert_eq!(world.count("SELECT count(*) FROM configuration_key"), keys);
}

/// Inserts keys by SQL: one commit for all of them.
fn with_keys(world: &World, keys: u32, public: bool) {
    world
        .sql()
        .execute(
            "INSERT INTO configuration_key (key, shown, is_public)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             SELECT 'key.' || i, 'key.' || i, ?2 FROM n",
            (keys, public),
        )
        .unwrap();
}

#[test]
fn a_scope_has_1000_values_at_most() {
    let place = Place::new();
    let (world, configuration) = (&place.world, place.world.store.configuration());
    let scopes =
        [Subtree::Store, place.organisation.into(), place.branch.into(), place.user.into()];
    for (at, scope) in scopes.into_iter().enumerate() {
        let imported = world.store.import(
            (0..1_000).map(|n| record(scope, &format!("key.{n}"), false)).collect::<Vec<_>>(),
        );
        assert!(imported.unwrap().iter().all(Result::is_ok));
        let limit = ErrorKind::LimitReached;
        world.refuses(limit, |store| store.configuration().set(scope, "more", "1"));
        world.refuses(limit, |store| store.configuration().set_if(scope, "more", None, "1"));
        is_not_imported(world, record(scope, "more", true));
        // Another value of the same key is no more of them.
        world.leaves(SET, 0, |_| configuration.set(scope, "key.7", "2")).unwrap();
        world.leaves(SET, 0, |_| configuration.set_if(scope, "key.7", Some("2"), "3")).unwrap();
        assert!(configuration.remove(scope, "key.8").unwrap());
        configuration.set(scope, &format!("other.{at}"), "1").unwrap();
        assert_eq!(configuration.count(scope).unwrap(), 1_000);
    }
    assert_eq!(configuration.effective_all(place.user).unwrap().len(), 1_003);
}

#[test]
fn a_store_has_10000_keys_at_most() {
    let world = World::new();
    with_keys(&world, 9_999, false);
    world.store.configuration().set(Subtree::Store, "last", "1").unwrap();
    let limit = ErrorKind::LimitReached;
    world.refuses(limit, |store| store.configuration().set(Subtree::Store, "more", "1"));
    world.refuses(limit, |store| store.configuration().set_public("more", true));
    is_not_imported(&world, record(Subtree::Store, "more", false));
    is_not_imported(&world, record(Subtree::Store, "more", true));
    world.store.configuration().set(Subtree::Store, "KEY.7", "1").unwrap();
    world.store.configuration().set_public("key.8", true).unwrap();
}

#[test]
fn a_store_has_1000_public_keys_at_most() {
    let world = World::new();
    let configuration = world.store.configuration();
    with_keys(&world, 1_000, true);
    configuration.set(Subtree::Store, "known", "1").unwrap();
    let limit = ErrorKind::LimitReached;
    for key in ["known", "unknown"] {
        world.refuses(limit, |store| store.configuration().set_public(key, true));
    }
    is_not_imported(&world, record(Subtree::Store, "unknown", true));
    configuration.set_public("key.7", true).unwrap();
    configuration.set_public("key.7", false).unwrap();
    configuration.set_public("known", true).unwrap();
    assert_eq!(values(&configuration.public_for(None).unwrap()), ["1"]);
}

#[test]
fn no_key_or_value_panics_and_what_is_refused_leaves_nothing() {
    let world = World::new();
    proptest!(ProptestConfig::with_cases(128), |(
        key in prop_oneof!["\\PC{0,12}", any::<String>(), "[a-zA-ZéÅﬁ.]{1,40}"],
        value: String,
    )| {
        let configuration = world.store.configuration();
        match configuration.set(Subtree::Store, &key, &value) {
            Ok(set) => {
                prop_assert_eq!(&set.value, &value);
                prop_assert_eq!(get(&world, Subtree::Store, &set.key), Some(set.clone()));
                prop_assert_eq!(get(&world, Subtree::Store, &key), Some(set.clone()));
                let all = configuration.effective_all(None).unwrap();
                prop_assert_eq!(all.get(&key), Some(&set));
            }
            Err(_) => world.refuses(ErrorKind::Invalid, |store| {
                store.configuration().set(Subtree::Store, &key, &value)
            }),
        }
        let _ = configuration.list(Subtree::Store, Page::after(key.as_str(), 1));
        let _ = configuration.set_public(&key, true);
        let _ = configuration.effective(None, &key);
        let _ = configuration.remove(Subtree::Store, &key);
    });
}

/// A user in a branch of an organisation.
struct Place {
    world: World,
    organisation: OrganisationId,
    branch: BranchId,
    user: UserId,
}

impl Place {
    fn new() -> Self {
        let world = World::new();
        let organisation = world.store.organisations().create("Northern").unwrap().id;
        let branch = world.store.branches().create("York", organisation).unwrap().id;
        let user = user(&world, "ada", Some(branch));
        Self { world, organisation, branch, user }
    }
}

#[track_caller]
fn user(world: &World, name: &str, branch: Option<BranchId>) -> UserId {
    world.store.users().create(NewUser::person(name).branch(branch)).unwrap().id
}

#[track_caller]
fn check(setting: &Setting, key: &str, value: &str, scope: Subtree, is_public: bool) {
    assert_eq!((setting.key.as_str(), setting.value.as_str()), (key, value));
    assert_eq!((setting.scope, setting.is_public), (scope, is_public));
}

#[track_caller]
fn get(world: &World, scope: Subtree, key: &str) -> Option<Setting> {
    world.store.configuration().get(scope, key).unwrap()
}

fn values(configuration: &Configuration) -> Vec<String> {
    configuration.iter().map(|setting| setting.value.clone()).collect()
}
