//! Examine a store: whether the file is whole, and what contradicts its options.

use crate::error::Result;
use crate::record::{credential, examine, options};
use crate::spans;
use crate::store::Store;
use crate::value::id::UserId;

/// What an examination found; from [`Store::examine`](crate::Store::examine).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Examination {
    /// What SQLite's `integrity_check` finds wrong with pages, indexes and constraints, at most 20
    /// lines, none of which has stored data; empty if it finds nothing.
    pub damage: Vec<String>,
    /// The tables with a row that refers to a row which is not there; another program has deleted
    /// that without foreign keys.
    pub orphan_tables: Vec<String>,
    /// The rows of the change log. Up to about 10,000 are kept; more, if nothing trims them.
    pub change_rows: u64,
    /// The expired sessions and API keys that a sweep may delete now. Logins delete up to 32 each.
    pub overdue_rows: u64,
    /// How many users have a password hash of each cost, cheapest first.
    pub hash_costs: Vec<HashCost>,
    /// The active persons who must have a second factor
    /// ([`Options::second_factor`](crate::Options::second_factor)) and have none.
    pub factors_missing: u64,
    /// The users whose codes all count as used until more than a minute from now, the first 20 by
    /// name: a clock was ahead when a code was used, or when the file was restored. Once the clock
    /// is right, [`reset`](crate::second_factors::SecondFactors::reset) lets each enrol again.
    pub factors_ahead: Vec<UserId>,
    /// Whether the file was created with `Options::for_tests`, and so accepts hashes that cost
    /// nearly nothing.
    pub is_for_tests: bool,
}

/// How many users have a password hash of one cost; in [`Examination::hash_costs`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HashCost {
    /// The algorithm and its parameters, as the stored hashes begin.
    pub cost: String,
    /// How many users have one; deleted users do not count.
    pub users: u64,
    /// Whether such a hash takes less work than one of the cost in force. The next login of each
    /// user replaces it.
    pub is_cheaper: bool,
}

impl Store {
    /// Reads the whole file and checks it: pages, indexes, constraints and foreign keys, and what
    /// waits or contradicts the options. Changes nothing.
    ///
    /// One snapshot of the file: about a second for 100 MiB, in which the write-ahead log may grow.
    /// [`Audit::verify_chain`](crate::audit::Audit::verify_chain) checks the chains of the audit
    /// log, and [`Store::key_use`] counts the keys that seal hashes.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let found = store.examine()?;
    /// assert!(found.damage.is_empty() && found.orphan_tables.is_empty());
    /// assert_eq!((found.hash_costs[0].users, found.hash_costs[0].is_cheaper), (1, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does; with
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the file is too damaged to be checked.
    #[doc(alias("integrity_check", "fsck"))]
    pub fn examine(&self) -> Result<Examination> {
        spans::span!("examine");
        let (mut found, costs) = self.read(|tx| {
            let file = options::of_file(tx)?;
            let found = Examination {
                damage: examine::damage(tx)?,
                orphan_tables: examine::orphan_tables(tx)?,
                change_rows: examine::change_rows(tx)?,
                overdue_rows: examine::overdue_rows(tx)?,
                hash_costs: Vec::new(),
                factors_missing: examine::factors_missing(tx, file.second_factor)?,
                factors_ahead: examine::factors_ahead(tx)?,
                is_for_tests: file.for_tests,
            };
            Ok((found, credential::costs(tx)?))
        })?;
        let mut costs: Vec<(Option<u64>, String, u64)> = costs
            .into_iter()
            .map(|(cost, users)| (self.core().hasher.work_of(&cost), cost, users))
            .collect();
        costs.sort();
        let in_force = self.core().hasher.work();
        let of_cost = |(work, cost, users): (Option<u64>, String, u64)| HashCost {
            is_cheaper: work.is_none_or(|work| work < in_force),
            cost,
            users,
        };
        found.hash_costs = costs.into_iter().map(of_cost).collect();
        Ok(found)
    }
}
