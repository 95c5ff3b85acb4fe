//! Every row of the revocation table on a full disk: written to the reserve, or denied from memory.

use std::cell::RefCell;
use std::time::Duration;

use gatepost::sessions::{NewOneTimeToken, NewTicket, RevokeApiKeys, RevokeSessions};
use gatepost::{
    ApiKeyId, BranchId, DeviceId, LoginRequest, OrganisationId, Password, Principal, SessionId,
    Subtree,
};

use super::*;
use crate::world::{HOUR, MINUTE, PASSWORD};

const NEW: &str = "nine brass bells";
const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                   Wm1Zb3VyaGFzaHlvdXJoYXNoeW91cmhhc2h5b3VyaGE";

/// The sessions of ada, and one of ben beside her in the same branch.
const SESSIONS: [&str; 3] = ["office", "home", "ben"];
const ADAS: &[&str] = &["office", "home"];
/// What the tickets are for.
const IMAGE: &str = "/images/7";
/// The users of the API keys.
const KEYS: [&str; 2] = ["ada", "ben"];

/// A row: what is done, and what no verify may pass afterwards.
pub(super) struct Row {
    pub(super) name: &'static str,
    act: fn(&Scene) -> Result<(), Error>,
    sessions: &'static [&'static str],
    keys: &'static [&'static str],
    /// A suspended key comes back once the revocation is written without its status.
    suspends: bool,
    /// The keys are revoked after this long.
    overlap: Duration,
}

impl Row {
    /// Whether it revokes the key that it names, and no other key of the user.
    fn is_of_key(&self) -> bool {
        ["key_revoked", "key_rotated", "key_rotated_later"].contains(&self.name)
    }

    /// The sessions whose tickets it revokes: they end with their session, and with the one-time
    /// tokens of its user.
    fn tickets(&self) -> &'static [&'static str] {
        if self.is_own_password() || self.name == "tokens_revoked" { ADAS } else { self.sessions }
    }

    /// Whether the session presented goes on, with a new token.
    fn is_own_password(&self) -> bool {
        self.name.starts_with("own_password")
    }
}

const fn row(
    name: &'static str,
    act: fn(&Scene) -> Result<(), Error>,
    sessions: &'static [&'static str],
    keys: &'static [&'static str],
) -> Row {
    Row { name, act, sessions, keys, suspends: false, overlap: Duration::ZERO }
}

const fn suspending(row: Row) -> Row {
    Row { suspends: true, ..row }
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("log_out", |s| s.log_out(), &["office"], &[]),
    row("revoke", |s| s.sessions().revoke(s.id("office")).map(drop), &["office"], &[]),
    row("revoke_own",
        |s| s.sessions().revoke_own(&s.principal("home"), s.id("office")).map(drop),
        &["office"], &[]),
    row("revoke_others", |s| s.sessions().revoke_others(&s.principal("office")), &["home"], &[]),
    row("all_of_a_user", |s| s.sessions().revoke_all(s.ada), ADAS, &[]),
    row("all_of_a_branch", |s| s.sessions().revoke_all(s.york), &SESSIONS, &[]),
    row("all_of_an_organisation",
        |s| s.sessions().revoke_all(s.north), &SESSIONS, &[]),
    row("all_of_the_store", |s| s.sessions().revoke_all(Subtree::Store), &SESSIONS, &[]),
    row("device_forgotten",
        |s| s.store().devices().forget(s.ada, &device("office")).map(drop), &["office"], &[]),
    row("own_password", |s| s.change_password(false), &["home"], &[]),
    row("own_password_and_keys", |s| s.change_password(true), &["home"], &["ada"]),
    row("password_at_login", |s| s.change_at_login(false), ADAS, &[]),
    row("password_at_login_and_keys", |s| s.change_at_login(true), ADAS, &["ada"]),
    row("password_set", |s| s.users().set_password(s.ada, Password::from(NEW)), ADAS, &[]),
    row("hash_set", |s| s.users().set_password_hash(s.ada, PHC), ADAS, &[]),
    row("password_removed", |s| s.users().remove_password(s.ada).map(drop), ADAS, &[]),
    row("compromised", |s| s.users().mark_compromised(s.ada).map(drop), ADAS, &[]),
    row("change_demanded",
        |s| s.users().require_password_change(s.ada, RevokeSessions::All).map(drop), ADAS, &[]),
    suspending(row("locked", |s| s.status(UserStatus::Locked), ADAS, &["ada"])),
    suspending(row("disabled", |s| s.status(UserStatus::Disabled), ADAS, &["ada"])),
    suspending(row("made_pending", |s| s.status(UserStatus::Pending), ADAS, &["ada"])),
    row("deleted", |s| s.users().delete(s.ada), ADAS, &["ada"]),
    row("first_confirmed_without_password",
        |s| s.users().confirm_and_remove_password(s.ada).map(drop), ADAS, &["ada"]),
    row("reset", |s| s.reset(), ADAS, &["ada"]),
    row("tokens_revoked", |s| s.store().one_time_tokens().revoke_all(s.ada), &[], &[]),
    row("first_confirmed", |s| s.users().confirm(s.ada).map(drop), ADAS, &["ada"]),
    suspending(row("branch_disabled",
        |s| s.store().branches().set_active(s.york, false).map(drop), &SESSIONS, &KEYS)),
    suspending(row("organisation_disabled",
        |s| s.store().organisations().set_active(s.north, false).map(drop), &SESSIONS, &KEYS)),
    row("key_revoked", |s| s.store().api_keys().revoke(s.key), &[], &["ada"]),
    row("keys_revoked", |s| s.store().api_keys().revoke_all(s.ada), &[], &["ada"]),
    row("key_rotated", |s| s.rotate(Duration::ZERO), &[], &["ada"]),
    Row { overlap: HOUR, ..row("key_rotated_later", |s| s.rotate(HOUR), &[], &["ada"]) },
];

pub(super) struct Scene {
    disk: Disk,
    north: OrganisationId,
    york: BranchId,
    ada: UserId,
    key: ApiKeyId,
    /// Name, handle and token.
    opened: Vec<(&'static str, SessionId, String)>,
    keys: Vec<(&'static str, String)>,
    /// Keys that were made from a session or key, by its name.
    made: Vec<(&'static str, String)>,
    /// A ticket of each session.
    tickets: Vec<(&'static str, String)>,
    /// A one-time token of ada's.
    reset: String,
    /// The token or key that the row has given out, and its device.
    given: RefCell<Option<(String, Option<DeviceId>)>>,
}

impl Scene {
    fn new(disk: Disk) -> Result<Self, Error> {
        let store = &disk.store;
        let north = store.organisations().create("Northern")?.id;
        let york = store.branches().create("York", north)?.id;
        let person = |name| {
            let new = NewUser::person(name).branch(york).password(Password::from(PASSWORD));
            store.users().create(new).map(|user| user.id)
        };
        let (ada, ben) = (person("ada")?, person("ben")?);
        let mut opened = Vec::new();
        for (name, user) in [("office", ada), ("home", ada), ("ben", ben)] {
            let reply = store.sessions().open(OpenSession::new(user, device(name)))?;
            let session = reply.granted().unwrap().session;
            opened.push((name, session.id, session.token.expose().to_owned()));
        }
        let of_ada = store.api_keys().issue(ada, NewApiKey::new())?;
        let of_ben = store.api_keys().issue(ben, NewApiKey::new())?;
        let key = of_ada.id;
        let reset = store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset())?;
        let reset = reset.token.expose().to_owned();
        let keys = vec![("ada", of_ada.key.expose().into()), ("ben", of_ben.key.expose().into())];
        let (made, tickets) = (Vec::new(), Vec::new());
        let given = RefCell::default();
        let mut scene =
            Self { disk, north, york, ada, key, opened, keys, made, tickets, reset, given };
        let names = SESSIONS.iter().chain(&KEYS[..1]);
        scene.made = names.map(|name| scene.make(name)).collect::<Result<_, _>>()?;
        let tickets = SESSIONS.iter().map(|name| scene.mint(name));
        scene.tickets = tickets.collect::<Result<_, _>>()?;
        Ok(scene)
    }

    /// A key made from a session or key, and a key made from that one.
    fn make(&self, name: &'static str) -> Result<(&'static str, String), Error> {
        let keys = self.store().api_keys();
        let parent = match name {
            "ada" => self.verified(&self.keys[0].1, None),
            _ => self.verified(self.token(name), Some(&device(name))),
        };
        let first = keys.attenuate(&parent, NewApiKey::new())?;
        let second = keys.attenuate(&self.verified(first.key.expose(), None), NewApiKey::new())?;
        Ok((name, second.key.expose().to_owned()))
    }

    fn mint(&self, name: &'static str) -> Result<(&'static str, String), Error> {
        let new = NewTicket::new("GET", IMAGE).lifetime(5 * MINUTE);
        let minted = self.store().tickets().mint(&self.principal(name), new)?;
        Ok((name, minted.valid().unwrap().ticket.expose().to_owned()))
    }

    fn verified(&self, token: &str, on: Option<&DeviceId>) -> Principal {
        self.store().verify((token, on)).unwrap().valid().unwrap()
    }

    fn store(&self) -> &Store {
        &self.disk.store
    }

    fn users(&self) -> gatepost::directory::Users<'_> {
        self.disk.store.users()
    }

    fn sessions(&self) -> gatepost::sessions::Sessions<'_> {
        self.disk.store.sessions()
    }

    fn id(&self, name: &str) -> SessionId {
        self.opened.iter().find(|(other, ..)| *other == name).unwrap().1
    }

    fn token(&self, name: &str) -> &str {
        &self.opened.iter().find(|(other, ..)| *other == name).unwrap().2
    }

    fn principal(&self, name: &str) -> Principal {
        self.verified(self.token(name), Some(&device(name)))
    }

    fn log_out(&self) -> Result<(), Error> {
        self.store().log_out((self.token("office"), &device("office"))).map(drop)
    }

    fn status(&self, status: UserStatus) -> Result<(), Error> {
        self.users().set_status(self.ada, status).map(drop)
    }

    /// A later login shows whether the password was changed.
    fn change_password(&self, and_keys: bool) -> Result<(), Error> {
        let (current, new) = (Password::from(PASSWORD), Password::from(NEW));
        let (token, device, store) = (self.token("office"), device("office"), self.store());
        let answer = if and_keys {
            store.change_password_and_revoke_keys((token, &device), current, new)?
        } else {
            store.change_password((token, &device), current, new)?
        };
        let token = answer.granted().unwrap().session.token;
        *self.given.borrow_mut() = Some((token.expose().to_owned(), Some(device)));
        Ok(())
    }

    fn reset(&self) -> Result<(), Error> {
        let (tokens, new) = (self.store().one_time_tokens(), Password::from(NEW));
        // Once it is denied, the token is revoked like the rest.
        tokens.reset_password(&self.reset, new, RevokeApiKeys::All).map(drop)
    }

    fn rotate(&self, overlap: Duration) -> Result<(), Error> {
        let key = self.store().api_keys().rotate(self.key, overlap)?.key;
        *self.given.borrow_mut() = Some((key.expose().to_owned(), None));
        Ok(())
    }

    fn change_at_login(&self, and_keys: bool) -> Result<(), Error> {
        let on = device("elsewhere");
        let request = LoginRequest::new("ada", Password::from(PASSWORD), on.clone());
        let request = request.new_password(Password::from(NEW));
        let request = if and_keys { request.revoke_api_keys() } else { request };
        let answer = self.store().log_in(request)?;
        let token = answer.granted().unwrap().session.token;
        *self.given.borrow_mut() = Some((token.expose().to_owned(), Some(on)));
        Ok(())
    }

    /// The token that the row has given out is valid, also after the denial is written.
    #[track_caller]
    fn check_given(&self, store: &Store, name: &str) {
        if let Some((token, device)) = &*self.given.borrow() {
            let verdict = store.verify((token, device.as_ref())).unwrap();
            assert!(verdict.valid().is_ok(), "{name}: what was given out is refused");
        }
    }

    /// What passes now: the sessions, then the keys.
    fn passing(&self, store: &Store) -> (Vec<&'static str>, Vec<&'static str>) {
        let passes = |token: &str, device: Option<&DeviceId>| {
            store.verify((token, device)).unwrap().valid().is_ok()
        };
        let sessions = self.opened.iter();
        let sessions = sessions.filter(|(name, _, token)| passes(token, Some(&device(name))));
        let keys = self.keys.iter().filter(|(_, token)| passes(token, None));
        (sessions.map(|(name, ..)| *name).collect(), keys.map(|(name, _)| *name).collect())
    }

    /// Whether the tickets pass that the row leaves alone, and no others, in the process that has
    /// minted them.
    #[track_caller]
    fn check_tickets(&self, row: &Row) {
        for (name, ticket) in &self.tickets {
            let verdict = self.store().tickets().verify(ticket, "GET", IMAGE).unwrap();
            let (passes, ends) = (verdict.valid().is_ok(), row.tickets().contains(name));
            assert_eq!(passes, !ends, "{}: a ticket of {name}", row.name);
        }
    }

    /// Each session or key that the row ended is explained by a row of the log, also where the
    /// revocation was written late and without the rest of the call.
    #[track_caller]
    fn check_explained(&self, store: &Store, row: &Row, keys: &[&str]) {
        let check = |token: &str, device: Option<&DeviceId>| {
            let why = store.explain((token, device)).unwrap();
            assert!(why.evidence.row().is_some(), "{}: {why:?}", row.name);
        };
        for (name, _, token) in &self.opened {
            if row.sessions.contains(name) {
                check(token, Some(&device(name)));
            }
        }
        for (_, token) in self.keys.iter().filter(|(name, _)| keys.contains(name)) {
            check(token, None);
        }
        for (_, token) in self.made.iter().filter(|(name, _)| row.sessions.contains(name)) {
            check(token, None);
        }
    }

    #[track_caller]
    fn check(&self, store: &Store, row: &Row, keys: &[&str], changed: bool) {
        let rest = |all: &[&'static str], revoked: &[&str]| -> Vec<&'static str> {
            all.iter().filter(|name| !revoked.contains(name)).copied().collect()
        };
        // A changed password gives the session in hand a new token.
        let renewed: &[&str] = if changed && row.is_own_password() { ADAS } else { &[] };
        let revoked = [row.sessions, renewed].concat();
        let expected = (rest(&SESSIONS, &revoked), rest(&KEYS, keys));
        assert_eq!(self.passing(store), expected, "{}", row.name);
        // A key ends with what it was made from. A session that goes on with a new token keeps it.
        let ends = |name: &str| match name {
            "ada" => keys.contains(&"ada"),
            "ben" => row.sessions.contains(&"ben") || keys.contains(&"ben"),
            _ => row.sessions.contains(&name) || keys.contains(&"ada") && !row.is_of_key(),
        };
        for (name, token) in &self.made {
            let passes = store.verify((token, None)).unwrap().valid().is_ok();
            // Revoked with the session although the status was not written.
            assert_eq!(passes, !ends(name), "{}: a key made from {name}", row.name);
        }
    }
}

/// What is left on the disk for a revocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The room that the log keeps after a checkpoint.
    Log,
    /// The reserve alone: another program's snapshot keeps the log from being begun again.
    Reserve,
    Nothing,
}

/// Plays one row: it is written, or denied from memory and written as soon as there is room.
pub(super) fn play(disk: Disk, name: &str, left: Left, then: Then) -> Result<(), Error> {
    let row = ROWS.iter().find(|row| row.name == name).unwrap();
    let scene = Scene::new(disk)?;
    scene.disk.fill();
    scene.disk.write_until_refused();
    let reader = (left != Left::Log).then(|| scene.disk.old_snapshot());
    // The reserve is not for the charge of a password that is yet to be proven, and a login that
    // is not charged may not even use the log.
    let is_written = match name {
        "password_at_login" | "password_at_login_and_keys" => false,
        _ if row.is_own_password() => left == Left::Log,
        _ => left != Left::Nothing,
    };

    let answer = (row.act)(&scene);
    match &answer {
        Ok(()) => assert!(is_written, "{name}"),
        Err(error) => assert!(!is_written && error.kind() == ErrorKind::Full, "{name}: {error}"),
    }
    if !name.starts_with("password_at_login") {
        scene.check_tickets(row);
    }
    scene.disk.clock.advance(row.overlap);
    if name.starts_with("password_at_login") {
        // An attempt that could not be charged was not checked, so it proved nothing.
        scene.check(scene.store(), &Row { sessions: &[], ..*row }, &[], false);
        return Ok(());
    }
    assert_eq!(scene.store().status().denied, usize::from(left == Left::Nothing), "{name}");
    scene.check(scene.store(), row, row.keys, is_written);
    drop(reader);
    match then {
        Then::AnotherWrite => written_later(&scene, row, is_written),
        Then::TheSameAgain => done_again(&scene, row, is_written),
    }
    Ok(())
}

/// What is done once there is room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    AnotherWrite,
    TheSameAgain,
}

/// The caller tries again, and gets what it asked for: what was denied is written first, and
/// revokes nothing that is given out now.
fn done_again(scene: &Scene, row: &Row, is_written: bool) {
    scene.disk.make_room();
    if !is_written {
        // The denial is written before the call: a key that it revoked is not rotated.
        let is_gone = matches!(row.name, "key_revoked" | "key_rotated" | "key_rotated_later");
        let expected = if is_gone { Err(ErrorKind::NotFound) } else { Ok(()) };
        assert_eq!((row.act)(scene).map_err(|error| error.kind()), expected, "{}", row.name);
    }
    scene.check_given(scene.store(), row.name);
    scene.store().organisations().create("Southern").unwrap();
    assert_eq!(scene.store().status().denied, 0, "{}", row.name);
    scene.disk.clock.advance(row.overlap);
    scene.check_given(scene.store(), row.name);
    let renewed = row.is_own_password();
    scene.check(scene.store(), row, row.keys, renewed);
    scene.check_explained(scene.store(), row, row.keys);
    scene.store().close().unwrap();
}

fn written_later(scene: &Scene, row: &Row, is_written: bool) {
    scene.disk.make_room();
    scene.store().organisations().create("Southern").unwrap();
    assert_eq!(scene.store().status().denied, 0, "{}", row.name);
    let keys = if row.suspends && !is_written { &[] } else { row.keys };
    scene.check(scene.store(), row, keys, is_written);
    if row.overlap.is_zero() {
        // Otherwise they have expired.
        scene.check_tickets(row);
    }
    // The file says the same, and not this process alone.
    scene.store().close().unwrap();
    let path = scene.disk.directory.join("auth.db");
    let store = Store::open(path, scene.disk.options.clone()).unwrap();
    scene.check(&store, row, keys, is_written);
    scene.check_explained(&store, row, keys);
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    if row.is_own_password() {
        let log_in = |password| {
            store
                .log_in(LoginRequest::new("ada", Password::from(password), device("new")))
                .unwrap()
        };
        assert_eq!(log_in(PASSWORD).granted().is_ok(), !is_written);
        assert_eq!(log_in(NEW).granted().is_ok(), is_written);
    }
    store.close().unwrap();
}
