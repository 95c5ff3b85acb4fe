//! The list of operations, carried out: what each call records and revokes, and that none is
//! missing.
//!
//! `list.rs` is the one place that says it. The model, the races of verifies, the fault bench and
//! the manual's table take from it what they need, and fail if they lack one of its rows.

mod acts;
mod list;
mod manual;
mod scene;

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use gatepost::Page;
use gatepost::audit::{AuditEntry, AuditFilter, EventKind};

use crate::surface;
use crate::world::MINUTE;
use list::Trust;
pub(crate) use list::{OPERATIONS, Operation, Reach, Relation, operation};
pub(crate) use scene::Scene;

/// Events that no operation of the list leaves, and why.
const ELSEWHERE: [EventKind; 6] = [
    EventKind::StoreCreated,      // in the file that is opened: opening.rs
    EventKind::StoreMigrated,     // by an open with a newer library
    EventKind::StoreAdopted,      // in a file that no store has open: restore/adopt.rs
    EventKind::VerifyRefused,     // counted, a row a minute: verify/refused.rs
    EventKind::HostRecorded,      // under the host's own names
    EventKind::AttemptsThrottled, // beside the refusal that stops a user: throttle.rs
];

/// Calls that write without an event of their own, so that the sources do not show it.
const SILENT: [&str; 7] = [
    "Store::open",          // creates the file
    "Store::close",         // writes what waits in memory
    "Store::verify",        // writes the last uses of sessions, and counts of refusals
    "Store::may",           // writes the last uses of sessions
    "Store::require_fresh", // as Store::verify
    "Store::restore",       // writes a copy, which becomes the file
    "Tickets::mint",        // as Store::verify
];

#[test]
fn each_operation_records_and_revokes_what_the_list_says() {
    let revoking = |one: &Operation| {
        let panics = |_| vec![format!("{}: panics, as printed above", one.name)];
        catch_unwind(|| findings(one)).unwrap_or_else(panics)
    };
    let findings: Vec<String> = OPERATIONS.iter().flat_map(revoking).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Where an operation, carried out upon ada, differs from its row.
fn findings(operation: &Operation) -> Vec<String> {
    let mut scene = Scene::with(acts::policy(operation.name));
    scene.are_dead(&[], &[]);
    scene.attenuate_all();
    acts::prepare(operation.name, &mut scene);
    let (before, made_before) = (scene.dead(), scene.dead_made());
    let (head, last) = (scene.world.head(), last_event(&scene));
    let (tokens, tickets) = (scene.tokens_revoked(), scene.tickets());
    let trusted = scene.trust_devices();
    let begun = scene.world.now();
    let mut findings = act_observed(operation, &scene, last);

    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            let name = operation.name;
            findings.push(format!("{name}: {what}: {found} instead of {expected}"));
        }
    };
    let (recorded, reported) = (events_since(&scene, last), scene.reported_since(head));
    compare("events", format!("{recorded:?}"), format!("{:?}", operation.events()));
    compare("change log", format!("{reported:?}"), format!("{:?}", operation.changes));
    let revoked = scene.tokens_revoked() > tokens;
    compare("one-time tokens", revoked.to_string(), operation.tokens.to_string());
    compare("trusted devices", format!("{:?}", scene.trusted()), kept(operation, &trusted));

    let with_tickets = tickets.iter().map(|(name, _)| *name);
    let refused = scene.refused(&tickets);
    // A ticket does not live long enough for an act that moves the clock.
    if scene.world.now() == begun {
        compare("tickets", format!("{refused:?}"), covered(operation.tickets(), with_tickets));
    }
    let dead = scene.dead();
    let sessions = scene.sessions().filter(|name| !before.0.contains(name));
    compare("sessions", new(&before.0, &dead.0), covered(operation.sessions, sessions));
    let keys = scene.keys().filter(|name| !before.1.contains(name));
    compare("API keys", new(&before.1, &dead.1), covered(operation.keys, keys));
    let made_from = scene.sessions().filter(|name| !before.0.contains(name));
    let made_from: Vec<_> = made_from
        .filter(|name| {
            // A session that goes on with a new token keeps its keys.
            let is_renewed = matches!(operation.sessions, Reach::Renewed | Reach::OneRenewed)
                && *name == "ada-1";
            let relation = scene::relation(name);
            let ends = operation.sessions.covers(relation) && !is_renewed;
            ends || operation.keys.covers(relation.max(Relation::SameUser))
        })
        .chain(dead.1.iter().copied().filter(|name| !before.1.contains(name)))
        .collect();
    let made_dead = scene.dead_made();
    compare("keys made from them", new(&made_before, &made_dead), format!("{made_from:?}"));
    // Sessions never come back, and keys only when what suspended them is gone.
    let is_lifted = operation.event.ends_with(".activated");
    let lifted = if is_lifted { new(&[], &before.1) } else { "[]".into() };
    compare("sessions again", new(&dead.0, &before.0), "[]".into());
    compare("API keys again", new(&dead.1, &before.1), lifted);

    if operation.suspends {
        scene.lift();
        compare("lifted", format!("{:?}", scene.dead()), format!("{:?}", (dead.0, before.1)));
    } else if operation.keys == Reach::OneLater {
        scene.world.clock.advance(MINUTE - std::time::Duration::from_millis(1));
        compare("overlap", format!("{:?}", scene.dead().1), "[]".into());
        scene.world.clock.advance(std::time::Duration::from_millis(1));
        compare("overlap over", format!("{:?}", scene.dead().1), "[\"ada\"]".into());
        compare("keys made from it", format!("{:?}", scene.dead_made()), "[\"ada\"]".into());
    }
    findings
}

/// Those that are dead now and were not before.
fn new(before: &[&str], after: &[&str]) -> String {
    let new: Vec<_> = after.iter().filter(|name| !before.contains(name)).collect();
    format!("{new:?}")
}

/// Those of these names that a revocation upon ada covers.
fn covered<'n>(reach: Reach, names: impl Iterator<Item = &'n str>) -> String {
    let covered: Vec<_> = names.filter(|name| reach.covers(scene::relation(name))).collect();
    format!("{covered:?}")
}

/// Those of ada's trusted devices that the operation leaves trusted.
fn kept(operation: &Operation, trusted: &[&str]) -> String {
    let is_kept = |name: &&&str| match operation.trust {
        Trust::Kept => true,
        Trust::One => **name != "ada-1",
        Trust::All => false,
    };
    format!("{:?}", trusted.iter().filter(is_kept).collect::<Vec<_>>())
}

fn last_event(scene: &Scene) -> i64 {
    scene.world.count("SELECT max(head_seq) FROM audit_chain")
}

/// Carries the operation out, and compares what the observer received with the rows that it left.
fn act_observed(operation: &Operation, scene: &Scene, last: i64) -> Vec<String> {
    scene.seen.take();
    acts::act(operation.name)(scene, &scene.store().acting_as(scene.root));
    let observed: Vec<String> = scene.seen.take().into_iter().map(|entry| entry.id).collect();
    let ids: Vec<String> = rows_since(scene, last).into_iter().map(|entry| entry.id).collect();
    if observed == ids || !is_observed(operation) {
        return Vec::new();
    }
    vec![format!("{}: observer: {observed:?} instead of {ids:?}", operation.name)]
}

/// The rows of the log since that one.
fn rows_since(scene: &Scene, last: i64) -> Vec<AuditEntry> {
    scene.store().audit().list(&AuditFilter::new(), Page::after(last, 500)).unwrap()
}

/// A restore is called without a store, and so without an observer.
fn is_observed(operation: &Operation) -> bool {
    operation.call() != "Store::restore"
}

/// Carries an operation out upon ada, through `around`, and returns the rows that it left. Those of
/// a restore are left out.
#[cfg(feature = "tracing")]
pub(crate) fn carry_out(
    operation: &Operation,
    around: impl FnOnce(&mut dyn FnMut()),
) -> Vec<AuditEntry> {
    let mut scene = Scene::with(acts::policy(operation.name));
    acts::prepare(operation.name, &mut scene);
    let last = last_event(&scene);
    let act = acts::act(operation.name);
    around(&mut || act(&scene, &scene.store().acting_as(scene.root)));
    if is_observed(operation) { rows_since(&scene, last) } else { Vec::new() }
}

/// The events since that one; `not by root` follows those with another actor.
fn events_since(scene: &Scene, last: i64) -> Vec<String> {
    let log = rows_since(scene, last);
    let root = Some(scene.root);
    // A restore is called without a store, and so without an actor.
    let is_named = |entry: &AuditEntry| {
        entry.actor.user() == root || entry.event == EventKind::StoreRestored.name()
    };
    let name = |entry| if is_named(entry) { "" } else { ", not by root" };
    log.iter().map(|entry| format!("{}{}", entry.event, name(entry))).collect()
}

#[test]
fn every_public_call_that_writes_is_in_the_list() {
    let listed: BTreeSet<&str> = OPERATIONS.iter().map(Operation::call).collect();
    let found = surface::writers();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).chain(SILENT).collect();
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "give these a row in tests/it/operations/list.rs: {missing:?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "no public call that writes: {gone:?}");
}

#[test]
fn every_event_is_in_the_list() {
    let listed: BTreeSet<&str> = OPERATIONS.iter().flat_map(Operation::events).collect();
    let left = EventKind::ALL.iter().filter(|kind| !ELSEWHERE.contains(kind));
    let missing: Vec<_> = left.filter(|kind| !listed.contains(kind.name())).collect();
    assert!(missing.is_empty(), "no operation of the list leaves {missing:?}");
}

#[test]
fn the_list_has_each_operation_once_and_no_call_is_left_over() {
    let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    let gone: Vec<_> = acts::names().filter(|name| !names.contains(name)).collect();
    assert!(gone.is_empty(), "operations/acts.rs calls what is not in the list: {gone:?}");
}
