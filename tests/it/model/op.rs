//! What can happen.

use gatepost::UserStatus;

use super::{Model, ValueOp};

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its own for good, and from 1 on: tokens, passwords, names and addresses are called by the
    /// step that made them, so that they keep their names when other steps are left out.
    pub(crate) number: usize,
    /// Which of the processes, or of the stores of one process, does it.
    pub(crate) hand: usize,
    /// How far the clock has just jumped back, which must change nothing.
    pub(crate) back_ms: i64,
    pub(crate) op: Op,
}

/// One operation. Users, places, devices and tokens are numbers; `None` is nowhere.
///
/// `AdvanceTo` goes so far that the next operation is so much past the end of a token; `VerifyAll`
/// is as many operations as there are tokens, each on its own device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Advance { ms: i64 },
    AdvanceTo { token: usize, past_ms: i64 },
    Maintain,
    VerifyAll,
    Verify { token: usize, shown: Shown },
    Open { user: usize, device: usize, minutes: Option<i64> },
    LogIn { user: usize, guess: Guess, renew: bool, device: usize },
    ChangePassword { token: usize, shown: Shown, guess: Guess },
    LogOut { token: usize, shown: Shown },
    End { token: usize },
    EndOthers { token: usize, shown: Shown },
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
    SetPassword { user: usize },
    RemovePassword { user: usize },
    Compromise { user: usize },
    DemandChange { user: usize, all: bool },
    Confirm { user: usize },
    Rename { user: usize },
    SetEmail { user: usize },
    SetAdmin { user: usize, admin: bool },
    Unlock { user: usize },
    ForgetDevice { user: usize, device: usize },
    Issue { user: usize, minutes: Option<i64> },
    Reassign { user: usize, minutes: i64 },
    Revoke { token: usize },
    Value(ValueOp),
}

/// The device that a token is presented on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Own,
    None,
    Other(usize),
}

/// A password that somebody gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    Right,
    /// The one before.
    Former,
    Wrong,
}

/// Each kind of operation: none may be missing from a run, and none without effect.
#[rustfmt::skip]
pub(crate) const KINDS: &[&str] = &[
    "advance", "maintain", "verify", "open", "log in", "log in and renew", "change password",
    "log out", "end", "end others", "end user", "end branch", "end organisation", "end store",
    "set status", "delete", "restore", "move user", "move branch", "branch off", "branch on",
    "organisation off", "organisation on", "delete branch", "delete organisation", "set password",
    "remove password", "compromise", "demand change", "confirm", "rename", "set email",
    "set admin", "unlock", "forget device", "issue", "reassign", "revoke", "set value",
    "remove value", "value in force", "count credits", "spend credits", "add credits",
];

impl Op {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Advance { .. } | Self::AdvanceTo { .. } => "advance",
            Self::Maintain => "maintain",
            Self::VerifyAll | Self::Verify { .. } => "verify",
            Self::Open { .. } => "open",
            Self::LogIn { renew: false, .. } => "log in",
            Self::LogIn { .. } => "log in and renew",
            Self::ChangePassword { .. } => "change password",
            Self::LogOut { .. } => "log out",
            Self::End { .. } => "end",
            Self::EndOthers { .. } => "end others",
            Self::EndUser { .. } => "end user",
            Self::EndBranch { .. } => "end branch",
            Self::EndOrganisation { .. } => "end organisation",
            Self::EndStore => "end store",
            Self::SetStatus { .. } => "set status",
            Self::Delete { .. } => "delete",
            Self::Restore { .. } => "restore",
            Self::MoveUser { .. } => "move user",
            Self::MoveBranch { .. } => "move branch",
            Self::BranchActive { active: false, .. } => "branch off",
            Self::BranchActive { .. } => "branch on",
            Self::OrganisationActive { active: false, .. } => "organisation off",
            Self::OrganisationActive { .. } => "organisation on",
            Self::DeleteBranch { .. } => "delete branch",
            Self::DeleteOrganisation { .. } => "delete organisation",
            Self::SetPassword { .. } => "set password",
            Self::RemovePassword { .. } => "remove password",
            Self::Compromise { .. } => "compromise",
            Self::DemandChange { .. } => "demand change",
            Self::Confirm { .. } => "confirm",
            Self::Rename { .. } => "rename",
            Self::SetEmail { .. } => "set email",
            Self::SetAdmin { .. } => "set admin",
            Self::Unlock { .. } => "unlock",
            Self::ForgetDevice { .. } => "forget device",
            Self::Issue { .. } => "issue",
            Self::Reassign { .. } => "reassign",
            Self::Revoke { .. } => "revoke",
            Self::Value(ValueOp::Set { .. }) => "set value",
            Self::Value(ValueOp::Remove { .. }) => "remove value",
            Self::Value(ValueOp::InForce { .. }) => "value in force",
            Self::Value(ValueOp::Count { .. }) => "count credits",
            Self::Value(ValueOp::Spend { .. }) => "spend credits",
            Self::Value(ValueOp::Add { .. }) => "add credits",
        }
    }
}

impl Step {
    /// Begins it; answers with the operations it comes to.
    pub(crate) fn begin(self, model: &mut Model) -> Vec<Op> {
        model.step = self.number;
        model.at_end_of = match self.op {
            Op::AdvanceTo { token, .. } => Some(token),
            _ => None,
        };
        self.ops(model)
    }

    fn ops(self, model: &Model) -> Vec<Op> {
        match self.op {
            Op::VerifyAll => {
                let each = |token: &usize| Op::Verify { token: *token, shown: Shown::Own };
                model.tokens.keys().map(each).collect()
            }
            Op::AdvanceTo { token, past_ms } => {
                let end = model.deadline(token).unwrap_or(model.now) + past_ms;
                // Less what this operation and the next one take.
                vec![Op::Advance { ms: (end - model.now - 2).max(0) }]
            }
            op => vec![op],
        }
    }

    /// The state of things after it.
    pub(crate) fn after(self, mut model: Model) -> Model {
        for op in self.begin(&mut model) {
            model.apply(op);
        }
        model
    }

    /// Whether it can be told at all: it may name a token that is no longer made, or fail so often
    /// that the user has to wait, which the model knows nothing of.
    pub(crate) fn is_possible(self, model: &Model) -> bool {
        let may_fail = |user: usize| model.users[user].failures < 3;
        let token = |token: &usize| model.tokens.get(token);
        match &self.op {
            Op::LogIn { user, .. } => may_fail(*user),
            Op::ChangePassword { token: t, .. } => token(t).is_some_and(|t| may_fail(t.user)),
            Op::AdvanceTo { token: t, .. }
            | Op::Verify { token: t, .. }
            | Op::LogOut { token: t, .. }
            | Op::EndOthers { token: t, .. } => token(t).is_some(),
            Op::End { token: t } => token(t).is_some_and(|t| !t.is_key),
            Op::Revoke { token: t } => token(t).is_some_and(|t| t.is_key),
            _ => true,
        }
    }
}
