//! The numbers of a store's rows, and the pages of metrics.

use std::collections::BTreeSet;

use gatepost::directory::UserStatus;
use gatepost::sessions::SessionFilter;

use crate::world::{HOUR, PASSWORD, World};

#[test]
fn the_counts_are_those_of_the_rows() {
    let world = World::new();
    let (ada, ben) = (world.person("ada").id, world.person("ben").id);
    let cyd = world.person("cyd").id;
    world.person("dan");
    world.open(ada, "till-1");
    world.open(ada, "till-2");
    world.store.users().set_status(ben, UserStatus::Locked).unwrap();
    world.store.users().delete(cyd).unwrap();
    world.store.branches().create("York", None).unwrap();
    let counts = world.store.counts().unwrap();
    assert_eq!(
        [counts.users_pending, counts.users_active, counts.users_locked, counts.users_disabled],
        [0, 2, 1, 0]
    );
    assert_eq!([counts.users_deleted, counts.branches, counts.organisations], [1, 1, 0]);
    assert_eq!(counts.sessions, world.store.sessions().count(&SessionFilter::new()).unwrap());
    assert_eq!(counts.sessions, 2);
    assert_eq!(counts.audit_rows, world.count("SELECT count(*) FROM audit") as u64);
    assert!(counts.file_bytes > 100_000 && counts.log_bytes > 0);
    world.clock.advance(HOUR * 24 * 31);
    assert_eq!(world.store.counts().unwrap().sessions, 0);
}

/// The names of the metrics of a page, and whether each line has the form that Prometheus reads.
fn names(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut kind = "";
    for line in page.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name)) => {
                assert!(names.insert(name.to_owned()), "{name} is there twice");
            }
            (Some("#"), Some("TYPE"), Some(name)) => {
                assert!(names.contains(name), "{line}");
                kind = words.next().unwrap();
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            }
            (Some(sample), Some(value), None) => {
                let name = sample.split('{').next().unwrap();
                assert!(names.contains(name), "{line}");
                assert!(value.parse::<u64>().is_ok() && ["counter", "gauge"].contains(&kind));
            }
            _ => panic!("{line}"),
        }
    }
    names
}

#[test]
fn the_two_pages_of_metrics_are_well_formed_and_share_no_name() {
    let world = World::new();
    world.person("ada");
    world.log_in("ada", "wrong", "till-1").unwrap_err();
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    let (status, counts) = (world.store.status(), world.store.counts().unwrap());
    let (of_process, of_file) = (names(&status.metrics()), names(&counts.metrics()));
    assert!(of_process.is_disjoint(&of_file));
    assert!(of_process.iter().chain(&of_file).all(|name| name.starts_with("gatepost_")));
    let has = |page: String, line: &str| assert!(page.contains(&format!("\n{line}\n")), "{page}");
    has(status.metrics(), "gatepost_open 1");
    has(status.metrics(), "gatepost_login_refusals_total{reason=\"invalid_credentials\"} 1");
    has(status.metrics(), &format!("gatepost_writes_total {}", status.writes));
    has(counts.metrics(), "gatepost_users{status=\"active\"} 1");
    has(counts.metrics(), "gatepost_sessions 1");
    world.store.close().unwrap();
    has(world.store.status().metrics(), "gatepost_open 0");
}

#[test]
fn the_status_names_the_versions_and_since_when_it_counts() {
    let mut world = World::new();
    let status = world.store.status();
    assert_eq!(status.library_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.sqlite_version, rusqlite::version());
    assert_eq!(status.opened_at, world.now());
    world.clock.advance(HOUR);
    world.reopen();
    assert_eq!(world.store.status().opened_at, world.now());
}
