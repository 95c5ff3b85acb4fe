//! Check whether the user behind a verified principal has a privilege, as fresh as a verify.

use crate::cache::Image;
use crate::error::Result;
use crate::flow::verify::{Decision, Live, is_answered_by};
use crate::store::Store;
use crate::value::name::Privilege;
use crate::value::permission::Permission;
use crate::value::principal::Principal;

impl Store {
    /// Returns whether the user of a verified session or API key has a privilege, as the file is
    /// now.
    ///
    /// - [`Granted`](Permission::Granted) or [`Denied`](Permission::Denied): the session or key of
    ///   `principal` is live, and its user has the privilege or not. A key needs it in its
    ///   [scopes](crate::sessions::NewApiKey::scopes) as well, if it has any. After a change of
    ///   privileges was acknowledged in any process, every call sees it (ASVS 8.3.2).
    /// - [`Ended`](Permission::Ended): a verify of its token would be refused.
    ///
    /// No privilege implies another, not even `admin`. A call is a use of the session, as a verify
    /// is.
    ///
    /// Costs about as much as a verify: it does not read the file while nothing has changed since
    /// this store verified the token. After a change, after a step of the last use of the session,
    /// and for the principal of a login reply, it reads the file until the token is verified again.
    /// Waits at most 50 ms in all, never for a writer or a flush of the disk.
    ///
    /// ```
    /// use gatepost::{NewUser, Permission};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").privilege("reports.write"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// assert_eq!(store.may(&principal, "reports.write")?, Permission::Granted);
    /// assert_eq!(store.may(&principal, "reports.delete")?, Permission::Denied);
    ///
    /// store.users().set_privileges(ada, &[])?;
    /// assert!(store.may(&principal, "reports.write")?.granted().is_err());
    /// store.log_out((&reply.session.token, &device))?;
    /// assert_eq!(store.may(&principal, "reports.write")?, Permission::Ended);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error is neither yes nor no. Fails as
    /// [every read](crate::manual::errors#every-read) does, after 50 ms with
    /// [`Busy`](crate::ErrorKind::Busy), and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the name is not 1 to 64 of `a-z 0-9 . _ : -`.
    #[doc(alias("permission", "role", "RBAC", "authorize"))]
    pub fn may(&self, principal: &Principal, privilege: &str) -> Result<Permission> {
        let (permission, live) = self.permission(principal, privilege)?;
        if let Some(live) = live {
            self.note_use(&live);
        }
        Ok(permission)
    }

    /// As [`Store::may`], which also notes the use of what is live.
    #[inline]
    pub(crate) fn permission(
        &self,
        principal: &Principal,
        privilege: &str,
    ) -> Result<(Permission, Option<Live>)> {
        Privilege::check(privilege)?;
        let mut is_granted = false;
        let ask = || self.privileged(principal, privilege, &mut is_granted);
        Ok(match self.unless_denied(ask)? {
            Err(_) => (Permission::Ended, None),
            Ok(live) if is_granted => (Permission::Granted, Some(live)),
            Ok(live) => (Permission::Denied, Some(live)),
        })
    }

    /// The live session or key of a principal; sets `is_granted` to whether its user has the
    /// privilege.
    #[inline]
    pub(crate) fn privileged(
        &self,
        principal: &Principal,
        privilege: &str,
        is_granted: &mut bool,
    ) -> Result<Decision> {
        // No test fails without this: the call is refused below as well. But the child of a fork
        // must not even read the wal-index.
        let storage = &self.core().storage;
        storage.check_open()?;
        let found = match (&self.core().coherence, Image::at(principal.place)) {
            (Some(coherence), Some(image)) => {
                let entry = coherence.find(image).map_err(|error| storage.located(error))?;
                entry.map(|entry| (coherence, image, entry))
            }
            _ => None,
        };
        if let Some((coherence, image, entry)) = found {
            // The place is only a hint: the entry there may be another session's.
            let is_own = entry.credential() == principal.credential;
            // The clock is read after everything that decides.
            let now = self.now();
            if is_own
                && is_answered_by(&entry, now)
                && let Some(has) = coherence.cache.has_privilege(&entry, privilege)
            {
                storage.check_file_if_due(now)?;
                *is_granted = has;
                return Ok(Ok(Live::of_entry(&entry, image)));
            }
        }
        self.privileged_by_file(principal, privilege, is_granted)
    }

    /// Reads the file. The answer is not cached: the entry is found by a token, which this call
    /// does not have.
    #[cold]
    fn privileged_by_file(
        &self,
        principal: &Principal,
        privilege: &str,
        is_granted: &mut bool,
    ) -> Result<Decision> {
        let credential = principal.credential;
        let found = self.ask_file(credential, |proof, now| self.judge(credential, proof, now))?;
        Ok(found.map(|found| {
            *is_granted = found.proof.has_privilege(privilege);
            found.live
        }))
    }
}
