//! Backups, restores and copies that are read, as a part of the story.

use gatepost::backup::*;
use gatepost::{Store, UserId};

use super::story::Story;
use crate::world::World;

impl Story {
    /// The backup stays in the directory, among the files that are searched.
    pub(super) fn restores(&mut self, world: &World, store: &Store) {
        let (copy, other) =
            (world.directory().join("copy.db"), world.directory().join("restored.db"));
        self.held(&store.status());
        let mut last = None;
        let report = store.backup(&copy, |progress| last = Some(progress)).unwrap();
        self.held(&last.unwrap());
        self.held(&report);
        self.failed(store.backup(&copy, |_| ()).map(drop));
        let options = RestoreOptions::new(world.options.clone()).all_as_in_backup();
        self.held(&options);
        let report = Store::restore(&copy, &other, options.clone()).unwrap();
        self.held(&report);
        self.held(&Store::adopt_restored(&other, world.options.clone()).unwrap());
        let report = Store::restore(&copy, &world.path, options).unwrap();
        self.held(&report.replaced);
        self.held(&Stricter::Password(UserId::from_uuid(gatepost::uuid::Uuid::nil())));
        let reader = Store::open_read_only(&world.path, world.options.clone()).unwrap();
        self.held(&reader);
        self.held(&reader.status().unwrap());
    }
}
