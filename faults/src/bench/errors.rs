//! Input and output errors and full disks at every call of every operation.
//!
//! Each call that SQLite makes of the system fails in turn: once, or from then on for ever; as an
//! error, as a full disk or as a used-up quota; a write that fails was half done. Whatever the
//! answer, no dead token passes and no live one is refused, and the file, opened again or after a
//! loss of power, agrees with the answer. It opens after every failure, one in its own creation
//! too. After a `CommitUnknown` the store is opened again in the same process, beside the first one
//! or after it was dropped: its status then agrees with the file about the write.
//!
//! Then each transfer of bytes that SQLite asks of the system is interrupted by a signal, or moves
//! half of what it should, once or from then on for ever: that is no error, and the operation is
//! done. And at each call that would change something the medium becomes read-only.

use std::mem;
use std::path::Path;

use gatepost::Store;
use gatepost::status::CommitOutcome;

use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::image::Image;
use crate::operation::{self, Act, Operation};
use crate::place::{Place, beside};
use crate::process::{Child, End, Voice};
use crate::scene::{Scene, TOKENS};
use crate::shim::{self, ALTERING, Blow, FAILING, MOVING, Plan};
use crate::store::device;
use crate::tally::{Tally, in_lanes, of_lane};
use crate::trial::{Known, Seen, attempt_under, every, look, options_of, put, send, undisturbed};

/// The errors that may occur: none of them says that the request was wrong, or names a token.
const REASONS: &[&str] =
    &["Io", "Full", "Busy", "CommitUnknown", "Closed", "Corrupt", "ReadOnly", "Unsupported"];

const BREAKING: &[(bool, Blow)] = &[
    (false, Blow::Io),
    (true, Blow::Io),
    (false, Blow::Full),
    (true, Blow::Full),
    (true, Blow::Quota),
];
/// A call that is interrupted for ever never returns.
const HARMLESS: &[(bool, Blow)] =
    &[(false, Blow::Interrupted), (false, Blow::Short), (true, Blow::Short)];
/// Until the operation is over.
const FREEZING: &[(bool, Blow)] = &[(true, Blow::ReadOnly)];

/// Which calls fail, and how.
const KINDS: &[(u32, &[(bool, Blow)])] =
    &[(FAILING, BREAKING), (MOVING, HARMLESS), (ALTERING, FREEZING)];

/// Every `count`th call, beginning with another one for each operation and seed; 1 is every call.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    of_operations(|_| true, count, seed)
}

/// The same for the operations alone that verify a token: neither a yes nor a no comes of an error.
pub(crate) fn run_verdicts(count: u64, seed: u64) -> Tally {
    of_operations(|operation| operation.name.starts_with("verify"), count, seed)
}

fn of_operations(is_meant: fn(&Operation) -> bool, count: u64, seed: u64) -> Tally {
    let scene = Scene::build(1);
    let operations: Vec<&Operation> =
        operation::all().filter(|operation| is_meant(operation)).collect();
    in_lanes(operations.len() as u64, |lane, _, tally| {
        let place = Place::new("errors");
        let path = place.file("auth.db");
        for (n, operation) in of_lane(lane, &operations) {
            for (calls, blows) in KINDS.iter().copied() {
                let counted = Plan { calls, at: 0, for_ever: false, blow: Blow::Io };
                let known = undisturbed(operation, &scene, &path, counted);
                for at in every(count, known.calls, seed - 1 + 31 * n as u64) {
                    for (for_ever, blow) in blows.iter().copied() {
                        let plan = Plan { at, for_ever, blow, ..counted };
                        let trial = Trial { operation, scene: &scene, known: &known, plan };
                        trial.run(&path, tally);
                    }
                }
            }
            tally.one("operations");
        }
    })
}

struct Trial<'t> {
    operation: &'t Operation,
    scene: &'t Scene,
    known: &'t Known,
    plan: Plan,
}

impl Trial<'_> {
    fn run(&self, path: &Path, tally: &mut Tally) {
        self.scene.lay(self.operation.start, path);
        let (said, end) = Child::fork(|voice| self.child(path, voice)).end();
        let place = || format!("{} struck by {:?}: {said:?}", self.operation.name, self.plan);
        assert_eq!(end, End::Well, "{}", place());
        let answer = said[0].as_str();
        let harmless = self.plan.blow.is_harmless();
        if answer != "done" {
            assert!(!harmless, "{}", place());
            assert!(REASONS.contains(&answer), "{}", place());
        }
        let after = Child::fork(|voice| send(&look(self.scene, path), voice)).end_well();
        self.held_against_the_known(answer, &after, "files opened again", tally);
        let (outcomes, losses): (Vec<String>, Vec<String>) =
            said[1..].iter().cloned().partition(|line| line.starts_with(OUTCOME));
        self.held_against_the_known(answer, &losses, "losses of power after them", tally);
        assert_eq!(outcomes.len(), usize::from(answer == "CommitUnknown"), "{}", place());
        for outcome in outcomes {
            self.held_against_the_outcome(&outcome, &Seen::heard(&after[0]), tally);
        }
        tally.one(if harmless { "interruptions and short transfers" } else { "faults" });
        tally.one(format!("answered {answer}"));
    }

    fn held_against_the_known(
        &self,
        answer: &str,
        lines: &[String],
        what: &'static str,
        tally: &mut Tally,
    ) {
        for line in lines {
            if line == "noise" {
                tally.one("files of which noise alone was left");
                continue;
            }
            let seen = Seen::heard(line);
            let is_full = matches!(self.plan.blow, Blow::Full | Blow::Quota);
            let drawn_again = self.operation.draws && answer == "done" && is_full;
            let is_known = if drawn_again {
                self.known.ends_alike(&seen)
            } else {
                self.known.allows(self.operation, answer, &seen)
            };
            assert!(
                is_known,
                "{} struck by {:?}, answered {answer}: seen {seen:?} of {:?}",
                self.operation.name, self.plan, self.known.states
            );
            tally.one(what);
        }
    }

    /// Whether the file has the write, as the store reports after it was opened again. An operation
    /// of several commits does not say which of them was in doubt.
    fn held_against_the_outcome(&self, outcome: &str, seen: &Seen, tally: &mut Tally) {
        let states = &self.known.states;
        let (shape, said) = outcome.strip_prefix(OUTCOME).unwrap().rsplit_once(' ').unwrap();
        let allowed = match said {
            "Applied" => &states[states.len().min(2) - 1..],
            "NotApplied" => &states[..(states.len() - 1).max(1)],
            // No other process has written.
            _ => panic!("{} struck by {:?}: {outcome}", self.operation.name, self.plan),
        };
        assert!(
            allowed.contains(seen),
            "{} struck by {:?}: {outcome}, but seen {seen:?} of {states:?}",
            self.operation.name,
            self.plan
        );
        tally.one(format!("unknown commits {shape}, then {said}"));
    }

    fn child(&self, path: &Path, voice: &Voice) {
        shim::install();
        shim::record();
        let options = options_of(self.operation);
        let (store, answer) =
            attempt_under(&options, self.operation, self.scene, path, || shim::arm(self.plan));
        let answer = match answer {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        voice.say(&answer);
        if let Some(store) = &store {
            // While the disk is broken, and when it works again.
            self.judges(store, &answer);
        }
        let (_, struck) = shim::disarm();
        assert!(struck > 0, "it was never struck");
        if let Some(store) = &store {
            self.judges(store, &answer);
        }
        let is_dropped = self.plan.at.is_multiple_of(2);
        if is_dropped {
            drop(store);
        } else {
            mem::forget(store);
        }
        let mut disk = Disk::of(Image::of(self.scene.bytes(self.operation.start)));
        for entry in shim::recorded() {
            disk.apply(&entry);
        }
        let mut dice = Dice::new(self.plan.at, 7);
        for loss in [Loss::Everything, Loss::Any] {
            let path = beside(path, "-image");
            let image = disk.image(loss, &mut dice);
            if image.is_noise_alone() {
                voice.say("noise");
                continue;
            }
            put(&image, &path);
            send(&look(self.scene, &path), voice);
        }
        if answer == "CommitUnknown" {
            let again = Store::open(path, options).unwrap();
            let outcome: CommitOutcome = again.status().last_unknown_commit.unwrap();
            let shape = if is_dropped { "of a dropped store" } else { "of an open store" };
            voice.say(format_args!("{OUTCOME}{shape} {outcome:?}"));
        }
    }

    /// No token that is dead before and after passes, and none that lives before and after is
    /// refused. An error is neither.
    fn judges(&self, store: &Store, answer: &str) {
        if matches!(self.operation.act, Act::Open) && answer != "done" {
            return;
        }
        let (first, last) =
            (&self.known.states[0], &self.known.states[self.known.states.len() - 1]);
        for (n, (name, on)) in TOKENS.iter().enumerate() {
            if *name == "bob.idle" {
                // Its use would be written down.
                continue;
            }
            let on = on.map(device);
            let Ok(verdict) = store.verify((self.scene.token(name), on.as_ref())) else {
                continue;
            };
            let passes = if verdict.valid().is_ok() { "1" } else { "0" };
            let (before, after) = (&first.passes()[n..=n], &last.passes()[n..=n]);
            let right = match answer {
                "done" => passes == after,
                _ => passes == before || passes == after,
            };
            assert!(right, "{name} answered {passes}, {before} before and {after} after");
        }
        let stranger = store.verify((STRANGER, &device("till")));
        assert!(!stranger.is_ok_and(|verdict| verdict.valid().is_ok()), "an unknown token passes");
    }
}

/// Before what the status says of an unknown commit.
const OUTCOME: &str = "outcome ";

/// Of another store.
const STRANGER: &str =
    "gps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
