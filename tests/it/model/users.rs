//! What is done to users.

use gatepost::UserStatus;

use super::rules::DONE;
use super::{Expect, Model, Op};

impl Model {
    /// What is done to a user who is there.
    pub(super) fn stand(&mut self, op: Op) -> Expect {
        if let Op::Restore { user } = op {
            return self.restore(user);
        }
        let (Op::SetStatus { user, .. }
        | Op::Delete { user }
        | Op::SetPassword { user, .. }
        | Op::RemovePassword { user }
        | Op::Compromise { user }
        | Op::DemandChange { user, .. }
        | Op::Confirm { user }
        | Op::Rename { user, .. }
        | Op::SetEmail { user, .. }
        | Op::SetAdmin { user, .. }
        | Op::Unlock { user }) = op
        else {
            panic!("{op:?} is not about a user")
        };
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        let ends = match op {
            Op::SetPassword { .. }
            | Op::RemovePassword { .. }
            | Op::Compromise { .. }
            | Op::DemandChange { .. } => self.about_the_password(op, user),
            _ => Ok(self.about_the_user(op, user)),
        };
        match ends {
            Err(failed) => return failed,
            Ok(true) => self.end_sessions(|_, token| token.user == user),
            Ok(false) => {}
        }
        DONE
    }

    /// Whether it ends the user's sessions.
    fn about_the_password(&mut self, op: Op, user: usize) -> Result<bool, Expect> {
        let person = &mut self.users[user];
        let no_password = person.password.is_none();
        match op {
            Op::SetPassword { .. } if person.system => Err(Expect::Failed("Invalid")),
            Op::SetPassword { .. } => {
                self.set_password(user);
                Ok(true)
            }
            Op::RemovePassword { .. } => {
                person.former = person.password.take();
                (person.must_change, person.compromised) = (false, false);
                Ok(!no_password)
            }
            _ if no_password => Err(Expect::Failed("Invalid")),
            Op::DemandChange { all, .. } => {
                person.must_change = true;
                Ok(all)
            }
            _ => Ok(!std::mem::replace(&mut person.compromised, true)),
        }
    }

    /// Whether it ends the user's sessions.
    fn about_the_user(&mut self, op: Op, user: usize) -> bool {
        let person = &mut self.users[user];
        match op {
            Op::SetStatus { status, .. } => {
                let changes = person.status != status;
                person.status = status;
                return changes && status != UserStatus::Active;
            }
            Op::Delete { .. } => {
                person.deleted = true;
                for token in self.tokens.values_mut().filter(|token| token.user == user) {
                    token.ended = true;
                }
            }
            Op::Confirm { .. } => {
                if person.status == UserStatus::Pending {
                    person.status = UserStatus::Active;
                }
                return !std::mem::replace(&mut person.confirmed, true);
            }
            Op::Rename { .. } => person.name = self.step,
            Op::SetEmail { .. } => person.email = Some(self.step),
            Op::SetAdmin { admin, .. } => person.admin = admin,
            _ => person.failures = 0,
        }
        false
    }

    fn restore(&mut self, user: usize) -> Expect {
        let branch_gone = self.users[user].branch.is_some_and(|branch| self.branches[branch].gone);
        if !self.users[user].deleted || branch_gone {
            return Expect::Failed("NotFound");
        }
        self.users[user].deleted = false;
        DONE
    }
}
