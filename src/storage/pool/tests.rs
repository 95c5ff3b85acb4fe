//! The bounds of the pool, and what a read waits for.

use std::sync::mpsc;
use std::thread;

use super::*;

fn pool() -> (tempfile::TempDir, ReadPool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("auth.db");
    assert!(super::super::guard::create(&path).unwrap());
    let writer = connection::for_writing(&path).unwrap();
    connection::use_wal(&writer).unwrap();
    writer.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").unwrap();
    (directory, ReadPool::new(path, OpenMark::new().unwrap()).unwrap())
}

/// The connections that are open will be returned, whatever another thread is about to find.
#[test]
fn a_failed_opening_beside_another_ones_waits_for_an_open_connection() {
    let (directory, pool) = pool();
    drop(directory);
    pool.shelf.lock().opening.others = 1;
    let refused = pool.take(Reader::Other, Duration::from_millis(20)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    pool.shelf.lock().opening.others = 0;
    drop(pool.take(Reader::Other, Duration::from_millis(20)).unwrap());
}

fn idle(pool: &ReadPool) -> usize {
    pool.shelf.lock().idle.len()
}

#[test]
fn no_more_are_lent_than_the_bound_and_the_next_is_busy() {
    let (_directory, pool) = pool();
    let loans: Vec<_> = (0..limits::READ_CONNECTIONS)
        .map(|_| pool.take(Reader::Verify, Duration::ZERO).unwrap())
        .collect();
    let wait = Duration::from_millis(20);
    let error = pool.take(Reader::Verify, wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable() && error.to_string().contains("after waiting"), "{error}");
    drop(loans);
    assert_eq!(idle(&pool), limits::READ_CONNECTIONS);
    drop(pool.take(Reader::Verify, Duration::ZERO).unwrap());
    assert_eq!(idle(&pool), limits::READ_CONNECTIONS);
}

#[test]
fn a_waiting_thread_gets_the_next_connection_that_is_returned() {
    let (_directory, pool) = pool();
    let mut loans: Vec<_> = (0..limits::READ_CONNECTIONS)
        .map(|_| pool.take(Reader::Verify, Duration::ZERO).unwrap())
        .collect();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.take(Reader::Verify, READ_WAIT).map(drop));
        loans.pop();
        assert!(waiting.join().unwrap().is_ok());
    });
}

#[test]
fn a_connection_inside_a_statement_or_a_transaction_is_not_kept() {
    let (_directory, pool) = pool();
    let loan = pool.take(Reader::Verify, READ_WAIT).unwrap();
    let mut statement = loan.prepare("SELECT a FROM t").unwrap();
    let mut rows = statement.query([]).unwrap();
    assert!(rows.next().unwrap().is_some());
    std::mem::forget(rows);
    std::mem::forget(statement);
    assert!(loan.is_autocommit());
    drop(loan);
    assert_eq!(idle(&pool), 1);

    let loan = pool.take(Reader::Verify, READ_WAIT).unwrap();
    loan.execute_batch("BEGIN").unwrap();
    drop(loan);
    assert_eq!((idle(&pool), pool.shelf.lock().lent.all()), (0, 0));
}

#[test]
fn the_wait_applies_to_the_file_as_well() {
    let (_directory, pool) = pool();
    drop(pool.take(Reader::Verify, limits::VERIFY_READ_WAIT).unwrap());
    let loan = pool.take(Reader::Verify, READ_WAIT).unwrap();
    let timeout = connection::pragma_value(&loan, "busy_timeout").unwrap();
    assert!((4_000..=5_000).contains(&timeout), "{timeout}");
}

/// A read must not wait twice for as long: for a connection, and then for the file.
#[test]
fn what_a_read_waited_for_a_connection_it_does_not_wait_for_the_file() {
    let (_directory, pool) = pool();
    let mut loans = take(&pool, Reader::Verify, limits::READ_CONNECTIONS);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let loan = pool.take(Reader::Verify, READ_WAIT).unwrap();
            connection::pragma_value(&loan, "busy_timeout").unwrap()
        });
        while pool.shelf.lock().waiting.verify == 0 {
            thread::yield_now();
        }
        let waited = Stopwatch::start();
        while waited.elapsed() < Duration::from_millis(20) {
            thread::yield_now();
        }
        loans.pop();
        let left = waiting.join().unwrap();
        assert!(left <= 4_980, "{left}");
    });
}

#[test]
fn closing_wakes_waiting_threads_and_keeps_no_connection() {
    let (_directory, pool) = pool();
    let loans: Vec<_> = (0..limits::READ_CONNECTIONS)
        .map(|_| pool.take(Reader::Verify, Duration::ZERO).unwrap())
        .collect();
    let (begun, begins) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            begun.send(()).unwrap();
            let waiting = Stopwatch::start();
            let reason = pool.take(Reader::Verify, READ_WAIT).unwrap_err().kind();
            (reason, waiting.elapsed())
        });
        begins.recv().unwrap();
        pool.close();
        let (reason, waited) = waiting.join().unwrap();
        assert_eq!(reason, ErrorKind::Closed);
        assert!(waited < READ_WAIT, "{waited:?}");
    });
    drop(loans);
    assert_eq!(idle(&pool), 0);
}

fn take(pool: &ReadPool, reader: Reader, count: usize) -> Vec<Loan<'_>> {
    (0..count).map(|_| pool.take(reader, Duration::ZERO).unwrap()).collect()
}

#[test]
fn two_connections_open_with_the_pool() {
    let (_directory, pool) = pool();
    assert_eq!(idle(&pool), 2);
    // One of them is left to verify.
    let other = take(&pool, Reader::Other, 1);
    assert_eq!(idle(&pool), 1);
    drop((take(&pool, Reader::Verify, 1), other));
    assert_eq!(idle(&pool), 2);
    // For a second one another is opened.
    let others = take(&pool, Reader::Other, 2);
    assert_eq!(idle(&pool), 1);
    drop(others);
    assert_eq!(idle(&pool), 3);
}

#[test]
fn reads_other_than_verify_have_half_of_the_connections() {
    let (_directory, pool) = pool();
    let half = limits::READ_CONNECTIONS / 2;
    let others = take(&pool, Reader::Other, half);
    let busy = pool.take(Reader::Other, Duration::ZERO).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    let verifies = take(&pool, Reader::Verify, half);
    drop(verifies);
    // A connection that a verify returns is not for the others either.
    assert_eq!(pool.take(Reader::Other, Duration::ZERO).unwrap_err().kind(), ErrorKind::Busy);
    drop(others);
    drop(take(&pool, Reader::Verify, limits::READ_CONNECTIONS));
}

/// Nothing more can be opened, as if the program had used up its descriptors.
fn without_more(pool: &mut ReadPool) {
    pool.path.push("nothing");
}

#[test]
fn without_descriptors_a_read_waits_for_an_open_connection_and_leaves_the_last_to_verify() {
    let (_directory, mut pool) = pool();
    without_more(&mut pool);
    let other = take(&pool, Reader::Other, 1);
    assert_eq!(pool.take(Reader::Other, Duration::ZERO).unwrap_err().kind(), ErrorKind::Busy);
    let verify = take(&pool, Reader::Verify, 1);
    assert_eq!(pool.take(Reader::Verify, Duration::ZERO).unwrap_err().kind(), ErrorKind::Busy);
    thread::scope(|scope| {
        let first = scope.spawn(|| pool.take(Reader::Other, READ_WAIT).map(drop));
        let second = scope.spawn(|| pool.take(Reader::Verify, READ_WAIT).map(drop));
        drop((other, verify));
        assert!(first.join().unwrap().is_ok() && second.join().unwrap().is_ok());
    });
}

#[test]
fn without_any_open_connection_a_read_fails_at_once() {
    let (_directory, mut pool) = pool();
    without_more(&mut pool);
    for loan in take(&pool, Reader::Verify, 2) {
        loan.execute_batch("BEGIN").unwrap();
    }
    assert_eq!(idle(&pool), 0);
    for reader in [Reader::Verify, Reader::Other] {
        let waiting = Stopwatch::start();
        assert_ne!(pool.take(reader, READ_WAIT).unwrap_err().kind(), ErrorKind::Busy);
        assert!(waiting.elapsed() < READ_WAIT);
    }
    // With room again it goes on.
    pool.path.pop();
    drop(take(&pool, Reader::Verify, 1));
}

#[test]
fn a_verify_does_not_wait_behind_other_reads() {
    let (_directory, pool) = pool();
    let mut others = take(&pool, Reader::Other, limits::READ_CONNECTIONS / 2);
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| pool.take(Reader::Other, READ_WAIT).map(drop)))
            .collect();
        while pool.shelf.lock().waiting.others < 4 {
            thread::yield_now();
        }
        for _ in 0..100 {
            drop(take(&pool, Reader::Verify, 4));
        }
        others.clear();
        assert!(waiting.into_iter().all(|one| one.join().unwrap().is_ok()));
    });
}
