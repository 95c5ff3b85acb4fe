//! Records in the form of `gatepost export`.

use gatepost::directory::{ImportRecord, UserStatus};
use gatepost::{NewUser, Subtree};

use super::fields::{Fields, Taken, branch_id, organisation_id, user_id};

const SYSTEM: &str = "gatepost";

/// The version of the form that this command reads.
const VERSION: &str = "1";

/// A record; `None` for the first line, which says the version of the form.
pub(super) fn read(mut fields: Fields) -> Taken<Option<ImportRecord>> {
    let kind = fields.text("type")?;
    let record = match kind.as_deref() {
        Some("gatepost") => match fields.required("version")?.as_str() {
            VERSION => return fields.finish().map(|()| None),
            _ => return Err("the form of the file is not of version 1".to_owned()),
        },
        Some("organisation") => organisation(&mut fields)?,
        Some("branch") => branch(&mut fields)?,
        Some("user") | None => user(&mut fields)?,
        Some("setting") => setting(&mut fields)?,
        Some(_) => {
            return Err("type is none of organisation, branch, user and setting".to_owned());
        }
    };
    fields.finish()?;
    Ok(Some(record))
}

fn organisation(fields: &mut Fields) -> Taken<ImportRecord> {
    let name = fields.required("name")?;
    Ok(ImportRecord::Organisation {
        id: organisation_id(&fields.text("id")?.unwrap_or_else(|| name.trim().to_owned())),
        name,
        active: fields.flag("active")?.unwrap_or(true),
        credits: fields.whole("credits")?,
        created_at: fields.time("created_at")?,
    })
}

fn branch(fields: &mut Fields) -> Taken<ImportRecord> {
    let name = fields.required("name")?;
    Ok(ImportRecord::Branch {
        id: branch_id(&fields.text("id")?.unwrap_or_else(|| name.trim().to_owned())),
        organisation: fields.text("organisation")?.map(|id| organisation_id(&id)),
        name,
        active: fields.flag("active")?.unwrap_or(true),
        credits: fields.whole("credits")?,
        created_at: fields.time("created_at")?,
    })
}

fn user(fields: &mut Fields) -> Taken<ImportRecord> {
    let username = fields.required("username")?;
    let id = fields.text("id")?.unwrap_or_else(|| username.trim().to_owned());
    let user = match fields.text("kind")?.as_deref() {
        None | Some("person") => NewUser::person(username),
        Some("system") => NewUser::system(username),
        Some(_) => return Err("kind is neither person nor system".to_owned()),
    };
    let status = match fields.text("status")?.as_deref() {
        None | Some("active") => UserStatus::Active,
        Some("pending") => UserStatus::Pending,
        Some("locked") => UserStatus::Locked,
        Some("disabled") => UserStatus::Disabled,
        Some(_) => {
            return Err("status is none of pending, active, locked and disabled".to_owned());
        }
    };
    let mut user = user
        .status(status)
        .email(fields.text("email")?.unwrap_or_default())
        .first_name(fields.text("first_name")?.unwrap_or_default())
        .last_name(fields.text("last_name")?.unwrap_or_default())
        .description(fields.text("description")?.unwrap_or_default())
        .branch(fields.text("branch")?.map(|id| branch_id(&id)))
        .privileges(fields.list("privileges")?)
        .desktop_client_denied(fields.flag("desktop_client_denied")?.unwrap_or(false))
        .password_hash(fields.text("password_hash")?.unwrap_or_default());
    if let Some(attributes) = fields.text("attributes")? {
        user = user.attributes(attributes);
    }
    if fields.flag("must_change_password")? == Some(true) {
        user = user.must_change_password();
    }
    Ok(ImportRecord::User {
        id: user_id(SYSTEM, &id),
        user: Box::new(user),
        created_at: fields.time("created_at")?,
        confirmed_at: fields.time("confirmed_at")?,
    })
}

/// The scope is `store`, or a kind and an id: `branch york`.
fn setting(fields: &mut Fields) -> Taken<ImportRecord> {
    let scope = fields.required("scope")?;
    let scope = match scope.split_once(' ') {
        None if scope == "store" => Subtree::Store,
        Some(("organisation", id)) => Subtree::Organisation(organisation_id(id)),
        Some(("branch", id)) => Subtree::Branch(branch_id(id)),
        Some(("user", id)) => Subtree::User(user_id(SYSTEM, id)),
        _ => {
            return Err(
                "scope is none of: store, organisation ID, branch ID and user ID".to_owned()
            );
        }
    };
    Ok(ImportRecord::Setting {
        scope,
        key: fields.required("key")?,
        value: fields.text("value")?.unwrap_or_default(),
        public: fields.flag("public")?.unwrap_or(false),
    })
}
