//! The log, which readers may hold and which is cut back all the same.

use super::*;

/// Writes until the log is at least so long.
fn grow(desk: &Desk, bytes: i64) {
    while desk.writer.log_bytes() <= u64::try_from(bytes).unwrap() {
        desk.write(|tx| insert_many(tx).map(Settled::Commit)).unwrap();
    }
}

fn reader(desk: &Desk) -> Connection {
    let reader = connection::for_reading(desk.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM note").unwrap();
    reader
}

fn blocked(desk: &Desk) -> Option<Duration> {
    let baton = desk.writer.line.try_enter().unwrap();
    let blocked = baton.blocked.map(Stopwatch::elapsed);
    assert!(!baton.is_worn, "a reader is no fault of the connection");
    desk.writer.line.hand_on(baton);
    blocked
}

#[test]
fn a_log_that_nobody_holds_is_cut_back_by_the_next_commit() {
    let desk = Desk::new();
    grow(&desk, limits::WAL_KEPT_BYTES);
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    assert!(desk.writer.log_bytes() <= u64::try_from(limits::WAL_KEPT_BYTES).unwrap());
    assert_eq!(blocked(&desk), None);
}

/// One that never lets go is waited for now and then, and its log is cut back when it has let go.
#[test]
fn a_reader_that_does_not_let_go_is_waited_for_once_and_then_left_alone() {
    let desk = Desk::new();
    let reader = reader(&desk);
    grow(&desk, limits::WAL_KEPT_BYTES);
    assert_eq!(blocked(&desk), None, "nobody is waited for before the log is long");
    grow(&desk, limits::WAL_LONG_BYTES);
    assert!(blocked(&desk).is_some());
    let since = Stopwatch::start();
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    let (waited, since) = (blocked(&desk).unwrap(), since.elapsed());
    assert!(waited >= since || waited + limits::WAL_READERS_RETRY <= since, "waited for anew");
    drop(reader);
    for _ in 0..2 {
        desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    }
    assert!(desk.writer.log_bytes() <= u64::try_from(limits::WAL_KEPT_BYTES).unwrap());
}

/// It writes on behalf of a verify, whose answer must not wait.
#[test]
fn a_write_that_would_not_wait_waits_for_no_reader() {
    let desk = Desk::new();
    let reader = reader(&desk);
    while desk.writer.log_bytes() <= u64::try_from(limits::WAL_LONG_BYTES).unwrap() {
        let job = |tx: &WriteTx<'_>| insert_many(tx).map(Settled::Commit);
        assert!(desk.writer.try_write(desk.author(), job).unwrap().is_some());
    }
    assert_eq!(blocked(&desk), None);
    drop(reader);
}

/// One that cannot be checkpointed at all: SQLite refuses it inside of a transaction.
#[test]
fn a_connection_that_could_not_checkpoint_is_marked_as_worn() {
    let desk = Desk::new();
    let mut baton = desk.writer.line.try_enter().unwrap();
    baton.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    desk.writer.log.as_ref().unwrap().make_room(&mut baton);
    assert!(baton.is_worn);
    desk.writer.line.hand_on(baton);
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    assert_eq!(desk.lines(), 1);
}
