//! Who else ends sessions: a hand that types SQL, a clock that runs ahead, and who is killed.

use std::time::Duration;

use super::board::State;
use super::{Racer, insist};
use crate::child::Parent;
use crate::coherence::plain_sql;
use crate::races::fleet::Tally;
use crate::world::HOUR;

const CHECKPOINTS: [&str; 4] = [
    "PRAGMA wal_checkpoint(PASSIVE)",
    "PRAGMA wal_checkpoint(FULL)",
    "PRAGMA wal_checkpoint(RESTART)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
];

/// Deletes by hand what is marked for it, and checkpoints.
pub(super) fn type_by_hand(parent: &mut Parent, racer: &Racer) {
    let board = racer.board();
    let mut dice = racer.dice(1);
    while let Some(round) = parent.hear() {
        let round = round.parse().unwrap();
        let mut tally = Tally::default();
        let mut is_over = false;
        while !is_over {
            // What is marked by then is done all the same.
            is_over = board.is_over(round);
            let sql = plain_sql(&racer.path);
            for slot in board.all(State::Typed) {
                let id = board.session(slot).id.replace('-', "");
                let typed = format!("DELETE FROM session WHERE id = x'{id}'");
                while sql.execute_batch(&typed).is_err() {
                    tally.count("busy");
                }
                board.set(slot, State::Ended);
                tally.count("typed");
            }
            // One that somebody is in the way of does less or nothing.
            let checkpoint = CHECKPOINTS[dice.below(CHECKPOINTS.len())];
            sql.busy_timeout(Duration::from_millis(20)).unwrap();
            let done = sql.query_row(checkpoint, [], |row| row.get::<_, i64>(0));
            tally.add("checkpoints", u64::from(done.is_ok_and(|blocked| blocked == 0)));
        }
        parent.say(&tally.line());
    }
}

/// Sweeps what has expired by a clock two hours ahead.
pub(super) fn sweep(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(2 * HOUR);
    let board = racer.board();
    while let Some(round) = parent.hear() {
        let round = round.parse().unwrap();
        let mut tally = Tally::default();
        let mut is_over = false;
        while !is_over {
            is_over = board.is_over(round);
            let brief = board.all(State::Brief);
            if brief.is_empty() {
                std::thread::yield_now();
                continue;
            }
            insist(&mut tally, || store.maintain());
            for slot in brief {
                board.set(slot, State::Ended);
                tally.count("swept");
            }
        }
        parent.say(&tally.line());
    }
}

/// Ends what is marked for it, and commits all the time, until it is killed in the middle of that.
pub(super) fn end_until_killed(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(Duration::ZERO);
    let board = racer.board();
    let mut tally = Tally::default();
    parent.hear();
    loop {
        for slot in board.all(State::Doomed) {
            let id = board.session(slot).id.parse().unwrap();
            let _ = insist(&mut tally, || store.sessions().end(id));
            board.set(slot, State::Ended);
            parent.say("ended");
        }
        insist(&mut tally, || store.organisations().create("of one who is killed"));
        parent.say("wrote");
    }
}
