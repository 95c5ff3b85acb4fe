//! Random texts, up to far beyond every limit: no reader asks for more memory at once than a small
//! multiple of what it was given.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::{DeviceId, HeaderCredentials, LoginRequest, NewUser, Store, wire::trustid};

use crate::dice::Dice;
use crate::process::Child;
use crate::store::{device, options};
use crate::tally::{Tally, in_lanes};

/// So many bytes for any text, and so many for each byte of it: a folded name may be eleven
/// times as long as it was typed, and a text that grows is doubled.
const ROOM_BYTES: usize = 16 * 1_024;
const ROOM_PER_BYTE: usize = 4;
const LONGEST: usize = 64 * 1_024;

/// The system's allocator, which remembers the largest request.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: the system's own, called as it was asked.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        LARGEST.fetch_max(bytes, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, bytes) }
    }
}

/// The reader of a text, and whole texts of its kind, of which the inputs are made.
type Reader = (&'static str, fn(&Store, &str), &'static [&'static str]);

const READERS: &[Reader] = &[
    (
        "tokens",
        |store, text| drop(store.verify((text, &device("till"))).map(drop)),
        &["gps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "gpk_"],
    ),
    (
        "headers",
        |_, text| drop(HeaderCredentials::from_header(text).map(drop)),
        &["Bearer gps_AAAA", "Basic Z3BzX0FBQUE6dGlsbA=="],
    ),
    (
        "stored hashes",
        |store, text| {
            drop(store.users().create(NewUser::person("eve").password_hash(text)).map(drop));
        },
        &[
            "$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=65536,t=16,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ],
    ),
    (
        "names",
        |store, text| drop(store.users().create(NewUser::person(text)).map(drop)),
        &["ada", "\u{fdfa}\u{fdfa}", "ﬃ Ａda", "a\u{301}\u{301}"],
    ),
    ("devices", |_, text| drop(DeviceId::new(text).map(drop)), &["till-1", "ß"]),
    (
        "requests",
        |_, text| {
            let log_in =
                serde_json::from_str::<trustid::LoginRequest>(text).map(LoginRequest::try_from);
            drop(log_in.map(|read| read.map(drop)));
            let session = serde_json::from_str::<trustid::SessionRequest>(text)
                .map(HeaderCredentials::try_from);
            drop(session.map(|read| read.map(drop)));
        },
        &[
            "{\"username\":\"ada\",\"password\":\"x\",\"device_id\":\"till\"}",
            "{\"session_token\":\"gps_A\",\"device_id\":\"till\"}",
            "[[[[{\"a\":[\"\\u0041\"]}]]]]",
        ],
    ),
];

/// So many inputs for each reader.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    in_lanes(count, |lane, share, tally| {
        let child = Child::fork(|voice| {
            let store = Store::in_memory(options(seed)).unwrap();
            let mut dice = Dice::new(seed, lane);
            let mut tally = Tally::default();
            for (name, read, whole) in READERS {
                for _ in 0..share {
                    let text = made_of(whole, &mut dice);
                    LARGEST.store(0, Ordering::Relaxed);
                    read(&store, &text);
                    let largest = LARGEST.load(Ordering::Relaxed);
                    let room = ROOM_BYTES + ROOM_PER_BYTE * text.len();
                    let start: String = text.chars().take(60).collect();
                    assert!(largest <= room, "{largest} bytes for {} {name}: {start}", text.len());
                    tally.one(*name);
                }
            }
            tally.send(voice);
        });
        child.end_well().iter().for_each(|line| tally.hear(line));
    })
}

/// Pieces of whole texts one after another, some of them up to the greatest length.
fn made_of(whole: &[&str], dice: &mut Dice) -> String {
    let length = if dice.one_in(8) { dice.below(LONGEST) } else { dice.below(1_200) };
    let mut text = String::from(whole[dice.below(whole.len())]);
    while text.len() < length {
        let piece: Vec<char> = whole[dice.below(whole.len())].chars().collect();
        let (from, times) = (dice.below(piece.len()), 1 + dice.below(200));
        let end = from + 1 + dice.below(piece.len() - from);
        let piece: String = piece[from..end].iter().collect();
        text.push_str(&piece.repeat(times));
    }
    if dice.one_in(2) {
        let at = dice.below(text.len() + 1);
        text.truncate((0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap());
    }
    text
}
