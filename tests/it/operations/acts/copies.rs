//! How the operations that write or read a whole store are called.

use gatepost::directory::{ImportRecord, Imported};
use gatepost::uuid::Uuid;
use gatepost::{NewUser, Store, UserId};

use super::super::scene::Scene;
use super::Act;

pub(super) const COPIES: &[(&str, Act)] = &[
    ("Store::backup", back_up),
    ("Store::backup(refused)", |s, store| {
        let refused = store.backup(&s.world.path, |_| ()).unwrap_err();
        assert_eq!(refused.kind(), gatepost::ErrorKind::Invalid);
    }),
    ("Store::restore", |s, _| {
        let copy = s.world.directory().join("copy.db");
        Store::restore(copy, &s.world.path, s.world.options.clone()).unwrap();
    }),
    ("Store::import", |_, store| {
        let record = ImportRecord::User {
            id: UserId::from_uuid(Uuid::from_u128(1)),
            user: Box::new(NewUser::person("fay")),
            created_at: None,
            confirmed_at: None,
        };
        let results = store.import(vec![record]).unwrap();
        assert_eq!(results[0].as_ref().unwrap(), &Imported::Created);
    }),
];

pub(super) fn back_up(scene: &Scene, store: &Store) {
    store.backup(scene.world.directory().join("copy.db"), |_| ()).unwrap();
}
