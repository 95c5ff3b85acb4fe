//! What a restore does to the rows of a backup: one rule for each table of the schema.
//!
//! The rules run on a copy of the backup. If the file that it replaces reads, its tables are
//! attached as `live`, and what is stricter there stays. Then everything that a client could
//! present is revoked. A new table gets its rule here; a test compares the list with `schema.sql`.

use std::ops::AddAssign;

use crate::error::Result;
use crate::storage::{Before, ReadTx, WriteTx, params};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::RESTORE_SEQ_STEP;
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

/// The rule of a table.
pub(crate) struct Rule {
    #[cfg_attr(not(test), expect(dead_code, reason = "the test compares it with the schema"))]
    pub(crate) table: &'static str,
    /// What stays stricter, if the live file reads.
    harsher: &'static [Harsher],
    /// What is revoked always.
    revokes: Option<Revocation>,
}

/// A statement that deletes every credential of a table, and what its number of rows counts.
struct Revocation {
    sql: &'static str,
    count: fn(usize) -> Revoked,
}

/// Rows that stay as strict as in the live file.
struct Harsher {
    /// The ids of those that the backup has milder.
    milder: &'static str,
    stays: fn([u8; 16]) -> Stricter,
    writes: &'static [&'static str],
}

const AS_IN_BACKUP: &[Harsher] = &[];

/// One rule for each table, in the order in which they are applied.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    Rule { table: "organisation", harsher: &[ORGANISATION_INACTIVE], revokes: None },
    Rule { table: "branch", harsher: &[BRANCH_INACTIVE], revokes: None },
    Rule { table: "user", harsher: &[USER_DELETED, USER_STATUS], revokes: None },
    Rule { table: "user_privilege", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "credential", harsher: &[PASSWORD], revokes: None },
    // Triggers of `credential` write it.
    Rule { table: "hash_cost", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "throttle", harsher: &[FAILED_ATTEMPTS], revokes: None },
    Rule { table: "device", harsher: &[DEVICE], revokes: None },
    Rule { table: "credit", harsher: &[ORGANISATION_CREDITS, BRANCH_CREDITS], revokes: None },
    Rule { table: "configuration_key", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "setting", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "policy", harsher: AS_IN_BACKUP, revokes: None },
    // Goes with its session.
    Rule { table: "session_document", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "session", harsher: AS_IN_BACKUP, revokes: Some(Revocation {
        sql: "DELETE FROM session",
        count: |sessions| Revoked { sessions, ..Revoked::default() } }) },
    Rule { table: "api_key", harsher: AS_IN_BACKUP, revokes: Some(Revocation {
        sql: "DELETE FROM api_key",
        count: |api_keys| Revoked { api_keys, ..Revoked::default() } }) },
    Rule { table: "one_time_token", harsher: AS_IN_BACKUP, revokes: Some(Revocation {
        sql: "DELETE FROM one_time_token",
        count: |one_time_tokens| Revoked { one_time_tokens, ..Revoked::default() } }) },
    // `keep_audit_log` has their rule.
    Rule { table: "audit", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "audit_chain", harsher: AS_IN_BACKUP, revokes: None },
    // `begin_lineage` has their rule.
    Rule { table: "change", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "store", harsher: AS_IN_BACKUP, revokes: None },
];

/// The number of the next change row: an UPDATE that makes a row inactive raises its watermarks to
/// it. The counter stays as it is during one statement, however many rows that writes.
macro_rules! next_change {
    () => {
        "(SELECT seq + 1 FROM main.sqlite_sequence WHERE name = 'change')"
    };
}

const ORGANISATION_INACTIVE: Harsher = Harsher {
    milder: "SELECT id FROM organisation WHERE active = 1
             AND id NOT IN (SELECT id FROM live.organisation WHERE active = 1)",
    stays: |id| Stricter::OrganisationInactive(OrganisationId::from_bytes(id)),
    writes: &[concat!(
        "UPDATE organisation SET active = 0, sessions_ended_seq = ",
        next_change!(),
        ", tokens_ended_seq = ",
        next_change!(),
        " WHERE active = 1 AND id NOT IN (SELECT id FROM live.organisation WHERE active = 1)"
    )],
};

const BRANCH_INACTIVE: Harsher = Harsher {
    milder: "SELECT id FROM branch WHERE active = 1
             AND id NOT IN (SELECT id FROM live.branch WHERE active = 1)",
    stays: |id| Stricter::BranchInactive(BranchId::from_bytes(id)),
    writes: &[concat!(
        "UPDATE branch SET active = 0, sessions_ended_seq = ",
        next_change!(),
        ", tokens_ended_seq = ",
        next_change!(),
        " WHERE active = 1 AND id NOT IN (SELECT id FROM live.branch WHERE active = 1)"
    )],
};

const USER_DELETED: Harsher = Harsher {
    milder: "SELECT b.id FROM user AS b JOIN live.user AS l ON l.id = b.id
             WHERE b.deleted_at IS NULL AND l.deleted_at IS NOT NULL",
    stays: |id| Stricter::UserDeleted(UserId::from_bytes(id)),
    writes: &[concat!(
        "UPDATE user SET deleted_at = l.deleted_at, former_branch_id = user.branch_id,
             branch_id = NULL, sessions_ended_seq = ",
        next_change!(),
        ", keys_ended_seq = ",
        next_change!(),
        ", tokens_ended_seq = ",
        next_change!(),
        " FROM live.user AS l
         WHERE l.id = user.id AND user.deleted_at IS NULL AND l.deleted_at IS NOT NULL"
    )],
};

/// How strict status `$of` is: its place in a text that has them in that order.
macro_rules! strictness {
    ($of:literal) => {
        concat!("instr('active pending locked disabled', ", $of, ")")
    };
}

const USER_STATUS: Harsher = Harsher {
    milder: concat!(
        "SELECT b.id FROM user AS b JOIN live.user AS l ON l.id = b.id WHERE ",
        strictness!("l.status"),
        " > ",
        strictness!("b.status")
    ),
    stays: |id| Stricter::UserStatus(UserId::from_bytes(id)),
    writes: &[concat!(
        "UPDATE user SET status = l.status, sessions_ended_seq = ",
        next_change!(),
        ", tokens_ended_seq = ",
        next_change!(),
        " FROM live.user AS l WHERE l.id = user.id AND ",
        strictness!("l.status"),
        " > ",
        strictness!("user.status")
    )],
};

/// A password that was replaced or removed may have been stolen, so none comes back for a user that
/// the live file has.
const PASSWORD: Harsher = Harsher {
    milder: "SELECT u.id FROM user AS u JOIN live.user AS k ON k.id = u.id
             LEFT JOIN credential AS b ON b.user_id = u.id
             LEFT JOIN live.credential AS l ON l.user_id = u.id
             WHERE b.phc IS NOT l.phc OR b.version IS NOT l.version
                OR b.must_change IS NOT l.must_change OR b.compromised IS NOT l.compromised",
    stays: |id| Stricter::Password(UserId::from_bytes(id)),
    writes: &[
        "DELETE FROM credential WHERE user_id IN (SELECT id FROM live.user)
             AND user_id NOT IN (SELECT user_id FROM live.credential)",
        "INSERT INTO credential (user_id, phc, norm, version, must_change, compromised, set_at)
         SELECT l.user_id, l.phc, l.norm, l.version, l.must_change, l.compromised, l.set_at
         FROM live.credential AS l JOIN user AS u ON u.id = l.user_id
         WHERE l.user_id NOT IN (SELECT user_id FROM credential)",
        "UPDATE credential SET phc = l.phc, norm = l.norm,
             version = max(l.version, credential.version), set_at = l.set_at,
             must_change = CASE WHEN l.version > credential.version THEN l.must_change
                           ELSE max(l.must_change, credential.must_change) END,
             compromised = CASE WHEN l.version > credential.version THEN l.compromised
                           ELSE max(l.compromised, credential.compromised) END
         FROM live.credential AS l WHERE l.user_id = credential.user_id",
        // The keys of the hashes. A file that was sealed stays sealed.
        "UPDATE store SET sealing_key = coalesce(
             (SELECT sealing_key FROM live.store WHERE id = 1), sealing_key) WHERE id = 1",
    ],
};

const FAILED_ATTEMPTS: Harsher = Harsher {
    milder: "SELECT b.user_id FROM throttle AS b JOIN live.throttle AS l ON l.user_id = b.user_id
             WHERE b.user_id IN (SELECT id FROM user)
             AND (l.failures > b.failures OR l.known_failures > b.known_failures)",
    stays: |id| Stricter::FailedAttempts(UserId::from_bytes(id)),
    writes: &["UPDATE throttle SET failures = max(l.failures, throttle.failures),
             charged_at = max(l.charged_at, throttle.charged_at),
             known_failures = max(l.known_failures, throttle.known_failures),
             known_charged_at = max(l.known_charged_at, throttle.known_charged_at)
         FROM live.throttle AS l WHERE l.user_id = throttle.user_id"],
};

const DEVICE: Harsher = Harsher {
    milder: "SELECT DISTINCT b.user_id FROM device AS b JOIN live.user AS u ON u.id = b.user_id
             LEFT JOIN live.device AS l
                 ON l.user_id = b.user_id AND l.device_hash = b.device_hash
             WHERE l.user_id IS NULL OR l.failures > b.failures",
    stays: |id| Stricter::Device(UserId::from_bytes(id)),
    writes: &[
        "DELETE FROM device WHERE user_id IN (SELECT id FROM live.user)
             AND NOT EXISTS (SELECT 1 FROM live.device AS l
                 WHERE l.user_id = device.user_id AND l.device_hash = device.device_hash)",
        "UPDATE device SET failures = max(l.failures, device.failures),
             charged_at = max(l.charged_at, device.charged_at)
         FROM live.device AS l
         WHERE l.user_id = device.user_id AND l.device_hash = device.device_hash",
    ],
};

const ORGANISATION_CREDITS: Harsher = Harsher {
    milder: "SELECT o.id FROM organisation AS o
             JOIN live.credit AS l ON l.organisation_id = o.id
             LEFT JOIN credit AS b ON b.organisation_id = o.id
             WHERE b.remaining IS NULL OR l.remaining < b.remaining",
    stays: |id| Stricter::OrganisationCredits(OrganisationId::from_bytes(id)),
    writes: &[
        "UPDATE credit SET remaining = l.remaining FROM live.credit AS l
         WHERE l.organisation_id = credit.organisation_id AND l.remaining < credit.remaining",
        "INSERT INTO credit (organisation_id, remaining)
         SELECT l.organisation_id, l.remaining FROM live.credit AS l
         JOIN organisation AS o ON o.id = l.organisation_id
         WHERE NOT EXISTS (SELECT 1 FROM credit AS b WHERE b.organisation_id = o.id)",
    ],
};

const BRANCH_CREDITS: Harsher = Harsher {
    milder: "SELECT p.id FROM branch AS p
             JOIN live.credit AS l ON l.branch_id = p.id
             LEFT JOIN credit AS b ON b.branch_id = p.id
             WHERE b.remaining IS NULL OR l.remaining < b.remaining",
    stays: |id| Stricter::BranchCredits(BranchId::from_bytes(id)),
    writes: &[
        "UPDATE credit SET remaining = l.remaining FROM live.credit AS l
         WHERE l.branch_id = credit.branch_id AND l.remaining < credit.remaining",
        "INSERT INTO credit (branch_id, remaining)
         SELECT l.branch_id, l.remaining FROM live.credit AS l
         JOIN branch AS p ON p.id = l.branch_id
         WHERE NOT EXISTS (SELECT 1 FROM credit AS b WHERE b.branch_id = p.id)",
    ],
};

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
    Ok(sum)
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
                 device_hash, ip, user_agent, reason, count, detail, chain)
             SELECT seq, source, salt, at, event, outcome, actor, actor_user_id,
                 actor_via_id, user_id, branch_id, organisation_id, session_id, api_key_id,
                 device_hash, ip, user_agent, reason, count, detail, chain FROM live.audit",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A table without a rule would come back as it was in the backup, whatever it is.
    #[test]
    fn each_table_of_the_schema_has_its_rule_and_no_other_has() {
        let schema = include_str!("../storage/schema.sql");
        let tables: BTreeSet<_> = schema
            .lines()
            .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next())
            .collect();
        let ruled: BTreeSet<_> = RULES.iter().map(|rule| rule.table).collect();
        assert_eq!(ruled, tables);
        assert_eq!(ruled.len(), RULES.len());
    }
}
