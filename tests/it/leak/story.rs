//! Every operation that there is, with secrets that occur nowhere else.

use std::sync::Arc;

use data_encoding::{BASE64, BASE64_NOPAD};
use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::policy::*;
use gatepost::sessions::*;
use gatepost::status::*;
use gatepost::*;

use super::needle::Needle;
use crate::world::{DAY, HOUR, MINUTE, SECOND, World, device, for_tests, morning};

pub(super) struct Story {
    pub(super) secrets: Vec<Needle>,
    /// The random 32 bytes of every token that was given out.
    pub(super) raw_secrets: Vec<Vec<u8>>,
    /// What was printed, by the name of its type.
    pub(super) prints: Vec<(String, String)>,
}

pub(super) const FIRST: &str = "plum under the bridge";
const SECOND_ONE: &str = "quince behind the mill";
pub(super) const THIRD: &str = "sloe between two walls";
const FOURTH: &str = "medlar on the doorstep";
const FIFTH: &str = "damson over the counter";
pub(super) const SEALED: &str = "cherry inside the vault";
const WRONG: &str = "gooseberry at midnight";
const REFUSED: &str = "bullace";
pub(super) const AS_NAME: &str = "greengage typed as a name";
const AS_OVERLONG_NAME: &str = "mirabelle typed as a name";
const TILL: &str = "till-of-ada-0001";
const DESK: &str = "desk-of-ada-0002";
pub(super) const PHONE: &str = "phone-of-bob-0003";

impl Story {
    pub(super) fn run(world: &World) -> Self {
        let mut story = Self { secrets: Vec::new(), raw_secrets: Vec::new(), prints: Vec::new() };
        for text in [
            FIRST,
            SECOND_ONE,
            THIRD,
            FOURTH,
            FIFTH,
            SEALED,
            WRONG,
            REFUSED,
            AS_NAME,
            AS_OVERLONG_NAME,
        ] {
            story.secrets.push(Needle::text(&format!("the password {text:?}"), text));
        }
        for text in [TILL, DESK, PHONE] {
            story.secrets.push(Needle::text(&format!("the device {text:?}"), text).printable());
        }
        story.opens(world);
        let places = story.fills_places(&world.store);
        let ada = story.creates_users(&world.store, &places);
        story.is_logged_in(world, &ada);
        story.changes_passwords(&world.store, &ada);
        story.opens_sessions(&world.store, &ada);
        story.issues_keys(&world.store, &places);
        story.uses_one_time_tokens(world);
        story.is_refused(world, &ada);
        story.is_administered(&world.store, &ada, &places);
        story.is_looked_after(world, &ada);
        story.lists_what_is_left(&world.store, &ada);
        story.speaks_with_clients(world);
        story.seals(world);
        story
    }

    fn opens(&mut self, world: &World) {
        let again = Store::open(&world.path, world.options.clone()).unwrap();
        self.held(&again);
        self.held(&world.options);
        self.held(&SessionPolicy::aal3().at_limit(SessionLimit::Refuse));
        self.held(&Options::server().breach_check(Arc::new(Nothing)));
        self.held(&Cost::recommended());
        self.held(&ChangeAtLogin::Always);
        self.held(&PasswordPolicy::nist());
        self.held(&gatepost::policy::Lockout::Permanent);
        self.held(&Options::server().dangerous());
        world.store.change_options(|options| options.audit_max_rows(2_000)).unwrap();
        self.held(&SessionLimit::EvictLeastRecentlyUsed);
        self.held(&SystemClock::default());
        self.held(&world.clock);
        self.held(&SystemRandom::default());
        self.held(&SeededRandom::new(1));
        self.shown(&RandomUnavailable::new());
        let other = world.directory().join("other.db");
        let other = Store::open(other, world.options.clone()).unwrap();
        other.close().unwrap();
        self.failed(other.users().create(NewUser::person(AS_NAME)));
        let other = Store::open(&world.path, Options::server());
        self.failed(other.map(drop));
        self.failed(Store::open(world.directory(), for_tests()).map(drop));
        self.held(&again.status());
        self.held(&again.service());
        self.held(&OpenWarning::PermissionsTightened);
        self.held(&again.status().change_signal);
        self.held(&again.status().file_state);
        self.held(&gatepost::status::CommitOutcome::Unknown);
    }

    fn fills_places(&mut self, store: &Store) -> Places {
        let north = store.organisations().create("Northern").unwrap();
        self.held(&north);
        self.shown(&north.id);
        self.held(&store.organisations());
        let york = store.branches().create("York", north.id).unwrap();
        self.held(&york);
        self.shown(&york.id);
        self.held(&store.branches());
        store.organisations().rename(north.id, "Northern Lights").unwrap();
        store.branches().rename(york.id, "Eboracum").unwrap();
        self.held(&store.organisations().find(north.id).unwrap());
        self.held(&store.branches().find(york.id).unwrap());
        let filter = OrganisationFilter::new();
        self.held(&filter);
        self.held(&store.organisations().list(&filter, Page::default()).unwrap());
        self.held(&store.organisations().iter(&filter).collect::<Vec<_>>());
        self.held(&store.organisations().count(&filter).unwrap());
        let filter = BranchFilter::new().organisation(north.id).active(true);
        self.held(&filter);
        self.held(&Page::<UserId>::first(3));
        self.held(&store.branches().list(&filter, Page::default()).unwrap());
        let gone = store.organisations().create("Gone").unwrap().id;
        store.organisations().delete(gone).unwrap();
        let gone = store.branches().create("Gone", None).unwrap().id;
        store.branches().delete(gone).unwrap();
        self.failed(store.branches().rename(gone, "Back"));

        let settings = store.configuration();
        self.held(&settings);
        self.held(&settings.set(Subtree::Store, "support.pagination", "False").unwrap());
        settings.set_if(Subtree::Branch(york.id), "support.pagination", None, "True").unwrap();
        settings.set_public("support.pagination", true).unwrap();
        self.held(&settings.get(Subtree::Store, "support.pagination").unwrap());
        self.held(&settings.list(Subtree::Store, Page::first(9)).unwrap());
        self.held(&settings.effective(None, "support.pagination").unwrap());
        self.held(&settings.effective_all(None).unwrap());
        self.held(&settings.public_for(None).unwrap());
        self.held(&Subtree::User(unknown_user()));
        settings.set(Subtree::Organisation(north.id), "theme", "dark").unwrap();
        settings.remove(Subtree::Organisation(north.id), "theme").unwrap();

        let holder = CreditHolder::Branch(york.id);
        self.held(&holder);
        self.held(&store.credits());
        store.credits().set(holder, 10).unwrap();
        store.credits().spend(holder, 3).unwrap();
        store.credits().add(holder, 1).unwrap();
        self.held(&store.credits().remaining(holder).unwrap());
        self.failed(store.credits().spend(holder, 100));
        Places { north: north.id, york: york.id }
    }

    fn creates_users(&mut self, store: &Store, places: &Places) -> User {
        let new = NewUser::person("ada")
            .email("ada@example.com")
            .branch(places.york)
            .privilege("admin")
            .password(Password::from(FIRST));
        self.held(&new);
        let ada = store.users().create(new).unwrap();
        self.held(&ada);
        self.held(&store.users());
        self.shown(&ada.id);
        self.held(&ada.status);
        self.held(&ada.kind);
        let refused = NewUser::person("eve").password(Password::from(REFUSED));
        self.failed(store.users().create(refused));
        let taken = NewUser::person("ADA").password(Password::from(SECOND_ONE));
        self.failed(store.users().create(taken));
        let system = NewUser::system("robot").password(Password::from(SECOND_ONE));
        self.failed(store.users().create(system));
        let damaged = format!("$argon2id$v=19$m=8,t=1,p=1${AS_NAME}");
        let imported = NewUser::person("eve").password_hash(damaged);
        self.held(&imported);
        self.failed(store.users().create(imported));
        self.held(&Password::from(FIRST));
        self.held(&store.users().find(ada.id).unwrap());
        self.held(&store.users().find_by_username(AS_NAME).unwrap());
        self.held(&store.users().find_by_email(AS_NAME).unwrap());
        let filter = UserFilter::new().status(UserStatus::Active).kind(UserKind::Person);
        self.held(&filter);
        self.held(&store.users().list(&filter, Page::default()).unwrap());
        ada
    }

    fn is_logged_in(&mut self, world: &World, ada: &User) {
        let store = &world.store;
        let request = LoginRequest::new("ada", Password::from(FIRST), device(TILL))
            .client(ClientKind::Desktop)
            .api_version(ApiVersion::new(1, 0))
            .label("Till 1")
            .client_info(ClientInfo::new().ip([127, 0, 0, 1]).user_agent("browser"));
        self.held(&request);
        self.held(&ClientKind::Api);
        self.held(&ClientInfo::new().ip([127, 0, 0, 1]).user_agent("browser"));
        self.shown(&ApiVersion::new(1, 0));
        let answer = store.log_in(request).unwrap();
        self.held(&answer);
        let reply = answer.granted().unwrap();
        self.gave(&reply.session.token);
        self.held(&reply);
        self.held(&reply.session);
        self.shown(&reply.session.id);
        self.held(&reply.session.token);
        self.held(&reply.profile.configuration);
        self.held(&reply.profile.credits.unwrap());
        let token = reply.session.token.expose();
        let verdict = store.verify((token, &device(TILL))).unwrap();
        self.held(&verdict);
        let principal = verdict.valid().unwrap();
        self.held(&principal);
        self.held(&principal.assurance);
        self.held(&Actor::from(&principal));
        self.held(&store.acting_as(principal));
        self.held(&store.profile(&principal).unwrap());
        let permission = store.may(&principal, "reports.write").unwrap();
        self.held(&permission);
        self.shown(&permission.granted().unwrap_err());
        self.held(&store.renew((token, &device(TILL))).unwrap());
        self.presents(token);

        let refused = store.verify((token, &device(DESK))).unwrap();
        self.held(&refused);
        self.shown(&refused.valid().unwrap_err());
        let _ = store.verify((&token.replace("gps_", "gpk_"), None)).unwrap();
        self.held(&InvalidTokenReason::ALL);

        let session = reply.session.id;
        self.held(&store.sessions());
        store.sessions().set_label(session, Some("Till 2")).unwrap();
        store.sessions().set_data_json(session, "{\"basket\": 3}", Version::NONE).unwrap();
        self.held(&store.sessions().data_json(session).unwrap());
        let data: Option<SessionData<serde_json::Value>> = store.sessions().data(session).unwrap();
        let data = data.unwrap();
        self.held(&data.version);
        store.sessions().set_data(session, &data.value, data.version).unwrap();
        self.held(&store.sessions().find(session).unwrap());
        let filter = SessionFilter::new().under(ada.id);
        self.held(&filter);
        self.held(&store.sessions().list(&filter, Page::default()).unwrap());
        self.held(&store.devices());
        self.held(&store.devices().list(ada.id).unwrap());
        assert!(store.devices().has_live_session(&device(TILL)).unwrap());
        let ended = store.log_out((token, &device(TILL))).unwrap();
        self.held(&ended);
        store.log_out((token, &device(TILL))).unwrap();
        self.failed(store.log_out((AS_NAME, &device(TILL))).map(drop));
        self.failed(store.profile(&principal));
    }

    /// What clients send in headers.
    pub(super) fn presents(&mut self, token: &str) {
        let pair = BASE64.encode(format!("{token}:{TILL}").as_bytes());
        for header in [format!("Bearer {token}"), format!("Basic {pair}")] {
            let credentials = HeaderCredentials::from_header(&header).unwrap();
            self.held(&Presented::from(&credentials));
            self.held(&credentials);
        }
        self.shown(&device(TILL).as_str().len());
        self.held(&device(TILL));
        self.failed(HeaderCredentials::from_header(&format!("Token {token}")));
        self.failed(HeaderCredentials::from_header(&format!("Basic {token}")));
        self.failed(token.parse::<SessionId>());
        self.failed(token.parse::<ApiVersion>());
        self.failed(token.parse::<AuditAnchor>());
        self.failed(DeviceId::new(&token.repeat(3)));
    }

    fn changes_passwords(&mut self, store: &Store, ada: &User) {
        store.users().require_password_change(ada.id, RevokeSessions::Keep).unwrap();
        self.held(&RevokeSessions::All);
        let login = || LoginRequest::new("ada", Password::from(FIRST), device(TILL));
        let marked = store.log_in(login()).unwrap().granted().unwrap_err();
        self.shown(&marked);
        let short = login().new_password(Password::from(REFUSED));
        self.held(&short);
        let rejected = store.log_in(short).unwrap();
        self.held(&rejected);
        self.shown(&rejected.granted().unwrap_err());
        self.held(&PasswordRule::Common);
        self.held(&ErrorClass::SignIn);
        let change = login().new_password(Password::from(SECOND_ONE));
        let session = store.log_in(change).unwrap().granted().unwrap().session;
        self.gave(&session.token);

        let token = session.token.expose();
        let change = |current: &str, new: &str| {
            let (current, new) = (Password::from(current), Password::from(new));
            store.change_password((token, &device(TILL)), current, new).unwrap()
        };
        let refused = change(WRONG, THIRD);
        self.held(&refused);
        self.shown(&refused.granted().unwrap_err());
        let _ = change(SECOND_ONE, REFUSED).granted().unwrap_err();
        let (current, new) = (Password::from(SECOND_ONE), Password::from(REFUSED));
        let rejected =
            store.change_password_and_revoke_keys((token, &device(TILL)), current, new).unwrap();
        self.held(&rejected);
        let changed = change(SECOND_ONE, THIRD);
        self.held(&changed);
        let changed = changed.granted().unwrap();
        self.held(&changed);
        self.gave(&changed.session.token);

        self.failed(store.users().set_password(ada.id, Password::from(REFUSED)));
        store.users().set_password(ada.id, Password::from(FOURTH)).unwrap();
        let phc = phc_of(FIFTH);
        self.failed(store.users().set_password_hash(ada.id, AS_NAME));
        store.users().set_password_hash(ada.id, &phc).unwrap();
    }

    fn opens_sessions(&mut self, store: &Store, ada: &User) {
        let open = OpenSession::new(ada.id, device(DESK))
            .label("Desk")
            .assurance(Assurance::Aal2)
            .client_info(ClientInfo::new().user_agent("browser"));
        self.held(&open);
        let opened = store.sessions().open(open.clone()).unwrap().granted().unwrap();
        self.gave(&opened.session.token);
        let till =
            store.log_in(LoginRequest::new("ada", Password::from(FIFTH), device(TILL))).unwrap();
        let till = till.granted().unwrap().session;
        self.gave(&till.token);
        let principal = store.verify((&till.token, &device(TILL))).unwrap().valid().unwrap();
        self.held(&principal.credential);
        self.shown(&principal.opened_at);
        store.sessions().revoke_others(&principal).unwrap();
        self.held(&store.sessions().revoke_own(&principal, till.id).unwrap());
        self.held(&store.sessions().revoke(till.id).unwrap());
        store.sessions().revoke_all(ada.id).unwrap();
        self.failed(store.sessions().revoke_others(&principal));
    }

    fn issues_keys(&mut self, store: &Store, places: &Places) {
        let robot = NewUser::system("robot").branch(places.york);
        let robot = store.users().create(robot).unwrap().id;
        let new = NewApiKey::new().label("night run");
        self.held(&new);
        let issued = store.api_keys().issue(robot, new.clone()).unwrap();
        self.gave(&issued.key);
        self.held(&issued);
        self.shown(&issued.id);
        self.failed(store.api_keys().issue(robot, new.clone()));
        let principal = store.verify((&issued.key, None)).unwrap().valid().unwrap();
        self.held(&principal);
        self.held(&Actor::from(principal));
        self.held(&principal.credential);
        self.held(&principal.opened_at);
        self.presents(issued.key.expose());
        self.makes_a_key(store, &principal);
        let rotate = || store.api_keys().rotate(issued.id, HOUR).unwrap();
        let (second, third) = (rotate(), rotate());
        [&second, &third].iter().for_each(|next| self.gave(&next.key));
        store.api_keys().revoke(second.id).unwrap();
        self.held(&store.api_keys());
        self.held(&store.api_keys().list(robot).unwrap());
        self.failed(store.log_out((&third.key, None)).map(drop));
        store.api_keys().revoke_all(robot).unwrap();
    }

    /// Passwords where a name is asked, wrong ones, and too many of them.
    fn is_refused(&mut self, world: &World, ada: &User) {
        let store = &world.store;
        let attempt = |name: &str, password: &str, on: &str| {
            store.log_in(LoginRequest::new(name, Password::from(password), device(on)))
        };
        for _ in 0..7 {
            let refused = attempt(AS_NAME, WRONG, PHONE).unwrap();
            self.held(&refused);
            self.shown(&refused.granted().unwrap_err());
        }
        let overlong = AS_OVERLONG_NAME.repeat(20);
        self.held(&LoginRequest::new(AS_NAME, Password::from(WRONG), device(PHONE)));
        self.held(&LoginRequest::new(overlong.as_str(), Password::from(WRONG), device(PHONE)));
        self.failed(attempt(&overlong, WRONG, PHONE).map(drop));
        self.failed(attempt("ada", &WRONG.repeat(200), PHONE).map(drop));
        (0..7).for_each(|_| self.held(&attempt("ada", WRONG, PHONE).unwrap()));
        self.held(&store.users().find(ada.id).unwrap());
        store.users().unlock(ada.id).unwrap();
        world.clock.advance(MINUTE);
        self.failed(store.users().create(NewUser::person(overlong.as_str())));
        self.failed(store.users().set_email(ada.id, Some(AS_NAME)));
    }

    fn is_administered(&mut self, store: &Store, ada: &User, places: &Places) {
        let users = store.users();
        let update = UserUpdate::new().first_name("Ada").description("Countess");
        self.held(&update);
        self.held(&users.update(ada.id, update).unwrap());
        users.set_privileges(ada.id, &["reports", "admin"]).unwrap();
        users.change_privileges(ada.id, &["print"], &["scan"]).unwrap();
        users.activate_locked(ada.id).unwrap();
        users.rename(ada.id, "lovelace").unwrap();
        users.set_email(ada.id, Some("lovelace@example.com")).unwrap();
        users.confirm(ada.id).unwrap();
        self.held(&users.confirm_and_remove_password(ada.id).unwrap());
        users.move_to(ada.id, None).unwrap();
        users.set_status(ada.id, UserStatus::Locked).unwrap();
        self.held(&store.log_in(LoginRequest::new(
            "lovelace",
            Password::from(FIFTH),
            device(TILL),
        )));
        users.set_status(ada.id, UserStatus::Active).unwrap();
        users.mark_compromised(ada.id).unwrap();
        users.remove_password(ada.id).unwrap();
        users.delete(ada.id).unwrap();
        users.restore(ada.id).unwrap();
        store.devices().forget(ada.id, &device(TILL)).unwrap();
        store.branches().move_to(places.york, None).unwrap();
        store.branches().set_active(places.york, false).unwrap();
        store.branches().set_active(places.york, true).unwrap();
        store.organisations().set_active(places.north, false).unwrap();
        store.sessions().revoke_all(places.york).unwrap();
        store.sessions().revoke_all(places.north).unwrap();
        store.sessions().revoke_all(Subtree::Store).unwrap();
    }

    fn is_looked_after(&mut self, world: &World, ada: &User) {
        let store = &world.store;
        let event = HostEvent::new("invoice.printed").unwrap().user(ada.id);
        let event = event.detail("number 7").unwrap().outcome(Outcome::Refused);
        self.held(&event);
        self.held(&Outcome::Done);
        self.held(&EventKind::ALL);
        store.audit().record(&[event]).unwrap();
        let filter = AuditFilter::new().user(ada.id).kind(EventKind::LoginRefused);
        self.held(&filter);
        self.held(&store.audit().list(&filter, Page::first(100)).unwrap());
        self.held(&store.audit().latest(100, &filter).unwrap());
        self.held(&store.audit().list(&AuditFilter::new(), Page::first(500)).unwrap());
        self.erases(store);
        let anchor = store.audit().anchor().unwrap();
        self.shown(&anchor);
        let found = store.audit().verify_chain(Some(&anchor)).unwrap();
        let ChainCheck::Intact { chains, .. } = found else { panic!("{found:?}") };
        self.held(&found);
        self.held(&chains);
        self.held(&chains.map(|chain| chain.source));
        world.clock.advance(2 * DAY);
        self.held(&store.maintain().unwrap());
        self.restores(world, store);

        // Something to be found once more, in a fresh log as well.
        let last = OpenSession::new(ada.id, device(DESK)).expires_at(morning() + 9 * DAY);
        let last = store.sessions().open(last).unwrap().granted().unwrap();
        self.gave(&last.session.token);
        world.clock.advance(SECOND);
        let plain = OpenSession::new(ada.id, device(TILL));
        let plain = store.sessions().open(plain).unwrap().granted().unwrap();
        self.gave(&plain.session.token);
    }

    /// One of each type that only lists have returned.
    fn lists_what_is_left(&mut self, store: &Store, ada: &User) {
        self.held(&store.audit().list(&AuditFilter::new(), Page::first(1)).unwrap()[0]);
        let filter = SessionFilter::new().under(ada.id);
        self.held(&store.sessions().list(&filter, Page::default()).unwrap()[0]);
        self.held(&store.devices().list(ada.id).unwrap()[0]);
    }
}

struct Places {
    north: OrganisationId,
    york: BranchId,
}

#[derive(Debug)]
struct Nothing;

impl BreachCheck for Nothing {
    fn is_breached(&self, _: &str) -> bool {
        false
    }
}

pub(super) fn unknown_user() -> UserId {
    "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap()
}

/// As another program would have made it, at the cost of tests.
pub(super) fn phc_of(password: &str) -> String {
    let (salt, mut output) = (*b"salt and vinegar", [0; 32]);
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(password.as_bytes(), &salt, &mut output)
        .unwrap();
    let (salt, output) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&output));
    format!("$argon2id$v=19$m=8,t=1,p=1${salt}${output}")
}
