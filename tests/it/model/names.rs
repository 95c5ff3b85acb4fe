//! A history in words, with the ids and tokens of the store that it is run on.

use std::collections::BTreeMap;

use super::{
    BRANCHES, Expect, Found, Model, ORGANISATIONS, Op, Shown, Step, USERS, ValueOp, Where,
};

/// What the numbers of a history are called in a store.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    /// When the history began, in milliseconds since 1970.
    began: i64,
    users: Vec<String>,
    branches: Vec<String>,
    organisations: Vec<String>,
    /// The handle and the text of each token.
    tokens: BTreeMap<usize, (String, String)>,
}

impl Names {
    /// Fills a store with the places and users of a history, apart from all others by a prefix.
    pub(crate) fn settle(prefix: &str, began: i64, act: &mut dyn FnMut(&str) -> String) -> Self {
        let mut create = |line: String| {
            let id = act(&format!("{began} {line}"));
            assert_eq!(id.len(), 36, "{line}: {id}");
            id
        };
        let organisations: Vec<String> = (0..ORGANISATIONS)
            .map(|o| create(format!("place organisation {prefix}o{o}")))
            .collect();
        let mut place = |(b, parent): (usize, &Option<usize>)| {
            let parent = parent.map_or("-", |parent| organisations[parent].as_str());
            create(format!("place branch {prefix}b{b} {parent}"))
        };
        let branches: Vec<String> = BRANCHES.iter().enumerate().map(&mut place).collect();
        let mut user = |(u, (branch, system)): (usize, &(Option<usize>, bool))| {
            let branch = branch.map_or("-", |branch| branches[branch].as_str());
            let kind = if *system { "system" } else { "person" };
            create(format!("user {kind} {prefix}u{u}n0 {branch}"))
        };
        let users = USERS.iter().enumerate().map(&mut user).collect();
        Self {
            prefix: prefix.into(),
            began,
            users,
            branches,
            organisations,
            tokens: BTreeMap::new(),
        }
    }

    fn of(list: &[String], number: Option<usize>) -> &str {
        number.map_or("-", |number| list[number].as_str())
    }

    fn device(&self, device: Option<usize>) -> String {
        device.map_or("-".into(), |device| format!("{}d{device}", self.prefix))
    }

    /// An operation of a step as a line. The model is as it was before.
    pub(crate) fn line(&self, model: &Model, step: Step, op: Op) -> String {
        let now = self.began + model.now + 1;
        let now = now + if let Op::Advance { ms } = op { ms } else { 0 };
        let doing = self.doing(model, step.number, op);
        match step.back_ms {
            0 => format!("{now} {doing}"),
            back => format!("{now}:{} {doing}", now - back),
        }
    }

    fn doing(&self, model: &Model, number: usize, op: Op) -> String {
        let user = |number: usize| self.users[number].as_str();
        let branch = |number: usize| self.branches[number].as_str();
        let organisation = |number: usize| self.organisations[number].as_str();
        let any = |number: Option<i64>| number.map_or("-".into(), |n| n.to_string());
        match op {
            Op::Advance { .. } => "session wait".into(),
            Op::Maintain => "session maintain".into(),
            Op::Open { user: u, device, minutes } => {
                let device = self.device(Some(device));
                format!("session open {} {device} {}", user(u), any(minutes))
            }
            Op::LogIn { user: u, guess, renew, device } => {
                let (name, device) = (model.users[u].name, self.device(Some(device)));
                let password = model.guessed(u, guess);
                let new = if renew { number.to_string() } else { "-".into() };
                format!("session login {}u{u}n{name} {password} {device} {new}", self.prefix)
            }
            Op::End { token } => format!("session end {}", self.tokens[&token].0),
            Op::Verify { token, shown } => {
                format!("session verify {}", self.presented(model, token, shown))
            }
            Op::ChangePassword { token, shown, guess } => {
                let password = model.guessed(model.tokens[&token].user, guess);
                let presented = self.presented(model, token, shown);
                format!("session change {presented} {password} {number}")
            }
            Op::Renew { token, shown } => {
                format!("session renew {}", self.presented(model, token, shown))
            }
            Op::LogOut { token, shown } => {
                format!("session logout {}", self.presented(model, token, shown))
            }
            Op::EndOthers { token, shown } => {
                format!("session end-others {}", self.presented(model, token, shown))
            }
            Op::EndUser { user: u } => format!("session end-user {}", user(u)),
            Op::EndBranch { branch: b } => format!("session end-branch {}", branch(b)),
            Op::EndOrganisation { organisation: o } => {
                format!("session end-organisation {}", organisation(o))
            }
            Op::EndStore => "session end-store".into(),
            Op::MoveBranch { branch: b, organisation } => {
                format!("place move {} {}", branch(b), Self::of(&self.organisations, organisation))
            }
            Op::BranchActive { branch: b, active } => {
                format!("place branch-active {} {active}", branch(b))
            }
            Op::OrganisationActive { organisation: o, active } => {
                format!("place organisation-active {} {active}", organisation(o))
            }
            Op::DeleteBranch { branch: b } => format!("place delete-branch {}", branch(b)),
            Op::DeleteOrganisation { organisation: o } => {
                format!("place delete-organisation {}", organisation(o))
            }
            Op::Issue { user: u, minutes } => format!("key issue {} {}", user(u), any(minutes)),
            Op::Attenuate { token, shown, minutes } => {
                let presented = self.presented(model, token, shown);
                format!("key attenuate {presented} {}", any(minutes))
            }
            Op::Rotate { token, minutes } => {
                format!("key rotate {} {minutes}", self.tokens[&token].0)
            }
            Op::Revoke { token } => format!("key revoke {}", self.tokens[&token].0),
            Op::RevokeKeys { user: u } => format!("key revoke_all {}", user(u)),
            Op::Value(op) => self.line_of_value(op),
            about_a_user => self.line_of_user(number, about_a_user),
        }
    }

    /// A token, and the device it is presented on.
    fn presented(&self, model: &Model, token: usize, shown: Shown) -> String {
        format!("{} {}", self.tokens[&token].1, self.device(model.shown(token, shown)))
    }

    fn line_of_user(&self, number: usize, op: Op) -> String {
        let id = |number: usize| self.users[number].as_str();
        match op {
            Op::SetStatus { user, status } => {
                format!("user status {} {}", id(user), status.as_str())
            }
            Op::Delete { user } => format!("user delete {}", id(user)),
            Op::Restore { user } => format!("user restore {}", id(user)),
            Op::MoveUser { user, branch } => {
                format!("user move {} {}", id(user), Self::of(&self.branches, branch))
            }
            Op::SetPassword { user } => format!("user password {} {number}", id(user)),
            Op::RemovePassword { user } => format!("user no-password {}", id(user)),
            Op::Compromise { user } => format!("user compromised {}", id(user)),
            Op::DemandChange { user, all } => format!("user demand {} {all}", id(user)),
            Op::Confirm { user } => format!("user confirm {}", id(user)),
            Op::Rename { user } => {
                format!("user rename {} {}u{user}n{number}", id(user), self.prefix)
            }
            Op::SetEmail { user } => {
                format!("user email {} {}u{user}n{number}@example.com", id(user), self.prefix)
            }
            Op::SetAdmin { user, admin } => format!("user admin {} {admin}", id(user)),
            Op::Unlock { user } => format!("user unlock {}", id(user)),
            Op::ForgetDevice { user, device } => {
                format!("user forget {} {}", id(user), self.device(Some(device)))
            }
            other => panic!("{other:?} is not about a user"),
        }
    }

    /// Compares an answer with what was expected, and keeps the names of what was opened.
    ///
    /// # Errors
    /// What was wanted instead.
    pub(crate) fn hear(
        &mut self,
        number: usize,
        expect: &Expect,
        answer: &str,
    ) -> Result<(), String> {
        let opening = |kind: &str, expiry: Option<i64>| {
            let mut words = answer.split(' ');
            let expiry = self.at(expiry);
            let (found, id, token) = (words.next()?, words.next()?, words.next()?);
            (found == kind && words.next() == Some(&expiry)).then(|| (id.into(), token.into()))
        };
        let opened = match expect {
            Expect::Anything => return Ok(()),
            Expect::Opened(expiry) => opening("opened", Some(*expiry)),
            Expect::Issued(expiry) => opening("issued", *expiry),
            _ => None,
        };
        if let Some(token) = opened {
            self.tokens.insert(number, token);
            return Ok(());
        }
        let wanted = match expect {
            Expect::Says(word) => (*word).into(),
            Expect::Refused(why) => format!("refused {why}"),
            Expect::Failed(why) => format!("failed {why}"),
            Expect::Verified(None) | Expect::Renewed(None) => "refused".into(),
            Expect::Renewed(expiry) => format!("renewed {}", self.at(*expiry)),
            Expect::Value(value) => value.map_or("-".into(), |value| value.to_string()),
            Expect::Verified(Some(found)) => self.principal(found),
            Expect::Opened(expiry) => format!("opened … {}", self.at(Some(*expiry))),
            Expect::Issued(expiry) => format!("issued … {}", self.at(*expiry)),
            Expect::Anything => "anything".into(),
        };
        if wanted == answer { Ok(()) } else { Err(format!("wanted {wanted}")) }
    }

    fn at(&self, time: Option<i64>) -> String {
        time.map_or("-".into(), |time| (self.began + time).to_string())
    }

    fn principal(&self, found: &Found) -> String {
        format!(
            "valid {} {} {} {} {} {} {} {}",
            self.users[found.user],
            Self::of(&self.branches, found.branch),
            Self::of(&self.organisations, found.organisation),
            found.system,
            found.admin,
            self.began + found.opened_at,
            self.began + found.authenticated_at,
            self.at(found.expires_at),
        )
    }

    fn line_of_value(&self, op: ValueOp) -> String {
        let key = |key: u32| format!("{}.k{key}", self.prefix);
        let at = |place: Where| match place {
            Where::System => "system".into(),
            Where::Organisation(o) => format!("organisation {}", self.organisations[o]),
            Where::Branch(b) => format!("branch {}", self.branches[b]),
            Where::User(u) => format!("user {}", self.users[u]),
        };
        match op {
            ValueOp::Set { place, key: k, value } => {
                format!("value set {} {} {value}", at(place), key(k))
            }
            ValueOp::Remove { place, key: k } => {
                format!("value remove {} {}", at(place), key(k))
            }
            ValueOp::InForce { user, key: k } => {
                format!("value in-force {} {}", self.users[user], key(k))
            }
            ValueOp::Count { place, credits } => {
                let credits = credits.map_or("-".into(), |credits| credits.to_string());
                format!("value count {} {credits}", at(place))
            }
            ValueOp::Spend { place, credits } => format!("value spend {} {credits}", at(place)),
            ValueOp::Add { place, credits } => format!("value add {} {credits}", at(place)),
        }
    }
}
