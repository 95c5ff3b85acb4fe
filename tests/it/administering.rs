//! Administration by subtree: what is outside does not exist, what is above is not touched, and
//! nothing is granted that the administrator lacks.
//!
//! `calls.rs` has every call of the limited handles; a public one that it lacks fails a test below.
//! `model.rs` has the rules once more, in plain loops. The matrix makes each call by each kind of
//! administrator to each kind of target; the random towns make them in any order.

mod calls;
mod meanwhile;
mod model;
mod pieces;
mod rules;
mod town;

use std::collections::BTreeSet;

use crate::races::fleet::Dice;
use crate::surface;
use calls::{CALLS, Call, Target};
use model::Place;
use town::Town;

/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// As for a record that does not exist.
    Absent,
    /// `NotPermitted`.
    Refused,
    Done,
    /// A rule that has nothing to do with the administrator refuses it.
    Conflict,
    /// A list, or a count.
    Found(BTreeSet<String>),
}

impl Answer {
    /// The second answer where the first one lets the call go on.
    fn and(self, next: Self) -> Self {
        if self == Self::Done { next } else { self }
    }

    fn refused_if(is_refused: bool) -> Self {
        if is_refused { Self::Refused } else { Self::Done }
    }
}

/// The administrators of the matrix, and whom and what they name: each user, branch and
/// organisation of [`every_kind`] is there for one relation.
const ACTORS: usize = 7;

/// Two organisations of two branches and one, a branch in none, and users of every relation.
fn every_kind() -> Town {
    let mut town = Town::new();
    let [north, south] = [(); 2].map(|()| town.add_organisation());
    let [york, hull, leeds] =
        [Some(north), Some(north), Some(south)].map(|parent| town.add_branch(parent));
    let alone = town.add_branch(None);
    let (of_york, of_north) = (Place::Branch(york), Place::Organisation(north));
    // The administrators: of everything, of an organisation, of one branch, of two, and of none.
    town.add_user(None, &["admin", "read"], &[]);
    town.add_user(Some(york), &["read"], &[of_north]);
    town.add_user(Some(york), &["read"], &[of_york]);
    town.add_user(Some(alone), &["read"], &[of_york, Place::Branch(leeds)]);
    town.add_user(Some(hull), &["write"], &[of_york, Place::Branch(hull)]);
    town.add_user(Some(york), &["read"], &[]);
    town.add_user(None, &[], &[Place::Branch(alone), Place::Organisation(south)]);
    assert_eq!(town.model.people.len(), ACTORS);
    // Those without an administration, and an administrator of everything inside of a branch.
    for branch in [Some(york), Some(hull), Some(leeds), Some(alone), None] {
        town.add_user(branch, &["write"], &[]);
    }
    town.add_user(Some(hull), &["admin"], &[]);
    for branch in [york, leeds] {
        let gone = town.add_user(Some(branch), &["read"], &[]);
        town.store.users().delete(town.user(gone)).unwrap();
        town.model.people[gone].is_deleted = true;
    }
    town
}

/// Each user with a place of its own, and each place with a user; one beyond the end is unknown.
fn targets(town: &Town) -> Vec<Target> {
    let (users, branches) = (town.model.people.len(), town.model.branches.len());
    let organisations = town.model.organisations;
    let target = |user, branch, organisation, of_branch| Target {
        user,
        branch,
        organisation,
        of_branch,
        privilege: ["read", "write", "admin"][user % 3],
        deleted: user % 2 == 1,
    };
    let of_users = (0..=users).map(|user| target(user, Some(0), Some(0), user % 2 == 0));
    let of_branches = (0..=branches + 1).map(|id| {
        let branch = (id <= branches).then_some(id);
        target(7, branch, Some(id % (organisations + 1)), true)
    });
    let of_organisations = (0..=organisations + 1).map(|id| {
        let organisation = (id <= organisations).then_some(id);
        target(7, Some(0), organisation, false)
    });
    of_users.chain(of_branches).chain(of_organisations).collect()
}

/// With optimisations each cell; without, one of as many as that.
const CELLS: usize = if cfg!(debug_assertions) { 53 } else { 1 };

#[test]
fn every_public_call_is_in_the_matrix() {
    let is_limited = |path: &String| path.starts_with("Administ");
    let handles = ["users", "branches", "organisations", "sessions", "api_keys"];
    let handles = handles.into_iter().chain(["one_time_tokens", "second_factors"]);
    let handles: BTreeSet<String> =
        handles.map(|handle| format!("Administration::{handle}")).collect();
    let found: BTreeSet<String> = surface::functions()
        .into_iter()
        .map(|function| function.path)
        .filter(is_limited)
        .collect();
    let listed: BTreeSet<String> =
        CALLS.iter().map(|call| call.name.split('(').next().unwrap().to_owned()).collect();
    let missing: Vec<_> =
        found.difference(&listed).filter(|call| !handles.contains(*call)).collect();
    assert!(missing.is_empty(), "give these a row in administering/calls.rs: {missing:?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "no public call: {gone:?}");
}

#[test]
fn the_model_is_short() {
    let text = include_str!("administering/model.rs");
    let rules = text.split_once("impl Model {").unwrap().1;
    let lines = rules.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 60, "{lines} lines");
}

#[test]
fn each_call_answers_each_administrator_of_each_target_by_the_rules() {
    let (mut town, mut cells, mut differences) = (every_kind(), 0_usize, Vec::new());
    let (mut absent, mut refused, mut done) = (0, 0, 0);
    for (row, call) in CALLS.iter().enumerate() {
        for by in 0..ACTORS {
            for target in targets(&town) {
                cells += 1;
                if (cells + row) % CELLS != 0 {
                    continue;
                }
                match (call.expect)(&town, by, &target) {
                    Answer::Absent => absent += 1,
                    Answer::Refused => refused += 1,
                    Answer::Done => done += 1,
                    Answer::Conflict | Answer::Found(_) => {}
                }
                let is_done = (call.expect)(&town, by, &target) == Answer::Done;
                let changes = is_done && call.then != calls::Then::Nothing;
                let before = changes.then(|| {
                    // Prepares also a user outside whom the call does not name.
                    town.prepare(call, target.user);
                    town.outside(by)
                });
                differences.extend(town.play(call, by, &target).err());
                if let Some(before) = before {
                    assert_eq!(town.outside(by), before, "{} by {by} to {target:?}", call.name);
                    town = every_kind();
                }
            }
        }
    }
    println!("{cells} cells, 1 in {CELLS}: {absent} absent, {refused} refused, {done} done");
    assert!(absent > 20 && refused > 5 && done > 20);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A record outside and one that does not exist: the same answer, to the letter, after the same
/// statements.
#[test]
fn outside_is_the_same_as_not_there_in_errors_and_statements() {
    let town = every_kind();
    let unknown = Target {
        user: usize::MAX,
        branch: Some(usize::MAX),
        organisation: Some(usize::MAX),
        of_branch: true,
        privilege: "read",
        deleted: false,
    };
    let mut compared = 0;
    // The one of York, the one of York and Leeds, and the one of none.
    for by in [2, 3, 5] {
        let administration = town.store.administering(&town.principal(by));
        for call in CALLS {
            for (user, branch, organisation) in [(10, 3, 1), (11, 1, 0), (6, 3, 1)] {
                let (branch, organisation) = (Some(branch), Some(organisation));
                for of_branch in [true, false] {
                    let outside = Target { user, branch, organisation, of_branch, ..unknown };
                    let unknown = Target { of_branch, ..unknown };
                    town.prepare(call, user);
                    let ask = |target: &Target| {
                        let ask = || (call.make)(&town, &administration, target);
                        drop(ask());
                        let (answer, statements) = gatepost::testing::statements(ask);
                        let advice = answer.as_ref().err().map(gatepost::Error::advice);
                        (format!("{answer:?}"), advice, statements)
                    };
                    let expected = (call.expect)(&town, by, &unknown);
                    assert!(expected != Answer::Done, "{}", call.name);
                    assert_eq!(ask(&outside), ask(&unknown), "{} by {by}", call.name);
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} pairs of calls, outside and unknown");
}

/// The long form: `scripts/subtrees` runs it, with the number of calls and the seed. The short one
/// is shorter still where the suite is compiled without optimisations.
#[test]
fn long() {
    let words: Vec<u64> = crate::child::words().iter().flat_map(|word| word.parse()).collect();
    let calls =
        words.first().copied().unwrap_or(if cfg!(debug_assertions) { 100 } else { 20_000 });
    let seed = words.get(1).copied().unwrap_or(1);
    let (mut made, mut towns, mut done, mut absent, mut refused) = (0, 0, 0, 0, 0);
    while made < calls {
        let mut dice = Dice::new(seed, towns);
        let mut town = Town::random(&mut dice);
        towns += 1;
        for _ in 0..100 {
            let call = &CALLS[dice.below(CALLS.len())];
            let (by, target) = (dice.below(town.model.people.len()), town.target(&mut dice));
            if town.model.people[by].is_deleted || has_no_turn(&town, call, &target) {
                continue;
            }
            match (call.expect)(&town, by, &target) {
                Answer::Absent => absent += 1,
                Answer::Refused => refused += 1,
                _ => done += 1,
            }
            let played = town.play(call, by, &target);
            played.unwrap_or_else(|difference| {
                panic!("seed {seed}, town {}, call {made}: {difference}", towns - 1)
            });
            made += 1;
        }
    }
    println!(
        "{made} calls in {towns} towns from seed {seed}, 0 differences: {absent} absent, \
         {refused} refused, {done} done or listed"
    );
}

/// Whether the model has no answer: a deleted user may have a factor or not.
fn has_no_turn(town: &Town, call: &Call, target: &Target) -> bool {
    let is_deleted = town.model.people.get(target.user).is_some_and(|person| person.is_deleted);
    call.name.ends_with("SecondFactors::info") && is_deleted
}
