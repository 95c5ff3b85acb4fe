//! How long a refusal takes: not whether it is quick, but whether it reveals that a user exists.
//!
//! Not a test of the suite, which asserts no times: it counts hashes instead. `scripts/timing` runs
//! this, and says how to read what it prints.

#![expect(clippy::disallowed_methods, reason = "how long a refusal takes is measured")]

use std::sync::Arc;
use std::time::Instant;

use gatepost::directory::UserStatus;
use gatepost::host::ManualClock;
use gatepost::policy::Cost;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::NewOneTimeToken;
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, NewUser, Store};

use crate::pending_step::unsealed;
use crate::races::Dice;
use crate::world::{DAY, PASSWORD, device, directory_in_memory, for_tests, morning};

/// The kinds of names, each tried with a wrong password. `imported` has a hash from elsewhere,
/// `devices` has a hundred known devices, `deleted` had the name once; where a kind says so, the
/// address is typed, the password is a one-time token, or a code is beside it. Those of `code`
/// have a second factor.
const KINDS: [&str; 18] = [
    "user",
    "again",
    "unknown",
    "disabled",
    "locked",
    "without",
    "imported",
    "devices",
    "deleted",
    "address",
    "address again",
    "unknown address",
    "token",
    "token again",
    "unknown token",
    "code",
    "code again",
    "unknown code",
];
/// Which kind is compared with which. The first of a row compares like with like, so that it shows
/// what the comparison itself is worth.
const PAIRS: [(usize, &[usize]); 4] =
    [(0, &[1, 2, 3, 4, 5, 6, 7, 8]), (9, &[10, 11]), (12, &[13, 14]), (15, &[16, 17])];
/// Beyond this a difference is no accident (the bound that dudect uses).
const T_MAX: f64 = 4.5;
/// The slowest tenth of all is left out of the second value: it is the machine's doing.
const KEPT: f64 = 0.9;
/// So often the counts of the users are set back.
const RESET: usize = 10_000;
/// What hashes cost in a population of several costs, beside the cost in force.
const COSTS: [(u32, u32); 3] = [(12_288, 3), (47_104, 1), (19_456, 3)];

/// What users have in a population of other systems, beside the hashes of this one. Each takes one
/// to three milliseconds.
const FOREIGN: [&str; 3] = [
    "$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW",
    "pbkdf2_sha256$5000$QCdWQPwz4yfUWVxDt8j3eg$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=",
    "$scrypt$ln=10,r=8,p=1$8J5z7v2fU2ptDaHUuvc+Jw$U2u0bdO6cdvO5X7T2ieodZ0YOVRxoOXLMQvbHbl0arI",
];

/// Words, each after `=`: `timing`, how many rounds, the cost (`tests`, `recommended`, `mixed` or
/// `foreign`), how many unknown names were tried before, the seed of the order, and how many names
/// of each kind there are.
#[test]
fn long() {
    let words = crate::child::words();
    let [section, rounds, cost, crowd, seed, names] = words.as_slice() else { return };
    if section != "timing" {
        return;
    }
    let [rounds, crowd, names] = [rounds, crowd, names].map(|word| word.parse().unwrap());
    println!(
        "timing: {rounds} rounds, cost {cost}, {crowd} names tried before, seed {seed}, {names} \
         names of each kind"
    );
    // A disk is louder than any difference.
    let place = directory_in_memory();
    let clock = ManualClock::new(morning());
    let (store, sql) = populate(&place.path().join("auth.db"), cost, names, &clock);
    let mut order = Dice::new(seed.parse().unwrap(), 0);
    let mut attempts = 0_usize;
    let first = store.users().find_by_username("first").unwrap().unwrap().id;
    let reset = NewOneTimeToken::password_reset();
    let token = store.one_time_tokens().issue(first, reset).unwrap().token;
    let mut attempt = |name: String, kind: &str| {
        // A day later no text waits and no gate is closed.
        clock.advance(DAY);
        attempts += 1;
        if attempts.is_multiple_of(RESET) {
            sql.execute("UPDATE throttle SET failures = 1", []).unwrap();
        }
        let password = if kind.contains("token") { token.expose() } else { "wrong horse" };
        let login = LoginRequest::new(name, password.into(), device("elsewhere"));
        let login = if kind.contains("code") { login.code("123456") } else { login };
        let began = Instant::now();
        let answer = store.log_in(login).unwrap();
        let took = began.elapsed();
        assert!(is_like_any(&answer), "{answer:?}");
        took.as_secs_f64() * 1e6
    };
    for number in 0..crowd {
        attempt(format!("crowd-{number}"), "unknown");
    }
    for (base, others) in PAIRS {
        for other in others {
            // Half and half: a processor is quicker at what it has done more often.
            let mut taken = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                let first = order.below(2);
                for one in [first, 1 - first] {
                    let kind = [base, *other][one];
                    taken[one].push(attempt(typed(kind, order.below(names)), KINDS[kind]));
                }
            }
            report(KINDS[*other], &taken);
        }
    }
}

fn is_like_any(answer: &LoginOutcome) -> bool {
    matches!(answer, LoginOutcome::Refused(LoginRefusal::InvalidCredentials))
}

/// One of the names of a kind. They are of one length and in no order.
fn name(kind: usize, which: usize) -> String {
    let mixed = (which * KINDS.len() + kind) as u32;
    format!("{:08x}", (mixed + 1).wrapping_mul(0x9e37_79b1))
}

/// What is typed for it.
fn typed(kind: usize, which: usize) -> String {
    let name = name(kind, which);
    if KINDS[kind].contains("address") { format!("{name}@example.com") } else { name }
}

fn populate(
    path: &std::path::Path,
    cost: &str,
    names: usize,
    clock: &ManualClock,
) -> (Store, rusqlite::Connection) {
    let (is_mixed, is_foreign) = (cost == "mixed", cost == "foreign");
    let cost = if cost == "tests" || is_foreign {
        Cost::insecure_for_tests()
    } else {
        Cost::recommended()
    };
    let year = 400 * DAY;
    let options = unsealed(for_tests()).cost(cost).clock(Arc::new(clock.clone()));
    let options = options.login_by_email(true);
    let store = Store::open(path, options.audit_max_age(year).audit_max_rows(1_000)).unwrap();
    let sql = rusqlite::Connection::open(path).unwrap();
    sql.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    store.users().create(NewUser::person("first").password(PASSWORD.into())).unwrap();
    let own: String = sql.query_row("SELECT phc FROM credential", [], |row| row.get(0)).unwrap();
    let imported = |which: usize| {
        let (memory, passes) = COSTS[which % COSTS.len()];
        let (_, rest) = own.split_once(",p=").unwrap();
        format!("$argon2id$v=19$m={memory},t={passes},p={rest}")
    };
    for which in 0..names {
        for (kind, what) in KINDS.iter().enumerate() {
            if what.starts_with("unknown") {
                continue;
            }
            // The costs are as many in each kind.
            let hash = match which % (COSTS.len() + 1) {
                0 => own.clone(),
                drawn if is_mixed => imported(drawn - 1),
                drawn if is_foreign => FOREIGN[drawn - 1].to_owned(),
                _ if *what == "imported" => own.replace("p=1$", "p=1$c29tZSBzYWx0"),
                _ => own.clone(),
            };
            let new = NewUser::person(name(kind, which));
            let new = new.email(format!("{}@example.com", name(kind, which)));
            let new = if *what == "without" { new } else { new.password_hash(hash) };
            let user = store.users().create(new).unwrap().id;
            match *what {
                "deleted" => store.users().delete(user).unwrap(),
                "devices" => known_devices(&sql, user),
                "code" | "code again" => give_factor(&store, user),
                what => {
                    let status = UserStatus::parse(what).unwrap_or(UserStatus::Active);
                    store.users().set_status(user, status).unwrap();
                }
            }
        }
    }
    (store, sql)
}

fn give_factor(store: &Store, user: gatepost::UserId) {
    let secret = TotpSecret::new(b"12345678901234567890".to_vec()).unwrap();
    store.second_factors().import(user, secret, NewTotp::new()).unwrap();
}

fn known_devices(sql: &rusqlite::Connection, user: gatepost::UserId) {
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
        INSERT INTO device (user_id, device_hash, first_login_at, last_login_at)
        SELECT unhex(replace(?1, '-', '')), randomblob(16), i, i FROM n";
    sql.execute(fill, [user.to_string()]).unwrap();
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
    let verdict = if t_quicker.abs() < T_MAX { "no difference" } else { "DIFFERENT" };
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
