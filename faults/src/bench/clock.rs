//! A clock that jumps: by seconds and by years, ahead and back.
//!
//! Within a process time never goes back: what has expired once stays so. A file that is opened
//! anew knows no more than the clock says then, but a session from the future is refused, and what
//! was ended stays ended whatever the clock says.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gatepost::{Clock, ManualClock, NewUser, OpenSession, SessionPolicy, Store};

use crate::dice::Dice;
use crate::place::{Place, clear};
use crate::process::Child;
use crate::store::{device, options};
use crate::tally::{Tally, in_lanes};

const JUMPS: usize = 40;
/// How far the clock may be set back before a session is one from the future.
const GRACE: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug)]
struct Session {
    token: String,
    on: String,
    opened: DateTime<Utc>,
    expires: DateTime<Utc>,
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
                tally.tell(voice);
            });
            child.end_well().iter().for_each(|line| tally.hear(line));
            tally.one("stores");
        }
    })
}

fn jumps(path: &std::path::Path, dice: &mut Dice, tally: &mut Tally) {
    let start: DateTime<Utc> = "2026-01-05T09:00:00Z".parse().unwrap();
    let clock = ManualClock::new(start);
    let policy = SessionPolicy::server().per_user(10_000);
    let options = options(dice.roll()).clock(Arc::new(clock.clone())).sessions(policy);
    let mut store = Store::open(path, options.clone()).unwrap();
    let user = store.users().create(NewUser::person("ada")).unwrap().id;
    let mut sessions: Vec<Session> = Vec::new();
    // What the library takes for now: the latest that this process has seen.
    let mut latest = start;
    for turn in 0..JUMPS {
        if dice.one_in(6) {
            store.close().unwrap();
            store = Store::open(path, options.clone()).unwrap();
            latest = clock.now();
            tally.one("opened anew");
        }
        latest = latest.max(clock.now());
        let on = format!("device {turn}");
        let expires = latest + TimeDelta::seconds(1 + dice.below(100_000) as i64);
        let open = OpenSession::new(user, device(&on)).expires_at(expires);
        let opened = store.sessions().open(open).unwrap().granted().unwrap().session;
        let token = opened.token.expose().to_owned();
        let expires = opened.expires_at;
        // Its user's sessions from the future end with it.
        let from_future = sessions.iter_mut().filter(|one| one.opened > latest + GRACE);
        from_future.for_each(|one| one.ended = true);
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
            let _ = store.log_out(&sessions[at].token, &device(&sessions[at].on)).unwrap();
            sessions[at].ended = true;
        }
        jump(&clock, dice, start, &sessions);
        latest = latest.max(clock.now());
        for session in &mut sessions {
            let verdict = store.verify(&session.token, &device(&session.on)).unwrap();
            let passes = verdict.valid().is_ok();
            let lives =
                !session.ended && latest < session.expires && session.opened <= latest + GRACE;
            let place = || format!("at {latest}: {session:?}");
            // What a later time has seen expired may be gone, though it is earlier again.
            assert!(passes <= lives, "{}: it passes", place());
            assert!(passes || !lives || session.was_over, "{}: it does not pass", place());
            session.was_over |= latest >= session.expires;
            tally.one(if passes { "passes" } else { "refusals" });
        }
        tally.one("jumps");
    }
}

fn jump(clock: &ManualClock, dice: &mut Dice, start: DateTime<Utc>, sessions: &[Session]) {
    let far = [1, 60, 3_600, 86_400, 86_400 * 365, 86_400 * 3_650][dice.below(6)];
    let span = Duration::from_secs(dice.roll() % far + 1);
    match dice.below(6) {
        // To the very millisecond at which one expires, or the one before.
        0 | 1 => {
            let ends = sessions[dice.below(sessions.len())].expires;
            clock.set(ends - TimeDelta::milliseconds(dice.below(2) as i64));
        }
        2 | 3 => clock.go_back(span),
        4 => clock.set(start),
        _ => clock.advance(span),
    }
}
