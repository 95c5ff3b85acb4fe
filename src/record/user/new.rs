//! Creating users.

use zeroize::Zeroizing;

use super::fields::{UserFields, grant, json_is_valid, privileges, privileges_changed};
use super::lifecycle::{check_email_free, check_username_free};
use super::{User, Users, check_branch, existing, place_words, search_key};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::organisation::check_imported;
use crate::record::{credential, options};
use crate::storage::{WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind, in_lines};
use crate::value::id::{BranchId, UserId};
use crate::value::limits::AUDIT_SALT_BYTES;
use crate::value::name::{EmailAddress, Privilege, Username};
use crate::value::principal::{UserKind, UserStatus};
use crate::value::random::random_bytes;
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// A user to be created. [`Users::create`] checks all values.
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
///     .must_change_password();
/// assert!(!format!("{ada:?}").contains("correct horse"));
/// ```
#[derive(Debug)]
#[must_use]
pub struct NewUser {
    username: String,
    kind: UserKind,
    email: Option<String>,
    fields: UserFields,
    branch: Option<BranchId>,
    privileges: Vec<String>,
    status: UserStatus,
    proof: InitialPassword,
    must_change: bool,
}

/// The password that the user begins with.
#[derive(Debug)]
enum InitialPassword {
    Nothing,
    Password(Password),
    /// A hash in the form of its source, wrapped so that it is wiped and never printed.
    Hash(Password),
}

impl NewUser {
    /// A person with this username: 1 to 128 bytes, of characters that Unicode 16 knows, without
    /// control or invisible ones. White space around it is not part of it.
    ///
    /// Joiners (U+200C, U+200D) are refused, although RFC 8265 allows them in some contexts: two
    /// names must not differ in what is not drawn. Names are compared by Unicode's default case
    /// folding, in which `I` is a form of `i`, and the Turkish U+0130 and U+0131 are not.
    pub fn person(username: impl Into<String>) -> Self {
        Self::of_kind(UserKind::Person, username.into())
    }

    /// A program with this username. It may have API keys and never has a password.
    pub fn system(username: impl Into<String>) -> Self {
        Self::of_kind(UserKind::System, username.into())
    }

    fn of_kind(kind: UserKind, username: String) -> Self {
        Self {
            username,
            kind,
            email: None,
            fields: UserFields::default(),
            branch: None,
            privileges: Vec::new(),
            status: UserStatus::Active,
            proof: InitialPassword::Nothing,
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

    /// Adds a privilege: 1 to 64 of `a-z 0-9 . _ : -`. A user has at most 64.
    #[doc(alias("role", "permission"))]
    pub fn privilege(mut self, privilege: impl Into<String>) -> Self {
        self.privileges.push(privilege.into());
        self
    }

    /// Adds several privileges, by the rules of [`privilege`](Self::privilege).
    pub fn privileges<P: Into<String>>(mut self, privileges: impl IntoIterator<Item = P>) -> Self {
        self.privileges.extend(privileges.into_iter().map(Into::into));
        self
    }

    /// The password, which [`Users::create`] checks against the policy. An empty one is none.
    pub fn password(self, password: Password) -> Self {
        let proof = if password.is_empty() {
            InitialPassword::Nothing
        } else {
            InitialPassword::Password(password)
        };
        Self { proof, ..self }
    }

    /// The hash of a password from another system, in the form of that system: one of those that
    /// [`Users::set_password_hash`] accepts. An empty one is none.
    pub fn password_hash(self, hash: impl Into<String>) -> Self {
        let hash = Password::new(hash.into());
        Self {
            proof: if hash.is_empty() {
                InitialPassword::Nothing
            } else {
                InitialPassword::Hash(hash)
            },
            ..self
        }
    }

    /// Demands a new password at the first login. Has no effect on a user without a password.
    pub fn must_change_password(self) -> Self {
        Self { must_change: true, ..self }
    }

    /// The status; active if left out.
    pub fn status(self, status: UserStatus) -> Self {
        Self { status, ..self }
    }

    /// Whether logins of desktop clients are refused; `false` if left out.
    pub fn desktop_client_denied(mut self, denied: bool) -> Self {
        self.fields.desktop_client_denied = Some(denied);
        self
    }

    /// A JSON document of the host's own, at most 16,384 bytes.
    pub fn attributes(mut self, json: impl Into<String>) -> Self {
        self.fields.attributes = Some(json.into());
        self
    }
}

impl Users<'_> {
    /// Creates a user.
    ///
    /// A password is checked against the policy (ASVS 6.2) and hashed before the write begins,
    /// which takes about 15 ms with the default cost. Waits up to 5 s for other writers.
    ///
    /// ```
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("correct horse battery");
    /// let ada = NewUser::person("ada").privilege("admin").password(password);
    /// let ada = store.users().create(ada)?;
    /// assert_eq!(ada.username, "ada");
    /// assert_eq!(ada.privileges, ["admin"]);
    /// assert_eq!(store.users().find(ada.id)?, Some(ada));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if a text breaks its bounds, a system user is given
    ///   a password, or the password breaks a rule of the policy, which [`Error::password_rule`]
    ///   names;
    /// - [`Taken`](crate::ErrorKind::Taken) if another user has the username, or the e-mail address
    ///   where e-mail addresses log in;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded) if too many passwords wait to be hashed;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) for a user with a password, if this process
    ///   lacks the key under which the file seals;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn create(&self, new: NewUser) -> Result<User> {
        let checked = new.checked(self.store)?;
        self.store.write(|tx| {
            let user = checked.insert(tx, self.store)?;
            let events = checked.events(user.id);
            Written::with_all(tx, user, events)
        })
    }
}

/// A user to be created, whose values are within their bounds and whose password is hashed.
pub(crate) struct CheckedUser {
    new: NewUser,
    username: Username,
    email: Option<EmailAddress>,
    fields: UserFields,
    privileges: Vec<Privilege>,
    phc: Option<Zeroizing<String>>,
}

impl NewUser {
    /// An administrator with a password, which the policy checks also if it is empty.
    pub(crate) fn administrator(username: String, password: Password) -> Self {
        let proof = InitialPassword::Password(password);
        Self { proof, ..Self::person(username).privilege(Privilege::ADMIN) }
    }

    /// The branch that the user is to be in, and the names of its privileges.
    pub(crate) fn asked(&self) -> (Option<BranchId>, Vec<String>) {
        (self.branch, self.privileges.clone())
    }

    /// Checks the values and hashes the password, before the write begins.
    pub(crate) fn checked(self, store: &Store) -> Result<CheckedUser> {
        let username = Username::parse(&self.username)?;
        let email = self.email.as_deref().map(EmailAddress::parse).transpose()?;
        let privileges = privileges(&self.privileges)?;
        let fields = self.fields.clone().checked()?;
        if self.kind == UserKind::System && !matches!(self.proof, InitialPassword::Nothing) {
            return Err(Error::invalid("a system user (UserKind::System) never has a password"));
        }
        let phc = self.phc(store, &username, email.as_ref())?;
        Ok(CheckedUser { new: self, username, email, fields, privileges, phc })
    }

    fn phc(
        &self,
        store: &Store,
        username: &Username,
        email: Option<&EmailAddress>,
    ) -> Result<Option<Zeroizing<String>>> {
        match &self.proof {
            InitialPassword::Nothing => Ok(None),
            InitialPassword::Hash(hash) => store.core().hasher.import(hash.expose()).map(Some),
            InitialPassword::Password(password) => {
                let mut words = match self.branch {
                    Some(branch) => store.read(|tx| place_words(tx, branch))?,
                    None => Vec::new(),
                };
                words.push(username.shown.clone());
                words.extend(email.map(|email| email.shown.clone()));
                words.extend(self.fields.first_name.clone());
                words.extend(self.fields.last_name.clone());
                let hashed = credential::hash_new(store, password, &words, false)?;
                Ok(Some(hashed.into_string()))
            }
        }
    }
}

impl CheckedUser {
    /// Writes the user.
    ///
    /// # Errors
    /// `Taken`, `NotFound` for the branch, `Invalid` for attributes that are no JSON, `NoRandom`.
    pub(crate) fn insert(&self, tx: &WriteTx<'_>, store: &Store) -> Result<User> {
        let is_taken = "SELECT EXISTS (SELECT 1 FROM user WHERE id = ?1)";
        let id = tx.draw_id(UserId::draw, is_taken)?;
        self.insert_as(tx, store, id, (tx.now(), None))?;
        existing(tx, id)
    }

    /// The events of its creation. The log says which privileges it has: those that do not fit into
    /// the first row are in rows of a change.
    fn events(&self, id: UserId) -> Vec<Event> {
        let words: Vec<String> =
            self.privileges.iter().map(|name| ["+", name.as_str()].concat()).collect();
        let mut lines = in_lines(&words).into_iter();
        let created = Event::new(EventKind::UserCreated).user(id).branch(self.new.branch);
        let created = match lines.next() {
            Some(line) => created.detail(line),
            None => created,
        };
        let rest = lines.map(|line| privileges_changed(id, line));
        std::iter::once(created).chain(rest).collect()
    }

    /// Writes a user of another store, with its id; nothing if there is or was one of that id.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and `Invalid` for an id that none can have.
    pub(crate) fn import(
        &self,
        tx: &WriteTx<'_>,
        store: &Store,
        id: UserId,
        (created_at, confirmed_at): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Vec<Event>> {
        check_imported(id.as_bytes())?;
        if tx.count("SELECT count(*) FROM user WHERE id = ?1", params![id])? > 0 {
            return Ok(Vec::new());
        }
        self.insert_as(tx, store, id, (created_at.unwrap_or(tx.now()), confirmed_at))?;
        Ok(self.events(id))
    }

    fn insert_as(
        &self,
        tx: &WriteTx<'_>,
        store: &Store,
        id: UserId,
        times: (Timestamp, Option<Timestamp>),
    ) -> Result<()> {
        let (username, email) = (&self.username, self.email.as_ref());
        let unique_email = options::of_file(tx)?.login_by_email;
        check_branch(tx, self.new.branch)?;
        json_is_valid(tx, &self.fields)?;
        check_username_free(tx, &username.key, None, unique_email)?;
        if let Some(email) = email {
            check_email_free(tx, &email.key, None, unique_email)?;
        }
        insert(tx, id, &self.new, &self.fields, (username, email), times)?;
        for name in &self.privileges {
            grant(tx, id, name)?;
        }
        if let Some(phc) = &self.phc {
            credential::set(tx, store.options(), id, phc, self.new.must_change)?;
        }
        Ok(())
    }
}

fn insert(
    tx: &WriteTx<'_>,
    id: UserId,
    new: &NewUser,
    fields: &UserFields,
    (username, email): (&Username, Option<&EmailAddress>),
    (created_at, confirmed_at): (Timestamp, Option<Timestamp>),
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
             attributes, audit_salt, confirmed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
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
            created_at,
            stored(&fields.first_name),
            stored(&fields.last_name),
            stored(&fields.description),
            search_key,
            stored(&fields.attributes),
            random_bytes::<AUDIT_SALT_BYTES>(tx.random())?.as_slice(),
            confirmed_at
        ],
    )
    .map(drop)
}
