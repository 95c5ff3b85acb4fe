//! Tokens that never pass, and what a refusal leaves in the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::ErrorKind;
use gatepost::audit::EventKind;
use gatepost::host::{RandomSource, RandomUnavailable};
use gatepost::sessions::{NewApiKey, OpenSession};

use crate::world::{HOUR, MINUTE, World, device};

/// Well-formed tokens of every kind, with an unknown id and secret.
const OF_EVERY_KIND: [&str; 5] = ["gps_", "gpk_", "gpo_", "gpt_", "gpm_"];

/// A token of another kind with the same id and secret, checksum and all.
fn as_kind(token: &str, prefix: &str) -> String {
    use data::{base64, crc32, unbase64};
    let mut bytes = unbase64(&token[4..]);
    bytes.truncate(48);
    let sum = crc32(&[prefix.as_bytes(), &bytes].concat());
    bytes.extend(sum.to_be_bytes());
    format!("{prefix}{}", base64(&bytes))
}

/// The few lines of encoding that the library keeps to itself.
mod data {
    const ALPHABET: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    pub(super) fn unbase64(text: &str) -> Vec<u8> {
        let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for letter in text.bytes() {
            let digit = ALPHABET.iter().position(|other| *other == letter).unwrap();
            held = (held << 6) | u32::try_from(digit).unwrap();
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from((held >> bits) & 0xff).unwrap());
            }
        }
        bytes
    }

    pub(super) fn base64(bytes: &[u8]) -> String {
        let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
        for byte in bytes {
            held = (held << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 6 {
                bits -= 6;
                text.push(char::from(ALPHABET[(held >> bits) as usize & 63]));
            }
        }
        if bits > 0 {
            text.push(char::from(ALPHABET[(held << (6 - bits)) as usize & 63]));
        }
        text
    }

    pub(super) fn crc32(bytes: &[u8]) -> u32 {
        let mut sum = u32::MAX;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1));
            }
        }
        !sum
    }
}

#[test]
fn no_token_passes_as_another_kind() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    for own in [session.token.expose(), key.expose()] {
        assert_eq!(as_kind(own, &own[..4]), own, "the encoding of this test is right");
        for prefix in OF_EVERY_KIND.into_iter().filter(|prefix| *prefix != &own[..4]) {
            let forged = as_kind(own, prefix);
            let other_head = format!("{prefix}{}", &own[4..]);
            for token in [forged, other_head] {
                for on in [None, Some(&device("till-1"))] {
                    assert!(
                        world.store.verify((&token, on)).unwrap().valid().is_err(),
                        "{prefix}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_single_changed_character_passes() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let token = session.token.expose();
    for at in 0..token.len() {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let verdict = world.store.verify((&changed, &device("till-1"))).unwrap();
        assert!(verdict.valid().is_err(), "{at}");
    }
    for other in [&token[1..], &token[..73], &format!("{token}="), &format!(" {token}"), ""] {
        assert!(world.store.verify((other, &device("till-1"))).unwrap().valid().is_err());
    }
    assert!(world.passes(&session, "till-1"));
}

#[test]
fn every_refusal_is_the_same_value_and_its_reason_is_only_counted() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (ended, expired) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let elsewhere = World::new();
    let foreign = elsewhere.open(elsewhere.person("ada").id, "till-1");
    let refused = |token: &str, on: &str| {
        world.store.verify((token, &device(on))).unwrap().valid().unwrap_err()
    };
    let wrong_device = refused(ended.token.expose(), "till-2");
    world.store.sessions().revoke_all(ada).unwrap();
    let live = world.open(ada, "till-2");
    assert!(world.passes(&live, "till-2"));
    let all = [
        wrong_device,
        refused("gps_", "till-1"),
        refused(foreign.token.expose(), "till-1"),
        refused(ended.token.expose(), "till-1"),
        refused(expired.token.expose(), "till-2"),
    ];
    assert!(all.iter().all(|one| *one == all[0] && one.to_string() == all[0].to_string()));
    let counted = world.store.status().verify_refusals;
    assert_eq!(counted.values().sum::<u64>(), 5, "{counted:?}");
    assert_eq!(counted["wrong_device"], 1);
}

#[test]
fn refusals_leave_at_most_one_row_a_reason_and_minute() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let token = session.token.expose();
    let rows = world.last_event().seq;
    for _ in 0..50 {
        assert!(!world.passes(&session, "till-2"));
        assert!(world.store.verify(("junk", None)).unwrap().valid().is_err());
    }
    assert_eq!(world.last_event().seq, rows, "nothing is written in the minute itself");
    world.clock.advance(MINUTE);
    assert!(world.store.verify((token, None)).unwrap().valid().is_err());
    assert!(world.log_of(EventKind::VerifyRefused).is_empty(), "a verify waits for no flush");
    world.store.branches().create("York", None).unwrap();
    let log = world.log_of(EventKind::VerifyRefused);
    let kept: Vec<(Option<&str>, Option<i64>)> =
        log.iter().map(|entry| (entry.reason.as_deref(), entry.count)).collect();
    assert_eq!(kept, [(Some("malformed"), Some(50)), (Some("wrong_device"), Some(50))]);
    assert!(log.iter().all(|entry| entry.user.is_none() && entry.session.is_none()));

    world.clock.advance(HOUR);
    world.store.maintain().unwrap();
    assert_eq!(world.log_of(EventKind::VerifyRefused).len(), 3, "the last one, kept by upkeep");
}

/// The first refusal of a minute wrote the counts of the last one, on the thread of the caller.
#[test]
fn a_verify_of_a_refused_token_commits_nothing() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let before = world.store.status().commits;
    for _ in 0..5 {
        world.clock.advance(MINUTE);
        assert!(world.store.verify(("junk", None)).unwrap().valid().is_err());
        assert!(!world.passes(&session, "till-2"));
    }
    assert_eq!(world.store.status().commits, before);
}

#[test]
fn refusals_of_the_last_minute_are_kept_when_the_store_is_closed() {
    let mut world = World::new();
    assert!(world.store.verify(("junk", None)).unwrap().valid().is_err());
    world.reopen();
    assert_eq!(world.log_of(EventKind::VerifyRefused).len(), 1);
}

#[test]
fn a_verify_that_passes_leaves_nothing_in_the_file() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let sql = world.sql();
    let version = || sql.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    for _ in 0..100 {
        world.clock.advance(MINUTE);
        assert!(world.passes(&session, "till-1"));
    }
    assert_eq!(version(), before);
}

#[test]
fn a_store_that_cannot_read_the_file_returns_an_error_and_never_yes_or_no() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    world.store.close().unwrap();
    let error = world.store.verify((&session.token, &device("till-1"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);

    // Open, with a file in which the statement of a verify fails.
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let rename = "ALTER TABLE session RENAME COLUMN secret_hash TO other_hash";
    world.sql().execute_batch(rename).unwrap();
    let error = world.store.verify((&session.token, &device("till-1"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
}

/// Always draws the same bytes, until it has none.
#[derive(Debug, Default)]
struct Stuck {
    is_empty: AtomicBool,
}

impl RandomSource for Stuck {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomUnavailable> {
        buffer.fill(7);
        match self.is_empty.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(RandomUnavailable::default()),
        }
    }
}

/// A store that saved where it should have created handed over the session of the same id
/// (tower-sessions 0.12.1).
#[test]
fn a_session_never_takes_over_the_row_of_another() {
    let stuck = Arc::new(Stuck::default());
    let world = World::with(|options| options.random_source(stuck.clone()));
    let ada = world.person("ada").id;
    let first = world.open(ada, "till-1");
    let open = || OpenSession::new(ada, device("till-2"));
    assert!(world.store.sessions().open(open()).is_err(), "the same handle again");
    assert!(world.passes(&first, "till-1"));
    assert!(!world.passes(&first, "till-2"));
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);

    stuck.is_empty.store(true, Ordering::SeqCst);
    world.refuses(ErrorKind::NoRandom, |store| store.sessions().open(open()));
    assert!(world.passes(&first, "till-1"));
}
