-- The whole current schema of a Gatepost file, version 1.
--
-- This script is the reference of the file format. The comment on each table says what a row
-- means, which rules always apply to it, and what deletes it. Times are INTEGER milliseconds since
-- 1970-01-01 UTC; ids are 16-byte BLOBs holding a UUIDv7; digests are BLOBs. All tables are
-- STRICT. `PRAGMA application_id` is 0x47505354 ("GPST"), `PRAGMA user_version` is the schema
-- version.
--
-- Opening a file compares the SQL text of every table, index and trigger with this script,
-- comments inside the statements included.
--
-- The change log and the watermarks
-- ---------------------------------
-- `change` has one row for each committed change that could make a valid session or API key
-- invalid, or alter what a verify returns for it. Its AUTOINCREMENT counter
-- (`sqlite_sequence.seq`, "the head") never falls. A session stores the head at its opening
-- (`opened_seq`). The rows of users, branches, organisations and the store have watermarks:
-- `sessions_ended_seq` is the number of the change row that last revoked all sessions below that
-- row. A session is current if and only if its `opened_seq` is at least the watermarks of its
-- user, branch, organisation and store. So revoking any number of sessions is one UPDATE: it sets
-- the watermark to head + 1, the number of the change row that this UPDATE writes.
-- `keys_ended_seq` works in the same way for API keys, `tokens_ended_seq` for one-time tokens and
-- pending steps, and `trust_ended_seq` of a user for the trust of its devices.


-- One row: the identity, the options and the watermarks of the store. Never deleted.
CREATE TABLE store (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    store_id           BLOB    NOT NULL CHECK (length(store_id) = 16),
    lineage            BLOB    NOT NULL CHECK (length(lineage) = 16), -- new at each restore
    min_reader         INTEGER NOT NULL CHECK (min_reader >= 1), -- oldest schema that may use it
    created_at         INTEGER NOT NULL,
    -- Options of the file, which apply to every process. Only `Store::change_options` changes
    -- them, and each write that depends on one reads it again; for_tests never changes.
    for_tests          INTEGER NOT NULL CHECK (for_tests IN (0, 1)), -- accepts the test cost
    login_by_email     INTEGER NOT NULL DEFAULT 0 CHECK (login_by_email IN (0, 1)),
    lockout            TEXT    NOT NULL DEFAULT 'timed' CHECK (lockout IN ('timed', 'permanent')),
    second_factor      TEXT    NOT NULL DEFAULT 'optional' -- who must have one
                       CHECK (second_factor IN ('optional', 'administrators', 'all')),
    audit_max_age_ms   INTEGER NOT NULL DEFAULT 34560000000
                       CHECK (audit_max_age_ms BETWEEN 86400000 AND 3153600000000),
    audit_max_rows     INTEGER NOT NULL DEFAULT 1000000
                       CHECK (audit_max_rows BETWEEN 1000 AND 1000000000000),
    stand_in_key       BLOB    NOT NULL CHECK (length(stand_in_key) = 32), -- see hash_cost
    -- The id of the key under which every process seals password hashes and the secrets of second
    -- factors; NULL: no process has sealed one. The key itself is in the keyring of the host, and never in this file. Set by the
    -- first seal, changed by `Store::rekey`, and never removed.
    sealing_key        TEXT    CHECK (length(sealing_key) BETWEEN 1 AND 32),
    sessions_ended_seq INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    keys_ended_seq     INTEGER NOT NULL DEFAULT 0 CHECK (keys_ended_seq >= 0),
    tokens_ended_seq   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    -- Sessions and keys that expired by this time may be deleted without a change row. Never later
    -- than the latest `expires_at` that a sweep removed, so that one wrong reading of the clock
    -- has no lasting effect.
    swept_to           INTEGER NOT NULL DEFAULT 0,
    -- A row is not deleted for its age by one reading of the clock. seen_at is a reading. The first
    -- reading that is 20 h later replaces it, and believed_at becomes the earlier of the two. A
    -- reading before seen_at replaces it as well, and proves nothing. Only what was over at
    -- believed_at is deleted.
    seen_at            INTEGER NOT NULL DEFAULT 0,
    believed_at        INTEGER NOT NULL DEFAULT 0,
    -- The mark of the last group commit by any process: it proves whether a commit that failed
    -- half way was applied. A change of it writes no change row. No two commits have the same
    -- mark.
    last_group         BLOB    CHECK (last_group IS NULL OR length(last_group) = 16),
    -- The inode and the time of birth of the file, as its creation, a restore or
    -- `Store::adopt_restored` last saw them; NULL in a backup. Another file that has this content is
    -- a copy: perhaps an older one that was put back without the rules of a restore.
    file_inode         INTEGER,
    file_born_ns       INTEGER
) STRICT;


-- One row: a policy option of the process that created the file, or as `Store::change_options`
-- last set it. `Options::stored` opens with these values, and the policy of every other process is
-- compared with them; they apply to no other process. `name` is that of the setter; in `value`
-- durations are milliseconds or 'none', flags 'yes' or 'no', and a range or a cost is numbers
-- separated by spaces. breach_check says whether a check is in use, not which one. Each option has
-- its row. Never deleted.
CREATE TABLE policy (
    name  TEXT PRIMARY KEY CHECK (length(name) >= 1),
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;


-- One row: something that a verify depends on has changed. `kind`: 0 store, 1 organisation, 2
-- branch, 3 user, 4 session, 5 API key. Written only by the triggers below. The sweep trims old
-- rows, never the newest.
CREATE TABLE change (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    id   BLOB    CHECK ((kind = 0) = (id IS NULL)),
    -- Random: in another history of the file, a row of the same number has another tag.
    tag  BLOB    NOT NULL DEFAULT (randomblob(8)) CHECK (length(tag) = 8)
) STRICT;

CREATE TRIGGER change_is_not_rewritten BEFORE UPDATE ON change
BEGIN SELECT RAISE(ABORT, 'change rows are never rewritten'); END;

-- AFTER, because a BEFORE trigger does not see the new number. SQLite updates the counter at the
-- end of the statement.
CREATE TRIGGER change_is_appended AFTER INSERT ON change
WHEN NEW.seq <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'change rows are appended'); END;

CREATE TRIGGER change_keeps_its_newest BEFORE DELETE ON change
WHEN OLD.seq >= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)
BEGIN SELECT RAISE(ABORT, 'the newest change row stays'); END;


-- One row: an organisation, which contains branches. Deleted on request, if it has no branch.
CREATE TABLE organisation (
    id                 BLOB    PRIMARY KEY CHECK (length(id) = 16),
    name               TEXT    NOT NULL CHECK (length(name) >= 1),
    active             INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    sessions_ended_seq INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    tokens_ended_seq   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    created_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- One row: a branch, which contains users and belongs to at most one organisation. Deleted on
-- request, if it has no user.
CREATE TABLE branch (
    id                 BLOB    PRIMARY KEY CHECK (length(id) = 16),
    organisation_id    BLOB    REFERENCES organisation (id),
    name               TEXT    NOT NULL CHECK (length(name) >= 1),
    active             INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    sessions_ended_seq INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    tokens_ended_seq   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    created_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX branch_by_organisation ON branch (organisation_id)
    WHERE organisation_id IS NOT NULL;


-- One row: a person or a system user. The row is never removed: deletion sets `deleted_at`, frees
-- the username and copies the branch to `former_branch_id` (without a foreign key, as that branch
-- may be deleted), so that a restore can check whether it still exists. A deleted user is in no
-- branch. Erasure of a deleted user leaves the id, the kind, the times of creation and deletion, and
-- the watermarks: other rows refer to the id.
CREATE TABLE user (
    id                    BLOB    PRIMARY KEY CHECK (length(id) = 16),
    branch_id             BLOB    REFERENCES branch (id),
    status                TEXT    NOT NULL
                          CHECK (status IN ('pending', 'active', 'locked', 'disabled')),
    kind                  TEXT    NOT NULL CHECK (kind IN ('person', 'system')),
    deleted_at            INTEGER,
    sessions_ended_seq    INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    keys_ended_seq        INTEGER NOT NULL DEFAULT 0 CHECK (keys_ended_seq >= 0),
    tokens_ended_seq      INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    trust_ended_seq       INTEGER NOT NULL DEFAULT 0 CHECK (trust_ended_seq >= 0),
    former_branch_id      BLOB,
    username              TEXT    NOT NULL, -- as shown
    username_key          TEXT    NOT NULL,
    email                 TEXT,
    email_key             TEXT    CHECK ((email IS NULL) = (email_key IS NULL)),
    confirmed_at          INTEGER,          -- when the account was first confirmed; NULL: never
    desktop_client_denied INTEGER NOT NULL DEFAULT 0 CHECK (desktop_client_denied IN (0, 1)),
    created_at            INTEGER NOT NULL,
    last_login_at         INTEGER,
    first_name            TEXT,
    last_name             TEXT,
    description           TEXT,
    search_key            TEXT    NOT NULL, -- username, e-mail and names, folded, for text filters
    -- Rises by one with each UPDATE of a name, an address or one of their folded forms. An UPDATE
    -- by hand of one alone is refused: the shown name would not be the one that is looked up.
    names_version         INTEGER NOT NULL DEFAULT 0,
    attributes            TEXT    CHECK (attributes IS NULL OR json_valid(attributes)),
    -- Under the digests of what audit rows keep about the user (`audit.person_hash`). Random; NULL
    -- once the user is erased, so that no digest can be compared with a guess any more.
    audit_salt            BLOB    CHECK (audit_salt IS NULL OR length(audit_salt) = 16),
    erased_seq            INTEGER, -- the number of the audit row of the erasure
    CHECK (deleted_at IS NULL OR branch_id IS NULL),
    CHECK (deleted_at IS NOT NULL OR former_branch_id IS NULL),
    CHECK ((audit_salt IS NULL) = (erased_seq IS NOT NULL)),
    CHECK (CASE WHEN erased_seq IS NULL THEN length(username_key) >= 1
           ELSE deleted_at IS NOT NULL AND former_branch_id IS NULL AND username = ''
                AND username_key = '' AND email IS NULL AND search_key = ''
                AND coalesce(first_name, last_name, description, attributes) IS NULL
                AND coalesce(last_login_at, confirmed_at) IS NULL END)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_by_username ON user (username_key) WHERE deleted_at IS NULL;
CREATE INDEX user_by_email ON user (email_key)
    WHERE email_key IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX user_by_branch ON user (branch_id) WHERE branch_id IS NOT NULL;
-- The users of a place, deleted or not: an administrator of the place lists both.
CREATE INDEX user_by_place ON user (coalesce(branch_id, former_branch_id));


-- One row: a user has this privilege. The library itself checks only 'admin'. Deleted when the
-- privileges of the user are replaced. Statements join the names of a user with spaces, so a name
-- contains only the characters listed here; the length in bytes also counts what follows a NUL.
CREATE TABLE user_privilege (
    user_id BLOB NOT NULL REFERENCES user (id),
    name    TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 64
                                 AND length(CAST(name AS BLOB)) = length(name)
                                 AND name NOT GLOB '*[^a-z0-9._:-]*'),
    PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_privilege_by_name ON user_privilege (name, user_id);


-- One row: a user administers an organisation, with its branches and their users, or one branch with
-- its users (`Store::administering`). It is no privilege: verify does not read it, so it leaves no
-- change row. The user may be in any branch or in none, and keeps its rows while it is deleted.
-- Deleted on request, with the organisation or branch, and by the erasure of the user.
CREATE TABLE administration (
    id              INTEGER PRIMARY KEY,
    user_id         BLOB    NOT NULL REFERENCES user (id),
    organisation_id BLOB    REFERENCES organisation (id) ON DELETE CASCADE,
    branch_id       BLOB    REFERENCES branch (id) ON DELETE CASCADE,
    granted_at      INTEGER NOT NULL,
    CHECK ((organisation_id IS NULL) <> (branch_id IS NULL))
) STRICT;
CREATE INDEX administration_by_user ON administration (user_id);
CREATE UNIQUE INDEX administration_of_organisation ON administration (organisation_id, user_id)
    WHERE organisation_id IS NOT NULL;
CREATE UNIQUE INDEX administration_of_branch ON administration (branch_id, user_id)
    WHERE branch_id IS NOT NULL;


-- One row: the password of a user. No row: the user has no password. A system user never has one.
-- `version` rises when the password is set or marked as compromised, but not when its hash is made
-- more costly or only `must_change` is set: a login that verified an older version opens no
-- session. Deleted on request.
CREATE TABLE credential (
    user_id     BLOB    PRIMARY KEY REFERENCES user (id),
    -- PHC string format: Argon2id; or a hash of another system, until the first login, which says
    -- in `norm=` what its source did with the typed password. Sealed, the salt and the output are
    -- replaced by `sealed1$<key id>$<base64 of nonce, ciphertext and tag>`: XChaCha20-Poly1305,
    -- bound to table, column, user, algorithm, parameters and key id.
    phc         TEXT    NOT NULL,
    norm        INTEGER NOT NULL,           -- version of the normalisation before hashing
    version     INTEGER NOT NULL CHECK (version >= 1),
    must_change INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    compromised INTEGER NOT NULL DEFAULT 0 CHECK (compromised IN (0, 1)), -- 1: refused at login
    set_at      INTEGER NOT NULL,
    -- The hash up to its salt: its algorithm and parameters. rtrim removes all that is no '$' from
    -- the end, first the output, then the salt.
    cost        TEXT    GENERATED ALWAYS AS (
                    CASE instr(phc, '$sealed1$') WHEN 0
                    THEN rtrim(rtrim(rtrim(rtrim(phc, replace(phc, '$', '')), '$'),
                         replace(phc, '$', '')), '$')
                    ELSE substr(phc, 1, instr(phc, '$sealed1$') - 1) END) VIRTUAL,
    -- The id of the key that seals the hash; empty: it is not sealed.
    key_id      TEXT    GENERATED ALWAYS AS (
                    CASE instr(phc, '$sealed1$') WHEN 0 THEN ''
                    ELSE substr(phc, 9 + instr(phc, '$sealed1$'),
                         instr(substr(phc, 9 + instr(phc, '$sealed1$')), '$') - 1) END) VIRTUAL
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_by_key ON credential (key_id);


-- One row: so many users who are not deleted have a password hash of this cost. Where there is
-- no hash to compare with, one is computed at a cost that a digest of the typed name, under
-- `store.stand_in_key`, draws from here. Written by the triggers below and by nothing else; deleted
-- with the last user of its cost.
CREATE TABLE hash_cost (
    cost  TEXT    PRIMARY KEY,
    users INTEGER NOT NULL CHECK (users >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER credential_adds_its_cost AFTER INSERT ON credential
WHEN (SELECT deleted_at FROM user WHERE id = NEW.user_id) IS NULL
BEGIN
    INSERT INTO hash_cost (cost, users)
    SELECT NEW.cost, 0 WHERE NOT EXISTS (SELECT 1 FROM hash_cost WHERE cost = NEW.cost);
    UPDATE hash_cost SET users = users + 1 WHERE cost = NEW.cost;
END;

CREATE TRIGGER credential_changes_its_cost AFTER UPDATE OF phc ON credential
WHEN OLD.cost <> NEW.cost
  AND (SELECT deleted_at FROM user WHERE id = NEW.user_id) IS NULL
BEGIN
    UPDATE hash_cost SET users = max(users - 1, 0) WHERE cost = OLD.cost;
    DELETE FROM hash_cost WHERE users = 0;
    INSERT INTO hash_cost (cost, users)
    SELECT NEW.cost, 0 WHERE NOT EXISTS (SELECT 1 FROM hash_cost WHERE cost = NEW.cost);
    UPDATE hash_cost SET users = users + 1 WHERE cost = NEW.cost;
END;

CREATE TRIGGER credential_takes_its_cost AFTER DELETE ON credential
WHEN (SELECT deleted_at FROM user WHERE id = OLD.user_id) IS NULL
BEGIN
    UPDATE hash_cost SET users = max(users - 1, 0) WHERE cost = OLD.cost;
    DELETE FROM hash_cost WHERE users = 0;
END;

CREATE TRIGGER user_takes_its_cost AFTER UPDATE OF deleted_at ON user
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    UPDATE hash_cost SET users = max(users - 1, 0)
    WHERE cost = (SELECT cost FROM credential WHERE user_id = NEW.id);
    DELETE FROM hash_cost WHERE users = 0;
END;

CREATE TRIGGER user_returns_its_cost AFTER UPDATE OF deleted_at ON user
WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
BEGIN
    INSERT INTO hash_cost (cost, users)
    SELECT cost, 0 FROM credential AS own WHERE user_id = NEW.id
        AND NOT EXISTS (SELECT 1 FROM hash_cost WHERE hash_cost.cost = own.cost);
    UPDATE hash_cost SET users = users + 1
    WHERE cost = (SELECT cost FROM credential WHERE user_id = NEW.id);
END;


-- One row: the failed attempts on a user since its last success. `failures` and `charged_at` are
-- those of the gate: attempts from devices that are not known, and changes of the password and
-- proofs in a session. An unknown name counts nothing: it writes the row of its neighbour, or the
-- row of the id 0 if there is no user, so there is no foreign key. Each write of a row changes
-- `writes`: SQLite writes no page that stays as it is, which an unknown name would be quicker by.
-- Never deleted.
CREATE TABLE throttle (
    user_id          BLOB    PRIMARY KEY CHECK (length(user_id) = 16),
    failures         INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    charged_at       INTEGER NOT NULL DEFAULT 0, -- when the last of them was charged
    known_failures   INTEGER NOT NULL DEFAULT 0 CHECK (known_failures >= 0), -- from known devices
    known_charged_at INTEGER NOT NULL DEFAULT 0,
    writes           INTEGER NOT NULL DEFAULT 0 CHECK (writes BETWEEN 0 AND 65535)
) STRICT, WITHOUT ROWID;
INSERT INTO throttle (user_id) VALUES (zeroblob(16));

CREATE TRIGGER user_has_attempts AFTER INSERT ON user
WHEN NOT EXISTS (SELECT 1 FROM throttle WHERE user_id = NEW.id)
BEGIN INSERT INTO throttle (user_id) VALUES (NEW.id); END;


-- One row: a user has logged in on this device before. Attempts from the device are counted
-- separately. The device is trusted, so that a login on it needs no second factor, before
-- `trusted_until` and if its `trusted_seq` is at least the `trust_ended_seq` of its user and its
-- `last_login_at` is not in the future. Deleted when the device is forgotten.
CREATE TABLE device (
    user_id        BLOB    NOT NULL REFERENCES user (id),
    device_hash    BLOB    NOT NULL CHECK (length(device_hash) = 16),
    first_login_at INTEGER NOT NULL,
    last_login_at  INTEGER NOT NULL,
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    charged_at     INTEGER NOT NULL DEFAULT 0, -- when the last of them was charged
    trusted_until  INTEGER,                    -- NULL: never trusted
    trusted_seq    INTEGER NOT NULL DEFAULT 0 CHECK (trusted_seq >= 0), -- the head at that time
    PRIMARY KEY (user_id, device_hash)
) STRICT, WITHOUT ROWID;


-- One row: a session that was opened and neither logged out nor swept. A verify computes whether
-- it is valid: its `opened_seq` is not below a watermark, neither its lifetime nor its inactivity
-- timeout is over, and its user, branch and organisation are active. Token and device are stored
-- only as digests. Deleted by logout, by a login that replaces it, by a revocation of this
-- session, by a login of its user after a watermark has revoked it, and by the sweep after it
-- expired; with it go the API keys that were made from it and the impersonations opened from it.
CREATE TABLE session (
    id               BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash      BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    device_hash      BLOB    CHECK (device_hash IS NULL OR length(device_hash) = 16),
    user_id          BLOB    NOT NULL REFERENCES user (id),
    opened_seq       INTEGER NOT NULL CHECK (opened_seq >= 1),
    opened_at        INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,      -- when its user last proved to be the user
    -- When the absolute lifetime began: the login, or a later change of the password. A proof in
    -- the session moves authenticated_at alone, so that it prolongs nothing.
    lifetime_from    INTEGER NOT NULL DEFAULT 0,
    expires_at       INTEGER NOT NULL,      -- expired from this millisecond on
    lifetime_ms      INTEGER NOT NULL CHECK (lifetime_ms > 0), -- absolute lifetime at its opening
    idle_ms          INTEGER CHECK (idle_ms IS NULL OR idle_ms > 0),
    aal              INTEGER NOT NULL CHECK (aal BETWEEN 1 AND 3),
    last_seen        INTEGER NOT NULL,      -- never falls
    label            TEXT,
    ip               TEXT,
    user_agent       TEXT,
    -- Impersonation: the administrator who opened the session as its user, and the administrator's
    -- own session; NULL: the session is its user's own. It has the inactivity timeout of that
    -- session and never expires later. The triggers below delete it with that session, and when
    -- the administrator's sessions are revoked, the administrator is moved or loses the privilege
    -- admin, or the user gets it.
    actor_user_id    BLOB    REFERENCES user (id),
    actor_session_id BLOB    REFERENCES session (id),
    CHECK ((actor_user_id IS NULL) = (actor_session_id IS NULL)),
    CHECK (actor_user_id IS NULL OR idle_ms IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX session_by_device ON session (device_hash) WHERE device_hash IS NOT NULL;
-- The sessions that have expired come first, so that a search begins behind them.
CREATE INDEX session_by_user ON session (user_id, expires_at, opened_seq);
CREATE INDEX session_by_expiry ON session (expires_at);
CREATE INDEX session_by_actor ON session (actor_user_id) WHERE actor_user_id IS NOT NULL;
CREATE INDEX session_by_actor_session ON session (actor_session_id)
    WHERE actor_session_id IS NOT NULL;

CREATE TRIGGER session_takes_its_impersonations AFTER DELETE ON session
BEGIN DELETE FROM session WHERE actor_session_id = OLD.id; END;


-- One row: a small JSON document of the host program for a session. Deleted with its session.
CREATE TABLE session_document (
    session_id BLOB    PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL CHECK (version >= 1),
    body       TEXT    NOT NULL CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;


-- One row: an API key, the credential of a background job. Valid if its `issued_seq` is at least
-- the `keys_ended_seq` of its user and store, it has not expired, its user, branch and organisation
-- are active, and the session that its chain began with, if any, is live.
--
-- An attenuated key is made from a session or from another key of the same user and can do no more.
-- It never expires after the key that it was made from, and the triggers below delete it with that
-- key or session. So a verify reads no ancestor except the session. Deleted by revocation, once
-- expired by the sweep, and by the next key of its user after a watermark has revoked it.
CREATE TABLE api_key (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    user_id     BLOB    NOT NULL REFERENCES user (id),
    -- The session that the key, or the first key of its chain, was made from; NULL: none.
    session_id  BLOB    REFERENCES session (id),
    -- The ids of the keys that it was made from, the first of the chain first; at most eight.
    ancestors   BLOB    NOT NULL DEFAULT x''
                CHECK (length(ancestors) <= 128 AND length(ancestors) % 16 = 0),
    issued_seq  INTEGER NOT NULL CHECK (issued_seq >= 1),
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER,                    -- NULL: does not expire
    lifetime_ms INTEGER CHECK (lifetime_ms >= 0), -- as issued; a rotation does not change it
    -- The privileges that it may use if its user has them, separated by spaces; NULL: all. Names
    -- are those of user_privilege.
    scopes      TEXT    CHECK (length(CAST(scopes AS BLOB)) = length(scopes)
                               AND length(scopes) <= 4159
                               AND scopes NOT GLOB '*[^a-z0-9._: -]*'),
    last_seen   INTEGER,                    -- the last use; NULL: never used; never falls
    label       TEXT
) STRICT, WITHOUT ROWID;
-- The keys that a watermark has revoked come first, so that a search begins behind them.
CREATE INDEX api_key_by_user ON api_key (user_id, issued_seq);
-- Those that have expired come before those that expire later.
CREATE INDEX api_key_by_user_and_expiry ON api_key (user_id, expires_at);
-- The ancestors of each descendant of a key begin with those of the key and the key itself.
CREATE INDEX api_key_by_ancestors ON api_key (ancestors) WHERE length(ancestors) > 0;
CREATE INDEX api_key_by_session ON api_key (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX api_key_by_expiry ON api_key (expires_at) WHERE expires_at IS NOT NULL;

-- By triggers, because a shell without foreign keys must not leave a key without its parent. The
-- change row of the user comes first, in place of one for each key (see api_key_deleted); a session
-- that a watermark of its user has revoked has that of the watermark.
CREATE TRIGGER session_takes_its_keys AFTER DELETE ON session
BEGIN
    INSERT INTO change (kind, id) SELECT 3, OLD.user_id WHERE EXISTS (
        SELECT 1 FROM api_key WHERE session_id = OLD.id
            AND OLD.opened_seq
                >= coalesce((SELECT sessions_ended_seq FROM user WHERE id = OLD.user_id), 0)
            AND (expires_at IS NULL OR expires_at > (SELECT swept_to FROM store WHERE id = 1))
            AND issued_seq
                >= coalesce((SELECT keys_ended_seq FROM user WHERE id = OLD.user_id), 0));
    DELETE FROM api_key WHERE session_id = OLD.id;
END;

CREATE TRIGGER api_key_takes_its_descendants AFTER DELETE ON api_key
BEGIN
    INSERT INTO change (kind, id) SELECT 3, OLD.user_id
    WHERE (OLD.session_id IS NULL OR EXISTS (SELECT 1 FROM session WHERE id = OLD.session_id))
      AND EXISTS (
        SELECT 1 FROM api_key WHERE length(ancestors) > 0
            AND ancestors >= CAST(OLD.ancestors || OLD.id AS BLOB)
            AND ancestors < CAST(OLD.ancestors || OLD.id || x'FF' AS BLOB)
            AND (expires_at IS NULL OR expires_at > (SELECT swept_to FROM store WHERE id = 1))
            AND issued_seq
                >= coalesce((SELECT keys_ended_seq FROM user WHERE id = OLD.user_id), 0));
    DELETE FROM api_key WHERE length(ancestors) > 0
        AND ancestors >= CAST(OLD.ancestors || OLD.id AS BLOB)
        AND ancestors < CAST(OLD.ancestors || OLD.id || x'FF' AS BLOB);
END;

CREATE TRIGGER api_key_ends_its_descendants AFTER UPDATE OF expires_at ON api_key
WHEN NEW.expires_at IS NOT NULL
BEGIN
    UPDATE api_key SET expires_at = NEW.expires_at
    WHERE instr(ancestors, NEW.id) > 0 AND id IN (
        SELECT id FROM api_key WHERE user_id = NEW.user_id AND expires_at IS NULL
        UNION ALL
        SELECT id FROM api_key WHERE user_id = NEW.user_id AND expires_at > NEW.expires_at);
END;


-- One row: a one-time token, which proves one thing once. Valid if it is not used and not expired,
-- its `issued_seq` is at least the `tokens_ended_seq` of its user, branch, organisation and store,
-- its user may do what the purpose is for, and the user still has the e-mail address that the
-- token confirms. A user has at most one row of each purpose. The token of the first administrator
-- has no user, and is used up once a user has the privilege admin. Any other row without a user
-- is the stand-in that a request of a reset writes for a name that no user has; it is never valid.
-- Deleted by the next token of the same user and purpose, and by the sweep after it expired.
CREATE TABLE one_time_token (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    purpose     TEXT    NOT NULL
                CHECK (purpose IN ('password_reset', 'email_confirmation', 'invitation',
                                   'temporary_password', 'first_administrator')),
    user_id     BLOB    REFERENCES user (id),
    bound_email TEXT,                       -- the folded address that it confirms
    uses_left   INTEGER NOT NULL CHECK (uses_left IN (0, 1)),
    issued_seq  INTEGER NOT NULL CHECK (issued_seq >= 1),
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,           -- expired from this millisecond on
    CHECK ((bound_email IS NOT NULL) = (purpose = 'email_confirmation')),
    CHECK (user_id IS NULL OR purpose <> 'first_administrator'),
    CHECK (user_id IS NOT NULL OR uses_left = 0 OR purpose = 'first_administrator')
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_time_token_by_user ON one_time_token (user_id, purpose);
CREATE INDEX one_time_token_by_expiry ON one_time_token (expires_at);

-- The token of the first administrator ends with the first administrator, however it was created.
CREATE TRIGGER first_administrator_is_there AFTER INSERT ON user_privilege
WHEN NEW.name = 'admin'
BEGIN
    UPDATE one_time_token SET uses_left = 0
    WHERE purpose = 'first_administrator' AND user_id IS NULL AND uses_left > 0;
END;


-- One row: a user is known to an identity provider under this subject. A pair of provider and
-- subject belongs to at most one user who is not deleted. That of a deleted user may be linked to
-- another user, and the deleted one is then not restored before it is unlinked. Deleted on request.
CREATE TABLE external_identity (
    provider  TEXT    NOT NULL CHECK (length(CAST(provider AS BLOB)) BETWEEN 1 AND 255),
    subject   TEXT    NOT NULL CHECK (length(CAST(subject AS BLOB)) BETWEEN 1 AND 255),
    user_id   BLOB    NOT NULL REFERENCES user (id),
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (provider, subject, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX external_identity_by_user ON external_identity (user_id);


-- One row: the second factor of a user: the secret from which an authenticator computes codes
-- (TOTP, RFC 6238, steps of 30 s), and which of them are used up. No row: the user has none. A code
-- is accepted only if its step is above `last_step`, and raises it. Deleted by removal, by a reset
-- and by the next factor of the user.
CREATE TABLE totp (
    user_id   BLOB    PRIMARY KEY REFERENCES user (id),
    -- Nonce, ciphertext and tag of XChaCha20-Poly1305, bound to table, column, user, algorithm,
    -- digits and key id; with an empty key_id the secret itself.
    secret    BLOB    NOT NULL CHECK (length(secret) BETWEEN 16 AND 104),
    key_id    TEXT    NOT NULL CHECK (length(key_id) <= 32),
    algorithm TEXT    NOT NULL CHECK (algorithm IN ('sha1', 'sha256')),
    digits    INTEGER NOT NULL CHECK (digits IN (6, 8)),
    origin    TEXT    NOT NULL CHECK (origin IN ('enrolled', 'imported')),
    since     INTEGER NOT NULL,
    shift     INTEGER NOT NULL CHECK (shift BETWEEN -1 AND 1), -- steps that its clock is ahead
    last_step INTEGER NOT NULL             -- codes of this step and before it are used up
) STRICT, WITHOUT ROWID;
CREATE INDEX totp_by_key ON totp (key_id);


-- One row: an enrolment that is not confirmed yet. It is no factor: no code of it is accepted
-- except the two that confirm it, in the session in which it was begun. It cannot be confirmed once
-- it has expired, or if `begun_seq` is below the `tokens_ended_seq` of its user. A user has at most
-- one. Deleted by the next one, by every change of the user's factor, and by the sweep.
CREATE TABLE totp_enrolment (
    user_id    BLOB    PRIMARY KEY REFERENCES user (id),
    secret     BLOB    NOT NULL CHECK (length(secret) BETWEEN 16 AND 104), -- as in totp
    key_id     TEXT    NOT NULL CHECK (length(key_id) <= 32),
    algorithm  TEXT    NOT NULL CHECK (algorithm IN ('sha1', 'sha256')),
    digits     INTEGER NOT NULL CHECK (digits IN (6, 8)),
    session_id BLOB    NOT NULL CHECK (length(session_id) = 16), -- which may be deleted since
    begun_seq  INTEGER NOT NULL CHECK (begun_seq >= 1),
    begun_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL            -- expired from this millisecond on
) STRICT, WITHOUT ROWID;
CREATE INDEX totp_enrolment_by_expiry ON totp_enrolment (expires_at);


-- One row: a recovery code that was not used. It has 128 random bits, so a SHA-256 is stored.
-- Deleted by its use, by the next set of its user, and with the user's factor. Never updated.
CREATE TABLE recovery_code (
    user_id   BLOB    NOT NULL REFERENCES user (id),
    code_hash BLOB    NOT NULL CHECK (length(code_hash) = 32),
    issued_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;


-- One row: a pending step, which is a login whose password was right and that waits for a second
-- factor: for a code, or for the enrolment of a factor. It is never a session. Valid if it has not
-- expired, has guesses left, and its `issued_seq` is at least the `tokens_ended_seq` of its user,
-- branch, organisation and store; a session is opened only if the password is still the one that
-- was proved. Deleted when it is completed, by the next login of the same user on the same device,
-- by a further step of a user who has 16, and by the sweep after it expired.
CREATE TABLE pending_step (
    id                 BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash        BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    user_id            BLOB    NOT NULL REFERENCES user (id),
    device_hash        BLOB    CHECK (device_hash IS NULL OR length(device_hash) = 16),
    demand             TEXT    NOT NULL CHECK (demand IN ('code', 'enrolment')),
    guesses_left       INTEGER NOT NULL CHECK (guesses_left >= 0), -- charged before a check
    issued_seq         INTEGER NOT NULL CHECK (issued_seq >= 1),
    issued_at          INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,    -- expired from this millisecond on
    -- What was proved: the version of the password, or the temporary password that was typed.
    -- Both NULL: the host has authenticated the user.
    credential_version INTEGER,
    temporary_id       BLOB    CHECK (temporary_id IS NULL OR length(temporary_id) = 16),
    -- What the login asked for.
    require_admin      INTEGER NOT NULL CHECK (require_admin IN (0, 1)),
    is_desktop         INTEGER NOT NULL CHECK (is_desktop IN (0, 1)),
    ends_at            INTEGER,             -- the end of the session, if it was a moment
    lifetime_ms        INTEGER CHECK (lifetime_ms > 0), -- or how long the session is valid
    label              TEXT,
    CHECK (credential_version IS NULL OR temporary_id IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_step_by_user ON pending_step (user_id, issued_at);
CREATE INDEX pending_step_by_expiry ON pending_step (expires_at);


-- One row: a configuration key that was used at least once. `key` is case-folded, `shown` keeps
-- the case. Whether clients may see it is a property of the key, not of a value. Never deleted.
CREATE TABLE configuration_key (
    key       TEXT    PRIMARY KEY CHECK (length(key) >= 1),
    shown     TEXT    NOT NULL,
    is_public INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1))
) STRICT, WITHOUT ROWID;


-- One row: the value of a key in one scope: the system (no owner), an organisation, a branch or a
-- user. The narrowest scope applies. Deleted on request and with its owner.
CREATE TABLE setting (
    id              INTEGER PRIMARY KEY,
    key             TEXT    NOT NULL REFERENCES configuration_key (key),
    organisation_id BLOB    REFERENCES organisation (id) ON DELETE CASCADE,
    branch_id       BLOB    REFERENCES branch (id) ON DELETE CASCADE,
    user_id         BLOB    REFERENCES user (id) ON DELETE CASCADE,
    value           TEXT    NOT NULL,
    CHECK ((organisation_id IS NOT NULL) + (branch_id IS NOT NULL) + (user_id IS NOT NULL) <= 1)
) STRICT;
CREATE UNIQUE INDEX setting_of_system ON setting (key)
    WHERE organisation_id IS NULL AND branch_id IS NULL AND user_id IS NULL;
CREATE UNIQUE INDEX setting_of_organisation ON setting (organisation_id, key)
    WHERE organisation_id IS NOT NULL;
CREATE UNIQUE INDEX setting_of_branch ON setting (branch_id, key) WHERE branch_id IS NOT NULL;
CREATE UNIQUE INDEX setting_of_user ON setting (user_id, key) WHERE user_id IS NOT NULL;
CREATE INDEX setting_by_key ON setting (key);


-- One row: the remaining credits of a branch or an organisation. No row: its credits are not
-- counted. Deleted on request and with its owner.
CREATE TABLE credit (
    id              INTEGER PRIMARY KEY,
    organisation_id BLOB    REFERENCES organisation (id) ON DELETE CASCADE,
    branch_id       BLOB    REFERENCES branch (id) ON DELETE CASCADE,
    remaining       INTEGER NOT NULL CHECK (remaining >= 0),
    CHECK ((organisation_id IS NULL) <> (branch_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX credit_of_organisation ON credit (organisation_id)
    WHERE organisation_id IS NOT NULL;
CREATE UNIQUE INDEX credit_of_branch ON credit (branch_id) WHERE branch_id IS NOT NULL;


-- One row: an audit event: actor, event, subjects, time, origin and outcome. Append-only. `chain`
-- is a SHA-256 over this row and the `chain` of the previous row of the same source. There are no
-- foreign keys, as the log outlives its subjects. `source`: 0 the library, 1 the host's own records,
-- 2 what unauthenticated callers can cause. Each source has a chain and a cap of its own, so that
-- no source can push out the rows of another. A write that adds a row, and the sweep, delete rows,
-- oldest first.
--
-- What a row keeps about a person beside ids is `ip`, `user_agent`, `device_hash` and, of source 1,
-- `detail`. `chain` covers these through `person_hash` alone: a SHA-256 over them and the
-- `audit_salt` of the users in `user_id` and `actor_user_id`. The erasure of such a user sets them
-- to NULL and deletes the salt, which leaves every hash as it is. They stay NULL in each row about
-- an erased user, or about an id that no user had at that time, and in no other row do they change.
CREATE TABLE audit (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    source          INTEGER NOT NULL CHECK (source IN (0, 1, 2)),
    salt            BLOB    NOT NULL CHECK (length(salt) = 8), -- random, so that no two rows are alike
    at              INTEGER NOT NULL,
    event           TEXT    NOT NULL,
    outcome         TEXT    NOT NULL CHECK (outcome IN ('done', 'refused')),
    actor           TEXT    NOT NULL
                    CHECK (actor IN ('host', 'user', 'session', 'api_key', 'impersonation')),
    actor_user_id   BLOB,                   -- of an impersonation: the administrator
    actor_via_id    BLOB,                   -- the session or API key that the actor used
    user_id         BLOB,
    branch_id       BLOB,
    organisation_id BLOB,
    session_id      BLOB,
    api_key_id      BLOB,
    device_hash     BLOB,
    ip              TEXT,
    user_agent      TEXT,
    reason          TEXT,
    count           INTEGER,
    detail          TEXT,
    person_hash     BLOB    NOT NULL CHECK (length(person_hash) = 32),
    chain           BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE INDEX audit_by_source ON audit (source, seq);
-- Not partial: a row about no user has its entry too, so that an attempt on an unknown name writes
-- as much as one on a known name.
CREATE INDEX audit_by_user ON audit (user_id);
CREATE INDEX audit_by_event ON audit (event);
CREATE INDEX audit_by_actor ON audit (actor_user_id) WHERE actor_user_id IS NOT NULL;


-- One row for each source: the two ends of its chain. Never deleted.
CREATE TABLE audit_chain (
    source        INTEGER PRIMARY KEY CHECK (source IN (0, 1, 2)),
    trimmed_seq   INTEGER NOT NULL DEFAULT 0, -- rows up to this one were trimmed
    trimmed_chain BLOB    NOT NULL CHECK (length(trimmed_chain) = 32),
    head_seq      INTEGER NOT NULL DEFAULT 0,
    head_chain    BLOB    NOT NULL CHECK (length(head_chain) = 32),
    kept_rows     INTEGER NOT NULL DEFAULT 0 CHECK (kept_rows >= 0)
) STRICT;

-- One row: a program that reads the log by `Audit::unseen`, and how far it has acknowledged rows.
-- Written and deleted on request. A move of `seen_seq` writes no audit row.
CREATE TABLE audit_consumer (
    name     TEXT    PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    seen_seq INTEGER NOT NULL CHECK (seen_seq >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_consumer_only_advances BEFORE UPDATE ON audit_consumer
WHEN NEW.name IS NOT OLD.name OR NEW.seen_seq < OLD.seen_seq
  OR NEW.seen_seq > (SELECT max(head_seq) FROM audit_chain)
BEGIN SELECT RAISE(ABORT, 'a consumer goes forward, up to the newest row'); END;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
WHEN NEW.seq IS NOT OLD.seq
  OR NEW.source IS NOT OLD.source
  OR NEW.salt IS NOT OLD.salt
  OR NEW.at IS NOT OLD.at
  OR NEW.event IS NOT OLD.event
  OR NEW.outcome IS NOT OLD.outcome
  OR NEW.actor IS NOT OLD.actor
  OR NEW.actor_user_id IS NOT OLD.actor_user_id
  OR NEW.actor_via_id IS NOT OLD.actor_via_id
  OR NEW.user_id IS NOT OLD.user_id
  OR NEW.branch_id IS NOT OLD.branch_id
  OR NEW.organisation_id IS NOT OLD.organisation_id
  OR NEW.session_id IS NOT OLD.session_id
  OR NEW.api_key_id IS NOT OLD.api_key_id
  OR NEW.reason IS NOT OLD.reason
  OR NEW.count IS NOT OLD.count
  OR NEW.person_hash IS NOT OLD.person_hash
  OR NEW.chain IS NOT OLD.chain
  OR coalesce(NEW.device_hash, NEW.ip, NEW.user_agent) IS NOT NULL
  OR NEW.detail IS NOT CASE OLD.source WHEN 1 THEN NULL ELSE OLD.detail END
  OR NOT EXISTS (SELECT 1 FROM user
     WHERE id IN (OLD.user_id, OLD.actor_user_id) AND erased_seq IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'audit rows are never rewritten, except by an erasure'); END;

CREATE TRIGGER audit_is_only_trimmed BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT trimmed_seq FROM audit_chain WHERE source = OLD.source)
BEGIN SELECT RAISE(ABORT, 'audit rows are only trimmed from the oldest end'); END;

CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit rows are never replaced'); END;

CREATE TRIGGER audit_chain_stays BEFORE DELETE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the chains stay'); END;

CREATE TRIGGER audit_chain_is_not_replaced BEFORE INSERT ON audit_chain
WHEN EXISTS (SELECT 1 FROM audit_chain WHERE source = NEW.source)
BEGIN SELECT RAISE(ABORT, 'the chains stay'); END;

CREATE TRIGGER audit_chain_only_grows BEFORE UPDATE ON audit_chain
WHEN NEW.source IS NOT OLD.source
  OR NEW.head_seq < OLD.head_seq
  OR NEW.trimmed_seq < OLD.trimmed_seq
  OR NEW.trimmed_seq > NEW.head_seq
  OR NEW.kept_rows <> OLD.kept_rows + (NEW.head_seq > OLD.head_seq)
     - CASE WHEN NEW.trimmed_seq > OLD.trimmed_seq
       THEN (SELECT count(*) FROM audit WHERE source = NEW.source AND seq <= NEW.trimmed_seq)
       ELSE 0 END
BEGIN SELECT RAISE(ABORT, 'a chain grows at its head and is trimmed up to it'); END;

CREATE TRIGGER audit_chain_ends_at_a_row BEFORE UPDATE OF head_seq, head_chain ON audit_chain
WHEN (NEW.head_seq IS NOT OLD.head_seq OR NEW.head_chain IS NOT OLD.head_chain)
 AND NOT EXISTS (SELECT 1 FROM audit
     WHERE seq = NEW.head_seq AND source = NEW.source AND chain = NEW.head_chain)
BEGIN SELECT RAISE(ABORT, 'the head of a chain is its newest row'); END;

-- A row may be trimmed that is beyond the cap of its source or over its age. The cap is
-- audit_max_rows; that of source 2 is a quarter of it, and at least 1,000.
CREATE TRIGGER audit_chain_is_trimmed_up_to_a_row
BEFORE UPDATE OF trimmed_seq, trimmed_chain ON audit_chain
WHEN (NEW.trimmed_seq IS NOT OLD.trimmed_seq OR NEW.trimmed_chain IS NOT OLD.trimmed_chain)
 AND NOT EXISTS (SELECT 1 FROM audit AS a JOIN store AS s
     WHERE a.seq = NEW.trimmed_seq AND a.source = NEW.source AND a.chain = NEW.trimmed_chain
     AND (a.at <= s.believed_at - s.audit_max_age_ms
          OR NEW.kept_rows >= CASE NEW.source WHEN 2 THEN max(1000, s.audit_max_rows / 4)
                              ELSE s.audit_max_rows END))
BEGIN SELECT RAISE(ABORT, 'a row is trimmed that the options of the file do not let go'); END;


-- Changes that a verify must see
-- ------------------------------
-- Every column that the statements of verify read is in one of these lists, except last uses, which
-- only rise, and what never changes. The INSERT of a session or key writes no change row: no
-- verify can have accepted it before.

CREATE TRIGGER store_changed
AFTER UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq, lineage ON store
WHEN OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.keys_ended_seq IS NOT NEW.keys_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
  OR OLD.lineage IS NOT NEW.lineage
BEGIN INSERT INTO change (kind) VALUES (0); END;

-- The impersonations of an administrator end with all sessions of the administrator, at whatever
-- place these are revoked, and with a move: another place may have revoked them before.
CREATE TRIGGER organisation_takes_impersonations AFTER UPDATE OF sessions_ended_seq ON organisation
WHEN OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
BEGIN
    DELETE FROM session WHERE actor_user_id IS NOT NULL
        AND (SELECT b.organisation_id FROM user AS u JOIN branch AS b ON b.id = u.branch_id
             WHERE u.id = session.actor_user_id) = NEW.id;
END;

CREATE TRIGGER branch_takes_impersonations
AFTER UPDATE OF sessions_ended_seq, organisation_id ON branch
WHEN OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.organisation_id IS NOT NEW.organisation_id
BEGIN
    DELETE FROM session WHERE actor_user_id IS NOT NULL
        AND (SELECT branch_id FROM user WHERE id = session.actor_user_id) = NEW.id;
END;

CREATE TRIGGER user_takes_impersonations AFTER UPDATE OF sessions_ended_seq, branch_id ON user
WHEN OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq OR OLD.branch_id IS NOT NEW.branch_id
BEGIN DELETE FROM session WHERE actor_user_id = NEW.id; END;

CREATE TRIGGER administrator_takes_impersonations AFTER DELETE ON user_privilege
WHEN OLD.name = 'admin'
BEGIN DELETE FROM session WHERE actor_user_id = OLD.user_id; END;

CREATE TRIGGER administrator_is_not_impersonated AFTER INSERT ON user_privilege
WHEN NEW.name = 'admin'
BEGIN DELETE FROM session WHERE user_id = NEW.user_id AND actor_user_id IS NOT NULL; END;

CREATE TRIGGER organisation_changed
AFTER UPDATE OF active, sessions_ended_seq, tokens_ended_seq ON organisation
WHEN OLD.active IS NOT NEW.active
  OR OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
BEGIN INSERT INTO change (kind, id) VALUES (1, NEW.id); END;

CREATE TRIGGER organisation_deleted AFTER DELETE ON organisation
BEGIN INSERT INTO change (kind, id) VALUES (1, OLD.id); END;

CREATE TRIGGER branch_changed
AFTER UPDATE OF organisation_id, active, sessions_ended_seq, tokens_ended_seq ON branch
WHEN OLD.organisation_id IS NOT NEW.organisation_id
  OR OLD.active IS NOT NEW.active
  OR OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
BEGIN INSERT INTO change (kind, id) VALUES (2, NEW.id); END;

CREATE TRIGGER branch_deleted AFTER DELETE ON branch
BEGIN INSERT INTO change (kind, id) VALUES (2, OLD.id); END;

CREATE TRIGGER user_changed
AFTER UPDATE OF branch_id, status, kind, deleted_at,
    sessions_ended_seq, keys_ended_seq, tokens_ended_seq, trust_ended_seq ON user
WHEN OLD.branch_id IS NOT NEW.branch_id
  OR OLD.status IS NOT NEW.status
  OR OLD.kind IS NOT NEW.kind
  OR OLD.deleted_at IS NOT NEW.deleted_at
  OR OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.keys_ended_seq IS NOT NEW.keys_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
  OR OLD.trust_ended_seq IS NOT NEW.trust_ended_seq
BEGIN INSERT INTO change (kind, id) VALUES (3, NEW.id); END;

CREATE TRIGGER user_deleted AFTER DELETE ON user
BEGIN INSERT INTO change (kind, id) VALUES (3, OLD.id); END;

CREATE TRIGGER user_gained_privilege AFTER INSERT ON user_privilege
BEGIN INSERT INTO change (kind, id) VALUES (3, NEW.user_id); END;

CREATE TRIGGER user_lost_privilege AFTER DELETE ON user_privilege
BEGIN INSERT INTO change (kind, id) VALUES (3, OLD.user_id); END;

CREATE TRIGGER session_changed
AFTER UPDATE OF secret_hash, device_hash, user_id, opened_seq, opened_at, authenticated_at,
    expires_at, idle_ms, aal ON session
WHEN OLD.secret_hash IS NOT NEW.secret_hash
  OR OLD.device_hash IS NOT NEW.device_hash
  OR OLD.user_id IS NOT NEW.user_id
  OR OLD.opened_seq IS NOT NEW.opened_seq
  OR OLD.opened_at IS NOT NEW.opened_at
  OR OLD.authenticated_at IS NOT NEW.authenticated_at
  OR OLD.expires_at IS NOT NEW.expires_at
  OR OLD.idle_ms IS NOT NEW.idle_ms
  OR OLD.aal IS NOT NEW.aal
BEGIN
    INSERT INTO change (kind, id) VALUES (4, NEW.id);
    -- For its keys one row of their user, however many there are.
    INSERT INTO change (kind, id) SELECT 3, NEW.user_id
        WHERE EXISTS (SELECT 1 FROM api_key WHERE session_id = NEW.id);
END;

-- Not for a session that a watermark of its user has revoked: that watermark has its change row.
CREATE TRIGGER session_deleted AFTER DELETE ON session
WHEN OLD.expires_at > (SELECT swept_to FROM store WHERE id = 1)
 AND OLD.opened_seq
     >= coalesce((SELECT sessions_ended_seq FROM user WHERE id = OLD.user_id), 0)
BEGIN INSERT INTO change (kind, id) VALUES (4, OLD.id); END;

CREATE TRIGGER api_key_changed
AFTER UPDATE OF secret_hash, user_id, issued_seq, issued_at, expires_at ON api_key
WHEN OLD.secret_hash IS NOT NEW.secret_hash
  OR OLD.user_id IS NOT NEW.user_id
  OR OLD.issued_seq IS NOT NEW.issued_seq
  OR OLD.issued_at IS NOT NEW.issued_at
  OR OLD.expires_at IS NOT NEW.expires_at
BEGIN INSERT INTO change (kind, id) VALUES (5, NEW.id); END;

-- Not for a key that a watermark of its user has revoked: that watermark has its change row. Nor for
-- one whose session or parent is gone: with it went a change row of the user.
CREATE TRIGGER api_key_deleted AFTER DELETE ON api_key
WHEN (OLD.expires_at IS NULL OR OLD.expires_at > (SELECT swept_to FROM store WHERE id = 1))
 AND OLD.issued_seq >= coalesce((SELECT keys_ended_seq FROM user WHERE id = OLD.user_id), 0)
 AND (OLD.session_id IS NULL OR EXISTS (SELECT 1 FROM session WHERE id = OLD.session_id))
 AND (length(OLD.ancestors) = 0
      OR EXISTS (SELECT 1 FROM api_key WHERE id = substr(OLD.ancestors, -16)))
BEGIN INSERT INTO change (kind, id) VALUES (5, OLD.id); END;


-- Statements that are refused
-- ---------------------------
-- REPLACE and UPDATE OR REPLACE remove the row in their way without firing a DELETE trigger. So a
-- conflict on any unique key of a table that verify reads is refused before it can happen, and ids
-- never change.

CREATE TRIGGER store_is_one BEFORE INSERT ON store
WHEN EXISTS (SELECT 1 FROM store)
BEGIN SELECT RAISE(ABORT, 'the store row exists'); END;

CREATE TRIGGER store_stays BEFORE DELETE ON store
BEGIN SELECT RAISE(ABORT, 'the store row stays'); END;

CREATE TRIGGER store_stays_for_tests_or_not BEFORE UPDATE OF for_tests ON store
WHEN OLD.for_tests IS NOT NEW.for_tests
BEGIN SELECT RAISE(ABORT, 'whether a file is for tests never changes'); END;

CREATE TRIGGER store_keeps_a_sealing_key BEFORE UPDATE OF sealing_key ON store
WHEN OLD.sealing_key IS NOT NULL AND NEW.sealing_key IS NULL
BEGIN SELECT RAISE(ABORT, 'a file that was sealed stays sealed'); END;

CREATE TRIGGER policy_stays BEFORE DELETE ON policy
BEGIN SELECT RAISE(ABORT, 'a policy stays'); END;

CREATE TRIGGER organisation_is_new BEFORE INSERT ON organisation
WHEN EXISTS (SELECT 1 FROM organisation WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the organisation exists'); END;

CREATE TRIGGER organisation_keeps_its_id BEFORE UPDATE OF id ON organisation
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER branch_is_new BEFORE INSERT ON branch
WHEN EXISTS (SELECT 1 FROM branch WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the branch exists'); END;

CREATE TRIGGER branch_keeps_its_id BEFORE UPDATE OF id ON branch
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER user_is_new BEFORE INSERT ON user
WHEN EXISTS (SELECT 1 FROM user WHERE id = NEW.id)
  OR (NEW.deleted_at IS NULL AND EXISTS (
      SELECT 1 FROM user WHERE username_key = NEW.username_key AND deleted_at IS NULL))
BEGIN SELECT RAISE(ABORT, 'the user or its name exists'); END;

CREATE TRIGGER user_keeps_its_id BEFORE UPDATE OF id ON user
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER user_keeps_its_kind BEFORE UPDATE OF kind ON user
WHEN OLD.kind IS NOT NEW.kind
BEGIN SELECT RAISE(ABORT, 'a person stays a person'); END;

CREATE TRIGGER user_stays_erased BEFORE UPDATE OF audit_salt, erased_seq ON user
WHEN (NEW.audit_salt IS NOT NULL AND NEW.audit_salt IS NOT OLD.audit_salt)
  OR (OLD.erased_seq IS NOT NULL AND NEW.erased_seq IS NOT OLD.erased_seq)
BEGIN SELECT RAISE(ABORT, 'an erased user stays erased'); END;

CREATE TRIGGER user_name_is_free BEFORE UPDATE OF username_key, deleted_at ON user
WHEN NEW.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM user
    WHERE username_key = NEW.username_key AND deleted_at IS NULL AND id <> NEW.id)
BEGIN SELECT RAISE(ABORT, 'the name is taken'); END;

CREATE TRIGGER user_names_are_written_with_their_keys
BEFORE UPDATE OF username, username_key, email, email_key, first_name, last_name, search_key ON user
WHEN NEW.names_version <> OLD.names_version + 1
BEGIN SELECT RAISE(ABORT, 'names change by the library alone, with their keys'); END;

CREATE TRIGGER configuration_key_keeps_its_name
BEFORE UPDATE OF key, shown ON configuration_key
WHEN OLD.key IS NOT NEW.key OR OLD.shown IS NOT NEW.shown
BEGIN SELECT RAISE(ABORT, 'a configuration key keeps its name'); END;

CREATE TRIGGER user_privilege_is_new BEFORE INSERT ON user_privilege
WHEN EXISTS (SELECT 1 FROM user_privilege WHERE user_id = NEW.user_id AND name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'the user has this privilege'); END;

CREATE TRIGGER user_privilege_is_fixed BEFORE UPDATE ON user_privilege
BEGIN SELECT RAISE(ABORT, 'privileges are deleted and inserted'); END;

CREATE TRIGGER administration_is_new BEFORE INSERT ON administration
WHEN EXISTS (SELECT 1 FROM administration WHERE id = NEW.id OR (user_id = NEW.user_id
             AND organisation_id IS NEW.organisation_id AND branch_id IS NEW.branch_id))
BEGIN SELECT RAISE(ABORT, 'the user administers this place'); END;

CREATE TRIGGER administration_is_fixed BEFORE UPDATE ON administration
BEGIN SELECT RAISE(ABORT, 'administrations are deleted and inserted'); END;

CREATE TRIGGER session_is_new BEFORE INSERT ON session
WHEN EXISTS (SELECT 1 FROM session WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM session WHERE device_hash = NEW.device_hash)
BEGIN SELECT RAISE(ABORT, 'the session or its device exists'); END;

CREATE TRIGGER session_keeps_its_id BEFORE UPDATE OF id ON session
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER session_device_is_free BEFORE UPDATE OF device_hash ON session
WHEN EXISTS (SELECT 1 FROM session WHERE device_hash = NEW.device_hash AND id <> NEW.id)
BEGIN SELECT RAISE(ABORT, 'the device is in use'); END;

CREATE TRIGGER session_impersonates_a_lower_user BEFORE INSERT ON session
WHEN NEW.actor_session_id IS NOT NULL
 AND (NOT EXISTS (
          SELECT 1 FROM session AS own
          JOIN user_privilege AS p ON p.user_id = own.user_id AND p.name = 'admin'
          WHERE own.id = NEW.actor_session_id AND own.user_id = NEW.actor_user_id
            AND own.actor_session_id IS NULL AND own.expires_at >= NEW.expires_at)
      OR EXISTS (SELECT 1 FROM user_privilege WHERE user_id = NEW.user_id AND name = 'admin'))
BEGIN SELECT RAISE(ABORT, 'an administrator impersonates a user who is none'); END;

CREATE TRIGGER session_keeps_its_actor
BEFORE UPDATE OF user_id, actor_user_id, actor_session_id ON session
WHEN NEW.actor_user_id IS NOT OLD.actor_user_id
  OR NEW.actor_session_id IS NOT OLD.actor_session_id
  OR (NEW.user_id IS NOT OLD.user_id AND OLD.actor_user_id IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a session keeps its actor'); END;

CREATE TRIGGER impersonation_is_not_prolonged BEFORE UPDATE OF expires_at ON session
WHEN OLD.actor_user_id IS NOT NULL AND NEW.expires_at > OLD.expires_at
BEGIN SELECT RAISE(ABORT, 'an impersonation never ends later'); END;

CREATE TRIGGER api_key_is_new BEFORE INSERT ON api_key
WHEN EXISTS (SELECT 1 FROM api_key WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the key exists'); END;

CREATE TRIGGER api_key_keeps_its_id BEFORE UPDATE OF id ON api_key
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER api_key_never_grows
BEFORE UPDATE OF session_id, ancestors, scopes, expires_at ON api_key
WHEN OLD.session_id IS NOT NEW.session_id
  OR OLD.ancestors IS NOT NEW.ancestors
  OR OLD.scopes IS NOT NEW.scopes
  OR (OLD.expires_at IS NOT NULL AND NEW.expires_at IS NULL)
  OR NEW.expires_at > OLD.expires_at
BEGIN SELECT RAISE(ABORT, 'a key keeps its scopes and parents, and never ends later'); END;

CREATE TRIGGER api_key_is_less_than_its_parent BEFORE INSERT ON api_key
WHEN length(NEW.ancestors) > 0 AND NOT EXISTS (
    SELECT 1 FROM api_key AS parent
    WHERE parent.id = substr(NEW.ancestors, -16)
      AND parent.user_id = NEW.user_id
      AND parent.session_id IS NEW.session_id
      AND parent.ancestors = substr(NEW.ancestors, 1, length(NEW.ancestors) - 16)
      AND (parent.expires_at IS NULL OR NEW.expires_at <= parent.expires_at)
      AND (parent.scopes IS NULL OR NEW.scopes IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'an attenuated key ends with its parent'); END;

CREATE TRIGGER one_time_token_is_new BEFORE INSERT ON one_time_token
WHEN EXISTS (SELECT 1 FROM one_time_token WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM one_time_token
             WHERE user_id IS NEW.user_id AND purpose = NEW.purpose)
BEGIN SELECT RAISE(ABORT, 'the user has a one-time token of this purpose'); END;

CREATE TRIGGER one_time_token_is_only_used BEFORE UPDATE ON one_time_token
WHEN NEW.id IS NOT OLD.id
  OR NEW.secret_hash IS NOT OLD.secret_hash
  OR NEW.purpose IS NOT OLD.purpose
  OR NEW.user_id IS NOT OLD.user_id
  OR NEW.bound_email IS NOT OLD.bound_email
  OR NEW.uses_left > OLD.uses_left
  OR NEW.issued_seq IS NOT OLD.issued_seq
  OR NEW.issued_at IS NOT OLD.issued_at
  OR NEW.expires_at IS NOT OLD.expires_at
BEGIN SELECT RAISE(ABORT, 'a one-time token is used, and does not change otherwise'); END;

CREATE TRIGGER totp_is_new BEFORE INSERT ON totp
WHEN EXISTS (SELECT 1 FROM totp WHERE user_id = NEW.user_id)
BEGIN SELECT RAISE(ABORT, 'the user has a second factor'); END;

-- Sealing under another key leaves last_step as it is.
CREATE TRIGGER totp_codes_are_used_once BEFORE UPDATE ON totp
WHEN NEW.user_id IS NOT OLD.user_id
  OR NEW.algorithm IS NOT OLD.algorithm
  OR NEW.digits IS NOT OLD.digits
  OR NEW.shift IS NOT OLD.shift
  OR NEW.last_step < OLD.last_step
BEGIN SELECT RAISE(ABORT, 'a used code stays used'); END;

CREATE TRIGGER system_user_has_no_factor BEFORE INSERT ON totp
WHEN (SELECT kind FROM user WHERE id = NEW.user_id) = 'system'
BEGIN SELECT RAISE(ABORT, 'a system user never has a second factor'); END;


CREATE TRIGGER pending_step_is_new BEFORE INSERT ON pending_step
WHEN EXISTS (SELECT 1 FROM pending_step WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the pending step exists'); END;

CREATE TRIGGER pending_step_is_only_guessed BEFORE UPDATE ON pending_step
WHEN NEW.id IS NOT OLD.id
  OR NEW.secret_hash IS NOT OLD.secret_hash
  OR NEW.user_id IS NOT OLD.user_id
  OR NEW.device_hash IS NOT OLD.device_hash
  OR NEW.demand IS NOT OLD.demand
  OR NEW.issued_seq IS NOT OLD.issued_seq
  OR NEW.issued_at IS NOT OLD.issued_at
  OR NEW.expires_at IS NOT OLD.expires_at
  OR NEW.credential_version IS NOT OLD.credential_version
  OR NEW.temporary_id IS NOT OLD.temporary_id
BEGIN SELECT RAISE(ABORT, 'only the guesses of a pending step change'); END;

CREATE TRIGGER external_identity_is_free BEFORE INSERT ON external_identity
WHEN EXISTS (SELECT 1 FROM external_identity
             WHERE provider = NEW.provider AND subject = NEW.subject AND user_id = NEW.user_id)
  OR EXISTS (SELECT 1 FROM external_identity AS e JOIN user AS u ON u.id = e.user_id
             WHERE e.provider = NEW.provider AND e.subject = NEW.subject
                 AND u.deleted_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the external identity belongs to a user'); END;

CREATE TRIGGER external_identity_is_fixed BEFORE UPDATE ON external_identity
BEGIN SELECT RAISE(ABORT, 'external identities are deleted and inserted'); END;

CREATE TRIGGER user_identities_are_free BEFORE UPDATE OF deleted_at ON user
WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM external_identity AS own
    JOIN external_identity AS e ON e.provider = own.provider AND e.subject = own.subject
        AND e.user_id <> own.user_id
    JOIN user AS u ON u.id = e.user_id
    WHERE own.user_id = NEW.id AND u.deleted_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'an external identity belongs to another user'); END;

CREATE TRIGGER system_user_has_no_password BEFORE INSERT ON credential
WHEN (SELECT kind FROM user WHERE id = NEW.user_id) = 'system'
BEGIN SELECT RAISE(ABORT, 'a system user never has a password'); END;

CREATE TRIGGER credential_keeps_its_user BEFORE UPDATE OF user_id ON credential
WHEN OLD.user_id IS NOT NEW.user_id
BEGIN SELECT RAISE(ABORT, 'a password stays with its user'); END;


-- Revocations are permanent
-- ------------------------
-- A watermark never falls and never passes the change row that raises it. A session or key never
-- claims to be opened later than the head. An UPDATE that makes a user, branch or organisation
-- inactive also raises its watermarks. A user or branch that moves raises its own watermarks to
-- those of the place that it leaves.

CREATE TRIGGER store_watermarks_rise
BEFORE UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq, swept_to ON store
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.keys_ended_seq < OLD.keys_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR NEW.swept_to < OLD.swept_to
  OR max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq)
     > 1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a watermark rises to the next change row'); END;

CREATE TRIGGER store_believes_what_it_saw BEFORE UPDATE OF believed_at ON store
WHEN NEW.believed_at IS NOT OLD.believed_at
 AND (NEW.believed_at < OLD.believed_at OR NEW.believed_at IS NOT OLD.seen_at)
BEGIN SELECT RAISE(ABORT, 'a time is believed once a later reading confirms it'); END;

CREATE TRIGGER organisation_watermarks_rise
BEFORE UPDATE OF sessions_ended_seq, tokens_ended_seq ON organisation
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR max(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     > 1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a watermark rises to the next change row'); END;

CREATE TRIGGER branch_watermarks_rise
BEFORE UPDATE OF sessions_ended_seq, tokens_ended_seq ON branch
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR max(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     > 1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a watermark rises to the next change row'); END;

CREATE TRIGGER user_watermarks_rise
BEFORE UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq, trust_ended_seq ON user
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.keys_ended_seq < OLD.keys_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR NEW.trust_ended_seq < OLD.trust_ended_seq
  OR max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq, NEW.trust_ended_seq)
     > 1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a watermark rises to the next change row'); END;

CREATE TRIGGER organisation_begins_at_the_head BEFORE INSERT ON organisation
WHEN max(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'nothing ends in the future'); END;

CREATE TRIGGER branch_begins_at_the_head BEFORE INSERT ON branch
WHEN max(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'nothing ends in the future'); END;

CREATE TRIGGER user_begins_at_the_head BEFORE INSERT ON user
WHEN max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq, NEW.trust_ended_seq)
     > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'nothing ends in the future'); END;

CREATE TRIGGER branch_move_takes_watermarks_along BEFORE UPDATE OF organisation_id ON branch
WHEN OLD.organisation_id IS NOT NEW.organisation_id
 AND EXISTS (SELECT 1 FROM organisation AS o WHERE o.id = OLD.organisation_id
     AND (NEW.sessions_ended_seq < o.sessions_ended_seq
          OR NEW.tokens_ended_seq < o.tokens_ended_seq))
BEGIN SELECT RAISE(ABORT, 'a move raises the watermarks to those left behind'); END;

CREATE TRIGGER user_move_takes_watermarks_along BEFORE UPDATE OF branch_id ON user
WHEN OLD.branch_id IS NOT NEW.branch_id
 AND EXISTS (SELECT 1 FROM branch AS b LEFT JOIN organisation AS o ON o.id = b.organisation_id
     WHERE b.id = OLD.branch_id
     AND (NEW.sessions_ended_seq < max(b.sessions_ended_seq, coalesce(o.sessions_ended_seq, 0))
          OR NEW.tokens_ended_seq < max(b.tokens_ended_seq, coalesce(o.tokens_ended_seq, 0))))
BEGIN SELECT RAISE(ABORT, 'a move raises the watermarks to those left behind'); END;

CREATE TRIGGER organisation_going_inactive_ends_sessions BEFORE UPDATE OF active ON organisation
WHEN OLD.active = 1 AND NEW.active = 0
 AND min(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'going inactive raises the watermarks'); END;

CREATE TRIGGER branch_going_inactive_ends_sessions BEFORE UPDATE OF active ON branch
WHEN OLD.active = 1 AND NEW.active = 0
 AND min(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'going inactive raises the watermarks'); END;

CREATE TRIGGER user_going_inactive_ends_sessions BEFORE UPDATE OF status ON user
WHEN OLD.status = 'active' AND NEW.status <> 'active'
 AND min(NEW.sessions_ended_seq, NEW.tokens_ended_seq)
     <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'going inactive raises the watermarks'); END;

CREATE TRIGGER user_deletion_ends_everything BEFORE UPDATE OF deleted_at ON user
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
 AND min(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq)
     <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'deletion raises the watermarks'); END;

CREATE TRIGGER session_opens_at_the_head BEFORE INSERT ON session
WHEN NEW.opened_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no session opens in the future'); END;

CREATE TRIGGER session_opening_never_falls BEFORE UPDATE OF opened_seq ON session
WHEN NEW.opened_seq < OLD.opened_seq
  OR NEW.opened_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a renewed session is as young as its last login'); END;

CREATE TRIGGER session_last_seen_rises BEFORE UPDATE OF last_seen ON session
WHEN NEW.last_seen < OLD.last_seen
BEGIN SELECT RAISE(ABORT, 'last use only rises'); END;

CREATE TRIGGER api_key_last_seen_rises BEFORE UPDATE OF last_seen ON api_key
WHEN OLD.last_seen IS NOT NULL AND (NEW.last_seen IS NULL OR NEW.last_seen < OLD.last_seen)
BEGIN SELECT RAISE(ABORT, 'last use only rises'); END;

CREATE TRIGGER api_key_issued_at_the_head BEFORE INSERT ON api_key
WHEN NEW.issued_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no key is issued in the future'); END;

CREATE TRIGGER one_time_token_issued_at_the_head BEFORE INSERT ON one_time_token
WHEN NEW.issued_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no one-time token is issued in the future'); END;

CREATE TRIGGER pending_step_issued_at_the_head BEFORE INSERT ON pending_step
WHEN NEW.issued_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no pending step is issued in the future'); END;

CREATE TRIGGER device_is_trusted_at_the_head BEFORE UPDATE OF trusted_seq ON device
WHEN NEW.trusted_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no device is trusted in the future'); END;

CREATE TRIGGER device_begins_at_the_head BEFORE INSERT ON device
WHEN NEW.trusted_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no device is trusted in the future'); END;
