//! The operations of a history.

use gatepost::directory::UserStatus;

use super::{Model, ValueOp};
use crate::operations::{OPERATIONS, operation};

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
    Renew { token: usize, shown: Shown },
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
    Attenuate { token: usize, shown: Shown, minutes: Option<i64> },
    Rotate { token: usize, minutes: i64 },
    Revoke { token: usize },
    RevokeKeys { user: usize },
    Value(ValueOp),
}

/// The device that a token is presented on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Own,
    None,
    Other(usize),
}

/// A password that a caller gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    Right,
    /// The one before.
    Former,
    Wrong,
}

/// Kinds that no row of the revocation table is about.
#[rustfmt::skip]
const BESIDE: &[&str] = &[
    "advance", "Store::maintain", "Store::verify", "Store::renew", "Store::log_in",
    "Sessions::open", "Users::unlock", "ApiKeys::issue", "ApiKeys::attenuate(session)",
    "ApiKeys::attenuate(API key)", "Settings::set", "Settings::remove",
    "Settings::effective", "CreditBook::set", "CreditBook::spend", "CreditBook::add",
];

/// Operations of the revocation table that have no kind of their own here, and why.
#[rustfmt::skip]
const NO_KIND: &[(&str, &str)] = &[
    ("Sessions::revoke_own", "revokes as Sessions::revoke does"),
    ("Store::log_in(on the device of a session)", "Store::log_in finds one there"),
    ("Store::log_in(device takeover)", "Store::log_in, by policy"),
    ("Store::log_in(session limit)", "Store::log_in, by policy"),
    ("Store::log_in(temporary password)", "revokes as Store::log_in(new password) does"),
    ("Store::log_in(refused)", "Store::log_in, by its guess"),
    ("Store::log_in(throttled)", "no history fails so often"),
    ("Store::change_password(refused)", "Store::change_password, by its guess"),
    ("Devices::forget_listed", "Devices::forget, once it has found the device"),
    ("Devices::revoke_trust", "revokes no session and no key"),
    ("Store::log_in(recovery code)", "revokes as Store::log_in(new password) does"),
    ("Store::complete_login(recovery code)", "revokes as Store::log_in(new password) does"),
    ("Store::complete_login(enrolment)", "revokes as Store::log_in(new password) does"),
    ("Store::complete_login(refused)", "revokes nothing"),
    ("Store::log_in(wrong code)", "revokes no session and no key"),
    ("Store::complete_login(wrong code)", "revokes no session and no key"),
    ("Users::activate_locked", "Users::set_status(Active), of a locked user"),
    ("Users::change_privileges", "writes what Users::set_privileges writes"),
    ("Store::prove(refused)", "revokes nothing"),
    ("Store::change_password_and_revoke_keys", "Store::change_password and ApiKeys::revoke_all"),
    ("Store::log_in(new password, keys revoked)", "Store::log_in and ApiKeys::revoke_all"),
    ("Users::confirm_and_remove_password(first)", "Users::confirm and Users::remove_password"),
    ("Sessions::open(on the device of a session)", "Sessions::open finds one there"),
    ("Sessions::open(device takeover)", "Sessions::open, by policy"),
    ("Sessions::open(session limit)", "Sessions::open, by policy"),
    ("Users::set_password_hash", "revokes as Users::set_password does"),
    ("OneTimeTokens::confirm_email(first)", "revokes as Users::confirm(first) does"),
    ("OneTimeTokens::confirm_email(again)", "revokes as Users::confirm(again) does"),
    ("OneTimeTokens::accept_invitation", "revokes as Users::confirm(first) does"),
    ("OneTimeTokens::reset_password(RevokeApiKeys::Keep)", "as Users::set_password does"),
    ("OneTimeTokens::reset_password(RevokeApiKeys::All)", "as set_password and revoke_all do"),
    ("Store::restore", "its histories are those of restore/rounds.rs"),
    ("OneTimeTokens::revoke_all", "revokes no session and no key"),
    ("SecondFactors::confirm", "revokes as Sessions::revoke_others does, and one-time tokens"),
    ("SecondFactors::confirm(replacement)", "revokes as SecondFactors::confirm does"),
    ("SecondFactors::remove", "revokes as SecondFactors::confirm does"),
    ("SecondFactors::remove(refused)", "as Store::change_password(refused), by its guess"),
    ("SecondFactors::replace(recovery code)", "revokes as SecondFactors::confirm does"),
    ("SecondFactors::reissue_recovery_codes", "revokes as SecondFactors::confirm does"),
    ("SecondFactors::reset", "revokes as Sessions::revoke_all(user) does"),
    ("SecondFactors::reset_by", "revokes as SecondFactors::reset does"),
    ("SecondFactors::import", "revokes as Sessions::revoke_all(user) does"),
    ("Users::move_to(place revoked since)", "Users::move_to, by what the place refuses"),
    ("Branches::move_to(place revoked since)", "Branches::move_to, by what the place refuses"),
];

/// Each kind of operation: none may be missing from a run, and none without effect. A call of the
/// revocation table that has no kind is one of them, so that it is missed.
pub(crate) fn kinds() -> Vec<&'static str> {
    let revoking = OPERATIONS.iter().filter(|operation| !operation.row.is_empty());
    let named = revoking.map(|operation| operation.name);
    let own = named.filter(|name| NO_KIND.iter().all(|(other, _)| other != name));
    own.chain(BESIDE.iter().copied()).collect()
}

impl Op {
    /// Which operation of the list it is, upon that model.
    pub(crate) fn kind(self, model: &Model) -> &'static str {
        match self {
            Self::Advance { .. } | Self::AdvanceTo { .. } => "advance",
            Self::Maintain => "Store::maintain",
            Self::VerifyAll | Self::Verify { .. } => "Store::verify",
            Self::Open { .. } => "Sessions::open",
            Self::LogIn { renew: false, .. } => "Store::log_in",
            Self::LogIn { .. } => "Store::log_in(new password)",
            Self::ChangePassword { .. } => "Store::change_password",
            Self::Renew { .. } => "Store::renew",
            Self::LogOut { .. } => "Store::log_out",
            Self::End { .. } => "Sessions::revoke",
            Self::EndOthers { .. } => "Sessions::revoke_others",
            Self::EndUser { .. } => "Sessions::revoke_all(user)",
            Self::EndBranch { .. } => "Sessions::revoke_all(branch)",
            Self::EndOrganisation { .. } => "Sessions::revoke_all(organisation)",
            Self::EndStore => "Sessions::revoke_all(store)",
            Self::SetStatus { status, .. } => match status {
                UserStatus::Locked => "Users::set_status(Locked)",
                UserStatus::Disabled => "Users::set_status(Disabled)",
                UserStatus::Pending => "Users::set_status(Pending)",
                _ => "Users::set_status(Active)",
            },
            Self::Delete { .. } => "Users::delete",
            Self::Restore { .. } => "Users::restore",
            Self::MoveUser { .. } => "Users::move_to",
            Self::MoveBranch { .. } => "Branches::move_to",
            Self::BranchActive { active: false, .. } => "Branches::set_active(false)",
            Self::BranchActive { .. } => "Branches::set_active(true)",
            Self::OrganisationActive { active: false, .. } => "Organisations::set_active(false)",
            Self::OrganisationActive { .. } => "Organisations::set_active(true)",
            Self::DeleteBranch { .. } => "Branches::delete",
            Self::DeleteOrganisation { .. } => "Organisations::delete",
            other => other.kind_of_the_rest(model),
        }
    }

    fn kind_of_the_rest(self, model: &Model) -> &'static str {
        match self {
            Self::SetPassword { .. } => "Users::set_password",
            Self::RemovePassword { .. } => "Users::remove_password",
            Self::Compromise { .. } => "Users::mark_compromised",
            Self::DemandChange { all: true, .. } => {
                "Users::require_password_change(RevokeSessions::All)"
            }
            Self::DemandChange { .. } => "Users::require_password_change(RevokeSessions::Keep)",
            Self::Confirm { user } if model.users[user].confirmed => "Users::confirm(again)",
            Self::Confirm { .. } => "Users::confirm(first)",
            Self::Rename { .. } => "Users::rename",
            Self::SetEmail { .. } => "Users::set_email",
            Self::SetAdmin { .. } => "Users::set_privileges",
            Self::Unlock { .. } => "Users::unlock",
            Self::ForgetDevice { .. } => "Devices::forget",
            Self::Issue { .. } => "ApiKeys::issue",
            Self::Attenuate { token, .. } if model.tokens[&token].is_key => {
                "ApiKeys::attenuate(API key)"
            }
            Self::Attenuate { .. } => "ApiKeys::attenuate(session)",
            Self::Rotate { minutes: 0, .. } => "ApiKeys::rotate(no overlap)",
            Self::Rotate { .. } => "ApiKeys::rotate(overlap)",
            Self::Revoke { .. } => "ApiKeys::revoke",
            Self::RevokeKeys { .. } => "ApiKeys::revoke_all",
            Self::Value(ValueOp::Set { .. }) => "Settings::set",
            Self::Value(ValueOp::Remove { .. }) => "Settings::remove",
            Self::Value(ValueOp::InForce { .. }) => "Settings::effective",
            Self::Value(ValueOp::Count { .. }) => "CreditBook::set",
            Self::Value(ValueOp::Spend { .. }) => "CreditBook::spend",
            Self::Value(ValueOp::Add { .. }) => "CreditBook::add",
            other => panic!("{other:?} has no kind"),
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

    /// Whether it can be run at all: it may name a token that is no longer made, or fail so often
    /// that the user has to wait, which the model knows nothing of.
    pub(crate) fn is_possible(self, model: &Model) -> bool {
        let token = |token: &usize| model.tokens.get(token);
        match &self.op {
            Op::LogIn { user, .. } => model.may_fail(*user),
            Op::ChangePassword { token: t, .. } => {
                token(t).is_some_and(|t| model.may_fail(t.user))
            }
            Op::AdvanceTo { token: t, .. }
            | Op::Verify { token: t, .. }
            | Op::Renew { token: t, .. }
            | Op::Attenuate { token: t, .. }
            | Op::LogOut { token: t, .. }
            | Op::EndOthers { token: t, .. } => token(t).is_some(),
            Op::End { token: t } => token(t).is_some_and(|t| !t.is_key),
            Op::Revoke { token: t } | Op::Rotate { token: t, .. } => {
                token(t).is_some_and(|t| t.is_key)
            }
            _ => true,
        }
    }
}

#[test]
fn what_has_no_kind_is_in_the_list() {
    for (name, _) in NO_KIND {
        assert!(!operation(name).row.is_empty(), "{name} needs no kind");
    }
}
