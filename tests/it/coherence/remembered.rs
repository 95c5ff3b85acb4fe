//! That verify remembers at all. Where no store does, as in the second run of the suite, these have
//! nothing to look at and are left out, by the name of this module.

use super::Other;
use super::cast::Cast;

/// Who verified twice is answered from memory, and stays so while others come and go.
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
    for (deed, forgotten) in [
        ("log-out !bob1", "bob1"),
        ("sql PRAGMA wal_checkpoint(TRUNCATE)", ""),
        ("nothing", ""),
        ("end-all-of @ada", "ada1 ada2"),
        ("open @bob till-9", ""),
    ] {
        other.does(&cast, deed);
        for name in cast.names().filter(|name| cast.look(name).is_some()) {
            assert!(!forgotten.contains(name), "{name} after {deed}");
            cast.look(name);
            assert!(cast.is_remembered(name), "{name} after {deed}");
        }
    }
    other.0.end();
    let none = Cast::new(|options| options.cache(None));
    none.is_cached();
    assert_eq!(none.world.store.status().cached, None);
    assert!(none.names().all(|name| !none.is_remembered(name)));
}
