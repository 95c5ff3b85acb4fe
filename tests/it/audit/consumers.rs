//! Consumers: each row at least once, and what was trimmed is reported.

use gatepost::audit::{AuditFilter, AuditSource, HostEvent, Notice, UnseenRows};
use gatepost::directory::UserStatus;
use gatepost::sessions::{NewOneTimeToken, RevokeSessions};
use gatepost::{ErrorKind, LoginRequest, NewUser, Page, Store, UserId};

use crate::impersonate;
use crate::pending_step::{self, give_factor};
use crate::world::{DAY, PASSWORD, World, device, for_tests};

fn unseen(store: &Store, most: u32) -> UnseenRows {
    store.audit().unseen("mailer", most).unwrap()
}

fn numbers(rows: &UnseenRows) -> Vec<i64> {
    rows.entries.iter().map(|entry| entry.seq).collect()
}

#[test]
fn a_consumer_receives_each_row_until_it_acknowledges_it() {
    let mut world = World::new();
    world.store.users().create(NewUser::person("ada")).unwrap();
    assert!(world.store.audit().add_consumer("mailer").unwrap());
    assert!(!world.store.audit().add_consumer("mailer").unwrap());
    world.store.audit().record(&[HostEvent::new("a").unwrap()]).unwrap();
    world.store.organisations().create("Northern").unwrap();
    assert_eq!(numbers(&unseen(&world.store, 9)), [3, 4, 5]);
    world.reopen();
    let first = unseen(&world.store, 2);
    assert_eq!((numbers(&first), first.up_to, first.missed), (vec![3, 4], 4, None));
    world.store.audit().acknowledge("mailer", 4).unwrap();
    world.reopen();
    // A second worker that is late moves nothing back.
    world.store.audit().acknowledge("mailer", 3).unwrap();
    assert_eq!(numbers(&unseen(&world.store, 9)), [5]);
    world.store.audit().acknowledge("mailer", 5).unwrap();
    let rest = unseen(&world.store, 9);
    assert_eq!((rest.entries.len(), rest.up_to, rest.missed), (0, 5, None));
}

#[test]
fn consumers_go_on_apart_and_are_listed_with_how_far_they_are() {
    let world = World::new();
    let audit = world.store.audit();
    audit.add_consumer("shipper").unwrap();
    audit.add_consumer("mailer").unwrap();
    audit.acknowledge("shipper", 3).unwrap();
    let listed = audit.consumers().unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.behind)).collect();
    assert_eq!(listed, [("mailer", 1), ("shipper", 0)]);
    assert!(audit.remove_consumer("mailer").unwrap());
    assert!(!audit.remove_consumer("mailer").unwrap());
    world.refuses(ErrorKind::NotFound, |store| store.audit().unseen("mailer", 9));
    assert_eq!(audit.unseen("shipper", 9).unwrap().entries.len(), 1);
}

#[test]
fn the_log_has_64_consumers_at_most() {
    let world = World::new();
    let audit = world.store.audit();
    for number in 0..64 {
        assert!(audit.add_consumer(&format!("shipper-{number}")).unwrap());
    }
    world.refuses(ErrorKind::LimitReached, |store| store.audit().add_consumer("mailer"));
    assert!(!audit.add_consumer("shipper-7").unwrap());
    assert!(audit.remove_consumer("shipper-7").unwrap());
    assert!(audit.add_consumer("mailer").unwrap());
}

#[test]
fn bad_requests_of_consumers_are_refused_and_change_nothing() {
    let world = World::new();
    for name in ["", "A", "a b", "a\n", &"a".repeat(65)] {
        world.refuses(ErrorKind::Invalid, |store| store.audit().add_consumer(name));
    }
    world.refuses(ErrorKind::NotFound, |store| store.audit().acknowledge("mailer", 1));
    world.store.audit().add_consumer("mailer").unwrap();
    world.refuses(ErrorKind::Invalid, |store| store.audit().acknowledge("mailer", 3));
    for most in [0, 501] {
        world.refuses(ErrorKind::Invalid, |store| store.audit().unseen("mailer", most));
    }
    assert_eq!(numbers(&unseen(&world.store, 9)), [2]);
}

/// A cursor that skips what is gone would lose a notice without a sign of it.
#[test]
fn rows_that_were_trimmed_before_a_consumer_saw_them_are_reported_until_acknowledged() {
    let store = Store::in_memory(for_tests().audit_max_age(DAY).audit_max_rows(1_000)).unwrap();
    store.audit().add_consumer("mailer").unwrap();
    store.audit().acknowledge("mailer", 2).unwrap();
    assert_eq!(unseen(&store, 9).missed, None);
    let many = vec![HostEvent::new("many").unwrap(); 1_000];
    store.audit().record(&many).unwrap();
    store.audit().record(&many[..7]).unwrap();
    for _ in 0..2 {
        let rows = unseen(&store, 9);
        let missed = rows.missed.clone().unwrap();
        assert_eq!((missed.rows, missed.sources), (7, vec![AuditSource::Host]));
        assert_eq!(numbers(&rows), (10..=18).collect::<Vec<_>>());
    }
    store.audit().acknowledge("mailer", 11).unwrap();
    let rows = unseen(&store, 9);
    assert_eq!((rows.missed, rows.entries[0].seq), (None, 12));
    // What was acknowledged is not counted again.
    store.audit().record(&many[..5]).unwrap();
    assert_eq!(unseen(&store, 9).missed.unwrap().rows, 3);
}

#[test]
fn no_two_rows_have_one_id_and_a_row_keeps_its_own() {
    let world = World::new();
    world.store.audit().record(&vec![HostEvent::new("a").unwrap(); 20]).unwrap();
    let ids = |store: &Store| -> Vec<String> {
        let rows = store.audit().list(&AuditFilter::new(), Page::first(99)).unwrap();
        rows.into_iter().map(|entry| entry.id).collect()
    };
    let first = ids(&world.store);
    let distinct: std::collections::BTreeSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), 21);
    assert_eq!(ids(&world.store), first);
    assert!(first[20].starts_with("21-") && first[20].len() == 19, "{}", first[20]);
    // Another file with rows of the same numbers at the same time.
    let other = World::with(|options| {
        options.random_source(std::sync::Arc::new(gatepost::host::SeededRandom::new(8)))
    });
    assert_ne!(ids(&other.store)[0], first[0]);
}

#[test]
fn what_a_user_should_learn_of_is_a_notice() {
    let world = World::new();
    let ada = world.person("ada").id;
    let notices = |expected: &[Notice]| {
        let rows = unseen(&world.store, 500);
        world.store.audit().acknowledge("mailer", rows.up_to).unwrap();
        let found: Vec<Notice> = rows
            .entries
            .iter()
            .filter_map(|row| row.notice().inspect(|_| assert_eq!(row.user, Some(ada))))
            .collect();
        assert_eq!(found, expected);
    };
    world.store.audit().add_consumer("mailer").unwrap();
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    notices(&[Notice::NewDevice]);
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    world.log_in("ada", "a wrong password", "till-2").unwrap_err();
    notices(&[]);
    world.open(ada, "till-2");
    notices(&[Notice::NewDevice]);
    world.store.users().set_password(ada, "nine brass bells".into()).unwrap();
    notices(&[Notice::PasswordChanged]);
    world
        .store
        .users()
        .require_password_change(ada, gatepost::sessions::RevokeSessions::Keep)
        .map(drop)
        .unwrap();
    let request = LoginRequest::new("ada", "nine brass bells".into(), device("till-1"));
    let request = request.new_password("ten brass bells".into());
    world.store.log_in(request).unwrap().granted().unwrap();
    notices(&[Notice::PasswordChanged]);
    world.store.users().set_email(ada, Some("ada@example.com")).unwrap();
    world.store.users().rename(ada, "augusta").unwrap();
    notices(&[Notice::ContactChanged, Notice::ContactChanged]);
    // A first confirmation that removes the password of a possible squatter, and no other.
    world.store.users().confirm_and_remove_password(ada).unwrap();
    notices(&[Notice::PasswordChanged]);
    world.store.users().confirm(ada).unwrap();
    notices(&[]);
    let identities = world.store.external_identities();
    identities.link(ada, "https://login.example.com", "248289761001").unwrap();
    assert!(identities.unlink(ada, "https://login.example.com", "248289761001").unwrap());
    notices(&[Notice::IdentityChanged, Notice::IdentityChanged]);
    // The host's own names mean nothing to the library.
    world.store.audit().record(&[HostEvent::new("password.set").unwrap().user(ada)]).unwrap();
    notices(&[]);
}

/// An invitation sets the first password.
#[test]
fn an_invitation_that_was_accepted_is_a_notice() {
    let world = World::new();
    let new = NewUser::person("ben").status(UserStatus::Pending);
    let ben = world.store.users().create(new).unwrap().id;
    let tokens = world.store.one_time_tokens();
    let token = tokens.issue(ben, NewOneTimeToken::invitation()).unwrap().token;
    let accepted = tokens.accept_invitation(token.expose(), "nine brass bells".into());
    accepted.unwrap().valid().unwrap();
    let row = world.last_event();
    assert_eq!((row.event.as_str(), row.user), ("user.invitation_accepted", Some(ben)));
    assert_eq!(row.notice(), Some(Notice::PasswordChanged));
}

/// The row said that the password was changed, and no row said that a recovery code was used up.
#[test]
fn a_recovery_code_beside_a_new_password_is_a_notice_of_both() {
    let scene = pending_step::Scene::new();
    let users = scene.world.store.users();
    let mut new = PASSWORD.to_owned();
    for (code, revokes_keys) in scene.recovery_codes().iter().zip([false, true]) {
        users.require_password_change(scene.ada, RevokeSessions::Keep).unwrap();
        let login = LoginRequest::new("ada", new.as_str().into(), device("till"));
        new += " and another";
        let login = login.recovery_code(code.as_str()).new_password(new.as_str().into());
        let login = if revokes_keys { login.revoke_api_keys() } else { login };
        scene.world.ask(login).unwrap();
        let row = scene.world.last_event();
        let reason = match revokes_keys {
            false => "password_changed_recovery_code",
            true => "password_changed_recovery_code_keys_revoked",
        };
        assert_eq!((row.event.as_str(), row.reason.as_deref()), ("login.granted", Some(reason)));
        assert_eq!(row.notice(), Some(Notice::PasswordAndFactorChanged));
    }
    // A code of the authenticator is no change of the factor.
    users.require_password_change(scene.ada, RevokeSessions::Keep).unwrap();
    let login = LoginRequest::new("ada", new.as_str().into(), device("till"));
    let login = login.code(scene.next_code()).new_password("nine brass bells".into());
    scene.world.ask(login).unwrap();
    assert_eq!(scene.world.last_event().notice(), Some(Notice::PasswordChanged));
}

/// For up to 90 days logins on the device needed no code, and no row said so.
#[test]
fn the_row_of_a_login_that_trusts_its_device_says_until_when() {
    let scene = pending_step::Scene::new();
    let trusting = |on: &str| {
        let login = scene.login(on).code(scene.next_code()).trust_device(DAY);
        scene.world.ask(login).unwrap();
        let row = scene.world.last_event();
        (row.detail.clone().unwrap(), row.notice())
    };
    let (first, notice) = trusting("till");
    let until = scene.world.now() + DAY;
    assert_eq!(first, format!("new device, trusted until {until}"));
    assert_eq!(notice, Some(Notice::NewDevice));
    let (again, notice) = trusting("till");
    assert_eq!(again, format!("trusted until {}", scene.world.now() + DAY));
    assert_eq!(notice, None);
}

#[test]
fn a_changed_factor_an_impersonation_and_a_failed_backup_are_notices() {
    let scene = impersonate::Scene::new();
    let (world, ada) = (&scene.world, scene.ada);
    world.store.audit().add_consumer("mailer").unwrap();
    let notices = |expected: &[(Notice, Option<UserId>)]| {
        let rows = unseen(&world.store, 500);
        world.store.audit().acknowledge("mailer", rows.up_to).unwrap();
        let found = rows.entries.iter().filter_map(|row| Some((row.notice()?, row.user)));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    };
    give_factor(world, ada);
    assert!(world.store.second_factors().reset(ada).unwrap());
    notices(&[(Notice::FactorChanged, Some(ada)), (Notice::FactorChanged, Some(ada))]);
    drop(scene.as_ada());
    notices(&[(Notice::Impersonated, Some(ada))]);
    let nowhere = world.directory().join("no such place").join("copy.db");
    assert!(world.store.backup(nowhere, |_| ()).is_err());
    notices(&[(Notice::BackupFailed, None)]);
}
