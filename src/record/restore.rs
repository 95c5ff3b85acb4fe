//! What a restore does to the rows of a backup: one rule for each table of the schema.
//!
//! The rules run on a copy of the backup. If the file that it replaces reads, its tables are
//! attached as `live`, and what is stricter there stays. Then everything that a client could
//! present is revoked. A new table gets its rule here; a test compares the list with `schema.sql`.

mod rules;

use std::ops::AddAssign;

use rules::{RULES, Revocation, next_change};

use crate::error::Result;
use crate::storage::{Before, ReadTx, WriteTx, params};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::{RESTORE_SEQ_STEP, TOTP_STEP_MS};
use crate::value::random::random_bytes;

/// Something that stayed stricter than it is in the backup, because the file that the backup
/// replaced had it so; from [`RestoreReport::stricter`](crate::backup::RestoreReport::stricter).
///
/// ```
/// use gatepost::backup::Stricter;
/// use gatepost::directory::UserStatus;
/// use gatepost::{NewUser, Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let (path, copy) = (directory.path().join("auth.db"), directory.path().join("copy.db"));
/// let store = Store::open(&path, Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// store.backup(&copy, |_| ())?;
/// store.users().set_status(ada, UserStatus::Disabled)?;
///
/// let report = Store::restore(&copy, &path, Options::server())?;
/// assert_eq!(report.stricter, [Stricter::UserStatus(ada)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stricter {
    /// The organisation stays inactive, or was deleted and is inactive now.
    OrganisationInactive(OrganisationId),
    /// The branch stays inactive, or was deleted and is inactive now.
    BranchInactive(BranchId),
    /// The user stays deleted.
    UserDeleted(UserId),
    /// The user stays locked, disabled or pending.
    UserStatus(UserId),
    /// The password that the user had last stays, or its mark as compromised, or there is none: the
    /// one in the backup was replaced or removed since.
    Password(UserId),
    /// The second factor that the user had last stays, or there is none: the one in the backup was
    /// replaced or removed since.
    SecondFactor(UserId),
    /// Some of the administrations of the user stay withdrawn.
    Administration(UserId),
    /// An external identity of the user stays unlinked.
    ExternalIdentity(UserId),
    /// The failed attempts on the user stay.
    FailedAttempts(UserId),
    /// A device of the user stays forgotten, or its failed attempts stay.
    Device(UserId),
    /// The lower count of credits of the organisation stays.
    OrganisationCredits(OrganisationId),
    /// The lower count of credits of the branch stays.
    BranchCredits(BranchId),
}

/// Credentials of the backup that were revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) sessions: usize,
    pub(crate) api_keys: usize,
    pub(crate) one_time_tokens: usize,
}

impl AddAssign for Revoked {
    fn add_assign(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.api_keys += other.api_keys;
        self.one_time_tokens += other.one_time_tokens;
    }
}

/// What the live file has and the backup does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) users: Vec<UserId>,
    pub(crate) branches: Vec<BranchId>,
    pub(crate) organisations: Vec<OrganisationId>,
}

/// Keeps what is stricter in the live file, and returns it. Only with `live` attached.
pub(crate) fn keep_stricter(tx: &WriteTx<'_>) -> Result<Vec<Stricter>> {
    let mut all = Vec::new();
    for harsher in RULES.iter().flat_map(|rule| rule.harsher) {
        all.extend(tx.all(harsher.milder, [], |row| row.get(0).map(harsher.stays))?);
        for write in harsher.writes {
            tx.execute(write, [])?;
        }
    }
    Ok(all)
}

/// Deletes every credential of the backup. The watermarks of the store come after it
/// ([`begin_lineage`]).
pub(crate) fn revoke_everything(tx: &WriteTx<'_>) -> Result<Revoked> {
    let mut sum = Revoked::default();
    for Revocation { sql, count } in RULES.iter().filter_map(|rule| rule.revokes.as_ref()) {
        sum += count(tx.execute(sql, [])?);
    }
    use_up_codes(tx)?;
    Ok(sum)
}

/// Makes every code of an authenticator up to now count as used: it may have been used since the
/// backup.
fn use_up_codes(tx: &WriteTx<'_>) -> Result<()> {
    tx.execute(
        "UPDATE totp SET last_step = max(last_step, ?1 / ?2 + shift)",
        params![tx.now(), TOTP_STEP_MS],
    )
    .map(drop)
}

/// Replaces the audit log by that of the live file, if that continues the log of the backup: if it
/// has the newest row of the library's own source that the backup has. Returns whether it does.
pub(crate) fn keep_audit_log(tx: &WriteTx<'_>) -> Result<bool> {
    let continues: bool = tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM live.audit AS l
                 WHERE l.seq = b.head_seq AND l.source = 0 AND l.chain = b.head_chain)
             OR EXISTS (SELECT 1 FROM live.audit_chain AS l WHERE l.source = 0
                 AND ((l.head_seq = b.head_seq AND l.head_chain = b.head_chain)
                   OR (l.trimmed_seq = b.head_seq AND l.trimmed_chain = b.head_chain)))
         FROM audit_chain AS b WHERE b.source = 0",
        [],
        |row| row.get(0),
    )?;
    if !continues {
        return Ok(false);
    }
    // Rows and ends of a log that the same triggers have guarded.
    tx.without_triggers(|| {
        tx.execute("DELETE FROM audit", [])?;
        tx.execute(
            "INSERT INTO audit (seq, source, salt, at, event, outcome, actor, actor_user_id,
                 actor_via_id, user_id, branch_id, organisation_id, session_id, api_key_id,
                 device_hash, ip, user_agent, reason, count, detail, person_hash, chain)
             SELECT seq, source, salt, at, event, outcome, actor, actor_user_id,
                 actor_via_id, user_id, branch_id, organisation_id, session_id, api_key_id,
                 device_hash, ip, user_agent, reason, count, detail, person_hash, chain
             FROM live.audit",
            [],
        )?;
        tx.execute("DELETE FROM audit_chain", [])?;
        tx.execute(
            "INSERT INTO audit_chain (source, trimmed_seq, trimmed_chain, head_seq, head_chain,
                 kept_rows)
             SELECT source, trimmed_seq, trimmed_chain, head_seq, head_chain, kept_rows
             FROM live.audit_chain",
            [],
        )
    })?;
    Ok(true)
}

/// Brings the users that only the live file has along as deleted ones, without password and
/// privileges: rows of the audit log name them, and their salts prove these rows.
pub(crate) fn keep_lost_users(tx: &WriteTx<'_>) -> Result<()> {
    tx.execute(
        "INSERT INTO user (id, branch_id, status, kind, deleted_at, former_branch_id, username,
             username_key, email, email_key, confirmed_at, desktop_client_denied, created_at,
             last_login_at, first_name, last_name, description, search_key, names_version,
             attributes, audit_salt, erased_seq)
         SELECT id, NULL, status, kind, coalesce(deleted_at, ?1),
             coalesce(former_branch_id, branch_id), username,
             username_key, email, email_key, confirmed_at, desktop_client_denied, created_at,
             last_login_at, first_name, last_name, description, search_key, names_version,
             attributes, audit_salt, erased_seq
         FROM live.user WHERE id NOT IN (SELECT id FROM main.user)",
        params![tx.now()],
    )
    .map(drop)
}

/// Users who were erased in the live file and not in the backup, with the number of the audit row
/// of that. They are deleted when this returns.
pub(crate) fn erased(tx: &WriteTx<'_>) -> Result<Vec<(UserId, i64)>> {
    tx.execute(
        concat!(
            "UPDATE user SET deleted_at = l.deleted_at, former_branch_id = user.branch_id,
                 branch_id = NULL, sessions_ended_seq = ",
            next_change!(),
            ", keys_ended_seq = ",
            next_change!(),
            ", tokens_ended_seq = ",
            next_change!(),
            ", trust_ended_seq = ",
            next_change!(),
            " FROM live.user AS l
             WHERE l.id = user.id AND user.deleted_at IS NULL AND l.erased_seq IS NOT NULL"
        ),
        [],
    )?;
    tx.all(
        "SELECT b.id, l.erased_seq FROM user AS b JOIN live.user AS l ON l.id = b.id
         WHERE b.erased_seq IS NULL AND l.erased_seq IS NOT NULL",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Begins a new lineage with one change row above those of both files: every process drops its
/// cache, and the watermarks of the store are above every credential of either file.
pub(crate) fn begin_lineage(tx: &WriteTx<'_>, before: Before) -> Result<()> {
    let live = match before {
        Before::Attached => tx.exactly_one(
            "SELECT max(seq, (SELECT max(seq) FROM live.change)) FROM live.sqlite_sequence
             WHERE name = 'change'",
            [],
            |row| row.get(0),
        )?,
        Before::Unknown => 0,
    };
    let head = tx.head()?.max(live).saturating_add(RESTORE_SEQ_STEP);
    tx.execute("UPDATE sqlite_sequence SET seq = ?1 - 1 WHERE name = 'change'", params![head])?;
    let lineage: [u8; 16] = random_bytes(tx.random())?;
    let mark: [u8; 16] = random_bytes(tx.random())?;
    // Its trigger writes the change row of that number. No commit in doubt left that mark.
    tx.execute(
        "UPDATE store SET lineage = ?1, last_group = ?2, sessions_ended_seq = ?3,
             keys_ended_seq = ?3, tokens_ended_seq = ?3 WHERE id = 1",
        params![lineage, mark, head],
    )?;
    // They are of the numbers that are left behind.
    tx.execute("DELETE FROM change WHERE seq < ?1", params![head]).map(drop)
}

/// What only the live file has. Deleted users do not count.
pub(crate) fn lost(tx: &ReadTx<'_>) -> Result<Lost> {
    let users = tx.all(
        "SELECT id FROM live.user
         WHERE deleted_at IS NULL AND id NOT IN (SELECT id FROM main.user)",
        [],
        |row| row.get(0),
    )?;
    let branches = tx.all(
        "SELECT id FROM live.branch WHERE id NOT IN (SELECT id FROM main.branch)",
        [],
        |row| row.get(0),
    )?;
    let organisations = tx.all(
        "SELECT id FROM live.organisation WHERE id NOT IN (SELECT id FROM main.organisation)",
        [],
        |row| row.get(0),
    )?;
    Ok(Lost { users, branches, organisations })
}
