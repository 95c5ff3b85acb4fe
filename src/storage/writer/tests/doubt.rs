//! Commits that fail, and the outcome that is reported for them.

use super::super::group::Mark;
use super::super::trouble::{self, Trouble};
use super::*;

fn mark(fixture: &Fixture) -> Option<Mark> {
    let sql = "SELECT last_group FROM store WHERE id = 1";
    fixture.writer.borrow(|one| one.query_row(sql, [], |row| row.get(0)).map_err(fault)).unwrap()
}

#[test]
fn each_commit_leaves_a_mark_of_its_own() {
    let fixture = Fixture::new();
    let mut marks = vec![mark(&fixture)];
    for _ in 0..3 {
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
        assert!(!marks.contains(&mark(&fixture)));
        marks.push(mark(&fixture));
    }
    fixture.write(|tx| insert(tx).map(Finished::Nothing)).unwrap();
    assert_eq!(Some(&mark(&fixture)), marks.last());
}

#[test]
fn a_commit_that_failed_and_did_not_happen_is_not_applied() {
    let fixture = Fixture::new();
    trouble::next(&[trouble::lost]);
    let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
    assert_eq!((error.kind(), fixture.lines()), (ErrorKind::Io, 0));
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    assert_eq!(fixture.lines(), 1);
}

#[test]
fn a_commit_that_failed_and_did_happen_is_applied() {
    let fixture = Fixture::new();
    trouble::next(&[trouble::kept]);
    assert_eq!(fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap(), 1);
    assert_eq!((fixture.lines(), fixture.writer.counts()), (1, (1, 1)));
}

/// The mark of another process proves neither outcome, so the outcome stays unknown; later writes
/// are accepted.
#[test]
fn a_failed_commit_followed_by_another_process_is_unknown_and_stops_no_write() {
    for (trouble, lines) in
        [(trouble::lost_and_followed as Trouble, 0), (trouble::kept_and_followed, 1)]
    {
        let fixture = Fixture::new();
        trouble::next(&[trouble]);
        let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!((error.kind(), fixture.lines()), (ErrorKind::CommitUnknown, lines));
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
        assert_eq!(fixture.lines(), lines + 1);
        fixture.writer.resolve_doubt().unwrap();
        assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
    }
}

/// The pages of the failed commit must not come back: a fence replaces them, and the WAL is empty.
#[test]
fn a_resolution_leaves_a_fence_and_an_empty_log() {
    let fixture = Fixture::new();
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    let before = mark(&fixture);
    trouble::next(&[trouble::lost]);
    assert!(fixture.write(|tx| insert(tx).map(Finished::Commit)).is_err());
    assert_ne!(mark(&fixture), before);
    assert_eq!(files::length(&fixture.files.wal), 0);
}

#[test]
fn a_commit_in_doubt_stops_every_later_write_until_it_is_resolved() {
    for (first, outcome) in [
        (trouble::lost as Trouble, CommitOutcome::NotApplied),
        (trouble::kept, CommitOutcome::Applied),
    ] {
        let fixture = Fixture::new();
        trouble::next(&[first, trouble::lost, trouble::lost]);
        let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitUnknown);
        // A write that is refused for that reason was not begun, and is not in doubt itself.
        let next = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!(next.kind(), ErrorKind::Io);
        let tried =
            fixture.writer.try_write(fixture.author(), |tx| insert(tx).map(Finished::Commit));
        assert_eq!(tried.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));

        assert_eq!(fixture.writer.resolve_doubt().unwrap_err().kind(), ErrorKind::CommitUnknown);
        assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
        fixture.writer.resolve_doubt().unwrap();
        assert_eq!(fixture.writer.last_unknown_commit(), Some(outcome));
        let before = fixture.lines();
        assert_eq!(before, i64::from(outcome == CommitOutcome::Applied));
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
        assert_eq!(fixture.lines(), before + 1);
    }
}

/// Writes are refused for a second of the clock; then one checks the room on the disk.
#[test]
fn after_a_full_disk_only_revocations_are_accepted_until_a_probe_finds_room() {
    let fixture = Fixture::new();
    trouble::next(&[trouble::full]);
    let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
    assert_eq!((error.kind(), fixture.lines()), (ErrorKind::Full, 0));
    // There is room, but no write has checked yet.
    let refused = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
    assert_eq!((refused.kind(), fixture.lines()), (ErrorKind::Full, 0));
    let tried = fixture.writer.try_write(fixture.author(), |tx| insert(tx).map(Finished::Commit));
    assert_eq!(tried.unwrap_err().kind(), ErrorKind::Full);
    for lines in 1..=2 {
        let author = Author { purpose: Purpose::Revocation, ..fixture.author() };
        let job = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
        fixture.writer.write(author, limits::WRITE_WAIT, job).unwrap();
        assert_eq!(fixture.lines(), lines);
        // Room for a revocation is no proof of room for other writes.
        let refused = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Full);
    }
    fixture.wall.advance(Duration::from_secs(1));
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    assert_eq!(fixture.lines(), 4);
}

/// The clock was ahead when the disk was found full, and is corrected: the second of that refusal
/// would otherwise last for as long as the clock was ahead.
#[test]
fn a_clock_that_is_set_back_prolongs_no_refusal_of_a_full_disk() {
    let fixture = Fixture::new();
    let right = fixture.wall.now();
    for ahead in [Duration::from_secs(30), Duration::from_secs(3_600)] {
        fixture.wall.set(right + ahead);
        trouble::next(&[trouble::full]);
        let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        fixture.wall.set(right);
        fixture.wall.advance(Duration::from_secs(1));
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    }
    assert_eq!(fixture.lines(), 2);
}

/// A reader with an old snapshot keeps the WAL from being truncated, so the outcome is not final.
#[test]
fn a_log_that_cannot_be_emptied_leaves_the_commit_in_doubt() {
    let fixture = Fixture::new();
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    let reader = connection::for_reading(fixture.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM note").unwrap();
    trouble::next(&[trouble::lost]);
    let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown);
    drop(reader);
    fixture.writer.resolve_doubt().unwrap();
    assert_eq!(fixture.lines(), 1);
    assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::NotApplied));
}

/// The fence of a failed resolution is found in the place of the mark that proved the outcome.
#[test]
fn a_resolution_that_failed_half_way_does_not_hide_the_outcome_from_the_next() {
    for (first, outcome) in [
        (trouble::lost as Trouble, CommitOutcome::NotApplied),
        (trouble::kept, CommitOutcome::Applied),
    ] {
        let fixture = Fixture::new();
        trouble::next(&[first, trouble::kept, trouble::lost, trouble::kept]);
        let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitUnknown);
        for _ in 0..2 {
            assert!(fixture.writer.resolve_doubt().is_err());
        }
        fixture.writer.resolve_doubt().unwrap();
        assert_eq!(fixture.writer.last_unknown_commit(), Some(outcome));
        assert_eq!(fixture.lines(), i64::from(outcome == CommitOutcome::Applied));
    }
}

#[test]
fn a_commit_in_doubt_is_unknown_once_another_process_has_written() {
    for first in [trouble::lost as Trouble, trouble::kept] {
        let fixture = Fixture::new();
        trouble::next(&[first, trouble::lost_and_followed]);
        assert!(fixture.write(|tx| insert(tx).map(Finished::Commit)).is_err());
        fixture.writer.resolve_doubt().unwrap();
        assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));
    }
}

/// Two threads got `CommitUnknown` and cannot distinguish which of the two commits is reported.
#[test]
fn the_reported_outcome_is_true_of_each_commit_since_the_last_opening() {
    let fixture = Fixture::new();
    let write = || fixture.write(|tx| insert(tx).map(Finished::Commit)).map_err(|e| e.kind());
    trouble::next(&[trouble::lost_and_followed]);
    assert_eq!(write(), Err(ErrorKind::CommitUnknown));
    trouble::next(&[trouble::kept, trouble::lost]);
    assert_eq!(write(), Err(ErrorKind::CommitUnknown));
    fixture.writer.resolve_doubt().unwrap();
    assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Unknown));

    trouble::next(&[trouble::kept, trouble::lost]);
    assert_eq!(write(), Err(ErrorKind::CommitUnknown));
    fixture.writer.resolve_doubt().unwrap();
    assert_eq!(fixture.writer.last_unknown_commit(), Some(CommitOutcome::Applied));
}

#[test]
fn a_connection_whose_checkpoint_failed_is_replaced_before_the_next_write() {
    let fixture = Fixture::new();
    let mut baton = fixture.writer.queue.try_enter().unwrap();
    baton.must_be_replaced = true;
    baton.connection.execute_batch("CREATE TEMP TABLE of_the_old_one (a)").unwrap();
    fixture.writer.queue.hand_on(baton);
    fixture
        .write(|tx| {
            let seen = tx.one("SELECT 1 FROM sqlite_temp_schema", [], |_| Ok(()))?;
            assert_eq!(seen, None);
            insert(tx).map(Finished::Commit)
        })
        .unwrap();
}

#[test]
fn the_log_is_moved_into_the_file_when_it_is_long() {
    let fixture = Fixture::new();
    let wal = fixture.files.wal.clone();
    let kept = u64::try_from(limits::WAL_KEPT_BYTES).unwrap();
    for _ in 0..24 {
        fixture.write(|tx| insert_many(tx).map(Finished::Commit)).unwrap();
        assert!(files::length(&wal) < 2 * kept, "{}", files::length(&wal));
    }
}
