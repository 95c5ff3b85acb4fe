//! The other side: the same operations done to a store, each asked for and answered in one line of
//! text, so that another process can do them as well.

mod values;

use std::fmt::Debug;
use std::str::{FromStr, Split};
use std::time::Duration;

use gatepost::directory::{UserKind, UserStatus};
use gatepost::host::ManualClock;
use gatepost::sessions::{NewApiKey, OpenSession, RevokeSessions};
use gatepost::{
    BranchId, DeviceId, Ended, Error, LoginOutcome, LoginRequest, NewUser, OpenedSession,
    OrganisationId, Password, Permission, Store, Subtree, Timestamp, UserId,
};

/// A store that does what each line says, at the time that the line says.
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

    fn minutes_on(&self, minutes: i64) -> Timestamp {
        time(self.1) + Duration::from_secs(minutes as u64 * 60)
    }
}

fn password(number: u32) -> Password {
    Password::from(format!("brass bells {number}"))
}

impl Hands {
    /// Does what a line says at the time that it begins with; the store has seen all earlier times.
    pub(crate) fn act(&self, line: &str) -> String {
        let mut words = Words(line.split(' '), 0);
        for shown in words.text().split(':') {
            let shown = shown.parse().unwrap();
            words.1 = words.1.max(shown);
            self.clock.set(time(shown));
            // Counted as a refusal, which asks for the time.
            assert!(self.store.verify(("", None)).unwrap().valid().is_err());
        }
        let done = match words.text() {
            "key" => self.key(&mut words),
            "place" => self.place(&mut words),
            "session" => self.session(&mut words),
            "user" => self.user(&mut words),
            "value" => self.value(&mut words),
            verb => panic!("what is {verb}?"),
        };
        done.unwrap_or_else(|error| format!("failed {:?}", error.kind()))
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
                let request = LoginRequest::new(words.text(), words.password(), words.device());
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
                let change = self.store.change_password((token, device.as_ref()), current, new)?;
                return Ok(match change {
                    LoginOutcome::Granted(reply) => opened(&reply.session),
                    LoginOutcome::Refused(refusal) => format!("refused {}", refusal.name()),
                    other => panic!("{other:?}"),
                });
            }
            "renew" => {
                let (token, device) = (words.text(), words.device());
                return Ok(match self.store.renew((token, device.as_ref()))?.valid() {
                    Ok(expires_at) => format!("renewed {}", expires_at.as_millis()),
                    Err(_) => "refused".into(),
                });
            }
            "logout" => {
                return Ok(ended(self.store.log_out((words.text(), words.device().as_ref()))?));
            }
            "end" => return Ok(ended(sessions.revoke(words.some())?)),
            "end-others" => {
                let (token, device) = (words.text(), words.device());
                let Ok(principal) = self.store.verify((token, device.as_ref()))?.valid() else {
                    return Ok("refused".into());
                };
                sessions.revoke_others(&principal)
            }
            "end-user" => sessions.revoke_all(words.some::<UserId>()),
            "end-branch" => sessions.revoke_all(words.some::<BranchId>()),
            "end-organisation" => sessions.revoke_all(words.some::<OrganisationId>()),
            "end-store" => sessions.revoke_all(Subtree::Store),
            "maintain" => self.store.maintain().map(drop),
            "wait" => Ok(()),
            verb => panic!("what is {verb}?"),
        };
        done.map(|()| "done".into())
    }

    fn verify(&self, token: &str, device: Option<DeviceId>) -> Result<String, Error> {
        let Ok(principal) = self.store.verify((token, device.as_ref()))?.valid() else {
            return Ok("refused".into());
        };
        let text = |id: Option<String>| id.unwrap_or_else(|| "-".into());
        let expect = if principal.is_admin { Permission::Granted } else { Permission::Denied };
        assert_eq!(self.store.may(&principal, "admin")?, expect, "after a verify that passed");
        Ok(format!(
            "valid {} {} {} {} {} {} {} {}",
            principal.user,
            text(principal.branch.map(|id| id.to_string())),
            text(principal.organisation.map(|id| id.to_string())),
            principal.kind == UserKind::System,
            principal.is_admin,
            principal.opened_at.as_millis(),
            principal.authenticated_at.as_millis(),
            text(principal.expires_at.map(|at| at.as_millis().to_string())),
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
                let ends = if all { RevokeSessions::All } else { RevokeSessions::Keep };
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
                return self.store.devices().forget(id, &device).map(|known| known.to_string());
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
            "attenuate" => {
                let (token, device) = (words.text(), words.device());
                let end = words.any().map(|minutes| words.minutes_on(minutes));
                let Ok(parent) = self.store.verify((token, device.as_ref()))?.valid() else {
                    return Ok("refused".into());
                };
                keys.attenuate(&parent, NewApiKey::new().expires_at(end))?
            }
            "rotate" => {
                let (old, minutes) = (words.some(), words.some::<u64>());
                keys.rotate(old, Duration::from_secs(60 * minutes))?
            }
            "revoke" => return keys.revoke(words.some()).map(|()| "done".into()),
            "revoke_all" => return keys.revoke_all(words.some()).map(|()| "done".into()),
            verb => panic!("what is {verb}?"),
        };
        let expiry = issued.expires_at.map_or("-".into(), |at| at.as_millis().to_string());
        Ok(format!("issued {} {} {expiry}", issued.id, issued.key.expose()))
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn opened(session: &OpenedSession) -> String {
    let expiry = session.expires_at.as_millis();
    format!("opened {} {} {expiry}", session.id, session.token.expose())
}

fn ended(ended: Ended) -> String {
    match ended {
        Ended::Now => "now".into(),
        Ended::Before => "before".into(),
    }
}
