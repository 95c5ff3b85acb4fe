//! The sets of privileges of the cached sessions and keys, each stored once. That of a key has only
//! what its scopes leave.
//!
//! An entry has no room for names, and most users have one of a few sets. So an entry has the
//! number of a set, and the set is stored here under that number for as long as the store is open:
//! the meaning of a number never changes, and reading a set takes no lock. Names are compared in
//! full, so that two privileges are never confused. For a set without a number, verify reads the
//! file.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::sync::Mutex;
use crate::value::limits::{CACHE_PRIVILEGE_SETS, PRIVILEGES_PER_USER_MAX};

/// The number of a set; zero for a set without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetNumber(pub(super) u16);

impl SetNumber {
    const NONE: Self = Self(0);
}

/// The names of a set, sorted.
type Names = Box<[Box<str>]>;

/// All sets. A set is never removed or changed.
pub(super) struct PrivilegeSets {
    /// The set with number `n` is at index `n - 1`.
    sets: Box<[OnceLock<Names>]>,
    /// The number of each set, by its names as the file joins them.
    numbers: Mutex<HashMap<Box<str>, SetNumber>>,
}

impl PrivilegeSets {
    pub(super) fn new() -> Self {
        Self {
            sets: (0..CACHE_PRIVILEGE_SETS).map(|_| OnceLock::new()).collect(),
            numbers: Mutex::new(HashMap::new()),
        }
    }

    /// The number of the set of these names, which are separated by spaces. `NONE` if it has more
    /// names than a user may have, or if all numbers are in use.
    pub(super) fn number(&self, names: &str) -> SetNumber {
        let mut numbers = self.numbers.lock();
        if let Some(number) = numbers.get(names) {
            return *number;
        }
        let mut set: Vec<Box<str>> = names.split_whitespace().map(Box::from).collect();
        if set.len() > PRIVILEGES_PER_USER_MAX {
            return SetNumber::NONE;
        }
        let Some(free) = self.sets.get(numbers.len()) else { return SetNumber::NONE };
        let Ok(number) = u16::try_from(numbers.len() + 1).map(SetNumber) else {
            return SetNumber::NONE;
        };
        set.sort_unstable();
        free.get_or_init(|| set.into_boxed_slice());
        numbers.insert(Box::from(names), number);
        number
    }

    /// Whether the set with that number has this name; `None` if the file must be asked.
    #[inline]
    pub(super) fn has(&self, number: SetNumber, name: &str) -> Option<bool> {
        let at = usize::from(number.0).checked_sub(1)?;
        let set = self.sets.get(at)?.get()?;
        Some(set.binary_search_by(|own| (**own).cmp(name)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_own_names_and_no_others() {
        let sets = PrivilegeSets::new();
        let (none, two) = (sets.number(""), sets.number("reports.write admin"));
        assert_eq!(sets.has(none, "admin"), Some(false));
        for (name, has) in [
            ("admin", true),
            ("reports.write", true),
            ("reports", false),
            ("write", false),
            ("adminn", false),
            ("", false),
            ("reports.write admin", false),
        ] {
            assert_eq!(sets.has(two, name), Some(has), "{name}");
        }
        assert_eq!(sets.number("reports.write admin"), two);
        assert_ne!(none, two);
    }

    #[test]
    fn a_set_without_a_number_is_read_from_the_file() {
        let sets = PrivilegeSets::new();
        let names =
            |count: usize| (0..count).map(|name| format!("p{name}")).collect::<Vec<_>>().join(" ");
        let largest = sets.number(&names(PRIVILEGES_PER_USER_MAX));
        assert_eq!(sets.has(largest, "p63"), Some(true));
        assert_eq!(sets.number(&names(PRIVILEGES_PER_USER_MAX + 1)), SetNumber::NONE);
        assert_eq!(sets.has(SetNumber::NONE, "p0"), None);
        for set in 1..CACHE_PRIVILEGE_SETS {
            let name = format!("q{set}");
            assert_eq!(sets.has(sets.number(&name), &name), Some(true));
        }
        assert_eq!(sets.number("one.more"), SetNumber::NONE);
        assert_eq!(sets.has(largest, "p0"), Some(true));
    }
}
