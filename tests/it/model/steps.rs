//! Where the steps of a history come from: for each state of things a strategy, mostly of what can
//! have an effect there. The simplest come first, as that is where shrinking goes.

use gatepost::directory::UserStatus;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use super::{
    BRANCHES, DEVICES, Guess, Model, ORGANISATIONS, Op, Place, Shown, Step, USERS, ValueOp, Where,
};

/// Strategies and how often each is taken, of all together.
type Weighted = Vec<(u32, BoxedStrategy<Op>)>;

const MINUTES: [i64; 4] = [1, 5, 90, 100_000];
/// Around the inactivity timeout and the steps of the last use.
const ADVANCES_MS: [i64; 8] = [1, 999, 30_000, 59_999, 60_000, 300_000, 599_999, 600_000];
/// How long a session lives that asks for nothing, and longer than any may live.
const DAYS_MS: [i64; 2] = [86_400_000, 31 * 86_400_000];
const JUMPS_MS: [i64; 4] = [1_000, 600_000, 86_400_000, 40_000_000_000];

/// The next step of a history that has come to `model`: mostly about sessions, now and then about
/// all the rest.
pub(crate) fn steps(model: &Model) -> BoxedStrategy<Step> {
    let number = model.step + 1;
    let jumps = prop_oneof![15 => Just(0), 1 => select(&JUMPS_MS)];
    let step = (of_any_kind(model), 0..model.hands, jumps);
    step.prop_map(move |(op, hand, back_ms)| Step { number, hand, back_ms, op }).boxed()
}

fn of_any_kind(model: &Model) -> Union<BoxedStrategy<Op>> {
    let mut all = of_time(model);
    all.extend(at_an_end(model));
    all.extend(of_sessions(model));
    all.extend(of_ends(model));
    all.extend(of_users(model));
    all.extend(of_passwords(model));
    all.extend(of_places(model));
    all.extend(of_keys(model));
    all.extend(of_values(model));
    Union::new_weighted(all)
}

fn of_time(model: &Model) -> Weighted {
    let advance = prop_oneof![12 => select(&ADVANCES_MS), 1 => select(&DAYS_MS)];
    let advance = advance.prop_map(|ms| Op::Advance { ms });
    let mut all = vec![(40, advance.boxed()), (10, Just(Op::Maintain).boxed())];
    if let Some(tokens) = tokens(model, |_| true) {
        let verify = (tokens, shown()).prop_map(|(token, shown)| Op::Verify { token, shown });
        all.extend([(30, Just(Op::VerifyAll).boxed()), (20, verify.boxed())]);
    }
    let is_due_later = |token| model.deadline(token) > Some(model.now + 2);
    if let Some(mortal) = tokens(model, is_due_later) {
        let to =
            (mortal, -1..=1_i64).prop_map(|(token, past_ms)| Op::AdvanceTo { token, past_ms });
        all.push((25, to.boxed()));
    }
    all
}

/// After the clock was moved to the expiry of a token: mostly an operation that presents it.
fn at_an_end(model: &Model) -> Weighted {
    let Some(token) = model.at_end_of else { return Vec::new() };
    let held = &model.tokens[&token];
    let (user, shown) = (held.user, Shown::Own);
    let open =
        (0..DEVICES).prop_map(move |device| Op::Open { user, device, minutes: None }).boxed();
    let mut all = vec![
        (400, Just(Op::Verify { token, shown }).boxed()),
        (60, Just(Op::LogOut { token, shown }).boxed()),
        (60, Just(Op::Renew { token, shown }).boxed()),
        (60, Just(Op::EndOthers { token, shown }).boxed()),
        (100, open),
    ];
    if held.is_key {
        all.push((100, Just(Op::Issue { user, minutes: None }).boxed()));
    } else {
        all.push((60, Just(Op::End { token }).boxed()));
    }
    if model.may_fail(user) {
        let change = Op::ChangePassword { token, shown, guess: Guess::Right };
        all.push((60, Just(change).boxed()));
    }
    all
}

fn of_sessions(model: &Model) -> Weighted {
    let open = (user(model), 0..DEVICES, perhaps(&MINUTES))
        .prop_map(|(user, device, minutes)| Op::Open { user, device, minutes });
    let mut all = vec![(80, open.boxed())];
    let some: Vec<usize> = (0..USERS.len()).filter(|u| model.may_fail(*u)).collect();
    let able = |u: &usize| model.users[*u].password.is_some() && is_able(model, *u);
    let able: Vec<usize> = some.iter().copied().filter(able).collect();
    if !some.is_empty() {
        let weight = if able.is_empty() { 3 } else { 80 };
        let log_in = (mostly(able, some), guess(), proptest::bool::weighted(0.4), 0..DEVICES)
            .prop_map(|(user, guess, renew, device)| Op::LogIn { user, guess, renew, device });
        all.push((weight, log_in.boxed()));
    }
    let may_change = |token: usize| {
        let held = &model.tokens[&token];
        !held.is_key && model.users[held.user].password.is_some() && model.may_fail(held.user)
    };
    if let Some(tokens) = tokens(model, may_change) {
        let change = (tokens, shown(), guess())
            .prop_map(|(token, shown, guess)| Op::ChangePassword { token, shown, guess });
        all.push((25, change.boxed()));
    }
    if let Some(tokens) = tokens(model, |token| !model.tokens[&token].is_key) {
        let renew = (tokens, shown()).prop_map(|(token, shown)| Op::Renew { token, shown });
        all.push((25, renew.boxed()));
    }
    if let Some(tokens) = tokens(model, |token| model.may_fail(model.tokens[&token].user)) {
        let change = tokens.prop_map(|token| Op::ChangePassword {
            token,
            shown: Shown::Own,
            guess: Guess::Right,
        });
        all.push((3, change.boxed()));
    }
    all
}

fn of_ends(model: &Model) -> Weighted {
    let end_user = user(model).prop_map(|user| Op::EndUser { user });
    let inside = |user: usize| model.users[user].branch;
    let live = || model.tokens.iter().filter(|(token, held)| !held.is_key && model.live(**token));
    let peopled: Vec<usize> = live().filter_map(|(_, held)| inside(held.user)).collect();
    let above: Vec<usize> = peopled.iter().filter_map(|b| model.branches[*b].parent).collect();
    let end_branch =
        mostly(peopled, (0..BRANCHES.len()).collect()).prop_map(|branch| Op::EndBranch { branch });
    let end_organisation = mostly(above, (0..ORGANISATIONS).collect())
        .prop_map(|organisation| Op::EndOrganisation { organisation });
    let mut all = vec![
        (8, end_user.boxed()),
        (5, end_branch.boxed()),
        (5, end_organisation.boxed()),
        (3, Just(Op::EndStore).boxed()),
    ];
    if let Some(any) = tokens(model, |_| true) {
        let log_out =
            (any.clone(), shown()).prop_map(|(token, shown)| Op::LogOut { token, shown });
        let beside = |token: usize| {
            let held = &model.tokens[&token];
            live().any(|(other, of)| *other != token && of.user == held.user) && !held.is_key
        };
        let any = tokens(model, beside).unwrap_or(any);
        let others = (any, shown()).prop_map(|(token, shown)| Op::EndOthers { token, shown });
        all.extend([(15, log_out.boxed()), (10, others.boxed())]);
    }
    if let Some(session) = tokens(model, |token| !model.tokens[&token].is_key) {
        all.push((10, session.prop_map(|token| Op::End { token }).boxed()));
    }
    all
}

fn of_users(model: &Model) -> Weighted {
    use UserStatus::{Active, Disabled, Locked, Pending};
    let picked = |which: &dyn Fn(usize) -> bool| {
        let picked: Vec<usize> = (0..USERS.len()).filter(|u| which(*u)).collect();
        let likely = if picked.is_empty() { 1 } else { 7 };
        (likely, mostly(picked, (0..USERS.len()).collect()))
    };
    let (kept_out, idle) = picked(&|u| model.users[u].status != Active && !model.users[u].deleted);
    let (gone, deleted) = picked(&|u| model.users[u].deleted);
    let (owned, confirmed) = picked(&|u| model.users[u].confirmed && !model.users[u].deleted);
    let (counted, failed) = picked(&|u| model.users[u].failures > 0);
    let status = (user(model), select(&[Active, Pending, Locked, Disabled]))
        .prop_map(|(user, status)| Op::SetStatus { user, status });
    let admin =
        (user(model), any::<bool>()).prop_map(|(user, admin)| Op::SetAdmin { user, admin });
    let on = model.devices.iter().copied().collect::<Vec<_>>();
    let forget = if on.is_empty() {
        (0..USERS.len(), 0..DEVICES).boxed()
    } else {
        prop_oneof![2 => select(on), 1 => (0..USERS.len(), 0..DEVICES)].boxed()
    };
    let forget = forget.prop_map(|(user, device)| Op::ForgetDevice { user, device });
    vec![
        (9, status.boxed()),
        (4 * kept_out, idle.prop_map(|user| Op::SetStatus { user, status: Active }).boxed()),
        (3, user(model).prop_map(|user| Op::Delete { user }).boxed()),
        (3 * gone, deleted.prop_map(|user| Op::Restore { user }).boxed()),
        (3, user(model).prop_map(|user| Op::Confirm { user }).boxed()),
        (owned, confirmed.prop_map(|user| Op::Confirm { user }).boxed()),
        (3, user(model).prop_map(|user| Op::Rename { user }).boxed()),
        (3, user(model).prop_map(|user| Op::SetEmail { user }).boxed()),
        (4, admin.boxed()),
        (2 * counted, failed.prop_map(|user| Op::Unlock { user }).boxed()),
        (10, forget.boxed()),
    ]
}

fn of_passwords(model: &Model) -> Weighted {
    let without = |u: &usize| model.users[*u].password.is_none() && !model.users[*u].system;
    let bare: Vec<usize> = (0..USERS.len()).filter(without).collect();
    let with = (0..USERS.len()).filter(|u| model.users[*u].password.is_some());
    let holder = mostly(with.collect(), (0..USERS.len()).collect());
    let demand =
        (holder.clone(), any::<bool>()).prop_map(|(user, all)| Op::DemandChange { user, all });
    let mut all = vec![
        (4, user(model).prop_map(|user| Op::SetPassword { user }).boxed()),
        (3, holder.clone().prop_map(|user| Op::RemovePassword { user }).boxed()),
        (3, holder.prop_map(|user| Op::Compromise { user }).boxed()),
        (6, demand.boxed()),
    ];
    if !bare.is_empty() {
        all.push((18, select(bare).prop_map(|user| Op::SetPassword { user }).boxed()));
    }
    all
}

fn of_places(model: &Model) -> Weighted {
    let (branch, organisation) = (0..BRANCHES.len(), 0..ORGANISATIONS);
    let into = |places| proptest::option::weighted(0.75, places);
    let move_user = (0..USERS.len(), into(branch.clone()))
        .prop_map(|(user, branch)| Op::MoveUser { user, branch });
    let move_branch = (branch.clone(), into(organisation.clone()))
        .prop_map(|(branch, organisation)| Op::MoveBranch { branch, organisation });
    let branch_active = |active| move |branch| Op::BranchActive { branch, active };
    let organisation_active =
        |active| move |organisation| Op::OrganisationActive { organisation, active };
    let dark = |places: &[Place]| -> Vec<usize> {
        (0..places.len()).filter(|p| places[*p].inactive && !places[*p].gone).collect()
    };
    let (dark_branches, dark_ones) = (dark(&model.branches), dark(&model.organisations));
    let is_empty = |b: &usize| model.users.iter().all(|u| u.branch != Some(*b) || u.deleted);
    let has_none = |o: &usize| model.branches.iter().all(|b| b.parent != Some(*o) || b.gone);
    let empty_branch = mostly(branch.clone().filter(is_empty).collect(), branch.clone().collect());
    let empty_one =
        mostly(organisation.clone().filter(has_none).collect(), organisation.clone().collect());
    let mut all = vec![
        (25, move_user.boxed()),
        (17, move_branch.boxed()),
        (6, branch.clone().prop_map(branch_active(false)).boxed()),
        (5, organisation.clone().prop_map(organisation_active(false)).boxed()),
        (2, branch.prop_map(branch_active(true)).boxed()),
        (2, organisation.prop_map(organisation_active(true)).boxed()),
        (4, empty_branch.prop_map(|branch| Op::DeleteBranch { branch }).boxed()),
        (3, empty_one.prop_map(|organisation| Op::DeleteOrganisation { organisation }).boxed()),
    ];
    if !dark_branches.is_empty() {
        all.push((20, select(dark_branches).prop_map(branch_active(true)).boxed()));
    }
    if !dark_ones.is_empty() {
        all.push((20, select(dark_ones).prop_map(organisation_active(true)).boxed()));
    }
    all
}

fn of_keys(model: &Model) -> Weighted {
    let issue = (user(model), perhaps(&[1, 10, 1_500]))
        .prop_map(|(user, minutes)| Op::Issue { user, minutes });
    let live = model.tokens.iter().filter(|(token, key)| key.is_key && model.live(**token));
    let holders: Vec<usize> = live.map(|(_, key)| key.user).collect();
    let weight = if holders.is_empty() { 1 } else { 5 };
    let revoke_all = mostly(holders, (0..USERS.len()).collect());
    let revoke_all = revoke_all.prop_map(|user| Op::RevokeKeys { user });
    let mut all = vec![(24, issue.boxed()), (weight, revoke_all.boxed())];
    for is_key in [false, true] {
        if let Some(parents) = tokens(model, |token| model.tokens[&token].is_key == is_key) {
            let attenuate = (parents, shown(), perhaps(&[1, 10, 1_500]))
                .prop_map(|(token, shown, minutes)| Op::Attenuate { token, shown, minutes });
            all.push((9, attenuate.boxed()));
        }
    }
    if let Some(keys) = tokens(model, |token| model.tokens[&token].is_key) {
        let rotate = (keys.clone(), select(&[0, 0, 1, 10]))
            .prop_map(|(token, minutes)| Op::Rotate { token, minutes });
        all.push((8, rotate.boxed()));
        all.push((8, keys.prop_map(|token| Op::Revoke { token }).boxed()));
    }
    all
}

fn of_values(model: &Model) -> Weighted {
    let organisation = (0..ORGANISATIONS).prop_map(Where::Organisation);
    let branch = (0..BRANCHES.len()).prop_map(Where::Branch);
    let holder = prop_oneof![organisation, branch];
    let of_user = (0..USERS.len()).prop_map(Where::User);
    let place = prop_oneof![1 => Just(Where::System), 2 => holder.clone(), 1 => of_user];
    let key = 0..2_u32;
    let credits = select(&[0, 1, 3, 5]);
    let set = (place.clone(), key.clone(), 1..4_u32)
        .prop_map(|(place, key, value)| ValueOp::Set { place, key, value });
    let remove = (place, key.clone()).prop_map(|(place, key)| ValueOp::Remove { place, key });
    let in_force = (0..USERS.len(), key).prop_map(|(user, key)| ValueOp::InForce { user, key });
    let count = (holder.clone(), proptest::option::weighted(0.75, credits.clone()))
        .prop_map(|(place, credits)| ValueOp::Count { place, credits });
    let spend = |holder: BoxedStrategy<Where>| {
        let spend = (holder.clone(), credits.clone())
            .prop_map(|(place, credits)| ValueOp::Spend { place, credits });
        let add =
            (holder, credits.clone()).prop_map(|(place, credits)| ValueOp::Add { place, credits });
        prop_oneof![2 => spend, 1 => add].boxed()
    };
    let mut all = vec![
        (13, set.boxed()),
        (8, count.boxed()),
        (2, spend(holder.boxed())),
        (2, remove.boxed()),
    ];
    let counted: Vec<Where> = model.credits.keys().copied().collect();
    if !counted.is_empty() {
        all.push((25, spend(select(counted).boxed())));
    }
    let kept: Vec<(Where, u32)> = model.settings.keys().copied().collect();
    if !kept.is_empty() {
        let remove = select(kept).prop_map(|(place, key)| ValueOp::Remove { place, key });
        all.extend([(5, remove.boxed()), (13, in_force.boxed())]);
    } else {
        all.push((1, in_force.boxed()));
    }
    all.into_iter().map(|(weight, op)| (weight, op.prop_map(Op::Value).boxed())).collect()
}

/// Mostly a user who can do something.
fn user(model: &Model) -> BoxedStrategy<usize> {
    let all: Vec<usize> = (0..USERS.len()).collect();
    mostly(all.iter().copied().filter(|user| is_able(model, *user)).collect(), all)
}

/// Mostly one of the likely ones, where there are any.
fn mostly(likely: Vec<usize>, all: Vec<usize>) -> BoxedStrategy<usize> {
    if likely.is_empty() {
        return select(all).boxed();
    }
    prop_oneof![3 => select(likely), 1 => select(all)].boxed()
}

/// Mostly a live one, of those that `which` picks.
fn tokens(model: &Model, which: impl Fn(usize) -> bool) -> Option<BoxedStrategy<usize>> {
    let all: Vec<usize> = model.tokens.keys().copied().filter(|t| which(*t)).collect();
    let live = all.iter().copied().filter(|token| model.live(*token)).collect();
    (!all.is_empty()).then(|| mostly(live, all))
}

/// Whether a user is there, and may work.
fn is_able(model: &Model, user: usize) -> bool {
    !model.users[user].deleted && model.standing(user).is_none()
}

fn shown() -> impl Strategy<Value = Shown> + Clone {
    let other = (0..DEVICES).prop_map(Shown::Other);
    prop_oneof![14 => Just(Shown::Own), 1 => Just(Shown::None), 1 => other]
}

fn guess() -> impl Strategy<Value = Guess> + Clone {
    prop_oneof![8 => Just(Guess::Right), 1 => Just(Guess::Former), 1 => Just(Guess::Wrong)]
}

fn perhaps(minutes: &'static [i64]) -> impl Strategy<Value = Option<i64>> + Clone {
    prop_oneof![3 => Just(None), 2 => select(minutes).prop_map(Some)]
}
