//! Verify uses its cache. The second run of the suite, without a cache, leaves these tests out by
//! the name of this module.

use super::Other;
use super::cast::Cast;

/// A session that was verified twice is answered from the cache, also while others come and go.
#[test]
fn what_is_unaffected_is_still_remembered() {
    let cast = Cast::new(|options| options);
    assert_eq!(cast.world.store.status().cached, Some(0));
    cast.is_cached();
    assert_eq!(cast.world.store.status().cached, Some(6));
    for name in cast.names() {
        assert!(cast.is_remembered(name), "{name}");
    }
    let mut other = Other::new();
    for (operation, forgotten) in [
        ("log-out !bob1", "bob1"),
        ("sql PRAGMA wal_checkpoint(TRUNCATE)", ""),
        ("nothing", ""),
        ("end-all-of @ada", "ada1 ada2"),
        ("open @bob till-9", ""),
    ] {
        other.does(&cast, operation);
        for name in cast.names().filter(|name| cast.look(name).is_some()) {
            assert!(!forgotten.contains(name), "{name} after {operation}");
            cast.look(name);
            assert!(cast.is_remembered(name), "{name} after {operation}");
        }
    }
    other.0.end();
    let none = Cast::new(|options| options.cache(None));
    none.is_cached();
    assert_eq!(none.world.store.status().cached, None);
    assert!(none.names().all(|name| !none.is_remembered(name)));
}
