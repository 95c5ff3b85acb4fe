//! What a host decides when it opens a store.
//!
//! Options are of three kinds. Options *of the file* govern every process that has the file open.
//! A *policy* governs the process that sets it, and the file stores the policy of its creator.
//! Options *of the process* are never stored.

mod bounds;
mod dangerous;
mod file;
mod setters;
mod stored;
mod supplied;

use std::sync::Arc;
use std::time::Duration;

pub use dangerous::DangerousOptions;
pub(crate) use file::FileOptions;
pub use file::Lockout;

use crate::error::{Error, Result};
use crate::hasher::Cost;
use crate::storage::Tolerances;
use crate::value::event::Observer;
use crate::value::keyring::Keyring;
use crate::value::policy::{ApiVersion, BreachCheck, Breaches, PasswordPolicy, SessionPolicy};
use crate::value::random::RandomSource;
use crate::value::time::Clock;

/// How a store is opened and what it allows: the second argument of
/// [`Store::open`](crate::Store::open).
///
/// Start from a preset ([`server`](Self::server), [`desktop`](Self::desktop), [`web`](Self::web))
/// and chain the setters; each takes the options and returns them changed. Two options are equal
/// if all their values are: durations are compared in whole milliseconds, and a breach check, a
/// keyring, or a clock or random source with fields, is equal only to itself.
///
/// Each option is of one of three kinds, which [`manual::options`](crate::manual::options)
/// lists:
///
/// - **of the file**: the value in the file governs every process. Opening with another value
///   fails with `Invalid`; [`Store::change_options`](crate::Store::change_options) changes it.
/// - **policy**: the value of a process governs that process. The file stores the value of its
///   creator; a difference is an [`OpenWarning`](crate::status::OpenWarning) in
///   [`Status::open_warnings`](crate::status::Status::open_warnings).
/// - **of the process**: never stored.
///
/// A tool that follows the server's options opens the file with [`Options::stored`].
///
/// No option weakens durability: every acknowledged write survives a power loss.
///
/// ```
/// use std::time::Duration;
/// use gatepost::policy::SessionPolicy;
/// use gatepost::{ErrorKind, Options, Store};
///
/// let day = Duration::from_secs(86_400);
/// let options = Options::server()
///     .service_name("Local Server")
///     .sessions(SessionPolicy::server().inactivity_timeout(day / 24));
/// assert_ne!(options, Options::server());
///
/// // `Store::open` refuses a value out of its bounds: the message says option, value and bound.
/// let options = Options::server().sessions(SessionPolicy::server().lifetime(60 * day));
/// let refused = Store::open("auth.db", options).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Invalid);
/// assert_eq!(refused.to_string(), "lifetime (60 d) exceeds max_lifetime (30 d)");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    /// The values that this process set; each write reads the values that govern from the file.
    pub(crate) file: FileOptions,

    // Policy.
    pub(crate) service_name: String,
    pub(crate) api_oldest: ApiVersion,
    pub(crate) api_newest: ApiVersion,
    pub(crate) sessions: SessionPolicy,
    pub(crate) passwords: PasswordPolicy,
    pub(crate) password_expiry: Option<Duration>,
    pub(crate) change_at_login: ChangeAtLogin,
    pub(crate) cost: Cost,
    pub(crate) api_keys_per_user: u32,
    pub(crate) strict_totp: bool,

    // Of the process. The file stores whether a breach check is set.
    pub(crate) breaches: Breaches,
    pub(crate) max_concurrent_hashes: usize,
    pub(crate) max_waiting_hashes: usize,
    pub(crate) cache_entries: Option<usize>,
    pub(crate) disk_reserve_bytes: u64,
    pub(crate) tolerances: Tolerances,
    /// Whether secrets of second factors may be stored unsealed.
    pub(crate) unsealed_totp: bool,
    /// `None` for the clock of the system.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn RandomSource>,
    /// The file stores the id of the key under which it seals.
    pub(crate) keyring: Option<Arc<dyn Keyring>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,

    source: Source,
}

/// Where the values of the file and of the policy come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Host,
    /// The file, when it is opened. `but_set` is an option that the host set nevertheless, which
    /// opening refuses by its name.
    File {
        but_set: Option<&'static str>,
    },
}

/// Which users may change their password while they log in; given to
/// [`Options::change_at_login`].
///
/// ```
/// use gatepost::policy::ChangeAtLogin;
///
/// assert_eq!(ChangeAtLogin::default(), ChangeAtLogin::WhenMarked);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ChangeAtLogin {
    /// Users who must change their password: an administrator marked them, or it has expired.
    #[default]
    WhenMarked,
    /// All users.
    Always,
}

impl Options {
    /// Whether the file supplies its own options and the policy.
    pub(crate) fn are_stored(&self) -> bool {
        self.source != Source::Host
    }

    /// The check that a new password must pass. A missing one is an error, and never skipped.
    pub(crate) fn breaches(&self) -> Result<Option<&dyn BreachCheck>> {
        match &self.breaches {
            Breaches::Unchecked => Ok(None),
            Breaches::Checked(check) => Ok(Some(&**check)),
            Breaches::Missing => Err(Error::misuse(
                "the file says that a breach check is in use, and this process has none",
            )
            .advising("Give the process the check with Options::breach_check.")),
        }
    }

    /// Records that the host sets an option which is not of the process.
    fn setting(mut self, option: &'static str) -> Self {
        if let Source::File { but_set } = &mut self.source {
            but_set.get_or_insert(option);
        }
        self
    }
}
