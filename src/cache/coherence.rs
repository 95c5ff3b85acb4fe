//! Cache coherence: no verify returns a cached result that is older than the file.
//!
//! **Rule.** A cached entry counts only after the change signal, the WAL-index header, was
//! compared with the header up to which this process has followed. If they are equal, no process
//! has committed a change that is not in the stamps: an entry that is valid by the stamps, read
//! after that comparison, equals the file. If they differ, one caller catches up, and the others
//! read the file meanwhile.
//!
//! **Ordering of a catch-up.** Moving any of these steps makes a stale cache hit possible:
//!
//! 1. read the header H1, with both copies equal;
//! 2. take a *new* snapshot and read the change rows after the bookmark;
//! 3. raise the epoch, so that no fill from before this snapshot stays valid;
//! 4. stamp what has changed;
//! 5. publish **H1**, never a header read after the snapshot: a commit between them was not read.

use crate::cache::seqlock::SeqLock;
use crate::cache::{Cache, CachedEntry, Epoch, Image, Span};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Bookmark, Change, Changes, Header, Reading, WalIndex};
use crate::sync::Mutex;
use crate::value::principal::Principal;

/// The cache of a file, and the change signal that decides whether the cache is current.
#[derive(Debug)]
pub(crate) struct Coherence {
    pub(crate) cache: Cache,
    index: WalIndex,
    followed: Followed,
    /// Locked by the thread that catches up.
    place: Mutex<Option<Bookmark>>,
}

impl Coherence {
    pub(crate) fn new(index: WalIndex, cache: Cache) -> Self {
        Self { cache, index, followed: Followed::default(), place: Mutex::new(None) }
    }

    /// The entry of an image if it equals the file, after catching up if necessary. On `None`, a
    /// cache miss, the caller reads the file.
    ///
    /// The entry is copied before the change signal is compared, so that the cache lines arrive
    /// meanwhile. That is safe, as the stamps are read after the signal.
    ///
    /// # Errors
    /// Those of a read of the file; `TooNew` if another process has migrated it too far for this
    /// version.
    // As a call it would copy the entry once more.
    #[inline(always)]
    pub(crate) fn find(&self, image: Image) -> Result<Option<CachedEntry>> {
        let entry = self.cache.find(image);
        if !self.is_fresh()? {
            return Ok(None);
        }
        Ok(entry.filter(|entry| self.cache.is_valid(entry)))
    }

    /// Begins a fill. Must be called before the SELECT of a verify begins.
    pub(crate) fn begin_fill(&self, image: Image) -> Fill<'_> {
        Fill { coherence: self, image, epoch: self.cache.epoch() }
    }

    /// Whether the stamps include everything that is committed now.
    #[inline(always)]
    fn is_fresh(&self) -> Result<bool> {
        let Some(view) = self.index.read() else {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        };
        if self.followed.is(view.now()) {
            return Ok(true);
        }
        self.catch_up(&view)
    }

    /// Closes the connection of the wal-index.
    pub(crate) fn close(&self) -> Result<()> {
        self.index.close()
    }

    #[cold]
    fn catch_up(&self, view: &Reading<'_>) -> Result<bool> {
        let Some(mut place) = self.place.try_lock() else {
            return Ok(false);
        };
        let Some(header) = view.stable() else {
            return Ok(false);
        };
        if !self.followed.is(header) {
            let here = follow(&self.cache, &self.followed, header, || view.changes_since(*place))?;
            *place = Some(here);
        }
        Ok(self.followed.is(view.now()))
    }
}

/// A cache fill by a verify that reads the file. Its epoch is from before the SELECT, so a change
/// that the SELECT did not see gets a later stamp.
pub(crate) struct Fill<'c> {
    coherence: &'c Coherence,
    image: Image,
    epoch: Epoch,
}

impl Fill<'_> {
    /// Inserts the result into the cache, if the SELECT saw the state that was followed and no
    /// later one.
    ///
    /// A restore may undo the later state. The bookmark is of the followed state, and would not
    /// show that the entry is of none that the file still has.
    pub(crate) fn remember(&self, principal: &Principal, privileges: &str, span: Span) {
        let Coherence { cache, index, followed, .. } = self.coherence;
        if index.read().is_some_and(|view| followed.is(view.now())) {
            cache.fill(self.epoch, self.image, principal, privileges, span);
        }
    }
}

/// Steps 2 to 5 of a catch-up, with the header of step 1.
fn follow(
    cache: &Cache,
    followed: &Followed,
    header: Header,
    read: impl FnOnce() -> Result<Changes>,
) -> Result<Bookmark> {
    let changes = read()?;
    let epoch = cache.raise_epoch();
    cache.swept_to(changes.swept_to);
    if !changes.complete {
        cache.stamp_everyone(epoch);
    }
    for change in &changes.rows {
        match change {
            Change::Everyone => cache.stamp_everyone(epoch),
            Change::User(user) => cache.stamp_user(epoch, *user),
            Change::Session(id) => cache.stamp_holder(epoch, id.as_bytes()),
            Change::ApiKey(id) => cache.stamp_holder(epoch, id.as_bytes()),
        }
    }
    followed.publish(header);
    Ok(changes.place)
}

/// The header up to which the stamps are complete, in a sequence lock: read by every verify,
/// written by the thread that catches up.
#[derive(Debug)]
struct Followed(SeqLock<{ Header::WORDS }>);

impl Default for Followed {
    fn default() -> Self {
        Self(SeqLock::new())
    }
}

impl Followed {
    #[inline]
    fn is(&self, header: Header) -> bool {
        self.0.is(header.words())
    }

    fn publish(&self, header: Header) {
        self.0.write(header.words());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::{SessionId, UserId};
    use crate::value::name::DeviceId;
    use crate::value::principal::Credential;
    use crate::value::random::SystemRandom;
    use crate::value::time::Timestamp;

    const SESSION: SessionId = SessionId::from_bytes([7; 16]);
    const USER: UserId = UserId::from_bytes([8; 16]);
    const SPAN: Span = Span { from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX };

    /// Whether a verify that read this epoch, and the file before its change, leaves a valid
    /// entry.
    fn is_cached(cache: &Cache, epoch: Epoch) -> bool {
        let device = DeviceId::new("till-1").unwrap();
        let image = cache.image(&"t".repeat(74), Some(&device)).unwrap();
        let principal =
            Principal { credential: Credential::Session(SESSION), ..Principal::for_tests(USER) };
        cache.fill(epoch, image, &principal, "", SPAN);
        cache.find(image).is_some_and(|entry| cache.is_valid(&entry))
    }

    /// A verify that began while the change rows were read may have seen the file before the
    /// change.
    #[test]
    fn no_catch_up_hides_its_changes_from_a_verify_that_began_meanwhile() {
        for change in [Change::Session(SESSION), Change::User(USER), Change::Everyone] {
            let cache = Cache::new(8, &SystemRandom).unwrap();
            let followed = Followed::default();
            let header = Header::from_words([1; Header::WORDS]);
            let mut meanwhile = None;
            follow(&cache, &followed, header, || {
                assert!(!followed.is(header), "published before the rows were read");
                meanwhile = Some(cache.epoch());
                Ok(Changes::of(vec![change]))
            })
            .unwrap();
            assert!(followed.is(header));
            assert!(!is_cached(&cache, meanwhile.unwrap()), "{change:?}");
            assert!(is_cached(&cache, cache.epoch()));
        }
    }

    #[test]
    fn a_catch_up_that_failed_has_followed_nothing() {
        let cache = Cache::new(8, &SystemRandom).unwrap();
        let followed = Followed::default();
        let header = Header::from_words([1; Header::WORDS]);
        let failed = follow(&cache, &followed, header, || Err(Error::corrupt("a row is missing")));
        assert!(failed.is_err() && !followed.is(header));
    }

    #[test]
    fn nothing_is_followed_before_the_first_catch_up() {
        let followed = Followed::default();
        assert!(!followed.is(Header::from_words([0; Header::WORDS])));
        let header = Header::from_words([1, 2, 3, 4, 5, 6]);
        followed.publish(header);
        assert!(followed.is(header));
        for at in 0..Header::WORDS {
            let mut other = [1, 2, 3, 4, 5, 6];
            other[at] ^= 1 << 40;
            assert!(!followed.is(Header::from_words(other)));
        }
    }

    /// A restore may take that commit back, and then nothing shows that the entry came from it.
    #[test]
    fn what_a_commit_after_the_last_catch_up_may_have_shown_is_not_cached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = crate::Store::open(path, crate::Options::server()).unwrap();
        let coherence = store.core().coherence.as_ref().unwrap();
        let image = coherence.cache.image(&"t".repeat(74), None).unwrap();
        let principal =
            Principal { credential: Credential::Session(SESSION), ..Principal::for_tests(USER) };
        for (commits, cached) in [(1, 0), (0, 1)] {
            assert!(coherence.find(image).unwrap().is_none());
            let fill = coherence.begin_fill(image);
            for number in 0..commits {
                store.organisations().create(&format!("Northern {number}")).unwrap();
            }
            fill.remember(&principal, "", SPAN);
            assert_eq!(coherence.cache.len(), cached, "{commits} commits");
        }
    }
}
