use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::options::Options;
use crate::record::user::NewUser;
use crate::storage::Settled;
use crate::store::Store;
use crate::value::name::DeviceId;
use crate::value::time::ManualClock;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

struct Bench {
    store: Store,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let options = Options::for_tests().clock(Arc::new(clock.clone()));
        Self { store: Store::in_memory(options).unwrap(), clock }
    }

    fn write<T>(&self, job: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> T {
        self.store.transact(|tx| job(tx).map(Settled::Commit)).unwrap()
    }

    fn user(&self, name: &str) -> UserId {
        self.store.users().create(NewUser::person(name)).unwrap().id
    }

    /// A device on which the user has logged in.
    fn device(&self, user: UserId, text: &str) -> DeviceDigest {
        let device = DeviceDigest::of(&DeviceId::new(text).unwrap());
        self.write(|tx| device::seen(tx, user, device));
        device
    }

    fn subject(&self, key: &str, user: Option<UserId>, device: Option<DeviceDigest>) -> Subject {
        self.store.read(|tx| subject(tx, key, user, device)).unwrap()
    }

    fn reserve(&self, subject: &Subject) -> Reservation {
        self.write(|tx| reserve(tx, subject, false))
    }

    #[track_caller]
    fn granted(&self, subject: &Subject) -> Charge {
        match self.reserve(subject) {
            Reservation::Granted(charge) => charge,
            waits => panic!("{waits:?}"),
        }
    }

    #[track_caller]
    fn waits(&self, subject: &Subject, retry_after: Duration, first_in_window: bool) {
        match self.reserve(subject) {
            Reservation::Wait { retry_after: told, first_in_window: first, .. } => {
                assert_eq!((told, first), (retry_after, first_in_window));
            }
            granted => panic!("{granted:?}"),
        }
    }

    /// Tries until so many were evaluated, each as soon as it may be.
    fn fail(&self, subject: &Subject, times: i64) {
        let mut evaluated = 0;
        while evaluated < times {
            match self.reserve(subject) {
                Reservation::Granted(_) => evaluated += 1,
                Reservation::Wait { retry_after, .. } => self.clock.advance(retry_after),
            }
        }
    }

    fn state(&self, key: &str) -> ThrottleState {
        self.store.read(|tx| state(tx, key)).unwrap()
    }

    fn rows(&self) -> i64 {
        let count = |tx: &ReadTx<'_>| {
            tx.exactly_one("SELECT count(*) FROM throttle", [], |row| row.get(0))
        };
        self.store.read(count).unwrap()
    }
}

#[test]
fn waits_begin_at_the_fifth_failure_and_double_up_to_an_hour() {
    let seconds = |failures| wait_ms(failures).map(|wait| wait / 1_000);
    assert_eq!((0..5).find_map(seconds), None);
    let waits: Vec<i64> = (5..14).filter_map(seconds).collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert_eq!(seconds(99), Some(3_600));
}

proptest! {
    #[test]
    fn any_number_of_failures_has_a_wait_within_the_bounds(failures in any::<i64>()) {
        let wait = wait_ms(failures);
        prop_assert_eq!(wait.is_some(), failures >= THROTTLE_FREE_FAILURES);
        prop_assert!(wait.is_none_or(|wait| (30_000..=3_600_000).contains(&wait)));
    }
}

#[test]
fn while_it_waits_nothing_is_charged_and_one_try_is_the_first() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    for _ in 0..5 {
        bench.granted(&ada);
    }
    bench.waits(&ada, 30 * SECOND, true);
    bench.clock.advance(29 * SECOND);
    bench.waits(&ada, SECOND, false);
    assert_eq!(bench.state("ada").failures, 5);
    bench.clock.advance(SECOND);
    bench.granted(&ada);
    bench.waits(&ada, 60 * SECOND, true);
}

#[test]
fn names_nobody_has_are_counted_alike() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    let nobody = bench.subject("nobody", None, None);
    for step in 0..200 {
        let (one, other) = (bench.reserve(&ada), bench.reserve(&nobody));
        match (one, other) {
            (Reservation::Granted(_), Reservation::Granted(_)) => {}
            _ => assert_eq!(one, other, "{step}"),
        }
        bench.clock.advance(Duration::from_secs(step * step));
    }
}

#[test]
fn exactly_a_hundred_are_evaluated_before_the_day() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    bench.fail(&ada, 100);
    bench.waits(&ada, DAY, true);
    assert_eq!(bench.state("ada").failures, 100);
    bench.clock.advance(DAY);
    bench.granted(&ada);
    bench.waits(&ada, DAY, true);
}

#[test]
fn by_option_the_hundredth_waits_for_an_administrator() {
    let bench = Bench::new();
    let user = bench.user("ada");
    let ada = bench.subject("ada", Some(user), None);
    bench.fail(&ada, 99);
    bench.clock.advance(HOUR);
    let last = bench.write(|tx| reserve(tx, &ada, true));
    assert!(matches!(last, Reservation::Granted(_)), "{last:?}");
    bench.waits(&ada, DAY, true);
    bench.clock.advance(400 * DAY);
    bench.waits(&ada, DAY, false);
    assert_eq!(bench.state("ada").locked_until, Some(UNTIL_UNLOCKED));
    assert!(bench.store.users().unlock(user).unwrap());
    assert_eq!(bench.state("ada"), ThrottleState::default());
    bench.granted(&ada);
}

#[test]
fn a_strangers_guesses_do_not_keep_the_owner_from_a_known_device() {
    let bench = Bench::new();
    let user = bench.user("ada");
    let till = bench.device(user, "till");
    let elsewhere = DeviceDigest::of(&DeviceId::new("elsewhere").unwrap());
    bench.fail(&bench.subject("ada", Some(user), Some(elsewhere)), 5);
    bench.waits(&bench.subject("ada", Some(user), None), 30 * SECOND, true);
    bench.waits(&bench.subject("ada", Some(user), Some(elsewhere)), 30 * SECOND, false);
    let owner = bench.subject("ada", Some(user), Some(till));
    bench.granted(&owner);
    assert_eq!(bench.state("ada").failures, 6);
    bench.write(|tx| succeeded(tx, &owner));
    assert_eq!(bench.state("ada"), ThrottleState::default());
}

#[test]
fn a_known_device_waits_on_its_own() {
    let bench = Bench::new();
    let user = bench.user("ada");
    let till = bench.subject("ada", Some(user), Some(bench.device(user, "till")));
    bench.fail(&till, 5);
    bench.waits(&till, 30 * SECOND, true);
    bench.waits(&till, 30 * SECOND, false);
    assert_eq!(bench.state("ada"), ThrottleState { failures: 5, locked_until: None });
    bench.granted(&bench.subject("ada", Some(user), Some(bench.device(user, "phone"))));
    bench.granted(&bench.subject("ada", Some(user), None));
}

#[test]
fn all_budgets_of_a_user_together_stop_at_a_hundred() {
    let bench = Bench::new();
    let user = bench.user("ada");
    let till = bench.subject("ada", Some(user), Some(bench.device(user, "till")));
    let phone = bench.subject("ada", Some(user), Some(bench.device(user, "phone")));
    let stranger = bench.subject("ada", Some(user), None);
    bench.fail(&stranger, 40);
    bench.fail(&till, 40);
    bench.fail(&phone, 20);
    assert_eq!(bench.state("ada").failures, 100);
    bench.waits(&stranger, DAY, true);
    bench.waits(&till, DAY, false);
    bench.waits(&phone, DAY, false);
    bench.clock.advance(DAY);
    bench.granted(&till);
    bench.waits(&phone, DAY, true);
}

#[test]
fn a_refund_leaves_no_trace() {
    let bench = Bench::new();
    let user = bench.user("ada");
    let till = bench.device(user, "till");
    let refund = |subject: &Subject, charge| bench.write(|tx| refund(tx, subject, &charge));
    for device in [None, Some(till)] {
        let ada = bench.subject("ada", Some(user), device);
        refund(&ada, bench.granted(&ada));
        assert_eq!((bench.rows(), bench.state("ada").failures), (0, 0));
        bench.fail(&ada, 99);
        bench.clock.advance(HOUR);
        refund(&ada, bench.granted(&ada));
        assert_eq!(bench.state("ada"), ThrottleState { failures: 99, locked_until: None });
        bench.granted(&ada);
        bench.waits(&ada, DAY, true);
        bench.write(|tx| succeeded(tx, &ada));
    }
}

#[test]
fn a_refund_keeps_the_wait_of_a_later_charge() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    bench.fail(&ada, 3);
    let fourth = bench.granted(&ada);
    bench.granted(&ada);
    bench.write(|tx| refund(tx, &ada, &fourth));
    assert_eq!(bench.state("ada").failures, 4);
    bench.waits(&ada, 30 * SECOND, true);
}

#[test]
fn a_wait_that_a_wrong_clock_began_is_void() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    bench.fail(&ada, 5);
    bench.write(|tx| tx.execute("UPDATE throttle SET wait_until = wait_until + 86400000", []));
    assert_eq!(bench.state("ada").locked_until, None);
    bench.granted(&ada);
    bench.waits(&ada, 60 * SECOND, true);
}

#[test]
fn charges_follow_a_new_name_and_age_with_the_old_one() {
    let bench = Bench::new();
    let user = bench.user("ada");
    bench.fail(&bench.subject("ada", Some(user), None), 5);
    bench.store.users().rename(user, "countess").unwrap();
    assert_eq!(bench.state("countess").failures, 5);
    bench.waits(&bench.subject("countess", Some(user), None), 30 * SECOND, true);
    assert_eq!(bench.rows(), 2);
    bench.clock.advance(2 * DAY);
    let swept = bench.write(|tx| sweep(tx, tx.now(), 10));
    assert_eq!((swept, bench.state("countess").failures), (1, 5));
}

#[test]
fn names_nobody_has_are_forgotten_after_a_day_unless_they_wait() {
    let bench = Bench::new();
    bench.granted(&bench.subject("ada", Some(bench.user("ada")), None));
    bench.granted(&bench.subject("nobody", None, None));
    bench.fail(&bench.subject("nobody else", None, None), 99);
    bench.write(|tx| sweep(tx, tx.now(), 10));
    assert_eq!(bench.rows(), 2);
    bench.clock.advance(HOUR);
    bench.granted(&bench.subject("nobody else", None, None));
    bench.clock.advance(DAY - SECOND);
    assert_eq!(bench.write(|tx| sweep(tx, tx.now(), 10)), 0);
    bench.clock.advance(SECOND);
    assert_eq!(bench.write(|tx| sweep(tx, tx.now(), 10)), 1);
    assert_eq!((bench.rows(), bench.state("ada").failures), (1, 1));
}

/// Once they stayed for ever: nobody can unlock a name that nobody has.
#[test]
fn a_name_nobody_has_is_forgotten_even_if_it_waits_for_an_administrator() {
    let bench = Bench::new();
    let nobody = bench.subject("nobody", None, None);
    bench.fail(&nobody, 99);
    bench.clock.advance(HOUR);
    let last = bench.write(|tx| reserve(tx, &nobody, true));
    assert!(matches!(last, Reservation::Granted(_)), "{last:?}");
    bench.clock.advance(DAY - SECOND);
    bench.waits(&nobody, DAY, true);
    assert_eq!(bench.write(|tx| sweep(tx, tx.now(), 10)), 0);
    bench.clock.advance(DAY);
    assert_eq!(bench.write(|tx| sweep(tx, tx.now(), 10)), 1);
    bench.granted(&nobody);
}

#[test]
fn a_name_that_a_wrong_clock_put_into_the_future_is_swept() {
    let bench = Bench::new();
    bench.granted(&bench.subject("nobody", None, None));
    assert_eq!(bench.write(|tx| sweep(tx, tx.now().minus(2 * DAY), 10)), 1);
}

#[test]
fn names_nobody_has_are_bounded_and_those_that_wait_go_last() {
    let bench = Bench::new();
    let ada = bench.subject("ada", Some(bench.user("ada")), None);
    bench.granted(&ada);
    let waiting = bench.subject("waiting", None, None);
    bench.fail(&waiting, 5);
    bench.clock.advance(SECOND);
    let filled = bench.write(|tx| {
        tx.execute(
            "INSERT INTO throttle (name_digest, known, failures, last_attempt_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
             SELECT CAST(printf('%04d', i) AS BLOB), 0, 1, ?1 + i FROM n",
            params![tx.now()],
        )
    });
    assert_eq!((filled, bench.rows()), (9_999, 10_001));
    bench.granted(&bench.subject("one more", None, None));
    assert_eq!(bench.rows(), 10_001);
    let oldest = |tx: &ReadTx<'_>| named(tx, b"0001");
    assert_eq!(bench.store.read(oldest).unwrap(), None);
    bench.waits(&waiting, 29 * SECOND, true);
    assert_eq!(bench.state("ada").failures, 1);
    bench.write(|tx| {
        tx.execute("UPDATE throttle SET wait_until = ?1", params![tx.now().plus(DAY)])
    });
    bench.granted(&bench.subject("yet another", None, None));
    assert_eq!(bench.rows(), 10_001);
}

#[test]
fn a_digest_keeps_32_bits_and_depends_on_the_file() {
    let digest = |bench: &Bench| bench.subject("hunter2", None, None).name;
    let (one, other) = (digest(&Bench::new()), digest(&Bench::new()));
    assert_eq!(8 * one.len(), 32);
    assert_ne!(one, other);
}
