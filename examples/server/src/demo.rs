//! Users to try the server with.

use gatepost::{Error, NewUser, Store};

use crate::page::USERS_LINK;

pub(crate) const PASSWORD: &str = "lantern over wet slate";

/// Creates `root`, an administrator of everything; `carol`, who administers the branch York; and
/// `ada`, `bob` and `eve` of that branch, unless they are there.
pub(crate) fn create(store: &Store) -> Result<(), Error> {
    if store.users().find_by_username("root")?.is_some() {
        return Ok(());
    }
    let york = store.branches().create("York", None)?.id;
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
    Ok(())
}
