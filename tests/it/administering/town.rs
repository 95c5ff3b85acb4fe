//! A town: a store with organisations, branches and users, and the model of who administers what.

use std::cell::RefCell;
use std::collections::HashMap;

use gatepost::directory::UserStatus;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{Assurance, NewApiKey, NewOneTimeToken, OpenSession};
use gatepost::{
    ApiKeyId, BranchId, DeviceId, NewUser, OrganisationId, Principal, SessionId, Store, UserId,
};

use super::Answer;
use super::calls::{Call, Got, Target, Then};
use super::model::{Model, Person, Place};
use crate::pending_step::unsealed;
use crate::races::fleet::Dice;
use crate::world::{PASSWORD, for_tests};

pub(super) struct Town {
    pub(super) store: Store,
    pub(super) model: Model,
    users: Vec<UserId>,
    branches: Vec<BranchId>,
    organisations: Vec<OrganisationId>,
    /// By the index of the user; forgotten once it may have been revoked.
    sessions: RefCell<HashMap<usize, Principal>>,
    keys: RefCell<HashMap<usize, ApiKeyId>>,
}

/// Ids that nothing has.
const UNKNOWN: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

/// The privileges beside `admin`.
pub(super) const PRIVILEGES: [&str; 3] = ["read", "write", "admin"];

impl Town {
    /// A town without users.
    pub(super) fn new() -> Self {
        let options = unsealed(for_tests()).audit_max_rows(1_000).api_keys_per_user(1_000);
        let store = Store::in_memory(options).unwrap();
        let (model, sessions, keys) = (Model::default(), RefCell::default(), RefCell::default());
        let (users, branches, organisations) = (Vec::new(), Vec::new(), Vec::new());
        Self { store, model, users, branches, organisations, sessions, keys }
    }

    pub(super) fn add_organisation(&mut self) -> usize {
        let id = self.organisations.len();
        let made = self.store.organisations().create(&format!("o{id}z")).unwrap();
        self.organisations.push(made.id);
        self.model.organisations += 1;
        id
    }

    pub(super) fn add_branch(&mut self, organisation: Option<usize>) -> usize {
        let id = self.branches.len();
        let parent = organisation.map(|id| self.organisation(id));
        let made = self.store.branches().create(&format!("b{id}z"), parent).unwrap();
        self.branches.push(made.id);
        self.model.branches.push(Some(organisation));
        id
    }

    pub(super) fn add_user(
        &mut self,
        branch: Option<usize>,
        privileges: &[&'static str],
        administers: &[Place],
    ) -> usize {
        let index = self.users.len();
        let new = NewUser::person(self.name(index)).privileges(privileges.iter().copied());
        let new = new.branch(branch.map(|branch| self.branch(branch)));
        let id = self.store.users().create(new).unwrap().id;
        for place in administers {
            self.store.users().grant_administration(id, self.subtree(*place)).unwrap();
        }
        self.users.push(id);
        self.model.people.push(Person {
            branch,
            privileges: privileges.iter().copied().collect(),
            administers: administers.iter().copied().collect(),
            is_deleted: false,
        });
        index
    }

    /// A few organisations, branches, users and administrations.
    pub(super) fn random(dice: &mut Dice) -> Self {
        let mut town = Self::new();
        for _ in 0..=dice.below(3) {
            town.add_organisation();
        }
        for _ in 0..2 + dice.below(4) {
            let parent = dice.below(town.organisations.len() + 1);
            town.add_branch((parent < town.organisations.len()).then_some(parent));
        }
        for _ in 0..4 + dice.below(8) {
            let branch = dice.below(town.branches.len() + 1);
            let branch = (branch < town.branches.len()).then_some(branch);
            let privileges: Vec<_> = PRIVILEGES
                .into_iter()
                .filter(|name| dice.below(if *name == "admin" { 8 } else { 2 }) == 0)
                .collect();
            let places: Vec<Place> = (0..dice.below(4).saturating_sub(1))
                .map(|_| match dice.below(3) {
                    0 => Place::Organisation(dice.below(town.organisations.len())),
                    _ => Place::Branch(dice.below(town.branches.len())),
                })
                .collect();
            town.add_user(branch, &privileges, &places);
        }
        town
    }

    pub(super) fn target(&self, dice: &mut Dice) -> Target {
        // One beyond the end does not exist.
        let branch = dice.below(self.branches.len() + 2);
        let organisation = dice.below(self.organisations.len() + 2);
        Target {
            user: dice.below(self.users.len() + 1),
            branch: (branch <= self.branches.len()).then_some(branch),
            organisation: (organisation <= self.organisations.len()).then_some(organisation),
            of_branch: dice.below(2) == 0,
            privilege: PRIVILEGES[dice.below(PRIVILEGES.len())],
            deleted: dice.below(4) == 0,
        }
    }

    pub(super) fn user(&self, index: usize) -> UserId {
        self.users.get(index).copied().unwrap_or_else(|| UNKNOWN.parse().unwrap())
    }

    pub(super) fn branch(&self, index: usize) -> BranchId {
        self.branches.get(index).copied().unwrap_or_else(|| UNKNOWN.parse().unwrap())
    }

    pub(super) fn organisation(&self, index: usize) -> OrganisationId {
        self.organisations.get(index).copied().unwrap_or_else(|| UNKNOWN.parse().unwrap())
    }

    /// No name is a part of another.
    pub(super) fn name(&self, user: usize) -> String {
        format!("u{user}z")
    }

    fn lives(&self, user: usize) -> bool {
        self.model.people.get(user).is_some_and(|person| !person.is_deleted)
    }

    /// The principal of a user who is not deleted.
    pub(super) fn principal(&self, user: usize) -> Principal {
        *self.sessions.borrow_mut().entry(user).or_insert_with(|| {
            let open = OpenSession::new(self.user(user), DeviceId::random().unwrap());
            // The user may have a factor.
            let open = open.assurance(Assurance::Aal2);
            self.store.sessions().open(open).unwrap().granted().unwrap().principal
        })
    }

    /// The live session of a user; one that does not exist for a deleted user.
    pub(super) fn session(&self, user: usize) -> SessionId {
        let session = self.lives(user).then(|| self.principal(user).credential.session());
        session.flatten().unwrap_or_else(|| UNKNOWN.parse().unwrap())
    }

    /// A live API key of a user; one that does not exist for a deleted user.
    pub(super) fn key(&self, user: usize) -> ApiKeyId {
        if !self.lives(user) {
            return UNKNOWN.parse().unwrap();
        }
        *self.keys.borrow_mut().entry(user).or_insert_with(|| {
            self.store.api_keys().issue(self.user(user), NewApiKey::new()).unwrap().id
        })
    }

    /// Gives the user what some calls show or need, before the administrator's session is opened.
    pub(super) fn prepare(&self, call: &Call, user: usize) {
        if !self.lives(user) {
            return;
        }
        let id = self.user(user);
        let kind = call.name.split("::").next().unwrap();
        match (kind, call.name) {
            ("AdministeredSessions", _) => drop(self.session(user)),
            ("AdministeredApiKeys", _) => drop(self.key(user)),
            ("AdministeredTokens", _) => {
                let new = NewOneTimeToken::password_reset();
                drop(self.store.one_time_tokens().issue(id, new).unwrap());
            }
            ("AdministeredSecondFactors", _) => self.give_factor(user),
            (_, name)
                if ["password_change", "compromised", "set_password"]
                    .iter()
                    .any(|end| name.ends_with(end)) =>
            {
                // One that is marked is not set again.
                self.store.users().remove_password(id).unwrap();
                self.store.users().set_password(id, PASSWORD.into()).unwrap();
                self.sessions.borrow_mut().remove(&user);
            }
            _ => {}
        }
    }

    fn give_factor(&self, user: usize) {
        let factors = self.store.second_factors();
        if factors.info(self.user(user)).unwrap().is_none() {
            let secret = TotpSecret::new(vec![7; 20]).unwrap();
            factors.import(self.user(user), secret, NewTotp::new()).unwrap();
            self.sessions.borrow_mut().remove(&user);
        }
    }

    /// Makes a call, compares its answer with the model's, and applies it to the model.
    pub(super) fn play(&mut self, call: &Call, by: usize, target: &Target) -> Result<(), String> {
        let expected = (call.expect)(self, by, target);
        self.prepare(call, target.user);
        let administration = self.store.administering(&self.principal(by));
        let got = (call.make)(self, &administration, target);
        let what =
            || format!("{} by {by} to {target:?}: {got:?} instead of {expected:?}", call.name);
        if Answer::of(&got) != Some(expected.clone()) {
            return Err(what());
        }
        let shown = match &got {
            Ok(Got::Text(text)) => text.clone(),
            other => format!("{other:?}"),
        };
        if let Some(foreign) = self.foreign_in(by, &shown) {
            return Err(format!("{foreign} is outside: {}", what()));
        }
        if got.is_ok() && expected == Answer::Done {
            self.apply(call, target);
        }
        Ok(())
    }

    /// A name or id in this text that the user must not see.
    pub(super) fn foreign_in(&self, by: usize, text: &str) -> Option<String> {
        let users =
            (0..self.users.len()).filter(|user| !self.model.sees(by, *user) && *user != by);
        let users = users.flat_map(|user| [self.user(user).to_string(), self.name(user)]);
        let is_outside = |place| !self.model.covers(by, place);
        let branches = (0..self.branches.len()).filter(|id| is_outside(Place::Branch(*id)));
        let branches = branches.flat_map(|id| [self.branch(id).to_string(), format!("b{id}z")]);
        let organisations = 0..self.organisations.len();
        let organisations = organisations.filter(|id| is_outside(Place::Organisation(*id)));
        let organisations =
            organisations.flat_map(|id| [self.organisation(id).to_string(), format!("o{id}z")]);
        users.chain(branches).chain(organisations).find(|foreign| text.contains(foreign))
    }

    /// Everything that the file has about what the user must not see, except its own sessions.
    pub(super) fn outside(&self, by: usize) -> String {
        let store = &self.store;
        let is_foreign = |user: &usize| !self.model.sees(by, *user) && *user != by;
        let users = (0..self.users.len()).filter(is_foreign);
        let users = users.map(|user| {
            let mut data = store.users().personal_data(self.user(user)).unwrap();
            data.audit.clear();
            format!("{data:?}")
        });
        let branches = (0..self.branches.len()).map(|id| store.branches().find(self.branch(id)));
        let is_outside = |id: &usize| !self.model.covers(by, Place::Branch(*id));
        let branches = branches.enumerate().filter(|(id, _)| is_outside(id));
        let branches = branches.map(|(_, branch)| format!("{:?}", branch.unwrap()));
        users.chain(branches).collect()
    }

    fn apply(&mut self, call: &Call, target: &Target) {
        let user = target.user;
        let model = &mut self.model;
        match call.then {
            Then::Nothing => return,
            Then::Mend => self.mend(target),
            Then::CreateUser => {
                let made = self.store.users().find_by_username(&self.name(self.users.len()));
                self.users.push(made.unwrap().unwrap().id);
                self.model.people.push(Person {
                    branch: target.branch,
                    privileges: [target.privilege].into(),
                    ..Person::default()
                });
            }
            Then::Delete => model.people[user].is_deleted = true,
            Then::Restore => model.people[user].is_deleted = false,
            Then::Privileges => model.people[user].privileges = [target.privilege].into(),
            Then::Privilege => drop(model.people[user].privileges.insert(target.privilege)),
            Then::Move => model.people[user].branch = target.branch,
            Then::Grant => drop(model.people[user].administers.insert(target.place())),
            Then::Withdraw => drop(model.people[user].administers.remove(&target.place())),
            Then::CreateBranch => {
                let name = format!("b{}z", self.branches.len());
                let all = self.store.branches().iter(&gatepost::directory::BranchFilter::new());
                let made = all.map(Result::unwrap).find(|branch| branch.name == name).unwrap();
                self.branches.push(made.id);
                self.model.branches.push(Some(target.organisation));
            }
            Then::MoveBranch => model.branches[target.some_branch()] = Some(target.organisation),
            Then::DeleteBranch => {
                let gone = Place::Branch(target.some_branch());
                model.branches[target.some_branch()] = None;
                for person in &mut model.people {
                    person.administers.remove(&gone);
                }
            }
        }
        if call.then != Then::CreateUser && call.then != Then::CreateBranch {
            self.sessions.borrow_mut().clear();
            self.keys.borrow_mut().clear();
        }
    }

    /// Puts back what a call changed that the model does not have.
    fn mend(&self, target: &Target) {
        if self.lives(target.user) {
            let users = self.store.users();
            users.rename(self.user(target.user), &self.name(target.user)).unwrap();
            users.set_status(self.user(target.user), UserStatus::Active).unwrap();
        }
        let is_there =
            |branch: &usize| self.model.branches.get(*branch).is_some_and(Option::is_some);
        if let Some(branch) = target.branch.filter(is_there) {
            let branches = self.store.branches();
            branches.rename(self.branch(branch), &format!("b{branch}z")).unwrap();
            branches.set_active(self.branch(branch), true).unwrap();
        }
    }
}

impl Answer {
    /// What a call answered; `None` for an error that no call may return.
    pub(super) fn of(got: &Result<Got, gatepost::Error>) -> Option<Self> {
        use gatepost::ErrorKind::{Invalid, NotEmpty, NotFound, NotPermitted};
        Some(match got {
            Ok(Got::Missing) => Self::Absent,
            Ok(Got::Text(_)) => Self::Done,
            Ok(Got::Found(found)) => Self::Found(found.clone()),
            Err(error) => match error.kind() {
                NotFound => Self::Absent,
                NotPermitted => Self::Refused,
                Invalid | NotEmpty => Self::Conflict,
                _ => return None,
            },
        })
    }
}
