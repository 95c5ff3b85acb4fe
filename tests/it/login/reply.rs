//! The request and the reply of a login that is granted.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::{CreditHolder, Credits, UserKind};
use gatepost::policy::{ApiVersion, SessionPolicy};
use gatepost::sessions::{Assurance, NewApiKey, OpenSession};
use gatepost::{
    ClientInfo, ClientKind, ErrorKind, LoginRequest, NewUser, Options, Password, Subtree,
    Timestamp,
};

use crate::world::{DAY, HOUR, PASSWORD, World, device, morning};

fn request(on: &str) -> LoginRequest {
    LoginRequest::new("ada", Password::from(PASSWORD), device(on))
}

#[test]
fn a_login_with_everything_it_may_say_is_granted() {
    let world = World::new();
    world.person("ada");
    let ada = world.store.users().find_by_username("ada").unwrap().unwrap();
    world.store.users().set_privileges(ada.id, &["admin"]).unwrap();
    let client_info = ClientInfo::new().ip(Ipv4Addr::LOCALHOST).user_agent("Till/4");
    let request = request("till-1")
        .expires_at(morning() + HOUR)
        .require_admin()
        .client(ClientKind::Desktop)
        .api_version(ApiVersion::new(1, 0))
        .label("Till 1")
        .client_info(client_info.clone());
    let reply = world.ask(request).unwrap();
    let session = world.store.sessions().find(reply.session.id).unwrap().unwrap();
    assert_eq!(session.label.as_deref(), Some("Till 1"));
    assert_eq!(session.client_info, Some(client_info.clone()));
    assert_eq!(session.expires_at, morning() + HOUR);
    assert_eq!((session.user, session.has_device), (ada.id, true));
    assert_eq!(world.last_event().client_info, Some(client_info));
}

#[test]
fn a_granted_login_costs_one_hash_and_one_event() {
    let world = World::new();
    let ada = world.person("ada");
    world.clock.advance(HOUR);
    let reply = world.hashes(1, |_| {
        world.leaves(&[EventKind::LoginGranted], 0, |_| world.ask(request("till-1"))).unwrap()
    });
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada.id), Some(reply.session.id)));
    assert_eq!(event.reason, None);
    assert_eq!(reply.profile.user.last_login_at, Some(morning() + HOUR));
}

#[test]
fn the_reply_says_all_that_a_client_learns() {
    let world = World::with(|options| {
        let (oldest, newest) = (ApiVersion::new(1, 0), ApiVersion::new(2, 3));
        options.service_name("Local Server").api_versions(oldest, newest)
    });
    let northern = world.store.organisations().create("Northern").unwrap();
    let york = world.store.branches().create("York", northern.id).unwrap();
    let ada = NewUser::person("ada").branch(york.id).password(Password::from(PASSWORD));
    let ada = world.store.users().create(ada).unwrap();
    world.store.credits().set(CreditHolder::Branch(york.id), Some(7)).unwrap();
    let reply = world.ask(request("till-1")).unwrap();
    assert_eq!(reply.profile.user, world.user(ada.id));
    assert_eq!(reply.profile.branch, Some(york));
    assert_eq!(reply.profile.organisation, Some(northern));
    let credits = reply.profile.credits.unwrap();
    assert_eq!((credits.branch, credits.organisation), (Some(7), None));
    assert_eq!(reply.profile.service.name, "Local Server");
    assert_eq!(reply.profile.service.api_version, ApiVersion::new(2, 3));
    assert!(!reply.session.clamped);
    assert!(reply.session.token.expose().starts_with("gps_"));
}

#[test]
fn a_user_without_a_branch_has_no_place_and_no_credits() {
    let world = World::new();
    world.person("ada");
    let reply = world.ask(request("till-1")).unwrap();
    assert_eq!(
        (reply.profile.branch, reply.profile.organisation, reply.profile.credits),
        (None, None, None)
    );
}

#[test]
fn credits_are_null_only_if_both_counts_are() {
    check_credits(None, None, None);
    check_credits(Some(0), None, Some((Some(0), None)));
    check_credits(None, Some(5), Some((None, Some(5))));
    check_credits(Some(1), Some(2), Some((Some(1), Some(2))));
}

#[track_caller]
fn check_credits(
    branch: Option<u64>,
    organisation: Option<u64>,
    expect: Option<(Option<u64>, Option<u64>)>,
) {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let ada = NewUser::person("ada").branch(york).password(Password::from(PASSWORD));
    world.store.users().create(ada).unwrap();
    world.store.credits().set(CreditHolder::Branch(york), branch).unwrap();
    world.store.credits().set(CreditHolder::Organisation(northern), organisation).unwrap();
    let credits: Option<Credits> = world.ask(request("till-1")).unwrap().profile.credits;
    assert_eq!(credits.map(|left| (left.branch, left.organisation)), expect);
}

#[test]
fn the_reply_carries_public_configuration_of_the_narrowest_scope_alone() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let ada = NewUser::person("ada").branch(york).password(Password::from(PASSWORD));
    let ada = world.store.users().create(ada).unwrap().id;
    let configuration = world.store.configuration();
    for (key, scopes) in [
        ("everywhere", vec![Subtree::Store]),
        ("place", vec![Subtree::Store, Subtree::Organisation(northern)]),
        ("branch", vec![Subtree::Organisation(northern), Subtree::Branch(york)]),
        ("Own.Case", vec![Subtree::Store, Subtree::Branch(york), Subtree::User(ada)]),
        ("secret", vec![Subtree::User(ada)]),
    ] {
        for (narrowness, scope) in scopes.iter().enumerate() {
            configuration.set(*scope, key, &narrowness.to_string()).unwrap();
        }
        configuration.set_public(key, key != "secret").unwrap();
    }
    let reply = world.ask(request("till-1")).unwrap();
    let shown: Vec<(&str, &str)> = reply
        .profile
        .configuration
        .iter()
        .map(|setting| (setting.key.as_str(), setting.value.as_str()))
        .collect();
    let expect = [("branch", "1"), ("everywhere", "0"), ("Own.Case", "2"), ("place", "1")];
    assert_eq!(shown, expect);
    assert_eq!(reply.profile.configuration.text("OWN.CASE"), Some("2"));
}

#[test]
fn a_session_lives_a_day_if_nothing_is_said_and_no_longer_than_the_policy_allows() {
    let (server, desktop) = (SessionPolicy::server(), SessionPolicy::desktop());
    check_end(server, None, morning() + DAY, false);
    check_end(server, Some(morning() + HOUR), morning() + HOUR, false);
    check_end(server, Some(morning() + 30 * DAY), morning() + 30 * DAY, false);
    check_end(server, Some(morning() + 31 * DAY), morning() + 30 * DAY, true);
    check_end(server, Some(Timestamp::MAX), morning() + 30 * DAY, true);
    check_end(desktop, Some(morning() + 90 * DAY), morning() + 90 * DAY, false);
    check_end(desktop, Some(morning() + 91 * DAY), morning() + 90 * DAY, true);
    check_end(SessionPolicy::aal3(), None, morning() + 12 * HOUR, false);
    check_end(SessionPolicy::aal3(), Some(morning() + DAY), morning() + 12 * HOUR, true);
}

#[track_caller]
fn check_end(policy: SessionPolicy, asked: Option<Timestamp>, expect: Timestamp, clamped: bool) {
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let log_in = asked.into_iter().fold(request("till-1"), LoginRequest::expires_at);
    let open = OpenSession::new(ada, device("till-2"));
    let open = asked.into_iter().fold(open, OpenSession::expires_at);
    for session in [
        world.ask(log_in).unwrap().session,
        world.store.sessions().open(open).unwrap().granted().unwrap().session,
    ] {
        assert_eq!((session.expires_at, session.clamped), (expect, clamped));
        let stored = world.store.sessions().find(session.id).unwrap().unwrap();
        assert_eq!(stored.expires_at, expect);
    }
}

#[test]
fn what_no_user_could_ask_for_is_refused_unhashed_and_unwritten() {
    let long = |bytes: usize| "x".repeat(bytes);
    let with =
        |username: &str| LoginRequest::new(username, Password::from(PASSWORD), device("till-1"));
    check_invalid(with(&long(255)));
    check_invalid(with("ada").expires_at(morning()));
    check_invalid(with("ada").expires_at(Timestamp::MIN));
    check_invalid(with("ada").label(long(129)));
    check_invalid(with("ada").label("till\n1"));
    check_invalid(LoginRequest::new("ada", Password::from(PASSWORD), None));
}

/// A megabyte of password was a minute of hashing (CVE-2013-1443).
#[test]
fn a_password_of_a_megabyte_is_refused_without_a_hash() {
    for bytes in [4_097, 1_000_000] {
        let long = Password::new("x".repeat(bytes));
        check_invalid(LoginRequest::new("ada", long, device("till-1")));
        let long = Password::new("x".repeat(bytes));
        check_invalid(request("till-1").new_password(long));
    }
    let world = World::new();
    let longest = "é".repeat(2_048);
    let ada = NewUser::person("ada").password(Password::from(longest.as_str()));
    world.store.users().create(ada).unwrap();
    world.log_in("ada", &longest, "till-1").unwrap();
}

/// Folding very long names was a way to keep a server busy (CVE-2023-46695).
#[test]
fn the_length_of_a_name_is_checked_before_it_is_folded() {
    // Each of these folds to eighteen characters.
    let name = "\u{fdfa}".repeat(100_000);
    check_invalid(LoginRequest::new(name, Password::from(PASSWORD), device("till-1")));
}

#[track_caller]
fn check_invalid(request: LoginRequest) {
    let world = World::new();
    world.person("ada");
    world.hashes(0, |_| world.refuses(ErrorKind::Invalid, |store| store.log_in(request)));
    let user = world.store.users().find_by_username("ada").unwrap().unwrap();
    assert_eq!(user.failed_attempts, 0);
    assert_eq!(world.count("SELECT sum(writes) FROM throttle"), 0);
}

#[test]
fn a_profile_is_the_reply_read_again_for_as_long_as_the_session_lives() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap();
    let ada = world.person("ada").id;
    let reply = world.ask(request("till-1")).unwrap();
    let verdict = world.store.verify((&reply.session.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    world.store.users().move_to(ada, york.id).unwrap();
    world.store.configuration().set(Subtree::Branch(york.id), "theme", "dark").unwrap();
    world.store.configuration().set_public("theme", true).unwrap();
    world.store.credits().set(CreditHolder::Branch(york.id), Some(3)).unwrap();

    let profile = world.store.profile(&principal).unwrap();
    assert_eq!((profile.user.id, profile.branch), (ada, Some(york)));
    assert_eq!(profile.configuration.text("theme"), Some("dark"));
    assert_eq!(profile.credits.and_then(|left| left.branch), Some(3));
    assert_eq!(profile.service, world.store.service());

    world.store.sessions().revoke_all(ada).unwrap();
    world.refuses(ErrorKind::SessionEnded, |store| store.profile(&principal));
}

#[test]
fn the_facts_of_a_login_are_its_own() {
    let world = World::new();
    let ada = world.person("ada").id;
    let opened = world.ask(request("till-1")).unwrap().session;
    let verdict = world.store.verify((&opened.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert_eq!(
        (principal.user, principal.credential.session(), principal.credential.api_key()),
        (ada, Some(opened.id), None)
    );
    assert_eq!((principal.kind, principal.is_admin), (UserKind::Person, false));
    assert_eq!(principal.assurance, Assurance::Aal1);
    assert_eq!((principal.opened_at, principal.authenticated_at), (morning(), morning()));
    assert_eq!(principal.expires_at, Some(opened.expires_at));
}

#[test]
fn a_lifetime_is_counted_by_the_clock_of_the_store() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.clock.advance(DAY);
    let (an_hour_on, two_hours_on) = (morning() + DAY + HOUR, morning() + DAY + 2 * HOUR);
    for (asked, expect) in [
        (request("till-1").lifetime(HOUR), an_hour_on),
        (request("till-1").expires_at(two_hours_on).lifetime(HOUR), an_hour_on),
        (request("till-1").lifetime(HOUR).expires_at(two_hours_on), two_hours_on),
    ] {
        assert_eq!(world.ask(asked).unwrap().session.expires_at, expect);
    }
    let forever = world.ask(request("till-1").lifetime(Duration::MAX)).unwrap().session;
    assert!(forever.clamped);
    let open = |open: OpenSession| world.store.sessions().open(open);
    let opened = open(OpenSession::new(ada, device("till-2")).lifetime(HOUR)).unwrap();
    assert_eq!(opened.granted().unwrap().session.expires_at, an_hour_on);
    let key = NewApiKey::new().lifetime(HOUR);
    assert_eq!(world.store.api_keys().issue(ada, key).unwrap().expires_at, Some(an_hour_on));

    for nothing in [Duration::ZERO, Duration::from_nanos(1)] {
        world.refuses(ErrorKind::Invalid, |s| s.log_in(request("till-3").lifetime(nothing)));
        world.refuses(ErrorKind::Invalid, |s| {
            s.sessions().open(OpenSession::new(ada, device("till-3")).lifetime(nothing))
        });
        world.refuses(ErrorKind::Invalid, |s| {
            s.api_keys().issue(ada, NewApiKey::new().lifetime(nothing))
        });
    }
}

/// A login that kept an existing session signed its planter in too (CVE-2022-25896).
#[test]
fn no_login_reuses_a_token_or_a_handle() {
    let world = World::new();
    world.person("ada");
    let first = world.ask(request("till-1")).unwrap().session;
    let again = world.ask(request("till-1")).unwrap().session;
    assert_ne!(first.token.expose(), again.token.expose());
    assert_ne!(first.id, again.id);
    assert!(!world.passes(&first, "till-1"));
    assert!(world.passes(&again, "till-1"));
}

#[test]
fn an_address_of_either_family_is_kept_as_it_was() {
    let world = World::new();
    world.person("ada");
    for ip in ["192.0.2.7", "2001:db8::7"] {
        let ip: IpAddr = ip.parse().unwrap();
        let reply = world.ask(request("till-1").client_info(ClientInfo::new().ip(ip))).unwrap();
        let session = world.store.sessions().find(reply.session.id).unwrap().unwrap();
        assert_eq!(session.client_info.and_then(|client_info| client_info.address()), Some(ip));
    }
}

#[test]
fn a_login_without_a_device_needs_a_policy_that_allows_it() {
    let policy = SessionPolicy::server().require_device(false);
    let world = World::with(|options: Options| options.sessions(policy));
    world.person("ada");
    let reply = world.ask(LoginRequest::new("ada", Password::from(PASSWORD), None)).unwrap();
    let token = reply.session.token.expose();
    assert!(world.store.verify((token, None)).unwrap().valid().is_ok());
    assert!(world.store.verify((token, &device("till-1"))).unwrap().valid().is_err());
}
