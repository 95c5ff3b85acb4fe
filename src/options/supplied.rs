//! The setters of what a host supplies itself: a breach check, a keyring, an observer, a clock, a
//! random source.

use std::sync::Arc;

use super::Options;
use crate::value::event::Observer;
use crate::value::keyring::Keyring;
use crate::value::policy::{BreachCheck, Breaches};
use crate::value::random::RandomSource;
use crate::value::time::Clock;

impl Options {
    /// A list of breached passwords that each new password is compared with. The default is none.
    /// Kind: of the process, except that the file stores whether a check is in use.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gatepost::policy::BreachCheck;
    /// use gatepost::Options;
    /// #[derive(Debug)]
    /// struct Breached;
    /// impl BreachCheck for Breached {
    ///     fn is_breached(&self, password: &str) -> bool { password == "wet slate" }
    /// }
    /// assert_ne!(Options::server().breach_check(Arc::new(Breached)), Options::server());
    /// ```
    #[doc(alias("pwned", "hibp"))]
    pub fn breach_check(self, check: Arc<dyn BreachCheck>) -> Self {
        Self { breaches: Breaches::Checked(check), ..self }
    }

    /// Removes the breach check. Within [`Store::change_options`](crate::Store::change_options),
    /// the file stores that no check is in use. Kind: as [`breach_check`](Self::breach_check).
    ///
    /// ```
    /// # use {gatepost::policy::BreachCheck, gatepost::Options, std::sync::Arc};
    /// # #[derive(Debug)]
    /// # struct Breached;
    /// # impl BreachCheck for Breached { fn is_breached(&self, _: &str) -> bool { false } }
    /// let options = Options::server().breach_check(Arc::new(Breached));
    /// assert_eq!(options.no_breach_check(), Options::server());
    /// ```
    pub fn no_breach_check(self) -> Self {
        Self { breaches: Breaches::Unchecked, ..self }
    }

    /// The keys under which password hashes are sealed, so that a copy of the file alone gives
    /// an attacker no hash to guess against. The default is none: hashes are stored unsealed.
    ///
    /// From the first hash that is sealed, the file names its key, and opening it without that key
    /// fails with [`KeyMissing`](crate::ErrorKind::KeyMissing), as it does with other bytes under
    /// the id of that key. In a file that has hashes already,
    /// each is sealed at the next login of its user, or by
    /// [`Store::rekey`](crate::Store::rekey). The page [`keys`](crate::manual::keys) says how to
    /// make, keep, rotate and lose a key. Kind: of the process; the file stores the id of its key.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gatepost::host::{KeyId, Keys, SealingKey};
    /// use gatepost::{ErrorKind, NewUser, Options, Password, Store};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let keys = Arc::new(Keys::new(KeyId::new("2026-11")?, SealingKey::random()?));
    /// let store = Store::open(&path, Options::server().keyring(keys))?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// store.close()?;
    /// let refused = Store::open(&path, Options::server()).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::KeyMissing);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("pepper", "encryption"))]
    pub fn keyring(self, keyring: Arc<dyn Keyring>) -> Self {
        Self { keyring: Some(keyring), ..self }
    }

    /// What learns of each row of the audit log that this process commits, on the thread of the
    /// call that wrote it and after the commit: [`Observer`] says when it is called and what
    /// happens if it is slow or panics. The default is none. Kind: of the process.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use gatepost::audit::AuditEntry;
    /// use gatepost::host::Observer;
    /// use gatepost::{NewUser, Options, Store};
    /// #[derive(Debug, Default)]
    /// struct Rows(AtomicUsize);
    /// impl Observer for Rows {
    ///     fn committed(&self, _: &AuditEntry) { self.0.fetch_add(1, Ordering::Relaxed); }
    /// }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let rows = Arc::new(Rows::default());
    /// let store = Store::open(path, Options::server().observer(rows.clone()))?;
    /// store.users().create(NewUser::person("ada"))?;
    /// assert_eq!(rows.0.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("listener", "hook", "callback"))]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The clock from which the store reads the time. The default is the system's. Kind: of the
    /// process.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gatepost::host::Clock;
    /// use gatepost::{NewUser, Options, Store, Timestamp};
    /// #[derive(Debug)]
    /// struct Fixed(Timestamp);
    /// impl Clock for Fixed {
    ///     fn now(&self) -> Timestamp { self.0 }
    /// }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let at = Timestamp::from_millis(1_700_000_000_000);
    /// let store = Store::open(path, Options::server().clock(Arc::new(Fixed(at))))?;
    /// assert_eq!(store.users().create(NewUser::person("ada"))?.created_at, at);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The source from which the store draws the random bytes of ids and secrets. The default is
    /// the system's. Kind: of the process.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gatepost::host::{RandomSource, RandomUnavailable};
    /// use gatepost::{ErrorKind, Options, Store};
    /// # #[derive(Debug)]
    /// struct Empty;
    /// impl RandomSource for Empty {
    ///     fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
    ///         Err(RandomUnavailable::new())
    ///     }
    /// }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let options = Options::server().random_source(Arc::new(Empty));
    /// assert_eq!(Store::open(path, options).unwrap_err().kind(), ErrorKind::NoRandom);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn random_source(self, random: Arc<dyn RandomSource>) -> Self {
        Self { random, ..self }
    }
}
