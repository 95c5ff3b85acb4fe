//! The scenes of sessions and keys: what is done, and what the explanation is.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::sessions::{
    NewApiKey, NewOneTimeToken, OpenSession, Reauthentication, RevokeApiKeys, RevokeSessions,
};
use gatepost::status::{InvalidTokenReason as Reason, RefusalCause as Cause};
use gatepost::{LoginRequest, Subtree};

use super::{Case, Play, Scene};
use crate::pending_step::{code_at, give_factor};
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, device};

const NEW: &str = "nine brass bells";

/// The session was revoked by a row of this kind.
fn revoked(scene: &Scene, event: EventKind) -> Case {
    scene.of_session(Reason::Revoked, Cause::Revoked, event)
}

/// The row of the session is gone, and a row of this kind says why.
fn deleted(scene: &Scene, event: EventKind) -> Case {
    scene.of_session(Reason::Unknown, Cause::Revoked, event)
}

pub(super) const OF_TIME: &[(&str, Play)] = &[
    ("live", |s| Case {
        reason: None,
        cause: Cause::Accepted,
        event: "",
        ..revoked(s, EventKind::SessionOpened)
    }),
    ("no token", |_| Case {
        text: "gps_".into(),
        on: Some("till"),
        reason: Some(Reason::Malformed),
        cause: Cause::Malformed,
        event: "",
    }),
    ("a one-time token", |s| {
        let new = NewOneTimeToken::password_reset();
        let issued = s.store().one_time_tokens().issue(s.ada, new).unwrap();
        let text = issued.token.expose().to_owned();
        let (reason, cause) = (Some(Reason::Malformed), Cause::Malformed);
        Case { text, on: None, reason, cause, event: "" }
    }),
    ("unknown", |_| {
        // A token of another file.
        let other = Scene::new();
        let text = other.world.open(other.root, "window").token.expose().to_owned();
        let (reason, cause) = (Some(Reason::Unknown), Cause::Unknown);
        Case { text, on: Some("till"), reason, cause, event: "" }
    }),
    ("forged", |s| {
        let mut raw = decoded(s.session.token.expose());
        raw[47] ^= 1;
        let case = s.of_session(Reason::Unknown, Cause::WrongToken, EventKind::SessionOpened);
        Case { text: encoded(&raw), event: "", ..case }
    }),
    ("wrong device", |s| Case {
        on: Some("window"),
        ..s.of_session(Reason::WrongDevice, Cause::WrongDevice, EventKind::SessionOpened)
    }),
    ("without its device", |s| Case {
        on: None,
        ..s.of_session(Reason::WrongDevice, Cause::WrongDevice, EventKind::SessionOpened)
    }),
    ("proved, so a new token", |s| {
        let till = device("till");
        let with = Reauthentication::password(PASSWORD);
        let proved = s.store().prove((&s.session.token, &till), with).unwrap();
        proved.granted().unwrap();
        s.of_session(Reason::Unknown, Cause::Superseded, EventKind::SessionProved)
    }),
    ("own password change", |s| {
        let till = device("till");
        let presented = (&s.session.token, &till);
        let changed = s.store().change_password(presented, PASSWORD.into(), NEW.into());
        changed.unwrap().granted().unwrap();
        s.of_session(Reason::Unknown, Cause::Superseded, EventKind::PasswordChanged)
    }),
    ("expired", |s| {
        s.world.clock.advance(25 * HOUR);
        s.of_session(Reason::Expired, Cause::Expired, EventKind::SessionOpened)
    }),
    ("expired and swept", |s| {
        s.world.clock.advance(25 * HOUR);
        s.world.believe_clock();
        s.store().maintain().unwrap();
        s.of_session(Reason::Unknown, Cause::Over, EventKind::SessionOpened)
    }),
    ("idle", |s| {
        s.world.options = s.world.options.clone().inactivity(MINUTE);
        s.world.reopen();
        s.session = s.world.open(s.ada, "till");
        s.world.clock.advance(2 * MINUTE);
        s.of_session(Reason::Idle, Cause::Inactive, EventKind::SessionOpened)
    }),
    ("the clock was ahead", |s| {
        s.world.clock.advance(DAY);
        s.session = s.world.open(s.ada, "till");
        s.world.clock.set(s.world.now() - DAY);
        // Within a process time does not move for a minute; another one has no earlier time.
        s.world.reopen();
        s.of_session(Reason::NotYet, Cause::Clock, EventKind::SessionOpened)
    }),
];

trait Inactivity {
    fn inactivity(self, timeout: Duration) -> Self;
}

impl Inactivity for gatepost::Options {
    fn inactivity(self, timeout: Duration) -> Self {
        self.sessions(gatepost::policy::SessionPolicy::server().inactivity_timeout(timeout))
    }
}

pub(super) const OF_CALLS: &[(&str, Play)] = &[
    ("logged out", |s| {
        s.world.log_out(&s.session, "till");
        deleted(s, EventKind::SessionLoggedOut)
    }),
    ("revoked by its handle", |s| {
        s.acting().sessions().revoke(s.session.id).unwrap();
        deleted(s, EventKind::SessionRevoked)
    }),
    ("device forgotten", |s| {
        assert!(s.acting().devices().forget(s.ada, &device("till")).unwrap());
        deleted(s, EventKind::DeviceForgotten)
    }),
    ("replaced on its device", |s| {
        drop(s.world.open(s.ada, "till"));
        s.of_session(Reason::Unknown, Cause::Replaced, EventKind::SessionReplaced)
    }),
    ("others revoked", |s| {
        let other = s.world.open(s.ada, "window");
        let window = device("window");
        let principal = s.store().verify((&other.token, &window)).unwrap().valid().unwrap();
        s.acting().sessions().revoke_others(&principal).unwrap();
        revoked(s, EventKind::SessionOthersRevoked)
    }),
    ("kept once, revoked later", |s| {
        let principal = s.principal();
        s.acting().sessions().revoke_others(&principal).unwrap();
        s.acting().users().set_password(s.ada, NEW.into()).unwrap();
        revoked(s, EventKind::PasswordSet)
    }),
    ("all of the user", |s| {
        s.acting().sessions().revoke_all(s.ada).unwrap();
        revoked(s, EventKind::UserSessionsRevoked)
    }),
    ("all of the user, deleted by the next login", |s| {
        s.acting().sessions().revoke_all(s.ada).unwrap();
        drop(s.world.open(s.ada, "window"));
        deleted(s, EventKind::UserSessionsRevoked)
    }),
    ("all of the store", |s| {
        s.acting().sessions().revoke_all(Subtree::Store).unwrap();
        revoked(s, EventKind::StoreSessionsRevoked)
    }),
    ("all of the branch", |s| {
        let york = in_york(s).0;
        s.acting().sessions().revoke_all(york).unwrap();
        revoked(s, EventKind::BranchSessionsRevoked)
    }),
    ("all of the organisation", |s| {
        let north = in_york(s).1;
        s.acting().sessions().revoke_all(north).unwrap();
        revoked(s, EventKind::OrganisationSessionsRevoked)
    }),
    ("branch disabled", |s| {
        let york = in_york(s).0;
        s.acting().branches().set_active(york, false).unwrap();
        revoked(s, EventKind::BranchDeactivated)
    }),
    ("organisation disabled", |s| {
        let north = in_york(s).1;
        s.acting().organisations().set_active(north, false).unwrap();
        revoked(s, EventKind::OrganisationDeactivated)
    }),
    ("another branch revoked, then the user's own sessions", |s| {
        let dover = s.store().branches().create("Dover", None).unwrap().id;
        s.acting().sessions().revoke_all(dover).unwrap();
        s.acting().sessions().revoke_all(s.ada).unwrap();
        revoked(s, EventKind::UserSessionsRevoked)
    }),
    ("moved out of a branch that was revoked", |s| {
        let york = in_york(s).0;
        s.acting().sessions().revoke_all(york).unwrap();
        s.acting().users().move_to(s.ada, None).unwrap();
        revoked(s, EventKind::BranchSessionsRevoked)
    }),
    ("moved into a branch that was revoked", |s| {
        let york = s.store().branches().create("York", None).unwrap().id;
        s.acting().sessions().revoke_all(york).unwrap();
        s.acting().users().move_to(s.ada, york).unwrap();
        revoked(s, EventKind::UserMoved)
    }),
    ("the branch moved into an organisation that was revoked", |s| {
        let york = in_york(s).0;
        let south = s.store().organisations().create("Southern").unwrap().id;
        s.acting().sessions().revoke_all(south).unwrap();
        s.acting().branches().move_to(york, south).unwrap();
        revoked(s, EventKind::BranchMoved)
    }),
    ("moved into an inactive branch", |s| {
        let york = s.store().branches().create("York", None).unwrap().id;
        s.acting().branches().set_active(york, false).unwrap();
        s.session = s.world.open(s.ada, "till");
        s.acting().users().move_to(s.ada, york).unwrap();
        s.of_session(Reason::Suspended, Cause::BranchInactive, EventKind::BranchDeactivated)
    }),
    ("the branch moved under an inactive organisation", |s| {
        let york = in_york(s).0;
        let south = s.store().organisations().create("Southern").unwrap().id;
        s.acting().organisations().set_active(south, false).unwrap();
        s.session = s.world.open(s.ada, "till");
        s.acting().branches().move_to(york, south).unwrap();
        let event = EventKind::OrganisationDeactivated;
        s.of_session(Reason::Suspended, Cause::OrganisationInactive, event)
    }),
    ("password set", |s| {
        s.acting().users().set_password(s.ada, NEW.into()).unwrap();
        revoked(s, EventKind::PasswordSet)
    }),
    ("password removed", |s| {
        assert!(s.acting().users().remove_password(s.ada).unwrap());
        revoked(s, EventKind::PasswordRemoved)
    }),
    ("password compromised", |s| {
        assert!(s.acting().users().mark_compromised(s.ada).unwrap());
        revoked(s, EventKind::PasswordMarkedCompromised)
    }),
    ("a change demanded, which kept them, and then one that did not", |s| {
        let users = s.acting();
        users.users().require_password_change(s.ada, RevokeSessions::Keep).unwrap();
        users.users().require_password_change(s.ada, RevokeSessions::All).unwrap();
        let case = revoked(s, EventKind::PasswordChangeRequired);
        let why = s.store().explain((&case.text, &device("till"))).unwrap();
        let row = why.evidence.row().unwrap();
        assert_eq!(row.reason.as_deref(), Some("sessions_revoked"));
        case
    }),
    ("a new password at a login", |s| {
        let users = s.store().users();
        users.require_password_change(s.ada, RevokeSessions::Keep).unwrap();
        let login = LoginRequest::new("ada", PASSWORD.into(), device("window"));
        s.world.ask(login.new_password(NEW.into())).unwrap();
        deleted(s, EventKind::LoginGranted)
    }),
    ("a new password at a login by a recovery code", |s| {
        recover(s);
        deleted(s, EventKind::LoginGranted)
    }),
    ("a reset by one-time token", |s| {
        let tokens = s.store().one_time_tokens();
        let token = tokens.issue(s.ada, NewOneTimeToken::password_reset()).unwrap().token;
        let reset = tokens.reset_password(token.expose(), NEW.into(), RevokeApiKeys::Keep);
        reset.unwrap().valid().unwrap();
        revoked(s, EventKind::PasswordReset)
    }),
    ("first confirmed", |s| {
        s.acting().users().confirm(s.ada).unwrap();
        revoked(s, EventKind::UserConfirmed)
    }),
    ("confirmed once more, and then revoked", |s| {
        s.acting().users().confirm(s.ada).unwrap();
        s.session = s.world.open(s.ada, "till");
        s.acting().users().confirm(s.ada).unwrap();
        s.acting().sessions().revoke_all(s.ada).unwrap();
        revoked(s, EventKind::UserSessionsRevoked)
    }),
    ("locked", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Locked).unwrap();
        revoked(s, EventKind::UserLocked)
    }),
    ("disabled and enabled again", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Disabled).unwrap();
        s.acting().users().set_status(s.ada, UserStatus::Active).unwrap();
        revoked(s, EventKind::UserDisabled)
    }),
    ("made pending", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Pending).unwrap();
        revoked(s, EventKind::UserMadePending)
    }),
    ("deleted", |s| {
        s.acting().users().delete(s.ada).unwrap();
        revoked(s, EventKind::UserDeleted)
    }),
    ("a second factor imported", |s| {
        crate::pending_step::give_factor(&s.world, s.ada);
        revoked(s, EventKind::SecondFactorImported)
    }),
];

/// Ada logs in by a recovery code, with a new password, and her keys are revoked.
fn recover(s: &mut Scene) {
    give_factor(&s.world, s.ada);
    let (desk, on) = (s.world.open(s.ada, "desk"), device("desk"));
    let code = code_at(s.world.now());
    let factors = s.store().second_factors();
    let codes = factors.reissue_recovery_codes((&desk.token, &on), PASSWORD.into(), code.into());
    let codes = codes.unwrap().done().unwrap();
    s.session = s.world.open(s.ada, "till");
    s.store().users().require_password_change(s.ada, RevokeSessions::Keep).unwrap();
    let login = LoginRequest::new("ada", PASSWORD.into(), device("window"));
    let login = login.recovery_code(codes.codes[0].expose()).new_password(NEW.into());
    s.world.ask(login.revoke_api_keys()).unwrap();
}

/// The key that a rotation has put in the place of this one.
fn rotated(s: &Scene, key: gatepost::ApiKeyId) -> (gatepost::ApiKeyId, gatepost::Secret) {
    let new = s.acting().api_keys().rotate(key, Duration::ZERO).unwrap();
    (new.id, new.key)
}

/// Ada is in York, in the Northern organisation.
pub(super) fn in_york(s: &mut Scene) -> (gatepost::BranchId, gatepost::OrganisationId) {
    let north = s.store().organisations().create("Northern").unwrap().id;
    let york = s.store().branches().create("York", north).unwrap().id;
    s.store().users().move_to(s.ada, york).unwrap();
    (york, north)
}

pub(super) const OF_KEYS: &[(&str, Play)] = &[
    ("key revoked", |s| {
        s.acting().api_keys().revoke(s.key.0).unwrap();
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::ApiKeyRevoked)
    }),
    ("all keys revoked", |s| {
        s.acting().api_keys().revoke_all(s.ada).unwrap();
        s.of_key(Reason::Revoked, Cause::Revoked, EventKind::ApiKeysRevoked)
    }),
    ("all keys revoked at a login by a recovery code", |s| {
        recover(s);
        s.of_key(Reason::Revoked, Cause::Revoked, EventKind::LoginGranted)
    }),
    ("key rotated", |s| {
        drop(s.acting().api_keys().rotate(s.key.0, Duration::ZERO).unwrap());
        s.of_key(Reason::Unknown, Cause::Replaced, EventKind::ApiKeyRotated)
    }),
    ("key revoked in the overlap of a rotation", |s| {
        drop(s.acting().api_keys().rotate(s.key.0, HOUR).unwrap());
        s.acting().api_keys().revoke(s.key.0).unwrap();
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::ApiKeyRevoked)
    }),
    ("all keys revoked in the overlap of a rotation", |s| {
        drop(s.acting().api_keys().rotate(s.key.0, HOUR).unwrap());
        s.acting().api_keys().revoke_all(s.ada).unwrap();
        // This deletes the rows of the revoked keys.
        drop(s.acting().api_keys().issue(s.ada, NewApiKey::new()).unwrap());
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::ApiKeysRevoked)
    }),
    ("all keys revoked after the overlap of a rotation", |s| {
        drop(s.acting().api_keys().rotate(s.key.0, MINUTE).unwrap());
        s.world.clock.advance(2 * MINUTE);
        s.acting().api_keys().revoke_all(s.ada).unwrap();
        drop(s.acting().api_keys().issue(s.ada, NewApiKey::new()).unwrap());
        s.of_key(Reason::Unknown, Cause::Replaced, EventKind::ApiKeyRotated)
    }),
    ("its session logged out in the overlap of a rotation", |s| {
        let made = s.store().api_keys().attenuate(&s.principal(), NewApiKey::new()).unwrap();
        drop(s.acting().api_keys().rotate(made.id, HOUR).unwrap());
        s.world.log_out(&s.session, "till");
        s.key = (made.id, made.key);
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::SessionLoggedOut)
    }),
    ("key expired", |s| {
        drop(s.acting().api_keys().rotate(s.key.0, MINUTE).unwrap());
        s.world.clock.advance(2 * MINUTE);
        s.of_key(Reason::Expired, Cause::Expired, EventKind::ApiKeyIssued)
    }),
    ("key of a locked user", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Locked).unwrap();
        s.of_key(Reason::Suspended, Cause::UserLocked, EventKind::UserLocked)
    }),
    ("key of a disabled user", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Disabled).unwrap();
        s.of_key(Reason::Suspended, Cause::UserDisabled, EventKind::UserDisabled)
    }),
    ("key of a pending user", |s| {
        s.acting().users().set_status(s.ada, UserStatus::Pending).unwrap();
        s.of_key(Reason::Suspended, Cause::UserPending, EventKind::UserMadePending)
    }),
    ("key of a deleted user", |s| {
        s.acting().users().delete(s.ada).unwrap();
        s.of_key(Reason::Revoked, Cause::Revoked, EventKind::UserDeleted)
    }),
    ("key of a disabled branch", |s| {
        let york = in_york(s).0;
        s.acting().branches().set_active(york, false).unwrap();
        s.of_key(Reason::Suspended, Cause::BranchInactive, EventKind::BranchDeactivated)
    }),
    ("keys revoked with the password", |s| {
        let till = device("till");
        let changed = s.store().change_password_and_revoke_keys(
            (&s.session.token, &till),
            PASSWORD.into(),
            NEW.into(),
        );
        changed.unwrap().granted().unwrap();
        s.of_key(Reason::Revoked, Cause::Revoked, EventKind::PasswordChanged)
    }),
    ("a key with a device", |s| Case {
        on: Some("till"),
        ..s.of_key(Reason::WrongDevice, Cause::WrongDevice, EventKind::ApiKeyIssued)
    }),
    ("a key of a session that was logged out", |s| {
        let made = s.store().api_keys().attenuate(&s.principal(), NewApiKey::new()).unwrap();
        s.world.log_out(&s.session, "till");
        s.key = (made.id, made.key);
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::SessionLoggedOut)
    }),
    ("a key of a session that was revoked with all", |s| {
        let made = s.store().api_keys().attenuate(&s.principal(), NewApiKey::new()).unwrap();
        s.acting().sessions().revoke_all(s.ada).unwrap();
        s.key = (made.id, made.key);
        s.of_key(Reason::Revoked, Cause::Revoked, EventKind::UserSessionsRevoked)
    }),
    ("a key of a key that was rotated", |s| {
        let parent = s.store().verify((&s.key.1, None)).unwrap().valid().unwrap();
        let made = s.store().api_keys().attenuate(&parent, NewApiKey::new()).unwrap();
        drop(s.acting().api_keys().rotate(s.key.0, Duration::ZERO).unwrap());
        s.key = (made.id, made.key);
        s.of_key(Reason::Unknown, Cause::Replaced, EventKind::ApiKeyRotated)
    }),
    ("a key of a session that was logged out, rotated twice", |s| {
        let made = s.store().api_keys().attenuate(&s.principal(), NewApiKey::new()).unwrap();
        s.key = rotated(s, made.id);
        s.key = rotated(s, s.key.0);
        s.world.log_out(&s.session, "till");
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::SessionLoggedOut)
    }),
    ("a key of a rotated key of a session that was logged out", |s| {
        let made = s.store().api_keys().attenuate(&s.principal(), NewApiKey::new()).unwrap();
        let new = rotated(s, made.id);
        let parent = s.store().verify((&new.1, None)).unwrap().valid().unwrap();
        let made = s.store().api_keys().attenuate(&parent, NewApiKey::new()).unwrap();
        s.world.log_out(&s.session, "till");
        s.key = (made.id, made.key);
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::SessionLoggedOut)
    }),
    ("a rotated key of a key that was revoked", |s| {
        let parent = s.store().verify((&s.key.1, None)).unwrap().valid().unwrap();
        let made = s.store().api_keys().attenuate(&parent, NewApiKey::new()).unwrap();
        let new = rotated(s, made.id);
        s.acting().api_keys().revoke(s.key.0).unwrap();
        s.key = new;
        s.of_key(Reason::Unknown, Cause::Revoked, EventKind::ApiKeyRevoked)
    }),
    ("a session of a restored user", |s| {
        s.acting().users().delete(s.ada).unwrap();
        s.acting().users().restore(s.ada).unwrap();
        let open = OpenSession::new(s.ada, device("window"));
        let opened = s.store().sessions().open(open).unwrap();
        drop(opened.granted().unwrap());
        deleted(s, EventKind::UserDeleted)
    }),
];

fn decoded(token: &str) -> Vec<u8> {
    let raw = data_encoding::BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).unwrap();
    raw[..48].to_vec()
}

/// A token of a session, with its checksum.
fn encoded(raw: &[u8]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"gps_");
    hasher.update(raw);
    let whole = [raw, &hasher.finalize().to_be_bytes()].concat();
    format!("gps_{}", data_encoding::BASE64URL_NOPAD.encode(&whole))
}
