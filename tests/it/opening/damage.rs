//! Damaged files: an answer with its reason, never a panic, and never a new beginning.

use std::fs;

use gatepost::audit::AuditFilter;
use gatepost::{ErrorKind, Page};
use proptest::prelude::*;

use super::Place;
use crate::world::{for_tests, one_of};

#[test]
fn a_damaged_schema_is_found_when_the_file_is_opened() {
    let place = Place::ours();
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[100..4_096].fill(0x5A);
    fs::write(&place.path, bytes).unwrap();
    place.refuses(ErrorKind::Corrupt);
}

#[test]
fn a_file_cut_short_is_damaged() {
    let place = Place::ours();
    let bytes = fs::read(&place.path).unwrap();
    for length in [100, 512, 4_095, 4_096, 40_000] {
        fs::write(&place.path, &bytes[..length]).unwrap();
        place.refuses(ErrorKind::Corrupt);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200 / one_of(4) as u32))]

    #[test]
    fn no_damage_panics(
        at in 0.0..1.0_f64,
        noise in proptest::collection::vec(any::<u8>(), 1..64),
        cut in proptest::option::of(0.0..1.0_f64),
    ) {
        let place = Place::ours();
        let mut bytes = fs::read(&place.path).unwrap();
        let begin = (at * (bytes.len() - noise.len()) as f64) as usize;
        bytes[begin..begin + noise.len()].copy_from_slice(&noise);
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        fs::write(&place.path, &bytes).unwrap();
        match place.open(for_tests()) {
            Ok(store) => {
                let _ = store.organisations().create("Southern");
                let _ = store.audit().list(&AuditFilter::new(), Page::default());
                let _ = store.audit().verify_chain(None);
                let _ = store.close();
            }
            Err(error) => prop_assert!(
                [
                    ErrorKind::Corrupt,
                    ErrorKind::NotADatabase,
                    ErrorKind::NotOurs,
                    ErrorKind::TooNew,
                    ErrorKind::Misuse,
                ]
                .contains(&error.kind()),
                "{:?}",
                error
            ),
        }
    }
}
