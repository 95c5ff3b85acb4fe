//! The feature `tracing`: which spans and events there are, and that none has a secret.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::operations::{OPERATIONS, Scene, carry_out};
use crate::world::{PASSWORD, World, device};

/// Keeps every span and event as one line each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capture {
    lines: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Capture {
    /// Runs `job` on this thread, and returns the lines of its spans and events.
    pub(crate) fn of(job: impl FnOnce()) -> Vec<String> {
        let capture = Self::default();
        tracing::subscriber::with_default(capture.clone(), || {
            // A place that another thread reached for the first time while this subscriber was
            // being set would stay silent.
            tracing::callsite::rebuild_interest_cache();
            job();
        });
        let lines = capture.lines.lock().unwrap();
        lines.clone()
    }

    fn keep(&self, line: Line) {
        self.lines.lock().unwrap().push(line.0);
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "gatepost"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(format!("span {}", span.metadata().name()));
        span.record(&mut line);
        self.keep(line);
        Id::from_u64(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::from("record"));
        values.record(&mut line);
        self.keep(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("event {}", event.metadata().level()));
        event.record(&mut line);
        self.keep(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn each_operation_has_a_span_and_an_event_for_each_row_that_it_commits() {
    for operation in OPERATIONS.iter() {
        let mut lines = Vec::new();
        let rows = carry_out(operation, |job| lines = Capture::of(job));
        assert!(lines.iter().any(|line| line.starts_with("span ")), "{}", operation.name);
        let events: Vec<&String> =
            lines.iter().filter(|line| line.contains("message=committed")).collect();
        let found: Vec<bool> = rows
            .iter()
            .zip(&events)
            .map(|(row, event)| {
                event.contains(&format!(" seq={} event=\"{}\"", row.seq, row.event))
            })
            .collect();
        assert_eq!(found, vec![true; rows.len()], "{}: {events:#?}", operation.name);
        assert_eq!(events.len(), rows.len(), "{}", operation.name);
    }
}

/// The scene of the operations has an observer, for which the rows are read anyway.
#[test]
fn without_an_observer_a_subscriber_receives_each_row_too() {
    let world = World::new();
    let lines = Capture::of(|| drop([world.person("ada"), world.person("grace")]));
    let rows = lines.iter().filter(|line| line.contains("message=committed"));
    let created = rows.map(|line| line.contains(" event=\"user.created\""));
    assert_eq!(created.collect::<Vec<_>>(), [true; 2], "{lines:#?}");
}

#[test]
fn a_refusal_and_a_failure_are_events_with_their_reasons() {
    let world = World::new();
    world.person("ada");
    let lines = Capture::of(|| {
        world.log_in("ada", "wrong", "till-1").unwrap_err();
        world.store.verify(("gps_", &device("till-1"))).unwrap().valid().unwrap_err();
        world.store.users().create(gatepost::NewUser::person("ada")).unwrap_err();
    });
    let has = |text: &str| assert!(lines.iter().any(|line| line.contains(text)), "{lines:#?}");
    has("span log_in");
    has("event DEBUG message=refused what=\"login.refused\" reason=\"invalid_credentials\"");
    has("event DEBUG message=refused what=\"verify.refused\" reason=\"malformed\"");
    has("event WARN message=failed what=\"write\" kind=Taken");
}

/// A verify of a cached session is as fast with the feature as without it: it says nothing.
#[test]
fn a_verify_from_the_cache_has_no_span_and_no_event() {
    let world = World::with(|options| options.cache(64));
    let ada = world.person("ada");
    let session = world.open(ada.id, "till-1");
    assert!(world.passes(&session, "till-1"));
    assert_eq!(Capture::of(|| assert!(world.passes(&session, "till-1"))), [""; 0]);
    assert_eq!(world.log_in("ada", PASSWORD, "till-2").map(drop), Ok(()));
}

#[test]
fn without_a_subscriber_nothing_is_kept() {
    let scene = Scene::new();
    scene.store().users().rename(scene.ada, "augusta").unwrap();
    assert_eq!(Capture::of(|| ()), [""; 0]);
}
