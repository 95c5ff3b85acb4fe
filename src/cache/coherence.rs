//! The cache kept as fresh as the file.
//!
//! What is found in the cache says nothing until the change signal was compared with the header up
//! to which this process has followed. Equal: no process has committed anything that is not in the
//! stamps, so what holds by the stamps, read after that, is what the file says. Different: one
//! caller catches up, in this order, each step of which has its counterexample:
//!
//! 1. read the header H1, both copies equal;
//! 2. take a *new* snapshot and read the change rows behind our place;
//! 3. raise the epoch, so that no fill from before this snapshot outlives it;
//! 4. stamp what has changed;
//! 5. publish **H1**, never a header read after the snapshot: what committed between them was
//!    not read.
//!
//! Meanwhile the others answer from the file.

use crate::cache::seqlock::SeqLock;
use crate::cache::{Cache, Epoch, Image, Remembered, Use};
use crate::error::{Error, Reason, Result};
use crate::storage::{Bookmark, Change, Changes, Header, Look, WalIndex};
use crate::sync::Mutex;
use crate::value::facts::Facts;
use crate::value::time::Timestamp;

/// The cache of a file and the signal that tells whether it holds.
#[derive(Debug)]
pub(crate) struct Coherence {
    pub(crate) cache: Cache,
    index: WalIndex,
    followed: Followed,
    /// Held by the one who catches up.
    place: Mutex<Option<Bookmark>>,
}

impl Coherence {
    pub(crate) fn new(index: WalIndex, cache: Cache) -> Self {
        Self { cache, index, followed: Followed::default(), place: Mutex::new(None) }
    }

    /// What is remembered for an image, if that is what the file says, after catching up if need
    /// be. If there is nothing, the caller asks the file.
    ///
    /// It is copied out first, as memory is slow and the signal decides about it all the same:
    /// what counts is that the stamps are read after the signal.
    ///
    /// # Errors
    /// The file cannot be read, or not by this version any more.
    #[inline]
    pub(crate) fn remembered(&self, image: Image) -> Result<Option<Remembered<'_>>> {
        let entry = self.cache.look_up(image);
        if !self.is_fresh()? {
            return Ok(None);
        }
        Ok(entry.filter(|entry| self.cache.holds(entry)))
    }

    /// To be called before the SELECT of a verify begins.
    pub(crate) fn begin_fill(&self, image: Image) -> Fill<'_> {
        Fill { cache: &self.cache, image, epoch: self.cache.epoch() }
    }

    /// Whether the stamps are complete up to what the file says now.
    #[inline]
    fn is_fresh(&self) -> Result<bool> {
        let Some(look) = self.index.look() else {
            return Err(Error::new(Reason::Closed, "the store is closed"));
        };
        if self.followed.is(look.now()) {
            return Ok(true);
        }
        self.catch_up(&look)
    }

    /// Lets the file go.
    pub(crate) fn close(&self) -> Result<()> {
        self.index.close()
    }

    #[cold]
    fn catch_up(&self, look: &Look<'_>) -> Result<bool> {
        let Some(mut place) = self.place.try_lock() else {
            return Ok(false);
        };
        let Some(header) = look.stable() else {
            return Ok(false);
        };
        if !self.followed.is(header) {
            let here = follow(&self.cache, &self.followed, header, || look.changes_since(*place))?;
            *place = Some(here);
        }
        Ok(self.followed.is(look.now()))
    }
}

/// A verify that asks the file. The epoch is from before it asks: what has changed by the time it
/// is answered, and was not seen by it, is stamped with a later one.
pub(crate) struct Fill<'c> {
    cache: &'c Cache,
    image: Image,
    epoch: Epoch,
}

impl Fill<'_> {
    /// Remembers the answer. `expires_at` is the first moment at which it is expired; the end of
    /// time for a key without end.
    pub(crate) fn remember(&self, facts: &Facts, expires_at: Timestamp, last: Option<Use>) {
        self.cache.fill(self.epoch, self.image, facts, expires_at, last);
    }
}

/// What a catch-up does with the header that it has read: steps 2 to 5.
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

/// The header up to which the stamps are complete. Read by everyone, written by the one who
/// catches up.
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
        self.0.read(header.words()).is_some()
    }

    fn publish(&self, header: Header) {
        self.0.write(header.words(), |_| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::facts::{Assurance, UserKind};
    use crate::value::id::{SessionId, UserId};
    use crate::value::name::DeviceId;
    use crate::value::random::SystemRandom;

    const SESSION: SessionId = SessionId::from_bytes([7; 16]);
    const USER: UserId = UserId::from_bytes([8; 16]);

    /// Whether a verify that read this epoch, and the file before it changed, is remembered.
    fn is_remembered(cache: &Cache, epoch: Epoch) -> bool {
        let device = DeviceId::new("till-1").unwrap();
        let image = cache.image(&"t".repeat(74), Some(&device)).unwrap();
        let opened = Timestamp::from_millis(0).to_datetime();
        let facts = Facts {
            session: Some(SESSION),
            api_key: None,
            user: USER,
            branch: None,
            organisation: None,
            kind: UserKind::Person,
            is_admin: false,
            assurance: Assurance::Aal1,
            opened_at: opened,
            authenticated_at: opened,
            expires_at: None,
        };
        cache.fill(epoch, image, &facts, Timestamp::from_millis(1), None);
        cache.look_up(image).is_some_and(|entry| cache.holds(&entry))
    }

    /// A verify that began while the rows were read may have seen the file as it was before.
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
            assert!(!is_remembered(&cache, meanwhile.unwrap()), "{change:?}");
            assert!(is_remembered(&cache, cache.epoch()));
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
}
