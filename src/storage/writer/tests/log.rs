//! The WAL is truncated, although readers may keep it from being checkpointed for a while.

use super::*;

/// Writes until the WAL is longer than that.
fn grow(fixture: &Fixture, bytes: i64) {
    while fixture.writer.log_bytes() <= u64::try_from(bytes).unwrap() {
        fixture.write(|tx| insert_many(tx).map(Finished::Commit)).unwrap();
    }
}

fn reader(fixture: &Fixture) -> Connection {
    let reader = connection::for_reading(fixture.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM note").unwrap();
    reader
}

fn blocked(fixture: &Fixture) -> Option<Duration> {
    let baton = fixture.writer.queue.try_enter().unwrap();
    let blocked = baton.blocked.map(Stopwatch::elapsed);
    assert!(!baton.must_be_replaced, "a reader does not break the connection");
    fixture.writer.queue.hand_on(baton);
    blocked
}

#[test]
fn a_log_without_readers_is_truncated_by_the_next_commit() {
    let fixture = Fixture::new();
    grow(&fixture, limits::WAL_KEPT_BYTES);
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    assert!(fixture.writer.log_bytes() <= u64::try_from(limits::WAL_KEPT_BYTES).unwrap());
    assert_eq!(blocked(&fixture), None);
}

/// The writer waits now and then for a reader that keeps its snapshot, and truncates the WAL once
/// the reader has released it.
#[test]
fn a_reader_that_keeps_its_snapshot_is_waited_for_once_per_interval() {
    let fixture = Fixture::new();
    let reader = reader(&fixture);
    grow(&fixture, limits::WAL_KEPT_BYTES);
    assert_eq!(blocked(&fixture), None, "no wait before the log is long");
    grow(&fixture, limits::WAL_LONG_BYTES);
    assert!(blocked(&fixture).is_some());
    let since = Stopwatch::start();
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    let (waited, since) = (blocked(&fixture).unwrap(), since.elapsed());
    assert!(waited >= since || waited + limits::WAL_READERS_RETRY <= since, "waited for again");
    drop(reader);
    for _ in 0..2 {
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    }
    assert!(fixture.writer.log_bytes() <= u64::try_from(limits::WAL_KEPT_BYTES).unwrap());
}

/// It writes as part of a verify, which must not wait.
#[test]
fn a_write_without_wait_waits_for_no_reader() {
    let fixture = Fixture::new();
    let reader = reader(&fixture);
    while fixture.writer.log_bytes() <= u64::try_from(limits::WAL_LONG_BYTES).unwrap() {
        let job = |tx: &WriteTx<'_>| insert_many(tx).map(Finished::Commit);
        assert!(fixture.writer.try_write(fixture.author(), job).unwrap().is_some());
    }
    assert_eq!(blocked(&fixture), None);
    drop(reader);
}

/// SQLite refuses any checkpoint inside a transaction.
#[test]
fn a_connection_that_could_not_checkpoint_is_to_be_replaced() {
    let fixture = Fixture::new();
    let mut baton = fixture.writer.queue.try_enter().unwrap();
    baton.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    fixture.writer.log.as_ref().unwrap().make_room(&mut baton);
    assert!(baton.must_be_replaced);
    fixture.writer.queue.hand_on(baton);
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    assert_eq!(fixture.lines(), 1);
}
