//! Passwords as they are stored.

use gatepost::{NewUser, Password};

use crate::world::{PASSWORD, World};

#[test]
fn a_password_is_stored_as_a_hash_alone() {
    let world = World::new();
    let new = NewUser::person("ada").password(Password::from(PASSWORD));
    world.store.users().create(new).unwrap();
    let sql = world.sql();
    let phc: String = sql.query_row("SELECT phc FROM credential", [], |row| row.get(0)).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
    drop(sql);
    world.store.close().unwrap();
    let file = std::fs::read(&world.path).unwrap();
    assert!(!file.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()));
}

#[test]
fn an_empty_password_is_none() {
    let world = World::new();
    let users = world.store.users();
    users.create(NewUser::person("ada").password(Password::from(""))).unwrap();
    users.create(NewUser::person("bob").password_hash("")).unwrap();
    assert_eq!(world.count("SELECT count(*) FROM credential"), 0);
}

#[test]
fn a_version_never_returns_even_after_a_removal() {
    let world = World::new();
    let users = world.store.users();
    let ada = users.create(NewUser::person("ada").password(Password::from(PASSWORD))).unwrap().id;
    let version = || world.count("SELECT version FROM credential");
    let mut seen = vec![version()];
    users.set_password(ada, Password::from("another horse")).unwrap();
    seen.push(version());
    users.mark_compromised(ada).unwrap();
    seen.push(version());
    for _ in 0..3 {
        users.remove_password(ada).unwrap();
        users.set_password(ada, Password::from("a third horse")).unwrap();
        seen.push(version());
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}
