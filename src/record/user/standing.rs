//! The statements of the deeds that change where a user stands, what it is called and whether it
//! is there at all. Each is one UPDATE, which raises the watermarks that its caller hands it.

use super::{User, gone, search_key};
use crate::error::{Error, Reason, Result};
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::facts::UserStatus;
use crate::value::id::{BranchId, UserId};
use crate::value::name::{EmailAddress, Username};

/// Refuses a username that a user who is not deleted has; with `unique_email` also one that is
/// another's e-mail address, under which that one logs in.
pub(super) fn check_username_free(
    tx: &ReadTx<'_>,
    key: &str,
    own: Option<UserId>,
    unique_email: bool,
) -> Result<()> {
    if another_is_called(tx, key, own)? || (unique_email && another_is_at(tx, key, own)?) {
        return Err(Error::taken("the username is taken"));
    }
    Ok(())
}

/// Where the e-mail address logs in, refuses one that another user has, as address or as username.
pub(super) fn check_email_free(
    tx: &ReadTx<'_>,
    key: &str,
    own: Option<UserId>,
    unique_email: bool,
) -> Result<()> {
    if unique_email && (another_is_at(tx, key, own)? || another_is_called(tx, key, own)?) {
        return Err(Error::taken("the e-mail address is taken"));
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

/// Keeps when the user last logged in. No verify reads it, so it leaves no change row.
pub(crate) fn logged_in(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    tx.execute("UPDATE user SET last_login_at = ?2 WHERE id = ?1", params![id, tx.now()]).map(drop)
}

/// Raises watermarks and nothing else; false if there is no such user.
pub(crate) fn raise(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<bool> {
    let raised = tx.execute(
        "UPDATE user SET sessions_ended_seq = coalesce(?2, sessions_ended_seq),
             keys_ended_seq = coalesce(?3, keys_ended_seq),
             tokens_ended_seq = coalesce(?4, tokens_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, marks.sessions, marks.keys, marks.tokens],
    )?;
    Ok(raised > 0)
}

pub(crate) fn set_status(
    tx: &WriteTx<'_>,
    id: UserId,
    status: UserStatus,
    marks: Watermarks,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE user SET status = ?2, sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, status, marks.sessions, marks.keys, marks.tokens],
    )?;
    if changed == 0 { Err(gone()) } else { Ok(()) }
}

/// Moves the user. Its watermarks rise to those of the place it leaves, so that nothing which
/// ended there comes back.
pub(crate) fn place(tx: &WriteTx<'_>, id: UserId, branch: Option<BranchId>) -> Result<()> {
    super::check_branch(tx, branch)?;
    let moved = tx.execute(
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
    )?;
    if moved == 0 { Err(gone()) } else { Ok(()) }
}

/// Frees the name, keeps the rest for a restore. `marks` must raise everything.
pub(crate) fn delete(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<()> {
    let deleted = tx.execute(
        "UPDATE user SET deleted_at = ?2, former_branch_id = branch_id, branch_id = NULL,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, tx.now(), marks.sessions, marks.keys, marks.tokens],
    )?;
    if deleted == 0 { Err(gone()) } else { Ok(()) }
}

/// Brings a deleted user back into the branch it was in.
///
/// The move in between cost it nothing and saves it nothing: deleting raised its own watermarks
/// above all that the branch had then.
pub(crate) fn restore(tx: &WriteTx<'_>, id: UserId, unique_email: bool) -> Result<()> {
    let (username_key, email_key, branch) = tx
        .one(
            "SELECT username_key, email_key, former_branch_id FROM user
             WHERE id = ?1 AND deleted_at IS NOT NULL",
            params![id],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<BranchId>>(2)?,
                ))
            },
        )?
        .ok_or_else(|| Error::not_found("no deleted user has this id"))?;
    check_username_free(tx, &username_key, Some(id), unique_email)?;
    if let Some(key) = email_key {
        check_email_free(tx, &key, Some(id), unique_email)?;
    }
    super::check_branch(tx, branch).map_err(|error| match error.reason() {
        Reason::NotFound => Error::not_found("the branch of the deleted user is gone"),
        // That it cannot be read does not say that it is not there.
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
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1",
        params![user.id, shown, email.map(|email| &email.key), search_key, marks.tokens],
    )
    .map(drop)
}

/// Notes that the account is confirmed, which lets a pending user in.
pub(crate) fn confirm(tx: &WriteTx<'_>, id: UserId, marks: Watermarks) -> Result<()> {
    let confirmed = tx.execute(
        "UPDATE user SET confirmed_at = coalesce(confirmed_at, ?2),
             status = CASE status WHEN 'pending' THEN 'active' ELSE status END,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             keys_ended_seq = coalesce(?4, keys_ended_seq),
             tokens_ended_seq = coalesce(?5, tokens_ended_seq)
         WHERE id = ?1 AND deleted_at IS NULL",
        params![id, tx.now(), marks.sessions, marks.keys, marks.tokens],
    )?;
    if confirmed == 0 { Err(gone()) } else { Ok(()) }
}
