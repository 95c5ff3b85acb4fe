//! Password hashing: Argon2id with a bounded number of concurrent hashes, in work memory that is
//! pooled, and wiped when no hash waits for it; and the verification of hashes of other systems,
//! which the first login replaces.
//!
//! **Admission.** A login is admitted, then charges its attempt, then hashes, then records the
//! result. [`Hasher::admit`] returns a [`Ticket`], which keeps a place until it is dropped, and
//! only a ticket can hash. `Overloaded` is returned there and nowhere else. A thread takes one
//! ticket at a time: with a single place, a second ticket would wait for the first for ever.
//!
//! There are a few more places than slots for hashing ([`ahead_of`]), so that a core does not wait
//! while the next login flushes its charge to the disk. There are no more than that: each place is
//! an attempt that stays charged if the process is killed.
//!
//! **No timing oracle.** Every call of [`Ticket::verify`] that returns a result evaluates one hash
//! exactly once, whether there is a stored hash or not, so that the time does not reveal whether a
//! user exists. A stored hash that cannot be read is an error without evaluation, never a refusal
//! and never a match.
//!
//! **Normalisation.** Passwords are normalised to NFC (NIST SP 800-63B-4 section 3.1.1.2), only
//! here, so that the same keys pressed on two systems give the same bytes. That is irreversible
//! for stored hashes, so [`NORM_VERSION`] is stored with each. A hash of another system says in its
//! text what that system did with the typed password.

mod algorithm;
mod cost;
#[cfg(feature = "import-hashes")]
mod foreign;
mod gate;
mod memory;
mod phc;
mod sources;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use self::algorithm::{Argon2Variant, Argon2Version, HashAlgorithm, Normalisation};
pub use self::cost::Cost;
use self::gate::{Gate, Permit};
use self::memory::Slots;
use self::phc::{STAND_IN_SALT, Stored};
use crate::error::{Error, Result};
use crate::value::limits::{HASH_OUTPUT_BYTES, HASH_SALT_BYTES};
use crate::value::random::{RandomSource, random_bytes};
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// The normalisation of new hashes: 1 is NFC.
pub(crate) const NORM_VERSION: i64 = 1;

/// Hashes passwords, with a bounded number of concurrent hashes. Each open store has one.
#[derive(Debug)]
pub(crate) struct Hasher {
    cost: Cost,
    /// Bounds the callers that may charge an attempt.
    places: Gate,
    /// Bounds the callers that hash, each of which has a place and work memory.
    slots: Slots,
    evaluations: AtomicU64,
    upgrades: AtomicU64,
    /// A PHC string, read and compared like a stored hash if there is none, for equal timing.
    stand_in: String,
}

/// Whether a caller may hash.
#[derive(Debug)]
#[must_use]
pub(crate) enum Admission<'h> {
    /// The caller has a place until it drops the ticket.
    Admitted(Ticket<'h>),
    /// All places are taken, and the queue is full.
    Overloaded {
        /// When to try again: whole seconds, at least one.
        retry_after: Duration,
    },
}

/// A place in the hasher. Dropping it, also while unwinding, passes it to the next caller.
#[derive(Debug)]
pub(crate) struct Ticket<'h> {
    hasher: &'h Hasher,
    now: Timestamp,
    /// `None` only inside [`Ticket::outside`].
    place: Option<Permit<'h>>,
}

/// A new hash in the form in which it is stored, a PHC string.
pub(crate) struct Hashed(Zeroizing<String>);

/// The result of verifying a password against a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Verification {
    pub(crate) matches: bool,
    /// The password matches, and the stored hash is of another system or takes less work than a
    /// new one.
    pub(crate) needs_upgrade: bool,
}

/// The counters of the hasher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HasherStatus {
    /// Number of evaluated hashes since the start.
    pub(crate) evaluations: u64,
    /// Number of stored hashes that were replaced by one of the cost in force.
    pub(crate) upgrades: u64,
    /// Callers that wait for a place or a slot.
    pub(crate) waiting: usize,
    /// Slots in use.
    pub(crate) running: usize,
    /// Buffers kept for the next hash.
    pub(crate) idle_buffers: usize,
}

impl Hasher {
    /// A hasher for at most `max_concurrent` hashes at once (at least one) and at most
    /// `max_waiting` waiting callers. It allocates no work memory before the first hash.
    pub(crate) fn new(cost: Cost, max_concurrent: usize, max_waiting: usize) -> Self {
        let slots = Slots::new(max_concurrent, block_count(cost));
        let ahead = ahead_of(slots.count()).min(max_waiting);
        let places = Gate::new(slots.count() + ahead, max_waiting - ahead);
        let stand_in = Stored::standing_in(HashAlgorithm::own(cost), Normalisation::Nfc);
        let stand_in = stand_in.write().to_string();
        Self {
            cost,
            places,
            slots,
            evaluations: AtomicU64::new(0),
            upgrades: AtomicU64::new(0),
            stand_in,
        }
    }

    /// Waits for a place, first come, first served. Returns `Overloaded` at once if the queue is
    /// full.
    pub(crate) fn admit(&self, now: Timestamp) -> Admission<'_> {
        self.slots.pool().release_idle(now);
        match self.places.enter() {
            Ok(place) => Admission::Admitted(Ticket { hasher: self, now, place: Some(place) }),
            Err(retry_after) => Admission::Overloaded { retry_after },
        }
    }

    /// Reads the hash of a password in the form of its source, and returns it in the form in which
    /// it is stored.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the reason, for anything except a salted hash of a known algorithm within
    /// the bounds that this build can compute; Argon2 must have a cost that [`Cost::new`] accepts.
    pub(crate) fn import(&self, text: &str) -> Result<Zeroizing<String>> {
        let refused = |what: &'static str| {
            Error::invalid(what).advising(
                "This hash cannot be imported: issue a one-time token for a reset, or set a new \
                 password with users().set_password.",
            )
        };
        let stored = sources::read(text).map_err(refused)?;
        if !stored.algorithm.is_accepted(self.cost) {
            return Err(refused(
                "the password hash is below the floor of Cost::new: 47,104 KiB and 1 pass, 19,456 \
                 and 2, or 12,288 and 3",
            ));
        }
        // No test fails without this: with all features every hash can be computed. The program
        // of `scripts/beside` has no feature.
        if !stored.algorithm.is_computable() {
            return Err(uncomputable());
        }
        Ok(stored.write())
    }

    /// The PHC string that is read and compared if there is no stored hash. Its cost is that of the
    /// users at `place` among all, cheapest first: `costs` counts the users of each cost. Without
    /// any user, it is the cost in force.
    pub(crate) fn stand_in(&self, costs: &[(String, u64)], place: u64) -> String {
        let mut known: Vec<(u64, String, u64)> = costs
            .iter()
            .filter_map(|(cost, users)| {
                let stand_in = self.accept(Stored::stand_in(cost)?)?;
                Some((stand_in.algorithm.work(), stand_in.write().to_string(), *users))
            })
            .collect();
        known.sort();
        let users = known.iter().map(|(.., users)| u128::from(*users)).sum::<u128>();
        let mut drawn = (u128::from(place) * users) >> u64::BITS;
        for (_, text, users) in known {
            match drawn.checked_sub(u128::from(users)) {
                Some(beyond) => drawn = beyond,
                None => return text,
            }
        }
        self.stand_in.clone()
    }

    /// The work that a hash of this cost takes, which is named as stored hashes begin; `None` if it
    /// is none that this process can compute.
    pub(crate) fn work_of(&self, cost: &str) -> Option<u64> {
        Some(self.accept(Stored::stand_in(cost)?)?.algorithm.work())
    }

    /// The work that a new hash takes.
    pub(crate) fn work(&self) -> u64 {
        HashAlgorithm::own(self.cost).work()
    }

    /// Frees work memory that was not used for a minute.
    pub(crate) fn release_idle(&self, now: Timestamp) {
        self.slots.pool().release_idle(now);
    }

    pub(crate) fn count_upgrade(&self) {
        self.upgrades.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn status(&self) -> HasherStatus {
        let (places, slots) = (self.places.load(), self.slots.load());
        HasherStatus {
            evaluations: self.evaluations.load(Ordering::Relaxed),
            upgrades: self.upgrades.load(Ordering::Relaxed),
            waiting: places.waiting + slots.waiting,
            running: slots.running,
            idle_buffers: self.slots.pool().idle_buffers(),
        }
    }

    /// Reads a stored hash that this hasher accepts: one of the cheap test cost only if that is
    /// its own cost.
    fn read(&self, text: &str) -> Option<Stored> {
        self.accept(Stored::read(text)?)
    }

    fn accept(&self, stored: Stored) -> Option<Stored> {
        stored.algorithm.is_accepted(self.cost).then_some(stored)
    }

    /// Evaluates one hash. The crate evaluates hashes nowhere else.
    fn evaluate(
        &self,
        algorithm: HashAlgorithm,
        password: &str,
        salt: &[u8],
        output: &mut [u8],
        now: Timestamp,
    ) -> Result<()> {
        let mut slot = self.slots.wait(now);
        let HashAlgorithm::Argon2 { variant, version, cost } = algorithm else {
            slot.put_back();
            self.evaluations.fetch_add(1, Ordering::Relaxed);
            return compute_foreign(algorithm, password, salt, output);
        };
        let memory = slot.memory(block_count(cost))?;
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        argon2(variant, version, cost)
            .and_then(|argon2| {
                argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
            })
            .map_err(|_| {
                Error::misuse("the password cannot be hashed at the cost in Options::cost")
            })
    }
}

impl Ticket<'_> {
    /// Runs a callback of the host without a place, as it may take long, then waits for a place
    /// again. That wait has no bound: the caller was admitted once.
    pub(crate) fn outside<T>(&mut self, callback: impl FnOnce() -> T) -> T {
        self.place = None;
        let answer = callback();
        self.place = Some(self.hasher.places.wait());
        answer
    }

    /// Hashes a new password with a new salt, at the cost in force.
    ///
    /// # Errors
    ///
    /// `Invalid` if the password is empty or longer than 4,096 bytes, `NoRandom` if the random
    /// source gives no salt, `OutOfMemory` if there is no work memory.
    pub(crate) fn hash(&self, password: &Password, random: &dyn RandomSource) -> Result<Hashed> {
        let password = normalised(password)?;
        if password.is_empty() {
            return Err(Error::invalid("the password is empty, and no policy allows that"));
        }
        let algorithm = HashAlgorithm::own(self.hasher.cost);
        let salt = random_bytes::<HASH_SALT_BYTES>(random)?;
        let mut output = Zeroizing::new(vec![0; HASH_OUTPUT_BYTES]);
        self.hasher.evaluate(algorithm, &password, &salt, &mut output, self.now)?;
        let normalisation = Normalisation::Nfc;
        Ok(Hashed(Stored { algorithm, normalisation, salt: salt.to_vec(), output }.write()))
    }

    /// Verifies a password against a stored hash. Without `may_match` it never matches, after the
    /// same work.
    ///
    /// An empty password matches no stored hash. A password of which the algorithm did not read all
    /// asks for no upgrade: a new hash would be of the part, too, that was not verified. Nor does
    /// one whose NFKC was verified and which NFC keeps apart from others of the same hash.
    ///
    /// # Errors
    ///
    /// `Invalid` if the password is longer than 4,096 bytes, `Corrupt` if the stored hash is not
    /// one that this hasher accepts, `Misuse` if this build cannot compute it (all three without
    /// hashing), `OutOfMemory` if there is no work memory.
    pub(crate) fn verify(
        &self,
        password: &Password,
        stored: &str,
        may_match: bool,
    ) -> Result<Verification> {
        password.check_length()?;
        let Some(stored) = self.hasher.read(stored) else {
            return Err(Error::corrupt("a stored password hash is not one that Gatepost wrote"));
        };
        // No test fails without this: with all features every hash can be computed. The program
        // of `scripts/beside` has no feature.
        if !stored.algorithm.is_computable() {
            return Err(uncomputable());
        }
        let typed = password;
        let password = as_hashed(typed, stored.normalisation)?;
        let mut output = Zeroizing::new(vec![0; stored.output.len()]);
        self.hasher.evaluate(stored.algorithm, &password, &stored.salt, &mut output, self.now)?;
        let matches = stored.is_output(&output) && !password.is_empty() && may_match;
        let needs_upgrade = matches
            && stored.is_weaker_than(self.hasher.cost)
            && stored.algorithm.reads_all_of(password.as_bytes())
            && (stored.normalisation != Normalisation::Nfkc || password == normalised(typed)?);
        Ok(Verification { matches, needs_upgrade })
    }
}

impl Hashed {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> Zeroizing<String> {
        self.0
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed")
    }
}

/// The bytes that are hashed: the whole password in NFC. The length is checked first: normalising
/// and hashing a password of a megabyte can keep a server busy for a minute (CVE-2013-1443).
///
/// # Errors
///
/// `Invalid` if it is longer than 4,096 bytes as received.
pub(crate) fn normalised(password: &Password) -> Result<Zeroizing<String>> {
    password.check_length()?;
    let text = password.expose();
    // NFC makes UTF-8 at most three times as long. Growing the string would leave copies in
    // memory.
    let mut nfc = Zeroizing::new(String::with_capacity(3 * text.len()));
    nfc.extend(text.nfc());
    Ok(nfc)
}

/// The bytes that the source of a hash would have hashed.
fn as_hashed(password: &Password, normalisation: Normalisation) -> Result<Zeroizing<String>> {
    let typed = password.expose();
    match normalisation {
        Normalisation::Nfc => normalised(password),
        Normalisation::Typed => Ok(Zeroizing::new(typed.to_owned())),
        Normalisation::Nfkc => {
            // NFKC makes UTF-8 at most eleven times as long.
            let mut nfkc = Zeroizing::new(String::with_capacity(11 * typed.len()));
            nfkc.extend(typed.nfkc());
            Ok(nfkc)
        }
    }
}

/// Whether this build can compute hashes whose text begins like this, up to the salt. What cannot
/// be read is no algorithm that another build would compute.
pub(crate) fn check_computable(cost: &str) -> Result<()> {
    match Stored::stand_in(cost) {
        // No test fails without this: with all features every hash can be computed. The program
        // of `scripts/beside` has no feature.
        Some(stored) if !stored.algorithm.is_computable() => Err(uncomputable()),
        _ => Ok(()),
    }
}

fn uncomputable() -> Error {
    Error::misuse(
        "a password hash of another system needs the feature import-hashes, which this program \
         was built without",
    )
    .advising("Build the program with the feature import-hashes of gatepost; nothing was changed.")
}

#[cfg(feature = "import-hashes")]
fn compute_foreign(
    algorithm: HashAlgorithm,
    password: &str,
    salt: &[u8],
    output: &mut [u8],
) -> Result<()> {
    foreign::compute(algorithm, password.as_bytes(), salt, output)
}

#[cfg(not(feature = "import-hashes"))]
fn compute_foreign(_: HashAlgorithm, _: &str, _: &[u8], _: &mut [u8]) -> Result<()> {
    Err(uncomputable())
}

/// The time of one hash on this machine: the shortest of three, as the first must fetch its
/// memory.
#[expect(clippy::disallowed_methods, reason = "calibration measures elapsed time")]
fn measure(cost: Cost) -> Option<Duration> {
    let hasher = Hasher::new(cost, 1, 0);
    let algorithm = HashAlgorithm::own(cost);
    let now = Timestamp::from_millis(0);
    let mut output = [0; HASH_OUTPUT_BYTES];
    let mut shortest = None;
    for _ in 0..3 {
        let start = std::time::Instant::now();
        hasher.evaluate(algorithm, "calibration", STAND_IN_SALT, &mut output, now).ok()?;
        let took = start.elapsed();
        shortest = Some(shortest.map_or(took, |shortest| took.min(shortest)));
    }
    shortest
}

fn argon2(
    variant: Argon2Variant,
    version: Argon2Version,
    cost: Cost,
) -> argon2::Result<Argon2<'static>> {
    let variant = match variant {
        Argon2Variant::Id => Algorithm::Argon2id,
        Argon2Variant::I => Algorithm::Argon2i,
        Argon2Variant::D => Algorithm::Argon2d,
    };
    let version = match version {
        Argon2Version::V16 => Version::V0x10,
        Argon2Version::V19 => Version::V0x13,
    };
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), None)?;
    Ok(Argon2::new(variant, version, params))
}

/// Number of callers that may charge an attempt while all of `slots` hash: two at least where two
/// hash, as both may end at once, and a core whose next login is not ready has to wait for its
/// flush.
fn ahead_of(slots: usize) -> usize {
    (slots / 4).max(slots.min(2))
}

/// Number of 1 KiB blocks that Argon2 uses: the memory, rounded down to four for each lane.
fn block_count(cost: Cost) -> usize {
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), None);
    params.map_or(0, |params| params.block_count())
}

#[cfg(test)]
mod tests;
