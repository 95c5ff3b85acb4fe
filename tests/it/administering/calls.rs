//! Every call of the limited handles, how it is made, and what it needs by the model.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use gatepost::administration::Administration;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter, UserStatus, UserUpdate};
use gatepost::sessions::{NewApiKey, NewOneTimeToken, RevokeSessions};
use gatepost::{Ended, Error, NewUser, Page, Subtree};

use super::Answer;
use super::model::{Model, Place};
use super::town::Town;
use crate::world::PASSWORD;

/// What a call names: indices of the town, which may be beyond its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) user: usize,
    pub(super) branch: Option<usize>,
    pub(super) organisation: Option<usize>,
    /// Of the branch or of the organisation, whichever is wanted.
    pub(super) of_branch: bool,
    pub(super) privilege: &'static str,
    pub(super) deleted: bool,
}

/// What a call returned.
#[derive(Debug)]
pub(super) enum Got {
    /// What a call returns for a record that does not exist.
    Missing,
    /// Anything else, as text.
    Text(String),
    /// The ids of a list, or a count.
    Found(BTreeSet<String>),
}

type Result<T, E = Error> = std::result::Result<T, E>;

pub(super) struct Call {
    /// `Type::function`.
    pub(super) name: &'static str,
    pub(super) make: fn(&Town, &Administration, &Target) -> Result<Got>,
    /// What it answers to the user of this index.
    pub(super) expect: fn(&Town, usize, &Target) -> Answer,
    /// What it changes, if it was done.
    pub(super) then: Then,
}

/// What a call that was done changes in the town.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// It may have revoked sessions or keys, or changed the status or the name of something.
    Mend,
    CreateUser,
    Delete,
    Restore,
    Privileges,
    /// The user has this privilege too.
    Privilege,
    Move,
    Grant,
    Withdraw,
    CreateBranch,
    MoveBranch,
    DeleteBranch,
}

impl Target {
    pub(super) fn place(&self) -> Place {
        let place = |of: Option<usize>, make: fn(usize) -> Place| of.map_or(Place::Store, make);
        match self.of_branch {
            true => place(self.branch, Place::Branch),
            false => place(self.organisation, Place::Organisation),
        }
    }

    fn branch_or_store(&self) -> Place {
        self.branch.map_or(Place::Store, Place::Branch)
    }

    fn organisation_or_store(&self) -> Place {
        self.organisation.map_or(Place::Store, Place::Organisation)
    }

    /// The branch, or one that does not exist.
    pub(super) fn some_branch(&self) -> usize {
        self.branch.unwrap_or(usize::MAX)
    }

    fn some_organisation(&self) -> usize {
        self.organisation.unwrap_or(usize::MAX)
    }
}

fn text<T: Debug>(answer: Result<T>) -> Result<Got> {
    answer.map(|value| Got::Text(format!("{value:?}")))
}

fn shown<T: Debug>(answer: Result<Option<T>>) -> Result<Got> {
    Ok(answer?.map_or(Got::Missing, |value| Got::Text(format!("{value:?}"))))
}

fn listed<T: Debug>(answer: Result<Vec<T>>) -> Result<Got> {
    let list = answer?;
    Ok(if list.is_empty() { Got::Missing } else { Got::Text(format!("{list:?}")) })
}

fn found<T>(answer: Result<Vec<T>>, id: impl Fn(&T) -> String) -> Result<Got> {
    Ok(Got::Found(answer?.iter().map(id).collect()))
}

fn number(answer: Result<u64>) -> Result<Got> {
    Ok(Got::Found(BTreeSet::from([answer?.to_string()])))
}

fn alive(model: &Model, user: usize) -> Answer {
    let is_there = model.people.get(user).is_some_and(|person| !person.is_deleted);
    if is_there { Answer::Done } else { Answer::Absent }
}

fn see(town: &Town, by: usize, target: &Target) -> Answer {
    let is_seen = town.model.sees(by, target.user);
    if is_seen { alive(&town.model, target.user) } else { Answer::Absent }
}

fn change(town: &Town, by: usize, target: &Target) -> Answer {
    town.model.change(by, target.user).and(alive(&town.model, target.user))
}

/// As `change`, and the administrator has the privilege that the user gets.
fn gives(town: &Town, by: usize, target: &Target) -> Answer {
    let had = town.model.people.get(target.user).map(|person| &person.privileges);
    let come = match had {
        Some(had) if had.contains(target.privilege) => BTreeSet::new(),
        _ => BTreeSet::from([target.privilege]),
    };
    change(town, by, target).and(town.model.holds(by, &come))
}

/// As `change`, of a session or key: a deleted user has none.
fn change_credential(town: &Town, by: usize, target: &Target) -> Answer {
    alive(&town.model, target.user).and(town.model.change(by, target.user))
}

/// Whether the administrator has each privilege of the user, whose key it sees.
fn holds_key(town: &Town, by: usize, target: &Target) -> Answer {
    match town.model.people.get(target.user) {
        Some(person) => town.model.holds(by, &person.privileges),
        None => Answer::Absent,
    }
}

fn filter(town: &Town, target: &Target) -> UserFilter {
    let filter = UserFilter::new();
    let filter = if target.deleted { filter.deleted() } else { filter };
    match (target.branch, target.organisation) {
        (Some(branch), _) if target.of_branch => filter.branch(town.branch(branch)),
        (_, Some(organisation)) => filter.organisation(town.organisation(organisation)),
        _ => filter,
    }
}

/// The users whom a list shows.
fn users(town: &Town, by: usize, target: &Target) -> BTreeSet<usize> {
    let model = &town.model;
    let is_wanted = |user: &usize| {
        let person = &model.people[*user];
        // A deleted user is in no branch.
        let branch = person.branch.filter(|_| !person.is_deleted);
        let parent = |branch: usize| model.branches[branch].flatten();
        person.is_deleted == target.deleted
            && match (target.branch, target.organisation) {
                (Some(wanted), _) if target.of_branch => branch == Some(wanted),
                (_, Some(wanted)) => {
                    model.covers(by, Place::Organisation(wanted))
                        && branch.and_then(parent) == Some(wanted)
                }
                _ => true,
            }
    };
    (0..model.people.len()).filter(|user| model.sees(by, *user)).filter(is_wanted).collect()
}

fn branch_filter(town: &Town, target: &Target) -> BranchFilter {
    match target.organisation {
        Some(organisation) => BranchFilter::new().organisation(town.organisation(organisation)),
        None => BranchFilter::new(),
    }
}

fn branches(town: &Town, by: usize, target: &Target) -> BTreeSet<usize> {
    let model = &town.model;
    let is_wanted = |branch: &usize| match target.organisation {
        Some(wanted) => {
            model.covers(by, Place::Organisation(wanted))
                && model.branches[*branch].flatten() == Some(wanted)
        }
        None => true,
    };
    let covered = |branch: &usize| model.covers(by, Place::Branch(*branch));
    (0..model.branches.len()).filter(covered).filter(is_wanted).collect()
}

fn branch_text(branch: Option<usize>) -> String {
    branch.map_or_else(|| "none".into(), |branch| format!("b{branch}z"))
}

fn count(of: usize) -> Answer {
    Answer::Found(BTreeSet::from([of.to_string()]))
}

const PAGE: u32 = 500;

/// A row of [`CALLS`].
macro_rules! call {
    ($name:literal, $then:ident, $make:expr, $expect:expr) => {
        Call { name: $name, make: $make, expect: $expect, then: Then::$then }
    };
}

#[rustfmt::skip]
pub(super) const CALLS: &[Call] = &[
    call!("Administration::subtrees", Nothing,
        |_, by, _| Ok(Got::Found(by.subtrees()?.iter().map(|one| format!("{one:?}")).collect())),
        |town, by, _| Answer::Found(town.administrations(by, by, true))),
    call!("AdministeredUsers::find", Nothing,
        |town, by, to| shown(by.users().find(town.user(to.user))), see),
    call!("AdministeredUsers::find_by_username", Nothing,
        |town, by, to| shown(by.users().find_by_username(&town.name(to.user))), see),
    call!("AdministeredUsers::list", Nothing,
        |town, by, to| found(by.users().list(&filter(town, to), Page::first(PAGE)),
            |user| user.username.clone()),
        |town, by, to| Answer::Found(
            users(town, by, to).into_iter().map(|user| town.name(user)).collect())),
    call!("AdministeredUsers::count", Nothing,
        |town, by, to| number(by.users().count(&filter(town, to))),
        |town, by, to| count(users(town, by, to).len())),
    call!("AdministeredUsers::create", CreateUser,
        |town, by, to| {
            let new = NewUser::person(town.name(town.model.people.len()));
            let new = new.privilege(to.privilege);
            text(by.users().create(new.branch(to.branch.map(|branch| town.branch(branch)))))
        },
        |town, by, to| town.model.within(by, to.branch_or_store())
            .and(town.model.holds(by, &BTreeSet::from([to.privilege])))),
    call!("AdministeredUsers::update", Nothing,
        |town, by, to| text(by.users().update(town.user(to.user),
            UserUpdate::new().description("d"))),
        change),
    call!("AdministeredUsers::rename", Mend,
        |town, by, to| text(by.users().rename(town.user(to.user), "renamed")), change),
    call!("AdministeredUsers::set_email", Nothing,
        |town, by, to| text(by.users().set_email(town.user(to.user), Some("a@example.com"))),
        change),
    call!("AdministeredUsers::confirm", Mend,
        |town, by, to| text(by.users().confirm(town.user(to.user))), change),
    call!("AdministeredUsers::set_status", Mend,
        |town, by, to| text(by.users().set_status(town.user(to.user), UserStatus::Locked)), change),
    call!("AdministeredUsers::activate_locked", Nothing,
        |town, by, to| text(by.users().activate_locked(town.user(to.user))), change),
    call!("AdministeredUsers::unlock", Nothing,
        |town, by, to| text(by.users().unlock(town.user(to.user))), change),
    call!("AdministeredUsers::set_privileges", Privileges,
        |town, by, to| text(by.users().set_privileges(town.user(to.user), &[to.privilege])),
        gives),
    call!("AdministeredUsers::change_privileges", Privilege,
        |town, by, to| text(by.users().change_privileges(town.user(to.user), &[to.privilege],
            &[])),
        gives),
    call!("AdministeredUsers::move_to", Move,
        |town, by, to| text(by.users().move_to(town.user(to.user),
            to.branch.map(|branch| town.branch(branch)))),
        |town, by, to| town.model.change(by, to.user)
            .and(town.model.within(by, to.branch_or_store()))
            .and(alive(&town.model, to.user))),
    call!("AdministeredUsers::delete", Delete,
        |town, by, to| text(by.users().delete(town.user(to.user))), change),
    call!("AdministeredUsers::restore", Restore,
        |town, by, to| text(by.users().restore(town.user(to.user))),
        |town, by, to| {
            let branch = town.model.people.get(to.user).and_then(|person| person.branch);
            let is_gone = branch.is_some_and(|branch| town.model.branches[branch].is_none());
            let may = town.model.change(by, to.user);
            match alive(&town.model, to.user) {
                Answer::Absent if !is_gone => may,
                _ => may.and(Answer::Absent),
            }
        }),
    call!("AdministeredUsers::set_password", Mend,
        |town, by, to| text(by.users().set_password(town.user(to.user), PASSWORD.into())), change),
    call!("AdministeredUsers::remove_password", Mend,
        |town, by, to| text(by.users().remove_password(town.user(to.user))), change),
    call!("AdministeredUsers::require_password_change", Mend,
        |town, by, to| text(by.users().require_password_change(town.user(to.user),
            RevokeSessions::All)),
        change),
    call!("AdministeredUsers::mark_compromised", Mend,
        |town, by, to| text(by.users().mark_compromised(town.user(to.user))), change),
    call!("AdministeredUsers::administrations", Nothing,
        |town, by, to| Ok(Got::Found(by.users().administrations(town.user(to.user))?
            .iter().map(|one| format!("{one:?}")).collect())),
        |town, by, to| Answer::Found(town.administrations(by, to.user, false))),
    call!("AdministeredUsers::grant_administration", Grant,
        |town, by, to| text(by.users().grant_administration(town.user(to.user),
            town.subtree(to.place()))),
        |town, by, to| match to.place() {
            Place::Store => Answer::Conflict,
            place => town.model.change(by, to.user)
                .and(town.model.within(by, place))
                .and(alive(&town.model, to.user)),
        }),
    call!("AdministeredUsers::withdraw_administration", Withdraw,
        |town, by, to| text(by.users().withdraw_administration(town.user(to.user),
            town.subtree(to.place()))),
        |town, by, to| match to.place() {
            Place::Store => Answer::Conflict,
            _ => change(town, by, to),
        }),
    call!("AdministeredBranches::find", Nothing,
        |town, by, to| shown(by.branches().find(town.branch(to.some_branch()))),
        |town, by, to| town.model.within(by, Place::Branch(to.some_branch()))),
    call!("AdministeredBranches::list", Nothing,
        |town, by, to| found(by.branches().list(&branch_filter(town, to), Page::first(PAGE)),
            |branch| format!("{} {:?}", branch.name, branch.organisation)),
        |town, by, to| Answer::Found(branches(town, by, to).into_iter().map(|branch| {
            let parent = town.model.branches[branch].flatten();
            let parent = parent.filter(|id| town.model.covers(by, Place::Organisation(*id)));
            let parent = parent.map(|id| town.organisation(id));
            format!("{} {parent:?}", branch_text(Some(branch)))
        }).collect())),
    call!("AdministeredBranches::count", Nothing,
        |town, by, to| number(by.branches().count(&branch_filter(town, to))),
        |town, by, to| count(branches(town, by, to).len())),
    call!("AdministeredBranches::create", CreateBranch,
        |town, by, to| text(by.branches().create(
            &branch_text(Some(town.model.branches.len())),
            to.organisation.map(|id| town.organisation(id)))),
        |town, by, to| town.model.within(by, to.organisation_or_store())),
    call!("AdministeredBranches::rename", Mend,
        |town, by, to| text(by.branches().rename(town.branch(to.some_branch()), "renamed")),
        |town, by, to| town.model.change_branch(by, to.some_branch())),
    call!("AdministeredBranches::set_active", Mend,
        |town, by, to| text(by.branches().set_active(town.branch(to.some_branch()), false)),
        |town, by, to| town.model.change_branch(by, to.some_branch())
            .and(town.model.without_above(by, Place::Branch(to.some_branch())))),
    call!("AdministeredBranches::move_to", MoveBranch,
        |town, by, to| text(by.branches().move_to(town.branch(to.some_branch()),
            to.organisation.map(|id| town.organisation(id)))),
        |town, by, to| town.model.change_branch(by, to.some_branch())
            .and(town.model.without_above(by, Place::Branch(to.some_branch())))
            .and(town.model.within(by, to.organisation_or_store()))),
    call!("AdministeredBranches::delete", DeleteBranch,
        |town, by, to| text(by.branches().delete(town.branch(to.some_branch()))),
        |town, by, to| {
            let is_in = |branch: Option<usize>| branch == to.branch;
            let mut people = town.model.people.iter();
            let is_full = people.any(|person| is_in(person.branch) && !person.is_deleted);
            let may = town.model.change_branch(by, to.some_branch());
            may.and(if is_full { Answer::Conflict } else { Answer::Done })
        }),
    call!("AdministeredOrganisations::find", Nothing,
        |town, by, to| shown(by.organisations().find(town.organisation(to.some_organisation()))),
        |town, by, to| town.model.within(by, Place::Organisation(to.some_organisation()))),
    call!("AdministeredOrganisations::list", Nothing,
        |_, by, _| found(by.organisations().list(&OrganisationFilter::new(), Page::first(PAGE)),
            |one| one.name.clone()),
        |town, by, _| Answer::Found((0..town.model.organisations)
            .filter(|id| town.model.covers(by, Place::Organisation(*id)))
            .map(|id| format!("o{id}z")).collect())),
    call!("AdministeredSessions::find", Nothing,
        |town, by, to| shown(by.sessions().find(town.session(to.user))), see),
    call!("AdministeredSessions::list", Nothing,
        |town, by, to| listed(by.sessions().list(town.user(to.user), Page::first(PAGE))), see),
    call!("AdministeredSessions::revoke", Mend,
        |town, by, to| Ok(match by.sessions().revoke(town.session(to.user))? {
            Ended::Now => Got::Text("now".into()),
            Ended::Before => Got::Missing,
        }), change_credential),
    call!("AdministeredSessions::revoke_all(user)", Mend,
        |town, by, to| text(by.sessions().revoke_all(town.user(to.user))), change),
    call!("AdministeredSessions::revoke_all", Mend,
        |town, by, to| text(by.sessions().revoke_all(town.subtree(to.place()))),
        |town, by, to| town.model.within(by, to.place())
            .and(match to.place() {
                Place::Store => Answer::Done,
                place => town.model.without_above(by, place),
            })),
    call!("AdministeredApiKeys::list", Nothing,
        |town, by, to| listed(by.api_keys().list(town.user(to.user))), see),
    call!("AdministeredApiKeys::issue", Mend,
        |town, by, to| text(by.api_keys().issue(town.user(to.user), NewApiKey::new())),
        |town, by, to| change(town, by, to).and(holds_key(town, by, to))),
    call!("AdministeredApiKeys::rotate", Mend,
        |town, by, to| text(by.api_keys().rotate(town.key(to.user), Duration::ZERO)),
        |town, by, to| change_credential(town, by, to).and(holds_key(town, by, to))),
    call!("AdministeredApiKeys::revoke", Mend,
        |town, by, to| text(by.api_keys().revoke(town.key(to.user))), change_credential),
    call!("AdministeredApiKeys::revoke_all", Mend,
        |town, by, to| text(by.api_keys().revoke_all(town.user(to.user))), change),
    call!("AdministeredTokens::list", Nothing,
        |town, by, to| listed(by.one_time_tokens().list(town.user(to.user))), see),
    call!("AdministeredTokens::issue", Nothing,
        |town, by, to| text(by.one_time_tokens().issue(town.user(to.user),
            NewOneTimeToken::password_reset())),
        change),
    call!("AdministeredTokens::revoke_all", Nothing,
        |town, by, to| text(by.one_time_tokens().revoke_all(town.user(to.user))), change),
    call!("AdministeredSecondFactors::info", Nothing,
        |town, by, to| shown(by.second_factors().info(town.user(to.user))), see),
    call!("AdministeredSecondFactors::reset", Mend,
        |town, by, to| text(by.second_factors().reset(town.user(to.user))), change),
];

impl Town {
    pub(super) fn subtree(&self, place: Place) -> Subtree {
        match place {
            Place::Store => Subtree::Store,
            Place::Organisation(id) => self.organisation(id).into(),
            Place::Branch(id) => self.branch(id).into(),
        }
    }

    /// What a user administers, as far as another one sees it.
    fn administrations(&self, by: usize, user: usize, with_store: bool) -> BTreeSet<String> {
        if with_store && self.model.everything(by) {
            return BTreeSet::from([format!("{:?}", Subtree::Store)]);
        }
        let Some(person) = self.model.people.get(user) else { return BTreeSet::new() };
        if !self.model.sees(by, user) && !with_store {
            return BTreeSet::new();
        }
        let shown = person.administers.iter().filter(|place| self.model.covers(by, **place));
        shown.map(|place| format!("{:?}", self.subtree(*place))).collect()
    }
}
