//! The presets: the options of a host that sets none.

use gatepost::Options;
use gatepost::policy::SessionPolicy;

use crate::world::{DAY, HOUR, World};

#[test]
fn the_server_is_the_default() {
    assert_eq!(Options::default(), Options::server());
    assert_eq!(SessionPolicy::default(), SessionPolicy::server());
    let written_out = SessionPolicy::desktop()
        .lifetime(24 * HOUR)
        .max_lifetime(30 * DAY)
        .inactivity_timeout(None)
        .per_user(10)
        .device_takeover(false);
    assert_eq!(SessionPolicy::server(), written_out);
    let written_out = Options::desktop()
        .sessions(written_out)
        .max_concurrent_hashes(std::thread::available_parallelism().unwrap().get())
        .max_waiting_hashes(64)
        .audit_max_age(400 * DAY)
        .audit_max_rows(1_000_000);
    assert_eq!(Options::server(), written_out);
}

#[test]
fn the_desktop_shares_its_device() {
    let written_out = Options::server()
        .sessions(SessionPolicy::server().max_lifetime(90 * DAY).per_user(5).device_takeover(true))
        .max_concurrent_hashes(1)
        .max_waiting_hashes(8)
        .audit_max_age(90 * DAY)
        .audit_max_rows(50_000);
    assert_eq!(Options::desktop(), written_out);
}

/// A session lasts while it is used, and the next user of a browser takes the device over.
#[test]
fn the_web_keeps_a_browser_signed_in_for_as_long_as_it_is_used() {
    let sessions = SessionPolicy::server()
        .lifetime(30 * DAY)
        .max_lifetime(30 * DAY)
        .inactivity_timeout(7 * DAY)
        .device_takeover(true);
    assert_eq!(Options::web(), Options::server().sessions(sessions));

    let world = World::with(|options| options.sessions(SessionPolicy::web()));
    let ada = world.person("ada");
    world.person("bob");
    let log_in = |name| world.log_in(name, crate::world::PASSWORD, "browser").unwrap().session;
    let session = log_in("ada");
    assert_eq!(session.expires_at, world.now() + 30 * DAY);
    for _ in 0..4 {
        world.clock.advance(6 * DAY);
        assert!(world.passes(&session, "browser"));
    }
    world.clock.advance(7 * DAY);
    assert!(!world.passes(&session, "browser"), "a week without a visit");
    let session = log_in("ada");
    log_in("bob");
    assert!(!world.passes(&session, "browser"), "the next user took the browser over");
    assert!(world.store.users().find(ada.id).unwrap().is_some());
}
