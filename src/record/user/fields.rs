//! The fields and privileges that a new user has and that updates change.

use super::{User, search_key};
use crate::error::{Error, Result};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::limits::{
    ATTRIBUTES_MAX_BYTES, DESCRIPTION_MAX_BYTES, DISPLAY_NAME_MAX_BYTES, PRIVILEGES_PER_USER_MAX,
};
use crate::value::name::{JsonText, Privilege, prose, text};

/// Fields that a new user may have and that an update may change. An empty text is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UserFields {
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) desktop_client_denied: Option<bool>,
    pub(super) attributes: Option<String>,
}

impl UserFields {
    pub(super) fn checked(self) -> Result<Self> {
        const FIRST: &str = "the first name is longer than 256 bytes or has control characters";
        const LAST: &str = "the last name is longer than 256 bytes or has control characters";
        const PROSE: &str = "the description is longer than 4,096 bytes or has control characters";
        const JSON: &str = "the attributes are longer than 16,384 bytes or not valid JSON";
        let name = |value: Option<String>, what| {
            value.map(|value| text(&value, what, DISPLAY_NAME_MAX_BYTES)).transpose()
        };
        let described = |value: String| prose(&value, PROSE, DESCRIPTION_MAX_BYTES);
        let document = |json: String| match json.as_str() {
            "" => Ok(json),
            text => JsonText::new(text, JSON, ATTRIBUTES_MAX_BYTES)
                .map(|json| json.as_str().to_owned()),
        };
        Ok(Self {
            first_name: name(self.first_name, FIRST)?,
            last_name: name(self.last_name, LAST)?,
            description: self.description.map(described).transpose()?,
            desktop_client_denied: self.desktop_client_denied,
            attributes: self.attributes.map(document).transpose()?,
        })
    }

    pub(super) fn apply(&self, user: &mut User) {
        let put = |from: &Option<String>, to: &mut Option<String>| {
            if let Some(text) = from {
                *to = Some(text.clone()).filter(|text| !text.is_empty());
            }
        };
        put(&self.first_name, &mut user.first_name);
        put(&self.last_name, &mut user.last_name);
        put(&self.description, &mut user.description);
        put(&self.attributes, &mut user.attributes);
        if let Some(denied) = self.desktop_client_denied {
            user.desktop_client_denied = denied;
        }
    }
}

/// Checks that the attributes are JSON by SQLite's own rule, which the schema applies as well.
pub(super) fn json_is_valid(tx: &ReadTx<'_>, fields: &UserFields) -> Result<()> {
    let Some(json) = fields.attributes.as_deref().filter(|json| !json.is_empty()) else {
        return Ok(());
    };
    if tx.is_json(json)? {
        return Ok(());
    }
    Err(Error::invalid("the attributes are not valid JSON"))
}

pub(super) fn grant(tx: &WriteTx<'_>, id: UserId, name: &Privilege) -> Result<()> {
    tx.execute(
        "INSERT INTO user_privilege (user_id, name) VALUES (?1, ?2)",
        params![id, name.as_str()],
    )
    .map(drop)
}

pub(super) fn withdraw(tx: &WriteTx<'_>, id: UserId, name: &str) -> Result<()> {
    tx.execute("DELETE FROM user_privilege WHERE user_id = ?1 AND name = ?2", params![id, name])
        .map(drop)
}

/// The event of privileges that a user got or lost: one line of them, each after its sign.
pub(super) fn privileges_changed(id: UserId, line: String) -> Event {
    Event::new(EventKind::UserPrivilegesChanged).user(id).detail(line)
}

pub(super) fn store_fields(tx: &WriteTx<'_>, user: &User) -> Result<()> {
    let search_key = search_key(
        &user.username,
        user.email.as_deref(),
        user.first_name.as_deref(),
        user.last_name.as_deref(),
    );
    tx.execute(
        "UPDATE user SET first_name = ?2, last_name = ?3, description = ?4,
             desktop_client_denied = ?5, attributes = ?6, search_key = ?7,
             names_version = names_version + 1
         WHERE id = ?1",
        params![
            user.id,
            user.first_name,
            user.last_name,
            user.description,
            user.desktop_client_denied,
            user.attributes,
            search_key
        ],
    )
    .map(drop)
}

/// The privileges, checked, each once.
pub(super) fn privileges<P: AsRef<str>>(names: &[P]) -> Result<Vec<Privilege>> {
    let mut privileges =
        names.iter().map(|name| Privilege::parse(name.as_ref())).collect::<Result<Vec<_>>>()?;
    privileges.sort();
    privileges.dedup();
    if privileges.len() > PRIVILEGES_PER_USER_MAX {
        return Err(Error::invalid("the privileges are more than the 64 that a user may have"));
    }
    Ok(privileges)
}
