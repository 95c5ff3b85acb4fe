//! A clock that jumps: by seconds and by years, ahead and back.
//!
//! Within a process an expired session stays expired for a minute after the clock went back; then
//! the store follows the clock. A file that is opened again knows no more than the clock says then.
//! A session from the future is refused, and a revoked one stays revoked whatever the clock says.

use std::sync::Arc;
use std::time::Duration;

use gatepost::host::{Clock, ManualClock};
use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{NewUser, Store, Timestamp};

use crate::dice::Dice;
use crate::place::{Place, clear};
use crate::process::Child;
use crate::store::{device, options};
use crate::tally::{Tally, in_lanes};

const JUMPS: usize = 40;
/// How far the clock may be set back before a session is one from the future.
const GRACE: Duration = Duration::from_secs(60);

/// For so long the time of a store stays where it was after the clock was set back.
const HELD: Duration = Duration::from_secs(60);
/// A clock that is less than this behind is waited for.
const BEHIND: Duration = Duration::from_secs(1);

/// The time of a store in one process, as its readings of the clock make it.
struct Present {
    latest: Timestamp,
    behind_since: Option<Timestamp>,
}

impl Present {
    fn at(latest: Timestamp) -> Self {
        Self { latest, behind_since: None }
    }

    fn read(&mut self, wall: Timestamp) {
        if wall > self.latest {
            *self = Self::at(wall);
        } else if self.latest.duration_since(wall) >= BEHIND {
            match self.behind_since {
                Some(since) if wall >= since && wall.duration_since(since) >= HELD => {
                    *self = Self::at(wall);
                }
                Some(since) if wall >= since => {}
                _ => self.behind_since = Some(wall),
            }
        }
    }
}

#[derive(Debug)]
struct Session {
    token: String,
    on: String,
    opened: Timestamp,
    expires: Timestamp,
    ended: bool,
    was_over: bool,
}

/// So many stores, each of which sees its clock jump [`JUMPS`] times.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    in_lanes(count, |lane, share, tally| {
        let place = Place::new("clock");
        let path = place.file("auth.db");
        let mut dice = Dice::new(seed, lane);
        for _ in 0..share {
            clear(&path);
            let seed = dice.roll();
            let child = Child::fork(|voice| {
                let mut tally = Tally::default();
                jumps(&path, &mut Dice::new(seed, 0), &mut tally);
                tally.send(voice);
            });
            child.end_well().iter().for_each(|line| tally.hear(line));
            tally.one("stores");
        }
    })
}

fn jumps(path: &std::path::Path, dice: &mut Dice, tally: &mut Tally) {
    let start: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
    let clock = ManualClock::new(start);
    let policy = SessionPolicy::server().per_user(10_000);
    let options = options(dice.roll()).clock(Arc::new(clock.clone())).sessions(policy);
    let mut store = Store::open(path, options.clone()).unwrap();
    let user = store.users().create(NewUser::person("ada")).unwrap().id;
    let mut sessions: Vec<Session> = Vec::new();
    let mut present = Present::at(start);
    for turn in 0..JUMPS {
        if dice.one_in(6) {
            store.close().unwrap();
            store = Store::open(path, options.clone()).unwrap();
            present = Present::at(clock.now());
            tally.one("opened again");
        }
        present.read(clock.now());
        let latest = present.latest;
        let on = format!("device {turn}");
        let expires = latest + Duration::from_secs(1 + dice.below(100_000) as u64);
        let open = OpenSession::new(user, device(&on)).expires_at(expires);
        let opened = store.sessions().open(open).unwrap().granted().unwrap().session;
        let token = opened.token.expose().to_owned();
        let expires = opened.expires_at;
        sessions.push(Session {
            token,
            on,
            opened: latest,
            expires,
            ended: false,
            was_over: false,
        });
        if dice.one_in(4) {
            let at = dice.below(sessions.len());
            let _ = store.log_out((&sessions[at].token, &device(&sessions[at].on))).unwrap();
            sessions[at].ended = true;
        }
        jump(&clock, dice, start, &sessions);
        present.read(clock.now());
        let latest = present.latest;
        for session in &mut sessions {
            let verdict = store.verify((&session.token, &device(&session.on))).unwrap();
            let passes = verdict.valid().is_ok();
            let lives =
                !session.ended && latest < session.expires && session.opened <= latest + GRACE;
            let place = || format!("at {latest}: {session:?}");
            // A session that a later time has seen expired may be deleted, though the clock was set
            // back.
            assert!(passes <= lives, "{}: it passes", place());
            assert!(passes || !lives || session.was_over, "{}: it does not pass", place());
            session.was_over |= latest >= session.expires;
            tally.one(if passes { "passes" } else { "refusals" });
        }
        tally.one("jumps");
    }
}

fn jump(clock: &ManualClock, dice: &mut Dice, start: Timestamp, sessions: &[Session]) {
    let far = [1, 60, 3_600, 86_400, 86_400 * 365, 86_400 * 3_650][dice.below(6)];
    let span = Duration::from_secs(dice.roll() % far + 1);
    match dice.below(6) {
        // To the very millisecond at which one expires, or the one before.
        0 | 1 => {
            let ends = sessions[dice.below(sessions.len())].expires;
            clock.set(ends - Duration::from_millis(dice.below(2) as u64));
        }
        2 | 3 => clock.go_back(span),
        4 => clock.set(start),
        _ => clock.advance(span),
    }
}
