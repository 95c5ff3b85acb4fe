//! Tokens that are almost right: each is refused, and nothing is written.

use data_encoding::BASE64URL_NOPAD;
use gatepost::{DeviceId, Ended, ErrorKind};
use proptest::prelude::*;

use super::{Bench, for_any};
use crate::world::device;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const PREFIXES: [&str; 5] = ["gps_", "gpk_", "gpo_", "gpt_", "gpm_"];

#[test]
fn every_change_of_one_character_is_refused() {
    let bench = Bench::new();
    for (token, device) in both(&bench) {
        for at in 0..token.len() {
            for with in ALPHABET.iter().chain(b"+/=. \0\n") {
                let mut bytes = token.clone().into_bytes();
                if bytes[at] != *with {
                    bytes[at] = *with;
                    check_junk(&bench, &String::from_utf8(bytes).unwrap(), device.as_ref());
                }
            }
        }
    }
}

#[test]
fn every_character_missing_doubled_or_exchanged_is_refused() {
    let bench = Bench::new();
    for (token, device) in both(&bench) {
        for at in 0..token.len() {
            check_junk(&bench, &token[..at], device.as_ref());
            check_junk(&bench, &token[at + 1..], device.as_ref());
            check_junk(&bench, &[&token[..at], &token[at + 1..]].concat(), device.as_ref());
            let doubled = [&token[..=at], &token[at..]].concat();
            check_junk(&bench, &doubled, device.as_ref());
            let mut exchanged = token.clone().into_bytes();
            exchanged.swap(at, (at + 1) % token.len());
            let exchanged = String::from_utf8(exchanged).unwrap();
            if exchanged != token {
                check_junk(&bench, &exchanged, device.as_ref());
            }
        }
    }
}

#[test]
fn every_bit_of_id_and_secret_counts_also_under_a_right_checksum() {
    let bench = Bench::new();
    for (token, device) in both(&bench) {
        let raw = raw(&token);
        assert_eq!(written(&token[..4], &raw), token);
        for bit in 0..48 * 8 {
            let mut raw = raw;
            raw[bit / 8] ^= 1 << (bit % 8);
            check_unknown(&bench, &written(&token[..4], &raw), device.as_ref());
        }
    }
}

#[test]
fn one_kind_is_never_taken_for_another() {
    let bench = Bench::new();
    for (token, device) in both(&bench) {
        for prefix in PREFIXES.into_iter().filter(|prefix| !token.starts_with(prefix)) {
            check_junk(&bench, &token.replace(&token[..4], prefix), device.as_ref());
            let other = written(prefix, &raw(&token));
            for device in [None, device.as_ref(), Some(&crate::world::device("till-1"))] {
                assert!(bench.world.store.verify((&other, device)).unwrap().valid().is_err());
            }
        }
    }
    // A key is no session.
    let key = bench.key.clone();
    bench.check("a key", &[ErrorKind::Invalid], || bench.world.store.log_out((&key, None)));
    let principal = bench.world.store.verify((&key, None)).unwrap().valid().unwrap();
    assert_eq!(
        (principal.credential.session(), principal.credential.api_key()),
        (None, Some(bench.key_id))
    );
    assert!(bench.world.store.verify((&key, &device("till-1"))).unwrap().valid().is_err());
}

#[test]
fn any_bytes_under_a_right_checksum_are_unknown() {
    let bench = Bench::new();
    let bytes = (any::<[u8; 32]>(), any::<[u8; 16]>(), 0_usize..5);
    for_any(256, &bytes, |(secret, id, kind)| {
        let mut raw = [0; 48];
        raw[..16].copy_from_slice(&id);
        raw[16..].copy_from_slice(&secret);
        let token = written(PREFIXES[kind], &raw);
        let before = bench.commits();
        for device in [None, Some(&device("till-1"))] {
            assert!(bench.world.store.verify((&token, device)).unwrap().valid().is_err());
            if kind == 0 {
                assert_eq!(bench.world.store.log_out((&token, device)).unwrap(), Ended::Before);
            }
        }
        assert_eq!(bench.commits(), before);
    });
}

#[test]
fn any_device_but_its_own_is_refused() {
    let bench = Bench::new();
    for_any(128, &any::<String>(), |text| {
        let Ok(other) = DeviceId::new(&text) else { return };
        let verdict = bench.world.store.verify((&bench.token, &other)).unwrap();
        assert_eq!(verdict.valid().is_ok(), text == "till-1");
    });
    for near in ["till-1 ", "Till-1", "till-1\0", "till-\u{ff11}", "till-11", "till-"] {
        assert!(bench.world.store.verify((&bench.token, &device(near))).unwrap().valid().is_err());
    }
    assert!(bench.world.store.verify((&bench.token, None)).unwrap().valid().is_err());
    assert!(bench.world.store.verify((&bench.token, &device("till-1"))).unwrap().valid().is_ok());
}

fn both(bench: &Bench) -> [(String, Option<DeviceId>); 2] {
    [(bench.token.clone(), Some(device("till-1"))), (bench.key.clone(), None)]
}

/// A text that cannot be a token: refused by verify, bad input for a logout.
#[track_caller]
fn check_junk(bench: &Bench, text: &str, device: Option<&DeviceId>) {
    let store = &bench.world.store;
    assert!(store.verify((text, device)).unwrap().valid().is_err(), "{text:?}");
    let ended = bench.check("junk", &[ErrorKind::Invalid], || store.log_out((text, device)));
    assert!(!ended, "{text:?}");
}

/// A text that could be a token and is none.
#[track_caller]
fn check_unknown(bench: &Bench, text: &str, device: Option<&DeviceId>) {
    let (store, before) = (&bench.world.store, bench.commits());
    assert!(store.verify((text, device)).unwrap().valid().is_err(), "{text:?}");
    if text.starts_with("gps_") {
        assert_eq!(store.log_out((text, device)).unwrap(), Ended::Before);
    }
    assert_eq!(bench.commits(), before);
}

/// Id and secret of a token.
fn raw(token: &str) -> [u8; 48] {
    let bytes = BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).unwrap();
    bytes[..48].try_into().unwrap()
}

/// A token of that kind, id and secret, with the checksum that it should have.
fn written(prefix: &str, raw: &[u8; 48]) -> String {
    let mut checked = prefix.as_bytes().to_vec();
    checked.extend(raw);
    let checksum = crc32fast::hash(&checked).to_be_bytes();
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&[&raw[..], &checksum[..]].concat()))
}
