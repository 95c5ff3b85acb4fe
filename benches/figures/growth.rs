//! What a call costs as the file grows, drawn as `benches/figures/growth.svg`.
//!
//! The sessions whose number grows are of one user; logins, openings and logouts are of another,
//! whose sessions replace each other on one device, so that no other number changes.

use std::hint::black_box;
use std::time::Duration;

use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, Ended, LoginRequest, NewUser, Password, Store, UserId};

use crate::bulk::{Bulk, verify};
use crate::harness::{Order, ROUNDS, Run, each, median, time};
use crate::svg::{Chart, From, Scale, duration};

/// One for each call of [`CALLS`], in their order.
pub const FIGURES: &[&str] =
    &["verify_grown", "verify_miss_grown", "open_grown", "revoke_grown", "login_grown"];

/// The name of each call, its colour in the chart, the calls of a batch and the batches of a round.
const CALLS: [(&str, &str, usize, usize); 5] = [
    ("verify, from the cache", "green", 500, 21),
    ("verify, from the file", "blue", 500, 11),
    ("sessions().open", "violet", 1, 41),
    ("log_out", "red", 1, 41),
    ("log_in, with its hash", "grey", 1, 5),
];
const SIZES: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const PASSWORD: &str = "nine brass bells";

/// A file of one size. A process opens a file with one size of the cache at a time, so all other
/// calls are measured first, then every file is opened again with a cache for all sessions.
struct Grown {
    bulk: Bulk,
    store: Store,
    user: UserId,
    device: DeviceId,
    order: Order,
}

pub fn run(run: &mut Run) {
    let sizes = if run.quick { &SIZES[..4] } else { &SIZES[..] };
    let mut files: Vec<Grown> = sizes.iter().map(|size| Grown::new(*size)).collect();
    // Of each call, of each size: nanoseconds, in the order of the rounds.
    let mut times = CALLS.map(|_| vec![Vec::new(); sizes.len()]);
    let (cached, others) = times.split_at_mut(1);
    for _ in 0..ROUNDS {
        for (at, file) in files.iter_mut().enumerate() {
            for (call, times) in others.iter_mut().enumerate() {
                times[at].push(file.measured(call + 1));
            }
        }
    }
    files.iter_mut().for_each(Grown::remember);
    for _ in 0..ROUNDS {
        for (at, file) in files.iter_mut().enumerate() {
            cached[0][at].push(file.measured(0));
        }
    }
    run.note(format_args!("a file of {sizes:?} sessions"));
    for (((call, ..), name), times) in CALLS.iter().zip(FIGURES).zip(&times) {
        let medians: Vec<String> = times.iter().map(|rounds| duration(median(rounds))).collect();
        run.note(format_args!("{call}: {}", medians.join(", ")));
        let (first, last) = (&times[0], &times[times.len() - 1]);
        let ratios: Vec<f64> = last.iter().zip(first).map(|(last, first)| last / first).collect();
        run.figure(name, "x", &ratios);
    }
    let medians = times.map(|sizes| sizes.iter().map(|rounds| median(rounds)).collect());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/figures/growth.svg");
    std::fs::write(path, draw(sizes, &medians)).unwrap();
}

impl Grown {
    fn new(size: usize) -> Self {
        let bulk = Bulk::new(size, size, None);
        let store = bulk.open(None);
        let grace = NewUser::person("grace").password(Password::from(PASSWORD));
        let user = store.users().create(grace).unwrap().id;
        let device = DeviceId::new("till-1").unwrap();
        Self { bulk, store, user, device, order: Order(31) }
    }

    /// Opens the file with a cache of all its sessions.
    fn remember(&mut self) {
        self.store.close().unwrap();
        let size = self.bulk.tokens.len();
        self.store = self.bulk.open(Some(size + size / 8));
        verify(&self.store, &self.bulk.tokens);
    }

    /// Nanoseconds of one call: the median batch of this round.
    fn measured(&mut self, call: usize) -> f64 {
        let (_, _, batch, batches) = CALLS[call];
        // The first verify after a write reads the change log.
        self.bulk.verified(&self.store, &mut self.order, 1);
        let took: Vec<f64> = (0..batches).map(|_| each(self.once(call, batch), batch)).collect();
        median(&took)
    }

    fn once(&mut self, call: usize, batch: usize) -> Duration {
        match call {
            0 | 1 => self.bulk.verified(&self.store, &mut self.order, batch),
            2 => time(|| drop(self.open())),
            3 => {
                let token = self.open();
                time(|| {
                    let ended = self.store.log_out((&token, &self.device)).unwrap();
                    assert_eq!(ended, Ended::Now);
                })
            }
            _ => time(|| {
                let password = Password::from(PASSWORD);
                let request = LoginRequest::new("grace", password, self.device.clone());
                black_box(self.store.log_in(request).unwrap().granted().unwrap());
            }),
        }
    }

    fn open(&self) -> gatepost::Secret {
        let open = OpenSession::new(self.user, self.device.clone());
        self.store.sessions().open(open).unwrap().granted().unwrap().session.token
    }
}

const WIDTH: f64 = 930.0;
const HEIGHT: f64 = 430.0;
/// Left, top, right and bottom edge of the lines.
const PLOT: [f64; 4] = [80.0, 70.0, 610.0, 370.0];
/// Between the names beside the ends of two lines.
const APART: f64 = 17.0;

/// The picture: a line for each call, both scales logarithmic.
fn draw(sizes: &[usize], medians: &[Vec<f64>; 5]) -> String {
    let [left, top, right, bottom] = PLOT;
    let down = Scale::over(&medians.concat());
    let counts: Vec<f64> = sizes.iter().map(|size| *size as f64).collect();
    let across = Scale::over(&counts);
    let x = |count: f64| left + (right - left) * across.place(count);
    let y = |ns: f64| bottom - (bottom - top) * down.place(ns);

    let said: Vec<String> = CALLS
        .iter()
        .zip(medians)
        .map(|((name, ..), ns)| {
            let each: Vec<String> = ns.iter().map(|ns| duration(*ns)).collect();
            format!("{name}: {}", each.join(", "))
        })
        .collect();
    let title = "What one call costs as the file grows";
    let desc = format!("At {sizes:?} sessions. {}", said.join(". "));
    let mut chart = Chart::new("growth", title, &desc, [WIDTH, HEIGHT]);
    chart.text([left, 54.0], From::Start, "grey", "time of one call (logarithmic scale)");
    for power in down.powers() {
        chart.polyline(&[[left, y(power)], [right, y(power)]], "grid", 1.0);
        chart.text([left - 8.0, y(power) + 4.0], From::End, "grey", &duration(power));
    }
    for count in &counts {
        chart.polyline(&[[x(*count), top], [x(*count), bottom]], "grid", 1.0);
        let text = thousands(*count);
        chart.text([x(*count), bottom + 20.0], From::Middle, "grey", &text);
    }
    let middle = (left + right) / 2.0;
    let unit = "live sessions in the file (logarithmic scale)";
    chart.text([middle, bottom + 42.0], From::Middle, "grey", unit);

    let mut ends = Vec::new();
    for ((name, colour, ..), ns) in CALLS.iter().zip(medians) {
        let points: Vec<[f64; 2]> =
            counts.iter().zip(ns).map(|(count, ns)| [x(*count), y(*ns)]).collect();
        chart.polyline(&points, colour, 2.5);
        for [x, y] in &points {
            chart.rect([x - 3.0, y - 3.0, 6.0, 6.0], colour);
        }
        let (first, last) = (ns[0], ns[ns.len() - 1]);
        let text = format!("{name}: {} to {}", duration(first), duration(last));
        ends.push((points[points.len() - 1], *colour, text));
    }
    // From the top, each name below the one before.
    ends.sort_by(|([_, one], ..), ([_, other], ..)| one.total_cmp(other));
    let mut free = 0.0;
    for ([x, y], colour, text) in ends {
        let at = f64::max(y + 4.0, free);
        chart.text([x + 12.0, at], From::Start, colour, &text);
        free = at + APART;
    }
    chart.finish()
}

/// A whole number with a comma before each three digits.
fn thousands(count: f64) -> String {
    let digits = format!("{count:.0}");
    let part = |(at, digit): (usize, char)| {
        let is_first_of_three = at > 0 && (digits.len() - at) % 3 == 0;
        format!("{}{digit}", if is_first_of_three { "," } else { "" })
    };
    digits.chars().enumerate().map(part).collect()
}
