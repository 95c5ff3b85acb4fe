//! Options as the file stores them, and the difference of two options.
//!
//! Each policy is a name and a text. The name is that of the option's setter; durations are in
//! milliseconds. Values read from the file are checked in the same way as those that a host sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ChangeAtLogin, FileOptions, Options, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::Cost;
use crate::storage::Tolerances;
use crate::value::policy::{ApiVersion, Breaches, PasswordPolicy, SessionLimit, SessionPolicy};
use crate::value::time::Clock;

/// The text of a duration that is not set.
const NONE: &str = "none";

impl Options {
    /// The policy, as the file stores it.
    pub(crate) fn policy(&self) -> [(&'static str, String); 20] {
        let SessionPolicy {
            lifetime,
            max_lifetime,
            inactivity_timeout,
            per_user,
            at_limit,
            require_device,
            device_takeover,
        } = self.sessions;
        let PasswordPolicy { min_chars, min_chars_beside_factor, max_bytes, blocklist, context } =
            self.passwords;
        let cost = self.cost;
        [
            ("service_name", self.service_name.clone()),
            ("api_versions", format!("{} {}", self.api_oldest, self.api_newest)),
            ("lifetime", millis(lifetime)),
            ("max_lifetime", millis(max_lifetime)),
            ("inactivity_timeout", inactivity_timeout.map_or(NONE.into(), millis)),
            ("per_user", per_user.to_string()),
            ("at_limit", limit(at_limit).into()),
            ("require_device", flag(require_device)),
            ("device_takeover", flag(device_takeover)),
            ("min_chars", min_chars.to_string()),
            ("min_chars_beside_factor", min_chars_beside_factor.to_string()),
            ("max_bytes", max_bytes.to_string()),
            ("blocklist", flag(blocklist)),
            ("context", flag(context)),
            ("password_expiry", self.password_expiry.map_or(NONE.into(), millis)),
            ("change_at_login", change(self.change_at_login).into()),
            ("cost", format!("{} {} {}", cost.memory_kib(), cost.passes(), cost.lanes())),
            ("api_keys_per_user", self.api_keys_per_user.to_string()),
            ("strict_totp", flag(self.strict_totp)),
            ("breach_check", flag(self.breaches.are_checked())),
        ]
    }

    /// The options of the process from `self`, and the options of the other kinds from the file.
    ///
    /// # Errors
    /// `Corrupt` if a value is missing, unreadable or out of its bounds.
    pub(crate) fn with_stored(
        &self,
        file: FileOptions,
        policy: BTreeMap<String, String>,
    ) -> Result<Self> {
        let kept = Kept(policy);
        let (oldest, newest) = kept.read("api_versions", |text| text.split_once(' '))?;
        let sessions = SessionPolicy {
            lifetime: kept.read("lifetime", duration)?,
            max_lifetime: kept.read("max_lifetime", duration)?,
            inactivity_timeout: kept.read("inactivity_timeout", optional)?,
            per_user: kept.read("per_user", number)?,
            at_limit: kept.read("at_limit", |text| one_of(&LIMITS, limit, text))?,
            require_device: kept.read("require_device", yes_or_no)?,
            device_takeover: kept.read("device_takeover", yes_or_no)?,
        };
        let passwords = PasswordPolicy {
            min_chars: kept.read("min_chars", number)?,
            min_chars_beside_factor: kept.read("min_chars_beside_factor", number)?,
            max_bytes: kept.read("max_bytes", number)?,
            blocklist: kept.read("blocklist", yes_or_no)?,
            context: kept.read("context", yes_or_no)?,
        };
        let breaches = match (kept.read("breach_check", yes_or_no)?, &self.breaches) {
            (false, _) => Breaches::Unchecked,
            (true, Breaches::Unchecked | Breaches::Missing) => Breaches::Missing,
            (true, given) => given.clone(),
        };
        let stored = Self {
            file,
            service_name: kept.read("service_name", |text| Some(text.to_owned()))?,
            api_oldest: oldest.parse::<ApiVersion>().map_err(|_| damaged("api_versions"))?,
            api_newest: newest.parse::<ApiVersion>().map_err(|_| damaged("api_versions"))?,
            sessions,
            passwords,
            password_expiry: kept.read("password_expiry", optional)?,
            change_at_login: kept
                .read("change_at_login", |text| one_of(&CHANGES, change, text))?,
            cost: kept.read("cost", cost)?,
            api_keys_per_user: kept.read("api_keys_per_user", number)?,
            strict_totp: kept.read("strict_totp", yes_or_no)?,
            breaches,
            source: Source::Host,
            ..self.clone()
        };
        match stored.check_bounds() {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                Err(Error::corrupt("a stored option is out of its bounds"))
            }
            checked => checked.map(|()| stored),
        }
    }

    /// The names of the policies in which the two differ.
    pub(crate) fn policy_differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.policy().into_iter().zip(other.policy());
        pairs.filter(|(one, two)| one != two).map(|((name, _), _)| name).collect()
    }

    /// The name of the first option of the process in which the two differ. The breach check is
    /// left out: `policy` compares whether there is one.
    pub(crate) fn process_difference(&self, other: &Self) -> Option<&'static str> {
        let same = [
            ("max_concurrent_hashes", self.max_concurrent_hashes == other.max_concurrent_hashes),
            ("max_waiting_hashes", self.max_waiting_hashes == other.max_waiting_hashes),
            ("cache", self.cache_entries == other.cache_entries),
            ("disk_reserve", self.disk_reserve_bytes == other.disk_reserve_bytes),
            ("dangerous", self.dangers() == other.dangers()),
            ("clock", same_clock(self.clock.as_ref(), other.clock.as_ref())),
            ("random_source", same(&self.random, &other.random)),
            ("keyring", same_supplied(self.keyring.as_ref(), other.keyring.as_ref())),
            ("observer", same_supplied(self.observer.as_ref(), other.observer.as_ref())),
        ];
        same.into_iter().find(|(_, is_same)| !is_same).map(|(name, _)| name)
    }
}

impl Options {
    /// The protections that the host gives up.
    fn dangers(&self) -> (Tolerances, bool) {
        (self.tolerances, self.unsealed_totp)
    }
}

/// The stored policy: texts by the name of their option.
struct Kept(BTreeMap<String, String>);

impl Kept {
    fn read<'k, T>(
        &'k self,
        option: &'static str,
        parse: impl FnOnce(&'k str) -> Option<T>,
    ) -> Result<T> {
        self.0.get(option).and_then(|text| parse(text)).ok_or_else(|| damaged(option))
    }
}

fn damaged(option: &str) -> Error {
    Error::corrupt(format!("the stored value of {option} is missing or cannot be read"))
}

const LIMITS: [SessionLimit; 2] = [SessionLimit::EvictLeastRecentlyUsed, SessionLimit::Refuse];
const CHANGES: [ChangeAtLogin; 2] = [ChangeAtLogin::WhenMarked, ChangeAtLogin::Always];

fn limit(limit: SessionLimit) -> &'static str {
    match limit {
        SessionLimit::EvictLeastRecentlyUsed => "evict",
        SessionLimit::Refuse => "refuse",
    }
}

fn change(change: ChangeAtLogin) -> &'static str {
    match change {
        ChangeAtLogin::WhenMarked => "when_marked",
        ChangeAtLogin::Always => "always",
    }
}

fn one_of<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|one| name(*one) == text)
}

fn millis(span: Duration) -> String {
    span.as_millis().to_string()
}

fn duration(text: &str) -> Option<Duration> {
    number(text).map(Duration::from_millis)
}

fn optional(text: &str) -> Option<Option<Duration>> {
    if text == NONE { Some(None) } else { duration(text).map(Some) }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn flag(is_on: bool) -> String {
    String::from(if is_on { "yes" } else { "no" })
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn cost(text: &str) -> Option<Cost> {
    let mut parts = text.split(' ').map(number);
    let cost = Cost::of_stored(parts.next()??, parts.next()??, parts.next()??)?;
    parts.next().is_none().then_some(cost)
}

/// Whether two clocks are the same. `None` is the system's clock, which has no fields.
fn same_clock(one: Option<&Arc<dyn Clock>>, other: Option<&Arc<dyn Clock>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (Some(given), None) | (None, Some(given)) => size_of_val(&**given) == 0,
        (None, None) => true,
    }
}

fn same_supplied<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether both are the same object, or two values without fields, such as the system's clock.
fn same<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || (size_of_val(&**one) == 0 && size_of_val(&**other) == 0)
}
