//! The files that a loss of power may leave, made from the recorded calls.
//!
//! All flushed data is there. Of the rest any sector of 512 bytes may have come to the disk or
//! not, in any order; where a file had grown, what did not come is zeros or garbage, or the file
//! has not grown; a new or deleted file is so only once its directory was flushed, which the first
//! flush of a log or a journal does.

use crate::dice::Dice;
use crate::image::{Image, write};
use crate::shim::{Entry, Which};

const SECTOR: usize = 512;

/// The files, and what of them is not flushed yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// The data that is there after a loss of power in any case.
    durable: Image,
    /// Since the last flush of their file, in order.
    waiting: Vec<Entry>,
    /// Created, and not yet in the directory for good.
    fresh: Vec<Which>,
    /// Deleted, and still in the directory, with their content.
    undead: Vec<(Which, Option<Vec<u8>>)>,
}

/// How much of the data that was not flushed is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Nothing,
    Everything,
    /// The first so many calls are there, the one after them in part.
    After(usize),
    /// Any sectors.
    Any,
}

impl Disk {
    pub(crate) fn of(image: Image) -> Self {
        Self { durable: image, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Sync(which) => self.flush(*which),
            Entry::Created(which) => {
                self.waiting.retain(|entry| entry.which() != Some(*which));
                if let Some(file) = self.durable.file(*which) {
                    *file = Some(Vec::new());
                }
                self.fresh.push(*which);
            }
            Entry::Delete { which, durable } => {
                self.waiting.retain(|entry| entry.which() != Some(*which));
                self.fresh.retain(|fresh| fresh != which);
                let held = self.durable.file(*which).and_then(Option::take);
                if *durable {
                    self.undead.clear();
                    self.fresh.clear();
                } else {
                    self.undead.push((*which, held));
                }
            }
            Entry::Write { .. } | Entry::Truncate { .. } => self.waiting.push(entry.clone()),
            Entry::Answered => {}
        }
    }

    /// How many calls are not flushed.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The files when the power returns.
    pub(crate) fn image(&self, loss: Loss, dice: &mut Dice) -> Image {
        let mut image = self.durable.clone();
        for (n, entry) in self.waiting.iter().enumerate() {
            match loss {
                Loss::Nothing => image.apply(entry),
                Loss::Everything => {}
                Loss::After(kept) if n < kept => image.apply(entry),
                Loss::After(kept) if n == kept => tear(&mut image, entry, dice),
                Loss::After(_) => {}
                Loss::Any => match dice.below(3) {
                    0 => image.apply(entry),
                    1 => tear(&mut image, entry, dice),
                    _ => {}
                },
            }
        }
        if loss == Loss::Nothing {
            return image;
        }
        for which in &self.fresh {
            if (loss == Loss::Everything || dice.one_in(3))
                && let Some(file) = image.file(*which)
            {
                *file = None;
            }
        }
        for (which, held) in &self.undead {
            if dice.one_in(2)
                && let Some(file) = image.file(*which)
                && file.is_none()
            {
                file.clone_from(held);
            }
        }
        image
    }

    fn flush(&mut self, which: Which) {
        let (own, rest): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|entry| entry.which() == Some(which));
        self.waiting = rest;
        own.iter().for_each(|entry| self.durable.apply(entry));
        if self.fresh.contains(&which) {
            self.fresh.clear();
            self.undead.clear();
        }
    }
}

/// Some sectors of a write came to the disk, or a truncation did not.
fn tear(image: &mut Image, entry: &Entry, dice: &mut Dice) {
    let Entry::Write { which, at, bytes } = entry else { return };
    let Some(Some(file)) = image.file(*which) else { return };
    let mut from = 0;
    while from < bytes.len() {
        let place = at + from;
        let to = bytes.len().min(from + SECTOR - place % SECTOR);
        match dice.below(4) {
            0 | 1 => write(file, place, &bytes[from..to]),
            // Grown, and filled with old bytes of the disk.
            2 if place >= file.len() => {
                let garbage: Vec<u8> = (from..to).map(|_| dice.roll() as u8).collect();
                write(file, place, &garbage);
            }
            3 if place >= file.len() => write(file, place, &vec![0; to - from]),
            _ => {}
        }
        from = to;
    }
}
