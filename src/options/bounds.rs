//! The bounds of every option: a refusal names the option, its value and the bound.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Options, Source};
use crate::error::{Error, Result};
use crate::value::limits;
use crate::value::time::in_units;

impl Options {
    /// Checked when a store is opened, and when stored options are read or changed.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        if let Source::File { but_set: Some(option) } = self.source {
            return Err(Error::invalid(format!(
                "{option} is set, and Options::stored() takes it from the file"
            )));
        }
        self.file.check_bounds()?;
        self.sessions.check_bounds()?;
        self.passwords.check_bounds()?;
        self.check_names()?;
        check("api_keys_per_user", self.api_keys_per_user, 1..=limits::API_KEYS_PER_USER_MAX)?;
        check(
            "max_concurrent_hashes",
            self.max_concurrent_hashes,
            1..=limits::CONCURRENT_HASHES_MAX,
        )?;
        check("max_waiting_hashes", self.max_waiting_hashes, 0..=limits::WAITING_HASHES_MAX)?;
        if let Some(entries) = self.cache_entries {
            check("cache", entries, 1..=limits::CACHE_ENTRIES_MAX)?;
        }
        check("disk_reserve", self.disk_reserve_bytes, 0..=limits::DISK_RESERVE_MAX_BYTES)?;
        let (least, most) = (limits::PASSWORD_EXPIRY_LEAST, limits::PASSWORD_EXPIRY_MOST);
        if let Some(after) = self.password_expiry.filter(|after| !(least..=most).contains(after)) {
            let (after, least, most) = (in_units(after), in_units(least), in_units(most));
            return Err(Error::invalid(format!(
                "password_expiry ({after}) is not {least} to {most}"
            )));
        }
        if !self.cost.meets_floor() && !self.file.for_tests {
            return Err(Error::invalid(
                "cost (Cost::insecure_for_tests) is accepted with Options::for_tests alone",
            ));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let bytes = self.service_name.len();
        if !(1..=limits::DISPLAY_NAME_MAX_BYTES).contains(&bytes) {
            let most = limits::DISPLAY_NAME_MAX_BYTES;
            return Err(Error::invalid(format!(
                "service_name ({bytes} bytes) is not 1 to {most} bytes"
            )));
        }
        let (oldest, newest) = (self.api_oldest, self.api_newest);
        if oldest > newest {
            return Err(Error::invalid(format!(
                "api_versions: the oldest ({oldest}) exceeds the newest ({newest})"
            )));
        }
        Ok(())
    }
}

fn check<T: Display + PartialOrd>(
    option: &str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<()> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(Error::invalid(format!("{option} ({value}) is not {least} to {most}")))
}
