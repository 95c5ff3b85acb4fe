//! Every limit and every default of the library in one column, each with its reason.
//!
//! The unit is the last word of a name, where the type does not say it. Bounds that a host can
//! meet are repeated in the public documentation of the option or call.

use std::time::Duration;

// Names and texts, in bytes of UTF-8.
// Each is checked before any normalisation: the cost of normalising grows with the length
// (CVE-2023-46695).

/// A device identifier: any UUID, serial number or host name fits.
pub(crate) const DEVICE_ID_MAX_BYTES: usize = 128;
/// A username: an e-mail address of ordinary length fits.
pub(crate) const USERNAME_MAX_BYTES: usize = 128;
/// The folded form of a name, by which names are compared: folding can make a text eleven times as
/// long, so the folded form has its own bound.
pub(crate) const FOLDED_MAX_BYTES: usize = 512;
/// An e-mail address. RFC 5321, 4.5.3.1.3: a path has 256 bytes, two of them angle brackets.
pub(crate) const EMAIL_MAX_BYTES: usize = 254;
/// The name of an organisation, a branch, a person or the service: one line on a screen.
pub(crate) const DISPLAY_NAME_MAX_BYTES: usize = 256;
/// The description of a user: a few paragraphs.
pub(crate) const DESCRIPTION_MAX_BYTES: usize = 4_096;
/// The label of a session or API key: one line of a list.
pub(crate) const LABEL_MAX_BYTES: usize = 128;
/// A configuration key: a dotted path such as `support.pagination`.
pub(crate) const CONFIGURATION_KEY_MAX_BYTES: usize = 128;
/// A configuration value: a login reply carries all public values, so one must not fill the reply.
pub(crate) const CONFIGURATION_VALUE_MAX_BYTES: usize = 16_384;
/// The name of a privilege: a word, not a sentence.
pub(crate) const PRIVILEGE_MAX_BYTES: usize = 64;
/// The JSON document of a host's own attributes of a user.
pub(crate) const ATTRIBUTES_MAX_BYTES: usize = 16_384;
/// The JSON document of a host's own data of a session: each change rewrites all of it.
pub(crate) const SESSION_DATA_MAX_BYTES: usize = 4_096;
/// The user agent of a client: a longer one identifies the client no better.
pub(crate) const USER_AGENT_MAX_BYTES: usize = 512;

// Pages of a list, in rows.

/// The longest page, one screen or one request: a page is one read transaction, and more rows
/// would keep it open for too long.
pub(crate) const PAGE_MAX_ROWS: u32 = 500;
/// The page of `Page::default()`.
pub(crate) const PAGE_DEFAULT_ROWS: u32 = 100;

// Ids, tokens and headers.

/// How often an id is drawn until it is not taken. An id has ten random bytes after its
/// millisecond: a second draw is needed only if the random source repeats itself, and a source
/// that repeats itself four times is broken.
pub(crate) const ID_DRAWS_MAX: u32 = 4;
/// The secret of a token: 256 random bits rule out guesses and collisions (ASVS 7.2.3 asks for
/// 128).
pub(crate) const TOKEN_SECRET_BYTES: usize = 32;
/// The text of a token of any kind: a prefix of 4 characters, then 70 of base64url.
pub(crate) const TOKEN_TEXT_BYTES: usize = 74;
/// An `Authorization` header: twice the base64 of the longest token and device. A longer one is
/// refused without being decoded.
pub(crate) const HEADER_MAX_BYTES: usize = 1_024;

// Passwords.

/// The lowest minimum that a policy may set, and the default (ASVS 6.2.1; NIST SP 800-63B-4,
/// 3.1.1.2: 8 with a second factor).
pub(crate) const PASSWORD_MIN_CHARS: usize = 8;
/// The minimum of `PasswordPolicy::nist()` (NIST SP 800-63B-4, 3.1.1.2: 15 where the password is
/// the only factor).
pub(crate) const PASSWORD_MIN_CHARS_ALONE: usize = 15;
/// The highest minimum that a policy may set (NIST SP 800-63B-4, 3.1.1.2: passwords of 64
/// characters must be permitted).
pub(crate) const PASSWORD_MIN_CHARS_MAX: usize = 64;
/// The longest password, and the default of a policy: normalising costs time for each byte, so the
/// length is checked first.
pub(crate) const PASSWORD_MAX_BYTES: usize = 4_096;
/// The lowest maximum that a policy may set: 64 characters of four bytes each always fit.
pub(crate) const PASSWORD_MAX_BYTES_LEAST: usize = 256;
/// The shortest name that a password is compared with: many good passwords equal a shorter one by
/// chance.
pub(crate) const CONTEXT_WORD_MIN_CHARS: usize = 4;
/// The shortest expiry of passwords: a shorter one would lock out every user.
pub(crate) const PASSWORD_EXPIRY_LEAST: Duration = Duration::from_secs(86_400);
/// The longest expiry of passwords, 100 years: a longer one has no effect on any user.
pub(crate) const PASSWORD_EXPIRY_MOST: Duration = Duration::from_secs(36_500 * 86_400);

/// The most levels of a JSON document of the host: as many as `serde_json` reads.
pub(crate) const JSON_DEPTH_MAX: usize = 127;

// Password hashing with Argon2id.

/// Memory of one hash: with two passes, the middle set of OWASP ASVS 5.0, appendix C.
pub(crate) const HASH_MEMORY_DEFAULT_KIB: u32 = 19_456;
/// Passes of one hash over its memory: see `HASH_MEMORY_DEFAULT_KIB`.
pub(crate) const HASH_PASSES_DEFAULT: u32 = 2;
/// The most memory of one hash, 256 MiB. A stored hash that asks for more is refused before any
/// memory is allocated.
pub(crate) const HASH_MEMORY_MAX_KIB: u32 = 262_144;
/// The most passes: with the most memory, one hash already takes seconds.
pub(crate) const HASH_PASSES_MAX: u32 = 16;
/// The most lanes. One thread computes them one after the other, so more lanes gain nothing; but
/// other frameworks use as many as a machine has cores, and their hashes can be imported.
pub(crate) const HASH_LANES_MAX: u32 = 16;
/// The least work factor N of an imported scrypt hash, as its binary logarithm: RFC 7914 tests with
/// 1,024 and systems use 16,384 or more.
pub(crate) const SCRYPT_N_LOG2_MIN: u32 = 10;
/// The most lanes of an imported scrypt hash, which one thread computes one after the other.
pub(crate) const SCRYPT_LANES_MAX: u32 = 16;
/// The most rounds of an imported bcrypt hash, as their binary logarithm: 65,536, about 4 s.
pub(crate) const BCRYPT_ROUNDS_LOG2_MAX: u32 = 16;
/// The fewest iterations of an imported PBKDF2 hash (NIST SP 800-132, section 5.2).
pub(crate) const PBKDF2_ITERATIONS_MIN: u32 = 1_000;
/// The most iterations of an imported PBKDF2 hash, for all blocks of its output together: seconds.
pub(crate) const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;
/// The salt of a new hash (RFC 9106, section 3.1: 16 bytes).
pub(crate) const HASH_SALT_BYTES: usize = 16;
/// The output of a new hash (RFC 9106, section 4: 256 bits).
pub(crate) const HASH_OUTPUT_BYTES: usize = 32;
/// The time of one hash, for the estimate behind `retry_after`. Fixed and not measured: a measured
/// estimate would reveal to a stranger how long the logins of other users took.
pub(crate) const HASH_ESTIMATE_MS: u64 = 50;
/// After this time without a hash the work memory is freed: long enough to serve a wave of logins,
/// short enough that a desktop application does not keep 19 MiB while it runs.
pub(crate) const HASH_MEMORY_IDLE_MAX_MS: u64 = 60_000;
/// Logins that wait for a hash on a server, by default: a wave of logins, and few threads.
pub(crate) const MAX_WAITING_HASHES_SERVER: usize = 64;
/// Logins that wait for a hash on a desktop, by default: one device has few users.
pub(crate) const MAX_WAITING_HASHES_DESKTOP: usize = 8;
/// The most hashes at once that an option may allow: at the default cost they take 19 GiB.
pub(crate) const CONCURRENT_HASHES_MAX: usize = 1_024;
/// The most waiting logins that an option may allow: each of them blocks a thread of the host.
pub(crate) const WAITING_HASHES_MAX: usize = 100_000;

// Keys outside the file.

/// The id of a key: a date or a word, shown in errors and in the audit log.
pub(crate) const KEY_ID_MAX_BYTES: usize = 32;
/// A key of XChaCha20-Poly1305: 256 bits.
pub(crate) const SEALING_KEY_BYTES: usize = 32;
/// The nonce of XChaCha20-Poly1305: 192 bits, so that random ones never repeat.
pub(crate) const SEALING_NONCE_BYTES: usize = 24;
/// The longest key file: its word, an id, 64 digits. Every file of SQLite's is longer.
pub(crate) const KEY_FILE_MAX_BYTES: usize = 128;
/// The most hashes that one call of `Store::rekey` seals: about 30 ms, in which other writers wait.
pub(crate) const REKEY_PER_CALL_MAX_HASHES: usize = 1_000;
/// The hashes, and the secrets of second factors, that an opening tries with the key of the file:
/// one opens at once, unless the first ones were changed.
pub(crate) const KEY_CHECK_MAX_ROWS: usize = 16;

// Failed login attempts (throttle and lockout).

/// The failure in a row that starts the first wait.
pub(crate) const THROTTLE_FREE_FAILURES: i64 = 5;
/// The first wait (NIST SP 800-63B-4, 3.2.2: from 30 s, growing, up to 1 h). Each further failure
/// doubles the wait.
pub(crate) const THROTTLE_FIRST_WAIT_MS: i64 = 30_000;
/// The longest wait that doubling reaches: 1 hour.
pub(crate) const THROTTLE_LONGEST_WAIT_MS: i64 = 3_600_000;
/// Failures in a row from unknown devices, after which at most one attempt a day is compared. With
/// those from known devices they are 100 (NIST SP 800-63B-4, 3.2.2: at most 100 in a row).
pub(crate) const THROTTLE_GATE_FAILURES: i64 = 90;
/// The same for all known devices of a user together.
pub(crate) const THROTTLE_KNOWN_FAILURES: i64 = 10;
/// Known devices of one user, with their own counts of failures: more than a person owns. One more
/// replaces the device on which the last login is the oldest.
pub(crate) const DEVICES_PER_USER: i64 = 100;
/// After a stop there is one attempt in 24 hours, with `Lockout::Timed`.
pub(crate) const THROTTLE_DAY_MS: i64 = 24 * 3_600_000;

// The second factor at a login.

/// A pending step is valid for 10 minutes: time to find the telephone (ASVS 6.6.3, NIST SP
/// 800-63B-4, 3.2.2).
pub(crate) const PENDING_STEP_LIFETIME: Duration = Duration::from_secs(600);
/// Wrong codes after which a pending step is spent: as many as before the first wait of the gate. An
/// enrolment that is begun takes one of them.
pub(crate) const PENDING_STEP_GUESSES: i64 = 5;
/// Pending steps of one user: each costs the right password; one more deletes the oldest.
pub(crate) const PENDING_STEPS_PER_USER: i64 = 16;
/// The longest trust of a device, 90 days: as long as the longest session of a desktop.
pub(crate) const DEVICE_TRUST_MAX: Duration = Duration::from_secs(90 * 86_400);
/// The shortest trust of a device: the step of all times in the file.
pub(crate) const DEVICE_TRUST_LEAST: Duration = Duration::from_millis(1);
/// Trusted devices of one user: one more takes the trust of the one whose trust ends first.
pub(crate) const TRUSTED_DEVICES_PER_USER: i64 = 10;
/// A change of the password by a user who has a second factor needs a proof that is at most 15
/// minutes old (ASVS 7.5.1).
pub(crate) const STEP_UP_MAX_AGE: Duration = Duration::from_secs(15 * 60);

// Texts that were typed as names.

/// Typed texts whose failures one process counts at once: up to about 6 MB of memory.
pub(crate) const WORDS_ENTRIES: usize = 65_536;
/// The count of a typed text begins again after 24 hours without an attempt.
pub(crate) const WORDS_KEPT_MS: i64 = 24 * 3_600_000;

// Sessions: lifetimes, inactivity timeouts, numbers.

/// The lifetime of a session unless the login asks for another: 24 hours, a working day with room.
pub(crate) const SESSION_LIFETIME_DEFAULT_MS: u64 = 24 * 3_600_000;
/// The longest lifetime on a server: 30 days (NIST SP 800-63B-4, 2.1.3: reauthentication at AAL1).
pub(crate) const SESSION_LIFETIME_MAX_SERVER_MS: u64 = 30 * 86_400_000;
/// The longest lifetime on a desktop, 90 days: its owner has the whole machine anyway.
pub(crate) const SESSION_LIFETIME_MAX_DESKTOP_MS: u64 = 90 * 86_400_000;
/// The lifetime in a browser, 30 days: the user stays signed in (bound of AAL1, as on a server).
pub(crate) const SESSION_LIFETIME_WEB_MS: u64 = 30 * 86_400_000;
/// The inactivity timeout in a browser: a week without a visit signs the user out.
pub(crate) const SESSION_INACTIVITY_WEB_MS: u64 = 7 * 86_400_000;
/// The longest lifetime that a policy may set: 400 days, as long as the audit log keeps the login.
pub(crate) const SESSION_LIFETIME_CEILING_MS: u64 = 400 * 86_400_000;
/// The lifetime at AAL2: 24 hours (NIST SP 800-63B-4, 2.2.3).
pub(crate) const SESSION_LIFETIME_AAL2_MS: u64 = 24 * 3_600_000;
/// The inactivity timeout at AAL2: 1 hour (NIST SP 800-63B-4, 2.2.3).
pub(crate) const SESSION_INACTIVITY_AAL2_MS: u64 = 3_600_000;
/// The lifetime at AAL3: 12 hours (NIST SP 800-63B-4, 2.3.3).
pub(crate) const SESSION_LIFETIME_AAL3_MS: u64 = 12 * 3_600_000;
/// The inactivity timeout at AAL3: 15 minutes (NIST SP 800-63B-4, 2.3.3).
pub(crate) const SESSION_INACTIVITY_AAL3_MS: u64 = 15 * 60_000;
/// The shortest inactivity timeout: the last use is written every tenth of it, and with less than
/// 10 s that would be a write for nearly every request.
pub(crate) const SESSION_INACTIVITY_LEAST_MS: u64 = 10_000;
/// Sessions of one user on a server, by default: the devices of a person, with room.
pub(crate) const SESSIONS_PER_USER_SERVER: u32 = 10;
/// Sessions of one user on a desktop, by default: a person has few machines.
pub(crate) const SESSIONS_PER_USER_DESKTOP: u32 = 5;
/// The most sessions of one user that a policy may allow: a longer list is of no use to a person.
pub(crate) const SESSIONS_PER_USER_CEILING: u32 = 10_000;
/// A renewal that would move the expiry by less than a twentieth of the lifetime writes nothing,
/// so that a program may renew at every request.
pub(crate) const RENEWALS_PER_LIFETIME: u32 = 20;
/// A session that was opened or last used more than a minute in the future is refused: the clock
/// was wrong then, or is wrong now.
pub(crate) const CLOCK_SKEW_MAX_MS: i64 = clock_skew_max_ms!();
/// The same as a literal, for the SQL statements that contain it.
macro_rules! clock_skew_max_ms {
    () => {
        60000
    };
}
pub(crate) use clock_skew_max_ms;

// The last use of a session, which is kept in steps.

/// With an inactivity timeout, a step is this part of it, so that the session expires at most a
/// tenth of the timeout early.
pub(crate) const USE_STEPS_PER_TIMEOUT: i64 = 10;
/// With an inactivity timeout, a step is at most a minute.
pub(crate) const USE_STEP_MAX_MS: i64 = 60_000;
/// Without an inactivity timeout, a step is this part of the lifetime: the last use only says which
/// session is the least recently used, or that a key is still in use.
pub(crate) const USE_STEPS_PER_LIFETIME: i64 = 24;
/// Without an inactivity timeout, a step is at least an hour.
pub(crate) const USE_STEP_MIN_MS: i64 = 3_600_000;
/// A verify that finds a use late reads the file again after this part of a step.
pub(crate) const USE_RETRIES_PER_STEP: i64 = 10;
/// A verify that finds a use late reads the file again after a minute at the latest.
pub(crate) const USE_RETRY_MAX_MS: i64 = 60_000;
/// Last uses in one transaction, so that its caller and other writers do not wait long for them.
pub(crate) const USES_PER_COMMIT: usize = 256;
/// Sessions and API keys whose last use may wait in memory. Beyond it, a last use is a step more
/// behind.
pub(crate) const USES_WAITING: usize = 65_536;

// API keys and privileges.

/// The most API keys of one user that an option may allow, and the most live ones for which it may
/// have an attenuated key made or an overlap: issuing a key counts them, verifying one does not.
pub(crate) const API_KEYS_PER_USER_MAX: u32 = 1_000;
/// The keys that one attenuated key may descend from: a chain is as deep as the programs that hand
/// a key on, and the revocation of its first key deletes them all.
pub(crate) const API_KEY_ANCESTORS_MAX: usize = 8;
/// The longest overlap of a rotated API key, 30 days: in it, the old and the new key are valid.
pub(crate) const API_KEY_OVERLAP_MAX: Duration = Duration::from_millis(api_key_overlap_max_ms!());
/// The same as a literal, for the SQL statement that contains it.
macro_rules! api_key_overlap_max_ms {
    () => {
        2592000000
    };
}
pub(crate) use api_key_overlap_max_ms;
/// The name of an identity provider, such as the URL of its issuer.
pub(crate) const PROVIDER_MAX_BYTES: usize = 255;
/// The subject at an identity provider. OpenID Connect Core 1.0, section 2 (`sub`): at most 255
/// ASCII characters.
pub(crate) const SUBJECT_MAX_BYTES: usize = 255;
/// External identities of one user: a list returns all of them.
pub(crate) const IDENTITIES_PER_USER_MAX: usize = 32;
/// Organisations and branches that one user administers: each call of `Store::administering` reads
/// all of them.
pub(crate) const ADMINISTRATIONS_PER_USER_MAX: usize = 64;
/// Privileges of one user: each check of a privilege searches the set, so the set stays small.
pub(crate) const PRIVILEGES_PER_USER_MAX: usize = 64;

// Configuration.

/// Values of one scope: reading all that are in force for a user reads four scopes.
pub(crate) const SETTINGS_PER_SCOPE_MAX: u64 = 1_000;
/// Configuration keys of a store: each login reads of every key whether it is public, in less than
/// a millisecond for so many.
pub(crate) const CONFIGURATION_KEYS_MAX: u64 = 10_000;
/// Public keys of a store: a login looks the value of each up in four scopes, and its reply carries
/// them all.
pub(crate) const PUBLIC_CONFIGURATION_KEYS_MAX: u64 = 1_000;

// One-time tokens.

/// A password reset, unless the host asks for another lifetime: 1 hour, time to find the mail.
pub(crate) const RESET_LIFETIME_DEFAULT: Duration = Duration::from_secs(3_600);
/// The longest lifetime of a password reset, 24 hours (NIST SP 800-63B-4, 4.2.1.2: a recovery code
/// sent by e-mail).
pub(crate) const RESET_LIFETIME_MAX: Duration = Duration::from_secs(86_400);
/// The confirmation of an e-mail address: 24 hours.
pub(crate) const CONFIRMATION_LIFETIME_DEFAULT: Duration = Duration::from_secs(86_400);
/// The longest lifetime of a confirmation, 7 days: a mailbox is read within a week.
pub(crate) const CONFIRMATION_LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);
/// An invitation: 7 days, as the invited person does not wait for it.
pub(crate) const INVITATION_LIFETIME_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// The longest lifetime of an invitation, 30 days (NIST SP 800-63B-4, 4.2.1.2: the longest of an
/// issued code).
pub(crate) const INVITATION_LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);
/// A temporary password: 24 hours, until the next working day (ASVS 6.4.1: a short time).
pub(crate) const TEMPORARY_LIFETIME_DEFAULT: Duration = Duration::from_secs(86_400);
/// The longest lifetime of a temporary password, 7 days: it waits over a weekend or a short leave.
pub(crate) const TEMPORARY_LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);
/// The token of the first administrator: 24 hours, the day on which the store is set up.
pub(crate) const FIRST_ADMINISTRATOR_LIFETIME: Duration = Duration::from_secs(86_400);

// Impersonation.

/// A session in which an administrator acts as a user: 15 minutes, time to look at what the user
/// reports.
pub(crate) const IMPERSONATION_LIFETIME_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// The longest lifetime of such a session, 1 hour: it is opened for one task.
pub(crate) const IMPERSONATION_LIFETIME_MAX: Duration = Duration::from_secs(3_600);

// Resource tickets.

/// A resource ticket: 30 seconds, time for a page to load what it shows.
pub(crate) const TICKET_LIFETIME_DEFAULT: Duration = Duration::from_secs(30);
/// The longest lifetime of a ticket, 5 minutes: a ticket is in URLs, and so in histories and logs.
pub(crate) const TICKET_LIFETIME_MAX: Duration = Duration::from_secs(300);
/// The method that a ticket is bound to: the longest registered one has 17 characters.
pub(crate) const TICKET_METHOD_MAX_BYTES: usize = 32;
/// The resource that a ticket is bound to: a path with a query.
pub(crate) const TICKET_RESOURCE_MAX_BYTES: usize = 2_048;

// Second factors.

/// A step of TOTP (RFC 6238, section 5.2 recommends 30 s; ASVS 6.5.5 asks for at most that).
pub(crate) const TOTP_STEP_MS: i64 = 30_000;
/// The users of one kind that an examination names, so that its result stays short.
pub(crate) const EXAMINATION_MAX_USERS: i64 = 20;
/// A new secret of an authenticator: 160 bits (RFC 4226, section 4 recommends that length).
pub(crate) const TOTP_SECRET_BYTES: usize = 20;
/// The shortest secret that is imported: 128 bits (RFC 4226, section 4).
pub(crate) const TOTP_SECRET_MIN_BYTES: usize = 16;
/// The longest secret that is imported: a block of SHA-256, beyond which HMAC gains nothing.
pub(crate) const TOTP_SECRET_MAX_BYTES: usize = 64;
/// An enrolment must be confirmed within 10 minutes: time to install an authenticator.
pub(crate) const ENROLMENT_LIFETIME: Duration = Duration::from_secs(600);
/// A recovery code: 128 random bits, which no one can guess from a fast digest.
pub(crate) const RECOVERY_CODE_BYTES: usize = 16;
/// The characters of a group of a recovery code: as many as a person reads at once.
pub(crate) const RECOVERY_CODE_GROUP_CHARS: usize = 4;
/// Recovery codes of one set: they outlast the phones of some years, and fit on a card.
pub(crate) const RECOVERY_CODES: usize = 10;
/// A typed code: twice the longest one with its separators.
pub(crate) const FACTOR_CODE_MAX_BYTES: usize = 64;

// Waits of a verify that reads the file.

/// All waits of one verify together; then it fails with `Busy`.
pub(crate) const VERIFY_WAIT: Duration = Duration::from_millis(50);
/// Its share for reading the change log.
pub(crate) const FOLLOW_WAIT: Duration = Duration::from_millis(10);
/// Its share for a read connection and the first read of the row.
pub(crate) const VERIFY_READ_WAIT: Duration = Duration::from_millis(30);
/// Its share for the second read of a session that seems inactive: its last use may just have been
/// written.
pub(crate) const VERIFY_REREAD_WAIT: Duration = Duration::from_millis(10);
const _: () = assert!(
    FOLLOW_WAIT.as_millis() + VERIFY_READ_WAIT.as_millis() + VERIFY_REREAD_WAIT.as_millis()
        <= VERIFY_WAIT.as_millis()
);

// Counts of refused tokens, kept in memory until they are written to the audit log.

/// Refusals are counted by the minute: one row for each minute and reason.
pub(crate) const MINUTE_MS: i64 = 60_000;
/// Pairs of minute and reason in memory; further refusals are counted under the reason "other".
pub(crate) const TALLY_ENTRIES: usize = 256;

// The cache of verified sessions and keys.

/// Cached sessions and keys, by default: about 25 MiB when it is full.
pub(crate) const CACHE_ENTRIES: usize = 131_072;
/// The most that an option may allow, about 3 GiB: more memory serves better as page cache.
pub(crate) const CACHE_ENTRIES_MAX: usize = 16_777_216;
/// Parts of the cache that are written independently of each other; a power of two.
pub(crate) const CACHE_SHARDS: usize = 16;
/// Slots that a revoked session or key marks. Two that share a slot invalidate each other's cache
/// entry, which costs one read of the file.
pub(crate) const CACHE_SESSION_STAMPS: u32 = 131_072;
/// Slots that a change of a user marks; shared in the same way.
pub(crate) const CACHE_USER_STAMPS: u32 = 32_768;
/// Different sets of privileges in the cache, typically a few hundred bytes each. A check against
/// any further set reads the file.
pub(crate) const CACHE_PRIVILEGE_SETS: usize = 4_096;

// The change log, by which processes learn of each other's writes.

/// Change rows that one catch-up reads. A process that is further behind empties its cache.
pub(crate) const CHANGE_ROWS_FOLLOWED: i64 = 4_096;
/// Newest change rows that trimming leaves: more than a catch-up reads.
pub(crate) const CHANGE_ROWS_KEPT: i64 = 10_000;
/// Change rows that one write deletes, once so many more are there.
pub(crate) const CHANGES_TRIMMED_PER_WRITE: i64 = 64;

// The audit log.

/// How long an erasure waits for readers of the write-ahead log, so that it can be emptied; other
/// writers of the process wait meanwhile.
pub(crate) const LOG_EMPTYING_WAIT: Duration = Duration::from_secs(1);
/// The name of a host's own event.
pub(crate) const HOST_EVENT_NAME_MAX_BYTES: usize = 64;
/// The salt of a user, under the digests of what audit rows keep about the user: as long as an
/// Argon2 salt (RFC 9106, 3.1).
pub(crate) const AUDIT_SALT_BYTES: usize = 16;
/// The name of a consumer of the audit log.
pub(crate) const CONSUMER_NAME_MAX_BYTES: usize = 64;
/// Consumers of the audit log: each is a program that reads it, and a list returns all of them.
pub(crate) const CONSUMERS_MAX: u64 = 64;
/// The detail of an event: one line. What does not fit into one row has several.
pub(crate) const EVENT_DETAIL_MAX_BYTES: usize = 1_024;
/// Events of a host in one call, which is one commit: other writers wait for all of them.
pub(crate) const HOST_EVENTS_PER_CALL: usize = 1_000;
/// The age of the oldest rows on a server, 400 days: each day can be compared with the same day of
/// the year before.
pub(crate) const AUDIT_KEPT_SERVER_MS: u64 = 400 * 86_400_000;
/// Rows on a server: about 200 MB.
pub(crate) const AUDIT_KEPT_SERVER_ROWS: u64 = 1_000_000;
/// The age of the oldest rows on a desktop: 90 days, as long as its longest session.
pub(crate) const AUDIT_KEPT_DESKTOP_MS: u64 = 90 * 86_400_000;
/// Rows on a desktop: about 10 MB.
pub(crate) const AUDIT_KEPT_DESKTOP_ROWS: u64 = 50_000;
/// The fewest rows that an option may set: with fewer, a burst of events would delete the rows
/// that explain it.
pub(crate) const AUDIT_KEPT_ROWS_LEAST: u64 = 1_000;
/// The most rows that an option may set, 10^12: about 200 TB, more than a disk has.
pub(crate) const AUDIT_KEPT_ROWS_MOST: u64 = 1_000_000_000_000;
/// The shortest age that an option may set: 1 day.
pub(crate) const AUDIT_KEPT_LEAST: Duration = Duration::from_secs(86_400);
/// The longest age that an option may set: 100 years, for which every `Timestamp` has room.
pub(crate) const AUDIT_KEPT_MOST: Duration = Duration::from_secs(36_500 * 86_400);
/// Unauthenticated callers have this part of `audit_max_rows` for the rows that they cause.
pub(crate) const AUDIT_UNAUTHENTICATED_SHARE: u64 = 4;
/// Rows that one append deletes at most, once the log is over its cap: the append stays short. A
/// write deletes as many rows of each source that are over `audit_max_age`.
pub(crate) const AUDIT_TRIMMED_PER_APPEND: i64 = 8;
/// Rows that a clock ahead dated in the future, one after the other, which a write passes over to
/// find one that is over `audit_max_age`.
pub(crate) const AUDIT_AHEAD_ROWS: i64 = 64;
/// As [`AUDIT_AHEAD_ROWS`], for `Store::maintain`. They are deleted in one transaction, which takes
/// less than a tenth of a second.
pub(crate) const AUDIT_AHEAD_SWEPT_ROWS: i64 = 10_000;

// Lists.

/// Rows that a list examines in one snapshot: a few milliseconds.
pub(crate) const LIST_PIECE_ROWS: i64 = 2_000;

// Maintenance: deleting expired rows.

/// A reading of the clock is confirmed by another one that is so much later. It is nearly a day, so
/// that a clock that is wrong for an afternoon deletes nothing.
pub(crate) const CLOCK_BELIEVED_AFTER: Duration = Duration::from_secs(20 * 3_600);
/// Expired rows of each kind that one login or one attenuated key deletes, so that the file stays
/// small without `Store::maintain`.
pub(crate) const SWEEP_PER_LOGIN_ROWS: i64 = 32;
/// Expired rows of each kind in one transaction of `Store::maintain`: less than a millisecond.
pub(crate) const SWEEP_PER_BATCH_ROWS: i64 = 8;
/// While others write, maintenance pauses for ten times as long as its last transaction took: it
/// takes at most a tenth of the time of the file.
pub(crate) const UPKEEP_PAUSE_PIECES: u32 = 10;
/// The longest pause of maintenance.
pub(crate) const UPKEEP_PAUSE_MAX: Duration = Duration::from_millis(50);

// Writes and group commit.

/// A write waits this long for other writers; then it fails with `Busy`.
pub(crate) const WRITE_WAIT: Duration = Duration::from_secs(5);
/// Threads of one process that wait to write; the next one fails with `Busy` at once.
pub(crate) const WRITES_WAITING_MAX: usize = 1_024;
/// Writes in one commit: with more, the first write would wait longer than a flush takes.
pub(crate) const GROUP_MEMBERS_MAX: u64 = 256;
/// Writes join a commit for this long after it began; then other processes get their turn.
pub(crate) const GROUP_GROWS: Duration = Duration::from_millis(20);
/// SQLite sends no signal when another process releases the write lock. A waiting process tries
/// again after this pause, and doubles the pause each time.
pub(crate) const WRITE_POLL_FIRST: Duration = Duration::from_micros(50);
/// The longest of these pauses, and the longest time that a process leaves the lock to another.
pub(crate) const WRITE_POLL_LONGEST: Duration = Duration::from_millis(1);
/// After another process was seen to write, this many commits leave a pause for it to take the
/// lock.
pub(crate) const GROUPS_GIVING_WAY: u32 = 64;
/// Fences in memory for one commit in doubt. Each attempt to resolve the commit writes one; a
/// fence that is forgotten and found in the file later gives no answer.
pub(crate) const FENCES_REMEMBERED: usize = 8;
/// Files for which a process keeps a commit in doubt; one more replaces the oldest.
pub(crate) const FILES_IN_DOUBT_MAX: usize = 64;

// The write-ahead log (WAL).

/// A checkpointed log is truncated to this size.
pub(crate) const WAL_KEPT_BYTES: i64 = 4 * 1_024 * 1_024;
/// A log that stays longer than this after a checkpoint is kept in use by overlapping readers: one
/// writer then waits for them.
pub(crate) const WAL_LONG_BYTES: i64 = 2 * WAL_KEPT_BYTES;
/// That writer waits this long, and no other can write meanwhile. Far longer than a read of this
/// library takes, except those that grow with the file: `examine`, `key_use`, `audit().unseen`, an
/// opening under `login_by_email`, a backup that keeps one snapshot. Far shorter than `WRITE_WAIT`.
pub(crate) const WAL_READERS_WAIT: Duration = Duration::from_millis(50);
/// After a wait in vain the next one begins this much later: a reader that never ends costs the
/// writers a twentieth of their time.
pub(crate) const WAL_READERS_RETRY: Duration = Duration::from_secs(1);

// Backups and restores.

/// Pages that one step of a backup copies (1 MiB): between two steps it needs no snapshot.
pub(crate) const BACKUP_PAGES_PER_STEP: i32 = 256;
/// The pause after a step, so that others use the disk.
pub(crate) const BACKUP_PAUSE: Duration = Duration::from_millis(1);
/// A commit of another process makes a backup begin again. After so many times it keeps one
/// snapshot, and the write-ahead log grows until it ends.
pub(crate) const BACKUP_RESTARTS: u64 = 3;
/// A restore goes so far above the change numbers of both files: more than all changes that a
/// process may have seen of a history that is gone.
pub(crate) const RESTORE_SEQ_STEP: i64 = 1 << 20;
/// A manifest is shorter: seven lines.
pub(crate) const MANIFEST_MAX_BYTES: u64 = 1024;

// The file and the disk.

/// The path of the file. SQLite on Unix takes 512 bytes, and appends `-journal`.
pub(crate) const PATH_MAX_BYTES: usize = 504;
/// The name of the file. Nearly every file system takes 255 bytes, and SQLite and a backup append
/// up to 30.
pub(crate) const FILE_NAME_MAX_BYTES: usize = 220;
/// The time between two checks that the file was not moved or replaced.
pub(crate) const FILE_CHECK_MS: i64 = 1_000;

/// How long the time of a store is held, by the wall clock, after that was set back.
pub(crate) const CLOCK_HELD_MS: i64 = MINUTE_MS;
/// The most disk reserve that an option may set, 1 GiB: more space serves better as free space.
pub(crate) const DISK_RESERVE_MAX_BYTES: u64 = 1_024 * 1_024 * 1_024;
/// After the disk was found full, ordinary writes are refused for this long before the next try.
pub(crate) const FULL_PROBE_MS: i64 = 1_000;
/// Free space that the next try needs: several times a write with its part of the log.
pub(crate) const FULL_ROOM_BYTES: u64 = 128 * 1_024;

// SQLite and its connections.

/// The oldest SQLite that is accepted: 3.51.3 fixed a bug that could corrupt the file when the
/// write-ahead log was reset.
pub(crate) const SQLITE_OLDEST: i32 = 3_051_003;
/// Read connections of one process: each takes two file descriptors and a page cache.
pub(crate) const READ_CONNECTIONS: usize = 16;
/// Read connections that open with the store: one for verify and one for other reads, also when
/// the program has used up its descriptors later.
pub(crate) const READ_CONNECTIONS_AT_OPENING: usize = 2;
/// After a read connection could not be opened, the next try is this much later.
pub(crate) const READ_REOPEN: Duration = Duration::from_secs(1);
/// Prepared statements that a connection caches: more than the library has.
pub(crate) const CACHED_STATEMENTS: usize = 256;
/// The longest text or BLOB in the file: the largest that the library writes are attributes, far
/// below it.
pub(crate) const SQLITE_VALUE_BYTES: i32 = 1_000_000;
/// The longest SQL text: the schema script, the longest of the library, is shorter.
pub(crate) const SQLITE_STATEMENT_BYTES: i32 = 100_000;
/// The deepest nesting of triggers: those of the library nest two deep.
pub(crate) const SQLITE_TRIGGER_DEPTH: i32 = 10;

// Import.

/// The most records of one import, which is one write: others wait about 0.1 s for it.
pub(crate) const IMPORT_MAX_RECORDS: usize = 1_000;
