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
use crate::value::limits;
use crate::value::principal::Credential;
use crate::value::time::Timestamp;

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

    /// The row of the beginning, if it is an impersonation.
    fn impersonation(&self) -> Option<&AuditEntry> {
        self.opening().filter(|row| row.event == EventKind::SessionImpersonated.name())
    }

    /// When an impersonation was over at the latest.
    fn over_at(&self) -> Option<Timestamp> {
        self.impersonation().map(|row| row.at + limits::IMPERSONATION_LIFETIME_MAX)
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

/// The first row that ended a session or key, as far as the log says.
#[derive(Default)]
pub(super) struct Ending {
    /// The first that did so for certain.
    row: Option<AuditEntry>,
    /// The number of the first that may have done so: the row that would say was trimmed.
    doubt: Option<i64>,
    /// When it was over at the latest: no later row ended it.
    over_at: Option<Timestamp>,
}

impl Ending {
    /// Considers a row; `ends` is whether it ended the session or key, `None` if the row that would
    /// say was trimmed.
    fn consider(&mut self, row: &AuditEntry, ends: Option<bool>) {
        if !self.is_in_time(row) {
            return;
        }
        match ends {
            Some(true) if self.row.as_ref().is_none_or(|first| row.seq < first.seq) => {
                self.row = Some(row.clone());
            }
            Some(_) => {}
            None => self.doubt = Some(self.doubt.map_or(row.seq, |first| first.min(row.seq))),
        }
    }

    pub(super) fn is_in_time(&self, row: &AuditEntry) -> bool {
        self.over_at.is_none_or(|end| row.at <= end)
    }

    /// Whether some row ended it for certain, be it the first or not.
    pub(super) fn is_certain(&self) -> bool {
        self.row.is_some()
    }

    /// Whether a row comes before each that ended it, or may have.
    pub(super) fn is_after(&self, row: &AuditEntry) -> bool {
        let certain = self.row.as_ref().map(|first| first.seq);
        certain.into_iter().chain(self.doubt).all(|first| row.seq < first)
    }

    pub(super) fn evidence(&self) -> AuditEvidence {
        match (&self.row, self.doubt) {
            (Some(row), doubt) if doubt.is_none_or(|doubt| row.seq < doubt) => {
                AuditEvidence::of(Some(row.clone()))
            }
            (None, None) => AuditEvidence::None,
            _ => AuditEvidence::Trimmed,
        }
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
        let is_of_keys = row.event != EventKind::StoreSessionsEnded.name();
        first.consider(&row, Some(credential.session().is_some() || is_of_keys));
    }
    if credential.session().is_some() {
        by_place(store, &of_user, chapter.is_trimmed, base, first)?;
    }
    Ok(())
}

/// Considers the revocations at the place that the user was in, and the moves into a place where
/// all sessions had been revoked since `base`.
fn by_place(
    store: &Store,
    of_user: &[AuditEntry],
    is_trimmed: bool,
    base: i64,
    first: &mut Ending,
) -> Result<()> {
    let at_places = of_kinds(store, &OF_PLACES, base)?;
    if at_places.is_empty() {
        return Ok(());
    }
    let moves = [EventKind::BranchCreated, EventKind::BranchMoved];
    let of_branches = of_kinds(store, &moves, 0)?;
    let places = Places { of_user, of_branches: &of_branches, is_trimmed };
    for row in &at_places {
        first.consider(row, places.is_under(place_of(row), row.seq));
    }
    for (kind, row) in of_user.iter().filter_map(done).filter(|(_, row)| row.seq > base) {
        if let (EventKind::UserMoved, Some(to)) = (kind, row.branch) {
            let before = at_places.iter().filter(|revoked| revoked.seq < row.seq);
            let is_there =
                before.map(|revoked| places.is_branch_under(to, place_of(revoked), row.seq));
            first.consider(row, any(is_there));
        }
    }
    for row in of_branches.iter().filter(|row| row.seq > base && is_move(row)) {
        let (Some(branch), Some(to)) = (row.branch, row.organisation) else { continue };
        let to = Place::Organisation(to);
        let is_revoked =
            at_places.iter().any(|revoked| revoked.seq < row.seq && place_of(revoked) == Some(to));
        if is_revoked {
            first.consider(row, places.is_under(Some(Place::Branch(branch)), row.seq));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Branch(BranchId),
    Organisation(OrganisationId),
}

/// The place whose sessions a row of [`OF_PLACES`] revokes.
fn place_of(row: &AuditEntry) -> Option<Place> {
    let of_branch = [EventKind::BranchSessionsEnded, EventKind::BranchDeactivated];
    match of_branch.iter().any(|kind| kind.name() == row.event) {
        true => row.branch.map(Place::Branch),
        false => row.organisation.map(Place::Organisation),
    }
}

fn is_move(row: &AuditEntry) -> bool {
    row.event == EventKind::BranchMoved.name()
}

/// Whether one is so; `None` if none is for certain, and one may be.
fn any(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut of_all = Some(false);
    for one in each {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => of_all = None,
        }
    }
    of_all
}

/// Where a user was when a row was written. `None` if the row that placed the user, or the branch,
/// may be among those that were trimmed.
struct Places<'p> {
    of_user: &'p [AuditEntry],
    of_branches: &'p [AuditEntry],
    is_trimmed: bool,
}

impl Places<'_> {
    fn is_under(&self, place: Option<Place>, seq: i64) -> Option<bool> {
        let placed = |kind| {
            matches!(kind, EventKind::UserCreated | EventKind::UserMoved | EventKind::UserRestored)
        };
        let rows = self.of_user.iter().filter_map(done).filter(|(kind, _)| placed(*kind));
        match rows.take_while(|(_, row)| row.seq < seq).last() {
            Some((_, row)) => match row.branch {
                Some(branch) => self.is_branch_under(branch, place, seq),
                None => Some(false),
            },
            None => self.unless_trimmed(),
        }
    }

    /// Whether a branch was this place, or in it.
    fn is_branch_under(&self, branch: BranchId, place: Option<Place>, seq: i64) -> Option<bool> {
        let organisation = match place {
            Some(Place::Organisation(id)) => id,
            Some(Place::Branch(id)) => return Some(id == branch),
            None => return Some(false),
        };
        let rows = self.of_branches.iter().filter(|row| row.branch == Some(branch));
        match rows.take_while(|row| row.seq < seq).last() {
            Some(row) => Some(row.organisation == Some(organisation)),
            None => self.unless_trimmed(),
        }
    }

    fn unless_trimmed(&self) -> Option<bool> {
        (!self.is_trimmed).then_some(false)
    }
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
    let places = Places { of_user: &of_user, of_branches: &[], is_trimmed: chapter.is_trimmed };
    for row in of_kinds(store, &[EventKind::BranchMoved], opening.seq)? {
        first.consider(&row, places.is_under(row.branch.map(Place::Branch), row.seq));
    }
    Ok(())
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
