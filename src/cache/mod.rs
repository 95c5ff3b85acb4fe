//! The cache of verified sessions and API keys. A data structure: it contains no SQL and reads no
//! clock.
//!
//! **Lookup.** The key of an entry is the image of a token and a device as presented: 128 bits of a
//! pseudorandom function, under a random key of this process (`image.rs`). Only a fill, after the
//! token was decoded, found in the file and compared, inserts an image; so finding an image proves
//! the token and the device, and no token is stored.
//!
//! **Stamps, not evictions.** A change does not search for the entries that it affects. Each
//! catch-up with the file has a number, the epoch. A fill records the epoch that it read *before*
//! its SELECT began. A catch-up reads the change rows, *then* raises the epoch to `n`, and stamps
//! what has changed with `n`: one slot of a table for a session or a user, everything for a
//! branch, an organisation or the store. An entry is valid if its epoch is not below any of its
//! stamps.
//!
//! **Why that is safe.** If the snapshot of a fill is older than a change, the fill read its epoch
//! before that change was committed, hence before any catch-up that saw the change raised the
//! epoch: the epoch of the entry is below the stamp. Ids share slots by hash; sharing can cost a
//! cache miss, never a wrong result.

pub(crate) mod coherence;
mod entry;
mod image;
mod privileges;
pub(crate) mod seqlock;
mod table;

pub(crate) use self::entry::{CachedEntry, Span};
pub(crate) use self::image::Image;
use self::image::ImageKey;
use self::privileges::PrivilegeSets;
use self::table::Table;
use crate::error::Result;
use crate::sync::{AtomicI64, AtomicU64, Ordering};
use crate::value::id::UserId;
use crate::value::limits::{CACHE_SESSION_STAMPS, CACHE_USER_STAMPS};
use crate::value::name::DeviceId;
use crate::value::principal::Principal;
use crate::value::random::RandomSource;
use crate::value::time::Timestamp;

/// The cache of one open file.
pub(crate) struct Cache {
    table: Table,
    privileges: PrivilegeSets,
    image_key: ImageKey,
    epoch: AtomicU64,
    /// The epoch of the last change that may affect every entry.
    everyone: AtomicU64,
    sessions: Box<[AtomicU64]>,
    users: Box<[AtomicU64]>,
    swept_to: AtomicI64,
}

/// The number of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Cache {
    /// An empty cache for at most `entries` entries; `Options::cache` documents their size. The
    /// tables of stamps take 1.25 MiB.
    pub(crate) fn new(entries: usize, random: &dyn RandomSource) -> Result<Self> {
        let stamps = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            table: Table::new(entries),
            privileges: PrivilegeSets::new(),
            image_key: ImageKey::random(random)?,
            epoch: AtomicU64::new(0),
            everyone: AtomicU64::new(0),
            sessions: stamps(CACHE_SESSION_STAMPS),
            users: stamps(CACHE_USER_STAMPS),
            swept_to: AtomicI64::new(i64::MIN),
        })
    }

    /// The image of a token and a device; `None` if the text cannot be a token.
    #[inline(always)]
    pub(crate) fn image(&self, token: &str, device: Option<&DeviceId>) -> Option<Image> {
        self.image_key.image(token, device)
    }

    /// Whether the user of an entry has this privilege; `None` if the file must be asked.
    #[inline]
    pub(crate) fn has_privilege(&self, entry: &CachedEntry, name: &str) -> Option<bool> {
        self.privileges.has(entry.privileges(), name)
    }

    /// The entry of an image. It may be used only after the change signal was compared and then
    /// [`Cache::is_valid`] returned `true`.
    #[inline]
    pub(crate) fn find(&self, image: Image) -> Option<CachedEntry> {
        self.table.find(image.0).map(CachedEntry::new)
    }

    /// Whether nothing that the entry depends on has changed since its fill, in the changes that
    /// were followed so far.
    #[inline]
    pub(crate) fn is_valid(&self, entry: &CachedEntry) -> bool {
        let Epoch(filled_in) = entry.filled_in();
        let is_older = |stamp: &AtomicU64| stamp.load(Ordering::Relaxed) <= filled_in;
        is_older(&self.everyone)
            && self.sessions.get(slot(&entry.id(), CACHE_SESSION_STAMPS)).is_some_and(is_older)
            && self
                .users
                .get(slot(entry.user().as_bytes(), CACHE_USER_STAMPS))
                .is_some_and(is_older)
            && entry.span().until.as_millis() > self.swept_to.load(Ordering::Relaxed)
    }

    /// The current epoch. A fill reads it before its SELECT begins. The load acquires what the
    /// catch-up that raised the epoch had read, so that the SELECT sees nothing older.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Inserts the result of a SELECT that began after `epoch` was read. `privileges` has the
    /// names of the user's privileges, separated by spaces. `span` ends at the latest when the
    /// session or key expires.
    pub(crate) fn fill(
        &self,
        epoch: Epoch,
        image: Image,
        principal: &Principal,
        privileges: &str,
        span: Span,
    ) {
        let set = self.privileges.number(privileges);
        if let Some(record) = entry::pack(epoch, principal, set, span) {
            self.table.insert(image.0, &record);
        }
    }

    /// Raises the epoch and returns the new one. A catch-up calls it after it has read the change
    /// rows and before it stamps. One catch-up at a time.
    ///
    /// Ordering: the stamps are stored relaxed. The header that is published after them releases
    /// them to every reader that compares stamps.
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

    /// Makes every entry invalid that expired by `to`: its row may be deleted, whatever this
    /// process's clock says.
    pub(crate) fn swept_to(&self, to: Timestamp) {
        self.swept_to.fetch_max(to.as_millis(), Ordering::Relaxed);
    }

    /// Number of entries, valid or not.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The slot of an id, by its last bits, which are random.
fn slot(id: &[u8; 16], slots: u32) -> usize {
    let [.., a, b, c, d] = *id;
    (u32::from_le_bytes([a, b, c, d]) % slots) as usize
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("entries", &self.len()).finish_non_exhaustive()
    }
}
