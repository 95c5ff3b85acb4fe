//! Each row of the list of operations that revokes, or must not, done by a writer to sessions and
//! keys of its own. The list says what is revoked, and the writer puts it on the board.

use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::sessions::{IssuedApiKey, RevokeSessions};
use gatepost::{Error, LoginRequest, Store, UserId};

use super::board::{Board, State, made};
use super::ends::{Key, Mine, USERS, Writer};
use super::insist;
use crate::operations::{OPERATIONS, Operation, Reach, Relation, operation};
use crate::world::{PASSWORD, device};

/// Does it to this session, its user or the branch; the last word is the operation's name.
type Row = fn(&mut Writer, &Mine, &str);

#[rustfmt::skip]
pub(super) const ROWS: &[(&str, Row)] = &[
    ("Store::log_out", |w, one, name| {
        let (token, on) = (&one.token, device(&one.device));
        w.revoke(name, one, |store, _| store.log_out((token, &on)).map(drop));
    }),
    ("Sessions::revoke", |w, one, name| {
        w.revoke(name, one, |store, _| store.sessions().revoke(one.id).map(drop));
    }),
    ("Sessions::open(on the device of a session)", replace),
    ("Sessions::revoke_others", |w, one, name| {
        w.revoke(name, one, |store, _| {
            let principal = store.verify((&one.token, &device(&one.device)))?.valid().unwrap();
            store.sessions().revoke_others(&principal)
        });
    }),
    ("Sessions::revoke_all(user)", |w, one, name| {
        w.revoke(name, one, |store, id| store.sessions().revoke_all(id));
    }),
    ("Sessions::revoke_all(branch)", |w, one, name| {
        let branch = w.branch;
        w.revoke(name, one, |store, _| store.sessions().revoke_all(branch));
    }),
    ("Sessions::revoke_all(organisation)", |w, one, name| {
        let organisation = w.organisation;
        w.revoke(name, one, |store, _| store.sessions().revoke_all(organisation));
    }),
    ("Devices::forget", forget),
    ("Users::set_password", |w, one, _| set_password(w, one)),
    ("Store::change_password", change_password),
    ("Store::change_password_and_revoke_keys", |w, one, name| {
        let revoked = w.revoke(name, one, |store, _| {
            let (on, old) = (device(&one.device), PASSWORD.into());
            let new = "nine brass bells".into();
            let changed = store.change_password_and_revoke_keys((&one.token, &on), old, new)?;
            changed.granted().unwrap();
            Ok(())
        });
        revoked.iter().for_each(|key| w.issue(key.user));
        set_password(w, one);
    }),
    ("Users::remove_password", |w, one, name| {
        w.revoke(name, one, |store, id| store.users().remove_password(id).map(drop));
        set_password(w, one);
    }),
    ("Users::mark_compromised", |w, one, name| {
        w.revoke(name, one, |store, id| store.users().mark_compromised(id).map(drop));
        replace_marked(w, one);
    }),
    ("Users::require_password_change(RevokeSessions::All)", |w, one, name| {
        let all = RevokeSessions::All;
        w.revoke(name, one, |store, id| store.users().require_password_change(id, all).map(drop));
        replace_marked(w, one);
    }),
    ("Users::require_password_change(RevokeSessions::Keep)", |w, one, name| {
        let keep = RevokeSessions::Keep;
        w.revoke(name, one, |store, id| store.users().require_password_change(id, keep).map(drop));
        replace_marked(w, one);
    }),
    ("Users::confirm(first)", |w, one, _| confirm(w, one)),
    ("Users::confirm(again)", |w, one, name| {
        confirm(w, one);
        w.revoke(name, one, |store, id| store.users().confirm(id).map(drop));
    }),
    ("Users::set_status(Locked)", |w, one, name| set_status(w, one, name, UserStatus::Locked)),
    ("Users::set_status(Disabled)", |w, one, name| set_status(w, one, name, UserStatus::Disabled)),
    ("Users::set_status(Pending)", |w, one, name| set_status(w, one, name, UserStatus::Pending)),
    ("Users::delete", |w, one, _| delete(w, one)),
    ("Branches::set_active(false)", |w, one, name| {
        let branch = w.branch;
        w.suspend(name, one, |store, _, active| {
            store.branches().set_active(branch, active).map(drop)
        });
    }),
    ("Organisations::set_active(false)", |w, one, name| {
        let organisation = w.organisation;
        w.suspend(name, one, |store, _, active| {
            store.organisations().set_active(organisation, active).map(drop)
        });
    }),
    ("ApiKeys::revoke", |w, one, name| {
        let Some(key) = w.keys.iter().find(|key| key.user == one.user).cloned() else { return };
        w.revoke(name, one, |store, _| store.api_keys().revoke(key.id));
        w.issue(one.user);
    }),
    ("ApiKeys::rotate(no overlap)", rotate),
    ("ApiKeys::revoke_all", |w, one, name| {
        w.revoke(name, one, |store, id| store.api_keys().revoke_all(id));
        if is_in_branch(one.user) {
            w.issue(one.user);
        }
    }),
    ("Users::rename", |w, one, name| {
        let new = next_name(w, one);
        w.revoke(name, one, |store, id| store.users().rename(id, &new).map(drop));
        w.names[one.user] = new;
    }),
    ("Users::set_email", |w, one, name| {
        let address = format!("{}@example.org", next_name(w, one));
        w.revoke(name, one, |store, id| store.users().set_email(id, Some(&address)).map(drop));
    }),
    ("Users::move_to", |w, one, name| {
        let quiet = w.quiet;
        if !is_in_branch(one.user) {
            w.revoke(name, one, |store, id| {
                store.users().move_to(id, quiet)?;
                store.users().move_to(id, None).map(drop)
            });
        }
    }),
    ("Branches::move_to", |w, one, name| {
        let (moved, organisation) = (w.moved, w.organisation);
        w.revoke(name, one, |store, _| {
            store.branches().move_to(moved, organisation)?;
            store.branches().move_to(moved, None).map(drop)
        });
    }),
    ("Users::set_privileges", |w, one, name| {
        w.revoke(name, one, |store, id| {
            store.users().set_privileges(id, &["admin"])?;
            store.users().set_privileges(id, &["clerk"]).map(drop)
        });
    }),
    ("Store::log_in(refused)", guess),
    ("typed", |w, one, _| w.hand_over(one, State::Typed)),
    ("ended-by-one-who-is-killed", |w, one, _| w.hand_over(one, State::Doomed)),
];

/// Operations of the revocation table that have no row, nor one with the same effect, and why.
#[rustfmt::skip]
const NOT_RACED: &[(&str, &str)] = &[
    ("Sessions::revoke_all(store)", "done between two rounds"),
    ("Store::restore", "raced by the processes of restore/rounds.rs"),
    ("Organisations::set_active(true)", "follows each set_active(false)"),
    ("Organisations::delete", "no session is under an empty organisation"),
    ("ApiKeys::rotate(overlap)", "revokes nothing before the clock has moved"),
];

#[test]
fn every_effect_of_the_revocation_table_is_raced() {
    let raced = OPERATIONS.iter().filter(|one| ROWS.iter().any(|(name, _)| *name == one.name));
    let raced: Vec<_> = raced.map(Operation::effect).collect();
    for one in OPERATIONS.iter().filter(|one| !one.row.is_empty()) {
        let is_excused = NOT_RACED.iter().any(|(name, _)| *name == one.name);
        let is_raced = raced.contains(&one.effect());
        assert!(is_raced != is_excused, "{}: a row here, or a reason", one.name);
    }
    NOT_RACED.iter().for_each(|(name, _)| assert!(!operation(name).row.is_empty(), "{name}"));
}

/// As the tally has a row: one word.
pub(super) fn word(name: &str) -> String {
    name.replace(' ', "-")
}

fn is_in_branch(user: usize) -> bool {
    user + 1 < USERS
}

/// Whether an operation upon `one`, its user or the branch covers what is that user's.
fn covers(reach: Reach, one: &Mine, user: usize, is_itself: bool) -> bool {
    match reach {
        Reach::Branch | Reach::Organisation => is_in_branch(user),
        _ if is_itself => reach.covers(Relation::Itself),
        _ if user == one.user => reach.covers(Relation::SameUser),
        _ => reach.covers(Relation::Elsewhere),
    }
}

/// The next session on the device takes its place.
fn replace(w: &mut Writer, one: &Mine, _: &str) {
    w.live.retain(|mine| mine.slot != one.slot);
    let say = |board: &Board, state| {
        [one.slot, made(one.slot)].iter().for_each(|at| board.set(*at, state));
    };
    say(&w.board, State::Ending);
    w.open(one.user, Some(one.device.clone()));
    say(&w.board, State::Ended);
    w.tally.count("ended");
}

/// A device that a hundred others have pushed out is no longer known: its session is revoked by id.
fn forget(w: &mut Writer, one: &Mine, name: &str) {
    let ends = operation(name).sessions != Reach::Nothing;
    w.revoke(name, one, |store, id| {
        if !store.devices().forget(id, &device(&one.device))? && ends {
            store.sessions().revoke(one.id)?;
        }
        Ok(())
    });
}

/// A password that is marked is not set again, unless it is removed first.
fn replace_marked(w: &mut Writer, one: &Mine) {
    let remove = |store: &Store, id| store.users().remove_password(id).map(drop);
    w.revoke("Users::remove_password", one, remove);
    set_password(w, one);
}

fn set_password(w: &mut Writer, one: &Mine) {
    let set = |store: &Store, id| store.users().set_password(id, PASSWORD.into());
    w.revoke("Users::set_password", one, set);
}

/// The session that goes on has a new token, which is not put on the board.
fn change_password(w: &mut Writer, one: &Mine, name: &str) {
    w.revoke(name, one, |store, _| {
        let (on, new) = (device(&one.device), "nine brass bells");
        let changed = store.change_password((&one.token, &on), PASSWORD.into(), new.into())?;
        changed.granted().unwrap();
        Ok(())
    });
    // The session went on, and its key with it: the next call revokes both.
    w.board.set(made(one.slot), State::Ending);
    set_password(w, one);
    w.board.set(made(one.slot), State::Ended);
}

/// What was opened and issued before the account was confirmed.
fn confirm(w: &mut Writer, one: &Mine) {
    delete(w, one);
    w.open(one.user, None);
    let newest = w.live.last().cloned().filter(|mine| mine.user == one.user);
    let newest = newest.unwrap_or_else(|| one.clone());
    let confirm = |store: &Store, id| store.users().confirm(id).map(drop);
    let revoked = w.revoke("Users::confirm(first)", &newest, confirm);
    revoked.iter().for_each(|key| w.issue(key.user));
}

fn set_status(w: &mut Writer, one: &Mine, name: &str, status: UserStatus) {
    w.suspend(name, one, |store, id, active| {
        let status = if active { UserStatus::Active } else { status };
        store.users().set_status(id, status).map(drop)
    });
}

fn delete(w: &mut Writer, one: &Mine) {
    w.revoke("Users::delete", one, |store, id| store.users().delete(id));
    w.users[one.user] = w.create(one.user);
    if is_in_branch(one.user) {
        w.issue(one.user);
    }
}

fn rotate(w: &mut Writer, one: &Mine, name: &str) {
    let Some(old) = w.keys.iter().find(|key| key.user == one.user).map(|key| key.id) else {
        return;
    };
    let next = std::cell::RefCell::new(None::<IssuedApiKey>);
    w.revoke(name, one, |store, _| {
        *next.borrow_mut() = Some(store.api_keys().rotate(old, Duration::ZERO)?);
        Ok(())
    });
    let next = next.into_inner().unwrap();
    w.publish_key(one.user, next.id, next.key.expose());
}

fn next_name(w: &Writer, one: &Mine) -> String {
    let name = format!("{}x", w.names[one.user]);
    if name.len() > 120 { name.trim_end_matches('x').to_owned() } else { name }
}

/// Failed attempts of a stranger log the owner out nowhere.
fn guess(w: &mut Writer, one: &Mine, row: &str) {
    let name = w.names[one.user].clone();
    w.revoke(row, one, |store, id| {
        for _ in 0..6 {
            let login =
                LoginRequest::new(name.as_str(), "a wrong one".into(), device("a stranger's"));
            assert!(store.log_in(login)?.granted().is_err());
        }
        store.users().unlock(id).map(drop)
    });
}

impl Writer {
    /// One row: each as often as any other, in an order of chance.
    pub(super) fn end_some(&mut self) {
        let one = self.live[self.dice.below(self.live.len())].clone();
        if self.deck.is_empty() {
            self.deck = (0..ROWS.len()).collect();
        }
        let drawn = self.dice.below(self.deck.len());
        let (name, row) = ROWS[self.deck.swap_remove(drawn)];
        row(self, &one, name);
        self.tally.count(&word(name));
    }

    /// Puts on the board what that operation is about to revoke, makes the call, and puts there
    /// that it is revoked once that was acknowledged. Returns the keys that it covers.
    fn revoke(
        &mut self,
        name: &str,
        one: &Mine,
        call: impl Fn(&Store, UserId) -> Result<(), Error>,
    ) -> Vec<Key> {
        let row = operation(name);
        let (ended, live) = self.live.drain(..).partition::<Vec<_>, _>(|mine| {
            covers(row.sessions, one, mine.user, mine.slot == one.slot)
        });
        self.live = live;
        let is_covered = |key: &mut Key| covers(row.keys, one, key.user, key.user == one.user);
        let keys: Vec<Key> = self.keys.extract_if(.., is_covered).collect();
        // A session that goes on with a new token keeps its keys, unless all keys are revoked.
        let is_renewed = |mine: &Mine| {
            matches!(row.sessions, Reach::Renewed | Reach::OneRenewed) && mine.slot == one.slot
        };
        let all_keys = |mine: &Mine| covers(row.keys, one, mine.user, false);
        let ends_keys = ended.iter().filter(|mine| !is_renewed(mine) || all_keys(mine));
        let ends_keys = ends_keys.chain(self.live.iter().filter(|mine| all_keys(mine)));
        let of_sessions: Vec<u64> = ends_keys.map(|mine| made(mine.slot)).collect();
        let say = |board: &Board, state| {
            ended.iter().for_each(|mine| board.set(mine.slot, state));
            of_sessions.iter().for_each(|slot| board.set(*slot, state));
            for key in &keys {
                board.set_in_turn(key.slot, state, key.turn);
                board.set_in_turn(made(key.slot), state, key.turn);
            }
        };
        say(&self.board, State::Ending);
        let id = self.users[one.user];
        insist(&mut self.tally, || call(&self.store, id));
        say(&self.board, State::Ended);
        self.tally.add("ended", u64::try_from(ended.len() + keys.len()).unwrap());
        keys
    }

    /// As [`Writer::revoke`], and then makes the keys valid again.
    fn suspend(
        &mut self,
        name: &str,
        one: &Mine,
        set_active: impl Fn(&Store, UserId, bool) -> Result<(), Error>,
    ) {
        let mut suspended = self.revoke(name, one, |store, id| set_active(store, id, false));
        suspended.iter_mut().for_each(|key| key.turn = (key.turn + 1) % 32);
        let say = |board: &Board, keys: &[Key], state| {
            for key in keys {
                board.set_in_turn(key.slot, state, key.turn);
                board.set_in_turn(made(key.slot), state, key.turn);
            }
        };
        say(&self.board, &suspended, State::Ending);
        let id = self.users[one.user];
        insist(&mut self.tally, || set_active(&self.store, id, true));
        say(&self.board, &suspended, State::Live);
        self.tally.add("suspended", u64::try_from(suspended.len()).unwrap());
        self.keys.append(&mut suspended);
    }

    /// Leaves it to another process to revoke.
    fn hand_over(&mut self, one: &Mine, state: State) {
        self.live.retain(|mine| mine.slot != one.slot);
        self.board.set(made(one.slot), State::Ending);
        self.board.set(one.slot, state);
    }
}
