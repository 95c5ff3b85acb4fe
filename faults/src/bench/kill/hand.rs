//! What one thread asked for, and the answers that it had.

use std::path::Path;

use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::sessions::SessionFilter;
use gatepost::{BranchId, OpenedSession, Page, SessionId, Store, Subtree, UserId};

use crate::dice::Dice;
use crate::store::{PASSWORD, number, passes, sql};

/// So many ended sessions are still presented.
const ENDED_KEPT: usize = 24;

/// All answers that one thread has had. No other thread changes the rows that they are about.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(super) n: usize,
    pub(super) user: UserId,
    pub(super) branch: BranchId,
    /// The operation that has no answer yet.
    asked: Option<String>,
    /// Raised by every operation, so that no two name the same thing.
    serial: u64,
    sessions: Vec<Session>,
    /// Sessions whose token was never returned.
    nameless: i64,
    pub(super) key: Option<String>,
    old_keys: Vec<String>,
    /// How often the password was set.
    passwords: i64,
    pub(super) setting: u64,
    pub(super) credits: u64,
    active: bool,
    /// The user made last, by the serial in its name, and whether it is there.
    made: Option<(u64, bool)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(super) id: SessionId,
    pub(super) token: String,
    pub(super) on: String,
    live: bool,
}

impl Hand {
    /// Without sessions and keys, for the user and the branch of these ids.
    pub(crate) fn new(n: usize, ids: &str) -> Self {
        let (user, branch) = ids.split_once(' ').unwrap();
        Self {
            n,
            user: user.parse().unwrap(),
            branch: branch.parse().unwrap(),
            asked: None,
            serial: 0,
            sessions: Vec::new(),
            nameless: 0,
            key: None,
            old_keys: Vec::new(),
            passwords: 1,
            setting: 0,
            credits: 0,
            active: true,
            made: None,
        }
    }

    /// An operation that can be done now, and the number of the session that it is about.
    pub(crate) fn chooses(&self, dice: &mut Dice) -> String {
        let live = self.live().count();
        let made = matches!(self.made, Some((_, true)));
        let operation = match dice.below(24) {
            _ if !self.active => "activate",
            0..4 => "log_in",
            4..6 => "open",
            6..11 if live > 0 => "log_out",
            11 if live > 0 => "end",
            12 => "end_all",
            13 if live > 0 => "change",
            14 => "set_password",
            15..18 => "set",
            18..20 => "add",
            20 => "rotate",
            21 => "disable",
            22 if made => "delete",
            22 | 23 => "create",
            _ => "set",
        };
        format!("{operation} {}", dice.below(live.max(1)))
    }

    pub(crate) fn asks(&mut self, operation: &str) {
        self.serial += 1;
        self.asked = Some(operation.to_owned());
    }

    /// The operation that was asked for.
    pub(crate) fn operation(&self) -> &str {
        self.asked.as_deref().and_then(|asked| asked.split(' ').next()).unwrap()
    }

    /// The session that it is about.
    pub(crate) fn session(&self) -> &Session {
        self.live().nth(self.which()).unwrap()
    }

    /// Takes the answer; it is empty if only the file shows that the operation is done.
    pub(crate) fn answered(&mut self, answer: &str) {
        let (on, which) = (self.fresh_device(), self.which());
        match self.operation() {
            "log_in" | "open" => self.opened(answer, on),
            "log_out" | "end" => {
                let live = self.sessions.iter_mut().filter(|session| session.live);
                live.skip(which).take(1).for_each(|session| session.live = false);
            }
            "end_all" => self.all_ended(),
            "change" => {
                let on = self.session().on.clone();
                self.all_ended();
                self.passwords += 1;
                self.opened(answer, on);
            }
            "set_password" => {
                self.all_ended();
                self.passwords += 1;
            }
            "set" => self.setting += 1,
            "add" => self.credits += 7,
            "rotate" => {
                self.old_keys.extend(self.key.take());
                // Empty if its text was never returned.
                self.key = Some(answer.to_owned());
            }
            "disable" => {
                self.all_ended();
                self.active = false;
            }
            "activate" => self.active = true,
            "create" => self.made = Some((self.serial, true)),
            "delete" => self.made = self.made.map(|(serial, _)| (serial, false)),
            other => panic!("{other}"),
        }
        self.asked = None;
        self.forget();
    }

    /// The hand as it is if the last operation was done; `None` if no operation is unanswered.
    pub(crate) fn if_done(&self) -> Option<Self> {
        self.asked.as_ref()?;
        let mut done = self.clone();
        done.was_done();
        Some(done)
    }

    /// It was done, although it was never answered.
    pub(crate) fn was_done(&mut self) {
        self.answered("");
    }

    pub(crate) fn was_undone(&mut self) {
        self.asked = None;
    }

    /// Whether the file says the same; what it lost or brought back otherwise.
    pub(crate) fn holds(&self, store: &Store, path: &Path) -> Result<(), String> {
        for session in &self.sessions {
            let is = passes(store, &session.token, Some(&session.on));
            equal("a token passes", is.into(), session.live.into())?;
        }
        let rows = store
            .sessions()
            .list(&SessionFilter::new().under(self.user), Page::default())
            .unwrap()
            .len();
        equal("sessions", rows as i64, self.live().count() as i64 + self.nameless)?;
        let user = store.users().find(self.user).unwrap().unwrap();
        equal("active", (user.status == UserStatus::Active).into(), self.active.into())?;
        let old = self.old_keys.iter().rev().take(ENDED_KEPT).map(|key| (key, false));
        for (key, holds) in self.key.iter().map(|key| (key, self.active)).chain(old) {
            if !key.is_empty() {
                equal("a key passes", passes(store, key, None).into(), holds.into())?;
            }
        }
        let keys = store.api_keys().list(self.user).unwrap().len();
        equal("keys", keys as i64, self.key.is_some().into())?;
        let setting = store.configuration().get(Subtree::User(self.user), SETTING).unwrap();
        let setting = setting.map_or(0, |setting| setting.value.parse().unwrap());
        equal("setting", setting, self.setting as i64)?;
        let credits = store.credits().remaining(CreditHolder::Branch(self.branch)).unwrap();
        equal("credits", credits.unwrap() as i64, self.credits as i64)?;
        let versions = "SELECT c.version FROM credential AS c JOIN user AS u ON u.id = c.user_id
            WHERE u.username = 'hand' || ";
        let version = number(&sql(path), &format!("{versions}{}", self.n));
        equal("passwords", version, self.passwords)?;
        if let Some((serial, there)) = self.made {
            let made = store.users().find_by_username(&self.made_name(serial)).unwrap();
            equal("made", made.is_some().into(), there.into())?;
        }
        Ok(())
    }

    /// A device that no other operation uses.
    pub(crate) fn fresh_device(&self) -> String {
        format!("device {} of hand {}", self.serial, self.n)
    }

    /// The password in force, and the next.
    pub(crate) fn passwords(&self) -> [String; 2] {
        [self.passwords, self.passwords + 1].map(|n| match n {
            1 => PASSWORD.to_owned(),
            n => format!("{PASSWORD} {n}"),
        })
    }

    /// The name of the user to be made now, and of the one that is there.
    pub(crate) fn made_names(&self) -> [String; 2] {
        [self.serial, self.made.map_or(0, |(serial, _)| serial)].map(|n| self.made_name(n))
    }

    fn made_name(&self, serial: u64) -> String {
        format!("made{}-{serial}", self.n)
    }

    fn opened(&mut self, answer: &str, on: String) {
        match answer.split_once(' ') {
            Some((id, token)) => {
                let (id, token) = (id.parse().unwrap(), token.to_owned());
                self.sessions.push(Session { id, token, on, live: true });
            }
            None => self.nameless += 1,
        }
    }

    fn all_ended(&mut self) {
        self.sessions.iter_mut().for_each(|session| session.live = false);
        self.nameless = 0;
    }

    fn forget(&mut self) {
        let ended = self.sessions.iter().filter(|session| !session.live).count();
        let mut surplus = ended.saturating_sub(ENDED_KEPT);
        self.sessions.retain(|session| {
            let goes = !session.live && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn live(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.live)
    }

    fn which(&self) -> usize {
        let asked = self.asked.as_deref().unwrap();
        asked.split_once(' ').map_or(0, |(_, which)| which.parse().unwrap())
    }
}

/// The key of the setting that a hand counts up.
pub(crate) const SETTING: &str = "hand.setting";

/// What was opened, as [`Hand::answered`] wants to hear it.
pub(crate) fn spoken(session: &OpenedSession) -> String {
    format!("{} {}", session.id, session.token.expose())
}

fn equal(what: &str, is: i64, answered: i64) -> Result<(), String> {
    if is == answered {
        Ok(())
    } else {
        Err(format!("{what}: {is}, and the answer was {answered}"))
    }
}
