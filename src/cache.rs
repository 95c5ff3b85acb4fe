//! Verified sessions and keys, remembered. A data structure: it knows nothing of SQL or clocks.
//!
//! An entry is found by a keyed image of the token and the device as they were presented:
//! SipHash-2-4 with 128 bits under a key that this process draws. Only a pair that was once
//! decoded, looked up and compared can have put an entry there, so that finding it proves both, and
//! no token is kept.
//!
//! **Stamps, not evictions.** What changes is not searched for. Each catch-up with the file has a
//! number, the epoch. A fill remembers the epoch that it read *before* its SELECT began; a catch-up
//! reads the change rows, *then* raises the epoch to `n`, and stamps with `n` what has changed: a
//! slot of a table for a session or a user, everything for a branch, an organisation or the store.
//! An entry holds if its epoch is not below any of its stamps. A fill whose snapshot is older than
//! a change has read its epoch before that change was even committed, hence before any catch-up
//! that saw the change raised it: its entry is below the stamp. Slots are shared by hash; sharing
//! costs a look at the file and never an answer.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache as Map, DefaultLifecycle};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::error::Result;
use crate::value::facts::Facts;
use crate::value::id::UserId;
use crate::value::limits::{
    CACHE_FIRST_ENTRIES, CACHE_SESSION_STAMPS, CACHE_USER_STAMPS, TOKEN_TEXT_BYTES,
};
use crate::value::name::DeviceId;
use crate::value::random::{RandomSource, random_bytes};
use crate::value::time::Timestamp;

/// The cache of one open file.
pub(crate) struct Cache {
    map: Map<u128, Entry, UnitWeighter, ImageIsHash, DefaultLifecycle<u128, Entry>>,
    image_key: [u8; 16],
    epoch: AtomicU64,
    /// The epoch in which something changed for everybody.
    everyone: AtomicU64,
    sessions: Box<[AtomicU64]>,
    users: Box<[AtomicU64]>,
    swept_to: AtomicI64,
}

/// Which session or key, and of whom, for the stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    session: u32,
    user: u32,
}

/// Number of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

/// The keyed image of a token and a device, as presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image(u128);

/// A session or key that was live when it was filled, and what can end it without a change.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) facts: Facts,
    /// The first moment at which it is expired; the end of time for a key without end.
    pub(crate) expires_at: Timestamp,
    pub(crate) idle: Option<Idle>,
    slots: Slots,
    filled_in: Epoch,
}

/// The idle limit of a session, and its last use as this process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Idle {
    pub(crate) limit_ms: i64,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    last_use: AtomicI64,
    /// What the file says, or will say once the use that was last told on is written.
    written: AtomicI64,
}

impl Idle {
    pub(crate) fn new(limit_ms: i64, last_use: Timestamp, written: Timestamp) -> Self {
        let known = Known {
            last_use: AtomicI64::new(last_use.as_millis()),
            written: AtomicI64::new(written.as_millis()),
        };
        Self { limit_ms, known: Arc::new(known) }
    }

    pub(crate) fn last_use(&self) -> Timestamp {
        Timestamp::from_millis(self.known.last_use.load(Ordering::Relaxed))
    }

    pub(crate) fn used(&self, now: Timestamp) {
        self.known.last_use.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    /// What the file says, if it is `interval_ms` behind: to one caller, who is to tell on the
    /// use.
    pub(crate) fn behind(&self, now: Timestamp, interval_ms: i64) -> Option<Timestamp> {
        let (written, now) = (self.known.written.load(Ordering::Relaxed), now.as_millis());
        if now.saturating_sub(written) < interval_ms {
            return None;
        }
        let mine = self.known.written.compare_exchange(
            written,
            now,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        mine.ok().map(Timestamp::from_millis)
    }
}

impl Slots {
    /// `holder` is the id of the session or key.
    pub(crate) fn new(holder: &[u8; 16], user: UserId) -> Self {
        Self {
            session: slot(holder, CACHE_SESSION_STAMPS),
            user: slot(user.as_bytes(), CACHE_USER_STAMPS),
        }
    }
}

impl Cache {
    /// An empty cache for at most `entries`, a little under 256 bytes each. The tables of stamps
    /// take memory as they are touched, at most 1.25 MiB.
    pub(crate) fn new(entries: usize, random: &dyn RandomSource) -> Result<Self> {
        let stamps = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            map: Map::with(
                entries.min(CACHE_FIRST_ENTRIES),
                entries as u64,
                UnitWeighter,
                ImageIsHash,
                DefaultLifecycle::default(),
            ),
            image_key: random_bytes(random)?,
            epoch: AtomicU64::new(0),
            everyone: AtomicU64::new(0),
            sessions: stamps(CACHE_SESSION_STAMPS),
            users: stamps(CACHE_USER_STAMPS),
            swept_to: AtomicI64::new(i64::MIN),
        })
    }

    /// The image of a pair as presented; none for what cannot be a token.
    pub(crate) fn image(&self, token: &str, device: Option<&DeviceId>) -> Option<Image> {
        if token.len() != TOKEN_TEXT_BYTES {
            return None;
        }
        let mut hasher = SipHasher24::new_with_key(&self.image_key);
        // The token has one length, so nothing of the device can be taken for a part of it.
        hasher.write(token.as_bytes());
        match device {
            Some(device) => {
                hasher.write_u8(1);
                hasher.write(device.as_str().as_bytes());
            }
            None => hasher.write_u8(0),
        }
        Some(Image(hasher.finish128().as_u128()))
    }

    /// The entry of an image, if nothing that it depends on has changed since it was filled.
    pub(crate) fn find(&self, image: Image) -> Option<Entry> {
        let entry = self.map.get(&image.0)?;
        self.holds(&entry).then_some(entry)
    }

    fn holds(&self, entry: &Entry) -> bool {
        let newest = [
            Some(&self.everyone),
            self.sessions.get(entry.slots.session as usize),
            self.users.get(entry.slots.user as usize),
        ]
        .into_iter()
        .map(|stamp| stamp.map_or(u64::MAX, |stamp| stamp.load(Ordering::Relaxed)))
        .max();
        newest.is_some_and(|newest| entry.filled_in.0 >= newest)
            && entry.expires_at.as_millis() > self.swept_to.load(Ordering::Relaxed)
    }

    /// To be read before the SELECT of a fill begins.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Remembers what a SELECT has found that began after `epoch` was read.
    pub(crate) fn fill(
        &self,
        epoch: Epoch,
        image: Image,
        slots: Slots,
        facts: Facts,
        expires_at: Timestamp,
        idle: Option<Idle>,
    ) {
        let entry = Entry { facts, expires_at, idle, slots, filled_in: epoch };
        self.map.insert(image.0, entry);
    }

    /// The epoch of a catch-up, to be raised after it has read the change rows and before it
    /// stamps. One catch-up at a time.
    pub(crate) fn raise_epoch(&self) -> Epoch {
        Epoch(self.epoch.fetch_add(1, Ordering::AcqRel).saturating_add(1))
    }

    pub(crate) fn stamp_everyone(&self, epoch: Epoch) {
        self.everyone.store(epoch.0, Ordering::Release);
    }

    /// `holder` is the id of a session or key.
    pub(crate) fn stamp_holder(&self, epoch: Epoch, holder: &[u8; 16]) {
        if let Some(stamp) = self.sessions.get(slot(holder, CACHE_SESSION_STAMPS) as usize) {
            stamp.store(epoch.0, Ordering::Release);
        }
    }

    pub(crate) fn stamp_user(&self, epoch: Epoch, user: UserId) {
        if let Some(stamp) = self.users.get(slot(user.as_bytes(), CACHE_USER_STAMPS) as usize) {
            stamp.store(epoch.0, Ordering::Release);
        }
    }

    /// What expired up to `to` may be gone, whatever this process's clock says.
    pub(crate) fn swept_to(&self, to: Timestamp) {
        self.swept_to.fetch_max(to.as_millis(), Ordering::Release);
    }

    /// How many entries it holds, live or not.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

/// Ids end in random bits.
fn slot(id: &[u8; 16], slots: u32) -> u32 {
    let [.., a, b, c, d] = *id;
    u32::from_le_bytes([a, b, c, d]) % slots
}

/// Images are hashes already, under a key of this process.
#[derive(Debug, Clone, Copy, Default)]
struct ImageIsHash;

/// Takes the upper half of an image.
#[derive(Debug, Clone, Copy, Default)]
struct Half(u64);

impl BuildHasher for ImageIsHash {
    type Hasher = Half;

    fn build_hasher(&self) -> Half {
        Half(0)
    }
}

impl Hasher for Half {
    fn write_u128(&mut self, image: u128) {
        self.0 = (image >> 64) as u64;
    }

    /// Never called for a `u128`; still a hash.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("entries", &self.len()).finish_non_exhaustive()
    }
}
