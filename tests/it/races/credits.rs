//! Credits that sixty-four threads spend until none are left.

use gatepost::directory::CreditHolder;
use gatepost::{BranchId, Error, ErrorKind, OrganisationId};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Racer, THREADS, Tally, each_round};
use crate::child::Parent;
use crate::world::World;

const BRANCH: u64 = 500;
const ORGANISATION: u64 = 300;
/// The most that one call spends.
const MOST: usize = 3;

/// Every acknowledged spend is counted once, whichever process made it, and the count never falls
/// below zero. A process killed on the way may have spent once more in each thread than it said.
pub(crate) fn are_counted(run: Run) {
    let world = World::new();
    let org = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", None).unwrap().id;
    let holders = [CreditHolder::Branch(york), CreditHolder::Organisation(org)];
    let words = [york.to_string(), org.to_string()];
    let mut fleet = Fleet::start("credits", &world, run.seed, &[&words[0], &words[1]]);
    let mut dice = Dice::new(run.seed, 0);
    for _ in 0..run.rounds {
        world.store.credits().set(holders[0], BRANCH).unwrap();
        world.store.credits().set(holders[1], ORGANISATION).unwrap();
        let before = spent_in_audit(&world);
        let (mut last, mut looks) = ((BRANCH, ORGANISATION), 0);
        let tally = fleet.race_watched("spend", || {
            let now = holders.map(|one| world.store.credits().remaining(one).unwrap().unwrap());
            assert!(now[0] <= last.0 && now[1] <= last.1, "{now:?} after {last:?}");
            last = (now[0], now[1]);
            looks += 1;
        });
        println!("credits: {}; {looks} looks", tally.line());
        // A thread that wanted more than was left went on to smaller sums: nothing is left over.
        assert_eq!((tally.of("branch"), tally.of("organisation")), (BRANCH, ORGANISATION));
        assert_eq!(world.count("SELECT sum(remaining) FROM credit"), 0);
        assert_eq!(spent_in_audit(&world) - before, BRANCH + ORGANISATION);
    }
    for _ in 0..run.rounds {
        over_a_kill(&world, &mut fleet, &mut dice, holders);
    }
    fleet.end();
}

/// What the log says was spent, ever.
fn spent_in_audit(world: &World) -> u64 {
    let sum = "SELECT coalesce(sum(count), 0) FROM audit WHERE event = 'credits.spent'";
    u64::try_from(world.count(sum)).unwrap()
}

fn over_a_kill(world: &World, fleet: &mut Fleet, dice: &mut Dice, holders: [CreditHolder; 2]) {
    for one in holders {
        world.store.credits().set(one, BRANCH).unwrap();
    }
    let before = spent_in_audit(world);
    fleet.children.iter_mut().for_each(|child| child.say("spend aloud"));
    let victim = dice.below(PROCESSES);
    let mut said = Vec::new();
    for _ in 0..=dice.below(40) {
        said.push(fleet.children[victim].hear());
        // Others may have been quicker: it has finished, and would say no more.
        if said.last().is_some_and(|line| !line.starts_with("spent ")) {
            break;
        }
    }
    said.extend(fleet.kill(victim));
    let mut acknowledged = Tally::default();
    for line in said {
        acknowledged.add_all(&spends_of(&line));
    }
    for child in &mut fleet.children {
        let mut line = child.hear();
        while line.starts_with("spent ") {
            acknowledged.add_all(&spends_of(&line));
            line = child.hear();
        }
    }
    fleet.replace(victim);
    let acknowledged = acknowledged.of("spent");
    let spent = spent_in_audit(world) - before;
    println!("credits: over a kill {acknowledged} acknowledged, {spent} spent");
    let unsaid = u64::try_from(THREADS * MOST).unwrap();
    assert!(acknowledged <= spent && spent <= acknowledged + unsaid);
    assert_eq!(spent, 2 * BRANCH);
    assert_eq!(world.count("SELECT sum(remaining) FROM credit"), 0);
}

fn spends_of(line: &str) -> Tally {
    let mut tally = Tally::default();
    if let Some(count) = line.strip_prefix("spent ") {
        tally.add("spent", count.parse().unwrap());
    }
    tally
}

pub(crate) fn spend(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(|tests| tests);
    let york = CreditHolder::Branch(racer.rest[0].parse::<BranchId>().unwrap());
    let org = CreditHolder::Organisation(racer.rest[1].parse::<OrganisationId>().unwrap());
    each_round(parent, |line| {
        let aloud = line == "spend aloud";
        let tally = racer.threads(|player| {
            let mut left = vec![(york, "branch"), (org, "organisation")];
            let mut most = MOST;
            while !left.is_empty() {
                let at = player.dice.below(left.len());
                let (holder, what) = left[at];
                let count = u64::try_from(1 + player.dice.below(most)).unwrap();
                match player.insist(|| refused(store.credits().spend(holder, count))) {
                    Some(_) => {
                        player.tally.add(what, count);
                        if aloud {
                            Parent.say(&format!("spent {count}"));
                        }
                    }
                    None if count == 1 => drop(left.swap_remove(at)),
                    None => most = 1,
                }
                player.tally.count("calls");
            }
        });
        tally.line()
    });
}

/// `None` if there were too few.
fn refused(spent: Result<u64, Error>) -> Result<Option<u64>, Error> {
    match spent {
        Err(error) if error.kind() == ErrorKind::Insufficient => Ok(None),
        spent => spent.map(Some),
    }
}
