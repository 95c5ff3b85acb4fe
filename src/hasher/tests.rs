use std::collections::HashSet;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::value::random::SystemRandom;

/// From the tests of the reference implementation (phc-winner-argon2, `test.c`).
const REFERENCE: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
    CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn cheap() -> Hasher {
    Hasher::new(Cost::insecure_for_tests(), 1, 0)
}

#[track_caller]
fn admitted(hasher: &Hasher) -> Ticket<'_> {
    match hasher.admit(now()) {
        Admission::Admitted(ticket) => ticket,
        Admission::Overloaded { .. } => panic!("no other caller hashes here"),
    }
}

fn password(text: &str) -> Password {
    Password::from(text)
}

#[track_caller]
fn hash(hasher: &Hasher, text: &str) -> String {
    admitted(hasher).hash(&password(text), &SystemRandom).unwrap().as_str().to_owned()
}

#[track_caller]
fn matches(hasher: &Hasher, text: &str, stored: &str) -> bool {
    admitted(hasher).verify(&password(text), stored, true).unwrap().matches
}

#[test]
fn argon2id_computes_the_vector_of_rfc_9106() {
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let slots = Slots::new(1, 32);
    let (mut tag, mut slot) = ([0; 32], slots.wait(now()));
    let memory = slot.memory(32).unwrap();
    argon2.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, memory).unwrap();
    let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    assert_eq!(data_encoding::HEXLOWER.encode(&tag), expected);
}

#[test]
fn a_hash_of_the_reference_implementation_is_accepted_and_verifies() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    hasher.import(REFERENCE).unwrap();
    assert!(matches(&hasher, "password", REFERENCE));
    assert!(!matches(&hasher, "Password", REFERENCE));
}

/// Made by the reference implementation with the defaults of other frameworks: Django has eight
/// lanes, and others as many as the machine has cores.
#[test]
fn a_hash_of_other_frameworks_with_up_to_16_lanes_is_accepted_and_verifies() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    for stored in [
        "$argon2id$v=19$m=102400,t=2,p=8$YzhzYWx0MTZieXRlcy4ueA$\
         jlRkRJN7KxbD35Vs9UjMvA/UhFNw9t4ag55PqEwE/8U",
        "$argon2id$v=19$m=65536,t=1,p=16$YzhzYWx0MTZieXRlcy4ueA$\
         FndYiWydZEWcZtI01gnrAnZVCvGCDg+FzVOhp9mgqX0",
    ] {
        hasher.import(stored).unwrap();
        assert!(matches(&hasher, "password", stored));
        assert!(!matches(&hasher, "Password", stored));
    }
    // The default of Spring Security: 16 MiB and two passes are below the floor.
    let weak = "$argon2id$v=19$m=16384,t=2,p=1$YzhzYWx0MTZieXRlcy4ueA$\
                jlRkRJN7KxbD35Vs9UjMvA/UhFNw9t4ag55PqEwE/8U";
    assert!(hasher.import(weak).unwrap_err().to_string().contains("below the floor"));
}

#[test]
fn a_password_verifies_and_no_other_does() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    let stored = hash(&hasher, "correct horse battery staple");
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(matches(&hasher, "correct horse battery staple", &stored));
    assert!(!matches(&hasher, "correct horse battery stapl", &stored));
    assert!(!matches(&hasher, "correct horse battery staple ", &stored));
}

#[test]
fn every_byte_of_a_long_password_counts() {
    let hasher = cheap();
    let long = "x".repeat(3_999);
    let stored = hash(&hasher, &format!("{long}a"));
    assert!(matches(&hasher, &format!("{long}a"), &stored));
    assert!(!matches(&hasher, &format!("{long}b"), &stored));
}

#[test]
fn a_password_beyond_4096_bytes_is_refused_without_hashing() {
    let hasher = cheap();
    let stored = hash(&hasher, &"x".repeat(4_096));
    assert!(matches(&hasher, &"x".repeat(4_096), &stored));
    let before = hasher.status().evaluations;
    for bytes in [4_097, 1_000_000] {
        let long = password(&"x".repeat(bytes));
        let ticket = admitted(&hasher);
        assert_eq!(ticket.hash(&long, &SystemRandom).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(ticket.verify(&long, &stored, true).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(
            ticket.verify(&long, &hasher.stand_in, false).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    assert_eq!(hasher.status().evaluations, before);
}

#[test]
fn composed_and_decomposed_letters_are_the_same_password_and_cases_are_not() {
    let hasher = cheap();
    let stored = hash(&hasher, "caf\u{e9} ros\u{e9}");
    assert!(matches(&hasher, "cafe\u{301} rose\u{301}", &stored));
    assert!(!matches(&hasher, "Caf\u{e9} ros\u{e9}", &stored));
    // NFKC would make these equal; NFC does not.
    assert!(!matches(&hasher, "\u{ff41}bcdefgh", &hash(&hasher, "abcdefgh")));
}

#[test]
fn normalising_never_needs_more_room_than_was_reserved() {
    // U+1D160 grows threefold, the most that NFC can do.
    for text in ["\u{1d160}".repeat(1_024), "\u{fb2c}".repeat(1_365), "a".repeat(4_096)] {
        let nfc = normalised(&password(&text)).unwrap();
        assert!(nfc.len() <= 3 * text.len());
        assert_eq!(nfc.capacity(), 3 * text.len());
    }
}

#[test]
fn each_answer_costs_exactly_one_evaluation() {
    let hasher = cheap();
    let stored = hash(&hasher, "a password");
    assert_eq!(hasher.status().evaluations, 1);
    assert!(matches(&hasher, "a password", &stored));
    assert!(!matches(&hasher, "another one", &stored));
    assert!(!matches(&hasher, "", &stored));
    assert_eq!(hasher.status().evaluations, 4);
    let none = admitted(&hasher).verify(&password("a password"), &hasher.stand_in, false).unwrap();
    assert_eq!(none, Verification { matches: false, needs_upgrade: false });
    let none = admitted(&hasher).verify(&password(""), &hasher.stand_in, false).unwrap();
    assert!(!none.matches);
    assert_eq!(hasher.status().evaluations, 6);
}

#[test]
fn an_empty_password_is_never_hashed_and_never_matches() {
    let hasher = cheap();
    let error = admitted(&hasher).hash(&password(""), &SystemRandom).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let salt = vec![1; HASH_SALT_BYTES];
    let mut output = Zeroizing::new(vec![0; HASH_OUTPUT_BYTES]);
    let algorithm = HashAlgorithm::own(hasher.cost);
    hasher.evaluate(algorithm, "", &salt, &mut output, now()).unwrap();
    let normalisation = Normalisation::Nfc;
    let of_nothing = Stored { algorithm, normalisation, salt, output }.write();
    assert!(!matches(&hasher, "", &of_nothing));
}

#[test]
fn a_stored_hash_over_the_limits_takes_no_memory() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    for (from, to) in [
        ("m=65536", "m=262145"),
        ("m=65536", "m=4294967295"),
        ("t=2", "t=17"),
        ("t=2", "t=4294967295"),
        ("p=1", "p=17"),
        ("m=65536,t=2", "m=19455,t=2"),
        ("m=65536,t=2", "m=8,t=1"),
    ] {
        let stored = REFERENCE.replace(from, to);
        let error = admitted(&hasher).verify(&password("password"), &stored, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{stored}");
        assert_eq!(hasher.import(&stored).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(hasher.status().evaluations, 0);
    assert_eq!(hasher.status().idle_buffers, 0);
}

#[test]
fn the_cheap_cost_is_accepted_by_a_hasher_of_that_cost_alone() {
    let stored = hash(&cheap(), "a password");
    cheap().import(&stored).unwrap();
    let real = Hasher::new(Cost::recommended(), 1, 0);
    assert_eq!(real.import(&stored).unwrap_err().kind(), ErrorKind::Invalid);
    let error = admitted(&real).verify(&password("a password"), &stored, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(real.status().evaluations, 0);
}

#[test]
fn a_hash_that_took_less_work_is_to_be_replaced_and_a_costlier_one_is_not() {
    #[track_caller]
    fn check(stored: (u32, u32), current: (u32, u32), salt: usize, expected: bool) {
        check_sizes(stored, current, (salt, HASH_OUTPUT_BYTES), expected);
    }
    #[track_caller]
    fn check_sizes(
        stored: (u32, u32),
        current: (u32, u32),
        (salt, output): (usize, usize),
        expected: bool,
    ) {
        let output = Zeroizing::new(vec![0; output]);
        let cost = Cost::new(stored.0, stored.1, 1).unwrap();
        let algorithm = HashAlgorithm::own(cost);
        let normalisation = Normalisation::Nfc;
        let stored = Stored { algorithm, normalisation, salt: vec![0; salt], output };
        let current = Cost::new(current.0, current.1, 1).unwrap();
        assert_eq!(stored.is_weaker_than(current), expected);
    }
    check((19_456, 2), (19_456, 2), 16, false);
    check((19_456, 2), (19_456, 3), 16, true);
    check((19_456, 3), (19_456, 2), 16, false);
    check((12_288, 3), (19_456, 2), 16, true);
    check((47_104, 1), (19_456, 2), 16, false);
    check((19_456, 2), (19_456, 2), 8, true);
    check_sizes((19_456, 2), (19_456, 2), (16, 31), true);
    check_sizes((19_456, 2), (19_456, 2), (16, 64), false);
}

#[test]
fn a_match_says_whether_the_hash_should_be_replaced_and_a_mismatch_does_not() {
    let costly = Hasher::new(Cost::new(65_536, 3, 1).unwrap(), 1, 0);
    let ticket = admitted(&costly);
    let right = ticket.verify(&password("password"), REFERENCE, true).unwrap();
    assert_eq!(right, Verification { matches: true, needs_upgrade: true });
    let wrong = ticket.verify(&password("Password"), REFERENCE, true).unwrap();
    assert_eq!(wrong, Verification { matches: false, needs_upgrade: false });
}

#[test]
fn work_memory_is_wiped_kept_and_freed_after_a_minute() {
    let hasher = cheap();
    hash(&hasher, "a password");
    assert_eq!(hasher.status().idle_buffers, 1);
    let mut slot = hasher.slots.wait(now());
    let memory = slot.memory(1).unwrap();
    assert!(memory.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));
    drop(slot);
    hasher.release_idle(now() + Duration::from_secs(59));
    assert_eq!(hasher.status().idle_buffers, 1);
    drop(hasher.admit(now() + Duration::from_secs(60)));
    assert_eq!(hasher.status().idle_buffers, 0);
}

#[cfg(feature = "import-hashes")]
#[test]
fn work_memory_is_wiped_before_a_hash_that_does_not_use_it() {
    const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde";
    let hasher = cheap();
    let stored = hasher.import(BCRYPT).unwrap();
    let until_waiting = |threads| {
        while hasher.slots.load().waiting < threads {
            thread::yield_now();
        }
    };
    let mut first = hasher.slots.wait(now());
    first.memory(8).unwrap().iter_mut().for_each(|block| block.as_mut().fill(u64::MAX));
    thread::scope(|scope| {
        scope.spawn(|| assert!(!matches(&hasher, "a password", &stored)));
        until_waiting(1);
        let third = scope.spawn(|| hasher.slots.wait(now()).memory(8).unwrap()[0].as_ref()[0]);
        until_waiting(2);
        drop(first);
        assert_eq!(third.join().unwrap(), 0);
    });
}

#[test]
fn work_memory_is_freed_by_upkeep_without_any_login() {
    let hasher = Hasher::new(Cost::insecure_for_tests(), 2, 0);
    let mut slots = [0; 2].map(|_| hasher.slots.wait(now()));
    slots.iter_mut().for_each(|slot| assert_eq!(slot.memory(1).unwrap().len(), 8));
    drop(slots);
    assert_eq!(hasher.status().idle_buffers, 2, "as many as may hash at once");
    hasher.release_idle(now() + Duration::from_secs(60));
    assert_eq!(hasher.status().idle_buffers, 0);
}

#[test]
fn the_stand_in_hash_is_a_valid_hash_of_the_same_length() {
    let hasher = cheap();
    let stand_in = hasher.stand_in(&[], u64::MAX);
    hasher.import(&stand_in).unwrap();
    assert_eq!(stand_in.len(), hash(&hasher, "a password").len());
}

#[test]
fn a_stand_in_costs_what_a_share_of_the_users_costs_cheapest_first() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    let cost = |parameters: &str| ["$argon2id$v=19$", parameters].concat();
    let [dear, cheap, middle] =
        ["m=65536,t=3,p=1", "m=19456,t=2,p=1", "m=19456,t=3,p=1"].map(cost);
    let costs = [(dear.clone(), 1), (cheap.clone(), 2), (middle.clone(), 1)];
    let drawn = |quarter: u64| hasher.stand_in(&costs, (quarter << 62) + (1 << 61));
    for (quarter, cost) in [&cheap, &cheap, &middle, &dear].into_iter().enumerate() {
        let stand_in = drawn(quarter as u64);
        assert!(stand_in.starts_with(cost.as_str()), "{stand_in}");
        hasher.import(&stand_in).unwrap();
    }
    assert!(hasher.stand_in(&costs, 0).starts_with(&cheap));
    assert!(hasher.stand_in(&costs, u64::MAX).starts_with(&dear));
}

#[test]
fn a_name_changes_its_stand_in_at_most_once_while_users_move_to_another_cost() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    let [old, new] = ["m=19456,t=2,p=1", "m=19456,t=3,p=1"]
        .map(|parameters| ["$argon2id$v=19$", parameters].concat());
    for place in (0..64).map(|n| n * (u64::MAX / 63)) {
        let drawn = |moved: u64| {
            let costs = [(new.clone(), moved), (old.clone(), 20 - moved)];
            hasher.stand_in(&costs, place).starts_with(&new)
        };
        let changes = (0..20).filter(|moved| drawn(*moved) != drawn(moved + 1)).count();
        assert_eq!((changes, drawn(0), drawn(20)), (1, false, true));
    }
}

#[test]
fn a_cost_that_cannot_be_read_is_drawn_by_no_name() {
    let hasher = Hasher::new(Cost::recommended(), 1, 0);
    for cost in ["", "no hash", "$argon2id$v=19$m=8,t=1,p=1", "$argon2id$v=19$m=1", "$$$$$"] {
        let costs = [(cost.to_owned(), 9)];
        assert_eq!(hasher.stand_in(&costs, 1 << 63), hasher.stand_in, "{cost}");
    }
}

#[test]
fn a_hasher_with_all_places_taken_says_when_to_try_again() {
    let hasher = cheap();
    let held = admitted(&hasher);
    let Admission::Overloaded { retry_after } = hasher.admit(now()) else {
        panic!("there is one slot, and it is taken");
    };
    assert_eq!(retry_after, Duration::from_secs(1));
    drop(held);
    drop(admitted(&hasher));
    let status = hasher.status();
    assert_eq!((status.running, status.waiting), (0, 0));
}

#[test]
fn one_more_than_may_hash_is_admitted_to_charge_its_attempt() {
    let hasher = Hasher::new(Cost::insecure_for_tests(), 1, 1);
    let (hashing, reserving) = (admitted(&hasher), admitted(&hasher));
    assert!(matches!(hasher.admit(now()), Admission::Overloaded { .. }));
    drop((hashing, reserving));
    let places = [1, 2, 8, 16].map(|slots| Hasher::new(hasher.cost, slots, 1_000).places.slots());
    assert_eq!(places, [2, 4, 10, 20]);
}

#[test]
fn a_caller_with_a_place_hashes_only_when_a_slot_is_free() {
    let hasher = Hasher::new(Cost::insecure_for_tests(), 1, 1);
    let slot = hasher.slots.wait(now());
    thread::scope(|scope| {
        scope.spawn(|| hash(&hasher, "a password"));
        while hasher.status().waiting == 0 && hasher.status().evaluations == 0 {
            thread::yield_now();
        }
        let status = hasher.status();
        assert_eq!((status.waiting, status.running, status.evaluations), (1, 1, 0));
        drop(slot);
    });
    assert_eq!(hasher.status().evaluations, 1);
}

#[test]
fn a_wave_of_logins_uses_no_more_buffers_than_slots() {
    let hasher = Hasher::new(Cost::insecure_for_tests(), 2, 1_000);
    let stored = hash(&hasher, "a password");
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert!(matches(&hasher, "a password", &stored)));
        }
    });
    let status = hasher.status();
    assert_eq!((status.evaluations, status.running), (33, 0));
    assert!(status.idle_buffers <= 2);
}

#[test]
fn a_million_salts_are_unique() {
    let mut salts = HashSet::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        assert!(salts.insert(random_bytes::<HASH_SALT_BYTES>(&SystemRandom).unwrap()));
    }
}

#[test]
fn two_hashes_of_one_password_differ() {
    let hasher = cheap();
    assert_ne!(hash(&hasher, "a password"), hash(&hasher, "a password"));
}

#[test]
fn neither_a_password_nor_its_hash_is_printed() {
    let hasher = cheap();
    let ticket = admitted(&hasher);
    let hashed = ticket.hash(&password("a password"), &SystemRandom).unwrap();
    assert_eq!(format!("{hashed:?}"), "Hashed");
    assert!(format!("{ticket:?}").contains("MemoryPool { idle_buffers: 1, .. }"));
    assert!(!format!("{ticket:?}").contains("Block"));
}

/// RUSTSEC-2026-0199: a bcrypt crate panicked on a stored hash that was not ASCII.
fn never_matches(stored: &str) {
    let hasher = cheap();
    match admitted(&hasher).verify(&password("a password"), stored, true) {
        Ok(verification) => assert!(!verification.matches),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(hasher.status().evaluations, 0);
        }
    }
    assert_eq!(hasher.status().running, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_in_place_of_a_hash_is_corrupt(text in any::<String>()) {
        never_matches(&text);
    }

    #[test]
    fn a_tampered_hash_never_matches(
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<char>(), prop::char::range('A', 'z'), Just('$'), Just('/')],
        cut in any::<bool>(),
    ) {
        let stored = hash(&cheap(), "a password");
        let mut chars: Vec<char> = stored.chars().collect();
        let at = at.index(chars.len());
        // Digits stay: costs are bounded, but a mebibyte for each case would make this test slow.
        prop_assume!(chars[at] != with && !with.is_ascii_digit());
        if cut { chars.truncate(at) } else { chars[at] = with }
        never_matches(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn any_cost_on_a_stored_hash_is_bounded(
        m in prop_oneof![any::<u32>(), 0..300_000u32],
        t in prop_oneof![any::<u32>(), 0..20u32],
        p in prop_oneof![any::<u32>(), 0..6u32],
    ) {
        let stored = REFERENCE.replace("m=65536,t=2,p=1", &format!("m={m},t={t},p={p}"));
        let accepted = Hasher::new(Cost::recommended(), 1, 0).import(&stored).is_ok();
        prop_assert_eq!(accepted, Cost::new(m, t, p).is_ok());
    }
}
