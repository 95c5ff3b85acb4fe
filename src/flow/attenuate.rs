//! Make an API key from a session or from another key: it can do no more, and ends with it.

use crate::error::{Error, Result};
use crate::flow::sweep::sweep_expired;
use crate::record::api_key::{self, ApiKeys, Draft, IssuedApiKey, NewApiKey, Parent};
use crate::record::audit::Written;
use crate::value::event::{Event, EventKind};
use crate::value::limits::API_KEYS_PER_USER_MAX;
use crate::value::principal::{Credential, Principal};

impl ApiKeys<'_> {
    /// Makes an API key from the session or key of a principal, for a program that needs a part of
    /// what the principal may: least privilege (ASVS 13.2.2).
    ///
    /// - Its user is the principal's. Its scopes are those of `new`, each of which the parent must
    ///   have, or else those of the parent; a session has all.
    /// - It expires with its parent at the latest: a longer lifetime is cut, and
    ///   [`IssuedApiKey::expires_at`] says so. A later renewal of the session does not prolong it.
    /// - It is revoked with its parent, in every process
    ///   ([what revokes what](crate::manual::revocation)): with a session by logout, expiry,
    ///   inactivity and whatever else ends that session; with a key by its revocation or rotation.
    ///   A use of the key is no use of the session.
    /// - It does not count for [`Options::api_keys_per_user`](crate::Options::api_keys_per_user).
    ///
    /// ```
    /// use gatepost::Permission;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let new = gatepost::NewUser::person("ada").privileges(["reports.read", "reports.write"]);
    /// # let ada = store.users().create(new)?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let session = store.verify((&reply.session.token, &device))?.valid()?;
    /// let only_read = NewApiKey::new().scopes(["reports.read"]);
    /// let printer = store.api_keys().attenuate(&session, only_read)?;
    ///
    /// let principal = store.verify((&printer.key, None))?.valid()?;
    /// assert_eq!(store.may(&principal, "reports.read")?, Permission::Granted);
    /// assert_eq!(store.may(&principal, "reports.write")?, Permission::Denied);
    /// store.log_out((&reply.session.token, &device))?;
    /// assert!(store.verify((&printer.key, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) as [`issue`](Self::issue) does, if the scopes have
    ///   a name that those of the parent lack, and for the session of an impersonation;
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the principal's session or key is no
    ///   longer live;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the key would have more than 8 keys
    ///   above it, or its user has 1,000 live keys;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("derive", "delegate", "macaroon", "biscuit", "downscope"))]
    pub fn attenuate(&self, principal: &Principal, new: NewApiKey) -> Result<IssuedApiKey> {
        let draft = Draft::of(new, self.store.now())?;
        self.store.write(|tx| {
            let live = self.store.still_live(tx, principal)?.principal;
            if live.is_impersonated {
                return Err(Error::invalid(
                    "api_keys().attenuate makes no key from the session of an impersonation",
                ));
            }
            let parent = Parent::of(tx, &live)?;
            let draft = draft.clone().within(&parent, tx.now())?;
            if api_key::living_of(tx, parent.user)?.len() >= api_key::rows(API_KEYS_PER_USER_MAX) {
                return Err(Error::limit_reached("1,000 API keys of the user are still live")
                    .advising("Revoke some of them first."));
            }
            api_key::delete_revoked_of(tx, parent.user)?;
            sweep_expired(self.store, tx)?;
            let issued = api_key::insert(tx, parent.user, &draft, &parent.lineage)?;
            let event =
                Event::new(EventKind::ApiKeyAttenuated).user(parent.user).api_key(issued.id);
            let event = match live.credential {
                Credential::Session(id) => event.session(id),
                Credential::ApiKey(id) => event.detail(id.to_string()),
            };
            Ok(Written::With(issued, event))
        })
    }
}
