//! A bounded table from images to records, read without a lock.
//!
//! **Why not a cache crate.** Measured on 2 busy cores with 1 MiB of L2 each, 100,000 sessions
//! drawn uniformly, medians of two pairs of runs: a verify took 794 ns with quick_cache 0.7 against
//! 610 ns with an index of four-byte cells in front of densely filled slots, and later 474 ns with
//! that index against 449 ns with this table, of which 180 ns are not memory. The crate touches
//! more of that: a bucket of its hash table, the four lines of an entry with all that it keeps
//! around it, and the lock of the shard, which every reader writes to.
//!
//! **How it lies in memory.** A record lies with its image in a slot, two neighbouring cache lines,
//! in the place that the image names or one of the next few: a hit reads that one slot, and seldom
//! its neighbour. There is half as much room again as there may be records, so that few are
//! pushed on. Chunks of slots are made when the first of them is filled, and never move.
//!
//! **Reading** takes no lock: a slot is read whole or not at all (`seqlock.rs`), and counts only
//! if all 128 bits of its image are those that are looked for. While a slot is given to somebody
//! else a reader may find nothing; that costs a look at the file and never an answer. All that a
//! hit writes is that the slot was used, and that only once between two rounds of the clock hand.
//! **Writing** takes the lock of the shard.
//!
//! **Eviction** is by clock hand, among the slots in which the newcomer may stand: the first, in
//! turn, that was not found since the hand last passed it. What was never found goes first. A slot
//! that was ever filled is never blank again, so that a search may end at a blank one.

use std::sync::OnceLock;

use crate::cache::seqlock::{SeqLock, Turn};
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::value::limits::CACHE_SHARDS;

/// Words of a record.
pub(super) const WORDS: usize = 13;

/// The image and its record: with the turn, 128 bytes.
const SLOT_WORDS: usize = WORDS + 2;
/// 16 KiB.
const CHUNK_SLOTS: usize = 128;
/// Slots in which an image may stand. With a third of them empty one in a thousand finds no place.
const WINDOW: usize = 32;
/// Smaller tables are one shard.
const SHARD_LEAST: usize = 256;

/// The table.
pub(super) struct Table {
    shards: Box<[Shard]>,
}

#[repr(align(128))]
struct Shard {
    bound: usize,
    slots: usize,
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    /// Records; written by the one who holds `hand`.
    filled: AtomicUsize,
    /// Held by the one who writes: where the clock hand stands.
    hand: Mutex<usize>,
}

struct Chunk {
    slots: [Slot; CHUNK_SLOTS],
    /// Made for the first record that has marks.
    marks: OnceLock<Box<[Marks; CHUNK_SLOTS]>>,
}

/// Two neighbouring cache lines, which processors fetch together.
#[repr(align(128))]
struct Slot(SeqLock<SLOT_WORDS>);

/// Two numbers of 48 bits that readers may raise while the record stays. Each carries the turn of
/// its slot, so that nobody raises those of the record that came after.
struct Marks([AtomicU64; 2]);

/// A record as it was when it was found.
pub(super) struct Found<'t> {
    pub(super) record: [u64; WORDS],
    turn: Turn,
    marks: &'t OnceLock<Box<[Marks; CHUNK_SLOTS]>>,
    at: usize,
}

/// An image as a slot holds it. That of nobody is all zeros, which no key gives to anyone.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Image([u64; 2]);

impl Image {
    const NOBODY: Self = Self([0; 2]);

    fn new(image: u128) -> Self {
        Self([image as u64, (image >> 64) as u64])
    }

    /// `shards` is a power of two.
    #[inline]
    fn shard(self, shards: usize) -> usize {
        let Self([low, _]) = self;
        low as usize & shards.wrapping_sub(1)
    }

    /// The slots in which it may stand, of so many.
    #[inline]
    fn window(self, slots: usize) -> impl Iterator<Item = usize> {
        let Self([_, high]) = self;
        let home = (((high >> 32) * slots as u64) >> 32) as usize;
        (0..WINDOW.min(slots)).map(move |step| {
            let at = home + step;
            if at < slots { at } else { at - slots }
        })
    }
}

impl Table {
    /// An empty table for at most `bound` records, but for rounding to whole shards.
    pub(super) fn new(bound: usize) -> Self {
        let shards = if bound < CACHE_SHARDS * SHARD_LEAST { 1 } else { CACHE_SHARDS };
        Self { shards: (0..shards).map(|_| Shard::new(bound.div_ceil(shards))).collect() }
    }

    /// The record of an image.
    #[inline]
    pub(super) fn find(&self, image: u128) -> Option<Found<'_>> {
        let image = Image::new(image);
        self.shards.get(image.shard(self.shards.len()))?.find(image)
    }

    /// Puts the record of an image in place of an older one, or of somebody else's.
    pub(super) fn insert(&self, image: u128, record: &[u64; WORDS], marks: Option<[u64; 2]>) {
        let image = Image::new(image);
        if let Some(shard) = self.shards.get(image.shard(self.shards.len())) {
            shard.insert(image, record, marks);
        }
    }

    /// How many records it holds.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.filled.load(Ordering::Relaxed)).sum()
    }
}

impl Shard {
    fn new(bound: usize) -> Self {
        let slots = bound + bound.div_ceil(2);
        Self {
            bound,
            slots,
            chunks: (0..slots.div_ceil(CHUNK_SLOTS)).map(|_| OnceLock::new()).collect(),
            filled: AtomicUsize::new(0),
            hand: Mutex::new(0),
        }
    }

    #[inline]
    fn find(&self, image: Image) -> Option<Found<'_>> {
        for at in image.window(self.slots) {
            // No chunk, or a blank slot: nobody was ever pushed on beyond it.
            let chunk = self.chunk(at)?;
            let at = at % CHUNK_SLOTS;
            let Slot(slot) = chunk.slots.get(at)?;
            if let Some((turn, words)) = slot.read(&image.0) {
                slot.mark_used(turn);
                let [_, _, record @ ..] = words;
                return Some(Found { record, turn, marks: &chunk.marks, at });
            }
            if slot.is_blank() {
                return None;
            }
        }
        None
    }

    fn insert(&self, image: Image, record: &[u64; WORDS], marks: Option<[u64; 2]>) {
        let mut hand = self.hand.lock();
        let mut free = None;
        for at in image.window(self.slots) {
            match self.holds(at) {
                Some(own) if own == image => return self.write(at, image, record, marks),
                Some(Image::NOBODY) => free = free.or(Some(at)),
                Some(_) => {}
                None => {
                    free = free.or(Some(at));
                    break;
                }
            }
        }
        let filled = self.filled.load(Ordering::Relaxed);
        if let Some(free) = free.filter(|_| filled < self.bound) {
            self.filled.store(filled + 1, Ordering::Relaxed);
            return self.write(free, image, record, marks);
        }
        // Where nobody can make room, it is not remembered.
        let Some(victim) = self.victim(image, &mut hand) else { return };
        if free.is_some() {
            self.write(victim, Image::NOBODY, &[0; WORDS], None);
        }
        self.write(free.unwrap_or(victim), image, record, marks);
    }

    /// One, of those in the way of an image, that was not found since the hand last passed it.
    fn victim(&self, image: Image, hand: &mut usize) -> Option<usize> {
        *hand = hand.wrapping_add(1);
        let in_the_way: Vec<usize> = image
            .window(self.slots)
            .filter(|at| self.holds(*at).is_some_and(|own| own != Image::NOBODY))
            .collect();
        let from = hand.checked_rem(in_the_way.len())?;
        let turned = in_the_way.iter().cycle().skip(from).take(in_the_way.len());
        let idle = turned.copied().find(|at| !self.slot(*at).is_some_and(SeqLock::take_used));
        idle.or_else(|| in_the_way.get(from).copied())
    }

    /// Whose record stands in a slot; none if it is blank. For the one who writes.
    fn holds(&self, at: usize) -> Option<Image> {
        let (_, [low, high, ..]) = self.slot(at)?.read(&[])?;
        Some(Image([low, high]))
    }

    fn write(&self, at: usize, image: Image, record: &[u64; WORDS], marks: Option<[u64; 2]>) {
        let Some(chunk) = self.chunks.get(at / CHUNK_SLOTS) else { return };
        let (chunk, at) = (chunk.get_or_init(Chunk::new), at % CHUNK_SLOTS);
        let Some(Slot(slot)) = chunk.slots.get(at) else { return };
        slot.write(&join(image, record), |turn| {
            let all = match marks {
                Some(_) => Some(chunk.marks.get_or_init(Marks::chunk)),
                None => chunk.marks.get(),
            };
            if let Some(own) = all.and_then(|all| all.get(at)) {
                own.begin(turn, marks.unwrap_or_default());
            }
        });
    }

    fn slot(&self, at: usize) -> Option<&SeqLock<SLOT_WORDS>> {
        self.chunk(at)?.slots.get(at % CHUNK_SLOTS).map(|Slot(slot)| slot)
    }

    #[inline]
    fn chunk(&self, at: usize) -> Option<&Chunk> {
        self.chunks.get(at / CHUNK_SLOTS)?.get().map(|chunk| &**chunk)
    }
}

impl Chunk {
    fn new() -> Box<Self> {
        let slots = std::array::from_fn(|_| Slot(SeqLock::new()));
        Box::new(Self { slots, marks: OnceLock::new() })
    }
}

impl Marks {
    /// Bits of a mark.
    const BITS: u32 = 48;

    fn chunk() -> Box<[Self; CHUNK_SLOTS]> {
        Box::new(std::array::from_fn(|_| Self(std::array::from_fn(|_| AtomicU64::new(0)))))
    }

    fn begin(&self, turn: Turn, marks: [u64; 2]) {
        for (to, mark) in self.0.iter().zip(marks) {
            to.store(under(turn, mark), Ordering::Relaxed);
        }
    }
}

impl Found<'_> {
    /// A mark; none if the record has gone meanwhile.
    pub(super) fn mark(&self, which: usize) -> Option<u64> {
        let mark = self.cell(which)?.load(Ordering::Relaxed);
        (mark >> Marks::BITS == u64::from(self.turn.low())).then_some(mark & !(!0 << Marks::BITS))
    }

    /// Whether this caller changed the mark.
    pub(super) fn change_mark(&self, which: usize, from: u64, to: u64) -> bool {
        let (from, to) = (under(self.turn, from), under(self.turn, to));
        self.cell(which).is_some_and(|cell| {
            cell.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
    }

    fn cell(&self, which: usize) -> Option<&AtomicU64> {
        self.marks.get()?.get(self.at)?.0.get(which)
    }
}

/// A mark as it stands in memory, under the turn of its record.
fn under(turn: Turn, mark: u64) -> u64 {
    (u64::from(turn.low()) << Marks::BITS) | (mark & !(!0 << Marks::BITS))
}

fn join(Image([low, high]): Image, record: &[u64; WORDS]) -> [u64; SLOT_WORDS] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m] = *record;
    [low, high, a, b, c, d, e, f, g, h, i, j, k, l, m]
}

#[cfg(test)]
mod tests;
