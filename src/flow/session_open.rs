//! Open a session without a password, for a host that knows by other means who it is.

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::flow::login::{
    ClientKind, LoginAnswer, Opening, check_opening, granted, open, room, settle_idleness,
    standing,
};
use crate::flow::sweep::sweep_a_little;
use crate::record::audit::Written;
use crate::record::session::{Sessions, check_label};
use crate::record::{device, user};
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind, Origin};
use crate::value::facts::Assurance;
use crate::value::id::UserId;
use crate::value::name::DeviceId;
use crate::value::refusal::Refusal;

/// A session to open for a user whom the host has authenticated by other means: single sign-on, an
/// administrator issuing access for someone.
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenSession {
    user: UserId,
    device: Option<DeviceId>,
    expires_at: Option<DateTime<Utc>>,
    client: Option<ClientKind>,
    assurance: Assurance,
    label: Option<String>,
    origin: Option<Origin>,
}

impl OpenSession {
    /// For this user on this device.
    pub fn new(user: UserId, device: impl Into<Option<DeviceId>>) -> Self {
        Self {
            user,
            device: device.into(),
            expires_at: None,
            client: None,
            assurance: Assurance::Aal1,
            label: None,
            origin: None,
        }
    }

    /// The moment from which the session is not valid; as in a login.
    pub fn expires_at(self, at: DateTime<Utc>) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// The kind of program it is for.
    pub fn client(self, client: ClientKind) -> Self {
        Self { client: Some(client), ..self }
    }

    /// How strongly the host has authenticated the user; AAL1 if left out.
    pub fn assurance(self, assurance: Assurance) -> Self {
        Self { assurance, ..self }
    }

    /// What lists call the session: at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Where the request came from.
    pub fn origin(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }
}

impl Sessions<'_> {
    /// Opens a session without a password, by the same rules of lifetime, device and number, and
    /// with the same refusals, as a login.
    ///
    /// Writes the file; waits up to 5 s for another writer.
    ///
    /// # Errors
    /// `NotFound` if there is no such user; `Invalid` for a label over 128 bytes, an end in the
    /// past, or no device where one is required; `Busy`, `Full`, `Io`, `ReadOnly`, `CommitUnknown`,
    /// `Corrupt`, `NoRandom`, `Closed`.
    pub fn open(&self, request: OpenSession) -> Result<LoginAnswer> {
        let store = self.store;
        let options = store.options();
        check_opening(options, request.device.as_ref(), request.expires_at, store.now())?;
        request.label.as_deref().map(check_label).transpose()?;
        store.write(|tx| {
            let user = user::find(tx, request.user)?
                .ok_or_else(|| Error::not_found("there is no such user"))?;
            let digest = request.device.as_ref().map(DeviceDigest::of);
            let event = |kind| {
                Event::new(kind).user(user.id).device(digest).origin(request.origin.clone())
            };
            let denied = user.desktop_client_denied && request.client == Some(ClientKind::Desktop);
            let refusal = match standing(tx, &user)? {
                None => denied.then_some(Refusal::DesktopClientDenied),
                refusal => refusal,
            };
            let opening = request.opening();
            let room = match refusal {
                Some(refusal) => Err(refusal),
                None => {
                    settle_idleness(tx, store, user.id, request.device.as_ref())?;
                    room(tx, options, &opening)?
                }
            };
            match room {
                Ok(room) => {
                    let opened = open(tx, options, &opening, room)?;
                    if let Some(digest) = digest {
                        device::seen(tx, user.id, digest)?;
                    }
                    user::logged_in(tx, user.id)?;
                    sweep_a_little(store, tx)?;
                    let event = event(EventKind::SessionOpened).session(opened.id);
                    let reply = granted(tx, store, user.id, opened)?;
                    Ok(Written::With(LoginAnswer::Granted(Box::new(reply)), event))
                }
                Err(refusal) => {
                    let event = event(EventKind::SessionOpened).refused(refusal.name());
                    Ok(Written::With(LoginAnswer::Refused(refusal), event))
                }
            }
        })
    }
}

impl OpenSession {
    fn opening(&self) -> Opening<'_> {
        Opening {
            user: self.user,
            device: self.device.as_ref(),
            expires_at: self.expires_at,
            label: self.label.as_deref(),
            origin: self.origin.as_ref(),
            assurance: self.assurance,
            ends_others: false,
        }
    }
}
