//! The cost of one password hash, and its bounds.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::value::limits::{
    HASH_LANES_MAX, HASH_MEMORY_DEFAULT_KIB, HASH_MEMORY_MAX_KIB, HASH_PASSES_DEFAULT,
    HASH_PASSES_MAX,
};

/// The parameter sets of OWASP ASVS 5.0, appendix C, as (least memory in KiB, least passes).
const FLOORS: [(u32, u32); 3] = [(47_104, 1), (19_456, 2), (12_288, 3)];

const RECOMMENDED: Cost =
    Cost { memory_kib: HASH_MEMORY_DEFAULT_KIB, passes: HASH_PASSES_DEFAULT, lanes: 1 };
#[cfg(any(test, feature = "test-util"))]
const INSECURE: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

/// The cost of one Argon2id password hash: memory, passes and lanes.
///
/// No cost can be below the sets that OWASP ASVS 5.0 lists in appendix C. A stored hash that took
/// less work than the cost in force is replaced at the next successful login.
///
/// ```
/// use gatepost::policy::Cost;
/// use gatepost::ErrorKind;
///
/// assert_eq!(Cost::new(19_456, 2, 1)?, Cost::recommended());
/// assert_eq!(Cost::new(19_455, 2, 1).unwrap_err().kind(), ErrorKind::Invalid);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The default: 19,456 KiB, two passes, one lane; about 15 ms on a machine of 2026.
    #[must_use]
    pub const fn recommended() -> Self {
        RECOMMENDED
    }

    /// A cost with this memory in KiB (at most 262,144), passes (at most 16) and lanes (1 to 16).
    ///
    /// # Errors
    ///
    /// `Invalid` if the cost is weaker than every set of ASVS appendix C (at least 47,104 KiB and
    /// one pass, 19,456 and two, or 12,288 and three), or beyond the upper bounds.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, Error> {
        let cost = Self { memory_kib, passes, lanes };
        if !cost.is_within_bounds() {
            return Err(Error::invalid(
                "Cost::new takes at most 262,144 KiB, 1 to 16 passes and 1 to 16 lanes",
            ));
        }
        if !cost.meets_floor() {
            return Err(Error::invalid(
                "the cost is below the floor of Cost::new: 47,104 KiB and 1 pass, 19,456 and 2, \
                 or 12,288 and 3",
            ));
        }
        Ok(cost)
    }

    /// Almost no work (8 KiB, one pass), for the tests of a host program only.
    ///
    /// A store that was not created for tests refuses this cost.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    #[must_use]
    pub const fn insecure_for_tests() -> Self {
        INSECURE
    }

    /// Measures this machine and returns the cost whose hash takes about `target`.
    ///
    /// Never returns less than [`Cost::recommended`]. Memory grows first, up to `memory_max_kib`,
    /// then passes, up to 16. This call hashes about three times at the recommended cost and
    /// blocks meanwhile: call it once, keep the result in the settings of the host program and
    /// pass it to [`Cost::new`]. Do not measure at each start, on a machine that may be busy.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use gatepost::policy::Cost;
    ///
    /// let cost = Cost::calibrate(Duration::from_millis(100), 65_536);
    /// assert!(cost.memory_kib() >= Cost::recommended().memory_kib());
    /// ```
    #[must_use]
    pub fn calibrate(target: Duration, memory_max_kib: u32) -> Self {
        match super::measure(RECOMMENDED) {
            Some(took) => fit(took, target, memory_max_kib),
            None => RECOMMENDED,
        }
    }

    /// Memory of one hash, in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes. They change the hash but not its time.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }

    /// The cost of a stored hash: within the upper bounds, but perhaps below the floor.
    pub(crate) fn of_stored(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let cost = Self { memory_kib, passes, lanes };
        cost.is_within_bounds().then_some(cost)
    }

    /// Memory times passes. As one number orders all costs, two stores with different costs on one
    /// file agree which hash takes more work, and never replace each other's hashes for ever.
    pub(crate) fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// Whether the cost is at least one of the sets of ASVS appendix C.
    pub(crate) fn meets_floor(self) -> bool {
        FLOORS.iter().any(|&(memory, passes)| self.memory_kib >= memory && self.passes >= passes)
    }

    fn is_within_bounds(self) -> bool {
        (1..=HASH_LANES_MAX).contains(&self.lanes)
            && (1..=HASH_PASSES_MAX).contains(&self.passes)
            && (8 * self.lanes..=HASH_MEMORY_MAX_KIB).contains(&self.memory_kib)
    }
}

impl Default for Cost {
    fn default() -> Self {
        RECOMMENDED
    }
}

/// The cost that takes about `target`, if the recommended cost takes `took`.
fn fit(took: Duration, target: Duration, memory_max_kib: u32) -> Cost {
    let wanted = u128::from(RECOMMENDED.work()) * target.as_nanos() / took.as_nanos().max(1);
    let memory_max = memory_max_kib.clamp(RECOMMENDED.memory_kib, HASH_MEMORY_MAX_KIB);
    let memory = wanted / u128::from(RECOMMENDED.passes);
    let memory = u32::try_from(memory).unwrap_or(u32::MAX);
    let memory_kib = memory.clamp(RECOMMENDED.memory_kib, memory_max);
    let passes = u32::try_from(wanted / u128::from(memory_kib)).unwrap_or(u32::MAX);
    Cost { memory_kib, passes: passes.clamp(RECOMMENDED.passes, HASH_PASSES_MAX), lanes: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[track_caller]
    fn check(memory_kib: u32, passes: u32, lanes: u32, accepted: bool) {
        let answer = Cost::new(memory_kib, passes, lanes);
        assert_eq!(answer.is_ok(), accepted, "m={memory_kib},t={passes},p={lanes}");
        if let Err(error) = answer {
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn a_cost_below_every_set_of_asvs_appendix_c_is_refused() {
        check(47_104, 1, 1, true);
        check(47_103, 1, 1, false);
        check(19_456, 2, 1, true);
        check(19_455, 2, 1, false);
        check(12_288, 3, 1, true);
        check(12_287, 3, 1, false);
        check(12_287, 16, 1, false);
        // Two sets of the OWASP cheat sheet that ASVS does not list.
        check(9_216, 4, 1, false);
        check(7_168, 5, 1, false);
    }

    #[test]
    fn a_cost_beyond_the_upper_bounds_is_refused() {
        check(262_144, 16, 16, true);
        check(262_145, 2, 1, false);
        check(u32::MAX, 2, 1, false);
        check(19_456, 17, 1, false);
        check(19_456, 2, 17, false);
        check(19_456, 2, 0, false);
        check(47_104, 0, 1, false);
    }

    #[test]
    fn each_lane_of_a_stored_hash_has_eight_blocks() {
        assert!(Cost::of_stored(16, 1, 2).is_some());
        assert!(Cost::of_stored(15, 1, 2).is_none());
    }

    #[test]
    fn the_test_cost_is_below_the_floor_and_refused_by_new() {
        assert!(!INSECURE.meets_floor());
        check(INSECURE.memory_kib, INSECURE.passes, INSECURE.lanes, false);
    }

    #[test]
    fn calibration_never_returns_less_than_the_recommended_cost() {
        let slow = fit(Duration::from_secs(3), Duration::from_millis(1), 1);
        assert_eq!(slow, Cost::recommended());
        assert_eq!(fit(Duration::ZERO, Duration::ZERO, 0), Cost::recommended());
    }

    #[test]
    fn calibration_raises_memory_first_and_then_passes() {
        let took = Duration::from_millis(20);
        let memory = fit(took, Duration::from_millis(60), 65_536);
        assert_eq!(memory, Cost { memory_kib: 58_368, passes: 2, lanes: 1 });
        let both = fit(took, Duration::from_millis(200), 65_536);
        assert_eq!(both, Cost { memory_kib: 65_536, passes: 5, lanes: 1 });
        let most = fit(took, Duration::MAX, u32::MAX);
        assert_eq!(
            most,
            Cost { memory_kib: HASH_MEMORY_MAX_KIB, passes: HASH_PASSES_MAX, lanes: 1 }
        );
    }

    #[test]
    fn calibration_depends_on_the_measured_time() {
        assert_eq!(Cost::calibrate(Duration::from_micros(1), u32::MAX), Cost::recommended());
        let most = Cost { memory_kib: 20_480, passes: HASH_PASSES_MAX, lanes: 1 };
        assert_eq!(Cost::calibrate(Duration::from_secs(86_400), 20_480), most);
    }

    #[test]
    fn calibration_on_this_machine_returns_a_cost_that_new_accepts() {
        let cost = Cost::calibrate(Duration::ZERO, 0);
        assert_eq!(Cost::new(cost.memory_kib(), cost.passes(), cost.lanes()).unwrap(), cost);
    }
}
