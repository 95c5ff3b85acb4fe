//! How each operation of the list is called: upon ada, her session `ada-1`, her key or her places.

mod copies;
mod factors;
mod keys;
mod steps;

use gatepost::audit::HostEvent;
use gatepost::directory::{CreditHolder, UserStatus, UserUpdate};
use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::{
    Impersonation, NewOneTimeToken, NewTicket, OpenSession, RevokeSessions, Version,
};
use gatepost::{
    Ended, LoginRefusal, LoginReply, LoginRequest, NewUser, Password, Permission, Store, Subtree,
};

use super::scene::Scene;
use crate::keyring::keys;
use crate::pending_step::unsealed;
use crate::world::{HOUR, MINUTE, PASSWORD, device};
use copies::{COPIES, back_up};
use factors::{FACTORS, FACTORS_PREPARED};
use keys::{KEYS, ONE_TIME};
use steps::{STEPS, STEPS_PREPARED, WITH_FACTOR, wait_on};

type Act = fn(&Scene, &Store);

const NEW: &str = "nine brass bells";
const ISSUER: &str = "https://login.example.com";
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                    Wm1Zb3VyaGFzaHlvdXJoYXNoeW91cmhhc2h5b3VyaGE";

/// How the operation of that name is called, by a store that acts as root.
#[track_caller]
pub(super) fn act(name: &str) -> Act {
    let all = [SESSIONS, PASSWORDS, USERS, PLACES, KEYS, ONE_TIME, STEPS, FACTORS, COPIES, REST];
    let all = all.into_iter().flatten();
    let found = all.into_iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("say in operations/acts.rs how {name} is called")).1
}

/// With what policy the store is opened for the operation of that name.
pub(super) fn policy(name: &str) -> SessionPolicy {
    let policy = SessionPolicy::server();
    match name.split_once('(') {
        Some((_, "device takeover)")) => policy.device_takeover(true),
        Some((_, "session limit)")) => {
            policy.per_user(2).at_limit(SessionLimit::EvictLeastRecentlyUsed)
        }
        _ => policy,
    }
}

/// Brings the scene to where the operation of that name can be called.
pub(super) fn prepare(name: &str, scene: &mut Scene) {
    if name.starts_with("Store::rekey") {
        scene.world.options = scene.world.options.clone().keyring(keys(&[("new", 2)]));
        scene.world.reopen();
    }
    if name.ends_with("(enrolment)") || name.ends_with("::enrol_at_login") {
        scene.world.options = unsealed(scene.world.options.clone());
        scene.world.reopen();
    } else if name.starts_with("SecondFactors::") {
        scene.world.options = scene.world.options.clone().keyring(keys(&[("new", 2)]));
        scene.world.reopen();
        // So that the first secret does not name the key.
        scene.store().rekey(1_000).unwrap();
        if !["enrol", "confirm", "import"].iter().any(|call| name.ends_with(&format!("::{call}")))
        {
            scene.import_factor();
        }
    }
    let has_factor = WITH_FACTOR.contains(&name);
    if has_factor {
        scene.world.options = unsealed(scene.world.options.clone());
        scene.world.reopen();
        scene.import_factor();
    }
    let prepared = [PREPARED, FACTORS_PREPARED, STEPS_PREPARED].into_iter().flatten();
    if let Some((_, act)) = prepared.into_iter().find(|(other, _)| *other == name) {
        act(scene, scene.store());
    }
    if has_factor {
        scene.open_again();
    }
    if name == "Store::complete_login(wrong code)" {
        // An opened session ends the step on its device.
        scene.remember(&wait_on(scene.store(), "ada-1"));
    }
    if name.ends_with("::confirm(again)") || name.ends_with("::confirm_email(again)") {
        scene.open_again();
    }
}

/// The names of all calls of this file.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let all = [SESSIONS, PASSWORDS, USERS, PLACES, KEYS, ONE_TIME, FACTORS, STEPS, REST];
    let all = all.into_iter().chain([PREPARED, FACTORS_PREPARED, STEPS_PREPARED]).flatten();
    all.map(|(name, _)| *name)
}

const PREPARED: &[(&str, Act)] = &[
    ("Store::log_in(new password)", |s, store| {
        store.users().require_password_change(s.ada, RevokeSessions::Keep).map(drop).unwrap();
    }),
    ("Store::log_in(new password, keys revoked)", |s, store| {
        store.users().require_password_change(s.ada, RevokeSessions::Keep).map(drop).unwrap();
    }),
    ("Store::log_in(temporary password)", |s, _| {
        s.issue(NewOneTimeToken::temporary_password());
    }),
    ("Store::log_in(throttled)", |s, _| (0..5).for_each(|_| guess(s, s.store()))),
    ("Store::maintain", |s, store| {
        let open = OpenSession::new(s.ada, device("brief")).expires_at(s.world.now() + MINUTE);
        store.sessions().open(open).unwrap().granted().unwrap();
        s.world.clock.advance(2 * MINUTE);
        s.world.believe_clock();
    }),
    ("Sessions::impersonate", |s, store| {
        store.users().set_privileges(s.root, &["admin"]).unwrap();
        s.remember(s.world.open(s.root, "desk").token.expose());
    }),
    ("Store::restore", back_up),
    // The first hash that is sealed names the key, and leaves the others.
    ("Store::rekey", |s, store| store.users().set_password(s.root, NEW.into()).unwrap()),
    ("Store::rekey(no hash to seal)", |s, store| {
        for user in [s.ada, s.bob] {
            assert!(store.users().remove_password(user).unwrap());
        }
    }),
    ("Users::set_status(Active)", |s, store| set_status(s, store, UserStatus::Locked)),
    ("Users::activate_locked", |s, store| set_status(s, store, UserStatus::Locked)),
    ("Branches::set_active(true)", |s, store| {
        store.branches().set_active(s.york, false).map(drop).unwrap();
    }),
    ("Organisations::set_active(true)", |s, store| {
        store.organisations().set_active(s.north, false).map(drop).unwrap();
    }),
    ("Users::confirm(again)", |s, store| store.users().confirm(s.ada).map(drop).unwrap()),
    ("OneTimeTokens::confirm_email(first)", |s, store| issue_confirmation(s, store)),
    ("OneTimeTokens::confirm_email(again)", |s, store| {
        store.users().confirm(s.ada).map(drop).unwrap();
        issue_confirmation(s, store);
    }),
    ("OneTimeTokens::accept_invitation", |s, store| {
        set_status(s, store, UserStatus::Pending);
        s.issue(NewOneTimeToken::invitation());
    }),
    ("OneTimeTokens::reset_password(RevokeApiKeys::Keep)", |s, _| {
        s.issue(NewOneTimeToken::password_reset());
    }),
    ("OneTimeTokens::reset_password(RevokeApiKeys::All)", |s, _| {
        s.issue(NewOneTimeToken::password_reset());
    }),
    ("OneTimeTokens::reset_password(refused)", |s, store| {
        s.issue(NewOneTimeToken::password_reset());
        store.one_time_tokens().revoke_all(s.ada).unwrap();
    }),
    ("OneTimeTokens::create_first_administrator", |s, _| s.issue_first_administrator()),
    ("ExternalIdentities::unlink", link),
    ("Users::withdraw_administration", administer),
    ("Users::restore", |s, store| store.users().delete(s.ada).unwrap()),
    ("Users::erase", |s, store| store.users().delete(s.ada).unwrap()),
    ("Audit::acknowledge", |_, store| {
        assert!(store.audit().add_consumer("mailer").unwrap());
    }),
    ("Audit::remove_consumer", |_, store| {
        assert!(store.audit().add_consumer("mailer").unwrap());
    }),
    ("Users::move_to(place revoked since)", |s, store| {
        store.sessions().revoke_all(s.south).unwrap();
    }),
    ("Branches::move_to(place revoked since)", |s, store| {
        store.sessions().revoke_all(s.south).unwrap();
    }),
    ("Users::unlock", |s, store| guess(s, store)),
    ("Settings::set_if", set_theme),
    ("Settings::remove", set_theme),
    ("Settings::set_public(true)", set_theme),
    ("Settings::set_public(false)", |s, store| {
        set_theme(s, store);
        store.configuration().set_public("theme", true).unwrap();
    }),
    ("CreditBook::set(none)", set_credits),
    ("CreditBook::add", set_credits),
    ("CreditBook::spend", set_credits),
];

const SESSIONS: &[(&str, Act)] = &[
    ("Store::log_out", |s, store| {
        let token = s.session("ada-1").token.expose();
        assert_eq!(store.log_out((token, &device("ada-1"))).unwrap(), Ended::Now);
    }),
    ("Sessions::revoke", |s, store| {
        assert_eq!(store.sessions().revoke(s.session("ada-1").id).unwrap(), Ended::Now);
    }),
    ("Sessions::revoke_own", |s, store| {
        let (principal, session) = (s.principal("ada-2"), s.session("ada-1").id);
        assert_eq!(store.sessions().revoke_own(&principal, session).unwrap(), Ended::Now);
    }),
    ("Sessions::revoke_others", |s, store| {
        store.sessions().revoke_others(&s.principal("ada-1")).unwrap();
    }),
    ("Sessions::revoke_all(user)", |s, store| store.sessions().revoke_all(s.ada).unwrap()),
    ("Sessions::revoke_all(branch)", |s, store| {
        store.sessions().revoke_all(s.york).unwrap();
    }),
    ("Sessions::revoke_all(organisation)", |s, store| {
        store.sessions().revoke_all(s.north).unwrap();
    }),
    ("Sessions::revoke_all(store)", |_, store| {
        store.sessions().revoke_all(Subtree::Store).unwrap()
    }),
    ("Store::log_in", |_, store| drop(log_in(store, "ada", "ada-3"))),
    ("Store::log_in(on the device of a session)", |_, store| drop(log_in(store, "ada", "ada-1"))),
    ("Store::log_in(device takeover)", |_, store| drop(log_in(store, "bob", "ada-1"))),
    ("Store::log_in(session limit)", |_, store| drop(log_in(store, "ada", "ada-3"))),
    ("Store::log_in(refused)", |s, store| guess(s, store)),
    ("Store::log_in(throttled)", |_, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("elsewhere"));
        let refusal = store.log_in(login).unwrap().granted().unwrap_err();
        assert!(matches!(refusal, LoginRefusal::TooManyAttempts { .. }), "{refusal:?}");
    }),
    ("Sessions::open", |s, store| open(store, s.ada, "ada-3")),
    ("Sessions::impersonate", |s, store| {
        let verdict = store.verify((s.one_time().as_str(), &device("desk"))).unwrap();
        let request = Impersonation::new(s.ada, device("window"));
        let outcome = store.sessions().impersonate(&verdict.valid().unwrap(), request).unwrap();
        drop(outcome.granted().unwrap());
    }),
    ("Sessions::open(on the device of a session)", |s, store| open(store, s.ada, "ada-1")),
    ("Sessions::open(device takeover)", |s, store| open(store, s.bob, "ada-1")),
    ("Sessions::open(session limit)", |s, store| open(store, s.ada, "ada-3")),
    ("Sessions::set_label", |s, store| {
        store.sessions().set_label(s.session("ada-1").id, Some("Till")).unwrap();
    }),
    ("Sessions::set_data", |s, store| {
        let session = s.session("ada-1").id;
        store.sessions().set_data(session, &[1, 2], Version::NONE).map(drop).unwrap();
    }),
    ("Sessions::set_data_json", |s, store| {
        let session = s.session("ada-1").id;
        store.sessions().set_data_json(session, "{}", Version::NONE).map(drop).unwrap();
    }),
    ("Devices::forget", |s, store| {
        assert!(store.devices().forget(s.ada, &device("ada-1")).unwrap());
    }),
    ("Devices::forget_listed", |s, store| {
        let handle = device("ada-1").handle();
        assert!(store.devices().forget_listed(s.ada, &handle).unwrap());
    }),
];

const PASSWORDS: &[(&str, Act)] = &[
    ("Store::change_password", |s, store| {
        let session = s.session("ada-1");
        let (token, on) = (session.token.expose(), device("ada-1"));
        let change = store.change_password((token, &on), PASSWORD.into(), NEW.into()).unwrap();
        let renewed = change.granted().unwrap().session;
        assert_eq!(renewed.id, session.id);
        assert!(s.world.passes(&renewed, "ada-1"), "the new token");
    }),
    ("Store::change_password_and_revoke_keys", |s, store| {
        let session = s.session("ada-1");
        let (token, on) = (session.token.expose(), device("ada-1"));
        let (old, new) = (PASSWORD.into(), NEW.into());
        let change = store.change_password_and_revoke_keys((token, &on), old, new).unwrap();
        let renewed = change.granted().unwrap().session;
        assert!(s.world.passes(&renewed, "ada-1"), "the new token");
    }),
    ("Store::change_password(refused)", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let change = store.change_password((token, &on), NEW.into(), NEW.into()).unwrap();
        assert_eq!(change.granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    }),
    ("Store::log_in(new password)", |s, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("ada-3"));
        let login = login.new_password(Password::from(NEW));
        let reply = store.log_in(login).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("Store::log_in(new password, keys revoked)", |s, store| {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("ada-3"));
        let login = login.new_password(Password::from(NEW)).revoke_api_keys();
        let reply = store.log_in(login).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("Store::log_in(temporary password)", |s, store| {
        let login = LoginRequest::new("ada", s.one_time().into(), device("ada-3"));
        let login = login.new_password(Password::from(NEW));
        let reply = store.log_in(login).unwrap().granted().unwrap();
        assert!(s.world.passes(&reply.session, "ada-3"), "the session that it opens");
    }),
    ("Users::set_password", |s, store| store.users().set_password(s.ada, NEW.into()).unwrap()),
    ("Users::set_password_hash", |s, store| {
        store.users().set_password_hash(s.ada, HASH).unwrap();
    }),
    ("Users::remove_password", |s, store| {
        assert!(store.users().remove_password(s.ada).unwrap());
    }),
    ("Users::mark_compromised", |s, store| {
        assert!(store.users().mark_compromised(s.ada).unwrap());
    }),
    ("Users::require_password_change(RevokeSessions::Keep)", |s, store| {
        assert!(store.users().require_password_change(s.ada, RevokeSessions::Keep).unwrap());
    }),
    ("Users::require_password_change(RevokeSessions::All)", |s, store| {
        assert!(store.users().require_password_change(s.ada, RevokeSessions::All).unwrap());
    }),
    ("Users::unlock", |s, store| assert!(store.users().unlock(s.ada).unwrap())),
    ("Users::erase", |s, store| assert!(store.users().erase(s.ada).unwrap().is_log_emptied)),
];

const USERS: &[(&str, Act)] = &[
    ("Users::set_status(Locked)", |s, store| set_status(s, store, UserStatus::Locked)),
    ("Users::set_status(Disabled)", |s, store| set_status(s, store, UserStatus::Disabled)),
    ("Users::set_status(Pending)", |s, store| set_status(s, store, UserStatus::Pending)),
    ("Users::set_status(Active)", |s, store| set_status(s, store, UserStatus::Active)),
    ("Users::activate_locked", |s, store| drop(store.users().activate_locked(s.ada).unwrap())),
    ("Users::delete", |s, store| store.users().delete(s.ada).unwrap()),
    ("Users::restore", |s, store| drop(store.users().restore(s.ada).unwrap())),
    ("Users::rename", |s, store| drop(store.users().rename(s.ada, "countess").unwrap())),
    ("Users::set_email", |s, store| {
        drop(store.users().set_email(s.ada, Some("ada@example.com")).unwrap());
    }),
    ("Users::confirm(first)", |s, store| drop(store.users().confirm(s.ada).unwrap())),
    ("Users::confirm(again)", |s, store| drop(store.users().confirm(s.ada).unwrap())),
    ("Users::confirm_and_remove_password(first)", |s, store| {
        drop(store.users().confirm_and_remove_password(s.ada).unwrap());
    }),
    ("Users::move_to", |s, store| {
        drop(store.users().move_to(s.ada, s.dover).unwrap());
        let principal = s.principal("ada-1");
        assert_eq!((principal.branch, principal.organisation), (Some(s.dover), Some(s.south)));
    }),
    ("Users::move_to(place revoked since)", |s, store| {
        drop(store.users().move_to(s.ada, s.dover).unwrap());
    }),
    ("Users::set_privileges", |s, store| {
        drop(store.users().set_privileges(s.ada, &["admin"]).unwrap());
        assert!(s.principal("ada-1").is_admin);
    }),
    ("Users::change_privileges", |s, store| {
        drop(store.users().change_privileges(s.ada, &["admin"], &["other"]).unwrap());
    }),
    ("Users::create", |_, store| drop(store.users().create(NewUser::person("fay")).unwrap())),
    ("Users::update", |s, store| {
        drop(store.users().update(s.ada, UserUpdate::new().first_name("Ada")).unwrap());
    }),
];

const PLACES: &[(&str, Act)] = &[
    ("Branches::set_active(false)", |s, store| {
        drop(store.branches().set_active(s.york, false).unwrap());
    }),
    ("Branches::set_active(true)", |s, store| {
        drop(store.branches().set_active(s.york, true).unwrap());
    }),
    ("Organisations::set_active(false)", |s, store| {
        drop(store.organisations().set_active(s.north, false).unwrap());
    }),
    ("Organisations::set_active(true)", |s, store| {
        drop(store.organisations().set_active(s.north, true).unwrap());
    }),
    ("Branches::move_to", |s, store| {
        drop(store.branches().move_to(s.york, s.south).unwrap());
        assert_eq!(s.principal("ada-1").organisation, Some(s.south));
    }),
    ("Branches::move_to(place revoked since)", |s, store| {
        drop(store.branches().move_to(s.york, s.south).unwrap());
    }),
    ("Branches::create", |_, store| drop(store.branches().create("Leeds", None).unwrap())),
    ("Branches::rename", |s, store| drop(store.branches().rename(s.york, "Jorvik").unwrap())),
    ("Branches::delete", |s, store| store.branches().delete(s.dover).unwrap()),
    ("Organisations::create", |_, store| {
        drop(store.organisations().create("Eastern").unwrap());
    }),
    ("Organisations::rename", |s, store| {
        drop(store.organisations().rename(s.north, "North").unwrap());
    }),
    ("Organisations::delete", |s, store| store.organisations().delete(s.bare).unwrap()),
];

const REST: &[(&str, Act)] = &[
    ("Store::open", |s, _| drop(another(s))),
    ("Store::close", |s, _| another(s).close().unwrap()),
    ("Store::change_options", |_, store| {
        store
            .change_options(|options| options.lockout(gatepost::policy::Lockout::Permanent))
            .unwrap();
    }),
    ("Store::maintain", |_, store| assert_eq!(store.maintain().unwrap().sessions, 1)),
    ("Store::rekey", |_, store| assert_eq!(store.rekey(9).unwrap().hashes, 2)),
    ("Store::rekey(no hash to seal)", |_, store| assert!(store.rekey(9).unwrap().is_complete)),
    ("Store::verify", |s, _| assert_eq!(s.principal("ada-1").user, s.ada)),
    ("Store::renew", |s, store| {
        s.world.clock.advance(2 * HOUR);
        let renewed = store.renew((&s.session("ada-1").token, &device("ada-1"))).unwrap();
        assert_eq!(renewed.valid(), Ok(s.world.now() + 24 * HOUR));
    }),
    ("Store::may", |s, store| {
        assert_eq!(store.may(&s.principal("ada-1"), "x").unwrap(), Permission::Denied);
    }),
    ("Tickets::mint", |s, store| {
        let minted = store.tickets().mint(&s.principal("ada-1"), NewTicket::new("GET", "/"));
        assert!(minted.unwrap().valid().is_ok());
    }),
    ("Users::grant_administration", administer),
    ("Users::withdraw_administration", |s, store| {
        assert!(store.users().withdraw_administration(s.ada, s.york).unwrap());
    }),
    ("ExternalIdentities::link", link),
    ("ExternalIdentities::unlink", |s, store| {
        assert!(store.external_identities().unlink(s.ada, ISSUER, "7").unwrap());
    }),
    ("Settings::set", set_theme),
    ("Settings::set_if", |_, store| {
        let settings = store.configuration();
        settings.set_if(Subtree::Store, "theme", Some("dark"), "light").map(drop).unwrap();
    }),
    ("Settings::remove", |_, store| {
        assert!(store.configuration().remove(Subtree::Store, "theme").unwrap());
    }),
    ("Settings::set_public(true)", |_, store| {
        store.configuration().set_public("theme", true).unwrap();
    }),
    ("Settings::set_public(false)", |_, store| {
        store.configuration().set_public("theme", false).unwrap();
    }),
    ("CreditBook::set", set_credits),
    ("CreditBook::set(none)", |s, store| {
        store.credits().set(CreditHolder::Branch(s.york), None).unwrap();
    }),
    ("CreditBook::add", |s, store| {
        assert_eq!(store.credits().add(CreditHolder::Branch(s.york), 5).unwrap(), 10);
    }),
    ("CreditBook::spend", |s, store| {
        assert_eq!(store.credits().spend(CreditHolder::Branch(s.york), 5).unwrap(), 0);
    }),
    ("Audit::record", |_, store| {
        store.audit().record(&[HostEvent::new("report.printed").unwrap()]).unwrap();
    }),
    ("Audit::add_consumer", |_, store| {
        assert!(store.audit().add_consumer("mailer").unwrap());
    }),
    ("Audit::acknowledge", |_, store| {
        let newest = store.audit().unseen("mailer", 500).unwrap().up_to;
        store.audit().acknowledge("mailer", newest).unwrap();
    }),
    ("Audit::remove_consumer", |_, store| {
        assert!(store.audit().remove_consumer("mailer").unwrap());
    }),
];

/// Another file, new.
fn another(scene: &Scene) -> Store {
    let path = scene.world.directory().join("another.db");
    Store::open(path, scene.world.options.clone()).unwrap()
}

fn log_in(store: &Store, name: &str, on: &str) -> LoginReply {
    let login = LoginRequest::new(name, Password::from(PASSWORD), device(on));
    store.log_in(login).unwrap().granted().unwrap()
}

fn open(store: &Store, user: gatepost::UserId, on: &str) {
    drop(store.sessions().open(OpenSession::new(user, device(on))).unwrap().granted().unwrap());
}

fn guess(_: &Scene, store: &Store) {
    let login = LoginRequest::new("ada", Password::from("a wrong one"), device("elsewhere"));
    let refusal = store.log_in(login).unwrap().granted().unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
}

fn set_status(scene: &Scene, store: &Store, status: UserStatus) {
    drop(store.users().set_status(scene.ada, status).unwrap());
}

fn issue_confirmation(scene: &Scene, store: &Store) {
    store.users().set_email(scene.ada, Some("ada@example.com")).map(drop).unwrap();
    scene.issue(NewOneTimeToken::email_confirmation());
}

fn link(scene: &Scene, store: &Store) {
    drop(store.external_identities().link(scene.ada, ISSUER, "7").unwrap());
}

fn administer(scene: &Scene, store: &Store) {
    assert!(store.users().grant_administration(scene.ada, scene.york).unwrap());
}

fn set_theme(_: &Scene, store: &Store) {
    store.configuration().set(Subtree::Store, "theme", "dark").map(drop).unwrap();
}

fn set_credits(scene: &Scene, store: &Store) {
    store.credits().set(CreditHolder::Branch(scene.york), 5).unwrap();
}
