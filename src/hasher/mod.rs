//! Password hashing: Argon2id behind a gate, in pooled and wiped work memory.
//!
//! A login first asks to be admitted, then reserves its attempt, then hashes, then settles. So
//! [`Hasher::admit`] answers a [`Ticket`], which holds a place until it is dropped, and only a
//! ticket can hash. `Overloaded` is answered there and nowhere else. A thread takes one ticket at
//! a time: with a single place, a second one would wait for the first for ever.
//!
//! There are a few more places than slots to hash in ([`ahead_of`]), so that a core does not wait
//! while the login that is next flushes its reservation to the disk. There are no more of them
//! than that: each place is an attempt that may stay charged when the process is killed.
//!
//! Every call of [`Ticket::verify`] that answers evaluates Argon2 exactly once, whether there is
//! a stored hash or not, so that the time does not tell who exists. What cannot be read costs
//! nothing and is an error, never a refusal and never a match.
//!
//! Passwords are normalised to NFC (NIST SP 800-63B-4 section 3.1.1.2), here and only here, so
//! that the same keys pressed on two systems give the same bytes. That is irreversible for stored
//! hashes, hence [`NORM_VERSION`], which is stored beside each.

mod cost;
mod gate;
mod memory;
mod phc;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use self::cost::Cost;
use self::gate::{Gate, Slot};
use self::memory::Pool;
use self::phc::Stored;
use crate::error::{Error, Result};
use crate::value::limits::{HASH_OUTPUT_BYTES, HASH_SALT_BYTES};
use crate::value::random::{RandomSource, random_bytes};
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// Which normalisation a stored hash was made with: 1 is NFC.
pub(crate) const NORM_VERSION: i64 = 1;

/// The salt of the work done for a user that has no stored hash.
const NOBODY: &[u8; HASH_SALT_BYTES] = b"nobody has this.";

/// Hashes passwords, a bounded number at once. One to a process and store.
#[derive(Debug)]
pub(crate) struct Hasher {
    cost: Cost,
    /// Who may reserve an attempt.
    places: Gate,
    /// Who may hash: who has a place, and no more than have memory.
    slots: Gate,
    pool: Pool,
    evaluations: AtomicU64,
    /// Read and compared like a stored hash where there is none, so that the time is the same.
    nobody: String,
}

/// Whether a caller may hash.
#[derive(Debug)]
#[must_use]
pub(crate) enum Admission<'h> {
    /// A place is free and held until the ticket is dropped.
    Admitted(Ticket<'h>),
    /// All places are taken and enough callers wait already.
    Overloaded {
        /// When asking again is worth it: whole seconds, at least one.
        retry_after: Duration,
    },
}

/// A place among those who hash next. Dropping it, also while unwinding, hands it to the next one.
#[derive(Debug)]
pub(crate) struct Ticket<'h> {
    hasher: &'h Hasher,
    now: Timestamp,
    _place: Slot<'h>,
}

/// A new hash, as it is to be stored (a PHC string).
pub(crate) struct Hashed(String);

/// What verifying a password against a stored hash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Verification {
    pub(crate) matches: bool,
    /// The password matches and a new hash would take more work than the stored one.
    pub(crate) needs_upgrade: bool,
}

/// A glance at the hasher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HasherStatus {
    /// How often Argon2 has run since the start.
    pub(crate) evaluations: u64,
    /// Callers that wait for a slot.
    pub(crate) waiting: usize,
    /// Slots in use.
    pub(crate) running: usize,
    /// Callers turned away since the start.
    pub(crate) overloaded: u64,
    /// Buffers kept for the next hash.
    pub(crate) idle_buffers: usize,
}

impl Hasher {
    /// A hasher for at most `max_concurrent` hashes at once (at least one), while at most
    /// `max_waiting` callers wait. It takes no memory before the first hash.
    pub(crate) fn new(cost: Cost, max_concurrent: usize, max_waiting: usize) -> Self {
        let slots = Gate::new(max_concurrent, usize::MAX);
        let ahead = ahead_of(slots.slots()).min(max_waiting);
        let places = Gate::new(slots.slots() + ahead, max_waiting - ahead);
        let pool = Pool::new(block_count(cost), slots.slots());
        let output = Zeroizing::new(vec![0; HASH_OUTPUT_BYTES]);
        let nobody = Stored { cost, salt: NOBODY.to_vec(), output }.write();
        Self { cost, places, slots, pool, evaluations: AtomicU64::new(0), nobody }
    }

    /// Waits for a place, behind those who came before, unless too many wait already.
    pub(crate) fn admit(&self, now: Timestamp) -> Admission<'_> {
        self.pool.release_idle(now);
        match self.places.enter() {
            Ok(place) => Admission::Admitted(Ticket { hasher: self, now, _place: place }),
            Err(retry_after) => Admission::Overloaded { retry_after },
        }
    }

    /// Whether `text` may be imported as the stored hash of a password.
    ///
    /// # Errors
    ///
    /// `Invalid` for anything but a bounded Argon2id hash (version 19) of a cost that
    /// [`Cost::new`] accepts, with a salt of 8 to 64 bytes and an output of 16 to 64.
    pub(crate) fn validate_phc(&self, text: &str) -> Result<()> {
        match self.read(text) {
            Some(_) => Ok(()),
            None => Err(Error::invalid(
                "the password hash is not an Argon2id hash of an accepted cost",
            )),
        }
    }

    /// What is read and compared where there is no stored hash.
    pub(crate) fn nobody(&self) -> &str {
        &self.nobody
    }

    /// Frees work memory that nobody has used for a minute.
    pub(crate) fn release_idle(&self, now: Timestamp) {
        self.pool.release_idle(now);
    }

    pub(crate) fn status(&self) -> HasherStatus {
        let (places, slots) = (self.places.load(), self.slots.load());
        HasherStatus {
            evaluations: self.evaluations.load(Ordering::Relaxed),
            waiting: places.waiting + slots.waiting,
            running: slots.running,
            overloaded: places.overloaded,
            idle_buffers: self.pool.idle_buffers(),
        }
    }

    /// A stored hash that this hasher accepts: the cheap cost of tests only if it is its own.
    fn read(&self, text: &str) -> Option<Stored> {
        let stored = Stored::read(text)?;
        (stored.cost.meets_floor() || stored.cost == self.cost).then_some(stored)
    }

    /// One run of Argon2: the only one of the crate, but for [`Cost::calibrate`].
    fn evaluate(
        &self,
        cost: Cost,
        password: &str,
        salt: &[u8],
        output: &mut [u8],
        now: Timestamp,
    ) -> Result<()> {
        let _slot = self.slots.wait();
        let memory = self.pool.take(block_count(cost), now)?;
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        argon2id(cost)
            .and_then(|argon2| {
                argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
            })
            .map_err(|_| Error::misuse("the password cannot be hashed at this cost"))
    }
}

impl Ticket<'_> {
    /// Hashes a new password with a new salt, at the cost in force.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is empty or longer than 4,096 bytes, `NoRandom` if there is no salt,
    /// `Busy` if there is no memory.
    pub(crate) fn hash(&self, password: &Password, random: &dyn RandomSource) -> Result<Hashed> {
        let password = normalised(password)?;
        if password.is_empty() {
            return Err(Error::invalid("the password is empty"));
        }
        let cost = self.hasher.cost;
        let salt = random_bytes::<HASH_SALT_BYTES>(random)?;
        let mut output = Zeroizing::new(vec![0; HASH_OUTPUT_BYTES]);
        self.hasher.evaluate(cost, &password, &salt, &mut output, self.now)?;
        Ok(Hashed(Stored { cost, salt: salt.to_vec(), output }.write()))
    }

    /// Tests a password against a stored hash, or does the same work if there is none.
    ///
    /// An empty password matches nothing, whatever is stored.
    ///
    /// # Errors
    ///
    /// `Invalid` if the password is longer than 4,096 bytes, `Corrupt` if the stored hash is not
    /// one that [`Hasher::validate_phc`] accepts (both without hashing), `Busy` if there is no
    /// memory.
    pub(crate) fn verify(
        &self,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<Verification> {
        let password = normalised(password)?;
        let is_there = stored.is_some();
        let Some(stored) = self.hasher.read(stored.unwrap_or(&self.hasher.nobody)) else {
            return Err(Error::corrupt("the stored password hash cannot be read"));
        };
        let mut output = Zeroizing::new(vec![0; stored.output.len()]);
        self.hasher.evaluate(stored.cost, &password, &stored.salt, &mut output, self.now)?;
        let matches = stored.is_output(&output) && !password.is_empty() && is_there;
        let needs_upgrade = matches && stored.is_weaker_than(self.hasher.cost);
        Ok(Verification { matches, needs_upgrade })
    }
}

impl Hashed {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed")
    }
}

/// The bytes that are hashed: the whole password in NFC. The length is tested first, as a
/// password of a megabyte once kept a server busy for a minute (CVE-2013-1443).
///
/// # Errors
///
/// `Invalid` if it is longer than 4,096 bytes as received.
pub(crate) fn normalised(password: &Password) -> Result<Zeroizing<String>> {
    password.check_length()?;
    let text = password.expose();
    // NFC makes UTF-8 at most three times as long; a string that grew would leave copies behind.
    let mut nfc = Zeroizing::new(String::with_capacity(3 * text.len()));
    nfc.extend(text.nfc());
    Ok(nfc)
}

/// How long one hash takes here: the shortest of three, as the first must fetch its memory.
#[expect(clippy::disallowed_methods, reason = "calibration is about elapsed time itself")]
fn measure(cost: Cost) -> Option<Duration> {
    let hasher = Hasher::new(cost, 1, 0);
    let now = Timestamp::from_millis(0);
    let mut output = [0; HASH_OUTPUT_BYTES];
    let mut shortest = None;
    for _ in 0..3 {
        let start = std::time::Instant::now();
        hasher.evaluate(cost, "calibration", NOBODY, &mut output, now).ok()?;
        let took = start.elapsed();
        shortest = Some(shortest.map_or(took, |shortest| took.min(shortest)));
    }
    shortest
}

fn argon2id(cost: Cost) -> argon2::Result<Argon2<'static>> {
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// How many may reserve an attempt while all of `slots` hash.
fn ahead_of(slots: usize) -> usize {
    (slots / 4).max(1)
}

/// Blocks of 1 KiB that Argon2 wants: the memory, rounded down to four for each lane.
fn block_count(cost: Cost) -> usize {
    argon2id(cost).map_or(0, |argon2| argon2.params().block_count())
}

#[cfg(test)]
mod tests;
