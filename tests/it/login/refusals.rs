//! Every refusal, and which caller may get it.

use gatepost::audit::{EventKind, Outcome};
use gatepost::directory::{UserStatus, UserUpdate};
use gatepost::policy::{ApiVersion, ChangeAtLogin, PasswordRule, SessionLimit, SessionPolicy};
use gatepost::{ClientKind, LoginRefusal, LoginRequest, NewUser, Options, Password, User};
use std::collections::BTreeMap;

use crate::world::{DAY, Meanwhile, PASSWORD, World, device, reason};

/// A reason for refusing a login, made by hand.
struct Obstacle {
    options: fn(Options) -> Options,
    prepare: fn(&World, &User),
    request: fn(LoginRequest) -> LoginRequest,
}

const NONE: Obstacle =
    Obstacle { options: |options| options, prepare: |_, _| {}, request: |request| request };

/// Reported after the right password and otherwise not; one hash either way, one event, and the
/// right password is no failed attempt.
#[track_caller]
fn check(obstacle: &Obstacle, expect: LoginRefusal) {
    check_shown(obstacle, &format!("{expect:?}"));
}

#[track_caller]
fn check_shown(obstacle: &Obstacle, expect: &str) {
    let world = World::with(obstacle.options);
    let northern = world.store.organisations().create("Northern Tills").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let ada = NewUser::person("ada").branch(york).password(Password::from(PASSWORD));
    let ada = world.store.users().create(ada).unwrap();
    (obstacle.prepare)(&world, &ada);
    let sessions = world.count("SELECT count(*) FROM session");
    let ask = |password: &str, expect: &str, failures: u64| {
        let request = LoginRequest::new("ada", Password::from(password), device("till-1"));
        let request = (obstacle.request)(request);
        let refusal = world.hashes(1, |_| {
            world.leaves(&[EventKind::LoginRefused], 0, |_| world.ask(request)).unwrap_err()
        });
        assert_eq!(format!("{refusal:?}"), expect);
        assert_eq!(reason(&world), refusal.name());
        assert_eq!(world.last_event().outcome, Outcome::Refused);
        assert_eq!(world.user(ada.id).failed_attempts, failures);
        assert_eq!(world.count("SELECT count(*) FROM session"), sessions);
    };
    ask("wrong horse battery", "InvalidCredentials", 1);
    ask(PASSWORD, expect, 1);
}

#[test]
fn the_standing_of_an_account_is_reported_to_its_owner_alone() {
    let status = |prepare| Obstacle { prepare, ..NONE };
    check_shown(&status(|world, ada| set_status(world, ada, UserStatus::Locked)), "AccountLocked");
    check(
        &status(|world, ada| set_status(world, ada, UserStatus::Disabled)),
        LoginRefusal::AccountDisabled,
    );
    check(
        &status(|world, ada| set_status(world, ada, UserStatus::Pending)),
        LoginRefusal::AccountPending,
    );
}

fn set_status(world: &World, user: &User, status: UserStatus) {
    world.store.users().set_status(user.id, status).unwrap();
}

#[test]
fn the_standing_of_a_place_is_reported_to_its_people_alone() {
    let branch = Obstacle {
        prepare: |world, ada| {
            world.store.branches().set_active(ada.branch.unwrap(), false).unwrap();
        },
        ..NONE
    };
    check(&branch, LoginRefusal::BranchDisabled);
    let organisation = Obstacle {
        prepare: |world, ada| {
            let york = world.store.branches().find(ada.branch.unwrap()).unwrap().unwrap();
            world.store.organisations().set_active(york.organisation.unwrap(), false).unwrap();
        },
        ..NONE
    };
    check(&organisation, LoginRefusal::OrganisationDisabled);
}

#[test]
fn what_the_client_asks_for_is_answered_to_the_right_password_alone() {
    let wants = |request| Obstacle { request, ..NONE };
    check(&wants(LoginRequest::require_admin), LoginRefusal::AdministratorRequired);
    let denied = Obstacle {
        prepare: |world, ada| {
            let update = UserUpdate::new().desktop_client_denied(true);
            world.store.users().update(ada.id, update).unwrap();
        },
        request: |request| request.client(ClientKind::Desktop),
        ..NONE
    };
    check(&denied, LoginRefusal::DesktopClientDenied);
    for request in [
        (|request: LoginRequest| request.api_version(ApiVersion::new(0, 9)))
            as fn(LoginRequest) -> LoginRequest,
        |request| request.api_version(ApiVersion::new(2, 1)),
    ] {
        let served = Obstacle {
            options: |options| options.api_versions(ApiVersion::new(1, 0), ApiVersion::new(2, 0)),
            request,
            ..NONE
        };
        check(&served, LoginRefusal::IncompatibleApiVersion);
    }
}

#[test]
fn a_new_password_is_asked_for_only_after_the_old_one() {
    let marked = Obstacle { prepare: mark, ..NONE };
    check(&marked, LoginRefusal::NewPasswordRequired);
    let expired = Obstacle {
        options: |options| options.password_expiry(90 * DAY),
        prepare: |world, _| world.clock.advance(90 * DAY),
        ..NONE
    };
    check(&expired, LoginRefusal::NewPasswordRequired);
}

fn mark(world: &World, user: &User) {
    let users = world.store.users();
    assert!(
        users.require_password_change(user.id, gatepost::sessions::RevokeSessions::Keep).unwrap()
    );
}

#[test]
fn the_rule_that_rejected_a_new_password_is_named_only_after_the_old_one() {
    let new = |request| Obstacle { prepare: mark, request, ..NONE };
    let rejected = LoginRefusal::PasswordRejected;
    check(
        &new(|ask| ask.new_password("7 chars".into())),
        rejected(PasswordRule::TooShort { min_chars: 8 }),
    );
    check(&new(|ask| ask.new_password("password1".into())), rejected(PasswordRule::Common));
    check(&new(|ask| ask.new_password("northern tills".into())), rejected(PasswordRule::Context));
    check(&new(|ask| ask.new_password("gatepost".into())), rejected(PasswordRule::Context));
    check(&new(|ask| ask.new_password(PASSWORD.into())), rejected(PasswordRule::Unchanged));
    check(
        &new(|ask| ask.new_password("".into())),
        rejected(PasswordRule::TooShort { min_chars: 8 }),
    );
    let longer = Obstacle {
        options: |options| {
            options.passwords(gatepost::policy::PasswordPolicy::default().max_bytes(256))
        },
        prepare: mark,
        request: |ask| ask.new_password(Password::new("no two words alike ".repeat(20))),
    };
    check(&longer, rejected(PasswordRule::TooLong { max_bytes: 256 }));
}

#[test]
fn a_new_password_that_was_not_asked_for_is_refused_for_one_hash() {
    let unasked = Obstacle { request: |ask| ask.new_password("nine brass bells".into()), ..NONE };
    check(&unasked, LoginRefusal::PasswordChangeNotAllowed);
}

#[test]
fn a_new_password_costs_a_refused_login_no_second_hash() {
    let disabled = Obstacle {
        prepare: |world, ada| {
            mark(world, ada);
            set_status(world, ada, UserStatus::Disabled);
        },
        request: |ask| ask.new_password("nine brass bells".into()),
        ..NONE
    };
    check(&disabled, LoginRefusal::AccountDisabled);
    let in_use = Obstacle {
        options: |options| options.change_at_login(ChangeAtLogin::Always),
        prepare: occupy,
        request: |ask| ask.new_password("nine brass bells".into()),
    };
    check(&in_use, LoginRefusal::DeviceInUse);
}

fn occupy(world: &World, _: &User) {
    let bob = world.person("bob").id;
    world.open(bob, "till-1");
}

#[test]
fn a_device_in_use_is_reported_to_the_right_password_alone() {
    check(&Obstacle { prepare: occupy, ..NONE }, LoginRefusal::DeviceInUse);
}

#[test]
fn too_many_sessions_are_reported_to_the_right_password_alone() {
    let full = Obstacle {
        options: |options| {
            let policy = SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse);
            options.sessions(policy)
        },
        prepare: |world, ada| drop(world.open(ada.id, "till-2")),
        ..NONE
    };
    check(&full, LoginRefusal::TooManySessions);
}

/// Users without a usable password were answered faster, and so found (CVE-2024-39329).
#[test]
fn a_user_without_a_usable_password_is_answered_as_a_wrong_one_after_the_same_work() {
    check_indistinct(|_| {}, "unknown", PASSWORD);
    check_indistinct(|_| {}, "", PASSWORD);
    check_indistinct(|_| {}, "no\u{0}name", PASSWORD);
    check_indistinct(|world| drop(world.person("ada")), "ada", "wrong horse battery");
    check_indistinct(|world| drop(world.person("ada")), "ada", "");
    check_indistinct(|world| drop(world.person("ada")), "ada@example.com", PASSWORD);
    let without = |world: &World| {
        world.store.users().create(NewUser::person("ada").password("".into())).unwrap();
    };
    check_indistinct(without, "ada", PASSWORD);
    check_indistinct(without, "ada", "");
    let system = |world: &World| {
        world.store.users().create(NewUser::system("ada")).unwrap();
    };
    check_indistinct(system, "ada", PASSWORD);
    let deleted = |world: &World| {
        let ada = world.person("ada").id;
        world.store.users().delete(ada).unwrap();
    };
    check_indistinct(deleted, "ada", PASSWORD);
    let compromised = |world: &World| {
        let ada = world.person("ada").id;
        world.store.users().mark_compromised(ada).unwrap();
    };
    check_indistinct(compromised, "ada", PASSWORD);
}

#[track_caller]
fn check_indistinct(prepare: impl Fn(&World), name: &str, password: &str) {
    let world = World::new();
    prepare(&world);
    let refusal = world.hashes(1, |_| {
        world
            .leaves(&[EventKind::LoginRefused], 0, |_| world.log_in(name, password, "till-1"))
            .unwrap_err()
    });
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    assert_eq!(
        refusal.to_string(),
        "The username or password is wrong, or there were too many attempts."
    );
    assert_eq!(reason(&world), "invalid_credentials");
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
}

#[test]
fn a_compromised_password_is_worth_nothing_even_with_a_new_one_beside_it() {
    let world = World::with(|options| options.change_at_login(ChangeAtLogin::Always));
    let ada = world.person("ada").id;
    world.store.users().mark_compromised(ada).unwrap();
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let refusal = world.ask(request.new_password("nine brass bells".into())).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    world.store.users().set_password(ada, "nine brass bells".into()).unwrap();
    world.log_in("ada", "nine brass bells", "till-1").unwrap();
}

#[test]
fn overloaded_is_answered_before_anything_is_looked_at_and_leaves_no_row() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        options.max_concurrent_hashes(1).max_waiting_hashes(0).random_source(meanwhile.source())
    });
    let ada = world.person("ada");
    mark(&world, &ada);
    let store = world.store.clone();
    meanwhile.happens(move || {
        let rows = |store: &gatepost::Store| {
            let all = gatepost::audit::AuditFilter::new();
            store.audit().list(&all, gatepost::Page::first(500)).unwrap().len()
        };
        let failed = |store: &gatepost::Store| {
            store.users().find_by_username("ada").unwrap().unwrap().failed_attempts
        };
        let before = (rows(&store), store.status(), failed(&store));
        for name in ["ada", "unknown"] {
            let request = LoginRequest::new(name, Password::from(PASSWORD), device("till-2"));
            let refusal = store.log_in(request).unwrap().granted().unwrap_err();
            assert!(matches!(refusal, LoginRefusal::Overloaded { .. }), "{refusal:?}");
            assert!(refusal.retry_after().unwrap().as_secs() >= 1);
        }
        let after = store.status();
        assert_eq!((rows(&store), failed(&store)), (before.0, before.2));
        assert_eq!(after.hashes_done, before.1.hashes_done);
        assert_eq!(after.login_refusals, BTreeMap::from([("overloaded", 2)]));
    });
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    world.ask(request.new_password("nine brass bells".into())).unwrap();
    let user = world.user(ada.id);
    assert_eq!(user.failed_attempts, 0);
    assert_eq!(world.count("SELECT sum(failures) FROM throttle"), 0);
}

#[test]
fn a_login_that_says_nothing_of_its_client_is_accepted() {
    let world =
        World::with(|options| options.api_versions(ApiVersion::new(2, 0), ApiVersion::new(2, 0)));
    let ada = world.person("ada").id;
    let update = UserUpdate::new().desktop_client_denied(true);
    world.store.users().update(ada, update).unwrap();
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    let api = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    world.ask(api.client(ClientKind::Api).api_version(ApiVersion::new(2, 0))).unwrap();
}

#[test]
fn an_administrator_passes_where_one_is_required() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.store.users().set_privileges(ada, &["admin"]).unwrap();
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let reply = world.ask(request.require_admin()).unwrap();
    let token = reply.session.token.expose();
    let principal = world.store.verify((token, &device("till-1"))).unwrap().valid().unwrap();
    assert!(principal.is_admin);
}
