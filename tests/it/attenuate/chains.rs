//! Random chains of keys: scopes and expiries never grow, and every descendant ends with the key or
//! session that it was made from.

use std::collections::BTreeSet;
use std::time::Duration;

use gatepost::sessions::{IssuedApiKey, NewApiKey};
use gatepost::{ErrorKind, Permission, Timestamp};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::Scene;
use crate::world::{HOUR, MINUTE};

const NAMES: [&str; 5] = ["a", "a.b", "b", "c", "admin"];

type Names = BTreeSet<&'static str>;

/// A step. A key is named by a number, modulo the keys that were made so far.
#[derive(Debug, Clone)]
enum Step {
    /// From the session, or from a key.
    Make {
        parent: Option<usize>,
        scopes: Option<Names>,
        minutes: Option<u32>,
    },
    Rotate {
        key: usize,
        minutes: u32,
    },
    Revoke {
        key: usize,
    },
    Privileges(Names),
    Wait {
        minutes: u32,
    },
    LogOut,
}

fn names() -> impl Strategy<Value = Names> {
    btree_set(select(&NAMES[..]), 0..=NAMES.len())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let make = (any::<Option<usize>>(), any::<bool>(), names(), any::<bool>(), 1..300_u32);
    let make = make.prop_map(|(parent, has_scopes, scopes, has_end, minutes)| Step::Make {
        parent,
        scopes: has_scopes.then_some(scopes),
        minutes: has_end.then_some(minutes),
    });
    let rotate = (any::<usize>(), select(&[0, 0, 10, 100][..]));
    let step = prop_oneof![
        12 => make,
        2 => rotate.prop_map(|(key, minutes)| Step::Rotate { key, minutes }),
        1 => any::<usize>().prop_map(|key| Step::Revoke { key }),
        2 => names().prop_map(Step::Privileges),
        2 => (1..90_u32).prop_map(|minutes| Step::Wait { minutes }),
        1 => Just(Step::LogOut),
    ];
    vec(step, 1..40)
}

/// A key as the rules have it.
struct Key {
    issued: IssuedApiKey,
    /// Those of the first key are all names.
    scopes: Names,
    end: Option<Timestamp>,
    lifetime: Option<Duration>,
    parent: Option<Parent>,
    is_revoked: bool,
}

#[derive(Clone, Copy)]
enum Parent {
    Session,
    Key(usize),
}

struct Chains {
    scene: Scene,
    keys: Vec<Key>,
    privileges: Names,
    session_end: Timestamp,
    is_logged_out: bool,
}

impl Chains {
    fn new() -> Self {
        let scene = Scene::new();
        let session_end = scene.session().expires_at.unwrap();
        let issued = scene.world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
        let scopes = Names::from(NAMES);
        let root =
            Key { issued, scopes, end: None, lifetime: None, parent: None, is_revoked: false };
        scene.world.store.users().set_privileges(scene.ada, &NAMES).unwrap();
        let privileges = Names::from(NAMES);
        Self { scene, keys: vec![root], privileges, session_end, is_logged_out: false }
    }

    fn now(&self) -> Timestamp {
        self.scene.world.now()
    }

    fn is_live(&self, at: usize) -> bool {
        let key = &self.keys[at];
        let is_over = key.is_revoked || key.end.is_some_and(|end| end <= self.now());
        !is_over
            && match key.parent {
                None => true,
                Some(Parent::Session) => !self.is_logged_out && self.now() < self.session_end,
                Some(Parent::Key(parent)) => self.is_live(parent),
            }
    }

    /// The expiry of the parent.
    fn latest(&self, parent: Option<Parent>) -> Option<Timestamp> {
        match parent? {
            Parent::Session => Some(self.session_end),
            Parent::Key(parent) => self.keys[parent].end,
        }
    }

    fn depth(&self, parent: Parent) -> usize {
        match parent {
            Parent::Session => 0,
            Parent::Key(at) => 1 + self.keys[at].parent.map_or(0, |parent| self.depth(parent)),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Make { parent, scopes, minutes } => self.make(parent, scopes, minutes),
            Step::Rotate { key, minutes } => self.rotate(key % self.keys.len(), minutes),
            Step::Revoke { key } => self.revoke(key % self.keys.len()),
            Step::Privileges(names) => {
                let list: Vec<&str> = names.iter().copied().collect();
                let users = self.scene.world.store.users();
                users.set_privileges(self.scene.ada, &list).unwrap();
                self.privileges = names;
            }
            Step::Wait { minutes } => self.scene.world.clock.advance(minutes * MINUTE),
            Step::LogOut => {
                let _ = self.scene.world.log_out(&self.scene.session, "till-1");
                self.is_logged_out = true;
            }
        }
    }

    fn make(&mut self, parent: Option<usize>, asked: Option<Names>, minutes: Option<u32>) {
        let (store, all) = (self.scene.world.store.clone(), Names::from(NAMES));
        let (parent, principal, own) = match parent.map(|key| key % self.keys.len()) {
            Some(at) if self.is_live(at) => {
                let key = &self.keys[at];
                let principal = self.scene.verified(&key.issued.key);
                (Parent::Key(at), principal, key.scopes.clone())
            }
            None if !self.is_logged_out && self.now() < self.session_end => {
                (Parent::Session, self.scene.session(), all)
            }
            _ => return,
        };
        let lifetime = minutes.map(|minutes| minutes * MINUTE);
        let mut new = NewApiKey::new();
        new = asked.clone().map_or(new.clone(), |names| new.scopes(names));
        new = lifetime.map_or(new.clone(), |lifetime| new.lifetime(lifetime));
        let made = store.api_keys().attenuate(&principal, new);
        if self.depth(parent) > 8 {
            assert_eq!(made.unwrap_err().kind(), ErrorKind::LimitReached);
            return;
        }
        let scopes = asked.unwrap_or_else(|| own.clone());
        if !scopes.is_subset(&own) {
            assert_eq!(made.unwrap_err().kind(), ErrorKind::Invalid, "{scopes:?} of {own:?}");
            return;
        }
        self.insert(made.unwrap(), scopes, lifetime, Some(parent));
    }

    fn insert(
        &mut self,
        issued: IssuedApiKey,
        scopes: Names,
        lifetime: Option<Duration>,
        parent: Option<Parent>,
    ) {
        let own = lifetime.map(|lifetime| self.now() + lifetime);
        let end = own.into_iter().chain(self.latest(parent)).min();
        assert_eq!(issued.expires_at, end);
        let lifetime = end.map(|end| end.duration_since(self.now()));
        self.keys.push(Key { issued, scopes, end, lifetime, parent, is_revoked: false });
    }

    fn rotate(&mut self, at: usize, minutes: u32) {
        let keys = self.scene.world.store.clone();
        let next = keys.api_keys().rotate(self.keys[at].issued.id, minutes * MINUTE);
        if !self.is_live(at) {
            assert_eq!(next.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        }
        let end = self.now() + minutes * MINUTE;
        let old = &mut self.keys[at];
        old.is_revoked |= minutes == 0;
        old.end = Some(old.end.map_or(end, |old| old.min(end)));
        let (scopes, lifetime, parent) = (old.scopes.clone(), old.lifetime, old.parent);
        self.shorten(at);
        self.insert(next.unwrap(), scopes, lifetime, parent);
    }

    /// Descendants expire no later.
    fn shorten(&mut self, at: usize) {
        for child in 0..self.keys.len() {
            if matches!(self.keys[child].parent, Some(Parent::Key(parent)) if parent == at) {
                let ends = self.keys[child].end.into_iter().chain(self.keys[at].end);
                self.keys[child].end = ends.min();
                self.shorten(child);
            }
        }
    }

    fn revoke(&mut self, at: usize) {
        let _ = self.scene.world.store.api_keys().revoke(self.keys[at].issued.id);
        self.keys[at].is_revoked = true;
    }

    /// Every key, against the rules and against its parent.
    fn check(&self) {
        for (at, key) in self.keys.iter().enumerate() {
            let verdict = self.scene.world.store.verify((&key.issued.key, None)).unwrap();
            let Ok(principal) = verdict.valid() else {
                assert!(!self.is_live(at), "key {at} is refused");
                continue;
            };
            assert!(self.is_live(at), "key {at} passes");
            assert_eq!(principal.expires_at, key.end, "key {at}");
            if let Some(latest) = self.latest(key.parent) {
                assert!(principal.expires_at.unwrap() <= latest, "key {at}");
            }
            let granted: Names = NAMES
                .into_iter()
                .filter(|name| {
                    let answer = self.scene.world.store.may(&principal, name).unwrap();
                    answer == Permission::Granted
                })
                .collect();
            let expected: Names = key.scopes.intersection(&self.privileges).copied().collect();
            assert_eq!(granted, expected, "key {at}");
            assert_eq!(principal.is_admin, expected.contains("admin"));
            if let Some(Parent::Key(parent)) = key.parent {
                assert!(granted.is_subset(&self.keys[parent].scopes), "key {at} has grown");
            }
        }
    }
}

#[test]
fn no_chain_of_keys_grows_and_each_ends_with_its_parent() {
    proptest!(ProptestConfig::with_cases(48), |(steps in steps())| {
        let mut chains = Chains::new();
        for step in steps {
            chains.take(step);
            chains.check();
        }
        chains.scene.world.store.api_keys().revoke_all(chains.scene.ada).unwrap();
        chains.keys.iter_mut().for_each(|key| key.is_revoked = true);
        chains.check();
        chains.scene.world.clock.advance(HOUR);
        chains.check();
    });
}
