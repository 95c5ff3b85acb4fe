//! What can happen, and a plain source of such happenings.

use gatepost::UserStatus;

use super::{BRANCHES, DEVICES, Model, ORGANISATIONS, USERS, ValueOp, Where};

/// One operation. Users, places, devices and tokens are numbers; `None` is nowhere or no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Advance { ms: i64 },
    Maintain,
    Verify { token: usize, device: Option<usize> },
    Open { user: usize, device: usize, minutes: Option<i64> },
    LogIn { user: usize, name: u32, password: u32, new: Option<u32>, device: usize },
    ChangePassword { token: usize, device: Option<usize>, password: u32, new: u32 },
    LogOut { token: usize, device: Option<usize> },
    End { token: usize },
    EndOthers { token: usize, device: Option<usize> },
    EndUser { user: usize },
    EndBranch { branch: usize },
    EndOrganisation { organisation: usize },
    EndStore,
    SetStatus { user: usize, status: UserStatus },
    Delete { user: usize },
    Restore { user: usize },
    MoveUser { user: usize, branch: Option<usize> },
    MoveBranch { branch: usize, organisation: Option<usize> },
    BranchActive { branch: usize, active: bool },
    OrganisationActive { organisation: usize, active: bool },
    DeleteBranch { branch: usize },
    DeleteOrganisation { organisation: usize },
    SetPassword { user: usize, new: u32 },
    RemovePassword { user: usize },
    Compromise { user: usize },
    DemandChange { user: usize, all: bool },
    Confirm { user: usize },
    Rename { user: usize, name: u32 },
    SetEmail { user: usize, number: u32 },
    SetAdmin { user: usize, admin: bool },
    Unlock { user: usize },
    ForgetDevice { user: usize, device: usize },
    Issue { user: usize, minutes: Option<i64> },
    Reassign { user: usize, minutes: i64 },
    Revoke { token: usize },
    Value(ValueOp),
}

/// A small xorshift generator: a seed is all it takes to replay a history.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

impl Op {
    /// The next one of a history that has come to `model`: mostly about sessions, now and then
    /// about all the rest.
    pub(crate) fn draw(random: &mut Random, model: &Model) -> Self {
        let user = random.below(USERS.len());
        match random.below(45) {
            0..=7 => {
                let minutes = random.one_in(3).then(|| random.of(&[1, 5, 90, 100_000]));
                Self::Open { user, device: random.below(DEVICES), minutes }
            }
            8..=9 => Self::draw_login(random, model, user),
            10..=15 => Self::draw_end(random, model, user),
            16..=21 => Self::draw_of_user(random, model, user),
            22..=28 => Self::draw_of_place(random, user),
            29..=31 => Self::draw_of_key(random, model, user),
            32..=35 => {
                let ms = [1, 999, 30_000, 59_999, 60_000, 300_000, 599_999, 600_000, 86_400_000];
                Self::Advance { ms: random.of(&ms) }
            }
            36 => Self::Maintain,
            37 => Self::ForgetDevice { user, device: random.below(DEVICES) },
            38..=42 => Self::Value(draw_of_value(random, user)),
            _ => Self::draw_verify(random, model),
        }
    }

    /// Mostly a live token where there is one, mostly on its own device.
    pub(crate) fn draw_verify(random: &mut Random, model: &Model) -> Self {
        let Some(token) = any_token(random, model) else { return Self::Maintain };
        Self::Verify { token, device: device_of(random, model, token) }
    }

    fn draw_login(random: &mut Random, model: &Model, user: usize) -> Self {
        let person = &model.users[user];
        let next = model.last_number + 1;
        let Some(password) = person.password else { return Self::SetPassword { user, new: next } };
        if person.failures >= 3 {
            return Self::Unlock { user };
        }
        let password = if random.one_in(6) { 0 } else { password };
        let new = (person.must_change || random.one_in(3)).then_some(next);
        Self::LogIn { user, name: person.name, password, new, device: random.below(DEVICES) }
    }

    fn draw_end(random: &mut Random, model: &Model, user: usize) -> Self {
        if random.one_in(3) {
            return match random.below(8) {
                0..=2 => Self::EndUser { user },
                3..=4 => Self::EndBranch { branch: random.below(BRANCHES.len()) },
                5..=6 => Self::EndOrganisation { organisation: random.below(ORGANISATIONS) },
                _ => Self::EndStore,
            };
        }
        let Some(token) = any_token(random, model) else { return Self::EndUser { user } };
        let device = device_of(random, model, token);
        let holder = model.tokens[token].user;
        let password = model.users[holder].password;
        match random.below(8) {
            0..=2 => Self::LogOut { token, device },
            3..=4 if !model.tokens[token].is_key => Self::End { token },
            5..=6 => Self::EndOthers { token, device },
            _ if model.users[holder].failures < 3 => Self::ChangePassword {
                token,
                device,
                password: password.filter(|_| !random.one_in(5)).unwrap_or(0),
                new: model.last_number + 1,
            },
            _ => Self::Unlock { user: holder },
        }
    }

    fn draw_of_user(random: &mut Random, model: &Model, user: usize) -> Self {
        use UserStatus::{Active, Disabled, Locked, Pending};
        let new = model.last_number + 1;
        let person = &model.users[user];
        match random.below(16) {
            // Most of what can happen needs somebody who is there and may work.
            0..=3 if person.deleted => Self::Restore { user },
            0..=3 if person.status != Active => Self::SetStatus { user, status: Active },
            0..=1 => Self::Delete { user },
            2..=4 => {
                let status = random.of(&[Active, Pending, Locked, Disabled]);
                Self::SetStatus { user, status }
            }
            5..=6 => Self::SetPassword { user, new },
            7 => Self::RemovePassword { user },
            8 => Self::Compromise { user },
            9..=10 => Self::DemandChange { user, all: random.one_in(2) },
            11 => Self::Confirm { user },
            12 => Self::Rename { user, name: new },
            13 => Self::SetEmail { user, number: new },
            14 => Self::Restore { user },
            _ => Self::SetAdmin { user, admin: random.one_in(2) },
        }
    }

    fn draw_of_place(random: &mut Random, user: usize) -> Self {
        let branch = random.below(BRANCHES.len());
        let organisation = random.below(ORGANISATIONS);
        let nowhere = random.one_in(4);
        let active = !random.one_in(3);
        match random.below(17) {
            0..=5 => Self::MoveUser { user, branch: (!nowhere).then_some(branch) },
            6..=9 => Self::MoveBranch { branch, organisation: (!nowhere).then_some(organisation) },
            10..=12 => Self::BranchActive { branch, active },
            13..=15 => Self::OrganisationActive { organisation, active },
            _ if nowhere => Self::DeleteOrganisation { organisation },
            _ => Self::DeleteBranch { branch },
        }
    }

    fn draw_of_key(random: &mut Random, model: &Model, user: usize) -> Self {
        let keys: Vec<usize> =
            (0..model.tokens.len()).filter(|t| model.tokens[*t].is_key).collect();
        match random.below(4) {
            0 if !keys.is_empty() => Self::Revoke { token: random.of(&keys) },
            1 => Self::Reassign { user, minutes: random.of(&[0, 0, 1, 10]) },
            _ => {
                let minutes = random.one_in(2).then(|| random.of(&[1, 10, 1_500]));
                Self::Issue { user, minutes }
            }
        }
    }
}

fn draw_of_value(random: &mut Random, user: usize) -> ValueOp {
    let organisation = Where::Organisation(random.below(ORGANISATIONS));
    let branch = Where::Branch(random.below(BRANCHES.len()));
    let key = u32::from(random.one_in(2));
    let place = random.of(&[Where::System, organisation, branch, Where::User(user)]);
    let holder = random.of(&[organisation, branch]);
    let credits = random.of(&[0, 1, 3, 5]);
    match random.below(12) {
        0..=2 => ValueOp::Set { place, key, value: random.of(&[1, 2, 3]) },
        3 => ValueOp::Remove { place, key },
        4..=6 => ValueOp::InForce { user, key },
        7 => ValueOp::Count { place: holder, credits: (!random.one_in(4)).then_some(credits) },
        8..=10 => ValueOp::Spend { place: holder, credits },
        _ => ValueOp::Add { place: holder, credits },
    }
}

fn any_token(random: &mut Random, model: &Model) -> Option<usize> {
    let live: Vec<usize> = (0..model.tokens.len()).filter(|t| model.live(*t)).collect();
    if !live.is_empty() && !random.one_in(4) {
        return Some(random.of(&live));
    }
    (!model.tokens.is_empty()).then(|| random.below(model.tokens.len()))
}

/// Its own device, or now and then another.
fn device_of(random: &mut Random, model: &Model, token: usize) -> Option<usize> {
    if random.one_in(8) {
        return random.one_in(2).then(|| random.below(DEVICES));
    }
    model.tokens[token].device
}
