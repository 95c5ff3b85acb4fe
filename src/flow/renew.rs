//! Renew a session for the lifetime that it was opened with.

use crate::error::{Error, Result};
use crate::flow::verify::credential;
use crate::record::audit::Written;
use crate::record::session::{self, Lifetime};
use crate::spans;
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::limits::RENEWALS_PER_LIFETIME;
use crate::value::presented::Presented;
use crate::value::principal::{Credential, InvalidToken, InvalidTokenReason, Principal};
use crate::value::time::Timestamp;
use crate::value::token;

/// The result of a renewal. An error of the store is neither of the two.
#[expect(clippy::exhaustive_enums, reason = "complete: the session is valid or not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it says whether the session is still valid"]
pub enum Renewal {
    /// The session is valid, and expires at this time.
    Valid(Timestamp),
    /// The session is not valid: nothing was renewed.
    Invalid(InvalidToken),
}

impl Renewal {
    /// Returns the first moment at which the session is expired, or [`InvalidToken`] as an error
    /// for `?`.
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
    /// assert_eq!(store.renew((token, &device))?.valid()?, reply.session.expires_at);
    /// store.log_out((token, &device))?;
    /// assert!(store.renew((token, &device))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidToken`] if the session is not valid.
    pub fn valid(self) -> std::result::Result<Timestamp, InvalidToken> {
        match self {
            Self::Valid(expires_at) => Ok(expires_at),
            Self::Invalid(invalid) => Err(invalid),
        }
    }
}

impl Store {
    /// Renews a session: moves its expiry to the lifetime that it was opened with from now, and
    /// keeps its token. Returns the first moment at which the session is expired.
    ///
    /// - The expiry never moves beyond [`max_lifetime`](crate::policy::SessionPolicy::max_lifetime)
    ///   after the login or a later change of the password (ASVS 7.3.2), and never to an earlier
    ///   moment. So a session lasts while it is used, and its user logs in again once in
    ///   `max_lifetime`. [`Store::prove`] does not move this bound.
    /// - A call that would move the expiry by less than a twentieth of the lifetime changes nothing
    ///   and returns the present expiry, except for the last move, to `max_lifetime`: a program may
    ///   renew at each request.
    /// - The expiry of an impersonation does not move.
    /// - A call is a use of the session, as a verify is.
    ///
    /// Reads the file once. If the expiry moves, writes it, and waits up to 5 s for another writer.
    ///
    /// The example moves the clock. Needs the feature `test-util`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use gatepost::host::{Clock, ManualClock};
    /// use gatepost::{Options, Store, Timestamp};
    ///
    /// let (clock, hour) = (ManualClock::new(Timestamp::UNIX_EPOCH), Duration::from_secs(3_600));
    /// let store = Store::in_memory(Options::for_tests().clock(Arc::new(clock.clone())))?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// // Opened for 24 hours.
    /// clock.advance(20 * hour);
    /// let end = store.renew((&reply.session.token, &device))?.valid()?;
    /// assert_eq!(end, clock.now() + 24 * hour);
    /// clock.advance(23 * hour);
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for an API key, whose expiry does not move.
    ///
    /// The expiry is then what it was, except after
    /// [`CommitUnknown`](crate::ErrorKind::CommitUnknown).
    #[doc(alias("refresh", "remember me", "sliding", "extend"))]
    pub fn renew<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Renewal> {
        spans::span!("renew");
        let presented = presented.into();
        self.core().storage.check_open()?;
        let parsed = token::parse(presented.token());
        let (parsed, id) = match parsed.map(|parsed| (parsed, credential(&parsed))) {
            Some((parsed, Some(Credential::Session(id)))) => (parsed, id),
            Some((_, Some(Credential::ApiKey(_)))) => {
                return Err(Error::invalid(
                    "renew takes the token of a session: the end of an API key does not move",
                ));
            }
            Some((_, None)) | None => return Ok(self.not_renewed(InvalidTokenReason::Malformed)),
        };
        let Some(held) = self.held(presented, parsed, id)? else {
            return Ok(Renewal::Invalid(InvalidToken));
        };
        if let (true, Some(own)) = (held.principal.is_impersonated, held.principal.expires_at) {
            return Ok(Renewal::Valid(own));
        }
        // Read first, so that a call that moves nothing takes no write lock.
        let lifetime = self.read(|tx| session::lifetime(tx, id))?;
        let end = |lifetime| self.end_from(&held.principal, lifetime, self.now());
        if let (Some(own), Some(end)) = (held.principal.expires_at, lifetime.map(end))
            && own == end
        {
            return Ok(Renewal::Valid(own));
        }
        let renewed = self.write(|tx| {
            let live = match self.held_now(tx, &held)? {
                Ok(live) => live,
                Err(reason) => return Ok(Written::Nothing(Err(reason))),
            };
            let lifetime = session::lifetime(tx, id)?
                .ok_or_else(|| Error::corrupt("a session that is live is not in the file"))?;
            let end = self.end_from(&live.principal, lifetime, tx.now());
            if live.principal.expires_at == Some(end) {
                return Ok(Written::Nothing(Ok(end)));
            }
            session::set_end(tx, id, end)?;
            let event = Event::new(EventKind::SessionRenewed)
                .user(live.principal.user)
                .session(id)
                .device(held.device);
            Ok(Written::With(Ok(end), event))
        })?;
        Ok(renewed.map_or_else(|reason| self.not_renewed(reason), Renewal::Valid))
    }

    fn not_renewed(&self, reason: InvalidTokenReason) -> Renewal {
        self.count_refusal(reason);
        Renewal::Invalid(InvalidToken)
    }

    /// The expiry of a session that is renewed at `now`: the present one, if the new one would be
    /// earlier or hardly later.
    fn end_from(&self, principal: &Principal, lifetime: Lifetime, now: Timestamp) -> Timestamp {
        let latest = lifetime.from + self.options().sessions.max_lifetime;
        let renewed = (now + lifetime.span).min(latest);
        let own = principal.expires_at.unwrap_or(renewed);
        let is_small = renewed.duration_since(own) < lifetime.span / RENEWALS_PER_LIFETIME;
        // The last move may be small: no other follows it.
        if renewed <= own || (is_small && renewed < latest) { own } else { renewed }
    }
}
