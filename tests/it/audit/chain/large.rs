//! Every bit of a small log, and thousands of edits of a large one.

use rusqlite::types::Value;

use super::{Dice, Log, edit};
use crate::world::one_of;

/// Each bit and edit takes a check of the whole log.
const ONE_OF: usize = one_of(8);

/// One log is longer than what is checked in one snapshot; most edits are made to a shorter one,
/// because each is followed by a check of the whole log.
#[test]
fn each_of_five_thousand_edits_of_a_large_log_is_found() {
    for (rounds, rows, edits) in [(150, 302, 2_448), (520, 1_042, 56)] {
        std::thread::scope(|scope| {
            for seed in 0..2 {
                scope.spawn(move || {
                    let log = Log::with_rounds(rounds);
                    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
                    let mut found = 0;
                    while found < edits / ONE_OF {
                        found += usize::from(log.finds(&edit(&mut dice, rows)));
                    }
                });
            }
        });
    }
}

/// Each bit of each value that the rows of the log have, one at a time; a NULL has none.
#[test]
fn each_single_bit_of_a_log_of_fifty_rows_is_found() {
    let halves = std::thread::scope(|scope| {
        let halves = [1..=25, 26..=50].map(|rows| scope.spawn(|| flip_all(rows)));
        halves.map(|half| half.join().unwrap())
    });
    let bits: usize = halves.iter().sum();
    assert!(bits > 64_000 / ONE_OF, "{bits} bits");
}

fn flip_all(rows: std::ops::RangeInclusive<i64>) -> usize {
    let log = Log::with_rounds(24);
    log.hand.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let mut columns = log.hand.prepare("SELECT name FROM pragma_table_info('audit')").unwrap();
    let columns = columns.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let columns: Vec<String> = columns.map(|name| name.unwrap()).collect();
    assert_eq!(columns.len(), 22);
    let mut bits = 0;
    for seq in rows {
        for column in &columns {
            bits += flip_each_bit(&log, column, seq);
        }
    }
    assert!(log.store().audit().verify_chain(None).unwrap().is_intact());
    bits
}

fn flip_each_bit(log: &Log, column: &str, seq: i64) -> usize {
    let read = format!("SELECT {column} FROM audit WHERE seq = ?1");
    let value: Value = log.hand.query_row(&read, [seq], |row| row.get(0)).unwrap();
    let bytes = match &value {
        Value::Null => return 0,
        Value::Integer(number) => number.to_be_bytes().to_vec(),
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Blob(bytes) => bytes.clone(),
        Value::Real(_) => panic!("a strict table has no such value"),
    };
    let write = match &value {
        Value::Text(_) => format!("UPDATE audit SET {column} = CAST(?2 AS TEXT) WHERE seq = ?1"),
        _ => format!("UPDATE audit SET {column} = ?2 WHERE seq = ?1"),
    };
    let write = |key: i64, value: Value| {
        let mut statement = log.hand.prepare_cached(&write).unwrap();
        assert_eq!(statement.execute(rusqlite::params![key, value]).unwrap(), 1);
    };
    let changed = |bytes: &[u8]| match &value {
        Value::Integer(_) => Value::Integer(i64::from_be_bytes(bytes.try_into().unwrap())),
        _ => Value::Blob(bytes.to_vec()),
    };
    let mut flipped = 0;
    for bit in (0..bytes.len() * 8).step_by(ONE_OF) {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let key = match changed(&other) {
            // Another row may have that number: then the file refuses the edit.
            Value::Integer(number) if column == "seq" && (1..=50).contains(&number) => continue,
            Value::Integer(number) if column == "seq" => number,
            _ => seq,
        };
        write(seq, changed(&other));
        let found = log.store().audit().verify_chain(None).unwrap();
        assert!(!found.is_intact(), "row {seq}, {column}, bit {bit}");
        write(key, if column == "seq" { Value::Integer(seq) } else { changed(&bytes) });
        flipped += 1;
    }
    flipped
}
