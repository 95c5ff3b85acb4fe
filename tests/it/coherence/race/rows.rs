//! Each row of what ends what, done by a writer to sessions and keys of its own.

use std::time::Duration;

use gatepost::{EndSessions, LogIn, Store, UserStatus};

use super::board::State;
use super::ends::{Key, Mine, USERS, Writer};
use super::insist;
use crate::world::{PASSWORD, device};

type Deed = fn(&mut Writer, &Mine);

/// The rows, each with what is done: to this session, to those of its user, to those of the branch.
/// The last ones end nothing.
pub(super) const ROWS: &[(&str, Deed)] = &[
    ("logout", log_out),
    ("ended", end),
    ("replaced-on-its-device", replace),
    ("others-ended", end_others),
    ("user-ended", |writer, one| {
        writer.end_of_user(one, |store, id| store.sessions().end_all_of(id));
    }),
    ("password-set", set_password),
    ("password-changed", change_password),
    ("password-removed", remove_password),
    ("compromised", mark_compromised),
    ("change-demanded", demand_change),
    ("confirmed", confirm),
    ("locked", |writer, one| writer.turn_away(one, UserStatus::Locked)),
    ("disabled", |writer, one| writer.turn_away(one, UserStatus::Disabled)),
    ("deleted", delete),
    ("branch-ended", |writer, _| {
        let branch = writer.branch;
        writer.end(is_here, |store| store.sessions().end_all_of_branch(branch));
    }),
    ("organisation-ended", |writer, _| {
        let organisation = writer.organisation;
        writer.end(is_here, |store| store.sessions().end_all_of_organisation(organisation));
    }),
    ("branch-off", |writer, _| {
        let branch = writer.branch;
        writer.suspend(
            is_here,
            |key| is_in_branch(key.user),
            |store, active| store.branches().set_active(branch, active).map(drop),
        );
    }),
    ("organisation-off", |writer, _| {
        let organisation = writer.organisation;
        writer.suspend(
            is_here,
            |key| is_in_branch(key.user),
            |store, active| store.organisations().set_active(organisation, active).map(drop),
        );
    }),
    ("key-revoked", |writer, one| writer.end_key(one.user, |_| None)),
    ("key-reassigned", |writer, one| {
        let user = writer.users[one.user];
        writer.end_key(one.user, |store| Some(store.api_keys().reassign(user, Duration::ZERO)));
    }),
    ("typed", |writer, one| writer.hand_over(one, State::Typed)),
    ("ended-by-one-who-is-killed", |writer, one| writer.hand_over(one, State::Doomed)),
    ("nothing-privileges", |writer, one| {
        writer.changes_nothing(one, |store, id| {
            store.users().set_privileges(id, &["admin"])?;
            store.users().set_privileges(id, &["clerk"]).map(drop)
        });
    }),
    ("nothing-renamed", rename),
    ("nothing-moved", move_about),
    ("nothing-guessed", guess),
    ("nothing-change-demanded", |writer, one| {
        writer.changes_nothing(one, |store, id| {
            store.users().require_password_change(id, EndSessions::Keep).map(drop)?;
            Ok(())
        });
    }),
];

fn is_here(mine: &Mine) -> bool {
    is_in_branch(mine.user)
}

fn is_in_branch(user: usize) -> bool {
    user + 1 < USERS
}

fn log_out(writer: &mut Writer, one: &Mine) {
    let is_one = |mine: &Mine| mine.slot == one.slot;
    writer.end(is_one, |store| store.log_out(&one.token, &device(&one.device)).map(drop));
}

fn end(writer: &mut Writer, one: &Mine) {
    let is_one = |mine: &Mine| mine.slot == one.slot;
    writer.end(is_one, |store| store.sessions().end(one.id).map(drop));
}

/// The next session on the device takes its place.
fn replace(writer: &mut Writer, one: &Mine) {
    writer.live.retain(|mine| mine.slot != one.slot);
    writer.board.set(one.slot, State::Ending);
    writer.open(one.user, Some(one.device.clone()));
    writer.board.set(one.slot, State::Ended);
    writer.tally.count("ended");
}

fn end_others(writer: &mut Writer, one: &Mine) {
    let others = |mine: &Mine| mine.user == one.user && mine.slot != one.slot;
    writer.end(others, |store| {
        let facts = store.verify(&one.token, &device(&one.device))?.valid().unwrap();
        store.sessions().end_others(&facts)
    });
}

fn set_password(writer: &mut Writer, one: &Mine) {
    writer.end_of_user(one, |store, id| store.users().set_password(id, PASSWORD.into()));
}

/// The session that goes on has a new token, which nobody is told.
fn change_password(writer: &mut Writer, one: &Mine) {
    writer.end_of_user(one, |store, _| {
        let (on, new) = (device(&one.device), "nine brass bells");
        let changed = store.change_password(&one.token, &on, PASSWORD.into(), new.into())?;
        changed.changed().unwrap();
        Ok(())
    });
    set_password(writer, one);
}

fn remove_password(writer: &mut Writer, one: &Mine) {
    writer.end_of_user(one, |store, id| store.users().remove_password(id).map(drop));
    set_password(writer, one);
}

fn mark_compromised(writer: &mut Writer, one: &Mine) {
    writer.end_of_user(one, |store, id| store.users().mark_compromised(id).map(drop));
    set_password(writer, one);
}

fn demand_change(writer: &mut Writer, one: &Mine) {
    writer.end_of_user(one, |store, id| {
        store.users().require_password_change(id, EndSessions::All).map(drop)
    });
    set_password(writer, one);
}

/// Ends what was opened before anybody had confirmed the account.
fn confirm(writer: &mut Writer, one: &Mine) {
    delete(writer, one);
    writer.open(one.user, None);
    let newest = writer.live.last().cloned().filter(|mine| mine.user == one.user);
    if let Some(newest) = newest {
        writer.end_of_user(&newest, |store, id| store.users().confirm(id).map(drop));
    }
}

fn delete(writer: &mut Writer, one: &Mine) {
    let user = one.user;
    let keys: Vec<Key> = writer.keys.extract_if(.., |key| key.user == user).collect();
    keys.iter().for_each(|key| writer.board.set(key.slot, State::Ending));
    writer.end_of_user(one, |store, id| store.users().delete(id));
    keys.iter().for_each(|key| writer.board.set(key.slot, State::Ended));
    writer.users[user] = writer.create(user);
    if is_in_branch(user) {
        writer.issue(user);
    }
}

fn rename(writer: &mut Writer, one: &Mine) {
    let name = format!("{}x", writer.names[one.user]);
    let new = if name.len() > 120 { name.trim_end_matches('x').to_owned() } else { name };
    writer.changes_nothing(one, |store, id| {
        store.users().rename(id, &new)?;
        store.users().set_email(id, Some(&format!("{new}@example.org"))).map(drop)
    });
    writer.names[one.user] = new;
}

/// To where nothing was ever ended, and back; with the branch itself, too.
fn move_about(writer: &mut Writer, one: &Mine) {
    let (quiet, organisation) = (writer.quiet, writer.organisation);
    if !is_in_branch(one.user) {
        writer.changes_nothing(one, |store, id| {
            store.users().move_to(id, quiet)?;
            store.users().move_to(id, None).map(drop)
        });
    }
    writer.changes_nothing(one, |store, _| {
        store.branches().move_to(quiet, organisation)?;
        store.branches().move_to(quiet, None).map(drop)
    });
}

/// A stranger who fails logs nobody out.
fn guess(writer: &mut Writer, one: &Mine) {
    let name = writer.names[one.user].clone();
    writer.changes_nothing(one, |store, id| {
        for _ in 0..6 {
            let login = LogIn::new(name.as_str(), "a wrong one".into(), device("a stranger's"));
            assert!(store.log_in(login)?.granted().is_err());
        }
        store.users().unlock(id).map(drop)
    });
}

impl Writer {
    /// One row of what ends what: each as often as any other, in an order of chance.
    pub(super) fn end_some(&mut self) {
        let one = self.live[self.dice.below(self.live.len())].clone();
        if self.deck.is_empty() {
            self.deck = (0..ROWS.len()).collect();
        }
        let drawn = self.dice.below(self.deck.len());
        let (name, deed) = ROWS[self.deck.swap_remove(drawn)];
        deed(self, &one);
        self.tally.count(name);
    }

    fn end_of_user(
        &mut self,
        one: &Mine,
        deed: impl Fn(&Store, gatepost::UserId) -> Result<(), gatepost::Error>,
    ) {
        let id = self.users[one.user];
        self.end(|mine| mine.user == one.user, |store| deed(store, id));
    }

    fn changes_nothing(
        &mut self,
        one: &Mine,
        deed: impl Fn(&Store, gatepost::UserId) -> Result<(), gatepost::Error>,
    ) {
        let id = self.users[one.user];
        insist(&mut self.tally, || deed(&self.store, id));
    }

    fn turn_away(&mut self, one: &Mine, status: UserStatus) {
        let (user, id) = (one.user, self.users[one.user]);
        let whose = move |mine: &Mine| mine.user == user;
        self.suspend(
            whose,
            |key| key.user == user,
            |store, active| {
                let status = if active { UserStatus::Active } else { status };
                store.users().set_status(id, status).map(drop)
            },
        );
    }

    /// Ends the sessions and suspends the keys, and then lets the keys be good again.
    fn suspend(
        &mut self,
        sessions: impl Fn(&Mine) -> bool,
        keys: impl Fn(&Key) -> bool,
        set_active: impl Fn(&Store, bool) -> Result<(), gatepost::Error>,
    ) {
        let mut suspended: Vec<Key> = self.keys.extract_if(.., |key| keys(key)).collect();
        let mark = |board: &super::board::Board, keys: &[Key], state| {
            keys.iter().for_each(|key| board.set_in_turn(key.slot, state, key.turn));
        };
        mark(&self.board, &suspended, State::Ending);
        self.end(sessions, |store| set_active(store, false));
        mark(&self.board, &suspended, State::Ended);
        suspended.iter_mut().for_each(|key| key.turn = (key.turn + 1) % 32);
        mark(&self.board, &suspended, State::Ending);
        insist(&mut self.tally, || set_active(&self.store, true));
        mark(&self.board, &suspended, State::Live);
        self.tally.add("suspended", u64::try_from(suspended.len()).unwrap());
        self.keys.append(&mut suspended);
    }

    /// Ends the key of a user: by what is given, which answers with the next one, or by revoking.
    fn end_key(
        &mut self,
        user: usize,
        reassign: impl Fn(&Store) -> Option<Result<gatepost::IssuedApiKey, gatepost::Error>>,
    ) {
        let Some(at) = self.keys.iter().position(|key| key.user == user) else { return };
        let key = self.keys.remove(at);
        self.board.set(key.slot, State::Ending);
        let next = insist(&mut self.tally, || match reassign(&self.store) {
            Some(next) => next.map(Some),
            None => self.store.api_keys().revoke(key.id).map(|()| None),
        });
        self.board.set(key.slot, State::Ended);
        self.tally.count("ended");
        match next {
            Some(next) => self.publish_key(user, next.id, next.key.expose()),
            None => self.issue(user),
        }
    }

    /// Says what is about to end, ends it, and says that it has ended once that was acknowledged.
    fn end(
        &mut self,
        which: impl Fn(&Mine) -> bool,
        deed: impl Fn(&Store) -> Result<(), gatepost::Error>,
    ) {
        let (ended, live) = self.live.drain(..).partition::<Vec<_>, _>(|mine| which(mine));
        self.live = live;
        ended.iter().for_each(|mine| self.board.set(mine.slot, State::Ending));
        insist(&mut self.tally, || deed(&self.store));
        ended.iter().for_each(|mine| self.board.set(mine.slot, State::Ended));
        self.tally.add("ended", u64::try_from(ended.len()).unwrap());
    }

    /// Leaves it to another process to end.
    fn hand_over(&mut self, one: &Mine, state: State) {
        self.live.retain(|mine| mine.slot != one.slot);
        self.board.set(one.slot, state);
    }
}
