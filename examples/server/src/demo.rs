//! Users to try the server with.

use gatepost::{Error, NewUser, Store};

pub(crate) const PASSWORD: &str = "lantern over wet slate";

/// Creates `root`, an administrator of all; `carol`, an administrator of the branch York; and
/// `ada`, `bob` and `eve` of that branch, unless they are there.
pub(crate) fn create(store: &Store) -> Result<(), Error> {
    if store.users().find_by_username("root")?.is_some() {
        return Ok(());
    }
    let york = store.branches().create("York", None)?.id;
    for (name, first, branch) in [
        ("root", "Ruth", None),
        ("carol", "Carol", Some(york)),
        ("ada", "Ada", Some(york)),
        ("bob", "Bob", Some(york)),
        ("eve", "Eve", Some(york)),
    ] {
        let is_admin = matches!(name, "root" | "carol");
        let user = NewUser::person(name)
            .first_name(first)
            .email(format!("{name}@example.com"))
            .branch(branch)
            .privileges(is_admin.then_some("admin"))
            .password(PASSWORD.into());
        store.users().create(user)?;
    }
    println!("demo users root, carol, ada, bob, eve; password: {PASSWORD}");
    Ok(())
}
