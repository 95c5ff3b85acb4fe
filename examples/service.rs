//! An API key for background work: `cargo run --example service`.
//!
//! A system user has no password and cannot log in. Its key is valid without a device, until it
//! expires, is rotated or is revoked. Each line printed is asserted.

use std::error::Error;
use std::time::Duration;

use gatepost::sessions::NewApiKey;
use gatepost::{ErrorKind, NewUser, Options, Secret, Store};

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path().join("auth.db"), Options::server())?;
    let export = NewUser::system("nightly-export").privilege("reports.read");
    let export = store.users().create(export)?.id;

    // The key itself is shown once: the store keeps only a hash of it.
    let keys = store.api_keys();
    let first = keys.issue(export, NewApiKey::new().label("export job").lifetime(YEAR))?;
    let principal = store.verify((&first.key, None))?.valid()?;
    assert_eq!((principal.user, principal.credential.session()), (export, None));
    store.may(&principal, "reports.read")?.granted()?;
    println!("the job's key is valid without a device, and may read reports");

    let refused = keys.issue(export, NewApiKey::new()).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::LimitReached));
    println!("a second key is refused: api_keys_per_user is 1 by default");

    // Rotation has no such limit: both keys are valid while the job's configuration is changed.
    let second = keys.rotate(first.id, HOUR)?;
    assert!(is_valid(&store, &first.key)? && is_valid(&store, &second.key)?);
    let listed = keys.list(export)?;
    let old = listed.iter().find(|key| key.id == first.id).ok_or("the old key is listed")?;
    assert!(old.expires_at < second.expires_at);
    println!("rotated: the new key is valid, and the old one for another hour");

    keys.revoke(first.id)?;
    assert!(!is_valid(&store, &first.key)? && is_valid(&store, &second.key)?);
    println!("the old key revoked before that: only the new one is valid");

    keys.revoke_all(export)?;
    assert!(!is_valid(&store, &second.key)?);
    assert!(keys.list(export)?.is_empty());
    println!("all keys of the user revoked: none is valid");
    Ok(())
}

fn is_valid(store: &Store, key: &Secret) -> Result<bool, gatepost::Error> {
    Ok(store.verify((key, None))?.valid().is_ok())
}
