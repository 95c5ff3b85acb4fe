//! Other processes of the race: one types SQL, one has a clock that runs ahead, one is killed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::board::{Board, State, made};
use super::{Racer, insist};
use crate::child::{Child, Parent};
use crate::coherence::plain_sql;
use crate::races::fleet::Tally;
use crate::world::HOUR;

/// Their offset in the first copy of the header of the wal-index.
const SALTS: u64 = 32;

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
    // Open to the end: closing it would drop the locks.
    let shared = File::open(format!("{}-shm", racer.path)).unwrap();
    let salts = || {
        let mut salts = [0; 8];
        shared.read_exact_at(&mut salts, SALTS).unwrap();
        salts
    };
    let mut salts_before = salts();
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
                [slot, made(slot)].iter().for_each(|at| board.set(*at, State::Ended));
                tally.count("typed");
            }
            // A checkpoint that readers or writers block does less or nothing.
            let checkpoint = CHECKPOINTS[dice.below(CHECKPOINTS.len())];
            sql.busy_timeout(Duration::from_millis(20)).unwrap();
            let done = sql.query_row(checkpoint, [], |row| row.get::<_, i64>(0));
            tally.add("checkpoints", u64::from(done.is_ok_and(|blocked| blocked == 0)));
            // They change whenever the log begins again.
            let salts_now = salts();
            tally.add("wal_resets", u64::from(salts_now != salts_before));
            salts_before = salts_now;
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
            insist(&mut tally, || gatepost::testing::believe_clock(&store));
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
    let sql = plain_sql(&racer.path);
    let mut tally = Tally::default();
    parent.hear();
    loop {
        for slot in board.all(State::Doomed) {
            let id = board.session(slot).id.parse().unwrap();
            let _ = insist(&mut tally, || store.sessions().revoke(id));
            [slot, made(slot)].iter().for_each(|at| board.set(*at, State::Ended));
            parent.say("ended");
        }
        insist(&mut tally, || store.organisations().create("of one who is killed"));
        let begun = "BEGIN IMMEDIATE; UPDATE store SET last_group = randomblob(16)";
        if sql.execute_batch(begun).is_ok() {
            board.commits(true);
            let _ = sql.execute_batch("COMMIT");
            board.commits(false);
        }
        parent.say("wrote");
    }
}

/// Kills it as soon as it says that it commits, and counts if it had no time to say that it has.
pub(super) fn kill_in_a_commit(victim: Child, board: &Board, tally: &mut Tally) {
    let mut looks = 0;
    while !board.is_committing() && looks < 1_000_000 {
        looks += 1;
        std::thread::yield_now();
    }
    victim.kill();
    tally.count("killed");
    tally.add("killed_in_a_commit", u64::from(board.is_committing()));
    board.commits(false);
}
