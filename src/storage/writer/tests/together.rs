//! Several threads in one group.

use super::*;

/// Runs `jobs` behind a leader that waits until all of them are in line, in their order.
fn behind_a_leader(
    desk: &Desk,
    jobs: Vec<Job>,
) -> (Result<usize>, Vec<thread::Result<Result<i64>>>) {
    let number = jobs.len();
    thread::scope(|scope| {
        let leader = scope.spawn(move || desk.lead_until(number));
        while !desk.writer.line.is_out() {
            thread::yield_now();
        }
        let members: Vec<_> = jobs
            .into_iter()
            .enumerate()
            .map(|(at, job)| {
                desk.until_waiting(at);
                scope.spawn(move || catch_unwind(AssertUnwindSafe(|| desk.write(job))))
            })
            .collect();
        let answers = members.into_iter().map(|member| member.join().unwrap()).collect();
        (leader.join().unwrap(), answers)
    })
}

type Job = Box<dyn FnOnce(&WriteTx<'_>) -> Result<Settled<i64>> + Send>;

/// Inserts a line, and then ends like that.
fn inserts(line: i64, ends: fn(i64) -> Result<Settled<i64>>) -> Job {
    Box::new(move |tx| {
        insert_line(tx, line)?;
        ends(line)
    })
}

fn writes(line: i64) -> Job {
    inserts(line, |line| Ok(Settled::Commit(line)))
}

fn fails(line: i64) -> Job {
    inserts(line, |_| Err(Error::taken("a test")))
}

fn comes_to_nothing(line: i64) -> Job {
    inserts(line, |line| Ok(Settled::Nothing(line)))
}

fn panics(line: i64) -> Job {
    inserts(line, |_| panic!("in the middle of a group"))
}

/// What SQLite does by itself after some errors.
fn loses_the_transaction() -> Job {
    Box::new(|tx| {
        tx.execute("ROLLBACK", [])?;
        Ok(Settled::Commit(0))
    })
}

fn stored(desk: &Desk) -> Vec<i64> {
    let sql = "SELECT line FROM note ORDER BY line";
    desk.writer
        .borrow(|one| {
            let mut statement = one.prepare(sql).map_err(fault)?;
            let rows = statement.query_map([], |row| row.get(0)).map_err(fault)?;
            rows.collect::<rusqlite::Result<_>>().map_err(fault)
        })
        .unwrap()
}

#[test]
fn those_in_line_share_a_commit_and_each_gets_its_own_value() {
    let desk = Desk::new();
    let (leader, answers) = behind_a_leader(&desk, (10..20).map(writes).collect());
    assert_eq!(leader.unwrap(), 1);
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(values, Vec::from_iter(10..20));
    let (writes, commits) = desk.writer.counts();
    assert_eq!(writes, 11);
    // The leader may have waited for the others for longer than a group is joined.
    assert!(commits < 6, "{commits}");
}

#[test]
fn the_order_of_the_line_is_the_order_of_the_file() {
    let desk = Desk::new();
    drop(behind_a_leader(&desk, [5, 3, 9, 4].into_iter().map(writes).collect()));
    let sql = "SELECT group_concat(line) FROM (SELECT line FROM note ORDER BY rowid)";
    let order: String =
        desk.writer.borrow(|one| one.query_row(sql, [], |row| row.get(0)).map_err(fault)).unwrap();
    assert_eq!(order, "1,5,3,9,4");
}

#[test]
fn what_fails_of_one_member_is_nobody_elses() {
    let desk = Desk::new();
    let jobs =
        vec![writes(10), fails(11), writes(12), comes_to_nothing(13), panics(14), writes(15)];
    let (leader, answers) = behind_a_leader(&desk, jobs);
    assert!(leader.is_ok());
    let told: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|value| value.map_err(|error| error.reason())).map_err(drop))
        .collect();
    let expected =
        [Ok(Ok(10)), Ok(Err(Reason::Taken)), Ok(Ok(12)), Ok(Ok(13)), Err(()), Ok(Ok(15))];
    assert_eq!(told, expected);
    assert_eq!(stored(&desk), [1, 10, 12, 15]);
    assert!(!desk.writer.is_held_here());
}

#[test]
fn the_last_member_may_be_the_one_that_fails() {
    for last in [fails(11), comes_to_nothing(11), panics(11)] {
        let desk = Desk::new();
        let (leader, answers) = behind_a_leader(&desk, vec![writes(10), last]);
        assert!(leader.is_ok());
        assert_eq!(answers.into_iter().next().unwrap().unwrap().unwrap(), 10);
        assert_eq!(stored(&desk), [1, 10]);
        desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    }
}

#[test]
fn a_group_that_wrote_nothing_is_not_committed() {
    let desk = Desk::new();
    let data_version = |desk: &Desk| {
        let other = connection::for_reading(desk.path()).unwrap();
        connection::pragma_value(&other, "data_version").unwrap()
    };
    let before = data_version(&desk);
    desk.write(|tx| Ok(Settled::Nothing(insert(tx)?))).unwrap();
    assert_eq!((desk.writer.counts(), data_version(&desk)), ((0, 0), before));
}

/// SQLite itself ends a transaction on some errors. Who wrote in it so far is told that nothing
/// holds; who comes later begins another.
#[test]
fn a_transaction_that_was_lost_takes_along_who_was_in_it_and_nobody_behind() {
    let desk = Desk::new();
    let jobs = vec![writes(10), loses_the_transaction(), writes(12), writes(13)];
    let (leader, answers) = behind_a_leader(&desk, jobs);
    let told: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().map_err(|error| error.reason()))
        .collect();
    // The leader may have been alone in its group.
    match leader.map_err(|error| error.reason()) {
        Err(Reason::Io) => assert_eq!(stored(&desk), [12, 13]),
        Ok(_) => assert_eq!(stored(&desk), [1, 12, 13]),
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(told, [Err(Reason::Io), Err(Reason::Io), Ok(12), Ok(13)]);
}

/// A time, a number and a watermark that were read before the own turn would be wrong.
#[test]
fn each_member_reads_the_time_and_the_head_in_its_own_turn() {
    let desk = Desk::new();
    let reads = || -> Job {
        Box::new(|tx| {
            let ending = tx.ending_seq()?;
            tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
            assert_eq!(tx.head()?, ending);
            Ok(Settled::Commit(ending))
        })
    };
    let undone = || -> Job {
        Box::new(|tx| {
            tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
            Ok(Settled::Nothing(tx.ending_seq()?))
        })
    };
    let jobs = vec![reads(), reads(), undone(), reads()];
    let (_, answers) = behind_a_leader(&desk, jobs);
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(values, [2, 3, 5, 4]);
}

#[test]
fn more_in_line_than_the_bound_are_busy_at_once() {
    let desk = Desk::with(2);
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let writer = &desk;
        let leader = scope.spawn(move || {
            writer.write(|tx| {
                is_done.recv().unwrap();
                insert(tx).map(Settled::Commit)
            })
        });
        while !desk.writer.line.is_out() {
            thread::yield_now();
        }
        let others: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| desk.write(|tx| insert(tx).map(Settled::Commit))))
            .collect();
        desk.until_waiting(2);
        let waiting = Stopwatch::start();
        let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert!(error.reason() == Reason::Busy && waiting.elapsed() < limits::WRITE_WAIT);
        done.send(()).unwrap();
        assert!(leader.join().unwrap().is_ok());
        assert!(others.into_iter().all(|other| other.join().unwrap().is_ok()));
    });
}

#[test]
fn a_group_is_joined_by_no_more_than_its_bound() {
    let desk = Desk::new();
    let number = limits::GROUP_MEMBERS_MAX as usize + 8;
    let (_, answers) = behind_a_leader(&desk, (0..number as i64).map(writes).collect());
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_ok()));
    let (writes, commits) = desk.writer.counts();
    assert_eq!(writes, number as u64 + 1);
    assert!(commits >= 2, "{commits}");
}

/// Whoever gives up just when the baton is sent to it must take it, or nobody ever would.
#[test]
fn giving_up_and_being_handed_the_baton_at_once_loses_neither() {
    let desk = Desk::new();
    let written = AtomicU64::new(0);
    let given_up = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (desk, written, given_up) = (&desk, &written, &given_up);
            scope.spawn(move || {
                for turn in 0..300_u64 {
                    let wait = Duration::from_micros((turn * 37 + thread * 11) % 400);
                    let job = |tx: &WriteTx<'_>| insert(tx).map(Settled::Commit);
                    match desk.writer.write(desk.author(), wait, job) {
                        Ok(_) => written.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert_eq!(error.reason(), Reason::Busy);
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
    assert_eq!(desk.lines() as u64, written);
    assert_eq!(desk.writer.line.waiting(), 0);
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
}

/// The same, held at the one moment that matters: it is out of the queue, the baton is on its way,
/// and its time is over.
#[test]
fn a_baton_on_its_way_is_taken_though_the_time_is_over() {
    let desk = Desk::new();
    let baton = desk.writer.line.try_enter().unwrap();
    let short = Duration::from_millis(1);
    let job = |tx: &WriteTx<'_>| insert(tx).map(Settled::Commit);
    thread::scope(|scope| {
        // The first waits long enough to be called, and is called when its time is over.
        let waits = Stopwatch::start();
        let late = scope.spawn(|| desk.writer.write(desk.author(), short * 200, job));
        desk.until_waiting(1);
        let seat = desk.writer.line.call_next().unwrap();
        while waits.elapsed() < short * 300 {
            thread::yield_now();
        }
        seat.hand(Handed::Lead(baton));
        // It leads, and finds that the file is free.
        assert!(late.join().unwrap().is_ok());
    });
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
}

#[test]
fn one_that_would_not_wait_neither_joins_nor_is_joined() {
    let desk = Desk::new();
    thread::scope(|scope| {
        let desk = &desk;
        let other = desk.writer.try_write(desk.author(), |tx| {
            let behind = scope.spawn(move || desk.write(|tx| insert(tx).map(Settled::Commit)));
            desk.until_waiting(1);
            insert(tx)?;
            Ok(Settled::Commit(behind))
        });
        // It is answered though the one behind it has only begun.
        other.unwrap().unwrap().join().unwrap().unwrap();
    });
    assert_eq!(desk.writer.counts(), (2, 2));
}

#[test]
fn those_in_line_when_the_writer_closes_are_told_so() {
    let desk = Desk::new();
    thread::scope(|scope| {
        let desk = &desk;
        let leader = scope.spawn(move || desk.lead_until(2));
        while !desk.writer.line.is_out() {
            thread::yield_now();
        }
        let closes = scope.spawn(|| desk.writer.close());
        desk.until_waiting(1);
        let late = scope.spawn(|| desk.write(|tx| insert(tx).map(Settled::Commit)));
        assert!(leader.join().unwrap().is_ok());
        assert!(closes.join().unwrap().is_ok());
        assert_eq!(late.join().unwrap().unwrap_err().reason(), Reason::Closed);
    });
}
