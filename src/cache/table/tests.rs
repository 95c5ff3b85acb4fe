use std::collections::HashMap;

use super::*;

/// Spreads numbers like a keyed hash.
fn image(number: u64) -> u128 {
    let mixed = |salt: u64| {
        let one = (number ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (one ^ (one >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (one >> 32)
    };
    (u128::from(mixed(1)) << 64) | u128::from(mixed(2))
}

fn insert(table: &Table, number: u64, value: u64) {
    table.insert(image(number), &[value; WORDS]);
}

fn find(table: &Table, number: u64) -> Option<u64> {
    let found = table.find(image(number))?;
    assert_eq!(found, [found[0]; WORDS]);
    Some(found[0])
}

#[test]
fn a_lookup_finds_the_record_inserted_last() {
    let table = Table::new(300);
    let mut model = HashMap::new();
    for step in 0..20_000_u64 {
        let number = image(step) as u64 % 600;
        insert(&table, number, step);
        model.insert(number, step);
        assert_eq!(find(&table, number), Some(step));
        let other = image(!step) as u64 % 600;
        assert!(find(&table, other).is_none_or(|value| model[&other] == value));
    }
    assert_eq!(table.len(), 300);
    assert_eq!((0..600).filter(|number| find(&table, *number).is_some()).count(), 300);
}

#[test]
fn the_table_keeps_as_many_records_as_its_bound() {
    for count in [1, 2, 20] {
        let table = Table::new(count);
        (0..count as u64).for_each(|number| insert(&table, number, number));
        assert!((0..count as u64).all(|number| find(&table, number) == Some(number)));
        insert(&table, 1_000_000, 7);
        assert_eq!((table.len(), find(&table, 1_000_000)), (count, Some(7)));
    }
    for (bound, count, least) in [(4_000, 4_000, 3_980), (112_500, 100_000, 99_950)] {
        let table = Table::new(bound);
        (0..count).for_each(|number| insert(&table, number, number));
        let found = (0..count).filter(|number| find(&table, *number) == Some(*number)).count();
        assert!(found >= least && found == table.len(), "{found} of {count}");
    }
}

#[test]
fn used_records_outlive_unused_ones() {
    let table = Table::new(100);
    (0..100).for_each(|number| insert(&table, number, 0));
    let mut lost = 0;
    for newcomer in 100..1_000 {
        for number in 0..50 {
            if find(&table, number).is_none() {
                insert(&table, number, 0);
                lost += 1;
            }
        }
        insert(&table, newcomer, 0);
    }
    assert!(table.len() == 100 && lost <= 9, "{lost} of 45,000 uses");
}

/// Images may share their slot and most of their bits.
#[test]
fn an_image_is_compared_in_full() {
    let table = Table::new(64);
    let (one, other) = (image(1), image(1) ^ (1 << 40));
    let same = image(1) ^ (1 << 64);
    for (value, image) in [one, other, same].into_iter().enumerate() {
        table.insert(image, &[value as u64; WORDS]);
    }
    for (value, image) in [one, other, same].into_iter().enumerate() {
        assert_eq!(table.find(image).unwrap(), [value as u64; WORDS]);
    }
    assert!(table.find(image(1) ^ (1 << 100)).is_none());
}

#[test]
fn readers_see_whole_records_of_their_own_image_while_others_come_and_go() {
    let table = Table::new(40);
    let writing = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (table, writing) = (&table, &writing);
            scope.spawn(move || {
                let mut step = seed;
                while writing.load(Ordering::Relaxed) {
                    let number = image(step) as u64 % 80;
                    step += 2;
                    assert!(find(table, number).is_none_or(|value| value % 80 == number));
                }
            });
        }
        for step in 0..50_000 {
            let number = image(step) as u64 % 80;
            insert(&table, number, number + 80 * step);
        }
        writing.store(false, Ordering::Relaxed);
    });
    assert_eq!(table.len(), 40);
}
