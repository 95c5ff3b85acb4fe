//! The presets of the options, and one setter for each option.

use std::sync::Arc;
use std::time::Duration;

use super::{ChangeAtLogin, DangerousOptions, FileOptions, Lockout, Options, Source};
use crate::hasher::Cost;
use crate::storage::Tolerances;
use crate::value::limits;
use crate::value::policy::{ApiVersion, Breaches, PasswordPolicy, SessionPolicy};
use crate::value::random::SystemRandom;
use crate::value::second_factor::SecondFactorPolicy;

impl Options {
    /// The options of a small server, which are the default: [`SessionPolicy::server`],
    /// [`PasswordPolicy::default`], one hash at a time for each core, 64 logins that wait for one,
    /// and an audit log of 400 days or 1,000,000 rows.
    ///
    /// ```
    /// use gatepost::policy::{Cost, SessionPolicy};
    /// use gatepost::Options;
    /// let server = Options::server();
    /// assert_eq!(server, Options::default());
    /// assert_eq!(server, server.clone().sessions(SessionPolicy::server()));
    /// assert_eq!(server, server.clone().cost(Cost::recommended()));
    /// ```
    pub fn server() -> Self {
        Self {
            file: FileOptions::server(),
            service_name: String::from("Gatepost"),
            api_oldest: ApiVersion::new(1, 0),
            api_newest: ApiVersion::new(1, 0),
            sessions: SessionPolicy::server(),
            passwords: PasswordPolicy::default(),
            password_expiry: None,
            change_at_login: ChangeAtLogin::WhenMarked,
            cost: Cost::recommended(),
            api_keys_per_user: 1,
            strict_totp: false,
            breaches: Breaches::Unchecked,
            max_concurrent_hashes: std::thread::available_parallelism().map_or(1, usize::from),
            max_waiting_hashes: limits::MAX_WAITING_HASHES_SERVER,
            cache_entries: Some(limits::CACHE_ENTRIES),
            disk_reserve_bytes: 0,
            tolerances: Tolerances::default(),
            unsealed_totp: false,
            clock: None,
            random: Arc::new(SystemRandom),
            keyring: None,
            observer: None,
            source: Source::Host,
        }
    }

    /// The options of a desktop application, whose device several people may share: as
    /// [`Options::server`], with [`SessionPolicy::desktop`], one hash at a time, 8 logins that
    /// wait for one, and a smaller audit log (90 days or 50,000 rows).
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::Options;
    /// let desktop = Options::desktop();
    /// assert_eq!(desktop, desktop.clone().sessions(SessionPolicy::desktop()));
    /// assert_eq!(desktop, desktop.clone().max_concurrent_hashes(1).max_waiting_hashes(8));
    /// ```
    pub fn desktop() -> Self {
        Self {
            file: FileOptions::desktop(),
            sessions: SessionPolicy::desktop(),
            max_concurrent_hashes: 1,
            max_waiting_hashes: limits::MAX_WAITING_HASHES_DESKTOP,
            ..Self::server()
        }
    }

    /// The options of a web application whose device is a cookie of the browser: as
    /// [`Options::server`], with [`SessionPolicy::web`] (a browser stays signed in for 30 days).
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::Options;
    /// assert_eq!(Options::web(), Options::server().sessions(SessionPolicy::web()));
    /// ```
    pub fn web() -> Self {
        Self { sessions: SessionPolicy::web(), ..Self::server() }
    }

    /// The options that an existing file stores, of the file and policy: for tools, which thereby
    /// follow the options of the program that owns the file.
    ///
    /// Options of the process are those of [`Options::server`] and may be set. If an option of
    /// another kind is set, [`Store::open`](crate::Store::open) fails with `Invalid`; if there is
    /// no file, with `NotFound`. If the file says that a breach check is in use and
    /// [`breach_check`](Self::breach_check) is not set, a call that sets a new password fails with
    /// `Misuse`: the check is never skipped. If the file seals its hashes and
    /// [`keyring`](Self::keyring) lacks the key, a call that compares or sets a password fails with
    /// `KeyMissing`.
    ///
    /// ```
    /// use gatepost::{ErrorKind, Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// assert_eq!(Store::open(&path, Options::stored()).unwrap_err().kind(), ErrorKind::NotFound);
    ///
    /// Store::open(&path, Options::server().service_name("Local Server"))?.close()?;
    /// let store = Store::open(&path, Options::stored())?;
    /// assert_eq!(store.service().name, "Local Server");
    /// assert_eq!(store.status().open_warnings, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stored() -> Self {
        Self { source: Source::File { but_set: None }, ..Self::server() }
    }

    /// The options for the tests of a host: as [`Options::server`], with a hash cost that protects
    /// nothing. Needs the feature `test-util`.
    ///
    /// Of the file: a file that was created with these options opens with no others, and no other
    /// file accepts that cost.
    ///
    /// ```
    /// use gatepost::policy::Cost;
    /// use gatepost::{Options, Store};
    /// let store = Store::in_memory(Options::for_tests())?;
    /// assert_eq!(store.status().path, None);
    /// assert_ne!(Options::for_tests(), Options::server().cost(Cost::insecure_for_tests()));
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn for_tests() -> Self {
        let server = Self::server();
        let file = FileOptions { for_tests: true, ..server.file };
        Self { cost: Cost::insecure_for_tests(), file, ..server }
    }

    /// The name of the service: replies show it, and no password may be that word. 1 to 256 bytes;
    /// the default is "Gatepost". Kind: policy.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().service_name("Local Server"))?;
    /// assert_eq!(store.service().name, "Local Server");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn service_name(self, name: impl Into<String>) -> Self {
        Self { service_name: name.into(), ..self.setting("service_name") }
    }

    /// The oldest and the newest version of the host's own API that it serves. A login that names
    /// a version outside them is refused as
    /// [`IncompatibleApiVersion`](crate::LoginRefusal::IncompatibleApiVersion). The default is 1.0
    /// alone. Kind: policy.
    ///
    /// ```
    /// use gatepost::policy::ApiVersion;
    /// use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let versions = (ApiVersion::new(1, 0), ApiVersion::new(2, 1));
    /// let store = Store::open(path, Options::server().api_versions(versions.0, versions.1))?;
    /// assert_eq!(store.service().api_version, versions.1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn api_versions(self, oldest: ApiVersion, newest: ApiVersion) -> Self {
        Self { api_oldest: oldest, api_newest: newest, ..self.setting("api_versions") }
    }

    /// How long sessions live, how many a user may have, and whether each needs a device. The
    /// default is [`SessionPolicy::server`]. Kind: policy.
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::Options;
    /// assert_eq!(Options::server().sessions(SessionPolicy::web()), Options::web());
    /// ```
    pub fn sessions(self, policy: SessionPolicy) -> Self {
        Self { sessions: policy, ..self.setting("sessions") }
    }

    /// The rules that a new password must meet. The default is [`PasswordPolicy::default`]. Kind:
    /// policy.
    ///
    /// ```
    /// use gatepost::policy::{PasswordPolicy, PasswordRule};
    /// use gatepost::{NewUser, Options, Password, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().passwords(PasswordPolicy::nist()))?;
    /// let ada = NewUser::person("ada").password(Password::from("wet slate"));
    /// let error = store.users().create(ada).unwrap_err();
    /// assert_eq!(error.password_rule(), Some(PasswordRule::TooShort { min_chars: 15 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn passwords(self, policy: PasswordPolicy) -> Self {
        Self { passwords: policy, ..self.setting("passwords") }
    }

    /// The age at which a password must be changed, 1 day to 100 years. One that was set in the
    /// future, by a wrong clock, must be changed as well. The default is `None`: never. Keep it
    /// unless a rule binds you: NIST SP 800-63B-4 3.1.1.2 and OWASP ASVS 6.2.10 forbid expiry as a
    /// routine. Kind: policy.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::Options;
    /// let options = Options::server().password_expiry(Duration::from_secs(90 * 86_400));
    /// assert_ne!(options, Options::server());
    /// assert_eq!(options.password_expiry(None), Options::server());
    /// ```
    pub fn password_expiry(self, after: impl Into<Option<Duration>>) -> Self {
        Self { password_expiry: after.into(), ..self.setting("password_expiry") }
    }

    /// Which users may change their password while they log in. The default is
    /// [`ChangeAtLogin::WhenMarked`]. Kind: policy.
    ///
    /// ```
    /// use gatepost::policy::ChangeAtLogin;
    /// use gatepost::Options;
    /// assert_ne!(Options::server().change_at_login(ChangeAtLogin::Always), Options::server());
    /// ```
    pub fn change_at_login(self, who: ChangeAtLogin) -> Self {
        Self { change_at_login: who, ..self.setting("change_at_login") }
    }

    /// The cost of a password hash. A stored hash of a lower cost is computed again at the next
    /// login of its user. The default is [`Cost::recommended`]. Kind: policy.
    ///
    /// ```
    /// use gatepost::policy::Cost;
    /// use gatepost::Options;
    /// let options = Options::server().cost(Cost::new(47_104, 1, 1)?);
    /// assert_ne!(options, Options::server());
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    #[doc(alias("argon2", "bcrypt"))]
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self.setting("cost") }
    }

    /// How many API keys a user may have at once, 1 to 1,000; issuing one more fails with
    /// `LimitReached`. Attenuated keys do not count. The default is 1. Kind: policy.
    ///
    /// ```
    /// use gatepost::sessions::NewApiKey;
    /// use gatepost::{NewUser, Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().api_keys_per_user(2))?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// store.api_keys().issue(mailer, NewApiKey::new())?;
    /// assert!(store.api_keys().issue(mailer, NewApiKey::new()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn api_keys_per_user(self, keys: u32) -> Self {
        Self { api_keys_per_user: keys, ..self.setting("api_keys_per_user") }
    }

    /// Whether a code of an authenticator is accepted in its own step of 30 s alone (ASVS 6.5.5).
    /// With `false`, the default, the code of the step before is accepted too (RFC 6238, section
    /// 5.2): a person who types slowly, or whose clock is some seconds behind, is not refused.
    /// Kind: policy.
    ///
    /// ```
    /// use gatepost::Options;
    /// assert_ne!(Options::server().strict_totp(true), Options::server());
    /// ```
    pub fn strict_totp(self, strict: bool) -> Self {
        Self { strict_totp: strict, ..self.setting("strict_totp") }
    }

    /// Whether a user may log in with the e-mail address as well as the username, which makes
    /// addresses unique. The default is no. Kind: of the file.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser, Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().login_by_email(true))?;
    /// store.users().create(NewUser::person("ada").email("ada@example.com"))?;
    /// let ben = NewUser::person("ben").email("ada@example.com");
    /// let error = store.users().create(ben).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Taken);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn login_by_email(self, allowed: bool) -> Self {
        let mut options = self.setting("login_by_email");
        options.file.login_by_email = allowed;
        options
    }

    /// What happens after 90 failed attempts in a row on a user from unknown devices, and after ten
    /// from known ones. The default is [`Lockout::Timed`]. Kind: of the file.
    ///
    /// ```
    /// use gatepost::policy::Lockout;
    /// use gatepost::Options;
    /// assert_ne!(Options::server().lockout(Lockout::Permanent), Options::server());
    /// ```
    #[doc(alias("brute force", "rate limit"))]
    pub fn lockout(self, lockout: Lockout) -> Self {
        let mut options = self.setting("lockout");
        options.file.lockout = lockout;
        options
    }

    /// Which users must have a second factor. The default is
    /// [`SecondFactorPolicy::Optional`]. Kind: of the file.
    ///
    /// A user who must have one and has none is led to enrol one at the next login
    /// ([`LoginOutcome::Pending`](crate::LoginOutcome::Pending)); sessions and API keys that exist
    /// stay valid. A user who has one is asked for it whatever this says.
    ///
    /// ```
    /// use gatepost::policy::SecondFactorPolicy;
    /// use gatepost::Options;
    /// assert_ne!(Options::server().second_factor(SecondFactorPolicy::All), Options::server());
    /// ```
    #[doc(alias("2FA", "MFA", "TOTP"))]
    pub fn second_factor(self, policy: SecondFactorPolicy) -> Self {
        let mut options = self.setting("second_factor");
        options.file.second_factor = policy;
        options
    }

    /// The age at which the audit log deletes a row, 1 day to 100 years. The default is 400 days.
    /// Kind: of the file.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::{Options, Store};
    /// let hour = Options::server().audit_max_age(Duration::from_secs(3_600));
    /// let error = Store::open("auth.db", hour).unwrap_err();
    /// assert_eq!(error.to_string(), "audit_max_age (1 h) is not 1 d to 36500 d");
    /// ```
    pub fn audit_max_age(self, age: Duration) -> Self {
        let mut options = self.setting("audit_max_age");
        options.file.audit_max_age = age;
        options
    }

    /// The number of rows that the audit log keeps, 1,000 to 1,000,000,000,000; the host's own
    /// events have a separate cap of the same size, and what unauthenticated callers cause
    /// (refused logins and their like) has one of a quarter of it, at least 1,000. The default is
    /// 1,000,000. Kind: of the file.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// let error = Store::open("auth.db", Options::server().audit_max_rows(10)).unwrap_err();
    /// assert_eq!(error.to_string(), "audit_max_rows (10) is not 1000 to 1000000000000");
    /// ```
    pub fn audit_max_rows(self, rows: u64) -> Self {
        let mut options = self.setting("audit_max_rows");
        options.file.audit_max_rows = rows;
        options
    }

    /// How many passwords are hashed at once, 1 to 1,024; each takes the memory of the
    /// [`cost`](Self::cost). The default is the number of cores. Kind: of the process.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// let none = Options::server().max_concurrent_hashes(0);
    /// let error = Store::open("auth.db", none).unwrap_err();
    /// assert_eq!(error.to_string(), "max_concurrent_hashes (0) is not 1 to 1024");
    /// ```
    pub fn max_concurrent_hashes(self, hashes: usize) -> Self {
        Self { max_concurrent_hashes: hashes, ..self }
    }

    /// How many calls may wait for a hash, 0 to 100,000. One more login is refused at once as
    /// [`Overloaded`](crate::LoginRefusal::Overloaded), and another call fails with
    /// [`Overloaded`](crate::ErrorKind::Overloaded). The default is 64. Kind: of the process.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// let many = Options::server().max_waiting_hashes(100_001);
    /// let error = Store::open("auth.db", many).unwrap_err();
    /// assert_eq!(error.to_string(), "max_waiting_hashes (100001) is not 0 to 100000");
    /// ```
    pub fn max_waiting_hashes(self, logins: usize) -> Self {
        Self { max_waiting_hashes: logins, ..self }
    }

    /// How many verified sessions and keys are cached, 1 to 16,777,216; with `None` each verify
    /// reads the file. The default is 131,072. An entry takes about 200 bytes (README's figure
    /// `bytes_per_cached_session` measures it), a full cache of the default size about 25 MiB.
    /// Cached answers are as fresh as the file. Kind: of the process.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().cache(None))?;
    /// assert_eq!(store.status().cached, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache(self, entries: impl Into<Option<usize>>) -> Self {
        Self { cache_entries: entries.into(), ..self }
    }

    /// The size in bytes of a reserve file beside the store (`-reserve`), at most 1 GiB. When the
    /// disk is full, the store deletes it to have room for revocations; [`Store::maintain`] and
    /// the next opening write it again once there is room. The default is 0, no reserve; 1 MiB is
    /// plenty. Without it, a revocation that cannot be written is kept in memory, and this process
    /// refuses the credential. Kind: of the process.
    ///
    /// [`Store::maintain`]: crate::Store::maintain
    ///
    /// ```
    /// use gatepost::{Options, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server().disk_reserve(1_024 * 1_024))?;
    /// let reserve = directory.path().join("auth.db-reserve");
    /// assert_eq!(reserve.metadata()?.len(), 1_024 * 1_024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disk_reserve(self, bytes: u64) -> Self {
        Self { disk_reserve_bytes: bytes, ..self }
    }

    /// The options that give up a protection, each by its name. Kind: of the process.
    ///
    /// ```
    /// use gatepost::Options;
    /// let options = Options::server().dangerous().allow_network_file_system();
    /// assert_ne!(options, Options::server());
    /// ```
    pub fn dangerous(self) -> DangerousOptions {
        DangerousOptions::of(self)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::server()
    }
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.file.differences(&other.file).is_empty()
            && self.policy_differences(other).is_empty()
            && self.breaches == other.breaches
            && self.process_difference(other).is_none()
    }
}

impl Eq for Options {}
