//! A writer: it opens sessions of its own users and ends them in every way there is.

use std::time::Duration;

use gatepost::{
    BranchId, NewUser, OpenSession, OrganisationId, SessionId, Store, UserId, UserStatus,
};

use super::board::{Board, Session, State};
use super::{Racer, insist};
use crate::child::Parent;
use crate::races::fleet::{Dice, Tally};
use crate::world::{HOUR, PASSWORD, device, morning};

/// Of each writer: three of them in its branch, one elsewhere.
const USERS: usize = 4;
/// Opened before anything is ended.
const FEW: usize = 6;
const MANY: usize = 24;

/// Takes so many steps in each round.
pub(super) fn write(parent: &mut Parent, racer: &Racer) {
    let mut writer = Writer::new(racer);
    while let Some(steps) = parent.hear() {
        // Between the rounds everything was ended.
        writer.live.clear();
        for _ in 0..steps.parse().unwrap() {
            writer.step();
        }
        parent.say(&writer.tally.line());
        writer.tally = Tally::default();
    }
}

/// A session as its writer knows it.
#[derive(Debug, Clone)]
struct Mine {
    slot: u64,
    id: SessionId,
    token: String,
    device: String,
    user: usize,
}

struct Writer {
    store: Store,
    board: Board,
    dice: Dice,
    tally: Tally,
    next: u64,
    organisation: OrganisationId,
    branch: BranchId,
    users: Vec<UserId>,
    live: Vec<Mine>,
}

impl Writer {
    fn new(racer: &Racer) -> Self {
        let store = racer.store(Duration::ZERO);
        let mut tally = Tally::default();
        let organisation = insist(&mut tally, || store.organisations().create("Northern")).id;
        let branch = insist(&mut tally, || store.branches().create("York", organisation)).id;
        let mut writer = Self {
            board: racer.board(),
            dice: racer.dice(0),
            tally,
            next: Board::first(racer.index),
            organisation,
            branch,
            users: Vec::new(),
            live: Vec::new(),
            store,
        };
        writer.users = (0..USERS).map(|user| writer.create(user)).collect();
        writer
    }

    fn create(&mut self, user: usize) -> UserId {
        let name = format!("u{}-{}-{}", std::process::id(), self.next, self.dice.below(1 << 40));
        let create = || {
            let new = NewUser::person(&name).password(PASSWORD.into());
            let new = if user + 1 < USERS { new.branch(self.branch) } else { new };
            self.store.users().create(new)
        };
        insist(&mut self.tally, create).id
    }

    fn step(&mut self) {
        let is_time = self.live.len() > FEW && self.dice.below(2) == 0;
        if is_time || self.live.len() >= MANY {
            self.end_some();
        } else {
            let user = self.dice.below(USERS);
            self.open(user, None);
        }
    }

    /// Opens a session, on a device of its own or on that of another.
    fn open(&mut self, user: usize, on: Option<String>) {
        let on = on.unwrap_or_else(|| format!("s{}", self.next));
        let is_brief = self.dice.below(8) == 0;
        let soon = u32::try_from(self.next % 100_000).unwrap();
        let until = morning() + HOUR + soon * Duration::from_millis(1);
        let request = || {
            let open = OpenSession::new(self.users[user], device(&on));
            if is_brief { open.expires_at(until) } else { open }
        };
        let opened = insist(&mut self.tally, || self.store.sessions().open(request()));
        let opened = opened.granted().unwrap().session;
        let token = opened.token.expose().to_owned();
        let (slot, id) = (self.next, opened.id.to_string());
        self.next += 1;
        let session = Session { slot, token: token.clone(), device: on.clone(), id };
        self.board.publish(&session, if is_brief { State::Brief } else { State::Live });
        self.tally.count("opened");
        if !is_brief {
            self.live.push(Mine { slot, id: opened.id, token, device: on, user });
        }
    }

    /// One row of what ends what.
    fn end_some(&mut self) {
        let at = self.dice.below(self.live.len());
        let one = self.live[at].clone();
        let (this, user) = (one.slot, one.user);
        let row = self.dice.below(16);
        match row {
            0..=2 => self.end_one(row, &one),
            3 => {
                let others = |mine: &Mine| mine.user == user && mine.slot != this;
                self.end(others, |store, _| {
                    let facts = store.verify(&one.token, &device(&one.device))?.valid().unwrap();
                    store.sessions().end_others(&facts)
                });
            }
            4..=8 => self.end_of_user(row, user, &one),
            9..=12 => self.end_of_place(row),
            13 => self.hand_over(&one, State::Typed),
            14 => self.hand_over(&one, State::Doomed),
            _ => {
                // Ends nothing.
                let id = self.users[user];
                insist(&mut self.tally, || self.store.users().set_privileges(id, &["admin"]));
                insist(&mut self.tally, || self.store.users().set_privileges(id, &["clerk"]));
            }
        }
    }

    fn end_one(&mut self, row: usize, one: &Mine) {
        match row {
            0 => self.end(
                |mine| mine.slot == one.slot,
                |store, _| store.log_out(&one.token, &device(&one.device)).map(drop),
            ),
            1 => self.end(
                |mine| mine.slot == one.slot,
                |store, _| store.sessions().end(one.id).map(drop),
            ),
            _ => {
                // The next session on the device takes its place.
                self.live.retain(|mine| mine.slot != one.slot);
                self.board.set(one.slot, State::Ending);
                self.open(one.user, Some(one.device.clone()));
                self.board.set(one.slot, State::Ended);
                self.tally.count("ended");
            }
        }
    }

    fn end_of_user(&mut self, row: usize, user: usize, one: &Mine) {
        let id = self.users[user];
        let whose = |mine: &Mine| mine.user == user;
        match row {
            4 => self.end(whose, |store, _| store.sessions().end_all_of(id)),
            5 => {
                self.end(whose, |store, _| {
                    store.users().set_status(id, UserStatus::Locked).map(drop)
                });
                let active = || self.store.users().set_status(id, UserStatus::Active);
                insist(&mut self.tally, active);
            }
            6 => {
                self.end(whose, |store, _| store.users().delete(id));
                self.users[user] = self.create(user);
            }
            7 => self.end(whose, |store, _| store.users().set_password(id, PASSWORD.into())),
            _ => {
                self.end(whose, |store, _| {
                    let (on, new) = (device(&one.device), "nine brass bells");
                    let changed =
                        store.change_password(&one.token, &on, PASSWORD.into(), new.into())?;
                    changed.changed().unwrap();
                    Ok(())
                });
                let again = || self.store.users().set_password(id, PASSWORD.into());
                insist(&mut self.tally, again);
            }
        }
    }

    fn end_of_place(&mut self, row: usize) {
        let (branch, organisation) = (self.branch, self.organisation);
        let here = |mine: &Mine| mine.user + 1 < USERS;
        match row {
            9 => self.end(here, |store, _| store.sessions().end_all_of_branch(branch)),
            10 => {
                self.end(here, |store, _| store.sessions().end_all_of_organisation(organisation))
            }
            11 => {
                self.end(here, |store, _| store.branches().set_active(branch, false).map(drop));
                insist(&mut self.tally, || self.store.branches().set_active(branch, true));
            }
            _ => {
                self.end(here, |store, _| {
                    store.organisations().set_active(organisation, false).map(drop)
                });
                let active = || self.store.organisations().set_active(organisation, true);
                insist(&mut self.tally, active);
            }
        }
    }

    /// Says what is about to end, ends it, and says that it has ended once that was acknowledged.
    fn end(
        &mut self,
        which: impl Fn(&Mine) -> bool,
        deed: impl Fn(&Store, &[Mine]) -> Result<(), gatepost::Error>,
    ) {
        let (ended, live) = self.live.drain(..).partition::<Vec<_>, _>(|mine| which(mine));
        self.live = live;
        ended.iter().for_each(|mine| self.board.set(mine.slot, State::Ending));
        insist(&mut self.tally, || deed(&self.store, &ended));
        ended.iter().for_each(|mine| self.board.set(mine.slot, State::Ended));
        self.tally.add("ended", u64::try_from(ended.len()).unwrap());
    }

    /// Leaves it to another process to end.
    fn hand_over(&mut self, one: &Mine, state: State) {
        self.live.retain(|mine| mine.slot != one.slot);
        self.board.set(one.slot, state);
    }
}
