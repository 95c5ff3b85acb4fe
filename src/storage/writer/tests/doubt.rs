//! Commits that fail, and what is known of them afterwards.

use super::super::group::Mark;
use super::super::trouble::{self, Trouble};
use super::*;

fn mark(desk: &Desk) -> Option<Mark> {
    let sql = "SELECT last_group FROM store WHERE id = 1";
    desk.writer.borrow(|one| one.query_row(sql, [], |row| row.get(0)).map_err(fault)).unwrap()
}

#[test]
fn each_commit_leaves_a_mark_of_its_own() {
    let desk = Desk::new();
    let mut marks = vec![mark(&desk)];
    for _ in 0..3 {
        desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
        assert!(!marks.contains(&mark(&desk)));
        marks.push(mark(&desk));
    }
    desk.write(|tx| insert(tx).map(Settled::Nothing)).unwrap();
    assert_eq!(Some(&mark(&desk)), marks.last());
}

#[test]
fn a_commit_that_failed_and_did_not_happen_is_not_applied() {
    let desk = Desk::new();
    trouble::next(&[trouble::lost]);
    let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
    assert_eq!((error.reason(), desk.lines()), (Reason::Io, 0));
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    assert_eq!(desk.lines(), 1);
}

#[test]
fn a_commit_that_failed_and_did_happen_is_applied() {
    let desk = Desk::new();
    trouble::next(&[trouble::kept]);
    assert_eq!(desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap(), 1);
    assert_eq!((desk.lines(), desk.writer.counts()), (1, (1, 1)));
}

/// The mark of another process says neither, and nothing is claimed; what is there now stays.
#[test]
fn a_commit_that_failed_and_was_followed_by_another_process_is_unknown_and_stops_nobody() {
    for (trouble, lines) in
        [(trouble::lost_and_followed as Trouble, 0), (trouble::kept_and_followed, 1)]
    {
        let desk = Desk::new();
        trouble::next(&[trouble]);
        let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!((error.reason(), desk.lines()), (Reason::CommitUnknown, lines));
        desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
        assert_eq!(desk.lines(), lines + 1);
        desk.writer.settle_again().unwrap();
        assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
    }
}

/// The pages of the failed commit must not come back: another commit stands in their place, and
/// the log is empty.
#[test]
fn a_settlement_leaves_a_fence_and_an_empty_log() {
    let desk = Desk::new();
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    let before = mark(&desk);
    trouble::next(&[trouble::lost]);
    assert!(desk.write(|tx| insert(tx).map(Settled::Commit)).is_err());
    assert_ne!(mark(&desk), before);
    assert_eq!(files::length(&desk.files.wal), 0);
}

#[test]
fn a_doubt_that_cannot_be_settled_stops_every_later_write_until_it_is() {
    for (first, outcome) in [
        (trouble::lost as Trouble, CommitOutcome::NotApplied),
        (trouble::kept, CommitOutcome::Applied),
    ] {
        let desk = Desk::new();
        trouble::next(&[first, trouble::lost, trouble::lost]);
        let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!(error.reason(), Reason::CommitUnknown);
        // What is refused for that was not begun, and is not in doubt itself.
        let next = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!(next.reason(), Reason::Io);
        let tried = desk.writer.try_write(desk.author(), |tx| insert(tx).map(Settled::Commit));
        assert_eq!(tried.unwrap_err().reason(), Reason::Io);
        assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));

        assert_eq!(desk.writer.settle_again().unwrap_err().reason(), Reason::CommitUnknown);
        assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
        desk.writer.settle_again().unwrap();
        assert_eq!(desk.writer.last_unknown_commit(), Some(outcome));
        let before = desk.lines();
        assert_eq!(before, i64::from(outcome == CommitOutcome::Applied));
        desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
        assert_eq!(desk.lines(), before + 1);
    }
}

/// What is refused at once waits for a second of the store's clock, and then for room.
#[test]
fn after_a_full_disk_only_ends_are_accepted_until_a_probe_finds_room() {
    let desk = Desk::new();
    trouble::next(&[trouble::full]);
    let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
    assert_eq!((error.reason(), desk.lines()), (Reason::Full, 0));
    // There is room, but nobody has looked.
    let refused = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
    assert_eq!((refused.reason(), desk.lines()), (Reason::Full, 0));
    let tried = desk.writer.try_write(desk.author(), |tx| insert(tx).map(Settled::Commit));
    assert_eq!(tried.unwrap_err().reason(), Reason::Full);
    for lines in 1..=2 {
        let author = Author { purpose: Purpose::Revocation, ..desk.author() };
        let job = |tx: &WriteTx<'_>| insert(tx).map(Settled::Commit);
        desk.writer.write(author, limits::WRITE_WAIT, job).unwrap();
        assert_eq!(desk.lines(), lines);
        // That an end found room says nothing of the rest.
        let refused = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!(refused.reason(), Reason::Full);
    }
    desk.wall.advance(Duration::from_secs(1));
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    assert_eq!(desk.lines(), 4);
}

/// A reader that holds an old snapshot keeps the log from being emptied, so nothing is certain.
#[test]
fn a_log_that_cannot_be_emptied_leaves_the_doubt() {
    let desk = Desk::new();
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    let reader = connection::for_reading(desk.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM note").unwrap();
    trouble::next(&[trouble::lost]);
    let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
    assert_eq!(error.reason(), Reason::CommitUnknown);
    drop(reader);
    desk.writer.settle_again().unwrap();
    assert_eq!(desk.lines(), 1);
    assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::NotApplied));
}

/// The fence that a failed settlement left is found in the place of the mark that said the outcome.
#[test]
fn a_settlement_that_failed_half_way_does_not_hide_the_outcome_from_the_next() {
    for (first, outcome) in [
        (trouble::lost as Trouble, CommitOutcome::NotApplied),
        (trouble::kept, CommitOutcome::Applied),
    ] {
        let desk = Desk::new();
        trouble::next(&[first, trouble::kept, trouble::lost, trouble::kept]);
        let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!(error.reason(), Reason::CommitUnknown);
        for _ in 0..2 {
            assert!(desk.writer.settle_again().is_err());
        }
        desk.writer.settle_again().unwrap();
        assert_eq!(desk.writer.last_unknown_commit(), Some(outcome));
        assert_eq!(desk.lines(), i64::from(outcome == CommitOutcome::Applied));
    }
}

#[test]
fn nothing_is_claimed_of_a_commit_in_doubt_once_another_process_has_written() {
    for first in [trouble::lost as Trouble, trouble::kept] {
        let desk = Desk::new();
        trouble::next(&[first, trouble::lost_and_followed]);
        assert!(desk.write(|tx| insert(tx).map(Settled::Commit)).is_err());
        desk.writer.settle_again().unwrap();
        assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
    }
}

/// Two threads that were answered `CommitUnknown` cannot tell which of the two commits is meant.
#[test]
fn what_is_said_is_true_of_each_commit_since_the_last_opening() {
    let desk = Desk::new();
    let write = || desk.write(|tx| insert(tx).map(Settled::Commit)).map_err(|e| e.reason());
    trouble::next(&[trouble::lost_and_followed]);
    assert_eq!(write(), Err(Reason::CommitUnknown));
    trouble::next(&[trouble::kept, trouble::lost]);
    assert_eq!(write(), Err(Reason::CommitUnknown));
    desk.writer.settle_again().unwrap();
    assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));

    trouble::next(&[trouble::kept, trouble::lost]);
    assert_eq!(write(), Err(Reason::CommitUnknown));
    desk.writer.settle_again().unwrap();
    assert_eq!(desk.writer.last_unknown_commit(), Some(CommitOutcome::Applied));
}

#[test]
fn a_connection_whose_checkpoint_failed_is_replaced_before_the_next_write() {
    let desk = Desk::new();
    let mut baton = desk.writer.line.try_enter().unwrap();
    baton.is_worn = true;
    baton.connection.execute_batch("CREATE TEMP TABLE of_the_old_one (a)").unwrap();
    desk.writer.line.hand_on(baton);
    desk.write(|tx| {
        let seen = tx.one("SELECT 1 FROM sqlite_temp_schema", [], |_| Ok(()))?;
        assert_eq!(seen, None);
        insert(tx).map(Settled::Commit)
    })
    .unwrap();
}

#[test]
fn the_log_is_moved_into_the_file_when_it_is_long() {
    let desk = Desk::new();
    let wal = desk.files.wal.clone();
    let kept = u64::try_from(limits::WAL_KEPT_BYTES).unwrap();
    for _ in 0..24 {
        desk.write(|tx| insert_many(tx).map(Settled::Commit)).unwrap();
        assert!(files::length(&wal) < 2 * kept, "{}", files::length(&wal));
    }
}
