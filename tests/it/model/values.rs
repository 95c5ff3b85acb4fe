//! Configuration and credits: the values of each scope, the one in force for a user, and the rest.

use super::{Expect, Model};

/// A place of a value: everywhere, or with one of them, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    System,
    Organisation(usize),
    Branch(usize),
    User(usize),
}

/// One operation on configuration or credits. Keys and values are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueOp {
    Set { place: Place, key: u32, value: u32 },
    Remove { place: Place, key: u32 },
    InForce { user: usize, key: u32 },
    Count { place: Place, credits: Option<u64> },
    Spend { place: Place, credits: u64 },
    Add { place: Place, credits: u64 },
}

impl Model {
    pub(super) fn apply_value(&mut self, op: ValueOp) -> Expect {
        match op {
            ValueOp::Set { place, .. } | ValueOp::Count { place, .. } if self.is_gone(place) => {
                Expect::Failed("NotFound")
            }
            ValueOp::Set { place, key, value } => {
                self.settings.insert((place, key), value);
                Expect::Says("done")
            }
            ValueOp::Remove { place, key } => {
                let was_there = self.settings.remove(&(place, key)).is_some();
                Expect::Says(if was_there { "true" } else { "false" })
            }
            ValueOp::InForce { user, .. } if self.users[user].deleted => {
                Expect::Failed("NotFound")
            }
            ValueOp::InForce { user, key } => Expect::Value(self.in_force(user, key)),
            ValueOp::Count { place, credits } => {
                match credits {
                    Some(credits) => drop(self.credits.insert(place, credits)),
                    None => drop(self.credits.remove(&place)),
                }
                Expect::Says("done")
            }
            ValueOp::Spend { place, credits } => match self.credits.get_mut(&place) {
                None => Expect::Failed("NotFound"),
                Some(left) if *left < credits => Expect::Failed("Insufficient"),
                Some(left) => {
                    *left -= credits;
                    Expect::Value(Some(*left))
                }
            },
            ValueOp::Add { place, credits } => match self.credits.get_mut(&place) {
                None => Expect::Failed("NotFound"),
                Some(left) => {
                    *left += credits;
                    Expect::Value(Some(*left))
                }
            },
        }
    }

    fn is_gone(&self, place: Place) -> bool {
        match place {
            Place::System => false,
            Place::Organisation(number) => self.organisations[number].gone,
            Place::Branch(number) => self.branches[number].gone,
            Place::User(number) => self.users[number].deleted,
        }
    }

    /// The narrowest wins.
    fn in_force(&self, user: usize, key: u32) -> Option<u64> {
        let branch = self.users[user].branch;
        let organisation = branch.and_then(|branch| self.branches[branch].parent);
        let places = [
            Some(Place::User(user)),
            branch.map(Place::Branch),
            organisation.map(Place::Organisation),
            Some(Place::System),
        ];
        let found = places.into_iter().flatten().find_map(|p| self.settings.get(&(p, key)));
        found.map(|value| u64::from(*value))
    }

    /// The values of a place are deleted with it.
    pub(super) fn forget_values(&mut self, gone: Place) {
        self.settings.retain(|(place, _), _| *place != gone);
        self.credits.remove(&gone);
    }
}
