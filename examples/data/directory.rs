//! Reads `directory.json` into a store, by the public API alone.

use std::collections::HashMap;
use std::error::Error;

use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::{BranchId, NewUser, OrganisationId, Store, Subtree, UserId};
use serde_json::Value;

/// What was loaded: the id of each name in the data.
#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) organisations: HashMap<String, OrganisationId>,
    pub(crate) branches: HashMap<String, BranchId>,
    pub(crate) users: HashMap<String, UserId>,
    pub(crate) settings: usize,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Fills an empty store. Each call is one commit, which survives a power loss.
pub(crate) fn load(store: &Store, json: &str) -> Result<Directory> {
    let data: Value = serde_json::from_str(json)?;
    let mut directory = Directory::default();
    for organisation in list(&data, "organisations")? {
        let created = store.organisations().create(text(organisation, "name")?)?;
        if let Some(credits) = organisation.get("credits").and_then(Value::as_u64) {
            store.credits().set(CreditHolder::Organisation(created.id), credits)?;
        }
        if !flag(organisation, "active") {
            store.organisations().set_active(created.id, false)?;
        }
        directory.organisations.insert(created.name, created.id);
    }
    for branch in list(&data, "branches")? {
        let organisation = match optional(branch, "organisation") {
            Some(name) => Some(id(&directory.organisations, name)?),
            None => None,
        };
        let created = store.branches().create(text(branch, "name")?, organisation)?;
        if let Some(credits) = branch.get("credits").and_then(Value::as_u64) {
            store.credits().set(CreditHolder::Branch(created.id), credits)?;
        }
        if !flag(branch, "active") {
            store.branches().set_active(created.id, false)?;
        }
        directory.branches.insert(created.name, created.id);
    }
    for user in list(&data, "users")? {
        let created = store.users().create(new_user(user, &directory)?)?;
        directory.users.insert(created.username, created.id);
    }
    for key in list(&data, "public_configuration_keys")? {
        store.configuration().set_public(key.as_str().ok_or("a key is not a text")?, true)?;
    }
    for setting in list(&data, "configuration")? {
        let scope = scope(setting, &directory)?;
        store.configuration().set(scope, text(setting, "key")?, text(setting, "value")?)?;
        directory.settings += 1;
    }
    Ok(directory)
}

fn new_user(user: &Value, directory: &Directory) -> Result<NewUser> {
    let username = text(user, "username")?;
    let mut new = match text(user, "kind")? {
        "system" => NewUser::system(username),
        _ => NewUser::person(username),
    };
    if let Some(email) = optional(user, "email") {
        new = new.email(email);
    }
    if let Some(first_name) = optional(user, "first_name") {
        new = new.first_name(first_name);
    }
    if let Some(last_name) = optional(user, "last_name") {
        new = new.last_name(last_name);
    }
    if let Some(description) = optional(user, "description") {
        new = new.description(description);
    }
    if let Some(branch) = optional(user, "branch") {
        new = new.branch(id(&directory.branches, branch)?);
    }
    if let Some(hash) = optional(user, "password_hash") {
        new = new.password_hash(hash);
    }
    if flag(user, "must_change") {
        new = new.must_change_password();
    }
    let privileges = list(user, "privileges")?.iter().filter_map(Value::as_str);
    Ok(new
        .privileges(privileges)
        .desktop_client_denied(flag(user, "desktop_client_denied"))
        .status(match text(user, "status")? {
            "active" => UserStatus::Active,
            "pending" => UserStatus::Pending,
            "locked" => UserStatus::Locked,
            "disabled" => UserStatus::Disabled,
            other => return Err(format!("no such status: {other}").into()),
        }))
}

fn scope(setting: &Value, directory: &Directory) -> Result<Subtree> {
    let of = optional(setting, "of").unwrap_or_default();
    Ok(match text(setting, "scope")? {
        "system" => Subtree::Store,
        "organisation" => Subtree::Organisation(id(&directory.organisations, of)?),
        "branch" => Subtree::Branch(id(&directory.branches, of)?),
        "user" => Subtree::User(id(&directory.users, of)?),
        other => return Err(format!("no such scope: {other}").into()),
    })
}

/// The id of the entry with this name.
pub(crate) fn id<Id: Copy>(ids: &HashMap<String, Id>, name: &str) -> Result<Id> {
    ids.get(name).copied().ok_or_else(|| format!("nothing is called {name}").into())
}

fn list<'v>(value: &'v Value, member: &str) -> Result<&'v [Value]> {
    let list = value.get(member).and_then(Value::as_array);
    list.map(Vec::as_slice).ok_or_else(|| format!("{member} is not a list").into())
}

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str> {
    optional(value, member).ok_or_else(|| format!("{member} is not a text").into())
}

fn optional<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).and_then(Value::as_str)
}

fn flag(value: &Value, member: &str) -> bool {
    value.get(member).and_then(Value::as_bool).unwrap_or(false)
}
