//! Open a session without a password, for a user whom the host has authenticated by other means.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::login::{
    ClientKind, LoginOutcome, Need, Opening, check_opening, granted, need, open,
    refusal_of_status, room, suspended, write_uses_of,
};
use crate::flow::sweep::sweep_a_little;
use crate::record::audit::Written;
use crate::record::pending_step::{self, Asked, NewStep, Proved};
use crate::record::session::{Sessions, check_label};
use crate::record::{device, user};
use crate::spans;
use crate::value::digest::DeviceDigest;
use crate::value::event::{ClientInfo, Event, EventKind, of_device};
use crate::value::id::UserId;
use crate::value::name::DeviceId;
use crate::value::principal::Assurance;
use crate::value::refusal::LoginRefusal;
use crate::value::time::{Deadline, Timestamp};

/// A session to open for a user whom the host has authenticated by other means: single sign-on, or
/// an administrator who issues access.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::DeviceId;
/// use gatepost::sessions::{Assurance, OpenSession};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
/// let hour = Duration::from_secs(3_600);
/// let open = OpenSession::new(ada, DeviceId::new("till-1")?)
///     .lifetime(hour)
///     .assurance(Assurance::Aal2);
/// let reply = store.sessions().open(open)?.granted()?;
/// assert_eq!(reply.principal.expires_at, Some(reply.principal.opened_at + hour));
/// assert_eq!(reply.principal.assurance, Assurance::Aal2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenSession {
    user: UserId,
    device: Option<DeviceId>,
    end: Option<Deadline>,
    client: Option<ClientKind>,
    assurance: Assurance,
    label: Option<String>,
    client_info: Option<ClientInfo>,
}

impl OpenSession {
    /// A session of this user on this device.
    pub fn new(user: UserId, device: impl Into<Option<DeviceId>>) -> Self {
        Self {
            user,
            device: device.into(),
            end: None,
            client: None,
            assurance: Assurance::Aal1,
            label: None,
            client_info: None,
        }
    }

    /// How long the session is valid, by the rules of [a login](crate::LoginRequest::lifetime).
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { end: Some(Deadline::After(lifetime)), ..self }
    }

    /// The first moment at which the session is expired, by the rules of
    /// [a login](crate::LoginRequest::expires_at). The last call of this or
    /// [`lifetime`](Self::lifetime) counts.
    pub fn expires_at(self, at: Timestamp) -> Self {
        Self { end: Some(Deadline::At(at)), ..self }
    }

    /// The kind of program that the session is for.
    pub fn client(self, client: ClientKind) -> Self {
        Self { client: Some(client), ..self }
    }

    /// How strongly the host has authenticated the user (SP 800-63B-4); AAL1 if left out.
    ///
    /// At AAL1 a user who has a second factor, or must have one
    /// ([`Options::second_factor`](crate::Options::second_factor)), is asked for it as at a login:
    /// the outcome is [`Pending`](LoginOutcome::Pending). Its completion takes no new password: the
    /// stored one is no part of such a login, also where the user must replace it. A host that has
    /// asked for a second factor itself says so with AAL2 or AAL3.
    pub fn assurance(self, assurance: Assurance) -> Self {
        Self { assurance, ..self }
    }

    /// The label that lists show for the session: at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Where the request came from.
    pub fn client_info(self, client_info: ClientInfo) -> Self {
        Self { client_info: Some(client_info), ..self }
    }
}

impl Sessions<'_> {
    /// Opens a session without a password. Lifetime, device, number of sessions and refusals follow
    /// the rules of a login, also for [the sessions that it replaces](crate::manual::revocation).
    ///
    /// For a user whom an identity provider has authenticated, see
    /// [`ExternalIdentities`](crate::directory::ExternalIdentities).
    ///
    /// Writes the file; waits up to 5 s for another writer.
    ///
    /// ```
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let device = DeviceId::new("till-1")?;
    /// let reply = store.sessions().open(OpenSession::new(ada, device.clone()))?.granted()?;
    /// assert_eq!(store.verify((&reply.session.token, &device))?.valid()?.user, ada);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value, a [`LoginRefusal`]. Fails as
    /// [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the label is longer than 128 bytes, the expiry
    ///   is not in the future, or the device is missing where one is required;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn open(&self, request: OpenSession) -> Result<LoginOutcome> {
        spans::span!("sessions.open");
        let store = self.store;
        let options = store.options();
        check_opening(options, request.device.as_ref(), request.end, store.now())?;
        request.label.as_deref().map(check_label).transpose()?;
        let opened = store.write(|tx| {
            let user = user::find(tx, request.user)?
                .ok_or_else(|| Error::not_found("there is no user of this id"))?;
            let digest = request.device.as_ref().map(DeviceDigest::of);
            let event = |kind| {
                Event::new(kind)
                    .user(user.id)
                    .device(digest)
                    .client_info(request.client_info.clone())
            };
            let denied = user.desktop_client_denied && request.client == Some(ClientKind::Desktop);
            let refusal = match refusal_of_status(tx, &user)? {
                None => denied.then_some(LoginRefusal::DesktopClientDenied),
                refusal => refusal,
            };
            let opening = request.opening();
            let room = match refusal {
                Some(refusal) => Err(refusal),
                None => {
                    write_uses_of(tx, store, user.id, request.device.as_ref())?;
                    room(tx, options, &opening)?
                }
            };
            // At AAL2 and above the host has asked for a second factor itself.
            let need = match request.assurance {
                Assurance::Aal1 => need(tx, &user, digest, None)?,
                _ => Need::Nothing,
            };
            match (room, need) {
                (Ok(_), Need::Missing(demand)) => {
                    let new = NewStep {
                        user: user.id,
                        device: digest,
                        demand,
                        proved: Proved::ByHost,
                        asked: request.asked(),
                    };
                    suspended(tx, &new, false, event(EventKind::LoginPending))
                }
                (Ok(room), _) => {
                    pending_step::delete_on_device(tx, user.id, digest)?;
                    let opened = open(tx, options, &opening, room)?;
                    let is_new_device = match digest {
                        Some(digest) => device::seen(tx, user.id, digest)?,
                        None => false,
                    };
                    user::logged_in(tx, user.id)?;
                    sweep_a_little(store, tx, user.id)?;
                    let event = event(EventKind::SessionOpened).session(opened.id);
                    let event = Event { detail: of_device(is_new_device, None), ..event };
                    let reply = granted(tx, store, user.id, opened)?;
                    Ok(Written::With(LoginOutcome::Granted(Box::new(reply)), event))
                }
                (Err(refusal), _) => {
                    let event = event(EventKind::SessionOpened).refused(refusal.name());
                    Ok(Written::With(LoginOutcome::Refused(refusal), event))
                }
            }
        });
        opened.inspect(|outcome| store.count_login(outcome))
    }
}

impl OpenSession {
    /// What a pending step keeps of the request.
    fn asked(&self) -> Asked {
        Asked {
            require_admin: false,
            is_desktop: self.client == Some(ClientKind::Desktop),
            end: self.end,
            label: self.label.clone(),
        }
    }

    fn opening(&self) -> Opening<'_> {
        Opening {
            user: self.user,
            device: self.device.as_ref(),
            end: self.end,
            label: self.label.as_deref(),
            client_info: self.client_info.as_ref(),
            assurance: self.assurance,
            revokes_others: false,
        }
    }
}
