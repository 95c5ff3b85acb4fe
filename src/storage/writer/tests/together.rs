//! Several threads in one group commit.

use super::*;

/// Runs `jobs` behind a leader whose job returns once all of them are queued, in their order.
fn behind_a_leader(
    fixture: &Fixture,
    jobs: Vec<Job>,
) -> (Result<usize>, Vec<thread::Result<Result<i64>>>) {
    let number = jobs.len();
    thread::scope(|scope| {
        let leader = scope.spawn(move || fixture.lead_until(number));
        while !fixture.writer.queue.is_out() {
            thread::yield_now();
        }
        let members: Vec<_> = jobs
            .into_iter()
            .enumerate()
            .map(|(at, job)| {
                fixture.until_waiting(at);
                scope.spawn(move || catch_unwind(AssertUnwindSafe(|| fixture.write(job))))
            })
            .collect();
        let answers = members.into_iter().map(|member| member.join().unwrap()).collect();
        (leader.join().unwrap(), answers)
    })
}

type Job = Box<dyn FnOnce(&WriteTx<'_>) -> Result<Finished<i64>> + Send>;

/// Inserts a line, then returns the result of `ends`.
fn inserts(line: i64, ends: fn(i64) -> Result<Finished<i64>>) -> Job {
    Box::new(move |tx| {
        insert_line(tx, line)?;
        ends(line)
    })
}

fn writes(line: i64) -> Job {
    inserts(line, |line| Ok(Finished::Commit(line)))
}

fn fails(line: i64) -> Job {
    inserts(line, |_| Err(Error::taken("a test")))
}

fn comes_to_nothing(line: i64) -> Job {
    inserts(line, |line| Ok(Finished::Nothing(line)))
}

fn panics(line: i64) -> Job {
    inserts(line, |_| panic!("in the middle of a group"))
}

/// Rolls the transaction back, as SQLite itself does after some errors.
fn loses_the_transaction() -> Job {
    Box::new(|tx| {
        tx.execute("ROLLBACK", [])?;
        Ok(Finished::Commit(0))
    })
}

fn stored(fixture: &Fixture) -> Vec<i64> {
    let sql = "SELECT line FROM note ORDER BY line";
    fixture
        .writer
        .borrow(|one| {
            let mut statement = one.prepare(sql).map_err(fault)?;
            let rows = statement.query_map([], |row| row.get(0)).map_err(fault)?;
            rows.collect::<rusqlite::Result<_>>().map_err(fault)
        })
        .unwrap()
}

#[test]
fn queued_writes_share_a_commit_and_each_gets_its_own_value() {
    let fixture = Fixture::new();
    let (leader, answers) = behind_a_leader(&fixture, (10..20).map(writes).collect());
    assert_eq!(leader.unwrap(), 1);
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(values, Vec::from_iter(10..20));
    let (writes, commits) = fixture.writer.counts();
    assert_eq!(writes, 11);
    // The leader may have waited for longer than a group may be joined.
    assert!(commits < 6, "{commits}");
}

#[test]
fn writes_are_applied_in_the_order_of_the_queue() {
    let fixture = Fixture::new();
    drop(behind_a_leader(&fixture, [5, 3, 9, 4].into_iter().map(writes).collect()));
    let sql = "SELECT group_concat(line) FROM (SELECT line FROM note ORDER BY rowid)";
    let order: String = fixture
        .writer
        .borrow(|one| one.query_row(sql, [], |row| row.get(0)).map_err(fault))
        .unwrap();
    assert_eq!(order, "1,5,3,9,4");
}

#[test]
fn a_failure_of_one_member_does_not_affect_the_others() {
    let fixture = Fixture::new();
    let jobs =
        vec![writes(10), fails(11), writes(12), comes_to_nothing(13), panics(14), writes(15)];
    let (leader, answers) = behind_a_leader(&fixture, jobs);
    assert!(leader.is_ok());
    let results: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|value| value.map_err(|error| error.kind())).map_err(drop))
        .collect();
    let expected =
        [Ok(Ok(10)), Ok(Err(ErrorKind::Taken)), Ok(Ok(12)), Ok(Ok(13)), Err(()), Ok(Ok(15))];
    assert_eq!(results, expected);
    assert_eq!(stored(&fixture), [1, 10, 12, 15]);
    assert!(!fixture.writer.is_held_here());
}

#[test]
fn the_last_member_may_be_the_one_that_fails() {
    for last in [fails(11), comes_to_nothing(11), panics(11)] {
        let fixture = Fixture::new();
        let (leader, answers) = behind_a_leader(&fixture, vec![writes(10), last]);
        assert!(leader.is_ok());
        assert_eq!(answers.into_iter().next().unwrap().unwrap().unwrap(), 10);
        assert_eq!(stored(&fixture), [1, 10]);
        fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    }
}

#[test]
fn a_group_that_wrote_nothing_is_not_committed() {
    let fixture = Fixture::new();
    let data_version = |fixture: &Fixture| {
        let other = connection::for_reading(fixture.path()).unwrap();
        connection::pragma_value(&other, "data_version").unwrap()
    };
    let before = data_version(&fixture);
    fixture.write(|tx| Ok(Finished::Nothing(insert(tx)?))).unwrap();
    assert_eq!((fixture.writer.counts(), data_version(&fixture)), ((0, 0), before));
}

/// SQLite rolls a transaction back by itself after some errors. Every member so far fails, and the
/// next one begins another transaction.
#[test]
fn a_transaction_rolled_back_by_sqlite_fails_its_members_and_no_later_write() {
    let fixture = Fixture::new();
    let jobs = vec![writes(10), loses_the_transaction(), writes(12), writes(13)];
    let (leader, answers) = behind_a_leader(&fixture, jobs);
    let results: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().map_err(|error| error.kind())).collect();
    // The leader may have been alone in its group.
    match leader.map_err(|error| error.kind()) {
        Err(ErrorKind::Io) => assert_eq!(stored(&fixture), [12, 13]),
        Ok(_) => assert_eq!(stored(&fixture), [1, 12, 13]),
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(results, [Err(ErrorKind::Io), Err(ErrorKind::Io), Ok(12), Ok(13)]);
}

/// A time, a head or a watermark that was read before the turn of the member would be wrong.
#[test]
fn each_member_reads_the_time_and_the_head_in_its_own_turn() {
    let fixture = Fixture::new();
    let reads = || -> Job {
        Box::new(|tx| {
            let ending = tx.revoking_seq()?;
            tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
            assert_eq!(tx.head()?, ending);
            Ok(Finished::Commit(ending))
        })
    };
    let undone = || -> Job {
        Box::new(|tx| {
            tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
            Ok(Finished::Nothing(tx.revoking_seq()?))
        })
    };
    let jobs = vec![reads(), reads(), undone(), reads()];
    let (_, answers) = behind_a_leader(&fixture, jobs);
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(values, [2, 3, 5, 4]);
}

#[test]
fn a_write_beyond_the_bound_of_the_queue_is_busy_at_once() {
    let fixture = Fixture::with(2);
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let writer = &fixture;
        let leader = scope.spawn(move || {
            writer.write(|tx| {
                is_done.recv().unwrap();
                insert(tx).map(Finished::Commit)
            })
        });
        while !fixture.writer.queue.is_out() {
            thread::yield_now();
        }
        let others: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| fixture.write(|tx| insert(tx).map(Finished::Commit))))
            .collect();
        fixture.until_waiting(2);
        let waiting = Stopwatch::start();
        let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
        assert!(error.kind() == ErrorKind::Busy && waiting.elapsed() < limits::WRITE_WAIT);
        done.send(()).unwrap();
        assert!(leader.join().unwrap().is_ok());
        assert!(others.into_iter().all(|other| other.join().unwrap().is_ok()));
    });
}

#[test]
fn a_group_is_joined_by_no_more_than_its_bound() {
    let fixture = Fixture::new();
    let number = limits::GROUP_MEMBERS_MAX as usize + 8;
    let (_, answers) = behind_a_leader(&fixture, (0..number as i64).map(writes).collect());
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_ok()));
    let (writes, commits) = fixture.writer.counts();
    assert_eq!(writes, number as u64 + 1);
    assert!(commits >= 2, "{commits}");
}

/// A thread that gives up at the moment the baton is sent to it must take it, or the baton is
/// lost.
#[test]
fn giving_up_and_being_handed_the_baton_at_once_loses_neither() {
    let fixture = Fixture::new();
    let written = AtomicU64::new(0);
    let given_up = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (fixture, written, given_up) = (&fixture, &written, &given_up);
            scope.spawn(move || {
                for turn in 0..300_u64 {
                    let wait = Duration::from_micros((turn * 37 + thread * 11) % 400);
                    let job = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
                    match fixture.writer.write(fixture.author(), wait, job) {
                        Ok(_) => written.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Busy);
                            given_up.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    let (written, given_up) = (written.into_inner(), given_up.into_inner());
    assert_eq!(written + given_up, 2_400);
    assert!(written > 0 && given_up > 0, "{written} written, {given_up} given up");
    assert_eq!(fixture.lines() as u64, written);
    assert_eq!(fixture.writer.queue.waiting(), 0);
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
}

/// The same at the critical moment: the waiter is out of the queue, the baton is on its way, and
/// the wait is over.
#[test]
fn a_baton_on_its_way_is_taken_though_the_time_is_over() {
    let fixture = Fixture::new();
    let baton = fixture.writer.queue.try_enter().unwrap();
    let short = Duration::from_millis(1);
    let job = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
    thread::scope(|scope| {
        // The waiter is taken out of the queue in time, and gets the baton when its wait is over.
        let waits = Stopwatch::start();
        let late = scope.spawn(|| fixture.writer.write(fixture.author(), short * 200, job));
        fixture.until_waiting(1);
        let waiter = fixture.writer.queue.call_next().unwrap();
        while waits.elapsed() < short * 300 {
            thread::yield_now();
        }
        waiter.hand(Handed::Lead(baton));
        // It begins a transaction and finds the file free.
        assert!(late.join().unwrap().is_ok());
    });
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
}

#[test]
fn a_write_without_wait_neither_joins_nor_is_joined() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        let fixture = &fixture;
        let other = fixture.writer.try_write(fixture.author(), |tx| {
            let behind = scope.spawn(move || fixture.write(|tx| insert(tx).map(Finished::Commit)));
            fixture.until_waiting(1);
            insert(tx)?;
            Ok(Finished::Commit(behind))
        });
        // It has returned although the write behind it has only begun.
        other.unwrap().unwrap().join().unwrap().unwrap();
    });
    assert_eq!(fixture.writer.counts(), (2, 2));
}

#[test]
fn queued_writes_fail_with_closed_when_the_writer_closes() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        let fixture = &fixture;
        let leader = scope.spawn(move || fixture.lead_until(2));
        while !fixture.writer.queue.is_out() {
            thread::yield_now();
        }
        let closes = scope.spawn(|| fixture.writer.close());
        fixture.until_waiting(1);
        let late = scope.spawn(|| fixture.write(|tx| insert(tx).map(Finished::Commit)));
        assert!(leader.join().unwrap().is_ok());
        assert!(closes.join().unwrap().is_ok());
        assert_eq!(late.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
}
