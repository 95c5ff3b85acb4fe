//! What a host decides when it opens a store.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::hasher::Cost;
use crate::storage::Tolerances;
use crate::value::limits;
use crate::value::policy::ApiVersion;
use crate::value::policy::{PasswordPolicy, SessionPolicy};
use crate::value::random::{RandomSource, SystemRandom};
use crate::value::time::Clock;

/// How a store is opened and what it allows. Built by value; two are equal if all their values are
/// (a clock or random source is equal to itself alone).
///
/// No option weakens durability: every acknowledged write survives a power loss.
///
/// ```
/// use std::time::Duration;
/// use gatepost::{Options, SessionPolicy};
///
/// let options = Options::server()
///     .service_name("Local Server")
///     .sessions(SessionPolicy::server().idle(Duration::from_secs(3_600)));
/// assert_ne!(options, Options::server());
/// assert_eq!(options, options.clone());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(crate) service_name: String,
    pub(crate) api_oldest: ApiVersion,
    pub(crate) api_newest: ApiVersion,
    pub(crate) sessions: SessionPolicy,
    pub(crate) passwords: PasswordPolicy,
    pub(crate) password_expiry: Option<Duration>,
    pub(crate) change_at_login: ChangeAtLogin,
    pub(crate) cost: Cost,
    pub(crate) hashes_at_once: usize,
    pub(crate) hashes_waiting: usize,
    pub(crate) login_by_email: bool,
    pub(crate) reveal_lock: bool,
    pub(crate) disable_at_100: bool,
    pub(crate) api_keys_per_user: u32,
    pub(crate) cache_entries: Option<usize>,
    pub(crate) audit_kept_for: Duration,
    pub(crate) audit_kept_rows: u64,
    pub(crate) disk_reserve_bytes: u64,
    pub(crate) tolerances: Tolerances,
    pub(crate) for_tests: bool,
    /// `None`: that of the system.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn RandomSource>,
}

/// Who may change a password while logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ChangeAtLogin {
    /// Users who are marked, or whose password has expired.
    #[default]
    WhenMarked,
    /// Everyone.
    Always,
}

impl Options {
    /// For a small server; the default.
    pub fn server() -> Self {
        Self {
            service_name: String::from("Gatepost"),
            api_oldest: ApiVersion::new(1, 0),
            api_newest: ApiVersion::new(1, 0),
            sessions: SessionPolicy::server(),
            passwords: PasswordPolicy::default(),
            password_expiry: None,
            change_at_login: ChangeAtLogin::WhenMarked,
            cost: Cost::recommended(),
            hashes_at_once: std::thread::available_parallelism().map_or(1, usize::from),
            hashes_waiting: limits::HASHES_WAITING_SERVER,
            login_by_email: false,
            reveal_lock: false,
            disable_at_100: false,
            api_keys_per_user: 1,
            cache_entries: Some(limits::CACHE_ENTRIES),
            audit_kept_for: Duration::from_millis(limits::AUDIT_KEPT_SERVER_MS),
            audit_kept_rows: limits::AUDIT_KEPT_SERVER_ROWS,
            disk_reserve_bytes: 0,
            tolerances: Tolerances::default(),
            for_tests: false,
            clock: None,
            random: Arc::new(SystemRandom),
        }
    }

    /// For a desktop application, whose device several people may share.
    pub fn desktop() -> Self {
        Self {
            sessions: SessionPolicy::desktop(),
            hashes_at_once: 1,
            hashes_waiting: limits::HASHES_WAITING_DESKTOP,
            audit_kept_for: Duration::from_millis(limits::AUDIT_KEPT_DESKTOP_MS),
            audit_kept_rows: limits::AUDIT_KEPT_DESKTOP_ROWS,
            ..Self::server()
        }
    }

    /// For tests of a host: as [`Options::server`], with a hash cost that protects nothing.
    ///
    /// Only a file that was created with these options accepts that cost.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn for_tests() -> Self {
        Self { cost: Cost::insecure_for_tests(), for_tests: true, ..Self::server() }
    }

    /// The name shown to clients in replies; also a word that no password may be. "Gatepost" if
    /// left out.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        Self { service_name: name.into(), ..self }
    }

    /// The oldest and the newest version of the host's API that it serves; a login that names
    /// another is refused. 1.0 alone if left out.
    pub fn api_versions(self, oldest: ApiVersion, newest: ApiVersion) -> Self {
        Self { api_oldest: oldest, api_newest: newest, ..self }
    }

    /// How long sessions live, how many there are, how they are tied to devices.
    pub fn sessions(self, policy: SessionPolicy) -> Self {
        Self { sessions: policy, ..self }
    }

    /// What a new password must be.
    pub fn passwords(self, policy: PasswordPolicy) -> Self {
        Self { passwords: policy, ..self }
    }

    /// After how long a password must be changed; never if left out, and better so (NIST SP
    /// 800-63B-4 3.1.1.2 and OWASP ASVS 6.2.10 forbid it as a routine).
    pub fn password_expiry(self, after: impl Into<Option<Duration>>) -> Self {
        Self { password_expiry: after.into(), ..self }
    }

    /// Who may change a password while logging in.
    pub fn change_at_login(self, who: ChangeAtLogin) -> Self {
        Self { change_at_login: who, ..self }
    }

    /// The cost of a password hash; stored ones of a lower cost are made anew at the next login.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// How many passwords are hashed at once (each takes the memory of the cost), and how many
    /// logins may wait for that; one more is `Overloaded`. The number of cores and 64 if left out.
    pub fn hashing(self, at_once: usize, waiting: usize) -> Self {
        Self { hashes_at_once: at_once, hashes_waiting: waiting, ..self }
    }

    /// Whether the e-mail address serves as a user name as well, which makes it unique.
    pub fn login_by_email(self, allowed: bool) -> Self {
        Self { login_by_email: allowed, ..self }
    }

    /// Whether a login that has to wait after failed attempts is told that the account is locked,
    /// and until when, instead of "too many attempts". Nothing is compared in either case, and
    /// names that nobody has are answered alike.
    pub fn reveal_lock(self, reveal: bool) -> Self {
        Self { reveal_lock: reveal, ..self }
    }

    /// Whether the hundredth failed attempt in a row disables the account until an administrator
    /// unlocks it, instead of for 24 hours.
    pub fn disable_at_100(self, disable: bool) -> Self {
        Self { disable_at_100: disable, ..self }
    }

    /// How many API keys a user may have at once, 1 to 1,000. One if left out.
    pub fn api_keys_per_user(self, keys: u32) -> Self {
        Self { api_keys_per_user: keys, ..self }
    }

    /// How many sessions and keys are remembered between verifies, 1 to 16,777,216; `None` asks the
    /// file each time. 131,072 if left out. One takes about 200 bytes, which README's figure
    /// `bytes_per_cached_session` measures; the default takes about 25 MiB when it is full. What
    /// is remembered is as fresh as the file either way.
    pub fn cache(self, entries: impl Into<Option<usize>>) -> Self {
        Self { cache_entries: entries.into(), ..self }
    }

    /// How long and in how many rows the audit log is kept; the host's own records have a cap of
    /// their own of the same size. 400 days and 1,000,000 rows if left out.
    pub fn audit_kept(self, longest: Duration, rows: u64) -> Self {
        Self { audit_kept_for: longest, audit_kept_rows: rows, ..self }
    }

    /// Room on the disk that is kept for ending sessions when there is none left, at most 1 GiB: a
    /// file of so many bytes beside the store (`-reserve`), deleted when it is needed and written
    /// anew by [`Store::maintain`](crate::Store::maintain) and at the next opening when there is
    /// room. None if left out; 1 MiB is plenty.
    ///
    /// Without it, what cannot be written is refused from memory until it can.
    pub fn disk_reserve(self, bytes: u64) -> Self {
        Self { disk_reserve_bytes: bytes, ..self }
    }

    /// Opens a file on NFS, SMB or AFS all the same. Their locks may lose writes.
    pub fn allow_network_file_system(mut self) -> Self {
        self.tolerances.network_file_system = true;
        self
    }

    /// Opens a file that has more than one name. SQLite cannot protect such a file.
    pub fn allow_hard_links(mut self) -> Self {
        self.tolerances.hard_links = true;
        self
    }

    /// Opens a file that belongs to another user.
    pub fn allow_foreign_owner(mut self) -> Self {
        self.tolerances.foreign_owner = true;
        self
    }

    /// Opens a file in a directory that anyone may write to.
    pub fn allow_shared_directory(mut self) -> Self {
        self.tolerances.shared_directory = true;
        self
    }

    /// Where the time comes from.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Where random bytes come from.
    pub fn random_source(self, random: Arc<dyn RandomSource>) -> Self {
        Self { random, ..self }
    }

    /// Asked once, when a store is opened.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        self.sessions.check_bounds()?;
        self.passwords.check_bounds()?;
        if self.service_name.is_empty() || self.service_name.len() > limits::DISPLAY_NAME_MAX_BYTES
        {
            return Err(Error::invalid("the service name is not 1 to 256 bytes"));
        }
        if self.api_oldest > self.api_newest {
            return Err(Error::invalid("the oldest API version is above the newest"));
        }
        if self.hashes_at_once == 0 || self.hashes_at_once > limits::HASHES_AT_ONCE_MAX {
            return Err(Error::invalid("the hashes at once are not 1 to 1,024"));
        }
        if self.hashes_waiting > limits::HASHES_WAITING_MAX {
            return Err(Error::invalid("the logins that may wait are above 100,000"));
        }
        if self.password_expiry.is_some_and(|after| after < limits::PASSWORD_EXPIRY_LEAST) {
            return Err(Error::invalid("the expiry of passwords is below one day"));
        }
        if self.api_keys_per_user == 0 || self.api_keys_per_user > limits::API_KEYS_PER_USER_MAX {
            return Err(Error::invalid("the API keys of a user are not 1 to 1,000"));
        }
        if self
            .cache_entries
            .is_some_and(|entries| !(1..=limits::CACHE_ENTRIES_MAX).contains(&entries))
        {
            return Err(Error::invalid("the remembered sessions are not 1 to 16,777,216"));
        }
        if self.audit_kept_rows < limits::AUDIT_KEPT_ROWS_LEAST
            || self.audit_kept_for < limits::AUDIT_KEPT_LEAST
        {
            return Err(Error::invalid("the audit log keeps at least 1,000 rows and one day"));
        }
        if self.disk_reserve_bytes > limits::DISK_RESERVE_MAX_BYTES {
            return Err(Error::invalid("the reserve on the disk is above 1 GiB"));
        }
        if !self.cost.meets_floor() && !self.for_tests {
            return Err(Error::invalid("the test cost is for stores made for tests"));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::server()
    }
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new option cannot be forgotten here.
        let Self {
            service_name,
            api_oldest,
            api_newest,
            sessions,
            passwords,
            password_expiry,
            change_at_login,
            cost,
            hashes_at_once,
            hashes_waiting,
            login_by_email,
            reveal_lock,
            disable_at_100,
            api_keys_per_user,
            cache_entries,
            audit_kept_for,
            audit_kept_rows,
            disk_reserve_bytes,
            tolerances,
            for_tests,
            clock,
            random,
        } = self;
        *service_name == other.service_name
            && (*api_oldest, *api_newest) == (other.api_oldest, other.api_newest)
            && *sessions == other.sessions
            && *passwords == other.passwords
            && *password_expiry == other.password_expiry
            && *change_at_login == other.change_at_login
            && *cost == other.cost
            && (*hashes_at_once, *hashes_waiting) == (other.hashes_at_once, other.hashes_waiting)
            && *login_by_email == other.login_by_email
            && *reveal_lock == other.reveal_lock
            && *disable_at_100 == other.disable_at_100
            && *api_keys_per_user == other.api_keys_per_user
            && *cache_entries == other.cache_entries
            && *audit_kept_for == other.audit_kept_for
            && *audit_kept_rows == other.audit_kept_rows
            && *disk_reserve_bytes == other.disk_reserve_bytes
            && *tolerances == other.tolerances
            && *for_tests == other.for_tests
            && same_clock(clock.as_ref(), other.clock.as_ref())
            && same(random, &other.random)
    }
}

impl Eq for Options {}

/// Two clocks that are the same; none is the system's.
fn same_clock(one: Option<&Arc<dyn Clock>>, other: Option<&Arc<dyn Clock>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (Some(given), None) | (None, Some(given)) => size_of_val(&**given) == 0,
        (None, None) => true,
    }
}

/// The same object, or two of a kind without any state, such as the system's clock.
fn same<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || (size_of_val(&**one) == 0 && size_of_val(&**other) == 0)
}
