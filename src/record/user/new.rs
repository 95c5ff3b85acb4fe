//! Creating users.

use super::fields::{Fields, grant, json_is_valid, privileges};
use super::standing::{check_email_free, check_username_free};
use super::{User, Users, check_branch, existing, place_words, search_key};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::credential;
use crate::storage::{WriteTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::facts::{UserKind, UserStatus};
use crate::value::id::{BranchId, UserId};
use crate::value::name::{EmailAddress, Username};
use crate::value::secret::Password;

/// A user to be created. Nothing is checked before [`Users::create`].
///
/// An empty text is the same as none.
///
/// ```
/// use gatepost::{NewUser, Password};
///
/// let ada = NewUser::person("ada")
///     .email("ada@example.com")
///     .privilege("admin")
///     .password(Password::from("correct horse battery"))
///     .must_change();
/// assert!(!format!("{ada:?}").contains("correct horse"));
/// ```
#[derive(Debug)]
#[must_use]
pub struct NewUser {
    username: String,
    kind: UserKind,
    email: Option<String>,
    fields: Fields,
    branch: Option<BranchId>,
    privileges: Vec<String>,
    status: UserStatus,
    proof: Proof,
    must_change: bool,
}

/// What the user will prove who it is with.
#[derive(Debug)]
enum Proof {
    Nothing,
    Password(Password),
    /// A hash in PHC form: wrapped, so that it is wiped and never printed.
    Hash(Password),
}

impl NewUser {
    /// Somebody.
    pub fn person(username: impl Into<String>) -> Self {
        Self::of_kind(UserKind::Person, username.into())
    }

    /// A program, which may have API keys and never has a password.
    pub fn system(username: impl Into<String>) -> Self {
        Self::of_kind(UserKind::System, username.into())
    }

    fn of_kind(kind: UserKind, username: String) -> Self {
        Self {
            username,
            kind,
            email: None,
            fields: Fields::default(),
            branch: None,
            privileges: Vec::new(),
            status: UserStatus::Active,
            proof: Proof::Nothing,
            must_change: false,
        }
    }

    /// The e-mail address, at most 254 bytes.
    pub fn email(self, email: impl Into<String>) -> Self {
        Self { email: Some(email.into()).filter(|email| !email.is_empty()), ..self }
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

    /// A description, at most 4,096 bytes.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.fields.description = Some(description.into());
        self
    }

    /// The branch, which must exist.
    pub fn branch(self, branch: impl Into<Option<BranchId>>) -> Self {
        Self { branch: branch.into(), ..self }
    }

    /// One privilege more: 1 to 64 of `a-z 0-9 . _ : -`. A user has at most 64.
    pub fn privilege(mut self, privilege: impl Into<String>) -> Self {
        self.privileges.push(privilege.into());
        self
    }

    /// Several privileges more.
    pub fn privileges<P: Into<String>>(mut self, privileges: impl IntoIterator<Item = P>) -> Self {
        self.privileges.extend(privileges.into_iter().map(Into::into));
        self
    }

    /// The password; an empty one is none. The policy is tested.
    pub fn password(self, password: Password) -> Self {
        let proof = if password.is_empty() { Proof::Nothing } else { Proof::Password(password) };
        Self { proof, ..self }
    }

    /// The hash of the password, taken over from elsewhere: an Argon2id hash in PHC form, of a
    /// cost that [`Cost::new`](crate::Cost::new) accepts. An empty one is none.
    pub fn password_hash(self, phc: impl Into<String>) -> Self {
        let phc = Password::new(phc.into());
        Self { proof: if phc.is_empty() { Proof::Nothing } else { Proof::Hash(phc) }, ..self }
    }

    /// The first login must set a new password. Says nothing of a user without one.
    pub fn must_change(self) -> Self {
        Self { must_change: true, ..self }
    }

    /// The status; active if left out.
    pub fn status(self, status: UserStatus) -> Self {
        Self { status, ..self }
    }

    /// Whether desktop clients are turned away; no if left out.
    pub fn desktop_client_denied(mut self, denied: bool) -> Self {
        self.fields.desktop_client_denied = Some(denied);
        self
    }

    /// A JSON document of the host's, at most 16,384 bytes.
    pub fn attributes(mut self, json: impl Into<String>) -> Self {
        self.fields.attributes = Some(json.into());
        self
    }
}

impl Users<'_> {
    /// Creates a user. A password is tested against the policy and hashed before anything is
    /// written, which takes a hash's time.
    ///
    /// # Errors
    /// `Invalid` (a text, a rule of the password policy, a password for a system user),
    /// `Taken` (the username, or the e-mail address where that logs in), `NotFound` (the branch),
    /// `Busy` (too many are hashing, or writing), `Full`, `Io`, `NoRandom`.
    pub fn create(&self, new: NewUser) -> Result<User> {
        let username = Username::parse(&new.username)?;
        let email = new.email.as_deref().map(EmailAddress::parse).transpose()?;
        let privileges = privileges(&new.privileges)?;
        let fields = new.fields.clone().checked()?;
        if new.kind == UserKind::System && !matches!(new.proof, Proof::Nothing) {
            return Err(Error::invalid("a system user never has a password"));
        }
        let phc = self.phc_of(&new, &username, email.as_ref())?;
        let unique_email = self.store.options().login_by_email;
        self.store.write(|tx| {
            check_branch(tx, new.branch)?;
            json_is_valid(tx, &fields)?;
            check_username_free(tx, &username.key, None, unique_email)?;
            if let Some(email) = &email {
                check_email_free(tx, &email.key, None, unique_email)?;
            }
            let is_taken = "SELECT EXISTS (SELECT 1 FROM user WHERE id = ?1)";
            let id = tx.draw_id(UserId::draw, is_taken)?;
            insert(tx, id, &new, &fields, (&username, email.as_ref()))?;
            for name in &privileges {
                grant(tx, id, name)?;
            }
            if let Some(phc) = &phc {
                credential::set(tx, id, phc, new.must_change)?;
            }
            let event = Event::new(EventKind::UserCreated).user(id).branch(new.branch);
            Ok(Written::With(existing(tx, id)?, event))
        })
    }

    fn phc_of(
        &self,
        new: &NewUser,
        username: &Username,
        email: Option<&EmailAddress>,
    ) -> Result<Option<String>> {
        match &new.proof {
            Proof::Nothing => Ok(None),
            Proof::Hash(phc) => {
                self.store.core().hasher.validate_phc(phc.expose())?;
                Ok(Some(phc.expose().to_owned()))
            }
            Proof::Password(password) => {
                let mut words = match new.branch {
                    Some(branch) => self.store.read(|tx| place_words(tx, branch))?,
                    None => Vec::new(),
                };
                words.push(username.shown.clone());
                words.extend(email.map(|email| email.shown.clone()));
                words.extend(new.fields.first_name.clone());
                words.extend(new.fields.last_name.clone());
                let hashed = credential::hash_new(self.store, password, &words)?;
                Ok(Some(hashed.into_string()))
            }
        }
    }
}

fn insert(
    tx: &WriteTx<'_>,
    id: UserId,
    new: &NewUser,
    fields: &Fields,
    (username, email): (&Username, Option<&EmailAddress>),
) -> Result<()> {
    let search_key = search_key(
        &username.shown,
        email.map(|email| email.shown.as_str()),
        fields.first_name.as_deref(),
        fields.last_name.as_deref(),
    );
    let stored = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    tx.execute(
        "INSERT INTO user (id, branch_id, status, kind, username, username_key, email, email_key,
             desktop_client_denied, created_at, first_name, last_name, description, search_key,
             attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            id,
            new.branch,
            new.status,
            new.kind,
            username.shown,
            username.key,
            email.map(|email| &email.shown),
            email.map(|email| &email.key),
            fields.desktop_client_denied.unwrap_or(false),
            tx.now(),
            stored(&fields.first_name),
            stored(&fields.last_name),
            stored(&fields.description),
            search_key,
            stored(&fields.attributes)
        ],
    )
    .map(drop)
}
