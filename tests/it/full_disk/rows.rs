//! Every row of the revocation table on a full disk: written to the reserve, or denied from memory.

mod scene;

use std::time::Duration;

use gatepost::sessions::{RevokeApiKeys, RevokeSessions};
use gatepost::{LoginOutcome, LoginRequest, Password, Subtree};

use super::*;
use crate::operations::{OPERATIONS, Operation, Reach, operation};
use crate::world::{HOUR, PASSWORD};
use scene::{ADAS, KEYS, NEW, SESSIONS, Scene};

const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                   Wm1Zb3VyaGFzaHlvdXJoYXNoeW91cmhhc2h5b3VyaGE";

/// A row: what is done, and what no verify may pass afterwards.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Its operation in `operations/list.rs`.
    operation: &'static str,
    act: fn(&Scene) -> Result<(), Error>,
    sessions: &'static [&'static str],
    keys: &'static [&'static str],
    /// A suspended key comes back once the revocation is written without its status.
    suspends: bool,
    /// The keys are revoked after this long.
    overlap: Duration,
}

impl Row {
    fn operation(&self) -> &'static Operation {
        operation(self.operation)
    }

    /// Whether it revokes the key that it names, and no other key of the user.
    fn is_of_key(&self) -> bool {
        matches!(self.operation().keys, Reach::One | Reach::OneLater)
    }

    /// The sessions whose tickets it revokes: they end with their session, and with the one-time
    /// tokens of its user.
    fn tickets(&self) -> &'static [&'static str] {
        match self.operation().tickets() {
            Reach::User | Reach::Renewed => ADAS,
            _ => self.sessions,
        }
    }

    /// Whether the session presented goes on, with a new token.
    fn is_own_password(&self) -> bool {
        self.operation().sessions == Reach::Renewed
    }

    /// Whether it is an attempt that must be charged before it is checked.
    fn is_login(&self) -> bool {
        self.operation.starts_with("Store::log_in(")
    }

    fn is_invitation(&self) -> bool {
        self.operation == "OneTimeTokens::accept_invitation"
    }

    /// Whether ada needs a second factor for it, which she has on a disk without any room.
    fn needs_factor(&self) -> bool {
        ["trust_revoked", "login_by_recovery_code", "codes_reissued"].contains(&self.name)
            || ["factor_reset", "factor_removed", "factor_replaced"].contains(&self.name)
    }

    /// What is left of the disk when it is played, and what is done then.
    pub(super) fn ways(&self) -> &'static [&'static str] {
        if self.needs_factor() {
            &["nothing", "again"]
        } else {
            &["log", "reserve", "nothing", "again"]
        }
    }
}

const fn row(
    name: &'static str,
    operation: &'static str,
    act: fn(&Scene) -> Result<(), Error>,
    sessions: &'static [&'static str],
    keys: &'static [&'static str],
) -> Row {
    Row { name, operation, act, sessions, keys, suspends: false, overlap: Duration::ZERO }
}

const fn suspending(row: Row) -> Row {
    Row { suspends: true, ..row }
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("log_out", "Store::log_out", |s| s.log_out(), &["office"], &[]),
    row("revoke", "Sessions::revoke",
        |s| s.sessions().revoke(s.id("office")).map(drop), &["office"], &[]),
    row("revoke_own", "Sessions::revoke_own",
        |s| s.sessions().revoke_own(&s.principal("home"), s.id("office")).map(drop),
        &["office"], &[]),
    row("revoke_others", "Sessions::revoke_others",
        |s| s.sessions().revoke_others(&s.principal("office")), &["home"], &[]),
    row("all_of_a_user", "Sessions::revoke_all(user)",
        |s| s.sessions().revoke_all(s.ada), ADAS, &[]),
    row("all_of_a_branch", "Sessions::revoke_all(branch)",
        |s| s.sessions().revoke_all(s.york), &SESSIONS, &[]),
    row("all_of_an_organisation", "Sessions::revoke_all(organisation)",
        |s| s.sessions().revoke_all(s.north), &SESSIONS, &[]),
    row("all_of_the_store", "Sessions::revoke_all(store)",
        |s| s.sessions().revoke_all(Subtree::Store), &SESSIONS, &[]),
    row("device_forgotten", "Devices::forget",
        |s| s.store().devices().forget(s.ada, &device("office")).map(drop), &["office"], &[]),
    row("listed_device_forgotten", "Devices::forget_listed",
        |s| s.store().devices().forget_listed(s.ada, &device("office").handle()).map(drop),
        &["office"], &[]),
    row("trust_revoked", "Devices::revoke_trust",
        |s| s.store().devices().revoke_trust(s.ada).map(drop), &[], &[]),
    row("own_password", "Store::change_password", |s| s.change_password(false), &["home"], &[]),
    row("own_password_and_keys", "Store::change_password_and_revoke_keys",
        |s| s.change_password(true), &["home"], &["ada"]),
    row("password_at_login", "Store::log_in(new password)",
        |s| s.change_at_login(false), ADAS, &[]),
    row("password_at_login_and_keys", "Store::log_in(new password, keys revoked)",
        |s| s.change_at_login(true), ADAS, &["ada"]),
    row("login_by_temporary_password", "Store::log_in(temporary password)",
        |s| s.log_in_by_temporary_password(), ADAS, &[]),
    row("login_by_recovery_code", "Store::log_in(recovery code)",
        |s| s.log_in_by_recovery_code(), ADAS, &[]),
    row("password_set", "Users::set_password",
        |s| s.users().set_password(s.ada, Password::from(NEW)), ADAS, &[]),
    row("hash_set", "Users::set_password_hash",
        |s| s.users().set_password_hash(s.ada, PHC), ADAS, &[]),
    row("password_removed", "Users::remove_password",
        |s| s.users().remove_password(s.ada).map(drop), ADAS, &[]),
    row("compromised", "Users::mark_compromised",
        |s| s.users().mark_compromised(s.ada).map(drop), ADAS, &[]),
    row("change_demanded", "Users::require_password_change(RevokeSessions::All)",
        |s| s.users().require_password_change(s.ada, RevokeSessions::All).map(drop), ADAS, &[]),
    suspending(row("locked", "Users::set_status(Locked)",
        |s| s.status(UserStatus::Locked), ADAS, &["ada"])),
    suspending(row("disabled", "Users::set_status(Disabled)",
        |s| s.status(UserStatus::Disabled), ADAS, &["ada"])),
    suspending(row("made_pending", "Users::set_status(Pending)",
        |s| s.status(UserStatus::Pending), ADAS, &["ada"])),
    row("deleted", "Users::delete", |s| s.users().delete(s.ada), ADAS, &["ada"]),
    row("renamed", "Users::rename",
        |s| s.users().rename(s.ada, "countess").map(drop), &[], &[]),
    row("address_changed", "Users::set_email",
        |s| s.users().set_email(s.ada, Some("countess@example.com")).map(drop), &[], &[]),
    row("first_confirmed", "Users::confirm(first)",
        |s| s.users().confirm(s.ada).map(drop), ADAS, &["ada"]),
    row("first_confirmed_without_password", "Users::confirm_and_remove_password(first)",
        |s| s.users().confirm_and_remove_password(s.ada).map(drop), ADAS, &["ada"]),
    row("address_confirmed", "OneTimeTokens::confirm_email(first)",
        |s| s.confirm_email(), ADAS, &["ada"]),
    row("confirmed_again", "Users::confirm(again)",
        |s| s.users().confirm(s.ada).map(drop), &[], &[]),
    row("address_confirmed_again", "OneTimeTokens::confirm_email(again)",
        |s| s.confirm_email(), &[], &[]),
    row("reset", "OneTimeTokens::reset_password(RevokeApiKeys::Keep)",
        |s| s.reset(RevokeApiKeys::Keep), ADAS, &[]),
    row("invitation_accepted", "OneTimeTokens::accept_invitation",
        |s| s.accept_invitation(), ADAS, &["ada"]),
    row("reset_and_keys", "OneTimeTokens::reset_password(RevokeApiKeys::All)",
        |s| s.reset(RevokeApiKeys::All), ADAS, &["ada"]),
    row("tokens_revoked", "OneTimeTokens::revoke_all",
        |s| s.store().one_time_tokens().revoke_all(s.ada), &[], &[]),
    row("factor_replaced", "SecondFactors::confirm(replacement)",
        |s| s.confirm_factor(), &["home"], &[]),
    row("factor_removed", "SecondFactors::remove", |s| s.remove_factor(), &["home"], &[]),
    row("codes_reissued", "SecondFactors::reissue_recovery_codes",
        |s| s.reissue_codes(), &["home"], &[]),
    row("factor_reset", "SecondFactors::reset",
        |s| s.store().second_factors().reset(s.ada).map(drop), ADAS, &[]),
    row("factor_imported", "SecondFactors::import", |s| s.import_factor(), ADAS, &[]),
    suspending(row("branch_disabled", "Branches::set_active(false)",
        |s| s.store().branches().set_active(s.york, false).map(drop), &SESSIONS, &KEYS)),
    suspending(row("organisation_disabled", "Organisations::set_active(false)",
        |s| s.store().organisations().set_active(s.north, false).map(drop), &SESSIONS, &KEYS)),
    row("key_revoked", "ApiKeys::revoke",
        |s| s.store().api_keys().revoke(s.key), &[], &["ada"]),
    row("keys_revoked", "ApiKeys::revoke_all",
        |s| s.store().api_keys().revoke_all(s.ada), &[], &["ada"]),
    row("key_rotated", "ApiKeys::rotate(no overlap)",
        |s| s.rotate(Duration::ZERO), &[], &["ada"]),
    Row { overlap: HOUR,
        ..row("key_rotated_later", "ApiKeys::rotate(overlap)", |s| s.rotate(HOUR), &[], &["ada"]) },
];

const OPENS: &str = "a session that could not be opened takes the place of no other";
const CHARGED: &str = "a code is charged before it is checked; one that was not proves nothing";
const STAYS: &str = "what was not moved stays where its sessions are valid";

/// The operations that revoke and have no row, and why a full disk leaves nothing of them to deny.
#[rustfmt::skip]
const NOT_PLAYED: &[(&str, &str)] = &[
    ("Store::log_in(on the device of a session)", OPENS),
    ("Store::log_in(device takeover)", OPENS),
    ("Store::log_in(session limit)", OPENS),
    ("Sessions::open(on the device of a session)", OPENS),
    ("Sessions::open(device takeover)", OPENS),
    ("Sessions::open(session limit)", OPENS),
    ("Store::complete_login(recovery code)", CHARGED),
    ("Store::complete_login(enrolment)", CHARGED),
    ("SecondFactors::replace(recovery code)", CHARGED),
    ("SecondFactors::confirm", "the same code as for a replacement, which is played"),
    ("SecondFactors::reset_by", "the same as SecondFactors::reset, once the right was read"),
    ("Users::move_to(place revoked since)", STAYS),
    ("Branches::move_to(place revoked since)", STAYS),
    ("Store::log_in(wrong code)", CHARGED),
    ("Store::complete_login(wrong code)", CHARGED),
    ("Store::restore", "it fails before the file is replaced"),
    ("Store::prove", "a proof that was not written gives out no new token"),
];

/// Whether it revokes the trust of all devices of the user.
fn is_trust_of_all(one: &Operation) -> bool {
    one.trust == operation("Devices::revoke_trust").trust
}

#[test]
fn every_operation_that_revokes_has_a_row_or_a_reason() {
    let kept = operation("Store::verify").trust;
    let revokes = |one: &&Operation| {
        let has_reach = one.sessions != Reach::Nothing || one.keys != Reach::Nothing;
        has_reach || one.tokens || one.trust != kept
    };
    let mut listed: Vec<&str> = OPERATIONS.iter().filter(revokes).map(|one| one.name).collect();
    let excepted = NOT_PLAYED.iter().map(|(name, _)| *name);
    let mut here: Vec<&str> = ROWS.iter().map(|row| row.operation).chain(excepted).collect();
    listed.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, listed);
}

#[test]
fn each_row_reaches_as_far_as_its_operation() {
    for row in ROWS {
        let operation = row.operation();
        let none = |reach| reach == Reach::Nothing;
        let expected = (none(operation.sessions), none(operation.keys), operation.suspends);
        let row_is = (row.sessions.is_empty(), row.keys.is_empty(), row.suspends);
        assert_eq!(row_is, expected, "{}", row.name);
        let is_of_user = matches!(operation.sessions, Reach::User);
        assert!(!is_of_user || row.sessions == ADAS, "{}", row.name);
    }
}

/// What is left on the disk for a revocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The room that the log keeps after a checkpoint.
    Log,
    /// The reserve alone: another program's snapshot keeps the log from being begun again.
    Reserve,
    Nothing,
}

/// Plays one row: it is written, or denied from memory and written as soon as there is room.
pub(super) fn play(disk: Disk, name: &str, left: Left, then: Then) -> Result<(), Error> {
    let row = ROWS.iter().find(|row| row.name == name).unwrap();
    // One that is imported is the first.
    let has_factor = left == Left::Nothing && name != "factor_imported";
    let scene = Scene::new(disk, row, has_factor)?;
    scene.disk.fill();
    scene.disk.write_until_refused();
    let reader = (left != Left::Log).then(|| scene.disk.old_snapshot());
    // The reserve is not for the charge of a password that is yet to be proven, and a login that
    // is not charged may not even use the log.
    let is_written = match left {
        _ if row.is_login() => false,
        Left::Log => true,
        Left::Reserve => !row.is_own_password(),
        Left::Nothing => false,
    };

    let answer = (row.act)(&scene);
    match &answer {
        Ok(()) => assert!(is_written, "{name}"),
        Err(error) => assert!(!is_written && error.kind() == ErrorKind::Full, "{name}: {error}"),
    }
    if !row.is_login() {
        scene.check_tickets(row);
    }
    scene.disk.clock.advance(row.overlap);
    if row.is_login() {
        // An attempt that could not be charged was not checked, so it proved nothing.
        scene.check(scene.store(), &Row { sessions: &[], ..*row }, &[], false);
        return Ok(());
    }
    assert_eq!(scene.store().status().denied, usize::from(left == Left::Nothing), "{name}");
    scene.check(scene.store(), row, row.keys, is_written);
    drop(reader);
    match then {
        Then::AnotherWrite => written_later(&scene, row, is_written),
        Then::TheSameAgain => done_again(&scene, row, is_written),
    }
    Ok(())
}

/// What is done once there is room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    AnotherWrite,
    TheSameAgain,
}

/// The caller tries again, and gets what it asked for: what was denied is written first, and
/// revokes nothing that is given out now.
fn done_again(scene: &Scene, row: &Row, is_written: bool) {
    scene.disk.make_room();
    if !is_written {
        // The denial is written before the call: a key that it revoked is not rotated, and an
        // enrolment that it revoked is not confirmed.
        let is_gone = row.is_of_key() || row.name == "factor_replaced";
        let expected = if is_gone { Err(ErrorKind::NotFound) } else { Ok(()) };
        assert_eq!((row.act)(scene).map_err(|error| error.kind()), expected, "{}", row.name);
    }
    scene.check_given(scene.store(), row.name);
    scene.store().organisations().create("Southern").unwrap();
    assert_eq!(scene.store().status().denied, 0, "{}", row.name);
    scene.disk.clock.advance(row.overlap);
    scene.check_given(scene.store(), row.name);
    let renewed = row.is_own_password();
    scene.check(scene.store(), row, row.keys, renewed);
    scene.check_explained(scene.store(), row, row.keys);
    scene.check_trust_and_step(scene.store(), row);
    scene.store().close().unwrap();
}

fn written_later(scene: &Scene, row: &Row, is_written: bool) {
    scene.disk.make_room();
    scene.store().organisations().create("Southern").unwrap();
    assert_eq!(scene.store().status().denied, 0, "{}", row.name);
    let keys = if row.suspends && !is_written { &[] } else { row.keys };
    scene.check(scene.store(), row, keys, is_written);
    if row.overlap.is_zero() {
        // Otherwise they have expired.
        scene.check_tickets(row);
    }
    // The file says the same, and not this process alone.
    scene.store().close().unwrap();
    let path = scene.disk.directory.join("auth.db");
    let store = Store::open(path, scene.disk.options.clone()).unwrap();
    scene.check(&store, row, keys, is_written);
    scene.check_explained(&store, row, keys);
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    if row.is_own_password() {
        let is_right = |password| {
            let login = LoginRequest::new("ada", Password::from(password), device("new"));
            !matches!(store.log_in(login).unwrap(), LoginOutcome::Refused(_))
        };
        assert_eq!((is_right(PASSWORD), is_right(NEW)), (!is_written, is_written));
    }
    scene.check_trust_and_step(&store, row);
    if row.is_invitation() {
        // The keys are revoked, not only suspended with their user.
        store.users().set_status(scene.ada, UserStatus::Active).map(drop).unwrap();
        scene.check(&store, row, keys, is_written);
    }
    store.close().unwrap();
}
