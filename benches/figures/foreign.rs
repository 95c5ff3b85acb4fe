//! Verify during other work: another process that writes, or cores that hash.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};

use crate::child::Other;
use crate::filled::{Filled, Presented};
use crate::harness::{Order, ROUNDS, Run, median, percentile};
use crate::hit::verify_all;

pub const FIGURES: &[&str] = &["verify_under_foreign_writes"];
pub const FIGURES_LOGINS: &[&str] = &["verify_during_logins"];

const PASSWORD: &str = "nine brass bells";

pub fn writes(run: &mut Run) {
    let filled = Filled::with(Options::for_tests(), run.size(100_000));
    filled.verify_all();
    let mut other = Other::start(&["log in and out", filled.path.to_str().unwrap()]);
    let device = DeviceId::new("till-2").unwrap();
    let (mut order, mut stale, mut ended) = (Order(9), 0, 0);
    let mut quiet_and_not = Vec::new();
    for _ in 0..ROUNDS {
        let quiet = for_a_while(&filled, &mut order, Duration::from_millis(500), || false);
        other.say(if run.quick { "50" } else { "500" });
        let done = AtomicBool::new(false);
        let tokens = std::thread::scope(|scope| {
            let hearing = scope.spawn(|| {
                let mut tokens = 0;
                loop {
                    let line = other.hear();
                    if line == "done" {
                        break;
                    }
                    // Its logout was acknowledged before it was reported.
                    stale += usize::from(
                        filled.store.verify((&line, &device)).unwrap().valid().is_ok(),
                    );
                    tokens += 1;
                }
                done.store(true, Ordering::Release);
                tokens
            });
            let busy =
                for_a_while(&filled, &mut order, Duration::MAX, || done.load(Ordering::Acquire));
            quiet_and_not.push(busy / quiet);
            hearing.join().unwrap()
        });
        ended += tokens;
    }
    other.end();
    run.note(format_args!("{ended} sessions ended by the other process, stale answers: {stale}"));
    assert_eq!(stale, 0, "a session passed after its end was acknowledged");
    run.figure("verify_under_foreign_writes", "x", &quiet_and_not);
}

/// Verifies a second until the time or something else is over.
fn for_a_while(
    filled: &Filled,
    order: &mut Order,
    span: Duration,
    is_over: impl Fn() -> bool,
) -> f64 {
    let (mut calls, mut took) = (0_u32, Duration::ZERO);
    while took < span && !is_over() {
        let presented = filled.drawn(order, 500);
        let started = Instant::now();
        verify_all(&filled.store, &presented);
        took += started.elapsed();
        calls += 500;
    }
    f64::from(calls) / took.as_secs_f64()
}

pub fn logins(run: &mut Run) {
    let cores = std::thread::available_parallelism().unwrap().get();
    let filled = Filled::with(Options::server(), run.size(100_000));
    filled.verify_all();
    for core in 0..cores {
        let user = NewUser::person(format!("user {core}")).password(Password::from(PASSWORD));
        filled.store.users().create(user).unwrap();
    }
    let presented = filled.drawn(&mut Order(10), 20_000);
    let span = Duration::from_millis(if run.quick { 300 } else { 1_000 });
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let hashing = p99_beside(&filled.store, &presented, span, cores, |core| {
            let device = DeviceId::new(&format!("till {core}")).unwrap();
            let request =
                LoginRequest::new(format!("user {core}"), Password::from(PASSWORD), device);
            black_box(filled.store.log_in(request).unwrap().granted().unwrap());
        });
        let writing = p99_beside(&filled.store, &presented, span, cores, |_| {
            let mut buffer = vec![0_u8; 19 * 1_024 * 1_024];
            for (at, byte) in buffer.iter_mut().enumerate() {
                *byte = at as u8;
            }
            black_box(&buffer);
        });
        ratios.push(hashing / writing);
    }
    run.note(format_args!(
        "{cores} threads beside; the median of the ratios {:.3}",
        median(&ratios)
    ));
    run.figure("verify_during_logins", "x", &ratios);
}

/// The 99th percentile of a verify while every core does that work again and again.
fn p99_beside(
    store: &Store,
    presented: &[Presented],
    span: Duration,
    cores: usize,
    work: impl Fn(usize) + Sync,
) -> f64 {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (over, work) = (&over, &work);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    work(core);
                }
            });
        }
        let mut took = Vec::new();
        let started = Instant::now();
        for (token, device) in presented.iter().cycle() {
            let one = Instant::now();
            black_box(store.verify((token, device)).unwrap().valid().unwrap());
            took.push(one.elapsed().as_secs_f64());
            if started.elapsed() > span {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        percentile(&mut took, 0.99)
    })
}
