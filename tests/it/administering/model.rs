//! Who administers what: the rules once more, in plain loops over a town in memory.

use std::collections::BTreeSet;

use super::Answer;
use Place::{Branch, Organisation, Store};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Store,
    Organisation(usize),
    Branch(usize),
}

#[derive(Debug, Default)]
pub(super) struct Person {
    /// The last one of a deleted user.
    pub(super) branch: Option<usize>,
    pub(super) privileges: BTreeSet<&'static str>,
    pub(super) administers: BTreeSet<Place>,
    pub(super) is_deleted: bool,
}

/// People, and for each branch the organisation that it is in; `None` for a deleted branch.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) people: Vec<Person>,
    pub(super) branches: Vec<Option<Option<usize>>>,
    pub(super) organisations: usize,
}

impl Model {
    pub(super) fn everything(&self, by: usize) -> bool {
        self.people[by].privileges.contains("admin")
    }

    pub(super) fn covers(&self, by: usize, place: Place) -> bool {
        let own = |place| self.people[by].administers.contains(&place);
        match place {
            Store => self.everything(by),
            Organisation(id) => id < self.organisations && (self.everything(by) || own(place)),
            Branch(id) => self.branches.get(id).copied().flatten().is_some_and(|parent| {
                let above = parent.is_some_and(|parent| own(Organisation(parent)));
                self.everything(by) || own(place) || above
            }),
        }
    }

    pub(super) fn sees(&self, by: usize, user: usize) -> bool {
        let is_inside = |branch: Option<usize>| branch.is_some_and(|b| self.covers(by, Branch(b)));
        let found = self.people.get(user);
        found.is_some_and(|found| self.everything(by) || is_inside(found.branch))
    }

    fn is_above(&self, by: usize, user: usize) -> bool {
        let more = |place: &Place| !self.covers(by, *place);
        let is_more = self.everything(user) || self.people[user].administers.iter().any(more);
        is_more && !self.everything(by)
    }

    pub(super) fn change(&self, by: usize, user: usize) -> Answer {
        match self.sees(by, user) {
            false => Answer::Absent,
            true if user == by || self.is_above(by, user) => Answer::Refused,
            true => Answer::Done,
        }
    }

    pub(super) fn within(&self, by: usize, place: Place) -> Answer {
        match place {
            place if self.covers(by, place) => Answer::Done,
            Store => Answer::Refused,
            Organisation(_) | Branch(_) => Answer::Absent,
        }
    }

    pub(super) fn change_branch(&self, by: usize, id: usize) -> Answer {
        let parent = self.branches.get(id).copied().flatten();
        let above = parent.map(|parent| parent.map_or(Store, Organisation));
        let is_contained = above.is_some_and(|above| self.covers(by, above));
        self.within(by, Branch(id)).and(Answer::refused_if(!is_contained))
    }

    pub(super) fn without_above(&self, by: usize, place: Place) -> Answer {
        let parent = |branch: usize| self.branches[branch].flatten().map(Organisation);
        let is_there = |person: &Person| match person.branch {
            Some(at) if !person.is_deleted => Branch(at) == place || parent(at) == Some(place),
            _ => false,
        };
        let mut there = (0..self.people.len()).filter(|user| is_there(&self.people[*user]));
        Answer::refused_if(there.any(|user| self.is_above(by, user)))
    }

    pub(super) fn holds(&self, by: usize, names: &BTreeSet<&str>) -> Answer {
        Answer::refused_if(!names.iter().all(|name| self.people[by].privileges.contains(name)))
    }
}
