//! Records and password hashes of other systems.

use gatepost::audit::{AuditFilter, EventKind, HostEvent};
use gatepost::directory::{CreditHolder, ImportRecord, Imported, UserStatus};
use gatepost::uuid::Uuid;
use gatepost::{
    BranchId, ClientInfo, ErrorKind, LoginRefusal, LoginRequest, NewUser, OrganisationId, Subtree,
    Timestamp, UserId,
};

use crate::keyring::{NEW, OLD, with_keys};
use crate::pending_step::{Scene, wrong_at};
use crate::world::{World, device, morning};

/// Made by bcrypt 5.0 of Python, Django 5.2 (PBKDF2), passlib 1.7 (scrypt) and argon2-cffi 25.1.
const FOREIGN: [(&str, &str, &str); 4] = [
    (
        "$bcrypt$r=5,norm=typed",
        "$2a$05$j301IvBAgpY/1IqNoeADUuSbqhBpVaoTeQNy54xo8RFIm0rpmueh.",
        "till and tally",
    ),
    (
        "$pbkdf2-sha256$i=20000,l=32,norm=typed",
        "pbkdf2_sha256$20000$QCdWQPwz4yfUWVxDt8j3eg$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=",
        TYPED,
    ),
    (
        "$scrypt$ln=14,r=8,p=1,norm=typed",
        "$scrypt$ln=14,r=8,p=1$8J5z7v2fU2ptDaHUuvc+Jw$U2u0bdO6cdvO5X7T2ieodZ0YOVRxoOXLMQvbHbl0arI",
        TYPED,
    ),
    (
        "$argon2i$v=19$m=19456,t=2,p=1,norm=typed",
        "$argon2i$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$\
         VFnUGN/xB8cgqbY7uEuak0Xw9yNjKBKXJpd5vu32UlI",
        TYPED,
    ),
];
const TYPED: &str = "pass w\u{f6}rd, \u{2163} cafe\u{301}";
/// 72 times `x`.
const FULL: &str = "$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW";

fn with_hash(world: &World, name: &str, hash: &str) -> UserId {
    world.store.users().create(NewUser::person(name).password_hash(hash)).unwrap().id
}

#[test]
fn a_hash_of_another_system_is_replaced_at_the_first_granted_login() {
    let world = World::new();
    for (number, (head, hash, password)) in FOREIGN.into_iter().enumerate() {
        let name = format!("user{number}");
        let user = with_hash(&world, &name, hash);
        let stored = world.stored_hash(user);
        assert!(stored.starts_with(&format!("{head}$")), "{stored}");
        let refusal =
            world.hashes(1, |_| world.log_in(&name, "till and tall", &name)).unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
        assert_eq!(world.stored_hash(user), stored, "a wrong password replaces nothing");
        world.hashes(2, |_| world.log_in(&name, password, &name)).unwrap();
        let replaced = world.stored_hash(user);
        assert!(replaced.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{replaced}");
        world.store.sessions().revoke_all(user).unwrap();
        world.hashes(1, |_| world.log_in(&name, password, &name)).unwrap();
    }
}

/// The policy asks for 64 characters, and this has 14.
#[test]
fn no_policy_of_new_passwords_applies_to_a_hash_of_another_system() {
    let world = World::with(|options| {
        options.passwords(gatepost::policy::PasswordPolicy::default().min_chars(64))
    });
    let ada = with_hash(&world, "ada", FOREIGN[0].1);
    world.log_in("ada", FOREIGN[0].2, "till").unwrap();
    assert!(world.stored_hash(ada).starts_with("$argon2id$"));
}

#[test]
fn the_throttle_stops_guesses_at_a_hash_of_another_system() {
    let world = World::new();
    with_hash(&world, "ada", FOREIGN[0].1);
    for _ in 0..5 {
        world.hashes(1, |_| world.log_in("ada", "a guess", "till")).unwrap_err();
    }
    let refusal = world.hashes(0, |_| world.log_in("ada", FOREIGN[0].2, "till")).unwrap_err();
    assert!(matches!(refusal, LoginRefusal::TooManyAttempts { .. }), "{refusal:?}");
}

/// The call that completes the step does not know the password. The step is of the version of the
/// password, which stays.
#[test]
fn a_login_that_waits_for_a_second_factor_replaces_the_hash() {
    let (head, hash, password) = FOREIGN[0];
    let scene = Scene::new();
    let (world, codes) = (&scene.world, scene.recovery_codes());
    let foreign = || {
        world.store.users().set_password_hash(scene.ada, hash).unwrap();
        world.count("SELECT version FROM credential")
    };
    let is_foreign = || world.stored_hash(scene.ada).starts_with(head);
    let login = |password: &str| LoginRequest::new("ada", password.into(), device("till"));

    let version = foreign();
    world.hashes(1, |_| world.ask(login("till and tall"))).unwrap_err();
    let wrong = login(password).code(wrong_at(world.now()));
    world.hashes(1, |_| world.ask(wrong)).unwrap_err();
    assert!(is_foreign(), "a refused login replaces nothing");
    let step = world.hashes(2, |_| scene.pending(login(password)));
    assert!(!is_foreign());
    assert_eq!(world.count("SELECT version FROM credential"), version);
    let code = scene.next_code();
    world.hashes(0, |_| scene.finish(&step, "till", &code)).unwrap();

    foreign();
    let code = scene.next_code();
    world.hashes(2, |_| world.ask(login(password).code(code))).unwrap();
    assert!(!is_foreign());

    foreign();
    let code = codes[0].as_str();
    world.hashes(2, |_| world.ask(login(password).recovery_code(code))).unwrap();
    assert!(!is_foreign());
    world.hashes(1, |_| scene.pending(login(password)));
}

/// Its end may be mistyped, and would then be part of the new hash.
#[test]
fn a_password_of_which_bcrypt_read_a_part_replaces_no_hash() {
    let world = World::new();
    let ada = with_hash(&world, "ada", FULL);
    let stored = world.stored_hash(ada);
    world.hashes(1, |_| world.log_in("ada", &"x".repeat(80), "till")).unwrap();
    assert_eq!(world.stored_hash(ada), stored);
    world.log_in("ada", &"x".repeat(71), "till").unwrap_err();
    world.hashes(2, |_| world.log_in("ada", &"x".repeat(72), "till")).unwrap();
    assert!(world.stored_hash(ada).starts_with("$argon2id$"));
}

#[test]
fn a_hash_of_another_system_is_sealed_and_its_cost_is_not() {
    let mut world = with_keys(&[OLD]);
    let users = FOREIGN.map(|(head, hash, _)| (head, with_hash(&world, head, hash)));
    for (head, user) in users {
        let stored = world.stored_hash(user);
        assert!(stored.starts_with(&format!("{head}$sealed1$old$")), "{stored}");
        let sql = format!("SELECT users FROM hash_cost WHERE cost = '{head}'");
        assert_eq!(world.count(&sql), 1);
    }
    world.reopen_with(&[NEW, OLD]);
    assert_eq!(world.store.rekey(1_000).unwrap().hashes, users.len());
    for (head, user) in users {
        assert!(world.stored_hash(user).starts_with(&format!("{head}$sealed1$new$")));
    }
    let (head, _, password) = FOREIGN[0];
    world.log_in(head, password, "till").unwrap();
    assert!(world.stored_hash(users[0].1).contains("$argon2id$"));
}

/// An unknown name draws the cost of bcrypt, as every user has one: the hash of the cost in force
/// would leave its work memory behind.
#[test]
fn an_unknown_name_costs_what_a_hash_of_another_system_costs() {
    let world = World::new();
    for number in 0..4 {
        with_hash(&world, &format!("user{number}"), FULL);
    }
    world.hashes(1, |_| world.log_in("unknown", "a guess", "till")).unwrap_err();
    assert_eq!(world.store.status().hash_buffers_kept, 0);
    let ada = world.person("ada").id;
    world.store.users().delete(ada).unwrap();
    let kept = world.store.status().hash_buffers_kept;
    assert!(kept > 0, "a hash of the cost in force leaves its memory");
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x6f1d_2a4e_8c1b_4a57_9a0e_0000_0000_0000 + number)
}

fn organisation(number: u128) -> ImportRecord {
    ImportRecord::Organisation {
        id: OrganisationId::from_uuid(id(number)),
        name: "Northern".into(),
        active: false,
        credits: Some(5),
        created_at: Some(morning() - crate::world::DAY),
    }
}

fn branch(number: u128, organisation: u128) -> ImportRecord {
    ImportRecord::Branch {
        id: BranchId::from_uuid(id(number)),
        organisation: Some(OrganisationId::from_uuid(id(organisation))),
        name: "York".into(),
        active: true,
        credits: None,
        created_at: None,
    }
}

fn user(number: u128, name: &str) -> ImportRecord {
    ImportRecord::User {
        id: UserId::from_uuid(id(number)),
        user: Box::new(NewUser::person(name).password_hash(FULL)),
        created_at: Some(Timestamp::from_millis(1)),
        confirmed_at: None,
    }
}

fn setting(scope: Subtree, key: &str, public: bool) -> ImportRecord {
    ImportRecord::Setting { scope, key: key.into(), value: "50".into(), public }
}

#[test]
fn records_are_imported_with_their_ids_and_times_in_one_write() {
    let world = World::new();
    let scope = Subtree::Branch(BranchId::from_uuid(id(2)));
    let records =
        vec![organisation(1), branch(2, 1), user(3, "ada"), setting(scope, "pageSize", true)];
    let results = world.leaves(
        &[
            EventKind::OrganisationCreated,
            EventKind::CreditsSet,
            EventKind::BranchCreated,
            EventKind::UserCreated,
            EventKind::ConfigurationSet,
            EventKind::ConfigurationMadePublic,
        ],
        0,
        |store| store.import(records).unwrap(),
    );
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results, [Imported::Created; 4]);
    let northern = OrganisationId::from_uuid(id(1));
    let found = world.store.organisations().find(northern).unwrap().unwrap();
    assert_eq!((found.active, found.created_at), (false, morning() - crate::world::DAY));
    let credits = world.store.credits().remaining(CreditHolder::Organisation(northern)).unwrap();
    assert_eq!(credits, Some(5));
    let york = world.store.branches().find(BranchId::from_uuid(id(2))).unwrap().unwrap();
    assert_eq!((york.organisation, york.created_at), (Some(northern), morning()));
    let ada = world.user(UserId::from_uuid(id(3)));
    assert_eq!((ada.created_at, ada.confirmed_at), (Timestamp::from_millis(1), None));
    assert!(world.store.configuration().get(scope, "pagesize").unwrap().unwrap().is_public);
    // A key that the store has stays as public as it is.
    world.leaves(&[EventKind::ConfigurationSet], 0, |store| {
        store.import(vec![setting(Subtree::Store, "PAGESIZE", true)]).unwrap()
    });
    assert_eq!(world.last_event().detail.as_deref(), Some("pageSize"));
}

#[test]
fn an_import_changes_nothing_that_exists() {
    let world = World::new();
    let scope = Subtree::Organisation(OrganisationId::from_uuid(id(1)));
    let all =
        || vec![organisation(1), branch(2, 1), user(3, "ada"), setting(scope, "pageSize", true)];
    world.store.import(all()).unwrap();
    let ada = UserId::from_uuid(id(3));
    let users = world.store.users();
    users.rename(ada, "ada lovelace").unwrap();
    users.set_status(ada, UserStatus::Locked).unwrap();
    world.store.configuration().set(scope, "pageSize", "80").unwrap();
    world.store.configuration().set_public("pageSize", false).unwrap();
    let again = world.leaves(&[], 0, |store| store.import(all()).unwrap());
    let again: Vec<_> = again.into_iter().map(Result::unwrap).collect();
    assert_eq!(again, [Imported::Existing; 4]);
    let found = world.user(ada);
    assert_eq!((found.username.as_str(), found.status), ("ada lovelace", UserStatus::Locked));
    let setting = world.store.configuration().get(scope, "pageSize").unwrap().unwrap();
    assert_eq!((setting.value.as_str(), setting.is_public), ("80", false));
    users.delete(ada).unwrap();
    let again = world.store.import(vec![user(3, "ada")]).unwrap();
    assert_eq!(again[0].as_ref().unwrap(), &Imported::Existing, "a deleted user stays deleted");
}

#[test]
fn a_record_that_is_refused_leaves_nothing_and_the_others_are_created() {
    let world = World::new();
    let with = |change: fn(NewUser) -> NewUser| ImportRecord::User {
        id: UserId::from_uuid(id(9)),
        user: Box::new(change(NewUser::person("zoe"))),
        created_at: None,
        confirmed_at: None,
    };
    let store = Subtree::Store;
    let gone = Subtree::User(UserId::from_uuid(id(99)));
    let refused = [
        (branch(2, 77), ErrorKind::NotFound),
        (user(4, "ADA"), ErrorKind::Taken),
        (user(5, "a\u{0}b"), ErrorKind::Invalid),
        (with(|new| new.password_hash("{SSHA}x")), ErrorKind::Invalid),
        (with(|new| new.branch(BranchId::from_uuid(id(77)))), ErrorKind::NotFound),
        (with(|new| new.attributes("{")), ErrorKind::Invalid),
        (with(|new| new.privilege("No!")), ErrorKind::Invalid),
        (setting(store, "", false), ErrorKind::Invalid),
        (setting(gone, "pageSize", false), ErrorKind::NotFound),
    ];
    let (records, kinds): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
    let mut all = vec![user(3, "ada")];
    all.extend(records);
    let results = world.leaves(&[EventKind::UserCreated], 0, |store| store.import(all).unwrap());
    assert_eq!(results[0].as_ref().unwrap(), &Imported::Created);
    let found: Vec<_> =
        results[1..].iter().map(|result| result.as_ref().unwrap_err().kind()).collect();
    assert_eq!(found, kinds);
    assert_eq!(world.count("SELECT count(*) FROM user"), 1);
    assert_eq!(world.count("SELECT count(*) FROM credential"), 1);
    assert_eq!(world.count("SELECT count(*) FROM branch"), 0);
    assert_eq!(world.count("SELECT count(*) FROM setting"), 0);
}

#[test]
fn the_nil_and_the_max_uuid_are_no_ids() {
    let world = World::new();
    for uuid in [Uuid::nil(), Uuid::max()] {
        let records = vec![
            ImportRecord::User {
                id: UserId::from_uuid(uuid),
                user: Box::new(NewUser::person("ada")),
                created_at: None,
                confirmed_at: None,
            },
            ImportRecord::Branch {
                id: BranchId::from_uuid(uuid),
                organisation: None,
                name: "York".into(),
                active: true,
                credits: None,
                created_at: None,
            },
            ImportRecord::Organisation {
                id: OrganisationId::from_uuid(uuid),
                name: "Northern".into(),
                active: true,
                credits: None,
                created_at: None,
            },
        ];
        for result in world.leaves(&[], 0, |store| store.import(records).unwrap()) {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}

/// A program that draws the ids of its users itself records what comes before an account, and the
/// log ascribes an import to an administrator whom the same import brings: the row had a hash
/// without a salt, and the check recomputed it with the salt that the user got later.
#[test]
fn an_id_that_the_log_has_named_before_is_imported_and_the_chain_stays_intact() {
    let world = World::new();
    let store = &world.store;
    let [ada, boss] = [7, 8].map(|number| UserId::from_uuid(id(number)));
    let client_info = ClientInfo::new().ip([203, 0, 113, 77]).user_agent("curl/8");
    let begun = HostEvent::new("signup.begun").unwrap().client_info(client_info);
    let begun = begun.detail("by mail").unwrap();
    store.acting_as(boss).audit().record(&[begun.clone().user(ada), begun.clone()]).unwrap();
    store.audit().record(&[begun.user(ada)]).unwrap();
    let records = vec![user(1, "ben"), user(8, "boss"), user(7, "ada")];
    let imported = store.acting_as(boss).import(records).unwrap();
    assert!(imported.iter().all(|record| matches!(record, Ok(Imported::Created))));
    assert!(store.audit().verify_chain(None).unwrap().is_intact());

    // No erasure could make a digest without a salt worthless, so nothing was kept.
    let begun = store.audit().latest(3, &AuditFilter::new().from_host()).unwrap();
    assert!(begun.iter().all(|row| row.client_info.is_none() && row.detail.is_none()));
    store.users().delete(ada).unwrap();
    assert_eq!(store.users().erase(ada).unwrap().audit_rows, 0);
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn an_import_takes_at_most_1000_records() {
    let world = World::new();
    let records = |count: u32| (0..count).map(|n| user(n.into(), &format!("user{n}"))).collect();
    world.refuses(ErrorKind::Invalid, |store| store.import(records(1_001)));
    let results = world.store.import(records(1_000)).unwrap();
    assert!(results.iter().all(Result::is_ok));
    assert!(world.store.import(Vec::new()).unwrap().is_empty());
}

#[test]
fn a_pending_step_completes_for_a_user_with_a_hash_of_another_system() {
    let world = World::new();
    let ada = with_hash(&world, "ada", FOREIGN[0].1);
    world
        .store
        .users()
        .require_password_change(ada, gatepost::sessions::RevokeSessions::Keep)
        .unwrap();
    let login = LoginRequest::new("ada", FOREIGN[0].2.into(), device("till"));
    let refused = world.store.log_in(login).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::NewPasswordRequired);
    let login = LoginRequest::new("ada", FOREIGN[0].2.into(), device("till"))
        .new_password("correct horse battery".into());
    world.store.log_in(login).unwrap().granted().unwrap();
    assert!(world.stored_hash(ada).starts_with("$argon2id$"));
}
