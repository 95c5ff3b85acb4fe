//! A path at which nothing can be seen, as with a missing permission or a failing disk. A loop of
//! links does it for every user, root included.

use std::fs;
use std::os::unix::fs::symlink;

use gatepost::{ErrorKind, OpenedSession};

use crate::world::{SECOND, World, device};

fn verifies(world: &World, session: &OpenedSession, on: &str) -> Result<bool, ErrorKind> {
    let verdict = world.store.verify((&session.token, &device(on)));
    verdict.map(|verdict| verdict.valid().is_ok()).map_err(|error| error.kind())
}

#[test]
fn while_the_file_cannot_be_looked_at_nothing_passes_and_nothing_is_lost() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (ends, stays) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    for (session, on) in [(&ends, "till-1"), (&stays, "till-2")] {
        assert_eq!(verifies(&world, session, on), Ok(true));
    }
    let (directory, aside) =
        (world.directory().to_owned(), world.directory().with_extension("aside"));
    fs::rename(&directory, &aside).unwrap();
    symlink(&directory, &directory).unwrap();
    world.clock.advance(2 * SECOND);
    for _ in 0..3 {
        assert_eq!(verifies(&world, &stays, "till-2"), Err(ErrorKind::Io));
    }
    let refused = world.store.log_out((&ends.token, &device("till-1"))).unwrap_err();
    let denied = world.store.sessions().revoke(ends.id).unwrap_err();
    fs::remove_file(&directory).unwrap();
    fs::rename(&aside, &directory).unwrap();
    assert_eq!((refused.kind(), denied.kind()), (ErrorKind::Io, ErrorKind::Io));
    assert_eq!(verifies(&world, &ends, "till-1"), Ok(false));
    assert_eq!(verifies(&world, &stays, "till-2"), Ok(true));
    // What was denied from memory is written before anything else.
    world.person("ben");
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);
}
