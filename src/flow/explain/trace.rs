//! Follow the rows of the audit log about a session or key, from its beginning to what ended it.
//!
//! The log has the order of the commits. A session is revoked by the first row after its beginning
//! that revokes all sessions of its user, of the user's place at that time, or of the store. A row
//! that kept the session, or gave it a new token, is a new beginning: it is newer than the
//! watermark of that row.

use super::{AuditEvidence, RefusalCause};
use crate::error::Result;
use crate::record::audit::{self, AuditFilter};
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind, Outcome, reasons};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, Page, UserId};
use crate::value::principal::Credential;

/// What the log says of one session or key.
pub(super) struct Chapter {
    /// The rows that name it, oldest first.
    rows: Vec<AuditEntry>,
    key: Option<ApiKeyId>,
    /// Whether rows of the library have been trimmed.
    pub(super) is_trimmed: bool,
}

impl Chapter {
    pub(super) fn of(store: &Store, credential: Credential) -> Result<Self> {
        let rows = audit::rows_naming(store, credential)?;
        let is_trimmed = store.read(audit::is_trimmed)?;
        Ok(Self { rows, key: credential.api_key(), is_trimmed })
    }

    fn opening(&self) -> Option<&AuditEntry> {
        self.done().find(|(kind, row)| self.begins(*kind, row)).map(|(_, row)| row)
    }

    fn begins(&self, kind: EventKind, row: &AuditEntry) -> bool {
        match self.key {
            Some(key) => {
                let is_new = matches!(
                    kind,
                    EventKind::ApiKeyIssued
                        | EventKind::ApiKeyAttenuated
                        | EventKind::ApiKeyRotated
                );
                is_new && row.api_key == Some(key)
            }
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

    pub(super) fn user(&self) -> Option<UserId> {
        self.opening().and_then(|row| row.user)
    }

    /// What it came from.
    pub(super) fn parent(&self) -> Option<Credential> {
        self.opening().and_then(parent_in)
    }

    /// The number of the last row that made it newer than what was revoked before.
    fn base(&self) -> Option<i64> {
        let opening = self.opening()?.seq;
        let kept = self.done().filter(|(kind, _)| keeps_its_session(*kind));
        Some(kept.map(|(_, row)| row.seq).fold(opening, i64::max))
    }

    /// The last row that gave the session a new token.
    pub(super) fn new_token(&self) -> Option<AuditEntry> {
        let renews = |kind| matches!(kind, EventKind::SessionProved | EventKind::PasswordChanged);
        self.done().filter(|(kind, _)| renews(*kind)).last().map(|(_, row)| row.clone())
    }

    /// The row that ended this session or key by its handle, or put another in its place.
    pub(super) fn end(&self, credential: Credential) -> Option<(RefusalCause, AuditEntry)> {
        let old = credential.api_key().map(|key| key.to_string());
        let mut rows = self.done();
        rows.find_map(|(kind, row)| {
            let cause = match kind {
                EventKind::SessionLoggedOut
                | EventKind::SessionEnded
                | EventKind::DeviceForgotten
                    if credential.session().is_some() =>
                {
                    RefusalCause::Revoked
                }
                EventKind::ApiKeyRevoked if self.key == row.api_key => RefusalCause::Revoked,
                EventKind::SessionReplaced if credential.session().is_some() => {
                    RefusalCause::Replaced
                }
                EventKind::ApiKeyRotated if old.is_some() && row.detail == old => {
                    RefusalCause::Replaced
                }
                _ => return None,
            };
            Some((cause, row.clone()))
        })
    }
}

/// The kind of a row of something that was done.
fn done(row: &AuditEntry) -> Option<(EventKind, &AuditEntry)> {
    let kind = EventKind::from_name(&row.event).filter(|_| !row.from_host)?;
    (row.outcome == Outcome::Done).then_some((kind, row))
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
        EventKind::SessionOthersEnded
            | EventKind::PasswordChanged
            | EventKind::SecondFactorAdded
            | EventKind::SecondFactorReplaced
            | EventKind::SecondFactorRemoved
            | EventKind::RecoveryCodesReissued
            | EventKind::SecondFactorEnrolmentBegun
    )
}

/// Whether a row about a user revokes all sessions of the user, or all except the one it names.
fn revokes_sessions(kind: EventKind, row: &AuditEntry) -> bool {
    let because = |reason| row.reason.as_deref() == Some(reason);
    match kind {
        EventKind::UserSessionsEnded
        | EventKind::SessionOthersEnded
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
            because(reasons::PASSWORD_CHANGED)
                || because(reasons::PASSWORD_CHANGED_KEYS_REVOKED)
                || because(reasons::SECOND_FACTOR_CHANGED)
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
        EventKind::LoginGranted => because(reasons::PASSWORD_CHANGED_KEYS_REVOKED),
        _ => false,
    }
}

const OF_PLACES: [EventKind; 4] = [
    EventKind::BranchSessionsEnded,
    EventKind::BranchDeactivated,
    EventKind::OrganisationSessionsEnded,
    EventKind::OrganisationDeactivated,
];
const OF_STORE: [EventKind; 3] =
    [EventKind::StoreSessionsEnded, EventKind::StoreRestored, EventKind::StoreAdopted];

/// The first row that revoked all credentials of this kind of the user, of a place or of the store
/// since the beginning of this one.
pub(super) fn revocation(
    store: &Store,
    credential: Credential,
    user: UserId,
    chapter: &Chapter,
) -> Result<AuditEvidence> {
    let Some(base) = chapter.base() else {
        let is_trimmed = chapter.is_trimmed;
        return Ok(if is_trimmed { AuditEvidence::Trimmed } else { AuditEvidence::None });
    };
    let of_user = rows(store, AuditFilter::new().user(user).from_library(), 0)?;
    let mut own = of_user.iter().filter_map(done).filter(|(_, row)| row.seq > base);
    let mut first: Option<AuditEntry> = match credential {
        Credential::Session(id) => {
            let others = |row: &AuditEntry| row.session != Some(id);
            own.find(|(kind, row)| revokes_sessions(*kind, row) && others(row))
        }
        Credential::ApiKey(_) => own.find(|(kind, row)| revokes_keys(*kind, row)),
    }
    .map(|(_, row)| row.clone());
    for row in of_kinds(store, &OF_STORE, base)? {
        let is_of_keys = row.event != EventKind::StoreSessionsEnded.name();
        if credential.session().is_some() || is_of_keys {
            earlier(&mut first, row);
        }
    }
    if credential.session().is_some() {
        by_place(store, &of_user, base, &mut first)?;
    }
    Ok(AuditEvidence::of(first))
}

/// Considers the revocations at the place that the user was in, and the moves into a place where
/// all sessions had been revoked since `base`.
fn by_place(
    store: &Store,
    of_user: &[AuditEntry],
    base: i64,
    first: &mut Option<AuditEntry>,
) -> Result<()> {
    let at_places = of_kinds(store, &OF_PLACES, base)?;
    if at_places.is_empty() {
        return Ok(());
    }
    let moves = [EventKind::BranchCreated, EventKind::BranchMoved];
    let of_branches = of_kinds(store, &moves, 0)?;
    let places = Places { of_user, of_branches: &of_branches };
    let revoked_before = |branch: Option<BranchId>, organisation: Option<OrganisationId>, seq| {
        at_places.iter().any(|row| {
            let is_there = (row.branch.is_some() && is_of_branch(row) && row.branch == branch)
                || (!is_of_branch(row) && row.organisation == organisation);
            is_there && row.seq < seq && (branch.is_some() || organisation.is_some())
        })
    };
    for row in &at_places {
        let branch = places.branch_at(row.seq);
        let organisation = branch.and_then(|branch| places.organisation_at(branch, row.seq));
        let covers = match is_of_branch(row) {
            true => branch.is_some() && row.branch == branch,
            false => organisation.is_some() && row.organisation == organisation,
        };
        if covers {
            earlier(first, row.clone());
        }
    }
    for (kind, row) in of_user.iter().filter_map(done).filter(|(_, row)| row.seq > base) {
        let organisation = row.branch.and_then(|to| places.organisation_at(to, row.seq));
        if kind == EventKind::UserMoved && revoked_before(row.branch, organisation, row.seq) {
            earlier(first, row.clone());
        }
    }
    for row in of_branches.iter().filter(|row| row.seq > base) {
        let is_own = row.branch.is_some() && places.branch_at(row.seq) == row.branch;
        if is_own && revoked_before(None, row.organisation, row.seq) {
            earlier(first, row.clone());
        }
    }
    Ok(())
}

/// Where a user was when a row was written, as far as the log knows.
struct Places<'p> {
    of_user: &'p [AuditEntry],
    of_branches: &'p [AuditEntry],
}

impl Places<'_> {
    fn branch_at(&self, seq: i64) -> Option<BranchId> {
        let placed = |kind| {
            matches!(kind, EventKind::UserCreated | EventKind::UserMoved | EventKind::UserRestored)
        };
        let rows = self.of_user.iter().filter_map(done).filter(|(kind, _)| placed(*kind));
        rows.take_while(|(_, row)| row.seq < seq).last().and_then(|(_, row)| row.branch)
    }

    fn organisation_at(&self, branch: BranchId, seq: i64) -> Option<OrganisationId> {
        let rows = self.of_branches.iter().filter(|row| row.branch == Some(branch));
        rows.take_while(|row| row.seq < seq).last().and_then(|row| row.organisation)
    }
}

fn is_of_branch(row: &AuditEntry) -> bool {
    let of_branch = [EventKind::BranchSessionsEnded, EventKind::BranchDeactivated];
    of_branch.iter().any(|kind| kind.name() == row.event)
}

/// For an impersonation: the row with which the right to it was lost, by the administrator or
/// because the user got it.
pub(super) fn right_lost(store: &Store, chapter: &Chapter) -> Result<Option<AuditEntry>> {
    let opening = chapter.opening();
    let begun = |row: &&AuditEntry| row.event == EventKind::SessionImpersonated.name();
    let Some(opening) = opening.filter(begun) else { return Ok(None) };
    let mut first = None;
    let has_detail = |row: &AuditEntry, word: &str| {
        row.detail.iter().flat_map(|detail| detail.split(' ')).any(|one| one == word)
    };
    for (user, word) in [(opening.actor.user(), "-admin"), (opening.user, "+admin")] {
        let Some(user) = user else { continue };
        let filter = AuditFilter::new().user(user).from_library();
        for row in rows(store, filter, opening.seq)? {
            let is_admins = word == "-admin";
            let ends = match done(&row).map(|(kind, _)| kind) {
                Some(EventKind::UserPrivilegesChanged) => has_detail(&row, word),
                Some(EventKind::UserMoved) => is_admins,
                Some(kind) => is_admins && revokes_sessions(kind, &row),
                None => false,
            };
            if ends {
                earlier(&mut first, row);
                break;
            }
        }
    }
    Ok(first)
}

fn earlier(first: &mut Option<AuditEntry>, row: AuditEntry) {
    if first.as_ref().is_none_or(|first| row.seq < first.seq) {
        *first = Some(row);
    }
}

/// The rows of something that was done, of some kinds, after a row, in their order.
fn of_kinds(store: &Store, kinds: &[EventKind], after: i64) -> Result<Vec<AuditEntry>> {
    let mut all = Vec::new();
    for kind in kinds {
        all.extend(rows(store, AuditFilter::new().kind(*kind), after)?);
    }
    all.retain(|row| done(row).is_some());
    all.sort_by_key(|row| row.seq);
    Ok(all)
}

/// All rows that a filter selects after a row.
pub(super) fn rows(store: &Store, filter: AuditFilter, after: i64) -> Result<Vec<AuditEntry>> {
    let (mut all, mut after) = (Vec::new(), after);
    loop {
        let page = store.audit().list(&filter, Page::longest(Some(after)))?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.seq;
        all.extend(page);
    }
}
