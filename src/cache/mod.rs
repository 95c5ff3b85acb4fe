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

pub(crate) mod coherence;
mod entry;
pub(crate) mod seqlock;
mod table;

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

pub(crate) use self::entry::{Remembered, Use};
use self::table::Table;
use crate::error::Result;
use crate::sync::{AtomicI64, AtomicU64, Ordering};
use crate::value::facts::Facts;
use crate::value::id::UserId;
use crate::value::limits::{CACHE_SESSION_STAMPS, CACHE_USER_STAMPS, TOKEN_TEXT_BYTES};
use crate::value::name::DeviceId;
use crate::value::random::{RandomSource, random_bytes};
use crate::value::time::Timestamp;

/// The cache of one open file.
pub(crate) struct Cache {
    table: Table,
    image_key: [u8; 16],
    epoch: AtomicU64,
    /// The epoch in which something changed for everybody.
    everyone: AtomicU64,
    sessions: Box<[AtomicU64]>,
    users: Box<[AtomicU64]>,
    swept_to: AtomicI64,
}

/// Number of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

/// The keyed image of a token and a device, as presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image(u128);

impl Cache {
    /// An empty cache for at most `entries`; `Options::cache` says what one takes. The tables of
    /// stamps take 1.25 MiB.
    pub(crate) fn new(entries: usize, random: &dyn RandomSource) -> Result<Self> {
        let stamps = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            table: Table::new(entries),
            image_key: random_bytes(random)?,
            epoch: AtomicU64::new(0),
            everyone: AtomicU64::new(0),
            sessions: stamps(CACHE_SESSION_STAMPS),
            users: stamps(CACHE_USER_STAMPS),
            swept_to: AtomicI64::new(i64::MIN),
        })
    }

    /// The image of a pair as presented; none for what cannot be a token.
    #[inline]
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

    /// What was filled for an image. It says nothing before [`Cache::holds`] was asked, after the
    /// change signal was compared.
    #[inline]
    pub(crate) fn look_up(&self, image: Image) -> Option<Remembered<'_>> {
        self.table.find(image.0).map(Remembered::new)
    }

    /// Whether nothing that it depends on has changed since it was filled, as far as the file has
    /// been followed.
    #[inline]
    pub(crate) fn holds(&self, entry: &Remembered<'_>) -> bool {
        let stamps = [
            Some(&self.everyone),
            self.sessions.get(slot(&entry.holder(), CACHE_SESSION_STAMPS)),
            self.users.get(slot(entry.user().as_bytes(), CACHE_USER_STAMPS)),
        ];
        let filled_in = entry.filled_in();
        stamps
            .into_iter()
            .all(|stamp| stamp.is_some_and(|stamp| stamp.load(Ordering::Relaxed) <= filled_in.0))
            && entry.expires_at().as_millis() > self.swept_to.load(Ordering::Relaxed)
    }

    /// To be read before the SELECT of a fill begins. Acquires what the catch-up that raised it
    /// had read, so that the SELECT sees nothing older.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Remembers what a SELECT has found that began after `epoch` was read. `expires_at` is the
    /// first moment at which it is expired; the end of time for a key without end.
    pub(crate) fn fill(
        &self,
        epoch: Epoch,
        image: Image,
        facts: &Facts,
        expires_at: Timestamp,
        last: Option<Use>,
    ) {
        if let Some((record, marks)) = entry::pack(epoch, facts, expires_at, last) {
            self.table.insert(image.0, &record, marks);
        }
    }

    /// The epoch of a catch-up, to be raised after it has read the change rows and before it
    /// stamps. One catch-up at a time.
    ///
    /// The stamps are written relaxed: the header that is published after them releases them to
    /// every reader that compares stamps.
    pub(crate) fn raise_epoch(&self) -> Epoch {
        Epoch(self.epoch.fetch_add(1, Ordering::Release).saturating_add(1))
    }

    pub(crate) fn stamp_everyone(&self, epoch: Epoch) {
        self.everyone.store(epoch.0, Ordering::Relaxed);
    }

    /// `holder` is the id of a session or key.
    pub(crate) fn stamp_holder(&self, epoch: Epoch, holder: &[u8; 16]) {
        if let Some(stamp) = self.sessions.get(slot(holder, CACHE_SESSION_STAMPS)) {
            stamp.store(epoch.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn stamp_user(&self, epoch: Epoch, user: UserId) {
        if let Some(stamp) = self.users.get(slot(user.as_bytes(), CACHE_USER_STAMPS)) {
            stamp.store(epoch.0, Ordering::Relaxed);
        }
    }

    /// What expired up to `to` may be gone, whatever this process's clock says.
    pub(crate) fn swept_to(&self, to: Timestamp) {
        self.swept_to.fetch_max(to.as_millis(), Ordering::Relaxed);
    }

    /// How many entries it holds, live or not.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Ids end in random bits.
fn slot(id: &[u8; 16], slots: u32) -> usize {
    let [.., a, b, c, d] = *id;
    (u32::from_le_bytes([a, b, c, d]) % slots) as usize
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("entries", &self.len()).finish_non_exhaustive()
    }
}
