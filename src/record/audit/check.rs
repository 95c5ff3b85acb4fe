//! How the chains of the audit log are checked.

use super::chain::{bytes, is_of_host, stored_link};
use super::person::person_hash;
use super::{Audit, AuditAnchor, AuditSource};
use crate::error::Result;
use crate::storage::{ReadTx, Row, params};
use crate::value::digest::Digest;

/// Rows checked in one snapshot. A longer snapshot would block checkpoints of the write-ahead log.
const ROWS_PER_SNAPSHOT: i64 = 1_000;

/// The result of checking the chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum ChainCheck {
    /// Every row is as it was written, none is missing, and each chain goes through the anchor, if
    /// one was given.
    #[non_exhaustive]
    Intact {
        /// The number of rows that were checked.
        rows: u64,
        /// From where to where, in the order of [`AuditSource::ALL`].
        chains: [CheckedChain; 3],
    },
    /// Every row is as it was written and none is missing, but in at least one chain the row that
    /// the anchor names was trimmed: whether the rows between were trimmed or taken out cannot be
    /// known. Take an anchor more often than rows are trimmed.
    #[non_exhaustive]
    AnchorTrimmed {
        /// From where to where was checked; [`CheckedChain::is_anchor_trimmed`] says in which
        /// chains the anchor was trimmed.
        chains: [CheckedChain; 3],
    },
    /// A row was edited, moved or is missing.
    #[non_exhaustive]
    Broken {
        /// The number of the first such row.
        seq: i64,
        /// The number of the last row that was trimmed before the check of this chain: every row
        /// after it and before `seq` is as it was written. 0 if none was trimmed.
        trimmed_to: i64,
    },
}

impl ChainCheck {
    /// Returns whether every row is as it was written, and the log continues the anchor.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        matches!(self, Self::Intact { .. })
    }
}

/// Which rows of one chain were checked: those with a number above `trimmed_to` and up to
/// `checked_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedChain {
    /// Which chain.
    pub source: AuditSource,
    /// The number of the last row that was trimmed before the check; 0 if none was.
    pub trimmed_to: i64,
    /// The number of the newest row; 0 if there never was one.
    pub checked_to: i64,
    /// How many rows were checked.
    pub rows: u64,
    /// The number of the row that the anchor names, if one was given; 0 if the chain was empty.
    pub anchored_at: Option<i64>,
}

impl CheckedChain {
    /// Whether rows were trimmed up to the one that the anchor names, or beyond it.
    #[must_use]
    pub fn is_anchor_trimmed(&self) -> bool {
        self.trimmed_to > 0 && self.anchored_at.is_some_and(|seq| seq <= self.trimmed_to)
    }
}

impl Audit<'_> {
    /// Returns the present ends of the chains.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let before = store.audit().anchor()?;
    /// store.branches().create("York", None)?;
    /// assert_ne!(store.audit().anchor()?, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn anchor(&self) -> Result<AuditAnchor> {
        self.store.read(|tx| {
            let head = |source: AuditSource| {
                let end = ChainRow::of(tx, source)?;
                Ok((end.head_seq, end.head))
            };
            let [library, host, unauthenticated] = AuditSource::ALL.map(head);
            Ok(AuditAnchor { heads: [library?, host?, unauthenticated?] })
        })
    }

    /// Checks every row of all chains and, given an earlier anchor, that the log continues it.
    ///
    /// Reads the whole log, in snapshots of 1,000 rows. A program that can write the file can also
    /// write a new chain; only an anchor kept elsewhere finds that (ASVS 16.4.2), and only while
    /// the row that it names was not trimmed: then the result is
    /// [`AnchorTrimmed`](ChainCheck::AnchorTrimmed).
    ///
    /// ```
    /// use gatepost::audit::ChainCheck;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let anchor = store.audit().anchor()?;
    /// store.branches().create("York", None)?;
    /// let check = store.audit().verify_chain(Some(&anchor))?;
    /// let ChainCheck::Intact { rows: 2, chains: [library, ..], .. } = check else { panic!() };
    /// assert_eq!((library.trimmed_to, library.checked_to), (0, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does. A broken chain is a
    /// value, not an error.
    pub fn verify_chain(&self, anchor: Option<&AuditAnchor>) -> Result<ChainCheck> {
        let span = self.store.read(Span::of)?;
        let check = |source: AuditSource| {
            self.check(source, span, anchor.and_then(|anchor| anchor.head(source)))
        };
        let mut checked = [CheckedChain::NOTHING; 3];
        let mut in_span = 0;
        for (source, place) in AuditSource::ALL.into_iter().zip(&mut checked) {
            match check(source)? {
                Ok((chain, rows)) => {
                    *place = chain;
                    in_span += rows;
                }
                Err((seq, trimmed_to)) => return Ok(ChainCheck::Broken { seq, trimmed_to }),
            }
        }
        // The sources share one sequence without gaps: a row that no chain has is missing, unless
        // more was trimmed meanwhile.
        let is_trimmed_since = checked.iter().any(|chain| chain.trimmed_to > span.after);
        if in_span != span.numbers() && !is_trimmed_since {
            let seq = self.store.read(|tx| span.first_missing(tx))?;
            return Ok(ChainCheck::Broken { seq, trimmed_to: span.after });
        }
        if checked.iter().any(CheckedChain::is_anchor_trimmed) {
            return Ok(ChainCheck::AnchorTrimmed { chains: checked });
        }
        let rows = checked.iter().map(|chain| chain.rows).sum();
        Ok(ChainCheck::Intact { rows, chains: checked })
    }

    /// What was checked of a chain and how many of its rows lie in the span; or the number of the
    /// first row that is wrong, and after which row the check began.
    fn check(
        &self,
        source: AuditSource,
        span: Span,
        anchored: Option<&(i64, Digest)>,
    ) -> Result<std::result::Result<(CheckedChain, u64), (i64, i64)>> {
        let begin = |end: ChainRow| Walk::from(end, span, anchored);
        let mut walk = begin(self.store.read(|tx| ChainRow::of(tx, source))?);
        loop {
            let found = self.store.read(|tx| {
                let end = ChainRow::of(tx, source)?;
                // Begins again after rows that were trimmed during the walk.
                if end.trimmed_seq > walk.at {
                    walk = begin(end);
                }
                walk.over_page(tx, source)
            })?;
            match found {
                PageEnd::More => {}
                PageEnd::ChainRow => return Ok(Ok((walk.checked(source), walk.in_span))),
                PageEnd::Broken(seq) => return Ok(Err((seq, walk.begun_after))),
            }
        }
    }
}

impl CheckedChain {
    const NOTHING: Self = Self {
        source: AuditSource::Library,
        trimmed_to: 0,
        checked_to: 0,
        rows: 0,
        anchored_at: None,
    };
}

/// The numbers above all that were trimmed and up to the newest, when a check began.
#[derive(Clone, Copy)]
struct Span {
    after: i64,
    to: i64,
}

impl Span {
    fn of(tx: &ReadTx<'_>) -> Result<Self> {
        tx.exactly_one("SELECT max(trimmed_seq), max(head_seq) FROM audit_chain", [], |row| {
            Ok(Self { after: row.get(0)?, to: row.get(1)? })
        })
    }

    fn numbers(self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.after)).unwrap_or(0)
    }

    fn has(self, seq: i64) -> bool {
        self.after < seq && seq <= self.to
    }

    /// Asked only when a row is missing.
    fn first_missing(self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.exactly_one(
            "SELECT coalesce(min(number), ?2) FROM
                 (SELECT ?1 + 1 AS number UNION ALL SELECT seq + 1 FROM audit WHERE seq > ?1)
             WHERE number NOT IN (SELECT seq FROM audit)",
            params![self.after, self.to],
            |row| row.get(0),
        )
    }
}

/// The beginning and the end of a chain, from its row in `audit_chain`.
#[derive(Clone, Copy)]
struct ChainRow {
    trimmed_seq: i64,
    trimmed: Digest,
    head_seq: i64,
    head: Digest,
    kept_rows: i64,
}

impl ChainRow {
    fn of(tx: &ReadTx<'_>, source: AuditSource) -> Result<Self> {
        tx.exactly_one(
            "SELECT trimmed_seq, trimmed_chain, head_seq, head_chain, kept_rows FROM audit_chain
             WHERE source = ?1",
            params![source.number()],
            |row| {
                Ok(Self {
                    trimmed_seq: row.get(0)?,
                    trimmed: row.get(1)?,
                    head_seq: row.get(2)?,
                    head: row.get(3)?,
                    kept_rows: row.get(4)?,
                })
            },
        )
    }
}

/// The last row that was checked and is right.
struct Walk<'a> {
    begun_after: i64,
    at: i64,
    chain: Digest,
    rows: u64,
    span: Span,
    in_span: u64,
    anchored: Option<&'a (i64, Digest)>,
}

enum PageEnd {
    More,
    ChainRow,
    Broken(i64),
}

/// A row as the file has it: its number, its stored hash, and whether that hash fits the row.
struct StoredRow {
    seq: i64,
    chain: Option<Digest>,
    fits: bool,
}

impl<'a> Walk<'a> {
    /// Begins after the last row that was trimmed.
    fn from(end: ChainRow, span: Span, anchored: Option<&'a (i64, Digest)>) -> Self {
        let (at, chain) = (end.trimmed_seq, end.trimmed);
        Self { begun_after: at, at, chain, rows: 0, span, in_span: 0, anchored }
    }

    fn checked(&self, source: AuditSource) -> CheckedChain {
        CheckedChain {
            source,
            trimmed_to: self.begun_after,
            checked_to: self.at,
            rows: self.rows,
            anchored_at: self.anchored.map(|(seq, _)| *seq),
        }
    }

    fn over_page(&mut self, tx: &ReadTx<'_>, source: AuditSource) -> Result<PageEnd> {
        if !self.anchor_fits_here() {
            return Ok(PageEnd::Broken(self.at));
        }
        let mut before = self.chain;
        let page = tx.all(
            "SELECT r.seq, r.source, r.at, r.event, r.outcome, r.actor, r.actor_user_id,
                 r.actor_via_id, r.user_id, r.branch_id, r.organisation_id, r.session_id,
                 r.api_key_id, r.device_hash, r.ip, r.user_agent, r.reason, r.count, r.detail,
                 r.chain, r.salt, r.person_hash, u.audit_salt, a.audit_salt,
                 coalesce(u.erased_seq > r.seq, 0) OR coalesce(a.erased_seq > r.seq, 0),
                 NOT EXISTS (
                     SELECT 1 FROM user AS e
                     WHERE e.id IN (r.user_id, r.actor_user_id) AND e.erased_seq > c.trimmed_seq
                         AND NOT EXISTS (
                             SELECT 1 FROM audit AS own
                             WHERE own.seq = e.erased_seq AND own.source = c.source
                                 AND own.event = 'user.erased' AND own.user_id = e.id))
             FROM audit AS r JOIN audit_chain AS c ON c.source = 0
                 LEFT JOIN user AS u ON u.id = r.user_id
                 LEFT JOIN user AS a ON a.id = r.actor_user_id
             WHERE r.source = ?1 AND r.seq > ?2 ORDER BY r.seq LIMIT ?3",
            params![source.number(), self.at, ROWS_PER_SNAPSHOT],
            |row| {
                let link = stored_link(row, &before)?;
                let chain = digest(bytes(row, 19)?);
                before = chain.unwrap_or(before);
                let fits = chain == Some(link) && person_fits(row)?;
                Ok(StoredRow { seq: row.get(0)?, fits, chain })
            },
        )?;
        if page.is_empty() {
            return self.at_the_end(tx, source);
        }
        for stored in page {
            if let Some((seq, _)) = self.anchored
                && self.at < *seq
                && *seq < stored.seq
            {
                return Ok(PageEnd::Broken(*seq));
            }
            let Some(chain) = stored.chain.filter(|_| stored.fits) else {
                return Ok(PageEnd::Broken(stored.seq));
            };
            (self.at, self.chain) = (stored.seq, chain);
            self.rows += 1;
            self.in_span += u64::from(self.span.has(self.at));
            if !self.anchor_fits_here() {
                return Ok(PageEnd::Broken(stored.seq));
            }
        }
        Ok(PageEnd::More)
    }

    fn anchor_fits_here(&self) -> bool {
        self.anchored.is_none_or(|(seq, chain)| *seq != self.at || *chain == self.chain)
    }

    /// A whole chain reaches its head and the anchor, and no row is outside it.
    fn at_the_end(&self, tx: &ReadTx<'_>, source: AuditSource) -> Result<PageEnd> {
        let end = ChainRow::of(tx, source)?;
        if (self.at, self.chain) != (end.head_seq, end.head) {
            let missing = i64::from(self.at != end.head_seq);
            return Ok(PageEnd::Broken(self.at.min(end.head_seq).saturating_add(missing)));
        }
        if let Some((seq, _)) = self.anchored
            && *seq > self.at
        {
            return Ok(PageEnd::Broken(*seq));
        }
        // Only a chain that was never trimmed begins with the zero hash.
        if (end.trimmed_seq == 0) != (end.trimmed == Digest::from_bytes([0; 32])) {
            return Ok(PageEnd::Broken(end.trimmed_seq));
        }
        let (rows, first): (i64, Option<i64>) = tx.exactly_one(
            "SELECT count(*), min(seq) FROM audit WHERE source = ?1",
            params![source.number()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        // The last row that was trimmed is in no chain any more.
        let is_trimmed_row_there: bool = tx.exactly_one(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE seq = ?1)",
            params![end.trimmed_seq],
            |row| row.get(0),
        )?;
        match first {
            _ if is_trimmed_row_there => Ok(PageEnd::Broken(end.trimmed_seq)),
            Some(first) if first <= end.trimmed_seq => Ok(PageEnd::Broken(first)),
            _ if rows != end.kept_rows => Ok(PageEnd::Broken(first.unwrap_or(end.head_seq))),
            _ => Ok(PageEnd::ChainRow),
        }
    }
}

/// Whether what the row keeps about a person has its hash. Of a user who was erased after the row
/// was written the salt is gone: then nothing may be kept, and the log must prove the erasure. A
/// row that is younger than the erasure was written without that salt, and so was one that is older
/// than the user: an import may give a user an id that the log has named before. The chain covers
/// the hash, so it does not matter which of the salts it was made with.
fn person_fits(row: &Row<'_>) -> rusqlite::Result<bool> {
    let detail = bytes(row, 18)?.filter(|_| row.get(1).is_ok_and(is_of_host));
    let values = [bytes(row, 13)?, bytes(row, 14)?, bytes(row, 15)?, detail];
    if row.get(24)? {
        return Ok(values.iter().all(Option::is_none) && row.get(25)?);
    }
    let (user, actor) = (bytes(row, 22)?, bytes(row, 23)?);
    let stored = digest(bytes(row, 21)?);
    let with = [[user, actor], [None, actor], [user, None], [None, None]];
    Ok(with.into_iter().any(|salts| stored == Some(person_hash(salts, values))))
}

fn digest(bytes: Option<&[u8]>) -> Option<Digest> {
    bytes?.try_into().ok().map(Digest::from_bytes)
}
