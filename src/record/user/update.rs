//! Changing what is known about a user, and what it may do.

use super::new::privileges;
use super::{User, Users, existing, search_key};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::throttle;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::limits::{ATTRIBUTES_MAX_BYTES, DESCRIPTION_MAX_BYTES, DISPLAY_NAME_MAX_BYTES};
use crate::value::name::{JsonText, Privilege, prose, text};

/// Changes to a user; what is not named stays. An empty text removes what was there.
///
/// Name, e-mail address, status, branch and privileges have calls of their own, as other things
/// follow from them.
///
/// ```
/// use gatepost::{NewUser, Options, Store, UserUpdate};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let ada = store.users().create(NewUser::person("ada").last_name("Byron"))?;
/// let ada = store.users().update(ada.id, UserUpdate::new().last_name("King"))?;
/// assert_eq!(ada.last_name.as_deref(), Some("King"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct UserUpdate {
    fields: Fields,
}

impl UserUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first name, at most 256 bytes.
    pub fn first_name(mut self, first_name: impl Into<String>) -> Self {
        self.fields.first_name = Some(first_name.into());
        self
    }

    /// The last name, at most 256 bytes.
    pub fn last_name(mut self, last_name: impl Into<String>) -> Self {
        self.fields.last_name = Some(last_name.into());
        self
    }

    /// The description, at most 4,096 bytes.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.fields.description = Some(description.into());
        self
    }

    /// Whether desktop clients are turned away.
    pub fn desktop_client_denied(mut self, denied: bool) -> Self {
        self.fields.desktop_client_denied = Some(denied);
        self
    }

    /// The JSON document of the host's, at most 16,384 bytes.
    pub fn attributes(mut self, json: impl Into<String>) -> Self {
        self.fields.attributes = Some(json.into());
        self
    }
}

impl Users<'_> {
    /// Changes fields of a user; answers how it stands now.
    ///
    /// # Errors
    /// `Invalid` (a text), `NotFound`, `Busy`, `Full`, `Io`.
    pub fn update(&self, id: UserId, update: UserUpdate) -> Result<User> {
        let fields = update.fields.checked()?;
        self.store.write(|tx| {
            json_is_valid(tx, &fields)?;
            let before = existing(tx, id)?;
            let mut after = before.clone();
            fields.apply(&mut after);
            if after == before {
                return Ok(Written::Nothing(before));
            }
            store_fields(tx, &after)?;
            Ok(Written::With(after, Event::new(EventKind::UserUpdated).user(id)))
        })
    }

    /// Gives the user these privileges and no others; answers how it stands now. Sessions go on,
    /// and the next verify reports the new facts.
    ///
    /// # Errors
    /// `Invalid` (a name that is not 1 to 64 of `a-z 0-9 . _ : -`, or more than 64 names),
    /// `NotFound`, `Busy`, `Full`, `Io`.
    pub fn set_privileges(&self, id: UserId, names: &[&str]) -> Result<User> {
        let wanted = privileges(names)?;
        self.store.write(|tx| {
            let mut user = existing(tx, id)?;
            let is_wanted = |name: &String| wanted.iter().any(|wanted| wanted.as_str() == name);
            let has = |name: &&Privilege| user.privileges.iter().any(|own| own == name.as_str());
            // Only what differs is written: an administrator who stays one changes nothing.
            let gone: Vec<&String> = user.privileges.iter().filter(|n| !is_wanted(n)).collect();
            let come: Vec<&Privilege> = wanted.iter().filter(|name| !has(name)).collect();
            if gone.is_empty() && come.is_empty() {
                return Ok(Written::Nothing(user));
            }
            let mut detail = Vec::new();
            for name in gone {
                withdraw(tx, id, name)?;
                detail.push(["-", name.as_str()].concat());
            }
            for name in come {
                grant(tx, id, name)?;
                detail.push(["+", name.as_str()].concat());
            }
            user.privileges = wanted.iter().map(|name| name.as_str().to_owned()).collect();
            let event = Event::new(EventKind::UserPrivilegesChanged).user(id);
            Ok(Written::With(user, event.detail(detail.join(" "))))
        })
    }

    /// Forgives the user's failed attempts, from everywhere, and ends every wait; false if there
    /// was nothing to forgive. Needs no session.
    ///
    /// # Errors
    /// `NotFound`, `Busy`, `Full`, `Io`.
    pub fn unlock(&self, id: UserId) -> Result<bool> {
        self.store.write(|tx| {
            let key = super::username_key(tx, id)?.ok_or_else(super::gone)?;
            if !throttle::clear(tx, &key, id)? {
                return Ok(Written::Nothing(false));
            }
            Ok(Written::With(true, Event::new(EventKind::AttemptsUnlocked).user(id)))
        })
    }
}

/// Fields that a new user may have and that an update may change. An empty text is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) desktop_client_denied: Option<bool>,
    pub(super) attributes: Option<String>,
}

impl Fields {
    pub(super) fn checked(self) -> Result<Self> {
        const FIRST: &str = "the first name is too long or has control characters";
        const LAST: &str = "the last name is too long or has control characters";
        const PROSE: &str = "the description is too long or has control characters";
        const JSON: &str = "the attributes are too long or not JSON";
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

    fn apply(&self, user: &mut User) {
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

/// Whether the attributes are JSON, as the file's own rule sees it.
pub(super) fn json_is_valid(tx: &ReadTx<'_>, fields: &Fields) -> Result<()> {
    let Some(json) = fields.attributes.as_deref().filter(|json| !json.is_empty()) else {
        return Ok(());
    };
    if tx.is_json(json)? {
        return Ok(());
    }
    Err(Error::invalid("the attributes are not JSON"))
}

pub(super) fn grant(tx: &WriteTx<'_>, id: UserId, name: &Privilege) -> Result<()> {
    tx.execute(
        "INSERT INTO user_privilege (user_id, name) VALUES (?1, ?2)",
        params![id, name.as_str()],
    )
    .map(drop)
}

fn withdraw(tx: &WriteTx<'_>, id: UserId, name: &str) -> Result<()> {
    tx.execute("DELETE FROM user_privilege WHERE user_id = ?1 AND name = ?2", params![id, name])
        .map(drop)
}

fn store_fields(tx: &WriteTx<'_>, user: &User) -> Result<()> {
    let search_key = search_key(
        &user.username,
        user.email.as_deref(),
        user.first_name.as_deref(),
        user.last_name.as_deref(),
    );
    tx.execute(
        "UPDATE user SET first_name = ?2, last_name = ?3, description = ?4,
             desktop_client_denied = ?5, attributes = ?6, search_key = ?7
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
