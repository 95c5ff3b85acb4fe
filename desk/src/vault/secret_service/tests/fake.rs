//! A Secret Service that has one collection, and reports unlockings that did not happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use zbus::interface;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

/// What the fake does, and how often it was asked to unlock.
#[derive(Clone, Default)]
pub(super) struct Fake {
    pub(super) is_unlocked: bool,
    pub(super) unlocks: Arc<AtomicU32>,
}

fn path(text: &'static str) -> OwnedObjectPath {
    ObjectPath::from_static_str(text).unwrap().into()
}

pub(super) struct Service(pub(super) Fake);

#[interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    fn open_session(&self, _algorithm: &str, _input: Value<'_>) -> (OwnedValue, OwnedObjectPath) {
        let public_key = Value::from(vec![2_u8; 128]).try_into().unwrap();
        (public_key, path("/org/freedesktop/secrets/session/1"))
    }

    fn read_alias(&self, _name: &str) -> OwnedObjectPath {
        path("/org/freedesktop/secrets/collection/one")
    }

    /// Reports each collection as unlocked, and unlocks none.
    fn unlock(&self, paths: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        self.0.unlocks.fetch_add(1, Ordering::SeqCst);
        (paths, path("/"))
    }
}

pub(super) struct Collection(pub(super) Fake);

#[interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    #[zbus(property)]
    fn locked(&self) -> bool {
        !self.0.is_unlocked
    }
}
