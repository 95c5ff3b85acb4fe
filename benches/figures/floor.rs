//! What a cache hit costs at least: the cost of four of its parts, each on its own.
//!
//! The hash is the one that the library has (`src/cache/image.rs`). The rest of a hit is not in the
//! sum: the stamps, the gate of the wal-index, the comparison of the times, and the principal.

use std::collections::HashMap;
use std::hash::Hasher;
use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::filled::Filled;
use crate::harness::{Order, time};

/// Shards of the map that the lookup is measured with.
const SHARDS: usize = 16;

/// The value that is found: a record of the size of a verify's answer.
type Record = [u64; 16];

/// Measures one part: that many times.
pub type Part<'f> = Box<dyn FnMut(usize) -> Duration + 'f>;

pub struct Floor<'f> {
    filled: &'f Filled,
    shards: Vec<RwLock<HashMap<u128, Record, Identity>>>,
    images: Vec<u128>,
    header: [AtomicU64; 6],
    key: HashKey,
}

impl<'f> Floor<'f> {
    pub fn new(filled: &'f Filled) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        let (header, key) = (Default::default(), HashKey::new());
        let mut floor = Self { filled, shards, images: Vec::new(), header, key };
        for (at, one) in filled.sessions.iter().enumerate() {
            let image = floor.key.image(one.token.expose(), one.device.as_str());
            let record = [at as u64; 16];
            floor.shards[shard(image)].write().unwrap().insert(image, record);
            floor.images.push(image);
        }
        floor
    }

    /// A keyed hash of token and device; a lookup in a sharded map of as many entries; reading the
    /// clock; comparing 48 bytes of shared memory.
    pub fn parts(&self) -> [Part<'_>; 4] {
        let (mut texts, mut images) = (Order(11), Order(12));
        [
            Box::new(move |count| {
                let presented = self.filled.drawn(&mut texts, count);
                time(|| {
                    for (token, device) in &presented {
                        black_box(self.key.image(token, device.as_str()));
                    }
                })
            }),
            Box::new(move |count| {
                let drawn: Vec<u128> =
                    (0..count).map(|_| self.images[images.next(self.images.len())]).collect();
                time(|| {
                    for image in &drawn {
                        let shard = self.shards[shard(*image)].read().unwrap();
                        black_box(shard.get(image).copied());
                    }
                })
            }),
            Box::new(|count| {
                time(|| {
                    for _ in 0..count {
                        black_box(SystemTime::now());
                    }
                })
            }),
            Box::new(move |count| {
                let followed = [0_u64; 6];
                time(|| {
                    for _ in 0..count {
                        let mut now = [0; 6];
                        for (to, word) in now.iter_mut().zip(&self.header) {
                            *to = word.load(Ordering::Acquire);
                        }
                        black_box(now == black_box(followed));
                    }
                })
            }),
        ]
    }
}

/// Number of bytes whose two words are multiplied with each other.
const BLOCK: usize = 16;

/// Five blocks of the token, eight of the longest device, and one more for the second sum.
const PAIRS: usize = 14;

/// The key of the hash by which the cache finds an entry: NH twice, then SipHash-2-4.
struct HashKey([[u64; 2]; PAIRS]);

impl HashKey {
    fn new() -> Self {
        let mut order = Order(13);
        Self(black_box([[0; 2]; PAIRS]).map(|pair| pair.map(|_| order.next(usize::MAX) as u64)))
    }

    fn image(&self, token: &str, device: &str) -> u128 {
        let (mut first, mut second) = (0_u128, 0_u128);
        let mut keys = self.0.windows(2);
        let mut add = |block: &[u8; BLOCK]| {
            let Some([key, next]) = keys.next() else { return };
            first = first.wrapping_add(product(key, block));
            second = second.wrapping_add(product(next, block));
        };
        let token = token.as_bytes();
        token.as_chunks::<BLOCK>().0.iter().for_each(&mut add);
        token.last_chunk::<BLOCK>().into_iter().for_each(&mut add);
        let (blocks, rest) = device.as_bytes().as_chunks::<BLOCK>();
        blocks.iter().for_each(&mut add);
        if !rest.is_empty() {
            let mut padded = [0; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            add(&padded);
        }
        let mut sip = SipHasher24::new_with_keys(self.0[0][0], self.0[0][1]);
        for sum in [first, second] {
            sip.write_u64(sum as u64);
            sip.write_u64((sum >> 64) as u64);
        }
        sip.write_u8(device.len() as u8);
        sip.finish128().as_u128()
    }
}

fn product([key_a, key_b]: &[u64; 2], block: &[u8; BLOCK]) -> u128 {
    let words = u128::from_le_bytes(*block);
    let (a, b) = (words as u64, (words >> 64) as u64);
    u128::from(key_a.wrapping_add(a)) * u128::from(key_b.wrapping_add(b))
}

fn shard(image: u128) -> usize {
    (image >> 124) as usize % SHARDS
}

/// Images are hashes already.
#[derive(Clone, Default)]
pub struct Identity(u64);

impl std::hash::BuildHasher for Identity {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Identity {
    fn write_u128(&mut self, image: u128) {
        self.0 = image as u64;
    }

    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
