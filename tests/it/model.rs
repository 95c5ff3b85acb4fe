//! What revokes what, as plain data: a second, simple implementation to compare a store with.
//!
//! There is no file here, no watermark and no change log. Each token has a flag that says that it
//! has ended; the rules set it and nothing takes it back. Every user, place and token is known by
//! its number, so that a history can be printed, replayed, shortened and played by several
//! processes.

mod hands;
mod keys;
mod names;
mod op;
mod rules;
mod steps;
mod users;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use gatepost::directory::UserStatus;

pub(crate) use hands::Hands;
pub(crate) use names::Names;
pub(crate) use op::{Guess, Op, Shown, Step, kinds};
pub(crate) use steps::steps;
pub(crate) use values::{Place as Where, ValueOp};

/// The policy of the store, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) per_user: usize,
    pub(crate) refuse_when_full: bool,
    pub(crate) takeover: bool,
    pub(crate) idle_ms: Option<i64>,
    pub(crate) change_always: bool,
}

/// How long a session lives that asks for nothing, and how long it lives at most.
pub(crate) const LIFETIME_MS: i64 = 24 * 3_600_000;
pub(crate) const LIFETIME_MAX_MS: i64 = 30 * 24 * 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Keys that a user may have.
pub(crate) const KEYS: usize = 2;

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) policy: Policy,
    /// How many take turns at the same store: processes, or stores of one process.
    pub(crate) hands: usize,
    /// Milliseconds since the history began.
    pub(crate) now: i64,
    /// The token to whose expiry the clock was just moved, so that the next step happens then.
    pub(crate) at_end_of: Option<usize>,
    /// The number of the last step, which names whatever that step makes.
    pub(crate) step: usize,
    pub(crate) organisations: Vec<Place>,
    pub(crate) branches: Vec<Place>,
    pub(crate) users: Vec<Person>,
    /// By the number of the step that made them.
    pub(crate) tokens: BTreeMap<usize, Token>,
    /// The users who have logged in on a device, until it is forgotten.
    pub(crate) devices: BTreeSet<(usize, usize)>,
    /// The values of configuration keys, and the credits that are counted.
    pub(crate) settings: BTreeMap<(Where, u32), u32>,
    pub(crate) credits: BTreeMap<Where, u64>,
}

/// A branch or an organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) gone: bool,
    pub(crate) inactive: bool,
    /// The organisation of a branch.
    pub(crate) parent: Option<usize>,
    /// All sessions, anywhere, at the time when those of this place were revoked: they are revoked
    /// if their user ever moves here.
    pub(crate) refuses: BTreeSet<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) system: bool,
    pub(crate) admin: bool,
    pub(crate) deleted: bool,
    pub(crate) status: UserStatus,
    /// Kept while the user is deleted.
    pub(crate) branch: Option<usize>,
    pub(crate) name: usize,
    pub(crate) email: Option<usize>,
    pub(crate) password: Option<usize>,
    /// The password before this one.
    pub(crate) former: Option<usize>,
    pub(crate) must_change: bool,
    pub(crate) compromised: bool,
    pub(crate) confirmed: bool,
    /// At least as many as the store has counted.
    pub(crate) failures: u32,
    /// Failed logins, which each process also counts by the typed name: no call takes these back.
    pub(crate) typed_failures: u32,
}

/// A session's or a key's: a renewed session is a token more, under the same handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) is_key: bool,
    pub(crate) user: usize,
    pub(crate) device: Option<usize>,
    /// The one thing that never comes back.
    pub(crate) ended: bool,
    pub(crate) opened_at: i64,
    pub(crate) authenticated_at: i64,
    pub(crate) expires_at: Option<i64>,
    /// How long it was opened or issued for; none for a key that does not expire.
    pub(crate) lifetime_ms: Option<i64>,
    pub(crate) last_use: i64,
    /// The token that the same session got when its user changed the password.
    pub(crate) renewed: Option<usize>,
    /// The session or key that a key was made from: the key ends with it.
    pub(crate) parent: Option<usize>,
}

/// What a verify should find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) user: usize,
    pub(crate) branch: Option<usize>,
    pub(crate) organisation: Option<usize>,
    pub(crate) system: bool,
    pub(crate) admin: bool,
    pub(crate) opened_at: i64,
    pub(crate) authenticated_at: i64,
    pub(crate) expires_at: Option<i64>,
}

/// What an operation should answer. Those that open something have added a token to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    Says(&'static str),
    Refused(&'static str),
    Failed(&'static str),
    /// A session was opened or renewed, and when it expires.
    Opened(i64),
    Issued(Option<i64>),
    Verified(Option<Found>),
    /// When a session expires that was asked to be renewed.
    Renewed(Option<i64>),
    /// A number, or nothing.
    Value(Option<u64>),
    /// Either answer is right: the row may have been swept.
    Anything,
}

/// Two organisations, three branches, two of them in the first one, and three users.
pub(crate) const ORGANISATIONS: usize = 2;
pub(crate) const BRANCHES: [Option<usize>; 3] = [Some(0), Some(0), None];
pub(crate) const USERS: [(Option<usize>, bool); 3] =
    [(Some(0), false), (Some(2), false), (None, true)];
pub(crate) const DEVICES: usize = 4;

impl Model {
    pub(crate) fn new(policy: Policy, hands: usize) -> Self {
        let branch = |parent| Place { parent, ..Place::default() };
        let user = |(branch, system)| Person {
            system,
            admin: false,
            deleted: false,
            status: UserStatus::Active,
            branch,
            name: 0,
            email: None,
            password: None,
            former: None,
            must_change: false,
            compromised: false,
            confirmed: false,
            failures: 0,
            typed_failures: 0,
        };
        Self {
            policy,
            hands,
            now: 0,
            at_end_of: None,
            step: 0,
            organisations: vec![Place::default(); ORGANISATIONS],
            branches: BRANCHES.map(branch).to_vec(),
            users: USERS.map(user).to_vec(),
            tokens: BTreeMap::new(),
            devices: BTreeSet::new(),
            settings: BTreeMap::new(),
            credits: BTreeMap::new(),
        }
    }

    /// What a verify finds with a token, if it is presented on its own device.
    pub(crate) fn found(&self, token: usize) -> Option<Found> {
        if !self.live(token) {
            return None;
        }
        let token = &self.tokens[&token];
        let user = &self.users[token.user];
        Some(Found {
            user: token.user,
            branch: user.branch,
            organisation: user.branch.and_then(|branch| self.branches[branch].parent),
            system: user.system,
            admin: user.admin,
            opened_at: token.opened_at,
            authenticated_at: token.authenticated_at,
            expires_at: token.expires_at,
        })
    }

    pub(crate) fn live(&self, token: usize) -> bool {
        !self.is_ended(token) && !self.over(token) && self.kept_out(token).is_none()
    }

    /// Whether it, or what it was made from, was ended.
    pub(crate) fn is_ended(&self, token: usize) -> bool {
        let held = &self.tokens[&token];
        held.ended || held.parent.is_some_and(|parent| self.is_ended(self.last_of(parent)))
    }

    /// Whether one of its deadlines has passed.
    pub(crate) fn over(&self, token: usize) -> bool {
        self.deadline(token).is_some_and(|end| end <= self.now)
    }

    /// When it ends by itself, if it is not used before: at that millisecond it has ended.
    pub(crate) fn deadline(&self, token: usize) -> Option<i64> {
        let token = &self.tokens[&token];
        let idle_end = self.policy.idle_ms.filter(|_| !token.is_key).map(|ms| token.last_use + ms);
        let of_parent = token.parent.and_then(|parent| self.deadline(self.last_of(parent)));
        token.expires_at.into_iter().chain(idle_end).chain(of_parent).min()
    }

    /// Why the user may not do anything now.
    pub(crate) fn kept_out(&self, token: usize) -> Option<&'static str> {
        self.standing(self.tokens[&token].user)
    }

    /// Whether a login of the user may fail once more. Before the store makes anyone wait, because
    /// the model knows nothing of that.
    pub(crate) fn may_fail(&self, user: usize) -> bool {
        let person = &self.users[user];
        person.failures < 3 && person.typed_failures < 4
    }

    pub(crate) fn standing(&self, user: usize) -> Option<&'static str> {
        let user = &self.users[user];
        let branch = user.branch.map(|branch| &self.branches[branch]);
        let organisation = branch.and_then(|b| b.parent).map(|parent| &self.organisations[parent]);
        match user.status {
            UserStatus::Locked => Some("account_locked"),
            UserStatus::Disabled => Some("account_disabled"),
            UserStatus::Pending => Some("account_pending"),
            _ if branch.is_some_and(|branch| branch.inactive) => Some("branch_disabled"),
            _ if organisation.is_some_and(|o| o.inactive) => Some("organisation_disabled"),
            _ => None,
        }
    }
}
