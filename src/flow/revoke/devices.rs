//! Forget a device, which revokes the session on it, and ask whether there is a live one.

use crate::error::Result;
use crate::flow::revoke::Cause;
use crate::record::audit::Written;
use crate::record::device::{self, Devices};
use crate::record::session;
use crate::value::digest::DeviceDigest;
use crate::value::id::UserId;
use crate::value::name::DeviceId;
use crate::value::target::Target;

impl Devices<'_> {
    /// Forgets that the user has logged in on a device, and revokes the user's session on it
    /// ([what revokes what](crate::manual::revocation)); `false` if the device was unknown and had
    /// no session of the user.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let token = reply.session.token.expose();
    /// assert!(store.devices().forget(ada, &device)?);
    /// assert!(store.verify((token, &device))?.valid().is_err());
    /// assert!(!store.devices().forget(ada, &device)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does. If the disk refuses the
    /// revocation, this process refuses the credentials from memory.
    pub fn forget(&self, user: UserId, device: &DeviceId) -> Result<bool> {
        self.forget_digest(user, DeviceDigest::of(device))
    }

    /// As [`forget`](Self::forget), for a device of [`list`](Self::list), by its
    /// [handle](crate::sessions::KnownDevice::handle): for a page of a user's devices, which has no
    /// device id except its own. `false` if no device of the list has the handle. All that have it
    /// are forgotten: a person who knows the password can log in on a device that is made to have
    /// the handle of another.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let token = reply.session.token.expose();
    /// let handle = &store.devices().list(ada)?[0].handle;
    /// assert!(store.devices().forget_listed(ada, handle)?);
    /// assert!(store.verify((token, &device))?.valid().is_err());
    /// assert!(!store.devices().forget_listed(ada, handle)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`forget`](Self::forget).
    pub fn forget_listed(&self, user: UserId, handle: &str) -> Result<bool> {
        let listed = self.store.read(|tx| device::listed(tx, user, handle))?;
        // Each is tried before an error is returned: what the disk refuses, the process remembers.
        let each: Vec<Result<bool>> =
            listed.into_iter().map(|device| self.forget_digest(user, device)).collect();
        each.into_iter().try_fold(false, |any, forgotten| Ok(any | forgotten?))
    }

    fn forget_digest(&self, user: UserId, device: DeviceDigest) -> Result<bool> {
        // Read first: if the write fails, the process refuses this session.
        let session = self.store.read(|tx| session::of_user_on(tx, user, &device))?;
        let target = Target::Device { user, device, session };
        self.store.revoke(target, Cause::DeviceForgotten, |tx, revocation| {
            let newer = session::of_user_on(tx, user, &device)?;
            if !revocation.apply(tx)? {
                return Ok(Written::Nothing(false));
            }
            Ok(Written::With(true, revocation.event().session(newer)))
        })
    }
}

impl Devices<'_> {
    /// Revokes the trust of all devices of a user: each needs a second factor at its next login.
    /// Sessions stay. `false` if no device was trusted since the last revocation; trust that is
    /// over is revoked too. [`forget`](Self::forget) ends the trust of one device.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// assert!(!store.devices().revoke_trust(ada)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does. If the disk refuses the
    /// revocation, no login of this process is granted before it is written.
    pub fn revoke_trust(&self, user: UserId) -> Result<bool> {
        let cause = Cause::DeviceTrustAsked;
        self.store.revoke(Target::User(user), cause, |tx, revocation| {
            if !device::has_unrevoked_trust(tx, user)? {
                return Ok(Written::Nothing(false));
            }
            revocation.apply(tx)?;
            Ok(Written::With(true, revocation.event()))
        })
    }

    /// Returns whether there is a live session on a device, of whichever user: for a program that
    /// keeps a token for the client, such as in a cookie. When a token is refused and its device
    /// has a live session, the client has got a newer token, by a proof, a change of the password
    /// or another login: to remove the one that it keeps would lose the newer one.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// assert!(store.devices().has_live_session(&device)?);
    /// store.log_out((&reply.session.token, &device))?;
    /// assert!(!store.devices().has_live_session(&device)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn has_live_session(&self, device: &DeviceId) -> Result<bool> {
        let found = self.store.read(|tx| session::on_device(tx, &DeviceDigest::of(device)))?;
        Ok(found.is_some_and(|session| session.live))
    }
}
