//! Users to try the server with.

use std::error::Error;

use gatepost::directory::{CreditHolder, UserFilter};
use gatepost::sessions::NewApiKey;
use gatepost::{NewUser, Store, Subtree};

use crate::page::USERS_LINK;

pub(crate) const PASSWORD: &str = "lantern over wet slate";

/// The key of the configuration that marks a store whose users have this password. It is in the
/// store, so that a copy has it as well.
const MARK: &str = "example.demo";

pub(crate) fn is_marked(store: &Store) -> Result<bool, gatepost::Error> {
    Ok(store.configuration().get(Subtree::Store, MARK)?.is_some())
}

/// Creates `root`, an administrator of everything; `carol`, who administers the branch York; `ada`,
/// `bob` and `eve` of that branch; and `robot`, a program that administers everything by the API
/// key that is printed; unless they are there. A store that has other users is left as it is.
pub(crate) fn create(store: &Store) -> Result<(), Box<dyn Error>> {
    if !is_marked(store)? {
        if store.users().count(&UserFilter::new())? > 0 {
            return Err("--demo creates users with a known password: this store has others".into());
        }
        store.configuration().set(Subtree::Store, MARK, "true")?;
    }
    if store.users().find_by_username("root")?.is_some() {
        return Ok(());
    }
    let northern = store.organisations().create("Northern")?.id;
    let york = store.branches().create("York", northern)?.id;
    store.credits().set(CreditHolder::Branch(york), 100)?;
    store.configuration().set(Subtree::Store, "autoDeleteEnabled", "False")?;
    store.configuration().set_public("autoDeleteEnabled", true)?;
    for (name, first, branch, privilege) in [
        ("root", "Ruth", None, Some("admin")),
        ("carol", "Carol", Some(york), Some(USERS_LINK)),
        ("ada", "Ada", Some(york), None),
        ("bob", "Bob", Some(york), None),
        ("eve", "Eve", Some(york), None),
    ] {
        let user = NewUser::person(name)
            .first_name(first)
            .email(format!("{name}@example.com"))
            .branch(branch)
            .privileges(privilege)
            .password(PASSWORD.into());
        let id = store.users().create(user)?.id;
        if name == "carol" {
            store.users().grant_administration(id, york)?;
        }
    }
    println!("demo users root, carol, ada, bob, eve; password: {PASSWORD}");
    let robot = store.users().create(NewUser::system("robot").privilege("admin"))?.id;
    let issued = store.api_keys().issue(robot, NewApiKey::new())?;
    println!("demo program robot; API key: {}", issued.key.expose());
    Ok(())
}
