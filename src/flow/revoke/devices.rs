//! Forget a device, which revokes the session on it.

use crate::error::Result;
use crate::flow::revoke::{Cause, make_way};
use crate::record::audit::Written;
use crate::record::device::{self, Devices};
use crate::record::session;
use crate::storage::{ReadTx, WriteTx};
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind};
use crate::value::id::{SessionId, UserId};
use crate::value::name::DeviceId;
use crate::value::target::Target;

impl Devices<'_> {
    /// Forgets that the user has logged in on a device and revokes the user's session on it; false
    /// if the device was not known and had no session of the user.
    ///
    /// ```
    /// use gatepost::{DeviceId, NewUser, OpenSession, Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let till = DeviceId::new("till-1")?;
    /// let reply = store.sessions().open(OpenSession::new(ada, till.clone()))?.granted()?;
    ///
    /// assert!(store.devices().forget(ada, &till)?);
    /// assert!(store.verify(reply.session.token.expose(), &till)?.valid().is_err());
    /// assert!(!store.devices().forget(ada, &till)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after which this
    /// process refuses the session all the same.
    pub fn forget(&self, user: UserId, device: &DeviceId) -> Result<bool> {
        let device = DeviceDigest::of(device);
        let job = |tx: &WriteTx<'_>, revoked: Option<SessionId>| {
            let forgotten = device::forget(tx, user, device)?;
            // A login may have replaced the one that was looked at.
            let newer = session_on(tx, user, device)?;
            if let Some(session) = newer {
                make_way(tx, session)?;
            }
            let session = newer.or(revoked);
            if !forgotten && session.is_none() {
                return Ok(Written::Nothing(false));
            }
            let event = Event::new(EventKind::DeviceForgotten).user(user).device(device);
            Ok(Written::With(true, event.session(session)))
        };
        // Looked at first: if the write fails, it is this session that the process refuses.
        match self.store.read(|tx| session_on(tx, user, device))? {
            Some(session) => {
                let target = Target::Session(session);
                self.store.revoke(target, Cause::DeviceForgotten, |tx, revocation| {
                    let revoked = revocation.apply(tx)?.then_some(session);
                    job(tx, revoked)
                })
            }
            None => self.store.write(|tx| job(tx, None)),
        }
    }
}

/// The session of the user that is on a device, live or not.
fn session_on(tx: &ReadTx<'_>, user: UserId, device: DeviceDigest) -> Result<Option<SessionId>> {
    let found = session::on_device(tx, &device)?;
    Ok(found.filter(|session| session.user == user).map(|session| session.id))
}
