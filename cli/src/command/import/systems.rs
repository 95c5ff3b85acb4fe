//! Records of other systems, in the form that the recipes of the manual's page `moving` write.

use std::collections::HashMap;

use gatepost::directory::{ImportRecord, UserStatus};
use gatepost::{NewUser, Timestamp};

use super::fields::{Fields, Taken, user_id};

/// The privilege of administrators.
const ADMIN: &str = "admin";

/// A line of `dumpdata`; `None` for one that is no user. The model of a user is the one that has a
/// password, so it may be of the project's own.
pub(super) fn django(mut line: Fields, named: &mut Privileges) -> Taken<Option<ImportRecord>> {
    let key = line.required("pk").map_err(|_| "pk is missing: dump without --natural-primary")?;
    let mut fields = line.object("fields")?;
    if !fields.has("password") {
        return Ok(None);
    }
    let email = fields.text("email")?;
    let username = match fields.text("username")? {
        Some(username) => username,
        None => email.clone().ok_or("neither username nor email is there")?,
    };
    let mut privileges = Vec::new();
    if fields.flag("is_superuser")? == Some(true) {
        privileges.push(ADMIN.to_owned());
    }
    if fields.flag("is_staff")? == Some(true) {
        privileges.push("staff".to_owned());
    }
    for group in fields.natural_keys("groups")? {
        match group.as_slice() {
            [name] => privileges.push(named.privilege("group:", name)?),
            _ => return Err("groups has something that is no group".to_owned()),
        }
    }
    for permission in fields.natural_keys("user_permissions")? {
        match permission.as_slice() {
            [name, application, _] => {
                privileges.push(named.privilege("", &format!("{application}.{name}"))?);
            }
            _ => return Err("user_permissions has something that is no permission".to_owned()),
        }
    }
    // What begins with an exclamation mark is no hash: the user cannot log in with a password.
    let hash = fields.text("password")?.filter(|hash| !hash.starts_with('!'));
    let user = person(username, email, hash)
        .first_name(fields.text("first_name")?.unwrap_or_default())
        .last_name(fields.text("last_name")?.unwrap_or_default())
        .privileges(privileges)
        .status(status(fields.flag("is_active")?.unwrap_or(true)));
    let created_at = fields.time("date_joined")?;
    Ok(Some(record(user_id("django", &key), user, created_at, None)))
}

/// The username of a row, or its e-mail address in the place of one.
fn username(row: &mut Fields, email: Option<&str>) -> Taken<String> {
    let name = row.text("username")?.or_else(|| email.map(str::to_owned));
    Ok(name.ok_or("neither username nor email is there")?)
}

/// A row of an auth collection: `id`, `email`, `username`, `name`, `password`, `verified`,
/// `created`, and `admin` for a superuser.
pub(super) fn pocketbase(mut row: Fields) -> Taken<ImportRecord> {
    let id = user_id("pocketbase", &row.required("id")?);
    let email = row.text("email")?;
    let username = username(&mut row, email.as_deref())?;
    let hash = row.text("password")?;
    let admin = row.flag("admin")?.unwrap_or(false);
    let user = person(username, email, hash)
        .first_name(row.text("name")?.unwrap_or_default())
        .privileges(admin.then_some(ADMIN));
    let created_at = row.time("created")?;
    let verified = row.flag("verified")?.unwrap_or(false);
    row.finish()?;
    Ok(record(id, user, created_at, created_at.filter(|_| verified)))
}

/// A row of `user`, with the `password` of its `account` whose provider is `credential`.
pub(super) fn better_auth(mut row: Fields) -> Taken<ImportRecord> {
    let id = user_id("better-auth", &row.required("id")?);
    let email = row.required("email")?;
    let username = row.text("username")?.unwrap_or_else(|| email.clone());
    let hash = row.text("password")?;
    let is_admin = row.text("role")?.is_some_and(|role| role.split(',').any(|one| one == ADMIN));
    let user = person(username, Some(email), hash)
        .first_name(row.text("name")?.unwrap_or_default())
        .privileges(is_admin.then_some(ADMIN))
        .status(status(!row.flag("banned")?.unwrap_or(false)));
    let created_at = row.time("createdAt")?;
    let verified = row.flag("emailVerified")?.unwrap_or(false);
    row.finish()?;
    Ok(record(id, user, created_at, created_at.filter(|_| verified)))
}

/// A row of the program's own table of users: `id`, `username`, `email`, `password`, `created_at`,
/// `admin`.
pub(super) fn tower_sessions(mut row: Fields) -> Taken<ImportRecord> {
    let id = user_id("tower-sessions", &row.required("id")?);
    let email = row.text("email")?;
    let username = username(&mut row, email.as_deref())?;
    let hash = row.text("password")?;
    let admin = row.flag("admin")?.unwrap_or(false);
    let user = person(username, email, hash).privileges(admin.then_some(ADMIN));
    let created_at = row.time("created_at")?;
    row.finish()?;
    Ok(record(id, user, created_at, None))
}

fn person(username: String, email: Option<String>, hash: Option<String>) -> NewUser {
    NewUser::person(username)
        .email(email.unwrap_or_default())
        .password_hash(hash.unwrap_or_default())
}

fn record(
    id: gatepost::UserId,
    user: NewUser,
    created_at: Option<Timestamp>,
    confirmed_at: Option<Timestamp>,
) -> ImportRecord {
    ImportRecord::User { id, user: Box::new(user), created_at, confirmed_at }
}

const fn status(is_active: bool) -> UserStatus {
    if is_active { UserStatus::Active } else { UserStatus::Disabled }
}

/// The privileges that names of Django have become, each with its name: two names never become the
/// same privilege.
#[derive(Default)]
pub(super) struct Privileges(HashMap<String, String>);

impl Privileges {
    /// The prefix and the name, in lower case and with hyphens in the place of spaces.
    fn privilege(&mut self, prefix: &str, name: &str) -> Taken<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        if !name.chars().all(|c| is_plain(c) || c == ' ') {
            return Err(format!(
                "{name:?} cannot be a privilege: rename it to ASCII letters, digits, spaces, ._:-"
            ));
        }
        let privilege = format!("{prefix}{name}").to_ascii_lowercase().replace(' ', "-");
        let first = self.0.entry(privilege.clone()).or_insert_with(|| name.to_owned());
        if first != name {
            return Err(format!(
                "{first:?} and {name:?} would be one privilege, {privilege}: rename one of them"
            ));
        }
        Ok(privilege)
    }
}
