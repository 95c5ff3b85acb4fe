//! Resource tickets: mint one in a session, and verify it in the place of the session.
//!
//! No row belongs to a ticket. Its text has the id of the session, the expiry, and the number of
//! the newest change row at its minting; a code over these, the method and the resource shows that
//! a process with the key has minted it. So a ticket dies with its session without a write, and a
//! watermark of one-time tokens that was raised since (`issued_seq` is below it) ends the tickets
//! of a session that goes on.
//!
//! **Cost.** Each call is one SELECT by the id of the session, as in a verify that the cache does
//! not answer. The cache is found by a token and its device, which a ticket does not carry, and the
//! watermarks of one-time tokens are not in it.
//!
//! **The key** is derived from the key under which the file seals, else from the current key of the
//! keyring, so that all processes have the same one although each rotates its keyring at its own
//! time. Without a keyring it is drawn by the process.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::flow::verify::Live;
use crate::pending::uses::latest;
use crate::record::credential;
use crate::record::proof::{TICKET_SQL, TicketProof};
use crate::storage::params;
use crate::store::Store;
use crate::value::event::Actor;
use crate::value::id::{BranchId, OrganisationId, SessionId, UserId};
use crate::value::keyring::{KeyId, SealingKey};
use crate::value::limits::{
    TICKET_LIFETIME_DEFAULT, TICKET_LIFETIME_MAX, TICKET_METHOD_MAX_BYTES,
    TICKET_RESOURCE_MAX_BYTES, VERIFY_READ_WAIT, VERIFY_REREAD_WAIT,
};
use crate::value::name::Privilege;
use crate::value::permission::Permission;
use crate::value::principal::{Credential, InvalidToken, InvalidTokenReason, Principal};
use crate::value::secret::Secret;
use crate::value::ticket::Ticket;
use crate::value::time::Timestamp;

/// The purpose of the key that is derived from a key of the keyring.
const KEY_PURPOSE: &str = "gatepost.ticket.key.v1";

/// A resource ticket to be minted.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::sessions::NewTicket;
///
/// let image = NewTicket::new("GET", "/images/7").lifetime(Duration::from_secs(60));
/// assert_eq!(image, NewTicket::new("GET", "/images/7").lifetime(Duration::from_secs(60)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct NewTicket {
    method: String,
    resource: String,
    lifetime: Duration,
}

impl NewTicket {
    /// A ticket for one method and one resource, valid for 30 seconds.
    ///
    /// The method is 1 to 32 characters of RFC 9110, section 5.6.2 (`token`), the resource 1 to
    /// 2,048 bytes: usually the path of the request, with the rest of its query. Both are compared
    /// byte by byte with those of the request that presents the ticket.
    pub fn new(method: impl Into<String>, resource: impl Into<String>) -> Self {
        let (method, resource) = (method.into(), resource.into());
        Self { method, resource, lifetime: TICKET_LIFETIME_DEFAULT }
    }

    /// How long the ticket is valid, by the store's clock: 1 millisecond to 5 minutes. It is never
    /// valid for longer than its session.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    fn check(&self) -> Result<()> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_method = (1..=TICKET_METHOD_MAX_BYTES).contains(&self.method.len())
            && self.method.bytes().all(is_token);
        if !is_method {
            return Err(Error::invalid(
                "the method of a ticket (NewTicket::new) is not 1 to 32 characters of a method",
            ));
        }
        if !(1..=TICKET_RESOURCE_MAX_BYTES).contains(&self.resource.len()) {
            return Err(Error::invalid(
                "the resource of a ticket (NewTicket::new) is not 1 to 2,048 bytes long",
            ));
        }
        if self.lifetime < Duration::from_millis(1) {
            return Err(Error::invalid("the lifetime of a ticket is shorter than 1 ms"));
        }
        if self.lifetime > TICKET_LIFETIME_MAX {
            return Err(Error::invalid("the lifetime of a ticket is longer than 5 minutes"));
        }
        Ok(())
    }
}

/// The result of minting a ticket. An error of the store is neither of the two.
#[expect(clippy::exhaustive_enums, reason = "complete: the session is live or not")]
#[derive(Debug)]
#[must_use = "it says whether there is a ticket"]
pub enum TicketMinting {
    /// The session is live: its ticket.
    Minted(IssuedTicket),
    /// The session of the principal is over: a verify of its token would be refused.
    Ended(InvalidToken),
}

impl TicketMinting {
    /// Returns the ticket, or [`InvalidToken`] as an error for `?`.
    ///
    /// # Errors
    /// [`InvalidToken`] if the session is over.
    pub fn valid(self) -> std::result::Result<IssuedTicket, InvalidToken> {
        match self {
            Self::Minted(issued) => Ok(issued),
            Self::Ended(invalid) => Err(invalid),
        }
    }
}

/// A resource ticket that was just minted.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedTicket {
    /// The text: 74 characters of `A-Z a-z 0-9 _ -`, so that it may be in a URL as it is. The store
    /// keeps nothing of it.
    pub ticket: Secret,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
}

/// The answer of [`Tickets::verify`]: valid or not. A failure of the store is an `Err`, and neither
/// of the two.
#[expect(clippy::exhaustive_enums, reason = "complete: a ticket is valid or not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a verdict that is not read lets every ticket in"]
pub enum TicketVerdict {
    /// The ticket is valid for this method and resource: the session in whose place it is.
    Valid(TicketBearer),
    /// The ticket is not valid.
    Invalid(InvalidToken),
}

impl TicketVerdict {
    /// Returns the bearer, or [`InvalidToken`] as an error for `?`.
    ///
    /// # Errors
    /// [`InvalidToken`] if the ticket is not valid.
    pub fn valid(self) -> std::result::Result<TicketBearer, InvalidToken> {
        match self {
            Self::Valid(bearer) => Ok(bearer),
            Self::Invalid(invalid) => Err(invalid),
        }
    }
}

/// The session and user behind a verified ticket.
///
/// It is not a [`Principal`]: no call takes it in the place of one, so that a ticket never acts as
/// its session. [`Store::acting_as`] takes it, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TicketBearer {
    /// The session in which the ticket was minted.
    pub session: SessionId,
    /// The user of the session.
    pub user: UserId,
    /// The user's branch; `None` if the user is in none.
    pub branch: Option<BranchId>,
    /// The branch's organisation; `None` if there is none.
    pub organisation: Option<OrganisationId>,
    /// The first moment at which the ticket is expired.
    pub expires_at: Timestamp,
    #[cfg_attr(feature = "serde", serde(skip))]
    principal: Principal,
}

impl From<&TicketBearer> for Actor {
    fn from(bearer: &TicketBearer) -> Self {
        Self::from(&bearer.principal)
    }
}

impl Store {
    /// Returns the handle of the resource tickets.
    #[must_use]
    pub fn tickets(&self) -> Tickets<'_> {
        Tickets { store: self }
    }
}

/// The resource tickets of a store, which are in the place of a session in a URL: of an image, of a
/// download (ASVS 14.2.1: no session token in a URL).
///
/// A ticket is minted in a session, for one method and one resource. It lives for seconds and may
/// be used more than once. It is refused as soon as its session is: after a logout, a revocation, a
/// change of the user's status, or once the device of the session is forgotten. It also dies with
/// the user's one-time tokens ([what revokes what](crate::manual::revocation)). It is presented
/// without a device.
///
/// Nothing of a ticket is in the file, and a copy of the file is not enough to make one: its code
/// needs a key that is derived from the keyring. **Without a keyring** the key is random, and a
/// ticket is valid in the process that minted it only, until it closes the store;
/// [`Status::tickets_are_local`](crate::status::Status::tickets_are_local) says so.
///
/// A server on axum uses the crate `gatepost-axum`, which takes the ticket from the URL
/// ([`web`](crate::manual::web)). The page [`tickets`](crate::manual::tickets) shows the rest.
///
/// ```
/// use gatepost::sessions::NewTicket;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// let image = NewTicket::new("GET", "/images/7");
/// let ticket = store.tickets().mint(&principal, image)?.valid()?.ticket;
/// let url = format!("/images/7?ticket={}", ticket.expose());
///
/// let (path, ticket) = url.split_once("?ticket=").expect("a ticket");
/// assert_eq!(store.tickets().verify(ticket, "GET", path)?.valid()?.user, ada);
/// assert!(store.tickets().verify(ticket, "GET", "/images/8")?.valid().is_err());
/// store.log_out((&reply.session.token, &device))?;
/// assert!(store.tickets().verify(ticket, "GET", path)?.valid().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("signed URL", "presigned URL", "download link", "image"))]
#[derive(Debug)]
pub struct Tickets<'s> {
    store: &'s Store,
}

impl Tickets<'_> {
    /// Mints a ticket in the session of a verified principal.
    ///
    /// Check first that the user may have the resource: the ticket does not ask again, except where
    /// [`Tickets::may`] does. A call is a use of the session, as a verify is. Reads the file once,
    /// writes nothing, and waits at most 50 ms.
    ///
    /// ```
    /// use gatepost::sessions::NewTicket;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// let mint = || store.tickets().mint(&principal, NewTicket::new("GET", "/images/7"));
    /// assert!(mint()?.valid()?.ticket.expose().starts_with("gpt_"));
    /// store.log_out((&reply.session.token, &device))?;
    /// assert!(mint()?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, after 50 ms with
    /// [`Busy`](crate::ErrorKind::Busy), and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the method, the resource or the lifetime breaks
    ///   its bound, or the principal is that of an API key;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom), without a keyring.
    pub fn mint(&self, principal: &Principal, new: NewTicket) -> Result<TicketMinting> {
        let store = self.store;
        new.check()?;
        let Credential::Session(session) = principal.credential else {
            return Err(Error::invalid("a ticket is minted in a session, not with an API key"));
        };
        let found = store.unless_known(
            || {
                store.ticket_session(session, |row, now| {
                    let live = store.judge(principal.credential, &row.session, now);
                    Ok(live.map(|live| (live, row)))
                })
            },
            |known, (live, _)| store.is_denied(&live.principal, known),
        )?;
        match found {
            Ok((live, row)) => {
                let expires_at = store.now() + new.lifetime;
                let terms = (session, expires_at, row.head);
                let key = store.minting_key(&row)?;
                let ticket = Ticket::new(&key, terms, (&new.method, &new.resource)).text();
                store.note_use(&live);
                Ok(TicketMinting::Minted(IssuedTicket { ticket, expires_at }))
            }
            Err(reason) => {
                store.count_refusal(reason);
                Ok(TicketMinting::Ended(InvalidToken))
            }
        }
    }

    /// Verifies a ticket for the method and the resource of a request, as the file is now.
    ///
    /// Every refusal is the same value: a forged ticket, one of another resource, and one that is
    /// expired or revoked look alike. After a revocation of its session was acknowledged in any
    /// process, no verify accepts the ticket. A call is no use of the session: a ticket prolongs
    /// nothing. Reads the file at most twice, and waits at most 50 ms.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let forged = store.tickets().verify("gpt_forged", "GET", "/images/7")?;
    /// assert!(forged.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error is neither yes nor no. Fails as
    /// [every read](crate::manual::errors#every-read) does, after 50 ms with
    /// [`Busy`](crate::ErrorKind::Busy), and with:
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals.
    pub fn verify(&self, ticket: &str, method: &str, resource: &str) -> Result<TicketVerdict> {
        let store = self.store;
        store.core().storage.check_open()?;
        let found = match Ticket::parse(ticket) {
            Some(ticket) => store.unless_known(
                || {
                    store.ticket_session(ticket.session, |row, now| {
                        let request = (method, resource);
                        Ok(store
                            .judge_ticket(&ticket, request, &row, now)?
                            .map(|live| (live, ticket)))
                    })
                },
                |known, (live, _)| {
                    let (holder, now) = (&live.principal, store.now());
                    let is_covered = known.iter().any(|known| known.cover_tickets(holder, now));
                    // An impersonation is denied with the administrator's session, too.
                    Ok(is_covered || store.is_denied(holder, known)?)
                },
            )?,
            None => Err(InvalidTokenReason::Malformed),
        };
        match found {
            Ok((live, ticket)) => Ok(TicketVerdict::Valid(TicketBearer {
                session: ticket.session,
                user: live.principal.user,
                branch: live.principal.branch,
                organisation: live.principal.organisation,
                expires_at: ticket.expires_at,
                principal: live.principal,
            })),
            Err(reason) => {
                store.count_refusal(reason);
                Ok(TicketVerdict::Invalid(InvalidToken))
            }
        }
    }

    /// Returns whether the user behind a verified ticket has a privilege, as the file is now; see
    /// [`Store::may`]. A call is no use of the session.
    ///
    /// ```
    /// use gatepost::Permission;
    /// use gatepost::sessions::NewTicket;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = gatepost::NewUser::person("ada").privilege("images.read");
    /// # let ada = store.users().create(ada)?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let (image, tickets) = ("/images/7", store.tickets());
    /// let minted = tickets.mint(&reply.principal, NewTicket::new("GET", image))?.valid()?;
    /// let bearer = tickets.verify(minted.ticket.expose(), "GET", image)?.valid()?;
    /// assert_eq!(tickets.may(&bearer, "images.read")?, Permission::Granted);
    /// store.users().set_privileges(ada, &[])?;
    /// assert_eq!(tickets.may(&bearer, "images.read")?, Permission::Denied);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::may`].
    pub fn may(&self, bearer: &TicketBearer, privilege: &str) -> Result<Permission> {
        Privilege::check(privilege)?;
        let mut is_granted = false;
        let ask = || self.store.privileged(&bearer.principal, privilege, &mut is_granted);
        Ok(match (self.store.unless_denied(ask)?.is_ok(), is_granted) {
            (false, _) => Permission::Ended,
            (true, true) => Permission::Granted,
            (true, false) => Permission::Denied,
        })
    }
}

/// A result of a ticket, or why there is none.
type Answer<T> = std::result::Result<T, InvalidTokenReason>;

impl Store {
    /// Reads the session of a ticket and judges it with `decide`.
    fn ticket_session<T>(
        &self,
        session: SessionId,
        decide: impl Fn(TicketProof, Timestamp) -> Result<Answer<T>>,
    ) -> Result<Answer<T>> {
        let read = |wait| {
            let storage = &self.core().storage;
            let row = storage.select_one(
                wait,
                TICKET_SQL,
                params![session],
                TicketProof::with_reader,
            )?;
            let now = self.now();
            storage.check_file_if_due(now)?;
            row.map_or(Ok(Err(InvalidTokenReason::Unknown)), |row| decide(row, now))
        };
        match read(VERIFY_READ_WAIT)? {
            // The last use may have moved from memory into the file after the file was read.
            Err(InvalidTokenReason::Idle) => read(VERIFY_REREAD_WAIT),
            found => Ok(found),
        }
    }

    /// Whether a ticket is valid for this method and resource, and its session live.
    fn judge_ticket(
        &self,
        ticket: &Ticket,
        (method, resource): (&str, &str),
        row: &TicketProof,
        now: Timestamp,
    ) -> Result<Answer<Live>> {
        let is_own = match self.shared_key(row)? {
            Some(key) => ticket.is_for(&key, method, resource),
            None => {
                let key = self.core().local_ticket_key();
                key.is_some_and(|key| ticket.is_for(key, method, resource))
            }
        };
        if !is_own {
            return Ok(Err(InvalidTokenReason::Unknown));
        }
        if ticket.expires_at <= now {
            return Ok(Err(InvalidTokenReason::Expired));
        }
        // A clock that was wrong at the minting must not prolong a ticket.
        if ticket.expires_at > latest(now) + TICKET_LIFETIME_MAX {
            return Ok(Err(InvalidTokenReason::NotYet));
        }
        if ticket.issued_seq < row.tokens_ended_seq {
            return Ok(Err(InvalidTokenReason::Revoked));
        }
        Ok(self.judge(Credential::Session(ticket.session), &row.session, now))
    }

    /// The key under which this process mints tickets.
    ///
    /// # Errors
    /// `KeyMissing`, `NoRandom`.
    fn minting_key(&self, row: &TicketProof) -> Result<Zeroizing<[u8; 32]>> {
        match self.shared_key(row)? {
            Some(key) => Ok(key),
            None => self.core().draw_ticket_key().map(|key| Zeroizing::new(*key)),
        }
    }

    /// The key that all processes with the keyring of the file derive; `None` if neither the file
    /// nor this process has one.
    ///
    /// # Errors
    /// `KeyMissing`.
    fn shared_key(&self, row: &TicketProof) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let id = match (&row.sealing_key, &self.options().keyring) {
            (Some(id), _) => KeyId::new(id.as_str())
                .map_err(|_| Error::corrupt("the id of the file's key is none"))?,
            (None, Some(keyring)) => keyring.current(),
            (None, None) => return Ok(None),
        };
        let key: SealingKey = credential::key_of(self.options(), &id)?;
        Ok(Some(key.derived(KEY_PURPOSE)))
    }
}
