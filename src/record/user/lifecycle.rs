//! The statements that change the status, branch, name or existence of a user. Each is one UPDATE,
//! which raises the watermarks that its caller passes.

use super::{User, search_key};
use crate::error::{Error, ErrorKind, Result};
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::id::{BranchId, UserId};
use crate::value::name::{EmailAddress, Username};
use crate::value::principal::UserStatus;

/// Refuses a username that another user has who is not deleted; with `unique_email`, also one that
/// is the e-mail address of another user, because that user logs in with it.
pub(super) fn check_username_free(
    tx: &ReadTx<'_>,
    key: &str,
    own: Option<UserId>,
    unique_email: bool,
) -> Result<()> {
    if another_is_called(tx, key, own)? || (unique_email && another_is_at(tx, key, own)?) {
        return Err(Error::taken("the username is taken by another user"));
    }
    Ok(())
}

/// With `unique_email`, refuses an e-mail address that another user has, as address or as username.
pub(super) fn check_email_free(
    tx: &ReadTx<'_>,
    key: &str,
    own: Option<UserId>,
    unique_email: bool,
) -> Result<()> {
    if unique_email && (another_is_at(tx, key, own)? || another_is_called(tx, key, own)?) {
        return Err(Error::taken("the e-mail address is taken by another user"));
    }
    Ok(())
}

fn another_is_called(tx: &ReadTx<'_>, key: &str, own: Option<UserId>) -> Result<bool> {
    let other = tx.one(
        "SELECT 1 FROM user WHERE username_key = ?1 AND deleted_at IS NULL AND id IS NOT ?2",
        params![key, own],
        |_| Ok(()),
    )?;
    Ok(other.is_some())
}

fn another_is_at(tx: &ReadTx<'_>, key: &str, own: Option<UserId>) -> Result<bool> {
    let other = tx.one(
        "SELECT 1 FROM user WHERE email_key = ?1 AND deleted_at IS NULL AND id IS NOT ?2 LIMIT 1",
        params![key, own],
        |_| Ok(()),
    )?;
    Ok(other.is_some())
}

/// Refuses to let e-mail addresses log in while one of them belongs to two users.
pub(crate) fn check_emails_log_in(tx: &ReadTx<'_>) -> Result<()> {
    if emails_are_ambiguous(tx)? {
        return Err(Error::taken(
            "login_by_email: two users share an e-mail address, or one's is the other's username",
        )
        .advising("Give each of them an address of their own first."));
    }
    Ok(())
}

/// Whether two users share an e-mail address, or the address of one is the username of another.
pub(crate) fn emails_are_ambiguous(tx: &ReadTx<'_>) -> Result<bool> {
    tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM user WHERE email_key IS NOT NULL AND deleted_at IS NULL
                        GROUP BY email_key HAVING count(*) > 1)
             OR EXISTS (SELECT 1 FROM user AS one
                        JOIN user AS other ON other.username_key = one.email_key
                            AND other.deleted_at IS NULL AND other.id <> one.id
                        WHERE one.email_key IS NOT NULL AND one.deleted_at IS NULL)",
        [],
        |row| row.get(0),
    )
}

/// Stores when the user last logged in. No verify reads it, so it leaves no change row.
pub(crate) fn logged_in(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    tx.execute("UPDATE user SET last_login_at = ?2 WHERE id = ?1", params![id, tx.now()]).map(drop)
}

/// Raises watermarks and changes nothing else; `false` if there is no such user.
pub(crate) fn raise(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<bool> {
    let raised = tx.execute(
        "UPDATE user SET sessions_ended_seq = coalesce(?2, sessions_ended_seq),
             keys_ended_seq = coalesce(?3, keys_ended_seq),
             tokens_ended_seq = coalesce(?4, tokens_ended_seq),
             trust_ended_seq = coalesce(?5, trust_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, marks.sessions, marks.keys, marks.tokens, marks.trust],
    )?;
    Ok(raised > 0)
}

pub(crate) fn set_status(
    tx: &WriteTx<'_>,
    id: UserId,
    status: UserStatus,
    marks: Watermarks,
) -> Result<()> {
    tx.execute(
        "UPDATE user SET status = ?2, sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq),
             trust_ended_seq = coalesce(?6, trust_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, status, marks.sessions, marks.keys, marks.tokens, marks.trust],
    )
    .map(drop)
}

/// Moves the user. Its watermarks rise to those of the place it leaves, so that no session which
/// was revoked there becomes valid again.
pub(crate) fn place(tx: &WriteTx<'_>, id: UserId, branch: Option<BranchId>) -> Result<()> {
    super::check_branch(tx, branch)?;
    tx.execute(
        "UPDATE user SET branch_id = ?2,
             sessions_ended_seq = max(user.sessions_ended_seq,
                 coalesce(origin.branch_sessions, 0), coalesce(origin.organisation_sessions, 0)),
             tokens_ended_seq = max(user.tokens_ended_seq,
                 coalesce(origin.branch_tokens, 0), coalesce(origin.organisation_tokens, 0))
         FROM (SELECT mover.id AS mover,
                   branch.sessions_ended_seq AS branch_sessions,
                   branch.tokens_ended_seq AS branch_tokens,
                   organisation.sessions_ended_seq AS organisation_sessions,
                   organisation.tokens_ended_seq AS organisation_tokens
               FROM user AS mover LEFT JOIN branch ON branch.id = mover.branch_id
                   LEFT JOIN organisation ON organisation.id = branch.organisation_id
               WHERE mover.id = ?1) AS origin
         WHERE user.id = origin.mover AND user.id = ?1 AND user.deleted_at IS NULL",
        params![id, branch],
    )
    .map(drop)
}

/// Frees the username and keeps the rest for a restore. `marks` must raise every watermark.
pub(crate) fn delete(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<()> {
    tx.execute(
        "UPDATE user SET deleted_at = ?2, former_branch_id = branch_id, branch_id = NULL,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq),
             trust_ended_seq = coalesce(?6, trust_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, tx.now(), marks.sessions, marks.keys, marks.tokens, marks.trust],
    )
    .map(drop)
}

/// Reduces the row of a deleted user to its id, its kind, its status, the times of its creation and
/// deletion, and its watermarks, which the deletion raised. `seq` is the number of the audit row of
/// the erasure.
///
/// # Errors
/// `NotFound` if there is no deleted user of that id, or it was erased before.
pub(crate) fn erase(tx: &WriteTx<'_>, id: UserId, seq: i64) -> Result<()> {
    let erased = tx.execute(
        "UPDATE user SET username = '', username_key = '', email = NULL, email_key = NULL,
             first_name = NULL, last_name = NULL, description = NULL, attributes = NULL,
             search_key = '', names_version = names_version + 1, former_branch_id = NULL,
             desktop_client_denied = 0, last_login_at = NULL, confirmed_at = NULL,
             audit_salt = NULL, erased_seq = ?2
         WHERE id = ?1 AND deleted_at IS NOT NULL AND erased_seq IS NULL",
        params![id, seq],
    )?;
    if erased == 0 {
        return Err(Error::not_found(
            "there is no deleted user of this id that is not erased yet",
        )
        .advising("Delete the user first: an erasure cannot be undone."));
    }
    tx.execute("DELETE FROM user_privilege WHERE user_id = ?1", params![id]).map(drop)
}

/// Returns a deleted user to the branch it was in.
///
/// Restoring needs no new watermark: the deletion raised the user's own above all that the branch
/// had then.
pub(crate) fn restore(tx: &WriteTx<'_>, id: UserId, unique_email: bool) -> Result<()> {
    let (username_key, email_key, branch) = tx
        .one(
            "SELECT username_key, email_key, former_branch_id FROM user
             WHERE id = ?1 AND deleted_at IS NOT NULL AND erased_seq IS NULL",
            params![id],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<BranchId>>(2)?,
                ))
            },
        )?
        .ok_or_else(|| Error::not_found("there is no deleted user of this id"))?;
    check_username_free(tx, &username_key, Some(id), unique_email)?;
    if let Some(key) = email_key {
        check_email_free(tx, &key, Some(id), unique_email)?;
    }
    super::check_branch(tx, branch).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(
            "the branch of the deleted user was deleted: the user cannot be restored",
        ),
        // A branch that cannot be read may exist.
        _ => error,
    })?;
    tx.execute(
        "UPDATE user SET deleted_at = NULL, branch_id = former_branch_id, former_branch_id = NULL
         WHERE id = ?1",
        params![id],
    )
    .map(drop)
}

/// Gives the user another name, which must be free.
pub(crate) fn rename(
    tx: &WriteTx<'_>,
    user: &User,
    username: &Username,
    unique_email: bool,
    marks: Watermarks,
) -> Result<()> {
    check_username_free(tx, &username.key, Some(user.id), unique_email)?;
    let search_key = search_key(
        &username.shown,
        user.email.as_deref(),
        user.first_name.as_deref(),
        user.last_name.as_deref(),
    );
    tx.execute(
        "UPDATE user SET username = ?2, username_key = ?3, search_key = ?4,
             names_version = names_version + 1,
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1",
        params![user.id, username.shown, username.key, search_key, marks.tokens],
    )
    .map(drop)
}

/// Sets or removes the e-mail address.
pub(crate) fn set_email(
    tx: &WriteTx<'_>,
    user: &User,
    email: Option<&EmailAddress>,
    unique_email: bool,
    marks: Watermarks,
) -> Result<()> {
    if let Some(email) = email {
        check_email_free(tx, &email.key, Some(user.id), unique_email)?;
    }
    let shown = email.map(|email| email.shown.as_str());
    let search_key =
        search_key(&user.username, shown, user.first_name.as_deref(), user.last_name.as_deref());
    tx.execute(
        "UPDATE user SET email = ?2, email_key = ?3, search_key = ?4,
             names_version = names_version + 1,
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1",
        params![user.id, shown, email.map(|email| &email.key), search_key, marks.tokens],
    )
    .map(drop)
}

/// Stores that the account is confirmed, which makes a pending user active.
pub(crate) fn confirm(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<()> {
    tx.execute(
        "UPDATE user SET confirmed_at = coalesce(confirmed_at, ?2),
             status = CASE status WHEN 'pending' THEN 'active' ELSE status END,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq),
             trust_ended_seq = coalesce(?6, trust_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, tx.now(), marks.sessions, marks.keys, marks.tokens, marks.trust],
    )
    .map(drop)
}
