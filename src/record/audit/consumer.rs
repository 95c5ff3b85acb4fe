//! Consumers: programs that read the log row by row, each with a place in the file up to which it
//! has acknowledged the rows.
//!
//! The log itself is the outbox: a row is written in the transaction of what it reports, so no
//! acknowledged change is without its row. A consumer receives each row at least once. What was
//! trimmed before it was acknowledged is counted and reported.

use super::list::rows_after;
use super::{Audit, AuditSource, Written, next_seq};
use crate::error::{Error, Result};
use crate::storage::{Finished, ReadTx, params};
use crate::value::event::{AuditEntry, Event, EventKind};
use crate::value::id::Page;
use crate::value::limits::{CONSUMER_NAME_MAX_BYTES, CONSUMERS_MAX};
use crate::value::name::is_plain_word;

/// A consumer of the log, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AuditConsumer {
    /// Its name.
    pub name: String,
    /// The number of the last row that it acknowledged.
    pub seen_seq: i64,
    /// How many numbers the newest row is ahead of that.
    pub behind: u64,
}

/// The rows that a consumer has not acknowledged yet, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnseenRows {
    /// The rows.
    pub entries: Vec<AuditEntry>,
    /// What was trimmed before the consumer acknowledged it; `None` if nothing was. Reported again
    /// until it is acknowledged.
    pub missed: Option<MissedRows>,
    /// The number to pass to [`Audit::acknowledge`] once all of this is dealt with.
    pub up_to: i64,
}

/// Rows that were trimmed before a consumer acknowledged them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MissedRows {
    /// How many.
    pub rows: u64,
    /// The sources of at least one of them.
    pub sources: Vec<AuditSource>,
}

impl Audit<'_> {
    /// Adds a consumer, which receives every row from that of this call on. Returns `false`, and
    /// writes nothing, if it exists.
    ///
    /// The name is 1 to 64 of `a-z 0-9 . _ -`.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.audit().add_consumer("mailer")?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    ///
    /// let unseen = store.audit().unseen("mailer", 100)?;
    /// assert_eq!(unseen.entries[1].user, Some(ada));
    /// assert_eq!(unseen.missed, None);
    /// store.audit().acknowledge("mailer", unseen.up_to)?;
    /// assert!(store.audit().unseen("mailer", 100)?.entries.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for any other name;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if there are 64 consumers.
    #[doc(alias("outbox", "subscribe"))]
    pub fn add_consumer(&self, name: &str) -> Result<bool> {
        if !is_plain_word(name, CONSUMER_NAME_MAX_BYTES, b"._-") {
            return Err(Error::invalid(
                "the name of the consumer is not 1 to 64 of a-z, 0-9, dot, underscore, dash",
            ));
        }
        self.store.write(|tx| {
            if seen(tx, name)?.is_some() {
                return Ok(Written::Nothing(false));
            }
            if tx.count("SELECT count(*) FROM audit_consumer", [])? >= CONSUMERS_MAX {
                return Err(Error::limit_reached("the audit log has 64 consumers")
                    .advising("Remove one that is not in use first."));
            }
            tx.execute(
                "INSERT INTO audit_consumer (name, seen_seq) VALUES (?1, ?2)",
                params![name, next_seq(tx)? - 1],
            )?;
            Ok(Written::With(true, Event::new(EventKind::ConsumerAdded).detail(name)))
        })
    }

    /// Removes a consumer; `false`, and nothing is written, if there is none of that name.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.audit().add_consumer("mailer")?;
    /// assert!(store.audit().remove_consumer("mailer")?);
    /// assert!(!store.audit().remove_consumer("mailer")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does.
    pub fn remove_consumer(&self, name: &str) -> Result<bool> {
        self.store.write(|tx| {
            let removed =
                tx.execute("DELETE FROM audit_consumer WHERE name = ?1", params![name])?;
            if removed == 0 {
                return Ok(Written::Nothing(false));
            }
            Ok(Written::With(true, Event::new(EventKind::ConsumerRemoved).detail(name)))
        })
    }

    /// Returns all consumers, in the order of their names. One that is far behind may miss rows
    /// that are trimmed.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.audit().add_consumer("mailer")?;
    /// let consumers = store.audit().consumers()?;
    /// assert_eq!((consumers[0].name.as_str(), consumers[0].behind), ("mailer", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn consumers(&self) -> Result<Vec<AuditConsumer>> {
        self.store.read(|tx| {
            tx.all(
                "SELECT name, seen_seq, (SELECT max(head_seq) FROM audit_chain) - seen_seq
                 FROM audit_consumer ORDER BY name",
                [],
                |row| {
                    Ok(AuditConsumer {
                        name: row.get(0)?,
                        seen_seq: row.get(1)?,
                        behind: row.get::<_, i64>(2)?.unsigned_abs(),
                    })
                },
            )
        })
    }

    /// Returns at most `most` rows (1 to 500) that the consumer has not acknowledged, of every
    /// source, and what was trimmed before it did. Writes nothing: the same rows come again until
    /// [`Audit::acknowledge`].
    ///
    /// An example is at [`Audit::add_consumer`].
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such consumer;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if `most` is not 1 to 500.
    pub fn unseen(&self, consumer: &str, most: u32) -> Result<UnseenRows> {
        let limit = Page::<i64>::first(most).limit()?;
        self.store.read(|tx| {
            let seen = seen(tx, consumer)?.ok_or_else(no_consumer)?;
            let missed = missed(tx, seen)?;
            let entries = rows_after(tx, seen, limit)?;
            // Rows of one source may be trimmed beyond older rows of another, which still come.
            let trimmed =
                if entries.is_empty() { missed.as_ref().map(|(_, to)| *to) } else { None };
            let up_to = entries.last().map(|entry| entry.seq).or(trimmed).unwrap_or(seen);
            Ok(UnseenRows { entries, missed: missed.map(|(missed, _)| missed), up_to })
        })
    }

    /// Stores that the consumer has dealt with all rows up to the number `seq`, those that it
    /// missed included. A number that it acknowledged before changes nothing, so the call may be
    /// repeated. Leaves no row in the log.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.audit().add_consumer("mailer")?;
    /// let up_to = store.audit().unseen("mailer", 100)?.up_to;
    /// store.audit().acknowledge("mailer", up_to)?;
    /// assert_eq!(store.audit().consumers()?[0].behind, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such consumer;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the log has no row of that number yet.
    pub fn acknowledge(&self, consumer: &str, seq: i64) -> Result<()> {
        self.store.transact(|tx| {
            let seen = seen(tx, consumer)?.ok_or_else(no_consumer)?;
            if seq >= next_seq(tx)? {
                return Err(Error::invalid("audit().acknowledge: no row has that number yet"));
            }
            if seq <= seen {
                return Ok(Finished::Nothing(()));
            }
            tx.execute(
                "UPDATE audit_consumer SET seen_seq = ?2 WHERE name = ?1",
                params![consumer, seq],
            )?;
            Ok(Finished::Commit(()))
        })
    }
}

fn no_consumer() -> Error {
    Error::not_found("there is no consumer of that name: audit().add_consumer adds one")
}

fn seen(tx: &ReadTx<'_>, name: &str) -> Result<Option<i64>> {
    tx.one("SELECT seen_seq FROM audit_consumer WHERE name = ?1", params![name], |row| row.get(0))
}

/// What was trimmed after the row `seen`, and up to which row. Numbers have no gap, so a number
/// without a row is a row that was trimmed.
fn missed(tx: &ReadTx<'_>, seen: i64) -> Result<Option<(MissedRows, i64)>> {
    let trimmed: Vec<(i64, i64)> = tx.all(
        "SELECT source, trimmed_seq FROM audit_chain WHERE trimmed_seq > ?1",
        params![seen],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some(to) = trimmed.iter().map(|(_, seq)| *seq).max() else {
        return Ok(None);
    };
    let kept =
        tx.count("SELECT count(*) FROM audit WHERE seq > ?1 AND seq <= ?2", params![seen, to])?;
    let rows = to.abs_diff(seen).saturating_sub(kept);
    let is_trimmed = |of: &AuditSource| trimmed.iter().any(|(number, _)| *number == of.number());
    let sources = AuditSource::ALL.into_iter().filter(is_trimmed).collect();
    Ok(Some((MissedRows { rows, sources }, to)))
}
