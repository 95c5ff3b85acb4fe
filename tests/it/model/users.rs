//! The rules of users.

use gatepost::directory::UserStatus;

use super::rules::{DONE, Subject};
use super::{Expect, Model, Op};

impl Model {
    /// An operation on a user who exists.
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
        let kind = op.kind(self);
        let has_effect = match op {
            Op::SetPassword { .. }
            | Op::RemovePassword { .. }
            | Op::Compromise { .. }
            | Op::DemandChange { .. } => self.about_the_password(op, user),
            _ => Ok(self.about_the_user(op, user)),
        };
        match has_effect {
            Err(failed) => return failed,
            Ok(true) => self.revoke(kind, Subject::User(user)),
            Ok(false) => {}
        }
        DONE
    }

    /// Whether it changes anything, so that it revokes what it revokes.
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
            Op::DemandChange { .. } => {
                person.must_change = true;
                Ok(true)
            }
            _ => Ok(!std::mem::replace(&mut person.compromised, true)),
        }
    }

    /// Whether it changes anything, so that it revokes what it revokes.
    fn about_the_user(&mut self, op: Op, user: usize) -> bool {
        let person = &mut self.users[user];
        match op {
            Op::SetStatus { status, .. } => {
                return std::mem::replace(&mut person.status, status) != status;
            }
            Op::Delete { .. } => person.deleted = true,
            Op::Confirm { .. } => {
                if person.status == UserStatus::Pending {
                    person.status = UserStatus::Active;
                }
                person.confirmed = true;
            }
            Op::Rename { .. } => person.name = self.step,
            Op::SetEmail { .. } => person.email = Some(self.step),
            Op::SetAdmin { admin, .. } => person.admin = admin,
            _ => person.failures = 0,
        }
        true
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
