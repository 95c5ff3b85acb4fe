//! The first administrator: created with a one-time token of no user, once.

use gatepost::audit::EventKind;
use gatepost::directory::{UserKind, UserStatus};
use gatepost::{ErrorKind, LoginRequest, NewUser, Subtree, User};

use super::{DOORS, NEW, with_the_id_of};
use crate::world::{DAY, Meanwhile, PASSWORD, SECOND, World, device};

fn issue(world: &World) -> String {
    let issued = world.store.one_time_tokens().issue_first_administrator().unwrap();
    issued.token.expose().to_owned()
}

fn create(world: &World, token: &str, name: &str) -> Option<User> {
    let tokens = world.store.one_time_tokens();
    tokens.create_first_administrator(token, name, NEW.into()).unwrap().valid().ok()
}

#[test]
fn a_new_store_gets_one_administrator_who_can_log_in() {
    let world = World::new();
    let issued = [EventKind::OneTimeTokenIssued];
    let token = world.leaves(&issued, 0, |_| issue(&world));
    let event = world.last_event();
    assert_eq!((event.user, event.detail.as_deref()), (None, Some("first_administrator")));

    let created = [EventKind::FirstAdministratorCreated];
    let root = world.leaves(&created, 1, |_| create(&world, &token, "root")).unwrap();
    assert_eq!((root.kind, root.status), (UserKind::Person, UserStatus::Active));
    assert_eq!((root.privileges.as_slice(), root.branch), (&["admin".to_owned()][..], None));
    assert_eq!(world.last_event().user, Some(root.id));
    let login = LoginRequest::new("root", NEW.into(), device("desk")).require_admin();
    assert!(world.ask(login).unwrap().principal.is_admin);

    let refused = [EventKind::OneTimeTokenRefused];
    assert_eq!(world.leaves(&refused, 0, |_| create(&world, &token, "mallory")), None);
    assert_eq!(world.last_event().reason.as_deref(), Some("used"));
    world.refuses(ErrorKind::Taken, |store| store.one_time_tokens().issue_first_administrator());
    assert_eq!(world.count("SELECT count(*) FROM user_privilege WHERE name = 'admin'"), 1);
}

/// A token that was not used must not wait until the store has no administrator again.
#[test]
fn an_administrator_from_elsewhere_ends_the_token_for_good() {
    let ways: [fn(&World) -> gatepost::UserId; 2] = [
        |world| {
            let new = NewUser::person("root").privilege("admin");
            world.store.users().create(new).unwrap().id
        },
        |world| {
            let root = world.person("root").id;
            world.store.users().set_privileges(root, &["admin"]).unwrap();
            root
        },
    ];
    for way in ways {
        let world = World::new();
        let token = issue(&world);
        let root = way(&world);
        assert_eq!(create(&world, &token, "mallory"), None);
        world.store.users().delete(root).unwrap();
        assert_eq!(create(&world, &token, "mallory"), None, "a deleted one can be restored");
        world.refuses(ErrorKind::Taken, |store| {
            store.one_time_tokens().issue_first_administrator()
        });
        world.store.users().restore(root).unwrap();
        world.store.users().set_privileges(root, &[]).unwrap();
        assert_eq!(create(&world, &token, "mallory"), None);
        assert!(create(&world, &issue(&world), "second").is_some());
    }
}

#[test]
fn an_administrator_that_comes_during_the_hash_wins() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let token = issue(&world);
    let store = world.store.clone();
    meanwhile.happens(move || {
        drop(store.users().create(NewUser::person("root").privilege("admin")).unwrap());
    });
    assert_eq!(create(&world, &token, "mallory"), None);
    assert_eq!(world.last_event().reason.as_deref(), Some("used"));
    assert_eq!(world.store.users().find_by_username("mallory").unwrap(), None);
}

#[test]
fn it_is_valid_for_a_day_and_ends_with_the_next_one() {
    let world = World::new();
    let first = issue(&world);
    let second = issue(&world);
    assert_eq!(world.count("SELECT count(*) FROM one_time_token"), 1);
    assert_eq!(create(&world, &first, "root"), None);
    world.clock.advance(DAY - SECOND);
    let third = issue(&world);
    world.clock.advance(DAY);
    assert_eq!(create(&world, &third, "root"), None);
    assert_eq!(world.last_event().reason.as_deref(), Some("expired"));
    assert_eq!(create(&world, &second, "root"), None);

    let fourth = issue(&world);
    world.store.sessions().revoke_all(Subtree::Store).unwrap();
    assert_eq!(create(&world, &fourth, "root"), None);
    assert_eq!(world.last_event().reason.as_deref(), Some("revoked"));
}

#[test]
fn what_the_library_refuses_leaves_the_token_valid_and_junk_costs_no_hash() {
    let world = World::new();
    world.person("ada");
    let token = issue(&world);
    let tokens = || world.store.one_time_tokens();
    for (name, password, kind) in [
        ("root", "", ErrorKind::Invalid),
        ("root", "short", ErrorKind::Invalid),
        ("", NEW, ErrorKind::Invalid),
        ("Ada", NEW, ErrorKind::Taken),
    ] {
        let call = || tokens().create_first_administrator(&token, name, password.into());
        world.refuses(kind, |_| call());
    }
    world.hashes(0, |_| assert_eq!(create(&world, "gpo_junk", "root"), None));
    let session = world.open(world.user_of("ada"), "till").token;
    world.hashes(0, |_| assert_eq!(create(&world, session.expose(), "root"), None));
    assert!(world.hashes(1, |_| create(&world, &token, "root")).is_some());
}

#[test]
fn it_passes_at_no_other_door_and_no_other_token_passes_at_its_own() {
    let world = World::new();
    let issued = world.store.one_time_tokens().issue_first_administrator().unwrap();
    for door in DOORS {
        assert!(door(&world.store, issued.token.expose()).valid().is_err());
        assert_eq!(world.last_event().reason.as_deref(), Some("wrong_purpose"));
    }
    world.person("ada");
    let login = LoginRequest::new("ada", issued.token.expose().into(), device("till"));
    assert!(world.ask(login.new_password(PASSWORD.into())).is_err());
    assert_eq!(create(&world, &with_the_id_of(&issued), "root"), None, "another secret");
    assert!(create(&world, issued.token.expose(), "root").is_some());
}

/// The stand-in of a request for an unknown name has no user either, and is never valid.
#[test]
fn a_stand_in_without_a_user_is_no_token() {
    let world = World::new();
    let _ = world.store.one_time_tokens().request_password_reset("unknown").unwrap();
    let token = issue(&world);
    assert_eq!(world.count("SELECT count(*) FROM one_time_token"), 2);
    assert!(create(&world, &token, "root").is_some());
    let sql = world.sql();
    sql.execute_batch("DROP TRIGGER one_time_token_is_only_used").unwrap();
    for purpose in ["password_reset", "invitation", "email_confirmation", "temporary_password"] {
        let valid = format!(
            "UPDATE one_time_token SET uses_left = 1, purpose = '{purpose}'
             WHERE user_id IS NULL AND purpose = 'password_reset'"
        );
        assert!(sql.execute_batch(&valid).is_err(), "{purpose}");
    }
}
