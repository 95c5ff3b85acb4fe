//! Closing, and a thread that writes while it writes.

use super::*;
use crate::value::random::SystemRandom;

fn storage() -> Storage {
    Storage::in_memory(None, Arc::new(SystemRandom), true).unwrap()
}

#[test]
fn a_store_is_not_closed_inside_a_write_of_its_own() {
    let storage = storage();
    storage
        .write(&Actor::Host, |_| {
            assert_eq!(storage.close().unwrap_err().reason(), Reason::Misuse);
            Ok(Settled::Commit(()))
        })
        .unwrap();
    assert!(!storage.is_closed());
    storage.read(|tx| tx.head()).unwrap();
}

#[test]
fn a_closed_store_answers_nothing_else() {
    let storage = storage();
    storage.close().unwrap();
    storage.close().unwrap();
    let write = storage.write(&Actor::Host, |tx| tx.head().map(Settled::Commit)).map(drop);
    let read = storage.read(|tx| tx.head()).map(drop);
    let select = storage.select_one(Duration::ZERO, "SELECT 1", [], |row| row.get::<_, i64>(0));
    for refused in [write, read, select.map(drop)] {
        assert_eq!(refused.unwrap_err().reason(), Reason::Closed);
    }
}

/// One that begins before the close, and waits for the writer, finds it gone.
#[test]
fn a_write_that_waited_for_the_close_is_refused() {
    let storage = storage();
    let (inside, is_inside) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let storage = &storage;
        let first = scope.spawn(move || {
            storage.write(&Actor::Host, |tx| {
                inside.send(()).unwrap();
                // Until the other thread has asked for the close.
                while !storage.is_closed() {
                    std::thread::yield_now();
                }
                tx.head().map(Settled::Commit)
            })
        });
        is_inside.recv().unwrap();
        storage.close().unwrap();
        assert!(first.join().unwrap().is_ok(), "what had begun ends as it would have");
        assert_eq!(storage.read(|tx| tx.head()).unwrap_err().reason(), Reason::Closed);
    });
}
