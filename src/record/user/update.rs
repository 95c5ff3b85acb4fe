//! Changing what is known about a user, and what it may do.

use super::fields::{Fields, grant, json_is_valid, privileges, store_fields, withdraw};
use super::{User, Users, existing};
use crate::error::Result;
use crate::record::audit::Written;
use crate::record::throttle;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::name::Privilege;

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
