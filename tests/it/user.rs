//! Users: created, found, listed and changed.

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::{ImportRecord, UserFilter, UserKind, UserStatus, UserUpdate};
use gatepost::{ErrorKind, NewUser, Page, Password, Store, User, UserId};
use proptest::prelude::*;

use crate::world::{PASSWORD, World, morning};

fn create(store: &Store, name: &str) -> User {
    store.users().create(NewUser::person(name)).unwrap()
}

#[test]
fn one_is_found_again_as_it_was_created() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = NewUser::person("Ada")
        .email("Ada@example.com")
        .first_name("Augusta Ada")
        .last_name("King")
        .description("First\nof many")
        .branch(york)
        .privileges(["reports:read", "admin", "admin"])
        .password(Password::from(PASSWORD))
        .must_change_password()
        .status(UserStatus::Pending)
        .desktop_client_denied(true)
        .attributes("{\"shoe\":38}");
    let ada =
        world.leaves(&[EventKind::UserCreated], 2, |store| store.users().create(new)).unwrap();
    assert_eq!((ada.username.as_str(), ada.email.as_deref()), ("Ada", Some("Ada@example.com")));
    assert_eq!(ada.first_name.as_deref(), Some("Augusta Ada"));
    assert_eq!(ada.last_name.as_deref(), Some("King"));
    assert_eq!(ada.description.as_deref(), Some("First\nof many"));
    assert_eq!(ada.privileges, ["admin", "reports:read"]);
    assert_eq!(ada.attributes.as_deref(), Some("{\"shoe\":38}"));
    assert_eq!((ada.branch, ada.kind), (Some(york), UserKind::Person));
    assert_eq!((ada.status, ada.created_at), (UserStatus::Pending, morning()));
    assert!(ada.must_change_password && ada.desktop_client_denied);
    assert!(!ada.is_locked_out(morning()));
    assert_eq!((ada.deleted_at, ada.last_login_at, ada.confirmed_at), (None, None, None));
    let users = world.store.users();
    assert_eq!(users.find(ada.id).unwrap(), Some(ada.clone()));
    assert_eq!(users.find_by_username("ADA").unwrap(), Some(ada.clone()));
    assert_eq!(users.find_by_email("aDA@EXAMPLE.COM").unwrap(), Some(ada));
}

#[test]
fn what_is_left_out_or_empty_is_none() {
    let world = World::new();
    let bob = NewUser::system("bob").email("").first_name("").description("").attributes("");
    let bob = world.leaves(&[EventKind::UserCreated], 0, |s| s.users().create(bob)).unwrap();
    assert_eq!((bob.email, bob.first_name, bob.last_name), (None, None, None));
    assert_eq!((bob.description, bob.attributes, bob.branch), (None, None, None));
    assert_eq!((bob.kind, bob.status), (UserKind::System, UserStatus::Active));
    assert!(bob.privileges.is_empty() && !bob.must_change_password);
}

#[test]
fn names_that_differ_in_case_alone_cannot_be_had_twice() {
    let world = World::new();
    for (one, other) in [("Straße", "STRASSE"), ("Ada", "ａｄａ"), ("σ", "ς"), ("é", "E\u{301}")]
    {
        let first = create(&world.store, one);
        world.refuses(ErrorKind::Taken, |store| store.users().create(NewUser::person(other)));
        assert_eq!(world.store.users().find_by_username(other).unwrap(), Some(first));
    }
}

/// Keyboards of telephones add a space, and a copied cell a line feed.
#[test]
fn white_space_around_a_typed_name_or_address_is_ignored_at_every_door() {
    let world = World::new();
    let users = world.store.users();
    let new = NewUser::person(" Ada\u{a0}").email("\tada@example.com\n");
    let ada = users.create(new).unwrap();
    assert_eq!((ada.username.as_str(), ada.email.as_deref()), ("Ada", Some("ada@example.com")));
    let taken = NewUser::person("ada ");
    world.refuses(ErrorKind::Taken, |store| store.users().create(taken));
    for typed in ["ada ", " ada", "ada\n", "\u{3000}ada"] {
        assert_eq!(users.find_by_username(typed).unwrap().as_ref(), Some(&ada), "{typed:?}");
        let address = typed.replace("ada", "ADA@example.com");
        assert_eq!(users.find_by_email(&address).unwrap().as_ref(), Some(&ada), "{typed:?}");
    }
    users.rename(ada.id, " king\r\n").unwrap();
    users.set_email(ada.id, Some("king@example.com ")).unwrap();
    let king = users.find_by_username("king").unwrap().unwrap();
    assert_eq!(king.username, "king");
    assert_eq!(king.email.as_deref(), Some("king@example.com"));
}

/// The shown name would not be the one that is looked up.
#[test]
fn a_name_or_address_is_not_changed_by_hand() {
    let world = World::new();
    let new = NewUser::person("ada").email("ada@example.com").last_name("Byron");
    let ada = world.store.users().create(new).unwrap();
    world.store.configuration().set(gatepost::Subtree::Store, "Desk.Rows", "9").unwrap();
    let sql = world.sql();
    for change in [
        "UPDATE user SET username = 'eve'",
        "UPDATE user SET email = 'eve@example.com'",
        "UPDATE user SET email = NULL, email_key = NULL",
        "UPDATE user SET username_key = 'eve'",
        "UPDATE user SET last_name = 'Eve'",
        "UPDATE configuration_key SET shown = 'Other'",
    ] {
        assert!(sql.execute_batch(change).is_err(), "{change}");
    }
    assert_eq!(world.store.users().find(ada.id).unwrap(), Some(ada));
}

#[test]
fn a_text_that_cannot_be_a_name_finds_no_user() {
    let world = World::new();
    create(&world.store, "ada");
    for text in ["", "a da", "ada\0", &"a".repeat(129)] {
        assert_eq!(world.store.users().find_by_username(text).unwrap(), None);
        assert_eq!(world.store.users().find_by_email(text).unwrap(), None);
    }
}

#[test]
fn a_system_user_is_not_created_with_a_password() {
    let world = World::new();
    let phc = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
        MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let system = || NewUser::system("robot");
    world.refuses(ErrorKind::Invalid, |s| s.users().create(system().password(PASSWORD.into())));
    world.refuses(ErrorKind::Invalid, |s| s.users().create(system().password_hash(phc)));
    world.store.users().create(NewUser::person("ada").password_hash(phc)).unwrap();
}

#[test]
fn a_password_that_breaks_the_policy_creates_no_user() {
    let world = World::new();
    let york = world.store.branches().create("Yorkminster", None).unwrap().id;
    for password in ["short", "password", "ada lovelace", "Countess7", "YORKMINSTER", "Gatepost"] {
        world.refuses(ErrorKind::Invalid, |store| {
            let new = NewUser::person("ada lovelace").email("countess@example.com").branch(york);
            store.users().create(new.password(password.into()))
        });
    }
    world.refuses(ErrorKind::Invalid, |store| {
        store.users().create(NewUser::person("ada").password_hash("$2b$12$abcdefghijklmnopqrstuv"))
    });
}

#[test]
fn a_branch_that_is_not_there_takes_no_user() {
    let world = World::new();
    let nowhere: gatepost::BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    for password in ["", PASSWORD] {
        world.refuses(ErrorKind::NotFound, |store| {
            let new = NewUser::person("ada").branch(nowhere);
            store.users().create(new.password(password.into()))
        });
    }
}

#[test]
fn an_update_changes_what_it_names_and_an_empty_text_removes() {
    let world = World::new();
    let new = NewUser::person("ada").first_name("Ada").last_name("King").description("x");
    let before = world.store.users().create(new).unwrap();
    let update = UserUpdate::new().last_name("Lovelace").description("").attributes("[1]");
    let update = update.desktop_client_denied(true);
    let after = world
        .leaves(&[EventKind::UserUpdated], 0, |s| s.users().update(before.id, update.clone()))
        .unwrap();
    assert_eq!(world.store.users().find(before.id).unwrap(), Some(after.clone()));
    assert_eq!(after.first_name.as_deref(), Some("Ada"));
    assert_eq!((after.last_name.as_deref(), &after.description), (Some("Lovelace"), &None));
    assert_eq!((after.attributes.as_deref(), after.desktop_client_denied), (Some("[1]"), true));
    world.leaves(&[], 0, |store| store.users().update(before.id, update)).unwrap();
    world.leaves(&[], 0, |store| store.users().update(before.id, UserUpdate::new())).unwrap();
}

/// JSON that SQLite accepts, and that another reader refuses or reads differently.
const UNREADABLE: [&str; 4] =
    [r#"{"a":"\ud83d"}"#, "1e999999", DEEP, r#"{"role":"a","rol\u0065":"b"}"#];
const DEEP: &str = concat!(
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
);

#[test]
fn attributes_are_json() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    for json in ["{", "ada", "[1]\0", "\0", "{'a':1}", &"[".repeat(2_000), &" ".repeat(16_385)]
        .into_iter()
        .chain(UNREADABLE)
    {
        let update = UserUpdate::new().attributes(json);
        world.refuses(ErrorKind::Invalid, |store| store.users().update(ada, update));
        let new = NewUser::person("bob").attributes(json);
        world.refuses(ErrorKind::Invalid, |store| store.users().create(new));
    }
}

/// What an older version has stored.
#[test]
fn attributes_with_a_name_twice_that_are_stored_can_be_read_and_the_user_changed() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    let twice = r#"{"role":"a","role":"b"}"#;
    world.sql().execute("UPDATE user SET attributes = ?1", [twice]).unwrap();
    let update = UserUpdate::new().first_name("Ada");
    let ada = world.store.users().update(ada, update).unwrap();
    assert_eq!(ada.attributes.as_deref(), Some(twice));
}

#[test]
fn only_what_differs_between_privileges_is_written() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    let set = |names: &[&str], events: &[EventKind], changes| {
        world.leaves(events, changes, |s| s.users().set_privileges(ada, names)).unwrap()
    };
    let changed = [EventKind::UserPrivilegesChanged];
    set(&[], &[], 0);
    set(&["read", "write"], &changed, 2);
    set(&["read", "admin"], &changed, 2);
    assert_eq!(set(&["admin", "print", "print"], &changed, 2).privileges, ["admin", "print"]);
    set(&["print", "admin"], &[], 0);
    assert!(set(&[], &changed, 2).privileges.is_empty());
    assert_eq!(world.store.users().find(ada).unwrap().unwrap().privileges, [""; 0]);
}

#[test]
fn privileges_are_granted_and_withdrawn_beside_others() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    let names: Vec<String> = (10..73).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.store.users().set_privileges(ada, &names).unwrap();
    let change = |granted: &[&str], withdrawn: &[&str], events: &[EventKind], changes| {
        let change = |s: &Store| s.users().change_privileges(ada, granted, withdrawn).unwrap();
        world.leaves(events, changes, change).privileges.len()
    };
    let changed = [EventKind::UserPrivilegesChanged];
    assert_eq!(change(&["print"], &[], &changed, 1), 64);
    assert_eq!(world.last_event().detail.as_deref(), Some("+print"));
    // One more is one too many, unless another goes.
    world.refuses(ErrorKind::Invalid, |s| s.users().change_privileges(ada, &["scan"], &[]));
    assert_eq!(change(&["scan"], &["p10"], &changed, 2), 64);
    assert_eq!(change(&["scan"], &["unknown"], &[], 0), 64);
    for [granted, withdrawn] in [["scan", "scan"], ["Scan", "p11"], ["fax", "P11"]] {
        world.refuses(ErrorKind::Invalid, |s| {
            s.users().change_privileges(ada, &[granted], &["p12", withdrawn])
        });
    }
    let absent = UserId::from_uuid(gatepost::uuid::Uuid::from_u128(7));
    world.refuses(ErrorKind::NotFound, |s| s.users().change_privileges(absent, &["a"], &[]));
}

#[test]
fn only_a_locked_user_is_activated() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    let users = world.store.users();
    for status in [UserStatus::Active, UserStatus::Pending, UserStatus::Disabled] {
        drop(users.set_status(ada, status).unwrap());
        let left = world.leaves(&[], 0, |s| s.users().activate_locked(ada)).unwrap();
        assert_eq!(left.status, status);
    }
    drop(users.set_status(ada, UserStatus::Locked).unwrap());
    let activated =
        world.leaves(&[EventKind::UserActivated], 1, |s| s.users().activate_locked(ada));
    assert_eq!(activated.unwrap().status, UserStatus::Active);
}

/// The row of a change was cut at 1,024 bytes, and that of a new user named no privilege.
#[test]
fn the_log_names_every_privilege_that_a_user_gets_or_loses() {
    let world = World::new();
    let (store, users) = (&world.store, world.store.users());
    let mut names: Vec<String> = (10..26).map(|n| format!("{}{n}", "a".repeat(62))).collect();
    names.push("admin".into());
    let rows_of = |call: &dyn Fn()| {
        let last = world.last_event().seq;
        call();
        let rows = store.audit().list(&AuditFilter::new(), Page::after(last, 9)).unwrap();
        let kinds: Vec<&str> = rows.iter().map(|row| row.event.as_str()).collect();
        let details = rows.iter().map(|row| row.detail.clone().unwrap());
        (kinds.join(" "), details.collect::<Vec<_>>().join(" "), rows)
    };
    let given = format!("+{}", names.join(" +"));
    let created = "user.created user.privileges_changed".to_owned();
    let (kinds, words, rows) = rows_of(&|| {
        users.create(NewUser::person("ada").privileges(names.clone())).unwrap();
    });
    let ada = world.user_of("ada");
    assert_eq!((&kinds, &words), (&created, &given));
    assert!(rows.iter().all(|row| row.user == Some(ada)));
    let id = UserId::from_uuid(gatepost::uuid::Uuid::from_u128(7));
    let (kinds, words, _) = rows_of(&|| {
        let user = Box::new(NewUser::person("ben").privileges(names.clone()));
        let record = ImportRecord::User { id, user, created_at: None, confirmed_at: None };
        store.import(vec![record]).unwrap().remove(0).unwrap();
    });
    assert_eq!((kinds, &words), (created, &given));

    let changed = "user.privileges_changed user.privileges_changed";
    let taken = format!("-{} +print", names.join(" -"));
    let (kinds, words, _) = rows_of(&|| drop(users.set_privileges(ada, &["print"]).unwrap()));
    assert_eq!((kinds.as_str(), words), (changed, taken));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (kinds, words, _) = rows_of(&|| drop(users.set_privileges(ada, &all).unwrap()));
    assert_eq!((kinds.as_str(), words), (changed, format!("-print {given}")));
    let (kinds, words, _) = rows_of(&|| {
        users.create(NewUser::person("cai").privilege("admin")).unwrap();
    });
    assert_eq!((kinds.as_str(), words.as_str()), ("user.created", "+admin"));
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn a_privilege_is_a_plain_word_and_there_are_64_at_most() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    for name in ["", "Admin", "two words", "é", &"a".repeat(65)] {
        world.refuses(ErrorKind::Invalid, |s| s.users().set_privileges(ada, &["ok", name]));
        world.refuses(ErrorKind::Invalid, |s| {
            s.users().create(NewUser::person("bob").privilege(name))
        });
    }
    let names: Vec<String> = (0..65).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.refuses(ErrorKind::Invalid, |s| s.users().set_privileges(ada, &names));
    world.store.users().set_privileges(ada, &names[1..]).unwrap();
}

#[test]
fn a_list_is_filtered() {
    let world = World::new();
    let (users, branches) = (world.store.users(), world.store.branches());
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = branches.create("York", northern).unwrap().id;
    let alone = branches.create("Alone", None).unwrap().id;
    let ada = users.create(NewUser::person("ada").branch(york).privilege("admin")).unwrap().id;
    let bob = NewUser::person("bob").branch(alone).status(UserStatus::Locked);
    let bob = users.create(bob).unwrap().id;
    let robot = users.create(NewUser::system("robot").privilege("read")).unwrap().id;
    let gone = create(&world.store, "gone").id;
    users.delete(gone).unwrap();
    let mut all = [ada, bob, robot];
    all.sort();
    let check = |filter: UserFilter, expect: &[UserId]| {
        // Ids of one millisecond are in the order of their random bits.
        let mut expect = expect.to_vec();
        expect.sort();
        let found = users.list(&filter, Page::default()).unwrap();
        let found: Vec<UserId> = found.iter().map(|user| user.id).collect();
        assert_eq!(found, expect, "{filter:?}");
        let all: Vec<UserId> = users.iter(&filter).map(|user| user.unwrap().id).collect();
        assert_eq!(all, expect, "{filter:?}");
        assert_eq!(users.count(&filter).unwrap(), expect.len() as u64, "{filter:?}");
    };
    let filter = UserFilter::new;
    check(filter(), &all);
    check(filter().text("BO"), &[bob, robot]);
    check(filter().status(UserStatus::Locked), &[bob]);
    check(filter().branch(york), &[ada]);
    check(filter().organisation(northern), &[ada]);
    check(filter().kind(UserKind::System), &[robot]);
    check(filter().privilege("admin"), &[ada]);
    check(filter().privilege("admin").kind(UserKind::System), &[]);
    check(filter().deleted(), &[gone]);
    world.refuses(ErrorKind::Invalid, |s| {
        s.users().list(&filter().privilege("A"), Page::default())
    });
}

#[test]
fn a_text_is_looked_for_in_names_and_address_and_never_across_two_of_them() {
    let world = World::new();
    let new = NewUser::person("countess").email("ada@example.com");
    world.store.users().create(new.first_name("Ada").last_name("Löwenherz_1")).unwrap();
    let found = |text: &str| {
        world.store.users().list(&UserFilter::new().text(text), Page::default()).unwrap().len()
    };
    for text in ["", "COUNT", "@EXAMPLE", "ada löwen", "LO\u{308}WEN", "z_1"] {
        assert_eq!(found(text), 1, "{text}");
    }
    for text in ["%", "z%", "c_untess", "ssada", "ss ada", "'", "bob"] {
        assert_eq!(found(text), 0, "{text}");
    }
    let users = world.store.users();
    let ada = users.find_by_username("countess").unwrap().unwrap().id;
    users.rename(ada, "king").unwrap();
    users.set_email(ada, None).unwrap();
    users.update(ada, UserUpdate::new().last_name("Byron")).unwrap();
    assert_eq!((found("king"), found("byron"), found("ada b")), (1, 1, 1));
    assert_eq!((found("countess"), found("example"), found("löwen")), (0, 0, 0));
    for text in ["ss\nada", &"a".repeat(255)] {
        let filter = UserFilter::new().text(text);
        world.refuses(ErrorKind::Invalid, |store| store.users().list(&filter, Page::default()));
        world.refuses(ErrorKind::Invalid, |store| store.users().count(&filter));
        let items: Vec<_> = users.iter(&filter).collect();
        assert!(matches!(items.as_slice(), [Err(error)] if error.kind() == ErrorKind::Invalid));
    }
}

/// A filter finds more than a login: by the default case folding, `\u{130}` is not a form of `i`.
#[test]
fn a_text_finds_names_with_a_dotted_capital_i_or_a_joiner() {
    let world = World::new();
    let joined = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}";
    let new = NewUser::person("fatma").first_name(joined).last_name("\u{130}stanbullu Y\u{131}ld");
    world.store.users().create(new).unwrap();
    let found = |text: &str| {
        world.store.users().list(&UserFilter::new().text(text), Page::default()).unwrap().len()
    };
    let plain = joined.replace('\u{200c}', "");
    for text in
        ["istanbul", "\u{130}STANBUL", "ISTANBUL", "yild", "YILD", joined, &plain, " fatma "]
    {
        assert_eq!(found(text), 1, "{text}");
    }
    assert_eq!(found(&format!("fatma\r\n{}", " ".repeat(300))), 1, "as it is pasted");
    world.refuses(ErrorKind::Invalid, |store| store.users().create(NewUser::person(joined)));
}

#[test]
fn a_list_is_read_page_by_page() {
    let world = World::new();
    let mut all: Vec<UserId> =
        (0..7).map(|n| create(&world.store, &format!("user {n}")).id).collect();
    all.sort();
    let mut page = Page::first(3);
    let mut read = Vec::new();
    loop {
        let rows = world.store.users().list(&UserFilter::new(), page).unwrap();
        read.extend(rows.iter().map(|user| user.id));
        match rows.last() {
            Some(last) => page = Page::after(last.id, 3),
            None => break,
        }
    }
    assert_eq!(read, all);
    let all = UserFilter::new();
    world.refuses(ErrorKind::Invalid, |s| s.users().list(&all, Page::first(0)));
}

#[test]
fn who_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let deleted = create(&world.store, "ada").id;
    world.store.users().delete(deleted).unwrap();
    for id in [unknown, deleted] {
        assert_eq!(world.store.users().find(id).unwrap(), None);
        world.refuses(ErrorKind::NotFound, |s| s.users().update(id, UserUpdate::new()));
        world.refuses(ErrorKind::NotFound, |s| s.users().set_privileges(id, &["admin"]));
        world.refuses(ErrorKind::NotFound, |s| s.users().unlock(id));
    }
}

#[test]
fn no_password_or_hash_is_ever_printed() {
    let plain = NewUser::person("ada").password(Password::from(PASSWORD));
    let hashed = NewUser::person("ada").password_hash("$argon2id$secret");
    for text in [format!("{plain:?}"), format!("{hashed:?}")] {
        assert!(!text.contains("horse") && !text.contains("argon2id"), "{text}");
    }
}

#[test]
fn any_text_is_stored_as_it_is_or_refused_without_a_trace() {
    let world = World::new();
    let ada = create(&world.store, "ada").id;
    proptest!(ProptestConfig::with_cases(64), |(text in "\\PC{0,40}|.{0,300}")| {
        let updates = [
            UserUpdate::new().first_name(&text),
            UserUpdate::new().last_name(&text),
            UserUpdate::new().description(&text),
            UserUpdate::new().attributes(&text),
        ];
        for update in updates {
            match world.store.users().update(ada, update.clone()) {
                Ok(user) => {
                    prop_assert_eq!(world.store.users().find(ada).unwrap(), Some(user));
                }
                Err(_) => world.refuses(ErrorKind::Invalid, |s| s.users().update(ada, update)),
            }
        }
        match world.store.users().create(NewUser::person(&text).email(&text)) {
            Ok(user) => world.store.users().delete(user.id).unwrap(),
            Err(_) => world.refuses(ErrorKind::Invalid, |s| {
                s.users().create(NewUser::person(&text).email(&text))
            }),
        }
        world.store.users().list(&UserFilter::new().text(&text), Page::default()).ok();
    });
}
