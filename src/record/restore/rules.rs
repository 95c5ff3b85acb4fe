//! The rule of a restore for each table of the schema, and the statements of those rules.

use super::{Revoked, Stricter};
use crate::value::id::{BranchId, OrganisationId, UserId};

/// The rule of a table.
pub(super) struct Rule {
    #[cfg_attr(not(test), expect(dead_code, reason = "the test compares it with the schema"))]
    pub(super) table: &'static str,
    /// What stays stricter, if the live file reads.
    pub(super) harsher: &'static [Harsher],
    /// What is revoked always.
    pub(super) revokes: Option<Revocation>,
}

/// A statement that deletes every credential of a table, and what its number of rows counts.
pub(super) struct Revocation {
    pub(super) sql: &'static str,
    pub(super) count: fn(usize) -> Revoked,
}

/// For what the report does not count.
const fn uncounted(sql: &'static str) -> Option<Revocation> {
    Some(Revocation { sql, count: |_| Revoked { sessions: 0, api_keys: 0, one_time_tokens: 0 } })
}

/// Rows that stay as strict as in the live file.
pub(super) struct Harsher {
    /// The ids of those that the backup has milder.
    pub(super) milder: &'static str,
    pub(super) stays: fn([u8; 16]) -> Stricter,
    pub(super) writes: &'static [&'static str],
}

const AS_IN_BACKUP: &[Harsher] = &[];

/// The number of the next change row: an UPDATE that makes a row inactive raises its watermarks to
/// it. The counter stays as it is during one statement, however many rows that writes.
macro_rules! next_change {
    () => {
        "(SELECT seq + 1 FROM main.sqlite_sequence WHERE name = 'change')"
    };
}

/// One rule for each table, in the order in which they are applied.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    Rule { table: "organisation", harsher: &[ORGANISATION_INACTIVE], revokes: None },
    Rule { table: "branch", harsher: &[BRANCH_INACTIVE], revokes: None },
    // With the trust of all devices.
    Rule { table: "user", harsher: &[USER_DELETED, USER_STATUS], revokes: uncounted(
        concat!("UPDATE user SET trust_ended_seq = ", next_change!())) },
    Rule { table: "user_privilege", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "administration", harsher: &[ADMINISTRATION], revokes: None },
    Rule { table: "credential", harsher: &[PASSWORD], revokes: None },
    // Triggers of `credential` write it.
    Rule { table: "hash_cost", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "throttle", harsher: &[FAILED_ATTEMPTS], revokes: None },
    Rule { table: "device", harsher: &[DEVICE], revokes: None },
    Rule { table: "external_identity", harsher: &[EXTERNAL_IDENTITY], revokes: None },
    // `use_up_codes` has the rest of its rule.
    Rule { table: "totp", harsher: &[SECOND_FACTOR], revokes: None },
    Rule { table: "totp_enrolment", harsher: AS_IN_BACKUP, revokes: uncounted(
        "DELETE FROM totp_enrolment") },
    Rule { table: "recovery_code", harsher: AS_IN_BACKUP, revokes: uncounted(
        "DELETE FROM recovery_code") },
    Rule { table: "pending_step", harsher: AS_IN_BACKUP, revokes: uncounted(
        "DELETE FROM pending_step") },
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
    // What was acknowledged since the backup is seen once more.
    Rule { table: "audit_consumer", harsher: AS_IN_BACKUP, revokes: None },
    // `begin_lineage` has their rule.
    Rule { table: "change", harsher: AS_IN_BACKUP, revokes: None },
    Rule { table: "store", harsher: AS_IN_BACKUP, revokes: None },
];

pub(super) use next_change;

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
        ", trust_ended_seq = ",
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
        ", trust_ended_seq = ",
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

/// As the password: an authenticator that was replaced or removed may have been stolen.
const SECOND_FACTOR: Harsher = Harsher {
    milder: "SELECT u.id FROM user AS u JOIN live.user AS k ON k.id = u.id
             LEFT JOIN totp AS b ON b.user_id = u.id
             LEFT JOIN live.totp AS l ON l.user_id = u.id
             WHERE b.since IS NOT l.since OR b.origin IS NOT l.origin",
    stays: |id| Stricter::SecondFactor(UserId::from_bytes(id)),
    writes: &[
        "DELETE FROM totp WHERE user_id IN (SELECT id FROM live.user)",
        "INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift,
             last_step)
         SELECT l.user_id, l.secret, l.key_id, l.algorithm, l.digits, l.origin, l.since, l.shift,
             l.last_step
         FROM live.totp AS l JOIN user AS u ON u.id = l.user_id",
    ],
};

/// An account at the provider that was unlinked may have been stolen.
const EXTERNAL_IDENTITY: Harsher = Harsher {
    milder: "SELECT DISTINCT b.user_id FROM external_identity AS b
             JOIN live.user AS u ON u.id = b.user_id
             WHERE NOT EXISTS (SELECT 1 FROM live.external_identity AS l
                 WHERE l.provider = b.provider AND l.subject = b.subject
                     AND l.user_id = b.user_id)",
    stays: |id| Stricter::ExternalIdentity(UserId::from_bytes(id)),
    writes: &["DELETE FROM external_identity WHERE user_id IN (SELECT id FROM live.user)
             AND NOT EXISTS (SELECT 1 FROM live.external_identity AS l
                 WHERE l.provider = external_identity.provider
                     AND l.subject = external_identity.subject
                     AND l.user_id = external_identity.user_id)"],
};

/// An administration that was withdrawn does not come back for a user that the live file has.
const ADMINISTRATION: Harsher = Harsher {
    milder: "SELECT DISTINCT b.user_id FROM administration AS b
             JOIN live.user AS u ON u.id = b.user_id
             WHERE NOT EXISTS (SELECT 1 FROM live.administration AS l
                 WHERE l.user_id = b.user_id AND l.organisation_id IS b.organisation_id
                     AND l.branch_id IS b.branch_id)",
    stays: |id| Stricter::Administration(UserId::from_bytes(id)),
    writes: &["DELETE FROM administration WHERE user_id IN (SELECT id FROM live.user)
             AND NOT EXISTS (SELECT 1 FROM live.administration AS l
                 WHERE l.user_id = administration.user_id
                     AND l.organisation_id IS administration.organisation_id
                     AND l.branch_id IS administration.branch_id)"],
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A table without a rule would come back as it was in the backup, whatever it is.
    #[test]
    fn each_table_of_the_schema_has_its_rule_and_no_other_has() {
        let schema = include_str!("../../storage/schema.sql");
        let tables: BTreeSet<_> = schema
            .lines()
            .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next())
            .collect();
        let ruled: BTreeSet<_> = RULES.iter().map(|rule| rule.table).collect();
        assert_eq!(ruled, tables);
        assert_eq!(ruled.len(), RULES.len());
    }
}
