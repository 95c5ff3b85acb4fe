//! Lists of users.

use super::{User, Users, row, selecting, with_attempts};
use crate::error::Result;
use crate::storage::params;
use crate::value::facts::{UserKind, UserStatus};
use crate::value::id::{BranchId, OrganisationId, Page, UserId};
use crate::value::limits::EMAIL_MAX_BYTES;
use crate::value::name::{Privilege, folded, text};

/// Which users a list shows; all that are not deleted if nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct UserFilter {
    status: Option<UserStatus>,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
    kind: Option<UserKind>,
    privilege: Option<String>,
    text: Option<String>,
    deleted: bool,
}

impl UserFilter {
    /// Every user that is not deleted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Users of this status.
    pub fn status(self, status: UserStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Users in this branch.
    pub fn branch(self, branch: BranchId) -> Self {
        Self { branch: Some(branch), ..self }
    }

    /// Users in any branch of this organisation.
    pub fn organisation(self, organisation: OrganisationId) -> Self {
        Self { organisation: Some(organisation), ..self }
    }

    /// People, or programs.
    pub fn kind(self, kind: UserKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Users who have this privilege.
    pub fn privilege(self, privilege: impl Into<String>) -> Self {
        Self { privilege: Some(privilege.into()), ..self }
    }

    /// Users whose username, e-mail address or names contain this text, in any case. At most 254
    /// bytes.
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// Deleted users instead.
    pub fn deleted(self) -> Self {
        Self { deleted: true, ..self }
    }
}

impl Users<'_> {
    /// A page of users in the order of their ids, which is the order of their creation; the next
    /// page begins after the last id of this one.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Page, Store, UserFilter};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada").privilege("admin"))?;
    /// store.users().create(NewUser::person("bob"))?;
    /// let admins = UserFilter::new().privilege("admin");
    /// assert_eq!(store.users().list(&admins, Page::first(50))?, [ada]);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a page limit that is not 1 to 500, a text that is too long or has control
    /// characters, or a privilege that can be none; `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, filter: &UserFilter, page: Page<UserId>) -> Result<Vec<User>> {
        const WRONG: &str = "the text to look for is too long or has control characters";
        let limit = page.limit()?;
        let privilege = filter.privilege.as_deref().map(Privilege::parse).transpose()?;
        let line = |value| text(value, WRONG, EMAIL_MAX_BYTES);
        let wanted = filter.text.as_deref().map(line).transpose()?;
        let wanted = wanted.map(|text| folded(&text)).filter(|text| !text.is_empty());
        self.store.read(|tx| {
            let found = tx.all(
                selecting!(
                    "WHERE user.id > coalesce(?1, x'')
                       AND (?2 IS NULL OR user.status = ?2)
                       AND (?3 IS NULL OR user.branch_id = ?3)
                       AND (?4 IS NULL OR user.branch_id IN (
                           SELECT branch.id FROM branch WHERE branch.organisation_id = ?4))
                       AND (?5 IS NULL OR user.kind = ?5)
                       AND (?6 IS NULL OR EXISTS (
                           SELECT 1 FROM user_privilege
                           WHERE user_privilege.user_id = user.id AND user_privilege.name = ?6))
                       AND (?7 IS NULL OR instr(user.search_key, ?7) > 0)
                       AND (user.deleted_at IS NOT NULL) = ?8
                     ORDER BY user.id LIMIT ?9"
                ),
                params![
                    page.after_id(),
                    filter.status,
                    filter.branch,
                    filter.organisation,
                    filter.kind,
                    privilege.as_ref().map(Privilege::as_str),
                    wanted,
                    filter.deleted,
                    limit
                ],
                row,
            )?;
            found.into_iter().map(|found| with_attempts(tx, found)).collect()
        })
    }
}
