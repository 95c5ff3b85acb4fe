//! Every limit and default, one column, the unit last in the name, each with its why.

use std::time::Duration;

// Names and texts. All are checked in bytes, before any normalisation (CVE-2023-46695).

/// A device identifier is opaque; 128 bytes hold any UUID, serial number or host name.
pub(crate) const DEVICE_ID_MAX_BYTES: usize = 128;
/// Long enough for an e-mail address of ordinary length as user name.
pub(crate) const USERNAME_MAX_BYTES: usize = 128;
/// A compatibility form may grow eleven times when folded: the key has a bound of its own.
pub(crate) const FOLDED_MAX_BYTES: usize = 512;
/// RFC 5321 4.5.3.1.3: a path of 256 with its two angle brackets.
pub(crate) const EMAIL_MAX_BYTES: usize = 254;
/// Names of organisations, branches and people.
pub(crate) const DISPLAY_NAME_MAX_BYTES: usize = 256;
/// A few paragraphs about a user.
pub(crate) const DESCRIPTION_MAX_BYTES: usize = 4_096;
/// What a list of sessions or keys shows in one line.
pub(crate) const LABEL_MAX_BYTES: usize = 128;
/// A dotted path such as `support.pagination`.
pub(crate) const CONFIGURATION_KEY_MAX_BYTES: usize = 128;
/// A login reply carries all public values: one may not fill it.
pub(crate) const CONFIGURATION_VALUE_MAX_BYTES: usize = 16_384;
/// A word, not a sentence.
pub(crate) const PRIVILEGE_MAX_BYTES: usize = 64;
/// Privileges of one user: verify asks about one of them, so the set stays small.
pub(crate) const PRIVILEGES_PER_USER_MAX: usize = 64;
/// The JSON that a host keeps with a user.
pub(crate) const ATTRIBUTES_MAX_BYTES: usize = 16_384;
/// The JSON that a host keeps with a session, rewritten as a whole at each change.
pub(crate) const SESSION_DOCUMENT_MAX_BYTES: usize = 4_096;

// Lists.

/// One screen or one request; more would hold a reader for too long.
pub(crate) const PAGE_MAX_ROWS: u32 = 500;
/// A page when nobody says.
pub(crate) const PAGE_DEFAULT_ROWS: u32 = 100;

// Ids, tokens and headers.

/// Draws of an id that turns out to be taken. Ten random bytes behind a millisecond: a second draw
/// is for a source that repeats itself, and one that does so as often is none.
pub(crate) const ID_DRAWS_MAX: u32 = 4;
/// 256 bits: no guess, no birthday (ASVS 7.2.3 asks for 128).
pub(crate) const TOKEN_SECRET_BYTES: usize = 32;
/// Four of the prefix, seventy of base64url: all kinds have the same length.
pub(crate) const TOKEN_TEXT_BYTES: usize = 74;
/// Twice what the longest token and device need in base64; more is refused unread.
pub(crate) const HEADER_MAX_BYTES: usize = 1_024;

// Passwords.

/// NIST SP 800-63B-4 3.1.1.2: 8 with a second factor; ASVS 6.2.1. Nothing may go below.
pub(crate) const PASSWORD_MIN_CHARS: usize = 8;
/// NIST SP 800-63B-4 3.1.1.2: 15 where the password is the only factor.
pub(crate) const PASSWORD_MIN_CHARS_ALONE: usize = 15;
/// A minimum above this would refuse what NIST wants permitted (at least 64 characters).
pub(crate) const PASSWORD_MIN_CHARS_MAX: usize = 64;
/// Hashing cost grows hardly with length, normalising does: bounded before it is touched.
pub(crate) const PASSWORD_MAX_BYTES: usize = 4_096;
/// 64 characters of four bytes each must always fit.
pub(crate) const PASSWORD_MAX_BYTES_LEAST: usize = 256;
/// Names shorter than this are part of too many good passwords by chance.
pub(crate) const CONTEXT_WORD_MIN_CHARS: usize = 4;
/// A shorter expiry would be a way to lock everyone out.
pub(crate) const PASSWORD_EXPIRY_LEAST: Duration = Duration::from_secs(86_400);

// Hashing.

/// Memory of a hash: with two passes the middle set of OWASP ASVS 5.0, appendix C.
pub(crate) const HASH_MEMORY_DEFAULT_KIB: u32 = 19_456;
/// Passes of a hash over its memory.
pub(crate) const HASH_PASSES_DEFAULT: u32 = 2;
/// A stored hash that asks for more is refused before memory is taken, at every login.
pub(crate) const HASH_MEMORY_MAX_KIB: u32 = 262_144;
/// At the most memory, this is already seconds of work.
pub(crate) const HASH_PASSES_MAX: u32 = 16;
/// Lanes are computed one after the other, so more of them would buy nothing.
pub(crate) const HASH_LANES_MAX: u32 = 4;
/// Salts that we draw: RFC 9106 section 3.1.
pub(crate) const HASH_SALT_BYTES: usize = 16;
/// Outputs that we compute: RFC 9106 section 4.
pub(crate) const HASH_OUTPUT_BYTES: usize = 32;
/// What a hash is taken to last when a wait is estimated. Fixed: if it were measured, the answer
/// to a stranger would tell what other people's logins just cost.
pub(crate) const HASH_ESTIMATE_MS: u64 = 50;
/// Long enough for a wave of logins, short enough that a desktop application does not hold 19 MiB
/// for its whole life.
pub(crate) const HASH_MEMORY_IDLE_MAX_MS: u64 = 60_000;
/// Logins that may wait for a hash on a server.
pub(crate) const HASHES_WAITING_SERVER: usize = 64;
/// Logins that may wait for a hash on a desktop.
pub(crate) const HASHES_WAITING_DESKTOP: usize = 8;
/// Each takes 19 MiB at the recommended cost.
pub(crate) const HASHES_AT_ONCE_MAX: usize = 1_024;
/// Each is a thread of the host.
pub(crate) const HASHES_WAITING_MAX: usize = 100_000;

// Failed attempts.

/// Failures in a row before the first wait.
pub(crate) const THROTTLE_FREE_FAILURES: i64 = 5;
/// The first wait (NIST SP 800-63B-4 3.2.2: 30 s to 1 h, growing); it doubles with each failure.
pub(crate) const THROTTLE_FIRST_WAIT_MS: i64 = 30_000;
/// Where the doubling ends.
pub(crate) const THROTTLE_LONGEST_WAIT_MS: i64 = 3_600_000;
/// NIST SP 800-63B-4 3.2.2: no more than 100 consecutive failures.
pub(crate) const THROTTLE_HARD_STOP_FAILURES: i64 = 100;
/// The wait at the hard stop.
pub(crate) const THROTTLE_HARD_STOP_MS: i64 = 24 * 3_600_000;
/// Names nobody has that are counted at once: about 1 MB, and hours of guessing at full speed.
pub(crate) const THROTTLE_UNKNOWN_NAMES: i64 = 10_000;
/// An unknown name that was not tried for a day is forgotten.
pub(crate) const THROTTLE_UNKNOWN_KEPT: Duration = Duration::from_secs(86_400);
/// Devices of one user that have a budget of attempts of their own: more than a person owns.
pub(crate) const DEVICES_PER_USER: i64 = 100;

// Sessions.

/// The lifetime of a session when the login does not say.
pub(crate) const SESSION_LIFETIME_DEFAULT_MS: u64 = 24 * 3_600_000;
/// What a login may ask for at most: NIST AAL1 reauthenticates after 30 days.
pub(crate) const SESSION_LIFETIME_MAX_SERVER_MS: u64 = 30 * 86_400_000;
/// What it may ask for on a desktop, whose owner has the machine itself.
pub(crate) const SESSION_LIFETIME_MAX_DESKTOP_MS: u64 = 90 * 86_400_000;
/// No policy may go beyond: a session that outlives the audit of its login is nobody's.
pub(crate) const SESSION_LIFETIME_CEILING_MS: u64 = 400 * 86_400_000;
/// NIST SP 800-63B-4 2.2.3: AAL2 lives 24 hours.
pub(crate) const SESSION_LIFETIME_AAL2_MS: u64 = 24 * 3_600_000;
/// NIST SP 800-63B-4 2.2.3: AAL2 idles 1 hour.
pub(crate) const SESSION_IDLE_AAL2_MS: u64 = 3_600_000;
/// NIST SP 800-63B-4 2.3.3: AAL3 lives 12 hours.
pub(crate) const SESSION_LIFETIME_AAL3_MS: u64 = 12 * 3_600_000;
/// NIST SP 800-63B-4 2.3.3: AAL3 idles 15 minutes.
pub(crate) const SESSION_IDLE_AAL3_MS: u64 = 15 * 60_000;
/// Last use is written every tenth of the idle limit: below this, that would be a write a request.
pub(crate) const SESSION_IDLE_LEAST_MS: u64 = 10_000;
/// Sessions of one user on a server: devices of a person, with room.
pub(crate) const SESSIONS_PER_USER_SERVER: u32 = 10;
/// Sessions of one user on a desktop.
pub(crate) const SESSIONS_PER_USER_DESKTOP: u32 = 5;
/// Above this the list of a user's sessions is no list.
pub(crate) const SESSIONS_PER_USER_CEILING: u32 = 10_000;
/// A session opened or last used further in the future than this is refused: a clock glitched.
pub(crate) const CLOCK_SKEW_MAX_MS: i64 = clock_skew_max_ms!();
/// The same as a literal, for the statements that SQLite reads.
macro_rules! clock_skew_max_ms {
    () => {
        60000
    };
}
pub(crate) use clock_skew_max_ms;

// The last use of sessions, written late.

/// A use of a session is written within this part of its idle limit...
pub(crate) const TOUCHES_PER_IDLE_LIMIT: i64 = 10;
/// ...and within a minute.
pub(crate) const TOUCH_WAITS_MAX_MS: i64 = 60_000;
/// After uses could not be written, the next verify of anybody tries again once this has passed.
pub(crate) const TOUCH_RETRY: Duration = Duration::from_secs(1);
/// Uses written in one transaction.
pub(crate) const TOUCHES_PER_BATCH: usize = 256;
/// Sessions whose use may wait to be written; beyond it the file is a little behind.
pub(crate) const TOUCHES_PENDING: usize = 65_536;

// API keys.

/// Keys of one user: verify never counts them, issuing does.
pub(crate) const API_KEYS_PER_USER_MAX: u32 = 1_000;
/// The longest overlap when a key is reassigned: both are valid in it.
pub(crate) const API_KEY_OVERLAP_MAX: Duration = Duration::from_secs(30 * 86_400);

// Verifying.

/// No verify waits longer, all its waits together, then it is `Busy`.
pub(crate) const VERIFY_WAIT: Duration = Duration::from_millis(50);
/// Its share for the change log.
pub(crate) const FOLLOW_WAIT: Duration = Duration::from_millis(10);
/// Its share for a read connection and the file.
pub(crate) const LOOK_WAIT: Duration = Duration::from_millis(30);
/// Its share for another look at a session that seems idle.
pub(crate) const LOOK_AGAIN_WAIT: Duration = Duration::from_millis(10);
const _: () = assert!(
    FOLLOW_WAIT.as_millis() + LOOK_WAIT.as_millis() + LOOK_AGAIN_WAIT.as_millis()
        <= VERIFY_WAIT.as_millis()
);
/// Refusals are counted by the minute.
pub(crate) const MINUTE_MS: i64 = 60_000;
/// Minutes times reasons whose counts wait to be written; the rest is counted as "other".
pub(crate) const TALLY_ENTRIES: usize = 256;

// The cache of verified sessions and keys.

/// Sessions and keys remembered by default; `Options::cache` says how many bytes one takes.
pub(crate) const CACHE_ENTRIES: usize = 131_072;
/// Above this the memory is better left to the page cache: about 3 GiB.
pub(crate) const CACHE_ENTRIES_MAX: usize = 16_777_216;
/// Parts that are written independently; a power of two.
pub(crate) const CACHE_SHARDS: usize = 16;
/// Slots for what ends one session or key. Sharing one costs a look at the file.
pub(crate) const CACHE_SESSION_STAMPS: u32 = 131_072;
/// Slots for what changes a user.
pub(crate) const CACHE_USER_STAMPS: u32 = 32_768;
/// Change rows that a catch-up reads; further behind, it drops everything.
pub(crate) const CHANGE_ROWS_FOLLOWED: i64 = 4_096;

// The audit log.

/// User agents grow by fashion; what is beyond says nothing more.
pub(crate) const USER_AGENT_MAX_BYTES: usize = 512;
/// The name a host gives to its own event.
pub(crate) const HOST_EVENT_NAME_MAX_BYTES: usize = 64;
/// One line of an audit row.
pub(crate) const EVENT_DETAIL_MAX_BYTES: usize = 1_024;
/// Events of the host in one commit.
pub(crate) const HOST_EVENTS_PER_CALL: usize = 1_000;
/// A little over a year, so that each day can be compared with that of a year before.
pub(crate) const AUDIT_KEPT_SERVER_MS: u64 = 400 * 86_400_000;
/// About 200 MB.
pub(crate) const AUDIT_KEPT_SERVER_ROWS: u64 = 1_000_000;
/// 90 days.
pub(crate) const AUDIT_KEPT_DESKTOP_MS: u64 = 90 * 86_400_000;
/// About 10 MB.
pub(crate) const AUDIT_KEPT_DESKTOP_ROWS: u64 = 50_000;
/// Below this a burst would push out what explains it.
pub(crate) const AUDIT_KEPT_ROWS_LEAST: u64 = 1_000;
/// The audit log keeps at least one day.
pub(crate) const AUDIT_KEPT_LEAST: Duration = Duration::from_secs(86_400);
/// Rows that one append may trim to hold the cap.
pub(crate) const AUDIT_TRIMMED_PER_APPEND: i64 = 8;

// Maintenance and the change log.

/// Expired rows of each kind that one login sweeps, so that nothing depends on maintenance.
pub(crate) const SWEEP_PER_LOGIN_ROWS: i64 = 32;
/// Rows of each kind that one transaction of maintenance sweeps: less than a millisecond.
pub(crate) const SWEEP_PER_BATCH_ROWS: i64 = 8;
/// Maintenance rests for so many times as long as its last transaction took, while others write...
pub(crate) const UPKEEP_PAUSE_PIECES: u32 = 10;
/// ...but no longer than this.
pub(crate) const UPKEEP_PAUSE_MAX: Duration = Duration::from_millis(50);
/// Change rows kept behind the head: a process that fell further behind drops what it cached.
pub(crate) const CHANGE_ROWS_KEPT: i64 = 10_000;

// Writing and group commit.

/// A write waits this long for another writer, then it is `Busy`.
pub(crate) const WRITE_WAIT: Duration = Duration::from_secs(5);
/// Threads of one process that may wait to write; the next is `Busy` at once.
pub(crate) const WRITES_WAITING_MAX: usize = 1_024;
/// Writes that one commit takes along: with more, the first would wait longer than a flush.
pub(crate) const GROUP_MEMBERS_MAX: u64 = 256;
/// For so long after its begin a group is joined; then other processes get their turn.
pub(crate) const GROUP_GROWS: Duration = Duration::from_millis(20);
/// Nothing tells when another process lets go of the file: looked at first after this time...
pub(crate) const WRITE_POLL_FIRST: Duration = Duration::from_micros(50);
/// ...then at twice the time each, up to this. It is also the longest that one process leaves the
/// file alone for another.
pub(crate) const WRITE_POLL_LONGEST: Duration = Duration::from_millis(1);
/// Fences that are remembered of one commit in doubt: each attempt to settle it writes one, and an
/// older one that comes back after all says nothing.
pub(crate) const FENCES_REMEMBERED: usize = 8;
/// Files of which a process remembers a commit in doubt; of one more, the oldest is forgotten.
pub(crate) const FILES_IN_DOUBT_MAX: usize = 64;
/// Groups for which way is given after another process was seen to write.
pub(crate) const GROUPS_GIVING_WAY: u32 = 64;

// The write-ahead log.

/// What a write-ahead log is cut back to once it was checkpointed.
pub(crate) const WAL_KEPT_BYTES: i64 = 4 * 1_024 * 1_024;
/// One that is longer than this, though it was checkpointed, is kept by readers who take turns:
/// they are waited for...
pub(crate) const WAL_LONG_BYTES: i64 = 2 * WAL_KEPT_BYTES;
/// ...for so long, in which nobody writes. Far beyond any read of this library, and far below what
/// a writer waits...
pub(crate) const WAL_READERS_WAIT: Duration = Duration::from_millis(50);
/// ...and, if that was in vain, not again for so long: a reader that never lets go takes one
/// twentieth of the writers' time.
pub(crate) const WAL_READERS_RETRY: Duration = Duration::from_secs(1);

// The file and the disk.

/// SQLite on Unix takes paths of 512 bytes, and adds "-journal" to them.
pub(crate) const PATH_MAX_BYTES: usize = 504;
/// Names end at 255 bytes nearly everywhere, and SQLite and a backup put up to 30 behind this one.
pub(crate) const FILE_NAME_MAX_BYTES: usize = 220;
/// Between two looks whether the file is still ours.
pub(crate) const FILE_LOOK_MS: i64 = 1_000;
/// Above this the room is better left to the file.
pub(crate) const DISK_RESERVE_MAX_BYTES: u64 = 1_024 * 1_024 * 1_024;
/// After the disk was found full, an ordinary write is tried no sooner than this...
pub(crate) const FULL_PROBE_MS: i64 = 1_000;
/// ...and only if the file system has so much room: a write and its log, some times over.
pub(crate) const FULL_ROOM_BYTES: u64 = 128 * 1_024;

// SQLite and its connections.

/// 3.51.3 mended the WAL-reset corruption.
pub(crate) const SQLITE_OLDEST: i32 = 3_051_003;
/// Reader connections of one process; each costs two descriptors and a page cache.
pub(crate) const READ_CONNECTIONS: usize = 16;
/// Prepared statements kept by a connection: more than the library has.
pub(crate) const CACHED_STATEMENTS: usize = 256;
/// A text or BLOB in the file; the largest of ours is an attributes document.
pub(crate) const SQLITE_VALUE_BYTES: i32 = 1_000_000;
/// The schema script is the longest statement text.
pub(crate) const SQLITE_STATEMENT_BYTES: i32 = 100_000;
/// Ours do not nest beyond two.
pub(crate) const SQLITE_TRIGGER_DEPTH: i32 = 10;
