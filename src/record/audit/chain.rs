//! The hash chain of the audit log: what a row's hash covers, and how a chain is checked.

use std::fmt;
use std::str::FromStr;

use super::{Audit, Source};
use crate::error::{Error, Result};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::digest::{DeviceDigest, Digest, sha256};
use crate::value::event::{Event, Origin};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

/// Rows checked on one snapshot; a longer one would keep the log from being checkpointed.
const ROWS_PER_SNAPSHOT: i64 = 1_000;

/// A row as its hash covers it: every column but the hash itself.
pub(super) struct Row<'r> {
    pub(super) seq: i64,
    pub(super) source: i64,
    pub(super) at: Timestamp,
    pub(super) event: &'r str,
    pub(super) outcome: &'r str,
    pub(super) actor: &'r str,
    pub(super) actor_user: Option<UserId>,
    pub(super) actor_via: Option<[u8; 16]>,
    pub(super) user: Option<UserId>,
    pub(super) branch: Option<BranchId>,
    pub(super) organisation: Option<OrganisationId>,
    pub(super) session: Option<SessionId>,
    pub(super) api_key: Option<ApiKeyId>,
    pub(super) device: Option<DeviceDigest>,
    pub(super) ip: Option<String>,
    pub(super) user_agent: Option<&'r str>,
    pub(super) reason: Option<&'r str>,
    pub(super) count: Option<i64>,
    pub(super) detail: Option<&'r str>,
}

impl<'r> Row<'r> {
    /// The next row of a source, about `event`, as of now.
    pub(super) fn new(
        tx: &'r WriteTx<'_>,
        source: Source,
        seq: i64,
        name: &'r str,
        event: &'r Event,
    ) -> Self {
        let actor = tx.actor();
        let via = match (actor.session(), actor.api_key()) {
            (Some(session), _) => Some(*session.as_bytes()),
            (None, Some(key)) => Some(*key.as_bytes()),
            (None, None) => None,
        };
        let origin = event.origin.as_ref();
        Self {
            seq,
            source: source.number(),
            at: tx.now(),
            event: name,
            outcome: event.outcome.as_str(),
            actor: actor.as_str(),
            actor_user: actor.user(),
            actor_via: via,
            user: event.user,
            branch: event.branch,
            organisation: event.organisation,
            session: event.session,
            api_key: event.api_key,
            device: event.device,
            ip: origin.and_then(Origin::address).map(|ip| ip.to_string()),
            user_agent: origin.and_then(Origin::agent),
            reason: event.reason,
            count: event.count,
            detail: event.detail.as_deref(),
        }
    }

    /// The row's own hash, given that of the row before it.
    pub(super) fn link(&self, before: &Digest) -> Digest {
        let count = self.count.map(i64::to_be_bytes);
        let fixed = [self.seq, self.source, self.at.as_millis()];
        let words = [self.event, self.outcome, self.actor].map(str::as_bytes);
        let optional = [
            self.actor_user.as_ref().map(|id| id.as_bytes().as_slice()),
            self.actor_via.as_ref().map(|id| id.as_slice()),
            self.user.as_ref().map(|id| id.as_bytes().as_slice()),
            self.branch.as_ref().map(|id| id.as_bytes().as_slice()),
            self.organisation.as_ref().map(|id| id.as_bytes().as_slice()),
            self.session.as_ref().map(|id| id.as_bytes().as_slice()),
            self.api_key.as_ref().map(|id| id.as_bytes().as_slice()),
            self.device.as_ref().map(|digest| digest.as_bytes().as_slice()),
            self.ip.as_deref().map(str::as_bytes),
            self.user_agent.map(str::as_bytes),
            self.reason.map(str::as_bytes),
            count.as_ref().map(|bytes| bytes.as_slice()),
            self.detail.map(str::as_bytes),
        ];
        link(before, fixed, words, optional)
    }
}

/// The bytes that a row's hash covers, whatever they mean: a hand may have left any there.
fn link(
    before: &Digest,
    fixed: [i64; 3],
    words: [&[u8]; 3],
    optional: [Option<&[u8]>; 13],
) -> Digest {
    let [seq, source, at] = fixed.map(i64::to_be_bytes);
    let mut parts: Vec<&[u8]> = vec![before.as_bytes(), &seq, &source, &at];
    parts.extend(words);
    for value in optional {
        // A part of its own says whether there is one: nothing is not the same as empty.
        parts.push(if value.is_some() { &[1] } else { &[0] });
        parts.push(value.unwrap_or_default());
    }
    sha256("gatepost.audit.v1", &parts)
}

/// What checking the chains found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum ChainCheck {
    /// Every row is as it was written and none is missing.
    #[non_exhaustive]
    Intact {
        /// How many rows were checked.
        rows: u64,
    },
    /// The first row, by number, that is not what the one before it and its own hash say, or that
    /// is missing.
    #[non_exhaustive]
    Broken {
        /// Its number.
        seq: i64,
    },
}

impl ChainCheck {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        matches!(self, Self::Intact { .. })
    }
}

/// Where both chains end, to be kept outside the file: a log that was cut off or written anew
/// behind it no longer fits.
///
/// ```
/// use gatepost::{Anchor, Options, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let kept: String = store.audit().anchor()?.to_string();
/// let anchor: Anchor = kept.parse()?;
/// assert!(store.audit().verify_chain(Some(&anchor))?.is_intact());
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    heads: [(i64, Digest); 2],
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(own_seq, own), (host_seq, host)] = &self.heads;
        let hex = |digest: &Digest| data_encoding::HEXLOWER.encode(digest.as_bytes());
        write!(f, "{own_seq}:{}:{host_seq}:{}", hex(own), hex(host))
    }
}

impl FromStr for Anchor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Read again, it must be the same text: one anchor is written in one way.
        let anchor = parse(text).filter(|anchor| anchor.to_string() == text);
        anchor.ok_or_else(|| Error::invalid("this is not an anchor of an audit log"))
    }
}

fn parse(text: &str) -> Option<Anchor> {
    let mut parts = text.split(':');
    let mut head = || {
        let seq = parts.next()?.parse().ok().filter(|seq| *seq >= 0)?;
        let bytes = data_encoding::HEXLOWER.decode(parts.next()?.as_bytes()).ok()?;
        Some((seq, Digest::from_bytes(bytes.try_into().ok()?)))
    };
    let heads = [head()?, head()?];
    parts.next().is_none().then_some(Anchor { heads })
}

impl Audit<'_> {
    /// Where both chains end now.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn anchor(&self) -> Result<Anchor> {
        self.store.read(|tx| {
            let head = |source: Source| {
                let end = End::of(tx, source)?;
                Ok((end.head_seq, end.head))
            };
            Ok(Anchor { heads: [head(Source::Gatepost)?, head(Source::Host)?] })
        })
    }

    /// Checks every row of both chains and, if an anchor from before is given, that the log still
    /// continues it.
    ///
    /// Reads the whole log, in snapshots of 1,000 rows. Whoever can write the file can also write
    /// a new chain; only an anchor kept elsewhere finds that (OWASP ASVS 16.4.2).
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`. A broken chain is an answer, not an error.
    pub fn verify_chain(&self, anchor: Option<&Anchor>) -> Result<ChainCheck> {
        let mut rows = 0;
        for source in Source::ALL {
            let anchored = anchor.map(|anchor| {
                let [own, host] = &anchor.heads;
                if source == Source::Gatepost { own } else { host }
            });
            match self.check(source, anchored)? {
                ChainCheck::Intact { rows: checked } => rows += checked,
                broken @ ChainCheck::Broken { .. } => return Ok(broken),
            }
        }
        Ok(ChainCheck::Intact { rows })
    }

    fn check(&self, source: Source, anchored: Option<&(i64, Digest)>) -> Result<ChainCheck> {
        let mut walk = Walk::from(self.store.read(|tx| End::of(tx, source))?, anchored);
        loop {
            let found = self.store.read(|tx| {
                let end = End::of(tx, source)?;
                // What was trimmed while we were walking is walked over.
                if end.trimmed_seq > walk.at {
                    walk = Walk { rows: walk.rows, ..Walk::from(end, anchored) };
                }
                walk.over_page(tx, source)
            })?;
            match found {
                Step::More => {}
                Step::End => return Ok(ChainCheck::Intact { rows: walk.rows }),
                Step::Broken(seq) => return Ok(ChainCheck::Broken { seq }),
            }
        }
    }
}

/// Where a chain begins and ends, by its own row.
#[derive(Clone, Copy)]
struct End {
    trimmed_seq: i64,
    trimmed: Digest,
    head_seq: i64,
    head: Digest,
    kept_rows: i64,
}

impl End {
    fn of(tx: &ReadTx<'_>, source: Source) -> Result<Self> {
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

/// The last row that was found to be right.
struct Walk<'a> {
    at: i64,
    chain: Digest,
    rows: u64,
    anchored: Option<&'a (i64, Digest)>,
}

enum Step {
    More,
    End,
    Broken(i64),
}

/// A row as the file has it: its number, its stored hash, and whether that is its hash.
struct Stored {
    seq: i64,
    chain: Option<Digest>,
    fits: bool,
}

impl<'a> Walk<'a> {
    /// From the end up to which rows were trimmed.
    fn from(end: End, anchored: Option<&'a (i64, Digest)>) -> Self {
        Self { at: end.trimmed_seq, chain: end.trimmed, rows: 0, anchored }
    }

    fn over_page(&mut self, tx: &ReadTx<'_>, source: Source) -> Result<Step> {
        if !self.anchor_fits_here() {
            return Ok(Step::Broken(self.at));
        }
        let mut before = self.chain;
        let page = tx.all(
            "SELECT seq, source, at, event, outcome, actor, actor_user_id, actor_via_id, user_id,
                 branch_id, organisation_id, session_id, api_key_id, device_hash, ip, user_agent,
                 reason, count, detail, chain
             FROM audit WHERE source = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            params![source.number(), self.at, ROWS_PER_SNAPSHOT],
            |row| {
                let link = stored_link(row, &before)?;
                let chain = digest(bytes(row, 19)?);
                before = chain.unwrap_or(before);
                Ok(Stored { seq: row.get(0)?, fits: chain == Some(link), chain })
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
                return Ok(Step::Broken(*seq));
            }
            let Some(chain) = stored.chain.filter(|_| stored.fits) else {
                return Ok(Step::Broken(stored.seq));
            };
            (self.at, self.chain) = (stored.seq, chain);
            self.rows += 1;
            if !self.anchor_fits_here() {
                return Ok(Step::Broken(stored.seq));
            }
        }
        Ok(Step::More)
    }

    fn anchor_fits_here(&self) -> bool {
        self.anchored.is_none_or(|(seq, chain)| *seq != self.at || *chain == self.chain)
    }

    /// A chain that is whole reaches its head and the anchor, and nothing lies outside of it.
    fn at_the_end(&self, tx: &ReadTx<'_>, source: Source) -> Result<Step> {
        let end = End::of(tx, source)?;
        if (self.at, self.chain) != (end.head_seq, end.head) {
            let missing = i64::from(self.at != end.head_seq);
            return Ok(Step::Broken(self.at.min(end.head_seq).saturating_add(missing)));
        }
        if let Some((seq, _)) = self.anchored
            && *seq > self.at
        {
            return Ok(Step::Broken(*seq));
        }
        // A chain begins with no hash, and never again has none.
        if (end.trimmed_seq == 0) != (end.trimmed == Digest::from_bytes([0; 32])) {
            return Ok(Step::Broken(end.trimmed_seq));
        }
        let (rows, first): (i64, Option<i64>) = tx.exactly_one(
            "SELECT count(*), min(seq) FROM audit WHERE source = ?1",
            params![source.number()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        match first {
            Some(first) if first <= end.trimmed_seq => Ok(Step::Broken(first)),
            _ if rows != end.kept_rows => Ok(Step::Broken(first.unwrap_or(end.head_seq))),
            _ => Ok(Step::End),
        }
    }
}

fn stored_link(row: &crate::storage::Row<'_>, before: &Digest) -> rusqlite::Result<Digest> {
    let count = row.get::<_, Option<i64>>(17)?.map(i64::to_be_bytes);
    let fixed = [row.get(0)?, row.get(1)?, row.get(2)?];
    let word = |column: usize| bytes(row, column).map(Option::unwrap_or_default);
    let optional = [
        bytes(row, 6)?,
        bytes(row, 7)?,
        bytes(row, 8)?,
        bytes(row, 9)?,
        bytes(row, 10)?,
        bytes(row, 11)?,
        bytes(row, 12)?,
        bytes(row, 13)?,
        bytes(row, 14)?,
        bytes(row, 15)?,
        bytes(row, 16)?,
        count.as_ref().map(|bytes| bytes.as_slice()),
        bytes(row, 18)?,
    ];
    Ok(link(before, fixed, [word(3)?, word(4)?, word(5)?], optional))
}

/// A text or BLOB as it stands there, be it of the wrong length or no UTF-8.
fn bytes<'r>(
    row: &'r crate::storage::Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?)
}

fn digest(bytes: Option<&[u8]>) -> Option<Digest> {
    bytes?.try_into().ok().map(Digest::from_bytes)
}
