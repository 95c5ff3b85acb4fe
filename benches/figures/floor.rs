//! The least that a cache hit can cost: the cost of each of its parts on its own.

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
}

impl<'f> Floor<'f> {
    pub fn new(filled: &'f Filled) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        let mut floor = Self { filled, shards, images: Vec::new(), header: Default::default() };
        for (at, one) in filled.sessions.iter().enumerate() {
            let image = image(one.token.expose(), one.device.as_str());
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
                        black_box(image(token, device.as_str()));
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

fn image(token: &str, device: &str) -> u128 {
    let mut hasher = SipHasher24::new_with_key(&[7; 16]);
    hasher.write(token.as_bytes());
    hasher.write_u8(1);
    hasher.write(device.as_bytes());
    hasher.finish128().as_u128()
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
