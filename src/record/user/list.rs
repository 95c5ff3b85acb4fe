//! Lists of users.

use super::{User, Users, row, selecting, with_attempts};
use crate::error::Result;
use crate::record::administration::{Authority, own_branches, own_organisations};
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::storage::{ReadTx, params};
use crate::value::id::{BranchId, OrganisationId, Page, UserId, rows};
use crate::value::limits::{self, EMAIL_MAX_BYTES};
use crate::value::name::{Privilege, searched, text};
use crate::value::principal::{UserKind, UserStatus};

/// Selects the users of a list; all that are not deleted if nothing is set.
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

    /// Only people, or only systems.
    pub fn kind(self, kind: UserKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Users who have this privilege.
    pub fn privilege(self, privilege: impl Into<String>) -> Self {
        Self { privilege: Some(privilege.into()), ..self }
    }

    /// Users whose username, e-mail address or names contain this text, at most 254 bytes. White
    /// space around it, letter case, joiners and the dots of the letter i are ignored.
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// Selects deleted users instead, except those that were erased.
    pub fn deleted(self) -> Self {
        Self { deleted: true, ..self }
    }
}

/// The conditions of a filter on a user.
macro_rules! wanted {
    () => {
        "(?1 IS NULL OR user.status = ?1)
         AND (?2 IS NULL OR user.branch_id = ?2)
         AND (?3 IS NULL OR user.branch_id IN (
             SELECT branch.id FROM branch WHERE branch.organisation_id = ?3))
         AND (?4 IS NULL OR user.kind = ?4)
         AND (?5 IS NULL OR EXISTS (
             SELECT 1 FROM user_privilege
             WHERE user_privilege.user_id = user.id AND user_privilege.name = ?5))
         AND (?6 IS NULL OR instr(user.search_key, ?6) > 0)
         AND (user.deleted_at IS NOT NULL) = ?7 AND user.erased_seq IS NULL"
    };
}

impl<'s> Users<'s> {
    /// Returns a page of the users that the filter selects, in the order of their ids, which is the
    /// order of their creation. The next page begins after the last id of this one. A call reads at
    /// most 2,000 users in one snapshot, so a page is not one snapshot.
    ///
    /// ```
    /// use gatepost::directory::UserFilter;
    /// use gatepost::{NewUser, Page};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").privilege("admin"))?;
    /// store.users().create(NewUser::person("bob"))?;
    /// let admins = UserFilter::new().privilege("admin");
    /// assert_eq!(store.users().list(&admins, Page::first(50))?, [ada]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500, the text is
    ///   longer than 254 bytes or has control characters, or the privilege breaks the rule of
    ///   privileges.
    pub fn list(&self, filter: &UserFilter, page: Page<UserId>) -> Result<Vec<User>> {
        self.list_inside(&|_| Ok(Authority::EVERYTHING), filter, page)
    }

    /// Iterates over all users that the filter selects, in the order of their ids.
    ///
    /// The users are read in pages of 500, each in a snapshot of its own: a change made meanwhile
    /// may be seen or not. No user comes twice.
    ///
    /// ```
    /// use gatepost::directory::UserFilter;
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada"))?;
    /// store.users().create(NewUser::system("mailer"))?;
    /// let names = store.users().iter(&UserFilter::new()).map(|user| Ok(user?.username));
    /// assert_eq!(names.collect::<Result<Vec<_>, gatepost::Error>>()?, ["ada", "mailer"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(&self, filter: &UserFilter) -> impl Iterator<Item = Result<User>> + use<'s> {
        let (users, filter) = (Users { store: self.store }, filter.clone());
        let list =
            move |after: Option<&UserId>| users.list(&filter, Page::longest(after.copied()));
        rows(list, |user| user.id)
    }

    /// Returns how many users the filter selects. Reads every user.
    ///
    /// ```
    /// use gatepost::directory::UserFilter;
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada"))?;
    /// store.users().create(NewUser::person("bob").privilege("admin"))?;
    /// assert_eq!(store.users().count(&UserFilter::new())?, 2);
    /// assert_eq!(store.users().count(&UserFilter::new().privilege("admin"))?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub fn count(&self, filter: &UserFilter) -> Result<u64> {
        self.count_inside(&|_| Ok(Authority::EVERYTHING), filter)
    }

    /// As [`list`](Self::list), of the users inside of what `authority` says in each transaction.
    pub(crate) fn list_inside(
        &self,
        authority: &dyn Fn(&ReadTx<'_>) -> Result<Authority>,
        filter: &UserFilter,
        page: Page<UserId>,
    ) -> Result<Vec<User>> {
        let limit = page.limit()?;
        let selection = filter.checked()?;
        let after = page.after_id().unwrap_or(UserId::NIL);
        let piece_end = |tx: &ReadTx<'_>, after| piece_end(tx, authority(tx)?, after);
        page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
            selection.rows(tx, authority(tx)?, (after, end), left)
        })
    }

    /// As [`count`](Self::count), of the same users.
    pub(crate) fn count_inside(
        &self,
        authority: &dyn Fn(&ReadTx<'_>) -> Result<Authority>,
        filter: &UserFilter,
    ) -> Result<u64> {
        let selection = filter.checked()?;
        let piece_end = |tx: &ReadTx<'_>, after| piece_end(tx, authority(tx)?, after);
        count_in_pieces(self.store, UserId::NIL, piece_end, |tx, after, end| {
            selection.count(tx, authority(tx)?, (after, end))
        })
    }
}

/// A filter whose texts were checked.
struct Selection<'f> {
    filter: &'f UserFilter,
    privilege: Option<String>,
    /// Folded.
    text: Option<String>,
}

/// The parameters of `wanted`, and those that follow.
macro_rules! wanted_params {
    ($selection:ident, $($more:expr),+) => {
        params![
            $selection.filter.status,
            $selection.filter.branch,
            $selection.filter.organisation,
            $selection.filter.kind,
            $selection.privilege,
            $selection.text,
            $selection.filter.deleted,
            $($more),+
        ]
    };
}

/// Whether a user of the piece is in a branch that the user `$who` administers: each of these
/// branches is searched for the users of the piece alone. An organisation of the filter that this
/// one does not administer selects no user, as if it did not exist.
macro_rules! inside {
    ($who:literal) => {
        concat!(
            "user.id IN (
                 SELECT place.id FROM user AS place INDEXED BY user_by_place
                 WHERE coalesce(place.branch_id, place.former_branch_id) IN ",
            own_branches!($who),
            " AND place.id > ?8 AND place.id <= ?9",
            ") AND (?3 IS NULL OR ?3 IN ",
            own_organisations!($who),
            ")"
        )
    };
}

/// Selects a page of the users of a piece; `$inside` is a further condition.
macro_rules! page {
    ($($inside:tt)*) => {
        concat!(
            selecting!("WHERE "),
            wanted!(),
            $($inside)*
            " AND user.id > ?8 AND user.id <= ?9 ORDER BY user.id LIMIT ?10"
        )
    };
}

/// Counts the users of a piece; `$inside` is a further condition.
macro_rules! number {
    ($($inside:tt)*) => {
        concat!(
            "SELECT count(*) FROM user WHERE ",
            wanted!(),
            $($inside)*
            " AND user.id > ?8 AND user.id <= ?9"
        )
    };
}

/// The users after one id, up to and with another; `None` for all that follow.
type Piece = (UserId, Option<UserId>);

impl Selection<'_> {
    fn rows(
        &self,
        tx: &ReadTx<'_>,
        authority: Authority,
        (after, end): Piece,
        left: i64,
    ) -> Result<Vec<User>> {
        let (end, by) = (end.unwrap_or(LAST), authority.administrator);
        let found = match authority.everything {
            true => tx.all(page!(), wanted_params![self, after, end, left], row),
            false => tx.all(
                page!(" AND ", inside!("?11"),),
                wanted_params![self, after, end, left, by],
                row,
            ),
        };
        found?.into_iter().map(|found| with_attempts(tx, found)).collect()
    }

    fn count(&self, tx: &ReadTx<'_>, authority: Authority, (after, end): Piece) -> Result<u64> {
        let (end, by) = (end.unwrap_or(LAST), authority.administrator);
        match authority.everything {
            true => tx.count(number!(), wanted_params![self, after, end]),
            false => {
                tx.count(number!(" AND ", inside!("?10"),), wanted_params![self, after, end, by])
            }
        }
    }
}

const LAST: UserId = UserId::from_bytes([u8::MAX; 16]);

/// The last row of the piece after the row of `after`; `None` if the rest is shorter than a piece.
/// Only users inside of the authority are rows: how many there are outside shows in no number of
/// pieces.
fn piece_end(tx: &ReadTx<'_>, authority: Authority, after: UserId) -> Result<Option<UserId>> {
    let skipped = limits::LIST_PIECE_ROWS - 1;
    if authority.everything {
        return tx.one(
            "SELECT id FROM user WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
            params![after, skipped],
            |row| row.get(0),
        );
    }
    tx.one(END_INSIDE, params![authority.administrator, after, skipped], |row| row.get(0))
}

/// The users of each branch come from the index in the order of their ids. The statement merges
/// them: it takes the first of all and then reads the next one of the same branch.
const END_INSIDE: &str = concat!(
    "WITH RECURSIVE merged (branch_id, id) AS (
         SELECT own.id, (
             SELECT place.id FROM user AS place INDEXED BY user_by_place
             WHERE coalesce(place.branch_id, place.former_branch_id) = own.id AND place.id > ?2
             ORDER BY place.id LIMIT 1)
         FROM branch AS own WHERE own.id IN ",
    own_branches!("?1"),
    "    UNION ALL
         SELECT before.branch_id, (
             SELECT place.id FROM user AS place INDEXED BY user_by_place
             WHERE coalesce(place.branch_id, place.former_branch_id) = before.branch_id
                 AND place.id > before.id
             ORDER BY place.id LIMIT 1)
         FROM merged AS before WHERE before.id IS NOT NULL
         ORDER BY 2)
     SELECT id FROM merged WHERE id IS NOT NULL LIMIT 1 OFFSET ?3"
);

impl UserFilter {
    fn checked(&self) -> Result<Selection<'_>> {
        const WRONG: &str =
            "the text of the UserFilter is longer than 254 bytes or has control characters";
        let privilege = self.privilege.as_deref().map(Privilege::parse).transpose()?;
        let line = |value: &str| text(value.trim(), WRONG, EMAIL_MAX_BYTES);
        let wanted = self.text.as_deref().map(line).transpose()?;
        let wanted = wanted.map(|text| searched(&text)).filter(|text| !text.is_empty());
        let privilege = privilege.map(|privilege| privilege.as_str().to_owned());
        Ok(Selection { filter: self, privilege, text: wanted })
    }
}

#[cfg(test)]
mod tests;
