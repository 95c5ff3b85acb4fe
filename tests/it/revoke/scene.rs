//! Three users with sessions and keys, two of them in one branch.

use gatepost::{
    ApiKeyId, BranchId, NewApiKey, NewUser, OpenedSession, OrganisationId, Password, Secret,
    Store, UserId,
};

use crate::world::{PASSWORD, World, device};

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) north: OrganisationId,
    pub(crate) south: OrganisationId,
    pub(crate) york: BranchId,
    pub(crate) dover: BranchId,
    /// In York, with two sessions.
    pub(crate) ada: UserId,
    /// In York as well.
    pub(crate) bob: UserId,
    /// Nowhere.
    pub(crate) eve: UserId,
    sessions: Vec<(&'static str, OpenedSession)>,
    keys: Vec<(&'static str, ApiKeyId, Secret)>,
}

/// What an event ends, by name, and what it leaves waiting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) sessions: &'static [&'static str],
    pub(crate) keys: &'static [&'static str],
    /// Whose one-time tokens end: tables whose row has a higher `tokens_ended_seq`.
    pub(crate) tokens: &'static [&'static str],
}

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let (organisations, branches) = (world.store.organisations(), world.store.branches());
        let north = organisations.create("Northern").unwrap().id;
        let south = organisations.create("Southern").unwrap().id;
        let york = branches.create("York", north).unwrap().id;
        let dover = branches.create("Dover", south).unwrap().id;
        let person = |name: &str, branch: Option<BranchId>| {
            let new = NewUser::person(name).password(Password::from(PASSWORD)).branch(branch);
            world.store.users().create(new).unwrap().id
        };
        let (ada, bob) = (person("ada", Some(york)), person("bob", Some(york)));
        let eve = person("eve", None);
        let places = [("ada-1", ada), ("ada-2", ada), ("bob-1", bob), ("eve-1", eve)];
        let sessions = places.map(|(name, user)| (name, world.open(user, name))).into();
        let keys = [("ada", ada), ("bob", bob), ("eve", eve)].map(|(name, user)| {
            let issued = world.store.api_keys().issue(user, NewApiKey::new()).unwrap();
            (name, issued.id, issued.key)
        });
        let keys = keys.into();
        Self { world, north, south, york, dover, ada, bob, eve, sessions, keys }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.world.store
    }

    pub(crate) fn session(&self, name: &str) -> &OpenedSession {
        &self.sessions.iter().find(|(other, _)| *other == name).unwrap().1
    }

    pub(crate) fn key(&self, name: &str) -> (ApiKeyId, &Secret) {
        let (_, id, key) = self.keys.iter().find(|(other, ..)| *other == name).unwrap();
        (*id, key)
    }

    /// The sessions, each on its device, and the keys that do not verify.
    pub(crate) fn dead(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let refused = |token: &Secret, on: Option<&str>| {
            let on = on.map(device);
            self.store().verify(token.expose(), on.as_ref()).unwrap().valid().is_err()
        };
        let sessions = self.sessions.iter().filter(|(name, one)| refused(&one.token, Some(name)));
        let keys = self.keys.iter().filter(|(_, _, key)| refused(key, None));
        (sessions.map(|(name, _)| *name).collect(), keys.map(|(name, ..)| *name).collect())
    }

    #[track_caller]
    pub(crate) fn are_dead(&self, sessions: &[&str], keys: &[&str]) {
        let (dead_sessions, dead_keys) = self.dead();
        assert_eq!(dead_sessions, sessions, "sessions");
        assert_eq!(dead_keys, keys, "keys");
    }

    /// Which rows have a `tokens_ended_seq`, and which.
    fn tokens_ended(&self) -> Vec<(&'static str, i64)> {
        ["user", "branch", "organisation", "store"]
            .into_iter()
            .map(|table| {
                let sql = format!("SELECT sum(tokens_ended_seq) FROM {table}");
                (table, self.world.count(&sql))
            })
            .collect()
    }
}

/// Asserts what an event ends, and that nothing else does.
#[track_caller]
pub(crate) fn check<T>(ends: Ends, event: impl FnOnce(&Scene) -> T) -> Scene {
    let scene = Scene::new();
    scene.are_dead(&[], &[]);
    let before = scene.tokens_ended();
    event(&scene);
    scene.are_dead(ends.sessions, ends.keys);
    let after = scene.tokens_ended();
    let risen = before.iter().zip(&after).filter(|(old, new)| new.1 > old.1);
    let risen: Vec<&str> = risen.map(|(old, _)| old.0).collect();
    assert_eq!(risen, ends.tokens, "one-time tokens");
    scene
}
