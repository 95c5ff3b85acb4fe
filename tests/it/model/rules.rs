//! The rules of each operation, applied to plain data. The list of operations
//! (`operations/list.rs`) says what each one revokes.

use super::{
    Expect, Found, Guess, LIFETIME_MAX_MS, LIFETIME_MS, MINUTE_MS, Model, Op, Shown, Token, Where,
};

use crate::operations::{Reach, Relation, operation};

pub(super) const DONE: Expect = Expect::Says("done");

/// What an operation is applied to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject {
    Token(usize),
    /// The sessions of that user on that device.
    Device(usize, usize),
    User(usize),
    Branch(usize),
    Organisation(usize),
    Store,
}

impl Model {
    /// The answer of a step, and the model after it.
    pub(crate) fn apply(&mut self, op: Op) -> Expect {
        // No two uses are at once.
        self.now += 1;
        let kind = op.kind(self);
        match op {
            Op::Advance { ms } => {
                self.now += ms;
                DONE
            }
            Op::Maintain | Op::VerifyAll | Op::AdvanceTo { .. } => DONE,
            Op::Verify { token, shown } => {
                let device = self.shown(token, shown);
                Expect::Verified(self.used(token, device))
            }
            Op::Open { user, device, minutes } => self.open(user, device, minutes),
            Op::LogIn { user, guess, renew, device } => self.log_in(user, guess, renew, device),
            Op::ChangePassword { token, shown, guess } => {
                self.change_password(token, shown, guess)
            }
            Op::Renew { token, shown } => self.renew(token, shown),
            Op::LogOut { token, shown } => self.log_out(token, shown),
            Op::End { token } => self.end(kind, self.last_of(token)),
            Op::EndOthers { token, shown } => self.revoke_others(token, shown),
            Op::EndUser { user } if self.users[user].deleted => Expect::Failed("NotFound"),
            Op::EndUser { user } => {
                self.revoke(kind, Subject::User(user));
                DONE
            }
            Op::EndStore => {
                self.revoke(kind, Subject::Store);
                for place in self.branches.iter_mut().chain(&mut self.organisations) {
                    place.refuses.extend(self.tokens.keys());
                }
                DONE
            }
            Op::EndBranch { branch } => self.end_branch(kind, branch),
            Op::EndOrganisation { organisation } => self.end_organisation(kind, organisation),
            Op::MoveUser { user, branch } => self.move_user(user, branch),
            Op::MoveBranch { branch, organisation } => self.move_branch(branch, organisation),
            Op::BranchActive { branch, active } => {
                let change = self.branches[branch].inactive == active;
                if change && !active {
                    self.end_branch(kind, branch);
                }
                self.set_place(false, branch, active)
            }
            Op::OrganisationActive { organisation, active } => {
                let change = self.organisations[organisation].inactive == active;
                if change && !active {
                    self.end_organisation(kind, organisation);
                }
                self.set_place(true, organisation, active)
            }
            Op::DeleteBranch { branch } => self.delete_branch(branch),
            Op::DeleteOrganisation { organisation } => self.delete_organisation(organisation),
            Op::Issue { .. }
            | Op::Attenuate { .. }
            | Op::Rotate { .. }
            | Op::Revoke { .. }
            | Op::RevokeKeys { .. } => self.apply_to_keys(kind, op),
            Op::Value(op) => self.apply_value(op),
            Op::ForgetDevice { user, device } => self.forget_device(kind, user, device),
            about_a_user => self.stand(about_a_user),
        }
    }

    fn forget_device(&mut self, kind: &str, user: usize, device: usize) -> Expect {
        let known = self.devices.remove(&(user, device));
        if known {
            self.revoke(kind, Subject::Device(user, device));
        }
        Expect::Says(if known { "true" } else { "false" })
    }

    pub(super) fn held(&mut self, token: usize) -> &mut Token {
        self.tokens.get_mut(&token).unwrap()
    }

    /// The device that a token is presented on.
    pub(crate) fn shown(&self, token: usize, shown: Shown) -> Option<usize> {
        match shown {
            Shown::Own => self.tokens[&token].device,
            Shown::None => None,
            Shown::Other(device) => Some(device),
        }
    }

    /// The password that a guess comes to; 0 is the password of no user.
    pub(crate) fn guessed(&self, user: usize, guess: Guess) -> usize {
        let person = &self.users[user];
        match guess {
            Guess::Right => person.password.unwrap_or(0),
            Guess::Former => person.former.unwrap_or(0),
            Guess::Wrong => 0,
        }
    }

    /// Revokes what the list says of that operation. A suspended key is not revoked: whether its
    /// user is active is asked at each verify.
    pub(super) fn revoke(&mut self, kind: &str, subject: Subject) {
        let row = operation(kind);
        let keys = if row.suspends { Reach::Nothing } else { row.keys };
        let relations: Vec<Relation> =
            self.tokens.keys().map(|token| self.relation(*token, subject)).collect();
        for (token, relation) in self.tokens.values_mut().zip(relations) {
            let reach = if token.is_key { keys } else { row.sessions };
            token.ended |= reach.covers(relation);
        }
    }

    fn relation(&self, number: usize, subject: Subject) -> Relation {
        let token = &self.tokens[&number];
        let (user, branch) = (token.user, self.users[token.user].branch);
        match subject {
            Subject::Token(one) if one == number => Relation::Itself,
            Subject::Token(one) if self.tokens[&one].user == user => Relation::SameUser,
            Subject::Device(of, on) if (of, Some(on)) == (user, token.device) => Relation::Itself,
            Subject::User(of) if of == user => Relation::SameUser,
            Subject::Branch(of) if Some(of) == branch => Relation::SameBranch,
            Subject::Organisation(of) if Some(of) == self.organisation_of(user) => {
                Relation::SameOrganisation
            }
            _ => Relation::Elsewhere,
        }
    }

    /// Ends the sessions that `which` picks, where the list has no word for them: those that make
    /// way for another, and those that a place refuses.
    pub(super) fn end_sessions(&mut self, which: impl Fn(usize, &Token) -> bool) {
        for (number, token) in &mut self.tokens {
            token.ended |= !token.is_key && which(*number, token);
        }
    }

    /// A verify: a use, if it passes. The last use is kept in steps.
    pub(super) fn used(&mut self, token: usize, device: Option<usize>) -> Option<Found> {
        let found = self.found(token).filter(|_| self.tokens[&token].device == device)?;
        let (now, idle_ms) = (self.now, self.policy.idle_ms);
        let held = self.held(token);
        let step = match idle_ms {
            Some(idle_ms) => (idle_ms / 10).min(MINUTE_MS),
            None => (held.lifetime_ms.unwrap_or(0) / 24).max(60 * MINUTE_MS),
        };
        if now - held.last_use >= step {
            held.last_use = now;
        }
        Some(found)
    }

    fn open(&mut self, user: usize, device: usize, minutes: Option<i64>) -> Expect {
        if self.users[user].deleted {
            return Expect::Failed("NotFound");
        }
        let refused = self.standing(user).or_else(|| self.make_room(user, device, true).err());
        if let Some(refusal) = refused {
            return Expect::Refused(refusal);
        }
        let longest = self.now + LIFETIME_MAX_MS;
        let asked = minutes.map(|minutes| (self.now + minutes * MINUTE_MS).min(longest));
        self.opened(user, device, asked.unwrap_or(self.now + LIFETIME_MS))
    }

    /// The session on the device goes, and the one longest unused if there are too many. That does
    /// not count where all the others end anyway.
    fn make_room(&mut self, user: usize, device: usize, counts: bool) -> Result<(), &'static str> {
        let sessions = || self.tokens.keys().copied().filter(|t| !self.tokens[t].is_key);
        let there: Vec<usize> = sessions()
            .filter(|t| self.tokens[t].device == Some(device) && !self.tokens[t].ended)
            .collect();
        let strange = |token: &usize| self.tokens[token].user != user && self.live(*token);
        if there.iter().any(strange) && !self.policy.takeover {
            return Err("device_in_use");
        }
        let mut others: Vec<usize> = sessions()
            .filter(|t| self.tokens[t].user == user && self.live(*t) && !there.contains(t))
            .collect();
        others.sort_by_key(|token| self.tokens[token].last_use);
        let surplus = (others.len() + 1).saturating_sub(self.policy.per_user);
        if surplus > 0 && counts && self.policy.refuse_when_full {
            return Err("too_many_sessions");
        }
        others.truncate(surplus);
        self.end_sessions(|number, _| there.contains(&number) || others.contains(&number));
        Ok(())
    }

    fn opened(&mut self, user: usize, device: usize, expires_at: i64) -> Expect {
        self.devices.insert((user, device));
        let session = Token {
            is_key: false,
            user,
            device: Some(device),
            ended: false,
            opened_at: self.now,
            authenticated_at: self.now,
            expires_at: Some(expires_at),
            lifetime_ms: Some(expires_at - self.now),
            last_use: self.now,
            renewed: None,
            parent: None,
        };
        self.tokens.insert(self.step, session);
        Expect::Opened(expires_at)
    }

    fn log_in(&mut self, user: usize, guess: Guess, renew: bool, device: usize) -> Expect {
        let password = self.guessed(user, guess);
        let person = &mut self.users[user];
        let right = person.password == Some(password) && !person.compromised;
        if !right || person.deleted {
            person.failures += 1;
            person.typed_failures += 1;
            return Expect::Refused("invalid_credentials");
        }
        let marked = person.must_change;
        let demand = match renew {
            false if marked => Some("new_password_required"),
            true if !marked && !self.policy.change_always => Some("password_change_not_allowed"),
            _ => None,
        };
        let refused = self.standing(user).or(demand);
        let counts = !renew;
        if let Some(refusal) = refused.or_else(|| self.make_room(user, device, counts).err()) {
            return Expect::Refused(refusal);
        }
        if renew {
            self.revoke("Store::log_in(new password)", Subject::User(user));
            self.set_password(user);
        }
        self.users[user].failures = 0;
        self.opened(user, device, self.now + LIFETIME_MS)
    }

    pub(super) fn set_password(&mut self, user: usize) {
        let person = &mut self.users[user];
        person.former = person.password.replace(self.step);
        (person.must_change, person.compromised) = (false, false);
        person.failures = 0;
    }

    fn change_password(&mut self, token: usize, shown: Shown, guess: Guess) -> Expect {
        let device = self.shown(token, shown);
        if self.tokens[&token].is_key || self.used(token, device).is_none() {
            return Expect::Refused("session_not_live");
        }
        let held = self.tokens[&token].clone();
        let password = self.guessed(held.user, guess);
        let person = &mut self.users[held.user];
        if person.password != Some(password) || person.compromised {
            person.failures += 1;
            return Expect::Refused("invalid_credentials");
        }
        self.revoke("Store::change_password", Subject::Token(token));
        self.set_password(held.user);
        let expires_at = self.now + held.lifetime_ms.unwrap().min(LIFETIME_MAX_MS);
        let expiry = Some(expires_at);
        self.held(token).renewed = Some(self.step);
        let renewed = Token {
            authenticated_at: self.now,
            expires_at: expiry,
            last_use: held.last_use.max(self.now),
            ..held
        };
        self.tokens.insert(self.step, renewed);
        Expect::Opened(expires_at)
    }

    /// The end moves by a twentieth of the lifetime at least, or to the latest there may be.
    fn renew(&mut self, token: usize, shown: Shown) -> Expect {
        if self.tokens[&token].is_key {
            return Expect::Failed("Invalid");
        }
        let device = self.shown(token, shown);
        if self.used(token, device).is_none() {
            return Expect::Renewed(None);
        }
        let now = self.now;
        let held = self.held(token);
        let (own, latest) = (held.expires_at.unwrap(), held.authenticated_at + LIFETIME_MAX_MS);
        let end = (now + held.lifetime_ms.unwrap()).min(latest);
        if end > own && (20 * (end - own) >= held.lifetime_ms.unwrap() || end == latest) {
            held.expires_at = Some(end);
        }
        Expect::Renewed(held.expires_at)
    }

    fn log_out(&mut self, token: usize, shown: Shown) -> Expect {
        let held = &self.tokens[&token];
        if held.is_key {
            return Expect::Failed("Invalid");
        }
        let own = held.device == self.shown(token, shown);
        if own { self.end("Store::log_out", token) } else { Expect::Says("before") }
    }

    /// A handle stays when the token is renewed.
    pub(super) fn last_of(&self, token: usize) -> usize {
        self.tokens[&token].renewed.map_or(token, |next| self.last_of(next))
    }

    /// One that has expired had ended before; either way it has ended for good.
    fn end(&mut self, kind: &str, token: usize) -> Expect {
        let ends = !self.tokens[&token].ended && !self.over(token);
        self.revoke(kind, Subject::Token(token));
        Expect::Says(if ends { "now" } else { "before" })
    }

    fn revoke_others(&mut self, token: usize, shown: Shown) -> Expect {
        let device = self.shown(token, shown);
        if self.used(token, device).is_none() {
            return Expect::Says("refused");
        }
        if self.tokens[&token].is_key {
            return Expect::Failed("Invalid");
        }
        self.revoke("Sessions::revoke_others", Subject::Token(token));
        for place in self.branches.iter_mut().chain(&mut self.organisations) {
            place.refuses.remove(&token);
        }
        DONE
    }

    fn end_branch(&mut self, kind: &str, branch: usize) -> Expect {
        if self.branches[branch].gone {
            return Expect::Failed("NotFound");
        }
        self.revoke(kind, Subject::Branch(branch));
        self.branches[branch].refuses.extend(self.tokens.keys());
        DONE
    }

    fn end_organisation(&mut self, kind: &str, organisation: usize) -> Expect {
        if self.organisations[organisation].gone {
            return Expect::Failed("NotFound");
        }
        self.revoke(kind, Subject::Organisation(organisation));
        self.organisations[organisation].refuses.extend(self.tokens.keys());
        DONE
    }

    fn organisation_of(&self, user: usize) -> Option<usize> {
        self.users[user].branch.and_then(|branch| self.branches[branch].parent)
    }

    fn set_place(&mut self, organisation: bool, number: usize, active: bool) -> Expect {
        let places = if organisation { &mut self.organisations } else { &mut self.branches };
        if places[number].gone {
            return Expect::Failed("NotFound");
        }
        places[number].inactive = !active;
        DONE
    }

    fn move_user(&mut self, user: usize, branch: Option<usize>) -> Expect {
        if self.users[user].deleted || branch.is_some_and(|branch| self.branches[branch].gone) {
            return Expect::Failed("NotFound");
        }
        if self.users[user].branch != branch {
            self.users[user].branch = branch;
            self.refuse_at(user);
        }
        DONE
    }

    fn move_branch(&mut self, branch: usize, organisation: Option<usize>) -> Expect {
        let no_place = organisation.is_some_and(|o| self.organisations[o].gone);
        if self.branches[branch].gone || no_place {
            return Expect::Failed("NotFound");
        }
        if self.branches[branch].parent != organisation {
            if let Some(old) = self.branches[branch].parent {
                let refused = self.organisations[old].refuses.clone();
                self.branches[branch].refuses.extend(refused);
            }
            self.branches[branch].parent = organisation;
            for user in 0..self.users.len() {
                if self.users[user].branch == Some(branch) {
                    self.refuse_at(user);
                }
            }
        }
        DONE
    }

    /// A session older than the last revocation of all at its new place is revoked there.
    fn refuse_at(&mut self, user: usize) {
        let places = self.users[user].branch.map(|branch| &self.branches[branch]).into_iter();
        let places = places.chain(self.organisation_of(user).map(|o| &self.organisations[o]));
        let refused: Vec<usize> = places.flat_map(|place| place.refuses.clone()).collect();
        self.end_sessions(|number, token| token.user == user && refused.contains(&number));
    }

    fn delete_branch(&mut self, branch: usize) -> Expect {
        if self.branches[branch].gone {
            return Expect::Failed("NotFound");
        }
        if self.users.iter().any(|user| user.branch == Some(branch) && !user.deleted) {
            return Expect::Failed("NotEmpty");
        }
        self.branches[branch].gone = true;
        self.forget_values(Where::Branch(branch));
        DONE
    }

    fn delete_organisation(&mut self, organisation: usize) -> Expect {
        if self.organisations[organisation].gone {
            return Expect::Failed("NotFound");
        }
        if self.branches.iter().any(|b| b.parent == Some(organisation) && !b.gone) {
            return Expect::Failed("NotEmpty");
        }
        self.organisations[organisation].gone = true;
        self.forget_values(Where::Organisation(organisation));
        DONE
    }
}
