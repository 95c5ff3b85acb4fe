//! The host's own records in the audit log. The list of operations says what the library records:
//! exactly one row for each write and each outcome of a login.

use gatepost::audit::{AuditFilter, HostEvent};
use gatepost::{Actor, Page};

use crate::world::{World, device};

#[test]
fn what_the_host_records_is_one_row_an_event_of_its_own_name() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let principal = world.store.verify((&session.token, &device("till-1"))).unwrap();
    let store = world.store.acting_as(principal.valid().unwrap());
    let before = world.last_event().seq;
    let events: Vec<HostEvent> =
        (0..3).map(|_| HostEvent::new("report.printed").unwrap()).collect();
    store.audit().record(&events).unwrap();
    let log = world.store.audit().list(&AuditFilter::new(), Page::after(before, 10)).unwrap();
    assert_eq!(log.len(), 3);
    for row in log {
        assert!(row.from_host);
        assert_eq!(row.event, "report.printed");
        assert_eq!(row.actor, Actor::Session { user: ada, session: session.id });
    }
}
