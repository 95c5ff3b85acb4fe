//! Whatever state a store is found in, it opens with all that was acknowledged, or says in one
//! sentence what to do and leaves every byte as it was.
//!
//! A [`State`] sets itself up for real in a [`Scene`], whose file is then opened through the public
//! API, in another process where the state is one of the process. The table of the manual says
//! the same, row by row. What a machine cannot set up (a mount, another user) is skipped by name.

mod files;
mod logs;
mod places;
mod scene;
mod schemas;
mod surroundings;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::ErrorKind;
use gatepost::status::OpenWarning;

pub(crate) use logs::journal;
pub(crate) use scene::open;
use scene::{Scene, Skip};
pub(crate) use surroundings::scan;

/// One hostile state of a store.
struct State {
    /// Its name in the manual's table.
    name: &'static str,
    meets: Meets,
    set_up: fn(&mut Scene) -> Result<(), Skip>,
}

/// What opening the store answers.
#[derive(Debug)]
enum Meets {
    /// It opens: the session of before verifies, and all that was acknowledged is there.
    Opens(&'static [OpenWarning]),
    /// There was nothing yet: an empty store that works.
    Begins,
    /// It is refused with this advice, and nothing has changed.
    Refused(ErrorKind, &'static str),
}

impl Meets {
    /// In the words of the manual's table: what happens, and the sentence.
    fn cells(&self) -> (String, &'static str) {
        match self {
            Self::Opens([]) => (String::from("opens"), ""),
            Self::Opens(notes) => {
                let notes: Vec<String> = notes.iter().map(|note| format!("`{note:?}`")).collect();
                (format!("opens, noted: {}", notes.join(", ")), "")
            }
            Self::Begins => (String::from("begins a new store"), ""),
            Self::Refused(reason, sentence) => (format!("refused: `{reason:?}`"), sentence),
        }
    }

    /// The answer, in the words of the process that opened it.
    fn answer(&self) -> String {
        match self {
            Self::Opens(notes) => format!("opens {notes:?}, with all of it"),
            Self::Begins => String::from("opens [], empty"),
            Self::Refused(reason, sentence) => format!("{reason:?}: {sentence}"),
        }
    }
}

/// At least so many states are opened on any machine.
const AT_LEAST: usize = 40;
/// Some states take the five seconds that a writer waits.
const AT_ONCE: usize = 4;

fn states() -> impl Iterator<Item = &'static State> {
    let rooms =
        [files::STATES, schemas::STATES, logs::STATES, places::STATES, surroundings::STATES];
    rooms.into_iter().flatten()
}

/// Returns the finding, if the answer is wrong.
fn check(state: &State) -> Result<Option<String>, Skip> {
    let mut scene = Scene::new();
    (state.set_up)(&mut scene)?;
    let (expected, said) = (state.meets.answer(), scene.said());
    Ok((said != expected).then(|| format!("{}\n    says {said}\n    not  {expected}", state.name)))
}

#[test]
fn a_store_starts_from_every_state_or_says_what_to_do() {
    let all: Vec<&State> = states().collect();
    let (next, skipped, wrong) =
        (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(state) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match check(state) {
                        Ok(found) => wrong.lock().unwrap().extend(found),
                        Err(why) => skipped.lock().unwrap().push((state.name, why)),
                    }
                }
            });
        }
    });
    let (skipped, wrong) = (skipped.into_inner().unwrap(), wrong.into_inner().unwrap());
    for (name, why) in &skipped {
        println!("skipped: {name} ({why})");
    }
    let opened = all.len() - skipped.len();
    println!("always starts: {} of {opened}", opened - wrong.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(opened >= AT_LEAST, "only {opened} states could be set up here");
}

#[test]
fn the_manual_has_the_table_of_states_row_by_row() {
    let page = include_str!("../../manual/opening_states.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| state |"))
        .collect();
    let expected: Vec<String> = states()
        .map(|state| {
            let (what, sentence) = state.meets.cells();
            let row = format!("| {} | {what} | {sentence} |", state.name);
            row.replace("|  |", "| |")
        })
        .collect();
    assert!(rows == expected, "these rows are right:\n{}\n", expected.join("\n"));
}

#[test]
fn each_advice_is_one_sentence_that_says_what_to_do() {
    for state in states() {
        let Meets::Refused(_, sentence) = state.meets else { continue };
        assert!(sentence.ends_with('.') && !sentence.contains(". "), "{}: {sentence}", state.name);
        assert!(sentence.starts_with(char::is_uppercase), "{}: {sentence}", state.name);
    }
}
