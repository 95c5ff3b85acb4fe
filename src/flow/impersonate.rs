//! Impersonation: an administrator opens a session as a user, to see what the user sees.
//!
//! The session is the user's for every verify, and names the administrator in the audit log. It is
//! deleted by triggers with whatever the administrator's rights came from (`schema.sql`), so a
//! verify reads only the inactivity timeout of the administrator's own session.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::login::{
    Displaced, LoginOutcome, LoginReply, OpenedSession, check_opening, granted, refusal_of_status,
    write_uses_of,
};
use crate::flow::sweep::sweep_a_little;
use crate::record::audit::Written;
use crate::record::session::{self, ActorSession, NewSession, Sessions, check_label};
use crate::record::user;
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::{Actor, ClientInfo, Event, EventKind};
use crate::value::id::{SessionId, UserId};
use crate::value::limits::{IMPERSONATION_LIFETIME_DEFAULT, IMPERSONATION_LIFETIME_MAX};
use crate::value::name::{DeviceId, Privilege};
use crate::value::principal::{Assurance, Credential, Principal};
use crate::value::refusal::LoginRefusal;
use crate::value::time::Deadline;
use crate::value::token::{self, TokenKind};

/// A session in which an administrator acts as a user; given to [`Sessions::impersonate`].
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::sessions::Impersonation;
/// use gatepost::{DeviceId, UserId};
///
/// let ada: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
/// let look = Impersonation::new(ada, DeviceId::random()?).lifetime(Duration::from_secs(300));
/// assert!(format!("{look:?}").contains("300s"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Impersonation {
    user: UserId,
    device: Option<DeviceId>,
    lifetime: Duration,
    label: Option<String>,
    client_info: Option<ClientInfo>,
}

impl Impersonation {
    /// A session as this user, on a device of its own: [`DeviceId::random`]. Valid for 15 minutes.
    pub fn new(user: UserId, device: impl Into<Option<DeviceId>>) -> Self {
        Self {
            user,
            device: device.into(),
            lifetime: IMPERSONATION_LIFETIME_DEFAULT,
            label: None,
            client_info: None,
        }
    }

    /// How long the session is valid, by the store's clock: more than zero and at most 1 hour. It
    /// never expires after the administrator's own session.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The label that lists show for the session, such as the number of a support case: at most 128
    /// bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Where the request came from.
    pub fn client_info(self, client_info: ClientInfo) -> Self {
        Self { client_info: Some(client_info), ..self }
    }

    fn check(&self, store: &Store) -> Result<()> {
        let end = Some(Deadline::After(self.lifetime));
        check_opening(store.options(), self.device.as_ref(), end, store.now())?;
        if self.lifetime > IMPERSONATION_LIFETIME_MAX {
            return Err(Error::invalid("the lifetime of an Impersonation is longer than 1 hour"));
        }
        self.label.as_deref().map(check_label).transpose().map(drop)
    }
}

impl Sessions<'_> {
    /// Opens a session in which an administrator acts as another user: to see what the user sees,
    /// without the user's password.
    ///
    /// The session verifies as the user's. [`Principal::is_impersonated`] says that it is not the
    /// user's own, [`SessionInfo::impersonator`](crate::sessions::SessionInfo::impersonator) names
    /// the administrator, and so does the actor of every audit row that is written in it
    /// ([`Actor::Impersonation`](crate::Actor::Impersonation)). The user sees it in the list of the
    /// user's sessions, and may revoke it.
    ///
    /// - `administrator` is the principal of a session of a user who has the privilege `admin`. Ask
    ///   [`require_fresh`](Store::require_fresh) first, so that a stolen session is not enough.
    /// - The user must be active, as for a login, and must not have the privilege `admin`: an
    ///   administrator is never impersonated, whatever the impersonator is.
    /// - It is short: 15 minutes if the request says nothing, at most 1 hour. [`Store::renew`] does
    ///   not move its end.
    /// - It changes no credential: password, username, e-mail address, second factor, API key,
    ///   external identity and one-time token. It is never fresh, makes no API key and impersonates
    ///   no further user. [Resource tickets](crate::sessions::Tickets) may be minted: they die with
    ///   it.
    /// - It ends with the administrator's own session, and when all sessions of the administrator
    ///   are revoked, the administrator is moved or loses the privilege `admin`, or the user gets
    ///   it ([what revokes what](crate::manual::revocation)). One session impersonates one user at
    ///   a time: the earlier impersonation is revoked.
    /// - It is no login of the user: it takes no place of the user's sessions, needs no second
    ///   factor, makes no device known, and leaves the time of the last login.
    ///
    /// Writes the file; waits up to 5 s for another writer.
    ///
    /// ```
    /// use gatepost::sessions::{Impersonation, OpenSession};
    /// use gatepost::{Actor, DeviceId, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let boss = store.users().create(NewUser::person("boss").privilege("admin"))?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let own = store.sessions().open(OpenSession::new(boss, DeviceId::random()?))?.granted()?;
    ///
    /// let device = DeviceId::random()?;
    /// let request = Impersonation::new(ada, device.clone());
    /// let reply = store.sessions().impersonate(&own.principal, request)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// assert_eq!((principal.user, principal.is_impersonated), (ada, true));
    ///
    /// let info = store.sessions().find(reply.session.id)?.expect("it is live");
    /// assert_eq!(info.impersonator, Some(boss));
    /// store.sessions().revoke(own.session.id)?;
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value, a [`LoginRefusal`]: that of the user's status,
    /// [`AdministratorRequired`](LoginRefusal::AdministratorRequired) if `administrator` is none,
    /// [`ImpersonationNotAllowed`](LoginRefusal::ImpersonationNotAllowed) if the user is one or if
    /// `administrator` is impersonated, [`DeviceInUse`](LoginRefusal::DeviceInUse) if any session
    /// is live on the device. Fails as [every write](crate::manual::errors#every-write) does, and
    /// with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for the principal of an API key, a lifetime that is
    ///   zero or longer than 1 hour, a label longer than 128 bytes, or a device that is missing
    ///   where one is required;
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the administrator's session is no
    ///   longer live;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("sudo", "act as", "on behalf of", "masquerade", "login as"))]
    pub fn impersonate(
        &self,
        administrator: &Principal,
        request: Impersonation,
    ) -> Result<LoginOutcome> {
        let Credential::Session(own) = administrator.credential else {
            return Err(Error::invalid(
                "sessions().impersonate takes the principal of a session, and this one is an API \
                 key's",
            ));
        };
        request.check(self.store)?;
        let store =
            self.store.acting_as(Actor::Session { user: administrator.user, session: own });
        let outcome = store.write(|tx| {
            let actor = store.still_live(tx, administrator)?.principal;
            let device = request.device.as_ref().map(DeviceDigest::of);
            let event = Event::new(EventKind::SessionImpersonated)
                .user(request.user)
                .device(device)
                .client_info(request.client_info.clone());
            let way = match refusal_of(tx, &actor, &request)? {
                None => {
                    write_uses_of(tx, &store, actor.user, request.device.as_ref())?;
                    room(tx, own, device)?
                }
                Some(refusal) => Err(refusal),
            };
            match way {
                Ok(making_way) => {
                    let actor_session = ActorSession { user: actor.user, session: own };
                    let opened = open(tx, &actor, actor_session, &request, making_way)?;
                    sweep_a_little(&store, tx, request.user)?;
                    let event = event.session(opened.id);
                    let reply: LoginReply = granted(tx, &store, request.user, opened)?;
                    Ok(Written::With(LoginOutcome::Granted(Box::new(reply)), event))
                }
                Err(refusal) => {
                    let event = event.refused(refusal.name());
                    Ok(Written::With(LoginOutcome::Refused(refusal), event))
                }
            }
        });
        outcome.inspect(|outcome| store.count_login(outcome))
    }
}

/// Why the principal may not impersonate the user. The answer to one who is no administrator says
/// nothing of the user.
fn refusal_of(
    tx: &ReadTx<'_>,
    actor: &Principal,
    request: &Impersonation,
) -> Result<Option<LoginRefusal>> {
    if actor.is_impersonated {
        return Ok(Some(LoginRefusal::ImpersonationNotAllowed));
    }
    if !actor.is_admin {
        return Ok(Some(LoginRefusal::AdministratorRequired));
    }
    let user = user::find(tx, request.user)?
        .ok_or_else(|| Error::not_found("there is no user of this id"))?;
    if user.privileges.iter().any(|name| name == Privilege::ADMIN) {
        return Ok(Some(LoginRefusal::ImpersonationNotAllowed));
    }
    refusal_of_status(tx, &user)
}

/// The sessions to delete: the earlier impersonation, and what is dead on the device. A live
/// session there stays, also one of the user.
fn room(
    tx: &ReadTx<'_>,
    own: SessionId,
    device: Option<DeviceDigest>,
) -> Result<std::result::Result<Vec<Displaced>, LoginRefusal>> {
    let mut making_way: Vec<Displaced> = session::impersonations(tx, own)?
        .into_iter()
        .map(|earlier| Displaced {
            session: earlier.id,
            user: earlier.user,
            reason: earlier.live.then_some("impersonation"),
        })
        .collect();
    let there = device.map(|device| session::on_device(tx, &device)).transpose()?.flatten();
    if let Some(there) = there
        && making_way.iter().all(|earlier| earlier.session != there.id)
    {
        if there.live {
            return Ok(Err(LoginRefusal::DeviceInUse));
        }
        making_way.push(Displaced { session: there.id, user: there.user, reason: None });
    }
    Ok(Ok(making_way))
}

fn open(
    tx: &WriteTx<'_>,
    actor: &Principal,
    actor_session: ActorSession,
    request: &Impersonation,
    making_way: Vec<Displaced>,
) -> Result<OpenedSession> {
    let id = session::draw_id(tx)?;
    for displaced in making_way {
        displaced.give_way(tx, id)?;
    }
    let asked = tx.now() + request.lifetime;
    let expires_at = actor.expires_at.map_or(asked, |end| end.min(asked));
    let (token, secret_hash) = token::mint(TokenKind::Session, *id.as_bytes(), tx.random())?;
    session::insert(
        tx,
        &NewSession {
            id,
            secret_hash,
            device: request.device.as_ref().map(DeviceDigest::of),
            user: request.user,
            expires_at,
            idle_ms: None,
            assurance: Assurance::Aal1,
            label: request.label.as_deref(),
            client_info: request.client_info.as_ref(),
            actor: Some(actor_session),
        },
    )?;
    Ok(OpenedSession { id, token, expires_at, clamped: expires_at < asked })
}
