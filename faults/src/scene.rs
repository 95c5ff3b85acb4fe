//! The file that an operation begins with, and the names of what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatepost::audit::HostEvent;
use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::policy::{Cost, SecondFactorPolicy, SessionPolicy};
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{
    Assurance, NewApiKey, NewOneTimeToken, OneTimePurpose, OpenSession, Version,
};
use gatepost::{
    Ended, LoginOutcome, LoginRequest, NewUser, OpenedSession, Store, Subtree, Timestamp, UserId,
};

use crate::place::{Place, beside, clear};
use crate::process::{Child, Voice};
use crate::store::{FACTOR, OldKey, PASSWORD, code, device, options, options_at, passes, sql};

/// The identity provider of an external identity.
pub(crate) const ISSUER: &str = "https://login.example.com";

/// The same bytes for every trial: a closed file, and one whose last process was killed.
#[derive(Debug)]
pub(crate) struct Scene {
    names: BTreeMap<String, String>,
    closed: Vec<u8>,
    /// With the log that the killed process left.
    hot: (Vec<u8>, Vec<u8>),
    full: (Vec<u8>, Vec<u8>),
    long: (Vec<u8>, Vec<u8>),
}

/// How the file of an operation was left by the process that had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// There is none.
    Nothing,
    Closed,
    /// With a log that was not moved into it.
    Hot,
    /// The same, and the log is about to be moved.
    Full,
    /// The same, and so long that it is about to begin again, readers or not.
    Long,
}

impl Scene {
    pub(crate) fn build(seed: u64) -> Self {
        let place = Place::new("scene");
        let path = place.file("auth.db");
        let said = Child::fork(|voice| {
            let options = options_at(seed, BEGUN).keyring(Arc::new(OldKey));
            let store = Store::open(&path, options).unwrap();
            let names = fill(&store);
            say(voice, &names);
            store.close().unwrap();
            let idle = SessionPolicy::server().inactivity_timeout(Duration::from_secs(7_200));
            let options = options_at(seed ^ 2, BEGUN).sessions(idle).cost(dear(2));
            let store = Store::open(&path, options).unwrap();
            store.users().create(NewUser::person("carl").password(PASSWORD.into())).unwrap();
            let token = session(&store, bob(&store), "idle", 6_000).token;
            voice.say(format_args!("bob.idle {}", token.expose()));
            store.close().unwrap();
            // So that the operations sweep what has expired by their clock.
            let store = Store::open(&path, crate::store::options(seed ^ 4)).unwrap();
            say(voice, &waiting(&store, &names));
            // So that no later look at a key is a use that is to be written.
            for key in ["key", "ada.key"] {
                let (_, key) = names.iter().find(|(name, _)| *name == key).unwrap();
                assert!(passes(&store, key, None), "a live key was refused");
            }
            gatepost::testing::believe_clock(&store).unwrap();
            store.close().unwrap();
        });
        let split = |line: &String| line.split_once(' ').map(|(a, b)| (a.into(), b.into()));
        let names: BTreeMap<String, String> = said.end_well().iter().filter_map(split).collect();
        let closed = fs::read(&path).unwrap();
        let hot = left_open(&path, |store| {
            store.configuration().set(Subtree::Store, "desk.rows", "9").map(drop).unwrap();
        });
        lay(&path, Some(&closed), None);
        let full = left_open(&path, |store| nearly_fill(store, &path, 1_004 * 4_120));
        lay(&path, Some(&closed), None);
        let long = left_open(&path, |store| {
            // Without a reader it would be cut back on the way.
            let reader = sql(&path);
            reader.execute_batch("BEGIN; SELECT count(*) FROM user").unwrap();
            nearly_fill(store, &path, 2_050 * 4_120);
            std::mem::forget(reader);
        });
        Self { names, closed, hot, full, long }
    }

    /// Puts the file there as it was left.
    pub(crate) fn lay(&self, start: Start, path: &Path) {
        let (file, log) = self.bytes(start);
        lay(path, file, log);
    }

    /// The bytes of the file and of its log.
    pub(crate) fn bytes(&self, start: Start) -> (Option<&[u8]>, Option<&[u8]>) {
        match start {
            Start::Nothing => (None, None),
            Start::Closed => (Some(&self.closed), None),
            Start::Hot => (Some(&self.hot.0), Some(&self.hot.1)),
            Start::Full => (Some(&self.full.0), Some(&self.full.1)),
            Start::Long => (Some(&self.long.0), Some(&self.long.1)),
        }
    }

    /// The id of that name.
    pub(crate) fn id<I: std::str::FromStr<Err: std::fmt::Debug>>(&self, name: &str) -> I {
        self.names[name].parse().unwrap()
    }

    pub(crate) fn token(&self, name: &str) -> &str {
        &self.names[name]
    }

    /// Which of the known tokens pass: those of people by their device, a key without; and last,
    /// whether the one-time token [`PENDING`] is valid.
    pub(crate) fn passes(&self, store: &Store) -> String {
        let tokens = TOKENS.iter().map(|(name, on)| passes(store, self.token(name), *on));
        let pending = std::iter::once_with(|| self.pending_passes(store));
        tokens.chain(pending).map(|passes| if passes { '1' } else { '0' }).collect()
    }

    fn pending_passes(&self, store: &Store) -> bool {
        let tokens = store.one_time_tokens().list(self.id("ada"));
        let is_pending = |purpose| purpose == OneTimePurpose::EmailConfirmation;
        tokens.is_ok_and(|tokens| tokens.iter().any(|one| is_pending(one.purpose)))
    }

    /// Which of the tokens that an operation revokes pass, by this list of all.
    pub(crate) fn of<'p>(&self, ends: &'p [&str], passes: &'p str) -> impl Iterator<Item = bool> {
        let all = TOKENS.iter().map(|(name, _)| *name).chain([PENDING]);
        all.zip(passes.chars()).filter(|(name, _)| ends.contains(name)).map(|(_, one)| one == '1')
    }
}

/// Each token of the scene, and the device it was opened on.
pub(crate) const TOKENS: &[(&str, Option<&str>)] = &[
    ("ada.till", Some("till")),
    ("ada.desk", Some("desk")),
    ("bob.van", Some("van")),
    ("bob.cab", Some("cab")),
    ("ada.ended", Some("ended")),
    ("bob.expired", Some("expired")),
    ("bob.idle", Some("idle")),
    ("key", None),
    ("ada.key", None),
];

/// Those that pass no more when the scene is set.
pub(crate) const DEAD: [&str; 2] = ["ada.ended", "bob.expired"];

/// A one-time token of ada's, issued when the scene was set.
pub(crate) const PENDING: &str = "ada.confirmation";

/// The device of the logins that wait for a code.
pub(crate) const DOOR: &str = "door";

/// When the scene was begun, an hour before the clock of the trials.
const BEGUN: &str = "2026-01-05T08:00:00Z";

/// Writes these bytes, for their owner alone; a file that has none is not there.
pub(crate) fn lay(path: &Path, file: Option<&[u8]>, log: Option<&[u8]>) {
    clear(path);
    for (bytes, suffix) in [(file, ""), (log, "-wal")] {
        if let Some(bytes) = bytes {
            let path = beside(path, suffix);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// The files that a process leaves which does this and never closes the store.
fn left_open(path: &Path, job: impl FnOnce(&Store)) -> (Vec<u8>, Vec<u8>) {
    let child = Child::fork(|_| {
        let store = Store::open(path, options(3)).unwrap();
        job(&store);
        std::mem::forget(store);
    });
    child.end_well();
    (fs::read(path).unwrap(), fs::read(beside(path, "-wal")).unwrap())
}

/// So full that the next commits move the log into the file.
fn nearly_fill(store: &Store, path: &Path, bytes: u64) {
    let log = beside(path, "-wal");
    let text = "x".repeat(1_000);
    for turn in 0.. {
        if fs::metadata(&log).unwrap().len() >= bytes {
            break;
        }
        let value = format!("{text}{turn}");
        store.configuration().set(Subtree::Store, "desk.rows", &value).map(drop).unwrap();
    }
}

type Named = Vec<(&'static str, String)>;

fn fill(store: &Store) -> Named {
    let mut names = Vec::new();
    let north = store.organisations().create("North").unwrap().id;
    let quay = store.branches().create("Quay", north).unwrap().id;
    let hollow = store.branches().create("Hollow", north).unwrap().id;
    let loose = store.branches().create("Loose", None).unwrap().id;
    let bare = store.organisations().create("Bare").unwrap().id;
    let person = |name: &str| NewUser::person(name).password(PASSWORD.into()).branch(quay);
    let create = |new: NewUser| store.users().create(new).unwrap().id;
    let ada = create(person("ada").email("ada@example.com").privilege("clerk"));
    let bob = create(person("bob"));
    let system = create(NewUser::system("clockwork").branch(quay));
    let spare = create(NewUser::person("spare"));
    let gone = create(NewUser::person("gone"));
    let fay = create(NewUser::person("fay").password(PASSWORD.into()));
    let secret = TotpSecret::from_base32(FACTOR).unwrap();
    store.second_factors().import(fay, secret, NewTotp::new()).unwrap();
    store.users().delete(gone).unwrap();
    assert!(store.audit().add_consumer("shipper").unwrap());
    for (name, id) in
        [("ada", ada), ("bob", bob), ("system", system), ("spare", spare), ("fay", fay)]
    {
        names.push((name, id.to_string()));
    }
    names.push(("gone", gone.to_string()));
    for (name, id) in [("quay", quay), ("hollow", hollow), ("loose", loose)] {
        names.push((name, id.to_string()));
    }
    names.extend([("north", north.to_string()), ("bare", bare.to_string())]);
    store.credits().set(CreditHolder::Branch(quay), 100).unwrap();
    store.configuration().set(Subtree::Store, "desk.colour", "blue").map(drop).unwrap();
    store.configuration().set(Subtree::Branch(quay), "desk.rows", "8").map(drop).unwrap();
    names.extend(sessions(store, ada, bob));
    names.push(("fay.pad", session(store, fay, "pad", 6_000).token.expose().to_owned()));
    let key = store.api_keys().issue(system, NewApiKey::new()).unwrap();
    names.extend([("key", key.key.expose().to_owned()), ("key.id", key.id.to_string())]);
    let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    names.push(("ada.key", key.key.expose().to_owned()));
    let guest = NewUser::person("guest").email("guest@example.com").status(UserStatus::Pending);
    let guest = create(guest);
    let day = NewOneTimeToken::password_reset().lifetime(Duration::from_secs(86_400));
    for (name, user, new) in [
        ("ada.reset", ada, day),
        (PENDING, ada, NewOneTimeToken::email_confirmation()),
        ("guest.invitation", guest, NewOneTimeToken::invitation()),
    ] {
        let issued = store.one_time_tokens().issue(user, new).unwrap();
        names.push((name, issued.token.expose().to_owned()));
    }
    let first = store.one_time_tokens().issue_first_administrator().unwrap();
    names.push(("first_administrator", first.token.expose().to_owned()));
    store.users().grant_administration(bob, quay).map(drop).unwrap();
    store.external_identities().link(ada, ISSUER, "7").map(drop).unwrap();
    store.audit().record(&[HostEvent::new("scene.set").unwrap()]).unwrap();
    names
}

/// What waits for a code for some minutes: an enrolment in a session, and logins on [`DOOR`]. And a
/// device that is trusted.
fn waiting(store: &Store, names: &Named) -> Named {
    let factors = store.second_factors();
    let trusted = LoginRequest::new("fay", PASSWORD.into(), device("trusted"));
    // The code of the step before, so that the present one is still good.
    let trusted = trusted.code(code(FACTOR, -1)).trust_device(Duration::from_secs(86_400));
    drop(store.log_in(trusted).unwrap().granted().unwrap());
    let id = |name: &str| -> UserId {
        names.iter().find(|(other, _)| *other == name).unwrap().1.parse().unwrap()
    };
    // Proved lately, as an enrolment and a reset need it.
    let [cab, cart] = [("bob", "cab"), ("spare", "cart")]
        .map(|(name, on)| session(store, id(name), on, 6_000).token.expose().to_owned());
    let enrolled = factors.enrol((&cab, &device("cab")), NewTotp::new()).unwrap();
    let of_bob = enrolled.done().unwrap().base32;
    let step = |name: &str| {
        let login = LoginRequest::new(name, PASSWORD.into(), device(DOOR));
        let LoginOutcome::Pending(step) = store.log_in(login).unwrap() else { panic!("{name}") };
        step.token.expose().to_owned()
    };
    let of_fay = step("fay");
    store.change_options(|options| options.second_factor(SecondFactorPolicy::All)).unwrap();
    let (of_ada, of_carl) = (step("ada"), step("carl"));
    store.change_options(|options| options.second_factor(SecondFactorPolicy::Optional)).unwrap();
    let enrolled = factors.enrol_at_login(&of_ada, &device(DOOR), NewTotp::new()).unwrap();
    let by_ada = enrolled.done().unwrap().base32;
    vec![
        ("bob.cab", cab),
        ("spare.cart", cart),
        ("bob.secret", of_bob.expose().to_owned()),
        ("ada.secret", by_ada.expose().to_owned()),
        ("fay.step", of_fay),
        ("ada.step", of_ada),
        ("carl.step", of_carl),
    ]
}

fn say(voice: &Voice, names: &Named) {
    for (name, value) in names {
        voice.say(format_args!("{name} {value}"));
    }
}

fn sessions(store: &Store, ada: UserId, bob: UserId) -> Named {
    let till = session(store, ada, "till", 6_000);
    let desk = session(store, ada, "desk", 6_000);
    let van = session(store, bob, "van", 6_000);
    let ended = session(store, ada, "ended", 6_000);
    let expired = session(store, bob, "expired", 30);
    assert_eq!(store.sessions().revoke(ended.id).unwrap(), Ended::Now);
    assert_eq!(
        store.sessions().set_data_json(till.id, "{\"page\": 1}", Version::NONE).unwrap().as_u64(),
        1
    );
    vec![
        ("ada.till.id", till.id.to_string()),
        ("ada.desk.id", desk.id.to_string()),
        ("ada.till", till.token.expose().to_owned()),
        ("ada.desk", desk.token.expose().to_owned()),
        ("bob.van", van.token.expose().to_owned()),
        ("ada.ended", ended.token.expose().to_owned()),
        ("bob.expired", expired.token.expose().to_owned()),
    ]
}

fn session(store: &Store, user: UserId, on: &str, minutes: u64) -> OpenedSession {
    let begun: Timestamp = BEGUN.parse().unwrap();
    let ends = begun + Duration::from_secs(60 * minutes);
    // A user with a second factor has proved it.
    let has_factor = store.second_factors().info(user).unwrap().is_some();
    let assurance = if has_factor { Assurance::Aal2 } else { Assurance::Aal1 };
    let open = OpenSession::new(user, device(on)).expires_at(ends).assurance(assurance);
    store.sessions().open(open).unwrap().granted().unwrap().session
}

/// A cost that any store accepts, with so many passes.
pub(crate) fn dear(passes: u32) -> Cost {
    Cost::new(19_456, passes, 1).unwrap()
}

fn bob(store: &Store) -> UserId {
    store.users().find_by_username("bob").unwrap().unwrap().id
}
