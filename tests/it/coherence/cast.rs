//! People with sessions and a key, all of them cached, and what can be done to them.

use std::collections::BTreeMap;
use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::host::ManualClock;
use gatepost::sessions::{NewApiKey, OpenSession, RevokeSessions};
use gatepost::{BranchId, NewUser, Options, OrganisationId, Principal, Store, Subtree, UserId};
use rusqlite::config::DbConfig;
use uuid::Uuid;

use crate::operations::{Operation, Reach, Relation};
use crate::world::{HOUR, PASSWORD, World, device};

/// A store in which ada and bob are in York, a branch of Northern, and cyd is in Leeds, a branch of
/// no organisation; with sessions `ada1`, `ada2`, `bob1`, `cyd1`, `brief`, which lasts an hour, and
/// a `key` of ada's.
pub(crate) struct Cast {
    pub(crate) world: World,
    pub(crate) northern: OrganisationId,
    pub(crate) york: BranchId,
    pub(crate) leeds: BranchId,
    pub(crate) ada: UserId,
    ids: BTreeMap<&'static str, Uuid>,
    /// The token of each and the name of its device.
    tokens: BTreeMap<&'static str, (String, Option<&'static str>)>,
}

impl Cast {
    pub(crate) fn new(change: impl FnOnce(Options) -> Options) -> Self {
        let world = World::with(change);
        let northern = world.store.organisations().create("Northern").unwrap().id;
        let york = world.store.branches().create("York", northern).unwrap().id;
        let leeds = world.store.branches().create("Leeds", None).unwrap().id;
        let person = |name: &str, branch| {
            let new = NewUser::person(name).branch(branch).password(PASSWORD.into());
            world.store.users().create(new).unwrap().id
        };
        let (ada, bob, cyd) = (person("ada", york), person("bob", york), person("cyd", leeds));
        let mut ids = BTreeMap::from([
            ("northern", northern.as_uuid()),
            ("york", york.as_uuid()),
            ("leeds", leeds.as_uuid()),
            ("ada", ada.as_uuid()),
            ("bob", bob.as_uuid()),
        ]);
        let mut tokens = BTreeMap::new();
        for (name, user, on) in [
            ("ada1", ada, "till-1"),
            ("ada2", ada, "till-2"),
            ("bob1", bob, "till-3"),
            ("cyd1", cyd, "till-4"),
            ("brief", cyd, "till-5"),
        ] {
            let open = OpenSession::new(user, device(on));
            let open = if name == "brief" { open.expires_at(world.now() + HOUR) } else { open };
            let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
            ids.insert(name, session.id.as_uuid());
            tokens.insert(name, (session.token.expose().to_owned(), Some(on)));
        }
        let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        ids.insert("key", key.id.as_uuid());
        tokens.insert("key", (key.key.expose().to_owned(), None));
        Self { world, northern, york, leeds, ada, ids, tokens }
    }

    /// As [`Cast::new`], with a key made from each session and from the key: `ada1k`, `ada2k`,
    /// `bob1k`, `cyd1k`, `briefk` and `keyk`.
    pub(crate) fn with_made_keys(change: impl FnOnce(Options) -> Options) -> Self {
        let mut cast = Self::new(change);
        for (parent, name) in [
            ("ada1", "ada1k"),
            ("ada2", "ada2k"),
            ("bob1", "bob1k"),
            ("cyd1", "cyd1k"),
            ("brief", "briefk"),
            ("key", "keyk"),
        ] {
            let principal = cast.look(parent).unwrap();
            let keys = cast.world.store.api_keys();
            let made = keys.attenuate(&principal, NewApiKey::new()).unwrap();
            cast.tokens.insert(name, (made.key.expose().to_owned(), None));
        }
        cast
    }

    /// The principal of a session or key, if it verifies.
    pub(crate) fn look(&self, name: &str) -> Option<Principal> {
        let (token, on) = &self.tokens[name];
        let on = on.map(device);
        self.world.store.verify((token, on.as_ref())).unwrap().valid().ok()
    }

    /// The sessions and keys that an operation upon ada covers, and the keys made from them.
    pub(crate) fn covered(operation: &Operation) -> String {
        // A session that goes on with a new token keeps its keys.
        let others = match operation.sessions {
            Reach::Renewed => Reach::Others,
            Reach::OneRenewed => Reach::Nothing,
            reach => reach,
        };
        let related = [
            ("ada1", operation.sessions, Relation::Itself),
            ("ada2", operation.sessions, Relation::SameUser),
            ("bob1", operation.sessions, Relation::SameBranch),
            ("cyd1", operation.sessions, Relation::Elsewhere),
            ("brief", operation.sessions, Relation::Elsewhere),
            ("key", operation.keys, Relation::Itself),
            ("ada1k", others, Relation::Itself),
            ("ada1k", operation.keys, Relation::SameUser),
            ("ada2k", others, Relation::SameUser),
            ("ada2k", operation.keys, Relation::SameUser),
            ("bob1k", operation.sessions, Relation::SameBranch),
            ("bob1k", operation.keys, Relation::SameBranch),
            ("cyd1k", operation.sessions, Relation::Elsewhere),
            ("briefk", operation.sessions, Relation::Elsewhere),
            ("keyk", operation.keys, Relation::Itself),
        ];
        let covered = related.iter().filter(|(_, reach, relation)| reach.covers(*relation));
        covered.map(|(name, ..)| *name).collect::<Vec<_>>().join(" ")
    }

    /// Those of these names that are here: without a key made from another, for [`Cast::new`].
    pub(crate) fn here(&self, names: &str) -> String {
        let here = names.split_whitespace().filter(|name| self.tokens.contains_key(name));
        here.collect::<Vec<_>>().join(" ")
    }

    /// All sessions and keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.tokens.keys().copied()
    }

    /// Verifies everything twice.
    #[track_caller]
    pub(crate) fn is_cached(&self) {
        for _ in 0..2 {
            self.names().for_each(|name| assert!(self.look(name).is_some(), "{name}"));
        }
    }

    /// Whether its verify is answered without the file: the row is changed without its triggers,
    /// and changed back.
    pub(crate) fn is_remembered(&self, name: &str) -> bool {
        let sql = self.world.sql();
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        let shift = |by: i64| {
            let (table, column) = match name {
                "key" => ("api_key", "issued_at"),
                _ => ("session", "authenticated_at"),
            };
            let statement = format!("UPDATE {table} SET {column} = {column} + ?1 WHERE id = ?2");
            let changed = sql.execute(&statement, (by, self.ids[name].as_bytes())).unwrap();
            assert_eq!(changed, 1, "{name}");
        };
        let before = self.look(name);
        shift(-1);
        let answer = self.look(name);
        shift(1);
        before.is_some() && answer == before
    }

    /// An operation with its names spelt out: `@ada` is an id, `#ada` a literal of SQL, `!ada1` a
    /// token and its device.
    pub(crate) fn spell(&self, operation: &str) -> String {
        let mut names: Vec<_> = self.ids.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut text = operation.to_owned();
        for (name, id) in names {
            text = text.replace(&format!("@{name}"), &id.to_string());
            text = text.replace(&format!("#{name}"), &format!("x'{}'", id.simple()));
            if let Some((token, Some(on))) = self.tokens.get(name) {
                text = text.replace(&format!("!{name}"), &format!("{token} {on}"));
            }
        }
        let next = "(1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change'))";
        text.replace("$next", next)
    }

    /// Asserts that exactly those are refused, and checks them first.
    #[track_caller]
    pub(crate) fn are_refused(&self, ended: &str, after: &str) {
        let ended: Vec<&str> = ended.split_whitespace().collect();
        for name in &ended {
            assert_eq!(self.look(name), None, "{name} after {after}");
        }
        for _ in 0..2 {
            for name in self.names() {
                let is_live = self.look(name).is_some();
                assert_eq!(is_live, !ended.contains(&name), "{name} after {after}");
            }
        }
    }
}

/// Does what a line of [`Cast::spell`] says.
pub(crate) fn act(store: &Store, clock: &ManualClock, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let (sessions, users) = (store.sessions(), store.users());
    match words.as_slice() {
        ["nothing"] => {}
        ["remembers", expect] => {
            assert_eq!(store.status().cached.is_some(), expect.parse::<bool>().unwrap());
        }
        ["log-out", token, on] => drop(store.log_out((token, &device(on))).unwrap()),
        ["end", id] => drop(sessions.revoke(id.parse().unwrap()).unwrap()),
        ["end-others", token, on] => {
            let principal = store.verify((token, &device(on))).unwrap().valid().unwrap();
            sessions.revoke_others(&principal).unwrap();
        }
        ["end-all-of", id] => sessions.revoke_all(id.parse::<UserId>().unwrap()).unwrap(),
        ["end-all-of-branch", id] => sessions.revoke_all(id.parse::<BranchId>().unwrap()).unwrap(),
        ["end-all-of-organisation", id] => {
            sessions.revoke_all(id.parse::<OrganisationId>().unwrap()).unwrap();
        }
        ["end-all"] => sessions.revoke_all(Subtree::Store).unwrap(),
        ["open", user, on] => {
            let open = OpenSession::new(user.parse().unwrap(), device(on));
            sessions.open(open).unwrap().granted().unwrap();
        }
        ["change-password", token, on] => {
            let new = "three tin whistles".into();
            let changed = store.change_password((token, &device(on)), PASSWORD.into(), new);
            changed.unwrap().granted().unwrap();
        }
        ["branch-off", id] => {
            drop(store.branches().set_active(id.parse().unwrap(), false).unwrap());
        }
        ["organisation-off", id] => {
            store.organisations().set_active(id.parse().unwrap(), false).unwrap();
        }
        ["move-branch", id, to] => {
            store.branches().move_to(id.parse().unwrap(), to.parse().ok()).unwrap();
        }
        ["revoke-all-keys", user] => store.api_keys().revoke_all(user.parse().unwrap()).unwrap(),
        ["revoke", key] => store.api_keys().revoke(key.parse().unwrap()).unwrap(),
        ["rotate", key] => {
            drop(store.api_keys().rotate(key.parse().unwrap(), Duration::ZERO).unwrap());
        }
        ["sweep"] => {
            clock.advance(2 * HOUR);
            gatepost::testing::believe_clock(store).unwrap();
            assert!(store.maintain().unwrap().sessions > 0);
        }
        [operation, user, rest @ ..] => {
            act_on_user(store, operation, user.parse().unwrap(), rest, &users)
        }
        other => panic!("no such operation: {other:?}"),
    }
}

fn act_on_user(
    store: &Store,
    operation: &str,
    user: UserId,
    rest: &[&str],
    users: &gatepost::directory::Users<'_>,
) {
    match (operation, rest) {
        ("status", [status]) => {
            let status = match *status {
                "active" => UserStatus::Active,
                "locked" => UserStatus::Locked,
                "disabled" => UserStatus::Disabled,
                _ => UserStatus::Pending,
            };
            users.set_status(user, status).unwrap();
        }
        ("forget", [on]) => assert!(store.devices().forget(user, &device(on)).unwrap()),
        ("delete", []) => users.delete(user).unwrap(),
        ("confirm", []) => drop(users.confirm(user).unwrap()),
        ("set-password", []) => users.set_password(user, "nine brass bells".into()).unwrap(),
        ("remove-password", []) => assert!(users.remove_password(user).unwrap()),
        ("mark-compromised", []) => assert!(users.mark_compromised(user).unwrap()),
        ("demand-change", []) => {
            assert!(users.require_password_change(user, RevokeSessions::All).unwrap());
        }
        ("move", [to]) => drop(store.users().move_to(user, to.parse::<BranchId>().ok()).unwrap()),
        ("privileges", names) => drop(users.set_privileges(user, names).unwrap()),
        other => panic!("no such operation: {other:?}"),
    }
}
