//! The mistakes of a newcomer: each one's message names the option, the bound or the cure.
//!
//! With `--nocapture` the table is printed as a reader of an error would see it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gatepost::audit::HostEvent;
use gatepost::directory::{BranchFilter, CreditHolder, UserFilter};
use gatepost::policy::{Cost, Lockout, PasswordPolicy, SessionPolicy};
use gatepost::sessions::{NewApiKey, OpenSession, Version};
use gatepost::{
    BranchId, DeviceId, Error, ErrorClass, ErrorKind, LoginRequest, NewUser, Options, Page,
    Password, Store, Subtree,
};

use crate::world::{DAY, PASSWORD, SECOND, World, device, for_tests};

/// What a newcomer does wrong, and what the answer must say.
struct Mistake {
    name: &'static str,
    make: fn(&World) -> Error,
    kind: ErrorKind,
    /// Words of the message.
    says: &'static [&'static str],
    /// Words of the advice.
    advises: &'static str,
}

/// One row a mistake.
fn mistakes() -> Vec<Mistake> {
    [opening(), options(), passwords(), sessions(), records(), counts()]
        .into_iter()
        .flatten()
        .collect()
}

fn mistake(
    name: &'static str,
    kind: ErrorKind,
    says: &'static [&'static str],
    advises: &'static str,
    make: fn(&World) -> Error,
) -> Mistake {
    Mistake { name, make, kind, says, advises }
}

/// Paths of a store, and files that are not one.
fn opening() -> Vec<Mistake> {
    use ErrorKind::{Closed, Invalid, NotADatabase, NotFound, NotOurs, Unsafe};
    vec![
        mistake("a path in /tmp", Unsafe, &["allow_shared_directory"], "option", |world| {
            let shared = world.directory().join("shared");
            fs::create_dir(&shared).unwrap();
            fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
            Store::open(shared.join("auth.db"), for_tests()).unwrap_err()
        }),
        mistake("no directory", NotFound, &["directory of the file"], "Create", |world| {
            Store::open(world.directory().join("no").join("auth.db"), for_tests()).unwrap_err()
        }),
        mistake("a second hard link", Unsafe, &["allow_hard_links"], "option", |world| {
            let path = world.directory().join("linked.db");
            drop(Store::open(&path, for_tests()).unwrap());
            fs::hard_link(&path, world.directory().join("link.db")).unwrap();
            Store::open(&path, for_tests()).unwrap_err()
        }),
        mistake("a text file", NotADatabase, &["not a database"], "path", |world| {
            let path = world.directory().join("plain.txt");
            fs::write(&path, "no database, but long enough to be one ".repeat(40)).unwrap();
            Store::open(&path, for_tests()).unwrap_err()
        }),
        mistake("another program's file", NotOurs, &["another application"], "path", |world| {
            let path = world.directory().join("other.db");
            let other = rusqlite::Connection::open(&path).unwrap();
            other.execute_batch("CREATE TABLE t (x)").unwrap();
            drop(other);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            Store::open(&path, for_tests()).unwrap_err()
        }),
        mistake("an SQLite URI", Invalid, &["plain path"], "path", |_| {
            Store::open("file:auth.db", for_tests()).unwrap_err()
        }),
        mistake("a call after close", Closed, &["closed"], "Store::open", |world| {
            world.store.close().unwrap();
            world.store.users().create(NewUser::person("ada")).unwrap_err()
        }),
        mistake("the file replaced", Closed, &["replaced"], "supervisor", |world| {
            fs::rename(&world.path, world.directory().join("aside.db")).unwrap();
            world.clock.advance(SECOND);
            world.store.users().create(NewUser::person("ada")).unwrap_err()
        }),
    ]
}

/// Bounds of options, and options that differ.
fn options() -> Vec<Mistake> {
    use ErrorKind::{Invalid, Misuse, NotFound};
    vec![
        mistake(":memory:", Invalid, &["Store::in_memory", "test-util"], "path", |_| {
            Store::open(":memory:", for_tests()).unwrap_err()
        }),
        mistake("sqlite:///auth.db", Invalid, &["path", "URL"], "path", |_| {
            Store::open("sqlite:///auth.db", for_tests()).unwrap_err()
        }),
        mistake(
            "lifetime(60 d)",
            Invalid,
            &["lifetime (60 d) exceeds max_lifetime (30 d)"],
            "",
            |_| {
                let sessions = SessionPolicy::server().lifetime(60 * DAY);
                Store::in_memory(for_tests().sessions(sessions)).unwrap_err()
            },
        ),
        mistake("min_chars(4)", Invalid, &["min_chars", "4", "8"], "", |_| {
            let passwords = PasswordPolicy::default().min_chars(4);
            Store::in_memory(for_tests().passwords(passwords)).unwrap_err()
        }),
        mistake("opened twice, other options", Misuse, &["service_name"], "", |world| {
            let other = world.options.clone().service_name("another");
            Store::open(&world.path, other).unwrap_err()
        }),
        mistake("stored options without a file", NotFound, &["no file"], "existing", |world| {
            Store::open(world.directory().join("none.db"), Options::stored()).unwrap_err()
        }),
        mistake("another lockout than the file's", Invalid, &["lockout"], "stored", |world| {
            let path = world.directory().join("new.db");
            Store::open(&path, for_tests()).unwrap().close().unwrap();
            Store::open(&path, for_tests().lockout(Lockout::Permanent)).unwrap_err()
        }),
    ]
}

fn passwords() -> Vec<Mistake> {
    use ErrorKind::Invalid;
    const LDAP: &str = "{SSHA}AC4WuZCgZJjFfQ84yntrHG0y4+teKwWA";
    const WEAK: &str = "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$\
        CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    const TORN: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ";
    let set = "Choose another password";
    vec![
        mistake("the password secret", Invalid, &["shorter than 8 characters"], set, |world| {
            let ada = NewUser::person("ada").password(Password::from("secret"));
            world.store.users().create(ada).unwrap_err()
        }),
        mistake("a password of 5,000 bytes", Invalid, &["than 4096 bytes"], set, |world| {
            let ada = world.person("ada").id;
            let long = "x".repeat(5_000);
            world.store.users().set_password(ada, Password::from(long.as_str())).unwrap_err()
        }),
        mistake("a hash of LDAP", Invalid, &["LDAP", "without a salt"], "set_password", |world| {
            let ada = world.person("ada").id;
            world.store.users().set_password_hash(ada, LDAP).unwrap_err()
        }),
        mistake("a weak hash", Invalid, &["below the floor", "19,456"], "set_password", |world| {
            let ada = world.person("ada").id;
            world.store.users().set_password_hash(ada, WEAK).unwrap_err()
        }),
        mistake("half a hash", Invalid, &["malformed", "8 to 64 bytes"], "", |world| {
            let ada = world.person("ada").id;
            world.store.users().set_password_hash(ada, TORN).unwrap_err()
        }),
        mistake("a cheap cost", Invalid, &["floor of Cost::new", "19,456"], "", |_| {
            Cost::new(4_096, 3, 1).unwrap_err()
        }),
        mistake("an excessive cost", Invalid, &["262,144 KiB", "16 passes"], "", |_| {
            Cost::new(1 << 20, 3, 1).unwrap_err()
        }),
        mistake("a password of a program", Invalid, &["UserKind::System"], "", |world| {
            let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
            world.store.users().set_password(robot, PASSWORD.into()).unwrap_err()
        }),
    ]
}

fn sessions() -> Vec<Mistake> {
    use ErrorKind::{Invalid, LimitReached, Stale};
    const FREE: [&str; 2] = ["DeviceId::random", "require_device(false)"];
    vec![
        mistake("a login without a device", Invalid, &FREE, "", |world| {
            world.person("ada");
            world.store.log_in(LoginRequest::new("ada", PASSWORD.into(), None)).unwrap_err()
        }),
        mistake("a session without a device", Invalid, &FREE, "", |world| {
            let ada = world.person("ada").id;
            world.store.sessions().open(OpenSession::new(ada, None)).unwrap_err()
        }),
        mistake("an empty device", Invalid, &["1 to 128 bytes", "DeviceId::random"], "", |_| {
            DeviceId::new("").unwrap_err()
        }),
        mistake("a session that ended before it began", Invalid, &["expires_at"], "", |world| {
            let ada = world.person("ada").id;
            let request = OpenSession::new(ada, device("till-1")).expires_at(world.now());
            world.store.sessions().open(request).unwrap_err()
        }),
        mistake("logging out an API key", Invalid, &["api_keys().revoke"], "", |world| {
            let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
            let key = world.store.api_keys().issue(robot, NewApiKey::new()).unwrap().key;
            world.store.log_out((&key, None)).unwrap_err()
        }),
        mistake("an old version of data", Stale, &["set_data"], "Read", |world| {
            let ada = world.person("ada").id;
            let session = world.open(ada, "till-1").id;
            let set = || world.store.sessions().set_data_json(session, "{}", Version::NONE);
            set().unwrap();
            set().unwrap_err()
        }),
        mistake("a second API key", LimitReached, &["api_keys_per_user"], "rotate", |world| {
            let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
            world.store.api_keys().issue(robot, NewApiKey::new()).unwrap();
            world.store.api_keys().issue(robot, NewApiKey::new()).unwrap_err()
        }),
        mistake("a long overlap of keys", Invalid, &["overlap", "30 days"], "", |world| {
            let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
            let key = world.store.api_keys().issue(robot, NewApiKey::new()).unwrap().id;
            world.store.api_keys().rotate(key, 31 * DAY).unwrap_err()
        }),
    ]
}

fn records() -> Vec<Mistake> {
    use ErrorKind::{Invalid, NotEmpty, NotFound, Taken};
    vec![
        mistake("a page of 1,000 rows", Invalid, &["Page", "1 to 500"], "Correct", |world| {
            world.store.branches().list(&BranchFilter::new(), Page::first(1_000)).unwrap_err()
        }),
        mistake("the privilege Admin", Invalid, &["1 to 64 of a-z"], "Correct", |world| {
            let ada = world.person("ada").id;
            world.store.users().set_privileges(ada, &["Admin"]).unwrap_err()
        }),
        mistake("65 privileges", Invalid, &["64", "a user may have"], "", |world| {
            let names: Vec<String> = (0..65).map(|number| format!("p{number}")).collect();
            world.store.users().create(NewUser::person("ada").privileges(names)).unwrap_err()
        }),
        mistake("a name that is taken", Taken, &["username is taken"], "another name", |world| {
            world.person("ada");
            world.store.users().create(NewUser::person("ADA")).unwrap_err()
        }),
        mistake("a first name of 300 bytes", Invalid, &["first name", "256 bytes"], "", |world| {
            let ada = NewUser::person("ada").first_name("a".repeat(300));
            world.store.users().create(ada).unwrap_err()
        }),
        mistake("attributes that are no JSON", Invalid, &["not valid JSON"], "", |world| {
            let ada = NewUser::person("ada").attributes("{theme:dark}");
            world.store.users().create(ada).unwrap_err()
        }),
        mistake("a long search", Invalid, &["UserFilter", "254 bytes"], "", |world| {
            let filter = UserFilter::new().text("a".repeat(300));
            world.store.users().list(&filter, Page::first(9)).unwrap_err()
        }),
        mistake("a branch that is gone", NotFound, &["no branch of this id"], "id", |world| {
            let gone = BranchId::from_uuid(uuid::Uuid::from_u128(7));
            world.store.branches().rename(gone, "York").unwrap_err()
        }),
        mistake("a branch with users", NotEmpty, &["still has users"], "Move", |world| {
            let york = world.store.branches().create("York", None).unwrap().id;
            world.store.users().create(NewUser::person("ada").branch(york)).unwrap();
            world.store.branches().delete(york).unwrap_err()
        }),
    ]
}

fn counts() -> Vec<Mistake> {
    use ErrorKind::{Insufficient, Invalid, LimitReached, NotFound, Stale};
    vec![
        mistake(
            "credits never set",
            NotFound,
            &["no credits are counted"],
            "credits().set",
            |world| {
                let york = world.store.branches().create("York", None).unwrap().id;
                world.store.credits().add(CreditHolder::Branch(york), 1).unwrap_err()
            },
        ),
        mistake("more credits than i64::MAX", LimitReached, &["i64::MAX"], "fewer", |world| {
            let york =
                CreditHolder::Branch(world.store.branches().create("York", None).unwrap().id);
            world.store.credits().set(york, Some(i64::MAX.unsigned_abs())).unwrap();
            world.store.credits().add(york, 1).unwrap_err()
        }),
        mistake("too few credits", Insufficient, &["fewer credits"], "Add", |world| {
            let york =
                CreditHolder::Branch(world.store.branches().create("York", None).unwrap().id);
            world.store.credits().set(york, Some(1)).unwrap();
            world.store.credits().spend(york, 2).unwrap_err()
        }),
        mistake("a setting that changed", Stale, &["set_if"], "Read", |world| {
            let settings = world.store.configuration();
            settings.set_if(Subtree::Store, "theme", Some("dark"), "light").unwrap_err()
        }),
        mistake("no events to record", Invalid, &["audit().record", "1 to 1,000"], "", |world| {
            world.store.audit().record(&[]).unwrap_err()
        }),
        mistake("an event of a long name", Invalid, &["HostEvent", "1 to 64"], "", |_| {
            HostEvent::new(&"a".repeat(65)).unwrap_err()
        }),
    ]
}

#[test]
fn each_mistake_is_named_with_its_option_its_bound_or_its_cure() {
    println!("mistake | kind: message | advice");
    for Mistake { name, make, kind, says, advises } in mistakes() {
        let error = make(&World::new());
        let (message, advice) = (error.to_string(), error.advice());
        println!("{name} | {:?}: {message} | {advice}", error.kind());
        assert_eq!(error.kind(), kind, "{name}: {message}");
        for words in says {
            assert!(message.contains(words), "{name}: {words:?} is not in {message:?}");
        }
        assert!(advice.contains(advises), "{name}: {advises:?} is not in {advice:?}");
    }
}

/// Not an error: a token without its device is refused as any other.
#[test]
fn a_device_that_was_forgotten_at_verify_is_a_refusal_of_the_class_sign_in() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let refused = world.store.verify((&session.token, None)).unwrap().valid().unwrap_err();
    assert_eq!(refused.class(), ErrorClass::SignIn);
    assert!(world.store.verify((&session.token, &device("till-1"))).unwrap().valid().is_ok());
}
