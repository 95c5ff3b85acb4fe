//! Another process migrates the file while this one has it open: unless the newer version allows
//! this one to go on, every call that reads or writes fails from then on, and writes nothing.

use std::fs;

use gatepost::directory::UserFilter;
use gatepost::sessions::{NewApiKey, NewTicket, OpenSession, SessionFilter};
use gatepost::{Error, ErrorKind, NewUser, Page, Store};

use crate::keyring::keys;
use crate::world::{HOUR, World, device};

/// No table, trigger or column differs: only the meaning of a row may.
const MAY_NOT_BE_READ: &str = "PRAGMA user_version = 2; UPDATE store SET min_reader = 2";
const MAY_BE_READ: &str = "PRAGMA user_version = 2";

#[track_caller]
fn is_too_new<T: std::fmt::Debug>(world: &World, answer: Result<T, Error>) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooNew, "{refused}");
    assert_eq!(refused.path(), Some(world.path.as_path()));
}

/// Every table, by its rows.
fn rows(world: &World) -> String {
    let sql = world.sql();
    let mut names =
        sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let mut all = String::new();
    for name in names {
        let mut statement = sql.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let width = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            for at in 0..width {
                all += &format!("{:?} ", row.get_ref(at).unwrap());
            }
            all += &format!("of {name}\n");
        }
    }
    all
}

/// Only the change log was compared with the version: without a cache a process went on reading
/// and writing a file whose rows it misunderstood.
#[test]
fn a_file_that_may_not_be_read_any_more_is_neither_read_nor_written() {
    for has_cache in [true, false] {
        let world = World::with(|options| match has_cache {
            true => options.keyring(keys(&[("new", 2)])),
            false => options.keyring(keys(&[("new", 2)])).cache(None),
        });
        let (store, till) = (&world.store, device("till-1"));
        let ada = world.person("ada").id;
        let session = world.open(ada, "till-1");
        let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        let principal = store.verify((&session.token, &till)).unwrap().valid().unwrap();
        let image = NewTicket::new("GET", "/images/7");
        let ticket = store.tickets().mint(&principal, image).unwrap().valid().unwrap().ticket;
        let ticket = ticket.expose();
        let reader = Store::open_read_only(&world.path, world.options.clone()).unwrap();
        assert!(reader.verify((&session.token, &till)).unwrap().valid().is_ok());
        world.sql().execute_batch(MAY_NOT_BE_READ).unwrap();
        // A verify would write the last use.
        world.clock.advance(3 * HOUR);
        let before = rows(&world);

        is_too_new(&world, store.verify((&session.token, &till)));
        is_too_new(&world, store.verify((&key.key, None)));
        is_too_new(&world, store.tickets().verify(ticket, "GET", "/images/7"));
        is_too_new(&world, store.may(&principal, "admin"));
        is_too_new(&world, store.users().find(ada));
        is_too_new(&world, store.sessions().list(&SessionFilter::new(), Page::first(9)));
        is_too_new(&world, store.explain((&session.token, &till)));
        is_too_new(&world, store.examine());
        is_too_new(&world, store.users().create(NewUser::person("ben")));
        is_too_new(&world, store.sessions().open(OpenSession::new(ada, device("till-2"))));
        is_too_new(&world, store.sessions().revoke(session.id));
        is_too_new(&world, store.maintain());
        let copy = world.directory().join("copy.db");
        assert_eq!(store.backup(&copy, |_| ()).unwrap_err().kind(), ErrorKind::TooNew);
        assert!(!fs::exists(&copy).unwrap());
        is_too_new(&world, store.audit().verify_chain(None));
        is_too_new(&world, store.users().list(&UserFilter::new(), Page::first(9)));
        is_too_new(&world, reader.verify((&session.token, &till)));
        is_too_new(&world, reader.may(&principal, "admin"));
        is_too_new(&world, reader.user(ada));
        assert_eq!(rows(&world), before);
        store.close().unwrap();
        assert_eq!(rows(&world), before, "nor when it is closed");
    }
}

#[test]
fn a_file_that_may_still_be_read_is_read_and_written_as_before() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    world.sql().execute_batch(MAY_BE_READ).unwrap();
    assert!(world.passes(&session, "till-1"));
    world.store.sessions().revoke(session.id).unwrap();
    assert!(!world.passes(&session, "till-1"));
    world.store.backup(world.directory().join("copy.db"), |_| ()).unwrap();
}
