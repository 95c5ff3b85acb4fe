//! Losses of power: what is on the disk after any call holds every answer given until then.
//!
//! A story is a hand's operations from the first byte of a new file on, long enough for the log to
//! be moved into it and begun again. All calls are written down. Then, at each call and in several
//! ways (`disk.rs` says in which), the files are made as a loss of power may leave them, opened by
//! the library, and compared with the answers until then: the state after the last one, or a later
//! state that was on its way.

use std::path::Path;

use gatepost::directory::CreditHolder;
use gatepost::{NewUser, Store};

use super::kill::hand::Hand;
use super::kill::operation;
use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::image::Image;
use crate::place::{Place, beside, clear};
use crate::shim::{self, Entry};
use crate::store::{PASSWORD, is_sound, is_whole, options, state};
use crate::tally::{Tally, in_lanes};
use crate::trial::put;

const OPERATIONS: usize = 150;
/// Images of one story; then another is run.
const IMAGES: u64 = 6_000;

pub(crate) fn run(count: u64, seed: u64) -> Tally {
    in_lanes(count, |lane, mut left, tally| {
        shim::install();
        let place = Place::new("power");
        let mut dice = Dice::new(seed, lane);
        while left > 0 {
            let images = left.min(IMAGES);
            left -= images;
            let story = Story::run(&place.file("auth.db"), &mut dice);
            story.survives(&place.file("image.db"), images, &mut dice, tally);
            tally.one("stories");
            tally.add("calls", story.record.len() as u64);
        }
    })
}

struct Story {
    seed: u64,
    record: Vec<Entry>,
    /// After so many entries of the record, this is in the file.
    states: Vec<(usize, u64)>,
    /// The hand as it was after so many.
    answered: Vec<(usize, Hand)>,
}

impl Story {
    fn run(path: &Path, dice: &mut Dice) -> Self {
        clear(path);
        let seed = dice.roll();
        shim::record();
        let store = Store::open(path, options(seed)).unwrap();
        let branch = store.branches().create("branch0", None).unwrap().id;
        store.credits().set(CreditHolder::Branch(branch), 0).unwrap();
        let new = NewUser::person("hand0").password(PASSWORD.into()).branch(branch);
        let user = store.users().create(new).unwrap().id;
        let mut hand = Hand::new(0, &format!("{user} {branch}"));
        let mut hands = Vec::new();
        for _ in 0..OPERATIONS {
            shim::note(Entry::Answered);
            hands.push(hand.clone());
            let wanted = hand.chooses(dice);
            hand.asks(&wanted);
            let answer = operation::does(&hand, &store);
            hand.answered(&answer);
        }
        shim::note(Entry::Answered);
        hands.push(hand);
        let record = shim::recorded();
        store.close().unwrap();
        let is_answer =
            |(n, entry): (usize, &Entry)| matches!(entry, Entry::Answered).then_some(n + 1);
        let places = record.iter().enumerate().filter_map(is_answer);
        let answered = places.zip(hands).collect();
        let mut story = Self { seed, record, states: Vec::new(), answered };
        story.states = story.read(&beside(path, "-image"));
        story
    }

    /// What is in the file after each call that may commit something, if nothing is lost.
    fn read(&self, path: &Path) -> Vec<(usize, u64)> {
        let (first, _) = self.answered[0];
        let mut image = Image::default();
        let mut states = Vec::new();
        for (n, entry) in self.record.iter().enumerate() {
            image.apply(entry);
            if n + 1 >= first && entry.may_commit() {
                put(&image, path);
                let store = Store::open(path, options(self.seed)).unwrap();
                states.push((n + 1, state(path)));
                store.close().unwrap();
            }
        }
        clear(path);
        states
    }

    /// Makes so many images, evenly over the story.
    fn survives(&self, path: &Path, images: u64, dice: &mut Dice, tally: &mut Tally) {
        let calls = self.record.len() as u64;
        let mut disk = Disk::default();
        let mut made = 0;
        for (n, entry) in self.record.iter().enumerate() {
            disk.apply(entry);
            while made * calls < (n as u64 + 1) * images && made < images {
                let loss = match dice.below(8) {
                    0 => Loss::Everything,
                    1 => Loss::Nothing,
                    2..5 => Loss::After(dice.below(disk.waiting() + 1)),
                    _ => Loss::Any,
                };
                let image = disk.image(loss, dice);
                self.holds(path, &image, n + 1, made.is_multiple_of(16), loss, tally);
                made += 1;
            }
        }
        tally.add("images", made);
    }

    fn holds(
        &self,
        path: &Path,
        image: &Image,
        at: usize,
        whole: bool,
        loss: Loss,
        tally: &mut Tally,
    ) {
        put(image, path);
        let place = || format!("story {}, {loss:?} lost after call {at}", self.seed);
        let store = match Store::open(path, options(self.seed)) {
            Ok(store) => store,
            Err(error) => {
                // No answer was given before the file was made.
                let (first, _) = self.answered[0];
                assert!(at < first && image.is_noise_alone(), "{}: {error:?}", place());
                tally.one("files whose making was cut off");
                return;
            }
        };
        let state = state(path);
        let before = self.answered.iter().rev().find(|(answered, _)| *answered <= at);
        let Some((from, hand)) = before else {
            is_sound(path);
            store.close().unwrap();
            tally.one("images before the first answer");
            return;
        };
        let to =
            self.answered.iter().map(|(answered, _)| *answered).find(|answered| *answered > at);
        let allowed = *from..=to.unwrap_or(usize::MAX);
        let found = self.states.iter().position(|(n, one)| allowed.contains(n) && *one == state);
        assert!(found.is_some(), "{}: in none of the states that may be", place());
        if whole {
            is_whole(&store, path);
        } else {
            is_sound(path);
        }
        if self.states.iter().any(|(n, one)| n == from && *one == state) {
            hand.holds(&store, path).unwrap_or_else(|lost| panic!("{}: {lost}", place()));
            tally.one("as was answered last");
        }
        store.close().unwrap();
    }
}
