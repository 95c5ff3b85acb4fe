//! The other side: the same operations done to a store, each told and answered in one line of
//! text, so that another process can do them as well.

mod values;

use std::fmt::Debug;
use std::str::{FromStr, Split};
use std::time::Duration;

use chrono::{DateTime, Utc};
use gatepost::{
    DeviceId, EndSessions, Ended, Error, LogIn, ManualClock, NewApiKey, NewUser, OpenSession,
    OpenedSession, Password, PasswordChange, Store, UserKind, UserStatus,
};

use super::{BRANCHES, Expect, Found, ORGANISATIONS, Op, USERS};

/// A store that does what it is told, at the time that it is told.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
}

/// The words of a line, and the latest time that it begins with.
struct Words<'w>(Split<'w, char>, i64);

impl<'w> Words<'w> {
    fn text(&mut self) -> &'w str {
        self.0.next().unwrap()
    }

    fn some<T: FromStr<Err: Debug>>(&mut self) -> T {
        self.text().parse().unwrap()
    }

    fn any<T: FromStr<Err: Debug>>(&mut self) -> Option<T> {
        Some(self.text()).filter(|word| *word != "-").map(|word| word.parse().unwrap())
    }

    fn device(&mut self) -> Option<DeviceId> {
        Some(self.text()).filter(|word| *word != "-").map(|word| DeviceId::new(word).unwrap())
    }

    fn password(&mut self) -> Password {
        password(self.some())
    }

    fn minutes_on(&self, minutes: i64) -> DateTime<Utc> {
        time(self.1) + chrono::TimeDelta::minutes(minutes)
    }
}

fn password(number: u32) -> Password {
    Password::from(format!("brass bells {number}"))
}

impl Hands {
    /// Does what a line says at the time it begins with; of several, the store has seen all.
    pub(crate) fn act(&self, line: &str) -> String {
        let mut words = Words(line.split(' '), 0);
        for shown in words.text().split(':') {
            let shown = shown.parse().unwrap();
            words.1 = words.1.max(shown);
            self.clock.set(time(shown));
            // Counted as a refusal, which asks for the time.
            assert!(self.store.verify("", None).unwrap().valid().is_err());
        }
        let done = match words.text() {
            "key" => self.key(&mut words),
            "place" => self.place(&mut words),
            "session" => self.session(&mut words),
            "user" => self.user(&mut words),
            "value" => self.value(&mut words),
            verb => panic!("what is {verb}?"),
        };
        done.unwrap_or_else(|error| format!("failed {:?}", error.reason()))
    }

    fn session(&self, words: &mut Words<'_>) -> Result<String, Error> {
        let sessions = self.store.sessions();
        let done = match words.text() {
            "verify" => return self.verify(words.text(), words.device()),
            "open" => {
                let request = OpenSession::new(words.some(), words.device());
                let request = match words.any::<i64>() {
                    None => request,
                    Some(minutes) => request.expires_at(words.minutes_on(minutes)),
                };
                return Ok(match sessions.open(request)?.granted() {
                    Ok(reply) => opened(&reply.session),
                    Err(refusal) => format!("refused {}", refusal.name()),
                });
            }
            "login" => {
                let request = LogIn::new(words.text(), words.password(), words.device());
                let request = match words.any() {
                    None => request,
                    Some(new) => request.new_password(password(new)),
                };
                return Ok(match self.store.log_in(request)?.granted() {
                    Ok(reply) => opened(&reply.session),
                    Err(refusal) => format!("refused {}", refusal.name()),
                });
            }
            "change" => {
                let (token, device) = (words.text(), words.device());
                let (current, new) = (words.password(), words.password());
                let change = self.store.change_password(token, device.as_ref(), current, new)?;
                return Ok(match change {
                    PasswordChange::Changed(reply) => opened(&reply.session),
                    PasswordChange::Refused(refusal) => format!("refused {}", refusal.name()),
                    other => panic!("{other:?}"),
                });
            }
            "logout" => {
                return Ok(ended(self.store.log_out(words.text(), words.device().as_ref())?));
            }
            "end" => return Ok(ended(sessions.end(words.some())?)),
            "end-others" => {
                let (token, device) = (words.text(), words.device());
                let Ok(facts) = self.store.verify(token, device.as_ref())?.valid() else {
                    return Ok("refused".into());
                };
                sessions.end_others(&facts)
            }
            "end-user" => sessions.end_all_of(words.some()),
            "end-branch" => sessions.end_all_of_branch(words.some()),
            "end-organisation" => sessions.end_all_of_organisation(words.some()),
            "end-store" => sessions.end_all(),
            "maintain" => self.store.maintain().map(drop),
            "wait" => Ok(()),
            verb => panic!("what is {verb}?"),
        };
        done.map(|()| "done".into())
    }

    fn verify(&self, token: &str, device: Option<DeviceId>) -> Result<String, Error> {
        let Ok(facts) = self.store.verify(token, device.as_ref())?.valid() else {
            return Ok("refused".into());
        };
        let text = |id: Option<String>| id.unwrap_or_else(|| "-".into());
        Ok(format!(
            "valid {} {} {} {} {} {} {} {}",
            facts.user,
            text(facts.branch.map(|id| id.to_string())),
            text(facts.organisation.map(|id| id.to_string())),
            facts.kind == UserKind::System,
            facts.is_admin,
            facts.opened_at.timestamp_millis(),
            facts.authenticated_at.timestamp_millis(),
            text(facts.expires_at.map(|at| at.timestamp_millis().to_string())),
        ))
    }

    fn user(&self, words: &mut Words<'_>) -> Result<String, Error> {
        let users = self.store.users();
        let done = match words.text() {
            "person" => {
                let new = NewUser::person(words.text()).branch(words.any());
                return Ok(users.create(new)?.id.to_string());
            }
            "system" => {
                let new = NewUser::system(words.text()).branch(words.any());
                return Ok(users.create(new)?.id.to_string());
            }
            "status" => {
                let id = words.some();
                users.set_status(id, UserStatus::parse(words.text()).unwrap()).map(drop)
            }
            "delete" => users.delete(words.some()),
            "restore" => users.restore(words.some()).map(drop),
            "move" => users.move_to(words.some(), words.any()).map(drop),
            "password" => users.set_password(words.some(), words.password()),
            "no-password" => users.remove_password(words.some()).map(drop),
            "compromised" => users.mark_compromised(words.some()).map(drop),
            "demand" => {
                let id = words.some();
                let all = words.some::<bool>();
                let ends = if all { EndSessions::All } else { EndSessions::Keep };
                users.require_password_change(id, ends).map(drop)
            }
            "confirm" => users.confirm(words.some()).map(drop),
            "rename" => users.rename(words.some(), words.text()).map(drop),
            "email" => users.set_email(words.some(), Some(words.text())).map(drop),
            "admin" => {
                let id = words.some();
                let names: &[&str] = if words.some() { &["admin"] } else { &[] };
                users.set_privileges(id, names).map(drop)
            }
            "unlock" => users.unlock(words.some()).map(drop),
            "forget" => {
                let (id, device) = (words.some(), words.device().unwrap());
                self.store.devices().forget(id, &device).map(drop)
            }
            verb => panic!("what is {verb}?"),
        };
        done.map(|()| "done".into())
    }

    fn place(&self, words: &mut Words<'_>) -> Result<String, Error> {
        let (branches, organisations) = (self.store.branches(), self.store.organisations());
        let done = match words.text() {
            "organisation" => return Ok(organisations.create(words.text())?.id.to_string()),
            "branch" => {
                let (name, parent) = (words.text(), words.any());
                return Ok(branches.create(name, parent)?.id.to_string());
            }
            "move" => branches.move_to(words.some(), words.any()).map(drop),
            "branch-active" => branches.set_active(words.some(), words.some()).map(drop),
            "organisation-active" => {
                organisations.set_active(words.some(), words.some()).map(drop)
            }
            "delete-branch" => branches.delete(words.some()),
            "delete-organisation" => organisations.delete(words.some()),
            verb => panic!("what is {verb}?"),
        };
        done.map(|()| "done".into())
    }

    fn key(&self, words: &mut Words<'_>) -> Result<String, Error> {
        let keys = self.store.api_keys();
        let issued = match words.text() {
            "issue" => {
                let (user, minutes) = (words.some(), words.any());
                let end = minutes.map(|minutes| words.minutes_on(minutes));
                keys.issue(user, NewApiKey::new().expires_at(end))?
            }
            "reassign" => {
                let (user, minutes) = (words.some(), words.some::<u64>());
                keys.reassign(user, Duration::from_secs(60 * minutes))?
            }
            "revoke" => return keys.revoke(words.some()).map(|()| "done".into()),
            verb => panic!("what is {verb}?"),
        };
        let expiry = issued.expires_at.map_or("-".into(), |at| at.timestamp_millis().to_string());
        Ok(format!("issued {} {} {expiry}", issued.id, issued.key.expose()))
    }
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap()
}

fn opened(session: &OpenedSession) -> String {
    let expiry = session.expires_at.timestamp_millis();
    format!("opened {} {} {expiry}", session.id, session.token.expose())
}

fn ended(ended: Ended) -> String {
    match ended {
        Ended::Now => "now".into(),
        Ended::Before => "before".into(),
        other => panic!("{other:?}"),
    }
}

/// What the numbers of a history are called in a store.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    users: Vec<String>,
    branches: Vec<String>,
    organisations: Vec<String>,
    /// The handle and the text of each token.
    tokens: Vec<(String, String)>,
}

impl Names {
    /// Fills a store with the places and users of a history, apart from all others by a prefix.
    pub(crate) fn settle(prefix: &str, now: i64, act: &mut dyn FnMut(&str) -> String) -> Self {
        let mut create = |line: String| {
            let id = act(&format!("{now} {line}"));
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
        Self { prefix: prefix.into(), users, branches, organisations, tokens: Vec::new() }
    }

    fn of(list: &[String], number: Option<usize>) -> &str {
        number.map_or("-", |number| list[number].as_str())
    }

    fn device(&self, device: Option<usize>) -> String {
        device.map_or("-".into(), |device| format!("{}d{device}", self.prefix))
    }

    /// An operation as a line, but for the time.
    pub(crate) fn line(&self, op: Op) -> String {
        let user = |number: usize| self.users[number].as_str();
        let branch = |number: usize| self.branches[number].as_str();
        let organisation = |number: usize| self.organisations[number].as_str();
        let handle = |number: usize| self.tokens[number].0.as_str();
        let token = |number: usize| self.tokens[number].1.as_str();
        let any = |number: Option<i64>| number.map_or("-".into(), |n| n.to_string());
        let named = |u: usize, name: u32| format!("{}u{u}n{name}", self.prefix);
        match op {
            Op::Advance { .. } => "session wait".into(),
            Op::Maintain => "session maintain".into(),
            Op::Verify { token: t, device } => {
                format!("session verify {} {}", token(t), self.device(device))
            }
            Op::Open { user: u, device, minutes } => {
                let device = self.device(Some(device));
                format!("session open {} {device} {}", user(u), any(minutes))
            }
            Op::LogIn { user: u, name, password, new, device } => {
                let (name, device) = (named(u, name), self.device(Some(device)));
                format!("session login {name} {password} {device} {}", any(new.map(i64::from)))
            }
            Op::ChangePassword { token: t, device, password, new } => {
                format!("session change {} {} {password} {new}", token(t), self.device(device))
            }
            Op::LogOut { token: t, device } => {
                format!("session logout {} {}", token(t), self.device(device))
            }
            Op::End { token } => format!("session end {}", handle(token)),
            Op::EndOthers { token: t, device } => {
                format!("session end-others {} {}", token(t), self.device(device))
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
            Op::Reassign { user: u, minutes } => format!("key reassign {} {minutes}", user(u)),
            Op::Revoke { token } => format!("key revoke {}", handle(token)),
            Op::Value(op) => self.line_of_value(op),
            about_a_user => self.line_of_user(about_a_user),
        }
    }

    fn line_of_user(&self, op: Op) -> String {
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
            Op::SetPassword { user, new } => format!("user password {} {new}", id(user)),
            Op::RemovePassword { user } => format!("user no-password {}", id(user)),
            Op::Compromise { user } => format!("user compromised {}", id(user)),
            Op::DemandChange { user, all } => format!("user demand {} {all}", id(user)),
            Op::Confirm { user } => format!("user confirm {}", id(user)),
            Op::Rename { user, name } => {
                format!("user rename {} {}u{user}n{name}", id(user), self.prefix)
            }
            Op::SetEmail { user, number } => {
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
    pub(crate) fn hear(&mut self, expect: Expect, answer: &str) -> Result<(), String> {
        let opening = |kind: &str, expiry: Option<i64>| {
            let mut words = answer.split(' ');
            let expiry = expiry.map_or("-".into(), |expiry| expiry.to_string());
            let (found, id, token) = (words.next()?, words.next()?, words.next()?);
            (found == kind && words.next() == Some(&expiry)).then(|| (id.into(), token.into()))
        };
        let opened = match expect {
            Expect::Anything => return Ok(()),
            Expect::Opened(expiry) => opening("opened", Some(expiry)),
            Expect::Issued(expiry) => opening("issued", expiry),
            _ => None,
        };
        if let Some(token) = opened {
            self.tokens.push(token);
            return Ok(());
        }
        let wanted = match expect {
            Expect::Says(word) => word.into(),
            Expect::Refused(why) => format!("refused {why}"),
            Expect::Failed(why) => format!("failed {why}"),
            Expect::Verified(None) => "refused".into(),
            Expect::Value(value) => value.map_or("-".into(), |value| value.to_string()),
            Expect::Verified(Some(found)) => self.facts(&found),
            other => format!("{other:?}"),
        };
        if wanted == answer { Ok(()) } else { Err(format!("wanted {wanted}")) }
    }

    fn facts(&self, found: &Found) -> String {
        format!(
            "valid {} {} {} {} {} {} {} {}",
            self.users[found.user],
            Self::of(&self.branches, found.branch),
            Self::of(&self.organisations, found.organisation),
            found.system,
            found.admin,
            found.opened_at,
            found.authenticated_at,
            found.expires_at.map_or("-".into(), |at| at.to_string()),
        )
    }
}
