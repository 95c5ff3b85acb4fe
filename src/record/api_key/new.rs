//! A key to be issued or attenuated: its label, its expiry, and the scopes that it is limited to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::scopes_of;
use crate::error::{Error, Result};
use crate::record::proof::lineage;
use crate::storage::ReadTx;
use crate::value::id::UserId;
use crate::value::limits::{API_KEY_ANCESTORS_MAX, LABEL_MAX_BYTES, PRIVILEGES_PER_USER_MAX};
use crate::value::name::{Privilege, text};
use crate::value::principal::{Credential, Principal};
use crate::value::target::Lineage;
use crate::value::time::{Deadline, Timestamp};

/// An API key to be issued or attenuated. Without further calls it has no label, does not expire
/// before its parent, and may do all that its parent may, or its user if it has no parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct NewApiKey {
    label: Option<String>,
    end: Option<Deadline>,
    scopes: Option<Vec<String>>,
}

impl NewApiKey {
    /// A key without a label, an expiry and scopes of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scopes: the only privileges that the key may use, and only while its user has them. At
    /// most 64 names of 1 to 64 of `a-z 0-9 . _ : -`; an empty set makes a key that verifies and
    /// may do nothing. The last call counts. Scopes never change: also a rotated key keeps them.
    ///
    /// A privilege that the user gets later is used if the scopes have its name. The key of an
    /// administrator is one ([`Principal::is_admin`](crate::Principal::is_admin)) only if its
    /// scopes have `admin`.
    ///
    /// ```
    /// use gatepost::sessions::NewApiKey;
    /// use gatepost::{NewUser, Permission};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let robot = NewUser::system("robot").privileges(["reports.read", "reports.write"]);
    /// let robot = store.users().create(robot)?.id;
    /// let key = store.api_keys().issue(robot, NewApiKey::new().scopes(["reports.read"]))?.key;
    /// let principal = store.verify((&key, None))?.valid()?;
    /// assert_eq!(store.may(&principal, "reports.read")?, Permission::Granted);
    /// assert_eq!(store.may(&principal, "reports.write")?, Permission::Denied);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: Some(scopes.into_iter().map(Into::into).collect()), ..self }
    }

    /// The label that lists show: one line of at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// How long the key is valid from its issue, by the store's clock: more than zero. The last
    /// call of this or [`expires_at`](Self::expires_at) counts.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let day = Duration::from_secs(86_400);
    /// store.api_keys().issue(mailer, NewApiKey::new().lifetime(day))?;
    /// let key = &store.api_keys().list(mailer)?[0];
    /// assert_eq!(key.expires_at, Some(key.issued_at + day));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { end: Some(Deadline::After(lifetime)), ..self }
    }

    /// The first moment at which the key is expired; with `None` it does not expire. The last call
    /// of this or [`lifetime`](Self::lifetime) counts.
    pub fn expires_at(self, at: impl Into<Option<Timestamp>>) -> Self {
        Self { end: at.into().map(Deadline::At), ..self }
    }
}

/// A key to be issued, checked.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(super) label: Option<String>,
    pub(super) end: Option<Deadline>,
    pub(super) scopes: Option<Scopes>,
}

impl Draft {
    pub(crate) fn of(new: NewApiKey, now: Timestamp) -> Result<Self> {
        let end = new.end;
        if end.is_some_and(|end| end.of(now) <= now) {
            return Err(Error::invalid(
                "the API key's lifetime or expires_at is not in the future",
            ));
        }
        let what = "the API key's label is longer than 128 bytes or has control characters";
        let label = new.label.map(|label| text(&label, what, LABEL_MAX_BYTES)).transpose()?;
        let scopes = new.scopes.map(Scopes::parse).transpose()?;
        Ok(Self { label, end, scopes })
    }

    /// The scopes; `None` if the key may do all that its user may.
    pub(crate) fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.scopes.as_ref()?;
        Some(scopes.names().map(str::to_owned).collect())
    }

    /// The draft of a key that can do no more than its parent, and expires no later.
    pub(crate) fn within(self, parent: &Parent, now: Timestamp) -> Result<Self> {
        let scopes = match (self.scopes, &parent.scopes) {
            (Some(asked), Some(own)) if !asked.are_in(own) => {
                return Err(Error::invalid(
                    "the scopes of an attenuated API key have a name that its parent's lack",
                ));
            }
            (asked, own) => asked.or_else(|| own.clone()),
        };
        Ok(Self { scopes, ..self }.until(parent.expires_at, now))
    }

    /// A draft that ends at `latest`, if that is earlier.
    pub(super) fn until(self, latest: Option<Timestamp>, now: Timestamp) -> Self {
        let own = self.end.map(|end| end.of(now));
        let end = own.into_iter().chain(latest).min().map(Deadline::At);
        Self { end, ..self }
    }
}

/// The scopes of a key, as the file has them: sorted names, separated by spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes(pub(super) String);

impl Scopes {
    fn parse(names: Vec<String>) -> Result<Self> {
        let names: BTreeSet<String> = names.into_iter().collect();
        if names.len() > PRIVILEGES_PER_USER_MAX {
            return Err(Error::invalid("the API key has more than 64 scopes"));
        }
        if names.iter().any(|name| Privilege::check(name).is_err()) {
            return Err(Error::invalid(
                "a scope of the API key is not 1 to 64 of a-z, 0-9, dot, underscore, colon, dash",
            ));
        }
        Ok(Self(Vec::from_iter(names).join(" ")))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }

    fn are_in(&self, other: &Self) -> bool {
        self.names().all(|name| other.names().any(|own| own == name))
    }
}

/// What an attenuated key is made from.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) user: UserId,
    expires_at: Option<Timestamp>,
    scopes: Option<Scopes>,
    /// The lineage of the key that is made: the parent is its last member.
    pub(crate) lineage: Lineage,
}

impl Parent {
    /// The session or key of this principal, which this transaction has read as live.
    ///
    /// # Errors
    /// `LimitReached` if a key that is made from it would have too many ancestors.
    pub(crate) fn of(tx: &ReadTx<'_>, live: &Principal) -> Result<Self> {
        let credential = live.credential;
        let mut lineage = lineage(tx, credential)?.unwrap_or_default();
        let scopes = match credential {
            Credential::Session(id) => {
                lineage.session = Some(id);
                None
            }
            Credential::ApiKey(id) => {
                lineage.keys.push(id);
                scopes_of(tx, id)?
            }
        };
        if lineage.keys.len() > API_KEY_ANCESTORS_MAX {
            return Err(Error::limit_reached("an attenuated API key has at most 8 keys above it")
                .advising("Attenuate a key that is nearer to the first one of its chain."));
        }
        Ok(Self { user: live.user, expires_at: live.expires_at, scopes, lineage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set_of_names() {
        let parse =
            |names: &[&str]| Scopes::parse(names.iter().map(|&name| name.into()).collect());
        let two = parse(&["b", "a", "b"]).unwrap();
        assert_eq!(two, Scopes("a b".into()));
        assert!(parse(&[]).unwrap().are_in(&two) && parse(&["b"]).unwrap().are_in(&two));
        for more in [&["a", "b", "c"][..], &["a.b"], &["ab"]] {
            assert!(!parse(more).unwrap().are_in(&two), "{more:?}");
        }
    }
}
