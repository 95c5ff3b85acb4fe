-- The whole current schema of a Gatepost file, version 1.
--
-- This script is the manual page of the file. Each table says what a row means, what is never true
-- of it, and who may delete it. Times are INTEGER milliseconds since 1970-01-01 UTC; ids are
-- 16-byte BLOBs holding a UUIDv7; digests are BLOBs. All tables are STRICT.
-- `PRAGMA application_id` is 0x47505354 ("GPST"), `PRAGMA user_version` is the schema version.
--
-- The change log and the watermarks
-- ---------------------------------
-- `change` holds one row for each committed change that could turn the answer of a verify from yes
-- to no, or alter its facts. Its AUTOINCREMENT counter (`sqlite_sequence.seq`, "the head") never
-- falls. A session stores the head at its opening (`opened_seq`). Whoever can end sessions stores
-- the number of the change row that ended them (`sessions_ended_seq`). A session is current if and
-- only if its `opened_seq` is at least that of its user, branch, organisation and store. Ending any
-- number of sessions is therefore one UPDATE: it sets the watermark to head + 1, the number of the
-- change row which that very UPDATE writes.


-- One row: what the file is. Never deleted.
CREATE TABLE store (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    store_id           BLOB    NOT NULL CHECK (length(store_id) = 16),
    lineage            BLOB    NOT NULL CHECK (length(lineage) = 16), -- new at each restore
    min_reader         INTEGER NOT NULL CHECK (min_reader >= 1), -- oldest schema that may open this
    created_at         INTEGER NOT NULL,
    for_tests          INTEGER NOT NULL CHECK (for_tests IN (0, 1)), -- accepts the test cost
    throttle_key       BLOB    NOT NULL CHECK (length(throttle_key) = 32), -- keys digests of names
    sessions_ended_seq INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    keys_ended_seq     INTEGER NOT NULL DEFAULT 0 CHECK (keys_ended_seq >= 0),
    tokens_ended_seq   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    -- Sessions and keys that expired up to here may vanish without a change row. Never later than
    -- the latest `expires_at` that a sweep removed: one glitch of the clock must not poison it.
    swept_to           INTEGER NOT NULL DEFAULT 0,
    -- What the last commit of any process left here, so that one that failed half way can be told
    -- to hold or not. No change row tells of it. Never equal for two commits.
    last_group         BLOB    CHECK (last_group IS NULL OR length(last_group) = 16)
) STRICT;


-- One row: something that a verify depends on has changed. `kind`: 0 store, 1 organisation,
-- 2 branch, 3 user, 4 session, 5 API key. Written by the triggers below and by nothing else. Old
-- rows are trimmed by the sweep; the newest never is.
CREATE TABLE change (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    id   BLOB    CHECK ((kind = 0) = (id IS NULL))
) STRICT;

CREATE TRIGGER change_is_not_rewritten BEFORE UPDATE ON change
BEGIN SELECT RAISE(ABORT, 'change rows are never rewritten'); END;

-- AFTER, as the number is not known before. The counter is written at the end of a statement.
CREATE TRIGGER change_is_appended AFTER INSERT ON change
WHEN NEW.seq <= (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'change rows are appended'); END;

CREATE TRIGGER change_keeps_its_newest BEFORE DELETE ON change
WHEN OLD.seq >= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)
BEGIN SELECT RAISE(ABORT, 'the newest change row stays'); END;


-- One row: an organisation, which contains branches. Deleted on request, when no branch is left.
CREATE TABLE organisation (
    id                 BLOB    PRIMARY KEY CHECK (length(id) = 16),
    name               TEXT    NOT NULL CHECK (length(name) >= 1),
    active             INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    sessions_ended_seq INTEGER NOT NULL DEFAULT 0 CHECK (sessions_ended_seq >= 0),
    tokens_ended_seq   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_ended_seq >= 0),
    created_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- One row: a branch, which contains users and belongs to one organisation or to none. Deleted on
-- request, when no user is left in it.
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


-- One row: a person or a system user. Never removed: deletion sets `deleted_at`, frees the username
-- and keeps the place in `former_branch_id` (no foreign key: that branch may go), so that a
-- restore can look whether it still exists. A deleted user is in no branch.
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
    former_branch_id      BLOB,
    username              TEXT    NOT NULL, -- as shown
    username_key          TEXT    NOT NULL CHECK (length(username_key) >= 1), -- as looked up
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
    attributes            TEXT    CHECK (attributes IS NULL OR json_valid(attributes)),
    CHECK (deleted_at IS NULL OR branch_id IS NULL),
    CHECK (deleted_at IS NOT NULL OR former_branch_id IS NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_by_username ON user (username_key) WHERE deleted_at IS NULL;
CREATE INDEX user_by_email ON user (email_key)
    WHERE email_key IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX user_by_branch ON user (branch_id) WHERE branch_id IS NOT NULL;


-- One row: a user has this privilege. 'admin' is the only one the library itself asks about.
-- Deleted when privileges are set anew.
CREATE TABLE user_privilege (
    user_id BLOB NOT NULL REFERENCES user (id),
    name    TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_privilege_by_name ON user_privilege (name, user_id);


-- One row: the user can prove who it is with a password. No row: no password. A system user never
-- has one. `version` rises whenever the password or its standing is set, not when a hash is made
-- more costly: a login that verified an older version opens nothing. Deleted on request.
CREATE TABLE credential (
    user_id     BLOB    PRIMARY KEY REFERENCES user (id),
    phc         TEXT    NOT NULL,           -- Argon2id, PHC string format
    norm        INTEGER NOT NULL,           -- version of the normalisation the hash was made under
    version     INTEGER NOT NULL CHECK (version >= 1),
    must_change INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    compromised INTEGER NOT NULL DEFAULT 0 CHECK (compromised IN (0, 1)), -- 1: it is worth nothing
    set_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- One row: logins under this name were tried and failed, or are being tried. `name_digest` is keyed
-- with `store.throttle_key`, so that the table tells nobody which names were typed. Cleared by
-- success, by an administrator, and by the sweep.
CREATE TABLE throttle (
    name_digest     BLOB    PRIMARY KEY CHECK (length(name_digest) = 4),
    known           INTEGER NOT NULL CHECK (known IN (0, 1)), -- whether a user has this name
    failures        INTEGER NOT NULL CHECK (failures >= 0),   -- attempts charged since a success
    wait_until      INTEGER,                                  -- nothing is evaluated before
    last_attempt_at INTEGER NOT NULL,
    reported_until  INTEGER     -- the wait for which a refused try was already audited
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_by_age ON throttle (known, last_attempt_at);


-- One row: this user has logged in on this device before. Attempts from it have a budget of their
-- own. Deleted when the device is forgotten.
CREATE TABLE device (
    user_id        BLOB    NOT NULL REFERENCES user (id),
    device_hash    BLOB    NOT NULL CHECK (length(device_hash) = 16),
    first_login_at INTEGER NOT NULL,
    last_login_at  INTEGER NOT NULL,
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    wait_until     INTEGER,
    reported_until INTEGER,
    PRIMARY KEY (user_id, device_hash)
) STRICT, WITHOUT ROWID;


-- One row: a login that was opened and neither logged out nor swept. Whether it is live is
-- computed: current by its watermarks, neither deadline passed, its user, branch and organisation
-- active. Token and device stand here only as digests. Deleted by logout, by replacement on
-- its device, by an end that names it, and by the sweep after it expired.
CREATE TABLE session (
    id               BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash      BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    device_hash      BLOB    CHECK (device_hash IS NULL OR length(device_hash) = 16),
    user_id          BLOB    NOT NULL REFERENCES user (id),
    opened_seq       INTEGER NOT NULL CHECK (opened_seq >= 1),
    opened_at        INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,      -- inclusive: at this millisecond it is expired
    idle_ms          INTEGER CHECK (idle_ms IS NULL OR idle_ms > 0),
    aal              INTEGER NOT NULL CHECK (aal BETWEEN 1 AND 3),
    last_seen        INTEGER NOT NULL,      -- only ever rises
    label            TEXT,
    ip               TEXT,
    user_agent       TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX session_by_device ON session (device_hash) WHERE device_hash IS NOT NULL;
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_expiry ON session (expires_at);


-- One row: the host's own small document of a session. Goes with its session.
CREATE TABLE session_document (
    session_id BLOB    PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL CHECK (version >= 1),
    body       TEXT    NOT NULL CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;


-- One row: a credential for background work. Valid while its issue is not older than the
-- `keys_ended_seq` of its user and store, it has not expired, and user, branch and organisation
-- are active. Deleted by revocation and, once expired, by the sweep.
CREATE TABLE api_key (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    user_id     BLOB    NOT NULL REFERENCES user (id),
    issued_seq  INTEGER NOT NULL CHECK (issued_seq >= 1),
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER,                    -- NULL: does not expire
    label       TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_by_user ON api_key (user_id);
CREATE INDEX api_key_by_expiry ON api_key (expires_at) WHERE expires_at IS NOT NULL;


-- One row: a configuration key that was ever used. `key` is case-folded, `shown` keeps the case.
-- Whether clients may see it belongs to the key, not to a value. Never deleted.
CREATE TABLE configuration_key (
    key       TEXT    PRIMARY KEY CHECK (length(key) >= 1),
    shown     TEXT    NOT NULL,
    is_public INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1))
) STRICT, WITHOUT ROWID;


-- One row: the value of a key in one scope: the system (no owner), an organisation, a branch or a
-- user. The narrowest scope wins. Deleted on request and with its owner.
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


-- One row: a branch or an organisation has a count of remaining credits. No row: nothing is
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


-- One row: who did what, to whom, when, from where, with what outcome. Append-only. `chain` is a
-- SHA-256 over this row and the `chain` of the row before it of the same source. No foreign keys:
-- the log outlives its subjects. Trimmed from the oldest end by the sweep alone.
CREATE TABLE audit (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    source          INTEGER NOT NULL CHECK (source IN (0, 1)), -- 0 Gatepost, 1 the host's records
    at              INTEGER NOT NULL,
    event           TEXT    NOT NULL,
    outcome         TEXT    NOT NULL CHECK (outcome IN ('done', 'refused')),
    actor           TEXT    NOT NULL
                    CHECK (actor IN ('host', 'user', 'session', 'api_key')),
    actor_user_id   BLOB,
    actor_via_id    BLOB,                   -- the session or API key through which the actor came
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
    chain           BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE INDEX audit_by_source ON audit (source, seq);


-- One row for each source: where its chain begins and ends. Never deleted.
CREATE TABLE audit_chain (
    source        INTEGER PRIMARY KEY CHECK (source IN (0, 1)),
    trimmed_seq   INTEGER NOT NULL DEFAULT 0, -- rows up to here were trimmed
    trimmed_chain BLOB    NOT NULL CHECK (length(trimmed_chain) = 32),
    head_seq      INTEGER NOT NULL DEFAULT 0,
    head_chain    BLOB    NOT NULL CHECK (length(head_chain) = 32),
    kept_rows     INTEGER NOT NULL DEFAULT 0 CHECK (kept_rows >= 0)
) STRICT;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never rewritten'); END;

CREATE TRIGGER audit_is_only_trimmed BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT trimmed_seq FROM audit_chain WHERE source = OLD.source)
BEGIN SELECT RAISE(ABORT, 'audit rows are only trimmed from the oldest end'); END;

CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit rows are never replaced'); END;

CREATE TRIGGER audit_chain_stays BEFORE DELETE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'both chains stay'); END;

CREATE TRIGGER audit_chain_is_not_replaced BEFORE INSERT ON audit_chain
WHEN EXISTS (SELECT 1 FROM audit_chain WHERE source = NEW.source)
BEGIN SELECT RAISE(ABORT, 'both chains stay'); END;

CREATE TRIGGER audit_chain_only_grows BEFORE UPDATE ON audit_chain
WHEN NEW.source IS NOT OLD.source
  OR NEW.head_seq < OLD.head_seq
  OR NEW.trimmed_seq < OLD.trimmed_seq
  OR NEW.trimmed_seq > NEW.head_seq
BEGIN SELECT RAISE(ABORT, 'a chain grows at its head and is trimmed up to it'); END;


-- Changes that a verify must see
-- ------------------------------
-- Every column that the statements of verify read appears in one of these lists, but for
-- `session.last_seen`, which only rises. The INSERT of a session or key writes no row: no verify
-- can have answered for it before.

CREATE TRIGGER store_changed
AFTER UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq, lineage ON store
WHEN OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.keys_ended_seq IS NOT NEW.keys_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
  OR OLD.lineage IS NOT NEW.lineage
BEGIN INSERT INTO change (kind) VALUES (0); END;

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
    sessions_ended_seq, keys_ended_seq, tokens_ended_seq ON user
WHEN OLD.branch_id IS NOT NEW.branch_id
  OR OLD.status IS NOT NEW.status
  OR OLD.kind IS NOT NEW.kind
  OR OLD.deleted_at IS NOT NEW.deleted_at
  OR OLD.sessions_ended_seq IS NOT NEW.sessions_ended_seq
  OR OLD.keys_ended_seq IS NOT NEW.keys_ended_seq
  OR OLD.tokens_ended_seq IS NOT NEW.tokens_ended_seq
BEGIN INSERT INTO change (kind, id) VALUES (3, NEW.id); END;

CREATE TRIGGER user_deleted AFTER DELETE ON user
BEGIN INSERT INTO change (kind, id) VALUES (3, OLD.id); END;

CREATE TRIGGER user_became_admin AFTER INSERT ON user_privilege
WHEN NEW.name = 'admin'
BEGIN INSERT INTO change (kind, id) VALUES (3, NEW.user_id); END;

CREATE TRIGGER user_is_no_longer_admin AFTER DELETE ON user_privilege
WHEN OLD.name = 'admin'
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
BEGIN INSERT INTO change (kind, id) VALUES (4, NEW.id); END;

CREATE TRIGGER session_deleted AFTER DELETE ON session
WHEN OLD.expires_at > (SELECT swept_to FROM store WHERE id = 1)
BEGIN INSERT INTO change (kind, id) VALUES (4, OLD.id); END;

CREATE TRIGGER api_key_changed
AFTER UPDATE OF secret_hash, user_id, issued_seq, issued_at, expires_at ON api_key
WHEN OLD.secret_hash IS NOT NEW.secret_hash
  OR OLD.user_id IS NOT NEW.user_id
  OR OLD.issued_seq IS NOT NEW.issued_seq
  OR OLD.issued_at IS NOT NEW.issued_at
  OR OLD.expires_at IS NOT NEW.expires_at
BEGIN INSERT INTO change (kind, id) VALUES (5, NEW.id); END;

CREATE TRIGGER api_key_deleted AFTER DELETE ON api_key
WHEN OLD.expires_at IS NULL OR OLD.expires_at > (SELECT swept_to FROM store WHERE id = 1)
BEGIN INSERT INTO change (kind, id) VALUES (5, OLD.id); END;


-- What no statement may do
-- ------------------------
-- REPLACE and UPDATE OR REPLACE remove the row in their way without firing a DELETE trigger. So a
-- clash on any unique key of a table that verify reads is refused before it can happen, and ids
-- never change.

CREATE TRIGGER store_is_one BEFORE INSERT ON store
WHEN EXISTS (SELECT 1 FROM store)
BEGIN SELECT RAISE(ABORT, 'the store row exists'); END;

CREATE TRIGGER store_stays BEFORE DELETE ON store
BEGIN SELECT RAISE(ABORT, 'the store row stays'); END;

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

CREATE TRIGGER user_name_is_free BEFORE UPDATE OF username_key, deleted_at ON user
WHEN NEW.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM user
    WHERE username_key = NEW.username_key AND deleted_at IS NULL AND id <> NEW.id)
BEGIN SELECT RAISE(ABORT, 'the name is taken'); END;

CREATE TRIGGER user_privilege_is_new BEFORE INSERT ON user_privilege
WHEN EXISTS (SELECT 1 FROM user_privilege WHERE user_id = NEW.user_id AND name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'the user has this privilege'); END;

CREATE TRIGGER user_privilege_is_fixed BEFORE UPDATE ON user_privilege
BEGIN SELECT RAISE(ABORT, 'privileges are deleted and inserted'); END;

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

CREATE TRIGGER api_key_is_new BEFORE INSERT ON api_key
WHEN EXISTS (SELECT 1 FROM api_key WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the key exists'); END;

CREATE TRIGGER api_key_keeps_its_id BEFORE UPDATE OF id ON api_key
WHEN OLD.id IS NOT NEW.id
BEGIN SELECT RAISE(ABORT, 'ids never change'); END;

CREATE TRIGGER system_user_has_no_password BEFORE INSERT ON credential
WHEN (SELECT kind FROM user WHERE id = NEW.user_id) = 'system'
BEGIN SELECT RAISE(ABORT, 'a system user never has a password'); END;

CREATE TRIGGER credential_keeps_its_user BEFORE UPDATE OF user_id ON credential
WHEN OLD.user_id IS NOT NEW.user_id
BEGIN SELECT RAISE(ABORT, 'a password stays with its user'); END;


-- Nothing that ended comes back
-- -----------------------------
-- A watermark never falls and never passes the change row that raises it; a session or key never
-- claims an opening later than the head; losing the status active raises the watermarks in the
-- same UPDATE; whoever moves takes along the watermarks of the place left behind.

CREATE TRIGGER store_watermarks_rise
BEFORE UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq, swept_to ON store
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.keys_ended_seq < OLD.keys_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR NEW.swept_to < OLD.swept_to
  OR max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq)
     > 1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'a watermark rises to the next change row'); END;

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
BEFORE UPDATE OF sessions_ended_seq, keys_ended_seq, tokens_ended_seq ON user
WHEN NEW.sessions_ended_seq < OLD.sessions_ended_seq
  OR NEW.keys_ended_seq < OLD.keys_ended_seq
  OR NEW.tokens_ended_seq < OLD.tokens_ended_seq
  OR max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq)
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
WHEN max(NEW.sessions_ended_seq, NEW.keys_ended_seq, NEW.tokens_ended_seq)
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

CREATE TRIGGER api_key_issued_at_the_head BEFORE INSERT ON api_key
WHEN NEW.issued_seq > (SELECT seq FROM sqlite_sequence WHERE name = 'change')
BEGIN SELECT RAISE(ABORT, 'no key is issued in the future'); END;
