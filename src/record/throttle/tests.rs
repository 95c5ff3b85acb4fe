use std::sync::Arc;

use super::*;
use crate::options::Options;
use crate::record::user::NewUser;
use crate::storage::Finished;
use crate::store::Store;
use crate::value::name::DeviceId;
use crate::value::time::{Clock, ManualClock};
use crate::value::wait::UNTIL_UNLOCKED;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

struct Bench {
    store: Store,
    clock: ManualClock,
    ada: UserId,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let options = Options::for_tests().clock(Arc::new(clock.clone()));
        let store = Store::in_memory(options).unwrap();
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        Self { store, clock, ada }
    }

    fn write<T>(&self, job: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> T {
        self.store.transact(|tx| job(tx).map(Finished::Commit)).unwrap()
    }

    /// An attempt on ada from a device on which she has logged in.
    fn on(&self, text: &str) -> Subject {
        let device = DeviceDigest::of(&DeviceId::new(text).unwrap());
        self.write(|tx| device::seen(tx, self.ada, device).map(drop));
        Subject { user: Some(self.ada), near: self.ada, device: Some(device) }
    }

    /// An attempt on ada from nowhere.
    fn stranger(&self) -> Subject {
        Subject { user: Some(self.ada), near: self.ada, device: None }
    }

    fn reserve(&self, subject: &Subject, lockout: Lockout) -> Reservation {
        self.write(|tx| match known(tx, subject)? {
            Some(known) => reserve_known(tx, known, lockout),
            None => reserve(tx, subject, lockout),
        })
    }

    #[track_caller]
    fn charged(&self, subject: &Subject) -> Charge {
        match self.reserve(subject, Lockout::Timed) {
            Reservation::Charged(charge) => charge,
            Reservation::Closed(rest) => panic!("closed for {rest:?}"),
        }
    }

    #[track_caller]
    fn closed(&self, subject: &Subject, rest: Duration) {
        assert_eq!(self.reserve(subject, Lockout::Timed), Reservation::Closed(rest));
    }

    /// Fails so often, each time as soon as a password is compared again.
    fn fail(&self, subject: &Subject, times: i64) {
        let mut compared = 0;
        while compared < times {
            match self.reserve(subject, Lockout::Timed) {
                Reservation::Charged(_) => compared += 1,
                Reservation::Closed(rest) => self.clock.advance(rest),
            }
        }
    }

    fn state(&self) -> ThrottleState {
        self.store.read(|tx| state(tx, self.ada)).unwrap()
    }
}

#[test]
fn a_closed_gate_charges_nothing() {
    let bench = Bench::new();
    let ada = bench.stranger();
    bench.fail(&ada, 5);
    let closed_at = bench.clock.now();
    bench.closed(&ada, 30 * SECOND);
    bench.clock.advance(29 * SECOND);
    bench.closed(&ada, SECOND);
    let expected = ThrottleState { failures: 5, locked_until: Some(closed_at + 30 * SECOND) };
    assert_eq!(bench.state(), expected);
    bench.clock.advance(SECOND);
    assert_eq!(bench.state(), ThrottleState { failures: 5, locked_until: None });
    bench.charged(&ada);
    bench.closed(&ada, 60 * SECOND);
}

#[test]
fn unknown_devices_stop_at_ninety_and_then_have_one_attempt_a_day() {
    let bench = Bench::new();
    let ada = bench.stranger();
    bench.fail(&ada, 89);
    bench.clock.advance(HOUR);
    assert!(bench.charged(&ada).stops);
    bench.closed(&ada, DAY);
    assert_eq!(bench.state().failures, 90);
    bench.clock.advance(DAY);
    assert!(bench.charged(&ada).stops);
    bench.closed(&ada, DAY);
}

#[test]
fn known_devices_stop_together_at_ten_whatever_strangers_did() {
    let bench = Bench::new();
    bench.fail(&bench.stranger(), 90);
    let (till, phone) = (bench.on("till"), bench.on("phone"));
    bench.fail(&till, 4);
    bench.fail(&phone, 4);
    assert!(!bench.charged(&bench.on("pad")).stops);
    assert!(bench.charged(&bench.on("pad")).stops);
    for known in [&till, &phone, &bench.on("one more")] {
        bench.closed(known, DAY);
    }
    assert_eq!(bench.state().failures, 100);
    bench.clock.advance(DAY);
    bench.charged(&till);
    bench.closed(&phone, DAY);
}

#[test]
fn by_option_both_wait_for_an_administrator_whatever_the_clock_says() {
    let bench = Bench::new();
    let (stranger, till) = (bench.stranger(), bench.on("till"));
    bench.fail(&stranger, 90);
    bench.fail(&till, 10);
    for turn in 0..3 {
        for subject in [&stranger, &till] {
            let reserved = bench.reserve(subject, Lockout::Permanent);
            assert_eq!(reserved, Reservation::Closed(DAY), "{turn}");
        }
        match turn {
            0 => bench.clock.advance(400 * DAY),
            _ => bench.clock.go_back(500 * DAY),
        }
    }
    bench.store.change_options(|options| options.lockout(Lockout::Permanent)).unwrap();
    assert_eq!(bench.state().locked_until, Some(UNTIL_UNLOCKED));
    assert!(bench.store.users().unlock(bench.ada).unwrap());
    assert_eq!(bench.state(), ThrottleState::default());
    bench.charged(&stranger);
    bench.charged(&till);
}

#[test]
fn a_known_device_waits_on_its_own_and_leaves_the_gate_open() {
    let bench = Bench::new();
    let till = bench.on("till");
    bench.fail(&till, 5);
    bench.closed(&till, 30 * SECOND);
    assert_eq!(bench.state(), ThrottleState { failures: 5, locked_until: None });
    bench.charged(&bench.on("phone"));
    bench.charged(&bench.stranger());
}

#[test]
fn a_device_that_was_forgotten_is_a_strangers_and_its_sum_stays() {
    let bench = Bench::new();
    let till = bench.on("till");
    bench.fail(&till, 9);
    bench.clock.advance(HOUR);
    bench.write(|tx| device::forget(tx, bench.ada, till.device.unwrap()));
    bench.fail(&till, 1);
    assert_eq!(bench.state().failures, 10);
    let phone = bench.on("phone");
    assert!(bench.charged(&phone).stops, "nine of the sum are the old device's");
}

#[test]
fn a_success_clears_the_gate_the_sum_and_its_own_device() {
    let bench = Bench::new();
    let (till, phone) = (bench.on("till"), bench.on("phone"));
    bench.fail(&bench.stranger(), 5);
    bench.fail(&till, 4);
    bench.fail(&phone, 5);
    bench.write(|tx| succeeded(tx, bench.ada, till.device));
    assert_eq!(bench.state(), ThrottleState::default());
    for _ in 0..5 {
        bench.charged(&bench.stranger());
    }
    bench.closed(&phone, 30 * SECOND);
    for _ in 0..4 {
        bench.charged(&till);
    }
}

/// What the device counts may have left the sum by a success elsewhere: the same failures are not
/// taken off twice.
#[test]
fn a_success_on_one_device_forgives_no_failure_of_another() {
    let bench = Bench::new();
    let (till, desk, home) = (bench.on("till"), bench.on("desk"), bench.on("home"));
    let failures = || bench.store.read(|tx| Ok(state(tx, bench.ada)?.failures)).unwrap();
    for _ in 0..4 {
        bench.charged(&till);
    }
    bench.charged(&desk);
    bench.write(|tx| succeeded(tx, bench.ada, desk.device));
    assert_eq!(failures(), 0);
    for _ in 0..4 {
        bench.charged(&home);
    }
    let right = bench.charged(&till);
    bench.write(|tx| {
        refund(tx, &till, &right)?;
        succeeded_on(tx, &till)
    });
    assert_eq!(failures(), 4);
}

#[test]
fn a_refund_leaves_no_trace() {
    let bench = Bench::new();
    let refund = |subject: &Subject, charge| bench.write(|tx| refund(tx, subject, &charge));
    let stranger = bench.stranger();
    refund(&stranger, bench.charged(&stranger));
    assert_eq!(bench.state(), ThrottleState::default());
    bench.fail(&stranger, 89);
    bench.clock.advance(HOUR);
    refund(&stranger, bench.charged(&stranger));
    assert_eq!(bench.state(), ThrottleState { failures: 89, locked_until: None });
    bench.charged(&stranger);
    let till = bench.on("till");
    bench.fail(&till, 9);
    bench.clock.advance(HOUR);
    refund(&till, bench.charged(&till));
    assert_eq!(bench.state().failures, 99);
    assert!(bench.charged(&till).stops);
}

#[test]
fn a_refund_keeps_the_wait_of_a_later_charge() {
    let bench = Bench::new();
    let ada = bench.stranger();
    bench.fail(&ada, 4);
    let fifth = bench.charged(&ada);
    // A clock that was set back made the wait void meanwhile.
    bench.clock.go_back(SECOND);
    bench.charged(&ada);
    bench.write(|tx| refund(tx, &ada, &fifth));
    assert_eq!(bench.state().failures, 5);
    bench.closed(&ada, 30 * SECOND);
}

#[test]
fn a_charge_in_the_future_is_void_until_the_next_attempt() {
    let bench = Bench::new();
    let ada = bench.stranger();
    bench.clock.advance(HOUR);
    bench.fail(&ada, 5);
    bench.clock.go_back(HOUR);
    assert_eq!(bench.state(), ThrottleState { failures: 5, locked_until: None });
    bench.charged(&ada);
    bench.closed(&ada, 60 * SECOND);
    bench.clock.advance(60 * SECOND);
    bench.charged(&ada);
}

#[test]
fn deleting_and_restoring_keeps_the_count() {
    let bench = Bench::new();
    bench.fail(&bench.stranger(), 7);
    bench.store.users().delete(bench.ada).unwrap();
    bench.clock.advance(2 * DAY);
    bench.store.maintain().unwrap();
    bench.store.users().restore(bench.ada).unwrap();
    assert_eq!(bench.state().failures, 7);
}

#[test]
fn an_unknown_name_leaves_its_neighbour_as_it_is_and_is_never_closed() {
    let bench = Bench::new();
    let till = bench.on("till");
    for (user, near) in [(None, bench.ada), (None, UserId::NIL)] {
        for device in [None, till.device] {
            let unknown = Subject { user, near, device };
            (0..300).for_each(|_| assert!(!bench.charged(&unknown).stops));
            bench.write(|tx| refund(tx, &unknown, &bench_charge(tx, &unknown)));
        }
    }
    assert_eq!(bench.state(), ThrottleState::default());
    bench.fail(&bench.stranger(), 5);
    let before = bench.state();
    (0..300).for_each(|_| {
        let unknown = Subject { user: None, near: bench.ada, device: till.device };
        assert!(!bench.charged(&unknown).stops);
    });
    assert_eq!(bench.state(), before);
}

fn bench_charge(tx: &WriteTx<'_>, subject: &Subject) -> Charge {
    match reserve(tx, subject, Lockout::Timed).unwrap() {
        Reservation::Charged(charge) => charge,
        Reservation::Closed(rest) => panic!("closed for {rest:?}"),
    }
}

#[test]
fn a_row_that_a_hand_deleted_is_made_again() {
    let bench = Bench::new();
    bench.write(|tx| tx.execute("DELETE FROM throttle WHERE user_id IS NOT NULL", []));
    for _ in 0..5 {
        bench.charged(&bench.stranger());
    }
    bench.closed(&bench.stranger(), 30 * SECOND);
}
