//! Explain: a scene for each reason and each cause of a refusal, and the row of the log behind it.

mod login;
mod order;
mod sessions;

use std::collections::BTreeSet;
use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::sessions::{NewApiKey, Reauthentication};
use gatepost::status::{AuditEvidence, Explanation, InvalidTokenReason, RefusalCause};
use gatepost::{ApiKeyId, Credential, OpenedSession, Principal, Secret, SessionId, Store, UserId};

use crate::impersonate;
use crate::pending_step::unsealed;
use crate::world::{PASSWORD, World, device};

/// Root acts; ada has a session on the device `till` and a key.
pub(crate) struct Scene {
    world: World,
    root: UserId,
    ada: UserId,
    session: OpenedSession,
    key: (ApiKeyId, Secret),
}

/// What is presented, and what is expected of it.
struct Case {
    text: String,
    on: Option<&'static str>,
    /// The reason under which a verify counts the refusal.
    reason: Option<InvalidTokenReason>,
    cause: RefusalCause,
    /// The event of the row; empty for none.
    event: &'static str,
}

impl Scene {
    fn new() -> Self {
        Self::in_world(World::with(unsealed))
    }

    fn in_world(world: World) -> Self {
        let root = world.person("root").id;
        let ada = world.person("ada").id;
        let session = world.open(ada, "till");
        let issued = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        Self { world, root, ada, session, key: (issued.id, issued.key) }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    /// A handle that acts as root, so that the row names who did it.
    fn acting(&self) -> Store {
        self.store().acting_as(self.root)
    }

    fn principal(&self) -> Principal {
        let till = device("till");
        self.store().verify((&self.session.token, &till)).unwrap().valid().unwrap()
    }

    fn of_session(
        &self,
        reason: InvalidTokenReason,
        cause: RefusalCause,
        event: EventKind,
    ) -> Case {
        let text = self.session.token.expose().to_owned();
        Case { text, on: Some("till"), reason: Some(reason), cause, event: event.name() }
    }

    fn of_key(&self, reason: InvalidTokenReason, cause: RefusalCause, event: EventKind) -> Case {
        let text = self.key.1.expose().to_owned();
        Case { text, on: None, reason: Some(reason), cause, event: event.name() }
    }

    /// Asserts what a verify counts and what the explanation says.
    #[track_caller]
    fn check(&self, name: &str, case: &Case) -> Explanation {
        let on = case.on.map(device);
        let before = self.store().status().verify_refusals;
        let verdict = self.store().verify((&case.text, on.as_ref())).unwrap().valid();
        assert_eq!(verdict.is_err(), case.reason.is_some(), "{name}: the verdict");
        let after = self.store().status().verify_refusals;
        for reason in InvalidTokenReason::ALL {
            let count = |all: &std::collections::BTreeMap<&'static str, u64>| {
                all.get(reason.name()).copied().unwrap_or(0)
            };
            let expected = u64::from(case.reason == Some(*reason));
            assert_eq!(count(&after) - count(&before), expected, "{name}: {reason:?} is counted");
        }
        let explained = self.store().explain((&case.text, on.as_ref())).unwrap();
        assert_eq!(explained.cause, case.cause, "{name}: {explained:?}");
        assert_eq!(explained.reason, case.reason, "{name}");
        let event = explained.evidence.row().map_or("", |row| row.event.as_str());
        assert_eq!(event, case.event, "{name}: {explained:?}");
        assert_ne!(explained.evidence, AuditEvidence::Trimmed, "{name}");
        assert_eq!(self.store().status().verify_refusals, after, "{name}: it counts nothing");
        explained
    }
}

type Play = fn(&mut Scene) -> Case;

/// All scenes of tokens and handles.
fn scenes() -> Vec<(&'static str, Play)> {
    sessions::OF_TIME.iter().chain(sessions::OF_CALLS).chain(sessions::OF_KEYS).copied().collect()
}

/// A reason or a cause without a scene fails here.
#[test]
fn each_reason_and_cause_has_a_scene_with_its_row() {
    let (mut reasons, mut causes) = (BTreeSet::new(), BTreeSet::new());
    for (name, play) in scenes() {
        let mut scene = Scene::new();
        let case = play(&mut scene);
        scene.check(name, &case);
        reasons.extend(case.reason.map(InvalidTokenReason::name));
        causes.insert(case.cause.as_str());
    }
    causes.extend(login::SCENES.iter().map(|(_, _, cause, _)| cause.as_str()));
    // Needs a disk that is full: full_disk.rs.
    causes.insert(RefusalCause::Denied.as_str());
    // Needs a key that is lost: keyring/missing.rs.
    causes.insert(RefusalCause::KeyMissing.as_str());
    let all_reasons: BTreeSet<&str> =
        InvalidTokenReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(reasons, all_reasons);
    let all_causes: BTreeSet<&str> =
        RefusalCause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(causes, all_causes);
}

/// The same answer by the handle, and the row says who did it.
#[test]
fn a_handle_is_explained_as_its_token_is() {
    let scene = Scene::new();
    scene.acting().sessions().revoke_all(scene.ada).unwrap();
    let case = scene.of_session(
        InvalidTokenReason::Revoked,
        RefusalCause::Revoked,
        EventKind::UserSessionsRevoked,
    );
    let by_token = scene.check("by token", &case);
    let handle = Credential::Session(scene.session.id);
    assert_eq!(scene.store().explain_credential(handle).unwrap(), by_token);
    let row = by_token.evidence.row().unwrap();
    assert_eq!(row.actor.user(), Some(scene.root));
    assert_eq!((by_token.user, by_token.credential), (Some(scene.ada), Some(handle)));
    // A later revocation is not the cause.
    scene.acting().users().set_password(scene.ada, "nine brass bells".into()).unwrap();
    assert_eq!(scene.store().explain_credential(handle).unwrap(), by_token);
    // Nor is one before the session was opened.
    scene.world.log_in("ada", "nine brass bells", "till").unwrap();
    let later = scene.world.open(scene.ada, "window");
    scene.acting().users().mark_compromised(scene.ada).unwrap();
    let why = scene.store().explain_credential(Credential::Session(later.id)).unwrap();
    assert_eq!(why.evidence.row().unwrap().event, "password.marked_compromised");
}

#[test]
fn a_handle_that_no_row_names_is_unknown() {
    let scene = Scene::new();
    let id: SessionId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let key: ApiKeyId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    for credential in [Credential::Session(id), Credential::ApiKey(key)] {
        let why = scene.store().explain_credential(credential).unwrap();
        assert_eq!((why.cause, why.evidence), (RefusalCause::Unknown, AuditEvidence::None));
        assert_eq!(why.user, None);
    }
}

/// The log keeps 1,000 rows; the rows of the session are among those that are gone.
#[test]
fn what_was_trimmed_is_not_guessed() {
    let world = World::with(|options| options.audit_max_rows(1_000));
    let scene = Scene::in_world(world);
    let (gone, kept) = (scene.world.open(scene.ada, "gone"), scene.session.id);
    let proved = scene.world.open(scene.ada, "proved");
    scene.acting().sessions().revoke(gone.id).unwrap();
    let users = scene.acting();
    for number in 0..1_001 {
        users.users().rename(scene.root, &format!("root-{number}")).unwrap();
    }
    let with = Reauthentication::password(PASSWORD);
    let proof = scene.store().prove((&proved.token, &device("proved")), with).unwrap();
    assert!(proof.granted().is_ok());
    scene.acting().sessions().revoke_all(scene.ada).unwrap();
    let of = |id| scene.store().explain_credential(Credential::Session(id)).unwrap();
    // Neither that there ever was one, nor what ended it.
    let why = of(gone.id);
    assert_eq!((why.cause, why.evidence), (RefusalCause::Unknown, AuditEvidence::Trimmed));
    // An earlier row, which is gone, may have revoked it before.
    let why = of(kept);
    assert_eq!((why.cause, why.evidence), (RefusalCause::Revoked, AuditEvidence::Trimmed));
    // A row that is there shows this one valid after all those that are gone.
    let event = |why: &Explanation| why.evidence.row().map(|row| row.event.clone());
    let why = of(proved.id);
    assert_eq!(
        (why.cause, event(&why).as_deref()),
        (RefusalCause::Revoked, Some("user.sessions_revoked"))
    );
    // Also when the next login has deleted it.
    drop(scene.world.open(scene.ada, "phone"));
    let why = of(proved.id);
    assert_eq!(
        (why.cause, event(&why).as_deref()),
        (RefusalCause::Revoked, Some("user.sessions_revoked"))
    );
    assert_eq!(why.user, Some(scene.ada));
}

/// A rotated key whose first row is gone may have been made from anything.
#[test]
fn what_a_rotated_key_was_made_from_is_not_guessed() {
    let world = World::with(|options| options.audit_max_rows(1_000));
    let scene = Scene::in_world(world);
    let made = scene.store().api_keys().attenuate(&scene.principal(), NewApiKey::new()).unwrap();
    let users = scene.acting();
    for number in 0..1_001 {
        users.users().rename(scene.root, &format!("root-{number}")).unwrap();
    }
    let rotated = scene.acting().api_keys().rotate(made.id, Duration::ZERO).unwrap();
    scene.world.log_out(&scene.session, "till");
    let why = scene.store().explain_credential(Credential::ApiKey(rotated.id)).unwrap();
    assert_eq!((why.cause, why.evidence), (RefusalCause::Unknown, AuditEvidence::Trimmed));
}

/// An impersonation ends with the session it was opened from, and a key with its parent.
#[test]
fn what_came_from_another_is_explained_by_it() {
    let scene = impersonate::Scene::new();
    let store = &scene.world.store;
    let session = scene.as_ada();
    let why = || store.explain_credential(Credential::Session(session.id)).unwrap();
    assert_eq!(why().cause, RefusalCause::Accepted);
    scene.world.log_out(&scene.own, "desk");
    let explained = why();
    assert_eq!(explained.cause, RefusalCause::Revoked);
    assert_eq!(explained.through, Some(Credential::Session(scene.own.id)));
    assert_eq!(explained.evidence.row().unwrap().event, "session.logged_out");
    assert_eq!(explained.user, Some(scene.ada));

    let scene = Scene::new();
    let made = scene.store().api_keys().attenuate(&scene.principal(), NewApiKey::new()).unwrap();
    let rotated = scene.acting().api_keys().rotate(made.id, Duration::ZERO).unwrap();
    scene.world.log_out(&scene.session, "till");
    let explained = scene.store().explain_credential(Credential::ApiKey(rotated.id)).unwrap();
    assert_eq!(explained.through, Some(Credential::Session(scene.session.id)));
    assert_eq!(explained.evidence.row().unwrap().event, "session.logged_out");

    let scene = impersonate::Scene::new();
    let store = &scene.world.store;
    let session = scene.as_ada();
    store.acting_as(scene.ada).users().set_privileges(scene.boss, &[]).unwrap();
    let explained = store.explain_credential(Credential::Session(session.id)).unwrap();
    let row = explained.evidence.row().unwrap();
    assert_eq!(
        (explained.cause, row.event.as_str()),
        (RefusalCause::Revoked, "user.privileges_changed")
    );
    assert_eq!(row.actor.user(), Some(scene.ada));
}
