//! Two users with sessions, keys and tickets; one also with a second factor, a trusted device and a
//! login that waits.

use std::cell::RefCell;

use gatepost::directory::UserStatus;
use gatepost::host::Clock;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{Assurance, NewApiKey, NewOneTimeToken, NewTicket, OpenSession};
use gatepost::{
    ApiKeyId, BranchId, CompleteLogin, DeviceId, Error, LoginRefusal, LoginRequest, NewUser,
    OrganisationId, Password, Principal, SessionId, Store, UserId,
};

use super::super::Disk;
use super::{Row, is_trust_of_all};
use crate::pending_step::{STEP, code_at, give_factor_to, pending};
use crate::second_factor::SECRET;
use crate::second_factor::authenticator::Authenticator;
use crate::world::{DAY, MINUTE, PASSWORD, device};

pub(super) const NEW: &str = "nine brass bells";

/// The sessions of ada, and one of ben beside her in the same branch.
pub(super) const SESSIONS: [&str; 3] = ["office", "home", "ben"];
pub(super) const ADAS: &[&str] = &["office", "home"];
/// What the tickets are for.
const IMAGE: &str = "/images/7";
/// The users of the API keys.
pub(super) const KEYS: [&str; 2] = ["ada", "ben"];
/// Ada's device that is trusted, and the one on which a login of hers waits.
const TRUSTED: &str = "trusted";
const WAITING: &str = "waiting";

pub(super) struct Scene {
    pub(super) disk: Disk,
    pub(super) north: OrganisationId,
    pub(super) york: BranchId,
    pub(super) ada: UserId,
    pub(super) key: ApiKeyId,
    /// Name, handle and token.
    opened: Vec<(&'static str, SessionId, String)>,
    keys: Vec<(&'static str, String)>,
    /// Keys that were made from a session or key, by its name.
    made: Vec<(&'static str, String)>,
    /// A ticket of each session.
    tickets: Vec<(&'static str, String)>,
    /// Ada's second factor, if she has one.
    factor: Option<Factor>,
    /// What a new authenticator of hers shows, if one waits to be confirmed.
    next: Option<Authenticator>,
    /// The one-time token of ada's that the row presents; a password reset, if it presents none.
    one_time: String,
    /// The token or key that the row has given out, and its device.
    given: RefCell<Option<(String, Option<DeviceId>)>>,
}

/// What goes with a second factor in force.
struct Factor {
    recovery_code: String,
    /// The token of the login that waits.
    step: String,
}

impl Scene {
    /// Ada has a second factor only where the disk will have no room at all, and what was denied is
    /// written late. Elsewhere the log is moved into the file, which must not have to grow for it.
    pub(super) fn new(disk: Disk, row: &Row, has_factor: bool) -> Result<Self, Error> {
        let store = &disk.store;
        let north = store.organisations().create("Northern")?.id;
        let york = store.branches().create("York", north)?.id;
        let person = |name: &str| {
            let new = NewUser::person(name).email(format!("{name}@example.com")).branch(york);
            store.users().create(new.password(Password::from(PASSWORD))).map(|user| user.id)
        };
        let (ada, ben) = (person("ada")?, person("ben")?);
        if row.operation.ends_with("(again)") {
            store.users().confirm(ada)?;
        }
        let factor = if has_factor { Some(Factor::new(&disk, ada)?) } else { None };
        let mut opened = Vec::new();
        for (name, user) in [("office", ada), ("home", ada), ("ben", ben)] {
            let level = if has_factor { Assurance::Aal2 } else { Assurance::Aal1 };
            let open = OpenSession::new(user, device(name)).assurance(level);
            let session = store.sessions().open(open)?.granted().unwrap().session;
            opened.push((name, session.id, session.token.expose().to_owned()));
        }
        let of_ada = store.api_keys().issue(ada, NewApiKey::new())?;
        let of_ben = store.api_keys().issue(ben, NewApiKey::new())?;
        let key = of_ada.id;
        let keys = vec![("ada", of_ada.key.expose().into()), ("ben", of_ben.key.expose().into())];
        let (made, tickets, next) = (Vec::new(), Vec::new(), None);
        let (one_time, given) = (String::new(), RefCell::default());
        let mut scene = Self {
            disk,
            north,
            york,
            ada,
            key,
            opened,
            keys,
            made,
            tickets,
            factor,
            next,
            one_time,
            given,
        };
        let names = SESSIONS.iter().chain(&KEYS[..1]);
        scene.made = names.map(|name| scene.make(name)).collect::<Result<_, _>>()?;
        let tickets = SESSIONS.iter().map(|name| scene.mint(name));
        scene.tickets = tickets.collect::<Result<_, _>>()?;
        scene.prepare(row)?;
        Ok(scene)
    }

    /// Brings ada to where the operation of the row can be called.
    fn prepare(&mut self, row: &Row) -> Result<(), Error> {
        let new = match row.operation.split('(').next() {
            Some("OneTimeTokens::confirm_email") => NewOneTimeToken::email_confirmation(),
            Some("OneTimeTokens::accept_invitation") => NewOneTimeToken::invitation(),
            _ if row.operation == "Store::log_in(temporary password)" => {
                NewOneTimeToken::temporary_password()
            }
            _ => NewOneTimeToken::password_reset(),
        };
        if row.is_invitation() {
            self.status(UserStatus::Pending)?;
        }
        if row.operation == "SecondFactors::confirm(replacement)" {
            let (token, on) = (self.token("office"), device("office"));
            let (password, code) = (PASSWORD.into(), self.code().into());
            let factors = self.store().second_factors();
            let begun = factors.replace((token, &on), password, code, NewTotp::new())?;
            self.next = Some(Authenticator::scan(&begun.done().unwrap()));
            self.disk.clock.advance(STEP);
        }
        let issued = self.store().one_time_tokens().issue(self.ada, new)?;
        issued.token.expose().clone_into(&mut self.one_time);
        Ok(())
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

    pub(super) fn store(&self) -> &Store {
        &self.disk.store
    }

    pub(super) fn users(&self) -> gatepost::directory::Users<'_> {
        self.disk.store.users()
    }

    pub(super) fn sessions(&self) -> gatepost::sessions::Sessions<'_> {
        self.disk.store.sessions()
    }

    pub(super) fn id(&self, name: &str) -> SessionId {
        self.opened.iter().find(|(other, ..)| *other == name).unwrap().1
    }

    fn token(&self, name: &str) -> &str {
        &self.opened.iter().find(|(other, ..)| *other == name).unwrap().2
    }

    pub(super) fn principal(&self, name: &str) -> Principal {
        self.verified(self.token(name), Some(&device(name)))
    }

    /// What ada's authenticator shows.
    fn code(&self) -> String {
        code_at(self.disk.clock.now())
    }
}

/// The operations of the rows that take more than a line.
impl Scene {
    pub(super) fn log_out(&self) -> Result<(), Error> {
        self.store().log_out((self.token("office"), &device("office"))).map(drop)
    }

    pub(super) fn status(&self, status: UserStatus) -> Result<(), Error> {
        self.users().set_status(self.ada, status).map(drop)
    }

    /// A later login shows whether the password was changed.
    pub(super) fn change_password(&self, and_keys: bool) -> Result<(), Error> {
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

    pub(super) fn reset(&self, keys: gatepost::sessions::RevokeApiKeys) -> Result<(), Error> {
        // Once it is denied, the token is revoked like the rest.
        self.store().one_time_tokens().reset_password(&self.one_time, NEW.into(), keys).map(drop)
    }

    pub(super) fn confirm_email(&self) -> Result<(), Error> {
        self.store().one_time_tokens().confirm_email(&self.one_time).map(drop)
    }

    pub(super) fn accept_invitation(&self) -> Result<(), Error> {
        self.store().one_time_tokens().accept_invitation(&self.one_time, NEW.into()).map(drop)
    }

    pub(super) fn rotate(&self, overlap: std::time::Duration) -> Result<(), Error> {
        let key = self.store().api_keys().rotate(self.key, overlap)?.key;
        *self.given.borrow_mut() = Some((key.expose().to_owned(), None));
        Ok(())
    }

    pub(super) fn change_at_login(&self, and_keys: bool) -> Result<(), Error> {
        let request = self.login(PASSWORD).new_password(Password::from(NEW));
        self.log_in(if and_keys { request.revoke_api_keys() } else { request })
    }

    pub(super) fn log_in_by_temporary_password(&self) -> Result<(), Error> {
        self.log_in(self.login(&self.one_time).new_password(Password::from(NEW)))
    }

    pub(super) fn log_in_by_recovery_code(&self) -> Result<(), Error> {
        let code = self.factor.as_ref().unwrap().recovery_code.as_str();
        self.log_in(self.login(PASSWORD).recovery_code(code))
    }

    fn login(&self, password: &str) -> LoginRequest {
        LoginRequest::new("ada", Password::from(password), device("elsewhere"))
    }

    fn log_in(&self, request: LoginRequest) -> Result<(), Error> {
        let token = self.store().log_in(request)?.granted().unwrap().session.token;
        *self.given.borrow_mut() = Some((token.expose().to_owned(), Some(device("elsewhere"))));
        Ok(())
    }

    pub(super) fn import_factor(&self) -> Result<(), Error> {
        let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
        self.store().second_factors().import(self.ada, secret, NewTotp::new())
    }

    pub(super) fn confirm_factor(&self) -> Result<(), Error> {
        let (token, on, now) = (self.token("office"), device("office"), self.disk.clock.now());
        let next = self.next.as_ref().unwrap();
        let [first, second] = [-1, 0].map(|later| next.code(now, later));
        let confirmed = self.store().second_factors().confirm((token, &on), first, second)?;
        drop(confirmed.done().unwrap());
        Ok(())
    }

    pub(super) fn remove_factor(&self) -> Result<(), Error> {
        let (token, on) = (self.token("office"), device("office"));
        let (password, code) = (PASSWORD.into(), self.code().into());
        let removed = self.store().second_factors().remove((token, &on), password, code)?;
        removed.done().unwrap();
        Ok(())
    }

    pub(super) fn reissue_codes(&self) -> Result<(), Error> {
        let (token, on) = (self.token("office"), device("office"));
        let (password, code) = (PASSWORD.into(), self.code().into());
        let factors = self.store().second_factors();
        let reissued = factors.reissue_recovery_codes((token, &on), password, code)?;
        drop(reissued.done().unwrap());
        Ok(())
    }
}

/// What is revoked, and what is not.
impl Scene {
    /// The token that the row has given out is valid, also after the denial is written.
    #[track_caller]
    pub(super) fn check_given(&self, store: &Store, name: &str) {
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
    pub(super) fn check_tickets(&self, row: &Row) {
        for (name, ticket) in &self.tickets {
            let verdict = self.store().tickets().verify(ticket, "GET", IMAGE).unwrap();
            let (passes, ends) = (verdict.valid().is_ok(), row.tickets().contains(name));
            assert_eq!(passes, !ends, "{}: a ticket of {name}", row.name);
        }
    }

    /// Whether the row revoked the trust of ada's device and the login of hers that waits, and only
    /// what it has to. Completes that login, so it comes last.
    #[track_caller]
    pub(super) fn check_trust_and_step(&self, store: &Store, row: &Row) {
        let Some(factor) = self.factor.as_ref().filter(|_| row.overlap.is_zero()) else { return };
        let operation = row.operation();
        let known = store.devices().list(self.ada).unwrap();
        let handle = device(TRUSTED).handle();
        let is_trusted =
            known.iter().any(|one| one.handle == handle && one.trusted_until.is_some());
        assert_eq!(is_trusted, !is_trust_of_all(operation), "{}: trust", row.name);
        self.disk.clock.advance(STEP);
        let request = CompleteLogin::with_code(factor.step.as_str(), device(WAITING), self.code());
        let answer = store.complete_login(request).unwrap().granted();
        let is_revoked = answer.err() == Some(LoginRefusal::StepNotLive);
        assert_eq!(is_revoked, operation.tokens, "{}: the login that waits", row.name);
    }

    /// Each session or key that the row ended is explained by a row of the log, also where the
    /// revocation was written late and without the rest of the call.
    #[track_caller]
    pub(super) fn check_explained(&self, store: &Store, row: &Row, keys: &[&str]) {
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
    pub(super) fn check(&self, store: &Store, row: &Row, keys: &[&str], changed: bool) {
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

impl Factor {
    /// Gives ada a factor, lets her trust a device with it, and leaves a login of hers to wait.
    fn new(disk: &Disk, ada: UserId) -> Result<Self, Error> {
        let (store, clock) = (&disk.store, &disk.clock);
        give_factor_to(store, clock, ada)?;
        let desk = device("desk");
        let open = OpenSession::new(ada, desk.clone()).assurance(Assurance::Aal2);
        let session = store.sessions().open(open)?.granted().unwrap().session;
        let (presented, code) = ((&session.token, &desk), code_at(clock.now()));
        let factors = store.second_factors();
        let codes = factors.reissue_recovery_codes(presented, PASSWORD.into(), code.into())?;
        let recovery_code = codes.done().unwrap().codes[0].expose().to_owned();
        let _ = store.log_out(presented)?;
        clock.advance(STEP);

        let login = |on| LoginRequest::new("ada", PASSWORD.into(), device(on));
        let trusting = login(TRUSTED).code(code_at(clock.now())).trust_device(DAY);
        let trusted = store.log_in(trusting)?.granted().unwrap().session;
        let _ = store.log_out((&trusted.token, &device(TRUSTED)))?;
        clock.advance(STEP);
        let step = pending(store.log_in(login(WAITING))?).token.expose().to_owned();
        Ok(Self { recovery_code, step })
    }
}
