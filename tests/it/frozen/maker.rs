//! Makes the file: at one time, from one seed, so that it changes only when the format does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::sessions::*;
use gatepost::*;

use crate::keyring::keys;
use crate::world::{device, for_tests, morning};

/// The key that seals the hashes: its id, and the byte that it is made of.
pub(super) const KEY: &[(&str, u8)] = &[("2026-01", 7)];
pub(super) const ADA_PASSWORD: &str = "lantern over wet slate";
pub(super) const BOB_PASSWORD: &str = "heron beside the weir";
pub(super) const KIM_PASSWORD: &str = "an umbrella in august";
pub(super) const MIA_PASSWORD: &str = "kettle under the stair";
pub(super) const ATTRIBUTES: &str = "{\"badge\":42}";
/// As many as are evaluated before the next login has to wait.
pub(super) const FAILURES: u64 = 5;

/// The secrets that are not in the file.
pub(super) struct Known {
    pub(super) session: String,
    pub(super) ended_session: String,
    pub(super) api_key: String,
    pub(super) one_time: String,
    pub(super) anchor: String,
}

impl Known {
    fn write(&self, path: &Path) {
        let Self { session, ended_session, api_key, one_time, anchor } = self;
        let lines = format!("{session}\n{ended_session}\n{api_key}\n{one_time}\n{anchor}\n");
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
            one_time: next(),
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
    let key = store.api_keys().issue(robot, NewApiKey::new().label("night")).unwrap();

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
        one_time: one_time.token.expose().to_owned(),
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
    let eve = users.create(NewUser::person("eva").branch(york)).unwrap().id;
    users.rename(eve, "eve").unwrap();
    users.delete(eve).unwrap();
    ada
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
