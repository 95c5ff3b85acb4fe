//! A writer: it opens sessions and keys of its own users, and hands them on to be ended (`rows`).

use std::time::Duration;

use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{ApiKeyId, BranchId, NewUser, OrganisationId, SessionId, Store, UserId};

use super::board::{Board, MADE, NO_DEVICE, Session, State};
use super::{Racer, insist};
use crate::child::Parent;
use crate::races::fleet::{Dice, Tally};
use crate::world::{HOUR, PASSWORD, device, morning};

/// Of each writer: three of them in its branch, one elsewhere, without keys.
pub(super) const USERS: usize = 4;
/// Opened before anything is ended.
const FEW: usize = 6;
const MANY: usize = 24;

/// Takes so many steps in each round.
pub(super) fn write(parent: &mut Parent, racer: &Racer) {
    let mut writer = Writer::new(racer);
    while let Some(steps) = parent.hear() {
        // Between the rounds every session was ended.
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
pub(super) struct Mine {
    pub(super) slot: u64,
    pub(super) id: SessionId,
    pub(super) token: String,
    pub(super) device: String,
    pub(super) user: usize,
}

/// A key of a user, suspended with it and with its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) slot: u64,
    pub(super) id: ApiKeyId,
    pub(super) user: usize,
    /// How often it was suspended.
    pub(super) turn: u8,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) board: Board,
    pub(super) dice: Dice,
    pub(super) tally: Tally,
    pub(super) next: u64,
    pub(super) organisation: OrganisationId,
    pub(super) branch: BranchId,
    /// A branch in which nothing is ever revoked.
    pub(super) quiet: BranchId,
    /// A branch that is moved, and in which no user is: leaving an organisation takes along what
    /// was ended there, so it is not the one in which nothing is ever ended.
    pub(super) moved: BranchId,
    pub(super) users: Vec<UserId>,
    pub(super) names: Vec<String>,
    pub(super) live: Vec<Mine>,
    pub(super) keys: Vec<Key>,
    /// The rows that were not yet drawn.
    pub(super) deck: Vec<usize>,
}

impl Writer {
    fn new(racer: &Racer) -> Self {
        let store = racer.store(Duration::ZERO);
        let mut tally = Tally::default();
        let organisation = insist(&mut tally, || store.organisations().create("Northern")).id;
        let branch = insist(&mut tally, || store.branches().create("York", organisation)).id;
        let quiet = insist(&mut tally, || store.branches().create("Leeds", None)).id;
        let moved = insist(&mut tally, || store.branches().create("Hull", None)).id;
        let mut writer = Self {
            board: racer.board(),
            dice: racer.dice(0),
            tally,
            next: Board::first(racer.index),
            organisation,
            branch,
            quiet,
            moved,
            users: Vec::new(),
            names: vec![String::new(); USERS],
            live: Vec::new(),
            keys: Vec::new(),
            deck: Vec::new(),
            store,
        };
        writer.users = (0..USERS).map(|user| writer.create(user)).collect();
        (0..USERS - 1).for_each(|user| writer.issue(user));
        writer
    }

    pub(super) fn create(&mut self, user: usize) -> UserId {
        let name = format!("u{}-{}-{}", std::process::id(), self.next, self.dice.below(1 << 40));
        let create = || {
            let new = NewUser::person(name.as_str()).password(PASSWORD.into());
            let new = if user + 1 < USERS { new.branch(self.branch) } else { new };
            self.store.users().create(new)
        };
        let id = insist(&mut self.tally, create).id;
        self.names[user] = name;
        id
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
    pub(super) fn open(&mut self, user: usize, on: Option<String>) {
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
            self.attenuate(&token, Some(&on));
            self.live.push(Mine { slot, id: opened.id, token, device: on, user });
        }
    }

    /// Makes a key from the session or key that was published last, in the next place.
    fn attenuate(&mut self, token: &str, on: Option<&str>) {
        let of_device = if on.is_some() { MADE } else { NO_DEVICE };
        let on = on.map(device);
        let verdict = insist(&mut self.tally, || self.store.verify((token, on.as_ref())));
        let principal = verdict.valid().unwrap();
        let keys = self.store.api_keys();
        let key = insist(&mut self.tally, || keys.attenuate(&principal, NewApiKey::new()));
        let (slot, token) = (self.next, key.key.expose().to_owned());
        self.next += 1;
        let key = Session { slot, token, device: of_device.to_owned(), id: key.id.to_string() };
        self.board.publish(&key, State::Live);
        self.tally.count("attenuated");
    }

    pub(super) fn issue(&mut self, user: usize) {
        let id = self.users[user];
        let key = insist(&mut self.tally, || self.store.api_keys().issue(id, NewApiKey::new()));
        self.publish_key(user, key.id, key.key.expose());
    }

    pub(super) fn publish_key(&mut self, user: usize, id: ApiKeyId, token: &str) {
        let slot = self.next;
        self.next += 1;
        let (token, device, name) = (token.to_owned(), NO_DEVICE.to_owned(), id.to_string());
        let session = Session { slot, token, device, id: name };
        self.board.publish(&session, State::Live);
        self.tally.count("issued");
        self.attenuate(&session.token, None);
        self.keys.push(Key { slot, id, user, turn: 0 });
    }
}
