//! The text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Status;
use crate::storage::FileState;

/// A page of metrics, in the making.
#[derive(Debug, Default)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// Appends one metric without labels. A name that ends in `_total` is that of a counter.
    pub(crate) fn one(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, [(String::new(), value)]);
    }

    /// Appends one metric with a value for each of the labels.
    pub(crate) fn family(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, u64)>,
    ) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a text never fails.
        let _ = writeln!(self.0, "# HELP gatepost_{name} {help}\n# TYPE gatepost_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "gatepost_{name}{labels} {value}");
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// A label of a closed list of words, none of which needs an escape.
pub(crate) fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

impl Status {
    /// Whether the store still answers. A store that has closed itself, or that was closed, does
    /// not open again: a new [`Store::open`](crate::Store::open) is needed.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// assert!(store.status().is_open());
    /// store.close()?;
    /// assert!(!store.status().is_open());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(
            self.file_state,
            FileState::Closed | FileState::Replaced | FileState::LocksLost | FileState::Forked
        )
    }

    /// The numbers of this status as a page in the text format of Prometheus (version 0.0.4), for
    /// an adapter that serves it. It names no user. Names of metrics begin with `gatepost_`; those
    /// that end in `_total` count since the store was opened. The numbers of the rows of the file
    /// are those of [`Counts::metrics`](crate::status::Counts::metrics).
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let writes = store.status().writes;
    /// store.users().create(NewUser::person("ada"))?;
    /// let page = store.status().metrics();
    /// assert!(page.contains(&format!("\ngatepost_writes_total {}\n", writes + 1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> String {
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let by_reason = |counts: &BTreeMap<&'static str, u64>| -> Vec<(String, u64)> {
            counts.iter().map(|(reason, count)| (label("reason", reason), *count)).collect()
        };
        let mut page = Metrics::default();
        let open = u64::from(self.is_open());
        page.one("open", "Whether the store answers (1) or is closed (0).", open);
        let warnings = size(self.open_warnings.len());
        page.one("open_warnings", "Warnings of opening the file.", warnings);
        page.family("login_refusals_total", "Refused logins.", by_reason(&self.login_refusals));
        page.family("verify_refusals_total", "Refused tokens.", by_reason(&self.verify_refusals));
        let help = "Refused logins whose hash is sealed under a key that is missing.";
        page.one("key_missing_refusals_total", help, self.key_missing_refusals);
        page.one("hashes_total", "Password hashes computed.", self.hashes_done);
        let help = "Stored hashes that a login replaced by one of the cost in force.";
        page.one("hashes_upgraded_total", help, self.hashes_upgraded);
        page.one("hashes_running", "Password hashes being computed.", size(self.hashes_running));
        page.one("hashes_waiting", "Logins that wait for a hash.", size(self.hashes_waiting));
        page.one("writes_total", "Writes.", self.writes);
        page.one("commits_total", "Commits: writes share one.", self.commits);
        page.one("denied", "Revocations that wait to be written.", size(self.denied));
        page.one("log_bytes", "Bytes of the write-ahead log.", self.log_bytes);
        let cached = size(self.cached.unwrap_or_default());
        page.one("cached", "Sessions and API keys in the cache.", cached);
        let help = "Panics of the observer, which were caught.";
        page.one("observer_panics_total", help, self.observer_panics);
        page.into_text()
    }
}
