//! Follow the rows of the audit log about a session or key, from its beginning to what ended it.
//!
//! The log has the order of the commits. A session is revoked by the first row after its beginning
//! that revokes all sessions of its user, of the user's place at that time, or of the store. A row
//! that kept the session, or gave it a new token, is a new beginning: it is newer than the
//! watermark of that row.

use super::places::{Place, Places, by_place};
use super::rows::{Ending, OF_STORE, done, of_kinds, rows};
use super::{AuditEvidence, RefusalCause};
use crate::error::Result;
use crate::record::api_key;
use crate::record::audit::{self, AuditFilter};
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind, reasons};
use crate::value::id::{ApiKeyId, UserId};
use crate::value::limits;
use crate::value::principal::Credential;
use crate::value::time::Timestamp;

/// What the log says of one session or key.
pub(super) struct Chapter {
    /// The rows that name it, oldest first.
    rows: Vec<AuditEntry>,
    key: Option<ApiKeyId>,
    origin: Origin,
    /// Whether rows of the library have been trimmed.
    pub(super) is_trimmed: bool,
}

/// What a session or key was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Nothing,
    Of(Credential),
    /// The row that would say was trimmed.
    Trimmed,
}

impl Chapter {
    pub(super) fn of(store: &Store, credential: Credential) -> Result<Self> {
        let rows = audit::rows_naming(store, credential)?;
        let is_trimmed = store.read(audit::is_trimmed)?;
        let (key, origin) = (credential.api_key(), Origin::Nothing);
        let mut chapter = Self { rows, key, origin, is_trimmed };
        chapter.origin = chapter.origin(store)?;
        Ok(chapter)
    }

    /// A rotated key was made from what the first of the keys before it was made from.
    fn origin(&self, store: &Store) -> Result<Origin> {
        let Some(opening) = self.opening() else { return Ok(Origin::Nothing) };
        let (Some(user), Some(mut before)) = (opening.user, replaced_by(opening)) else {
            return Ok(parent_in(opening).map_or(Origin::Nothing, Origin::Of));
        };
        let of_user = rows(store, AuditFilter::new().user(user).from_library(), 0)?;
        let earlier = of_user.iter().rev().filter(|row| row.seq < opening.seq);
        for (kind, row) in earlier.filter_map(done) {
            if is_new_key(kind) && row.api_key == Some(before) {
                match replaced_by(row) {
                    Some(key) => before = key,
                    None => return Ok(parent_in(row).map_or(Origin::Nothing, Origin::Of)),
                }
            }
        }
        Ok(if self.is_trimmed { Origin::Trimmed } else { Origin::Nothing })
    }

    fn opening(&self) -> Option<&AuditEntry> {
        self.done().find(|(kind, row)| self.begins(*kind, row)).map(|(_, row)| row)
    }

    fn begins(&self, kind: EventKind, row: &AuditEntry) -> bool {
        match self.key {
            Some(key) => is_new_key(kind) && row.api_key == Some(key),
            None => matches!(
                kind,
                EventKind::LoginGranted
                    | EventKind::SessionOpened
                    | EventKind::SessionImpersonated
            ),
        }
    }

    fn done(&self) -> impl Iterator<Item = (EventKind, &AuditEntry)> {
        self.rows.iter().filter_map(done)
    }

    /// The row of the beginning.
    pub(super) fn beginning(&self) -> AuditEvidence {
        match self.opening() {
            Some(row) => AuditEvidence::of(Some(row.clone())),
            None if self.is_trimmed => AuditEvidence::Trimmed,
            None => AuditEvidence::None,
        }
    }

    /// The user. Where the row of the beginning was trimmed, a row by which an own session got a
    /// new token says it too; no impersonation has one.
    pub(super) fn user(&self) -> Option<UserId> {
        let said = self.opening().cloned().or_else(|| self.new_token());
        said.or_else(|| self.overlap().map(|(row, _)| row.clone())).and_then(|row| row.user)
    }

    /// The row of the beginning, if it is an impersonation.
    fn impersonation(&self) -> Option<&AuditEntry> {
        self.opening().filter(|row| row.event == EventKind::SessionImpersonated.name())
    }

    /// The row that rotated this key and left it valid for a while, and until when.
    fn overlap(&self) -> Option<(&AuditEntry, Timestamp)> {
        let old = self.key?;
        let rotated = self.done().filter(|(kind, _)| *kind == EventKind::ApiKeyRotated);
        let overlaps = rotated.filter_map(|(_, row)| {
            let (key, until) = api_key::rotated(row.detail.as_deref()?)?;
            until.filter(|_| key == old).map(|until| (row, until))
        });
        overlaps.last()
    }

    /// When an impersonation, or a key that was rotated, was over at the latest.
    fn over_at(&self) -> Option<Timestamp> {
        let impersonated =
            self.impersonation().map(|row| row.at + limits::IMPERSONATION_LIFETIME_MAX);
        impersonated.or_else(|| self.overlap().map(|(_, until)| until))
    }

    /// What it came from.
    pub(super) fn parent(&self) -> Option<Credential> {
        match self.origin {
            Origin::Of(parent) => Some(parent),
            Origin::Nothing | Origin::Trimmed => None,
        }
    }

    /// The number of the last row that made it newer than what was revoked before, or that shows it
    /// valid.
    fn base(&self) -> Option<i64> {
        let opening = self.opening().map(|row| row.seq);
        let kept = self.done().filter(|(kind, _)| self.key.is_none() && shows_valid(*kind));
        let overlap = self.overlap().map(|(row, _)| row.seq);
        kept.map(|(_, row)| row.seq).chain(opening).chain(overlap).max()
    }

    /// The last row that gave the session a new token.
    pub(super) fn new_token(&self) -> Option<AuditEntry> {
        let renews = |kind| matches!(kind, EventKind::SessionProved | EventKind::PasswordChanged);
        self.done().filter(|(kind, _)| renews(*kind)).last().map(|(_, row)| row.clone())
    }

    /// The last row that ended this session or key by its handle, or put another in its place: a
    /// key may be revoked after a rotation that left it valid.
    pub(super) fn end(&self, credential: Credential) -> Option<(RefusalCause, AuditEntry)> {
        let ends = self.done().filter_map(|(kind, row)| {
            let cause = match kind {
                EventKind::SessionLoggedOut
                | EventKind::SessionRevoked
                | EventKind::DeviceForgotten
                    if credential.session().is_some() =>
                {
                    RefusalCause::Revoked
                }
                EventKind::ApiKeyRevoked if self.key == row.api_key => RefusalCause::Revoked,
                EventKind::SessionReplaced if credential.session().is_some() => {
                    RefusalCause::Replaced
                }
                EventKind::ApiKeyRotated if self.key.is_some() && replaced_by(row) == self.key => {
                    RefusalCause::Replaced
                }
                _ => return None,
            };
            Some((cause, row.clone()))
        });
        ends.last()
    }

    /// Whether the end is only that of an overlap, before which another row may have ended the key.
    pub(super) fn is_overlap(&self, end: &AuditEntry) -> bool {
        self.overlap().is_some_and(|(row, _)| row.seq == end.seq)
    }
}

/// Whether the key that such a row names is a new one.
const fn is_new_key(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ApiKeyIssued | EventKind::ApiKeyAttenuated | EventKind::ApiKeyRotated
    )
}

/// The key in whose place this row put another one.
fn replaced_by(row: &AuditEntry) -> Option<ApiKeyId> {
    let is_rotation = row.event == EventKind::ApiKeyRotated.name();
    let detail = row.detail.as_deref().filter(|_| is_rotation)?;
    api_key::rotated(detail).map(|(old, _)| old)
}

/// The session or key that this row says the new one was made from.
fn parent_in(row: &AuditEntry) -> Option<Credential> {
    match EventKind::from_name(&row.event)? {
        EventKind::ApiKeyAttenuated => match row.session {
            Some(session) => Some(Credential::Session(session)),
            None => row.detail.as_deref()?.parse().ok().map(Credential::ApiKey),
        },
        EventKind::SessionImpersonated => row.actor.session().map(Credential::Session),
        _ => None,
    }
}

/// Whether the session that such a row names goes on, while the others of its user are revoked.
const fn keeps_its_session(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::SessionOthersRevoked
            | EventKind::PasswordChanged
            | EventKind::SecondFactorAdded
            | EventKind::SecondFactorReplaced
            | EventKind::SecondFactorRemoved
            | EventKind::RecoveryCodesReissued
            | EventKind::SecondFactorEnrolmentBegun
    )
}

/// Whether such a row shows that the session which it names was valid.
const fn shows_valid(kind: EventKind) -> bool {
    keeps_its_session(kind) || matches!(kind, EventKind::SessionProved)
}

/// Whether a row about a user revokes all sessions of the user, or all except the one it names.
fn revokes_sessions(kind: EventKind, row: &AuditEntry) -> bool {
    let because = |reason| row.reason.as_deref() == Some(reason);
    match kind {
        EventKind::UserSessionsRevoked
        | EventKind::SessionOthersRevoked
        | EventKind::PasswordSet
        | EventKind::PasswordChanged
        | EventKind::PasswordRemoved
        | EventKind::PasswordMarkedCompromised
        | EventKind::PasswordReset
        | EventKind::InvitationAccepted
        | EventKind::UserLocked
        | EventKind::UserDisabled
        | EventKind::UserMadePending
        | EventKind::UserDeleted
        | EventKind::SecondFactorAdded
        | EventKind::SecondFactorReplaced
        | EventKind::SecondFactorRemoved
        | EventKind::SecondFactorReset
        | EventKind::SecondFactorImported
        | EventKind::RecoveryCodesReissued => true,
        EventKind::PasswordChangeRequired => because(reasons::SESSIONS_REVOKED),
        EventKind::UserConfirmed => because(reasons::FIRST),
        EventKind::SecondFactorEnrolmentBegun => because(reasons::RECOVERY_CODE),
        EventKind::LoginGranted => {
            because(reasons::SECOND_FACTOR_CHANGED)
                || row.reason.as_deref().is_some_and(reasons::sets_password)
        }
        _ => false,
    }
}

/// Whether a row about a user revokes all API keys of the user.
fn revokes_keys(kind: EventKind, row: &AuditEntry) -> bool {
    let because = |reason| row.reason.as_deref() == Some(reason);
    match kind {
        EventKind::ApiKeysRevoked | EventKind::InvitationAccepted | EventKind::UserDeleted => true,
        EventKind::UserConfirmed => because(reasons::FIRST),
        EventKind::PasswordReset | EventKind::PasswordChanged => because(reasons::KEYS_REVOKED),
        EventKind::LoginGranted => row.reason.as_deref().is_some_and(reasons::login_revokes_keys),
        // Written late: the revocation of a call that found no room.
        EventKind::UserSessionsRevoked | EventKind::SessionOthersRevoked => {
            reasons::LATE_WITH_KEYS.iter().any(|reason| because(reason))
        }
        _ => false,
    }
}

/// The first row that revoked all credentials of this kind of the user, of a place or of the store
/// since the beginning of this one.
pub(super) fn revocation(
    store: &Store,
    credential: Credential,
    user: UserId,
    chapter: &Chapter,
) -> Result<Ending> {
    let mut first = Ending::default();
    revocations(store, credential, user, chapter, &mut first)?;
    Ok(first)
}

/// As [`revocation`], for a session or key that is not in the file any more: it may also have been
/// deleted with the right to it.
pub(super) fn deletion(
    store: &Store,
    credential: Credential,
    user: UserId,
    chapter: &Chapter,
) -> Result<Ending> {
    let mut first = Ending { over_at: chapter.over_at(), ..Ending::default() };
    revocations(store, credential, user, chapter, &mut first)?;
    right_lost(store, chapter, &mut first)?;
    if chapter.origin == Origin::Trimmed {
        // It may have ended with what it was made from, at any time.
        first.doubt = Some(0);
    }
    Ok(first)
}

fn revocations(
    store: &Store,
    credential: Credential,
    user: UserId,
    chapter: &Chapter,
    first: &mut Ending,
) -> Result<()> {
    let Some(base) = chapter.base() else {
        first.doubt = chapter.is_trimmed.then_some(0);
        return Ok(());
    };
    let of_user = rows(store, AuditFilter::new().user(user).from_library(), 0)?;
    for (kind, row) in of_user.iter().filter_map(done).filter(|(_, row)| row.seq > base) {
        let revokes = match credential {
            Credential::Session(id) => revokes_sessions(kind, row) && row.session != Some(id),
            Credential::ApiKey(_) => revokes_keys(kind, row),
        };
        first.consider(row, Some(revokes));
    }
    for row in of_kinds(store, &OF_STORE, base)? {
        let is_of_keys = row.event != EventKind::StoreSessionsRevoked.name();
        first.consider(&row, Some(credential.session().is_some() || is_of_keys));
    }
    if credential.session().is_some() {
        by_place(store, user, chapter.is_trimmed, base, first)?;
    }
    Ok(())
}

/// For an impersonation: considers the rows with which the right to it was lost, by the
/// administrator or because the user got it.
fn right_lost(store: &Store, chapter: &Chapter, first: &mut Ending) -> Result<()> {
    let Some(opening) = chapter.impersonation() else { return Ok(()) };
    let has_detail = |row: &AuditEntry, word: &str| {
        row.detail.iter().flat_map(|detail| detail.split(' ')).any(|one| one == word)
    };
    if let Some(user) = opening.user {
        for row in rows(store, AuditFilter::new().user(user).from_library(), opening.seq)? {
            let kind = done(&row).map(|(kind, _)| kind);
            let is_so = kind == Some(EventKind::UserPrivilegesChanged);
            first.consider(&row, Some(is_so && has_detail(&row, "+admin")));
        }
    }
    let Some(administrator) = opening.actor.user() else { return Ok(()) };
    let of_user = rows(store, AuditFilter::new().user(administrator).from_library(), 0)?;
    for (kind, row) in of_user.iter().filter_map(done).filter(|(_, row)| row.seq > opening.seq) {
        let ends = match kind {
            EventKind::UserPrivilegesChanged => has_detail(row, "-admin"),
            EventKind::UserMoved => true,
            _ => revokes_sessions(kind, row),
        };
        first.consider(row, Some(ends));
    }
    let places = Places::of(store, administrator, chapter.is_trimmed)?;
    for row in of_kinds(store, &[EventKind::BranchMoved], opening.seq)? {
        first.consider(&row, places.is_under(row.branch.map(Place::Branch), row.seq));
    }
    Ok(())
}
