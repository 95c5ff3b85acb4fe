//! Five users in every relation to one of them, with sessions and keys.

use std::cell::RefCell;
use std::sync::Arc;

use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::second_factors::{FactorCode, NewTotp, TotpEnrolment, TotpSecret};
use gatepost::sessions::{Assurance, NewApiKey, NewOneTimeToken, NewTicket, OpenSession};
use gatepost::{
    ApiKeyId, BranchId, NewUser, OpenedSession, OrganisationId, Password, Principal, Secret,
    Store, UserId,
};

use super::list::Relation;
use crate::observer::Seen;
use crate::second_factor::authenticator::Authenticator;
use crate::second_factor::{SECRET, STEP};
use crate::world::{DAY, PASSWORD, SECOND, World, device};

pub(crate) struct Scene {
    pub(crate) world: World,
    /// With the branches York and Whitby.
    pub(crate) north: OrganisationId,
    /// With the branch Dover.
    pub(crate) south: OrganisationId,
    /// Without a branch.
    pub(crate) bare: OrganisationId,
    pub(crate) york: BranchId,
    /// Without a user.
    pub(crate) dover: BranchId,
    /// In York, with two sessions: operations are applied to her and to what is hers.
    pub(crate) ada: UserId,
    /// In York as well.
    pub(crate) bob: UserId,
    /// In no branch.
    pub(crate) eve: UserId,
    /// Without a session: the actor of an operation.
    pub(crate) root: UserId,
    sessions: Vec<(&'static str, OpenedSession)>,
    keys: Vec<(&'static str, ApiKeyId, Secret)>,
    /// For each session and key, by its name, a key that was made from it, if any were.
    made: Vec<(&'static str, ApiKeyId, Secret)>,
    /// The one-time token or the codes that an operation presents.
    one_time: RefCell<String>,
    /// The observer of the store.
    pub(crate) seen: Arc<Seen>,
}

/// How each session and key of the scene, by its name, is related to the first one.
const RELATIONS: [(&str, Relation); 9] = [
    ("ada-1", Relation::Itself),
    ("ada-2", Relation::SameUser),
    ("bob-1", Relation::SameBranch),
    ("cyd-1", Relation::SameOrganisation),
    ("eve-1", Relation::Elsewhere),
    ("ada", Relation::Itself),
    ("bob", Relation::SameBranch),
    ("cyd", Relation::SameOrganisation),
    ("eve", Relation::Elsewhere),
];

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(SessionPolicy::server())
    }

    pub(crate) fn with(policy: SessionPolicy) -> Self {
        let seen = Arc::new(Seen::default());
        let world = World::in_memory(|options| options.sessions(policy).observer(seen.clone()));
        let (organisations, branches) = (world.store.organisations(), world.store.branches());
        let north = organisations.create("Northern").unwrap().id;
        let south = organisations.create("Southern").unwrap().id;
        let bare = organisations.create("Western").unwrap().id;
        let york = branches.create("York", north).unwrap().id;
        let whitby = branches.create("Whitby", north).unwrap().id;
        let dover = branches.create("Dover", south).unwrap().id;
        let create = |new: NewUser| world.store.users().create(new).unwrap().id;
        let in_york =
            |name| create(NewUser::person(name).password(Password::from(PASSWORD)).branch(york));
        let (ada, bob) = (in_york("ada"), in_york("bob"));
        let cyd = create(NewUser::person("cyd").branch(whitby));
        let (eve, root) = (create(NewUser::person("eve")), create(NewUser::person("root")));
        let places =
            [("ada-1", ada), ("ada-2", ada), ("bob-1", bob), ("cyd-1", cyd), ("eve-1", eve)];
        // The first one is the least recently used.
        let open = |(name, user)| {
            world.clock.advance(SECOND);
            (name, world.open(user, name))
        };
        let sessions = places.map(open).into();
        let users = [("ada", ada), ("bob", bob), ("cyd", cyd), ("eve", eve)];
        let keys = users.map(|(name, user)| {
            let issued = world.store.api_keys().issue(user, NewApiKey::new()).unwrap();
            (name, issued.id, issued.key)
        });
        let keys = keys.into();
        let one_time = RefCell::default();
        Self {
            world,
            north,
            south,
            bare,
            york,
            dover,
            ada,
            bob,
            eve,
            root,
            sessions,
            keys,
            made: Vec::new(),
            one_time,
            seen,
        }
    }

    /// Makes a key from each session and key.
    pub(crate) fn attenuate_all(&mut self) {
        let make = |name, parent: &Principal| {
            let made = self.store().api_keys().attenuate(parent, NewApiKey::new()).unwrap();
            (name, made.id, made.key)
        };
        let of_sessions = self.sessions().map(|name| make(name, &self.principal(name)));
        let of_keys = self.keys().map(|name| make(name, &self.principal_of_key(name)));
        self.made = of_sessions.chain(of_keys).collect();
    }

    /// The names of the sessions and keys from which a key was made that does not verify.
    pub(crate) fn dead_made(&self) -> Vec<&'static str> {
        let refused = |key: &Secret| self.store().verify((key, None)).unwrap().valid().is_err();
        self.made.iter().filter(|(_, _, key)| refused(key)).map(|(name, ..)| *name).collect()
    }

    pub(crate) fn principal_of_key(&self, name: &str) -> Principal {
        let key = &self.keys.iter().find(|(other, ..)| *other == name).unwrap().2;
        self.store().verify((key, None)).unwrap().valid().unwrap()
    }

    /// Issues a one-time token to ada, for an operation that presents it.
    pub(crate) fn issue(&self, new: NewOneTimeToken) {
        let issued = self.store().one_time_tokens().issue(self.ada, new).unwrap();
        self.remember(issued.token.expose());
    }

    /// Gives ada a second factor, and opens her sessions again. No code of this step is used.
    pub(crate) fn import_factor(&mut self) {
        let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
        self.store().second_factors().import(self.ada, secret, NewTotp::new()).unwrap();
        self.open_again();
        self.world.clock.advance(STEP);
    }

    /// The code that the authenticator of that factor shows.
    pub(crate) fn code(&self) -> FactorCode {
        Authenticator::of(SECRET).code(self.world.now(), 0)
    }

    /// Scans the secret of an enrolment, for the two codes that confirm it.
    pub(crate) fn begun(&self, enrolment: &TotpEnrolment) {
        let new = Authenticator::scan(enrolment);
        let pair = [-1, 0].map(|later| new.text(self.world.now(), later));
        self.remember(&pair.join(" "));
    }

    pub(crate) fn pair(&self) -> [FactorCode; 2] {
        let pair = self.one_time();
        let (first, second) = pair.split_once(' ').unwrap();
        [first, second].map(FactorCode::from)
    }

    /// For an operation that presents it.
    pub(crate) fn remember(&self, text: &str) {
        text.clone_into(&mut self.one_time.borrow_mut());
    }

    /// Issues that of the first administrator.
    pub(crate) fn issue_first_administrator(&self) {
        let issued = self.store().one_time_tokens().issue_first_administrator().unwrap();
        issued.token.expose().clone_into(&mut self.one_time.borrow_mut());
    }

    pub(crate) fn one_time(&self) -> String {
        self.one_time.borrow().clone()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.world.store
    }

    pub(crate) fn session(&self, name: &str) -> &OpenedSession {
        &self.sessions.iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// The principal of a session, which is verified for them.
    pub(crate) fn principal(&self, name: &str) -> Principal {
        let token = self.session(name).token.expose();
        self.store().verify((token, &device(name))).unwrap().valid().unwrap()
    }

    pub(crate) fn key(&self, name: &str) -> ApiKeyId {
        self.keys.iter().find(|(other, ..)| *other == name).unwrap().1
    }

    /// The names of all sessions.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &'static str> {
        self.sessions.iter().map(|(name, _)| *name)
    }

    /// The names of all keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|(name, ..)| *name)
    }

    /// Opens ada's sessions again, and issues her key again if it was revoked.
    pub(crate) fn open_again(&mut self) {
        let ada = self.ada;
        for name in ["ada-1", "ada-2"] {
            let open = OpenSession::new(ada, device(name)).assurance(Assurance::Aal2);
            let session =
                self.world.store.sessions().open(open).unwrap().granted().unwrap().session;
            self.sessions.iter_mut().find(|(other, _)| *other == name).unwrap().1 = session;
        }
        if self.dead().1.contains(&"ada") {
            let issued = self.store().api_keys().issue(ada, NewApiKey::new()).unwrap();
            let key = self.keys.iter_mut().find(|(other, ..)| *other == "ada").unwrap();
            *key = ("ada", issued.id, issued.key);
        }
        if !self.made.is_empty() {
            self.attenuate_all();
        }
    }

    /// Makes ada, her branch and her organisation active.
    pub(crate) fn lift(&self) {
        drop(self.store().users().set_status(self.ada, UserStatus::Active).unwrap());
        drop(self.store().branches().set_active(self.york, true).unwrap());
        drop(self.store().organisations().set_active(self.north, true).unwrap());
    }

    /// The sessions, each on its device, and the keys that do not verify.
    pub(crate) fn dead(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let refused = |token: &Secret, on: Option<&str>| {
            let on = on.map(device);
            self.store().verify((token, on.as_ref())).unwrap().valid().is_err()
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

    /// A ticket of each live session, by the name of the session.
    pub(crate) fn tickets(&self) -> Vec<(&'static str, Secret)> {
        let mint = |name| {
            let token = &self.session(name).token;
            let principal = self.store().verify((token, &device(name))).unwrap().valid().ok()?;
            let minted = self.store().tickets().mint(&principal, NewTicket::new("GET", name));
            Some((name, minted.unwrap().valid().unwrap().ticket))
        };
        self.sessions().filter_map(mint).collect()
    }

    /// Those that are refused.
    pub(crate) fn refused(&self, tickets: &[(&'static str, Secret)]) -> Vec<&'static str> {
        let verify = |(name, ticket): &&(&str, Secret)| {
            self.store().tickets().verify(ticket.expose(), "GET", name).unwrap().valid().is_err()
        };
        tickets.iter().filter(verify).map(|(name, _)| *name).collect()
    }

    /// The sum of all watermarks that one-time tokens are compared with.
    pub(crate) fn tokens_revoked(&self) -> i64 {
        self.world.count(
            "SELECT (SELECT sum(tokens_ended_seq) FROM user)
                  + (SELECT sum(tokens_ended_seq) FROM branch)
                  + (SELECT sum(tokens_ended_seq) FROM organisation)
                  + (SELECT sum(tokens_ended_seq) FROM store)",
        )
    }

    /// Trusts the devices of ada's sessions, unless she is deleted, and returns them.
    pub(crate) fn trust_devices(&self) -> Vec<&'static str> {
        let sql = "UPDATE device SET trusted_until = ?2,
                       trusted_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
                   WHERE user_id = (SELECT id FROM user WHERE id = ?1 AND deleted_at IS NULL)";
        let until = (self.world.now() + 30 * DAY).as_millis();
        self.world.sql().execute(sql, (self.ada.as_uuid().as_bytes(), until)).unwrap();
        self.trusted()
    }

    /// The devices of ada's sessions that are trusted; none once she is deleted.
    pub(crate) fn trusted(&self) -> Vec<&'static str> {
        let known = self.store().devices().list(self.ada).unwrap_or_default();
        let is_trusted = |name: &&str| {
            let handle = device(name).handle();
            known.iter().any(|one| one.handle == handle && one.trusted_until.is_some())
        };
        ["ada-1", "ada-2"].into_iter().filter(is_trusted).collect()
    }

    /// The tables whose rows the change log has reported since, in their order. A row of another
    /// subject than ada, what is hers or where she is adds `of another`.
    pub(crate) fn reported_since(&self, head: i64) -> Vec<String> {
        let sql = self.world.sql();
        let newer = "SELECT kind, id FROM change WHERE seq > ?1 ORDER BY seq";
        let mut statement = sql.prepare(newer).unwrap();
        let rows = statement.query_map([head], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let is_made = |id: &Option<Vec<u8>>| {
            let made = self.made.iter().map(|(_, id, _)| id.as_uuid());
            id.as_ref()
                .is_some_and(|id| made.into_iter().any(|own| own.as_bytes() == id.as_slice()))
        };
        let mut rows: Vec<(u16, _)> =
            rows.map(Result::unwrap).filter(|(_, id)| !is_made(id)).collect();
        // The row of the user for the keys that were made from a session or key.
        rows.dedup_by(|later, earlier| later.0 == 3 && earlier.0 >= 4);
        rows.into_iter().map(|row| self.table_of(row)).collect()
    }

    fn table_of(&self, (kind, id): (u16, Option<Vec<u8>>)) -> String {
        const TABLES: [&str; 6] =
            ["store", "organisation", "branch", "user", "session", "api_key"];
        let table = TABLES[usize::from(kind)];
        let Some(id) = id else { return table.to_owned() };
        let known = [
            self.north.as_uuid(),
            self.south.as_uuid(),
            self.bare.as_uuid(),
            self.york.as_uuid(),
            self.dover.as_uuid(),
            self.ada.as_uuid(),
            self.session("ada-1").id.as_uuid(),
            self.key("ada").as_uuid(),
        ];
        let is_known = known.iter().any(|one| one.as_bytes() == id.as_slice());
        format!("{table}{}", if is_known { "" } else { " of another" })
    }
}

/// How the session or key of that name is related to `ada-1` and ada's key.
pub(crate) fn relation(name: &str) -> Relation {
    RELATIONS.iter().find(|(other, _)| *other == name).unwrap().1
}
