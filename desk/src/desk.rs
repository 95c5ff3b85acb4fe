//! A desk: one program on one machine, for one account of the operating system.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gatepost::directory::UserFilter;
use gatepost::host::{Clock, SystemClock};
use gatepost::{
    LoginReply, NewUser, Options, Password, Principal, SessionId, Store, Timestamp, User,
};

use crate::error::{DeskError, Result};
use crate::folder::{Folder, Machine, Turn};
use crate::place::check_app;
use crate::seat::{Seat, Taken};
use crate::sign_in::{SignIn, SignInRequest};
use crate::vault::{self, Moved, SavedToken, TokenVault, VaultError, VaultKind};

/// The bounds of an idle lock: shorter locks while a person reads, longer is no lock.
const IDLE_LOCK_MIN: Duration = Duration::from_secs(10);
const IDLE_LOCK_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The privilege of an administrator, about which the library itself asks.
const ADMIN: &str = "admin";

/// A desktop program's way to its users: the store's file, this machine's device id and the saved
/// token, none of which the program sees.
///
/// A clone is cheap, shows the same desk, and may be sent to another thread.
///
/// Several instances of the program may run at the same time, in one account of the operating
/// system: they share the folder and the session.
/// [The manual](gatepost::manual::desktop#several-instances-and-users) defines what each sees of
/// the others.
///
/// ```
/// use gatepost::Options;
/// use gatepost_desk::{Desk, Folder, SignIn};
///
/// # let directory = tempfile::tempdir()?;
/// # let folder = Folder::at(directory.path())?;
/// let desk = Desk::builder("com.example.till").folder(folder).open()?;
/// assert!(desk.is_new()?);
/// desk.first_administrator("ada", "lantern over wet slate")?;
///
/// let SignIn::Granted(seat) = desk.sign_in("ada", "lantern over wet slate")? else { panic!() };
/// assert_eq!(seat.username(), "ada");
/// assert!(desk.resume()?.is_some());
/// seat.sign_out()?;
/// assert!(desk.resume()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    store: Store,
    folder: Folder,
    machine: Machine,
    vault: Arc<dyn TokenVault>,
    /// The name under which the vault has the token.
    name: String,
    idle_lock: Option<Duration>,
    clock: Arc<dyn Clock>,
}

/// How a [`Desk`] is opened, where [`Desk::open`] is not enough: made by [`Desk::builder`].
#[derive(Debug)]
#[must_use]
pub struct DeskBuilder {
    app: String,
    options: Options,
    folder: Option<Folder>,
    vault: Option<Arc<dyn TokenVault>>,
    old_vault: Option<Arc<dyn TokenVault>>,
    idle_lock: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// Opens the desk of the program `app`, named as platforms name programs
    /// (`com.example.till`): finds or makes its private folder, the store's file in it and this
    /// machine's device id. The token is saved in the platform's vault, as far as it was compiled
    /// in; otherwise the user signs in at each start ([`Desk::vault`] says which).
    ///
    /// Takes the presets of [`Options::desktop`] as a rule.
    ///
    /// # Errors
    /// As of [`DeskBuilder::open`].
    pub fn open(options: Options, app: &str) -> Result<Self> {
        Self::builder(app).options(options).open()
    }

    /// Starts to open the desk of the program `app` with another folder, another vault, or an idle
    /// lock.
    pub fn builder(app: impl Into<String>) -> DeskBuilder {
        DeskBuilder {
            app: app.into(),
            options: Options::desktop(),
            folder: None,
            vault: None,
            old_vault: None,
            idle_lock: None,
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// Goes on with the session whose token is saved; `None` if none is saved or the session is
    /// over: ask for the password then.
    ///
    /// The token of a session that is over is deleted. An error deletes nothing, as it does not say
    /// that the session is over: show it, and try again.
    ///
    /// # Errors
    /// [`Vault`](DeskError::Vault), [`Store`](DeskError::Store), and [`Busy`](DeskError::Busy)
    /// after 5 s.
    pub fn resume(&self) -> Result<Option<Seat>> {
        let turn = self.turn()?;
        let Some(token) = self.load()? else { return Ok(None) };
        let live = match self.verify(&token)? {
            Some((session, principal)) => {
                self.profile(&principal)?.map(|profile| (session, principal, profile))
            }
            None => None,
        };
        let Some((session, principal, profile)) = live else {
            self.delete(&turn);
            return Ok(None);
        };
        let saved = Some(Ok(self.vault()));
        let taken = Taken { token, session, principal, profile, saved, recovery_codes: None };
        Ok(Some(Seat::new(self.clone(), taken)))
    }

    /// Signs a user in, and saves the token. The session lives as long as the policy says (24 h in
    /// [`Options::desktop`]).
    ///
    /// Another user who is signed in on this machine is signed out by it, if the options allow a
    /// takeover as those of [`Options::desktop`] do; a refusal changes nothing for that user.
    ///
    /// Hashes a password (about 15 ms with the default cost), writes the file and the vault, and
    /// may wait 5 s: call it from a thread that draws no window.
    ///
    /// # Errors
    /// A refusal is a value. [`Store`](DeskError::Store) and [`Busy`](DeskError::Busy). A vault
    /// that does not save the token is no error: [`Seat::saved`] reports it.
    pub fn sign_in(
        &self,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<SignIn> {
        self.sign_in_with(SignInRequest::new(username, password))
    }

    /// As [`sign_in`](Self::sign_in), for a user who chose how long to be remembered.
    ///
    /// # Errors
    /// As of [`sign_in`](Self::sign_in).
    pub fn sign_in_with(&self, request: SignInRequest) -> Result<SignIn> {
        request.attempt(self, None)
    }

    /// Whether the store has no user yet, deleted ones included: show the window that makes the
    /// first administrator.
    ///
    /// # Errors
    /// [`Store`](DeskError::Store).
    pub fn is_new(&self) -> Result<bool> {
        let users = self.0.store.users();
        Ok(users.count(&UserFilter::new())? == 0
            && users.count(&UserFilter::new().deleted())? == 0)
    }

    /// Creates the first user, who has the privilege `admin`. Of two instances that do this at the
    /// same time, one creates the user.
    ///
    /// # Errors
    /// [`NotEmpty`](DeskError::NotEmpty) if there is a user already, [`Busy`](DeskError::Busy), and
    /// [`Store`](DeskError::Store): also for a name or password that breaks a rule
    /// ([`gatepost::Error::password_rule`]).
    pub fn first_administrator(
        &self,
        username: impl Into<String>,
        password: impl Into<Password>,
    ) -> Result<User> {
        let _turn = self.turn()?;
        if !self.is_new()? {
            return Err(DeskError::NotEmpty);
        }
        let user = NewUser::person(username).password(password.into()).privilege(ADMIN);
        Ok(self.0.store.users().create(user)?)
    }

    /// The kind of the vault in which the token is saved.
    #[must_use]
    pub fn vault(&self) -> VaultKind {
        self.0.vault.kind()
    }

    /// The private folder of the program.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.0.folder
    }

    /// The store, for work that no user does, such as [`Store::maintain`] or a backup. What a user
    /// does goes through [`Seat::store`].
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Closes the store: call it when the program ends. Seats and clones of the desk answer with an
    /// error from then on; the saved token stays.
    ///
    /// # Errors
    /// As of [`Store::close`].
    pub fn close(&self) -> Result<()> {
        Ok(self.0.store.close()?)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("folder", &self.0.folder)
            .field("vault", &self.vault())
            .finish_non_exhaustive()
    }
}

/// What the other modules do with a desk. `turn` shows that the caller has the turn.
impl Desk {
    pub(crate) fn turn(&self) -> Result<Turn> {
        self.0.folder.turn()
    }

    /// The turn without waiting; `None` if another instance or thread has it.
    pub(crate) fn turn_now(&self) -> Option<Turn> {
        self.0.folder.turn_now().ok().flatten()
    }

    /// The device of every session of this desk.
    pub(crate) fn device(&self) -> &gatepost::DeviceId {
        &self.0.machine.device
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn idle_lock(&self) -> Option<Duration> {
        self.0.idle_lock
    }

    /// The session of a token, and its principal; `None` if the session is over, or the text is
    /// not a token of a session.
    pub(crate) fn verify(&self, token: &SavedToken) -> Result<Option<(SessionId, Principal)>> {
        let verdict = self.0.store.verify((token.expose(), self.device()))?;
        let session = |principal: Principal| Some((principal.credential.session()?, principal));
        Ok(verdict.valid().ok().and_then(session))
    }

    /// The profile of a principal; `None` if the session is over.
    pub(crate) fn profile(&self, principal: &Principal) -> Result<Option<gatepost::Profile>> {
        match self.0.store.profile(principal) {
            Ok(profile) => Ok(Some(profile)),
            Err(error) if error.kind() == gatepost::ErrorKind::SessionEnded => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The seat of a login that was just granted. Its token is saved after the session exists: a
    /// crash in between costs the saved token, and the next sign-in replaces the session.
    pub(crate) fn seat(&self, turn: &Turn, reply: LoginReply, keeps: bool) -> Seat {
        let token = SavedToken::new(reply.session.token.expose().to_owned());
        let saved = self.keep(turn, &token, keeps);
        let session = reply.session.id;
        // A principal of a verify is checked faster than that of a reply.
        let verified = self.verify(&token).ok().flatten();
        let principal = verified.map_or(reply.principal, |(_, principal)| principal);
        let (profile, recovery_codes) = (reply.profile, reply.recovery_codes);
        Seat::new(
            self.clone(),
            Taken { token, session, principal, profile, saved, recovery_codes },
        )
    }

    /// Saves the token if it is wanted; otherwise the token before it is deleted, whose session
    /// this one has replaced.
    pub(crate) fn keep(
        &self,
        turn: &Turn,
        token: &SavedToken,
        keeps: bool,
    ) -> Option<Result<VaultKind, VaultError>> {
        if keeps {
            let saved = self.0.vault.save(&self.0.name, token);
            return Some(saved.map(|()| self.vault()));
        }
        self.delete(turn);
        None
    }

    pub(crate) fn load(&self) -> Result<Option<SavedToken>> {
        Ok(self.0.vault.load(&self.0.name)?)
    }

    /// Moves the token of an earlier vault to that of this desk. If both have one, the store
    /// decides: a machine has one session, so at most one of them is live. An error keeps both.
    fn move_from(&self, old: &dyn TokenVault) -> Result<()> {
        let turn = self.turn()?;
        let name = &self.0.name;
        if old.move_to(&*self.0.vault, name)? != Moved::BothKept {
            return Ok(());
        }
        let own = self.load()?;
        let own_is_live = own.map(|token| self.verify(&token)).transpose()?.flatten().is_some();
        if own_is_live {
            old.delete(name)?;
        } else {
            // A kill in between leaves the old one, which the next start moves.
            self.unsave(&turn)?;
            old.move_to(&*self.0.vault, name)?;
        }
        Ok(())
    }

    /// Deletes the saved token, whose session is over. A vault that fails keeps a text that the
    /// store refuses, so nothing is lost and nothing is open.
    pub(crate) fn delete(&self, _turn: &Turn) {
        let _ = self.0.vault.delete(&self.0.name);
    }

    /// Deletes the saved token, whose session is not over.
    ///
    /// # Errors
    /// `Vault`: a restart would go on with the session.
    pub(crate) fn unsave(&self, _turn: &Turn) -> Result<()> {
        Ok(self.0.vault.delete(&self.0.name)?)
    }

    /// Deletes the saved token if its session is over. Another instance may have saved that of
    /// another session.
    pub(crate) fn delete_if_over(&self, turn: &Turn) {
        if let Ok(Some(saved)) = self.load()
            && let Ok(None) = self.verify(&saved)
        {
            self.delete(turn);
        }
    }

    /// As [`delete_if_over`](Self::delete_if_over), without waiting: if another instance has the
    /// turn, the next start deletes it.
    pub(crate) fn delete_if_over_now(&self) {
        if let Some(turn) = self.turn_now() {
            self.delete_if_over(&turn);
        }
    }
}

impl DeskBuilder {
    /// The options of the store. Default: [`Options::desktop`].
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Another private folder than the platform's. All instances of the program must name the same.
    pub fn folder(self, folder: Folder) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Another vault than the platform's.
    pub fn vault(self, vault: impl TokenVault + 'static) -> Self {
        Self { vault: Some(Arc::new(vault)), ..self }
    }

    /// The vault that an earlier version of the program had. [`open`](Self::open) moves the token
    /// that is there, if any, to the vault of this desk ([`TokenVault::move_to`]). If both have
    /// one, the one whose session is live is kept, and the other is deleted.
    ///
    /// ```
    /// use gatepost_desk::{Desk, FileVault, Folder, MemoryVault};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let folder = Folder::at(directory.path().join("till"))?;
    /// let file = FileVault::in_folder(folder.path().join("saved"));
    /// let builder = || Desk::builder("com.example.till").folder(folder.clone());
    /// let desk = builder().vault(file).open()?;
    /// desk.first_administrator("ada", "seven geese at noon")?;
    /// let seat = desk.sign_in("ada", "seven geese at noon")?.granted()?;
    /// # drop((seat, desk));
    ///
    /// // The next version of the program:
    /// let file = FileVault::in_folder(folder.path().join("saved"));
    /// let desk = builder().vault(MemoryVault::new()).moving_from(file).open()?;
    /// assert_eq!(desk.resume()?.unwrap().username(), "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn moving_from(self, vault: impl TokenVault + 'static) -> Self {
        Self { old_vault: Some(Arc::new(vault)), ..self }
    }

    /// Locks a seat after this time without [`Seat::touch`]: 10 s to 24 h, by the wall clock, so
    /// that the time for which the machine was suspended counts. Default: no lock.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost_desk::{Desk, DeskError};
    ///
    /// let desk = Desk::builder("com.example.till").idle_lock(Duration::from_secs(1)).open();
    /// assert!(matches!(desk, Err(DeskError::Invalid(_))));
    /// ```
    pub fn idle_lock(self, after: Duration) -> Self {
        Self { idle_lock: Some(after), ..self }
    }

    /// The clock of the idle lock, for tests of a program. Default: the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Opens the desk: finds or makes the private folder, this machine's ids and the store's file.
    ///
    /// # Errors
    /// [`Invalid`](DeskError::Invalid) for a name of the program or an idle lock that breaks its
    /// rule, [`NoHome`](DeskError::NoHome), [`Folder`](DeskError::Folder),
    /// [`Busy`](DeskError::Busy), [`Vault`](DeskError::Vault) if a token could not be moved
    /// ([`moving_from`](Self::moving_from)), and [`Store`](DeskError::Store) as of [`Store::open`].
    pub fn open(self) -> Result<Desk> {
        if self.idle_lock.is_some_and(|after| !(IDLE_LOCK_MIN..=IDLE_LOCK_MAX).contains(&after)) {
            return Err(DeskError::Invalid("idle_lock is not 10 s to 24 h"));
        }
        check_app(&self.app)?;
        let folder = match self.folder {
            Some(folder) => folder,
            None => Folder::of(&self.app)?,
        };
        let turn = folder.turn()?;
        let machine = folder.machine(&turn)?;
        let name = format!("{}/{}", self.app, machine.place.as_str());
        drop(turn);
        let vault = self.vault.unwrap_or_else(vault::of_the_platform);
        let store = Store::open(folder.store(), self.options)?;
        let (idle_lock, clock) = (self.idle_lock, self.clock);
        let desk = Desk(Arc::new(Inner { store, folder, machine, vault, name, idle_lock, clock }));
        if let Some(old) = self.old_vault {
            desk.move_from(&*old)?;
        }
        Ok(desk)
    }
}
