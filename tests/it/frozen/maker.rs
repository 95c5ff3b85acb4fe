//! Makes the file: at one time, from one seed, so that it changes only when the format does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::second_factors::*;
use gatepost::sessions::*;
use gatepost::*;

use crate::keyring::keys;
use crate::second_factor::authenticator::Authenticator;
use crate::world::{device, for_tests, morning};

/// The key that seals the hashes: its id, and the byte that it is made of.
pub(super) const KEY: &[(&str, u8)] = &[("2026-01", 7)];
pub(super) const ADA_PASSWORD: &str = "lantern over wet slate";
pub(super) const BOB_PASSWORD: &str = "heron beside the weir";
pub(super) const KIM_PASSWORD: &str = "an umbrella in august";
pub(super) const LEA_PASSWORD: &str = "a lark above the lock";
pub(super) const MIA_PASSWORD: &str = "kettle under the stair";
/// Of another system, and its password.
pub(super) const MAX_HASH: &str = "$2a$05$j301IvBAgpY/1IqNoeADUuSbqhBpVaoTeQNy54xo8RFIm0rpmueh.";
pub(super) const MAX_PASSWORD: &str = "till and tally";
pub(super) const ATTRIBUTES: &str = "{\"badge\":42}";
/// How long the device of lea is trusted.
pub(super) const TRUST: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);
/// As many as are evaluated before the next login has to wait.
pub(super) const FAILURES: u64 = 5;

/// The secrets that are not in the file.
pub(super) struct Known {
    pub(super) session: String,
    pub(super) ended_session: String,
    pub(super) api_key: String,
    /// Made from the other key.
    pub(super) made_key: String,
    pub(super) one_time: String,
    pub(super) totp_secret: String,
    pub(super) recovery_code: String,
    pub(super) pending_step: String,
    pub(super) anchor: String,
}

impl Known {
    fn write(&self, path: &Path) {
        let Self { session, ended_session, api_key, made_key, one_time, .. } = self;
        let Self { totp_secret, recovery_code, pending_step, anchor, .. } = self;
        let lines = [session, ended_session, api_key, made_key, one_time];
        let lines = lines.into_iter().chain([totp_secret, recovery_code, pending_step, anchor]);
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(path, lines).unwrap();
    }

    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap();
        Self {
            session: next(),
            ended_session: next(),
            api_key: next(),
            made_key: next(),
            one_time: next(),
            totp_secret: next(),
            recovery_code: next(),
            pending_step: next(),
            anchor: next(),
        }
    }
}

/// Makes both files in that folder, in place of older ones, and returns the path of the store.
pub(super) fn make(folder: &Path) -> PathBuf {
    let file = folder.join("version_1.sqlite");
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let options = for_tests()
        .clock(Arc::new(ManualClock::new(morning())))
        .random_source(Arc::new(SeededRandom::new(7)))
        .keyring(keys(KEY));
    let store = Store::open(&file, options).unwrap();
    fill(&store).write(&file.with_extension("secrets"));
    gatepost::testing::believe_clock(&store).unwrap();
    store.close().unwrap();
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    sql.close().unwrap();
    file
}

fn fill(store: &Store) -> Known {
    let north = store.organisations().create("North").unwrap().id;
    let york = store.branches().create("York", north).unwrap().id;
    let leeds = store.branches().create("Leeds", None).unwrap().id;
    let ada = fill_users(store, york, leeds);
    fill_configuration(store, north, york, ada);

    let (totp_secret, recovery_code, pending_step) = fill_factors(store);

    let login = LoginRequest::new("ada", Password::from(ADA_PASSWORD), device("till-1"))
        .label("Till 1")
        .client_info(ClientInfo::new().ip([192, 0, 2, 7]).user_agent("browser"));
    let session = store.log_in(login).unwrap().granted().unwrap().session;
    store.sessions().set_data_json(session.id, "{\"basket\":3}", Version::NONE).unwrap();

    let login = LoginRequest::new("bob", Password::from(BOB_PASSWORD), device("till-2"));
    let ended = store.log_in(login).unwrap().granted().unwrap();
    store.users().set_status(ended.profile.user.id, UserStatus::Locked).unwrap();
    store.branches().set_active(leeds, false).unwrap();

    let robot = store.users().create(NewUser::system("robot").branch(york)).unwrap().id;
    let new = NewApiKey::new().label("night").scopes(["export", "print"]);
    let key = store.api_keys().issue(robot, new).unwrap();
    let principal = store.verify((&key.key, None)).unwrap().valid().unwrap();
    let new = NewApiKey::new().scopes(["print"]);
    let made = store.api_keys().attenuate(&principal, new).unwrap();
    let principal = store.verify((&session.token, &device("till-1"))).unwrap().valid().unwrap();
    store.api_keys().attenuate(&principal, NewApiKey::new()).unwrap();

    store.users().grant_administration(ada, york).unwrap();
    store.users().grant_administration(ada, north).unwrap();
    store.external_identities().link(ada, "https://login.example.com", "7").unwrap();
    let confirmation = NewOneTimeToken::email_confirmation();
    let one_time = store.one_time_tokens().issue(ada, confirmation).unwrap();

    for name in ["kim", "no user has this name"] {
        for _ in 0..FAILURES {
            let wrong =
                LoginRequest::new(name, Password::from("a wrong password"), device("till-3"));
            assert!(store.log_in(wrong).unwrap().granted().is_err());
        }
    }
    // And one from a device that is known.
    let wrong = LoginRequest::new("ada", Password::from("a wrong password"), device("till-1"));
    assert!(store.log_in(wrong).unwrap().granted().is_err());
    let printed = HostEvent::new("invoice.printed").unwrap().user(ada);
    store.audit().record(&[printed.detail("number 7").unwrap()]).unwrap();
    let zoe = store.users().create(NewUser::person("zoe")).unwrap().id;
    let seen = HostEvent::new("invoice.seen").unwrap().user(zoe);
    store.audit().record(&[seen.detail("by zoe").unwrap()]).unwrap();
    store.users().delete(zoe).unwrap();
    store.users().erase(zoe).unwrap();
    store.audit().add_consumer("mailer").unwrap();
    Known {
        session: session.token.expose().to_owned(),
        ended_session: ended.session.token.expose().to_owned(),
        api_key: key.key.expose().to_owned(),
        made_key: made.key.expose().to_owned(),
        one_time: one_time.token.expose().to_owned(),
        totp_secret,
        recovery_code,
        pending_step,
        anchor: store.audit().anchor().unwrap().to_string(),
    }
}

fn fill_users(store: &Store, york: BranchId, leeds: BranchId) -> UserId {
    let users = store.users();
    let person = |name: &str, password| NewUser::person(name).password(Password::from(password));
    let ada = person("Ada", ADA_PASSWORD)
        .branch(york)
        .email("ada@example.com")
        .first_name("Ada")
        .last_name("L")
        .description("Countess")
        .privileges(["admin", "reports"])
        .attributes(ATTRIBUTES);
    let ada = users.create(ada).unwrap().id;
    users.confirm(ada).unwrap();
    users.create(person("bob", BOB_PASSWORD).branch(leeds)).unwrap();
    users.create(person("kim", KIM_PASSWORD)).unwrap();
    users.create(person("mia", MIA_PASSWORD).must_change_password()).unwrap();
    users.create(NewUser::person("max").password_hash(MAX_HASH)).unwrap();
    let eve = users.create(NewUser::person("eva").branch(york)).unwrap().id;
    users.rename(eve, "eve").unwrap();
    users.delete(eve).unwrap();
    ada
}

/// The factor of lea, confirmed, with a trusted device and a login that waits for a code; and an
/// enrolment of lev that is not confirmed.
fn fill_factors(store: &Store) -> (String, String, String) {
    let begin = |name: &str| {
        let new = NewUser::person(name).password(Password::from(LEA_PASSWORD));
        let user = store.users().create(new).unwrap().id;
        let on = device(&format!("desk-of-{name}"));
        let open = OpenSession::new(user, on.clone());
        let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
        let begun = store.second_factors().enrol((&token, &on), NewTotp::new()).unwrap();
        (token, on, begun.done().unwrap())
    };
    begin("lev");
    let (token, on, enrolment) = begin("lea");
    let authenticator = Authenticator::scan(&enrolment);
    let [first, second] = [-1, 0].map(|later| authenticator.code(morning(), later));
    let codes = store.second_factors().confirm((&token, &on), first, second).unwrap();
    let codes = codes.done().unwrap().codes;
    let login = |on| LoginRequest::new("lea", Password::from(LEA_PASSWORD), device(on));
    let trusting = login("trusted").recovery_code(codes[1].expose()).trust_device(TRUST);
    assert!(store.log_in(trusting).unwrap().granted().is_ok());
    let LoginOutcome::Pending(step) = store.log_in(login("waiting")).unwrap() else {
        panic!("lea has a second factor")
    };
    let texts = [&enrolment.base32, &codes[0], &step.token];
    let [secret, code, step] = texts.map(|text| text.expose().to_owned());
    (secret, code, step)
}

fn fill_configuration(store: &Store, north: OrganisationId, york: BranchId, ada: UserId) {
    let configuration = store.configuration();
    let scopes = [
        (Subtree::Store, "of all"),
        (Subtree::Organisation(north), "of North"),
        (Subtree::Branch(york), "of York"),
        (Subtree::User(ada), "of ada"),
    ];
    // Each key is set in one scope more than the one before it.
    for (number, key) in ["Theme", "Paper", "Layout", "Colour"].into_iter().enumerate() {
        for (scope, value) in &scopes[..=number] {
            configuration.set(*scope, key, value).unwrap();
        }
    }
    configuration.set_public("theme", true).unwrap();
    store.credits().set(CreditHolder::Branch(york), 5).unwrap();
    store.credits().set(CreditHolder::Organisation(north), 70).unwrap();
}
