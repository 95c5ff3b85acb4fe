//! How long a refusal takes: not whether it is quick, but whether it tells who exists.
//!
//! Not a test of the suite, which asserts no times: it counts hashes instead. `scripts/timing` runs
//! this, and says how to read what it prints.

#![expect(clippy::disallowed_methods, reason = "how long a refusal takes is measured")]

use std::sync::Arc;
use std::time::Instant;

use gatepost::{Cost, LogIn, LoginAnswer, ManualClock, NewUser, Refusal, Store, UserStatus};

use crate::world::{PASSWORD, SECOND, device, for_tests, morning};

/// Who is tried, always with a wrong password. The first is what each of the others is compared
/// with; the second is the same again, so that it shows what the comparison itself is worth.
const TRIED: [&str; 6] = ["user", "again", "nobody", "disabled", "locked", "without"];
/// Names of each kind, made in turn: where a row stands in the file is not what is asked about.
const NAMES: usize = 16;
/// Beyond this a difference is no accident (the bound that dudect uses).
const T_MAX: f64 = 4.5;
/// The slowest tenth of all is left out of the second value: it is the machine's doing.
const KEPT: f64 = 0.9;

/// Words, each after `=`: `timing`, how many rounds, `tests` or `recommended` (the cost), how many
/// unknown names were tried before, and the seed of the order.
#[test]
fn long() {
    let words: Vec<String> =
        std::env::args().filter_map(|word| Some(word.strip_prefix('=')?.to_owned())).collect();
    let [section, rounds, cost, crowd, seed] = words.as_slice() else { return };
    if section != "timing" {
        return;
    }
    let (rounds, crowd): (usize, i64) = (rounds.parse().unwrap(), crowd.parse().unwrap());
    println!("timing: {rounds} rounds, cost {cost}, {crowd} names tried before, seed {seed}");
    // In memory where there is such a place: a disk is louder than any difference.
    let shm = std::path::Path::new("/dev/shm");
    let place = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    let place = place.unwrap();
    let clock = ManualClock::new(morning());
    let (store, sql) = populate(&place.path().join("auth.db"), cost, crowd, &clock);
    let mut order = crate::races::Dice::new(seed.parse().unwrap(), 0);
    let attempt = |kind: usize, which: usize| {
        // Every attempt is the first under its name, and the table is as full as it was.
        sql.execute("DELETE FROM throttle WHERE known IN (0, 1) AND last_attempt_at > 0", [])
            .unwrap();
        clock.advance(SECOND);
        let login = LogIn::new(name(kind, which), "wrong horse".into(), device("elsewhere"));
        let began = Instant::now();
        let answer = store.log_in(login).unwrap();
        let took = began.elapsed();
        assert!(is_like_any(&answer), "{answer:?}");
        took.as_secs_f64() * 1e6
    };
    for (kind, told) in TRIED.iter().enumerate().skip(1) {
        // Half and half: a processor is quicker at what it has done more often.
        let mut taken = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let first = order.below(2);
            for one in [first, 1 - first] {
                taken[one].push(attempt([0, kind][one], order.below(NAMES)));
            }
        }
        report(told, &taken);
    }
}

fn is_like_any(answer: &LoginAnswer) -> bool {
    matches!(answer, LoginAnswer::Refused(Refusal::InvalidCredentials))
}

/// One of the names of a kind. They are of one length and in no order.
fn name(kind: usize, which: usize) -> String {
    let mixed = (which * TRIED.len() + kind) as u32;
    format!("{:08x}", (mixed + 1).wrapping_mul(0x9e37_79b1))
}

fn populate(
    path: &std::path::Path,
    cost: &str,
    crowd: i64,
    clock: &ManualClock,
) -> (Store, rusqlite::Connection) {
    let cost = if cost == "tests" { Cost::insecure_for_tests() } else { Cost::recommended() };
    let year = 400 * 24 * 3_600 * SECOND;
    let options = for_tests().cost(cost).clock(Arc::new(clock.clone()));
    let store = Store::open(path, options.audit_kept(year, 1_000)).unwrap();
    for (which, kind) in (0..NAMES * TRIED.len()).map(|n| (n / TRIED.len(), n % TRIED.len())) {
        let (new, status) = (NewUser::person(name(kind, which)), UserStatus::parse(TRIED[kind]));
        let new = match TRIED[kind] {
            "nobody" => continue,
            "without" => new,
            _ => new.password(PASSWORD.into()),
        };
        let user = store.users().create(new).unwrap();
        store.users().set_status(user.id, status.unwrap_or(UserStatus::Active)).unwrap();
    }
    let sql = rusqlite::Connection::open(path).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO throttle (name_digest, known, failures, last_attempt_at)
        SELECT unhex(printf('%08x', i)), 0, 1, -i FROM n WHERE ?1 > 0";
    sql.execute(fill, [crowd]).unwrap();
    (store, sql)
}

fn report(kind: &str, taken: &[Vec<f64>; 2]) {
    let mut all = taken.concat();
    all.sort_by(f64::total_cmp);
    let crop = all[(all.len() as f64 * KEPT) as usize];
    let kept =
        |one: &[f64]| -> Vec<f64> { one.iter().copied().filter(|took| *took <= crop).collect() };
    let [user, tried] = taken.each_ref().map(|one| Moments::of(one));
    let [quicker_user, quicker] = taken.each_ref().map(|one| Moments::of(&kept(one)));
    let (t, t_quicker) = (tried.welch(&user), quicker.welch(&quicker_user));
    let verdict = if t_quicker.abs() < T_MAX { "nothing told" } else { "TOLD" };
    println!(
        "timing: {kind:9} n {} mean {:8.2} us, a user {:8.2} us, t {t:6.2}; the quicker {} mean \
         {:8.2} us, a user {:8.2} us, t {t_quicker:6.2}: {verdict}",
        tried.n, tried.mean, user.mean, quicker.n, quicker.mean, quicker_user.mean,
    );
}

struct Moments {
    n: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(took: &[f64]) -> Self {
        let n = took.len() as f64;
        let mean = took.iter().sum::<f64>() / n;
        let variance = took.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self { n, mean, variance }
    }

    /// Welch's t: the difference of two means in units of its own uncertainty.
    fn welch(&self, other: &Self) -> f64 {
        let error = (self.variance / self.n + other.variance / other.n).sqrt();
        (self.mean - other.mean) / error
    }
}
